/* Private to api/request*.c: messages made of the blocks and items of other shapes. What one side
 * says without a pause is one message, as models are trained on: templates refuse two of one role
 * in a row, and a call stands in the message of the reasoning and text before it. */
#ifndef API_REQUEST_TURNS_H
#define API_REQUEST_TURNS_H

#include "api/request_read.h"

/* Zero-initialise with r; free always. */
struct api_turns {
	struct api_request *r;
	const char *role; /* of the message that is being made; static; NULL: none is */
	struct buf text, thought;
	bool spoke; /* text may be "" */
	json_t *calls;
};
/* Texts of one message are joined by "\n", pieces of reasoning by nothing. */
int api_turns_say(struct api_turns *t, const char *role, const json_t *text,
		  struct err *e) MUST_USE;
/* Content that is a text is said; of a list, only an assistant's may be empty, and its parts are
 * left to the caller. list, index: of the message, for the error. */
int api_turns_content(struct api_turns *t, const char *list, const char *role,
		      const json_t *content, size_t index, struct err *e) MUST_USE;
int api_turns_think(struct api_turns *t, const char *text, size_t len, struct err *e) MUST_USE;
/* Of the assistant. arguments: an object. */
int api_turns_call(struct api_turns *t, const json_t *id, const json_t *name,
		   const json_t *arguments, struct err *e) MUST_USE;
/* What a call gave; parts joined by "\n" in text. */
int api_turns_result(struct api_turns *t, const json_t *id, const struct buf *text,
		     struct err *e) MUST_USE;
/* The message that is being made is whole. */
int api_turns_end(struct api_turns *t, struct err *e) MUST_USE;
void api_turns_free(struct api_turns *t);

/* ---- members of blocks and items ---- */

/* "LIST", item INDEX: WHAT; at LIST[INDEX]MEMBER */
int api_item_bad(const char *list, size_t index, const char *member, const char *kind,
		 const char *what, struct err *e);
/* Refused by name: "not available in this version: WHAT "TYPE"" */
int api_item_later(const char *list, size_t index, const char *what, const char *type,
		   struct err *e);
/* A string member of 1 to 256 bytes. */
int api_item_name(const char *list, size_t index, const json_t *o, const char *key,
		  const json_t **out, struct err *e) MUST_USE;
/* A type of content that a model of text does not see. */
bool api_is_media(const char *type);
/* The arguments of a call (new reference): the object that the text is, {} of none; of what is no
 * object {"INVALID_JSON": text}. */
int api_read_arguments(struct api_request *r, const json_t *text, json_t **out,
		       struct err *e) MUST_USE;

#endif
