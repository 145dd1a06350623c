/* Private to api/request*.c: kinds of values, and the readers of fields that stand in other files.
 * Every reader gets the field's name and a value that is not null. */
#ifndef API_REQUEST_READ_H
#define API_REQUEST_READ_H

#include "api/api.h"

/* A value of another type, and one of the type that is out of range. */
int api_read_mistyped(const char *name, const char *wanted, struct err *e);
int api_read_unexpected(const char *name, const char *wanted, struct err *e);
/* "not available in this version: NAME", whatever its value; "... NAME other than 0" */
int api_read_unsupported(const char *name, struct err *e);
int api_read_refused(const char *name, const char *which, struct err *e);
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
/* So do the members of o that are not null nor in the NULL-terminated list: PREFIX.MEMBER. */
int api_read_others(struct api_request *r, const json_t *o, const char *const *keys,
		    const char *prefix, struct err *e) MUST_USE;
/* NULL where it is null, too. */
json_t *api_read_member(const json_t *o, const char *key);

typedef int api_field_reader(struct api_request *r, const char *name, const json_t *v,
			     struct err *e);

int api_read_missing(const char *name, struct err *e);

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
	api_read_do_sample, api_read_tokens_max, api_read_completion_max, api_read_predict,
	api_read_tokens_min, api_read_ignore_eos, api_read_stop, api_read_stop_ids, api_read_ban,
	api_read_bias, api_read_logprobs, api_read_top_logprobs, api_read_n;
/* request_tools.c */
api_field_reader api_read_tools, api_read_tool_choice, api_read_parallel, api_read_functions,
	api_read_function_call;
/* Tools that are functions themselves: {name, description, SCHEMA, strict}. A type other than this
 * one is refused by name; untyped: what counts where there is none. */
struct api_flat_tools {
	const char *schema, *type, *untyped;
};
int api_read_flat_tools(struct api_request *r, const char *name, const json_t *v,
			const struct api_flat_tools *how, struct err *e) MUST_USE;
/* request_form.c; api_read_format: {"type", "schema"} under a name that is static */
api_field_reader api_read_response_format, api_read_guided_json, api_read_guided_regex,
	api_read_guided_choice, api_read_guided_grammar, api_read_structured, api_read_format;
/* request_switches.c; the last: what the fields say together becomes template_kwargs */
api_field_reader api_read_kwargs, api_read_effort, api_read_reasoning, api_read_thinking,
	api_read_think, api_read_enable, api_read_budget, api_read_include;
int api_read_switches_done(struct api_request *r, struct err *e) MUST_USE;
/* request_fields.c: the reader that the field has in this shape; v is not null. */
api_field_reader api_read_field;
/* The fields that one shape alone has, or has in its own way; ends with a NULL name. */
struct api_field {
	const char *name;
	api_field_reader *read;
};
/* What a shape takes: its own fields, which count first, and shared ones; done, once all are read,
 * makes the messages of what was kept of them, and names what is missing. */
struct api_form {
	const struct api_field *own, *shared;
	int (*done)(struct api_request *r, struct err *e);
};
extern const struct api_form api_forms[API_SHAPES]; /* without done: not in this version */
/* request_completion.c */
extern const struct api_field api_completion_fields[];
int api_read_completion_done(struct api_request *r, struct err *e) MUST_USE;
/* Fields that a request of one answer has no room for: taken where they say nothing. */
api_field_reader api_read_only_one, api_read_only_false, api_read_nothing;
/* request_blocks.c, request_items.c: those of API_MESSAGES and API_RESPONSES. */
extern const struct api_field api_blocks_fields[], api_items_fields[];
int api_blocks_done(struct api_request *r, struct err *e) MUST_USE;
int api_items_done(struct api_request *r, struct err *e) MUST_USE;
/* What only the whole request shows: tool_choice without tools, two constraints, ... */
int api_read_together(struct api_request *r, struct err *e) MUST_USE;

#endif
