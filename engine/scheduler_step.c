/* One step: the pass for all turns, the sampling that follows, and the new state of each task. */
#include "engine/scheduler.h"
#include "engine/engine_in.h"

#include <string.h>

/* Below this many logits, waking the other threads costs more than it saves. */
#define DRAW_ALONE 65536u

static bool ends(const struct task *t, uint32_t index, uint32_t id)
{
	return index >= t->sampling->tokens_min &&
	       sampler_ends(&t->scheduler->engine->facts, t->sampling, id);
}

static float *logits_row(const struct task *t, uint32_t index)
{
	return t->logits + (size_t)(index % t->rows) * t->scheduler->engine->config.vocab;
}

/* The draw of answer token `index`, from its row of logits if the backend did not make it, and
 * whether it ends the answer. */
static int draw_one(struct turn *turn, uint32_t index, void *scratch, uint32_t *id)
{
	struct task *t = turn->task;
	*id = turn->drawn;
	if (turn->drawn == UINT32_MAX)
		TRY(sampler_draw(t->sampler, logits_row(t, index), t->prompt_count + index, scratch,
				 id, t->logprob == NULL ? NULL : &t->logprob[index], &turn->err));
	turn->eos = ends(t, index, *id);
	if (!turn->eos)
		sampler_accept(t->sampler, *id);
	if (turn->eos || sampler_is_complete(t->sampler))
		turn->end = ENGINE_STOP;
	else if (index + 1 == t->id_room)
		turn->end = ENGINE_LENGTH;
	return 0;
}

/* Sample the next token, and further ones as long as they equal the draft. */
static void draw(struct turn *turn, void *scratch)
{
	struct task *t = turn->task;
	size_t vocab = t->scheduler->engine->config.vocab;
	bool same = true;
	for (uint32_t j = 0; j <= turn->drafts && same && turn->end == ENGINE_GOING; j++) {
		uint32_t index = t->drawn + j, *at = &t->token[t->prompt_count + index], id;
		if (turn->drafts > 0)
			memcpy(logits_row(t, index), t->draft_logits + j * vocab,
			       vocab * sizeof(float));
		turn->result = draw_one(turn, index, scratch, &id);
		if (turn->result < 0)
			return;
		same = j < turn->drafts && *at == id;
		*at = id;
		turn->fresh++;
	}
}

static void draw_share(void *ctx, struct part part)
{
	struct scheduler *s = ctx;
	void *scratch = s->scratch + (size_t)part.worker * s->engine->config.vocab * 8;
	for (uint32_t i = part.begin; i < part.end; i++) {
		if (s->turn[i].draw && s->turn[i].result == 0)
			draw(&s->turn[i], scratch);
	}
}

static void draw_all(struct scheduler *s)
{
	struct engine *m = s->engine;
	size_t draws = 0;
	for (uint32_t i = 0; i < s->turns; i++)
		draws += s->turn[i].draw && s->turn[i].drawn == UINT32_MAX ? 1 + s->turn[i].drafts
									   : 0;
	if (draws * m->config.vocab < DRAW_ALONE) {
		draw_share(s, (struct part){ 0, s->turns, s->turns, 0 });
		return;
	}
	pool_hold(m->pool); /* the pool is that of the passes */
	pool_run(m->pool, s->turns, draw_share, s);
	pool_release(m->pool);
}

/* ---- the pass ---- */

/* Drafts are compared with draws from the logits, and the last id that there is room for ends the
 * answer whatever it is. */
static bool asks(struct turn *turn)
{
	const struct task *t = turn->task;
	return t->asks && turn->draw && turn->drafts == 0 && t->drawn + 1 < t->id_room &&
	       sampler_ask(t->sampler, t->prompt_count + t->drawn, &turn->ask);
}

static void feed_set(struct scheduler *s, uint32_t i)
{
	struct turn *turn = &s->turn[i];
	const struct task *t = turn->task;
	turn->drawn = UINT32_MAX;
	s->feed[i] = (struct engine_feed){
		.sequence = t->sequence,
		.token = t->token + t->sequence->length,
		.count = turn->count,
		.logits = !turn->draw        ? NULL
			  : turn->drafts > 0 ? t->draft_logits
					     : logits_row(t, t->drawn),
		.all = turn->drafts > 0,
		.skip = turn->drafts > 0 ? turn->count - turn->drafts - 1 : 0,
		.draw = asks(turn) ? &turn->ask : NULL,
		.drawn = &turn->drawn,
	};
}

static int positions_ready(struct scheduler *s, struct err *e)
{
	struct engine *m = s->engine;
	uint32_t positions = 0;
	for (uint32_t i = 0; i < s->turns; i++) {
		uint32_t room = s->turn[i].task->sequence->room;
		positions = room > positions ? room : positions;
	}
	if (positions <= s->positions)
		return 0;
	pool_hold(m->pool);
	int r = m->backend->positions(m->backend, positions, e);
	pool_release(m->pool);
	if (r == 0)
		s->positions = positions;
	return r;
}

/* Drop rejected drafts, and put full pages into the prefix cache, with the state at the end of
 * one. */
static void settle(struct turn *turn)
{
	struct task *t = turn->task;
	uint32_t length = t->prompt_count + t->drawn + turn->fresh;
	t->behind = 0;
	if (turn->drafts > 0 && turn->fresh > 0)
		t->behind = sequence_back(t->sequence, length - 1);
	if (turn->result < 0)
		return;
	sequence_keep(t->sequence, t->root, t->token, t->shared);
	sequence_state_keep(t->sequence, t->prompt_count);
}

void scheduler_run(struct scheduler *s)
{
	struct err err = { 0 };
	int r = positions_ready(s, &err);
	int64_t begun = s->clock.steady_us(s->clock.ctx);
	for (uint32_t i = 0; i < s->turns; i++)
		feed_set(s, i);
	if (r == 0)
		r = engine_forward(s->engine, s->feed, s->turns, &err);
	for (uint32_t i = 0; i < s->turns && r < 0; i++) {
		s->turn[i].result = r;
		s->turn[i].err = err;
	}
	draw_all(s);
	if (r == 0)
		step_cost_learn(&s->cost, s->rows, s->attended,
				s->clock.steady_us(s->clock.ctx) - begun);
	for (uint32_t i = 0; i < s->turns; i++)
		settle(&s->turn[i]);
}

static void finish(struct scheduler *s, struct turn *turn)
{
	struct task *t = turn->task;
	uint32_t known = turn->fresh > 0 ? turn->fresh - 1 : 0;
	s->load.accepted += known;
	t->stepping = false;
	t->drawn += turn->fresh;
	t->unprepared = turn->fresh > 0 && sampler_is_constrained(t->sampler);
	t->end = turn->end;
	t->eos = turn->eos;
	if (turn->result < 0)
		task_fail(t, turn->result, turn->err.text);
	if (turn->result < 0 || turn->end != ENGINE_GOING || t->unwanted)
		scheduler_retire(s, t);
	pthread_cond_signal(&t->changed);
}

void scheduler_finish(struct scheduler *s)
{
	for (uint32_t i = 0; i < s->turns; i++)
		finish(s, &s->turn[i]);
	s->turns = 0;
}
