/* Reading: files from front to back, in pieces that a verifying source checks as a whole, so that
 * every byte is read once, hashed once and filled from the same buffer while it is in the cache.
 * Each thread does all three for its piece. A unit that crosses the border of two pieces is joined
 * in a buffer of its own, and filled by the thread that reads its last bytes. Codes are decoded
 * unit by unit: the keeper is given f32. */
#include "model/weights_loader.h"

#include "base/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A unit that crosses a border and of which some bytes have been read. */
struct joint {
	struct joint *next;
	const struct span *span;
	uint64_t at;
	size_t len, missing;
	unsigned char bytes[];
};

/* A tensor that is read: of an item, or beside the codes of one. */
struct span {
	const struct model_tensor *tensor;
	const struct model_item *item;
	unsigned char *kept; /* beside codes: where it goes as it is; NULL: filled by units */
	/* Codes: their groups of units as stored; else as the item says. */
	uint64_t group_bytes, unit_bytes;
};

/* What a thread needs. */
struct hands {
	unsigned char *buffer, *scratch;
	float *value; /* decoded unit */
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
	struct span *span; /* of this phase, by file and place */
	size_t spans;
	struct chunk *piece;
	size_t pieces, room;
	struct hands *hands;  /* [threads] */
	pthread_mutex_t lock; /* joints, progress, error */
	struct joint *joint;
	atomic_uint failed; /* the lowest piece that failed; UINT32_MAX: none */
	struct err error;
	int code;
};

/* ---- units ---- */

static uint64_t unit_len(const struct span *it, uint64_t at)
{
	uint64_t left = it->group_bytes - at % it->group_bytes;
	return left < it->unit_bytes ? left : it->unit_bytes;
}

/* The joint of the unit at `at`, new if need be; NULL: no memory. Called with the lock held. */
static struct joint *joint_at(struct reading *r, const struct span *it, uint64_t at)
{
	size_t len = (size_t)unit_len(it, at);
	for (struct joint *j = r->joint; j != NULL; j = j->next) {
		if (j->span == it && j->at == at)
			return j;
	}
	struct joint *j = malloc(sizeof *j + len);
	if (j == NULL)
		return NULL;
	*j = (struct joint){ .next = r->joint, .span = it, .at = at, .len = len, .missing = len };
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

/* n rows of codes as the keeper is given them. */
static int rows_decode(const struct coded *o, const unsigned char *bytes, uint32_t row, uint32_t n,
		       float *out, struct err *e)
{
	if (o->set.coding.narrow) {
		model_coding_blocks(&o->set.coding, bytes, row, n, (unsigned char *)out);
		return 0;
	}
	model_coding_rows(&o->set.coding, bytes, row, n, out);
	return o->low ? model_adapter_add(o->low, row, n, o->set.coding.columns, out, e) : 0;
}

/* Whole units of codes, from row `row` on: decoded by units of the item. */
static int decoded_fill(struct reading *r, const struct span *s, uint32_t row, uint32_t rows,
			const unsigned char *bytes, const struct hands *h, struct err *e)
{
	const struct model_item *it = s->item;
	const struct coded *o = &r->l->coded[it->coded - 1];
	uint64_t width = model_dtype_bytes(it->dtype, it->columns);
	uint32_t unit = (uint32_t)(it->unit_bytes / width),
		 group = (uint32_t)(it->group_bytes / width);
	size_t stored = model_coding_row_bytes(&o->set.coding);
	for (uint32_t done = 0; done < rows;) {
		uint32_t n = group - (row + done) % group;
		n = n < unit ? n : unit;
		n = n < rows - done ? n : rows - done;
		TRY(rows_decode(o, bytes + done * stored, row + done, n, h->value, e));
		TRY(r->l->keeper->fill(r->l->keeper, it, (row + done) * width,
				       (const unsigned char *)h->value, n * width, h->scratch, e));
		done += n;
	}
	return 0;
}

/* Whole units, from byte `at` of the tensor; vectors are completed first. */
static int units_fill(struct reading *r, const struct span *s, uint64_t at,
		      const unsigned char *bytes, uint64_t len, const struct hands *h,
		      struct err *e)
{
	const struct model_item *it = s->item;
	if (it->kind == ITEM_FLOATS)
		return model_floats_give(r->l->keeper, it, bytes, h->scratch, e);
	if (!it->coded)
		return r->l->keeper->fill(r->l->keeper, it, at, bytes, len, h->scratch, e);
	size_t stored = model_coding_row_bytes(&r->l->coded[it->coded - 1].set.coding);
	if (stored == 0)
		return decoded_fill(r, s, 0, it->rows, bytes, h, e);
	return decoded_fill(r, s, (uint32_t)(at / stored), (uint32_t)(len / stored), bytes, h, e);
}

static int join(struct reading *r, const struct span *it, uint64_t unit, uint64_t at,
		const unsigned char *bytes, size_t len, const struct hands *h, struct err *e)
{
	pthread_mutex_lock(&r->lock);
	struct joint *j = joint_at(r, it, unit);
	pthread_mutex_unlock(&r->lock);
	if (j == NULL)
		return err_set(e, ERR_NOMEM, "tensor %s", it->tensor->name);
	memcpy(j->bytes + (at - unit), bytes, len);
	if (!joint_came(r, j, len))
		return 0;
	int result = units_fill(r, it, unit, j->bytes, j->len, h, e);
	free(j);
	return result;
}

/* Bytes [at, at+len) of its tensor. */
static int span_feed(struct reading *r, const struct span *it, uint64_t at,
		     const unsigned char *bytes, uint64_t len, const struct hands *h, struct err *e)
{
	if (it->kept) {
		memcpy(it->kept + at, bytes, len);
		return 0;
	}
	while (len > 0) {
		uint64_t in_group = at % it->group_bytes, in_unit = in_group % it->unit_bytes;
		uint64_t part = it->group_bytes - in_group < len ? it->group_bytes - in_group : len;
		if (in_group + part < it->group_bytes)
			part -= part % it->unit_bytes; /* whole units only */
		if (in_unit == 0 && part > 0) {
			TRY(units_fill(r, it, at, bytes, part, h, e));
		} else {
			part = unit_len(it, at - in_unit) - in_unit;
			part = part < len ? part : len;
			TRY(join(r, it, at - in_unit, at, bytes, (size_t)part, h, e));
		}
		at += part;
		bytes += part;
		len -= part;
	}
	return 0;
}

/* ---- pieces ---- */

static int piece_run(struct reading *r, const struct chunk *p, const struct hands *h, struct err *e)
{
	unsigned char *buffer = h->buffer;
	uint64_t end = p->offset + p->len;
	TRY(source_read(r->source, p->file, p->offset, buffer, p->len, e));
	for (size_t i = p->span; i < r->spans; i++) {
		const struct model_tensor *t = r->span[i].tensor;
		uint64_t from = t->begin > p->offset ? t->begin : p->offset,
			 to = t->begin + t->bytes < end ? t->begin + t->bytes : end;
		if (t->begin >= end || strcmp(t->file, p->file) != 0)
			break;
		if (from < to)
			TRY(span_feed(r, &r->span[i], from - t->begin, buffer + (from - p->offset),
				      to - from, h, e));
	}
	return 0;
}

static void piece_take(struct reading *r, uint32_t i, unsigned worker)
{
	struct err e = { 0 };
	if (i >= atomic_load(&r->failed))
		return;
	const struct chunk *p = &r->piece[i];
	int result = piece_run(r, p, &r->hands[worker], &e);
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
	const struct model_tensor *x = ((const struct span *)a)->tensor,
				  *y = ((const struct span *)b)->tensor;
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
		const struct model_tensor *t = r->span[i].tensor;
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

/* An item's tensor. Codes: in as many rows as the item's units have, or all at once. */
static struct span span_of(const struct loader *l, const struct model_item *it)
{
	struct span s = { .tensor = it->tensor,
			  .item = it,
			  .group_bytes = it->group_bytes,
			  .unit_bytes = it->unit_bytes };
	if (!it->coded)
		return s;
	uint64_t stored = model_coding_row_bytes(&l->coded[it->coded - 1].set.coding),
		 width = model_dtype_bytes(it->dtype, it->columns);
	s.group_bytes = stored ? it->group_bytes / width * stored : it->tensor->bytes;
	s.unit_bytes = stored ? it->unit_bytes / width * stored : it->tensor->bytes;
	return s;
}

static void beside_list(struct reading *r, const struct coded *o)
{
	for (int p = 0; p < CODING_PARTS; p++)
		if (o->set.beside[p])
			r->span[r->spans++] =
				(struct span){ .tensor = o->set.beside[p], .kept = o->kept[p] };
}

static int phase_list(struct reading *r, int phase)
{
	r->spans = r->pieces = 0;
	for (size_t i = 0; i < r->l->plan.count; i++) {
		if (r->l->plan.item[i].phase == phase)
			r->span[r->spans++] = span_of(r->l, &r->l->plan.item[i]);
	}
	for (size_t i = 0; phase == 0 && i < r->l->coded_count; i++)
		beside_list(r, &r->l->coded[i]);
	if (r->spans > 1)
		qsort(r->span, r->spans, sizeof *r->span, by_place);
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
	return phase == 0 ? model_coded_open(r->l) : 0;
}

/* The largest unit of codes when decoded. */
static size_t value_bytes(const struct loader *l)
{
	uint64_t most = 0;
	for (size_t i = 0; i < l->plan.count; i++)
		if (l->plan.item[i].coded && l->plan.item[i].unit_bytes > most)
			most = l->plan.item[i].unit_bytes;
	return (size_t)most;
}

static int hands_open(struct reading *r)
{
	unsigned threads = pool_threads(r->l->order->pool);
	size_t value = value_bytes(r->l),
	       room = (SOURCE_GRANULE + r->l->scratch_bytes + 63) / 64 * 64;
	r->span = calloc(r->l->plan.count + CODING_PARTS * r->l->coded_count + 1, sizeof *r->span);
	r->hands = calloc(threads, sizeof *r->hands);
	if (r->span == NULL || r->hands == NULL)
		return err_set(r->l->e, ERR_NOMEM, "buffers");
	for (unsigned i = 0; i < threads; i++) {
		struct hands *h = &r->hands[i];
		h->buffer = aligned_alloc(64, room);
		h->value = aligned_alloc(64, (value + 64) / 64 * 64);
		if (h->buffer == NULL || h->value == NULL)
			return err_set(r->l->e, ERR_NOMEM, "buffers");
		h->scratch = h->buffer + SOURCE_GRANULE;
	}
	return model_coded_place(r->l);
}

static void hands_close(struct reading *r)
{
	for (unsigned i = 0; r->hands != NULL && i < pool_threads(r->l->order->pool); i++) {
		free(r->hands[i].buffer);
		free(r->hands[i].value);
	}
	while (r->joint != NULL) {
		struct joint *next = r->joint->next;
		free(r->joint);
		r->joint = next;
	}
	free(r->hands);
	free(r->span);
	free(r->piece);
}

int model_plan_read(struct loader *l)
{
	struct reading r = { .l = l, .source = l->tensors->source, .failed = UINT32_MAX };
	pthread_mutex_init(&r.lock, NULL);
	int result = hands_open(&r);
	for (int phase = 0; result == 0 && phase < ITEM_PHASES; phase++)
		result = phase_run(&r, phase);
	if (result == 0)
		result = model_scalars_read(l, r.hands[0].scratch);
	hands_close(&r);
	pthread_mutex_destroy(&r.lock);
	return result;
}
