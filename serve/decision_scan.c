/* The truthful record of one scanned text: what was seen, scanned, emitted and withheld, in ranges
 * of its bytes; and what the rules found. Form: docs/formats.md, section 8. */
#include "base/canonical.h"
#include "filters/filters.h"
#include "serve/decision.h"

static void put_count(struct buf *out, const char *key, uint64_t v)
{
	out->failed |= v > INT64_MAX;
	json_put_int(out, key, (int64_t)v);
}

/* [from, to), if it is not empty. */
static void put_range(struct buf *out, uint64_t from, uint64_t to)
{
	if (from >= to)
		return;
	json_put_open(out, NULL, '[');
	put_count(out, NULL, from);
	put_count(out, NULL, to);
	json_put_close(out, ']');
}

/* Ranges of [0, released) that were emitted unchanged: those between the findings. */
static void put_emitted(struct buf *out, const struct filter_record *r)
{
	uint64_t at = 0;
	json_put_open(out, "emitted", '[');
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		if (r->finding[i].action <= FILTER_NOTICE)
			continue;
		put_range(out, at, r->finding[i].start);
		at = r->finding[i].end;
	}
	put_range(out, at, r->released);
	json_put_close(out, ']');
}

static void put_withheld(struct buf *out, const struct filter_record *r)
{
	json_put_open(out, "withheld", '[');
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		const struct filter_finding *x = &r->finding[i];
		if (x->action <= FILTER_NOTICE)
			continue;
		json_put_open(out, NULL, '{');
		json_put_text(out, "action", filter_action_name(x->action));
		put_count(out, "end", x->end);
		put_count(out, "replacement", x->replacement_len);
		json_put_text(out, "rules", x->rules);
		put_count(out, "start", x->start);
		json_put_close(out, '}');
	}
	json_put_close(out, ']');
}

/* phase, index, ...: the same in each finding. */
static struct obj place_of(const struct serve_scan *where)
{
	struct obj o = { 0 };
	obj_text(&o, "phase", where->phase);
	obj_count(&o, "index", where->index);
	if (where->member) {
		obj_text(&o, "member", where->member);
		obj_count(&o, "item", where->item);
	}
	return o;
}

/* Whether all of the text was let through as it came. */
static bool is_untouched(const struct filter_record *r)
{
	for (size_t i = 0; i < r->findings; i++)
		if (!r->shadow && r->finding[i].action > FILTER_NOTICE)
			return false;
	return r->end == FILTER_COMPLETE;
}

/* The truthful scan record. A request may have thousands of texts: as values of JSON these would
 * take kilobytes each, and more time than all else that is done for them. */
static void put_scan(struct serve_notes *n, const struct serve_scan *where,
		     const struct filter_record *r)
{
	struct buf *out = &n->scans;
	bool secret = n->discreet && !is_untouched(r);
	json_put_open(out, NULL, '{');
	if (where->before)
		put_count(out, "before", where->before);
	put_emitted(out, r);
	put_count(out, "emitted_bytes", r->emitted_bytes);
	json_put_digest(out, "emitted_digest", &r->emitted_digest);
	json_put_text(out, "end", filter_end_name(r->end));
	put_count(out, "hold_bound", r->hold_bound);
	put_count(out, "ill_formed", r->ill_formed);
	put_count(out, "index", where->index);
	if (where->member) {
		put_count(out, "item", where->item);
		json_put_text(out, "member", where->member);
	}
	put_count(out, "offset", r->end == FILTER_BLOCKED ? r->end_offset : r->released);
	json_put_text(out, "phase", where->phase);
	json_put_open(out, "scanned", '[');
	put_range(out, 0, r->scanned);
	json_put_close(out, ']');
	put_count(out, "seen", r->seen);
	json_put_digest(out, "seen_digest", secret ? NULL : &r->seen_digest);
	put_withheld(out, r);
	json_put_close(out, '}');
	n->scan_count++;
}

int serve_notes_init(struct serve_notes *n, bool discreet, struct err *e)
{
	n->discreet = discreet;
	n->interventions = json_array();
	return n->interventions ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

void serve_notes_free(struct serve_notes *n)
{
	buf_free(&n->scans);
	json_decref(n->interventions);
	*n = (struct serve_notes){ 0 };
}

int serve_notes_add(struct serve_notes *n, const struct serve_scan *where,
		    const struct filter_record *r, struct err *e)
{
	int failed = 0;
	put_scan(n, where, r);
	for (size_t i = 0; i < r->findings; i++) {
		const struct filter_finding *x = &r->finding[i];
		struct obj o = { 0 };
		if (x->end <= where->before)
			continue;
		o = place_of(where);
		obj_text(&o, "rule", x->rules);
		obj_count(&o, "start", x->start);
		obj_count(&o, "end", x->end);
		obj_text(&o, "action", filter_action_name(x->action));
		failed |= json_array_append_new(n->interventions, obj_take(&o));
		n->redacted |= !r->shadow && x->action > FILTER_NOTICE;
	}
	if (failed || n->scans.failed)
		return err_set(e, ERR_NOMEM, "out of memory for the record of a scan");
	return 0;
}

int serve_notes_add_given(struct serve_notes *n, const json_t *scans, const json_t *interventions,
			  struct err *e)
{
	const json_t *scan;
	size_t i;
	json_array_foreach((json_t *)scans, i, scan)
		json_put_value(&n->scans, NULL, scan);
	n->scan_count += json_array_size(scans);
	if (n->scans.failed || json_array_extend(n->interventions, (json_t *)interventions) < 0)
		return err_set(e, ERR_NOMEM, "out of memory");
	return 0;
}

int serve_notes_join(struct serve_notes *n, const struct serve_notes *more, struct err *e)
{
	if (n->scans.len && more->scans.len)
		buf_add_byte(&n->scans, ',');
	buf_add(&n->scans, more->scans.bytes, more->scans.len);
	n->scan_count += more->scan_count;
	if (n->scans.failed || json_array_extend(n->interventions, more->interventions) < 0)
		return err_set(e, ERR_NOMEM, "out of memory");
	n->redacted |= more->redacted;
	if (!n->stopped)
		n->stopped = more->stopped;
	return 0;
}
