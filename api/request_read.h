/* Private to api/request*.c: kinds of values, and the readers of fields that stand in other files.
 * Every reader gets the field's name and a value that is not null. */
#ifndef API_REQUEST_READ_H
#define API_REQUEST_READ_H

#include "api/api.h"

int api_read_unexpected(const char *name, const char *wanted, struct err *e);
/* "not available in this version: NAME" */
int api_read_unsupported(const char *name, struct err *e);
int api_read_real(const char *name, const json_t *v, double low, double high, double *out,
		  struct err *e) MUST_USE;
int api_read_integer(const char *name, const json_t *v, json_int_t low, json_int_t high,
		     json_int_t *out, struct err *e) MUST_USE;
int api_read_bool(const char *name, const json_t *v, bool *out, struct err *e) MUST_USE;
/* A string, or a list of at most `most`, each of 1..bytes_max bytes; appended to out[*count]. */
int api_read_strings(const char *name, const json_t *v, bool lone, size_t most, size_t bytes_max,
		     const char **out, size_t *count, struct err *e) MUST_USE;
/* Count what a text of JSON holds before it is parsed: the body, and the texts of JSON in it. */
int api_read_shape(struct api_request *r, const char *text, size_t len, struct err *e) MUST_USE;
/* The field was accepted and changes nothing. */
int api_read_note(struct api_request *r, const char *name, struct err *e) MUST_USE;

typedef int api_field_reader(struct api_request *r, const char *name, const json_t *v,
			     struct err *e);

/* request_messages.c */
api_field_reader api_read_messages;
/* request_thought.c: an assistant's reasoning. A content part of this type is a piece of it, and
 * its text is appended to out; then the whole of a message, of its members or else of its parts:
 * *out is a new string, or NULL if there is none. ERR_INPUT: in a message of another role, or no
 * text. */
bool api_read_is_thought(const char *type);
int api_read_thought_part(const json_t *part, size_t index, struct buf *out,
			  struct err *e) MUST_USE;
int api_read_thought(struct api_request *r, const json_t *message, size_t index,
		     const struct buf *parts, json_t **out, struct err *e) MUST_USE;
/* request_sampling.c */
api_field_reader api_read_temperature, api_read_top_p, api_read_min_p, api_read_top_k,
	api_read_frequency, api_read_presence, api_read_repetition, api_read_seed,
	api_read_tokens_max, api_read_tokens_min, api_read_ignore_eos, api_read_stop, api_read_ban,
	api_read_bias, api_read_logprobs, api_read_top_logprobs, api_read_n;
/* request_tools.c */
api_field_reader api_read_tools, api_read_tool_choice, api_read_parallel, api_read_response_format,
	api_read_guided_json, api_read_guided_regex, api_read_guided_choice,
	api_read_guided_grammar, api_read_structured, api_read_kwargs, api_read_effort;
/* What only the whole request shows: tool_choice without tools, two constraints, ... */
int api_read_together(struct api_request *r, struct err *e) MUST_USE;

#endif
