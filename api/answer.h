/* Private to api/answer*.c: what writes the answers of one shape, and what all of them share. */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/api.h"

/* What an answer ended with (serve_chat_result). */
struct api_ending {
	json_t *finish; /* a reason for each choice */
	uint64_t prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens;
	const json_t *seed;
	json_t *hallmark;
};

/* The answers of one shape: as api_answer_begin, _piece, _end and _fail. */
struct api_writer {
	void (*begin)(struct buf *out, struct api_answer *s);
	void (*piece)(struct buf *out, struct api_answer *s, const struct api_piece *piece);
	int (*end)(struct buf *out, struct api_answer *s, const struct api_ending *end,
		   struct err *e);
	void (*fail)(struct buf *out, struct api_answer *s, const struct api_error *error);
};
extern const struct api_writer api_chat_writer, api_completion_writer;

/* What OpenAI's two shapes share. */
void api_write_string(struct buf *out, const char *text);
void api_write_buf(struct buf *out, const struct buf *b);
/* {"prompt_tokens":..,"completion_tokens":..,"total_tokens":.. without the brace that closes it */
void api_write_counts(struct buf *out, uint64_t prompt, uint64_t completion);
/* The same with the details, closed. */
void api_write_usage(struct buf *out, const struct api_ending *end);
/* ,"seed":...,"hallmark":{...} */
int api_write_proof(struct buf *out, const struct api_ending *end, struct err *e) MUST_USE;
/* The end of a chunk: usage, where each has it, and the brace. */
void api_write_chunk_end(struct buf *out, const struct api_answer *s);
/* An error in place of the rest of a stream. */
void api_write_failure(struct buf *out, struct api_answer *s, const struct api_error *error);

/* The one way of model text to a socket: appended as the inside of a JSON string. */
void api_write_text(struct buf *out, const struct cleared *text);

#endif
