/* What the published config.json files say, without the members that change no computation. */
#include "model/config_shapes.h"

static const struct shape shapes[] = {
	{ "deepseek-v2-lite", 27,
	  "\"model_type\":\"deepseek_v2\",\"hidden_size\":2048,\"vocab_size\":102400,"
	  "\"num_attention_heads\":16,\"num_key_value_heads\":16,\"q_lora_rank\":null,"
	  "\"kv_lora_rank\":512,\"qk_nope_head_dim\":128,\"qk_rope_head_dim\":64,"
	  "\"v_head_dim\":128,\"n_routed_experts\":64,\"num_experts_per_tok\":6,"
	  "\"n_shared_experts\":2,\"moe_intermediate_size\":1408,\"intermediate_size\":10944,"
	  "\"first_k_dense_replace\":1,\"moe_layer_freq\":1,\"topk_method\":\"greedy\","
	  "\"scoring_func\":\"softmax\",\"norm_topk_prob\":false,\"routed_scaling_factor\":1.0,"
	  "\"rms_norm_eps\":1e-06,\"max_position_embeddings\":163840,\"rope_theta\":10000,"
	  "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":40,\"beta_fast\":32,\"beta_slow\":1,"
	  "\"mscale\":0.707,\"mscale_all_dim\":0.707,\"original_max_position_embeddings\":4096}",
	  "" },
	{ "qwen3-30b-a3b", 48,
	  "\"model_type\":\"qwen3_moe\",\"hidden_size\":2048,\"vocab_size\":151936,"
	  "\"num_attention_heads\":32,\"num_key_value_heads\":4,\"head_dim\":128,"
	  "\"num_experts\":128,\"num_experts_per_tok\":8,\"moe_intermediate_size\":768,"
	  "\"intermediate_size\":6144,\"norm_topk_prob\":true,\"decoder_sparse_step\":1,"
	  "\"mlp_only_layers\":[],\"rms_norm_eps\":1e-06,\"max_position_embeddings\":40960,"
	  "\"rope_theta\":1000000.0",
	  "" },
	{ "mixtral-8x7b", 32,
	  "\"model_type\":\"mixtral\",\"hidden_size\":4096,\"vocab_size\":32000,"
	  "\"num_attention_heads\":32,\"num_key_value_heads\":8,\"num_local_experts\":8,"
	  "\"num_experts_per_tok\":2,\"intermediate_size\":14336,\"rms_norm_eps\":1e-05,"
	  "\"max_position_embeddings\":32768,\"rope_theta\":1000000.0",
	  "" },
	{ "olmoe", 16,
	  "\"model_type\":\"olmoe\",\"hidden_size\":2048,\"vocab_size\":50304,"
	  "\"num_attention_heads\":16,\"num_key_value_heads\":16,\"num_experts\":64,"
	  "\"num_experts_per_tok\":8,\"intermediate_size\":1024,\"norm_topk_prob\":false,"
	  "\"rms_norm_eps\":1e-05,\"max_position_embeddings\":4096,\"rope_theta\":10000.0",
	  "" },
	{ "gpt-oss-20b", 24,
	  "\"model_type\":\"gpt_oss\",\"hidden_size\":2880,\"vocab_size\":201088,"
	  "\"num_attention_heads\":64,\"num_key_value_heads\":8,\"head_dim\":64,"
	  "\"attention_bias\":true,\"num_local_experts\":32,\"num_experts_per_tok\":4,"
	  "\"intermediate_size\":2880,\"swiglu_limit\":7.0,\"sliding_window\":128,"
	  "\"rms_norm_eps\":1e-05,\"max_position_embeddings\":131072,\"rope_theta\":150000,"
	  "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":32.0,\"beta_fast\":32.0,"
	  "\"beta_slow\":1.0,\"original_max_position_embeddings\":4096,\"truncate\":false}",
	  ",\"quantization_config\":{\"quant_method\":\"mxfp4\"}" },
	{ "qwen3.5-35b-a3b", 40,
	  "\"model_type\":\"qwen3_5_moe_text\",\"hidden_size\":2048,\"vocab_size\":248320,"
	  "\"num_attention_heads\":16,\"num_key_value_heads\":2,\"head_dim\":256,"
	  "\"attn_output_gate\":true,\"full_attention_interval\":4,\"linear_conv_kernel_dim\":4,"
	  "\"linear_key_head_dim\":128,\"linear_value_head_dim\":128,"
	  "\"linear_num_key_heads\":16,\"linear_num_value_heads\":32,"
	  "\"num_experts\":256,\"num_experts_per_tok\":8,\"moe_intermediate_size\":512,"
	  "\"shared_expert_intermediate_size\":512,\"rms_norm_eps\":1e-06,"
	  "\"max_position_embeddings\":262144,\"rope_parameters\":{\"rope_type\":\"default\","
	  "\"rope_theta\":10000000,\"partial_rotary_factor\":0.25}",
	  "" },
	{ "minimax-m2", 62,
	  "\"model_type\":\"minimax_m2\",\"hidden_size\":3072,\"vocab_size\":200064,"
	  "\"num_attention_heads\":48,\"num_key_value_heads\":8,\"head_dim\":128,"
	  "\"rotary_dim\":64,\"use_qk_norm\":true,\"qk_norm_type\":\"per_layer\","
	  "\"num_local_experts\":256,\"num_experts_per_tok\":8,\"intermediate_size\":1536,"
	  "\"scoring_func\":\"sigmoid\",\"use_routing_bias\":true,\"rms_norm_eps\":1e-06,"
	  "\"max_position_embeddings\":196608,\"rope_theta\":5000000",
	  "" },
	{ "gemma3-27b", 62,
	  "\"model_type\":\"gemma3_text\",\"hidden_size\":5376,\"vocab_size\":262208,"
	  "\"num_attention_heads\":32,\"num_key_value_heads\":16,\"head_dim\":128,"
	  "\"intermediate_size\":21504,\"hidden_activation\":\"gelu_pytorch_tanh\","
	  "\"query_pre_attn_scalar\":168,\"sliding_window\":1024,\"sliding_window_pattern\":6,"
	  "\"rms_norm_eps\":1e-06,\"tie_word_embeddings\":true,"
	  "\"max_position_embeddings\":131072,\"rope_theta\":1000000,"
	  "\"rope_local_base_freq\":10000,"
	  "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8.0}",
	  "" },
};

const struct shape *model_shape_at(size_t i)
{
	return i < sizeof shapes / sizeof shapes[0] ? &shapes[i] : NULL;
}
