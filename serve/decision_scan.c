/* The truthful record of one scanned text: what was seen, scanned, emitted and withheld, in ranges
 * of its bytes; and what the rules found. Form: docs/formats.md, section 8. */
#include "filters/filters.h"
#include "serve/decision.h"

static const char *end_name(enum filter_end end)
{
	static const char *const names[] = { "open", "complete", "blocked", "engine_limit",
					     "disconnected" };
	return names[end];
}

static json_t *range(uint64_t from, uint64_t to)
{
	return from < to ? json_pack("[I,I]", (json_int_t)from, (json_int_t)to) : NULL;
}

/* Ranges of [0, released) that were emitted unchanged: those between the findings. */
static json_t *emitted_ranges(const struct filter_record *r)
{
	json_t *list = json_array();
	uint64_t at = 0;
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		if (r->finding[i].action <= FILTER_NOTICE)
			continue;
		json_array_append_new(list, range(at, r->finding[i].start));
		at = r->finding[i].end;
	}
	json_array_append_new(list, range(at, r->released));
	return list;
}

static json_t *withheld_ranges(const struct filter_record *r)
{
	json_t *list = json_array();
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		const struct filter_finding *x = &r->finding[i];
		if (x->action <= FILTER_NOTICE)
			continue;
		json_array_append_new(list,
				      json_pack("{s:I,s:I,s:s,s:s,s:I}", "start",
						(json_int_t)x->start, "end", (json_int_t)x->end,
						"rules", x->rules, "action",
						filter_action_name(x->action), "replacement",
						(json_int_t)x->replacement_len));
	}
	return list;
}

/* {phase, index, ...}, the same in each finding. */
static json_t *place_json(const struct serve_scan *where)
{
	json_t *o =
		json_pack("{s:s,s:I}", "phase", where->phase, "index", (json_int_t)where->index);
	if (o && where->member) {
		json_object_set_new(o, "member", json_string(where->member));
		json_object_set_new(o, "item", json_integer((json_int_t)where->item));
	}
	return o;
}

/* Where, seen, ...: the truthful scan record. */
static json_t *scan_json(const struct serve_scan *where, const struct filter_record *r)
{
	json_t *o = place_json(where);
	json_t *rest = json_pack("{s:I,s:o,s:o,s:o,s:I,s:o,s:o}", "seen", (json_int_t)r->seen,
				 "seen_digest", json_digest(&r->seen_digest), "scanned",
				 json_array(), "emitted", emitted_ranges(r), "emitted_bytes",
				 (json_int_t)r->emitted_bytes, "emitted_digest",
				 json_digest(&r->emitted_digest), "withheld", withheld_ranges(r));
	if (!o || json_object_update_new(o, rest) < 0) {
		json_decref(o);
		return NULL;
	}
	json_array_append_new(json_object_get(o, "scanned"), range(0, r->scanned));
	json_object_set_new(o, "hold_bound", json_integer((json_int_t)r->hold_bound));
	json_object_set_new(o, "ill_formed", json_integer((json_int_t)r->ill_formed));
	json_object_set_new(o, "end", json_string(end_name(r->end)));
	json_object_set_new(o, "offset",
			    json_integer((json_int_t)(r->end == FILTER_BLOCKED ? r->end_offset
									       : r->released)));
	return o;
}

int serve_notes_init(struct serve_notes *n, struct err *e)
{
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
	int failed = json_array_append_new(n->scans, scan_json(where, r));
	for (size_t i = 0; i < r->findings; i++) {
		const struct filter_finding *x = &r->finding[i];
		json_t *o = place_json(where);
		json_t *rest = json_pack("{s:s,s:I,s:I,s:s}", "rule", x->rules, "start",
					 (json_int_t)x->start, "end", (json_int_t)x->end, "action",
					 filter_action_name(x->action));
		failed |= json_object_update_new(o, rest);
		failed |= json_array_append_new(n->interventions, o);
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
