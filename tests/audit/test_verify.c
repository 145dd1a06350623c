/* Logs that are rightly signed and wrong in what they say. */
#include "by_hand.h"
#include "support.h"

#include "base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct place at;

static void set_up(void) { place_make(&at); }

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_verify, .init = set_up, .fini = tear_down);

static void craft(const char *const *entry)
{
	hand_publish(at.log, at.key, PLACE_ORIGIN, &at.env, entry);
	buf_clear(&at.vkey);
	audit_note_key_text(PLACE_ORIGIN, signing_identity_public(at.key)->ed25519, &at.vkey);
}

#define W "\"v\":1,\"worker\":\"00000000000000aa\"}"
#define ENTRY(type, n, time) \
	"{\"body\":{},\"n\":" #n ",\"time_us\":" #time ",\"type\":\"" type "\"," W
/* A lost entry of the log itself. */
#define LOST(body)        \
	"{\"body\":" body \
	",\"n\":0,\"time_us\":1,\"type\":\"lost\",\"v\":1,\"worker\":\"0000000000000000\"}"

#define BESIDE "\"v\":1,\"worker\":\"00000000000000bb\"}"
#define GUEST(type, n)                                                                          \
	"{\"body\":{\"host\":\"00000000000000aa\"},\"n\":" #n ",\"time_us\":2,\"type\":\"" type \
	"\"," BESIDE
#define OTHER(type, n) "{\"body\":{},\"n\":" #n ",\"time_us\":2,\"type\":\"" type "\"," BESIDE
#define DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000000"
/* A committed record of worker aa. */
#define FIELDS(type, more)                                                                          \
	"{\"bundle\":null,\"cipher\":null,\"fields\":3,\"n\":0,\"outcome\":null,\"root\":\"" DIGEST \
	"\",\"time_us\":1,\"type\":\"" type "\"," more

static const struct {
	const char *entry[8], *kind; /* kind NULL: nothing wrong */
	size_t problems, remarks;
} rows[] = {
	{ { ENTRY("start", 0, 1), ENTRY("config", 1, 2), ENTRY("stop", 2, 2) }, NULL, 0, 0 },
	{ { ENTRY("config", 0, 1) }, NULL, 0, 0 }, /* a command that only appends */
	{ { ENTRY("start", 0, 1), ENTRY("stop", 2, 2), ENTRY("config", 1, 2) }, "stop", 1, 0 },
	{ { ENTRY("start", 0, 1), ENTRY("stop", 2, 2) }, "gap", 1, 0 },
	{ { ENTRY("config", 1, 1), ENTRY("config", 2, 1) }, "gap", 1, 0 },
	{ { ENTRY("config", 0, 1), ENTRY("config", 0, 2) }, "gap", 1, 0 },
	{ { ENTRY("config", 0, 1), ENTRY("config", 1, 1), ENTRY("config", 2, 1),
	    ENTRY("config", 1, 2) },
	  "gap",
	  1,
	  0 },
	{ { ENTRY("config", 9007199254740991, 1) }, "gap", 1, 0 },
	/* It may run, or it was killed and nobody came after it. */
	{ { ENTRY("start", 0, 1), ENTRY("config", 1, 2) }, NULL, 0, 1 },
	{ { ENTRY("start", 0, 1), ENTRY("config", 2, 2) }, NULL, 0, 1 },
	{ { ENTRY("start", 0, 1), OTHER("start", 0), OTHER("stop", 1) }, "stop", 1, 0 },
	{ { ENTRY("start", 0, 1), OTHER("start", 0) }, "stop", 1, 1 },
	{ { ENTRY("start", 0, 1), ENTRY("config", 2, 1), OTHER("start", 0), OTHER("stop", 1) },
	  "gap",
	  2,
	  0 },
	/* Others write through a process that runs. */
	{ { ENTRY("start", 0, 1), GUEST("start", 0), GUEST("stop", 1) }, NULL, 0, 1 },
	{ { ENTRY("start", 0, 1), GUEST("start", 0) }, NULL, 0, 2 },
	{ { ENTRY("start", 0, 1), GUEST("start", 0), ENTRY("stop", 1, 2) }, NULL, 0, 1 },
	{ { ENTRY("config", 0, 2), ENTRY("config", 1, 1) }, "time", 1, 0 },
	{ { "{\"body\": {}}" }, "record", 1, 0 },
	{ { "" }, "record", 1, 0 },
	{ { "[]" }, "record", 1, 0 },
	{ { "{\"body\":{},\"body\":{},\"n\":0,\"time_us\":1,\"type\":\"config\"," W },
	  "record",
	  1,
	  0 },
	{ { "{\"n\":0,\"body\":{},\"time_us\":1,\"type\":\"config\"," W }, "record", 1, 0 },
	{ { "{\"body\":{},\"n\":0,\"time_us\":1,\"type\":\"config\",\"v\":1,\"worker\":\"AA\"}" },
	  "record",
	  1,
	  0 },
	{ { "{\"body\":{},\"n\":-1,\"time_us\":1,\"type\":\"config\"," W }, "record", 1, 0 },
	{ { "{\"n\":0,\"time_us\":1,\"type\":\"later\"," W }, "record", 1, 0 },
	{ { "{\"body\":1,\"n\":0,\"time_us\":1,\"type\":\"later\"," W }, "record", 1, 0 },
	{ { "{\"body\":{},\"n\":0,\"time_us\":1,\"type\":\"config\",\"v\":0,\"worker\":\"00000000000000aa\"}" },
	  "record",
	  1,
	  0 },
	{ { ENTRY("decision", 0, 1) }, "record", 1, 0 },
	{ { FIELDS("config", W) }, "record", 1, 0 },
	{ { FIELDS("later", "\"body\":{}," W) }, "record", 1, 0 },
	{ { ENTRY("start", 0, 1), ENTRY("config", 2, 1),
	    LOST("{\"last\":2,\"missing\":[1],\"worker\":\"00000000000000aa\"}") },
	  NULL,
	  0,
	  0 },
	{ { ENTRY("start", 0, 1), ENTRY("config", 9000000000000000, 1),
	    LOST("{\"missing\":[[1,8999999999999999]],\"worker\":\"00000000000000aa\"}") },
	  NULL,
	  0,
	  0 },
	{ { ENTRY("start", 0, 1), ENTRY("config", 100, 1),
	    LOST("{\"missing\":[[1,98],100],\"worker\":\"00000000000000aa\"}") },
	  "gap",
	  1,
	  0 },
	{ { ENTRY("start", 0, 1), ENTRY("config", 2, 1),
	    LOST("{\"last\":2,\"missing\":[],\"worker\":\"00000000000000aa\"}") },
	  "gap",
	  1,
	  0 },
	{ { ENTRY("start", 0, 1),
	    LOST("{\"last\":0,\"missing\":[],\"worker\":\"00000000000000aa\"}"),
	    ENTRY("config", 1, 1) },
	  "stop",
	  1,
	  0 },
	{ { ENTRY("start", 0, 1), LOST("{\"missing\":[-1,[3,2],99999,\"x\",null]}"),
	    ENTRY("stop", 1, 1) },
	  NULL,
	  0,
	  0 },
	{ { ENTRY("start", 0, 1), ENTRY("stop", 1, 1),
	    LOST("{\"missing\":[-1,[3,2],[1],\"x\",null],\"worker\":\"00000000000000aa\"}") },
	  NULL,
	  0,
	  0 },
};

Test(audit_verify, names_what_is_wrong_with_a_rightly_signed_log)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		craft(rows[i].entry);
		struct audit_verdict *v = place_verify(&at, false);
		cr_expect_eq(v->problems, rows[i].problems, "row %zu: %zu problems, first: %s: %s",
			     i, v->problems, v->problem[0].kind, v->problem[0].text);
		cr_expect_eq(v->remarks, rows[i].remarks, "row %zu: %zu remarks, first: %s", i,
			     v->remarks, v->remark[0].text);
		cr_expect_eq(v->ok, rows[i].problems == 0, "row %zu", i);
		cr_expect_eq(v->unreads, 0, "row %zu", i);
		if (rows[i].kind && v->problems)
			cr_expect_str_eq(v->problem[0].kind, rows[i].kind, "row %zu: %s", i,
					 v->problem[0].text);
	}
}

/* ---- growth ---- */

#define V2(members) "{" members "\"v\":2}"
/* The members of a later version stand where canonical JSON wants them: "v" before "worker". */
#define LATER(n)                                                                              \
	"{\"n\":" #n ",\"parts\":[1.5],\"time_us\":1,\"type\":\"config\",\"v\":2,\"worker\":" \
	"\"00000000000000aa\"}"

static const struct growth {
	const char *what, *entry[8];
	size_t unreads, newer, remarks;
} grown[] = {
	{ "an extra member in the head",
	  { "{\"body\":{},\"extra\":[1],\"n\":0,\"time_us\":1,\"type\":\"config\"," W },
	  0,
	  0,
	  0 },
	{ "an extra member in the body",
	  { "{\"body\":{\"later\":{}},\"n\":0,\"time_us\":1,\"type\":\"genesis\"," W },
	  0,
	  0,
	  0 },
	{ "an unknown clear type", { ENTRY("nonsense", 0, 1) }, 1, 0, 0 },
	{ "an unknown committed type, with one more member",
	  { FIELDS("later", "\"u\":1," W) },
	  1,
	  0,
	  0 },
	{ "a version 2 between others",
	  { ENTRY("start", 0, 1), LATER(1), ENTRY("stop", 2, 1) },
	  1,
	  1,
	  0 },
	{ "a version 2 that may be a stop",
	  { ENTRY("start", 0, 1), LATER(1), OTHER("start", 0), OTHER("stop", 1) },
	  1,
	  1,
	  1 },
	{ "a version 2 that names no worker, and may be its number 1",
	  { ENTRY("start", 0, 1), V2("\"a\":1,"), ENTRY("stop", 2, 1) },
	  1,
	  1,
	  1 },
	{ "a version 2 with other things in the members that all versions keep",
	  { ENTRY("config", 0, 1), V2("\"n\":\"x\",\"time_us\":null,\"type\":[],") },
	  1,
	  1,
	  0 },
};

Test(audit_verify, what_came_later_is_hashed_and_listed_and_no_problem)
{
	for (size_t i = 0; i < sizeof grown / sizeof *grown; i++) {
		const struct growth *g = &grown[i];
		craft(g->entry);
		struct audit_verdict *v = place_verify(&at, false);
		cr_expect_eq(v->problems, 0, "%s: %s", g->what, v->problem[0].text);
		cr_expect_eq(v->ok, g->newer == 0, "%s", g->what);
		cr_expect_eq(v->unreads, g->unreads, "%s: %zu", g->what, v->unreads);
		cr_expect_eq(v->newer, g->newer, "%s: %zu", g->what, v->newer);
		cr_expect_eq(v->remarks, g->remarks, "%s: %s", g->what, v->remark[0].text);
		cr_expect(!v->newer || v->unread[0].version == 2, "%s", g->what);
	}
	craft((const char *const[]){ ENTRY("config", 0, 1), ENTRY("nonsense", 1, 1), NULL });
	struct audit_verdict *v = place_verify(&at, false);
	cr_expect(v->unread[0].index == 1 && strcmp(v->unread[0].type, "nonsense") == 0);
}

Test(audit_verify, an_entry_of_a_later_version_is_still_verified_by_its_hash)
{
	struct buf b = { 0 };

	craft((const char *const[]){ ENTRY("config", 0, 1), LATER(1), NULL });
	place_read(&at, "log/tile/entries/000.p/2", &b);
	b.bytes[b.len - 3] ^= 1;
	place_write(&at, "log/tile/entries/000.p/2", b.bytes, b.len);
	struct audit_verdict *v = place_verify(&at, false);
	cr_expect(v->problems == 1 && strcmp(v->problem[0].kind, "entry") == 0, "%s",
		  v->problem[0].text);
	buf_free(&b);
}

Test(audit_verify, more_problems_than_fit_are_counted)
{
	const char *entry[101] = { 0 };

	for (int i = 0; i < 100; i++)
		entry[i] = "[]";
	craft(entry);
	cr_expect_eq(place_verify(&at, false)->problems, 100);
}

Test(audit_verify, checkpoint_of_another_key_or_origin_is_no_checkpoint)
{
	struct audit_verdict *v;

	craft((const char *const[]){ ENTRY("config", 0, 1), NULL });
	cr_expect(place_verify(&at, false)->ok);
	buf_clear(&at.vkey);
	audit_note_key_text("hallmark.test/other", signing_identity_public(at.key)->ed25519,
			    &at.vkey);
	v = place_verify(&at, false);
	cr_expect(!v->ok && strcmp(v->problem[0].kind, "checkpoint") == 0);
	buf_clear(&at.vkey);
	uint8_t other[32] = { 9 };
	audit_note_key_text(PLACE_ORIGIN, other, &at.vkey);
	v = place_verify(&at, false);
	cr_expect(!v->ok && strcmp(v->problem[0].kind, "checkpoint") == 0);
}

Test(audit_verify, not_being_able_to_look_is_an_error_and_no_verdict)
{
	static struct audit_verdict v;

	cr_expect_eq(audit_verify("/no/such/log", "bad key", NULL, &v, NULL), ERR_INPUT);
	cr_expect_eq(
		audit_verify(
			"/no/such/log",
			"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
			NULL, &v, NULL),
		ERR_NOTFOUND);
}

/* ---- rebuilding ---- */

TestSuite(audit_rebuild, .init = set_up, .fini = tear_down, .timeout = 120);

static int remember(void *ctx, struct store_tx *tx, uint64_t index, const json_t *entry,
		    struct err *e)
{
	struct store_stmt *st;
	struct buf text = { 0 };

	(void)ctx;
	TRY(json_write_canonical(entry, &text, e));
	TRY(store_prepare(tx, "INSERT INTO hooked(idx, entry) VALUES($1, $2)", &st, e));
	store_bind_i64(st, 1, (int64_t)index);
	store_bind_text(st, 2, text.bytes);
	int rc = store_run(st, e);
	buf_free(&text);
	return rc;
}

static const char hooked[] =
	"CREATE TABLE IF NOT EXISTS hooked(idx INTEGER PRIMARY KEY, entry TEXT)";

static void dump(struct buf *out)
{
	struct store_stmt *st;
	struct store_tx *tx;

	cr_assert_eq(store_read(at.store, &tx, NULL), 0);
	cr_assert_eq(store_prepare(tx, "SELECT idx, entry FROM hooked ORDER BY idx", &st, NULL), 0);
	while (store_step(st, NULL) == 1)
		buf_printf(out, "%lld %s\n", (long long)store_i64(st, 0), store_text(st, 1));
	store_finish(st);
	store_end(tx);
}

static void open_stores(void)
{
	place_stores(&at);
	place_sql(at.store, hooked);
}

static int rebuild(size_t *lost, struct err *e)
{
	struct audit_options o = place_options(&at);
	struct audit_rebuilt r;

	o.hook = (struct audit_hook){ .apply = remember };
	int rc = audit_rebuild(&o, at.vkey.bytes, &r, e);
	*lost = json_array_size(r.undisclosable);
	json_decref(r.undisclosable);
	return rc;
}

/* Rebuilt, opened, appended to: the log lives with entries that came later. */
Test(audit_verify, rows_that_are_missing_at_the_end_are_looked_for_once)
{
	place_open(&at);
	for (int i = 0; i < 200; i++)
		place_note(&at, "x");
	place_close(&at);
	place_stores(&at);
	place_sql(at.store, "DELETE FROM log_entry WHERE idx >= 100");
	uint64_t before = store_work(at.store);
	cr_expect_geq(place_verify(&at, true)->problems, 100);
	uint64_t work = store_work(at.store) - before;
	cr_expect_lt(work, 10000, "%llu steps", (unsigned long long)work);
}

Test(audit_rebuild, what_came_later_is_kept_and_the_log_goes_on)
{
	at.time_us = 1000; /* entries by hand are of the first microseconds */
	struct err e = { 0 };
	size_t lost;
	struct buf entry = { 0 };

	for (size_t i = 0; i < sizeof grown / sizeof *grown; i++) {
		craft(grown[i].entry);
		open_stores();
		cr_assert_eq(rebuild(&lost, &e), 0, "%s: %s", grown[i].what, e.text);
		place_close(&at);
		place_open(&at);
		place_note(&at, "goes on");
		uint64_t size = audit_log_size(at.log_open);
		for (uint64_t n = 0; n < size; n++) {
			buf_clear(&entry);
			cr_expect_eq(audit_log_entry(at.log_open, n, &entry, &e), 0, "%s: %s",
				     grown[i].what, e.text);
		}
		cr_expect_str_eq(entry.bytes + entry.len - 1, "}");
		struct audit_verdict *v = place_verify(&at, true);
		cr_expect_eq(v->problems, 0, "%s: %s", grown[i].what, v->problem[0].text);
		cr_expect_eq(v->unreads, grown[i].unreads, "%s", grown[i].what);
		place_close(&at);
		char command[128];
		snprintf(command, sizeof command, "rm -f %s/*.db*", at.home);
		cr_assert_eq(system(command), 0);
	}
	buf_free(&entry);
}

static void lose_database(void)
{
	char command[128];
	place_close(&at);
	snprintf(command, sizeof(command), "rm -f %s/state.db*", at.home);
	cr_assert_eq(system(command), 0);
}

Test(audit_rebuild, lost_database_comes_back_with_the_same_rows_and_goes_on)
{
	struct buf before = { 0 }, after = { 0 };
	struct err e = { 0 };
	size_t lost;
	json_t *plain;

	at.hook = (struct audit_hook){ .apply = remember };
	open_stores();
	place_close(&at);
	place_open(&at);
	for (int i = 0; i < 260; i++)
		place_note(&at, "n");
	uint64_t secret = place_decision(&at, "s", "gone");
	place_decision(&at, NULL, "gone too");
	dump(&before);
	cr_expect_eq(rebuild(&lost, &e), ERR_CONFLICT); /* locked by the open log */
	lose_database();
	cr_expect_eq(place_try_open(&at, &e), ERR_VERIFY, "an empty database over a signed log: %s",
		     e.text);
	open_stores();
	place_sql(at.store, "DELETE FROM log_entry; DELETE FROM log_head");
	cr_assert_eq(rebuild(&lost, &e), 0, "%s", e.text);
	cr_expect_eq(lost, 2);
	dump(&after);
	cr_expect(before.len == after.len && memcmp(before.bytes, after.bytes, after.len) == 0);
	cr_expect_eq(rebuild(&lost, &e), ERR_CONFLICT); /* not empty now */
	place_close(&at);
	place_open(&at);
	cr_expect_eq(audit_vault_read(at.log_open, secret, &plain, &e), ERR_NOTFOUND);
	cr_expect_eq(place_number(at.keys, "SELECT count(*) FROM subject_key"), 0,
		     "keys of lost rows are of no use");
	cr_expect_eq(place_number(at.keys, "SELECT count(*) FROM scrub"), 0);
	place_note(&at, "goes on");
	place_expect_clean(&at);
	buf_free(&before);
	buf_free(&after);
}

Test(audit_rebuild, what_was_erased_is_told_from_what_is_lost)
{
	struct audit_receipt receipt;
	struct audit_rebuilt r;
	struct err e = { 0 };

	place_open(&at);
	uint64_t erased = place_decision(&at, NULL, "x"), kept = place_decision(&at, "s", "y");
	cr_assert_eq(audit_vault_erase(at.log_open, NULL, erased, "retention", "dpo", &receipt, &e),
		     0, "%s", e.text);
	for (int round = 0; round < 2; round++) {
		lose_database();
		place_stores(&at);
		struct audit_options o = place_options(&at);
		cr_assert_eq(audit_rebuild(&o, at.vkey.bytes, &r, &e), 0, "%s", e.text);
		cr_expect_eq(json_array_size(r.undisclosable), 3);
		const json_t *first = json_array_get(r.undisclosable, 0),
			     *second = json_array_get(r.undisclosable, 1);
		cr_expect_str_eq(json_string_value(json_object_get(first, "gone")), "erased");
		cr_expect_eq(json_integer_value(json_object_get(first, "by")),
			     (json_int_t)receipt.index);
		cr_expect_str_eq(json_string_value(json_object_get(second, "gone")), "lost");
		cr_expect_eq(json_object_get(second, "by") != NULL, round == 1,
			     "stated by the first rebuild");
		json_decref(r.undisclosable);
		struct audit_verdict *v = place_verify(&at, true);
		cr_expect(v->ok && v->erased == 1 && v->lost == 2, "before it is published: %s",
			  v->problem[0].text);
		place_close(&at);
		place_open(&at);
		v = place_verify(&at, true);
		cr_expect(v->ok && v->erased == 1 && v->lost == 2 && v->gones == 2, "%s",
			  v->problem[0].text);
		cr_expect(v->gone[1].lost && v->gone[1].first == kept &&
			  v->gone[1].last == receipt.index + 1);
	}
	place_decision(&at, NULL, "after it");
	place_sql(at.store, "DELETE FROM vault");
	cr_expect_eq(place_verify(&at, true)->problems, 1, "a vault that was emptied since");
}

Test(audit_rebuild, tiles_beyond_the_checkpoint_make_room_for_other_entries)
{
	struct buf note = { 0 };
	struct err e = { 0 };
	size_t lost;

	at.hook = (struct audit_hook){ .apply = remember };
	open_stores();
	place_close(&at);
	place_open(&at);
	place_note(&at, "a");
	place_read(&at, "log/checkpoint", &note);
	place_note(&at, "lost with the database");
	lose_database();
	place_write(&at, "log/checkpoint", note.bytes,
		    note.len); /* as if the last publication never came */
	open_stores();
	cr_expect_eq(rebuild(&lost, &e), ERR_VERIFY, "keys.db has seen more");
	place_sql(at.keys, "DELETE FROM log_seen");
	cr_assert_eq(rebuild(&lost, &e), 0, "%s", e.text);
	place_close(&at);
	place_open(&at);
	cr_expect_eq(audit_log_size(at.log_open), 2);
	place_note(&at, "another");
	place_expect_clean(&at);
	buf_free(&note);
}

/* However many problems of times come before it. */
Test(audit_rebuild, one_grave_problem_behind_many_light_ones_is_found)
{
	const char *entry[202] = { 0 };
	struct err e = { 0 };
	size_t lost;

	for (int i = 0; i < 200; i++)
		entry[i] = i % 2 ? ENTRY("config", 0, 1) : ENTRY("config", 0, 9); /* back in time */
	craft(entry);
	struct audit_verdict *v = place_verify(&at, false);
	cr_expect_gt(v->problems, 64);
	cr_expect_str_eq(v->problem[63].kind, "time");
	cr_expect_str_eq(v->grave.kind, "");
	entry[200] = "[]";
	craft(entry);
	cr_expect_str_eq(place_verify(&at, false)->grave.kind, "record");
	open_stores();
	cr_expect_eq(rebuild(&lost, &e), ERR_VERIFY);
	cr_expect(strstr(e.text, "does not verify: record"), "%s", e.text);
}

Test(audit_rebuild, damaged_log_is_not_rebuilt_from)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	size_t lost;

	place_open(&at);
	place_note(&at, "a");
	lose_database();
	place_read(&at, "log/tile/entries/000.p/2", &b);
	b.bytes[20] ^= 1;
	place_write(&at, "log/tile/entries/000.p/2", b.bytes, b.len);
	open_stores();
	cr_expect_eq(rebuild(&lost, &e), ERR_VERIFY);
	buf_free(&b);
}
