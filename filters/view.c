#include "filters/view.h"

#include "base/check.h"
#include "filters/confusables_table.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct range {
	uint32_t first, last;
};

static const struct range ignorable[] = {
	{ 0x00AD, 0x00AD },   { 0x034F, 0x034F },   { 0x061C, 0x061C }, { 0x115F, 0x1160 },
	{ 0x17B4, 0x17B5 },   { 0x180B, 0x180F },   { 0x200B, 0x200F }, { 0x202A, 0x202E },
	{ 0x2060, 0x206F },   { 0x2800, 0x2800 },   { 0x3164, 0x3164 }, { 0xFE00, 0xFE0F },
	{ 0xFEFF, 0xFEFF },   { 0xFFA0, 0xFFA0 },   { 0xFFF0, 0xFFF8 }, { 0x1BCA0, 0x1BCA3 },
	{ 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF },
};

/* Marks of Latin only: in other scripts vowel signs and voicing marks distinguish words. */
static const struct range stripped[] = {
	{ 0x0300, 0x036F }, { 0x0483, 0x0489 }, { 0x1AB0, 0x1AFF },
	{ 0x1DC0, 0x1DFF }, { 0x20D0, 0x20FF }, { 0xFE20, 0xFE2F },
};

static bool within(const struct range *r, size_t n, uint32_t cp)
{
	for (size_t i = 0; i < n && r[i].first <= cp; i++)
		if (cp <= r[i].last)
			return true;
	return false;
}

bool filter_view_ignorable(uint32_t cp)
{
	return cp >= 0xAD && within(ignorable, sizeof ignorable / sizeof *ignorable, cp);
}

bool filter_view_mark(uint32_t cp)
{
	return cp >= 0x300 && within(stripped, sizeof stripped / sizeof *stripped, cp);
}

bool filter_view_noise(uint32_t cp) { return filter_view_ignorable(cp) || filter_view_mark(cp); }

bool filter_view_swallowed(uint32_t cp)
{
	if (cp < 0xAD)
		return false;
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || filter_view_ignorable(cp);
}

bool filter_view_space(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP;
}

bool filter_view_alnum(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) ||
	       (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO);
}

bool filter_view_rtl(uint32_t cp)
{
	const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)cp);
	return p->bidi_class == UTF8PROC_BIDI_CLASS_R || p->bidi_class == UTF8PROC_BIDI_CLASS_AL;
}

/* ---- confusables: decoded once from the generated text, immutable afterwards */

struct confusable {
	uint32_t source;
	uint32_t first; /* in targets */
	uint32_t count;
};

static struct confusable *confusable;
static uint32_t *target;
static pthread_once_t confusables_once = PTHREAD_ONCE_INIT;

static uint32_t take(const char **s)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t v = 0;
	for (unsigned shift = 0;; shift += 5) {
		const char *p = strchr(alphabet, *(*s)++);
		check(p && *p && shift < 30);
		uint32_t d = (uint32_t)(p - alphabet);
		v |= (d & 31) << shift;
		if (d < 32)
			return v;
	}
}

static void confusables_decode(void)
{
	size_t targets = 0, most = (size_t)filter_confusables_count * 4;
	confusable = calloc(filter_confusables_count, sizeof *confusable);
	target = calloc(most, sizeof *target);
	check(confusable && target);
	size_t n = 0;
	uint32_t source = 0;
	for (const char *const *line = filter_confusables_line; *line; line++)
		for (const char *s = *line; *s;) {
			source += take(&s);
			check(n < filter_confusables_count);
			struct confusable *c = &confusable[n++];
			*c = (struct confusable){ source, (uint32_t)targets, take(&s) };
			check(targets + c->count <= most);
			for (uint32_t i = 0; i < c->count; i++)
				target[targets++] = take(&s);
		}
	check(n == filter_confusables_count);
}

static const struct confusable *confusable_find(uint32_t cp)
{
	size_t lo = 0, hi = filter_confusables_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (confusable[mid].source < cp)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < filter_confusables_count && confusable[lo].source == cp ? &confusable[lo]
									    : NULL;
}

/* ---- steps: each maps a list of code points to another */

static void add(struct fold *f, uint32_t cp)
{
	check(f->n < FOLD_MAX);
	f->cp[f->n++] = cp;
}

static void decompose_one(struct fold *out, uint32_t cp, utf8proc_option_t how)
{
	utf8proc_int32_t buffer[64];
	int last = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, buffer, 64, how, &last);
	check(n >= 0 && n <= 64);
	for (utf8proc_ssize_t i = 0; i < n; i++)
		add(out, (uint32_t)buffer[i]);
}

static void map(struct fold *f, utf8proc_option_t how)
{
	struct fold in = *f;
	f->n = 0;
	for (int i = 0; i < in.n; i++)
		decompose_one(f, in.cp[i], how);
}

static void drop(struct fold *f, bool (*which)(uint32_t cp))
{
	int n = 0;
	for (int i = 0; i < f->n; i++)
		if (!which(f->cp[i]))
			f->cp[n++] = f->cp[i];
	f->n = n;
}

static void skeleton(struct fold *f)
{
	struct fold in = *f;
	f->n = 0;
	for (int i = 0; i < in.n; i++) {
		const struct confusable *c = in.cp[i] < 0x80 ? NULL : confusable_find(in.cp[i]);
		if (!c)
			add(f, in.cp[i]);
		for (uint32_t k = 0; c && k < c->count; k++)
			add(f, target[c->first + k]);
	}
}

static bool separator(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return !filter_view_alnum(cp) && c != UTF8PROC_CATEGORY_MN && c != UTF8PROC_CATEGORY_MC &&
	       c != UTF8PROC_CATEGORY_ME;
}

/* Characters that a reader takes for the same letter: i l 1 | become l, 0 becomes o, m becomes
 * rn. */
static void merge(struct fold *f)
{
	struct fold in = *f;
	f->n = 0;
	for (int i = 0; i < in.n; i++) {
		uint32_t c = in.cp[i];
		if (c == 'm') {
			add(f, 'r');
			add(f, 'n');
			continue;
		}
		add(f, c == 'i' || c == '1' || c == '|' ? 'l' : c == '0' ? 'o' : c);
	}
}

static void plain(uint32_t cp, struct fold *f)
{
	f->n = 0;
	if (filter_view_ignorable(cp))
		return;
	if (cp < 0x80) {
		add(f, cp);
		return;
	}
	utf8proc_int32_t buffer[64];
	int last = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, buffer, 64,
						     UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &last);
	check(n >= 0 && n <= 64);
	n = utf8proc_normalize_utf32(buffer, n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
	check(n >= 0);
	for (utf8proc_ssize_t i = 0; i < n; i++)
		add(f, (uint32_t)buffer[i]);
	drop(f, filter_view_ignorable); /* U+3164 becomes U+1160 */
}

/* Signs that stand for one sign of a value in print: digits of every script, dashes, spaces of one
 * line. A tab is none of them: it separates the cells of a table. */
static uint32_t value_sign(uint32_t cp)
{
	if (cp < 0x80)
		return cp;
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_ND: {
		/* The digits of a script stand in a row from nought to nine. */
		uint32_t first = cp;
		while (utf8proc_category((utf8proc_int32_t)first - 1) == UTF8PROC_CATEGORY_ND)
			first--;
		return '0' + (cp - first) % 10;
	}
	case UTF8PROC_CATEGORY_PD:
		return '-';
	case UTF8PROC_CATEGORY_ZS:
		return ' ';
	default:
		return cp == 0x2212 || cp == 0x2043 ? '-' : cp; /* minus sign, hyphen bullet */
	}
}

static void strict(uint32_t cp, bool fold_first, struct fold *f)
{
	plain(cp, f);
	if (fold_first)
		map(f, UTF8PROC_CASEFOLD);
	map(f, UTF8PROC_DECOMPOSE);
	drop(f, filter_view_mark);
	skeleton(f);
	map(f, UTF8PROC_CASEFOLD);
	map(f, UTF8PROC_DECOMPOSE);
	drop(f, filter_view_mark);
	merge(f);
	drop(f, separator);
}

static void fold_slow(enum view v, uint32_t cp, struct fold *out)
{
	check(v < VIEWS);
	out->n = 0;
	switch (v) {
	case VIEW_RAW:
		add(out, cp);
		return;
	case VIEW_PLAIN:
		plain(cp, out);
		return;
	case VIEW_VALUE:
		plain(cp, out);
		for (int i = 0; i < out->n; i++)
			out->cp[i] = value_sign(out->cp[i]);
		return;
	case VIEW_CASE:
		plain(cp, out);
		map(out, UTF8PROC_CASEFOLD);
		return;
	case VIEW_STRICT_A:
	case VIEW_STRICT_B:
		strict(cp, v == VIEW_STRICT_B, out);
		return;
	case VIEWS:
		break;
	}
}

/* Most texts consist of low code points: those are folded once and looked up. */
#define CACHED 0x500
struct cached {
	uint8_t n;
	uint32_t cp[3];
};
static struct cached cache[VIEWS][CACHED];

static void tables_build(void)
{
	confusables_decode();
	for (int v = 0; v < VIEWS; v++)
		for (uint32_t cp = 0; cp < CACHED; cp++) {
			struct fold f;
			fold_slow((enum view)v, cp, &f);
			cache[v][cp].n = f.n <= 3 ? (uint8_t)f.n : UINT8_MAX;
			for (int i = 0; i < f.n && i < 3; i++)
				cache[v][cp].cp[i] = f.cp[i];
		}
}

void filter_view_fold(enum view v, uint32_t cp, struct fold *out)
{
	pthread_once(&confusables_once, tables_build);
	if (cp < CACHED && cache[v][cp].n != UINT8_MAX) {
		out->n = cache[v][cp].n;
		for (int i = 0; i < out->n; i++)
			out->cp[i] = cache[v][cp].cp[i];
		return;
	}
	fold_slow(v, cp, out);
}
