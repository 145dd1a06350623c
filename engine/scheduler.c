/* Open, waiting and running tasks, and the thread that steps them. */
#include "engine/scheduler.h"
#include "engine/engine_in.h"

#include "base/check.h"
#include "base/digest.h"
#include "kernels/number.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_DEFAULT 64u
#define BATCH_MAX 1024u
#define PIECES 64u /* pieces of prompts in one step */

/* ---- the thread ---- */

static void *scheduler_main(void *arg)
{
	struct scheduler *s = arg;
	number_mode_enter();
	pthread_mutex_lock(&s->lock);
	while (!s->ending) {
		if (!scheduler_plan(s)) {
			s->idle = true;
			pthread_cond_wait(&s->work, &s->lock);
			s->idle = false;
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		scheduler_run(s);
		pthread_mutex_lock(&s->lock);
		scheduler_finish(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Under the lock. */
static int start(struct scheduler *s, struct err *e)
{
	size_t scratch = (size_t)s->engine->config.vocab * 8 * pool_threads(s->engine->pool);
	size_t turns = (size_t)s->batch + PIECES;
	if (s->started)
		return 0;
	if (s->turn == NULL)
		s->turn = calloc(turns, sizeof *s->turn);
	if (s->feed == NULL)
		s->feed = calloc(turns, sizeof *s->feed);
	if (s->scratch == NULL)
		s->scratch = aligned_alloc(64, (scratch + 63) / 64 * 64);
	if (s->turn == NULL || s->feed == NULL || s->scratch == NULL)
		return err_set(e, ERR_NOMEM, "scheduler");
	if (pthread_create(&s->thread, NULL, scheduler_main, s) != 0)
		return err_set(e, ERR_UNAVAILABLE, "cannot start the scheduler's thread");
	s->started = true;
	return 0;
}

int scheduler_open(struct engine *m, const struct engine_options *o, struct err *e)
{
	struct scheduler *s = calloc(1, sizeof *s);
	if (s == NULL)
		return err_set(e, ERR_NOMEM, "scheduler");
	s->engine = m;
	s->clock = o->clock.steady_us ? o->clock : env_system().clock;
	s->batch = o->batch_max == 0          ? BATCH_DEFAULT
		   : o->batch_max < BATCH_MAX ? o->batch_max
					      : BATCH_MAX;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	m->scheduler = s;
	return sequence_pool_open(m, o, e);
}

void scheduler_close(struct engine *m)
{
	struct scheduler *s = m->scheduler;
	if (s == NULL)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->ending = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	check(s->oldest == NULL); /* sessions are closed before their engine */
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s->turn);
	free(s->feed);
	free(s->scratch);
	free(s);
	m->scheduler = NULL;
	cache_pool_close(m->pages);
	m->pages = NULL;
	state_pool_close(m->states);
	m->states = NULL;
}

static void wake(struct scheduler *s)
{
	if (s->idle)
		pthread_cond_signal(&s->work);
}

void engine_load(struct engine *m, struct engine_load *out)
{
	struct scheduler *s = m->scheduler;
	pthread_mutex_lock(&s->lock);
	*out = s->load;
	for (const struct task *t = s->oldest; t != NULL; t = t->after) {
		out->running += t->state == TASK_RUNNING;
		out->waiting += t->state == TASK_WAITING;
	}
	pthread_mutex_unlock(&s->lock);
	out->lost = m->backend->lost;
	out->cache_pages = cache_pool_bound(m->pages);
	out->cache_pages_used = cache_pool_used(m->pages);
	if (m->states) {
		out->states = state_pool_bound(m->states);
		out->state_bytes = m->backend->state_bytes;
		state_pool_count(m->states, &out->states_held, &out->snapshots);
	}
}

/* ---- clients ---- */

static struct client *client_find(const struct scheduler *s, const char *name)
{
	struct client *c = s->clients;
	while (c != NULL && strcmp(c->name, name) != 0)
		c = c->next;
	return c;
}

bool engine_has_others(struct engine *m, const char *client)
{
	struct scheduler *s = m->scheduler;
	bool found = false;
	pthread_mutex_lock(&s->lock);
	for (const struct client *c = s->clients; c != NULL && !found; c = c->next)
		found = strcmp(c->name, client ? client : "") != 0;
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* Find or add a client. A new one starts with the virtual time of the client that was served least
 * (weighted fair queueing), so that it gets no credit for the past. */
static struct client *client_enter(struct scheduler *s, const char *name)
{
	struct client *c = client_find(s, name);
	if (c == NULL) {
		c = calloc(1, sizeof *c + strlen(name) + 1);
		if (c == NULL)
			return NULL;
		strcpy(c->name, name);
		c->next = s->clients;
		s->clients = c;
	}
	if (c->served < s->served)
		c->served = s->served;
	c->tasks++;
	return c;
}

static void client_leave(struct scheduler *s, struct client *c)
{
	if (c == NULL || --c->tasks > 0)
		return;
	struct client **at = &s->clients;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

/* ---- tasks ---- */

static int task_alloc(struct task *t, struct engine *m, const struct engine_request *q,
		      struct err *e)
{
	size_t vocab = m->config.vocab, ids = (size_t)t->prompt_count + t->id_room;
	t->rows = TASK_AHEAD + 1 + t->draft_max;
	t->token = malloc(ids * sizeof *t->token);
	t->logits = malloc(t->rows * vocab * sizeof *t->logits);
	if (t->draft_max > 0)
		t->draft_logits = malloc((t->draft_max + 1) * vocab * sizeof *t->draft_logits);
	if (t->sampling->logprobs || t->sampling->top_logprobs > 0)
		t->logprob = malloc(t->id_room * sizeof *t->logprob);
	if (t->token == NULL || t->logits == NULL ||
	    (t->draft_max > 0 && t->draft_logits == NULL) ||
	    ((t->sampling->logprobs || t->sampling->top_logprobs > 0) && t->logprob == NULL))
		return err_set(e, ERR_NOMEM, "session");
	/* A stop string ends it by a token that the backend does not know, a constraint too. */
	t->asks = m->backend->draws && t->logprob == NULL && t->sampling->stop_count == 0 &&
		  t->sampling->constraint == NULL;
	memcpy(t->token, q->prompt, t->prompt_count * sizeof *t->token);
	TRY(sampler_open(&t->sampler, m, t->sampling, t->token, t->prompt_count, t->id_room, e));
	return sequence_open(&t->sequence, m, (uint32_t)ids, e);
}

static void task_free(struct task *t)
{
	engine_sequence_close(t->sequence);
	sampler_close(t->sampler);
	free(t->token);
	free(t->logits);
	free(t->draft_logits);
	free(t->logprob);
	t->scheduler = NULL;
}

static int request_check(const struct engine *m, const struct engine_request *q, struct err *e)
{
	uint32_t context = m->config.context_max;
	if (q->count == 0)
		return err_set(e, ERR_INPUT, "the prompt is empty");
	if (q->count >= context)
		return err_set(e, ERR_INPUT, "the prompt has %zu tokens, the model's context %u",
			       q->count, context);
	for (size_t i = 0; i < q->count; i++) {
		if (q->prompt[i] >= m->config.vocab)
			return err_set(e, ERR_INPUT, "token id %u is outside the vocabulary of %u",
				       q->prompt[i], m->config.vocab);
	}
	return 0;
}

/* Set the answer's maximum length: as requested, else as much as context and cache leave. */
static int room_set(struct task *t, const struct engine *m, const struct engine_request *q,
		    struct err *e)
{
	uint64_t cache = cache_pool_bound(m->pages) * KERNEL_PAGE, count = q->count;
	uint64_t room = m->config.context_max - count, asked = q->sampling.tokens_max;
	if (asked > 0 && asked < room)
		room = asked;
	if (asked == 0 && count < cache && cache - count < room)
		room = cache - count;
	if (count + room > cache)
		return err_set(
			e, ERR_UNAVAILABLE,
			"a prompt of %llu tokens and an answer of up to %llu: the cache of all "
			"sequences holds %llu (%llu pages of %d)",
			(unsigned long long)count, (unsigned long long)room,
			(unsigned long long)cache, (unsigned long long)cache / KERNEL_PAGE,
			KERNEL_PAGE);
	t->prompt_count = (uint32_t)count;
	t->id_room = (uint32_t)room;
	return 0;
}

/* How many tasks may be open when this client opens one. Some places are reserved for clients with
 * few open answers (one request may ask for TASK_FEW), or one client could fill the queue and keep
 * the others out. */
static uint32_t places(const struct scheduler *s, const char *client)
{
	const struct client *c = client_find(s, client);
	return s->batch * (1 + TASK_QUEUE) + (c == NULL || c->tasks < TASK_FEW ? s->batch : 0);
}

/* Under the lock. */
static int task_enter(struct scheduler *s, struct task *t, const char *client, struct err *e)
{
	if (s->open_count >= places(s, client))
		return err_set(e, ERR_UNAVAILABLE,
			       "%u answers are being made or wait already: try again later",
			       s->open_count);
	TRY(start(s, e));
	t->client = client_enter(s, client);
	if (t->client == NULL)
		return err_set(e, ERR_NOMEM, "session");
	t->serial = ++s->serial;
	t->before = s->youngest;
	*(s->youngest != NULL ? &s->youngest->after : &s->oldest) = t;
	s->youngest = t;
	s->open_count++;
	t->entered_us = s->clock.steady_us(s->clock.ctx);
	wake(s);
	return 0;
}

static struct cache_key root_of(const char *group)
{
	struct digest d = digest_of(group, strlen(group));
	struct cache_key root;
	memcpy(&root, d.bytes, sizeof root);
	root.id[1] |= 1; /* never that of a page */
	return root;
}

int task_open(struct task *t, struct engine *m, const struct engine_request *q,
	      const struct engine_sampling *sampling, struct err *e)
{
	struct scheduler *s = m->scheduler;
	pthread_condattr_t attr;
	TRY(request_check(m, q, e));
	TRY(room_set(t, m, q, e));
	t->scheduler = s;
	t->sampling = sampling;
	t->deadline_us = q->deadline_us;
	t->root = root_of(q->group ? q->group : q->client ? q->client : "");
	t->shared = q->answer_unshared ? t->prompt_count : UINT32_MAX;
	t->unprepared = sampling->constraint != NULL;
	t->draft_max = t->unprepared                 ? 0
		       : q->speculation < TASK_DRAFT ? q->speculation
						     : TASK_DRAFT;
	int r = task_alloc(t, m, q, e);
	if (r < 0) {
		task_free(t);
		return r;
	}
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_lock(&s->lock);
	r = task_enter(s, t, q->client != NULL ? q->client : "", e);
	pthread_mutex_unlock(&s->lock);
	if (r < 0) {
		pthread_cond_destroy(&t->changed);
		task_free(t);
	}
	return r;
}

void scheduler_retire(struct scheduler *s, struct task *t)
{
	if (t->state == TASK_DONE)
		return;
	t->state = TASK_DONE;
	sequence_release(t->sequence);
	*(t->before != NULL ? &t->before->after : &s->oldest) = t->after;
	*(t->after != NULL ? &t->after->before : &s->youngest) = t->before;
	s->open_count--;
}

/* ---- the reader's side ---- */

void task_fail(struct task *t, int code, const char *text)
{
	if (t->result == 0)
		t->result = err_set(&t->err, code, "%s", text);
}

static void task_drop(struct task *t)
{
	t->unwanted = true;
	if (!t->stepping) {
		scheduler_retire(t->scheduler, t);
		wake(t->scheduler); /* another task may wait for its pages */
	}
}

/* Until something has changed, or the deadline. A condition knows the system's clock alone: it
 * waits for as long as the given clock says is left. */
static void task_wait(struct task *t)
{
	struct scheduler *s = t->scheduler;
	if (t->deadline_us == 0) {
		pthread_cond_wait(&t->changed, &s->lock);
		return;
	}
	int64_t left_us = t->deadline_us - s->clock.steady_us(s->clock.ctx);
	if (left_us <= 0) {
		task_fail(t, ERR_UNAVAILABLE, "the request's deadline has passed");
		task_drop(t);
		return;
	}
	int64_t until_us = env_wait_us() + left_us;
	struct timespec until = { .tv_sec = until_us / 1000000,
				  .tv_nsec = until_us % 1000000 * 1000 };
	(void)pthread_cond_timedwait(&t->changed, &s->lock, &until);
}

/* ---- masks of constraints ---- */

/* Steps of a mask that the reader's own thread makes: most masks are known already. */
#define QUICK_WORK (1u << 13)
#define SLOW_US 2000 /* after a mask that took longer the next one is not tried quickly */

struct mask_work {
	struct task *task;
	bool only_look;
	int rc;
	int64_t took_us; /* at work */
	struct err err;
};

static void mask_prepare(struct mask_work *w, uint32_t work)
{
	struct task *t = w->task;
	struct clock clock = t->scheduler->clock;
	int64_t begun = clock.steady_us(clock.ctx);
	w->rc = sampler_prepare(t->sampler, w->only_look, work, &t->mask.stop, &w->err);
	w->took_us += clock.steady_us(clock.ctx) - begun;
}

static void mask_work(void *arg) { mask_prepare(arg, 0); }

/* Without the lock. What takes long is made beside, where it waits for others of its client. */
static void mask_make(struct task *t, struct mask_work *w)
{
	w->rc = 1;
	if (!t->slow)
		mask_prepare(w, QUICK_WORK);
	t->slow = w->rc == 1;
	if (!t->slow)
		return;
	t->mask.work = mask_work;
	t->mask.arg = w;
	t->mask.client = t->client->name;
	if (!aside_run(t->scheduler->engine->aside, &t->mask))
		w->rc = err_set(&w->err, ERR_UNAVAILABLE, "the answer is not wanted any more");
}

/* The mask of the next token, which the step that draws it does not wait for: it may take half a
 * second. Its client pays for each millisecond as for a row. */
static void make_mask(struct task *t)
{
	struct scheduler *s = t->scheduler;
	struct mask_work w = { .task = t, .only_look = t->end != ENGINE_GOING };
	if (t->state != TASK_DONE || w.only_look) {
		pthread_mutex_unlock(&s->lock);
		mask_make(t, &w);
		pthread_mutex_lock(&s->lock);
		t->slow = t->slow && w.took_us > SLOW_US;
		t->client->served += w.took_us > 0 ? (uint64_t)w.took_us / 1000 : 0;
		if (w.rc < 0 && !w.only_look)
			task_fail(t, w.rc, w.err.text);
		else if (w.rc == 0 && sampler_is_complete(t->sampler))
			t->end = ENGINE_STOP;
		if (t->result < 0 || t->end != ENGINE_GOING)
			scheduler_retire(s, t);
	}
	t->unprepared = false;
	wake(s);
}

int task_take(struct task *t, bool *last, struct err *e)
{
	int r = 0;
	pthread_mutex_lock(&t->scheduler->lock);
	while (t->taken == t->drawn && t->result == 0) {
		if (t->unprepared && !t->stepping)
			make_mask(t);
		else
			task_wait(t);
	}
	if (t->taken < t->drawn) {
		t->taken++;
		if (t->unprepared && !t->eos)
			make_mask(t);
		*last = t->taken == t->drawn && t->end != ENGINE_GOING;
		wake(t->scheduler);
	} else {
		r = err_set(e, t->result, "%s", t->err.text);
	}
	pthread_mutex_unlock(&t->scheduler->lock);
	return r;
}

uint32_t task_cached(const struct task *t)
{
	pthread_mutex_lock(&t->scheduler->lock);
	uint32_t n = t->cached;
	pthread_mutex_unlock(&t->scheduler->lock);
	return n;
}

int64_t task_queued_us(const struct task *t)
{
	pthread_mutex_lock(&t->scheduler->lock);
	int64_t us = t->queued_us;
	pthread_mutex_unlock(&t->scheduler->lock);
	return us;
}

void task_quit(struct task *t)
{
	pthread_mutex_lock(&t->scheduler->lock);
	task_drop(t);
	pthread_mutex_unlock(&t->scheduler->lock);
}

void task_cancel(struct task *t)
{
	pthread_mutex_lock(&t->scheduler->lock);
	task_fail(t, ERR_UNAVAILABLE, "the answer is not wanted any more");
	task_drop(t);
	aside_cancel(&t->mask);
	pthread_cond_signal(&t->changed);
	pthread_mutex_unlock(&t->scheduler->lock);
}

void task_close(struct task *t)
{
	struct scheduler *s = t->scheduler;
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	task_drop(t);
	while (t->stepping)
		pthread_cond_wait(&t->changed, &s->lock);
	client_leave(s, t->client);
	pthread_mutex_unlock(&s->lock);
	pthread_cond_destroy(&t->changed);
	task_free(t);
}
