/* What the filters cost: bench/filters [TEXT...], by default documents and sources of this project, and rows
 * of numbers. A policy with packs/pii-eu, packs/secrets and 10,000 literals takes each text in tokens of four
 * bytes, as an answer comes, and in pieces of 64 KiB, as a document comes. Beside it stand memcpy of the same
 * text, and PCRE2 with one pattern for each of a hundred words, one after the other, each by itself on the
 * whole text: what a filter made of a list of regexes does. */
#include "base/file.h"
#include "base/limits.h"
#include "filters/filters.h"
#include "policy/policy.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define LITERALS 10000
#define PATTERNS 100
#define ROUNDS 3
#define TOKEN 4

static struct err why;
static uint64_t state = 0x9E3779B97F4A7C15u;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "filters: %s\n", why.text);
		exit(1);
	}
}

static uint32_t pick(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % below;
}

static void word(char *out)
{
	size_t n = 6 + pick(10);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)('a' + (int)pick(26));
	out[n] = 0;
}

static const char *const packs[] = { "packs/pii-eu", "packs/secrets" };

static struct policy_profile *profile(bool with_packs, size_t literals)
{
	struct buf text = { 0 }, bundle = { 0 };
	struct policy_problems problems = { 0 };
	struct policy *p = NULL;
	struct policy_profile *made = NULL;
	buf_printf(&text, "[policy]\nname = \"bench\"\nversion = 1\nmode = \"shadow\"\n");
	if (with_packs)
		buf_printf(&text, "extends = [\"%s\", \"%s\"]\n", packs[0], packs[1]);
	if (literals)
		buf_printf(&text,
			   "[[rule]]\nid = \"words\"\nphase = [\"output\"]\naction = \"redact\"\n"
			   "match = { fold = \"strict\", literals = [\n");
	for (size_t i = 0; i < literals; i++) {
		char w[20];
		word(w);
		buf_printf(&text, "\"%s\",\n", w);
	}
	if (literals)
		buf_printf(&text, "] }\n");
	int rc = policy_parse(&p, text.bytes, text.len, NULL, &problems, &why);
	for (size_t i = 0; i < problems.count && i < 5; i++)
		fprintf(stderr, "filters: line %d: %s\n", problems.item[i].line,
			problems.item[i].text);
	must(rc);
	double began = now();
	must(policy_compile(p, &bundle, &why));
	double compiled = now();
	must(policy_load(&made, bundle.bytes, bundle.len, &why));
	printf("filters   %-34s compiled in %.3f s, loaded in %.3f s, bundle %.1f MB\n",
	       literals ? with_packs ? "packs and 10,000 literals" : "10,000 literals" : "packs",
	       compiled - began, now() - compiled, (double)bundle.len / 1e6);
	policy_problems_free(&problems);
	policy_free(p);
	buf_free(&text);
	buf_free(&bundle);
	return made;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Tokens of four bytes: mean and quantiles of one push. */
static void tokens(const char *name, const char *what, const struct filter_set *set,
		   const struct buf *t)
{
	size_t n = t->len / TOKEN;
	double *took = malloc((n + 1) * sizeof *took), best = 1e9;
	size_t held = 0, found = 0;
	if (!took)
		exit(1);
	for (int round = 0; round < ROUNDS; round++) {
		struct filter_stream *f;
		struct cleared out;
		must(filter_stream_open(&f, set, true, &why));
		double began = now(), last = began;
		for (size_t i = 0; i < n; i++) {
			must(filter_stream_push(f, t->bytes + i * TOKEN, TOKEN, &out, &why));
			double at = now();
			took[i] = at - last;
			last = at;
		}
		if (last - began < best)
			best = last - began;
		held = filter_stream_held_max(f);
		found = filter_stream_record(f)->findings;
		filter_stream_close(f);
	}
	qsort(took, n, sizeof *took, by_value);
	printf("filters   %-14s %-26s %7.3f us a token, p50 %.3f, p99 %.3f, p99.9 %.3f, most %.0f; held %zu; "
	       "%zu findings\n",
	       name, what, 1e6 * best / (double)n, 1e6 * took[n / 2], 1e6 * took[n - 1 - n / 100],
	       1e6 * took[n - 1 - n / 1000], 1e6 * took[n - 1], held, found);
	free(took);
}

static double whole(const struct filter_set *set, const struct buf *t)
{
	double best = 1e9;
	for (int round = 0; round < ROUNDS; round++) {
		struct filter_stream *f;
		struct cleared out;
		must(filter_stream_open(&f, set, true, &why));
		double began = now();
		for (size_t at = 0; at < t->len; at += KIB(64)) {
			size_t n = t->len - at < KIB(64) ? t->len - at : KIB(64);
			must(filter_stream_push(f, t->bytes + at, n, &out, &why));
		}
		if (now() - began < best)
			best = now() - began;
		filter_stream_close(f);
	}
	return (double)t->len / 1e6 / best;
}

static double copied(const struct buf *t)
{
	char *to = malloc(t->len);
	double best = 1e9;
	if (!to)
		exit(1);
	for (int round = 0; round < 20; round++) {
		double began = now();
		memcpy(to, t->bytes, t->len);
		__asm__ volatile("" : : "r"(to) : "memory");
		if (now() - began < best)
			best = now() - began;
	}
	free(to);
	return (double)t->len / 1e6 / best;
}

/* One pattern after the other, each over the whole text. */
static double patterns(const struct buf *t)
{
	double sum = 0;
	for (int i = 0; i < PATTERNS; i++) {
		char pattern[64] = "(?i)\\b", w[20];
		int code;
		PCRE2_SIZE where;
		word(w);
		strcat(strcat(pattern, w), "\\b");
		pcre2_code *c = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
					      PCRE2_UTF | PCRE2_UCP, &code, &where, NULL);
		pcre2_match_data *m = c ? pcre2_match_data_create(4, NULL) : NULL;
		if (!m || pcre2_jit_compile(c, PCRE2_JIT_COMPLETE) < 0)
			exit(1);
		double began = now();
		size_t at = 0;
		while (pcre2_match(c, (PCRE2_SPTR)t->bytes, t->len, at, PCRE2_NO_UTF_CHECK, m,
				   NULL) > 0)
			at = pcre2_get_ovector_pointer(m)[1];
		sum += now() - began;
		pcre2_match_data_free(m);
		pcre2_code_free(c);
	}
	return (double)t->len / 1e6 / sum;
}

static void measure(const char *name, const struct buf *t, const struct filter_set *const *set,
		    const char *const *what, size_t sets)
{
	double memory = copied(t), listed = patterns(t);
	printf("filters   %-14s %.2f MB; memcpy %.0f MB/s; PCRE2, %d words one by one %.2f MB/s\n",
	       name, (double)t->len / 1e6, memory, PATTERNS, listed);
	for (size_t i = 0; i < sets; i++) {
		double rate = whole(set[i], t);
		printf("filters   %-14s %-26s %7.2f MB/s whole: 1/%.0f of memcpy, %.2f times the list of PCRE2\n",
		       name, what[i], rate, memory / rate, rate / listed);
		tokens(name, what[i], set[i], t);
	}
}

/* Text of the kind that a rule must look at everywhere: rows of numbers. */
static void numbers(struct buf *t)
{
	while (t->len < 400000)
		buf_printf(t, "%u,%u.%02u,%u-%02u-%02u,%u %u %u\n", pick(100000), pick(10000),
			   pick(100), 1990 + pick(40), 1 + pick(12), 1 + pick(28), pick(1000000000),
			   pick(10000), pick(10000));
}

/* A few megabytes, so that memcpy is of memory and not of a cache. */
static void lengthen(struct buf *t)
{
	size_t n = t->len, times = n ? MIB(2) / n : 0;
	char *once = malloc(n + 1);
	if (!once)
		exit(1);
	memcpy(once, t->bytes ? t->bytes : "", n);
	for (size_t i = 1; i < times; i++)
		buf_add(t, once, n);
	free(once);
}

int main(int argc, char **argv)
{
	static const char *const prose[] = { "README.md", "docs/formats.md", "docs/trust.md",
					     "docs/rooms.md" };
	static const char *const code[] = { "filters/stream.c", "filters/emit.c", "filters/set.c",
					    "policy/policy.c",  "flow/publish.c", "serve/serve.c" };
	static const char *const what[] = { "nothing", "literals", "packs", "packs and literals" };
	struct buf text[3] = { 0 };
	int rc = 0;
	for (int i = 1; i < argc; i++)
		rc = rc < 0 ? rc : file_read(argv[i], MIB(64), &text[0], &why);
	for (size_t i = 0; argc < 2 && i < sizeof prose / sizeof *prose; i++)
		rc = rc < 0 ? rc : file_read(prose[i], MIB(64), &text[0], &why);
	for (size_t i = 0; argc < 2 && i < sizeof code / sizeof *code; i++)
		rc = rc < 0 ? rc : file_read(code[i], MIB(64), &text[1], &why);
	must(rc);
	if (argc < 2)
		numbers(&text[2]);
	for (int i = 0; i < 3; i++)
		lengthen(&text[i]);
	struct policy_profile *words = profile(false, LITERALS), *only = profile(true, 0),
			      *all = profile(true, LITERALS);
	struct filter_set *none;
	must(filter_set_build(&none, NULL, 0, &why));
	const struct filter_set *set[] = { none, words->set[POLICY_CONTENT],
					   only->set[POLICY_CONTENT], all->set[POLICY_CONTENT] };
	static const char *const name[] = { "prose", "code", "rows of numbers" };
	for (int i = 0; i < 3; i++)
		if (text[i].len)
			measure(name[i], &text[i], set, what, 4);
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	printf("filters   memory at most %ld MB\n", u.ru_maxrss / 1024);
	policy_profile_free(words);
	policy_profile_free(only);
	policy_profile_free(all);
	filter_set_free(none);
	for (int i = 0; i < 3; i++)
		buf_free(&text[i]);
	return 0;
}
