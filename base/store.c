/* Storage over SQLite. Error classes:
 *
 *   BUSY, LOCKED                     ERR_UNAVAILABLE  try again
 *   CONSTRAINT                       ERR_CONFLICT
 *   NOMEM                            ERR_NOMEM
 *   ERROR, RANGE, TOOBIG, MISMATCH   ERR_INPUT        a statement or value of ours
 *   IOERR, FULL, CORRUPT, NOTADB     ERR_IO, and the store is poisoned: after a failed fsync the
 *                                    kernel may mark pages clean, so that the next commit would
 *                                    succeed over a hole; only a reopening reads the truth
 *   IOERR_NOMEM                      ERR_IO, not poisoned
 *   any other                        ERR_IO
 *
 * SQLite numbers "$2" by first appearance, PostgreSQL by its digits: parameters are bound by
 * name. */
#include "base/store.h"

#include "base/check.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct store {
	sqlite3 *db;
	bool poisoned;
};

struct store_stmt {
	struct store *store;
	sqlite3_stmt *st;
	int bind_error; /* first SQLite code of a failed bind */
};

static int class_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_UNAVAILABLE;
	case SQLITE_CONSTRAINT:
		return ERR_CONFLICT;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_ERROR:
	case SQLITE_RANGE:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
		return ERR_INPUT;
	default:
		return ERR_IO;
	}
}

static bool poisons(int code)
{
	int primary = code & 0xff;

	if (code == SQLITE_IOERR_NOMEM)
		return false;
	return primary == SQLITE_IOERR || primary == SQLITE_FULL || primary == SQLITE_CORRUPT ||
	       primary == SQLITE_NOTADB;
}

static int fail(struct store *s, int code, const char *what, struct err *e)
{
	const char *why = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code);

	if (poisons(code))
		s->poisoned = true;
	return err_set(e, class_of(code), "database: %s: %s (code %d)", what, why, code);
}

static int refuse_poisoned(const struct store *s, struct err *e)
{
	if (!s->poisoned)
		return 0;
	return err_set(e, ERR_IO,
		       "database: an earlier storage failure left it in doubt; reopen it");
}

static int run(struct store *s, const char *sql, const char *what, struct err *e)
{
	int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : fail(s, code, what, e);
}

/* The file is made by us, so that it is never readable by others. Only when new: closing a second
 * descriptor of an open database would drop this process's locks on it. */
static int create_private(const char *path, struct err *e)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		close(fd);
	else if (errno != EEXIST)
		return err_errno(e, "create %s", path);
	return 0;
}

static int configure(struct store *s, struct err *e)
{
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, 5000);
	if (sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK)
		return err_set(e, ERR_IO, "database: this SQLite has no defensive mode");
	return run(s,
		   "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA secure_delete=ON;"
		   "PRAGMA temp_store=MEMORY; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		   "PRAGMA foreign_keys=ON",
		   "set up", e);
}

int store_open(struct store **out, const char *url, struct err *e)
{
	const char *path = url + strlen("sqlite://");
	struct store *s;
	int code, rc;

	*out = NULL;
	if (text_starts(url, "postgresql://") || text_starts(url, "postgres://"))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: postgresql storage");
	if (!text_starts(url, "sqlite://"))
		return err_set(e, ERR_INPUT, "storage \"%.200s\": expected sqlite:///absolute/path",
			       url);
	bool memory = strcmp(path, ":memory:") == 0;
	if (path[0] != '/' && !memory)
		return err_set(e, ERR_INPUT, "storage \"%.200s\": the path must be absolute", url);
	if (!memory)
		TRY(create_private(path, e));
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	code = sqlite3_open_v2(path, &s->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			       NULL);
	rc = code == SQLITE_OK ? configure(s, e) : fail(s, code, path, e);
	if (rc < 0)
		store_close(s);
	else
		*out = s;
	return rc;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	sqlite3_close_v2(s->db);
	free(s);
}

int store_exec(struct store *s, const char *sql, struct err *e)
{
	TRY(refuse_poisoned(s, e));
	return run(s, sql, "execute", e);
}

int store_begin(struct store *s, struct err *e)
{
	TRY(refuse_poisoned(s, e));
	return run(s, "BEGIN IMMEDIATE", "begin", e);
}

int store_commit(struct store *s, struct err *e)
{
	int rc;

	TRY(refuse_poisoned(s, e));
	rc = run(s, "COMMIT", "commit", e);
	if (rc < 0)
		store_rollback(s);
	return rc;
}

void store_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

bool store_poisoned(const struct store *s) { return s->poisoned; }

int store_prepare(struct store *s, const char *sql, struct store_stmt **out, struct err *e)
{
	struct store_stmt *st;
	int code;

	*out = NULL;
	TRY(refuse_poisoned(s, e));
	st = calloc(1, sizeof(*st));
	if (!st)
		return err_set(e, ERR_NOMEM, "out of memory");
	st->store = s;
	code = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->st, NULL);
	if (code != SQLITE_OK || !st->st) {
		free(st);
		return code == SQLITE_OK ? err_set(e, ERR_INPUT, "database: empty statement")
					 : fail(s, code, "prepare", e);
	}
	*out = st;
	return 0;
}

/* ---- parameters ---- */

static int parameter(const struct store_stmt *st, int i)
{
	char name[16];
	int found;

	snprintf(name, sizeof(name), "$%d", i);
	found = sqlite3_bind_parameter_index(st->st, name);
	check(found > 0); /* the statement's text is ours */
	return found;
}

static void bound(struct store_stmt *st, int code)
{
	if (code != SQLITE_OK && st->bind_error == SQLITE_OK)
		st->bind_error = code;
}

void store_bind_i64(struct store_stmt *st, int i, int64_t v)
{
	bound(st, sqlite3_bind_int64(st->st, parameter(st, i), v));
}

void store_bind_text(struct store_stmt *st, int i, const char *text)
{
	bound(st, sqlite3_bind_text64(st->st, parameter(st, i), text, text ? strlen(text) : 0,
				      SQLITE_TRANSIENT, SQLITE_UTF8));
}

void store_bind_blob(struct store_stmt *st, int i, const void *bytes, size_t len)
{
	/* A NULL pointer would bind NULL. */
	bound(st, sqlite3_bind_blob64(st->st, parameter(st, i), len ? bytes : "", len,
				      SQLITE_TRANSIENT));
}

void store_bind_null(struct store_stmt *st, int i)
{
	bound(st, sqlite3_bind_null(st->st, parameter(st, i)));
}

/* ---- rows ---- */

int store_step(struct store_stmt *st, struct err *e)
{
	int code, rc;

	TRY(refuse_poisoned(st->store, e));
	if (st->bind_error != SQLITE_OK)
		return err_set(e, class_of(st->bind_error), "database: bind: %s",
			       sqlite3_errstr(st->bind_error));
	code = sqlite3_step(st->st);
	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	rc = fail(st->store, code, "step", e);
	sqlite3_reset(st->st); /* lets go of its locks */
	return rc;
}

int64_t store_i64(struct store_stmt *st, int column)
{
	return sqlite3_column_int64(st->st, column);
}

const char *store_text(struct store_stmt *st, int column)
{
	return (const char *)sqlite3_column_text(st->st, column);
}

const void *store_blob(struct store_stmt *st, int column, size_t *len)
{
	const void *bytes = sqlite3_column_blob(st->st, column);

	*len = (size_t)sqlite3_column_bytes(st->st, column);
	return bytes || store_is_null(st, column) ? bytes : "";
}

bool store_is_null(struct store_stmt *st, int column)
{
	return sqlite3_column_type(st->st, column) == SQLITE_NULL;
}

void store_reset(struct store_stmt *st)
{
	sqlite3_reset(st->st);
	sqlite3_clear_bindings(st->st);
	st->bind_error = SQLITE_OK;
}

void store_finish(struct store_stmt *st)
{
	if (!st)
		return;
	sqlite3_finalize(st->st);
	free(st);
}

int64_t store_changes(struct store *s) { return sqlite3_changes64(s->db); }

/* secure_delete has zeroed freed cells in the pages; the log still holds their old images until it
 * is cut. */
int store_scrub(struct store *s, struct err *e)
{
	struct store_stmt *st;
	int rc;

	TRY(store_prepare(s, "PRAGMA wal_checkpoint(TRUNCATE)", &st, e));
	rc = store_step(st, e);
	if (rc == 1 && store_i64(st, 0) != 0)
		rc = err_set(e, ERR_UNAVAILABLE,
			     "database: a reader holds the write-ahead log with erased content");
	store_finish(st);
	return rc < 0 ? rc : 0;
}
