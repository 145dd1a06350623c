/* One request: inbound scan -> prompt -> tokens -> streaming scan -> cleared text; then one record
 * that holds commitments, rule ids, counts and digests, never the text in the clear. The record is
 * durable before the final event is handed out. The choices of one request take turns. */
#include "serve/chat.h"
#include "serve/count.h"
#include "serve/defaults.h"
#include "serve/receipt.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

const char *serve_chat_name(const struct serve_chat *c)
{
	return c->given.given ? c->given.record : c->record;
}

/* What becomes of a record. Storage that fails is no fault of this program: the client is told why
 * there is no answer, and may try again. */
static int recorded(int rc, struct err *e)
{
	struct err why = *e;
	return rc == ERR_IO ? err_set(e, ERR_UNAVAILABLE,
				      "what is not recorded is not answered: %s", why.text)
			    : rc;
}

static int name_chat(struct serve_chat *c, struct err *e)
{
	struct serve_service *s = c->service;
	const struct serve_chat_given *given = &c->given;
	c->created_us = given->given ? given->created_us : env_now_us(flow_env(s->flow));
	c->begun_us = env_steady_us(flow_env(s->flow));
	c->seed = given->given ? given->seed : c->request.seed;
	if (!given->given && !c->request.has_seed) {
		uint64_t drawn;
		env_random(flow_env(s->flow), &drawn, sizeof drawn);
		/* Answers say it as a JSON number: exact in a double too. */
		c->seed = (int64_t)(drawn >> (64 - 53));
	}
	if (!s->recording)
		return 0;
	TRY(serve_service_ready(s, e));
	char tail[RECEIPT_TAIL_ROOM];
	const char *worker = audit_log_worker(flow_log(s->flow));
	TRY(recorded(audit_log_reserve(flow_log(s->flow), &c->n, e), e));
	snprintf(c->record, sizeof c->record, "%.60s/%llu", worker, (unsigned long long)c->n);
	serve_receipt_tail(s->id_key, c->record, tail);
	snprintf(c->id, sizeof c->id, "%s%.60s-%llu-%s", api_shape_id(c->request.shape), worker,
		 (unsigned long long)c->n, tail);
	serve_measure_admitted(c);
	env_step(flow_env(s->flow), "serve.admitted");
	return 0;
}

#define HEAVY_BYTES KIB(16) /* of a body: beyond, or with a constraint or tools, work may be long */

static int parse_body(void *self, struct err *e)
{
	struct serve_chat *c = self;
	enum api_shape shape = c->given.shape;
	c->body_digest = digest_of(c->body, c->body_len);
	if (c->given.given)
		return api_request_read_kept(shape, c->body, c->body_len, &c->request, e);
	if (c->given.counts)
		return api_request_parse_prompt(shape, c->body, c->body_len, &c->request, e);
	return api_request_parse(shape, c->body, c->body_len, &c->request, e);
}

static int parse(struct serve_chat *c, const void *body, size_t len, const struct serve_caller *by,
		 struct err *e)
{
	c->body = body;
	c->body_len = len;
	c->beside.heavy = len > HEAVY_BYTES;
	int rc = serve_beside(&c->beside, parse_body, c, e);
	c->body = NULL;
	if (by && by->was_read)
		by->was_read(by->was_read_ctx);
	c->beside.heavy |= c->request.constraint != API_CONSTRAINT_NONE || c->request.tools;
	return rc;
}

static bool may_use(const struct serve_caller *by, const char *model, const struct serve_service *s)
{
	return !by || !by->allows || by->allows(by->allows_ctx, model, s);
}

/* Whoever is bound to some models learns of no other whether it is here. */
static int find_service(struct serve_chat *c, const struct serve_host *h,
			const struct serve_caller *by, struct err *e)
{
	struct buf known = { 0 };
	const struct serve_service *s;
	struct serve_service *found = serve_host_find(h, c->request.model);
	if (!may_use(by, c->request.model, found))
		return err_at(e,
			      err_set(e, ERR_DENIED, "this token may not ask the model \"%.200s\"",
				      c->request.model),
			      "model_not_allowed", "model");
	c->service = found;
	if (found)
		return 0;
	for (size_t i = 0; (s = serve_host_at(h, i)); i++)
		if (may_use(by, serve_service_model(s), s))
			buf_printf(&known, "%s\"%s\"", known.len ? ", " : "",
				   serve_service_model(s));
	int rc = err_set(e, ERR_NOTFOUND, "no model \"%.200s\" here; this server has %s",
			 c->request.model, known.len ? known.bytes : "none for you");
	buf_free(&known);
	return err_at(e, rc, "model_not_found", "model");
}

/* What the request leaves out, and what a replay knows of it. */
static int complete(struct serve_chat *c, struct err *e)
{
	if (c->given.given) {
		json_decref(c->request.without_effect);
		c->request.without_effect = json_incref(c->given.without_effect);
		c->from_model = json_incref(c->given.from_model);
		if (c->given.constraint_field)
			c->request.constraint_field = c->given.constraint_field;
	} else if (serve_generation(c->service)) {
		TRY(serve_defaults_apply(serve_generation(c->service), &c->request, &c->from_model,
					 e));
	}
	return serve_notes_init(&c->notes, serve_keeps(serve_chat_profile(c)) != POLICY_FULL, e);
}

static int64_t deadline_of(const struct serve_chat *c)
{
	const struct serve_service *s = c->service;
	return s->timeout_us && s->recording ? c->begun_us + s->timeout_us : 0;
}

/* Whether rules may withhold something of an answer. Its pages stay out of the prefix cache then:
 * cached_tokens, and the time that it takes, would tell a client who sends the answer back with a
 * guess in place of what was masked whether the guess is right, token by token. */
static bool is_filtered(const struct serve_chat *c)
{
	static const enum policy_phase phases[] = { POLICY_CONTENT, POLICY_REASONING,
						    POLICY_TOOL_ARGUMENTS };
	bool any = false;
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
		any |= filter_set_withholds(serve_rules(c, phases[i]));
	return any && !serve_shadowed(c);
}

/* Open the answer. The record lists the choices that were begun, even if not all of them were. */
static int open_answer(struct serve_chat *c, struct err *e)
{
	const struct answerer *who = c->service->who;
	struct answer_facts facts = { 0 };
	c->filtered = is_filtered(c);
	c->steering = serve_steering(&c->request);
	int rc = who->open(c->service->self,
			   &(struct answer_request){ .asked = &c->request,
						     .messages = c->messages,
						     .tools = c->tools,
						     .kwargs = c->kwargs,
						     .prompt = c->prompt,
						     .bare = c->bare,
						     .client = c->share,
						     .group = c->group,
						     .seed = c->seed,
						     .created_us = c->created_us,
						     .deadline_us = c->deadline_us,
						     .beside = &c->beside,
						     .filtered = c->filtered },
			   &c->answer, e);
	if (c->answer)
		who->facts(c->answer, &facts);
	c->prompt_tokens = facts.prompt_count;
	while (c->choices < facts.choices) {
		struct err second;
		unsigned i = c->choices++;
		int opened = serve_completion_open(c, &c->choice[i], i, rc < 0 ? &second : e);
		rc = rc < 0 ? rc : opened;
	}
	return rc;
}

static int scan(void *self, struct err *e) { return serve_scan_request(self, e); }

bool serve_has_company(const struct serve_chat *c)
{
	const struct serve_service *s = c->service;
	return s->who->others && s->who->others(s->self, c->share);
}

/* Once a request is admitted, every way out leaves a record. */
static int begin(struct serve_chat *c, struct err *e)
{
	c->deadline_us = deadline_of(c);
	c->beside.company = serve_has_company(c);
	c->beside.wait_us = c->service->recording ? c->service->timeout_us : 0;
	int end = serve_beside(&c->beside, scan, c, e);
	TRY(end);
	if (end == FILTER_COMPLETE)
		return open_answer(c, e);
	c->finish_reason = "content_filter";
	c->notes.stopped = end;
	return 0;
}

static void abandon(struct serve_chat *c, const char *outcome, const char *finish)
{
	struct err ignored;
	if (c->recorded)
		return;
	c->outcome = outcome;
	c->finish_reason = finish;
	for (unsigned i = 0; i < c->choices; i++)
		serve_completion_abort(&c->choice[i]);
	/* Try once only: a refused number may belong to another record by now. A log that refuses
	 * reports that itself, and admits nothing more. */
	if (c->record[0])
		(void)!serve_record_append(c, &ignored);
}

/* The chat failed with this; what an operator cut says so, whatever it was that noticed. */
static void give_up(struct serve_chat *c, int rc, struct err *e)
{
	bool gone = serve_running_cut(c, e) || atomic_load(&c->cancelled) ||
		    (c->beside.job && atomic_load(&c->beside.job->stop));
	if (!c->ended_by)
		c->ended_by = gone ? "client" : c->overdue ? "deadline" : err_name(rc);
	abandon(c, gone ? "aborted" : "error", gone ? "aborted" : "error");
}

static void chat_free(struct serve_chat *c)
{
	serve_running_leave(c);
	serve_measure_closed(c);
	for (unsigned i = 0; i < c->choices; i++)
		serve_completion_free(&c->choice[i]);
	serve_decision_free(&c->decision);
	if (c->answer)
		c->service->who->close(c->answer);
	api_request_free(&c->request);
	json_decref(c->messages);
	json_decref(c->tools);
	json_decref(c->kwargs);
	json_decref(c->prompt);
	buf_free(&c->echo);
	json_decref(c->from_model);
	json_decref(c->result);
	serve_notes_free(&c->notes);
	serve_queue_free(&c->queue);
	serve_bundle_drop(c->bundle);
	free(c);
}

static void set_caller(struct serve_chat *c, const struct serve_caller *by)
{
	const char *share = by->token ? by->token : by->handle ? by->handle : by->share;
	snprintf(c->client, sizeof c->client, "%s", by->handle ? by->handle : "");
	snprintf(c->share, sizeof c->share, "%s", share ? share : "");
	c->facts = by->facts;
}

/* A person's name becomes a handle before anything else is done with it. */
static int set_subject(struct serve_chat *c, const struct serve_caller *by, struct err *e)
{
	if (by && by->person)
		snprintf(c->subject, sizeof c->subject, "%s", by->person);
	else if (by && by->subject)
		TRY(audit_subject_handle(flow_log(c->service->flow), by->subject, c->subject, e));
	bool limited = by && by->may_ask && c->subject[0];
	return limited ? by->may_ask(by->may_ask_ctx, c->subject, e) : 0;
}

/* Who goes on from whose kept prefixes. Names of tokens are kept apart from their ids. */
static void set_group(struct serve_chat *c)
{
	enum serve_cache_share how = c->service->cache_share;
	if (how == SERVE_CACHE_GROUP && c->client[0])
		snprintf(c->group, sizeof c->group, "group %s", c->client);
	else if (how != SERVE_CACHE_ALL)
		snprintf(c->group, sizeof c->group, "%s", c->share);
}

/* The last places are for answers that end soon. */
static int check_size(const struct serve_chat *c, const struct serve_caller *by, struct err *e)
{
	const struct api_request *q = &c->request;
	if (!by || !by->tokens_most)
		return 0;
	if (q->tokens_max && (uint64_t)q->tokens_max * q->n <= by->tokens_most)
		return 0;
	return err_set(e, ERR_UNAVAILABLE,
		       "too many requests at once: places are left for answers of at most %u "
		       "tokens (max_tokens)",
		       by->tokens_most);
}

/* The service is known; from its naming on every way out leaves a record. */
static int admit(struct serve_chat *c, const struct serve_caller *by, struct err *e)
{
	c->bundle = serve_bundle_hold(c->service);
	TRY(complete(c, e));
	TRY(check_size(c, by, e));
	if (!c->given.given)
		TRY(serve_check_length(c->service, &c->request, e));
	TRY(set_subject(c, by, e));
	set_group(c);
	TRY(serve_running_enter(c, e));
	TRY(name_chat(c, e));
	int rc = begin(c, e);
	if (rc == 0)
		rc = serve_running_live(c, e);
	if (rc < 0)
		give_up(c, rc, e);
	return rc;
}

static int chat_new(struct serve_chat **out, struct serve_host *h, const struct serve_caller *by,
		    const struct serve_chat_given *given, struct err *e)
{
	struct serve_chat *c = *out = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory");
	c->given = *given;
	if (by)
		set_caller(c, by);
	c->beside = (struct serve_beside){ .aside = h ? h->aside : NULL,
					   .brief = h ? h->brief : NULL,
					   .job = by && by->job ? by->job : &c->job,
					   .client = c->share };
	return 0;
}

/* *out is the chat, or nothing where opening failed. */
static int opened(struct serve_chat **out, int rc)
{
	if (rc < 0) {
		chat_free(*out);
		*out = NULL;
	}
	return rc;
}

int serve_chat_open_given(struct serve_chat **out, struct serve_service *s, const void *body,
			  size_t len, const struct serve_caller *by,
			  const struct serve_chat_given *given, struct err *e)
{
	TRY(chat_new(out, NULL, by, given, e));
	(*out)->service = s;
	(*out)->asked_us = env_steady_us(flow_env(s->flow));
	int rc = parse(*out, body, len, by, e);
	return opened(out, rc < 0 ? rc : admit(*out, by, e));
}

int serve_chat_open(struct serve_chat **out, struct serve_host *h, enum api_shape shape,
		    const void *body, size_t len, const struct serve_caller *by, struct err *e)
{
	TRY(chat_new(out, h, by, &(struct serve_chat_given){ .shape = shape }, e));
	(*out)->asked_us = env_steady_us(serve_host_env(h));
	int rc = parse(*out, body, len, by, e);
	if (rc == 0)
		rc = find_service(*out, h, by, e);
	return opened(out, rc < 0 ? rc : admit(*out, by, e));
}

/* ---- counting ---- */

/* The prompt as the rules leave it; where they end the request the model would see nothing. */
static int count_prompt(void *self, struct err *e)
{
	struct serve_chat *c = self;
	struct buf ids = { 0 };
	int end = serve_scan_request(c, e);
	TRY(end);
	if (end != FILTER_COMPLETE)
		return 0;
	struct api_request q = c->request; /* shares all of it */
	q.messages = c->messages;
	q.tools = c->tools;
	q.template_kwargs = c->kwargs;
	int rc = serve_prompt(c->service, &q, true, NULL, &ids, e);
	c->prompt_tokens = ids.len / sizeof(uint32_t);
	buf_free(&ids);
	return rc;
}

int serve_chat_count(struct serve_host *h, enum api_shape shape, const void *body, size_t len,
		     const struct serve_caller *by, uint64_t *tokens, struct err *e)
{
	const struct serve_chat_given given = { .shape = shape, .counts = true };
	struct serve_chat *c;
	TRY(chat_new(&c, h, by, &given, e));
	int rc = parse(c, body, len, by, e);
	if (rc == 0)
		rc = find_service(c, h, by, e);
	if (rc == 0) /* before the rules read it, too */
		rc = serve_check_length(c->service, &c->request, e);
	if (rc == 0) {
		c->bundle = serve_bundle_hold(c->service);
		rc = serve_notes_init(&c->notes, true, e);
	}
	if (rc == 0)
		rc = serve_beside(&c->beside, count_prompt, c, e);
	*tokens = c->prompt_tokens;
	chat_free(c);
	return rc;
}

/* ---- output ---- */

/* Keep a copy of what is handed out: the record commits to exactly that. */
static int keep(struct serve_chat *c, const struct api_piece *p, struct err *e)
{
	struct serve_completion *ch = &c->choice[p->choice];
	struct buf *to = p->part == API_CONTENT     ? &ch->emitted
			 : p->part == API_REASONING ? &ch->thoughts
			 : p->part == API_CALL_NAME ? &ch->call[p->call].name
						    : &ch->call[p->call].arguments;
	buf_add(to, p->text.bytes, p->text.len);
	return buf_done(to, e);
}

static int take(struct serve_chat *c, struct api_piece *piece, struct err *e)
{
	int taken = serve_queue_take(&c->queue, piece, e);
	if (taken <= 0)
		return taken;
	const struct serve_completion *ch = &c->choice[piece->choice];
	if (piece->part == API_CALL_NAME)
		piece->call_id = ch->call[piece->call].id;
	piece->holds_content = serve_completion_holds(c, ch, API_CONTENT);
	piece->holds_reasoning = serve_completion_holds(c, ch, API_REASONING);
	TRY(keep(c, piece, e));
	if (piece->text.len)
		serve_measure_text(c);
	return 1;
}

/* The next choice that goes on, or NULL. */
static struct serve_completion *next_choice(struct serve_chat *c)
{
	for (unsigned i = 0; i < c->choices; i++) {
		struct serve_completion *ch = &c->choice[(c->turn + i) % c->choices];
		if (!ch->finish_reason) {
			c->turn = (ch->index + 1) % c->choices;
			return ch;
		}
	}
	return NULL;
}

static int finish_chat(struct serve_chat *c, struct err *e)
{
	if (!c->recorded) {
		env_step(flow_env(c->service->flow), "serve.answered");
		TRY(recorded(serve_record_append(c, e), e));
		serve_measure_closed(c); /* before its client can ask */
		env_step(flow_env(c->service->flow), "serve.recorded");
	}
	return SERVE_END;
}

static int advance(struct serve_chat *c, struct api_piece *piece, struct err *e)
{
	/* Text that can no longer be recorded is not sent. */
	if (c->service->recording && !c->recorded)
		TRY(audit_log_ready(flow_log(c->service->flow), e));
	int taken = take(c, piece, e);
	if (taken != 0)
		return taken < 0 ? taken : SERVE_TEXT;
	struct serve_completion *ch = next_choice(c);
	if (!ch)
		return finish_chat(c, e);
	c->overdue = c->deadline_us && env_steady_us(flow_env(c->service->flow)) >= c->deadline_us;
	if (c->overdue)
		return err_set(e, ERR_UNAVAILABLE, "the request's deadline has passed");
	TRY(serve_completion_step(c, ch, e));
	c->drawn++;
	serve_measure_token(c, &ch->token_us);
	piece->choice = ch->index;
	TRY(take(c, piece, e));
	return SERVE_TEXT;
}

int serve_chat_next(struct serve_chat *c, struct api_piece *piece, struct err *e)
{
	*piece = (struct api_piece){ .text = { .bytes = "" } };
	int rc = serve_running_cut(c, e) ? ERR_UNAVAILABLE : advance(c, piece, e);
	if (rc < 0)
		give_up(c, rc, e);
	if (rc < 0 && !atomic_load(&c->cancelled))
		serve_measure_failed(c, rc);
	return rc;
}

void serve_chat_counts(const struct serve_chat *c, uint64_t *prompt, uint64_t *completion)
{
	*prompt = c->prompt_tokens;
	*completion = c->drawn;
}

void serve_chat_cancel(struct serve_chat *c)
{
	atomic_store(&c->cancelled, true);
	if (c->answer)
		c->service->who->cancel(c->answer);
}

void serve_chat_close(struct serve_chat *c)
{
	if (!c)
		return;
	if (!c->ended_by)
		c->ended_by = "client";
	abandon(c, "aborted", "aborted");
	chat_free(c);
}

const char *serve_chat_id(const struct serve_chat *c) { return c->id; }
const char *serve_chat_record(const struct serve_chat *c) { return c->record; }
const struct api_request *serve_chat_request(const struct serve_chat *c) { return &c->request; }
const char *serve_chat_model(const struct serve_chat *c) { return c->service->model_name; }
int64_t serve_chat_created(const struct serve_chat *c) { return c->created_us / 1000000; }
const json_t *serve_chat_result(const struct serve_chat *c) { return c->result; }
