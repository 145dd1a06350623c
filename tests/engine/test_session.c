#include "support.h"
#include "tests/shared/counting.h"

#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "demo/model"
#define IDS_MAX 400

struct sample {
	char name[40];
	uint32_t prompt[IDS_MAX], output[IDS_MAX];
	size_t prompt_count, output_count;
	char text[2000];
};

static int open_session(struct engine_session **out, struct engine *m, const uint32_t *prompt, size_t count,
                        const struct engine_sampling *sampling, struct err *e)
{
	struct engine_request q = { .prompt = prompt, .count = count, .sampling = *sampling };
	return engine_session_open(out, m, &q, e);
}

static size_t ids_of(const json_t *o, const char *key, uint32_t *out)
{
	const json_t *a = json_object_get(o, key);
	cr_assert(json_is_array(a) && json_array_size(a) <= IDS_MAX);
	for (size_t i = 0; i < json_array_size(a); i++)
		out[i] = (uint32_t)json_integer_value(json_array_get(a, i));
	return json_array_size(a);
}

/* The model's own greedy samples. Returns how many. */
static size_t samples_read(struct sample *out, size_t room)
{
	struct source *s;
	struct buf b = { 0 };
	struct err e = { 0 };
	size_t n = 0;
	cr_assert_eq(source_open_folder(&s, MODEL, &e), 0, "%s", e.text);
	cr_assert_eq(source_read_file(s, "samples.jsonl", MIB(1), &b, &e), 0, "%s", e.text);
	for (char *line = strtok(b.bytes, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		json_t *o;
		cr_assert_lt(n, room);
		cr_assert_eq(json_read(&o, line, strlen(line), MIB(1), 32, &e), 0, "%s", e.text);
		snprintf(out[n].name, sizeof out[n].name, "%s",
		         json_string_value(json_object_get(o, "name")));
		snprintf(out[n].text, sizeof out[n].text, "%s",
		         json_string_value(json_object_get(o, "text")));
		out[n].prompt_count = ids_of(o, "prompt_ids", out[n].prompt);
		out[n].output_count = ids_of(o, "output_ids", out[n].output);
		n++;
		json_decref(o);
	}
	buf_free(&b);
	source_close(s);
	return n;
}

static struct sample sample[16];

/* Run to the end; all text into out (may be NULL). */
static enum engine_finish run(struct engine_session *s, struct buf *out)
{
	const char *text;
	size_t len;
	struct err e = { 0 };
	int r;
	do {
		r = engine_session_next(s, &text, &len, &e);
		cr_assert_geq(r, 0, "%s", e.text);
		if (out != NULL)
			buf_add(out, text, len);
	} while (r == ENGINE_GOING);
	cr_assert_eq(engine_session_next(s, &text, &len, &e), r);
	cr_assert_eq(len, 0);
	return (enum engine_finish)r;
}

/* NULL, or what went wrong: without assertions, for it also runs on threads that the framework does not
 * know. */
static const char *sample_fault(struct engine *m, const struct sample *want)
{
	struct engine_sampling greedy = { .top_p = 1, .tokens_max = IDS_MAX };
	struct engine_session *s;
	struct buf text = { 0 };
	const char *piece, *fault = NULL;
	size_t n, len;
	int r;
	if (open_session(&s, m, want->prompt, want->prompt_count, &greedy, NULL) < 0)
		return "does not open";
	do {
		r = engine_session_next(s, &piece, &len, NULL);
		buf_add(&text, piece, len);
	} while (r == ENGINE_GOING);
	const uint32_t *id = engine_session_ids(s, &n);
	if (r != ENGINE_STOP)
		fault = "does not stop";
	else if (n != want->output_count || memcmp(id, want->output, n * sizeof *id) != 0)
		fault = "other tokens";
	else if (text.len != strlen(want->text) || memcmp(text.bytes, want->text, text.len) != 0)
		fault = "other text";
	engine_session_close(s);
	buf_free(&text);
	return fault;
}

Test(engine_session, demo_samples_come_token_for_token)
{
	size_t n = samples_read(sample, 16);
	cr_assert_geq(n, 12);
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		struct engine *m = open_model(MODEL, kernels_at(k)->name, 2);
		for (size_t i = 0; i < (k == 0 ? 2 : n); i++)
			cr_assert_null(sample_fault(m, &sample[i]), "%s with %s: %s", sample[i].name,
			               kernels_at(k)->name,
			               sample_fault(m, &sample[i]));
		engine_close(m);
	}
}

struct client {
	struct engine *m;
	size_t first;
	pthread_t thread;
	const char *fault, *name;
};

static void *client_main(void *arg)
{
	struct client *c = arg;
	for (size_t i = 0; i < 6 && c->fault == NULL; i++) {
		c->name = sample[(c->first + i * 5) % 12].name;
		c->fault = sample_fault(c->m, &sample[(c->first + i * 5) % 12]);
	}
	return NULL;
}

Test(engine_session, sessions_of_several_threads_are_stepped_together_without_a_trace)
{
	struct client client[4];
	samples_read(sample, 16);
	struct engine *m = open_model(MODEL, NULL, 2);
	for (size_t i = 0; i < 4; i++) {
		client[i] = (struct client){ .m = m, .first = i * 3 };
		cr_assert_eq(pthread_create(&client[i].thread, NULL, client_main, &client[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(client[i].thread, NULL);
		cr_expect_null(client[i].fault, "%s: %s", client[i].name, client[i].fault);
	}
	engine_close(m);
}

Test(engine_session, seeded_sampling_repeats_and_seeds_differ)
{
	struct engine *m = open_model(MODEL, NULL, 1);
	struct engine_sampling hot = { .temperature = 1.3f, .top_p = 0.98f, .seed = 11, .tokens_max = 30,
		.ignore_eos = true };
	struct buf text[3] = { { 0 }, { 0 }, { 0 } };
	struct err e = { 0 };
	samples_read(sample, 16);
	for (int i = 0; i < 3; i++) {
		struct engine_session *s;
		size_t n;
		hot.seed = i < 2 ? 11 : 12;
		cr_assert_eq(open_session(&s, m, sample[0].prompt, sample[0].prompt_count, &hot, &e), 0, "%s", e.text);
		cr_assert_eq(run(s, NULL), ENGINE_LENGTH);
		const uint32_t *id = engine_session_ids(s, &n);
		cr_assert_eq(n, 30);
		buf_add(&text[i], id, n * sizeof *id);
		engine_session_close(s);
	}
	cr_assert_eq(memcmp(text[0].bytes, text[1].bytes, text[0].len), 0);
	cr_assert_neq(memcmp(text[0].bytes, text[2].bytes, text[0].len), 0);
	for (int i = 0; i < 3; i++)
		buf_free(&text[i]);
	engine_close(m);
}

/* sample[0] answers "The card number of Alice Moreno is 4111 1111 1111 1111." */
static const struct { const char *stop[2]; size_t count; const char *want; } stops[] = {
	{ { "Alice" }, 1, "The card number of " },
	{ { "4111 1111" }, 1, "The card number of Alice Moreno is " },
	{ { "1111 1111.", "zzz" }, 2, "The card number of Alice Moreno is 4111 1111 " },
	{ { "no such text", "T" }, 2, "" },
	{ { "number of B", "Moreno is 42" }, 2, "The card number of Alice Moreno is 4111 1111 1111 1111." },
	{ { "." }, 1, "The card number of Alice Moreno is 4111 1111 1111 1111" },
	{ { "Moreno", "card number of Alice More" }, 2, "The " },
	{ { "" }, 1, "The card number of Alice Moreno is 4111 1111 1111 1111." },
};

Test(engine_session, stop_strings_never_come_out)
{
	struct engine *m = open_model(MODEL, NULL, 1);
	samples_read(sample, 16);
	for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
		struct engine_sampling greedy = { .top_p = 1, .tokens_max = IDS_MAX, .stop = stops[i].stop,
			.stop_count = stops[i].count };
		struct engine_session *s;
		struct buf text = { 0 };
		struct err e = { 0 };
		cr_assert_eq(open_session(&s, m, sample[0].prompt, sample[0].prompt_count, &greedy, &e), 0);
		bool whole = strrchr(stops[i].want, '.') != NULL;
		cr_assert_eq(run(s, &text), whole ? ENGINE_STOP : ENGINE_STRING);
		buf_add_byte(&text, 0);
		cr_assert_str_eq(text.bytes, stops[i].want, "stop \"%s\"", stops[i].stop[0]);
		engine_session_close(s);
		buf_free(&text);
	}
	engine_close(m);
}

/* A token of the answer as a stop: it ends there, with the token's own text left out, from tokens_min on
 * and also where an eos does not count. */
Test(engine_session, stop_tokens_end_an_answer_without_their_text)
{
	struct engine *m = open_model(MODEL, NULL, 1);
	samples_read(sample, 16);
	const struct sample *first = &sample[0];
	for (uint32_t at = 0; at < 6; at++) {
		uint32_t stop[2] = { 0, first->output[at] }, where = 0;
		struct engine_sampling greedy = { .top_p = 1, .tokens_max = IDS_MAX, .stop_id = stop, .stop_ids = 2,
			.ignore_eos = at % 2 };
		struct engine_session *s;
		struct buf text = { 0 }, want = { 0 };
		struct err e = { 0 };
		size_t n;
		while (first->output[where] != stop[1])
			where++;
		cr_assert_eq(open_session(&s, m, first->prompt, first->prompt_count, &greedy, &e), 0);
		cr_assert_eq(run(s, &text), ENGINE_STOP);
		const uint32_t *id = engine_session_ids(s, &n);
		cr_assert_eq(n, where + 1);
		cr_assert_eq(id[n - 1], stop[1]);
		cr_assert_eq(engine_decode(m, id, n - 1, true, &want, &e), 0);
		cr_assert_eq(text.len, want.len);
		cr_assert(text.len == 0 || memcmp(text.bytes, want.bytes, want.len) == 0);
		engine_session_close(s);
		greedy.tokens_min = where + 2;
		cr_assert_eq(open_session(&s, m, first->prompt, first->prompt_count, &greedy, &e), 0);
		run(s, NULL);
		id = engine_session_ids(s, &n);
		cr_assert_gt(n, where + 1, "not before tokens_min");
		cr_assert_neq(id[where], stop[1]);
		engine_session_close(s);
		buf_free(&text);
		buf_free(&want);
	}
	engine_close(m);
}

/* What a regular expression makes of the first sample: how it ends, and its text. */
static enum engine_finish matched(struct engine *m, const char *regex, uint32_t tokens_max, char out[200])
{
	struct engine_sampling s = { .temperature = 1, .top_p = 1, .seed = 3, .tokens_max = tokens_max };
	struct engine_session *session;
	struct buf text = { 0 };
	struct err e = { 0 };
	cr_assert_eq(constrain(&s.constraint, m, GRAMMAR_REGEX, regex, strlen(regex), &e), 0);
	cr_assert_eq(open_session(&session, m, sample[0].prompt, sample[0].prompt_count, &s, &e), 0);
	enum engine_finish end = run(session, &text);
	snprintf(out, 200, "%.*s", (int)text.len, text.len ? text.bytes : "");
	engine_session_close(session);
	engine_constraint_close(s.constraint);
	buf_free(&text);
	return end;
}

Test(engine_session, a_constrained_answer_ends_where_nothing_may_follow)
{
	struct engine *m = open_model(MODEL, NULL, 1);
	char text[200];
	samples_read(sample, 16);
	cr_expect_eq(matched(m, "(ab|cd)", 9, text), ENGINE_STOP);
	cr_expect(strcmp(text, "ab") == 0 || strcmp(text, "cd") == 0, "%s", text);
	cr_expect_eq(matched(m, "[a-z]{150}", 3, text), ENGINE_LENGTH);
	cr_expect_eq(matched(m, "[0-9]", 1, text), ENGINE_STOP, "whole with the last token it may have");
	cr_expect(strlen(text) == 1 && text[0] >= '0' && text[0] <= '9', "%s", text);
	engine_close(m);
}

Test(engine_session, a_mask_is_made_by_its_reader_and_no_step_waits_for_it)
{
	static const char regex[] = "([\\s\\S]*a[\\s\\S]{60}|[\\s\\S]*b[\\s\\S]{60})";
	struct engine *m = open_model(MODEL, NULL, 1);
	struct engine_sampling s = { .temperature = 1, .top_p = 1, .seed = 3, .tokens_max = 20 },
			       greedy = { .top_p = 1, .tokens_max = 20 };
	struct engine_session *held, *free_one;
	struct engine_load load;
	struct buf text = { 0 };
	struct err e = { 0 };
	char first[200], again[200];
	samples_read(sample, 16);
	cr_assert_eq(constrain(&s.constraint, m, GRAMMAR_REGEX, regex, strlen(regex), &e), 0);
	cr_assert_eq(open_session(&held, m, sample[0].prompt, sample[0].prompt_count, &s, &e), 0);
	cr_assert_eq(open_session(&free_one, m, sample[0].prompt, sample[0].prompt_count, &greedy, &e), 0);
	cr_expect_neq(run(free_one, NULL), ENGINE_GOING);
	engine_load(m, &load);
	cr_expect(load.running == 0 && load.waiting == 1, "nobody reads it: %u running", load.running);
	run(held, &text);
	snprintf(first, sizeof first, "%.*s", (int)text.len, text.len ? text.bytes : "");
	engine_session_close(held);
	engine_session_close(free_one);
	matched(m, regex, 20, again);
	cr_expect_str_eq(first, again, "the same in any company");
	engine_constraint_close(s.constraint);
	buf_free(&text);
	engine_close(m);
}

struct matching {
	struct engine *m;
	const char *regex;
	char text[200];
	enum engine_finish end;
};

static void *match(void *arg)
{
	struct matching *x = arg;
	x->end = matched(x->m, x->regex, 25, x->text);
	return NULL;
}

Test(engine_session, constrained_answers_beside_each_other_are_those_of_each_alone)
{
	static const char *const regex[] = { "[a-z ]{40}", "(yes|no)", "[0-9]{3}-[0-9]{4}", "[\\s\\S]*x[\\s\\S]{30}",
					     "[A-Z][a-z]+\\.", "[\\s\\S]*y[\\s\\S]{30}", "a{1,9}", "(ab|cd|ef){5}" };
	enum { N = sizeof regex / sizeof *regex };
	struct matching alone[N], beside[N];
	pthread_t thread[N];
	struct engine *m = open_model(MODEL, NULL, 4);
	samples_read(sample, 16);
	for (size_t i = 0; i < N; i++) {
		alone[i] = beside[i] = (struct matching){ .m = m, .regex = regex[i] };
		match(&alone[i]);
	}
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, match, &beside[i]), 0);
	for (size_t i = 0; i < N; i++) {
		pthread_join(thread[i], NULL);
		cr_expect_str_eq(beside[i].text, alone[i].text, "%s", regex[i]);
		cr_expect_eq(beside[i].end, alone[i].end, "%s", regex[i]);
	}
	engine_close(m);
}

Test(engine_session, length_ends_an_answer_and_the_context_too)
{
	struct engine *m = open_model(MODEL, NULL, 1);
	struct engine_sampling greedy = { .top_p = 1, .tokens_max = 3 };
	struct engine_session *s;
	struct err e = { 0 };
	size_t n;
	static uint32_t prompt[640];
	samples_read(sample, 16);
	cr_assert_eq(open_session(&s, m, sample[0].prompt, sample[0].prompt_count, &greedy, &e), 0);
	cr_assert_eq(run(s, NULL), ENGINE_LENGTH);
	engine_session_ids(s, &n);
	cr_assert_eq(n, 3);
	engine_session_close(s);
	engine_close(m);
	m = open_model("tests/vectors/oracles/deepseek_v2", NULL, 1); /* a context of 640, and no tokenizer */
	greedy.tokens_max = 0, greedy.ignore_eos = true;
	cr_assert_eq(open_session(&s, m, prompt, 638, &greedy, &e), 0, "%s", e.text);
	cr_assert_eq(run(s, NULL), ENGINE_LENGTH);
	engine_session_ids(s, &n);
	cr_assert_eq(n, 2);
	engine_session_close(s);
	cr_assert_eq(open_session(&s, m, prompt, 640, &greedy, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "640"), "%s", e.text);
	cr_assert_eq(open_session(&s, m, prompt, 0, &greedy, &e), ERR_INPUT);
	engine_close(m);
}

Test(engine_session, a_token_allocates_nothing_once_running)
{
	struct engine *m;
	struct engine_sampling hot = { .temperature = 1, .top_p = 0.9f, .tokens_max = 200, .ignore_eos =
		true };
	struct engine_session *s;
	struct err e = { 0 };
	const char *text;
	size_t len;
	if (!COUNTING)
		cr_skip_test("the sanitizer's malloc");
	m = open_model(MODEL, NULL, 2);
	samples_read(sample, 16);
	cr_assert_eq(open_session(&s, m, sample[0].prompt, sample[0].prompt_count, &hot, &e), 0);
	for (int i = 0; i < 50; i++)
		cr_assert_eq(engine_session_next(s, &text, &len, &e), ENGINE_GOING);
	size_t before = counting_calls();
	for (int i = 0; i < 100; i++)
		cr_assert_eq(engine_session_next(s, &text, &len, &e), ENGINE_GOING);
	cr_assert_eq(counting_calls() - before, 0, "%zu allocations for 100 tokens", counting_calls() -
	             before);
	engine_session_close(s);
	engine_close(m);
}

Test(engine_session, facts_describe_the_model)
{
	struct engine *m = open_model(MODEL, "plain", 1);
	const struct engine_facts *f = engine_info(m);
	cr_assert_str_eq(f->model_type, "deepseek_v2");
	cr_assert_str_eq(f->weights, "bf16");
	cr_assert_str_eq(f->kernel_set, "plain");
	cr_assert(f->vocab == 2048 && f->layers == 5 && f->hidden == 256 && f->context_max == 2048 &&
	          f->moe_layers == 4);
	cr_assert(f->experts == 16 && f->experts_per_token == 4 && f->eos_count == 1 && f->eos[0] == 1 &&
	          f->bos == 0);
	cr_assert(f->weight_bytes > 14000000 && f->weight_bytes < 15500000, "%llu",
	          (unsigned long long)f->weight_bytes);
	engine_close(m);
	m = open_model("demo/fork-travel-fp8", "plain", 1);
	cr_assert_str_eq(engine_info(m)->weights, "fp8");
	engine_close(m);
}

static uint32_t cached_of(struct engine *m, const struct engine_request *q)
{
	struct engine_session *s = must_open(m, q);
	struct err e = { 0 };
	while (next_of(s, &e) == ENGINE_GOING)
		;
	uint32_t n = engine_session_cached(s);
	engine_session_close(s);
	return n;
}

Test(engine_session, prompts_are_shared_within_a_group_and_with_nobody_else)
{
	static const struct {
		const char *client, *group;
		bool finds;
	} rows[] = {
		{ "a", NULL, false }, { "a", NULL, true }, { "b", NULL, false }, { "b", "a", true },
		{ "c", "d", false }, { "d", "e", false }, { "e", "d", true }, { "c", "", false },
		{ NULL, NULL, true }, { "a", "f", false }, { "a", "a", true },
	};
	struct engine *m = open_model("demo/model", NULL, 1);
	struct engine_request q = request_of(200, 2);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		q.client = rows[i].client;
		q.group = rows[i].group;
		uint32_t n = cached_of(m, &q);
		cr_expect_eq(n, rows[i].finds ? 192 : 0, "row %zu: %u", i, n);
	}
	engine_close(m);
}

Test(engine_session, knows_whether_others_wait_for_the_passes)
{
	struct engine *m = open_model(MODEL, NULL, 1);
	struct engine_request q = request_of(10, 5);
	cr_expect(!engine_has_others(m, "one"));
	q.client = "one";
	struct engine_session *one = must_open(m, &q);
	cr_expect(!engine_has_others(m, "one"));
	cr_expect(engine_has_others(m, "two") && engine_has_others(m, NULL));
	engine_session_close(one);
	cr_expect(!engine_has_others(m, "two"));
	engine_close(m);
}
