/* What a check of a folder finds, and how it names it. */
#include "support.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct world w;
static struct signing_manifest m;
static struct signing_report r;
static struct err e;

static void set_up(void)
{
	world_open(&w);
	world_model(&w);
	world_sign(&w, &m);
}

static void tear_down(void)
{
	signing_manifest_free(&m);
	world_close(&w);
}

TestSuite(signing_verify, .init = set_up, .fini = tear_down);

static void put(const char *name, const char *text) { world_text(&w, name, text); }
static void drop(const char *name) { cr_assert_eq(unlink(world_path(&w, name)), 0); }

static void rename_one(const char *from, const char *to)
{
	char old[4200];
	snprintf(old, sizeof old, "%s", world_path(&w, from));
	cr_assert_eq(rename(old, world_path(&w, to)), 0);
}

static void swap(void)
{
	put("model/a-b", "three");
	put("model/a.b", "two");
}
static void missing(void) { drop("model/a-b"); }
static void extra(void) { put("model/new", "x"); }
static void extra_below(void) { put("model/sub/new", "x"); }
static void renamed(void) { rename_one("model/a-b", "model/a-c"); }
static void truncated(void) { cr_assert_eq(truncate(world_path(&w, "model/big.bin"), BIG_BYTES - 1), 0); }
static void cut_to_nothing(void) { cr_assert_eq(truncate(world_path(&w, "model/big.bin"), 0), 0); }
static void longer(void) { put("model/a-b", "two more"); }
static void linked(void)
{
	drop("model/a-b");
	cr_assert_eq(symlink("a.b", world_path(&w, "model/a-b")), 0);
}
static void linked_same(void)
{
	rename_one("model/a-b", "a-b");
	cr_assert_eq(symlink("../a-b", world_path(&w, "model/a-b")), 0);
}
static void linked_folder(void)
{
	rename_one("model/a", "elsewhere");
	cr_assert_eq(symlink("../elsewhere", world_path(&w, "model/a")), 0);
}
static void folder(void)
{
	drop("model/a-b");
	cr_assert_eq(mkdir(world_path(&w, "model/a-b"), 0755), 0);
}
static void fifo(void)
{
	drop("model/a-b");
	cr_assert_eq(mkfifo(world_path(&w, "model/a-b"), 0600), 0);
}
static void extra_link(void) { cr_assert_eq(symlink("/etc/passwd", world_path(&w, "model/l")), 0); }
static void ignored(void)
{
	put("model/.git/config", "x");
	put("model/.gitattributes", "x");
	put("model/.cache/huggingface/download/x.lock", "");
	put("model/.hallmark/manifest.json", "x");
}
static void ignored_below(void)
{
	put("model/sub/.cache/x", "x");
	put("model/sub/.git", "x");
	put("model/sub/.hallmark/x", "x");
}

static const struct {
	const char *row;
	void (*change)(void);
	const char *path[3]; /* in order; the differences that must be there */
	bool ok_ignoring;
} rows[] = {
	{ "missing", missing, { "a-b" }, false },
	{ "extra", extra, { "new" }, true },
	{ "extra below", extra_below, { "sub/new" }, true },
	{ "renamed", renamed, { "a-b", "a-c" }, false },
	{ "swapped contents", swap, { "a-b", "a.b" }, false },
	{ "truncated", truncated, { "big.bin" }, false },
	{ "cut to nothing", cut_to_nothing, { "big.bin", "big.bin", "big.bin" }, false },
	{ "longer", longer, { "a-b" }, false },
	{ "a link to another", linked, { "a-b" }, false },
	{ "a link to the same bytes", linked_same, { "a-b" }, false },
	{ "a linked folder", linked_folder, { "a", "a/b" }, false },
	{ "a folder", folder, { "a-b" }, false },
	{ "a FIFO", fifo, { "a-b" }, false },
	{ "an extra link", extra_link, { "l" }, true },
	{ "ignored files", ignored, { NULL }, true },
	{ "ignored names elsewhere", ignored_below, { "sub/.cache/x", "sub/.git", "sub/.hallmark/x" }, true },
};

static void try_row(size_t i)
{
	size_t count = 0;
	while (count < 3 && rows[i].path[count])
		count++;
	rows[i].change();
	expect(0, check_folder(&r, &m, w.model, 0, &e));
	cr_assert_eq(r.ok, count == 0, "%s", rows[i].row);
	cr_assert_eq(r.count, count, "%s: %zu differences", rows[i].row, r.count);
	for (size_t d = 0; d < count; d++)
		cr_assert_str_eq(r.difference[d].path, rows[i].path[d], "%s", rows[i].row);
	signing_report_free(&r);
	expect(0, check_folder(&r, &m, w.model, SIGNING_IGNORE_UNSIGNED, &e));
	cr_assert_eq(r.ok, rows[i].ok_ignoring, "%s, unsigned files ignored", rows[i].row);
	signing_report_free(&r);
}

Test(signing_verify, every_difference_is_named)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		try_row(i);
		cr_assert_eq(file_remove_tree(w.model, NULL), 0);
		cr_assert_eq(file_remove_tree(world_path(&w, "elsewhere"), NULL), 0);
		signing_manifest_free(&m);
		world_model(&w);
		world_sign(&w, &m);
	}
}

/* Of a release that was signed before these names were left out, or by others. */
Test(signing_verify, only_what_was_recorded_as_ignored_at_signing_is_passed_over)
{
	static const char *const path[] = { ".cache/x", ".hallmark/x" };
	put("model/.cache/x", "x");
	put("model/.git/config", "x");
	put("model/.hallmark/x", "x");
	size_t recorded = m.ignore_count;
	m.ignore_count = 0;
	expect(0, check_folder(&r, &m, w.model, 0, &e));
	m.ignore_count = recorded;
	cr_assert_eq(r.count, 2, "%zu differences", r.count);
	for (size_t i = 0; i < 2; i++)
		cr_expect_str_eq(r.difference[i].path, path[i]);
	signing_report_free(&r);
}

Test(signing_verify, a_size_that_is_not_the_files_is_named_though_the_digest_is_right)
{
	for (size_t i = 0; i < m.file_count; i++) {
		cr_assert(m.file[i].has_bytes);
		m.file[i].bytes++;
		expect(0, check_folder(&r, &m, w.model, 0, &e));
		cr_assert_eq(r.count, 1, "%s", m.file[i].name);
		cr_expect_str_eq(r.difference[0].path, m.file[i].name);
		signing_report_free(&r);
		m.file[i].bytes--;
	}
}

Test(signing_verify, the_untouched_folder_is_fine_and_wholly_hashed)
{
	uint64_t total = 0;
	for (size_t i = 0; i < m.file_count; i++)
		total += m.file[i].bytes;
	expect(0, check_folder(&r, &m, w.model, 0, &e));
	cr_assert(r.ok && r.bytes == total);
	signing_report_free(&r);
}

/* A flipped byte in each listed file is found; where it hits a tensor, that one is named. */
Test(signing_verify, a_flipped_byte_in_any_file_names_file_and_tensor)
{
	for (size_t i = 0; i < m.file_count; i++) {
		char name[128];
		snprintf(name, sizeof name, "model/%s", m.file[i].name);
		if (m.file[i].bytes == 0)
			continue;
		world_flip(&w, name, m.file[i].bytes / 2);
		expect(0, check_folder(&r, &m, w.model, 0, &e));
		cr_assert(!r.ok && r.count == 1, "%s: %zu", name, r.count);
		cr_assert_str_eq(r.difference[0].path, m.file[i].name);
		signing_report_free(&r);
		world_flip(&w, name, m.file[i].bytes / 2);
	}
}

Test(signing_verify, the_tensor_that_changed_is_named)
{
	static const struct {
		const char *file;
		uint64_t offset;
		const char *tensor;
	} flips[] = {
		{ "big.bin", 0, NULL },
		{ "big.bin", 127, NULL },
		{ "big.bin", 128, "model.a" },
		{ "big.bin", 3000127, "model.a" },
		{ "big.bin", 3000128, NULL },
		{ "big.bin", 3200000, NULL },
		{ "big.bin", 3499999, NULL },
		{ "big.bin", 3500000, "model.b" },
		{ "big.bin", CHUNK, "model.b" },
		{ "big.bin", BIG_BYTES - 1, "model.b" },
		{ "sub/small.bin", 15, NULL },
		{ "sub/small.bin", 16, "small.weight" },
		{ "sub/small.bin", 79, "small.weight" },
		{ "sub/small.bin", 80, NULL },
	};
	for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
		char name[64];
		snprintf(name, sizeof name, "model/%s", flips[i].file);
		world_flip(&w, name, flips[i].offset);
		expect(0, check_folder(&r, &m, w.model, 0, &e));
		cr_assert_eq(r.count, 1u, "%zu", i);
		const char *tensor = r.difference[0].tensor;
		if (flips[i].tensor)
			cr_assert(tensor && strcmp(tensor, flips[i].tensor) == 0, "row %zu: %s", i,
				  tensor ? tensor : "none");
		else
			cr_assert_null(tensor, "row %zu: %s", i, tensor);
		signing_report_free(&r);
		world_flip(&w, name, flips[i].offset);
	}
	/* Without usable tensor digests the file is named alone. */
	world_flip(&w, "model/hallmark.tensors", 40);
	world_flip(&w, "model/big.bin", 500);
	expect(0, check_folder(&r, &m, w.model, 0, &e));
	cr_assert(r.count == 2 && !r.difference[0].tensor && !r.difference[1].tensor);
	signing_report_free(&r);
}

Test(signing_verify, a_folder_that_is_not_there_cannot_be_checked)
{
	expect(ERR_NOTFOUND, check_folder(&r, &m, "/nonexistent", 0, &e));
}
