/* The engine's tokenizer and template by themselves: texts and ids without an answer. */
#include "serve/engine_answer.h"

/* Move what was encoded to out. rc: how that went. */
static int give_ids(int rc, struct token_ids *ids, struct buf *out, struct err *e)
{
	if (rc == 0 && ids->count)
		buf_add(out, ids->id, ids->count * sizeof *ids->id);
	token_ids_free(ids);
	return rc < 0 ? rc : buf_done(out, e);
}

int serve_engine_render(void *self, const struct answer_prompt *q, struct buf *text,
			struct buf *ids, struct err *e)
{
	const struct serve_engine *m = self;
	struct token_ids found = { 0 };
	const struct engine_chat chat = { .messages = q->messages,
					  .tools = q->tools,
					  .kwargs = q->kwargs,
					  .generation_prompt = q->generation,
					  .now_us = q->now_us };
	int rc = engine_chat_encode(m->engine, &chat, text, ids ? &found : NULL, e);
	if (rc == ERR_INPUT || rc == ERR_UNSUPPORTED)
		err_at(e, rc, rc == ERR_INPUT ? "invalid_value" : "unsupported_value", "messages");
	return ids ? give_ids(rc, &found, ids, e) : rc;
}

int serve_engine_encode(void *self, const char *text, size_t len, bool special, bool post,
			struct buf *ids, struct err *e)
{
	const struct serve_engine *m = self;
	struct token_ids found = { 0 };
	int rc = engine_encode(m->engine, text, len, special, post, &found, e);
	return give_ids(rc, &found, ids, e);
}

int serve_engine_decode(void *self, const uint32_t *id, size_t count, struct buf *out,
			struct err *e)
{
	const struct serve_engine *m = self;
	uint32_t real = engine_info(m->engine)->tokens_real;
	for (size_t i = 0; i < count; i++)
		if (id[i] >= real)
			return err_set(e, ERR_INPUT, "token %u; this model has ids up to %u", id[i],
				       real - 1);
	return engine_decode(m->engine, id, count, false, out, e);
}
