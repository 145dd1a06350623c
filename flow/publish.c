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
#include "model/tensors.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST "manifest.json"
#define PROVENANCE "provenance.json"
#define RECEIPT "receipt.tlog-proof"

struct job {
	struct flow *flow;
	const struct flow_publish *want;
	struct registry_pending pending;
	char staging[LIMIT_PATH_BYTES], final[LIMIT_PATH_BYTES];
	struct signing_identity *key;
	struct signing_manifest manifest;
	struct audit_receipt receipt;
	char license[64];
	bool begun; /* the pending row is ours */
};

static int beside_path(const char *dir, const char *suffix, char out[LIMIT_PATH_BYTES],
		       struct err *e)
{
	int n = snprintf(out, LIMIT_PATH_BYTES, "%s%s", dir, suffix);
	return n > 0 && n < LIMIT_PATH_BYTES ? 0 : err_set(e, ERR_INPUT, "path too long: %s", dir);
}

/* The row of this very version: the same content may have been published before. */
static int find_release(struct flow *f, const struct registry_pending *p,
			struct registry_release *out, struct err *e)
{
	char ref[sizeof p->model + sizeof p->version + 1];
	snprintf(ref, sizeof ref, "%s@%s", p->model, p->version);
	TRY(registry_find(f->registry, ref, out, e));
	bool same = strcmp(out->version, p->version) == 0 && digest_equal(&out->root, &p->root);
	return same ? 0 : err_set(e, ERR_NOTFOUND, "%s is another release", ref);
}

int flow_pending_logged(struct flow *f, const struct registry_pending *p, struct err *e)
{
	struct registry_release release;
	int rc = p->has_root ? find_release(f, p, &release, e) : ERR_NOTFOUND;
	if (rc < 0)
		return rc == ERR_NOTFOUND ? 0 : rc;
	return 1;
}

/* ---- staging ---- */

static int stage(struct job *j, const char *name, const void *bytes, size_t len, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	TRY(file_join(path, j->staging, name, e));
	return file_write_durable(path, bytes, len, 0644, e);
}

static int stage_buf(struct job *j, const char *name, int made, struct buf *b, struct err *e)
{
	int rc = made;
	if (rc == 0)
		rc = buf_done(b, e);
	if (rc == 0)
		rc = stage(j, name, b->bytes, b->len, e);
	buf_free(b);
	return rc;
}

static int hash_folder(struct job *j, struct err *e)
{
	struct source *src = NULL;
	struct model_tensors *t = NULL;
	struct signing_range *range = NULL;
	size_t count = 0;
	int rc = 0;
	TRY_OUT(source_open_folder(&src, j->pending.dir, e));
	TRY_OUT(model_tensors_open(&t, src, e));
	TRY_OUT(flow_ranges_of(t, &range, &count, e));
	TRY_OUT(signing_manifest_make(&j->manifest,
				      &(struct signing_making){
					      .source = src,
					      .name = strrchr(j->pending.dir, '/') + 1,
					      .staging = j->staging,
					      .range = range,
					      .ranges = count,
					      .quiet = j->flow->quiet,
				      },
				      e));
out:
	free(range);
	model_tensors_close(t);
	source_close(src);
	return rc;
}

static int parent_of(struct job *j, struct registry_release *release, struct signing_parent *out,
		     struct err *e)
{
	TRY(registry_find(j->flow->registry, j->want->parent, release, e));
	*out = (struct signing_parent){
		.name = release->model,
		.relation = j->want->kind ? j->want->kind : "train",
		.license = release->license,
		.root = release->root,
	};
	return 0;
}

static int sign_staged(struct job *j, struct err *e)
{
	struct buf b = { 0 };
	const struct signing_manifest *m = &j->manifest;
	struct registry_release release;
	struct signing_parent parent;
	size_t parents = j->want->parent ? 1 : 0;
	if (parents)
		TRY(parent_of(j, &release, &parent, e));
	TRY(stage_buf(j, SIGNING_BUNDLE, signing_bundle_make(j->key, m, &b, e), &b, e));
	TRY(stage(j, MANIFEST, m->payload.bytes, m->payload.len, e));
	char comment[400];
	snprintf(comment, sizeof comment, "model:%s version:%s", j->want->name, j->want->version);
	TRY(stage_buf(j, MANIFEST ".minisig",
		      signing_minisign(j->key, m->payload.bytes, m->payload.len, comment, &b, e),
		      &b, e));
	TRY(stage_buf(j, PROVENANCE,
		      signing_provenance(j->key, m, j->want->kind ? j->want->kind : "train",
					 &parent, parents, env_now_us(j->flow->env), &b, e),
		      &b, e));
	return stage_buf(j, "publisher.pub",
			 signing_public_export(signing_identity_public(j->key), SIGNING_DOCUMENT,
					       NULL, &b, e),
			 &b, e);
}

/* ---- the commit point ---- */

static int release_body(struct job *j, json_t **out, struct err *e)
{
	const struct signing_public *pub = signing_identity_public(j->key);
	struct digest manifest = digest_of(j->manifest.payload.bytes, j->manifest.payload.len);
	uint64_t bytes = 0;
	for (size_t i = 0; i < j->manifest.file_count; i++)
		bytes += j->manifest.file[i].bytes;
	struct registry_release release;
	if (j->want->parent)
		TRY(registry_find(j->flow->registry, j->want->parent, &release, e));
	json_t *parents = json_array();
	if (j->want->parent)
		json_array_append_new(parents,
				      json_pack("{s:s,s:o,s:s}", "name", release.model, "root",
						json_digest(&release.root), "relation",
						j->want->kind ? j->want->kind : "train"));
	*out = json_pack("{s:s,s:s,s:o,s:o,s:s,s:s,s:o,s:o,s:I,s:I}", "model", j->want->name,
			 "version", j->want->version, "root", json_digest(&j->manifest.root),
			 "manifest", json_digest(&manifest), "publisher", pub->name, "keyid",
			 pub->p256_keyid, "license", json_text_lossy(j->license), "parents",
			 parents, "files", (json_int_t)j->manifest.file_count, "bytes",
			 (json_int_t)bytes);
	return json_ok(*out, e);
}

static int commit(struct job *j, struct err *e)
{
	json_t *body = NULL;
	TRY(release_body(j, &body, e));
	struct audit_record r = { .type = "release", .body = body };
	int rc = flow_append(j->flow, &r, false, &j->receipt, e);
	json_decref(body);
	return rc;
}

/* ---- after it ---- */

static int move_if_there(const char *staging, const char *dir, const char *name, struct err *e)
{
	char from[LIMIT_PATH_BYTES], to[LIMIT_PATH_BYTES];
	TRY(file_join(from, staging, name, e));
	TRY(file_join(to, dir, name, e));
	return file_exists(from) ? file_rename_durable(from, to, e) : 0;
}

static int write_receipt(struct flow *f, const char *staging, const struct registry_pending *p,
			 struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct registry_release release;
	struct buf proof = { 0 };
	TRY(find_release(f, p, &release, e));
	TRY(file_join(path, staging, RECEIPT, e));
	int rc = audit_log_entry(f->log, release.log_index, &proof, e);
	struct buf entry = proof;
	proof = (struct buf){ 0 };
	if (rc == 0)
		rc = audit_log_proof(f->log, release.log_index, entry.bytes, entry.len, &proof, e);
	if (rc == 0)
		rc = file_write_durable(path, proof.bytes, proof.len, 0644, e);
	buf_free(&entry);
	buf_free(&proof);
	return rc;
}

/* What the folder of a release holds, and all that lies beside it. */
static int write_package(const char *path, struct source *model, struct source *beside,
			 struct err *e)
{
	struct buf bundle = { 0 };
	struct signing_manifest m = { 0 };
	struct file_tree there = { 0 };
	const char **extra = NULL;
	int rc = 0;
	TRY_OUT(source_read_file(model, SIGNING_BUNDLE, LIMIT_MANIFEST_BYTES, &bundle, e));
	TRY_OUT(signing_bundle_open(bundle.bytes, bundle.len, NULL, &m, e));
	TRY_OUT(source_list(beside, NULL, 0, &there, e));
	extra = calloc(there.count + 1, sizeof *extra);
	if (!extra) {
		rc = err_set(e, ERR_NOMEM, "out of memory for a package");
		goto out;
	}
	for (size_t i = 0; i < there.count; i++)
		extra[i] = there.entry[i].name;
	TRY_OUT(signing_package_write(
		path, &(struct signing_package){ &m, model, beside, extra, there.count }, e));
out:
	free(extra);
	file_tree_free(&there);
	signing_manifest_free(&m);
	buf_free(&bundle);
	return rc;
}

int flow_publish_package(struct flow *f, const struct registry_pending *p, struct err *e)
{
	struct source *model = NULL, *beside = NULL;
	char part[LIMIT_PATH_BYTES], final[LIMIT_PATH_BYTES];
	int rc = 0;
	if (!p->package[0])
		return 0;
	TRY(beside_path(p->dir, FLOW_FOLDER_SUFFIX, final, e));
	TRY(beside_path(p->package, ".part", part, e));
	TRY_OUT(source_open_tree(&model, p->dir, e));
	TRY_OUT(source_open_tree(&beside, final, e));
	TRY_OUT(write_package(part, model, beside, e));
	TRY_OUT(file_rename_durable(part, p->package, e));
out:
	source_close(model);
	source_close(beside);
	env_step(f->env, "publish.packaged");
	return rc;
}

int flow_publish_finish(struct flow *f, const struct registry_pending *p, struct err *e)
{
	char staging[LIMIT_PATH_BYTES], final[LIMIT_PATH_BYTES];
	TRY(beside_path(p->dir, FLOW_STAGING_SUFFIX, staging, e));
	TRY(beside_path(p->dir, FLOW_FOLDER_SUFFIX, final, e));
	if (!file_is_dir(p->dir))
		return err_set(e, ERR_NOTFOUND, "the folder is gone");
	if (file_is_dir(staging)) {
		TRY(move_if_there(staging, p->dir, SIGNING_CHUNKS, e));
		TRY(move_if_there(staging, p->dir, SIGNING_TENSORS, e));
		env_step(f->env, "publish.moved");
		TRY(move_if_there(staging, p->dir, SIGNING_BUNDLE, e));
		TRY(write_receipt(f, staging, p, e));
		env_step(f->env, "publish.receipt");
		TRY(file_remove_tree(
			final, e)); /* the folder of an earlier release of the same directory */
		TRY(file_rename_durable(staging, final, e));
	}
	env_step(f->env, "publish.renamed");
	return registry_locate(f->registry, &p->root, p->dir, e);
}

/* ---- from the top ---- */

static int full_path(const char *path, char out[LIMIT_PATH_BYTES], struct err *e)
{
	char *full = realpath(path, NULL);
	if (!full)
		return err_errno(e, "open %s", path);
	int rc = beside_path(full, "", out, e);
	free(full);
	return rc;
}

/* The licence that the model card states, as an SPDX id or as written. */
static void read_license(const char *dir, char out[64])
{
	char path[LIMIT_PATH_BYTES];
	struct buf card = { 0 };
	struct err ignored;
	snprintf(out, 64, "unknown");
	if (file_join(path, dir, "README.md", &ignored) == 0 &&
	    file_read(path, MIB(4), &card, &ignored) == 0) {
		const char *at = card.len ? strstr(card.bytes, "\nlicense:") : NULL;
		if (at) {
			at += strlen("\nlicense:");
			at += strspn(at, " \t\"'");
			snprintf(out, 64, "%.*s", (int)strcspn(at, "\"' \r\n"), at);
		}
	}
	buf_free(&card);
}

/* What would fail after the commit point is asked before it. */
static int check_places(const struct job *j, struct err *e)
{
	const char *dir = j->pending.dir, *package = j->pending.package;
	char parent[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];
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
	TRY(file_join(path, j->final, MANIFEST, e));
	if (file_exists(j->final) && !file_exists(path))
		return err_set(e, ERR_CONFLICT,
			       "%s is in the way, and is no release's folder: move it", j->final);
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

static int check_wanted(struct job *j, struct err *e)
{
	const struct flow_publish *p = j->want;
	static const char *const kinds[] = { "train",    "fine-tune", "merge",
					     "quantize", "convert",   "prune" };
	if (!flow_name_ok(p->name))
		return err_set(e, ERR_USAGE,
			       "name %s: expected ORG/MODEL of letters, digits, '.', '_' and '-'",
			       p->name);
	if (!version_ok(p->version))
		return err_set(e, ERR_USAGE, "version \"%s\": expected something like 1.2.0",
			       p->version);
	bool known = !p->kind;
	for (size_t i = 0; !known && i < sizeof kinds / sizeof *kinds; i++)
		known = strcmp(p->kind, kinds[i]) == 0;
	if (!known)
		return err_set(e, ERR_USAGE,
			       "kind %s: train, fine-tune, merge, quantize, convert or prune",
			       p->kind);
	if (!file_is_dir(p->dir))
		return err_set(e, ERR_NOTFOUND, "%s is not a folder", p->dir);
	snprintf(j->pending.model, sizeof j->pending.model, "%s", p->name);
	snprintf(j->pending.version, sizeof j->pending.version, "%s", p->version);
	TRY(full_path(p->dir, j->pending.dir, e));
	if (p->package && p->package[0] == '/')
		TRY(beside_path(p->package, "", j->pending.package, e));
	else if (p->package) {
		char here[LIMIT_PATH_BYTES];
		TRY(full_path(".", here, e));
		TRY(file_join(j->pending.package, here, p->package, e));
	}
	TRY(beside_path(j->pending.dir, FLOW_STAGING_SUFFIX, j->staging, e));
	TRY(beside_path(j->pending.dir, FLOW_FOLDER_SUFFIX, j->final, e));
	return check_places(j, e);
}

/* The same name and version may be published again only with the same content. */
static int check_version(struct job *j, struct err *e)
{
	char ref[300];
	struct registry_release there;
	struct err none;
	snprintf(ref, sizeof ref, "%s@%s", j->want->name, j->want->version);
	int rc = registry_find(j->flow->registry, ref, &there, &none);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc < 0)
		return err_set(e, rc, "%s", none.text);
	if (strcmp(there.version, j->want->version) != 0)
		return err_set(e, ERR_CONFLICT,
			       "%s is an alias of version %s: choose a new version", ref,
			       there.version);
	if (digest_equal(&there.root, &j->manifest.root))
		return err_set(e, ERR_CONFLICT, "%s is published already, with this very content",
			       ref);
	return err_set(e, ERR_CONFLICT,
		       "%s is published already with other content: choose a new version", ref);
}

static int run(struct job *j, struct err *e)
{
	struct flow *f = j->flow;
	TRY(check_wanted(j, e));
	TRY(flow_identity(f, j->want->key, &j->key, e));
	read_license(j->pending.dir, j->license);
	TRY(registry_pending_begin(f->registry, &j->pending, e));
	j->begun = true;
	env_step(f->env, "publish.begun");
	TRY(file_remove_tree(j->staging, e));
	TRY(file_make_dirs(j->staging, 0755, e));
	TRY(hash_folder(j, e));
	TRY(check_version(j, e));
	env_step(f->env, "publish.hashed");
	TRY(sign_staged(j, e));
	j->pending.root = j->manifest.root;
	j->pending.has_root = true;
	TRY(registry_pending_root(f->registry, j->pending.dir, &j->pending.root, e));
	env_step(f->env, "publish.staged");
	if (j->want->dry_run)
		return 0;
	TRY(commit(j, e));
	env_step(f->env, "publish.committed");
	TRY(flow_publish_finish(f, &j->pending, e));
	int rc = flow_publish_package(f, &j->pending, e);
	TRY(registry_pending_forget(f->registry, j->pending.dir, e));
	return rc < 0 ? err_prefix(e, "the release is published, its package is not") : 0;
}

/* Where nothing was committed, take the staging back. A commit that failed halfway may be in the
 * log all the same: the registry knows, and in doubt the next opening decides. */
static void take_back(struct job *j)
{
	struct err ignored;
	if (j->begun && flow_pending_logged(j->flow, &j->pending, &ignored) == 0 &&
	    file_remove_tree(j->staging, &ignored) == 0)
		(void)!registry_pending_forget(j->flow->registry, j->pending.dir, &ignored);
}

static int describe(struct job *j, json_t **report, struct err *e)
{
	char bundle[LIMIT_PATH_BYTES], receipt[LIMIT_PATH_BYTES];
	json_t *body = NULL;
	TRY(file_join(bundle, j->pending.dir, SIGNING_BUNDLE, e));
	TRY(file_join(receipt, j->final, RECEIPT, e));
	TRY(release_body(j, &body, e));
	const char *package = j->pending.package;
	*report = json_pack("{s:O,s:O,s:s,s:s,s:O,s:O,s:I,s:o,s:o,s:o*,s:b}", "root",
			    json_object_get(body, "root"), "manifest",
			    json_object_get(body, "manifest"), "name", j->want->name, "version",
			    j->want->version, "files", json_object_get(body, "files"), "bytes",
			    json_object_get(body, "bytes"), "index", (json_int_t)j->receipt.index,
			    "receipt", json_text_lossy(receipt), "bundle", json_text_lossy(bundle),
			    "package", package[0] ? json_text_lossy(package) : NULL, "dry_run",
			    j->want->dry_run);
	json_decref(body);
	return json_ok(*report, e);
}

int flow_publish(struct flow *f, const struct flow_publish *p, json_t **report, struct err *e)
{
	struct job j = { .flow = f, .want = p };
	*report = NULL;
	int rc = run(&j, e);
	if (rc == 0)
		rc = describe(&j, report, e);
	if (rc < 0 || p->dry_run)
		take_back(&j);
	signing_manifest_free(&j.manifest);
	if (j.key)
		signing_identity_close(j.key);
	return rc;
}
