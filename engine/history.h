/* The history of a conversation, as a model's chat template wants it. Templates disagree on
 * whether the arguments of a call are an object or a string, on whether content may be a list of
 * parts, on what an id of a call may look like, and on where an assistant's reasoning stands:
 * all of it is found out by rendering canaries once. Private to engine/. */
#ifndef ENGINE_HISTORY_H
#define ENGINE_HISTORY_H

#include "base/buf.h"
#include "base/err.h"
#include "reply/reply.h"

#include <jansson.h>

enum history_arguments { HISTORY_ARGUMENTS_ANY, HISTORY_ARGUMENTS_OBJECT, HISTORY_ARGUMENTS_TEXT };

/* Zero: nothing is known, and all is given as it came. */
struct engine_history_form {
	enum history_arguments arguments;
	enum reply_ids ids;
	bool parts;         /* content may be a list */
	bool thought_parts; /* reasoning is read from the content's parts */
	bool thought_alone; /* a message that calls may have reasoning or content */
	bool one_call;      /* a message has one call: others are refused, or not rendered */
};

/* Render messages and tools (NULL: none) without a prompt for the answer, appended to text. */
typedef int engine_history_render(const void *self, json_t *messages, const json_t *tools,
				  struct buf *text, struct err *e);

/* ids: what the family calls its calls by, where its template does not care. */
void engine_history_probe(struct engine_history_form *f, engine_history_render *render,
			  const void *self, enum reply_ids ids);

/* Give a list of messages the form, in place. An assistant's reasoning (`reasoning_content`,
 * `reasoning` or `thinking`) is put under all three names; ids that the template would refuse
 * become ids that it takes, in calls and in the messages that answer them; a message with more
 * calls than the template takes becomes several, each with its answers. ERR_UNSUPPORTED: content
 * that is no text. */
int engine_history_shape(const struct engine_history_form *f, json_t *messages,
			 struct err *e) MUST_USE;

#endif
