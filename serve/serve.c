/* Serve, from one end to the other:
 *
 *   serve_service_open   the policy becomes a profile of filter sets, kept by digest for replays;
 *                        the REF becomes a source whose every byte is checked against the signed
 *                        manifest; the engine loads from it and is the answerer; the log gets what
 *                        is being served: records "start", "bundle" and "config"
 *
 *   serve_chat_open      bytes -> struct api_request; a number is reserved: from here on every way
 *    (chat.c)            out leaves a record; each text of the request passes the rules of its
 *                        phase (scan.c); what is left of it is asked of the answerer
 *
 *   serve_chat_next      a piece that waits in the queue, or else one step of the next choice:
 *    (completion.c)      answerer -> events of content, reasoning, calls -> a filter stream each
 *                        -> struct cleared -> queue. When all choices have ended, the record is
 *    (record.c)          made durable: commitments, rule ids, counts and digests, never the text
 *                        in the clear; only then the final event goes out, with its receipt
 *
 *   serve_replay         the same way again with the recorded request, seed and time, without
 *    (replay.c)          recording; the two decisions are compared field by field */
#include "audit/audit.h"
#include "base/limits.h"
#include "base/text.h"
#include "flow/policy.h"
#include "serve/decision.h"
#include "serve/defaults.h"
#include "serve/engine_answer.h"
#include "serve/service.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int open_policy(struct serve_service *s, const char *path, bool keep, struct err *e)
{
	struct serve_bundle *b;
	TRY(filter_set_build(&s->none, NULL, 0, e));
	TRY(serve_bundle_read(&b, s->flow, path, keep, &s->files, e));
	serve_bundle_put(s, b);
	TRY(flow_policy_stamp(&s->files, &s->stamp, e));
	snprintf(s->policy, sizeof s->policy, "%s", path ? path : "");
	return 0;
}

/* A replay with another model takes its context: what differs will show. */
static int open_engine(struct serve_service *s, const struct serve_options *o, struct err *e)
{
	struct serve_engine *m;
	struct source *adapter = s->adapter ? flow_model_source(s->adapter) : NULL;
	TRY(serve_engine_open(&m, flow_model_source(s->model), adapter, o, !s->recording,
			      flow_quiet(s->flow), flow_env(s->flow)->clock, e));
	s->who = &serve_engine_answerer;
	s->self = m;
	return 0;
}

const struct digest *serve_root(const struct serve_service *s)
{
	return s->model ? flow_model_root(s->model) : NULL;
}

const char *serve_signer(const struct serve_service *s)
{
	return s->model ? flow_model_signer(s->model) : "";
}

const struct digest *serve_adapter_root(const struct serve_service *s)
{
	return s->adapter ? flow_model_root(s->adapter) : NULL;
}

const char *serve_adapter_signer(const struct serve_service *s)
{
	return s->adapter ? flow_model_signer(s->adapter) : "";
}

/* The model, and the adapter that is merged into it: each a release of its own. */
static int open_model(struct serve_service *s, const struct serve_options *o, const char *key,
		      struct err *e)
{
	TRY(flow_model_open(&s->model, s->flow, o->ref, key, o->unsigned_ok, e));
	return o->adapter
		       ? flow_model_open(&s->adapter, s->flow, o->adapter, key, o->unsigned_ok, e)
		       : 0;
}

const struct model_generation *serve_generation(const struct serve_service *s)
{
	struct answer_model m;
	s->who->model(s->self, &m);
	return s->neutral ? NULL : m.generation;
}

static int read_sampling(struct serve_service *s, const char *word, struct err *e)
{
	s->neutral = word && strcmp(word, "neutral") == 0;
	if (!word || s->neutral || strcmp(word, "model") == 0)
		return 0;
	return err_set(e, ERR_USAGE, "sampling %.40s: expected model or neutral", word);
}

static int read_cache_share(struct serve_service *s, const char *word, struct err *e)
{
	static const char *const words[] = { [SERVE_CACHE_TOKEN] = "token",
					     [SERVE_CACHE_GROUP] = "group",
					     [SERVE_CACHE_ALL] = "all" };
	for (size_t i = 0; word && i < sizeof words / sizeof *words; i++) {
		if (strcmp(word, words[i]) == 0) {
			s->cache_share = (enum serve_cache_share)i;
			return 0;
		}
	}
	return word ? err_set(e, ERR_USAGE, "cache-share %.40s: expected token, group or all", word)
		    : 0;
}

/* What a person should know: of the files, and what answers they do not ask for. */
static int make_notes(struct serve_service *s, struct err *e)
{
	const struct model_generation *g = serve_generation(s);
	struct answer_model m;
	struct buf said = { 0 };
	s->who->model(s->self, &m);
	buf_add_text(&s->notes, m.notes ? m.notes : "");
	if (g)
		serve_defaults_say(g, &said);
	if (said.len)
		buf_printf(
			&s->notes,
			"where a request does not say: %s, by generation_config.json (--sampling "
			"neutral: not so)\n",
			said.bytes);
	s->notes.failed |= said.failed;
	buf_free(&said);
	return buf_done(&s->notes, e);
}

/* What is being served, from now on. */
static int append_config(struct serve_service *s, struct err *e)
{
	const struct digest *root = serve_root(s);
	struct answer_model m;
	struct obj o = { 0 };
	s->who->model(s->self, &m);
	obj_text(&o, "event", "serve");
	obj_text(&o, "model", s->model_name);
	obj_add(&o, "root", root ? json_digest(root) : json_null());
	obj_text(&o, "signer", *serve_signer(s) ? serve_signer(s) : NULL);
	if (s->adapter)
		obj_add(&o, "adapter",
			serve_decision_adapter(serve_adapter_root(s), serve_adapter_signer(s)));
	obj_text(&o, "weights", m.matrices);
	obj_text(&o, "packed", m.packed);
	obj_text(&o, "cache", m.cache);
	obj_text(&o, "numerics", m.numerics);
	obj_text(&o, "regime", m.regime);
	obj_add(&o, "choice", m.choice ? json_digest(m.choice) : json_null());
	obj_count(&o, "context_max", m.context_max);
	obj_text(&o, "kernels", m.kernels);
	obj_text(&o, "sampling", s->neutral ? "neutral" : "model");
	return serve_record_body(s->flow, "config", &o, e);
}

static void service_free(struct serve_service *s)
{
	if (s->who)
		s->who->free(s->self);
	flow_model_close(s->model);
	flow_model_close(s->adapter);
	serve_bundle_drop(s->bundle);
	filter_set_free(s->none);
	buf_free(&s->notes);
	serve_measures_free(&s->measures);
	buf_free(&s->files);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void init_lock(struct serve_service *s)
{
	pthread_condattr_t monotonic;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static int service_new(struct serve_service **out, struct flow *f, const struct serve_options *o,
		       const char *name, struct err *e)
{
	struct serve_service *s = *out = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	init_lock(s);
	s->flow = f;
	serve_measures_init(&s->measures);
	s->created_us = env_now_us(flow_env(f));
	s->timeout_us = (int64_t)o->timeout_s * 1000000;
	snprintf(s->model_name, sizeof s->model_name, "%s", name ? name : o->ref);
	return 0;
}

/* What is being served goes into the log. */
static int record_start(struct serve_service *s, struct err *e)
{
	TRY(flow_start(s->flow, e));
	TRY(serve_bundle_record(s, s->bundle, "load", "start", e));
	return append_config(s, e);
}

/* *out is the service, or nothing where opening failed. */
static int opened(struct serve_service **out, int rc)
{
	if (rc < 0) {
		serve_service_close(*out);
		*out = NULL;
	}
	return rc;
}

static int open_all(struct serve_service *s, const struct serve_options *o, struct err *e)
{
	if (flow_read_only(s->flow))
		return err_set(e, ERR_CONFLICT, "the state folder is open for reading only");
	s->recording = true;
	TRY(read_sampling(s, o->sampling, e));
	TRY(read_cache_share(s, o->cache_share, e));
	TRY(open_policy(s, o->policy, true, e));
	TRY(open_model(s, o, o->key, e));
	TRY(open_engine(s, o, e));
	TRY(make_notes(s, e));
	return record_start(s, e);
}

int serve_service_open(struct serve_service **out, struct flow *f, const struct serve_options *o,
		       struct err *e)
{
	TRY(service_new(out, f, o, o->model_name, e));
	return opened(out, open_all(*out, o, e));
}

static int open_answerer(struct serve_service *s, const struct serve_options *o, struct err *e)
{
	s->recording = true;
	TRY(read_sampling(s, o->sampling, e));
	TRY(read_cache_share(s, o->cache_share, e));
	TRY(open_policy(s, o->policy, true, e));
	TRY(make_notes(s, e));
	return record_start(s, e);
}

int serve_service_open_answerer(struct serve_service **out, struct flow *f,
				const struct serve_options *o, const struct answerer *who,
				void *self, struct err *e)
{
	int rc = service_new(out, f, o, o->model_name, e);
	if (rc < 0) {
		who->free(self);
		return rc;
	}
	(*out)->who = who;
	(*out)->self = self;
	return opened(out, open_answerer(*out, o, e));
}

static int open_replay(struct serve_service *s, const struct serve_options *o, struct err *e)
{
	TRY(open_policy(s, o->policy, false, e));
	TRY(open_model(s, o, NULL, e));
	int rc = open_engine(s, o, e);
	if (rc != ERR_VERIFY || !o->unsigned_ok)
		return rc;
	/* Signed, and not what was signed: for a comparison it may run, as unsigned. */
	TRY(flow_model_plain(s->model, e));
	if (s->adapter)
		TRY(flow_model_plain(s->adapter, e));
	return open_engine(s, o, e);
}

int serve_service_open_replay(struct serve_service **out, struct flow *f,
			      const struct serve_options *o, struct err *e)
{
	TRY(service_new(out, f, o, NULL, e));
	return opened(out, open_replay(*out, o, e));
}

/* A GPU that failed comes back with the program alone. */
static int engine_check_lost(const struct serve_service *s, struct err *e)
{
	struct engine_load load;
	struct engine *m = serve_engine_of(s);
	if (!m)
		return 0;
	engine_load(m, &load);
	return load.lost ? err_set(e, ERR_UNAVAILABLE,
				   "the GPU failed: nothing is computed until this server is "
				   "started again")
			 : 0;
}

int serve_service_ready(struct serve_service *s, struct err *e)
{
	TRY(serve_state_check(s, e));
	TRY(engine_check_lost(s, e));
	return audit_log_ready(flow_log(s->flow), e); /* no log, no answer */
}

void serve_service_close(struct serve_service *s)
{
	if (s)
		service_free(s);
}

const char *serve_service_notes(const struct serve_service *s)
{
	return s->notes.bytes ? s->notes.bytes : "";
}

struct serve_policy serve_service_policy(const struct serve_service *s)
{
	struct serve_policy p = { .name = "" };
	/* its lock and a count change, which no caller sees */
	struct serve_bundle *b = serve_bundle_hold((struct serve_service *)(uintptr_t)s);
	if (b->profile) {
		snprintf(p.name, sizeof p.name, "%s", b->profile->name);
		digest_text(&b->profile->bundle, p.bundle);
	}
	serve_bundle_drop(b);
	return p;
}

const char *serve_service_model(const struct serve_service *s) { return s->model_name; }

int64_t serve_service_created(const struct serve_service *s) { return s->created_us / 1000000; }
