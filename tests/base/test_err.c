#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/progress.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

Test(base_err, sentences_are_set_prefixed_and_cut)
{
	struct err e = { 0 };
	cr_expect_eq(err_set(&e, ERR_VERIFY, "%s differs", "a.bin"), ERR_VERIFY);
	cr_expect_eq(err_prefix(&e, "package %d", 7), ERR_VERIFY);
	cr_expect_str_eq(e.text, "package 7: a.bin differs");
	cr_expect_eq(err_set(&e, ERR_INPUT, "in %s", e.text), ERR_INPUT);
	cr_expect_str_eq(e.text, "in package 7: a.bin differs");
	cr_expect_eq(err_set(NULL, ERR_INPUT, "x"), ERR_INPUT);
	cr_expect_eq(err_prefix(NULL, "x"), ERR_IO);
	cr_expect_eq(err_at(NULL, ERR_INPUT, "kind", "at"), ERR_INPUT);
	cr_expect_eq(err_at(&e, e.code, "invalid_type", "messages[%d]", 3), ERR_INPUT);
	cr_expect_eq(err_prefix(&e, "body"), ERR_INPUT);
	cr_expect_str_eq(e.text, "body: in package 7: a.bin differs");
	cr_expect_str_eq(e.kind, "invalid_type");
	cr_expect_str_eq(e.at, "messages[3]");
	err_set(&e, ERR_INPUT, "y");
	cr_expect(!e.kind && !e.at[0]);
	struct err unset = { 0 };
	cr_expect_eq(err_prefix(&unset, "x"), ERR_IO);
	cr_expect_str_eq(unset.text, "x: input or output error");
	char longer[1000];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	err_set(&e, ERR_INPUT, "a%s", longer);
	cr_expect_eq(strlen(e.text), sizeof e.text - 1);
}

Test(base_err, a_place_is_not_named_twice)
{
	struct err e = { 0 };
	err_set(&e, ERR_NOTFOUND, "dir: no file a");
	cr_expect_eq(err_prefix(&e, "dir"), ERR_NOTFOUND);
	cr_expect_str_eq(e.text, "dir: no file a");
	err_set(&e, ERR_INPUT, "dir/a: ends early");
	err_prefix(&e, "%s", "dir");
	cr_expect_str_eq(e.text, "dir/a: ends early");
	err_set(&e, ERR_INPUT, "direct: ends early");
	err_prefix(&e, "dir");
	cr_expect_str_eq(e.text, "dir: direct: ends early");
}

Test(base_err, sentences_are_printable_utf8)
{
	struct err e = { 0 };
	err_set(&e, ERR_INPUT, "%s", "a\nb\x1b[31m\xff\xc3\xa4\xc2\x9b\xe2\x82");
	cr_expect_str_eq(e.text, "a\\x0ab\\x1b[31m\\xff\xc3\xa4\\xc2\\x9b\\xe2\\x82");
	err_prefix(&e, "again");
	cr_expect_str_eq(e.text, "again: a\\x0ab\\x1b[31m\\xff\xc3\xa4\\xc2\\x9b\\xe2\\x82");
}

Test(base_err, errno_becomes_a_code)
{
	struct err e = { 0 };
	errno = ENOENT;
	cr_expect_eq(err_errno(&e, "open %s", "x"), ERR_NOTFOUND);
	cr_expect_str_eq(e.text, "open x: No such file or directory");
	errno = ENOMEM;
	cr_expect_eq(err_errno(NULL, "x"), ERR_NOMEM);
	errno = EACCES;
	cr_expect_eq(err_errno(&e, "x"), ERR_IO);
}

Test(base_err, exit_status_follows_the_product_table)
{
	static const int rows[][2] = {
		{ 0, 0 },
		{ 5, 0 },
		{ ERR_INPUT, 1 },
		{ ERR_USAGE, 2 },
		{ ERR_VERIFY, 3 },
		{ ERR_DENIED, 4 },
		{ ERR_NOTFOUND, 5 },
		{ ERR_CONFLICT, 6 },
		{ ERR_UNAVAILABLE, 7 },
		{ ERR_UNSUPPORTED, 1 },
		{ ERR_IO, 1 },
		{ ERR_NOMEM, 1 },
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		cr_expect_eq(err_exit_status(rows[r][0]), rows[r][1], "%d", rows[r][0]);
		cr_expect_not_null(err_name(rows[r][0]));
	}
	cr_expect_str_eq(err_name(ERR_NOMEM), "out of memory");
	cr_expect_str_eq(err_name(-99), "unknown error");
}

Test(base_check, broken_invariant_aborts, .signal = SIGABRT) { check(1 + 1 == 3); }

Test(base_buf, integers_and_text_are_appended)
{
	struct buf b = { 0 };
	buf_add_u16be(&b, 0x0102);
	buf_add_u32be(&b, 0x03040506);
	buf_add_u16le(&b, 0x0807);
	buf_add_u32le(&b, 0x0c0b0a09);
	buf_add_u64le(&b, 0x14131211100f0e0d);
	for (unsigned char i = 0; i < 20; i++)
		cr_expect_eq((unsigned char)b.bytes[i], i + 1);
	buf_clear(&b);
	buf_printf(&b, "%d-%s", 7, "x");
	buf_add_byte(&b, '!');
	cr_expect_str_eq(b.bytes, "7-x!");
	buf_drop(&b, 2);
	cr_expect_str_eq(b.bytes, "x!");
	buf_drop(&b, 100);
	cr_expect(b.len == 0 && b.bytes[0] == '\0');
	buf_free(&b);
	buf_drop(&b, 1);
}

Test(base_buf, growth_keeps_the_content)
{
	struct buf b = { 0 };
	for (int i = 0; i < 10000; i++)
		buf_printf(&b, "%04d", i);
	cr_assert_eq(b.len, 40000);
	cr_expect(strlen(b.bytes) == 40000 && memcmp(b.bytes + 4 * 1234, "1234", 4) == 0);
	size_t room = b.room;
	char *at = buf_reserve(&b, 100), *bytes = b.bytes;
	cr_expect(at == b.bytes + b.len && b.room >= room);
	buf_add(&b, "x", 1);
	cr_expect_eq(b.bytes, bytes, "a reserved append does not move");
	buf_wipe(&b);
	cr_expect_null(b.bytes);
}

Test(base_buf, failure_is_sticky_until_cleared)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	buf_add_text(&b, "abc");
	cr_expect_null(buf_reserve(&b, SIZE_MAX - 2));
	buf_add_text(&b, "def");
	cr_expect_str_eq(b.bytes, "abc");
	cr_expect_eq(buf_done(&b, &e), ERR_NOMEM);
	buf_clear(&b);
	buf_add_text(&b, "def");
	cr_expect_eq(buf_done(&b, &e), 0);
	cr_expect_str_eq(b.bytes, "def");
	buf_free(&b);
}

Test(base_arena, memory_is_zeroed_aligned_and_distinct)
{
	struct arena a = { 0 };
	unsigned char *last = NULL;
	for (size_t size = 0; size < 100000; size = size * 3 / 2 + 1) {
		unsigned char *p = arena_alloc(&a, size);
		cr_assert(p && p != last && (uintptr_t)p % 16 == 0);
		for (size_t i = 0; i < size; i++)
			cr_assert_eq(p[i], 0);
		memset(p, 0xff, size);
		last = p;
	}
	cr_expect_str_eq(arena_copy(&a, "hello!", 5), "hello");
	cr_expect_null(arena_array(&a, SIZE_MAX / 2, 3));
	cr_expect_null(arena_alloc(&a, SIZE_MAX));
	arena_free(&a);
	cr_expect(a.used_bytes == 0 && a.chunks == NULL);
}

Test(base_arena, cap_holds_and_survives_free)
{
	struct arena a = { .bytes_max = 100 };
	cr_expect_not_null(arena_alloc(&a, 64));
	cr_expect_null(arena_alloc(&a, 64));
	cr_expect_not_null(arena_alloc(&a, 32));
	arena_free(&a);
	cr_expect_eq(a.bytes_max, 100);
	cr_expect_null(arena_alloc(&a, 101));
	arena_free(&a);
}

Test(base_progress, is_silent_when_quiet)
{
	struct progress p;
	progress_start(&p, "reading", 100, true);
	progress_add(&p, 60);
	progress_add(&p, 40);
	progress_end(&p);
	cr_expect(!p.on && p.done == 100);
}
