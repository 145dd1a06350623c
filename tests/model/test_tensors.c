#include "model/tensors.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const struct { const char *row, *header; size_t data; int code; const char *word; } files[] = {
	{ "good", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, 0, "" },
	{ "padded with spaces", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}   ", 8,
	  0, "" },
	{ "metadata",
	  "{\"__metadata__\":{\"format\":\"pt\"},"
	  "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3, 0, "" },
	{ "rank 0 and empty", "{\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
	  "\"b\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[2,2]}}", 2, 0, "" },
	{ "no tensor", "{}", 0, 0, "" },
	{ "truncated", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, ERR_INPUT,
	  "truncated" },
	{ "trailing", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, ERR_INPUT,
	  "trailing" },
	{ "hole", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
	  "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}", 5, ERR_INPUT, "hole" },
	{ "hole at the start", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3,
	  ERR_INPUT, "hole" },
	{ "overlap", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
	  "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, ERR_INPUT, "inside" },
	{ "same bytes twice", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
	  "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, ERR_INPUT, "inside" },
	{ "wrong size", "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, ERR_INPUT,
	  "need 12" },
	{ "duplicate name", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
	  "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, ERR_INPUT, "" },
	{ "duplicate field",
	  "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ERR_INPUT,
	  "" },
	{ "unknown field", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1,
	  ERR_INPUT, "x" },
	{ "missing field", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, ERR_INPUT, "data_offsets" },
	{ "unknown dtype", "{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
	  ERR_UNSUPPORTED, "Q4" },
	{ "overflow",
	  "{\"a\":{\"dtype\":\"F32\",\"shape\":[281474976710656,281474976710656],\"data_offsets\":[0,8]}}", 8,
	  ERR_INPUT, "overflow" },
	{ "huge integer", "{\"a\":{\"dtype\":\"U8\",\"shape\":[281474976710657],\"data_offsets\":[0,1]}}",
	  1, ERR_INPUT, "2^48" },
	{ "negative", "{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1, ERR_INPUT,
	  "shape" },
	{ "real", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1, ERR_INPUT,
	  "shape" },
	{ "half bytes", "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, ERR_INPUT,
	  "whole bytes" },
	{ "deep", "{\"a\":{\"dtype\":\"U8\",\"shape\":[[[[1]]]],\"data_offsets\":[0,1]}}", 1, ERR_INPUT, "" },
	{ "backwards", "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,0]}}", 0, ERR_INPUT,
	  "end before" },
	{ "control byte", "{\"a\\u0001\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
	  ERR_INPUT, "control" },
	{ "nul", "{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ERR_INPUT, "" },
	{ "leading space", " {}", 0, ERR_INPUT, "'{'" },
	{ "metadata of numbers", "{\"__metadata__\":{\"n\":1}}", 0, ERR_INPUT, "n" },
	{ "array", "[]", 0, ERR_INPUT, "'{'" },
	{ "trailing text", "{}x", 0, ERR_INPUT, "" },
};

Test(model_tensors, header_rules_hold)
{
	static const char zeros[64];
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct model_tensors *t;
		blob_add(&b, files[i].header, zeros, files[i].data);
		int r = model_tensors_parse(&t, "f", b.bytes, b.len - files[i].data, b.len, &e);
		cr_assert_eq(r, files[i].code, "%s: %d %s", files[i].row, r, e.text);
		if (r < 0)
			cr_assert_not_null(strstr(e.text, files[i].word), "%s: %s", files[i].row, e.text);
		model_tensors_close(t);
		buf_free(&b);
	}
}

Test(model_tensors, length_prefix_is_checked)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	struct model_tensors *t;
	buf_add_u64le(&b, 100000001);
	buf_add_text(&b, "{}");
	cr_assert_eq(model_tensors_parse(&t, "f", b.bytes, b.len, 1u << 30, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "at most"));
	cr_assert_eq(model_tensors_parse(&t, "f", b.bytes, 5, 5, &e), ERR_INPUT);
	b.bytes[0] = 99, b.bytes[1] = b.bytes[2] = b.bytes[3] = 0;
	cr_assert_eq(model_tensors_parse(&t, "f", b.bytes, b.len, b.len, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "truncated"));
	buf_free(&b);
}

#define A "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"
#define B "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"
#define S1 "s1.safetensors"
#define S2 "s2.safetensors"

static const struct { const char *row, *index, *one, *two; int code; const char *word; } shards[] = {
	{ "good", "{\"metadata\":{\"total_size\":2},\"weight_map\":{\"a\":\"" S1 "\",\"b\":\"" S2 "\"}}",
	  A, B, 0, "" },
	{ "swapped", "{\"weight_map\":{\"a\":\"" S2 "\",\"b\":\"" S1 "\"}}", A, B, ERR_INPUT,
	  "but it is in" },
	{ "map lacks one", "{\"weight_map\":{\"a\":\"" S1 "\"}}",
	  "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
	  "\"c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
	  B, ERR_INPUT, "tensor c" },
	{ "shard lacks one", "{\"weight_map\":{\"a\":\"" S1 "\",\"b\":\"" S2 "\",\"c\":\"" S2 "\"}}", A, B,
	  ERR_INPUT, "lacks" },
	{ "name twice", "{\"weight_map\":{\"a\":\"" S1 "\",\"b\":\"" S2 "\"}}", A, A, ERR_INPUT, "again" },
	{ "path", "{\"weight_map\":{\"a\":\"../" S1 "\"}}", A, B, ERR_INPUT, "not the name" },
	{ "folder", "{\"weight_map\":{\"a\":\"x/" S1 "\"}}", A, B, ERR_INPUT, "not the name" },
	{ "missing shard", "{\"weight_map\":{\"a\":\"s3.safetensors\"}}", A, B, ERR_INPUT,
	  "names s3.safetensors, which is missing" },
	{ "not text", "{\"weight_map\":{\"a\":1}}", A, B, ERR_INPUT, "file name" },
	{ "extra key", "{\"weight_map\":{\"a\":\"" S1 "\",\"b\":\"" S2 "\"},\"x\":1}", A, B, 0, "" },
	{ "duplicate key", "{\"weight_map\":{\"a\":\"" S1 "\",\"a\":\"" S1 "\"}}", A, B, ERR_INPUT, "" },
};

Test(model_tensors, index_and_shards_agree_both_ways)
{
	for (size_t i = 0; i < sizeof shards / sizeof shards[0]; i++) {
		struct memory_source m;
		struct err e = { 0 };
		struct model_tensors *t;
		memory_init(&m);
		buf_add_text(memory_add(&m, "model.safetensors.index.json"), shards[i].index);
		blob_add(memory_add(&m, S1), shards[i].one, "x", 1);
		blob_add(memory_add(&m, S2), shards[i].two, "y", 1);
		int r = model_tensors_open(&t, &m.source, &e);
		cr_assert_eq(r, shards[i].code, "%s: %d %s", shards[i].row, r, e.text);
		if (r < 0)
			cr_assert_not_null(strstr(e.text, shards[i].word), "%s: %s", shards[i].row, e.text);
		else
			cr_assert_str_eq(model_tensors_find(t, "b")->file, S2);
		model_tensors_close(t);
		memory_free(&m);
	}
}

/* One tensor w in memory; the values of row `row`. */
static int read_one(const char *header, const void *data, size_t len, uint64_t row, float *out, struct err *e)
{
	struct memory_source m;
	struct model_tensors *t;
	memory_init(&m);
	blob_add(memory_add(&m, "model.safetensors"), header, data, len);
	cr_assert_eq(model_tensors_open(&t, &m.source, e), 0, "%s", e->text);
	int r = model_tensors_read(t, model_tensors_find(t, "w"), row, 1, out, e);
	model_tensors_close(t);
	memory_free(&m);
	return r;
}

static const struct { const char *file, *words; int code; } foreign[] = {
	{ "adapter_model.safetensors", "weights in an adapter", ERR_UNSUPPORTED },
	{ "model_index.json", "weights in a pipeline", ERR_UNSUPPORTED },
	{ "pytorch_model.bin", "PyTorch's own form", ERR_UNSUPPORTED },
	{ "README.md", "no weights: neither model.safetensors nor", ERR_NOTFOUND },
};

Test(model_tensors, weights_in_another_form_are_refused_by_its_name)
{
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		struct memory_source m;
		struct model_tensors *t;
		struct err e = { 0 };
		memory_init(&m);
		buf_add_text(memory_add(&m, foreign[i].file), "x");
		int rc = model_tensors_open(&t, &m.source, &e);
		cr_expect_eq(rc, foreign[i].code, "%s: %d (%s)", foreign[i].file, rc, e.text);
		cr_expect(strstr(e.text, foreign[i].words), "%s: %s", foreign[i].file, e.text);
		memory_free(&m);
	}
}

Test(model_tensors, values_decode)
{
	struct err e = { 0 };
	float v[4];
	cr_assert_eq(read_one("{\"w\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}",
	                      "\x80\x3f\x00\xc0\x00\x3f\x49\x40", 8, 1, v, &e), 0, "%s", e.text);
	cr_assert(v[0] == 0.5f && v[1] == 3.140625f, "%g %g", v[0], v[1]);
	cr_assert_eq(read_one("{\"w\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]}}",
	                      "\x01\x00\x00\x3c\xff\x7b\x00\xb8", 8, 0, v, &e), 0, "%s", e.text);
	cr_assert(v[0] == 0x1p-24f && v[1] == 1 && v[2] == 65504 && v[3] == -0.5f);
	cr_assert_eq(read_one("{\"w\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[0,8]}}",
	                      "\0\0\0\0\0\0\xf0\x3f", 8, 0, v, &e), 0, "%s", e.text);
	cr_assert(v[0] == 1);
	cr_assert_eq(read_one("{\"w\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "\1", 1,
	                      0, v, &e),
	             ERR_UNSUPPORTED);
	cr_assert_eq(read_one("{\"w\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
	                      "\0\0\xc0\x7f", 4, 0, v, &e),
	             ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "column 1"), "%s", e.text);
	cr_assert_eq(read_one("{\"w\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
	                      "\0\0\0\0", 4, 1, v, &e),
	             ERR_INPUT);
	cr_assert_eq(read_one("{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[1,1],\"data_offsets\":[0,1]}}",
	                      "\1", 1, 0, v, &e),
	             ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "w_scale_inv"), "%s", e.text);
}

Test(model_tensors, fp8_blocks_are_scaled_with_ragged_edges)
{
	enum { ROWS = 129, COLUMNS = 130 };
	static unsigned char data[ROWS * COLUMNS + 16];
	const float scale[4] = { 1, 2, 4, 0.5f };
	static float v[ROWS * COLUMNS];
	struct memory_source m;
	struct model_tensors *t;
	struct err e = { 0 };
	memset(data, 0x38, ROWS * COLUMNS); /* 1.0 */
	data[0] = 0x01;                     /* the smallest subnormal */
	data[1] = 0x7e;                     /* 448 */
	data[2] = 0xb8;
	memcpy(data + ROWS * COLUMNS, scale, 16);
	memory_init(&m);
	blob_add(memory_add(&m, "model.safetensors"),
	         "{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[129,130],\"data_offsets\":[0,16770]},"
	         "\"w_scale_inv\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[16770,16786]}}",
	         data, sizeof data);
	cr_assert_eq(model_tensors_open(&t, &m.source, &e), 0, "%s", e.text);
	cr_assert_eq(model_tensors_read(t, model_tensors_find(t, "w"), 0, ROWS, v, &e), 0, "%s", e.text);
	cr_assert(v[0] == 0x1p-9f && v[1] == 448 && v[2] == -1);
	cr_assert(v[127] == 1 && v[128] == 2 && v[128 * COLUMNS] == 4 && v[128 * COLUMNS + 129] == 0.5f);
	cr_assert_eq(model_tensors_read(t, model_tensors_find(t, "w"), 128, 1, v, &e), 0, "%s", e.text);
	cr_assert(v[127] == 4 && v[128] == 0.5f);
	m.file[0].bytes.bytes[m.file[0].bytes.len - sizeof data + 5] = 0x7f;
	cr_assert_eq(model_tensors_read(t, model_tensors_find(t, "w"), 0, 1, v, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "non-finite"), "%s", e.text);
	model_tensors_close(t);
	memory_free(&m);
}

Test(model_tensors, demo_folder_opens)
{
	struct source *s;
	struct model_tensors *t;
	struct err e = { 0 };
	cr_assert_eq(source_open_folder(&s, "demo/model", &e), 0, "%s", e.text);
	cr_assert_eq(model_tensors_open(&t, s, &e), 0, "%s", e.text);
	const struct model_tensor *w = model_tensors_find(t, "lm_head.weight");
	cr_assert(w != NULL && w->dtype == MODEL_BF16 && w->shape[0] == 2048 && w->shape[1] == 256);
	for (size_t i = 1; i < model_tensors_count(t); i++)
		cr_assert_lt(strcmp(model_tensors_at(t, i - 1)->name, model_tensors_at(t, i)->name), 0);
	model_tensors_close(t);
	source_close(s);
}
