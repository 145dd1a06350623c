/* What the tests of access share: a state.db of their own, and a clock that they set. */
#ifndef TESTS_ACCESS_SUPPORT_H
#define TESTS_ACCESS_SUPPORT_H

#include "access/access.h"
#include "base/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
	char dir[64];
	struct store *store;
	struct env env;
	int64_t now_us;
	atomic_uint changes;
	struct access *a;
};

void place_open(struct place *p);  /* with an access */
void place_again(struct place *p); /* closed and opened: as the next process */
void place_close(struct place *p);

/* A token of this grant, and its secret. The name is taken from the id where there is none. */
void make_token(struct place *p, struct access_grant *g, char secret[ACCESS_SECRET_ROOM]);
/* Who holds that secret now: NULL token where nobody does. */
struct access_caller who(struct place *p, const char *secret);

#endif
