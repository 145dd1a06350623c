/* Strings: bytes with origins. New strings are made at the end of one growing chunk, so that
 * appending to the string made last, which is what templates do in loops, costs only the new
 * bytes. */
#include "template/jinja.h"

#include "base/check.h"
#include "base/text.h"
#include "base/unicode.h"

#include <string.h>

#define CHUNK_BYTES ((size_t)64 << 10)

bool jinja_text_data(const struct jinja_text *t)
{
	return t->origin ? t->len && memchr(t->origin, 1, t->len) : t->data && t->len;
}

static int new_text(struct jinja *j, struct jinja_text text, struct jinja_value *out)
{
	struct jinja_text *t = jinja_alloc(j, 1, sizeof *t);
	if (!t)
		return jinja_no_memory(j);
	*t = text;
	*out = (struct jinja_value){ .kind = J_STR, .text = t };
	return 0;
}

int jinja_str(struct jinja *j, const char *bytes, size_t len, bool data, struct jinja_value *out)
{
	return new_text(j, (struct jinja_text){ .bytes = bytes, .len = len, .data = data }, out);
}

int jinja_literal(struct jinja *j, const char *text, struct jinja_value *out)
{
	return jinja_str(j, text, strlen(text), false, out);
}

int jinja_mark(struct jinja *j, bool markup, struct jinja_value *v)
{
	check(v->kind == J_STR || v->kind == J_BYTES);
	struct jinja_text text = *v->text;
	if (text.markup == markup)
		return 0;
	text.markup = markup;
	return new_text(j, text, v);
}

int jinja_slice(struct jinja *j, const struct jinja_text *t, size_t begin, size_t end,
		struct jinja_value *out)
{
	struct jinja_text part = { t->bytes + begin, t->origin ? t->origin + begin : NULL,
				   end - begin, t->data, t->markup };
	return new_text(j, part, out);
}

int jinja_fail_long(struct jinja *j)
{
	return jinja_fail(j, "a string is longer than %zu bytes", JINJA_STRING_BYTES);
}

/* Room for len bytes at the end of the heap. */
static int heap_room(struct jinja *j, size_t len)
{
	if (len > JINJA_STRING_BYTES)
		return jinja_fail_long(j);
	if (j->heap && len <= j->heap_room - j->heap_len)
		return 0;
	size_t room = 2 * len > CHUNK_BYTES ? 2 * len : CHUNK_BYTES;
	j->heap = jinja_alloc(j, 2, room);
	j->heap_origin = j->heap + room;
	j->heap_len = 0;
	j->heap_room = room;
	return j->heap ? 0 : jinja_no_memory(j);
}

static void heap_add(struct jinja *j, const struct jinja_text *t)
{
	if (!t->len)
		return;
	memcpy(j->heap + j->heap_len, t->bytes, t->len);
	if (t->origin)
		memcpy(j->heap_origin + j->heap_len, t->origin, t->len);
	else
		memset(j->heap_origin + j->heap_len, t->data, t->len);
	j->heap_len += t->len;
}

int jinja_concat(struct jinja *j, const struct jinja_text *a, const struct jinja_text *b,
		 struct jinja_value *out)
{
	size_t len = a->len + b->len;
	bool last = j->heap && a->len && a->bytes + a->len == j->heap + j->heap_len &&
		    b->len <= j->heap_room - j->heap_len;
	if (!last)
		TRY(heap_room(j, len));
	else if (len > JINJA_STRING_BYTES)
		return jinja_fail_long(j);
	TRY(jinja_charge(j, (last ? b->len : len) / 64));
	size_t begin = last ? j->heap_len - a->len : j->heap_len;
	if (!last)
		heap_add(j, a);
	heap_add(j, b);
	return new_text(j,
			(struct jinja_text){ .bytes = j->heap + begin,
					     .origin = j->heap_origin + begin,
					     .len = len },
			out);
}

void jinja_put(struct jinja_out *o, const void *bytes, size_t len, bool data)
{
	char *origin = len ? buf_reserve(&o->origin, len) : NULL;
	buf_add(&o->text, bytes, len);
	if (origin) {
		memset(origin, data, len);
		o->origin.len += len;
	}
}

void jinja_put_text(struct jinja_out *o, const struct jinja_text *t, size_t begin, size_t end)
{
	if (!t->origin) {
		jinja_put(o, t->bytes + begin, end - begin, t->data);
		return;
	}
	buf_add(&o->text, t->bytes + begin, end - begin);
	buf_add(&o->origin, t->origin + begin, end - begin);
}

void jinja_put_times(struct jinja_out *o, const struct jinja_text *t, int64_t times)
{
	for (; times > 0 && o->text.len <= JINJA_STRING_BYTES; times--)
		jinja_put_text(o, t, 0, t->len);
}

int jinja_out_done(struct jinja *j, int rc, struct jinja_out *o, struct jinja_value *out)
{
	if (rc == 0)
		return jinja_out_take(j, o, out);
	jinja_out_free(o);
	return rc;
}

int jinja_add_texts(struct jinja *j, const struct jinja_text *a, const struct jinja_text *b,
		    struct jinja_value *out)
{
	struct jinja_value left = { 0 }, right = { 0 };
	if (!a->markup && !b->markup)
		return jinja_concat(j, a, b, out);
	TRY(jinja_escape(j, a, &left));
	TRY(jinja_escape(j, b, &right));
	TRY(jinja_concat(j, left.text, right.text, out));
	return jinja_mark(j, true, out);
}

int jinja_out_take(struct jinja *j, struct jinja_out *o, struct jinja_value *out)
{
	int rc = o->text.failed || o->origin.failed ? jinja_no_memory(j) : 0;
	if (rc == 0)
		rc = heap_room(j, o->text.len);
	if (rc == 0) {
		size_t begin = j->heap_len;
		struct jinja_text t = { o->text.bytes, o->origin.bytes, o->text.len, false, false };
		heap_add(j, &t);
		t.bytes = j->heap + begin;
		t.origin = j->heap_origin + begin;
		rc = new_text(j, t, out);
	}
	jinja_out_free(o);
	return rc;
}

void jinja_out_free(struct jinja_out *o)
{
	buf_free(&o->text);
	buf_free(&o->origin);
}

int jinja_escape(struct jinja *j, const struct jinja_text *t, struct jinja_value *out)
{
	static const struct {
		char c;
		const char *made;
	} table[] = {
		{ '&', "&amp;" },  { '<', "&lt;" },  { '>', "&gt;" },
		{ '\'', "&#39;" }, { '"', "&#34;" },
	};
	struct jinja_out o = { 0 };
	if (t->markup) {
		*out = (struct jinja_value){ .kind = J_STR, .text = t };
		return 0;
	}
	TRY(jinja_charge(j, t->len / 16));
	for (size_t i = 0; i < t->len; i++) {
		size_t k = 0;
		while (k < 5 && table[k].c != t->bytes[i])
			k++;
		if (k == 5)
			jinja_put_text(&o, t, i, i + 1);
		else
			jinja_put(&o, table[k].made, strlen(table[k].made),
				  t->origin ? t->origin[i] : t->data);
	}
	TRY(jinja_out_take(j, &o, out));
	return jinja_mark(j, true, out);
}

size_t jinja_find(const struct jinja_text *t, const struct jinja_text *needle, size_t from)
{
	if (from > t->len)
		return SIZE_MAX;
	if (!needle->len)
		return from;
	const char *at = memmem(t->bytes + from, t->len - from, needle->bytes, needle->len);
	return at ? (size_t)(at - t->bytes) : SIZE_MAX;
}

int jinja_replace(struct jinja *j, const struct jinja_text *t, const struct jinja_text *old,
		  const struct jinja_text *new, int64_t most, struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	size_t at = 0;
	TRY(jinja_charge(j, t->len / 64));
	for (int64_t i = 0; most < 0 || i < most; i++) {
		size_t found = jinja_find(t, old, old->len || i == 0 ? at : at + 1);
		if (!old->len && i && found <= t->len && found != SIZE_MAX)
			while (found < t->len && ((unsigned char)t->bytes[found] & 0xC0) == 0x80)
				found++;
		if (found == SIZE_MAX)
			break;
		jinja_put_text(&o, t, at, found);
		struct jinja_text gone = { t->bytes + found, t->origin ? t->origin + found : NULL,
					   old->len, t->data, false };
		if (jinja_text_data(&gone) || jinja_text_data(old))
			jinja_put(&o, new->bytes, new->len, true);
		else
			jinja_put_text(&o, new, 0, new->len);
		at = found + old->len;
		if (o.text.len > JINJA_STRING_BYTES)
			break;
	}
	jinja_put_text(&o, t, at, t->len);
	return jinja_out_take(j, &o, out);
}
