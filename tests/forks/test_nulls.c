#include "drawn.h"
#include "structured.h"
#include "forks/fit.h"
#include "forks/forks.h"
#include "forks/nulls.h"
#include "forks/special.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the shipped table ---- */

#define TABLE_BLOCKS 24 /* of a model: 276 pairs */
#define TABLE_MODELS 3  /* of each law */
#define TABLE_TOKENS 32

static const uint32_t table_units[] = { 16, 24, 32, 48, 64, 128, 256 },
		      table_hidden[] = { 16, 32, 64, 128, 512, 2048 }, table_parts[] = { 2, 3 };
static const enum fork_statistic table_statistic[] = { FORK_S1, FORK_S5, FORK_S2 };
#define COUNT(x) (sizeof(x) / sizeof *(x))

/* The null pairs of one shape: a row for each statistic. */
static void table_draw(uint32_t parts, uint32_t units, uint32_t hidden,
		       struct fork_calibration row[COUNT(table_statistic)])
{
	size_t most = (size_t)TABLE_MODELS * DRAWN_LAWS * NULL_PAIRS,
	       held[COUNT(table_statistic)] = { 0 };
	double *all = calloc(most * COUNT(table_statistic), sizeof *all), *p;

	cr_assert(all);
	for (uint32_t model = 0; model < TABLE_MODELS * DRAWN_LAWS; model++) {
		struct drawn_shape shape = { FORK_DENSE,
					     TABLE_BLOCKS,
					     1,
					     units,
					     hidden,
					     parts,
					     TABLE_TOKENS,
					     (enum drawn_law)(model % DRAWN_LAWS) };
		struct drawn *d = drawn_new(&shape, model + 100 * parts + 1000ull * units +
							    1000000ull * hidden);
		struct fork_sketch *s = drawn_sketch(d);

		cr_assert_eq(fork_fit_blocks(s, model, NULL, NULL), 0);
		for (size_t k = 0; k < COUNT(table_statistic); k++) {
			size_t count;

			cr_assert_eq(fork_null_scores(s, &s->block[0], table_statistic[k], model,
						      NULL, &p, &count, NULL),
				     0);
			count = count < TABLE_BLOCKS * (TABLE_BLOCKS - 1) / 2
					? count
					: TABLE_BLOCKS * (TABLE_BLOCKS - 1) / 2;
			memcpy(all + k * most + held[k], p, count * sizeof *p);
			held[k] += count;
			free(p);
		}
		drawn_sketch_free(s);
		drawn_free(d);
	}
	for (size_t k = 0; k < COUNT(table_statistic); k++) {
		row[k] = (struct fork_calibration){ .statistic = table_statistic[k] };
		fork_null_judge(all + k * most, held[k], &row[k]);
	}
	free(all);
}

static void table_write(const char *path)
{
	static const char *const name[] = { "FORK_S1", "FORK_S5", "FORK_S2" };
	FILE *f = fopen(path, "w");

	cr_assert(f);
	fprintf(f, "/* Null pairs by shape. Made by HALLMARK_NULLS=forks/nulls_table.c "
		   "build/test/forks\n * --filter 'forks_nulls/table*'. */\n"
		   "#include \"forks/nulls.h\"\n\n/* clang-format off */\n"
		   "const struct null_row fork_null_table[] = {\n"
		   "\t/* statistic, parts, units, hidden, pairs, KS p, below 0.05, 0.005 */\n");
	for (size_t p = 0; p < COUNT(table_parts); p++)
		for (size_t u = 0; u < COUNT(table_units); u++)
			for (size_t h = 0; h < COUNT(table_hidden); h++) {
				struct fork_calibration row[COUNT(table_statistic)];

				table_draw(table_parts[p], table_units[u], table_hidden[h], row);
				for (size_t k = 0; k < COUNT(row); k++)
					fprintf(f, "\t{ %s, %u, %u, %u, %u, %.4f, %.4f, %.4f },\n",
						name[k], table_parts[p], table_units[u],
						table_hidden[h], (unsigned)row[k].pairs,
						row[k].ks_p, row[k].below_05, row[k].below_005);
				fflush(f);
			}
	fprintf(f, "};\nconst size_t fork_null_rows = sizeof fork_null_table / sizeof "
		   "*fork_null_table;\n");
	cr_assert_eq(fclose(f), 0);
}

Test(forks_nulls, table_is_what_is_drawn)
{
	static const uint32_t shape[][3] = { { 3, 24, 32 }, { 2, 16, 64 } };
	const char *path = getenv("HALLMARK_NULLS");

	if (path) {
		table_write(path);
		return;
	}
	for (size_t i = 0; i < COUNT(shape); i++) {
		struct fork_calibration row[COUNT(table_statistic)];

		table_draw(shape[i][0], shape[i][1], shape[i][2], row);
		for (size_t k = 0; k < COUNT(row); k++) {
			const struct null_row *r = fork_null_row(row[k].statistic, shape[i][0],
								 shape[i][1], shape[i][2]);

			cr_assert(r);
			cr_expect_eq(r->pairs, row[k].pairs, "%u %u", r->pairs,
				     (unsigned)row[k].pairs);
			cr_expect(fabs(r->below_05 - row[k].below_05) < 0.002 &&
					  fabs(r->below_005 - row[k].below_005) < 0.001 &&
					  fabs(r->ks_p - row[k].ks_p) < 0.05,
				  "%g %g", r->ks_p, row[k].ks_p);
		}
	}
}

Test(forks_nulls, table_has_no_row_that_deviates)
{
	double *p = calloc(fork_null_rows, sizeof *p);

	cr_assert(p);
	cr_assert_eq(fork_null_rows, COUNT(table_parts) * COUNT(table_units) * COUNT(table_hidden) *
					     COUNT(table_statistic));
	for (size_t i = 0; i < fork_null_rows; i++) {
		const struct null_row *r = &fork_null_table[i];
		uint64_t low, high;

		p[i] = r->ks_p;
		cr_expect(r->pairs >= 2000 && r->ks_p > 0.01 / (double)fork_null_rows, "%u %u: %g",
			  r->units, r->hidden, r->ks_p);
		fork_special_binomial_interval(r->pairs, 0.05, 0.99999, &low, &high);
		cr_expect(r->below_05 * r->pairs > (double)low - 1 &&
			  r->below_05 * r->pairs < (double)high + 1);
		fork_special_binomial_interval(r->pairs, 0.005, 0.99999, &low, &high);
		cr_expect(r->below_005 * r->pairs > (double)low - 1 &&
			  r->below_005 * r->pairs < (double)high + 1);
	}
	free(p);
}

Test(forks_nulls, nearest_row_covers_shapes_between_and_beyond)
{
	cr_expect_eq(fork_null_row(FORK_S1, 3, 24, 32)->units, 24);
	cr_expect_eq(fork_null_row(FORK_S1, 3, 128, 4096)->units, 128);
	cr_expect_eq(fork_null_row(FORK_S2, 2, 128, 12288)->hidden, 2048);
	cr_expect_not_null(fork_null_row(FORK_S5, 3, 200, 1000));
	cr_expect_null(fork_null_row(FORK_S1, 1, 24, 32));
	cr_expect_null(fork_null_row(FORK_S3, 3, 24, 32));
	cr_expect_null(fork_null_row(FORK_S1, 3, 24, 4));
	cr_expect_null(fork_null_row(FORK_S1, 3, 0, 32));
}

/* ---- calibrations ---- */

static struct fork_sketch *calibrated(const struct drawn *d, uint64_t seed)
{
	struct fork_sketch *s = drawn_sketch(d);
	struct err e = { 0 };

	cr_assert_eq(fork_sketch_calibrate(s, seed, NULL, &e), 0, "%s", e.text);
	return s;
}

/* Models of one layer with 26 experts, dense ones of any depth, attention of two heads. */
Test(forks_nulls, small_models_are_calibrated)
{
	static const struct drawn_shape body[] = {
		{ FORK_EXPERT, 1, 26, 24, 32, 3, 64, DRAWN_NORMAL },
		{ FORK_DENSE, 4, 1, 24, 32, 3, 64, DRAWN_NORMAL },
		{ FORK_DENSE, 8, 1, 24, 32, 3, 64, DRAWN_UNIFORM },
		{ FORK_DENSE, 16, 1, 24, 32, 3, 64, DRAWN_TRAINED },
		{ FORK_DENSE, 24, 1, 24, 32, 3, 64, DRAWN_NORMAL },
		{ FORK_DENSE, 28, 1, 24, 32, 3, 64, DRAWN_TRAINED },
		{ FORK_DENSE, 2, 1, 300, 64, 2, 64, DRAWN_NORMAL },
		{ FORK_DENSE, 3, 1, 1500, 64, 3, 64, DRAWN_NORMAL }, /* its first 128 are judged */
	};

	for (size_t i = 0; i < COUNT(body); i++) {
		struct drawn_shape heads = {
			FORK_ATTENTION, body[i].layers, 2, 16, body[i].hidden, 2, 0, DRAWN_NORMAL
		};
		struct drawn *d = drawn_new(&body[i], 40 + i);
		struct fork_sketch *s;

		drawn_add(d, &heads, 60 + i);
		s = calibrated(d, 7);
		cr_assert_eq(s->calibrations->count, 6);
		for (size_t k = 0; k < 6; k++) {
			const struct fork_calibration *c = &s->calibrations->at[k];

			cr_expect(c->passed && !c->reason && c->pairs > 0, "model %zu, %d, %s: %s",
				  i, (int)c->statistic, fork_kind_name(c->kind), c->reason);
			cr_expect((c->pairs >= NULL_PAIRS_MIN) == (c->table_pairs == 0));
			cr_expect_eq(c, fork_calibration_of(s, c->statistic,
							    c->kind == FORK_ATTENTION
								    ? &s->block[s->blocks - 1]
								    : &s->block[0]));
		}
		drawn_sketch_free(s);
		drawn_free(d);
	}
}

/* A plain model is refused its p-values seldom. */
Test(forks_nulls, most_models_pass)
{
	static const uint32_t layers[] = { 2, 4, 8, 26 };

	for (size_t l = 0; l < COUNT(layers); l++) {
		uint32_t passed = 0, all = 0;

		for (uint64_t seed = 0; seed < 40; seed++) {
			struct drawn_shape shape = {
				FORK_DENSE, layers[l], 1,  24,
				32,         3,         64, (enum drawn_law)(seed % DRAWN_LAWS)
			};
			struct drawn *d = drawn_new(&shape, 1000 + seed);
			struct fork_sketch *s = calibrated(d, seed);

			for (size_t k = 0; k < s->calibrations->count; k++, all++)
				passed += s->calibrations->at[k].passed;
			drawn_sketch_free(s);
			drawn_free(d);
		}
		cr_expect(passed >= all - 8, "%u layers: %u of %u", layers[l], passed, all);
	}
}

Test(forks_nulls, what_cannot_be_calibrated_says_why)
{
	static const struct drawn_shape one = { FORK_DENSE, 1, 1, 24, 32, 3, 0, DRAWN_NORMAL },
					six = { FORK_DENSE, 6, 1, 24, 32, 3, 0, DRAWN_NORMAL },
					odd = { FORK_DENSE, 6, 1, 24, 4, 3, 0, DRAWN_NORMAL };
	static const struct {
		const struct drawn_shape *shape;
		int what; /* 1: all layers are copies; 2: two of one order */
		enum null_reason reason;
	} row[] = { { &one, 0, NULL_NO_PAIRS },
		    { &six, 1, NULL_ONE_ORDER },
		    { &six, 2, NULL_DEVIATES },
		    { &six, 3, NULL_STRUCTURED },
		    { &odd, 0, NULL_NOT_TABLED } };

	for (size_t i = 0; i < COUNT(row); i++) {
		struct drawn *d = drawn_new(row[i].shape, 4);
		struct fork_sketch *s;

		for (size_t k = 1; k < d->blocks; k++)
			for (uint32_t p = 0; p < 3; p++)
				for (uint32_t x = 0; x < d->block[k].units * d->hidden; x++) {
					float *to = &d->block[k].v[p][x],
					      from = d->block[0].v[p][x];

					if (row[i].what == 1)
						*to = from;
					if (row[i].what == 2)
						*to += 0.15f * from;
					if (row[i].what == 3 && k < 3)
						*to = 1;
				}
		s = calibrated(d, 7);
		cr_expect(!s->calibrations->at[0].passed);
		cr_expect_str_eq(s->calibrations->at[0].reason, fork_null_reason(row[i].reason),
				 "row %zu: %s", i, s->calibrations->at[0].reason);
		drawn_sketch_free(s);
		drawn_free(d);
	}
}

/* Each layer of a width of its own: pairs of other widths stand in. */
Test(forks_nulls, layers_of_unequal_width_are_calibrated)
{
	struct drawn_shape shape = { FORK_DENSE, 1, 1, 24, 32, 3, 0, DRAWN_NORMAL };
	struct drawn *d = drawn_new(&shape, 4);
	struct fork_sketch *s;

	for (uint32_t i = 1; i < 6; i++) {
		shape.units = 24 + 4 * i;
		drawn_add(d, &shape, i);
		d->block[d->blocks - 1].layer = i;
	}
	s = calibrated(d, 7);
	cr_assert_eq(s->calibrations->count, 12);
	for (size_t k = 0; k < 12; k++)
		cr_expect(s->calibrations->at[k].passed, "%s", s->calibrations->at[k].reason);
	drawn_sketch_free(s);
	drawn_free(d);
}

/* Few blocks of one kind lean on the table, which is of independent numbers: not where the other
 * blocks of the model show that its own are none. */
Test(forks_nulls, structure_in_one_kind_takes_the_table_from_another)
{
	static const struct drawn_shape experts = { FORK_EXPERT, 3, 8, 32, 32, 3, 0, DRAWN_NORMAL },
					heads = { FORK_ATTENTION, 3, 2, 16, 32, 2, 0,
						  DRAWN_NORMAL };

	for (int structured = 0; structured < 2; structured++) {
		struct drawn *d = drawn_new(&experts, 5);
		struct fork_sketch *s;
		struct err e = { 0 };

		for (size_t i = 0; structured && i < d->blocks; i++)
			structure_block(&d->block[i], STRUCTURE_IDENTITY_NOISE);
		drawn_add(d, &heads, 6);
		s = drawn_sketch(d);
		cr_assert_eq(fork_sketch_calibrate(s, 1, NULL, &e), 0, "%s", e.text);
		for (size_t i = 0; i < s->calibrations->count; i++) {
			const struct fork_calibration *c = &s->calibrations->at[i];

			if (c->statistic != FORK_S1 || c->kind != FORK_ATTENTION)
				continue;
			cr_expect_eq(c->passed, !structured);
			if (structured)
				cr_expect_str_eq(c->reason, fork_null_reason(NULL_OTHERS));
		}
		drawn_sketch_free(s);
		drawn_free(d);
	}
}
