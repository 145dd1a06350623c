/* Texts into tokens and back, and messages into the prompt that the template makes of them.
 * Nothing is drawn, so nothing is recorded; nothing of a model's output is said, so nothing is
 * filtered. */
#include "server/answers.h"
#include "server/models.h"
#include "server/pace.h"
#include "server/forwarded.h"
#include "server/request.h"
#include "server/routes.h"
#include "api/text.h"
#include "base/aside.h"
#include "base/build.h"
#include "base/limits.h"

#include <stdio.h>

struct work {
	struct exchange *x;
	enum api_text_kind kind;
	struct api_text asked;
	const struct serve_service *model;
	struct buf ids, texts, lengths; /* uint32_t each; of the tokens, one after another */
	struct buf out;
};

/* The text of each token, which depends on the token before it. */
static int spell(struct work *w, struct err *e)
{
	const uint32_t *id = (const void *)w->ids.bytes;
	struct buf before = { 0 }, both = { 0 };
	int rc = 0;
	for (size_t i = 0; i < w->ids.len / sizeof *id && rc == 0; i++) {
		size_t pair = i > 0;
		buf_clear(&before);
		buf_clear(&both);
		rc = pair ? serve_decode(w->model, &id[i - 1], 1, &before, e) : 0;
		if (rc == 0)
			rc = serve_decode(w->model, &id[i - pair], 1 + pair, &both, e);
		size_t skip = before.len < both.len ? before.len : both.len;
		uint32_t len = (uint32_t)(both.len - skip);
		buf_add(&w->texts, both.bytes ? both.bytes + skip : "", len);
		buf_add(&w->lengths, &len, sizeof len);
	}
	buf_free(&before);
	buf_free(&both);
	if (rc == 0)
		rc = buf_done(&w->texts, e);
	return rc < 0 ? rc : buf_done(&w->lengths, e);
}

static int tokenize(struct work *w, struct err *e)
{
	const struct api_text *q = &w->asked;
	if (q->text)
		TRY(serve_encode(w->model, q->text, q->len, q->special, q->post, &w->ids, e));
	else
		TRY(serve_prompt(w->model, &q->chat, q->generation, NULL, &w->ids, e));
	if (q->strings || q->pieces)
		TRY(spell(w, e));
	const struct api_text_tokens found = { .id = (const void *)w->ids.bytes,
					       .count = w->ids.len / sizeof(uint32_t),
					       .context_max = serve_service_context(w->model),
					       .texts = w->texts.bytes ? w->texts.bytes : "",
					       .length = (const void *)w->lengths.bytes };
	api_text_write_tokens(&w->out, q, &found);
	return 0;
}

static int detokenize(struct work *w, struct err *e)
{
	int rc = serve_decode(w->model, w->asked.id, w->asked.ids, &w->texts, e);
	if (rc == ERR_INPUT)
		return err_at(e, rc, "invalid_value", "tokens");
	if (rc == 0)
		api_text_write(&w->out, API_TEXT_DETOKENIZE, &w->texts);
	return rc;
}

static int apply_template(struct work *w, struct err *e)
{
	TRY(serve_prompt(w->model, &w->asked.chat, w->asked.generation, &w->texts, NULL, e));
	api_text_write(&w->out, API_TEXT_TEMPLATE, &w->texts);
	return 0;
}

static int refuse(struct exchange *x, int rc, const struct err *e)
{
	struct api_error error = {
		.status = api_error_status(rc), .message = e->text, .code = e->kind, .param = e->at
	};
	char ours[64];
	if (error.status == 500) {
		fprintf(stderr, "hallmark: %s: %s\n", x->route->path, e->text);
		snprintf(ours, sizeof ours, "internal error: %s", err_name(rc));
		error.message = ours;
	}
	return server_respond_error(x, &error, NULL);
}

/* All of it but the answer: reading is long where a body is. */
static int make(void *self, struct err *e)
{
	static int (*const does[])(struct work *, struct err *) = {
		[API_TEXT_TOKENIZE] = tokenize,
		[API_TEXT_DETOKENIZE] = detokenize,
		[API_TEXT_TEMPLATE] = apply_template,
	};
	struct work *w = self;
	const struct buf *body = &w->x->request.body;
	TRY(api_text_parse(w->kind, body->bytes, body->len, &w->asked, e));
	server_request_free_body(w->x);
	w->model = server_model_find(w->x, w->asked.chat.model);
	if (w->model)
		TRY(does[w->kind](w, e));
	return buf_done(&w->out, e);
}

static void cancel(void *arg) { aside_cancel(arg); }

/* A small body is not worth another thread. */
static int make_beside(struct work *w, struct err *e)
{
	struct exchange *x = w->x;
	struct aside_job job = { 0 };
	char share[SERVER_SHARE_ROOM];
	if (x->request.body.len <= KIB(16))
		return make(w, e);
	server_forwarded_share(x->c, share);
	const char *client = x->caller.id[0] ? x->caller.id : share;
	server_connection_await(x->c, cancel, &job);
	int rc = serve_host_beside(x->s->host, &job, client, make, w, e);
	server_connection_attend(x->c);
	server_pace_off(x->c, job.cpu_us);
	return rc < 0 && x->c->gone ? CLIENT_GONE : rc;
}

static int answer(struct exchange *x, enum api_text_kind kind)
{
	static const struct response json = { 200, "application/json", NULL };
	struct work w = { .x = x, .kind = kind };
	struct err err = { 0 };
	int rc = make_beside(&w, &err);
	server_request_drop_body(x);
	if (rc < 0 && rc != CLIENT_GONE)
		rc = refuse(x, rc, &err);
	else if (rc == 0 && !w.model)
		rc = server_model_missing(x, w.asked.chat.model);
	else if (rc == 0)
		rc = server_respond_whole(x, &json, &w.out);
	api_text_free(&w.asked);
	buf_free(&w.ids);
	buf_free(&w.texts);
	buf_free(&w.lengths);
	buf_free(&w.out);
	return rc;
}

int server_answer_tokenize(struct exchange *x) { return answer(x, API_TEXT_TOKENIZE); }
int server_answer_detokenize(struct exchange *x) { return answer(x, API_TEXT_DETOKENIZE); }
int server_answer_template(struct exchange *x) { return answer(x, API_TEXT_TEMPLATE); }

int server_answer_version(struct exchange *x)
{
	struct buf body = { 0 };
	buf_printf(&body, "{\"version\":\"%s\",\"build\":\"%s\"}\n", BUILD_VERSION, build_id());
	return server_answer_json(x, &body, NULL);
}
