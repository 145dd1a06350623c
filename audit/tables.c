/* The log's tables.
 *
 *   state.db  log_head(1)            version, size, root, checkpoint: audit/head.c
 *             log_guard(1)           synced, seen, mac: audit/head.c
 *             log_entry(idx)         leaf hash, entry; type, worker and n are of the entry
 *             log_clock(1)           boot, now_us, steady_us of the last batch: audit/clock.c
 *             log_writer(worker)     start, whole, reserved: audit/workers.c
 *             vault(idx)             key_id, cipher: audit/vault.c
 *             vault_doomed(key_id)   of rows that an erasure removed: keys to be destroyed
 *   keys.db   subject_key(id)        wrapped, kek: audit/vault_keys.c
 *             log_seen(1)            size, checkpoint: audit/head.c
 *             fresh_key(id)          made for a batch that may not have been committed
 *             scrub                  pending: 1, bytes of destroyed keys may still be in the files;
 *                                    0, only bytes of rows in state.db's
 *
 * Only the rooms that own tables read them: nobody outside audit/ reads these. */
#include "audit/log_in.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const struct store_table log_tables[] = {
	{
		.name = "log_head",
		.column = { { "id", STORE_INTEGER },
			    { "version", STORE_INTEGER },
			    { "size", STORE_INTEGER },
			    { "root", STORE_BYTES },
			    { "checkpoint", STORE_TEXT } },
		.key = "id",
		.null = "checkpoint",
	},
	{
		.name = "log_entry",
		.column = { { "idx", STORE_INTEGER },
			    { "leaf", STORE_BYTES },
			    { "type", STORE_TEXT },
			    { "worker", STORE_TEXT },
			    { "n", STORE_INTEGER },
			    { "entry", STORE_BYTES } },
		.key = "idx",
		.unique = "worker, n",
	},
	{
		.name = "vault",
		.column = { { "idx", STORE_INTEGER },
			    { "key_id", STORE_TEXT },
			    { "cipher", STORE_BYTES } },
		.key = "idx",
		.index = "key_id",
	},
};

static const struct store_table key_tables[] = {
	{
		.name = "subject_key",
		.column = { { "id", STORE_TEXT }, { "wrapped", STORE_BYTES } },
		.key = "id",
	},
	{ .name = "scrub", .column = { { "pending", STORE_INTEGER } } },
};

static const struct store_table log_tables_2[] = {
	{ .name = "vault_doomed", .column = { { "key_id", STORE_TEXT } }, .key = "key_id" },
};
static const struct store_table key_tables_2[] = {
	{ .name = "fresh_key", .column = { { "id", STORE_TEXT } }, .key = "id" },
};

static const struct store_table log_tables_3[] = {
	{
		.name = "log_guard",
		.column = { { "id", STORE_INTEGER },
			    { "synced", STORE_INTEGER },
			    { "seen", STORE_INTEGER },
			    { "mac", STORE_BYTES } },
		.key = "id",
	},
	{
		.name = "log_writer",
		.column = { { "worker", STORE_TEXT },
			    { "start", STORE_INTEGER },
			    { "whole", STORE_INTEGER },
			    { "reserved", STORE_INTEGER } },
		.key = "worker",
	},
};
static const struct store_table log_tables_4[] = {
	{
		.name = "log_clock",
		.column = { { "id", STORE_INTEGER },
			    { "boot", STORE_TEXT },
			    { "now_us", STORE_INTEGER },
			    { "steady_us", STORE_INTEGER } },
		.key = "id",
	},
};
static const struct store_table key_tables_3[] = {
	{
		.name = "log_seen",
		.column = { { "id", STORE_INTEGER },
			    { "size", STORE_INTEGER },
			    { "checkpoint", STORE_TEXT } },
		.key = "id",
	},
};

/* Version 1 is what was there before versions were counted, so its tables may exist already.
 * Version 2 remembers what an opening had to find in all keys. Version 3 knows what vouches for the
 * head, what files are durable, and what numbers each worker may have given; the workers of older
 * ones are found in all entries, once. */
static const struct store_version log_versions[] = {
	{ .table = log_tables,
	  .tables = COUNT(log_tables),
	  .sql = "DROP INDEX IF EXISTS vault_key" },
	{ .table = log_tables_2,
	  .tables = COUNT(log_tables_2),
	  .sql = "UPDATE log_head SET version = 2" },
	{ .table = log_tables_3,
	  .tables = COUNT(log_tables_3),
	  .sql = "UPDATE log_head SET version = 3; DROP TABLE IF EXISTS log_worker",
	  .fill = audit_workers_fill },
	{ .table = log_tables_4, .tables = COUNT(log_tables_4) },
};
static const struct store_version key_versions[] = {
	{ .table = key_tables, .tables = COUNT(key_tables) },
	{ .table = key_tables_2,
	  .tables = COUNT(key_tables_2),
	  .sql = "INSERT INTO fresh_key(id) SELECT id FROM subject_key" },
	{ .table = key_tables_3, .tables = COUNT(key_tables_3) },
	/* Wrapped by a key of the vault's own; the column's text is empty for what the log's
	 * wrapped. */
	{ .sql = "ALTER TABLE subject_key ADD COLUMN kek TEXT NOT NULL DEFAULT '';"
		 "CREATE INDEX subject_key_kek ON subject_key(kek)" },
};

#define LOG_PART "log"
#define KEYS_PART "keys"

static int make_log_tables(struct store *s, const struct audit_hook *hook, struct err *e)
{
	struct store_tx *tx;
	int rc;

	TRY(store_write(s, &tx, e));
	TRY_OUT(store_schema(tx, LOG_PART, log_versions, COUNT(log_versions), e));
	if (hook->schema)
		TRY_OUT(hook->schema(tx, e));
	rc = store_commit(tx, e);
out:
	store_end(tx);
	return rc;
}

static int make_key_tables(struct store *s, struct err *e)
{
	struct store_tx *tx;

	TRY(store_write(s, &tx, e));
	int rc = store_schema(tx, KEYS_PART, key_versions, COUNT(key_versions), e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

static int check_part(struct store *s, const char *part, size_t known, struct err *e)
{
	struct store_tx *tx;

	TRY(store_read(s, &tx, e));
	int rc = store_schema_check(tx, part, known, e);
	store_end(tx);
	return rc;
}

int audit_log_schema_check(const struct audit_options *o, struct err *e)
{
	TRY(check_part(o->store, LOG_PART, COUNT(log_versions), e));
	return o->keys ? check_part(o->keys, KEYS_PART, COUNT(key_versions), e) : 0;
}

/* Checked first, so that a newer keys.db leaves state.db as it is. */
int audit_log_schema(const struct audit_options *o, struct err *e)
{
	TRY(audit_log_schema_check(o, e));
	TRY(make_log_tables(o->store, &o->hook, e));
	return o->keys ? make_key_tables(o->keys, e) : 0;
}
