/* What is said at the door: HOME/door, a local socket of the process that writes.
 *
 * Each message is a canonical JSON object after its u32be length (net_message_send). The guest
 * asks, and gets one reply for each request:
 *
 *   {"call":"hello","command","version":1}                                    gives worker, host
 *   {"call":"ready"}
 *   {"call":"reserve"}                                                        gives n
 *   {"call":"append","record":{"body","bundle","fields":[{"name","value"}...],
 *                              "n","outcome","retained","subject","type"}}    gives receipt
 *   {"call":"erase","actor","ground","index","subject"}                       gives receipt
 *   {"call":"stop"}                                                           gives receipt
 *
 *   {"host","n","receipt":{"index","leaf","n"},"worker"}   what a call does not give is 0 or empty
 *   {"error":{"code","text"}}                       refused
 *
 * hello comes first, and its form never changes: another version is refused with a sentence.
 * Members that are null may be left out; those that are not known are ignored. code is one of
 * base/err.h. */
#include "audit/door_message.h"

#include <stdlib.h>
#include <string.h>

#define WHAT "a message at the door"
#define DEPTH (LIMIT_JSON_DEPTH + 8) /* what the vault takes, and what is around it */

static const char *const call_name[] = {
	[DOOR_HELLO] = "hello",   [DOOR_READY] = "ready", [DOOR_RESERVE] = "reserve",
	[DOOR_APPEND] = "append", [DOOR_ERASE] = "erase", [DOOR_STOP] = "stop",
};
#define CALLS (sizeof call_name / sizeof *call_name)

/* ---- writing ---- */

static void add_text(struct obj *o, const char *key, const char *text)
{
	if (text)
		obj_text(o, key, text);
}

/* text: the value in canonical JSON, or NULL. Nothing where there is neither. */
static void add_json(struct obj *o, const char *key, const json_t *value, const char *text)
{
	json_t *read = NULL;

	if (text && json_read_written(&read, text, strlen(text), LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH,
				      NULL) < 0)
		obj_add(o, key, NULL);
	else if (text)
		obj_add(o, key, read);
	else if (value)
		obj_share(o, key, value);
}

static void add_record(struct obj *o, const struct audit_record *r)
{
	struct obj record = { 0 };
	struct arr fields = { 0 };

	for (size_t i = 0; i < r->field_count; i++) {
		struct obj field = { 0 };
		obj_text(&field, "name", r->field[i].name);
		add_json(&field, "value", r->field[i].value, r->text ? r->text[i] : NULL);
		arr_object(&fields, &field);
	}
	obj_text(&record, "type", r->type);
	if (r->n != AUDIT_NEXT)
		obj_count(&record, "n", r->n);
	add_json(&record, "body", r->body, NULL);
	if (r->field_count)
		obj_array(&record, "fields", &fields);
	add_text(&record, "bundle", r->bundle);
	add_text(&record, "outcome", r->outcome);
	add_text(&record, "subject", r->subject);
	add_json(&record, "retained", r->retained, r->retained_text);
	obj_object(o, "record", &record);
	arr_free(&fields);
}

static int write_object(struct obj *o, struct buf *out, struct err *e)
{
	json_t *message;

	TRY(obj_done(o, &message, e));
	int rc = json_write_canonical(message, out, e);
	json_decref(message);
	return rc < 0 ? rc : buf_done(out, e);
}

int audit_door_request_write(const struct door_request *q, struct buf *out, struct err *e)
{
	struct obj o = { 0 };

	obj_text(&o, "call", call_name[q->call]);
	if (q->call == DOOR_HELLO) {
		obj_count(&o, "version", q->version);
		add_text(&o, "command", q->command);
	} else if (q->call == DOOR_APPEND) {
		add_record(&o, &q->record);
	} else if (q->call == DOOR_ERASE) {
		add_text(&o, "subject", q->subject);
		obj_count(&o, "index", q->index);
		obj_text(&o, "ground", q->ground);
		obj_text(&o, "actor", q->actor);
	}
	return write_object(&o, out, e);
}

int audit_door_reply_write(const struct door_reply *r, struct buf *out, struct err *e)
{
	struct obj o = { 0 }, inner = { 0 };

	if (r->err.code < 0) {
		obj_int(&inner, "code", r->err.code);
		obj_add(&inner, "text", json_text_lossy(r->err.text));
		obj_object(&o, "error", &inner);
		return write_object(&o, out, e);
	}
	obj_text(&o, "worker", r->worker);
	obj_text(&o, "host", r->host);
	obj_count(&o, "n", r->n);
	obj_count(&inner, "index", r->receipt.index);
	obj_add(&inner, "leaf", json_digest(&r->receipt.leaf));
	obj_count(&inner, "n", r->receipt.n);
	obj_object(&o, "receipt", &inner);
	return write_object(&o, out, e);
}

/* ---- reading ---- */

/* A member that may be null or absent. */
static int get_text(const json_t *o, const char *key, const char **out, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	*out = NULL;
	if (!v || json_is_null(v))
		return 0;
	TRY(json_get_string(o, key, out, WHAT, e));
	return strlen(*out) == json_string_length(v)
		       ? 0
		       : err_set(e, ERR_INPUT, WHAT ": \"%s\" holds a NUL", key);
}

static json_t *get_value(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return json_is_null(v) ? NULL : v;
}

static int read_fields(const json_t *record, struct door_request *out, struct err *e)
{
	const json_t *list = get_value(record, "fields"), *item;
	size_t i;

	if (!list)
		return 0;
	if (!json_is_array(list))
		return err_set(e, ERR_INPUT, WHAT ": \"fields\" is no list");
	out->field = calloc(json_array_size(list) + 1, sizeof *out->field);
	if (!out->field)
		return err_set(e, ERR_NOMEM, "out of memory");
	json_array_foreach(list, i, item) {
		TRY(get_text(item, "name", &out->field[i].name, e));
		if (!out->field[i].name)
			return err_set(e, ERR_INPUT, WHAT ": a field has no name");
		out->field[i].value = get_value(item, "value");
	}
	out->record.field = out->field;
	out->record.field_count = json_array_size(list);
	return 0;
}

static int read_record(struct door_request *out, struct err *e)
{
	struct audit_record *r = &out->record;
	json_t *record;

	TRY(json_get_object(out->message, "record", &record, WHAT, e));
	TRY(json_get_string(record, "type", &r->type, WHAT, e));
	r->n = AUDIT_NEXT;
	if (get_value(record, "n"))
		TRY(json_get_u64(record, "n", &r->n, WHAT, e));
	TRY(get_text(record, "bundle", &r->bundle, e));
	TRY(get_text(record, "outcome", &r->outcome, e));
	TRY(get_text(record, "subject", &r->subject, e));
	r->body = get_value(record, "body");
	r->retained = get_value(record, "retained");
	return read_fields(record, out, e);
}

static int read_call(struct door_request *out, struct err *e)
{
	const json_t *o = out->message;
	const char *name;

	TRY(json_get_string(o, "call", &name, WHAT, e));
	for (out->call = 0; out->call < CALLS; out->call++)
		if (strcmp(name, call_name[out->call]) == 0)
			break;
	switch (out->call) {
	case DOOR_HELLO:
		TRY(json_get_u64(o, "version", &out->version, WHAT, e));
		return get_text(o, "command", &out->command, e);
	case DOOR_READY:
	case DOOR_RESERVE:
	case DOOR_STOP:
		return 0;
	case DOOR_APPEND:
		return read_record(out, e);
	case DOOR_ERASE:
		TRY(get_text(o, "subject", &out->subject, e));
		TRY(json_get_u64(o, "index", &out->index, WHAT, e));
		TRY(json_get_string(o, "ground", &out->ground, WHAT, e));
		return json_get_string(o, "actor", &out->actor, WHAT, e);
	}
	return err_set(e, ERR_UNSUPPORTED, "not available in this version: \"%.40s\" at the door",
		       name);
}

static int read_object(const void *bytes, size_t len, json_t **out, struct err *e)
{
	TRY(json_read_written(out, bytes, len, DOOR_MESSAGE_BYTES, DEPTH, e));
	return json_is_object(*out) ? 0 : err_set(e, ERR_INPUT, WHAT " is no object");
}

int audit_door_request_read(const void *bytes, size_t len, struct door_request *out, struct err *e)
{
	*out = (struct door_request){ .call = DOOR_HELLO };
	TRY(read_object(bytes, len, &out->message, e));
	return read_call(out, e);
}

void audit_door_request_free(struct door_request *q)
{
	free(q->field);
	json_decref(q->message);
	*q = (struct door_request){ .call = DOOR_HELLO };
}

static int read_worker(const json_t *o, const char *key, char out[17], struct err *e)
{
	const char *text;

	TRY(json_get_string(o, key, &text, WHAT, e));
	if (strlen(text) > 16)
		return err_set(e, ERR_INPUT, WHAT ": the worker's id is too long");
	strcpy(out, text);
	return 0;
}

static int read_reply(const json_t *o, struct door_reply *out, struct err *e)
{
	const json_t *error = json_object_get(o, "error");
	json_t *receipt;
	const char *text;

	if (error) {
		json_int_t code = json_integer_value(json_object_get(error, "code"));
		TRY(json_get_string(error, "text", &text, WHAT, e));
		err_set(&out->err, code < 0 && code >= ERR_NOMEM ? (int)code : ERR_IO, "%s", text);
		return 0;
	}
	TRY(read_worker(o, "worker", out->worker, e));
	TRY(read_worker(o, "host", out->host, e));
	TRY(json_get_u64(o, "n", &out->n, WHAT, e));
	TRY(json_get_object(o, "receipt", &receipt, WHAT, e));
	TRY(json_get_u64(receipt, "index", &out->receipt.index, WHAT, e));
	TRY(json_get_u64(receipt, "n", &out->receipt.n, WHAT, e));
	TRY(json_get_string(receipt, "leaf", &text, WHAT, e));
	return digest_parse(text, &out->receipt.leaf, e);
}

int audit_door_reply_read(const void *bytes, size_t len, struct door_reply *out, struct err *e)
{
	json_t *message = NULL;

	*out = (struct door_reply){ .n = 0 };
	int rc = read_object(bytes, len, &message, e);
	if (rc == 0)
		rc = read_reply(message, out, e);
	json_decref(message);
	return rc;
}
