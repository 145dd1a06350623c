/* Forms and groupings of kinds, read from their rows. */
#include "filters/kind.h"

#include "base/check.h"

#include <pthread.h>
#include <string.h>

#define ROWS_MAX 4096

static const struct kind *row_of[ROWS_MAX];
static size_t rows;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The rows of all tables in one list, since they are asked for one after the other. */
static void list_rows(void)
{
	const struct kind *const *const lists[] = {
		kind_tables_general,	   kind_tables_eu,	    kind_tables_europe,
		kind_tables_north_america, kind_tables_latin_america, kind_tables_east_asia,
		kind_tables_south_asia,	   kind_tables_middle_east, kind_tables_africa,
		kind_tables_pacific,	   kind_tables_europe_east,
	};
	for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
		for (size_t t = 0; lists[k][t]; t++)
			for (const struct kind *row = lists[k][t]; row->name; row++) {
				check(rows < ROWS_MAX);
				row_of[rows++] = row;
			}
}

const struct kind *kind_at(size_t i)
{
	pthread_once(&once, list_rows);
	return i < rows ? row_of[i] : NULL;
}

#define DIGITS UINT64_C(0x3FF)
#define LETTERS (UINT64_C(0x3FFFFFF) << 10)

uint64_t kind_symbol(char c)
{
	if (c >= '0' && c <= '9')
		return UINT64_C(1) << (c - '0');
	if (c >= 'A' && c <= 'Z')
		return UINT64_C(1) << (c - 'A' + 10);
	if (c >= 'a' && c <= 'z')
		return UINT64_C(1) << (c - 'a' + 10);
	return 0;
}

/* ---- forms */

struct element {
	uint64_t set;
	unsigned least, most; /* how often */
};

struct alternative {
	struct element element[KIND_LENGTH_MAX];
	unsigned elements;
};

static int wrong(const char *form, const char *at, const char *what, struct err *e)
{
	return err_set(e, ERR_INPUT, "form \"%.60s\", at character %td: %s", form, at - form + 1,
		       what);
}

static int read_class(const char *form, const char **at, uint64_t *set, struct err *e)
{
	const char *p = *at;
	*set = 0;
	for (; *p && *p != ']'; p++) {
		uint64_t first = kind_symbol(*p), last = first;
		if (p[1] == '-' && p[2] && p[2] != ']') {
			last = kind_symbol(p[2]);
			p += 2;
		}
		if (!first || last < first)
			return wrong(form, p, "a class holds letters, digits and ranges", e);
		*set |= (last << 1) - first;
	}
	if (*p != ']' || !*set)
		return wrong(form, p, "a class is empty or has no end", e);
	*at = p + 1;
	return 0;
}

static int read_count(const char *form, const char **at, unsigned *out, struct err *e)
{
	unsigned n = 0, digits = 0;
	for (; **at >= '0' && **at <= '9' && digits < 3; (*at)++, digits++)
		n = n * 10 + (unsigned)(**at - '0');
	*out = n;
	return digits ? 0 : wrong(form, *at, "a count is missing", e);
}

static int read_repeat(const char *form, const char **at, struct element *x, struct err *e)
{
	x->least = x->most = 1;
	if (**at != '{')
		return 0;
	++*at;
	TRY(read_count(form, at, &x->least, e));
	x->most = x->least;
	if (**at == ',') {
		++*at;
		TRY(read_count(form, at, &x->most, e));
	}
	if (**at != '}' || x->most == 0 || x->least > x->most || x->most > KIND_LENGTH_MAX)
		return wrong(form, *at, "a repeat is {n} or {m,n}", e);
	++*at;
	return 0;
}

static int read_element(const char *form, const char **at, struct element *x, struct err *e)
{
	char c = *(*at)++;
	switch (c) {
	case '#':
		x->set = DIGITS;
		break;
	case 'A':
		x->set = LETTERS;
		break;
	case 'X':
		x->set = LETTERS | DIGITS;
		break;
	case '[':
		TRY(read_class(form, at, &x->set, e));
		break;
	default:
		x->set = kind_symbol(c);
		if (!x->set || (c >= 'a' && c <= 'z'))
			return wrong(form, *at - 1, "not a capital, a digit, # or a class", e);
	}
	return read_repeat(form, at, x, e);
}

static int read_alternative(const char *form, const char **at, struct alternative *a, struct err *e)
{
	unsigned most = 0;
	a->elements = 0;
	while (**at && **at != '|') {
		if (a->elements == KIND_LENGTH_MAX)
			return wrong(form, *at, "too long", e);
		struct element *x = &a->element[a->elements++];
		TRY(read_element(form, at, x, e));
		most += x->most;
	}
	if (a->elements == 0 || most > KIND_LENGTH_MAX)
		return wrong(form, *at, a->elements ? "too long" : "empty", e);
	return 0;
}

/* The shape with times[i] of element i; the last element may go on to its most. */
static void make_shape(const struct alternative *a, const unsigned *times, struct kind_shape *s)
{
	unsigned n = 0;
	for (unsigned i = 0; i + 1 < a->elements; i++)
		for (unsigned k = 0; k < times[i]; k++)
			s->at[n++] = a->element[i].set;
	const struct element *last = &a->element[a->elements - 1];
	s->least = (uint8_t)(n + last->least);
	for (unsigned k = 0; k < last->most; k++)
		s->at[n++] = last->set;
	s->most = (uint8_t)n;
}

/* The next choice of how often each element but the last comes; false behind the last choice. */
static bool next_times(const struct alternative *a, unsigned *times)
{
	for (unsigned i = 0; i + 1 < a->elements; i++) {
		if (times[i] < a->element[i].most) {
			times[i]++;
			return true;
		}
		times[i] = a->element[i].least;
	}
	return false;
}

int kind_form(const char *form, struct kind_shape *out, size_t *count, struct err *e)
{
	const char *at = form;
	bool capitals = *at == '^';
	at += capitals;
	*count = 0;
	for (;;) {
		struct alternative a;
		unsigned times[KIND_LENGTH_MAX];
		TRY(read_alternative(form, &at, &a, e));
		for (unsigned i = 0; i < a.elements; i++)
			times[i] = a.element[i].least;
		do {
			if (*count == KIND_SHAPES_MAX)
				return wrong(form, at, "too many shapes", e);
			struct kind_shape *s = &out[(*count)++];
			*s = (struct kind_shape){ .capitals = capitals };
			make_shape(&a, times, s);
		} while (next_times(&a, times));
		if (!*at)
			return 0;
		at++;
	}
}

/* ---- groupings */

int kind_groups(const char **at, struct kind_grouping *out, struct err *e)
{
	const char *p = *at ? *at : "", *start = p;
	*out = (struct kind_grouping){ 0 };
	while (*p && *p != '|') {
		unsigned n = 0;
		for (; *p >= '0' && *p <= '9' && n <= KIND_LENGTH_MAX; p++)
			n = n * 10 + (unsigned)(*p - '0');
		if (n == 0 || out->symbols + n > KIND_LENGTH_MAX || out->groups == KIND_GROUPS_MAX)
			return err_set(e, ERR_INPUT, "groups \"%.60s\": wrong lengths", start);
		out->length[out->groups++] = (uint8_t)n;
		out->symbols = (uint8_t)(out->symbols + n);
		if (!*p || *p == '|')
			break;
		if (!strchr(" -./_:+,(", *p) || !p[1] || p[1] == '|')
			return err_set(e, ERR_INPUT, "groups \"%.60s\": a wrong separator", start);
		out->separator[out->groups - 1] = *p++;
	}
	if ((*start && out->groups < 2) || (*p == '|' && !p[1]))
		return err_set(e, ERR_INPUT, "groups \"%.60s\": fewer than two", start);
	*at = *p == '|' ? p + 1 : p;
	return 0;
}
