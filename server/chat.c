/* A chat is shared by two threads. The worker runs flow's calls, which block, and appends whole
 * events to `out`; the connection's thread takes bytes from there. It sleeps in poll on two things
 * at once: the event counter, raised at each change, and its socket, so that a reader that is gone
 * is noticed at once. */
#include "server/chat.h"
#include "server/reply.h"
#include "server/state.h"
#include "api/api.h"
#include "base/limits.h"
#include "base/text.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define OUT_BYTES_MAX KIB(256) /* text that a stream's reader has not taken: the worker waits */
#define PLAIN_BYTES_MAX MIB(64) /* an answer in one document: n of them, with log-probabilities */
#define DOUBT_PING_MS 250 /* while the client may be gone */
#define RECEIPT_BYTES_MAX KIB(48) /* what common clients accept in one header line */

struct chat {
	struct server *s;
	struct buf body; /* the worker's, until opened */
	char client[64];
	int event;            /* eventfd */
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t taken;
	unsigned users;           /* worker and connection */
	bool opened, ended, left; /* admitted; worker is done; connection is done */
	struct serve_chat *flow;  /* while the worker asks it for text */
	int result;               /* of the worker */
	struct err err;
	char id[128], record[96]; /* constant once opened */
	struct api_answer stream;
	struct buf out;
	size_t out_at;      /* bytes of out that were taken */
	struct buf receipt; /* base64 */
	int fd;             /* connection's thread only */
	bool doubted;       /* and this: the client sends no more, and may be gone */
};

static void chat_free(struct chat *c)
{
	buf_free(&c->body);
	api_answer_free(&c->stream);
	buf_free(&c->out);
	buf_free(&c->receipt);
	if (c->event >= 0)
		close(c->event);
	pthread_cond_destroy(&c->taken);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Called with the lock held; gives it up. */
static void drop_user(struct chat *c)
{
	bool last = --c->users == 0;
	pthread_mutex_unlock(&c->lock);
	if (last)
		chat_free(c);
}

void chat_leave(struct chat *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->left = true;
	if (c->flow)
		serve_chat_cancel(c->flow); /* it may be waiting for its first token */
	pthread_cond_signal(&c->taken);
	drop_user(c);
}

/* ---- the worker ---- */

static void raise_event(struct chat *c)
{
	uint64_t one = 1;
	ssize_t n = write(c->event, &one, sizeof one);
	(void)n; /* can only fail when the counter is at its maximum, and then it is raised */
}

static void open_facts(struct chat *c, struct serve_chat *f)
{
	pthread_mutex_lock(&c->lock);
	c->flow = f;
	if (c->left)
		serve_chat_cancel(f);
	snprintf(c->id, sizeof c->id, "%s", serve_chat_id(f));
	snprintf(c->record, sizeof c->record, "%s", serve_chat_record(f));
	c->stream.facts = (struct api_answer_facts){
		.streams = serve_chat_streams(f),
		.wants_usage = serve_chat_wants_usage(f),
		.wants_logprobs = serve_chat_wants_logprobs(f),
		.choices = serve_chat_choices(f),
		.created = serve_chat_created(f),
		.id = c->id,
		.model = serve_service_model(c->s->service),
	};
	api_answer_begin(&c->out, &c->stream);
	c->opened = true;
	pthread_mutex_unlock(&c->lock);
	raise_event(c);
}

/* One piece into the buffer, when the reader has made room. ERR_UNAVAILABLE: nobody reads any more.
 * An empty one asks just that, each time the engine has gone on. */
static int pass_on(struct chat *c, const struct api_piece *piece, struct err *e)
{
	pthread_mutex_lock(&c->lock);
	while (c->stream.facts.streams && !c->left && c->out.len - c->out_at > OUT_BYTES_MAX)
		pthread_cond_wait(&c->taken, &c->lock);
	bool gone = c->left || atomic_load(&c->s->aborting);
	if (!gone)
		api_answer_piece(&c->out, &c->stream, piece);
	int r = gone ? err_set(e, ERR_UNAVAILABLE, "the answer was cut off") : buf_done(&c->out, e);
	if (r == 0 && api_answer_kept(&c->stream) > PLAIN_BYTES_MAX)
		r = err_set(e, ERR_INPUT, "the answer has more than 64 MiB: ask for a stream");
	pthread_mutex_unlock(&c->lock);
	if (piece->text.len || r < 0)
		raise_event(c);
	return r;
}

/* The receipt as a header value: base64 of the .tlog-proof. */
static void keep_receipt(struct chat *c, const json_t *result)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(result, "hallmark"), "receipt"));
	if (!text)
		return;
	if (strchr(text, '\n'))
		text_base64(&c->receipt, text, strlen(text));
	else
		buf_add_text(&c->receipt, text);
	if (c->receipt.failed || c->receipt.len > RECEIPT_BYTES_MAX)
		buf_clear(&c->receipt);
}

static int pass_end(struct chat *c, const json_t *result, struct err *e)
{
	pthread_mutex_lock(&c->lock);
	int r = api_answer_end(&c->out, &c->stream, result, e);
	keep_receipt(c, result);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int pump(struct chat *c, struct serve_chat *f, struct err *e)
{
	for (;;) {
		struct api_piece piece;
		int r = serve_chat_next(f, &piece, e);
		if (r < 0)
			return r;
		if (r == SERVE_END)
			return pass_end(c, serve_chat_result(f), e);
		TRY(pass_on(c, &piece, e));
	}
}

/* What a client may read of an error: its own faults in full, ours by kind (the rest goes to
 * stderr). */
static void keep_error(struct chat *c, int code, const struct err *err)
{
	c->result = code;
	c->err = *err;
	if (api_error_status(code) != 500)
		return;
	if (!c->left)
		fprintf(stderr, "hallmark: chat %s: %s\n", c->opened ? c->record : "(not admitted)",
			err->text);
	err_set(&c->err, code, "internal error: %s", err_name(code));
}

static void end(struct chat *c, int result, const struct err *err)
{
	pthread_mutex_lock(&c->lock);
	if (result < 0)
		keep_error(c, result, err);
	if (result < 0 && c->opened && c->stream.facts.streams)
		api_answer_fail(&c->out, api_error_status(result), c->err.text);
	c->ended = true;
	raise_event(c); /* before the last user may free it */
	drop_user(c);
}

static void *run(void *arg)
{
	struct chat *c = arg;
	struct server *s = c->s;
	struct serve_chat *f = NULL;
	struct err err = { 0 };
	int r = serve_chat_open(&f, s->service, c->body.bytes, c->body.len,
				c->client[0] ? c->client : NULL, &err);
	buf_free(&c->body);
	if (r == 0) {
		open_facts(c, f);
		r = pump(c, f, &err);
		pthread_mutex_lock(&c->lock);
		c->flow = NULL;
		pthread_mutex_unlock(&c->lock);
		serve_chat_close(f);
	}
	end(c, r, &err);
	server_leave(s, &s->chats);
	return NULL;
}

int chat_start(struct chat **out, struct server *s, struct buf *body, const char *client,
	       struct err *e)
{
	struct chat *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory for a chat");
	c->s = s;
	c->users = 2;
	c->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->taken, NULL);
	snprintf(c->client, sizeof c->client, "%s", client);
	c->body = *body;
	*body = (struct buf){ 0 };
	bool refused = c->event < 0 || atomic_load(&s->stopping);
	if (refused || !server_enter(s, &s->chats, s->limits.connections_max, run, c)) {
		chat_free(c);
		return err_set(e, ERR_UNAVAILABLE, "busy or shutting down: try again");
	}
	*out = c;
	return 0;
}

/* ---- the connection's thread ---- */

/* 1: something changed, 0: time is up, ERR_IO: the connection's other end is closed. */
static int chat_wait(struct chat *c, int fd, int timeout_ms)
{
	struct pollfd p[2] = { { .fd = c->event, .events = POLLIN },
			       { .fd = fd, .events = c->doubted ? 0 : POLLRDHUP } };
	int r = poll(p, 2, timeout_ms);
	if (r < 0)
		return errno == EINTR ? 1 : ERR_IO;
	if (p[1].revents & (POLLHUP | POLLERR | POLLNVAL))
		return ERR_IO;
	c->doubted |= p[1].revents != 0;
	uint64_t count;
	return r > 0 && read(c->event, &count, sizeof count) > 0;
}

/* Sleep until *flag (of the chat) is set or the worker has ended. 0, the worker's error, or
 * CHAT_GONE. */
static int wait_for(struct chat *c, const bool *flag, int fd, struct err *e)
{
	for (;;) {
		pthread_mutex_lock(&c->lock);
		bool done = *flag || c->ended;
		int result = c->ended ? c->result : 0;
		if (done && result < 0)
			*e = c->err;
		pthread_mutex_unlock(&c->lock);
		if (done)
			return result;
		if (chat_wait(c, fd, -1) < 0)
			return CHAT_GONE;
	}
}

int chat_wait_open(struct chat *c, int fd, struct err *e)
{
	int r = wait_for(c, &c->opened, fd, e);
	pthread_mutex_lock(&c->lock);
	bool streaming = c->opened && c->stream.facts.streams;
	pthread_mutex_unlock(&c->lock);
	return streaming ? 0 : r; /* a stream that failed already says so in an event */
}

bool chat_streams(const struct chat *c) { return c->stream.facts.streams; }

const char *chat_record(const struct chat *c) { return c->record; }

int chat_wait_end(struct chat *c, int fd, struct buf *body, const char **receipt, struct err *e)
{
	int r = wait_for(c, &c->ended, fd, e);
	if (r != 0)
		return r;
	*body = c->out;
	c->out = (struct buf){ 0 };
	*receipt = c->receipt.len ? c->receipt.bytes : "";
	return 0;
}

/* Bytes taken into out, or 0 with *over set at the end. */
static size_t take(struct chat *c, char *out, size_t max, bool *over)
{
	pthread_mutex_lock(&c->lock);
	size_t n = c->out.len - c->out_at;
	n = n < max ? n : max;
	if (n)
		memcpy(out, c->out.bytes + c->out_at, n);
	c->out_at += n;
	if (c->out_at == c->out.len) {
		buf_clear(&c->out);
		c->out_at = 0;
	}
	*over = n == 0 && c->ended;
	pthread_cond_signal(&c->taken);
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* Bytes are what tells a client that is gone from one that has only nothing more to say. */
static int ping_ms(const struct chat *c)
{
	unsigned often = c->s->limits.ping_ms;
	return (int)(c->doubted && often > DOUBT_PING_MS ? DOUBT_PING_MS : often);
}

static ssize_t read_stream(void *arg, uint64_t at, char *out, size_t max)
{
	static const char ping[] = ": ping\n\n";
	struct chat *c = arg;
	(void)at;
	for (;;) {
		bool over;
		size_t n = take(c, out, max, &over);
		if (n > 0)
			return (ssize_t)n;
		if (over)
			return MHD_CONTENT_READER_END_OF_STREAM;
		int r = chat_wait(c, c->fd, ping_ms(c));
		if (r < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (r == 0 && max >= sizeof ping - 1) {
			memcpy(out, ping, sizeof ping - 1); /* out is empty: between two events */
			return sizeof ping - 1;
		}
	}
}

static void leave_stream(void *arg) { chat_leave(arg); }

struct MHD_Response *chat_response(struct chat *c, int fd)
{
	c->fd = fd;
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, KIB(16), read_stream, c,
						 leave_stream);
}
