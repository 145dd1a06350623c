#include "keeper.h"
#include "model/tensors.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"
#define DIR CASES "deepseek_v2_lite_bf16"

/* Opening the case with one text replaced by another of the same length in a file must fail with the word. */
static const struct { const char *row, *file, *from, *to; int code; const char *word, *dir; } damages[] = {
	{ "missing tensor", "model.safetensors", "layers.2.self_attn.o_proj", "layers.2.self_attn.O_proj",
	  ERR_INPUT,
	  "model.layers.2.self_attn.o_proj.weight is missing", DIR },
	{ "unknown tensor", "model.safetensors", "model.layers.2.mlp.experts.8.up_proj.weight",
	  "model.layers.2.mlp.experts.9.up_proj.weight", ERR_INPUT, "experts.8.up_proj.weight is missing", DIR },
	{ "shape", "config.json", "\"intermediate_size\": 80", "\"intermediate_size\": 79", ERR_INPUT,
	  "must be [79, 52]", DIR },
	{ "vocabulary", "config.json", "\"vocab_size\": 160", "\"vocab_size\": 159", ERR_INPUT,
	  "must be [159, 52]", DIR },
	{ "layers", "config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4", ERR_INPUT,
	  "layers.3.", DIR },
	{ "query latent", "config.json", "\"q_lora_rank\": null", "\"q_lora_rank\": 16  ", ERR_INPUT,
	  "q_a_proj", DIR },
	{ "biases", "config.json", "\"attention_bias\": false", "\"attention_bias\": true ", ERR_INPUT,
	  "bias is missing", DIR },
	{ "fewer experts", "config.json", "\"n_routed_experts\": 9", "\"n_routed_experts\": 8", ERR_INPUT,
	  "[8, 52]", DIR },
	{ "no shared experts", "config.json", "\"n_shared_experts\": 2", "\"n_shared_experts\": 0",
	  ERR_INPUT, "not part of", DIR },
	{ "sinks", "model.safetensors", "layers.1.self_attn.sinks", "layers.1.self_attn.sinkS", ERR_INPUT,
	  "model.layers.1.self_attn.sinks is missing", CASES "gpt_oss" },
	{ "fused experts", "config.json", "\"intermediate_size\": 28", "\"intermediate_size\": 27", ERR_INPUT,
	  "gate_up_proj must be [6, 44, 54]", CASES "gpt_oss" },
	{ "fused biases", "model.safetensors", "down_proj_bias", "down_proj_Bias", ERR_INPUT,
	  "down_proj_bias is missing", CASES "gpt_oss" },
	{ "blocks", "config.json", "\"intermediate_size\": 96", "\"intermediate_size\": 64", ERR_INPUT,
	  "gate_up_proj_blocks must be [7, 128, 2, 16]", CASES "gpt_oss_mxfp4" },
	{ "whole blocks", "config.json", "\"hidden_size\": 64", "\"hidden_size\": 72", ERR_INPUT,
	  "must be [168, 72]", CASES "gpt_oss_mxfp4" },
	{ "query bias", "model.safetensors", "layers.0.self_attn.q_proj.bias", "layers.0.self_attn.q_proj.Bias",
	  ERR_INPUT, "q_proj.bias is missing", CASES "qwen2" },
	{ "key norm", "model.safetensors", "layers.0.self_attn.k_norm", "layers.0.self_attn.K_norm", ERR_INPUT,
	  "k_norm.weight is missing", CASES "qwen3" },
	{ "experts' names", "config.json", "\"num_local_experts\": 6", "\"num_local_experts\": 5", ERR_INPUT,
	  "block_sparse_moe.gate.weight must be [5, 40]", CASES "mixtral" },
	{ "correction bias", "model.safetensors", "gate.e_score_correction_bias",
	  "gate.e_score_correction_Bias", ERR_INPUT, "e_score_correction_bias is missing", CASES "glm4_moe" },
	{ "shared gate", "model.safetensors", "mlp.shared_expert_gate", "mlp.shared_expert_Gate", ERR_INPUT,
	  "shared_expert_gate.weight is missing", CASES "qwen2_moe" },
	{ "norm before", "model.safetensors", "layers.1.pre_feedforward_layernorm.w",
	  "layers.1.pre_feedforward_layernorM.w",
	  ERR_INPUT, "layers.1.pre_feedforward_layernorm.weight is missing", CASES "gemma4_moe" },
	{ "stack", "model.safetensors", "layers.1.mlp.experts.gate_up_proj", "layers.1.mlp.experts.gate_up_proJ",
	  ERR_INPUT, "layers.1.mlp.experts.gate_up_proj is missing", CASES "qwen3_5_moe" },
	{ "split", "config.json", "\"linear_num_key_heads\": 2", "\"linear_num_key_heads\": 1", ERR_INPUT,
	  "in_proj_qkv.weight must be [46, 30]", CASES "qwen3_5_moe" },
	{ "convolution", "config.json", "\"linear_conv_kernel_dim\": 4", "\"linear_conv_kernel_dim\": 3", ERR_INPUT,
	  "conv1d.weight must be [64, 3]", CASES "qwen3_5_moe" },
	{ "bias beside the gate", "model.safetensors", "layers.2.block_sparse_moe.e_score_correction_b",
	  "layers.2.block_sparse_moe.e_score_correction_B", ERR_INPUT,
	  "block_sparse_moe.e_score_correction_bias is missing", CASES "minimax_m2" },
	{ "decay", "model.safetensors", "layers.1.attention.A_log", "layers.1.attention.A_loG", ERR_INPUT,
	  "layers.1.attention.A_log is missing", CASES "bailing_hybrid" },
	{ "shared of all", "config.json", "\"shared_intermediate_size\": 15", "\"shared_intermediate_size\": 14",
	  ERR_INPUT, "shared_mlp.input_linear.weight must be [28, 36]", CASES "granitemoeshared" },
	{ "tied head", "config.json", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\":false",
	  ERR_INPUT, "lm_head.weight is missing", CASES "llama" },
};

static int open_memory(struct memory_source *m, struct err *e)
{
	struct recorder r = { 0 };
	int rc = recorder_read(&r, &m->source, 1, e);
	recorder_close(&r);
	return rc;
}

static char *find_in(struct memory_source *m, const char *file, const char *text)
{
	for (size_t i = 0; i < m->count; i++) {
		if (strcmp(m->file[i].name, file) == 0)
			return memmem(m->file[i].bytes.bytes, m->file[i].bytes.len, text, strlen(text));
	}
	return NULL;
}

Test(model_weights, damaged_folders_are_refused_by_tensor)
{
	for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
		struct memory_source m;
		struct err e = { 0 };
		memory_load(&m, damages[i].dir);
		char *at = find_in(&m, damages[i].file, damages[i].from);
		cr_assert_not_null(at, "%s", damages[i].row);
		cr_assert_eq(strlen(damages[i].from), strlen(damages[i].to), "%s", damages[i].row);
		memcpy(at, damages[i].to, strlen(damages[i].to));
		int r = open_memory(&m, &e);
		cr_assert_eq(r, damages[i].code, "%s: %d %s", damages[i].row, r, e.text);
		cr_assert_not_null(strstr(e.text, damages[i].word), "%s: %s", damages[i].row, e.text);
		memory_free(&m);
	}
}

Test(model_weights, undamaged_folder_opens_from_memory)
{
	struct memory_source m;
	struct err e = { 0 };
	memory_load(&m, DIR);
	cr_assert_eq(open_memory(&m, &e), 0, "%s", e.text);
	memory_free(&m);
}

Test(model_weights, missing_files_are_named)
{
	struct memory_source m;
	struct err e = { 0 };
	memory_init(&m);
	cr_assert_eq(open_memory(&m, &e), ERR_NOTFOUND);
	cr_assert_not_null(strstr(e.text, "config.json"), "%s", e.text);
	memory_load(&m, DIR);
	for (size_t i = 0; i < m.count; i++) {
		if (strcmp(m.file[i].name, "model.safetensors") == 0)
			m.file[i].name = "other.safetensors";
	}
	cr_assert_eq(open_memory(&m, &e), ERR_NOTFOUND);
	cr_assert_not_null(strstr(e.text, "model.safetensors"), "%s", e.text);
	memory_free(&m);
}

Test(model_weights, an_adapter_without_its_base_is_refused)
{
	struct memory_source m;
	struct err e = { 0 };
	memory_load(&m, DIR);
	for (size_t i = 0; i < m.count; i++) {
		if (strcmp(m.file[i].name, "config.json") == 0)
			m.file[i].name = "adapter_config.json";
	}
	cr_assert_eq(open_memory(&m, &e), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(e.text, "an adapter without its base model"), "%s", e.text);
	memory_free(&m);
}

/* Every prefix of the weights is refused; a sample of lengths. */
Test(model_weights, truncated_weights_are_refused)
{
	struct memory_source m;
	struct err e = { 0 };
	memory_load(&m, DIR);
	for (size_t i = 0; i < m.count; i++) {
		if (strcmp(m.file[i].name, "model.safetensors") != 0)
			continue;
		size_t whole = m.file[i].bytes.len;
		for (size_t len = 0; len < whole; len += 1 + len / 2) {
			m.file[i].bytes.len = len;
			cr_assert_eq(open_memory(&m, &e), ERR_INPUT, "%zu bytes", len);
		}
		m.file[i].bytes.len = whole;
	}
	memory_free(&m);
}
