/* Runs of base64 and hexadecimal digits: what they encode is read as a text of its own, once.
 *
 * A run is text if nine of ten of its bytes so far are (UTF-8, or UTF-16 that begins with a Latin
 * letter, least byte first). It is a candidate from its first digit on, held only while all it
 * encodes may be text: most words are none after two or three letters, and a picture or a digest
 * after a few. At RUN_MIN digits it opens: windows and feeds of its own read it, and hold what may
 * still match in it. It ends with the first other sign, or when it is text no longer; that is the
 * end of its text. A line break does not end an open run, but what ends in front of it counts.
 *
 * In front of the text stand the characters in front of the run, so that a word there is context of
 * a value in it. base64 begins anew behind / + - _, which stand as often between words: one
 * candidate for each of the four ways to count digits in fours.
 * Sources: RFC 4648 sections 4, 5, 8; RFC 2045 section 6.8. */
#include "base/text.h"
#include "filters/stream.h"

#include <string.h>

/* ---- digits */

enum { DIGIT_NONE = -1 };

static int base64_digit(uint32_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (int)c - 'A';
	if (c >= 'a' && c <= 'z')
		return (int)c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return (int)c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : DIGIT_NONE;
}

static int hex_digit(uint32_t c)
{
	if (c >= '0' && c <= '9')
		return (int)c - '0';
	uint32_t lower = c | 32;
	return lower >= 'a' && lower <= 'f' ? (int)lower - 'a' + 10 : DIGIT_NONE;
}

static bool is_hex(const struct run *r) { return r->encoding == FILTER_DECODE_HEX; }

static int digit_bits(const struct run *r) { return is_hex(r) ? 4 : 6; }

/* ---- what is text */

static bool printable(uint32_t cp)
{
	return cp >= 0x20 ? cp != 0x7F && (cp < 0x80 || cp > 0x9F)
			  : cp == '\t' || cp == '\n' || cp == '\r';
}

static bool sign_of_cjk(uint32_t cp)
{
	return (cp >= 0x2010 && cp < 0x2070) || (cp >= 0x3000 && cp < 0x3040) ||
	       (cp >= 0xFF00 && cp < 0xFF70);
}

/* Whether a first byte of text may begin with this digit. */
static bool may_begin(const struct run *r, int digit)
{
	if (is_hex(r))
		return digit == 0 || (digit >= 2 && digit <= 7) || digit >= 12;
	return digit == 2 || digit == 3 || (digit >= 8 && digit < 32) ||
	       (digit >= 48 && digit < 62);
}

/* ---- windows and feeds of a run */

static struct window *window_of(struct filter_stream *f, const struct run *r, enum text_view v)
{
	return &f->window[READING_WINDOWS + (int)(r - f->run) * (TEXT_VIEWS - 1) + (int)v -
			  TEXT_PLAIN];
}

static enum source source_of(const struct filter_stream *f, const struct run *r)
{
	return (enum source)(SOURCE_RUNS + (r - f->run));
}

static void give(struct filter_stream *f, struct run *r, const struct sign *s)
{
	for (int v = TEXT_PLAIN; v < TEXT_VIEWS; v++)
		filter_window_put(f, window_of(f, r, (enum text_view)v), s);
	filter_source_sign(f, source_of(f, r), s);
}

static void open_run(struct filter_stream *f, struct run *r)
{
	r->open = true;
	for (int v = TEXT_PLAIN; v < TEXT_VIEWS; v++)
		filter_window_begin(f, window_of(f, r, (enum text_view)v),
				    &f->window[v * READINGS + READING_DIRECT], r->start);
	for (int i = 0; i < r->waits; i++)
		give(f, r, &r->wait[i]);
}

static void close_run(struct filter_stream *f, struct run *r)
{
	for (int v = TEXT_PLAIN; r->open && v < TEXT_VIEWS; v++)
		filter_window_finish(f, window_of(f, r, (enum text_view)v));
	if (r->open)
		filter_source_reset(f, source_of(f, r));
	r->on = r->open = false;
}

/* ---- bytes */

static void put_sign(struct filter_stream *f, struct run *r, uint32_t cp, const struct sign *last)
{
	struct sign s = { .cp = cp,
			  .made = r->made,
			  .to = (uint8_t)(r->part_chars < 255 ? r->part_chars : 255),
			  .start = r->part_start,
			  .end = last->end };
	r->made = (uint8_t)(r->encoding | last->made);
	r->part_n = 0;
	r->part_chars = 0;
	if (r->open)
		give(f, r, &s);
	else if (r->waits < RUN_WAIT)
		r->wait[r->waits++] = s;
}

static void byte_wide(struct filter_stream *f, struct run *r, uint8_t b, const struct sign *last)
{
	r->part[r->part_n++] = (char)b;
	if (r->part_n < 2)
		return;
	uint32_t cp = (uint8_t)r->part[0] | (uint32_t)b << 8;
	bool text = cp < 0x700 ? printable(cp) : filter_view_alnum(cp) || sign_of_cjk(cp);
	r->bad += text ? 0 : 2;
	put_sign(f, r, text ? cp : 0xFFFD, last);
}

static void byte_utf8(struct filter_stream *f, struct run *r, uint8_t b, const struct sign *last)
{
	uint32_t cp;
	r->part[r->part_n++] = (char)b;
	int n = text_utf8_decode(r->part, (size_t)r->part_n, &cp);
	if (n == 0)
		return;
	bool text = n > 0 && printable(cp);
	r->bad += text ? 0 : (unsigned)r->part_n;
	put_sign(f, r, text ? cp : 0xFFFD, last);
}

/* A second byte of nought is the other half of a letter. */
static void byte_put(struct filter_stream *f, struct run *r, uint8_t b, const struct sign *last)
{
	if (r->bytes == 1 && b == 0 && r->waits == 1) {
		r->wide = true;
		r->waits = 0;
		r->part[0] = (char)r->wait[0].cp;
		r->part_n = 1;
		r->part_start = r->wait[0].start;
		r->part_chars = r->wait[0].to;
		r->bad = 0;
	}
	r->bytes++;
	if (r->part_n == 0)
		r->part_start = r->before_start;
	r->part_chars += r->last_chars;
	if (r->wide)
		byte_wide(f, r, b, last);
	else
		byte_utf8(f, r, b, last);
}

/* ---- the run */

static void begin(struct run *r, const struct sign *s)
{
	r->on = true;
	r->open = r->wide = r->pairs = false;
	r->made = (uint8_t)r->encoding;
	r->have = r->part_n = r->waits = 0;
	r->digits = r->line = r->wrapped = r->bytes = r->bad = r->part_chars = 0;
	r->start = s->start;
}

static void digit_put(struct filter_stream *f, struct run *r, int digit, const struct sign *s)
{
	int width = digit_bits(r);
	r->bits = (r->bits << width | (uint32_t)digit) & 0xFFFF;
	r->have += width;
	r->digits++;
	r->line++;
	r->made |= s->made;
	r->last_chars = (uint32_t)(s->to - s->from) * 2 + r->wrapped;
	r->wrapped = 0;
	if (r->have >= 8) {
		r->have -= 8;
		byte_put(f, r, (uint8_t)(r->bits >> r->have), s);
	}
	r->before_start = s->start;
	if (r->bad * 10 > r->bytes)
		close_run(f, r);
	else if (r->on && !r->open && r->digits >= RUN_MIN)
		open_run(f, r);
}

/* A line break, or spaces behind one, in front of the next line of a run. */
static bool may_wrap(struct filter_stream *f, struct run *r, const struct sign *s)
{
	if (!r->wrapped && (r->line < RUN_LINE || (!r->open && r->digits % 4)))
		return false;
	if (s->cp == '\n' || s->cp == '\r') {
		if (r->line > 0 && r->open)
			for (int v = TEXT_PLAIN; v < TEXT_VIEWS; v++)
				filter_window_peek(f, window_of(f, r, (enum text_view)v));
		r->line = 0;
		return ++r->wrapped <= RUN_WRAP_MAX;
	}
	return r->wrapped && (s->cp == ' ' || s->cp == '\t') && ++r->wrapped <= RUN_WRAP_MAX;
}

/* Hexadecimal digits in pairs: "34 31 31", "34:31:31", "34, 31, 31". */
static bool may_part(struct run *r, const struct sign *s)
{
	if (!is_hex(r) || !s->cp || s->cp > ':' || !strchr(" ,:-\n\r", (int)s->cp) ||
	    r->wrapped >= 2)
		return false;
	if (r->digits == 2)
		r->pairs = true;
	if (!r->pairs || (r->line != 2 && !r->wrapped))
		return false;
	r->line = 0;
	r->wrapped++;
	return true;
}

static void run_put(struct filter_stream *f, struct run *r, const struct sign *s, bool fresh)
{
	int digit = is_hex(r) ? hex_digit(s->cp) : base64_digit(s->cp);
	if (s->to - s->from > RUN_SIGN_MAX)
		digit = DIGIT_NONE;
	if (digit == DIGIT_NONE) {
		/* Padding counts as digits. */
		unsigned pads = s->cp == '=' && !is_hex(r) ? (4 - r->digits % 4) % 4 : 0;
		if (r->on && !r->open && pads && r->digits + pads >= RUN_MIN)
			open_run(f, r);
		if (r->on && !may_part(r, s) && (r->pairs || !may_wrap(f, r, s)))
			close_run(f, r);
		return;
	}
	if (fresh && !r->on && may_begin(r, digit))
		begin(r, s);
	if (r->on && r->pairs && r->line == 2)
		close_run(f, r);
	if (!r->on)
		return;
	digit_put(f, r, digit, s);
}

/* What a character can be; a digit that is written too long is none. */
enum { CLASS_BASE64 = 1, CLASS_HEX = 2, CLASS_SIGN = 4, CLASS_DECIMAL = 8, CLASS_X = 16 };
static const uint8_t class_of[128] = {
#define DECIMAL (CLASS_BASE64 | CLASS_HEX | CLASS_DECIMAL)
#define BOTH (CLASS_BASE64 | CLASS_HEX)
	['0' ... '9'] = DECIMAL,
	['a' ... 'f'] = BOTH,
	['A' ... 'F'] = BOTH,
	['g' ... 'w'] = CLASS_BASE64,
	['G' ... 'W'] = CLASS_BASE64,
	['y' ... 'z'] = CLASS_BASE64,
	['Y' ... 'Z'] = CLASS_BASE64,
	['+'] = CLASS_BASE64 | CLASS_SIGN,
	['/'] = CLASS_BASE64 | CLASS_SIGN,
	['-'] = CLASS_BASE64 | CLASS_SIGN,
	['_'] = CLASS_BASE64 | CLASS_SIGN,
	['x'] = CLASS_BASE64 | CLASS_X,
	['X'] = CLASS_BASE64 | CLASS_X,
};

void filter_runs_put(struct filter_stream *f, const struct sign *s)
{
	struct runs_place *p = &f->runs;
	uint8_t c = s->cp < 128 && s->to - s->from <= RUN_SIGN_MAX ? class_of[s->cp] : 0;
	/* Inside of a word base64 does not begin, and hexadecimal digits do behind an x or with a
	 * decimal. */
	bool word = p->before & CLASS_BASE64 && !(p->before & CLASS_SIGN);
	int fresh = c & CLASS_BASE64 && !word ? (int)(p->digits % 4) : DIGIT_NONE;
	bool hex_fresh = c & CLASS_HEX && !(p->before & CLASS_HEX) &&
			 (!word || c & CLASS_DECIMAL || p->before & CLASS_X);
	p->digits = c & CLASS_BASE64 ? p->digits + 1 : 0;
	p->before = c;
	if (!p->any && fresh == DIGIT_NONE && !hex_fresh)
		return;
	p->any = false;
	for (int i = 0; i < RUNS; i++) {
		struct run *r = &f->run[i];
		bool here = is_hex(r) ? hex_fresh : i == fresh;
		if (!(r->encoding & f->set->decodes) || (!r->on && !here))
			continue;
		run_put(f, r, s, here);
		p->any |= r->on;
	}
}

void filter_runs_open(struct filter_stream *f)
{
	for (int i = 0; i < RUNS; i++)
		f->run[i].encoding = i < 4 ? FILTER_DECODE_BASE64 : FILTER_DECODE_HEX;
}

void filter_runs_finish(struct filter_stream *f)
{
	for (int i = 0; i < RUNS; i++)
		close_run(f, &f->run[i]);
}

uint64_t filter_runs_hold(const struct filter_stream *f)
{
	uint64_t hold = NOWHERE;
	for (int i = 0; f->runs.any && i < RUNS; i++) {
		const struct run *r = &f->run[i];
		if (!r->on)
			continue;
		/* An open run holds what is no whole character yet; its windows hold the rest. */
		uint64_t at = !r->open ? r->start : r->part_n ? r->part_start : r->before_start;
		hold = at < hold ? at : hold;
	}
	return hold;
}
