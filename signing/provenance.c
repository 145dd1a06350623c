/* Provenance: SLSA v1 in an in-toto Statement v1, in a DSSE envelope signed with Ed25519.
 *
 * In-toto subjects match by digest alone; so every file stands as a subject with its name, and the
 * signed manifest's digest is a resolved dependency: two swapped shards do not pass. Model and
 * version are external parameters. Parents bind declared lineage, which a fork audit checks against
 * the weights; each has a locator, urn:hallmark:model:ORG/NAME@V, and its root. Sources:
 * in-toto Statement v1, SLSA provenance v1. */
#include "base/text.h"
#include "signing/dsse.h"
#include "signing/keys.h"
#include "signing/statement.h"

#include <string.h>

#define PREDICATE_TYPE "https://slsa.dev/provenance/v1"
#define BUILDER "urn:hallmark:builder:v1"

static void add_subjects(struct obj *o, const struct signing_manifest *m)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < m->file_count; i++) {
		struct obj file = { 0 };
		obj_text(&file, "name", m->file[i].name);
		signing_statement_digest(&file, &m->file[i].digest);
		arr_object(&list, &file);
	}
	obj_array(o, "subject", &list);
}

static void add_parent(struct arr *list, const struct signing_parent *p)
{
	struct obj o = { 0 }, annotations = { 0 };
	char uri[400];
	snprintf(uri, sizeof uri, "urn:hallmark:model:%.250s%s%.64s", p->name,
		 p->version ? "@" : "", p->version ? p->version : "");
	obj_text(&o, "name", p->name);
	obj_text(&o, "uri", uri);
	signing_statement_digest(&o, &p->root);
	obj_text(&annotations, "relation", p->relation);
	if (p->license)
		obj_text(&annotations, "license", p->license);
	obj_object(&o, "annotations", &annotations);
	arr_object(list, &o);
}

static void add_dependencies(struct obj *o, const struct signing_manifest *m,
			     const struct signing_release *r)
{
	struct digest d = digest_of(m->payload.bytes, m->payload.len);
	struct obj manifest = { 0 };
	struct arr list = { 0 };
	obj_text(&manifest, "name", "manifest");
	signing_statement_digest(&manifest, &d);
	arr_object(&list, &manifest);
	for (size_t i = 0; i < r->parents; i++)
		add_parent(&list, &r->parent[i]);
	obj_array(o, "resolvedDependencies", &list);
}

static int statement(const struct signing_manifest *m, const struct signing_release *r,
		     struct buf *out, struct err *e)
{
	struct obj o = { 0 }, predicate = { 0 }, definition = { 0 }, external = { 0 };
	struct obj run = { 0 }, builder = { 0 }, metadata = { 0 };
	char type[64], when[32];
	json_t *s;
	snprintf(type, sizeof type, "urn:hallmark:build:%.20s:v1", r->kind);
	text_time_rfc3339(r->created_us, when);
	obj_text(&external, "model", r->model);
	obj_text(&external, "version", r->version);
	obj_text(&definition, "buildType", type);
	obj_object(&definition, "externalParameters", &external);
	add_dependencies(&definition, m, r);
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
		       const struct signing_release *r, struct buf *out, struct err *e)
{
	struct buf text = { 0 };
	int rc = statement(m, r, &text, e);
	if (rc == 0)
		rc = signing_dsse_seal(id, STATEMENT_PAYLOAD_TYPE, text.bytes, text.len, out, e);
	buf_free(&text);
	return rc;
}
