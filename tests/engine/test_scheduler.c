#include "kinds.h"
#include "recalling_backend.h"
#include "support.h"
#include "tests/shared/counting.h"

#include "engine/scheduler.h"
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What an answer is does not depend on how it came about: neighbours, order, pages, drafts, threads. */

#define PROMPT_MAX 210
#define TOKENS_MAX 40
#define SPECS 10
#define LIGHT (!COUNTING) /* under a sanitizer, which is slow: less of everything */

static const char *const models[] = { "tests/vectors/oracles/deepseek_v2",
	"tests/vectors/oracles/deepseek_v3", "tests/vectors/oracles/qwen3_moe",
	"tests/vectors/oracles/gpt_oss", "demo/model", "tests/vectors/oracles/qwen3_5_moe",
	"tests/vectors/oracles/bailing_hybrid" };

static uint32_t below(uint32_t *state, uint32_t n)
{
	*state = *state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(*state >> 8) * n >> 24);
}

static size_t backend; /* of `backends`, that every model here is opened by */

static bool fast; /* numerics of every model here */

static struct engine *open_with(const char *dir, struct engine_options o)
{
	o.fast = fast;
	return open_model_with(dir, o, backends[backend].open);
}

/* cache_bytes for so many pages; with recurrent state half of it is slots. */
static uint64_t bytes_of_pages(const char *dir, uint64_t pages)
{
	struct engine_load load;
	struct engine *m = open_with(dir, (struct engine_options){ .threads = 1, .cache_bytes = MIB(1024) });
	engine_load(m, &load);
	engine_close(m);
	if (load.states > 0)
		return (MIB(1024) - load.states * load.state_bytes) / load.cache_pages * pages * 2;
	return MIB(1024) / load.cache_pages * pages;
}

/* ---- requests and their answers ---- */

struct spec {
	uint32_t prompt[PROMPT_MAX], count;
	struct engine_sampling sampling;
};

struct answer {
	uint32_t id[TOKENS_MAX];
	uint64_t logits[TOKENS_MAX]; /* hash of the row of each */
	size_t count;
	int finish;
};

static struct spec spec[SPECS];
static struct answer want[SPECS];

static const struct engine_bias bias[2] = { { 5, 1.5f }, { 9, -INFINITY } };
static const struct engine_bias again[1] = { { 7, 1e4f } };

/* Prompts of all lengths; some begin alike, some repeat themselves. */
static void specs_make(const struct engine *m, uint32_t seed)
{
	uint32_t state = seed, real = engine_info(m)->tokens_real;
	for (uint32_t i = 0; i < SPECS; i++) {
		struct spec *s = &spec[i];
		*s = (struct spec){ .count = i == 0 ? 1 : 20 + below(&state, PROMPT_MAX - 20) };
		for (uint32_t k = 0; k < s->count; k++)
			s->prompt[k] = i % 3 == 1 && k >= 7 ? s->prompt[k - 7] : below(&state, real);
		if (i >= SPECS / 2 && i % 2 == 1) {
			s->count = 150 + below(&state, 50);
			memcpy(s->prompt, spec[SPECS / 2 - 1].prompt, 140 * sizeof *s->prompt);
			for (uint32_t k = 140; k < s->count; k++)
				s->prompt[k] = below(&state, real);
		}
		s->sampling = (struct engine_sampling){ .top_p = 1, .seed = 77 + i, .tokens_max = 8 + below(&state, 32),
			.ignore_eos = i % 4 != 3, .choice = i % 2 };
		if (i % 3 == 2) {
			s->sampling.temperature = 0.5f + 0.3f * (float)(i % 4);
			s->sampling.top_p = 0.9f;
		}
		if (i % 4 == 2) {
			s->sampling.repetition = 1.1f, s->sampling.frequency = 0.2f;
			s->sampling.bias = bias, s->sampling.bias_count = 2;
		}
		if (i == 4) /* always the same token: drafts hold */
			s->sampling.bias = again, s->sampling.bias_count = 1;
		s->sampling.logprobs = i == 6;
	}
	memcpy(spec[SPECS / 2 - 1].prompt, spec[SPECS / 2 + 1 - SPECS / 2 % 2].prompt, 140 * sizeof(uint32_t));
	spec[SPECS / 2 - 1].count = 200;
	for (uint32_t k = 140; k < 200; k++)
		spec[SPECS / 2 - 1].prompt[k] = below(&state, real);
}

static int spec_open(struct engine_session **out, struct engine *m, const struct spec *s, uint32_t drafts,
                     const char *client, struct err *e)
{
	struct engine_request q = { .prompt = s->prompt, .count = s->count, .sampling = s->sampling,
		.speculation = drafts, .client = client };
	return engine_session_open(out, m, &q, e);
}

/* Take one token and compare it; NULL: as expected. *finish: as engine_session_next. */
static const char *take(const struct engine *m, struct engine_session *s, const struct answer *a, size_t at,
                        int *finish)
{
	static _Thread_local char fault[700];
	struct err e = { 0 };
	const char *text;
	size_t len, n;
	*finish = engine_session_next(s, &text, &len, &e);
	const uint32_t *id = engine_session_ids(s, &n);
	if (*finish < 0)
		snprintf(fault, sizeof fault, "token %zu: %s", at, e.text);
	else if (n != at + 1)
		snprintf(fault, sizeof fault, "%zu ids after %zu tokens", n, at + 1);
	else if (memcmp(id, a->id, n * sizeof *id) != 0)
		snprintf(fault, sizeof fault, "token %zu is %u, expected %u", at, id[at], a->id[at]);
	else if (hash_of_last(m, s) != a->logits[at])
		snprintf(fault, sizeof fault, "token %zu comes from other logits", at);
	else if (*finish != (n == a->count ? a->finish : ENGINE_GOING))
		snprintf(fault, sizeof fault, "finish %d after %zu of %zu tokens", *finish, n, a->count);
	else
		return NULL;
	return fault;
}

/* The answer alone; its logits are also those of one plain pass over all of it. */
static uint32_t far; /* texts longer than this turn otherwise, from their beginning; 0: none does */

/* The logits after each token of an answer are those of a pass over all before it. */
static void compare_passes(struct engine *m, const uint32_t *all, uint32_t prompt, const struct answer *a)
{
	size_t vocab = engine_info(m)->vocab, n = a->count;
	uint32_t end = prompt + (uint32_t)n - 1, begin = far > 0 ? prompt : end;
	float *logits = malloc(end * vocab * sizeof *logits);
	struct engine_sequence *line;
	struct err e = { 0 };
	for (uint32_t count = begin; count <= end; count++) {
		cr_assert_eq(engine_sequence_open(&line, m, count, &e), 0, "%s", e.text);
		struct engine_feed f = { .sequence = line, .token = all, .count = count, .logits = logits,
			.all = true };
		cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s", e.text);
		for (size_t i = far > 0 ? count - prompt : 0; i <= count - prompt; i++)
			cr_assert(a->logits[i] == 0 ||
			          hash_of(logits + (prompt - 1 + i) * vocab, sizeof(float) * vocab) == a->logits[i]);
		engine_sequence_close(line);
	}
	free(logits);
}

static void answer_alone(struct engine *m, const struct spec *q, struct answer *a)
{
	size_t n = 0;
	struct engine_session *s;
	struct err e = { 0 };
	const char *text;
	uint32_t all[PROMPT_MAX + TOKENS_MAX] = { 0 };
	cr_assert_eq(spec_open(&s, m, q, 0, NULL, &e), 0, "%s", e.text);
	do {
		size_t len;
		a->finish = engine_session_next(s, &text, &len, &e);
		cr_assert_geq(a->finish, 0, "%s", e.text);
		const uint32_t *id = engine_session_ids(s, &a->count);
		cr_assert_eq(a->count, ++n);
		a->id[n - 1] = id[n - 1];
		a->logits[n - 1] = hash_of_last(m, s);
	} while (a->finish == ENGINE_GOING);
	engine_session_close(s);
	memcpy(all, q->prompt, q->count * sizeof *all);
	memcpy(all + q->count, a->id, n * sizeof *all);
	compare_passes(m, all, q->count, a);
}

/* ---- random schedules ---- */

struct reader {
	struct engine *m;
	pthread_t thread;
	uint32_t state, jobs, drafts;
	const char *client;
	char fault[800];
};

struct job {
	struct engine_session *session;
	uint32_t spec, stop; /* close after so many tokens */
	size_t taken;
	bool done;
};

static void job_step(struct reader *r, struct job *j)
{
	struct err e = { 0 };
	int finish;
	if (j->session == NULL) {
		if (spec_open(&j->session, r->m, &spec[j->spec], below(&r->state, r->drafts + 1), r->client, &e) < 0)
			snprintf(r->fault, sizeof r->fault, "request %u does not open: %s", j->spec, e.text);
		return;
	}
	for (uint32_t n = below(&r->state, 7); n > 0 && !j->done && r->fault[0] == '\0'; n--) {
		const char *fault = take(r->m, j->session, &want[j->spec], j->taken, &finish);
		if (fault != NULL)
			snprintf(r->fault, sizeof r->fault, "request %u: %s", j->spec, fault);
		j->taken++;
		j->done = finish != ENGINE_GOING || j->taken == j->stop;
	}
	if (j->done) {
		engine_session_close(j->session);
		j->session = NULL;
	}
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;
	struct job job[8] = { 0 };
	uint32_t left = r->jobs;
	for (uint32_t i = 0; i < r->jobs; i++) {
		job[i].spec = below(&r->state, SPECS);
		job[i].stop = below(&r->state, 4) == 0 ? 1 + below(&r->state, 20) : TOKENS_MAX + 1;
	}
	while (left > 0 && r->fault[0] == '\0') {
		struct job *j = &job[below(&r->state, r->jobs)];
		if (j->done)
			continue;
		job_step(r, j);
		left -= j->done;
		if (below(&r->state, 12) == 0)
			usleep(below(&r->state, 300));
	}
	for (uint32_t i = 0; i < r->jobs; i++)
		engine_session_close(job[i].session);
	return NULL;
}

enum { READERS = 4 };

static void check_schedule(struct engine *m, uint32_t seed, uint32_t jobs, uint32_t drafts, const char *what)
{
	struct reader r[READERS];
	for (uint32_t i = 0; i < READERS; i++) {
		r[i] = (struct reader){ .m = m, .state = seed * 100 + i, .jobs = jobs, .drafts = drafts,
			.client = i % 2 ? "a" : NULL };
		cr_assert_eq(pthread_create(&r[i].thread, NULL, reader_main, &r[i]), 0);
	}
	for (uint32_t i = 0; i < READERS; i++) {
		pthread_join(r[i].thread, NULL);
		cr_expect(r[i].fault[0] == '\0', "%s, seed %u: %s", what, seed, r[i].fault);
	}
	struct engine_load load;
	engine_load(m, &load);
	cr_assert(load.running == 0 && load.waiting == 0);
}

/* jobs: of each of the readers. */
static const struct {
	const char *row;
	struct engine_options o;
	uint32_t pages, drafts, jobs;
	bool small;
} ways[] = {
	{ "as it comes", { .threads = 2 }, 0, 0, 8, false },
	{ "one thread, no prefix cache", { .threads = 1, .no_prefix_cache = true }, 0, 0, 8, true },
	/* With a place for all that the readers have open: 9 for each that is stepped. */
	{ "four at a time", { .threads = 2, .batch_max = 4 }, 0, 0, 8, true },
	{ "few pages", { .threads = 2 }, 7, 0, 8, false },
	{ "few pages, no prefix cache, drafts", { .threads = 1, .no_prefix_cache = true }, 7, 8, 8, true },
	{ "drafts", { .threads = 2 }, 0, 8, 8, false },
	{ "plain kernels", { .threads = 2, .kernels = "plain" }, 0, 3, 2, true },
	{ "avx2", { .threads = 1, .kernels = "avx2" }, 0, 3, 4, true },
};

/* small: the rows for small models too. */
static void check_model(const char *dir, bool small)
{
	struct engine *m = open_with(dir, (struct engine_options){ .threads = 1, .no_prefix_cache = true });
	char what[200];
	specs_make(m, 12345);
	for (uint32_t i = 0; i < SPECS; i++)
		answer_alone(m, &spec[i], &want[i]);
	engine_close(m);
	for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
		struct engine_options o = ways[w].o;
		struct engine_load load;
		const struct kernels *set;
		uint32_t jobs = LIGHT ? 1 : ways[w].jobs;
		if ((ways[w].small && (!small || LIGHT)) ||
		    (o.kernels != NULL && (fast || kernels_pick(&set, o.kernels, false, NULL) < 0)))
			continue;
		o.cache_bytes = ways[w].pages > 0 ? bytes_of_pages(dir, ways[w].pages) : 0;
		m = open_with(dir, o);
		snprintf(what, sizeof what, "%s, %s", dir, ways[w].row);
		check_schedule(m, 1, jobs, ways[w].drafts, what);
		engine_load(m, &load);
		cr_expect(LIGHT || ways[w].pages == 0 || load.preempted > 0, "%s: nobody gave way", what);
		bool slots = load.states == 0 || load.states > 4; /* enough for snapshots */
		cr_expect(jobs < 8 || !slots || ways[w].o.no_prefix_cache == (load.prefix_hits == 0),
		          "%s: %llu tokens shared", what, (unsigned long long)load.prefix_hits);
		cr_expect(LIGHT || ways[w].drafts < 8 || load.accepted > 0, "%s: no draft accepted", what);
		cr_expect(!ways[w].o.no_prefix_cache || load.cache_pages_used == 0, "%s: pages left", what);
		cr_expect(load.states_held == 0 && load.snapshots <= load.states, "%s: states left", what);
		engine_close(m);
	}
}

/* One test for each model, so that they can run side by side. */
Test(engine_scheduler, answers_are_the_same_in_any_company_deepseek_v2) { check_model(models[0], true); }
Test(engine_scheduler, answers_are_the_same_in_any_company_deepseek_v3) { check_model(models[1], true); }
Test(engine_scheduler, answers_are_the_same_in_any_company_qwen3_moe) { check_model(models[2], true); }
Test(engine_scheduler, answers_are_the_same_in_any_company_gpt_oss) { check_model(models[3], true); }
Test(engine_scheduler, answers_are_the_same_in_any_company_gemma4)
{
	check_model("tests/vectors/oracles/gemma4", true); /* rotary tables by layer, shared caches */
}
Test(engine_scheduler, answers_are_the_same_in_any_company_cohere2)
{
	check_model("tests/vectors/oracles/cohere2", true); /* parallel residual */
}
Test(engine_scheduler, answers_are_the_same_in_any_company_glm_moe_dsa)
{
	check_model("tests/vectors/oracles/glm_moe_dsa", true); /* chosen positions */
}
Test(engine_scheduler, answers_are_the_same_in_any_company_llama4)
{
	check_model("tests/vectors/oracles/llama4_text", true); /* chunks */
}
Test(engine_scheduler, answers_are_the_same_in_any_company_longcat)
{
	check_model("tests/vectors/oracles/longcat_flash", true); /* shortcuts */
}
Test(engine_scheduler, answers_are_the_same_in_any_company_demo) { check_model(models[4], false); }
Test(engine_scheduler, answers_are_the_same_in_any_company_qwen3_5_moe) { check_model(models[5], true); }
Test(engine_scheduler, answers_are_the_same_in_any_company_bailing_hybrid) { check_model(models[6], true); }

/* Preemption, prefixes and drafts over layers whose parts of a page differ, and of every other kind. */
Test(engine_scheduler, answers_are_the_same_in_any_company_of_every_kind)
{
	for (size_t i = 0; kind_at(i) != NULL; i++)
		check_model(kind_at(i), false);
}

/* Products of quantised rows, whose blocks must not know a neighbour. */
Test(engine_scheduler, answers_are_the_same_in_any_company_by_fast_numerics)
{
	fast = true;
	check_model("tests/vectors/oracles/gpt_oss_mxfp4", true);
}

/* Neither scheduler nor pages nor drafts know which backend computes. */
Test(engine_scheduler, answers_are_the_same_in_any_company_by_another_backend)
{
	backend = 1;
	check_model(models[2], false);
	check_model(models[5], false);
	use_library("libplain.so"), backend = CUDA, check_model(models[0], false);
}

/* With a state that takes as much as so many pages: every sequence has one, or few have. */
static void check_recalling(const char *dir, uint64_t state_pages)
{
	backend = RECALLING;
	recalling_pages = state_pages;
	check_model(dir, true);
}

Test(engine_scheduler, answers_are_the_same_in_any_company_with_state) { check_recalling(models[0], 1); }
Test(engine_scheduler, answers_are_the_same_in_any_company_with_few_states) { check_recalling(models[2], 3); }

/* Some texts outgrow the near table while they are answered. */
static void check_far(uint32_t length)
{
	char changes[400];
	snprintf(changes, sizeof changes,
	         "{\"max_position_embeddings\":512,\"rope_scaling\":{\"rope_type\":\"longrope\","
	         "\"original_max_position_embeddings\":%u,"
	         "\"short_factor\":[1,1,1,1,1,1,1,1,1.1,1.2,1.3,1.4,1.5,1.6,1.7,1.8],"
	         "\"long_factor\":[1,1.5,2,2.5,3,3.5,4,4.5,5,5.5,6,6.5,7,7.5,8,8.5]}}", length);
	model_changes = changes;
	far = length;
	check_model("tests/vectors/oracles/llama", true);
	model_changes = NULL;
}

Test(engine_scheduler, answers_are_the_same_in_any_company_near_and_far) { check_far(180); }
Test(engine_scheduler, answers_are_the_same_in_any_company_with_drafts_up_to_far) { check_far(210); }

/* ---- one thing at a time ---- */

#define DEMO "demo/model"

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

Test(engine_scheduler, deadline_ends_a_request_and_no_other)
{
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2, .batch_max = 1 });
	struct engine_request q = request_of(10, 1000);
	struct err e = { 0 };
	int r;
	struct engine_session *other = must_open(m, &q), *late, *waits;
	cr_assert_eq(next_of(other, &e), ENGINE_GOING);
	q.deadline_us = now_us() - 1;
	late = must_open(m, &q);
	cr_assert_eq(next_of(late, &e), ERR_UNAVAILABLE);
	cr_assert_not_null(strstr(e.text, "deadline"), "%s", e.text);
	cr_assert_eq(next_of(late, &e), ERR_UNAVAILABLE);
	engine_session_close(late);
	q.deadline_us = now_us() + 30000;
	waits = must_open(m, &q);
	while ((r = next_of(waits, &e)) == ENGINE_GOING)
		;
	cr_assert_eq(r, ERR_UNAVAILABLE, "%d", r);
	engine_session_close(waits);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(next_of(other, &e), ENGINE_GOING);
	engine_session_close(other);
	engine_close(m);
}

Test(engine_scheduler, deadlines_go_by_the_clock_that_is_given)
{
	int64_t time_us = 5; /* long ago for the system's steady clock */
	struct engine *m = open_with(
		DEMO, (struct engine_options){ .threads = 1, .clock = clock_fixed(&time_us) });
	struct engine_request q = request_of(10, 8);
	struct err e = { 0 };
	q.deadline_us = 6;
	struct engine_session *early = must_open(m, &q);
	cr_assert_eq(next_of(early, &e), ENGINE_GOING, "%s", e.text);
	q.deadline_us = 5;
	struct engine_session *late = must_open(m, &q);
	cr_assert_eq(next_of(late, &e), ERR_UNAVAILABLE);
	engine_session_close(early);
	engine_session_close(late);
	engine_close(m);
}

Test(engine_scheduler, full_queue_refuses_and_takes_again_when_one_is_gone)
{
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 1, .batch_max = 2 });
	struct engine_request q = request_of(5, 1000);
	struct engine_session *s[19] = { NULL };
	struct err e = { 0 };
	size_t n = 0;
	while (n < 19 && engine_session_open(&s[n], m, &q, &e) == 0)
		n++;
	cr_assert_eq(n, 18);
	cr_assert_eq(e.code, ERR_UNAVAILABLE);
	cr_assert_not_null(strstr(e.text, "18"), "%s", e.text);
	engine_session_close(s[4]);
	s[4] = must_open(m, &q);
	for (int i = 0; i < 6; i++) /* those that stopped reading hold nobody back */
		cr_assert_eq(next_of(s[17], &e), ENGINE_GOING);
	q.client = "other"; /* has few open: a place for each choice of a request, a batch at most */
	struct engine_session *other = must_open(m, &q), *second = must_open(m, &q), *third;
	cr_assert_eq(engine_session_open(&third, m, &q, &e), ERR_UNAVAILABLE);
	cr_assert_eq(next_of(other, &e), ENGINE_GOING);
	engine_session_close(other);
	engine_session_close(second);
	for (size_t i = 0; i < n; i++)
		engine_session_close(s[i]);
	engine_close(m);
}

struct hungry {
	struct engine *m;
	struct engine_session *s;
	atomic_uint *finished;
	atomic_uint taken;
	atomic_bool *enough;
	pthread_t thread;
};

static void *hungry_main(void *arg)
{
	struct hungry *h = arg;
	while (next_of(h->s, NULL) == ENGINE_GOING && (h->enough == NULL || !atomic_load(h->enough)))
		atomic_fetch_add(&h->taken, 1);
	if (h->finished != NULL)
		atomic_fetch_add(h->finished, 1);
	return NULL;
}

Test(engine_scheduler, client_with_thirty_requests_leaves_another_its_share)
{
	enum { MANY = LIGHT ? 10 : 30 };
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2, .batch_max = 4 });
	struct engine_request q = request_of(40, LIGHT ? 10 : 60);
	struct hungry h[MANY];
	struct err e = { 0 };
	atomic_uint finished = 0;
	q.client = "many";
	for (int i = 0; i < MANY; i++)
		h[i] = (struct hungry){ .m = m, .s = must_open(m, &q), .finished = &finished };
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(pthread_create(&h[i].thread, NULL, hungry_main, &h[i]), 0);
	q.client = "one";
	struct engine_session *one = must_open(m, &q);
	int r;
	while ((r = next_of(one, &e)) == ENGINE_GOING)
		;
	cr_assert_eq(r, ENGINE_LENGTH, "%s", e.text);
	cr_assert_leq(atomic_load(&finished), MANY / 2);
	engine_session_close(one);
	for (int i = 0; i < MANY; i++) {
		pthread_join(h[i].thread, NULL);
		engine_session_close(h[i].s);
	}
	engine_close(m);
}

/* All places are taken by long answers of the same client, and more of them wait: one of few tokens is let in
 * before any of them ends. */
Test(engine_scheduler, short_answer_does_not_wait_for_the_long_ones_of_its_client)
{
	enum { MANY = 12 };
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2, .batch_max = 4 });
	struct engine_request q = request_of(10, 1900), few = request_of(10, 2);
	struct hungry h[MANY];
	atomic_uint finished = 0;
	atomic_bool enough = false;
	for (int i = 0; i < MANY; i++) {
		h[i] = (struct hungry){ .m = m, .s = must_open(m, &q), .finished = &finished, .enough = &enough };
		cr_assert_eq(pthread_create(&h[i].thread, NULL, hungry_main, &h[i]), 0);
	}
	while (atomic_load(&h[0].taken) < 5)
		sched_yield();
	struct hungry word = { .m = m, .s = must_open(m, &few) };
	hungry_main(&word);
	engine_session_close(word.s);
	cr_expect_eq(atomic_load(&finished), 0, "before any of the long ones ended");
	atomic_store(&enough, true);
	for (int i = 0; i < MANY; i++) {
		pthread_join(h[i].thread, NULL);
		engine_session_close(h[i].s);
	}
	engine_close(m);
}

/* By a clock that stands still nothing is learned of costs, and rows are taken to cost the same each: a step
 * has one of each client. */
Test(engine_scheduler, many_streams_of_one_client_do_not_lengthen_the_steps_of_another)
{
	enum { MANY = 16, TOKENS = 60 };
	int64_t time_us = 5;
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2, .clock = clock_fixed(&time_us) });
	struct engine_request q = request_of(10, 1900);
	struct hungry h[MANY];
	atomic_bool enough = false;
	unsigned before = 0, after = 0;
	struct err e = { 0 };
	q.client = "many";
	for (int i = 0; i < MANY; i++)
		h[i] = (struct hungry){ .m = m, .s = must_open(m, &q), .enough = &enough };
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(pthread_create(&h[i].thread, NULL, hungry_main, &h[i]), 0);
	q = request_of(10, 1900);
	q.client = "one";
	struct engine_session *one = must_open(m, &q);
	cr_assert_eq(next_of(one, &e), ENGINE_GOING);
	for (int i = 0; i < MANY; i++)
		before += atomic_load(&h[i].taken);
	for (int i = 0; i < TOKENS; i++)
		cr_assert_eq(next_of(one, &e), ENGINE_GOING);
	for (int i = 0; i < MANY; i++)
		after += atomic_load(&h[i].taken);
	atomic_store(&enough, true);
	for (int i = 0; i < MANY; i++)
		pthread_join(h[i].thread, NULL);
	for (int i = 0; i < MANY; i++)
		engine_session_close(h[i].s);
	engine_session_close(one);
	engine_close(m);
	cr_assert_leq(after - before, 2 * TOKENS + MANY * TASK_AHEAD, "%u", after - before);
	cr_assert_gt(after, before); /* and they go on */
}

/* 1700 rows at 64 beside a stream are 27 passes, each of which gives the stream a token; at once they are
 * no more than seven. */
Test(engine_scheduler, long_prompt_does_not_stall_a_running_stream)
{
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2 });
	struct engine_request q = request_of(10, 1900);
	atomic_bool enough = false;
	struct err e = { 0 };
	struct hungry h = { .m = m, .s = must_open(m, &q), .enough = &enough };
	cr_assert_eq(pthread_create(&h.thread, NULL, hungry_main, &h), 0);
	while (atomic_load(&h.taken) < 5)
		usleep(100);
	q = request_of(LIGHT ? 500 : 1700, 2);
	q.prompt = long_prompt + 50;
	struct engine_session *s = must_open(m, &q);
	unsigned before = atomic_load(&h.taken);
	cr_assert_eq(next_of(s, &e), ENGINE_GOING);
	unsigned between = atomic_load(&h.taken) - before;
	atomic_store(&enough, true);
	pthread_join(h.thread, NULL);
	cr_assert_geq(between, LIGHT ? 3 : 15);
	engine_session_close(s), engine_session_close(h.s);
	engine_close(m);
}

/* A row late in a prompt attends to more, and streams wait for it as long as it takes. */
Test(engine_scheduler, rows_late_in_a_prompt_come_fewer_at_a_time)
{
	cr_assert_eq(scheduler_rows(64, 0), 64);
	cr_assert_eq(scheduler_rows(64, 4096), 32);
	for (uint32_t length = 0; length < 1u << 30; length = length * 2 + 1) {
		uint32_t n = scheduler_rows(64, length), more = scheduler_rows(64, length * 2);
		cr_assert(n <= 64 && n >= 16 && more <= n && scheduler_rows(5, length) == 5, "after %u: %u",
		          length, n);
	}
}

Test(engine_scheduler, closing_at_any_moment_leaves_nothing_behind)
{
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2, .no_prefix_cache = true });
	struct engine_request q = request_of(LIGHT ? 80 : 300, 50);
	struct engine_load load;
	uint32_t state = 3;
	for (int i = 0; i < (LIGHT ? 4 : 40); i++) {
		struct engine_session *s = must_open(m, &q), *t = must_open(m, &q);
		usleep(below(&state, 3000));
		engine_session_close(i % 2 ? s : t), engine_session_close(i % 2 ? t : s);
		engine_load(m, &load);
		cr_assert(load.running == 0 && load.waiting == 0 && load.cache_pages_used == 0);
	}
	engine_close(m);
}

static void check_choices(size_t by)
{
	backend = by;
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2 });
	struct engine_request q = request_of(200, 4);
	struct engine_session *s[5];
	struct err e = { 0 };
	uint32_t cached[5];
	q.sampling.temperature = 1;
	for (uint32_t i = 0; i < 5; i++) {
		q.sampling.choice = i;
		q.client = i == 4 ? "other" : "same";
		s[i] = must_open(m, &q);
	}
	for (int i = 0; i < 5; i++) {
		while (next_of(s[i], &e) == ENGINE_GOING)
			;
		cached[i] = engine_session_cached(s[i]);
		engine_session_close(s[i]);
	}
	cr_assert(cached[0] == 0 && cached[4] == 0, "%u %u", cached[0], cached[4]);
	for (int i = 1; i < 4; i++)
		cr_assert_eq(cached[i], 192, "choice %d: %u", i, cached[i]);
	engine_close(m);
}

Test(engine_scheduler, choices_share_their_prompt_and_clients_do_not)
{
	check_choices(0);
	check_choices(RECALLING);
}

/* What a later prompt finds of an answer that it repeats: 100 + 100 tokens are three pages. */
static uint32_t cached_of_repeated(size_t by, bool unshared)
{
	backend = by;
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2 });
	struct engine_request q = request_of(100, 100);
	uint32_t said[300];
	struct err e = { 0 };
	size_t count;
	q.answer_unshared = unshared;
	struct engine_session *s = must_open(m, &q);
	while (next_of(s, &e) == ENGINE_GOING)
		;
	memcpy(said, q.prompt, q.count * sizeof *said);
	memcpy(said + q.count, engine_session_ids(s, &count), 100 * sizeof *said);
	engine_session_close(s);
	q.prompt = said, q.count += count, q.sampling.tokens_max = 1;
	s = must_open(m, &q);
	cr_assert_geq(next_of(s, &e), 0, "%s", e.text);
	uint32_t found = engine_session_cached(s);
	engine_session_close(s);
	engine_close(m);
	return found;
}

Test(engine_scheduler, an_unshared_answer_is_not_found_by_whoever_guesses_it)
{
	for (size_t by = 0; by <= RECALLING; by += RECALLING) {
		cr_expect_eq(cached_of_repeated(by, false), 192);
		cr_expect_eq(cached_of_repeated(by, true), 64);
	}
}

Test(engine_scheduler, what_can_never_fit_is_refused_with_figures)
{
	struct engine_options o = { .threads = 1, .cache_bytes = bytes_of_pages(DEMO, 3) };
	struct engine *m = open_with(DEMO, o);
	struct engine_request q = request_of(150, 100);
	struct engine_session *s;
	struct engine_sequence *line;
	struct err e = { 0 };
	cr_assert_eq(engine_session_open(&s, m, &q, &e), ERR_UNAVAILABLE);
	cr_assert(strstr(e.text, "150") != NULL && strstr(e.text, "192") != NULL, "%s", e.text);
	q.sampling.tokens_max = 42;
	s = must_open(m, &q);
	cr_assert_eq(next_of(s, &e), ENGINE_GOING);
	cr_assert_eq(engine_sequence_open(&line, m, 100, &e), ERR_NOMEM);
	engine_session_close(s);
	cr_assert_eq(engine_sequence_open(&line, m, 192, &e), 0, "%s", e.text);
	s = must_open(m, &q); /* nobody can help it */
	cr_assert_eq(next_of(s, &e), ERR_UNAVAILABLE);
	engine_session_close(s), engine_sequence_close(line);
	uint32_t token[2] = { 5, 2048 };
	q.prompt = token, q.count = 2;
	cr_assert_eq(engine_session_open(&s, m, &q, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "2048"), "%s", e.text);
	engine_close(m);
}

Test(engine_scheduler, logprobs_are_those_of_the_raw_logits)
{
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 1 });
	struct engine_request q = request_of(12, 10);
	struct err e = { 0 };
	q.sampling.temperature = 1.5f, q.sampling.seed = 4;
	q.sampling.logprobs = true, q.sampling.top_logprobs = 3;
	struct engine_session *s = must_open(m, &q);
	for (size_t i = 0, n; i < 10; i++) {
		cr_assert_eq(next_of(s, &e), i < 9 ? ENGINE_GOING : ENGINE_LENGTH);
		const struct engine_logprob *l = &engine_session_logprobs(s)[i];
		const float *logits = engine_session_logits(s);
		double sum = 0;
		for (uint32_t k = 0; k < engine_info(m)->tokens_real; k++)
			sum += exp((double)logits[k]);
		cr_assert_eq(l->id, engine_session_ids(s, &n)[i]);
		cr_assert_float_eq(l->logprob, (double)logits[l->id] - log(sum), 1e-4);
		cr_assert(l->top_count == 3 && l->top[0] >= l->top[1] && l->top[1] >= l->top[2]);
		cr_assert_float_eq(l->top[2], (double)logits[l->top_id[2]] - log(sum), 1e-4);
	}
	engine_session_close(s);
	engine_close(m);
}

Test(engine_scheduler, running_sessions_allocate_nothing)
{
	if (!COUNTING)
		cr_skip_test("the sanitizer's malloc");
	struct engine *m = open_with(DEMO, (struct engine_options){ .threads = 2 });
	struct engine_session *s[4];
	struct err e = { 0 };
	for (uint32_t i = 0; i < 4; i++) {
		struct engine_request q = request_of(20 + 30 * i, 400);
		q.speculation = i == 3 ? 4 : 0;
		q.sampling.temperature = i % 2 ? 0.8f : 0;
		q.sampling.logprobs = i == 2, q.sampling.frequency = i == 1 ? 0.3f : 0;
		s[i] = must_open(m, &q);
	}
	for (int i = 0; i < 60 * 4; i++)
		cr_assert_eq(next_of(s[i % 4], &e), ENGINE_GOING);
	size_t before = counting_calls();
	for (int i = 0; i < 150 * 4; i++)
		cr_assert_eq(next_of(s[i % 4], &e), ENGINE_GOING);
	cr_assert_eq(counting_calls() - before, 0, "%zu allocations for 600 tokens", counting_calls() - before);
	for (int i = 0; i < 4; i++)
		engine_session_close(s[i]);
	engine_close(m);
}
