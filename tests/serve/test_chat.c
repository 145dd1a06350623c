/* A request's way: admission, errors at each step, cancellation, deadlines; every way out leaves a record. */
#include "serve/count.h"
#include "tests/serve/support.h"

#include "base/build.h"

#include <string.h>

static struct served at;

static void setup(void) { served_open(&at, served_rules); }
static void teardown(void) { served_close(&at); }

TestSuite(serve_chat, .init = setup, .fini = teardown);

static const char *outcome(void)
{
	static char out[32];
	json_t *entry = served_last(&at);
	const char *s = json_string_value(json_object_get(entry, "outcome"));
	snprintf(out, sizeof out, "%s", s ? s : "");
	json_decref(entry);
	return out;
}

static uint64_t log_size(void) { return audit_log_size(at.flow->log); }

Test(serve_chat, answer_is_recorded_with_who_answered_and_what_went_out)
{
	script_say(at.script, "a secret", 3);
	struct said x = served_say(&at, ",\"seed\":5,\"temperature\":0");
	cr_assert_eq(x.rc, SERVE_END, "%s", x.err.text);
	cr_expect_str_eq(outcome(), "redacted");
	cr_expect_str_eq(served_field(&at, "backend"), "\"script\"");
	cr_expect_str_eq(served_field(&at, "client"), "\"someone\"");
	cr_expect_str_eq(served_field(&at, "kernel_regimes"), "[\"script/1\"]");
	cr_expect_str_eq(served_field(&at, "tokenizer"), "null");
	char build[160];
	snprintf(build, sizeof build, "\"%s\"", build_id());
	cr_expect_str_eq(served_field(&at, "engine_build"), build);
	cr_expect_str_eq(served_field(&at, "output_count"), "3");
	cr_expect_str_eq(served_field(&at, "policy_mode"), "\"enforce\"");
	cr_expect_str_eq(served_retained(&at, "output"), "\"a [gone]\"");
	cr_expect_str_eq(served_retained(&at, "seed"), "\"5\"");
	struct digest d = digest_of("a [gone]", 8);
	char hex[DIGEST_TEXT_ROOM], quoted[DIGEST_TEXT_ROOM + 2];
	digest_text(&d, hex);
	snprintf(quoted, sizeof quoted, "\"%s\"", hex);
	cr_expect_str_eq(served_field(&at, "emitted_bytes_digest"), quoted);
	const json_t *mark = json_object_get(x.result, "hallmark");
	cr_expect_eq(json_integer_value(json_object_get(mark, "index")), (json_int_t)log_size() - 1);
	cr_expect_str_eq(json_string_value(json_object_get(mark, "record")), x.record);
	cr_expect_eq(json_integer_value(json_object_get(x.result, "cached_tokens")), 2);
	cr_expect_eq(json_integer_value(json_object_get(x.result, "completion_tokens")), 3);
	said_free(&x);
	cr_expect(at.script->opened == 1 && at.script->closed == 1);
}

Test(serve_chat, request_that_is_none_leaves_no_record_and_asks_nobody)
{
	static const struct {
		const char *body;
		int code;
	} rows[] = {
		{ "{", ERR_INPUT },
		{ "{\"model\":\"m\"}", ERR_INPUT },
		{ "{\"model\":\"other\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
		  ERR_NOTFOUND },
		{ "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"audio\":{}}",
		  ERR_UNSUPPORTED }
	};
	uint64_t before = log_size();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct serve_chat *c;
		struct err e = { 0 };
		cr_expect_eq(serve_chat_open(&c, at.host, API_CHAT, rows[i].body, strlen(rows[i].body), NULL, &e),
			     rows[i].code, "row %zu: %s", i, e.text);
		cr_expect_null(c);
	}
	cr_expect_eq(log_size(), before);
	cr_expect_eq(at.script->opened, 0);
}

static int open_by(const char *body, const struct serve_caller *by, struct err *e)
{
	struct serve_chat *c;
	int rc = serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), by, e);
	serve_chat_close(c);
	return rc;
}

Test(serve_chat, prompt_of_more_bytes_than_the_context_can_hold_leaves_no_record_and_asks_nobody)
{
	static const struct {
		const char *text; /* behind the model */
		size_t bytes;
	} rows[] = {
		{ "\"messages\":[{\"role\":\"user\",\"content\":\"0123456789\"}]", 10 },
		{ "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"01234\"},"
		  "{\"type\":\"text\",\"text\":\"6789\"}]}]",
		  10 },
		{ "\"messages\":[{\"role\":\"user\",\"content\":\"01\"},{\"role\":\"assistant\",\"content\":\"\","
		  "\"reasoning_content\":\"it is not counted\"},{\"role\":\"user\",\"content\":\"\"}]",
		  2 },
		{ "\"messages\":[{\"role\":\"user\",\"content\":\"\"}],\"tools\":[{\"type\":\"function\",\"function\":"
		  "{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"required\":[\"abc\"]}}}]",
		  8 + 1 + 6 + 3 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char body[512];
		struct err e = { 0 };
		uint64_t before = log_size();
		unsigned opened = at.script->opened;
		snprintf(body, sizeof body, "{\"model\":\"m\",%s}", rows[i].text);
		at.script->prompt_bytes_max = rows[i].bytes;
		cr_expect_eq(open_by(body, NULL, &e), 0, "row %zu: %s", i, e.text);
		cr_expect_eq(at.script->opened, opened + 1);
		before = log_size();
		at.script->prompt_bytes_max = rows[i].bytes - 1;
		cr_expect_eq(open_by(body, NULL, &e), ERR_INPUT, "row %zu", i);
		cr_expect_str_eq(e.kind, "context_length_exceeded");
		cr_expect_eq(log_size(), before);
		cr_expect_eq(at.script->opened, opened + 1);
	}
}

Test(serve_chat, what_is_only_counted_is_judged_by_its_bytes_before_it_is_read)
{
	static const char body[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"0123456789\"}]}";
	const struct serve_service *s = serve_host_find(at.host, "m");
	for (int over = 0; over < 2; over++) {
		/* nothing here can be counted, and what is too long is not tried */
		int wanted = over ? ERR_INPUT : ERR_UNSUPPORTED;
		struct err e = { 0 };
		struct buf ids = { 0 };
		uint64_t tokens;
		at.script->prompt_bytes_max = over ? 9 : 10;
		cr_expect_eq(serve_chat_count(at.host, API_CHAT, body, strlen(body), NULL, &tokens, &e), wanted,
			     "%s", e.text);
		cr_expect(!over || (e.kind && strcmp(e.kind, "context_length_exceeded") == 0));
		cr_expect_eq(serve_encode(s, "0123456789", 10, true, true, &ids, &e), wanted, "%s", e.text);
		cr_expect(!over || (strcmp(e.kind, "context_length_exceeded") == 0 && strcmp(e.at, "prompt") == 0));
		buf_free(&ids);
	}
}

static void count_reads(void *ctx) { ++*(int *)ctx; }

Test(serve_chat, opening_ends_when_the_client_is_gone_and_its_record_says_aborted)
{
	static const char body[] = "{\"model\":\"m\",\"guided_regex\":\"a\",\"messages\":[{\"role\":\"user\","
				   "\"content\":\"hi\"}]}";
	struct aside_job job = { 0 };
	int reads = 0;
	struct serve_caller by = { .job = &job, .was_read = count_reads, .was_read_ctx = &reads };
	struct err e = { 0 };
	cr_expect_eq(open_by(body, &by, &e), 0, "%s", e.text);
	cr_expect_eq(reads, 1);
	aside_cancel(&job);
	cr_expect_eq(open_by(body, &by, &e), ERR_UNAVAILABLE);
	cr_expect_str_eq(outcome(), "aborted");
	cr_expect_eq(reads, 2);
	cr_expect_eq(at.script->opened, 1);
}

Test(serve_chat, answer_that_cannot_be_opened_is_recorded_with_the_choices_that_were_begun)
{
	for (unsigned begun = 0; begun < 3; begun++) {
		at.script->open_error = ERR_UNAVAILABLE;
		at.script->open_choices = begun;
		struct said x = served_say(&at, ",\"n\":3");
		cr_expect_eq(x.rc, ERR_UNAVAILABLE);
		cr_expect_str_eq(x.err.text, "opening was told to fail");
		cr_expect_str_eq(outcome(), "error");
		cr_expect_str_eq(served_field(&at, "finish_reason"), "[\"error\",\"error\",\"error\"]");
		const char *scans = served_field(&at, "scans");
		unsigned found = 0;
		while ((scans = strstr(scans, "\"phase\":\"content\"")))
			scans++, found++;
		cr_expect_eq(found, begun);
		bool kept = strstr(served_retained(&at, "request"), "\"content\\\":\\\"hi");
		cr_expect_eq(kept, begun > 0, "%s", served_retained(&at, "request"));
		cr_expect_str_eq(served_retained(&at, "not_kept"),
				 begun ? "null" : "\"it was refused before an answer began\"");
		said_free(&x);
	}
	cr_expect_eq(at.script->closed, 3);
}

Test(serve_chat, who_asks_is_recorded_by_the_handle_alone_and_shares_by_what_is_known)
{
	static const struct {
		struct serve_caller by;
		const char *client, *shares;
	} rows[] = { { { .token = "tok_1", .handle = "h", .share = "::1" }, "\"h\"", "tok_1" },
		     { { .handle = "h", .share = "::1" }, "\"h\"", "h" },
		     { { .share = "::1" }, "null", "::1" },
		     { { 0 }, "null", "" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static const char body[] =
			"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
		struct serve_chat *c;
		struct said x = { 0 };
		struct err e = { 0 };
		cr_assert_eq(serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), &rows[i].by, &e), 0, "%s",
			     e.text);
		cr_expect_str_eq(at.script->asked.client, rows[i].shares);
		said_run(&x, c);
		serve_chat_close(c);
		cr_expect_str_eq(served_field(&at, "client"), rows[i].client);
		said_free(&x);
	}
}

Test(serve_chat, a_person_is_recorded_by_a_handle_and_sealed_under_a_key_of_their_own)
{
	static const char body[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
	static const struct serve_caller by[] = { { .subject = "alice" },
						  { .subject = "alice", .handle = "other" },
						  { .subject = "bob" },
						  { .person = "handle:00112233445566778899aabbccddeeff", .subject = "bob" },
						  { 0 } };
	char subject[5][64];
	uint64_t count;
	struct err e = { 0 };
	for (size_t i = 0; i < 5; i++) {
		struct serve_chat *c;
		struct said x = { 0 };
		cr_assert_eq(serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), &by[i], &e), 0, "%s", e.text);
		said_run(&x, c);
		serve_chat_close(c);
		snprintf(subject[i], sizeof subject[i], "%s", served_field(&at, "subject"));
		said_free(&x);
	}
	cr_expect_str_eq(subject[0], subject[1], "the person, whoever passes them on");
	cr_expect_str_neq(subject[0], subject[2]);
	cr_expect(!strstr(subject[0], "alice"));
	cr_expect_str_eq(subject[3], "\"handle:00112233445566778899aabbccddeeff\"");
	cr_expect_str_eq(subject[4], "null");
	char handle[AUDIT_HANDLE_ROOM];
	cr_assert_eq(audit_subject_handle(at.flow->log, "alice", handle, &e), 0);
	cr_assert_eq(audit_subject_count(at.flow->log, handle, &count, &e), 0);
	cr_expect_eq(count, 2);
	/* Their records are erased, others' are not. */
	struct flow_erase q = { .subject = "alice", .ground = "request", .actor = "dpo" };
	json_t *report = NULL, *gone = NULL;
	cr_assert_eq(flow_audit_erase(at.flow, &q, &report, &e), 0, "%s", e.text);
	cr_expect_eq(json_integer_value(json_object_get(report, "records")), 2);
	cr_expect_eq(audit_subject_count(at.flow->log, handle, &count, &e), 0);
	cr_expect_eq(count, 0);
	uint64_t last = audit_log_size(at.flow->log) - 3; /* before the erasure and who asked for it */
	cr_expect_eq(audit_vault_read(at.flow->log, last, &gone, &e), 0);
	json_decref(gone);
	cr_expect_eq(audit_vault_read(at.flow->log, last - 4, &gone, &e), ERR_NOTFOUND);
	cr_expect_eq(audit_vault_read(at.flow->log, last - 3, &gone, &e), ERR_NOTFOUND);
	json_decref(report);
	cr_expect_eq(flow_audit_erase(at.flow, &q, &report, &e), ERR_NOTFOUND, "there is nothing more");
}

Test(serve_chat, a_name_that_is_none_is_refused_before_anything_is_recorded)
{
	static const char body[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
	static const char *const bad[] = { "", "a\nb", "a\x7f", "\xff", "\xc0\x80" };
	uint64_t size = audit_log_size(at.flow->log);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct serve_chat *c = NULL;
		struct err e = { 0 };
		struct serve_caller by = { .subject = bad[i] };
		cr_expect_eq(serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), &by, &e), ERR_INPUT, "%zu", i);
	}
	cr_expect_eq(audit_log_size(at.flow->log), size);
}

Test(serve_chat, few_places_are_for_answers_that_say_how_short_they_are)
{
	static const struct {
		const char *more;
		int rc;
	} rows[] = { { "", ERR_UNAVAILABLE },
		     { ",\"max_tokens\":65", ERR_UNAVAILABLE },
		     { ",\"max_tokens\":64", 0 },
		     { ",\"max_tokens\":33,\"n\":2", ERR_UNAVAILABLE },
		     { ",\"max_tokens\":32,\"n\":2", 0 } };
	uint64_t size = audit_log_size(at.flow->log);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char body[200];
		struct serve_caller by = { .tokens_most = 64 };
		struct serve_chat *c = NULL;
		struct err e = { 0 };
		snprintf(body, sizeof body,
			 "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s}",
			 rows[i].more);
		cr_expect_eq(serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), &by, &e), rows[i].rc, "%s: %s",
			     rows[i].more, e.text);
		serve_chat_close(c);
	}
	cr_expect_eq(audit_log_size(at.flow->log), size + 2, "what was refused has no number");
}

static int64_t day_us, steady_us;
static int64_t day(void *ctx) { return (void)ctx, day_us; }
static int64_t steady(void *ctx) { return (void)ctx, steady_us; }
static void jump(void *ctx, unsigned choice, size_t step)
{
	(void)ctx, (void)choice;
	day_us += step % 2 ? -7200000000 : 3600000000;
	steady_us += 1000000;
}

Test(serve_chat, a_clock_that_jumps_ends_no_chat_and_is_in_no_duration)
{
	char wanted[100];
	day_us = at.time_us + 1000000;
	steady_us = day_us; /* as the clock with which the log was opened */
	at.env.clock = (struct clock){ .now_us = day, .steady_us = steady };
	script_say(at.script, "abcdef", 1);
	at.script->at_step = jump;
	snprintf(wanted, sizeof wanted, "{\"admitted_us\":%lld,\"ended_us\":%lld}", (long long)day_us,
		 (long long)day_us + 7000000);
	struct said x = served_say(&at, "");
	cr_expect_eq(x.rc, SERVE_END, "%s", x.err.text);
	cr_expect_str_eq(served_field(&at, "timing"), wanted);
	said_free(&x);
	script_say(at.script, "abcdefghijklmn", 1);
	x = served_say(&at, "");
	cr_expect_eq(x.rc, ERR_UNAVAILABLE, "14 seconds are over the limit of 10");
	said_free(&x);
}

Test(serve_chat, error_at_any_step_ends_the_chat_after_what_had_gone_out)
{
	script_say(at.script, "uvwxyz", 1);
	for (size_t k = 0; k < 6; k++) {
		at.script->step[k].error = ERR_IO;
		struct said x = served_say(&at, "");
		cr_expect_eq(x.rc, ERR_IO);
		cr_expect_eq(x.content[0].len, k);
		cr_expect_str_eq(outcome(), "error");
		cr_expect_str_eq(served_field(&at, "finish_reason"), "\"error\"");
		cr_expect_eq(strlen(served_retained(&at, "output")), k + 2);
		said_free(&x);
		at.script->step[k].error = 0;
	}
}

struct canceller {
	struct serve_chat *chat;
	size_t at;
};

static void cancel_at(void *ctx, unsigned choice, size_t step)
{
	struct canceller *x = ctx;
	(void)choice;
	if (step == x->at)
		serve_chat_cancel(x->chat);
}

Test(serve_chat, cancelled_chat_fails_at_once_and_its_record_says_aborted)
{
	struct canceller x = { .at = 2 };
	struct said said = { 0 };
	struct err e = { 0 };
	script_say(at.script, "uvwxyz", 1);
	cr_assert_eq(served_chat(&at, "", &x.chat, &e), 0, "%s", e.text);
	at.script->at_step = cancel_at;
	at.script->ctx = &x;
	said_run(&said, x.chat);
	cr_expect_eq(said.rc, ERR_UNAVAILABLE);
	cr_expect_str_eq(text_of(&said.content[0]), "uv");
	cr_expect_eq(at.script->cancelled, 1);
	cr_expect_str_eq(outcome(), "aborted");
	uint64_t size = log_size();
	serve_chat_close(x.chat);
	cr_expect_eq(log_size(), size, "closing adds no second record");
	said_free(&said);
}

Test(serve_chat, chat_closed_before_its_end_is_aborted_with_what_had_gone_out)
{
	struct serve_chat *c;
	struct api_piece piece;
	struct err e = { 0 };
	script_say(at.script, "uv sec", 1);
	cr_assert_eq(served_chat(&at, "", &c, &e), 0, "%s", e.text);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(serve_chat_next(c, &piece, &e), SERVE_TEXT);
	serve_chat_close(c);
	cr_expect_str_eq(outcome(), "aborted");
	cr_expect_str_eq(served_retained(&at, "output"), "\"uv\"");
	cr_expect(strstr(served_field(&at, "scans"), "\"end\":\"disconnected\""));
	serve_chat_close(NULL);
}

Test(serve_chat, deadline_goes_by_the_steady_clock_and_is_told_to_the_answerer)
{
	script_say(at.script, "uvwxyz", 1);
	at.script->time_us = &at.time_us;
	at.script->step_us = 4000000;
	int64_t begun = at.time_us;
	struct said x = served_say(&at, "");
	cr_expect_eq(x.rc, ERR_UNAVAILABLE);
	cr_expect_str_eq(x.err.text, "the request's deadline has passed");
	cr_expect_eq(at.script->asked.deadline_us, begun + 10000000);
	cr_expect_str_eq(text_of(&x.content[0]), "uvw");
	cr_expect_str_eq(outcome(), "error");
	said_free(&x);
	at.script->step_us = 1000000;
	x = served_say(&at, "");
	cr_expect_eq(x.rc, SERVE_END, "%s", x.err.text);
	said_free(&x);
}

Test(serve_chat, drained_service_lets_running_chats_end_and_takes_no_others)
{
	struct serve_chat *c;
	struct said x = { 0 };
	struct err e = { 0 };
	script_say(at.script, "uvw", 1);
	cr_assert_eq(served_chat(&at, "", &c, &e), 0, "%s", e.text);
	json_decref(served_operate(&at, "pause"));
	struct said refused = served_say(&at, "");
	cr_expect_eq(refused.rc, ERR_UNAVAILABLE);
	said_run(&x, c);
	cr_expect_eq(x.rc, SERVE_END, "%s", x.err.text);
	serve_chat_close(c);
	said_free(&x);
}

Test(serve_chat, choices_take_turns_and_the_record_has_a_value_for_each)
{
	script_say(at.script, "uvw", 1);
	struct said x = served_say(&at, ",\"n\":3");
	cr_expect_str_eq(text_of(&x.order), "012012012");
	cr_expect_eq(json_array_size(json_object_get(x.result, "finish_reasons")), 3);
	cr_expect_eq(json_integer_value(json_object_get(x.result, "completion_tokens")), 9);
	said_free(&x);
	cr_expect_str_eq(served_field(&at, "output_count"), "[3,3,3]");
	cr_expect_str_eq(served_field(&at, "finish_reason"), "[\"stop\",\"stop\",\"stop\"]");
	cr_expect_str_eq(served_retained(&at, "output"), "[\"uvw\",\"uvw\",\"uvw\"]");
}

Test(serve_chat, seed_is_the_requests_or_one_that_was_drawn_and_is_recorded)
{
	struct said x = served_say(&at, ""), y = served_say(&at, "");
	json_int_t a = json_integer_value(json_object_get(x.result, "seed")),
		   b = json_integer_value(json_object_get(y.result, "seed"));
	cr_expect(a > 0 && b > 0 && a != b);
	cr_expect_eq(at.script->asked.seed, b);
	said_free(&x);
	said_free(&y);
}

/* A reader whose numbers are doubles loses nothing of it; and it has all the bits that it may. */
Test(serve_chat, a_drawn_seed_is_below_2_to_the_53)
{
	json_int_t all = 0;
	for (int i = 0; i < 12; i++) {
		struct said x = served_say(&at, "");
		json_int_t seed = json_integer_value(json_object_get(x.result, "seed"));
		char text[32];
		cr_expect(seed >= 0 && seed < (json_int_t)1 << 53, "%lld", (long long)seed);
		snprintf(text, sizeof text, "\"%lld\"", (long long)seed);
		cr_expect_str_eq(served_retained(&at, "seed"), text);
		all |= seed;
		said_free(&x);
	}
	cr_expect_gt(all, (json_int_t)1 << 52);
}

Test(serve_chat, a_seed_that_is_asked_for_is_kept_and_told_as_it_is)
{
	static const char *const seeds[] = { "0", "9007199254740991", "9007199254740993",
					     "9223372036854775807", "-1", "-9223372036854775808" };
	for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
		char more[64], want[32];
		snprintf(more, sizeof more, ",\"seed\":%s", seeds[i]);
		snprintf(want, sizeof want, "\"%s\"", seeds[i]);
		struct said x = served_say(&at, more);
		json_int_t seed = json_integer_value(json_object_get(x.result, "seed"));
		snprintf(more, sizeof more, "%lld", (long long)seed);
		cr_expect_str_eq(more, seeds[i]);
		cr_expect_str_eq(served_retained(&at, "seed"), want);
		said_free(&x);
	}
}

Test(serve_chat, record_that_cannot_be_made_leaves_a_lost_one_with_its_number)
{
	static const char body[] =
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
	struct serve_chat *c;
	struct said x = { 0 };
	struct err e = { 0 };
	cr_assert_eq(serve_chat_open(&c, at.host, API_CHAT, body, strlen(body),
				     &(struct serve_caller){ .handle = "\xff" }, &e), 0, "%s", e.text);
	said_run(&x, c);
	cr_expect_lt(x.rc, 0);
	serve_chat_close(c);
	json_t *entry = served_last(&at);
	cr_expect_str_eq(json_string_value(json_object_get(entry, "type")), "lost");
	cr_expect_eq(json_integer_value(json_object_get(entry, "n")), atoi(strchr(x.record, '/') + 1));
	json_decref(entry);
	said_free(&x);
	x = served_say(&at, "");
	cr_expect_eq(x.rc, SERVE_END, "and the next is recorded: %s", x.err.text);
	said_free(&x);
}
