/* Keys: made, listed, exported; whose signatures count, and for which names. Keys in HOME/keys and
 * in trust.toml are the only roots.
 *
 * trust.toml:   [[publisher]]
 *               name = "acme"
 *               document = "trust/acme.pub"
 *               models = ["acme/bank-*", "acme-labs/m"]
 *
 * document: relative to HOME; a key document, PEM or a minisign public key. Without one, the entry
 * is about the own key of that name. models: what this key may sign; without it, NAME/ and any
 * model. What a key document says of its own models is its owner's claim, and counts for own keys
 * alone. */
#include "base/check.h"
#include "base/file.h"
#include "base/text.h"
#include "base/toml.h"
#include "flow/artifact.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int add_key(struct flow_trust *t, const char *path, struct err *e)
{
	struct flow_publisher *grown = realloc(t->of, (t->count + 1) * sizeof *grown);
	if (!grown)
		return err_set(e, ERR_NOMEM, "out of memory");
	t->of = grown;
	t->of[t->count] = (struct flow_publisher){ .own = false };
	TRY(signing_public_read(path, &t->of[t->count].key, e));
	t->count++;
	return 0;
}

const char *flow_key_label(const struct signing_public *key)
{
	return key->name[0] ? key->name : key->has_p256 ? key->p256_keyid : key->ed25519_keyid;
}

int flow_key_ended(const struct signing_public *key, int64_t now_us, struct err *e)
{
	char when[32];
	if (key->expires_us == 0 || now_us < key->expires_us)
		return 0;
	text_time_rfc3339(key->expires_us, when);
	return err_set(e, ERR_DENIED, "the key %s expired on %s", flow_key_label(key), when);
}

int flow_key_lasts(const struct flow *f, const struct signing_public *key, struct err *e)
{
	char when[32];
	if (flow_key_ended(key, env_now_us(f->env), e) == 0)
		return 0;
	text_time_rfc3339(key->expires_us, when);
	return err_set(e, ERR_DENIED, "the key %s expired on %s: make another, with --previous %s",
		       key->name, when, key->name);
}

void flow_trust_free(struct flow_trust *t)
{
	free(t->of);
	*t = (struct flow_trust){ 0 };
}

/* Names of the state folder's own keys, which sign no releases. */
static bool is_reserved(const char *name)
{
	return strcmp(name, FLOW_LOG_KEY) == 0 || strcmp(name, FLOW_VAULT_KEY) == 0;
}

static bool is_publisher(const char *file)
{
	char name[LIMIT_PATH_BYTES];
	if (!text_ends(file, ".pub"))
		return false;
	snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - 4), file);
	return !is_reserved(name);
}

static int add_own_keys(struct flow *f, struct flow_trust *t, struct err *e)
{
	char dir[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];
	struct file_list l;
	TRY(flow_path(f, "keys", dir, e));
	TRY(file_list(dir, &l, e));
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		if (!is_publisher(l.names[i]))
			continue;
		rc = file_join(path, dir, l.names[i], e);
		if (rc == 0)
			rc = add_key(t, path, e);
		if (rc < 0)
			break;
		struct flow_publisher *p = &t->of[t->count - 1];
		check(p);
		p->own = true;
		memcpy(p->models, p->key.models, sizeof p->models);
	}
	file_list_free(&l);
	return rc;
}

/* The list of an entry as text, over whatever was there. */
static int take_models(const struct toml *entry, struct flow_publisher *p, struct err *e)
{
	const struct toml *models = toml_get(entry, "models");
	struct buf list = { 0 };
	if (!models)
		return 0;
	bool texts = models->kind == TOML_ARRAY && models->first;
	for (const struct toml *x = models->first; texts && x; x = x->next) {
		texts = x->kind == TOML_STRING && strlen(x->text) == x->text_len &&
			!strchr(x->text, ',');
		buf_printf(&list, "%s%s", list.len ? "," : "", texts ? x->text : "");
	}
	int rc = texts ? buf_done(&list, e)
		       : err_set(e, ERR_INPUT, "models is not a list of patterns ORG/MODEL");
	if (rc == 0)
		rc = signing_models_check(list.bytes, e);
	if (rc == 0)
		snprintf(p->models, sizeof p->models, "%s", list.bytes);
	buf_free(&list);
	return rc < 0 ? err_prefix(e, "trust.toml line %d", models->line) : 0;
}

static struct flow_publisher *find_own(struct flow_trust *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->of[i].own && strcmp(t->of[i].key.name, name) == 0)
			return &t->of[i];
	return NULL;
}

static int add_publisher(struct flow *f, const struct toml *entry, struct flow_trust *t,
			 struct err *e)
{
	const struct toml *name = toml_get(entry, "name"), *document = toml_get(entry, "document");
	bool named = name && name->kind == TOML_STRING;
	struct flow_publisher *own = named && !document ? find_own(t, name->text) : NULL;
	if (own)
		return take_models(entry, own, e);
	if (!named || !document || document->kind != TOML_STRING)
		return err_set(e, ERR_INPUT,
			       "trust.toml line %d: a publisher needs name and document",
			       entry->line);
	char path[LIMIT_PATH_BYTES];
	if (document->text[0] == '/')
		TRY(file_join(path, "", document->text + 1, e));
	else
		TRY(flow_path(f, document->text, path, e));
	TRY(add_key(t, path, e));
	struct flow_publisher *p = &t->of[t->count - 1];
	snprintf(p->key.name, sizeof p->key.name, "%s", name->text);
	return take_models(entry, p, e);
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

/* May be nobody. */
static int trust_of_home(struct flow *f, struct flow_trust *out, struct err *e)
{
	*out = (struct flow_trust){ 0 };
	int rc = add_own_keys(f, out, e);
	if (rc == 0)
		rc = add_trusted(f, out, e);
	if (rc < 0)
		flow_trust_free(out);
	return rc;
}

int flow_trust_load(struct flow *f, const char *key, struct flow_trust *out, struct err *e)
{
	*out = (struct flow_trust){ 0 };
	int rc;
	if (key) {
		rc = add_key(out, key, e);
		if (rc == 0)
			out->of[0].given = true;
	} else if (!f) {
		rc = err_set(
			e, ERR_NOTFOUND,
			"no publisher is trusted here yet: get the publisher's key and `hallmark "
			"key import FILE`, or give --key FILE");
	} else {
		rc = trust_of_home(f, out, e);
		if (rc == 0 && out->count == 0)
			rc = err_set(
				e, ERR_NOTFOUND,
				"no publisher is trusted in %s yet: get the publisher's key and "
				"`hallmark key import FILE`, or give --key FILE",
				f->home);
	}
	if (rc < 0)
		flow_trust_free(out);
	return rc;
}

int flow_trust_own(struct flow *f, const char *name, struct flow_publisher *out, struct err *e)
{
	struct flow_trust t;
	TRY(flow_trust_load(f, NULL, &t, e));
	const struct flow_publisher *p = find_own(&t, name);
	if (p)
		*out = *p;
	flow_trust_free(&t);
	return p ? 0 : err_set(e, ERR_NOTFOUND, "no key named %s: see `hallmark key list`", name);
}

int flow_trust_allows(const struct flow_publisher *p, const char *model, struct err *e)
{
	const char *name = p->key.name;
	size_t org = strcspn(model, "/");
	if (p->models[0] ? signing_models_match(p->models, model)
			 : (p->given && !name[0]) ||
				   (strlen(name) == org && strncasecmp(name, model, org) == 0))
		return 0;
	if (p->given)
		return err_set(
			e, ERR_DENIED,
			"the key of %s may sign %s/* only, and this is %s: give --name %s if "
			"you know that it may",
			name, name, model, model);
	return err_set(e, ERR_DENIED,
		       "the key %s may sign %.200s%s only, and this is %s: if it may, say so in "
		       "HOME/trust.toml: [[publisher]] name = \"%s\", models = [\"%.*s/*\"]",
		       name, p->models[0] ? p->models : name, p->models[0] ? "" : "/*", model, name,
		       (int)org, model);
}

static json_t *describe(const struct flow_publisher *p)
{
	const struct signing_public *k = &p->key;
	struct obj o = { 0 };
	struct arr checks = { 0 };
	char expires[32], own[80];
	obj_text(&o, "name", k->name);
	obj_text(&o, "origin", p->own ? "own" : "trusted");
	if (k->has_ed25519)
		obj_text(&o, "ed25519", k->ed25519_keyid);
	if (k->has_p256)
		obj_text(&o, "p256", k->p256_keyid);
	if (k->has_p256)
		arr_add(&checks, json_string(SIGNING_BUNDLE));
	if (k->has_ed25519)
		arr_add(&checks, json_string(FLOW_MANIFEST ".minisig"));
	obj_array(&o, "checks", &checks);
	snprintf(own, sizeof own, "%s/*", k->name);
	obj_add(&o, "models", json_text_lossy(p->models[0] ? p->models : own));
	if (strcmp(k->models, p->models) != 0 && k->models[0])
		obj_add(&o, "claims", json_text_lossy(k->models));
	text_time_rfc3339(k->expires_us, expires);
	if (k->expires_us)
		obj_text(&o, "expires", expires);
	if (k->log[0])
		obj_add(&o, "log", json_text_lossy(k->log));
	if (k->previous[0])
		obj_text(&o, "previous", k->previous);
	return obj_take(&o);
}

static int log_new_key(struct flow *f, const struct signing_public *pub, struct err *e)
{
	struct audit_receipt receipt;
	struct obj o = { 0 };
	json_t *body;
	obj_text(&o, "event", "new");
	obj_text(&o, "name", pub->name);
	obj_text(&o, "ed25519", pub->ed25519_keyid);
	obj_text(&o, "p256", pub->p256_keyid);
	TRY(obj_done(&o, &body, e));
	int rc = flow_append(f, &(struct audit_record){ .type = "key", .body = body }, false,
			     &receipt, e);
	json_decref(body);
	return rc;
}

static int make_key(struct flow *f, const struct flow_key *k, struct err *e)
{
	struct signing_terms terms = { .models = k->models, .log = f->vkey };
	struct signing_identity *previous = NULL;
	char dir[LIMIT_PATH_BYTES];
	int rc = 0;
	if (is_reserved(k->name))
		return err_set(
			e, ERR_CONFLICT,
			"the name \"%s\" belongs to the state folder's own key: choose another",
			k->name);
	if (k->models)
		TRY(signing_models_check(k->models, e));
	if (k->expires && text_time_parse(k->expires, &terms.expires_us) < 0)
		return err_set(e, ERR_USAGE, "expires \"%s\": expected a date like 2027-12-31",
			       k->expires);
	TRY(flow_path(f, "keys", dir, e));
	if (k->previous)
		TRY(flow_identity(f, k->previous, &previous, e));
	terms.previous = previous;
	rc = signing_publisher_create(dir, k->name, f->passphrase, &terms, f->env, e);
	signing_identity_close(previous);
	return rc;
}

/* A command that failed can be run again: it finds the secret half, as after a crash, and makes the
 * same key of it. */
static void take_back(const struct flow *f, const char *name)
{
	char file[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];
	struct err ignored;
	snprintf(file, sizeof file, "keys/%s.pub", name);
	if (flow_path(f, file, path, &ignored) == 0)
		(void)!file_remove_tree(path, &ignored);
}

static int record_key(struct flow *f, const char *name, json_t **report, struct err *e)
{
	struct flow_publisher made = { .own = true };
	struct signing_identity *id;
	TRY(flow_identity(f, name, &id, e));
	made.key = *signing_identity_public(id);
	memcpy(made.models, made.key.models, sizeof made.models);
	signing_identity_close(id);
	*report = describe(&made);
	int rc = json_ok(*report, e);
	return rc < 0 ? rc : log_new_key(f, &made.key, e);
}

int flow_key_new(struct flow *f, const struct flow_key *k, json_t **report, struct err *e)
{
	TRY(make_key(f, k, e));
	*report = NULL;
	int rc = record_key(f, k->name, report, e);
	if (rc == 0)
		return 0;
	take_back(f, k->name);
	json_decref(*report);
	*report = NULL;
	return rc;
}

int flow_key_list(struct flow *f, json_t **report, struct err *e)
{
	struct flow_trust t;
	struct arr list = { 0 };
	struct obj o = { 0 };
	TRY(trust_of_home(f, &t, e));
	for (size_t i = 0; i < t.count; i++)
		arr_add(&list, describe(&t.of[i]));
	flow_trust_free(&t);
	obj_array(&o, "keys", &list);
	return obj_done(&o, report, e);
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

/* What is imported, and what is known of it and its predecessor already. By trust.toml: a document
 * beside it that is not listed there is the trace of a crash. */
struct import {
	struct flow_publisher it;
	bool own, listed, follows; /* own: a key of this state folder has the name */
	char twin[64];             /* this very key's name here, or "" */
};

static bool is_same_key(const struct signing_public *a, const struct signing_public *b)
{
	return (a->has_p256 && b->has_p256 && strcmp(a->p256_keyid, b->p256_keyid) == 0) ||
	       (a->has_ed25519 && b->has_ed25519 &&
		strcmp(a->ed25519_keyid, b->ed25519_keyid) == 0);
}

static int look_up(struct flow *f, struct import *m, struct err *e)
{
	struct flow_trust t = { 0 };
	int rc = add_own_keys(f, &t, e);
	if (rc == 0)
		rc = add_trusted(f, &t, e);
	for (size_t i = 0; rc == 0 && i < t.count; i++) {
		bool same = strcasecmp(t.of[i].key.name, m->it.key.name) == 0;
		m->own = m->own || (same && t.of[i].own);
		m->listed = m->listed || (same && !t.of[i].own);
		if (is_same_key(&t.of[i].key, &m->it.key))
			snprintf(m->twin, sizeof m->twin, "%s", t.of[i].key.name);
		m->follows = m->follows || signing_public_follows(&m->it.key, &t.of[i].key);
	}
	flow_trust_free(&t);
	return rc;
}

static int read_import(const struct flow_import *w, struct import *m, struct buf *text,
		       struct err *e)
{
	struct signing_public *k = &m->it.key;
	TRY(signing_public_read_text(w->path, k, text, e));
	const char *label = w->name       ? w->name
			    : k->name[0]  ? k->name
			    : k->has_p256 ? k->p256_keyid
					  : k->ed25519_keyid;
	char name[sizeof k->name];
	snprintf(name, sizeof name, "%.63s", label);
	if (w->name &&
	    (!*name || strlen(w->name) >= sizeof name || name[0] == '.' ||
	     strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			  "._-") != strlen(name)))
		return err_set(e, ERR_USAGE,
			       "name %.80s: expected 1 to 63 letters, digits, '.', '_' and '-'",
			       w->name);
	memcpy(k->name, name, sizeof name);
	if (!w->models)
		return 0;
	snprintf(m->it.models, sizeof m->it.models, "%s", w->models);
	return signing_models_check(w->models, e);
}

/* to and list: the files that importing it would write. */
static int may_import(const struct import *m, const char *to, const char *list, struct err *e)
{
	if (m->own)
		return err_set(e, ERR_CONFLICT,
			       "%s is an own key's name here, and this key would sign in it: if it "
			       "may, give it another with --name, and --models '%s/*'",
			       m->it.key.name, m->it.key.name);
	if (m->listed)
		return err_set(e, ERR_CONFLICT, "a key of %s is trusted already (%s)",
			       m->it.key.name, to);
	if (m->twin[0])
		return err_set(e, ERR_CONFLICT,
			       "this very key is here already as %s: change its name, document or "
			       "models in %s",
			       m->twin, list);
	return 0;
}

/* The entry that is added to trust.toml. */
static void add_entry(struct buf *text, const struct flow_publisher *p)
{
	buf_printf(text, "\n[[publisher]]\nname = \"%s\"\ndocument = \"trust/%s.pub\"\n",
		   p->key.name, p->key.name);
	for (const char *m = p->models; *m; m += *m == ',') {
		size_t len = strcspn(m, ",");
		buf_printf(text, "%s\"%.*s\"", m == p->models ? "models = [" : ", ", (int)len, m);
		m += len;
	}
	buf_add_text(text, p->models[0] ? "]\n" : "");
}

static int import_key(struct flow *f, const struct flow_import *w, json_t **report, struct err *e)
{
	struct import m = { .listed = false };
	struct buf key = { 0 }, text = { 0 };
	char name[100], to[LIMIT_PATH_BYTES], list[LIMIT_PATH_BYTES];
	int rc = 0;
	TRY_OUT(read_import(w, &m, &key, e));
	snprintf(name, sizeof name, "trust/%s.pub", m.it.key.name);
	TRY_OUT(flow_path(f, name, to, e));
	TRY_OUT(flow_path(f, "trust.toml", list, e));
	TRY_OUT(look_up(f, &m, e));
	TRY_OUT(may_import(&m, to, list, e));
	env_step(f->env, "import.checked"); /* the file may change: what was read counts */
	TRY_OUT(file_write_durable(to, key.bytes, key.len, 0644, e));
	if (file_exists(list))
		TRY_OUT(file_read(list, LIMIT_TOML_BYTES, &text, e));
	add_entry(&text, &m.it);
	TRY_OUT(buf_done(&text, e));
	TRY_OUT(file_write_durable(list, text.bytes, text.len, 0644, e));
	*report = describe(&m.it);
	TRY_OUT(json_ok(*report, e));
	if (m.it.key.previous[0])
		json_object_set_new(*report, "follows", json_boolean(m.follows));
out:
	buf_free(&key);
	buf_free(&text);
	return rc;
}

/* One at a time: each writes the whole list anew. */
int flow_key_import(struct flow *f, const struct flow_import *w, json_t **report, struct err *e)
{
	char lock[LIMIT_PATH_BYTES];
	int fd;
	TRY(flow_path(f, "trust/lock", lock, e));
	TRY(file_lock_wait(lock, &fd, e));
	int rc = import_key(f, w, report, e);
	file_unlock(fd);
	return rc;
}
