/* Hashing many files at once gives each the digests that it has alone, on one core and on several. */
#include "support.h"

#include "signing/hash.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define FILES 37

/* Files of all sizes around chunks, in memory; a read of "broken" fails, "moving" changes as it is read. */
struct memory {
	struct source source;
	uint64_t bytes[FILES];
	const char *broken, *moving;
	unsigned looks; /* at the state of "moving" */
};

static char names[FILES][8];
static uint8_t *content; /* of the longest; file i begins at byte i of it */

static size_t file_of(const char *name) { return (size_t)atoi(name); }

static int memory_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	(void)e;
	*bytes = ((struct memory *)s)->bytes[file_of(name)];
	return 0;
}

static int memory_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		       struct err *e)
{
	const struct memory *m = (const struct memory *)s;
	if (m->broken && strcmp(m->broken, name) == 0 && offset > 0)
		return err_set(e, ERR_IO, "%s: cannot be read", name);
	memcpy(out, content + file_of(name) + offset, len);
	return 0;
}

static int memory_state(struct source *s, const char *name, struct source_state *out, struct err *e)
{
	struct memory *m = (struct memory *)s;
	(void)e;
	*out = (struct source_state){ 0 };
	if (m->moving && strcmp(m->moving, name) == 0)
		out->modified_ns = m->looks++;
	return 0;
}

static const struct source_ops memory_ops = { .size = memory_size,
					      .read = memory_read,
					      .state = memory_state };

static struct memory memory;
static struct digest found[FILES], range_found[FILES][3];
static struct digest tree_found[FILES];
static size_t ended;
static struct err e;

static void set_up(void)
{
	static const uint64_t around[] = { 0,     1,         63,        4096,         CHUNK - 1,
					   CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5 };
	content = malloc(3 * CHUNK + 5 + FILES);
	cr_assert_not_null(content);
	for (uint64_t i = 0; i < 3 * CHUNK + 5 + FILES; i++)
		content[i] = world_byte(i);
	memory = (struct memory){ .source = { &memory_ops, "memory", false } };
	for (size_t i = 0; i < FILES; i++) {
		snprintf(names[i], sizeof names[i], "%zu", i);
		memory.bytes[i] = around[i % (sizeof around / sizeof *around)];
	}
}

TestSuite(signing_hash, .init = set_up);

/* Ranges: the first byte, an empty one at the end, and all between. */
static int begin(void *ctx, size_t i, struct hash_job *job, struct err *err)
{
	(void)ctx;
	if (i % 7 == 6)
		return 1;
	job->name = names[i];
	job->bytes = memory.bytes[i];
	job->want_leaves = i % 2;
	job->range = calloc(3, sizeof *job->range);
	if (!job->range)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (job->bytes > 1) {
		job->ranges = 3;
		job->range[0] = (struct hash_range){ .begin = 0, .bytes = 1 };
		job->range[1] = (struct hash_range){ .begin = 1, .bytes = job->bytes - 1 };
		job->range[2] = (struct hash_range){ .begin = job->bytes, .bytes = 0 };
	}
	return 0;
}

static int end(void *ctx, size_t i, struct hash_job *job, struct err *err)
{
	(void)ctx;
	(void)err;
	ended++;
	found[i] = job->digest;
	for (size_t r = 0; r < job->ranges; r++)
		range_found[i][r] = job->range[r].digest;
	tree_found[i] = signing_hash_tree(job->leaf, job->leaves);
	return 0;
}

static int hash_all(void)
{
	return signing_hash_files(&(struct hash_run){ .source = &memory.source,
						      .count = FILES,
						      .begin = begin,
						      .end = end },
				  &e);
}

static bool is_digest(const struct digest *d, const uint8_t *bytes, size_t len)
{
	struct digest right = digest_of(bytes, len);
	return digest_equal(d, &right);
}

static void check_all(void)
{
	expect(0, hash_all());
	cr_assert_eq(ended, FILES - FILES / 7);
	for (size_t i = 0; i < FILES; i++) {
		const uint8_t *bytes = content + i;
		size_t len = (size_t)memory.bytes[i];
		if (i % 7 == 6)
			continue;
		cr_expect(is_digest(&found[i], bytes, len), "file %zu", i);
		if (len > 1) {
			cr_expect(is_digest(&range_found[i][0], bytes, 1), "file %zu", i);
			cr_expect(is_digest(&range_found[i][1], bytes + 1, len - 1), "file %zu", i);
			cr_expect(is_digest(&range_found[i][2], bytes, 0), "file %zu", i);
		}
		if (i % 2) {
			uint32_t leaves = 0;
			struct digest *leaf = signing_hash_leaves(bytes, len, &leaves);
			struct digest tree = signing_hash_tree(leaf, leaves);
			cr_expect(digest_equal(&tree, &tree_found[i]), "file %zu", i);
			free(leaf);
		}
	}
}

Test(signing_hash, many_files_at_once_have_each_their_own_digests) { check_all(); }

Test(signing_hash, one_core_gives_the_same)
{
	cpu_set_t all, one;
	cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all)) {
			CPU_SET(i, &one);
			break;
		}
	cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
	check_all();
}

Test(signing_hash, a_read_that_fails_ends_it_with_its_sentence)
{
	memory.broken = names[8]; /* several chunks long: it fails while others are at work */
	expect(ERR_IO, hash_all());
	cr_expect_str_eq(e.text, "8: cannot be read");
}

Test(signing_hash, a_file_that_changes_while_it_is_read_is_a_conflict)
{
	memory.moving = names[16];
	expect(ERR_CONFLICT, hash_all());
	cr_expect(strstr(e.text, "16: changed"), "%s", e.text);
}

Test(signing_hash, one_file_gives_its_leaves_and_keeps_the_callers_ranges)
{
	struct hash_range range[] = { { .begin = 5, .bytes = CHUNK } };
	struct hash_job job = { .name = names[8],
				.bytes = memory.bytes[8],
				.want_leaves = true,
				.range = range,
				.ranges = 1 };
	expect(0, signing_hash_file(&memory.source, &job, &e));
	cr_expect(is_digest(&job.digest, content + 8, (size_t)memory.bytes[8]));
	cr_expect(is_digest(&range[0].digest, content + 13, CHUNK));
	cr_expect_eq(job.leaves, 4u);
	free(job.leaf);
}
