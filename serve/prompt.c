/* From a filtered request to what the engine gets: the rendered prompt, the constraint, and a
 * session for each choice. */
#include "serve/service.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the prompt ---- */

static int render(struct serve_chat *c, const json_t *tools, struct buf *text,
		  struct token_ids *ids, struct err *e)
{
	struct engine_chat chat = { .messages = c->messages,
				    .tools = tools,
				    .kwargs = c->request.template_kwargs,
				    .generation_prompt = true,
				    .now_us = c->created_us };
	return engine_chat_encode(c->service->engine, &chat, text, ids, e);
}

/* A template that passes tools over would leave them unknown to the model. */
static int check_tools(struct serve_chat *c, const struct buf *with, struct err *e)
{
	struct buf without = { 0 };
	int rc = render(c, NULL, &without, NULL, e);
	if (rc == 0 && (c->syntax == REPLY_SYNTAX_PLAIN ||
			(with->len == without.len &&
			 (with->len == 0 || memcmp(with->bytes, without.bytes, with->len) == 0))))
		rc = err_set(e, ERR_UNSUPPORTED,
			     "not available in this version: tools with this model: its chat "
			     "template has no place for them");
	buf_free(&without);
	return rc;
}

static int encode(struct serve_chat *c, struct err *e)
{
	const struct serve_service *s = c->service;
	struct buf text = { 0 };
	c->syntax = engine_reply_syntax(s->engine);
	int rc = render(c, c->tools, &text, &c->prompt, e);
	if (rc == 0 && c->tools)
		rc = check_tools(c, &text, e);
	c->reasons =
		rc == 0 && reply_prompt_reasons(c->syntax, text.bytes ? text.bytes : "", text.len);
	buf_free(&text);
	if (rc == 0 && c->prompt.count >= s->context_max)
		rc = err_set(e, ERR_INPUT,
			     "the prompt has %zu tokens; the context of this model is %u",
			     c->prompt.count, s->context_max);
	return rc;
}

/* ---- the constraint ---- */

static int open_constraint(struct serve_chat *c, enum grammar_kind kind, const struct buf *text,
			   const char *field, struct err *e)
{
	c->constraint_field = field;
	int rc = engine_constraint_open(&c->constraint, c->service->engine, kind,
					text->bytes ? text->bytes : "", text->len, e);
	return rc < 0 ? err_prefix(e, "\"%s\"", field) : 0;
}

/* A call is demanded: the answer is one. */
static int demand_call(struct serve_chat *c, struct err *e)
{
	struct buf grammar = { 0 };
	int rc = engine_tool_grammar(c->syntax, c->service->engine, c->tools, c->request.tool_name,
				     c->reasons, &grammar, e);
	if (rc < 0)
		err_prefix(e, "\"tool_choice\"");
	else
		rc = open_constraint(c, GRAMMAR_CALL, &grammar, "tool_choice", e);
	buf_free(&grammar);
	return rc;
}

static int constrain(struct serve_chat *c, struct err *e)
{
	static const enum grammar_kind kinds[] = {
		[API_CONSTRAINT_OBJECT] = GRAMMAR_JSON_OBJECT,
		[API_CONSTRAINT_SCHEMA] = GRAMMAR_SCHEMA,
		[API_CONSTRAINT_REGEX] = GRAMMAR_REGEX,
		[API_CONSTRAINT_CHOICE] = GRAMMAR_CHOICE,
		[API_CONSTRAINT_GRAMMAR] = GRAMMAR_RULES,
	};
	const struct api_request *q = &c->request;
	bool demanded = c->tools &&
			(q->tool_choice == API_TOOLS_REQUIRED || q->tool_choice == API_TOOLS_NAMED);
	if (demanded)
		return demand_call(c, e);
	if (q->constraint == API_CONSTRAINT_NONE)
		return 0;
	if (c->reasons)
		return err_set(
			e, ERR_UNSUPPORTED,
			"not available in this version: \"%s\" where the chat template opens "
			"the answer in reasoning (try chat_template_kwargs enable_thinking "
			"false)",
			q->constraint_field);
	return open_constraint(c, kinds[q->constraint], &q->constraint_text, q->constraint_field,
			       e);
}

/* -100 is a ban. */
static int make_bias(struct serve_chat *c, struct err *e)
{
	const struct api_request *q = &c->request;
	uint32_t real = engine_info(c->service->engine)->tokens_real;
	c->bias = calloc(q->bias_count + 1, sizeof *c->bias);
	if (!c->bias)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	for (size_t i = 0; i < q->bias_count; i++) {
		if (q->bias[i].id >= real)
			return err_set(e, ERR_INPUT,
				       "\"logit_bias\": token %u; this model has ids up to %u",
				       q->bias[i].id, real - 1);
		float x = q->bias[i].bias;
		c->bias[i] = (struct engine_bias){ q->bias[i].id, x <= -100 ? -INFINITY : x };
	}
	return 0;
}

int serve_prompt_make(struct serve_chat *c, struct err *e)
{
	TRY(encode(c, e));
	TRY(make_bias(c, e));
	TRY(constrain(c, e));
	/* What has the form that was asked for is content, whatever stands in it; and without tools
	 * a JSON object is no call. */
	if ((c->constraint && !c->tools) || (c->syntax == REPLY_SYNTAX_LLAMA3 && !c->tools))
		c->syntax = REPLY_SYNTAX_PLAIN;
	c->markers = reply_syntax_markers(c->syntax);
	return 0;
}

/* ---- sessions ---- */

static struct engine_sampling sampling(const struct serve_chat *c, unsigned choice)
{
	const struct api_request *q = &c->request;
	uint32_t most = engine_info(c->service->engine)->context_max;
	uint32_t room = c->service->context_max - (uint32_t)c->prompt.count;
	/* 0: as much as context and cache leave */
	uint32_t unasked = c->service->context_max < most ? room : 0;
	return (struct engine_sampling){
		.temperature = (float)q->temperature,
		.top_p = (float)q->top_p,
		.min_p = (float)q->min_p,
		.top_k = q->top_k,
		.repetition = (float)q->repetition,
		.presence = (float)q->presence,
		.frequency = (float)q->frequency,
		.bias = c->bias,
		.bias_count = q->bias_count,
		.seed = c->seed,
		.choice = choice,
		.tokens_max = !q->tokens_max         ? unasked
			      : q->tokens_max < room ? q->tokens_max
						     : room,
		.tokens_min = q->tokens_min < room ? q->tokens_min : room,
		.stop = q->stop,
		.stop_count = q->stop_count,
		.ban = q->ban,
		.ban_count = q->ban_count,
		.ignore_eos = q->ignore_eos,
		.markers = c->markers,
		.logprobs = q->logprobs,
		.top_logprobs = q->top_logprobs,
		.constraint = c->constraint,
	};
}

int serve_prompt_sessions(struct serve_chat *c, struct err *e)
{
	for (unsigned i = 0; i < c->request.n; i++) {
		struct engine_request q = { .prompt = c->prompt.id,
					    .count = c->prompt.count,
					    .sampling = sampling(c, i),
					    .client = c->client,
					    .deadline_us = c->deadline_us,
					    .speculation = c->service->speculation };
		c->choices = i + 1;
		TRY(serve_notes_init(&c->choice[i].notes, e));
		TRY(serve_completion_open(c, &c->choice[i], i, &q, e));
	}
	return 0;
}
