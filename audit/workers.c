/* A worker's life, as the log tells it: a start, numbers without gaps, a stop.
 *
 * log_worker(worker, start, whole) holds those that have started and not ended. When the log is
 * opened they are dead, for the lock is ours; each gets a `lost` entry with the highest number it
 * reached and those below it that never came. start is the index of the start record. Every number
 * below `whole` is in the log, so that only those from there on are looked at, however long the
 * worker lived. */
#include "audit/log_in.h"

#include <stdlib.h>
#include <string.h>

static int insert_worker(struct store_tx *tx, const char *worker, uint64_t start, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "INSERT INTO log_worker(worker, start, whole) VALUES($1, $2, 0)"
			  " ON CONFLICT(worker) DO NOTHING",
			  &st, e));
	store_bind_text(st, 1, worker);
	store_bind_i64(st, 2, (int64_t)start);
	return store_run(st, e);
}

static int delete_worker(struct store_tx *tx, const char *worker, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "DELETE FROM log_worker WHERE worker = $1", &st, e));
	store_bind_text(st, 1, worker);
	return store_run(st, e);
}

int audit_workers_apply(struct store_tx *tx, uint64_t index, const char *type, const char *worker,
			const json_t *body, struct err *e)
{
	if (strcmp(type, "start") == 0)
		return insert_worker(tx, worker, index, e);
	const char *ended = strcmp(type, "stop") == 0 ? worker : NULL;
	if (strcmp(type, "lost") == 0 && strcmp(worker, LOG_ITSELF) == 0)
		ended = json_string_value(json_object_get(body, "worker"));
	return ended ? delete_worker(tx, ended, e) : 0;
}

int audit_workers_whole(struct store_tx *tx, const char *worker, uint64_t whole, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "UPDATE log_worker SET whole = $2 WHERE worker = $1", &st, e));
	store_bind_text(st, 1, worker);
	store_bind_i64(st, 2, (int64_t)whole);
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
	if (at >= s->words && numbers_grow(s, at * 2 + 4) < 0)
		return;
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

void audit_numbers_free(struct numbers *s)
{
	free(s->word);
	*s = (struct numbers){ .base = 0 };
}

/* ---- closing the dead ---- */

/* The body of a lost entry. More than 4,096 missing numbers are not named: an entry has a limit. */
static int lost_body(struct audit_log *log, const char *worker, int64_t whole, json_t **out,
		     struct err *e)
{
	json_t *missing = json_array();
	struct store_stmt *st = NULL;
	struct store_tx *tx = NULL;
	int64_t expected = whole;
	int rc;

	*out = NULL;
	TRY_OUT(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx,
			      "SELECT n FROM log_entry WHERE worker = $1 AND n >= $2 ORDER BY n",
			      &st, e));
	store_bind_text(st, 1, worker);
	store_bind_i64(st, 2, whole);
	while ((rc = store_step(st, e)) == 1) {
		for (; expected < store_i64(st, 0) && json_array_size(missing) < 4096; expected++)
			json_array_append_new(missing, json_integer(expected));
		expected = store_i64(st, 0) + 1;
	}
	if (rc == 0)
		*out = json_pack("{s:s,s:I,s:O}", "worker", worker, "last",
				 (json_int_t)(expected - 1), "missing", missing);
out:
	store_finish(st);
	store_end(tx);
	json_decref(missing);
	return rc;
}

/* The log's own next number. */
static int next_number(struct store_tx *tx, uint64_t *n, struct err *e)
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

/* Worker -> whole of those that have not ended, in the order of their starts. */
static int list_dead(struct audit_log *log, json_t *dead, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(log->store, &tx, e));
	TRY_OUT(next_number(tx, &log->itself.next_n, e));
	log->itself.numbers.base = log->itself.next_n;
	TRY_OUT(store_prepare(tx, "SELECT worker, whole FROM log_worker ORDER BY start", &st, e));
	while ((rc = store_step(st, e)) == 1)
		json_object_set_new(dead, store_text(st, 0), json_integer(store_i64(st, 1)));
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

int audit_workers_close_dead(struct audit_log *log, struct err *e)
{
	json_t *dead = json_object(), *whole;
	const char *worker;
	int rc;

	TRY_OUT(list_dead(log, dead, e));
	json_object_foreach(dead, worker, whole) {
		json_t *body;
		TRY_OUT(lost_body(log, worker, json_integer_value(whole), &body, e));
		TRY_OUT(audit_log_append_itself(log, "lost", body, e));
	}
out:
	json_decref(dead);
	return rc;
}
