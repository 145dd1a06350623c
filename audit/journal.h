/* Private to audit/: the journal, where sealed records of a server are durable before the database
 * has them. Its file: audit/journal.c; who writes it: audit/ahead.c; who takes it into the
 * database: audit/behind.c, and after a crash audit/replay.c. */
#ifndef AUDIT_JOURNAL_H
#define AUDIT_JOURNAL_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/limits.h"
#include "signing/signing.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define JOURNAL_NAME "journal"
#define JOURNAL_FIRST_BYTES MIB(4) /* at first; twice as much where frames wait for room */
#define JOURNAL_BYTES_MAX MIB(32)
#define JOURNAL_FRAME_BYTES MIB(4) /* of a batch; larger records go into the database at once */
#define JOURNAL_BATCH_MAX 256      /* one tile: all hashes that its proofs need are in memory */
#define JOURNAL_MAC 32

/* One batch, whole: what stands in the file, padded by nothing. */
struct frame {
	struct buf bytes;
	uint64_t before, after; /* sizes of the log */
	uint64_t offset;        /* in the file */
	struct digest base;     /* root of the tree before it */
	struct digest root;     /* after it */
	struct buf note;        /* the checkpoint over that */
	struct frame *next;
};

/* A record of a frame; all of it borrowed from its bytes. Texts end in NUL. */
struct frame_record {
	uint64_t n;
	const char *type, *worker, *key_id;
	const void *entry, *cipher;
	size_t entry_len, cipher_len;
};

/* What a batch says of a worker: audit_workers_note. */
struct frame_worker {
	const char *worker;
	uint64_t whole, reserved;
};

/* ---- a frame's bytes ---- */

/* Begin it, empty, on a log of that size and root; add each record; then its workers and its
 * checkpoint, which end it. */
void audit_frame_begin(struct frame *f, uint64_t before, const struct digest *base);
void audit_frame_record(struct frame *f, const struct frame_record *r);
void audit_frame_end(struct frame *f, const struct frame_worker *w, size_t workers,
		     const uint8_t key[32]);
/* Its records, then its workers, in their order: 1, 0 after the last of them, ERR_VERIFY where the
 * bytes are malformed. */
struct frame_cursor {
	const struct buf *bytes;
	size_t at;
	uint64_t left; /* records, then workers */
	bool in_workers;
};
struct frame_cursor audit_frame_read(const struct frame *f, const struct buf *bytes);
int audit_frame_next(struct frame_cursor *c, struct frame_record *out, struct err *e) MUST_USE;
int audit_frame_next_worker(struct frame_cursor *c, struct frame_worker *out,
			    struct err *e) MUST_USE;
void audit_frame_free(struct frame *f); /* and all that follow; NULL is fine */

/* ---- the file ---- */

struct journal {
	char path[LIMIT_PATH_BYTES];
	int fd;       /* -1: there is none */
	dev_t device; /* which file it is */
	ino_t inode;
	uint64_t room, at; /* its bytes; where the next frame goes */
	bool tight;        /* frames waited for room: it grows before it goes round again */
	uint8_t key[32];
	struct buf again; /* what was read back */
	bool doubt;       /* the frame at doubt_at failed, and may be whole */
	uint64_t doubt_at;
};

/* The key of its macs derives from the log's. */
void audit_journal_key(const struct signing_identity *id, uint8_t key[32]);
int audit_journal_open(struct journal *j, const char *home, const struct signing_identity *id,
		       struct err *e) MUST_USE;
void audit_journal_close(struct journal *j);
/* Make the file, if there is none, as long as a journal begins. */
int audit_journal_make(struct journal *j, struct err *e) MUST_USE;
/* Whether its path still leads to the file that was made, as long as that was: else what is written
 * there would not be found after a crash. */
bool audit_journal_in_place(const struct journal *j);
/* Give up one that is not in place: the database has all of it. Another's file stays. */
int audit_journal_leave(struct journal *j, struct err *e) MUST_USE;
/* Find a place for a frame of that length: false: there is none as long as the frame that lies at
 * `oldest` is needed; UINT64_MAX: none is. */
bool audit_journal_place(struct journal *j, size_t len, uint64_t oldest, uint64_t *offset);
/* Whether it may grow now, for there is no place, and growing. Where it may not yet, it grows
 * before it goes round again. */
bool audit_journal_may_grow(struct journal *j, uint64_t oldest);
int audit_journal_grow(struct journal *j, struct err *e) MUST_USE;
/* Write a frame at its offset, read it back into j->again, and make it durable. Each of them may
 * fail: audit_journal_cancel then. */
int audit_journal_put(struct journal *j, const struct frame *f, struct err *e) MUST_USE;
int audit_journal_sync(struct journal *j, struct err *e) MUST_USE;
/* See to it that a frame that failed is no frame, durably. Again and again until it returns 0. */
int audit_journal_cancel(struct journal *j, struct err *e) MUST_USE;
/* Remove the file: the database has all of it. What it held is nowhere then. */
int audit_journal_remove(struct journal *j, struct err *e) MUST_USE;

/* ---- reading it after a crash, or beside its writer ---- */

/* The frames that continue a log of `size` entries, in order; *out NULL: none. A last one that
 * is torn was never acknowledged, and is none. ERR_VERIFY: one is damaged, for others follow it, or
 * there is what no crash of ours leaves: another log's, a later version's, a file that was cut.
 * ERR_NOTFOUND: there is no journal. */
int audit_journal_read(const char *path, const uint8_t key[32], uint64_t size, struct frame **out,
		       struct err *e) MUST_USE;
/* The size of the log after the newest frame that began to be written, 0 without a journal. key:
 * NULL takes what the headers say. strange: unless it is being written at this moment,
 * audit_journal_read would refuse it. */
int audit_journal_reach(const char *path, const uint8_t *key, uint64_t *size, bool *strange,
			struct err *e) MUST_USE;

#endif
