/* The queue of cleared pieces: copies, in order, with their tokens. */
#include "serve/completion.h"

#include <criterion/criterion.h>
#include <string.h>

static struct cleared cleared_of(const char *s, uint64_t begin)
{
	return (struct cleared){ s, strlen(s), begin, begin + strlen(s) };
}

static void put(struct serve_queue *q, unsigned choice, enum api_part part, unsigned call, const char *s,
		bool more)
{
	struct err e;
	char copy[64];
	snprintf(copy, sizeof copy, "%s", s);
	struct cleared t = cleared_of(copy, 10);
	cr_assert_eq(serve_queue_text(q, choice, part, call, &t, more, &e), 0);
	memset(copy, 'x', sizeof copy); /* what came in was borrowed */
}

static void expect_piece(struct serve_queue *q, unsigned choice, enum api_part part, unsigned call,
			 const char *s)
{
	struct api_piece p;
	struct err e;
	cr_assert_eq(serve_queue_take(q, &p, &e), 1, "%s", s);
	cr_expect(p.choice == choice && p.part == part && p.call == call, "%s", s);
	cr_expect(p.text.len == strlen(s) && memcmp(p.text.bytes, s, p.text.len) == 0, "%s", s);
	cr_expect_eq(p.text.source_begin, 10);
}

Test(serve_queue, pieces_come_out_as_they_went_in)
{
	struct serve_queue q = { 0 };
	struct api_piece p;
	struct err e;
	cr_expect_eq(serve_queue_take(&q, &p, &e), 0);
	put(&q, 0, API_CONTENT, 0, "one", false);
	put(&q, 1, API_REASONING, 0, "two", false);
	expect_piece(&q, 0, API_CONTENT, 0, "one");
	put(&q, 2, API_CALL_NAME, 3, "three", false);
	expect_piece(&q, 1, API_REASONING, 0, "two");
	expect_piece(&q, 2, API_CALL_NAME, 3, "three");
	cr_expect_eq(serve_queue_take(&q, &p, &e), 0);
	put(&q, 0, API_CONTENT, 0, "", false);
	expect_piece(&q, 0, API_CONTENT, 0, "");
	serve_queue_free(&q);
}

Test(serve_queue, more_of_a_text_joins_the_piece_before_it)
{
	struct serve_queue q = { 0 };
	struct api_piece p;
	struct err e;
	put(&q, 0, API_CALL_NAME, 1, "na", false);
	put(&q, 0, API_CALL_NAME, 1, "me", true);
	expect_piece(&q, 0, API_CALL_NAME, 1, "name");
	cr_expect_eq(serve_queue_take(&q, &p, &e), 0);
	put(&q, 0, API_CALL_NAME, 1, "alone", true); /* there is none to join */
	expect_piece(&q, 0, API_CALL_NAME, 1, "alone");
	serve_queue_free(&q);
}

static void add_token(struct serve_queue *q, const char *s, int tops)
{
	static const char *const top[] = { "t0", "t1", "t2" };
	struct err e;
	struct cleared t = cleared_of(s, 3);
	cr_assert_eq(serve_queue_add_token(q, &t, (float)strlen(s), 0, &e), 0);
	for (int i = 0; i < tops; i++) {
		t = cleared_of(top[i], 0);
		cr_assert_eq(serve_queue_add_top(q, &t, (float)-i, &e), 0);
	}
}

Test(serve_queue, tokens_and_alternatives_belong_to_the_piece_before_them)
{
	struct serve_queue q = { 0 };
	struct api_piece p;
	struct err e;
	put(&q, 0, API_CONTENT, 0, "one two", false);
	add_token(&q, "one", 2);
	add_token(&q, " two", 0);
	put(&q, 0, API_CONTENT, 0, "three", false);
	add_token(&q, "three", 3);
	cr_assert_eq(serve_queue_take(&q, &p, &e), 1);
	cr_assert_eq(p.token_count, 2);
	cr_expect(p.token[0].top_count == 2 && p.token[1].top_count == 0 && p.token[1].top == NULL);
	cr_expect_eq(memcmp(p.token[1].text.bytes, " two", 4), 0);
	cr_expect_eq(memcmp(p.token[0].top[1].text.bytes, "t1", 2), 0);
	cr_expect_float_eq(p.token[0].top[1].logprob, -1, 0);
	cr_assert_eq(serve_queue_take(&q, &p, &e), 1);
	cr_assert_eq(p.token_count, 1);
	cr_expect_eq(memcmp(p.token[0].top[2].text.bytes, "t2", 2), 0);
	cr_expect_float_eq(p.token[0].logprob, 5, 0);
	put(&q, 0, API_CONTENT, 0, "four", false); /* all was taken: what was is forgotten */
	cr_assert_eq(serve_queue_take(&q, &p, &e), 1);
	cr_expect_eq(p.token_count, 0);
	cr_expect_lt(q.text.len, 8);
	serve_queue_free(&q);
}
