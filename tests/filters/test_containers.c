/* Every kind's example in every container that models write: it is found there, and with a wrong check
 * digit it stays. */
#include "tests/filters/scan.h"
#include "filters/kind.h"

#include <criterion/criterion.h>
#include <ctype.h>

static const char *const container[] = {
	"%s",
	"It says %s here.",
	"The answer is %s.",
	"Is it %s?",
	"17,%s,123",
	"17,x,%s",
	"%s,17,123\n",
	"17;%s;123",
	"17\t%s\t123",
	"17|%s|123",
	"17^%s^123",
	"17~%s~123",
	"\"17\",\"%s\",\"123\"",
	"'17','%s','123'",
	"17 , %s , 123",
	"id,value,cvc\n17,%s,123\n",
	"17    %s    123",
	"{\"value\": \"%s\"}",
	"{\"id\":17,\"value\":\"%s\",\"n\":1}",
	"{\n  \"value\": \"%s\",\n  \"n\": 1\n}",
	"[17, \"%s\", 42]",
	"[17,%s,42]",
	"{\"value\": %s}",
	"{\"%s\": 1}",
	"{\"a\": \"{\\\"value\\\": \\\"%s\\\"}\"}",
	"{\"value\": \"x\\n%s\"}",
	"{\"value\": \"%s\\nx\"}",
	"{\"value\": \"x\\t%s\"}",
	"{\"v\":\"%s\"}\n{\"v\":\"b\"}\n",
	"INSERT INTO t VALUES (17, '%s', 42);",
	"SELECT * FROM t WHERE v = '%s';",
	"v = \"%s\"",
	"v='%s'",
	"v: %s\nw: 2\n",
	"- %s\n- x\n",
	"x = [17, '%s']",
	"x = (17, '%s')",
	"{'v': '%s', 'w': 1}",
	"print(\"%s\")",
	"| 17 | %s | 42 |",
	"|17|%s|42|",
	"| a | b |\n|---|---|\n| %s | x |\n",
	"* **%s**",
	"`%s`",
	"```\n%s\n```",
	"> %s",
	"# %s",
	"<td>%s</td>",
	"<v>%s</v>",
	"<a v=\"%s\">",
	"<a v='%s'/>",
	"<p>x<br>%s<br>x</p>",
	"<![CDATA[%s]]>",
	"https://example.com/q?v=%s&n=1",
	"https://example.com/%s/x",
	"2026-11-29T10:00:00Z INFO v=%s n=1",
	"2026-11-29 10:00:00 [17] %s",
	"(%s)",
	"[%s]",
	"{%s}",
	"<%s>",
	"\xC2\xAB%s\xC2\xBB",
	"\xE2\x80\x9C%s\xE2\x80\x9D",
	"\xE2\x80\x98%s\xE2\x80\x99",
	"value=%s",
	"value:%s",
	"#%s",
	"@%s@",
	"\xE5\x80\xBC\xE6\x98\xAF%s\xE3\x80\x82",
	"\xD8\xA7\xD9\x84\xD9\x82\xD9\x8A\xD9\x85\xD8\xA9 %s \xD9\x87\xD9\x86\xD8\xA7",
	"\xD7\x94\xD7\xA2\xD7\xA8\xD7\x9A: %s.",
	"x\n%s\nx",
	"x\r\n%s\r\nx",
	"...%s...",
	"\xE2\x80\xA2 %s",
	"a --v \"%s\" b",
};
#define CONTAINERS (sizeof container / sizeof *container)

static struct filter_set *set_of(const char *kind)
{
	struct filter_rule rule = { .id = "r", .action = FILTER_REDACT, .detector = kind };
	struct filter_set *set;
	struct err e = { 0 };
	cr_assert(filter_set_build(&set, &rule, 1, &e) == 0, "%s: %s", kind, e.text);
	return set;
}

static void put_in(char *out, size_t room, size_t which, const char *value)
{
	const char *frame = container[which], *hole = strstr(frame, "%s");
	int n = snprintf(out, room, "%.*s%s%s", (int)(hole - frame), frame, value, hole + 2);
	cr_assert(n > 0 && (size_t)n < room);
}

/* Where the value of an example lies; false: it is not found. */
static bool find_value(const struct filter_set *set, const char *text, size_t *start, size_t *end)
{
	struct scan s = scan_whole(set, text, strlen(text));
	*start = (size_t)s.first_start;
	*end = (size_t)s.first_end;
	bool found = s.findings > 0;
	scan_free(&s);
	return found;
}

/* Change one digit or letter of the value so that it is none. */
static bool spoil(const struct filter_set *set, char *text, size_t start, size_t end)
{
	for (size_t i = end; i-- > start;) {
		char was = text[i];
		if (!isdigit((unsigned char)was))
			continue;
		for (char d = '0'; d <= '9'; d++) {
			size_t a, b;
			text[i] = d;
			if (d != was && !find_value(set, text, &a, &b))
				return true;
		}
		text[i] = was;
	}
	return false;
}

static size_t missed, kept;

static void in_all(const struct kind *k, const struct filter_set *set, const char *value,
		   bool found)
{
	for (size_t c = 0; c < CONTAINERS; c++) {
		char text[1200];
		size_t a, b;
		put_in(text, sizeof text, c, value);
		bool is = find_value(set, text, &a, &b);
		cr_expect_eq(is, found, "%s %s: %s", k->name, found ? "leaves" : "is seen", text);
		missed += is != found;
		kept++;
	}
}

Test(filters_containers, examples_are_found_in_each_and_wrong_ones_in_none)
{
	const struct kind *k;
	size_t spoiled = 0;
	for (size_t i = 0; (k = kind_at(i)); i++) {
		struct filter_set *set = set_of(k->name);
		char wrong[400];
		size_t start, end;
		if (!find_value(set, k->example, &start, &end)) {
			cr_expect(false, "%s: its example is not found: %s", k->name, k->example);
			filter_set_free(set);
			continue;
		}
		in_all(k, set, k->example, true);
		snprintf(wrong, sizeof wrong, "%s", k->example);
		if (k->check && spoil(set, wrong, start, end)) {
			in_all(k, set, wrong, false);
			spoiled++;
		}
		filter_set_free(set);
	}
	cr_log_info("%zu of %zu cells differ, %zu kinds spoiled", missed, kept, spoiled);
	cr_expect_gt(spoiled, 150);
}

/* The first word of a kind, as the name of the value's column. */
Test(filters_containers, a_column_named_by_a_word_gives_it_to_its_cells)
{
	const struct kind *k;
	for (size_t i = 0; (k = kind_at(i)); i++) {
		struct filter_set *set = set_of(k->name);
		size_t start, end, a, b;
		if (k->bare != NEED_WORD || !find_value(set, k->example, &start, &end)) {
			filter_set_free(set);
			continue;
		}
		const char *word = k->words[0];
		word += *word == '*';
		size_t n = strcspn(word, "*");
		char text[600];
		for (int gap = 0; gap < 2; gap++) {
			snprintf(text, sizeof text, "id,%.*s,note\n%s17,%.*s,x\n", (int)n, word,
				 gap ? "16,a,b\n18,c,d\n" : "", (int)(end - start),
				 k->example + start);
			cr_expect(find_value(set, text, &a, &b), "%s: %s", k->name, text);
		}
		filter_set_free(set);
	}
}
