/* Lab: measuring the engine against this machine, and proving it against oracles. */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include "serve/serve.h"

struct lab_bench {
	const char *shape; /* "qwen3-30b-a3b", ...: random weights */
	uint32_t layers;   /* 0: all of the shape */
	/* Tokens of a prompt, and in the cache while decoding; with either of them one sequence is
	 * measured alone. 0: 512, and 16. */
	uint32_t prompt, context;
	struct serve_compute compute;
	bool quiet;
};
/* Report: {shape, layers, dtype, cache, device, device_name, threads, kernels, numerics,
 * weight_bytes, peak_rss_bytes, limits (null: unknown), decode, prefill, prefill_end, batch8}, each
 * part with its rate, what it had to read or multiply for a token, and the fraction of the limit
 * taken before and after it: the stretch nearest to its limit, with the median of all stretches,
 * their number and how many were above the limit. prefill_end: the last 512 tokens of the prompt
 * alone. */
int lab_bench(const struct lab_bench *b, json_t **report, struct err *e) MUST_USE;

/* A load on a server of the same API, ours or another. */
struct lab_load {
	const char *url;           /* "http://HOST:PORT", with /v1 or without */
	const char *shape;         /* "chat", "completions", "responses", "messages"; NULL: chat */
	const char *model;         /* NULL: the first that the server lists */
	const char *prompts;       /* JSON Lines: {"prompt"} or a request's body; NULL: words */
	const char *ca_file;       /* PEM; NULL: the system's roots */
	const char *authorization; /* "Bearer ..."; NULL: none */
	bool plain, reconnect;     /* not streamed; a connection for each request */
	/* Closed loop: each of `clients` sends when its last answer ended. Open loop, rate > 0: so
	 * many requests a second on average, whatever the answers take, `clients` under way at most. */
	uint32_t clients;
	double rate;
	double seconds;                     /* no request is sent later; 0: until `requests` were */
	uint64_t requests;                  /* 0: any number */
	uint32_t prompt_tokens, max_tokens; /* 0: 64, and 64 */
	double temperature;
	uint64_t seed;           /* of prompts and of the times of an open loop */
	unsigned timeout_ms;     /* an answer that takes longer, or at the end; 0: 120,000 */
	const volatile int *end; /* set from a signal: stop now and report; NULL: never */
};
/* Report: docs/formats.md, "bench serve". ERR_UNAVAILABLE: nothing was answered at all. */
int lab_load(const struct lab_load *l, json_t **report, struct err *e) MUST_USE;

struct lab_selftest {
	const char *oracles, *tokenizer, *cases, *templates, *dump; /* paths; NULL: not asked */
	const char *device; /* as in struct serve_compute */
	unsigned threads;
};
/* All NULL: the segmentation property. Report: {cases, passed, failed}. */
int lab_selftest(const struct lab_selftest *t, json_t **report, struct err *e) MUST_USE;

#endif
