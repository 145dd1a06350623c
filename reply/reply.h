/* Reply: parses what a model wrote into content, reasoning and tool calls, as each family marks
 * them; and makes the grammar of a call that a model is forced to write. */
#ifndef REPLY_REPLY_H
#define REPLY_REPLY_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

/* How a family marks reasoning and tool calls in its text. */
enum reply_syntax { /* clang-format off */
	REPLY_SYNTAX_PLAIN,      /* all is content */
	REPLY_SYNTAX_HERMES,     /* <think>...</think>, <tool_call>{json}</tool_call>: Qwen, Granite 4 */
	REPLY_SYNTAX_DEEPSEEK,   /* V3, R1: "function", name and fenced json */
	REPLY_SYNTAX_DEEPSEEK31, /* V3.1: name and bare json */
	REPLY_SYNTAX_MISTRAL,    /* [TOOL_CALLS][{json}], and as the next one */
	REPLY_SYNTAX_MISTRAL11,  /* [TOOL_CALLS]NAME[ARGS]{json}: since its tokenizer's version 11 */
	REPLY_SYNTAX_LLAMA3,     /* {"name":..., "parameters":...} or [NAME(key=value)] alone */
	REPLY_SYNTAX_GLM,        /* <tool_call>NAME <arg_key>..</arg_key><arg_value>..</arg_value> */
	REPLY_SYNTAX_KIMI,       /* functions.NAME:IDX */
	REPLY_SYNTAX_HARMONY,    /* gpt-oss channels; needs the special tokens in the text */
	REPLY_SYNTAX_XML,        /* <function=NAME><parameter=KEY>: Qwen3-Coder, Nemotron 3, Step 3.5 */
	REPLY_SYNTAX_SEED,       /* the same in <seed:tool_call>: Seed-OSS */
	REPLY_SYNTAX_MINIMAX,    /* <invoke name="NAME"><parameter name="KEY">: MiniMax M2 */
	REPLY_SYNTAX_STEP3,      /* <steptml:invoke name="NAME"> */
	REPLY_SYNTAX_DSML,       /* DeepSeek V3.2 */
	REPLY_SYNTAX_TOOL_CALLS, /* <tool_calls>{json}..</tool_calls>: MiniMax M1, Hunyuan, Jamba */
	REPLY_SYNTAX_NEMOTRON,   /* <TOOLCALL>[{json}]</TOOLCALL> */
	REPLY_SYNTAX_ERNIE,      /* as HERMES, the answer in <response> */
	REPLY_SYNTAX_LONGCAT,    /* <longcat_tool_call>{json}</longcat_tool_call> */
	REPLY_SYNTAX_BAR,        /* <|tool_call|>[{json}], functools[{json}]: Granite 3, Phi 4 */
	REPLY_SYNTAX_INTERN,     /* <|action_start|><|plugin|>{json}<|action_end|> */
	REPLY_SYNTAX_COMMAND,    /* <|START_ACTION|>[{json}]<|END_ACTION|>: Command */
	REPLY_SYNTAX_APERTUS,    /* <|tools_prefix|>[{NAME: {json}}]<|tools_suffix|> */
	REPLY_SYNTAX_LFM2,       /* <|tool_call_start|>[NAME(key=value)]<|tool_call_end|> */
	REPLY_SYNTAX_OLMO,       /* <function_calls>NAME(key=value)</function_calls> */
	REPLY_SYNTAX_GEMMA,      /* call:NAME{key:<escape>text<escape>}: FunctionGemma */
	REPLY_SYNTAX_GEMMA4,     /* the same with other marks: Gemma 4 */
	REPLY_SYNTAXES /* clang-format on */
};
const char *reply_syntax_name(enum reply_syntax s); /* "hermes", ... */

enum reply_part {
	REPLY_CONTENT,
	REPLY_REASONING,
	REPLY_CALL_NAME,      /* begins call `call`; the whole name at once */
	REPLY_CALL_ARGUMENTS, /* a piece of its arguments, which together are one JSON object */
};
struct reply_event {
	enum reply_part part;
	uint32_t call; /* of the tool parts: 0, 1, ... */
	const char *text;
	size_t len;
	/* Its place in all the text that was pushed: content and reasoning are runs of it, byte by
	 * byte; the parts of a call may be written anew and have the place of the call's marker. */
	uint64_t begin;
	const char *id; /* with REPLY_CALL_NAME: the call's id as the model wrote it, or NULL */
};

/* What a template takes as the id of a call: anything; nine letters and digits (Mistral);
 * functions.NAME:INDEX (Kimi), the index counted over the conversation. */
enum reply_ids { REPLY_IDS_CALL, REPLY_IDS_NINE, REPLY_IDS_FUNCTION };
/* What a template says of its family. ids and one_call are found by who can render it; zero
 * here. */
struct reply_family {
	enum reply_syntax syntax;
	bool thinks; /* its template knows reasoning */
	/* What a person should know: it takes tools and calls are not read; or NULL. */
	const char *unread;
	enum reply_ids ids; /* of calls */
	bool one_call;      /* a message has one call at most */
};

struct reply_options {
	enum reply_syntax syntax;
	bool reasoning;      /* the prompt ended inside it ("<think>\n" in the generation prompt) */
	const json_t *tools; /* the OpenAI list, borrowed until close; NULL: none. Arguments that
			      * a family writes without their type get the type of the schema. */
	bool framed; /* the text follows a grammar: reasoning, then calls if there are tools, or
			content to the end, in which nothing is a marker */
	/* Where an end of reasoning may come that neither prompt nor reply began: if it comes
	 * within that many bytes, before any other mark, all before it is reasoning. Until then
	 * nothing is given out. 0: what stands before it is content, and so is it. */
	size_t unbegun;
};

/* A streaming parser: any cutting of the text gives the same concatenated parts. Text that only
 * looks like a call (unknown shape, broken JSON) comes out as content, with nothing lost. Bounded:
 * a name of 256 bytes, 128 calls; of a call 4096 bytes are held back until it is whole, a longer
 * one streams from there on (broken later, what was not given out yet is content). Arguments before
 * their name wait up to 64 KiB, and so does a value written without its type: a longer one is JSON
 * if it was that so far, else a string. Line ends that stand between a marker and text are the
 * marker's. */
struct reply;
int reply_open(struct reply **out, const struct reply_options *o, struct err *e) MUST_USE;
/* Hold back only that many bytes of a call: 0 streams arguments from their first byte on, right
 * where a grammar makes them whole. Before the first push. */
void reply_hold(struct reply *r, size_t bytes);
/* Events are borrowed until the next call. None of them cuts a character if no input did. */
int reply_push(struct reply *r, const char *text, size_t len, const struct reply_event **event,
	       size_t *count, struct err *e) MUST_USE;
/* cut: the text was cut off, where the model had not ended it: an unfinished call gives what it has
 * (its name, and arguments that are no whole object), one without a name nothing, and no mark comes
 * out as content. Else an unfinished call is one where only what closes it is missing. */
int reply_end(struct reply *r, bool cut, const struct reply_event **event, size_t *count,
	      struct err *e) MUST_USE;
void reply_close(struct reply *r); /* NULL is fine */

/* The family, found from its template's text. */
struct reply_family reply_family_find(const char *text, size_t len);
/* Whether a reply begins in reasoning, may begin with it, or has none (the template knows none, or
 * has closed it). prompt: what the template adds for the answer, behind the messages. */
enum reply_thought { REPLY_THOUGHT_NONE, REPLY_THOUGHT_MAY, REPLY_THOUGHT_OPEN };
enum reply_thought reply_prompt_thought(const struct reply_family *f, const char *prompt,
					size_t len);
/* Whether the session must keep special tokens in its text for this syntax. */
bool reply_syntax_markers(enum reply_syntax s);

/* ---- ids of calls ---- */

#define REPLY_ID_BYTES 96 /* the longest, with its end */
bool reply_id_fits(enum reply_ids form, const char *id);
/* The id of the call with this number in the conversation: where the form has no place for name or
 * index, or the name is not one that stands bare, of the digest alone. */
void reply_id_make(enum reply_ids form, const struct digest *from, const char *name, unsigned index,
		   char out[REPLY_ID_BYTES]);
/* Whether an id that a model wrote is functions.NAME:INDEX with this name. */
bool reply_id_names(const char *id, const char *name, size_t len);

/* ---- replies of which something is demanded ---- */

/* The family's markers that a model has control tokens for: they may be drawn as those. */
struct reply_marker {
	const char *bytes;
	size_t len;
};
struct reply_markers {
	const struct reply_marker *at; /* [count], borrowed */
	size_t count;
};

/* What a reply may be: reasoning of any length, where there is some, and then calls of these tools,
 * or an answer. Arguments follow the tools' schemas. */
enum reply_answer {
	REPLY_ANSWER_NONE, /* calls alone */
	REPLY_ANSWER_ANY,  /* what the rule `answer` takes, which the grammar's user gives */
	REPLY_ANSWER_JSON, /* the same, and it is JSON */
	REPLY_ANSWER_TEXT, /* text of any kind, and calls behind it; only arguments of tools that are
			    * `strict` follow their schemas */
};
struct reply_frame {
	enum reply_syntax syntax;
	enum reply_thought thought;
	enum reply_answer answer;
	const struct reply_markers *markers; /* NULL: all are spelled out */
	const json_t *tools;                 /* the OpenAI list; NULL: no calls */
	const char *name;                    /* the only tool; NULL: any of them */
	unsigned calls_max;                  /* at least 1 */
	uint64_t *work; /* of schema_grammar, counted over all tools; NULL: nobody else adds to it */
};
/* Its grammar (GRAMMAR_CALL of grammar.h, or a frame there), appended to out. ERR_UNSUPPORTED: a
 * syntax or schema keyword, by name; ERR_INPUT: no such tool, or a name that the syntax cannot
 * write. */
int reply_frame_grammar(const struct reply_frame *f, struct buf *out, struct err *e) MUST_USE;

#endif
