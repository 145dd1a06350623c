/* One flipped bit over everything that is published. */
#include "support.h"

#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct place at;

static void set_up(void)
{
	place_make(&at);
	place_open(&at);
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_tamper, .init = set_up, .fini = tear_down, .timeout = 240);

/* Plain write(2) in place: these files need not be durable. */
static void put(const char *path, const struct buf *b)
{
	FILE *f = fopen(path, "w");
	cr_assert(f);
	cr_assert_eq(fwrite(b->bytes, 1, b->len, f), b->len);
	fclose(f);
}

/* Flips bits of every file below log/, each step-th bit; returns how many. All must be found. */
static size_t flip_all(size_t step)
{
	struct file_list list;
	size_t flips = 0;

	cr_assert_eq(file_list(at.log, &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++) {
		char path[256];
		struct buf b = { 0 };
		snprintf(path, sizeof(path), "%s/%s", at.log, list.names[i]);
		cr_assert_eq(file_read(path, MIB(1), &b, NULL), 0);
		for (size_t bit = 0; bit < b.len * 8; bit += step, flips++) {
			b.bytes[bit / 8] = (char)(b.bytes[bit / 8] ^ 1 << bit % 8);
			put(path, &b);
			cr_expect_not(place_verify(&at, false)->ok, "%s: bit %zu passed",
				      list.names[i], bit);
			b.bytes[bit / 8] = (char)(b.bytes[bit / 8] ^ 1 << bit % 8);
		}
		put(path, &b);
		buf_free(&b);
	}
	file_list_free(&list);
	return flips;
}

/* Partial tiles of earlier checkpoints belong to those; a verifier of the newest does not read
 * them. */
static void drop_older_partials(const char *newest)
{
	struct file_list list;

	cr_assert_eq(file_list(at.log, &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++) {
		const char *p = strstr(list.names[i], ".p/");
		char path[256];
		snprintf(path, sizeof(path), "%s/%s", at.log, list.names[i]);
		if (p && strcmp(p + 3, newest) != 0 && !strstr(list.names[i], "tile/1/"))
			cr_assert_eq(file_remove_tree(path, NULL), 0);
	}
	file_list_free(&list);
}

Test(audit_tamper, every_flipped_bit_of_a_small_log_is_found)
{
	place_note(&at, "a");
	place_decision(&at, NULL, "b");
	place_note(&at, "c");
	place_close(&at);
	drop_older_partials("4");
	place_expect_clean(&at);
	cr_expect_gt(flip_all(1), 5000);
	place_expect_clean(&at);
}

Test(audit_tamper, flipped_bits_of_a_log_with_full_tiles_are_found)
{
	for (int i = 0; i < 258; i++)
		place_note(&at, "n");
	place_close(&at);
	drop_older_partials("3");
	place_expect_clean(&at);
	cr_expect_gt(flip_all(4001), 60);
	place_expect_clean(&at);
}

Test(audit_tamper, removed_truncated_and_swapped_files_are_found)
{
	struct file_list list;

	for (int i = 0; i < 4; i++)
		place_note(&at, "n");
	place_close(&at);
	drop_older_partials("5");
	cr_assert_eq(file_list(at.log, &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++) {
		char path[256];
		struct buf b = { 0 };
		snprintf(path, sizeof(path), "%s/%s", at.log, list.names[i]);
		cr_assert_eq(file_read(path, MIB(1), &b, NULL), 0);
		if (b.len == 0) { /* the lock */
			buf_free(&b);
			continue;
		}
		b.len--;
		put(path, &b);
		cr_expect_not(place_verify(&at, false)->ok, "%s truncated", list.names[i]);
		b.len++;
		cr_assert_eq(file_remove_tree(path, NULL), 0);
		cr_expect_not(place_verify(&at, false)->ok, "%s removed", list.names[i]);
		put(path, &b);
		buf_add_byte(&b, 0);
		put(path, &b);
		cr_expect_not(place_verify(&at, false)->ok, "%s lengthened", list.names[i]);
		b.len--;
		put(path, &b);
		buf_free(&b);
	}
	file_list_free(&list);
	place_expect_clean(&at);
}

Test(audit_tamper, a_newer_database_is_not_judged_and_not_opened)
{
	static struct audit_verdict v;
	struct err e = { 0 };

	place_note(&at, "n");
	place_close(&at);
	place_stores(&at);
	place_sql(at.store, "UPDATE log_head SET version = 99");
	cr_expect_eq(audit_verify(at.log, at.vkey.bytes, at.store, &v, &e), ERR_UNSUPPORTED, "%s",
		     e.text);
	place_close(&at);
	cr_expect_eq(place_try_open(&at, &e), ERR_UNSUPPORTED, "%s", e.text);
}

Test(audit_tamper, changed_database_is_found_and_nothing_is_signed_over_it)
{
	static const char *const changes[] = {
		"UPDATE log_entry SET entry = CAST(replace(CAST(entry AS TEXT), 'text', 'tExt') AS BLOB) WHERE idx = 2",
		"UPDATE log_entry SET leaf = zeroblob(32) WHERE idx = 1",
		"DELETE FROM log_entry WHERE idx = 2",
		"DELETE FROM log_entry WHERE idx = 4",
		"UPDATE log_head SET size = 4",
		"UPDATE log_head SET root = zeroblob(32)",
	};
	struct buf before = { 0 };

	for (int i = 0; i < 4; i++)
		place_note(&at, "n");
	place_close(&at);
	place_read(&at, "log/checkpoint", &before);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		char command[256];
		struct err e = { 0 };
		struct buf after = { 0 };
		snprintf(command, sizeof(command), "cp %s/state.db %s/kept.db", at.home, at.home);
		cr_assert_eq(system(command), 0);
		place_stores(&at);
		place_sql(at.store, changes[i]);
		struct audit_verdict *v = place_verify(&at, true);
		if (i != 1) /* the leaf column is the opening's affair */
			cr_expect(!v->ok && strcmp(v->problem[0].kind, "head") == 0, "%s",
				  changes[i]);
		place_close(&at);
		int rc = place_try_open(&at, &e);
		cr_expect(rc == ERR_VERIFY || rc == ERR_UNSUPPORTED, "%s: %d %s", changes[i], rc,
			  e.text);
		place_read(&at, "log/checkpoint", &after);
		cr_expect(after.len == before.len &&
			  memcmp(after.bytes, before.bytes, after.len) == 0);
		snprintf(command, sizeof(command), "mv %s/kept.db %s/state.db; rm -f %s/state.db-*",
			 at.home, at.home, at.home);
		cr_assert_eq(system(command), 0);
		buf_free(&after);
	}
	place_open(&at);
	place_expect_clean(&at);
	buf_free(&before);
}

Test(audit_tamper, damaged_folder_stops_the_opening)
{
	static const char *const files[] = { "log/checkpoint", "log/tile/0/000.p/3",
					     "log/tile/entries/000.p/3" };

	place_note(&at, "a");
	place_note(&at, "b");
	place_close(&at);
	for (size_t i = 0; i < 3; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		place_read(&at, files[i], &b);
		b.bytes[b.len / 2] = (char)(b.bytes[b.len / 2] ^ 4);
		place_write(&at, files[i], b.bytes, b.len);
		cr_expect_eq(place_try_open(&at, &e), ERR_VERIFY, "%s: %s", files[i], e.text);
		b.bytes[b.len / 2] = (char)(b.bytes[b.len / 2] ^ 4);
		place_write(&at, files[i], b.bytes, b.len);
		buf_free(&b);
	}
	place_open(&at);
}

Test(audit_tamper, missing_tiles_are_written_again_from_the_entries)
{
	char path[128];
	struct err e;

	for (int i = 0; i < 260; i++)
		place_note(&at, "n");
	place_close(&at);
	snprintf(path, sizeof(path), "%s/tile", at.log);
	cr_assert_eq(file_remove_tree(path, &e), 0);
	cr_expect_not(place_verify(&at, false)->ok);
	place_open(&at);
	place_expect_clean(&at);
}
