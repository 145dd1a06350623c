/* The engine as answerer: a session for each choice, whose text the family's reply parser turns
 * into events. */
#include "serve/engine_answer.h"
#include "serve/service.h"

#include "base/check.h"
#include "serve/compute.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* ---- sessions ---- */

/* The engine's 0 is "off", a request's is the least there is. */
static float least(double x) { return (float)x > 0 ? (float)x : FLT_TRUE_MIN; }

static struct engine_sampling sampling_of(const struct answer *a, unsigned choice)
{
	const struct api_request *q = a->q.asked;
	uint32_t most = engine_info(a->by->engine)->context_max;
	uint32_t left = a->by->context_max - (uint32_t)a->prompt.count;
	/* 0: as much as context and cache leave */
	uint32_t unasked = a->by->context_max < most ? left : 0;
	return (struct engine_sampling){
		.temperature = (float)q->temperature,
		.top_p = least(q->top_p),
		.min_p = (float)q->min_p,
		.top_k = q->top_k,
		.repetition = least(q->repetition),
		.presence = (float)q->presence,
		.frequency = (float)q->frequency,
		.bias = a->bias,
		.bias_count = q->bias_count,
		.seed = (uint64_t)a->q.seed,
		.choice = choice,
		.tokens_max = !q->tokens_max         ? unasked
			      : q->tokens_max < left ? q->tokens_max
						     : left,
		.tokens_min = q->tokens_min < left ? q->tokens_min : left,
		.stop = q->stop,
		.stop_id = q->stop_id,
		.stop_ids = q->stop_ids,
		.stop_count = a->q.filtered ? 0 : q->stop_count,
		.ban = q->ban,
		.ban_count = q->ban_count,
		.ignore_eos = q->ignore_eos,
		.markers = a->markers,
		.logprobs = q->logprobs,
		.top_logprobs = q->top_logprobs,
		.constraint = a->constraint,
	};
}

static int open_choice(struct answer *a, unsigned i, struct err *e)
{
	struct engine_choice *ch = &a->choice[i];
	struct engine_request q = { .prompt = a->prompt.id,
				    .count = a->prompt.count,
				    .sampling = sampling_of(a, i),
				    .client = a->q.client,
				    .group = a->q.group,
				    .deadline_us = a->q.deadline_us,
				    .speculation = a->by->speculation,
				    .answer_unshared = a->q.filtered };
	bool answers = a->answer == REPLY_ANSWER_ANY || a->answer == REPLY_ANSWER_JSON;
	struct reply_options how = { .syntax = a->syntax,
				     .reasoning = a->thought == REPLY_THOUGHT_OPEN,
				     .tools = a->q.tools,
				     .framed = a->constraint && answers,
				     .unbegun = a->unbegun };
	if (a->syntax != REPLY_SYNTAX_PLAIN)
		TRY(reply_open(&ch->reply, &how, e));
	if (ch->reply && a->constraint)
		reply_hold(ch->reply, 0); /* the grammar makes the call whole */
	return engine_session_open(&ch->session, a->by->engine, &q, e);
}

/* A session for each choice takes longer than a short prompt: its logits and its sampler. */
static int begin_answer(void *self, struct err *e)
{
	struct answer *a = self;
	TRY(serve_engine_prompt(a, e));
	while (a->choices < a->q.asked->n) {
		a->choices++;
		TRY(open_choice(a, a->choices - 1, e));
	}
	return 0;
}

static int engine_answer_open(void *self, const struct answer_request *q, struct answer **out,
			      struct err *e)
{
	struct answer *a = *out = calloc(1, sizeof *a);
	if (!a)
		return err_set(e, ERR_NOMEM, "out of memory for an answer");
	a->by = self;
	a->q = *q;
	TRY(q->beside ? serve_beside(q->beside, begin_answer, a, e) : begin_answer(a, e));
	a->q.beside = NULL;
	return 0;
}

static void engine_answer_close(struct answer *a)
{
	if (!a)
		return;
	for (unsigned i = 0; i < a->choices; i++) {
		struct engine_choice *ch = &a->choice[i];
		engine_session_close(ch->session);
		reply_close(ch->reply);
		buf_free(&ch->expected);
		buf_free(&ch->places);
	}
	engine_constraint_close(a->constraint); /* after the sessions that use it */
	token_ids_free(&a->prompt);
	free(a->bias);
	free(a);
}

static void engine_answer_cancel(struct answer *a)
{
	for (unsigned i = 0; i < a->choices; i++)
		engine_session_cancel(a->choice[i].session);
}

/* ---- tokens ---- */

/* The text of one token, which depends on the token before it. */
static int spell(const struct answer *a, const uint32_t *id, size_t at, struct buf *out,
		 struct err *e)
{
	const struct engine *m = a->by->engine;
	bool skip = !a->markers;
	struct buf before = { 0 }, both = { 0 };
	int rc = at ? engine_decode(m, id + at - 1, 1, skip, &before, e) : 0;
	if (rc == 0)
		rc = engine_decode(m, id + at - (at > 0), at > 0 ? 2 : 1, skip, &both, e);
	if (rc == 0 && both.len >= before.len &&
	    (before.len == 0 || memcmp(both.bytes, before.bytes, before.len) == 0))
		buf_add(out, both.bytes + before.len, both.len - before.len);
	else if (rc == 0)
		rc = engine_decode(m, id + at, 1, skip, out, e);
	buf_free(&before);
	buf_free(&both);
	return rc < 0 ? rc : buf_done(out, e);
}

static int spell_new(const struct answer *a, struct engine_choice *ch, struct err *e)
{
	size_t count;
	const uint32_t *id = engine_session_ids(ch->session, &count);
	for (; ch->spelled < count; ch->spelled++) {
		size_t before = ch->expected.len;
		TRY(spell(a, id, ch->spelled, &ch->expected, e));
		struct answer_place p = { .begin = ch->spelled_end };
		p.end = ch->spelled_end += ch->expected.len - before;
		buf_add(&ch->places, &p, sizeof p);
	}
	return buf_done(&ch->places, e);
}

/* Place the ids that came with this text. */
static int place_tokens(const struct answer *a, struct engine_choice *ch, const char *text,
			size_t len, struct answer_step *out, struct err *e)
{
	buf_clear(&ch->places);
	out->lost = ch->lost;
	if (!a->q.asked->logprobs || ch->lost)
		return 0;
	TRY(spell_new(a, ch, e));
	if (len > ch->expected.len || (len && memcmp(ch->expected.bytes, text, len) != 0)) {
		out->lost = ch->lost = true;
		return 0;
	}
	buf_drop(&ch->expected, len);
	out->place = (const void *)ch->places.bytes;
	out->places = ch->places.len / sizeof *out->place;
	return 0;
}

static int engine_answer_token(struct answer *a, unsigned choice, size_t index,
			       struct answer_token *out, struct buf *text, struct err *e)
{
	const struct engine_session *s = a->choice[choice].session;
	size_t count, at = 0;
	const uint32_t *id = engine_session_ids(s, &count);
	const struct engine_logprob *p = engine_session_logprobs(s);
	check(p && index < count);
	p += index;
	buf_clear(text);
	TRY(spell(a, id, index, text, e));
	out[0] = (struct answer_token){ id[index], p->logprob, NULL, text->len };
	for (uint32_t i = 0; i < p->top_count; i++) {
		size_t before = text->len;
		TRY(engine_decode(a->by->engine, &p->top_id[i], 1, false, text, e));
		out[i + 1] =
			(struct answer_token){ p->top_id[i], p->top[i], NULL, text->len - before };
	}
	TRY(buf_done(text, e));
	for (uint32_t i = 0; i <= p->top_count; at += out[i++].len)
		out[i].text = text->bytes ? text->bytes + at : "";
	return (int)p->top_count + 1;
}

/* ---- steps ---- */

static enum answer_end end_of(int how)
{
	return how == ENGINE_GOING    ? ANSWER_GOING
	       : how == ENGINE_LENGTH ? ANSWER_LENGTH
				      : ANSWER_STOP;
}

static int take_text(struct engine_choice *ch, const char *text, size_t len,
		     struct answer_step *out, struct err *e)
{
	uint64_t begin = ch->text_end;
	ch->text_end += len;
	if (ch->reply)
		return reply_push(ch->reply, text, len, &out->event, &out->events, e);
	ch->event = (struct reply_event){
		.part = REPLY_CONTENT, .text = text, .len = len, .begin = begin
	};
	out->event = &ch->event;
	out->events = 1;
	return 0;
}

/* The session is stepped until it ends; then the reader of the reply gives what it held. */
static int engine_answer_next(struct answer *a, unsigned choice, struct answer_step *out,
			      struct err *e)
{
	struct engine_choice *ch = &a->choice[choice];
	const char *text;
	size_t len;
	*out = (struct answer_step){ 0 };
	check(!ch->ended);
	if (ch->end != ANSWER_GOING) {
		out->end = ch->end;
		ch->ended = true;
		return reply_end(ch->reply, ch->cut, &out->event, &out->events, e);
	}
	int how = engine_session_next(ch->session, &text, &len, e);
	TRY(how);
	ch->end = end_of(how);
	ch->cut = how == ENGINE_LENGTH || how == ENGINE_STRING;
	out->stop = engine_session_stop(ch->session);
	TRY(place_tokens(a, ch, text, len, out, e));
	TRY(take_text(ch, text, len, out, e));
	out->more = ch->reply && ch->end != ANSWER_GOING;
	out->end = out->more ? ANSWER_GOING : ch->end;
	return 0;
}

/* ---- facts ---- */

static void engine_answer_facts(const struct answer *a, struct answer_facts *out)
{
	size_t vocab = engine_info(a->by->engine)->vocab;
	*out = (struct answer_facts){ .prompt = a->prompt.id,
				      .prompt_count = a->prompt.count,
				      .has_constraint = a->constraint != NULL,
				      .constraint_field = a->constraint_field,
				      .choices = a->choices };
	if (a->constraint) {
		out->constraint = engine_constraint_digest(a->constraint);
		out->without_effect = engine_constraint_unused(a->constraint);
	}
	for (unsigned i = 0; i < a->choices; i++) {
		const struct engine_session *s = a->choice[i].session;
		struct answer_choice_facts *f = &out->choice[i];
		if (!s)
			continue;
		const float *logits = engine_session_logits(s);
		f->id = engine_session_ids(s, &f->count);
		f->has_logits = logits != NULL;
		if (f->has_logits)
			f->logits = digest_of(logits, sizeof(float) * vocab);
	}
	if (a->choices && a->choice[0].session) {
		out->cached = engine_session_cached(a->choice[0].session);
		out->queued_us = engine_session_queued_us(a->choice[0].session);
	}
}

static void engine_model(const void *self, struct answer_model *out)
{
	const struct serve_engine *m = self;
	const struct engine_facts *f = engine_info(m->engine);
	*out = (struct answer_model){ .knows_ids = true,
				      .matrices = f->weights,
				      .packed = m->packed,
				      .cache = f->cache,
				      .kernels = f->kernel_set,
				      .numerics = f->numerics,
				      .regime = f->regime,
				      .tokenizer = &f->tokenizer,
				      .chat_template = &f->chat_template,
				      .choice = &f->choice,
				      .device = { f->device, f->device_name, NULL, NULL },
				      .context_max = m->context_max,
				      .prompt_bytes_max = f->token_bytes_max * m->context_max,
				      .ids = engine_reply_family(m->engine).ids,
				      .notes = f->notes,
				      .generation = f->generation };
}

static void engine_answers_load(void *self, struct engine_load *out)
{
	const struct serve_engine *m = self;
	engine_load(m->engine, out);
}

static bool engine_others(void *self, const char *client)
{
	const struct serve_engine *m = self;
	return engine_has_others(m->engine, client);
}

static void serve_engine_free(void *self)
{
	struct serve_engine *m = self;
	if (!m)
		return;
	if (m->engine)
		engine_close(m->engine);
	free(m);
}

const struct answerer serve_engine_answerer = {
	.backend = "engine",
	.open = engine_answer_open,
	.next = engine_answer_next,
	.token = engine_answer_token,
	.facts = engine_answer_facts,
	.model = engine_model,
	.load = engine_answers_load,
	.others = engine_others,
	.cancel = engine_answer_cancel,
	.close = engine_answer_close,
	.free = serve_engine_free,
	.prompt = serve_engine_render,
	.encode = serve_engine_encode,
	.decode = serve_engine_decode,
};

int serve_check(const char *dir, struct err *e)
{
	struct source *src = NULL;
	int rc = source_open_tree(&src, dir, e);
	if (rc == 0)
		rc = engine_check(src, e);
	source_close(src);
	return rc;
}

struct engine *serve_engine_of(const struct serve_service *s)
{
	return s->who == &serve_engine_answerer ? ((struct serve_engine *)s->self)->engine : NULL;
}

int serve_engine_open(struct serve_engine **out, struct source *src, struct source *adapter,
		      const struct serve_options *o, bool clamp, bool quiet, struct clock clock,
		      struct err *e)
{
	struct serve_engine *m = calloc(1, sizeof *m);
	struct engine_options options;
	int rc = 0;
	*out = NULL;
	if (!m)
		TRY_OUT(err_set(e, ERR_NOMEM, "out of memory"));
	TRY_OUT(serve_compute_read(&o->compute, &options, e));
	options.adapter = adapter;
	options.with = o->with ? serve_engine_of(o->with) : NULL;
	options.memory_share = o->models;
	options.quiet = quiet;
	options.clock = clock;
	m->packed = serve_weights_name(options.weights);
	m->cache = serve_cache_name(options.cache);
	m->speculation = o->compute.speculation;
	TRY_OUT(engine_open(&m->engine, src, &options, e));
	uint32_t most = engine_info(m->engine)->context_max;
	if (o->context_max > most && !clamp)
		TRY_OUT(err_set(e, ERR_INPUT, "context of %u tokens asked for; the model takes %u",
				o->context_max, most));
	m->context_max = o->context_max && o->context_max < most ? o->context_max : most;
	*out = m;
	return 0;
out:
	serve_engine_free(m);
	return rc;
}
