/* Normalizers. Each rewrites the text and carries the origins along: a byte made from any data
 * byte is data. */
#include "tokenizer/tokenizer_in.h"

#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void tokenizer_marked_free(struct marked *m)
{
	buf_free(&m->text);
	buf_free(&m->origin);
}

/* Whether any of m's bytes [begin, end) is data; template when m has no origins. */
static bool is_data(const struct marked *m, size_t begin, size_t end)
{
	return m->origin.bytes && end > begin && memchr(m->origin.bytes + begin, 1, end - begin);
}

static void put(struct marked *out, const struct marked *like, const void *bytes, size_t len,
		bool data)
{
	buf_add(&out->text, bytes, len);
	char *o = like->origin.bytes && len ? buf_reserve(&out->origin, len) : NULL;
	if (o) {
		memset(o, data, len);
		out->origin.len += len;
	}
}

static void copy(struct marked *out, const struct marked *from, size_t begin, size_t end)
{
	buf_add(&out->text, from->text.bytes + begin, end - begin);
	if (from->origin.bytes)
		buf_add(&out->origin, from->origin.bytes + begin, end - begin);
}

/* ---- canonical and compatibility forms ---- */

static utf8proc_option_t form_options(enum step_kind kind)
{
	static const utf8proc_option_t of[] = {
		[STEP_NFC] = UTF8PROC_COMPOSE,
		[STEP_NFD] = UTF8PROC_DECOMPOSE,
		[STEP_NFKC] = UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
		[STEP_NFKD] = UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
	};
	return UTF8PROC_STABLE | of[kind];
}

/* Whether a character never composes or reorders with the text before it, so that the text may be
 * cut there. */
static bool starts_segment(uint32_t cp, utf8proc_option_t options)
{
	utf8proc_int32_t first[32];
	if (cp < 0x300 || !unicode_has_form(cp))
		return true;
	if (utf8proc_decompose_char((utf8proc_int32_t)cp, first, 32, options, NULL) < 1)
		return false;
	const utf8proc_property_t *p = utf8proc_get_property(first[0]);
	bool jamo = first[0] >= 0x1160 && first[0] <= 0x11FF;
	bool mark = p->category >= UTF8PROC_CATEGORY_MN && p->category <= UTF8PROC_CATEGORY_ME;
	return p->combining_class == 0 && !mark && !jamo;
}

static size_t segment_end(const char *s, size_t len, size_t at, utf8proc_option_t options)
{
	uint32_t cp;
	size_t end = at + (size_t)text_utf8_decode(s + at, len - at, &cp);
	while (end < len && unicode_has_form(cp)) {
		int n = text_utf8_decode(s + end, len - end, &cp);
		if (starts_segment(cp, options))
			break;
		end += (size_t)n;
	}
	return end;
}

static int put_form(struct marked *out, const struct marked *in, size_t begin, size_t end,
		    utf8proc_option_t options, struct err *e)
{
	utf8proc_uint8_t *made = NULL;
	utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)in->text.bytes + begin,
					  (utf8proc_ssize_t)(end - begin), &made, options);
	if (n < 0)
		return err_set(e, ERR_INPUT, "Unicode normalisation: %s", utf8proc_errmsg(n));
	put(out, in, made, (size_t)n, is_data(in, begin, end));
	free(made);
	return 0;
}

static int unicode_form(const struct step *s, const struct marked *in, struct marked *out,
			struct err *e)
{
	utf8proc_option_t options = form_options(s->kind);
	const char *text = in->text.bytes;
	for (size_t at = 0, end; at < in->text.len; at = end) {
		uint32_t cp;
		end = segment_end(text, in->text.len, at, options);
		bool alone = end - at == 1;
		if (!alone && text_utf8_decode(text + at, end - at, &cp) > 0)
			alone = !unicode_has_form(cp);
		if (alone)
			copy(out, in, at, end);
		else
			TRY(put_form(out, in, at, end, options, e));
	}
	return 0;
}

/* ---- the others ---- */

/* Cased since the tables of our library: Unicode 16 and 17, which the reference has. */
static uint32_t lower_newer(uint32_t cp)
{
	static const struct {
		uint32_t first, last, lower; /* of the first */
	} newer[] = {
		{ 0x1C89, 0x1C89, 0x1C8A },    { 0xA7CB, 0xA7CB, 0x0264 },
		{ 0xA7CC, 0xA7CC, 0xA7CD },    { 0xA7CE, 0xA7CE, 0xA7CF },
		{ 0xA7D2, 0xA7D2, 0xA7D3 },    { 0xA7D4, 0xA7D4, 0xA7D5 },
		{ 0xA7DA, 0xA7DA, 0xA7DB },    { 0xA7DC, 0xA7DC, 0x019B },
		{ 0x10D50, 0x10D65, 0x10D70 }, { 0x16EA0, 0x16EB8, 0x16EBB },
	};
	for (size_t i = 0; i < sizeof newer / sizeof *newer; i++)
		if (cp >= newer[i].first && cp <= newer[i].last)
			return newer[i].lower + (cp - newer[i].first);
	return cp;
}

static int lowercase(const struct marked *in, struct marked *out)
{
	for (size_t at = 0; at < in->text.len;) {
		uint32_t cp, lower[3];
		char bytes[4];
		size_t n = (size_t)text_utf8_decode(in->text.bytes + at, in->text.len - at, &cp);
		int count = unicode_lower(lower_newer(cp), lower);
		for (int i = 0; i < count; i++)
			put(out, in, bytes, (size_t)text_utf8_encode(lower[i], bytes),
			    is_data(in, at, at + n));
		at += n;
	}
	return 0;
}

static int strip(const struct step *s, const struct marked *in, struct marked *out)
{
	size_t begin = s->left ? unicode_spaces_at_start(in->text.bytes, in->text.len) : 0;
	size_t end = in->text.len;
	if (s->right && begin < end)
		end -= unicode_spaces_at_end(in->text.bytes + begin, end - begin);
	out->cut = begin > 0;
	copy(out, in, begin, end);
	return 0;
}

static int prepend(const struct step *s, const struct marked *in, struct marked *out)
{
	if (in->text.len)
		put(out, in, s->text.bytes, s->text.len, is_data(in, 0, 1));
	copy(out, in, 0, in->text.len);
	return 0;
}

static size_t first_size(const struct marked *m)
{
	uint32_t cp;
	return m->text.len ? (size_t)text_utf8_decode(m->text.bytes, m->text.len, &cp) : 0;
}

static int replace(const struct step *s, struct onig_scratch *scratch, const struct marked *in,
		   struct marked *out, struct err *e)
{
	struct onig_scan scan = { 0 };
	size_t at = 0, begin, end;
	int rc;
	while ((rc = onig_next(s->pattern, scratch, in->text.bytes, in->text.len, &scan, &begin,
			       &end, e)) > 0) {
		if (begin == 0 && end > 0) /* what replaces one character stands in its place */
			out->cut = !s->text.len || end > first_size(in);
		copy(out, in, at, begin);
		put(out, in, s->text.bytes, s->text.len, is_data(in, begin, end));
		at = end;
		if (out->text.len > TOKENIZER_TEXT_BYTES)
			return err_set(e, ERR_INPUT, "normalised text is longer than %zu bytes",
				       TOKENIZER_TEXT_BYTES);
	}
	copy(out, in, at, in->text.len);
	return rc;
}

static int one_step(const struct step *s, struct onig_scratch *scratch, const struct marked *in,
		    struct marked *out, struct err *e)
{
	switch (s->kind) {
	case STEP_LOWERCASE:
		return lowercase(in, out);
	case STEP_STRIP:
		return strip(s, in, out);
	case STEP_PREPEND:
		return prepend(s, in, out);
	case STEP_REPLACE:
		return replace(s, scratch, in, out, e);
	default:
		return unicode_form(s, in, out, e);
	}
}

int tokenizer_normalize(const struct steps_list *l, struct onig_scratch *s, struct marked *text,
			struct err *e)
{
	for (size_t i = 0; i < l->count && text->text.len; i++) {
		struct marked out = { 0 };
		int rc = one_step(&l->at[i], s, text, &out, e);
		out.cut = out.cut || text->cut;
		if (rc == 0)
			rc = buf_done(&out.text, e);
		if (rc == 0)
			rc = buf_done(&out.origin, e);
		if (rc == 0 && out.text.len > TOKENIZER_TEXT_BYTES) /* steps may multiply it */
			rc = err_set(e, ERR_INPUT, "normalised text is longer than %zu bytes",
				     TOKENIZER_TEXT_BYTES);
		tokenizer_marked_free(text);
		*text = out;
		TRY(rc);
	}
	return 0;
}
