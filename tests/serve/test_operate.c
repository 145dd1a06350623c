/* What operators do: stop, pause, resume, drain, and policies that are replaced under running chats. */
#include "tests/serve/support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct served at;

/* ---- an answerer that goes on until it is cancelled ---- */

struct answer {
	atomic_bool gone;
	struct reply_event event;
	struct answer_place place;
};

static int endless_open(void *self, const struct answer_request *q, struct answer **out, struct err *e)
{
	(void)self, (void)q;
	*out = calloc(1, sizeof **out);
	return *out ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int endless_next(struct answer *a, unsigned choice, struct answer_step *out, struct err *e)
{
	(void)choice;
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	if (atomic_load(&a->gone))
		return err_set(e, ERR_UNAVAILABLE, "nobody reads any more");
	a->event = (struct reply_event){ .part = REPLY_CONTENT, .text = "secret ", .len = 7 };
	*out = (struct answer_step){ .event = &a->event, .events = 1 };
	return 0;
}

static void endless_facts(const struct answer *a, struct answer_facts *out)
{
	(void)a;
	*out = (struct answer_facts){ .choices = 1 };
}

static void endless_model(const void *self, struct answer_model *out)
{
	(void)self;
	*out = (struct answer_model){ .context_max = 64 };
}

static void endless_cancel(struct answer *a) { atomic_store(&a->gone, true); }
static void endless_close(struct answer *a) { free(a); }
static void endless_free(void *self) { (void)self; }

static const struct answerer endless = {
	.backend = "endless",
	.open = endless_open,
	.next = endless_next,
	.facts = endless_facts,
	.model = endless_model,
	.cancel = endless_cancel,
	.close = endless_close,
	.free = endless_free,
};

static char policy_path[LIMIT_PATH_BYTES];

/* A policy that hides "secret" behind this word. */
static void write_policy(unsigned version, const char *word, const char *more)
{
	char text[4096];
	struct err e = { 0 };
	snprintf(text, sizeof text,
		 "[policy]\nname = \"p\"\nversion = %u\nmode = \"enforce\"\njurisdiction = [\"EU\"]\n"
		 "retention_days = 1\n[[rule]]\nid = \"hide\"\nseverity = \"high\"\n"
		 "phase = [\"output\"]\nmatch = { literals = [\"secret\"], fold = \"case\" }\n"
		 "action = \"redact\"\nreplace = \"%s\"\n"
		 "tests.hit = [\"secret\", \"a secret\", \"secret.\"]\n"
		 "tests.miss = [\"zebra\", \"quux\", \"%s\"]\n%s",
		 version, word, strstr(more, "fails") ? "secret" : "plugh", strstr(more, "fails") ? "" : more);
	cr_assert_eq(file_write_durable(policy_path, text, strlen(text), 0600, &e), 0, "%s", e.text);
}

static void setup(void)
{
	struct serve_options o = { .ref = "endless", .model_name = "e", .policy = policy_path };
	struct serve_service *s;
	struct err e = { 0 };
	served_open(&at, NULL);
	at.env.random = env_system().random; /* the seeded one is for one thread */
	snprintf(policy_path, sizeof policy_path, "%s", temp_path(&at.temp, "p.toml"));
	write_policy(2, "[one]", "");
	cr_assert_eq(serve_service_open_answerer(&s, at.flow, &o, &endless, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(serve_host_take(at.host, s, &e), 0, "%s", e.text);
}

static void teardown(void) { served_close(&at); }

TestSuite(serve_operate, .init = setup, .fini = teardown, .timeout = 60);

#define BODY "{\"model\":\"e\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"

static int begin(struct serve_chat **c, struct err *e)
{
	return serve_chat_open(c, at.host, API_CHAT, BODY, strlen(BODY), NULL, e);
}

/* What a chat said in its next pieces with text. */
static void hear(struct serve_chat *c, int pieces, char *out, size_t room)
{
	struct api_piece p;
	struct err e = { 0 };
	out[0] = 0;
	while (pieces > 0) {
		cr_assert_eq(serve_chat_next(c, &p, &e), SERVE_TEXT, "%s", e.text);
		if (!p.text.len)
			continue;
		snprintf(out + strlen(out), room - strlen(out), "%.*s", (int)p.text.len, p.text.bytes);
		serve_chat_sent(c);
		pieces--;
	}
}

static json_t *operate(const char *action, const char *model)
{
	struct serve_operation op = {
		.action = action, .model = model, .actor = "dpo", .reason = "drill", .wait_ms = 5000
	};
	struct err e = { 0 };
	json_t *report = NULL;
	cr_assert_eq(serve_host_operate(at.host, &op, &report, &e), 0, "%s", e.text);
	return report;
}

static json_int_t number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	cr_assert(json_is_integer(v), "%s", key);
	return json_integer_value(v);
}

/* ---- stop, pause, drain ---- */

struct runner {
	pthread_t thread;
	struct serve_chat *chat;
	int rc;
	struct err err;
	atomic_int pieces;
};

static void *run(void *arg)
{
	struct runner *r = arg;
	struct api_piece p;
	while ((r->rc = serve_chat_next(r->chat, &p, &r->err)) == SERVE_TEXT)
		if (p.text.len) {
			serve_chat_sent(r->chat);
			atomic_fetch_add(&r->pieces, 1);
		}
	serve_chat_close(r->chat);
	return NULL;
}

#define RUNNERS 8

static void start_runners(struct runner *r)
{
	struct err e = { 0 };
	for (int i = 0; i < RUNNERS; i++)
		cr_assert_eq(begin(&r[i].chat, &e), 0, "%s", e.text);
	for (int i = 0; i < RUNNERS; i++)
		cr_assert_eq(pthread_create(&r[i].thread, NULL, run, &r[i]), 0);
	for (int i = 0; i < RUNNERS; i++)
		while (atomic_load(&r[i].pieces) < 3)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void join_runners(struct runner *r)
{
	for (int i = 0; i < RUNNERS; i++)
		pthread_join(r[i].thread, NULL);
}

Test(serve_operate, a_stop_ends_every_answer_and_tells_how_soon)
{
	struct runner r[RUNNERS] = { 0 };
	struct serve_chat *c;
	struct err e = { 0 };
	uint64_t size;
	start_runners(r);
	size = audit_log_size(at.flow->log);
	json_t *report = operate("stop", NULL);
	join_runners(r);
	cr_expect_eq(number(report, "ran"), RUNNERS);
	cr_expect_eq(number(report, "left"), 0);
	cr_expect(number(report, "latency_us") >= 0);
	cr_expect_eq(audit_log_size(at.flow->log), size + RUNNERS + 1, "a record each, and the operator's");
	cr_expect_eq((uint64_t)number(report, "record"), size + RUNNERS);
	for (int i = 0; i < RUNNERS; i++) {
		cr_expect_eq(r[i].rc, ERR_UNAVAILABLE);
		cr_expect_str_eq(r[i].err.text, "this answer was stopped by an operator");
		cr_expect_str_eq(r[i].err.kind, "stopped_by_operator");
	}
	cr_expect_str_eq(served_field(&at, "actor"), "\"dpo\"");
	cr_expect_str_eq(served_field(&at, "action"), "\"stop\"");
	cr_expect_str_eq(served_field(&at, "reason"), "\"drill\"");
	cr_expect_str_eq(served_field(&at, "target"), "{\"models\":[\"m\",\"e\"]}");
	cr_expect_str_eq(served_field(&at, "detail"), "{\"left\":0,\"ran\":8}");
	cr_expect(strlen(served_field(&at, "last_token_us")) > 10);
	cr_expect_eq(begin(&c, &e), ERR_UNAVAILABLE);
	json_decref(report);
}

Test(serve_operate, a_stopped_answer_has_a_record_that_says_who_and_why)
{
	struct serve_chat *c;
	struct api_piece p;
	struct err e = { 0 };
	char text[64];
	cr_assert_eq(begin(&c, &e), 0, "%s", e.text);
	hear(c, 2, text, sizeof text);
	struct serve_operation op = { .action = "stop", .actor = "dpo", .reason = "drill", .wait_ms = 1 };
	json_t *report = NULL;
	cr_assert_eq(serve_host_operate(at.host, &op, &report, &e), 0, "%s", e.text);
	cr_expect_eq(number(report, "left"), 1, "its thread has not come by");
	cr_expect_eq(serve_chat_next(c, &p, &e), ERR_UNAVAILABLE);
	json_t *last = served_last(&at);
	cr_expect_str_eq(json_string_value(json_object_get(last, "outcome")), "aborted");
	cr_expect_str_eq(served_field(&at, "finish_reason"), "\"aborted\"");
	cr_expect_str_eq(served_field(&at, "ended"), "{\"by\":\"operator\",\"reason\":\"drill\"}");
	serve_chat_close(c);
	json_decref(last);
	json_decref(report);
}

Test(serve_operate, what_was_not_stopped_says_what_ended_it)
{
	struct serve_chat *c;
	struct api_piece p;
	struct err e = { 0 };
	cr_assert_eq(begin(&c, &e), 0, "%s", e.text);
	serve_chat_cancel(c);
	cr_expect_eq(serve_chat_next(c, &p, &e), ERR_UNAVAILABLE);
	cr_expect_str_eq(served_field(&at, "ended"), "{\"by\":\"client\",\"reason\":null}");
	serve_chat_close(c);
	script_say(at.script, "uvw", 1);
	struct said x = served_say(&at, "");
	cr_expect_eq(x.rc, SERVE_END, "%s", x.err.text);
	cr_expect_str_eq(served_field(&at, "ended"), "null");
	said_free(&x);
}

Test(serve_operate, a_pause_lets_answers_go_on_until_it_is_over)
{
	struct serve_chat *c, *second;
	struct err e = { 0 };
	char text[64];
	cr_assert_eq(begin(&c, &e), 0, "%s", e.text);
	json_decref(operate("pause", "e"));
	hear(c, 2, text, sizeof text);
	cr_expect_eq(begin(&second, &e), ERR_UNAVAILABLE);
	cr_expect_str_eq(e.kind, "paused_by_operator");
	struct said x = served_say(&at, ""); /* the other model */
	cr_expect_eq(x.rc, SERVE_END, "%s", x.err.text);
	said_free(&x);
	cr_expect_eq(serve_host_ready(at.host, &e), 0);
	json_decref(operate("resume", "e"));
	cr_assert_eq(begin(&second, &e), 0, "%s", e.text);
	serve_chat_close(second);
	serve_chat_close(c);
}

Test(serve_operate, a_drain_waits_and_then_cuts)
{
	struct runner r[RUNNERS] = { 0 };
	struct serve_operation op = { .action = "drain", .model = "e", .actor = "a", .reason = "r",
				      .wait_ms = 50 };
	struct err e = { 0 };
	json_t *report = NULL;
	start_runners(r);
	cr_assert_eq(serve_host_operate(at.host, &op, &report, &e), 0, "%s", e.text);
	join_runners(r);
	cr_expect_eq(number(report, "left"), 0);
	cr_expect_str_eq(r[0].err.kind, "shutting_down");
	json_decref(report);
}

Test(serve_operate, what_was_told_to_end_does_not_open_again)
{
	static const char *const ends[] = { "stop", "drain" }, *const opens[] = { "resume", "pause" };
	struct serve_chat *c;
	struct err e = { 0 };
	json_decref(operate("stop", "e"));
	json_decref(operate("resume", "e")); /* one model may */
	cr_assert_eq(begin(&c, &e), 0, "%s", e.text);
	serve_chat_close(c);
	for (size_t i = 0; i < 2; i++) {
		json_decref(operate(ends[i], NULL));
		for (size_t k = 0; k < 4; k++) {
			struct serve_operation op = { .action = opens[k % 2], .model = k < 2 ? "e" : NULL,
						      .actor = "a", .reason = "r" };
			json_t *report = NULL;
			cr_expect_eq(serve_host_operate(at.host, &op, &report, &e), ERR_UNAVAILABLE);
			cr_expect_eq(begin(&c, &e), ERR_UNAVAILABLE);
		}
	}
}

static void *drain_slowly(void *arg)
{
	struct serve_operation op = { .action = "drain", .model = "e", .actor = "a", .reason = "r",
				      .wait_ms = 300 };
	struct err e = { 0 };
	cr_assert_eq(serve_host_operate(at.host, &op, arg, &e), 0, "%s", e.text);
	return NULL;
}

Test(serve_operate, a_model_that_is_opened_again_ends_no_answers_of_its_drain)
{
	struct serve_chat *c;
	struct err e = { 0 };
	char text[64];
	json_t *report = NULL;
	pthread_t thread;
	cr_assert_eq(begin(&c, &e), 0, "%s", e.text);
	cr_assert_eq(pthread_create(&thread, NULL, drain_slowly, &report), 0);
	struct serve_chat *other;
	while (begin(&other, &e) == 0) {
		serve_chat_close(other);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	json_decref(operate("resume", "e"));
	nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL);
	hear(c, 2, text, sizeof text);
	serve_chat_close(c);
	pthread_join(thread, NULL);
	json_decref(report);
}

Test(serve_operate, what_makes_no_sense_is_refused)
{
	static const struct {
		struct serve_operation op;
		int rc;
	} rows[] = {
		{ { .action = "explode", .actor = "a", .reason = "r" }, ERR_USAGE },
		{ { .action = "stop", .actor = "a", .reason = "r", .model = "none" }, ERR_NOTFOUND },
		{ { .action = "stop", .actor = "a", .reason = "" }, ERR_INPUT },
		{ { .action = "stop", .actor = "a" }, ERR_INPUT },
		{ { .action = "stop", .actor = "", .reason = "r" }, ERR_INPUT },
		{ { .action = "stop", .actor = "a", .reason = "\xff" }, ERR_INPUT },
	};
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *report = NULL;
		cr_expect_eq(serve_host_operate(at.host, &rows[i].op, &report, &e), rows[i].rc, "row %zu", i);
	}
	cr_expect_eq(serve_host_ready(at.host, &e), 0, "%s", e.text);
}

/* ---- reloads ---- */

static const char *reload(int expected)
{
	static char result[64];
	struct err e = { 0 };
	json_t *report = NULL;
	int rc = serve_host_reload(at.host, "operator", &report, &e);
	cr_expect_eq(rc, expected, "%d: %s", rc, e.text);
	cr_assert(report);
	cr_expect_eq(json_is_true(json_object_get(report, "ok")), rc == 0);
	const json_t *mine = json_array_get(json_object_get(report, "policies"), 1);
	snprintf(result, sizeof result, "%s", json_string_value(json_object_get(mine, "result")));
	cr_expect_eq(!json_object_get(mine, "reason"), strcmp(result, "refused") != 0, "%s", result);
	json_decref(report);
	return result;
}

static json_t *last_body(void)
{
	json_t *entry = served_last(&at), *body = json_incref(json_object_get(entry, "body"));
	cr_assert_str_eq(json_string_value(json_object_get(entry, "type")), "bundle");
	json_decref(entry);
	return body;
}

Test(serve_operate, a_chat_ends_under_the_policy_it_began_with)
{
	struct serve_chat *old, *new;
	struct err e = { 0 };
	char text[256], bundle[2][80];
	cr_assert_eq(begin(&old, &e), 0, "%s", e.text);
	hear(old, 2, text, sizeof text);
	cr_expect(strstr(text, "[one]"), "%s", text);
	write_policy(3, "[two]", "");
	cr_expect_str_eq(reload(0), "replaced");
	json_t *body = last_body();
	cr_expect_str_eq(json_string_value(json_object_get(body, "event")), "replace");
	cr_expect_str_eq(json_string_value(json_object_get(body, "by")), "operator");
	cr_expect_eq(json_integer_value(json_object_get(body, "version")), 3);
	cr_assert_eq(begin(&new, &e), 0, "%s", e.text);
	hear(new, 2, text, sizeof text);
	cr_expect(strstr(text, "[two]") && !strstr(text, "[one]"), "%s", text);
	hear(old, 2, text, sizeof text);
	cr_expect(strstr(text, "[one]") && !strstr(text, "[two]"), "%s", text);
	serve_chat_close(old);
	snprintf(bundle[0], sizeof bundle[0], "%s", served_field(&at, "policy_bundle"));
	serve_chat_close(new);
	snprintf(bundle[1], sizeof bundle[1], "%s", served_field(&at, "policy_bundle"));
	cr_expect_str_neq(bundle[0], bundle[1]);
	cr_expect(strstr(bundle[1], json_string_value(json_object_get(body, "digest"))));
	json_decref(body);
}

Test(serve_operate, a_bad_policy_changes_nothing_and_says_why)
{
	struct serve_chat *c;
	struct err e = { 0 };
	char text[256];
	write_policy(3, "[two]", "nonsense = [\n");
	cr_expect_str_eq(reload(ERR_INPUT), "refused");
	json_t *body = last_body();
	cr_expect_str_eq(json_string_value(json_object_get(body, "event")), "refuse");
	cr_expect(strstr(json_string_value(json_object_get(body, "reason")), "line"));
	json_decref(body);
	write_policy(3, "[two]", "fails");
	cr_expect_str_eq(reload(ERR_DENIED), "refused");
	write_policy(1, "[two]", "");
	cr_expect_str_eq(reload(ERR_DENIED), "refused");
	body = last_body();
	cr_expect(strstr(json_string_value(json_object_get(body, "reason")), "version 1, and version 2"));
	json_decref(body);
	unlink(policy_path);
	cr_expect_str_eq(reload(ERR_NOTFOUND), "refused");
	cr_assert_eq(begin(&c, &e), 0, "%s", e.text);
	hear(c, 2, text, sizeof text);
	cr_expect(strstr(text, "[one]"), "%s", text);
	serve_chat_close(c);
	write_policy(2, "[one]", "");
	cr_expect_str_eq(reload(0), "unchanged");
}

Test(serve_operate, a_policy_beside_a_bad_one_is_kept_and_said_to_be)
{
	char first[LIMIT_PATH_BYTES];
	struct serve_options o = { .ref = "endless", .model_name = "f", .policy = policy_path };
	struct serve_service *s;
	struct err e = { 0 };
	memcpy(first, policy_path, sizeof first);
	snprintf(policy_path, sizeof policy_path, "%s", temp_path(&at.temp, "q.toml"));
	write_policy(2, "[one]", "");
	cr_assert_eq(serve_service_open_answerer(&s, at.flow, &o, &endless, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(serve_host_take(at.host, s, &e), 0, "%s", e.text);
	write_policy(3, "[two]", "nonsense = [\n");
	memcpy(policy_path, first, sizeof first);
	write_policy(3, "[two]", "");
	cr_expect_str_eq(reload(ERR_INPUT), "kept");
}

Test(serve_operate, a_changed_file_is_seen_until_it_was_read)
{
	struct digest before, now;
	struct err e = { 0 };
	bool changed;
	cr_assert_eq(serve_host_changed(at.host, &before, &changed, &e), 0, "%s", e.text);
	cr_expect(!changed);
	write_policy(3, "[two]", "nonsense = [\n");
	cr_assert_eq(serve_host_changed(at.host, &now, &changed, &e), 0, "%s", e.text);
	cr_expect(changed && !digest_equal(&now, &before));
	reload(ERR_INPUT);
	cr_assert_eq(serve_host_changed(at.host, &now, &changed, &e), 0, "%s", e.text);
	cr_expect(!changed, "a bad file is read once");
	write_policy(3, "[two]", "");
	cr_assert_eq(serve_host_changed(at.host, &now, &changed, &e), 0, "%s", e.text);
	cr_expect(changed);
}

static void *reload_often(void *arg)
{
	atomic_bool *end = arg;
	for (unsigned i = 3; !atomic_load(end); i++) {
		struct err e = { 0 };
		json_t *report = NULL;
		write_policy(i, i % 2 ? "[two]" : "[one]", "");
		cr_expect_eq(serve_host_reload(at.host, "operator", &report, &e), 0, "%s", e.text);
		json_decref(report);
	}
	return NULL;
}

Test(serve_operate, policies_come_and_go_under_running_chats)
{
	struct runner r[RUNNERS] = { 0 };
	atomic_bool end = false;
	pthread_t t;
	start_runners(r);
	pthread_create(&t, NULL, reload_often, &end);
	for (int i = 0; i < 20; i++) {
		struct serve_chat *c;
		struct err e = { 0 };
		char text[128];
		cr_assert_eq(begin(&c, &e), 0, "%s", e.text);
		hear(c, 3, text, sizeof text);
		cr_expect(!strstr(text, "[one]") != !strstr(text, "[two]"), "%s", text);
		serve_chat_close(c);
	}
	atomic_store(&end, true);
	pthread_join(t, NULL);
	json_decref(operate("stop", NULL));
	join_runners(r);
}

Test(serve_operate, the_status_tells_what_is_served_and_how)
{
	json_t *report;
	struct err e = { 0 };
	json_decref(operate("pause", "e"));
	write_policy(1, "[two]", "");
	reload(ERR_DENIED);
	cr_assert_eq(serve_host_status(at.host, &report, &e), 0, "%s", e.text);
	const json_t *m = json_array_get(json_object_get(report, "models"), 1);
	cr_expect_str_eq(json_string_value(json_object_get(m, "model")), "e");
	cr_expect_str_eq(json_string_value(json_object_get(m, "state")), "paused");
	cr_expect_eq(number(json_object_get(m, "policy"), "version"), 2);
	cr_expect(json_is_false(json_object_get(json_object_get(report, "reload"), "ok")));
	cr_expect((uint64_t)number(json_object_get(report, "log"), "size") == audit_log_size(at.flow->log));
	json_decref(report);
}
