/* Private to serve/: one request. scan.c filters its texts, the service's answerer turns it into
 * events, completion.c filters those of each choice, record.c writes the decision record. */
#ifndef SERVE_CHAT_H
#define SERVE_CHAT_H

#include "audit/subject.h"
#include "serve/completion.h"
#include "serve/decision.h"
#include "serve/measures.h"
#include "serve/service.h"

/* What a replay fixes, and a first run draws. */
struct serve_chat_given {
	enum api_shape shape; /* of the request, also in a first run */
	bool given;
	bool counts; /* the prompt's tokens alone are wanted: nothing is named or recorded */
	int64_t created_us;
	int64_t seed;
	const char *record;           /* "WORKER/N": calls are named after it */
	const struct digest *body;    /* of the request as it came; NULL: not known */
	json_t *without_effect;       /* names of its fields that changed nothing */
	json_t *from_model;           /* and of those that the model's files decided; or NULL */
	const char *constraint_field; /* that asked for the constraint, or NULL */
	json_t *scans,
		*interventions; /* of its texts, which have passed the rules; NULL: have not */
};

struct serve_chat {
	struct serve_service *service; /* NULL until it was found */
	struct serve_bundle *bundle;   /* held: the policy that the chat began under */
	struct serve_chat_given given;
	struct api_request request;
	struct digest body_digest;       /* of the request as received */
	char client[128], share[128];    /* "": unknown; share: of the answerer's places */
	char group[136];                 /* of kept prefixes */
	char subject[AUDIT_HANDLE_ROOM]; /* of the person who asks; "": unknown */
	char id[160], record[96];
	uint64_t n; /* the record's number */
	int64_t created_us;
	int64_t begun_us;           /* the same moment by the steady clock */
	int64_t deadline_us;        /* likewise; 0: none */
	int64_t asked_us, first_us; /* it came, by the same clock; from then to its first text */
	bool measured;              /* counted, from its admission on */
	struct serve_facts *facts;  /* what its caller wants to know in the end, or NULL */
	int64_t seed;
	bool filtered;     /* rules may withhold something of an answer */
	unsigned steering; /* serve_steering of the request */
	/* As the model sees them: after the rules. tools, kwargs NULL: none */
	json_t *messages, *tools, *kwargs;
	json_t *prompt; /* of a completion: a text, or ids; bare: the tokenizer adds nothing to it */
	bool bare;
	struct buf echo;               /* the prompt as a text, where the answer begins with it */
	json_t *from_model;            /* names of sampling fields that the model's files decided */
	uint64_t prompt_tokens, drawn; /* drawn: by all choices */
	struct serve_notes notes;      /* of the request's texts */
	struct answer *answer;         /* NULL until the request has passed its rules */
	struct serve_completion choice[API_CHOICES];
	unsigned choices, turn; /* that were begun; whose is next */
	struct serve_queue queue;
	const char *finish_reason; /* of all choices, when none of them has its own */
	atomic_bool cancelled;
	struct serve_beside beside; /* its long work, while it is opened */
	struct aside_job job;
	const void *body; /* while it is read: [body_len] */
	size_t body_len;
	/* Among those that run (running.c); under the service's lock. */
	struct serve_chat *before, *after;
	bool running, live;   /* live: its answer is open, and may be cancelled */
	atomic_int cut;       /* enum serve_cut */
	bool overdue;         /* its deadline has passed */
	const char *ended_by; /* why it ended early: "operator", "client", "deadline", or the
				  name of an error; NULL: it did not */
	char ended_why[SERVE_REASON_MAX + 1]; /* an operator's reason */
	bool recorded;
	const char *outcome;
	struct decision decision; /* once recorded */
	struct audit_receipt receipt;
	json_t *result;
};

/* Of the bundle; NULL: no policy. */
const struct policy_profile *serve_chat_profile(const struct serve_chat *c);
/* The rules of a phase, or those that pass everything (scan.c). */
const struct filter_set *serve_rules(const struct serve_chat *c, enum policy_phase phase);
bool serve_shadowed(const struct serve_chat *c);

/* Whether other clients have answers in the making. */
bool serve_has_company(const struct serve_chat *c);

/* The text that calls are named after. */
const char *serve_chat_name(const struct serve_chat *c);

/* The client's say in how an answer is written: FILTER_STEERED, FILTER_SHAPED (steering.c). */
unsigned serve_steering(const struct api_request *q);
/* Whether the content can be nothing but one JSON value. */
bool serve_content_is_json(const struct serve_chat *c);

/* Whether the prompt may fit into the context at all, by its bytes, before it is looked at.
 * ERR_INPUT: it cannot. */
int serve_check_length(const struct serve_service *s, const struct api_request *q,
		       struct err *e) MUST_USE;
/* The same of one text of so many bytes. */
int serve_check_text(const struct serve_service *s, size_t len, struct err *e) MUST_USE;
/* Everything of the request that the model may see, through the rules of its phase, into
 * c->messages, c->tools and c->kwargs. FILTER_COMPLETE, or why the request ends here:
 * FILTER_BLOCKED, FILTER_LIMIT. */
int serve_scan_request(struct serve_chat *c, struct err *e) MUST_USE;

/* Ends without a service's admission checks; the service may be replaying. */
int serve_chat_open_given(struct serve_chat **out, struct serve_service *s, const void *body,
			  size_t len, const struct serve_caller *by,
			  const struct serve_chat_given *given, struct err *e) MUST_USE;

/* ---- running.c ---- */

/* What an operator did to an answer that runs. */
enum serve_cut { SERVE_UNCUT, SERVE_CUT_STOPPED, SERVE_CUT_DRAINED };

/* From here on an operator may cut it. ERR_UNAVAILABLE: nothing new is taken. */
int serve_running_enter(struct serve_chat *c, struct err *e) MUST_USE;
/* Its answer is open. ERR_UNAVAILABLE: it was cut meanwhile. */
int serve_running_live(struct serve_chat *c, struct err *e) MUST_USE;
/* Whether it was cut; then e says so. */
bool serve_running_cut(struct serve_chat *c, struct err *e);
/* Before its answer is closed. */
void serve_running_leave(struct serve_chat *c);

/* ---- record.c ---- */

/* Fill c->decision from the chat's state. */
int serve_record_decide(struct serve_chat *c, struct err *e) MUST_USE;
/* Append the record and make the receipt (c->result). Once only, whatever comes back: where the
 * record cannot be made, a `lost` one takes its number. Nothing is appended while replaying. */
int serve_record_append(struct serve_chat *c, struct err *e) MUST_USE;
const char *serve_record_finish(const struct serve_chat *c, unsigned choice);

#endif
