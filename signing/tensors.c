/* hallmark.tensors, an ordinary listed file of a release. All integers are little-endian.
 *
 *     0   8  "HMTENSR1"
 *     8   4  u32 version, 1
 *     12  4  u32 number of tensors
 *     then per tensor, in ascending order of name bytes and then of file bytes, one record:
 *         u16 length of name, name; u8 length of dtype, dtype; u8 rank; rank x u64 dimensions;
 *         u16 length of file, file; u64 first byte in the file; u64 number of bytes;
 *         SHA-256 of those bytes
 *
 * Valid: that order, no name twice in one file, rank at most 8, files listed in the manifest,
 * ranges inside their file and disjoint, and no byte after the last record. A file's descriptor may
 * state count and root of its records: RFC 6962 over SHA-256(0x00 || record), in order of name. */
#include "signing/tensors.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/names.h"
#include "signing/reader.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "HMTENSR1"
#define VERSION 1
#define TENSOR_NAME_BYTES 1024 /* the longest in the field is below 200 */
#define TENSOR_DTYPE_BYTES 32
#define RECORD_MIN (2 + 1 + 1 + 1 + 1 + 2 + 1 + 8 + 8 + 32)

static void write_record(const struct signing_tensor *t, struct buf *out)
{
	buf_add_u16le(out, (uint16_t)strlen(t->name));
	buf_add_text(out, t->name);
	buf_add_byte(out, (unsigned char)strlen(t->dtype));
	buf_add_text(out, t->dtype);
	buf_add_byte(out, (unsigned char)t->rank);
	for (int i = 0; i < t->rank; i++)
		buf_add_u64le(out, t->shape[i]);
	buf_add_u16le(out, (uint16_t)strlen(t->file));
	buf_add_text(out, t->file);
	buf_add_u64le(out, t->begin);
	buf_add_u64le(out, t->bytes);
	buf_add(out, t->digest.bytes, 32);
}

void signing_tensors_write(const struct signing_manifest *m, struct buf *out)
{
	buf_add_text(out, MAGIC);
	buf_add_u32le(out, VERSION);
	buf_add_u32le(out, (uint32_t)m->tensor_count);
	for (size_t i = 0; i < m->tensor_count; i++)
		write_record(&m->tensor[i], out);
}

static bool printable(const char *s, size_t max)
{
	size_t len = strlen(s);
	if (len == 0 || len > max || !text_utf8_valid(s, len))
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

int signing_tensor_order(const struct signing_tensor *a, const struct signing_tensor *b)
{
	int order = strcmp(a->name, b->name);
	return order ? order : strcmp(a->file, b->file);
}

int signing_tensor_check(const struct signing_tensor *t, struct err *e)
{
	if (!printable(t->name, TENSOR_NAME_BYTES))
		return err_set(e, ERR_INPUT,
			       "a tensor name that is empty, too long or not plain UTF-8");
	if (!printable(t->dtype, TENSOR_DTYPE_BYTES))
		return err_set(e, ERR_INPUT,
			       "tensor %.200s: dtype is empty, too long or not plain UTF-8",
			       t->name);
	if (t->rank < 0 || t->rank > 8)
		return err_set(e, ERR_INPUT, "tensor %.200s: rank %d, the limit is 8", t->name,
			       t->rank);
	if (t->bytes > UINT64_MAX - t->begin)
		return err_set(e, ERR_INPUT, "tensor %.200s: its range overflows", t->name);
	return name_check(t->file, strlen(t->file), e);
}

void signing_tensors_free(struct signing_tensor *tensor, size_t count)
{
	for (size_t i = 0; tensor && i < count; i++) {
		free(tensor[i].name);
		free(tensor[i].dtype);
		free(tensor[i].file);
	}
	free(tensor);
}

static int read_record(struct reader *r, struct signing_tensor *t, struct err *e)
{
	t->name = signing_reader_string(r, 2);
	t->dtype = signing_reader_string(r, 1);
	t->rank = (int)reader_uint(r, 1);
	for (int i = 0; i < t->rank && !r->failed; i++) {
		uint64_t dimension = reader_uint(r, 8);
		if (i < 8)
			t->shape[i] = dimension;
	}
	t->file = signing_reader_string(r, 2);
	t->begin = reader_uint(r, 8);
	t->bytes = reader_uint(r, 8);
	const uint8_t *digest = reader_bytes(r, 32);
	if (r->failed || !digest)
		return err_set(e, ERR_INPUT, SIGNING_TENSORS ": damaged or cut off");
	memcpy(t->digest.bytes, digest, 32);
	return signing_tensor_check(t, e);
}

static int by_name(const void *key, const void *file)
{
	return strcmp(key, ((const struct signing_file *)file)->name);
}

static int check_file(const struct signing_tensor *t, const struct signing_manifest *m,
		      struct err *e)
{
	const struct signing_file *f =
		bsearch(t->file, m->file, m->file_count, sizeof *m->file, by_name);
	if (!f)
		return err_set(e, ERR_INPUT,
			       "tensor %.200s: its file %.200s is not in the manifest", t->name,
			       t->file);
	if (f->has_bytes && t->begin + t->bytes > f->bytes)
		return err_set(e, ERR_INPUT, "tensor %.200s: its range ends beyond %.200s", t->name,
			       t->file);
	return 0;
}

static int read_records(struct reader *r, const struct signing_manifest *m,
			struct signing_tensor *tensor, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		TRY(read_record(r, &tensor[i], e));
		TRY(check_file(&tensor[i], m, e));
		if (i && signing_tensor_order(&tensor[i - 1], &tensor[i]) >= 0)
			return err_set(e, ERR_INPUT,
				       SIGNING_TENSORS ": %.200s is out of order or repeated",
				       tensor[i].name);
	}
	return r->left ? err_set(e, ERR_INPUT, SIGNING_TENSORS ": bytes after the last record") : 0;
}

/* What a descriptor states about its tensors must be so; and no two tensors share a byte. */
static int check_trees(const struct signing_manifest *m, const struct signing_tensor *tensor,
		       size_t count, struct err *e)
{
	struct tensor_index x;
	struct digest root;
	uint64_t in_file;
	TRY(signing_tensor_index_make(&x, tensor, count, e));
	int result = 0;
	for (size_t i = 0; i < m->file_count && result == 0; i++) {
		const struct signing_file *f = &m->file[i];
		if (!f->has_tensors)
			continue;
		result = signing_tensors_tree(&x, f->name, &in_file, &root, e);
		if (result == 0 &&
		    (in_file != f->tensor_count || !digest_equal(&root, &f->tensor_root)))
			result = err_set(e, ERR_INPUT,
					 SIGNING_TENSORS ": not the tensors signed for %.200s",
					 f->name);
	}
	signing_tensor_index_free(&x);
	return result;
}

int signing_tensors_read(const void *bytes, size_t len, const struct signing_manifest *m,
			 struct signing_tensor **tensor, size_t *count, struct err *e)
{
	struct reader r = { bytes, len, false };
	const uint8_t *magic = reader_bytes(&r, 8);
	if (!magic || memcmp(magic, MAGIC, 8) != 0)
		return err_set(e, ERR_INPUT, SIGNING_TENSORS ": does not start with " MAGIC);
	uint64_t version = reader_uint(&r, 4), records = reader_uint(&r, 4);
	if (version != VERSION)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: " SIGNING_TENSORS " version %llu",
			       (unsigned long long)version);
	if (r.failed || records > LIMIT_TENSORS || records > r.left / RECORD_MIN)
		return err_set(e, ERR_INPUT, SIGNING_TENSORS ": damaged or cut off");
	struct signing_tensor *all = calloc((size_t)records + 1, sizeof *all);
	if (!all)
		return err_set(e, ERR_NOMEM, "out of memory for " SIGNING_TENSORS);
	int result = read_records(&r, m, all, (size_t)records, e);
	if (result == 0)
		result = check_trees(m, all, (size_t)records, e);
	if (result < 0) {
		signing_tensors_free(all, (size_t)records);
		return result;
	}
	*tensor = all;
	*count = (size_t)records;
	return 0;
}

static int by_place(const void *a, const void *b, void *tensor)
{
	const struct signing_tensor *t = tensor, *x = &t[*(const size_t *)a],
				    *y = &t[*(const size_t *)b];
	int order = strcmp(x->file, y->file);
	if (order)
		return order;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes
			       ? -1
			       : 1; /* an empty one before the one that starts where it stands */
	return x < y ? -1 : x > y;
}

int signing_tensor_index_make(struct tensor_index *out, const struct signing_tensor *tensor,
			      size_t count, struct err *e)
{
	*out = (struct tensor_index){ tensor, calloc(count + 1, sizeof *out->at), count };
	if (!out->at)
		return err_set(e, ERR_NOMEM, "out of memory for tensors");
	for (size_t i = 0; i < count; i++)
		out->at[i] = i;
	if (count)
		qsort_r(out->at, count, sizeof *out->at, by_place, (void *)tensor);
	for (size_t i = 1; i < count; i++) {
		const struct signing_tensor *a = &tensor[out->at[i - 1]], *b = &tensor[out->at[i]];
		if (strcmp(a->file, b->file) == 0 && a->begin + a->bytes > b->begin) {
			signing_tensor_index_free(out);
			return err_set(e, ERR_INPUT, "tensors %.150s and %.150s overlap in %.150s",
				       a->name, b->name, a->file);
		}
	}
	return 0;
}

void signing_tensor_index_free(struct tensor_index *x)
{
	free(x->at);
	*x = (struct tensor_index){ .at = NULL };
}

/* The first position whose file is not below `file` (or, after it, above). */
static size_t bound(const struct tensor_index *x, const char *file, bool after)
{
	size_t low = 0, high = x->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(x->tensor[x->at[middle]].file, file);
		if (order < 0 || (after && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const size_t *signing_tensor_index_file(const struct tensor_index *x, const char *file,
					size_t *count)
{
	size_t first = bound(x, file, false);
	*count = bound(x, file, true) - first;
	return x->at + first;
}

static int by_number(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	return x < y ? -1 : x > y;
}

int signing_tensors_tree(const struct tensor_index *x, const char *file, uint64_t *count,
			 struct digest *root, struct err *e)
{
	struct merkle tree = { .count = 0 };
	struct buf record = { 0 };
	size_t n;
	const size_t *at = signing_tensor_index_file(x, file, &n);
	size_t *by_name_order = malloc((n + 1) * sizeof *by_name_order);
	if (!by_name_order)
		return err_set(e, ERR_NOMEM, "out of memory for tensors");
	memcpy(by_name_order, at, n * sizeof *at);
	qsort(by_name_order, n, sizeof *by_name_order,
	      by_number); /* the array itself is sorted by name */
	for (size_t i = 0; i < n; i++) {
		buf_clear(&record);
		write_record(&x->tensor[by_name_order[i]], &record);
		struct digest leaf = digest_tagged(0, record.bytes, record.len, NULL, 0);
		merkle_add(&tree, &leaf);
	}
	int result = buf_done(&record, e);
	buf_free(&record);
	free(by_name_order);
	*count = n;
	*root = merkle_root(&tree);
	return result;
}
