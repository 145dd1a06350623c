/* One case of tests/vectors/oracles: a checkpoint and what an exact engine computes from it. */
#ifndef TESTS_ENGINE_ORACLE_H
#define TESTS_ENGINE_ORACLE_H

#include <stdint.h>

struct oracle {
	char dir[200];
	double logit_std;
	uint32_t batch, length, vocab, prefix, greedy_count, moe_layers, top_k;
	int32_t *input;    /* [batch][length] */
	double *logits;    /* [batch][length][vocab] */
	int32_t *greedy;   /* [batch][greedy_count] */
	int32_t *expert;   /* [moe_layers][batch][length][top_k] */
};

void oracle_open(struct oracle *o, const char *name);
void oracle_close(struct oracle *o);

#endif
