#include "signing/hash.h"
#include "signing/load.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREAD_BYTES 262144u /* below this a second thread costs more than it saves */

/* What the second thread does with one chunk while the first feeds the file's digest. */
struct side {
	struct hash_job *job;
	struct sha256 *range_hash;
	size_t range_next; /* the range that is being hashed, or the next one */
	const uint8_t *chunk;
	uint64_t offset;
	size_t len;
};

uint64_t hash_chunks(uint64_t bytes)
{
	return bytes / SIGNING_CHUNK_BYTES + (bytes % SIGNING_CHUNK_BYTES != 0);
}

struct digest hash_tree(const struct digest *leaf, size_t count)
{
	struct merkle m = { .count = 0 };
	for (size_t i = 0; i < count; i++)
		merkle_add(&m, &leaf[i]);
	return merkle_root(&m);
}

static void hash_ranges(struct side *s)
{
	uint64_t end = s->offset + s->len;
	while (s->range_next < s->job->ranges) {
		struct hash_range *r = &s->job->range[s->range_next];
		uint64_t from = r->begin > s->offset ? r->begin : s->offset;
		uint64_t to = r->begin + r->bytes < end ? r->begin + r->bytes : end;
		if (from < to)
			sha256_add(s->range_hash, s->chunk + (from - s->offset),
				   (size_t)(to - from));
		if (r->begin + r->bytes > end)
			return;
		r->digest = sha256_take(s->range_hash);
		s->range_next++;
	}
}

static void *side_run(void *arg)
{
	struct side *s = arg;
	if (s->job->want_leaves)
		s->job->leaf[s->offset / SIGNING_CHUNK_BYTES] =
			digest_tagged(0, s->chunk, s->len, NULL, 0);
	hash_ranges(s);
	return NULL;
}

static void hash_chunk(struct side *s, struct sha256 *whole)
{
	pthread_t thread;
	bool work = s->job->want_leaves || s->range_next < s->job->ranges;
	bool threaded =
		work && s->len >= THREAD_BYTES && pthread_create(&thread, NULL, side_run, s) == 0;
	sha256_add(whole, s->chunk, s->len);
	if (threaded)
		pthread_join(thread, NULL);
	else if (work)
		side_run(s);
}

static int hash_all(struct hash_job *job, struct side *s, struct sha256 *whole, uint8_t *buffer,
		    struct err *e)
{
	s->chunk = buffer;
	for (s->offset = 0; s->offset < job->bytes; s->offset += s->len) {
		uint64_t left = job->bytes - s->offset;
		s->len = left < SIGNING_CHUNK_BYTES ? (size_t)left : SIGNING_CHUNK_BYTES;
		TRY(signing_read(job->source, job->name, s->offset, buffer, s->len, e));
		hash_chunk(s, whole);
		if (job->progress)
			progress_add(job->progress, s->len);
	}
	s->len = 0;
	hash_ranges(s); /* empty ranges at the very end, or of an empty file */
	job->digest = sha256_take(whole);
	return 0;
}

int hash_file(struct hash_job *job, struct err *e)
{
	struct source_state before, after;
	struct sha256 *whole = NULL;
	struct side s = { .job = job };
	if (hash_chunks(job->bytes) >= UINT32_MAX)
		return err_set(e, ERR_INPUT, "%s: too large for a chunk tree", job->name);
	size_t room = job->bytes < SIGNING_CHUNK_BYTES ? (size_t)job->bytes : SIGNING_CHUNK_BYTES;
	uint8_t *buffer = malloc(room + 1);
	job->leaves = job->want_leaves ? (uint32_t)hash_chunks(job->bytes) : 0;
	job->leaf = job->want_leaves ? calloc(job->leaves + 1u, sizeof *job->leaf) : NULL;
	int result = ERR_NOMEM;
	if (!buffer || (job->want_leaves && !job->leaf)) {
		err_set(e, ERR_NOMEM, "out of memory to hash %s", job->name);
		goto out;
	}
	result = source_state(job->source, job->name, &before, e);
	if (result == 0)
		result = sha256_open(&whole, e);
	if (result == 0)
		result = sha256_open(&s.range_hash, e);
	if (result == 0)
		result = hash_all(job, &s, whole, buffer, e);
	if (result == 0)
		result = source_state(job->source, job->name, &after, e);
	if (result == 0 && !source_state_equal(&before, &after))
		result = err_set(e, ERR_CONFLICT, "%s: changed while it was read", job->name);
out:
	free(buffer);
	sha256_close(whole);
	sha256_close(s.range_hash);
	if (result < 0) {
		free(job->leaf);
		job->leaf = NULL;
	}
	return result;
}

struct digest *hash_leaves(const void *bytes, size_t len, uint32_t *count)
{
	*count = (uint32_t)hash_chunks(len);
	struct digest *leaf = calloc(*count + 1u, sizeof *leaf);
	for (uint32_t i = 0; leaf && i < *count; i++) {
		size_t from = (size_t)i * SIGNING_CHUNK_BYTES;
		size_t n = len - from < SIGNING_CHUNK_BYTES ? len - from : SIGNING_CHUNK_BYTES;
		leaf[i] = digest_tagged(0, (const uint8_t *)bytes + from, n, NULL, 0);
	}
	return leaf;
}
