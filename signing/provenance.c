/* Provenance: SLSA v1 in an in-toto Statement v1, in a DSSE envelope signed with Ed25519.
 *
 * In-toto subjects match by digest alone; so every file stands as a subject with its name, and the
 * signed manifest's digest is a resolved dependency: two swapped shards do not pass. Parents bind
 * declared lineage, which a fork audit checks against the weights. Sources: in-toto Statement v1,
 * SLSA provenance v1. */
#include "base/text.h"
#include "signing/dsse.h"
#include "signing/keys.h"
#include "signing/statement.h"

#include <string.h>

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "https://slsa.dev/provenance/v1"
#define BUILDER "urn:hallmark:builder:v1"

static json_t *digest_set(const struct digest *d)
{
	char hex[65];
	digest_hex(d, hex);
	return json_pack("{s:s}", "sha256", hex);
}

static json_t *subjects(const struct signing_manifest *m)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->file_count; i++)
		json_array_append_new(list, json_pack("{s:s,s:o}", "name", m->file[i].name,
						      "digest", digest_set(&m->file[i].digest)));
	return list;
}

static json_t *dependencies(const struct signing_manifest *m, const struct signing_parent *parent,
			    size_t parents)
{
	struct digest manifest = digest_of(m->payload.bytes, m->payload.len);
	json_t *list = json_array();
	json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "name", "manifest", "uri",
					      "urn:hallmark:release:v1", "digest",
					      digest_set(&manifest)));
	for (size_t i = 0; i < parents; i++) {
		const struct signing_parent *p = &parent[i];
		json_array_append_new(list,
				      json_pack("{s:s,s:s,s:o,s:{s:s,s:s*}}", "name", p->name,
						"uri", "urn:hallmark:release:v1", "digest",
						digest_set(&p->root), "annotations", "relation",
						p->relation, "license", p->license));
	}
	return list;
}

static int statement(const struct signing_manifest *m, const char *kind,
		     const struct signing_parent *parent, size_t parents, int64_t time_us,
		     struct buf *out, struct err *e)
{
	char type[64], when[32], root[DIGEST_TEXT_ROOM];
	snprintf(type, sizeof type, "urn:hallmark:build:%.20s:v1", kind);
	text_time_rfc3339(time_us, when);
	digest_text(&m->root, root);
	json_t *s =
		json_pack("{s:s,s:o,s:s,s:{s:{s:s,s:{s:s,s:s},s:o},s:{s:{s:s},s:{s:s}}}}", "_type",
			  STATEMENT_TYPE, "subject", subjects(m), "predicateType", PREDICATE_TYPE,
			  "predicate", "buildDefinition", "buildType", type, "externalParameters",
			  "model", m->model_name, "root", root, "resolvedDependencies",
			  dependencies(m, parent, parents), "runDetails", "builder", "id", BUILDER,
			  "metadata", "finishedOn", when);
	int rc = s ? json_write_canonical(s, out, e)
		   : err_set(e, ERR_NOMEM, "out of memory for a provenance statement");
	json_decref(s);
	return rc;
}

int signing_provenance(const struct signing_identity *id, const struct signing_manifest *m,
		       const char *kind, const struct signing_parent *parent, size_t parents,
		       int64_t time_us, struct buf *out, struct err *e)
{
	struct buf text = { 0 };
	int rc = statement(m, kind, parent, parents, time_us, &text, e);
	if (rc == 0)
		rc = signing_dsse_seal(id, STATEMENT_PAYLOAD_TYPE, text.bytes, text.len, out, e);
	buf_free(&text);
	return rc;
}
