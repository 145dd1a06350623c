/* Weights of a model as a whole: the plan, its place, and reading. */
#include "model/weights_loader.h"

#include <stdlib.h>

static void loader_free(struct loader *l)
{
	free(l->plan.item);
	free(l->used);
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
	TRY(l->keeper->place(l->keeper, &l->plan, &l->scratch_bytes, l->e));
	progress_begin(l);
	int rc = model_plan_read(l);
	progress_end(&l->progress);
	return rc < 0 ? rc : l->keeper->finish(l->keeper, l->e);
}

int model_weights_load(struct model_formats *out, const struct weights_order *o, struct source *src,
		       struct model_keeper *k, struct err *e)
{
	struct loader l = { .c = o->config, .order = o, .keeper = k, .e = e };
	int rc;
	TRY(model_tensors_open(&l.tensors, src, e));
	l.used = calloc(model_tensors_count(l.tensors) + 1, sizeof *l.used);
	if (l.used)
		rc = plan_and_read(&l);
	else
		rc = err_set(e, ERR_NOMEM, "tensor directory");
	*out = l.plan.formats;
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
	TRY_OUT(k->place(k, &l.plan, &l.scratch_bytes, e));
	for (size_t i = 0; i < l.plan.count; i++)
		TRY_OUT(k->invent(k, &l.plan.item[i], seed, i + 1, e));
	rc = k->finish(k, e);
out:
	*out = l.plan.formats;
	loader_free(&l);
	return rc;
}
