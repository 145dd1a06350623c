/* Values of a folder, whatever its files are called and however they are stored. */
#include "model/adapter.h"
#include "model/values.h"
#include "kernels/number.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#define ONE(name) "{\"" name "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"
#define INDEX "model.safetensors.index.json"

/* Files in the order of their names; text NULL: a safetensors file with the tensor `tensor`. */
struct file {
	const char *name, *tensor, *text;
};

static const struct folder {
	const char *row;
	struct file file[6];
	int code;
	const char *words; /* of the sentence; else of the notes */
	const char *has[3];
	size_t count;
} folders[] = {
	{ "one file", { { "model.safetensors", ONE("a"), NULL } }, 0, "", { "a" }, 1 },
	{ "any name", { { "flux-dev.safetensors", ONE("a"), NULL } }, 0, "", { "a" }, 1 },
	{ "several that fit together",
	  { { "head.safetensors", ONE("a"), NULL }, { "trunk.safetensors", ONE("b"), NULL } },
	  0, "", { "a", "b" }, 2 },
	{ "several that do not",
	  { { "one.safetensors", ONE("a"), NULL }, { "two.safetensors", ONE("a"), NULL } },
	  ERR_INPUT, "tensor a is in one.safetensors and again in two.safetensors", { NULL }, 0 },
	{ "shards with an index",
	  { { "a-1.safetensors", ONE("a"), NULL }, { "b-1.safetensors", ONE("b"), NULL },
	    { "left.safetensors", ONE("c"), NULL },
	    { INDEX, NULL, "{\"weight_map\":{\"a\":\"a-1.safetensors\",\"b\":\"b-1.safetensors\"}}" } },
	  0, "left.safetensors is not looked at", { "a", "b" }, 2 },
	{ "an index that does not know all",
	  { { "a-1.safetensors", ONE("a"), NULL },
	    { INDEX, NULL, "{\"weight_map\":{\"z\":\"a-1.safetensors\"}}" } },
	  0, "", { "a" }, 1 },
	{ "an index that names a file that is missing",
	  { { "a-1.safetensors", ONE("a"), NULL },
	    { INDEX, NULL, "{\"weight_map\":{\"a\":\"a-1.safetensors\",\"b\":\"b-1.safetensors\"}}" } },
	  ERR_INPUT, "names b-1.safetensors, which is missing", { NULL }, 0 },
	{ "an index alone", { { INDEX, NULL, "{\"weight_map\":{\"a\":\"a.safetensors\"}}" } },
	  ERR_INPUT, "names a.safetensors, which is missing", { NULL }, 0 },
	{ "an index beside one file",
	  { { "a.safetensors", ONE("a"), NULL }, { "model.safetensors", ONE("b"), NULL },
	    { INDEX, NULL, "{\"weight_map\":{\"a\":\"a.safetensors\"}}" } },
	  ERR_INPUT, "which one is meant?", { NULL }, 0 },
	{ "shards without an index",
	  { { "model-00001-of-00002.safetensors", ONE("a"), NULL },
	    { "model-00002-of-00002.safetensors", ONE("b"), NULL } },
	  0, "", { "a", "b" }, 2 },
	{ "a shard is missing",
	  { { "model-00001-of-00003.safetensors", ONE("a"), NULL },
	    { "model-00003-of-00003.safetensors", ONE("b"), NULL } },
	  ERR_INPUT, "the shard model-00002-of-00003.safetensors is missing", { NULL }, 0 },
	{ "shards of two divisions",
	  { { "model-00001-of-00002.safetensors", ONE("a"), NULL },
	    { "model-00002-of-00002.safetensors", ONE("b"), NULL },
	    { "model-00003-of-00003.safetensors", ONE("c"), NULL } },
	  ERR_INPUT, "which one is meant?", { NULL }, 0 },
	{ "the same model twice",
	  { { "consolidated.safetensors", ONE("x"), NULL }, { "model.safetensors", ONE("a"), NULL } },
	  0, "consolidated.safetensors is not looked at", { "a" }, 1 },
	{ "consolidated alone", { { "consolidated.safetensors", ONE("x"), NULL } }, 0, "", { "x" }, 1 },
	{ "an adapter beside a model",
	  { { "adapter_model.safetensors", ONE("l"), NULL }, { "odd.safetensors", ONE("a"), NULL } },
	  0, "adapter_model.safetensors is not looked at", { "a" }, 1 },
	{ "an adapter", { { "adapter_model.safetensors", ONE("l"), NULL } }, 0, "", { "l" }, 1 },
	{ "a pipeline",
	  { { "text_encoder/model.safetensors", ONE("a"), NULL },
	    { "unet/diffusion_pytorch_model.safetensors", ONE("a"), NULL } },
	  0, "", { "text_encoder/a", "unet/a" }, 2 },
	{ "folders below a model",
	  { { "model.safetensors", ONE("a"), NULL }, { "original/model.safetensors", ONE("a"), NULL } },
	  0, "original/model.safetensors is not looked at", { "a" }, 1 },
	{ "pickles beside a model",
	  { { "model.safetensors", ONE("a"), NULL }, { "pytorch_model.bin", NULL, "x" } }, 0, "", { "a" },
	  1 },
	{ "a GGUF file beside a model",
	  { { "m.gguf", NULL, "x" }, { "model.safetensors", ONE("a"), NULL } }, 0,
	  "m.gguf is not looked at", { "a" }, 1 },
	{ "a pickle", { { "pytorch_model.bin", NULL, "x" } }, ERR_UNSUPPORTED,
	  "pytorch_model.bin is a pickle", { NULL }, 0 },
	{ "a pickle of Meta's", { { "consolidated.00.pth", NULL, "x" } }, ERR_UNSUPPORTED,
	  "consolidated.00.pth is a pickle", { NULL }, 0 },
	{ "ckpt", { { "v1-5.ckpt", NULL, "x" } }, ERR_UNSUPPORTED, "is a pickle", { NULL }, 0 },
	{ "nothing", { { "README.md", NULL, "x" } }, ERR_NOTFOUND, "no weights", { NULL }, 0 },
};

Test(model_values, a_model_is_found_under_any_name)
{
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		const struct folder *f = &folders[i];
		struct memory_source m;
		struct model_values *v;
		struct err e = { 0 };
		memory_init(&m);
		for (const struct file *x = f->file; x->name; x++)
			if (x->tensor)
				blob_add(memory_add(&m, x->name), x->tensor, "x", 1);
			else
				buf_add_text(memory_add(&m, x->name), x->text);
		int rc = model_values_open(&v, &m.source, NULL, &e);
		cr_expect_eq(rc, f->code, "%s: %d (%s)", f->row, rc, e.text);
		const char *said = rc < 0 ? e.text : model_values_notes(v);
		cr_expect(strstr(said, f->words), "%s: %s", f->row, said);
		if (rc == 0) {
			cr_expect_eq(model_values_count(v), f->count, "%s", f->row);
			for (size_t k = 0; k < f->count; k++)
				cr_expect(model_values_find(v, f->has[k]), "%s: %s", f->row, f->has[k]);
		}
		model_values_close(v);
		memory_free(&m);
	}
}

/* ---- values ---- */

/* The one value of a file with this header and these bytes, all of it. */
static int read_all(const char *header, const void *data, size_t len, float *out, struct err *e)
{
	struct memory_source m;
	struct model_values *v;
	memory_init(&m);
	blob_add(memory_add(&m, "model.safetensors"), header, data, len);
	cr_assert_eq(model_values_open(&v, &m.source, NULL, e), 0, "%s", e->text);
	cr_assert_eq(model_values_count(v), 1);
	const struct model_value *w = model_values_at(v, 0);
	int rc = model_values_read(v, w, 0, w->rows, out, e);
	model_values_close(v);
	memory_free(&m);
	return rc;
}

static const struct {
	const char *header, *bytes;
	size_t len;
	float v[4];
} floats[] = {
	{ "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "\0\0\x80\x3f\0\0\0\xc0", 8,
	  { 1, -2 } },
	{ "{\"w\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}",
	  "\x80\x3f\x00\xc0\x00\x3f\x49\x40", 8, { 1, -2, 0.5f, 3.140625f } },
	{ "{\"w\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]}}",
	  "\x01\x00\x00\x3c\xff\x7b\x00\xb8", 8, { 0x1p-24f, 1, 65504, -0.5f } },
	{ "{\"w\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", "\x00\xfc\x01\x7c", 4,
	  { -INFINITY, NAN } },
	{ "{\"w\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[0,8]}}", "\0\0\0\0\0\0\xf0\x3f", 8,
	  { 1 } },
	{ "{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", "\x38\xb8\x7e\x7f", 4,
	  { 1, -1, 448, NAN } },
	{ "{\"w\":{\"dtype\":\"F8_E5M2\",\"shape\":[4],\"data_offsets\":[0,4]}}", "\x3c\xbc\x7b\x7c", 4,
	  { 1, -1, 57344, INFINITY } },
	{ "{\"w\":{\"dtype\":\"F8_E8M0\",\"shape\":[2],\"data_offsets\":[0,2]}}", "\x80\xff", 2,
	  { 2, NAN } },
	{ "{\"w\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}", "\x21\xf7", 2,
	  { 0.5f, 1, 6, -6 } },
};

static bool same(float a, float b) { return number_bits(a) == number_bits(b) || (isnan(a) && isnan(b)); }

Test(model_values, every_float_type_is_read)
{
	for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
		struct err e = { 0 };
		float v[4] = { 0 };
		cr_assert_eq(read_all(floats[i].header, floats[i].bytes, floats[i].len, v, &e), 0, "%s",
		             e.text);
		for (size_t k = 0; k < 4; k++)
			cr_expect(same(v[k], floats[i].v[k]), "%s: %zu: %g", floats[i].header, k, (double)v[k]);
	}
}

Test(model_values, every_half_is_what_it_says)
{
	static uint16_t half[65536];
	static float v[65536];
	struct err e = { 0 };
	for (size_t i = 0; i < 65536; i++)
		half[i] = (uint16_t)i;
	cr_assert_eq(read_all("{\"w\":{\"dtype\":\"F16\",\"shape\":[256,256],\"data_offsets\":[0,131072]}}",
	                      half, sizeof half, v, &e), 0, "%s", e.text);
	for (size_t i = 0; i < 65536; i++)
		cr_assert(same(v[i], number_from_f16((uint16_t)i)), "%zu", i);
}

Test(model_values, every_byte_is_what_it_says)
{
	uint8_t byte[256];
	float v[256];
	struct err e = { 0 };
	for (size_t i = 0; i < 256; i++)
		byte[i] = (uint8_t)i;
	cr_assert_eq(read_all("{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[256],\"data_offsets\":[0,256]}}", byte,
	                      256, v, &e), 0, "%s", e.text);
	for (size_t i = 0; i < 256; i++)
		cr_assert(same(v[i], number_from_e4m3((uint8_t)i)), "%zu", i);
	cr_assert_eq(read_all("{\"w\":{\"dtype\":\"F8_E5M2\",\"shape\":[256],\"data_offsets\":[0,256]}}", byte,
	                      256, v, &e), 0, "%s", e.text);
	for (size_t i = 0; i < 256; i++)
		cr_assert(same(v[i], number_from_f16((uint16_t)(i << 8))), "%zu", i);
}

Test(model_values, what_is_no_float_has_a_form_and_no_values)
{
	struct err e = { 0 };
	float v[4];
	cr_expect_eq(read_all("{\"w\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "12345678", 8,
	                      v, &e), ERR_UNSUPPORTED);
	cr_expect(strstr(e.text, "I64"), "%s", e.text);
}

/* FP8 [4, 4] of ones, and scales beside it. */
static const struct {
	const char *name, *shape;
	size_t n;
	float of[2][2]; /* by half of rows and columns */
} fp8[] = {
	{ "w.weight_scale_inv", "[]", 1, { { 2, 2 }, { 2, 2 } } },
	{ "w.weight_scale", "[1]", 1, { { 2, 2 }, { 2, 2 } } },
	{ "w.weight_scale", "[1,1]", 1, { { 2, 2 }, { 2, 2 } } },
	{ "w.scale", "[2,2]", 4, { { 2, 3 }, { 4, 5 } } },
	{ "w.scale_weight", "[]", 1, { { 2, 2 }, { 2, 2 } } },
	{ "w.weight_scale", "[2]", 2, { { 2, 2 }, { 3, 3 } } },
};

Test(model_values, fp8_is_multiplied_with_its_scales)
{
	for (size_t i = 0; i < sizeof fp8 / sizeof *fp8; i++) {
		static const float scale[4] = { 2, 3, 4, 5 };
		struct memory_source m;
		struct model_values *v;
		struct err e = { 0 };
		char header[400], data[32];
		float out[16];
		memset(data, 0x38, 16);
		memcpy(data + 16, scale, sizeof scale);
		snprintf(header, sizeof header,
		         "{\"w.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[4,4],\"data_offsets\":[0,16]},"
		         "\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[16,%zu]}}",
		         fp8[i].name, fp8[i].shape, 16 + 4 * fp8[i].n);
		memory_init(&m);
		blob_add(memory_add(&m, "x.safetensors"), header, data, 16 + 4 * fp8[i].n);
		cr_assert_eq(model_values_open(&v, &m.source, NULL, &e), 0, "%s", e.text);
		cr_assert_eq(model_values_count(v), 1, "%s", fp8[i].name);
		const struct model_value *w = model_values_find(v, "w.weight");
		cr_assert(w && w->floats && w->parts == 2 && w->rows == 4 && w->columns == 4);
		for (uint64_t r = 0; r < 4; r++)
			cr_assert_eq(model_values_read(v, w, r, 1, out + 4 * r, &e), 0, "%s", e.text);
		for (size_t k = 0; k < 16; k++)
			cr_expect(same(out[k], fp8[i].of[k / 8][k % 4 / 2]), "%s: %zu: %g", fp8[i].name, k,
			          (double)out[k]);
		cr_expect_eq(model_values_read(v, w, 3, 2, out, &e), ERR_INPUT);
		model_values_close(v);
		memory_free(&m);
	}
}

Test(model_values, experts_in_one_tensor_stay_one_value)
{
	/* [2, 2, 2] of FP8, a scale for each row of each expert */
	static const char header[] = "{\"e\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,2,2],\"data_offsets\":[0,8]},"
		"\"e_scale\":{\"dtype\":\"F32\",\"shape\":[2,2,1],\"data_offsets\":[8,24]}}";
	static const float scale[4] = { 2, 3, 4, 5 };
	struct memory_source m;
	struct model_values *v;
	struct err e = { 0 };
	char data[24];
	float out[8];
	memset(data, 0x38, 8);
	memcpy(data + 8, scale, sizeof scale);
	memory_init(&m);
	blob_add(memory_add(&m, "model.safetensors"), header, data, sizeof data);
	cr_assert_eq(model_values_open(&v, &m.source, NULL, &e), 0, "%s", e.text);
	const struct model_value *w = model_values_find(v, "e");
	cr_assert(w && w->floats && w->rank == 3 && w->rows == 4 && w->columns == 2);
	cr_assert_eq(model_values_read(v, w, 1, 3, out, &e), 0, "%s", e.text);
	for (size_t k = 0; k < 6; k++)
		cr_expect(same(out[k], scale[1 + k / 2]), "%zu: %g", k, (double)out[k]);
	model_values_close(v);
	memory_free(&m);
}

/* A convolution of width 1 is a matrix; two of them are a stack still. */
Test(model_values, last_dimensions_of_one_are_none)
{
	static const char header[] =
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3,1,1],\"data_offsets\":[0,24]},"
		"\"b\":{\"dtype\":\"F64\",\"shape\":[2,1,3,1],\"data_offsets\":[24,72]},"
		"\"c\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[72,80]}}";
	static const float of[6] = { 1, 2, 3, 4, 5, 6 };
	struct memory_source m;
	struct model_values *v;
	struct err e = { 0 };
	char data[80];
	float out[3];
	memcpy(data, of, 24);
	for (size_t i = 0; i < 6; i++)
		memcpy(data + 24 + 8 * i, &(double){ of[i] }, 8);
	memcpy(data + 72, of, 8);
	memory_init(&m);
	blob_add(memory_add(&m, "model.safetensors"), header, data, sizeof data);
	cr_assert_eq(model_values_open(&v, &m.source, NULL, &e), 0, "%s", e.text);
	cr_expect_eq(model_values_find(v, "a")->rank, 2);
	cr_expect_eq(model_values_find(v, "b")->rank, 3);
	cr_expect_eq(model_values_find(v, "c")->columns, 1);
	for (int k = 0; k < 2; k++) {
		const struct model_value *w = model_values_find(v, k ? "b" : "a");
		cr_assert(w->rows == 2 && w->columns == 3);
		cr_assert_eq(model_values_read(v, w, 1, 1, out, &e), 0, "%s", e.text);
		for (size_t i = 0; i < 3; i++)
			cr_expect(same(out[i], of[3 + i]), "%s: %g", w->name, (double)out[i]);
		cr_expect_eq(model_values_read(v, w, 2, 1, out, &e), ERR_INPUT);
	}
	model_values_close(v);
	memory_free(&m);
}

/* gpt-oss: [2 experts, 3 outputs, 1 group, 16] and scales; a plain file has [2, 32 inputs, 3 outputs]. */
Test(model_values, mxfp4_experts_have_the_shape_of_plain_ones)
{
	static const char header[] =
		"{\"e.w_blocks\":{\"dtype\":\"U8\",\"shape\":[2,3,1,16],\"data_offsets\":[0,96]},"
		"\"e.w_scales\":{\"dtype\":\"U8\",\"shape\":[2,3,1],\"data_offsets\":[96,102]}}";
	static const float e2m1[16] = { 0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6 };
	unsigned char data[102];
	struct memory_source m;
	struct model_values *v;
	struct err e = { 0 };
	float out[40 * 3];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i < 96 ? i * 89 + i / 11 : 120 + i % 7);
	memory_init(&m);
	blob_add(memory_add(&m, "model.safetensors"), header, data, sizeof data);
	cr_assert_eq(model_values_open(&v, &m.source, NULL, &e), 0, "%s", e.text);
	const struct model_value *w = model_values_find(v, "e.w");
	cr_assert(w && model_values_count(v) == 1 && w->floats && w->rank == 3 && w->parts == 2);
	cr_assert(w->shape[0] == 2 && w->shape[1] == 32 && w->shape[2] == 3 && w->rows == 64 && w->columns == 3);
	cr_assert_str_eq(w->form, "MXFP4");
	cr_assert_eq(model_values_read(v, w, 7, 40, out, &e), 0, "%s", e.text);
	for (size_t i = 0; i < 40; i++) /* over the border of the two */
		for (size_t r = 0; r < 3; r++) {
			size_t x = (7 + i) / 32, k = (7 + i) % 32;
			unsigned code = data[(x * 3 + r) * 16 + k / 2] >> k % 2 * 4 & 15;
			float want = e2m1[code] * ldexpf(1, data[96 + x * 3 + r] - 127);
			cr_assert(same(out[i * 3 + r], want), "%zu, %zu: %g, not %g", i, r, (double)out[i * 3 + r],
			          (double)want);
		}
	model_values_close(v);
	memory_free(&m);
}

/* Which form the codes of one file have. */
static const struct {
	const char *row, *header;
	size_t bytes;
	const char *config, *name, *form;
	size_t count;
} found[] = {
	{ "int8 by row; what is of activations is no value",
	  "{\"x.weight\":{\"dtype\":\"I8\",\"shape\":[4,8],\"data_offsets\":[0,32]},"
	  "\"x.weight_scale\":{\"dtype\":\"F32\",\"shape\":[4,1],\"data_offsets\":[32,48]},"
	  "\"x.input_scale\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[48,52]}}", 52,
	  NULL, "x.weight", "I8 with scales", 1 },
	{ "an input scale of its own",
	  "{\"x.input_scale\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, NULL,
	  "x.input_scale", "F32", 1 },
	{ "FP8 experts in one tensor, a scale for each output",
	  "{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,4,8],\"data_offsets\":[0,64]},"
	  "\"x_scale\":{\"dtype\":\"BF16\",\"shape\":[2,1,8],\"data_offsets\":[64,96]}}", 96, NULL, "x",
	  "F8_E4M3 with scales", 1 },
	{ "FP8 in powers of two",
	  "{\"x.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[4,8],\"data_offsets\":[0,32]},"
	  "\"x.weight_scale_inv\":{\"dtype\":\"F8_E8M0\",\"shape\":[1,1],\"data_offsets\":[32,33]}}", 33, NULL,
	  "x.weight", "F8_E4M3 with scales", 1 },
	{ "scales of no division",
	  "{\"x.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[4,8],\"data_offsets\":[0,32]},"
	  "\"x.weight_scale\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[32,44]}}", 44, NULL,
	  "x.weight", "F8_E4M3", 2 },
	{ "GPTQ as a config refuses it that is read all the same",
	  "{\"x.qweight\":{\"dtype\":\"I32\",\"shape\":[2,8],\"data_offsets\":[0,64]},"
	  "\"x.qzeros\":{\"dtype\":\"I32\",\"shape\":[1,1],\"data_offsets\":[64,68]},"
	  "\"x.scales\":{\"dtype\":\"F16\",\"shape\":[1,8],\"data_offsets\":[68,84]}}", 84,
	  "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16,"
	  "\"dynamic\":{\"+:x\":{\"bits\":4}}}}", "x.weight", "GPTQ of 4 bits", 1 },
	{ "GPTQ of three bits is not available",
	  "{\"x.qweight\":{\"dtype\":\"I32\",\"shape\":[3,32],\"data_offsets\":[0,384]},"
	  "\"x.qzeros\":{\"dtype\":\"I32\",\"shape\":[1,3],\"data_offsets\":[384,396]},"
	  "\"x.scales\":{\"dtype\":\"F16\",\"shape\":[1,32],\"data_offsets\":[396,460]}}", 460, NULL,
	  "x.qweight", "I32, codes that are not read", 3 },
	{ "words that nobody knows", "{\"x.weight\":{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":[0,4]}}", 4,
	  NULL, "x.weight", "U8, codes that are not read", 1 },
	{ "a list of integers", "{\"x.ids\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]}}", 16,
	  NULL, "x.ids", "I64", 1 },
	{ "a plain tensor of the name is the value",
	  "{\"x.qweight\":{\"dtype\":\"I32\",\"shape\":[2,8],\"data_offsets\":[0,64]},"
	  "\"x.qzeros\":{\"dtype\":\"I32\",\"shape\":[1,1],\"data_offsets\":[64,68]},"
	  "\"x.scales\":{\"dtype\":\"F16\",\"shape\":[1,8],\"data_offsets\":[68,84]},"
	  "\"x.weight\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[84,88]}}", 88, NULL, "x.weight",
	  "F16", 4 },
};

Test(model_values, codes_are_told_by_their_form)
{
	for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
		static const char zeros[512];
		struct memory_source m;
		struct model_values *v;
		struct err e = { 0 };
		json_t *config = found[i].config ? json_loads(found[i].config, 0, NULL) : NULL;
		memory_init(&m);
		blob_add(memory_add(&m, "model.safetensors"), found[i].header, zeros, found[i].bytes);
		cr_assert_eq(model_values_open(&v, &m.source, config, &e), 0, "%s: %s", found[i].row, e.text);
		const struct model_value *w = model_values_find(v, found[i].name);
		cr_expect(w && strcmp(w->form, found[i].form) == 0, "%s: %s", found[i].row, w ? w->form : "none");
		cr_expect_eq(model_values_count(v), found[i].count, "%s: %zu", found[i].row, model_values_count(v));
		bool unread = strstr(found[i].form, "not read"), noted = strstr(model_values_notes(v), "not read");
		cr_expect(!unread || noted, "%s: %s", found[i].row, model_values_notes(v));
		model_values_close(v);
		json_decref(config);
		memory_free(&m);
	}
}

/* ---- threads ---- */

enum { READERS = 4, MATRICES = 96, SIDE = 32 };

struct reader {
	struct model_values *v;
	unsigned seed;
	int wrong;
};

/* Rows of any value, in any order: of matrix i all values are i + 1, or what two experts have. */
static void *reader_run(void *ctx)
{
	struct reader *r = ctx;
	float out[SIDE * SIDE];
	struct err e = { 0 };
	for (int i = 0; i < 3000; i++) {
		r->seed = r->seed * 1664525u + 1013904223u;
		unsigned k = (r->seed >> 8) % MATRICES, row = (r->seed >> 20) % SIDE;
		char name[40];
		snprintf(name, sizeof name, "m.%u.weight", k);
		const struct model_value *w = model_values_find(r->v, name);
		uint64_t rows = SIDE - row < 3 ? SIDE - row : 3;
		if (!w || model_values_read(r->v, w, row, rows, out, &e) < 0) {
			r->wrong++;
			continue;
		}
		for (size_t j = 0; j < rows * SIDE; j++)
			r->wrong += !same(out[j], (float)(k + 1));
	}
	return NULL;
}

/* More matrices than are kept between reads; GPTQ, whose codes are kept whole. */
Test(model_values, threads_read_at_once)
{
	struct memory_source m;
	struct buf head = { 0 }, data = { 0 };
	struct err e = { 0 };
	struct reader r[READERS] = { { 0 } };
	pthread_t thread[READERS];
	memory_init(&m);
	for (unsigned i = 0; i < MATRICES; i++) {
		size_t at = data.len, words = SIDE * SIDE / 8 * 4, zeros = SIDE / 8 * 4, scales = SIDE * 4;
		buf_printf(&head, "%s\"m.%u.qweight\":{\"dtype\":\"I32\",\"shape\":[4,32],\"data_offsets\":[%zu,%zu]},"
		           "\"m.%u.qzeros\":{\"dtype\":\"I32\",\"shape\":[1,4],\"data_offsets\":[%zu,%zu]},"
		           "\"m.%u.scales\":{\"dtype\":\"F32\",\"shape\":[1,32],\"data_offsets\":[%zu,%zu]}",
		           i ? "," : "{", i, at, at + words, i, at + words, at + words + zeros, i,
		           at + words + zeros, at + words + zeros + scales);
		for (size_t k = 0; k < words; k++)
			buf_add_byte(&data, 0x99); /* codes of 9 and zero points of 7 + 1 */
		for (size_t k = 0; k < zeros; k++)
			buf_add_byte(&data, 0x77);
		for (size_t k = 0; k < SIDE; k++) {
			float scale = (float)(i + 1);
			buf_add(&data, &scale, 4);
		}
	}
	buf_add_text(&head, "}");
	blob_add(memory_add(&m, "model.safetensors"), head.bytes, data.bytes, data.len);
	struct model_values *v;
	cr_assert_eq(model_values_open(&v, &m.source, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(model_values_count(v), MATRICES);
	for (unsigned i = 0; i < READERS; i++) {
		r[i] = (struct reader){ v, i * 77 + 5, 0 };
		cr_assert_eq(pthread_create(&thread[i], NULL, reader_run, &r[i]), 0);
	}
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(thread[i], NULL);
		cr_expect_eq(r[i].wrong, 0, "%d", r[i].wrong);
	}
	model_values_close(v);
	buf_free(&head);
	buf_free(&data);
	memory_free(&m);
}

/* ---- adapters ---- */

#define LORA "base_model.model.model.layers.0.self_attn.q_proj"

static const char adapter_config[] =
	"{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":2,\"target_modules\":[\"q_proj\"],"
	"\"base_model_name_or_path\":\"acme/base\"}";

static const struct {
	const char *row, *base, *extra; /* extra: a tensor of four numbers in the adapter */
	const char *why;
	uint64_t fitting;
	double relative;
} laid[] = {
	{ "its base", "model.layers.0.self_attn.q_proj.weight", NULL, "", 1, 2 * 5.0 / 5.0 },
	{ "a base that is wrapped", "language_model.model.layers.0.self_attn.q_proj.weight", NULL, "", 1, 2 },
	{ "another base", "model.layers.0.self_attn.k_proj.weight", NULL,
	  "there is no matrix model.layers.0.self_attn.q_proj.weight", 0, NAN },
};

static struct model_adapter *adapter_make(struct memory_source *m, const char *shapes)
{
	/* A [1, 2] = (1, 2), B [2, 1] = (1, -2): ||B A|| = 5 */
	static const float ab[4] = { 1, 2, 1, -2 };
	struct model_adapter *a;
	struct err e = { 0 };
	char header[600];
	snprintf(header, sizeof header,
	         "{\"" LORA ".lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
	         "\"" LORA ".lora_B.weight\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[8,16]}}",
	         shapes);
	memory_init(m);
	buf_add_text(memory_add(m, "adapter_config.json"), adapter_config);
	blob_add(memory_add(m, "adapter_model.safetensors"), header, ab, sizeof ab);
	cr_assert_eq(model_adapter_open(&a, &m->source, NULL, true, &e), 0, "%s", e.text);
	return a;
}

static struct model_values *base_make(struct memory_source *m, const char *name, const char *shape)
{
	static const float w[4] = { 1, 2, 2, 4 }; /* ||W|| = 5 */
	struct model_values *v;
	struct err e = { 0 };
	char header[300];
	snprintf(header, sizeof header,
	         "{\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,16]}}", name, shape);
	memory_init(m);
	blob_add(memory_add(m, "model.safetensors"), header, w, sizeof w);
	cr_assert_eq(model_values_open(&v, &m->source, NULL, &e), 0, "%s", e.text);
	return v;
}

Test(model_values, an_adapter_fits_the_base_that_has_its_modules)
{
	for (size_t i = 0; i < sizeof laid / sizeof *laid; i++) {
		struct memory_source ma, mb;
		struct model_adapter *a = adapter_make(&ma, "[2,1]");
		struct model_values *v = base_make(&mb, laid[i].base, "[2,2]");
		struct model_fit f;
		struct err e = { 0 };
		cr_assert_eq(model_values_fit(v, a, &f, &e), 0, "%s", e.text);
		cr_expect(f.modules == 1 && f.fitting == laid[i].fitting && f.rank == 1, "%s", laid[i].row);
		cr_expect_str_eq(f.why, laid[i].why, "%s", laid[i].row);
		cr_expect(isnan(laid[i].relative) ? isnan(f.relative_l2)
		                                  : fabs(f.relative_l2 - laid[i].relative) < 1e-12,
		          "%s: %g", laid[i].row, f.relative_l2);
		model_values_close(v);
		model_adapter_close(a);
		memory_free(&ma);
		memory_free(&mb);
	}
}

Test(model_values, an_adapter_of_another_shape_does_not_fit)
{
	struct memory_source ma, mb;
	struct model_adapter *a = adapter_make(&ma, "[2,1]");
	struct model_values *v = base_make(&mb, "model.layers.0.self_attn.q_proj.weight", "[1,4]");
	struct model_fit f;
	struct err e = { 0 };
	cr_assert_eq(model_values_fit(v, a, &f, &e), 0, "%s", e.text);
	cr_expect_eq(f.fitting, 0);
	cr_expect(strstr(f.why, "is for [2, 2], and") && strstr(f.why, "is [1, 4]"), "%s", f.why);
	model_values_close(v);
	model_adapter_close(a);
	memory_free(&ma);
	memory_free(&mb);
}

Test(model_values, an_adapter_lies_over_its_base)
{
	static const float want[4] = { 1 + 2, 2 + 4, 2 - 4, 4 - 8 };
	struct memory_source ma, mb;
	struct model_adapter *a = adapter_make(&ma, "[2,1]");
	struct model_values *v = base_make(&mb, "model.layers.0.self_attn.q_proj.weight", "[2,2]"), *over;
	struct err e = { 0 };
	float out[4];
	cr_assert_eq(model_values_adapt(&over, v, a, &e), 0, "%s", e.text);
	const struct model_value *w = model_values_at(over, 0);
	cr_expect_str_eq(w->form, "F32, LoRA of rank 1");
	for (uint64_t r = 0; r < 2; r++)
		cr_assert_eq(model_values_read(over, w, r, 1, out + 2 * r, &e), 0, "%s", e.text);
	for (size_t i = 0; i < 4; i++)
		cr_expect(same(out[i], want[i]), "%zu: %g", i, (double)out[i]);
	model_values_close(over);
	model_values_close(v);
	model_adapter_close(a);
	memory_free(&ma);
	memory_free(&mb);
}
