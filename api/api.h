/* Api: the wire protocols of requests and answers, read and written; pure, no I/O. A request of any
 * shape is read strictly from untrusted bytes into one struct; an answer is written in the shape
 * that was asked, from pieces of cleared text, whole or as server-sent events (api/writer.h). */
#ifndef API_API_H
#define API_API_H

#include "base/buf.h"
#include "base/cleared.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define API_CHOICES 8 /* answers to one request at most */

/* Whose protocol a client speaks. */
enum api_shape {
	API_CHAT,       /* OpenAI's chat completions */
	API_COMPLETION, /* OpenAI's completions */
	API_RESPONSES,  /* Open Responses */
	API_MESSAGES,   /* Anthropic's messages */
	API_SHAPES,
};
/* The record's word for it: "chat", "completion", "responses", "messages". */
const char *api_shape_name(enum api_shape shape);
/* What the ids of its answers begin with: "chatcmpl-", "cmpl-", "resp_", "msg_"; and an id of any
 * shape without that. */
const char *api_shape_id(enum api_shape shape);
const char *api_id_tail(const char *id);
enum api_shape api_shape_of(const char *name); /* API_SHAPES: of no shape that is known */

/* What a client is told; code and param as OpenAI's servers have them, NULL or "": none. */
struct api_error {
	int status; /* of HTTP */
	const char *message, *code, *param;
	const char *request_id; /* Anthropic's errors say it */
};

/* ---- requests ---- */

#define API_STOPS 16
#define API_STOP_IDS 64
#define API_BANS 64
#define API_BIASES 4096
#define API_TOOLS 128

struct api_request_bias {
	uint32_t id;
	float bias; /* -100..100 */
};

/* What the answer must match; text is JSON where the kind is JSON. */
enum api_constraint_kind {
	API_CONSTRAINT_NONE,
	API_CONSTRAINT_OBJECT,
	API_CONSTRAINT_SCHEMA,
	API_CONSTRAINT_REGEX,
	API_CONSTRAINT_CHOICE,
	API_CONSTRAINT_GRAMMAR,
};

enum api_tool_choice { API_TOOLS_AUTO, API_TOOLS_NONE, API_TOOLS_REQUIRED, API_TOOLS_NAMED };

/* Zero-initialise ({0}); every pointer is owned by the request. */
struct api_request {
	enum api_shape shape;
	enum api_shape form; /* of the reader: whose fields are read */
	bool prompt_only;    /* of the reader: to be counted alone, so that no limit is needed */
	json_t *root;        /* the document; holds the strings below */
	size_t values;       /* in it, and in the texts of JSON that it holds */
	const char *model;   /* 1..256 bytes */
	/* [{"role", "content"}] with strings, at least one; of an assistant maybe "tool_calls"
	 * [{"id", "type", "function": {"name", "arguments": object}}] and "reasoning_content"; of
	 * a tool "tool_call_id" and maybe "name". "developer" is read as "system". */
	json_t *messages;
	/* Of a completion, without messages: a string, or a list of at least one id of 32 bits; of
	 * the root. bare: the tokenizer adds nothing to it; echo: the answer begins with it. */
	json_t *prompt;
	bool bare, echo;
	bool stream, include_usage, usage_each; /* usage_each: with every chunk */
	uint32_t n;                             /* 1..8 */
	bool greedy;                            /* do_sample: false; then temperature is 0 */
	double temperature;                     /* 0..2; default 1 */
	double top_p, min_p;                    /* 0..1; default 1 and 0: off */
	uint32_t top_k;                         /* 0: off, also from -1 */
	double frequency, presence;             /* -2..2; default 0: off */
	double repetition;                      /* over 0, to 10; default 1: off */
	uint32_t tokens_max, tokens_min;        /* 0: not given */
	bool ignore_eos, logprobs, has_seed;
	uint32_t top_logprobs; /* 0..20 */
	int64_t seed;
	const char *stop[API_STOPS];    /* non-empty, NUL-terminated */
	uint32_t stop_id[API_STOP_IDS]; /* tokens that end an answer, as an eos does */
	const char *ban[API_BANS];      /* as stop */
	struct api_request_bias *bias;  /* in the request's order */
	size_t stop_count, stop_ids, ban_count, bias_count;
	enum api_constraint_kind constraint;
	const char *constraint_field; /* that asked for it; static */
	struct buf constraint_text;
	json_t *tools; /* OpenAI's list, of known members that are not null; NULL: none */
	enum api_tool_choice tool_choice;
	const char *tool_name;   /* of API_TOOLS_NAMED */
	const json_t *allowed;   /* of the reader: the tools that tool_choice leaves; NULL: all */
	bool one_call;           /* parallel_tool_calls: false */
	bool old_calls;          /* asked with "functions": answered with "function_call" */
	bool hides_reasoning;    /* include_reasoning: false */
	int thinks;              /* of the reader: whether reasoning is wanted, and who says so */
	json_t *template_kwargs; /* of any kind; NULL: none */
	json_t *without_effect;  /* accepted fields that change nothing: their names, each once */
};

/* Read body[0..len) of this shape. ERR_INPUT: not such a request, with the field or the line and
 * column; ERR_UNSUPPORTED: a field or value that is understood by others, refused by name. *out may
 * be freed after a failure too. Parts of a content list are joined by "\n". A field that is null
 * counts as absent. Memory: the body's strings at most twice, and at most 2^17 JSON values. */
int api_request_parse(enum api_shape shape, const void *body, size_t len, struct api_request *out,
		      struct err *e) MUST_USE;
/* Read a request that is only to be counted: as above, and max_tokens may be missing. */
int api_request_parse_prompt(enum api_shape shape, const void *body, size_t len,
			     struct api_request *out, struct err *e) MUST_USE;
void api_request_free(struct api_request *r);
/* Whether the client gave the field of this name: for others a model may have defaults. */
bool api_request_gives(const struct api_request *r, const char *name);
/* As bytes that api_request_read_kept makes the same request of, appended to out: its fields are
 * read from (root, constraint_field and without_effect are not). n, top_p and repetition are set.
 * They are a chat request for every shape but completions. */
int api_request_write(const struct api_request *q, struct buf *out, struct err *e) MUST_USE;
/* Read what api_request_write wrote of a request of this shape; otherwise as api_request_parse. */
int api_request_read_kept(enum api_shape shape, const void *text, size_t len,
			  struct api_request *out, struct err *e) MUST_USE;

/* ---- pieces of an answer ---- */

/* What a text belongs to. A call begins with its whole name. */
enum api_part { API_CONTENT, API_REASONING, API_CALL_NAME, API_CALL_ARGUMENTS };

/* One token of the content whose text went out as it was drawn: what a filter withheld or replaced,
 * wholly or in part, is not among them. An alternative that a rule would touch is left out. */
struct api_alternative {
	struct cleared text;
	float logprob;
};
struct api_token {
	struct cleared text;
	float logprob;
	const struct api_alternative *top; /* [top_count], best first */
	size_t top_count;
	uint64_t at; /* bytes of the content that went out before it */
};

/* Borrowed until the next call. */
struct api_piece {
	unsigned choice;
	enum api_part part;
	unsigned call;       /* of the tool parts: 0, 1, ... */
	const char *call_id; /* with API_CALL_NAME */
	struct cleared text;
	const struct api_token *token; /* of content, when asked for */
	size_t token_count;
	/* Rules or stop strings hold back the end of what came of these: more of it may follow what
	 * came after it. */
	bool holds_content, holds_reasoning;
};

/* ---- errors ---- */

/* HTTP status of an ERR_* code. */
int api_error_status(int code);
/* As clients of this shape know errors, appended to out: OpenAI's
 * {"error":{"message","type","param","code"}}, or of API_MESSAGES Anthropic's
 * {"type":"error","error":{"type","message"},"request_id"}. */
void api_error_json(struct buf *out, enum api_shape shape, const struct api_error *error);

#endif
