/* Private to serve/: the decision record of one answered request, as a value. A chat fills it, and
 * so can any other code that answers requests; a replay compares two. */
#ifndef SERVE_DECISION_H
#define SERVE_DECISION_H

#include "audit/audit.h"
#include "serve/answerer.h"

struct decision_choice {
	const char *finish_reason;
	struct digest emitted; /* of what went out: content, reasoning, each call */
	json_t *output;        /* owned: that itself, to be kept for replay */
};

/* Everything is borrowed but what says otherwise; zero and NULL: absent. */
struct decision {
	const char *client, *subject;     /* "": unknown; subject: a handle */
	const struct digest *body_digest; /* of the request as received */
	const struct api_request *asked;
	const json_t *from_model; /* names of sampling fields that the model's files decided */
	json_t *request;          /* owned: as it is kept for replay; NULL: it is not, */
	const char *not_kept;     /* and why */
	bool keeps_nothing;       /* but the fields */
	bool hides_ids;           /* what was drawn is not kept */
	int64_t seed;
	int64_t created_us, ended_us;
	const struct digest *root;    /* of the model */
	const char *signer;           /* "": unsigned */
	const struct digest *adapter; /* merged into it; NULL: none */
	const char *adapter_signer;
	const char *build; /* of this program */
	const char *backend;
	const char *shape; /* of the API that was asked: "chat" */
	struct answer_model model;
	struct answer_facts answer;
	const struct digest *bundle; /* of the policy; NULL: none */
	const char *mode;
	const struct buf *scans; /* items of an array, in canonical text; NULL: none */
	const json_t *interventions;
	struct decision_choice choice[API_CHOICES]; /* [asked->n] */
	const char *outcome;
	const char *ended_by, *ended_why; /* early, by whom, and why; NULL: it was not; unknown */
};
void serve_decision_free(struct decision *d);
/* {root, signer} of an adapter (new reference). */
json_t *serve_decision_adapter(const struct digest *root, const char *signer);

#define DECISION_FIELDS 36

/* The record's fields, in the order of audit's table, and the canonical text of each. */
struct decision_fields {
	struct audit_field field[DECISION_FIELDS];
	const char *text[DECISION_FIELDS];
	size_t count;
	struct buf all; /* of these texts, each with its NUL */
};
int serve_decision_fields(const struct decision *d, struct decision_fields *out,
			  struct err *e) MUST_USE;
/* What a client's receipt discloses of them: NULL-terminated names. */
extern const char *const serve_decision_shown[];
void serve_decision_fields_free(struct decision_fields *f);
/* What of the request had no effect: fields, and keywords of its schema (new reference; NULL
 * without memory). */
json_t *serve_decision_unused(const struct decision *d);
/* What the vault keeps for replay, appended in canonical JSON; nothing: nothing is kept. */
int serve_decision_retained(const struct decision *d, struct buf *out, struct err *e) MUST_USE;

/* ---- what was scanned (decision_scan.c) ---- */

struct filter_record;

/* Where a scanned text stood: item and member only where member is given. */
struct serve_scan {
	const char *phase;
	size_t index; /* of the message, the tool, or the choice */
	const char *member;
	size_t item;
	uint64_t before; /* its first bytes, which were read beside it and are no part of it */
};
struct serve_notes {
	struct buf scans; /* items of an array, in canonical text */
	size_t scan_count;
	json_t *interventions;
	bool discreet; /* no digest of a text that a rule changed is noted */
	bool redacted;
	int stopped; /* FILTER_BLOCKED or FILTER_LIMIT; else 0 */
};
int serve_notes_init(struct serve_notes *n, bool discreet, struct err *e) MUST_USE;
void serve_notes_free(struct serve_notes *n);
/* What a stream's record says. */
int serve_notes_add(struct serve_notes *n, const struct serve_scan *where,
		    const struct filter_record *r, struct err *e) MUST_USE;
/* What is known of scans already: two arrays. */
int serve_notes_add_given(struct serve_notes *n, const json_t *scans, const json_t *interventions,
			  struct err *e) MUST_USE;
/* Those of a choice behind those of the request. */
int serve_notes_join(struct serve_notes *n, const struct serve_notes *more, struct err *e) MUST_USE;

#endif
