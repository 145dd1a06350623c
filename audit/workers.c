/* A worker's life, as the log tells it: a start, numbers without gaps, a stop.
 *
 * log_writer(worker, start, whole, reserved) holds those that have started and not ended. When the
 * log is opened they are dead, for the lock is ours. A number may have left in a header before its
 * record came: so numbers are given from blocks, each durable before its first one is; none from
 * `reserved` on was ever given. Each dead worker gets a `lost` entry with the last number of its
 * blocks and those up to it that have no record. start is the index of the start record. Every
 * number below `whole` is in the log, so that only those from there on are looked at, however long
 * the worker lived.
 *
 * A worker that has not started has no row: its numbers leave in no header. */
#include "audit/log_in.h"

#include <stdlib.h>
#include <string.h>

static int insert_worker(struct store_tx *tx, const char *worker, uint64_t start, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "INSERT INTO log_writer(worker, start, whole, reserved)"
			  " VALUES($1, $2, 0, 0) ON CONFLICT(worker) DO NOTHING",
			  &st, e));
	store_bind_text(st, 1, worker);
	store_bind_i64(st, 2, (int64_t)start);
	return store_run(st, e);
}

static int delete_worker(struct store_tx *tx, const char *worker, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "DELETE FROM log_writer WHERE worker = $1", &st, e));
	store_bind_text(st, 1, worker);
	return store_run(st, e);
}

int audit_workers_apply(struct store_tx *tx, uint64_t index, const char *type, const char *worker,
			const json_t *body, struct err *e)
{
	if (strcmp(type, "start") == 0)
		return insert_worker(tx, worker, index, e);
	if (strcmp(type, "stop") == 0)
		return delete_worker(tx, worker, e);
	const char *lost = json_string_value(json_object_get(body, "worker"));
	if (strcmp(type, "lost") != 0 || strcmp(worker, LOG_ITSELF) != 0 || !lost)
		return 0;
	if (!json_is_true(json_object_get(body, "more")))
		return delete_worker(tx, lost, e);
	json_int_t last = json_integer_value(json_object_get(body, "last"));
	return audit_workers_note(tx, lost, (uint64_t)last + 1, 0, NULL, e);
}

int audit_workers_note(struct store_tx *tx, const char *worker, uint64_t whole, uint64_t reserved,
		       bool *there, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(
		tx,
		"UPDATE log_writer SET whole = CASE WHEN whole < $2 THEN $2 ELSE whole END,"
		" reserved = CASE WHEN reserved < $3 THEN $3 ELSE reserved END WHERE worker = $1",
		&st, e));
	store_bind_text(st, 1, worker);
	store_bind_i64(st, 2, (int64_t)whole);
	store_bind_i64(st, 3, (int64_t)reserved);
	TRY(store_run(st, e));
	if (there)
		*there = store_changes(tx) == 1;
	return 0;
}

int audit_workers_guess(struct store_tx *tx, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "UPDATE log_writer SET reserved = $1 + (SELECT max(n) FROM log_entry"
			  " WHERE log_entry.worker = log_writer.worker)",
			  &st, e));
	store_bind_i64(st, 1, LOG_BLOCK + 1);
	return store_run(st, e);
}

int audit_workers_fill(struct store_tx *tx, struct err *e)
{
	struct store_stmt *st;
	struct record_head head;
	size_t len;
	int rc;

	TRY(store_prepare(tx,
			  "SELECT idx, entry FROM log_entry WHERE type IN ('start', 'stop', 'lost')"
			  " ORDER BY idx",
			  &st, e));
	while ((rc = store_step(st, e)) == 1) {
		const void *entry = store_blob(st, 1, &len);
		TRY_OUT(audit_record_parse(entry, len, &head, e));
		rc = audit_workers_apply(tx, (uint64_t)store_i64(st, 0),
					 head.unread ? "" : head.type, head.worker,
					 json_object_get(head.entry, "body"), e);
		json_decref(head.entry);
		if (rc < 0)
			goto out;
	}
out:
	store_finish(st);
	return rc < 0 ? rc : audit_workers_guess(tx, e);
}

/* ---- giving numbers ---- */

/* Make the next block durable. */
static int extend(struct audit_log *log, const char *worker, uint64_t reserved, struct err *e)
{
	struct store_tx *tx;
	bool there;

	TRY(store_write(log->store, &tx, e));
	int rc = audit_workers_note(tx, worker, 0, reserved, &there, e);
	if (rc == 0 && !there)
		rc = err_set(e, ERR_CONFLICT, "worker %s has ended", worker);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	if (rc == 0)
		env_step(log->env, "audit.reserved");
	return rc;
}

/* Called and left with `lock` held. Batches extend the blocks as they go by; this is for many
 * numbers at once. */
static int extend_alone(struct audit_log *log, struct log_worker *w, struct err *e)
{
	uint64_t reserved = w->next_n + LOG_BLOCK;

	if (log->failed)
		return audit_log_refuse(log, e);
	w->extending = true;
	pthread_mutex_unlock(&log->lock);
	int rc = extend(log, w->id, reserved, e);
	pthread_mutex_lock(&log->lock);
	w->extending = false;
	if (rc == 0)
		audit_worker_extended(w, reserved);
	pthread_cond_broadcast(&log->moved);
	return rc;
}

uint64_t audit_worker_reserving(struct audit_log *log, struct log_worker *w)
{
	pthread_mutex_lock(&log->lock);
	uint64_t next = w->next_n, reserved = w->reserved;
	pthread_mutex_unlock(&log->lock);
	w->reserving = reserved < next + LOG_BLOCK / 2 ? next + LOG_BLOCK : reserved;
	return w->reserving;
}

void audit_worker_extended(struct log_worker *w, uint64_t reserved)
{
	w->reserved = reserved > w->reserved ? reserved : w->reserved;
}

int audit_worker_reserve(struct audit_log *log, struct log_worker *w, uint64_t *n, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&log->lock);
	while (rc == 0 && w->reserved && w->next_n >= w->reserved) {
		if (w->extending)
			pthread_cond_wait(&log->moved, &log->lock);
		else
			rc = extend_alone(log, w, e);
	}
	if (rc == 0)
		*n = w->next_n++;
	pthread_mutex_unlock(&log->lock);
	return rc;
}

/* ---- numbers that are in the log ---- */

#define WORD 64

static int numbers_grow(struct numbers *s, uint64_t words)
{
	uint64_t *grown = realloc(s->word, words * sizeof *grown);

	if (!grown)
		return ERR_NOMEM;
	memset(grown + s->words, 0, (words - s->words) * sizeof *grown);
	s->word = grown;
	s->words = words;
	return 0;
}

/* Without memory a number is not noted, and whole stays at it: a lower bound, as before. */
void audit_numbers_add(struct numbers *s, uint64_t n)
{
	if (n < s->base)
		return;
	uint64_t at = (n - s->base) / WORD;
	if (at >= s->words && numbers_grow(s, at * 2 + 4) < 0) {
		s->unsure = true;
		return;
	}
	s->word[at] |= (uint64_t)1 << (n - s->base) % WORD;
	uint64_t full = 0;
	while (full < s->words && s->word[full] == UINT64_MAX)
		full++;
	if (full == 0)
		return;
	memmove(s->word, s->word + full, (s->words - full) * sizeof *s->word);
	memset(s->word + s->words - full, 0, full * sizeof *s->word);
	s->base += full * WORD;
}

uint64_t audit_numbers_whole(const struct numbers *s)
{
	if (s->words == 0)
		return s->base;
	return s->base + (uint64_t)__builtin_ctzll(~s->word[0]);
}

bool audit_numbers_has(const struct numbers *s, uint64_t n)
{
	uint64_t at = n < s->base ? 0 : (n - s->base) / WORD;

	return n < s->base || (at < s->words && s->word[at] >> (n - s->base) % WORD & 1);
}

/* Ranges are added in ascending order. */
static void add_range(json_t *ranges, uint64_t first, uint64_t last)
{
	json_t *newest = json_array_get(ranges, json_array_size(ranges) - 1);

	if (newest && json_integer_value(json_array_get(newest, 1)) + 1 == (json_int_t)first)
		json_array_set_new(newest, 1, json_integer((json_int_t)last));
	else
		json_array_append_new(ranges,
				      json_pack("[II]", (json_int_t)first, (json_int_t)last));
}

#define LOST_RANGES 1500 /* an entry has a limit */

/* Ranges of those from *next below end, as many as an entry holds. *next: all below it are told. */
static json_t *list_unrecorded(const struct numbers *s, uint64_t *next, uint64_t end)
{
	json_t *ranges = json_array();
	uint64_t n = audit_numbers_whole(s);

	n = n > *next ? n : *next;
	while (n < end && json_array_size(ranges) < LOST_RANGES) {
		uint64_t first = n;
		while (n < end && !audit_numbers_has(s, n))
			n++;
		if (n > first)
			add_range(ranges, first, n - 1);
		while (n < end && audit_numbers_has(s, n))
			n++;
	}
	*next = n;
	return ranges;
}

void audit_numbers_free(struct numbers *s)
{
	free(s->word);
	*s = (struct numbers){ .base = 0 };
}

/* ---- closing the dead ---- */

/* One of a dead worker's lost entries. */
struct lost {
	const char *worker;
	int64_t next, reserved; /* what is said of all numbers below next */
	bool more;
};

static int list_missing(struct store_tx *tx, struct lost *l, json_t *missing, struct err *e)
{
	struct store_stmt *st;
	int rc;

	TRY(store_prepare(tx, "SELECT n FROM log_entry WHERE worker = $1 AND n >= $2 ORDER BY n",
			  &st, e));
	store_bind_text(st, 1, l->worker);
	store_bind_i64(st, 2, l->next);
	while ((rc = store_step(st, e)) == 1 && json_array_size(missing) < LOST_RANGES) {
		int64_t n = store_i64(st, 0);
		if (n > l->next)
			add_range(missing, (uint64_t)l->next, (uint64_t)n - 1);
		l->next = n + 1;
	}
	store_finish(st);
	l->more = rc == 1;
	if (rc == 0 && l->next < l->reserved) {
		add_range(missing, (uint64_t)l->next, (uint64_t)l->reserved - 1);
		l->next = l->reserved;
	}
	return rc < 0 ? rc : 0;
}

static int lost_body(struct audit_log *log, struct lost *l, json_t **out, struct err *e)
{
	json_t *missing = json_array();
	struct store_tx *tx = NULL;
	int rc;

	*out = NULL;
	TRY_OUT(store_read(log->store, &tx, e));
	TRY_OUT(list_missing(tx, l, missing, e));
	*out = json_pack("{s:s,s:I,s:O}", "worker", l->worker, "last", (json_int_t)(l->next - 1),
			 "missing", missing);
	if (l->more)
		json_object_set_new(*out, "more", json_true());
out:
	store_end(tx);
	json_decref(missing);
	return rc;
}

/* The log's own next number. */
int audit_workers_next(struct store_tx *tx, uint64_t *n, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "SELECT n FROM log_entry WHERE worker = '" LOG_ITSELF "'"
			  " ORDER BY n DESC LIMIT 1",
			  &st, e));
	int rc = store_step(st, e);
	*n = rc == 1 ? (uint64_t)store_i64(st, 0) + 1 : 0;
	store_finish(st);
	return rc < 0 ? rc : 0;
}

int audit_workers_itself(struct audit_log *log, struct err *e)
{
	struct log_worker *w = &log->itself;
	struct store_tx *tx;
	uint64_t next = 0;

	TRY(store_read(log->store, &tx, e));
	int rc = audit_workers_next(tx, &next, e);
	store_end(tx);
	TRY(rc);
	pthread_mutex_lock(&log->lock);
	w->next_n = next;
	audit_numbers_free(&w->numbers);
	w->numbers.base = next;
	pthread_mutex_unlock(&log->lock);
	return 0;
}

/* Worker -> [whole, reserved] of those that have not ended, in the order of their starts. */
static int list_dead(struct audit_log *log, json_t *dead, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT worker, whole, reserved FROM log_writer ORDER BY start",
			      &st, e));
	while ((rc = store_step(st, e)) == 1)
		json_object_set_new(dead, store_text(st, 0),
				    json_pack("[II]", (json_int_t)store_i64(st, 1),
					      (json_int_t)store_i64(st, 2)));
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

static int close_worker(struct audit_log *log, const char *worker, int64_t whole, int64_t reserved,
			struct err *e)
{
	struct lost l = { .worker = worker, .next = whole, .reserved = reserved };

	do {
		json_t *body;
		TRY(lost_body(log, &l, &body, e));
		TRY(audit_log_append_itself(log, "lost", body, e));
	} while (l.more);
	return 0;
}

int audit_workers_close(struct audit_log *log, const char *worker, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int64_t whole = 0, reserved = 0;
	int rc;

	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT whole, reserved FROM log_writer WHERE worker = $1", &st,
			      e));
	store_bind_text(st, 1, worker);
	TRY_OUT(store_step(st, e));
	if (rc == 1) {
		whole = store_i64(st, 0);
		reserved = store_i64(st, 1);
	}
out:
	store_finish(st);
	store_end(tx);
	return rc == 1 ? close_worker(log, worker, whole, reserved, e) : rc;
}

int audit_workers_close_dead(struct audit_log *log, struct err *e)
{
	json_t *dead = json_object(), *known;
	const char *worker;
	int rc;

	TRY_OUT(audit_workers_itself(log, e));
	TRY_OUT(list_dead(log, dead, e));
	json_object_foreach(dead, worker, known) {
		TRY_OUT(close_worker(log, worker, json_integer_value(json_array_get(known, 0)),
				     json_integer_value(json_array_get(known, 1)), e));
	}
out:
	json_decref(dead);
	return rc;
}

/* ---- the end ---- */

static json_t *ask_unrecorded(struct audit_log *log, const struct log_worker *w, uint64_t *next,
			      uint64_t end)
{
	pthread_mutex_lock(&log->lock);
	while (log->leading || log->flights.first)
		pthread_cond_wait(&log->moved, &log->lock);
	json_t *ranges = list_unrecorded(&w->numbers, next, end);
	pthread_mutex_unlock(&log->lock);
	return ranges;
}

/* What is missing below the stop's number was given and has no record. What the stop has no room
 * for, lost entries name before it. */
int audit_worker_stop(struct audit_log *log, struct log_worker *w, struct audit_receipt *out,
		      struct err *e)
{
	struct audit_record r = { .type = "stop" };
	uint64_t next = 0;
	json_t *missing;
	int rc;

	TRY(audit_worker_reserve(log, w, &r.n, e));
	while (missing = ask_unrecorded(log, w, &next, r.n), next < r.n)
		TRY(audit_log_append_itself(log, "lost",
					    json_pack("{s:s,s:I,s:o,s:b}", "worker", w->id, "last",
						      (json_int_t)next - 1, "missing", missing,
						      "more", 1),
					    e));
	pthread_mutex_lock(&log->lock);
	uint64_t reserved = w->reserved;
	pthread_mutex_unlock(&log->lock);
	r.body = json_pack("{s:I,s:o}", "last", (json_int_t)r.n, "missing", missing);
	if (reserved > r.n + 1)
		json_object_set_new(r.body, "never_given",
				    json_pack("[II]", (json_int_t)r.n + 1,
					      (json_int_t)reserved - 1));
	rc = json_ok(r.body, e);
	if (rc == 0)
		rc = audit_worker_append(log, w, &r, out, NULL, e);
	json_decref(r.body);
	return rc;
}
