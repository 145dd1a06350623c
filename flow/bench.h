/* Part of flow.h: measuring the engine against this machine. */
#ifndef FLOW_BENCH_H
#define FLOW_BENCH_H

#include "flow/serving.h"

struct flow_bench {
	const char *shape; /* "qwen3-30b-a3b", ...: random weights */
	uint32_t layers;   /* 0: all of the shape */
	struct flow_compute compute;
	bool quiet;
};
/* Report: {shape, layers, dtype, cache, threads, kernels, numerics, weight_bytes, peak_rss_bytes,
 * limits, decode, prefill, batch8}, each part with its rate, what it had to read or multiply for a
 * token, and the fraction of the limit taken before and after it: the stretch nearest to its limit,
 * with the median of all stretches, their number and how many were above the limit. */
int flow_bench(const struct flow_bench *b, json_t **report, struct err *e) MUST_USE;

#endif
