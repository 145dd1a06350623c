/* Tokens of a server's test, in a state.db of their own. */
#ifndef TESTS_SERVER_TOKENS_H
#define TESTS_SERVER_TOKENS_H

#include "access/access.h"

struct tokens {
	char dir[64];
	struct store *store;
	struct env env;
	atomic_uint changes;
	struct access *access;
};
void open_tokens(struct tokens *t);
void close_tokens(struct tokens *t); /* also one that was never opened */

/* One whose secret is known to the test, as a field of a request. */
struct made {
	struct access_grant grant;
	char field[120], key[120];
};
void make_token(struct tokens *t, struct access_grant g, struct made *out);
/* One with a secret of the test's own, which is its name too; its id is tok_NAME. */
void put_token(struct tokens *t, const char *name, const char *roles);

#endif
