/* The lives of workers in a log that is verified: each number once and none missing, a start first
 * and a stop last, or a `lost` entry in its place.
 *
 * Numbers come nearly in order, so they are kept as spans, which the next number mostly extends,
 * and are sorted at the end: their value may be far above the log's size, and costs nothing.
 *
 * Only one process writes at a time, and closes what it finds open before its own start. So of the
 * workers without an end only the one that started last may be running, or have been killed with
 * nobody after it; without an end for any other, records may be missing. Workers that write through
 * another's process name it as their host, and share its fate. */
#include "audit/verify.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct life {
	char id[17];
	bool ended;
	size_t order; /* the running number of its start, or its host's; 0 without one */
	size_t tail;  /* the span of its newest number, plus one */
};

struct span {
	size_t worker;
	uint64_t first, last;
	bool lost; /* stated by a `lost` entry: may cover what is there */
};

int audit_lives_open(struct check *k)
{
	k->lives.index = json_object();
	return k->lives.index ? 0 : err_set(k->e, ERR_NOMEM, "out of memory");
}

void audit_lives_close(struct check *k)
{
	json_decref(k->lives.index);
	free(k->lives.worker);
	free(k->lives.span);
}

static int find_worker(struct check *k, const char *id, struct life **out)
{
	struct lives *l = &k->lives;
	const json_t *at = json_object_get(l->index, id);

	if (at) {
		*out = &l->worker[json_integer_value(at)];
		return 0;
	}
	struct life *grown = realloc(l->worker, (l->workers + 1) * sizeof *grown);
	if (grown)
		l->worker = grown;
	if (!grown || json_object_set_new(l->index, id, json_integer((json_int_t)l->workers)) < 0)
		return err_set(k->e, ERR_NOMEM, "out of memory");
	*out = &l->worker[l->workers++];
	**out = (struct life){ .tail = 0 };
	snprintf((*out)->id, sizeof(*out)->id, "%s", id);
	return 0;
}

static int add_span(struct check *k, const struct life *w, uint64_t first, uint64_t last, bool lost)
{
	struct lives *l = &k->lives;

	if (l->spans == l->room) {
		size_t room = l->room * 2 + 64;
		struct span *grown = realloc(l->span, room * sizeof *grown);
		if (!grown)
			return err_set(k->e, ERR_NOMEM, "out of memory");
		l->span = grown;
		l->room = room;
	}
	check(l->span);
	l->span[l->spans++] = (struct span){ (size_t)(w - l->worker), first, last, lost };
	return 0;
}

static int add_number(struct check *k, struct life *w, uint64_t n)
{
	struct span *tail = w->tail ? &k->lives.span[w->tail - 1] : NULL;

	if (tail && tail->last + 1 == n) {
		tail->last = n;
		return 0;
	}
	TRY(add_span(k, w, n, n, false));
	w->tail = k->lives.spans;
	return 0;
}

/* Numbers that a worker's end names: given, and never a record's. */
static int take_missing(struct check *k, struct life *w, const json_t *body)
{
	const json_t *item;
	uint64_t first, last;
	size_t i;

	json_array_foreach(json_object_get(body, "missing"), i, item) {
		if (audit_range_read(item, &first, &last))
			TRY(add_span(k, w, first, last, true));
	}
	return 0;
}

/* A `lost` entry, in which the log states that a worker died: its missing numbers were never
 * acknowledged; or that it has more of them than its stop can name. */
static int take_lost(struct check *k, const json_t *body)
{
	const char *id = json_string_value(json_object_get(body, "worker"));
	struct life *w = NULL;

	if (!id || strlen(id) != 16)
		return 0;
	TRY(find_worker(k, id, &w));
	check(w);
	w->ended = w->ended || !json_is_true(json_object_get(body, "more"));
	return take_missing(k, w, body);
}

static int take_start(struct check *k, const struct record_head *head)
{
	const json_t *body = json_object_get(head->entry, "body");
	const char *id = json_string_value(json_object_get(body, "host"));
	struct life *w = NULL, *host = NULL;

	if (id && strlen(id) == 16)
		TRY(find_worker(k, id, &host));
	size_t order = host ? host->order : ++k->lives.starts;
	TRY(find_worker(k, head->worker, &w)); /* host may have moved */
	check(w);
	w->order = order;
	return 0;
}

int audit_lives_take(struct check *k, uint64_t index, const struct record_head *head)
{
	struct life *w = NULL;

	TRY(find_worker(k, head->worker, &w));
	check(w);
	TRY(add_number(k, w, head->n));
	if (head->unread)
		return 0;
	if (strcmp(head->type, "lost") == 0 && strcmp(head->worker, LOG_ITSELF) == 0)
		return take_lost(k, json_object_get(head->entry, "body"));
	if (w->ended)
		audit_check_problem(k, "stop", "worker %s: entry %llu after its end", head->worker,
				    (unsigned long long)index);
	if (strcmp(head->type, "start") == 0)
		return take_start(k, head);
	if (strcmp(head->type, "stop") != 0)
		return 0;
	w->ended = true;
	return take_missing(k, w, json_object_get(head->entry, "body"));
}

/* ---- after the last entry ---- */

static int by_worker_and_number(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->worker != y->worker)
		return x->worker < y->worker ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* The spans of one worker from `at` on: the end of them, and its first number that is missing. */
static size_t sweep(struct check *k, size_t at, bool *gap, uint64_t *missing)
{
	const struct span *s = &k->lives.span[at], *end = k->lives.span + k->lives.spans;
	uint64_t whole = 0, recorded = 0; /* all below are covered; records reach to */
	size_t worker = s->worker;

	*gap = false;
	for (; s < end && s->worker == worker; s++) {
		if (s->first > whole && !*gap) {
			*gap = true;
			*missing = whole;
		}
		if (!s->lost && s->first < recorded)
			audit_check_problem(k, "gap", "worker %s: number %llu stands twice",
					    k->lives.worker[worker].id,
					    (unsigned long long)s->first);
		if (s->last >= whole)
			whole = s->last + 1;
		if (!s->lost && s->last >= recorded)
			recorded = s->last + 1;
	}
	return (size_t)(s - k->lives.span);
}

static void judge_worker(struct check *k, const struct life *w, bool gap, uint64_t missing)
{
	bool open = w->order && !w->ended, doubt = k->v->newer || k->skipped;
	unsigned long long n = missing;

	if (open && w->order == k->lives.starts)
		audit_check_remark(k, "worker",
				   "worker %s has no stop record: it may be running, or it was "
				   "killed; the next opening for writing says what it left",
				   w->id);
	else if (gap && doubt)
		audit_check_remark(
			k, "worker",
			"worker %s: number %llu is missing, or is in an entry of a later "
			"version",
			w->id, n);
	else if (gap)
		audit_check_problem(k, "gap", "worker %s: number %llu is missing", w->id, n);
	if (!open || w->order == k->lives.starts)
		return;
	if (k->v->newer)
		audit_check_remark(
			k, "worker",
			"worker %s has no stop record, or it is in an entry that could not be read",
			w->id);
	else
		audit_check_problem(
			k, "stop",
			"worker %s has no stop record, and others wrote after it: later "
			"records may be missing",
			w->id);
}

void audit_lives_judge(struct check *k)
{
	struct lives *l = &k->lives;
	uint64_t missing = 0;
	bool gap;

	if (l->spans)
		qsort(l->span, l->spans, sizeof *l->span, by_worker_and_number);
	for (size_t at = 0; at < l->spans;) {
		const struct life *w = &l->worker[l->span[at].worker];
		at = sweep(k, at, &gap, &missing);
		judge_worker(k, w, gap, missing);
	}
}
