/* Keys of config.json, one by one: what the reference computes with them (changes.py made the
 * numbers), or our refusal. */
#include "oracle.h"
#include "support.h"

#include "base/json.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct buf *file_of(struct memory_source *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->file[i].name, name) == 0)
			return &m->file[i].bytes;
	cr_assert_fail("no %s", name);
	return NULL;
}

static void change_config(struct buf *config, const json_t *row)
{
	json_t *o, *key;
	struct err e = { 0 };
	size_t i;
	cr_assert_eq(json_read(&o, config->bytes, config->len, MIB(1), 32, &e), 0, "%s", e.text);
	json_object_update(o, json_object_get(row, "set"));
	json_array_foreach(json_object_get(row, "drop"), i, key)
		json_object_del(o, json_string_value(key));
	buf_clear(config);
	cr_assert_eq(json_write(o, 0, config, &e), 0, "%s", e.text);
	json_decref(o);
}

/* Names without "model.": the header keeps its length. */
static void strip_prefix(struct buf *tensors)
{
	static const char prefix[] = "\"model.";
	size_t head = 0, cut = strlen(prefix) - 1;
	for (int i = 7; i >= 0; i--)
		head = head << 8 | (unsigned char)tensors->bytes[i];
	char *at = tensors->bytes + 8, *end = at + head, *found;
	while ((found = memmem(at, (size_t)(end - at), prefix, strlen(prefix))) != NULL) {
		memmove(found + 1, found + 1 + cut, (size_t)(end - found) - 1 - cut);
		memset(end - cut, ' ', cut);
		at = found + 1;
	}
}

static void check_logits(struct engine *m, const struct oracle *o, const json_t *want,
                         const char *what)
{
	static float logits[512];
	struct engine_sequence *s;
	struct err e = { 0 };
	cr_assert(o->vocab <= 512);
	cr_assert_eq(engine_sequence_open(&s, m, o->length, &e), 0, "%s: %s", what, e.text);
	struct engine_feed f = { .sequence = s, .token = (const uint32_t *)o->input,
		.count = o->length, .logits = logits };
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s: %s", what, e.text);
	for (size_t i = 0; i < json_array_size(want); i++) {
		double off = fabs((double)logits[i] - json_number_value(json_array_get(want, i)));
		cr_expect_leq(off, 1e-4 * o->logit_std, "%s: logit %zu is off by %g", what, i, off);
	}
	engine_sequence_close(s);
}

static void check_row(const json_t *row)
{
	struct memory_source m;
	struct oracle o;
	struct engine *engine;
	struct err e = { 0 };
	struct engine_options options = { .threads = 1, .quiet = true };
	const char *refused = json_string_value(json_object_get(row, "refused"));
	char *what = json_dumps(row, JSON_COMPACT);
	oracle_open(&o, json_string_value(json_object_get(row, "case")));
	memory_init(&m);
	memory_load(&m, o.dir);
	change_config(file_of(&m, "config.json"), row);
	if (json_is_true(json_object_get(row, "bare")))
		strip_prefix(file_of(&m, "model.safetensors"));
	int rc = engine_open(&engine, &m.source, &options, &e);
	if (refused != NULL) {
		cr_expect(rc == ERR_UNSUPPORTED || rc == ERR_INPUT, "%s: %d", what, rc);
		cr_expect(strstr(e.text, refused), "%s: %s", what, e.text);
	} else {
		cr_assert_eq(rc, 0, "%s: %s", what, e.text);
		check_logits(engine, &o, json_object_get(row, "logits"), what);
	}
	if (rc == 0)
		engine_close(engine);
	memory_free(&m);
	oracle_close(&o);
	free(what);
}

Test(engine_changes, every_key_is_computed_as_the_reference_does_or_refused)
{
	struct source *s;
	struct buf b = { 0 };
	struct err e = { 0 };
	json_t *rows, *row;
	size_t i;
	cr_assert_eq(source_open_folder(&s, "tests/vectors/configs", &e), 0, "%s", e.text);
	cr_assert_eq(source_read_file(s, "changes.json", MIB(1), &b, &e), 0, "%s", e.text);
	cr_assert_eq(json_read_as(&rows, b.bytes, b.len, MIB(1), 32, JSON_WIDE, &e), 0, "%s", e.text);
	json_array_foreach(rows, i, row)
		check_row(row);
	cr_assert(i > 150);
	json_decref(rows);
	buf_free(&b);
	source_close(s);
}
