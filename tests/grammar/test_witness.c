/* What others are compared with (the cases of this folder): of each constraint in the file
 * WITNESS_ASKED, a JSON list of {kind, text, texts, samples}, which of the texts are whole answers, and
 * as many whole answers of random choices; or what refused it. Written to the file WITNESS_SAID. */
#include "tests/shared/acceptor.h"

#include "grammar/regular.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define LONG 40     /* bytes of random choice before the shortest end is looked for */
#define PLACES 4096 /* of that search */

static const char *const kinds[] = { [GRAMMAR_SCHEMA] = "schema", [GRAMMAR_REGEX] = "regex",
				     [GRAMMAR_CHOICE] = "choice", [GRAMMAR_RULES] = "grammar" };

static unsigned draw(uint64_t *seed, unsigned below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*seed >> 33) % below;
}

/* Go on to the nearest end. */
static bool end_add(struct automaton *a, uint32_t at, struct buf *text)
{
	static struct { uint32_t at, before; uint8_t byte; } place[PLACES];
	uint32_t count = 1, i = 0;
	place[0].at = at;
	for (; i < count && !automaton_accepts(a, place[i].at); i++) {
		for (unsigned byte = 0; byte < 256 && count < PLACES; byte++) {
			uint32_t to = automaton_take(a, place[i].at, (uint8_t)byte), k = 0;
			while (k < count && place[k].at != to)
				k++;
			if (to < AUTOMATON_START || k < count)
				continue;
			place[count].at = to;
			place[count].before = i;
			place[count++].byte = (uint8_t)byte;
		}
	}
	if (i == count)
		return false;
	char path[PLACES];
	size_t len = 0;
	for (; i != 0; i = place[i].before)
		path[len++] = (char)place[i].byte;
	while (len > 0)
		buf_add_byte(text, (unsigned char)path[--len]);
	return true;
}

/* NULL: it led nowhere within the search. Letters are drawn less often than what is rarer. */
static json_t *sample(struct automaton *a, uint64_t *seed)
{
	struct buf text = { 0 };
	uint32_t at = AUTOMATON_START;
	uint8_t byte[256];
	while (text.len < LONG && !(automaton_accepts(a, at) && draw(seed, 4) == 0)) {
		unsigned count = 0;
		const uint8_t *class = automaton_classes(a);
		unsigned last = 256;
		for (unsigned b = 0; b < 256; b++) {
			bool again = class[b] == last && draw(seed, 8) != 0;
			if (!again && automaton_take(a, at, (uint8_t)b) >= AUTOMATON_START)
				byte[count++] = (uint8_t)b;
			last = class[b];
		}
		if (count == 0)
			break;
		uint8_t next = byte[draw(seed, count)];
		at = automaton_take(a, at, next);
		buf_add_byte(&text, next);
	}
	json_t *made = end_add(a, at, &text) ? json_stringn(text.len > 0 ? text.bytes : "", text.len) : NULL;
	buf_free(&text);
	return made;
}

/* "search": a regular expression that matches somewhere, as a language of its own. */
static json_t *search_says(const char *text, const json_t *texts)
{
	struct regular *r;
	struct err e = { 0 };
	uint64_t work = 0;
	if (regular_regex(&r, text, strlen(text), true, &work, &e) < 0)
		return json_string(e.text);
	json_t *said = json_array();
	const json_t *one;
	size_t i;
	json_array_foreach((json_t *)texts, i, one)
		json_array_append_new(said, json_boolean(regular_holds(r, json_string_value(one),
								       json_string_length(one))));
	regular_close(r);
	return said;
}

static json_t *acceptor_says(enum grammar_kind kind, const char *text, const json_t *asked, uint64_t *seed)
{
	struct acceptor a;
	struct err e = { 0 };
	if (acceptor_open(&a, kind, text, strlen(text), &e) < 0)
		return json_string(e.text);
	json_t *said = json_array(), *samples = json_array();
	const json_t *one;
	size_t i;
	json_array_foreach(json_object_get(asked, "texts"), i, one)
		json_array_append_new(said, json_boolean(acceptor_takes(&a, json_string_value(one),
									json_string_length(one), true)));
	for (json_int_t n = json_integer_value(json_object_get(asked, "samples")); n > 0; n--) {
		json_t *made = sample(a.automaton, seed);
		if (made != NULL)
			json_array_append_new(samples, made);
	}
	acceptor_close(&a);
	if (json_object_get(asked, "samples") == NULL) {
		json_decref(samples);
		return said;
	}
	return json_pack("{soso}", "said", said, "samples", samples);
}

static json_t *says(const json_t *asked, uint64_t *seed)
{
	const char *kind = json_string_value(json_object_get(asked, "kind")),
		   *text = json_string_value(json_object_get(asked, "text"));
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		if (kinds[k] != NULL && strcmp(kinds[k], kind) == 0)
			return acceptor_says((enum grammar_kind)k, text, asked, seed);
	}
	return search_says(text, json_object_get(asked, "texts"));
}

Test(grammar_witness, answers_what_it_is_asked)
{
	const char *asked = getenv("WITNESS_ASKED"), *file = getenv("WITNESS_SAID");
	if (asked == NULL || file == NULL)
		return; /* nobody asks */
	json_error_t why;
	json_t *list = json_load_file(asked, JSON_ALLOW_NUL, &why), *said = json_array(), *one;
	uint64_t seed = 16;
	size_t i;
	cr_assert_not_null(list, "%s", why.text);
	json_array_foreach(list, i, one)
		json_array_append_new(said, says(one, &seed));
	cr_assert_eq(json_dump_file(said, file, JSON_COMPACT), 0);
	json_decref(list);
	json_decref(said);
}
