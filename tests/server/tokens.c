#include "tests/server/tokens.h"
#include "base/file.h"
#include "base/store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void open_tokens(struct tokens *t)
{
	struct err e = { 0 };
	char path[80];
	*t = (struct tokens){ .env = env_system() };
	snprintf(t->dir, sizeof t->dir, "/dev/shm/test-tokens-XXXXXX");
	cr_assert(mkdtemp(t->dir));
	snprintf(path, sizeof path, "%s/state.db", t->dir);
	cr_assert_eq(store_open(&t->store, path, &e), 0, "%s", e.text);
	struct access_options o = { .store = t->store, .env = &t->env, .changes = &t->changes };
	cr_assert_eq(access_open(&t->access, &o, &e), 0, "%s", e.text);
}

void close_tokens(struct tokens *t)
{
	if (!t->store)
		return;
	access_close(t->access);
	store_close(t->store);
	t->store = NULL;
	cr_assert_eq(file_remove_tree(t->dir, NULL), 0);
}

static void add(struct tokens *t, const struct access_grant *g, const char *secret)
{
	struct err e = { 0 };
	struct digest d = digest_of(secret, strlen(secret));
	cr_assert_eq(access_token_add(t->store, g, &d, &e), 0, "%s", e.text);
	atomic_fetch_add(&t->changes, 1);
}

void make_token(struct tokens *t, struct access_grant g, struct made *out)
{
	char secret[ACCESS_SECRET_ROOM];
	access_secret_draw(&t->env, &g, secret);
	snprintf(g.name, sizeof g.name, "n%.20s", g.id + 4);
	add(t, &g, secret);
	out->grant = g;
	snprintf(out->field, sizeof out->field, "Authorization: Bearer %s\r\n", secret);
	snprintf(out->key, sizeof out->key, "x-api-key: %s\r\n", secret);
}

void put_token(struct tokens *t, const char *name, const char *roles)
{
	struct access_grant g = { .id = "" };
	snprintf(g.id, sizeof g.id, "tok_%.19s", name);
	snprintf(g.name, sizeof g.name, "%.64s", name);
	snprintf(g.roles, sizeof g.roles, "%.63s", roles);
	add(t, &g, name);
}
