/* What quantising costs: mean KL divergence (nats) of each choice of weights and cache against the model as
 * it is stored, and how often the most probable token stays the same, over the demo model's samples (prompts
 * and greedy answers, read as one text each). Not a timing: the same figures on every machine. */
#include "base/limits.h"
#include "engine/pass.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "demo/model"
#define TOKENS_MAX 4096

static struct err why;

static void must(int r)
{
	if (r < 0) {
		fprintf(stderr, "bench: %s\n", why.text);
		exit(1);
	}
}

struct text {
	uint32_t id[TOKENS_MAX], begin[64], count; /* sample i: id[begin[i] .. begin[i+1]) */
};

static void token_ids_add(struct text *t, size_t *n, const json_t *ids)
{
	for (size_t i = 0; i < json_array_size(ids) && *n < TOKENS_MAX; i++)
		t->id[(*n)++] = (uint32_t)json_integer_value(json_array_get(ids, i));
}

static void text_read(struct text *t)
{
	struct source *s;
	struct buf b = { 0 };
	size_t n = 0;
	must(source_open_folder(&s, MODEL, &why));
	must(source_read_file(s, "samples.jsonl", MIB(1), &b, &why));
	for (char *line = strtok(b.bytes, "\n"); line && t->count < 63; line = strtok(NULL, "\n")) {
		json_t *o = json_loads(line, 0, NULL);
		t->begin[t->count++] = (uint32_t)n;
		token_ids_add(t, &n, json_object_get(o, "prompt_ids"));
		token_ids_add(t, &n, json_object_get(o, "output_ids"));
		json_decref(o);
	}
	t->begin[t->count] = (uint32_t)n;
	buf_free(&b);
	source_close(s);
}

/* [tokens][vocab] of the whole text. */
static float *logits_of(const struct text *t, enum model_packing weights, enum engine_cache cache,
                        uint32_t *vocab)
{
	struct engine_options o = { .weights = weights, .cache = cache, .quiet = true };
	struct source *src;
	struct engine *m;
	must(source_open_folder(&src, MODEL, &why));
	must(engine_open(&m, src, &o, &why));
	*vocab = engine_info(m)->vocab;
	float *logits = malloc((size_t)t->begin[t->count] * *vocab * sizeof *logits);
	for (uint32_t i = 0; i < t->count; i++) {
		struct engine_sequence *s;
		uint32_t count = t->begin[i + 1] - t->begin[i];
		struct engine_feed f = { .token = t->id + t->begin[i],
			                 .count = count,
			                 .logits = logits + (size_t)t->begin[i] * *vocab,
			                 .all = true };
		must(engine_sequence_open(&s, m, count, &why));
		f.sequence = s;
		must(engine_forward(m, &f, 1, &why));
		engine_sequence_close(s);
	}
	engine_close(m);
	source_close(src);
	return logits;
}

static double log_sum(const float *v, uint32_t n, uint32_t *best)
{
	double sum = 0;
	*best = 0;
	for (uint32_t i = 1; i < n; i++)
		*best = v[i] > v[*best] ? i : *best;
	for (uint32_t i = 0; i < n; i++)
		sum += exp((double)v[i] - (double)v[*best]);
	return (double)v[*best] + log(sum);
}

static double divergence(const float *p, const float *q, uint32_t n, bool *same)
{
	uint32_t best_p, best_q;
	double lp = log_sum(p, n, &best_p), lq = log_sum(q, n, &best_q), sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += exp((double)p[i] - lp) * ((double)p[i] - lp - (double)q[i] + lq);
	*same = best_p == best_q;
	return sum;
}

int main(void)
{
	static const struct {
		const char *name;
		enum model_packing weights;
		enum engine_cache cache;
	} choices[] = {
		{ "q8 weights", MODEL_PACKING_Q8, ENGINE_CACHE_F32 },
		{ "q4 weights", MODEL_PACKING_Q4, ENGINE_CACHE_F32 },
		{ "bf16 cache", MODEL_PACKING_STORED, ENGINE_CACHE_BF16 },
		{ "int8 cache", MODEL_PACKING_STORED, ENGINE_CACHE_INT8 },
		{ "q8 weights, int8 cache", MODEL_PACKING_Q8, ENGINE_CACHE_INT8 },
	};
	static struct text t;
	uint32_t vocab;
	text_read(&t);
	float *truth = logits_of(&t, MODEL_PACKING_STORED, ENGINE_CACHE_F32, &vocab);
	printf("quantise  %-24s %10s %10s %10s   (%u positions)\n", "", "mean KL", "largest", "same best",
	       t.begin[t.count]);
	for (size_t c = 0; c < sizeof choices / sizeof *choices; c++) {
		float *found = logits_of(&t, choices[c].weights, choices[c].cache, &vocab);
		double sum = 0, largest = 0;
		uint32_t agree = 0, n = t.begin[t.count];
		for (uint32_t i = 0; i < n; i++) {
			bool same;
			double kl = divergence(truth + (size_t)i * vocab, found + (size_t)i * vocab, vocab, &same);
			sum += kl;
			largest = kl > largest ? kl : largest;
			agree += same;
		}
		printf("quantise  %-24s %10.6f %10.6f %9.2f%%\n", choices[c].name, sum / n, largest, 100.0 * agree / n);
		free(found);
	}
	free(truth);
	return 0;
}
