/* What keys.db and the database remember of each other and of the log, for whoever verifies a state
 * folder: a part that was put back, or is gone, is a remark here, since a copy that was made while
 * the log was written looks the same; opening for writing refuses it (recover.c).
 *
 * Each is read before what must not be older: so nothing that is written meanwhile is a finding. */
#include "audit/verify.h"

#include <string.h>

/* How much keys.db had seen, by the database; 0: it does not say. */
static int read_promised(struct store *store, uint64_t *size, struct err *e)
{
	struct store_stmt *st;
	struct store_tx *tx;

	TRY(store_read(store, &tx, e));
	int rc = store_prepare(tx, "SELECT seen FROM log_guard WHERE id = 1", &st, e);
	if (rc == 0) {
		rc = store_step(st, e);
		*size = rc == 1 ? (uint64_t)store_i64(st, 0) : 0;
		store_finish(st);
	}
	store_end(tx);
	return rc == ERR_INPUT ? 0 : rc;
}

/* size 0: keys.db is not there, or has seen nothing. */
static int read_seen(struct check *k, struct store *keys, const char *vkey, struct checkpoint *seen)
{
	struct buf note = { 0 };
	struct err why = { 0 };
	int rc = keys ? audit_guard_seen(keys, &note, &why) : ERR_NOTFOUND;

	if (rc == ERR_NOTFOUND || rc == ERR_INPUT)
		return 0;
	if (rc == 0)
		rc = audit_checkpoint_open(note.bytes, note.len, vkey, seen, &why);
	buf_free(&note);
	if (rc == 0)
		return 0;
	*seen = (struct checkpoint){ .size = 0 };
	if (rc != ERR_VERIFY && rc != ERR_INPUT)
		return err_set(k->e, rc, "%s", why.text);
	audit_check_problem(k, "keys", "the checkpoint that keys.db has seen: %s", why.text);
	return 0;
}

/* Tiles that a power failure tore prove nothing. */
static bool is_torn(const struct audit_verdict *v)
{
	for (size_t i = 0; i < v->remarks && i < sizeof v->remark / sizeof *v->remark; i++)
		if (strcmp(v->remark[i].kind, "files") == 0)
			return true;
	return false;
}

static int check_continues(struct check *k, const struct checkpoint *seen)
{
	struct digest path[TREE_PATH_MAX];
	struct tile_nodes nodes = { .dir = k->dir, .size = k->v->size };
	struct tree_reader reader = audit_tile_nodes_reader(&nodes);
	size_t count;

	int rc = audit_tree_consistency_path(&reader, seen->size, nodes.size, path, &count, NULL);
	if (rc == 0 && audit_consistency_check(seen->size, nodes.size, &seen->root, &k->v->root,
					       path, count) < 0)
		audit_check_problem(k, "keys",
				    "the log is not a continuation of the checkpoint that keys.db "
				    "has seen, signed at size %llu",
				    (unsigned long long)seen->size);
	audit_tile_nodes_close(&nodes);
	return 0; /* tiles that cannot be read are found as such */
}

int audit_verify_keys(const char *log_dir, const char *vkey, struct store *store,
		      struct store *keys, struct audit_verdict *out, struct err *e)
{
	struct check k = { .dir = log_dir, .v = out, .e = e };
	struct checkpoint seen = { .size = 0 }, now = { .size = 0 };
	struct buf note = { 0 };
	uint64_t promised = 0;

	TRY(read_promised(store, &promised, e));
	TRY(read_seen(&k, keys, vkey, &seen));
	(void)!audit_log_checkpoint_read(log_dir, vkey, &note, &now, NULL);
	buf_free(&note);
	if (now.size < out->size)
		now.size = out->size;
	if (seen.size < promised)
		audit_check_remark(&k, "keys",
				   "keys.db %s: what the vault holds, or its newest part, cannot "
				   "be opened",
				   keys ? "is an old copy, or has seen no log" : "is missing");
	if (seen.size > now.size && now.size > 0)
		audit_check_remark(
			&k, "keys",
			"keys.db has seen %llu entries of this log, log/ has %llu: log/ is "
			"an old copy, or the copy was made while the log was written",
			(unsigned long long)seen.size, (unsigned long long)now.size);
	if (seen.size == 0 || seen.size > out->size || is_torn(out))
		return 0;
	return check_continues(&k, &seen);
}
