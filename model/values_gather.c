/* Which tensors are one value: codes with what lies beside them, else each tensor by itself. */
#include "model/values_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSED_SAID 20

struct gathering {
	struct model_values *v;
	struct model_quant quant;
	size_t refused, unread;
	const char *first; /* of the unread */
	bool *used;        /* [tensors] part of a value that was found */
	struct err *e;
};

static size_t index_of(const struct gathering *g, const struct model_tensor *t)
{
	return (size_t)(t - model_tensors_at(g->v->tensors, 0));
}

/* ---- one tensor ---- */

static int matrix_set(struct gathering *g, struct model_value *w)
{
	uint64_t bytes;
	w->columns = w->rank > 0 ? w->shape[w->rank - 1] : 1;
	w->rows = 1;
	for (int i = 0; i + 1 < w->rank; i++)
		w->rows *= w->shape[i];
	if (w->rows > 0 && __builtin_mul_overflow(w->columns, w->rows * sizeof(float), &bytes))
		return err_set(g->e, ERR_INPUT, "tensor %s is too large", w->name);
	return 0;
}

/* A weight in codes that nothing here reads, by its name and type. */
static bool is_unread(const struct model_tensor *t)
{
	static const char *const ends[] = { "weight", "weight_packed", "_blocks", "_proj" };
	bool codes = t->dtype == MODEL_U8 || t->dtype == MODEL_I8 || t->dtype == MODEL_I32 ||
		     t->dtype == MODEL_U32;
	for (size_t i = 0; codes && t->rank >= 2 && i < sizeof ends / sizeof *ends; i++)
		if (text_ends(t->name, ends[i]))
			return true;
	return model_dtype_block(t->dtype) > 1; /* of GGUF */
}

static int plain_add(struct gathering *g, const struct model_tensor *t)
{
	struct value_item *it = &g->v->item[g->v->count++];
	struct model_value *w = &it->value;
	*it = (struct value_item){ .matrices = 1, .stored = { t } };
	w->name = t->name;
	w->rank = t->rank;
	memcpy(w->shape, t->shape, sizeof w->shape);
	while (w->rank > 2 && w->shape[w->rank - 1] == 1)
		w->rank--;
	TRY(matrix_set(g, w));
	w->made = t->made;
	w->parts = 1;
	w->floats =
		model_dtype_has_values(t->dtype) && w->columns % model_dtype_block(t->dtype) == 0;
	bool unread = !w->floats && is_unread(t);
	snprintf(w->form, sizeof w->form, unread ? "%s, codes that are not read" : "%s",
		 model_dtype_name(t->dtype));
	if (unread && g->unread++ == 0)
		g->first = t->name;
	return 0;
}

/* ---- codes ---- */

/* A plain tensor has the name that the codes would have: then it is the value. */
static bool is_taken(const struct gathering *g, const struct value_item *it)
{
	const struct model_tensor *t = model_tensors_find(g->v->tensors, it->value.name);
	return t && t != it->stored[0];
}

/* 1: t is the codes of a value, which was added. */
static int coded_add(struct gathering *g, const struct model_tensor *t)
{
	struct value_item *it = &g->v->item[g->v->count];
	struct err why = { 0 };
	int rc = model_values_codes(g->v, &g->quant, t, it, &why);
	if (rc < 0)
		return err_set(g->e, rc, "%s", why.text);
	if (rc == 0 && *why.text && g->refused++ < REFUSED_SAID)
		buf_printf(&g->v->notes, "%s\n", why.text);
	if (rc == 0 || is_taken(g, it))
		return 0;
	TRY(matrix_set(g, &it->value));
	for (size_t p = 0; p < it->value.parts; p++)
		g->used[index_of(g, it->stored[p])] = true;
	g->v->count++;
	return 1;
}

/* Beside codes that were read, and not needed for that. */
static bool is_surplus(const struct gathering *g, const struct model_tensor *t)
{
	static const char *const codes[] = { "weight", "qweight", "weight_packed" };
	const char *last = strrchr(t->name, '.');
	if (!last || !model_codes_surplus(t->name))
		return false;
	const struct codes_place at = { .tensors = g->v->tensors,
					.name = t->name,
					.stem = (int)(last + 1 - t->name) };
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		const struct model_tensor *c = model_codes_beside(&at, codes[i]);
		if (c && g->used[index_of(g, c)])
			return true;
	}
	return false;
}

/* ---- whole ---- */

static int by_name(const void *a, const void *b)
{
	const struct value_item *x = a, *y = b;
	return strcmp(x->value.name, y->value.name);
}

static int all_add(struct gathering *g)
{
	size_t n = model_tensors_count(g->v->tensors);
	for (size_t i = 0; i < n; i++)
		TRY(coded_add(g, model_tensors_at(g->v->tensors, i)));
	for (size_t i = 0; i < n; i++) {
		const struct model_tensor *t = model_tensors_at(g->v->tensors, i);
		if (!g->used[i] && !is_surplus(g, t))
			TRY(plain_add(g, t));
	}
	if (g->unread > 0)
		buf_printf(&g->v->notes,
			   "%.200s%s: codes of a form that is not read: compared by their bytes "
			   "alone (%zu tensors)\n",
			   g->first, g->unread > 1 ? " and others" : "", g->unread);
	return 0;
}

int model_values_gather(struct model_values *v, const json_t *config, struct err *e)
{
	size_t n = model_tensors_count(v->tensors);
	struct gathering g = { .v = v, .e = e };
	struct err why = { 0 };
	if (model_quant_read(&g.quant, config, &why) < 0) {
		buf_printf(&v->notes, "%s: codes are read by the shapes of their tensors\n",
			   why.text);
		g.quant = (struct model_quant){ 0 };
	}
	g.used = calloc(n + 1, sizeof *g.used);
	v->item = calloc(n + 1, sizeof *v->item);
	int rc = g.used && v->item ? all_add(&g) : err_set(e, ERR_NOMEM, "list of values");
	free(g.used);
	TRY(rc);
	qsort(v->item, v->count, sizeof *v->item, by_name);
	for (size_t i = 0; i < v->count; i++) {
		struct value_item *it = &v->item[i];
		it->value.stored = it->stored;
		if (i > 0 && strcmp(it[-1].value.name, it->value.name) == 0)
			return err_set(e, ERR_INPUT, "tensor %s is there in codes twice: %s and %s",
				       it->value.name, it[-1].stored[0]->name, it->stored[0]->name);
	}
	return 0;
}
