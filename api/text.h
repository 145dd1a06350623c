/* Texts and tokens: the bodies of POST /tokenize, /detokenize and /apply-template, as vLLM's and
 * llama.cpp's servers have them, read and answered. Pure. */
#ifndef API_TEXT_H
#define API_TEXT_H

#include "api/api.h"

enum api_text_kind { API_TEXT_TOKENIZE, API_TEXT_DETOKENIZE, API_TEXT_TEMPLATE };

/* Zero-initialise ({0}); every pointer is owned by it. */
struct api_text {
	struct api_request chat; /* model (NULL: not given), messages, tools, template_kwargs */
	const char *text;        /* to be tokenised; NULL: messages are */
	size_t len;
	uint32_t *id; /* [ids] of detokenize */
	size_t ids;
	bool special,
		post;    /* of a text: control tokens are recognised, the tokenizer's are added */
	bool generation; /* of messages: as far as where the answer begins */
	bool strings;    /* return_token_strs */
	bool pieces;     /* with_pieces */
};

/* As api_request_parse. A field that nobody knows is passed over. */
int api_text_parse(enum api_text_kind kind, const void *body, size_t len, struct api_text *out,
		   struct err *e) MUST_USE;
void api_text_free(struct api_text *t);

/* {"count","max_model_len","tokens","token_strs"} appended; the texts of the tokens stand one after
 * another in texts, each as long as length[i] says; NULL: they were not asked for. */
struct api_text_tokens {
	const uint32_t *id; /* [count] */
	size_t count;
	uint32_t context_max;
	const char *texts;
	const uint32_t *length;
};
void api_text_write_tokens(struct buf *out, const struct api_text *asked,
			   const struct api_text_tokens *t);
/* {"prompt","content"}: a text, with U+FFFD for what is no UTF-8; content only for detokenize. */
void api_text_write(struct buf *out, enum api_text_kind kind, const struct buf *text);

#endif
