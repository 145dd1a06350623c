/* The types of records, and what each may hold: docs/formats.md, section 5. A clear type carries a
 * body; a committed one carries fields, each committed under its own salt, in the order of this
 * table: a field's place is part of its commitment, so a type only gains fields at its end. */
#include "audit/record.h"

#include <string.h>

static const char *const decision[] = {
	"subject",
	"client",
	"request_bytes_digest",
	"prompt_ids_digest",
	"prompt_count",
	"model_root",
	"model_signer",
	"weights_format",
	"tokenizer",
	"template",
	"template_kwargs",
	"engine_build",
	"kernel_set",
	"kernel_regimes",
	"policy_bundle",
	"policy_mode",
	"sampling",
	"constraint",
	"scans",
	"output_ids_digest",
	"emitted_bytes_digest",
	"output_count",
	"finish_reason",
	"interventions",
	"routing_digest",
	"logits_digest",
	"backend",
	"parameters_without_effect",
	"timing",
	"route",
	"conversation",
	"upstream",
	"verdicts",
	"shadow",
	"device",
	"ended",
	NULL,
};
static const char *const operator_fields[] = { "actor",         "action",   "target",
					       "reason",        "asked_us", "effective_us",
					       "last_token_us", "detail",   NULL };
static const char *const incident[] = { "kind",        "severity",      "first_us",
					"deadline_us", "subjects",      "records",
					"text",        "report_digest", NULL };
static const char *const seal[] = { "release", "copy_root", "recipient", "mark_commitment",
				    "code",    "actor",     NULL };
static const char *const access_fields[] = { "actor",  "action", "token", "roles",
					     "quotas", "reason", NULL };
static const struct audit_type types[] = {
	{ "genesis", false, NULL },
	{ "start", false, NULL },
	{ "stop", false, NULL },
	{ "lost", false, NULL },
	{ "key", false, NULL },
	{ "bundle", false, NULL },
	{ "config", false, NULL },
	{ "release", false, NULL },
	{ "registry", false, NULL },
	{ "fork", false, NULL },
	{ "erasure", false, NULL },
	{ "revocation", false, NULL },
	{ "gate", false, NULL },
	{ "witness", false, NULL },
	{ "migration", false, NULL },
	{ "attestation", false, NULL },
	{ "channel", false, NULL },
	{ "deployment", false, NULL },
	{ "retention", false, NULL },
	{ "decision", true, decision },
	{ "operator", true, operator_fields },
	{ "incident", true, incident },
	{ "seal", true, seal },
	{ "access", true, access_fields },
};

const struct audit_type *audit_type_find(const char *name)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

bool audit_record_type_known(const char *type) { return audit_type_find(type) != NULL; }

bool audit_record_type_committed(const char *type)
{
	const struct audit_type *t = audit_type_find(type);
	return t && t->committed;
}

int audit_record_fields_check(const char *type, const struct audit_field *field, size_t count,
			      struct err *e)
{
	const struct audit_type *t = audit_type_find(type);
	if (!t || !t->field)
		return 0;
	size_t i = 0;
	for (; t->field[i]; i++)
		if (i >= count || strcmp(field[i].name, t->field[i]) != 0)
			return err_set(e, ERR_INPUT,
				       "a record of type %s: field %zu is %.60s, not %s", type, i,
				       i < count ? field[i].name : "missing", t->field[i]);
	return i == count ? 0
			  : err_set(e, ERR_INPUT, "a record of type %s has %zu fields, not %zu",
				    type, i, count);
}
