/* Checking a log as its readers would, with a verifier key and the published folder; with the
 * database too, where there is one. Nothing here stops at the first problem: the verdict names them
 * by kind. What may be right and is worth a sentence is a remark; what this version cannot read is
 * verified by its hash, and named as unread.
 *
 *   checkpoint  signature, origin or form of the signed note
 *   tile        missing, of a wrong length, or hashes that do not lead to the signed root
 *   entry       missing, or its hash is not the tree's
 *   record      an entry that is not canonical, or not a record
 *   time        an entry is earlier than the one before it
 *   gap         a worker's number is missing, or stands twice
 *   stop        a worker started and never ended, with others after it, or wrote after its end
 *   head        database and folder differ
 *   vault       what entries seal is damaged, or missing with nothing that says why
 *   keys        keys.db has seen another history of the log
 *
 *   remarks: worker  the last one that started has not ended
 *            head    the database is ahead of the folder
 *            copy    a folder by itself lacks the newest files
 *            files   the newest files are torn, and the database has what they held
 *            journal records wait in a server's journal for the database
 *            vault   an erasure older than version 1 may have taken it
 *            keys    keys.db, or the log, is older than the other remembers it */
#include "audit/verify.h"

#include "audit/journal.h"

#include "base/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void add_finding(struct audit_problem *list, size_t room, size_t *count, const char *kind,
			const char *fmt, va_list args)
{
	if (*count < room) {
		snprintf(list[*count].kind, sizeof list->kind, "%s", kind);
		vsnprintf(list[*count].text, sizeof list->text, fmt, args);
	}
	++*count;
}

/* Numbers and times may be wrong in a log whose hashes and signature are right. */
static bool is_of_order(const char *kind)
{
	return strcmp(kind, "gap") == 0 || strcmp(kind, "stop") == 0 || strcmp(kind, "time") == 0;
}

void audit_check_problem(struct check *k, const char *kind, const char *fmt, ...)
{
	struct audit_verdict *v = k->v;
	va_list args;

	v->ok = false;
	va_start(args, fmt);
	add_finding(v->problem, COUNT(v->problem), &v->problems, kind, fmt, args);
	va_end(args);
	if (v->grave.kind[0] || is_of_order(kind))
		return;
	size_t none = 0;
	va_start(args, fmt);
	add_finding(&v->grave, 1, &none, kind, fmt, args);
	va_end(args);
}

void audit_check_remark(struct check *k, const char *kind, const char *fmt, ...)
{
	struct audit_verdict *v = k->v;
	va_list args;

	va_start(args, fmt);
	add_finding(v->remark, COUNT(v->remark), &v->remarks, kind, fmt, args);
	va_end(args);
}

/* What does not verify, or is missing, is a problem of the log; being unable to read is our
 * error. */
static int judge(struct check *k, const char *kind, int rc, const struct err *why)
{
	if (rc == ERR_VERIFY || rc == ERR_NOTFOUND || rc == ERR_INPUT) {
		audit_check_problem(k, kind, "%s", why->text);
		return 0;
	}
	if (rc < 0)
		return err_set(k->e, rc, "%s", why->text);
	return rc;
}

/* Of a file below log/tile, of entries up to `end`: what it holds follows from the entries. 1: it
 * is as it should be. */
static int judge_file(struct check *k, const char *kind, uint64_t end, int rc, struct err *why)
{
	char found[300];

	if (rc != ERR_VERIFY && rc != ERR_NOTFOUND && rc != ERR_INPUT) {
		rc = judge(k, kind, rc, why);
		return rc < 0 ? rc : 1;
	}
	snprintf(found, sizeof found, "%.299s", why->text);
	if (rc == ERR_NOTFOUND && k->absent)
		return 0; /* judged with what else is missing there */
	if (end > k->synced) {
		if (!k->torn)
			memcpy(k->torn_text, found, sizeof found);
		k->torn = true;
		return 0;
	}
	err_set(why, rc, "%s; %s", found,
		k->rows ? "move log/tile away: the next opening for writing makes it again from "
			  "the database"
			: "take it again from where this copy came from");
	return judge(k, kind, rc, why);
}

/* ---- entries ---- */

/* Stand on the database's row of that entry, or the one after it; rows of entries that the folder
 * lacks are passed. */
static int seek_row(struct check *k, uint64_t index)
{
	while (!k->rows_end && (!k->row || (uint64_t)store_i64(k->rows, 0) < index)) {
		int rc = store_step(k->rows, k->e);
		TRY(rc);
		k->row = rc == 1;
		k->rows_end = !k->row;
	}
	return 0;
}

static int compare_row(struct check *k, uint64_t index, const void *entry, size_t len)
{
	unsigned long long at = index;
	size_t row_len;

	if (!k->rows)
		return 0;
	TRY(seek_row(k, index));
	if (!k->row || (uint64_t)store_i64(k->rows, 0) != index) {
		audit_check_problem(k, "head", "entry %llu is missing from the database", at);
		return 0;
	}
	const void *row = store_blob(k->rows, 1, &row_len);
	if (row_len != len || memcmp(row, entry, len) != 0)
		audit_check_problem(k, "head",
				    "entry %llu in the database differs from the published one",
				    at);
	return 0;
}

/* Hashed like any other; counted, and the first ones named. */
static void take_unread(struct check *k, uint64_t index, const struct record_head *head)
{
	struct audit_verdict *v = k->v;

	if (v->unreads < COUNT(v->unread)) {
		struct audit_unread *u = &v->unread[v->unreads];
		*u = (struct audit_unread){ .index = index, .version = head->version };
		snprintf(u->type, sizeof u->type, "%s", head->type);
	}
	v->unreads++;
	v->newer += head->version > 1;
	v->ok = v->ok && head->version == 1;
}

static void check_genesis(struct check *k, uint64_t index, const struct record_head *head)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(head->entry, "body"), "origin"));

	if (name && strcmp(name, k->c.origin) != 0)
		audit_check_problem(k, "record",
				    "entry %llu names the log %.100s, its checkpoint %s",
				    (unsigned long long)index, name, k->c.origin);
}

static int take_record(struct check *k, uint64_t index, const struct record_head *head)
{
	if (!head->unread && strcmp(head->type, "genesis") == 0)
		check_genesis(k, index, head);
	if (head->unread)
		take_unread(k, index, head);
	if (!head->worker[0])
		return 0;
	if (head->time_us < k->time_us)
		audit_check_problem(k, "time", "entry %llu is earlier than the one before it",
				    (unsigned long long)index);
	k->time_us = head->time_us;
	return audit_lives_take(k, index, head);
}

static int check_entry(struct check *k, uint64_t index, const void *entry, size_t len)
{
	struct record_head head;
	struct err e = { 0 };
	int rc = audit_record_parse(entry, len, &head, &e);

	if (k->synced < k->c.size) {
		struct digest leaf = audit_tree_leaf(entry, len);
		merkle_add(&k->merkle, &leaf);
	}
	if (rc < 0) {
		char text[200];
		snprintf(text, sizeof(text), "%.199s", e.text);
		err_set(&e, rc, "entry %llu: %s", (unsigned long long)index, text);
		TRY(judge(k, "record", rc, &e));
	} else {
		rc = take_record(k, index, &head);
		if (rc == 0)
			rc = audit_check_vault(k, index, &head);
		json_decref(head.entry);
		TRY(rc);
	}
	return compare_row(k, index, entry, len);
}

/* Entries of a bundle that is torn, from the database. */
static int check_rows(struct check *k, uint64_t index, uint64_t end)
{
	size_t len;

	for (; index < end; index++) {
		TRY(seek_row(k, index));
		if (!k->row || (uint64_t)store_i64(k->rows, 0) != index)
			return 0; /* the root will not come out */
		const void *entry = store_blob(k->rows, 1, &len);
		TRY(check_entry(k, index, entry, len));
	}
	return 0;
}

/* In a folder by itself, files that are missing at the end were not there yet when it was copied;
 * before files that are there they are a hole. */
static bool note_absent(struct check *k, uint64_t n, int rc, const struct err *why)
{
	if (k->rows)
		return false;
	if (rc == ERR_NOTFOUND) {
		if (!k->absent) {
			k->absent_from = n;
			snprintf(k->absent_text, sizeof k->absent_text, "%.299s", why->text);
		}
		k->absent = k->skipped = true;
		return true;
	}
	if (k->absent)
		audit_check_problem(k, "entry", "%s; take it again from where this copy came from",
				    k->absent_text);
	k->absent = false;
	return false;
}

static void judge_absent_files(struct check *k)
{
	k->v->incomplete = k->c.size - k->absent_from * TILE_FULL;
	k->v->ok = false;
	audit_check_remark(k, "copy",
			   "%s: a copy that was made while the log was written lacks its newest "
			   "files; copy it again, log/checkpoint first",
			   k->absent_text);
}

static int check_bundle(struct check *k, uint64_t n)
{
	struct tile t = { TILE_ENTRIES, n, audit_tile_width(k->c.size, 0, n) };
	struct buf bundle = { 0 };
	struct err e = { 0 };
	const void *entry;
	size_t at = 0, len;
	uint64_t index = n * TILE_FULL, end = index + t.width;
	bool torn = k->torn;
	int rc = audit_tile_check_bundle(k->dir, k->c.size, n, &e);

	if (note_absent(k, n, rc, &e))
		return 0;
	k->torn = false;
	rc = judge_file(k, "entry", end, rc, &e);
	if (rc == 0 && k->torn)
		rc = check_rows(k, index, end);
	else if (rc >= 0 && audit_tile_read(k->dir, &t, &bundle, &e) == 0)
		while (rc >= 0 && (rc = audit_bundle_next(&bundle, &at, &entry, &len, &e)) == 1)
			rc = check_entry(k, index++, entry, len);
	else if (rc >= 0 && k->rows) /* the file is missing, what it held need not be */
		rc = check_rows(k, index, end);
	else
		k->skipped = true;
	k->torn = k->torn || torn;
	buf_free(&bundle);
	return rc;
}

/* The end of the entries by which a tile and the one above it may be torn; 0: both were durable. */
static uint64_t tile_reach(const struct check *k, int level, uint64_t n)
{
	uint64_t up = n / TILE_FULL;

	if (k->synced >= k->c.size)
		return 0;
	if ((n + 1) << 8 * (level + 1) <= k->synced &&
	    audit_tile_width(k->c.size, level + 1, up) ==
		    audit_tile_width(k->synced, level + 1, up))
		return 0;
	return k->c.size;
}

static int check_tiles(struct check *k)
{
	struct err e = { 0 };
	struct digest root;
	int rc;

	for (int level = 0; level + 1 < TILE_LEVELS; level++)
		for (uint64_t n = 0; n < k->c.size >> 8 * (level + 1); n++) {
			rc = audit_tile_check_parent(k->dir, k->c.size, level, n, &e);
			TRY(judge_file(k, "tile", tile_reach(k, level, n), rc, &e));
		}
	rc = audit_tile_edge_root(k->dir, k->c.size, &root, &e);
	if (rc == 0 && !digest_equal(&root, &k->c.root))
		rc = err_set(&e, ERR_VERIFY, "the tiles do not have the signed root");
	rc = judge_file(k, "tile", k->c.size, rc, &e);
	return rc < 0 ? rc : 0;
}

/* Torn files are no loss where the database has all that was signed. */
static void judge_torn(struct check *k)
{
	struct digest root = merkle_root(&k->merkle);

	if (k->merkle.count == k->c.size && digest_equal(&root, &k->c.root))
		audit_check_remark(
			k, "files",
			"files of entries from %llu on are not all there: they were not "
			"durable yet when the machine stopped; the database holds what they "
			"held, and the next opening for writing writes them again",
			(unsigned long long)k->synced);
	else
		audit_check_problem(k, "tile",
				    "%s; nor do the database's entries have the signed root",
				    k->torn_text);
}

/* How far the files are durable; older databases do not say. */
static int read_synced(struct check *k, struct store_tx *tx)
{
	struct store_stmt *st;
	int rc = store_prepare(tx, "SELECT synced FROM log_guard WHERE id = 1", &st, k->e);

	if (rc == ERR_INPUT)
		return 0;
	TRY(rc);
	rc = store_step(st, k->e);
	if (rc == 1 && store_i64(st, 0) >= 0)
		k->synced = (uint64_t)store_i64(st, 0);
	store_finish(st);
	return rc < 0 ? rc : 0;
}

/* What a running server acknowledged in the last moment is no wonder; where it stays, the server
 * cannot go on. */
static int check_journal(struct check *k, uint64_t head)
{
	char path[LIMIT_PATH_BYTES];
	uint64_t reach;
	bool strange; /* openings refuse it */

	TRY(file_join(path, k->dir, "../" JOURNAL_NAME, k->e));
	TRY(audit_journal_reach(path, NULL, &reach, &strange, k->e));
	if (reach > head)
		audit_check_remark(k, "journal",
				   "the journal reaches to entry %llu, the database has %llu: the "
				   "process that writes takes them in, or the next opening",
				   (unsigned long long)reach, (unsigned long long)head);
	return 0;
}

static int check_head(struct check *k, struct store_tx *tx)
{
	struct err e = { 0 };
	struct digest root;
	uint64_t size = 0;
	int rc = audit_log_head_read(tx, &size, &root, &e);

	if (rc == 0 && size < k->c.size)
		audit_check_problem(k, "head",
				    "the database has %llu entries, the signed checkpoint %llu",
				    (unsigned long long)size, (unsigned long long)k->c.size);
	if (rc == 0 && size > k->c.size)
		audit_check_remark(
			k, "head",
			"the database has %llu entries, the signed checkpoint %llu: the "
			"log was being written, or a crash came between; the next opening "
			"for writing publishes them",
			(unsigned long long)size, (unsigned long long)k->c.size);
	if (rc == 0 && size == k->c.size && !digest_equal(&root, &k->c.root))
		audit_check_problem(k, "head", "the database's root is not the signed one");
	if (rc == 0)
		TRY(check_journal(k, size));
	return judge(k, "head", rc, &e);
}

/* ---- the whole ---- */

/* Entries that the folder does not hold yet may say what became of the vault's rows. */
static int take_unpublished(struct check *k)
{
	struct record_head head;
	size_t len;

	TRY(seek_row(k, k->c.size));
	int rc = k->row;
	while (rc == 1) {
		const void *entry = store_blob(k->rows, 1, &len);
		uint64_t index = (uint64_t)store_i64(k->rows, 0);
		if (audit_record_parse(entry, len, &head, NULL) == 0) {
			rc = audit_gone_take(&k->vault.gone, index, &head, k->e);
			json_decref(head.entry);
			TRY(rc);
		}
		rc = store_step(k->rows, k->e);
	}
	return rc;
}

static int check_all(struct check *k, struct store *store)
{
	struct store_tx *tx = NULL;
	int rc = 0;

	if (store) {
		TRY(store_read(store, &tx, k->e));
		TRY_OUT(check_head(k, tx));
		TRY_OUT(read_synced(k, tx));
		TRY_OUT(store_prepare(tx, "SELECT idx, entry FROM log_entry ORDER BY idx", &k->rows,
				      k->e));
		TRY_OUT(audit_check_vault_open(k, tx));
	}
	for (uint64_t n = 0; n * TILE_FULL < k->c.size; n++)
		TRY_OUT(check_bundle(k, n));
	TRY_OUT(check_tiles(k));
	if (k->absent)
		judge_absent_files(k);
	if (k->torn)
		judge_torn(k);
	if (k->rows)
		TRY_OUT(take_unpublished(k));
	audit_lives_judge(k);
	rc = audit_check_vault_judge(k, tx);
out:
	store_finish(k->rows);
	audit_check_vault_close(k);
	store_end(tx);
	return rc;
}

/* From the folder; where the file is damaged, and may be, from the database. */
static int take_checkpoint(struct check *k, struct store *store, const char *vkey)
{
	struct buf note = { 0 };
	struct err why = { 0 };
	int found = audit_log_checkpoint_read(k->dir, vkey, &note, &k->c, &why);

	buf_free(&note);
	if (store && (found == ERR_INPUT || found == ERR_VERIFY)) {
		uint64_t durable;
		int rc = audit_log_kept(store, vkey, &note, &k->c, &durable, k->e);
		buf_free(&note);
		if (rc == 0)
			audit_check_remark(
				k, "files",
				"log/checkpoint is torn: it was not durable yet when the "
				"machine stopped; the database holds it, and the next "
				"opening for writing writes it again");
		if (rc != ERR_NOTFOUND)
			return rc;
	}
	return judge(k, "checkpoint", found, &why);
}

int audit_verify(const char *log_dir, const char *vkey, struct store *store,
		 struct audit_verdict *out, struct err *e)
{
	struct check k = { .dir = log_dir, .v = out, .synced = UINT64_MAX, .e = e };
	struct note_key key;
	int rc;

	*out = (struct audit_verdict){ .ok = true };
	TRY(audit_note_key_parse(vkey, &key, e));
	if (!file_is_dir(log_dir))
		return err_set(e, ERR_NOTFOUND, "%s: there is no log", log_dir);
	rc = take_checkpoint(&k, store, vkey);
	if (rc < 0 || !out->ok)
		return rc;
	out->size = k.c.size;
	out->root = k.c.root;
	snprintf(out->origin, sizeof(out->origin), "%s", k.c.origin);
	rc = audit_lives_open(&k);
	if (rc == 0)
		rc = check_all(&k, store);
	audit_lives_close(&k);
	return rc;
}
