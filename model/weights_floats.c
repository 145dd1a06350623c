/* Vectors are completed by the reader, so that a backend has what is computed with: gains that are
 * stored minus one, factors, and the parameters of xIELU. */
#include "model/weights_loader.h"

#include "kernels/number.h"

#include <math.h>
#include <stdlib.h>

static int refuse(const struct model_tensor *t, size_t i, struct err *e)
{
	size_t last = t->rank < 2 ? SIZE_MAX : (size_t)t->shape[t->rank - 1];
	return err_set(e, ERR_INPUT, "%s: tensor %s has a non-finite value at row %zu, column %zu",
		       t->file, t->name, i / last, i % last);
}

static int complete(const struct model_item *it, const unsigned char *bytes, size_t n, float *out,
		    struct err *e)
{
	bool as_is = !(it->add > 0) && !(it->factor < 1) && !(it->factor > 1);
	model_dtype_widen(it->dtype, bytes, n, out);
	for (size_t i = 0; i < n; i++) {
		if (it->tensor->made == MODEL_DECAY)
			out[i] = (float)log(-(double)out[i]);
		if (!number_is_finite(out[i]))
			return refuse(it->tensor, i, e);
		if (!as_is)
			out[i] = (float)(((double)out[i] + (double)it->add) * (double)it->factor);
	}
	return 0;
}

int model_floats_give(struct model_keeper *k, const struct model_item *it,
		      const unsigned char *bytes, unsigned char *scratch, struct err *e)
{
	size_t n = (size_t)it->rows * it->columns * (it->stack > 0 ? it->stack : 1);
	float *value = malloc((n + 1) * sizeof *value);
	if (value == NULL)
		return err_set(e, ERR_NOMEM, "tensor %s", it->tensor->name);
	int rc = complete(it, bytes, n, value, e);
	if (rc == 0)
		rc = k->fill(k, it, 0, (const unsigned char *)value, n * sizeof *value, scratch, e);
	free(value);
	return rc;
}

/* ---- xIELU ---- */

static double softplus(double x) { return x > 30 ? x : log1p(exp(x)); }

static int scalar_read(struct loader *l, const struct model_tensor *t, float *out)
{
	unsigned char bytes[8];
	TRY(source_read(l->tensors->source, t->file, t->begin, bytes, (size_t)t->bytes, l->e));
	model_dtype_widen(t->dtype, bytes, 1, out);
	return number_is_finite(*out) ? 0 : refuse(t, 0, l->e);
}

/* alpha_p, alpha_n, beta, eps -> softplus(alpha_p), beta + softplus(alpha_n), beta, eps */
static int xielu_read(struct loader *l, const struct scalars *s, unsigned char *scratch)
{
	float v[MODEL_SCALARS];
	for (size_t i = 0; i < MODEL_SCALARS; i++)
		TRY(scalar_read(l, s->tensor[i], &v[i]));
	const float out[] = { (float)softplus((double)v[0]),
			      (float)((double)v[2] + softplus((double)v[1])), v[2], v[3] };
	return l->keeper->fill(l->keeper, &l->plan.item[s->item], 0, (const unsigned char *)out,
			       sizeof out, scratch, l->e);
}

int model_scalars_read(struct loader *l, unsigned char *scratch)
{
	for (size_t i = 0; i < l->scalars_count; i++)
		TRY(xielu_read(l, &l->scalars[i], scratch));
	return 0;
}
