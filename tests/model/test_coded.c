/* Matrices in codes: against outside dequantisers (tests/vectors/coded), and what is refused. */
#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "kernels/number.h"
#include "model/coding.h"
#include "model/config.h"
#include "model/values.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- vectors ---- */

#define TENSORS 12

struct vector {
	char name[100];
	struct model_tensor tensor[TENSORS];
	unsigned char *bytes[TENSORS];
	size_t count;
};

static enum model_dtype type_of(const char *name)
{
	for (int d = 0; d <= MODEL_F4; d++)
		if (strcmp(model_dtype_name((enum model_dtype)d), name) == 0)
			return (enum model_dtype)d;
	cr_assert_fail("type %s", name);
	return MODEL_F4;
}

/* "name TYPE AxB hex" */
static void tensor_line(struct vector *v, char *line)
{
	struct model_tensor *t = &v->tensor[v->count];
	char *save, *name = strtok_r(line, " ", &save), *type = strtok_r(NULL, " ", &save);
	char *shape = strtok_r(NULL, " ", &save), *hex = strtok_r(NULL, " ", &save);
	*t = (struct model_tensor){ .name = strdup(name), .file = "vectors.txt", .dtype = type_of(type) };
	for (char *at = shape; at; at = strchr(at, 'x') ? strchr(at, 'x') + 1 : NULL)
		t->shape[t->rank++] = strtoull(at, NULL, 10);
	t->bytes = strlen(hex) / 2;
	v->bytes[v->count] = malloc(t->bytes + 1);
	for (size_t i = 0; i < t->bytes; i++)
		sscanf(hex + 2 * i, "%2hhx", &v->bytes[v->count][i]);
	v->count++;
}

static void vector_free(struct vector *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free((char *)(uintptr_t)v->tensor[i].name);
		free(v->bytes[i]);
	}
	v->count = 0;
}

static bool vector_read(FILE *f, struct vector *v)
{
	char *line = NULL;
	size_t room = 0;
	long at = ftell(f);
	ssize_t n;
	v->count = 0;
	v->name[0] = '\0';
	while ((n = getline(&line, &room, f)) > 0) {
		line[n - 1] = '\0';
		if (line[0] == '#' && v->name[0] != '\0') {
			fseek(f, at, SEEK_SET);
			break;
		}
		if (line[0] == '#')
			snprintf(v->name, sizeof v->name, "%.90s", line + 2);
		else
			tensor_line(v, line);
		at = ftell(f);
	}
	free(line);
	return v->name[0] != '\0';
}

static size_t find(const struct vector *v, const char *name)
{
	size_t i = 0;
	while (i < v->count && strcmp(v->tensor[i].name, name) != 0)
		i++;
	return i;
}

/* How the blocks of the file are read; columns of a scale 0: all. */
static const struct form {
	const char *name, *codes;
	struct model_coding c;
	const char *part[CODING_PARTS];
} forms[] = {
	{ "pack-quantized num_bits=4", "weight_packed",
	  { .form = CODE_FIELDS, .bits = 4, .block_rows = 1, .block_columns = 8 },
	  { "weight_scale", "weight_zero_point", NULL, "weight_shape" } },
	{ "pack-quantized num_bits=2", "weight_packed",
	  { .form = CODE_FIELDS, .bits = 2, .block_rows = 1, .block_columns = 16 },
	  { "weight_scale", "weight_zero_point", NULL, "weight_shape" } },
	{ "naive-quantized", "weight", { .form = CODE_BYTES, .block_rows = 1, .block_columns = 16 },
	  { "weight_scale" } },
	{ "float-quantized", "weight",
	  { .form = CODE_FLOATS, .dtype = MODEL_F8_E4M3, .block_rows = 1, .block_columns = 16 },
	  { "weight_scale" } },
	{ "nvfp4", "weight_packed",
	  { .form = CODE_E2M1, .block_rows = 1, .block_columns = 16, .whole_divides = true },
	  { "weight_scale", NULL, NULL, NULL, "weight_global_scale" } },
	{ "bnb nf4", "weight", { .form = CODE_TABLE, .block_rows = 4, .block_columns = 64 },
	  { "weight.absmax", NULL, NULL, NULL, NULL, "weight.quant_map", "weight.nested_absmax",
	    "weight.nested_quant_map", "weight.quant_state.bitsandbytes__nf4" } },
	{ "bnb fp4", "weight", { .form = CODE_TABLE, .block_rows = 4, .block_columns = 64 },
	  { "weight.absmax", NULL, NULL, NULL, NULL, "weight.quant_map", "weight.nested_absmax",
	    "weight.nested_quant_map", "weight.quant_state.bitsandbytes__fp4" } },
	{ "awq", "qweight", { .form = CODE_AWQ, .bits = 4, .block_rows = 1, .block_columns = 8 },
	  { "scales", "qzeros" } },
	{ "gptq bits=4", "qweight",
	  { .form = CODE_GPTQ, .bits = 4, .block_rows = 1, .block_columns = 8, .zero_less_one = true },
	  { "scales", "qzeros", "g_idx" } },
	{ "gptq bits=8", "qweight",
	  { .form = CODE_GPTQ, .bits = 8, .block_rows = 1, .block_columns = 4, .zero_less_one = true },
	  { "scales", "qzeros", "g_idx" } },
	{ "gptq bits=2", "qweight",
	  { .form = CODE_GPTQ, .bits = 2, .block_rows = 1, .block_columns = 16, .zero_less_one = true },
	  { "scales", "qzeros", "g_idx" } },
};

static const struct form *form_of(const char *name)
{
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (strncmp(name, forms[i].name, strlen(forms[i].name)) == 0)
			return &forms[i];
	cr_assert_fail("no form %s", name);
	return NULL;
}

static int open_vector(const struct vector *v, const struct form *f, struct model_coding *c, struct err *e)
{
	struct coding_bytes part[CODING_PARTS] = { 0 };
	const struct model_tensor *value = &v->tensor[find(v, "value")];
	*c = f->c;
	c->rows = (uint32_t)value->shape[0];
	c->columns = (uint32_t)value->shape[1];
	c->after = 1;
	for (int p = 0; p < CODING_PARTS; p++) {
		size_t i = f->part[p] ? find(v, f->part[p]) : v->count;
		if (i < v->count)
			part[p] = (struct coding_bytes){ &v->tensor[i], v->bytes[i] };
	}
	return model_coding_open(c, part, e);
}

/* NVFP4 the library gives in bf16, rounded from f32 once. */
static void compare_rows(const struct vector *v, const struct model_coding *c, const float *has, uint32_t row,
                         uint32_t n)
{
	const float *want = (const float *)(void *)v->bytes[find(v, "value")];
	for (size_t i = 0; i < (size_t)n * c->columns; i++) {
		float w = want[(size_t)row * c->columns + i];
		float h = c->form == CODE_E2M1 ? number_from_bf16(number_to_bf16(has[i])) : has[i];
		cr_assert(h <= w && h >= w, "%s: row %zu, column %zu: %.9g, outside %.9g", v->name,
		          row + i / c->columns, i % c->columns, (double)h, (double)w);
	}
}

Test(model_coded, values_are_those_of_outside_dequantisers)
{
	FILE *f = fopen("tests/vectors/coded/vectors.txt", "r");
	struct vector v = { 0 };
	size_t vectors = 0;
	cr_assert_not_null(f);
	for (; vector_read(f, &v); vector_free(&v), vectors++) {
		const struct form *form = form_of(v.name);
		const unsigned char *codes = v.bytes[find(&v, form->codes)];
		struct model_coding c;
		struct err e = { 0 };
		cr_assert_eq(open_vector(&v, form, &c, &e), 0, "%s: %s", v.name, e.text);
		float *has = malloc((size_t)c.rows * c.columns * sizeof *has);
		model_coding_rows(&c, codes, 0, c.rows, has);
		compare_rows(&v, &c, has, 0, c.rows);
		for (uint32_t row = 1; row + 2 <= c.rows; row++) { /* any rows alone are the same */
			model_coding_rows(&c, codes + row * model_coding_row_bytes(&c), row, 2, has);
			compare_rows(&v, &c, has, row, 2);
		}
		free(has);
		model_coding_close(&c);
	}
	fclose(f);
	cr_assert_eq(vectors, 14);
}

/* ---- as a folder without a config ---- */

/* A safetensors file of all tensors but the last, which has the values. */
static void vector_file(const struct vector *v, struct buf *out)
{
	struct buf head = { 0 }, data = { 0 };
	buf_add_text(&head, "{");
	for (size_t i = 0; i + 1 < v->count; i++) {
		const struct model_tensor *t = &v->tensor[i];
		buf_printf(&head, "%s\"m.%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", t->name,
		           model_dtype_name(t->dtype));
		for (int k = 0; k < t->rank; k++)
			buf_printf(&head, "%s%llu", k ? "," : "", (unsigned long long)t->shape[k]);
		buf_printf(&head, "],\"data_offsets\":[%zu,%zu]}", data.len, data.len + (size_t)t->bytes);
		buf_add(&data, v->bytes[i], t->bytes);
	}
	buf_add_text(&head, "}");
	blob_add(out, head.bytes, data.bytes, data.len);
	buf_free(&head);
	buf_free(&data);
}

Test(model_coded, codes_are_found_by_names_and_shapes_alone)
{
	FILE *f = fopen("tests/vectors/coded/vectors.txt", "r");
	struct vector v = { 0 };
	cr_assert_not_null(f);
	for (; vector_read(f, &v); vector_free(&v)) {
		const struct model_tensor *value = &v.tensor[v.count - 1];
		const struct model_coding c = { .form = form_of(v.name)->c.form,
			                        .columns = (uint32_t)value->shape[1] };
		struct memory_source m;
		struct model_values *values;
		struct err e = { 0 };
		memory_init(&m);
		vector_file(&v, memory_add(&m, "model.safetensors"));
		cr_assert_eq(model_values_open(&values, &m.source, NULL, &e), 0, "%s: %s", v.name, e.text);
		const struct model_value *w = model_values_find(values, "m.weight");
		cr_assert(w && w->floats && model_values_count(values) == 1, "%s: %s", v.name,
		          model_values_notes(values));
		cr_assert(w->rank == 2 && w->rows == value->shape[0] && w->columns == value->shape[1], "%s", v.name);
		cr_assert_eq(w->parts, v.count - 1, "%s", v.name);
		float *has = malloc(w->rows * w->columns * sizeof *has);
		for (uint64_t row = 0; row < w->rows; row += 3) {
			uint64_t n = w->rows - row < 3 ? w->rows - row : 3;
			cr_assert_eq(model_values_read(values, w, row, n, has, &e), 0, "%s: %s", v.name, e.text);
			compare_rows(&v, &c, has, (uint32_t)row, (uint32_t)n);
		}
		free(has);
		model_values_close(values);
		memory_free(&m);
	}
	fclose(f);
}

/* Symmetric codes of 4 bits as blocks of their own are the same values. */
Test(model_coded, blocks_of_symmetric_codes_are_the_same_values)
{
	enum { ROWS = 16, COLUMNS = 128 };
	static unsigned char codes[ROWS * COLUMNS / 2], blocks[ROWS * COLUMNS / 32 * 18];
	static float want[ROWS * COLUMNS], has[ROWS * COLUMNS];
	static uint16_t scale[ROWS * 2];
	static uint32_t zero[2 * ROWS / 8];
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof codes; i++)
		codes[i] = (unsigned char)(i * 37 + i / 7);
	for (size_t i = 0; i < ROWS * 2; i++)
		scale[i] = (uint16_t)(0x2000 + i * 91);
	for (size_t i = 0; i < 2 * ROWS / 8; i++)
		zero[i] = 0x77777777;
	const struct model_tensor s = { .name = "s", .file = "f", .dtype = MODEL_F16, .rank = 2,
		                        .shape = { 2, ROWS }, .bytes = sizeof scale };
	const struct model_tensor z = { .name = "z", .file = "f", .dtype = MODEL_I32, .rank = 2,
		                        .shape = { 2, ROWS / 8 }, .bytes = sizeof zero };
	for (int form = 0; form < 2; form++) {
		const struct coding_bytes part[CODING_PARTS] = {
			{ &s, (unsigned char *)scale }, { form ? &z : NULL, (unsigned char *)zero }
		};
		struct model_coding c = { .form = form ? CODE_GPTQ : CODE_FIELDS, .bits = 4, .rows = ROWS,
			                  .columns = COLUMNS, .block_rows = 1, .block_columns = 64,
			                  .zero_less_one = true, .after = 1 };
		cr_assert_eq(model_coding_open(&c, part, &e), 0, "%s", e.text);
		model_coding_rows(&c, codes, 0, ROWS, want);
		model_coding_close(&c);
		c.narrow = true;
		cr_assert_eq(model_coding_open(&c, part, &e), 0, "%s", e.text);
		model_coding_blocks(&c, codes, 0, ROWS, blocks);
		model_coding_close(&c);
		model_dtype_widen(MODEL_Q4_0, blocks, ROWS * COLUMNS, has);
		for (size_t i = 0; i < ROWS * COLUMNS; i++)
			cr_assert(has[i] <= want[i] && has[i] >= want[i], "%d: %zu: %g, not %g", form, i,
			          (double)has[i], (double)want[i]);
	}
}

/* ---- lies beside the codes ---- */

/* Bytes of a tensor of a block changed, and the sentence. */
static const struct lie {
	const char *block, *tensor;
	size_t at;
	const char *bytes;
	size_t len;
	const char *word;
} lies[] = {
	{ "pack-quantized num_bits=4", "weight_scale", 8, "\0\0\xc0\x7f", 4,
	  "weight_scale has nan at 2: not finite" },
	{ "naive-quantized", "weight_scale", 4, "\0\0\x80\xff", 4, "weight_scale has -inf at 1: not finite" },
	{ "pack-quantized num_bits=4", "weight_shape", 8, "\x0f", 1, "weight_shape has 15 at 1, not 16" },
	{ "nvfp4", "weight_scale", 3, "\x7f", 1, "weight_scale has nan at 3" },
	{ "nvfp4", "weight_global_scale", 0, "\0\0\0\0", 4, "weight_global_scale has 0 at 0: a divisor" },
	{ "gptq bits=4", "g_idx", 4, "\2\0\0\0", 4, "g_idx has 2 at 1: no such group" },
	{ "gptq bits=4", "g_idx", 4, "\xff\xff\xff\xff", 4, "g_idx has -1 at 1: no such group" },
	{ "awq", "scales", 2, "\0\x7c", 2, "scales has inf at 1: not finite" },
	{ "bnb nf4 nested 0", "weight.quant_map", 0, "\0\0\xc0\x7f", 4, "quant_map has nan at 0" },
	{ "bnb nf4 nested 0", "weight.quant_state.bitsandbytes__nf4", 0, "[", 1, "bitsandbytes__nf4: " },
	{ "bnb nf4 nested 0", "weight.quant_state.bitsandbytes__nf4", 35, "63", 2, "absmax has 4 values, not 5" },
	{ "bnb nf4 nested 0", "weight.quant_state.bitsandbytes__nf4", 35, "-4", 2, "blocksize -4" },
	{ "bnb nf4 nested 0", "weight.quant_state.bitsandbytes__nf4", 69, "9", 1, "shape [9, 64], not [4, 64]" },
	{ "bnb nf4 nested 1", "weight.nested_absmax", 0, "\0\0\x80\x7f", 4, "nested_absmax has inf at 0" },
};

Test(model_coded, lies_beside_the_codes_are_refused)
{
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		const struct lie *lie = &lies[i];
		FILE *f = fopen("tests/vectors/coded/vectors.txt", "r");
		struct vector v = { 0 };
		struct model_coding c;
		struct err e = { 0 };
		while (vector_read(f, &v) && strncmp(v.name, lie->block, strlen(lie->block)) != 0)
			vector_free(&v);
		size_t t = find(&v, lie->tensor);
		cr_assert(t < v.count && lie->at + lie->len <= v.tensor[t].bytes, "%s", lie->word);
		memcpy(v.bytes[t] + lie->at, lie->bytes, lie->len);
		int rc = open_vector(&v, form_of(v.name), &c, &e);
		cr_assert(rc == ERR_INPUT && strstr(e.text, lie->word), "%s: %d %s", lie->word, rc, e.text);
		model_coding_close(&c);
		vector_free(&v);
		fclose(f);
	}
}

/* A zero point that is a byte of its own must be one that the codes have. */
Test(model_coded, zero_points_outside_the_codes_are_refused)
{
	const unsigned char scale[4] = { 0, 0, 0x80, 0x3f }, zero[1] = { 8 };
	const struct model_tensor s = { .name = "s", .file = "f", .dtype = MODEL_F32, .rank = 2,
		                        .shape = { 1, 1 }, .bytes = 4 };
	const struct model_tensor z = { .name = "z", .file = "f", .dtype = MODEL_I8, .rank = 2,
		                        .shape = { 1, 1 }, .bytes = 1 };
	struct coding_bytes part[CODING_PARTS] = { { &s, scale }, { &z, zero } };
	struct model_coding c = { .form = CODE_FIELDS, .bits = 4, .rows = 1, .columns = 8, .block_rows = 1,
		                  .block_columns = 8, .after = 1 };
	struct err e = { 0 };
	cr_assert_eq(model_coding_open(&c, part, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "z has 8 at 0: a zero point outside the codes' range"), "%s", e.text);
	model_coding_close(&c);
	c.form = CODE_BYTES;
	cr_assert_eq(model_coding_open(&c, part, &e), 0, "%s", e.text);
	model_coding_close(&c);
}

/* ---- quantization_config ---- */

#define I ERR_INPUT
#define U ERR_UNSUPPORTED
#define GPTQ "'quant_method':'gptq','bits':4,'group_size':64"
#define AWQ "'quant_method':'awq','bits':4,'group_size':64"
#define CT "'quant_method':'compressed-tensors'"
#define GROUP(weights) CT ",'config_groups':{'a':{'weights':{" weights "}}}"

static const struct { const char *config; int code; const char *word; } refused[] = {
	{ "'quant_method':'hqq'", U, "quantization_config.quant_method \"hqq\"" },
	{ "'quant_method':'gptq','bits':4", I, "group_size" },
	{ "'quant_method':'gptq','bits':3,'group_size':128", U, "bits 3" },
	{ "'quant_method':'gptq','bits':4,'group_size':0", I, "group_size 0" },
	{ GPTQ ",'checkpoint_format':'marlin'", U, "checkpoint_format \"marlin\"" },
	{ GPTQ ",'format':'gptq_p'", U, "format \"gptq_p\"" },
	{ GPTQ ",'is_marlin_format':true", U, "is_marlin_format" },
	{ GPTQ ",'dynamic':{'+:.*':{'bits':8}}", U, "other codes for single modules" },
	{ GPTQ ",'pack_dtype':'int64'", U, "pack_dtype" },
	{ "'quant_method':'awq'", I, "w_bit" },
	{ "'quant_method':'awq','bits':8,'group_size':64", U, "bits 8" },
	{ AWQ ",'version':'gemv'", U, "version \"gemv\"" },
	{ AWQ ",'zero_point':false", U, "zero_point false" },
	{ "'quant_method':'bitsandbytes'", I, "load_in_8bit" },
	{ "'quant_method':'bitsandbytes','load_in_4bit':true,'load_in_8bit':true", I, "load_in_4bit true" },
	{ "'quant_method':'modelopt'", I, "quant_algo" },
	{ "'quant_method':'modelopt','quant_algo':'W4A8_AWQ'", U, "W4A8_AWQ" },
	{ "'quant_method':'mxfp4'", U, "mxfp4" },
	{ "'quant_method':'fp8','fmt':'e5m2'", U, "e5m2" },
	{ "'quant_method':'fp8','weight_block_size':[64]", I, "weight_block_size [64]" },
	{ "'quant_method':'fp8','weight_block_size':[64,0]", I, "weight_block_size [64,0]" },
	{ CT, I, "config_groups" },
	{ CT ",'format':'marlin-24','config_groups':{'a':{}}", U, "marlin-24" },
	{ CT ",'sparsity_config':{'format':'sparse-bitmask'},'config_groups':{'a':{}}", U, "sparse-bitmask" },
	{ CT ",'transform_config':{'config_groups':{'u':{}}},'config_groups':{'a':{}}", U, "transform_config" },
	{ CT ",'config_groups':{'a':[]}", I, "config_groups" },
	{ GROUP("'num_bits':3"), U, "num_bits 3" },
	{ GROUP("'num_bits':16,'type':'float'"), U, "num_bits 16" },
	{ GROUP("'strategy':'token'"), U, "strategy \"token\"" },
	{ GROUP("'strategy':'block'"), I, "block_structure" },
	{ GROUP("'dynamic':true"), U, "dynamic true" },
};

/* The small llama's config with this quantization_config; ' stands for ". */
static int parse(const char *quantisation, struct model_config *c, struct err *e)
{
	struct buf b = { 0 };
	char text[4000];
	cr_assert_eq(file_read("tests/vectors/oracles/llama/config.json", MIB(1), &b, e), 0, "%s", e->text);
	int at = snprintf(text, sizeof text, "{\"quantization_config\":{%s},", quantisation);
	for (char *q = text; (q = strchr(q, '\'')) != NULL;)
		*q = '"';
	at += snprintf(text + at, sizeof text - (size_t)at, "%.*s", (int)b.len - 1, (char *)b.bytes + 1);
	buf_free(&b);
	return model_config_parse(c, text, (size_t)at, NULL, 0, e);
}

Test(model_coded, configs_are_refused_by_key_and_value)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct model_config *c = malloc(sizeof *c);
		struct err e = { 0 };
		int rc = parse(refused[i].config, c, &e);
		cr_assert_eq(rc, refused[i].code, "%s: %d %s", refused[i].config, rc, e.text);
		cr_assert_not_null(strstr(e.text, refused[i].word), "%s: %s", refused[i].config, e.text);
		free(c);
	}
}

Test(model_coded, configs_say_what_is_not_done)
{
	struct model_config *c = malloc(sizeof *c);
	struct err e = { 0 };
	cr_assert_eq(parse(CT ",'kv_cache_scheme':{'num_bits':8},'config_groups':{'a':{'weights':{'num_bits':4,"
	                      "'group_size':128},'input_activations':{'num_bits':8}}}",
	                   c, &e),
	             0, "%s", e.text);
	cr_assert_not_null(strstr(c->notes, "activations are not quantised here"), "%s", c->notes);
	cr_assert_not_null(strstr(c->notes, "the cache is not quantised here"), "%s", c->notes);
	cr_assert_eq(c->quant.groups, 1);
	cr_assert_eq(c->quant.group[0].block_columns, 128);
	free(c);
}
