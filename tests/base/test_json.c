#include "base/env.h"
#include "base/json.h"
#include "base/json_memory.h"
#include "base/limits.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_text(json_t **out, const char *text, struct err *e)
{
	return json_read(out, text, strlen(text), LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, e);
}

/* Cases that the suite allows and this reader refuses on purpose. */
static bool set_aside(const char *name)
{
	static const char *const names[] = {
		"y_object_duplicated_key.json", /* a second key could hide the first */
		"y_object_duplicated_key_and_value.json",
		"y_object_escaped_null_in_key.json", /* NUL ends a string in C */
		"y_string_null_escape.json",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void check_case(const char *path, const char *text, size_t len)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	json_t *value = NULL, *again = NULL;
	struct err e = { 0 };
	int result = json_read(&value, text, len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, &e);
	bool accept = name[0] == 'y' && !set_aside(name);
	if (name[0] != 'i')
		cr_expect_eq(result == 0, accept, "%s: %s", name, result ? e.text : "accepted");
	cr_expect(result == 0 || result == ERR_INPUT, "%s: %d", name, result);
	cr_expect(result == 0 || strlen(e.text) > 0, "%s: no sentence", name);
	if (result < 0)
		return;
	struct buf out = { 0 };
	cr_expect_eq(json_write(value, 2, &out, &e), 0, "%s: %s", name, e.text);
	cr_expect_eq(json_read(&again, out.bytes, out.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, &e),
		     0, "%s", name);
	cr_expect(json_equal(value, again), "%s: reads back as another value: %s", name, out.bytes);
	json_decref(value);
	json_decref(again);
	buf_free(&out);
}

Test(base_json, parsing_suite_is_accepted_and_refused_as_named)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	size_t count = 0;
	archive_read_support_filter_xz(a);
	archive_read_support_format_tar(a);
	cr_assert_eq(archive_read_open_filename(a, "tests/vectors/json/test_parsing.tar.xz",
						1 << 16),
		     ARCHIVE_OK, "missing vectors");
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		if (archive_entry_filetype(entry) != AE_IFREG)
			continue;
		size_t size = (size_t)archive_entry_size(entry);
		char *text = malloc(size + 1);
		cr_assert_eq(archive_read_data(a, text, size), (la_ssize_t)size);
		check_case(archive_entry_pathname(entry), text, size);
		free(text);
		count++;
	}
	archive_read_free(a);
	cr_expect_gt(count, 150, "only %zu cases", count);
}

Test(base_json, reader_refuses_what_the_header_names)
{
	static const struct {
		const char *text, *sentence;
	} rows[] = {
		{ "{\"a\":1,\"a\":2}", "line 1" },
		{ "{\"a\":1,\"\\u0061\":2}", "duplicate" },
		{ "\xef\xbb\xbf{}", "byte-order mark" },
		{ "{} x", "end of file" },
		{ "{}{}", "end of file" },
		{ "\"\xff\"", "decode byte 0xff" },
		{ "\"\\ud800\"", "\\ud800" },
		{ "\"\\u0000\"", "U+0000" },
		{ "[\n9223372036854775808]", "line 2" },
		{ "[1e400]", "overflow" },
		{ "", "line 1" },
		{ "nul", "line 1" },
		{ "[01]", "line 1" },
		{ "[1,]", "line 1" },
		{ "[NaN]", "line 1" },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		json_t *v = NULL;
		struct err e = { 0 };
		cr_expect_eq(read_text(&v, rows[r].text, &e), ERR_INPUT, "%s", rows[r].text);
		cr_expect(strstr(e.text, rows[r].sentence) && strstr(e.text, "column"), "%s: %s",
			  rows[r].text, e.text);
		cr_expect_null(v);
	}
}

/* What each dialect makes of a text: the value as it is written, or the sentence. */
Test(base_json, dialects_read_numbers_beyond_the_strict)
{
	static const struct {
		const char *text, *strict, *wide, *python;
	} rows[] = {
		{ "[1,-9223372036854775808]", "[1,-9223372036854775808]",
		  "[1,-9223372036854775808]", "[1,-9223372036854775808]" },
		{ "[9223372036854775807]", "[9223372036854775807]", "[9223372036854775807]",
		  "[9223372036854775807]" },
		{ "[9223372036854775808]", "too big integer", "[9.2233720368547758e18]",
		  "[9.2233720368547758e18]" },
		{ "[-9223372036854775809]", "too big negative", "[-9.2233720368547758e18]",
		  "[-9.2233720368547758e18]" },
		{ "{\"model_max_length\": 1000000000000000019884624838656}", "too big integer",
		  "{\"model_max_length\": 1e30}", "{\"model_max_length\": 1e30}" },
		{ "[18446744073709551615 , 1]", "too big", "[1.8446744073709552e19,1]",
		  "[1.8446744073709552e19,1]" },
		{ "NaN", "column 3", "column 3", "\"NaN\"" },
		{ "", "line 1", "line 1", "line 1" },
		{ "{\"a\":Infinity,\"b\":[-Infinity]}", "column 13", "column 13",
		  "{\"a\":\"Infinity\",\"b\":[\"-Infinity\"]}" },
		{ "[1e400,-1.5E+999]", "overflow", "column 6: real number overflow",
		  "[\"Infinity\",\"-Infinity\"]" },
		{ "[\"NaN 9223372036854775808 \\\" Infinity\",1e-400]",
		  "[\"NaN 9223372036854775808 \\\" Infinity\",0.0]",
		  "[\"NaN 9223372036854775808 \\\" Infinity\",0.0]",
		  "[\"NaN 9223372036854775808 \\\" Infinity\",0.0]" },
		{ "{NaN: 1}", "column 4", "column 4", "column 4" },
		{ "{\"a\":1,\"a\":NaN}", "duplicate", "duplicate", "duplicate" },
		{ "[NaNs]", "column 5", "column 5", "column 5" },
		{ "[-NaN]", "column 2", "column 2", "column 2" },
		{ "[+Infinity]", "column 2", "column 2", "column 2" },
		{ "[09223372036854775808]", "column 2", "column 2", "column 2" },
		{ "[1.e400]", "column 3", "column 3", "column 3" },
		{ "[9223372036854775808,\nNaN, 1e400, nul]", "too big", "line 2, column 3",
		  "line 2, column 15: invalid token near 'nul'" },
		{ "[9223372036854775808, nul]", "too big", "line 1, column 25",
		  "line 1, column 25: invalid token near 'nul'" },
		{ "[Infinity", "column 9", "column 9", "line 1, column 9: " },
		{ "\"NaN", "column 4", "column 4", "column 4" },
		{ "[NaN", "column 4", "column 4", "column 4" },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		const char *const wanted[] = { rows[r].strict, rows[r].wide, rows[r].python };
		for (int d = JSON_NARROW; d <= JSON_PYTHON; d++) {
			json_t *v = NULL;
			struct err e = { 0 };
			struct buf out = { 0 };
			int rc = json_read_as(&v, rows[r].text, strlen(rows[r].text), MIB(1), 8,
					      (enum json_dialect)d, &e);
			json_t *want = json_loads(wanted[d], JSON_DECODE_ANY, NULL);
			cr_expect_eq(rc, want ? 0 : ERR_INPUT, "%s in %d: %d", rows[r].text, d, rc);
			if (rc == 0)
				cr_assert_eq(json_write(v, 0, &out, &e), 0);
			if (want)
				cr_expect(json_equal(v, want), "%s in %d: %s", rows[r].text, d,
					  rc == 0 ? out.bytes : e.text);
			else
				cr_expect(strstr(e.text, wanted[d]), "%s in %d: %s", rows[r].text,
					  d, e.text);
			json_decref(want);
			json_decref(v);
			buf_free(&out);
		}
	}
}

/* A thousand digits are a number too, and none is beyond double. */
Test(base_json, long_numbers_are_bounded)
{
	static char text[3000];
	json_t *v = NULL;
	struct err e = { 0 };
	memset(text, '9', 308);
	cr_expect_eq(json_read_as(&v, text, 308, MIB(1), 8, JSON_WIDE, &e), 0, "%s", e.text);
	cr_expect_float_eq(json_real_value(v), 1e308, 1e292);
	json_decref(v);
	memset(text, '9', 2000);
	cr_expect_eq(json_read_as(&v, text, 2000, MIB(1), 8, JSON_WIDE, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "line 1, column"), "%s", e.text);
	cr_expect_eq(json_read_as(&v, text, 2000, MIB(1), 8, JSON_PYTHON, &e), 0, "%s", e.text);
	cr_expect_str_eq(json_string_value(v), "Infinity");
	json_decref(v);
}

Test(base_json, what_was_written_is_read_with_its_nul)
{
	json_t *said = json_stringn("a\0b", 3), *v = NULL;
	struct buf out = { 0 };
	struct err e = { 0 };
	cr_assert_eq(json_write(said, 0, &out, &e), 0, "%s", e.text);
	cr_assert_eq(json_read(&v, out.bytes, out.len, 100, 4, &e), ERR_INPUT);
	cr_assert_eq(json_read_written(&v, out.bytes, out.len, 100, 4, &e), 0, "%s", e.text);
	cr_expect(json_equal(v, said) && json_string_length(v) == 3);
	buf_clear(&out);
	cr_assert_eq(json_write_canonical(v, &out, &e), 0, "%s", e.text);
	cr_expect_str_eq(out.bytes, "\"a\\u0000b\"");
	json_decref(said);
	json_decref(v);
	buf_free(&out);
}

Test(base_json, depth_and_size_have_limits)
{
	json_t *v = NULL;
	struct err e = { 0 };
	const char *deep = "[{\"a\":[[\"]]]][[[[\"]]}]";
	cr_expect_eq(json_read(&v, deep, strlen(deep), 100, 3, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "column 8: nested deeper than 3"), "%s", e.text);
	cr_assert_eq(json_read(&v, deep, strlen(deep), 100, 4, &e), 0, "%s", e.text);
	json_decref(v);
	cr_expect_eq(json_read(&v, deep, strlen(deep), strlen(deep) - 1, 4, &e), ERR_INPUT);
	cr_assert_eq(json_read(&v, "1", 1, 1, 0, &e), 0, "a scalar has no depth");
	json_decref(v);
}

/* RFC 8785, appendix B, and the neighbours of a power of two. */
static const struct {
	uint64_t bits;
	const char *text;
} numbers[] = {
	{ 0x0000000000000000, "0" },
	{ 0x8000000000000000, "0" },
	{ 0x0000000000000001, "5e-324" },
	{ 0x8000000000000001, "-5e-324" },
	{ 0x7fefffffffffffff, "1.7976931348623157e+308" },
	{ 0xffefffffffffffff, "-1.7976931348623157e+308" },
	{ 0x4340000000000000, "9007199254740992" },
	{ 0xc340000000000000, "-9007199254740992" },
	{ 0x4430000000000000, "295147905179352830000" },
	{ 0x44b52d02c7e14af5, "9.999999999999997e+22" },
	{ 0x44b52d02c7e14af6, "1e+23" },
	{ 0x44b52d02c7e14af7, "1.0000000000000001e+23" },
	{ 0x444b1ae4d6e2ef4e, "999999999999999700000" },
	{ 0x444b1ae4d6e2ef4f, "999999999999999900000" },
	{ 0x444b1ae4d6e2ef50, "1e+21" },
	{ 0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7" },
	{ 0x3eb0c6f7a0b5ed8d, "0.000001" },
	{ 0x41b3de4355555553, "333333333.3333332" },
	{ 0x41b3de4355555554, "333333333.33333325" },
	{ 0x41b3de4355555555, "333333333.3333333" },
	{ 0x41b3de4355555556, "333333333.3333334" },
	{ 0x41b3de4355555557, "333333333.33333343" },
	{ 0xbecbf647612f3696, "-0.0000033333333333333333" },
	{ 0x43143ff3c1cb0959, "1424953923781206.2" },
	{ 0x3d30000000000000, "5.684341886080802e-14" },
	{ 0x3ff0000000000000, "1" },
	{ 0x4024000000000000, "10" },
	{ 0x3fb999999999999a, "0.1" },
	{ 0x4059066666666666, "100.1" },
};

Test(base_json, canonical_numbers_are_those_of_rfc_8785)
{
	for (size_t r = 0; r < sizeof numbers / sizeof *numbers; r++) {
		double v;
		memcpy(&v, &numbers[r].bits, sizeof v);
		json_t *value = json_real(v);
		struct buf out = { 0 };
		cr_assert_eq(json_write_canonical(value, &out, NULL), 0);
		cr_expect_str_eq(out.bytes, numbers[r].text);
		json_decref(value);
		buf_free(&out);
	}
}

Test(base_json, numbers_read_back_and_are_shortest)
{
	struct random_seeded seed = { .seed = "canonical numbers" };
	struct random random = random_seeded(&seed);
	struct buf out = { 0 };
	for (int i = 0; i < 20000; i++) {
		double v;
		random.fill(random.ctx, &v, sizeof v);
		if (!isfinite(v))
			continue;
		json_t *value = json_real(v);
		buf_clear(&out);
		cr_assert_eq(json_write_canonical(value, &out, NULL), 0);
		cr_assert_eq(strtod(out.bytes, NULL), v, "%a is written %s", v, out.bytes);
		/* The shortest correctly rounded form bounds the number of digits. */
		char text[40];
		int digits = 1, have = 0;
		do
			snprintf(text, sizeof text, "%.*e", digits - 1, v);
		while (strtod(text, NULL) != v && digits++ < 17);
		for (const char *p = out.bytes; *p && *p != 'e'; p++)
			have += *p >= '0' && *p <= '9';
		if (strchr(out.bytes, 'e'))
			cr_assert_leq(have, digits, "%a is written %s", v, out.bytes);
		json_decref(value);
	}
	buf_free(&out);
}

static void expect_canonical(const char *in, const char *expected)
{
	json_t *v = NULL;
	struct err e = { 0 };
	struct buf out = { 0 };
	cr_assert_eq(read_text(&v, in, &e), 0, "%s: %s", in, e.text);
	cr_assert_eq(json_write_canonical(v, &out, &e), 0, "%s: %s", in, e.text);
	cr_expect_str_eq(out.bytes, expected);
	json_decref(v);
	buf_free(&out);
}

Test(base_json, canonical_form_gives_the_examples_of_rfc_8785)
{
	expect_canonical(
		"{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],"
		"\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\","
		"\"literals\": [null, true, false]}",
		"{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
		"\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
	expect_canonical("{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,"
			 "\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}",
			 "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,"
			 "\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}");
	expect_canonical("{\"ab\":1,\"a\":{\"b\":[],\"a\":{}},\"\":-0}",
			 "{\"\":0,\"a\":{\"a\":{},\"b\":[]},\"ab\":1}");
	expect_canonical("{\"\\ud83d\\ude01\":1,\"\\ud83d\\ude00\":2,\"\\uffff\":3}",
			 "{\"\xf0\x9f\x98\x80\":2,\"\xf0\x9f\x98\x81\":1,\"\xef\xbf\xbf\":3}");
}

Test(base_json, canonical_form_refuses_integers_beyond_doubles)
{
	static const char *const good[] = { "9007199254740992", "-9007199254740992" };
	for (size_t i = 0; i < 2; i++)
		expect_canonical(good[i], good[i]);
	static const char *const bad[] = { "9007199254740993", "-9007199254740993",
					   "[9223372036854775807]" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		json_t *v = NULL;
		struct buf out = { 0 };
		cr_assert_eq(read_text(&v, bad[i], NULL), 0);
		cr_expect_eq(json_write_canonical(v, &out, NULL), ERR_INPUT, "%s", bad[i]);
		json_decref(v);
		buf_free(&out);
	}
}

/* What a builder without memory leaves. */
Test(base_json, writer_refuses_a_value_that_is_missing)
{
	struct buf out = { 0 };
	struct err e = { 0 };

	cr_expect_eq(json_write_canonical(NULL, &out, &e), ERR_NOMEM);
	cr_expect_str_eq(e.text, "out of memory for JSON");
	buf_free(&out);
}

Test(base_json, writer_keeps_order_and_kinds)
{
	json_t *v = NULL;
	struct buf out = { 0 };
	cr_assert_eq(read_text(&v,
			       "{\"b\":[1,2.0,1e300],\"a\":{},\"c\":[],\"d\":9223372036854775807}",
			       NULL),
		     0);
	cr_assert_eq(json_write(v, 0, &out, NULL), 0);
	cr_expect_str_eq(out.bytes,
			 "{\"b\":[1,2.0,1e+300],\"a\":{},\"c\":[],\"d\":9223372036854775807}");
	buf_clear(&out);
	cr_assert_eq(json_write(v, 2, &out, NULL), 0);
	cr_expect_str_eq(
		out.bytes,
		"{\n  \"b\": [\n    1,\n    2.0,\n    1e+300\n  ],\n  \"a\": {},\n  \"c\": [],\n"
		"  \"d\": 9223372036854775807\n}");
	json_decref(v);
	buf_free(&out);
}

Test(base_json, writer_refuses_endless_depth)
{
	json_t *v = json_array();
	for (int i = 0; i < 2000; i++) {
		json_t *outer = json_array();
		json_array_append_new(outer, v);
		v = outer;
	}
	struct buf out = { 0 };
	cr_expect_eq(json_write(v, 0, &out, NULL), ERR_INPUT);
	json_decref(v);
	buf_free(&out);
}

Test(base_json, typed_members_name_the_key_and_what_was_found)
{
	json_t *v = NULL, *member = NULL;
	const char *text = NULL;
	uint64_t number = 0;
	struct err e = { 0 };
	cr_assert_eq(read_text(&v, "{\"s\":\"x\",\"n\":7,\"m\":-1,\"o\":{},\"a\":[]}", NULL), 0);
	cr_expect(json_get_string(v, "s", &text, "doc", &e) == 0 && strcmp(text, "x") == 0);
	cr_expect(json_get_u64(v, "n", &number, "doc", &e) == 0 && number == 7);
	cr_expect(json_get_object(v, "o", &member, "doc", &e) == 0 && json_is_object(member));
	cr_expect(json_get_array(v, "a", &member, "doc", &e) == 0 && json_is_array(member));
	cr_expect_eq(json_get_u64(v, "m", &number, "doc", &e), ERR_INPUT);
	cr_expect_eq(json_get_string(v, "n", &text, "doc", &e), ERR_INPUT);
	cr_expect_str_eq(e.text, "doc: \"n\": expected a string, found an integer");
	cr_expect_eq(json_get_object(v, "z", &member, "doc", &e), ERR_INPUT);
	cr_expect_str_eq(e.text, "doc: \"z\": expected an object, found nothing");
	cr_expect_eq(json_get_array(v, "o", &member, "doc", &e), ERR_INPUT);
	static const char *const all[] = { "s", "n", "m", "o", "a", NULL }, *const few[] = { "s",
											     NULL };
	cr_expect_eq(json_only_keys(v, all, "doc", &e), 0);
	cr_expect_eq(json_only_keys(v, few, "doc", &e), ERR_INPUT);
	cr_expect_str_eq(e.text, "doc: unknown member \"n\"");
	json_decref(v);
}

/* ---- memory of values ---- */

Test(json_memory, what_is_freed_is_what_is_made_next)
{
#ifdef __SANITIZE_ADDRESS__
	cr_skip_test("blocks are not kept: the sanitizer is to see them freed");
#endif
	json_memory_use();
	json_t *first = json_integer(1);
	json_decref(first);
	json_t *second = json_integer(2);
	cr_expect_eq(first, second);
	json_decref(second);
}

Test(json_memory, a_block_that_is_used_again_is_as_large_as_is_asked)
{
	char text[1500];
	memset(text, 'x', sizeof text);
	json_memory_use();
	for (size_t freed = 0; freed < sizeof text; freed += 7) {
		json_t *keep[8];
		for (size_t i = 0; i < 8; i++)
			json_decref(json_stringn_nocheck(text, freed));
		for (size_t i = 0; i < 8; i++) {
			keep[i] = json_stringn_nocheck(text, freed + i * 11 < sizeof text ? freed + i * 11 : freed);
			const char *made = json_string_value(keep[i]);
			cr_assert_geq(malloc_usable_size((void *)(uintptr_t)made), json_string_length(keep[i]) + 1);
		}
		for (size_t i = 0; i < 8; i++)
			json_decref(keep[i]);
	}
}

/* Blocks that one thread made, freed by another that ends; and then by this one. */
static void *free_values(void *arg)
{
	json_decref(arg);
	return NULL;
}

Test(json_memory, values_may_be_freed_by_a_thread_that_ends)
{
	json_memory_use();
	for (int i = 0; i < 20; i++) {
		json_t *list = json_array();
		for (int k = 0; k < 3000; k++) /* more than a thread keeps */
			cr_assert_eq(json_array_append_new(list, json_sprintf("%0*d", k % 300, k)), 0);
		pthread_t thread;
		cr_assert_eq(pthread_create(&thread, NULL, free_values, i % 2 ? json_incref(list) : list), 0);
		pthread_join(thread, NULL);
		if (i % 2)
			json_decref(list);
	}
}

Test(json_memory, a_text_is_a_value_only_if_it_is_utf8)
{
	static const char *const text[] = { "", "12345678", "12345678\xc3\xa4\xf0\x9f\x98\x80",
	                                    "1234567\xe2\x82\xac" };
	static const char *const bad[] = { "\xff", "12345678\x80", "1234567\xe2\x82", "12345678\xed\xa0\x80" };
	for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
		json_t *v = json_from_text(text[i], strlen(text[i]));
		cr_assert_not_null(v, "%zu", i);
		cr_expect_str_eq(json_string_value(v), text[i]);
		json_decref(v);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_null(json_from_text(bad[i], strlen(bad[i])), "%zu", i);
}
