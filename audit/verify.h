/* Private to audit/: one verification under way, shared by verify*.c. */
#ifndef AUDIT_VERIFY_H
#define AUDIT_VERIFY_H

#include "audit/gone.h"
#include "audit/log_in.h"
#include "audit/whole.h"

/* What the entries so far say of each worker: verify_lives.c. */
struct lives {
	json_t *index; /* worker id -> position in worker[] */
	struct life *worker;
	struct span *span; /* numbers that are there, or stated as lost */
	size_t workers, spans, room, starts;
};

/* What it holds, and what the log says of that: verify_vault.c. */
struct vault_check {
	struct store_stmt *rows; /* in order, or NULL */
	bool row, ended;         /* rows stands on one that is not passed; there are no more */
	struct gone gone;
	uint64_t *absent; /* sealed entries without a row */
	size_t absents, room;
};

struct check {
	const char *dir;
	struct audit_verdict *v;
	struct checkpoint c;
	struct lives lives;
	struct vault_check vault;
	int64_t time_us;
	struct store_stmt *rows; /* entries of the database, in order, or NULL */
	bool row;                /* rows stands on one that is not compared yet */
	bool rows_end;           /* there are no more: a step further would begin anew */
	/* Files of entries from `synced` on may be torn, where the machine stopped: then the
	 * database's entries must have the signed root. */
	uint64_t synced;
	bool torn;
	bool absent; /* without a database: from this bundle on, files are missing */
	uint64_t absent_from;
	char absent_text[300];
	bool skipped; /* entries that nothing here holds: numbers of theirs are not missing */
	char torn_text[300];  /* the first that is */
	struct merkle merkle; /* over the entries, if any file may be torn */
	struct err *e;
};

/* Both count, and keep the first ones. */
void audit_check_problem(struct check *k, const char *kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
void audit_check_remark(struct check *k, const char *kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

int audit_lives_open(struct check *k) MUST_USE;
int audit_lives_take(struct check *k, uint64_t index, const struct record_head *head) MUST_USE;
void audit_lives_judge(struct check *k); /* after the last entry */
void audit_lives_close(struct check *k);

/* tx: of the database, the same to the end; without one only the log's own words are taken. */
int audit_check_vault_open(struct check *k, struct store_tx *tx) MUST_USE;
int audit_check_vault(struct check *k, uint64_t index, const struct record_head *head) MUST_USE;
int audit_check_vault_judge(struct check *k, struct store_tx *tx) MUST_USE;
void audit_check_vault_close(struct check *k);

#endif
