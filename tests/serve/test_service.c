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

static int receipt(const char *id, const char *client, bool any, struct buf *proof)
{
	struct err e = { 0 };
	buf_clear(proof);
	int rc = serve_host_receipt(at.host, id, &(struct serve_reader){ client, any }, proof, &e);
	if (rc < 0)
		cr_expect_str_eq(e.text, "no such receipt", "strangers learn nothing");
	return rc;
}

Test(serve_service, a_receipt_is_for_who_holds_the_id_who_asked_and_who_may_read_any)
{
	struct serve_caller by = { .handle = "tok_one" };
	struct serve_chat *c;
	struct api_piece piece;
	struct err e = { 0 };
	struct buf proof = { 0 };
	static const char body[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
	cr_assert_eq(serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), &by, &e), 0, "%s", e.text);
	while (serve_chat_next(c, &piece, &e) == SERVE_TEXT)
		;
	char id[200], record[120], other[200];
	snprintf(id, sizeof id, "%s", serve_chat_id(c));
	snprintf(record, sizeof record, "%s", serve_chat_record(c));
	serve_chat_close(c);
	cr_expect_eq(receipt(id, NULL, false, &proof), 0);
	cr_expect_eq(strncmp(proof.bytes, "c2sp.org/tlog-proof@v1\n", 23), 0);
	cr_expect_eq(receipt(record, "tok_one", false, &proof), 0);
	cr_expect_eq(receipt(record, NULL, true, &proof), 0);
	cr_expect_eq(receipt(record, NULL, false, &proof), ERR_NOTFOUND);
	cr_expect_eq(receipt(record, "", false, &proof), ERR_NOTFOUND);
	cr_expect_eq(receipt(record, "tok_two", false, &proof), ERR_NOTFOUND);
	size_t len = strlen(id);
	cr_assert(len > 40 && id[len - 33] == '-', "%s", id);
	for (size_t i = len - 32; i < len; i++) { /* any other tail */
		snprintf(other, sizeof other, "%s", id);
		other[i] = other[i] == '0' ? '1' : '0';
		cr_expect_eq(receipt(other, "tok_one", true, &proof), ERR_NOTFOUND, "%s", other);
	}
	id[len - 1] = 0;
	cr_expect_eq(receipt(id, "tok_one", true, &proof), ERR_NOTFOUND);
	id[len - 33] = 0; /* counted, without a tail */
	cr_expect_eq(receipt(id, NULL, false, &proof), ERR_NOTFOUND);
	snprintf(other, sizeof other, "%.*s/0", (int)(strchr(record, '/') - record), record); /* of the start */
	cr_expect_eq(receipt(other, NULL, true, &proof), ERR_NOTFOUND);
	static const char *const none[] = { "", "x", "chatcmpl-", "chatcmpl-a-b", "0000/99", "a/-1", "a-1-",
					   "a/1-" };
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		cr_expect_eq(receipt(none[i], "tok_one", true, &proof), ERR_NOTFOUND, "%s", none[i]);
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
