/* Checking a log as its readers would, with a verifier key and the published folder; with the
 * database too, where there is one. Nothing here stops at the first problem: the verdict names them
 * by kind.
 *
 *   checkpoint  signature, origin or form of the signed note
 *   tile        missing, of a wrong length, or hashes that do not lead to the signed root
 *   entry       missing, or its hash is not the tree's
 *   record      an entry that is not canonical, or not a record that this version can read
 *   time        an entry is earlier than the one before it
 *   gap         a worker's number is missing, or stands twice
 *   stop        a worker started and never ended, or wrote after its end
 *   head        database and folder differ */
#include "audit/log_in.h"

#include "base/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a worker has shown so far. */
struct worker {
	uint8_t *seen;      /* bit n */
	uint64_t room, max; /* bits; highest number seen */
	bool started, ended;
	size_t order; /* the running number of its start */
};

struct check {
	const char *dir;
	struct audit_verdict *v;
	struct checkpoint c;
	json_t *index; /* worker id -> position in worker[] */
	struct worker *worker;
	size_t workers, starts;
	int64_t time_us;
	struct store_stmt *rows; /* entries of the database, in order, or NULL */
	struct err *e;
};

static void problem(struct check *k, const char *kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void problem(struct check *k, const char *kind, const char *fmt, ...)
{
	struct audit_verdict *v = k->v;
	va_list args;

	v->ok = false;
	if (v->problems < sizeof(v->problem) / sizeof(*v->problem)) {
		struct audit_problem *p = &v->problem[v->problems];
		snprintf(p->kind, sizeof(p->kind), "%s", kind);
		va_start(args, fmt);
		vsnprintf(p->text, sizeof(p->text), fmt, args);
		va_end(args);
	}
	v->problems++;
}

/* What does not verify, or is missing, is a problem of the log; being unable to read is our
 * error. */
static int judge(struct check *k, const char *kind, int rc, const struct err *why)
{
	if (rc == ERR_VERIFY || rc == ERR_NOTFOUND || rc == ERR_INPUT || rc == ERR_UNSUPPORTED) {
		problem(k, kind, "%s", why->text);
		return 0;
	}
	if (rc < 0)
		return err_set(k->e, rc, "%s", why->text);
	return rc;
}

/* ---- workers ---- */

static struct worker *worker_find(struct check *k, const char *id)
{
	json_t *at = json_object_get(k->index, id);
	struct worker *grown;

	if (at)
		return &k->worker[json_integer_value(at)];
	grown = realloc(k->worker, (k->workers + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	k->worker = grown;
	k->worker[k->workers] = (struct worker){ .seen = NULL };
	json_object_set_new(k->index, id, json_integer((json_int_t)k->workers));
	return &k->worker[k->workers++];
}

/* Mark number n; false when it was marked before, ERR_NOMEM without memory. n is below the log's
 * size. */
static int mark(struct worker *w, uint64_t n)
{
	if (n >= w->room) {
		uint64_t room = (n + 1) * 2 + 64;
		uint8_t *grown = realloc(w->seen, room / 8 + 1);
		if (!grown)
			return ERR_NOMEM;
		memset(grown + (w->room ? w->room / 8 + 1 : 0), 0,
		       room / 8 + 1 - (w->room ? w->room / 8 + 1 : 0));
		w->seen = grown;
		w->room = room;
	}
	if (w->seen[n / 8] >> n % 8 & 1)
		return 0;
	w->seen[n / 8] |= (uint8_t)(1u << n % 8);
	w->max = n > w->max ? n : w->max;
	return 1;
}

static int take_number(struct check *k, const char *id, uint64_t n)
{
	struct worker *w = worker_find(k, id);
	int fresh;

	if (!w)
		return err_set(k->e, ERR_NOMEM, "out of memory");
	if (n >= k->c.size) {
		problem(k, "gap", "worker %s: number %llu in a log of %llu entries", id,
			(unsigned long long)n, (unsigned long long)k->c.size);
		return 0;
	}
	fresh = mark(w, n);
	if (fresh < 0)
		return err_set(k->e, ERR_NOMEM, "out of memory");
	if (!fresh)
		problem(k, "gap", "worker %s: number %llu stands twice", id, (unsigned long long)n);
	return 0;
}

/* A `lost` entry, in which the log states that a worker died: its missing numbers were never
 * acknowledged. */
static int take_lost(struct check *k, const json_t *body)
{
	const json_t *id = json_object_get(body, "worker"),
		     *missing = json_object_get(body, "missing"), *n;
	struct worker *w = json_is_string(id) ? worker_find(k, json_string_value(id)) : NULL;
	size_t i;

	if (!w)
		return 0;
	w->ended = true;
	json_array_foreach(missing, i, n) {
		if (json_is_integer(n) && json_integer_value(n) >= 0 &&
		    (uint64_t)json_integer_value(n) < k->c.size &&
		    mark(w, (uint64_t)json_integer_value(n)) < 0)
			return err_set(k->e, ERR_NOMEM, "out of memory");
	}
	return 0;
}

static int take_record(struct check *k, uint64_t index, const struct record_head *head)
{
	struct worker *w;
	const json_t *body = json_object_get(head->entry, "body");

	if (head->time_us < k->time_us)
		problem(k, "time", "entry %llu is earlier than the one before it",
			(unsigned long long)index);
	k->time_us = head->time_us;
	TRY(take_number(k, head->worker, head->n));
	if (strcmp(head->type, "lost") == 0 && strcmp(head->worker, LOG_ITSELF) == 0)
		return take_lost(k, body);
	w = worker_find(k, head->worker);
	if (!w)
		return err_set(k->e, ERR_NOMEM, "out of memory");
	if (w->ended)
		problem(k, "stop", "worker %s: entry %llu after its end", head->worker,
			(unsigned long long)index);
	if (strcmp(head->type, "start") == 0) {
		w->started = true;
		w->order = ++k->starts;
	}
	w->ended = w->ended || strcmp(head->type, "stop") == 0;
	return 0;
}

static uint64_t first_missing(const struct worker *w)
{
	uint64_t n = 0;

	while (n <= w->max && w->seen[n / 8] >> n % 8 & 1)
		n++;
	return n;
}

/* The worker of an open log has not ended: the folder's lock tells it from one that died. */
static bool is_open(const struct check *k)
{
	char path[LIMIT_PATH_BYTES];
	int fd, rc;

	if (file_join(path, k->dir, "lock", NULL) < 0 || !file_exists(path))
		return false;
	rc = file_lock(path, &fd, NULL);
	if (rc == 0)
		file_unlock(fd);
	return rc == ERR_CONFLICT;
}

static void check_workers(struct check *k)
{
	bool open = is_open(k);
	const char *id;
	json_t *at;

	json_object_foreach(k->index, id, at) {
		const struct worker *w = &k->worker[json_integer_value(at)];
		uint64_t missing = w->seen ? first_missing(w) : 1;
		bool running = open && w->order == k->starts;
		if (w->seen && missing <= w->max && !running)
			problem(k, "gap", "worker %s: number %llu is missing", id,
				(unsigned long long)missing);
		if (w->started && !w->ended && !running)
			problem(k, "stop",
				"worker %s has no stop record: later records may be missing", id);
	}
}

/* ---- entries ---- */

static int compare_row(struct check *k, uint64_t index, const void *entry, size_t len)
{
	struct err e = { 0 };
	size_t row_len;
	const void *row;
	int rc;

	if (!k->rows)
		return 0;
	rc = store_step(k->rows, &e);
	if (rc < 0)
		return err_set(k->e, rc, "%s", e.text);
	if (rc == 0 || (uint64_t)store_i64(k->rows, 0) != index) {
		problem(k, "head", "entry %llu is missing from the database",
			(unsigned long long)index);
		k->rows = NULL; /* the rest would all be out of step */
		return 0;
	}
	row = store_blob(k->rows, 1, &row_len);
	if (row_len != len || memcmp(row, entry, len) != 0)
		problem(k, "head", "entry %llu in the database differs from the published one",
			(unsigned long long)index);
	return 0;
}

static int check_entry(struct check *k, uint64_t index, const void *entry, size_t len)
{
	struct record_head head;
	struct err e = { 0 };
	int rc = audit_record_parse(entry, len, &head, &e);

	if (rc < 0) {
		char text[200];
		snprintf(text, sizeof(text), "%.199s", e.text);
		err_set(&e, rc, "entry %llu: %s", (unsigned long long)index, text);
		TRY(judge(k, "record", rc, &e));
	} else {
		rc = take_record(k, index, &head);
		json_decref(head.entry);
		TRY(rc);
	}
	return compare_row(k, index, entry, len);
}

static int check_bundle(struct check *k, uint64_t n)
{
	struct tile t = { TILE_ENTRIES, n, audit_tile_width(k->c.size, 0, n) };
	struct buf bundle = { 0 };
	struct err e = { 0 };
	const void *entry;
	size_t at = 0, len;
	uint64_t index = n * TILE_FULL;
	int rc = judge(k, "entry", audit_tile_check_bundle(k->dir, k->c.size, n, &e), &e);

	if (rc == 0 && audit_tile_read(k->dir, &t, &bundle, &e) == 0)
		while (rc == 0 && (rc = audit_bundle_next(&bundle, &at, &entry, &len, &e)) == 1)
			rc = check_entry(k, index++, entry, len);
	buf_free(&bundle);
	return rc;
}

static int check_tiles(struct check *k)
{
	struct err e = { 0 };
	struct digest root;
	int rc;

	for (int level = 0; level + 1 < TILE_LEVELS; level++)
		for (uint64_t n = 0; n < k->c.size >> 8 * (level + 1); n++)
			TRY(judge(k, "tile",
				  audit_tile_check_parent(k->dir, k->c.size, level, n, &e), &e));
	rc = audit_tile_edge_root(k->dir, k->c.size, &root, &e);
	if (rc == 0 && !digest_equal(&root, &k->c.root))
		problem(k, "tile", "the tiles do not have the signed root");
	return judge(k, "tile", rc, &e);
}

static int check_head(struct check *k, struct store_tx *tx)
{
	struct err e = { 0 };
	struct digest root;
	uint64_t size = 0;
	int rc = audit_log_head_read(tx, &size, &root, &e);

	if (rc == 0 && size < k->c.size)
		problem(k, "head", "the database has %llu entries, the signed checkpoint %llu",
			(unsigned long long)size, (unsigned long long)k->c.size);
	if (rc == 0 && size == k->c.size && !digest_equal(&root, &k->c.root))
		problem(k, "head", "the database's root is not the signed one");
	return judge(k, "head", rc, &e);
}

/* ---- the whole ---- */

static int check_all(struct check *k, struct store *store)
{
	struct store_stmt *rows = NULL;
	struct store_tx *tx = NULL;
	int rc = 0;

	if (store) {
		TRY(store_read(store, &tx, k->e));
		TRY_OUT(check_head(k, tx));
		TRY_OUT(store_prepare(tx, "SELECT idx, entry FROM log_entry ORDER BY idx", &rows,
				      k->e));
		k->rows = rows;
	}
	for (uint64_t n = 0; n * TILE_FULL < k->c.size; n++)
		TRY_OUT(check_bundle(k, n));
	TRY_OUT(check_tiles(k));
	check_workers(k);
out:
	store_finish(rows);
	store_end(tx);
	return rc;
}

int audit_verify(const char *log_dir, const char *vkey, struct store *store,
		 struct audit_verdict *out, struct err *e)
{
	struct check k = { .dir = log_dir, .v = out, .e = e };
	struct buf note = { 0 };
	struct err why = { 0 };
	struct note_key key;
	int rc;

	*out = (struct audit_verdict){ .ok = true };
	TRY(audit_note_key_parse(vkey, &key, e));
	if (!file_is_dir(log_dir))
		return err_set(e, ERR_NOTFOUND, "%s: there is no log", log_dir);
	rc = judge(&k, "checkpoint", audit_log_checkpoint_read(log_dir, vkey, &note, &k.c, &why),
		   &why);
	buf_free(&note);
	if (rc < 0 || !out->ok)
		return rc;
	out->size = k.c.size;
	out->root = k.c.root;
	snprintf(out->origin, sizeof(out->origin), "%s", k.c.origin);
	k.index = json_object();
	rc = check_all(&k, store);
	for (size_t i = 0; i < k.workers; i++)
		free(k.worker[i].seen);
	free(k.worker);
	json_decref(k.index);
	return rc;
}
