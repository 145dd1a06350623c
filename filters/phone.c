/* Telephone numbers. The regex takes a run of groups from each of its starts; here the longest
 * groups from that start that some numbering plan knows become the number, if there is reason to
 * think that it is one: "+", brackets, a layout that nothing else has, or words. */
#include "filters/phone.h"

#include "filters/near.h"

#include <ctype.h>
#include <string.h>

/* ---- numbering plans */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Whether v begins with the lead of a range; *range moves behind it. */
static bool leads(const char **range, const char *v, size_t n)
{
	const char *p = *range;
	bool ok = true;
	size_t i = 0;
	for (; *p != ':'; i++) {
		bool in = false;
		if (*p == '[') {
			for (p++; *p != ']'; p++) {
				char last = p[1] == '-' ? p[2] : p[0];
				in |= i < n && v[i] >= p[0] && v[i] <= last;
				p += p[1] == '-' ? 2 : 0;
			}
		} else {
			in = i < n && v[i] == *p;
		}
		p++;
		ok &= in;
	}
	*range = p + 1;
	return ok;
}

static size_t figure(const char **p)
{
	size_t r = 0;
	for (; is_digit(**p); (*p)++)
		r = r * 10 + (size_t)(**p - '0');
	return r;
}

enum dial { DIAL_WORLD, DIAL_TRUNK, DIAL_SHORT };

/* Whether v[n] is a national significant number of the plan that is dialled so. */
static bool plan_has(const struct phone_plan *plan, const char *v, size_t n, enum dial how)
{
	for (const char *p = plan->ranges; *p; p += *p == ' ') {
		bool never = *p == '-', may = *p == '*';
		p += never || may;
		bool fits = leads(&p, v, n);
		size_t least = figure(&p), most = least;
		if (*p == '-') {
			p++;
			most = figure(&p);
		}
		bool dialled = how == DIAL_WORLD || (how == DIAL_TRUNK && !never) ||
			       (how == DIAL_SHORT && (never || may || !*plan->trunk));
		if (fits && dialled && n >= least && n <= most)
			return true;
	}
	return false;
}

/* Digits of the trunk prefix that v begins with; at: the next one to try, NULL behind the last. */
static size_t trunk(const char **at, const char *v, size_t n)
{
	const char *p = *at;
	size_t len = strcspn(p, "|");
	*at = p[len] ? p + len + 1 : NULL;
	return len > 0 && len < n && memcmp(p, v, len) == 0 ? len : 0;
}

static bool with_trunk(const struct phone_plan *plan, const char *v, size_t n)
{
	for (const char *at = plan->trunk; at;) {
		size_t len = trunk(&at, v, n);
		if (len && plan_has(plan, v + len, n - len, DIAL_TRUNK))
			return true;
	}
	return false;
}

static enum phone_form read_world(const char *v, size_t n, bool zero)
{
	size_t code = filter_phone_code(v, n);
	bool planned = false;
	for (size_t i = 0; code > 0 && filter_phone_plan(i); i++) {
		const struct phone_plan *plan = filter_phone_plan(i);
		if (strlen(plan->code) != code || memcmp(plan->code, v, code) != 0)
			continue;
		planned = true;
		/* Many write the trunk prefix behind the country code without brackets too. */
		if (plan_has(plan, v + code, n - code, DIAL_WORLD) ||
		    (!zero && with_trunk(plan, v + code, n - code)))
			return PHONE_WORLD;
	}
	bool assigned = code > 0 && !planned && n >= code + 6 && n <= 15;
	return assigned ? PHONE_ASSIGNED : PHONE_NONE;
}

enum phone_form filter_phone_read(const char *v, size_t n, bool world, bool zero)
{
	if (world)
		return read_world(v, n, zero);
	enum phone_form best = PHONE_NONE;
	for (size_t i = 0; filter_phone_plan(i); i++) {
		const struct phone_plan *plan = filter_phone_plan(i);
		if (with_trunk(plan, v, n))
			return PHONE_TRUNK;
		/* In Italy the zero belongs to the number. */
		if (plan_has(plan, v, n, DIAL_SHORT))
			best = v[0] == '0' ? PHONE_TRUNK : PHONE_SHORT;
		if (best == PHONE_TRUNK)
			return best;
	}
	return best;
}

bool filter_phone_american(const char *v, size_t n)
{
	return n == 10 && v[0] >= '2' && v[1] != '9' && v[3] >= '2' &&
	       !(v[1] == '1' && v[2] == '1');
}

/* ---- how it is written */

#define GROUPS_MAX 12
#define DIGITS_MAX 19

struct writing {
	size_t start[GROUPS_MAX], end[GROUPS_MAX]; /* groups of digits, in the window */
	size_t groups;
	bool plus, bracket; /* before the first digit */
};

static bool writing_of(const struct detect_hit *h, struct writing *w)
{
	*w = (struct writing){ 0 };
	for (size_t i = h->start; i < h->end;) {
		if (!is_digit(h->text[i])) {
			if (w->groups == 0) {
				w->plus |= h->text[i] == '+';
				w->bracket |= h->text[i] == '(';
			}
			i++;
			continue;
		}
		if (w->groups == GROUPS_MAX)
			break;
		w->start[w->groups] = i;
		while (i < h->end && is_digit(h->text[i]))
			i++;
		w->end[w->groups++] = i;
	}
	return w->groups > 0;
}

/* What stands between two groups, brackets left out: at most one sign, spaces round it only behind
 * the area code. */
static char between(const struct detect_hit *h, const struct writing *w, size_t i, bool *bracket)
{
	char sign = 0;
	size_t spaces = 0, signs = 0, from = w->end[i], to = w->start[i + 1];
	for (size_t k = from; k < to; k++) {
		char c = h->text[k];
		if (c == ' ')
			spaces++;
		else if (c == '(' || c == ')')
			*bracket = true;
		else {
			sign = c;
			signs++;
		}
	}
	if (signs > 1 || spaces > 2 || (signs && spaces && i > 1) || (sign == '.' && spaces) ||
	    (sign == '/' && spaces && i > 0))
		return 0;
	return sign ? sign : spaces ? ' ' : *bracket ? '(' : 0;
}

struct number {
	char digits[DIGITS_MAX + 4];
	size_t n;
	size_t groups;
	size_t size[GROUPS_MAX]; /* digits of each group */
	char sign[GROUPS_MAX];   /* behind each group but the last */
	bool plus, bracket;      /* written with "+"; with an area code in brackets */
	bool zero;               /* "(0)" behind the country code, left out of digits */
	enum phone_form form;
};

static bool whole_brackets(const struct detect_hit *h, const struct writing *w, size_t last)
{
	int open = 0;
	for (size_t i = h->start; i < w->end[last]; i++) {
		open += h->text[i] == '(' ? 1 : h->text[i] == ')' ? -1 : 0;
		if (open < 0 || open > 1)
			return false;
	}
	return open == 0;
}

/* The first groups up to `last` as one number. */
static bool number_of(const struct detect_hit *h, const struct writing *w, size_t last,
		      struct number *n)
{
	*n = (struct number){ .groups = last + 1, .plus = w->plus, .bracket = w->bracket };
	if (!whole_brackets(h, w, last))
		return false;
	for (size_t i = 0; i <= last; i++) {
		size_t size = w->end[i] - w->start[i];
		n->size[i] = size;
		if (i < last) {
			n->sign[i] = between(h, w, i, &n->bracket);
			if (!n->sign[i])
				return false;
		}
		if (size == 1 && i > 0 && h->text[w->start[i]] == '0' &&
		    h->text[w->start[i] - 1] == '(' && h->text[w->end[i]] == ')') {
			n->zero = true;
			continue;
		}
		if (n->n + size > DIGITS_MAX)
			return false;
		memcpy(n->digits + n->n, h->text + w->start[i], size);
		n->n += size;
	}
	return n->n >= 7;
}

/* Prefixes of international calls: 00 of nearly all, 011 of North America, 0011 of Australia. */
static void number_read(struct number *n)
{
	static const char *const prefix[] = { "0011", "011", "00" };
	if (n->plus) {
		n->form = filter_phone_read(n->digits, n->n, true, n->zero);
		return;
	}
	n->form = n->zero ? PHONE_NONE : filter_phone_read(n->digits, n->n, false, false);
	for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++) {
		size_t len = strlen(prefix[i]);
		if (n->n <= len || memcmp(n->digits, prefix[i], len) != 0)
			continue;
		enum phone_form world =
			filter_phone_read(n->digits + len, n->n - len, true, n->zero);
		if (world > n->form)
			n->form = world;
	}
}

/* ---- layouts */

static bool sizes(const struct number *n, const char *sizes)
{
	for (size_t i = 0; i < n->groups; i++)
		if (!sizes[i] || n->size[i] != (size_t)(sizes[i] - '0'))
			return false;
	return sizes[n->groups] == 0;
}

static bool signs(const struct number *n, const char *allowed)
{
	for (size_t i = 0; i + 1 < n->groups; i++)
		if (!strchr(allowed, n->sign[i]) || n->sign[i] != n->sign[0])
			return false;
	return n->groups > 1;
}

/* Four groups that may be an address of a host or a version. */
static bool host_layout(const struct number *n)
{
	size_t at = 0, small = 0;
	for (size_t i = 0; i < n->groups; at += n->size[i++])
		small += n->size[i] == 1 || (n->size[i] <= 3 && n->digits[at] != '0' &&
					     check_number(n->digits + at, n->size[i]) < 256);
	return small == n->groups;
}

/* Groups with dots between that may be something else: addresses, thousands, decimals. */
static bool dotted_layout(const struct number *n)
{
	if (n->plus || n->bracket || !signs(n, "."))
		return false;
	size_t threes = 0;
	for (size_t i = 1; i < n->groups; i++)
		threes += n->size[i] == 3;
	if (n->groups == 4 && !sizes(n, "2222"))
		return true;
	if (threes == n->groups - 1 && n->size[0] < 3 && n->digits[0] != '0')
		return true;
	return n->groups == 2 && (n->digits[0] != '0' || n->size[0] < 3);
}

/* A word for a telephone right before them says what they are; before a zero it may stand a little
 * further off. */
static bool dots_announced(const struct number *n, const struct near *near)
{
	size_t most = n->digits[0] == '0' ? 16 : 4;
	return near->before[NEAR_PHONE] <= most && !(n->groups == 4 && host_layout(n));
}

/* Layouts of other things: dates, counting. */
static bool other_layout(const struct number *n)
{
	if (n->plus || n->bracket || n->groups == 1)
		return false;
	int first = check_number(n->digits, n->size[0] < 9 ? n->size[0] : 9);
	int second = check_number(n->digits + n->size[0], n->size[1] < 9 ? n->size[1] : 9);
	bool year = n->size[0] == 4 && first >= 1900 && first < 2100;
	if (year && n->size[1] == 2 && second <= 12)
		return true;
	if (n->groups == 3 && n->size[0] <= 2 && n->size[1] <= 2 && n->size[2] == 4)
		return true;
	size_t single = 0;
	for (size_t i = 1; i < n->groups; i++)
		single += n->size[i] == 1;
	return single > 1 || (n->size[0] == 1 && single > 0 && n->digits[0] != '0');
}

/* 212-555-0147, 1-212-555-0147, 1800.234.5678 */
static bool american_layout(const struct number *n)
{
	size_t one = n->n == 11 && n->digits[0] == '1' ? 1 : 0;
	return filter_phone_american(n->digits + one, n->n - one) && signs(n, "-.") &&
	       (sizes(n, "334") || sizes(n, "1334") || sizes(n, "434"));
}

/* Layouts that only telephone numbers have. */
static bool own_layout(const struct number *n)
{
	if (n->form == PHONE_WORLD && !n->plus)
		return n->groups > 2;
	if (n->form == PHONE_TRUNK) {
		bool french = sizes(n, "22222") && signs(n, ".-") && n->digits[0] == '0';
		bool slash = n->groups > 1 && n->sign[0] == '/' && n->size[0] >= 3 &&
			     n->size[1] >= 3 && n->n >= 9;
		return n->bracket || french || slash || american_layout(n);
	}
	if (n->form != PHONE_SHORT)
		return false;
	return n->bracket ? n->n >= 10 : american_layout(n);
}

/* ---- reasons */

static bool by_words(const struct number *n, const struct near *near)
{
	size_t other = near->before[NEAR_OTHER];
	size_t phone = near->before[NEAR_PHONE], contact = near->before[NEAR_CONTACT];
	bool adjoins = filter_near_other(near);
	if (phone != NEAR_NONE)
		return phone <= other || !adjoins;
	if (near->after[NEAR_PHONE] != NEAR_NONE && !adjoins)
		return true;
	if (contact != NEAR_NONE && (contact <= other || !adjoins))
		return true;
	if (near->before[NEAR_NUMBER] == NEAR_NONE || other != NEAR_NONE)
		return false;
	return n->form == PHONE_TRUNK || n->form == PHONE_WORLD || n->groups > 2 || sizes(n, "55");
}

/* Short ones may be computed or assigned: "x = +12345678". */
static bool in_formula(const struct detect_hit *h, const struct number *n)
{
	size_t i = h->start;
	while (i > 0 && h->text[i - 1] == ' ')
		i--;
	return n->n < 10 && n->groups == 1 && i > 0 && strchr("=<>*/^%+-", h->text[i - 1]);
}

/* Alone it may be anything: eleven digits and more without a zero in front, a version, or a row. */
static bool any_number(const struct number *n)
{
	if (n->form != PHONE_SHORT && n->digits[0] == '0')
		return false;
	return (n->groups == 4 && signs(n, ".")) || n->form == PHONE_ASSIGNED || n->groups > 4 ||
	       (!n->plus && n->groups == 1 && n->n > 10);
}

static bool reasoned(const struct detect_hit *h, const struct number *n)
{
	bool world = n->form == PHONE_WORLD && n->plus && !in_formula(h, n);
	if (world && !h->always)
		return true;
	if (!world && other_layout(n))
		return false;
	struct near near;
	filter_near(h, &near);
	if (dotted_layout(n) && !world && !dots_announced(n, &near))
		return false;
	if (by_words(n, &near) || (filter_near_alone(h) && !any_number(n)))
		return true;
	if (filter_near_other(&near))
		return false;
	uint32_t column = filter_near_columns(h);
	if (column & (1u << NEAR_PHONE | 1u << NEAR_CONTACT))
		return true;
	if (column & 1u << NEAR_OTHER || h->always)
		return false;
	if (n->form == PHONE_ASSIGNED && n->plus)
		return n->n >= 9 && !in_formula(h, n);
	return own_layout(n);
}

/* ---- borders */

/* A number does not end where a letter, a digit or a decimal follows; a second number may. */
static bool border(const struct detect_hit *h)
{
	size_t at = h->end;
	if (at >= h->len)
		return true;
	char c = h->text[at], next = at + 1 < h->len ? h->text[at + 1] : 0;
	if (isalnum((unsigned char)c) || c == '_')
		return false;
	/* Hungarian and others hang endings on: "234 5678-on". */
	if (c == '-' && islower((unsigned char)next))
		return true;
	bool joins = c == '-' || c == '.' || c == '/' || c == ':' || c == '\'';
	bool second = c == '/' && (is_digit(next) || h->text[h->start] == '+');
	return !joins || !isalnum((unsigned char)next) || second;
}

/* Equal groups go on behind it: a longer number of another kind, a card, a row of a table. */
static bool goes_on(const struct detect_hit *h, const struct writing *w, size_t last,
		    const struct number *n)
{
	if (n->form != PHONE_SHORT || last + 1 >= w->groups || n->groups < 2)
		return false;
	size_t size = w->end[last] - w->start[last];
	bool bracket = false;
	return w->end[last + 1] - w->start[last + 1] == size && n->size[last - 1] == size &&
	       between(h, w, last, &bracket) == n->sign[last - 1] &&
	       h->text[w->start[last + 1]] != '0';
}

/* Equal groups stand before it: it would begin in the middle of a card or of a row. */
static bool goes_before(const struct detect_hit *h, const struct number *n)
{
	size_t i = h->start, size = 0;
	if (n->plus || n->bracket || n->groups < 2 || i == 0 || h->text[i - 1] != n->sign[0])
		return false;
	for (i--; i > 0 && is_digit(h->text[i - 1]); i--)
		size++;
	return size == n->size[0];
}

/* Thousands and decimals with a comma: "1,234 567". */
static bool in_figure(const struct detect_hit *h, const struct writing *w)
{
	size_t i = h->start;
	return !w->plus && !w->bracket && i > 1 && h->text[i - 1] == ',' &&
	       is_digit(h->text[i - 2]) && h->text[i] != '0' && w->end[0] - w->start[0] == 3;
}

/* Where "ext. 12" ends behind the group: the last that the regex took; else the group's own end. */
static size_t extension(const struct detect_hit *h, const struct writing *w, size_t last)
{
	if (last + 2 == w->groups)
		for (size_t i = w->end[last]; i < w->start[last + 1]; i++)
			if (isalpha((unsigned char)h->text[i]))
				return w->end[last + 1];
	return w->end[last];
}

enum detect_verdict detect_phone(struct detect_hit *h)
{
	struct writing w;
	if (!writing_of(h, &w) || in_figure(h, &w))
		return DETECT_NO;
	size_t last = w.groups;
	while (last-- > 0) {
		struct number n;
		if (!number_of(h, &w, last, &n))
			continue;
		h->end = extension(h, &w, last);
		if (!border(h) || check_same(n.digits, n.n))
			continue;
		number_read(&n);
		if (n.form != PHONE_NONE && !goes_before(h, &n) && !goes_on(h, &w, last, &n) &&
		    reasoned(h, &n)) {
			h->tail = h->end;
			return DETECT_YES;
		}
	}
	return DETECT_NO;
}
