#include "flow/artifact.h"
#include "base/file.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static int make_bundle(const struct flow_making *of, struct buf *out, struct err *e)
{
	return signing_bundle_make(of->key, of->manifest, out, e);
}

static int make_manifest(const struct flow_making *of, struct buf *out, struct err *e)
{
	buf_add_buf(out, &of->manifest->payload);
	return buf_done(out, e);
}

static int make_minisign(const struct flow_making *of, struct buf *out, struct err *e)
{
	const struct buf *signs = &of->manifest->payload;
	char comment[400];
	snprintf(comment, sizeof comment, "model:%s version:%s", of->release->model,
		 of->release->version);
	return signing_minisign(of->key, signs->bytes, signs->len, comment, out, e);
}

static int make_provenance(const struct flow_making *of, struct buf *out, struct err *e)
{
	return signing_provenance(of->key, of->manifest, of->release, out, e);
}

static int make_release(const struct flow_making *of, struct buf *out, struct err *e)
{
	return signing_release_make(of->key, of->manifest, of->release, out, e);
}

static int make_public_key(const struct flow_making *of, struct buf *out, struct err *e)
{
	return signing_public_export(signing_identity_public(of->key), SIGNING_DOCUMENT, NULL, out,
				     e);
}

static int make_receipt(const struct flow_making *of, struct buf *out, struct err *e)
{
	struct buf entry = { 0 };
	uint64_t index = of->registered->log_index;
	int rc = 0;
	TRY_OUT(audit_log_entry(of->flow->log, index, &entry, e));
	TRY_OUT(audit_log_proof(of->flow->log, index, entry.bytes, entry.len, out, e));
out:
	buf_free(&entry);
	return rc;
}

/* Verification begins with the bundle, so it has no check of its own here. The publisher's document
 * comes first: it may have the halves of the key that the others are signed with. */
const struct flow_artifact flow_artifacts[FLOW_ARTIFACTS] = {
	{ SIGNING_BUNDLE, .inside = true, .make = make_bundle },
	{ FLOW_PUBLISHER, .make = make_public_key, .check = flow_check_publisher },
	{ FLOW_MANIFEST, .make = make_manifest, .check = flow_check_manifest },
	{ FLOW_MANIFEST ".minisig", .make = make_minisign, .check = flow_check_minisign },
	{ FLOW_RELEASE, .demanded = true, .make = make_release, .check = flow_check_release },
	{ FLOW_PROVENANCE, .make = make_provenance, .check = flow_check_provenance },
	{ FLOW_RECEIPT, .logged = true, .make = make_receipt, .check = flow_check_receipt },
};

bool flow_beside_known(const char *name)
{
	for (size_t i = 0; i < FLOW_ARTIFACTS; i++)
		if (!flow_artifacts[i].inside && strcmp(name, flow_artifacts[i].name) == 0)
			return true;
	return text_starts(name, FLOW_UPSTREAM "/") || flow_beside_numbered(name);
}

static int stage_one(const struct flow_artifact *a, const struct flow_making *of,
		     const char *staging, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct buf text = { 0 };
	int rc = 0;
	TRY_OUT(file_join(path, staging, a->name, e));
	TRY_OUT(a->make(of, &text, e));
	TRY_OUT(buf_done(&text, e));
	TRY_OUT(file_write_durable(path, text.bytes, text.len, 0644, e));
out:
	buf_free(&text);
	return rc;
}

int flow_artifacts_stage(const struct flow_making *of, bool logged, const char *staging,
			 struct err *e)
{
	for (size_t i = 0; i < FLOW_ARTIFACTS; i++)
		if (flow_artifacts[i].logged == logged)
			TRY(stage_one(&flow_artifacts[i], of, staging, e));
	return 0;
}
