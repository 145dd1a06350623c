/* The verified source hands out the folder's bytes, and only those that were signed. */
#include "support.h"

#include "base/file.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct world w;
static struct signing_manifest m;
static struct source *under; /* of the model's folder, until the next one */
static struct err e;

static void set_up(void)
{
	world_open(&w);
	world_model(&w);
	world_sign(&w, &m);
}

static void tear_down(void)
{
	source_close(under);
	signing_manifest_free(&m);
	world_close(&w);
}

TestSuite(signing_source, .init = set_up, .fini = tear_down);

static int open_model(struct source **s, const struct signing_manifest *of)
{
	source_close(under);
	under = NULL;
	TRY(source_open_tree(&under, w.model, &e));
	return signing_source_open(s, of, under, &e);
}

/* Reads at, before and across each border. */
static const struct {
	uint64_t offset;
	size_t len;
} reads[] = {
	{ 0, 0 },
	{ 0, 1 },
	{ 0, CHUNK },
	{ 0, CHUNK - 1 },
	{ 0, CHUNK + 1 },
	{ CHUNK - 1, 1 },
	{ CHUNK - 1, 2 },
	{ CHUNK, 1 },
	{ CHUNK, CHUNK },
	{ CHUNK + 1, CHUNK - 1 },
	{ CHUNK + 1, CHUNK },
	{ CHUNK - 5, CHUNK + 10 },
	{ 0, BIG_BYTES },
	{ 2 * CHUNK, 1234 },
	{ 2 * CHUNK - 7, 1241 },
	{ BIG_BYTES - 1, 1 },
	{ BIG_BYTES, 0 },
	{ 1000, 3 },
	{ 2 * CHUNK + 1233, 1 },
};
#define READS (sizeof reads / sizeof *reads)

static bool right(const uint8_t *bytes, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != world_byte(offset + i))
			return false;
	return true;
}

static void read_everything(struct source *s, uint8_t *room)
{
	for (size_t i = 0; i < READS; i++) {
		memset(room, 0, reads[i].len);
		expect(0, source_read(s, "big.bin", reads[i].offset, room, reads[i].len, &e));
		cr_assert(right(room, reads[i].offset, reads[i].len), "read %zu", i);
	}
}

Test(signing_source, reads_equal_the_files)
{
	struct source *s = NULL;
	uint64_t bytes;
	uint8_t *room = malloc(BIG_BYTES + 1);
	expect(0, open_model(&s, &m));
	cr_assert(s->verified);
	read_everything(s, room);
	expect(0, source_size(s, "big.bin", &bytes, &e));
	cr_assert_eq(bytes, BIG_BYTES);
	expect(0, source_size(s, "empty", &bytes, &e));
	cr_assert_eq(bytes, 0u);
	expect(0, source_read(s, "a/b", 1, room, 2, &e));
	cr_assert_arr_eq(room, "ne", 2);
	for (size_t i = 0; i < m.file_count; i++)
		cr_assert_str_eq(source_name(s, i), m.file[i].name);
	cr_assert_null(source_name(s, m.file_count));
	expect(ERR_INPUT, source_read(s, "big.bin", BIG_BYTES, room, 1, &e));
	expect(ERR_INPUT, source_read(s, "big.bin", UINT64_MAX, room, 2, &e));
	expect(ERR_NOTFOUND, source_size(s, "model.sig", &bytes, &e));
	expect(ERR_NOTFOUND, source_size(s, "../keys/k.key", &bytes, &e));
	source_close(s);
	free(room);
}

static bool touches(size_t i, uint64_t offset)
{
	uint64_t chunk = offset / CHUNK;
	return reads[i].len && reads[i].offset / CHUNK <= chunk &&
	       (reads[i].offset + reads[i].len - 1) / CHUNK >= chunk;
}

Test(signing_source, a_flipped_byte_fails_exactly_the_reads_of_its_chunk)
{
	static const uint64_t flips[] = { 0, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, BIG_BYTES - 1 };
	uint8_t *room = malloc(BIG_BYTES);
	for (size_t f = 0; f < sizeof flips / sizeof *flips; f++) {
		struct source *s = NULL;
		world_flip(&w, "model/big.bin", flips[f]);
		expect(0, open_model(&s, &m));
		for (size_t twice = 0; twice < 2; twice++)
			for (size_t i = 0; i < READS; i++) {
				int result =
					source_read(s, "big.bin", reads[i].offset, room, reads[i].len, &e);
				cr_assert_eq(result, touches(i, flips[f]) ? ERR_VERIFY : 0,
					     "flip %zu, read %zu: %d", f, i, result);
				cr_assert(result < 0 || right(room, reads[i].offset, reads[i].len));
			}
		source_close(s);
		world_flip(&w, "model/big.bin", flips[f]);
	}
	free(room);
}

Test(signing_source, small_files_fail_whole_and_own_files_at_open)
{
	struct source *s = NULL;
	uint8_t room[4];
	world_flip(&w, "model/a/b", 2);
	expect(0, open_model(&s, &m));
	expect(ERR_VERIFY, source_read(s, "a/b", 0, room, 1, &e));
	expect(ERR_VERIFY, source_read(s, "a/b", 0, room, 1, &e));
	cr_assert_eq(unlink(world_path(&w, "model/a-b")), 0);
	expect(ERR_VERIFY, source_read(s, "a-b", 0, room, 1, &e));
	cr_assert_eq(truncate(world_path(&w, "model/big.bin"), BIG_BYTES - 1), 0);
	expect(ERR_VERIFY, source_read(s, "big.bin", 0, room, 1, &e));
	source_close(s);
	world_flip(&w, "model/hallmark.chunks", 60);
	expect(ERR_VERIFY, open_model(&s, &m));
}

/* A release of another signer has no chunk tree: the file is compared whole, and a failure stays. */
Test(signing_source, large_files_without_a_tree_are_compared_whole)
{
	struct signing_manifest plain = m;
	struct signing_file file[1];
	struct source *s = NULL;
	uint8_t *room = malloc(BIG_BYTES);
	for (size_t i = 0; i < m.file_count; i++)
		if (strcmp(m.file[i].name, "big.bin") == 0)
			file[0] = (struct signing_file){ .name = m.file[i].name, .digest = m.file[i].digest };
	plain.file = file;
	plain.file_count = 1;
	expect(0, open_model(&s, &plain));
	read_everything(s, room);
	world_flip(&w, "model/big.bin", CHUNK + 9); /* after the first use: the chunk's leaf is known */
	expect(ERR_VERIFY, source_read(s, "big.bin", CHUNK, room, CHUNK, &e));
	source_close(s);
	expect(0, open_model(&s, &plain));
	for (int again = 0; again < 3; again++)
		expect(ERR_VERIFY, source_read(s, "big.bin", CHUNK, room, CHUNK, &e));
	source_close(s);
	free(room);
}

struct job {
	struct source *source;
	unsigned seed;
	size_t wrong, failed;
};

static void *run(void *arg)
{
	struct job *j = arg;
	uint8_t *room = malloc(CHUNK + 100);
	uint32_t x = j->seed;
	for (int i = 0; i < 60; i++) {
		x = x * 1664525u + 1013904223u;
		size_t len = 1 + (x >> 8) % (i % 8 ? 3000 : CHUNK + 99);
		uint64_t offset = (uint64_t)x * 977 % (BIG_BYTES - len);
		if (source_read(j->source, "big.bin", offset, room, len, NULL) < 0)
			j->failed++;
		else if (!right(room, offset, len))
			j->wrong++;
	}
	free(room);
	return NULL;
}

Test(signing_source, concurrent_readers_get_the_right_bytes)
{
	struct source *s = NULL;
	struct job job[12];
	pthread_t thread[12];
	expect(0, open_model(&s, &m));
	for (unsigned i = 0; i < 12; i++) {
		job[i] = (struct job){ s, i * 77 + 1, 0, 0 };
		cr_assert_eq(pthread_create(&thread[i], NULL, run, &job[i]), 0);
	}
	for (unsigned i = 0; i < 12; i++) {
		cr_assert_eq(pthread_join(thread[i], NULL), 0);
		cr_assert(job[i].wrong == 0 && job[i].failed == 0);
	}
	source_close(s);
}
