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
