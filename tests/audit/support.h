/* A log in a temporary folder, with a key, a clock and steps that the test owns. */
#ifndef TESTS_AUDIT_SUPPORT_H
#define TESTS_AUDIT_SUPPORT_H

#include "audit/audit.h"
#include "audit/whole.h"

struct place {
	char home[64], log[80];
	struct signing_identity *key;
	struct signing_identity *vault, *vault_before; /* NULL: the log's key wraps */
	struct store *store, *keys;
	struct audit_log *log_open; /* NULL while closed */
	struct env env;
	int64_t time_us;
	struct buf vkey;
	struct audit_hook hook;
	bool journal; /* for the next opening */
};

#define PLACE_ORIGIN "hallmark.test/log"

void place_make(struct place *p);
void place_open(struct place *p);
int place_try_open(struct place *p, struct err *e);
void place_close(struct place *p); /* the log and its databases; the folder stays */
/* The databases alone, for looking and tampering; place_close closes them. */
void place_stores(struct place *p);
struct audit_options place_options(const struct place *p);
void place_remove(struct place *p); /* all */

/* A number of the open log's. */
uint64_t place_reserve(struct place *p);
/* The start and the stop of its worker. */
void place_start(struct place *p);
void place_stop(struct place *p);

/* Append a clear record ("registry") with this text; its index. */
uint64_t place_note(struct place *p, const char *text);
/* Append a decision of a subject (or NULL) whose field 1 is text, the next 7, the others absent; its
 * index. */
#define PLACE_FIELDS 36
uint64_t place_decision(struct place *p, const char *subject, const char *text);

/* The fields of an incident: its text, the others absent. */
#define PLACE_INCIDENT 8
void place_incident(struct audit_field field[PLACE_INCIDENT], json_t *text);

/* The folder's verdict; with_store compares the database too. */
struct audit_verdict *place_verify(struct place *p, bool with_store);
/* Fails the test unless the verdict is ok. */
void place_expect_clean(struct place *p);

/* Statements in a transaction of their own; place_number: the one number that a query gives. */
void place_sql(struct store *s, const char *sql);
int64_t place_number(struct store *s, const char *sql);

/* Whole file below HOME into out. */
void place_read(const struct place *p, const char *name, struct buf *out);
void place_write(const struct place *p, const char *name, const void *bytes, size_t len);

#endif
