#include "base/file.h"
#include "base/limits.h"
#include "base/progress.h"
#include "signing/chunks.h"
#include "signing/folder.h"
#include "signing/hash.h"
#include "base/names.h"
#include "signing/statement.h"
#include "signing/tensors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A manifest in the making. */
struct making {
	struct signing_manifest *m;
	struct folder folder;
	struct tensor_index index;
	struct progress progress;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct signing_file *)a)->name,
		      ((const struct signing_file *)b)->name);
}

static void sort_files(struct signing_manifest *m)
{
	qsort(m->file, m->file_count, sizeof *m->file, by_name);
}

static char *copy_basename(const char *dir)
{
	char *full = realpath(dir, NULL);
	const char *slash = full ? strrchr(full, '/') : NULL;
	char *name = slash && slash[1] ? strdup(slash + 1) : NULL;
	free(full);
	return name;
}

static int add_file(struct signing_manifest *m, const char *name, struct err *e)
{
	m->file[m->file_count].name = strdup(name);
	if (!m->file[m->file_count].name)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	m->file_count++;
	return 0;
}

static int take_names(struct making *k, struct err *e)
{
	struct names *names = NULL;
	TRY(names_open(&names, e));
	int result = names_add(names, SIGNING_BUNDLE, false, e);
	if (result == 0)
		result = names_add(names, SIGNING_CHUNKS, false, e);
	if (result == 0)
		result = names_add(names, SIGNING_TENSORS, false, e);
	for (size_t i = 0; i < k->folder.count && result == 0; i++) {
		const struct folder_entry *f = &k->folder.entry[i];
		if (f->kind != FOLDER_FILE)
			result = err_set(e, ERR_INPUT, "%s: %s; a release holds regular files only",
					 f->name, folder_kind_name(f->kind));
		if (result == 0)
			result = names_add(names, f->name, false, e);
		if (result == 0)
			result = add_file(k->m, f->name, e);
	}
	names_close(names);
	return result;
}

static int take_ignored(struct signing_manifest *m, struct err *e)
{
	m->ignore = calloc(STATEMENT_IGNORED, sizeof *m->ignore);
	for (size_t i = 0; m->ignore && i < STATEMENT_IGNORED; i++) {
		m->ignore[i] = strdup(statement_ignored[i]);
		if (!m->ignore[i])
			break;
		m->ignore_count++;
	}
	return m->ignore_count == STATEMENT_IGNORED
		       ? 0
		       : err_set(e, ERR_NOMEM, "out of memory for a manifest");
}

/* List the folder without the remains of an earlier release. */
static int take_folder(struct making *k, const char *dir, struct err *e)
{
	const char *skip[STATEMENT_IGNORED + 2] = { SIGNING_CHUNKS, SIGNING_TENSORS };
	memcpy(skip + 2, statement_ignored, sizeof statement_ignored);
	k->m->model_name = copy_basename(dir);
	if (!k->m->model_name)
		return err_set(e, ERR_INPUT, "%s: no folder with a name", dir);
	TRY(folder_open(&k->folder, dir, skip, STATEMENT_IGNORED + 2, e));
	if (k->folder.count == 0)
		return err_set(e, ERR_INPUT, "%s: an empty folder", dir);
	k->m->file = calloc(k->folder.count + 2, sizeof *k->m->file);
	if (!k->m->file)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	TRY(take_names(k, e));
	return take_ignored(k->m, e);
}

static int copy_range(const struct signing_range *r, struct signing_tensor *t, struct err *e)
{
	*t =
		(struct signing_tensor){ strdup(r->name), strdup(r->dtype), strdup(r->file),
					 { 0 },           r->rank,          r->begin,
					 r->bytes,        { { 0 } } };
	if (!t->name || !t->dtype || !t->file)
		return err_set(e, ERR_NOMEM, "out of memory for tensors");
	for (int i = 0; i < r->rank && i < 8; i++)
		t->shape[i] = r->shape[i];
	return tensor_check(t, e);
}

static int by_tensor_name(const void *a, const void *b)
{
	return strcmp(((const struct signing_tensor *)a)->name,
		      ((const struct signing_tensor *)b)->name);
}

static int take_ranges(struct making *k, const struct signing_range *range, size_t count,
		       struct err *e)
{
	struct signing_manifest *m = k->m;
	if (count > LIMIT_TENSORS)
		return err_set(e, ERR_INPUT, "%zu tensors, the limit is %u", count, LIMIT_TENSORS);
	m->tensor = calloc(count + 1, sizeof *m->tensor);
	if (!m->tensor)
		return err_set(e, ERR_NOMEM, "out of memory for tensors");
	for (m->tensor_count = 0; m->tensor_count < count; m->tensor_count++) {
		int result = copy_range(&range[m->tensor_count], &m->tensor[m->tensor_count], e);
		if (result == 0 && statement_find(m, m->tensor[m->tensor_count].file) < 0)
			result = err_set(e, ERR_INPUT, "tensor %.200s: no file %.200s",
					 range[m->tensor_count].name, range[m->tensor_count].file);
		if (result < 0) {
			m->tensor_count++; /* so that freeing sees the half-made one */
			return result;
		}
	}
	qsort(m->tensor, count, sizeof *m->tensor, by_tensor_name);
	for (size_t i = 1; i < count; i++)
		if (strcmp(m->tensor[i - 1].name, m->tensor[i].name) == 0)
			return err_set(e, ERR_INPUT, "tensor %.200s: given twice",
				       m->tensor[i].name);
	return tensor_index_make(&k->index, m->tensor, count, e);
}

/* The file's tensors as ranges to hash, in order of place; NULL on failure. */
static struct hash_range *file_ranges(const struct making *k, const struct signing_file *f,
				      uint64_t bytes, size_t *count, struct err *e)
{
	const size_t *at = tensor_index_file(&k->index, f->name, count);
	struct hash_range *range = calloc(*count + 1, sizeof *range);
	if (!range)
		err_set(e, ERR_NOMEM, "out of memory for tensors");
	for (size_t i = 0; range && i < *count; i++) {
		const struct signing_tensor *t = &k->m->tensor[at[i]];
		range[i].begin = t->begin;
		range[i].bytes = t->bytes;
		if (t->begin + t->bytes > bytes) {
			err_set(e, ERR_INPUT, "tensor %.200s: its range ends beyond %.200s",
				t->name, f->name);
			free(range);
			return NULL;
		}
	}
	return range;
}

static int hash_one(struct making *k, struct signing_file *f, struct err *e)
{
	struct hash_job job = { .fd = -1, .name = f->name, .progress = &k->progress };
	TRY(folder_file(k->folder.fd, f->name, &job.fd, &job.bytes, e));
	struct err local = { 0 };
	job.want_leaves = job.bytes >= SIGNING_CHUNK_BYTES;
	job.range = file_ranges(k, f, job.bytes, &job.ranges, &local);
	int result = job.range ? hash_file(&job, &local) : local.code;
	if (result < 0)
		err_set(e, result, "%s", local.text);
	close(job.fd);
	if (result == 0) {
		const size_t *at = tensor_index_file(&k->index, f->name, &job.ranges);
		for (size_t i = 0; i < job.ranges; i++)
			k->m->tensor[at[i]].digest = job.range[i].digest;
		f->bytes = job.bytes;
		f->has_bytes = true;
		f->digest = job.digest;
		f->has_chunks = job.want_leaves;
		f->leaf = job.leaf;
		f->chunk_count = job.leaves;
	}
	free(job.range);
	return result;
}

/* Trees over what one read of the file gave. */
static int finish_one(const struct making *k, struct signing_file *f, struct err *e)
{
	if (f->has_chunks)
		f->chunk_root = hash_tree(f->leaf, f->chunk_count);
	if (f->bytes < SIGNING_CHUNK_BYTES)
		return 0;
	TRY(tensors_tree(&k->index, f->name, &f->tensor_count, &f->tensor_root, e));
	f->has_tensors = f->tensor_count > 0;
	return 0;
}

static int hash_files(struct making *k, bool quiet, struct err *e)
{
	uint64_t total = 0;
	for (size_t i = 0; i < k->m->file_count; i++) {
		struct stat st;
		if (fstatat(k->folder.fd, k->m->file[i].name, &st, 0) == 0)
			total += (uint64_t)st.st_size;
	}
	progress_start(&k->progress, "hashing", total, quiet);
	int result = 0;
	for (size_t i = 0; i < k->m->file_count && result == 0; i++) {
		result = hash_one(k, &k->m->file[i], e);
		if (result == 0)
			result = finish_one(k, &k->m->file[i], e);
	}
	progress_end(&k->progress);
	return result;
}

/* Write one of our own files and read it again: what is signed is what lies there. */
static int write_own(struct signing_manifest *m, const char *staging, const char *name, bool leaves,
		     const struct buf *text, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct buf again = { 0 };
	TRY(buf_done(text, e));
	TRY(file_join(path, staging, name, e));
	TRY(file_write_durable(path, text->bytes, text->len, 0644, e));
	int result = file_read(path, text->len, &again, e);
	struct digest digest = digest_of(text->bytes, text->len),
		      found = digest_of(again.bytes, again.len);
	buf_free(&again);
	if (result == 0 && !digest_equal(&digest, &found))
		result = err_set(e, ERR_IO, "%s: not what was written to it", path);
	if (result == 0)
		result = add_file(m, name, e);
	if (result < 0)
		return result;
	struct signing_file *f = &m->file[m->file_count - 1];
	f->digest = digest;
	f->bytes = text->len;
	f->has_bytes = true;
	if (leaves && text->len >= SIGNING_CHUNK_BYTES) {
		f->leaf = hash_leaves(text->bytes, text->len, &f->chunk_count);
		if (!f->leaf)
			return err_set(e, ERR_NOMEM, "out of memory for a manifest");
		f->chunk_root = hash_tree(f->leaf, f->chunk_count);
		f->has_chunks = true;
	}
	return 0;
}

/* Tensors first: hallmark.chunks then holds the leaves of all files but itself. */
static int write_staging(struct signing_manifest *m, const char *staging, struct err *e)
{
	struct buf text = { 0 };
	tensors_write(m, &text);
	int result = write_own(m, staging, SIGNING_TENSORS, true, &text, e);
	if (result == 0) {
		sort_files(m);
		buf_clear(&text);
		chunks_write(m->file, m->file_count, &text);
		result = write_own(m, staging, SIGNING_CHUNKS, false, &text, e);
		sort_files(m);
	}
	buf_free(&text);
	return result;
}

int signing_manifest_make(const char *dir, const char *staging, const struct signing_range *range,
			  size_t ranges, bool quiet, struct signing_manifest *out, struct err *e)
{
	struct making k = { .m = out, .folder = { .fd = -1 } };
	*out = (struct signing_manifest){ .file = NULL };
	int result = take_folder(&k, dir, e);
	if (result == 0)
		result = take_ranges(&k, range, ranges, e);
	if (result == 0)
		result = hash_files(&k, quiet, e);
	if (result == 0)
		result = write_staging(out, staging, e);
	if (result == 0)
		result = statement_write(out, e);
	tensor_index_free(&k.index);
	folder_close(&k.folder);
	if (result < 0)
		signing_manifest_free(out);
	return result;
}
