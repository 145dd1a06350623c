/* The journal that a killed process left, and that of one which runs, for who opens the log.
 *
 * Opening for writing takes what the database lacks of it: each valid frame from the database's
 * head on, in one transaction. From there on the database is ahead of the folder, as after a crash
 * between a commit and its files, and recovery (audit/recover.c) does the rest. Then the file goes,
 * so that what it held is in the database alone. A crash in between does it again: frames that are
 * in the database count for nothing.
 *
 *   it died                        what was acknowledged
 *   while a frame was written      all before it; the frame is torn, and none
 *   after it was durable           the frame too, whether anybody was answered or not
 *   while rows were written        the same: the transaction is there or not
 *   while files were written       the same: files follow from the database
 *   while the journal was removed  the same: nothing in it is beyond the head
 *
 * Opening for reading must not show less than what was answered. Where a process writes, it waits
 * until that one has published what the journal held when the reader came: a moment. One that does
 * not come to it within seconds, for it was stopped or its disk fails, is read as it stands, and
 * `audit verify` remarks on it. Where none writes, the reader takes the journal in itself, as
 * above. Where it may not, it says so. A home of another user's is left alone: files of ours in
 * it, such as root's, would stop its server. */
#include "audit/log_in.h"

#include "base/file.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READER_WAIT_US 5000000
#define READER_STEP_NS 5000000

static struct frame *last_of(struct frame *f)
{
	while (f->next)
		f = f->next;
	return f;
}

/* Its rows carry the guard on, so the guard is read first. */
static int take_frames(struct audit_log *log, struct frame *first, uint64_t size,
		       const struct digest *root, struct err *e)
{
	struct frame *last = last_of(first);
	const struct digest *base = root;
	struct checkpoint c;
	struct store_tx *tx;

	for (struct frame *f = first; f; base = &f->root, f = f->next) {
		if (!digest_equal(&f->base, base))
			return err_set(e, ERR_VERIFY,
				       "the journal goes on from another entry %llu than state.db has: it "
				       "is a copy's of this log; put back the journal and state.db of one "
				       "time, or move the journal away",
				       (unsigned long long)f->before - 1);
		TRY(audit_checkpoint_open(f->note.bytes, f->note.len, log->vkey.bytes, &c, e));
		if (c.size != f->after)
			return err_set(e, ERR_VERIFY, "the journal: a checkpoint of another size");
		f->root = c.root;
	}
	TRY(store_read(log->store, &tx, e));
	int rc = audit_guard_read(log, tx, size, root, &log->guard, e);
	store_end(tx);
	TRY(rc);
	TRY(audit_behind_commit(log, first, last, false, e));
	env_step(log->env, "audit.replayed");
	return 0;
}

int audit_replay(struct audit_log *log, struct err *e)
{
	struct journal *j = &log->journal;
	struct frame *first = NULL;
	struct digest root;
	uint64_t size = 0;

	if (!file_exists(j->path))
		return 0;
	int rc = audit_log_head_ask(log->store, &size, &root, e);
	if (rc == ERR_NOTFOUND)
		rc = 0;
	TRY(rc);
	TRY(audit_journal_read(j->path, j->key, size, &first, e));
	if (first)
		rc = take_frames(log, first, size, &root, e);
	audit_frame_free(first);
	return rc == 0 ? audit_journal_remove(j, e) : rc;
}

/* ---- for readers ---- */

/* How much readers find. Where the folder's checkpoint is torn or missing, which others judge, the
 * database says it. */
static int published(const struct audit_log *log, uint64_t *size, struct err *e)
{
	struct buf note = { 0 };
	struct checkpoint c = { .size = 0 };
	struct digest root;
	int rc = audit_log_checkpoint_read(log->dir, log->vkey.bytes, &note, &c, e);

	buf_free(&note);
	*size = c.size;
	if (rc == ERR_VERIFY || rc == ERR_INPUT || rc == ERR_NOTFOUND)
		rc = audit_log_head_ask(log->store, size, &root, e);
	return rc;
}

/* Nobody writes: an opening for writing that does nothing but take in what is there. */
static int mend(const struct audit_options *o, struct audit_claim *claim, struct err *e)
{
	struct audit_options writing = *o;
	struct audit_log *log;

	writing.read_only = false;
	writing.journal = false;
	writing.mend = true;
	writing.claim = claim;
	TRY(audit_log_open(&log, &writing, e));
	audit_log_close(log);
	return 0;
}

static int cannot_mend(const struct audit_log *log, const struct err *why, struct err *e)
{
	return err_set(
		e, ERR_UNAVAILABLE,
		"records wait in %.200s, which a server left that was killed, and this command "
		"cannot take them into the database (%.200s): run one that can write there, or "
		"copy the folder, and read the copy",
		log->journal.path, why->text);
}

static bool is_ours(const char *home)
{
	struct stat st;

	return stat(home, &st) == 0 && st.st_uid == geteuid();
}

/* The lock is free: take in what is there. ERR_CONFLICT: somebody else does, or writes. */
static int try_mend(const struct audit_log *log, const struct audit_options *o, struct err *why)
{
	struct audit_claim *claim = NULL;

	if (!is_ours(log->home))
		return err_set(why, ERR_IO, "the folder is another user's");
	TRY(audit_claim_take(&claim,
				  &(struct audit_claiming){ .home = log->home,
							    .env = log->env,
							    .command = "audit",
							    .alone = true,
							    .wait_ms = 0 },
				  why));
	int rc = o->keys ? mend(o, claim, why)
			 : err_set(why, ERR_NOTFOUND, "there is no keys.db");
	audit_claim_drop(claim);
	return rc == ERR_CONFLICT ? ERR_IO : rc;
}

/* What is there is torn, and nobody was told of it. */
static bool is_none(const struct audit_log *log, uint64_t size)
{
	struct frame *f;
	struct err ignored;
	int rc = audit_journal_read(log->journal.path, log->journal.key, size, &f, &ignored);
	bool none = rc == 0 && !f;

	audit_frame_free(f);
	return none;
}

/* One look: 1: all is published; 0: not yet. strange: of a writer it may be half written. */
static int look_once(struct audit_log *log, const struct audit_options *o, uint64_t reach,
		     bool strange, struct err *e)
{
	char who[AUDIT_WHO_ROOM];
	struct err why = { 0 };
	uint64_t size;

	TRY(published(log, &size, e));
	if (size >= reach && !strange)
		return 1;
	if (audit_claim_holder(log->home, who))
		return size >= reach;
	if (o->claim) /* the host of this guest is gone: whoever writes next takes it in */
		return 1;
	int rc = try_mend(log, o, &why);
	if (rc == ERR_CONFLICT)
		return 0;
	if (rc == 0 || (rc != ERR_VERIFY && is_none(log, size)))
		return 1;
	return rc == ERR_VERIFY ? err_set(e, rc, "%s", why.text) : cannot_mend(log, &why, e);
}

int audit_replay_wait(struct audit_log *log, const struct audit_options *o, struct err *e)
{
	int64_t end = env_wait_us() + READER_WAIT_US;
	uint64_t reach;
	bool strange;
	int rc;

	TRY(audit_journal_reach(log->journal.path, log->journal.key, &reach, &strange, e));
	if (reach == 0 && !strange)
		return 0;
	while ((rc = look_once(log, o, reach, strange, e)) == 0 && env_wait_us() < end)
		nanosleep(&(struct timespec){ .tv_nsec = READER_STEP_NS }, NULL);
	return rc < 0 ? rc : 0;
}
