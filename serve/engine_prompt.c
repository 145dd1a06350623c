/* From a filtered request to what the engine gets: the rendered prompt, the biases, the
 * constraint. */
#include "serve/engine_answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the prompt ---- */

static int render(struct answer *a, const json_t *tools, struct buf *text, struct token_ids *ids,
		  struct err *e)
{
	struct engine_chat chat = { .messages = a->q.messages,
				    .tools = tools,
				    .kwargs = a->q.asked->template_kwargs,
				    .generation_prompt = true,
				    .now_us = a->q.created_us };
	return engine_chat_encode(a->by->engine, &chat, text, ids, e);
}

/* Refuse tools if the template ignores them: the model would not see them. */
static int check_tools(struct answer *a, const struct buf *with, struct err *e)
{
	struct buf without = { 0 };
	int rc = render(a, NULL, &without, NULL, e);
	if (rc == 0 && (a->syntax == REPLY_SYNTAX_PLAIN ||
			(with->len == without.len &&
			 (with->len == 0 || memcmp(with->bytes, without.bytes, with->len) == 0))))
		rc = err_set(e, ERR_UNSUPPORTED,
			     "not available in this version: tools with this model: its chat "
			     "template has no place for them");
	buf_free(&without);
	return rc;
}

static int encode(struct answer *a, struct err *e)
{
	struct buf text = { 0 };
	a->syntax = engine_reply_syntax(a->by->engine);
	int rc = render(a, a->q.tools, &text, &a->prompt, e);
	if (rc == 0 && a->q.tools)
		rc = check_tools(a, &text, e);
	a->reasons =
		rc == 0 && reply_prompt_reasons(a->syntax, text.bytes ? text.bytes : "", text.len);
	buf_free(&text);
	if (rc == 0 && a->prompt.count >= a->by->context_max)
		rc = err_at(e,
			    err_set(e, ERR_INPUT,
				    "the prompt has %zu tokens; the context of this model is %u",
				    a->prompt.count, a->by->context_max),
			    "context_length_exceeded", "messages");
	return rc;
}

/* ---- the constraint ---- */

static int open_constraint(struct answer *a, enum grammar_kind kind, const struct buf *text,
			   const char *field, struct err *e)
{
	a->constraint_field = field;
	const struct grammar_text t = { .kind = kind,
					.text = text->bytes ? text->bytes : "",
					.len = text->len };
	int rc = engine_constraint_open(&a->constraint, a->by->engine, &t, e);
	return rc < 0 ? err_prefix(e, "\"%s\"", field) : 0;
}

/* Make the constraint for a forced call: the answer is one call. */
static int demand_call(struct answer *a, struct err *e)
{
	struct buf grammar = { 0 };
	int rc = engine_tool_grammar(a->syntax, a->by->engine, a->q.tools, a->q.asked->tool_name,
				     a->reasons, &grammar, e);
	if (rc < 0)
		err_prefix(e, "\"tool_choice\"");
	else
		rc = open_constraint(a, GRAMMAR_CALL, &grammar, "tool_choice", e);
	buf_free(&grammar);
	return rc;
}

static int constrain(struct answer *a, struct err *e)
{
	static const enum grammar_kind kinds[] = {
		[API_CONSTRAINT_OBJECT] = GRAMMAR_JSON_OBJECT,
		[API_CONSTRAINT_SCHEMA] = GRAMMAR_SCHEMA,
		[API_CONSTRAINT_REGEX] = GRAMMAR_REGEX,
		[API_CONSTRAINT_CHOICE] = GRAMMAR_CHOICE,
		[API_CONSTRAINT_GRAMMAR] = GRAMMAR_RULES,
	};
	const struct api_request *q = a->q.asked;
	bool demanded = a->q.tools &&
			(q->tool_choice == API_TOOLS_REQUIRED || q->tool_choice == API_TOOLS_NAMED);
	if (demanded)
		return demand_call(a, e);
	if (q->constraint == API_CONSTRAINT_NONE)
		return 0;
	if (a->reasons)
		return err_set(
			e, ERR_UNSUPPORTED,
			"not available in this version: \"%s\" where the chat template opens "
			"the answer in reasoning (try chat_template_kwargs enable_thinking "
			"false)",
			q->constraint_field);
	return open_constraint(a, kinds[q->constraint], &q->constraint_text, q->constraint_field,
			       e);
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
			return err_set(e, ERR_INPUT,
				       "\"logit_bias\": token %u; this model has ids up to %u",
				       q->bias[i].id, real - 1);
		float x = q->bias[i].bias;
		a->bias[i] = (struct engine_bias){ q->bias[i].id, x <= -100 ? -INFINITY : x };
	}
	return 0;
}

int serve_engine_prompt(struct answer *a, struct err *e)
{
	TRY(encode(a, e));
	TRY(make_bias(a, e));
	TRY(constrain(a, e));
	/* A constrained answer is content, whatever it looks like; and without tools a JSON object
	 * is not a call. */
	if ((a->constraint && !a->q.tools) || (a->syntax == REPLY_SYNTAX_LLAMA3 && !a->q.tools))
		a->syntax = REPLY_SYNTAX_PLAIN;
	a->markers = reply_syntax_markers(a->syntax);
	return 0;
}
