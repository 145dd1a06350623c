/* REF: a folder, a file of weights, a package, or a name or root digest that the registry knows. */
#include "base/file.h"
#include "base/text.h"
#include "flow/home.h"
#include "model/gguf.h"
#include "model/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool flow_name_ok(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *slash = strchr(name, '/');
	if (!slash || slash == name || !slash[1] || strlen(name) > 200 || name[0] == '.' ||
	    slash[1] == '.')
		return false;
	return strspn(name, allowed) == (size_t)(slash - name) &&
	       slash[1 + strspn(slash + 1, allowed)] == 0;
}

static int resolve_path(const char *path, struct flow_ref *out, struct err *e)
{
	char *full = realpath(path, NULL);
	if (!full)
		return err_errno(e, "open %s", path);
	int rc = strlen(full) < sizeof out->path ? 0
						 : err_set(e, ERR_INPUT, "path too long: %s", path);
	if (rc == 0)
		strcpy(out->path, full);
	free(full);
	return rc;
}

int flow_beside_open(const char *dir, struct source **out, struct err *e)
{
	char beside[LIMIT_PATH_BYTES + sizeof FLOW_FOLDER_SUFFIX];
	*out = NULL;
	snprintf(beside, sizeof beside, "%s" FLOW_FOLDER_SUFFIX, dir);
	if (!file_is_dir(beside))
		snprintf(beside, sizeof beside, "%s/" SIGNING_EXTRAS, dir);
	return file_is_dir(beside) ? source_open_tree(out, beside, e) : 0;
}

static int open_folder(const char *path, struct flow_ref *out, struct err *e)
{
	TRY(resolve_path(path, out, e));
	out->is_folder = true;
	TRY(source_open_tree(&out->source, out->path, e));
	return flow_beside_open(out->path, &out->beside, e);
}

/* One file of a folder: its folder's signature says nothing of the file alone. */
static int open_weights(const char *path, struct flow_ref *out, struct err *e)
{
	TRY(resolve_path(path, out, e));
	return text_ends(path, ".gguf") ? model_gguf_files(&out->source, path, e)
					: model_values_alone(&out->source, path, e);
}

static int open_package(const char *path, struct flow_ref *out, struct err *e)
{
	TRY(resolve_path(path, out, e));
	return source_open_package(&out->source, &out->beside, out->path, SIGNING_EXTRAS, e);
}

int flow_ref_check(const struct flow_ref *r, const struct signing_manifest *m, struct err *e)
{
	char was[DIGEST_TEXT_ROOM], is[DIGEST_TEXT_ROOM];
	if (!r->registered || digest_equal(&r->release.root, &m->root))
		return 0;
	digest_text(&r->release.root, was);
	digest_text(&m->root, is);
	return err_set(e, ERR_VERIFY, "%s@%s is %s, but %.200s now holds %s: another release",
		       r->release.model, r->release.version, was, r->path, is);
}

static int ref_open(struct flow *f, const char *ref, struct flow_ref *out, struct err *e)
{
	static const char *const remote[] = { "oci://", "hf://", "modelscope://" };
	for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
		if (text_starts(ref, remote[i]))
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: %s references", remote[i]);
	if (file_is_dir(ref))
		return open_folder(ref, out, e);
	if (file_exists(ref) && (text_ends(ref, ".gguf") || text_ends(ref, ".safetensors")))
		return open_weights(ref, out, e);
	if (file_exists(ref))
		return open_package(ref, out, e);
	if (!f)
		return err_set(e, ERR_NOTFOUND,
			       "%s is neither a folder nor a file of weights or a package", ref);
	int rc = registry_find(f->registry, ref, &out->release, e);
	if (rc == ERR_NOTFOUND)
		return err_set(e, rc, "the registry has no %.300s, and there is no such folder or file",
			       ref);
	TRY(rc);
	if (!out->release.location[0])
		return err_set(e, ERR_NOTFOUND,
			       "%s is registered, but its files are not on this machine", ref);
	out->registered = true;
	return open_folder(out->release.location, out, e);
}

int flow_ref_open(struct flow *f, const char *ref, struct flow_ref *out, struct err *e)
{
	*out = (struct flow_ref){ 0 };
	int rc = ref_open(f, ref, out, e);
	if (rc < 0)
		flow_ref_free(out);
	return rc;
}

int flow_ref_plain(struct flow_ref *r, struct err *e)
{
	struct source *plain = NULL;
	if (!r->is_folder)
		return 0;
	TRY(source_open_folder(&plain, r->path, e));
	source_close(r->source);
	r->source = plain;
	return 0;
}

void flow_ref_free(struct flow_ref *r)
{
	source_close(r->source);
	source_close(r->beside);
	*r = (struct flow_ref){ 0 };
}
