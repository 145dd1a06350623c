#include "tests/serve/support.h"

#include <string.h>

#define RULE(id, phases, action, word)                                           \
	"[[rule]]\nid = \"" id "\"\nseverity = \"high\"\nphase = [" phases "]\n" \
	"match = { literals = [\"" word "\"], fold = \"case\" }\naction = \"" action "\"\n"
#define TESTS(word)                                                   \
	"tests.hit = [\"" word "\", \"a " word "\", \"" word ".\"]\n" \
	"tests.miss = [\"zebra\", \"quux\", \"plugh\"]\n"
#define OUTPUTS "\"output\"" /* all that the model says */

const char served_rules[] =
	"[policy]\nname = \"parts\"\nversion = 1\nmode = \"enforce\"\njurisdiction = [\"EU\"]\n"
	"retention_days = 1\nextends = [\"packs/pii-eu\"]\n[[override]]\nrule = \"pii-eu/*\"\n"
	"enabled = false\nreason = \"tested elsewhere\"\n"
	RULE("hide", OUTPUTS, "redact", "secret") "replace = \"[gone]\"\n" TESTS(
		"secret") RULE("stop", OUTPUTS, "block", "bomb") TESTS("bomb")
		RULE("tea", "\"input\"", "redact", "tea") "replace = \"[cup]\"\n" TESTS("tea")
			RULE("mine", "\"input\"", "block", "mine") TESTS("mine")
				RULE("number", "\"input\"", "redact", "7788") "replace = \"[no]\"\n" TESTS("7788");

static void no_step(void *ctx, const char *step) { (void)ctx, (void)step; }

static void open_service(struct served *s, const char *policy)
{
	struct err e = { 0 };
	struct serve_options o = { .ref = "script", .model_name = "m", .policy = policy, .timeout_s = 10 };
	cr_assert_eq(serve_host_open(&s->host, s->flow, &e), 0, "%s", e.text);
	cr_assert_eq(serve_service_open_answerer(&s->service, s->flow, &o, &script_answerer, s->script, &e),
		     0, "%s", e.text);
	cr_assert_eq(serve_host_take(s->host, s->service, &e), 0, "%s", e.text);
}

void served_open(struct served *s, const char *rules)
{
	struct err e = { 0 };
	*s = (struct served){ .time_us = 1795312345000000, .seed = { .seed = { 7 } } };
	temp_open(&s->temp);
	s->env = env_system();
	s->env.clock = clock_fixed(&s->time_us);
	s->env.random = random_seeded(&s->seed);
	s->env.steps = (struct steps){ no_step, NULL };
	s->script = calloc(1, sizeof *s->script);
	const char *policy = rules ? temp_path(&s->temp, "policy.toml") : NULL;
	if (rules)
		cr_assert_eq(file_write_durable(policy, rules, strlen(rules), 0600, &e), 0, "%s", e.text);
	char path[LIMIT_PATH_BYTES] = "";
	if (rules)
		snprintf(path, sizeof path, "%s", policy);
	struct flow_options o = { .home = temp_path(&s->temp, "home"), .env = &s->env, .quiet = true };
	cr_assert_eq(flow_open(&s->flow, &o, &e), 0, "%s", e.text);
	open_service(s, rules ? path : NULL);
}

void served_close(struct served *s)
{
	serve_host_close(s->host);
	flow_close(s->flow);
	free(s->script);
	temp_close(&s->temp);
}

int served_chat(struct served *s, const char *more, struct serve_chat **out, struct err *e)
{
	char body[8192];
	snprintf(body, sizeof body,
		 "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s}", more);
	return serve_chat_open(out, s->host, API_CHAT, body, strlen(body),
			       &(struct serve_caller){ .handle = "someone" }, e);
}

static void add_tokens(struct buf *to, const struct api_piece *p)
{
	for (size_t i = 0; i < p->token_count; i++) {
		buf_add(to, p->token[i].text.bytes, p->token[i].text.len);
		for (size_t k = 0; k < p->token[i].top_count; k++) {
			buf_add_byte(to, '/');
			buf_add(to, p->token[i].top[k].text.bytes, p->token[i].top[k].text.len);
		}
		buf_add_byte(to, '|');
	}
}

static void hear(struct said *x, const struct api_piece *p)
{
	struct buf *calls = &x->calls[p->choice];
	x->pieces++;
	if (p->text.len)
		buf_add_byte(&x->order, (uint8_t)('0' + p->choice));
	add_tokens(&x->tokens[p->choice], p);
	if (p->part == API_CONTENT) {
		buf_add(&x->content[p->choice], p->text.bytes, p->text.len);
	} else if (p->part == API_REASONING) {
		buf_add(&x->reasoning[p->choice], p->text.bytes, p->text.len);
	} else if (p->part == API_CALL_NAME) {
		cr_assert(p->call_id != NULL);
		buf_add_text(&x->ids, p->call_id);
		buf_add_byte(&x->ids, ' ');
		buf_add_text(calls, calls->len ? ")" : "");
		buf_add(calls, p->text.bytes, p->text.len);
		buf_add_byte(calls, '(');
	} else {
		buf_add(calls, p->text.bytes, p->text.len);
	}
}

void said_run(struct said *out, struct serve_chat *c)
{
	struct api_piece piece;
	snprintf(out->record, sizeof out->record, "%s", serve_chat_record(c));
	while ((out->rc = serve_chat_next(c, &piece, &out->err)) == SERVE_TEXT)
		hear(out, &piece);
	out->result = json_incref((json_t *)(uintptr_t)serve_chat_result(c));
}

struct said served_say(struct served *s, const char *more)
{
	struct said x = { 0 };
	struct serve_chat *c;
	x.rc = served_chat(s, more, &c, &x.err);
	if (x.rc < 0)
		return x;
	said_run(&x, c);
	serve_chat_close(c);
	return x;
}

void said_free(struct said *x)
{
	for (unsigned i = 0; i < API_CHOICES; i++) {
		buf_free(&x->content[i]);
		buf_free(&x->reasoning[i]);
		buf_free(&x->calls[i]);
		buf_free(&x->tokens[i]);
	}
	buf_free(&x->order);
	buf_free(&x->ids);
	json_decref(x->result);
	*x = (struct said){ 0 };
}

json_t *served_operate(struct served *s, const char *action)
{
	struct serve_operation op = { .action = action, .actor = "dpo", .reason = "drill", .wait_ms = 200 };
	struct err e = { 0 };
	json_t *report = NULL;
	cr_assert_eq(serve_host_operate(s->host, &op, &report, &e), 0, "%s", e.text);
	return report;
}

const char *text_of(const struct buf *b) { return b->bytes ? b->bytes : ""; }

json_t *served_last(struct served *s)
{
	struct buf text = { 0 };
	struct err e = { 0 };
	json_t *entry;
	cr_assert_eq(audit_log_entry(s->flow->log, audit_log_size(s->flow->log) - 1, &text, &e), 0, "%s",
		     e.text);
	cr_assert_eq(json_read(&entry, text.bytes, text.len, text.len, 32, &e), 0, "%s", e.text);
	buf_free(&text);
	return entry;
}

static const char *canonical(const json_t *value)
{
	static char out[65536];
	struct buf b = { 0 };
	cr_assert(value);
	cr_assert_eq(json_write_canonical(value, &b, NULL), 0);
	snprintf(out, sizeof out, "%s", b.bytes);
	buf_free(&b);
	return out;
}

static json_t *vault(struct served *s)
{
	json_t *plain;
	struct err e = { 0 };
	cr_assert_eq(audit_vault_read(s->flow->log, audit_log_size(s->flow->log) - 1, &plain, &e), 0, "%s",
		     e.text);
	return plain;
}

const char *served_field(struct served *s, const char *name)
{
	json_t *plain = vault(s), *f;
	size_t i;
	const char *out = NULL;
	json_array_foreach(json_object_get(plain, "fields"), i, f)
		if (strcmp(json_string_value(json_object_get(f, "name")), name) == 0)
			out = canonical(json_object_get(f, "value"));
	cr_assert(out, "no field %s", name);
	json_decref(plain);
	return out;
}

const char *served_retained(struct served *s, const char *name)
{
	json_t *plain = vault(s);
	const char *out = canonical(json_object_get(json_object_get(plain, "retained"), name));
	json_decref(plain);
	return out;
}
