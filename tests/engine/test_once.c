/* Answers with texts that must differ: masks are exactly what the exact automaton takes, and answers
 * of random logits come to their end. */
#include "support.h"
#include "walk.h"
#include "tests/shared/acceptor.h"

#include "engine/constraint.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *const grammars[] = {
	"root ::= \"[\" @scope( (@once(s) (\",\" \" \"? @once(s)){0,4})? ) \"]\"\n"
	"s ::= \"\\\"\" [a-e]{0,3} \"\\\"\"",
	"root ::= \"[\" @scope( @once(e) (\",\" @once(e)){2,3} ) \"]\"\n"
	"e ::= \"\\\"red\\\"\" | \"\\\"read\\\"\" | \"\\\"blue\\\"\" | \"7\"",
	"root ::= \"[\" @scope( @once(n) (\", \" @once(n)){1,6} ) \"]\"\nn ::= \"0\" | [1-9] [0-9]?",
	"root ::= l\nl ::= \"[\" @scope( (@once(i) (\",\" @once(i)){0,3})? ) \"]\"\ni ::= l | [1-4] | \"true\"",
	"root ::= \"{\" @scope( m (\",\" m){1,5} ) \"}\"\nm ::= @once(\"\\\"\" [ab]{0,2} \"\\\"\") \":\" [0-9]",
};

static void mask_check(const struct walk *w, struct engine_constraint *c, const struct acceptor *a)
{
	const struct engine_facts *f = engine_info(w->engine);
	uint64_t *mask = calloc(engine_constraint_words(c), sizeof *mask);
	struct constraint_place place = { 0 };
	struct constraint_state state;
	struct buf text = { 0 }, token = { 0 };
	struct err e = { 0 };
	for (uint32_t n = 0; n < w->ids.count; n++) {
		cr_assert_eq(engine_constraint_mask(c, &place, w->ids.id, n, mask, &state, &e), 0, "%s", e.text);
		cr_assert_eq(state.ends, acceptor_takes(a, text.bytes ? text.bytes : "", text.len, true));
		size_t before = text.len;
		for (uint32_t id = 0; id < f->tokens_real && n > 0; id++) {
			bool allowed = (mask[id / 64] >> id % 64 & 1) != 0;
			buf_clear(&token);
			if (engine_decode(w->engine, &id, 1, false, &token, NULL) < 0 || token.len == 0 ||
			    memchr(token.bytes, '\xEF', token.len) != NULL) /* a control token, or part of a character */
				continue;
			buf_add(&text, token.bytes, token.len);
			cr_assert_eq(acceptor_takes(a, text.bytes, text.len, false), allowed, "%u: %.*s", id,
				     (int)text.len, text.bytes);
			text.len = before;
		}
		cr_assert(mask[w->ids.id[n] / 64] >> w->ids.id[n] % 64 & 1);
		cr_assert_eq(engine_decode(w->engine, &w->ids.id[n], 1, false, &text, NULL), 0);
	}
	free(mask);
	buf_free(&text);
	buf_free(&token);
}

Test(engine_once, masks_are_exact_and_answers_complete, .timeout = 300)
{
	struct engine *m = open_model("demo/model", NULL, 1);
	struct walk w;
	walk_open(&w, m);
	for (size_t i = 0; i < sizeof grammars / sizeof grammars[0]; i++) {
		struct engine_constraint *c;
		struct acceptor a;
		struct err e = { 0 };
		size_t len = strlen(grammars[i]), done = 0;
		cr_assert_eq(constrain(&c, m, GRAMMAR_CALL, grammars[i], len, &e), 0, "%s", e.text);
		cr_assert_eq(acceptor_open(&a, GRAMMAR_CALL, grammars[i], len, &e), 0, "%s", e.text);
		for (uint32_t seed = 0; seed < 60; seed++) {
			struct engine_sampling s = { .temperature = 1, .seed = seed, .constraint = c };
			bool whole = walk_answer(&w, &s, 200);
			const char *text = w.text.bytes ? w.text.bytes : "";
			cr_assert_eq(w.rc, 0, "%s: %s after %s", grammars[i], w.e.text, text);
			cr_assert(acceptor_takes(&a, text, w.text.len, whole), "%s: %s", grammars[i], text);
			done += whole;
			if (seed % 20 == 0)
				mask_check(&w, c, &a);
		}
		cr_assert_gt(done, 50, "%s: %zu", grammars[i], done);
		engine_constraint_close(c);
		acceptor_close(&a);
	}
	walk_close(&w);
	engine_close(m);
}
