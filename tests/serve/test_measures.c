/* What is counted of requests: every number follows from the requests that were made. */
#include "tests/serve/support.h"

#include <string.h>

#define HITS "hallmark_rule_hits_total{model=\"m\",rule=\""

static struct served at;

static void setup(void) { served_open(&at, served_rules); }
static void teardown(void) { served_close(&at); }

TestSuite(serve_measures, .init = setup, .fini = teardown);

/* The value of a sample, -1 without one. */
static double sample(const char *name)
{
	struct buf text = { 0 };
	struct measure_writer w = { .out = &text };
	char wanted[200];
	double value = -1;
	serve_host_measure(at.host, &w);
	snprintf(wanted, sizeof wanted, "\n%s ", name);
	const char *line = text.len ? strstr(text.bytes, wanted) : NULL;
	if (line)
		value = strtod(line + strlen(wanted), NULL);
	buf_free(&text);
	return value;
}

static int say(const char *text, const char *content, struct serve_facts *facts)
{
	char body[300];
	struct serve_chat *c;
	struct api_piece piece;
	struct serve_caller by = { .handle = "someone", .facts = facts };
	struct err e = { 0 };
	script_say(at.script, text, 3);
	snprintf(body, sizeof body,
		 "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", content);
	int rc = serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), &by, &e);
	while (rc == 0 && (rc = serve_chat_next(c, &piece, &e)) == SERVE_TEXT)
		at.time_us += 20000;
	serve_chat_close(c);
	return rc;
}

Test(serve_measures, requests_are_counted_by_how_they_end_and_what_they_took)
{
	struct serve_facts facts = { 0 };
	cr_expect_eq(sample("hallmark_answers_total{model=\"m\",outcome=\"completed\"}"), 0);
	cr_assert_eq(say("good morning", "hi", &facts), SERVE_END);
	cr_assert_eq(say("a bomb here", "hi", NULL), SERVE_END);
	cr_assert_eq(say("some secret", "some tea", NULL), SERVE_END);
	cr_expect_eq(sample("hallmark_answers_total{model=\"m\",outcome=\"completed\"}"), 1);
	cr_expect_eq(sample("hallmark_answers_total{model=\"m\",outcome=\"blocked\"}"), 1);
	cr_expect_eq(sample("hallmark_answers_total{model=\"m\",outcome=\"redacted\"}"), 1);
	cr_expect_eq(sample("hallmark_requests_running{model=\"m\"}"), 0);
	cr_expect_eq(sample("hallmark_request_duration_seconds_count{model=\"m\"}"), 3);
	cr_expect_eq(sample("hallmark_prompt_tokens_total{model=\"m\"}"), 9, "3 each");
	cr_expect_eq(sample("hallmark_cached_tokens_total{model=\"m\"}"), 6, "2 each");
	cr_expect_eq(sample("hallmark_prefix_cache_hits_total{model=\"m\"}"), 3);
	cr_expect_eq(sample("hallmark_request_prompt_tokens_sum{model=\"m\"}"), 9);
	cr_expect_eq(sample("hallmark_completion_tokens_total{model=\"m\"}"),
		     sample("hallmark_request_completion_tokens_sum{model=\"m\"}"));
	cr_expect_eq(facts.completion_tokens, 4, "of twelve letters, three at a time");
	cr_expect_str_eq(facts.outcome, "completed");
	cr_expect_str_eq(facts.model, "m");
	cr_expect(facts.choices == 1 && strcmp(facts.finish[0], "stop") == 0);
	cr_expect(facts.whole_us >= 80000 && facts.first_us > 0 && facts.first_us <= facts.whole_us);
	cr_expect_eq(strncmp(facts.bundle, "sha256:", 7), 0);
	cr_expect_null(facts.rules);
}

/* One gap less than steps, of which the script has one for its end besides its tokens. */
Test(serve_measures, gaps_are_between_the_tokens_of_a_choice)
{
	cr_assert_eq(say("good morning", "hi", NULL), SERVE_END);
	cr_assert_eq(say("good morning", "hi", NULL), SERVE_END);
	double tokens = sample("hallmark_completion_tokens_total{model=\"m\"}");
	double gaps = sample("hallmark_time_per_output_token_seconds_count{model=\"m\"}");
	cr_expect_eq(gaps, tokens);
	cr_expect_float_eq(sample("hallmark_time_per_output_token_seconds_sum{model=\"m\"}"),
			   gaps * 0.02, 1e-9);
	cr_expect_eq(sample("hallmark_time_to_first_token_seconds_count{model=\"m\"}"), 2);
}

Test(serve_measures, hits_are_counted_by_rule_mode_and_action)
{
	struct serve_facts facts = { 0 };
	cr_assert_eq(say("a secret and a secret", "tea", &facts), SERVE_END);
	cr_expect_eq(sample(HITS "hide\",mode=\"enforce\",action=\"redact\"}"), 2);
	cr_expect_eq(sample(HITS "tea\",mode=\"enforce\",action=\"redact\"}"), 1);
	cr_expect_eq(sample("hallmark_interventions_total{model=\"m\"}"), 3);
	cr_expect_eq(json_integer_value(json_object_get(facts.rules, "hide")), 2);
	cr_expect_eq(json_integer_value(json_object_get(facts.rules, "tea")), 1);
	cr_expect_eq(json_object_size(facts.rules), 2);
	json_decref(facts.rules);
}

Test(serve_measures, a_request_that_is_none_is_not_counted_and_has_no_facts)
{
	struct serve_facts facts = { 0 };
	struct serve_chat *c;
	struct err e;
	struct serve_caller by = { .facts = &facts };
	cr_assert_lt(serve_chat_open(&c, at.host, API_CHAT, "{}", 2, &by, &e), 0);
	cr_expect_eq(facts.record[0], 0);
	cr_expect_eq(sample("hallmark_request_duration_seconds_count{model=\"m\"}"), 0);
}

Test(serve_measures, the_log_says_how_many_records_it_made_durable)
{
	double entries = sample("hallmark_log_entries"), appends = sample("hallmark_log_append_seconds_count");
	cr_expect_gt(sample("hallmark_log_checkpoint_timestamp_seconds"), 1795312344);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(say("good", "hi", NULL), SERVE_END);
	cr_expect_eq(sample("hallmark_log_entries"), entries + 3);
	cr_expect_eq(sample("hallmark_log_append_seconds_count"), appends + 3);
	cr_expect_eq(sample("hallmark_log_batch_records_sum"), sample("hallmark_log_append_seconds_count"));
	cr_expect_eq(sample("hallmark_log_waiting"), 0);
	cr_expect_eq(sample("hallmark_log_failed"), 0);
	cr_expect_gt(sample("hallmark_disk_free_bytes"), 0);
}
