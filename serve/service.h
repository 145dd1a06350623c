/* Private to serve/: a service, a chat, and the decision record that a chat ends in. serve.c opens
 * and closes services; chat.c runs one request: scan.c filters what came in, prompt.c makes of it
 * what the engine gets, choice.c runs one of the answers; decision.c writes the record, replay.c
 * runs a recorded request again and compares the two records field by field. */
#ifndef SERVE_SERVICE_H
#define SERVE_SERVICE_H

#include "base/arena.h"
#include "engine/engine.h"
#include "serve/completion.h"
#include "flow/home.h"
#include "flow/profile.h"
#include "api/api.h"

#include <stdatomic.h>

struct serve_service {
	struct flow *flow;
	struct flow_ref ref;
	struct signing_manifest manifest; /* when signed */
	struct source *verified;          /* of ref's source, when signed; else NULL */
	struct source *source;            /* the one to read: verified, or that of ref */
	struct engine *engine;
	struct policy_profile *profile; /* NULL: no policy */
	struct filter_set *none;        /* passes everything, and keeps the record */
	char model_name[256];
	struct digest root; /* of the manifest, signed or computed */
	char signer[128];   /* "" when unsigned */
	int64_t created_us;
	uint32_t context_max;
	/* as asked for: for the record, so that a replay opens the engine likewise */
	const char *weights, *cache;
	uint32_t speculation;
	int64_t timeout_us; /* 0: none */
	atomic_bool draining;
	bool recording; /* false while replaying: nothing is appended */
};

enum serve_decision_field {
	FIELD_SUBJECT,
	FIELD_CLIENT,
	FIELD_REQUEST_BYTES,
	FIELD_PROMPT_IDS,
	FIELD_PROMPT_COUNT,
	FIELD_MODEL_ROOT,
	FIELD_MODEL_SIGNER,
	FIELD_WEIGHTS_FORMAT,
	FIELD_TOKENIZER,
	FIELD_TEMPLATE,
	FIELD_TEMPLATE_KWARGS,
	FIELD_ENGINE_BUILD,
	FIELD_KERNEL_SET,
	FIELD_KERNEL_REGIMES,
	FIELD_POLICY_BUNDLE,
	FIELD_POLICY_MODE,
	FIELD_SAMPLING,
	FIELD_CONSTRAINT,
	FIELD_SCANS,
	FIELD_OUTPUT_IDS,
	FIELD_EMITTED_BYTES,
	FIELD_OUTPUT_COUNT,
	FIELD_FINISH_REASON,
	FIELD_INTERVENTIONS,
	FIELD_ROUTING,
	FIELD_LOGITS,
	FIELD_BACKEND,
	FIELD_PARAMETERS_WITHOUT_EFFECT,
	FIELD_TIMING,
	SERVE_DECISION_FIELDS,
};

/* What a replay fixes, and a first run draws. */
struct serve_chat_given {
	bool given;
	int64_t created_us;
	uint64_t seed;
};

struct serve_chat {
	struct serve_service *service;
	struct api_request request;
	struct buf body; /* the request as received */
	struct digest body_digest;
	char client[128];
	char id[160], record[96];
	uint64_t n;
	int64_t created_us, ended_us;
	int64_t deadline_us; /* monotonic; 0: none */
	uint64_t seed;
	json_t *messages, *tools; /* as the model sees them: after the rules; tools NULL: none */
	struct serve_notes notes; /* of the request's texts */
	struct token_ids prompt;
	enum reply_syntax syntax;
	bool reasons, markers; /* the answer begins in reasoning; special tokens are text */
	struct engine_constraint *constraint;
	const char *constraint_field;
	struct engine_bias *bias;
	struct serve_completion choice[API_CHOICES];
	unsigned choices, turn; /* that were opened; whose is next */
	struct serve_queue queue;
	uint8_t *known_tokens;     /* tokens.c */
	const char *finish_reason; /* of all choices, when none of them has its own */
	atomic_bool cancelled;
	bool recorded;
	const char *outcome;
	struct audit_field field[SERVE_DECISION_FIELDS];
	struct audit_receipt receipt;
	json_t *result;
};

/* The rules of a phase, or those that pass everything. */
const struct filter_set *serve_rules(const struct serve_service *s, enum policy_phase phase);
bool serve_shadowed(const struct serve_service *s);

/* Everything of the request that the model may see, through the rules of its phase, into
 * c->messages and c->tools. FILTER_COMPLETE, or why the request ends here: FILTER_BLOCKED,
 * FILTER_LIMIT. */
int serve_scan_request(struct serve_chat *c, struct err *e) MUST_USE;
/* Prompt, syntax and constraint; then a choice for each n. */
int serve_prompt_make(struct serve_chat *c, struct err *e) MUST_USE;
int serve_prompt_sessions(struct serve_chat *c, struct err *e) MUST_USE;
const char *serve_completion_finish(const struct serve_chat *c, unsigned i);

/* Ends without a service's admission checks; the service may be replaying. */
int serve_chat_open_given(struct serve_chat **out, struct serve_service *s, const void *body,
			  size_t len, const char *client, const struct serve_chat_given *given,
			  struct err *e) MUST_USE;

/* Fill c->field from the chat's state: everything that the record commits to. */
int serve_decision_fields(struct serve_chat *c, struct err *e) MUST_USE;
/* Append the record and make the receipt (c->result). Once only, whatever comes back: where the
 * record cannot be made, a `lost` one takes its number. */
int serve_decision_append(struct serve_chat *c, struct err *e) MUST_USE;
/* What the vault keeps for replay. */
int serve_decision_retained(const struct serve_chat *c, json_t **out, struct err *e) MUST_USE;

/* A service for replay: policy and context as recorded (no key, no name); nothing is appended. */
int serve_service_open_replay(struct serve_service **out, struct flow *f,
			      const struct serve_options *o, struct err *e) MUST_USE;

#endif
