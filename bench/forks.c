/* What fork statistics cost: bench/forks [GB]. Three llama-like models of that size (default 0.5)
 * in BF16 are made in a temporary folder: a base, a fine-tune of it and an unrelated one. Measured:
 * reading the files and doing nothing, sketches by one thread and by all, one comparison of
 * sketches, and an audit against 100 registered models, whose sketches are kept in files, as a
 * multiple of one comparison of two models that are read. Files are in the system's cache. Ratios
 * are of processor time, for others use the machine too. */
#include "base/file.h"
#include "base/limits.h"
#include "base/machine.h"
#include "forks/forks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define HIDDEN 4096u
#define UNITS 11008u
#define KEYS 1024u
#define VOCAB 32000u
#define ROUNDS 3
#define REGISTERED 100
#define STEP ((size_t)4 << 20)

static struct err why;
static char work[] = "/tmp/hallmark-forks.XXXXXX";
static unsigned layers, cores;

static double clock_seconds(clockid_t which)
{
	struct timespec t;
	clock_gettime(which, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench/forks: %s\n", why.text);
	exit(1);
}

/* ---- models ---- */

struct matrix {
	const char *name; /* %u: the layer */
	uint32_t rows, columns;
};
static const struct matrix in_layer[] = {
	{ "model.layers.%u.input_layernorm.weight", 0, HIDDEN },
	{ "model.layers.%u.mlp.down_proj.weight", HIDDEN, UNITS },
	{ "model.layers.%u.mlp.gate_proj.weight", UNITS, HIDDEN },
	{ "model.layers.%u.mlp.up_proj.weight", UNITS, HIDDEN },
	{ "model.layers.%u.post_attention_layernorm.weight", 0, HIDDEN },
	{ "model.layers.%u.self_attn.k_proj.weight", KEYS, HIDDEN },
	{ "model.layers.%u.self_attn.o_proj.weight", HIDDEN, HIDDEN },
	{ "model.layers.%u.self_attn.q_proj.weight", HIDDEN, HIDDEN },
	{ "model.layers.%u.self_attn.v_proj.weight", KEYS, HIDDEN },
};
#define IN_LAYER (sizeof in_layer / sizeof *in_layer)

static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint16_t half_of(float v)
{
	uint32_t bits;
	memcpy(&bits, &v, 4);
	return (uint16_t)(bits >> 16);
}

/* About normal, of standard deviation 0.02. */
static float value(uint64_t *state)
{
	uint64_t w = next(state);
	double sum = 0;
	for (int i = 0; i < 4; i++)
		sum += (double)(w >> 16 * i & 0xffff) / 65536 - 0.5;
	return (float)(0.0346 * sum);
}

static void write_values(FILE *f, uint64_t count, uint64_t *state, uint64_t *tuned)
{
	static uint16_t out[1 << 16];
	while (count) {
		size_t n = count < sizeof out / 2 ? (size_t)count : sizeof out / 2;
		for (size_t i = 0; i < n; i++)
			out[i] = half_of(value(state) + (tuned ? 0.1f * value(tuned) : 0));
		if (fwrite(out, 2, n, f) != n)
			must(err_errno(&why, "write a model"));
		count -= n;
	}
}

static void add_header(struct buf *header, const struct matrix *m, unsigned layer, uint64_t *at)
{
	uint64_t bytes = 2 * (uint64_t)(m->rows ? m->rows : 1) * m->columns;
	char name[100];
	snprintf(name, sizeof name, m->name, layer);
	buf_printf(header, "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[", *at ? "," : "{", name);
	if (m->rows)
		buf_printf(header, "%u,", m->rows);
	buf_printf(header, "%u],\"data_offsets\":[%llu,%llu]}", m->columns, (unsigned long long)*at,
		   (unsigned long long)(*at + bytes));
	*at += bytes;
}

/* noise 0: none; else of a fine-tune of the model of that seed. */
static void make_model(const char *name, uint64_t seed, uint64_t noise)
{
	static const struct matrix embedding = { "model.embed_tokens.weight", VOCAB, HIDDEN };
	char dir[100], path[LIMIT_PATH_BYTES];
	struct buf header = { 0 };
	uint64_t at = 0, size;
	snprintf(dir, sizeof dir, "%s/%s", work, name);
	must(file_make_dirs(dir, 0700, &why));
	add_header(&header, &embedding, 0, &at);
	for (unsigned l = 0; l < layers; l++)
		for (size_t i = 0; i < IN_LAYER; i++)
			add_header(&header, &in_layer[i], l, &at);
	buf_add_byte(&header, '}');
	must(file_join(path, dir, "model.safetensors", &why));
	FILE *f = fopen(path, "wb");
	if (!f)
		must(err_errno(&why, "%s", path));
	size = header.len;
	fwrite(&size, 8, 1, f);
	fwrite(header.bytes, 1, header.len, f);
	write_values(f, at / 2, &seed, noise ? &noise : NULL);
	if (fclose(f) != 0)
		must(err_errno(&why, "%s", path));
	buf_free(&header);
	must(file_join(path, dir, "config.json", &why));
	static const char config[] =
		"{\"model_type\":\"llama\",\"hidden_size\":4096,\"num_attention_heads\":32,"
		"\"num_key_value_heads\":8,\"head_dim\":128}";
	must(file_write_durable(path, config, sizeof config - 1, 0600, &why));
}

struct opened {
	struct source *source;
	json_t *config;
	struct model_values *values;
	struct fork_model model;
	uint64_t bytes;
};

static void model_open(struct opened *m, const char *name)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", work, name);
	must(source_open_folder(&m->source, path, &why));
	snprintf(path, sizeof path, "%s/%s/config.json", work, name);
	m->config = json_load_file(path, 0, NULL);
	must(model_values_open(&m->values, m->source, m->config, &why));
	m->model = (struct fork_model){ .values = m->values, .config = m->config };
	must(source_size(m->source, "model.safetensors", &m->bytes, &why));
}

static void model_close(struct opened *m)
{
	model_values_close(m->values);
	json_decref(m->config);
	source_close(m->source);
}

/* ---- what is measured ---- */

struct figure {
	double seconds, cpu; /* the least of the rounds */
};

static void figure_add(struct figure *f, double seconds, double cpu)
{
	if (f->seconds <= 0 || seconds < f->seconds)
		f->seconds = seconds;
	if (f->cpu <= 0 || cpu < f->cpu)
		f->cpu = cpu;
}

static void print_rate(const char *what, const struct figure *f, uint64_t bytes)
{
	printf("forks    %-44s %7.2f s  %6.2f GB/s  %6.2f GB/s of a core\n", what, f->seconds,
	       (double)bytes / 1e9 / f->seconds, (double)bytes / 1e9 / f->cpu);
	fflush(stdout);
}

struct reading {
	const struct opened *m;
	unsigned char *room; /* [cores][STEP] */
};

static void read_steps(void *ctx, struct part part)
{
	struct reading *r = ctx;
	for (uint32_t i = part.begin; i < part.end; i++) {
		uint64_t at = (uint64_t)i * STEP, left = r->m->bytes - at;
		struct err e;
		if (source_read(r->m->source, "model.safetensors", at, r->room + part.worker * STEP,
				left < STEP ? (size_t)left : STEP, &e) < 0)
			abort();
	}
}

static void measure_reading(const struct opened *m, struct pool *pool, struct figure *f)
{
	struct reading r = { m, calloc(cores, STEP) };
	if (!r.room)
		must(err_set(&why, ERR_NOMEM, "out of memory"));
	for (int round = 0; round < ROUNDS; round++) {
		double t = clock_seconds(CLOCK_MONOTONIC),
		       c = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
		pool_run_in_order(pool, (uint32_t)((m->bytes + STEP - 1) / STEP), read_steps, &r);
		figure_add(f, clock_seconds(CLOCK_MONOTONIC) - t,
			   clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - c);
	}
	free(r.room);
}

static struct fork_sketch *measure_sketch(struct opened *m, struct pool *pool, int rounds,
					  struct figure *f)
{
	struct fork_sketch *s = NULL;
	m->model.pool = pool;
	for (int round = 0; round < rounds; round++) {
		fork_sketch_free(s);
		double t = clock_seconds(CLOCK_MONOTONIC),
		       c = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
		must(fork_sketch_make(&s, &m->model, &why));
		figure_add(f, clock_seconds(CLOCK_MONOTONIC) - t,
			   clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - c);
	}
	return s;
}

static void print_seconds(const char *what, const struct figure *f, const char *end)
{
	printf("forks    %-44s %7.2f s  %6.2f s of processors  %s\n", what, f->seconds, f->cpu,
	       end);
	fflush(stdout);
}

static struct figure compare_once(const char *what, const struct fork_sketch *a,
				  const struct fork_sketch *b, struct pool *pool)
{
	struct fork_options how = { .alpha = 1e-3 / REGISTERED, .seed = 1, .pool = pool };
	struct fork_comparison c;
	struct figure f = { 0 };
	double t = clock_seconds(CLOCK_MONOTONIC), cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
	must(fork_compare(a, b, &how, &c, &why));
	figure_add(&f, clock_seconds(CLOCK_MONOTONIC) - t,
		   clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	if (what)
		print_seconds(what, &f, fork_verdict_name(c.verdict));
	fork_comparison_free(&c);
	return f;
}

/* Against sketches in files: as an audit does, but for the facts of cards. */
static struct figure audit_once(const struct buf *kept, const struct fork_sketch *suspect,
				struct pool *pool)
{
	struct figure f = { 0 };
	double t = clock_seconds(CLOCK_MONOTONIC), cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < REGISTERED; i++) {
		struct fork_sketch *s;
		must(fork_sketch_read(&s, kept->bytes, kept->len, &why));
		compare_once(NULL, s, suspect, pool);
		fork_sketch_free(s);
	}
	figure_add(&f, clock_seconds(CLOCK_MONOTONIC) - t,
		   clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	return f;
}

static void measure_comparing(struct opened *base, struct opened *tuned, struct opened *other,
			      const struct figure *read, struct pool *pool)
{
	struct figure first = { 0 }, second = { 0 }, third = { 0 };
	struct buf kept = { 0 };
	struct fork_sketch *a = measure_sketch(base, pool, 1, &first);
	struct fork_sketch *b = measure_sketch(tuned, pool, 1, &second);
	struct fork_sketch *c = measure_sketch(other, pool, 1, &third);
	char end[100];
	must(fork_sketch_write(c, &kept, &why));
	printf("forks    %-44s %7.1f MB\n", "a sketch in a file", (double)kept.len / 1e6);
	struct figure related = compare_once("sketches of a fine-tune and its base", a, b, pool);
	struct figure unrelated = compare_once("sketches of unrelated models", c, b, pool);
	struct figure pair = { first.seconds + second.seconds + related.seconds,
			       first.cpu + second.cpu + related.cpu };
	snprintf(end, sizeof end, "%.2f of the rate of reading both", 2 * read->cpu / pair.cpu);
	print_seconds("a fine-tune and its base, read and compared", &pair, end);
	struct figure audit = audit_once(&kept, b, pool);
	audit.seconds += second.seconds;
	audit.cpu += second.cpu;
	snprintf(end, sizeof end, "%.2f comparisons of two that are read",
		 audit.cpu / (second.cpu + third.cpu + unrelated.cpu));
	print_seconds("an audit against 100 kept sketches", &audit, end);
	buf_free(&kept);
	fork_sketch_free(a);
	fork_sketch_free(b);
	fork_sketch_free(c);
}

static void measure(struct opened *base, struct opened *tuned, struct opened *other)
{
	struct figure read = { 0 }, one = { 0 }, all = { 0 };
	struct pool *pool, *alone;
	struct rusage usage;
	must(pool_open(&pool, cores, NULL, &why));
	must(pool_open(&alone, 1, NULL, &why));
	measure_reading(base, pool, &read);
	print_rate("reading, all cores", &read, base->bytes);
	fork_sketch_free(measure_sketch(base, alone, ROUNDS, &one));
	print_rate("a sketch, one thread", &one, base->bytes);
	fork_sketch_free(measure_sketch(base, pool, ROUNDS, &all));
	print_rate("a sketch, all cores", &all, base->bytes);
	measure_comparing(base, tuned, other, &read, pool);
	getrusage(RUSAGE_SELF, &usage);
	printf("forks    %-44s %7.0f MB\n", "memory at most", (double)usage.ru_maxrss / 1e3);
	pool_close(pool);
	pool_close(alone);
}

int main(int argc, char **argv)
{
	double gb = argc > 1 ? atof(argv[1]) : 0.5;
	double each = 0;
	struct opened base, tuned, other;
	for (size_t i = 0; i < IN_LAYER; i++)
		each += 2e-9 * (in_layer[i].rows ? in_layer[i].rows : 1) * in_layer[i].columns;
	layers = (unsigned)fmax(1, round((gb - 2e-9 * VOCAB * HIDDEN) / each));
	cores = machine_cores();
	if (!mkdtemp(work))
		must(err_errno(&why, "%s", work));
	make_model("base", 1, 0);
	make_model("tuned", 1, 77);
	make_model("other", 2, 0);
	model_open(&base, "base");
	model_open(&tuned, "tuned");
	model_open(&other, "other");
	printf("forks    %-44s %7.2f GB, %u layers, %u cores\n", "each model",
	       (double)base.bytes / 1e9, layers, cores);
	measure(&base, &tuned, &other);
	model_close(&base);
	model_close(&tuned);
	model_close(&other);
	must(file_remove_tree(work, &why));
	return 0;
}
