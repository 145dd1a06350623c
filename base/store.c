/* Storage: connections, transactions, versions of tables. The engine's part is base/store_NAME.c.
 *
 * The writer's connection is opened with the store and used by one thread at a time, in the order
 * in which they asked: beside a database that another program holds, one that tries again and
 * again would else keep all others out for as long as it tries.
 * Readers' connections are made when all others are in use, and kept for the next reader. */
#include "base/store_backend.h"

#include "base/check.h"
#include "base/text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDLE_MAX 16 /* readers kept open; each holds descriptors and a page cache */

static const struct store_backend *const backends[] = { &store_sqlite };

struct store_tx {
	struct store *store;
	struct store_conn *conn;
	struct store_tx *next; /* while idle */
	bool writes;
	unsigned statements; /* not yet finished */
	unsigned age;        /* the store's, when a reader was made */
};

struct store {
	const struct store_backend *backend;
	char *url;
	pthread_mutex_t turn; /* of these: */
	pthread_cond_t turned;
	uint64_t asked, given; /* numbers of turns; `given` is the one whose turn it is */
	bool taken;
	pthread_t taker;
	struct store_tx writer; /* its thread's */
	atomic_bool poisoned;
	atomic_uint_fast64_t work;

	pthread_mutex_t lock; /* all below */
	struct store_tx *idle;
	unsigned kept, reading; /* idle readers; those in use */
	unsigned age;           /* how often it was opened again */
	unsigned wait_ms;
};

/* ---- opening ---- */

static int find_backend(const char *url, const struct store_backend **out, struct err *e)
{
	const char *end = strstr(url, "://");

	if (!end && *url == '/') {
		*out = backends[0];
		return 0;
	}
	for (size_t i = 0; end && i < sizeof backends / sizeof *backends; i++) {
		const char *scheme = backends[i]->scheme;
		if (strlen(scheme) == (size_t)(end - url) && text_starts(url, scheme)) {
			*out = backends[i];
			return 0;
		}
	}
	if (text_starts(url, "postgresql://") || text_starts(url, "postgres://"))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: postgresql storage");
	return err_set(e, ERR_INPUT, "storage \"%.200s\": expected an absolute path", url);
}

static void turn_init(struct store *s)
{
	pthread_mutex_init(&s->turn, NULL);
	pthread_cond_init(&s->turned, NULL);
}

static bool turn_is_ours(const struct store *s)
{
	return s->taken && pthread_equal(s->taker, pthread_self());
}

/* A thread that begins a second write, or ends that of another, breaks a rule of the interface: it
 * aborts, and does not wait for ever. */
static void turn_take(struct store *s)
{
	pthread_mutex_lock(&s->turn);
	check(!turn_is_ours(s));
	for (uint64_t mine = s->asked++; mine != s->given;)
		pthread_cond_wait(&s->turned, &s->turn);
	s->taken = true;
	s->taker = pthread_self();
	pthread_mutex_unlock(&s->turn);
}

static void turn_give(struct store *s)
{
	pthread_mutex_lock(&s->turn);
	check(turn_is_ours(s));
	s->taken = false;
	s->given++;
	pthread_cond_broadcast(&s->turned);
	pthread_mutex_unlock(&s->turn);
}

int store_open(struct store **out, const char *url, struct err *e)
{
	const struct store_backend *backend;

	*out = NULL;
	TRY(find_backend(url, &backend, e));
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	turn_init(s);
	pthread_mutex_init(&s->lock, NULL);
	s->backend = backend;
	s->wait_ms = STORE_WAIT_MS;
	s->writer = (struct store_tx){ .store = s, .writes = true };
	s->url = strdup(url);
	int rc = s->url ? backend->open(&s->writer.conn, url, true, e)
			: err_set(e, ERR_NOMEM, "out of memory");
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

static void reader_close(struct store_tx *tx)
{
	if (tx->conn)
		tx->store->backend->close(tx->conn);
	free(tx);
}

static void readers_close(struct store_tx *idle)
{
	while (idle) {
		struct store_tx *tx = idle;
		idle = tx->next;
		reader_close(tx);
	}
}

void store_close(struct store *s)
{
	if (!s)
		return;
	check(s->reading == 0);
	readers_close(s->idle);
	if (s->writer.conn)
		s->backend->close(s->writer.conn);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->turned);
	pthread_mutex_destroy(&s->turn);
	free(s->url);
	free(s);
}

/* All that was read and written before is left behind with the old connections. */
static void take_writer(struct store *s, struct store_conn *conn)
{
	pthread_mutex_lock(&s->lock);
	struct store_conn *old = s->writer.conn;
	struct store_tx *idle = s->idle;
	s->writer.conn = conn;
	s->idle = NULL;
	s->kept = 0;
	s->age++;
	pthread_mutex_unlock(&s->lock);
	readers_close(idle);
	s->backend->close(old);
	atomic_store(&s->poisoned, false);
}

int store_reopen(struct store *s, struct err *e)
{
	struct store_conn *conn;

	turn_take(s);
	int rc = s->backend->open(&conn, s->url, true, e);
	if (rc == 0) {
		s->backend->wait_ms(conn, STORE_WAIT_MS);
		rc = s->backend->scrub(conn, false, e);
		if (rc < 0)
			s->backend->close(conn);
		else
			take_writer(s, conn);
	}
	turn_give(s);
	return rc;
}

void store_wait_ms(struct store *s, unsigned ms)
{
	pthread_mutex_lock(&s->lock);
	s->wait_ms = ms;
	pthread_mutex_unlock(&s->lock);
}

/* ---- transactions ---- */

static int refuse_poisoned(const struct store *s, struct err *e)
{
	if (!store_poisoned(s))
		return 0;
	return err_set(e, ERR_IO,
		       "database: an earlier storage failure left it in doubt; reopen it");
}

/* Note a poisoned connection; called after every call into the engine. */
static int settle(struct store *s, const struct store_conn *c, int rc)
{
	if (c->poisoned)
		atomic_store(&s->poisoned, true);
	return rc;
}

static int reader_open(struct store *s, struct store_tx **out, struct err *e)
{
	struct store_tx *tx = calloc(1, sizeof *tx);

	if (!tx)
		return err_set(e, ERR_NOMEM, "out of memory");
	tx->store = s;
	int rc = s->backend->open(&tx->conn, s->url, false, e);
	if (rc < 0) {
		reader_close(tx);
		return rc;
	}
	*out = tx;
	return 0;
}

int store_read(struct store *s, struct store_tx **out, struct err *e)
{
	*out = NULL;
	TRY(refuse_poisoned(s, e));
	pthread_mutex_lock(&s->lock);
	struct store_tx *tx = s->idle;
	unsigned wait = s->wait_ms;
	unsigned age = s->age;
	if (tx) {
		s->idle = tx->next;
		s->kept--;
	}
	s->reading++;
	pthread_mutex_unlock(&s->lock);
	int rc = tx ? 0 : reader_open(s, &tx, e);
	if (rc == 0) {
		tx->age = age;
		s->backend->wait_ms(tx->conn, wait);
		rc = settle(s, tx->conn, s->backend->begin(tx->conn, false, e));
	}
	if (rc == 0) {
		*out = tx;
		return 0;
	}
	if (tx)
		reader_close(tx);
	pthread_mutex_lock(&s->lock);
	s->reading--;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static unsigned ask_wait_ms(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	unsigned ms = s->wait_ms;
	pthread_mutex_unlock(&s->lock);
	return ms;
}

int store_write(struct store *s, struct store_tx **out, struct err *e)
{
	*out = NULL;
	turn_take(s);
	int rc = refuse_poisoned(s, e);
	if (rc == 0) {
		s->backend->wait_ms(s->writer.conn, ask_wait_ms(s));
		rc = settle(s, s->writer.conn, s->backend->begin(s->writer.conn, true, e));
	}
	if (rc < 0)
		turn_give(s);
	else
		*out = &s->writer;
	return rc;
}

int store_commit(struct store_tx *tx, struct err *e)
{
	check(tx->writes && tx->statements == 0);
	TRY(refuse_poisoned(tx->store, e));
	int rc = settle(tx->store, tx->conn, tx->conn->backend->commit(tx->conn, e));
	if (rc < 0)
		tx->conn->backend->rollback(tx->conn);
	return rc;
}

static void reader_keep(struct store_tx *tx)
{
	struct store *s = tx->store;

	pthread_mutex_lock(&s->lock);
	s->reading--;
	bool keep = s->kept < IDLE_MAX && tx->age == s->age && !store_poisoned(s);
	if (keep) {
		tx->next = s->idle;
		s->idle = tx;
		s->kept++;
	}
	pthread_mutex_unlock(&s->lock);
	if (!keep)
		reader_close(tx);
}

void store_end(struct store_tx *tx)
{
	if (!tx)
		return;
	check(tx->statements == 0);
	tx->conn->backend->rollback(tx->conn);
	atomic_fetch_add(&tx->store->work, tx->conn->work);
	tx->conn->work = 0;
	if (tx->writes)
		turn_give(tx->store);
	else
		reader_keep(tx);
}

bool store_poisoned(const struct store *s) { return atomic_load(&s->poisoned); }

uint64_t store_work(const struct store *s) { return atomic_load(&s->work); }

/* ---- statements ---- */

int store_exec(struct store_tx *tx, const char *sql, struct err *e)
{
	TRY(refuse_poisoned(tx->store, e));
	return settle(tx->store, tx->conn, tx->conn->backend->exec(tx->conn, sql, e));
}

int store_prepare(struct store_tx *tx, const char *sql, struct store_stmt **out, struct err *e)
{
	*out = NULL;
	TRY(refuse_poisoned(tx->store, e));
	int rc = tx->conn->backend->prepare(tx->conn, sql, out, e);
	if (rc == 0) {
		(*out)->tx = tx;
		(*out)->conn = tx->conn;
		tx->statements++;
	}
	return settle(tx->store, tx->conn, rc);
}

static void bind(struct store_stmt *st, int i, struct store_value v)
{
	st->conn->backend->bind(st, i, &v);
}

void store_bind_i64(struct store_stmt *st, int i, int64_t v)
{
	bind(st, i, (struct store_value){ .type = STORE_INTEGER, .integer = v });
}

void store_bind_real(struct store_stmt *st, int i, double v)
{
	bind(st, i, (struct store_value){ .type = STORE_REAL, .real = v });
}

void store_bind_bool(struct store_stmt *st, int i, bool v)
{
	bind(st, i, (struct store_value){ .type = STORE_BOOLEAN, .integer = v });
}

void store_bind_text(struct store_stmt *st, int i, const char *text)
{
	if (!text)
		store_bind_null(st, i);
	else
		bind(st, i,
		     (struct store_value){
			     .type = STORE_TEXT, .bytes = text, .len = strlen(text) });
}

void store_bind_blob(struct store_stmt *st, int i, const void *bytes, size_t len)
{
	bind(st, i,
	     (struct store_value){ .type = STORE_BYTES, .bytes = len ? bytes : "", .len = len });
}

void store_bind_null(struct store_stmt *st, int i)
{
	bind(st, i, (struct store_value){ .type = STORE_NONE });
}

int store_step(struct store_stmt *st, struct err *e)
{
	TRY(refuse_poisoned(st->tx->store, e));
	return settle(st->tx->store, st->conn, st->conn->backend->step(st, e));
}

int64_t store_i64(struct store_stmt *st, int column)
{
	return st->conn->backend->column(st, column, STORE_INTEGER).integer;
}

double store_real(struct store_stmt *st, int column)
{
	return st->conn->backend->column(st, column, STORE_REAL).real;
}

bool store_bool(struct store_stmt *st, int column)
{
	return st->conn->backend->column(st, column, STORE_BOOLEAN).integer != 0;
}

const char *store_text(struct store_stmt *st, int column)
{
	return st->conn->backend->column(st, column, STORE_TEXT).bytes;
}

const void *store_blob(struct store_stmt *st, int column, size_t *len)
{
	struct store_value v = st->conn->backend->column(st, column, STORE_BYTES);

	*len = v.len;
	return v.bytes;
}

bool store_is_null(struct store_stmt *st, int column)
{
	return st->conn->backend->column(st, column, STORE_NONE).type == STORE_NONE;
}

void store_reset(struct store_stmt *st) { st->conn->backend->reset(st); }

void store_finish(struct store_stmt *st)
{
	if (!st)
		return;
	st->tx->statements--;
	st->conn->backend->finish(st);
}

int store_run(struct store_stmt *st, struct err *e)
{
	int rc = store_step(st, e);

	store_finish(st);
	return rc < 0 ? rc : 0;
}

int64_t store_changes(struct store_tx *tx) { return tx->conn->backend->changes(tx->conn); }

/* One attempt, in which writers wait. */
static int scrub_once(struct store *s, bool rewrite, unsigned try_ms, struct err *e)
{
	turn_take(s);
	int rc = refuse_poisoned(s, e);
	if (rc == 0) {
		s->backend->wait_ms(s->writer.conn, try_ms);
		rc = settle(s, s->writer.conn, s->backend->scrub(s->writer.conn, rewrite, e));
	}
	turn_give(s);
	return rc;
}

#define SCRUB_TRY_MS 5 /* of these 30, so that writers hardly notice */
#define SCRUB_TURN_MS 30

int store_scrub(struct store *s, bool rewrite, struct err *e)
{
	const unsigned wait_ms = ask_wait_ms(s);

	for (unsigned waited = 0;; waited += SCRUB_TURN_MS) {
		unsigned left = wait_ms - waited;
		unsigned try_ms = left < SCRUB_TRY_MS ? left : SCRUB_TRY_MS;
		int rc = scrub_once(s, rewrite, try_ms, e);
		if (rc != ERR_UNAVAILABLE || left <= SCRUB_TURN_MS)
			return rc;
		nanosleep(&(struct timespec){ .tv_nsec = (SCRUB_TURN_MS - SCRUB_TRY_MS) * 1000000L }, NULL);
	}
}

/* ---- versions of tables ---- */

static const struct store_table schema_table = {
	.name = "schema",
	.column = { { .name = "part", .type = STORE_TEXT },
		    { .name = "version", .type = STORE_INTEGER } },
	.key = "part",
};

/* The version of a part in a database with a schema table; 0 where it has none yet. */
static int read_version(struct store_tx *tx, const char *part, int64_t *version, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "SELECT version FROM schema WHERE part = $1", &st, e));
	store_bind_text(st, 1, part);
	int rc = store_step(st, e);
	*version = rc == 1 ? store_i64(st, 0) : 0;
	store_finish(st);
	return rc < 0 ? rc : 0;
}

static int write_version(struct store_tx *tx, const char *part, size_t version, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "INSERT INTO schema(part, version) VALUES($1, $2)"
			  " ON CONFLICT(part) DO UPDATE SET version = excluded.version",
			  &st, e));
	store_bind_text(st, 1, part);
	store_bind_i64(st, 2, (int64_t)version);
	return store_run(st, e);
}

static int check_version(const struct store_tx *tx, const char *part, int64_t found, size_t known,
			 struct err *e)
{
	if (found >= 0 && (uint64_t)found <= known)
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		       "%s: its %s tables have version %lld, and this program knows up to %zu: a "
		       "newer program wrote them, open it with that one; nothing was changed",
		       tx->store->url, part, (long long)found, known);
}

static int step_version(struct store_tx *tx, const struct store_version *v, struct err *e)
{
	struct store_conn *c = tx->conn;

	for (size_t i = 0; i < v->tables; i++)
		TRY(settle(tx->store, c, c->backend->make_table(c, &v->table[i], e)));
	if (v->sql)
		TRY(store_exec(tx, v->sql, e));
	return v->fill ? v->fill(tx, e) : 0;
}

int store_schema(struct store_tx *tx, const char *part, const struct store_version *version,
		 size_t count, struct err *e)
{
	struct store_conn *c = tx->conn;
	int64_t found;

	check(tx->writes);
	TRY(refuse_poisoned(tx->store, e));
	TRY(settle(tx->store, c, c->backend->make_table(c, &schema_table, e)));
	TRY(read_version(tx, part, &found, e));
	TRY(check_version(tx, part, found, count, e));
	if ((size_t)found == count)
		return 0;
	for (size_t i = (size_t)found; i < count; i++)
		TRY(step_version(tx, &version[i], e));
	return write_version(tx, part, count, e);
}

int store_schema_version(struct store_tx *tx, const char *part, int64_t *version, struct err *e)
{
	bool there;

	*version = 0;
	TRY(settle(tx->store, tx->conn,
		   tx->conn->backend->has_table(tx->conn, schema_table.name, &there, e)));
	return there ? read_version(tx, part, version, e) : 0;
}

int store_schema_check(struct store_tx *tx, const char *part, size_t known, struct err *e)
{
	int64_t found;

	TRY(store_schema_version(tx, part, &found, e));
	return check_version(tx, part, found, known, e);
}
