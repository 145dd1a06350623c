/* Request fields that completions alone have. Their prompt is a text or token ids, without a chat
 * template. One of them is taken: each of several would be a request of its own, with its own
 * rules and its own record. */
#include "api/request_read.h"

#define TOKENS_DEFAULT 16 /* as OpenAI's and vLLM's completions have it */

static int read_ids(const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *one;
	json_int_t id;
	json_array_foreach(v, i, one) {
		if (!json_is_integer(one))
			return api_read_mistyped(name, "a text, or a list of token ids", e);
		TRY(api_read_integer(name, one, 0, UINT32_MAX, &id, e));
	}
	return 0;
}

/* "text", ["text"], [1, 2], [[1, 2]] */
static int read_prompt(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_t *first = json_array_get(v, 0);
	if (json_is_array(v) && !first)
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\": expected a text, not an empty list",
				      name),
			      "empty_array", "%s", name);
	bool listed = json_is_string(first) || json_is_array(first);
	if (listed && json_array_size(v) > 1)
		return api_read_refused(name, "of several texts: ask for one at a time", e);
	const json_t *one = listed ? first : v;
	if (!json_is_string(one) && !json_array_size(one))
		return json_is_array(one)
			       ? api_read_unexpected(name, "at least one token id", e)
			       : api_read_mistyped(name, "a text, or a list of token ids", e);
	TRY(read_ids(name, one, e));
	r->prompt = (json_t *)(uintptr_t)one;
	return 0;
}

static int read_echo(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_bool(name, v, &r->echo, e);
}

static int read_special(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool adds = true;
	TRY(api_read_bool(name, v, &adds, e));
	r->bare = !adds;
	return 0;
}

/* How many alternatives; the drawn token comes in any case. */
static int read_logprobs(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t most = 0;
	TRY(api_read_integer(name, v, 0, 20, &most, e));
	r->logprobs = true;
	r->top_logprobs = (uint32_t)most;
	return 0;
}

/* llama.cpp's; -1: as many as there is room for, where completions else have a few. */
static int read_predict(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool all = json_is_number(v) && json_number_value(v) == -1;
	return all ? 0 : api_read_tokens_max(r, name, v, e);
}

const struct api_field api_completion_fields[] = {
	{ "prompt", read_prompt },
	{ "echo", read_echo },
	{ "add_special_tokens", read_special },
	{ "logprobs", read_logprobs },
	{ "n_predict", read_predict },
	{ NULL, NULL },
};

int api_read_completion_done(struct api_request *r, struct err *e)
{
	const json_t *most = api_read_member(r->root, "n_predict");
	if (!r->prompt)
		return api_read_missing("prompt", e);
	if (r->echo && r->logprobs)
		return api_read_refused("echo", "with logprobs: those of a prompt are not computed",
					e);
	if (!r->tokens_max && !most)
		r->tokens_max = r->tokens_min > TOKENS_DEFAULT ? r->tokens_min : TOKENS_DEFAULT;
	return 0;
}
