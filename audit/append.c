/* Appending with group commit.
 *
 * Threads queue; one of them leads: it takes up to LOG_BATCH_MAX of the queue, puts them into one
 * transaction, writes their tiles, signs them, commits all of it at once (the commit point; the one
 * time that it waits for the disk), publishes the checkpoint and wakes the others. What queues
 * meanwhile is the next batch, so a batch waits for nothing but the one before it. Each thread is
 * woken when its record is done, or to lead, not whenever a batch is, and not under the lock. A
 * record that the hook refuses is undone alone, by its savepoint. Now and then the thread that led
 * makes the files durable, while another leads. After a failed write or fsync nothing more is taken
 * until the log was opened again: audit/fault.c.
 *
 * Of a log with a journal sealed records go another way, and the next batch is made ready while one
 * is written: audit/ahead.c, audit/flight.c. */
#include "audit/log_in.h"

#include "base/check.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* ---- one record, inside the transaction ---- */

int audit_log_number_taken(const struct pending *p, struct err *e)
{
	return err_set(e, ERR_CONFLICT, "record %llu of worker %s is in the log already",
		       (unsigned long long)p->record.from->n, p->worker->id);
}

int audit_log_entry_insert(struct store_tx *tx, const struct entry_row *row, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(
		tx,
		"INSERT INTO log_entry(idx, leaf, type, worker, n, entry) VALUES($1, $2, $3, $4, $5, $6)",
		&st, e));
	store_bind_i64(st, 1, (int64_t)row->index);
	store_bind_blob(st, 2, row->leaf.bytes, 32);
	store_bind_text(st, 3, row->type);
	store_bind_text(st, 4, row->worker);
	store_bind_i64(st, 5, (int64_t)row->n);
	store_bind_blob(st, 6, row->bytes, row->len);
	int rc = store_run(st, e);
	if (rc == ERR_CONFLICT)
		return err_set(e, rc, "record %llu of worker %s is in the log already",
			       (unsigned long long)row->n, row->worker);
	return rc;
}

/* Whether the hook has rows for such an entry. */
static bool is_hooked(const struct audit_log *log, const char *type)
{
	const struct audit_hook *h = &log->hook;

	return h->apply && (!h->concerns || h->concerns(type));
}

static int run_hook(struct audit_log *log, struct store_tx *tx, uint64_t index,
		    const struct buf *entry, struct err *e)
{
	json_t *parsed;

	TRY(json_read(&parsed, entry->bytes, entry->len, LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH, e));
	int rc = log->hook.apply(log->hook.ctx, tx, index, parsed, e);
	json_decref(parsed);
	return rc < 0 ? rc : 0;
}

int audit_log_make_entry(struct audit_log *log, struct pending *p, uint64_t index,
			 struct buf *sealed, struct err *e)
{
	struct digest cipher;
	int64_t now = env_now_us(log->env);

	now = now > log->last_time_us ? now : log->last_time_us;
	if (p->record.committed)
		TRY(audit_vault_seal(log, index, p, sealed, &cipher, e));
	TRY(audit_record_entry(&p->record, p->worker->id, p->record.from->n, now,
			       p->record.committed ? &cipher : NULL, &p->entry, e));
	p->receipt = (struct audit_receipt){ index, p->record.from->n,
					     audit_tree_leaf(p->entry.bytes, p->entry.len) };
	log->last_time_us = now;
	return 0;
}

static int insert_entry(struct store_tx *tx, struct pending *p, struct err *e)
{
	struct entry_row row = { .index = p->receipt.index,
				 .leaf = p->receipt.leaf,
				 .type = p->record.from->type,
				 .worker = p->worker->id,
				 .n = p->receipt.n,
				 .bytes = p->entry.bytes,
				 .len = p->entry.len };

	return audit_log_entry_insert(tx, &row, e);
}

static int insert_parts(struct audit_log *log, struct store_tx *tx, struct pending *p,
			uint64_t index, struct err *e)
{
	struct buf sealed = { 0 };
	const char *type = p->record.from->type;
	int rc = 0;

	if (p->erase)
		TRY(audit_vault_erase_rows(tx, p, e));
	TRY_OUT(audit_log_make_entry(log, p, index, &sealed, e));
	TRY_OUT(insert_entry(tx, p, e));
	if (p->record.committed)
		TRY_OUT(audit_vault_put(tx, index, p->key->id, &sealed, e));
	TRY_OUT(audit_workers_apply(tx, index, type, p->worker->id, p->record.from->body, e));
	if (is_hooked(log, type))
		rc = run_hook(log, tx, index, &p->entry, e);
out:
	buf_free(&sealed);
	return rc;
}

/* A record whose one part that can be refused comes first has nothing to be undone: with a
 * savepoint SQLite would copy each page that it changes. Any other failure is the batch's. */
static int insert_plain(struct audit_log *log, struct store_tx *tx, struct pending *p,
			uint64_t index, struct err *e)
{
	struct buf sealed = { 0 };
	int rc = 0;

	p->rc = audit_log_make_entry(log, p, index, &sealed, &p->err);
	if (p->rc < 0)
		goto out;
	rc = insert_entry(tx, p, e);
	if (rc == ERR_CONFLICT) {
		p->rc = err_set(&p->err, rc, "%s", e->text);
		rc = 0;
		goto out;
	}
	if (rc == 0)
		rc = audit_vault_put(tx, index, p->key->id, &sealed, e);
out:
	buf_free(&sealed);
	return rc;
}

static int run_once(struct store_tx *tx, const char *sql, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, sql, &st, e));
	return store_run(st, e);
}

static int insert_one(struct audit_log *log, struct store_tx *tx, struct pending *p, uint64_t index,
		      struct err *e)
{
	if (p->record.committed && !p->erase && !is_hooked(log, p->record.from->type))
		return insert_plain(log, tx, p, index, e);
	int64_t time_us = log->last_time_us;
	TRY(run_once(tx, "SAVEPOINT record", e));
	p->rc = insert_parts(log, tx, p, index, &p->err);
	if (p->rc < 0) {
		log->last_time_us = time_us;
		TRY(run_once(tx, "ROLLBACK TO SAVEPOINT record", e));
	}
	return run_once(tx, "RELEASE SAVEPOINT record", e);
}

/* ---- one batch ---- */

/* A batch says of its workers what was whole before it: a lower bound, whatever becomes of the
 * batch. It reserves their next numbers too, so that few are reserved alone. */
static int note_worker(struct audit_log *log, struct store_tx *tx, struct log_worker *w,
		       struct err *e)
{
	bool there;

	TRY(audit_workers_note(tx, w->id, audit_numbers_whole(&w->numbers),
			       audit_worker_reserving(log, w), &there, e));
	w->reserving = there ? w->reserving : 0;
	return 0;
}

static int note_workers(struct audit_log *log, struct store_tx *tx, struct pending *const *batch,
			size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		batch[i]->worker->changed = true;
	for (size_t i = 0; i < count; i++) {
		if (batch[i]->worker->changed)
			TRY(note_worker(log, tx, batch[i]->worker, e));
		batch[i]->worker->changed = false;
	}
	return 0;
}

/* What a batch makes of the log. */
struct extension {
	uint64_t old; /* size before it */
	struct merkle merkle;
	struct digest root;
	struct buf note;
};

static int insert_batch(struct audit_log *log, struct store_tx *tx, struct pending *const *batch,
			size_t count, struct extension *x, struct err *e)
{
	uint64_t size;

	TRY(audit_log_head_read(tx, &size, &x->root, e));
	if (size != x->old)
		return err_set(e, ERR_IO,
			       "the database's head is at %llu, ours at %llu; open the log anew",
			       (unsigned long long)size, (unsigned long long)x->old);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && batch[i - 1]->with == batch[i] && batch[i - 1]->rc < 0)
			batch[i]->rc = batch[i - 1]->rc;
		else
			TRY(insert_one(log, tx, batch[i], size, e));
		if (batch[i]->rc == 0) {
			merkle_add(&x->merkle, &batch[i]->receipt.leaf);
			size++;
		}
	}
	x->root = merkle_root(&x->merkle);
	return 0;
}

/* Files and signature. From here on the edge is ahead of the database, until that commits. */
static int sign_batch(struct audit_log *log, struct pending *const *batch, size_t count,
		      struct extension *x, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (batch[i]->rc == 0)
			TRY(audit_edge_add(log->edge, log->dir, log->env, batch[i]->entry.bytes,
					   batch[i]->entry.len, e));
	return audit_log_sign_edge(log, &x->root, &x->note, e);
}

static int fill_transaction(struct audit_log *log, struct store_tx *tx,
			    struct pending *const *batch, size_t count, struct extension *x,
			    struct err *e)
{
	TRY(insert_batch(log, tx, batch, count, x, e));
	uint64_t size = x->merkle.count;
	if (size == x->old)
		return 0;
	TRY(note_workers(log, tx, batch, count, e));
	TRY(audit_clock_write(log, tx, e));
	TRY(sign_batch(log, batch, count, x, e));
	TRY(audit_log_head_update(tx, size, &x->root, &x->note, x->old, e));
	return audit_guard_cover(log, tx, size, &x->root, e);
}

void audit_log_note_numbers(struct audit_log *log, struct pending *const *batch, size_t count)
{
	pthread_mutex_lock(&log->lock);
	for (size_t i = 0; i < count; i++) {
		if (batch[i]->rc < 0)
			continue;
		audit_numbers_add(&batch[i]->worker->numbers, batch[i]->receipt.n);
		audit_worker_extended(batch[i]->worker, batch[i]->worker->reserving);
	}
	pthread_mutex_unlock(&log->lock);
}

bool audit_log_is_whole(struct pending *const *batch, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (batch[i]->rc < 0)
			return false;
	return true;
}

static int commit_batch(struct audit_log *log, struct pending *const *batch, size_t count,
			struct extension *x, struct err *e)
{
	int64_t time_us = log->last_time_us;
	struct store_tx *tx;

	TRY(audit_clock_check(log, e));
	TRY(audit_vault_keys_get(log, batch, count, e));
	TRY(store_write(log->store, &tx, e));
	int rc = fill_transaction(log, tx, batch, count, x, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	log->fresh_doubt |= log->sealing && (rc < 0 || !audit_log_is_whole(batch, count));
	if (rc < 0) {
		log->last_time_us = time_us;
		return rc;
	}
	log->merkle = x->merkle;
	audit_log_note_numbers(log, batch, count);
	env_step(log->env, "audit.committed");
	return 0;
}

/* Whether the log can go on after this: a busy database or a record that is refused changes
 * nothing, as long as no file was written. */
static bool is_fatal(const struct audit_log *log, const struct extension *x, int rc)
{
	return rc < 0 && (rc == ERR_IO || rc == ERR_VERIFY || store_poisoned(log->store) ||
			  store_poisoned(log->keys) || log->edge->size != x->old);
}

/* Of records whose client waits for it. Where it cannot be made now it is made from the files. */
void audit_log_prove(struct audit_log *log, const struct edge *edge, const struct buf *note,
		     struct pending *const *batch, size_t count)
{
	struct edge_nodes nodes;
	struct tree_reader reader = audit_edge_nodes_reader(&nodes, edge, log->dir);
	struct err ignored;

	for (size_t i = 0; i < count; i++) {
		struct pending *p = batch[i];
		struct buf *proof = p->proven ? &p->proven->proof : NULL;
		if (p->rc == 0 && proof &&
		    audit_proof_make(&reader, p->receipt.index, edge->size, note, NULL, proof,
				     &ignored) < 0)
			buf_free(proof);
	}
	audit_edge_nodes_close(&nodes);
}

/* What the journal holds comes first. Before an erasure it goes, with what is to be erased. */
static int end_journal(struct audit_log *log, bool erase, struct err *e)
{
	TRY(audit_flight_drain(log, e));
	TRY(audit_behind_drain(log, e));
	return erase && log->journal.fd >= 0 ? audit_journal_remove(&log->journal, e) : 0;
}

static int make_durable(struct audit_log *log, struct pending *const *batch, size_t count,
			bool *fatal, struct err *e)
{
	struct extension x = { .old = log->merkle.count, .merkle = log->merkle };
	int destroyed = 0, rc = end_journal(log, batch[0]->erase, e);

	*fatal = rc == ERR_IO;
	TRY(rc);
	rc = commit_batch(log, batch, count, &x, e);
	audit_vault_keys_drop(log, batch, count);
	*fatal = is_fatal(log, &x, rc);
	if (rc < 0)
		goto out;
	if (batch[0]->erase && batch[0]->rc == 0)
		destroyed = audit_vault_destroy(log, &batch[0]->err);
	if (x.note.len)
		rc = audit_log_publish_signed(log, &x.root, &x.note, e);
	*fatal = rc < 0 || destroyed < 0;
	if (rc == 0 && destroyed < 0)
		batch[0]->rc = destroyed;
	if (rc == 0)
		audit_log_prove(log, log->edge, &log->checkpoint, batch, count);
out:
	buf_free(&x.note);
	return rc;
}

/* ---- the queue ---- */

/* Whether a record may stand behind those of the batch. An erasure is a batch of its own, with the
 * record of who asked: it destroys keys that a neighbour would be sealed with. A batch goes through
 * the journal, or none of it does. */
static bool goes_with(const struct audit_log *log, struct pending *p, struct pending *const *batch,
		      size_t count, size_t *bytes)
{
	p->ahead = audit_ahead_takes(log, p);
	*bytes += p->ahead ? p->record.plain.len : 0;
	if (count == 0)
		return true;
	return !p->erase && p->ahead == batch[0]->ahead &&
	       count < (p->ahead ? JOURNAL_BATCH_MAX : LOG_BATCH_MAX) &&
	       *bytes <= JOURNAL_FRAME_BYTES;
}

static size_t take(struct audit_log *log, struct pending *batch[LOG_BATCH_MAX])
{
	size_t count = 0, bytes = 0;

	while (log->first && goes_with(log, log->first, batch, count, &bytes)) {
		struct pending *p = log->first;
		log->first = p->next;
		p->taken = true;
		batch[count++] = p;
		log->queued--;
		if (p->with)
			batch[count++] = p->with;
		if (p->erase)
			break;
	}
	if (!log->first)
		log->last = NULL;
	return count;
}

/* With `lock` held, or a thread that was told to lead too early would find itself neither in the
 * queue nor done. */
void audit_log_finish(struct pending *const *batch, size_t count, int rc, const struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (rc < 0 && batch[i]->rc == 0) {
			batch[i]->rc = rc;
			batch[i]->err = *err;
		}
		atomic_store(&batch[i]->done, true);
	}
}

/* Each is gone as soon as it is woken, with the one that shares its fate and stands behind it. */
void audit_log_wake_batch(struct pending *const *batch, size_t count)
{
	for (size_t i = count; i-- > 0;)
		if (batch[i]->waits)
			sem_post(&batch[i]->woken);
}

/* One at a time, and not before another batch in flight is of use. */
static bool may_lead(const struct audit_log *log)
{
	return !log->leading && (log->failed || audit_flight_wanted(log));
}

void audit_log_wake(struct audit_log *log)
{
	pthread_cond_broadcast(&log->moved);
	if (!log->first || !may_lead(log))
		return;
	log->first->turns++;
	sem_post(&log->first->woken);
}

/* By one thread at a time. */
void audit_log_settle_behind(struct audit_log *log)
{
	struct err why = { 0 };

	if (log->failed || log->settling || log->laid < log->guard.synced + LOG_SETTLE_EVERY)
		return;
	log->settling = true;
	pthread_mutex_unlock(&log->lock);
	int rc = audit_log_settle(log, &why);
	pthread_mutex_lock(&log->lock);
	log->settling = false;
	if (rc < 0 && rc != ERR_UNAVAILABLE && rc != ERR_NOMEM)
		audit_log_fail(log, &why);
}

/* A batch costs the same whatever it holds, so where there are many, those who are about to come go
 * with it: as long as letting others run brings more. Nobody waits for that: where nothing else can
 * run it goes on at once. Called and left with `lock` held. */
#define GATHER_TURNS 4
static void gather(struct audit_log *log)
{
	size_t before = 0;

	if (log->queued < 2 && log->batch_before < 2)
		return;
	log->leading = true;
	for (int i = 0; i < GATHER_TURNS && log->queued > before; i++) {
		before = log->queued;
		pthread_mutex_unlock(&log->lock);
		sched_yield();
		pthread_mutex_lock(&log->lock);
	}
	log->leading = false;
}

/* Called and left with `lock` held: what is to be told of a batch, and who leads next. */
static void end_batch(struct audit_log *log, struct pending *const *batch, size_t count, int rc,
		      const struct err *err)
{
	log->leading = false;
	log->in_hand = 0;
	audit_log_finish(batch, count, rc, err);
	audit_log_wake(log);
	/* Unlocked, or each that is woken would wait for the lock, if it needs it, behind all. */
	pthread_mutex_unlock(&log->lock);
	audit_log_wake_batch(batch, count);
	pthread_mutex_lock(&log->lock);
}

/* With the log led, and not locked; left with `lock` held. */
static void lead_ahead(struct audit_log *log, struct pending *const *batch, size_t count)
{
	struct flight *x;
	struct err err = { 0 };
	bool fatal = false;
	int rc = audit_ahead_prepare(log, batch, count, &x, &fatal, &err);

	pthread_mutex_lock(&log->lock);
	if (rc < 0 && fatal)
		audit_log_fail(log, &err);
	if (rc == 0 && log->failed)
		rc = audit_log_refuse(log, &err);
	if (rc < 0 || !x) {
		end_batch(log, batch, count, rc, &err);
		audit_flight_free(x);
		return;
	}
	log->leading = false;
	log->in_hand = 0;
	audit_flight_add(log, x);
	audit_flight_write(log);
}

static void lead_database(struct audit_log *log, struct pending *const *batch, size_t count)
{
	struct err err = { 0 };
	bool fatal = false;
	int rc = make_durable(log, batch, count, &fatal, &err);

	pthread_mutex_lock(&log->lock);
	if (fatal)
		audit_log_fail(log, rc < 0 ? &err : &batch[0]->err);
	end_batch(log, batch, count, rc, &err);
	audit_log_settle_behind(log);
}

/* Called and left with `lock` held. */
static void lead(struct audit_log *log)
{
	struct pending *batch[LOG_BATCH_MAX];
	struct err err = { 0 };

	if (log->journaled)
		gather(log);
	size_t count = take(log, batch);
	check(count > 0); /* who leads waits in the queue */
	log->batch_before = count;
	if (log->failed) {
		end_batch(log, batch, count, audit_log_refuse(log, &err), &err);
		return;
	}
	log->leading = true;
	log->in_hand = count;
	measure_note(&log->measures.batch, &measure_batches, (int64_t)count);
	pthread_mutex_unlock(&log->lock);
	(batch[0]->ahead ? lead_ahead : lead_database)(log, batch, count);
}

int audit_log_ready(struct audit_log *log, struct err *e)
{
	if (log->guest)
		return audit_guest_ready(log->guest, e);
	pthread_mutex_lock(&log->lock);
	audit_log_retry(log);
	int rc = log->failed ? audit_log_refuse(log, e) : audit_clock_check(log, e);
	pthread_mutex_unlock(&log->lock);
	return rc;
}

static int enqueue(struct audit_log *log, struct pending *p, struct err *e)
{
	audit_log_retry(log);
	if (log->failed)
		return audit_log_refuse(log, e);
	if (log->queued >= LOG_QUEUE_MAX)
		return err_set(e, ERR_UNAVAILABLE, "the log's queue is full; try again");
	if (log->last)
		log->last->next = p;
	else
		log->first = p;
	log->last = p;
	log->queued++;
	return 0;
}

/* Until it is done, or its turn to lead. The last post is that it is done: whoever posts it touches
 * it no more, and not before it is taken may it go. */
static bool wait_turn(struct pending *p, unsigned *posts)
{
	do {
		while (sem_wait(&p->woken) != 0)
			;
		++*posts;
		if (!atomic_load(&p->done))
			return false;
	} while (*posts <= p->turns);
	return true;
}

/* Called with `lock` held, and left without it. */
static void wait_or_lead(struct audit_log *log, struct pending *p)
{
	unsigned posts = 0;

	for (;;) {
		if (!p->taken && may_lead(log)) {
			lead(log);
			continue;
		}
		pthread_mutex_unlock(&log->lock);
		if (wait_turn(p, &posts))
			return;
		pthread_mutex_lock(&log->lock);
	}
}

static int append_and_wait(struct audit_log *log, struct pending *p, struct err *e)
{
	int64_t begun_us = env_steady_us(log->env);

	sem_init(&p->woken, 0, 0);
	p->waits = true;
	pthread_mutex_lock(&log->lock);
	int rc = enqueue(log, p, e);
	if (rc == 0)
		wait_or_lead(log, p);
	else
		pthread_mutex_unlock(&log->lock);
	sem_destroy(&p->woken);
	if (rc == 0 && p->rc < 0)
		rc = err_set(e, p->rc, "%s", p->err.text);
	if (rc == 0)
		measure_note(&log->measures.append, &measure_waits,
			     env_steady_us(log->env) - begun_us);
	else
		measure_add(&log->measures.refused, 1);
	return rc;
}

/* A number that was refused is never the next record's: a `lost` entry takes it. Only one that has
 * left this file nowhere is given again. */
static void return_number(struct audit_log *log, struct log_worker *w,
			  const struct audit_record *refused, bool ours)
{
	pthread_mutex_lock(&log->lock);
	bool reserved = refused->n < w->next_n && !log->failed;
	bool again = ours && reserved && refused->n + 1 == w->next_n;
	w->next_n -= again;
	pthread_mutex_unlock(&log->lock);
	if (again || !reserved)
		return;
	json_t *body = json_pack("{s:s}", "refused", refused->type);
	struct audit_record r = { .type = "lost", .n = refused->n, .body = body };
	struct pending p = { .worker = w };
	struct err ignored;
	/* Where this fails too, the worker's end says that the number is missing. */
	int rc = body ? audit_record_prepare(&r, log->env, &p.record, &ignored) : ERR_NOMEM;
	if (rc == 0)
		(void)!append_and_wait(log, &p, &ignored);
	buf_free(&p.entry);
	json_decref(body);
}

static int give_number(struct audit_log *log, struct pending *p, struct audit_record *numbered,
		       struct err *e)
{
	*numbered = *p->record.from;
	p->record.from = numbered;
	return numbered->n == AUDIT_NEXT ? audit_worker_reserve(log, p->worker, &numbered->n, e)
					 : 0;
}

int audit_log_append_pending(struct audit_log *log, struct pending *p, struct err *e)
{
	struct pending *all[2] = { p, p->with };
	struct audit_record numbered[2];
	bool ours[2];
	uint64_t there;
	int given = 0, rc = 0;

	for (; rc == 0 && given < (p->with ? 2 : 1); given += rc == 0) {
		ours[given] = all[given]->record.from->n == AUDIT_NEXT;
		rc = give_number(log, all[given], &numbered[given], e);
	}
	if (rc == 0)
		rc = append_and_wait(log, p, e);
	if (rc == 0 && p->with && p->with->rc < 0)
		rc = err_set(e, p->with->rc, "%s", p->with->err.text);
	/* A number that is already in the log is not given back. */
	while (rc < 0 && rc != ERR_IO && given-- > 0) {
		const struct audit_record *r = &numbered[given];
		struct log_worker *w = all[given]->worker;
		if (audit_log_find(log, w->id, r->n, &there, NULL) == ERR_NOTFOUND)
			return_number(log, w, r, ours[given]);
	}
	audit_record_free(&p->record);
	if (rc == 0 && p->proven) {
		p->proven->entry = p->entry;
		p->entry = (struct buf){ 0 };
	}
	buf_free(&p->entry);
	return rc;
}

int audit_worker_append(struct audit_log *log, struct log_worker *w, const struct audit_record *r,
			struct audit_receipt *out, struct audit_proven *proven, struct err *e)
{
	struct pending p = { .worker = w, .proven = proven };
	int rc;

	if (log->read_only)
		return err_set(e, ERR_CONFLICT, "the log is open for reading only");
	rc = audit_record_prepare(r, log->env, &p.record, e);
	if (rc < 0) {
		return_number(log, w, r, false);
		return rc;
	}
	TRY(audit_log_append_pending(log, &p, e));
	*out = p.receipt;
	return 0;
}

int audit_log_append(struct audit_log *log, const struct audit_record *r, struct audit_receipt *out,
		     struct err *e)
{
	if (!log->guest)
		return audit_worker_append(log, &log->self, r, out, NULL, e);
	TRY(audit_guest_append(log->guest, r, out, e));
	audit_log_outdated(log);
	return 0;
}

int audit_log_append_proven(struct audit_log *log, const struct audit_record *r,
			    struct audit_receipt *out, struct audit_proven *proven, struct err *e)
{
	if (!log->guest)
		TRY(audit_worker_append(log, &log->self, r, out, proven, e));
	else
		TRY(audit_log_append(log, r, out, e));
	if (!proven->entry.len)
		TRY(audit_log_entry(log, out->index, &proven->entry, e));
	if (!proven->proof.len)
		TRY(audit_log_proof(log, out->index, NULL, 0, &proven->proof, e));
	return 0;
}
