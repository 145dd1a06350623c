#include "tests/filters/scan.h"

#include <criterion/criterion.h>
#include <pthread.h>

/* A set of the phrases to ban, folded strictly, with the detectors of invisible text beside them. */
static struct filter_set *phrases_set(enum filter_action action, bool detectors)
{
	json_t *list = scan_vectors("obfuscation_phrases.jsonl");
	cr_assert(list && json_array_size(list) == 33, "phrases are missing");
	const char *literal[40];
	for (size_t i = 0; i < json_array_size(list); i++)
		literal[i] = scan_string(json_array_get(list, i), "phrase");
	struct filter_rule rule[4] = {
		{ .id = "lit",
		  .action = action,
		  .literal = literal,
		  .literal_count = json_array_size(list),
		  .fold = FILTER_FOLD_STRICT,
		  .gap_max = 4 },
		{ .id = "tags", .action = action, .detector = "unicode.tags" },
		{ .id = "selectors", .action = action, .detector = "unicode.selectors" },
		{ .id = "bidi", .action = action, .detector = "unicode.bidi" },
	};
	struct err e = { 0 };
	struct filter_set *set;
	cr_assert(filter_set_build(&set, rule, detectors ? 4 : 1, &e) == 0, "%s", e.text);
	json_decref(list);
	return set;
}

struct tally {
	int hit, hits, silent, silents, optional, optionals;
};

static bool loose(const char *family)
{
	return strcmp(family, "bidi_controls") == 0 || strcmp(family, "tag_characters") == 0 ||
	       strcmp(family, "variation_selectors") == 0;
}

/* The range covers [from, to), or what it leaves uncovered is spaces before and separators after
 * the last letter (three cases place their span so). */
static bool covered(const struct scan *s, const char *text, uint64_t from, uint64_t to)
{
	while (from < s->first_start && text[from] == ' ')
		from++;
	if (to > s->first_end && strncmp(text + s->first_end, "\xC2\xB7", 2) == 0 &&
	    to - s->first_end <= 6)
		to = s->first_end;
	return s->findings > 0 && s->first_start <= from && s->first_end >= to;
}

static void judge(struct tally *t, const struct filter_set *set, const json_t *o)
{
	const char *text = scan_string(o, "text"), *expected = scan_string(o, "expected"),
		   *family = scan_string(o, "family");
	struct scan s = scan_whole(set, text, strlen(text));
	if (strcmp(expected, "hit") == 0) {
		const json_t *span = json_object_get(o, "byte_span");
		uint64_t from = (uint64_t)json_integer_value(json_array_get(span, 0));
		uint64_t to = (uint64_t)json_integer_value(json_array_get(span, 1));
		bool ok = s.findings > 0 && (loose(family) || covered(&s, text, from, to));
		t->hits++;
		t->hit += ok;
		if (!ok)
			cr_log_error("missed %s/%s: %s\n%s", family, scan_string(o, "technique"),
				     text, s.trace.bytes);
	} else if (strcmp(expected, "no_hit") == 0) {
		bool ok = s.findings == 0 && s.output.len == strlen(text) &&
			  memcmp(s.output.bytes, text, s.output.len) == 0;
		t->silents++;
		t->silent += ok;
		if (!ok)
			cr_log_error("false hit %s: %s\n%s", scan_string(o, "technique"), text,
				     s.trace.bytes);
	} else {
		t->optionals++;
		t->optional += s.findings > 0;
	}
	scan_free(&s);
}

static struct tally run(bool detectors)
{
	struct filter_set *set = phrases_set(FILTER_REDACT, detectors);
	json_t *cases = scan_vectors("obfuscation.jsonl");
	cr_assert(cases && json_array_size(cases) == 1371, "cases are missing");
	struct tally t = { 0 };
	for (size_t i = 0; i < json_array_size(cases); i++)
		judge(&t, set, json_array_get(cases, i));
	json_decref(cases);
	filter_set_free(set);
	cr_log_info(
		"obfuscation: %d of %d required, %d of %d honest lines silent, %d of %d optional",
		t.hit, t.hits, t.silent, t.silents, t.optional, t.optionals);
	return t;
}

Test(filters_obfuscation, every_required_case_is_caught_by_the_literals_alone)
{
	struct tally t = run(false);
	cr_assert_eq(t.hits, 1007);
	cr_expect_eq(t.hit, t.hits, "%d of %d", t.hit, t.hits);
	cr_expect_eq(t.silent, t.silents, "%d of %d", t.silent, t.silents);
}

Test(filters_obfuscation, detectors_of_invisible_text_stay_silent_on_honest_lines)
{
	struct tally t = run(true);
	cr_expect_eq(t.hit, t.hits, "%d of %d", t.hit, t.hits);
	cr_expect_eq(t.silent, t.silents, "%d of %d", t.silent, t.silents);
}

Test(filters_obfuscation, the_words_themselves_do_not_fire_in_benign_text)
{
	struct filter_set *set = phrases_set(FILTER_BLOCK, true);
	json_t *cases = scan_vectors("benign.jsonl");
	cr_assert(cases && json_array_size(cases) == 150);
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const char *text = scan_string(json_array_get(cases, i), "text");
		struct scan s = scan_whole(set, text, strlen(text));
		cr_expect_eq(s.findings, 0, "%s", text);
		scan_free(&s);
	}
	json_decref(cases);
	filter_set_free(set);
}

Test(filters_obfuscation, pieces_change_nothing_in_any_case)
{
	static const size_t pieces[] = { 1, 3, 17 };
	struct filter_set *set = phrases_set(FILTER_BLOCK, true);
	json_t *cases = scan_vectors("obfuscation.jsonl");
	cr_assert(cases);
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const char *text = scan_string(json_array_get(cases, i), "text");
		struct scan whole = scan_whole(set, text, strlen(text));
		for (size_t k = 0; k < 3; k++) {
			size_t n = pieces[k];
			struct scan cut = scan_text(set, false, text, strlen(text), scan_bytes, &n);
			cr_expect(scan_equal(&whole, &cut), "%s in pieces of %zu\n%s\n%s", text, n,
				  whole.trace.bytes, cut.trace.bytes);
			scan_free(&cut);
		}
		scan_free(&whole);
	}
	json_decref(cases);
	filter_set_free(set);
}

/* ---- one set, several threads */

struct worker {
	const struct filter_set *set;
	const json_t *cases;
	int hits;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	for (size_t i = 0; i < json_array_size(w->cases); i += 3) {
		const char *text = scan_string(json_array_get(w->cases, i), "text");
		struct scan s = scan_whole(w->set, text, strlen(text));
		w->hits += s.findings > 0;
		scan_free(&s);
	}
	return NULL;
}

Test(filters_obfuscation, threads_share_a_set)
{
	struct filter_set *set = phrases_set(FILTER_REDACT, true);
	json_t *cases = scan_vectors("obfuscation.jsonl");
	cr_assert(cases);
	struct worker w[3] = { { set, cases, 0 }, { set, cases, 0 }, { set, cases, 0 } };
	pthread_t thread[3];
	for (int i = 0; i < 3; i++)
		cr_assert(pthread_create(&thread[i], NULL, work, &w[i]) == 0);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	cr_expect(w[0].hits > 300 && w[0].hits == w[1].hits && w[1].hits == w[2].hits);
	json_decref(cases);
	filter_set_free(set);
}
