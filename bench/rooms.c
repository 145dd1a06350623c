/* One figure for each room that does bulk work, as a ratio to a limit measured in the same run:
 * hashing a release against one SHA-256 pass, log appends against fdatasync, the filter against the
 * same SHA-256 pass, decoding against reading memory. Machines are shared: compare ratios, never
 * absolute figures of different runs. */
#include "audit/audit.h"
#include "base/file.h"
#include "base/limits.h"
#include "engine/pass.h"
#include "policy/policy.h"
#include "signing/release.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MODEL "demo/model"

static struct err why;
static char work[] = "/tmp/hallmark-bench.XXXXXX";

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "bench: %s\n", why.text);
		exit(1);
	}
}

/* ---- limits ---- */

static double sha256_rate(void)
{
	size_t n = MIB(64);
	char *bytes = calloc(1, n);
	double best = 0;
	for (int i = 0; i < 3 && bytes; i++) {
		double t = now();
		struct digest d = digest_of(bytes, n);
		t = (double)n / (now() - t);
		bytes[0] = (char)d.bytes[0];
		best = t > best ? t : best;
	}
	free(bytes);
	return best;
}

static double read_rate(void)
{
	size_t n = MIB(1024) / sizeof(uint64_t);
	uint64_t *word = malloc(n * sizeof *word), sum = 0;
	double best = 0;
	if (!word)
		return 0;
	memset(word, 1, n * sizeof *word);
	for (int pass = 0; pass < 3; pass++) {
		double t = now();
		for (size_t i = 0; i < n; i++)
			sum += word[i];
		t = (double)(n * sizeof *word) / (now() - t);
		best = t > best ? t : best;
	}
	fprintf(stderr, "%s", sum == 1 ? " " : "");
	free(word);
	return best;
}

static double fdatasync_rate(void)
{
	char path[64], block[4096] = { 0 };
	snprintf(path, sizeof path, "%s/sync", work);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	double t = now();
	int count = 0;
	while (fd >= 0 && now() - t < 1 && write(fd, block, sizeof block) == sizeof block &&
	       fdatasync(fd) == 0)
		count++;
	t = count / (now() - t);
	close(fd);
	return t;
}

/* ---- rooms ---- */

static void bench_manifest(double sha256)
{
	struct signing_manifest m = { 0 };
	uint64_t bytes = 0;
	struct source *s;
	must(source_open_folder(&s, MODEL, &why));
	double t = now();
	must(signing_manifest_make(
		&m, &(struct signing_making){ .source = s, .name = "model", .staging = work, .quiet = true },
		&why));
	t = now() - t;
	source_close(s);
	for (size_t i = 0; i < m.file_count; i++)
		bytes += m.file[i].bytes;
	printf("signing  file, chunk digests      %8.2f GB/s   %.2f of one SHA-256 pass (%.2f GB/s)\n",
	       (double)bytes / t / 1e9, (double)bytes / t / sha256, sha256 / 1e9);
	signing_manifest_free(&m);
}

static void bench_filter(double sha256)
{
	static const char sentence[] =
		"The quick brown fox, account 12345, pays on 2026-11-23 at 9:15 by card. ";
	struct buf text = { 0 }, bundle = { 0 };
	struct policy *p;
	struct policy_profile *profile;
	struct policy_problems problems = { 0 };
	struct filter_stream *f;
	struct cleared c;
	must(file_read("demo/policy.toml", MIB(1), &text, &why));
	must(policy_parse(&p, text.bytes, text.len, NULL, &problems, &why));
	must(policy_compile(p, &bundle, &why));
	must(policy_load(&profile, bundle.bytes, bundle.len, &why));
	must(filter_stream_open(&f, profile->set[POLICY_CONTENT], false, &why));
	size_t bytes = 0, tokens = 0;
	double t = now();
	while (now() - t < 1)
		for (size_t at = 0; at < sizeof sentence - 1; at += 4, tokens++, bytes += 4)
			must(filter_stream_push(f, sentence + at, 4, &c, &why));
	t = now() - t;
	printf("filters  demo policy, 4-byte cuts %8.2f MB/s   %.4f of one SHA-256 pass, %.2f us a token\n",
	       (double)bytes / t / 1e6, (double)bytes / t / sha256, t / (double)tokens * 1e6);
	filter_stream_close(f);
	policy_profile_free(profile);
	policy_free(p);
	policy_problems_free(&problems);
	buf_free(&text);
	buf_free(&bundle);
}

static struct audit_log *the_log;
static double log_until;

static void *append_loop(void *count)
{
	struct audit_receipt receipt;
	struct err e;
	json_t *body = json_pack("{s:s}", "event", "bench");
	while (now() < log_until) {
		struct audit_record r = { .type = "config",
					  .n = AUDIT_NEXT,
					  .body = body };
		if (audit_log_append(the_log, &r, &receipt, &e) == 0)
			++*(uint64_t *)count;
	}
	json_decref(body);
	return NULL;
}

static void bench_log(double syncs)
{
	struct env env = env_system();
	struct signing_identity *key;
	struct store *store, *keys;
	char path[96];
	must(signing_identity_create(work, "log", NULL, &env, &why));
	must(signing_identity_open(&key, work, "log", NULL, &why));
	snprintf(path, sizeof path, "%s/state.db", work);
	must(store_open(&store, path, &why));
	snprintf(path, sizeof path, "%s/keys.db", work);
	must(store_open(&keys, path, &why));
	must(audit_log_open(
		&the_log,
		&(struct audit_options){
			.home = work, .store = store, .keys = keys, .key = key, .origin = "bench",
			.env = &env },
		&why));
	static const int threads[] = { 1, 16, 64 };
	for (size_t i = 0; i < 3; i++) {
		pthread_t thread[64];
		uint64_t count[64] = { 0 }, sum = 0;
		log_until = now() + 1;
		for (int t = 0; t < threads[i]; t++)
			pthread_create(&thread[t], NULL, append_loop, &count[t]);
		for (int t = 0; t < threads[i]; t++) {
			pthread_join(thread[t], NULL);
			sum += count[t];
		}
		printf("audit    appends, %2d waiting      %8.0f /s     %.2f for each fdatasync (%.0f /s)\n",
		       threads[i], (double)sum, (double)sum / syncs, syncs);
	}
	audit_log_close(the_log);
	store_close(store);
	store_close(keys);
	signing_identity_close(key);
}

static void bench_decode(double read)
{
	struct source *src;
	struct engine *m;
	struct engine_sequence *s;
	must(source_open_folder(&src, MODEL, &why));
	must(engine_open(&m, src, &(struct engine_options){ .quiet = true }, &why));
	const struct engine_facts *facts = engine_info(m);
	float *logits = malloc(facts->vocab * sizeof *logits);
	uint32_t token = 5, steps = 256;
	must(engine_sequence_open(&s, m, steps, &why));
	double t = now();
	for (uint32_t i = 0; i < steps; i++)
		must(engine_forward(m, &(struct engine_feed){ .sequence = s, .token = &token, .count = 1,
		                                              .logits = logits }, 1, &why));
	t = now() - t;
	printf("engine   decode, demo model       %8.0f tok/s  %s kernels; %.1f MB of weights for each would be "
	       "%.2f of the read rate (%.1f GB/s), but they fit the cache\n",
	       steps / t, facts->kernel_set, (double)facts->weight_bytes / 1e6,
	       (double)facts->weight_bytes * steps / t / read, read / 1e9);
	free(logits);
	engine_sequence_close(s);
	engine_close(m);
	source_close(src);
}

int main(void)
{
	if (!mkdtemp(work)) {
		perror("bench");
		return 1;
	}
	double sha256 = sha256_rate(), read = read_rate(), syncs = fdatasync_rate();
	bench_manifest(sha256);
	bench_filter(sha256);
	bench_log(syncs);
	bench_decode(read);
	must(file_remove_tree(work, &why));
	return 0;
}
