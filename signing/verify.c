#include "base/progress.h"
#include "signing/hash.h"
#include "signing/load.h"
#include "signing/statement.h"
#include "signing/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checking {
	const struct signing_manifest *m;
	struct signing_report *r;
	struct source *under;
	struct signing_manifest shadow; /* tensors of the release, once they were needed */
	struct tensor_index index;
	bool tensors_tried, tensors_usable;
	struct progress progress;
};

void signing_report_free(struct signing_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->difference[i].path);
		free(r->difference[i].tensor);
		free(r->difference[i].expected);
		free(r->difference[i].found);
	}
	free(r->difference);
	*r = (struct signing_report){ .ok = false };
}

static int differ(struct signing_report *r, const char *path, const char *tensor,
		  const char *expected, const char *found, struct err *e)
{
	struct signing_difference *d = realloc(r->difference, (r->count + 1) * sizeof *d);
	if (!d)
		return err_set(e, ERR_NOMEM, "out of memory for a report");
	r->difference = d;
	d = &r->difference[r->count++];
	*d = (struct signing_difference){
		.path = strdup(path),
		.expected = strdup(expected),
		.found = strdup(found),
		.tensor = tensor ? strdup(tensor) : NULL,
	};
	if (!d->path || (tensor && !d->tensor) || !d->expected || !d->found)
		return err_set(e, ERR_NOMEM, "out of memory for a report");
	return 0;
}

/* What stands behind a link that is not followed is unknown. */
static int leave_unchecked(struct signing_report *r, const char *path, const char *expected,
			   const char *why, struct err *e)
{
	TRY(differ(r, path, NULL, expected, why, e));
	r->difference[r->count - 1].unchecked = true;
	r->unchecked++;
	return 0;
}

static int differ_digest(struct signing_report *r, const char *path, const char *tensor,
			 const struct digest *expected, const struct digest *found, struct err *e)
{
	char a[DIGEST_TEXT_ROOM], b[DIGEST_TEXT_ROOM];
	digest_text(expected, a);
	digest_text(found, b);
	return differ(r, path, tensor, a, b, e);
}

/* Tensor digests are worth reading only once something differs, and may themselves be what was
 * changed. */
static bool load_tensors(struct checking *k)
{
	if (k->tensors_tried)
		return k->tensors_usable;
	k->tensors_tried = true;
	k->tensors_usable = signing_manifest_shadow(&k->shadow, k->m, NULL) == 0 &&
			    signing_manifest_load_tensors(&k->shadow, k->under, NULL) == 0 &&
			    signing_tensor_index_make(&k->index, k->shadow.tensor,
						      k->shadow.tensor_count, NULL) == 0;
	return k->tensors_usable;
}

/* Hash the tensors of a changed file again; *named counts those that differ. Tensors that end
 * beyond the file are reported without hashing. */
static int name_tensors(struct checking *k, const struct signing_file *f, uint64_t bytes,
			size_t *named, struct err *e)
{
	size_t count;
	const size_t *at = signing_tensor_index_file(&k->index, f->name, &count);
	struct hash_job job = { .name = f->name, .bytes = bytes };
	job.range = calloc(count + 1, sizeof *job.range);
	if (!job.range)
		return err_set(e, ERR_NOMEM, "out of memory for a report");
	int result = 0;
	for (; job.ranges < count; job.ranges++) {
		const struct signing_tensor *t = &k->shadow.tensor[at[job.ranges]];
		if (t->begin + t->bytes > bytes)
			break;
		job.range[job.ranges] = (struct hash_range){ .begin = t->begin, .bytes = t->bytes };
	}
	if (count)
		result = signing_hash_file(k->under, &job, e);
	for (size_t i = 0; i < count && result == 0; i++) {
		const struct signing_tensor *t = &k->shadow.tensor[at[i]];
		char expected[DIGEST_TEXT_ROOM];
		digest_text(&t->digest, expected);
		if (i >= job.ranges)
			result = differ(k->r, f->name, t->name, expected, "the file ends before it",
					e);
		else if (!digest_equal(&t->digest, &job.range[i].digest))
			result = differ_digest(k->r, f->name, t->name, &t->digest,
					       &job.range[i].digest, e);
		else
			continue;
		(*named)++;
	}
	free(job.range);
	return result;
}

static int check_begin(void *ctx, size_t i, struct hash_job *job, struct err *e)
{
	struct checking *k = ctx;
	const struct signing_file *f = &k->m->file[i];
	char expected[DIGEST_TEXT_ROOM];
	struct err why = { 0 };
	int rc = source_size(k->under, f->name, &job->bytes, &why);
	job->name = f->name;
	digest_text(&f->digest, expected);
	if (rc == ERR_NOTFOUND)
		TRY(differ(k->r, f->name, NULL, expected, "missing", e));
	else if (rc == ERR_INPUT)
		TRY(differ(k->r, f->name, NULL, expected, "not a regular file", e));
	else if (rc == ERR_UNSUPPORTED)
		TRY(leave_unchecked(k->r, f->name, expected, why.text, e));
	else if (rc < 0)
		return err_set(e, rc, "%s", why.text);
	return rc < 0;
}

/* The right bytes under a wrong statement of their number. */
static int check_size(struct signing_report *r, const struct signing_file *f, uint64_t bytes,
		      struct err *e)
{
	char expected[40], found[40];
	if (!f->has_bytes || f->bytes == bytes)
		return 0;
	snprintf(expected, sizeof expected, "%llu bytes", (unsigned long long)f->bytes);
	snprintf(found, sizeof found, "%llu bytes", (unsigned long long)bytes);
	return differ(r, f->name, NULL, expected, found, e);
}

static int check_end(void *ctx, size_t i, struct hash_job *job, struct err *e)
{
	struct checking *k = ctx;
	const struct signing_file *f = &k->m->file[i];
	char expected[DIGEST_TEXT_ROOM];
	size_t named = 0;
	bool pointer = false;
	k->r->bytes += job->bytes;
	if (digest_equal(&job->digest, &f->digest))
		return check_size(k->r, f, job->bytes, e);
	digest_text(&f->digest, expected);
	TRY(source_is_pointer(k->under, f->name, &pointer, e));
	if (pointer)
		return differ(k->r, f->name, NULL, expected, SOURCE_POINTER, e);
	if (load_tensors(k))
		TRY(name_tensors(k, f, job->bytes, &named, e));
	return named ? 0 : differ_digest(k->r, f->name, NULL, &f->digest, &job->digest, e);
}

/* What is there and not listed. Listed names were looked at one by one. */
static int check_extra(struct checking *k, struct err *e)
{
	struct file_tree there = { 0 };
	size_t count = STATEMENT_IGNORED_ALWAYS + k->m->ignore_count;
	const char **ignore = malloc(count * sizeof *ignore);
	if (!ignore)
		return err_set(e, ERR_NOMEM, "out of memory for a folder");
	memcpy(ignore, signing_statement_ignored, STATEMENT_IGNORED_ALWAYS * sizeof *ignore);
	for (size_t i = 0; i < k->m->ignore_count; i++)
		ignore[STATEMENT_IGNORED_ALWAYS + i] = k->m->ignore[i];
	int rc = source_list(k->under, ignore, count, &there, e);
	for (size_t i = 0; rc == 0 && i < there.count; i++)
		if (signing_statement_find(k->m, there.entry[i].name) < 0)
			rc = differ(k->r, there.entry[i].name, NULL, "not in the manifest",
				    file_kind_name(there.entry[i].kind), e);
	file_tree_free(&there);
	free(ignore);
	return rc;
}

static int by_place(const void *a, const void *b)
{
	const struct signing_difference *x = a, *y = b;
	int order = strcmp(x->path, y->path);
	return order ? order : strcmp(x->tensor ? x->tensor : "", y->tensor ? y->tensor : "");
}

static uint64_t total_bytes(const struct checking *k)
{
	uint64_t total = 0, bytes = 0;
	for (size_t i = 0; i < k->m->file_count; i++)
		if (source_size(k->under, k->m->file[i].name, &bytes, NULL) == 0)
			total += bytes;
	return total;
}

int signing_manifest_check(struct signing_report *r, const struct signing_manifest *m,
			   struct source *under, unsigned flags, struct err *e)
{
	struct checking k = { .m = m, .r = r, .under = under };
	struct hash_run files = {
		.source = under,
		.count = m->file_count,
		.begin = check_begin,
		.end = check_end,
		.ctx = &k,
		.progress = &k.progress,
	};
	bool quiet = flags & SIGNING_QUIET;
	int rc = 0;
	*r = (struct signing_report){ .ok = false };
	progress_start(&k.progress, "verifying", quiet ? 0 : total_bytes(&k), quiet);
	TRY_OUT(signing_hash_files(&files, e));
	if (!(flags & SIGNING_IGNORE_UNSIGNED))
		TRY_OUT(check_extra(&k, e));
	if (r->count)
		qsort(r->difference, r->count, sizeof *r->difference, by_place);
	r->ok = r->count == 0;
out:
	progress_end(&k.progress);
	signing_tensor_index_free(&k.index);
	signing_manifest_shadow_free(&k.shadow);
	if (rc < 0)
		signing_report_free(r);
	return rc;
}
