/* What is served stands in the log; receipts of earlier answers; services that do not open. */
#include "tests/serve/support.h"

#include <string.h>

static struct served at;

static void setup(void) { served_open(&at, served_rules); }
static void teardown(void) { served_close(&at); }

TestSuite(serve_service, .init = setup, .fini = teardown);

static json_t *entry_of(uint64_t index)
{
	struct buf text = { 0 };
	json_t *entry;
	cr_assert_eq(audit_log_entry(at.flow->log, index, &text, NULL), 0);
	cr_assert_eq(json_read(&entry, text.bytes, text.len, text.len, 32, NULL), 0);
	buf_free(&text);
	return entry;
}

Test(serve_service, log_says_which_policy_and_which_model_are_served_before_any_answer)
{
	static const char *const types[] = { "genesis", "start", "bundle", "config" };
	for (uint64_t i = 0; i < 4; i++) {
		json_t *entry = entry_of(i);
		cr_expect_str_eq(json_string_value(json_object_get(entry, "type")), types[i]);
		const json_t *body = json_object_get(entry, "body");
		if (i == 2) {
			cr_expect_str_eq(json_string_value(json_object_get(body, "mode")), "enforce");
			const json_t *changed = json_array_get(json_object_get(body, "overrides"), 0);
			cr_expect_eq(json_array_size(json_object_get(body, "overrides")), 1);
			cr_expect_str_eq(json_string_value(json_object_get(changed, "rule")), "pii-eu/*");
			cr_expect_str_eq(json_string_value(json_object_get(changed, "reason")), "tested elsewhere");
			cr_expect(json_is_false(json_object_get(json_object_get(changed, "set"), "enabled")));
		}
		if (i == 3)
			cr_expect_str_eq(json_string_value(json_object_get(body, "model")), "m");
		json_decref(entry);
	}
	cr_expect_str_eq(serve_service_model(at.service), "m");
	cr_expect_eq(serve_service_created(at.service), 1795312345);
}

Test(serve_service, receipt_of_an_answer_is_found_by_either_name_and_other_records_are_none)
{
	struct said x = served_say(&at, "");
	const char *slash = strchr(x.record, '/');
	char id[160], other[160];
	struct buf proof = { 0 };
	struct err e = { 0 };
	snprintf(id, sizeof id, "chatcmpl-%.*s-%s", (int)(slash - x.record), x.record, slash + 1);
	cr_expect_eq(serve_host_receipt(at.host, x.record, &proof, &e), 0, "%s", e.text);
	cr_expect_eq(strncmp(proof.bytes, "c2sp.org/tlog-proof@v1\n", 23), 0);
	buf_clear(&proof);
	cr_expect_eq(serve_host_receipt(at.host, id, &proof, &e), 0, "%s", e.text);
	snprintf(other, sizeof other, "%.*s/0", (int)(slash - x.record), x.record); /* the start record */
	static const char *const none[] = { "", "x", "chatcmpl-", "chatcmpl-a-b", "0000/99", "a/-1" };
	cr_expect_eq(serve_host_receipt(at.host, other, &proof, &e), ERR_NOTFOUND);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		cr_expect_eq(serve_host_receipt(at.host, none[i], &proof, &e), ERR_NOTFOUND, "%s",
			     none[i]);
	said_free(&x);
	buf_free(&proof);
}

Test(serve_service, policy_that_cannot_be_read_opens_no_service_and_frees_the_answerer)
{
	struct serve_options o = { .ref = "script", .policy = "/nowhere/policy.toml" };
	struct serve_service *s;
	struct err e = { 0 };
	cr_expect_lt(serve_service_open_answerer(&s, at.flow, &o, &script_answerer, at.script, &e), 0);
	cr_expect_null(s);
	cr_expect_eq(at.script->freed, 1);
	serve_service_close(NULL);
}

Test(serve_service, unsigned_folder_is_served_only_where_that_is_allowed)
{
	struct serve_options o = { .ref = "demo/model", .model_name = "m" };
	struct serve_service *s;
	struct err e = { 0 };
	cr_expect_lt(serve_service_open(&s, at.flow, &o, &e), 0);
	cr_expect(strstr(e.text, "--unsigned"), "%s", e.text);
	o.unsigned_ok = true;
	o.context_max = 1u << 30;
	cr_expect_eq(serve_service_open(&s, at.flow, &o, &e), ERR_INPUT, "%s", e.text);
	cr_expect(strstr(e.text, "the model takes"), "%s", e.text);
	o.context_max = 0;
	o.compute.weights = "q9";
	cr_expect_eq(serve_service_open(&s, at.flow, &o, &e), ERR_USAGE, "%s", e.text);
	cr_expect_null(s);
}
