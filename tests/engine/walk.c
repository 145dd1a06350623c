#include "walk.h"
#include "base/philox.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void walk_open(struct walk *w, const struct engine *m)
{
	const struct engine_facts *f = engine_info(m);
	struct buf text = { 0 };
	*w = (struct walk){ .engine = m };
	w->logits = malloc(f->vocab * sizeof *w->logits);
	w->lean = calloc(f->vocab, sizeof *w->lean);
	w->scratch = malloc(f->vocab * (size_t)8);
	cr_assert(w->logits && w->lean && w->scratch);
	for (uint32_t id = 0; id < f->tokens_real; id++) {
		buf_clear(&text);
		if (engine_decode(m, &id, 1, false, &text, NULL) < 0 || text.len == 0)
			continue;
		if (text.len == 1 && strchr("\"]})>\n;", text.bytes[0]) != NULL)
			w->lean[id] = 0.15f;
	}
	for (uint32_t i = 0; i < f->eos_count; i++)
		w->lean[f->eos[i]] = 0.3f;
	buf_free(&text);
}

void walk_close(struct walk *w)
{
	free(w->logits);
	free(w->lean);
	free(w->scratch);
	token_ids_free(&w->ids);
	buf_free(&w->text);
}

/* Roughly normal, of deviation 2. */
static void logits_make(struct walk *w, uint64_t seed, uint32_t position)
{
	const struct engine_facts *f = engine_info(w->engine);
	const uint32_t key[2] = { (uint32_t)seed, 77 };
	uint32_t r[4] = { 0 };
	for (uint32_t i = 0; i < f->vocab; i++) {
		if (i % 4 == 0)
			philox_block(key, (const uint32_t[4]){ position, i, 1, 0 }, r);
		uint32_t v = r[i % 4];
		float sum = (float)(v & 0xff) + (float)(v >> 8 & 0xff) + (float)(v >> 16 & 0xff) +
			    (float)(v >> 24);
		w->logits[i] = (sum - 510) / 74 + w->lean[i] * (float)position;
	}
}

bool walk_answer(struct walk *w, const struct engine_sampling *s, uint32_t tokens_max)
{
	const struct engine_facts *f = engine_info(w->engine);
	struct sampler *sampler;
	bool done = false;
	w->ids.count = 0;
	buf_clear(&w->text);
	cr_assert_eq(sampler_open(&sampler, w->engine, s, NULL, 0, tokens_max, &w->e), 0, "%s", w->e.text);
	for (uint32_t i = 0; i < tokens_max && !done; i++) {
		uint32_t id = 0;
		logits_make(w, s->seed, i);
		w->rc = sampler_draw(sampler, w->logits, i, w->scratch, &id, NULL, &w->e);
		if (w->rc < 0)
			break;
		for (uint32_t k = 0; k < f->eos_count; k++)
			done = done || f->eos[k] == id;
		sampler_accept(sampler, id);
		if (done)
			break;
		if (w->ids.count == w->ids.room) {
			w->ids.room = w->ids.room * 2 + 64;
			w->ids.id = realloc(w->ids.id, w->ids.room * sizeof *w->ids.id);
			cr_assert(w->ids.id);
		}
		w->ids.id[w->ids.count++] = id;
		done = sampler_is_complete(sampler);
	}
	sampler_close(sampler);
	cr_assert_eq(engine_decode(w->engine, w->ids.id, w->ids.count, true, &w->text, NULL), 0);
	return done;
}
