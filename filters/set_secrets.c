/* Building a set: the kinds of secrets that its rules ask for, one automaton of all keywords. */
#include "base/check.h"
#include "base/text.h"
#include "filters/set.h"

#include <stdlib.h>
#include <string.h>

static int nomem(struct err *e) { return err_set(e, ERR_NOMEM, "out of memory for the rules"); }

/* A word of a kind's keywords, and the probe it is for. */
struct keyword {
	const char *text;
	size_t n;
	uint32_t probe;
};

static size_t count(const char *list)
{
	size_t n = 1;
	for (; *list; list++)
		n += *list == '|';
	return n;
}

static int probe_add(struct filter_set *s, size_t row, uint32_t rule, struct err *e)
{
	struct secret_probe *p = &s->secrets.probe[s->secrets.probes++];
	p->kind = filter_secret_at(row);
	p->rule = rule;
	TRY(filter_secret_regex(row, &p->regex, e));
	/* A value begins up to lead characters before its keyword and looks back from there. */
	uint32_t behind = p->regex->behind + p->kind->lead;
	if (behind > s->secrets.behind)
		s->secrets.behind = behind;
	if (behind + 2 > s->context)
		s->context = behind + 2;
	s->secrets.decodes |= s->rule[rule].decode & FILTER_DECODE_ALL;
	s->decodes |= s->secrets.decodes;
	if (p->kind->lead > s->secrets.lead)
		s->secrets.lead = p->kind->lead;
	size_t width = (size_t)(p->kind->lead + p->regex->width + 1) *
		       filter_set_spread(s->rule[rule].decode, 0);
	if (width > s->width)
		s->width = width;
	return 0;
}

/* The rows that the rules ask for. Returns how many keywords they have. */
static int probes_build(struct filter_set *s, const struct filter_rule **rule, size_t *keywords,
			struct err *e)
{
	size_t rows = 0, asked = 0;
	while (filter_secret_at(rows))
		rows++;
	for (size_t i = 0; i < s->rules; i++)
		for (size_t k = 0; rule[i]->detector && k < rows; k++)
			asked += filter_secret_is(filter_secret_at(k), rule[i]->detector);
	s->secrets.probe = arena_array(&s->arena, asked + 1, sizeof *s->secrets.probe);
	if (!s->secrets.probe)
		return nomem(e);

	for (uint32_t i = 0; i < s->rules; i++)
		for (size_t k = 0; rule[i]->detector && k < rows; k++) {
			const struct secret_kind *kind = filter_secret_at(k);
			if (!filter_secret_is(kind, rule[i]->detector))
				continue;
			TRY(probe_add(s, k, i, e));
			*keywords += count(kind->keywords);
		}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const struct keyword *x = a, *y = b;
	int c = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
	if (c == 0)
		c = (x->n > y->n) - (x->n < y->n);
	return c ? c : (x->probe > y->probe) - (x->probe < y->probe);
}

static size_t keywords_list(const struct filter_set *s, struct keyword *out)
{
	size_t n = 0;
	for (uint32_t i = 0; i < s->secrets.probes; i++)
		for (const char *at = s->secrets.probe[i].kind->keywords; at;) {
			const char *bar = strchr(at, '|');
			out[n++] = (struct keyword){ at, bar ? (size_t)(bar - at) : strlen(at), i };
			at = bar ? bar + 1 : NULL;
		}
	qsort(out, n, sizeof *out, by_text);
	return n;
}

static bool same_text(const struct keyword *a, const struct keyword *b)
{
	return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

/* One literal for each distinct keyword; those of several kinds share it. */
static int automaton_build(struct filter_set *s, const struct keyword *word, size_t n,
			   struct err *e)
{
	struct secrets *x = &s->secrets;
	struct automaton_literal *l = arena_array(&s->scratch, n, sizeof *l);
	x->first = arena_array(&s->arena, n + 1, sizeof *x->first);
	x->probe_of = arena_array(&s->arena, n, sizeof *x->probe_of);
	if (!l || !x->first || !x->probe_of)
		return nomem(e);
	uint32_t words = 0;
	for (size_t i = 0; i < n; i++) {
		x->probe_of[i] = word[i].probe;
		if (i > 0 && same_text(&word[i], &word[i - 1]))
			continue;
		uint32_t *cp = arena_array(&s->scratch, word[i].n, sizeof *cp);
		if (!cp)
			return nomem(e);
		size_t chars = 0;
		for (size_t k = 0; k < word[i].n; chars++) {
			int used = text_utf8_decode(word[i].text + k, word[i].n - k, &cp[chars]);
			check(used > 0);
			k += (size_t)used;
		}
		x->first[words] = (uint32_t)i;
		l[words] = (struct automaton_literal){ cp, chars, words };
		words++;
	}
	x->first[words] = (uint32_t)n;
	return filter_automaton_build(&x->automaton, l, words, 0, e);
}

int filter_set_secrets(struct filter_set *s, const struct filter_rule **rule, struct err *e)
{
	size_t keywords = 0;
	TRY(probes_build(s, rule, &keywords, e));
	if (keywords == 0)
		return 0;
	struct keyword *word = arena_array(&s->scratch, keywords, sizeof *word);
	if (!word)
		return nomem(e);
	return automaton_build(s, word, keywords_list(s, word), e);
}
