/* The verified source. Small files are read whole, compared and kept. Large ones are verified chunk
 * by chunk against the signed tree, or, in a release without one, against leaves taken while the
 * whole file was compared at its first use. Bytes are hashed where they will be used from: in the
 * caller's memory, or in the copy that is handed out. */
#include "base/machine.h"
#include "base/source.h"
#include "signing/hash.h"
#include "signing/load.h"
#include "signing/statement.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SIGNING_CHUNK_BYTES == SOURCE_GRANULE, "a granule is a chunk");

/* Chunks kept: readers at the borders of neighbouring ranges want the same one, and a thread that
 * reads in small steps wants the one that it has. Two for each core. */
#define SLOTS_MIN 4
#define SLOTS_MAX 64

/* What is known of one file after its first use. */
struct opened {
	bool ready;
	uint64_t bytes;
	uint8_t *whole; /* a small file's verified bytes */
};

struct slot {
	pthread_mutex_t lock; /* bytes, ready: held while they are read and checked */
	uint8_t *bytes;       /* NULL: none yet */
	bool ready;           /* they are the chunk's */
	/* under the source's lock: */
	size_t file;
	uint64_t chunk, used; /* used 0: of no chunk */
	unsigned readers;     /* who want this chunk: it stays */
};

struct verified {
	struct source source;
	const struct signing_manifest *m;
	struct signing_manifest shadow; /* holds the leaves */
	struct source *under;
	struct opened *opened; /* [m->file_count] */
	struct slot slot[SLOTS_MAX];
	size_t slots;
	uint64_t uses;
	pthread_mutex_t lock; /* opened, shadow leaves, which chunk is in which slot */
};

static int mismatch(const struct verified *v, size_t file, uint64_t chunk, struct err *e)
{
	return err_set(e, ERR_VERIFY, "%s/%s: chunk %llu (bytes from %llu) is not what was signed",
		       v->source.label, v->m->file[file].name, (unsigned long long)chunk,
		       (unsigned long long)(chunk * SIGNING_CHUNK_BYTES));
}

static int check_size(const struct verified *v, const struct signing_file *f, uint64_t bytes,
		      struct err *e)
{
	if (!f->has_bytes || bytes == f->bytes)
		return 0;
	return err_set(e, ERR_VERIFY, "%s/%s: %llu bytes, %llu were signed", v->source.label,
		       f->name, (unsigned long long)bytes, (unsigned long long)f->bytes);
}

static int open_small(struct verified *v, size_t file, uint64_t bytes, struct err *e)
{
	const struct signing_file *f = &v->m->file[file];
	TRY(check_size(v, f, bytes, e));
	uint8_t *whole = malloc((size_t)bytes + 1);
	if (!whole)
		return err_set(e, ERR_NOMEM, "out of memory for %s", f->name);
	int result = signing_read(v->under, f->name, 0, whole, (size_t)bytes, e);
	struct digest found = digest_of(whole, result == 0 ? (size_t)bytes : 0);
	if (result == 0 && !digest_equal(&found, &f->digest))
		result = err_set(e, ERR_VERIFY, "%s/%s: not what was signed", v->source.label,
				 f->name);
	if (result < 0) {
		free(whole);
		return result;
	}
	v->opened[file].whole = whole;
	return 0;
}

/* A large file without a signed tree: compare it whole once and keep its leaves. */
static int take_leaves(struct verified *v, size_t file, uint64_t bytes, struct err *e)
{
	struct signing_file *f = &v->shadow.file[file];
	struct hash_job job = { .name = f->name, .bytes = bytes, .want_leaves = true };
	TRY(signing_hash_file(v->under, &job, e));
	if (!digest_equal(&job.digest, &f->digest)) {
		free(job.leaf); /* kept, they would vouch for the changed file at its next use */
		return err_set(e, ERR_VERIFY, "%s/%s: not what was signed", v->source.label,
			       f->name);
	}
	f->leaf = job.leaf;
	f->chunk_count = job.leaves;
	return 0;
}

static int open_large(struct verified *v, size_t file, uint64_t bytes, struct err *e)
{
	const struct signing_file *f = &v->shadow.file[file];
	TRY(check_size(v, f, bytes, e));
	if (!f->leaf)
		TRY(take_leaves(v, file, bytes, e));
	return 0;
}

/* Called with the lock held. A failed file stays not ready and is tried again at its next use. */
static int open_file(struct verified *v, size_t file, struct err *e)
{
	struct opened *o = &v->opened[file];
	const char *name = v->m->file[file].name;
	uint64_t bytes = 0;
	if (o->ready)
		return 0;
	int result = source_size(v->under, name, &bytes, e);
	if (result < 0)
		return result != ERR_NOTFOUND && result != ERR_INPUT
			       ? result
			       : err_set(e, ERR_VERIFY, "%s/%s: missing or not a regular file",
					 v->source.label, name);
	if (v->m->file[file].has_chunks || bytes >= SIGNING_CHUNK_BYTES)
		result = open_large(v, file, bytes, e);
	else
		result = open_small(v, file, bytes, e);
	if (result < 0)
		return result;
	o->bytes = bytes;
	o->ready = true;
	return 0;
}

static int find(struct verified *v, const char *name, size_t *file, struct err *e)
{
	ptrdiff_t at = signing_statement_find(v->m, name);
	if (at < 0)
		return err_set(e, ERR_NOTFOUND, "%s: no file %s in the signed manifest",
			       v->source.label, name);
	*file = (size_t)at;
	pthread_mutex_lock(&v->lock);
	int result = open_file(v, *file, e);
	pthread_mutex_unlock(&v->lock);
	return result;
}

static int read_chunk(struct verified *v, size_t file, uint64_t chunk, uint8_t *out, size_t len,
		      struct err *e)
{
	TRY(signing_read(v->under, v->m->file[file].name, chunk * SIGNING_CHUNK_BYTES, out, len,
			 e));
	struct digest leaf = digest_tagged(0, out, len, NULL, 0);
	return digest_equal(&leaf, &v->shadow.file[file].leaf[chunk]) ? 0
								      : mismatch(v, file, chunk, e);
}

/* The slot of the chunk, or the one that was used longest ago and nobody reads from; NULL: all are
 * read from. */
static struct slot *slot_take(struct verified *v, size_t file, uint64_t chunk)
{
	struct slot *oldest = NULL;
	for (size_t i = 0; i < v->slots; i++) {
		struct slot *s = &v->slot[i];
		if (s->used && s->file == file && s->chunk == chunk) {
			oldest = s;
			break;
		}
		if (s->readers == 0 && (!oldest || s->used < oldest->used))
			oldest = s;
	}
	if (!oldest)
		return NULL;
	if (!oldest->used || oldest->file != file || oldest->chunk != chunk) {
		oldest->ready = false; /* nobody reads from it */
		oldest->file = file;
		oldest->chunk = chunk;
	}
	oldest->used = ++v->uses;
	oldest->readers++;
	return oldest;
}

static int slot_fill(struct verified *v, struct slot *s, size_t len, struct err *e)
{
	if (s->ready)
		return 0;
	if (!s->bytes)
		s->bytes = malloc(SIGNING_CHUNK_BYTES);
	if (!s->bytes)
		return err_set(e, ERR_NOMEM, "out of memory for a chunk");
	TRY(read_chunk(v, s->file, s->chunk, s->bytes, len, e));
	s->ready = true;
	return 0;
}

/* Where more threads read than there are slots. */
static int copy_apart(struct verified *v, size_t file, uint64_t chunk, size_t chunk_len,
		      size_t from, uint8_t *out, size_t len, struct err *e)
{
	uint8_t *bytes = malloc(chunk_len);
	if (!bytes)
		return err_set(e, ERR_NOMEM, "out of memory for a chunk");
	int rc = read_chunk(v, file, chunk, bytes, chunk_len, e);
	if (rc == 0)
		memcpy(out, bytes + from, len);
	free(bytes);
	return rc;
}

/* Others read and check other chunks meanwhile; who wants this one waits for it. */
static int copy_part(struct verified *v, size_t file, uint64_t chunk, size_t chunk_len, size_t from,
		     uint8_t *out, size_t len, struct err *e)
{
	pthread_mutex_lock(&v->lock);
	struct slot *s = slot_take(v, file, chunk);
	pthread_mutex_unlock(&v->lock);
	if (!s)
		return copy_apart(v, file, chunk, chunk_len, from, out, len, e);
	pthread_mutex_lock(&s->lock);
	int rc = slot_fill(v, s, chunk_len, e);
	if (rc == 0)
		memcpy(out, s->bytes + from, len);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&v->lock);
	s->readers--;
	pthread_mutex_unlock(&v->lock);
	return rc;
}

static int read_large(struct verified *v, size_t file, uint64_t offset, uint8_t *out, size_t len,
		      struct err *e)
{
	uint64_t bytes = v->opened[file].bytes;
	while (len) {
		uint64_t chunk = offset / SIGNING_CHUNK_BYTES, begin = chunk * SIGNING_CHUNK_BYTES;
		size_t chunk_len = bytes - begin < SIGNING_CHUNK_BYTES ? (size_t)(bytes - begin)
								       : SIGNING_CHUNK_BYTES;
		size_t from = (size_t)(offset - begin),
		       part = chunk_len - from < len ? chunk_len - from : len;
		if (part == chunk_len)
			TRY(read_chunk(v, file, chunk, out, chunk_len, e));
		else
			TRY(copy_part(v, file, chunk, chunk_len, from, out, part, e));
		offset += part;
		out += part;
		len -= part;
	}
	return 0;
}

static int verified_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	struct verified *v = (struct verified *)s;
	size_t file;
	TRY(find(v, name, &file, e));
	*bytes = v->opened[file].bytes;
	return 0;
}

static int verified_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
			 struct err *e)
{
	struct verified *v = (struct verified *)s;
	size_t file;
	TRY(find(v, name, &file, e));
	const struct opened *o = &v->opened[file];
	if (offset > o->bytes || len > o->bytes - offset)
		return err_set(e, ERR_INPUT, "%s/%s: ends before byte %llu", v->source.label, name,
			       (unsigned long long)offset + len);
	if (!o->whole)
		return read_large(v, file, offset, out, len, e);
	if (len)
		memcpy(out, o->whole + offset, len);
	return 0;
}

static const char *verified_name(struct source *s, size_t i)
{
	const struct verified *v = (struct verified *)s;
	return i < v->m->file_count ? v->m->file[i].name : NULL;
}

static void verified_close(struct source *s)
{
	struct verified *v = (struct verified *)s;
	for (size_t i = 0; v->opened && i < v->m->file_count; i++)
		free(v->opened[i].whole);
	for (size_t i = 0; i < v->slots; i++) {
		free(v->slot[i].bytes);
		pthread_mutex_destroy(&v->slot[i].lock);
	}
	signing_manifest_shadow_free(&v->shadow);
	pthread_mutex_destroy(&v->lock);
	free(v->opened);
	free(v);
}

static const struct source_ops verified_ops = {
	.size = verified_size,
	.read = verified_read,
	.name = verified_name,
	.close = verified_close,
};

int signing_source_open(struct source **out, const struct signing_manifest *m, struct source *under,
			struct err *e)
{
	struct verified *v = calloc(1, sizeof *v);
	int rc = ERR_NOMEM;
	if (!v)
		return err_set(e, ERR_NOMEM, "out of memory for a source");
	*v = (struct verified){
		.source = { &verified_ops, under->label, true },
		.m = m,
		.under = under,
		.opened = calloc(m->file_count + 1, sizeof *v->opened),
	};
	pthread_mutex_init(&v->lock, NULL);
	size_t wanted = 2 * (size_t)machine_cores();
	v->slots = wanted < SLOTS_MIN ? SLOTS_MIN : wanted < SLOTS_MAX ? wanted : SLOTS_MAX;
	for (size_t i = 0; i < v->slots; i++)
		pthread_mutex_init(&v->slot[i].lock, NULL);
	if (!v->opened) {
		err_set(e, ERR_NOMEM, "out of memory for a source");
		goto out;
	}
	TRY_OUT(signing_manifest_shadow(&v->shadow, v->m, e));
	rc = signing_manifest_load_chunks(&v->shadow, under, e);
	if (rc < 0) {
		err_prefix(e, "%s", under->label);
		goto out;
	}
	*out = &v->source;
	return 0;
out:
	verified_close(&v->source);
	return rc;
}
