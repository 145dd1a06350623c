/* Histories of scopes. Texts are a tree of bytes, so that an equal text is an equal number. */
#include "grammar/automaton_guard.h"

#define NO_TEXT UINT32_MAX

struct scope {
	uint32_t outer, former, text;
	bool free;
};

static struct scope scope_of(const struct guards *g, uint32_t guard)
{
	const struct network_pair *p = g->guard.pair + g->guard.set[guard].first;
	return (struct scope){ p[0].state, p[0].stack, p[1].state, p[1].stack != 0 };
}

static uint32_t number(struct guards *g, struct network_sets *sets, const struct network_pair *p,
		       uint32_t count, uint32_t depth)
{
	uint32_t n = network_sets_number(sets, p, count, depth);
	if (n == UINT32_MAX)
		g->failed = true;
	g->work += count;
	return n;
}

static uint32_t scope_number(struct guards *g, struct scope s)
{
	struct network_pair p[] = { { s.outer, s.former }, { s.text, s.free } };
	return number(g, &g->guard, p, 2, 0);
}

int guards_open(struct guards *g)
{
	static const struct network_pair first = { UINT32_MAX, UINT32_MAX };
	network_sets_clear(&g->text);
	network_sets_clear(&g->former);
	network_sets_clear(&g->guard);
	g->failed = g->deep = false;
	g->work = 0;
	number(g, &g->text, &first, 1, 0);
	number(g, &g->former, &first, 1, 0);
	number(g, &g->guard, &first, 1, 0);
	return g->failed ? ERR_NOMEM : 0;
}

void guards_close(struct guards *g)
{
	network_sets_free(&g->text);
	network_sets_free(&g->former);
	network_sets_free(&g->guard);
}

size_t guards_bytes(const struct guards *g)
{
	return network_sets_bytes(&g->text) + network_sets_bytes(&g->former) +
	       network_sets_bytes(&g->guard);
}

/* ---- texts ---- */

static struct network_pair link_of(const struct network_sets *sets, uint32_t at)
{
	return sets->pair[sets->set[at].first];
}

/* The text of `length` bytes that `of` begins with; `of` has as many. */
static uint32_t beginning(struct guards *g, uint32_t of, uint32_t length)
{
	for (; g->text.set[of].depth > length; g->work++)
		of = link_of(&g->text, of).state;
	return of;
}

/* text is one of the formers, or, where the beginning counts, what one begins with. */
static bool is_former(struct guards *g, uint32_t former, uint32_t text, bool begins)
{
	uint32_t length = g->text.set[text].depth;
	for (; former != 0; former = link_of(&g->former, former).state) {
		uint32_t one = link_of(&g->former, former).stack;
		g->work++;
		if (one == text || (begins && g->text.set[one].depth > length &&
				    beginning(g, one, length) == text))
			return true;
	}
	return false;
}

/* ---- steps ---- */

uint32_t guards_mark(struct guards *g, uint32_t guard, uint8_t mark)
{
	if (mark == NETWORK_SCOPE_BEGIN)
		return scope_number(g, (struct scope){ guard, 0, NO_TEXT, true });
	struct scope s = scope_of(g, guard);
	if (mark == NETWORK_SCOPE_END)
		return s.outer;
	if (mark == NETWORK_ONCE_BEGIN) {
		s.text = 0;
		s.free = s.former == 0;
		return scope_number(g, s);
	}
	if (is_former(g, s.former, s.text, false))
		return GUARD_BROKEN;
	struct network_pair more = { s.former, s.text };
	s.former = number(g, &g->former, &more, 1, 0);
	s.text = NO_TEXT;
	s.free = true;
	return g->failed ? GUARD_BROKEN : scope_number(g, s);
}

uint32_t guards_byte(struct guards *g, uint32_t guard, uint8_t byte)
{
	uint32_t chain[GUARD_DEPTH], depth = 0;
	for (; guard != GUARD_NONE; guard = scope_of(g, guard).outer) {
		if (depth == GUARD_DEPTH) {
			g->deep = true;
			return GUARD_BROKEN;
		}
		chain[depth++] = guard;
	}
	while (depth > 0 && !g->failed) {
		struct scope s = scope_of(g, chain[--depth]);
		s.outer = guard;
		if (s.text != NO_TEXT) {
			struct network_pair more = { s.text, byte };
			s.text = number(g, &g->text, &more, 1, g->text.set[s.text].depth + 1);
			if (g->failed)
				break;
			s.free = s.free || !is_former(g, s.former, s.text, true);
		}
		guard = scope_number(g, s);
	}
	return g->failed ? GUARD_BROKEN : guard;
}

bool guards_free(const struct guards *g, uint32_t guard)
{
	for (; guard != GUARD_NONE; guard = scope_of(g, guard).outer) {
		if (!scope_of(g, guard).free)
			return false;
	}
	return true;
}

void guards_next(struct guards *g, uint32_t guard, uint64_t set[4])
{
	for (; guard != GUARD_NONE; guard = scope_of(g, guard).outer) {
		struct scope s = scope_of(g, guard);
		uint32_t length = s.free ? 0 : g->text.set[s.text].depth;
		for (uint32_t f = s.former; f != 0 && !s.free; f = link_of(&g->former, f).state) {
			uint32_t one = link_of(&g->former, f).stack;
			g->work++;
			if (g->text.set[one].depth <= length)
				continue;
			struct network_pair last = link_of(&g->text, beginning(g, one, length + 1));
			if (last.state == s.text)
				set[last.stack / 64] |= (uint64_t)1 << last.stack % 64;
		}
	}
}
