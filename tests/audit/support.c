#include "support.h"

#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void no_step(void *ctx, const char *step)
{
	(void)ctx;
	(void)step;
}

void place_make(struct place *p)
{
	struct err e = { 0 };

	memset(p, 0, sizeof(*p));
	/* In memory where possible: these tests kill processes, not power, and a slow disk would
	 * rule their time. */
	snprintf(p->home, sizeof(p->home), "/dev/shm/test-audit-XXXXXX");
	if (!mkdtemp(p->home)) {
		snprintf(p->home, sizeof(p->home), "/tmp/test-audit-XXXXXX");
		cr_assert(mkdtemp(p->home));
	}
	snprintf(p->log, sizeof(p->log), "%s/log", p->home);
	p->time_us = 1795312345000000;
	p->env = env_system();
	p->env.clock = clock_fixed(&p->time_us);
	p->env.steps = (struct steps){ no_step, NULL };
	cr_assert_eq(signing_identity_create(p->home, "log", NULL, &p->env, &e), 0, "%s", e.text);
	cr_assert_eq(signing_identity_open(&p->key, p->home, "log", NULL, &e), 0, "%s", e.text);
}

struct audit_options place_options(const struct place *p)
{
	return (struct audit_options){ .home = p->home,
				       .store = p->store,
				       .keys = p->keys,
				       .key = p->key,
				       .vault = p->vault,
				       .vault_before = p->vault_before,
				       .origin = PLACE_ORIGIN,
				       .env = &p->env,
				       .journal = p->journal,
				       .hook = p->hook };
}

static int open_stores(struct place *p, struct err *e)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/state.db", p->home);
	TRY(store_open(&p->store, path, e));
	snprintf(path, sizeof(path), "%s/keys.db", p->home);
	return store_open(&p->keys, path, e);
}

void place_stores(struct place *p)
{
	struct err e = { 0 };
	cr_assert_eq(open_stores(p, &e), 0, "%s", e.text);
}

int place_try_open(struct place *p, struct err *e)
{
	TRY(open_stores(p, e));
	struct audit_options o = place_options(p);
	int rc = audit_log_open(&p->log_open, &o, e);
	if (rc < 0) {
		place_close(p);
		return rc;
	}
	buf_clear(&p->vkey);
	return audit_log_vkey(p->log_open, &p->vkey, e);
}

void place_open(struct place *p)
{
	struct err e = { 0 };
	cr_assert_eq(place_try_open(p, &e), 0, "%s", e.text);
}

void place_close(struct place *p)
{
	audit_log_close(p->log_open);
	store_close(p->store);
	store_close(p->keys);
	p->log_open = NULL;
	p->store = p->keys = NULL;
}

void place_remove(struct place *p)
{
	place_close(p);
	signing_identity_close(p->key);
	signing_identity_close(p->vault);
	signing_identity_close(p->vault_before);
	buf_free(&p->vkey);
	cr_assert_eq(file_remove_tree(p->home, NULL), 0);
}

uint64_t place_reserve(struct place *p)
{
	struct err e = { 0 };
	uint64_t n;

	cr_assert_eq(audit_log_reserve(p->log_open, &n, &e), 0, "%s", e.text);
	return n;
}

void place_start(struct place *p)
{
	json_t *body = json_pack("{s:s}", "build", "test");
	struct audit_record r = { .type = "start", .n = AUDIT_NEXT, .body = body };
	struct audit_receipt receipt;
	struct err e = { 0 };

	cr_assert_eq(audit_log_append(p->log_open, &r, &receipt, &e), 0, "%s", e.text);
	json_decref(body);
}

void place_stop(struct place *p)
{
	struct audit_receipt receipt;
	struct err e = { 0 };

	cr_assert_eq(audit_log_stop(p->log_open, &receipt, &e), 0, "%s", e.text);
}

uint64_t place_note(struct place *p, const char *text)
{
	json_t *body = json_pack("{s:s}", "text", text);
	struct audit_record r = { .type = "registry",
				  .n = place_reserve(p),
				  .body = body };
	struct audit_receipt receipt;
	struct err e = { 0 };

	cr_assert_eq(audit_log_append(p->log_open, &r, &receipt, &e), 0, "%s", e.text);
	json_decref(body);
	return receipt.index;
}

uint64_t place_decision(struct place *p, const char *subject, const char *text)
{
	const char *const *names = audit_type_find("decision")->field;
	struct audit_field field[PLACE_FIELDS];
	struct err e = { 0 };
	struct audit_receipt receipt;

	for (size_t i = 0; i < PLACE_FIELDS; i++)
		field[i] = (struct audit_field){ .name = names[i] };
	field[1].value = json_string(text);
	field[2].value = json_integer(7);
	struct audit_record r = { .type = "decision",
				  .n = place_reserve(p),
				  .field = field,
				  .field_count = PLACE_FIELDS,
				  .outcome = "completed",
				  .subject = subject,
				  .retained = json_pack("{s:s}", "more", "kept") };
	cr_assert_eq(audit_log_append(p->log_open, &r, &receipt, &e), 0, "%s", e.text);
	json_decref(field[1].value);
	json_decref(field[2].value);
	json_decref(r.retained);
	return receipt.index;
}

void place_incident(struct audit_field field[PLACE_INCIDENT], json_t *text)
{
	const char *const *name = audit_type_find("incident")->field;
	for (size_t i = 0; i < PLACE_INCIDENT; i++)
		field[i] = (struct audit_field){ name[i], i == 6 ? text : NULL };
}

struct audit_verdict *place_verify(struct place *p, bool with_store)
{
	static struct audit_verdict v;
	struct err e = { 0 };

	cr_assert_eq(audit_verify(p->log, p->vkey.bytes, with_store ? p->store : NULL, &v, &e), 0,
		     "%s", e.text);
	return &v;
}

void place_expect_clean(struct place *p)
{
	struct audit_verdict *v = place_verify(p, p->store != NULL);
	cr_assert(v->ok, "%s: %s", v->problem[0].kind, v->problem[0].text);
}

void place_sql(struct store *s, const char *sql)
{
	struct store_tx *tx;
	struct err e = { 0 };

	cr_assert_eq(store_write(s, &tx, &e), 0, "%s", e.text);
	cr_assert_eq(store_exec(tx, sql, &e), 0, "%s", e.text);
	cr_assert_eq(store_commit(tx, &e), 0, "%s", e.text);
	store_end(tx);
}

int64_t place_number(struct store *s, const char *sql)
{
	struct store_stmt *st;
	struct store_tx *tx;

	cr_assert_eq(store_read(s, &tx, NULL), 0);
	cr_assert_eq(store_prepare(tx, sql, &st, NULL), 0);
	cr_assert_eq(store_step(st, NULL), 1);
	int64_t n = store_i64(st, 0);
	store_finish(st);
	store_end(tx);
	return n;
}

static void path_of(const struct place *p, const char *name, char out[256])
{
	snprintf(out, 256, "%s/%s", p->home, name);
}

void place_read(const struct place *p, const char *name, struct buf *out)
{
	char path[256];
	struct err e = { 0 };

	path_of(p, name, path);
	cr_assert_eq(file_read(path, MIB(64), out, &e), 0, "%s", e.text);
}

void place_write(const struct place *p, const char *name, const void *bytes, size_t len)
{
	char path[256];
	struct err e = { 0 };

	path_of(p, name, path);
	cr_assert_eq(file_write_durable(path, bytes, len, 0644, &e), 0, "%s", e.text);
}
