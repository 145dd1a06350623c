#include "forks/diff.h"

#include "base/text.h"
#include "forks/rounding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536u

static const char companion_suffix[] = "_scale_inv";

/* The scales of an FP8 tensor, or NULL. */
static const struct model_tensor *companion(const struct fork_model *m,
					    const struct model_tensor *w)
{
	char name[640];

	if (w->dtype != MODEL_F8_E4M3 || strlen(w->name) + sizeof(companion_suffix) > sizeof(name))
		return NULL;
	strcpy(name, w->name);
	strcat(name, companion_suffix);
	return model_tensors_find(m->tensors, name);
}

static bool is_companion(const struct fork_model *m, const struct model_tensor *w)
{
	char name[640];
	size_t len = strlen(w->name);
	const struct model_tensor *owner;

	if (!text_ends(w->name, companion_suffix) || len >= sizeof(name))
		return false;
	len -= strlen(companion_suffix);
	memcpy(name, w->name, len);
	name[len] = '\0';
	owner = model_tensors_find(m->tensors, name);
	return owner && owner->dtype == MODEL_F8_E4M3;
}

static bool same_shape(const struct model_tensor *a, const struct model_tensor *b)
{
	if (a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->shape[i] != b->shape[i])
			return false;
	return true;
}

/* 1 equal type, shape and bytes, 0 different. Both NULL: equal. */
static int same_bytes(const struct fork_model *ma, const struct model_tensor *a,
		      const struct fork_model *mb, const struct model_tensor *b, struct err *e)
{
	char x[2][CHUNK_BYTES];

	if (!a || !b)
		return a == b;
	if (a->dtype != b->dtype || !same_shape(a, b) || a->bytes != b->bytes || a->turn != b->turn)
		return 0;
	for (uint64_t at = 0; at < a->bytes; at += CHUNK_BYTES) {
		size_t len = a->bytes - at < CHUNK_BYTES ? (size_t)(a->bytes - at) : CHUNK_BYTES;

		TRY(source_read(ma->source, a->file, a->begin + at, x[0], len, e));
		TRY(source_read(mb->source, b->file, b->begin + at, x[1], len, e));
		if (memcmp(x[0], x[1], len) != 0)
			return 0;
	}
	return 1;
}

/* Two tensors of one shape, compared by value. */
struct pair {
	const struct fork_model *ma, *mb;
	const struct model_tensor *a, *b;
	uint64_t rows, columns;
	float *va, *vb, *scale; /* panels; b's FP8 scales or NULL */
	double dot, aa, bb, dd; /* sums of a*b, a^2, b^2, (b-a)^2 */
	struct rounding rounding;
};

static void pair_close(struct pair *p)
{
	free(p->va);
	free(p->vb);
	free(p->scale);
}

/* b's FP8 scales, one for each block. Another shape is refused by model/ when b is read. */
static int pair_scales(struct pair *p, struct err *e)
{
	const struct model_tensor *scales = companion(p->mb, p->b);
	uint64_t down = (p->rows + ROUNDING_BLOCK - 1) / ROUNDING_BLOCK;
	uint64_t across = (p->columns + ROUNDING_BLOCK - 1) / ROUNDING_BLOCK;

	if (!scales || scales->rank != 2 || scales->shape[0] != down || scales->shape[1] != across)
		return 0;
	p->scale = calloc((size_t)(down * across) + 1, sizeof(float));
	if (!p->scale)
		return err_set(e, ERR_NOMEM, "out of memory for the scales of tensor %s",
			       p->a->name);
	return model_tensors_read(p->mb->tensors, scales, 0, down, p->scale, e);
}

/* A tensor is read as a matrix: its rows are all dimensions but the last. */
static int pair_open(struct pair *p, struct err *e)
{
	size_t cells;

	p->columns = p->a->rank > 0 ? p->a->shape[p->a->rank - 1] : 1;
	p->rows = p->columns > 0;
	for (int i = 0; i + 1 < p->a->rank; i++)
		p->rows *= p->a->shape[i];
	if (__builtin_mul_overflow(p->columns,
				   (p->rows < ROUNDING_BLOCK ? p->rows : ROUNDING_BLOCK) *
					   sizeof(float),
				   &cells))
		return err_set(e, ERR_INPUT, "tensor %s: rows too long", p->a->name);
	p->va = malloc(cells + 1);
	p->vb = malloc(cells + 1);
	if (!p->va || !p->vb)
		return err_set(e, ERR_NOMEM, "out of memory for two panels of tensor %s",
			       p->a->name);
	return pair_scales(p, e);
}

static void pair_add(struct pair *p, uint64_t row, uint64_t rows, bool changed)
{
	uint64_t blocks = (p->columns + ROUNDING_BLOCK - 1) / ROUNDING_BLOCK;

	for (uint64_t i = 0; i < rows * p->columns; i++) {
		double x = p->va[i], y = p->vb[i];

		p->dot += x * y;
		p->aa += x * x;
		p->bb += y * y;
		p->dd += (y - x) * (y - x);
	}
	if (changed && p->a->rank == 2)
		fork_rounding_add(&p->rounding, p->va, p->vb, rows, p->columns,
				  p->scale ? p->scale + row / ROUNDING_BLOCK * blocks : NULL);
}

static int pair_compare(struct pair *p, bool changed, struct err *e)
{
	for (uint64_t row = 0; row < p->rows; row += ROUNDING_BLOCK) {
		uint64_t rows = p->rows - row < ROUNDING_BLOCK ? p->rows - row : ROUNDING_BLOCK;

		TRY(model_tensors_read(p->ma->tensors, p->a, row, rows, p->va, e));
		TRY(model_tensors_read(p->mb->tensors, p->b, row, rows, p->vb, e));
		pair_add(p, row, rows, changed);
	}
	return 0;
}

static void pair_report(const struct pair *p, struct fork_old_tensor *t, struct diff *d)
{
	bool changed = t->change == FORK_CHANGED;

	if (changed && p->aa > 0)
		t->relative_l2 = sqrt(p->dd / p->aa);
	if (changed && p->aa > 0 && p->bb > 0)
		t->cosine = p->dot / sqrt(p->aa) / sqrt(p->bb);
	if (p->a->rank != 2)
		return;
	d->difference += p->dd;
	d->norm += p->aa;
	d->changed_matrices += changed;
	d->rounded += changed && fork_rounding_fits(&p->rounding);
}

/* A tensor that both models have. Types without float values are compared by their bytes only. */
static int diff_common(struct pair *p, struct fork_old_tensor *t, struct diff *d, struct err *e)
{
	struct err ignored = { 0 };
	int same, r;

	if (!same_shape(p->a, p->b)) {
		t->change = FORK_RESHAPED;
		d->reshaped++;
		return 0;
	}
	same = same_bytes(p->ma, p->a, p->mb, p->b, e);
	if (same == 1)
		same = same_bytes(p->ma, companion(p->ma, p->a), p->mb, companion(p->mb, p->b), e);
	TRY(same);
	t->change = same ? FORK_SAME : FORK_CHANGED;
	d->same += same == 1;
	d->changed += same == 0;
	r = pair_open(p, &ignored);
	if (r == 0)
		r = pair_compare(p, !same, &ignored);
	if (r == 0)
		pair_report(p, t, d);
	if (r < 0 && r != ERR_UNSUPPORTED) {
		if (e)
			*e = ignored;
		return r;
	}
	return 0;
}

static void diff_alone(struct fork_old_tensor *t, enum fork_change change, uint64_t *count)
{
	t->change = change;
	++*count;
}

/* The next tensor of a directory that is not a companion, from *i on. */
static const struct model_tensor *next_own(const struct fork_model *m, size_t *i)
{
	while (*i < model_tensors_count(m->tensors) &&
	       is_companion(m, model_tensors_at(m->tensors, *i)))
		++*i;
	return *i < model_tensors_count(m->tensors) ? model_tensors_at(m->tensors, *i) : NULL;
}

static int diff_step(struct pair *p, struct diff *out, size_t *i, size_t *j, struct err *e)
{
	struct fork_old_tensor *t = &out->tensor[out->count++];
	int order = !p->a ? 1 : !p->b ? -1 : strcmp(p->a->name, p->b->name);

	*t = (struct fork_old_tensor){ .name = order > 0 ? p->b->name : p->a->name,
				       .relative_l2 = NAN,
				       .cosine = NAN };
	*i += order <= 0;
	*j += order >= 0;
	if (order < 0)
		diff_alone(t, FORK_REMOVED, &out->removed);
	else if (order > 0)
		diff_alone(t, FORK_ADDED, &out->added);
	else
		return diff_common(p, t, out, e);
	return 0;
}

int fork_diff_models(const struct fork_model *a, const struct fork_model *b, struct diff *out,
		     struct err *e)
{
	size_t i = 0, j = 0,
	       room = model_tensors_count(a->tensors) + model_tensors_count(b->tensors);
	int r = 0;

	*out = (struct diff){ 0 };
	out->tensor = calloc(room + 1, sizeof(*out->tensor));
	if (!out->tensor)
		return err_set(e, ERR_NOMEM, "out of memory for the list of %zu tensors", room);
	while (r == 0) {
		struct pair p = { .ma = a, .mb = b, .a = next_own(a, &i), .b = next_own(b, &j) };

		if (!p.a && !p.b)
			break;
		r = diff_step(&p, out, &i, &j, e);
		pair_close(&p);
	}
	if (r < 0)
		fork_diff_free(out);
	return r;
}

void fork_diff_free(struct diff *d)
{
	free(d->tensor);
	d->tensor = NULL;
	d->count = 0;
}
