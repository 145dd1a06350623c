/* A timeline's recurrent state: its own slot, and the snapshots that it leaves at borders of
 * pages. */
#include "engine/engine_in.h"
#include "engine/sequence.h"

#include "base/check.h"

bool sequence_state_take(struct engine_sequence *s)
{
	struct state_pool *p = s->engine->states;
	if (p && s->state.slot == STATE_NONE)
		s->state.slot = state_pool_take(p);
	return !p || s->state.slot != STATE_NONE;
}

void sequence_state_release(struct engine_sequence *s)
{
	struct state_pool *p = s->engine->states;
	if (!p)
		return;
	state_pool_give(p, s->state.slot);
	state_pool_give(p, s->state.save);
	state_pool_unpin(p, s->state.restore);
	s->state = (struct sequence_state){ .slot = STATE_NONE,
					    .save = STATE_NONE,
					    .restore = STATE_NONE,
					    .branch = s->state.branch };
}

void sequence_state_adopt(struct engine_sequence *s, uint32_t had)
{
	struct state_pool *p = s->engine->states;
	uint32_t found = s->length;
	uint32_t slot = STATE_NONE;
	while (s->length > had && slot == STATE_NONE) {
		struct cache_page *page = s->held[s->kept - 1];
		slot = state_pool_find(p, page->self);
		if (slot != STATE_NONE)
			break;
		cache_pool_release(s->engine->pages, page);
		s->held_count = --s->kept;
		s->length -= KERNEL_PAGE;
	}
	if (found > s->length)
		s->state.branch = found;
	if (slot == STATE_NONE)
		return;
	state_pool_unpin(p, s->state.restore);
	s->state.restore = slot;
	s->state.at = s->length;
}

static uint32_t whole_pages(uint32_t tokens) { return tokens / KERNEL_PAGE * KERNEL_PAGE; }

/* Of the borders that do not move, the first behind `length`; 0: none. */
static uint32_t border_after(const struct engine_sequence *s, uint32_t prompt, uint32_t length)
{
	uint32_t end = whole_pages(prompt - 1), branch = s->state.branch;
	if (branch > length && (branch < end || end <= length))
		return branch;
	return end > length ? end : 0;
}

uint32_t sequence_state_border(const struct engine_sequence *s, uint32_t prompt, uint32_t from,
			       uint32_t end)
{
	if (!s->engine->states || !cache_pool_keeps(s->engine->pages))
		return 0;
	uint32_t border = border_after(s, prompt, from);
	if (border == 0 || border > end)
		border = end > prompt ? whole_pages(end) : 0;
	return border > from ? border : 0;
}

bool sequence_state_save(struct engine_sequence *s, uint32_t at)
{
	check(s->state.save == STATE_NONE && at > s->length);
	s->state.save = state_pool_take(s->engine->states);
	s->state.save_at = at;
	return s->state.save != STATE_NONE;
}

static void saved_give(struct engine_sequence *s)
{
	if (s->engine->states)
		state_pool_give(s->engine->states, s->state.save);
	s->state.save = STATE_NONE;
}

void sequence_state_keep(struct engine_sequence *s, uint32_t prompt)
{
	struct sequence_state *t = &s->state;
	uint32_t page = t->save_at / KERNEL_PAGE;
	if (t->save == STATE_NONE)
		return;
	if (t->save_at > t->at || t->save_at % KERNEL_PAGE != 0 || page > s->kept) {
		saved_give(s);
		return;
	}
	struct cache_key key = s->held[page - 1]->self;
	state_pool_keep(s->engine->states, key, t->save);
	t->save = STATE_NONE;
	if (t->save_at <= whole_pages(prompt - 1) || t->save_at == t->branch)
		return;
	if (t->last.id[0] != 0)
		state_pool_drop(s->engine->states, t->last);
	t->last = key;
}

uint32_t sequence_back(struct engine_sequence *s, uint32_t length)
{
	struct sequence_state *t = &s->state;
	uint32_t missing = 0;
	if (s->engine->states && t->at > length) {
		check(t->save != STATE_NONE && t->save_at <= length);
		uint32_t slot = t->slot;
		t->slot = t->save;
		t->save = slot;
		t->at = t->save_at;
		missing = length - t->at;
	}
	saved_give(s);
	s->length = length - missing;
	return missing;
}
