#include "base/canonical.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One of every kind of member, and what was written. */
static int build(json_t **out, struct err *e)
{
	struct obj o = { 0 }, inner = { 0 }, element = { 0 };
	struct arr list = { 0 };
	json_t *shared = json_string("shared");
	obj_text(&o, "text", "h\xc3\xa9");
	obj_text(&o, "none", NULL);
	obj_bytes(&o, "bytes", "a\0b", 3);
	obj_bytes(&o, "nothing", NULL, 0);
	obj_int(&o, "int", -3);
	obj_count(&o, "count", INT64_MAX);
	obj_real(&o, "real", 0.5);
	obj_bool(&o, "bool", true);
	obj_null(&o, "null");
	obj_add(&o, "add", json_integer(1));
	obj_share(&o, "share", shared);
	obj_object(&o, "empty", &inner);
	obj_text(&inner, "a", "b");
	obj_object(&o, "object", &inner);
	arr_text(&list, "x");
	arr_count(&list, 2);
	arr_add(&list, json_true());
	arr_share(&list, shared);
	obj_int(&element, "n", 1);
	arr_object(&list, &element);
	obj_array(&o, "array", &list);
	json_decref(shared);
	return obj_done(&o, out, e);
}

static const char wanted[] =
	"{\"text\":\"h\xc3\xa9\",\"none\":null,\"bytes\":\"a\\u0000b\",\"nothing\":\"\",\"int\":-3,"
	"\"count\":9223372036854775807,\"real\":0.5,\"bool\":true,\"null\":null,\"add\":1,"
	"\"share\":\"shared\",\"empty\":{},\"object\":{\"a\":\"b\"},"
	"\"array\":[\"x\",2,true,\"shared\",{\"n\":1}]}";

Test(json_build, members_keep_their_order_and_kind)
{
	json_t *v = NULL;
	struct buf text = { 0 };
	cr_assert_eq(build(&v, NULL), 0);
	cr_assert_eq(json_write(v, 0, &text, NULL), 0);
	buf_add_byte(&text, 0);
	cr_expect_str_eq(text.bytes, wanted);
	buf_free(&text);
	json_decref(v);
}

Test(json_build, nothing_added_is_an_empty_value)
{
	struct obj o = { 0 };
	struct arr a = { 0 };
	json_t *v = NULL, *w = NULL;
	cr_assert(obj_done(&o, &v, NULL) == 0 && json_is_object(v) && json_object_size(v) == 0);
	cr_assert(arr_done(&a, &w, NULL) == 0 && json_is_array(w) && json_array_size(w) == 0);
	json_decref(v);
	json_decref(w);
}

static void bad_text(struct obj *o) { obj_text(o, "bad", "\xff"); }
static void bad_bytes(struct obj *o) { obj_bytes(o, "bad", "a\xc3", 2); }
static void bad_count(struct obj *o) { obj_count(o, "bad", (uint64_t)INT64_MAX + 1); }
static void bad_nan(struct obj *o) { obj_real(o, "bad", NAN); }
static void bad_infinity(struct obj *o) { obj_real(o, "bad", -INFINITY); }
static void bad_object(struct obj *o)
{
	struct obj inner = { 0 };
	obj_text(&inner, "deep", "\xc0\x80");
	obj_object(o, "bad", &inner);
}
static void bad_list(struct obj *o)
{
	struct arr inner = { 0 };
	arr_text(&inner, "\xed\xa0\x80");
	obj_array(o, "bad", &inner);
}

Test(json_build, the_first_failure_sticks_and_names_its_key)
{
	static void (*const bad[])(struct obj *) = { bad_text,     bad_bytes,  bad_count, bad_nan,
						     bad_infinity, bad_object, bad_list };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct obj o = { 0 };
		struct err e = { 0 };
		json_t *v = json_null();
		obj_int(&o, "before", 1);
		bad[i](&o);
		obj_int(&o, "after", 2);
		obj_add(&o, "later", NULL);
		cr_expect_eq(obj_done(&o, &v, &e), ERR_INPUT, "%zu", i);
		cr_expect(!v && strstr(e.text, "\"bad\""), "%zu: %s", i, e.text);
		obj_int(&o, "again", 1); /* done leaves an empty builder */
		cr_assert_eq(obj_done(&o, &v, &e), 0);
		cr_expect_eq(json_object_size(v), 1);
		json_decref(v);
	}
}

Test(json_build, null_from_a_maker_is_no_memory)
{
	struct obj o = { 0 };
	struct arr a = { 0 };
	json_t *v;
	obj_add(&o, "x", NULL);
	cr_expect_eq(obj_done(&o, &v, NULL), ERR_NOMEM);
	obj_share(&o, "x", NULL);
	cr_expect_null(obj_take(&o));
	arr_add(&a, NULL);
	cr_expect_eq(arr_done(&a, &v, NULL), ERR_NOMEM);
}

/* jansson's allocator, whose nth call fails. */
static size_t allocations, fails_at, live;

static void *failing(size_t n)
{
	if (++allocations == fails_at)
		return NULL;
	live++;
	return malloc(n);
}

static void release(void *p)
{
	live -= p != NULL;
	free(p);
}

Test(json_build, any_allocation_may_fail_and_nothing_is_kept)
{
	struct err e = { 0 };
	json_t *v;
	int rc = ERR_NOMEM;
	json_set_alloc_funcs(failing, release);
	for (fails_at = 1; rc < 0; fails_at++) {
		allocations = 0;
		rc = build(&v, &e);
		cr_assert(rc == 0 || (rc == ERR_NOMEM && !v), "allocation %zu: %d", fails_at, rc);
		json_decref(v);
		cr_assert_eq(live, 0, "allocation %zu: %zu blocks kept", fails_at, live);
	}
	cr_expect_gt(fails_at, 20);
}

Test(base_json_put, writes_members_with_their_commas_and_fails_what_json_cannot_hold)
{
	static const double sick[] = { 1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0 };
	struct buf b = { 0 };
	json_put_open(&b, NULL, '{');
	json_put_open(&b, "a", '[');
	json_put_text(&b, NULL, "x{[");
	json_put_int(&b, NULL, -(1LL << 53));
	json_put_open(&b, NULL, '[');
	json_put_close(&b, ']');
	json_put_real(&b, NULL, 0.5);
	json_put_close(&b, ']');
	json_put_bool(&b, "b", false);
	json_put_text(&b, "c", NULL);
	json_put_close(&b, '}');
	cr_expect_str_eq(b.bytes, "{\"a\":[\"x{[\",-9007199254740992,[],0.5],\"b\":false,\"c\":null}");
	buf_add_byte(&b, '\0');
	size_t at = b.len;
	json_put_null(&b, NULL);
	cr_expect_str_eq(b.bytes + at, "null");
	cr_expect_not(b.failed);
	for (size_t i = 0; i < sizeof sick / sizeof *sick; i++) {
		buf_clear(&b);
		json_put_real(&b, NULL, sick[i]);
		cr_expect(b.failed, "%g", sick[i]);
	}
	buf_clear(&b);
	json_put_text(&b, NULL, "\xff");
	cr_expect(b.failed);
	buf_clear(&b);
	json_put_int(&b, NULL, (1LL << 53) + 1);
	cr_expect(b.failed);
	buf_clear(&b);
	json_put_value(&b, NULL, NULL);
	cr_expect(b.failed);
	buf_free(&b);
}
