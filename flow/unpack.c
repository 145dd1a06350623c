/* A package unpacked. Signature, name and what lies beside the model are checked first; then each
 * file is copied through the verified source, which compares every byte with the signed manifest as
 * it is read, so that the package is read once. All of it goes to DIR.part, and gets its names when
 * it is whole: DIR.hallmark, then DIR. An interrupted unpack leaves DIR.part, and no DIR.
 *
 *   DIR.part/model   -> DIR            the listed files and model.sig
 *   DIR.part/beside  -> DIR.hallmark   what is known of .hallmark/ in the package */
#include "base/file.h"
#include "flow/artifact.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_SUFFIX ".part"

struct unpacking {
	const struct flow_unpack *want;
	struct flow_ref package;
	struct flow_trust trust;
	struct signing_manifest manifest;
	struct source *verified;
	size_t signer;
	char dir[LIMIT_PATH_BYTES], beside[LIMIT_PATH_BYTES], part[LIMIT_PATH_BYTES];
	char part_model[LIMIT_PATH_BYTES], part_beside[LIMIT_PATH_BYTES];
	uint8_t *block; /* [SOURCE_GRANULE] */
	uint64_t bytes;
	bool made; /* DIR.part is ours */
};

/* Whatever has the name, a dangling link too. */
static int check_free(const char *path, const char *remedy, struct err *e)
{
	struct stat st;
	return lstat(path, &st) < 0
		       ? 0
		       : err_set(e, ERR_CONFLICT, "%.300s is there already: %s", path, remedy);
}

static int find_places(struct unpacking *u, struct err *e)
{
	size_t len = strlen(u->want->dir);
	while (len > 1 && u->want->dir[len - 1] == '/')
		len--;
	if (len >= sizeof u->dir)
		return err_set(e, ERR_INPUT, "path too long: %.200s", u->want->dir);
	memcpy(u->dir, u->want->dir, len);
	TRY(flow_path_beside(u->dir, FLOW_FOLDER_SUFFIX, u->beside, e));
	TRY(flow_path_beside(u->dir, PART_SUFFIX, u->part, e));
	TRY(file_join(u->part_model, u->part, "model", e));
	TRY(file_join(u->part_beside, u->part, "beside", e));
	TRY(check_free(u->dir, "nothing is written over it", e));
	TRY(check_free(u->beside, "nothing is written over it", e));
	return check_free(u->part, "an earlier unpack ended early; remove it", e);
}

/* Files that the manifest does not list are in no release. */
static int check_listed(const struct unpacking *u, struct err *e)
{
	const struct signing_manifest *m = &u->manifest;
	const char *name;
	size_t at = 0;
	for (size_t i = 0; (name = source_name(u->package.source, i)); i++) {
		while (at < m->file_count && strcmp(m->file[at].name, name) < 0)
			at++;
		if (strcmp(name, SIGNING_BUNDLE) != 0 &&
		    (at == m->file_count || strcmp(m->file[at].name, name) != 0))
			return err_set(e, ERR_VERIFY, "%s: %.200s is not in the manifest",
				       u->want->package, name);
	}
	return 0;
}

static int copy_file(struct unpacking *u, const char *name, struct err *e)
{
	char path[LIMIT_PATH_BYTES], above[LIMIT_PATH_BYTES];
	uint64_t bytes = 0;
	int rc = 0;
	TRY(file_join(path, u->part_model, name, e));
	snprintf(above, sizeof above, "%.*s", (int)(strrchr(path, '/') - path), path);
	TRY(file_make_dirs(above, 0755, e));
	TRY(source_size(u->verified, name, &bytes, e));
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "create %s", path);
	for (uint64_t at = 0; rc == 0 && at < bytes;) {
		size_t len = bytes - at < SOURCE_GRANULE ? (size_t)(bytes - at) : SOURCE_GRANULE;
		rc = source_read(u->verified, name, at, u->block, len, e);
		if (rc == 0)
			rc = file_write_all(fd, u->block, len, path, e);
		at += len;
	}
	/* An empty file is compared too: its digest is that of nothing. */
	if (rc == 0 && bytes == 0)
		rc = source_read(u->verified, name, 0, u->block, 0, e);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_errno(e, "write %s to disk", path);
	if (close(fd) < 0 && rc == 0)
		rc = err_errno(e, "write %s", path);
	u->bytes += bytes;
	return rc;
}

static int changed(const struct unpacking *u, struct err *e)
{
	return err_set(e, ERR_VERIFY, "%s: changed while it was read", u->want->package);
}

/* The bundle that was checked, once more and then written: the package may have been changed. */
static int copy_bundle(struct unpacking *u, struct err *e)
{
	struct signing_manifest again = { .file = NULL };
	struct buf text = { 0 };
	char path[LIMIT_PATH_BYTES];
	int rc = 0;
	TRY_OUT(source_read_file(u->package.source, SIGNING_BUNDLE, LIMIT_MANIFEST_BYTES, &text, e));
	TRY_OUT(signing_bundle_open(text.bytes, text.len, NULL, &again, e));
	if (again.payload.len != u->manifest.payload.len ||
	    memcmp(again.payload.bytes, u->manifest.payload.bytes, again.payload.len) != 0)
		TRY_OUT(changed(u, e));
	TRY_OUT(file_join(path, u->part_model, SIGNING_BUNDLE, e));
	TRY_OUT(file_write_durable(path, text.bytes, text.len, 0644, e));
out:
	signing_manifest_free(&again);
	buf_free(&text);
	return rc;
}

static int copy_all(struct unpacking *u, struct err *e)
{
	TRY(file_make_dirs(u->part, 0755, e));
	u->made = true;
	TRY(file_make_dirs(u->part_model, 0755, e));
	for (size_t i = 0; i < u->manifest.file_count; i++)
		TRY(copy_file(u, u->manifest.file[i].name, e));
	TRY(copy_bundle(u, e));
	if (!u->package.beside)
		return 0;
	TRY(file_make_dirs(u->part_beside, 0755, e));
	return flow_beside_copy(u->package.beside, flow_beside_known, u->part_beside, e);
}

/* The folder's own name comes last: a model that is there is whole. */
static int give_names(struct unpacking *u, struct err *e)
{
	TRY(check_free(u->dir, "nothing is written over it", e));
	TRY(check_free(u->beside, "nothing is written over it", e));
	if (u->package.beside)
		TRY(file_rename_durable(u->part_beside, u->beside, e));
	TRY(file_rename_durable(u->part_model, u->dir, e));
	return file_remove_tree(u->part, e);
}

/* Name and companion were checked of the release in the report: it must be this one. */
static int open_package(struct unpacking *u, struct flow *f, const json_t *report, struct err *e)
{
	char root[DIGEST_TEXT_ROOM];
	struct stat st;
	if (stat(u->want->package, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "%s is no package: a package is one .tar file",
			       u->want->package);
	TRY(flow_ref_open(NULL, u->want->package, &u->package, e));
	TRY(flow_trust_load(f, u->want->key, &u->trust, e));
	TRY(flow_bundle_open(u->package.source, u->package.beside, &u->trust, &u->manifest,
			     &u->signer, e));
	digest_text(&u->manifest.root, root);
	if (strcmp(root, json_string_value(json_object_get(report, "root"))) != 0)
		return changed(u, e);
	TRY(check_listed(u, e));
	return signing_source_open(&u->verified, &u->manifest, u->package.source, e);
}

static int unpack(struct unpacking *u, struct flow *f, json_t **report, struct err *e)
{
	const struct flow_verify v = {
		.ref = u->want->package,
		.key = u->want->key,
		.name = u->want->name,
		.quiet = true,
		.unhashed = true,
	};
	TRY(find_places(u, e));
	TRY(flow_release_verify(f, &v, report, e));
	if (!json_is_true(json_object_get(*report, "ok")))
		return 0;
	TRY(open_package(u, f, *report, e));
	u->block = malloc(SOURCE_GRANULE);
	if (!u->block)
		return err_set(e, ERR_NOMEM, "out of memory for a package");
	TRY(copy_all(u, e));
	TRY(give_names(u, e));
	json_object_set_new(*report, "folder", json_text_lossy(u->dir));
	json_object_set_new(*report, "files", json_integer((json_int_t)u->manifest.file_count));
	json_object_set_new(*report, "bytes", json_integer((json_int_t)u->bytes));
	return json_ok(*report, e);
}

int flow_release_unpack(struct flow *f, const struct flow_unpack *want, json_t **report,
			struct err *e)
{
	struct unpacking u = { .want = want };
	struct err ignored;
	*report = NULL;
	int rc = unpack(&u, f, report, e);
	if (rc < 0 && u.made)
		(void)!file_remove_tree(u.part, &ignored);
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
	}
	free(u.block);
	source_close(u.verified);
	signing_manifest_free(&u.manifest);
	flow_trust_free(&u.trust);
	flow_ref_free(&u.package);
	return rc;
}
