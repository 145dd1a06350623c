#include "toy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double uniform(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

double toy_normal(uint64_t *state)
{
	double r = sqrt(-2 * log(uniform(state)));

	return r * cos(2 * 3.14159265358979323846 * uniform(state));
}

static size_t cells(const struct toy_tensor *t) { return t->rows * (t->columns ? t->columns : 1); }

void toy_add(struct toy *t, const char *name, uint64_t rows, uint64_t columns)
{
	struct toy_tensor *w = &t->tensor[t->count++];

	cr_assert(t->count <= TOY_TENSORS);
	snprintf(w->name, sizeof w->name, "%s", name);
	w->rows = rows;
	w->columns = columns;
	w->v = calloc(cells(w), sizeof(float));
	cr_assert(w->v);
}

static void add_random(struct toy *t, uint64_t *state, const char *name, uint64_t rows,
		       uint64_t columns)
{
	toy_add(t, name, rows, columns);
	for (size_t i = 0; i < cells(&t->tensor[t->count - 1]); i++)
		t->tensor[t->count - 1].v[i] =
			(float)(columns ? 0.02 * toy_normal(state) : 1 + 0.1 * toy_normal(state));
}

struct toy *toy_new(uint64_t seed, uint32_t layers, uint32_t experts, uint32_t hidden,
		    uint32_t units)
{
	static const char *const part[] = { "gate_proj", "up_proj", "down_proj" };
	struct toy *t = calloc(1, sizeof *t);
	char name[100], middle[40] = "mlp";

	cr_assert(t);
	add_random(t, &seed, "model.embed_tokens.weight", 30, hidden);
	for (uint32_t l = 0; l < layers; l++) {
		snprintf(name, sizeof name, "model.layers.%u.post_attention_layernorm.weight", l);
		add_random(t, &seed, name, hidden, 0);
		for (uint32_t x = 0; x < (experts ? experts : 1) * 3; x++) {
			if (experts)
				snprintf(middle, sizeof middle, "mlp.experts.%u", x / 3);
			snprintf(name, sizeof name, "model.layers.%u.%s.%s.weight", l, middle,
				 part[x % 3]);
			add_random(t, &seed, name, x % 3 == 2 ? hidden : units,
				   x % 3 == 2 ? units : hidden);
		}
	}
	return t;
}

struct toy *toy_copy(const struct toy *t)
{
	struct toy *copy = calloc(1, sizeof *copy);

	cr_assert(copy);
	for (size_t i = 0; i < t->count; i++) {
		toy_add(copy, t->tensor[i].name, t->tensor[i].rows, t->tensor[i].columns);
		memcpy(copy->tensor[i].v, t->tensor[i].v, cells(&t->tensor[i]) * sizeof(float));
	}
	return copy;
}

struct toy_tensor *toy_find(struct toy *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->tensor[i].name, name) == 0)
			return &t->tensor[i];
	cr_assert_fail("no tensor %s", name);
	return NULL;
}

void toy_noise(struct toy *t, double share, uint64_t seed)
{
	for (size_t i = 0; i < t->count; i++)
		for (size_t j = 0; j < cells(&t->tensor[i]); j++)
			t->tensor[i].v[j] += (float)(share * (t->tensor[i].columns ? 0.02 : 0.1) *
						     toy_normal(&seed));
}

static void swap_floats(float *a, float *b)
{
	float old = *a;

	*a = *b;
	*b = old;
}

void toy_reverse_units(struct toy *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct toy_tensor *w = &t->tensor[i];
		uint64_t n = w->rows, m = w->columns;

		if (strstr(w->name, "gate_proj") || strstr(w->name, "up_proj"))
			for (uint64_t r = 0; r < n / 2; r++)
				for (uint64_t c = 0; c < m; c++)
					swap_floats(&w->v[r * m + c], &w->v[(n - 1 - r) * m + c]);
		if (strstr(w->name, "down_proj"))
			for (uint64_t r = 0; r < n; r++)
				for (uint64_t c = 0; c < m / 2; c++)
					swap_floats(&w->v[r * m + c], &w->v[r * m + m - 1 - c]);
	}
}

void toy_plain_norms(struct toy *t)
{
	for (size_t i = 0; i < t->count; i++)
		for (uint64_t j = 0; t->tensor[i].columns == 0 && j < t->tensor[i].rows; j++)
			t->tensor[i].v[j] = 1;
}

/* x -= 2 n (n x) for a vector of `len` numbers `stride` apart. */
static void reflect(float *x, size_t stride, const double *normal, uint64_t len)
{
	double along = 0;

	for (uint64_t k = 0; k < len; k++)
		along += x[k * stride] * normal[k];
	for (uint64_t k = 0; k < len; k++)
		x[k * stride] -= (float)(2 * along * normal[k]);
}

/* (x, y) -> (-y, x) for each pair of numbers. */
static void quarter_turn(float *x, size_t stride, uint64_t len)
{
	for (uint64_t k = 0; k + 1 < len; k += 2) {
		float old = x[k * stride];

		x[k * stride] = -x[(k + 1) * stride];
		x[(k + 1) * stride] = old;
	}
}

void toy_turn(struct toy *t, uint64_t seed)
{
	uint64_t hidden = t->tensor[0].columns; /* the embedding comes first */
	double *normal = calloc(hidden, sizeof *normal), squares = 0;

	for (uint64_t k = 0; k < hidden; k++) {
		normal[k] = toy_normal(&seed);
		squares += normal[k] * normal[k];
	}
	for (uint64_t k = 0; k < hidden; k++)
		normal[k] /= sqrt(squares);
	toy_plain_norms(t);
	for (size_t i = 0; i < t->count; i++) {
		struct toy_tensor *w = &t->tensor[i];
		bool down = strstr(w->name, "down_proj") != NULL;

		for (uint64_t u = 0; w->columns && u < (down ? w->columns : w->rows); u++) {
			float *x = w->v + (down ? u : u * w->columns);
			size_t stride = down ? w->columns : 1;

			reflect(x, stride, normal, hidden);
			quarter_turn(x, stride, hidden);
			reflect(x, stride, normal, hidden);
		}
	}
	free(normal);
}

static int toy_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	if (strcmp(name, "model.safetensors") != 0)
		return err_set(e, ERR_NOTFOUND, "no %s", name);
	*bytes = ((struct toy *)s)->file.len;
	return 0;
}

static int toy_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		    struct err *e)
{
	struct toy *t = (struct toy *)s;

	if (strcmp(name, "model.safetensors") != 0 || offset > t->file.len ||
	    len > t->file.len - offset)
		return err_set(e, ERR_IO, "no such bytes of %s", name);
	memcpy(out, t->file.bytes + offset, len);
	return 0;
}

static const char *toy_name(struct source *s, size_t i)
{
	(void)s;
	return i == 0 ? "model.safetensors" : NULL;
}

static void toy_close(struct source *s) { (void)s; }

static void write_header(const struct toy *t, struct buf *head)
{
	size_t at = 0, bytes = t->bf16 ? 2 : 4;

	buf_add_byte(head, '{');
	for (size_t i = 0; i < t->count; i++) {
		const struct toy_tensor *w = &t->tensor[i];

		buf_printf(head, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%llu", i ? "," : "",
			   w->name, t->bf16 ? "BF16" : "F32", (unsigned long long)w->rows);
		if (w->columns)
			buf_printf(head, ",%llu", (unsigned long long)w->columns);
		buf_printf(head, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes * cells(w));
		at += bytes * cells(w);
	}
	buf_add_byte(head, '}');
}

void toy_open(struct toy *t)
{
	static const struct source_ops ops = {
		.size = toy_size,
		.read = toy_read,
		.name = toy_name,
		.close = toy_close,
	};
	struct buf head = { 0 };
	struct err e = { 0 };

	write_header(t, &head);
	buf_add_u64le(&t->file, head.len);
	buf_add(&t->file, head.bytes, head.len);
	for (size_t i = 0; i < t->count; i++)
		for (size_t j = 0; j < cells(&t->tensor[i]); j++) {
			uint32_t bits;

			memcpy(&bits, &t->tensor[i].v[j], 4);
			if (t->bf16)
				buf_add_u16le(&t->file, (uint16_t)(bits >> 16));
			else
				buf_add_u32le(&t->file, bits);
		}
	buf_free(&head);
	t->source = (struct source){ .ops = &ops, .label = "toy" };
	cr_assert_eq(model_values_open(&t->model.values, &t->source, NULL, &e), 0, "%s", e.text);
}

void toy_free(struct toy *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->tensor[i].v);
	model_values_close(t->model.values);
	buf_free(&t->file);
	free(t);
}
