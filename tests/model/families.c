#include "families.h"

#include "base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

json_t *families_open(void)
{
	struct buf b = { 0 };
	struct source *s;
	struct err e = { 0 };
	json_t *o;
	cr_assert_eq(source_open_folder(&s, "tests/vectors/configs", &e), 0, "%s", e.text);
	cr_assert_eq(source_read_file(s, "families.json", MIB(1), &b, &e), 0, "%s", e.text);
	cr_assert_eq(json_read(&o, b.bytes, b.len, MIB(1), 32, &e), 0, "%s", e.text);
	buf_free(&b);
	source_close(s);
	return o;
}

/* Members replace those of the text model where there is one; null removes. A change within
 * "top" is of the top. */
static void change(json_t *o, const char *changes)
{
	json_t *more = json_loads(changes, 0, NULL), *text = json_object_get(o, "text_config"), *v;
	const char *key;
	cr_assert_not_null(more, "%s", changes);
	json_object_update(o, json_object_get(more, "top"));
	json_object_del(more, "top");
	text = text == NULL ? o : text;
	json_object_foreach(more, key, v)
	{
		if (json_is_string(v) && strcmp(json_string_value(v), "DROP") == 0)
			json_object_del(text, key);
		else
			json_object_set(text, key, v);
	}
	json_decref(more);
}

int families_parse(json_t *all, const char *name, const char *changes, struct model_config *c, struct err *e)
{
	json_t *o = json_deep_copy(json_object_get(all, name));
	struct buf b = { 0 };
	cr_assert_not_null(o, "%s", name);
	change(o, changes);
	cr_assert_eq(json_write(o, 0, &b, e), 0);
	int r = model_config_parse(c, b.bytes, b.len, NULL, 0, e);
	buf_free(&b);
	json_decref(o);
	return r;
}
