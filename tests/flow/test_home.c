/* The state folder: where it is, what opening makes, who may write; what an earlier version left is
 * brought up, what a newer one left is refused, and many threads read one that is open. */
#include "support.h"

#include "base/file.h"
#include "base/store.h"
#include "flow/home.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fixture at;

static void set_up(void) { fixture_make(&at); }
static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_home, .init = set_up, .fini = tear_down, .timeout = 120);

static int try_home(const char *home, bool read_only, struct err *e)
{
	const struct flow_options o = {
		.home = home, .env = &at.env, .read_only = read_only, .quiet = true
	};
	return flow_open(&at.flow, &o, e);
}

/* ---- where ---- */

static const struct {
	const char *given, *hallmark, *xdg, *home, *place; /* relative to the temporary folder */
} places[] = {
	{ "a", "b", "c", "d", "a" },
	{ NULL, "b", "c", "d", "b" },
	{ NULL, "", "c", "d", "c/hallmark" },
	{ NULL, NULL, "c", "d", "c/hallmark" },
	{ NULL, NULL, NULL, "d", "d/.local/share/hallmark" },
	{ NULL, NULL, "", "d", "d/.local/share/hallmark" },
	{ "deep/er//", NULL, NULL, NULL, "deep/er" },
};

static void set_env(const char *name, const char *relative)
{
	if (!relative)
		cr_assert_eq(unsetenv(name), 0);
	else
		cr_assert_eq(setenv(name, *relative ? fixture_path(&at, relative) : "", 1), 0);
}

Test(flow_home, the_first_place_that_is_named_is_taken)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char file[200];
		struct err e = { 0 };
		set_env("HALLMARK_HOME", places[i].hallmark);
		set_env("XDG_DATA_HOME", places[i].xdg);
		set_env("HOME", places[i].home);
		int rc = try_home(places[i].given ? fixture_path(&at, places[i].given) : NULL,
				  false, &e);
		cr_assert_eq(rc, 0, "row %zu: %s", i, e.text);
		snprintf(file, sizeof file, "%s/state.db", places[i].place);
		cr_expect(fixture_has(&at, file), "row %zu", i);
		fixture_close(&at);
		snprintf(file, sizeof file, "%s", places[i].place);
		file[strcspn(file, "/")] = 0;
		fixture_delete(&at, file);
	}
}

Test(flow_home, without_any_place_it_says_how_to_name_one)
{
	struct err e = { 0 };
	set_env("HALLMARK_HOME", NULL);
	set_env("XDG_DATA_HOME", NULL);
	set_env("HOME", NULL);
	expect_says(ERR_USAGE, "set HALLMARK_HOME or give --home", try_home(NULL, false, &e));
	cr_expect_null(at.flow);
}

Test(flow_home, a_relative_place_is_taken_from_here)
{
	char here[LIMIT_PATH_BYTES];
	struct err e = { 0 };
	cr_assert_not_null(getcwd(here, sizeof here));
	cr_assert_eq(chdir(at.dir), 0);
	expect(0, try_home("rel/home", false, &e));
	fixture_key(&at, "k");
	fixture_close(&at);
	cr_assert_eq(chdir(here), 0);
	cr_expect(fixture_has(&at, "rel/home/state.db"));
	cr_expect(fixture_has(&at, "rel/home/keys/k.key"));
}

/* ---- what opening makes ---- */

Test(flow_home, the_first_opening_makes_a_private_folder_with_a_log)
{
	static const char *const there[] = { "home/state.db",       "home/keys/log.key",
					     "home/keys/log.pub",   "home/trust",
					     "home/log/checkpoint", "home/policy",
					     "home/cache" };
	static const char *const closed[] = { "home", "home/keys", "home/log", "home/trust" };
	fixture_open(&at);
	for (size_t i = 0; i < sizeof there / sizeof *there; i++)
		cr_expect(fixture_has(&at, there[i]), "%s", there[i]);
	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
		struct stat st;
		cr_assert_eq(stat(fixture_path(&at, closed[i]), &st), 0);
		cr_expect_eq(st.st_mode & 077, 0, "%s is closed to others", closed[i]);
	}
	const json_t *done = flow_recovered(at.flow);
	cr_expect(count_of(done, "completed") + count_of(done, "undone") +
			  count_of(done, "failed") ==
		  0);
}

static size_t log_size(void)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_list(at.flow, 0, 0, &report, &e));
	size_t size = (size_t)number_of(report, "size");
	json_decref(report);
	return size;
}

Test(flow_home, a_process_that_only_looked_leaves_no_record)
{
	fixture_open(&at);
	cr_expect_eq(log_size(), 1, "genesis");
	fixture_close(&at);
	fixture_open(&at);
	cr_expect_eq(log_size(), 1);
}

Test(flow_home, what_a_process_did_stands_between_its_start_and_stop)
{
	static const char *const types[] = { "genesis", "start", "key", "key", "stop" };
	json_t *report;
	struct err e = { 0 };
	fixture_open(&at);
	fixture_key(&at, "a");
	fixture_key(&at, "b");
	fixture_close(&at);
	fixture_open(&at);
	expect(0, flow_audit_list(at.flow, 0, 10, &report, &e));
	cr_assert_eq(count_of(report, "entries"), 5);
	for (size_t i = 0; i < 5; i++)
		cr_expect_str_eq(text_of(json_object_get(item_of(report, "entries", i), "entry"),
					 "type"),
				 types[i]);
	const json_t *stop = json_object_get(item_of(report, "entries", 4), "entry");
	cr_expect_eq(number_of(stop, "n"), 3);
	cr_expect_eq(number_of(json_object_get(stop, "body"), "last"), 3,
		     "its own number is the last");
	const json_t *start = json_object_get(item_of(report, "entries", 1), "entry");
	cr_expect_str_eq(text_of(json_object_get(start, "body"), "worker"),
			 text_of(stop, "worker"));
	json_decref(report);
}

/* ---- who may write ---- */

Test(flow_home, one_writes_and_others_read)
{
	struct flow *second, *reader;
	const struct flow_options w = { .home = fixture_path(&at, "home"),
					.env = &at.env,
					.quiet = true };
	struct flow_options r = w;
	struct audit_receipt receipt;
	json_t *report;
	struct err e = { 0 };
	r.read_only = true;
	fixture_open(&at);
	fixture_key(&at, "k");
	expect(ERR_CONFLICT, flow_open(&second, &w, &e));
	cr_expect_null(second);
	expect(0, flow_open(&reader, &r, &e));
	expect(0, flow_key_list(reader, &report, &e));
	cr_expect_eq(count_of(report, "keys"), 1);
	json_decref(report);
	expect(0, flow_audit_list(reader, 0, 10, &report, &e));
	cr_expect_eq(count_of(report, "entries"), 3);
	json_decref(report);
	expect_says(ERR_CONFLICT, "open for reading only",
		    flow_append(reader, &(struct audit_record){ .type = "registry" }, false,
				&receipt, &e));
	flow_close(reader);
	fixture_key(&at, "l"); /* the writer goes on */
}

Test(flow_home, reading_makes_nothing)
{
	struct err e = { 0 };
	expect_says(ERR_NOTFOUND, "no state in", try_home(fixture_path(&at, "home"), true, &e));
	cr_expect_null(at.flow);
	cr_expect_not(fixture_has(&at, "home"));
	fixture_text(&at, "home/keep", "");
	expect(ERR_NOTFOUND, try_home(fixture_path(&at, "home"), true, &e));
	cr_expect_not(fixture_has(&at, "home/keys"));
	cr_expect_not(fixture_has(&at, "home/state.db"));
	fixture_delete(&at, "home");
	fixture_open(&at);
	fixture_close(&at);
	fixture_delete(&at, "home/cache");
	expect(0, try_home(fixture_path(&at, "home"), true, &e));
	cr_expect_not(fixture_has(&at, "home/cache"));
}

/* ---- what is missing or not as it was ---- */

Test(flow_home, a_log_without_its_database_asks_for_rebuilding)
{
	struct err e = { 0 };
	fixture_open(&at);
	fixture_close(&at);
	fixture_move(&at, "home/state.db", "state.db");
	for (int read_only = 0; read_only < 2; read_only++) {
		expect_says(ERR_NOTFOUND, "hallmark registry rebuild",
			    try_home(fixture_path(&at, "home"), read_only, &e));
		cr_expect_not(fixture_has(&at, "home/state.db"),
			      "no empty one is put in its place");
	}
	fixture_move(&at, "state.db", "home/state.db");
	fixture_open(&at);
}

Test(flow_home, the_logs_key_is_not_made_anew_for_a_log_that_exists)
{
	struct err e = { 0 };
	fixture_open(&at);
	fixture_close(&at);
	fixture_move(&at, "home/keys/log.key", "log.key");
	fixture_move(&at, "home/keys/log.pub", "log.pub");
	expect_says(ERR_NOTFOUND, "put it back from a backup",
		    try_home(fixture_path(&at, "home"), false, &e));
	cr_expect_not(fixture_has(&at, "home/keys/log.key"));
	fixture_move(&at, "log.key", "home/keys/log.key");
	fixture_move(&at, "log.pub", "home/keys/log.pub");
	fixture_open(&at);
}

Test(flow_home, another_logs_key_opens_nothing)
{
	struct fixture other;
	struct err e = { 0 };
	fixture_make(&other);
	other.seed.seed[0] = 8;
	fixture_open(&other);
	fixture_open(&at);
	fixture_close(&at);
	fixture_delete(&at, "home/keys");
	char command[2 * LIMIT_PATH_BYTES];
	snprintf(command, sizeof command, "cp -a %s %s", fixture_path(&other, "home/keys"),
		 fixture_path(&at, "home/keys"));
	cr_assert_eq(system(command), 0);
	int rc = try_home(fixture_path(&at, "home"), false, &e);
	cr_expect(rc == ERR_VERIFY, "%d (%s)", rc, e.text);
	fixture_remove(&other);
}

Test(flow_home, a_copied_folder_keeps_its_origin)
{
	struct buf one = { 0 }, two = { 0 };
	struct err e = { 0 };
	fixture_open(&at);
	expect(0, flow_key_export(at.flow, NULL, "vkey", &one, &e));
	fixture_close(&at);
	fixture_copy(&at, "home", "moved");
	expect(0, try_home(fixture_path(&at, "moved"), false, &e));
	expect(0, flow_key_export(at.flow, NULL, "vkey", &two, &e));
	cr_expect_str_eq(one.bytes, two.bytes);
	buf_free(&one);
	buf_free(&two);
}

Test(flow_home, what_is_in_the_way_is_an_error_that_leaves_it)
{
	struct err e = { 0 };
	fixture_text(&at, "home", "a file");
	cr_expect_lt(try_home(fixture_path(&at, "home"), false, &e), 0);
	cr_expect(e.text[0]);
	cr_expect_null(at.flow);
	struct buf b = { 0 };
	fixture_read(&at, "home", &b);
	cr_expect_str_eq(b.bytes, "a file");
	buf_free(&b);
	fixture_text(&at, "other/state.db", "this is no database, it only looks for trouble\n");
	cr_expect_lt(try_home(fixture_path(&at, "other"), false, &e), 0);
	cr_expect_null(at.flow);
}

/* ---- versions ---- */

/* tests/vectors/state/ORIGIN says what is in it. */
static void unpack_version_0(void)
{
	char command[256];
	snprintf(command, sizeof command,
		 "mkdir %s/home && tar xzf tests/vectors/state/state-0.tar.gz -C %s/home", at.dir,
		 at.dir);
	cr_assert_eq(system(command), 0);
}

static void set_version(const char *database, const char *part, int version)
{
	struct store *s;
	struct store_tx *tx;
	struct err e = { 0 };
	char sql[128];

	snprintf(sql, sizeof sql, "UPDATE schema SET version = version + (%d) WHERE part = '%s'",
		 version, part);
	expect(0, store_open(&s, fixture_path(&at, database), &e));
	expect(0, store_write(s, &tx, &e));
	expect(0, store_exec(tx, sql, &e));
	cr_assert_eq(store_changes(tx), 1, "%s", sql);
	expect(0, store_commit(tx, &e));
	store_end(tx);
	store_close(s);
}

static void expect_verified(const char *why)
{
	json_t *report;
	struct err e = { 0 };

	expect(0, flow_audit_verify(at.flow, NULL, NULL, &report, &e));
	cr_assert(truth_of(report, "ok"), "%s: %s", why,
		  text_of(item_of(report, "problems", 0), "detail"));
	json_decref(report);
}

/* All that the folder of version 0 held, apart from what was pending. */
static void expect_all_there(void)
{
	json_t *report;
	struct err e = { 0 };

	expect(0, flow_registry_show(at.flow, "acme/bank@champion", &report, &e));
	cr_expect_str_eq(text_of(report, "version"), "1.0.0");
	json_decref(report);
	expect(0, flow_audit_show(at.flow, 20, true, &report, &e));
	cr_expect_str_eq(text_of(report, "leaf"),
			 "sha256:3adea2952e290b152b316cf5a07ed3eea06b5cba53a1e48617955ab8e7148bd8");
	cr_expect_gt(count_of(json_object_get(report, "disclosed"), "fields"), 20);
	json_decref(report);
	expect_says(ERR_NOTFOUND, "an erasure of an earlier form, entry 23",
		    flow_audit_show(at.flow, 12, true, &report, &e));
}

Test(flow_home, folder_of_version_0_can_be_read_without_being_changed)
{
	struct store *s;
	struct store_tx *tx;
	struct store_stmt *st;
	struct err e = { 0 };

	unpack_version_0();
	expect(0, fixture_try_open(&at, true, &e));
	expect_all_there();
	fixture_close(&at);
	expect(0, store_open(&s, fixture_path(&at, "home/state.db"), &e));
	expect(0, store_read(s, &tx, &e));
	expect(ERR_INPUT, store_prepare(tx, "SELECT version FROM schema", &st, &e));
	store_end(tx);
	store_close(s);
}

Test(flow_home, folder_of_version_0_is_brought_up_with_all_it_held)
{
	json_t *report;
	struct err e = { 0 };

	unpack_version_0();
	fixture_open(&at);
	expect_all_there();
	expect_verified("brought up");
	expect(0, flow_audit_verify(at.flow, NULL, NULL, &report, &e));
	cr_expect_eq(number_of(report, "unread_count"), 1,
		     "its erasure, which sealed what it says");
	cr_expect_str_eq(text_of(item_of(report, "remarks", 0), "kind"), "vault");
	json_decref(report);
	char kek[VAULT_KEK_ROOM];
	expect(0, audit_vault_kek(at.flow->keys, kek, &e));
	cr_expect_eq(strlen(kek), 16, "wrapped by the vault's own key now");
	/* What the crash left: the publication is in the log, its folder is gone, its worker is
	 * closed. */
	cr_expect_eq(count_of(flow_recovered(at.flow), "failed"), 1);
	expect(0, flow_registry_show(at.flow, "acme/bank@1.1.0", &report, &e));
	cr_expect_eq(number_of(report, "index"), 26);
	json_decref(report);
	expect(0, flow_audit_list(at.flow, 27, 1, &report, &e));
	cr_expect_str_eq(text_of(json_object_get(item_of(report, "entries", 0), "entry"), "type"),
			 "lost");
	json_decref(report);
	struct flow_erase erase = { .index = 16, .ground = "ground", .actor = "actor" };
	expect(0, flow_audit_erase(at.flow, &erase, &report, &e));
	json_decref(report);
	expect(ERR_NOTFOUND, flow_audit_show(at.flow, 16, true, &report, &e));
	fixture_close(&at);
	fixture_open(&at);
	expect_verified("opened again");
	cr_expect_eq(count_of(flow_recovered(at.flow), "failed"), 0);
}

Test(flow_home, folder_of_a_newer_program_is_refused_and_loses_nothing)
{
	static const struct {
		const char *database, *part;
	} rows[] = { { "home/state.db", "log" },
		     { "home/state.db", "registry" },
		     { "home/keys.db", "keys" } };
	struct err e = { 0 };

	unpack_version_0();
	fixture_open(&at);
	fixture_close(&at);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		set_version(rows[i].database, rows[i].part, 1);
		for (int read_only = 0; read_only < 2; read_only++)
			expect_says(ERR_UNSUPPORTED, "newer program wrote them",
				    fixture_try_open(&at, read_only, &e));
		set_version(rows[i].database, rows[i].part, -1);
		fixture_open(&at);
		expect_all_there();
		expect_verified(rows[i].part);
		fixture_close(&at);
	}
}

/* ---- many threads read ---- */

#define READERS 16
#define ALIASES 40

static atomic_bool written;
static atomic_int rounds, wrong;

static void *read_all(void *arg)
{
	size_t newest = 0;
	(void)arg;
	do {
		json_t *report;
		struct err e = { 0 };
		if (flow_registry_export(at.flow, &report, &e) < 0) {
			wrong++;
			return NULL;
		}
		size_t aliases = count_of(report, "aliases");
		wrong += aliases < newest;
		newest = aliases;
		json_decref(report);
		if (flow_registry_show(at.flow, "acme/m@1", &report, &e) < 0 ||
		    strcmp(text_of(report, "model"), "acme/m") != 0)
			wrong++;
		json_decref(report);
		if (flow_audit_list(at.flow, 0, 3, &report, &e) < 0 ||
		    count_of(report, "entries") != 3)
			wrong++;
		json_decref(report);
		rounds++;
	} while (!written);
	return NULL;
}

Test(flow_home, sixteen_threads_read_while_another_writes)
{
	pthread_t thread[READERS];
	json_t *report;
	struct err e = { 0 };
	char alias[16];

	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_model(&at, "model");
	json_decref(fixture_publish(&at, "model", "acme/m", "1"));
	for (int i = 0; i < READERS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, read_all, NULL), 0);
	for (int i = 0; i < ALIASES; i++) {
		snprintf(alias, sizeof alias, "a%d", i);
		expect(0, flow_registry_alias(at.flow, "acme/m@1", alias, &report, &e));
		json_decref(report);
	}
	written = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(wrong, 0);
	cr_expect_geq(rounds, READERS);
	expect(0, flow_registry_export(at.flow, &report, &e));
	cr_expect_eq(count_of(report, "aliases"), ALIASES);
	json_decref(report);
}
