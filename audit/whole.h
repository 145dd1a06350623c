/* Audit: a log taken as a whole: verified from its published folder, or its database rebuilt. */
#ifndef AUDIT_WHOLE_H
#define AUDIT_WHOLE_H

#include "audit/audit.h"

struct audit_problem {
	char kind[32]; /* as audit/verify.c lists them: "checkpoint", "tile", "entry", ... */
	char text[400];
};
struct audit_unread { /* an entry of a type or version that is not known here */
	uint64_t index, version;
	char type[64];
};
struct audit_gone { /* records of which entry `by` says that they were erased, or lost */
	uint64_t first, last, by;
	bool lost;
};
struct audit_verdict {
	bool ok; /* no problems, nothing newer, all there */
	uint64_t size;
	struct digest root;
	char origin[256];
	/* The first ones, and how many: what is wrong; what may be right and is worth a sentence;
	 * what its hash alone vouches for. newer: those of a later version; not checked whole. */
	struct audit_problem problem[64], remark[64];
	struct audit_unread unread[64];
	size_t problems, remarks, unreads, newer;
	/* The first that is not of numbers or times alone; its kind is empty where none is. */
	struct audit_problem grave;
	uint64_t incomplete; /* newest entries that a folder by itself lacks: copied while written */
	/* Of the vault: the first ranges, and all; how many records were erased; how many the
	 * database lacks of those that are stated as lost. */
	struct audit_gone gone[64];
	size_t gones;
	uint64_t erased, lost;
};

/* Check the published folder: note, every tile and entry bundle, canonical entries, worker
 * numbering, times. store may be NULL; with it, the database's head, its entries and each row of
 * the vault are compared. */
int audit_verify(const char *log_dir, const char *vkey, struct store *store,
		 struct audit_verdict *out, struct err *e) MUST_USE;

/* Add to the verdict of a state folder's log what state.db and keys.db, NULL where it is not there,
 * remember of each other and of the log. */
int audit_verify_keys(const char *log_dir, const char *vkey, struct store *store,
		      struct store *keys, struct audit_verdict *out, struct err *e) MUST_USE;

struct audit_rebuilt {
	uint64_t size;
	/* [{"index","type","gone","by"}...]: records whose vault row is gone; "erased" or "lost";
	 * the entry that says so, absent where none did */
	json_t *undisclosable;
};
/* Restore the log's tables in an empty state.db from the published folder, running the hook over
 * every entry in order. The folder must verify. out->undisclosable is a new reference. */
int audit_rebuild(const struct audit_options *o, const char *vkey, struct audit_rebuilt *out,
		  struct err *e) MUST_USE;

#endif
