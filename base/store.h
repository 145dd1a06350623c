/* Storage: an SQL database, its writer and its readers. The engine behind it is one file
 * (base/store_NAME.c) under the table of functions of base/store_backend.h.
 *
 * A store may be used by any thread. All that happens in it happens in a transaction, which belongs
 * to the thread that began it:
 *   store_read    a snapshot: what was committed when it began, whatever is committed meanwhile;
 *                 any number at once
 *   store_write   the one writer; waits for the one before it to end, so that a thread has one at
 *                 a time
 * The statements are the subset that all engines share: $1..$n, ON CONFLICT .. DO UPDATE with
 * excluded.NAME, RETURNING, SAVEPOINT, WITH RECURSIVE .. UNION (before DELETE too). Text is ordered
 * by its bytes, and large results are paged by key, never by OFFSET. Tables are described (struct
 * store_table), never written as statements; what an engine adds to them is its own business. */
#ifndef BASE_STORE_H
#define BASE_STORE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_tx;
struct store_stmt;

/* url: an absolute path (a file of the built-in engine, created if absent, readable by its owner
 * alone; where it cannot be written it can be read), or SCHEME://... of an engine; one that is not
 * in this version is ERR_UNSUPPORTED. */
int store_open(struct store **out, const char *url, struct err *e) MUST_USE;
/* No transaction is open. */
void store_close(struct store *s);
#define STORE_WAIT_MS 5000
/* How long each transaction or scrub that begins from now on waits for other programs;
 * STORE_WAIT_MS at first. */
void store_wait_ms(struct store *s, unsigned ms);

/* ---- transactions ---- */

/* ERR_UNAVAILABLE: another process kept us waiting. ERR_IO from any call, where it leaves the
 * database in doubt, poisons the store: every later call fails until it is reopened, for a failed
 * fsync may not be reported twice. */
int store_read(struct store *s, struct store_tx **out, struct err *e) MUST_USE;
int store_write(struct store *s, struct store_tx **out, struct err *e) MUST_USE;
/* Durable when it returns 0; rolled back otherwise. store_end is still to be called. */
int store_commit(struct store_tx *tx, struct err *e) MUST_USE;
/* Gives the transaction back; what was not committed is undone. Its statements are finished before.
 * NULL is fine. */
void store_end(struct store_tx *tx);
bool store_poisoned(const struct store *s);
/* Open a store again, from the disk, after such a failure; waits for the writer to end. What the
 * log beside the tables held is written into them, durably. ERR_UNAVAILABLE: a reader is still at
 * it. Where this fails the store stays as it was. */
int store_reopen(struct store *s, struct err *e) MUST_USE;

/* ---- statements ---- */

/* Statements without rows, separated by ';'. */
int store_exec(struct store_tx *tx, const char *sql, struct err *e) MUST_USE;
int store_prepare(struct store_tx *tx, const char *sql, struct store_stmt **out,
		  struct err *e) MUST_USE;
/* Parameters count from 1; values are copied. Errors surface in step. */
void store_bind_i64(struct store_stmt *st, int i, int64_t v);
void store_bind_real(struct store_stmt *st, int i, double v);
void store_bind_bool(struct store_stmt *st, int i, bool v);
void store_bind_text(struct store_stmt *st, int i, const char *text); /* NULL binds NULL */
void store_bind_blob(struct store_stmt *st, int i, const void *bytes, size_t len);
void store_bind_null(struct store_stmt *st, int i);
/* 1 a row, 0 done, or an error (ERR_CONFLICT for a violated constraint). */
int store_step(struct store_stmt *st, struct err *e) MUST_USE;
/* Columns count from 0; borrowed until the next step. */
int64_t store_i64(struct store_stmt *st, int column);
double store_real(struct store_stmt *st, int column);
bool store_bool(struct store_stmt *st, int column);
const char *store_text(struct store_stmt *st, int column); /* NULL for NULL */
const void *store_blob(struct store_stmt *st, int column, size_t *len);
bool store_is_null(struct store_stmt *st, int column);
void store_reset(struct store_stmt *st);
void store_finish(struct store_stmt *st); /* NULL is fine */
/* Step and finish a statement that gives no rows. */
int store_run(struct store_stmt *st, struct err *e) MUST_USE;
int64_t store_changes(struct store_tx *tx); /* rows changed by the last statement */
/* Steps that the engine has taken for all finished statements so far: what a query costs,
 * independent of the machine. */
uint64_t store_work(const struct store *s);

/* ---- tables ---- */

enum store_type {
	STORE_NONE, /* ends a list of columns */
	STORE_TEXT,
	STORE_INTEGER, /* 64 bits, signed */
	STORE_REAL,    /* 64 bits */
	STORE_BYTES,
	STORE_BOOLEAN,
};
struct store_column {
	const char *name;
	enum store_type type;
};
#define STORE_COLUMNS_MAX 8
/* Lists of columns are written "model, version". */
struct store_table {
	const char *name;
	struct store_column column[STORE_COLUMNS_MAX + 1];
	const char *key;    /* columns that name a row; NULL: none */
	const char *unique; /* other columns that no two rows share; NULL: none */
	const char *null;   /* the column that may be absent; NULL: none */
	const char *index;  /* one column that rows are looked up by; NULL: none */
};
/* One step of a part's tables: the i-th makes version i + 1 of version i, going forward only. */
struct store_version {
	const struct store_table *table; /* made where they are not there */
	size_t tables;
	const char *sql;                                 /* then these statements, or NULL */
	int (*fill)(struct store_tx *tx, struct err *e); /* then this, or NULL */
};
/* Bring the tables of a part (a room's, by name) up to the last version; table `schema` remembers
 * which. ERR_UNSUPPORTED: a newer program wrote them; nothing was changed. */
int store_schema(struct store_tx *tx, const char *part, const struct store_version *version,
		 size_t count, struct err *e) MUST_USE;
/* The version that a part's tables have; 0 where none is said. For reading: what came later is not
 * there yet. */
int store_schema_version(struct store_tx *tx, const char *part, int64_t *version,
			 struct err *e) MUST_USE;
/* For reading: only refuse what is newer. */
int store_schema_check(struct store_tx *tx, const char *part, size_t known, struct err *e) MUST_USE;

/* ---- erasing ---- */

/* Remove deleted content from what the engine keeps beside the tables. rewrite: write the tables
 * themselves anew too. It waits for readers of old pages in turns with writers, who are not kept
 * waiting for them; ERR_UNAVAILABLE: one still holds such pages. */
int store_scrub(struct store *s, bool rewrite, struct err *e) MUST_USE;

#endif
