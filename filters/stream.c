#include "filters/stream.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 1024 /* bytes between two steps of a long piece: bounds memory, changes no result */

/* At the first match of a regex: many a text has none, and it is mapped memory. */
static pcre2_jit_stack *get_stack(void *ctx)
{
	struct filter_stream *f = ctx;
	if (!f->jit_stack)
		f->jit_stack = pcre2_jit_stack_create(32 * 1024, 512 * 1024, NULL);
	return f->jit_stack;
}

/* What the rules read. */
static int open_readers(struct filter_stream *f)
{
	filter_runs_open(f);
	f->match_data = pcre2_match_data_create(2, NULL);
	f->match_context = filter_regex_context();
	if (!f->match_data || !f->match_context)
		return ERR_NOMEM;
	pcre2_jit_stack_assign(f->match_context, get_stack, f);
	TRY(filter_feeds_open(f));
	return filter_windows_open(f);
}

static int open_all(struct filter_stream *f, struct err *e)
{
	TRY(sha256_open(&f->seen_hash, e));
	TRY(sha256_open(&f->emitted_hash, e));
	f->hidden.lead = NOWHERE;
	f->json_out = f->json ? calloc(1, sizeof *f->json_out) : NULL;
	if ((f->json && !f->json_out) || (filter_stream_reads(f) && open_readers(f) < 0))
		return err_set(e, ERR_NOMEM, "out of memory for a filter stream");
	return 0;
}

/* Whether the search for values in a form that the client chose runs. */
static bool is_steered(const struct filter_set *s, unsigned how)
{
	return how & FILTER_STEERED && s->numbers;
}

size_t filter_set_hold(const struct filter_set *s, unsigned how)
{
	size_t width = s->width + (is_steered(s, how) ? filter_steered_bound() : 0);
	return how & FILTER_JSON ? width * JSON_SPREAD + JSON_BARE_MAX + JSON_ESCAPE_MAX : width;
}

int filter_stream_open(struct filter_stream **out, const struct filter_set *s, unsigned how,
		       struct err *e)
{
	*out = NULL;
	struct filter_stream *f =
		calloc(1, s->rules ? sizeof *f : offsetof(struct filter_stream, run));
	if (!f)
		return err_set(e, ERR_NOMEM, "out of memory for a filter stream");
	f->set = s;
	f->shadow = f->record.shadow = how & FILTER_SHADOW;
	f->json = how & FILTER_JSON;
	f->keys_stay = how & FILTER_KEYS_STAY;
	f->shaped = how & FILTER_SHAPED;
	if (is_steered(s, how))
		f->steered = filter_steered_open();
	f->record.hold_bound = filter_set_hold(s, how);
	int r = is_steered(s, how) && !f->steered
			? err_set(e, ERR_NOMEM, "out of memory for a filter stream")
			: open_all(f, e);
	if (r < 0) {
		filter_stream_close(f);
		return r;
	}
	*out = f;
	return 0;
}

void filter_stream_close(struct filter_stream *f)
{
	if (!f)
		return;
	filter_feeds_close(f);
	filter_windows_close(f);
	filter_findings_close(f);
	free(f->json_out);
	free(f->steered);
	pcre2_match_data_free(f->match_data);
	pcre2_match_context_free(f->match_context);
	pcre2_jit_stack_free(f->jit_stack);
	if (f->seen_hash)
		sha256_close(f->seen_hash);
	if (f->emitted_hash)
		sha256_close(f->emitted_hash);
	buf_free(&f->raw);
	buf_free(&f->out);
	arena_free(&f->record_arena);
	free(f);
}

size_t filter_stream_held(const struct filter_stream *f)
{
	return f->record.end == FILTER_OPEN ? f->raw.len : 0;
}

size_t filter_stream_held_max(const struct filter_stream *f) { return f->held_max; }

/* ---- a step */

/* Give all complete units to all views. final: an incomplete one at the end is ill-formed. */
static void feed_text(struct filter_stream *f, bool final)
{
	while (f->fed < f->raw.len) {
		struct json_unit u;
		if (!filter_unit(&f->in_string, f->json, f->raw.bytes + f->fed,
				 f->raw.len - f->fed, final, &u))
			return;
		struct place p = { .cp = u.cp, .start = f->base + f->fed };
		p.end = p.start + u.n;
		if (u.ill) {
			f->record.ill_formed += u.n;
			f->ill_end = p.end;
		}
		f->fed += u.n;
		if (!filter_stream_reads(f))
			continue;
		struct sign s = { .cp = p.cp, .to = 1, .start = p.start, .end = p.end };
		filter_raw_put(f, &s);
		if (f->set->strict)
			filter_hidden_put(f, &p);
		filter_batch_put(f, &s);
		if (f->steered)
			filter_steered_put(f, &s, u.part == JSON_TEXT);
	}
	if (final)
		filter_batch_finish(f);
	if (final && f->steered)
		filter_steered_finish(f);
}

/* Ill-formed bytes among raw[from, fed). */
static uint64_t ill_formed(const struct filter_stream *f, size_t from)
{
	uint64_t sum = 0;
	while (from < f->fed) {
		uint32_t cp;
		int n = text_utf8_decode(f->raw.bytes + from, f->fed - from, &cp);
		size_t used = n > 0 ? (size_t)n : n < 0 ? (size_t)-n : f->fed - from;
		sum += n > 0 ? 0 : used;
		from += used;
	}
	return sum;
}

static void finish(struct filter_stream *f, enum filter_end end)
{
	f->record.end = end;
	f->record.released = f->base;
	f->record.seen_digest = sha256_take(f->seen_hash);
	f->record.emitted_digest = sha256_take(f->emitted_hash);
}

/* A block ends the record where its span ends: how much text came after depends on how it was
 * cut. */
static void finish_block(struct filter_stream *f)
{
	uint64_t end = f->found[f->founds - 1].pub.end;
	size_t n = (size_t)(end - f->base);
	f->record.ill_formed -= ill_formed(f, n);
	sha256_add(f->seen_hash, f->raw.bytes, n);
	f->record.seen = f->record.scanned = end;
	finish(f, FILTER_BLOCKED);
}

/* A limit or a defect: nothing more is released. */
static void finish_closed(struct filter_stream *f, enum filter_end end)
{
	f->record.seen = f->base + f->raw.len;
	f->record.scanned = f->base;
	f->record.end_offset = f->base;
	sha256_add(f->seen_hash, f->raw.bytes, f->raw.len);
	finish(f, end);
}

/* What the end of the text cut short. */
static int cut(struct filter_stream *f)
{
	int rc = filter_windows_scan(f, ALL_WINDOWS, false);
	if (rc == 0)
		rc = filter_windows_cut(f);
	filter_feeds_cut(f);
	return rc;
}

static void step(struct filter_stream *f, bool final)
{
	feed_text(f, final);
	bool ends = final && filter_stream_reads(f);
	int rc = ends && f->cut ? cut(f) : 0;
	if (ends)
		filter_runs_finish(f);
	if (rc < 0 || filter_windows_scan(f, ALL_WINDOWS, final) < 0 || f->engine_limit || f->nomem) {
		finish_closed(f, FILTER_LIMIT);
		return;
	}
	uint64_t limit = f->base + f->fed, a = filter_feeds_hold(f), b = filter_windows_hold(f),
		 c = filter_batch_hold(f), d = filter_runs_hold(f), s = filter_steered_hold(f);
	if (!final && a < limit)
		limit = a;
	if (!final && b < limit)
		limit = b;
	if (!final && c < limit)
		limit = c;
	if (!final && d < limit)
		limit = d;
	if (!final && s < limit)
		limit = s;
	size_t before = f->out.len;
	filter_emit_until(f, limit, final);
	if (f->out.len > before)
		sha256_add(f->emitted_hash, f->out.bytes + before, f->out.len - before);
	f->record.emitted_bytes += f->out.len - before;
	bool blocked = f->record.end == FILTER_BLOCKED; /* then what follows stays, however long */
	if (f->nomem || f->out.failed || (!blocked && f->raw.len > f->record.hold_bound))
		finish_closed(f, FILTER_LIMIT);
	else if (blocked)
		finish_block(f);
}

static void give(struct filter_stream *f, uint64_t begin, struct cleared *out)
{
	if (f->record.end == FILTER_OPEN && f->raw.len > f->held_max)
		f->held_max = f->raw.len;
	*out = (struct cleared){ f->out.bytes ? f->out.bytes : "", f->out.len, begin, f->base };
}

int filter_stream_push(struct filter_stream *f, const void *bytes, size_t len, struct cleared *out,
		       struct err *e)
{
	uint64_t begin = f->base;
	(void)e;
	buf_clear(&f->out);
	for (size_t at = 0; at < len && f->record.end == FILTER_OPEN;) {
		size_t n = len - at < CHUNK ? len - at : CHUNK;
		buf_add(&f->raw, (const char *)bytes + at, n);
		f->nomem |= f->raw.failed;
		at += n;
		step(f, false);
	}
	give(f, begin, out);
	return (int)f->record.end;
}

int filter_stream_end(struct filter_stream *f, struct cleared *out, struct err *e)
{
	uint64_t begin = f->base;
	(void)e;
	buf_clear(&f->out);
	if (f->record.end == FILTER_OPEN)
		step(f, true);
	if (f->record.end == FILTER_OPEN) {
		f->record.seen = f->record.scanned = f->record.end_offset = f->base;
		finish(f, FILTER_COMPLETE);
	}
	give(f, begin, out);
	return (int)f->record.end;
}

void filter_stream_cut(struct filter_stream *f) { f->cut = true; }

void filter_stream_abort(struct filter_stream *f)
{
	buf_clear(&f->out);
	if (f->record.end == FILTER_OPEN)
		finish_closed(f, FILTER_ABORTED);
}

const struct filter_record *filter_stream_record(struct filter_stream *f)
{
	if (f->record.end == FILTER_OPEN) {
		f->record.seen = f->base + f->raw.len;
		f->record.scanned = f->record.released = f->base;
	}
	filter_record_fill(f);
	return &f->record;
}
