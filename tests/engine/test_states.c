/* Where snapshots of recurrent state are made, and whose memory they take. That answers stay the same is
 * proved in test_scheduler.c. */
#include "recalling_backend.h"
#include "support.h"

#include <criterion/criterion.h>
#include <string.h>

#define DEMO "demo/model"

static struct engine *recalling(struct engine_options o)
{
	return open_model_with(DEMO, o, recalling_open);
}

/* Tokens that a prompt of 200, the first `same` of them those of all such prompts, found computed. */
static uint32_t cached_of_branch(struct engine *m, uint32_t same, uint32_t kind)
{
	struct engine_request q = request_of(200, 1);
	struct err e = { 0 };
	for (uint32_t i = same; i < q.count; i++)
		long_prompt[i] = 3 + (i * 31 + kind * 101) % 1900;
	struct engine_session *s = must_open(m, &q);
	cr_assert_geq(next_of(s, &e), 0, "%s", e.text);
	uint32_t found = engine_session_cached(s);
	engine_session_close(s);
	return found;
}

/* Recurrent layers: pages alone are no prefix. Where a second text parts from a first one the state is
 * saved, and a third finds it. */
Test(engine_states, a_state_is_saved_where_texts_part)
{
	struct engine_load load;
	struct engine *m = recalling((struct engine_options){ .threads = 2 });
	cr_expect_eq(cached_of_branch(m, 150, 1), 0);
	cr_expect_eq(cached_of_branch(m, 150, 2), 0);
	cr_expect_eq(cached_of_branch(m, 150, 3), 128);
	cr_expect_eq(cached_of_branch(m, 150, 2), 192, "the same again");
	cr_expect_eq(cached_of_branch(m, 70, 4), 0);
	cr_expect_eq(cached_of_branch(m, 70, 5), 64);
	engine_load(m, &load);
	cr_expect_eq(load.snapshots, 7, "%u: five ends of prompts, two places", (uint32_t)load.snapshots);
	engine_close(m);
}

/* Of two that come together the later one waits for the state where they part. */
Test(engine_states, a_state_is_saved_for_one_that_waits_for_it)
{
	struct engine *m = recalling((struct engine_options){ .threads = 1 });
	struct engine_request q = request_of(1500, 1);
	struct err e = { 0 };
	uint32_t other[1500];
	memcpy(other, q.prompt, sizeof other);
	for (uint32_t i = 1100; i < 1500; i++)
		other[i] ^= 1;
	struct engine_session *a = must_open(m, &q);
	q.prompt = other;
	struct engine_session *b = must_open(m, &q);
	cr_assert_geq(next_of(a, &e), 0, "%s", e.text);
	cr_assert_geq(next_of(b, &e), 0, "%s", e.text);
	cr_expect_eq(engine_session_cached(a), 0);
	cr_expect_eq(engine_session_cached(b), 1088);
	engine_session_close(a);
	engine_session_close(b);
	engine_close(m);
}

/* Half of the memory is slots of state; what does not hold one and a page is refused. */
Test(engine_states, memory_of_states_is_part_of_the_caches)
{
	struct engine_load load;
	struct source *src;
	struct engine *m;
	struct err e = { 0 };
	recalling_pages = 5;
	m = recalling((struct engine_options){ .threads = 1, .cache_bytes = MIB(64), .batch_max = 2 });
	engine_load(m, &load);
	uint64_t page = load.state_bytes / 5;
	cr_expect(strstr(engine_info(m)->notes, "memory for 8 states") != NULL, "%s", engine_info(m)->notes);
	cr_expect(load.states == 8 && load.cache_pages == (MIB(64) - 8 * load.state_bytes) / page, "%u %llu",
	          (uint32_t)load.states, (unsigned long long)load.cache_pages);
	engine_close(m);
	struct engine_options o = { .threads = 1, .quiet = true, .cache_bytes = 23 * page };
	m = recalling(o);
	engine_load(m, &load);
	cr_expect(load.states == 2 && load.cache_pages == 13);
	engine_close(m);
	o.cache_bytes = 6 * page - 1;
	cr_assert_eq(source_open_folder(&src, DEMO, &e), 0, "%s", e.text);
	cr_expect_eq(engine_open_with(&m, src, &o, recalling_open, &e), ERR_NOMEM);
	cr_expect(strstr(e.text, "recurrent state") != NULL, "%s", e.text);
	source_close(src);
}
