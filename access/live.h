/* Private: what is in use.
 *
 * A token stays in memory from when it was first seen until access_close, revoked ones too: whoever
 * holds a pointer to one may keep it. Its counts are behind its own lock; the table of them behind
 * the lock of struct access, which readers share. */
#ifndef ACCESS_LIVE_H
#define ACCESS_LIVE_H

#include "access/bucket.h"
#include "access/grant.h"

#include <pthread.h>

struct access_token {
	struct access *a;
	struct access_token *chain; /* of the same slot of the table */
	struct access_grant grant;  /* but for revoked_us, which stays as it was */
	struct digest secret;
	unsigned permissions, scopes;
	atomic_bool revoked;
	pthread_mutex_t lock; /* of what follows */
	struct access_bucket requests, tokens;
	int64_t day;           /* since 1970, of today */
	uint64_t today, spent; /* tokens of models */
	uint64_t streams;
	struct access_cell *cells;    /* counted, and not in the table of usage yet */
	struct access_token *unsaved; /* next of those that have cells */
	bool is_unsaved;
};

struct access_addresses;

struct access {
	struct access_options o;
	atomic_uint changes;   /* of o.changes, when the table was read last */
	pthread_rwlock_t lock; /* of the next four */
	struct access_token **slot;
	size_t slots, count; /* slots: a power of two */
	int64_t seen;        /* number of the last change */
	struct access_token nobody;
	struct access_addresses *addresses, *persons; /* NULL: not limited */
	pthread_mutex_t save_lock;                    /* of the next three */
	pthread_cond_t ending;
	bool ends;
	struct access_token *unsaved;
	pthread_t saver;
	bool has_saver;
	struct err save_err; /* of the last try that failed; the saver's */
};

/* Take up what was made or revoked since. */
int access_look(struct access *a, struct err *e) MUST_USE;

/* address.c */
int access_addresses_open(struct access_addresses **out, const struct env *env,
			  struct err *e) MUST_USE;
void access_addresses_close(struct access_addresses *m); /* NULL is fine */
/* As access_bucket_take, of that address. */
uint64_t access_addresses_take(struct access_addresses *m, const uint8_t address[16], uint64_t rate,
			       int64_t now_us);

/* usage.c: what was counted becomes durable. */
int access_usage_start(struct access *a, struct err *e) MUST_USE;
void access_usage_end(struct access *a); /* the last of it too */
/* With the token's lock held: counted, of this model. */
void access_usage_note(struct access_token *t, const char *model, const struct access_usage *u);
void access_cells_free(struct access_cell *cells);

/* token_file.c: rows of a file of tokens. */
int access_file_read(const char *path, const struct env *env,
		     int (*take)(void *ctx, const struct access_row *row, struct err *e), void *ctx,
		     struct err *e) MUST_USE;

#endif
