/* What the answers of OpenAI's two shapes have in common. */
#include "api/answer.h"
#include "base/json.h"
#include "base/text.h"

#include <string.h>

void api_write_string(struct buf *out, const char *text)
{
	text_json_string(out, text, strlen(text));
}

void api_write_buf(struct buf *out, const struct buf *b)
{
	out->failed |= b->failed;
	buf_add(out, b->bytes ? b->bytes : "", b->len);
}

/* Without the brace that closes it. */
static void write_counts(struct buf *out, uint64_t prompt, uint64_t completion)
{
	buf_printf(out, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu",
		   (unsigned long long)prompt, (unsigned long long)completion,
		   (unsigned long long)prompt + completion);
}

void api_write_chunk_end(struct buf *out, const struct api_answer *s)
{
	const struct api_request *asked = s->facts.asked;
	if (asked->usage_each) {
		buf_add_text(out, ",\"usage\":");
		write_counts(out, s->prompt_tokens, s->completion_tokens);
		buf_add_byte(out, '}');
	} else if (asked->include_usage) {
		buf_add_text(out, ",\"usage\":null");
	}
	buf_add_text(out, "}\n\n");
}

void api_write_usage(struct buf *out, const struct api_ending *end)
{
	write_counts(out, end->prompt_tokens, end->completion_tokens);
	buf_printf(out,
		   ",\"prompt_tokens_details\":{\"cached_tokens\":%llu},"
		   "\"completion_tokens_details\":{\"reasoning_tokens\":%llu}}",
		   (unsigned long long)end->cached_tokens,
		   (unsigned long long)end->reasoning_tokens);
}

/* ,"seed":...,"hallmark":{...} */
int api_write_proof(struct buf *out, const struct api_ending *end, struct err *e)
{
	if (end->seed) {
		buf_add_text(out, ",\"seed\":");
		TRY(json_write(end->seed, 0, out, e));
	}
	buf_add_text(out, ",\"hallmark\":");
	return json_write(end->hallmark, 0, out, e);
}

void api_write_failure(struct buf *out, struct api_answer *s, const struct api_error *error)
{
	buf_add_text(out, "data: ");
	api_error_json(out, s->facts.asked->shape, error);
	buf_add_text(out, "\n\n");
}
