/* Storage interface: one SQL database, SQLite here; PostgreSQL fits behind the same functions. The
 * SQL text is the shared subset: $1..$n, ON CONFLICT .. DO UPDATE, RETURNING. A store serves one
 * thread at a time; its owner locks. SQLite settings: WAL, synchronous=FULL, foreign_keys,
 * secure_delete, trusted_schema off, defensive. */
#ifndef BASE_STORE_H
#define BASE_STORE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_stmt;

/* url: "sqlite:///absolute/path" ("sqlite://:memory:" for tests). "postgresql://..." is
 * ERR_UNSUPPORTED by name. */
int store_open(struct store **out, const char *url, struct err *e) MUST_USE;
void store_close(struct store *s);

/* Statements without rows, separated by ';'. */
int store_exec(struct store *s, const char *sql, struct err *e) MUST_USE;

/* A write transaction from its first statement on (BEGIN IMMEDIATE). Not nested. */
int store_begin(struct store *s, struct err *e) MUST_USE;
/* Durable when it returns 0. After ERR_IO the store is poisoned: every later call fails until
 * reopened (a failed fsync may not be reported twice). */
int store_commit(struct store *s, struct err *e) MUST_USE;
void store_rollback(struct store *s);
bool store_poisoned(const struct store *s);

int store_prepare(struct store *s, const char *sql, struct store_stmt **out,
		  struct err *e) MUST_USE;
/* Parameters count from 1; bytes are borrowed until the next step or reset; step reports errors. */
void store_bind_i64(struct store_stmt *st, int i, int64_t v);
void store_bind_text(struct store_stmt *st, int i, const char *text); /* NULL binds NULL */
void store_bind_blob(struct store_stmt *st, int i, const void *bytes, size_t len);
void store_bind_null(struct store_stmt *st, int i);
/* 1 a row, 0 done, or an error (ERR_CONFLICT: a violated constraint, ERR_UNAVAILABLE: busy). */
int store_step(struct store_stmt *st, struct err *e) MUST_USE;
/* Columns count from 0; borrowed until the next step. */
int64_t store_i64(struct store_stmt *st, int column);
const char *store_text(struct store_stmt *st, int column); /* NULL for NULL */
const void *store_blob(struct store_stmt *st, int column, size_t *len);
bool store_is_null(struct store_stmt *st, int column);
void store_reset(struct store_stmt *st);
void store_finish(struct store_stmt *st); /* NULL is fine */
int64_t store_changes(struct store *s);   /* rows changed by the last statement */

/* Remove deleted content from the write-ahead log and free pages (for erasure). */
int store_scrub(struct store *s, struct err *e) MUST_USE;

#endif
