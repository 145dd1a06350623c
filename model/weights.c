/* Weights of a model as a whole: the plan, its place, and reading. */
#include "model/weights_loader.h"

#include <stdlib.h>

static void loader_free(struct loader *l)
{
	model_coded_close(l);
	free(l->plan.item);
	free(l->used);
	free(l->scalars);
	model_tensors_close(l->tensors);
}

static void progress_begin(struct loader *l)
{
	uint64_t total = 0;
	for (size_t i = 0; i < l->plan.count; i++)
		total += l->plan.item[i].group_bytes == 0 ? 0 : l->plan.item[i].tensor->bytes;
	progress_start(&l->progress, "loading", total, l->order->quiet);
}

static int plan_and_read(struct loader *l)
{
	TRY(model_plan_make(l));
	TRY(model_coded_merged(l));
	model_plan_sum(l);
	TRY(l->keeper->place(l->keeper, &l->plan, &l->scratch_bytes, l->e));
	progress_begin(l);
	int rc = model_plan_read(l);
	progress_end(&l->progress);
	return rc < 0 ? rc : l->keeper->finish(l->keeper, l->e);
}

static int loader_open(struct loader *l, struct source *src)
{
	TRY(model_tensors_open(&l->tensors, src, l->e));
	l->used = calloc(model_tensors_count(l->tensors) + 1, sizeof *l->used);
	return l->used ? 0 : err_set(l->e, ERR_NOMEM, "tensor directory");
}

int model_weights_load(struct model_formats *out, const struct weights_order *o, struct source *src,
		       struct model_keeper *k, struct err *e)
{
	struct loader l = { .c = o->config, .order = o, .keeper = k, .e = e };
	int rc = loader_open(&l, src);
	if (rc == 0)
		rc = plan_and_read(&l);
	*out = l.plan.formats;
	loader_free(&l);
	return rc;
}

int model_weights_check(const struct model_config *c, struct source *src, struct err *e)
{
	const struct weights_order order = { .config = c };
	struct loader l = { .c = c, .order = &order, .e = e };
	int rc = loader_open(&l, src);
	if (rc == 0)
		rc = model_plan_make(&l);
	loader_free(&l);
	return rc;
}

int model_weights_invent(struct model_formats *out, const struct weights_order *o, uint64_t seed,
			 struct model_keeper *k, struct err *e)
{
	struct loader l = { .c = o->config, .order = o, .keeper = k, .e = e };
	int rc;
	if (!k->invent)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: random weights "
			       "on this backend");
	TRY_OUT(model_plan_make(&l));
	model_plan_sum(&l);
	TRY_OUT(k->place(k, &l.plan, &l.scratch_bytes, e));
	for (size_t i = 0; i < l.plan.count; i++)
		TRY_OUT(k->invent(k, &l.plan.item[i], seed, i + 1, e));
	rc = k->finish(k, e);
out:
	*out = l.plan.formats;
	loader_free(&l);
	return rc;
}
