/* An answer in the shape that was asked: the table of shapes, and what they share. */
#include "api/answer.h"
#include "base/json.h"
#include "base/text.h"

#include <string.h>

static const struct {
	const char *name, *id;
	const struct api_writer
		*writer; /* NULL: not in this version, api_request_parse refuses it */
} shapes[API_SHAPES] = {
	[API_CHAT] = { "chat", "chatcmpl-", &api_chat_writer },
	[API_COMPLETION] = { "completion", "cmpl-", &api_completion_writer },
	[API_RESPONSES] = { "responses", "resp_", &api_responses_writer },
	[API_MESSAGES] = { "messages", "msg_", &api_messages_writer },
};

const char *api_shape_name(enum api_shape shape) { return shapes[shape].name; }

const char *api_shape_id(enum api_shape shape) { return shapes[shape].id; }

const char *api_id_tail(const char *id)
{
	for (size_t i = 0; i < API_SHAPES; i++)
		if (strncmp(id, shapes[i].id, strlen(shapes[i].id)) == 0)
			return id + strlen(shapes[i].id);
	return id;
}

enum api_shape api_shape_of(const char *name)
{
	int i = 0;
	while (i < API_SHAPES && (!name || strcmp(name, shapes[i].name) != 0))
		i++;
	return (enum api_shape)i;
}

static const struct api_writer *writer_of(const struct api_answer *s)
{
	return shapes[s->facts.asked->shape].writer;
}

void api_answer_begin(struct buf *out, struct api_answer *s) { writer_of(s)->begin(out, s); }

void api_answer_piece(struct buf *out, struct api_answer *s, const struct api_piece *piece)
{
	writer_of(s)->piece(out, s, piece);
}

void api_answer_fail(struct buf *out, struct api_answer *s, const struct api_error *error)
{
	writer_of(s)->fail(out, s, error);
}

void api_write_text(struct buf *out, const struct cleared *text)
{
	size_t at = out->len;
	text_json_string(out, text->bytes, text->len);
	if (out->failed)
		return;
	size_t inside =
		out->len - at - 2; /* the caller writes the quotes: a plain answer is one string */
	memmove(out->bytes + at, out->bytes + at + 1, inside);
	out->len -= 2;
	out->bytes[out->len] = 0;
}

size_t api_answer_kept(const struct api_answer *s)
{
	size_t n = api_blocks_kept(s);
	for (unsigned i = 0; i < API_CHOICES; i++) {
		const struct api_answer_choice *c = &s->choice[i];
		n += c->content.len + c->reasoning.len + c->tokens.len + c->calls.len +
		     c->logprobs.len + c->tops.len + c->offsets.len + c->text.len;
	}
	return n;
}

void api_answer_free(struct api_answer *s)
{
	for (unsigned i = 0; i < API_CHOICES; i++) {
		buf_free(&s->choice[i].content);
		buf_free(&s->choice[i].reasoning);
		buf_free(&s->choice[i].tokens);
		buf_free(&s->choice[i].calls);
		buf_free(&s->choice[i].logprobs);
		buf_free(&s->choice[i].tops);
		buf_free(&s->choice[i].offsets);
		buf_free(&s->choice[i].text);
	}
	api_blocks_free(s);
}

static int read_result(const struct api_answer *s, const json_t *result, struct api_ending *end,
		       struct err *e)
{
	static const char what[] = "result of the chat";
	TRY(json_get_array(result, "finish_reasons", &end->finish, what, e));
	TRY(json_get_u64(result, "prompt_tokens", &end->prompt_tokens, what, e));
	TRY(json_get_u64(result, "completion_tokens", &end->completion_tokens, what, e));
	TRY(json_get_u64(result, "cached_tokens", &end->cached_tokens, what, e));
	TRY(json_get_u64(result, "reasoning_tokens", &end->reasoning_tokens, what, e));
	end->seed = json_object_get(result, "seed");
	end->stopped_by = json_string_value(json_object_get(result, "stopped_by"));
	end->ended = json_integer_value(json_object_get(result, "ended"));
	if (json_array_size(end->finish) != s->facts.asked->n)
		return err_set(e, ERR_IO, "not a reason for each choice");
	return json_get_object(result, "hallmark", &end->hallmark, what, e);
}

int api_answer_end(struct buf *out, struct api_answer *s, const json_t *result, struct err *e)
{
	struct api_ending end;
	if (read_result(s, result, &end, e) < 0)
		return err_set(e, ERR_IO, "the chat ended without a result");
	return writer_of(s)->end(out, s, &end, e);
}
