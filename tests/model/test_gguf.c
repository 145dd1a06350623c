/* GGUF: blocks against outside values, and what a header may say. */
#include "base/limits.h"
#include "base/text.h"
#include "model/gguf.h"
#include "tests/shared/memory.h"
#include "tests/shared/vectors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static enum model_dtype type_of(const char *name)
{
	for (int d = 0; d < MODEL_DTYPES; d++)
		if (strcmp(model_dtype_name((enum model_dtype)d), name) == 0)
			return (enum model_dtype)d;
	cr_assert(false, "%s", name);
	return MODEL_F32;
}

/* Every line of blocks.txt: TYPE BLOCK VALUES. */
Test(model_gguf, blocks_are_what_the_package_says)
{
	struct buf file = vector_read("tests/vectors/gguf/blocks.txt");
	size_t blocks = 0;
	buf_add_byte(&file, 0);
	for (char *line = strtok(file.bytes, "\n"); line; line = strtok(NULL, "\n")) {
		char name[8] = "";
		int at = 0, end = 0, from = 0;
		unsigned char raw[256], wide[1024];
		float value[256];
		if (*line == '#')
			continue;
		cr_assert_eq(sscanf(line, "%7s %n%*s%n %n", name, &at, &end, &from), 1);
		enum model_dtype d = type_of(name);
		size_t n = model_dtype_block(d), bytes = (size_t)model_dtype_bytes(d, n);
		cr_assert_eq((size_t)(end - at), 2 * bytes, "%s", name);
		cr_assert_eq(text_unhex(line + at, 2 * bytes, raw, bytes), 0);
		cr_assert_eq(text_unhex(line + from, 8 * n, wide, 4 * n), 0, "%s", line + from);
		model_dtype_widen(d, raw, n, value);
		for (size_t i = 0; i < n; i++) {
			uint32_t is, want = (uint32_t)wide[4 * i] << 24 | (uint32_t)wide[4 * i + 1] << 16 |
					    (uint32_t)wide[4 * i + 2] << 8 | wide[4 * i + 3];
			memcpy(&is, &value[i], 4);
			cr_assert_eq(is, want, "%s value %zu: %08x, not %08x", name, i, is, want);
		}
		blocks++;
	}
	cr_assert_eq(blocks, 27);
	buf_free(&file);
}

Test(model_gguf, scale_255_of_mxfp4_is_no_number)
{
	unsigned char raw[17] = { 255 };
	float value[32];
	model_dtype_widen(MODEL_MXFP4, raw, 32, value);
	cr_assert(isnan(value[0]));
}

/* ---- headers ---- */

static void add_u32(struct buf *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		buf_add_byte(b, (unsigned char)(v >> 8 * i));
}

static void add_string(struct buf *b, const char *s)
{
	buf_add_u64le(b, strlen(s));
	buf_add_text(b, s);
}

struct tensor_row { const char *name; uint32_t rank; uint64_t shape[4]; uint32_t type; uint64_t offset; };

static void add_tensor(struct buf *b, const struct tensor_row *t)
{
	add_string(b, t->name);
	add_u32(b, t->rank);
	for (uint32_t i = 0; i < t->rank && i < 4; i++)
		buf_add_u64le(b, t->shape[i]);
	add_u32(b, t->type);
	buf_add_u64le(b, t->offset);
}

static void add_start(struct buf *b, uint32_t version, uint64_t tensors, uint64_t keys)
{
	buf_add_text(b, "GGUF");
	add_u32(b, version);
	buf_add_u64le(b, tensors);
	buf_add_u64le(b, keys);
}

static void pad(struct buf *b, size_t to)
{
	while (b->len % to)
		buf_add_byte(b, 0);
}

static void zeros(struct buf *b, size_t n)
{
	while (n--)
		buf_add_byte(b, 0);
}

/* Two tensors, their bytes, and what is said of them. */
static const struct {
	const char *row;
	struct tensor_row t[2];
	size_t data;
	int code;
	const char *word;
} ranges[] = {
	{ "good", { { "a", 1, { 2 }, 0, 0 }, { "b", 2, { 32, 3 }, 8, 32 } }, 32 + 102, 0, "" },
	{ "padded at its end", { { "a", 1, { 2 }, 0, 0 }, { "b", 2, { 32, 3 }, 8, 32 } }, 160, 0, "" },
	{ "other order", { { "b", 1, { 2 }, 1, 32 }, { "a", 1, { 8 }, 30, 0 } }, 36, 0, "" },
	{ "truncated", { { "a", 1, { 2 }, 0, 0 }, { "b", 2, { 32, 3 }, 8, 32 } }, 133, ERR_INPUT,
	  "tensor b ends at byte" },
	{ "trailing", { { "a", 1, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, 32 } }, 65, ERR_INPUT, "trailing" },
	{ "overlap", { { "a", 1, { 9 }, 0, 0 }, { "b", 1, { 2 }, 0, 32 } }, 64, ERR_INPUT, "inside" },
	{ "same place", { { "a", 1, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, 0 } }, 32, ERR_INPUT, "inside" },
	{ "hole", { { "a", 1, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, 64 } }, 96, ERR_INPUT, "hole" },
	{ "not aligned", { { "a", 1, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, 8 } }, 16, ERR_INPUT, "inside" },
	{ "twice", { { "a", 1, { 2 }, 0, 0 }, { "a", 1, { 2 }, 0, 32 } }, 40, ERR_INPUT, "a is there twice" },
	{ "part of a block", { { "a", 1, { 2 }, 0, 0 }, { "b", 2, { 48, 2 }, 8, 32 } }, 160, ERR_INPUT,
	  "tensor b has rows of 48 values, which are not whole blocks of 32 (Q8_0)" },
	{ "part of 256", { { "a", 1, { 2 }, 0, 0 }, { "b", 2, { 128, 2 }, 12, 32 } }, 160, ERR_INPUT,
	  "of 256 (Q4_K)" },
	{ "too many values", { { "a", 2, { 1u << 31, 1u << 31 }, 0, 0 }, { "b", 1, { 2 }, 0, 32 } }, 64,
	  ERR_INPUT, "2^48" },
	{ "overflow", { { "a", 2, { UINT64_MAX, 3 }, 0, 0 }, { "b", 1, { 2 }, 0, 32 } }, 64, ERR_INPUT,
	  "2^48" },
	{ "far offset", { { "a", 1, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, UINT64_MAX - 31 } }, 64, ERR_INPUT,
	  "hole" },
	{ "rank 0", { { "a", 0, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, 32 } }, 64, ERR_INPUT,
	  "tensor a has 0 dimensions" },
	{ "rank 5", { { "a", 5, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, 32 } }, 64, ERR_INPUT, "5 dimensions" },
	{ "type that is not here", { { "a", 1, { 256 }, 41, 0 }, { "b", 1, { 2 }, 0, 96 } }, 64,
	  ERR_UNSUPPORTED, "tensor a is Q1_0: not available" },
	{ "type nobody knows", { { "a", 1, { 256 }, 5, 0 }, { "b", 1, { 2 }, 0, 96 } }, 64,
	  ERR_UNSUPPORTED, "type 5" },
	{ "no name", { { "", 1, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, 32 } }, 64, ERR_INPUT, "empty" },
	{ "control byte", { { "a\n", 1, { 2 }, 0, 0 }, { "b", 1, { 2 }, 0, 32 } }, 64, ERR_INPUT,
	  "control" },
};

static int parse(struct buf *b, struct model_gguf **out, struct err *e)
{
	bool more;
	return model_gguf_parse(out, "m.gguf", b->bytes, b->len, b->len, &more, e);
}

Test(model_gguf, ranges_tile_the_data)
{
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct model_gguf *g;
		add_start(&b, 3, 2, 0);
		add_tensor(&b, &ranges[i].t[0]);
		add_tensor(&b, &ranges[i].t[1]);
		pad(&b, 32);
		zeros(&b, ranges[i].data);
		int rc = parse(&b, &g, &e);
		cr_assert_eq(rc, ranges[i].code, "%s: %d %s", ranges[i].row, rc, e.text);
		cr_assert(rc == 0 || strstr(e.text, ranges[i].word), "%s: %s", ranges[i].row, e.text);
		cr_assert(rc == 0 || strstr(e.text, "m.gguf"), "%s: %s", ranges[i].row, e.text);
		if (rc == 0)
			cr_assert_eq(g->tensor[1].shape[0], ranges[i].t[1].shape[g->tensor[1].rank - 1]);
		model_gguf_close(g);
		buf_free(&b);
	}
}

/* Bytes of the pairs, by escape: their number is the first one. */
static const struct { const char *row, *bytes; size_t len; int code; const char *word; } keys[] = {
#define KEY(k) "\1\0\0\0\0\0\0\0" k
#define ROW(name, text, code, word) { name, text, sizeof text - 1, code, word }
	ROW("u8", "\1" KEY("k") "\0\0\0\0\377", 0, "255"),
	ROW("i8", "\1" KEY("k") "\1\0\0\0\377", 0, "-1"),
	ROW("i16", "\1" KEY("k") "\3\0\0\0\0\200", 0, "-32768"),
	ROW("u32", "\1" KEY("k") "\4\0\0\0\377\377\377\377", 0, "4294967295"),
	ROW("i64", "\1" KEY("k") "\13\0\0\0\376\377\377\377\377\377\377\377", 0, "-2"),
	ROW("f32", "\1" KEY("k") "\6\0\0\0\275\67\206\65", 0, "9.9999999999999995e-7"),
	ROW("f64", "\1" KEY("k") "\14\0\0\0\0\0\0\0\0\0\340\77", 0, "0.5"),
	ROW("bool", "\1" KEY("k") "\7\0\0\0\1", 0, "true"),
	ROW("string", "\1" KEY("k") "\10\0\0\0\2\0\0\0\0\0\0\0ab", 0, "\"ab\""),
	ROW("array", "\1" KEY("k") "\11\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0\1\0\2\0", 0, "[1,2]"),
	ROW("array of strings", "\1" KEY("k") "\11\0\0\0\10\0\0\0\1\0\0\0\0\0\0\0" KEY("x"), 0, "[\"x\"]"),
	ROW("empty array", "\1" KEY("k") "\11\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0", 0, "[]"),
	ROW("u64 too large", "\1" KEY("k") "\12\0\0\0\0\0\0\0\0\0\0\200", ERR_INPUT, "2^63"),
	ROW("nan", "\1" KEY("k") "\6\0\0\0\0\0\300\177", ERR_INPUT, "k is not a finite"),
	ROW("infinite f64", "\1" KEY("k") "\14\0\0\0\0\0\0\0\0\0\360\177", ERR_INPUT, "finite"),
	ROW("neither true nor false", "\1" KEY("k") "\7\0\0\0\2", ERR_INPUT, "k is neither"),
	ROW("unknown kind", "\1" KEY("k") "\15\0\0\0\2", ERR_INPUT, "unknown kind"),
	ROW("array of arrays", "\1" KEY("k") "\11\0\0\0\11\0\0\0\1\0\0\0\0\0\0\0", ERR_UNSUPPORTED, "arrays"),
	ROW("long array", "\1" KEY("k") "\11\0\0\0\2\0\0\0\377\377\377\377\377\377\377\377", ERR_INPUT,
	    "truncated"),
	ROW("long string", "\1" KEY("k") "\10\0\0\0\377\377\377\377\377\377\377\377", ERR_INPUT, "truncated"),
	ROW("not UTF-8", "\1" KEY("k") "\10\0\0\0\1\0\0\0\0\0\0\0\377", ERR_INPUT, "k holds a text"),
	ROW("NUL", "\1" KEY("k") "\10\0\0\0\1\0\0\0\0\0\0\0\0", ERR_INPUT, "NUL"),
	ROW("key twice", "\2" KEY("k") "\0\0\0\0\1" KEY("k") "\0\0\0\0\1", ERR_INPUT, "k is there twice"),
	ROW("no key", "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ERR_INPUT, "empty"),
	ROW("lying count", "\2" KEY("k") "\0\0\0\0\1", ERR_INPUT, ""),
	ROW("odd alignment", "\1\21\0\0\0\0\0\0\0general.alignment\4\0\0\0\30\0\0\0", ERR_INPUT,
	    "general.alignment"),
	ROW("no alignment", "\1\21\0\0\0\0\0\0\0general.alignment\4\0\0\0\0\0\0\0", ERR_INPUT,
	    "general.alignment"),
};

Test(model_gguf, metadata_is_read_or_refused_by_key)
{
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct model_gguf *g;
		add_start(&b, 2, 0, (unsigned char)keys[i].bytes[0]);
		buf_add(&b, keys[i].bytes + 1, keys[i].len - 1);
		int rc = parse(&b, &g, &e);
		cr_assert_eq(rc, keys[i].code, "%s: %d %s", keys[i].row, rc, e.text);
		if (rc == 0) {
			char *text = json_dumps(json_object_get(g->meta, "k"),
						JSON_ENCODE_ANY | JSON_COMPACT);
			cr_assert_str_eq(text, keys[i].word, "%s", keys[i].row);
			free(text);
		} else {
			cr_assert_not_null(strstr(e.text, keys[i].word), "%s: %s", keys[i].row, e.text);
		}
		model_gguf_close(g);
		buf_free(&b);
	}
}

static const struct { const char *row, *bytes; size_t len; int code; const char *word; } starts[] = {
	ROW("empty", "", ERR_INPUT, "truncated"),
	ROW("other magic", "GGML\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ERR_INPUT, "begin"),
	ROW("version 1", "GGUF\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ERR_UNSUPPORTED, "version 1"),
	ROW("big-endian", "GGUF\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ERR_UNSUPPORTED, "big-endian"),
	ROW("tensors", "GGUF\3\0\0\0\377\377\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ERR_INPUT, "65535 tensors"),
	ROW("keys", "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\377\377\0\0\0\0\0\0", ERR_INPUT, "65535 keys"),
	ROW("cut", "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ERR_INPUT, "truncated"),
};

Test(model_gguf, other_files_are_refused)
{
	for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct model_gguf *g;
		buf_add(&b, starts[i].bytes, starts[i].len);
		int rc = parse(&b, &g, &e);
		cr_assert_eq(rc, starts[i].code, "%s: %d %s", starts[i].row, rc, e.text);
		cr_assert_not_null(strstr(e.text, starts[i].word), "%s: %s", starts[i].row, e.text);
		buf_free(&b);
	}
}

/* A header longer than what is read at first. */
Test(model_gguf, long_headers_are_read_whole)
{
	struct memory_source m;
	struct err e = { 0 };
	struct model_gguf *g;
	memory_init(&m);
	struct buf *b = memory_add(&m, "m.gguf");
	add_start(b, 3, 1, 1);
	add_string(b, "k");
	add_u32(b, 8);
	buf_add_u64le(b, 2 * SOURCE_GRANULE);
	for (size_t i = 0; i < 2 * SOURCE_GRANULE; i += 16)
		buf_add_text(b, "0123456789abcdef");
	add_tensor(b, &(struct tensor_row){ "a", 1, { 4 }, 0, 0 });
	pad(b, 32);
	zeros(b, 16);
	cr_assert_eq(model_gguf_read(&g, &m.source, "m.gguf", &e), 0, "%s", e.text);
	cr_assert_eq(g->count, 1);
	cr_assert_eq(g->tensor[0].begin + 16, b->len);
	model_gguf_close(g);
	memory_free(&m);
}
