#include "base/file.h"
#include "base/limits.h"
#include "base/store.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], url[128];
static struct err e;

static void set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test-store-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(url, sizeof(url), "sqlite://%s/state.db", dir);
}

static void tear_down(void) { cr_assert_eq(file_remove_tree(dir, NULL), 0); }

TestSuite(base_store, .init = set_up, .fini = tear_down);

static struct store *open_here(void)
{
	struct store *s;
	cr_assert_eq(store_open(&s, url, &e), 0, "%s", e.text);
	return s;
}

static void must(int rc) { cr_assert_geq(rc, 0, "%s", e.text); }

static int64_t ask(struct store *s, const char *sql)
{
	struct store_stmt *st;
	must(store_prepare(s, sql, &st, &e));
	cr_assert_eq(store_step(st, &e), 1, "%s", e.text);
	int64_t v = store_i64(st, 0);
	store_finish(st);
	return v;
}

Test(base_store, other_engines_and_relative_paths_are_refused_by_name)
{
	struct store *s;

	cr_expect_eq(store_open(&s, "postgresql://host/db", &e), ERR_UNSUPPORTED);
	cr_expect_str_eq(e.text, "not available in this version: postgresql storage");
	cr_expect_eq(store_open(&s, "sqlite://state.db", &e), ERR_INPUT);
	cr_expect_eq(store_open(&s, "state.db", &e), ERR_INPUT);
	cr_expect_eq(store_open(&s, "sqlite:///no/such/folder/state.db", &e), ERR_NOTFOUND);
	cr_expect_null(s);
}

Test(base_store, settings_are_those_that_the_header_promises)
{
	struct store *s = open_here();
	struct store_stmt *st;
	struct stat info;
	char path[128];

	must(store_prepare(s, "PRAGMA journal_mode", &st, &e));
	cr_assert_eq(store_step(st, &e), 1);
	cr_expect_str_eq(store_text(st, 0), "wal");
	store_finish(st);
	cr_expect_eq(ask(s, "PRAGMA synchronous"), 2);
	cr_expect_eq(ask(s, "PRAGMA foreign_keys"), 1);
	cr_expect_eq(ask(s, "PRAGMA secure_delete"), 1);
	cr_expect_eq(ask(s, "PRAGMA trusted_schema"), 0);
	cr_expect_lt(
		store_exec(s,
			   "PRAGMA writable_schema=ON; DELETE FROM sqlite_schema; SELECT * FROM x",
			   &e),
		0);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	cr_assert_eq(stat(path, &info), 0);
	cr_expect_eq(info.st_mode & 0777, 0600);
	store_close(s);
}

Test(base_store, values_come_back_as_bound)
{
	struct store *s = open_here();
	struct store_stmt *st;
	size_t len;

	must(store_exec(s, "CREATE TABLE t(a INTEGER, b TEXT, c BLOB, d BLOB, f TEXT) STRICT", &e));
	/* Out of order on purpose: $n is the n-th parameter wherever it stands. */
	must(store_prepare(s, "INSERT INTO t(c, b, a, f, d) VALUES($3, $2, $1, $5, $4)", &st, &e));
	store_bind_i64(st, 1, INT64_MIN);
	store_bind_text(st, 2, "text");
	store_bind_blob(st, 3, "\0\1\2", 3);
	store_bind_blob(st, 4, NULL, 0);
	store_bind_text(st, 5, NULL);
	cr_assert_eq(store_step(st, &e), 0, "%s", e.text);
	cr_expect_eq(store_changes(s), 1);
	store_finish(st);
	must(store_prepare(s, "SELECT a, b, c, d, f FROM t WHERE b = $1", &st, &e));
	store_bind_text(st, 1, "text");
	cr_assert_eq(store_step(st, &e), 1);
	cr_expect_eq(store_i64(st, 0), INT64_MIN);
	cr_expect_str_eq(store_text(st, 1), "text");
	cr_expect(memcmp(store_blob(st, 2, &len), "\0\1\2", 3) == 0 && len == 3);
	cr_expect(store_blob(st, 3, &len) != NULL && len == 0 && !store_is_null(st, 3));
	cr_expect(store_text(st, 4) == NULL && store_is_null(st, 4));
	cr_expect_eq(store_step(st, &e), 0);
	store_reset(st);
	store_bind_text(st, 1, "other");
	cr_expect_eq(store_step(st, &e), 0);
	store_finish(st);
	store_close(s);
}

Test(base_store, rollback_and_close_leave_nothing_and_commit_stays)
{
	struct store *s = open_here();

	must(store_exec(s, "CREATE TABLE t(a INTEGER PRIMARY KEY)", &e));
	must(store_begin(s, &e));
	must(store_exec(s, "INSERT INTO t VALUES(1)", &e));
	store_rollback(s);
	store_rollback(s);
	must(store_begin(s, &e));
	must(store_exec(s, "INSERT INTO t VALUES(2)", &e));
	must(store_commit(s, &e));
	must(store_begin(s, &e));
	must(store_exec(s, "INSERT INTO t VALUES(3)", &e));
	store_close(s);
	s = open_here();
	cr_expect_eq(ask(s, "SELECT sum(a) FROM t"), 2);
	store_close(s);
}

Test(base_store, violated_constraint_is_a_conflict_and_does_not_poison)
{
	struct store *s = open_here();

	must(store_exec(s, "CREATE TABLE t(a INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)", &e));
	cr_expect_eq(store_exec(s, "INSERT INTO t VALUES(1)", &e), ERR_CONFLICT);
	cr_expect_eq(store_exec(s, "nonsense", &e), ERR_INPUT);
	cr_expect_not(store_poisoned(s));
	cr_expect_eq(ask(s, "SELECT count(*) FROM t"), 1);
	store_close(s);
}

Test(base_store, second_writer_is_told_to_try_again)
{
	struct store *a = open_here(), *b = open_here();

	must(store_exec(b, "PRAGMA busy_timeout=10", &e));
	must(store_begin(a, &e));
	cr_expect_eq(store_begin(b, &e), ERR_UNAVAILABLE);
	must(store_commit(a, &e));
	must(store_begin(b, &e));
	must(store_commit(b, &e));
	store_close(a);
	store_close(b);
}

/* In a child, so that the file size limit ends with it. */
static int write_until_refused(void)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };
	struct store *s = open_here();
	int rc = 0;

	must(store_exec(s, "CREATE TABLE t(a BLOB)", &e));
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 10;
	for (int i = 0; rc == 0 && i < 100; i++)
		rc = store_exec(s, "INSERT INTO t VALUES(randomblob(100000))", &e);
	if (rc != ERR_IO || !store_poisoned(s))
		return 11;
	limit.rlim_cur = RLIM_INFINITY;
	if (store_begin(s, &e) != ERR_IO || store_exec(s, "SELECT 1", &e) != ERR_IO)
		return 12;
	struct store_stmt *st;
	if (store_prepare(s, "SELECT 1", &st, &e) != ERR_IO)
		return 13;
	store_close(s);
	s = open_here(); /* a reopen reads the truth and goes on */
	rc = store_exec(s, "SELECT 1", &e);
	store_close(s);
	return rc == 0 ? 0 : 14;
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

static bool file_holds(const char *name, const char *text)
{
	char path[160];
	struct buf b = { 0 };

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!file_exists(path))
		return false;
	must(file_read(path, MIB(16), &b, &e));
	bool found = b.len && memmem(b.bytes, b.len, text, strlen(text));
	buf_free(&b);
	return found;
}

Test(base_store, scrub_removes_deleted_bytes_from_every_file)
{
	static const char secret[] = "erase-me-completely-0123456789";
	struct store *s = open_here();

	must(store_exec(s, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", &e));
	for (int i = 0; i < 200; i++) {
		char sql[160];
		snprintf(sql, sizeof(sql), "INSERT INTO t(v) VALUES('%s%d')",
			 i == 100 ? secret : "row", i);
		must(store_exec(s, sql, &e));
	}
	cr_assert(file_holds("state.db-wal", secret) || file_holds("state.db", secret));
	must(store_exec(s, "DELETE FROM t WHERE id = 101", &e));
	must(store_scrub(s, &e));
	cr_expect_not(file_holds("state.db", secret));
	cr_expect_not(file_holds("state.db-wal", secret));
	cr_expect_not(file_holds("state.db-shm", secret));
	store_close(s);
}

Test(base_store, scrub_reports_a_reader_that_holds_the_log)
{
	struct store *a = open_here(), *b;
	struct store_stmt *st;

	must(store_exec(a, "CREATE TABLE t(v INTEGER); INSERT INTO t VALUES(1), (2)", &e));
	b = open_here();
	must(store_prepare(b, "SELECT v FROM t", &st, &e));
	cr_assert_eq(store_step(st, &e), 1);
	must(store_exec(a, "PRAGMA busy_timeout=10; DELETE FROM t WHERE v = 1", &e));
	cr_expect_eq(store_scrub(a, &e), ERR_UNAVAILABLE);
	store_finish(st);
	store_close(b);
	cr_expect_eq(store_scrub(a, &e), 0, "%s", e.text);
	store_close(a);
}
