/* The log's verbs: verify, list, show, prove, check offline, erase. */
#include "audit/proven.h"
#include "audit/subject.h"
#include "audit/whole.h"
#include "base/file.h"
#include "base/text.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>

static void add_findings(struct obj *o, const char *name, const struct audit_problem *list,
			 size_t count, size_t room)
{
	struct arr out = { 0 };
	for (size_t i = 0; i < count && i < room; i++) {
		struct obj item = { 0 };
		obj_text(&item, "kind", list[i].kind);
		obj_text(&item, "detail", list[i].text);
		arr_object(&out, &item);
	}
	obj_array(o, name, &out);
}

/* Those of a later version, without which the log is not checked whole, and types that came later.
 */
static void add_unread(struct obj *o, const struct audit_verdict *v)
{
	struct arr out = { 0 };
	for (size_t i = 0; i < v->unreads && i < sizeof v->unread / sizeof *v->unread; i++) {
		const struct audit_unread *u = &v->unread[i];
		struct obj item = { 0 };
		obj_text(&item, "kind", "unread");
		obj_count(&item, "index", u->index);
		obj_text(&item, "type", u->type);
		obj_count(&item, "v", u->version);
		arr_object(&out, &item);
	}
	obj_array(o, "unread", &out);
}

/* What the vault no longer holds, by the log's own words. */
static void add_gone(struct obj *o, const char *name, const struct audit_verdict *v, bool lost)
{
	struct arr out = { 0 };
	for (size_t i = 0; i < v->gones && i < sizeof v->gone / sizeof *v->gone; i++) {
		const struct audit_gone *g = &v->gone[i];
		char text[80];
		struct obj item = { 0 };
		if (g->lost != lost)
			continue;
		snprintf(text, sizeof text,
			 lost ? "lost, as entry %llu states" : "erased by entry %llu",
			 (unsigned long long)g->by);
		obj_count(&item, "first", g->first);
		obj_count(&item, "last", g->last);
		obj_count(&item, "by", g->by);
		obj_text(&item, "detail", text);
		arr_object(&out, &item);
	}
	obj_array(o, name, &out);
}

static int describe(const struct audit_verdict *v, json_t **report, struct err *e)
{
	struct obj o = { 0 };
	size_t room = sizeof v->problem / sizeof *v->problem;
	obj_bool(&o, "ok", v->ok);
	obj_count(&o, "size", v->size);
	obj_add(&o, "root", json_digest(&v->root));
	obj_text(&o, "origin", v->origin);
	add_findings(&o, "problems", v->problem, v->problems, room);
	obj_count(&o, "problem_count", v->problems);
	add_findings(&o, "remarks", v->remark, v->remarks, room);
	obj_count(&o, "remark_count", v->remarks);
	add_unread(&o, v);
	obj_count(&o, "unread_count", v->unreads);
	obj_count(&o, "newer", v->newer);
	obj_count(&o, "incomplete", v->incomplete);
	add_gone(&o, "erased", v, false);
	obj_count(&o, "erased_count", v->erased);
	add_gone(&o, "lost", v, true);
	obj_count(&o, "lost_count", v->lost);
	return obj_done(&o, report, e);
}

int flow_audit_verify(struct flow *f, const char *path, const char *vkey, json_t **report,
		      struct err *e)
{
	char own[LIMIT_PATH_BYTES];
	if (!f && (!path || !vkey))
		return err_set(e, ERR_USAGE,
			       "give a log folder and its verifier key, or a state folder");
	if (!path) {
		TRY(flow_path(f, "log", own, e));
		path = own;
	}
	struct audit_verdict *v = calloc(1, sizeof *v);
	if (!v)
		return err_set(e, ERR_NOMEM, "out of memory");
	int rc = audit_verify(path, vkey ? vkey : f->vkey, path == own ? f->store : NULL, v, e);
	if (rc == 0 && path == own)
		rc = audit_verify_keys(path, vkey ? vkey : f->vkey, f->store, f->keys, v, e);
	if (rc == 0)
		rc = describe(v, report, e);
	free(v);
	return rc;
}

static int read_entry(struct flow *f, uint64_t index, struct buf *text, json_t **entry,
		      struct err *e)
{
	TRY(audit_log_entry(f->log, index, text, e));
	return json_read(entry, text->bytes, text->len, LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH, e);
}

int flow_audit_list(struct flow *f, uint64_t first, uint64_t count, json_t **report, struct err *e)
{
	uint64_t size = audit_log_size(f->log);
	json_t *list = json_array();
	int rc = 0;
	for (uint64_t i = first; rc == 0 && i < size && i - first < count; i++) {
		struct buf text = { 0 };
		json_t *entry = NULL;
		rc = read_entry(f, i, &text, &entry, e);
		if (rc == 0)
			json_array_append_new(list, json_pack("{s:I,s:O}", "index", (json_int_t)i,
							      "entry", entry));
		json_decref(entry);
		buf_free(&text);
	}
	if (rc < 0) {
		json_decref(list);
		return rc;
	}
	*report = json_pack("{s:I,s:o}", "size", (json_int_t)size, "entries", list);
	return json_ok(*report, e);
}

int flow_audit_show(struct flow *f, uint64_t index, bool disclose, json_t **report, struct err *e)
{
	struct buf text = { 0 };
	json_t *entry = NULL, *vault = NULL;
	int rc = read_entry(f, index, &text, &entry, e);
	if (rc == 0 && disclose &&
	    json_object_get(entry, "fields")) /* else all of it is in clear */
		rc = audit_vault_read(f->log, index, &vault, e);
	if (rc == ERR_NOTFOUND && entry)
		rc = audit_vault_why(f->log, index, e);
	if (rc == 0) {
		struct digest leaf = digest_tagged(0, text.bytes, text.len, NULL, 0);
		*report = json_pack("{s:I,s:o,s:O,s:O*}", "index", (json_int_t)index, "leaf",
				    json_digest(&leaf), "entry", entry, "disclosed", vault);
		rc = json_ok(*report, e);
	}
	json_decref(entry);
	json_decref(vault);
	buf_free(&text);
	return rc;
}

/* `extra` of a receipt: {"entry": canonical text, "fields": [...]}. It is not authenticated by the
 * proof: the entry counts because its hash is the proven leaf, the fields because their commitments
 * give the entry's root. */
static int make_extra(struct flow *f, uint64_t index, bool disclose, const char *const *shown,
		      struct buf *out, struct err *e)
{
	struct buf text = { 0 };
	json_t *entry = NULL, *vault = NULL, *extra = NULL;
	int rc = read_entry(f, index, &text, &entry, e);
	if (rc == 0 && disclose && json_object_get(entry, "fields"))
		rc = audit_vault_read(f->log, index, &vault, e);
	if (rc == ERR_NOTFOUND)
		rc = 0; /* erased: the proof stands, nothing can be disclosed */
	if (rc == 0 && vault && shown)
		rc = audit_fields_close(json_object_get(vault, "fields"), shown, e);
	if (rc == 0) {
		extra = json_pack("{s:s%,s:O*}", "entry", text.bytes, text.len, "fields",
				  json_object_get(vault, "fields"));
		rc = json_ok(extra, e);
	}
	if (rc == 0)
		rc = json_write_canonical(extra, out, e);
	json_decref(extra);
	json_decref(entry);
	json_decref(vault);
	buf_free(&text);
	return rc;
}

int flow_audit_proof(struct flow *f, uint64_t index, bool disclose, const char *const *shown,
		     struct buf *out, struct err *e)
{
	struct buf extra = { 0 };
	int rc = make_extra(f, index, disclose, shown, &extra, e);
	if (rc == 0)
		rc = audit_log_proof(f->log, index, extra.bytes, extra.len, out, e);
	buf_free(&extra);
	return rc;
}

static int add_line(const struct audit_proven *p, struct buf *out, struct err *e)
{
	text_base64(out, p->entry.bytes, p->entry.len);
	buf_add_byte(out, '.');
	text_base64(out, p->proof.bytes, p->proof.len);
	return buf_done(out, e);
}

static void free_proven(struct audit_proven *p)
{
	buf_free(&p->entry);
	buf_free(&p->proof);
}

int flow_audit_proof_line(struct flow *f, uint64_t index, struct buf *out, struct err *e)
{
	struct audit_proven p = { 0 };
	int rc = audit_log_entry(f->log, index, &p.entry, e);
	if (rc == 0)
		rc = audit_log_proof(f->log, index, NULL, 0, &p.proof, e);
	if (rc == 0)
		rc = add_line(&p, out, e);
	free_proven(&p);
	return rc;
}

int flow_append_line(struct flow *f, const struct audit_record *r, struct audit_receipt *out,
		     struct buf *line, struct err *e)
{
	struct audit_proven p = { 0 };
	if (f->read_only)
		return err_set(e, ERR_CONFLICT, "the state folder is open for reading only");
	TRY(flow_start(f, e));
	int rc = audit_log_append_proven(f->log, r, out, &p, e);
	if (rc == 0)
		rc = add_line(&p, line, e);
	free_proven(&p);
	return rc;
}

static int check_fields(const struct buf *entry, json_t *fields, json_t *report, struct err *e)
{
	if (!fields)
		return 0;
	TRY(audit_fields_check(entry->bytes, entry->len, fields, e));
	json_t *shown = json_object(), *item;
	size_t i;
	json_array_foreach(fields, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));
		if (name)
			json_object_set(shown, name, json_object_get(item, "value"));
	}
	json_object_set_new(report, "fields", shown);
	return 0;
}

/* What a receipt file holds, taken apart. */
struct receipt {
	struct buf proof, entry;
	json_t *fields; /* disclosed, or NULL */
};

static void receipt_free(struct receipt *r)
{
	buf_free(&r->proof);
	buf_free(&r->entry);
	json_decref(r->fields);
}

/* Of a .tlog-proof: its extra is the entry, or has it as a member beside the disclosed fields. */
static int take_extra(struct receipt *r, struct err *e)
{
	struct buf extra = { 0 };
	json_t *o = NULL;
	int rc = audit_proof_extra(r->proof.bytes, r->proof.len, &extra, e);
	if (rc == 0)
		rc = json_read(&o, extra.bytes, extra.len, MIB(16), LIMIT_JSON_DEPTH, e);
	const json_t *inner = json_object_get(o, "entry");
	if (rc == 0 && json_is_string(inner)) {
		buf_add(&r->entry, json_string_value(inner), json_string_length(inner));
		r->fields = json_incref(json_object_get(o, "fields"));
	} else if (rc == 0) {
		buf_add(&r->entry, extra.bytes, extra.len);
	}
	json_decref(o);
	buf_free(&extra);
	return rc < 0 ? rc : buf_done(&r->entry, e);
}

/* Of the short form: ENTRY.PROOF in base64. */
static int take_line(struct receipt *r, const char *text, size_t len, struct err *e)
{
	const char *dot = memchr(text, '.', len);
	if (!dot || text_unbase64(&r->entry, text, (size_t)(dot - text)) < 0 ||
	    text_unbase64(&r->proof, dot + 1, len - (size_t)(dot + 1 - text)) < 0)
		return err_set(e, ERR_INPUT,
			       "neither a .tlog-proof nor a receipt as answers carry it");
	TRY(buf_done(&r->entry, e));
	return buf_done(&r->proof, e);
}

static int read_receipt(const char *path, struct receipt *r, struct err *e)
{
	struct buf raw = { 0 };
	size_t len;
	TRY(file_read(path, MIB(16), &raw, e));
	if (raw.len && text_starts(raw.bytes, "c2sp.org/")) {
		r->proof = raw;
		return take_extra(r, e);
	}
	for (len = raw.len; len && strchr(" \r\n", raw.bytes[len - 1]);)
		len--;
	int rc = take_line(r, raw.bytes ? raw.bytes : "", len, e);
	buf_free(&raw);
	return rc;
}

static int check_receipt(const struct receipt *r, const char *vkey, json_t *report, struct err *e)
{
	json_t *parsed;
	uint64_t index = 0;
	TRY(audit_proof_check(r->proof.bytes, r->proof.len, r->entry.bytes, r->entry.len, vkey,
			      &index, e));
	TRY(json_read(&parsed, r->entry.bytes, r->entry.len, LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH,
		      e));
	json_object_set_new(report, "index", json_integer((json_int_t)index));
	json_object_set(report, "type", json_object_get(parsed, "type"));
	json_object_set_new(report, "entry", parsed);
	return check_fields(&r->entry, r->fields, report, e);
}

int flow_audit_check(const char *receipt_path, const char *vkey, json_t **report, struct err *e)
{
	struct receipt r = { 0 };
	TRY(audit_vkey_check(vkey, e)); /* could not check is not: checked, and wrong */
	if (!file_exists(receipt_path))
		return err_set(e, ERR_NOTFOUND, "%s: no such file", receipt_path);
	*report = json_pack("{s:b}", "ok", true);
	TRY(json_ok(*report, e));
	int rc = read_receipt(receipt_path, &r, e);
	if (rc == 0)
		rc = check_receipt(&r, vkey, *report, e);
	if (rc == ERR_VERIFY || rc == ERR_INPUT || rc == ERR_NOTFOUND) {
		json_object_clear(*report);
		json_object_set_new(*report, "ok", json_false());
		json_object_set_new(*report, "detail", json_string(e ? e->text : err_name(rc)));
		rc = 0;
	}
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
	}
	receipt_free(&r);
	return rc;
}

static bool is_handle(const char *name)
{
	return strlen(name) == AUDIT_HANDLE_ROOM - 1 && memcmp(name, "handle:", 7) == 0 &&
	       strspn(name + 7, "0123456789abcdef") == AUDIT_HANDLE_ROOM - 8;
}

static int erase_subject(struct flow *f, const struct flow_erase *q, json_t **report, struct err *e)
{
	char handle[AUDIT_HANDLE_ROOM];
	struct audit_receipt receipt;
	uint64_t count;
	if (is_handle(q->subject))
		memcpy(handle, q->subject, sizeof handle);
	else
		TRY(audit_subject_handle(f->log, q->subject, handle, e));
	TRY(audit_subject_count(f->log, handle, &count, e));
	if (!q->look_only) {
		TRY(flow_start(f, e));
		TRY(audit_vault_erase(f->log, handle, 0, q->ground, q->actor, &receipt, e));
	}
	*report = json_pack("{s:s,s:I}", "subject", handle, "records", (json_int_t)count);
	if (!q->look_only && *report)
		json_object_set_new(*report, "index", json_integer((json_int_t)receipt.index));
	return json_ok(*report, e);
}

int flow_audit_erase(struct flow *f, const struct flow_erase *q, json_t **report, struct err *e)
{
	struct audit_receipt receipt;
	if (q->subject)
		return erase_subject(f, q, report, e);
	TRY(flow_start(f, e));
	TRY(audit_vault_erase(f->log, NULL, q->index, q->ground, q->actor, &receipt, e));
	/* Who asked, and why in words, is the next entry's. */
	*report = json_pack("{s:I,s:I,s:I}", "erased", (json_int_t)q->index, "index",
			    (json_int_t)receipt.index, "operator", (json_int_t)receipt.index + 1);
	return json_ok(*report, e);
}
