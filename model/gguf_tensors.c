/* The tensors of GGUF files by the names that they have in a folder of safetensors. A tensor of all
 * experts, or of all heads, becomes one for each: they lie one after another. */
#include "model/gguf_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct renamer {
	const struct gguf_model *m;
	struct model_tensors *d;
	const struct model_tensor *t; /* at work */
	const char *file;             /* of it, the directory's own */
	struct err *e;
};

/* The number behind "blk.", and what is behind that; false: a tensor of no layer. */
static bool layer_of(const char *name, uint32_t *layer, const char **part)
{
	char *end;
	if (!text_starts(name, "blk."))
		return false;
	unsigned long n = strtoul(name + 4, &end, 10);
	if (end == name + 4 || *end != '.' || n >= MODEL_GGUF_LAYERS)
		return false;
	*layer = (uint32_t)n;
	*part = end + 1;
	return true;
}

static const struct gguf_name *find_name(const struct gguf_arch *a, const char *part, bool whole)
{
	const struct gguf_name *const tables[] = { a->names, model_gguf_names };
	for (size_t i = 0; i < 2; i++)
		for (const struct gguf_name *n = tables[i]; n && n->from; n++)
			if (n->whole == whole && strcmp(n->from, part) == 0)
				return n;
	return NULL;
}

static int refuse(struct renamer *r, const char *why)
{
	return err_set(r->e, ERR_INPUT, "%s: tensor %s %s", r->t->file, r->t->name, why);
}

static int add(struct renamer *r, struct model_tensor t, const char *name)
{
	t.file = r->file;
	t.name = arena_copy(&r->d->arena, name, strlen(name));
	if (!t.name)
		return err_set(r->e, ERR_NOMEM, "tensor directory");
	r->d->tensor[r->d->count++] = t;
	return 0;
}

/* What the form says, of a tensor that is one. */
static int form_set(struct renamer *r, enum gguf_form form, struct model_tensor *t)
{
	uint32_t heads = form == GGUF_TURNED_K ? r->m->kv_heads : r->m->heads;
	uint64_t rows = t->shape[0];
	t->made = form == GGUF_COMPLETE ? MODEL_COMPLETE
		  : form == GGUF_DECAY  ? MODEL_DECAY
					: MODEL_AS_STORED;
	if (form == GGUF_ROW) {
		if (t->rank > 2 || (t->rank == 2 && rows != 1))
			return refuse(r, "is more than a row");
		t->shape[1] = t->shape[t->rank - 1];
		t->shape[0] = 1;
		t->rank = 2;
	}
	if (form == GGUF_TAPS) {
		int rank = 0;
		for (int i = 0; i < t->rank; i++)
			if (t->shape[i] != 1)
				t->shape[rank++] = t->shape[i];
		if (rank != 2)
			return refuse(r, "is not of channels and taps");
		t->rank = rank;
	}
	if (form != GGUF_TURNED_Q && form != GGUF_TURNED_K)
		return 0;
	if (heads == 0 || rows % heads != 0 || rows / heads % 2 != 0 || rows > MODEL_GGUF_ROWS)
		return refuse(r, "has rows that are not pairs for each head");
	t->turn = (uint32_t)(rows / heads);
	return 0;
}

/* "A*B": one for each of the first dimension. */
static int stack_add(struct renamer *r, const char *name, const char *star)
{
	struct model_tensor t = *r->t;
	uint64_t n = t.shape[0];
	char each[2 * LIMIT_NAME_BYTES];
	if (t.rank < 2)
		return refuse(r, "is not several of a kind");
	if (n == 0)
		return refuse(r, "is empty");
	TRY(model_tensors_room(r->d, (size_t)(n < LIMIT_TENSORS ? n : LIMIT_TENSORS), r->e));
	t.rank--;
	memmove(t.shape, t.shape + 1, (size_t)t.rank * sizeof t.shape[0]);
	t.bytes /= n;
	for (uint64_t i = 0; i < n; i++, t.begin += t.bytes) {
		snprintf(each, sizeof each, "%.*s%llu%s", (int)(star - name), name,
			 (unsigned long long)i, star + 1);
		TRY(add(r, t, each));
	}
	return 0;
}

static int tensor_add(struct renamer *r)
{
	struct model_tensor t = *r->t;
	char name[LIMIT_NAME_BYTES + 60];
	uint32_t layer = 0;
	const char *part = t.name;
	bool inside = layer_of(t.name, &layer, &part);
	if (inside && layer >= r->m->layers && layer - r->m->layers < r->m->extra)
		return 0; /* for prediction further ahead */
	const struct gguf_name *n = find_name(r->m->arch, part, !inside);
	if (r->m->loose && !n)
		return add(r, t, t.name);
	if (!r->m->loose && t.dtype > MODEL_MXFP4)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: tensor %s is %s: not available in this version",
			       t.file, t.name, model_dtype_name(t.dtype));
	if (!n)
		return err_set(r->e, ERR_INPUT, "%s: tensor %s is not part of a %s", t.file, t.name,
			       r->m->arch->name);
	if (n->form == GGUF_KNOWN)
		return 0;
	if (inside)
		snprintf(name, sizeof name, "%slayers.%u.%s",
			 r->m->arch->base ? r->m->arch->base : "model.", layer, n->to);
	else
		snprintf(name, sizeof name, "%s", n->to);
	const char *star = strchr(name, '*');
	if (star)
		return stack_add(r, name, star);
	int rc = form_set(r, n->form, &t);
	if (rc < 0 && r->m->loose)
		return add(r, *r->t, name);
	return rc < 0 ? rc : add(r, t, name);
}

/* Numbers of layers that the metadata lists, as tensors of one each: the file has them as F32. */
static int listed_add(struct renamer *r)
{
	const struct model_gguf *g = r->m->part[0];
	for (const struct gguf_listed *l = r->m->arch->listed; l && l->key; l++) {
		const json_t *at = json_object_get(g->places, l->key);
		size_t n = json_array_size(json_object_get(g->meta, l->key));
		if (!at || n != r->m->layers)
			return err_set(r->e, ERR_INPUT, "%s: %s is no list of F32 for each layer",
				       r->m->file, l->key);
		TRY(model_tensors_room(r->d, n, r->e));
		for (uint32_t i = 0; i < n; i++) {
			char name[LIMIT_NAME_BYTES];
			struct model_tensor t = { .dtype = MODEL_F32, .rank = 1, .shape = { 1 } };
			t.begin = (uint64_t)json_integer_value(at) + (uint64_t)4 * i;
			t.bytes = 4;
			snprintf(name, sizeof name, "model.layers.%u.%s", i, l->to);
			TRY(add(r, t, name));
		}
	}
	return 0;
}

static int parts_add(struct renamer *r)
{
	for (size_t p = 0; p < r->m->parts; p++) {
		const struct model_gguf *g = r->m->part[p];
		const char *file = g->count > 0 ? g->tensor[0].file : "";
		r->file = arena_copy(&r->d->arena, file, strlen(file));
		if (!r->file)
			return err_set(r->e, ERR_NOMEM, "tensor directory");
		for (size_t i = 0; i < g->count; i++) {
			r->t = &g->tensor[i];
			TRY(model_tensors_room(r->d, 1, r->e));
			TRY(tensor_add(r));
		}
		if (p == 0)
			TRY(listed_add(r));
	}
	model_tensors_sort(r->d);
	for (size_t i = 1; i < r->d->count; i++)
		if (strcmp(r->d->tensor[i - 1].name, r->d->tensor[i].name) == 0)
			return err_set(r->e, ERR_INPUT, "%s: tensor %s is there twice",
				       r->d->tensor[i].file, r->d->tensor[i].name);
	return 0;
}

int model_gguf_tensors(const struct gguf_model *m, struct model_tensors **out, struct err *e)
{
	struct model_tensors *d = *out = calloc(1, sizeof *d);
	struct renamer r = { .m = m, .d = d, .e = e };
	if (!d)
		return err_set(e, ERR_NOMEM, "tensor directory");
	d->source = m->source;
	int rc = parts_add(&r);
	if (rc < 0) {
		model_tensors_close(d);
		*out = NULL;
	}
	return rc;
}
