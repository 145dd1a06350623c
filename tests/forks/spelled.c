#include "spelled.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void spelled_init(struct spelled *s)
{
	memset(s, 0, sizeof *s);
	memory_init(&s->memory);
}

float *spelled_add(struct spelled *s, const char *name, const uint64_t *shape)
{
	size_t count = 1, begin = s->data.len;
	float *out;

	buf_printf(&s->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", s->header.len ? "," : "{", name);
	for (int i = 0; shape[i]; i++) {
		buf_printf(&s->header, "%s%llu", i ? "," : "", (unsigned long long)shape[i]);
		count *= shape[i];
	}
	out = (float *)(void *)buf_reserve(&s->data, count * sizeof *out);
	cr_assert(out);
	memset(out, 0, count * sizeof *out);
	s->data.len += count * sizeof *out;
	buf_printf(&s->header, "],\"data_offsets\":[%zu,%zu]}", begin, s->data.len);
	return out;
}

float *spelled_addf(struct spelled *s, const uint64_t *shape, const char *fmt, ...)
{
	char name[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof name, fmt, args);
	va_end(args);
	return spelled_add(s, name, shape);
}

void spelled_find(struct spelled *s, const char *config)
{
	struct err e = { 0 };

	buf_add_text(&s->header, s->header.len ? "}" : "{}");
	blob_add(memory_add(&s->memory, "model.safetensors"), s->header.bytes, s->data.bytes, s->data.len);
	s->config = config ? json_loads(config, 0, NULL) : NULL;
	cr_assert(!config || s->config, "%s", config);
	cr_assert_eq(model_values_open(&s->values, &s->memory.source, s->config, &e), 0, "%s", e.text);
	cr_assert_eq(fork_roles_find(s->values, s->config, &s->roles, &e), 0, "%s", e.text);
}

static float one(struct spelled *s, const struct model_value *v, uint64_t row, uint64_t column)
{
	float *line = malloc(v->columns * sizeof *line), x;
	struct err e = { 0 };

	cr_assert(row < v->rows && column < v->columns, "%s: %llu, %llu", v->name, (unsigned long long)row,
		  (unsigned long long)column);
	cr_assert_eq(model_values_read(s->values, v, row, 1, line, &e), 0, "%s", e.text);
	x = line[column];
	free(line);
	return x;
}

void spelled_unit(struct spelled *s, const struct role_part *p, uint64_t u, float *out)
{
	for (uint64_t i = 0; i < p->width; i++) {
		double sum = 0;

		for (uint64_t k = 0; k < p->folds; k++) {
			uint64_t at = p->first + u * p->step + k * p->fold;

			sum += (double)(p->by_column ? one(s, p->value, p->row + i, at)
						     : one(s, p->value, at, p->column + i));
		}
		out[i] = (float)sum;
	}
}

void spelled_free(struct spelled *s)
{
	fork_roles_free(&s->roles);
	model_values_close(s->values);
	json_decref(s->config);
	memory_free(&s->memory);
	buf_free(&s->header);
	buf_free(&s->data);
}
