/* Rebuilding a lost database from the published folder: every bundle is read, every entry inserted
 * and handed to the hook, in one transaction. What the vault held is gone, and listed. What no
 * entry says was erased is lost, and one more entry states it, so that nobody need take an emptied
 * vault for a rebuilt one: it waits in the database, and the next opening for writing publishes it.
 *
 * Where a server was killed, its journal has what the folder lacks, with what the vault kept of it:
 * those frames follow the folder's entries. */
#include "audit/gone.h"
#include "audit/log_in.h"
#include "audit/whole.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

struct rebuild {
	const struct audit_options *o;
	struct store_tx *tx;
	const char *dir;
	struct merkle merkle;
	uint64_t size;   /* what was there, in folder and journal */
	int64_t time_us; /* of the last entry */
	struct gone gone;
	json_t *undisclosable;
};

/* Count what the lost vault held: the commitments remain, but can no longer be disclosed. */
static int add_undisclosable(struct rebuild *r, uint64_t index, const char *type, struct err *e)
{
	json_t *item = json_pack("{s:I,s:s}", "index", (json_int_t)index, "type", type);

	return json_array_append_new(r->undisclosable, item) == 0
		       ? 0
		       : err_set(e, ERR_NOMEM, "out of memory");
}

static int apply_entry(struct rebuild *r, uint64_t index, const struct record_head *head,
		       struct err *e)
{
	TRY(audit_workers_apply(r->tx, index, head->type, head->worker,
				json_object_get(head->entry, "body"), e));
	return r->o->hook.apply ? r->o->hook.apply(r->o->hook.ctx, r->tx, index, head->entry, e)
				: 0;
}

static int rebuild_entry(struct rebuild *r, const void *bytes, size_t len, struct err *e)
{
	struct digest leaf = audit_tree_leaf(bytes, len);
	uint64_t index = r->merkle.count;
	struct record_head head;
	int rc;

	TRY(audit_record_parse(bytes, len, &head, e));
	r->time_us = head.time_us > r->time_us ? head.time_us : r->time_us;
	TRY_OUT(audit_gone_take(&r->gone, index, &head, e));
	/* A row for each entry; one of a later version may name neither worker nor number. */
	uint64_t n = head.worker[0] ? head.n : index;
	struct entry_row row = { index, leaf, head.type, head.worker, n, bytes, len };
	TRY_OUT(audit_log_entry_insert(r->tx, &row, e));
	if (!head.unread)
		TRY_OUT(apply_entry(r, index, &head, e));
	if (head.sealed)
		rc = add_undisclosable(r, index, head.type, e);
	merkle_add(&r->merkle, &leaf);
out:
	json_decref(head.entry);
	return rc < 0 ? rc : 0;
}

static int rebuild_entries(struct rebuild *r, uint64_t size, struct err *e)
{
	for (uint64_t n = 0; n * TILE_FULL < size; n++) {
		struct tile t = { TILE_ENTRIES, n, audit_tile_width(size, 0, n) };
		struct buf bundle = { 0 };
		const void *entry;
		size_t at = 0, len;
		int rc = audit_tile_read(r->dir, &t, &bundle, e);
		while (rc == 0 && (rc = audit_bundle_next(&bundle, &at, &entry, &len, e)) == 1)
			rc = rebuild_entry(r, entry, len, e);
		buf_free(&bundle);
		TRY(rc);
	}
	return 0;
}

/* ---- what waits in a journal ---- */

static int take_frame(struct rebuild *r, const struct frame *f, const char *vkey, struct err *e)
{
	struct frame_cursor c = audit_frame_read(f, &f->bytes);
	struct frame_record record;
	struct record_head head;
	struct checkpoint said;
	int rc;

	while ((rc = audit_frame_next(&c, &record, e)) == 1) {
		struct digest leaf = audit_tree_leaf(record.entry, record.entry_len);
		merkle_add(&r->merkle, &leaf);
		TRY(audit_record_parse(record.entry, record.entry_len, &head, e));
		r->time_us = head.time_us > r->time_us ? head.time_us : r->time_us;
		json_decref(head.entry);
	}
	TRY(rc);
	TRY(audit_checkpoint_open(f->note.bytes, f->note.len, vkey, &said, e));
	struct digest root = merkle_root(&r->merkle);
	if (said.size != r->merkle.count || !digest_equal(&root, &said.root))
		return err_set(e, ERR_VERIFY, "the journal's entries do not have the signed root");
	return audit_behind_insert(r->tx, f, true, e);
}

/* note: the newest checkpoint, taken on with each frame. */
static int rebuild_journal(struct rebuild *r, const char *vkey, struct buf *note, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct frame *first;
	uint8_t key[32];

	TRY(file_join(path, r->o->home, JOURNAL_NAME, e));
	audit_journal_key(r->o->key, key);
	int rc = audit_journal_read(path, key, r->merkle.count, &first, e);
	explicit_bzero(key, sizeof key);
	if (rc == ERR_NOTFOUND)
		return 0;
	TRY(rc);
	for (const struct frame *f = first; rc == 0 && f; f = f->next) {
		rc = take_frame(r, f, vkey, e);
		if (rc == 0 && !f->next) {
			buf_clear(note);
			buf_add(note, f->note.bytes, f->note.len);
			rc = buf_done(note, e);
		}
	}
	audit_frame_free(first);
	return rc;
}

/* ---- what is lost ---- */

struct loss {
	json_int_t first, last, records;
};

/* Of each sealed entry: whether it was erased, and by which entry, or is lost. out: those of which
 * no entry says so yet. */
static int tell_gone(struct rebuild *r, struct loss *out, struct err *e)
{
	json_t *item;
	size_t i;

	*out = (struct loss){ .records = 0 };
	audit_gone_sort(&r->gone);
	json_array_foreach(r->undisclosable, i, item) {
		json_int_t index = json_integer_value(json_object_get(item, "index"));
		const struct gone_range *g = audit_gone_find(&r->gone, (uint64_t)index);
		const char *how = g && !g->lost ? "erased" : "lost";
		int failed = json_object_set_new(item, "gone", json_string(how));
		if (g)
			failed |= json_object_set_new(item, "by", json_integer((json_int_t)g->by));
		if (failed)
			return err_set(e, ERR_NOMEM, "out of memory");
		if (g)
			continue;
		out->first = out->records ? out->first : index;
		out->last = index;
		out->records++;
	}
	return 0;
}

static int insert_loss(struct rebuild *r, const struct record *made, struct err *e)
{
	int64_t now = env_now_us(r->o->env);
	uint64_t index = r->merkle.count, n;
	struct buf bytes = { 0 };
	int rc;

	TRY(audit_workers_next(r->tx, &n, e));
	TRY_OUT(audit_record_entry(made, LOG_ITSELF, n, now > r->time_us ? now : r->time_us, NULL,
				   &bytes, e));
	struct digest leaf = audit_tree_leaf(bytes.bytes, bytes.len);
	struct entry_row row = { index, leaf, "lost", LOG_ITSELF, n, bytes.bytes, bytes.len };
	rc = audit_log_entry_insert(r->tx, &row, e);
	merkle_add(&r->merkle, &leaf);
out:
	buf_free(&bytes);
	return rc;
}

static int state_loss(struct rebuild *r, const struct loss *loss, struct err *e)
{
	json_t *body = json_pack("{s:[[II]],s:I}", "vault", loss->first, loss->last, "records",
				 loss->records);
	struct audit_record lost = { .type = "lost", .body = body };
	struct record made;

	TRY(json_ok(body, e));
	int rc = audit_record_prepare(&lost, r->o->env, &made, e);
	if (rc == 0) {
		rc = insert_loss(r, &made, e);
		audit_record_free(&made);
	}
	json_decref(body);
	return rc;
}

/* ---- the whole ---- */

static int put_head(struct rebuild *r, const struct checkpoint *c, const struct buf *note,
		    struct err *e)
{
	const struct guard guard = { .synced = c->size };
	const struct digest root = merkle_root(&r->merkle);
	uint8_t key[32];

	TRY(audit_log_head_insert(r->tx, r->merkle.count, &root, note->bytes, e));
	audit_guard_key(r->o->key, key);
	int rc = audit_guard_put(r->tx, key, &guard, r->merkle.count, &root, e);
	explicit_bzero(key, sizeof key);
	return rc;
}

/* keys.db may have seen more than folder and journal hold. */
static int check_seen(struct rebuild *r, const char *vkey, uint64_t size, struct err *e)
{
	struct buf note = { 0 };
	struct checkpoint seen = { .size = 0 };
	int rc = r->o->keys ? audit_guard_seen(r->o->keys, &note, e) : ERR_NOTFOUND;

	if (rc == 0)
		rc = audit_checkpoint_open(note.bytes, note.len, vkey, &seen, e);
	buf_free(&note);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc < 0 || seen.size <= size)
		return rc;
	return err_set(
		e, ERR_VERIFY,
		"log/ covers %llu entries, keys.db has seen %llu: log/ is an old copy; put back "
		"the newest, or knowingly give up the rest: move keys.db away",
		(unsigned long long)size, (unsigned long long)seen.size);
}

static int rebuild_store(struct rebuild *r, const char *vkey, const struct checkpoint *c,
			 struct buf *note, struct err *e)
{
	struct digest root;
	struct loss loss;
	int rc;

	TRY(store_write(r->o->store, &r->tx, e));
	TRY_OUT(rebuild_entries(r, c->size, e));
	root = merkle_root(&r->merkle);
	if (!digest_equal(&root, &c->root)) {
		rc = err_set(e, ERR_VERIFY, "the bundles do not have the signed root");
		goto out;
	}
	TRY_OUT(rebuild_journal(r, vkey, note, e));
	r->size = r->merkle.count;
	TRY_OUT(check_seen(r, vkey, r->size, e));
	TRY_OUT(audit_workers_guess(r->tx, e));
	TRY_OUT(tell_gone(r, &loss, e));
	if (loss.records)
		TRY_OUT(state_loss(r, &loss, e));
	TRY_OUT(put_head(r, c, note, e));
	rc = store_commit(r->tx, e);
out:
	store_end(r->tx);
	return rc;
}

/* Problems of numbering do not prevent a rebuild: hashes and signature decide. */
static int check_folder(const char *dir, const char *vkey, struct err *e)
{
	struct audit_verdict *v = calloc(1, sizeof *v);

	if (!v)
		return err_set(e, ERR_NOMEM, "out of memory");
	int rc = audit_verify(dir, vkey, NULL, v, e);
	if (rc == 0 && v->grave.kind[0])
		rc = err_set(e, ERR_VERIFY, "the published log does not verify: %s: %s",
			     v->grave.kind, v->grave.text);
	if (rc == 0 && v->incomplete)
		rc = err_set(e, ERR_VERIFY, "the published log does not verify: %s",
			     v->remark[0].text);
	free(v);
	return rc;
}

static int rebuild_from(struct rebuild *r, const char *vkey, const struct checkpoint *c,
			struct buf *note, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	uint8_t key[32];
	uint64_t reach;
	bool strange; /* refused when it is read */

	TRY(file_join(path, r->o->home, JOURNAL_NAME, e));
	audit_journal_key(r->o->key, key);
	int rc = audit_journal_reach(path, key, &reach, &strange, e);
	explicit_bzero(key, sizeof key);
	TRY(rc);
	TRY(check_seen(r, vkey, reach > c->size ? reach : c->size, e));
	if (r->o->keys)
		TRY(audit_vault_doubt_keys(r->o->keys, e));
	TRY(rebuild_store(r, vkey, c, note, e));
	/* Tiles beyond the checkpoint: their entries were lost with the database, and the next
	 * entries will give other tiles. */
	return audit_tile_drop_beyond(r->dir, c->size, e);
}

static int rebuild_locked(struct rebuild *r, const char *vkey, uint64_t *size, struct err *e)
{
	struct buf note = { 0 };
	struct checkpoint c;
	struct digest root;
	int rc;

	TRY(audit_log_schema(r->o, e));
	rc = audit_log_head_ask(r->o->store, size, &root, e);
	if (rc == 0)
		return err_set(e, ERR_CONFLICT,
			       "the database holds a log already; rebuild works on an empty one");
	if (rc != ERR_NOTFOUND)
		return rc;
	TRY(check_folder(r->dir, vkey, e));
	rc = audit_log_checkpoint_read(r->dir, vkey, &note, &c, e);
	if (rc == 0)
		rc = rebuild_from(r, vkey, &c, &note, e);
	if (rc == 0)
		*size = r->size;
	buf_free(&note);
	return rc;
}

int audit_rebuild(const struct audit_options *o, const char *vkey, struct audit_rebuilt *out,
		  struct err *e)
{
	char dir[LIMIT_PATH_BYTES];
	struct rebuild r = { .o = o, .dir = dir };
	struct audit_claim *claim = NULL;
	int rc;

	*out = (struct audit_rebuilt){ .size = 0 };
	TRY(file_join(dir, o->home, "log", e));
	if (!o->claim)
		TRY(audit_claim_take(&claim,
				     &(struct audit_claiming){ .home = o->home, .env = o->env },
				     e));
	r.undisclosable = json_array();
	rc = r.undisclosable ? rebuild_locked(&r, vkey, &out->size, e)
			     : err_set(e, ERR_NOMEM, "out of memory");
	audit_claim_drop(claim);
	audit_gone_free(&r.gone);
	if (rc < 0) {
		json_decref(r.undisclosable);
		r.undisclosable = NULL;
	}
	out->undisclosable = r.undisclosable;
	return rc;
}
