/* What the tables of detectors hold, for people: kinds of numbers, secrets, and shapes by regex, in
 * one list. */
#include "filters/detect.h"
#include "filters/filters.h"
#include "filters/kind.h"
#include "filters/near.h"
#include "filters/secret.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct filter_detector list[FILTER_DETECTORS_MAX];
static size_t count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *or_empty(const char *text) { return text ? text : ""; }

/* A place for a row that is the newest of its name; NULL where another row of the name has one. */
static struct filter_detector *place(const char *name, unsigned version)
{
	if (version != filter_detector_version(name) || count == FILTER_DETECTORS_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return NULL;
	list[count] = (struct filter_detector){ .name = name, .version = version };
	return &list[count++];
}

static const char *need_name(enum kind_need need)
{
	switch (need) {
	case NEED_NOTHING:
		return "nothing";
	case NEED_NO_VETO:
		return "no other name before it";
	case NEED_WORD:
		return "one of its words near it";
	case NEED_LABEL:
		return "one of its words near it, alone too";
	case NEED_UNSET:
	case NEED_NEVER:
		break;
	}
	return "is not taken";
}

static void add_kind(const struct kind *k)
{
	struct filter_detector *d = place(k->name, k->version);
	if (!d)
		return;
	d->what = or_empty(k->what);
	d->source = or_empty(k->source);
	d->example = or_empty(k->example);
	d->check = k->check ? "check digits or a date decide" : "the form decides";
	d->words = k->words;
	if (k->bare == k->loose && (!k->groups || k->bare == k->grouped))
		snprintf(d->context, sizeof d->context, "needs %s", need_name(k->bare));
	else
		snprintf(d->context, sizeof d->context,
			 "bare: %s; in its groups: %s; in others: %s", need_name(k->bare),
			 k->groups ? need_name(k->grouped) : "is not taken", need_name(k->loose));
}

static void add_secret(const struct secret_kind *k)
{
	struct filter_detector *d = place(k->name, k->version);
	if (!d)
		return;
	d->what = or_empty(k->what);
	d->source = or_empty(k->source);
	d->example = or_empty(k->example);
	d->check = k->check     ? "a checksum or its structure decides"
		   : k->entropy ? "entropy and a list of placeholders decide"
				: "a list of placeholders decides";
	d->keywords = k->keywords;
	snprintf(d->context, sizeof d->context, "needs one of its keywords");
}

static void add_shape(const struct detector *x)
{
	struct filter_detector *d = place(x->name, x->version);
	if (!d)
		return;
	d->what = or_empty(x->what);
	d->source = or_empty(x->source);
	d->example = or_empty(x->example);
	d->check = x->check ? "a check of the value decides" : "the form decides";
	d->keywords = x->words ? filter_near_words[x->words - 1] : NULL;
	snprintf(d->context, sizeof d->context, "%s", x->needs ? x->needs : "needs nothing");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct filter_detector *)a)->name,
		      ((const struct filter_detector *)b)->name);
}

static void make(void)
{
	for (size_t i = 0; kind_at(i); i++)
		add_kind(kind_at(i));
	for (size_t i = 0; filter_detector_at(i); i++)
		add_shape(filter_detector_at(i));
	for (size_t i = 0; filter_secret_at(i); i++)
		add_secret(filter_secret_at(i));
	qsort(list, count, sizeof *list, by_name);
}

const struct filter_detector *filter_detector_describe(size_t i)
{
	pthread_once(&once, make);
	return i < count ? &list[i] : NULL;
}

const struct filter_detector *filter_detector_find(const char *name)
{
	size_t from = 0, to;
	pthread_once(&once, make);
	for (to = count; from < to;) {
		size_t i = (from + to) / 2;
		int c = strcmp(name, list[i].name);
		if (c == 0)
			return &list[i];
		if (c < 0)
			to = i;
		else
			from = i + 1;
	}
	return NULL;
}

bool filter_detector_worded(const char *name)
{
	char base[128];
	snprintf(base, sizeof base, "%.*s", (int)strcspn(name, "/"), name);
	const struct filter_detector *d = filter_detector_find(base);
	return d && (d->words || d->keywords);
}
