/* Out of memory at any allocation: tests/shared/press.h. */
#include "support.h"
#include "engine/pass.h"
#include "tests/shared/counting.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

#define MODEL "demo/model"
#define HYBRID "tests/vectors/oracles/bailing_hybrid" /* recurrent layers */

static int run_model(const struct work *w, struct err *e)
{
	struct engine_options o = { .threads = 2, .quiet = true, .cache_bytes = MIB(4) };
	struct engine *m = NULL;
	struct engine_session *s = NULL;
	struct engine_constraint *c = NULL;
	struct token_ids ids = { 0 };
	struct engine_chat chat = { .messages = w->more, .generation_prompt = true };
	static const char schema[] = "{\"type\": \"object\", \"required\": [\"a\"]}";
	static const char *const never[] = { "rule", "zz" };
	int rc = engine_open(&m, (struct source *)w->text, &o, e);
	if (rc == 0)
		rc = engine_chat_encode(m, &chat, NULL, &ids, e);
	if (rc == 0)
		rc = constrain(&c, m, GRAMMAR_SCHEMA, schema, strlen(schema), e);
	struct engine_request q = { .prompt = ids.id, .count = ids.count, .speculation = 2,
		                    .sampling = { .tokens_max = 5, .temperature = 1, .top_p = 0.9f, .logprobs = true,
		                                  .top_logprobs = 2, .stop = never, .stop_count = 1, .ban = never + 1,
		                                  .ban_count = 1, .constraint = c } };
	const char *text;
	size_t len;
	if (rc == 0)
		rc = engine_session_open(&s, m, &q, e);
	while (rc >= 0 && (rc = engine_session_next(s, &text, &len, e)) == ENGINE_GOING)
		buf_add(&press_answer, text, len);
	engine_session_close(s);
	engine_constraint_close(c);
	token_ids_free(&ids);
	engine_close(m);
	return rc < 0 ? rc : 0;
}

Test(engine_pressure, a_model_from_its_files_to_an_answer)
{
	struct memory_source m;
	json_t *messages = json_pack("[{s:s,s:s}]", "role", "user", "content", "Who are you?");
	memory_load(&m, MODEL);
	press("a model", &(struct work){ run_model, &m.source, 0, messages });
	json_decref(messages);
	memory_free(&m);
}

/* Slots of state, snapshots and drafts too. */
static int run_hybrid(const struct work *w, struct err *e)
{
	struct engine_options o = { .threads = 2, .quiet = true, .cache_bytes = MIB(4) };
	struct engine *m = NULL;
	struct engine_session *s = NULL;
	uint32_t prompt[80];
	for (uint32_t i = 0; i < 80; i++)
		prompt[i] = i % 5;
	const struct engine_request q = { .prompt = prompt, .count = 80, .speculation = 2,
		.sampling = { .tokens_max = 5, .ignore_eos = true } };
	const char *text;
	size_t len, count;
	int rc = engine_open(&m, (struct source *)w->text, &o, e);
	if (rc == 0)
		rc = engine_session_open(&s, m, &q, e);
	while (rc >= 0 && (rc = engine_session_next(s, &text, &len, e)) == ENGINE_GOING)
		;
	const uint32_t *id = rc >= 0 ? engine_session_ids(s, &count) : NULL;
	if (id)
		buf_add(&press_answer, id, count * sizeof *id);
	engine_session_close(s);
	engine_close(m);
	return rc < 0 ? rc : 0;
}

Test(engine_pressure, a_hybrid_from_its_files_to_an_answer)
{
	struct memory_source m;
	memory_load(&m, HYBRID);
	press("a hybrid", &(struct work){ run_hybrid, &m.source, 0, NULL });
	memory_free(&m);
}

/* A pass that failed leaves nothing behind: the same feed goes through once there is memory. */
static void check_again(const char *dir)
{
	static const uint32_t token[] = { 1, 2, 3, 4, 5 };
	const struct engine_options o = { .threads = 1, .quiet = true, .cache_bytes = MIB(4) };
	struct memory_source src;
	struct err e = { 0 };
	bool fell = COUNTING;
	memory_load(&src, dir);
	for (size_t nth = 1; fell; nth++) {
		struct engine *m;
		struct engine_sequence *s;
		cr_assert_eq(engine_open(&m, &src.source, &o, &e), 0, "%s", e.text);
		cr_assert_eq(engine_sequence_open(&s, m, 64, &e), 0, "%s", e.text);
		float *logits = malloc(engine_info(m)->vocab * sizeof *logits);
		const struct engine_feed feed = { .sequence = s, .token = token, .count = 5, .logits = logits };
		counting_fail(nth);
		int rc = engine_forward(m, &feed, 1, &e);
		fell = counting_failed();
		counting_fail(0);
		cr_expect_eq(rc, fell ? ERR_NOMEM : 0, "allocation %zu: %d", nth, rc);
		cr_expect_eq(engine_sequence_length(s), fell ? 0 : 5, "allocation %zu", nth);
		if (fell)
			cr_expect_eq(engine_forward(m, &feed, 1, &e), 0, "allocation %zu: %s", nth, e.text);
		engine_sequence_close(s);
		engine_close(m);
		free(logits);
	}
	memory_free(&src);
}

Test(engine_pressure, a_pass_can_be_asked_for_again)
{
	if (!COUNTING)
		cr_skip_test("the sanitizer brings its own malloc");
	check_again(MODEL);
	check_again(HYBRID);
}
