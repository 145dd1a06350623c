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
/* Report: {shape, layers, dtype, cache, threads, kernels, numerics, weight_bytes, peak_rss_bytes,
 * limits, decode, prefill, prefill_end, batch8}, each part with its rate, what it had to read or
 * multiply for a token, and the fraction of the limit taken before and after it: the stretch
 * nearest to its limit, with the median of all stretches, their number and how many were above the
 * limit. prefill_end: the last 512 tokens of the prompt alone. */
int lab_bench(const struct lab_bench *b, json_t **report, struct err *e) MUST_USE;

struct lab_selftest {
	const char *oracles, *tokenizer, *cases, *templates, *dump; /* paths; NULL: not asked */
	unsigned threads;
};
/* All NULL: the segmentation property. Report: {cases, passed, failed}. */
int lab_selftest(const struct lab_selftest *t, json_t **report, struct err *e) MUST_USE;

#endif
