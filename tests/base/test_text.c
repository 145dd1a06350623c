#include "base/text.h"

#include <criterion/criterion.h>
#include <string.h>

/* Decode all of s with one U+FFFD for each maximal ill-formed subpart; an unfinished end counts as
 * one. */
static void decode_all(const char *s, size_t len, uint32_t *cps, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < len;) {
		uint32_t cp = 0;
		int n = text_utf8_decode(s + i, len - i, &cp);
		cps[(*count)++] = n > 0 ? cp : 0xfffd;
		i += n > 0 ? (size_t)n : n < 0 ? (size_t)-n : len - i;
	}
}

Test(base_text, utf8_decodes_by_maximal_subparts)
{
	/* Unicode 15, tables 3-8 to 3-11, and the first and last of each length. */
	static const struct {
		const char *name, *bytes;
		size_t count;
		uint32_t cps[12];
	} rows[] = {
		{ "ascii", "Az", 2, { 'A', 'z' } },
		{ "first of two", "\xc2\x80", 1, { 0x80 } },
		{ "last of two", "\xdf\xbf", 1, { 0x7ff } },
		{ "first of three", "\xe0\xa0\x80", 1, { 0x800 } },
		{ "before surrogates", "\xed\x9f\xbf", 1, { 0xd7ff } },
		{ "after surrogates", "\xee\x80\x80", 1, { 0xe000 } },
		{ "last of three", "\xef\xbf\xbf", 1, { 0xffff } },
		{ "first of four", "\xf0\x90\x80\x80", 1, { 0x10000 } },
		{ "last of four", "\xf4\x8f\xbf\xbf", 1, { 0x10ffff } },
		{ "table 3-8",
		  "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41",
		  9,
		  { 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0x41 } },
		{ "table 3-9",
		  "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41",
		  9,
		  { 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0x41 } },
		{ "table 3-10",
		  "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42",
		  9,
		  { 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0x41, 0xfffd, 0xfffd, 0x42 } },
		{ "table 3-11",
		  "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41",
		  5,
		  { 0xfffd, 0xfffd, 0xfffd, 0xfffd, 0x41 } },
		{ "unfinished end", "A\xf0\x9f\x98", 2, { 'A', 0xfffd } },
		{ "over the last", "\xf4\x90\x80\x80", 4, { 0xfffd, 0xfffd, 0xfffd, 0xfffd } },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		uint32_t cps[32];
		size_t count;
		decode_all(rows[r].bytes, strlen(rows[r].bytes), cps, &count);
		cr_expect_eq(count, rows[r].count, "%s: %zu code points", rows[r].name, count);
		for (size_t i = 0; i < count && i < rows[r].count; i++)
			cr_expect_eq(cps[i], rows[r].cps[i], "%s: code point %zu is U+%X",
				     rows[r].name, i, cps[i]);
	}
}

Test(base_text, utf8_round_trips_every_scalar_value)
{
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		char bytes[4];
		uint32_t back = 0;
		if (cp >= 0xd800 && cp < 0xe000)
			continue;
		int n = text_utf8_encode(cp, bytes);
		cr_assert(text_utf8_decode(bytes, (size_t)n, &back) == n && back == cp, "U+%X", cp);
		for (int cut = 1; cut < n; cut++) {
			cr_assert_eq(text_utf8_decode(bytes, (size_t)cut, &back), 0,
				     "U+%X cut at %d", cp, cut);
			cr_assert_eq(text_utf8_unfinished(bytes, (size_t)cut), (size_t)cut,
				     "U+%X cut at %d", cp, cut);
		}
		cr_assert_eq(text_utf8_unfinished(bytes, (size_t)n), 0);
	}
}

Test(base_text, utf8_unfinished_ignores_ill_formed_ends)
{
	cr_expect_eq(text_utf8_unfinished("a\xc0", 2), 0);
	cr_expect_eq(text_utf8_unfinished("\x80\x80\x80", 3), 0);
	cr_expect_eq(text_utf8_unfinished("\xed\xa0", 2), 0);
	cr_expect_eq(text_utf8_unfinished("x\xe2\x82", 3), 2);
	cr_expect_eq(text_utf8_unfinished("", 0), 0);
	cr_expect_not(text_utf8_valid("\xe2\x82", 2));
	cr_expect(text_utf8_valid("\xe2\x82\xac", 3));
}

Test(base_text, what_commands_a_terminal_is_escaped)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "plain \xc3\xa4 \xf0\x9f\x98\x80", "plain \xc3\xa4 \xf0\x9f\x98\x80" },
		{ "\x1b[31mred\a\n\t\x7f", "\\x1b[31mred\\x07\\x0a\\x09\\x7f" },
		{ "\xc2\x9b" "31m \xc2\xa0", "\\xc2\\x9b31m \xc2\xa0" },
		{ "fdp.\xe2\x80\xae" "exe", "fdp.\\xe2\\x80\\xaeexe" }, /* would read as exe.pdf */
		{ "a\xe2\x80\x8b", "a\\xe2\\x80\\x8b" },
		{ "not \xff UTF-8 \xe2\x82", "not \\xff UTF-8 \\xe2\\x82" },
		{ "\\x0a", "\\x0a" },
	};
	char out[100];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = text_escape(out, sizeof out, rows[i].text, strlen(rows[i].text), false);
		cr_expect_str_eq(out, rows[i].want);
		cr_expect_eq(len, strlen(rows[i].want));
	}
	cr_expect_eq(text_escape(out, sizeof out, "a\xe2\x82", 3, true), 1u, "cut within a character");
	for (size_t room = 1; room < 12; room++) {
		size_t len = text_escape(out, room, "ab\n\xc3\xa4z", 6, false);
		static const size_t fits[] = { 0, 0, 1, 2, 2, 2, 2, 6, 6, 8, 9, 9 };
		cr_expect_eq(len, fits[room], "room %zu: %zu", room, len);
	}
}

Test(base_text, hex_round_trips_and_refuses_other_spellings)
{
	unsigned char bytes[4];
	char hex[9];
	text_hex("\x00\x9f\xa0\xff", 4, hex);
	cr_expect_str_eq(hex, "009fa0ff");
	cr_expect_eq(text_unhex(hex, 8, bytes, 4), 0);
	cr_expect_arr_eq(bytes, "\x00\x9f\xa0\xff", 4);
	static const char *const bad[] = { "",         "009fa0f",  "009fa0fff", "009FA0FF",
					   "009fa0fg", "009fa0f ", "0x9fa0ff" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(text_unhex(bad[i], strlen(bad[i]), bytes, 4), ERR_INPUT, "%s", bad[i]);
}

Test(base_text, base64_gives_the_vectors_of_rfc_4648)
{
	static const char *const rows[][3] = {
		{ "", "", "" },
		{ "f", "Zg==", "Zg" },
		{ "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg==", "Zm9vYg" },
		{ "fooba", "Zm9vYmE=", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
		{ "\xfb\xff\xfe", "+//+", "-__-" },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		struct buf out = { 0 }, back = { 0 };
		buf_add_text(&out, "");
		text_base64(&out, rows[r][0], strlen(rows[r][0]));
		cr_expect_str_eq(out.bytes, rows[r][1]);
		cr_expect_eq(text_unbase64(&back, out.bytes, out.len), 0, "%s", rows[r][1]);
		buf_clear(&out);
		text_base64_url(&out, rows[r][0], strlen(rows[r][0]));
		cr_expect_str_eq(out.bytes, rows[r][2]);
		cr_expect_eq(text_unbase64_url(&back, out.bytes, out.len), 0, "%s", rows[r][2]);
		size_t n = strlen(rows[r][0]);
		cr_expect_eq(back.len, 2 * n);
		cr_expect(n == 0 || (!memcmp(back.bytes, rows[r][0], n) &&
				     !memcmp(back.bytes + n, rows[r][0], n)));
		buf_free(&out);
		buf_free(&back);
	}
}

Test(base_text, base64_of_any_length_reads_back)
{
	unsigned char bytes[700];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof bytes; len++) {
		struct buf out = { 0 }, url = { 0 }, back = { 0 }, again = { 0 };
		text_base64(&out, bytes, len);
		text_base64_url(&url, bytes, len);
		cr_assert_eq(out.len, (len + 2) / 3 * 4);
		cr_assert_eq(url.len, (len * 4 + 2) / 3);
		cr_assert_eq(text_unbase64(&back, out.bytes, out.len), 0, "%zu", len);
		cr_assert_eq(text_unbase64_url(&again, url.bytes, url.len), 0, "%zu", len);
		cr_assert(back.len == len && (!len || memcmp(back.bytes, bytes, len) == 0));
		cr_assert(again.len == len && (!len || memcmp(again.bytes, bytes, len) == 0));
		buf_free(&out);
		buf_free(&url);
		buf_free(&back);
		buf_free(&again);
	}
}

Test(base_text, base64_refuses_second_spellings)
{
	static const char *const bad[] = { "Z",        "Zg",   "Zg=",  "Zg===",  "====",
					   "=",        "Zh==", "Zm9=", "Zm8=\n", " Zg==",
					   "Zg==Zg==", "Z===", "-__-", "Zm 9",   "Zg=a" };
	static const char *const bad_url[] = { "Z", "Zg==", "Zh", "Zm9", "+//+", "Zm9v ", "Zm9vY" };
	struct buf out = { 0 };
	buf_add_text(&out, "kept");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(text_unbase64(&out, bad[i], strlen(bad[i])), ERR_INPUT, "%s", bad[i]);
	for (size_t i = 0; i < sizeof bad_url / sizeof *bad_url; i++)
		cr_expect_eq(text_unbase64_url(&out, bad_url[i], strlen(bad_url[i])), ERR_INPUT,
			     "%s", bad_url[i]);
	cr_expect_eq(text_unbase64(&out, "Zg\0=", 4), ERR_INPUT);
	cr_expect_str_eq(out.bytes, "kept");
	buf_free(&out);
}

Test(base_text, numbers_have_one_spelling)
{
	uint64_t v = 0;
	double d = 0;
	cr_expect(text_parse_u64("18446744073709551615", 20, &v) == 0 && v == UINT64_MAX);
	cr_expect(text_parse_u64("0", 1, &v) == 0 && v == 0);
	static const char *const bad[] = { "",
					   "00",
					   "01",
					   "+1",
					   "-1",
					   " 1",
					   "1 ",
					   "1a",
					   "18446744073709551616",
					   "99999999999999999999" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(text_parse_u64(bad[i], strlen(bad[i]), &v), ERR_INPUT, "%s", bad[i]);
	cr_expect(text_parse_double("-1.5e3", &d) == 0 && d == -1500.0);
	static const char *const bad_double[] = { "",     " 1",    "1 ",    "inf", "nan",
						  "0x10", "1e999", "1.2.3", "e5",  "--1" };
	for (size_t i = 0; i < sizeof bad_double / sizeof *bad_double; i++)
		cr_expect_eq(text_parse_double(bad_double[i], &d), ERR_INPUT, "%s", bad_double[i]);
}

Test(base_text, signed_integers_are_read_whole)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = { { "0", 0 },
		     { "-1", -1 },
		     { "42", 42 },
		     { "9223372036854775807", INT64_MAX },
		     { "-9223372036854775808", INT64_MIN },
		     { "-9223372036854775807", -INT64_MAX } };
	static const char *const bad[] = { "",	  "-",	 "-0",	"--1", "+1", "01", "-01", " 1",
					   "1 ",  "1.0", "0x1", "9223372036854775808",
					   "-9223372036854775809", "-18446744073709551616" };
	int64_t v = 7;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		cr_expect_eq(text_parse_i64(good[i].text, strlen(good[i].text), &v), 0);
		cr_expect_eq(v, good[i].value, "%s", good[i].text);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(text_parse_i64(bad[i], strlen(bad[i]), &v), ERR_INPUT, "%s", bad[i]);
}

Test(base_text, json_string_finds_what_is_not_plain_wherever_it_stands)
{
	static const struct {
		const char *in, *out;
	} rows[] = { { "\"", "\\\"" },          { "\\", "\\\\" },   { "\x1f", "\\u001f" },
		     { "\n", "\\n" },           { "\x7f", "\x7f" },   { " ", " " },
		     { "\xc3\xa4", "\xc3\xa4" }, { "\xff", "\xef\xbf\xbd" } };
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
		for (size_t at = 0; at < 30; at++) {
			struct buf in = { 0 }, want = { 0 }, out = { 0 };
			buf_printf(&in, "%.*s%s%.*s", (int)at, "abcdefghijklmnopqrstuvwxyz0123", rows[r].in,
				   (int)(30 - at), "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#[]~");
			buf_printf(&want, "\"%.*s%s%.*s\"", (int)at, "abcdefghijklmnopqrstuvwxyz0123",
				   rows[r].out, (int)(30 - at), "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#[]~");
			text_json_string(&out, in.bytes, in.len);
			cr_expect_str_eq(out.bytes, want.bytes);
			buf_free(&in);
			buf_free(&want);
			buf_free(&out);
		}
}

Test(base_text, json_string_escapes_and_substitutes)
{
	struct buf out = { 0 };
	text_json_string(&out, "a\"b\\c\b\f\n\r\t\x01\x1f\x7f\xe2\x82\xac\xff\xe2\x82z\0y\xf0\x9f",
			 24);
	cr_expect_str_eq(out.bytes, "\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\x7f"
				    "\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd"
				    "z\\u0000y\xef\xbf\xbd\"");
	buf_free(&out);
}

Test(base_text, times_are_utc_with_seconds)
{
	static const struct {
		int64_t time_us;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ 951782400000000, "2000-02-29T00:00:00Z" },
		{ 951868799999999, "2000-02-29T23:59:59Z" },
		{ 4107542400000000, "2100-03-01T00:00:00Z" },
		{ 1795469142000000, "2026-11-23T21:25:42Z" },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		char out[32];
		text_time_rfc3339(rows[r].time_us, out);
		cr_expect_str_eq(out, rows[r].text);
	}
}

Test(base_text, a_time_is_read_in_one_spelling_alone)
{
	static const struct {
		const char *text;
		int64_t time_us; /* -1: refused */
	} rows[] = {
		{ "2000-02-29T00:00:00Z", 951782400000000 },
		{ "2026-11-23T21:25:42Z", 1795469142000000 },
		{ "2027-01-01", 1798761600000000 },
		{ "2027-02-29", -1 },
		{ "2027-1-1", -1 },
		{ "2026-11-23T21:25:60Z", -1 },
		{ "2026-11-23T21:25:42", -1 },
		{ "2026-11-23T21:25:42z", -1 },
		{ "2026-11-23T21:25:42+01:00", -1 },
		{ "2026-11-23T24:00:00Z", -1 },
		{ " 2026-11-2", -1 },
		{ "", -1 },
		{ "tomorrow..", -1 },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		int64_t us = -1;
		int rc = text_time_parse(rows[r].text, &us);
		cr_expect_eq(rc, rows[r].time_us < 0 ? ERR_INPUT : 0, "\"%s\"", rows[r].text);
		cr_expect(rc < 0 || us == rows[r].time_us, "\"%s\": %lld", rows[r].text,
			  (long long)us);
	}
}

Test(base_text, starts_and_ends)
{
	cr_expect(text_starts("model.safetensors", "model") && !text_starts("mod", "model"));
	cr_expect(text_ends("model.safetensors", ".safetensors") && !text_ends("s", "ss"));
}

Test(base_text, a_list_has_whole_items_alone)
{
	static const struct {
		const char *list, *item;
		bool has;
	} rows[] = { { "a,bc,d", "bc", true },	{ "a,bc,d", "a", true }, { "a,bc,d", "d", true },
		     { "a,bc,d", "b", false },	{ "a,bc,d", "c", false }, { "a,bc,d", "a,bc", false },
		     { "a,bc,d", "e", false },	{ "a,bc,d", "", false },  { "", "a", false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(text_list_has(rows[i].list, rows[i].item, strlen(rows[i].item)), rows[i].has,
			     "row %zu", i);
}

Test(base_text, hex_digits_have_values_in_both_cases)
{
	static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";
	for (int c = -1; c < 256; c++) {
		const char *low = c > 0 ? strchr(digits, c) : NULL, *high = c > 0 ? strchr(capitals, c) : NULL;
		int want = low ? (int)(low - digits) : high ? (int)(high - capitals) : -1;
		cr_expect_eq(text_hex_digit(c), want, "%d", c);
	}
}

Test(base_text, names_are_letters_marks_and_few_digits)
{
	static const char *const names[] = { "a", "max_tokens", "x-k8s.io", "seed2026" };
	static const char *const others[] = { "", "John Smith", "a/b", "4111111111111111", "a\n", "\xC3\xA9" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		cr_expect(text_is_name(names[i], strlen(names[i])), "%s", names[i]);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		cr_expect(!text_is_name(others[i], strlen(others[i])), "%s", others[i]);
	cr_expect(!text_is_name("a\0b", 3));
}
