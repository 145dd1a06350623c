/* Regular languages as minimal automata: alphabets, operations, questions. */
#include "grammar/regular_in.h"
#include "grammar/network_sets.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define CODE_POINT_LAST 0x10FFFFu

int regular_large(struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
		       "regular expressions that need more than %u states, or %u steps in one "
		       "constraint, are not available",
		       LIMIT_CONSTRAINT_STATES, LIMIT_CONSTRAINT_COMPILE);
}

int regular_charge(const struct regular *r, uint64_t steps, struct err *e)
{
	*r->work += steps;
	return *r->work > LIMIT_CONSTRAINT_COMPILE ? regular_large(e) : 0;
}

void regular_close(struct regular *r)
{
	if (r == NULL)
		return;
	free(r->range);
	free(r->next);
	free(r->accept);
	free(r);
}

int regular_state(struct regular *r, bool accept, struct err *e)
{
	if (r->states == LIMIT_CONSTRAINT_STATES ||
	    (uint64_t)(r->states + 1) * r->classes > LIMIT_CONSTRAINT_CELLS)
		return regular_large(e);
	if (r->states == r->room) {
		uint32_t room = r->room > 0 ? r->room * 2 : 16;
		uint32_t *next = realloc(r->next, (size_t)room * (r->classes + 1) * sizeof *next);
		r->next = next != NULL ? next : r->next;
		bool *ends = realloc(r->accept, room * sizeof *ends);
		r->accept = ends != NULL ? ends : r->accept;
		if (next == NULL || ends == NULL)
			return regular_memory(e);
		r->room = room;
	}
	memset(r->next + (size_t)r->states * r->classes, 0xFF, r->classes * sizeof *r->next);
	r->accept[r->states++] = accept;
	return 0;
}

bool regular_state_all(const struct regular *r, uint32_t state)
{
	for (uint32_t c = 0; c < r->classes; c++) {
		if (r->next[(size_t)state * r->classes + c] != state)
			return false;
	}
	return r->accept[state];
}

bool regular_state_none(const struct regular *r, uint32_t state)
{
	for (uint32_t c = 0; c < r->classes; c++) {
		if (r->next[(size_t)state * r->classes + c] != state)
			return false;
	}
	return !r->accept[state];
}

bool *regular_none_states(const struct regular *r)
{
	bool *none = calloc((size_t)r->states + 1, sizeof *none);
	for (uint32_t s = 0; none != NULL && s < r->states; s++)
		none[s] = regular_state_none(r, s);
	return none;
}

/* ---- alphabets ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* The range that holds cp, or that begins behind it. */
static uint32_t range_at(const struct regular *r, uint32_t cp)
{
	uint32_t lo = 0, hi = r->ranges;
	while (lo < hi) {
		uint32_t middle = lo + (hi - lo) / 2;
		if (r->range[middle].hi < cp)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

uint32_t regular_class(const struct regular *r, uint32_t cp)
{
	uint32_t i = range_at(r, cp);
	return i < r->ranges && r->range[i].lo <= cp ? r->range[i].class : REGULAR_NONE;
}

/* Number classes by their first code point, and join ranges of one class that touch. */
static int classes_number(struct regular *r, uint32_t *number, uint32_t numbers, struct err *e)
{
	uint32_t kept = 0;
	if (number == NULL)
		return regular_memory(e);
	memset(number, 0xFF, numbers * sizeof *number);
	r->classes = 0;
	for (uint32_t i = 0; i < r->ranges; i++) {
		struct regular_range at = r->range[i];
		if (number[at.class] == REGULAR_NONE)
			number[at.class] = r->classes++;
		at.class = number[at.class];
		if (kept > 0 && r->range[kept - 1].class == at.class &&
		    r->range[kept - 1].hi + 1 == at.lo)
			r->range[kept - 1].hi = at.hi;
		else
			r->range[kept++] = at;
	}
	r->ranges = kept;
	return 0;
}

/* All scalar values but NUL, cut wherever a set begins or ends. */
static int ranges_cut(struct regular *r, const struct pattern_range *range,
		      const struct regular_set *set, uint32_t count, struct err *e)
{
	size_t room = 4, n = 0;
	for (uint32_t i = 0; i < count; i++)
		room += 2 * (size_t)set[i].count;
	uint32_t *cut = calloc(room, sizeof *cut);
	r->range = calloc(room, sizeof *r->range);
	if (cut == NULL || r->range == NULL) {
		free(cut);
		return regular_memory(e);
	}
	static const uint32_t always[] = { 1, 0xD800, 0xE000, CODE_POINT_LAST + 1 };
	for (; n < 4; n++)
		cut[n] = always[n];
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t k = set[i].first; k < set[i].first + set[i].count; k++) {
			cut[n++] = range[k].lo;
			cut[n++] = range[k].hi + 1;
		}
	}
	qsort(cut, n, sizeof *cut, by_number);
	for (size_t i = 0; i + 1 < n; i++) {
		if (cut[i] == 0 || cut[i] == cut[i + 1] || cut[i] == 0xD800 ||
		    cut[i] > CODE_POINT_LAST || (cut[i] > 0xD800 && cut[i] < 0xE000))
			continue;
		r->range[r->ranges++] = (struct regular_range){ cut[i], cut[i + 1] - 1, 0 };
	}
	free(cut);
	return 0;
}

int regular_alphabet(struct regular *r, const struct pattern_range *range,
		     const struct regular_set *set, uint32_t count, struct err *e)
{
	uint64_t work = 0;
	uint32_t classes = 1, room = 1;
	TRY(ranges_cut(r, range, set, count, e));
	TRY(regular_charge(r, r->ranges, e));
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t k = set[i].first; k < set[i].first + set[i].count; k++) {
			uint32_t at = range_at(r, range[k].lo);
			for (; at < r->ranges && r->range[at].lo <= range[k].hi; at++)
				work++;
		}
		if (work > LIMIT_CONSTRAINT_WORK)
			return regular_large(e);
	}
	TRY(regular_charge(r, work, e));
	room = (uint32_t)work + r->ranges + 1;
	/* split [c]: of the class c, what is in the set at work; seen [c]: which set that was */
	uint32_t *split = calloc(room, sizeof *split), *seen = calloc(room, sizeof *seen);
	for (uint32_t i = 0; i < count && split != NULL && seen != NULL; i++) {
		for (uint32_t k = set[i].first; k < set[i].first + set[i].count; k++) {
			uint32_t at = range_at(r, range[k].lo);
			for (; at < r->ranges && r->range[at].lo <= range[k].hi; at++) {
				uint32_t old = r->range[at].class;
				if (seen[old] != i + 1) {
					seen[old] = i + 1;
					split[old] = classes++;
				}
				r->range[at].class = split[old];
			}
		}
	}
	int rc = split == NULL || seen == NULL ? regular_memory(e)
					       : classes_number(r, split, classes, e);
	free(split);
	free(seen);
	return rc;
}

/* ---- the minimal form ---- */

/* Give classes whose columns are equal one number. */
static int columns_join(struct regular *r, struct err *e)
{
	uint32_t kept = 0, *same = calloc(r->classes + 1, sizeof *same),
		 *number = calloc(r->classes + 1, sizeof *number);
	uint64_t *hash = calloc(r->classes + 1, sizeof *hash);
	bool ok = same != NULL && number != NULL && hash != NULL;
	for (uint32_t s = 0; ok && s < r->states; s++) {
		for (uint32_t c = 0; c < r->classes; c++)
			hash[c] = (hash[c] ^ r->next[(size_t)s * r->classes + c]) *
				  0x9E3779B97F4A7C15u;
	}
	for (uint32_t c = 0; ok && c < r->classes; c++) {
		uint32_t k = 0, s = 0;
		for (; k < kept; k++) {
			const uint32_t *next = r->next;
			if (hash[same[k]] != hash[c])
				continue;
			for (s = 0; s < r->states; s++, next += r->classes) {
				if (next[c] != next[same[k]])
					break;
			}
			if (s == r->states)
				break;
		}
		number[c] = k;
		if (k == kept)
			same[kept++] = c;
	}
	for (uint32_t i = 0; ok && i < r->ranges; i++)
		r->range[i].class = number[r->range[i].class];
	uint32_t classes = r->classes;
	int rc = classes_number(r, ok ? number : NULL, kept, e); /* kept: already in that order */
	for (uint32_t s = 0; rc == 0 && s < r->states; s++) {
		for (uint32_t c = 0; c < kept; c++)
			r->next[(size_t)s * kept + c] = r->next[(size_t)s * classes + same[c]];
	}
	free(same);
	free(number);
	free(hash);
	return rc;
}

/* Put in place of r its automaton of blocks, in the order of a search from the start. one [blocks]:
 * a state of each, as [blocks] its number. */
static int blocks_take(struct regular *r, const uint32_t *block, uint32_t *one, uint32_t *as,
		       struct err *e)
{
	struct regular to = { .classes = r->classes };
	int rc = regular_state(&to, r->accept[0], e);
	as[block[0]] = 0;
	one[0] = 0;
	for (uint32_t s = 0; rc == 0 && s < to.states; s++) {
		for (uint32_t c = 0; rc == 0 && c < r->classes; c++) {
			uint32_t next = r->next[(size_t)one[s] * r->classes + c];
			if (as[block[next]] == REGULAR_NONE) {
				as[block[next]] = to.states;
				one[to.states] = next;
				rc = regular_state(&to, r->accept[next], e);
			}
			if (rc == 0)
				to.next[(size_t)s * r->classes + c] = as[block[next]];
		}
	}
	free(rc == 0 ? r->next : to.next);
	free(rc == 0 ? r->accept : to.accept);
	if (rc == 0) {
		r->next = to.next;
		r->accept = to.accept;
		r->states = to.states;
		r->room = to.room;
	}
	return rc;
}

int regular_finish(struct regular *r, struct err *e)
{
	uint32_t none = r->states, blocks = 0;
	TRY(regular_state(r, false, e));
	/* the table is read and sorted; columns are compared with each other */
	TRY(regular_charge(r, 3 * (uint64_t)r->states * r->classes, e));
	TRY(regular_charge(r, (uint64_t)r->classes * r->classes / 8, e));
	for (size_t i = 0; i < (size_t)r->states * r->classes; i++)
		r->next[i] = r->next[i] == REGULAR_NONE ? none : r->next[i];
	uint32_t *block = calloc(r->states, sizeof *block), *as = calloc(r->states, sizeof *as),
		 *one = calloc(r->states, sizeof *one);
	int rc = block != NULL && as != NULL && one != NULL ? regular_blocks(r, block, &blocks, e)
							    : regular_memory(e);
	if (rc == 0) {
		memset(as, 0xFF, r->states * sizeof *as);
		rc = blocks_take(r, block, one, as, e);
	}
	free(block);
	free(as);
	free(one);
	return rc < 0 ? rc : columns_join(r, e);
}

/* ---- operations ---- */

enum operation { INTERSECT, UNITE, SUBTRACT };

static bool combine(enum operation op, bool a, bool b)
{
	return op == INTERSECT ? a && b : op == UNITE ? a || b : a && !b;
}

/* Classes of both: *of_a and *of_b [classes]. */
static int classes_cross(struct regular *r, const struct regular *a, const struct regular *b,
			 uint32_t **of_a, uint32_t **of_b, struct err *e)
{
	size_t pairs = (size_t)a->classes * b->classes;
	TRY(regular_charge(r, pairs / 8 + a->ranges + b->ranges, e));
	uint32_t i = 0, k = 0, *number = calloc(pairs + 1, sizeof *number);
	r->range = calloc((size_t)a->ranges + b->ranges + 1, sizeof *r->range);
	*of_a = calloc((size_t)a->ranges + b->ranges + 1, sizeof **of_a);
	*of_b = calloc((size_t)a->ranges + b->ranges + 1, sizeof **of_b);
	if (number == NULL || r->range == NULL || *of_a == NULL || *of_b == NULL) {
		free(number);
		return regular_memory(e);
	}
	while (i < a->ranges && k < b->ranges) { /* both hold the same code points */
		struct regular_range x = a->range[i], y = b->range[k];
		uint32_t lo = x.lo > y.lo ? x.lo : y.lo, hi = x.hi < y.hi ? x.hi : y.hi;
		uint32_t *n = &number[(size_t)x.class * b->classes + y.class];
		if (*n == 0) {
			(*of_a)[r->classes] = x.class;
			(*of_b)[r->classes] = y.class;
			*n = ++r->classes;
		}
		r->range[r->ranges++] = (struct regular_range){ lo, hi, *n - 1 };
		i += x.hi == hi;
		k += y.hi == hi;
	}
	free(number);
	return 0;
}

/* The product automaton; pairs of states are numbered as they are met. */
static int product(struct regular *r, enum operation op, const struct regular *a,
		   const struct regular *b, const uint32_t *of_a, const uint32_t *of_b,
		   struct err *e)
{
	struct network_sets met = { 0 };
	struct network_pair at = { 0, 0 };
	int rc = network_sets_number(&met, &at, 1, 0) == 0 ? 0 : regular_memory(e);
	for (uint32_t s = 0; rc == 0 && s < met.count; s++) {
		at = met.pair[s];
		rc = regular_charge(r, 2 * (uint64_t)r->classes, e);
		if (rc == 0)
			rc = regular_state(r, combine(op, a->accept[at.state], b->accept[at.stack]),
					   e);
		for (uint32_t c = 0; rc == 0 && c < r->classes; c++) {
			struct network_pair to = {
				a->next[(size_t)at.state * a->classes + of_a[c]],
				b->next[(size_t)at.stack * b->classes + of_b[c]]
			};
			uint32_t n = network_sets_number(&met, &to, 1, 0);
			if (n == UINT32_MAX)
				rc = regular_memory(e);
			else
				r->next[(size_t)s * r->classes + c] = n;
		}
	}
	network_sets_free(&met);
	return rc < 0 ? rc : regular_finish(r, e);
}

static int operate(struct regular **out, enum operation op, const struct regular *a,
		   const struct regular *b, struct err *e)
{
	uint32_t *of_a = NULL, *of_b = NULL;
	struct regular *r = calloc(1, sizeof *r);
	*out = NULL;
	if (r == NULL)
		return regular_memory(e);
	r->work = a->work;
	int rc = classes_cross(r, a, b, &of_a, &of_b, e);
	if (rc == 0)
		rc = product(r, op, a, b, of_a, of_b, e);
	free(of_a);
	free(of_b);
	if (rc < 0)
		regular_close(r);
	else
		*out = r;
	return rc;
}

int regular_intersect(struct regular **out, const struct regular *a, const struct regular *b,
		      struct err *e)
{
	return operate(out, INTERSECT, a, b, e);
}

int regular_unite(struct regular **out, const struct regular *a, const struct regular *b,
		  struct err *e)
{
	return operate(out, UNITE, a, b, e);
}

int regular_subtract(struct regular **out, const struct regular *a, const struct regular *b,
		     struct err *e)
{
	return operate(out, SUBTRACT, a, b, e);
}

int regular_complement(struct regular **out, const struct regular *a, struct err *e)
{
	struct regular *r = calloc(1, sizeof *r);
	*out = r;
	if (r == NULL)
		return regular_memory(e);
	*r = (struct regular){ .ranges = a->ranges, .classes = a->classes, .work = a->work };
	r->range = calloc(a->ranges, sizeof *r->range);
	int rc = r->range == NULL ? regular_memory(e) : 0;
	if (rc == 0)
		rc = regular_charge(a, (uint64_t)a->states * a->classes, e);
	if (rc == 0)
		memcpy(r->range, a->range, a->ranges * sizeof *r->range);
	for (uint32_t s = 0; rc == 0 && s < a->states; s++) {
		size_t row = (size_t)s * a->classes;
		rc = regular_state(r, !a->accept[s], e);
		if (rc == 0)
			memcpy(r->next + row, a->next + row, a->classes * sizeof *r->next);
	}
	if (rc < 0) {
		regular_close(r);
		*out = NULL;
	}
	return rc;
}
