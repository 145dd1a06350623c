/* Properties of manifests as they are made and loaded. */
#include "support.h"

#include "base/file.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct world w;
static struct signing_manifest m;

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

TestSuite(signing_manifest, .init = set_up, .fini = tear_down);

static const struct signing_file *find(const char *name)
{
	for (size_t i = 0; i < m.file_count; i++)
		if (strcmp(m.file[i].name, name) == 0)
			return &m.file[i];
	return NULL;
}

Test(signing_manifest, files_are_sorted_by_bytes_and_complete)
{
	static const char *const names[] = {
		"a-b",
		"a.b",
		"a/b",
		"big.bin",
		"config.json",
		"empty",
		"hallmark.chunks",
		"hallmark.tensors",
		"sub/small.bin",
		"\xe6\xa8\xa1\xe5\x9e\x8b.bin",
	};
	cr_assert_eq(m.file_count, sizeof names / sizeof *names);
	for (size_t i = 0; i < m.file_count; i++)
		cr_assert_str_eq(m.file[i].name, names[i]);
	cr_assert_str_eq(m.model_name, "model");
}

Test(signing_manifest, root_and_digests_are_those_of_the_files)
{
	uint8_t all[32 * 16];
	for (size_t i = 0; i < m.file_count; i++) {
		struct buf text = { 0 };
		char name[128];
		snprintf(name, sizeof name, "model/%s", m.file[i].name);
		read_whole(world_path(&w, name), &text);
		struct digest d = digest_of(text.bytes, text.len);
		cr_assert(digest_equal(&d, &m.file[i].digest), "%s", name);
		cr_assert_eq(m.file[i].bytes, text.len);
		memcpy(all + 32 * i, d.bytes, 32);
		buf_free(&text);
	}
	struct digest root = digest_of(all, 32 * m.file_count);
	cr_assert(digest_equal(&root, &m.root));
}

/* RFC 6962 spelled out: split at the largest power of two below n. Test code, three leaves deep at most. */
static struct digest naive(const uint8_t *bytes, size_t len)
{
	if (len <= CHUNK)
		return digest_tagged(0, bytes, len, NULL, 0);
	size_t chunks = (len + CHUNK - 1) / CHUNK, half = 1;
	while (half * 2 < chunks)
		half *= 2;
	struct digest left = naive(bytes, half * CHUNK),
		      right = naive(bytes + half * CHUNK, len - half * CHUNK);
	return digest_tagged(1, left.bytes, 32, right.bytes, 32);
}

Test(signing_manifest, chunk_roots_equal_a_naive_tree)
{
	static const size_t lengths[] = { CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1, 4 * CHUNK + 5 };
	uint8_t *bytes = malloc(4 * CHUNK + 5);
	struct err e = { 0 };
	cr_assert_not_null(bytes);
	for (size_t i = 0; i < 4 * CHUNK + 5; i++)
		bytes[i] = world_byte(i);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct signing_manifest one;
		char dir[128];
		world_write(&w, "one/f", bytes, lengths[i]);
		snprintf(dir, sizeof dir, "%s", world_path(&w, "one"));
		expect(0, make_folder(&one, dir, NULL, 0, &e));
		struct digest root = naive(bytes, lengths[i]);
		cr_assert_str_eq(one.file[0].name, "f");
		cr_assert(one.file[0].has_chunks && digest_equal(&root, &one.file[0].chunk_root), "%zu",
			  lengths[i]);
		signing_manifest_free(&one);
	}
	free(bytes);
	const struct signing_file *small = find("sub/small.bin");
	cr_assert(!small->has_chunks && small->leaf == NULL);
}

Test(signing_manifest, tensor_digests_are_those_of_their_ranges)
{
	struct buf text = { 0 };
	cr_assert_eq(m.tensor_count, world_range_count);
	for (size_t i = 0; i < m.tensor_count; i++) {
		const struct signing_tensor *t = &m.tensor[i];
		char name[128];
		snprintf(name, sizeof name, "model/%s", t->file);
		buf_clear(&text);
		read_whole(world_path(&w, name), &text);
		struct digest d = digest_of(text.bytes + t->begin, t->bytes);
		cr_assert(digest_equal(&d, &t->digest), "%s", t->name);
		cr_assert(i == 0 || strcmp(m.tensor[i - 1].name, t->name) < 0);
	}
	cr_assert(find("big.bin")->has_tensors && find("big.bin")->tensor_count == 3);
	buf_free(&text);
}

static int load(struct signing_manifest *into, struct err *e)
{
	struct source *s = NULL;
	TRY(source_open_tree(&s, w.model, e));
	int rc = signing_manifest_load(into, s, e);
	source_close(s);
	return rc;
}

Test(signing_manifest, read_back_equals_what_was_signed)
{
	struct err e = { 0 };
	struct buf sig = { 0 };
	struct signing_manifest again;
	read_whole(world_path(&w, "model/model.sig"), &sig);
	expect(0, signing_bundle_open(sig.bytes, sig.len, signing_identity_public(w.id), &again, &e));
	expect(0, load(&again, &e));
	cr_assert(digest_equal(&again.root, &m.root) && again.file_count == m.file_count);
	cr_assert_eq(again.tensor_count, m.tensor_count);
	for (size_t i = 0; i < m.file_count; i++) {
		cr_assert_str_eq(again.file[i].name, m.file[i].name);
		cr_assert(again.file[i].has_bytes && again.file[i].bytes == m.file[i].bytes,
			  "%s states its size", m.file[i].name);
		cr_assert(digest_equal(&again.file[i].digest, &m.file[i].digest));
		cr_assert_eq(again.file[i].chunk_count, m.file[i].chunk_count);
		if (m.file[i].chunk_count)
			cr_assert_arr_eq(again.file[i].leaf, m.file[i].leaf, 32 * m.file[i].chunk_count);
	}
	for (size_t i = 0; i < m.tensor_count; i++) {
		cr_assert_str_eq(again.tensor[i].name, m.tensor[i].name);
		cr_assert_str_eq(again.tensor[i].dtype, m.tensor[i].dtype);
		cr_assert_eq(again.tensor[i].rank, m.tensor[i].rank);
		cr_assert_arr_eq(again.tensor[i].shape, m.tensor[i].shape, sizeof m.tensor[i].shape);
		cr_assert(digest_equal(&again.tensor[i].digest, &m.tensor[i].digest));
	}
	signing_manifest_free(&again);
	buf_free(&sig);
}

Test(signing_manifest, signing_again_gives_the_same_statement)
{
	struct err e = { 0 };
	struct signing_manifest again;
	world_text(&w, "model/.git/config", "version control is not part of the model");
	expect(0, make_folder(&again, w.model, world_ranges, world_range_count, &e));
	cr_assert_eq(again.payload.len, m.payload.len);
	cr_assert_arr_eq(again.payload.bytes, m.payload.bytes, m.payload.len);
	signing_manifest_free(&again);
}

/* A release, the same files without what signing adds, and its package have one name. */
Test(signing_manifest, root_is_the_same_before_and_after_signing)
{
	struct err e = { 0 };
	struct digest root;
	struct source *s = NULL;
	expect(0, source_open_tree(&s, w.model, &e));
	expect(0, signing_root_of(s, world_ranges, world_range_count, &root, &e));
	cr_assert(digest_equal(&root, &m.root));
	static const char *const own[] = { SIGNING_BUNDLE, SIGNING_CHUNKS, SIGNING_TENSORS };
	for (size_t i = 0; i < 3; i++) {
		char name[64];
		snprintf(name, sizeof name, "model/%s", own[i]);
		cr_assert_eq(unlink(world_path(&w, name)), 0);
	}
	expect(0, signing_root_of(s, world_ranges, world_range_count, &root, &e));
	cr_assert(digest_equal(&root, &m.root));
	cr_assert_neq(access(world_path(&w, "model/" SIGNING_CHUNKS), F_OK), 0, "nothing is written");
	world_text(&w, "model/a-b", "changed");
	source_close(s);
	expect(0, source_open_tree(&s, w.model, &e));
	expect(0, signing_root_of(s, world_ranges, world_range_count, &root, &e));
	cr_assert(!digest_equal(&root, &m.root));
	source_close(s);
}

/* Every changed byte of hallmark.chunks and hallmark.tensors is noticed before it is used. */
Test(signing_manifest, own_files_are_compared_before_they_are_used)
{
	static const char *const names[] = { "model/hallmark.chunks", "model/hallmark.tensors" };
	struct err e = { 0 };
	for (size_t n = 0; n < 2; n++) {
		uint64_t bytes;
		expect(0, file_size(world_path(&w, names[n]), &bytes, &e));
		for (uint64_t i = 0; i < bytes; i++) {
			world_flip(&w, names[n], i);
			expect(ERR_VERIFY, load(&m, &e));
			world_flip(&w, names[n], i);
		}
	}
	expect(0, load(&m, &e));
}

static int make(const struct signing_range *range, size_t count, struct err *e)
{
	struct signing_manifest again;
	int result = make_folder(&again, w.model, range, count, e);
	if (result == 0)
		signing_manifest_free(&again);
	return result;
}

Test(signing_manifest, bad_ranges_are_refused)
{
	static const uint64_t shape[9] = { 1 };
	static const struct {
		const char *row;
		struct signing_range range[2];
	} rows[] = {
		{ "overlap",
		  { { "a", "U8", "big.bin", shape, 1, 0, 10 }, { "b", "U8", "big.bin", shape, 1, 9, 10 } } },
		{ "same name",
		  { { "a", "U8", "big.bin", shape, 1, 0, 10 }, { "a", "U8", "big.bin", shape, 1, 10, 10 } } },
		{ "beyond the file",
		  { { "a", "U8", "big.bin", shape, 1, BIG_BYTES, 1 },
		    { "b", "U8", "big.bin", shape, 1, 0, 1 } } },
		{ "overflow",
		  { { "a", "U8", "big.bin", shape, 1, UINT64_MAX, 2 },
		    { "b", "U8", "big.bin", shape, 1, 0, 1 } } },
		{ "no such file",
		  { { "a", "U8", "none", shape, 1, 0, 1 }, { "b", "U8", "big.bin", shape, 1, 0, 1 } } },
		{ "rank",
		  { { "a", "U8", "big.bin", shape, 9, 0, 1 }, { "b", "U8", "big.bin", shape, 1, 2, 1 } } },
		{ "empty name",
		  { { "", "U8", "big.bin", shape, 1, 0, 1 }, { "b", "U8", "big.bin", shape, 1, 2, 1 } } },
	};
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int result = make(rows[i].range, 2, &e);
		cr_assert_eq(result, ERR_INPUT, "%s: %d", rows[i].row, result);
	}
}

Test(signing_manifest, folders_that_cannot_be_signed_are_refused)
{
	struct err e = { 0 };
	cr_assert_eq(symlink("a-b", world_path(&w, "model/link")), 0);
	expect(ERR_UNSUPPORTED, make(NULL, 0, &e));
	cr_expect(strstr(e.text, "link: ") && strstr(e.text, "cp -rL"), "%s", e.text);
	cr_assert_eq(unlink(w.path), 0);
	cr_assert_eq(mkfifo(world_path(&w, "model/fifo"), 0600), 0);
	expect(ERR_INPUT, make(NULL, 0, &e));
	cr_assert_eq(unlink(w.path), 0);
	static const char *const names[] = {
		"model/A-B",       "model/A/c",       "model/HALLMARK.chunks",
		"model/Model.Sig", "model/new\nline", "model/bad\xff",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		world_text(&w, names[i], "x");
		cr_assert_eq(make(NULL, 0, &e), ERR_INPUT, "%s", names[i]);
		cr_assert_eq(unlink(world_path(&w, names[i])), 0);
	}
	cr_assert_eq(rmdir(world_path(&w, "model/A")), 0);
	world_text(&w, "model/e\xcc\x81", "decomposed");
	world_text(&w, "model/\xc3\xa9", "composed");
	expect(ERR_INPUT, make(NULL, 0, &e));
	cr_assert_eq(unlink(w.path), 0);
	expect(0, make(NULL, 0, &e));
}
