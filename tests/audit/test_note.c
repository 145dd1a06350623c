#include "audit/audit.h"
#include "audit/note.h"
#include "audit/tile.h"
#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

static void read_vector(const char *name, struct buf *out)
{
	char path[128];
	struct err e = { 0 };

	snprintf(path, sizeof(path), "tests/vectors/tlog/%s", name);
	cr_assert_eq(file_read(path, MIB(1), out, &e), 0, "missing vector: %s", e.text);
}

Test(audit_note, published_verifier_keys_satisfy_the_key_id_rule)
{
	static const struct {
		const char *vkey;
		int rc;
	} rows[] = {
		{ "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", 0 },
		{ "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n", 0 },
		{ "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", 0 },
		{ "sum.golang.orh+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
		  ERR_INPUT },
		{ "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
		  ERR_INPUT },
		{ "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
		  ERR_INPUT },
		{ "sum.golang.org+33de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
		  ERR_INPUT },
		{ "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn",
		  ERR_INPUT },
		{ "sum golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
		  ERR_INPUT },
		{ "+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", ERR_INPUT },
		{ "sum.golang.org+033de0ae", ERR_INPUT },
		{ "sum.golang.org+033de0ae+", ERR_INPUT },
		{ "sum.golang.org", ERR_INPUT },
		{ "", ERR_INPUT },
		{ "a+00000000+BAAA", ERR_UNSUPPORTED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct note_key key;
		cr_expect_eq(audit_note_key_parse(rows[i].vkey, &key, NULL), rows[i].rc, "row %zu",
			     i);
	}
}

Test(audit_note, golden_checkpoint_opens_and_every_changed_bit_closes_it)
{
	struct buf note = { 0 }, vkey = { 0 }, text = { 0 };
	struct checkpoint c;

	read_vector("log5/checkpoint", &note);
	read_vector("log5.vkey", &vkey);
	cr_assert_eq(audit_checkpoint_open(note.bytes, note.len, vkey.bytes, &c, NULL), 0);
	cr_expect_eq(c.size, 5);
	cr_expect_str_eq(c.origin, "log.hallmark.example/golden");
	for (size_t i = 0; i < note.len * 8; i++) {
		note.bytes[i / 8] = (char)(note.bytes[i / 8] ^ 1 << i % 8);
		cr_expect_lt(audit_checkpoint_open(note.bytes, note.len, vkey.bytes, &c, NULL), 0,
			     "bit %zu", i);
		note.bytes[i / 8] = (char)(note.bytes[i / 8] ^ 1 << i % 8);
	}
	for (size_t n = 0; n < note.len; n++)
		cr_expect_lt(audit_note_open(note.bytes, n, vkey.bytes, &text, NULL), 0,
			     "cut at %zu", n);
	buf_free(&note);
	buf_free(&vkey);
	buf_free(&text);
}

#define LINE_OTHER "\xe2\x80\x94 someone.example AAAAAAAA\n"

Test(audit_note, lines_of_others_are_passed_over_and_malformed_ones_refuse)
{
	static const struct {
		const char *line;
		int rc;
	} rows[] = {
		{ LINE_OTHER, 0 },
		{ "\xe2\x80\x94 log.hallmark.example/golden AAAAAAAAAAAA\n",
		  0 }, /* our name, another key id */
		{ "- someone.example AAAAAAAA\n", ERR_INPUT },
		{ "\xe2\x80\x94 someone.example AAAAAAA\n", ERR_INPUT },
		{ "\xe2\x80\x94 someone.example  AAAAAAAA\n", ERR_INPUT },
		{ "\xe2\x80\x94 someone+example AAAAAAAA\n", ERR_INPUT },
		{ "\xe2\x80\x94 someone.example\n", ERR_INPUT },
		{ "\xe2\x80\x94 someone.example AAAA\n", ERR_INPUT },
		{ "\xe2\x80\x94 someone.example AAAAAAAA\r\n", ERR_INPUT },
		{ "\xe2\x80\x94 log.hallmark.example/golden HTh2nuLfDs0=\n",
		  ERR_VERIFY }, /* ours, and wrong */
		{ "x", ERR_INPUT },
		{ "\n", ERR_INPUT },
	};
	struct buf golden = { 0 }, vkey = { 0 };

	read_vector("log5/checkpoint", &golden);
	read_vector("log5.vkey", &vkey);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buf note = { 0 }, text = { 0 };
		struct err e = { 0 };
		buf_add(&note, golden.bytes, golden.len);
		buf_add_text(&note, rows[i].line);
		cr_expect_eq(audit_note_open(note.bytes, note.len, vkey.bytes, &text, &e),
			     rows[i].rc, "row %zu: %s", i, e.text);
		buf_free(&note);
		buf_free(&text);
	}
	for (int lines = 15; lines <= 105; lines += 84) {
		struct buf note = { 0 }, text = { 0 };
		buf_add(&note, golden.bytes, golden.len);
		for (int i = 0; i < lines; i++)
			buf_add_text(&note, LINE_OTHER);
		cr_expect_eq(audit_note_open(note.bytes, note.len, vkey.bytes, &text, NULL),
			     lines < 100 ? 0 : ERR_INPUT);
		buf_free(&note);
		buf_free(&text);
	}
	buf_free(&golden);
	buf_free(&vkey);
}

Test(audit_note, checkpoint_bodies_are_read_strictly)
{
#define ROOT "z0Byxnhwyz7kpBUP0J5NB4BHOSq3I6HtvEOhOSsvqFo=\n"
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
		{ "o\n5\n" ROOT, 0 },
		{ "o\n0\n" ROOT, 0 },
		{ "o\n9223372036854775807\n" ROOT, 0 },
		{ "o\n9223372036854775808\n" ROOT, ERR_INPUT },
		{ "o\n05\n" ROOT, ERR_INPUT },
		{ "o\n+5\n" ROOT, ERR_INPUT },
		{ "o\n\n" ROOT, ERR_INPUT },
		{ "\n5\n" ROOT, ERR_INPUT },
		{ "o\n5\nAAAA\n", ERR_INPUT },
		{ "o\n5\n", ERR_INPUT },
		{ "o\n5\nz0Byxnhwyz7kpBUP0J5NB4BHOSq3I6HtvEOhOSsvqFo=", ERR_INPUT },
		{ "o\n5\n" ROOT "extension\n", 0 },
		{ "o\n5\n" ROOT "\n", ERR_INPUT },
		{ "o\n5\n" ROOT "extension", ERR_INPUT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct checkpoint c;
		cr_expect_eq(audit_checkpoint_parse(rows[i].text, strlen(rows[i].text), &c, NULL),
			     rows[i].rc, "row %zu", i);
	}
}

/* ---- tiles ---- */

Test(audit_tile, paths_are_those_of_the_specification)
{
	static const struct {
		struct tile t;
		const char *path;
	} rows[] = {
		{ { 0, 1234067, 256 }, "tile/0/x001/x234/067" },
		{ { 0, 0, 256 }, "tile/0/000" },
		{ { 1, 999, 1 }, "tile/1/999.p/1" },
		{ { 2, 1000, 255 }, "tile/2/x001/000.p/255" },
		{ { TILE_ENTRIES, 5, 256 }, "tile/entries/005" },
		{ { TILE_ENTRIES, 70000, 17 }, "tile/entries/x070/000.p/17" },
	};
	static const char *const wrong[] = {
		"tile/0/x000/067",
		"tile/0/67",
		"tile/0/0067",
		"tile/0/000.p/0",
		"tile/0/000.p/256",
		"tile/0/000.p/01",
		"tile/8/000",
		"tile/x/000",
		"tile/0/000.p",
		"tile/0/000/",
		"tile/0/",
		"tile/0/x001",
		"tile/entries/0a0",
		"tile/0/000.p/5.tmp-00",
		"entries/000",
		"",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char path[TILE_PATH_ROOM];
		struct tile t;
		audit_tile_path(&rows[i].t, path);
		cr_expect_str_eq(path, rows[i].path);
		cr_assert(audit_tile_path_parse(path, &t), "%s", path);
		cr_expect(t.level == rows[i].t.level && t.n == rows[i].t.n &&
			  t.width == rows[i].t.width);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct tile t;
		cr_expect_not(audit_tile_path_parse(wrong[i], &t), "%s", wrong[i]);
	}
}

Test(audit_tile, size_70000_has_the_tiles_of_the_specification)
{
	static const struct {
		int level;
		uint64_t n;
		unsigned width;
	} rows[] = { { 0, 272, 256 }, { 0, 273, 112 }, { 0, 274, 0 },
		     { 1, 0, 256 },   { 1, 1, 17 },    { 1, 2, 0 },
		     { 2, 0, 1 },     { 2, 1, 0 },     { TILE_ENTRIES, 273, 112 },
		     { 3, 0, 0 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(audit_tile_width(70000, rows[i].level, rows[i].n), rows[i].width,
			     "row %zu", i);
}

Test(audit_tile, golden_log_has_its_signed_root)
{
	struct buf note = { 0 }, vkey = { 0 };
	struct checkpoint c;
	struct digest root;
	struct tile_nodes nodes = { .dir = "tests/vectors/tlog/log5", .size = 5 };
	struct tree_reader reader = audit_tile_nodes_reader(&nodes);
	struct err e = { 0 };

	read_vector("log5/checkpoint", &note);
	read_vector("log5.vkey", &vkey);
	cr_assert_eq(audit_checkpoint_open(note.bytes, note.len, vkey.bytes, &c, NULL), 0);
	cr_assert_eq(audit_tile_check_bundle(nodes.dir, 5, 0, &e), 0, "%s", e.text);
	cr_assert_eq(audit_tile_edge_root(nodes.dir, 5, &root, &e), 0, "%s", e.text);
	cr_expect(digest_equal(&root, &c.root));
	cr_assert_eq(audit_tree_root(&reader, 5, &root, &e), 0);
	cr_expect(digest_equal(&root, &c.root));
	audit_tile_nodes_close(&nodes);
	buf_free(&note);
	buf_free(&vkey);
}
