/* What follows a publication's commit point. All of it can be done again: recovery does, when a
 * crash came between. */
#include "base/file.h"
#include "flow/artifact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int flow_path_beside(const char *dir, const char *suffix, char out[LIMIT_PATH_BYTES], struct err *e)
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

static int move_if_there(const char *staging, const char *dir, const char *name, struct err *e)
{
	char from[LIMIT_PATH_BYTES], to[LIMIT_PATH_BYTES];
	TRY(file_join(from, staging, name, e));
	TRY(file_join(to, dir, name, e));
	return file_exists(from) ? file_rename_durable(from, to, e) : 0;
}

/* The lists of chunks and tensors are files of the model, and come before what signs them. */
static int move_inside(struct flow *f, const char *staging, const char *dir, struct err *e)
{
	TRY(move_if_there(staging, dir, SIGNING_CHUNKS, e));
	TRY(move_if_there(staging, dir, SIGNING_TENSORS, e));
	env_step(f->env, "publish.moved");
	for (size_t i = 0; i < FLOW_ARTIFACTS; i++)
		if (flow_artifacts[i].inside)
			TRY(move_if_there(staging, dir, flow_artifacts[i].name, e));
	return 0;
}

int flow_publish_finish(struct flow *f, const struct registry_pending *p, struct err *e)
{
	char staging[LIMIT_PATH_BYTES], final[LIMIT_PATH_BYTES];
	TRY(flow_path_beside(p->dir, FLOW_STAGING_SUFFIX, staging, e));
	TRY(flow_path_beside(p->dir, FLOW_FOLDER_SUFFIX, final, e));
	if (!file_is_dir(p->dir))
		return err_set(e, ERR_NOTFOUND, "the folder is gone");
	if (file_is_dir(staging)) {
		struct registry_release release;
		struct flow_making of = { .flow = f, .registered = &release };
		TRY(move_inside(f, staging, p->dir, e));
		TRY(find_release(f, p, &release, e));
		TRY(flow_artifacts_stage(&of, true, staging, e));
		env_step(f->env, "publish.receipt");
		TRY(file_remove_tree(final, e)); /* of an earlier release of the same folder */
		TRY(file_rename_durable(staging, final, e));
	}
	env_step(f->env, "publish.renamed");
	return registry_locate(f->registry, &p->root, p->dir, e);
}

/* What lies beside the model and is known: all that this version makes, or fewer where an earlier
 * one made them, and what another publisher signed first. Borrows from *there. */
static int list_beside(struct source *beside, struct file_tree *there, const char ***name,
		       size_t *count, struct err *e)
{
	*count = 0;
	TRY(source_list(beside, NULL, 0, there, e));
	*name = calloc(there->count + 1, sizeof **name);
	if (!*name)
		return err_set(e, ERR_NOMEM, "out of memory for a package");
	for (size_t i = 0; i < there->count; i++)
		if (there->entry[i].kind == FILE_REGULAR && flow_beside_known(there->entry[i].name))
			(*name)[(*count)++] = there->entry[i].name;
	return 0;
}

static int write_package(const char *path, struct source *model, struct source *beside,
			 struct err *e)
{
	struct buf bundle = { 0 };
	struct signing_manifest m = { 0 };
	struct file_tree there = { 0 };
	const char **extra = NULL;
	size_t extras = 0;
	int rc = 0;
	TRY_OUT(source_read_file(model, SIGNING_BUNDLE, LIMIT_MANIFEST_BYTES, &bundle, e));
	TRY_OUT(signing_bundle_open(bundle.bytes, bundle.len, NULL, &m, e));
	TRY_OUT(list_beside(beside, &there, &extra, &extras, e));
	TRY_OUT(signing_package_write(path,
				      &(struct signing_package){ &m, model, beside, extra, extras },
				      e));
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
	char final[LIMIT_PATH_BYTES];
	int rc = 0;
	if (!p->package[0])
		return 0;
	TRY(flow_path_beside(p->dir, FLOW_FOLDER_SUFFIX, final, e));
	TRY_OUT(source_open_tree(&model, p->dir, e));
	TRY_OUT(source_open_tree(&beside, final, e));
	TRY_OUT(write_package(p->package, model, beside, e)); /* there once it is whole */
out:
	source_close(model);
	source_close(beside);
	env_step(f->env, "publish.packaged");
	return rc;
}
