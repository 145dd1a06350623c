/* Several services behind one server: found by the name of the model, and by who may use it. */
#include "tests/serve/support.h"

#include <string.h>
#include <unistd.h>

static struct served at;

static void add(const char *name, int expected)
{
	struct serve_options o = { .ref = "script", .model_name = name };
	struct serve_service *s;
	struct err e = { 0 };
	cr_assert_eq(serve_service_open_answerer(&s, at.flow, &o, &script_answerer, at.script, &e), 0, "%s", e.text);
	cr_expect_eq(serve_host_take(at.host, s, &e), expected, "%s: %s", name, e.text);
}

static void setup(void)
{
	served_open(&at, NULL);
	add("second", 0);
}

static void teardown(void) { served_close(&at); }

TestSuite(serve_host, .init = setup, .fini = teardown);

static int ask(const char *model, const struct serve_caller *by, struct err *e)
{
	struct serve_chat *c;
	char body[256];
	snprintf(body, sizeof body,
		 "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", model);
	int rc = serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), by, e);
	if (rc == 0) {
		cr_expect_str_eq(serve_chat_model(c), model);
		serve_chat_close(c);
	}
	return rc;
}

Test(serve_host, finds_services_by_name)
{
	struct err e = { 0 };
	cr_expect_eq(serve_host_find(at.host, "m"), serve_host_at(at.host, 0));
	cr_expect_eq(serve_host_find(at.host, "second"), serve_host_at(at.host, 1));
	cr_expect_null(serve_host_find(at.host, "secon"));
	cr_expect_null(serve_host_at(at.host, 2));
	cr_expect_eq(ask("m", NULL, &e), 0, "%s", e.text);
	cr_expect_eq(ask("second", NULL, &e), 0, "%s", e.text);
	cr_expect_eq(ask("third", NULL, &e), ERR_NOTFOUND);
	cr_expect_str_eq(e.text, "no model \"third\" here; this server has \"m\", \"second\"");
	cr_expect_str_eq(e.kind, "model_not_found");
}

Test(serve_host, gives_two_services_two_names) { add("m", ERR_CONFLICT); }

static bool only(const void *ctx, const char *model, const struct serve_service *s)
{
	cr_expect_eq(s, serve_host_find(at.host, model));
	return strcmp(ctx, model) == 0;
}

Test(serve_host, tells_nobody_of_models_that_they_may_not_use)
{
	struct err e = { 0 }, other = { 0 };
	struct serve_caller by = { .allows = only, .allows_ctx = "second" };
	cr_expect_eq(ask("second", &by, &e), 0, "%s", e.text);
	cr_expect_eq(ask("m", &by, &e), ERR_DENIED);
	cr_expect_eq(ask("x", &by, &other), ERR_DENIED, "one that is not here looks the same");
	cr_expect_str_eq(e.text, "this token may not ask the model \"m\"");
	cr_expect_str_eq(other.text, "this token may not ask the model \"x\"");
	by.allows_ctx = "third";
	cr_expect_eq(ask("third", &by, &e), ERR_NOTFOUND);
	cr_expect_str_eq(e.text, "no model \"third\" here; this server has none for you");
}

Test(serve_host, is_ready_while_any_service_is)
{
	struct serve_host *empty;
	struct err e = { 0 };
	cr_expect_eq(serve_host_ready(at.host, &e), 0, "%s", e.text);
	json_decref(served_operate(&at, "drain"));
	cr_expect_eq(serve_host_ready(at.host, &e), ERR_UNAVAILABLE);
	cr_assert_eq(serve_host_open(&empty, at.flow, &e), 0);
	cr_expect_eq(serve_host_ready(empty, &e), ERR_UNAVAILABLE);
	serve_host_close(empty);
	serve_host_close(NULL);
}

/* What a client's many short requests take is done one after another while others wait for the passes; who is
 * alone does it at once. The record too, of a chat that nobody reads to its end. */
Test(serve_host, requests_in_company_are_opened_and_recorded_beside)
{
	struct err e = { 0 };
	pid_t me = gettid();
	for (int others = 0; others < 2; others++) {
		at.script->others = others;
		cr_expect_eq(ask("m", NULL, &e), 0, "%s", e.text);
		cr_expect(at.script->prompt_by != 0 && (at.script->prompt_by != me) == others);
		cr_expect_eq(at.script->recorded_beside, others);
	}
	struct aside_job gone = { 0 };
	aside_cancel(&gone);
	cr_expect_eq(ask("m", &(struct serve_caller){ .job = &gone }, &e), ERR_UNAVAILABLE, "and not begun");
	cr_expect_str_eq(e.text, "the answer is not wanted any more");
}
