#include "flow/home.h"
#include "model/tensors.h"

#include <stdlib.h>

int flow_ranges_of(const struct model_tensors *t, struct signing_range **out, size_t *count,
		   struct err *e)
{
	size_t n = model_tensors_count(t);
	struct signing_range *range = calloc(n + 1, sizeof *range);
	if (!range)
		return err_set(e, ERR_NOMEM, "out of memory for the ranges of tensors");
	for (size_t i = 0; i < n; i++) {
		const struct model_tensor *w = model_tensors_at(t, i);
		range[i] = (struct signing_range){
			.name = w->name,
			.dtype = model_dtype_name(w->dtype),
			.shape = w->shape,
			.rank = w->rank,
			.file = w->file,
			.begin = w->begin,
			.bytes = w->bytes,
		};
	}
	*out = range;
	*count = n;
	return 0;
}

/* A folder without safetensors has no tensors that could be named. */
static int open_tensors(struct source *s, struct model_tensors **out, struct err *e)
{
	struct err why = { 0 };
	int rc = model_tensors_open(out, s, &why);
	if (rc == 0 || rc == ERR_NOTFOUND)
		return 0;
	return err_set(e, rc, "%s", why.text);
}

int flow_root_of(struct source *s, struct digest *root, struct err *e)
{
	struct model_tensors *t = NULL;
	struct signing_range *range = NULL;
	size_t count = 0;
	int rc = 0;
	TRY_OUT(open_tensors(s, &t, e));
	if (t)
		TRY_OUT(flow_ranges_of(t, &range, &count, e));
	rc = signing_root_of(s, range, count, root, e);
out:
	free(range);
	model_tensors_close(t);
	return rc;
}
