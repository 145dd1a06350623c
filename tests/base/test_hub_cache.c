#include "base/file.h"
#include "base/source.h"
#include "temp.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPO "hub/models--a--b"
#define SNAP REPO "/snapshots/r"

static struct temp t;
static struct err e;

static void put(const char *name, const char *text)
{
	char folder[LIMIT_PATH_BYTES];
	snprintf(folder, sizeof folder, "%s", temp_path(&t, name));
	*strrchr(folder, '/') = '\0';
	cr_assert_eq(file_make_dirs(folder, 0700, NULL), 0);
	cr_assert_eq(file_write_durable(temp_path(&t, name), text, strlen(text), 0600, NULL), 0);
}

static void link_to(const char *target, const char *name)
{
	cr_assert_eq(symlink(target, temp_path(&t, name)), 0, "%s", name);
}

static void setup(void)
{
	temp_open(&t);
	put(SNAP "/sub/plain", "plain");
	put(SNAP "/own", "own");
	put(REPO "/blobs/e1", "one");
	put("hub/blobs/ab/h2", "two");
	link_to("../../blobs/ab/h2", REPO "/blobs/e2");
	link_to("../../blobs/e1", SNAP "/one");
	link_to("../../blobs/e2", SNAP "/two");
	link_to("../../../blobs/e1", SNAP "/sub/deep");
}

static void teardown(void) { temp_close(&t); }

TestSuite(base_hub_cache, .init = setup, .fini = teardown);

static struct source *tree(const char *name)
{
	struct source *s = NULL;
	cr_assert_eq(source_open_tree(&s, temp_path(&t, name), &e), 0, "%s", e.text);
	return s;
}

static void expect_text(struct source *s, const char *name, const char *text)
{
	struct buf b = { 0 };
	cr_assert_eq(source_read_file(s, name, 100, &b, &e), 0, "%s", e.text);
	cr_expect(b.len == strlen(text) && memcmp(b.bytes, text, b.len) == 0, "%s", name);
	buf_free(&b);
}

/* The link stands in the snapshot; the sentence of its refusal has why and the remedy. */
static void expect_refused(const char *target, const char *why)
{
	uint64_t bytes;
	link_to(target, SNAP "/bad");
	struct source *s = tree(SNAP), *plain = NULL;
	struct file_tree l = { 0 };
	cr_expect_eq(source_size(s, "bad", &bytes, &e), ERR_UNSUPPORTED, "%s", target);
	cr_expect(strstr(e.text, "bad") && strstr(e.text, why) && strstr(e.text, "cp -rL"), "%s: %s", target,
		  e.text);
	cr_assert_eq(source_list(s, NULL, 0, &l, &e), 0);
	cr_expect(l.entry[0].kind == FILE_LINK && strcmp(l.entry[0].name, "bad") == 0);
	file_tree_free(&l);
	source_close(s);
	cr_expect_eq(source_open_folder(&plain, temp_path(&t, SNAP), &e), ERR_UNSUPPORTED);
	cr_expect(strstr(e.text, "bad") && strstr(e.text, why), "%s: %s", target, e.text);
	cr_assert_eq(unlink(temp_path(&t, SNAP "/bad")), 0);
}

Test(base_hub_cache, links_of_one_and_of_two_levels_are_files)
{
	static const char *const names[] = { "one", "own", "sub/deep", "sub/plain", "two" };
	struct file_tree l = { 0 };
	struct source *s = tree(SNAP), *plain = NULL;
	expect_text(s, "one", "one");
	expect_text(s, "two", "two");
	expect_text(s, "sub/deep", "one");
	expect_text(s, "own", "own");
	cr_assert_eq(source_list(s, NULL, 0, &l, &e), 0);
	cr_assert_eq(l.count, 5u);
	for (size_t i = 0; i < 5; i++) {
		bool linked = strcmp(names[i], "own") != 0 && strcmp(names[i], "sub/plain") != 0;
		cr_expect_str_eq(l.entry[i].name, names[i]);
		cr_expect_eq(l.entry[i].kind, linked ? FILE_LINKED : FILE_REGULAR, "%s", names[i]);
	}
	file_tree_free(&l);
	source_close(s);
	cr_assert_eq(source_open_folder(&plain, temp_path(&t, SNAP), &e), 0, "%s", e.text);
	cr_expect_str_eq(source_name(plain, 4), "two");
	expect_text(plain, "two", "two");
	source_close(plain);
}

Test(base_hub_cache, a_folder_of_a_snapshot_and_absolute_links_are_fine)
{
	char full[LIMIT_PATH_BYTES];
	snprintf(full, sizeof full, "%s", temp_path(&t, REPO "/blobs/e1"));
	link_to(full, SNAP "/sub/absolute");
	struct source *s = tree(SNAP "/sub");
	expect_text(s, "deep", "one");
	expect_text(s, "absolute", "one");
	source_close(s);
}

Test(base_hub_cache, other_links_are_refused_with_the_reason)
{
	put("hub/models--c--d/blobs/other", "x");
	put("hub/secret", "x");
	cr_assert_eq(mkfifo(temp_path(&t, REPO "/blobs/fifo"), 0600), 0);
	link_to("loop2", REPO "/blobs/loop1");
	link_to("loop1", REPO "/blobs/loop2");
	link_to("/etc", REPO "/etc");
	expect_refused("/etc/passwd", "out of the cache");
	expect_refused("../../../../../../../../../../etc/passwd", "out of the cache");
	expect_refused("../../../secret", "out of the cache");
	expect_refused("../../../models--c--d/blobs/other", "out of the cache");
	expect_refused("../../blobs", "to no regular file");
	expect_refused("../../blobs/fifo", "to no regular file");
	expect_refused("../../blobs/none", "to nothing");
	expect_refused("../../blobs/loop1", "in a circle");
	expect_refused("bad", "in a circle");
	expect_refused("../../etc/passwd", "to another, of a folder");
}

/* Outside a cache nothing is followed, whatever stands beside. */
Test(base_hub_cache, without_blobs_beside_it_a_folder_is_no_snapshot)
{
	uint64_t bytes;
	char from[LIMIT_PATH_BYTES];
	snprintf(from, sizeof from, "%s", temp_path(&t, REPO "/blobs"));
	cr_assert_eq(rename(from, temp_path(&t, "moved")), 0);
	link_to("../../moved", REPO "/blobs"); /* a linked store is none */
	struct source *s = tree(SNAP);
	cr_expect_eq(source_size(s, "one", &bytes, &e), ERR_UNSUPPORTED);
	cr_expect(strstr(e.text, "cp -rL"), "%s", e.text);
	source_close(s);
}

/* A store above is one where the hub's client made it, or where the repository has the hub's name. */
Test(base_hub_cache, a_store_above_counts_by_name_or_marker)
{
	uint64_t bytes;
	put("x/repo/snapshots/r/own", "x");
	put("x/repo/blobs/e1", "x");
	put("x/blobs/ab/h", "shared");
	link_to("../../blobs/ab/h", "x/repo/blobs/e2");
	link_to("../../blobs/e2", "x/repo/snapshots/r/two");
	struct source *s = tree("x/repo/snapshots/r");
	cr_expect_eq(source_size(s, "two", &bytes, &e), ERR_UNSUPPORTED);
	source_close(s);
	put("x/blobs/.huggingface-shared-blobs", "1\n");
	s = tree("x/repo/snapshots/r");
	expect_text(s, "two", "shared");
	source_close(s);
}

/* What is opened at each step is what was looked at: a folder that becomes a link is not entered. */
Test(base_hub_cache, a_folder_replaced_by_a_link_is_refused)
{
	uint64_t bytes;
	char from[LIMIT_PATH_BYTES];
	struct source *s = tree(SNAP);
	snprintf(from, sizeof from, "%s", temp_path(&t, REPO "/blobs"));
	cr_assert_eq(rename(from, temp_path(&t, "moved")), 0);
	link_to("../../moved", REPO "/blobs");
	cr_expect_eq(source_size(s, "one", &bytes, &e), ERR_UNSUPPORTED);
	source_close(s);
}
