/* Keys of config.json that no reader asks for: those that would change the computation are refused,
 * those that the reference reads for training or not at all are known, and all others are named
 * once, in the notes. */
#include "model/family.h"

#include <stdlib.h>
#include <string.h>

/* When a key that no reader understands has no effect, beside null and false. */
enum neutral {
	NEUTRAL_NONE,  /* never */
	NEUTRAL_ONE,   /* as the number 1 */
	NEUTRAL_ZERO,  /* as the number 0 */
	NEUTRAL_EMPTY, /* as an empty object or list */
	NEUTRAL_WIDE,  /* as a number of positions that no context is longer than */
};

/* Keys that change what some architectures compute; a family that does not read one refuses it. */
static const struct {
	const char *key;
	enum neutral neutral;
} foreign[] = {
	{ "vision_config", NEUTRAL_NONE },
	{ "audio_config", NEUTRAL_NONE },
	{ "text_config", NEUTRAL_NONE },
	{ "index_topk", NEUTRAL_NONE },
	{ "attn_logit_softcapping", NEUTRAL_NONE },
	{ "final_logit_softcapping", NEUTRAL_NONE },
	{ "sliding_window", NEUTRAL_WIDE },
	{ "linear_attn_config", NEUTRAL_NONE },
	{ "attn_output_gate", NEUTRAL_NONE },
	{ "partial_rotary_factor", NEUTRAL_ONE },
	{ "rotary_pct", NEUTRAL_ONE },
	{ "use_qk_norm", NEUTRAL_NONE },
	{ "clip_qkv", NEUTRAL_NONE },
	{ "embedding_multiplier", NEUTRAL_ONE },
	{ "logits_scaling", NEUTRAL_ONE },
	{ "residual_multiplier", NEUTRAL_ONE },
	{ "attention_multiplier", NEUTRAL_NONE },
	{ "mlp_bias", NEUTRAL_NONE },
	{ "per_layer_config", NEUTRAL_EMPTY }, /* other values for some layers */
	{ "use_bidirectional_attention", NEUTRAL_NONE },
	{ "swiglu_alpha", NEUTRAL_NONE },
	{ "swiglu_limit", NEUTRAL_NONE },
	{ "no_rope_layers", NEUTRAL_EMPTY },
	{ "no_rope_layer_interval", NEUTRAL_NONE },
	{ "attention_chunk_size", NEUTRAL_WIDE },
	{ "query_pre_attn_scalar", NEUTRAL_NONE },
	{ "alibi", NEUTRAL_NONE },
	{ "logit_scale", NEUTRAL_ONE },
	{ "hidden_size_per_layer_input", NEUTRAL_ZERO },
	{ "num_kv_shared_layers", NEUTRAL_ZERO },
	{ "attention_k_eq_v", NEUTRAL_NONE },
	{ "enable_moe_block", NEUTRAL_NONE },
};

/* Keys that change nothing that is computed here: of training, of dropout, of the files and the
 * program that wrote them, of generation, and those that the reference classes of these families
 * take and do not use. Source: configuration_*.py of transformers 4.57 and 5.24. */
static const char *const known[] = {
	"_attn_implementation",
	"_attn_implementation_autoset",
	"_commit_hash",
	"_name_or_path",
	"_sliding_window_pattern",
	"add_cross_attention",
	"architectures",
	"attention_bias",
	"attention_dropout",
	"attention_head_dim",
	"attention_probs_dropout_prob",
	"attn_implementation",
	"audio_token_id",
	"auto_map",
	"aux_loss_alpha",
	"bos_token_id",
	"cache_implementation",
	"chunk_size_feed_forward",
	"classifier_dropout",
	"compression_config",
	"cross_attention_hidden_size",
	"decoder_sparse_step",
	"decoder_start_token_id",
	"dtype",
	"embd_pdrop",
	"embed_dropout",
	"embedding_dropout",
	"eod_token_id",
	"eos_token_id",
	"ep_size",
	"experts_implementation",
	"experts_per_token",
	"finetuning_task",
	"first_k_dense_replace",
	"full_attention_interval",
	"global_head_dim",
	"head_dim",
	"hidden_act",
	"hidden_dropout",
	"hidden_dropout_prob",
	"id2label",
	"image_token_id",
	"initial_context_length",
	"initializer_range",
	"is_decoder",
	"is_encoder_decoder",
	"kv_lora_rank",
	"label2id",
	"layer_switch",
	"layer_types",
	"mamba_ssm_dtype",
	"max_window_layers",
	"mlp_only_layers",
	"model_max_length",
	"model_type",
	"moe_capacity",
	"moe_gate",
	"moe_intermediate_size",
	"moe_layer_freq",
	"moe_use_aux_free",
	"mtp_loss_scaling_factor",
	"mtp_num_hidden_layers",
	"mtp_transformer_layers",
	"n_group",
	"n_routed_experts",
	"n_shared_experts",
	"name_or_path",
	"norm_topk_prob",
	"num_attention_heads",
	"num_experts",
	"num_experts_per_tok",
	"num_global_key_value_heads",
	"num_key_value_heads",
	"num_local_experts",
	"num_mtp_layers",
	"num_mtp_modules",
	"num_nextn_predict_layers",
	"num_shared_expert",
	"order_of_interleaved_layers",
	"original_max_position_embeddings",
	"output_attentions",
	"output_hidden_states",
	"output_router_logits",
	"pad_token_id",
	"position_embedding_type",
	"prefix",
	"pretraining_tp",
	"problem_type",
	"pruned_heads",
	"q_lora_rank",
	"qk_head_dim",
	"qk_nope_head_dim",
	"qk_rope_head_dim",
	"qkv_bias",
	"quantization_config",
	"resid_pdrop",
	"residual_dropout",
	"return_dict",
	"rope_interleave",
	"rope_local_base_freq",
	"rope_parameters",
	"rope_scaling",
	"rope_theta",
	"rotary_emb_base",
	"routed_scaling_factor",
	"router_aux_loss_coef",
	"router_jitter_noise",
	"scoring_func",
	"sep_token_id",
	"seq_aux",
	"sequence_parallel",
	"shared_expert_intermediate_size",
	"sliding_window_pattern",
	"sliding_window_size",
	"task_specific_params",
	"tf_legacy_loss",
	"tokenizer_class",
	"top_k_experts",
	"topk_group",
	"topk_method",
	"torch_dtype",
	"torchscript",
	"transformers_version",
	"unsloth_fixed",
	"unsloth_version",
	"use_bfloat16",
	"use_cache",
	"use_double_wide_mlp",
	"use_embedding_sharing",
	"use_gated_activation",
	"use_grouped_topk",
	"use_mixed_mlp_moe",
	"use_mrope",
	"use_mtp",
	"use_parallel_block",
	"use_parallel_embedding",
	"use_return_dict",
	"use_sliding_window",
	"v_head_dim",
	"video_token_id",
	"vision_end_token_id",
	"vision_start_token_id",
	"vision_token_id",
	"vocab_size_per_layer_input",
};

static bool harmless(const json_t *v, enum neutral neutral, uint32_t context)
{
	double x = json_number_value(v);
	if (v == NULL || json_is_null(v) || json_is_false(v))
		return true;
	if (neutral == NEUTRAL_EMPTY)
		return json_object_size(v) + json_array_size(v) == 0 &&
		       (json_is_object(v) || json_is_array(v));
	if (neutral == NEUTRAL_WIDE)
		return x >= context;
	if (neutral == NEUTRAL_ZERO)
		return json_is_number(v) && x <= 0 && x >= 0;
	return neutral == NEUTRAL_ONE && x <= 1 && x >= 1;
}

int model_config_keys_refuse(struct config_reader *r, const struct config_family *f)
{
	uint32_t context = model_config_u32(r, "max_position_embeddings", 1, UINT32_MAX);
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
		const char *key = foreign[i].key;
		if (!harmless(model_config_get(r, key), foreign[i].neutral, context) &&
		    !model_family_owns(f, key))
			return model_config_refuse(r, ERR_UNSUPPORTED, key,
						   "not available in this version");
	}
	if (!model_config_bool_or(r, "is_causal", true))
		model_config_refuse(r, ERR_UNSUPPORTED, "is_causal",
				    "only models that look back are available in this version");
	return r->code;
}

static bool is_known(const char *key)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(key, known[i]) == 0)
			return true;
	}
	return false;
}

void model_config_keys_note(struct config_reader *r)
{
	char list[300];
	const char *key;
	json_t *v;
	size_t more = 0, at = 0;
	list[0] = '\0';
	json_object_foreach((json_t *)(uintptr_t)r->o, key, v) {
		if (json_is_null(v) || json_object_get(r->seen, key) != NULL || is_known(key))
			continue;
		size_t n = strlen(key);
		if (n > 60 || at + n + 3 > sizeof list)
			more++;
		else
			at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
					       at > 0 ? ", " : "", key);
	}
	if (more > 0 && at == 0)
		model_config_note(r, "%s: %zu keys that are not known here are without effect",
				  r->file, more);
	else if (more > 0)
		model_config_note(r, "%s: not known here and without effect: %s, and %zu more",
				  r->file, list, more);
	else if (at > 0)
		model_config_note(r, "%s: not known here and without effect: %s", r->file, list);
}
