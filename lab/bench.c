/* A model of a published shape with random weights, through the same forward pass as serving: one
 * sequence and eight decoding, and a prompt of 512; or one sequence alone after a context of any
 * length, and a prompt of any length. What is read and multiplied is counted by the engine while it
 * runs; the limits are taken before and after every stretch with the same threads.
 *
 * The limit of a prompt is the time that its multiply-adds take at least: the matrix products at
 * the peak of the weights' format, those in f32 beside them and attention at the peak of f32. The
 * limit of decoding is the time to read weights and cache once.
 *
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

#define PROMPT 512u /* also: tokens that are fed at a time, and room for decoding */
#define BATCH 8u
#define CONTEXT 16u /* tokens before decoding is timed */
#define ROUNDS 10   /* of decoding */
#define PROMPTS 6   /* stretches of a prompt, fewer of a long one ... */
#define PROMPTS_FEW 2
#define PROMPT_TOKENS (3 * 4096u) /* ... so that all have about so many tokens */
#define SECONDS 0.6     /* of decoding in a stretch, about */
#define UNDISTURBED 0.9 /* of the best rate of reading, before and after: a stretch that counts */

struct bench {
	struct engine *engine;
	const struct engine_facts *facts;
	struct engine_sequence *sequence[BATCH];
	uint32_t sequences, prompt, context; /* how many; tokens */
	float *logits; /* [BATCH][vocab] */
	uint64_t random;
	double read_gb_s, peak_gop_s, float_gop_s; /* the last taken */
	double calm_gb_s;                          /* the best of all stretches so far */
};

/* What a timed stretch did. */
struct stretch {
	double seconds;
	uint64_t tokens;
	struct engine_traffic traffic;
	double read_gb_s, peak_gop_s, float_gop_s; /* the better of before and after */
	double calm_gb_s; /* the worse: reading was that fast all the while */
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
		.float_operations = t.float_operations - former.float_operations,
		.attention_operations = t.attention_operations - former.attention_operations,
	};
}

/* At most PROMPT tokens more; last: of all, so that logits are wanted. */
static int feed(struct bench *b, struct engine_sequence *s, uint32_t count, bool last,
		struct err *e)
{
	uint32_t token[PROMPT];
	struct engine_feed f = {
		.sequence = s, .token = token, .count = count, .logits = last ? b->logits : NULL
	};
	for (uint32_t i = 0; i < count; i++)
		token[i] = any_token(b);
	return engine_forward(b->engine, &f, 1, e);
}

/* A sequence of `context` tokens. A long one is a short one whose cache is repeated: to decoding it
 * is as much memory, in as many pages, as if it had been computed. */
static int fill(struct bench *b, struct engine_sequence *s, struct err *e)
{
	uint32_t n = b->context < PROMPT ? b->context : PROMPT;
	TRY(engine_sequence_truncate(s, 0, e));
	TRY(feed(b, s, n, true, e));
	return n == b->context ? 0 : engine_sequence_repeat(s, b->context, e);
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
		TRY(fill(b, b->sequence[i], e));
	TRY(decode_step(b, n, e)); /* warm */
	begin(b, s);
	double until = s->seconds + SECONDS;
	while (s->tokens < (uint64_t)n * 8 ||
	       (now() < until && s->tokens < (uint64_t)n * (PROMPT - 2))) {
		TRY(decode_step(b, n, e));
		s->tokens += n;
	}
	end(b, s);
	return 0;
}

/* A prompt, and the tokens at its end alone. */
static int prefill(struct bench *b, struct stretch *whole, struct stretch *tail, struct err *e)
{
	struct engine_sequence *s = b->sequence[0];
	TRY(engine_sequence_truncate(s, 0, e));
	begin(b, whole);
	for (uint32_t at = 0, n; at < b->prompt; at += n) {
		n = b->prompt - at < PROMPT ? b->prompt - at : PROMPT;
		begin(b, tail);
		TRY(feed(b, s, n, at + n == b->prompt, e));
		tail->tokens = n;
		end(b, tail);
	}
	whole->tokens = b->prompt;
	end(b, whole);
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

/* Of the limit of all multiply-adds, each at its own peak. */
static double multiply_fraction(const struct stretch *s)
{
	const struct engine_traffic *t = &s->traffic;
	double products = (double)(t->operations - t->float_operations) / s->peak_gop_s,
	       floats = (double)(t->float_operations + t->attention_operations) / s->float_gop_s;
	return s->seconds > 0 ? (products + floats) / 1e9 / s->seconds : 0;
}

/* Of the weights' peak, by the matrix products alone. */
static double products_fraction(const struct stretch *s) { return gop_s(s) / s->peak_gop_s; }

/* Of what reading weights and multiplying in attention allow: where attention multiplies for longer
 * than the cache takes to read, that is its limit. */
static double attention_fraction(const struct stretch *s)
{
	double read = (double)s->traffic.cache_bytes / s->read_gb_s,
	       multiply = (double)s->traffic.attention_operations / s->float_gop_s,
	       weights = (double)s->traffic.weight_bytes / s->read_gb_s;
	return s->seconds > 0 ? (weights + fmax(read, multiply)) / 1e9 / s->seconds : 0;
}

/* End a stretch: measure the limit again, and take the better of before and after. */
static int weigh_read(struct bench *b, struct stretch *s, struct figure *f, struct err *e)
{
	double former = b->read_gb_s;
	TRY(engine_peak_read(b->engine, &b->read_gb_s, e));
	s->read_gb_s = fmax(former, b->read_gb_s);
	s->calm_gb_s = fmin(former, b->read_gb_s);
	s->float_gop_s = b->float_gop_s;
	b->calm_gb_s = fmax(b->calm_gb_s, s->calm_gb_s);
	f->all[f->count++] = *s;
	return 0;
}

static int peaks_take(struct bench *b, struct err *e)
{
	int rc = engine_peak_multiply(b->engine, &b->peak_gop_s, e);
	if (rc == 0)
		return engine_peak_float(b->engine, &b->float_gop_s, e);
	b->peak_gop_s = b->float_gop_s = INFINITY; /* of which anything is nothing */
	return rc == ERR_UNSUPPORTED ? 0 : rc;
}

/* Other programs do not disturb a core's multiply units: every stretch counts. */
static void weigh_multiply(struct stretch s, double peak_gop_s, double float_gop_s,
			   struct figure *f)
{
	s.peak_gop_s = peak_gop_s;
	s.float_gop_s = float_gop_s;
	s.calm_gb_s = INFINITY;
	f->all[f->count++] = s;
}

static int prompts(struct bench *b, struct figure *whole, struct figure *tail, struct err *e)
{
	uint32_t n = PROMPT_TOKENS / b->prompt;
	struct stretch s = { 0 }, t = { 0 };
	n = n < PROMPTS_FEW ? PROMPTS_FEW : n > PROMPTS ? PROMPTS : n;
	TRY(peaks_take(b, e));
	for (uint32_t i = 0; i < n; i++) {
		double peak = b->peak_gop_s, floats = b->float_gop_s;
		TRY(prefill(b, &s, &t, e));
		TRY(peaks_take(b, e));
		peak = fmax(peak, b->peak_gop_s);
		floats = fmax(floats, b->float_gop_s);
		weigh_multiply(s, peak, floats, whole);
		weigh_multiply(t, peak, floats, tail);
	}
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

struct figures {
	struct figure one, eight, whole, tail; /* decoding by one and by eight; a prompt, its end */
};

static int rounds(struct bench *b, struct figures *f, struct err *e)
{
	*f = (struct figures){ { .fraction = read_fraction },
			       { .fraction = read_fraction },
			       { .fraction = multiply_fraction },
			       { .fraction = multiply_fraction } };
	struct stretch s = { 0 };
	TRY(prompts(b, &f->whole, &f->tail, e));
	TRY(engine_peak_read(b->engine, &b->read_gb_s, e));
	for (int i = 0; i < ROUNDS; i++) {
		TRY(decode(b, 1, &s, e));
		TRY(weigh_read(b, &s, &f->one, e));
		if (b->sequences == 1)
			continue;
		TRY(decode(b, BATCH, &s, e));
		TRY(weigh_read(b, &s, &f->eight, e));
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
	obj_count(&o, "context", b->context);
	obj_real(&o, "tokens_s", rate(s));
	obj_real(&o, "bytes_token", (double)bytes / (double)s->tokens);
	obj_real(&o, "cache_bytes_token", (double)s->traffic.cache_bytes / (double)s->tokens);
	obj_real(&o, "gb_s", read_gb_s(s));
	obj_real(&o, "experts", (double)s->traffic.experts / (double)layers);
	obj_real(&o, "read_gb_s", s->read_gb_s);
	obj_real(&o, "fraction", read_fraction(s));
	obj_real(&o, "fraction_median", median(f));
	obj_real(&o, "fraction_attention", attention_fraction(s));
	obj_count(&o, "stretches", f->count);
	obj_count(&o, "above_limit", above(f));
	obj_object(report, key, &o);
}

/* null: unknown. */
static void add_limit(struct obj *o, const char *name, double value)
{
	if (isfinite(value))
		obj_real(o, name, value);
	else
		obj_add(o, name, json_null());
}

static void add_prefill(struct obj *report, const char *key, const struct bench *b,
			const struct figure *f)
{
	const struct stretch *s = best(b, f);
	double tokens = (double)s->tokens * 1e9;
	struct obj o = { 0 };
	obj_count(&o, "tokens", s->tokens);
	obj_real(&o, "tokens_s", rate(s));
	obj_real(&o, "gop_s", gop_s(s));
	add_limit(&o, "peak_gop_s", s->peak_gop_s);
	add_limit(&o, "float_gop_s", s->float_gop_s);
	obj_real(&o, "products_gop_token", (double)s->traffic.operations / tokens);
	obj_real(&o, "attention_gop_token", (double)s->traffic.attention_operations / tokens);
	obj_real(&o, "fraction", multiply_fraction(s));
	obj_real(&o, "fraction_median", median(f));
	obj_real(&o, "fraction_products", products_fraction(s));
	obj_count(&o, "stretches", f->count);
	obj_count(&o, "above_limit", above(f));
	obj_object(report, key, &o);
}

static int report_make(const struct lab_bench *o, const struct bench *b,
		       const struct figures *all, json_t **out, struct err *e)
{
	const struct engine_facts *f = b->facts;
	const struct stretch *first = best(b, &all->whole);
	struct obj report = { 0 }, limits = { 0 };
	struct rusage usage = { 0 };
	getrusage(RUSAGE_SELF, &usage);
	obj_int(&report, "version", 1);
	obj_text(&report, "shape", o->shape);
	obj_count(&report, "layers", f->layers);
	obj_text(&report, "dtype", f->weights);
	obj_text(&report, "cache", f->cache);
	obj_text(&report, "device", f->device);
	obj_text(&report, "device_name", f->device_name);
	obj_count(&report, "threads", f->threads);
	obj_text(&report, "kernels", f->kernel_set);
	obj_text(&report, "numerics", f->numerics);
	obj_count(&report, "weight_bytes", f->weight_bytes);
	obj_int(&report, "peak_rss_bytes", (int64_t)usage.ru_maxrss * 1024);
	obj_real(&limits, "read_gb_s", best(b, &all->one)->read_gb_s);
	add_limit(&limits, "peak_gop_s", first->peak_gop_s);
	add_limit(&limits, "float_gop_s", first->float_gop_s);
	obj_object(&report, "limits", &limits);
	add_decode(&report, "decode", b, &all->one);
	add_prefill(&report, "prefill", b, &all->whole);
	add_prefill(&report, "prefill_end", b, &all->tail);
	if (b->sequences > 1)
		add_decode(&report, "batch8", b, &all->eight);
	return obj_done(&report, out, e);
}

static int bench_open(struct bench *b, const struct lab_bench *o, struct err *e)
{
	struct engine_options options;
	TRY(serve_compute_read(&o->compute, &options, e));
	options.quiet = o->quiet;
	TRY(engine_open_synthetic(&b->engine, o->shape, o->layers, 1, &options, e));
	b->facts = engine_info(b->engine);
	b->sequences = o->prompt > 0 || o->context > 0 ? 1 : BATCH;
	b->prompt = o->prompt > 0 ? o->prompt : PROMPT;
	b->context = o->context > 0 ? o->context : CONTEXT;
	uint32_t room = b->context + PROMPT;
	room = b->prompt > room ? b->prompt : room;
	b->logits = malloc((size_t)BATCH * b->facts->vocab * sizeof *b->logits);
	if (b->logits == NULL)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (uint32_t i = 0; i < b->sequences; i++)
		TRY(engine_sequence_open(&b->sequence[i], b->engine, room, e));
	return 0;
}

int lab_bench(const struct lab_bench *o, json_t **report, struct err *e)
{
	struct bench b = { .random = 1 };
	struct figures all;
	*report = NULL;
	int r = bench_open(&b, o, e);
	if (r == 0)
		r = rounds(&b, &all, e);
	if (r == 0)
		r = report_make(o, &b, &all, report, e);
	for (uint32_t i = 0; i < BATCH; i++)
		engine_sequence_close(b.sequence[i]);
	free(b.logits);
	engine_close(b.engine);
	return r;
}
