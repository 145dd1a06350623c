#include "support.h"
#include "walk.h"
#include "tests/shared/acceptor.h"
#include "tests/shared/counting.h"

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/sampler.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 6

static const struct { const char *file, *key; enum grammar_kind kind; } lists[] = {
	{ "tests/vectors/constraints/schemas.json", "schema", GRAMMAR_SCHEMA },
	{ "tests/vectors/constraints/regexes.json", "regex", GRAMMAR_REGEX },
	{ "tests/vectors/constraints/grammars.json", "grammar", GRAMMAR_RULES },
	{ "tests/vectors/constraints/choices.json", "choice", GRAMMAR_CHOICE },
};

static json_t *list_read(const char *file)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	json_t *list;
	cr_assert_eq(file_read(file, 1 << 20, &b, &e), 0, "%s", e.text);
	cr_assert_eq(json_read(&list, b.bytes, b.len, 1 << 20, 64, &e), 0, "%s: %s", file, e.text);
	buf_free(&b);
	return list;
}

/* As the engine draws by it, and as the automaton reads texts. */
static struct engine_constraint *row_open(const struct engine *m, size_t list, const json_t *row,
                                          struct acceptor *a)
{
	const json_t *value = json_object_get(row, lists[list].key);
	const char *name = json_string_value(json_object_get(row, "name"));
	enum grammar_kind kind = lists[list].kind;
	struct engine_constraint *c = NULL;
	struct buf text = { 0 };
	struct err e = { 0 };
	if (kind == GRAMMAR_REGEX || kind == GRAMMAR_RULES)
		buf_add_text(&text, json_string_value(value));
	else
		cr_assert_eq(json_write(value, 0, &text, &e), 0);
	const char *bytes = text.bytes ? text.bytes : "";
	cr_assert_eq(constrain(&c, m, kind, bytes, text.len, &e), 0, "%s: %s", name, e.text);
	cr_assert_eq(acceptor_open(a, kind, bytes, text.len, &e), 0, "%s: %s", name, e.text);
	buf_free(&text);
	return c;
}

/* For the outside validators, when they ask: one line of JSON for each completed answer. */
static void answer_write(FILE *out, size_t list, const json_t *row, const struct walk *w)
{
	struct buf line = { 0 };
	if (out == NULL)
		return;
	buf_printf(&line, "{\"list\":\"%s\",\"name\":", lists[list].key);
	const char *name = json_string_value(json_object_get(row, "name"));
	text_json_string(&line, name, strlen(name));
	buf_add_text(&line, ",\"text\":");
	text_json_string(&line, w->text.bytes ? w->text.bytes : "", w->text.len);
	buf_add_text(&line, "}\n");
	cr_assert_eq(fwrite(line.bytes, 1, line.len, out), line.len);
	buf_free(&line);
}

/* Of random logits at temperatures 2 and 1: each completed answer is one of the constraint's texts,
 * and most come to their end. */
Test(engine_sampler, completed_answers_satisfy_the_constraint, .timeout = 600)
{
	struct engine *m = open_model("demo/model", NULL, 1);
	const char *path = getenv("CONSTRAINT_ANSWERS");
	FILE *out = path ? fopen(path, "w") : NULL;
	size_t completed = 0, all = 0, endless = 0;
	struct walk w;
	walk_open(&w, m);
	for (size_t list = 0; list < 4; list++) {
		json_t *rows = list_read(lists[list].file), *row;
		size_t i;
		json_array_foreach(rows, i, row) {
			struct acceptor a;
			struct engine_constraint *c = row_open(m, list, row, &a);
			const char *name = json_string_value(json_object_get(row, "name"));
			size_t here = 0;
			for (uint32_t seed = 0; seed < SEEDS; seed++, all++) {
				struct engine_sampling s = { .temperature = seed % 2 ? 1.0f : 2.0f, .seed = seed,
					                     .constraint = c };
				bool done = walk_answer(&w, &s, 400);
				const char *text = w.text.bytes ? w.text.bytes : "";
				cr_assert_eq(w.rc, 0, "%s: %s after %s", name, w.e.text, text);
				cr_assert(acceptor_takes(&a, text, w.text.len, done), "%s: %s", name, text);
				cr_assert(!done || text_utf8_valid(text, w.text.len), "%s", name);
				here += done;
				if (done)
					answer_write(out, list, row, &w);
			}
			endless += here == 0;
			completed += here;
			engine_constraint_close(c);
			acceptor_close(&a);
		}
		json_decref(rows);
	}
	/* some expressions end in what is hard to meet by chance */
	cr_expect_gt(completed * 10, all * 8, "%zu of %zu answers came to their end", completed, all);
	cr_expect_leq(endless, 8, "%zu constraints saw no answer come to its end", endless);
	walk_close(&w);
	engine_close(m);
	if (out)
		cr_assert_eq(fclose(out), 0);
}

static const struct engine_sampling draws[] = {
	{ .temperature = 1 }, { .temperature = 1, .top_p = 1 }, { .temperature = 0.3f, .top_p = 0.9f },
	{ .temperature = 2, .top_p = 0.99f, .min_p = 0.01f }, { .temperature = 1, .top_k = 1 },
	{ .temperature = 1, .top_k = 40, .top_p = 0.7f }, { .temperature = 5, .min_p = 0.2f },
	{ .temperature = 0.05f }, { .temperature = 1.7f, .top_k = 699 }, { .temperature = 1, .top_p = 0.05f },
};

static uint32_t noise(uint32_t i)
{
	i = (i ^ 61) ^ (i >> 16);
	i *= 9;
	i ^= i >> 4;
	i *= 0x27d4eb2d;
	return i ^ i >> 15;
}

/* A sampler of the demo model over logits of its whole vocabulary. */
struct bench {
	struct engine *m;
	struct sampler *sampler;
	float *logits;
	void *scratch;
	uint32_t vocab, real, eos;
	struct err e;
};

static void bench_open(struct bench *b)
{
	*b = (struct bench){ .m = open_model("demo/model", NULL, 1) };
	const struct engine_facts *f = engine_info(b->m);
	b->vocab = f->vocab;
	b->real = f->tokens_real;
	b->eos = f->eos[0];
	b->logits = calloc(b->vocab, sizeof *b->logits);
	b->scratch = malloc((size_t)b->vocab * 8);
	cr_assert(b->logits && b->scratch);
}

static void bench_sampler(struct bench *b, const struct engine_sampling *s, const uint32_t *prompt,
                          size_t count)
{
	sampler_close(b->sampler);
	cr_assert_eq(sampler_open(&b->sampler, b->m, s, prompt, count, 100, &b->e), 0, "%s", b->e.text);
}

static uint32_t bench_draw(struct bench *b, struct engine_logprob *top)
{
	uint32_t id = 0;
	cr_assert_eq(sampler_draw(b->sampler, b->logits, 0, b->scratch, &id, top, &b->e), 0, "%s", b->e.text);
	return id;
}

static void bench_close(struct bench *b)
{
	sampler_close(b->sampler);
	engine_close(b->m);
	free(b->logits);
	free(b->scratch);
}

Test(engine_sampler, without_masks_it_draws_as_the_pure_function)
{
	struct bench b;
	bench_open(&b);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < b.vocab; i++)
			b.logits[i] = (float)(noise(round * 77 + i) % 1000) / 60;
		for (size_t k = 0; k < sizeof draws / sizeof *draws; k++) {
			struct engine_sampling s = draws[k];
			s.seed = round;
			s.temperature = round % 4 == 3 ? 0 : s.temperature;
			bench_sampler(&b, &s, NULL, 0);
			cr_assert_eq(bench_draw(&b, NULL), engine_sample(NULL, b.logits, b.vocab, b.real, &s, 0,
			                                                   b.scratch));
		}
	}
	bench_close(&b);
}

Test(engine_sampler, bias_and_penalties_are_applied_in_their_order)
{
	struct bench b;
	bench_open(&b);
	const uint32_t x = 300, y = 301, prompt[] = { 300, 300 };
	const struct engine_bias up[] = { { 301, 1 } }, never[] = { { 300, -INFINITY }, { 302, -INFINITY } };
	b.logits[x] = 3;
	b.logits[y] = 2.5f;
	b.logits[302] = 2.75f;
	struct engine_sampling s = { .bias = up, .bias_count = 1 };
	bench_sampler(&b, &s, NULL, 0);
	cr_expect_eq(bench_draw(&b, NULL), y, "a bias of 1 lifts 2.5 over 3");
	s = (struct engine_sampling){ .bias = never, .bias_count = 2 };
	bench_sampler(&b, &s, NULL, 0);
	cr_expect_eq(bench_draw(&b, NULL), y, "banned by bias");
	s = (struct engine_sampling){ .repetition = 1.5f };
	bench_sampler(&b, &s, prompt, 2);
	cr_expect_eq(bench_draw(&b, NULL), 302, "3 / 1.5 for what the prompt holds");
	sampler_accept(b.sampler, 302);
	cr_expect_eq(bench_draw(&b, NULL), y, "and for what was drawn");
	s = (struct engine_sampling){ .presence = 0.3f };
	bench_sampler(&b, &s, prompt, 2);
	cr_expect_eq(bench_draw(&b, NULL), x, "the prompt does not count as present");
	sampler_accept(b.sampler, x);
	cr_expect_eq(bench_draw(&b, NULL), 302);
	sampler_accept(b.sampler, 302);
	cr_expect_eq(bench_draw(&b, NULL), x, "2.7 against 2.45 and 2.5: once, however often");
	sampler_accept(b.sampler, x);
	cr_expect_eq(bench_draw(&b, NULL), x);
	s = (struct engine_sampling){ .frequency = 0.2f };
	bench_sampler(&b, &s, NULL, 0);
	for (int i = 0; i < 2; i++, sampler_accept(b.sampler, x))
		cr_expect_eq(bench_draw(&b, NULL), x);
	cr_expect_eq(bench_draw(&b, NULL), 302, "3 - 2 x 0.2 is less than 2.75");
	b.logits[x] = -1;
	for (uint32_t i = 0; i < b.vocab; i++)
		b.logits[i] = i == x ? -1 : -1.4f;
	s = (struct engine_sampling){ .repetition = 1.5f };
	bench_sampler(&b, &s, prompt, 2);
	cr_expect_eq(bench_draw(&b, NULL), 0, "negative logits are multiplied: -1.5 under -1.4");
	bench_close(&b);
}

Test(engine_sampler, log_probabilities_are_those_of_raw_logits)
{
	struct bench b;
	bench_open(&b);
	const struct engine_bias never[] = { { 7, -INFINITY } };
	const struct engine_sampling s = { .logprobs = true, .top_logprobs = 5, .bias = never, .bias_count = 1,
		                           .temperature = 0.5f, .top_k = 1 };
	struct engine_logprob top;
	double sum = 0;
	for (uint32_t i = 0; i < b.vocab; i++)
		b.logits[i] = (float)(noise(i) % 100) / 50;
	for (uint32_t i = b.real; i < b.vocab; i++)
		b.logits[i] = 50; /* padding counts for nothing */
	b.logits[7] = 9;
	b.logits[11] = b.logits[10] = 8.5f;
	for (uint32_t i = 0; i < b.real; i++)
		sum += exp((double)b.logits[i]);
	bench_sampler(&b, &s, NULL, 0);
	cr_assert_eq(bench_draw(&b, &top), 10);
	cr_assert_eq(top.id, 10);
	cr_assert_eq(top.top_count, 5);
	cr_assert(top.top_id[0] == 7 && top.top_id[1] == 10 && top.top_id[2] == 11, "best first, ties to the lower");
	cr_assert_lt(fabs((double)top.logprob - (8.5 - log(sum))), 1e-5);
	for (uint32_t i = 0; i < 5; i++) {
		cr_assert_lt(fabs((double)top.top[i] - ((double)b.logits[top.top_id[i]] - log(sum))), 1e-5);
		cr_assert(i == 0 || top.top[i] <= top.top[i - 1]);
	}
	bench_close(&b);
}

Test(engine_sampler, the_end_waits_for_min_tokens_and_for_the_constraint)
{
	struct bench b;
	struct engine_constraint *c;
	bench_open(&b);
	b.logits[b.eos] = 9;
	b.logits[5] = 3;
	const struct engine_sampling s = { .tokens_min = 2 };
	bench_sampler(&b, &s, NULL, 0);
	for (int i = 0; i < 2; i++, sampler_accept(b.sampler, 5))
		cr_expect_eq(bench_draw(&b, NULL), 5);
	cr_expect_eq(bench_draw(&b, NULL), b.eos);
	cr_assert_eq(constrain(&c, b.m, GRAMMAR_REGEX, "ab*c?", 5, &b.e), 0);
	const struct engine_sampling t = { .constraint = c };
	struct token_ids a = { 0 }, z = { 0 };
	cr_assert_eq(engine_encode(b.m, "a", 1, false, false, &a, &b.e), 0);
	cr_assert_eq(engine_encode(b.m, "c", 1, false, false, &z, &b.e), 0);
	bench_sampler(&b, &t, NULL, 0);
	cr_expect_neq(bench_draw(&b, NULL), b.eos, "nothing is no whole answer");
	sampler_accept(b.sampler, a.id[0]);
	cr_expect_eq(bench_draw(&b, NULL), b.eos, "a is");
	cr_expect_not(sampler_is_complete(b.sampler));
	sampler_accept(b.sampler, z.id[0]);
	cr_expect(sampler_is_complete(b.sampler), "after c nothing may follow");
	cr_expect_eq(bench_draw(&b, NULL), b.eos);
	sampler_close(b.sampler);
	b.sampler = NULL;
	engine_constraint_close(c);
	token_ids_free(&a);
	token_ids_free(&z);
	bench_close(&b);
}

Test(engine_sampler, a_mask_made_beforehand_is_the_same_mask)
{
	struct bench b;
	struct engine_constraint *c;
	bench_open(&b);
	cr_assert_eq(constrain(&c, b.m, GRAMMAR_REGEX, "([a-d]{2}x|y[e-z ]{1,6})+!", 26, &b.e), 0);
	const struct engine_sampling t = { .constraint = c, .temperature = 1, .top_p = 1, .seed = 5 };
	struct sampler *made;
	cr_assert_eq(sampler_open(&made, b.m, &t, NULL, 0, 100, &b.e), 0);
	bench_sampler(&b, &t, NULL, 0);
	for (uint32_t at = 0; at < 40 && !sampler_is_complete(b.sampler); at++) {
		uint32_t id, same;
		cr_assert_eq(sampler_draw(b.sampler, b.logits, at, b.scratch, &id, NULL, &b.e), 0);
		cr_assert_eq(sampler_prepare(made, false, 0, NULL, &b.e), 0);
		cr_assert_eq(sampler_draw(made, b.logits, at, b.scratch, &same, NULL, &b.e), 0);
		cr_assert_eq(id, same, "token %u", at);
		sampler_accept(b.sampler, id);
		sampler_accept(made, same);
		cr_assert_eq(sampler_prepare(made, true, 0, NULL, &b.e), 0);
		cr_assert_eq(sampler_is_complete(made), sampler_is_complete(b.sampler), "token %u", at);
	}
	sampler_close(made);
	sampler_close(b.sampler);
	b.sampler = NULL;
	engine_constraint_close(c);
	bench_close(&b);
}

/* A little work at a time, as where a reader tries before it asks for a mask to be made beside. */
Test(engine_sampler, a_mask_that_is_held_goes_on_from_there_and_is_the_same)
{
	struct bench b;
	struct engine_constraint *c, *other;
	bench_open(&b);
	static const char text[] = "([\\s\\S]*a[\\s\\S]{20}|[\\s\\S]*e[\\s\\S]{30})";
	cr_assert_eq(constrain(&c, b.m, GRAMMAR_REGEX, text, sizeof text - 1, &b.e), 0, "%s", b.e.text);
	cr_assert_eq(constrain(&other, b.m, GRAMMAR_REGEX, text, sizeof text - 1, &b.e), 0);
	struct engine_sampling t = { .constraint = c, .temperature = 1, .top_p = 1, .seed = 5 };
	struct sampler *made;
	atomic_bool stop = false;
	unsigned held = 0;
	int rc;
	cr_assert_eq(sampler_open(&made, b.m, &t, NULL, 0, 100, &b.e), 0);
	t.constraint = other;
	bench_sampler(&b, &t, NULL, 0);
	for (uint32_t at = 0; at < 12; at++) {
		uint32_t id, same;
		cr_assert_eq(sampler_draw(b.sampler, b.logits, at, b.scratch, &id, NULL, &b.e), 0);
		while ((rc = sampler_prepare(made, false, 3000, &stop, &b.e)) == 1)
			cr_assert_lt(++held, 100000u);
		cr_assert_eq(rc, 0, "%s", b.e.text);
		cr_assert_eq(sampler_draw(made, b.logits, at, b.scratch, &same, NULL, &b.e), 0);
		cr_assert_eq(id, same, "token %u", at);
		sampler_accept(b.sampler, id);
		sampler_accept(made, same);
	}
	cr_assert_gt(held, 0);
	atomic_store(&stop, true);
	cr_assert_eq(sampler_prepare(made, false, 0, &stop, &b.e), ERR_UNAVAILABLE);
	cr_assert_eq(sampler_prepare(made, false, 0, NULL, &b.e), 0, "and nothing is lost");
	sampler_close(made);
	sampler_close(b.sampler);
	b.sampler = NULL;
	engine_constraint_close(c);
	engine_constraint_close(other);
	bench_close(&b);
}

/* Ids drawn under a constraint that needs much memory. */
static void draw_shared(struct bench *b, uint32_t *id, uint32_t count)
{
	struct engine_constraint *c;
	static const char text[] = "([\\s\\S]*a[\\s\\S]{40}|[\\s\\S]*e[\\s\\S]{50}|[\\s\\S]*i[\\s\\S]{60})";
	cr_assert_eq(constrain(&c, b->m, GRAMMAR_REGEX, text, sizeof text - 1, &b->e), 0, "%s", b->e.text);
	const struct engine_sampling t = { .constraint = c, .temperature = 1, .top_p = 1, .seed = 5 };
	bench_sampler(b, &t, NULL, 0);
	for (uint32_t at = 0; at < count; at++) {
		cr_assert_eq(sampler_draw(b->sampler, b->logits, at, b->scratch, &id[at], NULL, &b->e), 0, "%s",
		             b->e.text);
		sampler_accept(b->sampler, id[at]);
	}
	sampler_close(b->sampler);
	b->sampler = NULL;
	engine_constraint_close(c);
}

Test(engine_sampler, a_constraint_among_many_begins_again_and_allows_the_same)
{
	enum { MANY = 600, IDS = 6 };
	static struct engine_constraint *other[MANY];
	uint32_t alone[IDS], among[IDS];
	struct bench b;
	bench_open(&b);
	draw_shared(&b, alone, IDS);
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(constrain(&other[i], b.m, GRAMMAR_REGEX, "a", 1, &b.e), 0);
	draw_shared(&b, among, IDS);
	cr_assert_arr_eq(alone, among, sizeof alone);
	for (int i = 0; i < MANY; i++)
		engine_constraint_close(other[i]);
	bench_close(&b);
}

static const struct { const char *row; struct engine_sampling s; const char *word; } wrong[] = {
	{ "temperature", { .temperature = -1 }, "temperature" }, { "nan", { .temperature = NAN }, "temperature" },
	{ "top_p", { .top_p = 1.5f }, "top_p" }, { "min_p", { .min_p = -0.5f }, "min_p" },
	{ "repetition", { .repetition = INFINITY }, "repetition" }, { "presence", { .presence = NAN }, "presence" },
	{ "id", { .bias = &(struct engine_bias){ 1u << 30, 0 }, .bias_count = 1 }, "logit_bias" },
	{ "bias", { .bias = &(struct engine_bias){ 1, NAN }, .bias_count = 1 }, "logit_bias" },
	{ "top", { .top_logprobs = 21 }, "top_logprobs" },
	{ "ban", { .ban = (const char *const[]){ "" }, .ban_count = 1 }, "empty" },
};

Test(engine_sampler, parameters_out_of_range_are_refused_by_name)
{
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct sampler *s = NULL;
		cr_expect_eq(sampler_open(&s, b.m, &wrong[i].s, NULL, 0, 10, &b.e), ERR_INPUT, "%s", wrong[i].row);
		cr_expect(strstr(b.e.text, wrong[i].word), "%s: %s", wrong[i].row, b.e.text);
		cr_expect_eq(s, NULL);
	}
	uint32_t id;
	const struct engine_sampling s = { .temperature = 1 };
	bench_sampler(&b, &s, NULL, 0);
	for (uint32_t i = 0; i < b.vocab; i++)
		b.logits[i] = NAN;
	cr_expect_eq(sampler_draw(b.sampler, b.logits, 0, b.scratch, &id, NULL, &b.e), ERR_INPUT);
	bench_close(&b);
}

/* What is broken must not end in some other id that happens to be finite. */
Test(engine_sampler, logits_broken_in_part_are_refused)
{
	static const float temperatures[] = { 0, 1 };
	for (size_t i = 0; i < 2; i++) {
		struct bench b;
		bench_open(&b);
		struct engine_bias *never = calloc(b.vocab, sizeof *never);
		cr_assert(never);
		for (uint32_t k = 0; k < b.vocab; k++)
			never[k] = (struct engine_bias){ k < 5 ? k : k + 1 < b.vocab ? k + 1 : 0, -INFINITY };
		const struct engine_sampling open = { .temperature = temperatures[i] },
					     one = { .temperature = temperatures[i], .bias = never,
						     .bias_count = b.vocab };
		uint32_t id;
		bench_sampler(&b, &open, NULL, 0);
		for (uint32_t k = 0; k < b.vocab; k++)
			b.logits[k] = k == 5 ? INFINITY : 0;
		cr_expect_eq(sampler_draw(b.sampler, b.logits, 0, b.scratch, &id, NULL, &b.e), ERR_INPUT);
		bench_sampler(&b, &one, NULL, 0); /* all but 5 are out */
		b.logits[5] = NAN;
		cr_expect_eq(sampler_draw(b.sampler, b.logits, 0, b.scratch, &id, NULL, &b.e), ERR_INPUT);
		bench_close(&b);
		free(never);
	}
}

/* ---- banned strings ---- */

/* Short ones, that random bytes would hold often; one is a suffix of another's beginning. */
static const char *const bans[] = { "e", "th", "thing", "\xC3", " a", "in", "qu", "\n\n", "hat",
	                          "0", "aab", "ab" };

Test(engine_sampler, banned_strings_never_come_in_any_cutting)
{
	struct engine *m = open_model("demo/model", NULL, 1);
	const size_t count = sizeof bans / sizeof *bans;
	struct walk w;
	size_t held = 0;
	walk_open(&w, m);
	for (uint32_t seed = 0; seed < 60; seed++) {
		for (int on = 0; on < 2; on++) {
			struct engine_sampling s = { .temperature = 1.5f, .seed = seed, .ban = bans,
				                     .ban_count = on ? count : 0, .tokens_min = 60 };
			(void)walk_answer(&w, &s, 60);
			cr_assert_eq(w.rc, 0, "%s", w.e.text);
			for (size_t i = 0; i < count; i++) {
				bool here = w.text.len > 0 &&
				            memmem(w.text.bytes, w.text.len, bans[i], strlen(bans[i])) != NULL;
				held += !on && here;
				cr_assert(!on || !here, "%s in %s", bans[i], w.text.bytes);
			}
		}
	}
	cr_assert_gt(held, 60, "without bans they come");
	walk_close(&w);
	engine_close(m);
}

Test(engine_sampler, bans_and_constraint_together_may_leave_nothing)
{
	struct engine *m = open_model("demo/model", NULL, 1);
	struct engine_constraint *c;
	struct walk w;
	struct err e = { 0 };
	const char *const no[] = { "no", "es" }, *const one[] = { "no" };
	const char choice[] = "[\"yes\",\"no\"]";
	walk_open(&w, m);
	cr_assert_eq(constrain(&c, m, GRAMMAR_CHOICE, choice, strlen(choice), &e), 0, "%s", e.text);
	struct engine_sampling s = { .temperature = 1, .constraint = c, .ban = no, .ban_count = 2 };
	cr_assert_not(walk_answer(&w, &s, 20));
	cr_assert_eq(w.rc, ERR_INPUT);
	cr_assert(strstr(w.e.text, "banned strings"), "%s", w.e.text);
	s.ban = one, s.ban_count = 1;
	for (s.seed = 0; s.seed < 40; s.seed++) {
		if (walk_answer(&w, &s, 20))
			cr_assert_str_eq(w.text.bytes, "yes");
		else /* "n" was drawn, and "no" is banned */
			cr_assert(w.rc == ERR_INPUT && w.text.len == 1);
	}
	engine_constraint_close(c);
	walk_close(&w);
	engine_close(m);
}

Test(engine_sampler, control_tokens_come_where_a_grammar_names_them_and_nowhere_else)
{
	struct engine *m = open_model("demo/model", NULL, 1);
	struct engine_constraint *c;
	struct walk w;
	struct err e = { 0 };
	const char user[] = "<\xEF\xBD\x9CUser\xEF\xBD\x9C>", /* a control token of the model */
		grammar[] = "root ::= .{0,3} (@\"<\xEF\xBD\x9CUser\xEF\xBD\x9C>\" | \"!\") "
			    "\"<\xEF\xBD\x9CUser\xEF\xBD\x9C>\"";
	uint32_t named = 0, marker = 0;
	struct token_ids ids = { 0 };
	cr_assert_eq(engine_encode(m, user, strlen(user), true, false, &ids, &e), 0, "%s", e.text);
	cr_assert_eq(ids.count, 1);
	marker = ids.id[0];
	walk_open(&w, m);
	cr_assert_eq(constrain(&c, m, GRAMMAR_CALL, grammar, strlen(grammar), &e), 0, "%s",
		     e.text);
	struct engine_sampling s = { .temperature = 1, .constraint = c };
	for (s.seed = 0; s.seed < 200; s.seed++) {
		uint32_t count = 0;
		cr_assert(walk_answer(&w, &s, 60), "%s", w.e.text);
		for (size_t i = 0; i < w.ids.count; i++)
			count += w.ids.id[i] == marker;
		cr_assert(count <= 1 && w.ids.id[w.ids.count - 1] != marker);
		named += count;
	}
	cr_assert(named > 10 && named < 190, "%u", named);
	engine_constraint_close(c);
	token_ids_free(&ids);
	walk_close(&w);
	engine_close(m);
}

/* ---- steady state ---- */

/* Everything on at once; the constraint's cache has seen what comes. */
Test(engine_sampler, steady_state_allocates_nothing)
{
	struct bench b;
	struct engine_constraint *c;
	const char *const ban[] = { "the end", "xyz" };
	bench_open(&b);
	cr_assert_eq(constrain(&c, b.m, GRAMMAR_REGEX, "[a-z ]*", 7, &b.e), 0);
	const struct engine_sampling s = { .temperature = 1, .top_p = 0.9f, .repetition = 1.1f, .frequency = 0.1f,
		                           .constraint = c, .ban = ban, .ban_count = 2, .top_logprobs = 20 };
	struct engine_logprob top;
	size_t before = 0;
	bench_sampler(&b, &s, (const uint32_t[]){ 1, 2, 3 }, 3);
	for (uint32_t i = 0; i < 60; i++) {
		for (uint32_t k = 0; k < b.vocab; k++)
			b.logits[k] = (float)(noise(i * 31 + k) % 1000) / 100;
		b.logits[b.eos] = -9;
		if (i == 20)
			before = counting_calls();
		sampler_accept(b.sampler, bench_draw(&b, &top));
	}
	if (COUNTING)
		cr_expect_eq(counting_calls() - before, 0);
	sampler_close(b.sampler);
	b.sampler = NULL;
	engine_constraint_close(c);
	bench_close(&b);
}
