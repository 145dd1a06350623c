/* From log entries to rows: the only writer of everything that is exported. A body may hold members
 * that this program does not know: they are kept in the row. What it reads must be well-formed. */
#include "registry/rows.h"

#include <stdio.h>
#include <string.h>

/* ---- bodies ---- */

static int take_text(const json_t *o, const char *key, char *out, size_t room, struct err *e)
{
	const char *text;

	TRY(json_get_string(o, key, &text, "release", e));
	if (strlen(text) >= room)
		return err_set(e, ERR_INPUT, "release: \"%s\" is longer than %zu bytes", key,
			       room - 1);
	snprintf(out, room, "%s", text);
	return 0;
}

static int take_digest(const json_t *o, const char *key, const char *what, struct digest *out,
		       struct err *e)
{
	const char *text;

	TRY(json_get_string(o, key, &text, what, e));
	return digest_parse(text, out, e);
}

/* A digest's text, for a column. */
static int take_root(const json_t *o, const char *key, const char *what, char out[DIGEST_TEXT_ROOM],
		     struct err *e)
{
	struct digest d;

	TRY(take_digest(o, key, what, &d, e));
	digest_text(&d, out);
	return 0;
}

int registry_rows_release(const json_t *body, struct registry_release *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	TRY(take_text(body, "model", out->model, sizeof(out->model), e));
	TRY(take_text(body, "version", out->version, sizeof(out->version), e));
	TRY(take_text(body, "publisher", out->publisher, sizeof(out->publisher), e));
	TRY(take_text(body, "keyid", out->keyid, sizeof(out->keyid), e));
	TRY(take_text(body, "license", out->license, sizeof(out->license), e));
	TRY(take_digest(body, "root", "release", &out->root, e));
	TRY(take_digest(body, "manifest", "release", &out->manifest, e));
	TRY(json_get_u64(body, "files", &out->files, "release", e));
	TRY(json_get_u64(body, "bytes", &out->bytes, "release", e));
	if (!out->model[0] || strchr(out->model, '@') || !out->version[0])
		return err_set(e, ERR_INPUT,
			       "release: \"%.100s\" \"%.60s\" is no model and version", out->model,
			       out->version);
	return 0;
}

/* The body as canonical text; the caller frees, also after an error. */
static int body_text(const json_t *body, struct buf *out, struct err *e)
{
	TRY(json_write_canonical(body, out, e));
	return buf_done(out, e);
}

/* ---- edges ---- */

static int insert_parents(struct store_tx *tx, uint64_t index, const json_t *body,
			  const struct registry_release *r, struct err *e)
{
	const json_t *parents = json_object_get(body, "parents"), *parent;
	char name[400];
	size_t i;

	if (parents && !json_is_array(parents))
		return err_set(e, ERR_INPUT, "release: \"parents\" is not an array");
	snprintf(name, sizeof(name), "%s@%s", r->model, r->version);
	json_array_foreach(parents, i, parent) {
		struct registry_edge edge = {
			.index = index, .pos = (int64_t)i, .name = name, .basis = "declared"
		};
		digest_text(&r->root, edge.child);
		TRY(take_root(parent, "root", "release parent", edge.parent, e));
		TRY(json_get_string(parent, "relation", &edge.relation, "release parent", e));
		TRY(registry_edge_add(tx, &edge, e));
	}
	return 0;
}

/* ---- entries ---- */

static int check_version(struct store_tx *tx, const struct registry_release *r, const char *root,
			 struct err *e)
{
	struct store_stmt *st;
	int rc;

	TRY(store_prepare(tx, "SELECT root FROM registry_release WHERE model = $1 AND version = $2",
			  &st, e));
	store_bind_text(st, 1, r->model);
	store_bind_text(st, 2, r->version);
	rc = store_step(st, e);
	if (rc == 1 && strcmp(store_text(st, 0), root) != 0)
		rc = err_set(e, ERR_CONFLICT,
			     "%s@%s exists with other content (%s); versions do not change",
			     r->model, r->version, store_text(st, 0));
	store_finish(st);
	return rc < 0 ? rc : 0;
}

static int apply_release(struct store_tx *tx, uint64_t index, const json_t *body, struct err *e)
{
	struct registry_release r;
	struct store_stmt *st;
	struct buf text = { 0 };
	char root[DIGEST_TEXT_ROOM];
	int rc;

	TRY(registry_rows_release(body, &r, e));
	digest_text(&r.root, root);
	TRY(check_version(tx, &r, root, e));
	TRY_OUT(body_text(body, &text, e));
	TRY_OUT(store_prepare(
		tx,
		"INSERT INTO registry_release(model, version, root, idx, body) VALUES($1, $2, $3, $4, $5)"
		" ON CONFLICT(model, version) DO UPDATE SET idx = excluded.idx, body = excluded.body",
		&st, e));
	store_bind_text(st, 1, r.model);
	store_bind_text(st, 2, r.version);
	store_bind_text(st, 3, root);
	store_bind_i64(st, 4, (int64_t)index);
	store_bind_text(st, 5, text.bytes);
	TRY_OUT(store_run(st, e));
	rc = insert_parents(tx, index, body, &r, e);
out:
	buf_free(&text);
	return rc;
}

/* A number, or null where nothing was measured. */
static int check_measure(const json_t *o, const char *key, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v) || json_is_number(v))
		return 0;
	return err_set(e, ERR_INPUT, "fork parent: \"%s\" is no number and not null", key);
}

/* One parent of a fork. Without a basis it is stated as it stands. */
static int insert_fork_parent(struct store_tx *tx, const json_t *parent, struct registry_edge *edge,
			      struct err *e)
{
	static const char *const measures[] = { "weight", "p_value", "effect" };
	static const char what[] = "fork parent";
	const char *name;

	TRY(take_root(parent, "root", what, edge->parent, e));
	TRY(json_get_string(parent, "name", &name, what, e));
	TRY(json_get_string(parent, "verdict", &edge->relation, what, e));
	edge->basis = NULL;
	if (json_object_get(parent, "basis"))
		TRY(json_get_string(parent, "basis", &edge->basis, what, e));
	for (size_t i = 0; i < sizeof(measures) / sizeof(*measures); i++)
		TRY(check_measure(parent, measures[i], e));
	return registry_edge_add(tx, edge, e);
}

static int insert_fork(struct store_tx *tx, uint64_t index, const json_t *body, struct err *e)
{
	struct store_stmt *st;
	struct buf text = { 0 };
	int rc;

	TRY_OUT(body_text(body, &text, e));
	TRY_OUT(store_prepare(tx, "INSERT INTO registry_fork(idx, body) VALUES($1, $2)", &st, e));
	store_bind_i64(st, 1, (int64_t)index);
	store_bind_text(st, 2, text.bytes);
	rc = store_run(st, e);
out:
	buf_free(&text);
	return rc;
}

static int apply_fork(struct store_tx *tx, uint64_t index, const json_t *body, struct err *e)
{
	const json_t *parents = json_object_get(body, "parents"), *parent;
	struct registry_edge edge = { .index = index };
	const char *verdict;
	size_t i;

	TRY(take_root(body, "subject", "fork", edge.child, e));
	TRY(json_get_string(body, "subject_name", &edge.name, "fork", e));
	TRY(json_get_string(body, "verdict", &verdict, "fork", e));
	if (parents && !json_is_array(parents))
		return err_set(e, ERR_INPUT, "fork: \"parents\" is not an array");
	TRY(insert_fork(tx, index, body, e));
	json_array_foreach(parents, i, parent) {
		edge.pos = (int64_t)i;
		TRY(insert_fork_parent(tx, parent, &edge, e));
	}
	return 0;
}

/* ---- events of the registry ---- */

static int check_alias(const json_t *body, struct err *e)
{
	const json_t *actor = json_object_get(body, "actor"), *gate = json_object_get(body, "gate");
	uint64_t index;

	if (actor && !json_is_null(actor) && !json_is_string(actor))
		return err_set(e, ERR_INPUT, "registry: \"actor\" is no handle and not null");
	if (gate && !json_is_null(gate))
		return json_get_u64(body, "gate", &index, "registry", e);
	return 0;
}

static int apply_alias(struct store_tx *tx, uint64_t index, const json_t *body, struct err *e)
{
	const char *model, *alias;
	char root[DIGEST_TEXT_ROOM];
	struct store_stmt *st;
	struct buf text = { 0 };
	int rc;

	TRY(json_get_string(body, "model", &model, "registry", e));
	TRY(json_get_string(body, "alias", &alias, "registry", e));
	TRY(take_root(body, "root", "registry", root, e));
	TRY(check_alias(body, e));
	TRY_OUT(body_text(body, &text, e));
	TRY_OUT(store_prepare(
		tx,
		"INSERT INTO registry_alias(model, alias, root, idx, body) VALUES($1, $2, $3, $4, $5)"
		" ON CONFLICT(model, alias) DO UPDATE"
		" SET root = excluded.root, idx = excluded.idx, body = excluded.body",
		&st, e));
	store_bind_text(st, 1, model);
	store_bind_text(st, 2, alias);
	store_bind_text(st, 3, root);
	store_bind_i64(st, 4, (int64_t)index);
	store_bind_text(st, 5, text.bytes);
	rc = store_run(st, e);
out:
	buf_free(&text);
	return rc;
}

/* Without "event" an entry is an alias that moves; what this program does not know stays in the log
 * for one that does. */
static int apply_event(struct store_tx *tx, uint64_t index, const json_t *body, struct err *e)
{
	const char *event = "alias";

	if (json_object_get(body, "event"))
		TRY(json_get_string(body, "event", &event, "registry", e));
	return strcmp(event, "alias") == 0 ? apply_alias(tx, index, body, e) : 0;
}

static const struct applied {
	const char *type;
	int (*apply)(struct store_tx *tx, uint64_t index, const json_t *body, struct err *e);
} applied[] = { { "release", apply_release },
		{ "fork", apply_fork },
		{ "registry", apply_event } };

static const struct applied *find_applied(const char *type)
{
	for (size_t i = 0; i < sizeof applied / sizeof *applied; i++)
		if (strcmp(applied[i].type, type) == 0)
			return &applied[i];
	return NULL;
}

bool registry_concerns(const char *type) { return find_applied(type) != NULL; }

int registry_apply(void *registry, struct store_tx *tx, uint64_t index, const json_t *entry,
		   struct err *e)
{
	const char *type;
	json_t *body;

	(void)registry; /* rows go through the transaction's own connection */
	TRY(json_get_string(entry, "type", &type, "entry", e));
	const struct applied *a = find_applied(type);
	if (!a)
		return 0;
	TRY(json_get_object(entry, "body", &body, "entry", e));
	return a->apply(tx, index, body, e);
}
