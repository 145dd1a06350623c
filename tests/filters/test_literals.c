#include "tests/filters/scan.h"

#include <criterion/criterion.h>

/* Which bytes of text lie under an occurrence of any word, by plain search. */
static void naive(const char *text, size_t len, const char *const *word, size_t words, bool *under)
{
	memset(under, 0, len);
	for (size_t w = 0; w < words; w++)
		for (size_t n = strlen(word[w]), i = 0; n <= len && i <= len - n; i++)
			if (memcmp(text + i, word[w], n) == 0)
				memset(under + i, 1, n);
}

Test(filters_literals, findings_cover_exactly_the_occurrences)
{
	uint32_t seed = 41;
	for (int round = 0; round < 300; round++) {
		char words[8][8], text[80];
		const char *list[8];
		bool under[sizeof text];
		size_t count = 1 + scan_random(&seed) % 8;
		for (size_t w = 0; w < count; w++) {
			size_t n = 1 + scan_random(&seed) % 6;
			for (size_t i = 0; i < n; i++)
				words[w][i] = "abc"[scan_random(&seed) % 3];
			words[w][n] = 0;
			list[w] = words[w];
		}
		for (size_t i = 0; i < sizeof text; i++)
			text[i] = "abcd"[scan_random(&seed) % 4];
		naive(text, sizeof text, list, count, under);
		struct filter_rule rule = {
			.id = "r", .action = FILTER_MASK, .literal = list, .literal_count = count
		};
		struct filter_set *set;
		cr_assert(filter_set_build(&set, &rule, 1, NULL) == 0);
		struct scan s = scan_whole(set, text, sizeof text);
		cr_assert_eq(s.output.len, sizeof text);
		for (size_t i = 0; i < sizeof text; i++)
			cr_assert_eq(s.output.bytes[i] == '*', under[i],
				     "round %d, byte %zu of %.80s", round, i, text);
		scan_free(&s);
		filter_set_free(set);
	}
}

struct folded {
	enum filter_fold fold;
	uint32_t gap_max;
	const char *literal, *text;
	bool hit;
};

static const struct folded folds[] = {
	{ FILTER_FOLD_NONE, 0, "Straße", "die Straße", true },
	{ FILTER_FOLD_NONE, 0, "Straße", "die straße", false },
	{ FILTER_FOLD_CASE, 0, "Straße", "DIE STRASSE", true },
	{ FILTER_FOLD_CASE, 0, "larkspur", "lark\xE2\x80\x8Bspur", true },
	{ FILTER_FOLD_CASE, 0, "larkspur", "lark.spur", false },
	{ FILTER_FOLD_CASE, 0, "larkspur", "ｌａｒｋｓｐｕｒ", true },
	{ FILTER_FOLD_STRICT, 4, "larkspur", "l....arkspur", true },
	{ FILTER_FOLD_STRICT, 4, "larkspur", "l.....arkspur", false },
	{ FILTER_FOLD_STRICT, 0, "larkspur", "l.arkspur", false },
	{ FILTER_FOLD_STRICT, 0, "larkspur",
	  "l\xCC\x81\xCC\x81\xCC\x81"
	  "arkspur",
	  true },
	{ FILTER_FOLD_STRICT, 4, "modern", "rnodem", true },
	{ FILTER_FOLD_STRICT, 4, "Illicit 10", "1ll|cit lO", true },
	{ FILTER_FOLD_STRICT, 4, "paypal", "раураl", true },
	{ FILTER_FOLD_STRICT, 4, "paypal", "pay the pal", false },
	{ FILTER_FOLD_STRICT, 4, "क्षमा", "क्षमा", true },
	{ FILTER_FOLD_STRICT, 4, "บาน", "บ้าน", false },   /* a tone mark tells words apart */
	{ FILTER_FOLD_STRICT, 4, "ハス", "バス", false }, /* so does voicing */
};

Test(filters_literals, folding_decides_as_the_table_says)
{
	for (size_t i = 0; i < sizeof folds / sizeof *folds; i++) {
		const struct folded *f = &folds[i];
		struct filter_rule rule = { .id = "r",
					    .action = FILTER_FLAG,
					    .literal = &f->literal,
					    .literal_count = 1,
					    .fold = f->fold,
					    .gap_max = f->gap_max };
		struct filter_set *set;
		cr_assert(filter_set_build(&set, &rule, 1, NULL) == 0);
		struct scan s = scan_whole(set, f->text, strlen(f->text));
		cr_expect_eq(s.findings > 0, f->hit, "row %zu: \"%s\" in \"%s\"", i, f->literal,
			     f->text);
		scan_free(&s);
		filter_set_free(set);
	}
}

Test(filters_literals, ten_thousand_are_built_and_all_found)
{
	enum { COUNT = 10000 };
	static char word[COUNT][24];
	static const char *list[COUNT];
	uint32_t seed = 3;
	for (int i = 0; i < COUNT; i++) {
		int n = snprintf(word[i], sizeof word[i], "w%d", i);
		while (n < 14)
			word[i][n++] = (char)('a' + scan_random(&seed) % 26);
		list[i] = word[i];
	}
	struct filter_rule rule = { .id = "r",
				    .action = FILTER_FLAG,
				    .literal = list,
				    .literal_count = COUNT,
				    .fold = FILTER_FOLD_STRICT,
				    .gap_max = 4 };
	struct filter_set *set;
	struct err e = { 0 };
	cr_assert(filter_set_build(&set, &rule, 1, &e) == 0, "%s", e.text);
	for (int i = 0; i < COUNT; i += 97) {
		struct scan s = scan_whole(set, word[i], strlen(word[i]));
		cr_expect_eq(s.findings, 1, "%s", word[i]);
		scan_free(&s);
	}
	filter_set_free(set);
}

/* The table in the sources is the one that the published file gives. */
Test(filters_literals, confusables_table_is_generated_from_its_source)
{
	int r = system(
		"xz -dc tests/vectors/filters/confusables-17.0.0.txt.xz | awk -f filters/confusables.awk"
		" | cmp -s - filters/confusables_table.c");
	cr_expect_eq(r, 0);
	cr_expect(strstr(filter_tables_version(), "confusables-17.0.0"), "%s",
		  filter_tables_version());
}
