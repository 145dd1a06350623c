/* Decoded readings: a value written in an encoding is found and wholly covered, each encoding has its
 * switch, honest text with the same signs passes, and cuts change nothing. */
#include "filters/decode.h"
#include "tests/filters/scan.h"

#include <criterion/criterion.h>

static const char phrase_text[] = "Project Larkspur";
static const char token[] = "ghp_0otc4" /* in two, or scanners of secrets take it for one */
			    "8uULMbghQeTB5FlcjAOYVa1KN277T8x";
static const char *const phrase[] = { phrase_text };

static const struct filter_rule rules[] = {
	{ .id = "card", .action = FILTER_REDACT, .detector = "pan" },
	{ .id = "iban", .action = FILTER_REDACT, .detector = "iban" },
	{ .id = "mail", .action = FILTER_REDACT, .detector = "email" },
	{ .id = "ip", .action = FILTER_REDACT, .detector = "ip" },
	{ .id = "token", .action = FILTER_REDACT, .detector = "secret.github_pat" },
	{ .id = "key", .action = FILTER_REDACT, .detector = "secret.aws_access_key" },
	{ .id = "code",
	  .action = FILTER_REDACT,
	  .literal = phrase,
	  .literal_count = 1,
	  .fold = FILTER_FOLD_STRICT,
	  .gap_max = 4 },
};
#define RULES (sizeof rules / sizeof *rules)

static const char *const values[] = {
	"4111 1111 1111 1111",
	"5555555555554444",
	"DE89 3704 0044 0532 0130 00",
	"GB57FERN00275892900754",
	"henryb@example.com",
	"198.35.26.96",
	token,
	phrase_text,
};
#define VALUES (sizeof values / sizeof *values)

static struct filter_set *build(uint32_t decode)
{
	struct filter_rule copy[RULES];
	memcpy(copy, rules, sizeof copy);
	for (size_t i = 0; i < RULES; i++)
		copy[i].decode = decode;
	struct err e = { 0 };
	struct filter_set *set;
	cr_assert(filter_set_build(&set, copy, RULES, &e) == 0, "%s", e.text);
	return set;
}

/* ---- writers: one character of a value, the i-th */

typedef void writer(struct buf *b, unsigned char c, size_t i);

static void w_percent(struct buf *b, unsigned char c, size_t i)
{
	buf_printf(b, i % 2 ? "%%%02X" : "%%%02x", c);
}

static void w_percent_twice(struct buf *b, unsigned char c, size_t i)
{
	(void)i;
	buf_printf(b, "%%25%02x", c);
}

static void w_entity(struct buf *b, unsigned char c, size_t i)
{
	static const char *const form[] = { "&#%u;", "&#x%X;", "&#%07u;", "&#X%x;" };
	buf_printf(b, form[i % 4], c);
}

static void w_entity_twice(struct buf *b, unsigned char c, size_t i)
{
	(void)i;
	buf_printf(b, "&amp;#%u;", c);
}

static void w_unicode(struct buf *b, unsigned char c, size_t i)
{
	buf_printf(b, i % 3 == 2 ? "\\u{%x}" : "\\u%04x", c);
}

static void w_json_in_json(struct buf *b, unsigned char c, size_t i)
{
	static const char *const chain[] = { "\\", "\\\\", "\\\\\\\\", "\\\\\\\\\\\\\\\\" };
	buf_printf(b, "%su%04X", chain[i % 4], c);
}

/* Mathematical digits: pairs of surrogates. */
static void w_surrogates(struct buf *b, unsigned char c, size_t i)
{
	if (c >= '0' && c <= '9' && i % 2)
		buf_printf(b, "\\ud835\\udf%02x", 0xCE + (unsigned)(c - '0'));
	else
		buf_add_byte(b, c);
}

static void w_hex(struct buf *b, unsigned char c, size_t i)
{
	(void)i;
	buf_printf(b, "\\x%02x", c);
}

static void w_octal(struct buf *b, unsigned char c, size_t i)
{
	(void)i;
	buf_printf(b, "\\%03o", c);
}

static void w_some_percent(struct buf *b, unsigned char c, size_t i)
{
	if (c == ' ' || c == '@' || i % 5 == 3)
		buf_printf(b, "%%%02X", c);
	else
		buf_add_byte(b, c);
}

static void w_names(struct buf *b, unsigned char c, size_t i)
{
	(void)i;
	if (c == ' ')
		buf_add_text(b, "&nbsp;");
	else if (c == '.')
		buf_add_text(b, "&period;");
	else if (c == '@')
		buf_add_text(b, "&commat;");
	else
		buf_add_byte(b, c);
}

static void w_backslash_signs(struct buf *b, unsigned char c, size_t i)
{
	(void)i;
	if (c == '.' || c == '@')
		buf_add_byte(b, '\\');
	buf_add_byte(b, c);
}

static void w_mail(struct buf *b, unsigned char c, size_t i)
{
	if (i % 3 == 0)
		buf_printf(b, "=%02X", c);
	else
		buf_add_byte(b, c);
}

static void w_mail_breaks(struct buf *b, unsigned char c, size_t i)
{
	buf_add_byte(b, c);
	if (i % 7 == 4)
		buf_add_text(b, i % 2 ? "=\r\n" : "=\n");
}

static void w_mail_latin(struct buf *b, unsigned char c, size_t i)
{
	if (c == ' ')
		buf_add_text(b, i % 2 ? "=A0" : "=C2=A0");
	else
		buf_add_byte(b, c);
}

static void w_tags(struct buf *b, unsigned char c, size_t i)
{
	static const char *const tag[] = { "<b>",    "</b>", "<span class=\"d\">", "</span>",
					   "<wbr/>", "<br>", "<!-- x -->",         "<br />" };
	buf_add_byte(b, c);
	if (i % 3 == 1)
		buf_add_text(b, tag[i / 3 % 8]);
}

static void w_bold_groups(struct buf *b, unsigned char c, size_t i)
{
	static const char *const mark[] = { "**", "*", "`", "_", "__", "***" };
	if (c == ' ')
		buf_printf(b, "%s %s", mark[i % 6], mark[i % 6]);
	else
		buf_add_byte(b, c);
}

static void w_code(struct buf *b, unsigned char c, size_t i)
{
	buf_add_byte(b, c);
	if (i % 4 == 3)
		buf_add_text(b, i % 8 == 3 ? "`" : "*");
}

static const struct encoding {
	const char *name;
	uint32_t switches;
	writer *write;
} encodings[] = {
	{ "percent", FILTER_DECODE_PERCENT, w_percent },
	{ "percent of some", FILTER_DECODE_PERCENT, w_some_percent },
	{ "percent twice", FILTER_DECODE_PERCENT, w_percent_twice },
	{ "entities", FILTER_DECODE_ENTITY, w_entity },
	{ "entities twice", FILTER_DECODE_ENTITY, w_entity_twice },
	{ "named entities", FILTER_DECODE_ENTITY, w_names },
	{ "unicode escapes", FILTER_DECODE_BACKSLASH, w_unicode },
	{ "JSON in JSON", FILTER_DECODE_BACKSLASH, w_json_in_json },
	{ "surrogates", FILTER_DECODE_BACKSLASH, w_surrogates },
	{ "hexadecimal escapes", FILTER_DECODE_BACKSLASH, w_hex },
	{ "octal escapes", FILTER_DECODE_BACKSLASH, w_octal },
	{ "escaped signs", FILTER_DECODE_BACKSLASH, w_backslash_signs },
	{ "quoted-printable", FILTER_DECODE_QUOTED_PRINTABLE, w_mail },
	{ "soft line breaks", FILTER_DECODE_QUOTED_PRINTABLE, w_mail_breaks },
	{ "no-break spaces of mail", FILTER_DECODE_QUOTED_PRINTABLE, w_mail_latin },
	{ "tags", FILTER_DECODE_MARKUP, w_tags },
	{ "bold groups", FILTER_DECODE_MARKUP, w_bold_groups },
	{ "code marks", FILTER_DECODE_MARKUP, w_code },
};
#define ENCODINGS (sizeof encodings / sizeof *encodings)

/* What stands around a value: start and end of the text, words, CSV, JSON. */
static const char *const around[][2] = { { "", "" },
					 { "It is ", " today." },
					 { "17;", ";123\n" },
					 { "{\"a\": \"", "\"}" },
					 { "(", ")\n" } };
#define AROUND (sizeof around / sizeof *around)

static size_t write_value(struct buf *b, const struct encoding *x, const char *value)
{
	size_t from = b->len;
	for (size_t i = 0; value[i]; i++)
		x->write(b, (unsigned char)value[i], i);
	return b->len - from;
}

Test(filters_decode, every_encoding_of_every_value_is_found_whole_unless_switched_off)
{
	struct filter_set *all = build(0);
	for (size_t e = 0; e < ENCODINGS; e++) {
		struct filter_set *off = build(FILTER_DECODE_ALL & ~encodings[e].switches);
		struct filter_set *only = build(encodings[e].switches);
		for (size_t v = 0; v < VALUES; v++)
			for (size_t a = 0; a < AROUND; a++) {
				struct buf b = { 0 };
				buf_add_text(&b, around[a][0]);
				size_t from = b.len;
				size_t n = write_value(&b, &encodings[e], values[v]);
				if (n == strlen(values[v])) { /* no sign of it is encoded */
					buf_free(&b);
					continue;
				}
				buf_add_text(&b, around[a][1]);
				struct scan on = scan_whole(all, b.bytes, b.len);
				struct scan one = scan_whole(only, b.bytes, b.len);
				struct scan none = scan_whole(off, b.bytes, b.len);
				/* A mark or tag at the very end may stay. */
				bool whole = on.findings == 1 && on.first_start == from &&
					     on.first_end <= from + n &&
					     on.first_end + 10 >= from + n;
				cr_expect(whole, "%s of %s: %.*s\n%s", encodings[e].name, values[v],
					  (int)b.len, b.bytes, on.trace.bytes);
				cr_expect(scan_same_output(&on, &one), "only %s of %s: %.*s\n%s",
					  encodings[e].name, values[v], (int)b.len, b.bytes,
					  one.trace.bytes);
				/* A strict literal reaches over signs without reading them. */
				bool reaches =
					values[v] == phrase_text &&
					encodings[e].switches & (FILTER_DECODE_MARKUP |
								 FILTER_DECODE_QUOTED_PRINTABLE);
				cr_expect(reaches || !scan_same_output(&on, &none),
					  "without %s of %s: %.*s\n%s", encodings[e].name,
					  values[v], (int)b.len, b.bytes, none.trace.bytes);
				scan_free(&on);
				scan_free(&one);
				scan_free(&none);
				buf_free(&b);
			}
		filter_set_free(off);
		filter_set_free(only);
	}
	filter_set_free(all);
}

/* ---- mixed writings: no decoding hides a value from another */

static const struct mixed {
	const char *text, *out;
} mixed[] = {
	{ "{\"t\": \"a\\n4111111111111111\\n\"}", "{\"t\": \"a\\n[redacted]\\n\"}" },
	{ "{\"t\": \"card=4111111111111111\\tx\"}", "{\"t\": \"card=[redacted]\\tx\"}" },
	{ "card=4111\\u00201111 1111 1111", "card=[redacted]" },
	{ "?card=4111%201111%201111%201111&x=41", "?card=[redacted]&x=41" },
	{ "a=5555555555554444&b=%41", "a=[redacted]&b=%41" },
	{ "%3D4111111111111111%0A", "%3D[redacted]%0A" },
	{ "C:\\new\\4111111111111111", "C:\\new\\[redacted]" },
	{ "my_4111%201111%201111%201111_", NULL },
	{ "&lt;4111111111111111&gt;", "&lt;[redacted]&gt;" },
	{ "&#x34;111%201111\\u00201111 **1111**", "[redacted]**" },
	{ "a**4111111111111111**b", NULL },
	{ "| **4111 1111 1111 1111** |", "| **[redacted]** |" },
	{ "**Card:** `4111` `1111` `1111` `1111`.", "**Card:** `[redacted]`." },
	{ "\\\\\\\"4111111111111111\\\\\\\"", "\\\\\\\"[redacted]\\\\\\\"" },
	{ "{\"a\":\"{\\\"b\\\":\\\"x\\\\n4111111111111111\\\\n\\\"}\"}",
	  "{\"a\":\"{\\\"b\\\":\\\"x\\\\n[redacted]\\\\n\\\"}\"}" },
	{ "mailto:henryb%40example.com?subject=x", "mailto:[redacted]?subject=x" },
	{ "henryb\\@example\\.com", "[redacted]" },
	{ "198\\.35\\.26\\.96", "[redacted]" },
	{ "<td>4111</td><td>1111</td>", "<td>4111</td><td>1111</td>" },
	{ "4111=\r\n1111=\r\n1111=\r\n1111", "[redacted]" },
	{ "Pro<b>ject</b> Lark&shy;spur", "[redacted]" },
	{ "https://a.example/?card=4111+1111+1111+1111&q=a+b",
	  "https://a.example/?card=[redacted]&q=a+b" },
	{ "_henryb@example.com_", "_[redacted]_" },
	{ "caf=C3=\n=A9 4111=C2=\r\n=A01111 1111 1111", "caf=C3=\n=A9 [redacted]" },
	{ "\\064111 1111\\302\\2401111 1111", "[redacted]" },
	{ "REU4OS4xMjM=", "REU4OS4xMjM=" },
};

Test(filters_decode, no_encoding_hides_a_value_from_another)
{
	struct filter_set *set = build(0);
	for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++) {
		const struct mixed *m = &mixed[i];
		struct scan s = scan_whole(set, m->text, strlen(m->text));
		if (m->out)
			cr_expect_str_eq(s.output.bytes, m->out, "%s: %s", m->text, s.output.bytes);
		scan_free(&s);
	}
	filter_set_free(set);
}

static const char *const honest[] = {
	"ts=1756665977969560 level=info", /* =17 is no character of a mail */
	"https://example.com/a%20b/c%2Fd?q=1%2C2&x=%E2%82%AC",
	"printf(\"%d\\n\", a[i] * b[j]); // 100 % of it\n",
	"char *p = &x; if (a < b && c > d) *p = 0x41;\n",
	"# Title\n\n* **one**: `code`\n* _two_ of 12*34*56\n\n1. snake_case_name __init__\n",
	"<p>Version 1.2.3 of <b>12</b> items &amp; more &copy; 2026</p>\n",
	"Content-Type: text/plain; charset=3Dutf-8 =C3=A4 =\r\n next line=20\r\n",
	"x = 41; y=42; z==3; url?a=10&b=20&c=30\n",
	"C:\\users\\new\\table\\101\\x41 and \\\\server\\share\n",
	"{\"a\":\"line\\nline\\t\\\"quoted\\\" \\u00e9 \\/ \\\\\"}\n",
	"4111*1111*1111*1112 and 12**34 ~~gone~~ `a` `b`\n",
	"x=046+454+286; y = 130+692+544; z=?1:2+3\n",
	"if a<b then c>d; List<String> x; vector<int> v;\n",
};

Test(filters_decode, honest_text_with_the_same_signs_passes)
{
	struct filter_set *set = build(0);
	for (size_t i = 0; i < sizeof honest / sizeof *honest; i++) {
		struct scan s = scan_whole(set, honest[i], strlen(honest[i]));
		cr_expect(s.findings == 0 && s.output.len == strlen(honest[i]), "%s: %s", honest[i],
			  s.trace.bytes);
		scan_free(&s);
	}
	filter_set_free(set);
}

/* ---- cuts */

static const char *const pieces[] = {
	"4111 1111 1111 1111",
	"4111",
	"1111",
	" ",
	"1",
	"%34",
	"%31",
	"%2",
	"%C3",
	"%2534",
	"&#52;",
	"&#5",
	"&nbsp;",
	"&amp;#49;",
	"&",
	"\\",
	"\\\\",
	"\\n",
	"\\u0034",
	"\\u00",
	"\\ud835\\udfd2",
	"\\x31",
	"\\064",
	"**",
	"*",
	"_",
	"`",
	"~~",
	"<b>",
	"</b>",
	"<br>",
	"<span class=\"x\">",
	"<!-- ",
	" -->",
	"<",
	"=",
	"=34",
	"=C2=A0",
	"=\r\n",
	"=\n",
	"=3",
	"henryb@example.com",
	"henryb",
	"%40",
	"@",
	"example",
	".",
	"\\.",
	"com",
	"198.35.26.96",
	"DE89 3704 0044 0532 0130 00",
	"DE89&#32;3704",
	"\n",
	", ",
	"a",
	"IBAN ",
	"Project",
	"Larkspur",
	"\xC3\xA9",
	"\xE2\x80\x8B",
	"&#8203;",
	"\xFF",
	"ghp_0otc4",
	"8uULMbghQeTB5FlcjAOYVa1KN277T8x",
	"ghp%5f",
	"AKIA",
	"IOSFODNN7ABCDEFG",
	"\xE2\x80\x93",
	"\xD9\xA1",
};

static size_t text_of(char *text, size_t room, uint32_t *seed)
{
	size_t len = 0;
	for (;;) {
		const char *p = pieces[scan_random(seed) % (sizeof pieces / sizeof *pieces)];
		size_t n = strlen(p);
		if (len + n >= room)
			return len;
		memcpy(text + len, p, n);
		len += n;
	}
}

Test(filters_decode, random_cuts_change_nothing)
{
	struct filter_set *set = build(0);
	uint32_t seed = 20261130;
	static char text[600];
	for (int round = 0; round < 400; round++) {
		size_t len = text_of(text, 20 + scan_random(&seed) % (sizeof text - 20), &seed);
		size_t one = 1;
		struct scan whole = scan_whole(set, text, len);
		struct scan cut[] = {
			scan_text(set, false, text, len, scan_bytes, &one),
			scan_text(set, false, text, len, scan_random_size, &seed),
			scan_text(set, false, text, len, scan_random_size, &seed),
		};
		for (int i = 0; i < 3; i++) {
			cr_expect(scan_equal(&whole, &cut[i]), "round %d, way %d:\n%.*s\n%s\n%s",
				  round, i, (int)len, text, whole.trace.bytes, cut[i].trace.bytes);
			scan_free(&cut[i]);
		}
		scan_free(&whole);
	}
	filter_set_free(set);
}

/* Every way of cutting: bit i cuts behind byte i. */
static size_t cut_size(size_t i, void *ctx)
{
	uint32_t *mask = ctx;
	size_t n = 1;
	(void)i;
	for (; !(*mask & 1); n++)
		*mask >>= 1;
	*mask >>= 1;
	return n;
}

Test(filters_decode, every_cut_of_a_short_text_gives_the_same)
{
	struct filter_rule rule[] = {
		{ .id = "n",
		  .action = FILTER_REDACT,
		  .regex = "(?<!x)[0-9]{3,4}(?![0-9])",
		  .decode = FILTER_DECODE_ALL },
		{ .id = "w",
		  .action = FILTER_MASK,
		  .regex = "\\bab+c?\\b",
		  .repeat_max = 3,
		  .decode = FILTER_DECODE_ALL },
		{ .id = "l",
		  .action = FILTER_REPLACE,
		  .replacement = "-",
		  .literal = phrase,
		  .literal_count = 1,
		  .fold = FILTER_FOLD_CASE,
		  .decode = FILTER_DECODE_ALL },
	};
	static const char *const texts[] = { "1%32&#51;4 x", "ab\\n12**3**", "a<b>b</b>b %3",
					     "=31=\n23 =4", "\\\\u003123&" };
	struct filter_set *set;
	struct err e = { 0 };
	cr_assert(filter_set_build(&set, rule, 3, &e) == 0, "%s", e.text);
	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
		size_t len = strlen(texts[t]);
		struct scan whole = scan_whole(set, texts[t], len);
		cr_expect(whole.findings > 0, "%s", texts[t]);
		for (uint32_t cuts = 0; cuts < 1u << (len - 1); cuts++) {
			uint32_t mask = cuts | 1u << (len - 1);
			struct scan s = scan_text(set, false, texts[t], len, cut_size, &mask);
			cr_expect(scan_equal(&whole, &s), "\"%s\" cut by %x:\n%s\n%s", texts[t],
				  cuts, whole.trace.bytes, s.trace.bytes);
			scan_free(&s);
		}
		scan_free(&whole);
	}
	filter_set_free(set);
}

/* A run without borders is cut into matches from where the first one began. The readings begin
 * at different digits, and each goes on its own way as long as it is awake: where it falls asleep
 * must not depend on when it was scanned. */
Test(filters_decode, readings_that_fall_out_of_step_do_so_in_every_cut)
{
	struct filter_rule rule[] = {
		{ .id = "five",
		  .action = FILTER_REDACT,
		  .regex = "[0-9]{5}",
		  .decode = FILTER_DECODE_ALL },
		{ .id = "seven",
		  .action = FILTER_MASK,
		  .regex = "(?<=[1-8].{3})[0-9]{7}",
		  .decode = FILTER_DECODE_ALL },
	};
	static const char *const escapes[] = { "%31", "&#50;", "\\u0033", "**",
					       "=34", "<b>",   "x",       "%2534" };
	struct filter_set *set;
	cr_assert(filter_set_build(&set, rule, 2, NULL) == 0);
	uint32_t seed = 3;
	for (int round = 0; round < 300; round++) {
		char text[500];
		size_t len = 0;
		while (len < 450) {
			size_t run = scan_random(&seed) % 24;
			while (run-- && len < 450)
				text[len++] = (char)('0' + scan_random(&seed) % 10);
			const char *x = escapes[scan_random(&seed) % 8];
			memcpy(text + len, x, strlen(x));
			len += strlen(x);
		}
		size_t one = 1;
		struct scan whole = scan_whole(set, text, len);
		struct scan bytes = scan_text(set, false, text, len, scan_bytes, &one);
		struct scan cut = scan_text(set, false, text, len, scan_random_size, &seed);
		cr_expect(scan_equal(&whole, &bytes) && scan_equal(&whole, &cut), "%.*s\n%s\n%s",
			  (int)len, text, whole.trace.bytes, bytes.trace.bytes);
		scan_free(&whole);
		scan_free(&bytes);
		scan_free(&cut);
	}
	filter_set_free(set);
}

/* A match counts by what made the character behind it, which may come later; and a view has no
 * reading of what only rules of another view decode. */
Test(filters_decode, matches_beside_what_other_rules_decode_are_the_same_in_every_cut)
{
	static const struct {
		uint32_t expression, detector;
		const char *text;
	} rows[] = {
		{ FILTER_DECODE_PERCENT, FILTER_DECODE_BACKSLASH, "%61bc1\\x41 abc" },
		{ FILTER_DECODE_PERCENT, FILTER_DECODE_ENTITY, "ab%631&#65;" },
		{ FILTER_DECODE_PERCENT, FILTER_DECODE_BACKSLASH, "\\x41%61bc1 abc2\\x41 a%62c3" },
		{ FILTER_DECODE_MARKUP, FILTER_DECODE_PERCENT, "a*bc*1%41 abc2" },
		{ FILTER_DECODE_QUOTED_PRINTABLE, FILTER_DECODE_ENTITY, "a=62c1&#x41; abc2" },
		{ FILTER_DECODE_BACKSLASH, FILTER_DECODE_PERCENT, "\\x61bc1%41 abc2" },
		/* base64 of "xxxxxxxxxxxabc1Zzz", a digit of its Z behind a percent sign */
		{ FILTER_DECODE_BASE64, FILTER_DECODE_PERCENT, "eHh4eHh4eHh4eHhhYmMx%57np6 abc2" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct filter_rule two[] = { { .id = "expression",
					       .action = FILTER_REDACT,
					       .regex = "[a-z]{3}[0-9]",
					       .decode = rows[i].expression },
					     { .id = "card",
					       .action = FILTER_REDACT,
					       .detector = "pan",
					       .decode = rows[i].detector } };
		struct filter_set *set;
		cr_assert_eq(filter_set_build(&set, two, 2, NULL), 0);
		struct scan whole = scan_whole(set, rows[i].text, strlen(rows[i].text));
		for (size_t piece = 1; piece < strlen(rows[i].text); piece++) {
			struct scan s = scan_text(set, 0, rows[i].text, strlen(rows[i].text),
						  scan_bytes, &piece);
			cr_expect(scan_equal(&whole, &s), "row %zu, pieces of %zu:\n%s\nwhole:\n%s", i,
				  piece, s.trace.bytes, whole.trace.bytes);
			scan_free(&s);
		}
		scan_free(&whole);
		filter_set_free(set);
	}
}

/* A cell of CSV doubles its quotes; a name in quotes is read through them. */
Test(filters_decode, quotes_that_a_cell_doubled_are_read_as_one)
{
	static const struct filter_rule rule = { .id = "r",
						 .action = FILTER_REDACT,
						 .detector = "secret.password" };
	struct filter_set *set;
	cr_assert_eq(filter_set_build(&set, &rule, 1, NULL), 0);
	static const char *const rows[][2] = {
		{ "1,\"password = \"\"EsavIsig73*X\"\"\",2",
		  "1,\"password = \"\"[redacted]\"\"\",2" },
		{ "1,\"\"\"password\"\": \"\"EsavIsig73*X\"\"\",2",
		  "1,\"\"\"password\"\": \"\"[redacted]\"\"\",2" },
		{ "\"\",\"\",\"EsavIsig73*X\"\"", "\"\",\"\",\"EsavIsig73*X\"\"" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t piece = 1; piece < 40; piece++) {
			struct scan s = scan_text(set, 0, rows[i][0], strlen(rows[i][0]),
						  scan_bytes, &piece);
			buf_add_byte(&s.output, 0);
			cr_expect_str_eq(s.output.bytes, rows[i][1], "row %zu, pieces of %zu", i,
					 piece);
			scan_free(&s);
		}
	filter_set_free(set);
}

/* What stands between two signs of a value and is dropped counts by its length: a flood of it ends
 * the value, and what was held goes out. */
Test(filters_decode, no_stuffing_grows_the_hold)
{
	static const char *const stuffing[] = {
		"<span class=\"a-rather-long-name-of-a-class-of-spans\">",
		"<b></b>",
		"<!-- a comment -->",
		"&#0008203;",
		"\\\\\\\\\\\\\\\\u200b",
		"%E2%80%8B",
		"=\r\n",
		"**",
		"=E2=80=8B",
		"=  \r\n",
	};
	struct filter_set *set = build(0);
	for (size_t i = 0; i < sizeof stuffing / sizeof *stuffing; i++) {
		struct filter_stream *f;
		struct cleared out;
		size_t n = strlen(stuffing[i]);
		cr_assert(filter_stream_open(&f, set, 0, NULL) == 0);
		cr_assert_eq(filter_stream_push(f, "card 4111 11", 12, &out, NULL), FILTER_OPEN);
		for (int k = 0; k < 1000; k++) {
			cr_assert_eq(filter_stream_push(f, stuffing[i], n, &out, NULL),
				     FILTER_OPEN);
			cr_assert_leq(filter_stream_held(f), 12 + 16 * 16 + 2 * DECODE_BATCH, "%s",
				      stuffing[i]);
		}
		cr_assert_eq(filter_stream_push(f, "11 1111 1111", 12, &out, NULL), FILTER_OPEN);
		cr_assert_eq(filter_stream_end(f, &out, NULL), FILTER_COMPLETE);
		cr_expect_eq(filter_stream_record(f)->findings, 0, "%s", stuffing[i]);
		filter_stream_close(f);
	}
	filter_set_free(set);
}
