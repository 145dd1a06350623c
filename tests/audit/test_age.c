/* Parts of a home that are older than the others, missing, or changed without the log's key: each
 * combination is refused, with nothing signed, but those of which nothing at hand knows better. */
#include "support.h"

#include "audit/log_in.h"
#include "audit/whole.h"
#include "base/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct place at;

static void shell(const char *format, const char *more)
{
	char command[512];

	snprintf(command, sizeof(command), format, at.home, more);
	cr_assert_eq(system(command), 0, "%s", command);
}

/* HOME/older and HOME/newer hold the three parts of two times, closed. */
static void set_up(void)
{
	place_make(&at);
	for (int round = 0; round < 2; round++) {
		place_open(&at);
		for (int i = 0; i < 4; i++) {
			place_note(&at, "said");
			place_decision(&at, NULL, "sealed");
		}
		place_close(&at);
		shell("cd %1$s && mkdir %2$s && cp -a log state.db keys.db %2$s",
		      round ? "newer" : "older");
	}
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_age, .init = set_up, .fini = tear_down, .timeout = 120);

/* What forge.py of a history's enemy does: another entry, its leaf, and the root of all of them. */
static void forge_rows(void)
{
	struct merkle merkle = { .count = 0 };
	struct buf entry = { 0 };
	struct store_stmt *st;
	struct store_tx *tx;
	struct err e = { 0 };
	size_t len;

	place_stores(&at);
	cr_assert_eq(store_write(at.store, &tx, &e), 0);
	cr_assert_eq(store_prepare(tx, "SELECT idx, entry FROM log_entry ORDER BY idx", &st, &e),
		     0);
	while (store_step(st, &e) == 1) {
		const char *bytes = store_blob(st, 1, &len);
		if (store_i64(st, 0) == 3) {
			buf_add(&entry, bytes, len);
			memcpy(strstr(entry.bytes, "said"), "SAID", 4);
			bytes = entry.bytes;
		}
		struct digest leaf = audit_tree_leaf(bytes, len);
		merkle_add(&merkle, &leaf);
	}
	store_finish(st);
	struct digest leaf = audit_tree_leaf(entry.bytes, entry.len), root = merkle_root(&merkle);
	cr_assert_eq(store_prepare(tx, "UPDATE log_entry SET entry = $1, leaf = $2 WHERE idx = 3",
				   &st, &e),
		     0);
	store_bind_blob(st, 1, entry.bytes, entry.len);
	store_bind_blob(st, 2, leaf.bytes, 32);
	cr_assert_eq(store_run(st, &e), 0);
	cr_assert_eq(store_prepare(tx, "UPDATE log_head SET root = $1", &st, &e), 0);
	store_bind_blob(st, 1, root.bytes, 32);
	cr_assert_eq(store_run(st, &e), 0);
	cr_assert_eq(store_commit(tx, &e), 0);
	store_end(tx);
	place_close(&at);
	buf_free(&entry);
}

/* A checkpoint over the same tree by another key. */
static void forge_checkpoint(void)
{
	struct signing_identity *other;
	struct buf text = { 0 }, note = { 0 };
	struct err e = { 0 };

	place_read(&at, "log/checkpoint", &text);
	text.len = (size_t)(strstr(text.bytes, "\n\n") - text.bytes) + 1;
	shell("mkdir %s/%s", "other");
	char dir[128];
	snprintf(dir, sizeof(dir), "%s/other", at.home);
	cr_assert_eq(signing_identity_create(dir, "log", NULL, &at.env, &e), 0, "%s", e.text);
	cr_assert_eq(signing_identity_open(&other, dir, "log", NULL, &e), 0);
	cr_assert_eq(audit_note_sign(other, PLACE_ORIGIN, text.bytes, text.len, &note, &e), 0);
	place_write(&at, "log/checkpoint", note.bytes, note.len);
	signing_identity_close(other);
	shell("rm -r %s/%s", "other");
	buf_free(&text);
	buf_free(&note);
}

enum part { NEWER, OLDER, MISSING, FORGED };
static const char *const name[] = { "newer", "older", "missing", "forged" };

static void put_part(const char *part, enum part which)
{
	shell("rm -rf %s/%s", part);
	shell("rm -f %s/%s-*", part);
	if (which != MISSING)
		shell(which == OLDER ? "cp -a %1$s/older/%2$s %1$s" : "cp -a %1$s/newer/%2$s %1$s",
		      part);
}

static void put(enum part log, enum part state, enum part keys)
{
	put_part("log", log);
	put_part("state.db", state);
	put_part("keys.db", keys);
	if (state == FORGED)
		forge_rows();
	if (log == FORGED)
		forge_checkpoint();
}

/* What only somebody outside can know: all parts are of one time, or none is left. */
static bool nothing_knows_better(enum part log, enum part state, enum part keys)
{
	return log == state && state == keys && log != FORGED;
}

static uint64_t published(void)
{
	struct buf b = { 0 };
	char path[128];
	uint64_t size = 0;

	snprintf(path, sizeof(path), "%s/checkpoint", at.log);
	if (file_read(path, 100000, &b, NULL) == 0)
		size = strtoull(strchr(b.bytes, '\n') + 1, NULL, 10);
	buf_free(&b);
	return size;
}

Test(audit_age, every_combination_of_parts_is_refused_unless_nothing_knows_better)
{
	for (enum part log = NEWER; log <= FORGED; log++)
		for (enum part state = NEWER; state <= FORGED; state++)
			for (enum part keys = NEWER; keys <= MISSING; keys++) {
				struct err e = { 0 };
				put(log, state, keys);
				uint64_t before = published();
				int rc = place_try_open(&at, &e);
				int wanted =
					nothing_knows_better(log, state, keys) ? 0 : ERR_VERIFY;
				cr_expect_eq(rc, wanted, "log %s, state %s, keys %s: %d %s",
					     name[log], name[state], name[keys], rc, e.text);
				cr_expect(rc == 0 || published() == before, "something was signed");
				cr_expect(rc == 0 || strstr(e.text, "put back") ||
						  strstr(e.text, "rebuild") ||
						  strstr(e.text, "damaged"),
					  "no way out is named: %s", e.text);
				place_close(&at);
			}
}

Test(audit_age, forged_rows_are_refused_whatever_else_is_taken_away)
{
	/* Of state.db, keys.db; log/ is gone, as is the rest where nothing of it is said. */
	static const char *const state[] = {
		"SELECT 1",
		"UPDATE log_head SET checkpoint = NULL",
		"DELETE FROM log_guard",
		"DELETE FROM log_guard; UPDATE log_head SET checkpoint = NULL",
		"UPDATE log_guard SET synced = 0, seen = 0",
		"UPDATE log_guard SET synced = 0, seen = 0; UPDATE log_head SET checkpoint = NULL",
		"UPDATE log_guard SET mac = zeroblob(32)",
		"DELETE FROM log_head",
		"DELETE FROM log_guard; UPDATE log_head SET checkpoint = NULL;"
		" UPDATE schema SET version = 2 WHERE part = 'log'",
	};
	static const char *const keys[] = { "SELECT 1", "DELETE FROM log_seen" };

	for (size_t i = 0; i < sizeof(state) / sizeof(*state); i++)
		for (size_t k = 0; k < 2; k++)
			for (int folder = 0; folder < 2; folder++) {
				struct err e = { 0 };
				put(folder ? NEWER : MISSING, FORGED, NEWER);
				place_stores(&at);
				place_sql(at.store, state[i]);
				place_sql(at.keys, keys[k]);
				place_close(&at);
				uint64_t before = published();
				int rc = place_try_open(&at, &e);
				/* Where no row is left that is of a log, it is a new one. */
				bool begun = i == 7 && k == 1 && !folder;
				cr_expect(begun || (rc == ERR_VERIFY && published() == before),
					  "%s; %s; %d: %d %s", state[i], keys[k], folder, rc,
					  e.text);
				place_close(&at);
			}
}

/* More rows than are signed, in place of a batch that a crash cut short. */
static void forge_tail(void)
{
	struct merkle merkle = { .count = 0 };
	struct buf entry = { 0 };
	struct store_stmt *st;
	struct store_tx *tx;
	struct err e = { 0 };
	size_t len;

	place_stores(&at);
	cr_assert_eq(store_write(at.store, &tx, &e), 0);
	cr_assert_eq(store_prepare(tx, "SELECT entry FROM log_entry ORDER BY idx", &st, &e), 0);
	while (store_step(st, &e) == 1) {
		const char *bytes = store_blob(st, 0, &len);
		struct digest leaf = audit_tree_leaf(bytes, len);
		merkle_add(&merkle, &leaf);
		buf_clear(&entry);
		buf_add(&entry, bytes, len);
	}
	store_finish(st);
	struct digest leaf = audit_tree_leaf(entry.bytes, entry.len);
	struct entry_row row = { .index = merkle.count, .leaf = leaf,        .type = "registry",
				 .worker = "forged",    .bytes = entry.bytes, .len = entry.len };
	merkle_add(&merkle, &leaf);
	struct digest root = merkle_root(&merkle);
	cr_assert_eq(audit_log_entry_insert(tx, &row, &e), 0, "%s", e.text);
	cr_assert_eq(audit_log_head_update(tx, merkle.count, &root, NULL, merkle.count - 1, &e), 0);
	cr_assert_eq(store_commit(tx, &e), 0);
	store_end(tx);
	buf_free(&entry);
}

Test(audit_age, forged_rows_behind_the_signed_ones_are_no_batch_that_was_cut_short)
{
	static const char *const state[] = { "SELECT 1", "DELETE FROM log_guard",
					     "DELETE FROM log_guard;"
					     " UPDATE log_head SET checkpoint = NULL" };
	static const char *const keys[] = { "SELECT 1", "DELETE FROM log_seen" };

	for (size_t i = 0; i < sizeof(state) / sizeof(*state); i++)
		for (size_t k = 0; k < 2; k++) {
			struct err e = { 0 };
			put(NEWER, NEWER, NEWER);
			forge_tail();
			place_sql(at.store, state[i]);
			place_sql(at.keys, keys[k]);
			place_close(&at);
			uint64_t before = published();
			cr_expect_eq(place_try_open(&at, &e), ERR_VERIFY, "%s; %s: %s", state[i],
				     keys[k], e.text);
			cr_expect_eq(published(), before, "something was signed");
			place_close(&at);
		}
}

Test(audit_age, log_folder_that_is_gone_or_old_is_written_again_knowingly)
{
	static const enum part logs[] = { MISSING, OLDER, FORGED };
	struct buf before = { 0 }, after = { 0 };
	struct err e = { 0 };
	struct audit_log *log;

	place_read(&at, "log/checkpoint", &before);
	for (size_t i = 0; i < 3; i++) {
		put(logs[i], NEWER, NEWER);
		cr_expect_eq(place_try_open(&at, &e), ERR_VERIFY);
		place_stores(&at);
		struct audit_options o = place_options(&at);
		o.rewrite = true;
		cr_assert_eq(audit_log_open(&log, &o, &e), 0, "%s: %s", name[logs[i]], e.text);
		audit_log_close(log);
		cr_expect_eq(audit_log_open(&log, &o, &e), ERR_CONFLICT, "there is nothing to do");
		place_close(&at);
		place_read(&at, "log/checkpoint", &after);
		cr_expect(before.len == after.len &&
			  memcmp(before.bytes, after.bytes, after.len) == 0);
		buf_clear(&after);
		place_open(&at);
		place_expect_clean(&at);
		place_close(&at);
	}
	put(MISSING, FORGED, NEWER);
	place_stores(&at);
	struct audit_options o = place_options(&at);
	o.rewrite = true;
	cr_expect_eq(audit_log_open(&log, &o, &e), ERR_VERIFY);
	buf_free(&before);
	buf_free(&after);
}

Test(audit_age, database_is_rebuilt_from_the_newest_folder_only)
{
	static const struct {
		enum part log, keys;
		int rc;
	} rows[] = { { NEWER, NEWER, 0 },          { NEWER, OLDER, 0 },
		     { NEWER, MISSING, 0 },        { OLDER, OLDER, 0 },
		     { OLDER, MISSING, 0 },        { OLDER, NEWER, ERR_VERIFY },
		     { FORGED, NEWER, ERR_VERIFY } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct audit_rebuilt r;
		struct err e = { 0 };
		put(rows[i].log, MISSING, rows[i].keys);
		place_stores(&at);
		struct audit_options o = place_options(&at);
		cr_expect_eq(audit_rebuild(&o, at.vkey.bytes, &r, &e), rows[i].rc, "row %zu: %s", i,
			     e.text);
		json_decref(r.undisclosable);
		place_close(&at);
		if (rows[i].rc < 0)
			continue;
		place_open(&at);
		place_note(&at, "goes on");
		place_expect_clean(&at);
		place_close(&at);
	}
}
