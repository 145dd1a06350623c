/* A request written as it is read: what request.c makes of these bytes is the request again. Only
 * what differs from the default is written, and the temperature. */
#include "api/api.h"

#include "base/limits.h"

#include <string.h>

/* The arguments of a call are an object here and text on the wire. */
static int write_arguments(json_t *call, struct err *e)
{
	json_t *function = json_object_get(call, "function");
	struct buf text = { 0 };
	int rc = json_write(json_object_get(function, "arguments"), 0, &text, e);
	if (rc == 0 &&
	    json_object_set_new(function, "arguments", json_stringn(text.bytes, text.len)) < 0)
		rc = err_set(e, ERR_NOMEM, "out of memory");
	buf_free(&text);
	return rc;
}

static bool has_calls(const json_t *messages)
{
	const json_t *message;
	size_t i;
	json_array_foreach((json_t *)messages, i, message)
		if (json_object_get(message, "tool_calls"))
			return true;
	return false;
}

static int add_messages(struct obj *o, const json_t *messages, struct err *e)
{
	if (!has_calls(messages)) {
		obj_share(o, "messages", messages);
		return 0;
	}
	json_t *copy = json_deep_copy(messages), *message, *call;
	size_t i, k;
	int rc = json_ok(copy, e);
	json_array_foreach(copy, i, message) {
		json_array_foreach(json_object_get(message, "tool_calls"), k, call) {
			rc = rc < 0 ? rc : write_arguments(call, e);
		}
	}
	obj_add(o, "messages", copy);
	return rc;
}

/* {"ID": bias}; NULL without memory. */
static json_t *bias_object(const struct api_request *q)
{
	json_t *bias = json_object();
	int failed = 0;
	for (size_t i = 0; i < q->bias_count; i++) {
		char id[12];
		snprintf(id, sizeof id, "%u", q->bias[i].id);
		failed |= json_object_set_new(bias, id, json_real((double)q->bias[i].bias));
	}
	if (!failed)
		return bias;
	json_decref(bias);
	return NULL;
}

static void add_sampling(struct obj *o, const struct api_request *q)
{
	struct arr stop = { 0 }, ids = { 0 }, ban = { 0 };
	for (size_t i = 0; i < q->stop_count; i++)
		arr_text(&stop, q->stop[i]);
	for (size_t i = 0; i < q->stop_ids; i++)
		arr_count(&ids, q->stop_id[i]);
	for (size_t i = 0; i < q->ban_count; i++)
		arr_text(&ban, q->ban[i]);
	if (q->bias_count)
		obj_add(o, "logit_bias", bias_object(q));
	if (q->stop_count)
		obj_array(o, "stop", &stop);
	if (q->stop_ids)
		obj_array(o, "stop_token_ids", &ids);
	if (q->ban_count)
		obj_array(o, "bad_words", &ban);
	if (q->top_p != 1)
		obj_real(o, "top_p", q->top_p);
	if (q->min_p != 0)
		obj_real(o, "min_p", q->min_p);
	if (q->top_k)
		obj_count(o, "top_k", q->top_k);
	if (q->frequency != 0)
		obj_real(o, "frequency_penalty", q->frequency);
	if (q->presence != 0)
		obj_real(o, "presence_penalty", q->presence);
	if (q->repetition != 1)
		obj_real(o, "repetition_penalty", q->repetition);
}

/* In place of messages. Completions have a limit where none is given: n_predict says that there is
 * none. */
static void add_prompt(struct obj *o, const struct api_request *q)
{
	obj_share(o, "prompt", q->prompt);
	if (q->bare)
		obj_bool(o, "add_special_tokens", false);
	if (q->echo)
		obj_bool(o, "echo", true);
	if (!q->tokens_max)
		obj_int(o, "n_predict", -1);
	if (q->logprobs)
		obj_count(o, "logprobs", q->top_logprobs);
}

static void add_limits(struct obj *o, const struct api_request *q)
{
	if (q->tokens_max)
		obj_count(o, "max_tokens", q->tokens_max);
	if (q->has_seed)
		obj_int(o, "seed", q->seed);
	if (q->n > 1)
		obj_count(o, "n", q->n);
	if (q->tokens_min)
		obj_count(o, "min_tokens", q->tokens_min);
	if (q->ignore_eos)
		obj_bool(o, "ignore_eos", true);
	if (q->shape == API_COMPLETION)
		return;
	if (q->logprobs)
		obj_bool(o, "logprobs", true);
	if (q->top_logprobs)
		obj_count(o, "top_logprobs", q->top_logprobs);
}

static void add_tools(struct obj *o, const struct api_request *q)
{
	static const char *const choice[] = {
		[API_TOOLS_NONE] = "none", [API_TOOLS_REQUIRED] = "required"
	};
	if (!q->tools)
		return;
	obj_share(o, "tools", q->tools);
	if (q->tool_choice == API_TOOLS_NAMED) {
		struct obj named = { 0 }, function = { 0 };
		obj_text(&function, "name", q->tool_name);
		obj_text(&named, "type", "function");
		obj_object(&named, "function", &function);
		obj_object(o, "tool_choice", &named);
	} else if (q->tool_choice != API_TOOLS_AUTO) {
		obj_text(o, "tool_choice", choice[q->tool_choice]);
	}
	if (q->one_call)
		obj_bool(o, "parallel_tool_calls", false);
}

static int add_constraint(struct obj *o, const struct api_request *q, struct err *e)
{
	static const char *const field[] = { [API_CONSTRAINT_SCHEMA] = "guided_json",
					     [API_CONSTRAINT_REGEX] = "guided_regex",
					     [API_CONSTRAINT_CHOICE] = "guided_choice",
					     [API_CONSTRAINT_GRAMMAR] = "guided_grammar" };
	const struct buf *text = &q->constraint_text;
	json_t *value = NULL;
	if (q->constraint == API_CONSTRAINT_NONE)
		return 0;
	if (q->constraint == API_CONSTRAINT_OBJECT) {
		struct obj format = { 0 };
		obj_text(&format, "type", "json_object");
		obj_object(o, "response_format", &format);
		return 0;
	}
	if (q->constraint == API_CONSTRAINT_SCHEMA || q->constraint == API_CONSTRAINT_CHOICE)
		TRY(json_read_as(&value, text->bytes, text->len, LIMIT_REQUEST_BYTES,
				 LIMIT_REQUEST_DEPTH, JSON_WIDE, e));
	else
		value = json_stringn(text->bytes, text->len);
	obj_add(o, field[q->constraint], value);
	return 0;
}

static int add_all(struct obj *o, const struct api_request *q, struct err *e)
{
	obj_text(o, "model", q->model);
	if (q->shape == API_COMPLETION)
		add_prompt(o, q);
	else
		TRY(add_messages(o, q->messages, e));
	if (q->stream)
		obj_bool(o, "stream", true);
	obj_real(o, "temperature", q->temperature);
	add_limits(o, q);
	if (q->include_usage) {
		struct obj options = { 0 };
		obj_bool(&options, "include_usage", true);
		if (q->usage_each)
			obj_bool(&options, "continuous_usage_stats", true);
		obj_object(o, "stream_options", &options);
	}
	add_sampling(o, q);
	add_tools(o, q);
	if (q->template_kwargs)
		obj_share(o, "chat_template_kwargs", q->template_kwargs);
	if (q->hides_reasoning)
		obj_bool(o, "include_reasoning", false);
	return add_constraint(o, q, e);
}

int api_request_write(const struct api_request *q, struct buf *out, struct err *e)
{
	struct obj o = { 0 };
	json_t *document = NULL;
	int rc = add_all(&o, q, e);
	if (rc < 0) {
		obj_free(&o);
		return rc;
	}
	TRY(obj_done(&o, &document, e));
	rc = json_write(document, 0, out, e);
	json_decref(document);
	return rc;
}
