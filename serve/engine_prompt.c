/* From a filtered request to what the engine gets: the rendered prompt, the biases, the
 * constraint. */
#include "serve/engine_answer.h"

#include "base/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 16 /* of one reply that is constrained */

/* ---- the prompt ---- */

static int render(struct answer *a, const json_t *tools, struct buf *text, struct token_ids *ids,
		  size_t *generated, struct err *e)
{
	struct engine_chat chat = { .messages = a->q.messages,
				    .tools = tools,
				    .kwargs = a->q.kwargs,
				    .generation_prompt = true,
				    .now_us = a->q.created_us,
				    .generated = generated };
	return engine_chat_encode(a->by->engine, &chat, text, ids, e);
}

/* A failure that this field of the request is to blame for. */
static int blame(const char *field, int rc, struct err *e)
{
	const char *kind = rc == ERR_UNSUPPORTED ? "unsupported_value" : "invalid_value";
	return rc == ERR_INPUT || rc == ERR_UNSUPPORTED ? err_at(e, rc, kind, "%s", field) : rc;
}

/* Refuse tools if the template ignores them: the model would not see them. */
static int check_tools(struct answer *a, const struct reply_family *family, const struct buf *with,
		       struct err *e)
{
	struct buf without = { 0 };
	int rc = render(a, NULL, &without, NULL, NULL, e);
	if (rc < 0)
		blame("messages", rc, e);
	else if ((family->syntax == REPLY_SYNTAX_PLAIN && !family->unread) ||
		 (with->len == without.len &&
		  (with->len == 0 || memcmp(with->bytes, without.bytes, with->len) == 0)))
		rc = err_at(
			e,
			err_set(e, ERR_UNSUPPORTED,
				"not available in this version: tools with this model: its chat "
				"template has no place for them"),
			"unsupported_parameter", "tools");
	buf_free(&without);
	return rc;
}

/* How long an answer may be kept back to see whether it lacks the beginning of its reasoning. What
 * is streamed waits for a sentence or two; where a stop string may end the answer, all of it would
 * be written before that is found. */
static size_t unbegun(const struct api_request *q)
{
	return q->stream || q->stop_count ? 256 : MIB(1);
}

/* A completion's prompt: a text, in which control tokens are those of the model, or ids. */
static int encode_prompt(struct answer *a, struct err *e)
{
	const json_t *one;
	size_t i;
	a->syntax = REPLY_SYNTAX_PLAIN;
	a->thought = REPLY_THOUGHT_NONE;
	if (json_is_string(a->q.prompt))
		return engine_encode(a->by->engine, json_string_value(a->q.prompt),
				     json_string_length(a->q.prompt), true, !a->q.bare, &a->prompt,
				     e);
	a->prompt.room = json_array_size(a->q.prompt);
	a->prompt.id = calloc(a->prompt.room + 1, sizeof *a->prompt.id);
	if (!a->prompt.id)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	json_array_foreach((json_t *)a->q.prompt, i, one)
		a->prompt.id[a->prompt.count++] = (uint32_t)json_integer_value(one);
	return 0;
}

static int encode_chat(struct answer *a, struct err *e)
{
	struct buf text = { 0 };
	size_t generated = 0;
	const struct reply_family family = engine_reply_family(a->by->engine);
	a->syntax = family.syntax;
	int rc = render(a, a->q.tools, &text, &a->prompt, &generated, e);
	if (rc < 0)
		blame("messages", rc, e);
	if (rc == 0 && a->q.tools)
		rc = check_tools(a, &family, &text, e);
	if (rc == 0)
		a->thought = reply_prompt_thought(&family, text.bytes ? text.bytes + generated : "",
						  text.len - generated);
	buf_free(&text);
	return rc;
}

/* Encoding goes on so far beyond the context that a prompt which is somewhat too long learns how
 * long it is. */
#define TOKENS_BEYOND 4u

static int encode(struct answer *a, struct err *e)
{
	const char *field = a->q.prompt ? "prompt" : "messages";
	a->prompt.most = (size_t)a->by->context_max * TOKENS_BEYOND;
	int rc = a->q.prompt ? encode_prompt(a, e) : encode_chat(a, e);
	if (rc == 0 && a->prompt.count == 0)
		rc = err_at(e, err_set(e, ERR_INPUT, "the prompt has no token"), "invalid_value",
			    "%s", field);
	bool stopped = rc == ERR_INPUT && a->prompt.count == a->prompt.most;
	if ((rc == 0 || stopped) && a->prompt.count >= a->by->context_max)
		rc = err_at(e,
			    err_set(e, ERR_INPUT,
				    "this model's maximum context length is %u tokens, and the "
				    "prompt has %s%zu",
				    a->by->context_max, stopped ? "more than " : "",
				    a->prompt.count),
			    "context_length_exceeded", "%s", field);
	return rc;
}

/* ---- the constraint ---- */

static int open_constraint(struct answer *a, const struct grammar_text *t, const char *field,
			   struct err *e)
{
	a->constraint_field = field;
	int rc = engine_constraint_open(&a->constraint, a->by->engine, t, e);
	return rc < 0 ? blame(field, err_prefix(e, "\"%s\"", field), e) : 0;
}

/* What a request demands of the form of its answer. */
struct demand {
	enum grammar_kind kind;
	enum reply_answer answer;
	const char *field; /* of the request, that asked for it; NULL: nothing is demanded */
	const char *name;  /* the only tool that may be called */
};

/* The tools that a reply may call without being told to: none of a family whose calls are not
 * known. */
static const json_t *callable(const struct answer *a)
{
	return engine_reply_family(a->by->engine).unread ? NULL : a->q.tools;
}

static bool has_strict(const json_t *tools)
{
	const json_t *tool;
	size_t i;
	json_array_foreach((json_t *)tools, i, tool)
		if (json_is_true(json_object_get(json_object_get(tool, "function"), "strict")))
			return true;
	return false;
}

static struct demand demand_of(const struct answer *a)
{
	static const struct {
		enum grammar_kind kind;
		enum reply_answer answer;
	} kinds[] = {
		[API_CONSTRAINT_OBJECT] = { GRAMMAR_JSON_OBJECT, REPLY_ANSWER_JSON },
		[API_CONSTRAINT_SCHEMA] = { GRAMMAR_SCHEMA, REPLY_ANSWER_JSON },
		[API_CONSTRAINT_REGEX] = { GRAMMAR_REGEX, REPLY_ANSWER_ANY },
		[API_CONSTRAINT_CHOICE] = { GRAMMAR_CHOICE, REPLY_ANSWER_ANY },
		[API_CONSTRAINT_GRAMMAR] = { GRAMMAR_RULES, REPLY_ANSWER_ANY },
	};
	const struct api_request *q = a->q.asked;
	bool named = q->tool_choice == API_TOOLS_NAMED;
	if (a->q.tools && (named || q->tool_choice == API_TOOLS_REQUIRED))
		return (struct demand){ GRAMMAR_CALL, REPLY_ANSWER_NONE, "tool_choice",
					q->tool_name };
	if (q->constraint != API_CONSTRAINT_NONE)
		return (struct demand){ kinds[q->constraint].kind, kinds[q->constraint].answer,
					q->constraint_field, NULL };
	if (has_strict(callable(a)))
		return (struct demand){ GRAMMAR_CALL, REPLY_ANSWER_TEXT, "tools", NULL };
	return (struct demand){ 0 };
}

/* The grammar of the whole reply: reasoning, where the model may have some, and calls are free to
 * come; what is demanded of the answer stands in it, or, without either, alone. */
static int constrain_with(struct answer *a, const struct demand *d, struct buf *frame,
			  struct err *e)
{
	const struct api_request *q = a->q.asked;
	struct grammar_text t = { .kind = d->kind,
				  .text = q->constraint_text.bytes ? q->constraint_text.bytes : "",
				  .len = q->constraint_text.len };
	const json_t *tools = d->answer == REPLY_ANSWER_NONE ? a->q.tools : callable(a);
	bool single = q->one_call || d->name || engine_reply_family(a->by->engine).one_call;
	const struct reply_frame f = { .syntax = a->syntax,
				       .thought = a->thought,
				       .answer = d->answer,
				       .tools = tools,
				       .name = d->name,
				       .calls_max = single ? 1 : CALLS_MAX };
	bool bare = a->thought == REPLY_THOUGHT_NONE && !tools;
	int rc = bare ? 0 : engine_frame_grammar(a->by->engine, f, frame, e);
	const char *whose = tools ? "tools" : d->field;
	if (rc < 0)
		return blame(whose, err_prefix(e, "\"%s\"", whose), e);
	if (d->kind == GRAMMAR_CALL) {
		t.text = frame->bytes;
		t.len = frame->len;
	} else if (!bare) {
		t.frame = frame->bytes;
		t.frame_len = frame->len;
	}
	return open_constraint(a, &t, d->field, e);
}

static int constrain(struct answer *a, struct err *e)
{
	struct demand d = demand_of(a);
	struct buf frame = { 0 };
	if (!d.field)
		return 0;
	int rc = constrain_with(a, &d, &frame, e);
	a->answer = d.answer;
	buf_free(&frame);
	return rc;
}

/* -100 is a ban. */
static int make_bias(struct answer *a, struct err *e)
{
	const struct api_request *q = a->q.asked;
	uint32_t real = engine_info(a->by->engine)->tokens_real;
	a->bias = calloc(q->bias_count + 1, sizeof *a->bias);
	if (!a->bias)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	for (size_t i = 0; i < q->bias_count; i++) {
		if (q->bias[i].id >= real)
			return err_at(e,
				      err_set(e, ERR_INPUT,
					      "\"logit_bias\": token %u; this model has ids up to "
					      "%u",
					      q->bias[i].id, real - 1),
				      "invalid_value", "logit_bias");
		float x = q->bias[i].bias;
		a->bias[i] = (struct engine_bias){ q->bias[i].id, x <= -100 ? -INFINITY : x };
	}
	return 0;
}

/* Where rules withhold text, an end at a token of text would tell what was withheld (stop.c): there
 * only the model's own marks end an answer. */
static int check_stop_ids(const struct answer *a, struct err *e)
{
	const struct api_request *q = a->q.asked;
	uint32_t real = engine_info(a->by->engine)->tokens_real;
	struct buf text = { 0 };
	int rc = 0;
	for (size_t i = 0; i < q->stop_ids && rc == 0; i++) {
		const uint32_t *id = &q->stop_id[i];
		buf_clear(&text);
		if (*id >= real)
			rc = err_at(
				e,
				err_set(e, ERR_INPUT,
					"\"stop_token_ids\": token %u; this model has ids up to %u",
					*id, real - 1),
				"invalid_value", "stop_token_ids");
		else if (a->q.filtered)
			rc = engine_decode(a->by->engine, id, 1, true, &text, e);
		if (rc == 0 && text.len)
			rc = err_at(e,
				    err_set(e, ERR_UNSUPPORTED,
					    "not available in this version: stop_token_ids of text "
					    "(%u) where rules may withhold some; try \"stop\"",
					    *id),
				    "unsupported_value", "stop_token_ids");
	}
	buf_free(&text);
	return rc;
}

int serve_engine_prompt(struct answer *a, struct err *e)
{
	TRY(encode(a, e));
	TRY(make_bias(a, e));
	TRY(check_stop_ids(a, e));
	TRY(constrain(a, e));
	/* A constrained answer without reasoning is content, whatever it looks like; and without
	 * tools a JSON object is not a call. */
	bool bare = !a->q.tools && a->thought == REPLY_THOUGHT_NONE;
	if (bare && (a->constraint || a->syntax == REPLY_SYNTAX_LLAMA3))
		a->syntax = REPLY_SYNTAX_PLAIN;
	a->markers = reply_syntax_markers(a->syntax);
	if (a->thought == REPLY_THOUGHT_MAY && !a->constraint)
		a->unbegun = unbegun(a->q.asked);
	return 0;
}
