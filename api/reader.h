/* Answers, read: from another server, not filtered. */
#ifndef API_READER_H
#define API_READER_H

#include "api/api.h"

/* Borrowed until the next call on the reader. */
enum api_event_kind { API_EVENT_TEXT, API_EVENT_FINISH, API_EVENT_USAGE };
struct api_event {
	enum api_event_kind kind;
	unsigned choice;
	enum api_part part; /* of a text */
	unsigned call;
	const char *call_id; /* with API_CALL_NAME */
	const char *text;
	size_t len;
	const json_t *logprobs;    /* of content: [{token, logprob, bytes, top_logprobs}] or NULL */
	const char *finish_reason; /* of a finish */
	uint64_t prompt_tokens, completion_tokens, cached_tokens; /* of a usage */
};
struct api_reader;
int api_reader_open(struct api_reader **out, bool stream, struct err *e) MUST_USE;
/* In any cutting. An error that the answer holds comes back as its code and message; ERR_INPUT: no
 * such answer. Nothing more may be pushed then. A plain answer's events come with the end. */
int api_reader_push(struct api_reader *r, const void *bytes, size_t len,
		    const struct api_event **event, size_t *count, struct err *e) MUST_USE;
/* ERR_INPUT: the stream was cut off. */
int api_reader_end(struct api_reader *r, const struct api_event **event, size_t *count,
		   struct err *e) MUST_USE;
void api_reader_close(struct api_reader *r); /* NULL is fine */

#endif
