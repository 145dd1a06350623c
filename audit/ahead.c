/* A batch of sealed records goes ahead of the database: into the journal, and that is its commit
 * point.
 *
 *   keys of its records                    audit.keys        durable in keys.db, as for any batch
 *   entries and ciphertexts made; the tree in memory takes them; the checkpoint is signed
 *                                          audit.signed
 *   proofs for who waits; it is in flight: audit/flight.c
 *   frame written, read back               audit.written
 *   frame durable: the commit point        audit.journaled   the waiting requests are answered
 *   behind all that: audit/behind.c
 *
 * So an answer waits for the disk once, for bytes that lie together in a file that does not grow,
 * and what comes before audit.written is done while the disk is busy with the batch before it.
 * It needs nothing of the database: that a number is in the log already is known from the worker's
 * numbers, the tree from its edge in memory. What needs more goes into the database at once, after
 * all that the journal holds (make_durable in audit/append.c): records with rows of a hook, starts
 * and stops, erasures, records of guests.
 *
 * Nothing is answered that was not read back: the entries' hashes are computed again from the bytes
 * that the file gives back, and must have the root that was signed. A frame that fails after it
 * began to be written is made no frame before anything else is done: audit/fault.c. */
#include "audit/log_in.h"

#include <stdlib.h>
#include <string.h>

bool audit_ahead_takes(const struct audit_log *log, const struct pending *p)
{
	const struct audit_hook *h = &log->hook;
	const char *type = p->record.from->type;

	return log->journaled && p->worker == &log->self && p->worker->reserved &&
	       !p->worker->numbers.unsure && p->record.committed && !p->erase && !p->with &&
	       p->record.plain.len <= JOURNAL_FRAME_BYTES &&
	       !(h->apply && (!h->concerns || h->concerns(type)));
}

/* ---- the frame ---- */

#define RECORD_BYTES 1024 /* of an entry and what is said of it, mostly less */

static bool has_number(const struct flight *x, uint64_t n)
{
	for (size_t i = 0; i < x->in; i++)
		if (x->n[i] == n)
			return true;
	return false;
}

/* Which of the batch have a number that the log has, or what is in flight, or an earlier of it. */
static int find_taken(struct audit_log *log, struct flight *x, struct err *e)
{
	const struct numbers *in = &log->self.numbers;

	pthread_mutex_lock(&log->lock);
	bool unsure = in->unsure;
	for (size_t i = 0; i < x->count && !unsure; i++) {
		struct pending *p = x->batch[i];
		uint64_t n = p->record.from->n;
		bool there = audit_numbers_has(in, n) || has_number(x, n);
		for (const struct flight *f = log->flights.first; f && !there; f = f->next)
			there = has_number(f, n);
		if (there)
			p->rc = audit_log_number_taken(p, &p->err);
		else
			x->n[x->in++] = n;
	}
	pthread_mutex_unlock(&log->lock);
	return unsure ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

static int add_record(struct audit_log *log, struct frame *f, struct merkle *m, struct pending *p,
		      struct buf *sealed)
{
	buf_reserve(&p->entry, RECORD_BYTES / 2);
	TRY(audit_log_make_entry(log, p, f->after, sealed, &p->err));
	audit_frame_record(f, &(struct frame_record){ .n = p->receipt.n,
						      .type = p->record.from->type,
						      .worker = p->worker->id,
						      .key_id = p->key->id,
						      .entry = p->entry.bytes,
						      .cipher = sealed->bytes,
						      .entry_len = p->entry.len,
						      .cipher_len = sealed->len });
	merkle_add(m, &p->receipt.leaf);
	return 0;
}

static size_t room_for(const struct flight *x)
{
	size_t bytes = 0;

	for (size_t i = 0; i < x->count; i++)
		bytes += x->batch[i]->record.plain.len + RECORD_BYTES;
	return bytes;
}

static int fill(struct audit_log *log, struct flight *x, struct merkle *m, struct err *e)
{
	struct frame *f = x->frame;
	struct buf sealed = { 0 };
	struct digest base = merkle_root(m);

	buf_reserve(&f->bytes, room_for(x)); /* growing would copy it */
	audit_frame_begin(f, m->count, &base);
	for (size_t i = 0; i < x->count; i++) {
		struct pending *p = x->batch[i];
		buf_clear(&sealed);
		if (p->rc == 0)
			p->rc = add_record(log, f, m, p, &sealed);
	}
	buf_free(&sealed);
	f->root = merkle_root(m);
	return buf_done(&f->bytes, e);
}

/* ---- the tree ---- */

/* Nothing waits for the database when the edge in memory is behind: then the other is whole. */
static void catch_up(struct audit_log *log)
{
	struct edge *ahead = log->ahead;

	if (ahead->size == log->merkle.count)
		return;
	struct buf none = { 0 };
	*ahead = *log->edge;
	ahead->bundle = none; /* the other's */
}

/* It must continue what was acknowledged; what is in flight between them did, too. */
static int extend_tree(struct audit_log *log, struct flight *x, struct err *e)
{
	struct frame *f = x->frame;

	catch_up(log);
	pthread_mutex_lock(&log->lock);
	log->ahead->reach = log->laid;
	uint64_t size = log->size;
	struct digest acknowledged = log->root;
	pthread_mutex_unlock(&log->lock);
	for (size_t i = 0; i < x->count; i++)
		if (x->batch[i]->rc == 0)
			audit_edge_add_leaf(log->ahead, &x->batch[i]->receipt.leaf);
	struct digest root = audit_edge_root(log->ahead);
	if (!digest_equal(&root, &f->root))
		return err_set(e, ERR_VERIFY,
			       "the edge of the tree does not have the root of its entries");
	TRY(audit_log_contains(log, log->ahead, size, &acknowledged, e));
	TRY(audit_log_sign(log, log->ahead->size, &f->root, &f->note, e));
	env_step(log->env, "audit.signed");
	return 0;
}

/* ---- a batch in flight ---- */

void audit_flight_free(struct flight *x)
{
	if (!x)
		return;
	audit_frame_free(x->frame);
	buf_free(&x->note);
	free(x->batch);
	free(x->n);
	free(x);
}

static struct flight *new_flight(struct pending *const *batch, size_t count)
{
	struct flight *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->frame = calloc(1, sizeof *x->frame);
	x->batch = calloc(count, sizeof(*x->batch));
	x->n = calloc(count, sizeof *x->n);
	if (!x->frame || !x->batch || !x->n) {
		audit_flight_free(x);
		return NULL;
	}
	memcpy(x->batch, batch, count * sizeof(*batch));
	x->count = count;
	return x;
}

/* Its workers and its checkpoint end the frame. */
static int end_frame(struct audit_log *log, struct flight *x, struct err *e)
{
	struct log_worker *w = &log->self;
	struct frame_worker note = { .worker = w->id };

	x->reserving = note.reserved = audit_worker_reserving(log, w);
	pthread_mutex_lock(&log->lock);
	note.whole = audit_numbers_whole(&w->numbers);
	pthread_mutex_unlock(&log->lock);
	audit_frame_end(x->frame, &note, 1, log->journal.key);
	TRY(buf_done(&x->frame->bytes, e));
	buf_add(&x->note, x->frame->note.bytes, x->frame->note.len);
	return buf_done(&x->note, e);
}

static int prepare(struct audit_log *log, struct flight *x, bool *fatal, struct err *e)
{
	struct merkle m = log->merkle;

	TRY(audit_clock_check(log, e));
	TRY(audit_behind_start(log, e));
	TRY(audit_flight_start(log, e));
	TRY(audit_vault_keys_get(log, x->batch, x->count, e));
	TRY(find_taken(log, x, e));
	TRY(fill(log, x, &m, e));
	if (x->frame->after == x->frame->before)
		return 0;
	*fatal = true;
	TRY(extend_tree(log, x, e));
	TRY(end_frame(log, x, e));
	*fatal = false;
	x->before = log->merkle;
	log->merkle = m;
	audit_log_prove(log, log->ahead, &x->note, x->batch, x->count);
	return 0;
}

int audit_ahead_prepare(struct audit_log *log, struct pending *const *batch, size_t count,
			struct flight **out, bool *fatal, struct err *e)
{
	int64_t time_us = log->last_time_us;
	struct flight *x = new_flight(batch, count);

	*out = NULL;
	if (!x)
		return err_set(e, ERR_NOMEM, "out of memory");
	int rc = prepare(log, x, fatal, e);
	*fatal |= rc == ERR_IO || rc == ERR_VERIFY || store_poisoned(log->keys);
	log->fresh_doubt |= log->sealing && (rc < 0 || !audit_log_is_whole(batch, count));
	audit_vault_keys_drop(log, batch, count);
	if (rc < 0)
		log->last_time_us = time_us;
	if (rc == 0 && x->frame->after > x->frame->before)
		*out = x;
	else
		audit_flight_free(x);
	return rc;
}

/* ---- the file ---- */

static int find_place(struct audit_log *log, struct frame *f, struct err *e)
{
	struct journal *j = &log->journal;

	for (;;) {
		uint64_t oldest = audit_behind_oldest(log);
		if (audit_journal_place(j, f->bytes.len, oldest, &f->offset))
			return 0;
		if (audit_journal_may_grow(j, oldest))
			TRY(audit_journal_grow(j, e));
		else
			TRY(audit_behind_wait(log, oldest, e));
	}
}

/* The entries as the file has them must have the root. */
static int read_back(const struct journal *j, const struct flight *x, struct err *e)
{
	const struct frame *f = x->frame;
	struct frame_cursor c = audit_frame_read(f, &j->again);
	struct merkle m = x->before;
	struct frame_record r;
	int rc;

	while ((rc = audit_frame_next(&c, &r, e)) == 1) {
		struct digest leaf = audit_tree_leaf(r.entry, r.entry_len);
		merkle_add(&m, &leaf);
	}
	TRY(rc);
	struct digest root = merkle_root(&m);
	if (j->again.len == f->bytes.len &&
	    memcmp(j->again.bytes, f->bytes.bytes, f->bytes.len) == 0 &&
	    digest_equal(&root, &f->root))
		return 0;
	return err_set(e, ERR_VERIFY, "the journal does not give back what was written to it");
}

/* Where it was removed, replaced or cut off under us, what it held goes into the database, and a
 * new one is made: a frame in it would not be found after a crash. */
static int have_journal(struct audit_log *log, struct err *e)
{
	struct journal *j = &log->journal;

	if (j->fd >= 0 && !audit_journal_in_place(j)) {
		TRY(audit_behind_drain(log, e));
		TRY(audit_journal_leave(j, e));
	}
	return audit_journal_make(j, e);
}

int audit_ahead_write(struct audit_log *log, struct flight *x, struct err *e)
{
	struct journal *j = &log->journal;

	TRY(have_journal(log, e));
	TRY(find_place(log, x->frame, e));
	TRY(audit_journal_put(j, x->frame, e));
	TRY(read_back(j, x, e));
	env_step(log->env, "audit.written");
	TRY(audit_journal_sync(j, e));
	env_step(log->env, "audit.journaled");
	return 0;
}
