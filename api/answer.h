/* Private to api/answer*.c: what writes the answers of one shape, and what all of them share. */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/writer.h"

/* What an answer ended with (serve_chat_result). */
struct api_ending {
	json_t *finish; /* a reason for each choice */
	uint64_t prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens;
	const json_t *seed;
	json_t *hallmark;
	const char *stopped_by; /* the stop string that ended the first choice; NULL: none did */
	json_int_t ended;       /* seconds since 1970 */
};

/* The answers of one shape: as api_answer_begin, _piece, _end and _fail. */
struct api_writer {
	void (*begin)(struct buf *out, struct api_answer *s);
	void (*piece)(struct buf *out, struct api_answer *s, const struct api_piece *piece);
	int (*end)(struct buf *out, struct api_answer *s, const struct api_ending *end,
		   struct err *e);
	void (*fail)(struct buf *out, struct api_answer *s, const struct api_error *error);
};
extern const struct api_writer api_chat_writer, api_completion_writer, api_messages_writer,
	api_responses_writer;

/* What shapes share. */
void api_write_string(struct buf *out, const char *text);
void api_write_buf(struct buf *out, const struct buf *b);
/* {"prompt_tokens":..,"completion_tokens":..,"total_tokens":.. with the details. */
void api_write_usage(struct buf *out, const struct api_ending *end);
/* ,"seed":...,"hallmark":{...} */
int api_write_proof(struct buf *out, const struct api_ending *end, struct err *e) MUST_USE;
/* The end of a chunk: usage, where each has it, and the brace. */
void api_write_chunk_end(struct buf *out, const struct api_answer *s);
/* An error in place of the rest of a stream. */
void api_write_failure(struct buf *out, struct api_answer *s, const struct api_error *error);

/* The one way of model text to a socket: appended as the inside of a JSON string. */
void api_write_text(struct buf *out, const struct cleared *text);

/* Log-probabilities of a piece, separated by commas, after others where more says so. */
void api_write_tokens(struct buf *out, const struct api_piece *p, bool more);

/* ---- answers that are lists of blocks (answer_blocks.c) ---- */

/* One block of an answer, in the order in which the blocks began. What rules hold back of one part
 * may come when a block of another has begun: so a block is closed when nothing of it is held, and
 * several may be open. The texts are the insides of JSON strings. */
struct api_block {
	enum api_part part; /* API_CONTENT, API_REASONING, API_CALL_NAME: a call */
	bool open;
	struct buf text;   /* or the arguments of a call; of a stream that keeps it */
	struct buf tokens; /* log-probabilities */
	struct buf name, id;
};
/* What a shape writes of them; i: the block's number. */
struct api_block_writer {
	bool keeps; /* the texts of a stream too */
	void (*begin)(struct buf *out, struct api_answer *s, size_t i);
	void (*delta)(struct buf *out, struct api_answer *s, size_t i, const struct api_piece *p);
	void (*end)(struct buf *out, struct api_answer *s, size_t i, bool cut);
};
void api_blocks_piece(struct buf *out, struct api_answer *s, const struct api_piece *p,
		      const struct api_block_writer *w);
/* Close what is open; cut: the last one is not whole. */
void api_blocks_end(struct buf *out, struct api_answer *s, bool cut,
		    const struct api_block_writer *w);
size_t api_blocks_kept(const struct api_answer *s); /* bytes */
void api_blocks_free(struct api_answer *s);

#endif
