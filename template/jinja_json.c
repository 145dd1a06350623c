/* json.dumps, and dates. */
#include "template/jinja.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void json_quoted(struct jinja_printer *p, const struct jinja_text *t)
{
	static const char from[] = "\"\\\b\f\n\r\t", made[] = "\"\\bfnrt";
	buf_add_byte(&p->out, '"');
	for (size_t at = 0; at < t->len;) {
		uint32_t cp;
		size_t n = (size_t)text_utf8_decode(t->bytes + at, t->len - at, &cp);
		const char *simple = cp && cp < 0x80 ? strchr(from, (int)cp) : NULL;
		if (simple)
			buf_printf(&p->out, "\\%c", made[simple - from]);
		else if (cp < 0x20 || (p->json->ascii && cp > 0x7E && cp < 0x10000))
			buf_printf(&p->out, "\\u%04x", cp);
		else if (p->json->ascii && cp >= 0x10000)
			buf_printf(&p->out, "\\u%04x\\u%04x", 0xD800 + ((cp - 0x10000) >> 10),
				   0xDC00 + ((cp - 0x10000) & 0x3FF));
		else
			buf_add(&p->out, t->bytes + at, n);
		at += n;
	}
	buf_add_byte(&p->out, '"');
}

int jinja_print_json_scalar(struct jinja_printer *p, const struct jinja_value *v)
{
	char number[64];
	switch (v->kind) {
	case J_NONE:
		buf_add_text(&p->out, "null");
		return 0;
	case J_BOOL:
		buf_add_text(&p->out, v->boolean ? "true" : "false");
		return 0;
	case J_INT:
	case J_BIG:
		return jinja_digits(p->j, v, 10, &p->out);
	case J_FLOAT:
		jinja_print_float(v->number, number);
		if (!isfinite(v->number))
			strcpy(number, isnan(v->number) ? "NaN"
				       : v->number < 0  ? "-Infinity"
							: "Infinity");
		buf_add_text(&p->out, number);
		return 0;
	case J_STR:
		json_quoted(p, v->text);
		return 0;
	case J_UNDEFINED:
		return jinja_fail(p->j, "'%.60s' is undefined: it has no JSON form", v->name);
	default:
		return jinja_fail(p->j, "Object of type %s is not JSON serializable",
				  jinja_type_name(v));
	}
}

/* A copy with the keys of every dictionary in order; depth-checked. */
static int sort_keys(struct jinja *j, const struct jinja_value *v, int depth,
		     struct jinja_value *out)
{
	*out = *v;
	if (depth > JINJA_VALUE_DEPTH)
		return jinja_fail(j, "values nest deeper than %d", JINJA_VALUE_DEPTH);
	if (v->kind == J_LIST || v->kind == J_TUPLE) {
		TRY(jinja_list_new(j, v->kind, out));
		for (size_t i = 0; i < v->list->count; i++) {
			struct jinja_value child;
			TRY(sort_keys(j, &v->list->at[i], depth + 1, &child));
			TRY(jinja_list_add(j, out->list, child));
		}
	}
	if (v->kind != J_DICT)
		return 0;
	TRY(jinja_dict_new(j, J_DICT, out));
	for (size_t i = 0; i < v->dict->count; i++) {
		struct jinja_dict *d = out->dict;
		struct jinja_value key = v->dict->key[i], child;
		int order = 0;
		TRY(sort_keys(j, &v->dict->value[i], depth + 1, &child));
		TRY(jinja_dict_set(j, d, key, child));
		for (size_t k = d->count - 1; k > 0; k--) { /* insertion: dictionaries are short */
			TRY(jinja_order(j, &d->key[k - 1], &key, &order, 0));
			if (order <= 0)
				break;
			struct jinja_value other = d->value[k - 1];
			d->key[k] = d->key[k - 1];
			d->value[k] = other;
			d->key[k - 1] = key;
			d->value[k - 1] = child;
		}
	}
	return 0;
}

int jinja_tojson(struct jinja *j, const struct jinja_value *v, const struct jinja_json_style *s,
		 struct jinja_value *out)
{
	struct jinja_printer p = { .j = j, .json = s };
	struct jinja_out o = { 0 };
	struct jinja_value sorted = *v;
	if (s->sort_keys)
		TRY(sort_keys(j, v, 0, &sorted));
	int rc = jinja_print_tree(&p, &sorted);
	if (rc == 0 && p.out.failed)
		rc = jinja_no_memory(j);
	if (rc == 0)
		jinja_put(&o, p.out.bytes, p.out.len, p.data);
	buf_free(&p.out);
	return jinja_out_done(j, rc, &o, out);
}

/* ---- dates ---- */

int jinja_strftime(struct jinja *j, const struct jinja_text *format, struct jinja_value *out)
{
	static const char known[] = "aAbBcCdDeFgGhHIjklmMnprRsStTuUVwWxXyYzZ%";
	static const char ones[] = "-_0^#EO";
	int64_t seconds = j->now_us / 1000000 - (j->now_us % 1000000 < 0);
	time_t when = (time_t)seconds;
	struct tm tm;
	struct jinja_out o = { 0 };
	if (!gmtime_r(&when, &tm))
		return jinja_fail(j, "the clock is out of range");
	for (size_t i = 0; i < format->len; i++) {
		char directive[4] = { '%' }, text[80];
		size_t n = 1;
		if (format->bytes[i] != '%' || i + 1 == format->len) {
			jinja_put_text(&o, format, i, i + 1);
			continue;
		}
		if (strchr(ones, format->bytes[i + 1]) && format->bytes[i + 1] &&
		    i + 2 < format->len)
			directive[n++] = format->bytes[++i];
		directive[n] = format->bytes[++i];
		bool fraction = directive[n] == 'f' && n == 1, seconds_only = directive[n] == 's';
		if (directive[n] >= '0' && directive[n] <= '9') {
			jinja_out_free(&o);
			return jinja_refuse(j, "strftime_now with a width");
		}
		if (!fraction && (!strchr(known, directive[n]) || !directive[n])) {
			jinja_put(&o, directive, n + 1, jinja_text_data(format)); /* stays */
			continue;
		}
		size_t len = strftime(text, sizeof text, directive, &tm);
		if (fraction)
			len = (size_t)snprintf(text, sizeof text, "%06d",
					       (int)((j->now_us % 1000000 + 1000000) % 1000000));
		if (seconds_only) /* strftime would ask for this machine's zone */
			len = (size_t)snprintf(text, sizeof text, "%lld", (long long)seconds);
		if (directive[n] == 'Z' || directive[n] == 'z') /* a time without a zone */
			len = 0;
		jinja_put(&o, text, len, jinja_text_data(format));
	}
	return jinja_out_take(j, &o, out);
}
