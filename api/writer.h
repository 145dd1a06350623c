/* Answers, written: in the shape that was asked, from pieces of cleared text. */
#ifndef API_WRITER_H
#define API_WRITER_H

#include "api/api.h"

/* What every chunk of an answer repeats. */
struct api_answer_facts {
	const struct api_request *asked; /* in which form */
	int64_t created;                 /* seconds since 1970 */
	const char *id, *model;          /* "chatcmpl-...", "resp_...", "msg_..." */
};

/* A plain answer is one document, choice by choice: what comes is kept until the end, each as the
 * inside of a JSON string or list. */
struct api_answer_choice {
	struct buf content, reasoning, tokens;
	struct buf calls;                   /* objects; the arguments of the last are open */
	struct buf logprobs, tops, offsets; /* of a completion: lists beside tokens */
	struct buf text; /* of a completion with log-probabilities: as it went out, streamed too */
	uint64_t byte, character; /* in text: one place, counted both ways */
};
struct api_block;
struct api_answer {
	struct api_answer_facts facts;
	uint64_t prompt_tokens, completion_tokens;    /* so far, where every chunk says it */
	struct api_answer_choice choice[API_CHOICES]; /* plain answers */
	struct api_block *block; /* [blocks], of shapes whose answers are lists of them */
	size_t blocks;
	uint64_t events; /* of a stream that counts them */
};
void api_answer_free(struct api_answer *s);
size_t api_answer_kept(const struct api_answer *s); /* bytes */

/* An answer is begin, any number of pieces, then end or fail. Each call appends whole events to
 * out; of a plain answer only the end writes, one JSON document. */
void api_answer_begin(struct buf *out, struct api_answer *s);
void api_answer_piece(struct buf *out, struct api_answer *s, const struct api_piece *piece);
/* result: serve_chat_result. ERR_IO if it lacks what an answer needs. */
int api_answer_end(struct buf *out, struct api_answer *s, const json_t *result,
		   struct err *e) MUST_USE;
/* Streams only: the status line has been sent, so the error is an event, and the last one. */
void api_answer_fail(struct buf *out, struct api_answer *s, const struct api_error *error);

#endif
