/* How fast a folder is loaded, against one SHA-256 pass and one plain read of the same files in the
 * same run: bench/load [GB] [threads]. A checkpoint of that size (default 0.5) is made in a
 * temporary folder, signed in memory, and loaded verified and plain, as stored and quantised. The
 * files are in the system's cache for all of them. */
#include "base/file.h"
#include "base/limits.h"
#include "engine/pass.h"
#include "signing/release.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HIDDEN 2048u
#define FFN 6144u
#define VOCAB 32768u
#define SHARD_LAYERS 12u
#define ROUNDS 3

static struct err why;
static char work[] = "/tmp/hallmark-load.XXXXXX", dir[64], staging[64];
static uint64_t total; /* bytes of all shards */
static unsigned shards;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Processor time of all threads: what is left to compare on a machine that others use too. */
static double busy(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best rate, least processor time. */
struct figure {
	double gb_s, cpu_s;
};

static void figure_add(struct figure *f, double seconds, double cpu, uint64_t bytes)
{
	double rate = (double)bytes / seconds / 1e9;
	f->gb_s = rate > f->gb_s ? rate : f->gb_s;
	cpu /= (double)bytes / 1e9;
	f->cpu_s = f->cpu_s <= 0 || cpu < f->cpu_s ? cpu : f->cpu_s;
}

static void must(int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "load: %s\n", why.text);
	if (file_remove_tree(work, NULL) < 0)
		fprintf(stderr, "load: %s is left behind\n", work);
	exit(1);
}

static void shard_path(unsigned i, char out[128])
{
	snprintf(out, 128, "%s/model-%05u.safetensors", dir, i + 1);
}

/* ---- the checkpoint: a dense model of Llama's kind ---- */

struct header {
	struct buf text;
	uint64_t bytes;
};

static void tensor(struct header *h, struct buf *map, unsigned shard, const char *name, uint64_t rows,
                   uint64_t columns)
{
	char line[400];
	uint64_t end = h->bytes + (rows > 0 ? rows : 1) * columns * 2;
	char shape[60];
	if (rows > 0)
		snprintf(shape, sizeof shape, "%llu,%llu", (unsigned long long)rows, (unsigned long long)columns);
	else
		snprintf(shape, sizeof shape, "%llu", (unsigned long long)columns);
	snprintf(line, sizeof line, "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
	         h->bytes == 0 ? "{" : ",", name, shape, (unsigned long long)h->bytes, (unsigned long long)end);
	buf_add_text(&h->text, line);
	h->bytes = end;
	snprintf(line, sizeof line, "%s\"%s\":\"model-%05u.safetensors\"", map->len == 0 ? "" : ",", name,
	         shard + 1);
	buf_add_text(map, line);
}

static void layer(struct header *h, struct buf *map, unsigned shard, unsigned l)
{
	static const struct { const char *part; unsigned rows, columns; } parts[] = {
		{ "input_layernorm.weight", 0, HIDDEN }, { "mlp.down_proj.weight", HIDDEN, FFN },
		{ "mlp.gate_proj.weight", FFN, HIDDEN }, { "mlp.up_proj.weight", FFN, HIDDEN },
		{ "post_attention_layernorm.weight", 0, HIDDEN }, { "self_attn.k_proj.weight", HIDDEN, HIDDEN },
		{ "self_attn.o_proj.weight", HIDDEN, HIDDEN }, { "self_attn.q_proj.weight", HIDDEN, HIDDEN },
		{ "self_attn.v_proj.weight", HIDDEN, HIDDEN },
	};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		char name[100];
		snprintf(name, sizeof name, "model.layers.%u.%s", l, parts[i].part);
		tensor(h, map, shard, name, parts[i].rows, parts[i].columns);
	}
}

/* bf16 bits of values within +-0.06. */
static void fill(uint16_t *to, size_t n, uint64_t *state)
{
	for (size_t i = 0; i < n; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		uint64_t r = *state >> 33;
		to[i] = (uint16_t)((r & 0x807f) | (0x3b00 + (r >> 8 & 0x80) + (r >> 16 & 0xff) % 3 * 0x40));
	}
}

static void shard_write(unsigned i, struct header *h, uint64_t *state)
{
	char path[128];
	unsigned char length[8];
	size_t n = MIB(8);
	uint16_t *some = malloc(n);
	buf_add_text(&h->text, "}");
	for (int b = 0; b < 8; b++)
		length[b] = (unsigned char)(h->text.len >> 8 * b);
	shard_path(i, path);
	FILE *f = fopen(path, "wb");
	must(some == NULL || f == NULL ? err_set(&why, ERR_IO, "cannot write %s", path) : 0);
	fwrite(length, 1, 8, f);
	fwrite(h->text.bytes, 1, h->text.len, f);
	for (uint64_t at = 0; at < h->bytes; at += n) {
		fill(some, n / 2, state);
		fwrite(some, 1, h->bytes - at < n ? h->bytes - at : n, f);
	}
	must(ferror(f) || fclose(f) != 0 ? err_set(&why, ERR_IO, "cannot write %s", path) : 0);
	total += 8 + h->text.len + h->bytes;
	free(some);
	buf_free(&h->text);
	*h = (struct header){ 0 };
}

static void text_write(const char *name, const char *text, size_t len)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	must(file_write_durable(path, text, len, 0644, &why));
}

static void folder_make(double gb)
{
	uint64_t state = 1, per_layer = 2 * (3ull * HIDDEN * FFN + 4ull * HIDDEN * HIDDEN);
	unsigned layers = (unsigned)((gb * 1e9 - 4.0 * VOCAB * HIDDEN) / (double)per_layer);
	struct header h = { 0 };
	struct buf map = { 0 }, index = { 0 };
	char config[500];
	layers = layers < 1 ? 1 : layers;
	tensor(&h, &map, shards, "lm_head.weight", VOCAB, HIDDEN);
	tensor(&h, &map, shards, "model.embed_tokens.weight", VOCAB, HIDDEN);
	tensor(&h, &map, shards, "model.norm.weight", 0, HIDDEN);
	for (unsigned l = 0; l < layers; l++) {
		layer(&h, &map, shards, l);
		if (l % SHARD_LAYERS == SHARD_LAYERS - 1 || l + 1 == layers)
			shard_write(shards++, &h, &state);
	}
	snprintf(config, sizeof config,
	         "{\"model_type\":\"llama\",\"hidden_size\":%u,\"intermediate_size\":%u,\"vocab_size\":%u,"
	         "\"num_hidden_layers\":%u,\"num_attention_heads\":16,\"num_key_value_heads\":16,"
	         "\"max_position_embeddings\":4096,\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0}",
	         HIDDEN, FFN, VOCAB, layers);
	text_write("config.json", config, strlen(config));
	buf_add_text(&index, "{\"weight_map\":{");
	buf_add(&index, map.bytes, map.len);
	buf_add_text(&index, "}}");
	text_write("model.safetensors.index.json", index.bytes, index.len);
	buf_free(&map);
	buf_free(&index);
}

static void move(const char *name)
{
	char from[128], to[128];
	snprintf(from, sizeof from, "%s/%s", staging, name);
	snprintf(to, sizeof to, "%s/%s", dir, name);
	must(rename(from, to) == 0 || !file_exists(from) ? 0 : err_set(&why, ERR_IO, "cannot move %s", name));
}

/* ---- limits and loads ---- */

/* All shards through one buffer. */
static void pass(bool hashed, struct figure *out)
{
	size_t n = MIB(1);
	char path[128], *some = malloc(n);
	struct sha256 *h;
	must(sha256_open(&h, &why));
	double t = now(), cpu = busy();
	for (unsigned i = 0; some && i < shards; i++) {
		ssize_t got;
		shard_path(i, path);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		must(fd < 0 ? err_errno(&why, "open %s", path) : 0);
		while ((got = read(fd, some, n)) > 0)
			if (hashed)
				sha256_add(h, some, (size_t)got);
		close(fd);
		if (hashed)
			(void)sha256_take(h);
	}
	figure_add(out, now() - t, busy() - cpu, total);
	sha256_close(h);
	free(some);
}

/* New memory of that size, a byte in each page: what the system, and the host below a virtual machine,
 * take for weights as stored to have a place at all. It is given back, so that the loads that follow
 * find it ready and are measured for what they do. */
static void touch(struct figure *out)
{
	double t = now(), cpu = busy();
	unsigned char *at = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(at == MAP_FAILED ? err_errno(&why, "memory") : 0);
	(void)madvise(at, total, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < total; i += 4096)
		at[i] = 1;
	figure_add(out, now() - t, busy() - cpu, total);
	munmap(at, total);
}

static void load(const struct signing_manifest *m, enum model_packing weights, unsigned threads,
                 struct figure *out)
{
	const struct engine_options o = { .threads = threads, .weights = weights, .quiet = true };
	struct source *under = NULL, *s;
	struct engine *e;
	double t = now(), cpu = busy();
	if (m) {
		must(source_open_tree(&under, dir, &why));
		must(signing_source_open(&s, m, under, &why));
	} else {
		must(source_open_folder(&s, dir, &why));
	}
	must(engine_open(&e, s, &o, &why));
	figure_add(out, now() - t, busy() - cpu, total);
	engine_close(e);
	source_close(s);
	source_close(under);
}

static void line(const char *name, const struct figure *f, double limit)
{
	printf("  %-34s %6.2f GB/s %6.2f s of processor time for a GB", name, f->gb_s, f->cpu_s);
	if (limit > 0)
		printf("   %3.0f %% of the slower limit", 100 * f->gb_s / limit);
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; bool verified; enum model_packing weights; } kinds[] = {
		{ "load verified, as stored (bf16)", true, MODEL_PACKING_STORED },
		{ "load verified, q8", true, MODEL_PACKING_Q8 },
		{ "load verified, q4", true, MODEL_PACKING_Q4 },
		{ "load unverified, as stored (bf16)", false, MODEL_PACKING_STORED },
		{ "load unverified, q8", false, MODEL_PACKING_Q8 },
	};
	double gb = argc > 1 ? atof(argv[1]) : 0.5;
	struct figure sha = { 0 }, plain = { 0 }, memory = { 0 }, best[5] = { 0 };
	unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	struct signing_manifest m = { 0 };
	must(mkdtemp(work) == NULL ? err_errno(&why, "make %s", work) : 0);
	snprintf(dir, sizeof dir, "%s/model", work);
	snprintf(staging, sizeof staging, "%s/staging", work);
	must(file_make_dirs(dir, 0755, &why));
	must(file_make_dirs(staging, 0755, &why));
	folder_make(gb);
	struct source *folder;
	must(source_open_folder(&folder, dir, &why));
	must(signing_manifest_make(
		&m, &(struct signing_making){ .source = folder, .name = "model", .staging = staging, .quiet = true },
		&why));
	source_close(folder);
	move(SIGNING_CHUNKS);
	move(SIGNING_TENSORS);
	for (int i = 0; i < ROUNDS; i++) {
		pass(true, &sha);
		pass(false, &plain);
		touch(&memory);
		for (size_t k = 0; k < 5; k++)
			load(kinds[k].verified ? &m : NULL, kinds[k].weights, threads, &best[k]);
	}
	printf("loading %.2f GB in %u shards, best of %d\n", (double)total / 1e9, shards, ROUNDS);
	line("one SHA-256 pass", &sha, 0);
	line("one plain read", &plain, 0);
	line("one touch of new memory", &memory, 0);
	for (size_t k = 0; k < 5; k++)
		line(kinds[k].name, &best[k], sha.gb_s < plain.gb_s ? sha.gb_s : plain.gb_s);
	signing_manifest_free(&m);
	must(file_remove_tree(work, &why));
	return 0;
}
