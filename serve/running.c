/* The chats of a service that run, so that an operator can cut them, and see when the last has
 * ended. A chat is in the list from before it has a number until its answer is closed; what holds
 * the service's lock meanwhile never waits for an answer. */
#include "serve/chat.h"

#include "base/aside.h"

#include <string.h>
#include <time.h>

static const char *const names[] = { [SERVE_OPEN] = "serving",
				     [SERVE_PAUSED] = "paused",
				     [SERVE_DRAINING] = "draining",
				     [SERVE_STOPPED] = "stopped" };

const char *serve_state_name(const struct serve_service *s)
{
	return names[atomic_load(&s->state)];
}

int serve_state_check(const struct serve_service *s, struct err *e)
{
	int state = atomic_load(&s->state);
	if (state == SERVE_OPEN)
		return 0;
	if (state == SERVE_PAUSED)
		return err_at(e,
			      err_set(e, ERR_UNAVAILABLE, "paused by an operator: try again later"),
			      "paused_by_operator", "%s", "");
	return err_set(e, ERR_UNAVAILABLE, "the server is shutting down");
}

int serve_running_enter(struct serve_chat *c, struct err *e)
{
	struct serve_service *s = c->service;
	pthread_mutex_lock(&s->lock);
	int rc = serve_state_check(s, e);
	if (rc == 0) {
		c->running = true;
		c->after = s->running;
		if (s->running)
			s->running->before = c;
		s->running = c;
		s->runs++;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int serve_running_live(struct serve_chat *c, struct err *e)
{
	pthread_mutex_lock(&c->service->lock);
	c->live = true;
	pthread_mutex_unlock(&c->service->lock);
	return serve_running_cut(c, e) ? ERR_UNAVAILABLE : 0;
}

bool serve_running_cut(struct serve_chat *c, struct err *e)
{
	int cut = atomic_load(&c->cut);
	if (cut == SERVE_UNCUT)
		return false;
	if (!c->ended_by) {
		pthread_mutex_lock(&c->service->lock);
		memcpy(c->ended_why, c->service->stop_reason, sizeof c->ended_why);
		pthread_mutex_unlock(&c->service->lock);
		c->ended_by = "operator";
	}
	err_set(e, ERR_UNAVAILABLE,
		cut == SERVE_CUT_STOPPED ? "this answer was stopped by an operator"
					 : "this answer was cut off: the server is shutting down");
	(void)!err_at(e, ERR_UNAVAILABLE,
		      cut == SERVE_CUT_STOPPED ? "stopped_by_operator" : "shutting_down", "%s", "");
	return true;
}

void serve_running_leave(struct serve_chat *c)
{
	struct serve_service *s = c->service;
	if (!c->running)
		return;
	pthread_mutex_lock(&s->lock);
	if (c->before)
		c->before->after = c->after;
	else
		s->running = c->after;
	if (c->after)
		c->after->before = c->before;
	c->running = false;
	if (--s->runs == 0)
		pthread_cond_broadcast(&s->idle);
	pthread_mutex_unlock(&s->lock);
}

unsigned serve_running_stop(struct serve_service *s, int how, const char *reason)
{
	pthread_mutex_lock(&s->lock);
	snprintf(s->stop_reason, sizeof s->stop_reason, "%s", reason);
	for (struct serve_chat *c = s->running; c; c = c->after) {
		int uncut = SERVE_UNCUT;
		if (!atomic_compare_exchange_strong(&c->cut, &uncut, how))
			continue;
		if (!c->live && c->beside.job)
			aside_cancel(c->beside.job);
		else if (c->answer)
			s->who->cancel(c->answer);
	}
	unsigned runs = s->runs;
	pthread_mutex_unlock(&s->lock);
	return runs;
}

unsigned serve_running_count(struct serve_service *s)
{
	pthread_mutex_lock(&s->lock);
	unsigned runs = s->runs;
	pthread_mutex_unlock(&s->lock);
	return runs;
}

unsigned serve_running_wait(struct serve_service *s, int64_t until_ms)
{
	struct timespec until = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };
	int rc = 0;
	pthread_mutex_lock(&s->lock);
	while (s->runs && rc == 0)
		rc = pthread_cond_timedwait(&s->idle, &s->lock, &until);
	unsigned left = s->runs;
	pthread_mutex_unlock(&s->lock);
	return left;
}
