/* Values in base64 and hexadecimal digits: found with all the digits that encode them, each encoding
 * with its switch; pictures, digests and words pass at once; cuts change nothing. */
#include "tests/filters/scan.h"

#include <criterion/criterion.h>

static const char phrase_text[] = "Project Larkspur";
static const char *const phrase[] = { phrase_text };

static const struct filter_rule rules[] = {
	{ .id = "card", .action = FILTER_REDACT, .detector = "pan" },
	{ .id = "iban", .action = FILTER_REDACT, .detector = "iban" },
	{ .id = "mail", .action = FILTER_REDACT, .detector = "email" },
	{ .id = "key", .action = FILTER_REDACT, .detector = "secret.aws_access_key" },
	{ .id = "code",
	  .action = FILTER_REDACT,
	  .literal = phrase,
	  .literal_count = 1,
	  .fold = FILTER_FOLD_STRICT,
	  .gap_max = 4 },
};
#define RULES (sizeof rules / sizeof *rules)

static const char *const values[] = { "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00",
				      "henryb@example.com",
				      ("AKIA"
				       "Z7VXQ2PNM4RT6WKD"),
				      phrase_text };
#define VALUES (sizeof values / sizeof *values)

/* Texts that hold a value at %s. */
static const char *const texts[] = {
	"%s",
	"%s\n",
	"The account of Jo is %s, and so on.",
	"{\"card\": \"%s\", \"x\": [1, 2]}",
	"\xC3\x84pfel \xE2\x82\xAC 12: %s \xE4\xBD\xA0\xE5\xA5\xBD",
	"a long text about nothing at all in so many words that it has several lines, and then %s "
	"and a long text about nothing at all in so many words that it has several lines again",
};
#define TEXTS (sizeof texts / sizeof *texts)

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

/* ---- writers */

static void base64(struct buf *b, const char *s, size_t n, const char *last_two, bool padded,
		   size_t wrap, const char *line_break)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t line = 0;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < n ? (uint8_t)s[i + k] : 0);
		for (size_t k = 0; k < 4; k++) {
			uint32_t d = v >> (18 - 6 * k) & 63;
			if (wrap && line == wrap) {
				buf_add_text(b, line_break);
				line = 0;
			}
			line++;
			if (i + k <= n)
				buf_add_byte(b,
					     (unsigned char)(d < 62 ? digit[d] : last_two[d - 62]));
			else if (padded)
				buf_add_byte(b, '=');
		}
	}
}

static void hex(struct buf *b, const char *s, size_t n, const char *form, size_t wrap,
		const char *between)
{
	for (size_t i = 0; i < n; i++) {
		if (wrap && i && i % wrap == 0)
			buf_add_text(b, between);
		buf_printf(b, form, (uint8_t)s[i]);
	}
}

enum writer {
	STANDARD,
	URL,
	BARE,
	MIME,
	LINES,
	SHORT,
	INDENTED,
	WIDE,
	HEX,
	CAPITALS,
	HEX_LINES,
	PAIRS,
	COLONS,
	WRITERS
};
static const char *const writer_name[] = { "base64",          "base64url",    "without padding",
					   "lines of 76",     "lines of 20",  "lines of 8",
					   "indented lines",  "UTF-16",       "hex",
					   "hex in capitals", "hex in lines", "hex in pairs",
					   "hex with colons" };

static void write_text(struct buf *b, enum writer w, const char *s)
{
	size_t n = strlen(s);
	switch (w) {
	case STANDARD:
		base64(b, s, n, "+/", true, 0, "");
		return;
	case URL:
		base64(b, s, n, "-_", false, 0, "");
		return;
	case BARE:
		base64(b, s, n, "+/", false, 0, "");
		return;
	case MIME:
		base64(b, s, n, "+/", true, 76, "\r\n");
		return;
	case LINES:
		base64(b, s, n, "+/", true, 20, "\n");
		return;
	case SHORT:
		base64(b, s, n, "+/", true, 8, "\n");
		return;
	case INDENTED:
		base64(b, s, n, "+/", true, 40, "\n      ");
		return;
	case WIDE: {
		struct buf wide = { 0 };
		for (size_t i = 0; i < n; i++) {
			buf_add_byte(&wide, (unsigned char)s[i]);
			buf_add_byte(&wide, 0);
		}
		base64(b, wide.bytes, wide.len, "+/", true, 0, "");
		buf_free(&wide);
		return;
	}
	case HEX:
		hex(b, s, n, "%02x", 0, "");
		return;
	case CAPITALS:
		hex(b, s, n, "%02X", 0, "");
		return;
	case HEX_LINES:
		hex(b, s, n, "%02x", 30, "\n");
		return;
	case PAIRS:
		hex(b, s, n, "%02x", 1, " ");
		return;
	case COLONS:
		hex(b, s, n, "%02X", 1, ":");
		return;
	case WRITERS:
		break;
	}
}

static bool is_ascii(const char *s)
{
	while (*s && !(*s & 0x80))
		s++;
	return !*s;
}

/* What stands around the digits. */
static const char *const around[][2] = {
	{ "", "" },
	{ "see ", " there" },
	{ "{\"data\": \"", "\"}" },
	{ "data:text/plain;base64,", ")" },
	{ "https://example.org/x/", "?a" },
	{ "key-", ".sig" },
	{ "a_", "\nThe next line" },
	{ "0x", ";" },
};
#define AROUND (sizeof around / sizeof *around)

static void check_one(struct filter_set *const set[3], enum writer w, const char *value,
		      const char *form, const char *const frame[2])
{
	char text[400];
	struct buf b = { 0 };
	snprintf(text, sizeof text, form, value);
	buf_add_text(&b, frame[0]);
	size_t from = b.len;
	write_text(&b, w, text);
	size_t to = b.len;
	buf_add_text(&b, frame[1]);
	struct scan s[3];
	for (int i = 0; i < 3; i++)
		s[i] = scan_whole(set[i], b.bytes, b.len);
	/* Where the value begins and ends, and its neighbours' share of its first and last digit. */
	size_t per = w == WIDE ? 2 : 1,
	       head = strlen(text) ? (size_t)(strstr(text, value) - text) : 0;
	size_t bits = w >= HEX ? 4 : 6, first = head * per * 8 / bits;
	size_t last = ((head + strlen(value)) * per * 8 - (w == WIDE ? 8 : 0) + bits - 1) / bits;
	/* A run without padding may go on in the next line: so it may take a word with it. */
	size_t next = strchr(frame[1], '\n') ? 4 : 0;
	bool wrapped = w == MIME || w == LINES || w == SHORT || w == INDENTED || w >= HEX_LINES;
	bool ok = s[0].findings == 1 && s[0].first_start <= from + first + (wrapped ? first : 0) &&
		  s[0].first_start >= from && s[0].first_end <= to + next &&
		  s[0].first_end >= from + last;
	cr_expect(ok, "%s of \"%s\": %s\n%s", writer_name[w], text, b.bytes, s[0].trace.bytes);
	cr_expect(scan_same_output(&s[0], &s[1]), "only %s: %s\n%s", writer_name[w], b.bytes,
		  s[1].trace.bytes);
	/* A long run of digits may hold a card by itself. */
	bool chance = w >= HEX && s[2].findings && !scan_same_output(&s[0], &s[2]);
	cr_expect(s[2].findings == 0 || chance, "without %s: %s\n%s", writer_name[w], b.bytes,
		  s[2].trace.bytes);
	for (int i = 0; i < 3; i++)
		scan_free(&s[i]);
	buf_free(&b);
}

Test(filters_runs, every_value_in_every_run_is_found_unless_switched_off)
{
	struct filter_set *set[2][3] = {
		{ build(0), build(FILTER_DECODE_BASE64),
		  build(FILTER_DECODE_ALL & ~FILTER_DECODE_BASE64) },
		{ build(0), build(FILTER_DECODE_HEX),
		  build(FILTER_DECODE_ALL & ~FILTER_DECODE_HEX) },
	};
	for (int w = 0; w < WRITERS; w++)
		for (size_t v = 0; v < VALUES; v++)
			for (size_t t = 0; t < TEXTS; t++)
				for (size_t a = 0; a < AROUND; a++) {
					bool wide_text = w == WIDE && !is_ascii(texts[t]);
					bool hexes = w >= HEX;
					/* Digits of a long run may be cards themselves. */
					if (hexes && t == TEXTS - 1)
						continue;
					if (wide_text || (!hexes && a == 7) || (hexes && a == 6))
						continue;
					check_one(set[hexes], (enum writer)w, values[v], texts[t],
						  around[a]);
				}
	for (int i = 0; i < 6; i++)
		filter_set_free(set[i / 3][i % 3]);
}

/* ---- digits that are written in an encoding themselves */

Test(filters_runs, escaped_digits_are_digits)
{
	/* "x 4111 1111 1111 1111 ~~~???" has + and / in base64. */
	static const char *const rows[] = {
		"%65CA0MTExIDExMTEgMTExMSAxMTExIH5%2Bfj8%2FPw%3D%3D",
		"{\"a\":\"eCA0MTExIDExMTEgMTExMSAxMTExIH5+fj8\\/Pw==\"}",
		"eCA0MTExIDExMTEg\\nMTExMSAxMTExIH5+fj8/Pw==",
	};
	struct filter_set *set = build(0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct scan s = scan_whole(set, rows[i], strlen(rows[i]));
		cr_expect_eq(s.findings, 1, "%s: %s", rows[i], s.trace.bytes);
		scan_free(&s);
	}
	filter_set_free(set);
}

Test(filters_runs, words_in_front_of_a_run_are_context_of_what_it_encodes)
{
	struct filter_rule rule = { .id = "r", .action = FILTER_REDACT, .detector = "us.ssn" };
	struct filter_set *set;
	cr_assert(filter_set_build(&set, &rule, 1, NULL) == 0);
	const char *with = "Her SSN is MjE5MDk5OTk4IGluIHNob3J0 here.",
		   *without = "It is "
			      "MjE5MDk5OTk4IGluIHNob3J0.";
	struct scan a = scan_whole(set, with, strlen(with)),
		    b = scan_whole(set, without, strlen(without));
	cr_expect_eq(a.findings, 1, "%s", a.trace.bytes);
	cr_expect_eq(b.findings, 0, "%s", b.trace.bytes);
	/* "219-09-9998" has 15 digits, and padding is one; a number in groups wants no word. */
	const char *padded = "It is MjE5LTA5LTk5OTg= or MjE5LTA5LTk5OTg.";
	struct scan c = scan_whole(set, padded, strlen(padded));
	cr_expect(c.findings == 1 && c.first_start == 6 && c.first_end == 21, "%s", c.trace.bytes);
	scan_free(&c);
	scan_free(&a);
	scan_free(&b);
	filter_set_free(set);
}

/* ---- what is no text passes, and at once */

static const char *const honest[] = {
	"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ",
	"commit 9fceb02d0ae598e95dc970b74767f19372d61af8\n",
	"id 550e8400-e29b-41d4-a716-446655440000, ETag \"33a64df551425fcc55e4d42a148795d9f25f89d4\" ",
	"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
	"hgGAWjR9awAAAABJRU5ErkJggg== ",
	"/usr/share/doc/libcriterion-dev/examples/parameterized-tests internationalization ",
	"AbstractSingletonProxyFactoryBean snake_case_identifier_of_some_length well-known-url-part ",
	"5555555555554445 12345678901234567890 ",
};

Test(filters_runs, pictures_digests_and_words_pass_at_once)
{
	struct filter_set *set; /* without addresses: a digest may be the name in one */
	struct filter_rule some[] = { rules[0], rules[1], rules[3], rules[4] };
	cr_assert(filter_set_build(&set, some, 4, NULL) == 0);
	for (size_t i = 0; i < sizeof honest / sizeof *honest; i++) {
		size_t one = 1;
		struct scan s =
			scan_text(set, false, honest[i], strlen(honest[i]), scan_bytes, &one);
		cr_expect(s.findings == 0 && s.output.len == strlen(honest[i]), "%s: %s", honest[i],
			  s.trace.bytes);
		/* A digest that begins as text does is held while it may be; digits are a card's. */
		cr_expect_leq(s.held_max, 40, "%zu bytes of %s", s.held_max, honest[i]);
		scan_free(&s);
	}
	filter_set_free(set);
}

/* ---- cuts */

static const char *const pieces[] = {
	"NDExMSAxMTExIDExMTEgMTExMQ==",
	"NDExMTExMTExMTExMTExMQ",
	"eCA0MTExIDExMTEg",
	"MTExMSAxMTExIA",
	"34313131203131313120313131312031313131",
	"3431313131313131",
	"313131",
	"aGVucnliQGV4YW1wbGUuY29t",
	"UHJvamVjdCBMYXJrc3B1cg",
	"NAAxADEAMQAxADEAMQAxADEAMQAxADEAMQAxADEAMQA",
	"=",
	"\n",
	"\r\n",
	" ",
	"/",
	"-",
	"+",
	"a",
	"The ",
	"4111 1111 1111 1111",
	"%2B",
	"\\/",
	"\\n",
	"QUtJQVo3VlhRMlBOTTRSVDZXS0Q",
	"iVBORw0KGgo",
	"\xC3\xA9",
	"w6TDtsO8w6TDtsO8w6TDtg",
	"4oCLNDExMTExMTExMTExMTExMQ",
	"card ",
	"ff",
	"0x",
	"\"",
	"R2VyZSBpcyBhIGxvbmcgdGV4dCB0aGF0IG9wZW5z",
	"IDQxMTE",
	"34 31 31 31 31 31 31 31 31",
	"34:",
	"31",
	"YWJj",
};

Test(filters_runs, random_cuts_change_nothing)
{
	struct filter_set *set = build(0);
	uint32_t seed = 64;
	for (int round = 0; round < 600; round++) {
		char text[500];
		size_t len = 0, most = 20 + scan_random(&seed) % 400, one = 1;
		while (len < most) {
			const char *p =
				pieces[scan_random(&seed) % (sizeof pieces / sizeof *pieces)];
			memcpy(text + len, p, strlen(p));
			len += strlen(p);
		}
		struct scan whole = scan_whole(set, text, len);
		struct scan cut[] = { scan_text(set, false, text, len, scan_bytes, &one),
				      scan_text(set, false, text, len, scan_random_size, &seed),
				      scan_text(set, false, text, len, scan_random_size, &seed) };
		for (int i = 0; i < 3; i++) {
			cr_expect(scan_equal(&whole, &cut[i]), "round %d, way %d:\n%.*s\n%s\n%s",
				  round, i, (int)len, text, whole.trace.bytes, cut[i].trace.bytes);
			scan_free(&cut[i]);
		}
		scan_free(&whole);
	}
	filter_set_free(set);
}
