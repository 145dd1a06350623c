/* A model of a published shape with random weights, through the same forward pass as serving: one
 * sequence and eight decoding, and a prompt of 512. What is read and multiplied is counted by the
 * engine while it runs; the limits are taken before and after every stretch with the same threads.
 * Others use the machine too, and memory's rate may double from one second to the next: a stretch
 * is compared with the limits around it alone. Of the stretches in which reading was about as fast
 * as it ever was in this run, the one nearest to its limits is reported, and beside it the median
 * of all stretches. */
#include "engine/pass.h"
#include "lab/lab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PROMPT 512u
#define BATCH 8u
#define CONTEXT 16u /* tokens before decoding is timed */
#define ROUNDS 10   /* of decoding */
#define PROMPTS 6
#define SECONDS 0.6     /* of decoding in a stretch, about */
#define UNDISTURBED 0.9 /* of the best rate of reading, before and after: a stretch that counts */

struct bench {
	struct engine *engine;
	const struct engine_facts *facts;
	struct engine_sequence *sequence[BATCH];
	float *logits; /* [BATCH][vocab] */
	uint64_t random;
	double read_gb_s, peak_gop_s; /* the last taken */
	double calm_gb_s;             /* the best of all stretches so far */
};

/* What a timed stretch did. */
struct stretch {
	double seconds;
	uint64_t tokens;
	struct engine_traffic traffic;
	double read_gb_s, peak_gop_s; /* the better of before and after */
	double calm_gb_s;             /* the worse: reading was that fast all the while */
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Knuth's linear congruential generator, upper bits. */
static uint32_t any_token(struct bench *b)
{
	b->random = b->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((b->random >> 33) % b->facts->vocab);
}

static void begin(struct bench *b, struct stretch *s)
{
	engine_traffic(b->engine, &s->traffic);
	s->seconds = now();
	s->tokens = 0;
}

static void end(struct bench *b, struct stretch *s)
{
	struct engine_traffic t, former = s->traffic;
	s->seconds = now() - s->seconds;
	engine_traffic(b->engine, &t);
	s->traffic = (struct engine_traffic){
		.passes = t.passes - former.passes,
		.rows = t.rows - former.rows,
		.weight_bytes = t.weight_bytes - former.weight_bytes,
		.cache_bytes = t.cache_bytes - former.cache_bytes,
		.experts = t.experts - former.experts,
		.operations = t.operations - former.operations,
	};
}

static int prompt(struct bench *b, struct engine_sequence *s, uint32_t count, struct err *e)
{
	uint32_t token[PROMPT];
	struct engine_feed f = {
		.sequence = s, .token = token, .count = count, .logits = b->logits
	};
	for (uint32_t i = 0; i < count; i++)
		token[i] = any_token(b);
	TRY(engine_sequence_truncate(s, 0, e));
	return engine_forward(b->engine, &f, 1, e);
}

/* Decode one token for each of n sequences. The sampler runs as in serving, but a random token is
 * fed back, so that a model of random weights does not repeat itself. */
static int decode_step(struct bench *b, uint32_t n, struct err *e)
{
	const struct engine_sampling greedy = { 0 };
	uint32_t token[BATCH];
	struct engine_feed feed[BATCH] = { 0 };
	for (uint32_t i = 0; i < n; i++) {
		token[i] = any_token(b);
		feed[i] = (struct engine_feed){ .sequence = b->sequence[i],
						.token = &token[i],
						.count = 1,
						.logits = b->logits + (size_t)i * b->facts->vocab };
	}
	TRY(engine_forward(b->engine, feed, n, e));
	for (uint32_t i = 0; i < n; i++)
		(void)engine_sample(b->engine, feed[i].logits, b->facts->vocab,
				    b->facts->tokens_real, &greedy, 0, NULL);
	return 0;
}

/* Decode with n sequences for some seconds. */
static int decode(struct bench *b, uint32_t n, struct stretch *s, struct err *e)
{
	for (uint32_t i = 0; i < n; i++)
		TRY(prompt(b, b->sequence[i], CONTEXT, e));
	TRY(decode_step(b, n, e)); /* warm */
	begin(b, s);
	double until = s->seconds + SECONDS;
	while (s->tokens < (uint64_t)n * 8 ||
	       (now() < until && s->tokens < (uint64_t)n * (PROMPT - CONTEXT - 2))) {
		TRY(decode_step(b, n, e));
		s->tokens += n;
	}
	end(b, s);
	return 0;
}

static int prefill(struct bench *b, struct stretch *s, struct err *e)
{
	begin(b, s);
	TRY(prompt(b, b->sequence[0], PROMPT, e));
	s->tokens = PROMPT;
	end(b, s);
	return 0;
}

/* All stretches of a kind, and the fraction of its limit that each reached. */
struct figure {
	double (*fraction)(const struct stretch *);
	struct stretch all[ROUNDS];
	size_t count;
};

static double rate(const struct stretch *s)
{
	return s->seconds > 0 ? (double)s->tokens / s->seconds : 0;
}

static double read_gb_s(const struct stretch *s)
{
	return s->seconds > 0 ? (double)(s->traffic.weight_bytes + s->traffic.cache_bytes) /
					s->seconds / 1e9
			      : 0;
}

static double read_fraction(const struct stretch *s) { return read_gb_s(s) / s->read_gb_s; }

static double gop_s(const struct stretch *s)
{
	return s->seconds > 0 ? (double)s->traffic.operations / s->seconds / 1e9 : 0;
}

static double multiply_fraction(const struct stretch *s) { return gop_s(s) / s->peak_gop_s; }

/* End a stretch: measure the limit again, and take the better of before and after. */
static int weigh_read(struct bench *b, struct stretch *s, struct figure *f, struct err *e)
{
	double former = b->read_gb_s;
	TRY(engine_peak_read(b->engine, &b->read_gb_s, e));
	s->read_gb_s = fmax(former, b->read_gb_s);
	s->calm_gb_s = fmin(former, b->read_gb_s);
	b->calm_gb_s = fmax(b->calm_gb_s, s->calm_gb_s);
	f->all[f->count++] = *s;
	return 0;
}

/* Other programs do not disturb a core's multiply units: every stretch counts. */
static int weigh_multiply(struct bench *b, struct stretch *s, struct figure *f, struct err *e)
{
	double former = b->peak_gop_s;
	TRY(engine_peak_multiply(b->engine, &b->peak_gop_s, e));
	s->peak_gop_s = fmax(former, b->peak_gop_s);
	s->calm_gb_s = INFINITY;
	f->all[f->count++] = *s;
	return 0;
}

/* Whether `is` is nearer to the limit than `was`. A fraction above 1 means that measuring the limit
 * was disturbed. */
static bool nearer(double is, double was) { return is <= 1 ? was > 1 || is > was : is < was; }

/* Whether memory was about as fast, before and after, as in the fastest stretch of this run. */
static bool undisturbed(const struct bench *b, const struct stretch *s)
{
	return s->calm_gb_s >= UNDISTURBED * b->calm_gb_s;
}

/* The stretch to report. */
static const struct stretch *best(const struct bench *b, const struct figure *f)
{
	const struct stretch *best = &f->all[0];
	for (size_t i = 1; i < f->count; i++) {
		const struct stretch *s = &f->all[i];
		bool calm = undisturbed(b, s), was = undisturbed(b, best);
		if (calm != was ? calm : nearer(f->fraction(s), f->fraction(best)))
			best = s;
	}
	return best;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(const struct figure *f)
{
	double fraction[ROUNDS];
	for (size_t i = 0; i < f->count; i++)
		fraction[i] = f->fraction(&f->all[i]);
	qsort(fraction, f->count, sizeof *fraction, ascending);
	return fraction[f->count / 2];
}

static size_t above(const struct figure *f)
{
	size_t n = 0;
	for (size_t i = 0; i < f->count; i++)
		n += f->fraction(&f->all[i]) > 1;
	return n;
}

static int rounds(struct bench *b, struct figure *one, struct figure *first, struct figure *eight,
		  struct err *e)
{
	*one = *eight = (struct figure){ .fraction = read_fraction };
	*first = (struct figure){ .fraction = multiply_fraction };
	struct stretch s = { 0 };
	TRY(engine_peak_multiply(b->engine, &b->peak_gop_s, e));
	for (int i = 0; i < PROMPTS; i++) {
		TRY(prefill(b, &s, e));
		TRY(weigh_multiply(b, &s, first, e));
	}
	TRY(engine_peak_read(b->engine, &b->read_gb_s, e));
	for (int i = 0; i < ROUNDS; i++) {
		TRY(decode(b, 1, &s, e));
		TRY(weigh_read(b, &s, one, e));
		TRY(decode(b, BATCH, &s, e));
		TRY(weigh_read(b, &s, eight, e));
	}
	return 0;
}

/* {tokens_s, bytes_token, gb_s, fraction, ...} of the read limit. */
static void add_decode(struct obj *report, const char *key, const struct bench *b,
		       const struct figure *f)
{
	const struct stretch *s = best(b, f);
	struct obj o = { 0 };
	uint64_t bytes = s->traffic.weight_bytes + s->traffic.cache_bytes;
	uint64_t layers = s->traffic.passes * (b->facts->moe_layers ? b->facts->moe_layers : 1);
	obj_real(&o, "tokens_s", rate(s));
	obj_real(&o, "bytes_token", (double)bytes / (double)s->tokens);
	obj_real(&o, "gb_s", read_gb_s(s));
	obj_real(&o, "experts", (double)s->traffic.experts / (double)layers);
	obj_real(&o, "read_gb_s", s->read_gb_s);
	obj_real(&o, "fraction", read_fraction(s));
	obj_real(&o, "fraction_median", median(f));
	obj_count(&o, "stretches", f->count);
	obj_count(&o, "above_limit", above(f));
	obj_object(report, key, &o);
}

static void add_prefill(struct obj *report, const struct bench *b, const struct figure *f)
{
	const struct stretch *s = best(b, f);
	struct obj o = { 0 };
	obj_count(&o, "tokens", s->tokens);
	obj_real(&o, "tokens_s", rate(s));
	obj_real(&o, "gop_s", gop_s(s));
	obj_real(&o, "peak_gop_s", s->peak_gop_s);
	obj_real(&o, "fraction", multiply_fraction(s));
	obj_real(&o, "fraction_median", median(f));
	obj_count(&o, "stretches", f->count);
	obj_count(&o, "above_limit", above(f));
	obj_object(report, "prefill", &o);
}

static int report_make(const struct lab_bench *o, const struct bench *b, const struct figure *one,
		       const struct figure *first, const struct figure *eight, json_t **out,
		       struct err *e)
{
	const struct engine_facts *f = b->facts;
	struct obj report = { 0 }, limits = { 0 };
	struct rusage usage = { 0 };
	getrusage(RUSAGE_SELF, &usage);
	obj_int(&report, "version", 1);
	obj_text(&report, "shape", o->shape);
	obj_count(&report, "layers", f->layers);
	obj_text(&report, "dtype", f->weights);
	obj_text(&report, "cache", f->cache);
	obj_count(&report, "threads", f->threads);
	obj_text(&report, "kernels", f->kernel_set);
	obj_text(&report, "numerics", f->numerics);
	obj_count(&report, "weight_bytes", f->weight_bytes);
	obj_int(&report, "peak_rss_bytes", (int64_t)usage.ru_maxrss * 1024);
	obj_real(&limits, "read_gb_s", best(b, one)->read_gb_s);
	obj_real(&limits, "peak_gop_s", best(b, first)->peak_gop_s);
	obj_object(&report, "limits", &limits);
	add_decode(&report, "decode", b, one);
	add_prefill(&report, b, first);
	add_decode(&report, "batch8", b, eight);
	return obj_done(&report, out, e);
}

static int bench_open(struct bench *b, const struct lab_bench *o, struct err *e)
{
	struct engine_options options;
	TRY(serve_compute_read(&o->compute, &options, e));
	options.quiet = o->quiet;
	TRY(engine_open_synthetic(&b->engine, o->shape, o->layers, 1, &options, e));
	b->facts = engine_info(b->engine);
	b->logits = malloc((size_t)BATCH * b->facts->vocab * sizeof *b->logits);
	if (b->logits == NULL)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (uint32_t i = 0; i < BATCH; i++)
		TRY(engine_sequence_open(&b->sequence[i], b->engine, PROMPT, e));
	return 0;
}

int lab_bench(const struct lab_bench *o, json_t **report, struct err *e)
{
	struct bench b = { .random = 1 };
	struct figure one, first, eight;
	*report = NULL;
	int r = bench_open(&b, o, e);
	if (r == 0)
		r = rounds(&b, &one, &first, &eight, e);
	if (r == 0)
		r = report_make(o, &b, &one, &first, &eight, report, e);
	for (uint32_t i = 0; i < BATCH; i++)
		engine_sequence_close(b.sequence[i]);
	free(b.logits);
	engine_close(b.engine);
	return r;
}
