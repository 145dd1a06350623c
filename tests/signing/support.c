#include "support.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct env world_env(struct world *w)
{
	struct env env = env_system();
	env.clock = clock_fixed(&w->time_us);
	env.random = random_seeded(&w->seed);
	return env;
}

void world_open(struct world *w)
{
	struct err e = { 0 };
	memset(w, 0, sizeof *w);
	snprintf(w->dir, sizeof w->dir, "/tmp/hallmark-test-XXXXXX");
	cr_assert_not_null(mkdtemp(w->dir));
	snprintf(w->model, sizeof w->model, "%s/model", w->dir);
	w->time_us = 1700000000000000;
	w->seed.seed[0] = 7;
	w->env = world_env(w);
	expect(0, signing_identity_create(world_path(w, "keys"), "k", NULL, &w->env, &e));
	expect(0, signing_identity_open(&w->id, world_path(w, "keys"), "k", NULL, &e));
}

void world_close(struct world *w)
{
	signing_identity_close(w->id);
	cr_assert_eq(file_remove_tree(w->dir, NULL), 0);
}

const char *world_path(struct world *w, const char *name)
{
	snprintf(w->path, sizeof w->path, "%s/%s", w->dir, name);
	return w->path;
}

void world_write(struct world *w, const char *name, const void *bytes, size_t len)
{
	struct err e = { 0 };
	char folder[4200];
	snprintf(folder, sizeof folder, "%s", world_path(w, name));
	*strrchr(folder, '/') = '\0';
	expect(0, file_make_dirs(folder, 0755, &e));
	FILE *f = fopen(w->path, "wb");
	cr_assert_not_null(f, "%s", w->path);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

void world_text(struct world *w, const char *name, const char *text)
{
	world_write(w, name, text, strlen(text));
}

void world_flip(struct world *w, const char *name, uint64_t offset)
{
	FILE *f = fopen(world_path(w, name), "r+b");
	cr_assert_not_null(f, "%s", w->path);
	cr_assert_eq(fseek(f, (long)offset, SEEK_SET), 0);
	int c = fgetc(f);
	cr_assert_neq(c, EOF);
	cr_assert_eq(fseek(f, (long)offset, SEEK_SET), 0);
	cr_assert_neq(fputc(c ^ 1, f), EOF);
	cr_assert_eq(fclose(f), 0);
}

uint8_t world_byte(uint64_t i) { return (uint8_t)((i * 0x9e3779b97f4a7c15u) >> 56); }

static const uint64_t shape_a[] = { 1000, 3000 }, shape_b[] = { 2, 3, 5 }, shape_s[] = { 64 };
const struct signing_range world_ranges[] = {
	{ "model.b", "U8", "big.bin", shape_b, 3, 3500000, BIG_BYTES - 3500000 },
	{ "model.a", "U8", "big.bin", shape_a, 2, 128, 3000000 },
	{ "model.none", "F32", "big.bin", shape_a, 0, 3200000, 0 },
	{ "small.weight", "U8", "sub/small.bin", shape_s, 1, 16, 64 },
};
const size_t world_range_count = sizeof world_ranges / sizeof *world_ranges;

void world_model(struct world *w)
{
	uint8_t *big = malloc(BIG_BYTES);
	cr_assert_not_null(big);
	for (uint64_t i = 0; i < BIG_BYTES; i++)
		big[i] = world_byte(i);
	world_write(w, "model/big.bin", big, BIG_BYTES);
	world_write(w, "model/sub/small.bin", big, 100);
	free(big);
	world_text(w, "model/a/b", "one");
	world_text(w, "model/a-b", "two");
	world_text(w, "model/a.b", "three");
	world_text(w, "model/config.json", "{}");
	world_text(w, "model/empty", "");
	world_text(w, "model/\xe6\xa8\xa1\xe5\x9e\x8b.bin", "four");
}

int make_folder(struct signing_manifest *m, const char *dir, const struct signing_range *range, size_t ranges,
		struct err *e)
{
	struct source *s = NULL;
	TRY(source_open_tree(&s, dir, e));
	int rc = signing_manifest_make(
		m, &(struct signing_making){ s, strrchr(dir, '/') + 1, dir, range, ranges, .quiet = true }, e);
	source_close(s);
	return rc;
}

int check_folder(struct signing_report *r, const struct signing_manifest *m, const char *dir, unsigned flags,
		 struct err *e)
{
	struct source *s = NULL;
	TRY(source_open_tree(&s, dir, e));
	int rc = signing_manifest_check(r, m, s, flags | SIGNING_QUIET, e);
	source_close(s);
	return rc;
}

void world_sign(struct world *w, struct signing_manifest *m)
{
	struct err e = { 0 };
	struct buf sig = { 0 };
	expect(0, make_folder(m, w->model, world_ranges, world_range_count, &e));
	expect(0, signing_bundle_make(w->id, m, &sig, &e));
	world_write(w, "model/" SIGNING_BUNDLE, sig.bytes, sig.len);
	buf_free(&sig);
}

void read_whole(const char *path, struct buf *b)
{
	struct err e = { 0 };
	expect(0, file_read(path, MIB(64), b, &e));
}

json_t *read_json_xz(const char *path)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry = NULL;
	struct buf text = { 0 };
	struct err e = { 0 };
	json_t *out = NULL;
	archive_read_support_filter_xz(a);
	archive_read_support_format_raw(a);
	cr_assert_eq(archive_read_open_filename(a, path, 1 << 16), ARCHIVE_OK, "%s", path);
	cr_assert_eq(archive_read_next_header(a, &entry), ARCHIVE_OK, "%s", path);
	for (;;) {
		char *room = buf_reserve(&text, 1 << 16);
		cr_assert_not_null(room);
		la_ssize_t n = archive_read_data(a, room, 1 << 16);
		cr_assert_geq(n, 0, "%s", path);
		if (n == 0)
			break;
		text.len += (size_t)n;
	}
	archive_read_free(a);
	expect(0, json_read(&out, text.bytes, text.len, MIB(64), 32, &e));
	buf_free(&text);
	return out;
}

size_t unhex(const char *hex, uint8_t *out, size_t room)
{
	size_t len = strlen(hex) / 2;
	cr_assert_leq(len, room);
	cr_assert_eq(text_unhex(hex, len * 2, out, len), 0);
	return len;
}
