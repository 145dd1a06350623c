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
extern const struct api_writer api_chat_writer;

/* The one way of model text to a socket: appended as the inside of a JSON string. */
void api_write_text(struct buf *out, const struct cleared *text);

#endif
