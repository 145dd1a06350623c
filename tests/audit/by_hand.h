/* Logs and records written by hand: signed and sealed as they should be, saying what no writer of this
 * version says. */
#ifndef TESTS_AUDIT_BY_HAND_H
#define TESTS_AUDIT_BY_HAND_H

#include "audit/edge.h"
#include "audit/log_in.h"
#include "audit/note.h"
#include "audit/tree.h"
#include "base/file.h"
#include "base/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Publish these entries (NULL-terminated) as a log under dir, signed by key, instead of what is there. */
__attribute__((unused)) static void hand_publish(const char *dir,
						 const struct signing_identity *key,
						 const char *origin, const struct env *env,
						 const char *const *entry)
{
	struct edge *edge = calloc(1, sizeof(*edge));
	struct buf body = { 0 }, note = { 0 };
	struct digest root;
	struct err e = { 0 };
	char path[LIMIT_PATH_BYTES];

	cr_assert_eq(file_remove_tree(dir, NULL), 0);
	for (; *entry; entry++)
		cr_assert_eq(audit_edge_add(edge, dir, env, *entry, strlen(*entry), &e), 0, "%s",
			     e.text);
	cr_assert_eq(audit_edge_flush(edge, dir, env, &e), 0, "%s", e.text);
	root = audit_edge_root(edge);
	audit_checkpoint_text(origin, edge->size, &root, &body);
	cr_assert_eq(audit_note_sign(key, origin, body.bytes, body.len, &note, &e), 0, "%s",
		     e.text);
	cr_assert_eq(file_join(path, dir, "checkpoint", &e), 0);
	cr_assert_eq(file_write_durable(path, note.bytes, note.len, 0644, &e), 0, "%s", e.text);
	audit_edge_close(edge);
	free(edge);
	buf_free(&body);
	buf_free(&note);
}

/* A disclosed field with the salt of 32 bytes `fill`, and its commitment into m. */
__attribute__((unused)) static json_t *hand_field(const char *name, const json_t *value,
						  uint8_t fill, struct merkle *m)
{
	struct buf b = { 0 }, text = { 0 };
	uint8_t salt[32];
	char hex[65];

	memset(salt, fill, sizeof salt);
	text_hex(salt, sizeof salt, hex);
	cr_assert_eq(json_write_canonical(value, &text, NULL), 0);
	buf_add_byte(&b, 2);
	buf_add(&b, salt, sizeof salt);
	buf_add_u16be(&b, (uint16_t)strlen(name));
	buf_add_text(&b, name);
	buf_add_u32be(&b, (uint32_t)text.len);
	buf_add(&b, text.bytes, text.len);
	struct digest c = digest_of(b.bytes, b.len), leaf = audit_tree_leaf(c.bytes, 32);
	merkle_add(m, &leaf);
	buf_free(&b);
	buf_free(&text);
	return json_pack("{s:s,s:s,s:O}", "name", name, "salt", hex, "value", value);
}

/* Append a committed record of any type with these fields, {"name": value} in order, past the check
 * of its type; its index. */
__attribute__((unused)) static uint64_t hand_append(struct audit_log *log, const char *type,
						    json_t *fields, json_t *retained)
{
	struct merkle m = { .count = 0 };
	json_t *list = json_array(), *value;
	struct err e = { 0 };
	const char *name;
	uint8_t fill = 0;

	json_object_foreach(fields, name, value)
		json_array_append_new(list, hand_field(name, value, ++fill, &m));
	struct audit_record r = { .type = type,
				  .n = AUDIT_NEXT,
				  .field_count = json_array_size(list),
				  .outcome = "completed" };
	json_t *plain = json_pack("{s:o,s:O?}", "fields", list, "retained", retained);
	struct pending p = { .worker = &log->self,
			     .record = { .from = &r, .committed = true, .root = merkle_root(&m) } };
	cr_assert(plain);
	if (!retained)
		json_object_set_new(plain, "retained", json_null());
	cr_assert_eq(json_write_canonical(plain, &p.record.plain, &e), 0, "%s", e.text);
	json_decref(plain);
	cr_assert_eq(audit_log_append_pending(log, &p, &e), 0, "%s", e.text);
	return p.receipt.index;
}

#endif
