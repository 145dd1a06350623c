/* Private to serve/: what is served: a verified model behind an answerer, a policy, the log. */
#ifndef SERVE_SERVICE_H
#define SERVE_SERVICE_H

#include "serve/answerer.h"
#include "filters/filters.h"
#include "flow/flow.h"
#include "base/limits.h"
#include "policy/policy.h"
#include "serve/host.h"
#include "serve/measures.h"

#include <pthread.h>
#include <stdatomic.h>

enum serve_cache_share { SERVE_CACHE_TOKEN, SERVE_CACHE_GROUP, SERVE_CACHE_ALL };
/* A policy that was taken, shared by the service while it is in force and by all chats that began
 * under it. Immutable but for its count. */
struct serve_bundle {
	atomic_uint held;
	struct policy_profile *profile; /* owned; NULL: no policy */
};

enum serve_state { SERVE_OPEN, SERVE_PAUSED, SERVE_DRAINING, SERVE_STOPPED };

struct serve_service {
	struct flow *flow;
	const struct answerer *who;
	void *self;                     /* who's own */
	struct flow_model *model;       /* NULL: the answerer has another */
	struct flow_model *adapter;     /* merged into it; NULL: none */
	pthread_mutex_t lock;           /* of the bundle, and of what runs */
	struct serve_bundle *bundle;    /* the one in force: serve_bundle_hold */
	struct filter_set *none;        /* passes everything, and keeps the record */
	char policy[LIMIT_PATH_BYTES];  /* the file it is read from; "": no policy */
	/* Of its files when they were read last, or that was tried: under the lock. */
	struct buf files; /* paths, each with a NUL behind it */
	struct digest stamp;
	char model_name[256];
	uint8_t id_key[16]; /* of ids of answers: the host's (receipt.h) */
	int64_t created_us;
	int64_t timeout_us; /* 0: none */
	atomic_int state; /* enum serve_state */
	struct serve_chat *running;   /* under the lock, as the next */
	unsigned runs;                /* how many */
	pthread_cond_t idle;          /* none is left */
	char stop_reason[SERVE_REASON_MAX + 1];
	_Atomic int64_t token_us;     /* when a token was sent last, steady; 0: never */
	bool recording; /* false while replaying: nothing is appended */
	bool neutral;   /* the model's sampling defaults are not taken */
	enum serve_cache_share cache_share;
	struct buf notes;
	struct serve_measures measures;
};
#define SERVE_SEEN_MAX 64

struct serve_host {
	struct flow *flow;
	struct aside *aside; /* for what takes long before an answer begins */
	struct aside *brief; /* and for what does not, while others have answers in the making */
	uint8_t id_key[16];
	struct serve_service *service[SERVE_SERVICES_MAX];
	size_t count;
	pthread_mutex_t reloading; /* one reload at a time */
	pthread_mutex_t lock;      /* of the next two, and of changes to the state of services */
	json_t *last_reload;       /* the report of the last one; NULL: there was none */
	bool ending;               /* told to stop or to drain, all of it */
	/* Policies that were logged, by name: the version of the last. Under `reloading`. */
	struct serve_seen {
		char name[128];
		uint64_t version;
	} seen[SERVE_SEEN_MAX];
	size_t seen_count;
};

/* Sampling defaults that count here; NULL: none. */
const struct model_generation *serve_generation(const struct serve_service *s);

/* Of the model, where there is one: NULL and "" where not. */
const struct digest *serve_root(const struct serve_service *s);
const char *serve_signer(const struct serve_service *s);
/* The same of its adapter. */
const struct digest *serve_adapter_root(const struct serve_service *s);
const char *serve_adapter_signer(const struct serve_service *s);

/* ---- its policy (bundle.c) ---- */

struct serve_bundle *serve_bundle_new(struct err *e);
/* Read a policy file; NULL: none. keep, files: as flow_policy_open. */
int serve_bundle_read(struct serve_bundle **out, struct flow *f, const char *path, bool keep,
		      struct buf *files, struct err *e) MUST_USE;
/* The one in force, for who drops it. Any thread. */
struct serve_bundle *serve_bundle_hold(struct serve_service *s);
void serve_bundle_drop(struct serve_bundle *b); /* NULL is fine */
/* It takes force: for chats that begin from now on. b is the service's then. */
void serve_bundle_put(struct serve_service *s, struct serve_bundle *b);
/* Log what is about to take force. event: "load" or "replace"; by: what made it so. */
int serve_bundle_record(struct serve_service *s, const struct serve_bundle *b, const char *event,
			const char *by, struct err *e) MUST_USE;
/* The rules of a phase; NULL: there are none. */
const struct filter_set *serve_bundle_rules(const struct serve_bundle *b, enum policy_phase phase);
/* What is kept of an answer's texts. p: NULL without a policy. */
enum policy_content serve_keeps(const struct policy_profile *p);
/* A record of the service's own: `type` with the body o, which is taken. */
int serve_record_body(struct flow *f, const char *type, struct obj *o, struct err *e) MUST_USE;

int serve_service_open(struct serve_service **out, struct flow *f, const struct serve_options *o,
		       struct err *e) MUST_USE;
/* All chats must be closed. NULL is fine. */
void serve_service_close(struct serve_service *s);
/* ---- what runs (running.c) ---- */

/* ERR_UNAVAILABLE, and why, where nothing new is taken. */
int serve_state_check(const struct serve_service *s, struct err *e) MUST_USE;
const char *serve_state_name(const struct serve_service *s);
/* Cut all that runs. how: enum serve_cut. How many. */
unsigned serve_running_stop(struct serve_service *s, int how, const char *reason);
unsigned serve_running_count(struct serve_service *s);
/* Wait until nothing runs, at most until then by the real clock (CLOCK_MONOTONIC): how many still
 * do. */
unsigned serve_running_wait(struct serve_service *s, int64_t until_ms);

/* A service whose answerer is given and whose model is not looked at: o->ref is its name alone.
 * self is taken, on failure too. */
int serve_service_open_answerer(struct serve_service **out, struct flow *f,
				const struct serve_options *o, const struct answerer *who,
				void *self, struct err *e) MUST_USE;
/* A service that is open becomes one of the host's, which closes it; on failure too. */
int serve_host_take(struct serve_host *h, struct serve_service *s, struct err *e) MUST_USE;
const struct env *serve_host_env(const struct serve_host *h);
struct aside *serve_host_aside(const struct serve_host *h);
/* A policy was logged (reload.c). */
void serve_host_seen(struct serve_host *h, const struct policy_profile *p);
/* A service for replay: policy and context as recorded (no key, no name); nothing is appended. */
int serve_service_open_replay(struct serve_service **out, struct flow *f,
			      const struct serve_options *o, struct err *e) MUST_USE;

#endif
