/* What was counted becomes durable: a thread adds to the table of usage, every second and at the
 * end, what has been counted since, in one transaction. Where that fails, it stays in memory, and
 * the next second tries again. The same thread looks at the table of tokens, for what a process
 * made or revoked that died before it could say so. */
#include "access/live.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAVE_S 1

void access_cells_free(struct access_cell *cells)
{
	struct access_cell *next;
	for (; cells; cells = next) {
		next = cells->next;
		free(cells);
	}
}

static void usage_add(struct access_usage *to, const struct access_usage *u)
{
	to->requests += u->requests;
	to->prompt += u->prompt;
	to->cached += u->cached;
	to->completion += u->completion;
	to->refused += u->refused;
}

static struct access_cell *cell_of(struct access_token *t, const char *model, int64_t hour)
{
	for (struct access_cell *c = t->cells; c; c = c->next)
		if (c->hour == hour && strcmp(c->model, model) == 0)
			return c;
	size_t room = strlen(model) + 1;
	struct access_cell *c = calloc(1, sizeof *c + room);
	if (!c)
		return NULL;
	memcpy(c->model, model, room);
	c->hour = hour;
	c->next = t->cells;
	t->cells = c;
	return c;
}

/* Where memory is out, what was counted is in the token's sums, and missing in the table. */
void access_usage_note(struct access_token *t, const char *model, const struct access_usage *u)
{
	struct access *a = t->a;
	struct access_cell *c = cell_of(t, model, env_now_us(a->o.env) / 3600000000);
	if (c)
		usage_add(&c->sum, u);
	if (t->is_unsaved)
		return;
	t->is_unsaved = true;
	pthread_mutex_lock(&a->save_lock);
	t->unsaved = a->unsaved;
	a->unsaved = t;
	pthread_mutex_unlock(&a->save_lock);
}

/* ---- saving ---- */

static struct access_cell *take_cells(struct access_token *t)
{
	pthread_mutex_lock(&t->lock);
	struct access_cell *cells = t->cells;
	t->cells = NULL;
	t->is_unsaved = false;
	pthread_mutex_unlock(&t->lock);
	return cells;
}

static void give_back(struct access_token *t, struct access_cell *cells)
{
	struct access_cell *next;
	pthread_mutex_lock(&t->lock);
	for (; cells; cells = next) {
		next = cells->next;
		access_usage_note(t, cells->model, &(struct access_usage){ 0 });
		struct access_cell *c = cell_of(t, cells->model, cells->hour);
		if (c)
			usage_add(&c->sum, &cells->sum);
		free(cells);
	}
	pthread_mutex_unlock(&t->lock);
}

/* A token and what was taken of it, while it is being saved. */
struct saving {
	struct access_token *token;
	struct access_cell *cells;
};

static int save_all(struct access *a, const struct saving *list, size_t count, struct err *e)
{
	struct store_tx *tx;
	TRY(store_write(a->o.store, &tx, e));
	int rc = access_schema(tx, e);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = access_cells_add(tx, list[i].token->grant.id, list[i].cells, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

static struct access_token *take_unsaved(struct access *a)
{
	pthread_mutex_lock(&a->save_lock);
	struct access_token *list = a->unsaved;
	a->unsaved = NULL;
	pthread_mutex_unlock(&a->save_lock);
	return list;
}

static int save(struct access *a, struct err *e)
{
	struct access_token *list = take_unsaved(a);
	size_t count = 0;
	if (!list)
		return 0;
	for (const struct access_token *t = list; t; t = t->unsaved)
		count++;
	struct saving *all = calloc(count, sizeof *all);
	size_t n = 0;
	for (struct access_token *t = list, *next; t; t = next) {
		next = t->unsaved; /* before another may put it into the list again */
		struct access_cell *cells = take_cells(t);
		if (all)
			all[n++] = (struct saving){ t, cells };
		else
			give_back(t, cells);
	}
	int rc = all ? save_all(a, all, n, e) : err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		if (rc < 0)
			give_back(all[i].token, all[i].cells);
		else
			access_cells_free(all[i].cells);
	free(all);
	return rc;
}

/* Said once, not every second. */
static void report(struct access *a, int rc, const struct err *e)
{
	if (rc < 0 && a->save_err.code != rc)
		fprintf(stderr, "hallmark: usage of tokens is not saved now: %s\n", e->text);
	a->save_err = rc < 0 ? *e : (struct err){ 0 };
}

static void *save_often(void *arg)
{
	struct access *a = arg;
	struct err e = { 0 };
	pthread_mutex_lock(&a->save_lock);
	while (!a->ends) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += SAVE_S;
		pthread_cond_timedwait(&a->ending, &a->save_lock, &until);
		pthread_mutex_unlock(&a->save_lock);
		report(a, save(a, &e), &e);
		(void)!access_look(a, &e); /* a request says what is wrong */
		pthread_mutex_lock(&a->save_lock);
	}
	pthread_mutex_unlock(&a->save_lock);
	report(a, save(a, &e), &e);
	return NULL;
}

/* Signals belong to the thread that serves. */
int access_usage_start(struct access *a, struct err *e)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	a->has_saver = pthread_create(&a->saver, NULL, save_often, a) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return a->has_saver ? 0 : err_set(e, ERR_IO, "no thread can be made");
}

void access_usage_end(struct access *a)
{
	if (!a->has_saver)
		return;
	pthread_mutex_lock(&a->save_lock);
	a->ends = true;
	pthread_cond_signal(&a->ending);
	pthread_mutex_unlock(&a->save_lock);
	pthread_join(a->saver, NULL);
}
