/* What decoding a matrix needs beside its rows: scales, zero points, and codes whose rows are not
 * apart. Threads that read panels of one matrix share it; the least recently used goes where room
 * is needed. */
#include "model/values_in.h"

#include <stdlib.h>

#define KEPT_BYTES ((uint64_t)256 << 20)

/* The matrix-th part of a tensor of all matrices. */
static struct model_tensor part_of(const struct model_tensor *t, uint64_t matrix, uint64_t matrices)
{
	struct model_tensor each = *t;
	if (matrices == 1)
		return each;
	each.bytes /= matrices;
	each.begin += matrix * each.bytes;
	each.rank--;
	for (int i = 0; i < each.rank; i++)
		each.shape[i] = t->shape[i + 1];
	return each;
}

static int bytes_read(struct model_values *v, const struct model_tensor *t, unsigned char **out,
		      struct err *e)
{
	*out = malloc((size_t)t->bytes + 1);
	if (!*out)
		return err_set(e, ERR_NOMEM, "%s: tensor %s", t->file, t->name);
	return source_read(v->tensors->source, t->file, t->begin, *out, (size_t)t->bytes, e);
}

static int kept_open(struct model_values *v, struct value_kept *k, struct err *e)
{
	const struct value_item *it = k->item;
	struct model_tensor t[CODING_PARTS];
	unsigned char *bytes[CODING_PARTS] = { NULL };
	struct coding_bytes part[CODING_PARTS] = { { NULL, NULL } };
	int rc = 0;
	k->coding = it->coding;
	for (int p = 0; p < CODING_PARTS; p++) {
		if (!it->beside[p])
			continue;
		t[p] = part_of(it->beside[p], k->matrix, it->each[p] ? it->matrices : 1);
		TRY_OUT(bytes_read(v, &t[p], &bytes[p], e));
		part[p] = (struct coding_bytes){ &t[p], bytes[p] };
	}
	TRY_OUT(model_coding_open(&k->coding, part, e));
	k->bytes = model_coding_bytes(&k->coding);
	if (it->turned || model_coding_row_bytes(&k->coding) == 0) {
		struct model_tensor codes = part_of(it->stored[0], k->matrix, it->matrices);
		k->bytes += codes.bytes;
		TRY_OUT(bytes_read(v, &codes, &k->codes, e));
	}
out:
	for (int p = 0; p < CODING_PARTS; p++)
		free(bytes[p]);
	return rc;
}

static void kept_close(struct value_kept *k)
{
	model_coding_close(&k->coding);
	free(k->codes);
	*k = (struct value_kept){ 0 };
}

/* The least recently used of those that nobody uses; NULL: there is none. */
static struct value_kept *oldest(struct model_values *v)
{
	struct value_kept *found = NULL;
	for (size_t i = 0; i < VALUES_KEPT; i++) {
		struct value_kept *k = &v->kept[i];
		if (k->item && k->users == 0 && (!found || k->last < found->last))
			found = k;
	}
	return found;
}

static void let_go(struct model_values *v, struct value_kept *k)
{
	v->kept_bytes -= k->bytes;
	kept_close(k);
}

/* A free place for the matrix, the place that has it, or NULL: all are in use. */
static struct value_kept *place_of(struct model_values *v, const struct value_item *it,
				   uint64_t matrix)
{
	struct value_kept *empty = NULL;
	for (size_t i = 0; i < VALUES_KEPT; i++) {
		if (v->kept[i].item == it && v->kept[i].matrix == matrix)
			return &v->kept[i];
		if (!v->kept[i].item)
			empty = &v->kept[i];
	}
	if (!empty && (empty = oldest(v)) != NULL)
		let_go(v, empty);
	return empty;
}

/* Under the lock: k, new and this thread's, is filled without it. */
static int fill(struct model_values *v, struct value_kept *k, struct err *e)
{
	pthread_mutex_unlock(&v->lock);
	int rc = kept_open(v, k, e);
	pthread_mutex_lock(&v->lock);
	pthread_cond_broadcast(&v->changed);
	if (rc < 0) {
		kept_close(k);
		return rc;
	}
	k->ready = true;
	v->kept_bytes += k->bytes;
	for (struct value_kept *old; v->kept_bytes > KEPT_BYTES && (old = oldest(v)) != NULL;)
		let_go(v, old);
	return 0;
}

int model_values_take(struct model_values *v, const struct value_item *it, uint64_t matrix,
		      struct value_kept **out, struct err *e)
{
	int rc = 0;
	struct value_kept *k;
	pthread_mutex_lock(&v->lock);
	/* Others hold one place each and wait for none. */
	while (!(k = place_of(v, it, matrix)) || (k->item && !k->ready))
		pthread_cond_wait(&v->changed, &v->lock);
	if (!k->item) {
		k->item = it;
		k->matrix = matrix;
		k->users = 1;
		rc = fill(v, k, e);
	} else {
		k->users++;
	}
	if (rc == 0)
		k->last = ++v->clock;
	pthread_mutex_unlock(&v->lock);
	*out = k;
	return rc;
}

void model_values_give(struct model_values *v, struct value_kept *k)
{
	pthread_mutex_lock(&v->lock);
	k->users--;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
}

void model_values_drop(struct model_values *v)
{
	for (size_t i = 0; i < VALUES_KEPT; i++)
		kept_close(&v->kept[i]);
}
