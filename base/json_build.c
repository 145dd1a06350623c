#include "base/json.h"

#include "base/decimal.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A value that jansson could not make: bad text or number if `is_input`, else no memory. */
static int reason(bool is_input) { return is_input ? ERR_INPUT : ERR_NOMEM; }

/* why: what NULL would mean. */
static json_t *bytes_value(const char *text, size_t len, int *why)
{
	bool valid = text_utf8_valid(text, len);
	*why = reason(!valid);
	return valid ? json_stringn_nocheck(text, len) : NULL;
}

static json_t *text_value(const char *text, int *why)
{
	*why = ERR_NOMEM;
	return text ? bytes_value(text, strlen(text), why) : json_null();
}

static int set(json_t *o, const char *key, json_t *value)
{
	size_t len = strlen(key);
	if (text_utf8_valid(key, len))
		return json_object_setn_new_nocheck(o, key, len, value);
	json_decref(value);
	return -1;
}

/* Takes value; NULL fails with `why`. */
static void obj_put(struct obj *o, const char *key, json_t *value, int why)
{
	if (!o->failed && !value) {
		o->failed = why;
		o->what = key;
	}
	if (!o->failed && !o->json && !(o->json = json_object()))
		o->failed = ERR_NOMEM;
	if (o->failed)
		json_decref(value);
	else if (set(o->json, key, value) < 0) /* it has let value go */
		o->failed = ERR_NOMEM;
}

void obj_text(struct obj *o, const char *key, const char *text)
{
	int why;
	json_t *value = text_value(text, &why);
	obj_put(o, key, value, why);
}

void obj_bytes(struct obj *o, const char *key, const char *text, size_t len)
{
	int why;
	json_t *value = bytes_value(len ? text : "", len, &why);
	obj_put(o, key, value, why);
}

void obj_int(struct obj *o, const char *key, int64_t v)
{
	obj_put(o, key, json_integer((json_int_t)v), ERR_NOMEM);
}

void obj_count(struct obj *o, const char *key, uint64_t v)
{
	obj_put(o, key, v <= INT64_MAX ? json_integer((json_int_t)v) : NULL, reason(v > INT64_MAX));
}

void obj_real(struct obj *o, const char *key, double v)
{
	obj_put(o, key, json_real(v), reason(!isfinite(v)));
}

void obj_measured(struct obj *o, const char *key, double v)
{
	if (isfinite(v))
		obj_real(o, key, decimal_round(v, DECIMAL_DIGITS));
	else
		obj_null(o, key);
}

void obj_u64_text(struct obj *o, const char *key, uint64_t v)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRIu64, v);
	obj_text(o, key, text);
}

void obj_bool(struct obj *o, const char *key, bool v)
{
	obj_put(o, key, json_boolean(v), ERR_NOMEM);
}

void obj_null(struct obj *o, const char *key) { obj_put(o, key, json_null(), ERR_NOMEM); }

void obj_add(struct obj *o, const char *key, json_t *value) { obj_put(o, key, value, ERR_NOMEM); }

void obj_share(struct obj *o, const char *key, const json_t *value)
{
	obj_put(o, key, json_incref((json_t *)(uintptr_t)value), ERR_NOMEM);
}

void obj_object(struct obj *o, const char *key, struct obj *inner)
{
	int why = inner->failed ? inner->failed : ERR_NOMEM;
	obj_put(o, key, obj_take(inner), why);
}

void obj_array(struct obj *o, const char *key, struct arr *inner)
{
	int why = inner->failed ? inner->failed : ERR_NOMEM;
	obj_put(o, key, arr_take(inner), why);
}

int obj_done(struct obj *o, json_t **out, struct err *e)
{
	int why = o->failed;
	const char *what = o->what;
	*out = obj_take(o);
	if (*out)
		return 0;
	if (why == ERR_INPUT)
		return err_set(e, why, "\"%s\": neither UTF-8 nor a number that JSON can write",
			       what);
	return err_set(e, ERR_NOMEM, "out of memory while building a document");
}

json_t *obj_take(struct obj *o)
{
	json_t *json = o->failed ? NULL : o->json ? json_incref(o->json) : json_object();
	obj_free(o);
	return json;
}

void obj_free(struct obj *o)
{
	json_decref(o->json);
	*o = (struct obj){ 0 };
}

/* Takes value; NULL fails with `why`. */
static void arr_put(struct arr *a, json_t *value, int why)
{
	if (!a->failed && !value)
		a->failed = why;
	if (!a->failed && !a->json && !(a->json = json_array()))
		a->failed = ERR_NOMEM;
	if (a->failed)
		json_decref(value);
	else if (json_array_append_new(a->json, value) < 0) /* it has let value go */
		a->failed = ERR_NOMEM;
}

void arr_text(struct arr *a, const char *text)
{
	int why;
	json_t *value = text_value(text, &why);
	arr_put(a, value, why);
}

void arr_count(struct arr *a, uint64_t v)
{
	arr_put(a, v <= INT64_MAX ? json_integer((json_int_t)v) : NULL, reason(v > INT64_MAX));
}

void arr_add(struct arr *a, json_t *value) { arr_put(a, value, ERR_NOMEM); }

void arr_share(struct arr *a, const json_t *value)
{
	arr_put(a, json_incref((json_t *)(uintptr_t)value), ERR_NOMEM);
}

void arr_object(struct arr *a, struct obj *inner)
{
	int why = inner->failed ? inner->failed : ERR_NOMEM;
	arr_put(a, obj_take(inner), why);
}

int arr_done(struct arr *a, json_t **out, struct err *e)
{
	int why = a->failed;
	*out = arr_take(a);
	if (*out)
		return 0;
	if (why == ERR_INPUT)
		return err_set(e, why, "a list: neither UTF-8 nor a number that JSON can write");
	return err_set(e, ERR_NOMEM, "out of memory while building a document");
}

json_t *arr_take(struct arr *a)
{
	json_t *json = a->failed ? NULL : a->json ? json_incref(a->json) : json_array();
	arr_free(a);
	return json;
}

void arr_free(struct arr *a)
{
	json_decref(a->json);
	*a = (struct arr){ 0 };
}
