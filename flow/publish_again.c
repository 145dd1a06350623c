/* A release published again: the same content under the same name and version. What is missing is
 * made again from the log and the folder; what is there stays as it was signed. */
#include "base/file.h"
#include "base/text.h"
#include "flow/artifact.h"

#include <stdio.h>
#include <string.h>

/* Whether the statement is the one that the log knows. */
static bool is_logged(const struct flow_making *of, const struct signing_manifest *m)
{
	struct digest d = digest_of(m->payload.bytes, m->payload.len);
	return digest_equal(&d, &of->registered->manifest);
}

/* The manifest of the bundle in the folder. False: there is none of this key, or it is another. */
static bool read_bundle(const struct flow_making *of, struct source *model,
			struct signing_manifest *m)
{
	const struct signing_public *key = signing_identity_public(of->key);
	struct buf b = { 0 };
	struct err why;
	bool ours = source_read_file(model, SIGNING_BUNDLE, LIMIT_MANIFEST_BYTES, &b, &why) == 0 &&
		    signing_bundle_open(b.bytes, b.len, key, m, &why) == 0;
	buf_free(&b);
	if (ours && !is_logged(of, m)) {
		signing_manifest_free(m);
		ours = false;
	}
	return ours;
}

int flow_publish_adopt(const struct flow_making *of, struct source *model,
		       struct signing_manifest *m, struct err *e)
{
	struct signing_manifest signed_one = { 0 };
	const char *folder = of->registered->location;
	const char *slash = strrchr(folder, '/');
	if (is_logged(of, m))
		return 0;
	if (read_bundle(of, model, &signed_one)) {
		signing_manifest_free(m);
		*m = signed_one;
		return 0;
	}
	if (slash && slash[1])
		TRY(signing_manifest_rename(m, slash + 1, e));
	return is_logged(of, m) ? 0
				: err_set(e, ERR_CONFLICT,
					  "%s@%s is published already with this content, but its "
					  "signature is not here: copy it from %s",
					  of->release->model, of->release->version,
					  *folder ? folder : "where it was published");
}

/* One artifact's text as it lies there, appended to out. False: missing, damaged, or of the same
 * content under another name. */
static bool read_intact(const struct flow_making *of, const struct flow_artifact *a,
			const char *folder, struct buf *out)
{
	struct flow_beside beside = { .key = *signing_identity_public(of->key),
				      .manifest = of->manifest };
	char path[LIMIT_PATH_BYTES];
	struct flow_verdict verdict = { .ok = true };
	struct err why;
	if (file_join(path, folder, a->name, &why) < 0 ||
	    file_read(path, FLOW_ARTIFACT_BYTES, out, &why) < 0)
		return false;
	snprintf(beside.named.model, sizeof beside.named.model, "%s", of->release->model);
	snprintf(beside.named.version, sizeof beside.named.version, "%s", of->release->version);
	if (a->check)
		a->check(&beside, out, &verdict);
	return verdict.ok && strcmp(beside.named.model, of->release->model) == 0 &&
	       strcmp(beside.named.version, of->release->version) == 0;
}

static bool is_intact(const struct flow_making *of, const struct flow_artifact *a, const char *dir,
		      const char *final)
{
	struct buf text = { 0 };
	struct signing_manifest m = { 0 };
	struct err why;
	bool intact = read_intact(of, a, a->inside ? dir : final, &text);
	if (intact && a->inside) {
		intact = signing_bundle_open(text.bytes, text.len, signing_identity_public(of->key),
					     &m, &why) == 0 &&
			 is_logged(of, &m);
		signing_manifest_free(&m);
	}
	buf_free(&text);
	return intact;
}

/* Copied from where it lies, or made. */
static int restage(const struct flow_making *of, const struct flow_artifact *a, const char *staging,
		   const char *final, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct buf text = { 0 };
	int rc = 0;
	if (a->inside || !read_intact(of, a, final, &text)) {
		buf_clear(&text);
		TRY_OUT(a->make(of, &text, e));
	}
	TRY_OUT(buf_done(&text, e));
	TRY_OUT(file_join(path, staging, a->name, e));
	TRY_OUT(file_write_durable(path, text.bytes, text.len, 0644, e));
out:
	buf_free(&text);
	return rc;
}

/* hallmark.chunks and hallmark.tensors are files of the release: the root says what they are, not
 * what lies in the folder. Staging has them made anew. */
static bool has_lists(const struct signing_manifest *m, const char *dir)
{
	bool intact = true;
	for (size_t i = 0; intact && i < m->file_count; i++) {
		char path[LIMIT_PATH_BYTES];
		struct buf text = { 0 };
		struct err why;
		if (strcmp(m->file[i].name, SIGNING_CHUNKS) != 0 &&
		    strcmp(m->file[i].name, SIGNING_TENSORS) != 0)
			continue;
		intact = file_join(path, dir, m->file[i].name, &why) == 0 &&
			 file_read(path, m->file[i].bytes, &text, &why) == 0;
		struct digest found = digest_of(text.bytes, text.len);
		intact = intact && digest_equal(&found, &m->file[i].digest);
		buf_free(&text);
	}
	return intact;
}

/* What is not in the table, and of the same content: another's release, further signers. */
static bool is_kept(const char *name)
{
	return text_starts(name, FLOW_UPSTREAM "/") || flow_beside_numbered(name);
}

static int keep_others(const char *dir, const char *staging, struct err *e)
{
	struct source *beside = NULL;
	TRY(flow_beside_open(dir, &beside, e));
	int rc = beside ? flow_beside_copy(beside, is_kept, staging, e) : 0;
	source_close(beside);
	return rc;
}

int flow_publish_restage(const struct flow_making *of, const char *dir, const char *staging,
			 const char *final, struct err *e)
{
	bool complete = has_lists(of->manifest, dir);
	for (size_t i = 0; complete && i < FLOW_ARTIFACTS; i++)
		complete = is_intact(of, &flow_artifacts[i], dir, final);
	if (complete)
		return file_remove_tree(staging, e);
	TRY(keep_others(dir, staging, e));
	for (size_t i = 0; i < FLOW_ARTIFACTS; i++) {
		const struct flow_artifact *a = &flow_artifacts[i];
		if (!a->inside || !is_intact(of, a, dir, final))
			TRY(restage(of, a, staging, final, e));
	}
	return 0;
}
