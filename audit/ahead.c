/* A batch of sealed records goes ahead of the database: into the journal, and that is its commit
 * point.
 *
 *   keys of its records                    audit.keys        durable in keys.db, as for any batch
 *   entries and ciphertexts made; the tree in memory takes them; the checkpoint is signed
 *   frame written, read back               audit.written
 *   frame durable: the commit point        audit.journaled   the waiting requests are answered
 *   behind all that: audit/behind.c
 *
 * So an answer waits for the disk once, for bytes that lie together in a file that does not grow.
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

static bool is_there(struct pending *const *batch, size_t at)
{
	const struct pending *p = batch[at];

	for (size_t i = 0; i < at; i++)
		if (batch[i]->rc == 0 && batch[i]->record.from->n == p->record.from->n)
			return true;
	return audit_numbers_has(&p->worker->numbers, p->record.from->n);
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

static int fill(struct audit_log *log, struct frame *f, struct merkle *m,
		struct pending *const *batch, size_t count, struct err *e)
{
	struct buf sealed = { 0 };
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += batch[i]->record.plain.len + RECORD_BYTES;
	buf_reserve(&f->bytes, bytes); /* growing would copy it */
	audit_frame_begin(f, m->count, &log->root);
	for (size_t i = 0; i < count; i++) {
		struct pending *p = batch[i];
		buf_clear(&sealed);
		if (is_there(batch, i))
			p->rc = audit_log_number_taken(p, &p->err);
		else
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

static int extend_tree(struct audit_log *log, struct frame *f, struct pending *const *batch,
		       size_t count, struct err *e)
{
	catch_up(log);
	pthread_mutex_lock(&log->lock);
	log->ahead->reach = log->laid;
	pthread_mutex_unlock(&log->lock);
	for (size_t i = 0; i < count; i++)
		if (batch[i]->rc == 0)
			audit_edge_add_leaf(log->ahead, &batch[i]->receipt.leaf);
	struct digest root = audit_edge_root(log->ahead);
	if (!digest_equal(&root, &f->root))
		return err_set(e, ERR_VERIFY,
			       "the edge of the tree does not have the root of its entries");
	TRY(audit_log_contains(log, log->ahead, log->size, &log->root, e));
	TRY(audit_log_sign(log, log->ahead->size, &f->root, &f->note, e));
	env_step(log->env, "audit.signed");
	return 0;
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
static int read_back(struct audit_log *log, const struct frame *f, struct err *e)
{
	struct frame_cursor c = audit_frame_read(f, &log->journal.again);
	struct merkle m = log->merkle;
	struct frame_record r;
	int rc;

	while ((rc = audit_frame_next(&c, &r, e)) == 1) {
		struct digest leaf = audit_tree_leaf(r.entry, r.entry_len);
		merkle_add(&m, &leaf);
	}
	TRY(rc);
	struct digest root = merkle_root(&m);
	if (log->journal.again.len == f->bytes.len &&
	    memcmp(log->journal.again.bytes, f->bytes.bytes, f->bytes.len) == 0 &&
	    digest_equal(&root, &f->root))
		return 0;
	return err_set(e, ERR_VERIFY, "the journal does not give back what was written to it");
}

static int write_frame(struct audit_log *log, struct frame *f, struct err *e)
{
	struct log_worker *w = &log->self;
	struct frame_worker note = { w->id, audit_numbers_whole(&w->numbers), 0 };

	note.reserved = audit_worker_reserving(log, w);
	audit_frame_end(f, &note, 1, log->journal.key);
	TRY(buf_done(&f->bytes, e));
	TRY(find_place(log, f, e));
	TRY(audit_journal_put(&log->journal, f, e));
	TRY(read_back(log, f, e));
	env_step(log->env, "audit.written");
	TRY(audit_journal_sync(&log->journal, e));
	env_step(log->env, "audit.journaled");
	return 0;
}

/* ---- the whole ---- */

/* What is durable becomes the log, for this process and for who is answered. Takes the frame. */
static int take(struct audit_log *log, struct frame **f, const struct merkle *m, struct err *e)
{
	struct buf note = { 0 };

	buf_add(&note, (*f)->note.bytes, (*f)->note.len);
	int rc = buf_done(&note, e);
	if (rc < 0) {
		buf_free(&note);
		return rc;
	}
	pthread_mutex_lock(&log->lock);
	buf_free(&log->checkpoint);
	log->checkpoint = note;
	log->size = (*f)->after;
	log->root = (*f)->root;
	audit_behind_add(log, *f);
	pthread_mutex_unlock(&log->lock);
	log->merkle = *m;
	*f = NULL;
	return 0;
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

static int commit(struct audit_log *log, struct frame **f, struct pending *const *batch,
		  size_t count, bool *fatal, struct err *e)
{
	struct merkle m = log->merkle;

	TRY(audit_clock_check(log, e));
	TRY(audit_behind_start(log, e));
	TRY(audit_vault_keys_get(log, batch, count, e));
	TRY(have_journal(log, e));
	TRY(fill(log, *f, &m, batch, count, e));
	if ((*f)->after == (*f)->before)
		return 0;
	*fatal = true;
	TRY(extend_tree(log, *f, batch, count, e));
	TRY(write_frame(log, *f, e));
	audit_log_note_numbers(log, batch, count);
	TRY(take(log, f, &m, e));
	*fatal = false;
	return 0;
}

int audit_ahead_make_durable(struct audit_log *log, struct pending *const *batch, size_t count,
			     bool *fatal, struct err *e)
{
	int64_t time_us = log->last_time_us;
	struct frame *f = calloc(1, sizeof *f);

	if (!f)
		return err_set(e, ERR_NOMEM, "out of memory");
	int rc = commit(log, &f, batch, count, fatal, e);
	*fatal |= rc == ERR_IO || rc == ERR_VERIFY || store_poisoned(log->keys);
	log->fresh_doubt |= log->sealing && (rc < 0 || !audit_log_is_whole(batch, count));
	audit_vault_keys_drop(log, batch, count);
	if (rc == 0 && !f)
		audit_log_prove(log, log->ahead, batch, count);
	if (rc < 0)
		log->last_time_us = time_us;
	audit_frame_free(f);
	return rc;
}
