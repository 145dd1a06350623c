/* Private to reply/: the pieces of grammars of replies. reply_frame.c joins them, reply_grammar.c
 * writes the rules of calls. */
#ifndef REPLY_REPLY_FRAME_H
#define REPLY_REPLY_FRAME_H

#include "reply/reply_in.h"

#include "base/check.h"

#define REPLY_AVOID_MAX 16 /* strings */

/* Text as ordinary characters; and with the control tokens in it as tokens. */
void reply_frame_literal(struct buf *out, const char *text);
void reply_frame_marked(const struct reply_frame *f, struct buf *out, const char *text);
/* Rules `name` and `name-N` for any text in which none of these strings stands. At most
 * REPLY_AVOID_MAX strings of at most 64 characters. */
void reply_frame_avoid(struct buf *out, const char *name, const char *const *string, size_t count);
/* The rule `calls`, and what it needs. */
int reply_frame_calls(const struct reply_frame *f, struct buf *out, struct err *e) MUST_USE;

#endif
