/* Packages read where they lie: what a tar file holds comes out; what could do harm is refused by name,
 * before a byte of content is read. */
#include "base/source.h"
#include "temp.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APART ".beside"

/* One ustar header and its content, padded; bytes: as the header states them. */
static void add_header(struct buf *tar, const char *name, char type, const char *link, uint64_t bytes)
{
	char head[512] = { 0 };
	unsigned sum = 0;
	memcpy(head, name, strlen(name) < 100 ? strlen(name) : 100);
	memcpy(head + 100, "0000644\0000000000\0000000000", 23);
	if (bytes < (uint64_t)1 << 33) {
		snprintf(head + 124, 12, "%011llo", (unsigned long long)bytes);
	} else {
		head[124] = '\x80'; /* base 256 */
		for (int i = 0; i < 8; i++)
			head[135 - i] = (char)(bytes >> 8 * i);
	}
	memcpy(head + 136, "00000000000", 11);
	memset(head + 148, ' ', 8);
	head[156] = type;
	memcpy(head + 157, link, strlen(link));
	memcpy(head + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof head; i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 8, "%06o", sum);
	buf_add(tar, head, sizeof head);
}

static void add(struct buf *tar, const char *name, char type, const char *link, const char *content)
{
	static const char pad[512] = { 0 };
	size_t len = content ? strlen(content) : 0;
	add_header(tar, name, type, link, len);
	buf_add(tar, content ? content : "", len);
	buf_add(tar, pad, (512 - len % 512) % 512);
}

static void end(struct buf *tar)
{
	static const char zeros[1024] = { 0 };
	buf_add(tar, zeros, sizeof zeros);
}

static int open_tar(struct temp *t, const struct buf *tar, struct source **s, struct source **beside,
		    struct err *e)
{
	cr_assert_eq(file_write_durable(temp_path(t, "p.tar"), tar->len ? tar->bytes : "", tar->len, 0600, NULL), 0);
	return source_open_package(s, beside, t->path, APART, e);
}

static void expect_file(struct source *s, const char *name, const char *content)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	cr_assert_eq(source_read_file(s, name, 1000, &b, &e), 0, "%s: %s", name, e.text);
	cr_expect(b.len == strlen(content) && memcmp(b.bytes ? b.bytes : "", content, b.len) == 0, "%s", name);
	buf_free(&b);
}

Test(base_package, files_are_read_where_they_lie)
{
	struct temp t;
	struct buf tar = { 0 };
	struct source *s = NULL, *beside = NULL;
	struct err e = { 0 };
	char out[8] = { 0 };
	uint64_t bytes = 0;
	temp_open(&t);
	add(&tar, "b", '0', "", "0123456789");
	add(&tar, "a/", '5', "", NULL);
	add(&tar, APART "/", '5', "", NULL);
	add(&tar, APART "/sub/c", '0', "", "y");
	add(&tar, "a/b", '0', "", "x");
	add(&tar, "a/", '5', "", NULL);
	add(&tar, ".beside-not", '0', "", "z");
	add(&tar, "\xc3\xa9", '0', "", "");
	end(&tar);
	cr_assert_eq(open_tar(&t, &tar, &s, &beside, &e), 0, "%s", e.text);
	static const char *const names[] = { ".beside-not", "a/b", "b", "\xc3\xa9" };
	for (size_t i = 0; i < 4; i++)
		cr_expect_str_eq(source_name(s, i), names[i]);
	cr_expect_null(source_name(s, 4));
	cr_expect_str_eq(source_name(beside, 0), "sub/c");
	cr_expect_null(source_name(beside, 1));
	expect_file(s, "b", "0123456789");
	expect_file(s, "a/b", "x");
	expect_file(s, "\xc3\xa9", "");
	expect_file(beside, "sub/c", "y");
	cr_expect(source_read(s, "b", 3, out, 4, NULL) == 0 && strcmp(out, "3456") == 0);
	cr_expect_eq(source_read(s, "b", 10, out, 0, NULL), 0);
	cr_expect_eq(source_read(s, "b", 7, out, 4, NULL), ERR_INPUT, "past the end");
	cr_expect_eq(source_read(s, "b", UINT64_MAX, out, 4, NULL), ERR_INPUT, "far past the end");
	cr_expect_eq(source_size(s, APART "/sub/c", &bytes, NULL), ERR_NOTFOUND);
	cr_expect_eq(source_size(s, "a", &bytes, NULL), ERR_NOTFOUND);
	cr_expect_not(s->verified);
	source_close(s);
	expect_file(beside, "sub/c", "y");
	source_close(beside);
	buf_free(&tar);
	temp_close(&t);
}

Test(base_package, nothing_beside_gives_no_second_source)
{
	struct temp t;
	struct buf tar = { 0 };
	struct source *s = NULL, *beside = NULL;
	struct err e = { 0 };
	temp_open(&t);
	add(&tar, APART "/", '5', "", NULL);
	add(&tar, "a", '0', "", "x");
	end(&tar);
	cr_assert_eq(open_tar(&t, &tar, &s, &beside, &e), 0, "%s", e.text);
	cr_expect_null(beside);
	source_close(s);
	buf_clear(&tar);
	add(&tar, APART "/a", '0', "", "x");
	end(&tar);
	cr_assert_eq(open_tar(&t, &tar, &s, &beside, &e), 0, "%s", e.text);
	cr_expect_null(source_name(s, 0));
	source_close(s);
	source_close(beside);
	cr_assert_eq(source_open_package(&s, NULL, t.path, NULL, &e), 0, "%s", e.text);
	expect_file(s, APART "/a", "x");
	source_close(s);
	buf_free(&tar);
	temp_close(&t);
}

/* Long names as GNU tar and as pax write them, and a size that only pax states. */
Test(base_package, extended_headers_are_understood)
{
	struct temp t;
	struct buf tar = { 0 };
	struct source *s = NULL, *beside = NULL;
	struct err e = { 0 };
	char name[241] = { 0 }, record[300];
	temp_open(&t);
	memset(name, 'n', 240);
	add(&tar, "././@LongLink", 'L', "", name);
	add(&tar, "short", '0', "", "gnu");
	snprintf(record, sizeof record, "250 path=%.240s\n", name);
	record[9] = 'p';
	add(&tar, "pax", 'x', "", record);
	add(&tar, "short", '0', "", "pax");
	add(&tar, "global", 'g', "", "20 comment=whatever\n");
	add(&tar, "pax", 'x', "", "10 size=4\n");
	add_header(&tar, "sized", '0', "", 0);
	buf_add(&tar, "four", 4);
	static const char pad[508] = { 0 };
	buf_add(&tar, pad, sizeof pad);
	add(&tar, "after", '0', "", "it");
	end(&tar);
	cr_assert_eq(open_tar(&t, &tar, &s, &beside, &e), 0, "%s", e.text);
	expect_file(s, name, "gnu");
	name[0] = 'p';
	expect_file(s, name, "pax");
	expect_file(s, "sized", "four");
	expect_file(s, "after", "it");
	source_close(s);
	buf_free(&tar);
	temp_close(&t);
}

/* 64 GiB of holes: the headers alone are read, and no copy is made anywhere. */
Test(base_package, a_huge_package_opens_by_its_headers)
{
	struct temp t;
	struct buf tar = { 0 };
	struct source *s = NULL, *beside = NULL;
	struct err e = { 0 };
	struct stat st;
	const uint64_t huge = (uint64_t)64 << 30;
	char last = 1;
	temp_open(&t);
	add_header(&tar, "huge", '0', "", huge);
	cr_assert_eq(file_write_durable(temp_path(&t, "p.tar"), tar.bytes, tar.len, 0600, NULL), 0);
	buf_clear(&tar);
	add(&tar, "small", '0', "", "x");
	end(&tar);
	FILE *f = fopen(t.path, "r+b");
	cr_assert_not_null(f);
	cr_assert_eq(fseeko(f, (off_t)(512 + huge), SEEK_SET), 0);
	cr_assert_eq(fwrite(tar.bytes, 1, tar.len, f), tar.len);
	cr_assert_eq(fclose(f), 0);
	cr_assert_eq(source_open_package(&s, &beside, t.path, APART, &e), 0, "%s", e.text);
	expect_file(s, "small", "x");
	cr_expect(source_read(s, "huge", huge - 1, &last, 1, &e) == 0 && last == 0);
	cr_expect(stat(t.path, &st) == 0 && st.st_blocks < 100);
	source_close(s);
	buf_free(&tar);
	temp_close(&t);
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
	{ "companion as a file", "a folder is expected", APART, '0', "", "x", NULL },
	{ "companion escape", "\"..\" component", APART "/../../a", '0', "", "x", NULL },
	{ "companion link", "a symbolic link", APART, '2', "/tmp", NULL, APART "/a" },
	{ "case twin of the companion", "differ only by case", APART "/a", '0', "", "x", ".BESIDE/b" },
	{ "pax absolute", "empty component", "pax", 'x', "", "16 path=/escape\n", "a" },
	{ "pax parent", "\"..\" component", "pax", 'x', "", "18 path=../escape\n", "a" },
	{ "pax link", "of an unknown kind", "pax", 'x', "", "24 linkpath=/etc/passwd\n", NULL },
	{ "GNU parent", "\"..\" component", "././@LongLink", 'L', "", "../escape", "a" },
	{ "GNU sparse 0.1", "sparse", "pax", 'x', "",
	  "27 GNU.sparse.size=1000000\n26 GNU.sparse.numblocks=1\n22 GNU.sparse.map=9,1\n", "a" },
	{ "GNU sparse 0.0", "sparse", "pax", 'x', "",
	  "27 GNU.sparse.size=1000000\n26 GNU.sparse.numblocks=1\n"
	  "23 GNU.sparse.offset=9\n25 GNU.sparse.numbytes=1\n",
	  "a" },
	{ "pax more bytes", "more bytes", "pax", 'x', "", "16 size=1000000\n", "a" },
};

static void refused_as(int wanted, struct temp *t, const char *row, const char *says,
		       const struct buf *tar)
{
	struct source *s = NULL, *beside = NULL;
	struct err e = { 0 };
	int rc = open_tar(t, tar, &s, &beside, &e);
	cr_assert_eq(rc, wanted, "%s: %d (%s)", row, rc, e.text);
	cr_assert_not_null(strstr(e.text, says), "%s: %s", row, e.text);
}

static void refused(struct temp *t, const char *row, const char *says, const struct buf *tar)
{
	refused_as(ERR_INPUT, t, row, says, tar);
}

Test(base_package, harmful_entries_are_refused_by_name)
{
	struct temp t;
	temp_open(&t);
	for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
		struct buf tar = { 0 };
		add(&tar, "first", '0', "", "fine");
		add(&tar, bads[i].name, bads[i].type, bads[i].link, bads[i].content);
		if (bads[i].second)
			add(&tar, bads[i].second, '0', "", "y");
		else if (bads[i].type == 'x')
			add(&tar, "l", '1', "", NULL);
		end(&tar);
		refused(&t, bads[i].row, bads[i].says, &tar);
		buf_free(&tar);
	}
	temp_close(&t);
}

/* Old GNU sparse files state their holes in the header itself. */
Test(base_package, an_old_sparse_entry_is_refused)
{
	struct temp t;
	struct buf tar = { 0 };
	char *head;
	unsigned sum = 0;
	temp_open(&t);
	add(&tar, "holes", 'S', "", "data");
	head = tar.bytes;
	memcpy(head + 257, "ustar  ", 8);
	memcpy(head + 386, "00000002000\0" "00000000004\0", 24);
	memcpy(head + 483, "00000002004\0", 12);
	memset(head + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 8, "%06o", sum);
	end(&tar);
	refused(&t, "old GNU sparse", "sparse", &tar);
	buf_free(&tar);
	temp_close(&t);
}

Test(base_package, published_traversal_archives_are_refused)
{
	static const char *const names[] = {
		"absolute1", "absolute2", "dirsymlink2a", "dirsymlink2b", "relative0", "relative2",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct source *s = NULL, *beside = NULL;
		struct err e = { 0 };
		char from[80];
		snprintf(from, sizeof from, "tests/vectors/tar-traversal/%s.tar", names[i]);
		cr_expect_eq(source_open_package(&s, &beside, from, APART, &e), ERR_INPUT, "%s", names[i]);
	}
}

Test(base_package, what_is_not_a_whole_tar_is_refused)
{
	static const char *const heads[][2] = {
		{ "", "" },        { "x", "" },
		{ "{}", "" },           { "\x1f\x8b\x08gzip", "a gzip file" },
		{ "BZh9", "a bzip2 file" }, { "\xfd" "7zXZ", "a xz file" },
		{ "\x28\xb5\x2f\xfd", "a zstd file" }, { "PK\x03\x04", "a zip file" },
	};
	static const char zeros[10240] = { 0 };
	struct temp t;
	struct buf tar = { 0 };
	struct source *s = NULL, *beside = NULL;
	struct err e = { 0 };
	temp_open(&t);
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		buf_clear(&tar);
		buf_add_text(&tar, heads[i][0]);
		refused_as(ERR_UNSUPPORTED, &t, heads[i][0], heads[i][1], &tar); /* no packages */
	}
	buf_clear(&tar);
	buf_add(&tar, zeros, sizeof zeros);
	refused_as(ERR_UNSUPPORTED, &t, "zeros", "empty", &tar);
	buf_clear(&tar);
	add(&tar, "a", '0', "", "content");
	tar.len -= 510; /* within the content */
	refused(&t, "cut off in the content", "more bytes", &tar);
	tar.len += 100; /* within the padding */
	refused(&t, "cut off in the padding", "", &tar);
	buf_clear(&tar);
	add(&tar, "a", '0', "", "content");
	tar.bytes[0] = 'b';
	refused(&t, "checksum", "", &tar);
	buf_clear(&tar);
	add_header(&tar, "a", '0', "", UINT64_MAX); /* negative */
	refused(&t, "negative size", "", &tar);
	buf_clear(&tar);
	add_header(&tar, "a", '0', "", (uint64_t)INT64_MAX);
	refused(&t, "largest size", "", &tar);
	buf_free(&tar);
	cr_assert_eq(mkfifo(temp_path(&t, "fifo"), 0600), 0);
	int fifo = source_open_package(&s, &beside, t.path, APART, &e);
	cr_expect_eq(fifo, ERR_UNSUPPORTED, "it waits for no writer");
	cr_expect_eq(source_open_package(&s, &beside, t.dir, APART, &e), ERR_UNSUPPORTED);
	cr_expect_eq(source_open_package(&s, &beside, temp_path(&t, "none"), APART, &e), ERR_NOTFOUND);
	temp_close(&t);
}

/* Two packages in one, or a note behind the end: nothing that lists a package would show it. */
Test(base_package, bytes_behind_the_end_are_refused)
{
	static const char zeros[10240] = { 0 };
	struct temp t;
	struct buf tar = { 0 };
	struct source *s = NULL, *beside = NULL;
	struct err e = { 0 };
	temp_open(&t);
	add(&tar, "a", '0', "", "content");
	end(&tar);
	buf_add(&tar, zeros, sizeof zeros); /* as tar pads */
	cr_assert_eq(open_tar(&t, &tar, &s, &beside, &e), 0, "%s", e.text);
	source_close(s);
	tar.bytes[tar.len - 1] = 'x';
	refused(&t, "a byte in the padding", "bytes behind its end marker", &tar);
	tar.bytes[tar.len - 1] = 0;
	add(&tar, "hidden", '0', "", "more");
	end(&tar);
	refused(&t, "a second archive", "bytes behind its end marker", &tar);
	buf_clear(&tar);
	add(&tar, "a", '0', "", "content");
	for (int i = 0; i < 120; i++)
		buf_add(&tar, zeros, sizeof zeros);
	refused(&t, "a megabyte of nothing", "bytes behind the last entry", &tar);
	buf_free(&tar);
	temp_close(&t);
}
