/* Keys: made, listed, exported; and whose signatures count. Keys in HOME/keys and in trust.toml are
 * the only roots.
 *
 * trust.toml:   [[publisher]]
 *               name = "acme"
 *               document = "trust/acme.pub"
 *
 * document: relative to HOME; a key document, PEM or a minisign public key. */
#include "base/file.h"
#include "base/text.h"
#include "base/toml.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>

static int add_key(struct flow_trust *t, const char *path, struct err *e)
{
	struct signing_public *grown = realloc(t->key, (t->count + 1) * sizeof *grown);
	if (!grown)
		return err_set(e, ERR_NOMEM, "out of memory");
	t->key = grown;
	TRY(signing_public_read(path, &t->key[t->count], e));
	t->count++;
	return 0;
}

void flow_trust_free(struct flow_trust *t)
{
	free(t->key);
	*t = (struct flow_trust){ 0 };
}

/* Calls back for each document under HOME/keys. */
static int add_own_keys(struct flow *f, struct flow_trust *t, struct err *e)
{
	char dir[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];
	struct file_list l;
	TRY(flow_path(f, "keys", dir, e));
	TRY(file_list(dir, &l, e));
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		if (!text_ends(l.names[i], ".pub") || strcmp(l.names[i], FLOW_LOG_KEY ".pub") == 0)
			continue;
		rc = file_join(path, dir, l.names[i], e);
		if (rc == 0)
			rc = add_key(t, path, e);
	}
	file_list_free(&l);
	return rc;
}

static int add_publisher(struct flow *f, const struct toml *entry, struct flow_trust *t,
			 struct err *e)
{
	const struct toml *name = toml_get(entry, "name"), *document = toml_get(entry, "document");
	if (!name || name->kind != TOML_STRING || !document || document->kind != TOML_STRING)
		return err_set(e, ERR_INPUT,
			       "trust.toml line %d: a publisher needs name and document",
			       entry->line);
	char path[LIMIT_PATH_BYTES];
	if (document->text[0] == '/')
		TRY(file_join(path, "", document->text + 1, e));
	else
		TRY(flow_path(f, document->text, path, e));
	TRY(add_key(t, path, e));
	snprintf(t->key[t->count - 1].name, sizeof t->key->name, "%s", name->text);
	return 0;
}

static int add_trusted(struct flow *f, struct flow_trust *t, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	TRY(flow_path(f, "trust.toml", path, e));
	if (!file_exists(path))
		return 0;
	struct buf text = { 0 };
	struct arena a = { 0 };
	struct toml *root;
	int rc = file_read(path, LIMIT_TOML_BYTES, &text, e);
	if (rc == 0)
		rc = toml_parse(text.bytes ? text.bytes : "", text.len, &a, &root, e);
	if (rc < 0)
		err_prefix(e, "%s", path);
	const struct toml *list = rc == 0 ? toml_get(root, "publisher") : NULL;
	for (const struct toml *p = list ? list->first : NULL; rc == 0 && p; p = p->next)
		rc = add_publisher(f, p, t, e);
	arena_free(&a);
	buf_free(&text);
	return rc;
}

int flow_trust_load(struct flow *f, const char *key, struct flow_trust *out, struct err *e)
{
	*out = (struct flow_trust){ 0 };
	int rc;
	if (key) {
		rc = add_key(out, key, e);
	} else if (!f) {
		rc = err_set(
			e, ERR_USAGE,
			"no trusted key: give --key FILE, or import one with `hallmark key import FILE`");
	} else {
		rc = add_own_keys(f, out, e);
		out->own = out->count;
		if (rc == 0)
			rc = add_trusted(f, out, e);
		if (rc == 0 && out->count == 0)
			rc = err_set(e, ERR_USAGE,
				     "no trusted key in %s: give --key FILE, or import one with "
				     "`hallmark key import FILE`",
				     f->home);
	}
	if (rc < 0)
		flow_trust_free(out);
	return rc;
}

static json_t *describe(const struct signing_public *p, const char *origin)
{
	return json_pack("{s:s,s:s,s:s*,s:s*}", "name", p->name, "origin", origin, "ed25519",
			 p->has_ed25519 ? p->ed25519_keyid : NULL, "p256",
			 p->has_p256 ? p->p256_keyid : NULL);
}

int flow_key_new(struct flow *f, const char *name, json_t **report, struct err *e)
{
	char dir[LIMIT_PATH_BYTES];
	if (strcmp(name, FLOW_LOG_KEY) == 0)
		return err_set(e, ERR_CONFLICT,
			       "the name \"%s\" belongs to the log's own key: choose another",
			       name);
	TRY(flow_path(f, "keys", dir, e));
	TRY(signing_identity_create(dir, name, f->passphrase, f->env, e));
	struct signing_identity *id;
	TRY(flow_identity(f, name, &id, e));
	const struct signing_public *pub = signing_identity_public(id);
	json_t *body = json_pack("{s:s,s:s,s:s,s:s}", "event", "new", "name", name, "ed25519",
				 pub->ed25519_keyid, "p256", pub->p256_keyid);
	*report = describe(pub, "own");
	signing_identity_close(id);
	int rc = json_ok(body, e) < 0 || json_ok(*report, e) < 0 ? ERR_NOMEM : 0;
	struct audit_receipt receipt;
	if (rc == 0)
		rc = flow_append(f, &(struct audit_record){ .type = "key", .body = body }, false,
				 &receipt, e);
	json_decref(body);
	return rc;
}

int flow_key_list(struct flow *f, json_t **report, struct err *e)
{
	struct flow_trust t;
	int rc = flow_trust_load(f, NULL, &t, e);
	if (rc == ERR_USAGE)
		t = (struct flow_trust){ 0 };
	else
		TRY(rc);
	json_t *list = json_array();
	for (size_t i = 0; i < t.count; i++)
		json_array_append_new(list, describe(&t.key[i], i < t.own ? "own" : "trusted"));
	flow_trust_free(&t);
	*report = json_pack("{s:o}", "keys", list);
	return json_ok(*report, e);
}

static int parse_form(const char *form, enum signing_form *out, struct err *e)
{
	static const struct {
		const char *name;
		enum signing_form form;
	} forms[] = {
		{ "pem", SIGNING_PEM },           { "ssh", SIGNING_SSH },
		{ "minisign", SIGNING_MINISIGN }, { "vkey", SIGNING_VKEY },
		{ "document", SIGNING_DOCUMENT },
	};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (strcmp(form, forms[i].name) == 0) {
			*out = forms[i].form;
			return 0;
		}
	return err_set(e, ERR_USAGE, "unknown key format %s: pem, ssh, minisign, vkey or document",
		       form);
}

int flow_key_export(struct flow *f, const char *name, const char *form, struct buf *out,
		    struct err *e)
{
	enum signing_form kind = SIGNING_PEM;
	TRY(parse_form(form, &kind, e));
	if (!name)
		return signing_public_export(signing_identity_public(f->log_key), kind, f->origin,
					     out, e);
	char path[LIMIT_PATH_BYTES], file[96];
	snprintf(file, sizeof file, "keys/%.63s.pub", name);
	TRY(flow_path(f, file, path, e));
	struct signing_public pub;
	int rc = signing_public_read(path, &pub, e);
	if (rc == ERR_NOTFOUND)
		return err_set(e, rc, "no key named %s: see `hallmark key list`", name);
	TRY(rc);
	return signing_public_export(&pub, kind, name, out, e);
}

/* By trust.toml: a document beside it that is not listed there is the trace of a crash. */
static int is_listed(struct flow *f, const char *label, bool *listed, struct err *e)
{
	struct flow_trust t = { 0 };
	int rc = add_trusted(f, &t, e);
	for (size_t i = 0; rc == 0 && i < t.count; i++)
		*listed = *listed || strncmp(t.key[i].name, label, 63) == 0;
	flow_trust_free(&t);
	return rc;
}

int flow_key_import(struct flow *f, const char *path, json_t **report, struct err *e)
{
	struct signing_public pub;
	TRY(signing_public_read(path, &pub, e));
	char name[100], to[LIMIT_PATH_BYTES], list[LIMIT_PATH_BYTES];
	const char *label = pub.name[0]    ? pub.name
			    : pub.has_p256 ? pub.p256_keyid
					   : pub.ed25519_keyid;
	snprintf(name, sizeof name, "trust/%.63s.pub", label);
	TRY(flow_path(f, name, to, e));
	TRY(flow_path(f, "trust.toml", list, e));
	bool listed = false;
	TRY(is_listed(f, label, &listed, e));
	if (listed)
		return err_set(e, ERR_CONFLICT, "a key of %s is trusted already (%s)", label, to);
	struct buf key = { 0 }, text = { 0 };
	int rc = file_read(path, MIB(1), &key, e);
	if (rc == 0)
		rc = file_write_durable(to, key.bytes, key.len, 0644, e);
	if (rc == 0 && file_exists(list))
		rc = file_read(list, LIMIT_TOML_BYTES, &text, e);
	buf_printf(&text, "\n[[publisher]]\nname = \"%.63s\"\ndocument = \"%s\"\n", label, name);
	if (rc == 0)
		rc = buf_done(&text, e);
	if (rc == 0)
		rc = file_write_durable(list, text.bytes, text.len, 0644, e);
	buf_free(&key);
	buf_free(&text);
	TRY(rc);
	*report = describe(&pub, "trusted");
	return json_ok(*report, e);
}
