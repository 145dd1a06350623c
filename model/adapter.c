#include "model/adapter.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_FILE "adapter_config.json"
#define MODEL_FILE "adapter_model.safetensors"
#define CONFIG_BYTES MIB(4)

bool model_adapter_is(struct source *src)
{
	uint64_t bytes;
	return source_size(src, CONFIG_FILE, &bytes, NULL) == 0 &&
	       source_size(src, "config.json", &bytes, NULL) < 0;
}

/* ---- tensors ---- */

static const char lead[] = "base_model.model.", end_a[] = ".lora_A.weight",
		  end_b[] = ".lora_B.weight", end_base[] = ".base_layer.weight";

static int tensor_refuse(const struct model_tensor *t, struct err *e)
{
	static const struct {
		const char *part, *what;
	} known[] = {
		{ ".lora_magnitude_vector", "DoRA" },
		{ ".lora_embedding_", "embeddings" },
		{ ".modules_to_save.", "modules_to_save" },
		{ ".lora_A.bias", "biases" },
		{ ".lora_B.bias", "biases" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(t->name, known[i].part))
			return err_set(e, ERR_UNSUPPORTED,
				       "%s: tensor %s: not available in this version: %s of an "
				       "adapter",
				       t->file, t->name, known[i].what);
	return err_set(e, ERR_UNSUPPORTED,
		       "%s: tensor %s: not available in this version: other than %sNAME%s and %s",
		       t->file, t->name, lead, end_a, end_b);
}

static int shape_check(const struct model_tensor *t, struct err *e)
{
	static const enum model_dtype types[] = { MODEL_F32, MODEL_BF16, MODEL_F16, MODEL_F64 };
	bool known = false;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		known = known || t->dtype == types[i];
	if (!known)
		return err_set(e, ERR_UNSUPPORTED, "%s: tensor %s is %s, not a float", t->file,
			       t->name, model_dtype_name(t->dtype));
	if (t->rank != 2 || t->shape[0] == 0 || t->shape[1] == 0 || t->shape[0] > UINT32_MAX ||
	    t->shape[1] > UINT32_MAX)
		return err_set(e, ERR_INPUT, "%s: tensor %s is no matrix", t->file, t->name);
	return 0;
}

/* The part that "NAME.lora_A.weight" begins, or a new one. */
static int part_of(struct model_adapter *a, const struct model_tensor *t, const char *end,
		   struct model_low_rank **out, struct err *e)
{
	const char *module = t->name + strlen(lead);
	size_t n = strlen(module) - strlen(end);
	struct model_low_rank *last = a->count > 0 ? &a->part[a->count - 1] : NULL;
	*out = last;
	if (last && strlen(last->module) == n && strncmp(last->module, module, n) == 0)
		return 0;
	struct model_low_rank *more = realloc(a->part, (a->count + 1) * sizeof *more);
	if (!more)
		return err_set(e, ERR_NOMEM, "list of tensors");
	a->part = more;
	*out = &a->part[a->count];
	**out = (struct model_low_rank){ .module = strndup(module, n) };
	a->count++;
	return (*out)->module ? 0 : err_set(e, ERR_NOMEM, "list of tensors");
}

static int tensor_take(struct model_adapter *a, const struct model_tensor *t, struct err *e)
{
	const char *const ends[] = { end_a, end_b, end_base };
	struct model_low_rank *p;
	size_t k = 0;
	while (k < 3 &&
	       !(text_ends(t->name, ends[k]) && strlen(t->name) > strlen(lead) + strlen(ends[k])))
		k++;
	if (k == 3 || !text_starts(t->name, lead))
		return tensor_refuse(t, e);
	TRY(shape_check(t, e));
	TRY(part_of(a, t, ends[k], &p, e));
	*(k == 0 ? &p->a : k == 1 ? &p->b : &p->base) = t;
	return 0;
}

/* What follows the wrapping of the model: from "layers." on, where there is that. */
static const char *unwrapped(const char *name)
{
	const char *at = strstr(name, "layers.");
	return at ? at : name;
}

static int by_inner(const void *a, const void *b)
{
	const struct model_low_rank *x = a, *y = b;
	int order = strcmp(unwrapped(x->module), unwrapped(y->module));
	return order ? order : strcmp(x->module, y->module);
}

/* Both of each. The tensors come by name, so that A and B of a module are neighbours. */
static int pairs_check(const struct model_adapter *a, struct err *e)
{
	if (a->count == 0)
		return err_set(e, ERR_INPUT, MODEL_FILE ": no tensors of an adapter");
	for (size_t i = 0; i < a->count; i++) {
		const struct model_low_rank *p = &a->part[i];
		if (!p->a || !p->b)
			return err_set(e, ERR_INPUT, MODEL_FILE ": tensor %s%s%s is missing", lead,
				       p->module, p->a ? end_b : end_a);
		if (p->a->shape[0] != p->b->shape[1])
			return err_set(e, ERR_INPUT,
				       "%s: tensor %s has rank %llu, and %s has rank %llu",
				       p->a->file, p->a->name, (unsigned long long)p->a->shape[0],
				       p->b->name, (unsigned long long)p->b->shape[1]);
		if (p->base &&
		    (p->base->shape[0] != p->b->shape[0] || p->base->shape[1] != p->a->shape[1]))
			return err_set(e, ERR_INPUT,
				       "%s: tensor %s is [%llu, %llu], not [%llu, %llu]",
				       p->base->file, p->base->name,
				       (unsigned long long)p->base->shape[0],
				       (unsigned long long)p->base->shape[1],
				       (unsigned long long)p->b->shape[0],
				       (unsigned long long)p->a->shape[1]);
	}
	return 0;
}

static int tensors_read(struct model_adapter *a, struct err *e)
{
	static const char *const file = MODEL_FILE;
	uint64_t bytes;
	if (source_size(a->source, file, &bytes, NULL) < 0 &&
	    source_size(a->source, "adapter_model.bin", &bytes, NULL) == 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "adapter_model.bin: not available in this version: PyTorch's own "
			       "form: convert it to safetensors");
	TRY(model_tensors_of(&a->tensors, a->source, &file, 1, e));
	for (size_t i = 0; i < model_tensors_count(a->tensors); i++)
		TRY(tensor_take(a, model_tensors_at(a->tensors, i), e));
	TRY(pairs_check(a, e));
	qsort(a->part, a->count, sizeof *a->part, by_inner);
	return 0;
}

static int values_of(struct model_adapter *a, const struct model_tensor *t, float **out,
		     struct err *e)
{
	uint64_t n = t->shape[0] * t->shape[1];
	if (n > SIZE_MAX / sizeof **out || !(*out = malloc(n * sizeof **out)))
		return err_set(e, ERR_NOMEM, "%s: tensor %s", t->file, t->name);
	return model_tensors_read(a->tensors, t, 0, t->shape[0], *out, e);
}

static int values_read(struct model_adapter *a, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		TRY(values_of(a, a->part[i].a, &a->part[i].down, e));
		TRY(values_of(a, a->part[i].b, &a->part[i].up, e));
		if (a->part[i].base)
			TRY(values_of(a, a->part[i].base, &a->part[i].same, e));
	}
	return 0;
}

/* ---- whole ---- */

static int config_read(struct model_adapter *a, const char *base, struct err *e)
{
	struct buf text = { 0 };
	int rc = source_read_file(a->source, CONFIG_FILE, CONFIG_BYTES, &text, e);
	if (rc == 0)
		rc = model_adapter_config(a, text.bytes, text.len, base, e);
	buf_free(&text);
	return rc;
}

int model_adapter_open(struct model_adapter **out, struct source *src, const char *base,
		       bool values, struct err *e)
{
	struct model_adapter *a = *out = calloc(1, sizeof *a);
	int rc;
	if (!a)
		return err_set(e, ERR_NOMEM, "adapter");
	a->source = src;
	TRY_OUT(tensors_read(a, e));
	TRY_OUT(config_read(a, base, e));
	if (values)
		TRY_OUT(values_read(a, e));
	return 0;
out:
	model_adapter_close(a);
	*out = NULL;
	return src->label ? err_prefix(e, "%s", src->label) : rc;
}

void model_adapter_close(struct model_adapter *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->count; i++) {
		free((char *)(uintptr_t)a->part[i].module);
		free(a->part[i].down);
		free(a->part[i].up);
		free(a->part[i].same);
	}
	free(a->part);
	model_tensors_close(a->tensors);
	free(a);
}

/* ---- merging ---- */

/* name is the module, or goes on behind it with ".weight". */
static int compare(const char *module, const char *name, size_t n)
{
	int order = strncmp(module, name, n);
	return order ? order : module[n] != '\0';
}

const struct model_low_rank *model_adapter_find(const struct model_adapter *a, const char *tensor)
{
	static const char end[] = ".weight";
	const char *inner = unwrapped(tensor);
	size_t lo = 0, hi = a->count;
	if (!text_ends(tensor, end))
		return NULL;
	size_t n = strlen(tensor) - strlen(end), m = strlen(inner) - strlen(end);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (compare(unwrapped(a->part[mid].module), inner, m) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	const struct model_low_rank *found = NULL;
	for (; lo < a->count && compare(unwrapped(a->part[lo].module), inner, m) == 0; lo++) {
		bool whole = compare(a->part[lo].module, tensor, n) == 0;
		if (whole || (!found && inner != tensor &&
			      unwrapped(a->part[lo].module) != a->part[lo].module))
			found = &a->part[lo];
		if (whole)
			break;
	}
	return found;
}

int model_adapter_fits(const struct model_low_rank *p, const char *tensor, uint32_t rows,
		       uint32_t columns, struct err *e)
{
	const struct model_tensor *t = p->a->shape[1] != columns ? p->a : p->b;
	if (p->a->shape[1] == columns && p->b->shape[0] == rows)
		return 0;
	return err_set(e, ERR_INPUT,
		       "%s: tensor %s is [%llu, %llu], for another base: %s is [%u, %u] here",
		       t->file, t->name, (unsigned long long)t->shape[0],
		       (unsigned long long)t->shape[1], tensor, rows, columns);
}

#define STRETCH 64

static void add_stretch(const struct model_low_rank *p, const float *up, uint32_t columns,
			uint32_t from, uint32_t n, float *v)
{
	double sum[STRETCH] = { 0 };
	for (uint32_t j = 0; j < p->rank; j++) {
		const float *down = p->down + (size_t)j * columns + from;
		double b = (double)up[j];
		for (uint32_t k = 0; k < n; k++)
			sum[k] += b * (double)down[k];
	}
	for (uint32_t k = 0; k < n; k++)
		v[k] = (float)((double)v[k] + p->scale * sum[k]);
}

static int same_check(const struct model_low_rank *p, uint32_t row, uint32_t n, uint32_t columns,
		      const float *v, struct err *e)
{
	const float *same = p->same + (size_t)row * columns;
	for (size_t i = 0; i < (size_t)n * columns; i++)
		if (v[i] < same[i] || v[i] > same[i])
			return err_set(e, ERR_INPUT,
				       "%s: tensor %s is for another base: %.9g at row %zu, column "
				       "%zu, and %.9g in this one",
				       p->base->file, p->base->name, (double)same[i],
				       row + i / columns, i % columns, (double)v[i]);
	return 0;
}

int model_adapter_add(const struct model_low_rank *p, uint32_t row, uint32_t n, uint32_t columns,
		      float *v, struct err *e)
{
	if (p->same)
		TRY(same_check(p, row, n, columns, v, e));
	for (uint32_t i = 0; i < n; i++) {
		const float *up = p->up + (size_t)(row + i) * p->rank;
		for (uint32_t k = 0; k < columns; k += STRETCH)
			add_stretch(p, up, columns, k,
				    columns - k < STRETCH ? columns - k : STRETCH,
				    v + (size_t)i * columns + k);
	}
	return 0;
}
