/* The order: what is not allowed is out (padding ids, constraint, banned strings, end tokens before
 * tokens_min, biases of -INFINITY); logit_bias; repetition, presence and frequency penalties;
 * then the draw of sample.c. */
#include "engine/sampler.h"
#include "engine/ban.h"
#include "engine/constraint.h"
#include "engine/engine_in.h"
#include "engine/sample.h"

#include "base/check.h"
#include "kernels/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sampler {
	const struct engine *engine;
	struct engine_sampling s;
	uint32_t n, vocab, words;
	uint32_t *id, count, room; /* accepted, end tokens not among them */
	uint64_t *allowed;         /* [words] */
	uint64_t *ready;           /* [words of the constraint] its mask after `ready_at` ids */
	struct constraint_state ready_state;
	uint32_t ready_at;
	bool prepares; /* the mask comes from sampler_prepare */
	struct constraint_place place;
	struct ban *ban;
	struct engine_seen *seen; /* [seens] */
	uint32_t *slot;           /* [slots] index into seen + 1, or 0 */
	uint32_t seens, slots;
	bool masked, penalised, complete;
};

/* ---- opening ---- */

static bool is_finite_in(float x, float low, float high)
{
	return number_is_finite(x) && x >= low && x <= high;
}

static int numbers_check(const struct engine_sampling *s, struct err *e)
{
	const struct {
		const char *name;
		float value, low, high;
	} row[] = {
		{ "temperature", s->temperature, 0, 1000 },
		{ "top_p", s->top_p, 0, 1 },
		{ "min_p", s->min_p, 0, 1 },
		{ "repetition penalty", s->repetition, 0, 1000 },
		{ "presence penalty", s->presence, -1000, 1000 },
		{ "frequency penalty", s->frequency, -1000, 1000 },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		if (!is_finite_in(row[i].value, row[i].low, row[i].high))
			return err_set(e, ERR_INPUT, "%s is %g, and must be from %g to %g",
				       row[i].name, (double)row[i].value, (double)row[i].low,
				       (double)row[i].high);
	}
	return 0;
}

static int sampling_check(const struct engine *m, const struct engine_sampling *s, struct err *e)
{
	TRY(numbers_check(s, e));
	for (size_t i = 0; i < s->bias_count; i++) {
		if (s->bias[i].id >= m->facts.vocab)
			return err_set(e, ERR_INPUT, "logit_bias of token %u; the model has %u",
				       s->bias[i].id, m->facts.vocab);
		if (!is_finite_in(s->bias[i].bias, -1e6f, 1e6f) && s->bias[i].bias != -INFINITY)
			return err_set(e, ERR_INPUT, "logit_bias of token %u is not a number",
				       s->bias[i].id);
	}
	if (s->top_logprobs > ENGINE_TOP_LOGPROBS)
		return err_set(e, ERR_INPUT, "top_logprobs is %u, and at most %d", s->top_logprobs,
			       ENGINE_TOP_LOGPROBS);
	if (s->constraint != NULL && engine_constraint_engine(s->constraint) != m)
		return err_set(e, ERR_INPUT, "the constraint was made for another model");
	if (s->ban_count > 0 && m->text == NULL)
		return err_set(e, ERR_UNSUPPORTED,
			       "banned strings need the model's tokenizer.json");
	return 0;
}

static bool is_on(float repetition) { return repetition != 0 && repetition != 1; }

static void see(struct sampler *s, uint32_t id, uint32_t drawn)
{
	uint32_t h = id * 0x9E3779B1u >> 7;
	for (; s->slot[h & (s->slots - 1)] != 0; h++) {
		struct engine_seen *known = &s->seen[s->slot[h & (s->slots - 1)] - 1];
		if (known->id == id) {
			known->drawn += drawn;
			return;
		}
	}
	s->seen[s->seens] = (struct engine_seen){ id, drawn };
	s->slot[h & (s->slots - 1)] = ++s->seens;
}

static int open_seen(struct sampler *s, const uint32_t *prompt, size_t count, struct err *e)
{
	size_t most = (is_on(s->s.repetition) ? count : 0) + s->room;
	most = most < s->vocab ? most : s->vocab;
	for (s->slots = 64; s->slots < 2 * most + 2;)
		s->slots *= 2;
	s->seen = calloc(most + 1, sizeof *s->seen);
	s->slot = calloc(s->slots, sizeof *s->slot);
	if (s->seen == NULL || s->slot == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the sampler");
	for (size_t i = 0; is_on(s->s.repetition) && i < count; i++) {
		if (prompt[i] < s->n)
			see(s, prompt[i], 0);
	}
	return 0;
}

static int open_parts(struct sampler *s, const uint32_t *prompt, size_t count, struct err *e)
{
	const struct engine_sampling *w = &s->s;
	const struct token_trees *trees = NULL;
	if (s->engine->text != NULL && (w->constraint != NULL || w->ban_count > 0))
		TRY(language_trees(s->engine->text, &trees, e));
	s->words = (trees != NULL && trees->ids > s->n ? trees->ids : s->n) / 64 + 1;
	s->allowed = calloc(s->words, sizeof *s->allowed);
	s->id = calloc((size_t)s->room + 1, sizeof *s->id);
	if (s->allowed == NULL || s->id == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the sampler");
	if (w->ban_count > 0)
		TRY(engine_ban_open(&s->ban, trees, language_tokenizer(s->engine->text), w->markers,
				    w->ban, w->ban_count, e));
	s->penalised = is_on(w->repetition) || w->presence != 0 || w->frequency != 0;
	if (s->penalised)
		TRY(open_seen(s, prompt, count, e));
	s->masked = w->constraint != NULL || s->ban != NULL || w->tokens_min > 0;
	for (size_t i = 0; i < w->bias_count; i++)
		s->masked |= w->bias[i].bias == -INFINITY;
	return 0;
}

int sampler_open(struct sampler **out, const struct engine *m, const struct engine_sampling *s,
		 const uint32_t *prompt, size_t count, uint32_t tokens_max, struct err *e)
{
	const struct engine_facts *f = &m->facts;
	*out = NULL;
	TRY(sampling_check(m, s, e));
	struct sampler *made = calloc(1, sizeof *made);
	if (made == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the sampler");
	*made = (struct sampler){ .engine = m, .s = *s, .vocab = f->vocab, .room = tokens_max };
	made->n = f->tokens_real > 0 && f->tokens_real < f->vocab ? f->tokens_real : f->vocab;
	int rc = open_parts(made, prompt, count, e);
	if (rc < 0)
		sampler_close(made);
	else
		*out = made;
	return rc;
}

void sampler_close(struct sampler *s)
{
	if (s == NULL)
		return;
	engine_ban_close(s->ban);
	free(s->id);
	free(s->allowed);
	free(s->ready);
	free(s->seen);
	free(s->slot);
	free(s);
}

/* ---- masks ---- */

bool sampler_ends(const struct engine_facts *f, const struct engine_sampling *s, uint32_t id)
{
	for (uint32_t i = 0; i < f->eos_count && !s->ignore_eos; i++)
		if (f->eos[i] == id)
			return true;
	for (size_t i = 0; i < s->stop_ids; i++)
		if (s->stop_id[i] == id)
			return true;
	return false;
}

static void bit_set(struct sampler *s, uint32_t id, bool on)
{
	uint64_t bit = (uint64_t)1 << (id % 64);
	if (id < s->n)
		s->allowed[id / 64] = on ? s->allowed[id / 64] | bit : s->allowed[id / 64] & ~bit;
}

static bool any_allowed(const struct sampler *s)
{
	for (uint32_t i = 0; i < s->words; i++) {
		if (s->allowed[i] != 0)
			return true;
	}
	return false;
}

static int dead_end(const struct sampler *s, const struct constraint_state *state, struct err *e)
{
	return err_set(e, ERR_INPUT,
		       "nothing may follow after %u tokens: %s%s%s: no token is left%s", s->count,
		       s->s.constraint != NULL ? "the constraint" : "logit_bias",
		       s->ban != NULL ? ", the banned strings" : "",
		       s->s.tokens_min > 0 ? ", min_tokens" : "",
		       state->limited ? " (the limits of nesting or of ways to read it took part)"
				      : "");
}

bool sampler_is_constrained(const struct sampler *s) { return s->s.constraint != NULL; }

int sampler_prepare(struct sampler *s, bool only_look, uint32_t work, const atomic_bool *stop,
		    struct err *e)
{
	struct constraint_state *state = &s->ready_state;
	s->prepares = true;
	if (s->ready == NULL)
		s->ready = calloc(engine_constraint_words(s->s.constraint), sizeof *s->ready);
	if (s->ready == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	s->ready_at = UINT32_MAX;
	s->place.work = work;
	s->place.stop = stop;
	int rc = engine_constraint_mask(s->s.constraint, &s->place, s->id, s->count,
					only_look ? NULL : s->ready, state, e);
	s->place.work = 0;
	s->place.stop = NULL;
	if (rc != 0)
		return rc;
	s->ready_at = only_look ? UINT32_MAX : s->count;
	s->complete = s->count > 0 && state->ends && !state->goes_on;
	return 0;
}

static int constraint_apply(struct sampler *s, struct constraint_state *state, struct err *e)
{
	uint32_t words = engine_constraint_words(s->s.constraint);
	if (s->prepares && s->ready_at == s->count) {
		memcpy(s->allowed, s->ready, words * sizeof *s->allowed);
		*state = s->ready_state;
	} else {
		TRY(engine_constraint_mask(s->s.constraint, &s->place, s->id, s->count, s->allowed,
					   state, e));
	}
	memset(s->allowed + words, 0, (s->words - words) * sizeof *s->allowed);
	return 0;
}

static int masks_apply(struct sampler *s, struct err *e)
{
	struct constraint_state state = { .ends = true };
	memset(s->allowed, 0xff, s->words * sizeof *s->allowed);
	if (s->s.constraint != NULL)
		TRY(constraint_apply(s, &state, e));
	s->allowed[s->n / 64] &= ((uint64_t)1 << (s->n % 64)) - 1;
	for (uint32_t i = s->n / 64 + 1; i < s->words; i++)
		s->allowed[i] = 0;
	if (s->ban != NULL)
		engine_ban_mask(s->ban, s->allowed, s->words);
	bool may = state.ends && s->count >= s->s.tokens_min;
	bool end = may && !(s->s.ignore_eos && s->s.constraint != NULL);
	for (uint32_t i = 0; i < s->engine->facts.eos_count; i++)
		bit_set(s, s->engine->facts.eos[i], end);
	for (size_t i = 0; i < s->s.stop_ids && !may; i++)
		bit_set(s, s->s.stop_id[i], false);
	for (size_t i = 0; i < s->s.bias_count; i++) {
		if (s->s.bias[i].bias == -INFINITY)
			bit_set(s, s->s.bias[i].id, false);
	}
	return any_allowed(s) ? 0 : dead_end(s, &state, e);
}

/* ---- penalties ---- */

static float penalised(const struct engine_sampling *s, float logit, uint32_t drawn)
{
	if (is_on(s->repetition))
		logit = logit > 0 ? logit / s->repetition : logit * s->repetition;
	if (drawn > 0) {
		logit -= s->presence;
		logit -= s->frequency * (float)drawn;
	}
	return logit;
}

/* A copy of the logits with biases and penalties. */
static const float *adjusted(const struct sampler *s, const float *logits, float *work)
{
	memcpy(work, logits, s->n * sizeof *work);
	for (size_t i = 0; i < s->s.bias_count; i++) {
		uint32_t id = s->s.bias[i].id;
		if (id < s->n && s->s.bias[i].bias != -INFINITY)
			work[id] += s->s.bias[i].bias;
	}
	for (uint32_t i = 0; i < s->seens; i++) {
		uint32_t id = s->seen[i].id;
		work[id] = penalised(&s->s, work[id], s->seen[i].drawn);
	}
	return work;
}

/* ---- log-probabilities ---- */

/* The best of logits, ties to the lower id: insertion into a list of top_logprobs. */
static uint32_t best_find(const float *logits, uint32_t n, uint32_t want, uint32_t *best)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = count;
		if (count == want && (want == 0 || !(logits[i] > logits[best[want - 1]])))
			continue;
		at -= count == want;
		for (; at > 0 && logits[i] > logits[best[at - 1]]; at--)
			best[at] = best[at - 1];
		best[at] = i;
		count += count < want;
	}
	return count;
}

static void logprobs_fill(const struct sampler *s, const float *logits, uint32_t id, float *work,
			  struct engine_logprob *out)
{
	uint32_t largest = s->engine->kernels->argmax(logits, s->n);
	uint64_t sum = 0; /* as in sample.c: the same in any order */
	s->engine->kernels->weigh(logits, s->n, logits[largest], 1, work);
	for (uint32_t i = 0; i < s->n; i++)
		sum += number_to_units(work[i]);
	double shift = (double)logits[largest] + number_log((double)sum * NUMBER_UNIT);
	*out = (struct engine_logprob){ .id = id, .logprob = (float)((double)logits[id] - shift) };
	out->top_count = best_find(logits, s->n, s->s.top_logprobs, out->top_id);
	for (uint32_t i = 0; i < out->top_count; i++)
		out->top[i] = (float)((double)logits[out->top_id[i]] - shift);
}

/* ---- the draw ---- */

int sampler_draw(struct sampler *s, const float *logits, uint32_t position, void *scratch,
		 uint32_t *id, struct engine_logprob *top, struct err *e)
{
	const float *work = logits;
	if (s->masked)
		TRY(masks_apply(s, e));
	if (s->penalised || s->s.bias_count > 0)
		work = adjusted(s, logits, scratch);
	if (!(s->s.temperature > 0) && !s->masked)
		*id = s->engine->kernels->argmax(work, s->n);
	else
		*id = engine_sample_draw(s->engine->kernels, work, s->masked ? s->allowed : NULL,
					 s->n, &s->s, position, scratch,
					 (uint32_t *)scratch + s->n);
	if (!number_is_finite(logits[*id]))
		return err_set(e, ERR_INPUT, "the model's logits are not finite at position %u",
			       position);
	if (top != NULL)
		logprobs_fill(s, logits, *id, scratch, top);
	return 0;
}

bool sampler_ask(struct sampler *s, uint32_t position, struct engine_draw *out)
{
	struct err ignored = { 0 }; /* told by the draw itself */
	const struct engine_facts *f = &s->engine->facts;
	if (s->masked && masks_apply(s, &ignored) < 0)
		return false;
	*out = (struct engine_draw){ .sampling = &s->s,
				     .allowed = s->masked ? s->allowed : NULL,
				     .seen = s->seen,
				     .seens = s->seens,
				     .n = s->n,
				     .position = position,
				     .eos = f->eos,
				     .eos_count = s->s.ignore_eos ? 0 : f->eos_count };
	return true;
}

void sampler_accept(struct sampler *s, uint32_t id)
{
	struct constraint_state state;
	struct err ignored = { 0 }; /* a limit that is reached here is reported by the next draw */
	if (s->penalised && id < s->n)
		see(s, id, 1);
	if (sampler_ends(&s->engine->facts, &s->s, id))
		return;
	check(s->count < s->room);
	s->id[s->count++] = id;
	if (s->ban != NULL)
		engine_ban_accept(s->ban, id);
	if (s->s.constraint != NULL && !s->prepares &&
	    engine_constraint_look(s->s.constraint, &s->place, s->id, s->count, &state, &ignored) ==
		    0)
		s->complete = state.ends && !state.goes_on;
}

bool sampler_is_complete(const struct sampler *s) { return s->complete; }
