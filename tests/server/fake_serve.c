#include "tests/server/fake_serve.h"
#include "base/measure.h"
#include "serve/count.h"
#include "serve/host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fake_counts fake_counts;
static pthread_mutex_t share_lock = PTHREAD_MUTEX_INITIALIZER;
static char share[64];

const char *fake_share(void)
{
	static char out[sizeof share];
	pthread_mutex_lock(&share_lock);
	memcpy(out, share, sizeof out);
	pthread_mutex_unlock(&share_lock);
	return out;
}

struct serve_chat {
	atomic_bool cancelled;
	int pieces, pause_ms, first_ms, fail_at, given;
	bool over, rich;
	struct api_request request;
	char text[64], receipt[8192];
	struct api_alternative top[1];
	struct api_token token[1];
	json_t *result;
};

static int word(const char *body, const char *name, int fallback)
{
	const char *at = strstr(body, name);
	return at ? atoi(at + strlen(name)) : fallback;
}

static void nap(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	nanosleep(&t, NULL);
}

const char *serve_service_model(const struct serve_service *s)
{
	(void)s;
	return "m";
}

int64_t serve_service_created(const struct serve_service *s)
{
	(void)s;
	return 1700000000;
}

struct serve_service *serve_host_at(const struct serve_host *h, size_t i)
{
	static char one;
	(void)h;
	return i == 0 ? (struct serve_service *)&one : NULL;
}

struct serve_service *serve_host_find(const struct serve_host *h, const char *model)
{
	return strcmp(model, "m") == 0 ? serve_host_at(h, 0) : NULL;
}

int serve_host_ready(struct serve_host *h, struct err *e)
{
	(void)h;
	return atomic_load(&fake_counts.unready) ? err_set(e, ERR_UNAVAILABLE, "no log") : 0;
}

void serve_host_measure(struct serve_host *h, struct measure_writer *w)
{
	(void)h;
	measure_write_gauge(w, "fake_opened", "Chats.", atomic_load(&fake_counts.opened));
}

void serve_host_check(struct serve_host *h, struct serve_check out[SERVE_CHECKS])
{
	static const char *const names[SERVE_CHECKS] = { "models", "log", "disk", "accepts" };
	(void)h;
	for (int i = 0; i < SERVE_CHECKS; i++)
		out[i] = (struct serve_check){ .name = names[i], .ok = true, .detail = "fine" };
	if (atomic_load(&fake_counts.unready))
		out[1] = (struct serve_check){ .name = "log", .detail = "no \"log\"" };
}

void serve_host_look(struct serve_host *h, struct serve_look *look)
{
	(void)h;
	look->well++;
}

int serve_host_begin(struct serve_host *h, const struct serve_operation *op,
		     struct serve_doing **out, struct err *e)
{
	static char one;
	(void)h, (void)op, (void)e;
	atomic_fetch_add(&fake_counts.drained, 1);
	*out = (struct serve_doing *)&one;
	return 0;
}

void serve_host_cut(struct serve_doing *d)
{
	(void)d;
	atomic_store(&fake_counts.cut, 1);
}

int serve_host_end(struct serve_doing *d, json_t **report, struct err *e)
{
	(void)d, (void)e;
	if (report)
		*report = json_pack("{s:i}", "record", 3);
	return 0;
}

int serve_host_operate(struct serve_host *h, const struct serve_operation *op, json_t **report,
		       struct err *e)
{
	(void)h;
	if (!op->reason[0])
		return err_set(e, ERR_INPUT, "reason: expected some");
	if (op->model && strcmp(op->model, "m") != 0)
		return err_set(e, ERR_NOTFOUND, "no model \"%s\" is served here", op->model);
	if (strcmp(op->action, "stop") == 0)
		atomic_store(&fake_counts.cut, 1);
	*report = json_pack("{s:s,s:s,s:s,s:s?,s:i}", "action", op->action, "actor", op->actor, "reason",
			    op->reason, "model", op->model, "wait_ms", (int)op->wait_ms);
	return 0;
}

int serve_host_reload(struct serve_host *h, const char *by, json_t **report, struct err *e)
{
	(void)h;
	atomic_fetch_add(&fake_counts.reloads, 1);
	*report = json_pack("{s:b,s:s}", "ok", !atomic_load(&fake_counts.bad_policy), "by", by);
	return atomic_load(&fake_counts.bad_policy) ? err_set(e, ERR_DENIED, "a bad policy") : 0;
}

int serve_host_changed(struct serve_host *h, struct digest *now, bool *changed, struct err *e)
{
	(void)h, (void)e;
	*now = (struct digest){ 0 };
	*changed = atomic_exchange(&fake_counts.changed, 0);
	return 0;
}

int serve_host_status(struct serve_host *h, json_t **report, struct err *e)
{
	(void)h;
	*report = json_pack("{s:[{s:s}]}", "models", "model", "m");
	return json_ok(*report, e);
}

static int refusal(const char *body, struct err *e)
{
	if (!strstr(body, "messages"))
		return err_set(e, ERR_INPUT, "\"messages\" is missing");
	if (strstr(body, "\"other\""))
		return err_set(e, ERR_NOTFOUND, "no model \"other\" here");
	if (strstr(body, "unknown_field"))
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: unknown_field");
	if (strstr(body, "busy"))
		return err_set(e, ERR_UNAVAILABLE, "the queue is full");
	return strstr(body, "broken") ? err_set(e, ERR_IO, "secret/path is broken") : 0;
}

int serve_chat_open(struct serve_chat **out, struct serve_host *h, enum api_shape shape,
		    const void *body, size_t len, const struct serve_caller *by, struct err *e)
{
	(void)shape;
	char *text = len ? strndup(body, len) : strdup("");
	int r = refusal(text, e);
	pthread_mutex_lock(&share_lock);
	snprintf(share, sizeof share, "%s", by->handle ? by->handle : by->share);
	pthread_mutex_unlock(&share_lock);
	if (by->allows && !by->allows(by->allows_ctx, "m", serve_host_at(h, 0)))
		r = err_set(e, ERR_DENIED, "not this model");
	if (r == 0 && by->tokens_most && !strstr(text, "\"max_tokens\":5"))
		r = err_set(e, ERR_UNAVAILABLE, "only short ones");
	if (r == 0) {
		struct serve_chat *c = calloc(1, sizeof *c);
		c->pieces = word(text, "pieces=", 3);
		c->pause_ms = word(text, "pause=", 0);
		c->first_ms = word(text, "first=", 0);
		c->fail_at = word(text, "fail=", -1);
		c->request.n = (uint32_t)word(text, "choices=", 1);
		memset(c->receipt, 'r', (size_t)word(text, "receipt=", 7));
		c->rich = strstr(text, "rich") != NULL;
		c->request.logprobs = strstr(text, "logprobs") != NULL;
		c->request.stream = strstr(text, "\"stream\":true") != NULL;
		c->request.include_usage = strstr(text, "\"include_usage\":true") != NULL;
		atomic_fetch_add(&fake_counts.opened, 1);
		*out = c;
	}
	free(text);
	return r;
}

const char *serve_chat_id(const struct serve_chat *c)
{
	(void)c;
	return "chatcmpl-w-7";
}

const char *serve_chat_record(const struct serve_chat *c)
{
	(void)c;
	return "w/7";
}

const char *serve_chat_model(const struct serve_chat *c)
{
	(void)c;
	return "m";
}

const struct api_request *serve_chat_request(const struct serve_chat *c) { return &c->request; }

void serve_chat_counts(const struct serve_chat *c, uint64_t *prompt, uint64_t *completion)
{
	*prompt = 5;
	*completion = (uint64_t)c->given;
}

int64_t serve_chat_created(const struct serve_chat *c)
{
	(void)c;
	return 1700000001;
}

static int finish(struct serve_chat *c, struct err *e)
{
	json_t *finish = json_array();
	for (uint32_t i = 0; i < c->request.n; i++)
		json_array_append_new(finish,
				      json_string(c->rich && i == 0 ? "tool_calls" : "stop"));
	c->result = json_pack("{s:o,s:i,s:i,s:i,s:i,s:i,s:{s:s,s:i,s:s,s:s}}", "finish_reasons", finish,
			      "prompt_tokens", 5, "completion_tokens", c->given, "cached_tokens", 4,
			      "reasoning_tokens", 2,
			      "seed", 9, "hallmark", "record", "w/7", "index", 3, "leaf",
			      "sha256:00", "receipt", c->receipt);
	c->over = true;
	atomic_fetch_add(&fake_counts.ended, 1);
	return c->result ? SERVE_END : err_set(e, ERR_NOMEM, "no result");
}

/* A rich answer thinks, says, calls twice, and has a second choice that only says. */
static struct api_piece rich_piece(struct serve_chat *c)
{
	static const struct {
		enum api_part part;
		unsigned choice, call;
		const char *text, *id;
	} rows[] = {
		{ API_REASONING, 0, 0, "hm \"1\"", NULL },
		{ API_CONTENT, 0, 0, "", NULL },
		{ API_CONTENT, 0, 0, "so", NULL },
		{ API_CALL_NAME, 0, 0, "f", "call_0" },
		{ API_CALL_ARGUMENTS, 0, 0, "{\"a\":", NULL },
		{ API_CONTENT, 1, 0, "other", NULL },
		{ API_CALL_ARGUMENTS, 0, 0, "1}", NULL },
		{ API_CALL_NAME, 0, 1, "g", "call_1" },
		{ API_CALL_ARGUMENTS, 0, 1, "{}", NULL },
	};
	struct api_piece p = { .choice = rows[c->given].choice,
			       .part = rows[c->given].part,
			       .call = rows[c->given].call,
			       .call_id = rows[c->given].id,
			       .text = { .bytes = rows[c->given].text,
					 .len = strlen(rows[c->given].text) } };
	if (c->request.logprobs && p.part == API_CONTENT && p.text.len) {
		c->top[0] = (struct api_alternative){ { .bytes = "\xc3", .len = 1 }, -2 };
		c->token[0] = (struct api_token){ p.text, -0.5F, c->top, 1, 0 };
		p.token = c->token;
		p.token_count = 1;
	}
	c->given++;
	c->pieces = 9;
	return p;
}

int serve_chat_next(struct serve_chat *c, struct api_piece *piece, struct err *e)
{
	for (int left = c->given ? c->pause_ms : c->first_ms;
	     left > 0 && !atomic_load(&c->cancelled) && !atomic_load(&fake_counts.cut); left -= 5)
		nap(left < 5 ? left : 5);
	if (atomic_load(&fake_counts.cut))
		return err_set(e, ERR_UNAVAILABLE, "this answer was stopped by an operator");
	if (atomic_load(&c->cancelled))
		return err_set(e, ERR_UNAVAILABLE, "cancelled");
	if (c->given == c->fail_at)
		return err_set(e, ERR_IO, "secret/path went wrong");
	if (c->given == (c->rich ? 9 : c->pieces))
		return finish(c, e);
	if (c->rich) {
		*piece = rich_piece(c);
		return SERVE_TEXT;
	}
	int n = snprintf(c->text, sizeof c->text, "p%d \"\xc3\xa4\n", c->given++);
	*piece = (struct api_piece){ .text = { .bytes = c->text, .len = (size_t)n } };
	return SERVE_TEXT;
}

void serve_chat_sent(struct serve_chat *c) { (void)c; }

void serve_chat_cancel(struct serve_chat *c) { atomic_store(&c->cancelled, true); }

const json_t *serve_chat_result(const struct serve_chat *c) { return c->result; }

void serve_chat_close(struct serve_chat *c)
{
	if (!c)
		return;
	if (!c->over)
		atomic_fetch_add(&fake_counts.aborted, 1);
	json_decref(c->result);
	free(c);
}

int serve_host_receipt(struct serve_host *h, const char *id, const struct serve_reader *who,
		       struct buf *out, struct err *e)
{
	(void)h;
	if (strcmp(id, "chatcmpl-w-7") != 0 && (strcmp(id, "w/7") != 0 || !who->any))
		return err_set(e, ERR_NOTFOUND, "no such receipt");
	buf_add_text(out, "c2sp.org/tlog-proof@v1\nindex 3\n");
	return buf_done(out, e);
}

/* ---- texts: a token for each byte ---- */

int serve_chat_count(struct serve_host *h, enum api_shape shape, const void *body, size_t len,
		     const struct serve_caller *by, uint64_t *tokens, struct err *e)
{
	(void)h, (void)shape, (void)body, (void)by, (void)e;
	*tokens = len;
	return 0;
}

int serve_prompt(const struct serve_service *s, const struct api_request *q, bool generation,
		 struct buf *text, struct buf *ids, struct err *e)
{
	static const char said[] = "prompt:";
	(void)s, (void)q;
	if (text)
		buf_add_text(text, generation ? "prompt:" : "prompt");
	return ids ? serve_encode(s, said, generation ? 7 : 6, true, true, ids, e) : 0;
}

int serve_encode(const struct serve_service *s, const char *text, size_t len, bool special, bool post,
		 struct buf *ids, struct err *e)
{
	uint32_t bos = 1;
	(void)s, (void)special;
	if (post)
		buf_add(ids, &bos, sizeof bos);
	for (size_t i = 0; i < len; i++) {
		uint32_t id = (unsigned char)text[i];
		buf_add(ids, &id, sizeof id);
	}
	return len && text[0] == '!' ? err_set(e, ERR_IO, "secret/path broke") : buf_done(ids, e);
}

int serve_decode(const struct serve_service *s, const uint32_t *id, size_t count, struct buf *out,
		 struct err *e)
{
	(void)s;
	for (size_t i = 0; i < count; i++) {
		if (id[i] > 255)
			return err_set(e, ERR_INPUT, "token %u; this model has ids up to 255", id[i]);
		buf_add_byte(out, (unsigned char)id[i]);
	}
	return buf_done(out, e);
}

int serve_host_beside(struct serve_host *h, struct aside_job *job, const char *client,
		      int (*work)(void *self, struct err *e), void *self, struct err *e)
{
	(void)h, (void)job;
	return client[0] ? work(self, e) : err_set(e, ERR_IO, "nobody asks");
}

uint32_t serve_service_context(const struct serve_service *s) { return s ? 512 : 0; }

struct serve_policy serve_service_policy(const struct serve_service *s)
{
	(void)s;
	return (struct serve_policy){ .name = "p", .bundle = "sha256:00" };
}

const struct digest *serve_service_root(const struct serve_service *s)
{
	static const struct digest root;
	return s ? &root : NULL;
}
