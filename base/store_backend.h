/* Private to base/: what an engine gives to base/store.c. A connection serves one thread at a time;
 * store.c sees to it, and to the order of calls. */
#ifndef BASE_STORE_BACKEND_H
#define BASE_STORE_BACKEND_H

#include "base/store.h"

/* An engine puts it first in its own structure. */
struct store_conn {
	const struct store_backend *backend;
	bool poisoned; /* set by the engine after a failure that leaves the database in doubt */
	uint64_t work; /* added to by the engine as statements finish */
};
struct store_stmt {
	struct store_tx *tx;
	struct store_conn *conn;
};

/* One parameter or column; type STORE_NONE is NULL. */
struct store_value {
	enum store_type type;
	int64_t integer; /* booleans too */
	double real;
	const void *bytes; /* text too, there ended by NUL */
	size_t len;
};

struct store_backend {
	const char *scheme; /* "sqlite" */

	int (*open)(struct store_conn **out, const char *url, bool writer, struct err *e);
	void (*close)(struct store_conn *c);
	void (*wait_ms)(struct store_conn *c, unsigned ms);

	int (*begin)(struct store_conn *c, bool write, struct err *e);
	int (*commit)(struct store_conn *c, struct err *e);
	void (*rollback)(struct store_conn *c); /* also when nothing is left to undo */

	/* A read is one snapshot from its begin to its rollback, whatever others commit. Text of the
	 * tables that make_table made, and of columns added to them later, is compared and ordered
	 * by its bytes, in every statement and index, on every machine: exports say so (PostgreSQL:
	 * a database made with LC_COLLATE 'C', or COLLATE "C" on each column). Names that differ in
	 * case or in Unicode form are different names. */
	int (*exec)(struct store_conn *c, const char *sql, struct err *e);
	int (*prepare)(struct store_conn *c, const char *sql, struct store_stmt **out,
		       struct err *e);
	void (*bind)(struct store_stmt *st, int i, const struct store_value *v);
	int (*step)(struct store_stmt *st, struct err *e);
	/* As the type asked for, or STORE_NONE. */
	struct store_value (*column)(struct store_stmt *st, int column, enum store_type as);
	void (*reset)(struct store_stmt *st);
	void (*finish)(struct store_stmt *st);
	int64_t (*changes)(struct store_conn *c);

	/* Make the table, its constraints and its index where they are not there. */
	int (*make_table)(struct store_conn *c, const struct store_table *t, struct err *e);
	int (*has_table)(struct store_conn *c, const char *name, bool *there, struct err *e);
	/* Outside a transaction. */
	int (*scrub)(struct store_conn *c, bool rewrite, struct err *e);
};

extern const struct store_backend store_sqlite;

#endif
