/* Private to flow/: a chat completion request, read strictly from untrusted bytes. */
#ifndef FLOW_REQUEST_H
#define FLOW_REQUEST_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_REQUEST_STOPS 16

/* Zero-initialise ({0}); every pointer is owned by the request. */
struct flow_request {
	json_t *root;      /* the document; holds the strings below */
	const char *model; /* 1..256 bytes */
	json_t *messages;  /* [{"role", "content"}]: strings, at least one */
	bool stream, include_usage;
	double temperature;  /* 0..2; default 1 */
	double top_p;        /* over 0, to 1; default 1: off */
	double min_p;        /* 0..1; default 0: off */
	uint32_t top_k;      /* 0: off, also from -1 */
	uint32_t tokens_max; /* 0: not given */
	bool has_seed;
	uint64_t seed;                        /* 0..2^63-1 */
	const char *stop[FLOW_REQUEST_STOPS]; /* non-empty, NUL-terminated */
	size_t stop_count;
	json_t *without_effect; /* accepted fields that change nothing: their names, each once */
};

/* Read body[0..len). ERR_INPUT: not such a request, with the field or the line and column;
 * ERR_UNSUPPORTED: a field or value that is understood by others, refused by name. *out may be
 * freed after a failure too. Parts of a content list are joined by "\n". A field that is null
 * counts as absent. Memory: the body's strings once, and at most 2^17 JSON values. Source: OpenAI
 * API reference, chat completions. */
int flow_request_parse(const void *body, size_t len, struct flow_request *out,
		       struct err *e) MUST_USE;
void flow_request_free(struct flow_request *r);

#endif
