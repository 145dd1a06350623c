#include "tests/access/support.h"

static void begin(struct place *p)
{
	struct err e = { 0 };
	struct access_options o = { .store = p->store, .env = &p->env, .changes = &p->changes };
	cr_assert_eq(access_open(&p->a, &o, &e), 0, "%s", e.text);
}

void place_open(struct place *p)
{
	struct err e = { 0 };
	char path[80];
	memset(p, 0, sizeof *p);
	snprintf(p->dir, sizeof p->dir, "/dev/shm/test-access-XXXXXX");
	if (!mkdtemp(p->dir)) {
		snprintf(p->dir, sizeof p->dir, "/tmp/test-access-XXXXXX");
		cr_assert(mkdtemp(p->dir));
	}
	snprintf(path, sizeof path, "%s/state.db", p->dir);
	cr_assert_eq(store_open(&p->store, path, &e), 0, "%s", e.text);
	p->env = env_system();
	p->now_us = 1795312345678901;
	p->env.clock = clock_fixed(&p->now_us);
	begin(p);
}

void place_again(struct place *p)
{
	access_close(p->a);
	begin(p);
}

void place_close(struct place *p)
{
	access_close(p->a);
	store_close(p->store);
	cr_assert_eq(file_remove_tree(p->dir, NULL), 0);
}

void make_token(struct place *p, struct access_grant *g, char secret[ACCESS_SECRET_ROOM])
{
	struct err e = { 0 };
	access_secret_draw(&p->env, g, secret);
	if (!g->name[0])
		snprintf(g->name, sizeof g->name, "n%.20s", g->id + 4);
	if (!g->roles[0])
		strcpy(g->roles, "user");
	g->made_us = p->now_us;
	struct digest d = digest_of(secret, strlen(secret));
	cr_assert_eq(access_token_add(p->store, g, &d, &e), 0, "%s", e.text);
	atomic_fetch_add(&p->changes, 1);
}

struct access_caller who(struct place *p, const char *secret)
{
	struct access_caller c = { 0 };
	struct err e = { 0 };
	int rc = access_find(p->a, secret, strlen(secret), &c, &e);
	cr_assert(rc >= 0, "%s", e.text);
	return c;
}
