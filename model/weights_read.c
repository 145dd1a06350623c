/* Reading: files from front to back, in pieces that a verifying source checks as a whole, so that
 * every byte is read once, hashed once and filled from the same buffer while it is in the cache.
 * Each thread does all three for its piece. A unit that crosses the border of two pieces is joined
 * in a buffer of its own, and filled by the thread that reads its last bytes. */
#include "model/weights_loader.h"

#include "base/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A unit that crosses a border and of which some bytes have been read. */
struct joint {
	struct joint *next;
	const struct model_item *item;
	uint64_t at;
	size_t len, missing;
	unsigned char bytes[];
};

struct chunk {
	const char *file;
	uint64_t offset;
	size_t len;
	size_t span; /* the first that reaches into it */
};

struct reading {
	struct loader *l;
	struct source *source;
	const struct model_item **span; /* of this phase, by file and place */
	size_t spans;
	struct chunk *piece;
	size_t pieces, room;
	unsigned char **buffer; /* [threads] */
	pthread_mutex_t lock;   /* joints, progress, error */
	struct joint *joint;
	atomic_uint failed; /* the lowest piece that failed; UINT32_MAX: none */
	struct err error;
	int code;
};

/* ---- units ---- */

static uint64_t unit_len(const struct model_item *it, uint64_t at)
{
	uint64_t left = it->group_bytes - at % it->group_bytes;
	return left < it->unit_bytes ? left : it->unit_bytes;
}

/* Whole units to the keeper; vectors are completed first. */
static int give(struct reading *r, const struct model_item *it, uint64_t at,
		const unsigned char *bytes, uint64_t len, unsigned char *scratch, struct err *e)
{
	struct model_keeper *k = r->l->keeper;
	return it->kind == ITEM_FLOATS ? model_floats_give(k, it, bytes, scratch, e)
				       : k->fill(k, it, at, bytes, len, scratch, e);
}

/* The joint of the unit at `at`, new if need be; NULL: no memory. Called with the lock held. */
static struct joint *joint_at(struct reading *r, const struct model_item *it, uint64_t at)
{
	size_t len = (size_t)unit_len(it, at);
	for (struct joint *j = r->joint; j != NULL; j = j->next) {
		if (j->item == it && j->at == at)
			return j;
	}
	struct joint *j = malloc(sizeof *j + len);
	if (j == NULL)
		return NULL;
	*j = (struct joint){ .next = r->joint, .item = it, .at = at, .len = len, .missing = len };
	r->joint = j;
	return j;
}

/* Note len more bytes. True when the unit is complete: the joint is the caller's then. */
static bool joint_came(struct reading *r, struct joint *j, size_t len)
{
	pthread_mutex_lock(&r->lock);
	j->missing -= len;
	bool whole = j->missing == 0;
	for (struct joint **at = &r->joint; whole && *at != NULL; at = &(*at)->next) {
		if (*at == j) {
			*at = j->next;
			break;
		}
	}
	pthread_mutex_unlock(&r->lock);
	return whole;
}

static int join(struct reading *r, const struct model_item *it, uint64_t unit, uint64_t at,
		const unsigned char *bytes, size_t len, unsigned char *scratch, struct err *e)
{
	pthread_mutex_lock(&r->lock);
	struct joint *j = joint_at(r, it, unit);
	pthread_mutex_unlock(&r->lock);
	if (j == NULL)
		return err_set(e, ERR_NOMEM, "tensor %s", it->tensor->name);
	memcpy(j->bytes + (at - unit), bytes, len);
	if (!joint_came(r, j, len))
		return 0;
	int result = give(r, it, unit, j->bytes, j->len, scratch, e);
	free(j);
	return result;
}

/* Bytes [at, at+len) of an item's tensor. */
static int item_feed(struct reading *r, const struct model_item *it, uint64_t at,
		     const unsigned char *bytes, uint64_t len, unsigned char *scratch,
		     struct err *e)
{
	while (len > 0) {
		uint64_t in_group = at % it->group_bytes, in_unit = in_group % it->unit_bytes;
		uint64_t part = it->group_bytes - in_group < len ? it->group_bytes - in_group : len;
		if (in_group + part < it->group_bytes)
			part -= part % it->unit_bytes; /* whole units only */
		if (in_unit == 0 && part > 0) {
			TRY(give(r, it, at, bytes, part, scratch, e));
		} else {
			part = unit_len(it, at - in_unit) - in_unit;
			part = part < len ? part : len;
			TRY(join(r, it, at - in_unit, at, bytes, (size_t)part, scratch, e));
		}
		at += part;
		bytes += part;
		len -= part;
	}
	return 0;
}

/* ---- pieces ---- */

static int piece_run(struct reading *r, const struct chunk *p, unsigned char *buffer, struct err *e)
{
	unsigned char *scratch = buffer + SOURCE_GRANULE;
	uint64_t end = p->offset + p->len;
	TRY(source_read(r->source, p->file, p->offset, buffer, p->len, e));
	for (size_t i = p->span; i < r->spans; i++) {
		const struct model_tensor *t = r->span[i]->tensor;
		uint64_t from = t->begin > p->offset ? t->begin : p->offset,
			 to = t->begin + t->bytes < end ? t->begin + t->bytes : end;
		if (t->begin >= end || strcmp(t->file, p->file) != 0)
			break;
		if (from < to)
			TRY(item_feed(r, r->span[i], from - t->begin, buffer + (from - p->offset),
				      to - from, scratch, e));
	}
	return 0;
}

static void piece_take(struct reading *r, uint32_t i, unsigned worker)
{
	struct err e = { 0 };
	if (i >= atomic_load(&r->failed))
		return;
	const struct chunk *p = &r->piece[i];
	int result = piece_run(r, p, r->buffer[worker], &e);
	pthread_mutex_lock(&r->lock);
	progress_add(&r->l->progress, p->len);
	if (result < 0 && i < atomic_load(&r->failed)) {
		atomic_store(&r->failed, i);
		r->code = result;
		r->error = e;
	}
	pthread_mutex_unlock(&r->lock);
}

static void pieces_take(void *ctx, struct part part)
{
	for (uint32_t i = part.begin; i < part.end; i++)
		piece_take(ctx, i, part.worker);
}

static int by_place(const void *a, const void *b)
{
	const struct model_tensor *x = (*(const struct model_item *const *)a)->tensor,
				  *y = (*(const struct model_item *const *)b)->tensor;
	int c = strcmp(x->file, y->file);
	return c != 0 ? c : x->begin < y->begin ? -1 : x->begin > y->begin;
}

static int piece_add(struct reading *r, const char *file, uint64_t offset, uint64_t file_bytes,
		     size_t span)
{
	if (r->pieces == r->room) {
		size_t room = r->room * 2 + 256;
		struct chunk *more = realloc(r->piece, room * sizeof *more);
		if (more == NULL)
			return err_set(r->l->e, ERR_NOMEM, "list of pieces");
		r->piece = more;
		r->room = room;
	}
	uint64_t left = file_bytes - offset;
	r->piece[r->pieces++] =
		(struct chunk){ file, offset, left < SOURCE_GRANULE ? (size_t)left : SOURCE_GRANULE,
				span };
	return 0;
}

/* Pieces of every span, each piece once. */
static int pieces_list(struct reading *r)
{
	const char *file = "";
	uint64_t next = 0, file_bytes = 0;
	for (size_t i = 0; i < r->spans; i++) {
		const struct model_tensor *t = r->span[i]->tensor;
		if (strcmp(t->file, file) != 0) {
			file = t->file;
			next = 0;
			TRY(source_size(r->source, file, &file_bytes, r->l->e));
		}
		if (t->begin + t->bytes > file_bytes)
			return err_set(r->l->e, ERR_CONFLICT, "%s: became shorter", file);
		uint64_t first = t->begin / SOURCE_GRANULE * SOURCE_GRANULE;
		for (uint64_t at = next > first ? next : first; at < t->begin + t->bytes;
		     at += SOURCE_GRANULE) {
			TRY(piece_add(r, file, at, file_bytes, i));
			next = at + SOURCE_GRANULE;
		}
	}
	return r->pieces < INT32_MAX ? 0 : err_set(r->l->e, ERR_INPUT, "weights too large");
}

/* ---- whole ---- */

static int phase_list(struct reading *r, int phase)
{
	r->spans = r->pieces = 0;
	for (size_t i = 0; i < r->l->plan.count; i++) {
		if (r->l->plan.item[i].phase == phase)
			r->span[r->spans++] = &r->l->plan.item[i];
	}
	if (r->spans > 1)
		qsort(r->span, r->spans, sizeof(const struct model_item *), by_place);
	return pieces_list(r);
}

static int phase_run(struct reading *r, int phase)
{
	TRY(phase_list(r, phase));
	pool_run_in_order(r->l->order->pool, (uint32_t)r->pieces, pieces_take, r);
	if (r->code < 0) {
		if (r->l->e != NULL)
			*r->l->e = r->error;
		return r->code;
	}
	check(r->joint == NULL);
	return 0;
}

static int buffers_open(struct reading *r)
{
	unsigned threads = pool_threads(r->l->order->pool);
	r->span = calloc(r->l->plan.count + 1, sizeof(const struct model_item *));
	r->buffer = calloc(threads, sizeof *r->buffer);
	for (unsigned i = 0; r->buffer != NULL && i < threads; i++) {
		size_t room = (SOURCE_GRANULE + r->l->scratch_bytes + 63) / 64 * 64;
		r->buffer[i] = aligned_alloc(64, room);
		if (r->buffer[i] == NULL)
			return err_set(r->l->e, ERR_NOMEM, "buffers");
	}
	return r->span == NULL || r->buffer == NULL ? err_set(r->l->e, ERR_NOMEM, "buffers") : 0;
}

static void buffers_close(struct reading *r)
{
	for (unsigned i = 0; r->buffer != NULL && i < pool_threads(r->l->order->pool); i++)
		free(r->buffer[i]);
	while (r->joint != NULL) {
		struct joint *next = r->joint->next;
		free(r->joint);
		r->joint = next;
	}
	free(r->buffer);
	free(r->span);
	free(r->piece);
}

int model_plan_read(struct loader *l)
{
	struct reading r = { .l = l, .source = l->tensors->source, .failed = UINT32_MAX };
	pthread_mutex_init(&r.lock, NULL);
	int result = buffers_open(&r);
	for (int phase = 0; result == 0 && phase < ITEM_PHASES; phase++)
		result = phase_run(&r, phase);
	if (result == 0)
		result = model_scalars_read(l, r.buffer[0]);
	buffers_close(&r);
	pthread_mutex_destroy(&r.lock);
	return result;
}
