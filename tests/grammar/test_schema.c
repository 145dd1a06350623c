/* Schemas as people have them: what is taken, what is sampled from their grammars, and whether texts
 * that are known to be right are among them. Others judge the samples: case_schema.py. */
#include "tests/shared/acceptor.h"

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 6000

static const char *const files[] = {
	"tests/vectors/constraints/pydantic.json",
	"tests/vectors/constraints/zod.json",
};

static uint32_t state;

static uint32_t draw(uint32_t below)
{
	state = state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(state >> 8) * below >> 24);
}

/* A random byte after which the text may go on. What ends something comes first once it is long, or
 * where luck says so; classes of bytes are equally likely, so that few characters are letters of
 * far away. */
static int pick(struct automaton *a, uint32_t at, size_t len, uint32_t *to)
{
	static const char ends[] = "]}\"";
	const uint8_t *class = automaton_classes(a);
	uint8_t byte[256];
	bool seen[256] = { false };
	uint32_t n = 0;
	for (size_t i = 0; i < 3 && (len > 200 || draw(4) == 0); i++) {
		*to = automaton_take(a, at, (uint8_t)ends[i]);
		if (*to >= AUTOMATON_START)
			return (unsigned char)ends[i];
	}
	uint32_t turn = draw(256);
	for (uint32_t i = 0; i < 256; i++) {
		uint8_t b = (uint8_t)(i * 167 + turn);
		if (seen[class[b]])
			continue;
		seen[class[b]] = true;
		if (automaton_take(a, at, b) >= AUTOMATON_START)
			byte[n++] = b;
	}
	if (n == 0)
		return -1;
	uint32_t k = draw(n);
	for (uint32_t i = 0; i < 4 && len > 100 && (byte[k] >= 0x80 || byte[k] == ','); i++)
		k = draw(n);
	*to = automaton_take(a, at, byte[k]);
	return byte[k];
}

/* One text of the grammar, or false: it became too long. */
static bool sample(const struct acceptor *a, struct buf *out)
{
	uint32_t at = AUTOMATON_START;
	buf_clear(out);
	automaton_reset(a->automaton);
	while (out->len < LONGEST) {
		bool whole = automaton_accepts(a->automaton, at);
		if (whole && (out->len > 200 || draw(4) == 0 || !automaton_goes_on(a->automaton, at)))
			return true;
		int byte = pick(a->automaton, at, out->len, &at);
		if (byte < 0)
			return whole;
		buf_add_byte(out, (unsigned char)byte);
	}
	return false;
}

static void line_add(FILE *out, const char *name, const char *key, const char *text, size_t len)
{
	struct buf line = { 0 };
	if (out == NULL)
		return;
	buf_add_text(&line, "{\"name\":");
	text_json_string(&line, name, strlen(name));
	buf_printf(&line, ",\"%s\":", key);
	text_json_string(&line, text, len);
	buf_add_text(&line, "}\n");
	cr_assert_eq(fwrite(line.bytes, 1, line.len, out), line.len);
	buf_free(&line);
}

/* Texts of the row that must be, or must not be, of the grammar; how many are not as they should. */
static size_t known_check(const struct acceptor *a, const json_t *row, const char *key, bool wanted,
			  FILE *out)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	const json_t *one;
	size_t i, wrong = 0;
	json_array_foreach(json_object_get(row, key), i, one) {
		const char *text = json_string_value(one);
		automaton_reset(a->automaton);
		if (acceptor_takes(a, text, strlen(text), true) == wanted)
			continue;
		wrong++;
		cr_log_warn("%s: %s is %s", name, text, wanted ? "not taken" : "taken");
		line_add(out, name, key, text, strlen(text));
	}
	return wrong;
}

static bool row_try(const json_t *row, unsigned samples, FILE *out, size_t *wrong)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	struct buf text = { 0 };
	struct err e = { 0 };
	struct acceptor a;
	cr_assert_eq(json_write(json_object_get(row, "schema"), 0, &text, &e), 0, "%s", e.text);
	int rc = acceptor_open(&a, GRAMMAR_SCHEMA, text.bytes, text.len, &e);
	if (rc < 0) {
		line_add(out, name, "refused", e.text, strlen(e.text));
		buf_free(&text);
		return false;
	}
	for (unsigned i = 0; i < samples; i++) {
		if (sample(&a, &text))
			line_add(out, name, "text", text.bytes ? text.bytes : "", text.len);
	}
	*wrong += known_check(&a, row, "right", true, out);
	*wrong += known_check(&a, row, "wrong", false, out);
	acceptor_close(&a);
	buf_free(&text);
	return true;
}

static void file_try(const char *file, unsigned samples, FILE *out, size_t least)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	json_t *rows, *row;
	size_t i, taken = 0, wrong = 0;
	cr_assert_eq(file_read(file, 64 << 20, &b, &e), 0, "%s", e.text);
	cr_assert_eq(json_read_as(&rows, b.bytes, b.len, 64 << 20, 500, JSON_WIDE, &e), 0, "%s: %s",
		     file, e.text);
	buf_free(&b);
	json_array_foreach(rows, i, row)
		taken += row_try(row, samples, out, &wrong);
	cr_expect_geq(json_array_size(rows), least, "%s: %zu schemas", file, json_array_size(rows));
	cr_expect(least == 0 || taken * 100 >= json_array_size(rows) * 95, "%s: %zu taken of %zu", file,
		  taken, json_array_size(rows));
	cr_expect(least == 0 || wrong == 0, "%s: %zu known texts", file, wrong);
	json_decref(rows);
}

Test(grammar_schema, of_pydantic_and_zod_are_taken, .timeout = 300)
{
	const char *own = getenv("SCHEMA_ROWS"), *path = getenv("SCHEMA_ANSWERS");
	const char *many = getenv("SCHEMA_SAMPLES");
	FILE *out = path ? fopen(path, "w") : NULL;
	unsigned samples = many ? (unsigned)atoi(many) : 20;
	state = 1;
	for (size_t i = 0; i < sizeof files / sizeof *files && !own; i++)
		file_try(files[i], samples, out, i == 0 ? 39 : 60);
	if (own)
		file_try(own, samples, out, 0);
	if (out)
		cr_assert_eq(fclose(out), 0);
}

/* 200 patterns, each of a language of 8192 states. */
Test(schema, patterns_of_a_schema_share_one_count_of_work)
{
	json_t *all = json_object();
	for (int i = 0; i < 200; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "p%d", i);
		json_object_set_new(all, name, json_pack("{s:[s], s:o}", "enum", "xaaaaaaaaaaaa", "pattern",
							 json_sprintf("^(.*x.{12}|y%d)$", i)));
	}
	json_t *schema = json_pack("{s:s, s:o}", "type", "object", "properties", all);
	struct buf rules = { 0 };
	struct err e = { 0 };
	uint64_t work = 0;
	cr_assert_eq(schema_grammar(schema, "root", &rules, NULL, &work, &e), ERR_UNSUPPORTED, "%s", e.text);
	cr_assert(strstr(e.text, "steps in one constraint") && strstr(e.text, "pattern at #"), "%s", e.text);
	cr_assert(work > LIMIT_CONSTRAINT_COMPILE && work < LIMIT_CONSTRAINT_COMPILE + (1u << 22), "%llu",
		  (unsigned long long)work);
	json_decref(schema);
	buf_free(&rules);
}

/* What products and lookaheads take is counted as well as what determinisation does. */
Test(schema, every_kind_of_work_is_counted)
{
	static const char *const schemas[] = {
		"{\"type\":\"string\",\"pattern\":\"^a*b*$\",\"minLength\":3000}",
		"{\"type\":\"string\",\"pattern\":\"^(?!ab)(?!ba)[ab]*$\"}",
	};
	static const uint64_t least[] = { 3000 * 3, 2 * 8192 };
	for (size_t i = 0; i < 2; i++) {
		json_t *schema = json_loads(schemas[i], 0, NULL);
		struct buf rules = { 0 };
		struct err e = { 0 };
		uint64_t work = 0, spent = LIMIT_CONSTRAINT_COMPILE;
		cr_assert_eq(schema_grammar(schema, "root", &rules, NULL, &work, &e), 0, "%s", e.text);
		cr_assert(work > least[i] && work < LIMIT_CONSTRAINT_COMPILE, "%llu", (unsigned long long)work);
		cr_assert_eq(schema_grammar(schema, "root", &rules, NULL, &spent, &e), ERR_UNSUPPORTED);
		json_decref(schema);
		buf_free(&rules);
	}
}
