/* Questions to a regular language, and languages of plain texts and lengths. */
#include "grammar/regular_in.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

bool regular_is_empty(const struct regular *r) { return regular_state_none(r, 0); }

bool regular_is_all(const struct regular *r) { return regular_state_all(r, 0); }

bool regular_equal(const struct regular *a, const struct regular *b)
{
	size_t cells = (size_t)a->states * a->classes;
	return a->states == b->states && a->classes == b->classes && a->ranges == b->ranges &&
	       memcmp(a->range, b->range, a->ranges * sizeof *a->range) == 0 &&
	       memcmp(a->next, b->next, cells * sizeof *a->next) == 0 &&
	       memcmp(a->accept, b->accept, a->states * sizeof *a->accept) == 0;
}

bool regular_holds(const struct regular *r, const char *text, size_t len)
{
	uint32_t at = 0, cp;
	*r->work += len;
	for (size_t i = 0; i < len;) {
		int n = text_utf8_decode(text + i, len - i, &cp);
		uint32_t class = n > 0 ? regular_class(r, cp) : REGULAR_NONE;
		if (class == REGULAR_NONE)
			return false;
		at = r->next[(size_t)at * r->classes + class];
		i += (size_t)n;
	}
	return r->accept[at];
}

/* ---- how many ---- */

static uint64_t add_up_to(uint64_t a, uint64_t b, uint64_t most)
{
	return a >= most || b >= most - a ? most : a + b;
}

static uint64_t times_up_to(uint64_t a, uint64_t b, uint64_t most)
{
	return a == 0 || b == 0 ? 0 : a >= most || b > most / a ? most : a * b;
}

/* States from which something is accepted, each behind all that lead to it; fewer than those where
 * there is a circle. waits [states]: how many transitions lead to it from such states. */
static uint32_t states_sort(const struct regular *r, uint32_t none, uint32_t *waits,
			    uint32_t *order)
{
	uint32_t count = 0;
	for (uint32_t s = 0; s < r->states; s++) {
		for (uint32_t c = 0; c < r->classes && s != none; c++)
			waits[r->next[(size_t)s * r->classes + c]]++;
	}
	if (waits[0] == 0)
		order[count++] = 0;
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t c = 0; c < r->classes; c++) {
			uint32_t to = r->next[(size_t)order[i] * r->classes + c];
			if (to != none && --waits[to] == 0)
				order[count++] = to;
		}
	}
	return count;
}

static uint32_t none_state(const struct regular *r)
{
	for (uint32_t s = 0; s < r->states; s++) {
		if (regular_state_none(r, s))
			return s;
	}
	return REGULAR_NONE;
}

uint64_t regular_count(const struct regular *r, uint64_t most)
{
	uint32_t none = none_state(r), live = r->states - (none != REGULAR_NONE), sorted = 0;
	check(r->states > 0); /* the start */
	uint32_t *waits = calloc(r->states, sizeof *waits),
		 *order = calloc(r->states, sizeof *order);
	uint64_t *size = calloc(r->classes, sizeof *size),
		 *texts = calloc(r->states, sizeof *texts), count = most;
	if (none == 0) {
		count = 0;
	} else if (waits != NULL && order != NULL && size != NULL && texts != NULL) {
		sorted = states_sort(r, none, waits, order);
		for (uint32_t i = 0; i < r->ranges; i++)
			size[r->range[i].class] += r->range[i].hi - r->range[i].lo + 1;
	}
	for (uint32_t i = sorted == live ? sorted : 0; i-- > 0;) {
		uint32_t s = order[i];
		texts[s] = r->accept[s];
		for (uint32_t c = 0; c < r->classes; c++) {
			uint32_t to = r->next[(size_t)s * r->classes + c];
			uint64_t more = to == none ? 0 : times_up_to(size[c], texts[to], most);
			texts[s] = add_up_to(texts[s], more, most);
		}
		count = texts[0];
	}
	free(waits);
	free(order);
	free(size);
	free(texts);
	return count < most ? count : most;
}

/* ---- all of them ---- */

/* Beginnings of texts, one after another: the state, the beginning before, its last character. */
struct beginning {
	uint32_t state, before, cp;
};

struct beginnings {
	struct beginning *at;
	size_t count, room;
};

static bool beginning_add(struct beginnings *b, struct beginning one)
{
	if (b->count == b->room) {
		size_t room = b->room * 2 + 64;
		struct beginning *more = realloc(b->at, room * sizeof *more);
		if (more == NULL)
			return false;
		b->at = more;
		b->room = room;
	}
	b->at[b->count++] = one;
	return true;
}

static json_t *beginning_text(const struct beginnings *b, size_t at)
{
	struct buf text = { 0 };
	size_t n = 0;
	for (size_t i = at; i != 0; i = b->at[i].before)
		n++;
	uint32_t *cp = calloc(n + 1, sizeof *cp);
	for (size_t i = at, k = n; cp != NULL && i != 0; i = b->at[i].before)
		cp[--k] = b->at[i].cp;
	for (size_t k = 0; cp != NULL && k < n; k++) {
		char bytes[4];
		buf_add(&text, bytes, (size_t)text_utf8_encode(cp[k], bytes));
	}
	json_t *made = cp == NULL || text.failed
			       ? NULL
			       : json_stringn(text.len > 0 ? text.bytes : "", text.len);
	free(cp);
	buf_free(&text);
	return made;
}

/* The language is finite, and every beginning is one of a text. */
static int list_fill(const struct regular *r, json_t *list, struct err *e)
{
	struct beginnings b = { 0 };
	uint32_t none = none_state(r);
	bool ok = none == 0 || beginning_add(&b, (struct beginning){ 0, 0, 0 });
	for (size_t i = 0; ok && i < b.count; i++) {
		struct beginning at = b.at[i];
		if (r->accept[at.state])
			ok = json_array_append_new(list, beginning_text(&b, i)) == 0;
		for (uint32_t k = 0; ok && k < r->ranges; k++) {
			struct regular_range range = r->range[k];
			uint32_t to = r->next[(size_t)at.state * r->classes + range.class];
			for (uint32_t cp = range.lo; ok && to != none && cp <= range.hi; cp++)
				ok = beginning_add(&b, (struct beginning){ to, (uint32_t)i, cp });
		}
		if (b.count > LIMIT_CONSTRAINT_CELLS) {
			free(b.at);
			return regular_large(e);
		}
	}
	free(b.at);
	return ok ? 0 : regular_memory(e);
}

int regular_list(json_t **out, const struct regular *r, uint64_t most, struct err *e)
{
	*out = NULL;
	if (most == UINT64_MAX || regular_count(r, most + 1) > most)
		return 0;
	json_t *list = json_array();
	if (list == NULL)
		return regular_memory(e);
	int rc = list_fill(r, list, e);
	if (rc < 0)
		json_decref(list);
	else
		*out = list;
	return rc;
}

/* ---- lengths and lists ---- */

/* Finish *out, or close it. */
static int made(struct regular **out, int rc, struct err *e)
{
	if (rc == 0)
		rc = regular_finish(*out, e);
	if (rc < 0) {
		regular_close(*out);
		*out = NULL;
	}
	return rc;
}

int regular_length(struct regular **out, uint64_t min, uint64_t max, uint64_t *work, struct err *e)
{
	struct regular *r = *out = calloc(1, sizeof *r);
	uint64_t last = max == UINT64_MAX ? min : max;
	if (r == NULL)
		return regular_memory(e);
	r->work = work;
	int rc = regular_alphabet(r, NULL, NULL, 0, e);
	if (rc == 0 && last > LIMIT_CONSTRAINT_STATES)
		rc = regular_large(e);
	for (uint64_t n = 0; rc == 0 && (n <= last || n == 0); n++) {
		rc = regular_state(r, n >= min && n <= max, e);
		if (rc == 0)
			r->next[n] = n < last            ? (uint32_t)n + 1
				     : max == UINT64_MAX ? (uint32_t)n
							 : REGULAR_NONE;
	}
	return made(out, rc, e);
}

/* Every character of the texts alone in a class. */
static int texts_alphabet(struct regular *r, const json_t *list, struct err *e)
{
	struct pattern p = { 0 };
	const json_t *one;
	size_t i;
	json_array_foreach((json_t *)list, i, one) {
		const char *text = json_string_value(one);
		size_t len = json_string_length(one);
		uint32_t cp;
		for (size_t at = 0; at < len;
		     at += (size_t)text_utf8_decode(text + at, len - at, &cp)) {
			text_utf8_decode(text + at, len - at,
					 &cp); /* jansson's strings are UTF-8 */
			pattern_range_add(&p, cp, cp);
		}
	}
	struct regular_set *set = calloc(p.ranges + 1, sizeof *set);
	for (uint32_t k = 0; set != NULL && k < p.ranges; k++)
		set[k] = (struct regular_set){ k, 1 };
	int rc = pattern_done(&p, e);
	if (rc == 0 && set == NULL)
		rc = regular_memory(e);
	if (rc == 0)
		rc = regular_alphabet(r, p.range, set, p.ranges, e);
	free(set);
	pattern_free(&p);
	return rc;
}

static int text_add(struct regular *r, const char *text, size_t len, struct err *e)
{
	uint32_t at = 0, cp;
	for (size_t i = 0; i < len;) {
		i += (size_t)text_utf8_decode(text + i, len - i, &cp);
		uint32_t class = regular_class(r, cp);
		if (class == REGULAR_NONE)
			return 0; /* NUL: in no text */
		uint32_t to = r->next[(size_t)at * r->classes + class];
		if (to == REGULAR_NONE) {
			to = r->states;
			TRY(regular_state(r, false, e));
			r->next[(size_t)at * r->classes + class] = to;
		}
		at = to;
	}
	r->accept[at] = true;
	return 0;
}

int regular_texts(struct regular **out, const json_t *list, uint64_t *work, struct err *e)
{
	struct regular *r = *out = calloc(1, sizeof *r);
	const json_t *one;
	size_t i;
	if (r == NULL)
		return regular_memory(e);
	r->work = work;
	int rc = texts_alphabet(r, list, e);
	if (rc == 0)
		rc = regular_state(r, false, e);
	json_array_foreach((json_t *)list, i, one) {
		if (rc == 0 && json_is_string(one))
			rc = text_add(r, json_string_value(one), json_string_length(one), e);
	}
	return made(out, rc, e);
}
