/* What config.json says of heads, widths and layouts, where shapes leave it open. It is as
 * untrusted as the tensors: whatever it says is used only where shapes agree. */
#include "forks/roles_in.h"

#include <string.h>

#define KEYS 10

static const char *const language_words[] = { "text_config",     "llm_config",
					      "language_config", "language_model_config",
					      "thinker_config",  "decoder",
					      "encoder",         NULL };
static const char *const vision_words[] = { "vision_config", "visual", "vision_tower_config",
					    NULL };
static const char *const audio_words[] = { "audio_config", "speech_config", "audio_encoder_config",
					   NULL };

/* The number at the first of the keys that has one. */
static uint64_t number_of(const json_t *o, const char *const keys[KEYS])
{
	for (size_t i = 0; i < KEYS && keys[i]; i++) {
		const json_t *v = json_object_get(o, keys[i]);

		if (json_is_integer(v) && json_integer_value(v) > 0)
			return (uint64_t)json_integer_value(v);
	}
	return 0;
}

static bool is_one_of(const char *s, const char *const *among)
{
	for (; s && *among; among++)
		if (strcmp(s, *among) == 0)
			return true;
	return false;
}

/* How the code of a family reads its tensors. */
static void family_of(const char *type, struct role_config *out)
{
	static const char *const plus_one[] = { "gemma",
						"gemma2",
						"gemma3",
						"gemma3_text",
						"qwen3_next",
						"qwen3_5",
						"qwen3_5_text",
						"qwen3_5_moe",
						"qwen3_5_moe_text",
						"qwen4_exp",
						"qwen4_exp_text",
						"nemotron",
						"recurrent_gemma",
						"t5gemma",
						"t5gemma2",
						"vaultgemma",
						"minimax_m3_vl",
						"minimax_m3_vl_text",
						"step3p7",
						"step3p7_text",
						"muse_glimmer",
						"muse_glimmer_text",
						"muse_spark",
						"muse_spark_text",
						NULL };
	static const char *const interleaved[] = { "gpt_oss", "openai_privacy_filter", NULL };
	static const char *const flat[] = { "chatglm",        "bailing_moe", "bailing_moe_v2",
					    "bailing_hybrid", "glm",         NULL };
	static const char *const turned[] = { "gpt2", "openai-gpt", "imagegpt",
					      "decision_transformer", NULL };
	static const char *const mixed[] = { "codegen", NULL };

	out->typed = out->typed || type;
	out->plus_one = out->plus_one || is_one_of(type, plus_one);
	out->interleaved = out->interleaved || is_one_of(type, interleaved);
	out->flat = out->flat || is_one_of(type, flat);
	out->turned = out->turned || is_one_of(type, turned);
	out->mixed = out->mixed || is_one_of(type, mixed);
}

/* What o says, over what is in *out. */
static void config_add(const json_t *o, struct role_config *out)
{
	static const char *const layers[KEYS] = { "num_hidden_layers", "n_layer", "n_layers",
						  "num_layers" };
	static const char *const hidden[KEYS] = { "hidden_size", "n_embd", "d_model",
						  "embed_dim",   "dim",    "n_embed" };
	static const char *const heads[KEYS] = { "num_attention_heads",
						 "n_head",
						 "num_heads",
						 "n_heads",
						 "decoder_attention_heads",
						 "encoder_attention_heads",
						 "attention_heads",
						 "decoder_num_attention_heads",
						 "encoder_num_attention_heads" };
	static const char *const head_dim[KEYS] = { "head_dim", "attention_head_dim", "d_kv",
						    "kv_channels" };
	static const char *const value_dim[KEYS] = { "v_head_dim" };
	static const char *const experts[KEYS] = { "num_local_experts", "num_experts",
						   "n_routed_experts", "moe_num_experts" };
	struct {
		const char *const *keys;
		uint64_t *to;
	} const table[] = {
		{ layers, &out->layers },       { hidden, &out->hidden },
		{ heads, &out->heads },         { head_dim, &out->head_dim },
		{ value_dim, &out->value_dim }, { experts, &out->experts },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		uint64_t n = number_of(o, table[i].keys);

		if (n > 0)
			*table[i].to = n;
	}
	family_of(json_string_value(json_object_get(o, "model_type")), out);
}

/* The first of the members, or the first of such a member's own. */
static const json_t *part_of(const json_t *o, const char *const *words)
{
	for (; *words; words++) {
		const json_t *p = json_object_get(o, *words);

		if (json_is_object(p))
			return p;
	}
	return NULL;
}

void fork_role_config(const json_t *config, struct role_config out[3])
{
	const json_t *language = part_of(config, language_words), *inner;
	const json_t *vision, *audio;

	memset(out, 0, 3 * sizeof *out);
	if (!config)
		return;
	inner = part_of(language, language_words);
	vision = part_of(config, vision_words);
	audio = part_of(config, audio_words);
	config_add(config, &out[0]);
	config_add(language, &out[0]);
	config_add(inner, &out[0]);
	config_add(vision ? vision : part_of(language, vision_words), &out[1]);
	config_add(audio ? audio : part_of(language, audio_words), &out[2]);
}
