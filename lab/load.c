/* The loop: sends what is due, waits, and ends what takes too long.
 *
 * In an open loop the times of sending are drawn before (exponential gaps: a Poisson process) and
 * every wait is counted from them, not from when the request went out: a server that stalls cannot
 * keep the requests from being due that would have seen it ("coordinated omission", Tene). In a
 * closed loop a client is due when its last answer ended, or when Retry-After says so. */
#include "lab/load.h"
#include "net/many.h"
#include "net/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CLIENTS_MAX 10000u
#define TICK_US 100000    /* between two looks at what takes too long */
#define BACKOFF_US 100000 /* of a client whose request failed and that was not told how long */
#define RETRY_MOST_S 60
#define BATCH 64 /* requests that are sent before answers are looked at again */

struct load {
	const struct lab_load *l;
	struct env env;
	struct http_many *many;
	struct load_prompts prompts;
	struct load_sums sums;
	struct load_shot *shot, *free;
	struct buf body;
	uint32_t under_way;
	int64_t *due_us; /* closed loop: when each client is, or was, due */
	bool *waits;     /* whether that is still to come */
	uint32_t *ready; /* clients that are due now, [ready_count] */
	uint32_t ready_count;
	uint32_t waiting;   /* that are due later */
	int64_t soonest_us; /* the first of them */
	int64_t next_us;    /* open loop: when the next request is due */
	struct random_seeded seeded;
	struct random arrivals;
	int64_t stop_us; /* none is sent later */
	bool stopped;
};

static int64_t now_us(const struct load *x) { return env_steady_us(&x->env); }

/* ---- what http_many tells ---- */

static void on_status(void *ctx, int status, int retry_after)
{
	struct load_shot *s = ctx;
	s->status = status;
	s->retry_after = retry_after;
}

static void on_body(void *ctx, const void *bytes, size_t len)
{
	struct load_shot *s = ctx;
	load_answer_take(s, bytes, len, now_us(s->load), &s->load->sums.gap);
}

static void client_next(struct load *x, const struct load_shot *s, int64_t now)
{
	int64_t wait = 0;
	if (x->l->rate > 0)
		return;
	if (s->fault && s->retry_after >= 0)
		wait = (s->retry_after < RETRY_MOST_S ? s->retry_after : RETRY_MOST_S) * 1000000ll;
	else if (s->fault)
		wait = BACKOFF_US;
	x->due_us[s->client] = now + wait;
	if (wait) {
		x->soonest_us =
			!x->waiting || now + wait < x->soonest_us ? now + wait : x->soonest_us;
		x->waits[s->client] = true;
		x->waiting++;
	} else {
		x->ready[x->ready_count++] = s->client;
	}
}

static void on_end(void *ctx, enum http_many_end how, const char *why)
{
	static const enum load_fault faults[] = {
		[HTTP_MANY_WHOLE] = LOAD_FINE,
		[HTTP_MANY_CONNECT] = LOAD_CONNECT,
		[HTTP_MANY_TLS] = LOAD_TLS,
		[HTTP_MANY_BROKEN] = LOAD_BROKEN,
		[HTTP_MANY_MALFORMED] = LOAD_MALFORMED,
		[HTTP_MANY_TIMEOUT] = LOAD_TIMEOUT,
		[HTTP_MANY_OTHER] = LOAD_OTHER,
	};
	struct load_shot *s = ctx;
	struct load *x = s->load;
	int64_t now = now_us(x);
	if (how == HTTP_MANY_WHOLE) {
		load_answer_end(s);
	} else {
		s->fault = faults[how];
		snprintf(s->why, sizeof s->why, "%s", why ? why : "");
	}
	load_sums_take(&x->sums, s, now);
	x->under_way--;
	s->busy = false;
	s->next_free = x->free;
	x->free = s;
	client_next(x, s, now);
}

/* ---- sending ---- */

static int start_shot(struct load *x, uint32_t client, int64_t due, int64_t now, struct err *e)
{
	struct load_shot *s = x->free;
	buf_clear(&x->body);
	TRY(load_prompts_next(&x->prompts, &x->body, e));
	x->free = s->next_free;
	struct events events = s->events;
	struct buf body = s->body;
	events_clear(&events);
	buf_clear(&body);
	*s = (struct load_shot){ .load = x,
				 .shape = x->prompts.shape,
				 .client = client,
				 .due_us = due,
				 .sent_us = now,
				 .moved_us = now,
				 .retry_after = -1,
				 .plain = x->l->plain,
				 .busy = true,
				 .events = events,
				 .body = body };
	quantiles_add(&x->sums.late, (uint64_t)(now > due ? now - due : 0));
	x->under_way++;
	x->sums.sent++;
	return http_many_start(x->many, x->body.bytes, x->body.len, s, &s->number, e);
}

static bool may_send(const struct load *x)
{
	return !x->stopped && x->free && (!x->l->requests || x->sums.sent < x->l->requests);
}

static void draw_next(struct load *x)
{
	uint64_t drawn;
	x->arrivals.fill(x->arrivals.ctx, &drawn, sizeof drawn);
	double uniform = ((double)(drawn >> 11) + 0.5) * 0x1p-53;
	x->next_us += (int64_t)(-log(uniform) / x->l->rate * 1e6);
}

static int send_open(struct load *x, struct err *e)
{
	for (int i = 0; i < BATCH && may_send(x); i++) {
		int64_t now = now_us(x);
		if (x->next_us > now || x->next_us >= x->stop_us)
			break;
		TRY(start_shot(x, 0, x->next_us, now, e));
		draw_next(x);
	}
	return 0;
}

/* Clients whose wait is over. */
static void wake(struct load *x, int64_t now)
{
	if (!x->waiting || now < x->soonest_us)
		return;
	x->waiting = 0;
	for (uint32_t i = 0; i < x->l->clients; i++) {
		int64_t due = x->due_us[i];
		if (!x->waits[i])
			continue;
		if (due <= now) {
			x->waits[i] = false;
			x->ready[x->ready_count++] = i;
		} else {
			x->soonest_us = !x->waiting || due < x->soonest_us ? due : x->soonest_us;
			x->waiting++;
		}
	}
}

static int send_closed(struct load *x, struct err *e)
{
	wake(x, now_us(x));
	for (int i = 0; i < BATCH && x->ready_count && may_send(x); i++) {
		int64_t now = now_us(x);
		uint32_t client = x->ready[--x->ready_count];
		TRY(start_shot(x, client, x->due_us[client], now, e));
	}
	return 0;
}

/* ---- waiting ---- */

static void end_late(struct load *x, int64_t now)
{
	int64_t most = (int64_t)(x->l->timeout_ms ? x->l->timeout_ms : 120000) * 1000;
	for (uint32_t i = 0; i < x->l->clients; i++)
		if (x->shot[i].busy && now - x->shot[i].sent_us > most)
			http_many_cancel(x->many, x->shot[i].number);
}

/* Until when to wait at most. */
static int64_t patience(const struct load *x, int64_t now)
{
	int64_t until = now + TICK_US;
	if (!x->stopped && x->l->rate > 0 && x->free && x->next_us < until)
		until = x->next_us;
	if (!x->stopped && x->ready_count)
		until = now;
	if (!x->stopped && x->waiting && x->soonest_us < until)
		until = x->soonest_us;
	return until > now ? until - now : 0;
}

/* Requests that were due and never left, since too many were under way. */
static void count_unsent(struct load *x)
{
	while (x->l->rate > 0 && x->next_us < x->stop_us && x->next_us < now_us(x) &&
	       (!x->l->requests || x->sums.sent + x->sums.unsent < x->l->requests)) {
		x->sums.unsent++;
		draw_next(x);
	}
}

static int run_load(struct load *x, struct err *e)
{
	int64_t looked = now_us(x);
	for (;;) {
		int64_t now = now_us(x);
		bool all = x->l->requests && x->sums.sent >= x->l->requests;
		if (!x->stopped && (all || now >= x->stop_us || (x->l->end && *x->l->end))) {
			count_unsent(x);
			x->stopped = true;
		}
		if (x->stopped && (!x->under_way || (x->l->end && *x->l->end)))
			break;
		if (!x->stopped)
			TRY((x->l->rate > 0 ? send_open : send_closed)(x, e));
		if (now - looked >= TICK_US) {
			end_late(x, now);
			looked = now;
		}
		TRY(http_many_turn(x->many, patience(x, now_us(x)), e));
	}
	x->sums.unfinished = x->under_way;
	return 0;
}

/* ---- opening ---- */

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* "http://HOST/v1" + "/chat/completions"; an address that ends so already stays as it is. */
static int endpoint(const struct lab_load *l, const char *path, struct buf *out, struct err *e)
{
	size_t len = strlen(l->url);
	while (len && l->url[len - 1] == '/')
		len--;
	buf_add(out, l->url, len);
	size_t tail = strlen(path);
	if (len > tail && memcmp(l->url + len - tail, path, tail) == 0)
		return buf_done(out, e);
	bool versioned = len > 3 && memcmp(l->url + len - 3, "/v1", 3) == 0;
	buf_printf(out, "%s%s", versioned ? "" : "/v1", path);
	return buf_done(out, e);
}

/* The first model that the server lists, into out. */
static int first_model(const struct lab_load *l, struct buf *out, struct err *e)
{
	struct http *h = NULL;
	struct http_response answer = { 0 };
	struct buf url = { 0 };
	json_t *document = NULL;
	int rc;
	TRY_OUT(endpoint(l, "/models", &url, e));
	TRY_OUT(http_open(&h, &(struct http_options){ .ca_file = l->ca_file }, e));
	TRY_OUT(http_do(h,
			&(struct http_request){ .url = url.bytes,
						.authorization = l->authorization },
			&answer, e));
	if (answer.status != 200)
		TRY_OUT(err_set(e, ERR_UNAVAILABLE,
				"%s answers %d: give --model NAME, or --token-file for a server "
				"that asks for a token",
				url.bytes, answer.status));
	TRY_OUT(json_read(&document, answer.body.bytes, answer.body.len, 1 << 20, 16, e));
	const json_t *first = json_array_get(json_object_get(document, "data"), 0);
	const char *id = json_string_value(json_object_get(first, "id"));
	if (!id)
		TRY_OUT(err_set(e, ERR_INPUT, "%s lists no model: give --model NAME", url.bytes));
	buf_add_text(out, id);
	rc = buf_done(out, e);
out:
	json_decref(document);
	http_response_free(&answer);
	http_close(h);
	buf_free(&url);
	return rc;
}

static int set_up(struct load *x, const char *url, struct err *e)
{
	const struct lab_load *l = x->l;
	static const struct http_many_calls calls = { on_status, on_body, on_end };
	const struct http_many_options o = { .url = url,
					     .ca_file = l->ca_file,
					     .authorization = l->authorization,
					     .reconnect = l->reconnect,
					     .at_once = l->clients };
	x->shot = calloc(l->clients, sizeof *x->shot);
	x->due_us = calloc(l->clients, sizeof *x->due_us);
	x->ready = calloc(l->clients, sizeof *x->ready);
	x->waits = calloc(l->clients, sizeof *x->waits);
	if (!x->shot || !x->due_us || !x->waits || !x->ready)
		return err_set(e, ERR_NOMEM, "out of memory for %u clients", l->clients);
	TRY(http_many_open(&x->many, &o, &calls, e));
	for (uint32_t i = l->clients; i-- > 0;) {
		x->shot[i].next_free = x->free;
		x->free = &x->shot[i];
		x->ready[x->ready_count++] = i;
	}
	memcpy(x->seeded.seed, &l->seed, sizeof l->seed);
	x->seeded.seed[31] = 1; /* another stream than the prompts' */
	x->arrivals = random_seeded(&x->seeded);
	x->sums.begin_us = x->sums.end_us = x->next_us = now_us(x);
	for (uint32_t i = 0; i < l->clients; i++)
		x->due_us[i] = x->next_us;
	x->stop_us = l->seconds > 0 ? x->next_us + (int64_t)(l->seconds * 1e6) : INT64_MAX;
	if (l->rate > 0)
		draw_next(x);
	return 0;
}

static void close_load(struct load *x)
{
	http_many_close(x->many);
	for (uint32_t i = 0; x->shot && i < x->l->clients; i++) {
		events_free(&x->shot[i].events);
		buf_free(&x->shot[i].body);
	}
	load_prompts_close(&x->prompts);
	buf_free(&x->body);
	free(x->shot);
	free(x->due_us);
	free(x->ready);
	free(x->waits);
	free(x);
}

static int check_options(const struct lab_load *l, struct err *e)
{
	if (!l->clients || l->clients > CLIENTS_MAX)
		return err_set(e, ERR_USAGE, "--clients %u: expected 1 to %u", l->clients,
			       CLIENTS_MAX);
	if (!(l->rate >= 0 && l->rate <= 1e6))
		return err_set(e, ERR_USAGE, "--rate: expected requests a second, up to 1000000");
	return 0;
}

int lab_load(const struct lab_load *l, json_t **report, struct err *e)
{
	struct buf url = { 0 }, model = { 0 };
	const struct load_shape *shape;
	TRY(check_options(l, e));
	TRY(load_shape_find(l->shape, &shape, e));
	struct load *x = calloc(1, sizeof *x);
	int rc;
	if (!x)
		return err_set(e, ERR_NOMEM, "out of memory for a load");
	x->l = l;
	x->env = env_system();
	TRY_OUT(endpoint(l, shape->path, &url, e));
	if (l->model)
		buf_add_text(&model, l->model);
	else
		TRY_OUT(first_model(l, &model, e));
	TRY_OUT(load_prompts_open(&x->prompts, l, shape, model.bytes, e));
	TRY_OUT(set_up(x, url.bytes, e));
	double cpu = cpu_seconds();
	TRY_OUT(run_load(x, e));
	x->sums.cpu_s = cpu_seconds() - cpu;
	if (!x->sums.fine && !x->sums.failed)
		TRY_OUT(err_set(e, ERR_UNAVAILABLE, "%s: no request came to an end", url.bytes));
	rc = load_report(l, url.bytes, model.bytes, &x->sums, report, e);
out:
	close_load(x);
	buf_free(&url);
	buf_free(&model);
	return rc;
}
