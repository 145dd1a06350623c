/* What takes long before an answer begins, done beside the passes: see base/aside.h. And what is
 * judged before any of it is done. */
#include "base/limits.h"
#include "serve/chat.h"

#include <string.h>

struct beside {
	int (*work)(void *self, struct err *e);
	void *self;
	struct err *e;
	int rc;
};

static void beside_work(void *arg)
{
	struct beside *b = arg;
	b->rc = b->work(b->self, b->e);
}

int serve_beside(const struct serve_beside *where, int (*work)(void *self, struct err *e),
		 void *self, struct err *e)
{
	struct beside b = { .work = work, .self = self, .e = e };
	struct aside_job *job = where->job;
	struct aside *aside = where->heavy ? where->aside : where->company ? where->brief : NULL;
	if (!aside)
		return work(self, e);
	job->work = beside_work;
	job->arg = &b;
	job->client = where->client;
	job->wait_us = where->wait_us;
	if (!aside_run(aside, job))
		return err_set(e, ERR_UNAVAILABLE,
			       atomic_load(&job->stop) ? "the answer is not wanted any more"
						       : "the request's deadline has passed");
	return b.rc;
}

/* ---- the length of a prompt ---- */

/* Bytes of all strings in v, names of members not among them. A list of what is left takes the
 * place of recursion: nesting is bounded by the reader. */
static size_t text_bytes(const json_t *v)
{
	const json_t *left[LIMIT_REQUEST_DEPTH + 1];
	size_t at[LIMIT_REQUEST_DEPTH + 1], depth = 0, bytes = 0;
	void *member[LIMIT_REQUEST_DEPTH + 1];
	if (json_is_string(v))
		return json_string_length(v);
	for (left[0] = v, at[0] = 0, member[0] = json_object_iter((json_t *)v);;) {
		const json_t *in = left[depth], *one = NULL;
		if (json_is_array(in) && at[depth] < json_array_size(in))
			one = json_array_get(in, at[depth]++);
		if (json_is_object(in) && member[depth]) {
			one = json_object_iter_value(member[depth]);
			member[depth] = json_object_iter_next((json_t *)in, member[depth]);
		}
		if (!one && depth-- == 0)
			return bytes;
		bytes += json_string_length(one);
		if ((json_is_array(one) || json_is_object(one)) && depth < LIMIT_REQUEST_DEPTH) {
			left[++depth] = one;
			at[depth] = 0;
			member[depth] = json_object_iter((json_t *)one);
		}
	}
}

/* What the template puts into the prompt, at least: thoughts of earlier answers often stay out. */
static size_t prompt_bytes(const struct api_request *q)
{
	const json_t *message;
	size_t i, bytes = text_bytes(q->tools) + text_bytes(q->prompt);
	json_array_foreach(q->messages, i, message)
		bytes += text_bytes(json_object_get(message, "content")) +
			 text_bytes(json_object_get(message, "tool_calls"));
	return bytes;
}

/* ERR_INPUT: so many bytes of text cannot be few enough tokens. */
static int check_bytes(const struct serve_service *s, size_t bytes, const char *field,
		       struct err *e)
{
	struct answer_model model = { 0 };
	s->who->model(s->self, &model);
	if (!model.prompt_bytes_max || bytes <= model.prompt_bytes_max)
		return 0;
	return err_at(e,
		      err_set(e, ERR_INPUT,
			      "this model's maximum context length is %u tokens, and the prompt's "
			      "texts have %zu bytes: so many tokens have at most %zu",
			      model.context_max, bytes, model.prompt_bytes_max),
		      "context_length_exceeded", "%s", field);
}

int serve_check_length(const struct serve_service *s, const struct api_request *q, struct err *e)
{
	return check_bytes(s, prompt_bytes(q), q->prompt ? "prompt" : "messages", e);
}

int serve_check_text(const struct serve_service *s, size_t len, struct err *e)
{
	return check_bytes(s, len, "prompt", e);
}
