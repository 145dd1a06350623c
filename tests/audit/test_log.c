#include "support.h"

#include "audit/proven.h"
#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct place at;

static void set_up(void)
{
	place_make(&at);
	place_open(&at);
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_log, .init = set_up, .fini = tear_down, .timeout = 120);

Test(audit_log, new_log_begins_with_genesis)
{
	struct buf entry = { 0 };

	cr_assert_eq(audit_log_size(at.log_open), 1);
	cr_assert_eq(audit_log_entry(at.log_open, 0, &entry, NULL), 0);
	cr_expect(strstr(entry.bytes, "\"type\":\"genesis\"") && strstr(entry.bytes, PLACE_ORIGIN),
		  "%s", entry.bytes);
	cr_expect_str_eq(audit_log_origin(at.log_open), PLACE_ORIGIN);
	place_expect_clean(&at);
	buf_free(&entry);
}

Test(audit_log, entries_are_canonical_json_of_the_frozen_form)
{
	struct buf entry = { 0 };
	char expected[512], digits[80];

	at.time_us = 1795312345678901;
	uint64_t i = place_note(&at, "hello");
	cr_assert_eq(audit_log_entry(at.log_open, i, &entry, NULL), 0);
	snprintf(
		expected, sizeof(expected),
		"{\"body\":{\"text\":\"hello\"},\"n\":0,\"time_us\":1795312345678901,\"type\":\"registry\",\"v\":1,"
		"\"worker\":\"%s\"}",
		audit_log_worker(at.log_open));
	cr_expect_str_eq(entry.bytes, expected);
	buf_clear(&entry);
	i = place_decision(&at, NULL, "secret words");
	cr_assert_eq(audit_log_entry(at.log_open, i, &entry, NULL), 0);
	cr_expect_null(strstr(entry.bytes, "secret"));
	cr_expect_eq(sscanf(entry.bytes,
			    "{\"bundle\":null,\"cipher\":\"sha256:%64[0-9a-f]\",\"fields\":3",
			    digits),
		     1, "%s", entry.bytes);
	buf_free(&entry);
}

Test(audit_log, numbers_and_entries_are_found_again)
{
	uint64_t found, index = place_note(&at, "one");
	struct buf entry = { 0 };

	cr_assert_eq(audit_log_find(at.log_open, audit_log_worker(at.log_open), 0, &found, NULL),
		     0);
	cr_expect_eq(found, index);
	cr_expect_eq(audit_log_find(at.log_open, audit_log_worker(at.log_open), 1, &found, NULL),
		     ERR_NOTFOUND);
	cr_expect_eq(audit_log_find(at.log_open, "feedfeedfeedfeed", 0, &found, NULL),
		     ERR_NOTFOUND);
	cr_expect_eq(audit_log_entry(at.log_open, 2, &entry, NULL), ERR_NOTFOUND);
	buf_free(&entry);
}

Test(audit_log, time_never_runs_backwards)
{
	struct buf entry = { 0 };

	place_note(&at, "a");
	at.time_us -= 1000000;
	uint64_t i = place_note(&at, "b");
	cr_assert_eq(audit_log_entry(at.log_open, i, &entry, NULL), 0);
	cr_expect(strstr(entry.bytes, "\"time_us\":1795312345000000"), "%s", entry.bytes);
	place_expect_clean(&at);
	buf_free(&entry);
}

Test(audit_log, records_of_the_wrong_shape_are_refused_and_leave_no_gap)
{
	json_t *body = json_pack("{s:s}", "a", "b");
	char *big = calloc(1, LIMIT_ENTRY_BYTES + 1);
	memset(big, 'x', LIMIT_ENTRY_BYTES);
	json_t *large = json_pack("{s:s}", "text", big);
	json_t *huge = json_integer(INT64_MAX);
	struct audit_field field = { "f", body }, bad = { "f", huge };
	struct audit_record rows[] = {
		{ .type = "nonsense", .body = body },
		{ .type = "registry" },
		{ .type = "registry", .body = body, .field = &field, .field_count = 1 },
		{ .type = "registry", .body = body, .outcome = "completed" },
		{ .type = "registry", .body = large },
		{ .type = "decision", .body = body },
		{ .type = "decision" },
		{ .type = "decision", .field = &field, .field_count = 1 },
		{ .type = "incident", .field = &bad, .field_count = 1 },
	};
	struct audit_receipt receipt;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		rows[i].n = place_reserve(&at);
		cr_expect_eq(audit_log_append(at.log_open, &rows[i], &receipt, NULL), ERR_INPUT,
			     "row %zu", i);
	}
	place_note(&at, "after");
	place_expect_clean(&at);
	json_decref(body);
	json_decref(large);
	json_decref(huge);
	free(big);
}

Test(audit_log, number_refused_while_later_ones_are_out_becomes_a_lost_entry)
{
	uint64_t first = place_reserve(&at);
	struct audit_record r = { .type = "nonsense", .n = first };
	struct audit_receipt receipt;
	struct buf entry = { 0 };
	uint64_t index;

	place_note(&at, "second");
	cr_expect_eq(audit_log_append(at.log_open, &r, &receipt, NULL), ERR_INPUT);
	cr_assert_eq(audit_log_find(at.log_open, audit_log_worker(at.log_open), first, &index,
				    NULL),
		     0);
	cr_assert_eq(audit_log_entry(at.log_open, index, &entry, NULL), 0);
	cr_expect(strstr(entry.bytes, "\"type\":\"lost\""));
	place_expect_clean(&at);
	buf_free(&entry);
}

Test(audit_log, number_that_was_refused_is_never_given_again)
{
	struct audit_receipt receipt;
	uint64_t refused = place_reserve(&at), index;
	struct audit_record r = { .type = "nonsense", .n = refused };

	cr_expect_eq(audit_log_append(at.log_open, &r, &receipt, NULL), ERR_INPUT);
	cr_expect_eq(place_reserve(&at), refused + 1);
	cr_expect_eq(audit_log_find(at.log_open, audit_log_worker(at.log_open), refused, &index,
				    NULL),
		     0);
	/* One that nobody was told of is. */
	r.n = AUDIT_NEXT;
	cr_expect_eq(audit_log_append(at.log_open, &r, &receipt, NULL), ERR_INPUT);
	cr_expect_eq(place_reserve(&at), refused + 2);
}

Test(audit_log, stop_names_what_was_given_without_a_record_and_what_was_never_given)
{
	struct buf entry = { 0 };

	place_start(&at);
	place_reserve(&at);
	place_note(&at, "number 2");
	place_reserve(&at);
	place_reserve(&at);
	place_stop(&at);
	cr_assert_eq(audit_log_entry(at.log_open, audit_log_size(at.log_open) - 1, &entry, NULL),
		     0);
	cr_expect(strstr(entry.bytes, "{\"last\":5,\"missing\":[[1,1],[3,4]],\"never_given\":"
				      "[6,1024]}"),
		  "%s", entry.bytes);
	place_expect_clean(&at);
	place_close(&at);
	place_open(&at);
	cr_expect_eq(audit_log_size(at.log_open), 4); /* it needs no lost entry */
	buf_free(&entry);
}

#define RESERVERS 8
#define NUMBERS 2000
static atomic_char given[1 + RESERVERS * NUMBERS];

static void *reserve_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < NUMBERS; i++)
		given[place_reserve(&at)]++;
	return NULL;
}

Test(audit_log, numbers_that_many_threads_reserve_are_given_once_each)
{
	pthread_t thread[RESERVERS];

	place_start(&at);
	for (int i = 0; i < RESERVERS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, reserve_many, NULL), 0);
	for (int i = 0; i < RESERVERS; i++)
		pthread_join(thread[i], NULL);
	for (int n = 1; n <= RESERVERS * NUMBERS; n++)
		cr_assert_eq(given[n], 1, "%d", n);
	cr_expect_geq(place_number(at.store, "SELECT reserved FROM log_writer"),
		      RESERVERS * NUMBERS + 1);
	place_stop(&at);
	place_expect_clean(&at);
}

/* An entry has a limit, and the gaps of a long life have none. */
#define GAPS 4000
static pthread_mutex_t pair = PTHREAD_MUTEX_INITIALIZER;

static void *leave_gaps(void *arg)
{
	static atomic_int left = GAPS;

	(void)arg;
	while (left-- > 0) {
		pthread_mutex_lock(&pair);
		place_reserve(&at);
		uint64_t n = place_reserve(&at);
		pthread_mutex_unlock(&pair);
		json_t *body = json_pack("{s:s}", "text", "x");
		struct audit_record r = { .type = "registry", .n = n, .body = body };
		struct audit_receipt receipt;
		cr_assert_eq(audit_log_append(at.log_open, &r, &receipt, NULL), 0);
		json_decref(body);
	}
	return NULL;
}

Test(audit_log, stop_with_more_gaps_than_an_entry_holds_is_told_in_parts)
{
	pthread_t thread[RESERVERS];

	place_start(&at);
	for (int i = 0; i < RESERVERS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, leave_gaps, NULL), 0);
	for (int i = 0; i < RESERVERS; i++)
		pthread_join(thread[i], NULL);
	place_stop(&at);
	cr_expect_eq(place_number(at.store, "SELECT count(*) FROM log_entry WHERE type = 'lost'"),
		     2);
	cr_expect_eq(place_number(at.store, "SELECT count(*) FROM log_writer"), 0);
	place_expect_clean(&at);
	uint64_t size = audit_log_size(at.log_open);
	place_close(&at);
	place_open(&at);
	cr_expect_eq(audit_log_size(at.log_open), size); /* nothing is left to be told */
}

/* ---- the hook shares the record's fate ---- */

static int refuse_some(void *ctx, struct store_tx *tx, uint64_t index, const json_t *entry,
		       struct err *e)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(entry, "body"), "text"));
	char sql[128];

	(void)ctx;
	if (!text)
		return 0;
	snprintf(sql, sizeof(sql), "INSERT INTO hooked(idx) VALUES(%llu)",
		 (unsigned long long)index);
	TRY(store_exec(tx, sql, e));
	return strcmp(text, "refuse") == 0 ? err_set(e, ERR_CONFLICT, "refused") : 0;
}

Test(audit_log, record_that_the_hook_refuses_is_undone_alone)
{
	struct audit_receipt receipt;
	struct err e;

	place_sql(at.store, "CREATE TABLE hooked(idx INTEGER PRIMARY KEY)");
	place_close(&at);
	at.hook = (struct audit_hook){ .apply = refuse_some };
	place_open(&at);
	uint64_t size = audit_log_size(at.log_open);
	place_note(&at, "take");
	json_t *body = json_pack("{s:s}", "text", "refuse");
	struct audit_record r = { .type = "registry", .n = place_reserve(&at), .body = body };
	cr_expect_eq(audit_log_append(at.log_open, &r, &receipt, &e), ERR_CONFLICT);
	cr_expect_str_eq(e.text, "refused");
	place_note(&at, "take too");
	cr_expect_eq(audit_log_size(at.log_open), size + 3); /* and the refused one's number */
	cr_expect_eq(place_number(at.store, "SELECT count(*) FROM hooked"), 2);
	place_expect_clean(&at);
	json_decref(body);
}

static bool only_notes(const char *type) { return strcmp(type, "registry") == 0; }

Test(audit_log, hook_is_asked_about_types_that_concern_it_alone)
{
	place_sql(at.store, "CREATE TABLE hooked(idx INTEGER PRIMARY KEY)");
	place_close(&at);
	at.hook = (struct audit_hook){ .apply = refuse_some, .concerns = only_notes };
	place_open(&at);
	place_decision(&at, NULL, "refuse");
	place_note(&at, "take");
	cr_expect_eq(place_number(at.store, "SELECT count(*) FROM hooked"), 1);
	at.hook.concerns = NULL;
	place_expect_clean(&at);
}

Test(audit_log, sealed_record_whose_number_is_taken_is_refused_alone)
{
	struct audit_receipt receipt;
	struct err e;
	json_t *seven = json_integer(7);
	struct audit_field field[PLACE_INCIDENT];

	place_incident(field, seven);
	struct audit_record r = { .type = "incident",
				  .n = place_reserve(&at),
				  .field = field,
				  .field_count = PLACE_INCIDENT,
				  .outcome = "completed" };
	cr_assert_eq(audit_log_append(at.log_open, &r, &receipt, &e), 0, "%s", e.text);
	cr_expect_eq(audit_log_append(at.log_open, &r, &receipt, &e), ERR_CONFLICT);
	cr_expect(strstr(e.text, "is in the log already"), "%s", e.text);
	place_decision(&at, NULL, "goes on");
	cr_expect_eq(place_number(at.store, "SELECT count(*) FROM vault"), 2);
	place_expect_clean(&at);
	json_decref(seven);
}

/* ---- what proves a record ---- */

Test(audit_log, proof_from_memory_is_that_from_the_files_over_borders_of_tiles)
{
	struct err e = { 0 };
	json_t *body = json_pack("{s:s}", "text", "x");

	for (int i = 0; i < 530; i++) {
		struct audit_record r = { .type = "registry", .n = AUDIT_NEXT, .body = body };
		struct audit_proven proven = { 0 };
		struct buf entry = { 0 }, proof = { 0 };
		struct audit_receipt receipt;
		cr_assert_eq(audit_log_append_proven(at.log_open, &r, &receipt, &proven, &e), 0,
			     "%s", e.text);
		cr_assert_eq(audit_log_entry(at.log_open, receipt.index, &entry, &e), 0);
		cr_assert_eq(audit_log_proof(at.log_open, receipt.index, NULL, 0, &proof, &e), 0);
		cr_expect_str_eq(proven.entry.bytes, entry.bytes);
		cr_expect_str_eq(proven.proof.bytes, proof.bytes, "%d", i);
		buf_free(&entry);
		buf_free(&proof);
		buf_free(&proven.entry);
		buf_free(&proven.proof);
	}
	json_decref(body);
}

static void *prove_many(void *arg)
{
	json_t *body = json_pack("{s:s}", "text", "x");

	(void)arg;
	for (int i = 0; i < 40; i++) {
		struct audit_record r = { .type = "registry", .n = AUDIT_NEXT, .body = body };
		struct audit_proven p = { 0 };
		struct audit_receipt receipt;
		uint64_t index;
		if (audit_log_append_proven(at.log_open, &r, &receipt, &p, NULL) < 0 ||
		    audit_proof_check(p.proof.bytes, p.proof.len, p.entry.bytes, p.entry.len,
				      at.vkey.bytes, &index, NULL) < 0 ||
		    index != receipt.index)
			abort();
		buf_free(&p.entry);
		buf_free(&p.proof);
	}
	json_decref(body);
	return NULL;
}

Test(audit_log, each_record_of_a_batch_gets_its_own_proof)
{
	pthread_t thread[16];

	for (size_t i = 0; i < 16; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, prove_many, NULL), 0);
	for (size_t i = 0; i < 16; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(audit_log_size(at.log_open), 1 + 16 * 40);
	place_expect_clean(&at);
}

/* ---- group commit ---- */

static int commits;

static void count_commits(void *ctx, const char *step)
{
	(void)ctx;
	if (strcmp(step, "audit.committed") == 0)
		commits++;
}

#define THREADS 8
#define EACH 60
static bool taken[2 + THREADS * EACH];
static pthread_mutex_t taken_lock = PTHREAD_MUTEX_INITIALIZER;

static void *append_many(void *arg)
{
	char text[32];

	for (int i = 0; i < EACH; i++) {
		snprintf(text, sizeof(text), "%ld-%d", (long)(intptr_t)arg, i);
		uint64_t index = i % 3 ? place_note(&at, text)
				       : place_decision(&at, i % 2 ? "someone" : NULL, text);
		if (audit_log_size(at.log_open) <= index)
			abort(); /* acknowledged before its checkpoint */
		pthread_mutex_lock(&taken_lock);
		if (index >= sizeof(taken) || taken[index])
			abort(); /* an index given twice */
		taken[index] = true;
		pthread_mutex_unlock(&taken_lock);
	}
	return NULL;
}

Test(audit_log, many_threads_share_commits_and_every_index_is_given_once)
{
	pthread_t thread[THREADS];

	at.env.steps = (struct steps){ count_commits, NULL };
	for (intptr_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, append_many, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(audit_log_size(at.log_open), 1 + THREADS * EACH);
	cr_expect_lt(commits, THREADS * EACH, "no two records shared a commit");
	place_expect_clean(&at);
	place_close(&at);
	place_open(&at);
	place_expect_clean(&at);
}

/* ---- opening ---- */

Test(audit_log, second_writer_is_refused_and_a_reader_is_not)
{
	struct place second = at;
	second.store = second.keys = NULL;
	struct err e = { 0 };
	struct buf entry = { 0 };

	cr_expect_eq(place_try_open(&second, &e), ERR_CONFLICT);
	uint64_t i = place_decision(&at, NULL, "read me");
	struct audit_options o = place_options(&at);
	o.read_only = true;
	struct audit_log *reader;
	json_t *plain;
	cr_assert_eq(audit_log_open(&reader, &o, &e), 0, "%s", e.text);
	cr_expect_eq(audit_log_size(reader), i + 1);
	cr_expect_eq(audit_log_entry(reader, i, &entry, &e), 0);
	cr_expect_eq(audit_vault_read(reader, i, &plain, &e), 0, "%s", e.text);
	json_decref(plain);
	struct audit_record r = { .type = "registry" };
	struct audit_receipt receipt;
	cr_expect_eq(audit_log_append(reader, &r, &receipt, &e), ERR_CONFLICT);
	audit_log_close(reader);
	buf_free(&entry);
}

Test(audit_log, reopening_an_untouched_log_changes_no_byte)
{
	struct buf before = { 0 }, after = { 0 };

	for (int i = 0; i < 5; i++)
		place_note(&at, "text");
	place_close(&at);
	place_read(&at, "log/checkpoint", &before);
	for (int i = 0; i < 3; i++) {
		place_open(&at);
		place_close(&at);
	}
	place_read(&at, "log/checkpoint", &after);
	cr_expect(before.len == after.len && memcmp(before.bytes, after.bytes, after.len) == 0);
	buf_free(&before);
	buf_free(&after);
}

Test(audit_log, log_grows_past_a_full_tile_and_drops_its_partials)
{
	struct err e = { 0 };
	char path[128];

	for (int i = 0; i < 300; i++)
		place_note(&at, "x");
	place_expect_clean(&at);
	snprintf(path, sizeof(path), "%s/tile/0/000.p", at.log);
	cr_expect(file_exists(path)); /* until the full tile is durable */
	place_close(&at);
	place_open(&at);
	snprintf(path, sizeof(path), "%s/tile/0/000", at.log);
	cr_expect(file_exists(path));
	snprintf(path, sizeof(path), "%s/tile/0/000.p", at.log);
	cr_expect_not(file_exists(path));
	snprintf(path, sizeof(path), "%s/tile/entries/000.p", at.log);
	cr_expect_not(file_exists(path));
	snprintf(path, sizeof(path), "%s/tile/1/000.p/1", at.log);
	cr_expect(file_exists(path));
	snprintf(path, sizeof(path), "%s/tile/0/001.p/45", at.log);
	cr_expect(file_exists(path));
	for (uint64_t i = 0; i < 301; i += 37) {
		struct buf proof = { 0 }, entry = { 0 };
		uint64_t index;
		cr_assert_eq(audit_log_proof(at.log_open, i, NULL, 0, &proof, &e), 0, "%s", e.text);
		cr_assert_eq(audit_log_entry(at.log_open, i, &entry, &e), 0);
		cr_expect_eq(audit_proof_check(proof.bytes, proof.len, entry.bytes, entry.len,
					       at.vkey.bytes, &index, &e),
			     0, "%llu: %s", (unsigned long long)i, e.text);
		cr_expect_eq(index, i);
		buf_free(&proof);
		buf_free(&entry);
	}
	place_close(&at);
	place_open(&at);
	place_expect_clean(&at);
}
