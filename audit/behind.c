/* What the journal holds goes into the database and into log/ behind the answers, by one thread,
 * many batches at once.
 *
 *   rows, workers, head and its checkpoint in one transaction   audit.committed     durable
 *   tiles written, and the root computed again from them        audit.bundle, audit.tile,
 *                                                               audit.verified
 *   checkpoint renamed into the folder                          audit.checkpoint
 *   now and then: files synced, and noted                       audit.synced, audit.settled
 *   before that, where few are left: keys of records to come     audit.stocked      durable
 *
 * It begins LOG_BEHIND_MS after the first batch that waits, or with LOG_BEHIND_RECORDS records, or
 * when somebody asks: a reader in this process (audit_behind_drain), a batch that goes into the
 * database itself, the journal without room. Readers in others wait for it: audit/replay.c.
 *
 * A frame leaves memory, and its place in the journal, when all of that is done. Where it fails,
 * the log takes nothing more (audit/fault.c), and what is in the journal is taken from there. */
#include "audit/log_in.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#define AGAIN_MS 20 /* after something that may pass */

/* ---- into the database ---- */

static int insert_record(struct store_tx *tx, uint64_t index, const struct frame_record *r,
			 struct err *e)
{
	struct entry_row row = { .index = index,
				 .leaf = audit_tree_leaf(r->entry, r->entry_len),
				 .type = r->type,
				 .worker = r->worker,
				 .n = r->n,
				 .bytes = r->entry,
				 .len = r->entry_len };
	const struct buf cipher = { .bytes = (char *)(uintptr_t)r->cipher, .len = r->cipher_len };

	TRY(audit_log_entry_insert(tx, &row, e));
	return audit_vault_put(tx, index, r->key_id, &cipher, e);
}

int audit_behind_insert(struct store_tx *tx, const struct frame *f, bool last, struct err *e)
{
	struct frame_cursor c = audit_frame_read(f, &f->bytes);
	struct frame_record r;
	struct frame_worker w;
	uint64_t index = f->before;
	int rc;

	while ((rc = audit_frame_next(&c, &r, e)) == 1)
		TRY(insert_record(tx, index++, &r, e));
	while (rc == 0 && last && (rc = audit_frame_next_worker(&c, &w, e)) == 1)
		rc = audit_workers_note(tx, w.worker, w.whole, w.reserved, NULL, e);
	return rc;
}

static int insert_frames(struct audit_log *log, struct store_tx *tx, const struct frame *first,
			 const struct frame *last, bool clock, struct err *e)
{
	struct digest root;
	uint64_t size = 0;

	TRY(audit_log_head_read(tx, &size, &root, e));
	if (size != first->before)
		return err_set(e, ERR_IO,
			       "the database's head is at %llu, the journal's next batch at %llu",
			       (unsigned long long)size, (unsigned long long)first->before);
	for (const struct frame *f = first;; f = f->next) {
		TRY(audit_behind_insert(tx, f, f == last, e));
		if (f == last)
			break;
	}
	if (clock)
		TRY(audit_clock_write(log, tx, e));
	TRY(audit_log_head_update(tx, last->after, &last->root, &last->note, first->before, e));
	return audit_guard_cover(log, tx, last->after, &last->root, e);
}

int audit_behind_commit(struct audit_log *log, const struct frame *first, const struct frame *last,
			bool clock, struct err *e)
{
	struct store_tx *tx;

	TRY(store_write(log->store, &tx, e));
	int rc = insert_frames(log, tx, first, last, clock, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	if (rc == 0)
		env_step(log->env, "audit.committed");
	return rc;
}

/* ---- into the folder ---- */

static int add_frame(struct audit_log *log, const struct frame *f, struct err *e)
{
	struct frame_cursor c = audit_frame_read(f, &f->bytes);
	struct frame_record r;
	int rc;

	while ((rc = audit_frame_next(&c, &r, e)) == 1)
		TRY(audit_edge_add(log->edge, log->dir, log->env, r.entry, r.entry_len, e));
	return rc;
}

static int write_files(struct audit_log *log, const struct frame *first, const struct frame *last,
		       struct err *e)
{
	for (const struct frame *f = first;; f = f->next) {
		TRY(add_frame(log, f, e));
		if (f == last)
			break;
	}
	TRY(audit_edge_flush(log->edge, log->dir, log->env, e));
	TRY(audit_log_verify_stored(log, &last->root, e));
	TRY(audit_log_put_checkpoint(log, &last->note, e));
	measure_gauge_set(&log->measures.checkpoint_us, env_now_us(log->env));
	return 0;
}

/* ---- the frames that wait; called and left with `lock` held ---- */

uint64_t audit_behind_oldest(struct audit_log *log)
{
	pthread_mutex_lock(&log->lock);
	uint64_t at = log->behind.first ? log->behind.first->offset : UINT64_MAX;
	pthread_mutex_unlock(&log->lock);
	return at;
}

void audit_behind_add(struct audit_log *log, struct frame *f)
{
	struct behind *b = &log->behind;

	f->next = NULL;
	if (b->last)
		b->last->next = f;
	else
		b->first = f;
	if (!b->last)
		b->since_us = env_wait_us();
	b->last = f;
	b->records += f->after - f->before;
	if (!b->busy && (b->first == f || b->records >= LOG_BEHIND_RECORDS))
		pthread_cond_signal(&b->wake);
}

void audit_behind_forget(struct audit_log *log)
{
	struct behind *b = &log->behind;

	audit_frame_free(b->first);
	b->first = b->last = NULL;
	b->records = 0;
}

static void drop_through(struct audit_log *log, struct frame *last)
{
	struct behind *b = &log->behind;
	struct frame *first = b->first;

	b->first = last->next;
	if (!b->first)
		b->last = NULL;
	b->records = b->first ? b->last->after - b->first->before : 0;
	b->since_us = env_wait_us();
	log->laid = last->after;
	buf_free(&log->laid_note);
	log->laid_note = last->note;
	last->note = (struct buf){ 0 };
	last->next = NULL;
	audit_frame_free(first);
}

/* ---- the thread ---- */

static struct timespec at_us(int64_t us)
{
	return (struct timespec){ us / 1000000, us % 1000000 * 1000 };
}

static bool has_work(const struct audit_log *log) { return log->behind.first && !log->failed; }

/* Until there is work, and it is time for it. false: the log closes. */
static bool wait_for_work(struct audit_log *log)
{
	struct behind *b = &log->behind;

	for (;;) {
		if (b->ending)
			return false;
		if (!has_work(log)) {
			pthread_cond_wait(&b->wake, &log->lock);
			continue;
		}
		int64_t due = b->since_us + LOG_BEHIND_MS * 1000;
		if (b->urgent || b->records >= LOG_BEHIND_RECORDS || env_wait_us() >= due)
			return true;
		const struct timespec until = at_us(due);
		pthread_cond_timedwait(&b->wake, &log->lock, &until);
	}
}

/* A busy database, or no memory, are no fault: the frames are durable. Who waits is told. */
static void put_off(struct audit_log *log, int rc, const struct err *why)
{
	struct behind *b = &log->behind;

	b->put_off++;
	b->why_rc = rc;
	b->why = *why;
	pthread_cond_broadcast(&log->moved);
	const struct timespec until = at_us(env_wait_us() + AGAIN_MS * 1000);

	pthread_cond_timedwait(&log->behind.wake, &log->lock, &until);
}

/* Once the rows are there the files must follow, or an opening writes them. */
static int lay(struct audit_log *log, const struct frame *first, const struct frame *last,
	       struct err *e)
{
	TRY(audit_behind_commit(log, first, last, true, e));
	int rc = write_files(log, first, last, e);
	return rc == ERR_NOMEM || rc == ERR_UNAVAILABLE ? err_set(e, ERR_IO, "%s", e->text) : rc;
}

static void lay_once(struct audit_log *log)
{
	struct behind *b = &log->behind;
	struct frame *first = b->first, *last = b->last;
	struct err err = { 0 };

	b->busy = true;
	b->urgent = false;
	pthread_mutex_unlock(&log->lock);
	int rc = lay(log, first, last, &err);
	pthread_mutex_lock(&log->lock);
	b->busy = false;
	if (rc == 0)
		drop_through(log, last);
	else if (rc == ERR_UNAVAILABLE || rc == ERR_NOMEM)
		put_off(log, rc, &err);
	else
		audit_log_fail(log, &err);
	pthread_cond_broadcast(&log->moved);
	if (rc == 0)
		audit_log_settle_behind(log);
}

/* Keys for batches to come. Called and left with `lock` held. */
static void stock_keys(struct audit_log *log)
{
	struct err err = { 0 };

	if (!audit_vault_keys_low(log))
		return;
	log->behind.busy = true;
	pthread_mutex_unlock(&log->lock);
	int rc = audit_vault_keys_stock(log, &err);
	pthread_mutex_lock(&log->lock);
	log->behind.busy = false;
	if (rc < 0 && rc != ERR_UNAVAILABLE && rc != ERR_NOMEM)
		audit_log_fail(log, &err);
}

static void *behind_main(void *arg)
{
	struct audit_log *log = arg;

	pthread_mutex_lock(&log->lock);
	while (wait_for_work(log)) {
		stock_keys(log);
		lay_once(log);
	}
	pthread_mutex_unlock(&log->lock);
	return NULL;
}

/* The signals of a program are its own threads' business. */
int audit_behind_start(struct audit_log *log, struct err *e)
{
	struct behind *b = &log->behind;
	sigset_t all, before;

	if (b->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	b->running = pthread_create(&b->thread, NULL, behind_main, log) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return b->running ? 0 : err_set(e, ERR_NOMEM, "no thread for the log");
}

void audit_behind_open(struct audit_log *log)
{
	pthread_condattr_t how;

	pthread_condattr_init(&how);
	pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
	pthread_cond_init(&log->behind.wake, &how);
	pthread_condattr_destroy(&how);
}

void audit_behind_close(struct audit_log *log)
{
	struct behind *b = &log->behind;

	pthread_mutex_lock(&log->lock);
	b->ending = true;
	pthread_cond_signal(&b->wake);
	pthread_mutex_unlock(&log->lock);
	if (b->running)
		pthread_join(b->thread, NULL);
	b->running = false;
	audit_behind_forget(log);
	pthread_cond_destroy(&b->wake);
}

/* ---- waiting for it ---- */

/* Not for ever, beside a database that another program keeps: an attempt that began after the
 * caller came was put off. false: that. Called and left with `lock` held. */
static bool wait_more(struct audit_log *log, uint64_t put_off)
{
	struct behind *b = &log->behind;

	if (b->put_off - put_off >= 2)
		return false;
	b->urgent = true;
	pthread_cond_signal(&b->wake);
	pthread_cond_wait(&log->moved, &log->lock);
	return true;
}

int audit_behind_wait(struct audit_log *log, uint64_t oldest, struct err *e)
{
	struct behind *b = &log->behind;
	int rc = 0;

	pthread_mutex_lock(&log->lock);
	uint64_t put_off = b->put_off;
	while (rc == 0 && has_work(log) && b->first->offset == oldest)
		if (!wait_more(log, put_off))
			rc = err_set(e, b->why_rc, "%s", b->why.text);
	if (log->failed)
		rc = audit_log_refuse(log, e);
	pthread_mutex_unlock(&log->lock);
	return rc;
}

int audit_behind_drain(struct audit_log *log, struct err *e)
{
	struct behind *b = &log->behind;

	pthread_mutex_lock(&log->lock);
	uint64_t size = log->size, put_off = b->put_off;
	int rc = 0;
	while (rc == 0 && log->laid < size && !log->failed)
		if (!wait_more(log, put_off))
			rc = err_set(e, b->why_rc, "%s", b->why.text);
	if (log->laid < size && log->failed)
		rc = audit_log_refuse(log, e);
	pthread_mutex_unlock(&log->lock);
	return rc;
}
