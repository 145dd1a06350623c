/* The tables, part "access" of state.db. They are of this machine: the log names a token by its id,
 * and has neither its secret's digest nor what it has used, so that a rebuilt state.db has no
 * tokens, and new ones are made.
 *
 *   access_token  (id)                  name, SHA-256 of the secret, number of its last change,
 *                                       revoked_us (0: in use), told: the log has its revocation;
 *                                       body: what it was made with, access_grant_json
 *   access_usage  (token, hour, model)  counts; hour since 1970; token "": nobody
 *   access_spent  (token)               prompt and completion tokens of all hours
 */
#include "access/grant.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"

#include <string.h>

#define BODY_MAX KIB(8)

static const struct store_table tables[] = {
	{
		.name = "access_token",
		.column = { { "id", STORE_TEXT },
			    { "name", STORE_TEXT },
			    { "secret", STORE_BYTES },
			    { "changed", STORE_INTEGER },
			    { "revoked_us", STORE_INTEGER },
			    { "told", STORE_BOOLEAN },
			    { "body", STORE_TEXT } },
		.key = "id",
		.unique = "secret",
		.index = "changed",
	},
	{
		.name = "access_usage",
		.column = { { "token", STORE_TEXT },
			    { "hour", STORE_INTEGER },
			    { "model", STORE_TEXT },
			    { "requests", STORE_INTEGER },
			    { "prompt", STORE_INTEGER },
			    { "cached", STORE_INTEGER },
			    { "completion", STORE_INTEGER },
			    { "refused", STORE_INTEGER } },
		.key = "token, hour, model",
		.index = "hour",
	},
	{
		.name = "access_spent",
		.column = { { "token", STORE_TEXT }, { "tokens", STORE_INTEGER } },
		.key = "token",
	},
};
static const struct store_version versions[] = {
	{ .table = tables, .tables = sizeof tables / sizeof *tables },
};

int access_schema(struct store_tx *tx, struct err *e)
{
	return store_schema(tx, "access", versions, sizeof versions / sizeof *versions, e);
}

/* 0: the tables are not there yet, as when an older program made state.db and nobody has written
 * since. */
static int table_made(struct store_tx *tx, struct err *e)
{
	int64_t version;
	TRY(store_schema_check(tx, "access", sizeof versions / sizeof *versions, e));
	TRY(store_schema_version(tx, "access", &version, e));
	return version > 0;
}

static int end_write(struct store_tx *tx, int rc, struct err *e)
{
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

/* ---- rows ---- */

#define ROW_COLUMNS "id, secret, changed, revoked_us, told, body"

static int row_read(struct store_stmt *st, struct access_row *row, bool *told, struct err *e)
{
	size_t len;
	const void *secret = store_blob(st, 1, &len);
	const char *body = store_text(st, 5);
	json_t *o = NULL;
	if (!secret || len != sizeof row->secret.bytes || !body)
		return err_set(e, ERR_VERIFY, "table access_token: a row is not whole");
	int rc = json_read(&o, body, strlen(body), BODY_MAX, LIMIT_JSON_DEPTH, e);
	if (rc == 0)
		rc = access_grant_read(o, &row->grant, e);
	json_decref(o);
	TRY(rc);
	memcpy(row->secret.bytes, secret, len);
	row->changed = store_i64(st, 2);
	row->grant.revoked_us = store_i64(st, 3);
	*told = store_bool(st, 4);
	return 0;
}

/* One number, or 0 where the statement has none. */
static int one_number(struct store_tx *tx, const char *sql, const char *text, int64_t number,
		      int64_t *out, struct err *e)
{
	struct store_stmt *st;
	*out = 0;
	TRY(store_prepare(tx, sql, &st, e));
	if (text)
		store_bind_text(st, 1, text);
	if (number >= 0)
		store_bind_i64(st, text ? 2 : 1, number);
	int rc = store_step(st, e);
	if (rc == 1)
		*out = store_i64(st, 0);
	store_finish(st);
	return rc < 0 ? rc : 0;
}

static int next_change(struct store_tx *tx, int64_t *out, struct err *e)
{
	TRY(one_number(tx, "SELECT max(changed) FROM access_token", NULL, -1, out, e));
	++*out;
	return 0;
}

static int insert_row(struct store_tx *tx, const struct access_grant *g,
		      const struct digest *secret, const char *body, struct err *e)
{
	struct store_stmt *st;
	int64_t change, same;
	TRY(one_number(tx, "SELECT count(*) FROM access_token WHERE name = $1 AND revoked_us = $2",
		       g->name, 0, &same, e));
	if (same)
		return err_set(e, ERR_CONFLICT,
			       "a token in use is named %s: revoke it, or give another name",
			       g->name);
	TRY(next_change(tx, &change, e));
	TRY(store_prepare(tx,
			  "INSERT INTO access_token(id, name, secret, changed, revoked_us, told, "
			  "body) VALUES($1, $2, $3, $4, 0, $5, $6)",
			  &st, e));
	store_bind_text(st, 1, g->id);
	store_bind_text(st, 2, g->name);
	store_bind_blob(st, 3, secret->bytes, sizeof secret->bytes);
	store_bind_i64(st, 4, change);
	store_bind_bool(st, 5, false);
	store_bind_text(st, 6, body);
	return store_run(st, e);
}

int access_token_add(struct store *s, const struct access_grant *g, const struct digest *secret,
		     struct err *e)
{
	struct store_tx *tx;
	struct buf body = { 0 };
	json_t *o = NULL;
	int rc;
	TRY(access_grant_check(g, e));
	TRY_OUT(access_grant_json(g, &o, e));
	TRY_OUT(json_write_canonical(o, &body, e));
	TRY_OUT(buf_done(&body, e));
	TRY_OUT(store_write(s, &tx, e));
	rc = access_schema(tx, e);
	if (rc == 0)
		rc = insert_row(tx, g, secret, body.bytes, e);
	rc = end_write(tx, rc, e);
out:
	json_decref(o);
	buf_free(&body);
	return rc;
}

static int find_row(struct store_tx *tx, const char *which, struct access_row *row, bool *told,
		    struct err *e)
{
	struct store_stmt *st;
	bool by_id = text_starts(which, "tok_");
	TRY(store_prepare(tx,
			  by_id ? "SELECT " ROW_COLUMNS " FROM access_token WHERE id = $1"
				: "SELECT " ROW_COLUMNS " FROM access_token WHERE name = $1 "
				  "ORDER BY revoked_us <> 0, changed DESC",
			  &st, e));
	store_bind_text(st, 1, which);
	int rc = store_step(st, e);
	if (rc == 1)
		rc = row_read(st, row, told, e);
	else if (rc == 0)
		rc = err_set(e, ERR_NOTFOUND, "no token %.80s: see `hallmark token list`", which);
	store_finish(st);
	return rc;
}

int access_token_find(struct store *s, const char *which, struct access_grant *out, bool *told,
		      struct err *e)
{
	struct store_tx *tx;
	struct access_row row;
	TRY(store_read(s, &tx, e));
	int rc = table_made(tx, e);
	if (rc == 0)
		rc = err_set(e, ERR_NOTFOUND, "no token %.80s: none was made here", which);
	if (rc > 0)
		rc = find_row(tx, which, &row, told, e);
	if (rc == 0)
		*out = row.grant;
	store_end(tx);
	return rc;
}

int access_token_revoke(struct store *s, const char *id, int64_t now_us, bool told, struct err *e)
{
	struct store_tx *tx;
	struct store_stmt *st;
	int64_t change;
	TRY(store_write(s, &tx, e));
	int rc = next_change(tx, &change, e);
	if (rc == 0)
		rc = store_prepare(tx,
				   "UPDATE access_token SET told = $2, changed = $3, revoked_us = "
				   "CASE revoked_us WHEN 0 THEN $4 ELSE revoked_us END "
				   "WHERE id = $1",
				   &st, e);
	if (rc == 0) {
		store_bind_text(st, 1, id);
		store_bind_bool(st, 2, told);
		store_bind_i64(st, 3, change);
		store_bind_i64(st, 4, now_us);
		rc = store_run(st, e);
	}
	return end_write(tx, rc, e);
}

/* The row stays, as one that was revoked at once: a deleted row's number would be the next token's,
 * which whoever has seen that number would never look at. */
void access_token_remove(struct store *s, const char *id)
{
	struct access_grant g;
	struct err ignored;
	bool told;
	if (access_token_find(s, id, &g, &told, &ignored) == 0)
		(void)!access_token_revoke(s, id, g.made_us, true, &ignored);
}

/* ---- lists ---- */

static int spent_of(struct store_tx *tx, const char *token, int64_t *out, struct err *e)
{
	return one_number(tx, "SELECT tokens FROM access_spent WHERE token = $1", token, -1, out,
			  e);
}

static int list_row(struct store_tx *tx, struct store_stmt *st, struct arr *list, struct err *e)
{
	struct access_row row;
	json_t *o;
	bool told;
	int64_t spent;
	TRY(row_read(st, &row, &told, e));
	TRY(spent_of(tx, row.grant.id, &spent, e));
	TRY(access_grant_json(&row.grant, &o, e));
	json_object_set_new(o, "used_tokens", json_integer(spent));
	arr_add(list, o);
	return 0;
}

static int list_rows(struct store_tx *tx, struct arr *list, struct err *e)
{
	struct store_stmt *st;
	int rc;
	TRY(store_prepare(tx, "SELECT " ROW_COLUMNS " FROM access_token ORDER BY changed, id", &st,
			  e));
	while ((rc = store_step(st, e)) == 1)
		TRY_OUT(list_row(tx, st, list, e));
out:
	store_finish(st);
	return rc;
}

int access_token_list(struct store *s, json_t **report, struct err *e)
{
	struct store_tx *tx;
	struct arr list = { .json = json_array() };
	struct obj o = { 0 };
	TRY(store_read(s, &tx, e));
	int rc = table_made(tx, e);
	if (rc > 0)
		rc = list_rows(tx, &list, e);
	store_end(tx);
	obj_array(&o, "tokens", &list);
	if (rc == 0)
		return obj_done(&o, report, e);
	obj_free(&o);
	return rc;
}

static void usage_row(struct store_stmt *st, struct arr *list)
{
	static const char *const counts[] = { "requests", "prompt_tokens", "cached_tokens",
					      "completion_tokens", "refused" };
	struct obj o = { 0 };
	char hour[32];
	text_time_rfc3339(store_i64(st, 0) * 3600 * 1000000, hour);
	obj_text(&o, "hour", hour);
	obj_text(&o, "token", store_text(st, 1));
	obj_text(&o, "name", store_text(st, 2));
	obj_text(&o, "model", store_text(st, 3));
	for (int i = 0; i < 5; i++)
		obj_int(&o, counts[i], store_i64(st, 4 + i));
	arr_object(list, &o);
}

static int usage_rows(struct store_tx *tx, int64_t from, int64_t to, struct arr *list,
		      struct err *e)
{
	struct store_stmt *st;
	int rc;
	TRY(store_prepare(tx,
			  "SELECT u.hour, u.token, coalesce(t.name, ''), u.model, u.requests, "
			  "u.prompt, u.cached, u.completion, u.refused FROM access_usage u "
			  "LEFT JOIN access_token t ON t.id = u.token "
			  "WHERE u.hour >= $1 AND u.hour < $2 ORDER BY u.hour, u.token, u.model",
			  &st, e));
	store_bind_i64(st, 1, from);
	store_bind_i64(st, 2, to);
	while ((rc = store_step(st, e)) == 1)
		usage_row(st, list);
	store_finish(st);
	return rc;
}

/* The first hour that begins at or after. */
static int64_t hour_from(int64_t us) { return us / 3600000000 + (us % 3600000000 > 0); }

int access_usage_list(struct store *s, int64_t from_us, int64_t to_us, json_t **report,
		      struct err *e)
{
	struct store_tx *tx;
	struct arr list = { .json = json_array() };
	struct obj o = { 0 };
	TRY(store_read(s, &tx, e));
	int rc = table_made(tx, e);
	if (rc > 0)
		rc = usage_rows(tx, hour_from(from_us), hour_from(to_us), &list, e);
	store_end(tx);
	obj_array(&o, "usage", &list);
	if (rc == 0)
		return obj_done(&o, report, e);
	obj_free(&o);
	return rc;
}

/* ---- in use ---- */

static int take_row(struct store_tx *tx, struct store_stmt *st, int64_t day_hour,
		    struct access_row *row, struct err *e)
{
	int64_t spent, today;
	bool told;
	TRY(row_read(st, row, &told, e));
	TRY(spent_of(tx, row->grant.id, &spent, e));
	TRY(one_number(tx,
		       "SELECT sum(prompt + completion) FROM access_usage WHERE token = $1 AND "
		       "hour >= $2",
		       row->grant.id, day_hour, &today, e));
	row->spent = (uint64_t)spent;
	row->today = (uint64_t)today;
	return 0;
}

static int rows_changed(struct store_tx *tx, int64_t *seen, int64_t day_hour,
			int (*take)(void *, const struct access_row *, struct err *), void *ctx,
			struct err *e)
{
	struct access_row row;
	struct store_stmt *st;
	int rc;
	TRY(store_prepare(tx,
			  "SELECT " ROW_COLUMNS
			  " FROM access_token WHERE changed > $1 ORDER BY changed",
			  &st, e));
	store_bind_i64(st, 1, *seen);
	while ((rc = store_step(st, e)) == 1) {
		TRY_OUT(take_row(tx, st, day_hour, &row, e));
		TRY_OUT(take(ctx, &row, e));
		*seen = row.changed;
	}
out:
	store_finish(st);
	return rc;
}

int access_rows_changed(struct store *s, int64_t *seen, int64_t day_hour,
			int (*take)(void *, const struct access_row *, struct err *), void *ctx,
			struct err *e)
{
	struct store_tx *tx;
	TRY(store_read(s, &tx, e));
	int rc = table_made(tx, e);
	if (rc > 0)
		rc = rows_changed(tx, seen, day_hour, take, ctx, e);
	store_end(tx);
	return rc;
}

static int cell_add(struct store_stmt *st, const char *token, const struct access_cell *c,
		    struct err *e)
{
	const struct access_usage *u = &c->sum;
	const uint64_t counts[] = { u->requests, u->prompt, u->cached, u->completion, u->refused };
	store_reset(st);
	store_bind_text(st, 1, token);
	store_bind_i64(st, 2, c->hour);
	store_bind_text(st, 3, c->model);
	for (int i = 0; i < 5; i++)
		store_bind_i64(st, 4 + i, (int64_t)counts[i]);
	return store_step(st, e);
}

static int spent_add(struct store_tx *tx, const char *token, uint64_t tokens, struct err *e)
{
	struct store_stmt *st;
	TRY(store_prepare(tx,
			  "INSERT INTO access_spent(token, tokens) VALUES($1, $2) "
			  "ON CONFLICT(token) DO UPDATE SET tokens = access_spent.tokens + "
			  "excluded.tokens",
			  &st, e));
	store_bind_text(st, 1, token);
	store_bind_i64(st, 2, (int64_t)tokens);
	return store_run(st, e);
}

int access_cells_add(struct store_tx *tx, const char *token, const struct access_cell *cells,
		     struct err *e)
{
	struct store_stmt *st;
	uint64_t tokens = 0;
	int rc = 0;
	TRY(store_prepare(
		tx,
		"INSERT INTO access_usage(token, hour, model, requests, prompt, cached, completion, "
		"refused) VALUES($1, $2, $3, $4, $5, $6, $7, $8) "
		"ON CONFLICT(token, hour, model) DO UPDATE SET "
		"requests = access_usage.requests + excluded.requests, "
		"prompt = access_usage.prompt + excluded.prompt, "
		"cached = access_usage.cached + excluded.cached, "
		"completion = access_usage.completion + excluded.completion, "
		"refused = access_usage.refused + excluded.refused",
		&st, e));
	for (const struct access_cell *c = cells; rc == 0 && c; c = c->next) {
		rc = cell_add(st, token, c, e);
		tokens += c->sum.prompt + c->sum.completion;
	}
	store_finish(st);
	return rc == 0 && tokens ? spent_add(tx, token, tokens, e) : rc;
}
