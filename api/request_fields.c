/* The fields of a request, by name. A field is read, and has an effect; or it belongs to another
 * server's way of drawing, prompting or answering, and is taken with the values that change nothing
 * here, else refused by name; or it has no effect, whatever its value, and is listed as such: so
 * are names that nobody knows, since clients and proxies add fields of their own. Null is absence.
 * Sources: OpenAI API reference, chat completions; the request types of vLLM 0.11 and SGLang 0.5;
 * the server of llama.cpp; the references of TGI, Ollama, LM Studio, OpenRouter, LiteLLM, Azure,
 * Mistral, DeepSeek, Together, Fireworks, Groq. */
#include "api/request_read.h"

#include <string.h>

#define MODEL_BYTES_MAX 256u
#define METADATA_MAX 16

/* ---- readers of a line or two ---- */

static int read_model(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t len = json_string_length(v);
	if (!json_is_string(v))
		return api_read_mistyped(name, "a name of 1 to 256 bytes", e);
	if (len == 0 || len > MODEL_BYTES_MAX)
		return api_read_unexpected(name, "a name of 1 to 256 bytes", e);
	r->model = json_string_value(v);
	return 0;
}

static int read_stream(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_bool(name, v, &r->stream, e);
}

static int read_stream_options(struct api_request *r, const char *name, const json_t *v,
			       struct err *e)
{
	static const char *const keys[] = { "include_usage", "continuous_usage_stats", NULL };
	const json_t *usage = api_read_member(v, keys[0]), *each = api_read_member(v, keys[1]);
	if (!json_is_object(v))
		return api_read_mistyped(name, "an object", e);
	if (json_object_size(v) && !json_is_true(json_object_get(r->root, "stream")))
		return api_read_unexpected(name, "\"stream\": true beside it", e);
	if (usage)
		TRY(api_read_bool("stream_options.include_usage", usage, &r->include_usage, e));
	if (each)
		TRY(api_read_bool("stream_options.continuous_usage_stats", each, &r->usage_each,
				  e));
	if (r->usage_each && !r->include_usage) {
		r->usage_each = false;
		TRY(api_read_note(r, "stream_options.continuous_usage_stats", e));
	}
	return api_read_others(r, v, keys, name, e);
}

static int read_modalities(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *one;
	if (!json_is_array(v))
		return api_read_mistyped(name, "a list", e);
	json_array_foreach(v, i, one) {
		const char *word = json_string_value(one);
		if (!word || strcmp(word, "text") != 0)
			return api_read_refused(name, "other than [\"text\"]", e);
	}
	return api_read_note(r, name, e);
}

static int ignore_string(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return json_is_string(v) ? api_read_note(r, name, e)
				 : api_read_mistyped(name, "a string", e);
}

static int ignore_bool(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return json_is_boolean(v) ? api_read_note(r, name, e)
				  : api_read_mistyped(name, "true or false", e);
}

static int ignore_metadata(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *key;
	json_t *one;
	if (!json_is_object(v))
		return api_read_mistyped(name, "an object of at most 16 strings", e);
	if (json_object_size(v) > METADATA_MAX)
		return api_read_unexpected(name, "an object of at most 16 strings", e);
	json_object_foreach((json_t *)v, key, one)
		if (!json_is_string(one) && !json_is_null(one))
			return api_read_mistyped(name, "an object of strings", e);
	return api_read_note(r, name, e);
}

/* As many answers are made as are given. */
static int read_best_of(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t best = 0, n = 1;
	const json_t *given = api_read_member(r->root, "n");
	TRY(api_read_integer(name, v, 1, INT32_MAX, &best, e));
	if (given)
		TRY(api_read_integer("n", given, 1, API_CHOICES, &n, e));
	return best == n ? api_read_note(r, name, e) : api_read_refused(name, "other than n", e);
}

/* ---- the table ---- */

/* Values that change nothing. */
enum neutral {
	IS_FALSE = 1,
	IS_TRUE = 2,
	IS_ZERO = 4,
	IS_ONE = 8,
	IS_MINUS_ONE = 16,
	IS_EMPTY = 32, /* "", [], {} */
};

/* Of chat completions and completions alike. */
static const struct api_field shared_fields[] = {
	{ "model", read_model },
	{ "stream", read_stream },
	{ "stream_options", read_stream_options },
	/* how tokens are drawn */
	{ "n", api_read_n },
	{ "temperature", api_read_temperature },
	{ "top_p", api_read_top_p },
	{ "min_p", api_read_min_p },
	{ "top_k", api_read_top_k },
	{ "frequency_penalty", api_read_frequency },
	{ "presence_penalty", api_read_presence },
	{ "repetition_penalty", api_read_repetition },
	{ "logit_bias", api_read_bias },
	{ "seed", api_read_seed },
	{ "random_seed", api_read_seed }, /* Mistral */
	{ "do_sample", api_read_do_sample },
	{ "max_tokens", api_read_tokens_max },
	{ "max_new_tokens", api_read_tokens_max },
	{ "n_predict", api_read_predict },
	{ "min_tokens", api_read_tokens_min },
	{ "ignore_eos", api_read_ignore_eos },
	{ "stop", api_read_stop },
	{ "stop_sequences", api_read_stop },
	{ "stop_token_ids", api_read_stop_ids },
	{ "bad_words", api_read_ban },
	/* what an answer must match */
	{ "response_format", api_read_response_format },
	{ "structured_outputs", api_read_structured },
	{ "guided_json", api_read_guided_json },
	{ "json_schema", api_read_guided_json },
	{ "guided_regex", api_read_guided_regex },
	{ "regex", api_read_guided_regex },
	{ "guided_choice", api_read_guided_choice },
	{ "guided_grammar", api_read_guided_grammar },
	{ "grammar", api_read_guided_grammar },
	{ "ebnf", api_read_guided_grammar },
	/* taken without effect, and checked */
	{ "user", ignore_string },
	{ "safety_identifier", ignore_string },
	{ "prompt_cache_key", ignore_string },
	{ "service_tier", ignore_string },
	{ "store", ignore_bool },
	{ "metadata", ignore_metadata },
	{ "modalities", read_modalities },
	/* other ways of drawing */
	{ "best_of", read_best_of },
	{ NULL, NULL },
};

static const struct api_field chat_fields[] = {
	{ "messages", api_read_messages },
	{ "max_completion_tokens", api_read_completion_max },
	{ "logprobs", api_read_logprobs },
	{ "top_logprobs", api_read_top_logprobs },
	{ "tools", api_read_tools },
	{ "tool_choice", api_read_tool_choice },
	{ "parallel_tool_calls", api_read_parallel },
	{ "functions", api_read_functions },
	{ "function_call", api_read_function_call },
	/* the template's switches */
	{ "chat_template_kwargs", api_read_kwargs },
	{ "reasoning_effort", api_read_effort },
	{ "reasoning", api_read_reasoning },
	{ "thinking", api_read_thinking },
	{ "enable_thinking", api_read_enable },
	{ "think", api_read_think },
	{ "thinking_budget", api_read_budget },
	{ "include_reasoning", api_read_include },
	{ NULL, NULL },
};

static int chat_done(struct api_request *r, struct err *e)
{
	return json_array_size(r->messages) ? 0 : api_read_missing("messages", e);
}

const struct api_form api_forms[API_SHAPES] = {
	[API_CHAT] = { chat_fields, shared_fields, chat_done },
	[API_COMPLETION] = { api_completion_fields, shared_fields, api_read_completion_done },
	[API_RESPONSES] = { api_items_fields, shared_fields, api_items_done },
	[API_MESSAGES] = { api_blocks_fields, shared_fields, api_blocks_done },
};

/* Taken with a value that changes nothing. */
static const struct other {
	const char *name;
	unsigned neutral;  /* enum neutral; 0: refused whatever its value */
	const char *words; /* that are neutral too, between spaces */
} others[] = {
	{ "guided_whitespace_pattern", 0, NULL },
	{ "structural_tag", 0, NULL },
	{ "format", IS_EMPTY, NULL },
	{ "use_beam_search", IS_FALSE, NULL },
	{ "num_beams", IS_ONE, NULL },
	{ "repeat_penalty", IS_ONE, NULL }, /* of the last tokens alone */
	{ "no_repeat_ngram_size", IS_ZERO, NULL },
	{ "repetition_detection", IS_EMPTY, NULL },
	{ "typical_p", IS_ONE, NULL },
	{ "typ_p", IS_ONE, NULL },
	{ "tfs_z", IS_ONE, NULL },
	{ "top_a", IS_ZERO, NULL },
	{ "top_n_sigma", IS_MINUS_ONE | IS_ZERO, NULL },
	{ "dynatemp_range", IS_ZERO, NULL },
	{ "xtc_probability", IS_ZERO, NULL },
	{ "dry_multiplier", IS_ZERO, NULL },
	{ "mirostat", IS_ZERO | IS_FALSE, NULL },
	{ "mirostat_mode", IS_ZERO, NULL },
	{ "epsilon_cutoff", IS_ZERO, NULL },
	{ "eta_cutoff", IS_ZERO, NULL },
	{ "smoothing_factor", IS_ZERO, NULL },
	{ "penalty_alpha", IS_ZERO, NULL },
	{ "guidance_scale", IS_ONE, NULL },
	{ "samplers", IS_EMPTY, NULL },
	{ "watermark", IS_FALSE, NULL },
	{ "allowed_token_ids", 0, NULL },
	{ "stop_regex", IS_EMPTY, NULL },
	{ "logits_processors", IS_EMPTY, NULL },
	{ "custom_logit_processor", IS_EMPTY, NULL },
	{ "custom_params", IS_EMPTY, NULL },
	{ "vllm_xargs", IS_EMPTY, NULL },
	{ "thinking_token_budget", IS_MINUS_ONE, NULL },
	{ "thinking_budget_tokens", IS_MINUS_ONE, NULL },
	{ "lora", IS_EMPTY, NULL },
	{ "lora_path", IS_EMPTY, NULL },
	{ "adapter_id", IS_EMPTY, NULL },
	/* other prompts */
	{ "prompt", IS_EMPTY, NULL },
	{ "messages", IS_EMPTY, NULL },
	{ "tools", IS_EMPTY, NULL },
	{ "functions", IS_EMPTY, NULL },
	{ "top_logprobs", IS_ZERO, NULL },
	{ "prompt_embeds", IS_EMPTY, NULL },
	{ "input_ids", IS_EMPTY, NULL },
	{ "system", IS_EMPTY, NULL },
	{ "instructions", IS_EMPTY, NULL },
	{ "suffix", IS_EMPTY, NULL },
	{ "echo", IS_FALSE, NULL },
	{ "raw", IS_FALSE, NULL },
	{ "chat_template", 0, NULL },
	{ "add_generation_prompt", IS_TRUE, NULL },
	{ "continue_final_message", IS_FALSE, NULL },
	{ "add_special_tokens", IS_FALSE, NULL },
	{ "truncate_prompt_tokens", IS_MINUS_ONE, NULL },
	{ "documents", IS_EMPTY, NULL },
	{ "tool_prompt", IS_EMPTY, NULL },
	{ "guideline", IS_EMPTY, NULL },
	{ "safe_prompt", IS_FALSE, NULL },
	{ "prompt_mode", IS_EMPTY, NULL },
	{ "preset", IS_EMPTY, NULL },
	{ "session_params", IS_EMPTY, NULL },
	/* what only other services have */
	{ "audio", 0, NULL },
	{ "web_search_options", 0, NULL },
	{ "search_parameters", IS_EMPTY, NULL },
	{ "enable_search", IS_FALSE, NULL },
	{ "data_sources", IS_EMPTY, NULL },
	{ "plugins", IS_EMPTY, NULL },
	{ "mock_response", IS_EMPTY, NULL },
	/* other answers */
	{ "skip_special_tokens", IS_TRUE, NULL },
	{ "include_stop_str_in_output", IS_FALSE, NULL },
	{ "no_stop_trim", IS_FALSE, NULL },
	{ "prompt_logprobs", 0, NULL },
	{ "n_probs", IS_ZERO, NULL },
	{ "separate_reasoning", IS_TRUE, NULL },
	{ "reasoning_format", 0, "auto deepseek parsed" },
	{ "return_tokens_as_token_ids", IS_FALSE, NULL },
	{ "return_token_ids", IS_FALSE, NULL },
	{ "return_prompt_text", IS_FALSE, NULL },
	{ "return_prompt_token_ids", IS_FALSE, NULL },
	{ "return_token_offsets", IS_FALSE, NULL },
	{ "return_assistant_tokens_mask", IS_FALSE, NULL },
	{ "return_hidden_states", IS_FALSE, NULL },
	{ "return_routed_experts", IS_FALSE, NULL },
	{ "return_meta_info", IS_FALSE, NULL },
	{ "return_tokens", IS_FALSE, NULL },
};

static bool is_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = words; at && (at = strstr(at, word)) != NULL; at += len)
		if (len && (at == words || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return true;
	return false;
}

static bool is_neutral(const struct other *f, const json_t *v)
{
	double x = json_number_value(v);
	unsigned is = 0;
	if (json_is_boolean(v))
		is = json_is_true(v) ? IS_TRUE : IS_FALSE;
	else if (json_is_number(v))
		is = x == 0 ? IS_ZERO : x == 1 ? IS_ONE : x == -1 ? IS_MINUS_ONE : 0;
	else if (json_is_string(v))
		is = json_string_length(v) == 0 ? IS_EMPTY : 0;
	else
		is = json_array_size(v) + json_object_size(v) == 0 ? IS_EMPTY : 0;
	return (f->neutral & is) || (json_is_string(v) && is_word(f->words, json_string_value(v)));
}

static int refuse(const struct other *f, struct err *e)
{
	static const char *const names[] = { "false", "true", "0", "1", "-1", "empty" };
	char other[64] = "";
	if (!f->neutral && !f->words)
		return api_read_unsupported(f->name, e);
	for (size_t i = 0; i <= sizeof names / sizeof *names; i++) {
		bool word = i == sizeof names / sizeof *names;
		const char *say = word ? f->words : f->neutral & 1u << i ? names[i] : NULL;
		size_t len = strlen(other);
		if (say)
			snprintf(other + len, sizeof other - len, "%s%s",
				 len ? ", " : "other than ", say);
	}
	return api_read_refused(f->name, other, e);
}

static int read_other(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcmp(others[i].name, name) == 0 && !is_neutral(&others[i], v))
			return refuse(&others[i], e);
	return api_read_note(r, name, e);
}

/* ---- fields without room ---- */

int api_read_only_one(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return is_neutral(&(struct other){ name, IS_ONE, NULL }, v)
		       ? api_read_note(r, name, e)
		       : api_read_refused(name, "other than 1", e);
}

int api_read_only_false(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return is_neutral(&(struct other){ name, IS_FALSE | IS_ZERO, NULL }, v)
		       ? api_read_note(r, name, e)
		       : api_read_unsupported(name, e);
}

int api_read_nothing(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return is_neutral(&(struct other){ name, IS_EMPTY | IS_FALSE, NULL }, v)
		       ? api_read_note(r, name, e)
		       : api_read_unsupported(name, e);
}

static const struct api_field *find_field(const struct api_field *f, const char *name)
{
	while (f && f->name && strcmp(f->name, name) != 0)
		f++;
	return f && f->name ? f : NULL;
}

int api_read_field(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const struct api_field *f = find_field(api_forms[r->form].own, name);
	if (!f)
		f = find_field(api_forms[r->form].shared, name);
	if (!f)
		return read_other(r, name, v, e);
	int rc = f->read(r, f->name, v, e);
	if (rc < 0 && e && !e->at[0])
		err_at(e, rc, e->kind, "%s", name);
	return rc;
}
