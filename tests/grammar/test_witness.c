/* What others are compared with (case_regex.py): of each constraint in the file WITNESS_ASKED, a
 * JSON list of {kind, text, texts}, which of the texts are whole answers: lists of booleans, or what
 * refused it, in the file WITNESS_SAID. */
#include "tests/shared/acceptor.h"

#include "grammar/regular.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* "search": a regular expression that matches somewhere, as a language of its own. */
static json_t *search_says(const char *text, const json_t *texts)
{
	struct regular *r;
	struct err e = { 0 };
	json_t *said = json_array();
	if (regular_regex(&r, text, strlen(text), true, &e) < 0) {
		json_decref(said);
		return json_string(e.text);
	}
	const json_t *one;
	size_t i;
	json_array_foreach((json_t *)texts, i, one)
		json_array_append_new(said, json_boolean(regular_holds(r, json_string_value(one),
								       json_string_length(one))));
	regular_close(r);
	return said;
}

static json_t *acceptor_says(enum grammar_kind kind, const char *text, const json_t *texts)
{
	struct acceptor a;
	struct err e = { 0 };
	if (acceptor_open(&a, kind, text, strlen(text), &e) < 0)
		return json_string(e.text);
	json_t *said = json_array();
	const json_t *one;
	size_t i;
	json_array_foreach((json_t *)texts, i, one)
		json_array_append_new(said, json_boolean(acceptor_takes(&a, json_string_value(one),
									json_string_length(one), true)));
	acceptor_close(&a);
	return said;
}

Test(grammar_witness, answers_what_it_is_asked)
{
	const char *asked = getenv("WITNESS_ASKED"), *file = getenv("WITNESS_SAID");
	if (asked == NULL || file == NULL)
		cr_skip_test("case_regex.py asks");
	json_error_t why;
	json_t *list = json_load_file(asked, 0, &why), *said = json_array(), *one;
	size_t i;
	cr_assert_not_null(list, "%s", why.text);
	json_array_foreach(list, i, one)
	{
		const char *kind = json_string_value(json_object_get(one, "kind")),
			   *text = json_string_value(json_object_get(one, "text"));
		const json_t *texts = json_object_get(one, "texts");
		json_array_append_new(said, strcmp(kind, "search") == 0 ? search_says(text, texts)
					    : acceptor_says(strcmp(kind, "regex") == 0 ? GRAMMAR_REGEX
										       : GRAMMAR_RULES,
							    text, texts));
	}
	cr_assert_eq(json_dump_file(said, file, JSON_COMPACT), 0);
	json_decref(list);
	json_decref(said);
}
