#include "support.h"

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

static void check_case(const json_t *c, bool same_error)
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
	int rc = template_render(json_string_value(template), json_string_length(template), vars,
	                                clock_of(json_string_value(json_object_get(c, "now"))), &out, &origin, &e);
	if (error) {
		cr_expect_eq(rc, ERR_INPUT, "%s", name);
		if (same_error)
			cr_expect_str_eq(e.text, error, "%s", name);
	} else {
		cr_assert_eq(rc, 0, "%s: %s", name, e.text);
		cr_expect_eq(origin.len, out.len, "%s", name);
		cr_expect_str_eq(out.bytes ? out.bytes : "", json_string_value(expected), "%s", name);
	}
	buf_free(&out);
	buf_free(&origin);
	json_decref(vars);
}

static void check_cases(const char *path, size_t least, bool same_error)
{
	struct buf b = vector_read(path);
	json_t *cases = vector_json(b.bytes, b.len), *c;
	size_t i;
	cr_assert_geq(json_array_size(cases), least);
	json_array_foreach(cases, i, c)
		check_case(c, same_error);
	json_decref(cases);
	buf_free(&b);
}

Test(template, conversations_render_exactly)
{
	check_cases("tests/vectors/templates/cases.json", 45, true);
}

Test(template, features_render_as_jinja_renders_them)
{
	check_cases("tests/vectors/templates/features.json", 76, false);
}

/* ---- a table of templates ------------------------------------------------------------------------- */

static const char variables[] =
	"{\"m\":[{\"role\":\"user\",\"content\":\"Hi <there>\\n\"},"
	"{\"role\":\"assistant\",\"content\":null,\"n\":1.5}],"
	"\"s\":\"Hello, Wörld!\",\"n\":7,\"f\":0.1,\"neg\":-3,\"big\":1e20,\"t\":true,\"no\":null,\"l\":[3,1,2],"
	"\"w\":[\"b\",\"A\",\"c\",\"a\"],\"d\":{\"b\":1,\"a\":[1,{\"k\":\"v\"}],\"items\":5},\"bos_token\":\"<s>\"}";

static int render(const char *template, struct buf *out, struct buf *origin, struct err *e)
{
	return vector_render(template, variables, out, origin, e);
}

/* Expected texts are those of Jinja2 3.1. */
Test(template, expressions_and_statements_print_what_jinja_prints)
{
	static const struct { const char *template, *expected; } rows[] = {
		{ "{{ neg // 2 }} {{ neg % 5 }} {{ neg % -2 }} {{ 2 ** 10 }} {{ -2 ** 2 }} {{ 7 / 2 }}",
		  "-2 2 -1 1024 4 3.5" },
		{ "{{ f }} {{ big }} {{ 1e16 }} {{ 0.0001 }} {{ 1e-5 }} {{ 0.1 + 0.2 }}",
		  "0.1 1e+20 1e+16 0.0001 1e-05 0.30000000000000004" },
		{ "{{ t }} {{ no }} {{ nothing }}|{{ m[5] }}|{{ d.zz }}|", "True None |||" },
		{ "{{ d['items'] }} {{ d.items() | length }} {{ d.get('x', 2) }}", "5 3 2" },
		{ "{{ s[0] }}{{ s[-1] }} {{ s[7:9] }} {{ s[::-1] }} {{ l[::-1] }} {{ l[1:] }}",
		  "H! Wö !dlröW ,olleH [2, 1, 3] [1, 2]" },
		{ "{{ w | sort }} {{ w | sort(case_sensitive=true) | join('-') }} {{ w | sort(reverse=true) }}",
		  "['A', 'a', 'b', 'c'] A-a-b-c ['c', 'b', 'A', 'a']" },
		{ "{{ d | tojson }} {{ d | tojson(indent=2) }}",
		  "{\"b\": 1, \"a\": [1, {\"k\": \"v\"}], \"items\": 5} {\n  \"b\": 1,\n  \"a\": [\n    1,\n    {\n"
		  "      \"k\": \"v\"\n    }\n  ],\n  \"items\": 5\n}" },
		{ "{{ ['it\\'s', \"a\\\"b'\", 'x\\n', 1.0, none, true, ('a',), {}] }}",
		  "[\"it's\", 'a\"b\\'', 'x\\n', 1.0, None, True, ('a',), {}]" },
		{ "{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'x' not in d }} {{ 'b' in d }} {{ not t or n }}",
		  "True True True True 7" },
		{ "{{ 'a' if no else 'b' }} {{ 'a' if no }}| {{ '1' ~ 2 ~ none }} {{ 'ab' * 2 }}", "b | 12None abab" },
		{ "{{ '{} {1}'.format(1, 2) if false else '{a}-{b}'.format(a=1, b='x') }} {{ '{{}}{}'.format(3) }}",
		  "1-x {}3" },
		{ "{{ m | selectattr('content') | map(attribute='role') | list }} {{ l | select('gt', 1) | list }}",
		  "['user'] [3, 2]" },
		{ "{{ 'a\\nb\\n\\nc' | indent(2, true) }}|{{ ' x ' | trim }}|{{ '<a>' | e }}",
		  "  a\n  b\n\n  c|x|&lt;a&gt;" },
		{ "{{ '3.7' | int }} {{ 'x' | int(5) }} {{ 2.5 | round }} {{ 2.567 | round(2) }} {{ -1 | abs }}",
		  "3 5 2.0 2.57 1" },
		{ "{% for x in l if x > 1 %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% else %}E{% endfor %}",
		  "13,22" },
		{ "{% for i in range(9) %}{% if i == 2 %}{% continue %}"
		  "{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
		  "013" },
		{ "{% set x = 1 %}{% for i in l %}{{ x }}{% set x = i %}{% endfor %}{{ x }}", "1111" },
		{ "{% set ns = namespace(c=0) %}{% for i in l %}{% set ns.c = ns.c + i %}{% endfor %}{{ ns.c }}", "6" },
		{ "{% macro f(a, b=2, c=a) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ f(1) }}{{ f(1, c=5) }}{{ f() }}",
		  "[121][125][2]" },
		{ "{% macro f(a) %}<{{ caller(a) }}>{% endmacro %}{% call(x) f(3) %}b{{ x }}{% endcall %}", "<b3>" },
		{ "{% filter upper %}a{{ s }}{% endfilter %}{% set x | upper %}abc{% endset %}{{ x }}",
		  "AHELLO, WÖRLD!ABC" },
		{ "{% set _a = n %}{% for _ in l %}{{ _a }}{% endfor %}"
		  "{% macro _m(_x) %}<{{ _x }}>{% endmacro %}{{ _m(1) }}",
		  "777<1>" },
		{ "{{ no | selectattr('a') | map(attribute='b') | join('') }}|"
		  "{{ no | select | list }}|{{ 0 | map('int') | list }}",
		  "|[]|[]" },
		{ "x\n  {% if t %}\n  y\n  {% endif %}\nz\n", "x\n  y\nz" },
		{ "x  {%- if t -%}  y  {%- endif -%}  z {{- n -}} w", "xyz7w" },
		{ "a {# c #}\nb {%- raw -%} {{ x }} {%- endraw -%} c\n", "a b{{ x }}c" },
		{ "{% generation %}g{% endgeneration %}{% with a = 1 %}{{ a }}{% endwith %}{{ a }}", "g1" },
		{ "{{ strftime_now('%d %b %Y %H:%M') }}", "22 Nov 2026 13:05" },
		{ "{{ 9223372036854775807 + 1 }} {{ (-9223372036854775807 - 1) // -1 }} {{ 3 ** 80 % 1000007 }}",
		  "9223372036854775808 9223372036854775808 470839" },
		{ "{{ s.__class__ }}{{ s._x }}{{ __x }}{{ l.append }}|{{ {'_x': 1}._x }}", "|1" },
		{ "{% if no %}{{ s | nosuchfilter }}{% endif %}x", "x" },
		{ "x{#", "x" }, { "x{% raw %}", "x" }, { "{{ strftime_now('%Q %q%% %Ey %f') }}", "%Q %q% 26 000000" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = { 0 };
		struct err e = { 0 };
		cr_expect_eq(render(rows[i].template, &out, NULL, &e), 0, "%s: %s", rows[i].template, e.text);
		cr_expect_str_eq(out.bytes ? out.bytes : "", rows[i].expected, "%s", rows[i].template);
		buf_free(&out);
	}
}

Test(template, wrong_templates_name_what_is_wrong)
{
	static const struct { const char *template; int code; const char *says; } rows[] = {
		{ "{{ raise_exception('no ' ~ n) }}", ERR_INPUT, "no 7" },
		{ "a\n{{ nothing.x }}", ERR_INPUT, "line 2: 'nothing' is undefined" },
		{ "{{ 1 + 'a' }}", ERR_INPUT, "'int' and 'str'" },
		{ "{{ 1 // 0 }}", ERR_INPUT, "division by zero" },
		{ "{{ nothing | tojson }}", ERR_INPUT, "undefined" },
		{ "{% if t %}x", ERR_INPUT, "endif" },
		{ "{{ n", ERR_INPUT, "without an end" },
		{ "{{ 'n }}", ERR_INPUT, "string without an end" },
		{ "{{ (n] }}", ERR_INPUT, "closing bracket" },
		{ "{% for x in 5 %}{% endfor %}", ERR_INPUT, "not iterable" },
		{ "{% break %}", ERR_INPUT, "outside a loop" },
		{ "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", ERR_INPUT, "not more than 1" },
		{ "{{ foo() }}", ERR_INPUT, "'foo' is undefined" },
		{ "{% include 'x' %}", ERR_UNSUPPORTED, "include" },
		{ "{% extends 'x' %}", ERR_UNSUPPORTED, "extends" },
		{ "{% import 'x' as y %}", ERR_UNSUPPORTED, "import" },
		{ "{{ s.__class__.__mro__ }}", ERR_INPUT, "is undefined" },
		{ "{{ ''['__class__']() }}", ERR_INPUT, "is undefined" },
		{ "{{ ('{0.__class__.__mro__}').format(s) }}", ERR_INPUT, "is undefined" },
		{ "{{ s | attr('__class__') | attr('x') }}", ERR_INPUT, "is undefined" },
		{ "{{ l.append(1) }}", ERR_INPUT, "is undefined" },
		{ "{{ d.update({}) }}", ERR_INPUT, "is undefined" },
		{ "{{ l | random }}", ERR_UNSUPPORTED, "random of more than one item" },
		{ "{{ lipsum() }}", ERR_UNSUPPORTED, "lipsum" },
		{ "{{ l | map('upper') }}", ERR_UNSUPPORTED, "the text of a generator" },
		{ "{{ 2 ** 70000 }}", ERR_UNSUPPORTED, "more than 65536 bits" },
		{ "{{ 10 ** 5000 }}", ERR_INPUT, "4300 digits" },
		{ "{{ s | no.filter }}", ERR_INPUT, "No filter named 'no.filter'" },
		{ "{{ f(a=1, a=2) }}", ERR_INPUT, "keyword argument repeated" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = { 0 };
		struct buf out = { 0 };
		cr_expect_eq(render(rows[i].template, &out, NULL, &e), rows[i].code, "%s: %s", rows[i].template, e.text);
		cr_expect(strstr(e.text, rows[i].says), "%s: %s", rows[i].template, e.text);
		buf_free(&out);
	}
}

static void check_limit(const char *template, const char *says)
{
	struct err e = { 0 };
	struct buf out = { 0 };
	cr_expect_eq(render(template, &out, NULL, &e), ERR_INPUT, "%.60s", template);
	cr_expect(strstr(e.text, says), "%.60s: %s", template, e.text);
	buf_free(&out);
}

Test(template, hostile_templates_end_with_a_sentence)
{
	struct buf deep = { 0 }, nest = { 0 }, sum = { 0 }, many = { 0 }, pipes = { 0 };
	struct buf call = { 0 }, macro = { 0 };
	for (int i = 0; i < 5000; i++) {
		buf_add_text(&deep, i ? "(" : "{{ (");
		buf_add_text(&nest, "{% if t %}");
		buf_add_text(&sum, i ? "+1" : "{{ 1");
		buf_add_text(&pipes, i ? "|trim" : "{{ s");
	}
	for (int i = 0; i < 1025; i++) {
		buf_printf(&call, i ? ",a%d=1" : "{{ dict(a%d=1", i);
		buf_printf(&macro, i ? ",a%d" : "{%% macro f(a%d", i);
	}
	buf_add_text(&call, ") }}");
	buf_add_text(&macro, ") %}{% endmacro %}");
	check_limit(call.bytes, "a call has more than 1024 arguments");
	check_limit(macro.bytes, "a macro has more than 1024 parameters");
	buf_free(&call);
	buf_free(&macro);
	buf_add_text(&sum, " }}");
	buf_add_text(&pipes, " }}");
	for (int i = 0; i < 60000; i++)
		buf_add_text(&many, "{{n}}");
	check_limit(deep.bytes, "deep");
	check_limit(nest.bytes, "deep");
	check_limit(sum.bytes, "deeper");
	check_limit(pipes.bytes, "deeper");
	check_limit(many.bytes, "nodes");
	check_limit("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "steps");
	/* each would compare far more bytes than there are steps */
	check_limit("{% set a = 'a' * 3000000 %}{{ a.rfind('a' * 300000 ~ 'b') }}", "steps");
	check_limit("{% set a = 'a' * 3000000 %}{{ a.rpartition('b' ~ 'a' * 300000) }}", "steps");
	check_limit("{% set a = 'a' * 3000000 %}{% for i in range(99999) %}{{ a.startswith((a,)) }}{% endfor %}",
	            "steps");
	check_limit("{% set a = 'a' * 3000000 %}{% for i in range(99999) %}{{ '%.0s' % a }}{% endfor %}", "steps");
	check_limit("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "macros call each other deeper than 64");
	check_limit("{% set ns = namespace(s='x') %}{% for i in range(99) %}"
	            "{% set ns.s = ns.s + ns.s %}{% endfor %}", "longer");
	check_limit("{{ 'x' * 99999999 }}", "longer");
	check_limit("{% set x = 'x' * 9999 %}{% for i in range(9999) %}{{ x }}{% endfor %}", "longer");
	check_limit("{% set ns = namespace(l=[]) %}{% for i in range(999) %}"
	            "{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
	            "deeper");
	check_limit("{% set ns = namespace(l=[]) %}{% for i in range(999) %}{% set ns.l = [ns.l] %}{% endfor %}"
	            "{{ ns.l == [ns.l] }}", "deeper");
	check_limit("{{ range(100001) }}", "range");
	check_limit("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}"
	            "{% set ns.l = ns.l + ns.l %}{% endfor %}", "");
	buf_free(&deep);
	buf_free(&nest);
	buf_free(&sum);
	buf_free(&many);
	buf_free(&pipes);
}

Test(template, every_byte_knows_where_it_comes_from)
{
	static const struct { const char *template, *text, *origin; } rows[] = {
		{ "a{{ n }}b", "a7b", "010" },
		{ "{{ bos_token }}{{ 'x' + w[0] + 'y' }}", "<s>xby", "000010" },
		{ "{{ w[0] ~ 1 ~ n }}", "b17", "101" },
		{ "{{ (n + 1) ~ (l | length) }}", "83", "10" },
		{ "{{ ('[' ~ w[0] ~ ']') | upper }}", "[B]", "111" },
		{ "{{ ('[' ~ w[0] ~ ']') | trim }}{{ ('[' ~ w[0])[1:] }}", "[b]b", "0101" },
		{ "{{ 'a-b' | replace('-', w[2]) }}", "acb", "010" },
		{ "{{ w | join('-') }}", "b-A-c-a", "1010101" },
		{ "{{ ['x', 1] }}{{ [n] }}", "['x', 1][7]", "00000000111" },
		{ "{% set x %}[{{ w[0] }}]{% endset %}{{ x }}", "[b]", "010" },
		{ "{{ '{}!'.format(w[0]) }}", "b!", "10" },
		{ "{{ (w[1] ~ '%3s%2d') % ('x', 1) }}", "A  x 1", "100000" },
		{ "{{ (w[0] | replace('b', '%3s%2d|%%')) % ('x', 1) }}", "  x 1|%", "1101111" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = { 0 }, origin = { 0 };
		struct err e = { 0 };
		cr_assert_eq(render(rows[i].template, &out, &origin, &e), 0, "%s: %s", rows[i].template, e.text);
		for (size_t k = 0; k < origin.len; k++)
			origin.bytes[k] = (char)(origin.bytes[k] + '0');
		cr_expect_str_eq(out.bytes, rows[i].text);
		cr_expect_str_eq(origin.bytes, rows[i].origin, "%s", rows[i].template);
		buf_free(&out);
		buf_free(&origin);
	}
}
