/* Out of memory at any allocation: tests/shared/press.h. */
#include "template/template.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

static int run_template(const struct work *w, struct err *e)
{
	struct buf out = { 0 }, origin = { 0 };
	int rc = template_render(w->text, w->len, w->more, 1795352709000000, &out, &origin, e);
	buf_add(&press_answer, out.bytes, out.len);
	buf_add(&press_answer, origin.bytes, origin.len);
	buf_free(&out);
	buf_free(&origin);
	return rc;
}

Test(template_pressure, templates)
{
	static const char *const text[] = {
		"{%- macro turn(m, sep='\\n') -%}<|{{ m.role }}|>{{ m['content'] | trim }}{{ sep }}{%- endmacro -%}"
		"{%- set ns = namespace(n=0, all=[]) -%}{%- for m in messages if m.content is string -%}"
		"{{ turn(m) }}{%- set ns.n = ns.n + loop.index0 -%}{%- set ns.all = ns.all + [m.role ~ '!'] -%}"
		"{%- endfor -%}{{ ns.all | join(', ') }} {{ '%05d %-4s|' % (ns.n, 'ab') }}",
		"{{ messages | tojson(indent=2) }}{{ messages | map(attribute='role') | list | sort | unique | list }}"
		"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"
		"{{ 'a,b,c'.split(',')[::-1] }}{{ 'x y'.title().replace('X', '<>') | e }}{{ {'a': [1, 2.5, none]} }}"
		"{{ strftime_now('%Y-%m-%d') }}{{ dict(a=1).items() | list }}{{ messages[0] | items | list }}"
		"{% macro turn2() %}{{ caller('\u00e9') }}{% endmacro %}"
		"{% filter upper %}{% call(x) turn2() %}{{ x }}{% endcall %}{% endfilter %}",
		"{% for k, g in messages | groupby('role') %}{{ k }}{{ g | length }}{{ loop.changed(k) }}{% endfor %}"
		"{% for m in messages recursive %}{{ loop.cycle('a', 'b') }}{{ loop.last }}{{ loop([]) }}{% endfor %}"
		"{{ 3 ** 200 % 10 ** 30 }}{{ 7 / 2 ** 70 }}"
		"{{ '%(a)s|%*d' % {'a': 1} if false else '%*d' % (5, 2 ** 70) }}"
		"{{ '{:>9,.2f}|{0[a]!r}'.format({'a': 1}) if false else '{:>9,.2f}|{!r}'.format(1234.5, 'x') }}"
		"{{ 'see www.a.com, b@c.de' | urlize }}{{ 'the quick brown-fox' | wordwrap(5) }}"
		"{{ {'b': ['x ' * 60], 'a': 2} | pprint }}{{ '&lt;<b>x</b>' | striptags }}{{ {'a': '<'} | xmlattr }}"
		"{{ 'a b' | urlencode }}{{ range(5) | batch(2, 'x') | list }}{{ range(5) | slice(2) | list }}"
		"{% block b scoped %}{{ self.c() }}{% endblock %}{% block c %}c{% endblock %}"
		"{% autoescape true %}{{ '<' ~ 'a' | safe }}{{ ['<', 'b' | safe] | join('&') }}{% endautoescape %}"
		"{% set c = cycler(1, 2) %}{{ c.next() }}{% set j = joiner() %}{{ j() }}{{ j() }}"
		"{{ 'stra\u00dfe'.upper().center(20, '*').rsplit('S', 1) }}{{ 'ab'.translate({97: 'x'}).encode() }}"
		"{{ 0.1.hex() }}{{ (2 ** 70).as_integer_ratio() }}{{ 'a,b' | truncate(4, true, '.', 0) }}",
	};
	json_t *vars = json_pack("{s:[{s:s,s:s},{s:s,s:s}]}", "messages", "role", "user", "content",
	                         " Hi <there>\n", "role", "assistant", "content", "a");
	static const char *const what[] = { "turns", "filters", "features" };
	for (size_t i = 0; i < 3; i++)
		press(what[i], &(struct work){ run_template, text[i], strlen(text[i]), vars });
	json_decref(vars);
}
