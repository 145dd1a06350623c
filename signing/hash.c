/* Hashing on a pool of threads. A file's own SHA-256 is one chain, and so is that of each of its
 * ranges: what can be shared out are the chunks of different files, the leaves of chunk trees, and
 * reading ahead. So a few files are open at once, each on a lane of two buffers; a step reads the
 * next chunk of each lane into one of them while it hashes the other, in up to four tasks a lane
 * that any thread may take. Between steps one thread turns the buffers, begins and ends files.
 * Rejected: a thread for each chunk, which uses no more than two cores. */
#include "signing/hash.h"
#include "base/machine.h"
#include "base/pool.h"
#include "signing/load.h"

#include <stdlib.h>
#include <string.h>

#define LANES_MAX 16 /* 128 MiB of buffers; as many chains of SHA-256 outrun any disk */
#define TASKS_A_LANE 4

enum hash_kind { HASH_READ, HASH_WHOLE, HASH_LEAF, HASH_RANGES };

/* A file at work. */
struct hash_lane {
	bool busy;
	size_t file;
	struct hash_job job;
	struct source_state before;
	struct sha256 *whole, *range_hash;
	size_t range_next;   /* the range that is being hashed, or the next one */
	uint8_t *now, *next; /* [SIGNING_CHUNK_BYTES] each: hashed, and read into */
	size_t now_len, next_len;
	uint64_t hashed, read; /* bytes of the file before `now`, and up to the end of `next` */
	int rc;                /* of reading */
	struct err err;
};

struct hash_task {
	struct hash_lane *lane;
	enum hash_kind kind;
};

struct hashing {
	const struct hash_run *run;
	struct pool *pool;
	struct hash_lane lane[LANES_MAX];
	size_t lanes, next_file;
	struct hash_task task[LANES_MAX * TASKS_A_LANE];
	uint32_t tasks;
};

uint64_t signing_hash_chunks(uint64_t bytes)
{
	return bytes / SIGNING_CHUNK_BYTES + (bytes % SIGNING_CHUNK_BYTES != 0);
}

struct digest signing_hash_tree(const struct digest *leaf, size_t count)
{
	struct merkle m = { .count = 0 };
	for (size_t i = 0; i < count; i++)
		merkle_add(&m, &leaf[i]);
	return merkle_root(&m);
}

/* ---- tasks: on any thread, each with data of its own ---- */

static void read_chunk(struct hashing *h, struct hash_lane *l)
{
	l->rc = signing_read(h->run->source, l->job.name, l->read, l->next, l->next_len, &l->err);
}

static void hash_leaf(struct hash_lane *l)
{
	l->job.leaf[l->hashed / SIGNING_CHUNK_BYTES] =
		digest_tagged(0, l->now, l->now_len, NULL, 0);
}

/* The ranges' part of `now`; also ends ranges that end where it begins. */
static void hash_ranges(struct hash_lane *l)
{
	uint64_t begin = l->hashed, end = begin + l->now_len;
	while (l->range_next < l->job.ranges) {
		struct hash_range *r = &l->job.range[l->range_next];
		uint64_t from = r->begin > begin ? r->begin : begin;
		uint64_t to = r->begin + r->bytes < end ? r->begin + r->bytes : end;
		if (from < to)
			sha256_add(l->range_hash, l->now + (from - begin), (size_t)(to - from));
		if (r->begin + r->bytes > end)
			return;
		r->digest = sha256_take(l->range_hash);
		l->range_next++;
	}
}

static void tasks_run(void *ctx, struct part part)
{
	struct hashing *h = ctx;
	for (uint32_t i = part.begin; i < part.end; i++) {
		struct hash_lane *l = h->task[i].lane;
		switch (h->task[i].kind) {
		case HASH_READ:
			read_chunk(h, l);
			break;
		case HASH_WHOLE:
			sha256_add(l->whole, l->now, l->now_len);
			break;
		case HASH_LEAF:
			hash_leaf(l);
			break;
		case HASH_RANGES:
			hash_ranges(l);
			break;
		}
	}
}

/* ---- steps: between runs of the pool ---- */

static void task_add(struct hashing *h, struct hash_lane *l, enum hash_kind kind)
{
	h->task[h->tasks++] = (struct hash_task){ l, kind };
}

/* Reading first: it may wait for a disk. */
static void tasks_plan(struct hashing *h)
{
	h->tasks = 0;
	for (size_t i = 0; i < h->lanes; i++) {
		struct hash_lane *l = &h->lane[i];
		uint64_t left = l->busy ? l->job.bytes - l->read : 0;
		l->next_len = left < SIGNING_CHUNK_BYTES ? (size_t)left : SIGNING_CHUNK_BYTES;
		if (l->next_len)
			task_add(h, l, HASH_READ);
	}
	for (size_t i = 0; i < h->lanes; i++) {
		struct hash_lane *l = &h->lane[i];
		if (!l->busy || !l->now_len)
			continue;
		task_add(h, l, HASH_WHOLE);
		if (l->job.want_leaves)
			task_add(h, l, HASH_LEAF);
		if (l->range_next < l->job.ranges)
			task_add(h, l, HASH_RANGES);
	}
}

static int check_unchanged(struct hashing *h, struct hash_lane *l, struct err *e)
{
	struct source_state after;
	TRY(source_state(h->run->source, l->job.name, &after, e));
	if (!source_state_equal(&l->before, &after))
		return err_set(e, ERR_CONFLICT, "%s: changed while it was read", l->job.name);
	return 0;
}

static void lane_free(struct hash_lane *l)
{
	free(l->job.range);
	free(l->job.leaf);
	l->job = (struct hash_job){ 0 };
	l->busy = false;
}

static int lane_end(struct hashing *h, struct hash_lane *l, struct err *e)
{
	hash_ranges(l); /* empty ranges at the very end, or of an empty file */
	l->job.digest = sha256_take(l->whole);
	TRY(check_unchanged(h, l, e));
	TRY(h->run->end(h->run->ctx, l->file, &l->job, e));
	lane_free(l);
	return 0;
}

/* What was read is hashed next; what was hashed is done. */
static int lane_turn(struct hashing *h, struct hash_lane *l, struct err *e)
{
	uint8_t *hashed = l->now;
	if (l->rc < 0)
		return err_set(e, l->rc, "%s", l->err.text);
	if (h->run->progress)
		progress_add(h->run->progress, l->now_len);
	l->hashed += l->now_len;
	l->read += l->next_len;
	l->now = l->next;
	l->now_len = l->next_len;
	l->next = hashed;
	return l->hashed == l->job.bytes ? lane_end(h, l, e) : 0;
}

static int lane_open(struct hash_lane *l, struct err *e)
{
	if (l->whole)
		return 0; /* it had a file before */
	TRY(sha256_open(&l->whole, e));
	TRY(sha256_open(&l->range_hash, e));
	l->now = malloc(SIGNING_CHUNK_BYTES);
	l->next = malloc(SIGNING_CHUNK_BYTES);
	return l->now && l->next ? 0 : err_set(e, ERR_NOMEM, "out of memory to hash files");
}

static int job_check(struct hashing *h, struct hash_lane *l, struct err *e)
{
	struct hash_job *job = &l->job;
	uint64_t bytes = 0;
	if (signing_hash_chunks(job->bytes) >= UINT32_MAX)
		return err_set(e, ERR_INPUT, "%s: too large for a chunk tree", job->name);
	TRY(source_state(h->run->source, job->name, &l->before, e));
	TRY(source_size(h->run->source, job->name, &bytes, e));
	if (bytes != job->bytes)
		return err_set(e, ERR_CONFLICT, "%s: changed while it was read", job->name);
	job->leaves = job->want_leaves ? (uint32_t)signing_hash_chunks(bytes) : 0;
	job->leaf = job->want_leaves ? calloc(job->leaves + 1u, sizeof *job->leaf) : NULL;
	if (job->want_leaves && !job->leaf)
		return err_set(e, ERR_NOMEM, "out of memory to hash %s", job->name);
	return 0;
}

/* Give a free lane the next file of which something is wanted. */
static int lane_begin(struct hashing *h, struct hash_lane *l, struct err *e)
{
	while (!l->busy && h->next_file < h->run->count) {
		l->file = h->next_file++;
		l->job = (struct hash_job){ 0 };
		int skip = h->run->begin(h->run->ctx, l->file, &l->job, e);
		TRY(skip);
		if (skip)
			continue;
		l->busy = true;
		l->range_next = 0;
		l->hashed = l->read = 0;
		l->now_len = l->next_len = 0;
		TRY(lane_open(l, e));
		TRY(job_check(h, l, e));
		if (l->job.bytes == 0)
			TRY(lane_end(h, l, e));
	}
	return 0;
}

static int step(struct hashing *h, struct err *e)
{
	for (size_t i = 0; i < h->lanes; i++)
		TRY(lane_begin(h, &h->lane[i], e));
	tasks_plan(h);
	pool_run_in_order(h->pool, h->tasks, tasks_run, h);
	for (size_t i = 0; i < h->lanes; i++)
		if (h->lane[i].busy)
			TRY(lane_turn(h, &h->lane[i], e));
	return 0;
}

/* ---- from the top ---- */

static int hashing_open(struct hashing *h, struct err *e)
{
	unsigned cores = machine_cores();
	size_t lanes = h->run->count < cores ? h->run->count : cores;
	h->lanes = lanes < LANES_MAX ? lanes : LANES_MAX;
	size_t threads = h->lanes * TASKS_A_LANE < cores ? h->lanes * TASKS_A_LANE : cores;
	if (threads > 1 && pool_open(&h->pool, (unsigned)threads, NULL, NULL) == 0)
		return 0;
	return pool_open(&h->pool, 1, NULL, e); /* slower, and as right */
}

static void hashing_close(struct hashing *h)
{
	pool_close(h->pool);
	for (size_t i = 0; i < h->lanes; i++) {
		struct hash_lane *l = &h->lane[i];
		lane_free(l);
		sha256_close(l->whole);
		sha256_close(l->range_hash);
		free(l->now);
		free(l->next);
	}
	free(h);
}

int signing_hash_files(const struct hash_run *run, struct err *e)
{
	struct hashing *h = calloc(1, sizeof *h);
	int rc = 0;
	if (!h)
		return err_set(e, ERR_NOMEM, "out of memory to hash files");
	h->run = run;
	TRY_OUT(hashing_open(h, e));
	for (;;) {
		TRY_OUT(step(h, e));
		if (h->tasks == 0)
			break;
	}
out:
	hashing_close(h);
	return rc;
}

static int one_begin(void *ctx, size_t i, struct hash_job *job, struct err *e)
{
	const struct hash_job *wanted = ctx;
	(void)i;
	*job = *wanted;
	job->range = malloc((wanted->ranges + 1) * sizeof *job->range);
	if (!job->range)
		return err_set(e, ERR_NOMEM, "out of memory to hash %s", job->name);
	if (wanted->ranges)
		memcpy(job->range, wanted->range, wanted->ranges * sizeof *job->range);
	return 0;
}

static int one_end(void *ctx, size_t i, struct hash_job *job, struct err *e)
{
	struct hash_job *wanted = ctx;
	(void)i;
	(void)e;
	if (job->ranges)
		memcpy(wanted->range, job->range, job->ranges * sizeof *job->range);
	wanted->digest = job->digest;
	wanted->leaf = job->leaf;
	wanted->leaves = job->leaves;
	job->leaf = NULL;
	return 0;
}

int signing_hash_file(struct source *s, struct hash_job *job, struct err *e)
{
	struct hash_run run = {
		.source = s, .count = 1, .begin = one_begin, .end = one_end, .ctx = job
	};
	return signing_hash_files(&run, e);
}

struct digest *signing_hash_leaves(const void *bytes, size_t len, uint32_t *count)
{
	*count = (uint32_t)signing_hash_chunks(len);
	struct digest *leaf = calloc(*count + 1u, sizeof *leaf);
	for (uint32_t i = 0; leaf && i < *count; i++) {
		size_t from = (size_t)i * SIGNING_CHUNK_BYTES;
		size_t n = len - from < SIGNING_CHUNK_BYTES ? len - from : SIGNING_CHUNK_BYTES;
		leaf[i] = digest_tagged(0, (const uint8_t *)bytes + from, n, NULL, 0);
	}
	return leaf;
}
