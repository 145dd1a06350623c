/* The scanner against a slow plain truth: every start and every end of a text, judged by the rules of
 * docs/filters.md for cards, as written there and not as the scanner does it. */
#include "tests/filters/scan.h"
#include "filters/kind.h"

#include <criterion/criterion.h>
#include <ctype.h>

/* What may stand between two groups, and which separator it is. */
static const struct {
	const char *text;
	char kind;
} gaps[] = {
	{ " ", 's' },      { "  ", 's' },      { "-", 'd' },      { " -", 'd' },
	{ "  -", 'd' },    { "- ", 'd' },      { " - ", 'd' },    { "  - ", 'd' },
	{ ".", 'p' },      { ":", 'o' },       { ",", 'c' },      { ", ", 'c' },
	{ "\n", 'l' },     { "\n ", 'l' },     { "\n  ", 'l' },   { " \n", 'l' },
	{ " \n ", 'l' },   { " \n  ", 'l' },   { "  \n", 'l' },   { "  \n ", 'l' },
	{ "  \n  ", 'l' }, { "-\n", 'l' },     { "-\n ", 'l' },   { "-\n  ", 'l' },
	{ " -\n", 'l' },   { " -\n ", 'l' },   { " -\n  ", 'l' }, { "  -\n", 'l' },
	{ "  -\n ", 'l' }, { "  -\n  ", 'l' },
};

static char gap_kind(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++)
		if (strlen(gaps[i].text) == n && memcmp(gaps[i].text, s, n) == 0)
			return gaps[i].kind;
	return 0;
}

struct reading {
	char value[64], gap[64]; /* gap[g]: between group g and g + 1 */
	int length[64], n, groups;
};

static bool read_value(const char *t, size_t s, size_t e, struct reading *r)
{
	memset(r, 0, sizeof *r);
	for (size_t i = s; i < e;) {
		size_t from = i;
		while (i < e && isdigit((unsigned char)t[i]) && r->n < 40)
			r->value[r->n++] = t[i++];
		if (i == from || r->n >= 40)
			return false;
		r->length[r->groups++] = (int)(i - from);
		from = i;
		while (i < e && !isdigit((unsigned char)t[i]))
			i++;
		if (i < e && !(r->gap[r->groups - 1] = gap_kind(t + from, i - from)))
			return false;
	}
	return true;
}

/* Digits of the group that this separator joins in front of s, or behind e. */
static int joined(const char *t, size_t n, size_t at, char kind, bool front)
{
	size_t i = at;
	int digits = 0;
	if (front) {
		while (i > 0 && !isalnum((unsigned char)t[i - 1]))
			i--;
		if (i == at || gap_kind(t + i, at - i) != kind)
			return 0;
		while (i > 0 && isdigit((unsigned char)t[i - 1]))
			i--, digits++;
		return digits;
	}
	while (i < n && !isalnum((unsigned char)t[i]))
		i++;
	if (i == at || gap_kind(t + at, i - at) != kind)
		return 0;
	while (i < n && isdigit((unsigned char)t[i]))
		i++, digits++;
	return digits;
}

static bool same_lengths(const struct reading *r, int from, const char *grouping)
{
	int i = from;
	for (const char *c = grouping; *c; c++, i++)
		if (i >= r->groups || r->length[i] != *c - '0')
			return false;
	return true;
}

static char only_gap(const struct reading *r, int *lines)
{
	char kind = 0;
	*lines = 0;
	for (int g = 0; g + 1 < r->groups; g++) {
		if (r->gap[g] == 'l')
			++*lines;
		else if (kind && r->gap[g] != kind)
			return '?';
		else
			kind = r->gap[g];
	}
	return kind;
}

static const char *const long_groups[] = { "4444",  "465",   "464",   "4442", "4443",
					   "44441", "44442", "44443", NULL };
static const char *const short_groups[] = { "4441", "445", NULL };

static bool is_grouped(const char *t, size_t n, size_t s, size_t e, const struct reading *r,
		       const char *const *list)
{
	int lines;
	char kind = only_gap(r, &lines);
	for (; *list; list++) {
		bool fours = strspn(*list, "4") + 1 >= strlen(*list) &&
			     (*list)[strlen(*list) - 1] <= '4';
		if ((int)strlen(*list) != r->groups || !same_lengths(r, 0, *list) || kind == '?' ||
		    lines > (fours ? 1 : 0))
			continue;
		if (kind != 'o' && kind != 'c')
			return true;
		if ((kind == 'o' || fours) && !joined(t, n, s, kind, true) &&
		    !joined(t, n, e, kind, false))
			return true;
	}
	return false;
}

static bool is_loose(const char *t, size_t n, size_t s, size_t e, const struct reading *r)
{
	int lines, front, behind, least = r->length[0];
	char kind = only_gap(r, &lines);
	if (kind == '?' || kind == 0 || lines || (kind == 'p' && r->groups == 2))
		return false;
	front = joined(t, n, s, kind, true);
	behind = joined(t, n, e, kind, false);
	bool equal = true, thousands = least <= 3;
	for (int g = 1; g < r->groups; g++) {
		equal &= g + 1 < r->groups ? r->length[g] == least : r->length[g] <= least;
		thousands &= r->length[g] == 3;
	}
	if (kind == 'c')
		return thousands && !front && !behind;
	if (!front && !behind)
		return true;
	int last = r->length[r->groups - 1];
	return equal && front != least && (last < least ? behind == 0 : behind != least);
}

static bool check(const char *v, int n, const struct kind *k)
{
	char copy[64];
	memcpy(copy, v, (size_t)n);
	copy[n] = 0;
	return k->check(copy, (size_t)n);
}

static bool grouped_inside(const struct reading *r, const struct kind *k)
{
	int first = 0;
	for (int g = 0; g < r->groups; first += r->length[g++])
		for (const char *const *list = long_groups; *list; list++) {
			int sum = 0;
			for (const char *c = *list; *c; c++)
				sum += *c - '0';
			if (sum < r->n && same_lengths(r, g, *list) &&
			    check(r->value + first, sum, k))
				return true;
		}
	return false;
}

/* Behind "D." or a dot that nothing stands before; not if another dot follows. */
static bool is_fraction(const char *t, size_t n, size_t s, size_t e)
{
	if (s == 0 || t[s - 1] != '.')
		return false;
	size_t i = s - 1;
	while (i > 0 && s - i < 23 && isdigit((unsigned char)t[i - 1])) /* no integer is longer */
		i--;
	if (i == s - 1)
		return i == 0 || (!isalpha((unsigned char)t[i - 1]) && t[i - 1] != '.');
	if (i > 0 && (t[i - 1] == '.' || isalpha((unsigned char)t[i - 1])))
		return false;
	return !(e + 1 < n && t[e] == '.' && isdigit((unsigned char)t[e + 1]));
}

enum how { NO, LOOSE, SURE };

static enum how judge(const char *t, size_t n, size_t s, size_t e, const struct kind *k)
{
	struct reading r;
	if (!isdigit((unsigned char)t[s]) || !isdigit((unsigned char)t[e - 1]) ||
	    (s > 0 && isdigit((unsigned char)t[s - 1])) ||
	    (e < n && isdigit((unsigned char)t[e])) || !read_value(t, s, e, &r) || r.n < 13 ||
	    r.n > 19 || !strchr("234568", r.value[0]) || !check(r.value, r.n, k))
		return NO;
	if (r.groups == 1)
		return r.n > 13 && !is_fraction(t, n, s, e) ? SURE : NO;
	if (r.n == 13)
		return is_grouped(t, n, s, e, &r, short_groups) ? SURE : NO;
	if (is_grouped(t, n, s, e, &r, long_groups))
		return SURE;
	bool decimals = is_fraction(t, n, s, s + (size_t)r.length[0]) ||
			(e + 1 < n && t[e] == '.' && isdigit((unsigned char)t[e + 1]));
	return is_loose(t, n, s, e, &r) && !decimals && !grouped_inside(&r, k) ? LOOSE : NO;
}

/* Cards of 15 and 16 digits in runs of 20 and more. */
static void inside_runs(const char *t, size_t n, const struct kind *k, char *covered)
{
	for (size_t a = 0, b; a < n; a = b + 1) {
		for (b = a; b < n && isdigit((unsigned char)t[b]); b++)
			;
		bool code = (a > 0 && isalpha((unsigned char)t[a - 1])) ||
			    (b < n && isalpha((unsigned char)t[b]));
		if (b - a < 20 || code || is_fraction(t, n, a, b))
			continue;
		for (size_t i = a; i < b; i++)
			for (size_t m = 15; m <= 16 && i + m <= b; m++)
				if (strchr("234568", t[i]) && check(t + i, (int)m, k))
					memset(covered + i, 1, m);
	}
}

static void truth(const char *t, size_t n, const struct kind *k, char *covered)
{
	memset(covered, 0, n);
	for (size_t s = 0; s < n; s++) {
		size_t best = 0;
		enum how how = NO;
		for (size_t e = s + 13; e <= n && e < s + 120; e++) {
			enum how h = judge(t, n, s, e, k);
			if (h != NO && h >= how) {
				how = h;
				best = e;
			}
		}
		if (how != NO)
			memset(covered + s, 1, best - s);
	}
	inside_runs(t, n, k, covered);
}

static size_t make_text(char *out, uint32_t *seed)
{
	static const char *const part[] = {
		"4111",
		"1111",
		"1111",
		"1111",
		"1111",
		"111",
		"11",
		"1",
		"41",
		"411",
		"41111111",
		"5500",
		"0000",
		"0004",
		"0",
		"00",
		"3782",
		"822463",
		"10005",
		"4111111111111111",
		"4222222222222",
		"0000",
		"11111",
		"111111",
		" ",
		" ",
		" ",
		"-",
		"-",
		".",
		",",
		":",
		"\n",
		"  ",
		" - ",
		"x",
		"7",
		"8",
		"378282246310005",
		"4,111",
		",111",
	};
	size_t n = 0, parts = 2 + scan_random(seed) % 16;
	bool regular = scan_random(seed) % 2; /* one separator behind every group */
	const char *gap = part[24 + scan_random(seed) % 11];
	for (size_t i = 0; i < parts; i++) {
		const char *p =
			part[scan_random(seed) % (regular ? 24 : sizeof part / sizeof *part)];
		n += (size_t)sprintf(out + n, "%s%s", p, regular && i + 1 < parts ? gap : "");
	}
	return n;
}

/* The scanner looks 64 digits around; longer runs are left out here. */
static bool has_endless_run(const char *t)
{
	for (; *t; t++)
		if (strspn(t, "0123456789") > 60)
			return true;
	return false;
}

Test(filters_truth, scanner_finds_what_every_start_and_end_gives)
{
	const struct kind *k = NULL;
	for (size_t i = 0; kind_at(i) && !k; i++)
		k = strcmp(kind_at(i)->name, "pan") == 0 ? kind_at(i) : NULL;
	struct filter_rule rule = {
		.id = "r", .action = FILTER_FLAG, .detector = "pan", .decode = FILTER_DECODE_NONE
	};
	struct filter_set *set;
	uint32_t seed = 99;
	size_t found = 0, texts = 20000;
	cr_assert(k && filter_set_build(&set, &rule, 1, NULL) == 0);
	for (size_t i = 0; i < texts; i++) {
		char text[400], want[400], have[400] = { 0 };
		struct filter_stream *f;
		struct cleared out;
		size_t n = make_text(text, &seed);
		if (has_endless_run(text))
			continue;
		truth(text, n, k, want);
		cr_assert(filter_stream_open(&f, set, 0, NULL) == 0);
		cr_assert(filter_stream_push(f, text, n, &out, NULL) == FILTER_OPEN);
		cr_assert(filter_stream_end(f, &out, NULL) == FILTER_COMPLETE);
		const struct filter_record *r = filter_stream_record(f);
		for (size_t j = 0; j < r->findings; j++)
			memset(have + r->finding[j].start, 1,
			       r->finding[j].end - r->finding[j].start);
		cr_expect(memcmp(want, have, n) == 0, "\"%s\"", text);
		found += r->findings > 0;
		filter_stream_close(f);
	}
	cr_expect_gt(found, texts / 20, "%zu", found);
	filter_set_free(set);
}
