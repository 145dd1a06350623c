/* Sketches: their parts, and their persisted form. */
#include "drawn.h"

#include "base/digest.h"
#include "forks/nulls.h"
#include "forks/sketch_in.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static struct scan scan_of(const float *x, size_t rows, size_t columns, bool backwards)
{
	struct scan s = { 0 };

	for (size_t r = 0; r < rows; r++) {
		struct scan one = { 0 };
		size_t row = backwards ? rows - 1 - r : r;

		fork_scan_row(&one, row, x + row * columns, columns);
		fork_scan_merge(&s, &one);
	}
	return s;
}

static bool same_hash(const struct scan *a, const struct scan *b)
{
	return a->hash[0] == b->hash[0] && a->hash[1] == b->hash[1];
}

Test(fork_sketch, a_hash_sees_every_value_and_its_place)
{
	enum { ROWS = 3, COLUMNS = 37 };
	float x[ROWS * COLUMNS];
	struct scan before, after;
	uint64_t state = 5;

	for (size_t i = 0; i < ROWS * COLUMNS; i++)
		x[i] = (float)drawn_normal(&state);
	before = scan_of(x, ROWS, COLUMNS, false);
	after = scan_of(x, ROWS, COLUMNS, true);
	cr_assert(same_hash(&before, &after), "the order in which rows are read");
	for (size_t i = 0; i < ROWS * COLUMNS; i++) {
		float old = x[i];

		x[i] = nextafterf(old, 9);
		after = scan_of(x, ROWS, COLUMNS, false);
		cr_assert(!same_hash(&before, &after), "value %zu", i);
		x[i] = old;
	}
	after = scan_of(x, COLUMNS, ROWS, false);
	cr_assert(!same_hash(&before, &after), "another shape");
}

Test(fork_sketch, zero_has_one_hash)
{
	float plus[20] = { 0 }, minus[20];
	struct scan a = { 0 }, b = { 0 };

	for (size_t i = 0; i < 20; i++)
		minus[i] = -0.0f;
	fork_scan_row(&a, 0, plus, 20);
	fork_scan_row(&b, 0, minus, 20);
	cr_assert(same_hash(&a, &b));
}

Test(fork_sketch, what_is_constant_is_told_from_what_is_not)
{
	static const struct {
		float v[40];
		bool constant;
	} row[] = {
		{ { 0 }, true },
		{ { 0, 0, 1, 0, 1, 1 }, true }, /* a mask */
		{ { [17] = 2, [39] = 2 }, true },
		{ { 1, 2 }, false },
		{ { [38] = 3, [39] = 4 }, false },
		{ { -1, 1 }, false },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct scan s = { 0 }, part = { 0 };

		fork_scan_row(&s, 0, row[i].v, 20);
		fork_scan_row(&part, 1, row[i].v + 20, 20);
		fork_scan_merge(&s, &part);
		cr_assert_eq(s.differs == 0, row[i].constant, "row %zu", i);
	}
}

Test(fork_sketch, what_is_not_finite_is_counted_and_in_no_sum)
{
	float x[50];
	struct scan s = { 0 };

	for (size_t i = 0; i < 50; i++)
		x[i] = 2;
	x[3] = NAN;
	x[49] = -INFINITY;
	fork_scan_row(&s, 0, x, 50);
	cr_assert_eq(s.values, 50);
	cr_assert_eq(s.values_bad, 2);
	cr_assert_float_eq(s.squares, 48 * 4, 0);
}

Test(fork_sketch, squares_are_those_of_doubles)
{
	float x[1003], gain[1003];
	double plain = 0, found;
	uint64_t state = 9;

	for (size_t i = 0; i < 1003; i++) {
		x[i] = (float)drawn_normal(&state);
		gain[i] = (float)drawn_uniform(&state);
		plain += pow((double)(x[i] * gain[i]), 2);
	}
	found = fork_scan_squares(x, gain, 1003);
	cr_assert_float_eq(found, plain, 1e-9 * plain);
}

Test(fork_sketch, both_forms_of_the_inner_loops_give_the_same_bits)
{
	enum { N = 16 * 61, COUNT = 37 };
	float x[N], y[COUNT * TILE_TOKENS], a[TILE_UNITS * 20] = { 0 }, b[TILE_UNITS * 20] = { 0 };
	struct scan_lanes plain = { .hash = { 1, 2, 3, 4, 5, 6, 7, 8 } }, wide = plain;
	uint64_t state = 17;
	double p, w;

	if (!__builtin_cpu_supports("avx2"))
		return;
	for (size_t i = 0; i < N; i++)
		x[i] = i % 11 ? (float)drawn_normal(&state) : -0.0f;
	for (size_t i = 0; i < COUNT * TILE_TOKENS; i++)
		y[i] = (float)drawn_normal(&state);
	p = fork_scan_steps_plain(&plain, x, N, 5);
	w = fork_scan_steps_avx2(&wide, x, N, 5);
	cr_assert(memcmp(&p, &w, sizeof p) == 0);
	cr_assert(memcmp(plain.hash, wide.hash, sizeof plain.hash) == 0);
	cr_assert_eq(plain.differs, wide.differs);
	fork_tile_plain(&(struct tile){ a, x, y, 20, 6, TILE_TOKENS, COUNT });
	fork_tile_avx2(&(struct tile){ b, x, y, 20, 6, TILE_TOKENS, COUNT });
	cr_assert(memcmp(a, b, sizeof a) == 0);
	for (size_t i = 0; i < TILE_UNITS; i++)
		for (size_t t = 0; t < TILE_TOKENS; t++) {
			double sum = 0;

			for (size_t k = 0; k < COUNT; k++)
				sum += (double)x[k * 6 + i] * y[k * TILE_TOKENS + t];
			cr_assert_float_eq(a[i * 20 + t], sum, 1e-4);
		}
}

/* ---- unit vectors ---- */

enum { HIDDEN = 300, UNITS = 18, TOKENS = 24, STRIDE = 32 };

static struct basis basis_drawn(uint64_t seed)
{
	struct basis b = {
		.width_max = HIDDEN, .hidden = HIDDEN, .tokens = TOKENS, .stride = STRIDE
	};

	b.bucket = calloc(HIDDEN, 1);
	b.embedding = calloc(HIDDEN * STRIDE, sizeof *b.embedding);
	cr_assert(b.bucket && b.embedding);
	for (size_t d = 0; d < HIDDEN; d++) {
		b.bucket[d] = (uint8_t)drawn_word(&seed);
		for (size_t t = 0; t < TOKENS; t++)
			b.embedding[d * STRIDE + t] = (float)drawn_normal(&seed);
	}
	return b;
}

/* x: [HIDDEN][stride of UNITS]; unit 4 is zero. */
static float *units_drawn(uint64_t seed, uint32_t stride)
{
	float *x = calloc((size_t)HIDDEN * stride, sizeof *x);

	cr_assert(x);
	for (size_t d = 0; d < HIDDEN; d++)
		for (size_t u = 0; u < UNITS; u++)
			x[d * stride + u] = u == 4 ? 0 : (float)drawn_normal(&seed);
	return x;
}

struct vectors {
	int16_t raw[UNITS * SKETCH_RAW], token[UNITS * STRIDE];
	float norm[UNITS], token_norm[UNITS];
};

static struct sketch_part part_of(struct vectors *v)
{
	return (struct sketch_part){ .raw_width = SKETCH_RAW,
				     .token_width = STRIDE,
				     .raw = v->raw,
				     .token = v->token,
				     .norm = v->norm,
				     .token_norm = v->token_norm };
}

static bool vectors_of(const struct basis *b, const float *x, uint32_t step, struct vectors *out)
{
	struct sketch_part part = part_of(out);
	struct unit_sum u;
	double squares = 0;
	bool finite;

	memset(out, 0, sizeof *out);
	cr_assert_eq(fork_unit_sum_open(&u, UNITS, HIDDEN, true, b, NULL), 0);
	for (uint32_t d = 0; d < HIDDEN; d += step)
		fork_unit_sum_add(&u, d, HIDDEN - d < step ? HIDDEN - d : step,
				  x + (size_t)d * u.stride);
	finite = fork_unit_sum_take(&u, &part, 0, &squares);
	fork_unit_sum_free(&u);
	return finite;
}

/* Whether v[0..n) is the direction of `wanted`, of that length. */
static void assert_direction(const int16_t *v, float length, const double *wanted, uint32_t n)
{
	double squares = 0;

	for (uint32_t i = 0; i < n; i++)
		squares += wanted[i] * wanted[i];
	cr_assert_float_eq(length, sqrt(squares), 1e-4 * sqrt(squares) + 1e-30);
	for (uint32_t i = 0; i < n; i++)
		cr_assert_float_eq(v[i], squares > 0 ? wanted[i] / sqrt(squares) * SKETCH_ONE : 0,
				   0.6);
}

Test(fork_sketch, unit_vectors_are_the_sketch_and_the_products_with_tokens)
{
	struct basis b = basis_drawn(3);
	float *x = units_drawn(4, 20);
	static struct vectors v;

	cr_assert(vectors_of(&b, x, HIDDEN, &v));
	for (size_t u = 0; u < UNITS; u++) {
		double raw[SKETCH_RAW] = { 0 }, token[STRIDE] = { 0 };

		for (size_t d = 0; d < HIDDEN; d++) {
			double value = x[d * 20 + u];

			raw[b.bucket[d] & 127] += b.bucket[d] & BASIS_NEGATIVE ? -value : value;
			for (size_t t = 0; t < STRIDE; t++)
				token[t] += value * b.embedding[d * STRIDE + t];
		}
		assert_direction(v.raw + u * SKETCH_RAW, v.norm[u], raw, SKETCH_RAW);
		assert_direction(v.token + u * STRIDE, v.token_norm[u], token, STRIDE);
	}
	free(x);
	fork_basis_free(&b);
}

Test(fork_sketch, unit_vectors_do_not_depend_on_how_dimensions_are_cut)
{
	static const uint32_t step[] = { 1, 7, 64, 257 };
	struct basis b = basis_drawn(3);
	float *x = units_drawn(4, 20);
	static struct vectors whole, cut;

	cr_assert(vectors_of(&b, x, HIDDEN, &whole));
	for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
		cr_assert(vectors_of(&b, x, step[i], &cut));
		cr_assert_eq(memcmp(&whole, &cut, sizeof whole), 0, "steps of %u", step[i]);
	}
	free(x);
	fork_basis_free(&b);
}

Test(fork_sketch, what_has_no_sum_is_no_vector)
{
	static const float bad[] = { NAN, INFINITY, 3e38f };
	struct basis b = basis_drawn(3);
	static struct vectors v;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		float *x = units_drawn(4, 20);

		for (size_t d = 0; d < HIDDEN; d++)
			x[d * 20 + 6] = bad[i];
		cr_assert(!vectors_of(&b, x, HIDDEN, &v), "%g", (double)bad[i]);
		free(x);
	}
	fork_basis_free(&b);
}

/* ---- tokens in common ---- */

Test(fork_sketch, tokens_in_common_are_as_if_no_others_had_been_drawn)
{
	struct drawn_shape shape = {
		.kind = FORK_DENSE, .layers = 1, .units = 16, .hidden = 40, .parts = 2, .tokens = 20
	};
	struct drawn *d = drawn_new(&shape, 11);
	struct fork_sketch *whole = drawn_sketch(d), *few;
	struct fork_common c;
	int16_t *restricted = calloc(16 * 16, sizeof *restricted);

	/* the last twelve tokens alone */
	memmove(d->embedding, d->embedding + 8 * 40, sizeof(float) * 12 * 40);
	d->tokens = 12;
	few = drawn_sketch(d);
	for (uint32_t t = 0; t < few->tokens; t++) {
		few->token[t] += 8;
		few->token_id[t] += 8;
	}
	c = fork_sketch_common(whole, few);
	cr_assert_eq(c.count, 12);
	cr_assert(!c.all);
	fork_sketch_restrict(&whole->block[0].part[1], 16, c.a, c.count, restricted);
	for (size_t i = 0; i < 16 * 16; i++)
		cr_assert_leq(abs(restricted[i] - few->block[0].part[1].token[i]), 4);
	/* a model without texts: by ids */
	few->tokens_by_id = true;
	for (uint32_t t = 0; t < few->tokens; t++)
		few->token[t] += 1000;
	c = fork_sketch_common(whole, few);
	cr_assert_eq(c.count, 12);
	cr_assert(!c.all);
	for (uint32_t t = 0; t < 12; t++)
		cr_assert(c.a[t] == t + 8 && c.b[t] == t);
	cr_assert(fork_sketch_common(whole, whole).all);
	free(restricted);
	drawn_sketch_free(whole);
	drawn_sketch_free(few);
	drawn_free(d);
}

Test(fork_sketch, a_unit_is_found_by_its_place)
{
	uint32_t place[] = { 0, 1, 2, 9, 40 };
	struct sketch_block b = { .kept = 5, .place = place };

	for (uint32_t i = 0; i < 5; i++)
		cr_assert_eq(fork_sketch_unit_at(&b, place[i]), i);
	cr_assert_eq(fork_sketch_unit_at(&b, 3), UINT32_MAX);
	cr_assert_eq(fork_sketch_unit_at(&b, 41), UINT32_MAX);
}

/* ---- the persisted form ---- */

static struct fork_sketch *sketch_drawn(void)
{
	struct drawn_shape shape = { .kind = FORK_DENSE,
				     .layers = 2,
				     .units = 300,
				     .hidden = 40,
				     .parts = 3,
				     .tokens = 20 };
	struct drawn *d = drawn_new(&shape, 21);
	struct fork_sketch *s = drawn_sketch(d);
	static struct fork_calibration row = { .statistic = FORK_S2,
					       .units = 300,
					       .hidden = 40,
					       .pairs = 301,
					       .ks_p = 0.25,
					       .below_05 = 0.05,
					       .seed = 7 };

	row.reason = fork_null_reason(NULL_DEVIATES);
	drawn_free(d);
	s->tensors = 2;
	s->tensor = arena_array(&s->arena, 2, sizeof *s->tensor);
	s->layer = arena_array(&s->arena, s->layers, sizeof *s->layer);
	s->layer[1].tokens = arena_array(&s->arena, s->tokens * s->tokens, sizeof(float));
	s->calibrations = arena_alloc(&s->arena, sizeof *s->calibrations);
	cr_assert(s->tensor && s->layer && s->layer[1].tokens && s->calibrations);
	for (uint32_t i = 0; i < s->tokens * s->tokens; i++)
		s->layer[1].tokens[i] = (float)(i / s->tokens + i % s->tokens) / 9;
	s->tensor[0] = (struct sketch_tensor){ .name = "a.weight",
					       .form = "BF16",
					       .rank = 2,
					       .shape = { 300, 40 },
					       .bytes = 24000,
					       .hash = { 1, UINT64_MAX },
					       .floats = true,
					       .finite = true,
					       .mean_square = 0.0004 };
	s->tensor[1] = (struct sketch_tensor){
		.name = "b.mask", .component = FORK_ENDS, .constant = true, .values_bad = 3
	};
	s->notes = arena_copy(&s->arena, "one\ntwo\n", 8);
	*s->calibrations = (struct fork_calibrations){ &row, 1 };
	return s;
}

static struct buf written(const struct fork_sketch *s)
{
	struct buf b = { 0 };
	struct err e = { 0 };

	cr_assert_eq(fork_sketch_write(s, &b, &e), 0, "%s", e.text);
	return b;
}

Test(fork_sketch, what_is_read_writes_the_same_bytes)
{
	struct fork_sketch *s = sketch_drawn(), *again;
	struct buf a = written(s), b;
	struct err e = { 0 };

	cr_assert_eq(fork_sketch_read(&again, a.bytes, a.len, &e), 0, "%s", e.text);
	b = written(again);
	cr_assert(a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0);
	cr_assert_str_eq(again->notes, "one\ntwo\n");
	cr_assert_eq(again->calibrations->at[0].reason, fork_null_reason(NULL_DEVIATES));
	cr_assert_eq(again->token_id[1], s->token_id[1]);
	cr_assert_eq(again->block[1].place[200], s->block[1].place[200]);
	cr_assert_null(again->layer[0].tokens);
	cr_assert_float_eq(again->layer[1].tokens[3 * 20 + 5], 8.0f / 9, 0);
	buf_free(&a);
	buf_free(&b);
	drawn_sketch_free(s);
	fork_sketch_free(again);
}

Test(fork_sketch, what_is_cut_or_changed_is_refused)
{
	struct fork_sketch *s = sketch_drawn(), *again;
	struct buf a = written(s);
	struct err e;

	for (size_t len = 0; len < a.len; len += len < 200 ? 1 : 997) {
		cr_assert_lt(fork_sketch_read(&again, a.bytes, len, &e), 0);
		cr_assert_null(again);
	}
	for (size_t i = 0; i < a.len; i += i < 200 ? 1 : 997) {
		a.bytes[i] ^= 4;
		cr_assert_lt(fork_sketch_read(&again, a.bytes, a.len, &e), 0);
		a.bytes[i] ^= 4;
	}
	buf_free(&a);
	drawn_sketch_free(s);
}

/* With a digest that fits: what can be read says nothing else than what was written. */
Test(fork_sketch, a_forged_sketch_is_refused_or_is_one)
{
	struct fork_sketch *s = sketch_drawn(), *again;
	struct buf a = written(s);
	size_t refused = 0, tried = 0;
	struct err e;

	for (size_t i = 16; i < a.len - 32; i += i < 900 ? 1 : 619) {
		unsigned char old = (unsigned char)a.bytes[i];
		struct digest d;

		a.bytes[i] = (char)(old ^ (1u << i % 8));
		d = digest_of(a.bytes, a.len - 32);
		memcpy(a.bytes + a.len - 32, d.bytes, 32);
		tried++;
		if (fork_sketch_read(&again, a.bytes, a.len, &e) == 0) {
			struct buf b = written(again);

			cr_assert(a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0);
			buf_free(&b);
			fork_sketch_free(again);
		} else {
			refused++;
		}
		a.bytes[i] = (char)old;
	}
	cr_assert_gt(refused, tried / 10);
	buf_free(&a);
	drawn_sketch_free(s);
}
