/* REF: a folder, a package file, or a name or root digest that the registry knows. */
#include "base/file.h"
#include "base/text.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static int resolve_folder(const char *path, struct flow_ref *out, struct err *e)
{
	char *full = realpath(path, NULL);
	if (!full)
		return err_errno(e, "open %s", path);
	int rc = strlen(full) < sizeof out->folder
			 ? 0
			 : err_set(e, ERR_INPUT, "path too long: %s", path);
	if (rc == 0)
		strcpy(out->folder, full);
	free(full);
	return rc;
}

int flow_temporary(char out[LIMIT_PATH_BYTES], struct err *e)
{
	const char *base = getenv("TMPDIR");
	int rc = file_join(out, base && *base ? base : "/tmp", "hallmark.XXXXXX", e);
	if (rc == 0 && !mkdtemp(out))
		rc = err_errno(e, "make a temporary folder %s", out);
	if (rc < 0)
		out[0] = 0;
	return rc;
}

int flow_ref_check(const struct flow_ref *r, const struct signing_manifest *m, struct err *e)
{
	char was[DIGEST_TEXT_ROOM], is[DIGEST_TEXT_ROOM];
	if (!r->registered || digest_equal(&r->release.root, &m->root))
		return 0;
	digest_text(&r->release.root, was);
	digest_text(&m->root, is);
	return err_set(e, ERR_VERIFY, "%s@%s is %s, but %.200s now holds %s: another release",
		       r->release.model, r->release.version, was, r->folder, is);
}

static int unpack(const char *path, struct flow_ref *out, struct err *e)
{
	uint64_t bytes;
	TRY(file_size(path, &bytes, e));
	TRY(flow_temporary(out->temporary, e));
	int rc = file_join(out->folder, out->temporary, "package", e);
	if (rc == 0)
		rc = signing_package_read(path, out->folder, bytes, e);
	if (rc < 0)
		flow_ref_free(out);
	return rc;
}

int flow_ref_open(struct flow *f, const char *ref, struct flow_ref *out, struct err *e)
{
	static const char *const remote[] = { "oci://", "hf://", "modelscope://" };
	*out = (struct flow_ref){ 0 };
	for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
		if (text_starts(ref, remote[i]))
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: %s references", remote[i]);
	if (file_is_dir(ref))
		return resolve_folder(ref, out, e);
	if (file_exists(ref))
		return unpack(ref, out, e);
	if (!f)
		return err_set(e, ERR_NOTFOUND, "%s is neither a folder nor a package file", ref);
	TRY(registry_find(f->registry, ref, &out->release, e));
	if (!out->release.location[0])
		return err_set(e, ERR_NOTFOUND,
			       "%s is registered, but its files are not on this machine", ref);
	out->registered = true;
	return resolve_folder(out->release.location, out, e);
}

void flow_ref_free(struct flow_ref *r)
{
	struct err ignored;
	if (r->temporary[0] && file_remove_tree(r->temporary, &ignored) < 0)
		r->temporary[0] = 0; /* a leftover there harms nobody */
	*r = (struct flow_ref){ 0 };
}
