/* From log entries to rows: the only writer of everything that is exported. */
#include "base/text.h"
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

int registry_rows_release(const json_t *body, struct registry_release *out, struct err *e)
{
	static const char *const keys[] = { "model",   "version",   "root",  "manifest",
					    "bundle",  "publisher", "keyid", "license",
					    "parents", "files",     "bytes", NULL };

	memset(out, 0, sizeof(*out));
	TRY(json_only_keys(body, keys, "release", e));
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

struct edge {
	uint64_t index;
	int64_t pos;
	const char *parent, *child, *name, *relation;
};

static int insert_edge(struct store_tx *tx, const struct edge *edge, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "INSERT INTO registry_edge(idx, pos, parent, child, name, relation)"
			  " VALUES($1, $2, $3, $4, $5, $6)",
			  &st, e));
	store_bind_i64(st, 1, (int64_t)edge->index);
	store_bind_i64(st, 2, edge->pos);
	store_bind_text(st, 3, edge->parent);
	store_bind_text(st, 4, edge->child);
	store_bind_text(st, 5, edge->name);
	store_bind_text(st, 6, edge->relation);
	return store_run(st, e);
}

static int insert_parents(struct store_tx *tx, uint64_t index, const json_t *body,
			  const struct registry_release *r, struct err *e)
{
	const json_t *parents = json_object_get(body, "parents"), *parent;
	char child[DIGEST_TEXT_ROOM], name[400];
	size_t i;

	if (parents && !json_is_array(parents))
		return err_set(e, ERR_INPUT, "release: \"parents\" is not an array");
	digest_text(&r->root, child);
	snprintf(name, sizeof(name), "%s@%s", r->model, r->version);
	json_array_foreach(parents, i, parent) {
		struct digest root;
		struct edge edge = {
			.index = index, .pos = (int64_t)i, .child = child, .name = name
		};
		TRY(take_digest(parent, "root", "release parent", &root, e));
		TRY(json_get_string(parent, "root", &edge.parent, "release parent", e));
		TRY(json_get_string(parent, "relation", &edge.relation, "release parent", e));
		TRY(insert_edge(tx, &edge, e));
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

/* Verdicts that say the subject descends from the parent. */
static bool is_descent(const char *verdict)
{
	return strcmp(verdict, "identical") == 0 || text_starts(verdict, "dependent");
}

static int apply_fork(struct store_tx *tx, uint64_t index, const json_t *body, struct err *e)
{
	static const char *const keys[] = { "subject",  "subject_name", "parent",  "parent_name",
					    "declared", "relation",     "verdict", "p_value",
					    "effect",   "findings",     "report",  NULL };
	struct edge edge = { .index = index };
	struct store_stmt *st;
	struct buf text = { 0 };
	struct digest d;
	int rc;

	TRY(json_only_keys(body, keys, "fork", e));
	TRY(take_digest(body, "subject", "fork", &d, e));
	TRY(take_digest(body, "parent", "fork", &d, e));
	TRY(json_get_string(body, "subject", &edge.child, "fork", e));
	TRY(json_get_string(body, "parent", &edge.parent, "fork", e));
	TRY(json_get_string(body, "subject_name", &edge.name, "fork", e));
	TRY(json_get_string(body, "verdict", &edge.relation, "fork", e));
	TRY_OUT(body_text(body, &text, e));
	TRY_OUT(store_prepare(tx, "INSERT INTO registry_fork(idx, body) VALUES($1, $2)", &st, e));
	store_bind_i64(st, 1, (int64_t)index);
	store_bind_text(st, 2, text.bytes);
	TRY_OUT(store_run(st, e));
	if (is_descent(edge.relation))
		rc = insert_edge(tx, &edge, e);
out:
	buf_free(&text);
	return rc;
}

static int apply_alias(struct store_tx *tx, uint64_t index, const json_t *body, struct err *e)
{
	static const char *const keys[] = { "model", "alias", "root", NULL };
	const char *model, *alias, *root;
	struct store_stmt *st;
	struct digest d;

	TRY(json_only_keys(body, keys, "registry", e));
	TRY(json_get_string(body, "model", &model, "registry", e));
	TRY(json_get_string(body, "alias", &alias, "registry", e));
	TRY(json_get_string(body, "root", &root, "registry", e));
	TRY(digest_parse(root, &d, e));
	TRY(store_prepare(
		tx,
		"INSERT INTO registry_alias(model, alias, root, idx) VALUES($1, $2, $3, $4)"
		" ON CONFLICT(model, alias) DO UPDATE SET root = excluded.root, idx = excluded.idx",
		&st, e));
	store_bind_text(st, 1, model);
	store_bind_text(st, 2, alias);
	store_bind_text(st, 3, root);
	store_bind_i64(st, 4, (int64_t)index);
	return store_run(st, e);
}

int registry_apply(void *registry, struct store_tx *tx, uint64_t index, const json_t *entry,
		   struct err *e)
{
	static const struct {
		const char *type;
		int (*apply)(struct store_tx *tx, uint64_t index, const json_t *body,
			     struct err *e);
	} table[] = { { "release", apply_release },
		      { "fork", apply_fork },
		      { "registry", apply_alias } };
	const char *type;
	json_t *body;

	(void)registry; /* rows go through the transaction's own connection */
	TRY(json_get_string(entry, "type", &type, "entry", e));
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		if (strcmp(table[i].type, type) != 0)
			continue;
		TRY(json_get_object(entry, "body", &body, "entry", e));
		return table[i].apply(tx, index, body, e);
	}
	return 0;
}
