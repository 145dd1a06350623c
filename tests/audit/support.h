/* A log in a temporary folder, with a key, a clock and steps that the test owns. */
#ifndef TESTS_AUDIT_SUPPORT_H
#define TESTS_AUDIT_SUPPORT_H

#include "audit/audit.h"

struct place {
	char home[64], log[80];
	struct signing_identity *key;
	struct store *store;
	struct audit_log *log_open; /* NULL while closed */
	struct env env;
	int64_t time_us;
	struct buf vkey;
	struct audit_hook hook;
};

#define PLACE_ORIGIN "hallmark.test/log"

void place_make(struct place *p);
void place_open(struct place *p);
int place_try_open(struct place *p, struct err *e);
void place_close(struct place *p);  /* the log and its database; the folder stays */
void place_remove(struct place *p); /* all */

/* Append a clear record ("registry") with this text; its index. */
uint64_t place_note(struct place *p, const char *text);
/* Append a decision of a subject (or NULL) with one field "text"; its index. */
uint64_t place_decision(struct place *p, const char *subject, const char *text);

/* The folder's verdict; with_store compares the database too. */
struct audit_verdict *place_verify(struct place *p, bool with_store);
/* Fails the test unless the verdict is ok. */
void place_expect_clean(struct place *p);

/* Whole file below HOME into out. */
void place_read(const struct place *p, const char *name, struct buf *out);
void place_write(const struct place *p, const char *name, const void *bytes, size_t len);

#endif
