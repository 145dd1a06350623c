/* Provenance: SLSA v1 in an in-toto Statement v1, in a DSSE envelope signed with Ed25519.
 *
 * In-toto subjects match by digest alone; so every file stands as a subject with its name, and the
 * signed manifest's digest is a resolved dependency: two swapped shards do not pass. Model and
 * version are external parameters. Parents bind declared lineage, which a fork audit checks against
 * the weights; each has a locator, urn:hallmark:model:ORG/NAME@V, and its root. Sources:
 * in-toto Statement v1, SLSA provenance v1. */
#include "base/limits.h"
#include "base/text.h"
#include "signing/dsse.h"
#include "signing/keys.h"
#include "signing/statement.h"

#include <string.h>

#define PREDICATE "https://slsa.dev/provenance/v"
#define PREDICATE_TYPE PREDICATE "1"
#define WHAT "provenance.json"
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

/* ---- checked ---- */

static bool has_digest(const json_t *o, const char *name, const struct digest *d)
{
	const char *its = json_string_value(json_object_get(o, "name"));
	const char *sha256 =
		json_string_value(json_object_get(json_object_get(o, "digest"), "sha256"));
	char hex[65];
	digest_hex(d, hex);
	return its && strcmp(its, name) == 0 && sha256 && strcmp(sha256, hex) == 0;
}

/* A file is written with the name that is signed, in the manifest's order: neither may differ. */
static int check_subjects(const json_t *statement, const struct signing_manifest *m, struct err *e)
{
	json_t *subjects = NULL;
	TRY(json_get_array(statement, "subject", &subjects, WHAT, e));
	if (json_array_size(subjects) != m->file_count)
		return err_set(e, ERR_VERIFY, WHAT ": is of %zu files, the release has %zu",
			       json_array_size(subjects), m->file_count);
	for (size_t i = 0; i < m->file_count; i++)
		if (!has_digest(json_array_get(subjects, i), m->file[i].name, &m->file[i].digest))
			return err_set(e, ERR_VERIFY, WHAT ": is of another %.300s than is signed",
				       m->file[i].name);
	return 0;
}

static int check_manifest(const json_t *definition, const struct signing_manifest *m, struct err *e)
{
	struct digest d = digest_of(m->payload.bytes, m->payload.len);
	json_t *needs = NULL, *one;
	size_t i;
	TRY(json_get_array(definition, "resolvedDependencies", &needs, WHAT, e));
	json_array_foreach(needs, i, one) {
		if (has_digest(one, "manifest", &d))
			return 0;
	}
	return err_set(e, ERR_VERIFY, WHAT ": is of another manifest than is signed");
}

static int check_name(const json_t *definition, const struct signing_named *named, struct err *e)
{
	const char *model = NULL, *version = NULL;
	json_t *external = NULL;
	TRY(json_get_object(definition, "externalParameters", &external, WHAT, e));
	TRY(json_get_string(external, "model", &model, WHAT, e));
	TRY(json_get_string(external, "version", &version, WHAT, e));
	if (named->model[0] &&
	    (strcmp(model, named->model) != 0 || strcmp(version, named->version) != 0))
		return err_set(e, ERR_VERIFY, WHAT ": is of %.250s@%.64s", model, version);
	return 0;
}

static int check_statement(const json_t *s, const struct signing_manifest *m,
			   const struct signing_named *named, struct err *e)
{
	const char *type = NULL, *predicate_type = NULL;
	json_t *predicate = NULL, *definition = NULL;
	TRY(json_get_string(s, "_type", &type, WHAT, e));
	TRY(json_get_string(s, "predicateType", &predicate_type, WHAT, e));
	bool ours = strcmp(type, STATEMENT_TYPE) == 0 && text_starts(predicate_type, PREDICATE);
	if (!ours)
		return err_set(e, ERR_VERIFY, WHAT ": a statement of type %.100s", predicate_type);
	if (strcmp(predicate_type, PREDICATE_TYPE) != 0)
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: %.60s",
			       predicate_type);
	TRY(check_subjects(s, m, e));
	TRY(json_get_object(s, "predicate", &predicate, WHAT, e));
	TRY(json_get_object(predicate, "buildDefinition", &definition, WHAT, e));
	TRY(check_manifest(definition, m, e));
	return check_name(definition, named, e);
}

int signing_provenance_check(const void *text, size_t len, const struct signing_public *key,
			     const struct signing_manifest *m, const struct signing_named *named,
			     struct err *e)
{
	struct buf payload = { 0 };
	json_t *s = NULL;
	int rc = 0;
	TRY_OUT(signing_dsse_open(text, len, STATEMENT_PAYLOAD_TYPE, key, 1, 1, &payload, e));
	TRY_OUT(json_read(&s, payload.bytes, payload.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, e));
	TRY_OUT(check_statement(s, m, named, e));
out:
	json_decref(s);
	buf_free(&payload);
	return rc;
}
