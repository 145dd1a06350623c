/* quantization_config: who made the codes, and in which form. The layers that it names and leaves
 * out are not compared: the tensors that are there decide, and must be of a form that it lists. */
#include "model/config_reader.h"

#include "base/text.h"
#include "kernels/matrix.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLOCK_MAX (1 << 20)

static void add_group(struct model_config *c, struct model_quant_group g)
{
	if (c->quant.groups < MODEL_QUANT_GROUPS)
		c->quant.group[c->quant.groups++] = g;
}

static void be_coded(struct model_config *c, enum model_quant_method method)
{
	c->quantisation = MODEL_QUANT_CODED;
	c->quant.method = method;
}

/* ---- FP8 ---- */

/* "weight_block_size": two numbers, or none: one scale for a row or for all. */
static void read_fp8(struct config_reader *in, struct model_config *c)
{
	static const char *const key = "weight_block_size";
	static const char *const formats[] = { "e4m3", "float8_e4m3fn", NULL };
	const json_t *block = model_config_get(in, key);
	struct model_quant_group g = { .is_float = true, .symmetric = true, .bits = 8 };
	model_config_choice(in, "fmt", "e4m3", formats);
	if (block == NULL || json_is_null(block)) {
		be_coded(c, QUANT_FP8);
		add_group(c, g);
		g.block_rows = 1;
		add_group(c, g);
		return;
	}
	json_int_t rows = json_integer_value(json_array_get(block, 0)),
		   columns = json_integer_value(json_array_get(block, 1));
	if (json_array_size(block) != 2 || rows < 1 || columns < 1 || rows > BLOCK_MAX ||
	    columns > BLOCK_MAX) {
		model_config_refuse(in, ERR_INPUT, key, "not two sizes");
		return;
	}
	g.block_rows = (uint32_t)rows;
	g.block_columns = (uint32_t)columns;
	if (rows == KERNEL_FP8_BLOCK && columns == KERNEL_FP8_BLOCK) {
		c->quantisation = MODEL_QUANT_FP8; /* a kernel's own format */
		c->quant.method = QUANT_FP8;
	} else {
		be_coded(c, QUANT_FP8);
	}
	add_group(c, g);
}

static void read_fbgemm(struct config_reader *in, struct model_config *c)
{
	(void)in;
	be_coded(c, QUANT_FP8);
	add_group(c, (struct model_quant_group){ true, true, 8, 1, 0 });
}

static void read_modelopt(struct config_reader *in, struct model_config *c)
{
	static const char *const algorithms[] = { "FP8", "NVFP4", NULL };
	const char *a = model_config_choice(in, "quant_algo", NULL, algorithms);
	be_coded(c, QUANT_MODELOPT);
	if (strcmp(a, "FP8") == 0)
		add_group(c, (struct model_quant_group){ true, true, 8, 0, 0 });
	else
		add_group(c, (struct model_quant_group){ true, true, 4, 1, 16 });
}

/* Only the fused experts of gpt_oss come so. */
static void read_mxfp4(struct config_reader *in, struct model_config *c)
{
	if (c->activation != MODEL_ACT_GPT_OSS)
		model_config_refuse(in, ERR_UNSUPPORTED, "quant_method",
				    "only with experts in one tensor in this version");
	c->quantisation = MODEL_QUANT_MXFP4;
}

/* ---- GPTQ and AWQ ---- */

/* "group_size": -1 is the whole row. */
static uint32_t group_size(struct config_reader *in, const char *key)
{
	const json_t *v = model_config_get(in, key);
	json_int_t n = json_integer_value(v);
	if (!json_is_integer(v) || n == 0 || n < -1 || n > BLOCK_MAX)
		model_config_refuse(in, ERR_INPUT, key, "not a number of columns, nor -1");
	return n > 0 && n <= BLOCK_MAX ? (uint32_t)n : 0;
}

/* Rules for single modules: those that begin with "-:" only leave modules out. */
static void refuse_rules(struct config_reader *in)
{
	const char *rule;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)model_config_get(in, "dynamic"), rule, v) {
		if (!text_starts(rule, "-:"))
			model_config_refuse(in, ERR_UNSUPPORTED, "dynamic",
					    "other codes for single modules are not available in "
					    "this version");
	}
}

static unsigned read_bits(struct config_reader *in, const char *key)
{
	uint32_t bits = model_config_u32(in, key, 1, 16);
	if (bits != 2 && bits != 4 && bits != 8)
		model_config_refuse(in, ERR_UNSUPPORTED, key,
				    "only 2, 4 and 8 are available in this version");
	return bits;
}

static void read_gptq(struct config_reader *in, struct model_config *c)
{
	static const char *const formats[] = { "gptq", "gptq_v2", NULL };
	bool other = model_config_absent(in, "checkpoint_format");
	const char *key = other ? "format" : "checkpoint_format",
		   *format = model_config_choice(in, key, "gptq", formats);
	be_coded(c, QUANT_GPTQ);
	c->quant.zero_less_one = strcmp(format, "gptq") == 0;
	c->quant.symmetric = model_config_bool_or(in, "sym", false);
	c->quant.ordered = model_config_bool_or(in, "desc_act", false);
	if (model_config_bool_or(in, "is_marlin_format", false))
		model_config_refuse(in, ERR_UNSUPPORTED, "is_marlin_format",
				    "not available in this version");
	model_config_text_only(in, "pack_dtype", "int32", "int32");
	refuse_rules(in);
	add_group(c, (struct model_quant_group){ false, false, read_bits(in, "bits"), 1,
						 group_size(in, "group_size") });
}

static void read_awq(struct config_reader *in, struct model_config *c)
{
	bool older = model_config_absent(in, "bits");
	const char *bits = older ? "w_bit" : "bits",
		   *version = json_string_value(model_config_get(in, "version"));
	be_coded(c, QUANT_AWQ);
	if (model_config_u32(in, bits, 1, 16) != 4)
		model_config_refuse(in, ERR_UNSUPPORTED, bits,
				    "only 4 are available in this version");
	if (version != NULL && strcasecmp(version, "gemm") != 0)
		model_config_refuse(in, ERR_UNSUPPORTED, "version",
				    "only gemm is available in this version");
	if (!model_config_bool_or(in, "zero_point", true))
		model_config_refuse(in, ERR_UNSUPPORTED, "zero_point",
				    "not available in this version");
	bool old_size = model_config_absent(in, "group_size");
	add_group(c, (struct model_quant_group){
			     false, false, 4, 1,
			     group_size(in, old_size ? "q_group_size" : "group_size") });
}

static void read_bitsandbytes(struct config_reader *in, struct model_config *c)
{
	bool four = model_config_bool_or(in, "load_in_4bit", false),
	     eight = model_config_bool_or(in, "load_in_8bit", false);
	be_coded(c, QUANT_BITSANDBYTES);
	if (four == eight)
		model_config_refuse(in, ERR_INPUT, "load_in_4bit",
				    "either this or load_in_8bit must be true");
	add_group(c, (struct model_quant_group){ false, true, 8, 1, 0 });
}

/* ---- compressed-tensors ---- */

/* Of one group's weights. */
static struct model_quant_group read_weights(struct config_reader *w)
{
	static const char *const strategies[] = { "tensor", "channel",      "group",
						  "block",  "tensor_group", NULL };
	static const char *const types[] = { "int", "float", NULL };
	bool sized = !model_config_absent(w, "group_size");
	uint32_t size = sized ? group_size(w, "group_size") : 0;
	const char *s = model_config_choice(w, "strategy",
					    !sized     ? "tensor"
					    : size > 0 ? "group"
						       : "channel",
					    strategies);
	struct model_quant_group g = {
		.is_float = strcmp(model_config_choice(w, "type", "int", types), "float") == 0,
		.symmetric = model_config_bool_or(w, "symmetric", true),
		.bits = model_config_u32_or(w, "num_bits", 8, 1, 16),
		.block_rows = strcmp(s, "tensor") == 0 ? 0 : 1,
	};
	const json_t *block = model_config_get(w, "block_structure");
	if (strcmp(s, "group") == 0 || strcmp(s, "tensor_group") == 0)
		g.block_columns = size;
	if (strcmp(s, "block") == 0) {
		json_int_t rows = json_integer_value(json_array_get(block, 0)),
			   columns = json_integer_value(json_array_get(block, 1));
		if (rows < 1 || columns < 1 || rows > BLOCK_MAX || columns > BLOCK_MAX)
			model_config_refuse(w, ERR_INPUT, "block_structure", "not two sizes");
		g.block_rows = (uint32_t)rows;
		g.block_columns = (uint32_t)columns;
	}
	if (g.is_float ? g.bits != 4 && g.bits != 8 : g.bits != 2 && g.bits != 4 && g.bits != 8)
		model_config_refuse(w, ERR_UNSUPPORTED, "num_bits",
				    "not available in this version");
	if (model_config_bool_or(w, "dynamic", false))
		model_config_refuse(w, ERR_UNSUPPORTED, "dynamic", "of weights");
	return g;
}

/* One of config_groups; without weights it is of activations alone. */
static void read_group(struct config_reader *in, struct model_config *c, const json_t *group,
		       bool *activations)
{
	struct config_reader g = model_config_inside(in, "config_groups", group), w;
	const json_t *weights = model_config_get(&g, "weights");
	in->code = g.code;
	*activations = *activations || !model_config_absent(&g, "input_activations");
	if (in->code != 0 || weights == NULL || json_is_null(weights))
		return;
	w = model_config_inside(&g, "weights", weights);
	if (w.code == 0 && c->quant.groups == MODEL_QUANT_GROUPS)
		model_config_refuse(&w, ERR_UNSUPPORTED, "num_bits", "more than 16 groups");
	if (w.code == 0)
		add_group(c, read_weights(&w));
	in->code = w.code;
}

static bool has_members(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_object_size(v) + json_array_size(v) > 0;
}

static void read_compressed(struct config_reader *in, struct model_config *c)
{
	static const char *const formats[] = { "pack-quantized",  "int-quantized",
					       "float-quantized", "naive-quantized",
					       "mixed-precision", "nvfp4-pack-quantized",
					       "dense",           NULL };
	static const char *const sparse[] = { "dense", NULL };
	const json_t *groups = model_config_get(in, "config_groups"),
		     *sparsity = model_config_get(in, "sparsity_config"),
		     *transform = model_config_get(in, "transform_config");
	const char *name;
	json_t *v;
	bool activations = false;
	be_coded(c, QUANT_COMPRESSED);
	model_config_choice(in, "format", "dense", formats);
	if (json_object_size(sparsity) > 0) {
		struct config_reader s = model_config_inside(in, "sparsity_config", sparsity);
		model_config_choice(&s, "format", "dense", sparse);
		in->code = s.code;
	}
	if (has_members(transform, "config_groups"))
		model_config_refuse(in, ERR_UNSUPPORTED, "transform_config",
				    "not available in this version");
	if (!json_is_object(groups) || json_object_size(groups) == 0)
		model_config_refuse(in, ERR_INPUT, "config_groups", "no groups");
	json_object_foreach((json_t *)(uintptr_t)groups, name, v) {
		if (in->code == 0)
			read_group(in, c, v, &activations);
	}
	if (activations)
		model_config_note(in, "%s: activations are not quantised here, as %s asks for",
				  in->file, "quantization_config");
	if (!model_config_absent(in, "kv_cache_scheme"))
		model_config_note(in, "%s: the cache is not quantised here, as %s asks for",
				  in->file, "quantization_config");
}

/* ---- whole ---- */

static const struct quant_method {
	const char *name;
	void (*read)(struct config_reader *in, struct model_config *c);
} methods[] = {
	{ "fp8", read_fp8 },
	{ "mxfp4", read_mxfp4 },
	{ "compressed-tensors", read_compressed },
	{ "fbgemm_fp8", read_fbgemm },
	{ "modelopt", read_modelopt },
	{ "gptq", read_gptq },
	{ "awq", read_awq },
	{ "bitsandbytes", read_bitsandbytes },
};

void model_config_quantisation(struct config_reader *r, struct model_config *c)
{
	static const char *const keys[] = { "quantization_config", "compression_config" };
	const char *key = model_config_absent(r, keys[0]) ? keys[1] : keys[0];
	const json_t *q = model_config_get(r, key);
	if (q == NULL || json_is_null(q) || r->code != 0)
		return;
	struct config_reader in = model_config_inside(r, key, q);
	const char *name = in.code == 0 ? model_config_text(&in, "quant_method") : "";
	const struct quant_method *m = NULL;
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (strcmp(name, methods[i].name) == 0)
			m = &methods[i];
	if (in.code == 0 && m == NULL)
		model_config_refuse(&in, ERR_UNSUPPORTED, "quant_method",
				    "not available in this version");
	if (in.code == 0)
		m->read(&in, c);
	r->code = in.code;
}

int model_quant_read(struct model_quant *out, const json_t *config, struct err *e)
{
	struct model_config *c = calloc(1, sizeof *c);
	const json_t *text = json_object_get(config, "text_config");
	*out = (struct model_quant){ 0 };
	if (!c)
		return err_set(e, ERR_NOMEM, "config.json");
	struct config_reader r = { .o = config, .file = "config.json", .notes = c->notes, .e = e };
	if (model_config_absent(&r, "quantization_config") && json_is_object(text) &&
	    model_config_absent(&r, "compression_config"))
		r.o = text;
	model_config_quantisation(&r, c);
	*out = c->quant;
	free(c);
	return r.code;
}
