/* Part of engine.h: text to token ids and back, chat templates, and replies taken apart. */
#ifndef ENGINE_LANGUAGE_H
#define ENGINE_LANGUAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;

/* ---- text ---- */

/* Encode. special: added tokens in the text are recognised (template text); else they are ordinary
 * text. bos: run the post-processor. */
/* zero-initialise, free with engine_ids_free */
struct engine_ids {
	uint32_t *id;
	size_t count, room;
};
int engine_encode(const struct engine *m, const char *text, size_t len, bool special, bool post,
		  struct engine_ids *out, struct err *e) MUST_USE;
void engine_ids_free(struct engine_ids *ids);
/* Decode, appended; incomplete UTF-8 is kept as it is. skip_special drops special tokens. */
int engine_decode(const struct engine *m, const uint32_t *id, size_t count, bool skip_special,
		  struct buf *out, struct err *e) MUST_USE;

/* Render messages (and tools, may be NULL) with the model's template, then encode with origin
 * marking: text from messages can never become a special token. kwargs: allow-listed scalars or
 * NULL. text and ids may be NULL. */
struct engine_chat {
	const json_t *messages, *tools, *kwargs;
	bool generation_prompt;
	int64_t now_us; /* for strftime_now */
};
int engine_chat_encode(const struct engine *m, const struct engine_chat *c, struct buf *text,
		       struct engine_ids *ids, struct err *e) MUST_USE;

/* Stand-alone pieces, for selftest and fuzzing: a tokenizer from its file, a template from its
 * text. */
struct engine_tokenizer;
int engine_tokenizer_open(struct engine_tokenizer **out, const void *json, size_t len,
			  struct err *e) MUST_USE;
void engine_tokenizer_close(struct engine_tokenizer *t);
int engine_tokenizer_encode(const struct engine_tokenizer *t, const char *text, size_t len,
			    bool special, bool post, struct engine_ids *out,
			    struct err *e) MUST_USE;
int engine_tokenizer_decode(const struct engine_tokenizer *t, const uint32_t *id, size_t count,
			    bool skip_special, struct buf *out, struct err *e) MUST_USE;
/* vars: top-level variables, an object. origin: out, one byte for each output byte, 1 data, 0
 * template; may be NULL. A raise_exception is ERR_INPUT with its message. */
int engine_template_render(const char *text, size_t len, const json_t *vars, int64_t now_us,
			   struct buf *out, struct buf *origin, struct err *e) MUST_USE;

/* ---- replies: what a model wrote, taken apart ---- */

/* How a family marks reasoning and tool calls in its text. */
enum engine_syntax { /* clang-format off */
	ENGINE_SYNTAX_PLAIN,     /* all is content */
	ENGINE_SYNTAX_HERMES,    /* <think>...</think>, <tool_call>{json}</tool_call>: Qwen */
	ENGINE_SYNTAX_DEEPSEEK,  /* V3, R1: "function", name and fenced json */
	ENGINE_SYNTAX_DEEPSEEK31, /* V3.1: name and bare json */
	ENGINE_SYNTAX_MISTRAL,   /* [TOOL_CALLS][{json}] */
	ENGINE_SYNTAX_LLAMA3,    /* {"name":..., "parameters":...} alone */
	ENGINE_SYNTAX_GLM,       /* <tool_call>NAME <arg_key>..</arg_key><arg_value>..</arg_value> */
	ENGINE_SYNTAX_KIMI,      /* functions.NAME:IDX */
	ENGINE_SYNTAX_HARMONY,   /* gpt-oss channels; needs the special tokens in the text */
	ENGINE_SYNTAXES /* clang-format on */
};
const char *engine_syntax_name(enum engine_syntax s); /* "hermes", ... */

enum engine_part {
	ENGINE_CONTENT,
	ENGINE_REASONING,
	ENGINE_CALL_NAME,      /* begins call `call`; the whole name at once */
	ENGINE_CALL_ARGUMENTS, /* a piece of its arguments, which together are one JSON object */
};
struct engine_event {
	enum engine_part part;
	uint32_t call; /* of the tool parts: 0, 1, ... */
	const char *text;
	size_t len;
};

/* A streaming parser: any cutting of the text gives the same concatenated parts. Text that only
 * looks like a call (unknown shape, broken JSON, an end in the middle) comes out as content, with
 * nothing lost. Bounded: a name of 256 bytes, 128 calls; of a call 4096 bytes are held back until
 * it is whole, a longer one streams from there on (broken later, what was not given out yet is
 * content); arguments before their name, or one undecided value of GLM, 64 KiB. Line ends that
 * stand between a marker and text are the marker's. */
struct engine_reply;
/* reasoning: the prompt ended inside reasoning ("<think>\n" in the generation prompt). */
int engine_reply_open(struct engine_reply **out, enum engine_syntax syntax, bool reasoning,
		      struct err *e) MUST_USE;
/* Hold back only that many bytes of a call: 0 streams arguments from their first byte on, right
 * where a grammar makes them whole. Before the first push. */
void engine_reply_hold(struct engine_reply *r, size_t bytes);
/* Events are borrowed until the next call. None of them cuts a character if no input did. */
int engine_reply_push(struct engine_reply *r, const char *text, size_t len,
		      const struct engine_event **event, size_t *count, struct err *e) MUST_USE;
int engine_reply_end(struct engine_reply *r, const struct engine_event **event, size_t *count,
		     struct err *e) MUST_USE;
void engine_reply_close(struct engine_reply *r); /* NULL is fine */

/* The syntax of a model, found from its template; PLAIN without one. */
enum engine_syntax engine_reply_syntax(const struct engine *m);
/* The same from a template's text. */
enum engine_syntax engine_template_syntax(const char *text, size_t len);
/* Whether a rendered prompt ends inside reasoning. */
bool engine_prompt_reasons(enum engine_syntax s, const char *prompt, size_t len);
/* Whether the session must keep special tokens in its text for this syntax. */
bool engine_syntax_markers(enum engine_syntax s);
/* A grammar (ENGINE_CALL_GRAMMAR) for replies that are one call of one of these tools (the OpenAI
 * list), or of the one called name, with arguments by its schema; appended to out. reasoning: as
 * in engine_reply_open, and then what the prompt began comes first; else there is none. m: whose
 * control tokens the family's markers are drawn as; NULL: they are spelled out.
 * ERR_UNSUPPORTED: a syntax or schema keyword, by name; ERR_INPUT: no such tool, or a name that
 * the syntax cannot write. */
int engine_tool_grammar(enum engine_syntax s, const struct engine *m, const json_t *tools,
			const char *name, bool reasoning, struct buf *out, struct err *e) MUST_USE;

#endif
