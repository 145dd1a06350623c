/* Private: where lines about requests go. Putting one neither waits nor fails: it is copied into a
 * bounded queue, from which one thread writes; what finds no room is dropped, counted, and said in
 * a line of its own. Lines are whole JSON objects, never cut or mixed. */
#ifndef SERVER_LINES_H
#define SERVER_LINES_H

#include "base/buf.h"
#include "base/env.h"
#include "base/measure.h"

#define SERVER_LINE_MAX 4000u /* bytes: with its newline written to a pipe in one piece */

struct server_lines;

struct server_lines_options {
	/* "stderr"; "syslog" or "syslog:SOCKET" (RFC 5424 datagrams, facility daemon; /dev/log);
	 * "otlp:URL" (OTLP/HTTP with JSON at URL/v1/logs); "none" or NULL; else a file, appended
	 * to. Copied. */
	const char *where;
	const struct env *env; /* borrowed */
	/* Called every second by the thread; NULL: not. */
	void (*each_second)(void *ctx);
	void *ctx;
};

/* Starts the thread, also for "none". ERR_USAGE: a word that is none; or why it does not open. */
int server_lines_open(struct server_lines **out, const struct server_lines_options *o,
		      struct err *e) MUST_USE;
/* Writes what waits, at most for two seconds. NULL is fine. */
void server_lines_close(struct server_lines *l);

/* Whether lines are wanted at all. */
bool server_lines_wanted(const struct server_lines *l);
/* A whole line with its newline, of at most SERVER_LINE_MAX bytes. Any thread. */
void server_lines_put(struct server_lines *l, const char *line, size_t len);
/* Whether there may be one more line about a request that was refused: abuse does not fill disks.
 * What is left out is counted, and said once a second. */
bool server_lines_spare(struct server_lines *l);
/* Open the file again by its name, which another may have been moved from. Any thread, no signal
 * handler. */
void server_lines_reopen(struct server_lines *l);

void server_lines_measure(const struct server_lines *l, struct measure_writer *w);

/* ---- what writes them ---- */

/* One at a time, by the thread. */
struct server_lines_target {
	/* rest: of `where`, behind the word and its colon. */
	int (*open)(void **self, const char *rest, const struct env *env, struct err *e);
	/* Whole lines. ERR_UNAVAILABLE: try again later with the same; else they are lost.
	 * is_late (of ctx): give up. */
	int (*write)(void *self, const char *lines, size_t len, bool (*is_late)(void *ctx),
		     void *ctx, struct err *e);
	int (*reopen)(void *self, struct err *e); /* NULL: nothing to do */
	void (*close)(void *self);
};
extern const struct server_lines_target server_lines_file; /* rest "": standard error */
extern const struct server_lines_target server_lines_syslog;
extern const struct server_lines_target server_lines_otlp;

#endif
