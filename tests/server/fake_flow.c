#include "tests/server/fake_flow.h"
#include "flow/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fake_counts fake_counts;

struct flow_chat {
	int pieces, pause_ms, first_ms, fail_at, given;
	bool streams, usage, over;
	char text[64];
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

const char *flow_service_model(const struct flow_service *s)
{
	(void)s;
	return "m";
}

int64_t flow_service_created(const struct flow_service *s)
{
	(void)s;
	return 1700000000;
}

void flow_service_drain(struct flow_service *s)
{
	(void)s;
	atomic_fetch_add(&fake_counts.drained, 1);
}

static int refusal(const char *body, struct err *e)
{
	if (!strstr(body, "messages"))
		return err_set(e, ERR_INPUT, "\"messages\" is missing");
	if (strstr(body, "\"other\""))
		return err_set(e, ERR_NOTFOUND, "no model \"other\" here");
	if (strstr(body, "tools"))
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: tools");
	if (strstr(body, "busy"))
		return err_set(e, ERR_UNAVAILABLE, "the queue is full");
	return strstr(body, "broken") ? err_set(e, ERR_IO, "secret/path is broken") : 0;
}

int flow_chat_open(struct flow_chat **out, struct flow_service *s, const void *body, size_t len,
		   const char *client, struct err *e)
{
	(void)s, (void)client;
	char *text = len ? strndup(body, len) : strdup("");
	int r = refusal(text, e);
	if (r == 0) {
		struct flow_chat *c = calloc(1, sizeof *c);
		c->pieces = word(text, "pieces=", 3);
		c->pause_ms = word(text, "pause=", 0);
		c->first_ms = word(text, "first=", 0);
		c->fail_at = word(text, "fail=", -1);
		c->streams = strstr(text, "\"stream\":true") != NULL;
		c->usage = strstr(text, "\"include_usage\":true") != NULL;
		atomic_fetch_add(&fake_counts.opened, 1);
		*out = c;
	}
	free(text);
	return r;
}

const char *flow_chat_id(const struct flow_chat *c)
{
	(void)c;
	return "chatcmpl-w-7";
}

const char *flow_chat_record(const struct flow_chat *c)
{
	(void)c;
	return "w/7";
}

bool flow_chat_streams(const struct flow_chat *c) { return c->streams; }

bool flow_chat_wants_usage(const struct flow_chat *c) { return c->usage; }

int64_t flow_chat_created(const struct flow_chat *c)
{
	(void)c;
	return 1700000001;
}

static int finish(struct flow_chat *c, struct err *e)
{
	c->result = json_pack("{s:s,s:i,s:i,s:i,s:{s:s,s:i,s:s,s:s}}", "finish_reason", "stop",
			      "prompt_tokens", 5, "completion_tokens", c->given, "seed", 9,
			      "hallmark", "record", "w/7", "index", 3, "leaf", "sha256:00",
			      "receipt", "c2sp.org/tlog-proof@v1\nindex 3\n");
	c->over = true;
	atomic_fetch_add(&fake_counts.ended, 1);
	return c->result ? FLOW_END : err_set(e, ERR_NOMEM, "no result");
}

int flow_chat_next(struct flow_chat *c, struct cleared *text, struct err *e)
{
	nap(c->given ? c->pause_ms : c->first_ms);
	if (c->given == c->fail_at)
		return err_set(e, ERR_IO, "secret/path went wrong");
	if (c->given == c->pieces)
		return finish(c, e);
	int n = snprintf(c->text, sizeof c->text, "p%d \"\xc3\xa4\n", c->given++);
	*text = (struct cleared){ .bytes = c->text, .len = (size_t)n };
	return FLOW_TEXT;
}

const json_t *flow_chat_result(const struct flow_chat *c) { return c->result; }

void flow_chat_close(struct flow_chat *c)
{
	if (!c)
		return;
	if (!c->over)
		atomic_fetch_add(&fake_counts.aborted, 1);
	json_decref(c->result);
	free(c);
}

int flow_service_receipt(struct flow_service *s, const char *id, struct buf *out, struct err *e)
{
	(void)s;
	if (strcmp(id, "chatcmpl-w-7") != 0 && strcmp(id, "w/7") != 0)
		return err_set(e, ERR_NOTFOUND, "no record \"%s\"", id);
	buf_add_text(out, "c2sp.org/tlog-proof@v1\nindex 3\n");
	return buf_done(out, e);
}
