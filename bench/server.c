/* The HTTP server before an answerer that knows its answer: bench/server PORT serves on loopback
 * until it is told to end, for bench/server.py to measure. Without a port it runs that script. */
#include "base/buf.h"
#include "serve/host.h"
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECES 20 /* of a streamed answer */

struct serve_chat {
	struct api_request request;
	int given;
	json_t *result;
};

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
	(void)h, (void)e;
	return 0;
}

int serve_host_begin(struct serve_host *h, const struct serve_operation *op,
		     struct serve_doing **out, struct err *e)
{
	(void)h, (void)op, (void)e;
	*out = NULL;
	return 0;
}

void serve_host_cut(struct serve_doing *d) { (void)d; }

int serve_host_end(struct serve_doing *d, json_t **report, struct err *e)
{
	(void)d, (void)report, (void)e;
	return 0;
}

static int no_operators(struct err *e) { return err_set(e, ERR_UNSUPPORTED, "no operators here"); }

int serve_host_operate(struct serve_host *h, const struct serve_operation *op, json_t **report,
		       struct err *e)
{
	(void)h, (void)op, (void)report;
	return no_operators(e);
}

int serve_host_reload(struct serve_host *h, const char *by, json_t **report, struct err *e)
{
	(void)h, (void)by, (void)report;
	return no_operators(e);
}

int serve_host_changed(struct serve_host *h, struct digest *now, bool *changed, struct err *e)
{
	(void)h, (void)now, (void)changed;
	return no_operators(e);
}

int serve_host_status(struct serve_host *h, json_t **report, struct err *e)
{
	(void)h, (void)report;
	return no_operators(e);
}

const struct digest *serve_service_root(const struct serve_service *s)
{
	(void)s;
	return NULL;
}

uint32_t serve_service_context(const struct serve_service *s)
{
	(void)s;
	return 0;
}

static int no_tokens(struct err *e) { return err_set(e, ERR_UNSUPPORTED, "no tokens here"); }

int serve_prompt(const struct serve_service *s, const struct api_request *q, bool generation,
		 struct buf *text, struct buf *ids, struct err *e)
{
	(void)s, (void)q, (void)generation, (void)text, (void)ids;
	return no_tokens(e);
}

int serve_encode(const struct serve_service *s, const char *text, size_t len, bool special,
		 bool post, struct buf *ids, struct err *e)
{
	(void)s, (void)text, (void)len, (void)special, (void)post, (void)ids;
	return no_tokens(e);
}

int serve_decode(const struct serve_service *s, const uint32_t *id, size_t count, struct buf *out,
		 struct err *e)
{
	(void)s, (void)id, (void)count, (void)out;
	return no_tokens(e);
}

int serve_host_beside(struct serve_host *h, struct aside_job *job, const char *client,
		      int (*work)(void *self, struct err *e), void *self, struct err *e)
{
	(void)h, (void)job, (void)client;
	return work(self, e);
}

void serve_chat_sent(struct serve_chat *c) { (void)c; }

void serve_host_measure(struct serve_host *h, struct measure_writer *w) { (void)h, (void)w; }

void serve_host_check(struct serve_host *h, struct serve_check out[SERVE_CHECKS])
{
	(void)h;
	for (int i = 0; i < SERVE_CHECKS; i++)
		out[i] = (struct serve_check){ .name = "fake", .ok = true };
}

void serve_host_look(struct serve_host *h, struct serve_look *look) { (void)h, (void)look; }

int serve_chat_open(struct serve_chat **out, struct serve_host *h, enum api_shape shape,
		    const void *body, size_t len, const struct serve_caller *by, struct err *e)
{
	static const char streams[] = "\"stream\":true";
	struct serve_chat *c = calloc(1, sizeof *c);
	(void)h, (void)by, (void)shape;
	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory");
	c->request.n = 1;
	c->request.stream = len && memmem(body, len, streams, sizeof streams - 1);
	*out = c;
	return 0;
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
	*prompt = 1;
	*completion = (uint64_t)c->given;
}

int64_t serve_chat_created(const struct serve_chat *c)
{
	(void)c;
	return 1700000001;
}

int serve_chat_next(struct serve_chat *c, struct api_piece *piece, struct err *e)
{
	static const char text[] = "An overdraft is ";
	if (c->given++ < (c->request.stream ? PIECES : 1)) {
		*piece = (struct api_piece){ .text = { .bytes = text, .len = sizeof text - 1 } };
		return SERVE_TEXT;
	}
	c->result =
		json_pack("{s:[s],s:i,s:i,s:i,s:i,s:{s:s,s:i,s:s}}", "finish_reasons", "stop",
			  "prompt_tokens", 5, "completion_tokens", 4, "cached_tokens", 0, "seed", 9,
			  "hallmark", "record", "w/7", "index", 3, "leaf", "sha256:00");
	return c->result ? SERVE_END : err_set(e, ERR_NOMEM, "out of memory");
}

void serve_chat_cancel(struct serve_chat *c) { (void)c; }

const json_t *serve_chat_result(const struct serve_chat *c) { return c->result; }

void serve_chat_close(struct serve_chat *c)
{
	if (c)
		json_decref(c->result);
	free(c);
}

int serve_host_receipt(struct serve_host *h, const char *id, struct buf *out, struct err *e)
{
	(void)h, (void)id, (void)out;
	return err_set(e, ERR_NOTFOUND, "no receipts here");
}

static struct server *running; /* for the signal handler alone */

static void on_signal(int number)
{
	(void)number;
	server_stop(running);
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	char address[40];
	if (argc < 2) {
		execl("bench/server.py", "bench/server.py", argv[0], NULL);
		perror("bench/server.py");
		return 1;
	}
	snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
	struct server_options o = { .listener = { { .address = address } }, .listeners = 1 };
	if (server_open(&running, NULL, &o, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	int rc = server_run(running, &e);
	server_close(running);
	return rc < 0;
}
