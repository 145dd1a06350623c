#include "base/file.h"
#include "base/limits.h"
#include "base/progress.h"
#include "signing/chunks.h"
#include "signing/hash.h"
#include "base/names.h"
#include "signing/statement.h"
#include "signing/tensors.h"

#include <stdlib.h>
#include <string.h>

/* A manifest in the making. */
struct making {
	struct signing_manifest *m;
	struct source *source;
	struct file_tree there;
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

static int add_file(struct signing_manifest *m, const char *name, struct err *e)
{
	m->file[m->file_count].name = strdup(name);
	if (!m->file[m->file_count].name)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	m->file_count++;
	return 0;
}

/* The rule for names as one set, which holds for what is published. */
static int check_names(const struct file_tree *there, struct err *e)
{
	struct names *names = NULL;
	int rc = 0;
	TRY(names_open(&names, e));
	TRY_OUT(names_add(names, SIGNING_BUNDLE, false, e));
	TRY_OUT(names_add(names, SIGNING_CHUNKS, false, e));
	TRY_OUT(names_add(names, SIGNING_TENSORS, false, e));
	for (size_t i = 0; i < there->count; i++)
		TRY_OUT(names_add(names, there->entry[i].name, false, e));
out:
	names_close(names);
	return rc;
}

static int add_ignored(struct signing_manifest *m, const char *name, size_t len, struct err *e)
{
	char **grown = realloc(m->ignore, (m->ignore_count + 1) * sizeof *grown);
	if (!grown)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	m->ignore = grown;
	m->ignore[m->ignore_count] = strndup(name, len);
	if (!m->ignore[m->ignore_count])
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	m->ignore_count++;
	return 0;
}

static int take_ignored(struct signing_manifest *m, struct err *e)
{
	for (size_t i = 0; i < STATEMENT_IGNORED; i++)
		TRY(add_ignored(m, signing_statement_ignored[i],
				strlen(signing_statement_ignored[i]), e));
	return 0;
}

/* Take out of the list what is ignored wherever it lies. OMS knows only whole paths: those found go
 * into the statement. What lies below one path stands together in the list. */
static int drop_ignored(struct making *k, struct err *e)
{
	struct file_tree *t = &k->there;
	size_t kept = 0;
	int rc = 0;
	for (size_t i = 0; i < t->count; i++) {
		char *name = t->entry[i].name;
		size_t len = signing_ignored(name), last = k->m->ignore_count;
		if (len == 0) {
			t->entry[kept++] = t->entry[i];
			continue;
		}
		const char *before = last ? k->m->ignore[last - 1] : "";
		if (rc == 0 && (strncmp(before, name, len) != 0 || before[len] != '\0'))
			rc = add_ignored(k->m, name, len, e);
		free(name);
	}
	t->count = kept;
	return rc;
}

/* List what is there without the remains of an earlier release. */
static int take_files(struct making *k, struct err *e)
{
	const char *skip[STATEMENT_IGNORED + 2] = { SIGNING_CHUNKS, SIGNING_TENSORS };
	memcpy(skip + 2, signing_statement_ignored, sizeof signing_statement_ignored);
	TRY(take_ignored(k->m, e));
	TRY(source_list(k->source, skip, STATEMENT_IGNORED + 2, &k->there, e));
	TRY(drop_ignored(k, e));
	if (k->there.count == 0)
		return err_set(e, ERR_INPUT, "%s: an empty folder", k->source->label);
	k->m->file = calloc(k->there.count + 2, sizeof *k->m->file);
	if (!k->m->file)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	for (size_t i = 0; i < k->there.count; i++) {
		const struct file_entry *f = &k->there.entry[i];
		TRY(source_entry_check(k->source, f, e));
		k->m->links = k->m->links || f->kind == FILE_LINKED;
		TRY(add_file(k->m, f->name, e));
	}
	return 0;
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
	return signing_tensor_check(t, e);
}

static int by_tensor_name(const void *a, const void *b)
{
	return signing_tensor_order(a, b);
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
		if (result == 0 && signing_statement_find(m, m->tensor[m->tensor_count].file) < 0)
			result = err_set(e, ERR_INPUT, "tensor %.200s: no file %.200s",
					 range[m->tensor_count].name, range[m->tensor_count].file);
		if (result < 0) {
			m->tensor_count++; /* so that freeing sees the half-made one */
			return result;
		}
	}
	qsort(m->tensor, count, sizeof *m->tensor, by_tensor_name);
	for (size_t i = 1; i < count; i++)
		if (signing_tensor_order(&m->tensor[i - 1], &m->tensor[i]) == 0)
			return err_set(e, ERR_INPUT, "tensor %.200s: given twice",
				       m->tensor[i].name);
	return signing_tensor_index_make(&k->index, m->tensor, count, e);
}

/* The file's tensors as ranges to hash, in order of place. */
static int file_ranges(const struct making *k, struct hash_job *job, struct err *e)
{
	const size_t *at = signing_tensor_index_file(&k->index, job->name, &job->ranges);
	job->range = calloc(job->ranges + 1, sizeof *job->range);
	if (!job->range)
		return err_set(e, ERR_NOMEM, "out of memory for tensors");
	for (size_t i = 0; i < job->ranges; i++) {
		const struct signing_tensor *t = &k->m->tensor[at[i]];
		job->range[i].begin = t->begin;
		job->range[i].bytes = t->bytes;
		if (t->begin + t->bytes > job->bytes)
			return err_set(e, ERR_INPUT, "tensor %.200s: its range ends beyond %.200s",
				       t->name, job->name);
	}
	return 0;
}

static int make_begin(void *ctx, size_t i, struct hash_job *job, struct err *e)
{
	struct making *k = ctx;
	job->name = k->m->file[i].name;
	TRY(source_size(k->source, job->name, &job->bytes, e));
	job->want_leaves = job->bytes >= SIGNING_CHUNK_BYTES;
	return file_ranges(k, job, e);
}

/* What one read of the file gave, and the trees over it. */
static int make_end(void *ctx, size_t i, struct hash_job *job, struct err *e)
{
	struct making *k = ctx;
	struct signing_file *f = &k->m->file[i];
	const size_t *at = signing_tensor_index_file(&k->index, f->name, &job->ranges);
	for (size_t n = 0; n < job->ranges; n++)
		k->m->tensor[at[n]].digest = job->range[n].digest;
	f->bytes = job->bytes;
	f->has_bytes = true;
	f->digest = job->digest;
	if (f->bytes < SIGNING_CHUNK_BYTES)
		return 0;
	f->has_chunks = true;
	f->leaf = job->leaf;
	job->leaf = NULL;
	f->chunk_count = job->leaves;
	f->chunk_root = signing_hash_tree(f->leaf, f->chunk_count);
	TRY(signing_tensors_tree(&k->index, f->name, &f->tensor_count, &f->tensor_root, e));
	f->has_tensors = f->tensor_count > 0;
	return 0;
}

static int hash_model(struct making *k, bool quiet, struct err *e)
{
	struct hash_run files = {
		.source = k->source,
		.count = k->m->file_count,
		.begin = make_begin,
		.end = make_end,
		.ctx = k,
		.progress = &k->progress,
	};
	uint64_t total = 0, bytes = 0;
	for (size_t i = 0; !quiet && i < k->m->file_count; i++)
		if (source_size(k->source, k->m->file[i].name, &bytes, NULL) == 0)
			total += bytes;
	progress_start(&k->progress, "hashing", total, quiet);
	int rc = signing_hash_files(&files, e);
	progress_end(&k->progress);
	return rc;
}

/* Write one of our own files and read it again: what is signed is what lies there. */
static int stage_own(const char *staging, const char *name, const struct buf *text, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct buf again = { 0 };
	TRY(file_join(path, staging, name, e));
	TRY(file_write_durable(path, text->bytes, text->len, 0644, e));
	int rc = file_read(path, text->len, &again, e);
	if (rc == 0 && (again.len != text->len || memcmp(again.bytes, text->bytes, text->len) != 0))
		rc = err_set(e, ERR_IO, "%s: not what was written to it", path);
	buf_free(&again);
	return rc;
}

static int add_own(struct signing_manifest *m, const char *staging, const char *name, bool leaves,
		   const struct buf *text, struct err *e)
{
	TRY(buf_done(text, e));
	if (staging) /* else only the root is wanted */
		TRY(stage_own(staging, name, text, e));
	TRY(add_file(m, name, e));
	struct signing_file *f = &m->file[m->file_count - 1];
	f->digest = digest_of(text->bytes, text->len);
	f->bytes = text->len;
	f->has_bytes = true;
	if (leaves && text->len >= SIGNING_CHUNK_BYTES) {
		f->leaf = signing_hash_leaves(text->bytes, text->len, &f->chunk_count);
		if (!f->leaf)
			return err_set(e, ERR_NOMEM, "out of memory for a manifest");
		f->chunk_root = signing_hash_tree(f->leaf, f->chunk_count);
		f->has_chunks = true;
	}
	return 0;
}

/* Tensors first: hallmark.chunks then holds the leaves of all files but itself. */
static int add_owns(struct signing_manifest *m, const char *staging, struct err *e)
{
	struct buf text = { 0 };
	signing_tensors_write(m, &text);
	int result = add_own(m, staging, SIGNING_TENSORS, true, &text, e);
	if (result == 0) {
		sort_files(m);
		buf_clear(&text);
		signing_chunks_write(m->file, m->file_count, &text);
		result = add_own(m, staging, SIGNING_CHUNKS, false, &text, e);
		sort_files(m);
	}
	buf_free(&text);
	return result;
}

int signing_manifest_make(struct signing_manifest *out, const struct signing_making *how,
			  struct err *e)
{
	struct making k = { .m = out, .source = how->source };
	int rc = 0;
	*out = (struct signing_manifest){ .model_name = strdup(how->name) };
	if (!*how->name)
		TRY_OUT(err_set(e, ERR_INPUT, "%s: no folder with a name", how->source->label));
	if (!out->model_name)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	TRY_OUT(take_files(&k, e));
	TRY_OUT(check_names(&k.there, e));
	TRY_OUT(take_ranges(&k, how->range, how->ranges, e));
	TRY_OUT(hash_model(&k, how->quiet, e));
	TRY_OUT(add_owns(out, how->staging, e));
	TRY_OUT(signing_statement_write(out, e));
out:
	signing_tensor_index_free(&k.index);
	file_tree_free(&k.there);
	if (rc < 0)
		signing_manifest_free(out);
	return rc;
}

int signing_manifest_rename(struct signing_manifest *m, const char *name, struct err *e)
{
	char *copy = strdup(name);
	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	free(m->model_name);
	m->model_name = copy;
	buf_clear(&m->payload);
	return signing_statement_write(m, e);
}

int signing_root_of(struct source *s, const struct signing_range *range, size_t ranges,
		    struct digest *root, struct err *e)
{
	struct signing_manifest m = { .file = NULL };
	struct making k = { .m = &m, .source = s };
	int rc = 0;
	TRY_OUT(take_files(&k, e));
	TRY_OUT(take_ranges(&k, range, ranges, e));
	TRY_OUT(hash_model(&k, true, e));
	TRY_OUT(add_owns(&m, NULL, e));
	TRY_OUT(signing_statement_root(&m, e));
	*root = m.root;
out:
	signing_tensor_index_free(&k.index);
	file_tree_free(&k.there);
	signing_manifest_free(&m);
	return rc;
}
