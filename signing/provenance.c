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

static void add_digest(struct obj *o, const struct digest *d)
{
	struct obj set = { 0 };
	char hex[65];
	digest_hex(d, hex);
	obj_text(&set, "sha256", hex);
	obj_object(o, "digest", &set);
}

static void add_subjects(struct obj *o, const struct signing_manifest *m)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < m->file_count; i++) {
		struct obj file = { 0 };
		obj_text(&file, "name", m->file[i].name);
		add_digest(&file, &m->file[i].digest);
		arr_object(&list, &file);
	}
	obj_array(o, "subject", &list);
}

static void add_dependency(struct arr *list, const char *name, const struct digest *d,
			   const struct signing_parent *parent)
{
	struct obj o = { 0 }, annotations = { 0 };
	obj_text(&o, "name", name);
	obj_text(&o, "uri", "urn:hallmark:release:v1");
	add_digest(&o, d);
	if (parent) {
		obj_text(&annotations, "relation", parent->relation);
		if (parent->license)
			obj_text(&annotations, "license", parent->license);
		obj_object(&o, "annotations", &annotations);
	}
	arr_object(list, &o);
}

static void add_dependencies(struct obj *o, const struct signing_manifest *m,
			     const struct signing_parent *parent, size_t parents)
{
	struct digest manifest = digest_of(m->payload.bytes, m->payload.len);
	struct arr list = { 0 };
	add_dependency(&list, "manifest", &manifest, NULL);
	for (size_t i = 0; i < parents; i++)
		add_dependency(&list, parent[i].name, &parent[i].root, &parent[i]);
	obj_array(o, "resolvedDependencies", &list);
}

static int statement(const struct signing_manifest *m, const char *kind,
		     const struct signing_parent *parent, size_t parents, int64_t time_us,
		     struct buf *out, struct err *e)
{
	struct obj o = { 0 }, predicate = { 0 }, definition = { 0 }, external = { 0 };
	struct obj run = { 0 }, builder = { 0 }, metadata = { 0 };
	char type[64], when[32], root[DIGEST_TEXT_ROOM];
	json_t *s;
	snprintf(type, sizeof type, "urn:hallmark:build:%.20s:v1", kind);
	text_time_rfc3339(time_us, when);
	digest_text(&m->root, root);
	obj_text(&external, "model", m->model_name);
	obj_text(&external, "root", root);
	obj_text(&definition, "buildType", type);
	obj_object(&definition, "externalParameters", &external);
	add_dependencies(&definition, m, parent, parents);
	obj_text(&builder, "id", BUILDER);
	obj_text(&metadata, "finishedOn", when);
	obj_object(&run, "builder", &builder);
	obj_object(&run, "metadata", &metadata);
	obj_object(&predicate, "buildDefinition", &definition);
	obj_object(&predicate, "runDetails", &run);
	obj_text(&o, "_type", STATEMENT_TYPE);
	add_subjects(&o, m);
	obj_text(&o, "predicateType", PREDICATE_TYPE);
	obj_object(&o, "predicate", &predicate);
	TRY(obj_done(&o, &s, e));
	int rc = json_write_canonical(s, out, e);
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
