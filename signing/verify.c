#include "base/progress.h"
#include "signing/folder.h"
#include "signing/hash.h"
#include "signing/load.h"
#include "signing/statement.h"
#include "signing/tensors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct checking {
	const struct signing_manifest *m;
	struct signing_report *r;
	struct folder folder;
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
	*d = (struct signing_difference){ strdup(path), tensor ? strdup(tensor) : NULL,
					  strdup(expected), strdup(found) };
	if (!d->path || (tensor && !d->tensor) || !d->expected || !d->found)
		return err_set(e, ERR_NOMEM, "out of memory for a report");
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
	k->tensors_usable =
		manifest_shadow(&k->shadow, k->m, NULL) == 0 &&
		manifest_load_tensors(&k->shadow, k->folder.fd, NULL) == 0 &&
		tensor_index_make(&k->index, k->shadow.tensor, k->shadow.tensor_count, NULL) == 0;
	return k->tensors_usable;
}

/* Hash the tensors of a changed file again; *named counts those that differ. Tensors that end
 * beyond the file are reported without hashing. */
static int name_tensors(struct checking *k, const struct signing_file *f, int fd, uint64_t bytes,
			size_t *named, struct err *e)
{
	size_t count;
	const size_t *at = tensor_index_file(&k->index, f->name, &count);
	struct hash_job job = { .fd = fd, .name = f->name, .bytes = bytes };
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
		result = hash_file(&job, e);
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

static int check_open_file(struct checking *k, const struct signing_file *f, int fd, uint64_t bytes,
			   struct err *e)
{
	struct hash_job job = {
		.fd = fd, .name = f->name, .bytes = bytes, .progress = &k->progress
	};
	size_t named = 0;
	TRY(hash_file(&job, e));
	k->r->bytes += bytes;
	if (digest_equal(&job.digest, &f->digest))
		return 0;
	if (load_tensors(k))
		TRY(name_tensors(k, f, fd, bytes, &named, e));
	return named ? 0 : differ_digest(k->r, f->name, NULL, &f->digest, &job.digest, e);
}

static int check_file(struct checking *k, const struct signing_file *f, struct err *e)
{
	char expected[DIGEST_TEXT_ROOM];
	struct err why = { 0 };
	uint64_t bytes = 0;
	int fd = -1, result = folder_file(k->folder.fd, f->name, &fd, &bytes, &why);
	digest_text(&f->digest, expected);
	if (result == ERR_NOTFOUND)
		return differ(k->r, f->name, NULL, expected, "missing", e);
	if (result == ERR_INPUT)
		return differ(k->r, f->name, NULL, expected, "not a regular file, or behind a link",
			      e);
	if (result < 0)
		return err_set(e, result, "%s", why.text);
	result = check_open_file(k, f, fd, bytes, e);
	close(fd);
	return result;
}

/* What lies in the folder and is not listed. Listed names were looked at one by one. */
static int check_extra(struct checking *k, struct err *e)
{
	for (size_t i = 0; i < k->folder.count; i++) {
		const struct folder_entry *f = &k->folder.entry[i];
		if (statement_find(k->m, f->name) < 0)
			TRY(differ(k->r, f->name, NULL, "not in the manifest",
				   folder_kind_name(f->kind), e));
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct signing_difference *x = a, *y = b;
	int order = strcmp(x->path, y->path);
	return order ? order : strcmp(x->tensor ? x->tensor : "", y->tensor ? y->tensor : "");
}

static int open_folder(struct checking *k, const char *dir, struct err *e)
{
	size_t count = STATEMENT_IGNORED + k->m->ignore_count;
	const char **ignore = malloc(count * sizeof *ignore);
	if (!ignore)
		return err_set(e, ERR_NOMEM, "out of memory for a folder");
	memcpy(ignore, statement_ignored, sizeof statement_ignored);
	for (size_t i = 0; i < k->m->ignore_count; i++)
		ignore[STATEMENT_IGNORED + i] = k->m->ignore[i];
	int result = folder_open(&k->folder, dir, ignore, count, e);
	free(ignore);
	return result;
}

static uint64_t total_bytes(const struct checking *k)
{
	uint64_t total = 0;
	for (size_t i = 0; i < k->m->file_count; i++) {
		struct stat st;
		if (fstatat(k->folder.fd, k->m->file[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			total += (uint64_t)st.st_size;
	}
	return total;
}

int signing_manifest_check(const struct signing_manifest *m, const char *dir, bool ignore_unsigned,
			   bool quiet, struct signing_report *r, struct err *e)
{
	struct checking k = { .m = m, .r = r, .folder = { .fd = -1 } };
	*r = (struct signing_report){ .ok = false };
	TRY(open_folder(&k, dir, e));
	progress_start(&k.progress, "verifying", total_bytes(&k), quiet);
	int result = 0;
	for (size_t i = 0; i < m->file_count && result == 0; i++)
		result = check_file(&k, &m->file[i], e);
	if (result == 0 && !ignore_unsigned)
		result = check_extra(&k, e);
	progress_end(&k.progress);
	tensor_index_free(&k.index);
	manifest_shadow_free(&k.shadow);
	folder_close(&k.folder);
	if (result < 0) {
		signing_report_free(r);
		return result;
	}
	if (r->count)
		qsort(r->difference, r->count, sizeof *r->difference, by_place);
	r->ok = r->count == 0;
	return 0;
}
