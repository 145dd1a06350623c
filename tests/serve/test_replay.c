/* The engine as an answerer, and its recorded answers run again. */
#include "base/build.h"
#include "serve/replay.h"
#include "serve/engine_answer.h"
#include "tests/audit/by_hand.h"
#include "tests/serve/support.h"

#include <string.h>

static struct served at;
static struct serve_host *host;
static struct serve_service *engine; /* of it */

static void setup(void)
{
	struct serve_options o = { .ref = "demo/model", .model_name = "m", .unsigned_ok = true };
	struct err e = { 0 };
	served_open(&at, NULL);
	cr_assert_eq(serve_host_open(&host, at.flow, &e), 0, "%s", e.text);
	cr_assert_eq(serve_host_add(host, &o, &e), 0, "%s", e.text);
	engine = serve_host_at(host, 0);
}

static void teardown(void)
{
	serve_host_close(host);
	served_close(&at);
}

TestSuite(serve_replay, .init = setup, .fini = teardown);

/* A chat with the engine to its end; the index of its record. */
static uint64_t say(const char *more, struct said *x)
{
	struct serve_host *script = at.host;
	at.host = host;
	*x = served_say(&at, more);
	at.host = script;
	cr_assert_eq(x->rc, SERVE_END, "%s", x->err.text);
	return audit_log_size(at.flow->log) - 1;
}

static json_t *replay(uint64_t index, const struct serve_replay_options *o)
{
	json_t *report;
	struct err e = { 0 };
	cr_assert_eq(serve_replay(at.flow, index, o, &report, &e), 0, "%s", e.text);
	return report;
}

static const struct serve_replay_options same = { .ref = "demo/model", .unsigned_ok = true };

Test(serve_replay, recorded_answers_come_the_same_again)
{
	static const char *const rows[] = {
		",\"max_tokens\":12,\"seed\":3",
		",\"max_tokens\":12,\"temperature\":1.5,\"seed\":-1",
		",\"max_tokens\":8,\"n\":2,\"temperature\":1.3",
		",\"max_tokens\":20,\"guided_regex\":\"[a-z]{5}\",\"logprobs\":true,\"top_logprobs\":2",
		",\"max_tokens\":9,\"stop\":[\"e\"],\"logit_bias\":{\"100\":-100}",
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct said x;
		uint64_t size = audit_log_size(at.flow->log), index = say(rows[i], &x);
		cr_expect_eq(index, size);
		cr_expect_str_eq(served_field(&at, "backend"), "\"engine\"");
		cr_expect(strstr(served_field(&at, "device"), "{\"backend\":\"cpu\","));
		json_t *report = replay(index, &same);
		cr_expect(json_is_true(json_object_get(report, "equal")), "%s", rows[i]);
		cr_expect_eq(json_integer_value(json_object_get(report, "first_token")), -1);
		cr_expect_str_eq(json_string_value(json_object_get(report, "regime")), "cpu/1");
		cr_expect_str_eq(json_string_value(json_object_get(report, "verdict")), "equal");
		cr_expect_str_eq(json_string_value(json_object_get(report, "build_recorded")), build_id());
		cr_expect_eq(json_integer_value(json_object_get(report, "tokens")),
			     json_integer_value(json_object_get(x.result, "completion_tokens")));
		cr_expect_eq(audit_log_size(at.flow->log), index + 1, "nothing is recorded");
		json_decref(report);
		said_free(&x);
	}
}

Test(serve_replay, another_seed_is_named_as_the_first_difference)
{
	struct said x;
	uint64_t index = say(",\"max_tokens\":16,\"temperature\":2,\"seed\":3", &x);
	struct serve_replay_options other = same;
	other.has_seed = true;
	other.seed = 4;
	json_t *report = replay(index, &other);
	cr_expect(json_is_false(json_object_get(report, "equal")));
	cr_expect_str_eq(json_string_value(json_object_get(report, "first_difference")),
			 "sampling");
	cr_expect_geq(json_integer_value(json_object_get(report, "first_token")), 0);
	json_decref(report);
	said_free(&x);
}

/* What answered computes as no machine of ours does, and kept its ids all the same. */
Test(serve_replay, another_regime_is_named_and_nothing_is_run)
{
	struct said x = served_say(&at, "");
	cr_assert_eq(x.rc, SERVE_END, "%s", x.err.text);
	uint64_t index = audit_log_size(at.flow->log) - 1;
	/* no model is opened: there is none of this name */
	struct serve_replay_options nowhere = { .ref = "/nowhere" };
	json_t *report = replay(index, &nowhere);
	cr_expect_str_eq(json_string_value(json_object_get(report, "verdict")), "other regime");
	cr_expect(json_is_false(json_object_get(report, "equal")));
	cr_expect_str_eq(json_string_value(json_object_get(report, "regime")), "cpu/1");
	cr_expect_str_eq(json_string_value(json_object_get(report, "first_difference")), "kernel_regimes");
	cr_expect(json_is_null(json_object_get(report, "first_token")));
	cr_expect(json_is_null(json_object_get(report, "finish_reason")));
	const json_t *row = json_array_get(json_object_get(report, "differences"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(row, "recorded")), "[\"script/1\"]");
	cr_expect_str_eq(json_string_value(json_object_get(row, "found")), "[\"cpu/1\"]");
	cr_expect_eq(json_array_size(json_object_get(report, "differences")), 1);
	json_decref(report);
	said_free(&x);
}

/* Records of before regimes had names hold the word for the numerics. */
static const struct { const char *was; bool runs; } names[] = {
	{ "canonical", true }, { "cpu/1", true }, { "fast", false }, { "cpu/2", false },
	{ "cpu-fast-bf16/1", false }, { "cpu-fast-bf16/2", false }, { "cpu-fast-int8/1", false },
	{ "cuda/1", false }, { "cuda-fast/1", false }, { "canonical/1", false },
};

static const char *posed;

static void posing_model(const void *self, struct answer_model *out)
{
	serve_engine_answerer.model(self, out);
	out->regime = posed;
}

Test(serve_replay, the_regime_of_a_record_decides_whether_it_can_be_run)
{
	struct said x;
	struct answerer posing = serve_engine_answerer;
	posing.model = posing_model;
	engine->who = &posing;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		posed = names[i].was;
		uint64_t index = say(",\"max_tokens\":3,\"seed\":3", &x);
		json_t *report = replay(index, &same);
		cr_expect_str_eq(json_string_value(json_object_get(report, "verdict")),
		                 names[i].runs ? "equal" : "other regime", "%s", names[i].was);
		json_decref(report);
		said_free(&x);
	}
	engine->who = &serve_engine_answerer;
}

/* The bundle of the record, kept under its digest, needs tables that are not here. */
Test(serve_replay, a_policy_that_only_a_newer_program_takes_is_no_difference)
{
	struct said x;
	json_t *report;
	struct err e = { 0 };
	struct buf bundle = { 0 };
	char digest[DIGEST_TEXT_ROOM], path[LIMIT_PATH_BYTES + 100];
	const char *text = temp_path(&at.temp, "p.toml");
	cr_assert_eq(file_write_durable(text, served_rules, strlen(served_rules), 0600, &e), 0);
	cr_assert_eq(flow_policy_compile(text, &bundle, &e), 0, "%s", e.text);
	cr_assert_eq(policy_load(&engine->bundle->profile, bundle.bytes, bundle.len, &e), 0, "%s", e.text);
	char *tables = strstr(bundle.bytes, "\"tables\":2}");
	cr_assert(tables);
	tables[strlen("\"tables\":")] = '9';
	engine->bundle->profile->bundle = digest_of(bundle.bytes, bundle.len);
	digest_text(&engine->bundle->profile->bundle, digest);
	snprintf(path, sizeof path, "%s/policy/%s.bundle", at.flow->home, digest + strlen("sha256:"));
	cr_assert_eq(file_write_durable(path, bundle.bytes, bundle.len, 0644, &e), 0, "%s", e.text);
	uint64_t index = say(",\"max_tokens\":3", &x);
	cr_expect_eq(serve_replay(at.flow, index, &same, &report, &e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "cannot be replayed here") && strstr(e.text, "needs tables 9"), "%s", e.text);
	said_free(&x);
	buf_free(&bundle);
}

static void newer_model(const void *self, struct answer_model *out)
{
	serve_engine_answerer.model(self, out);
	out->packed = "q3";
}

Test(serve_replay, words_that_only_a_newer_program_knows_are_no_difference)
{
	struct said x;
	struct answerer newer = serve_engine_answerer;
	json_t *report;
	struct err e = { 0 };
	newer.model = newer_model;
	engine->who = &newer;
	uint64_t index = say(",\"max_tokens\":3", &x);
	engine->who = &serve_engine_answerer;
	cr_expect_eq(serve_replay(at.flow, index, &same, &report, &e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "cannot be replayed here") && strstr(e.text, "weights q3"), "%s", e.text);
	said_free(&x);
}

Test(serve_replay, only_decisions_of_which_something_was_kept_can_be_replayed)
{
	json_t *report;
	struct err e = { 0 };
	cr_expect_eq(serve_replay(at.flow, 0, &same, &report, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "genesis"), "%s", e.text);
	cr_expect_lt(serve_replay(at.flow, 9999, &same, &report, &e), 0);
}

Test(serve_replay, text_ids_and_tokens_of_the_engine_fit_together)
{
	struct said x;
	say(",\"max_tokens\":5,\"seed\":3,\"logprobs\":true", &x);
	char *bare = strdup(text_of(&x.tokens[0])), *to = bare;
	for (const char *from = bare; *from; from++)
		if (*from != '|')
			*to++ = *from;
	*to = 0;
	cr_expect_str_eq(bare, text_of(&x.content[0]));
	cr_expect_eq(json_integer_value(json_object_get(x.result, "completion_tokens")), 5);
	cr_expect_str_eq(json_string_value(json_object_get(x.result, "finish_reason")), "length");
	free(bare);
	said_free(&x);
}

Test(serve_replay, request_beyond_the_context_is_refused_and_recorded)
{
	struct buf b = { 0 };
	struct serve_chat *c;
	struct err e = { 0 };
	buf_add_text(&b, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"");
	for (int i = 0; i < 20000; i++)
		buf_add_text(&b, "word ");
	buf_add_text(&b, "\"}]}");
	cr_expect_eq(serve_chat_open(&c, host, API_CHAT, b.bytes, b.len, NULL, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "maximum context length is"), "%s", e.text);
	cr_expect_str_eq(served_field(&at, "scans")[0] == '[' ? "list" : "none", "list");
	cr_expect_str_eq(served_retained(&at, "request"), "null");
	cr_expect_str_neq(served_field(&at, "prompt_count"), "0");
	buf_free(&b);
}

/* The recorded decision again, with `drop` fields fewer at its end, or one more. */
static uint64_t say_again(uint64_t index, size_t drop, bool more)
{
	json_t *plain, *fields = json_object(), *f;
	struct err e = { 0 };
	size_t i;
	cr_assert_eq(audit_vault_read(at.flow->log, index, &plain, &e), 0, "%s", e.text);
	const json_t *list = json_object_get(plain, "fields");
	json_array_foreach(list, i, f)
		if (i + drop < json_array_size(list))
			json_object_set(fields, json_string_value(json_object_get(f, "name")),
					json_object_get(f, "value"));
	if (more)
		json_object_set_new(fields, "a_later_field", json_pack("{s:i}", "x", 1));
	uint64_t made =
		hand_append(at.flow->log, "decision", fields, json_object_get(plain, "retained"));
	json_decref(fields);
	json_decref(plain);
	return made;
}

Test(serve_replay, a_record_with_fewer_or_more_fields_than_are_known_is_replayed_over_the_fewer)
{
	struct said x;
	uint64_t index = say(",\"max_tokens\":8,\"seed\":3", &x);
	static const struct {
		size_t drop;
		bool more;
	} rows[] = { { 0, false }, { 0, true }, { 1, false }, { 6, false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t made = say_again(index, rows[i].drop, rows[i].more);
		json_t *report = replay(made, &same);
		cr_expect(json_is_true(json_object_get(report, "equal")), "row %zu: %s", i,
			  json_dumps(json_object_get(report, "differences"), 0));
		json_decref(report);
	}
	said_free(&x);
}
