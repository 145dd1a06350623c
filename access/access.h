/* Access: who asks. Tokens of 256 random bits of which only the SHA-256 is kept, the roles and
 * bindings they stand for, their limits, and what each has used. It knows base alone. */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "base/digest.h"
#include "base/env.h"
#include "base/json.h"
#include "base/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- what there is to allow ---- */

/* A bit each. A route names those of which one suffices; 0 lets nobody in. */
enum access_permission {
	ACCESS_INFER = 1u << 0,        /* ask the models, read one's own receipts */
	ACCESS_RECEIPTS_ALL = 1u << 1, /* read any receipt */
	ACCESS_METRICS = 1u << 2,
	ACCESS_OPERATE = 1u << 3, /* reload, stop, pause, drain */
	ACCESS_TOKENS = 1u << 4,  /* make and revoke tokens */
	ACCESS_OPEN = 1u << 5,    /* of a route alone: whoever asks, with a token or without */
};

/* Of what INFER allows: a token may be bound to some. A route that names none is for all. */
enum access_scope {
	ACCESS_CHAT = 1u << 0,
	ACCESS_COMPLETIONS = 1u << 1,
	ACCESS_RESPONSES = 1u << 2,
	ACCESS_MESSAGES = 1u << 3,
	ACCESS_TOKENIZE = 1u << 4, /* texts into tokens and back; templates */
	ACCESS_SCOPES_ALL = (1u << 5) - 1,
};

/* Roles are named sets of permissions: "user", "auditor", "monitor", "operator", "admin"; scopes
 * "chat", "completions", "responses", "messages", "tokenize". list: names with commas between them.
 * ERR_INPUT: one is none of these. */
int access_roles_read(const char *list, unsigned *permissions, struct err *e) MUST_USE;
int access_scopes_read(const char *list, unsigned *scopes, struct err *e) MUST_USE;

/* ---- tokens ---- */

#define ACCESS_ID_ROOM 24
#define ACCESS_SECRET_ROOM 48 /* "hm_" and 43 characters of base64url: 256 bits */
#define ACCESS_LIMIT_MAX 1000000000000u

/* 0: no such limit. Tokens of models are counted as prompt and completion together. */
struct access_limits {
	uint64_t requests_per_minute, tokens_per_minute, tokens_per_day;
	uint64_t budget;  /* tokens in all */
	uint64_t streams; /* answers at once */
};

/* What a token is made with. Texts are "" where nothing is bound. */
struct access_grant {
	char id[ACCESS_ID_ROOM]; /* "tok_" and 16 hex digits */
	char name[65];           /* of [A-Za-z0-9._-]; one token in use has it */
	char roles[64], scopes[80];
	char models[1024]; /* names with commas between them */
	char policy[256];  /* name or digest of the policy under which alone it may ask */
	int64_t made_us, expires_us, revoked_us; /* since 1970; 0: not */
	struct access_limits limits;
	bool names_subjects; /* its requests may say who the person is that asks */
	char subject[40];    /* handle of the one person whose token it is; "": nobody's */
};
/* ERR_INPUT: a text that is none of its kind, or a limit beyond ACCESS_LIMIT_MAX. */
int access_grant_check(const struct access_grant *g, struct err *e) MUST_USE;
/* As it stands in reports and in the table, without the secret. */
int access_grant_json(const struct access_grant *g, json_t **out, struct err *e) MUST_USE;

/* A new secret, and the id of its token into g. */
void access_secret_draw(const struct env *env, struct access_grant *g,
			char secret[ACCESS_SECRET_ROOM]);

/* The tables, part "access" of state.db. */
int access_schema(struct store_tx *tx, struct err *e) MUST_USE;
/* ERR_CONFLICT: a token in use has the name. Other processes take it up with the next count of
 * their access_options.changes, or within a second. */
int access_token_add(struct store *s, const struct access_grant *g, const struct digest *secret,
		     struct err *e) MUST_USE;
/* One whose secret nobody was told: it is listed as revoked when it was made. */
void access_token_remove(struct store *s, const char *id);
/* By id, or by the name of one in use. *told: of a revoked one: that it is, is in the log. */
int access_token_find(struct store *s, const char *which, struct access_grant *out, bool *told,
		      struct err *e) MUST_USE;
int access_token_revoke(struct store *s, const char *id, int64_t now_us, bool told,
			struct err *e) MUST_USE;
/* {tokens: [grants, with used_tokens]}, in the order of their last changes. */
int access_token_list(struct store *s, json_t **report, struct err *e) MUST_USE;
/* {usage: [{hour, token, name, model, requests, prompt_tokens, cached_tokens, completion_tokens,
 * refused}]} of hours that begin in [from_us, to_us). */
int access_usage_list(struct store *s, int64_t from_us, int64_t to_us, json_t **report,
		      struct err *e) MUST_USE;

/* ---- in use ---- */

struct access;
struct access_token; /* its limits and counts; any thread */

struct access_options {
	struct store *store; /* state.db, borrowed */
	const struct env *env;
	/* Counts what was made or revoked, in this process or another: borrowed. NULL: the table is
	 * looked at for each request. */
	const atomic_uint *changes;
	const char *token_file; /* more tokens, NAME ROLES SECRET a line; NULL: none */
	uint64_t address_requests_per_minute; /* 0: any number */
	uint64_t person_requests_per_minute;  /* likewise, whatever tokens they come with */
};
/* Starts a thread that makes usage durable, every second. */
int access_open(struct access **out, const struct access_options *o, struct err *e) MUST_USE;
/* Usage is durable, or *e says why it is not. NULL is fine. */
void access_close(struct access *a);
/* How many tokens there are: of those that would be taken now, or of all that were ever made. */
size_t access_count(struct access *a, bool in_use);

/* What a request's token stands for. */
struct access_caller {
	char id[ACCESS_ID_ROOM];    /* "": nobody said who they are */
	char handle[64];            /* printable; goes into the record of an answer; or "" */
	unsigned permissions;       /* of enum access_permission */
	unsigned scopes;            /* of enum access_scope */
	bool names_subjects;        /* its requests may say who the person is that asks */
	char subject[40];           /* handle of the one person whose token it is; "": nobody's */
	struct access_token *token; /* until access_close; NULL: nothing is counted */
};

/* Whoever asks where no token is asked for: all models, nothing else. a: who counts, or NULL. */
struct access_caller access_nobody(struct access *a);

/* Whose secret that is: 1, or 0 for nobody's: unknown, expired and revoked look alike. Secrets are
 * compared by their digests, in constant time. ERR_*: the table cannot be read now. */
int access_find(struct access *a, const char *secret, size_t len, struct access_caller *out,
		struct err *e) MUST_USE;
/* Whether it may ask that model, under a policy of that name and digest (NULL: none). */
bool access_allows(const struct access_caller *c, const char *model, const char *policy_name,
		   const char *policy_digest);

/* Why a request has to wait, and what is left. */
struct access_wait {
	const char *limit; /* "requests per minute"; NULL: it has not */
	uint64_t after_ms; /* until when it is of no use to ask again */
	bool hopeless;     /* nor is asking again soon */
};
struct access_left {
	uint64_t of, left, full_ms; /* of: 0: no limit; full_ms: until all is there again */
};
struct access_state {
	struct access_wait wait;
	struct access_left requests, tokens; /* of a minute */
};
/* Count a request of an address (IPv6, or mapped IPv4; an IPv6 client has its /64). Memory is
 * bounded: an address that is pushed out by others begins anew. */
void access_address_take(struct access *a, const uint8_t address[16], struct access_wait *out);
/* Likewise of a person, by handle. */
void access_person_take(struct access *a, const char *handle, struct access_wait *out);
/* Count a request, unless a limit of its token says no. draws: tokens of a model will be. */
void access_request_take(struct access_token *t, bool draws, struct access_state *out);

/* An answer begins: *out as above. Where it may, each begin has its end. */
void access_answer_begin(struct access_token *t, struct access_wait *out);
void access_answer_end(struct access_token *t);
/* More of what a model has read and drawn, or requests of it that began or were refused. */
struct access_usage {
	uint64_t requests, prompt, cached, completion, refused;
};
/* NULL, or why an answer that runs has to end: what its token is allowed in a day or in all is used
 * up and more was drawn, or it was revoked. Static. */
const char *access_count_usage(struct access_token *t, const char *model,
			       const struct access_usage *u);

#endif
