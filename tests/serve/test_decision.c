/* A decision is a value: filled by hand it becomes the fields that the log's table wants. */
#include "filters/filters.h"
#include "serve/decision.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct digest zero;

static struct api_request request;
static struct decision d;

static void setup(void)
{
	static const char body[] =
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
	struct err e;
	cr_assert_eq(api_request_parse(API_CHAT, body, strlen(body), &request, &e), 0);
	d = (struct decision){ .client = "",
			       .body_digest = &zero,
			       .asked = &request,
			       .seed = INT64_MIN,
			       .signer = "",
			       .build = "b",
			       .backend = "upstream",
			       .shape = "chat",
			       .mode = "off",
			       .interventions = json_array(),
			       .outcome = "completed" };
	for (unsigned i = 0; i < API_CHOICES; i++)
		d.choice[i] = (struct decision_choice){ "stop", zero, json_string("said") };
}

static void teardown(void)
{
	json_decref((json_t *)d.interventions);
	serve_decision_free(&d);
	api_request_free(&request);
}

TestSuite(serve_decision, .init = setup, .fini = teardown);

/* It is what its value, read, is written as. */
static void expect_canonical(const char *text)
{
	struct buf again = { 0 };
	json_t *value;
	struct err e;
	cr_assert_eq(json_read_written(&value, text, strlen(text), 1 << 20, 32, &e), 0, "%s: %s", text,
		     e.text);
	cr_assert_eq(json_write_canonical(value, &again, NULL), 0);
	cr_expect_str_eq(text, again.bytes);
	json_decref(value);
	buf_free(&again);
}

/* The field's canonical text, until the next call. */
static const char *field(const char *name)
{
	static char out[4096];
	struct decision_fields f;
	struct err e;
	cr_assert_eq(serve_decision_fields(&d, &f, &e), 0, "%s", e.text);
	snprintf(out, sizeof out, "(none)");
	for (size_t i = 0; i < f.count; i++) {
		expect_canonical(f.text[i]);
		if (strcmp(f.field[i].name, name) == 0)
			snprintf(out, sizeof out, "%s", f.text[i]);
	}
	serve_decision_fields_free(&f);
	return out;
}

Test(serve_decision, fields_are_those_of_the_logs_table_in_its_order)
{
	const char *const *names = audit_type_find("decision")->field;
	struct decision_fields f;
	struct err e;
	cr_assert_eq(serve_decision_fields(&d, &f, &e), 0, "%s", e.text);
	for (size_t i = 0; i < f.count; i++)
		cr_expect_str_eq(f.field[i].name, names[i]);
	cr_expect_null(names[f.count]);
	serve_decision_fields_free(&f);
}

Test(serve_decision, what_an_upstream_does_not_know_is_null)
{
	static const char *const absent[] = { "subject",          "client",         "model_root",
					      "model_signer",     "tokenizer",      "template",
					      "kernel_set",       "kernel_regimes", "policy_bundle",
					      "constraint",       "weights_format", "prompt_count",
					      "output_count",     "routing_digest", "logits_digest",
					      "prompt_ids_digest", "conversation", "upstream",
					      "verdicts", "shadow", "device", "ended" };
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
		cr_expect_str_eq(field(absent[i]), "null", "%s", absent[i]);
	cr_expect_str_eq(field("backend"), "\"upstream\"");
}

Test(serve_decision, says_by_whom_and_why_an_answer_ended_early)
{
	d.ended_by = "client";
	cr_expect_str_eq(field("ended"), "{\"by\":\"client\",\"reason\":null}");
	d.ended_by = "operator";
	d.ended_why = "drill";
	cr_expect_str_eq(field("ended"), "{\"by\":\"operator\",\"reason\":\"drill\"}");
}

Test(serve_decision, route_and_device_say_what_was_asked_and_what_computed)
{
	static const struct digest library = { { 1 } };
	cr_expect_str_eq(field("route"), "{\"shape\":\"chat\"}");
	d.model.device.backend = "cpu";
	cr_expect_str_eq(field("device"),
			 "{\"backend\":\"cpu\",\"driver\":null,\"library_digest\":null,\"name\":null}");
	d.model.device.name = "Some CPU";
	d.model.device.library = &library;
	cr_expect(strstr(field("device"), "\"name\":\"Some CPU\"") &&
			  strstr(field("device"), "\"library_digest\":\"sha256:01000000"),
		  "%s", field("device"));
}

Test(serve_decision, ids_are_digested_as_u32_little_endian)
{
	static const uint32_t id[] = { 1, 0x01020304 };
	struct digest want = digest_of("\1\0\0\0\4\3\2\1", 8);
	char text[DIGEST_TEXT_ROOM], quoted[DIGEST_TEXT_ROOM + 2];
	digest_text(&want, text);
	snprintf(quoted, sizeof quoted, "\"%s\"", text);
	d.model.knows_ids = true;
	d.answer = (struct answer_facts){ .prompt = id, .prompt_count = 2, .choices = 1 };
	d.answer.choice[0] = (struct answer_choice_facts){ .id = id, .count = 2 };
	cr_expect_str_eq(field("prompt_ids_digest"), quoted);
	cr_expect_str_eq(field("output_ids_digest"), quoted);
	cr_expect_str_eq(field("output_count"), "2");
}

Test(serve_decision, weights_format_is_the_files_unless_something_else_was_asked_for)
{
	d.model = (struct answer_model){ .matrices = "bf16", .packed = "stored", .cache = "f32" };
	cr_expect_str_eq(field("weights_format"), "\"bf16\"");
	d.model.cache = "int8";
	cr_expect_str_eq(field("weights_format"),
			 "{\"cache\":\"int8\",\"matrices\":\"bf16\",\"packed\":\"stored\"}");
	d.model = (struct answer_model){ .matrices = "q8", .packed = "q8", .cache = "f32" };
	cr_expect_str_eq(field("weights_format"),
			 "{\"cache\":\"f32\",\"matrices\":\"q8\",\"packed\":\"q8\"}");
}

Test(serve_decision, sampling_names_later_parameters_only_where_they_have_an_effect)
{
	cr_expect_str_eq(field("sampling"),
			 "{\"max_tokens\":0,\"min_p\":0,\"seed\":\"-9223372036854775808\",\"stop\":[],"
			 "\"temperature\":1,\"top_k\":0,\"top_p\":1,\"watermark\":null}");
	request.frequency = 0.5;
	request.repetition = 2;
	request.ignore_eos = true;
	request.logprobs = true;
	request.top_logprobs = 0;
	request.tokens_min = 1;
	request.hides_reasoning = true;
	d.from_model = json_pack("[s]", "top_p");
	const char *s = field("sampling");
	cr_expect(strstr(s, "\"frequency_penalty\":0.5") && strstr(s, "\"repetition_penalty\":2") &&
			  strstr(s, "\"ignore_eos\":true") && strstr(s, "\"top_logprobs\":0"),
		  "%s", s);
	cr_expect(!strstr(s, "presence_penalty") && !strstr(s, "\"n\""), "%s", s);
	json_decref((json_t *)d.from_model);
}

/* What would be kept, until the next call. */
static const char *kept(void)
{
	static char out[4096];
	struct buf b = { 0 };
	struct err e;
	cr_assert_eq(serve_decision_retained(&d, &b, &e), 0, "%s", e.text);
	snprintf(out, sizeof out, "%s", b.bytes ? b.bytes : "null");
	expect_canonical(out);
	buf_free(&b);
	return out;
}

Test(serve_decision, several_choices_are_lists_and_one_is_none)
{
	cr_expect_str_eq(field("finish_reason"), "\"stop\"");
	request.n = 3;
	d.choice[1].finish_reason = "length";
	cr_expect_str_eq(field("finish_reason"), "[\"stop\",\"length\",\"stop\"]");
	cr_expect_str_eq(field("logits_digest"), "[null,null,null]");
	cr_expect(strstr(kept(), "\"output\":[\"said\",\"said\",\"said\"],\"output_ids\":[[],[],[]]"),
		  "%s", kept());
}

Test(serve_decision, only_what_may_be_kept_is_kept)
{
	cr_expect(strstr(kept(), "\"request\":null") && strstr(kept(), "\"not_kept\":null"));
	d.not_kept = "a reason";
	cr_expect(strstr(kept(), "\"not_kept\":\"a reason\""), "%s", kept());
	d.request = json_string("asked");
	cr_expect(strstr(kept(), "\"request\":\"asked\"") && strstr(kept(), "\"output_ids\":[]"));
	d.hides_ids = true;
	cr_expect(strstr(kept(), "\"output_ids\":null"), "%s", kept());
	cr_expect_str_eq(field("output_ids_digest"), "null");
	cr_expect(!strstr(kept(), "prompt_ids"));
	d.keeps_nothing = true;
	cr_expect_str_eq(kept(), "null");
	d.body_digest = NULL;
	cr_expect_str_eq(field("request_bytes_digest"), "null");
}

Test(serve_decision, constraint_and_kwargs_stand_as_they_were_asked_for)
{
	d.answer.has_constraint = true;
	d.answer.constraint_field = "guided_regex";
	request.template_kwargs = json_pack("{s:b}", "enable_thinking", 1);
	cr_expect(strstr(field("constraint"), "\"from\":\"guided_regex\""));
	cr_expect_str_eq(field("template_kwargs"), "{\"clock\":\"created\",\"enable_thinking\":true}");
}

/* As text, each member at its place: with all that a scan may say, and two lists joined. */
Test(serve_decision, scans_are_canonical_text)
{
	static const struct filter_finding found[] = {
		{ 3, 9, FILTER_REDACT, "mail \"quoted\"", "email", 7 },
		{ 12, 13, FILTER_NOTICE, "seen", "", 0 },
	};
	static const struct filter_record records[] = {
		{ .seen = 20, .scanned = 20, .released = 20, .emitted_bytes = 21, .end = FILTER_COMPLETE,
		  .finding = found, .findings = 2 },
		{ .seen = 4, .ill_formed = 1, .hold_bound = 64, .end = FILTER_BLOCKED, .end_offset = 2 },
		{ .seen = 9, .scanned = 9, .released = 9, .end = FILTER_COMPLETE, .finding = found,
		  .findings = 1, .shadow = true },
	};
	const struct serve_scan where[] = { { .phase = "input", .index = 2, .before = 1 },
					    { .phase = "tool_results", .member = "arguments", .item = 3 },
					    { .phase = "content" } };
	struct serve_notes notes[2] = { 0 };
	struct err e;
	for (int i = 0; i < 2; i++)
		cr_assert_eq(serve_notes_init(&notes[i], i, &e), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(serve_notes_add(&notes[i > 0], &where[i], &records[i], &e), 0, "%s", e.text);
	cr_assert_eq(serve_notes_join(&notes[0], &notes[1], &e), 0);
	cr_expect_eq(notes[0].scan_count, 3);
	d.scans = &notes[0].scans;
	json_t *list, *written;
	const char *text = field("scans"); /* which has seen that it is canonical */
	cr_assert_eq(json_read_written(&list, text, strlen(text), 1 << 20, 32, &e), 0);
	cr_assert_eq(json_array_size(list), 3);
	written = json_array_get(list, 0);
	cr_expect_eq(json_integer_value(json_object_get(written, "before")), 1);
	cr_expect_eq(json_array_size(json_object_get(written, "withheld")), 1);
	cr_expect_eq(json_array_size(json_object_get(written, "emitted")), 2);
	written = json_array_get(list, 1);
	cr_expect(json_is_null(json_object_get(written, "seen_digest")), "it was blocked, and is discreet");
	cr_expect_eq(json_integer_value(json_object_get(written, "offset")), 2);
	cr_expect_eq(json_integer_value(json_object_get(written, "item")), 3);
	written = json_array_get(list, 2);
	cr_expect_eq(json_array_size(json_object_get(written, "withheld")), 0, "a shadow withholds nothing");
	json_decref(list);
	/* And read again from a record, as a replay does. */
	struct serve_notes again = { 0 };
	cr_assert_eq(serve_notes_init(&again, true, &e), 0);
	cr_assert_eq(json_read_written(&list, text, strlen(text), 1 << 20, 32, &e), 0);
	cr_assert_eq(serve_notes_add_given(&again, list, notes[0].interventions, &e), 0);
	cr_expect_eq(again.scan_count, 3);
	cr_expect(again.scans.len == notes[0].scans.len &&
		  memcmp(again.scans.bytes, notes[0].scans.bytes, again.scans.len) == 0);
	json_decref(list);
	d.scans = NULL;
	serve_notes_free(&again);
	for (int i = 0; i < 2; i++)
		serve_notes_free(&notes[i]);
}
