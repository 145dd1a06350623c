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
 * A file that nobody here may write (its mode, its folder, a read-only medium) is opened for
 * reading as it is: where no write-ahead log lies beside it, nobody is writing, and "immutable"
 * makes SQLite need none of its own.
 *
 * Settings: WAL (readers beside the writer), synchronous=FULL, foreign_keys, secure_delete,
 * trusted_schema off, defensive; readers query_only. SQLite numbers "$2" by first appearance,
 * PostgreSQL by its digits: parameters are bound by name. */
#include "base/store_backend.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define KEPT_MAX 24 /* finished statements of a connection that are kept for the same text */

struct sqlite_stmt;
struct sqlite_conn {
	struct store_conn base;
	sqlite3 *db;
	struct sqlite_stmt *kept[KEPT_MAX];
	unsigned oldest;    /* its place is taken when all are */
	sqlite3_stmt *look; /* of a reader: its first step takes the snapshot */
};

#define PARAMETERS_MAX 9

struct sqlite_stmt {
	struct store_stmt base;
	sqlite3_stmt *st;
	int bind_error;             /* first SQLite code of a failed bind */
	int at[PARAMETERS_MAX + 1]; /* of $1, ...; 0: not looked up yet */
};

static struct sqlite_conn *conn_of(struct store_conn *c) { return (struct sqlite_conn *)c; }
static struct sqlite_stmt *stmt_of(struct store_stmt *st) { return (struct sqlite_stmt *)st; }

/* ---- errors ---- */

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

/* What SQLite was doing when its disk failed: it says no more than "disk I/O error". */
static const char *step_of(int code)
{
	switch (code) {
	case SQLITE_IOERR_READ:
	case SQLITE_IOERR_SHORT_READ:
		return "reading, code ";
	case SQLITE_IOERR_WRITE:
	case SQLITE_IOERR_TRUNCATE:
		return "writing, code ";
	case SQLITE_IOERR_FSYNC:
	case SQLITE_IOERR_DIR_FSYNC:
		return "making it durable, code ";
	default:
		return "code ";
	}
}

/* SQLite's words for it are many, and some are only "disk I/O error". */
static bool disk_is_full(sqlite3 *db, int code)
{
	int primary = code & 0xff, number = db ? sqlite3_system_errno(db) : 0;
	const char *path = db ? sqlite3_db_filename(db, "main") : NULL;
	struct statvfs fs;

	if (primary == SQLITE_FULL || number == ENOSPC || number == EDQUOT)
		return true;
	return primary == SQLITE_IOERR && path && statvfs(path, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * fs.f_frsize < KIB(64);
}

static int sqlite_failed(struct sqlite_conn *c, int code, const char *what, struct err *e)
{
	const char *why = c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(code);
	const char *path = c->db ? sqlite3_db_filename(c->db, "main") : NULL;
	int primary = code & 0xff;

	if (poisons(code))
		c->base.poisoned = true;
	if (disk_is_full(c->db, code))
		return err_set(e, ERR_IO,
			       "database: %s: the disk is full: make room, then run this again",
			       what);
	if (path && strchr(path, '/') && (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB))
		return err_set(e, ERR_IO,
			       "database: %s: %s is damaged (%s): put it back from a backup; or "
			       "move it away, and the next command says what to do",
			       what, strrchr(path, '/') + 1, why);
	return err_set(e, class_of(code), "database: %s: %s (%s%d)", what, why, step_of(code),
		       code);
}

static int sqlite_run(struct sqlite_conn *c, const char *sql, const char *what, struct err *e)
{
	int code = sqlite3_exec(c->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : sqlite_failed(c, code, what, e);
}

/* ---- opening ---- */

/* Create the file here, so that it is never readable by others. Only if it is new: closing a second
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

enum access_to { TO_WRITE, TO_READ, TO_READ_AS_IT_IS };

static enum access_to access_to(const char *path)
{
	char folder[LIMIT_PATH_BYTES], log[LIMIT_PATH_BYTES];
	struct stat st;

	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path) + 1, path);
	if (access(path, F_OK) < 0 || (access(path, W_OK) == 0 && access(folder, W_OK | X_OK) == 0))
		return TO_WRITE; /* or to fail with the system's reason */
	int len = snprintf(log, sizeof log, "%s-wal", path);
	bool written = len > 0 && len < LIMIT_PATH_BYTES && stat(log, &st) == 0 && st.st_size > 0;
	return written ? TO_READ : TO_READ_AS_IT_IS;
}

/* The name as a URI, with what would end or change it as %XX. */
static int open_as(struct sqlite_conn *c, const char *path, enum access_to how, struct err *e)
{
	static const int flags[] = {
		[TO_WRITE] = SQLITE_OPEN_READWRITE,
		[TO_READ] = SQLITE_OPEN_READONLY,
		[TO_READ_AS_IT_IS] = SQLITE_OPEN_READONLY,
	};
	struct buf uri = { 0 };

	buf_add_text(&uri, "file:");
	for (const char *s = path; *s; s++) {
		if (strchr("?#%", *s))
			buf_printf(&uri, "%%%02X", (unsigned char)*s);
		else
			buf_add_byte(&uri, (unsigned char)*s);
	}
	buf_add_text(&uri, how == TO_READ_AS_IT_IS ? "?immutable=1" : "");
	int rc = buf_done(&uri, e);
	if (rc == 0) {
		int code =
			sqlite3_open_v2(uri.bytes, &c->db,
					flags[how] | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
		rc = code == SQLITE_OK ? 0 : sqlite_failed(c, code, "open", e);
	}
	buf_free(&uri);
	return rc;
}

static int configure(struct sqlite_conn *c, bool writer, enum access_to how, struct err *e)
{
	sqlite3_extended_result_codes(c->db, 1);
	if (sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK)
		return err_set(e, ERR_IO, "database: this SQLite has no defensive mode");
	sqlite3_busy_timeout(c->db, 5000);
	TRY(sqlite_run(c,
		       "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
		       "PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON",
		       "set up", e));
	if (how == TO_WRITE)
		TRY(sqlite_run(c,
			       "PRAGMA secure_delete=ON; PRAGMA journal_mode=WAL;"
			       "PRAGMA synchronous=FULL",
			       "set up", e));
	if (writer)
		return 0;
	TRY(sqlite_run(c, "PRAGMA query_only=ON", "set up", e));
	int code = sqlite3_prepare_v3(c->db, "SELECT 1 FROM sqlite_schema", -1,
				      SQLITE_PREPARE_PERSISTENT, &c->look, NULL);
	return code == SQLITE_OK ? 0 : sqlite_failed(c, code, "set up", e);
}

static void drop(struct sqlite_stmt *st)
{
	if (st)
		sqlite3_finalize(st->st);
	free(st);
}

static void sqlite_close(struct store_conn *base)
{
	struct sqlite_conn *c = conn_of(base);

	for (size_t i = 0; i < KEPT_MAX; i++)
		drop(c->kept[i]);
	sqlite3_finalize(c->look);
	sqlite3_close_v2(c->db);
	free(c);
}

static int sqlite_open(struct store_conn **out, const char *url, bool writer, struct err *e)
{
	const char *path = text_starts(url, "sqlite://") ? url + strlen("sqlite://") : url;

	if (path[0] != '/')
		return err_set(e, ERR_INPUT, "storage \"%.200s\": the path must be absolute", url);
	if (writer && access(path, F_OK) < 0)
		TRY(create_private(path, e));
	struct sqlite_conn *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory");
	c->base.backend = &store_sqlite;
	enum access_to how = access_to(path);
	int rc = open_as(c, path, how, e);
	if (rc == 0)
		rc = configure(c, writer, how, e);
	if (rc < 0 && how == TO_READ)
		rc = err_set(
			e, rc,
			"changes wait in its write-ahead log, and a folder that cannot be written "
			"cannot take them in: copy the folder, and read the copy");
	if (rc < 0) {
		sqlite_close(&c->base);
		err_prefix(e, "%s", path); /* which one, of several */
		return rc;
	}
	*out = &c->base;
	return 0;
}

static void sqlite_wait_ms(struct store_conn *base, unsigned ms)
{
	sqlite3_busy_timeout(conn_of(base)->db, (int)ms);
}

/* ---- statements that are kept ---- */

/* A statement of that text that was finished; the engine reads a text again only where the tables
 * have changed since. */
static struct sqlite_stmt *take_kept(struct sqlite_conn *c, const char *sql)
{
	for (size_t i = 0; i < KEPT_MAX; i++) {
		struct sqlite_stmt *st = c->kept[i];
		if (st && strcmp(sqlite3_sql(st->st), sql) == 0) {
			c->kept[i] = NULL;
			return st;
		}
	}
	return NULL;
}

static void keep(struct sqlite_conn *c, struct sqlite_stmt *st)
{
	size_t at = 0;

	while (at < KEPT_MAX && c->kept[at])
		at++;
	if (at == KEPT_MAX) {
		at = c->oldest++ % KEPT_MAX;
		drop(c->kept[at]);
	}
	c->kept[at] = st;
}

static int make_ready(struct sqlite_conn *c, const char *sql, struct sqlite_stmt **out,
		      struct err *e)
{
	struct sqlite_stmt *st = *out = take_kept(c, sql);

	if (st)
		return 0;
	st = calloc(1, sizeof *st);
	if (!st)
		return err_set(e, ERR_NOMEM, "out of memory");
	int code = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->st, NULL);
	if (code == SQLITE_OK && st->st) {
		*out = st;
		return 0;
	}
	free(st);
	return code == SQLITE_OK ? err_set(e, ERR_INPUT, "database: empty statement")
				 : sqlite_failed(c, code, "prepare", e);
}

/* As sqlite_run, of one statement that comes again and again. */
static int run_again(struct sqlite_conn *c, const char *sql, const char *what, struct err *e)
{
	struct sqlite_stmt *st;

	TRY(make_ready(c, sql, &st, e));
	int code = sqlite3_step(st->st);
	int rc = code == SQLITE_DONE ? 0 : sqlite_failed(c, code, what, e);
	sqlite3_reset(st->st);
	keep(c, st);
	return rc;
}

/* ---- transactions ---- */

/* BEGIN alone takes no snapshot: the first read does. */
static int sqlite_begin(struct store_conn *base, bool write, struct err *e)
{
	struct sqlite_conn *c = conn_of(base);

	TRY(run_again(c, write ? "BEGIN IMMEDIATE" : "BEGIN", "begin", e));
	if (write)
		return 0;
	int code = sqlite3_step(c->look);
	sqlite3_reset(c->look);
	if (code == SQLITE_ROW || code == SQLITE_DONE)
		return 0;
	return sqlite_failed(c, code, "begin", e);
}

static int sqlite_commit(struct store_conn *base, struct err *e)
{
	return run_again(conn_of(base), "COMMIT", "commit", e);
}

static void sqlite_rollback(struct store_conn *base)
{
	sqlite3 *db = conn_of(base)->db;

	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- statements ---- */

static int sqlite_exec(struct store_conn *base, const char *sql, struct err *e)
{
	return sqlite_run(conn_of(base), sql, "execute", e);
}

static int sqlite_prepare(struct store_conn *base, const char *sql, struct store_stmt **out,
			  struct err *e)
{
	struct sqlite_stmt *st;

	TRY(make_ready(conn_of(base), sql, &st, e));
	*out = &st->base;
	return 0;
}

static int parameter(struct sqlite_stmt *st, int i)
{
	const char name[] = { '$', (char)('0' + i), 0 };

	check(i > 0 && i <= PARAMETERS_MAX);
	if (!st->at[i])
		st->at[i] = sqlite3_bind_parameter_index(st->st, name);
	check(st->at[i] > 0); /* the statement's text is ours */
	return st->at[i];
}

static int bind_value(sqlite3_stmt *st, int at, const struct store_value *v)
{
	switch (v->type) {
	case STORE_INTEGER:
	case STORE_BOOLEAN:
		return sqlite3_bind_int64(st, at, v->integer);
	case STORE_REAL:
		return sqlite3_bind_double(st, at, v->real);
	case STORE_TEXT:
		return sqlite3_bind_text64(st, at, v->bytes, v->len, SQLITE_TRANSIENT, SQLITE_UTF8);
	case STORE_BYTES:
		return sqlite3_bind_blob64(st, at, v->bytes, v->len, SQLITE_TRANSIENT);
	case STORE_NONE:
		break;
	}
	return sqlite3_bind_null(st, at);
}

static void sqlite_bind(struct store_stmt *base, int i, const struct store_value *v)
{
	struct sqlite_stmt *st = stmt_of(base);
	int code = bind_value(st->st, parameter(st, i), v);

	if (code != SQLITE_OK && st->bind_error == SQLITE_OK)
		st->bind_error = code;
}

static int sqlite_step(struct store_stmt *base, struct err *e)
{
	struct sqlite_stmt *st = stmt_of(base);

	if (st->bind_error != SQLITE_OK)
		return err_set(e, class_of(st->bind_error), "database: bind: %s",
			       sqlite3_errstr(st->bind_error));
	int code = sqlite3_step(st->st);
	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	int rc = sqlite_failed(conn_of(base->conn), code, "step", e);
	sqlite3_reset(st->st); /* lets go of its locks */
	return rc;
}

static struct store_value sqlite_column(struct store_stmt *base, int column, enum store_type as)
{
	sqlite3_stmt *st = stmt_of(base)->st;
	struct store_value v = { .type = as };

	if (sqlite3_column_type(st, column) == SQLITE_NULL)
		return (struct store_value){ .type = STORE_NONE };
	switch (as) {
	case STORE_INTEGER:
	case STORE_BOOLEAN:
		v.integer = sqlite3_column_int64(st, column);
		break;
	case STORE_REAL:
		v.real = sqlite3_column_double(st, column);
		break;
	case STORE_TEXT:
		v.bytes = sqlite3_column_text(st, column);
		break;
	case STORE_BYTES:
		v.bytes = sqlite3_column_blob(st, column);
		v.len = (size_t)sqlite3_column_bytes(st, column);
		v.bytes = v.bytes ? v.bytes : ""; /* SQLite gives NULL for no bytes */
		break;
	case STORE_NONE:
		v.type = STORE_TEXT; /* of no interest, but there */
		break;
	}
	return v;
}

static void sqlite_reset(struct store_stmt *base)
{
	struct sqlite_stmt *st = stmt_of(base);

	sqlite3_reset(st->st);
	sqlite3_clear_bindings(st->st);
	st->bind_error = SQLITE_OK;
}

static void sqlite_finish(struct store_stmt *base)
{
	struct sqlite_stmt *st = stmt_of(base);

	base->conn->work += (uint64_t)sqlite3_stmt_status(st->st, SQLITE_STMTSTATUS_VM_STEP, 1);
	sqlite_reset(base);
	keep(conn_of(base->conn), st);
}

static int64_t sqlite_changes(struct store_conn *base)
{
	return sqlite3_changes64(conn_of(base)->db);
}

/* ---- tables ---- */

static const char *column_type(enum store_type type)
{
	switch (type) {
	case STORE_INTEGER:
	case STORE_BOOLEAN:
		return "INTEGER";
	case STORE_REAL:
		return "REAL";
	case STORE_BYTES:
		return "BLOB";
	case STORE_TEXT:
	case STORE_NONE:
		break;
	}
	return "TEXT";
}

/* Whether the key is a single integer column, which SQLite uses as the rowid. */
static bool has_row_number(const struct store_table *t)
{
	for (const struct store_column *c = t->column; t->key && c->type != STORE_NONE; c++)
		if (strcmp(c->name, t->key) == 0)
			return c->type == STORE_INTEGER;
	return !t->key;
}

static void add_columns(const struct store_table *t, struct buf *sql)
{
	for (const struct store_column *c = t->column; c->type != STORE_NONE; c++) {
		buf_printf(sql, "%s%s %s", c == t->column ? "" : ", ", c->name,
			   column_type(c->type));
		if (!t->null || strcmp(c->name, t->null) != 0)
			buf_add_text(sql, " NOT NULL");
		if (c->type == STORE_BOOLEAN)
			buf_printf(sql, " CHECK(%s IN (0, 1))", c->name);
	}
}

/* Tables with another key than a number hold each row once, in the key's order (WITHOUT ROWID). */
static int sqlite_make_table(struct store_conn *base, const struct store_table *t, struct err *e)
{
	struct buf sql = { 0 };

	buf_printf(&sql, "CREATE TABLE IF NOT EXISTS %s(", t->name);
	add_columns(t, &sql);
	if (t->key)
		buf_printf(&sql, ", PRIMARY KEY(%s)", t->key);
	if (t->unique)
		buf_printf(&sql, ", UNIQUE(%s)", t->unique);
	buf_printf(&sql, ") STRICT%s;", has_row_number(t) ? "" : ", WITHOUT ROWID");
	if (t->index)
		buf_printf(&sql, "CREATE INDEX IF NOT EXISTS %s_%s ON %s(%s)", t->name, t->index,
			   t->name, t->index);
	int rc = buf_done(&sql, e);
	if (rc == 0)
		rc = sqlite_run(conn_of(base), sql.bytes, "make table", e);
	buf_free(&sql);
	return rc;
}

static int sqlite_has_table(struct store_conn *base, const char *name, bool *there, struct err *e)
{
	struct sqlite_conn *c = conn_of(base);
	int code = sqlite3_table_column_metadata(c->db, NULL, name, NULL, NULL, NULL, NULL, NULL,
						 NULL);

	*there = code == SQLITE_OK;
	return code == SQLITE_OK || code == SQLITE_ERROR ? 0 : sqlite_failed(c, code, "look up", e);
}

/* secure_delete has zeroed freed cells in the pages; the write-ahead log still holds their old
 * images until it is cut, and cells that moved between pages can leave copies behind that only
 * VACUUM reaches. */
static int sqlite_scrub(struct store_conn *base, bool rewrite, struct err *e)
{
	struct sqlite_conn *c = conn_of(base);

	if (rewrite)
		TRY(sqlite_run(c, "VACUUM", "scrub", e));
	int code = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (code == SQLITE_BUSY)
		return err_set(e, ERR_UNAVAILABLE,
			       "database: a reader holds the write-ahead log with erased content");
	return code == SQLITE_OK ? 0 : sqlite_failed(c, code, "scrub", e);
}

const struct store_backend store_sqlite = {
	.scheme = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.wait_ms = sqlite_wait_ms,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.exec = sqlite_exec,
	.prepare = sqlite_prepare,
	.bind = sqlite_bind,
	.step = sqlite_step,
	.column = sqlite_column,
	.reset = sqlite_reset,
	.finish = sqlite_finish,
	.changes = sqlite_changes,
	.make_table = sqlite_make_table,
	.has_table = sqlite_has_table,
	.scrub = sqlite_scrub,
};
