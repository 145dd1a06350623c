/* Private to serve/: what is served: a verified model behind an answerer, a policy, the log. */
#ifndef SERVE_SERVICE_H
#define SERVE_SERVICE_H

#include "serve/answerer.h"
#include "filters/filters.h"
#include "flow/flow.h"
#include "policy/policy.h"
#include "serve/measures.h"
#include "serve/serve.h"

#include <stdatomic.h>

enum serve_cache_share { SERVE_CACHE_TOKEN, SERVE_CACHE_GROUP, SERVE_CACHE_ALL };

struct serve_service {
	struct flow *flow;
	const struct answerer *who;
	void *self;                     /* who's own */
	struct flow_model *model;       /* NULL: the answerer has another */
	struct flow_model *adapter;     /* merged into it; NULL: none */
	struct policy_profile *profile; /* NULL: no policy */
	struct filter_set *none;        /* passes everything, and keeps the record */
	char model_name[256];
	int64_t created_us;
	int64_t timeout_us; /* 0: none */
	atomic_bool draining;
	bool recording; /* false while replaying: nothing is appended */
	bool neutral;   /* the model's sampling defaults are not taken */
	enum serve_cache_share cache_share;
	struct buf notes;
	struct serve_measures measures;
};
/* Sampling defaults that count here; NULL: none. */
const struct model_generation *serve_generation(const struct serve_service *s);

/* Of the model, where there is one: NULL and "" where not. */
const struct digest *serve_root(const struct serve_service *s);
const char *serve_signer(const struct serve_service *s);
/* The same of its adapter. */
const struct digest *serve_adapter_root(const struct serve_service *s);
const char *serve_adapter_signer(const struct serve_service *s);

/* The rules of a phase, or those that pass everything. */
const struct filter_set *serve_rules(const struct serve_service *s, enum policy_phase phase);
bool serve_shadowed(const struct serve_service *s);
/* What is kept of an answer's texts. */
enum policy_content serve_keeps(const struct serve_service *s);

int serve_service_open(struct serve_service **out, struct flow *f, const struct serve_options *o,
		       struct err *e) MUST_USE;
/* All chats must be closed. NULL is fine. */
void serve_service_close(struct serve_service *s);
/* Refuse new chats (ERR_UNAVAILABLE); running ones go on. */
void serve_service_drain(struct serve_service *s);
/* A service whose answerer is given and whose model is not looked at: o->ref is its name alone.
 * self is taken, on failure too. */
int serve_service_open_answerer(struct serve_service **out, struct flow *f,
				const struct serve_options *o, const struct answerer *who,
				void *self, struct err *e) MUST_USE;
/* A service that is open becomes one of the host's, which closes it; on failure too. */
int serve_host_take(struct serve_host *h, struct serve_service *s, struct err *e) MUST_USE;
const struct env *serve_host_env(const struct serve_host *h);
struct aside *serve_host_aside(const struct serve_host *h);
/* A service for replay: policy and context as recorded (no key, no name); nothing is appended. */
int serve_service_open_replay(struct serve_service **out, struct flow *f,
			      const struct serve_options *o, struct err *e) MUST_USE;

#endif
