/* A chat runs on the thread of its request: the serving room's calls block until there is more
 * text, and another thread looks meanwhile whether the client still waits. A plain answer is kept
 * and written at the end; of a stream each piece goes out as it comes. */
#include "api/writer.h"
#include "server/answers.h"
#include "server/forwarded.h"
#include "server/meter.h"
#include "server/models.h"
#include "server/pace.h"
#include "server/request.h"
#include "server/routes.h"
#include "server/subject.h"
#include "server/table.h"
#include "base/aside.h"
#include "base/limits.h"
#include "serve/count.h"

#include <stdio.h>
#include <string.h>

/* Of one document: many choices with log-probabilities; or of a stream whose end repeats it. */
#define PLAIN_BYTES_MAX MIB(64)
#define RECEIPT_BYTES_MAX KIB(3) /* of a header: proxies have 4 KiB for all of them */

struct chat {
	struct exchange *x;
	struct serve_chat *asked;
	struct api_answer answer;
	struct buf out;           /* of a stream: events that have not gone out */
	struct aside_job opening; /* what its opening waits for */
	struct server_meter meter;
	struct err err;
};

static struct api_error error_of(const struct chat *c, int code)
{
	bool limited = c->err.kind && strcmp(c->err.kind, SERVER_RATE_LIMIT) == 0;
	return (struct api_error){ .status = limited ? 429 : api_error_status(code),
				   .message = c->err.text,
				   .code = c->err.kind,
				   .param = c->err.at,
				   .request_id = c->x->id };
}

/* What a client may read of an error: its own faults in full, ours by kind (the rest goes to
 * stderr). */
static int hide_ours(struct chat *c, int code)
{
	if (api_error_status(code) != 500)
		return code;
	fprintf(stderr, "hallmark: chat %s: %s\n",
		c->asked ? serve_chat_record(c->asked) : "(not admitted)", c->err.text);
	return err_set(&c->err, code, "internal error: %s", err_name(code));
}

/* What has gathered goes out. */
static int pass_on(struct chat *c)
{
	TRY(buf_done(&c->out, &c->err));
	return server_respond_part(c->x, &c->out);
}

/* For chunks that say it. */
static void count_tokens(struct chat *c)
{
	if (c->answer.facts.asked->usage_each)
		serve_chat_counts(c->asked, &c->answer.prompt_tokens, &c->answer.completion_tokens);
}

static int take_piece(struct chat *c, const struct api_piece *piece)
{
	count_tokens(c);
	server_meter_count(&c->meter, c->asked);
	if (c->meter.over)
		return err_at(&c->err,
			      err_set(&c->err, ERR_UNAVAILABLE, "the answer ends here: %s",
				      c->meter.over),
			      SERVER_RATE_LIMIT, "%s", "");
	api_answer_piece(&c->out, &c->answer, piece);
	bool stream = c->answer.facts.asked->stream;
	if (api_answer_kept(&c->answer) > PLAIN_BYTES_MAX)
		return err_set(&c->err, ERR_INPUT, "the answer has more than 64 MiB%s",
			       stream ? "" : ": ask for a stream");
	if (stream) {
		TRY(pass_on(c));
		if (piece->text.len)
			serve_chat_sent(c->asked);
	}
	return 0;
}

/* To the end, which is then in c->out: of a plain answer all of it. */
static int take_answer(struct chat *c)
{
	struct api_piece piece;
	int rc;
	while ((rc = serve_chat_next(c->asked, &piece, &c->err)) == SERVE_TEXT)
		TRY(take_piece(c, &piece));
	TRY(rc);
	TRY(api_answer_end(&c->out, &c->answer, serve_chat_result(c->asked), &c->err));
	return buf_done(&c->out, &c->err);
}

/* The receipt as a header value; NULL where it is too long: then GET /v1/receipts/ has it. */
static const char *receipt_of(const struct chat *c)
{
	const json_t *proof = json_object_get(serve_chat_result(c->asked), "hallmark");
	const json_t *receipt = json_object_get(proof, "receipt");
	return json_string_length(receipt) < RECEIPT_BYTES_MAX ? json_string_value(receipt) : NULL;
}

static int answer_plain(struct chat *c)
{
	TRY(take_answer(c));
	const char *receipt = receipt_of(c);
	const char *const field[] = { "Hallmark-Record", serve_chat_record(c->asked),
				      receipt ? "Hallmark-Receipt" : NULL, receipt, NULL };
	TRY(server_respond_whole(c->x, &(struct response){ 200, "application/json", field },
				 &c->out));
	serve_chat_sent(c->asked);
	return 0;
}

/* The status line has been sent: an error is an event, and a client that sees no [DONE] knows. */
static int answer_stream(struct chat *c)
{
	const char *const field[] = { "Hallmark-Record", serve_chat_record(c->asked), NULL };
	TRY(buf_done(&c->out, &c->err));
	TRY(server_respond_begin(c->x, &(struct response){ 200, "text/event-stream", field },
				 &c->out));
	int rc = take_answer(c);
	if (rc < 0 && rc != CLIENT_GONE) {
		rc = hide_ours(c, rc);
		struct api_error error = error_of(c, rc);
		buf_clear(&c->out);
		api_answer_fail(&c->out, &c->answer, &error);
	}
	return rc == CLIENT_GONE ? rc : server_respond_end(c->x, &c->out);
}

/* Of a name that is none here there is no policy to ask under. */
static bool allows(const void *ctx, const char *model, const struct serve_service *s)
{
	return s ? server_model_allowed(ctx, s) : access_allows(ctx, model, NULL, NULL);
}

static void cancel(void *arg) { serve_chat_cancel(arg); }

static void cancel_opening(void *arg) { aside_cancel(arg); }

static void drop_body(void *arg) { server_request_free_body(arg); }

/* Who asks; by borrows from x and from the rest, and is not moved. */
struct asker {
	char share[SERVER_SHARE_ROOM], subject[SUBJECT_ROOM];
	struct serve_caller by;
};

static int read_asker(struct chat *c, struct asker *out)
{
	struct exchange *x = c->x;
	*out = (struct asker){ 0 };
	TRY(server_subject_read(x, out->subject, &c->err));
	server_forwarded_share(x->c, out->share);
	out->by = (struct serve_caller){ .token = x->caller.id[0] ? x->caller.id : NULL,
					 .handle = x->caller.handle[0] ? x->caller.handle : NULL,
					 .subject = out->subject[0] ? out->subject : NULL,
					 .person = x->caller.subject[0] ? x->caller.subject : NULL,
					 .share = out->share,
					 .may_ask = server_meter_person,
					 .may_ask_ctx = x,
					 .allows = allows,
					 .allows_ctx = &x->caller,
					 .facts = &x->facts,
					 .tokens_most = x->c->shortly ? SERVER_SHORT_TOKENS : 0,
					 .job = &c->opening,
					 .was_read = drop_body,
					 .was_read_ctx = x };
	return 0;
}

static int open_chat(struct chat *c)
{
	struct exchange *x = c->x;
	struct asker who;
	TRY(read_asker(c, &who));
	server_connection_await(x->c, cancel_opening, &c->opening);
	TRY(serve_chat_open(&c->asked, x->s->host, x->route->shape, x->request.body.bytes,
			    x->request.body.len, &who.by, &c->err));
	server_connection_await(x->c, cancel, c->asked);
	server_request_drop_body(x);
	c->answer.facts = (struct api_answer_facts){
		.asked = serve_chat_request(c->asked),
		.created = serve_chat_created(c->asked),
		.id = serve_chat_id(c->asked),
		.model = serve_chat_model(c->asked),
	};
	serve_chat_counts(c->asked, &c->answer.prompt_tokens, &c->answer.completion_tokens);
	server_meter_count(&c->meter, c->asked);
	api_answer_begin(&c->out, &c->answer);
	return 0;
}

/* Before anything of an answer has gone out. */
static int answer_refusal(struct chat *c, int code)
{
	struct exchange *x = c->x;
	struct api_error error = error_of(c, code);
	if (error.status == 429)
		return server_meter_refuse_person(x, &error);
	if (error.status == 403)
		server_meter_refused(x);
	return server_respond_error(x, &error, NULL);
}

/* What was spent beside for it, once. */
static int64_t take_beside(struct chat *c)
{
	int64_t cpu_us = c->opening.cpu_us;
	c->opening.cpu_us = 0;
	return cpu_us;
}

int server_answer_chat(struct exchange *x)
{
	struct chat c = { .x = x };
	int rc = server_meter_begin(&c.meter, x);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	TRY_OUT(atomic_load(&x->s->stopping) ? err_set(&c.err, ERR_UNAVAILABLE, "shutting down")
					     : 0);
	TRY_OUT(open_chat(&c));
	server_pace_off(x->c, take_beside(&c));
	rc = c.answer.facts.asked->stream ? answer_stream(&c) : answer_plain(&c);
	server_pace_skip(x->c);
out:
	server_connection_attend(x->c);
	if (rc < 0 && rc != CLIENT_GONE && !x->c->answering && !x->c->gone) {
		rc = hide_ours(&c, rc);
		rc = answer_refusal(&c, rc);
	}
	server_meter_end(&c.meter, c.asked);
	serve_chat_close(c.asked);
	api_answer_free(&c.answer);
	buf_free(&c.out);
	server_pace_off(x->c, take_beside(&c));
	return rc;
}

int server_answer_count(struct exchange *x)
{
	struct chat c = { .x = x };
	struct asker who;
	uint64_t tokens = 0;
	int rc = read_asker(&c, &who);
	server_connection_await(x->c, cancel_opening, &c.opening);
	if (rc == 0)
		rc = serve_chat_count(x->s->host, x->route->shape, x->request.body.bytes,
				      x->request.body.len, &who.by, &tokens, &c.err);
	server_connection_attend(x->c);
	server_pace_off(x->c, take_beside(&c));
	server_request_drop_body(x);
	if (rc < 0) {
		rc = hide_ours(&c, rc);
		struct api_error error = error_of(&c, rc);
		return server_respond_error(x, &error, NULL);
	}
	buf_printf(&c.out, "{\"input_tokens\":%llu}\n", (unsigned long long)tokens);
	return server_answer_json(x, &c.out, NULL);
}
