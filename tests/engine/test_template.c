#include "tests/engine/text_vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t clock_of(const char *now)
{
	struct tm tm = { 0 };
	cr_assert_not_null(strptime(now, "%Y-%m-%dT%H:%M:%S", &tm));
	return (int64_t)timegm(&tm) * 1000000;
}

static void check_case(const json_t *c)
{
	const char *name = json_string_value(json_object_get(c, "name"));
	const char *error = json_string_value(json_object_get(c, "error"));
	const json_t *expected = json_object_get(c, "expected"), *template = json_object_get(c, "template");
	struct buf out = { 0 }, origin = { 0 };
	struct err e = { 0 };
	json_t *vars = json_copy(json_object_get(c, "vars"));
	json_object_set(vars, "messages", json_object_get(c, "messages"));
	json_object_set(vars, "tools", json_object_get(c, "tools"));
	json_object_set(vars, "add_generation_prompt", json_object_get(c, "add_generation_prompt"));
	int rc = engine_template_render(json_string_value(template), json_string_length(template), vars,
	                                clock_of(json_string_value(json_object_get(c, "now"))), &out, &origin, &e);
	if (error) {
		cr_expect_eq(rc, ERR_INPUT, "%s", name);
		cr_expect_str_eq(e.text, error, "%s", name);
	} else {
		cr_assert_eq(rc, 0, "%s: %s", name, e.text);
		cr_expect_eq(origin.len, out.len, "%s", name);
		cr_expect_str_eq(out.bytes, json_string_value(expected), "%s", name);
	}
	buf_free(&out);
	buf_free(&origin);
	json_decref(vars);
}

Test(template, conversations_render_exactly)
{
	struct buf b = vector_read("tests/vectors/templates/cases.json");
	json_t *cases = vector_json(b.bytes, b.len), *c;
	size_t i;
	cr_assert_geq(json_array_size(cases), 45);
	json_array_foreach(cases, i, c)
		check_case(c);
	json_decref(cases);
	buf_free(&b);
}
