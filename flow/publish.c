/* Publish: folder -> tensor directory -> manifest -> signatures, staged beside the model -> log
 * append and registry row in one transaction (the commit point) -> renames -> receipt. Before the
 * append nothing is visible; after it, recovery completes.
 *
 *   DIR/                the model; gets model.sig, hallmark.chunks, hallmark.tensors
 *   DIR.hallmark/       manifest.json, manifest.json.minisig, provenance.json, publisher.pub,
 *                       receipt.tlog-proof
 *   DIR.hallmark.part/  all of it while staged; its existence means "not finished" */
#include "base/file.h"
#include "base/text.h"
#include "flow/artifact.h"
#include "flow/card.h"
#include "flow/folder.h"
#include "model/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct publication {
	struct flow *flow;
	const struct flow_publish *want;
	const char *kind;
	struct registry_pending pending;
	char staging[LIMIT_PATH_BYTES], final[LIMIT_PATH_BYTES];
	struct source *source; /* the model's folder */
	struct flow_folder folder;
	char license[4 * sizeof((struct flow_card *)0)->license]; /* the card's, in UTF-8 */
	struct registry_release parent;                           /* where one was asked for */
	struct flow_first first;       /* signed by another publisher, in this very folder */
	struct signing_parent from[2]; /* both, as they are stated */
	struct signing_release release;
	struct signing_identity *key;
	struct signing_manifest manifest;
	size_t tensors; /* with digests of their own */
	json_t *body; /* of the release record */
	bool existing; /* it is in the log already, as: */
	struct registry_release there;
	json_t *logged; /* that entry */
	char was[32];   /* the kind that it was published as, where that is known */
	struct audit_receipt receipt;
	int lock;   /* of the folder, while we are at it; -1: none */
	bool begun; /* the pending row is ours */
};

/* The steps, in their order. */
static int check_wanted(struct publication *p, struct err *e);
static int open_inputs(struct publication *p, struct err *e);
static int begin_staging(struct publication *p, struct err *e);
static int hash_model(struct publication *p, struct err *e);
static int check_version(struct publication *p, struct err *e);
static int complete_existing(struct publication *p, struct err *e);
static int check_lineage(const struct publication *p, struct err *e);
static int sign_manifest(struct publication *p, struct err *e);
static int append_release(struct publication *p, struct err *e);
static int finish_release(struct publication *p, struct err *e);
static int report_release(const struct publication *p, json_t **report, struct err *e);
static void take_back(struct publication *p);

/* The page. */
static int publish(struct publication *p, struct err *e)
{
	TRY(check_wanted(p, e));
	TRY(open_inputs(p, e)); /* folder, card, parent, key */
	TRY(begin_staging(p, e));
	env_step(p->flow->env, "publish.begun"); /* a crash from here on is recovery's */

	TRY(hash_model(p, e)); /* tensor directory -> manifest */
	TRY(check_version(p, e));
	env_step(p->flow->env, "publish.hashed");
	if (p->existing)
		return complete_existing(p, e);
	TRY(check_lineage(p, e));

	TRY(sign_manifest(p, e)); /* -> artifacts, staged beside the model */
	env_step(p->flow->env, "publish.staged");
	if (p->want->dry_run)
		return 0;

	TRY(append_release(p, e)); /* log and registry, one transaction: the commit point */
	env_step(p->flow->env, "publish.committed");

	return finish_release(p, e); /* renames, receipt, package */
}

int flow_publish(struct flow *f, const struct flow_publish *want, json_t **report, struct err *e)
{
	struct publication p = { .flow = f, .want = want, .lock = -1 };
	*report = NULL;
	int rc = publish(&p, e);
	if (rc == 0)
		rc = report_release(&p, report, e);
	if (rc < 0 || want->dry_run)
		take_back(&p);
	json_decref(p.body);
	json_decref(p.logged);
	flow_folder_free(&p.folder);
	signing_manifest_free(&p.manifest);
	if (p.key)
		signing_identity_close(p.key);
	source_close(p.source);
	file_unlock(p.lock);
	return rc;
}

/* ---- what is asked for ---- */

static int full_path(const char *path, char out[LIMIT_PATH_BYTES], struct err *e)
{
	char *full = realpath(path, NULL);
	if (!full)
		return err_errno(e, "open %s", path);
	int rc = flow_path_beside(full, "", out, e);
	free(full);
	return rc;
}

/* Whether a folder is one of ours, perhaps with something missing. */
static bool is_companion(const char *folder)
{
	char path[LIMIT_PATH_BYTES];
	for (size_t i = 0; i < FLOW_ARTIFACTS; i++)
		if (!flow_artifacts[i].inside &&
		    file_join(path, folder, flow_artifacts[i].name, NULL) == 0 && file_exists(path))
			return true;
	return false;
}

/* What would fail after the commit point is asked before it. */
static int check_places(const struct publication *p, struct err *e)
{
	const char *dir = p->pending.dir, *package = p->pending.package;
	char parent[LIMIT_PATH_BYTES];
	struct stat here, above;
	snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(dir, '/') - dir) + 1, dir);
	if (stat(dir, &here) < 0 || stat(parent, &above) < 0)
		return err_errno(e, "publish %s", dir);
	if (here.st_dev != above.st_dev)
		return err_set(e, ERR_INPUT,
			       "%s is a mount point: signatures are staged beside the model and "
			       "renamed into it, so both must lie on one file system",
			       dir);
	if (access(dir, W_OK | X_OK) < 0 || access(parent, W_OK | X_OK) < 0)
		return err_errno(e, "write to %s and beside it", dir);
	if (file_exists(p->final) && !is_companion(p->final))
		return err_set(e, ERR_CONFLICT,
			       "%s is in the way, and is no release's folder: move it", p->final);
	if (!package[0])
		return 0;
	if (strncmp(package, dir, strlen(dir)) == 0 && package[strlen(dir)] == '/')
		return err_set(e, ERR_USAGE, "package %s lies inside the model", package);
	snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(package, '/') - package) + 1,
		 package);
	if (access(parent, W_OK | X_OK) < 0)
		return err_errno(e, "package: write to %s", parent);
	return file_is_dir(package) ? err_set(e, ERR_CONFLICT, "package: %s is a folder", package)
				    : 0;
}

/* Letters, digits and what semantic versions use. */
static bool version_ok(const char *version)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_-";
	size_t len = strlen(version);
	return len > 0 && len <= 60 && strspn(version, allowed) == len;
}

static int check_kind(struct publication *p, struct err *e)
{
	static const char *const kinds[] = { "unstated", "train",   "fine-tune", "merge",
					     "quantize", "convert", "prune" };
	p->kind = p->want->kind ? p->want->kind : kinds[0];
	for (size_t n = 0; n < sizeof kinds / sizeof *kinds; n++)
		if (strcmp(p->kind, kinds[n]) == 0)
			return 0;
	return err_set(e, ERR_USAGE,
		       "kind %s: train, fine-tune, merge, quantize, convert, prune or unstated",
		       p->kind);
}

static int find_paths(struct publication *p, struct err *e)
{
	const char *package = p->want->package;
	char here[LIMIT_PATH_BYTES];
	TRY(full_path(p->want->dir, p->pending.dir, e));
	if (package && package[0] == '/') {
		TRY(flow_path_beside(package, "", p->pending.package, e));
	} else if (package) {
		TRY(full_path(".", here, e));
		TRY(file_join(p->pending.package, here, package, e));
	}
	TRY(flow_path_beside(p->pending.dir, FLOW_STAGING_SUFFIX, p->staging, e));
	return flow_path_beside(p->pending.dir, FLOW_FOLDER_SUFFIX, p->final, e);
}

static int check_wanted(struct publication *p, struct err *e)
{
	const struct flow_publish *w = p->want;
	if (!flow_name_ok(w->name))
		return err_set(e, ERR_USAGE,
			       "name %s: expected ORG/MODEL of letters, digits, '.', '_' and '-'",
			       w->name);
	if (!version_ok(w->version))
		return err_set(e, ERR_USAGE, "version \"%s\": expected something like 1.2.0",
			       w->version);
	TRY(check_kind(p, e));
	if (!file_is_dir(w->dir))
		return err_set(e, ERR_NOTFOUND, "%s is not a folder", w->dir);
	snprintf(p->pending.model, sizeof p->pending.model, "%s", w->name);
	snprintf(p->pending.version, sizeof p->pending.version, "%s", w->version);
	TRY(find_paths(p, e));
	return check_places(p, e);
}

/* The key may sign this name, and still signs. */
static int check_key(const struct publication *p, struct err *e)
{
	struct flow_publisher publisher;
	TRY(flow_trust_own(p->flow, p->want->key, &publisher, e));
	TRY(flow_trust_allows(&publisher, p->want->name, e));
	return flow_key_lasts(p->flow, &publisher.key, e);
}

/* What must not be published by mistake stops it. */
static int check_folder(struct publication *p, struct err *e)
{
	TRY(flow_folder_look(p->source, &p->folder, e));
	size_t secrets = json_array_size(p->folder.secrets);
	if (secrets == 0 || p->want->include_secrets)
		return 0;
	return err_set(e, ERR_DENIED,
		       "%.200s%s looks like a secret, and a release is for others to read: take it "
		       "out of %s, or give --include-secrets",
		       json_string_value(json_array_get(p->folder.secrets, 0)),
		       secrets > 1 ? " (and others)" : "", p->want->dir);
}

static int take_license(struct publication *p, struct err *e)
{
	struct flow_card card;
	TRY(flow_card_read(p->source, &card, e));
	json_t *text = json_text_lossy(card.license[0] ? card.license : "unknown");
	TRY(json_ok(text, e));
	snprintf(p->license, sizeof p->license, "%s", json_string_value(text));
	json_decref(text);
	return 0;
}

/* Another publisher's signature is replaced only where that is wanted, and then kept. */
static int check_first(struct publication *p, struct err *e)
{
	const struct flow_first *first = &p->first;
	TRY(flow_first_find(p->flow, p->source, p->pending.dir, &p->first, e));
	if (!first->found || p->want->yes)
		return 0;
	if (!first->readable)
		return err_set(e, ERR_CONFLICT,
			       "%s/" SIGNING_BUNDLE " is no signature that can be read here, so "
			       "whose it is cannot be told: if it is a damaged one of yours, remove "
			       "it; --yes signs the folder anew and keeps that file in %s/" FLOW_UPSTREAM,
			       p->want->dir, p->final);
	return err_set(e, ERR_CONFLICT,
		       "%s/" SIGNING_BUNDLE " is by no key of yours, but of %.200s: --yes signs the folder "
		       "anew, keeps that signature in %s/" FLOW_UPSTREAM
		       " and names the release as a parent",
		       p->want->dir, first->name, p->final);
}

static int open_inputs(struct publication *p, struct err *e)
{
	TRY(flow_identity(p->flow, p->want->key, &p->key, e));
	TRY(check_key(p, e));
	TRY(source_open_tree(&p->source, p->pending.dir, e));
	TRY(check_first(p, e));
	TRY(check_folder(p, e));
	TRY(take_license(p, e));
	if (p->want->parent)
		TRY(registry_find(p->flow->registry, p->want->parent, &p->parent, e));
	return 0;
}

/* ---- until the commit point ---- */

/* The pending row first: what it names, recovery may remove. */
static int begin_staging(struct publication *p, struct err *e)
{
	if (file_lock_folder(p->pending.dir, &p->lock, e) == ERR_CONFLICT)
		return err_set(e, ERR_CONFLICT, "%s is being published by another process",
			       p->pending.dir);
	TRY(flow_recover_folder(p->flow, p->pending.dir, e));
	TRY(registry_pending_begin(p->flow->registry, &p->pending, e));
	p->begun = true;
	TRY(file_remove_tree(p->staging, e));
	return file_make_dirs(p->staging, 0755, e);
}

static int hash_model(struct publication *p, struct err *e)
{
	struct model_tensors *t = NULL;
	struct signing_range *range = NULL;
	size_t count = 0;
	int rc = 0;
	TRY_OUT(flow_folder_tensors(p->source, &p->folder, &t, e));
	TRY_OUT(flow_ranges_of(t, &range, &count, e));
	TRY_OUT(signing_manifest_make(&p->manifest,
				      &(struct signing_making){
					      .source = p->source,
					      .name = strrchr(p->pending.dir, '/') + 1,
					      .staging = p->staging,
					      .range = range,
					      .ranges = count,
					      .quiet = p->flow->quiet,
				      },
				      e));
	p->tensors = count;
out:
	free(range);
	model_tensors_close(t);
	return rc;
}

/* The same name and version may be published again only with the same content, by the same key:
 * that is a run repeated, which completes what is missing. */
static int check_version(struct publication *p, struct err *e)
{
	char ref[300];
	const struct registry_release *there = &p->there;
	struct err none;
	snprintf(ref, sizeof ref, "%s@%s", p->want->name, p->want->version);
	int rc = registry_find(p->flow->registry, ref, &p->there, &none);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc < 0)
		return err_set(e, rc, "%s", none.text);
	if (strcmp(there->version, p->want->version) != 0)
		return err_set(e, ERR_CONFLICT,
			       "%s is an alias of version %s: choose a new version", ref,
			       there->version);
	if (!digest_equal(&there->root, &p->manifest.root))
		return err_set(e, ERR_CONFLICT,
			       "%s is published already with other content: choose a new version",
			       ref);
	if (strcmp(there->keyid, signing_identity_public(p->key)->p256_keyid) != 0)
		return err_set(e, ERR_CONFLICT, "%s is published already, signed by %s", ref,
			       there->publisher);
	p->existing = true;
	return 0;
}

/* Nothing descends from itself, under whichever name. */
static int check_lineage(const struct publication *p, struct err *e)
{
	const struct registry_release *parent = &p->parent;
	enum registry_descent descent;
	if (!p->want->parent)
		return 0;
	if (digest_equal(&parent->root, &p->manifest.root))
		return err_set(e, ERR_CONFLICT, "%s@%s has this very content: it is no parent of it",
			       parent->model, parent->version);
	TRY(registry_descent(p->flow->registry, &parent->root, &p->manifest.root, &descent, e));
	if (descent != REGISTRY_FIRM)
		return 0;
	return err_set(e, ERR_CONFLICT, "%s@%s descends from it: it is no parent of it",
		       parent->model, parent->version);
}

/* What the log keeps of the release. */
static int make_body(struct publication *p, struct err *e)
{
	const struct signing_public *pub = signing_identity_public(p->key);
	const struct signing_manifest *m = &p->manifest;
	struct digest manifest = digest_of(m->payload.bytes, m->payload.len);
	uint64_t bytes = 0;
	for (size_t i = 0; i < m->file_count; i++)
		bytes += m->file[i].bytes;
	struct obj o = { 0 }, signer = { 0 };
	struct arr parents = { 0 }, signers = { 0 };
	for (size_t i = 0; i < p->release.parents; i++) {
		struct obj parent = { 0 };
		obj_text(&parent, "name", p->from[i].name);
		obj_add(&parent, "root", json_digest(&p->from[i].root));
		obj_text(&parent, "relation", p->from[i].relation);
		arr_object(&parents, &parent);
	}
	obj_text(&o, "model", p->want->name);
	obj_text(&o, "version", p->want->version);
	obj_add(&o, "root", json_digest(&m->root));
	obj_add(&o, "manifest", json_digest(&manifest));
	obj_text(&o, "publisher", pub->name);
	obj_text(&o, "keyid", pub->p256_keyid);
	obj_text(&signer, "publisher", pub->name);
	obj_text(&signer, "keyid", pub->p256_keyid);
	arr_object(&signers, &signer);
	obj_array(&o, "signers", &signers);
	obj_text(&o, "license", p->license);
	obj_array(&o, "parents", &parents);
	obj_count(&o, "files", m->file_count);
	obj_count(&o, "bytes", bytes);
	return obj_done(&o, &p->body, e);
}

/* From here on recovery knows which release was meant. */
static int name_root(struct publication *p, struct err *e)
{
	p->pending.root = p->manifest.root;
	p->pending.has_root = true;
	return registry_pending_root(p->flow->registry, p->pending.dir, &p->pending.root, e);
}

/* What p->release states; borrows from p. */
static void state_parents(struct publication *p)
{
	const struct flow_first *first = &p->first;
	if (p->want->parent)
		p->from[p->release.parents++] = (struct signing_parent){
			.name = p->parent.model,
			.version = p->parent.version,
			.relation = p->kind,
			.license = p->parent.license,
			.root = p->parent.root,
		};
	if (first->readable && !(p->want->parent && digest_equal(&p->parent.root, &first->root)))
		p->from[p->release.parents++] = (struct signing_parent){
			.name = first->name,
			.version = first->version[0] ? first->version : NULL,
			.relation = p->kind,
			.license = first->license[0] ? first->license : NULL,
			.root = first->root,
		};
}

/* The same of a release that is in the log: as its entry states them, whatever lies in the folder
 * now. Borrows from p. */
static void state_logged(struct publication *p)
{
	const json_t *body = json_object_get(json_object_get(p->logged, "entry"), "body"), *parent;
	size_t i;
	json_array_foreach(json_object_get(body, "parents"), i, parent) {
		struct signing_parent it = {
			.name = json_string_value(json_object_get(parent, "name")),
			.relation = json_string_value(json_object_get(parent, "relation")),
		};
		const char *root = json_string_value(json_object_get(parent, "root"));
		if (i < sizeof p->from / sizeof *p->from && it.name && it.relation && root &&
		    digest_parse(root, &it.root, NULL) == 0)
			p->from[p->release.parents++] = it;
	}
}

/* Borrows from p. */
static struct flow_making making_of(struct publication *p)
{
	p->release = (struct signing_release){
		.model = p->want->name,
		.version = p->want->version,
		.kind = p->kind,
		.license = p->license,
		.parent = p->from,
		.created_us = env_now_us(p->flow->env),
	};
	if (p->existing)
		state_logged(p);
	else
		state_parents(p);
	return (struct flow_making){
		.flow = p->flow,
		.release = &p->release,
		.key = p->key,
		.manifest = &p->manifest,
		.registered = p->existing ? &p->there : NULL,
	};
}

static int sign_manifest(struct publication *p, struct err *e)
{
	const struct flow_making of = making_of(p);
	TRY(flow_artifacts_stage(&of, false, p->staging, e));
	TRY(flow_first_keep(p->source, p->pending.dir, p->first.found, p->staging, e));
	TRY(name_root(p, e));
	return make_body(p, e);
}

/* How it was made stays as it was said: by the parents that are logged, or what lies there. */
static int adopt_making(struct publication *p, struct err *e)
{
	const struct registry_release *there = &p->there;
	const struct signing_release *r = &p->release;
	struct source *beside = NULL;
	struct signing_named named = { .model = "" };
	bool has_parent = !p->want->parent;
	TRY(flow_beside_open(p->pending.dir, &beside, e));
	flow_named_read(beside, &p->manifest, &named);
	source_close(beside);
	if (r->parents)
		snprintf(p->was, sizeof p->was, "%s", r->parent[0].relation);
	else if (strcmp(named.model, there->model) == 0 && !strcmp(named.version, there->version))
		snprintf(p->was, sizeof p->was, "%s", named.kind);
	if (p->want->kind && p->was[0] && strcmp(p->was, p->kind) != 0)
		return err_set(e, ERR_CONFLICT,
			       "kind: %s@%s is published already as %s: another is for a new version",
			       there->model, there->version, p->was);
	for (size_t i = 0; i < r->parents; i++)
		has_parent = has_parent || digest_equal(&r->parent[i].root, &p->parent.root);
	if (!has_parent)
		return err_set(e, ERR_CONFLICT,
			       "parent: %s@%s is published already, without %s: another is for a new "
			       "version",
			       there->model, there->version, p->want->parent);
	if (p->was[0])
		p->release.kind = p->kind = p->was;
	return 0;
}

/* Of a release that is in the log: make again what is missing of it, and nothing else. */
static int complete_existing(struct publication *p, struct err *e)
{
	TRY(flow_audit_show(p->flow, p->there.log_index, false, &p->logged, e));
	const struct flow_making of = making_of(p);
	TRY(flow_publish_adopt(&of, p->source, &p->manifest, e));
	TRY(adopt_making(p, e));
	p->receipt.index = p->there.log_index;
	TRY(make_body(p, e));
	if (p->want->dry_run)
		return 0;
	TRY(flow_publish_restage(&of, p->pending.dir, p->staging, p->final, e));
	TRY(name_root(p, e));
	return finish_release(p, e);
}

static int append_release(struct publication *p, struct err *e)
{
	struct audit_record r = { .type = "release", .body = p->body };
	return flow_append(p->flow, &r, false, &p->receipt, e);
}

/* ---- after it ---- */

/* A package can be made again: without it the release stands all the same. */
static int finish_release(struct publication *p, struct err *e)
{
	struct flow *f = p->flow;
	TRY(flow_publish_finish(f, &p->pending, e));
	int rc = flow_publish_package(f, &p->pending, e);
	TRY(registry_pending_forget(f->registry, p->pending.dir, e));
	return rc < 0 ? err_prefix(e, "the release is published, its package is not") : 0;
}

/* Where nothing was committed, take the staging back. A commit that failed halfway may be in the
 * log all the same: the registry knows, and in doubt the next opening decides. */
static void take_back(struct publication *p)
{
	struct err ignored;
	if (p->begun && flow_pending_logged(p->flow, &p->pending, &ignored) == 0 &&
	    file_remove_tree(p->staging, &ignored) == 0)
		(void)!registry_pending_forget(p->flow->registry, p->pending.dir, &ignored);
}

static int report_release(const struct publication *p, json_t **report, struct err *e)
{
	char bundle[LIMIT_PATH_BYTES], receipt[LIMIT_PATH_BYTES];
	const char *package = p->pending.package;
	TRY(file_join(bundle, p->pending.dir, SIGNING_BUNDLE, e));
	TRY(file_join(receipt, p->final, FLOW_RECEIPT, e));
	struct obj o = { 0 };
	obj_share(&o, "root", json_object_get(p->body, "root"));
	obj_share(&o, "manifest", json_object_get(p->body, "manifest"));
	obj_text(&o, "name", p->want->name);
	obj_text(&o, "version", p->want->version);
	obj_share(&o, "files", json_object_get(p->body, "files"));
	obj_share(&o, "bytes", json_object_get(p->body, "bytes"));
	obj_count(&o, "index", p->receipt.index);
	obj_add(&o, "receipt", json_text_lossy(receipt));
	obj_add(&o, "bundle", json_text_lossy(bundle));
	if (package[0])
		obj_add(&o, "package", json_text_lossy(package));
	obj_count(&o, "tensors", p->tensors);
	obj_share(&o, "whole", p->folder.whole);
	obj_share(&o, "ignored", p->folder.ignored);
	obj_share(&o, "secrets", p->folder.secrets);
	obj_bool(&o, "existing", p->existing);
	obj_bool(&o, "dry_run", p->want->dry_run);
	return obj_done(&o, report, e);
}
