/* An adapter over its base: W + s * B A as values, and whether it is of that base. */
#include "model/values_in.h"

#include "kernels/number.h"
#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PANEL ((uint64_t)1 << 18) /* values */
#define RANK_MAX 1024             /* of the adapters whose change is measured */

int model_values_adapted(struct model_values *v, const struct value_item *it, uint64_t row,
			 uint64_t rows, float *out, struct err *e)
{
	uint32_t columns = (uint32_t)it->value.columns;
	TRY(model_values_read(v->base, &it->under->value, row, rows, out, e));
	return it->low ? model_adapter_add(it->low, (uint32_t)row, (uint32_t)rows, columns, out, e)
		       : 0;
}

/* The part for the value and whether its shape is right. */
static const struct model_low_rank *part_of(const struct model_adapter *a,
					    const struct model_value *w, bool *fits)
{
	const struct model_low_rank *p = w->rank == 2 ? model_adapter_find(a, w->name) : NULL;
	*fits = p && w->floats && p->b->shape[0] == w->rows && p->a->shape[1] == w->columns;
	return p;
}

int model_values_adapt(struct model_values **out, struct model_values *base,
		       const struct model_adapter *a, struct err *e)
{
	struct model_values *v = *out = calloc(1, sizeof *v);
	if (!v)
		return err_set(e, ERR_NOMEM, "values");
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->changed, NULL);
	v->source = base->source;
	v->base = base;
	v->item = calloc(base->count + 1, sizeof *v->item);
	if (!v->item) {
		model_values_close(v);
		*out = NULL;
		return err_set(e, ERR_NOMEM, "list of values");
	}
	for (; v->count < base->count; v->count++) {
		struct value_item *it = &v->item[v->count];
		bool fits;
		it->under = &base->item[v->count];
		it->value = it->under->value;
		const struct model_low_rank *p = part_of(a, &it->value, &fits);
		it->low = fits ? p : NULL;
		if (fits)
			snprintf(it->value.form, sizeof it->value.form, "%.24s, LoRA of rank %u",
				 it->under->value.form, p->rank);
	}
	return 0;
}

/* ---- whether it fits ---- */

struct fitting {
	struct model_values *adapted;
	const struct model_adapter *a;
	bool *found; /* [a->count] */
	double change, whole;
	float *panel;
	struct model_fit *out;
	struct err *e;
};

/* ||B A||^2 is the sum over the ranks' pairs of (B^T B) times (A A^T). */
static double change_of(const struct model_low_rank *p, uint64_t rows, uint64_t columns)
{
	double sum = 0;
	for (uint32_t i = 0; i < p->rank; i++)
		for (uint32_t j = 0; j < p->rank; j++) {
			double up = 0, down = 0;
			for (uint64_t r = 0; r < rows; r++)
				up += (double)p->up[r * p->rank + i] *
				      (double)p->up[r * p->rank + j];
			for (uint64_t k = 0; k < columns; k++)
				down += (double)p->down[i * columns + k] *
					(double)p->down[j * columns + k];
			sum += up * down;
		}
	return sum * p->scale * p->scale;
}

/* ||W||^2; through the adapter where it holds what W must be, so that this is checked. */
static int whole_of(struct fitting *f, const struct value_item *it, double *sum)
{
	const struct model_value *w = &it->value;
	uint64_t panel = PANEL / (w->columns + 1) + 1;
	struct model_values *v = it->low->same ? f->adapted : f->adapted->base;
	*sum = 0;
	for (uint64_t row = 0; row < w->rows; row += panel) {
		uint64_t rows = w->rows - row < panel ? w->rows - row : panel;
		TRY(model_values_read(v, v == f->adapted ? w : &it->under->value, row, rows,
				      f->panel, f->e));
		for (uint64_t i = 0; i < rows * w->columns; i++)
			*sum += (double)f->panel[i] * (double)f->panel[i];
	}
	return 0;
}

static void say(struct fitting *f, const char *why)
{
	if (*f->out->why == '\0')
		snprintf(f->out->why, sizeof f->out->why, "%s", why);
}

static int module_fit(struct fitting *f, const struct value_item *it)
{
	char why[256];
	bool fits;
	double whole;
	const struct model_value *w = &it->value;
	const struct model_low_rank *p = part_of(f->a, w, &fits);
	if (!p)
		return 0;
	f->found[p - f->a->part] = true;
	if (!fits) {
		snprintf(why, sizeof why, "%.100s is for [%llu, %llu], and %.80s is [%llu, %llu]",
			 p->module, (unsigned long long)p->b->shape[0],
			 (unsigned long long)p->a->shape[1], w->name, (unsigned long long)w->rows,
			 (unsigned long long)w->columns);
		say(f, why);
		return 0;
	}
	float *panel = realloc(f->panel, (size_t)(PANEL + 2 * w->columns + 2) * sizeof *panel);
	if (!panel)
		return err_set(f->e, ERR_NOMEM, "tensor %s", w->name);
	f->panel = panel;
	int rc = whole_of(f, it, &whole);
	if (rc == ERR_INPUT && p->same) {
		snprintf(why, sizeof why, "%.250s", f->e->text);
		say(f, why);
		return 0;
	}
	TRY(rc);
	f->out->fitting++;
	f->whole += whole;
	f->change += p->rank <= RANK_MAX ? change_of(p, w->rows, w->columns) : NAN;
	return 0;
}

int model_values_fit(struct model_values *base, const struct model_adapter *a,
		     struct model_fit *out, struct err *e)
{
	struct err why = { 0 };
	struct fitting f = { .a = a, .out = out, .e = &why };
	int rc;
	*out = (struct model_fit){ .modules = a->count };
	TRY(model_values_adapt(&f.adapted, base, a, e));
	f.found = calloc(a->count + 1, sizeof *f.found);
	rc = f.found ? 0 : err_set(&why, ERR_NOMEM, "list of modules");
	for (size_t i = 0; rc == 0 && i < f.adapted->count; i++)
		rc = module_fit(&f, &f.adapted->item[i]);
	for (size_t i = 0; rc == 0 && i < a->count; i++) {
		char text[256];
		out->rank = a->part[i].rank > out->rank ? a->part[i].rank : out->rank;
		snprintf(text, sizeof text, "there is no matrix %.200s.weight", a->part[i].module);
		if (!f.found[i])
			say(&f, text);
	}
	out->relative_l2 = f.whole > 0 ? sqrt(f.change) / sqrt(f.whole) : NAN;
	if (!isfinite(out->relative_l2))
		out->relative_l2 = NAN;
	free(f.panel);
	free(f.found);
	model_values_close(f.adapted);
	return rc < 0 ? err_set(e, rc, "%s", why.text) : 0;
}
