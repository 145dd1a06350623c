/* The engine on a device: oracles, batch invariance, and rates. A program without packages' shared libraries
 * (tests/gpu/run), for a machine with little on it. One JSON document a line on stdout.
 *
 *   engine oracles DIR                      the reference models of DIR, those the device can compute
 *   engine same DIR TOKENS                  logits of the model in DIR, or of a shape, cut into passes and
 *                                           beside other sequences in many ways: always the same bits
 *   engine ways DIR TOKENS                  the same text by every way to run a pass (launches, graphs, one
 *                                           kernel) and with either cache: of a cache always the same bits
 *   engine near DIR TOKENS                  logits of the device beside the CPU's
 *   engine rates SHAPE LAYERS DTYPE COPY PRODUCTS SECONDS
 *                                           decoding and prefill of random weights: LAYERS 0 for all, DTYPE
 *                                           stored, bf16, q8 or q4, COPY the rate of copies in GB/s and
 *                                           PRODUCTS that of bf16 matrix products in GFLOP/s, 0 if unknown;
 *                                           no new figure is begun after SECONDS
 *   engine fast SHAPE LAYERS DTYPE COPY PRODUCTS SECONDS
 *                                           prefill of the fast regime; fewer layers open sooner, and do
 *
 * HALLMARK_GPU_DEVICE=cpu does the same on the CPU, for testing this program. Exit 1: something is wrong. */
#include "engine/pass.h"
#include "lab/lab.h"
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 64 /* sequences at a time */

static struct err why;

/* One line; takes the document. */
static void print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	printf("\n");
	fflush(stdout);
	json_decref(o);
}

static void must(int rc)
{
	if (rc < 0) {
		print_json(json_pack("{s:s,s:b,s:s}", "what", "error", "ok", 0, "error", why.text));
		exit(1);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t draw(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*state >> 33) % n);
}

/* Of a folder, or of a published shape with random weights. */
static struct engine *open_engine(const char *what, uint32_t layers, struct engine_options o)
{
	struct engine *m = NULL;
	struct source *src = NULL;
	o.quiet = true;
	if (strchr(what, '/') == NULL) {
		must(engine_open_synthetic(&m, what, layers, 1, &o, &why));
		return m;
	}
	must(source_open_folder(&src, what, &why));
	must(engine_open(&m, src, &o, &why));
	source_close(src);
	return m;
}

static enum engine_device device(void)
{
	const char *named = getenv("HALLMARK_GPU_DEVICE");
	return named != NULL && strcmp(named, "cpu") == 0 ? ENGINE_CPU : ENGINE_CUDA;
}

static struct engine_sequence *new_sequence(struct engine *m, uint32_t tokens)
{
	struct engine_sequence *s = NULL;
	must(engine_sequence_open(&s, m, tokens, &why));
	return s;
}

static void *need(size_t bytes)
{
	void *at = calloc(bytes > 0 ? bytes : 1, 1);
	if (at == NULL)
		must(err_set(&why, ERR_NOMEM, "out of memory"));
	return at;
}

/* ---- the same bits ---- */

struct text {
	struct engine *m;
	uint32_t vocab, tokens, *token; /* [tokens] */
	float *want, *got;              /* [tokens][vocab] */
};

static void make_text(struct text *t, struct engine *m, uint32_t tokens)
{
	uint64_t state = 7;
	*t = (struct text){ .m = m, .vocab = engine_info(m)->vocab, .tokens = tokens };
	t->token = need(tokens * sizeof *t->token);
	t->want = need((size_t)tokens * t->vocab * sizeof(float));
	t->got = need((size_t)tokens * t->vocab * sizeof(float));
	for (uint32_t i = 0; i < tokens; i++)
		t->token[i] = draw(&state, t->vocab);
}

static void free_text(struct text *t)
{
	free(t->token), free(t->want), free(t->got);
	engine_close(t->m);
}

/* The text's logits into out, `piece` tokens a pass, beside `others` sequences of another length and other
 * tokens, one of them a token ahead of the other at each pass. */
static void run_text(const struct text *t, uint32_t piece, uint32_t others, float *out)
{
	struct engine_sequence *s[MOST];
	uint32_t token[MOST];
	uint64_t state = piece + 100 * others;
	for (uint32_t i = 0; i <= others; i++)
		s[i] = new_sequence(t->m, t->tokens);
	for (uint32_t at = 0, n; at < t->tokens; at += n) {
		struct engine_feed feed[MOST];
		n = t->tokens - at < piece ? t->tokens - at : piece;
		for (uint32_t i = 0; i < others; i++) {
			token[i] = draw(&state, t->vocab);
			feed[i] = (struct engine_feed){ .sequence = s[i + 1], .token = &token[i], .count = 1 };
		}
		feed[others] = (struct engine_feed){ .sequence = s[0],
						     .token = t->token + at,
						     .count = n,
						     .logits = out + (size_t)at * t->vocab,
						     .all = true };
		must(engine_forward(t->m, feed, others + 1, &why));
	}
	for (uint32_t i = 0; i <= others; i++)
		engine_sequence_close(s[i]);
}

static int same(const char *what, uint32_t tokens, uint32_t layers)
{
	static const struct {
		uint32_t piece, others;
	} ways[] = { { 1, 0 }, { 1, 6 },  { 1, 63 },         { 7, 0 },
		     { 3, 6 }, { 64, 0 }, { UINT32_MAX, 0 }, { 17, 63 } };
	struct text t;
	int wrong = 0;
	make_text(&t, open_engine(what, layers, (struct engine_options){ .device = device() }), tokens);
	run_text(&t, UINT32_MAX, 0, t.want);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		size_t row = t.vocab * sizeof(float);
		uint32_t at = 0;
		memset(t.got, 0xff, tokens * row);
		run_text(&t, ways[i].piece, ways[i].others, t.got);
		while (at < tokens &&
		       memcmp(t.got + (size_t)at * t.vocab, t.want + (size_t)at * t.vocab, row) == 0)
			at++;
		wrong += at < tokens;
		print_json(json_pack("{s:s,s:s,s:I,s:I,s:b,s:I}", "what", "same", "model", what, "piece",
				     (json_int_t)ways[i].piece, "others", (json_int_t)ways[i].others, "ok",
				     at == tokens, "from", (json_int_t)at));
	}
	free_text(&t);
	return wrong != 0;
}

/* One open by one way, in pieces of few tokens, alone and beside others, which a kernel runs. */
static bool same_way(const char *what, const char *way, enum engine_cache cache, uint32_t tokens,
		     uint32_t layers, float **want)
{
	struct text t;
	bool equal = true;
	setenv("HALLMARK_CUDA_STEPS", way, 1);
	make_text(&t, open_engine(what, layers, (struct engine_options){ .device = device(), .cache = cache }),
		  tokens);
	for (int round = 0; round < 2; round++) {
		size_t bytes = (size_t)tokens * t.vocab * sizeof(float);
		run_text(&t, round == 0 ? 1 : 5, round == 0 ? 0 : 6, t.got);
		if (*want == NULL)
			*want = memcpy(need(bytes), t.got, bytes);
		equal = equal && memcmp(*want, t.got, bytes) == 0;
	}
	free_text(&t);
	return equal;
}

static int ways(const char *what, uint32_t tokens, uint32_t layers)
{
	static const char *const each[] = { "launches", "graph", "ahead", "kernel" };
	int wrong = 0;
	for (int cache = ENGINE_CACHE_F32; cache <= ENGINE_CACHE_BF16; cache++) {
		float *want = NULL;
		for (size_t w = 0; w < sizeof each / sizeof each[0]; w++) {
			bool ok = same_way(what, each[w], (enum engine_cache)cache, tokens, layers, &want);
			wrong += !ok;
			print_json(json_pack("{s:s,s:s,s:s,s:s,s:b}", "what", "ways", "model", what, "cache",
					     cache == ENGINE_CACHE_F32 ? "f32" : "bf16", "steps", each[w], "ok",
					     ok));
		}
		free(want);
	}
	return wrong != 0;
}

/* ---- beside the CPU ---- */

static double deviation(const float *x, size_t n)
{
	double sum = 0, squares = 0;
	for (size_t i = 0; i < n; i++) {
		sum += (double)x[i];
		squares += (double)x[i] * (double)x[i];
	}
	return sqrt(squares / (double)n - sum / (double)n * sum / (double)n);
}

/* The largest difference of a logit, as a share of the deviation of all, at most 1e-3: a choice of experts
 * that is nearly a tie may fall otherwise, and rows of such are counted and left out. */
static int near(const char *what, uint32_t tokens)
{
	struct text cpu, gpu;
	double most = 0;
	uint32_t apart = 0, tops = 0;
	make_text(&cpu, open_engine(what, 0, (struct engine_options){ .device = ENGINE_CPU }), tokens);
	make_text(&gpu, open_engine(what, 0, (struct engine_options){ .device = device() }), tokens);
	run_text(&cpu, UINT32_MAX, 0, cpu.want);
	run_text(&gpu, UINT32_MAX, 0, gpu.got);
	double scale = deviation(cpu.want, (size_t)tokens * cpu.vocab);
	for (uint32_t r = 0; r < tokens; r++) {
		const float *a = cpu.want + (size_t)r * cpu.vocab, *b = gpu.got + (size_t)r * cpu.vocab;
		double error = 0;
		uint32_t top_a = 0, top_b = 0;
		for (uint32_t i = 0; i < cpu.vocab; i++) {
			double d = fabs((double)a[i] - (double)b[i]) / scale;
			if (!(d <= error))
				error = d;
			top_a = a[i] > a[top_a] ? i : top_a;
			top_b = b[i] > b[top_b] ? i : top_b;
		}
		tops += top_a == top_b;
		if (error > 1e-3 || isnan(error))
			apart++;
		else if (error > most)
			most = error;
	}
	bool ok = apart * 50 <= tokens; /* one row in 50 */
	print_json(json_pack("{s:s,s:s,s:b,s:I,s:f,s:I,s:I}", "what", "near", "model", what, "ok", ok, "tokens",
			     (json_int_t)tokens, "max_error", most, "apart", (json_int_t)apart, "same_top",
			     (json_int_t)tops));
	free_text(&cpu);
	free_text(&gpu);
	return !ok;
}

/* ---- oracles ---- */

static int oracles(const char *dir)
{
	const struct lab_selftest t = { .oracles = dir, .device = device() == ENGINE_CPU ? "cpu" : "cuda" };
	json_t *report = NULL, *item;
	size_t i;
	int wrong = 0;
	must(lab_selftest(&t, &report, &why));
	json_array_foreach (json_object_get(report, "cases"), i, item) {
		const char *detail = json_string_value(json_object_get(item, "detail"));
		bool ok = json_is_true(json_object_get(item, "ok"));
		bool refused = detail != NULL && strstr(detail, "not available in this version") != NULL;
		wrong += !ok && !refused;
		print_json(json_pack("{s:s,s:O,s:b,s:b,s:O,s:s}", "what", "oracle", "model",
				     json_object_get(item, "name"), "ok", ok || refused, "refused", refused,
				     "max_error", json_object_get(item, "max_error"), "detail",
				     detail != NULL ? detail : ""));
	}
	json_decref(report);
	return wrong != 0;
}

/* ---- rates ---- */

struct rates {
	struct engine *m;
	const char *shape, *dtype;
	double copy, products; /* limits: bytes and operations a second */
	double until;
	float *logits;
	uint64_t state;
};

static void print_rate(const struct rates *r, const char *what, uint32_t n, uint32_t context, uint64_t tokens,
		       double seconds, const struct engine_traffic *a)
{
	struct engine_traffic b;
	const struct engine_facts *f = engine_info(r->m);
	engine_traffic(r->m, &b);
	double bytes = (double)(b.weight_bytes + b.cache_bytes - a->weight_bytes - a->cache_bytes);
	double work = (double)(b.operations + b.attention_operations - a->operations - a->attention_operations);
	const char *way = getenv("HALLMARK_CUDA_STEPS");
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f}", "what", what,
			      "shape", r->shape, "numerics", f->numerics, "steps", way != NULL ? way : "kernel",
			      "layers", (json_int_t)f->layers, "dtype", f->weights, "device", f->device,
			      "regime", f->regime, "batch", (json_int_t)n, "context", (json_int_t)context,
			      "tokens", (json_int_t)tokens, "seconds", seconds, "tokens_s",
			      (double)tokens / seconds, "bytes_token", bytes / (double)tokens, "gb_s",
			      bytes / seconds * 1e-9, "gflop_s", work / seconds * 1e-9);
	if (r->copy > 0)
		json_object_set_new(o, "of_copy", json_real(bytes / seconds / r->copy));
	if (r->products > 0)
		json_object_set_new(o, "of_products", json_real(work / seconds / r->products));
	print_json(o);
}

/* Feed `count` random tokens to one sequence; the logits of the last. */
static void feed_random(struct rates *r, struct engine_sequence *s, uint32_t count)
{
	uint32_t *token = need(count * sizeof *token), vocab = engine_info(r->m)->vocab;
	for (uint32_t i = 0; i < count; i++)
		token[i] = draw(&r->state, vocab);
	const struct engine_feed f = { .sequence = s, .token = token, .count = count, .logits = r->logits };
	must(engine_forward(r->m, &f, 1, &why));
	free(token);
}

/* In passes as large as the engine takes them. */
static void prefill(struct rates *r, uint32_t tokens)
{
	struct engine_sequence *s = new_sequence(r->m, tokens);
	struct engine_traffic before;
	double best = INFINITY;
	for (int round = 0; round < 3 && (round < 2 || now() < r->until); round++) {
		must(engine_sequence_truncate(s, 0, &why));
		engine_traffic(r->m, &before);
		double began = now();
		feed_random(r, s, tokens);
		double took = now() - began;
		best = round == 0 || took < best ? took : best; /* the first makes lists and wakes clocks */
	}
	print_rate(r, "prefill", 1, tokens, tokens, best, &before);
	engine_sequence_close(s);
}

/* One token for each of n sequences. */
static void decode_step(struct rates *r, struct engine_sequence **s, uint32_t n)
{
	uint32_t token[MOST], vocab = engine_info(r->m)->vocab;
	struct engine_feed feed[MOST];
	for (uint32_t i = 0; i < n; i++) {
		token[i] = draw(&r->state, vocab);
		feed[i] = (struct engine_feed){ .sequence = s[i],
						.token = &token[i],
						.count = 1,
						.logits = r->logits + (size_t)i * vocab };
	}
	must(engine_forward(r->m, feed, n, &why));
}

static void decode(struct rates *r, uint32_t n, uint32_t context, double seconds)
{
	struct engine_sequence *s[MOST];
	struct engine_traffic before;
	uint64_t steps = 0;
	const uint32_t room = 256;
	for (uint32_t i = 0; i < n; i++) {
		s[i] = new_sequence(r->m, context + room);
		feed_random(r, s[i], context < 64 ? context : 64);
		if (context > 64)
			must(engine_sequence_repeat(s[i], context, &why));
	}
	for (int i = 0; i < 4; i++)
		decode_step(r, s, n); /* makes lists, captures graphs, wakes clocks */
	engine_traffic(r->m, &before);
	double began = now();
	while (steps < room - 8 && (steps < 4 || now() < began + seconds)) {
		decode_step(r, s, n);
		steps++;
	}
	print_rate(r, "decode", n, context, steps * n, now() - began, &before);
	for (uint32_t i = 0; i < n; i++)
		engine_sequence_close(s[i]);
}

static void open_rates(struct rates *r, char **arg, bool fast)
{
	static const char *const forms[] = { "stored", "bf16", "q8", "q4" };
	struct engine_options o = { .device = device(), .cache = ENGINE_CACHE_BF16, .fast = fast };
	double began = now();
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (strcmp(forms[i], r->dtype) == 0)
			o.weights = (enum model_packing)i;
	}
	r->copy = strtod(arg[3], NULL) * 1e9;
	r->products = strtod(arg[4], NULL) * 1e9;
	r->until = began + strtod(arg[5], NULL);
	r->m = open_engine(r->shape, (uint32_t)strtoul(arg[1], NULL, 10), o);
	const struct engine_facts *f = engine_info(r->m);
	r->logits = need((size_t)MOST * f->vocab * sizeof(float));
	print_json(json_pack("{s:s,s:s,s:I,s:s,s:s,s:s,s:f,s:I}", "what", "open", "shape", r->shape, "layers",
			     (json_int_t)f->layers, "dtype", f->weights, "device", f->device, "numerics",
			     f->numerics, "seconds", now() - began, "weight_bytes",
			     (json_int_t)f->weight_bytes));
}

static int rates(char **arg, bool fast)
{
	static const uint32_t batch[] = { 1, 16, 4, 64 };
	struct rates r = { .shape = arg[0], .dtype = arg[2], .state = 1 };
	bool tiny = getenv("HALLMARK_GPU_SMALL") != NULL;
	open_rates(&r, arg, fast);
	for (size_t i = 0; i < sizeof batch / sizeof batch[0] && now() < r.until && !fast; i++) {
		if (!tiny || batch[i] == 1)
			decode(&r, batch[i], tiny ? 4 : 512, tiny ? 0 : 1);
	}
	if (now() < r.until)
		prefill(&r, tiny ? 8 : 512);
	if (now() < r.until && (fast || !tiny))
		prefill(&r, tiny ? 80 : 4096); /* beyond 64 rows the fast regime has kernels of its own */
	free(r.logits);
	engine_close(r.m);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "oracles") == 0)
		return oracles(argv[2]);
	if (argc == 4 && strcmp(argv[1], "same") == 0)
		return same(argv[2], (uint32_t)strtoul(argv[3], NULL, 10), 2);
	if (argc == 4 && strcmp(argv[1], "ways") == 0)
		return ways(argv[2], (uint32_t)strtoul(argv[3], NULL, 10), 2);
	if (argc == 4 && strcmp(argv[1], "near") == 0)
		return near(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
	if (argc == 8 && strcmp(argv[1], "rates") == 0)
		return rates(argv + 2, false);
	if (argc == 8 && strcmp(argv[1], "fast") == 0)
		return rates(argv + 2, true);
	fprintf(stderr, "usage: engine oracles DIR | same|ways|near MODEL TOKENS |\n"
			"  rates|fast SHAPE LAYERS DTYPE COPY PRODUCTS SECONDS\n");
	return 1;
}
