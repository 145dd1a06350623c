/* Tensor directory of safetensors files.
 *
 *   u64 LE N | N bytes of UTF-8 JSON | buffer
 *
 * The JSON maps a name to {dtype, shape, data_offsets: [begin, end]}, offsets from the buffer's
 * start;
 * "__metadata__" maps strings to strings. Valid when: N <= 100,000,000 and 8+N <= file size; the
 * JSON starts with '{', may end in spaces, nests at most 4 deep, repeats no key; names have no
 * control bytes; integers are at most 2^48; product of shape and element bits is whole bytes and
 * equals end-begin; and in the order of begin the ranges start at 0, each where the last one ended,
 * and the last ends with the file. So there is no hole, no overlap and nothing behind. Several
 * files (shards) never repeat a name, and their index {weight_map: {name: file}} says exactly what
 * their headers say; its other members say nothing. */
#include "model/gguf_in.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE "model.safetensors.index.json"
#define INTEGER_MAX \
	((uint64_t)1 << 48) /* no tensor file is larger; keeps every product checkable */

/* bytes of `block` values */
static const struct {
	const char *name;
	unsigned block, bytes;
} dtypes[MODEL_DTYPES] = {
	[MODEL_BOOL] = { "BOOL", 1, 1 },       [MODEL_U8] = { "U8", 1, 1 },
	[MODEL_I8] = { "I8", 1, 1 },           [MODEL_U16] = { "U16", 1, 2 },
	[MODEL_I16] = { "I16", 1, 2 },         [MODEL_U32] = { "U32", 1, 4 },
	[MODEL_I32] = { "I32", 1, 4 },         [MODEL_U64] = { "U64", 1, 8 },
	[MODEL_I64] = { "I64", 1, 8 },         [MODEL_F16] = { "F16", 1, 2 },
	[MODEL_BF16] = { "BF16", 1, 2 },       [MODEL_F32] = { "F32", 1, 4 },
	[MODEL_F64] = { "F64", 1, 8 },         [MODEL_F8_E4M3] = { "F8_E4M3", 1, 1 },
	[MODEL_F8_E5M2] = { "F8_E5M2", 1, 1 }, [MODEL_F8_E8M0] = { "F8_E8M0", 1, 1 },
	[MODEL_F4] = { "F4", 2, 1 },           [MODEL_Q8_0] = { "Q8_0", 32, 34 },
	[MODEL_Q4_0] = { "Q4_0", 32, 18 },     [MODEL_Q4_K] = { "Q4_K", 256, 144 },
	[MODEL_Q5_K] = { "Q5_K", 256, 176 },   [MODEL_Q6_K] = { "Q6_K", 256, 210 },
	[MODEL_MXFP4] = { "MXFP4", 32, 17 },   [MODEL_Q4_1] = { "Q4_1", 32, 20 },
	[MODEL_Q5_0] = { "Q5_0", 32, 22 },     [MODEL_Q5_1] = { "Q5_1", 32, 24 },
	[MODEL_Q2_K] = { "Q2_K", 256, 84 },    [MODEL_Q3_K] = { "Q3_K", 256, 110 },
	[MODEL_IQ4_NL] = { "IQ4_NL", 32, 18 }, [MODEL_IQ4_XS] = { "IQ4_XS", 256, 136 },
	[MODEL_IQ1_S] = { "IQ1_S", 256, 50 },  [MODEL_IQ1_M] = { "IQ1_M", 256, 56 },
	[MODEL_IQ2_XXS] = { "IQ2_XXS", 256, 66 }, [MODEL_IQ2_XS] = { "IQ2_XS", 256, 74 },
	[MODEL_IQ2_S] = { "IQ2_S", 256, 82 },  [MODEL_IQ3_XXS] = { "IQ3_XXS", 256, 98 },
	[MODEL_IQ3_S] = { "IQ3_S", 256, 110 }, [MODEL_TQ1_0] = { "TQ1_0", 256, 54 },
	[MODEL_TQ2_0] = { "TQ2_0", 256, 66 },
};

const char *model_dtype_name(enum model_dtype d) { return dtypes[d].name; }

unsigned model_dtype_bits(enum model_dtype d) { return dtypes[d].bytes * 8 / dtypes[d].block; }

unsigned model_dtype_block(enum model_dtype d) { return dtypes[d].block; }

uint64_t model_dtype_bytes(enum model_dtype d, uint64_t n)
{
	return n / dtypes[d].block * dtypes[d].bytes;
}

static int dtype_read(const char *text, const char *where, enum model_dtype *out, struct err *e)
{
	for (size_t i = 0; i < MODEL_Q8_0; i++) { /* the others are GGUF's */
		if (strcmp(dtypes[i].name, text) == 0) {
			*out = (enum model_dtype)i;
			return 0;
		}
	}
	return err_set(e, ERR_UNSUPPORTED, "%s: unknown dtype \"%.40s\"", where, text);
}

static int integer_read(const json_t *v, const char *where, const char *key, uint64_t *out,
			struct err *e)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return err_set(e, ERR_INPUT, "%s: %s must hold non-negative integers", where, key);
	*out = (uint64_t)json_integer_value(v);
	if (*out > INTEGER_MAX)
		return err_set(e, ERR_INPUT, "%s: %s holds %llu, over 2^48", where, key,
			       (unsigned long long)*out);
	return 0;
}

/* Bytes that dtype and shape ask for. */
static int size_check(const struct model_tensor *t, const char *where, struct err *e)
{
	uint64_t bits = model_dtype_bits(t->dtype);
	for (int i = 0; i < t->rank; i++) {
		if (__builtin_mul_overflow(bits, t->shape[i], &bits))
			return err_set(e, ERR_INPUT, "%s: size of shape overflows", where);
	}
	if (bits % 8 != 0)
		return err_set(e, ERR_INPUT, "%s: %llu bits are not whole bytes", where,
			       (unsigned long long)bits);
	if (bits / 8 != t->bytes)
		return err_set(e, ERR_INPUT,
			       "%s: dtype %s and shape need %llu bytes, data_offsets span %llu",
			       where, dtypes[t->dtype].name, (unsigned long long)(bits / 8),
			       (unsigned long long)t->bytes);
	return 0;
}

static int shape_read(const json_t *shape, const char *where, struct model_tensor *t, struct err *e)
{
	size_t rank = json_array_size(shape);
	if (rank > sizeof t->shape / sizeof t->shape[0])
		return err_set(e, ERR_UNSUPPORTED, "%s: rank %zu, at most 8", where, rank);
	t->rank = (int)rank;
	for (size_t i = 0; i < rank; i++)
		TRY(integer_read(json_array_get(shape, i), where, "shape", &t->shape[i], e));
	return 0;
}

static int entry_read(const json_t *o, const char *where, struct model_tensor *t, struct err *e)
{
	static const char *const keys[] = { "dtype", "shape", "data_offsets", NULL };
	const char *dtype;
	json_t *shape, *offsets;
	uint64_t end;
	if (!json_is_object(o))
		return err_set(e, ERR_INPUT, "%s: not an object", where);
	TRY(json_only_keys(o, keys, where, e));
	TRY(json_get_string(o, "dtype", &dtype, where, e));
	TRY(dtype_read(dtype, where, &t->dtype, e));
	TRY(json_get_array(o, "shape", &shape, where, e));
	TRY(shape_read(shape, where, t, e));
	TRY(json_get_array(o, "data_offsets", &offsets, where, e));
	if (json_array_size(offsets) != 2)
		return err_set(e, ERR_INPUT, "%s: data_offsets must be [begin, end]", where);
	TRY(integer_read(json_array_get(offsets, 0), where, "data_offsets", &t->begin, e));
	TRY(integer_read(json_array_get(offsets, 1), where, "data_offsets", &end, e));
	if (end < t->begin)
		return err_set(e, ERR_INPUT, "%s: data_offsets end before they begin", where);
	t->bytes = end - t->begin;
	return size_check(t, where, e);
}

static int metadata_check(const json_t *o, const char *file, struct err *e)
{
	const char *key;
	json_t *v;
	if (!json_is_object(o))
		return err_set(e, ERR_INPUT, "%s: __metadata__ is not an object", file);
	json_object_foreach((json_t *)(uintptr_t)o, key, v) {
		if (!json_is_string(v))
			return err_set(e, ERR_INPUT,
				       "%s: __metadata__ key \"%.80s\" is not a string", file, key);
	}
	return 0;
}

static int name_check(const char *name, const char *file, struct err *e)
{
	if (*name == '\0' || strlen(name) > LIMIT_NAME_BYTES)
		return err_set(e, ERR_INPUT, "%s: a tensor name is empty or over %d bytes", file,
			       LIMIT_NAME_BYTES);
	for (const char *c = name; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(e, ERR_INPUT, "%s: a tensor name has a control byte 0x%02x",
				       file, (unsigned char)*c);
	}
	return 0;
}

static int by_begin(const void *a, const void *b)
{
	const struct model_tensor *x = a, *y = b;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->bytes != y->bytes ? (x->bytes < y->bytes ? -1 : 1) : strcmp(x->name, y->name);
}

/* Ranges tile the buffer; begin becomes absolute. t[count] are the tensors of one file. */
static int ranges_check(struct model_tensor *t, size_t count, uint64_t buffer, uint64_t file_bytes,
			const char *file, struct err *e)
{
	uint64_t at = 0;
	qsort(t, count, sizeof *t, by_begin);
	for (size_t i = 0; i < count; i++) {
		if (t[i].begin != at)
			return err_set(e, ERR_INPUT, "%s: tensor %s begins at %llu, %s %llu", file,
				       t[i].name, (unsigned long long)t[i].begin,
				       t[i].begin > at ? "leaving a hole from"
						       : "inside data that ends at",
				       (unsigned long long)at);
		at += t[i].bytes;
		t[i].begin += buffer;
	}
	if (at != file_bytes - buffer)
		return err_set(e, ERR_INPUT, "%s: tensors end at byte %llu, the file has %llu: %s",
			       file, (unsigned long long)(buffer + at),
			       (unsigned long long)file_bytes,
			       at < file_bytes - buffer ? "trailing bytes" : "truncated");
	return 0;
}

int model_tensors_room(struct model_tensors *d, size_t more, struct err *e)
{
	if (d->count + more > LIMIT_TENSORS)
		return err_set(e, ERR_INPUT, "more than %u tensors", LIMIT_TENSORS);
	struct model_tensor *grown = realloc(d->tensor, (d->count + more + 1) * sizeof *grown);
	if (grown == NULL)
		return err_set(e, ERR_NOMEM, "tensor directory");
	d->tensor = grown;
	return 0;
}

static int header_add(struct model_tensors *d, const json_t *root, const char *file,
		      uint64_t buffer, uint64_t file_bytes, struct err *e)
{
	char *kept = arena_copy(&d->arena, file, strlen(file));
	size_t first = d->count;
	const char *key;
	json_t *v;
	if (!json_is_object(root))
		return err_set(e, ERR_INPUT, "%s: the header is not an object", file);
	TRY(model_tensors_room(d, json_object_size(root), e));
	json_object_foreach((json_t *)(uintptr_t)root, key, v) {
		if (strcmp(key, "__metadata__") == 0) {
			TRY(metadata_check(v, file, e));
			continue;
		}
		struct model_tensor t = { .file = kept };
		char where[2 * LIMIT_NAME_BYTES + 40];
		TRY(name_check(key, file, e));
		snprintf(where, sizeof where, "%s: tensor %s", file, key);
		TRY(entry_read(v, where, &t, e));
		t.name = arena_copy(&d->arena, key, strlen(key));
		if (t.name == NULL || kept == NULL)
			return err_set(e, ERR_NOMEM, "tensor directory");
		d->tensor[d->count++] = t;
	}
	return ranges_check(d->tensor + first, d->count - first, buffer, file_bytes, file, e);
}

/* The JSON part: head[0..n). */
static int json_add(struct model_tensors *d, const char *file, const char *json, size_t n,
		    uint64_t file_bytes, struct err *e)
{
	json_t *root = NULL;
	uint64_t buffer = 8 + (uint64_t)n;
	if (n == 0 || json[0] != '{')
		return err_set(e, ERR_INPUT, "%s: the header does not start with '{'", file);
	while (json[n - 1] == ' ')
		n--;
	int r = json_read(&root, json, n, LIMIT_SAFETENSORS_HEADER, LIMIT_SAFETENSORS_DEPTH, e);
	if (r < 0)
		return err_prefix(e, "%s: header", file);
	r = header_add(d, root, file, buffer, file_bytes, e);
	json_decref(root);
	return r;
}

static uint64_t u64_le(const unsigned char *p)
{
	uint64_t v = 0;
	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static int length_check(const unsigned char head[8], const char *file, uint64_t file_bytes,
			uint64_t *n, struct err *e)
{
	*n = u64_le(head);
	if (*n > LIMIT_SAFETENSORS_HEADER)
		return err_set(e, ERR_INPUT, "%s: header of %llu bytes, at most %u", file,
			       (unsigned long long)*n, LIMIT_SAFETENSORS_HEADER);
	if (*n + 8 > file_bytes)
		return err_set(e, ERR_INPUT,
			       "%s: header of %llu bytes in a file of %llu: truncated", file,
			       (unsigned long long)*n, (unsigned long long)file_bytes);
	return 0;
}

static int file_add(struct model_tensors *d, const char *file, struct err *e)
{
	unsigned char head[8];
	uint64_t bytes, n;
	bool pointer = false;
	TRY(source_size(d->source, file, &bytes, e));
	TRY(source_is_pointer(d->source, file, &pointer, e));
	if (pointer)
		return err_set(e, ERR_INPUT, "%s: " SOURCE_POINTER, file);
	if (bytes < sizeof head)
		return err_set(e, ERR_INPUT, "%s: %llu bytes are no safetensors file: truncated",
			       file, (unsigned long long)bytes);
	TRY(source_read(d->source, file, 0, head, sizeof head, e));
	TRY(length_check(head, file, bytes, &n, e));
	char *json = malloc(n + 1);
	if (json == NULL)
		return err_set(e, ERR_NOMEM, "%s: header of %llu bytes", file,
			       (unsigned long long)n);
	int r = source_read(d->source, file, 8, json, n, e);
	if (r == 0)
		r = json_add(d, file, json, n, bytes, e);
	free(json);
	return r;
}

static int by_name(const void *a, const void *b)
{
	const struct model_tensor *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->file, y->file);
}

void model_tensors_sort(struct model_tensors *d)
{
	if (d->count > 0)
		qsort(d->tensor, d->count, sizeof *d->tensor, by_name);
}

static int finish(struct model_tensors *d, struct err *e)
{
	model_tensors_sort(d);
	for (size_t i = 1; i < d->count; i++) {
		if (strcmp(d->tensor[i - 1].name, d->tensor[i].name) == 0)
			return err_set(e, ERR_INPUT, "tensor %s is in %s and again in %s",
				       d->tensor[i].name, d->tensor[i - 1].file, d->tensor[i].file);
	}
	return 0;
}

/* ---- shards ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int shard_name_check(const char *file, struct err *e)
{
	if (*file == '\0' || strlen(file) > LIMIT_NAME_BYTES || strchr(file, '/') != NULL ||
	    file[0] == '.' || !text_ends(file, ".safetensors"))
		return err_set(e, ERR_INPUT,
			       INDEX_FILE ": \"%.80s\" is not the name of a shard beside it", file);
	return 0;
}

/* Read every shard that the map names, once. */
static int shards_add(struct model_tensors *d, json_t *map, struct err *e)
{
	size_t n = json_object_size(map), i = 0;
	const char **file = calloc(n + 1, sizeof *file), *key;
	json_t *v;
	int r = 0;
	if (file == NULL)
		return err_set(e, ERR_NOMEM, INDEX_FILE);
	json_object_foreach(map, key, v) {
		if (!json_is_string(v)) {
			r = err_set(e, ERR_INPUT,
				    INDEX_FILE ": weight_map of %.200s is not a file name", key);
			break;
		}
		file[i++] = json_string_value(v);
	}
	qsort(file, i, sizeof *file, by_text);
	for (size_t j = 0; r == 0 && j < n; j++) {
		if (j > 0 && strcmp(file[j - 1], file[j]) == 0)
			continue;
		r = shard_name_check(file[j], e);
		if (r == 0)
			r = file_add(d, file[j], e);
		if (r == ERR_NOTFOUND)
			r = err_set(e, ERR_INPUT, INDEX_FILE " names %s, which is missing",
				    file[j]);
	}
	free(file);
	return r;
}

/* Both directions: finish() has excluded repeated names, so equal counts and a hit for each is
 * equality. */
static int map_check(const struct model_tensors *d, json_t *map, struct err *e)
{
	const char *key;
	json_t *v;
	for (size_t i = 0; i < d->count; i++) {
		if (json_object_get(map, d->tensor[i].name) == NULL)
			return err_set(e, ERR_INPUT, "tensor %s in %s is not in " INDEX_FILE,
				       d->tensor[i].name, d->tensor[i].file);
	}
	json_object_foreach(map, key, v) {
		const struct model_tensor *t = model_tensors_find(d, key);
		if (t == NULL)
			return err_set(e, ERR_INPUT,
				       INDEX_FILE " puts tensor %.200s into %s, which lacks it",
				       key, json_string_value(v));
		if (strcmp(t->file, json_string_value(v)) != 0)
			return err_set(e, ERR_INPUT,
				       INDEX_FILE " puts tensor %.200s into %s, but it is in %s",
				       key, json_string_value(v), t->file);
	}
	return 0;
}

static int index_read(struct model_tensors *d, json_t *root, struct err *e)
{
	json_t *map;
	uint64_t unused;
	TRY(json_get_object(root, "weight_map", &map, INDEX_FILE, e));
	TRY(shards_add(d, map, e));
	TRY(finish(d, e));
	TRY(map_check(d, map, e));
	if (source_size(d->source, SINGLE_FILE, &unused, NULL) == 0 &&
	    (d->count == 0 || strcmp(d->tensor[0].file, SINGLE_FILE) != 0))
		return err_set(e, ERR_INPUT,
			       "both " SINGLE_FILE " and shards are present: which one is meant?");
	return 0;
}

static int sharded_read(struct model_tensors *d, struct err *e)
{
	struct buf text = { 0 };
	json_t *root = NULL;
	int r = source_read_file(d->source, INDEX_FILE, LIMIT_JSON_BYTES, &text, e);
	if (r == 0) {
		r = json_read_as(&root, text.bytes, text.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH,
				 JSON_PYTHON, e);
		if (r < 0)
			err_prefix(e, INDEX_FILE);
	}
	if (r == 0)
		r = index_read(d, root, e);
	json_decref(root);
	buf_free(&text);
	return r;
}

/* Weights that lie there in another form are refused by its name. */
static int no_weights(struct source *src, struct err *e)
{
	static const struct {
		const char *end, *what;
	} forms[] = {
		{ "adapter_model.safetensors", "an adapter: merge them into the base model" },
		{ "model_index.json", "a pipeline of several models" },
		{ ".bin", "PyTorch's own form: convert them to safetensors" },
		{ ".pth", "PyTorch's own form: convert them to safetensors" },
		{ ".pt", "PyTorch's own form: convert them to safetensors" },
	};
	struct file_tree there = { 0 };
	TRY(source_list(src, NULL, 0, &there, e));
	int rc = err_set(e, ERR_NOTFOUND, "%s: no weights: neither " SINGLE_FILE " nor " INDEX_FILE,
			 src->label);
	for (size_t f = 0; f < sizeof forms / sizeof *forms && rc == ERR_NOTFOUND; f++)
		for (size_t i = 0; i < there.count && rc == ERR_NOTFOUND; i++)
			if (text_ends(there.entry[i].name, forms[f].end))
				rc = err_set(e, ERR_UNSUPPORTED,
					     "%s: not available in this version: weights in %s",
					     src->label, forms[f].what);
	file_tree_free(&there);
	return rc;
}

int model_tensors_open(struct model_tensors **out, struct source *src, struct err *e)
{
	const struct gguf_model *gguf = model_gguf_of(src);
	if (gguf != NULL)
		return model_gguf_tensors(gguf, out, e);
	struct model_tensors *d = calloc(1, sizeof *d);
	uint64_t unused;
	if (d == NULL)
		return err_set(e, ERR_NOMEM, "tensor directory");
	d->source = src;
	int r = source_size(src, INDEX_FILE, &unused, NULL) == 0 ? sharded_read(d, e)
								 : file_add(d, SINGLE_FILE, e);
	if (r == ERR_NOTFOUND && source_size(src, INDEX_FILE, &unused, NULL) == ERR_NOTFOUND)
		r = no_weights(src, e);
	if (r == 0)
		r = finish(d, e);
	if (r < 0) {
		model_tensors_close(d);
		d = NULL;
	}
	*out = d;
	return r;
}

int model_tensors_of(struct model_tensors **out, struct source *src, const char *const *file,
		     size_t files, struct err *e)
{
	struct model_tensors *d = calloc(1, sizeof *d);
	int r = 0;
	*out = NULL;
	if (d == NULL)
		return err_set(e, ERR_NOMEM, "tensor directory");
	d->source = src;
	for (size_t i = 0; r == 0 && i < files; i++)
		r = file_add(d, file[i], e);
	if (r < 0) {
		model_tensors_close(d);
		return r;
	}
	model_tensors_sort(d);
	*out = d;
	return 0;
}

int model_tensors_parse(struct model_tensors **out, const char *file, const void *head, size_t len,
			uint64_t file_bytes, struct err *e)
{
	struct model_tensors *d = NULL;
	uint64_t n;
	int r;
	*out = NULL;
	if (len < 8 || file_bytes < len)
		return err_set(e, ERR_INPUT, "%s: %zu bytes are no safetensors header: truncated",
			       file, len);
	TRY(length_check(head, file, file_bytes, &n, e));
	if (n > len - 8)
		return err_set(e, ERR_INPUT, "%s: header of %llu bytes, %zu given", file,
			       (unsigned long long)n, len - 8);
	d = calloc(1, sizeof *d);
	if (d == NULL)
		return err_set(e, ERR_NOMEM, "tensor directory");
	r = json_add(d, file, (const char *)head + 8, n, file_bytes, e);
	if (r == 0)
		r = finish(d, e);
	if (r < 0) {
		model_tensors_close(d);
		d = NULL;
	}
	*out = d;
	return r;
}

void model_tensors_close(struct model_tensors *t)
{
	if (t == NULL)
		return;
	arena_free(&t->arena);
	free(t->tensor);
	free(t);
}

size_t model_tensors_count(const struct model_tensors *t) { return t->count; }

const struct model_tensor *model_tensors_at(const struct model_tensors *t, size_t i)
{
	return i < t->count ? &t->tensor[i] : NULL;
}

const struct model_tensor *model_tensors_find(const struct model_tensors *t, const char *name)
{
	size_t lo = 0, hi = t->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, t->tensor[mid].name);
		if (c == 0)
			return &t->tensor[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
