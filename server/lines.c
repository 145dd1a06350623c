#include "server/lines.h"
#include "base/limits.h"
#include "base/text.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE_BYTES MIB(1) /* a collector that is away for a minute at 40 requests a second */
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 30000
#define END_MS 2000
#define GATHER_MS 10
#define REFUSED_BURST 200 /* lines about refused requests at once, */
#define REFUSED_RATE 50   /* and each second */

struct server_lines {
	const struct server_lines_target *target; /* NULL: none */
	void *self;
	const struct env *env;
	void (*each_second)(void *ctx);
	void *ctx;
	pthread_t thread;
	bool failing; /* the thread's: it has been said */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t moved;
	struct buf queue, hand; /* hand: the thread's, while it writes */
	size_t queued, handed;  /* lines */
	bool ending, reopen;
	int64_t end_ms;
	int64_t spare, spare_ms; /* lines about refused requests, and when they were counted */
	uint64_t unsaid_dropped, unsaid_refused;
	struct measure_counter written, dropped, refused;
};

static int64_t now_ms(void) { return env_wait_us() / 1000; }

/* ---- putting ---- */

bool server_lines_wanted(const struct server_lines *l) { return l && l->target; }

/* With the lock held. */
static void put(struct server_lines *l, const char *line, size_t len)
{
	size_t before = l->queue.len;
	if (len <= SERVER_LINE_MAX && before + len <= QUEUE_BYTES)
		buf_add(&l->queue, line, len);
	if (l->queue.len == before + len) {
		l->queued++;
		if (before == 0)
			pthread_cond_signal(&l->moved);
		return;
	}
	l->queue.failed = false;
	l->unsaid_dropped++;
	measure_add(&l->dropped, 1);
}

void server_lines_put(struct server_lines *l, const char *line, size_t len)
{
	if (!server_lines_wanted(l))
		return;
	pthread_mutex_lock(&l->lock);
	put(l, line, len);
	pthread_mutex_unlock(&l->lock);
}

bool server_lines_spare(struct server_lines *l)
{
	if (!server_lines_wanted(l))
		return false;
	pthread_mutex_lock(&l->lock);
	int64_t now = now_ms(), more = (now - l->spare_ms) * REFUSED_RATE / 1000;
	if (more > 0) {
		l->spare = l->spare + more < REFUSED_BURST ? l->spare + more : REFUSED_BURST;
		l->spare_ms = now;
	}
	bool ok = l->spare > 0;
	l->spare -= ok;
	l->unsaid_refused += !ok;
	pthread_mutex_unlock(&l->lock);
	if (!ok)
		measure_add(&l->refused, 1);
	return ok;
}

void server_lines_reopen(struct server_lines *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->reopen = true;
	pthread_cond_signal(&l->moved);
	pthread_mutex_unlock(&l->lock);
}

/* ---- the thread ---- */

/* Said on standard error when it begins and when it ends, not for each line. */
static void note_result(struct server_lines *l, int rc, const struct err *why)
{
	if (rc < 0 && !l->failing)
		fprintf(stderr, "hallmark: request log: %s\n", why->text);
	if (rc == 0 && l->failing)
		fputs("hallmark: request log: lines are written again\n", stderr);
	l->failing = rc < 0;
}

/* Until something is to be done, or a second has passed. With the lock held. */
static void wait_for_work(struct server_lines *l, int64_t ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!l->ending && !l->reopen && (l->queue.len == 0 || l->hand.len))
		if (pthread_cond_timedwait(&l->moved, &l->lock, &until) != 0)
			return;
	if (l->ending || l->reopen)
		return;
	/* More will come: lines that are written together cost half. */
	pthread_mutex_unlock(&l->lock);
	nanosleep(&(struct timespec){ .tv_nsec = GATHER_MS * 1000000 }, NULL);
	pthread_mutex_lock(&l->lock);
}

/* What was left out is said as soon as there is room. With the lock held. */
static void say_left_out(struct server_lines *l)
{
	char line[200], at[32];
	uint64_t dropped = l->unsaid_dropped, refused = l->unsaid_refused;
	if ((!dropped && !refused) || l->queue.len + sizeof line > QUEUE_BYTES)
		return;
	text_time_rfc3339(env_now_us(l->env), at);
	int n = snprintf(
		line, sizeof line,
		"{\"time\":\"%s\",\"event\":\"left out\",\"dropped\":%llu,\"refused\":%llu}\n", at,
		(unsigned long long)dropped, (unsigned long long)refused);
	l->unsaid_dropped = l->unsaid_refused = 0;
	put(l, line, (size_t)n);
}

static bool is_late(void *arg)
{
	struct server_lines *l = arg;
	pthread_mutex_lock(&l->lock);
	bool late = l->ending && now_ms() >= l->end_ms;
	pthread_mutex_unlock(&l->lock);
	return late;
}

/* Take what is queued in hand. With the lock held. */
static void take(struct server_lines *l)
{
	struct buf empty = l->hand;
	say_left_out(l);
	l->hand = l->queue;
	l->handed = l->queued;
	l->queue = empty;
	l->queued = 0;
}

/* False: what is in hand waits for another try. */
static bool write_hand(struct server_lines *l)
{
	struct err why = { 0 };
	int rc = l->target->write(l->self, l->hand.bytes, l->hand.len, is_late, l, &why);
	note_result(l, rc, &why);
	if (rc == ERR_UNAVAILABLE && !is_late(l))
		return false;
	measure_add(rc < 0 ? &l->dropped : &l->written, l->handed);
	buf_clear(&l->hand);
	return true;
}

static void reopen(struct server_lines *l)
{
	struct err why = { 0 };
	int rc = l->target && l->target->reopen ? l->target->reopen(l->self, &why) : 0;
	if (rc < 0)
		note_result(l, rc, &why);
}

/* Everything but waiting, without the lock. delay: until the next try of what is in hand. */
static void work(struct server_lines *l, int64_t *delay, int64_t *tried)
{
	if (l->hand.len == 0)
		return;
	if (*delay && now_ms() - *tried < *delay && !l->ending)
		return;
	if (write_hand(l)) {
		*delay = 0;
		return;
	}
	*tried = now_ms();
	*delay = *delay == 0                 ? RETRY_FIRST_MS
		 : *delay * 2 < RETRY_MAX_MS ? *delay * 2
					     : RETRY_MAX_MS;
}

static void *write_lines(void *arg)
{
	struct server_lines *l = arg;
	int64_t ticked = now_ms(), delay = 0, tried = 0;
	bool done = false;
	while (!done) {
		pthread_mutex_lock(&l->lock);
		wait_for_work(l, delay && delay < 1000 ? delay : 1000);
		if (l->hand.len == 0)
			take(l);
		bool again = l->reopen, ending = l->ending;
		l->reopen = false;
		pthread_mutex_unlock(&l->lock);
		if (again)
			reopen(l);
		work(l, &delay, &tried);
		if (l->each_second && !ending && now_ms() - ticked >= 1000) {
			ticked = now_ms();
			l->each_second(l->ctx);
		}
		if (ending && l->hand.len) /* its reader is away: not as fast as it can be asked */
			nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
		pthread_mutex_lock(&l->lock);
		done = ending && ((l->hand.len == 0 && l->queue.len == 0) || now_ms() >= l->end_ms);
		pthread_mutex_unlock(&l->lock);
	}
	if (l->hand.len || l->queue.len)
		fprintf(stderr, "hallmark: request log: %zu lines were not written\n",
			(l->hand.len ? l->handed : 0) + l->queued);
	return NULL;
}

/* ---- opening ---- */

static int choose(struct server_lines *l, const char *where, struct err *e)
{
	static const struct {
		const char *word;
		const struct server_lines_target *target;
		bool alone; /* the word may stand without a colon */
	} rows[] = {
		{ "syslog", &server_lines_syslog, true },
		{ "otlp", &server_lines_otlp, false },
	};
	if (!where || strcmp(where, "none") == 0)
		return 0;
	l->target = &server_lines_file;
	if (strcmp(where, "stderr") == 0)
		return l->target->open(&l->self, "", l->env, e);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = strlen(rows[i].word);
		if (strncmp(where, rows[i].word, n) != 0 || (where[n] && where[n] != ':'))
			continue;
		if (!where[n] && !rows[i].alone)
			return err_set(e, ERR_USAGE, "--request-log %s: expected otlp:URL", where);
		l->target = rows[i].target;
		return l->target->open(&l->self, where[n] ? where + n + 1 : "", l->env, e);
	}
	if (!*where)
		return err_set(e, ERR_USAGE,
			       "--request-log: expected stderr, syslog, otlp:URL, none or a file");
	return l->target->open(&l->self, where, l->env, e);
}

static int start(struct server_lines *l, struct err *e)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&l->thread, NULL, write_lines, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? err_set(e, ERR_IO, "no thread can be made for the request log") : 0;
}

static void free_lines(struct server_lines *l)
{
	if (l->target && l->self)
		l->target->close(l->self);
	buf_free(&l->queue);
	buf_free(&l->hand);
	pthread_cond_destroy(&l->moved);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int server_lines_open(struct server_lines **out, const struct server_lines_options *o,
		      struct err *e)
{
	struct server_lines *l = calloc(1, sizeof *l);
	pthread_condattr_t attr;
	*out = NULL;
	if (!l)
		return err_set(e, ERR_NOMEM, "out of memory for the request log");
	l->env = o->env;
	l->each_second = o->each_second;
	l->ctx = o->ctx;
	l->spare = REFUSED_BURST;
	l->spare_ms = now_ms();
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->moved, &attr);
	pthread_condattr_destroy(&attr);
	int rc = choose(l, o->where, e);
	if (rc == 0)
		rc = start(l, e);
	if (rc < 0)
		free_lines(l);
	else
		*out = l;
	return rc;
}

void server_lines_close(struct server_lines *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->ending = true;
	l->end_ms = now_ms() + END_MS;
	pthread_cond_signal(&l->moved);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	free_lines(l);
}

void server_lines_measure(const struct server_lines *l, struct measure_writer *w)
{
	static const char *const results[] = { "written", "dropped", "refused" };
	if (!l)
		return;
	const struct measure_counter *const count[] = { &l->written, &l->dropped, &l->refused };
	measure_write_family(w, MEASURE_COUNTER, "hallmark_request_lines",
			     "Lines about requests: written, dropped for want of room or of a "
			     "reader, left out about refused requests beyond their rate.");
	for (size_t i = 0; i < 3; i++)
		measure_write_count(w, (const char *const[]){ "result", results[i], NULL },
				    measure_count(count[i]));
}
