/* Log entries: canonical JSON (RFC 8785), nothing personal in clear.
 *
 *   clear       {"body":{...},"n","time_us","type","v":1,"worker"}, and "bundle" if given
 *   committed   {"bundle","cipher","fields","n","outcome","root","time_us","type","v":1,"worker"}
 *   growth      members and types that are not known here are kept and not read; a committed type
 *               only appends fields; every v keeps "n", "time_us", "type", "v" and "worker"
 *   worker      16 lower-case hex digits; all zero is the log itself
 *   fields      how many commitments the root covers: 1 to 256
 *   commitment  c = SHA-256(0x02 || salt[32] || u16be name length || name
 *                           || u32be value length || value)
 *   root        RFC 6962 tree hash with the c's as entries, in the order of the type's fields
 *   cipher      SHA-256 of the vault row's bytes, or null
 *
 * Values are canonical JSON; an absent field commits to null, so that presence is hidden. */
#include "audit/record.h"

#include "audit/tree.h"
#include "base/limits.h"
#include "base/text.h"

#include <sodium.h>
#include <string.h>

#define FIELDS_MAX 256
#define JSON_INTEGER_MAX (1LL << 53) /* beyond it no canonical form */

/* ---- commitments ---- */

/* text: the value in canonical JSON. */
static int commit_text(const uint8_t salt[32], const char *name, const void *text, size_t len,
		       struct digest *out, struct err *e)
{
	size_t name_len = strlen(name);
	uint8_t head[1 + 32 + 2] = { 0x02 };
	const uint8_t length[] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
				   (uint8_t)len };

	if (name_len > UINT16_MAX)
		return err_set(e, ERR_INPUT, "field name too long");
	memcpy(head + 1, salt, 32);
	head[33] = (uint8_t)(name_len >> 8);
	head[34] = (uint8_t)name_len;
	const struct digest_part part[] = {
		{ head, sizeof head }, { name, name_len }, { length, sizeof length }, { text, len }
	};
	*out = digest_parts(part, sizeof part / sizeof *part);
	explicit_bzero(head, sizeof head);
	return 0;
}

static int commitment(const uint8_t salt[32], const char *name, const json_t *value,
		      struct digest *out, struct err *e)
{
	struct buf text = { 0 };
	int rc = json_write_canonical(value, &text, e);

	if (rc == 0)
		rc = commit_text(salt, name, text.bytes, text.len, out, e);
	buf_wipe(&text);
	return rc;
}

static void add_commitment(struct merkle *m, const struct digest *c)
{
	struct digest leaf = audit_tree_leaf(c->bytes, 32);
	merkle_add(m, &leaf);
}

/* Append a value, or null, in canonical JSON. text: that, if it has been written already. */
static int add_value(const json_t *value, const char *text, struct buf *out, struct err *e)
{
	if (value && !text)
		return json_write_canonical(value, out, e);
	buf_add_text(out, text ? text : "null");
	return buf_done(out, e);
}

/* One field: commitment added, member appended to what the vault seals. */
static int add_field(const struct audit_field *f, const char *text, const uint8_t salt[32],
		     struct buf *plain, struct merkle *m, struct err *e)
{
	struct digest c;
	char hex[65];

	if (!text_utf8_valid(f->name, strlen(f->name)))
		return err_set(e, ERR_INPUT, "a field's name is not UTF-8");
	text_hex(salt, 32, hex);
	buf_add_text(plain, "{\"name\":");
	text_json_string(plain, f->name, strlen(f->name));
	buf_add_text(plain, ",\"salt\":\"");
	buf_add(plain, hex, 64);
	buf_add_text(plain, "\",\"value\":");
	explicit_bzero(hex, sizeof hex);
	size_t at = plain->len;
	int rc = add_value(f->value, text, plain, e);
	if (rc == 0)
		rc = commit_text(salt, f->name, plain->bytes + at, plain->len - at, &c, e);
	if (rc < 0) {
		err_prefix(e, "field \"%s\"", f->name);
		return rc;
	}
	buf_add_byte(plain, '}');
	add_commitment(m, &c);
	return 0;
}

/* All from one seed: to draw a thousand bytes takes the kernel as long as to hash them all. */
static void draw_salts(const struct env *env, uint8_t (*salt)[32], size_t count)
{
	uint8_t seed[randombytes_SEEDBYTES];

	env_random(env, seed, sizeof seed);
	randombytes_buf_deterministic(salt, count * sizeof *salt, seed);
	explicit_bzero(seed, sizeof seed);
}

#define FIELD_BYTES 192 /* what one mostly takes: its name, its salt in hex, a digest or less */

/* {"fields":[...],"retained":...} in canonical JSON. The vault must be able to read it again. */
static int write_plain(const struct audit_record *from, const uint8_t (*salt)[32],
		       struct record *out, struct err *e)
{
	struct merkle m = { .count = 0 };
	struct buf *plain = &out->plain;

	buf_reserve(plain, (from->field_count + 8) * FIELD_BYTES); /* growing would copy it */
	buf_add_text(plain, "{\"fields\":[");
	for (size_t i = 0; i < from->field_count; i++) {
		if (i)
			buf_add_byte(plain, ',');
		TRY(add_field(&from->field[i], from->text ? from->text[i] : NULL, salt[i], plain,
			      &m, e));
	}
	buf_add_text(plain, "],\"retained\":");
	TRY(add_value(from->retained, from->retained_text, plain, e));
	buf_add_byte(plain, '}');
	TRY(buf_done(plain, e));
	if (plain->len > LIMIT_JSON_BYTES)
		return err_set(e, ERR_INPUT, "a record of %zu bytes, the vault takes %zu",
			       plain->len, (size_t)LIMIT_JSON_BYTES);
	out->root = merkle_root(&m);
	return 0;
}

static int prepare_committed(const struct audit_record *from, const struct env *env,
			     struct record *out, struct err *e)
{
	uint8_t salt[FIELDS_MAX][32];

	if (from->body || from->field_count == 0 || from->field_count > FIELDS_MAX)
		return err_set(e, ERR_INPUT,
			       "a record of type %s carries 1 to %d fields and no body", from->type,
			       FIELDS_MAX);
	TRY(audit_record_fields_check(from->type, from->field, from->field_count, e));
	draw_salts(env, salt, from->field_count);
	int rc = write_plain(from, salt, out, e);
	explicit_bzero(salt, sizeof salt);
	return rc;
}

int audit_record_prepare(const struct audit_record *from, const struct env *env, struct record *out,
			 struct err *e)
{
	*out = (struct record){ .from = from };
	if (!from->type || !audit_record_type_known(from->type))
		return err_set(e, ERR_INPUT, "unknown record type \"%.40s\"",
			       from->type ? from->type : "");
	out->committed = audit_record_type_committed(from->type);
	if (out->committed) {
		int rc = prepare_committed(from, env, out, e);
		if (rc < 0)
			audit_record_free(out);
		return rc;
	}
	if (!json_is_object(from->body) || from->field_count || from->outcome || from->retained ||
	    from->retained_text || from->subject)
		return err_set(e, ERR_INPUT, "a record of type %s carries a body and nothing else",
			       from->type);
	return 0;
}

void audit_record_free(struct record *r) { buf_wipe(&r->plain); }

/* ---- entries ---- */

static json_t *digest_json(const struct digest *d)
{
	char text[DIGEST_TEXT_ROOM];

	if (!d)
		return json_null();
	digest_text(d, text);
	return json_string(text);
}

static int malformed(const char *type, struct err *e)
{
	return err_set(e, ERR_INPUT, "record of type %s: not UTF-8, or out of memory", type);
}

static void add_text_or_null(struct buf *out, const char *name, const char *text)
{
	buf_add_text(out, name);
	if (text)
		text_json_string(out, text, strlen(text));
	else
		buf_add_text(out, "null");
}

static void add_digest_or_null(struct buf *out, const char *name, const struct digest *d)
{
	char text[DIGEST_TEXT_ROOM];

	if (d)
		digest_text(d, text);
	add_text_or_null(out, name, d ? text : NULL);
}

static bool is_utf8(const char *text) { return !text || text_utf8_valid(text, strlen(text)); }

/* Every answer has one, and its members are always the same: written without a document. */
static int committed_entry(const struct record *r, const char *worker, uint64_t n, int64_t time_us,
			   const struct digest *cipher, struct buf *out, struct err *e)
{
	const struct audit_record *from = r->from;

	if (!is_utf8(from->bundle) || !is_utf8(from->outcome))
		return malformed(from->type, e);
	if (n > JSON_INTEGER_MAX || time_us < 0 || time_us > JSON_INTEGER_MAX)
		return err_set(e, ERR_INPUT, "a number beyond 2^53 has no canonical form");
	add_text_or_null(out, "{\"bundle\":", from->bundle);
	add_digest_or_null(out, ",\"cipher\":", cipher);
	buf_printf(out, ",\"fields\":%zu,\"n\":%llu", from->field_count, (unsigned long long)n);
	add_text_or_null(out, ",\"outcome\":", from->outcome);
	add_digest_or_null(out, ",\"root\":", &r->root);
	buf_printf(out, ",\"time_us\":%lld", (long long)time_us);
	add_text_or_null(out, ",\"type\":", from->type);
	add_text_or_null(out, ",\"v\":1,\"worker\":", worker);
	buf_add_byte(out, '}');
	return buf_done(out, e);
}

static int clear_entry(const struct record *r, const char *worker, uint64_t n, int64_t time_us,
		       struct buf *out, struct err *e)
{
	const struct audit_record *from = r->from;
	json_t *o = json_pack("{s:i,s:s,s:s,s:I,s:I}", "v", 1, "type", from->type, "worker", worker,
			      "n", (json_int_t)n, "time_us", (json_int_t)time_us);
	int failed = json_object_set(o, "body", from->body);

	if (from->bundle)
		failed |= json_object_set_new(o, "bundle", json_string(from->bundle));
	int rc = failed ? malformed(from->type, e) : json_write_canonical(o, out, e);
	json_decref(o);
	return rc;
}

int audit_record_entry(const struct record *r, const char *worker, uint64_t n, int64_t time_us,
		       const struct digest *cipher, struct buf *out, struct err *e)
{
	const struct audit_record *from = r->from;
	size_t begin = out->len;
	int rc = r->committed ? committed_entry(r, worker, n, time_us, cipher, out, e)
			      : clear_entry(r, worker, n, time_us, out, e);

	if (rc == 0 && out->len - begin > LIMIT_ENTRY_BYTES)
		rc = err_set(e, ERR_INPUT, "record of type %s: %zu bytes, an entry holds %u",
			     from->type, out->len - begin, LIMIT_ENTRY_BYTES);
	return rc;
}

static int check_worker(const char *worker, struct err *e)
{
	uint8_t id[8];

	if (text_unhex(worker, strlen(worker), id, sizeof(id)) < 0)
		return err_set(e, ERR_INPUT, "entry: \"worker\" is not 16 hex digits");
	return 0;
}

static int check_committed(const json_t *o, struct record_head *out, struct err *e)
{
	const json_t *cipher = json_object_get(o, "cipher");
	struct digest d;
	const char *text;
	uint64_t fields;

	TRY(json_get_u64(o, "fields", &fields, "entry", e));
	TRY(json_get_string(o, "root", &text, "entry", e));
	TRY(digest_parse(text, &d, e));
	if (fields == 0 || fields > FIELDS_MAX)
		return err_set(e, ERR_INPUT, "entry: \"fields\" is out of range");
	out->sealed = cipher && !json_is_null(cipher);
	if (out->sealed) {
		TRY(json_get_string(o, "cipher", &text, "entry", e));
		TRY(digest_parse(text, &d, e));
	}
	return 0;
}

/* The members that an entry of any version has. */
static int check_head(const json_t *o, struct record_head *out, struct err *e)
{
	uint64_t time_us;

	TRY(json_get_string(o, "type", &out->type, "entry", e));
	TRY(json_get_string(o, "worker", &out->worker, "entry", e));
	TRY(check_worker(out->worker, e));
	TRY(json_get_u64(o, "n", &out->n, "entry", e));
	TRY(json_get_u64(o, "time_us", &time_us, "entry", e));
	out->time_us = (int64_t)time_us;
	return 0;
}

/* What an entry of version 1 holds decides its form; a type that is known has one of them. */
static int check_form(const json_t *o, struct record_head *out, struct err *e)
{
	const struct audit_type *known = audit_type_find(out->type);
	bool clear = json_object_get(o, "body");
	json_t *body;

	out->committed = json_object_get(o, "fields") || json_object_get(o, "root");
	if (clear == out->committed)
		return err_set(
			e, ERR_INPUT,
			"entry: expected a body, or the number and root of committed fields");
	out->unread = !known;
	/* An erasure was committed before there was a version 1: what it says is in the vault. */
	if (out->committed && strcmp(out->type, "erasure") == 0)
		out->unread = true;
	else if (known && known->committed != out->committed)
		return err_set(e, ERR_INPUT, "entry: a record of type %s %s", out->type,
			       known->committed ? "commits to fields" : "has a body in clear");
	return clear ? json_get_object(o, "body", &body, "entry", e) : check_committed(o, out, e);
}

static int check_entry(const json_t *o, struct record_head *out, struct err *e)
{
	TRY(json_get_u64(o, "v", &out->version, "entry", e));
	if (out->version == 0)
		return err_set(e, ERR_INPUT, "entry: \"v\" is 0");
	if (out->version == 1) {
		TRY(check_head(o, out, e));
		return check_form(o, out, e);
	}
	out->unread = true;
	if (check_head(o, out, NULL) < 0) {
		out->type = out->worker = "";
		out->n = 0;
		out->time_us = 0;
	}
	return 0;
}

int audit_record_parse(const void *entry, size_t len, struct record_head *out, struct err *e)
{
	struct buf again = { 0 };
	int rc;

	*out = (struct record_head){ 0 };
	TRY(json_read(&out->entry, entry, len, LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH, e));
	rc = json_is_object(out->entry) ? check_entry(out->entry, out, e)
					: err_set(e, ERR_INPUT, "entry: not an object");
	if (rc == 0)
		rc = json_write_canonical(out->entry, &again, e);
	if (rc == 0 && (again.len != len || memcmp(again.bytes, entry, len) != 0))
		rc = err_set(e, ERR_INPUT, "entry: not canonical JSON");
	buf_free(&again);
	if (rc < 0) {
		json_decref(out->entry);
		out->entry = NULL;
	}
	return rc;
}

int audit_record_known_version(const struct record_head *head, struct err *e)
{
	return head->version == 1
		       ? 0
		       : err_set(e, ERR_UNSUPPORTED,
				 "not available in this version: log entries of version %llu",
				 (unsigned long long)head->version);
}

/* ---- disclosure ---- */

/* {"name","salt","value"}, or {"commitment"} for a field that stays closed. */
static int disclosed(const json_t *f, struct digest *c, struct err *e)
{
	static const char *const open_keys[] = { "name", "salt", "value", NULL },
				 *const closed_keys[] = { "commitment", NULL };
	const char *name, *salt, *closed;
	const json_t *value = json_object_get(f, "value");
	uint8_t bytes[32];

	if (json_object_get(f, "commitment")) {
		TRY(json_only_keys(f, closed_keys, "field", e));
		TRY(json_get_string(f, "commitment", &closed, "field", e));
		return digest_parse(closed, c, e);
	}
	TRY(json_only_keys(f, open_keys, "field", e));
	TRY(json_get_string(f, "name", &name, "field", e));
	TRY(json_get_string(f, "salt", &salt, "field", e));
	if (!value || text_unhex(salt, strlen(salt), bytes, sizeof(bytes)) < 0)
		return err_set(e, ERR_INPUT,
			       "field \"%.60s\": no value, or a salt that is not 32 bytes in hex",
			       name);
	return commitment(bytes, name, value, c, e);
}

int audit_fields_check(const void *entry, size_t len, const json_t *fields, struct err *e)
{
	struct record_head head;
	struct merkle m = { .count = 0 };
	struct digest stated, computed;
	const json_t *f;
	size_t i;
	int rc;

	if (!json_is_array(fields))
		return err_set(e, ERR_INPUT, "disclosed fields: expected an array");
	TRY(audit_record_parse(entry, len, &head, e));
	rc = audit_record_known_version(&head, e);
	if (rc == 0 && !head.committed)
		rc = err_set(e, ERR_INPUT, "entry of type %s holds no commitments", head.type);
	if (rc == 0)
		rc = digest_parse(json_string_value(json_object_get(head.entry, "root")), &stated,
				  e);
	json_int_t count = json_integer_value(json_object_get(head.entry, "fields"));
	if (rc == 0 && json_array_size(fields) != (size_t)count)
		rc = err_set(e, ERR_VERIFY, "%zu fields were disclosed, the entry commits to %lld",
			     json_array_size(fields), (long long)count);
	json_decref(head.entry);
	TRY(rc);
	json_array_foreach(fields, i, f) {
		struct digest c;
		TRY(disclosed(f, &c, e));
		add_commitment(&m, &c);
	}
	computed = merkle_root(&m);
	return digest_equal(&computed, &stated)
		       ? 0
		       : err_set(e, ERR_VERIFY, "the fields do not fit the commitments");
}

static bool is_named(const char *name, const char *const *list)
{
	while (*list && strcmp(*list, name) != 0)
		list++;
	return *list != NULL;
}

int audit_fields_close(json_t *fields, const char *const *open, struct err *e)
{
	json_t *f;
	size_t i;
	json_array_foreach(fields, i, f) {
		const char *name = json_string_value(json_object_get(f, "name"));
		struct digest c;
		if (!name || is_named(name, open))
			continue;
		TRY(disclosed(f, &c, e));
		if (json_array_set_new(fields, i,
				       json_pack("{s:o}", "commitment", digest_json(&c))) < 0)
			return err_set(e, ERR_NOMEM, "out of memory");
	}
	return 0;
}
