/* Histories of scopes. Texts are a tree of bytes, so that an equal text is an equal number; they
 * are kept without spaces and with one spelling of each character, and compared as JSON values.
 *
 * A text that is not the beginning of a former one is free. It can become equal to one all the
 * same, by another spelling of a number or another order of members: then its end is forbidden, and
 * only that is not foreseen, but for numbers, which are looked at as long as they go on. */
#include "grammar/automaton_guard.h"

#include "base/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NO_TEXT UINT32_MAX
#define KEYS 1 /* the text that keys begin with: in front of all of them */
/* Of a set of bytes: each digit may be another number; a space changes nothing. */
#define DIGITS ((uint64_t)0x3FF << '0')
#define SPACES \
	((uint64_t)1 << ' ' | (uint64_t)1 << '\n' | (uint64_t)1 << '\t' | (uint64_t)1 << '\r')

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

/* Room for one more in an array that doubles. */
static bool room_for(struct guards *g, void **array, uint32_t count, uint32_t *room, size_t size)
{
	if (count < *room)
		return true;
	void *more = realloc(*array, ((size_t)*room * 2 + 256) * size);
	if (more == NULL) {
		g->failed = true;
		return false;
	}
	*array = more;
	*room = *room * 2 + 256;
	return true;
}

int guards_open(struct guards *g)
{
	static const struct network_pair first = { UINT32_MAX, UINT32_MAX };
	network_sets_clear(&g->text);
	network_sets_clear(&g->former);
	network_sets_clear(&g->guard);
	g->failed = g->deep = false;
	g->work = 0;
	static const struct network_pair keys = { UINT32_MAX, UINT32_MAX - 1 };
	number(g, &g->text, &first, 1, 0);
	number(g, &g->text, &keys, 1, 0);
	g->entries = 1; /* 0: none */
	for (uint32_t i = 0; i <= KEYS; i++) {
		if (room_for(g, (void **)&g->links, i, &g->link_room, sizeof *g->links))
			g->links[i] = (struct text_links){ 0 };
	}
	number(g, &g->former, &first, 1, 0);
	number(g, &g->guard, &first, 1, 0);
	return g->failed ? ERR_NOMEM : 0;
}

void guards_close(struct guards *g)
{
	network_sets_free(&g->text);
	network_sets_free(&g->former);
	network_sets_free(&g->guard);
	free(g->links);
	free(g->entry);
}

size_t guards_bytes(const struct guards *g)
{
	return network_sets_bytes(&g->text) + network_sets_bytes(&g->former) +
	       network_sets_bytes(&g->guard) + g->text.count * sizeof *g->links +
	       g->entries * sizeof *g->entry;
}

/* ---- texts ---- */

static struct network_pair link_of(const struct network_sets *sets, uint32_t at)
{
	return sets->pair[sets->set[at].first];
}

/* Where in JSON a text ends. From ESCAPE on: within an escape, which is not normalised yet. */
enum lexical { OUTSIDE, NUMBER, STRING, ESCAPE, HEX_4, HEX_3, HEX_2, HEX_1, HIGH };

static enum lexical lexical_of(const struct guards *g, uint32_t text)
{
	return text <= KEYS ? OUTSIDE : (enum lexical)(link_of(&g->text, text).stack >> 8);
}

static uint32_t text_add(struct guards *g, uint32_t text, uint8_t byte, enum lexical then)
{
	struct network_pair more = { text, (uint32_t)then << 8 | byte };
	uint32_t before = g->text.count;
	if (g->failed)
		return text;
	uint32_t n = number(g, &g->text, &more, 1, g->text.set[text].depth + 1);
	if (g->failed || n < before)
		return g->failed ? text : n;
	if (!room_for(g, (void **)&g->links, n, &g->link_room, sizeof *g->links))
		return text;
	g->links[n] = (struct text_links){ 0, 0, g->links[text].child };
	g->links[text].child = n;
	return n;
}

/* The text of `length` bytes that `of` begins with; `of` has as many. */
static uint32_t beginning(struct guards *g, uint32_t of, uint32_t length)
{
	for (; g->text.set[of].depth > length; g->work++)
		of = link_of(&g->text, of).state;
	return of;
}

static uint32_t without(struct guards *g, uint32_t text, uint32_t bytes)
{
	return beginning(g, text, g->text.set[text].depth - bytes);
}

/* A character of a string in its one spelling. */
static uint32_t character_add(struct guards *g, uint32_t text, uint32_t cp)
{
	static const char of[] = "\"\\\b\f\n\r\t", as[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
	const char *at = cp > 0 && cp < 0x80 ? strchr(of, (int)cp) : NULL;
	char bytes[8] = { '\\', at != NULL ? as[at - of] : 'u', '0', '0' };
	int n = at != NULL ? 2 : 6;
	if (at == NULL && cp >= 0x20) {
		n = text_utf8_encode(cp, bytes);
	} else if (at == NULL) {
		bytes[4] = hex[cp >> 4 & 15];
		bytes[5] = hex[cp & 15];
	}
	for (int i = 0; i < n; i++)
		text = text_add(g, text, (uint8_t)bytes[i], STRING);
	return text;
}

/* The last of four digits was read: they become their character; half of a pair waits. */
static uint32_t escape_end(struct guards *g, uint32_t text, uint8_t last)
{
	uint32_t value = 0, at = text = text_add(g, text, last, HIGH);
	for (unsigned shift = 0; shift < 16; shift += 4, at = link_of(&g->text, at).state) {
		uint32_t c = link_of(&g->text, at).stack & 0xFF;
		value |= (c <= '9' ? c - '0' : (c | 32) - 'a' + 10) << shift;
	}
	if (value >= 0xD800 && value <= 0xDBFF)
		return text;
	uint32_t base = without(g, text, 6);
	if (lexical_of(g, base) == HIGH && value >= 0xDC00 && value <= 0xDFFF) {
		uint32_t high = 0;
		at = base;
		for (unsigned shift = 0; shift < 16; shift += 4, at = link_of(&g->text, at).state) {
			uint32_t c = link_of(&g->text, at).stack & 0xFF;
			high |= (c <= '9' ? c - '0' : (c | 32) - 'a' + 10) << shift;
		}
		base = without(g, base, 6);
		value = 0x10000 + ((high - 0xD800) << 10) + (value - 0xDC00);
	}
	return character_add(g, base, value);
}

/* The text after one more byte of JSON: without spaces, each character in one spelling. */
static uint32_t text_next(struct guards *g, uint32_t text, uint8_t byte)
{
	enum lexical at = lexical_of(g, text);
	bool space = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
	bool digit = byte >= '0' && byte <= '9';
	switch (at) {
	case OUTSIDE:
	case NUMBER:
		if (space)
			return text;
		if (digit || byte == '-' || (at == NUMBER && strchr("+.eE", byte) != NULL))
			return text_add(g, text, byte, NUMBER);
		return text_add(g, text, byte, byte == '"' ? STRING : OUTSIDE);
	case ESCAPE:
		if (byte == '/')
			return text_add(g, without(g, text, 1), byte, STRING);
		return text_add(g, text, byte, byte == 'u' ? HEX_4 : STRING);
	case HEX_4:
	case HEX_3:
	case HEX_2:
		return text_add(g, text, byte, (enum lexical)(at + 1));
	case HEX_1:
		return escape_end(g, text, byte);
	default:
		return text_add(g, text, byte,
				byte == '"'    ? OUTSIDE
				: byte == '\\' ? ESCAPE
					       : STRING);
	}
}

/* one is among the formers: they are in the order in which they came. */
static bool is_among(struct guards *g, uint32_t former, uint32_t one)
{
	uint32_t depth = g->former.set[one].depth;
	for (; g->former.set[former].depth > depth; g->work++)
		former = link_of(&g->former, former).state;
	return former == one;
}

/* A former one begins with text. */
static bool begins_former(struct guards *g, uint32_t former, uint32_t text)
{
	for (uint32_t i = g->links[text].entry; i != 0; i = g->entry[i].next) {
		if (is_among(g, former, g->entry[i].former))
			return true;
	}
	return false;
}

/* Note what a new former one begins with. */
static void beginnings_note(struct guards *g, uint32_t former, uint32_t text)
{
	for (;; text = link_of(&g->text, text).state) {
		if (!room_for(g, (void **)&g->entry, g->entries, &g->entry_room, sizeof *g->entry))
			return;
		g->entry[g->entries] = (struct text_entry){ former, g->links[text].entry };
		g->links[text].entry = g->entries++;
		if (text <= KEYS)
			return;
	}
}

/* ---- values ---- */

/* No number is -0. Recursion is as deep as the value, which jansson bounds. */
static void zeros_fix(json_t *v)
{
	const char *name;
	json_t *one;
	size_t i;
	if (json_is_real(v) && json_real_value(v) == 0)
		json_real_set(v, 0);
	json_array_foreach(v, i, one)
		zeros_fix(one);
	json_object_foreach(v, name, one)
		zeros_fix(one);
}

/* The number of the text's value: a text of its own, in which members are sorted and numbers are
 * doubles. What is no JSON stays as it is. */
static uint32_t value_of(struct guards *g, uint32_t text)
{
	uint32_t length = g->text.set[text].depth, key = KEYS, at = text;
	char *raw = calloc((size_t)length + 1, 1), *sorted = NULL;
	if (raw == NULL) {
		g->failed = true;
		return 0;
	}
	for (uint32_t i = length; i-- > 0; at = link_of(&g->text, at).state)
		raw[i] = (char)(link_of(&g->text, at).stack & 0xFF);
	json_t *v = json_loadb(raw, length, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	if (v != NULL) {
		zeros_fix(v);
		sorted = json_dumps(v, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_COMPACT);
		json_decref(v);
	}
	const char *from = sorted != NULL ? sorted : raw;
	size_t count = sorted != NULL ? strlen(sorted) : length;
	for (size_t i = 0; i < count; i++)
		key = text_add(g, key, (uint8_t)from[i], OUTSIDE);
	g->work += (uint32_t)count + length;
	free(sorted);
	free(raw);
	return key;
}

static bool is_former(struct guards *g, uint32_t former, uint32_t key)
{
	for (; former != 0; former = link_of(&g->former, former).state) {
		g->work++;
		if (g->former.pair[g->former.set[former].first + 1].state == key)
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
	if (s.text == NO_TEXT) /* a text that began within another one has ended it */
		return GUARD_BROKEN;
	uint32_t key = value_of(g, s.text);
	if (g->failed || is_former(g, s.former, key))
		return GUARD_BROKEN;
	struct network_pair more[] = { { s.former, s.text }, { key, 0 } };
	uint32_t before = g->former.count;
	s.former = number(g, &g->former, more, 2, g->former.set[s.former].depth + 1);
	if (!g->failed && s.former >= before)
		beginnings_note(g, s.former, s.text);
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
			s.text = text_next(g, s.text, byte);
			if (g->failed)
				break;
			if (lexical_of(g, s.text) < ESCAPE)
				s.free = s.free || !begins_former(g, s.former, s.text);
		} else if (byte != ' ') {
			s.free = s.former == 0 || byte != ','; /* one more text must follow */
		}
		guard = scope_number(g, s);
	}
	return g->failed ? GUARD_BROKEN : guard;
}

bool guards_free(const struct guards *g, uint32_t guard)
{
	for (; guard != GUARD_NONE; guard = scope_of(g, guard).outer) {
		struct scope s = scope_of(g, guard);
		if (!s.free ||
		    (s.former != 0 && s.text != NO_TEXT && lexical_of(g, s.text) == NUMBER))
			return false;
	}
	return true;
}

/* Bytes after which the text may still become what it was the beginning of, or another number. */
static void set_other(const struct guards *g, const struct scope *s, uint64_t set[4])
{
	enum lexical at = lexical_of(g, s->text);
	for (int i = 0; i < 4 && at >= ESCAPE && !s->free; i++)
		set[i] = UINT64_MAX;
	if (at <= NUMBER)
		set[0] |= DIGITS | (s->free ? 0 : SPACES);
	else if (!s->free)
		set['\\' / 64] |= (uint64_t)1 << '\\' % 64;
}

void guards_next(struct guards *g, uint32_t guard, uint64_t set[4])
{
	for (; guard != GUARD_NONE; guard = scope_of(g, guard).outer) {
		struct scope s = scope_of(g, guard);
		if (s.former == 0 || s.text == NO_TEXT)
			continue;
		set_other(g, &s, set);
		for (uint32_t t = g->links[s.text].child; t != 0 && !s.free;
		     t = g->links[t].sibling) {
			uint32_t byte = link_of(&g->text, t).stack & 0xFF;
			if (begins_former(g, s.former, t))
				set[byte / 64] |= (uint64_t)1 << byte % 64;
		}
	}
}
