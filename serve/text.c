/* Texts and tokens of a served model, without an answer: nothing is drawn, filtered or recorded.
 * Where they are long they are done beside the passes. */
#include "serve/chat.h"
#include "serve/service.h"

static int no_tokenizer(struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
		       "not available in this version: the tokens of a model "
		       "that is not computed here");
}

int serve_prompt(const struct serve_service *s, const struct api_request *q, bool generation,
		 struct buf *text, struct buf *ids, struct err *e)
{
	const struct answer_prompt wanted = { .messages = q->messages,
					      .tools = q->tools,
					      .kwargs = q->template_kwargs,
					      .generation = generation,
					      .now_us = env_now_us(flow_env(s->flow)) };
	TRY(serve_check_length(s, q, e));
	return s->who->prompt ? s->who->prompt(s->self, &wanted, text, ids, e) : no_tokenizer(e);
}

int serve_encode(const struct serve_service *s, const char *text, size_t len, bool special,
		 bool post, struct buf *ids, struct err *e)
{
	TRY(serve_check_text(s, len, e));
	return s->who->encode ? s->who->encode(s->self, text, len, special, post, ids, e)
			      : no_tokenizer(e);
}

int serve_decode(const struct serve_service *s, const uint32_t *id, size_t count, struct buf *out,
		 struct err *e)
{
	return s->who->decode ? s->who->decode(s->self, id, count, out, e) : no_tokenizer(e);
}

uint32_t serve_service_context(const struct serve_service *s)
{
	struct answer_model model = { 0 };
	s->who->model(s->self, &model);
	return model.context_max;
}

const struct digest *serve_service_root(const struct serve_service *s) { return serve_root(s); }

int serve_host_beside(struct serve_host *h, struct aside_job *job, const char *client,
		      int (*work)(void *self, struct err *e), void *self, struct err *e)
{
	const struct serve_beside where = {
		.aside = serve_host_aside(h), .job = job, .client = client, .heavy = true
	};
	return serve_beside(&where, work, self, e);
}
