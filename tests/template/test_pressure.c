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
	};
	json_t *vars = json_pack("{s:[{s:s,s:s},{s:s,s:s}]}", "messages", "role", "user", "content",
	                         " Hi <there>\n", "role", "assistant", "content", "a");
	for (size_t i = 0; i < 2; i++)
		press(i ? "filters" : "turns", &(struct work){ run_template, text[i], strlen(text[i]), vars });
	json_decref(vars);
}
