#include "engine/step.h"
#include "engine/model.h"

#define STEP_FEEDS 64 /* feeds of one pass */

struct step_request {
	struct engine_feed feed;
	struct step_request *next;
	struct err err;
	int result;
	bool done;
};

void step_open(struct stepper *s)
{
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->first = NULL;
	s->last = &s->first;
	s->leading = false;
}

void step_close(struct stepper *s)
{
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
}

/* One pass for the waiting requests; the lock is held on entry and exit, not in between. */
static void lead(struct engine *m, struct stepper *s)
{
	struct step_request *taken[STEP_FEEDS];
	struct engine_feed feed[STEP_FEEDS];
	struct err err = { 0 };
	size_t n = 0;
	while (s->first != NULL && n < STEP_FEEDS) {
		taken[n] = s->first;
		feed[n] = taken[n]->feed;
		s->first = taken[n++]->next;
	}
	if (s->first == NULL)
		s->last = &s->first;
	s->leading = true;
	pthread_mutex_unlock(&s->lock);
	int r = engine_forward(m, feed, n, &err);
	for (size_t i = 0; i < n; i++) { /* one bad feed must not fail its neighbours */
		taken[i]->err = err;
		taken[i]->result =
			r < 0 && n > 1 ? engine_forward(m, &feed[i], 1, &taken[i]->err) : r;
	}
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++)
		taken[i]->done = true;
	s->leading = false;
	pthread_cond_broadcast(&s->changed);
}

int step_forward(struct engine *m, const struct engine_feed *feed, struct err *e)
{
	struct stepper *s = &m->step;
	struct step_request mine = { .feed = *feed };
	pthread_mutex_lock(&s->lock);
	*s->last = &mine;
	s->last = &mine.next;
	while (!mine.done) {
		if (s->leading)
			pthread_cond_wait(&s->changed, &s->lock);
		else
			lead(m, s);
	}
	pthread_mutex_unlock(&s->lock);
	return mine.result < 0 ? err_set(e, mine.result, "%s", mine.err.text) : 0;
}
