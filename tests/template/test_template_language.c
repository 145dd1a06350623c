/* The corners of Jinja's language that chat templates reach; expected texts are those of Jinja2 3.1
 * as transformers sets it up. */
#include "support.h"

#include <criterion/criterion.h>
#include <string.h>

static const char variables[] =
	"{\"s\":\"Hello, W\u00f6rld!\",\"ml\":\"a\\nb\\n\\n c\\n\",\"n\":7,\"big\":1e20,"
	"\"t\":true,\"no\":null,\"l\":[3,1,2],"
	"\"d\":{\"b\":1,\"a\":[1]},\"messages\":[{\"role\":\"user\",\"content\":\"<|im_end|>\"}],"
	"\"bos_token\":\"<s>\"}";

static int render(const char *template, struct buf *out, struct buf *origin, struct err *e)
{
	return vector_render(template, variables, out, origin, e);
}

struct row {
	const char *template, *expected;
};

static void expect_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct buf out = { 0 };
		struct err e = { 0 };
		cr_expect_eq(render(rows[i].template, &out, NULL, &e), 0, "%s: %s", rows[i].template, e.text);
		cr_expect_str_eq(out.bytes ? out.bytes : "", rows[i].expected, "%s", rows[i].template);
		buf_free(&out);
	}
}

#define EXPECT_ROWS(rows) expect_rows(rows, sizeof rows / sizeof *rows)

Test(template_language, strings_compare_as_python_compares_them)
{
	static const struct row rows[] = {
		{ "{{ 'x' > 'v' }}{{ 'v' < 'x' }}{{ 'ac' > 'aa' }}{{ 'x' < 'v' }}", "TrueTrueTrueFalse" },
		{ "{{ ['d', 'b', 'c'] | sort | join }}{{ ['a', 'c'] | max }}{{ 'c' is gt 'a' }}", "bcdcTrue" },
	};
	EXPECT_ROWS(rows);
}

Test(template_language, indent_keeps_a_last_empty_line)
{
	static const struct row rows[] = {
		{ "{{ '{\\n' | indent(4, first=true) }}|", "    {\n|" },
		{ "{{ ml | indent(2) }}|{{ 'a\\r' | indent }}|", "a\n  b\n\n   c\n|a|" },
		{ "{{ ml | indent('> ', true, true) }}|", "> a\n> b\n> \n>  c\n> |" },
		{ "{% filter indent(2) %}x\n\nz\n{% endfilter %}|", "x\n\n  z\n|" },
	};
	EXPECT_ROWS(rows);
}

Test(template_language, what_is_marked_safe_escapes_what_is_added_to_it)
{
	static const struct row rows[] = {
		{ "{{ 'Use <b>'|safe + '<i>' }} {{ '\"' + 'x'|safe }} {{ 'a<'|safe ~ '<' }}",
		  "Use <b>&lt;i&gt; &#34;x a<<" },
		{ "{{ '<'|e|e }} {{ ['<'|safe] }} {{ ('<'|safe)|upper + '<' }} {{ ('<a'|safe)[0] + '<' }}",
		  "&lt; [Markup('<')] <&lt; <&lt;" },
		{ "{{ {'a': '<'} | tojson | safe }}", "{\"a\": \"<\"}" },
	};
	EXPECT_ROWS(rows);
}

Test(template_language, calls_take_lists_and_members_of_arguments)
{
	static const struct row rows[] = {
		{ "{% macro f(a, b=2) %}[{{ a }}{{ b }}]{% endmacro %}{{ f(*[1, 3]) }}{{ f(*[4], **{'b': 5}) }}",
		  "[13][45]" },
		{ "{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, c=3) }}{{ f(1) }}",
		  "1(2,){'c': 3}1(){}" },
		{ "{% macro f(a) %}{% endmacro %}{{ f.name }}", "f" },
		{ "{% set fs = [] %}{% macro f(a) %}<{{ a }}>{% endmacro %}{% set fs = fs + [f] %}{{ fs[0](*['x']) }}",
		  "<x>" },
	};
	EXPECT_ROWS(rows);
}

Test(template_language, percent_formats_like_printf)
{
	static const struct row rows[] = {
		{ "{{ '%s|%5s|%-5s|%.2s|%r' % (n, 'ab', 'ab', 'abc', 'x') }}", "7|   ab|ab   |ab|'x'" },
		{ "{{ '%d %03d %+d %x %%' % (n, n, n, 255) }} {{ '%.2f' % 2.567 }}", "7 007 +7 ff % 2.57" },
		{ "{{ '%s' | format(no) }}{{ '%s and %s' | format(1, l) }}", "None1 and [3, 1, 2]" },
	};
	EXPECT_ROWS(rows);
}

Test(template_language, strings_are_searched_and_asked)
{
	static const struct row rows[] = {
		{ "{{ s.index('W') }} {{ s.rfind('l') }} {{ s.find('l', 4) }} {{ s.count('l', 3, 10) }} {{ s.find('q') }}",
		  "7 10 10 1 -1" },
		{ "{{ s.startswith('W', 7) }} {{ s.endswith(('!', '?')) }} {{ s.startswith('H', 1) }}", "True True False" },
		{ "{{ s.removeprefix('Hel') }} {{ s.removesuffix('!') }} {{ s.removesuffix('') == s }}",
		  "lo, W\u00f6rld! Hello, W\u00f6rld True" },
		{ "{{ s.partition(', ') }} {{ 'a.b.c'.rpartition('.') }} {{ 'x'.rpartition('.') }}",
		  "('Hello', ', ', 'W\u00f6rld!') ('a.b', '.', 'c') ('', '', 'x')" },
		{ "{{ '12'.isdigit() }}{{ 'a1'.isalnum() }}{{ ''.isalpha() }}{{ ' \\t'.isspace() }}{{ 'Ab'.isupper() }}",
		  "TrueTrueFalseTrueFalse" },
		{ "{{ '\u0391\u03a3 \u03a3'.lower() }} {{ '\u01c6'.capitalize() }}", "\u03b1\u03c2 \u03c3 \u01c5" },
	};
	EXPECT_ROWS(rows);
}

Test(template_language, values_are_what_python_makes_of_them)
{
	static const struct row rows[] = {
		{ "{{ range(3) }} {{ range(5, 0, -2) }} "
		  "{{ range(4)[1:] | list }} {{ range(3)[1] }} {{ range(3).index(2) }}",
		  "range(0, 3) range(5, 0, -2) [1, 2, 3] 1 2" },
		{ "{{ d.keys() }} {{ [d.items()] }} {{ d.values() }}",
		  "dict_keys(['b', 'a']) [dict_items([('b', 1), ('a', [1])])] dict_values([1, [1]])" },
		{ "{{ dict([('x', 1)]) }} {{ dict(d.items()) }} {{ dict(d, b=2) }}",
		  "{'x': 1} {'b': 1, 'a': [1]} {'b': 2, 'a': [1]}" },
		{ "{{ d[l] }}|{{ t | round(1) }} {{ '1_000' | float }} {{ -1e-5 | round(0, 'ceil') }} {{ 1e16 // 3 }}",
		  "|1 1000.0 0.0 3333333333333333.0" },
		{ "{{ (l | map('int')).type }}{{ nothing is callable }} {{ self.x }}|"
		  "{% set __a = 1 %}{{ __a }}", "True |1" },
	};
	EXPECT_ROWS(rows);
}

Test(template_language, what_jinja_does_not_take_is_an_error_here_too)
{
	static const struct { const char *template; int code; const char *says; } rows[] = {
		{ "{{ d[1:] }}", ERR_INPUT, "sliced" }, { "{{ n[:2] }}", ERR_INPUT, "sliced" },
		{ "{{ range(2) + [1] }}", ERR_INPUT, "'range' and 'list'" },
		{ "{{ range(2) | tojson }}", ERR_INPUT, "not JSON" },
		{ "{{ [d.keys()] | tojson }}", ERR_INPUT, "not JSON" },
		{ "{{ n | indent }}", ERR_INPUT, "indent" }, { "{{ d | items | last }}", ERR_INPUT, "reversible" },
		{ "{% filter length %}x{% endfilter %}", ERR_INPUT, "not a string" },
		{ "{{ 017 }}", ERR_INPUT, "starts with 0" }, { "{{ n is string if t }}", ERR_INPUT, "expected" },
		{ "{{ n is odd is true }}", ERR_INPUT, "second test" },
		{ "{% macro f() %}{% endmacro %}{% call f() %}x{% endcall %}", ERR_INPUT, "the name caller" },
		{ "{{ '%d' % 'x' }}", ERR_INPUT, "number" }, { "{{ '%s' % (1, 2) }}", ERR_INPUT, "not all" },
		{ "{{ 0.0 ** -1 }}", ERR_INPUT, "power" },
		{ "{{ s.index('q') }}", ERR_INPUT, "not found" },
		{ "{{ (-8) ** 0.5 }}", ERR_UNSUPPORTED, "complex" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = { 0 };
		struct buf out = { 0 };
		cr_expect_eq(render(rows[i].template, &out, NULL, &e), rows[i].code, "%s: %s", rows[i].template, e.text);
		cr_expect(strstr(e.text, rows[i].says), "%s: %s", rows[i].template, e.text);
		buf_free(&out);
	}
}

/* No way through the language makes template text of a message. */
Test(template_language, a_message_never_becomes_template_text)
{
	static const char *const ways[] = {
		"{{ m }}", "{{ m ~ '' }}", "{{ '%s' % m }}", "{{ '%12s' % m }}", "{{ '{}'.format(m) }}",
		"{{ m | replace('|', '|') }}", "{{ m | upper | lower }}", "{{ m[::-1] | reverse }}", "{{ m | safe }}",
		"{{ m.partition('|') | join }}", "{{ m | list | join }}", "{{ m.split('|') | join }}",
		"{{ m | indent(2) }}", "{{ [m] | map('trim') | first }}", "{{ m.removeprefix('<') }}",
		"{{ dict([(m, 1)]) | first }}", "{{ (m ~ m)[:10] }}", "{% set x %}{{ m }}{% endset %}{{ x }}",
		"{% macro f(a) %}{{ a }}{{ varargs[0] }}{% endmacro %}{{ f(*[m, m]) }}",
		"{% filter trim %}{{ m }}{% endfilter %}", "{{ m | center(20) | trim }}",
		"{{ m | truncate(9, true, '') }}",
		"{{ m | wordwrap(4) }}", "{{ m | urlencode }}", "{{ m | urlize }}", "{{ m | striptags }}",
		"{{ m | pprint }}",
		"{{ m | forceescape }}", "{{ m | list | batch(2) | map('join') | join }}",
		"{{ [m] | groupby(0) | map('first') | join }}",
		"{{ m.center(12, m[0]) }}", "{{ m.zfill(12)[2:] }}", "{{ m.casefold() }}", "{{ m.swapcase() }}",
		"{{ m.expandtabs() }}",
		"{{ m.encode().decode() }}", "{{ '%-12s' % m }}", "{{ '{:>12}'.format(m) }}",
		"{{ '{0[0]}'.format(m) }}", "{{ m.rsplit('|') | join }}",
		"{{ m.translate({60: m[1]}) }}", "{{ 'x'.translate({120: m}) }}", "{{ ('%c' % m[0]) }}",
		"{{ {m: 1} | urlencode | replace('=1', '') }}",
		"{% autoescape true %}{{ m }}{% endautoescape %}", "{% block b scoped %}{{ m }}{% endblock %}",
		"{% for c in m recursive %}{{ c }}{% endfor %}", "{% generation %}{{ m }}{% endgeneration %}",
		"{% set c = cycler(m) %}{{ c.next() }}", "{% set j = joiner(m) %}{{ j() }}{{ j() }}",
		"{{ m.hex if false else m.encode().hex() }}",
		"{{ dict.fromkeys([m]) | first }}", "{{ m | attr('upper') and m.format() }}",
		"{{ m.format_map({}) }}", "{{ m.ljust(12) }}",
	};
	static const char begin[] = "{% set m = messages[0].content %}<";
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct buf text = { 0 }, out = { 0 }, origin = { 0 };
		struct err e = { 0 };
		buf_add_text(&text, begin);
		buf_add_text(&text, ways[i]);
		buf_add_text(&text, ">");
		cr_assert_eq(render(text.bytes, &out, &origin, &e), 0, "%s: %s", ways[i], e.text);
		cr_assert_eq(out.len, origin.len);
		cr_expect(origin.bytes[0] == 0 && origin.bytes[origin.len - 1] == 0, "%s", ways[i]);
		for (size_t k = 1; k + 1 < out.len; k++)
			cr_expect(origin.bytes[k] == 1 || out.bytes[k] == ' ', "%s: byte %zu of %s", ways[i], k, out.bytes);
		buf_free(&text);
		buf_free(&out);
		buf_free(&origin);
	}
}
