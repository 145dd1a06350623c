/* Packages: what is written verifies where it lies; what differs is named. */
#include "support.h"

#include "base/file.h"
#include "base/limits.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct world w;
static struct signing_manifest m;
static struct err e;

static void set_up(void)
{
	world_open(&w);
	world_model(&w);
	world_sign(&w, &m);
	world_text(&w, "extra/manifest.json", "{}");
	world_text(&w, "extra/more/provenance.json", "[]");
}

static void tear_down(void)
{
	signing_manifest_free(&m);
	world_close(&w);
}

TestSuite(signing_package, .init = set_up, .fini = tear_down);

static const char *const extras[] = { "manifest.json", "more/provenance.json" };

static int write_package(const char *name, bool with_extras)
{
	struct source *model = NULL, *beside = NULL;
	expect(0, source_open_tree(&model, w.model, &e));
	expect(0, source_open_tree(&beside, world_path(&w, "extra"), &e));
	int rc = signing_package_write(
		world_path(&w, name),
		&(struct signing_package){ &m, model, beside, extras, with_extras ? 2 : 0 }, &e);
	source_close(model);
	source_close(beside);
	return rc;
}

static size_t entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t count = 0;
	cr_assert_not_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count - 2;
}

/* The package as a source, checked against the manifest. */
static struct source *open_package(const char *name, struct source **beside)
{
	struct source *s = NULL;
	struct signing_report r;
	expect(0, source_open_package(&s, beside, world_path(&w, name), SIGNING_EXTRAS, &e));
	expect(0, signing_manifest_check(&r, &m, s, SIGNING_QUIET, &e));
	/* The bundle is no listed file, and is not in the way. */
	cr_assert(r.ok, "%s", r.count ? r.difference[0].path : "");
	signing_report_free(&r);
	return s;
}

Test(signing_package, what_was_packed_verifies_without_being_unpacked)
{
	struct buf text = { 0 };
	struct source *beside = NULL, *verified = NULL;
	uint8_t byte = 0;
	expect(0, write_package("p.tar", true));
	struct source *s = open_package("p.tar", &beside);
	expect(0, source_read_file(beside, "more/provenance.json", 100, &text, &e));
	cr_assert_str_eq(text.bytes, "[]");
	buf_clear(&text);
	expect(0, source_read_file(s, SIGNING_BUNDLE, MIB(1), &text, &e));
	struct signing_manifest again;
	expect(0, signing_bundle_open(text.bytes, text.len, signing_identity_public(w.id), &again, &e));
	expect(0, signing_source_open(&verified, &again, s, &e));
	expect(0, source_read(verified, "big.bin", CHUNK + 5, &byte, 1, &e));
	cr_assert_eq(byte, world_byte(CHUNK + 5));
	expect(ERR_NOTFOUND, source_read(verified, "manifest.json", 0, &byte, 1, &e));
	source_close(verified);
	signing_manifest_free(&again);
	source_close(s);
	source_close(beside);
	buf_free(&text);
}

/* A flipped byte is found where it lies, and named with its tensor. */
Test(signing_package, a_flipped_byte_in_a_package_names_file_and_tensor)
{
	struct source *s = NULL, *beside = NULL, *verified = NULL;
	struct signing_report r;
	struct buf tar = { 0 };
	uint8_t byte = 0;
	expect(0, write_package("p.tar", true));
	read_whole(world_path(&w, "p.tar"), &tar);
	uint8_t first[64];
	for (size_t i = 0; i < sizeof first; i++)
		first[i] = world_byte(500 + i);
	char *at = memmem(tar.bytes, tar.len, first, sizeof first);
	cr_assert_not_null(at);
	world_flip(&w, "p.tar", (uint64_t)(at - tar.bytes));
	expect(0, source_open_package(&s, &beside, world_path(&w, "p.tar"), SIGNING_EXTRAS, &e));
	expect(0, signing_manifest_check(&r, &m, s, SIGNING_QUIET, &e));
	cr_assert(!r.ok && r.count == 1);
	cr_assert_str_eq(r.difference[0].path, "big.bin");
	cr_assert_str_eq(r.difference[0].tensor, "model.a");
	signing_report_free(&r);
	expect(0, signing_source_open(&verified, &m, s, &e));
	expect(ERR_VERIFY, source_read(verified, "big.bin", 0, &byte, 1, &e));
	expect(0, source_read(verified, "big.bin", CHUNK, &byte, 1, &e));
	source_close(verified);
	source_close(s);
	source_close(beside);
	buf_free(&tar);
}

/* A file more or less than was signed, put into the archive by someone else. */
Test(signing_package, unlisted_and_missing_files_are_told)
{
	struct source *s = NULL;
	struct signing_report r;
	expect(0, write_package("p.tar", true));
	char command[400];
	snprintf(command, sizeof command,
		 "cd %s && mkdir x && tar --warning=no-unknown-keyword -xf p.tar -C x && rm x/a-b && "
		 "echo hi >x/new && tar -cf q.tar -C x .hallmark $(cd x && ls)",
		 w.dir);
	cr_assert_eq(system(command), 0);
	struct source *beside = NULL;
	expect(0, source_open_package(&s, &beside, world_path(&w, "q.tar"), SIGNING_EXTRAS, &e));
	expect(0, signing_manifest_check(&r, &m, s, SIGNING_QUIET, &e));
	cr_assert_eq(r.count, 2u);
	cr_assert_str_eq(r.difference[0].path, "a-b");
	cr_assert_str_eq(r.difference[0].found, "missing");
	cr_assert_str_eq(r.difference[1].path, "new");
	signing_report_free(&r);
	expect(0, signing_manifest_check(&r, &m, s, SIGNING_QUIET | SIGNING_IGNORE_UNSIGNED, &e));
	cr_assert_eq(r.count, 1u);
	signing_report_free(&r);
	source_close(s);
	source_close(beside);
}

Test(signing_package, equal_content_gives_equal_bytes)
{
	struct buf a = { 0 }, b = { 0 };
	expect(0, write_package("a.tar", true));
	cr_assert_eq(chmod(world_path(&w, "model/a-b"), 0755), 0);
	world_text(&w, "model/a.b", "three"); /* new times */
	world_text(&w, "model/unlisted", "not packed");
	expect(0, write_package("b.tar", true));
	read_whole(world_path(&w, "a.tar"), &a);
	read_whole(world_path(&w, "b.tar"), &b);
	cr_assert_eq(a.len, b.len);
	cr_assert_eq(memcmp(a.bytes, b.bytes, a.len), 0);
	buf_free(&a);
	buf_free(&b);
}

/* Names keep their spelling, also those that libarchive would normalise. */
Test(signing_package, names_come_back_byte_for_byte)
{
	static const char *const names[] = { "model/e\xcc\x81.txt", "model/\xe2\x84\xab",
					     "model/d\xc3\xa9j\xc3\xa0" };
	struct source *beside = NULL;
	char long_name[300] = "model/";
	memset(long_name + 6, 'n', 200);
	world_text(&w, long_name, "x");
	for (size_t i = 0; i < 3; i++)
		world_text(&w, names[i], "x");
	signing_manifest_free(&m);
	world_sign(&w, &m);
	expect(0, write_package("p.tar", false));
	source_close(open_package("p.tar", &beside));
	cr_assert_null(beside);
}

/* GNU tar warns of the record that keeps names as they are: only those packages have it that need it. */
Test(signing_package, names_are_marked_as_raw_bytes_only_where_one_must_be)
{
	static const char *const name[] = { "model/d\xc3\xa9j\xc3\xa0", "model/e\xcc\x81.txt" };
	for (int i = 0; i < 2; i++) {
		struct source *beside = NULL;
		struct buf tar = { 0 };
		world_text(&w, name[i], "x");
		signing_manifest_free(&m);
		world_sign(&w, &m);
		expect(0, write_package("p.tar", false));
		read_whole(world_path(&w, "p.tar"), &tar);
		cr_expect_eq(memmem(tar.bytes, tar.len, "hdrcharset", 10) != NULL, i == 1, "%s", name[i]);
		source_close(open_package("p.tar", &beside));
		buf_free(&tar);
	}
}

Test(signing_package, nothing_appears_when_the_folder_is_not_what_was_signed)
{
	world_flip(&w, "model/big.bin", 77);
	expect(ERR_VERIFY, write_package("p.tar", true));
	world_flip(&w, "model/big.bin", 77);
	cr_assert_eq(truncate(world_path(&w, "model/sub/small.bin"), 99), 0);
	expect(ERR_VERIFY, write_package("p.tar", true));
	cr_assert_eq(unlink(world_path(&w, "model/sub/small.bin")), 0);
	expect(ERR_NOTFOUND, write_package("p.tar", true));
	world_model(&w);
	cr_assert_eq(unlink(world_path(&w, "extra/manifest.json")), 0);
	cr_assert_eq(symlink("/etc/passwd", world_path(&w, "extra/manifest.json")), 0);
	expect(ERR_UNSUPPORTED, write_package("p.tar", true));
	cr_assert_eq(unlink(world_path(&w, "extra/manifest.json")), 0);
	cr_assert_eq(entries(w.dir), 3u); /* keys, model, extra: no package and nothing half-made */
	signing_manifest_free(&m);
	world_text(&w, "model/a-b", "another release");
	world_sign(&w, &m);
	world_text(&w, "model/model.sig", "{}");
	cr_assert_lt(write_package("p.tar", false), 0);
	cr_assert_eq(entries(w.dir), 3u);
}

