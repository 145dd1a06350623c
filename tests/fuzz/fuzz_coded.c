/* A small model in codes: bytes are quantization_config's members, a NUL and model.safetensors. They are
 * refused, or every value that the keeper is given comes once. After an 0x01 in front: the parts of one
 * matrix, of the shapes that a plan would have checked, with any values. */
#include "base/check.h"
#include "base/pool.h"
#include "model/coding.h"
#include "model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* ---- a folder ---- */

struct folder {
	struct source source;
	const uint8_t *weights;
	size_t len;
};

static int folder_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	*bytes = ((struct folder *)s)->len;
	return strcmp(name, "model.safetensors") == 0 ? 0 : err_set(e, ERR_NOTFOUND, "%s", name);
}

static int folder_read(struct source *s, const char *name, uint64_t at, void *out, size_t len, struct err *e)
{
	const struct folder *f = (struct folder *)s;
	(void)name;
	if (at > f->len || len > f->len - at)
		return err_set(e, ERR_INPUT, "short");
	memcpy(out, f->weights + at, len);
	return 0;
}

static const char *folder_name(struct source *s, size_t i)
{
	(void)s;
	return i == 0 ? "model.safetensors" : NULL;
}

static void folder_close(struct source *s) { (void)s; }

static const struct source_ops ops = {
	.size = folder_size, .read = folder_read, .name = folder_name, .close = folder_close
};

/* ---- a keeper that counts ---- */

struct counter {
	struct model_keeper keeper;
	uint64_t came, want;
};

static int count_place(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < p->count; i++) {
		const struct model_item *it = &p->item[i];
		((struct counter *)k)->want += it->coded                 ? (uint64_t)it->rows * it->columns * 4
		                               : it->kind == ITEM_FLOATS ? (uint64_t)it->rows * it->columns * 4
		                               : it->tensor              ? it->tensor->bytes
		                                                         : 0;
	}
	*scratch = 1 << 16;
	return 0;
}

static int count_fill(struct model_keeper *k, const struct model_item *it, uint64_t at,
                      const unsigned char *bytes, uint64_t len, unsigned char *scratch, struct err *e)
{
	unsigned char sum = 0;
	(void)scratch, (void)e;
	for (uint64_t i = 0; i < len; i++)
		sum ^= bytes[i];
	check(!it->coded || at + len <= (uint64_t)it->rows * it->columns * 4);
	((struct counter *)k)->came += len + 0 * sum;
	return 0;
}

static int count_finish(struct model_keeper *k, struct err *e)
{
	(void)k, (void)e;
	return 0;
}

static void load(const struct model_config *c, const uint8_t *weights, size_t len)
{
	static struct pool *pool;
	struct folder f = { { .ops = &ops, .label = "memory" }, weights, len };
	struct counter k = { .keeper = { count_place, count_fill, NULL, count_finish } };
	struct model_formats formats;
	if (!pool)
		check(pool_open(&pool, 1, NULL, NULL) == 0);
	const struct weights_order o = { .config = c, .quiet = true, .pool = pool };
	if (model_weights_load(&formats, &o, &f.source, &k.keeper, NULL) == 0)
		check(k.came == k.want);
}

static void fuzz_folder(const uint8_t *data, size_t len)
{
	static const char rest[] =
		"},\"model_type\":\"llama\",\"hidden_size\":16,\"intermediate_size\":32,\"num_hidden_layers\":1,"
		"\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":8,\"rms_norm_eps\":1e-6,"
		"\"vocab_size\":8,\"max_position_embeddings\":64,\"hidden_act\":\"silu\","
		"\"tie_word_embeddings\":true}";
	static struct model_config c;
	const uint8_t *end = memchr(data, 0, len);
	char text[4000];
	if (!end || end - data > 3000)
		return;
	int n = snprintf(text, sizeof text, "{\"quantization_config\":{%.*s%s", (int)(end - data), data, rest);
	if (model_config_parse(&c, text, (size_t)n, NULL, 0, NULL) == 0)
		load(&c, end + 1, len - (size_t)(end + 1 - data));
}

/* ---- one matrix ---- */

#define ROWS 16
#define COLUMNS 32

static const struct shape {
	struct model_coding c;
	size_t codes;
	struct { enum model_dtype type; uint64_t values; } part[CODING_PARTS];
} shapes[] = {
	{ { .form = CODE_FIELDS, .bits = 4, .block_rows = 1, .block_columns = 8 }, 256,
	  { { MODEL_BF16, 64 }, { MODEL_I32, 8 }, { MODEL_I32, 32 }, { MODEL_I64, 2 } } },
	{ { .form = CODE_FIELDS, .bits = 2, .block_rows = 1, .block_columns = 32 }, 128,
	  { { MODEL_F32, 16 }, { MODEL_I8, 16 } } },
	{ { .form = CODE_BYTES, .block_rows = 5, .block_columns = 7 }, 512,
	  { { MODEL_F16, 20 }, { MODEL_I8, 20 } } },
	{ { .form = CODE_E2M1, .block_rows = 1, .block_columns = 16, .whole_divides = true }, 256,
	  { [PART_SCALE] = { MODEL_F8_E4M3, 32 }, [PART_WHOLE_SCALE] = { MODEL_F32, 1 } } },
	{ { .form = CODE_GPTQ, .bits = 4, .block_rows = 1, .block_columns = 8, .zero_less_one = true }, 256,
	  { { MODEL_F16, 64 }, { MODEL_I32, 8 }, { MODEL_I32, 32 } } },
	{ { .form = CODE_GPTQ, .bits = 8, .block_rows = 1, .block_columns = 32 }, 512,
	  { { MODEL_F16, 16 }, { MODEL_I32, 4 }, { MODEL_I32, 32 } } },
	{ { .form = CODE_GPTQ, .bits = 4, .block_rows = 1, .block_columns = 32, .narrow = true }, 256,
	  { { MODEL_F16, 16 }, { MODEL_I32, 2 }, { MODEL_I32, 32 } } },
	{ { .form = CODE_FIELDS, .bits = 4, .block_rows = 1, .block_columns = 32, .narrow = true }, 256,
	  { { MODEL_F16, 16 } } },
	{ { .form = CODE_AWQ, .bits = 4, .block_rows = 1, .block_columns = 16 }, 256,
	  { { MODEL_F16, 32 }, { MODEL_I32, 4 } } },
	{ { .form = CODE_TABLE, .block_rows = ROWS, .block_columns = COLUMNS }, 256,
	  { [PART_SCALE] = { MODEL_U8, 8 }, [PART_MAP] = { MODEL_F32, 16 }, [PART_NESTED] = { MODEL_F32, 1 },
	    [PART_NESTED_MAP] = { MODEL_F32, 256 }, [PART_STATE] = { MODEL_U8, 100 } } },
};

/* Takes the next bytes; what there is not is zero. */
static unsigned char *take(const uint8_t **data, size_t *len, size_t n)
{
	unsigned char *out = calloc(n + 1, 1);
	size_t some = *len < n ? *len : n;
	check(out);
	memcpy(out, *data, some);
	*data += some;
	*len -= some;
	return out;
}

static void fuzz_matrix(const struct shape *s, const uint8_t *data, size_t len)
{
	struct model_tensor tensor[CODING_PARTS];
	struct coding_bytes part[CODING_PARTS] = { 0 };
	struct model_coding c = s->c;
	unsigned char *kept[CODING_PARTS] = { 0 };
	static float value[ROWS * COLUMNS];
	c.rows = ROWS;
	c.columns = COLUMNS;
	c.after = 1;
	for (int p = 0; p < CODING_PARTS; p++) {
		uint64_t bytes = s->part[p].values * model_dtype_bits(s->part[p].type) / 8;
		if (bytes == 0)
			continue;
		tensor[p] = (struct model_tensor){ .name = "t", .file = "f", .dtype = s->part[p].type,
			                           .rank = 1, .shape = { s->part[p].values }, .bytes = bytes };
		kept[p] = take(&data, &len, bytes);
		part[p] = (struct coding_bytes){ &tensor[p], kept[p] };
	}
	unsigned char *codes = take(&data, &len, s->codes);
	bool good = model_coding_open(&c, part, NULL) == 0;
	if (good && c.narrow)
		model_coding_blocks(&c, codes, 0, ROWS, (unsigned char *)value);
	else if (good)
		model_coding_rows(&c, codes, 0, ROWS, value);
	model_coding_close(&c);
	for (int p = 0; p < CODING_PARTS; p++)
		free(kept[p]);
	free(codes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2)
		return 0;
	if (data[0] == 1)
		fuzz_matrix(&shapes[data[1] % (sizeof shapes / sizeof *shapes)], data + 2, len - 2);
	else
		fuzz_folder(data, len);
	return 0;
}
