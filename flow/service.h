/* Private to flow/: a service, a chat, and the decision record that a chat ends in. serve.c opens
 * and closes services, chat.c runs one request, decision.c writes its record, replay.c runs a
 * recorded request again and compares the two records field by field. */
#ifndef FLOW_SERVICE_H
#define FLOW_SERVICE_H

#include "base/arena.h"
#include "engine/engine.h"
#include "flow/home.h"
#include "flow/profile.h"
#include "flow/request.h"

#include <stdatomic.h>

struct flow_service {
	struct flow *flow;
	struct flow_ref ref;
	struct signing_manifest manifest; /* of a signed folder */
	struct source *source;
	struct engine *engine;
	struct policy_profile *profile; /* NULL: no policy */
	struct filter_set *none;        /* passes everything, and keeps the record */
	char model_name[256];
	struct digest root; /* of the manifest, signed or computed */
	char signer[128];   /* "" when unsigned */
	int64_t created_us;
	uint32_t context_max;
	atomic_bool draining;
	bool recording; /* false while replaying: nothing is appended */
};

enum flow_decision_field {
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
	FLOW_DECISION_FIELDS,
};
extern const char *const flow_decision_names[FLOW_DECISION_FIELDS];

/* What a replay fixes, and a first run draws. */
struct flow_chat_given {
	bool given;
	int64_t created_us;
	uint64_t seed;
};

struct flow_chat {
	struct flow_service *service;
	struct flow_request request;
	struct buf body; /* the request as received */
	struct digest body_digest;
	char client[128];
	char id[160], record[96];
	uint64_t n;
	int64_t created_us, ended_us;
	uint64_t seed;
	json_t *messages; /* as the model sees them: after the input rules */
	json_t *scans, *interventions;
	struct engine_ids prompt;
	struct engine_session *session;
	struct filter_stream *filter;
	struct buf emitted;        /* what went out, for the vault */
	const char *finish_reason; /* NULL while running */
	bool flushed;              /* the last text was handed out */
	bool recorded;
	const char *outcome;
	struct arena values; /* holds the field values */
	struct audit_field field[FLOW_DECISION_FIELDS];
	struct audit_receipt receipt;
	json_t *result;
};

/* Ends without a service's admission checks; the service may be replaying. */
int flow_chat_open_given(struct flow_chat **out, struct flow_service *s, const void *body,
			 size_t len, const char *client, const struct flow_chat_given *given,
			 struct err *e) MUST_USE;

/* Fill c->field from the chat's state: everything that the record commits to. */
int flow_decision_fields(struct flow_chat *c, struct err *e) MUST_USE;
/* Append the record and make the receipt (c->result). Once only, whatever comes back: where the
 * record cannot be made, a `lost` one takes its number. */
int flow_decision_append(struct flow_chat *c, struct err *e) MUST_USE;
/* What a stream's record says, into the chat's scans, interventions and outcome. */
int flow_decision_note(struct flow_chat *c, const char *phase, size_t index,
		       const struct filter_record *r, struct err *e) MUST_USE;
/* Canonical bytes that the vault keeps for replay. */
int flow_decision_retained(const struct flow_chat *c, struct buf *out, struct err *e) MUST_USE;

/* A service for replay: policy and context as recorded (no key, no name); nothing is appended. */
int flow_service_open_replay(struct flow_service **out, struct flow *f, const struct flow_serve *o,
			     struct err *e) MUST_USE;

#endif
