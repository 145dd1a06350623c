/* Erasing: what the vault holds of a subject, or of one entry, goes; two entries say so.
 *
 *   erasure   clear: {"ranges":[[first,last]...],"records","ground","actor"}; ground is a code,
 *             actor a keyed handle. So the log by itself tells what was erased from what was lost
 *   operator  committed, in the same transaction: who asked, and the reason in words
 *
 * An entry has a limit: where a subject's records lie scattered, several erasures name them. */
#include "audit/log_in.h"

#include <stdio.h>
#include <string.h>

#define RANGES_MAX 1000
#define REASON_MAX 4096

static const char *const grounds[] = { "request", "court", "retention", "mistake" };

/* Add to the last range, or as one of its own: false where there is no room for that. */
static bool add_range(json_t *ranges, uint64_t index)
{
	json_t *last = json_array_get(ranges, json_array_size(ranges) - 1);

	if (last && json_integer_value(json_array_get(last, 1)) + 1 == (json_int_t)index)
		return json_array_set_new(last, 1, json_integer((json_int_t)index)) == 0;
	return json_array_size(ranges) < RANGES_MAX &&
	       json_array_append_new(ranges,
				     json_pack("[II]", (json_int_t)index, (json_int_t)index)) == 0;
}

/* A statement over the rows to be erased: of a subject's key up to an index, or of one index. */
static int prepare_erase(struct store_tx *tx, const struct vault_erase *x, const char *of_key,
			 const char *of_index, uint64_t last, struct store_stmt **out,
			 struct err *e)
{
	char key_id[sizeof(((struct vault_key *)0)->id)];

	TRY(store_prepare(tx, x->subject ? of_key : of_index, out, e));
	snprintf(key_id, sizeof(key_id), "s:%s", x->subject ? x->subject : "");
	if (x->subject)
		store_bind_text(*out, 1, key_id);
	store_bind_i64(*out, x->subject ? 2 : 1, (int64_t)last);
	return 0;
}

/* Rows from the first on, as many as one entry names. */
static int list_rows(struct store_tx *tx, struct vault_erase *x, json_t *ranges, uint64_t *count,
		     uint64_t *last, struct err *e)
{
	struct store_stmt *st;
	int rc;

	x->more = false;
	*last = x->subject ? INT64_MAX : x->index;
	TRY(prepare_erase(tx, x,
			  "SELECT idx FROM vault WHERE key_id = $1 AND idx <= $2 ORDER BY idx",
			  "SELECT idx FROM vault WHERE idx = $1", *last, &st, e));
	for (*count = 0; (rc = store_step(st, e)) == 1; (*count)++) {
		uint64_t index = (uint64_t)store_i64(st, 0);
		x->more = !add_range(ranges, index);
		if (x->more)
			break;
		*last = index;
	}
	store_finish(st);
	TRY(rc);
	return *count ? 0 : err_set(e, ERR_NOTFOUND, "the vault holds nothing of that to erase");
}

/* Their keys are noted in the same transaction, so that no crash forgets to destroy them. */
static int remove_rows(struct store_tx *tx, struct vault_erase *x, json_t *ranges, uint64_t *count,
		       struct err *e)
{
	struct store_stmt *st;
	uint64_t last;

	TRY(list_rows(tx, x, ranges, count, &last, e));
	TRY(prepare_erase(tx, x,
			  "INSERT INTO vault_doomed(key_id) SELECT DISTINCT key_id FROM vault"
			  " WHERE key_id = $1 AND idx <= $2 ON CONFLICT(key_id) DO NOTHING",
			  "INSERT INTO vault_doomed(key_id) SELECT DISTINCT key_id FROM vault"
			  " WHERE idx = $1 ON CONFLICT(key_id) DO NOTHING",
			  last, &st, e));
	TRY(store_run(st, e));
	TRY(prepare_erase(tx, x, "DELETE FROM vault WHERE key_id = $1 AND idx <= $2",
			  "DELETE FROM vault WHERE idx = $1", last, &st, e));
	return store_run(st, e);
}

int audit_vault_erase_rows(struct store_tx *tx, struct pending *p, struct err *e)
{
	struct vault_erase *x = p->erase;
	json_t *ranges = json_object_get(x->body, "ranges");
	uint64_t count;

	json_array_clear(ranges);
	TRY(remove_rows(tx, x, ranges, &count, e));
	json_object_set_new(x->body, "records", json_integer((json_int_t)count));
	return 0;
}

/* ---- the two entries ---- */

/* The code of a ground in words is `request`, and the words are the reason. */
static const char *ground_code(const char *ground, const char **reason)
{
	*reason = NULL;
	for (size_t i = 0; i < sizeof grounds / sizeof *grounds; i++)
		if (strcmp(ground, grounds[i]) == 0)
			return grounds[i];
	*reason = ground;
	return grounds[0];
}

static json_t *text_or_null(const char *text) { return text ? json_text_lossy(text) : json_null(); }

static int operator_record(struct audit_log *log, const struct vault_erase *x, const char *actor,
			   const char *reason, struct record *out, struct err *e)
{
	const json_int_t now = (json_int_t)env_now_us(log->env);
	json_t *target = x->subject ? json_pack("{s:s}", "subject", x->subject)
				    : json_pack("{s:I}", "index", (json_int_t)x->index);
	struct audit_field field[] = { { "actor", json_text_lossy(actor) },
				       { "action", json_string("erase") },
				       { "target", target },
				       { "reason", text_or_null(reason) },
				       { "asked_us", json_integer(now) },
				       { "effective_us", json_integer(now) },
				       { "last_token_us", NULL },
				       { "detail", NULL } };
	struct audit_record r = { .type = "operator", .field = field, .field_count = 8 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 6; i++)
		rc = json_ok(field[i].value, e);
	if (rc == 0)
		rc = audit_record_prepare(&r, log->env, out, e);
	for (size_t i = 0; i < 6; i++)
		json_decref(field[i].value);
	return rc;
}

/* Once: as many rows as one entry names. */
static int erase_some(struct audit_log *log, struct log_worker *w, struct vault_erase *x,
		      const char *actor, const char *reason, struct audit_receipt *out,
		      struct err *e)
{
	struct audit_record erasure = { .type = "erasure", .n = AUDIT_NEXT, .body = x->body };
	struct audit_record by = { .type = "operator", .n = AUDIT_NEXT, .field_count = 8 };
	struct pending told = { .worker = w };
	struct pending p = { .worker = w, .erase = x, .with = &told };

	TRY(operator_record(log, x, actor, reason, &told.record, e));
	told.record.from = &by;
	int rc = audit_record_prepare(&erasure, log->env, &p.record, e);
	if (rc == 0)
		rc = audit_log_append_pending(log, &p, e);
	audit_record_free(&told.record);
	buf_free(&told.entry);
	*out = p.receipt;
	return rc;
}

int audit_vault_erase(struct audit_log *log, const char *subject, uint64_t index,
		      const char *ground, const char *actor, struct audit_receipt *out,
		      struct err *e)
{
	struct erase_request x = { subject, index, ground ? ground : "", actor ? actor : "" };

	if (log->read_only)
		return err_set(e, ERR_CONFLICT, "the log is open for reading only");
	if (!log->guest)
		return audit_worker_erase(log, &log->self, &x, out, e);
	TRY(audit_guest_erase(log->guest, &x, out, e));
	audit_log_outdated(log);
	return 0;
}

int audit_worker_erase(struct audit_log *log, struct log_worker *w,
		       const struct erase_request *asked, struct audit_receipt *out, struct err *e)
{
	struct vault_erase x = { .subject = asked->subject, .index = asked->index };
	char handle[VAULT_HANDLE_ROOM];
	const char *reason;
	int rc;

	if (!*asked->ground || !*asked->actor)
		return err_set(e, ERR_INPUT, "an erasure names its ground and its actor");
	if (strlen(asked->ground) > REASON_MAX || strlen(asked->actor) > REASON_MAX)
		return err_set(e, ERR_INPUT,
			       "the ground or the actor of an erasure is longer than %d",
			       REASON_MAX);
	TRY(audit_vault_handle(log, "actor", asked->actor, handle, e));
	x.body = json_pack("{s:[],s:i,s:s,s:s}", "ranges", "records", 0, "ground",
			   ground_code(asked->ground, &reason), "actor", handle);
	TRY(json_ok(x.body, e));
	do
		rc = erase_some(log, w, &x, asked->actor, reason, out, e);
	while (rc == 0 && x.more);
	json_decref(x.body);
	return rc < 0 ? rc : audit_vault_scrub(log, e);
}
