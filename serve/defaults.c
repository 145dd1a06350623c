/* Sampling defaults of a model (generation_config.json), as vLLM applies them: a field that the
 * client gave stays, whatever its value. The record holds what was in effect, and which of it came
 * from the model, so that a replay needs no file for it. max_new_tokens is a default like the
 * others here; vLLM takes it for a limit too, which would cut answers that were asked for. */
#include "serve/defaults.h"

#include <stdio.h>

#define FIELDS 6

struct field {
	const char *name;
	bool has, given; /* the model's files say something; the client does */
	double value;
	double *real; /* of the request, or */
	uint32_t *whole;
};

static void list(const struct model_generation *g, struct api_request *q, struct field out[FIELDS])
{
	bool draws = api_request_gives(q, "do_sample") && !q->greedy;
	bool greedy = g->greedy && !draws;
	bool most = q->tokens_max || q->tokens_min > g->tokens_max;
	const struct field all[FIELDS] = {
		{ "temperature", g->has_temperature || greedy,
		  q->greedy || api_request_gives(q, "temperature"), greedy ? 0 : g->temperature,
		  &q->temperature, NULL },
		{ "top_p", g->has_top_p, api_request_gives(q, "top_p"), g->top_p, &q->top_p, NULL },
		{ "top_k", g->has_top_k, api_request_gives(q, "top_k"), g->top_k, NULL, &q->top_k },
		{ "min_p", g->has_min_p, api_request_gives(q, "min_p"), g->min_p, &q->min_p, NULL },
		{ "repetition_penalty", g->has_repetition,
		  api_request_gives(q, "repetition_penalty"), g->repetition, &q->repetition, NULL },
		{ "max_tokens", g->has_tokens_max, most, g->tokens_max, NULL, &q->tokens_max },
	};
	for (size_t i = 0; i < FIELDS; i++)
		out[i] = all[i];
}

int serve_defaults_apply(const struct model_generation *g, struct api_request *q, json_t **from,
			 struct err *e)
{
	struct field field[FIELDS];
	struct arr names = { 0 };
	list(g, q, field);
	for (size_t i = 0; i < FIELDS; i++) {
		const struct field *f = &field[i];
		if (!f->has || f->given)
			continue;
		if (f->real)
			*f->real = f->value;
		else
			*f->whole = (uint32_t)f->value;
		arr_text(&names, f->name);
	}
	return arr_done(&names, from, e);
}

void serve_defaults_say(const struct model_generation *g, struct buf *out)
{
	struct field field[FIELDS];
	struct api_request nothing = { 0 };
	size_t before = out->len;
	list(g, &nothing, field);
	for (size_t i = 0; i < FIELDS; i++)
		if (field[i].has)
			buf_printf(out, "%s%s %g", out->len > before ? ", " : "", field[i].name,
				   field[i].value);
}
