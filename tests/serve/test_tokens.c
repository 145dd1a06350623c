/* Which tokens may be named beside the text: those that went out whole and unchanged. */
#include "tests/serve/support.h"

#include <string.h>

#define LOGPROBS ",\"logprobs\":true,\"top_logprobs\":2"

static struct served at;

static void setup(void) { served_open(&at, served_rules); }
static void teardown(void) { served_close(&at); }

TestSuite(serve_tokens, .init = setup, .fini = teardown);

static struct said say(const struct script_step *step, size_t count, const char *more)
{
	memcpy(at.script->step, step, count * sizeof *step);
	at.script->steps = count;
	struct said x = served_say(&at, more);
	cr_assert_eq(x.rc, SERVE_END, "%s", x.err.text);
	return x;
}
#define SAY(steps, more) say(steps, sizeof steps / sizeof *steps, more)

Test(serve_tokens, tokens_of_what_was_redacted_are_not_named_in_any_cutting)
{
	static const char text[] = "one secret two";
	for (size_t piece = 1; piece < sizeof text; piece++) {
		script_say(at.script, text, piece);
		struct said x = served_say(&at, LOGPROBS);
		cr_expect_str_eq(text_of(&x.content[0]), "one [gone] two");
		char all[64] = "", *to = all;
		for (size_t i = 0; i < sizeof text - 1; i += piece) {
			size_t end = i + piece < sizeof text - 1 ? i + piece : sizeof text - 1;
			if (end <= 4 || i >= 10) /* "secret" is text[4..10) */
				to += sprintf(to, "%.*s|", (int)(end - i), text + i);
		}
		cr_expect_str_eq(text_of(&x.tokens[0]), all, "pieces of %zu", piece);
		said_free(&x);
	}
}

Test(serve_tokens, without_being_asked_for_none_is_named)
{
	script_say(at.script, "one two", 2);
	struct said x = served_say(&at, "");
	cr_expect_eq(x.tokens[0].len, 0);
	said_free(&x);
}

/* The alternatives of every token, likely ones. */
static void set_tops(const char *const *text)
{
	for (at.script->tops = 0; text[at.script->tops]; at.script->tops++) {
		int i = at.script->tops;
		at.script->top[i] =
			(struct answer_token){ (uint32_t)i, -1 - (float)i, text[i], strlen(text[i]) };
	}
}

Test(serve_tokens, alternatives_that_a_rule_would_touch_in_place_are_left_out)
{
	static const struct {
		const char *tops[5], *text;
		size_t piece;
		const char *tokens;
	} rows[] = {
		{ { "secret", "free", "bomb", "tree" }, "one two", 4, "one /free/tree|two|" },
		{ { "se", "so", "xx" }, "xxcret no", 2, "xx/so/xx|cr|et| n|o|" }, /* with what follows */
		{ { "a secret", "sec", "t", "" }, "s ret of the", 2, "s /t/|re|t |of| t|he|" },
		{ { "re", "" }, "one sec", 9, "one sec/re/|" },
		{ { "\xF0\x9F", "bom" }, "x", 1, "x/\xF0\x9F/bom|" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		set_tops(rows[i].tops);
		script_say(at.script, rows[i].text, rows[i].piece);
		struct said x = served_say(&at, LOGPROBS);
		cr_expect_str_eq(text_of(&x.tokens[0]), rows[i].tokens, "row %zu: %s", i,
				 text_of(&x.tokens[0]));
		said_free(&x);
	}
}

/* What a reader can put together is one alternative in the reach of a match, or text that was scanned. */
Test(serve_tokens, alternatives_are_named_once_in_the_reach_of_a_match)
{
	static const char *const tops[] = { "cr", "se", "et", NULL };
	struct buf text = { 0 };
	size_t width = filter_set_hold(at.service->bundle->profile->set[POLICY_CONTENT], 0);
	while (text.len < 3 * width)
		buf_add_text(&text, "wellwell well");
	set_tops(tops);
	script_say(at.script, text.bytes, 13);
	struct said x = served_say(&at, LOGPROBS);
	size_t named = 0, last = 0, offset = 0;
	for (char *save, *t = strtok_r(x.tokens[0].bytes, "|", &save); t; t = strtok_r(NULL, "|", &save)) {
		if (strchr(t, '/')) {
			cr_expect_str_eq(strchr(t, '/'), "/cr/se/et");
			cr_expect(named == 0 || offset - last >= width, "%zu, %zu", last, offset);
			last = offset + 13;
			named++;
		}
		offset += 13;
	}
	cr_expect_eq(offset, text.len);
	cr_expect(named > 1);
	said_free(&x);
	buf_free(&text);
}

/* A bracket of JSON that had no likely alternative does not count. */
Test(serve_tokens, in_json_alternatives_are_named_where_one_was_likely)
{
	static const char *const tops[] = { "ham", "sp", NULL };
	for (int likely = 0; likely < 2; likely++) {
		set_tops(tops);
		at.script->top[0].logprob = at.script->top[1].logprob = likely ? -3 : -20;
		script_say(at.script, "{\"a\":\"spam\"}", 3);
		struct said x = served_say(&at, ",\"response_format\":{\"type\":\"json_object\"}" LOGPROBS);
		cr_expect_str_eq(text_of(&x.tokens[0]),
				 likely ? "{\"a/ham/sp|\":\"|spa|m\"}|" : "{\"a|\":\"|spa|m\"}|");
		said_free(&x);
	}
}

Test(serve_tokens, tokens_of_reasoning_and_calls_are_none_of_the_content)
{
	static const struct script_step steps[] = { { .text = "hm", .part = REPLY_REASONING },
						    { .text = "say" },
						    { .text = "hm", .part = REPLY_REASONING },
						    { .text = " hm" } };
	struct said x = SAY(steps, LOGPROBS);
	cr_expect_str_eq(text_of(&x.tokens[0]), "say| hm|");
	said_free(&x);
}

/* The JSON of a demoted call is longer than what the model wrote of it. */
Test(serve_tokens, behind_a_demoted_call_the_places_in_the_content_are_right)
{
	static const struct script_step steps[] = { { .text = "f", .part = REPLY_CALL_NAME },
						    { .text = "{}", .part = REPLY_CALL_ARGUMENTS },
						    { .text = " one " },
						    { .text = "secret" },
						    { .text = " two" } };
	struct said x = SAY(steps, LOGPROBS);
	cr_expect_str_eq(text_of(&x.content[0]), "{\"name\": \"f\", \"arguments\": {}} one [gone] two");
	cr_expect_str_eq(text_of(&x.tokens[0]), " one | two|");
	said_free(&x);
}

Test(serve_tokens, once_tokens_do_not_spell_the_text_none_is_named)
{
	at.script->lost = true;
	script_say(at.script, "one two", 2);
	struct said x = served_say(&at, LOGPROBS);
	cr_expect_str_eq(text_of(&x.content[0]), "one two");
	cr_expect_eq(x.tokens[0].len, 0);
	said_free(&x);
}

/* Where tokens lie in the content when parts and tokens are cut differently. */
Test(serve_tokens, token_lies_in_the_content_only_whole)
{
	static const struct answer_place places[] = { { 0, 2 }, { 2, 5 }, { 5, 6 },
						      { 6, 6 }, { 6, 9 }, { 9, 12 } };
	struct serve_tokens t = { .wanted = true };
	struct answer_step step = { .place = places, .places = 6 };
	struct err e;
	cr_assert_eq(serve_tokens_take(&t, &step, &e), 0);
	serve_tokens_place(&t, 1, 0, 3); /* text[1..4) is content[0..3) */
	cr_expect_eq(t.placed_at, 1, "the second may still go on");
	serve_tokens_place(&t, 4, 3, 2); /* text[4..6) */
	serve_tokens_place(&t, 7, 5, 9); /* text[7..16): the byte between is not content */
	const struct serve_drawn *d = (const void *)t.drawn.bytes;
	static const uint64_t content[] = { UINT64_MAX, 1, 4, UINT64_MAX, UINT64_MAX, 7 };
	cr_assert_eq(t.placed_at, 6);
	for (size_t i = 0; i < 6; i++)
		cr_expect_eq(d[i].content, content[i], "token %zu: %zu", i, (size_t)d[i].content);
	buf_free(&t.drawn);
}

/* Rules that only flag withhold nothing: every token has its alternatives. */
Test(serve_flagging, flags_hide_no_alternatives)
{
	static const char rules[] =
		"[policy]\nname = \"flag\"\nversion = 1\nmode = \"enforce\"\n[[rule]]\nid = \"f\"\n"
		"phase = [\"output\"]\nmatch = { literals = [\"two\"] }\naction = \"flag\"\n"
		"tests.hit = [\"two\", \"a two\", \"two b\"]\ntests.miss = [\"a\", \"b\", \"c\"]\n";
	static const char *const tops[] = { "two", "one", NULL };
	struct served flagging;
	served_open(&flagging, rules);
	for (int i = 0; i < 2; i++)
		flagging.script->top[i] = (struct answer_token){ (uint32_t)i, -1, tops[i], 3 };
	flagging.script->tops = 2;
	script_say(flagging.script, "one two", 4);
	struct said x = served_say(&flagging, LOGPROBS);
	cr_expect_str_eq(text_of(&x.tokens[0]), "one /two/one|two/two/one|");
	said_free(&x);
	served_close(&flagging);
}
