#include "audit/audit.h"
#include "tests/audit/support.h"

#include <criterion/criterion.h>
#include <string.h>

static struct place at;

static void setup(void)
{
	place_make(&at);
	place_open(&at);
}

static void teardown(void) { place_remove(&at); }

TestSuite(audit_types, .init = setup, .fini = teardown);

Test(audit_types, the_decision_has_the_35_fields_of_the_formats_in_their_order)
{
	const struct audit_type *t = audit_type_find("decision");
	static const struct {
		size_t at;
		const char *name;
	} rows[] = { { 0, "subject" },         { 1, "client" },   { 4, "prompt_count" },
		     { 16, "sampling" },       { 18, "scans" },   { 22, "finish_reason" },
		     { 24, "routing_digest" }, { 26, "backend" }, { 28, "timing" },
		     { 29, "route" },          { 32, "verdicts" }, { 34, "device" },
		     { 35, "ended" } };
	size_t count = 0;
	cr_assert(t && t->committed && t->field);
	while (t->field[count])
		count++;
	cr_expect_eq(count, PLACE_FIELDS);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_str_eq(t->field[rows[i].at], rows[i].name);
}

Test(audit_types, clear_and_committed_types_are_told_apart_and_others_are_unknown)
{
	static const struct {
		const char *name;
		bool known, committed;
	} rows[] = { { "genesis", true, false }, { "release", true, false },
		     { "lost", true, false },    { "erasure", true, false },
		     { "incident", true, true }, { "Decision", false, false },
		     { "", false, false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct audit_type *t = audit_type_find(rows[i].name);
		cr_expect_eq(t != NULL, rows[i].known, "%s", rows[i].name);
		cr_expect(!t || t->committed == rows[i].committed, "%s", rows[i].name);
	}
}

/* Append a decision with `count` fields of which number `wrong` has another name: the result. */
static int append_decision(size_t count, size_t wrong, struct err *e)
{
	const struct audit_type *t = audit_type_find("decision");
	struct audit_field field[PLACE_FIELDS + 1] = { { NULL } };
	struct audit_receipt receipt;
	for (size_t i = 0; i < PLACE_FIELDS; i++)
		field[i].name = i == wrong ? "other" : t->field[i];
	field[PLACE_FIELDS].name = "more";
	struct audit_record r = { .type = "decision",
				  .n = place_reserve(&at),
				  .field = field,
				  .field_count = count,
				  .outcome = "completed" };
	return audit_log_append(at.log_open, &r, &receipt, e);
}

Test(audit_types, a_decision_that_lacks_a_field_or_has_another_is_refused_by_its_name)
{
	struct err e = { 0 };
	cr_expect_eq(append_decision(PLACE_FIELDS - 1, SIZE_MAX, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "ended") && strstr(e.text, "missing"), "%s", e.text);
	cr_expect_eq(append_decision(PLACE_FIELDS, 18, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "scans") && strstr(e.text, "other"), "%s", e.text);
	cr_expect_eq(append_decision(PLACE_FIELDS + 1, SIZE_MAX, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "not 37"), "%s", e.text);
	cr_expect_eq(append_decision(PLACE_FIELDS, SIZE_MAX, &e), 0, "%s", e.text);
	place_expect_clean(&at);
}

Test(audit_types, every_type_that_is_known_has_a_form_and_the_committed_ones_their_fields)
{
	static const struct {
		const char *name, *last;
		size_t fields; /* 0: clear */
	} rows[] = {
		{ "operator", "detail", 8 }, { "incident", "report_digest", 8 },
		{ "seal", "actor", 6 },      { "access", "reason", 6 },
		{ "attestation", NULL, 0 },  { "channel", NULL, 0 },
		{ "deployment", NULL, 0 },   { "retention", NULL, 0 },
		{ "gate", NULL, 0 },         { "revocation", NULL, 0 },
		{ "witness", NULL, 0 },      { "migration", NULL, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct audit_type *t = audit_type_find(rows[i].name);
		size_t count = 0;
		cr_assert(t, "%s", rows[i].name);
		cr_expect_eq(t->committed, rows[i].fields > 0, "%s", rows[i].name);
		while (t->field && t->field[count])
			count++;
		cr_expect_eq(count, rows[i].fields, "%s: %zu", rows[i].name, count);
		if (count)
			cr_expect_str_eq(t->field[count - 1], rows[i].last);
	}
}

Test(audit_types, what_is_retained_is_kept_as_a_value_even_with_a_zero_byte_in_a_text)
{
	struct audit_receipt receipt;
	struct err e = { 0 };
	json_t *plain, *value = json_stringn("a\0b", 3);
	struct audit_field field[PLACE_INCIDENT];
	struct audit_record r = { .type = "incident",
				  .n = place_reserve(&at),
				  .field = field,
				  .field_count = PLACE_INCIDENT,
				  .retained = value };
	place_incident(field, NULL);
	cr_assert_eq(audit_log_append(at.log_open, &r, &receipt, &e), 0, "%s", e.text);
	cr_assert_eq(audit_vault_read(at.log_open, receipt.index, &plain, &e), 0, "%s", e.text);
	cr_expect(json_equal(json_object_get(plain, "retained"), value));
	json_decref(plain);
	json_decref(value);
}
