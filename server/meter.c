/* Limits are looked at three times: the address's before anybody is known, the token's once its
 * route is, before the body is read; and the answers at once, and what others have drawn meanwhile,
 * before a chat begins. Tokens of models are counted as they are drawn. */
#include "server/meter.h"
#include "server/routes.h"
#include "serve/serve.h"

#include <stdio.h>

#define DRAWS (ACCESS_CHAT | ACCESS_COMPLETIONS | ACCESS_RESPONSES | ACCESS_MESSAGES)

/* Stock clients wait as Retry-After says, and ask again, unless x-should-retry says no. */
static int refuse(struct exchange *x, const struct access_wait *w)
{
	char message[200], seconds[24];
	uint64_t after_s = (w->after_ms + 999) / 1000;
	snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(after_s ? after_s : 1));
	snprintf(message, sizeof message, "rate limit reached: %s; ask again in %s s", w->limit,
		 seconds);
	struct api_error error = { .status = 429, .message = message, .code = SERVER_RATE_LIMIT };
	const char *const field[] = { "Retry-After", seconds, w->hopeless ? "x-should-retry" : NULL,
				      "false", NULL };
	TRY(server_respond_error(x, &error, field));
	return 1;
}

int server_meter_address(struct exchange *x)
{
	struct access_wait w;
	if (x->c->client.local)
		return 0; /* of this machine's own users */
	access_address_take(x->s->limits.access, x->c->client.address, &w);
	if (!w.limit)
		return 0;
	x->keeps = false; /* its body is not read */
	return refuse(x, &w);
}

void server_meter_refused(const struct exchange *x)
{
	(void)access_count_usage(x->caller.token, "", &(struct access_usage){ .refused = 1 });
}

int server_meter_person(void *exchange, const char *handle, struct err *e)
{
	struct exchange *x = exchange;
	struct access_wait *w = &x->quota.wait;
	access_person_take(x->s->limits.access, handle, w);
	if (!w->limit)
		return 0;
	return err_at(e,
		      err_set(e, ERR_UNAVAILABLE, "rate limit reached: %s; ask again in %llu s",
			      w->limit, (unsigned long long)(w->after_ms + 999) / 1000),
		      SERVER_RATE_LIMIT, "%s", "");
}

int server_meter_refuse_person(struct exchange *x, const struct api_error *error)
{
	char seconds[24];
	const char *const field[] = { "Retry-After", seconds, NULL };
	snprintf(seconds, sizeof seconds, "%llu",
		 (unsigned long long)(x->quota.wait.after_ms + 999) / 1000);
	server_meter_refused(x);
	return server_respond_error(x, error, field);
}

int server_meter_request(struct exchange *x)
{
	access_request_take(x->caller.token, x->route->scope & DRAWS, &x->quota);
	if (!x->quota.wait.limit)
		return 0;
	server_meter_refused(x);
	x->keeps = false;
	return refuse(x, &x->quota.wait);
}

/* ---- an answer ---- */

int server_meter_begin(struct server_meter *m, struct exchange *x)
{
	struct access_wait w;
	*m = (struct server_meter){ .token = x->caller.token };
	access_answer_begin(m->token, &w);
	m->begun = !w.limit;
	if (m->begun)
		return 0;
	server_meter_refused(x);
	return refuse(x, &w);
}

static void count(struct server_meter *m, uint64_t prompt, uint64_t completion,
		  struct access_usage *u)
{
	u->prompt = prompt > m->prompt ? prompt - m->prompt : 0;
	u->completion = completion > m->completion ? completion - m->completion : 0;
	m->prompt += u->prompt;
	m->completion += u->completion;
	if (u->requests || u->prompt || u->completion || u->cached)
		m->over = access_count_usage(m->token, m->model, u);
}

void server_meter_count(struct server_meter *m, const struct serve_chat *chat)
{
	struct access_usage u = { .requests = !m->model };
	uint64_t prompt, completion;
	if (!m->token)
		return;
	m->model = serve_chat_model(chat);
	serve_chat_counts(chat, &prompt, &completion);
	count(m, prompt, completion, &u);
}

static uint64_t member(const json_t *result, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(result, name));
	return v > 0 ? (uint64_t)v : 0;
}

void server_meter_end(struct server_meter *m, const struct serve_chat *chat)
{
	if (chat && m->token) {
		server_meter_count(m, chat);
		const json_t *result = serve_chat_result(chat);
		struct access_usage u = { .cached = member(result, "cached_tokens") };
		count(m, member(result, "prompt_tokens"), member(result, "completion_tokens"), &u);
	}
	if (m->begun)
		access_answer_end(m->token);
	m->begun = false;
}

/* ---- what is left ---- */

static void add_left(struct buf *out, const char *what, const struct access_left *l)
{
	if (!l->of)
		return;
	buf_printf(out,
		   "x-ratelimit-limit-%s: %llu\r\nx-ratelimit-remaining-%s: %llu\r\n"
		   "x-ratelimit-reset-%s: %llums\r\n",
		   what, (unsigned long long)l->of, what, (unsigned long long)l->left, what,
		   (unsigned long long)l->full_ms);
}

void server_meter_fields(struct buf *out, const struct access_state *s)
{
	add_left(out, "requests", &s->requests);
	add_left(out, "tokens", &s->tokens);
}
