/* Request fields that become variables of the chat template, and whether reasoning is wanted: the
 * same wish has a name with every service. Whoever asks by an effort or by a switch sets both
 * enable_thinking and thinking, which are what templates read, unless chat_template_kwargs has
 * them. Sources: OpenAI (reasoning_effort), vLLM and SGLang (that an effort switches thinking),
 * OpenRouter (reasoning), Anthropic and DeepSeek (thinking), Ollama (think). */
#include "api/request_read.h"
#include "base/limits.h"

#include <string.h>

#define KWARGS_DEPTH_MAX 16 /* a record holds them, and what is around them */
#define KWARGS_BYTES_MAX KIB(16)
#define NAME_BYTES_MAX 64u

static const char *const thinking_names[] = { "enable_thinking", "thinking" };

/* How much a wish to think weighs against another. */
enum { BY_EFFORT = 1, BY_SWITCH = 2 };

static void wish(struct api_request *r, int weight, bool thinks)
{
	if (weight >= (r->thinks < 0 ? -r->thinks : r->thinks))
		r->thinks = thinks ? weight : -weight;
}

static int set_switch(struct api_request *r, const char *key, const json_t *v, struct err *e)
{
	if (!r->template_kwargs)
		r->template_kwargs = json_object();
	const json_t *other = json_object_get(r->template_kwargs, key);
	if (other && !json_equal(other, v))
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\" is given twice, with two values", key),
			      "invalid_value", "%s", key);
	if (json_object_set(r->template_kwargs, key, (json_t *)v) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return 0;
}

static int check_effort(const char *name, const json_t *v, struct err *e)
{
	static const char wanted[] = "none, minimal, low, medium, high, xhigh or max";
	static const char *const words[] = { "none", "minimal", "low", "medium",
					     "high", "xhigh",   "max" };
	const char *word = json_string_value(v);
	if (!word)
		return api_read_mistyped(name, wanted, e);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0)
			return 0;
	return api_read_unexpected(name, wanted, e);
}

int api_read_effort(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	TRY(check_effort(name, v, e));
	wish(r, BY_EFFORT, strcmp(json_string_value(v), "none") != 0);
	return set_switch(r, "reasoning_effort", v, e);
}

int api_read_enable(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool thinks = false;
	TRY(api_read_bool(name, v, &thinks, e));
	wish(r, BY_SWITCH, thinks);
	return 0;
}

int api_read_budget(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t budget = 0;
	TRY(api_read_integer(name, v, -1, INT32_MAX, &budget, e));
	return budget < 0 ? api_read_note(r, name, e) : set_switch(r, "thinking_budget", v, e);
}

int api_read_include(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool includes = true;
	TRY(api_read_bool(name, v, &includes, e));
	r->hides_reasoning |= !includes;
	return 0;
}

/* {"effort", "max_tokens", "exclude", "enabled"} */
int api_read_reasoning(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "effort", "max_tokens", "exclude", "enabled", NULL };
	const json_t *effort = api_read_member(v, keys[0]), *budget = api_read_member(v, keys[1]);
	const json_t *exclude = api_read_member(v, keys[2]), *enabled = api_read_member(v, keys[3]);
	bool hides = false;
	if (!json_is_object(v))
		return api_read_mistyped(name, "an object", e);
	if (effort)
		TRY(api_read_effort(r, "reasoning.effort", effort, e));
	if (budget)
		TRY(api_read_budget(r, "reasoning.max_tokens", budget, e));
	if (enabled)
		TRY(api_read_enable(r, "reasoning.enabled", enabled, e));
	if (exclude)
		TRY(api_read_bool("reasoning.exclude", exclude, &hides, e));
	r->hides_reasoning |= hides;
	return api_read_others(r, v, keys, name, e);
}

/* {"display": "omitted"}: thinking goes nowhere; summaries are not made, all of it is given. */
static int read_display(struct api_request *r, const json_t *v, struct err *e)
{
	const char *word = json_string_value(v);
	if (!v)
		return 0;
	if (!word || (strcmp(word, "omitted") != 0 && strcmp(word, "summarized") != 0))
		return api_read_unexpected("thinking.display", "omitted or summarized", e);
	if (strcmp(word, "summarized") == 0)
		return api_read_note(r, "thinking.display", e);
	r->hides_reasoning = true;
	return 0;
}

/* {"type": "enabled", "budget_tokens"}, or true or false */
int api_read_thinking(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "type", "budget_tokens", "display", NULL };
	const json_t *budget = api_read_member(v, keys[1]);
	const char *type = json_string_value(json_object_get(v, keys[0]));
	if (json_is_boolean(v))
		return api_read_enable(r, name, v, e);
	if (!json_is_object(v))
		return api_read_mistyped(name, "{\"type\": \"enabled\" or \"disabled\"}", e);
	if (type && (strcmp(type, "enabled") == 0 || strcmp(type, "disabled") == 0))
		wish(r, BY_SWITCH, strcmp(type, "enabled") == 0);
	else if (!type || (strcmp(type, "adaptive") != 0 && strcmp(type, "auto") != 0))
		return api_read_unexpected("thinking.type", "enabled, disabled, adaptive or auto",
					   e);
	if (budget)
		TRY(api_read_budget(r, "thinking.budget_tokens", budget, e));
	TRY(read_display(r, api_read_member(v, "display"), e));
	return api_read_others(r, v, keys, name, e);
}

/* true, false, or an effort */
int api_read_think(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return json_is_string(v) ? api_read_effort(r, name, v, e) : api_read_enable(r, name, v, e);
}

/* ---- chat_template_kwargs ---- */

/* The caller bounds the depth. */
static bool is_deeper(const json_t *v, int levels)
{
	const char *key;
	json_t *inner;
	size_t i;
	if (!json_is_array(v) && !json_is_object(v))
		return false;
	if (levels == 0)
		return true;
	json_array_foreach((json_t *)v, i, inner)
		if (is_deeper(inner, levels - 1))
			return true;
	json_object_foreach((json_t *)v, key, inner)
		if (is_deeper(inner, levels - 1))
			return true;
	return false;
}

/* Those that are read here: a text in place of true would be true. */
static int check_kwarg(const char *key, const json_t *v, struct err *e)
{
	static const char *const switches[] = { "enable_thinking",   "thinking",
						"clear_thinking",    "keep_past_thinking",
						"preserve_thinking", "tools_in_user_message" };
	bool ignored;
	json_int_t budget;
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
		if (strcmp(key, switches[i]) == 0)
			return api_read_bool(key, v, &ignored, e);
	if (strcmp(key, "thinking_budget") == 0)
		return api_read_integer(key, v, -1, INT32_MAX, &budget, e);
	return strcmp(key, "reasoning_effort") == 0 ? check_effort(key, v, e) : 0;
}

/* A variable of the template, that is not one of those that the server sets: what ends in _token
 * would be text of the model's own. */
static bool is_variable(const char *key)
{
	static const char *const ours[] = { "messages",
					    "tools",
					    "documents",
					    "add_generation_prompt",
					    "continue_final_message",
					    "chat_template",
					    "tokenize" };
	size_t len = strlen(key);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcmp(key, ours[i]) == 0)
			return false;
	for (size_t i = 0; i < len; i++)
		if (key[i] != '_' && !(key[i] >= 'a' && key[i] <= 'z') &&
		    !(key[i] >= 'A' && key[i] <= 'Z') && (i == 0 || key[i] < '0' || key[i] > '9'))
			return false;
	return len && len <= NAME_BYTES_MAX && (len < 6 || strcmp(key + len - 6, "_token") != 0);
}

int api_read_kwargs(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *key;
	json_t *one;
	if (!json_is_object(v))
		return api_read_mistyped(name, "an object", e);
	json_object_foreach((json_t *)v, key, one) {
		if (json_is_null(one))
			continue;
		if (!is_variable(key))
			return api_read_refused(name, key, e);
		TRY(check_kwarg(key, one, e));
		TRY(set_switch(r, key, one, e));
	}
	if (is_deeper(v, KWARGS_DEPTH_MAX))
		return api_read_unexpected(name, "at most 16 levels", e);
	return r->template_kwargs ? 0 : api_read_note(r, name, e);
}

int api_read_switches_done(struct api_request *r, struct err *e)
{
	struct buf text = { 0 };
	for (size_t i = 0; r->thinks && i < sizeof thinking_names / sizeof *thinking_names; i++)
		if (!json_object_get(r->template_kwargs, thinking_names[i]))
			TRY(set_switch(r, thinking_names[i],
				       r->thinks > 0 ? json_true() : json_false(), e));
	int rc = r->template_kwargs ? json_write(r->template_kwargs, 0, &text, e) : 0;
	if (rc == 0 && text.len > KWARGS_BYTES_MAX)
		rc = api_read_unexpected("chat_template_kwargs", "at most 16 KiB", e);
	buf_free(&text);
	return rc;
}
