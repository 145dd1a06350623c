/* The log's verbs: verify, list, show, prove, check offline, erase. */
#include "support.h"

#include "base/text.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>

static struct fixture at;
static struct buf vkey;
static uint64_t secret; /* a committed record with two fields in the vault */

static void set_up(void)
{
	struct err e = { 0 };
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k"); /* genesis, start, key */
	secret = fixture_secret(&at, "what was said");
	expect(0, flow_key_export(at.flow, NULL, "vkey", &vkey, &e));
	vkey.bytes[strcspn(vkey.bytes, "\n")] = 0;
}

static void tear_down(void)
{
	buf_free(&vkey);
	fixture_remove(&at);
}

TestSuite(flow_log, .init = set_up, .fini = tear_down, .timeout = 60);

static json_t *verify(const char *path, const char *key)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_verify(at.flow, path, key, &report, &e));
	return report;
}

static const char *problem_of(const json_t *report)
{
	return text_of(item_of(report, "problems", 0), "kind");
}

/* ---- verify ---- */

Test(flow_log, a_log_verifies_while_it_is_written_and_after)
{
	json_t *report = verify(NULL, NULL);
	cr_expect(truth_of(report, "ok"), "%s", text_of(item_of(report, "problems", 0), "detail"));
	cr_expect_eq(number_of(report, "size"), 4);
	cr_expect_eq(number_of(report, "problem_count"), 0);
	cr_expect(text_starts(text_of(report, "origin"), "hallmark.local/"));
	cr_expect(text_starts(text_of(report, "root"), "sha256:"));
	json_decref(report);
	fixture_close(&at); /* writes the stop record */
	fixture_open(&at);
	report = verify(NULL, NULL);
	cr_expect(truth_of(report, "ok"));
	cr_expect_eq(number_of(report, "size"), 5);
	json_decref(report);
}

Test(flow_log, a_copy_verifies_with_the_verifier_key_alone)
{
	json_t *report;
	struct err e = { 0 };
	fixture_close(&at);
	fixture_copy(&at, "home/log", "copy");
	expect(0, flow_audit_verify(NULL, fixture_path(&at, "copy"), vkey.bytes, &report, &e));
	cr_expect(truth_of(report, "ok"), "%s", problem_of(report));
	cr_expect_eq(number_of(report, "size"), 5);
	json_decref(report);
	expect_says(ERR_USAGE, "give a log folder and its verifier key",
		    flow_audit_verify(NULL, fixture_path(&at, "copy"), NULL, &report, &e));
	expect_says(ERR_USAGE, "give a log folder and its verifier key",
		    flow_audit_verify(NULL, NULL, vkey.bytes, &report, &e));
	expect(ERR_INPUT, flow_audit_verify(NULL, fixture_path(&at, "copy"), "a+b", &report, &e));
}

Test(flow_log, another_logs_key_does_not_verify_it)
{
	struct fixture other;
	struct buf theirs = { 0 };
	struct err e = { 0 };
	fixture_make(&other);
	other.seed.seed[0] = 8;
	fixture_open(&other);
	expect(0, flow_key_export(other.flow, NULL, "vkey", &theirs, &e));
	theirs.bytes[strcspn(theirs.bytes, "\n")] = 0;
	json_t *report = verify(NULL, theirs.bytes);
	cr_expect_not(truth_of(report, "ok"));
	cr_expect_str_eq(problem_of(report), "checkpoint");
	json_decref(report);
	buf_free(&theirs);
	fixture_remove(&other);
}

Test(flow_log, a_changed_entry_is_found_and_named)
{
	fixture_close(&at);
	fixture_copy(&at, "home/log", "copy");
	fixture_flip(&at, "copy/tile/entries/000.p/5", 100);
	fixture_open(&at);
	json_t *report = verify(fixture_path(&at, "copy"), vkey.bytes);
	cr_expect_not(truth_of(report, "ok"));
	cr_expect_gt(number_of(report, "problem_count"), 0);
	cr_expect(text_of(item_of(report, "problems", 0), "detail")[0]);
	json_decref(report);
	report = verify(fixture_path(&at, "copy"), NULL);
	cr_expect_not(truth_of(report, "ok"),
		      "without a key given, the state folder's own is used");
	json_decref(report);
	report = verify(NULL, NULL);
	cr_expect(truth_of(report, "ok"), "the log itself was not touched");
	json_decref(report);
}

Test(flow_log, a_database_that_says_otherwise_is_found_only_with_it)
{
	struct err e = { 0 };
	struct store_tx *tx;
	expect(0, store_write(at.flow->store, &tx, &e));
	expect(0, store_exec(tx, "DELETE FROM log_entry WHERE idx = 2", &e));
	expect(0, store_commit(tx, &e));
	store_end(tx);
	json_t *report = verify(NULL, NULL);
	json_t *folder = verify(fixture_path(&at, "home/log"), vkey.bytes);
	cr_expect_not(truth_of(report, "ok"));
	cr_expect(truth_of(folder, "ok"), "the published folder is whole");
	json_decref(report);
	json_decref(folder);
}

/* ---- list and show ---- */

static const struct {
	uint64_t first, count;
	size_t listed;
} windows[] = {
	{ 0, 100, 4 }, { 0, 4, 4 }, { 0, 2, 2 }, { 1, 2, 2 },          { 3, 10, 1 },
	{ 4, 10, 0 },  { 9, 1, 0 }, { 0, 0, 0 }, { 2, UINT64_MAX, 2 }, { UINT64_MAX, 3, 0 },
};

Test(flow_log, list_gives_the_entries_of_a_window)
{
	for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
		json_t *report;
		struct err e = { 0 };
		expect(0,
		       flow_audit_list(at.flow, windows[i].first, windows[i].count, &report, &e));
		cr_expect_eq(number_of(report, "size"), 4, "row %zu", i);
		cr_expect_eq(count_of(report, "entries"), windows[i].listed, "row %zu", i);
		for (size_t k = 0; k < windows[i].listed; k++)
			cr_expect_eq(number_of(item_of(report, "entries", k), "index"),
				     (long long)(windows[i].first + k), "row %zu", i);
		json_decref(report);
	}
}

Test(flow_log, the_log_begins_with_genesis_start_and_what_was_done)
{
	static const char *const types[] = { "genesis", "start", "key", "incident" };
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_list(at.flow, 0, 10, &report, &e));
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		cr_expect_str_eq(text_of(json_object_get(item_of(report, "entries", i), "entry"),
					 "type"),
				 types[i]);
	json_decref(report);
}

Test(flow_log, show_keeps_closed_what_is_not_asked_for)
{
	struct buf text = { 0 };
	json_t *shown, *open;
	struct err e = { 0 };
	expect(0, flow_audit_show(at.flow, secret, false, &shown, &e));
	expect(0, json_write(shown, 0, &text, &e));
	cr_expect_null(strstr(text.bytes, "what was said"));
	cr_expect_null(json_object_get(shown, "disclosed"));
	cr_expect_eq(number_of(shown, "index"), (long long)secret);
	cr_expect(text_starts(text_of(shown, "leaf"), "sha256:"));
	expect(0, flow_audit_show(at.flow, secret, true, &open, &e));
	const json_t *field =
		item_with(json_object_get(open, "disclosed"), "fields", "name", "text");
	cr_expect_str_eq(text_of(field, "value"), "what was said");
	cr_expect_str_eq(text_of(open, "leaf"), text_of(shown, "leaf"));
	json_decref(shown);
	json_decref(open);
	buf_free(&text);
	expect(ERR_NOTFOUND, flow_audit_show(at.flow, 4, false, &shown, &e));
	expect(ERR_NOTFOUND, flow_audit_show(at.flow, UINT64_MAX, false, &shown, &e));
}

Test(flow_log, a_clear_record_has_nothing_more_to_disclose)
{
	json_t *shown, *open;
	struct err e = { 0 };
	expect(0, flow_audit_show(at.flow, 2, false, &shown, &e));
	expect(0, flow_audit_show(at.flow, 2, true, &open, &e));
	cr_expect(json_equal(shown, open));
	json_decref(shown);
	json_decref(open);
}

/* ---- proofs ---- */

/* The proof of an entry as a file, and what checking it says. */
static json_t *prove_and_check(uint64_t index, bool disclose)
{
	struct buf proof = { 0 };
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_proof(at.flow, index, disclose, NULL, &proof, &e));
	fixture_write(&at, "receipt", proof.bytes, proof.len);
	buf_free(&proof);
	expect(0, flow_audit_check(fixture_path(&at, "receipt"), vkey.bytes, &report, &e));
	return report;
}

Test(flow_log, a_proof_of_each_entry_checks_offline)
{
	for (uint64_t i = 0; i < 4; i++) {
		json_t *report = prove_and_check(i, false), *shown;
		struct err e = { 0 };
		expect(0, flow_audit_show(at.flow, i, false, &shown, &e));
		cr_expect(truth_of(report, "ok"), "%llu: %s", (unsigned long long)i,
			  text_of(report, "detail"));
		cr_expect_eq(number_of(report, "index"), (long long)i);
		cr_expect(json_equal(json_object_get(report, "entry"),
				     json_object_get(shown, "entry")));
		cr_expect_str_eq(text_of(report, "type"),
				 text_of(json_object_get(shown, "entry"), "type"));
		cr_expect_null(json_object_get(report, "fields"));
		json_decref(report);
		json_decref(shown);
	}
}

Test(flow_log, a_proof_discloses_the_fields_only_when_asked)
{
	struct buf text = { 0 };
	json_t *report = prove_and_check(secret, true);
	cr_expect(truth_of(report, "ok"), "%s", text_of(report, "detail"));
	cr_expect_str_eq(text_of(json_object_get(report, "fields"), "text"), "what was said");
	json_decref(report);
	report = prove_and_check(secret, false);
	fixture_read(&at, "receipt", &text);
	cr_expect(truth_of(report, "ok"));
	cr_expect_null(json_object_get(report, "fields"));
	json_decref(report);
	buf_free(&text);
	report = prove_and_check(2, true); /* a clear record has no fields */
	cr_expect(truth_of(report, "ok"));
	json_decref(report);
}

Test(flow_log, a_proof_shows_the_named_fields_and_closes_the_others)
{
	static const char *const rows[][2] = { { "text", NULL }, { NULL } };
	for (size_t i = 0; i < 2; i++) {
		struct buf proof = { 0 }, extra = { 0 };
		json_t *report;
		struct err e = { 0 };
		expect(0, flow_audit_proof(at.flow, secret, true, rows[i], &proof, &e));
		fixture_write(&at, "receipt", proof.bytes, proof.len);
		expect(0, flow_audit_check(fixture_path(&at, "receipt"), vkey.bytes, &report, &e));
		cr_expect(truth_of(report, "ok"), "%s", text_of(report, "detail"));
		cr_expect_eq(json_object_size(json_object_get(report, "fields")), i == 0);
		expect(0, audit_proof_extra(proof.bytes, proof.len, &extra, &e));
		cr_expect_eq(strstr(extra.bytes, "what was said") != NULL, i == 0);
		cr_expect(strstr(extra.bytes, "{\"commitment\":\"sha256:"));
		json_decref(report);
		buf_free(&proof);
		buf_free(&extra);
	}
}

Test(flow_log, the_line_that_answers_carry_is_a_receipt_too)
{
	struct buf line = { 0 };
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_proof_line(at.flow, 2, &line, &e));
	cr_expect_null(strchr(line.bytes, '\n'));
	buf_add_text(&line, "\r\n");
	fixture_write(&at, "receipt", line.bytes, line.len);
	expect(0, flow_audit_check(fixture_path(&at, "receipt"), vkey.bytes, &report, &e));
	cr_expect(truth_of(report, "ok"), "%s", text_of(report, "detail"));
	cr_expect_eq(number_of(report, "index"), 2);
	json_decref(report);
	for (size_t i = 0; i + 2 < line.len; i += 5) {
		line.bytes[i] ^= 1;
		fixture_write(&at, "receipt", line.bytes, line.len);
		line.bytes[i] ^= 1;
		expect(0, flow_audit_check(fixture_path(&at, "receipt"), vkey.bytes, &report, &e));
		cr_expect(!truth_of(report, "ok"), "byte %zu", i);
		json_decref(report);
	}
	buf_free(&line);
}

Test(flow_log, every_changed_byte_of_a_receipt_fails_it)
{
	struct buf proof = { 0 };
	size_t passed = 0;
	struct err e = { 0 };
	expect(0, flow_audit_proof(at.flow, secret, true, NULL, &proof, &e));
	for (size_t i = 0; i < proof.len; i += 7) {
		json_t *report;
		proof.bytes[i] ^= 1;
		fixture_write(&at, "receipt", proof.bytes, proof.len);
		proof.bytes[i] ^= 1;
		expect(0, flow_audit_check(fixture_path(&at, "receipt"), vkey.bytes, &report, &e));
		passed += truth_of(report, "ok");
		if (!truth_of(report, "ok"))
			cr_expect(text_of(report, "detail")[0] && !json_object_get(report, "entry"),
				  "byte %zu", i);
		json_decref(report);
	}
	cr_expect_eq(passed, 0);
	buf_free(&proof);
}

Test(flow_log, a_proof_that_carries_no_entry_proves_nothing_by_itself)
{
	struct buf proof = { 0 };
	json_t *report;
	struct err e = { 0 };
	expect(0, audit_log_proof(at.flow->log, 2, NULL, 0, &proof, &e));
	fixture_write(&at, "receipt", proof.bytes, proof.len);
	expect(0, flow_audit_check(fixture_path(&at, "receipt"), vkey.bytes, &report, &e));
	cr_expect(json_is_false(json_object_get(report, "ok")));
	json_decref(report);
	buf_free(&proof);
}

static const char *const receipts[] = {
	"",
	"hello, this is no receipt\n",
	"c2sp.org/tlog-proof@v1\n",
	"aGVsbG8=",
	"====",
	"aGVsbG8=.aGVsbG8=",
	".",
	"aGVsbG8=.",
};

Test(flow_log, what_is_no_receipt_fails_and_what_cannot_be_checked_is_an_error)
{
	json_t *report = NULL;
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof receipts / sizeof *receipts; i++) {
		fixture_text(&at, "receipt", receipts[i]);
		expect(0, flow_audit_check(fixture_path(&at, "receipt"), vkey.bytes, &report, &e));
		cr_expect(json_is_false(json_object_get(report, "ok")), "row %zu", i);
		cr_expect(text_of(report, "detail")[0], "row %zu", i);
		json_decref(report);
	}
	expect_says(ERR_NOTFOUND, "no such file",
		    flow_audit_check(fixture_path(&at, "none"), vkey.bytes, &report, &e));
	expect(ERR_INPUT, flow_audit_check(fixture_path(&at, "receipt"), "not a key", &report, &e));
	expect(ERR_INPUT, flow_audit_check(fixture_path(&at, "receipt"), "", &report, &e));
}

/* ---- erasing ---- */

static int erase(uint64_t index, const char *ground, const char *actor, json_t **report, struct err *e)
{
	struct flow_erase q = { .index = index, .ground = ground, .actor = actor };
	return flow_audit_erase(at.flow, &q, report, e);
}

Test(flow_log, erasing_takes_the_content_and_keeps_the_proof)
{
	json_t *report, *shown;
	struct err e = { 0 };
	uint64_t kept = fixture_secret(&at, "what may stay");
	expect(0, erase(secret, "request of the person", "clerk", &report, &e));
	cr_expect_eq(number_of(report, "erased"), (long long)secret);
	cr_expect_eq(number_of(report, "index"), 5);
	json_decref(report);
	expect(ERR_NOTFOUND, flow_audit_show(at.flow, secret, true, &shown, &e));
	expect(0, flow_audit_show(at.flow, secret, false, &shown, &e));
	json_decref(shown);
	report = prove_and_check(secret, true); /* nothing left to disclose: the proof stands */
	cr_expect(truth_of(report, "ok"), "%s", text_of(report, "detail"));
	cr_expect_null(json_object_get(report, "fields"));
	json_decref(report);
	expect(0, flow_audit_show(at.flow, kept, true, &shown, &e));
	cr_expect_eq(count_of(json_object_get(shown, "disclosed"), "fields"), 8);
	json_decref(shown);
	report = verify(NULL, NULL);
	cr_expect(truth_of(report, "ok"));
	json_decref(report);
}

Test(flow_log, the_erasure_states_its_ground_and_actor_to_those_who_may_see)
{
	json_t *report, *shown;
	struct err e = { 0 };
	expect(0, erase(secret, "request of the person", "clerk", &report, &e));
	expect(0, flow_audit_show(at.flow, (uint64_t)number_of(report, "index"), true, &shown, &e));
	const json_t *entry = json_object_get(shown, "entry"),
		     *body = json_object_get(entry, "body");
	cr_expect_str_eq(text_of(entry, "type"), "erasure");
	cr_expect_str_eq(text_of(body, "ground"), "request");
	cr_expect_null(strstr(text_of(body, "actor"), "clerk"), "a name is for the vault");
	json_decref(shown);
	expect(0,
	       flow_audit_show(at.flow, (uint64_t)number_of(report, "operator"), true, &shown, &e));
	const json_t *open = json_object_get(shown, "disclosed");
	cr_expect_str_eq(text_of(json_object_get(shown, "entry"), "type"), "operator");
	cr_expect_str_eq(text_of(item_with(open, "fields", "name", "reason"), "value"),
			 "request of the person");
	cr_expect_str_eq(text_of(item_with(open, "fields", "name", "actor"), "value"), "clerk");
	json_decref(shown);
	json_decref(report);
}

Test(flow_log, there_is_nothing_to_erase_twice_or_in_a_clear_record)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, erase(secret, "g", "a", &report, &e));
	json_decref(report);
	expect(ERR_NOTFOUND, erase(secret, "g", "a", &report, &e));
	expect(ERR_NOTFOUND, erase(2, "g", "a", &report, &e));
	expect(ERR_NOTFOUND, erase(1000, "g", "a", &report, &e));
}

Test(flow_log, an_erasure_in_a_new_process_is_preceded_by_its_start)
{
	json_t *report;
	struct err e = { 0 };
	fixture_close(&at); /* 4: stop */
	fixture_open(&at);
	expect(0, erase(secret, "g", "a", &report, &e));
	cr_expect_eq(number_of(report, "index"), 6);
	json_decref(report);
	expect(0, flow_audit_list(at.flow, 5, 1, &report, &e));
	cr_expect_str_eq(text_of(json_object_get(item_of(report, "entries", 0), "entry"), "type"),
			 "start");
	json_decref(report);
}
