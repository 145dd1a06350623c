/* The truthful record of one scanned text: what was seen, scanned, emitted and withheld, in ranges
 * of its bytes; and what the rules found. Form: docs/formats.md, section 8. */
#include "filters/filters.h"
#include "serve/decision.h"

/* [from, to), if it is not empty. */
static void add_range(struct arr *list, uint64_t from, uint64_t to)
{
	struct arr range = { 0 };
	if (from >= to)
		return;
	arr_count(&range, from);
	arr_count(&range, to);
	arr_add(list, arr_take(&range));
}

/* Ranges of [0, released) that were emitted unchanged: those between the findings. */
static void add_emitted(struct obj *o, const struct filter_record *r)
{
	struct arr list = { 0 };
	uint64_t at = 0;
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		if (r->finding[i].action <= FILTER_NOTICE)
			continue;
		add_range(&list, at, r->finding[i].start);
		at = r->finding[i].end;
	}
	add_range(&list, at, r->released);
	obj_array(o, "emitted", &list);
}

static void add_withheld(struct obj *o, const struct filter_record *r)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		const struct filter_finding *x = &r->finding[i];
		struct obj range = { 0 };
		if (x->action <= FILTER_NOTICE)
			continue;
		obj_count(&range, "start", x->start);
		obj_count(&range, "end", x->end);
		obj_text(&range, "rules", x->rules);
		obj_text(&range, "action", filter_action_name(x->action));
		obj_count(&range, "replacement", x->replacement_len);
		arr_object(&list, &range);
	}
	obj_array(o, "withheld", &list);
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

/* Where, seen, ...: the truthful scan record. */
static json_t *scan_json(const struct serve_notes *n, const struct serve_scan *where,
			 const struct filter_record *r)
{
	struct obj o = place_of(where);
	struct arr scanned = { 0 };
	add_range(&scanned, 0, r->scanned);
	if (where->before)
		obj_count(&o, "before", where->before);
	obj_count(&o, "seen", r->seen);
	obj_add(&o, "seen_digest",
		n->discreet && !is_untouched(r) ? json_null() : json_digest(&r->seen_digest));
	obj_array(&o, "scanned", &scanned);
	add_emitted(&o, r);
	obj_count(&o, "emitted_bytes", r->emitted_bytes);
	obj_add(&o, "emitted_digest", json_digest(&r->emitted_digest));
	add_withheld(&o, r);
	obj_count(&o, "hold_bound", r->hold_bound);
	obj_count(&o, "ill_formed", r->ill_formed);
	obj_text(&o, "end", filter_end_name(r->end));
	obj_count(&o, "offset", r->end == FILTER_BLOCKED ? r->end_offset : r->released);
	return obj_take(&o);
}

int serve_notes_init(struct serve_notes *n, bool discreet, struct err *e)
{
	n->discreet = discreet;
	n->scans = json_array();
	n->interventions = json_array();
	return n->scans && n->interventions ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

void serve_notes_free(struct serve_notes *n)
{
	json_decref(n->scans);
	json_decref(n->interventions);
	*n = (struct serve_notes){ 0 };
}

int serve_notes_add(struct serve_notes *n, const struct serve_scan *where,
		    const struct filter_record *r, struct err *e)
{
	int failed = json_array_append_new(n->scans, scan_json(n, where, r));
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
	return failed ? err_set(e, ERR_NOMEM, "out of memory for the record of a scan") : 0;
}

int serve_notes_join(struct serve_notes *n, const struct serve_notes *more, struct err *e)
{
	if (json_array_extend(n->scans, more->scans) < 0 ||
	    json_array_extend(n->interventions, more->interventions) < 0)
		return err_set(e, ERR_NOMEM, "out of memory");
	n->redacted |= more->redacted;
	if (!n->stopped)
		n->stopped = more->stopped;
	return 0;
}
