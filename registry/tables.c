/* The registry's tables, and how they came about.
 *
 *   registry_release  (model, version)   root, idx, body
 *   registry_edge     (idx, pos)         parent and child root, child's name, relation, basis
 *   registry_fork     (idx)              body
 *   registry_alias    (model, alias)     root, idx, body
 *   location          (root)             folder; of this machine, not of the log
 *   registry_pending  (dir)              publications under way; of this machine, not of the log
 *
 * idx is the entry's place in the log, body its canonical JSON, so that an export shows what was
 * logged. */
#include "registry/rows.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const struct store_table tables[] = {
	{
		.name = "registry_release",
		.column = { { "model", STORE_TEXT },
			    { "version", STORE_TEXT },
			    { "root", STORE_TEXT },
			    { "idx", STORE_INTEGER },
			    { "body", STORE_TEXT } },
		.key = "model, version",
		.unique = "idx",
		.index = "root",
	},
	{
		.name = "registry_edge",
		.column = { { "idx", STORE_INTEGER },
			    { "pos", STORE_INTEGER },
			    { "parent", STORE_TEXT },
			    { "child", STORE_TEXT },
			    { "name", STORE_TEXT },
			    { "relation", STORE_TEXT } },
		.key = "idx, pos",
		.index = "parent",
	},
	{
		.name = "registry_fork",
		.column = { { "idx", STORE_INTEGER }, { "body", STORE_TEXT } },
		.key = "idx",
	},
	{
		.name = "registry_alias",
		.column = { { "model", STORE_TEXT },
			    { "alias", STORE_TEXT },
			    { "root", STORE_TEXT },
			    { "idx", STORE_INTEGER } },
		.key = "model, alias",
	},
	{
		.name = "location",
		.column = { { "root", STORE_TEXT }, { "folder", STORE_TEXT } },
		.key = "root",
	},
	{
		.name = "flow_pending",
		.column = { { "dir", STORE_TEXT },
			    { "model", STORE_TEXT },
			    { "version", STORE_TEXT },
			    { "root", STORE_TEXT },
			    { "package", STORE_TEXT } },
		.key = "dir",
		.null = "root",
	},
};

static const struct store_version versions[] = {
	/* 1: what was there before versions were counted, so it may exist already. */
	{ .table = tables, .tables = COUNT(tables) },
	/* 2: pending publications are the registry's. */
	{ .sql = "ALTER TABLE flow_pending RENAME TO registry_pending" },
	/* 3: what tells an edge's direction, and an alias as it was logged (NULL of older rows).
	 * Until then only the order of registration told a fork's, and a fork could be its own. */
	{ .sql = "ALTER TABLE registry_edge ADD COLUMN basis TEXT;"
		 "UPDATE registry_edge SET basis = '" REGISTRY_PRESUMED_BASIS "'"
		 " WHERE idx IN (SELECT idx FROM registry_fork);"
		 "DELETE FROM registry_edge WHERE parent = child;"
		 "ALTER TABLE registry_alias ADD COLUMN body TEXT" },
};

int registry_schema(struct store_tx *tx, struct err *e)
{
	return store_schema(tx, "registry", versions, COUNT(versions), e);
}

int registry_rows_newer(struct store_tx *tx, bool *newer, struct err *e)
{
	int64_t version;

	TRY(store_schema_version(tx, "registry", &version, e));
	*newer = version >= 3;
	return 0;
}

int registry_rows_check(struct store *s, struct err *e)
{
	struct store_tx *tx;

	TRY(store_read(s, &tx, e));
	int rc = store_schema_check(tx, "registry", COUNT(versions), e);
	store_end(tx);
	return rc;
}
