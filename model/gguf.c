/* The header of a GGUF file.
 *
 *   "GGUF" | u32 version | u64 tensors | u64 keys
 *   keys     string key | u32 kind | value           string: u64 bytes | UTF-8
 *            array: u32 kind | u64 count | values
 *   tensors  string name | u32 rank | u64 columns, rows, ... | u32 type | u64 offset
 *   padding to a multiple of general.alignment (32 where there is no such key) | data
 *
 * All little-endian. Valid when: the version is 2 or 3; no key and no tensor is named twice; names
 * have no control bytes and strings no NUL; numbers are finite and below 2^63; an array holds no
 * array; rows are whole blocks of their type; and in the order of their offsets the tensors start
 * at 0, each where the padding of the last one ends, and the last ends, with or without padding,
 * with the file. So there is no hole, no overlap and nothing behind. Source: ggml, docs/gguf.md
 * and src/gguf.cpp. */
#include "model/gguf.h"
#include "model/tensors_in.h"

#include "base/decimal.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GGUF_RANK 4
#define GGUF_ALIGNMENT 32
#define GGUF_ALIGNMENT_MAX 65536
#define ULL(v) ((unsigned long long)(v))

enum kind { /* clang-format off */
	KIND_U8, KIND_I8, KIND_U16, KIND_I16, KIND_U32, KIND_I32, KIND_F32, KIND_BOOL, KIND_STRING,
	KIND_ARRAY, KIND_U64, KIND_I64, KIND_F64, KINDS /* clang-format on */
};

/* The fewest bytes that a value takes. */
static const unsigned char kind_bytes[KINDS] = { 1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8 };

struct header_reader {
	struct model_gguf *g;
	const char *file;
	const unsigned char *bytes;
	size_t len, at;
	uint64_t file_bytes;
	size_t values; /* of metadata so far */
	char where[LIMIT_NAME_BYTES + 40];
	bool *more;
	struct err *e;
};

static int refuse(struct header_reader *r, int code, const char *why)
{
	return err_set(r->e, code, "%s: %s %s", r->file, r->where, why);
}

static int no_memory(struct header_reader *r) { return err_set(r->e, ERR_NOMEM, "%s", r->file); }

/* The next n bytes. */
static int next(struct header_reader *r, uint64_t n, const unsigned char **out)
{
	if (n > r->file_bytes - r->at)
		return err_set(r->e, ERR_INPUT,
			       "%s: %s takes %llu bytes from byte %zu on, the file has %llu: "
			       "truncated",
			       r->file, r->where, ULL(n), r->at, ULL(r->file_bytes));
	if (n > r->len - r->at) {
		*r->more = true;
		return err_set(r->e, ERR_INPUT, "%s: a header of more than %zu bytes", r->file,
			       r->len);
	}
	*out = r->bytes + r->at;
	r->at += n;
	return 0;
}

static int next_number(struct header_reader *r, int bytes, uint64_t *out)
{
	const unsigned char *p;
	TRY(next(r, (uint64_t)bytes, &p));
	*out = 0;
	for (int i = bytes - 1; i >= 0; i--)
		*out = *out << 8 | p[i];
	return 0;
}

static int next_string(struct header_reader *r, const char **out, size_t *len)
{
	const unsigned char *p;
	uint64_t n;
	TRY(next_number(r, 8, &n));
	TRY(next(r, n, &p));
	*out = (const char *)p;
	*len = (size_t)n;
	if (!text_utf8_valid(p, *len))
		return refuse(r, ERR_INPUT, "holds a text that is not UTF-8");
	if (n > 0 && memchr(p, 0, *len))
		return refuse(r, ERR_INPUT, "holds a text with a NUL");
	return 0;
}

/* A key or the name of a tensor, which goes into sentences. */
static int next_name(struct header_reader *r, const char **out)
{
	const char *name;
	size_t len;
	TRY(next_string(r, &name, &len));
	if (len == 0 || len > LIMIT_NAME_BYTES)
		return refuse(r, ERR_INPUT, "has a name that is empty or over 255 bytes");
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return refuse(r, ERR_INPUT, "has a control byte in its name");
	*out = arena_copy(&r->g->arena, name, len);
	return *out ? 0 : no_memory(r);
}

/* ---- metadata ---- */

/* A number of 32 bits was written as a decimal: the shortest one that it is nearest to. */
static double shortest(float f)
{
	int digits = 6;
	while (digits < 9) {
		float same = (float)decimal_round((double)f, digits);
		if (memcmp(&same, &f, sizeof f) == 0)
			break;
		digits++;
	}
	return decimal_round((double)f, digits);
}

static json_t *real_of(uint64_t bits, enum kind kind, bool listed)
{
	uint32_t low = (uint32_t)bits;
	float f;
	double d;
	memcpy(&f, &low, sizeof f);
	memcpy(&d, &bits, sizeof d);
	if (kind == KIND_F32)
		d = listed || !isfinite(f) ? (double)f : shortest(f);
	return json_real(d);
}

static int next_scalar(struct header_reader *r, enum kind kind, bool listed, json_t **out)
{
	uint64_t bits;
	int bytes = kind_bytes[kind], shift = 64 - 8 * bytes;
	TRY(next_number(r, bytes, &bits));
	switch (kind) {
	case KIND_F32:
	case KIND_F64:
		*out = real_of(bits, kind, listed);
		return *out ? 0 : refuse(r, ERR_INPUT, "is not a finite number");
	case KIND_BOOL:
		if (bits > 1)
			return refuse(r, ERR_INPUT, "is neither true nor false");
		*out = json_boolean(bits == 1);
		return 0;
	case KIND_I8:
	case KIND_I16:
	case KIND_I32:
	case KIND_I64:
		*out = json_integer((json_int_t)(bits << shift) >> shift);
		break;
	default:
		if (bits > INT64_MAX)
			return refuse(r, ERR_INPUT, "is not below 2^63");
		*out = json_integer((json_int_t)bits);
		break;
	}
	return *out ? 0 : no_memory(r);
}

static int next_plain(struct header_reader *r, enum kind kind, bool listed, json_t **out)
{
	const char *text;
	size_t len;
	if (++r->values > LIMIT_GGUF_VALUES)
		return refuse(r, ERR_INPUT, "is beyond what metadata may hold, 2^22 values");
	if (kind != KIND_STRING)
		return next_scalar(r, kind, listed, out);
	TRY(next_string(r, &text, &len));
	*out = json_stringn_nocheck(text, len);
	return *out ? 0 : no_memory(r);
}

static int next_array(struct header_reader *r, const char *key, json_t **out)
{
	uint64_t kind, n;
	TRY(next_number(r, 4, &kind));
	TRY(next_number(r, 8, &n));
	if (kind >= KINDS)
		return refuse(r, ERR_INPUT, "is an array of an unknown kind of value");
	if (kind == KIND_ARRAY)
		return refuse(r, ERR_UNSUPPORTED,
			      "is an array of arrays: not available in this version");
	if (n > (r->file_bytes - r->at) / kind_bytes[kind])
		return err_set(r->e, ERR_INPUT, "%s: %s is an array of %llu values: truncated",
			       r->file, r->where, ULL(n));
	json_t *list = json_array();
	int rc = list ? 0 : no_memory(r);
	if (kind == KIND_F32 && rc == 0 &&
	    json_object_set_new_nocheck(r->g->places, key, json_integer((json_int_t)r->at)) < 0)
		rc = no_memory(r);
	for (uint64_t i = 0; rc == 0 && i < n; i++) {
		json_t *v = NULL;
		rc = next_plain(r, (enum kind)kind, true, &v);
		if (rc == 0 && json_array_append_new(list, v) < 0)
			rc = no_memory(r);
	}
	if (rc < 0) {
		json_decref(list);
		return rc;
	}
	*out = list;
	return 0;
}

static int next_pair(struct header_reader *r)
{
	const char *key;
	uint64_t kind;
	json_t *v = NULL;
	snprintf(r->where, sizeof r->where, "a key of metadata");
	TRY(next_name(r, &key));
	snprintf(r->where, sizeof r->where, "%s", key);
	TRY(next_number(r, 4, &kind));
	if (kind >= KINDS)
		return refuse(r, ERR_INPUT, "is an unknown kind of value");
	if (json_object_get(r->g->meta, key))
		return refuse(r, ERR_INPUT, "is there twice");
	TRY(kind == KIND_ARRAY ? next_array(r, key, &v) : next_plain(r, (enum kind)kind, false, &v));
	return json_object_set_new_nocheck(r->g->meta, key, v) < 0 ? no_memory(r) : 0;
}

/* ---- tensors ---- */

#define NOT_HERE MODEL_DTYPES

/* By the number in the file; those without a dtype are refused by name. */
static const struct {
	const char *name;
	enum model_dtype dtype;
} types[] = {
	[0] = { "F32", MODEL_F32 },     [1] = { "F16", MODEL_F16 },
	[2] = { "Q4_0", MODEL_Q4_0 },   [3] = { "Q4_1", MODEL_Q4_1 },
	[6] = { "Q5_0", MODEL_Q5_0 },     [7] = { "Q5_1", MODEL_Q5_1 },
	[8] = { "Q8_0", MODEL_Q8_0 },   [9] = { "Q8_1", NOT_HERE },
	[10] = { "Q2_K", MODEL_Q2_K },    [11] = { "Q3_K", MODEL_Q3_K },
	[12] = { "Q4_K", MODEL_Q4_K },  [13] = { "Q5_K", MODEL_Q5_K },
	[14] = { "Q6_K", MODEL_Q6_K },  [15] = { "Q8_K", NOT_HERE },
	[16] = { "IQ2_XXS", MODEL_IQ2_XXS }, [17] = { "IQ2_XS", MODEL_IQ2_XS },
	[18] = { "IQ3_XXS", MODEL_IQ3_XXS }, [19] = { "IQ1_S", MODEL_IQ1_S },
	[20] = { "IQ4_NL", MODEL_IQ4_NL },  [21] = { "IQ3_S", MODEL_IQ3_S },
	[22] = { "IQ2_S", MODEL_IQ2_S },   [23] = { "IQ4_XS", MODEL_IQ4_XS },
	[24] = { "I8", MODEL_I8 },      [25] = { "I16", MODEL_I16 },
	[26] = { "I32", MODEL_I32 },    [27] = { "I64", MODEL_I64 },
	[28] = { "F64", MODEL_F64 },    [29] = { "IQ1_M", MODEL_IQ1_M },
	[30] = { "BF16", MODEL_BF16 },  [34] = { "TQ1_0", MODEL_TQ1_0 },
	[35] = { "TQ2_0", MODEL_TQ2_0 },   [39] = { "MXFP4", MODEL_MXFP4 },
	[40] = { "NVFP4", NOT_HERE },   [41] = { "Q1_0", NOT_HERE },
};

static int next_type(struct header_reader *r, struct model_tensor *t)
{
	uint64_t type;
	TRY(next_number(r, 4, &type));
	if (type >= sizeof types / sizeof types[0] || !types[type].name)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: %s is of type %llu, which is unknown",
			       r->file, r->where, ULL(type));
	if (types[type].dtype == NOT_HERE)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: %s is %s: not available in this version",
			       r->file, r->where, types[type].name);
	t->dtype = types[type].dtype;
	return 0;
}

static int next_shape(struct header_reader *r, struct model_tensor *t)
{
	uint64_t rank;
	TRY(next_number(r, 4, &rank));
	if (rank < 1 || rank > GGUF_RANK)
		return err_set(r->e, ERR_INPUT, "%s: %s has %llu dimensions, not 1 to 4", r->file,
			       r->where, ULL(rank));
	t->rank = (int)rank;
	for (int i = t->rank - 1; i >= 0; i--)
		TRY(next_number(r, 8, &t->shape[i]));
	return 0;
}

static int size_set(struct header_reader *r, struct model_tensor *t)
{
	uint64_t n = 1, columns = t->shape[t->rank - 1];
	unsigned block = model_dtype_block(t->dtype);
	for (int i = 0; i < t->rank; i++) {
		if (__builtin_mul_overflow(n, t->shape[i], &n) || n > (uint64_t)1 << 48)
			return refuse(r, ERR_INPUT, "has more than 2^48 values");
	}
	if (columns % block != 0)
		return err_set(r->e, ERR_INPUT,
			       "%s: %s has rows of %llu values, which are not whole blocks of %u "
			       "(%s)",
			       r->file, r->where, ULL(columns), block, model_dtype_name(t->dtype));
	t->bytes = model_dtype_bytes(t->dtype, n);
	return 0;
}

static int next_tensor(struct header_reader *r, struct model_tensor *t)
{
	snprintf(r->where, sizeof r->where, "a tensor");
	TRY(next_name(r, &t->name));
	snprintf(r->where, sizeof r->where, "tensor %s", t->name);
	TRY(next_shape(r, t));
	TRY(next_type(r, t));
	TRY(next_number(r, 8, &t->begin));
	t->file = r->file;
	return size_set(r, t);
}

static int by_offset(const void *a, const void *b)
{
	const struct model_tensor *x = *(const struct model_tensor *const *)a,
				  *y = *(const struct model_tensor *const *)b;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->bytes != y->bytes ? (x->bytes < y->bytes ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct model_tensor *const *)a)->name,
		      (*(const struct model_tensor *const *)b)->name);
}

static uint64_t padded(uint64_t n, uint64_t alignment)
{
	return (n + alignment - 1) / alignment * alignment;
}

/* t is not at `at`, where the one before it (NULL: the data's begin) puts it: either may lie. */
static int misplaced(struct header_reader *r, const struct model_tensor *before,
		     const struct model_tensor *t, uint64_t at)
{
	const char *how = t->begin > at ? "leaving a hole from" : "inside data that ends at";
	if (!before)
		return err_set(r->e, ERR_INPUT, "%s: tensor %s begins at offset %llu, %s %llu",
			       r->file, t->name, ULL(t->begin), how, ULL(at));
	return err_set(r->e, ERR_INPUT,
		       "%s: tensor %s begins at offset %llu, %s %llu, where tensor %s (%s) ends",
		       r->file, t->name, ULL(t->begin), how, ULL(at), before->name,
		       model_dtype_name(before->dtype));
}

/* Ranges tile the data that begins at `data`; begin becomes absolute. */
static int ranges_set(struct header_reader *r, struct model_tensor **sorted, uint64_t data,
		      uint64_t alignment)
{
	struct model_gguf *g = r->g;
	uint64_t at = 0, end = 0;
	qsort(sorted, g->count, sizeof *sorted, by_offset);
	for (size_t i = 0; i < g->count; i++) {
		struct model_tensor *t = sorted[i];
		if (t->begin != at)
			return misplaced(r, i > 0 ? sorted[i - 1] : NULL, t, at);
		end = at + t->bytes;
		at = padded(end, alignment);
		t->begin += data;
		if (t->bytes > r->file_bytes || t->begin > r->file_bytes - t->bytes)
			return err_set(
				r->e, ERR_INPUT,
				"%s: tensor %s ends at byte %llu, the file has %llu: truncated",
				r->file, t->name, ULL(data + end), ULL(r->file_bytes));
	}
	if (g->count > 0 && r->file_bytes > data + at)
		return err_set(r->e, ERR_INPUT,
			       "%s: tensors end at byte %llu, the file has %llu: trailing bytes",
			       r->file, ULL(data + at), ULL(r->file_bytes));
	return 0;
}

static int names_check(struct header_reader *r, struct model_tensor **sorted)
{
	qsort(sorted, r->g->count, sizeof *sorted, by_name);
	for (size_t i = 1; i < r->g->count; i++)
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			return err_set(r->e, ERR_INPUT, "%s: tensor %s is there twice", r->file,
				       sorted[i]->name);
	return 0;
}

/* ---- whole ---- */

static int alignment_of(struct header_reader *r, uint64_t *out)
{
	const json_t *v = json_object_get(r->g->meta, "general.alignment");
	json_int_t n = v ? json_integer_value(v) : GGUF_ALIGNMENT;
	snprintf(r->where, sizeof r->where, "general.alignment");
	if (n < 8 || n > GGUF_ALIGNMENT_MAX || (n & (n - 1)) != 0)
		return refuse(r, ERR_INPUT, "is not a power of two from 8 to 65536");
	*out = (uint64_t)n;
	return 0;
}

static int start_check(struct header_reader *r, uint64_t *tensors, uint64_t *keys)
{
	const unsigned char *magic;
	uint64_t version;
	snprintf(r->where, sizeof r->where, "the header");
	TRY(next(r, 4, &magic));
	if (memcmp(magic, "GGUF", 4) != 0)
		return err_set(r->e, ERR_INPUT, "%s: not a GGUF file: it does not begin with GGUF",
			       r->file);
	TRY(next_number(r, 4, &version));
	if ((version & 0xffff) == 0)
		return err_set(r->e, ERR_UNSUPPORTED,
			       "%s: big-endian: not available in this version", r->file);
	if (version != 2 && version != 3)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: version %llu of GGUF, not 2 or 3",
			       r->file, ULL(version));
	TRY(next_number(r, 8, tensors));
	TRY(next_number(r, 8, keys));
	/* of each there is at least a name's length and what follows it */
	if (*tensors > LIMIT_TENSORS || *tensors > r->file_bytes / 32)
		return err_set(r->e, ERR_INPUT, "%s: %llu tensors in a file of %llu bytes", r->file,
			       ULL(*tensors), ULL(r->file_bytes));
	if (*keys > r->file_bytes / 13)
		return err_set(r->e, ERR_INPUT, "%s: %llu keys in a file of %llu bytes", r->file,
			       ULL(*keys), ULL(r->file_bytes));
	return 0;
}

static int header_read(struct header_reader *r)
{
	struct model_gguf *g = r->g;
	uint64_t tensors = 0, keys = 0, alignment = GGUF_ALIGNMENT;
	TRY(start_check(r, &tensors, &keys));
	for (uint64_t i = 0; i < keys; i++)
		TRY(next_pair(r));
	TRY(alignment_of(r, &alignment));
	g->tensor = calloc((size_t)tensors + 1, sizeof *g->tensor);
	if (!g->tensor)
		return no_memory(r);
	for (; g->count < tensors; g->count++)
		TRY(next_tensor(r, &g->tensor[g->count]));
	struct model_tensor **sorted = calloc(g->count + 1, sizeof(struct model_tensor *));
	if (!sorted)
		return no_memory(r);
	for (size_t i = 0; i < g->count; i++)
		sorted[i] = &g->tensor[i];
	int rc = ranges_set(r, sorted, padded(r->at, alignment), alignment);
	if (rc == 0)
		rc = names_check(r, sorted);
	free(sorted);
	return rc;
}

int model_gguf_parse(struct model_gguf **out, const char *file, const void *bytes, size_t len,
		     uint64_t file_bytes, bool *more, struct err *e)
{
	struct model_gguf *g = calloc(1, sizeof *g);
	*out = NULL;
	*more = false;
	if (!g)
		return err_set(e, ERR_NOMEM, "%s", file);
	g->meta = json_object();
	g->places = json_object();
	struct header_reader r = { .g = g,
				   .file = arena_copy(&g->arena, file, strlen(file)),
				   .bytes = bytes,
				   .len = len,
				   .file_bytes = file_bytes,
				   .more = more,
				   .e = e };
	int rc = g->meta && g->places && r.file ? header_read(&r) : err_set(e, ERR_NOMEM, "%s", file);
	if (rc < 0) {
		model_gguf_close(g);
		return rc;
	}
	*out = g;
	return 0;
}

/* How long the header is shows only at its end: read more until it is whole. */
int model_gguf_read(struct model_gguf **out, struct source *src, const char *file, struct err *e)
{
	uint64_t file_bytes, len = SOURCE_GRANULE;
	bool pointer = false, more = true;
	int rc = 0;
	*out = NULL;
	TRY(source_size(src, file, &file_bytes, e));
	TRY(source_is_pointer(src, file, &pointer, e));
	if (pointer)
		return err_set(e, ERR_INPUT, "%s: " SOURCE_POINTER, file);
	while (more) {
		len = len < file_bytes ? len : file_bytes;
		if (len > LIMIT_GGUF_HEADER)
			return err_set(e, ERR_INPUT, "%s: a header of more than %zu bytes", file,
				       LIMIT_GGUF_HEADER);
		unsigned char *bytes = malloc((size_t)len + 1);
		if (!bytes)
			return err_set(e, ERR_NOMEM, "%s", file);
		more = false;
		rc = source_read(src, file, 0, bytes, (size_t)len, e);
		if (rc == 0)
			rc = model_gguf_parse(out, file, bytes, (size_t)len, file_bytes, &more, e);
		free(bytes);
		len = len < LIMIT_GGUF_HEADER && len * 4 > LIMIT_GGUF_HEADER ? LIMIT_GGUF_HEADER
									     : len * 4;
	}
	return rc;
}

void model_gguf_close(struct model_gguf *g)
{
	if (!g)
		return;
	json_decref(g->meta);
	json_decref(g->places);
	free(g->tensor);
	arena_free(&g->arena);
	free(g);
}
