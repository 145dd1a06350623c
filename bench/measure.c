/* What counting costs: the clock and the histogram that stand on the path of a token, alone and
 * while other threads count into the same one; and the text of a scrape. */
#include "base/env.h"
#include "base/measure.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define TOKENS 2000000
#define THREADS_MAX 4

struct counted {
	struct env env;
	struct measure_histogram gaps;
	struct measure_counter tokens;
};

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As serve_measure_token does it. */
static void *count_tokens(void *arg)
{
	struct counted *c = arg;
	int64_t before = env_steady_us(&c->env);
	for (int i = 0; i < TOKENS; i++) {
		int64_t now = env_steady_us(&c->env);
		measure_note(&c->gaps, &measure_moments, now - before);
		before = now;
	}
	return NULL;
}

static double ns_each(struct counted *c, int threads)
{
	pthread_t thread[THREADS_MAX];
	double begun = seconds();
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, count_tokens, c) != 0)
			return -1;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return (seconds() - begun) * 1e9 / TOKENS;
}

static double us_of_text(const struct counted *c)
{
	struct buf out = { 0 };
	double begun = seconds();
	for (int i = 0; i < 1000; i++) {
		struct measure_writer w = { .out = &out };
		buf_clear(&out);
		measure_write_family(&w, MEASURE_HISTOGRAM, "gaps_seconds", "Between two tokens.");
		measure_write_histogram(&w, (const char *const[]){ "model", "m", NULL }, &c->gaps,
					&measure_moments);
	}
	buf_free(&out);
	return (seconds() - begun) * 1000;
}

int main(void)
{
	static struct counted c;
	c.env = env_system();
	for (int threads = 1; threads <= THREADS_MAX; threads *= 2)
		printf("a token: clock and histogram, %d thread%s: %.0f ns\n", threads,
		       threads > 1 ? "s" : "", ns_each(&c, threads));
	printf("the text of one histogram: %.1f us\n", us_of_text(&c));
	return 0;
}
