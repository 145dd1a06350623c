/* Tokens in use.
 *
 * A request costs one SHA-256, one look into a table of digests and one lock of its token. Whether
 * the table of state.db has changed is a number that the process counts in memory: it is counted
 * when the log records that a token was made or revoked, by whichever process, after the row is
 * there; so the request that comes after sees it. */
#include "access/access.h"
#include "access/live.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define DAY_US 86400000000

/* ---- the table of digests ---- */

/* The digest of a secret that nobody can choose is spread evenly. */
static size_t slot_of(const struct digest *d, size_t slots)
{
	uint64_t n;
	memcpy(&n, d->bytes, sizeof n);
	return (size_t)n & (slots - 1);
}

static int grow(struct access *a, struct err *e)
{
	size_t slots = a->slots ? 2 * a->slots : 64;
	struct access_token **slot = calloc(slots, sizeof *slot);
	if (!slot)
		return err_set(e, ERR_NOMEM, "out of memory for tokens");
	for (size_t i = 0; i < a->slots; i++) {
		struct access_token *next;
		for (struct access_token *t = a->slot[i]; t; t = next) {
			size_t at = slot_of(&t->secret, slots);
			next = t->chain;
			t->chain = slot[at];
			slot[at] = t;
		}
	}
	free(a->slot);
	a->slot = slot;
	a->slots = slots;
	return 0;
}

static struct access_token *token_of(const struct access *a, const struct digest *d)
{
	struct access_token *found = NULL;
	if (!a->slots)
		return NULL;
	for (struct access_token *t = a->slot[slot_of(d, a->slots)]; t; t = t->chain)
		found = access_digest_same(&t->secret, d) ? t : found;
	return found;
}

static int token_init(struct access_token *t, struct access *a, const struct access_row *row,
		      struct err *e)
{
	*t = (struct access_token){ .a = a };
	t->grant = row->grant;
	t->secret = row->secret;
	TRY(access_roles_read(row->grant.roles, &t->permissions, e));
	t->scopes = ACCESS_SCOPES_ALL;
	if (row->grant.scopes[0])
		TRY(access_scopes_read(row->grant.scopes, &t->scopes, e));
	t->day = env_now_us(a->o.env) / DAY_US;
	t->today = row->today;
	t->spent = row->spent;
	atomic_init(&t->revoked, row->grant.revoked_us != 0);
	pthread_mutex_init(&t->lock, NULL);
	return 0;
}

static void token_free(struct access_token *t)
{
	access_cells_free(t->cells);
	pthread_mutex_destroy(&t->lock);
}

/* A row that was made or revoked; with the lock held for writing. */
static int take_row(void *ctx, const struct access_row *row, struct err *e)
{
	struct access *a = ctx;
	struct access_token *t = token_of(a, &row->secret);
	if (t) {
		if (row->grant.revoked_us)
			atomic_store(&t->revoked, true);
		return 0;
	}
	if (a->count >= a->slots)
		TRY(grow(a, e));
	t = malloc(sizeof *t);
	if (!t)
		return err_set(e, ERR_NOMEM, "out of memory for tokens");
	int rc = token_init(t, a, row, e);
	if (rc < 0) {
		free(t);
		return rc;
	}
	size_t at = slot_of(&t->secret, a->slots);
	t->chain = a->slot[at];
	a->slot[at] = t;
	a->count++;
	return 0;
}

int access_look(struct access *a, struct err *e)
{
	int64_t day_hour = env_now_us(a->o.env) / DAY_US * 24;
	pthread_rwlock_wrlock(&a->lock);
	unsigned changes = a->o.changes ? atomic_load(a->o.changes) : 0;
	int rc = access_rows_changed(a->o.store, &a->seen, day_hour, take_row, a, e);
	if (rc == 0)
		atomic_store(&a->changes, changes);
	pthread_rwlock_unlock(&a->lock);
	return rc;
}

/* ---- opening and closing ---- */

static int open_parts(struct access *a, struct err *e)
{
	static const struct access_row nobody = { .grant = { .roles = "user" } };
	TRY(token_init(&a->nobody, a, &nobody, e));
	if (a->o.address_requests_per_minute > ACCESS_RATE_MAX)
		return err_set(e, ERR_INPUT, "requests a minute of an address: at most 10^9");
	if (a->o.person_requests_per_minute > ACCESS_RATE_MAX)
		return err_set(e, ERR_INPUT, "requests a minute of a person: at most 10^9");
	if (a->o.person_requests_per_minute)
		TRY(access_addresses_open(&a->persons, a->o.env, e));
	if (a->o.address_requests_per_minute)
		TRY(access_addresses_open(&a->addresses, a->o.env, e));
	if (a->o.token_file)
		TRY(access_file_read(a->o.token_file, a->o.env, take_row, a, e));
	TRY(access_look(a, e));
	return access_usage_start(a, e);
}

int access_open(struct access **out, const struct access_options *o, struct err *e)
{
	struct access *a = calloc(1, sizeof *a);
	pthread_condattr_t steady;
	*out = NULL;
	if (!a)
		return err_set(e, ERR_NOMEM, "out of memory for tokens");
	a->o = *o;
	pthread_rwlock_init(&a->lock, NULL);
	pthread_mutex_init(&a->save_lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&a->ending, &steady);
	pthread_condattr_destroy(&steady);
	int rc = open_parts(a, e);
	if (rc < 0)
		access_close(a);
	else
		*out = a;
	return rc;
}

void access_close(struct access *a)
{
	if (!a)
		return;
	access_usage_end(a);
	for (size_t i = 0; i < a->slots; i++) {
		struct access_token *next;
		for (struct access_token *t = a->slot[i]; t; t = next) {
			next = t->chain;
			token_free(t);
			free(t);
		}
	}
	free(a->slot);
	token_free(&a->nobody);
	access_addresses_close(a->addresses);
	access_addresses_close(a->persons);
	pthread_cond_destroy(&a->ending);
	pthread_mutex_destroy(&a->save_lock);
	pthread_rwlock_destroy(&a->lock);
	free(a);
}

static bool is_taken(const struct access_token *t, int64_t now_us)
{
	return !atomic_load(&t->revoked) && (!t->grant.expires_us || now_us < t->grant.expires_us);
}

/* Take up what changed, where something did. */
static int look_again(struct access *a, struct err *e)
{
	bool same = a->o.changes && atomic_load(a->o.changes) == atomic_load(&a->changes);
	return same ? 0 : access_look(a, e);
}

size_t access_count(struct access *a, bool in_use)
{
	size_t n = 0;
	int64_t now = env_now_us(a->o.env);
	struct err ignored; /* a request says it */
	(void)!look_again(a, &ignored);
	pthread_rwlock_rdlock(&a->lock);
	for (size_t i = 0; i < a->slots; i++)
		for (const struct access_token *t = a->slot[i]; t; t = t->chain)
			n += !in_use || is_taken(t, now);
	pthread_rwlock_unlock(&a->lock);
	return n;
}

/* ---- who asks ---- */

struct access_caller access_nobody(struct access *a)
{
	return (struct access_caller){ .permissions = ACCESS_INFER,
				       .scopes = ACCESS_SCOPES_ALL,
				       .token = a ? &a->nobody : NULL };
}

int access_find(struct access *a, const char *secret, size_t len, struct access_caller *out,
		struct err *e)
{
	struct digest d = digest_of(secret, len);
	TRY(look_again(a, e));
	pthread_rwlock_rdlock(&a->lock);
	struct access_token *t = token_of(a, &d);
	pthread_rwlock_unlock(&a->lock);
	if (!t || !is_taken(t, env_now_us(a->o.env)))
		return 0;
	*out = (struct access_caller){ .permissions = t->permissions,
				       .scopes = t->scopes,
				       .token = t };
	memcpy(out->id, t->grant.id, sizeof out->id);
	memcpy(out->handle, t->grant.id, sizeof t->grant.id);
	out->names_subjects = t->grant.names_subjects;
	memcpy(out->subject, t->grant.subject, sizeof out->subject);
	return 1;
}

bool access_allows(const struct access_caller *c, const char *model, const char *policy_name,
		   const char *policy_digest)
{
	const struct access_grant *g = c->token ? &c->token->grant : NULL;
	if (!g)
		return true;
	if (g->models[0] && !text_list_has(g->models, model, strlen(model)))
		return false;
	return !g->policy[0] || (policy_name && strcmp(g->policy, policy_name) == 0) ||
	       (policy_digest && strcmp(g->policy, policy_digest) == 0);
}

/* ---- limits ---- */

void access_address_take(struct access *a, const uint8_t address[16], struct access_wait *out)
{
	*out = (struct access_wait){ 0 };
	if (!a || !a->addresses)
		return;
	uint64_t us = access_addresses_take(a->addresses, address, a->o.address_requests_per_minute,
					    env_steady_us(a->o.env));
	if (us)
		*out = (struct access_wait){ "requests per minute of an address", (us + 999) / 1000,
					     false };
}

/* A handle is as good as an address that nobody can choose: its digits stand where those of an
 * IPv6 network do. */
void access_person_take(struct access *a, const char *handle, struct access_wait *out)
{
	uint8_t network[16] = { 0 };
	*out = (struct access_wait){ 0 };
	if (!a || !a->persons)
		return;
	struct digest d = digest_of(handle, strlen(handle));
	memcpy(network, d.bytes, 8);
	uint64_t us = access_addresses_take(a->persons, network, a->o.person_requests_per_minute,
					    env_steady_us(a->o.env));
	if (us)
		*out = (struct access_wait){ "requests per minute of a person", (us + 999) / 1000,
					     false };
}

static void wait_for(struct access_wait *w, const char *limit, uint64_t us, bool hopeless)
{
	if (!w->limit || us / 1000 > w->after_ms)
		*w = (struct access_wait){ limit, (us + 999) / 1000, hopeless };
}

/* Days are of UTC. */
static void begin_day(struct access_token *t, int64_t now_us)
{
	int64_t day = now_us / DAY_US;
	if (day != t->day)
		t->today = 0;
	t->day = day;
}

/* Whether tokens of models are left: with the lock held. */
static void look_at_tokens(struct access_token *t, int64_t steady_us, struct access_wait *w)
{
	const struct access_limits *l = &t->grant.limits;
	int64_t now = env_now_us(t->a->o.env);
	uint64_t us = 0;
	if (l->tokens_per_minute)
		us = access_bucket_wait_us(&t->tokens, l->tokens_per_minute, steady_us);
	if (us)
		wait_for(w, "tokens per minute", us, false);
	begin_day(t, now);
	if (l->tokens_per_day && t->today >= l->tokens_per_day)
		wait_for(w, "tokens per day", (uint64_t)((t->day + 1) * DAY_US - now), true);
	if (l->budget && t->spent >= l->budget)
		wait_for(w, "token budget", DAY_US, true);
}

static void look_at_left(struct access_bucket *b, uint64_t rate, int64_t steady_us,
			 struct access_left *out)
{
	uint64_t full_us = 0;
	if (!rate)
		return;
	out->of = rate;
	out->left = access_bucket_left(b, rate, steady_us, &full_us);
	out->full_ms = (full_us + 999) / 1000;
}

void access_request_take(struct access_token *t, bool draws, struct access_state *out)
{
	*out = (struct access_state){ 0 };
	if (!t)
		return;
	const struct access_limits *l = &t->grant.limits;
	int64_t now = env_steady_us(t->a->o.env);
	pthread_mutex_lock(&t->lock);
	if (draws)
		look_at_tokens(t, now, &out->wait);
	if (!out->wait.limit && l->requests_per_minute) {
		uint64_t us = access_bucket_take(&t->requests, l->requests_per_minute, now);
		if (us)
			wait_for(&out->wait, "requests per minute", us, false);
	}
	look_at_left(&t->requests, l->requests_per_minute, now, &out->requests);
	look_at_left(&t->tokens, l->tokens_per_minute, now, &out->tokens);
	pthread_mutex_unlock(&t->lock);
}

void access_answer_begin(struct access_token *t, struct access_wait *out)
{
	*out = (struct access_wait){ 0 };
	if (!t)
		return;
	uint64_t most = t->grant.limits.streams;
	pthread_mutex_lock(&t->lock);
	if (most && t->streams >= most)
		*out = (struct access_wait){ "answers at once", 1000, false };
	else
		look_at_tokens(t, env_steady_us(t->a->o.env), out); /* others drew meanwhile */
	t->streams += !out->limit;
	pthread_mutex_unlock(&t->lock);
}

void access_answer_end(struct access_token *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->streams--;
	pthread_mutex_unlock(&t->lock);
}

/* With the lock held. */
static const char *what_is_over(const struct access_token *t)
{
	const struct access_limits *l = &t->grant.limits;
	if (atomic_load(&t->revoked))
		return "the token was revoked";
	if (l->budget && t->spent > l->budget)
		return "the token's budget is used up";
	return l->tokens_per_day && t->today > l->tokens_per_day
		       ? "the token's tokens of the day are used up"
		       : NULL;
}

const char *access_count_usage(struct access_token *t, const char *model,
			       const struct access_usage *u)
{
	struct err ignored; /* the next request says it */
	if (!t)
		return NULL;
	uint64_t n = u->prompt + u->completion, rate = t->grant.limits.tokens_per_minute;
	if (t->a->o.changes)
		(void)!look_again(t->a, &ignored);
	pthread_mutex_lock(&t->lock);
	begin_day(t, env_now_us(t->a->o.env));
	t->today += n;
	t->spent += n;
	if (n && rate)
		access_bucket_owe(&t->tokens, rate, n, env_steady_us(t->a->o.env));
	access_usage_note(t, model, u);
	const char *over = what_is_over(t);
	pthread_mutex_unlock(&t->lock);
	return over;
}
