/* Opening looks at the edge of the log; the rest is audit_verify's, and each entry's own when it is
 * read. */
#include "support.h"

#include "base/file.h"
#include "base/limits.h"
#include "fill.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct place at;

static void set_up(void)
{
	place_make(&at);
	place_open(&at);
	place_close(&at);
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_open, .init = set_up, .fini = tear_down, .timeout = 240);

/* Genesis and count entries, published, the worker closed; closed. Its size. */
static uint64_t fill(uint64_t count)
{
	struct err e = { 0 };

	place_stores(&at);
	cr_assert_eq(fill_log(at.store, at.key, &at.env, count, &e), 0, "%s", e.text);
	place_close(&at);
	place_open(&at);
	uint64_t size = audit_log_size(at.log_open);
	cr_assert_eq(size, count + 2);
	place_expect_clean(&at);
	place_close(&at);
	return size;
}

static void change(const char *sql)
{
	place_stores(&at);
	place_sql(at.store, sql);
	place_close(&at);
}

/* ---- what is found, and where ---- */

Test(audit_open, every_size_around_a_tile_border_opens_and_goes_on)
{
	static const uint64_t counts[] = { 253, 254, 255, 509, 510, 511, 512, 766 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		uint64_t size = fill(counts[i]);
		for (int k = 0; k < 3; k++) {
			place_open(&at);
			cr_expect_eq(audit_log_size(at.log_open), size + (uint64_t)k);
			place_note(&at, "goes on");
			place_expect_clean(&at);
			place_close(&at);
		}
		tear_down();
		set_up();
	}
}

Test(audit_open, damage_to_the_newest_bundle_or_the_tiles_above_it_stops_the_opening)
{
	static const char *const changes[] = {
		"UPDATE log_entry SET leaf = zeroblob(32) WHERE idx = 601",
		"UPDATE log_entry SET entry = CAST(replace(CAST(entry AS TEXT), 'acme', 'evil') AS BLOB)"
		" WHERE idx = 512",
		"DELETE FROM log_entry WHERE idx = 600",
		"DELETE FROM log_entry WHERE idx = 601",
		"INSERT INTO log_entry SELECT 602, leaf, type, worker, n + 1, entry FROM log_entry"
		" WHERE idx = 601",
		"UPDATE log_head SET root = zeroblob(32)",
	};
	static const char *const files[] = { "log/checkpoint", "log/tile/0/002.p/90",
					     "log/tile/1/000.p/2", "log/tile/entries/002.p/90" };
	char command[256];
	struct err e = { 0 };

	cr_assert_eq(fill(600), 602);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		snprintf(command, sizeof(command), "cp %s/state.db %s/kept.db", at.home, at.home);
		cr_assert_eq(system(command), 0);
		change(changes[i]);
		cr_expect_eq(place_try_open(&at, &e), ERR_VERIFY, "%s: %s", changes[i], e.text);
		snprintf(command, sizeof(command), "mv %s/kept.db %s/state.db", at.home, at.home);
		cr_assert_eq(system(command), 0);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct buf b = { 0 };
		place_read(&at, files[i], &b);
		b.bytes[b.len / 2] ^= 4;
		place_write(&at, files[i], b.bytes, b.len);
		cr_expect_eq(place_try_open(&at, &e), ERR_VERIFY, "%s: %s", files[i], e.text);
		b.bytes[b.len / 2] ^= 4;
		place_write(&at, files[i], b.bytes, b.len);
		buf_free(&b);
	}
	place_open(&at);
	place_expect_clean(&at);
}

Test(audit_open, a_missing_bundle_is_one_problem_that_says_how_it_comes_back)
{
	char command[300];
	struct err e = { 0 };

	fill(600);
	snprintf(command, sizeof command, "rm %s/tile/entries/001", at.log);
	cr_assert_eq(system(command), 0);
	place_stores(&at);
	struct audit_verdict *v = place_verify(&at, true);
	cr_expect_eq(v->problems, 1, "%zu: the database lacks nothing: %s", v->problems,
		     v->problem[1].text);
	cr_expect_str_eq(v->problem[0].kind, "entry");
	cr_expect(strstr(v->problem[0].text, "move log/tile away: the next opening"), "%s",
		  v->problem[0].text);
	v = place_verify(&at, false);
	cr_expect(strstr(v->problem[0].text, "where this copy came from"), "%s",
		  v->problem[0].text);
	place_close(&at);
	snprintf(command, sizeof command, "mv %s/tile %s/away", at.log, at.log);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(place_try_open(&at, &e), 0, "%s", e.text);
	place_expect_clean(&at);
}

Test(audit_open, a_copy_that_lacks_its_newest_files_is_not_called_wrong)
{
	static const struct {
		const char *gone;
		size_t problems;
		uint64_t incomplete;
	} rows[] = { { "entries/002.p", 0, 90 },
		     { "0/002.p", 0, 90 },
		     { "entries/001 entries/002.p 0/002.p", 0, 346 },
		     { "entries/001", 1, 0 },
		     { "entries/000 entries/002.p", 1, 90 } };
	char command[500];

	fill(600);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(command, sizeof command, "cp -r %s %s.kept", at.log, at.log);
		cr_assert_eq(system(command), 0);
		snprintf(command, sizeof command, "cd %s/tile && rm -r %s", at.log, rows[i].gone);
		cr_assert_eq(system(command), 0, "%s", command);
		struct audit_verdict *v = place_verify(&at, false);
		cr_expect_not(v->ok, "%s: not checked whole", rows[i].gone);
		cr_expect_eq(v->problems, rows[i].problems, "%s: %zu: %s", rows[i].gone,
			     v->problems, v->problem[0].text);
		cr_expect_eq(v->incomplete, rows[i].incomplete, "%s: %d", rows[i].gone,
			     (int)v->incomplete);
		snprintf(command, sizeof command, "rm -r %s && mv %s.kept %s", at.log, at.log,
			 at.log);
		cr_assert_eq(system(command), 0);
	}
	place_expect_clean(&at);
}

Test(audit_open, damage_farther_back_is_found_by_verifying_and_by_reading_that_entry)
{
	struct buf b = { 0 }, entry = { 0 };
	struct err e = { 0 };

	fill(600);
	change("UPDATE log_entry SET entry = CAST(replace(CAST(entry AS TEXT), 'acme', 'evil') AS BLOB)"
	       " WHERE idx = 300");
	place_read(&at, "log/tile/0/000", &b);
	b.bytes[32 * 7] ^= 1;
	place_write(&at, "log/tile/0/000", b.bytes, b.len);
	place_open(&at);
	struct audit_verdict *v = place_verify(&at, true);
	cr_expect_not(v->ok);
	cr_expect_eq(v->problems, 3, "%zu", v->problems); /* entry 7, entry 300, the tile above */
	cr_expect_eq(audit_log_entry(at.log_open, 300, &entry, &e), ERR_VERIFY);
	cr_expect_str_eq(e.text, "entry 300 in the database does not have its published hash");
	cr_expect_eq(audit_log_entry(at.log_open, 7, &entry, &e), ERR_VERIFY);
	cr_expect_eq(entry.len, 0);
	cr_expect_eq(audit_log_entry(at.log_open, 299, &entry, &e), 0, "%s", e.text);
	place_note(&at, "the edge is sound: the log goes on");
	buf_free(&b);
	buf_free(&entry);
}

Test(audit_open, missing_tiles_farther_back_are_written_again_once_the_edge_is_taken_away)
{
	char path[128];

	fill(600);
	snprintf(path, sizeof(path), "%s/tile/entries/000", at.log);
	cr_assert_eq(unlink(path), 0);
	place_open(&at);
	cr_expect_not(place_verify(&at, false)->ok);
	place_close(&at);
	snprintf(path, sizeof(path), "%s/tile/1", at.log);
	cr_assert_eq(file_remove_tree(path, NULL), 0);
	place_open(&at);
	place_expect_clean(&at);
}

/* ---- what it costs ---- */

/* Steps of the database for one opening and closing. */
static uint64_t cost_of_opening(void)
{
	place_open(&at);
	uint64_t cost = store_work(at.store) + store_work(at.keys);
	place_close(&at);
	return cost;
}

Test(audit_open, cost_does_not_grow_with_the_log)
{
	fill(700);
	uint64_t small = cost_of_opening();
	tear_down();
	set_up();
	fill(700 + 256 * 40);
	uint64_t large = cost_of_opening();
	cr_expect_gt(small, 400); /* the newest bundle is read */
	cr_expect_lt(large, small + small / 10, "%llu steps, then %llu", (unsigned long long)small,
		     (unsigned long long)large);
}

Test(audit_open, cost_does_not_grow_with_a_dead_worker_s_age)
{
	uint64_t cost[2];

	for (int round = 0; round < 2; round++) {
		fill(round ? 700 + 256 * 40 : 700);
		change("INSERT INTO log_writer SELECT worker, min(idx), max(n) - 5, max(n) FROM log_entry"
		       " WHERE worker = '" FILL_WORKER "' GROUP BY worker");
		cost[round] = cost_of_opening();
		tear_down();
		set_up();
	}
	cr_expect_lt(cost[1], cost[0] + cost[0] / 10, "%llu steps, then %llu",
		     (unsigned long long)cost[0], (unsigned long long)cost[1]);
}

Test(audit_open, cost_does_not_grow_with_the_number_of_keys)
{
	uint64_t cost[2];

	for (int round = 0; round < 2; round++) {
		place_open(&at);
		for (int i = 0; i < (round ? 400 : 10); i++)
			place_decision(&at, i % 3 ? NULL : "someone", "sealed");
		place_close(&at);
		place_open(&at);
		cost[round] = store_work(at.keys);
		place_close(&at);
	}
	cr_expect_lt(cost[1], cost[0] + 50, "%llu steps, then %llu", (unsigned long long)cost[0],
		     (unsigned long long)cost[1]);
}

/* ---- temporary files ---- */

Test(audit_open, temporary_files_of_a_crash_go_and_older_ones_do_no_harm)
{
	static const char *const strays[] = {
		"log/tmp/0011223344556677",        "log/tmp/checkpoint.tmp-00",
		"log/tile/0/000.p/3.tmp-0011",     "log/tile/0/000.tmp-0011",
		"log/tile/entries/000.p/9.tmp-00", "checkpoint.staged"
	};
	char path[128];

	for (size_t i = 0; i < sizeof(strays) / sizeof(*strays); i++)
		place_write(&at, strays[i], "half", 4);
	place_open(&at);
	snprintf(path, sizeof(path), "%s/tmp/0011223344556677", at.log);
	cr_expect_not(file_exists(path));
	snprintf(path, sizeof(path), "%s/tmp/checkpoint.tmp-00", at.log);
	cr_expect_not(file_exists(path));
	place_close(&at);
	fill(300);
	place_open(&at);
	place_note(&at, "goes on");
	place_expect_clean(&at);
	snprintf(path, sizeof(path), "%s/tmp", at.log);
	struct file_list left;
	cr_assert_eq(file_list(path, &left, NULL), 0);
	cr_expect_eq(left.count, 0);
	file_list_free(&left);
}

/* ---- the number of files ---- */

#define HUGE (13000000u + 77u)

/* An empty file for every tile of a level that an opening has no reason to read. */
static size_t touch_level(int level, uint64_t count)
{
	for (uint64_t n = 0; n < count; n++) {
		struct tile t = { level, n, TILE_FULL };
		char name[TILE_PATH_ROOM], path[256];
		audit_tile_path(&t, name);
		snprintf(path, sizeof(path), "%s/%s", at.log, name);
		if (n % 1000 == 0) {
			char folder[256];
			snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path),
				 path);
			cr_assert_eq(file_make_dirs(folder, 0755, NULL), 0);
		}
		int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		cr_assert_geq(fd, 0, "%s", path);
		close(fd);
	}
	return count;
}

/* The edge of a log of HUGE entries: hashes of what lies before are made up, its newest entries real.
 */
static void craft_huge(void)
{
	struct edge *edge = calloc(1, sizeof(*edge));
	struct buf text = { 0 }, note = { 0 };
	struct store_tx *tx;
	struct store_stmt *st;
	struct err e = { 0 };

	edge->size = HUGE / TILE_FULL * TILE_FULL;
	for (int level = 1; level < TILE_LEVELS; level++)
		for (uint64_t i = 0; i < (edge->size >> 8 * level) % TILE_FULL; i++) {
			struct digest hash;
			env_random(&at.env, hash.bytes, 32);
			audit_edge_put(&edge->tile[level], i, &hash);
		}
	struct merkle merkle = audit_edge_merkle(edge);
	place_stores(&at);
	place_sql(at.keys, "DELETE FROM log_seen"); /* it is not of this tree */
	cr_assert_eq(store_write(at.store, &tx, &e), 0);
	for (uint64_t n = 0; merkle.count < HUGE; n++)
		cr_assert_eq(fill_entry(tx, &at.env, merkle.count, n, &merkle, &e), 0, "%s",
			     e.text);
	cr_assert_eq(store_prepare(tx, "SELECT entry FROM log_entry WHERE idx > 0 ORDER BY idx",
				   &st, &e),
		     0);
	while (store_step(st, &e) == 1) {
		size_t len;
		const void *entry = store_blob(st, 0, &len);
		cr_assert_eq(audit_edge_add(edge, at.log, &at.env, entry, len, &e), 0, "%s",
			     e.text);
	}
	store_finish(st);
	cr_assert_eq(audit_edge_flush(edge, at.log, &at.env, &e), 0, "%s", e.text);
	struct digest root = audit_edge_root(edge);
	audit_checkpoint_text(PLACE_ORIGIN, HUGE, &root, &text);
	cr_assert_eq(audit_note_sign(at.key, PLACE_ORIGIN, text.bytes, text.len, &note, &e), 0);
	place_write(&at, "log/checkpoint", note.bytes, note.len);
	cr_assert_eq(fill_head(tx, at.key, &merkle, HUGE, &e), 0, "%s", e.text);
	cr_assert_eq(store_prepare(tx, "UPDATE log_head SET checkpoint = $1", &st, &e), 0);
	store_bind_text(st, 1, note.bytes);
	cr_assert_eq(store_run(st, &e), 0, "%s", e.text);
	cr_assert_eq(store_commit(tx, &e), 0, "%s", e.text);
	store_end(tx);
	place_close(&at);
	audit_edge_close(edge);
	free(edge);
	buf_free(&text);
	buf_free(&note);
}

Test(audit_open, log_of_thirteen_million_entries_opens_whatever_its_number_of_files)
{
	struct buf entry = { 0 }, proof = { 0 };
	struct err e = { 0 };

	craft_huge();
	size_t files = touch_level(0, HUGE >> 8) + touch_level(TILE_ENTRIES, HUGE >> 8) +
		       touch_level(1, HUGE >> 16);
	cr_assert_gt(files, LIMIT_FILES);
	place_open(&at);
	cr_expect_eq(audit_log_size(at.log_open), HUGE + 1); /* its worker is closed */
	uint64_t index = place_note(&at, "goes on");
	cr_expect_eq(index, HUGE + 1);
	cr_assert_eq(audit_log_entry(at.log_open, index, &entry, &e), 0, "%s", e.text);
	cr_assert_eq(audit_log_proof(at.log_open, index, NULL, 0, &proof, &e), 0, "%s", e.text);
	cr_expect_eq(audit_proof_check(proof.bytes, proof.len, entry.bytes, entry.len,
				       at.vkey.bytes, NULL, &e),
		     0, "%s", e.text);
	buf_free(&entry);
	buf_free(&proof);
}

/* ---- numbers ---- */

Test(audit_open, numbers_come_in_any_order_and_whole_is_the_first_that_is_missing)
{
	struct numbers s = { 0 };

	cr_expect_eq(audit_numbers_whole(&s), 0);
	for (uint64_t n = 1; n < 1000; n++)
		audit_numbers_add(&s, n);
	cr_expect_eq(audit_numbers_whole(&s), 0);
	audit_numbers_add(&s, 0);
	cr_expect_eq(audit_numbers_whole(&s), 1000);
	audit_numbers_add(&s, 3); /* again */
	audit_numbers_add(&s, 100000);
	cr_expect_eq(audit_numbers_whole(&s), 1000);
	for (uint64_t n = 99999; n >= 1000; n--)
		audit_numbers_add(&s, n);
	cr_expect_eq(audit_numbers_whole(&s), 100001);
	cr_expect_lt(s.words, 100000);
	audit_numbers_free(&s);
}
