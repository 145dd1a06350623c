/* The registry as documents: all of it, and the descendants of a root. */
#include "base/limits.h"
#include "registry/rows.h"

#include <string.h>

/* A body and its "index", which takes its place among the members: they are in canonical order, and
 * a person gets to read them as they stand. NULL: out of memory. */
static json_t *body_with_index(json_t *body, int64_t index)
{
	json_t *row = json_object(), *value;
	const char *key;
	bool placed = false;

	json_object_foreach(body, key, value) {
		if (!placed && strcmp(key, "index") > 0) {
			json_object_set_new(row, "index", json_integer(index));
			placed = true;
		}
		json_object_set(row, key, value);
	}
	if (!placed)
		json_object_set_new(row, "index", json_integer(index));
	json_decref(body);
	return row;
}

/* Rows (idx, body) as an array of bodies with their "index". */
static int export_bodies(struct store_tx *tx, const char *sql, json_t *out, struct err *e)
{
	struct store_stmt *st;
	int rc;

	TRY(store_prepare(tx, sql, &st, e));
	while ((rc = store_step(st, e)) == 1) {
		const char *text = store_text(st, 1);
		json_t *body;
		rc = json_read(&body, text, strlen(text), LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH, e);
		if (rc < 0)
			break;
		if (json_array_append_new(out, body_with_index(body, store_i64(st, 0))) != 0) {
			rc = err_set(e, ERR_NOMEM, "out of memory");
			break;
		}
	}
	store_finish(st);
	return rc;
}

/* One alias as it was logged; of rows that older programs wrote, what they knew. */
static int alias_row(struct store_stmt *st, json_t **out, struct err *e)
{
	const char *text = store_text(st, 4);

	if (text) {
		TRY(json_read(out, text, strlen(text), LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH, e));
	} else {
		struct obj o = { 0 };
		obj_text(&o, "alias", store_text(st, 1));
		obj_text(&o, "model", store_text(st, 0));
		obj_text(&o, "root", store_text(st, 2));
		TRY(obj_done(&o, out, e));
	}
	*out = body_with_index(*out, store_i64(st, 3));
	return json_ok(*out, e);
}

static int export_aliases(struct store_tx *tx, bool newer, json_t *out, struct err *e)
{
	struct store_stmt *st;
	json_t *row;
	int rc;

	TRY(store_prepare(tx,
			  newer ? "SELECT model, alias, root, idx, body FROM registry_alias"
				  " ORDER BY model, alias"
				: "SELECT model, alias, root, idx, NULL FROM registry_alias"
				  " ORDER BY model, alias",
			  &st, e));
	while ((rc = store_step(st, e)) == 1) {
		rc = alias_row(st, &row, e);
		if (rc < 0)
			break;
		json_array_append_new(out, row);
	}
	store_finish(st);
	return rc;
}

/* Lineage, as far as the entries tell it without contradiction. */
static int export_edges(struct store_tx *tx, bool newer, json_t *out, struct err *e)
{
	struct store_stmt *st;
	json_t *row = NULL;
	int rc;

	TRY(store_prepare(
		tx,
		newer ? "SELECT idx, parent, child, name, relation, basis FROM registry_edge"
			" ORDER BY idx, pos"
		      : "SELECT idx, parent, child, name, relation, NULL FROM registry_edge"
			" ORDER BY idx, pos",
		&st, e));
	while ((rc = store_step(st, e)) == 1) {
		struct obj o = { 0 };
		obj_text(&o, "basis", store_text(st, 5));
		obj_text(&o, "child", store_text(st, 2));
		obj_int(&o, "index", store_i64(st, 0));
		obj_text(&o, "name", store_text(st, 3));
		obj_text(&o, "parent", store_text(st, 1));
		obj_text(&o, "relation", store_text(st, 4));
		rc = obj_done(&o, &row, e);
		if (rc < 0)
			break;
		json_array_append_new(out, row);
	}
	store_finish(st);
	return rc;
}

int registry_export(struct registry *r, json_t **out, struct err *e)
{
	json_t *releases = json_array(), *forks = json_array(), *aliases = json_array(),
	       *edges = json_array();
	json_t *all = json_pack("{s:o,s:o,s:o,s:o}", "releases", releases, "forks", forks,
				"aliases", aliases, "edges", edges);
	struct store_tx *tx = NULL;
	bool newer;
	int rc;

	*out = NULL;
	if (!all)
		return err_set(e, ERR_NOMEM, "out of memory");
	TRY_OUT(store_read(r->store, &tx, e));
	TRY_OUT(registry_rows_newer(tx, &newer, e));
	TRY_OUT(export_bodies(tx, "SELECT idx, body FROM registry_release ORDER BY idx", releases,
			      e));
	TRY_OUT(export_bodies(tx, "SELECT idx, body FROM registry_fork ORDER BY idx", forks, e));
	TRY_OUT(export_aliases(tx, newer, aliases, e));
	TRY_OUT(export_edges(tx, newer, edges, e));
	*out = json_incref(all);
out:
	store_end(tx);
	json_decref(all);
	return rc;
}

/* ---- descendants ---- */

/* Children of one root that were not seen yet, with their depth; breadth first, in log order. */
static int add_children(struct store_tx *tx, const char *root, json_int_t depth, json_t *seen,
			json_t *out, struct err *e)
{
	struct store_stmt *st;
	int rc;

	TRY(store_prepare(
		tx,
		"SELECT child, name, relation FROM registry_edge WHERE parent = $1 ORDER BY idx, pos",
		&st, e));
	store_bind_text(st, 1, root);
	while ((rc = store_step(st, e)) == 1) {
		const char *child = store_text(st, 0);
		if (json_object_get(seen, child))
			continue;
		json_object_set_new(seen, child, json_true());
		json_array_append_new(out, json_pack("{s:s,s:s,s:s,s:I}", "name", store_text(st, 1),
						     "root", child, "relation", store_text(st, 2),
						     "depth", depth));
	}
	store_finish(st);
	return rc;
}

int registry_affected(struct registry *r, const struct digest *root, json_t **out, struct err *e)
{
	json_t *list = json_array(), *seen = json_object();
	char text[DIGEST_TEXT_ROOM];
	struct store_tx *tx = NULL;
	int rc;

	digest_text(root, text);
	json_object_set_new(seen, text,
			    json_true()); /* an identical copy is no descendant of itself */
	TRY_OUT(store_read(r->store, &tx, e));
	TRY_OUT(add_children(tx, text, 1, seen, list, e));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		TRY_OUT(add_children(tx, json_string_value(json_object_get(item, "root")),
				     json_integer_value(json_object_get(item, "depth")) + 1, seen,
				     list, e));
	}
out:
	store_end(tx);
	json_decref(seen);
	if (rc < 0)
		json_decref(list);
	*out = rc < 0 ? NULL : list;
	return rc;
}
