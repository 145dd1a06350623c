/* The reader of replies: reasoning, white space around markers, sections of calls; calls
 * themselves are read by their programs. See reply.h for how a position is decided. */
#include "reply/reply_in.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define NO_SECTION SIZE_MAX

/* ---- parts ---- */

/* Whether this piece continues the last run: rewritten text does, and text that follows it directly
 * in the input. */
static bool goes_on(const struct part_run *last, enum reply_part part, uint32_t call,
		    uint64_t place)
{
	bool verbatim = part == REPLY_CONTENT || part == REPLY_REASONING;
	return last->part == part && last->call == call && part != REPLY_CALL_NAME &&
	       (!verbatim || last->place + last->len == place);
}

void reply_parts_add(struct parts *p, enum reply_part part, uint32_t call, uint64_t place,
		     const void *s, size_t len)
{
	struct part_run *last = p->count ? &p->run[p->count - 1] : NULL;
	size_t begin = p->text.len;
	buf_add(&p->text, s, len);
	p->failed |= p->text.failed;
	if (p->failed || !len)
		return;
	if (last && goes_on(last, part, call, place)) {
		last->len += len;
		return;
	}
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 16;
		struct part_run *grown = realloc(p->run, room * sizeof *grown);
		p->failed = !grown;
		if (!grown)
			return;
		p->run = grown;
		p->room = room;
	}
	p->run[p->count++] = (struct part_run){ part, call, begin, len, place, SIZE_MAX };
}

void reply_parts_id(struct parts *p, const char *id, size_t len)
{
	size_t i = p->count;
	while (i && p->run[i - 1].part != REPLY_CALL_NAME)
		i--;
	if (!i || !len || len > REPLY_NAME_BYTES || memchr(id, 0, len))
		return;
	p->run[i - 1].id = p->ids.len;
	buf_add(&p->ids, id, len);
	buf_add_byte(&p->ids, 0);
	p->failed |= p->ids.failed;
}

static void parts_clear(struct parts *p)
{
	buf_clear(&p->text);
	buf_clear(&p->ids);
	p->count = 0;
}

/* All of them get this place. */
static void parts_move(struct parts *to, struct parts *from, uint64_t place)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct part_run *r = &from->run[i];
		reply_parts_add(to, r->part, r->call, place, from->text.bytes + r->begin, r->len);
		if (r->id != SIZE_MAX)
			reply_parts_id(to, from->ids.bytes + r->id,
				       strlen(from->ids.bytes + r->id));
	}
	to->failed |= from->failed;
	parts_clear(from);
}

void reply_parts_free(struct parts *p)
{
	buf_free(&p->text);
	buf_free(&p->ids);
	free(p->run);
	*p = (struct parts){ 0 };
}

/* ---- text and the white space before it ---- */

static void emit_from(struct reply *r, uint64_t place, const char *s, size_t len)
{
	reply_parts_add(&r->out, r->reasoning ? REPLY_REASONING : REPLY_CONTENT, 0, place, s, len);
	r->before = BEFORE_CONTENT;
	r->last = len ? s[len - 1] : r->last;
	r->spoken |= !r->reasoning;
	r->thought |= r->reasoning;
}

void reply_emit(struct reply *r, const char *s, size_t len)
{
	emit_from(r, r->base + (uint64_t)(s - r->text.bytes), s, len);
}

void reply_emit_rest(struct reply *r)
{
	reply_emit(r, r->text.bytes + r->at, r->text.len - r->at);
	r->at = r->text.len;
}

static void drop_blank(struct reply *r)
{
	buf_clear(&r->blank);
	r->blank_keep = NO_SECTION;
}

/* Text follows the held white space: emit it, without the line ends after a marker, which belong to
 * the marker. */
void reply_settle_content(struct reply *r)
{
	size_t skip = 0;
	if (r->before == BEFORE_REASONING || (r->before == BEFORE_CALL && !r->spoken))
		while (skip < r->blank.len && strchr("\r\n", r->blank.bytes[skip]))
			skip++;
	if (skip < r->blank.len)
		emit_from(r, r->blank_at + skip, r->blank.bytes + skip, r->blank.len - skip);
	drop_blank(r);
}

/* A marker follows the held white space: emit it, without the line ends before the marker, which
 * belong to it; between two markers all of it belongs to them. */
void reply_settle_call(struct reply *r)
{
	size_t len = r->blank_keep == NO_SECTION ? r->blank.len : r->blank_keep;
	while (len && strchr("\r\n", r->blank.bytes[len - 1]))
		len--;
	if (len && r->before == BEFORE_CONTENT)
		emit_from(r, r->blank_at, r->blank.bytes, len);
	drop_blank(r);
}

void reply_blank(struct reply *r, const char *s, size_t len)
{
	if (r->blank.len + len > REPLY_BLANK_BYTES)
		reply_settle_content(r);
	if (!r->blank.len)
		r->blank_at = r->base + (uint64_t)(s - r->text.bytes);
	buf_add(&r->blank, s, len);
	r->out.failed |= r->blank.failed;
	/* behind text a marker takes only the line ends right before it */
	if (r->before == BEFORE_CONTENT && r->blank_keep == NO_SECTION && r->blank.len &&
	    !strchr("\r\n", r->blank.bytes[r->blank.len - 1]))
		reply_settle_content(r);
}

static void settle_end(struct reply *r)
{
	if (r->half || (r->cut && r->blank_keep != NO_SECTION)) { /* a mark would have come */
		reply_settle_call(r);
		return;
	}
	if (r->before == BEFORE_REASONING || r->before == BEFORE_CALL) {
		size_t drop = r->blank_keep == NO_SECTION ? r->blank.len : r->blank_keep;
		buf_drop(&r->blank, drop);
		r->blank_at += drop;
	}
	reply_settle_content(r);
}

/* ---- calls ---- */

void reply_open_call(struct reply *r, const struct mark *m, size_t skip)
{
	r->mode = REPLY_CALL;
	r->next = r->at + skip;
	r->body = skip;
	r->call_at = r->base + r->at;
	r->call_mark = m;
	r->committed = false;
	parts_clear(&r->stage);
	r->call.tools = r->tools;
	reply_call_begin(&r->call, m->program, m->at, &r->stage, r->calls);
	r->call.lone = m->how & (MARK_ALONE | MARK_KNOWN);
}

/* Deliver the staged parts of a call. */
static void commit(struct reply *r)
{
	if (!r->committed) {
		reply_settle_call(r);
		r->unclosed |= r->reasoning;
		r->reasoning = false;
		r->thought = true;
		r->committed = true;
	}
	parts_move(&r->out, &r->stage, r->call_at);
	r->at = r->next - (r->call.fed - r->call.delivered);
}

static void call_succeeded(struct reply *r)
{
	commit(r);
	r->calls += r->call.count;
	r->at = r->next;
	r->before = BEFORE_CALL;
	r->section = true;
	r->mode = r->syntax == REPLY_SYNTAX_HARMONY ? REPLY_GAP : REPLY_TEXT;
}

/* The call is broken: emit its text as content, or, if part of it was already given out, what
 * follows that part. */
static void call_failed(struct reply *r)
{
	size_t len = 0;
	bool harmony = r->syntax == REPLY_SYNTAX_HARMONY;
	if (r->committed)
		r->calls += r->call.count - (r->call.named && !r->call.begun);
	else
		len = harmony ? r->body : 1;
	parts_clear(&r->stage);
	reply_settle_content(r);
	r->before = BEFORE_CONTENT;
	reply_emit(r, r->text.bytes + r->at, len);
	r->at += len;
	r->raw_body = harmony;
	r->mode = harmony ? REPLY_BODY : REPLY_TEXT;
}

/* Whether the mark of the call stands before what may become the name of a known tool. */
static bool name_may_come(const struct reply *r)
{
	const json_t *tool;
	size_t i, skip = r->at;
	bool may = false;
	if (!(r->call_mark->how & MARK_KNOWN))
		return false;
	skip += strlen(r->call_mark->text);
	json_array_foreach((json_t *)r->tools, i, tool) {
		const char *name = json_string_value(
			json_object_get(json_object_get(tool, "function"), "name"));
		may = may || (name && strncmp(name, r->text.bytes + skip, r->text.len - skip) == 0);
	}
	return may;
}

/* The text was cut off inside a call: what it has is given out, and of its marks nothing. A call
 * that nothing marks may be no call as long as it has no name. */
static void call_cut(struct reply *r)
{
	if (r->call.lone && !r->call.count && !name_may_come(r)) {
		call_failed(r);
		return;
	}
	if (r->call.count)
		commit(r);
	else
		reply_settle_call(r);
	r->calls += r->call.count;
	r->at = r->next = r->text.len;
	r->before = BEFORE_CALL;
	r->mode = REPLY_TEXT;
}

static bool step_call(struct reply *r, bool end)
{
	while (r->next < r->text.len) {
		enum taken t = reply_call_byte(&r->call, (unsigned char)r->text.bytes[r->next]);
		if (t == TAKE_FAIL) {
			call_failed(r);
			return true;
		}
		r->next++;
		if (t == TAKE_DONE) {
			call_succeeded(r);
			return true;
		}
		if (r->call.begun && r->call.fed >= r->hold)
			commit(r);
	}
	if (!end)
		return false;
	if (r->cut ? r->call.whole : reply_call_end(&r->call))
		call_succeeded(r);
	else if (r->cut)
		call_cut(r);
	else
		call_failed(r);
	return true;
}

/* ---- markers ---- */

/* Whether the reply is only white space so far, so that reasoning may begin. */
static bool fresh(const struct reply *r)
{
	return !r->thought && !r->spoken && r->calls == 0 && r->blank_keep == NO_SECTION;
}

/* Whether the position is the first of a line. */
static bool line_begins(const struct reply *r)
{
	size_t n = r->blank.len;
	while (n && strchr(" \t", r->blank.bytes[n - 1]))
		n--;
	return n || r->before != BEFORE_CONTENT || r->last == '\n';
}

static bool mark_active(const struct reply *r, const struct mark *m)
{
	bool thinks = m->kind == MARK_THINK || m->kind == MARK_UNTHINK;
	bool section = r->blank_keep != NO_SECTION;
	if (r->framed && !thinks && m->kind != MARK_SHOW && !r->tools)
		return false;
	switch (m->kind) {
	case MARK_THINK:
		return fresh(r) || (r->reasoning && r->before == BEFORE_REASONING);
	case MARK_UNTHINK:
		return r->reasoning || r->unclosed || fresh(r);
	case MARK_SECTION:
		return true;
	case MARK_SECTION_END:
		return (r->section || r->calls) && !r->reasoning;
	case MARK_SHOW:
		return !r->reasoning && !r->spoken && !r->shown;
	case MARK_SHOW_END:
		return !r->reasoning && r->shown;
	default:
		break;
	}
	if (r->reasoning) /* a whole section of calls ends reasoning by itself */
		return section || ((m->how & MARK_LINE) && line_begins(r));
	return !(m->how & MARK_INSIDE && !section && !r->section) &&
	       !(m->how & MARK_ALONE && (r->spoken || r->calls));
}

/* The marker at the position, or NULL; *partial: what is there may become one. */
static const struct mark *find_mark(const struct reply *r, bool *partial)
{
	const char *s = r->text.bytes + r->at;
	size_t rest = r->text.len - r->at;
	*partial = false;
	for (const struct mark *m = r->marks; m->text; m++) {
		size_t len = strlen(m->text), n = len < rest ? len : rest;
		if (*s != *m->text || memcmp(s, m->text, n) != 0 || !mark_active(r, m))
			continue;
		if (n == len)
			return m;
		*partial = true;
	}
	return NULL;
}

static void take_mark(struct reply *r, const struct mark *m)
{
	if (m->kind == MARK_CALL) {
		reply_open_call(r, m, 0);
		return;
	}
	const char *s = r->text.bytes + r->at;
	size_t len = strlen(m->text);
	r->at += len;
	if (m->kind == MARK_SECTION) {
		reply_blank(r, s, 0);
		if (r->blank_keep == NO_SECTION)
			r->blank_keep = r->blank.len;
		reply_blank(r, s, len);
	} else if (m->kind == MARK_SECTION_END) {
		drop_blank(r);
		r->section = false;
		r->before = BEFORE_CALL;
	} else if (m->kind == MARK_SHOW || m->kind == MARK_SHOW_END) {
		reply_settle_call(r);
		r->shown = m->kind == MARK_SHOW;
		r->before = BEFORE_REASONING;
	} else {
		if (r->blank_keep != NO_SECTION)
			reply_settle_content(r);
		reply_settle_call(r);
		r->reasoning = m->kind == MARK_THINK;
		r->thought = true;
		r->unclosed = false;
		r->before = BEFORE_REASONING;
	}
}

/* ---- an end of reasoning that nothing began ---- */

static bool is_blank(const char *s, size_t len)
{
	size_t i = 0;
	while (i < len && reply_json_blank((unsigned char)s[i]))
		i++;
	return i == len;
}

/* The first mark of the text from at on, or NULL; *place: where it stands, or where the search is
 * to go on when more text has come. */
static const struct mark *first_mark(const struct reply *r, bool end, size_t *place)
{
	for (size_t i = *place; i < r->text.len; i++) {
		const char *s = r->text.bytes + i;
		size_t rest = r->text.len - i;
		for (const struct mark *m = r->marks; m->text; m++) {
			size_t len = strlen(m->text), n = len < rest ? len : rest;
			bool alone = m->how & MARK_ALONE;
			if (*s != *m->text || memcmp(s, m->text, n) != 0 ||
			    (alone && !is_blank(r->text.bytes + r->at, i - r->at)))
				continue;
			*place = i;
			if (n == len)
				return m;
			if (!end)
				return NULL;
		}
	}
	*place = r->text.len;
	return NULL;
}

/* Where a reply may lack the beginning of its reasoning, wait for the first mark: if it is an end
 * of reasoning that is not quoted, all before it is reasoning. false: wait for more. */
static bool step_unbegun(struct reply *r, bool end)
{
	size_t place = r->at + r->unbegun_seen;
	const struct mark *m = first_mark(r, end, &place);
	r->unbegun_seen = place - r->at;
	if (!m && !end && r->unbegun_seen < r->unbegun)
		return false;
	bool quoted = place > r->at && strchr("`\"'", r->text.bytes[place - 1]);
	if (m && m->kind == MARK_UNTHINK && !quoted && r->unbegun_seen < r->unbegun) {
		r->reasoning = true;
		r->before = BEFORE_REASONING;
	}
	r->unbegun = 0;
	return true;
}

static bool step_text(struct reply *r, bool end)
{
	bool partial;
	if (r->at == r->text.len)
		return false;
	if (r->framed && r->spoken) {
		reply_emit_rest(r);
		return false;
	}
	if (r->unbegun)
		return step_unbegun(r, end);
	const struct mark *m = find_mark(r, &partial);
	if (m) {
		take_mark(r, m);
		return true;
	}
	if (partial && !end)
		return false;
	/* half a mark is no text, nor is its first byte where only marks are to come */
	bool marks = r->blank_keep != NO_SECTION || r->before == BEFORE_CALL;
	if (partial && r->cut && (marks || r->text.len - r->at > 1)) {
		r->at = r->text.len;
		r->half = true;
		return false;
	}
	const char *s = r->text.bytes + r->at;
	r->at++;
	if (reply_json_blank((unsigned char)*s)) {
		reply_blank(r, s, 1);
	} else {
		reply_settle_content(r);
		reply_emit(r, s, 1);
	}
	return true;
}

/* ---- the interface ---- */

int reply_open(struct reply **out, const struct reply_options *o, struct err *e)
{
	*out = NULL;
	check(o->syntax < REPLY_SYNTAXES);
	struct reply *r = calloc(1, sizeof *r);
	if (!r)
		return err_set(e, ERR_NOMEM, "out of memory for a reply");
	r->syntax = o->syntax;
	r->tools = o->tools;
	r->framed = o->framed;
	r->marks = reply_marks(o->syntax);
	r->reasoning = o->reasoning && o->syntax != REPLY_SYNTAX_PLAIN;
	r->before = r->reasoning ? BEFORE_REASONING : BEFORE_NOTHING;
	r->blank_keep = NO_SECTION;
	r->hold = REPLY_HOLD_BYTES;
	r->unbegun = r->reasoning ? 0 : o->unbegun;
	if (o->syntax == REPLY_SYNTAX_HARMONY)
		r->mode = o->reasoning ? REPLY_BODY : REPLY_GAP;
	*out = r;
	return 0;
}

void reply_hold(struct reply *r, size_t bytes) { r->hold = bytes; }

static int make_events(struct reply *r, const struct reply_event **event, size_t *count,
		       struct err *e)
{
	const struct parts *p = &r->out;
	*event = NULL;
	*count = 0;
	if (p->failed || r->stage.failed || r->text.failed)
		return err_set(e, ERR_NOMEM, "out of memory for a reply");
	if (p->count > r->event_room) {
		struct reply_event *grown = realloc(r->event, p->room * sizeof *grown);
		if (!grown)
			return err_set(e, ERR_NOMEM, "out of memory for a reply");
		r->event = grown;
		r->event_room = p->room;
	}
	for (size_t i = 0; i < p->count; i++) {
		const struct part_run *n = &p->run[i];
		const char *id = n->id == SIZE_MAX ? NULL : p->ids.bytes + n->id;
		r->event[i] = (struct reply_event){ n->part, n->call,  p->text.bytes + n->begin,
						    n->len,  n->place, id };
	}
	*event = r->event;
	*count = p->count;
	return 0;
}

static void run(struct reply *r, bool end)
{
	bool more = r->text.bytes != NULL;
	while (more && !r->out.failed && !r->stage.failed && !r->text.failed) {
		if (r->mode == REPLY_CALL)
			more = step_call(r, end);
		else if (r->mode == REPLY_TEXT)
			more = step_text(r, end);
		else
			more = reply_step_harmony(r, end);
	}
	buf_drop(&r->text, r->at);
	r->base += r->at;
	r->next = r->next > r->at ? r->next - r->at : 0;
	r->at = 0;
}

int reply_push(struct reply *r, const char *text, size_t len, const struct reply_event **event,
	       size_t *count, struct err *e)
{
	check(!r->ended);
	parts_clear(&r->out);
	buf_add(&r->text, text, len);
	run(r, false);
	return make_events(r, event, count, e);
}

int reply_end(struct reply *r, bool cut, const struct reply_event **event, size_t *count,
	      struct err *e)
{
	check(!r->ended);
	r->cut = cut;
	parts_clear(&r->out);
	run(r, true);
	settle_end(r);
	r->ended = true;
	return make_events(r, event, count, e);
}

void reply_close(struct reply *r)
{
	if (!r)
		return;
	reply_call_free(&r->call);
	reply_parts_free(&r->out);
	reply_parts_free(&r->stage);
	buf_free(&r->text);
	buf_free(&r->blank);
	free(r->event);
	free(r);
}
