/* Serve: all that one server serves, and what its operators do to it. */
#ifndef SERVE_HOST_H
#define SERVE_HOST_H

#include "serve/serve.h"

/* Services by the names of their models, over one log. Services are added before it is used by
 * many threads, and live as long as it does. */
struct serve_host;

#define SERVE_SERVICES_MAX 16

int serve_host_open(struct serve_host **out, struct flow *f, struct err *e) MUST_USE;
/* All chats must be closed. NULL is fine. */
void serve_host_close(struct serve_host *h);
/* ERR_CONFLICT: another service has that name; ERR_INPUT: too many. */
int serve_host_add(struct serve_host *h, const struct serve_options *o, struct err *e) MUST_USE;
/* Borrowed. By number from 0, NULL after the last; by name, NULL for one that is not here. */
struct serve_service *serve_host_at(const struct serve_host *h, size_t i);
struct serve_service *serve_host_find(const struct serve_host *h, const char *model);
/* 0: chats would be taken by a service at least; ERR_UNAVAILABLE, and why not. Any thread. */
int serve_host_ready(struct serve_host *h, struct err *e) MUST_USE;
/* How things stand, for a scrape: requests of every service, its engine, the log. Any thread. */
struct measure_writer;
void serve_host_measure(struct serve_host *h, struct measure_writer *w);
/* What must hold for a chat to be taken and recorded. Any thread. */
struct serve_check {
	const char *name; /* "models", "log", "disk", "accepts" */
	bool ok;
	char detail[600]; /* a sentence; may name paths: for operators */
};
#define SERVE_CHECKS 4
void serve_host_check(struct serve_host *h, struct serve_check out[SERVE_CHECKS]);
/* Say on standard error that the log takes no records, or does again: once a change, and a change
 * to the better once it has lasted. Called every second or so by one thread. */
struct serve_look {
	bool failed;
	unsigned well; /* looks since then at which it took records */
};
void serve_host_look(struct serve_host *h, struct serve_look *look);
/* The receipt of an earlier answer, of any service, as a .tlog-proof whose extra holds entry and
 * disclosed fields. id: an answer's, which is the right to it, or "WORKER/N", for the client that
 * the record names and for who may read any. ERR_NOTFOUND: there is none, or none for who asks,
 * which look alike. */
struct serve_reader {
	const char *client; /* "" or NULL: nobody says who they are */
	bool any;
};
int serve_host_receipt(struct serve_host *h, const char *id, const struct serve_reader *who,
		       struct buf *out, struct err *e) MUST_USE;

/* What an operator does to one model, or to all. Logged as a record of type operator. */
#define SERVE_REASON_MAX 1000
struct serve_operation {
	/* "stop": cut what runs, now, and take nothing new; "pause": take nothing new; "resume":
	 * take new ones again; "drain": take nothing new, and cut what still runs after wait_ms. */
	const char *action;
	const char *model;          /* NULL: all */
	const char *actor, *reason; /* UTF-8; reason: at most SERVE_REASON_MAX bytes */
	bool discreet; /* no record where nothing ran */
	unsigned wait_ms; /* for what runs to end; a stop waits so long for their records */
};
/* Report: {action, models, ran, left, asked_us, effective_us, last_token_us, latency_us, record,
 * record_error}: how many chats ran, and still do; when the last token of any of them was sent
 * (null: none was), and how long after the asking (0: before it); the index of the operator
 * record, or why it could not be written, which keeps no operation from being done. ERR_USAGE: no
 * such action; ERR_NOTFOUND: no such model; ERR_INPUT: a reason that is none; ERR_UNAVAILABLE: to
 * pause or resume what was told to end. Any thread. */
int serve_host_operate(struct serve_host *h, const struct serve_operation *op, json_t **report,
		       struct err *e) MUST_USE;
/* The same in its steps, for who has other things to see to while what runs ends: taken up, what
 * runs is cut (a drain's; a stop has done that), recorded. op is borrowed until the end. */
struct serve_doing;
int serve_host_begin(struct serve_host *h, const struct serve_operation *op,
		     struct serve_doing **out, struct err *e) MUST_USE;
void serve_host_cut(struct serve_doing *d);
/* d is done with. report may be NULL. */
int serve_host_end(struct serve_doing *d, json_t **report, struct err *e) MUST_USE;
/* Read the policies' files again, and put in force what has changed, for chats that begin from
 * then on: of all models or, where one may not be, of none. Refused is what cannot be read, fails
 * its own tests where it enforces, has a lower version than the last of its name that was logged,
 * or changes while it is read. by: "signal", "watch" or "operator"; goes into the records:
 * "replace" before it takes force, "refuse" with the reason. Report: {ok, by, at_us, took_us,
 * reason, denied, policies [{model, file, result: "replaced", "unchanged", "kept" (where another
 * was refused), "refused" or "none",
 * digest, name, version, was, reason}]}; *report is made on failure too, where there is memory.
 * ERR_DENIED: refused as a policy; else why a file could not be read, or a record not written. One
 * at a time; any thread. */
int serve_host_reload(struct serve_host *h, const char *by, json_t **report,
		      struct err *e) MUST_USE;
/* Whether a file of a policy is not what was read last; now: a digest that changes with them. */
int serve_host_changed(struct serve_host *h, struct digest *now, bool *changed,
		       struct err *e) MUST_USE;
/* Report: {models [{model, state, created, root, running, policy {file, digest, name, version,
 * mode}}], log {size, origin, error}, reload: the report of the last one}. Any thread. */
int serve_host_status(struct serve_host *h, json_t **report, struct err *e) MUST_USE;

#endif
