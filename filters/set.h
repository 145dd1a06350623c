/* Compiled rules, shared by streams. Private to the room. */
#ifndef FILTERS_SET_H
#define FILTERS_SET_H

#include "base/arena.h"
#include "filters/automaton.h"
#include "filters/decode.h"
#include "filters/detect.h"
#include "filters/filters.h"
#include "filters/number.h"
#include "filters/regex.h"
#include "filters/secret.h"
#include "filters/view.h"

#define GAP_MAX 64 /* dropped separators that a rule may ask for */

/* A value that a rule leaves alone, as except.c compares them. */
struct excepted {
	const uint32_t *cp;
	size_t n;
};

struct rule {
	const char *id, *replacement, *detector;
	uint32_t replacement_len;
	struct excepted *except; /* [excepts] */
	size_t excepts;
	enum filter_action action;
	enum filter_context context;
	uint32_t decode; /* FILTER_DECODE_* that its matches may be made of */
	bool yields;     /* its matches inside of a strong number are none */
};

/* What text a probe reads. */
enum text_view {
	TEXT_RAW,   /* as it stands: invisible characters */
	TEXT_PLAIN, /* VIEW_PLAIN: regexes of rules */
	TEXT_VALUE, /* VIEW_VALUE: detectors */
	TEXT_VIEWS
};

/* A compiled regex and the rule it is for. */
struct probe {
	struct regex regex;
	const struct detector *detector; /* or NULL */
	uint32_t rule;
	enum text_view view;
	uint32_t behind; /* code points in front of a value that its context may lie in */
};

/* A kind of secret, and the rule that asks for it. */
struct secret_probe {
	const struct secret_kind *kind;
	const struct regex *regex; /* of the process */
	uint32_t rule;
};

/* All kinds that the rules ask for. probes of keyword k: probe_of[first[k]] to [first[k + 1]). */
struct secrets {
	struct automaton *automaton; /* of the keywords; NULL: no rule asks for a secret */
	struct secret_probe *probe;
	uint32_t *first, *probe_of;
	size_t probes;
	uint32_t lead;    /* most characters that a value may begin before its keyword */
	uint32_t behind;  /* as of a probe, over all */
	uint32_t decodes; /* FILTER_DECODE_* that some rule allows */
};

/* Literals that are folded alike. strict: a and b of both directions; else only one automaton. */
struct group {
	enum filter_fold fold;
	uint32_t gap_max;
	uint32_t decodes; /* FILTER_DECODE_* that some of its rules allow */
	struct automaton *a, *b, *a_reversed, *b_reversed;
};

struct filter_set {
	struct arena arena, scratch; /* scratch: only while it is built */
	struct rule *rule;           /* sorted by id */
	size_t rules;
	struct probe *probe;
	size_t probes;
	struct secrets secrets;
	struct number_table *numbers; /* or NULL: no rule asks for a kind */
	struct group *group;
	size_t groups;
	size_t width;    /* bytes */
	uint32_t context; /* code points that a probe may look at before its cursor */
	uint32_t behind;  /* code points that a window keeps before the earliest cursor */
	bool strict;
	uint32_t decodes; /* FILTER_DECODE_* that some rule allows */
};

/* Source bytes that one kept character of a view and what is dropped in front of it may take, where
 * a rule allows these encodings and so many dropped separators. */
size_t filter_set_spread(uint32_t decode, uint32_t gap_max);

/* set_secrets.c: kinds of secrets, and the automaton of their keywords. */
int filter_set_secrets(struct filter_set *s, const struct filter_rule **rule,
		       struct err *e) MUST_USE;

/* except.c */
int filter_except_copy(struct filter_set *s, struct rule *to, const struct filter_rule *from,
		       struct err *e) MUST_USE;
/* Whether a text is a writing of a value that the rule leaves alone. */
bool filter_excepted(const struct rule *r, const char *text, size_t len);

#endif
