#include "base/file.h"
#include "base/limits.h"
#include "base/store.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[128];
static struct err e;

static void set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test-store-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/state.db", dir);
}

static void tear_down(void) { cr_assert_eq(file_remove_tree(dir, NULL), 0); }

TestSuite(base_store, .init = set_up, .fini = tear_down);

static struct store *open_here(void)
{
	struct store *s;
	cr_assert_eq(store_open(&s, path, &e), 0, "%s", e.text);
	return s;
}

static void must(int rc) { cr_assert_geq(rc, 0, "%s", e.text); }

/* Statements in a transaction of their own: 0, or what refused them. */
static int try_sql(struct store *s, const char *sql)
{
	struct store_tx *tx;
	int rc = store_write(s, &tx, &e);

	if (rc == 0)
		rc = store_exec(tx, sql, &e);
	if (rc == 0)
		rc = store_commit(tx, &e);
	store_end(tx);
	return rc;
}

static void sql(struct store *s, const char *text) { must(try_sql(s, text)); }

static int64_t ask_in(struct store_tx *tx, const char *query)
{
	struct store_stmt *st;
	must(store_prepare(tx, query, &st, &e));
	cr_assert_eq(store_step(st, &e), 1, "%s", e.text);
	int64_t v = store_i64(st, 0);
	store_finish(st);
	return v;
}

static int64_t ask(struct store *s, const char *query)
{
	struct store_tx *tx;
	must(store_read(s, &tx, &e));
	int64_t v = ask_in(tx, query);
	store_end(tx);
	return v;
}

Test(base_store, a_second_write_of_one_thread_is_a_broken_invariant, .signal = SIGABRT)
{
	struct store *s = open_here();
	struct store_tx *first, *second;
	must(store_write(s, &first, &e));
	alarm(5); /* another signal than the one awaited */
	(void)!store_write(s, &second, &e);
}

Test(base_store, other_engines_and_relative_paths_are_refused_by_name)
{
	struct store *s;

	cr_expect_eq(store_open(&s, "postgresql://host/db", &e), ERR_UNSUPPORTED);
	cr_expect_str_eq(e.text, "not available in this version: postgresql storage");
	cr_expect_eq(store_open(&s, "sqlite://state.db", &e), ERR_INPUT);
	cr_expect_eq(store_open(&s, "oracle:///state.db", &e), ERR_INPUT);
	cr_expect_eq(store_open(&s, "state.db", &e), ERR_INPUT);
	cr_expect_eq(store_open(&s, "/no/such/folder/state.db", &e), ERR_NOTFOUND);
	cr_expect_null(s);
}

/* There are several databases: a sentence without the file's name does not say what to mend. */
Test(base_store, file_that_cannot_be_opened_is_named)
{
	char garbage[4096];
	struct store *s;

	memset(garbage, 'x', sizeof garbage);
	cr_assert_eq(file_write_durable(path, garbage, sizeof garbage, 0600, &e), 0, "%s", e.text);
	cr_expect_eq(store_open(&s, path, &e), ERR_IO);
	cr_expect(strstr(e.text, path), "%s", e.text);
	cr_expect(strstr(e.text, "file is not a database"), "%s", e.text);
	cr_expect(strstr(e.text, " is damaged") && strstr(e.text, "move it away"), "%s", e.text);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_expect_eq(store_open(&s, path, &e), ERR_IO);
	cr_expect(strstr(e.text, path), "%s", e.text);
}

Test(base_store, settings_are_those_that_are_promised)
{
	struct store *s = open_here();
	struct store_stmt *st;
	struct store_tx *tx;
	struct stat info;

	must(store_write(s, &tx, &e));
	must(store_prepare(tx, "PRAGMA journal_mode", &st, &e));
	cr_assert_eq(store_step(st, &e), 1);
	cr_expect_str_eq(store_text(st, 0), "wal");
	store_finish(st);
	cr_expect_eq(ask_in(tx, "PRAGMA synchronous"), 2);
	cr_expect_eq(ask_in(tx, "PRAGMA foreign_keys"), 1);
	cr_expect_eq(ask_in(tx, "PRAGMA secure_delete"), 1);
	cr_expect_eq(ask_in(tx, "PRAGMA trusted_schema"), 0);
	cr_expect_lt(
		store_exec(tx,
			   "PRAGMA writable_schema=ON; DELETE FROM sqlite_schema; SELECT * FROM x",
			   &e),
		0);
	store_end(tx);
	cr_assert_eq(stat(path, &info), 0);
	cr_expect_eq(info.st_mode & 0777, 0600);
	store_close(s);
}

/* ---- tables and values ---- */

static const struct store_table wide = {
	.name = "wide",
	.column = { { "a", STORE_INTEGER },
		    { "b", STORE_TEXT },
		    { "c", STORE_BYTES },
		    { "d", STORE_BYTES },
		    { "f", STORE_TEXT },
		    { "g", STORE_REAL },
		    { "h", STORE_BOOLEAN },
		    { "i", STORE_BOOLEAN } },
	.key = "a",
	.unique = "b, c",
	.null = "f",
	.index = "g",
};

static void make_tables(struct store *s, const struct store_version *v, size_t count)
{
	struct store_tx *tx;
	must(store_write(s, &tx, &e));
	must(store_schema(tx, "test", v, count, &e));
	must(store_commit(tx, &e));
	store_end(tx);
}

Test(base_store, values_come_back_as_bound)
{
	struct store *s = open_here();
	struct store_stmt *st;
	struct store_tx *tx;
	size_t len;

	make_tables(s, &(struct store_version){ .table = &wide, .tables = 1 }, 1);
	must(store_write(s, &tx, &e));
	/* Out of order on purpose: $n is the n-th parameter wherever it stands. */
	must(store_prepare(tx,
			   "INSERT INTO wide(c, b, a, f, d, g, h, i)"
			   " VALUES($3, $2, $1, $5, $4, $6, $7, $8)",
			   &st, &e));
	store_bind_i64(st, 1, INT64_MIN);
	store_bind_text(st, 2, "text");
	store_bind_blob(st, 3, "\0\1\2", 3);
	store_bind_blob(st, 4, NULL, 0);
	store_bind_text(st, 5, NULL);
	store_bind_real(st, 6, 0x1.921fb54442d18p+1);
	store_bind_bool(st, 7, true);
	store_bind_bool(st, 8, false);
	must(store_run(st, &e));
	cr_expect_eq(store_changes(tx), 1);
	must(store_prepare(tx, "SELECT a, b, c, d, f, g, h, i FROM wide WHERE b = $1", &st, &e));
	store_bind_text(st, 1, "text");
	cr_assert_eq(store_step(st, &e), 1);
	cr_expect_eq(store_i64(st, 0), INT64_MIN);
	cr_expect_str_eq(store_text(st, 1), "text");
	cr_expect(memcmp(store_blob(st, 2, &len), "\0\1\2", 3) == 0 && len == 3);
	cr_expect(store_blob(st, 3, &len) != NULL && len == 0 && !store_is_null(st, 3));
	cr_expect(store_text(st, 4) == NULL && store_is_null(st, 4));
	cr_expect_eq(store_real(st, 5), 0x1.921fb54442d18p+1);
	cr_expect(store_bool(st, 6) && !store_bool(st, 7));
	cr_expect_eq(store_step(st, &e), 0);
	store_reset(st);
	store_bind_text(st, 1, "other");
	cr_expect_eq(store_step(st, &e), 0);
	store_finish(st);
	store_end(tx);
	store_close(s);
}

Test(base_store, described_tables_keep_out_what_does_not_fit)
{
	static const struct {
		const char *sql;
		int rc;
	} rows[] = {
		{ "INSERT INTO wide VALUES(1, 'x', 'no bytes', x'', NULL, 0.5, 1, 0)",
		  ERR_CONFLICT },
		{ "INSERT INTO wide VALUES(1, 'x', x'00', x'', NULL, 0.5, 1, 0)", 0 },
		{ "INSERT INTO wide VALUES(1, 'y', x'00', x'', NULL, 0.5, 1, 0)", ERR_CONFLICT },
		{ "INSERT INTO wide VALUES(2, 'x', x'00', x'', NULL, 0.5, 1, 0)", ERR_CONFLICT },
		{ "INSERT INTO wide VALUES(2, 'x', x'01', x'', 'f', 0.5, 1, 0)", 0 },
		{ "INSERT INTO wide VALUES(3, NULL, x'02', x'', NULL, 0.5, 1, 0)", ERR_CONFLICT },
		{ "INSERT INTO wide VALUES(3, 'z', x'02', x'', NULL, 0.5, 2, 0)", ERR_CONFLICT },
	};
	struct store *s = open_here();

	make_tables(s, &(struct store_version){ .table = &wide, .tables = 1 }, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(try_sql(s, rows[i].sql), rows[i].rc, "%s: %s", rows[i].sql, e.text);
	cr_expect_eq(ask(s, "SELECT count(*) FROM wide"), 2);
	store_close(s);
}

/* ---- versions ---- */

/* By bytes, as no language sorts them, so that an export is the same on every engine and machine. */
Test(base_store, text_is_ordered_and_told_apart_by_its_bytes)
{
	static const char *const sorted[] = {
		"",       " a",     "-",      "10",     "9",      "A",       "Z",          "_",
		"a",      "a b",    "aB",     "ab",     "b",      "e\u0301", "z",          "\u00c4",
		"\u00e4", "\u00e9", "\u00fc", "\u03a9", "\u2126", "\uff41",  "\U0001f600",
	};
	enum { COUNT = sizeof(sorted) / sizeof(*sorted) };
	struct store *s = open_here();
	struct store_tx *tx;
	struct store_stmt *st;
	size_t at = 0;
	static const struct store_table names = {
		.name = "names",
		.column = { { "name", STORE_TEXT }, { "also", STORE_TEXT } },
		.key = "name",
		.index = "also",
	};
	make_tables(s, &(struct store_version){ .table = &names, .tables = 1 }, 1);
	must(store_write(s, &tx, &e));
	for (size_t i = 0; i < COUNT; i++) {
		const char *name = sorted[(i * 7) % COUNT];
		must(store_prepare(tx, "INSERT INTO names(name, also) VALUES($1, $1)", &st, &e));
		store_bind_text(st, 1, name);
		must(store_run(st, &e)); /* none of them is another's equal */
	}
	must(store_commit(tx, &e));
	store_end(tx);
	must(store_read(s, &tx, &e));
	must(store_prepare(tx, "SELECT name FROM names ORDER BY name", &st, &e));
	for (; store_step(st, &e) == 1; at++)
		cr_expect_str_eq(store_text(st, 0), sorted[at % COUNT], "place %zu", at);
	cr_expect_eq(at, COUNT);
	store_finish(st);
	must(store_prepare(tx, "SELECT count(*) FROM names WHERE also > $1", &st, &e));
	store_bind_text(st, 1, "z");
	must(store_step(st, &e));
	cr_expect_eq(store_i64(st, 0), 8, "comparing is by bytes too");
	store_finish(st);
	store_end(tx);
	store_close(s);
}

static int fill_fails;

static int fill_more(struct store_tx *tx, struct err *err)
{
	TRY(store_exec(tx, "INSERT INTO more SELECT a FROM wide", err));
	return fill_fails ? err_set(err, ERR_INPUT, "the filling failed") : 0;
}

static const struct store_table more = {
	.name = "more",
	.column = { { "name", STORE_TEXT } },
	.key = "name",
};
static const struct store_table old_wide = {
	.name = "old",
	.column = { { "a", STORE_TEXT } },
	.key = "a",
};
static const struct store_version steps[] = {
	{ .table = &old_wide, .tables = 1 },
	{ .sql = "ALTER TABLE old RENAME TO wide" },
	{ .table = &more, .tables = 1, .fill = fill_more },
};

Test(base_store, tables_of_every_earlier_version_are_brought_up_with_their_rows)
{
	for (size_t have = 0; have < 3; have++) {
		struct store *s = open_here();
		if (have == 0) /* as before versions were counted */
			sql(s, "CREATE TABLE old(a TEXT PRIMARY KEY) STRICT");
		else
			make_tables(s, steps, have);
		sql(s, have < 2 ? "INSERT INTO old VALUES('kept')"
				: "INSERT INTO wide VALUES('kept')");
		make_tables(s, steps, 3);
		make_tables(s, steps, 3); /* once is enough */
		cr_expect_eq(ask(s, "SELECT count(*) FROM more WHERE name = 'kept'"), 1);
		cr_expect_eq(ask(s, "SELECT version FROM schema WHERE part = 'test'"), 3);
		store_close(s);
		cr_assert_eq(unlink(path), 0);
	}
}

Test(base_store, failed_step_leaves_the_version_before_it)
{
	struct store *s = open_here();
	struct store_tx *tx;

	make_tables(s, steps, 1);
	sql(s, "INSERT INTO old VALUES('kept')");
	fill_fails = 1;
	must(store_write(s, &tx, &e));
	cr_expect_eq(store_schema(tx, "test", steps, 3, &e), ERR_INPUT);
	store_end(tx);
	fill_fails = 0;
	cr_expect_eq(ask(s, "SELECT count(*) FROM old"), 1);
	cr_expect_eq(ask(s, "SELECT version FROM schema WHERE part = 'test'"), 1);
	make_tables(s, steps, 3);
	cr_expect_eq(ask(s, "SELECT count(*) FROM more"), 1);
	store_close(s);
}

Test(base_store, newer_version_is_refused_in_a_sentence_and_changes_nothing)
{
	struct store *s = open_here();
	struct store_tx *tx;
	char text[300];

	make_tables(s, steps, 3);
	must(store_write(s, &tx, &e));
	cr_expect_eq(store_schema(tx, "test", steps, 2, &e), ERR_UNSUPPORTED);
	snprintf(text, sizeof(text),
		 "%s: its test tables have version 3, and this program knows up to 2: a newer "
		 "program wrote them, open it with that one; nothing was changed",
		 path);
	cr_expect_str_eq(e.text, text);
	store_end(tx);
	must(store_read(s, &tx, &e));
	cr_expect_eq(store_schema_check(tx, "test", 2, &e), ERR_UNSUPPORTED);
	cr_expect_eq(store_schema_check(tx, "test", 3, &e), 0);
	cr_expect_eq(store_schema_check(tx, "test", 4, &e), 0, "an older one can be read");
	cr_expect_eq(store_schema_check(tx, "another", 1, &e), 0);
	store_end(tx);
	store_close(s);
}

/* ---- transactions ---- */

Test(base_store, only_what_was_committed_stays)
{
	struct store *s = open_here();
	struct store_tx *tx;

	sql(s, "CREATE TABLE t(a INTEGER PRIMARY KEY)");
	must(store_write(s, &tx, &e));
	must(store_exec(tx, "INSERT INTO t VALUES(1)", &e));
	store_end(tx);
	store_end(NULL);
	sql(s, "INSERT INTO t VALUES(2)");
	store_close(s);
	s = open_here();
	cr_expect_eq(ask(s, "SELECT sum(a) FROM t"), 2);
	store_close(s);
}

Test(base_store, reader_cannot_write)
{
	struct store *s = open_here();
	struct store_tx *tx;

	sql(s, "CREATE TABLE t(a INTEGER PRIMARY KEY)");
	must(store_read(s, &tx, &e));
	cr_expect_lt(store_exec(tx, "INSERT INTO t VALUES(1)", &e), 0);
	store_end(tx);
	cr_expect_eq(ask(s, "SELECT count(*) FROM t"), 0);
	store_close(s);
}

Test(base_store, violated_constraint_is_a_conflict_and_does_not_poison)
{
	struct store *s = open_here();

	sql(s, "CREATE TABLE t(a INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)");
	cr_expect_eq(try_sql(s, "INSERT INTO t VALUES(1)"), ERR_CONFLICT);
	cr_expect_eq(try_sql(s, "nonsense"), ERR_INPUT);
	cr_expect_not(store_poisoned(s));
	cr_expect_eq(ask(s, "SELECT count(*) FROM t"), 1);
	store_close(s);
}

/* Another process is another store here: locks are between connections. */
Test(base_store, second_process_is_told_to_try_again)
{
	struct store *a = open_here(), *b = open_here();
	struct store_tx *tx, *other;

	store_wait_ms(b, 10);
	must(store_write(a, &tx, &e));
	cr_expect_eq(store_write(b, &other, &e), ERR_UNAVAILABLE);
	store_end(tx);
	must(store_write(b, &other, &e));
	store_end(other);
	store_close(a);
	store_close(b);
}

/* ---- many readers beside a writer ---- */

#define READERS 16
#define ROUNDS 200

static struct store *shared;
static atomic_int reading, wrong;
static atomic_bool written;

/* The writer keeps both rows equal; a reader that saw half of a transaction, or two states in one
 * snapshot, would find them apart. */
static void *read_pairs(void *arg)
{
	struct err why;
	int64_t newest = -1;

	(void)arg;
	reading++;
	while (!written) {
		struct store_tx *tx;
		if (store_read(shared, &tx, &why) < 0) {
			wrong++;
			break;
		}
		int64_t one = ask_in(tx, "SELECT v FROM pair WHERE id = 1");
		for (int i = 0; i < 3; i++)
			wrong += ask_in(tx, "SELECT v FROM pair WHERE id = 2") != one;
		wrong += ask_in(tx, "SELECT count(*) FROM more") != one;
		wrong += one < newest; /* snapshots never go back */
		newest = one;
		store_end(tx);
	}
	return NULL;
}

Test(base_store, sixteen_readers_beside_a_writer_see_whole_transactions)
{
	pthread_t thread[READERS];

	shared = open_here();
	sql(shared, "CREATE TABLE pair(id INTEGER PRIMARY KEY, v INTEGER);"
		    "INSERT INTO pair VALUES(1, 0), (2, 0); CREATE TABLE more(id INTEGER)");
	for (int i = 0; i < READERS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, read_pairs, NULL), 0);
	while (reading < READERS)
		usleep(100);
	for (int i = 0; i < ROUNDS; i++)
		sql(shared, "UPDATE pair SET v = v + 1 WHERE id = 1; INSERT INTO more VALUES(1);"
			    "UPDATE pair SET v = v + 1 WHERE id = 2");
	written = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(wrong, 0);
	cr_expect_eq(ask(shared, "SELECT v FROM pair WHERE id = 2"), ROUNDS);
	store_close(shared);
}

Test(base_store, snapshot_stands_still_while_others_come_and_go)
{
	struct store *s = open_here();
	struct store_tx *before, *tx[40];

	sql(s, "CREATE TABLE t(a INTEGER)");
	must(store_read(s, &before, &e));
	sql(s, "INSERT INTO t VALUES(1)");
	for (int i = 0; i < 40; i++)
		must(store_read(s, &tx[i], &e));
	for (int i = 0; i < 40; i++) {
		cr_expect_eq(ask_in(tx[i], "SELECT count(*) FROM t"), 1);
		store_end(tx[i]);
	}
	cr_expect_eq(ask_in(before, "SELECT count(*) FROM t"), 0);
	store_end(before);
	cr_expect_eq(ask(s, "SELECT count(*) FROM t"), 1);
	store_close(s);
}

static void *write_many(void *arg)
{
	for (int i = 0; i < 50; i++)
		sql(arg, "UPDATE t SET a = a + 1");
	return NULL;
}

Test(base_store, writers_of_one_store_take_turns)
{
	struct store *s = open_here();
	pthread_t thread[4];

	sql(s, "CREATE TABLE t(a INTEGER); INSERT INTO t VALUES(0)");
	store_wait_ms(s, 0); /* none of them may meet another's lock */
	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, write_many, s), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(ask(s, "SELECT a FROM t"), 200);
	store_close(s);
}

/* Tries again and again, as long as another program holds the database. */
static void *try_for_ever(void *arg)
{
	struct err ours = { 0 };
	struct store_tx *tx;

	while (!atomic_load(&written)) {
		cr_expect_eq(store_write(arg, &tx, &ours), ERR_UNAVAILABLE);
		atomic_fetch_add(&reading, 1);
	}
	return NULL;
}

Test(base_store, who_tries_again_and_again_keeps_no_other_writer_out)
{
	struct store *s = open_here(), *another = open_here();
	struct store_tx *tx, *held;
	pthread_t thread;

	must(store_write(another, &held, &e));
	store_wait_ms(s, 20);
	atomic_store(&written, false);
	atomic_store(&reading, 0);
	cr_assert_eq(pthread_create(&thread, NULL, try_for_ever, s), 0);
	while (atomic_load(&reading) == 0)
		sched_yield();
	for (int i = 0; i < 10; i++) {
		int before = atomic_load(&reading);
		cr_expect_eq(store_write(s, &tx, &e), ERR_UNAVAILABLE);
		cr_expect_leq(atomic_load(&reading) - before, 2);
	}
	store_wait_ms(s, 0); /* at once, not after who waits now */
	atomic_store(&written, true);
	pthread_join(thread, NULL);
	store_end(held);
	store_close(s);
	store_close(another);
}

/* ---- failures ---- */

/* In a child, so that the file size limit ends with it. */
static int write_until_refused(void)
{
	struct rlimit limit = { 1 << 20, RLIM_INFINITY };
	struct store *s = open_here();
	struct store_tx *tx;
	int rc = 0;

	sql(s, "CREATE TABLE t(a)");
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 10;
	for (int i = 0; rc == 0 && i < 100; i++)
		rc = try_sql(s, "INSERT INTO t VALUES(randomblob(100000))");
	if (rc != ERR_IO || !store_poisoned(s))
		return 11;
	limit.rlim_cur = RLIM_INFINITY;
	if (store_write(s, &tx, &e) != ERR_IO || store_read(s, &tx, &e) != ERR_IO)
		return 12;
	if (store_scrub(s, false, &e) != ERR_IO)
		return 13;
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || store_reopen(s, &e) < 0)
		return 14;
	rc = try_sql(s, "INSERT INTO t VALUES('goes on')"); /* over the same store */
	if (rc < 0 || store_poisoned(s) ||
	    ask(s, "SELECT count(*) FROM t WHERE a = 'goes on'") != 1)
		return 15;
	store_close(s);
	s = open_here(); /* a reopen reads the truth and goes on */
	rc = store_read(s, &tx, &e);
	store_end(tx);
	store_close(s);
	return rc == 0 ? 0 : 16;
}

Test(base_store, failed_write_poisons_until_reopened)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(write_until_refused());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

Test(base_store, reopening_leaves_open_readers_their_snapshot)
{
	struct store *s = open_here();
	struct store_tx *before, *tx;
	struct store_stmt *st;

	sql(s, "CREATE TABLE t(a INTEGER); INSERT INTO t VALUES(1)");
	must(store_read(s, &before, &e));
	cr_expect_eq(store_reopen(s, &e), ERR_UNAVAILABLE, "its pages are still read");
	sql(s, "INSERT INTO t VALUES(2)");
	store_end(before);
	must(store_reopen(s, &e));
	must(store_read(s, &tx, &e));
	must(store_prepare(tx, "SELECT count(*) FROM t", &st, &e));
	cr_expect_eq(store_step(st, &e), 1);
	cr_expect_eq(store_i64(st, 0), 2);
	store_finish(st);
	store_end(tx);
	store_close(s);
}

static bool file_holds(const char *name, const char *text)
{
	char file[160];
	struct buf b = { 0 };

	snprintf(file, sizeof(file), "%s/%s", dir, name);
	if (!file_exists(file))
		return false;
	must(file_read(file, MIB(16), &b, &e));
	bool found = b.len && memmem(b.bytes, b.len, text, strlen(text));
	buf_free(&b);
	return found;
}

Test(base_store, scrub_removes_deleted_bytes_from_every_file)
{
	static const char secret[] = "erase-me-completely-0123456789";

	for (int rewrite = 0; rewrite < 2; rewrite++) {
		struct store *s = open_here();
		sql(s, "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)");
		for (int i = 0; i < 200; i++) {
			char text[160];
			snprintf(text, sizeof(text), "INSERT INTO t(v) VALUES('%s%d')",
				 i == 100 ? secret : "row", i);
			sql(s, text);
		}
		cr_assert(file_holds("state.db-wal", secret) || file_holds("state.db", secret));
		sql(s, "DELETE FROM t WHERE v LIKE 'erase%'");
		must(store_scrub(s, rewrite, &e));
		cr_expect_not(file_holds("state.db", secret));
		cr_expect_not(file_holds("state.db-wal", secret));
		cr_expect_not(file_holds("state.db-shm", secret));
		store_close(s);
	}
}

Test(base_store, scrub_reports_a_reader_that_holds_the_log)
{
	struct store *s = open_here();
	struct store_tx *tx;

	sql(s, "CREATE TABLE t(v INTEGER); INSERT INTO t VALUES(1), (2)");
	must(store_read(s, &tx, &e));
	store_wait_ms(s, 10);
	sql(s, "DELETE FROM t WHERE v = 1");
	cr_expect_eq(store_scrub(s, false, &e), ERR_UNAVAILABLE);
	cr_expect_eq(store_scrub(s, true, &e), ERR_UNAVAILABLE);
	store_end(tx);
	cr_expect_eq(store_scrub(s, false, &e), 0, "%s", e.text);
	store_close(s);
}
