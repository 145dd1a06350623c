/* Packages: what is written comes back; what could do harm is refused by unpacking and scanning alike. */
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

/* dir/name in memory that stays. */
static char *path(const char *name)
{
	char *copy = strdup(world_path(&w, name));
	cr_assert_not_null(copy);
	return copy;
}

static int write_package(const char *name, const char *extra)
{
	char *to = path(name), *from = extra ? path(extra) : NULL;
	int result = signing_package_write(to, w.model, &m, from, &e);
	free(to);
	free(from);
	return result;
}

static int read_package(const char *name, const char *out, uint64_t bytes_max)
{
	char *from = path(name), *to = path(out);
	int result = signing_package_read(from, to, bytes_max, &e);
	free(from);
	free(to);
	return result;
}

static bool exists(const char *name)
{
	struct stat st;
	return lstat(world_path(&w, name), &st) == 0;
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

Test(signing_package, round_trip_gives_a_folder_that_verifies)
{
	struct signing_report r;
	struct buf text = { 0 };
	expect(0, write_package("p.tar", "extra"));
	expect(0, read_package("p.tar", "out", MIB(64)));
	expect(0, signing_manifest_check(&m, world_path(&w, "out"), false, true, &r, &e));
	cr_assert(r.ok);
	signing_report_free(&r);
	cr_assert(exists("out/model.sig") && exists("out/a/b") && exists("out/empty"));
	cr_assert(exists("out.hallmark/manifest.json") && !exists("out/.hallmark"));
	read_whole(world_path(&w, "out.hallmark/more/provenance.json"), &text);
	cr_assert_str_eq(text.bytes, "[]");
	buf_clear(&text);
	read_whole(world_path(&w, "p.tar"), &text);
	expect(0, signing_package_scan(text.bytes, text.len, text.len, &e));
	buf_free(&text);
}

Test(signing_package, equal_content_gives_equal_bytes)
{
	struct buf a = { 0 }, b = { 0 };
	expect(0, write_package("a.tar", "extra"));
	cr_assert_eq(chmod(world_path(&w, "model/a-b"), 0755), 0);
	world_text(&w, "model/a.b", "three"); /* new times */
	world_text(&w, "model/unlisted", "not packed");
	expect(0, write_package("b.tar", "extra"));
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
	struct signing_report r;
	char long_name[300] = "model/";
	memset(long_name + 6, 'n', 200);
	world_text(&w, long_name, "x");
	for (size_t i = 0; i < 3; i++)
		world_text(&w, names[i], "x");
	signing_manifest_free(&m);
	world_sign(&w, &m);
	expect(0, write_package("p.tar", NULL));
	expect(0, read_package("p.tar", "out", MIB(64)));
	expect(0, signing_manifest_check(&m, world_path(&w, "out"), false, true, &r, &e));
	cr_assert(r.ok, "%s", r.count ? r.difference[0].path : "");
	signing_report_free(&r);
	cr_assert(!exists("out.hallmark"));
}

Test(signing_package, nothing_appears_when_the_folder_is_not_what_was_signed)
{
	world_flip(&w, "model/big.bin", 77);
	expect(ERR_VERIFY, write_package("p.tar", "extra"));
	world_flip(&w, "model/big.bin", 77);
	cr_assert_eq(truncate(world_path(&w, "model/sub/small.bin"), 99), 0);
	expect(ERR_VERIFY, write_package("p.tar", "extra"));
	cr_assert_eq(unlink(world_path(&w, "model/sub/small.bin")), 0);
	expect(ERR_NOTFOUND, write_package("p.tar", "extra"));
	world_model(&w);
	cr_assert_eq(symlink("/etc/passwd", world_path(&w, "extra/link")), 0);
	expect(ERR_INPUT, write_package("p.tar", "extra"));
	cr_assert_eq(unlink(world_path(&w, "extra/link")), 0);
	cr_assert_eq(entries(w.dir), 3u); /* keys, model, extra: no package and nothing half-made */
	signing_manifest_free(&m);
	world_text(&w, "model/a-b", "another release");
	world_sign(&w, &m);
	world_text(&w, "model/model.sig", "{}");
	cr_assert_lt(write_package("p.tar", NULL), 0);
	cr_assert_eq(entries(w.dir), 3u);
}

Test(signing_package, existing_folders_are_left_alone)
{
	expect(0, write_package("p.tar", "extra"));
	world_text(&w, "out/mine", "x");
	expect(ERR_CONFLICT, read_package("p.tar", "out", MIB(64)));
	cr_assert(exists("out/mine"));
	world_text(&w, "new.hallmark/mine", "x");
	expect(ERR_CONFLICT, read_package("p.tar", "new", MIB(64)));
	cr_assert(exists("new.hallmark/mine") && !exists("new"));
	cr_assert_eq(symlink("/tmp", world_path(&w, "linked")), 0);
	expect(ERR_CONFLICT, read_package("p.tar", "linked", MIB(64)));
	cr_assert_eq(symlink("/nonexistent", world_path(&w, "dangling.hallmark")), 0);
	expect(ERR_CONFLICT, read_package("p.tar", "dangling", MIB(64)));
	cr_assert(!exists("dangling"));
	expect(0, read_package("p.tar", "slash//", MIB(64)));
	cr_assert(exists("slash.hallmark/manifest.json"));
}

Test(signing_package, more_bytes_than_allowed_are_refused)
{
	uint64_t total = 2 + 2; /* the two extra files */
	struct stat st;
	for (size_t i = 0; i < m.file_count; i++)
		total += m.file[i].bytes;
	cr_assert_eq(stat(world_path(&w, "model/model.sig"), &st), 0);
	total += (uint64_t)st.st_size;
	expect(0, write_package("p.tar", "extra"));
	expect(ERR_INPUT, read_package("p.tar", "out", total - 1));
	cr_assert(!exists("out") && !exists("out.hallmark"));
	expect(0, read_package("p.tar", "out", total));
}

Test(signing_package, published_traversal_archives_write_nothing)
{
	static const char *const names[] = {
		"absolute1", "absolute2", "dirsymlink2a", "dirsymlink2b", "relative0", "relative2",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char from[80];
		struct buf text = { 0 };
		snprintf(from, sizeof from, "tests/vectors/tar-traversal/%s.tar", names[i]);
		read_whole(from, &text);
		expect(ERR_INPUT, signing_package_read(from, world_path(&w, "out"), MIB(1), &e));
		expect(ERR_INPUT, signing_package_scan(text.bytes, text.len, MIB(1), &e));
		cr_assert(!exists("moo") && !exists("out") && access("/tmp/moo", F_OK) != 0, "%s", names[i]);
		cr_assert_eq(entries(w.dir), 3u, "%s", names[i]);
		buf_free(&text);
	}
}

/* ---- archives that no tool of ours would write ---- */

/* One ustar header and its content, padded. */
static void add(struct buf *tar, const char *name, char type, const char *link, const char *content)
{
	char head[512] = { 0 }, pad[512] = { 0 };
	size_t len = content ? strlen(content) : 0;
	unsigned sum = 0;
	memcpy(head, name, strlen(name) < 100 ? strlen(name) : 100);
	memcpy(head + 100, "0000644\0000000000\0000000000", 23);
	snprintf(head + 124, 12, "%011o", (unsigned)len & 0xffffff);
	memcpy(head + 136, "00000000000", 11);
	memset(head + 148, ' ', 8);
	head[156] = type;
	memcpy(head + 157, link, strlen(link));
	memcpy(head + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof head; i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 8, "%06o", sum);
	buf_add(tar, head, sizeof head);
	buf_add(tar, content ? content : "", len);
	buf_add(tar, pad, (512 - len % 512) % 512);
}

struct bad {
	const char *row, *says, *name;
	char type;
	const char *link, *content, *second; /* second: another file of that name after it */
};

static const struct bad bads[] = {
	{ "hard link", "a hard link", "l", '1', "/etc/passwd", NULL, NULL },
	{ "hard link with content", "a hard link", "l", '1', "a", "data", NULL },
	{ "symbolic link", "a symbolic link", "l", '2', "a", NULL, NULL },
	{ "character device", "a device", "d", '3', "", NULL, NULL },
	{ "block device", "a device", "d", '4', "", NULL, NULL },
	{ "FIFO", "a FIFO", "f", '6', "", NULL, NULL },
	{ "absolute", "empty component", "/a", '0', "", "x", NULL },
	{ "parent", "\"..\" component", "../a", '0', "", "x", NULL },
	{ "parent inside", "\"..\" component", "a/../../b", '0', "", "x", NULL },
	{ "parent alone", "\"..\" component", "..", '5', "", NULL, NULL },
	{ "dot", "\".\" component", "./a", '0', "", "x", NULL },
	{ "dot folder", "\".\" component", "./", '5', "", NULL, NULL },
	{ "empty component", "empty component", "a//b", '0', "", "x", NULL },
	{ "control byte", "control byte 0x0a", "a\nb", '0', "", "x", NULL },
	{ "escape sequence", "control byte 0x1b", "a\x1b[2J", '0', "", "x", NULL },
	{ "not UTF-8", "not UTF-8", "a\xff", '0', "", "x", NULL },
	{ "empty name", "name of 0 bytes", "", '0', "", "x", NULL },
	{ "duplicate", "duplicate", "a", '0', "", "x", "a" },
	{ "case twin", "differ only by case", "readme", '0', "", "x", "README" },
	{ "folded twin", "differ only by case",
	  "stra\xc3\x9f"
	  "e",
	  '0', "", "x", "STRASSE" },
	{ "composed twin", "or normalisation", "\xc3\xa9", '0', "", "x", "e\xcc\x81" },
	{ "case twin of a folder", "differ only by case", "a/b", '0', "", "x", "A/c" },
	{ "file, then folder", "a file and a folder", "a", '0', "", "x", "a/b" },
	{ "folder, then file", "a file and a folder", "a/b", '0', "", "x", "a" },
	{ "made folder, then file", "a file and a folder", "a/", '5', "", NULL, "a" },
	{ "companion as a file", "a folder is expected", ".hallmark", '0', "", "x", NULL },
	{ "companion escape", "\"..\" component", ".hallmark/../../a", '0', "", "x", NULL },
	{ "companion link", "a symbolic link", ".hallmark", '2', "/tmp", NULL, ".hallmark/a" },
	{ "pax absolute", "empty component", "pax", 'x', "", "16 path=/escape\n", "a" },
	{ "pax parent", "\"..\" component", "pax", 'x', "", "18 path=../escape\n", "a" },
	{ "pax link", "of an unknown kind", "pax", 'x', "", "24 linkpath=/etc/passwd\n", NULL },
	{ "GNU sparse 0.1", "sparse", "pax", 'x', "",
	  "27 GNU.sparse.size=1000000\n26 GNU.sparse.numblocks=1\n22 GNU.sparse.map=9,1\n", "a" },
	{ "GNU sparse 0.0", "sparse", "pax", 'x', "",
	  "27 GNU.sparse.size=1000000\n26 GNU.sparse.numblocks=1\n"
	  "23 GNU.sparse.offset=9\n25 GNU.sparse.numbytes=1\n",
	  "a" },
	{ "too many bytes", "more bytes", "a", '0', "", "1234567890123456789012345678901234567890", NULL },
};

static void refused(const char *row, const char *says, const struct buf *tar, uint64_t bytes_max)
{
	int result = signing_package_scan(tar->bytes, tar->len, bytes_max, &e);
	cr_assert_eq(result, ERR_INPUT, "%s, scanned: %d (%s)", row, result, e.text);
	cr_assert_not_null(strstr(e.text, says), "%s: %s", row, e.text);
	world_write(&w, "bad.tar", tar->bytes, tar->len);
	result = read_package("bad.tar", "out", bytes_max);
	cr_assert_eq(result, ERR_INPUT, "%s: %d (%s)", row, result, e.text);
	cr_assert_not_null(strstr(e.text, says), "%s: %s", row, e.text);
	cr_assert(!exists("out") && !exists("out.hallmark"), "%s: something is left", row);
	cr_assert_eq(entries(w.dir), 4u, "%s", row);
}

Test(signing_package, harmful_entries_are_refused_by_name)
{
	static const char end[1024] = { 0 };
	for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
		struct buf tar = { 0 };
		add(&tar, "first", '0', "", "fine");
		add(&tar, bads[i].name, bads[i].type, bads[i].link, bads[i].content);
		if (bads[i].second)
			add(&tar, bads[i].second, '0', "", "y");
		else if (bads[i].type == 'x')
			add(&tar, "l", '1', "", NULL);
		buf_add(&tar, end, sizeof end);
		refused(bads[i].row, bads[i].says, &tar, 40);
		buf_free(&tar);
	}
}

Test(signing_package, harmless_entries_are_accepted)
{
	static const char end[1024] = { 0 };
	struct buf tar = { 0 };
	add(&tar, "a/", '5', "", NULL);
	add(&tar, "a/b", '0', "", "x");
	add(&tar, "a/", '5', "", NULL);
	add(&tar, ".hallmark/", '5', "", NULL);
	add(&tar, ".hallmark/c", '0', "", "y");
	add(&tar, "\xc3\xa9", '0', "", "");
	buf_add(&tar, end, sizeof end);
	expect(0, signing_package_scan(tar.bytes, tar.len, 2, &e));
	world_write(&w, "good.tar", tar.bytes, tar.len);
	expect(0, read_package("good.tar", "out", 2));
	cr_assert(exists("out/a/b") && exists("out/\xc3\xa9") && exists("out.hallmark/c"));
	buf_free(&tar);
}

Test(signing_package, what_is_not_a_whole_tar_is_refused)
{
	static const char *const heads[] = {
		"",
		"x",
		"{}",
		"\x1f\x8b\x08gzip",
		"BZh9",
		"\xfd"
		"7zXZ",
		"\x28\xb5\x2f\xfd",
		"PK\x03\x04",
	};
	static const char zeros[10240] = { 0 };
	struct buf tar = { 0 };
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		buf_clear(&tar);
		buf_add_text(&tar, heads[i]);
		refused(heads[i], "", &tar, MIB(1));
	}
	buf_clear(&tar);
	buf_add(&tar, zeros, sizeof zeros);
	refused("zeros", "", &tar, MIB(1));
	buf_clear(&tar);
	add(&tar, "a", '0', "", "content");
	tar.len -= 510; /* within the content */
	refused("cut off", "", &tar, MIB(1));
	buf_clear(&tar);
	add(&tar, "a", '0', "", "content");
	tar.bytes[0] = 'b';
	refused("checksum", "", &tar, MIB(1));
	buf_clear(&tar);
	add(&tar, "a", '0', "", "content");
	memset(tar.bytes + 124, 0xff, 12); /* base-256, negative */
	unsigned sum = 0;
	memset(tar.bytes + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)tar.bytes[i];
	snprintf(tar.bytes + 148, 8, "%06o", sum);
	refused("negative size", "", &tar, MIB(1));
	buf_free(&tar);
	cr_assert_eq(mkfifo(world_path(&w, "bad.fifo"), 0600), 0);
	expect(ERR_INPUT, read_package("bad.fifo", "out", 1)); /* and does not wait for a writer */
	expect(ERR_NOTFOUND, read_package("none.tar", "out", 1));
}
