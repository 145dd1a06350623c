/* The state folder: what an earlier version left is brought up, what a newer one left is refused, and
 * many threads read one that is open. */
#include "support.h"

#include "base/file.h"
#include "base/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fixture at;

static void set_up(void) { fixture_make(&at); }

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_home, .init = set_up, .fini = tear_down, .timeout = 120);

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
	expect(ERR_NOTFOUND, flow_audit_show(at.flow, 12, true, &report, &e));
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
	expect(0, flow_audit_erase(at.flow, 16, "ground", "actor", &report, &e));
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
