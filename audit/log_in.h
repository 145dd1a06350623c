/* Private to audit/: the open log, shared by log.c, append.c, publish.c, recover.c and vault.c. */
#ifndef AUDIT_LOG_IN_H
#define AUDIT_LOG_IN_H

#include "audit/audit.h"
#include "audit/claim.h"
#include "audit/edge.h"
#include "audit/journal.h"
#include "audit/measures.h"
#include "audit/note.h"
#include "audit/proven.h"
#include "audit/record.h"
#include "base/limits.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define LOG_BATCH_MAX 1024
#define LOG_BEHIND_RECORDS 1024 /* that wait in the journal for the database, or: */
#define LOG_BEHIND_MS 100
#define LOG_QUEUE_MAX 4096
#define LOG_BLOCK 1024                /* numbers that are reserved at once */
#define LOG_SETTLE_EVERY 1024         /* entries whose files are not yet synced */
#define LOG_ITSELF "0000000000000000" /* worker of genesis and lost entries */
#define LOG_HEAD_VERSION 3            /* as the tables; programs before those had versions know 1 */

/* What an erasing append also does in its transaction. */
struct vault_erase {
	const char *subject; /* or NULL: */
	uint64_t index;
	json_t *body; /* of its entry; the ranges are filled in */
	bool more;    /* out: more rows are left than one entry names */
};

/* Numbers of a worker that are in the log: all below base, and those of the bits. */
struct numbers {
	uint64_t base, words;
	uint64_t *word;
	bool unsure; /* there was no memory to note one */
};

/* Whose records are numbered one after the other: this process, or the log itself. */
struct log_worker {
	char id[17];
	uint64_t next_n;        /* under the log's lock, as are: */
	uint64_t reserved;      /* numbers below it are durably reserved; 0: has not started */
	bool extending;         /* a thread is making the next block durable */
	struct numbers numbers; /* the leader's alone, as is: */
	bool changed;
	uint64_t reserving; /* by the batch being committed */
};

/* What is known beside the head: audit/head.c. */
#define GUARD_MAC 32
struct guard {
	uint64_t synced; /* files of log/ up to this size are durable */
	uint64_t seen;   /* keys.db holds a signed head of at least this size */
};

/* The two clocks at one time. */
struct moment {
	int64_t now_us, steady_us;
};

/* One waiting append. */
struct pending {
	struct record record;
	struct log_worker *worker; /* borrowed */
	struct vault_erase *erase; /* or NULL */
	struct pending *with;      /* shares its batch and its fate, and is not queued; or NULL */
	struct vault_key *key;     /* while its batch is committed, or NULL */
	bool ahead;                /* through the journal: audit/ahead.c */
	bool taken;                /* it is in a batch, and no longer queued */
	struct buf entry;
	struct audit_proven
		*proven; /* out: the entry; the proof, where it could be made; or NULL */
	struct audit_receipt receipt;
	struct err err;
	int rc;
	atomic_bool done;
	sem_t woken;    /* once when done; before that whenever it is its thread's turn to lead, */
	unsigned turns; /* that many times, which it knows once it is done */
	bool waits;     /* a thread does, so that woken is of use */
	struct pending *next;
};

/* A batch that is sealed, in the tree, signed and proven, and not durable: audit/flight.c. */
struct flight {
	struct frame *frame;
	struct buf note;      /* its checkpoint, to be the log's */
	struct merkle before; /* the tree before it */
	struct pending **batch;
	size_t count;
	uint64_t *n;        /* of those that are in it */
	size_t in;          /* how many are */
	uint64_t reserving; /* for their worker */
	size_t own;         /* keys that are a record's own */
	struct flight *next;
};

/* In the order of the log. Under its lock. */
struct flights {
	struct flight *first, *last;
	size_t count, records, own;
	bool writing; /* a thread has the first in hand, and the journal */
	bool ending;
	pthread_cond_t wake;
	pthread_t thread;
	bool running; /* the leader's */
};

/* Frames of the journal that the database does not have: audit/behind.c. Under the log's lock. */
struct behind {
	struct frame *first, *last;
	uint64_t records;
	int64_t since_us; /* since when they wait */
	bool busy, urgent, ending;
	uint64_t put_off; /* how often a busy database or no memory did that, and why last */
	int why_rc;
	struct err why;
	pthread_cond_t wake;
	pthread_t thread;
	bool running; /* the leader's */
};

struct audit_log {
	char home[LIMIT_PATH_BYTES], dir[LIMIT_PATH_BYTES]; /* dir is home/log */
	char origin[NOTE_NAME_ROOM];
	struct log_worker self, itself; /* this process; LOG_ITSELF */
	struct store *store, *keys;
	const struct signing_identity *key;
	struct audit_hook hook;
	const struct env *env;
	bool read_only, rewrite, clock_ok, journaled, mending;
	struct moment opened;      /* its wall clock not behind the last entry */
	struct audit_claim *claim; /* taken here, or NULL */
	struct audit_guest *guest; /* borrowed; who appends for us, or NULL */
	struct keks *keks;         /* guarded memory */
	uint8_t guard_key[32];
	bool up; /* recovered: what is appended may be settled at the end */
	struct buf vkey;

	pthread_mutex_t scrubbing; /* one at a time */
	pthread_mutex_t lock;      /* all below */
	pthread_cond_t moved;
	struct pending *first, *last;
	size_t queued, in_hand; /* waiting; in the batch that is being made durable */
	size_t batch_before;    /* how many the last one held */
	bool leading;           /* a thread is making a batch durable */
	bool settling;          /* a thread is making files durable */
	bool failed;            /* nothing is taken until the log is opened again: audit/fault.c */
	bool broken;            /* and it will not be in this process */
	struct err failure;
	int64_t retry_us, retry_after_us; /* when that is tried next; the wait before it */
	uint64_t size;                    /* the newest checkpoint: what is acknowledged */
	struct digest root;
	struct buf checkpoint;
	uint64_t laid; /* what database and folder have: behind it only by what the journal has */
	struct buf laid_note; /* its checkpoint, where that is not the newest */
	struct behind behind;
	struct flights flights;
	uint64_t told, taken; /* how often it was outdated; how often of that it was taken again */
	struct guard guard;

	struct audit_measures measures; /* atomic */

	/* The leader's alone: what the log holds when all that is in flight is durable. */
	struct edge *edge;  /* of what is laid; the thread's behind while frames wait */
	struct edge *ahead; /* of all, in memory alone; NULL without a journal */
	struct merkle merkle;
	struct journal journal; /* of who writes a flight; where there is none, the leader's */
	struct vault_keys *vault_keys; /* guarded memory */
	bool sealing;                  /* keys are given to the batch */
	atomic_bool fresh_doubt;       /* a key that was given may not have its row */
	int64_t last_time_us;

	/* Own keys of records. Who makes some has the writer of keys.db; they change under `lock`. */
	uint8_t key_prefix[8]; /* of their ids; then their number: */
	uint64_t key_count;    /* they are made up to here; the last `made` are not given */
	size_t made, wanted;   /* so many are to be there; 0: few are asked for */
};

/* append.c: the next in the queue leads, if there is one and it is time. With `lock` held. */
void audit_log_wake(struct audit_log *log);
/* What has become of a batch; with `lock` held, then without it: who waits is gone as soon as it is
 * woken. */
void audit_log_finish(struct pending *const *batch, size_t count, int rc, const struct err *err);
void audit_log_wake_batch(struct pending *const *batch, size_t count);
/* Append what was prepared. */
int audit_log_append_pending(struct audit_log *log, struct pending *p, struct err *e) MUST_USE;
/* audit_log_append for any worker. */
int audit_worker_append(struct audit_log *log, struct log_worker *w, const struct audit_record *r,
			struct audit_receipt *out, struct audit_proven *proven,
			struct err *e) MUST_USE; /* proven: or NULL */
/* workers.c: audit_log_reserve and audit_log_stop for any worker. */
int audit_worker_reserve(struct audit_log *log, struct log_worker *w, uint64_t *n,
			 struct err *e) MUST_USE;
int audit_worker_stop(struct audit_log *log, struct log_worker *w, struct audit_receipt *out,
		      struct err *e) MUST_USE;
/* What a batch reserves for its worker when it commits: all below it. The leader's. */
uint64_t audit_worker_reserving(struct audit_log *log, struct log_worker *w);
/* Numbers below `reserved` are durably reserved; under the log's lock. */
void audit_worker_extended(struct log_worker *w, uint64_t reserved);
/* erase.c: audit_vault_erase for any worker. log.c: one with a new id. */
int audit_worker_erase(struct audit_log *log, struct log_worker *w, const struct erase_request *x,
		       struct audit_receipt *out, struct err *e) MUST_USE;
void audit_worker_choose(const struct audit_log *log, struct log_worker *w);
/* log.c: another process has written for us: its checkpoint is taken now or, where that fails, at
 * the next read. What was recorded is recorded. */
void audit_log_outdated(struct audit_log *log);
/* See to it that database and folder have that entry, where it is acknowledged. */
int audit_log_have(struct audit_log *log, uint64_t index, struct err *e) MUST_USE;
/* Take the published checkpoint where it is outdated; an error leaves the older one. */
int audit_log_catch_up(struct audit_log *log, struct err *e) MUST_USE;

/* append.c, of any batch: what a record is at that place of the log, its ciphertext appended to
 * sealed and its entry to its own; the refusal of a number that has a record; which numbers the log
 * has now; whether no record was refused; proofs for who waits for them, by that edge. */
int audit_log_make_entry(struct audit_log *log, struct pending *p, uint64_t index,
			 struct buf *sealed, struct err *e) MUST_USE;
int audit_log_number_taken(const struct pending *p, struct err *e);
void audit_log_note_numbers(struct audit_log *log, struct pending *const *batch, size_t count);
bool audit_log_is_whole(struct pending *const *batch, size_t count);
void audit_log_prove(struct audit_log *log, const struct edge *edge, const struct buf *note,
		     struct pending *const *batch, size_t count);
/* Sync files when enough of them wait for it. Called and left with `lock` held. */
void audit_log_settle_behind(struct audit_log *log);

/* ahead.c: whether a record may go through the journal, called with `lock` held; a batch of such,
 * ready to be written; *out NULL: none of its records is taken. fatal: nothing more may be taken
 * after this. */
bool audit_ahead_takes(const struct audit_log *log, const struct pending *p);
int audit_ahead_prepare(struct audit_log *log, struct pending *const *batch, size_t count,
			struct flight **out, bool *fatal, struct err *e) MUST_USE;
/* Write its frame, and make it durable: what was read back has the root that was signed. */
int audit_ahead_write(struct audit_log *log, struct flight *x, struct err *e) MUST_USE;

/* flight.c. With `lock` held: a batch that is ready, behind all that are; write the first, and let
 * the thread write what follows it, unless it is at that; whether another may be made ready. */
void audit_flight_open(struct audit_log *log);
void audit_flight_close(struct audit_log *log);
int audit_flight_start(struct audit_log *log, struct err *e) MUST_USE;
void audit_flight_add(struct audit_log *log, struct flight *x);
void audit_flight_write(struct audit_log *log);
bool audit_flight_wanted(const struct audit_log *log);
/* Wait until none is left: all of them are durable, or the log failed. The leader's. */
int audit_flight_drain(struct audit_log *log, struct err *e) MUST_USE;
void audit_flight_free(struct flight *x);

/* behind.c. The thread is started when it is needed first. */
void audit_behind_open(struct audit_log *log);
int audit_behind_start(struct audit_log *log, struct err *e) MUST_USE;
void audit_behind_close(struct audit_log *log);
/* With `lock` held: take a frame that is durable; forget all, for they are read from the file. */
void audit_behind_add(struct audit_log *log, struct frame *f);
void audit_behind_forget(struct audit_log *log);
/* Where the oldest that waits lies in the file, or UINT64_MAX; wait until it is another. This and
 * audit_behind_drain: ERR_UNAVAILABLE, ERR_NOMEM where that is put off again and again. */
uint64_t audit_behind_oldest(struct audit_log *log);
int audit_behind_wait(struct audit_log *log, uint64_t oldest, struct err *e) MUST_USE;
/* Wait until database and folder have all that was acknowledged when it was called. */
int audit_behind_drain(struct audit_log *log, struct err *e) MUST_USE;
/* Rows of a frame; last: no later one says more of the workers, so what it says of them too. */
int audit_behind_insert(struct store_tx *tx, const struct frame *f, bool last,
			struct err *e) MUST_USE;
/* Rows, workers and head of these frames, in one transaction; clock: and the clock's row. */
int audit_behind_commit(struct audit_log *log, const struct frame *first, const struct frame *last,
			bool clock, struct err *e) MUST_USE;

/* replay.c: into the database with what a journal holds, and away with the file; at opening for
 * writing. At opening for reading: see to it that nothing waits in a journal. */
int audit_replay(struct audit_log *log, struct err *e) MUST_USE;
int audit_replay_wait(struct audit_log *log, const struct audit_options *o, struct err *e) MUST_USE;

/* publish.c: write the tiles of the edge, compare what is stored with the root, and sign that. */
int audit_log_sign_edge(struct audit_log *log, const struct digest *root, struct buf *note,
			struct err *e) MUST_USE;
/* The edge's checkpoint is durable in the database: into the folder with it. Takes the note. */
int audit_log_publish_signed(struct audit_log *log, const struct digest *root, struct buf *note,
			     struct err *e) MUST_USE;
/* Both, for rows that an older program committed and did not sign. */
int audit_log_publish(struct audit_log *log, struct err *e) MUST_USE;
/* Put the log's checkpoint into the folder. */
int audit_log_put_checkpoint(struct audit_log *log, const struct buf *note, struct err *e) MUST_USE;
/* Whether the tree of an edge, flushed, contains that of a smaller checkpoint: else ERR_VERIFY. */
int audit_log_contains(struct audit_log *log, const struct edge *edge, uint64_t size,
		       const struct digest *root, struct err *e) MUST_USE;
/* Sign a head, and check the signature. */
int audit_log_sign(struct audit_log *log, uint64_t size, const struct digest *root,
		   struct buf *note, struct err *e) MUST_USE;
/* The files of the edge, flushed, as they are stored, have the root. */
int audit_log_verify_stored(struct audit_log *log, const struct digest *root,
			    struct err *e) MUST_USE;
/* Make the published files durable, remove partial tiles that full ones replaced, and note both. */
int audit_log_settle(struct audit_log *log, struct err *e) MUST_USE;
/* The same, and in keys.db the newest signed head: at the end. */
int audit_log_settle_all(struct audit_log *log, struct err *e) MUST_USE;

/* fault.c, called and left with `lock` held: note a storage fault; refuse because of it; open the
 * log again if it is time. */
void audit_log_fail(struct audit_log *log, const struct err *why);
int audit_log_refuse(const struct audit_log *log, struct err *e) MUST_USE;
void audit_log_retry(struct audit_log *log);

/* recover.c: bring the folder up to the database, or refuse. The edge is empty before it. */
int audit_log_bring_up(struct audit_log *log, struct err *e) MUST_USE;
/* The same at opening, with the erasures and workers that a crash left open. */
int audit_log_recover(struct audit_log *log, struct err *e) MUST_USE;
/* The tables of state.db, the hook's too, and of keys.db; check: that no newer program wrote them.
 * keys may be NULL. */
int audit_log_schema(const struct audit_options *o, struct err *e) MUST_USE;
int audit_log_schema_check(const struct audit_options *o, struct err *e) MUST_USE;
/* Append a record of the log itself; takes body, which may be NULL for want of memory. */
int audit_log_append_itself(struct audit_log *log, const char *type, json_t *body,
			    struct err *e) MUST_USE;
/* log.c: read HOME/log/checkpoint: ERR_NOTFOUND without one. */
int audit_log_checkpoint_read(const char *dir, const char *vkey, struct buf *note,
			      struct checkpoint *out, struct err *e) MUST_USE;

/* head.c: the row log_head. ERR_NOTFOUND: the database has no log. */
int audit_log_head_read(struct store_tx *tx, uint64_t *size, struct digest *root,
			struct err *e) MUST_USE;
int audit_log_head_ask(struct store *s, uint64_t *size, struct digest *root,
		       struct err *e) MUST_USE;
int audit_log_head_insert(struct store_tx *tx, uint64_t size, const struct digest *root,
			  const char *checkpoint, struct err *e) MUST_USE;
/* By compare-and-swap: ERR_IO where the size was not `old`. note: the checkpoint over it; NULL:
 * none is signed yet. */
int audit_log_head_update(struct store_tx *tx, uint64_t size, const struct digest *root,
			  const struct buf *note, uint64_t old, struct err *e) MUST_USE;
/* The checkpoint over a head that has none yet. */
int audit_log_head_sign(struct audit_log *log, const struct digest *root, const struct buf *note,
			struct err *e) MUST_USE;
/* The newest checkpoint that was signed, where the folder's may be torn: its files are durable
 * up to a smaller size, *durable. ERR_NOTFOUND: the folder should be whole. */
int audit_log_kept(struct store *store, const char *vkey, struct buf *note, struct checkpoint *out,
		   uint64_t *durable, struct err *e) MUST_USE;
/* The row log_guard, always in the transaction that changes the head. */
void audit_guard_key(const struct signing_identity *id, uint8_t key[32]);
int audit_guard_put(struct store_tx *tx, const uint8_t key[32], const struct guard *g,
		    uint64_t size, const struct digest *root, struct err *e) MUST_USE;
int audit_guard_write(struct audit_log *log, struct store_tx *tx, struct err *e) MUST_USE;
int audit_guard_cover(struct audit_log *log, struct store_tx *tx, uint64_t size,
		      const struct digest *root,
		      struct err *e) MUST_USE; /* of a head that is known */
/* ERR_NOTFOUND: not there, as in older databases. ERR_VERIFY: not of this log's key. */
int audit_guard_read(struct audit_log *log, struct store_tx *tx, uint64_t size,
		     const struct digest *root, struct guard *out, struct err *e) MUST_USE;
/* Note the signed head in a transaction of keys.db; once that is durable, audit_guard_saw. */
int audit_guard_see(struct audit_log *log, struct store_tx *keys, uint64_t *seen,
		    struct err *e) MUST_USE;
void audit_guard_saw(struct audit_log *log, uint64_t seen);
/* What keys.db has seen, appended: a signed note. ERR_NOTFOUND. */
int audit_guard_seen(struct store *keys, struct buf *note, struct err *e) MUST_USE;

/* clock.c: ERR_UNAVAILABLE where the clock has jumped ahead; at opening; the row log_clock. */
int audit_clock_check(const struct audit_log *log, struct err *e) MUST_USE;
int audit_clock_open(struct audit_log *log, struct err *e) MUST_USE;
int audit_clock_write(struct audit_log *log, struct store_tx *tx, struct err *e) MUST_USE;

/* proof.c: the .tlog-proof of an entry in a tree of that size, signed by note; extra: or NULL. */
struct audit_extra {
	const void *bytes;
	size_t len;
};
int audit_proof_make(const struct tree_reader *nodes, uint64_t index, uint64_t size,
		     const struct buf *note, const struct audit_extra *extra, struct buf *out,
		     struct err *e) MUST_USE;

/* append.c: one row of log_entry, inside a transaction. */
struct entry_row {
	uint64_t index;
	struct digest leaf;
	const char *type, *worker;
	uint64_t n;
	const void *bytes;
	size_t len;
};
int audit_log_entry_insert(struct store_tx *tx, const struct entry_row *row,
			   struct err *e) MUST_USE;

/* workers.c: what an entry says of a worker's life, inside its transaction. */
int audit_workers_apply(struct store_tx *tx, uint64_t index, const char *type, const char *worker,
			const json_t *body, struct err *e) MUST_USE;
/* Raise what is known of a worker; there: whether it has started and not ended, or NULL. */
int audit_workers_note(struct store_tx *tx, const char *worker, uint64_t whole, uint64_t reserved,
		       bool *there, struct err *e) MUST_USE;
/* Where their rows were lost: more than they can have reserved. */
int audit_workers_guess(struct store_tx *tx, struct err *e) MUST_USE;
/* The log's own next number. */
int audit_workers_next(struct store_tx *tx, uint64_t *n, struct err *e) MUST_USE;
int audit_workers_fill(struct store_tx *tx, struct err *e) MUST_USE;     /* from all entries */
int audit_workers_itself(struct audit_log *log, struct err *e) MUST_USE; /* the log's own numbers */
int audit_workers_close_dead(struct audit_log *log, struct err *e) MUST_USE; /* by lost entries */
/* The same for one that has gone; nothing where it never started, or stopped. */
int audit_workers_close(struct audit_log *log, const char *worker, struct err *e) MUST_USE;
void audit_numbers_add(struct numbers *s, uint64_t n);
uint64_t audit_numbers_whole(const struct numbers *s); /* all below it are in */
bool audit_numbers_has(const struct numbers *s, uint64_t n);
void audit_numbers_free(struct numbers *s);

/* vault.c */
#define VAULT_KEY_ROOM 300
struct vault_key {
	char id[VAULT_KEY_ROOM];
	uint8_t key[32];
};
/* Those of the batch that is being committed, and own keys of records to come: durable, and in
 * fresh_key too. */
#define VAULT_MADE_MAX (2 * LOG_BATCH_MAX)
struct vault_keys {
	struct vault_key batch[LOG_BATCH_MAX];
	uint8_t made[VAULT_MADE_MAX][32];
	uint8_t coming[VAULT_MADE_MAX][32]; /* being made */
};
/* Make own keys for batches to come, where half of what is wanted is given: so that a batch need
 * not wait for keys.db. By the thread behind; not while a reopening may be at it. */
int audit_vault_keys_stock(struct audit_log *log, struct err *e) MUST_USE;
bool audit_vault_keys_low(const struct audit_log *log); /* whether that is so; with `lock` held */
/* Keys for all sealed records of a batch, made where needed, durable in keys.db. The leader's. */
int audit_vault_keys_get(struct audit_log *log, struct pending *const *batch, size_t count,
			 struct err *e) MUST_USE;
void audit_vault_keys_drop(struct audit_log *log, struct pending *const *batch, size_t count);
/* Those that are made and not given are removed by the next transaction of keys.db. */
void audit_vault_keys_forget(struct audit_log *log);
/* Seal a record for that index: its ciphertext, appended to out, and the digest of that. */
int audit_vault_seal(const struct audit_log *log, uint64_t index, const struct pending *p,
		     struct buf *out, struct digest *cipher, struct err *e) MUST_USE;
/* The vault row, inside the transaction. */
int audit_vault_put(struct store_tx *tx, uint64_t index, const char *key_id,
		    const struct buf *cipher, struct err *e) MUST_USE;
/* erase.c: remove rows inside the transaction, and fill in the body of the erasure. */
int audit_vault_erase_rows(struct store_tx *tx, struct pending *p, struct err *e) MUST_USE;
/* A person's name for clear entries: "handle:" and 32 hex digits. */
#define VAULT_HANDLE_ROOM 40
#define VAULT_HANDLE_KEY "h:handles"
int audit_vault_handle(struct audit_log *log, const char *what, const char *name,
		       char out[VAULT_HANDLE_ROOM], struct err *e) MUST_USE;
/* After the commit: destroy the keys of removed rows that no row uses. Where it fails nothing more
 * may be sealed, or it would be with those keys. */
int audit_vault_destroy(struct audit_log *log, struct err *e) MUST_USE;
/* Then: their bytes in the files, and those of the rows. Others append meanwhile. */
int audit_vault_scrub(struct audit_log *log, struct err *e) MUST_USE;
/* At opening: complete what a crash left of that, and remove keys that were made for nothing. */
int audit_vault_recover(struct audit_log *log, struct err *e) MUST_USE;
/* Let the next opening look at every key: of rows that are lost. */
int audit_vault_doubt_keys(struct store *keys, struct err *e) MUST_USE;

/* vault_keys.c */
int audit_vault_open(struct audit_log *log, const struct audit_options *o, struct err *e) MUST_USE;
void audit_vault_close(struct audit_log *log);
/* out: appended; of unseal: room for len bytes. */
int audit_seal(const struct env *env, const uint8_t key[32], const void *ad, size_t ad_len,
	       const void *plain, size_t len, struct buf *out, struct err *e) MUST_USE;
int audit_unseal(const uint8_t key[32], const void *ad, size_t ad_len, const uint8_t *sealed,
		 size_t len, uint8_t *out) MUST_USE;
/* ERR_NOTFOUND, or the unwrapped key. tx: of keys.db. */
int audit_key_load(struct audit_log *log, struct store_tx *tx, const char *id, uint8_t key[32],
		   struct err *e) MUST_USE;
int audit_key_put(struct audit_log *log, struct store_tx *tx, const char *id, const uint8_t key[32],
		  struct err *e) MUST_USE;
/* Wrap again what is not under the vault's key. */
int audit_keks_rewrap(struct audit_log *log, struct err *e) MUST_USE;
/* vault.c: the first column as a list of texts, a new reference. */
int audit_key_ids(struct store_tx *tx, const char *sql, json_t **out, struct err *e) MUST_USE;

#endif
