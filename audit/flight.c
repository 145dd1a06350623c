/* Batches in flight: ready to be written, in the order of the log, and not durable yet.
 *
 *   leader       seals, signs and proves the next batch          audit/ahead.c
 *   one thread   writes the first, and makes it durable          the same
 *   all          wait for their own batch
 *
 * So the next batch is made while the disk is busy with the one before it, and is written as soon
 * as that one is durable: never before, for a frame that is not valid ends the journal, and with a
 * valid one behind it a crash could not be told from damage. A leader that finds the disk idle
 * writes its batch itself, so that a record alone waits for no other thread; what is ready behind
 * it is this file's thread's to write, for who led goes to its client.
 *
 * One batch is made ready, not more: what comes later gathers for the next. While the disk is busy
 * it is not begun before as many records wait as the batch before it had, for each batch costs the
 * same whatever it holds.
 *
 * Where one fails, it and all behind it are refused: they stand on its tree. Nothing of theirs was
 * written, and what failed is made no frame: audit/fault.c. */
#include "audit/log_in.h"

#include <signal.h>

bool audit_flight_wanted(const struct audit_log *log)
{
	const struct flights *f = &log->flights;

	if (!f->first)
		return true;
	return f->writing && f->count < 2 && log->queued >= log->batch_before;
}

void audit_flight_add(struct audit_log *log, struct flight *x)
{
	struct flights *f = &log->flights;

	x->next = NULL;
	if (f->last)
		f->last->next = x;
	else
		f->first = x;
	f->last = x;
	f->count++;
	f->records += x->count;
	for (size_t i = 0; i < x->count; i++)
		x->own += x->batch[i]->record.from->subject == NULL;
	f->own += x->own;
}

/* It is the log now, for this process and for who is answered. */
static void take(struct audit_log *log, struct flight *x)
{
	struct frame *f = x->frame;
	struct numbers *in = &log->self.numbers;

	for (size_t i = 0; i < x->count; i++)
		if (x->batch[i]->rc == 0)
			audit_numbers_add(in, x->batch[i]->receipt.n);
	audit_worker_extended(&log->self, x->reserving);
	buf_free(&log->checkpoint);
	log->checkpoint = x->note;
	x->note = (struct buf){ 0 };
	log->size = f->after;
	log->root = f->root;
	x->frame = NULL;
	audit_behind_add(log, f);
}

/* The first, or, where it failed, all. */
static struct flight *leave(struct flights *f, bool all)
{
	struct flight *x = f->first;

	f->first = all ? NULL : x->next;
	if (!f->first)
		f->last = NULL;
	if (!all)
		x->next = NULL;
	for (const struct flight *gone = x; gone; gone = gone->next) {
		f->count--;
		f->records -= gone->count;
		f->own -= gone->own;
	}
	return x;
}

/* Called and left with `lock` held. */
static void write_first(struct audit_log *log)
{
	struct flights *f = &log->flights;
	struct flight *x = f->first, *next;
	struct err err = { 0 };
	int rc;

	f->writing = true;
	if (log->failed) {
		rc = audit_log_refuse(log, &err);
	} else {
		audit_log_wake(log); /* another may be made ready */
		pthread_mutex_unlock(&log->lock);
		rc = audit_ahead_write(log, x, &err);
		pthread_mutex_lock(&log->lock);
	}
	f->writing = false;
	if (rc < 0)
		audit_log_fail(log, &err);
	else
		take(log, x);
	x = leave(f, rc < 0);
	for (next = x; next; next = next->next)
		audit_log_finish(next->batch, next->count, rc, &err);
	if (f->first)
		pthread_cond_signal(&f->wake);
	audit_log_wake(log);
	/* Unlocked, or each that is woken would wait for the lock, if it needs it, behind all. */
	pthread_mutex_unlock(&log->lock);
	for (; x; x = next) {
		next = x->next;
		audit_log_wake_batch(x->batch, x->count);
		audit_flight_free(x);
	}
	pthread_mutex_lock(&log->lock);
}

void audit_flight_write(struct audit_log *log)
{
	if (!log->flights.writing && log->flights.first)
		write_first(log);
}

int audit_flight_drain(struct audit_log *log, struct err *e)
{
	pthread_mutex_lock(&log->lock);
	while (log->flights.first)
		pthread_cond_wait(&log->moved, &log->lock);
	int rc = log->failed ? audit_log_refuse(log, e) : 0;
	pthread_mutex_unlock(&log->lock);
	return rc;
}

/* ---- the thread ---- */

static void *flight_main(void *arg)
{
	struct audit_log *log = arg;
	struct flights *f = &log->flights;

	pthread_mutex_lock(&log->lock);
	while (!f->ending) {
		if (f->first && !f->writing)
			write_first(log);
		else
			pthread_cond_wait(&f->wake, &log->lock);
	}
	pthread_mutex_unlock(&log->lock);
	return NULL;
}

/* The signals of a program are its own threads' business. */
int audit_flight_start(struct audit_log *log, struct err *e)
{
	struct flights *f = &log->flights;
	sigset_t all, before;

	if (f->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	f->running = pthread_create(&f->thread, NULL, flight_main, log) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return f->running ? 0 : err_set(e, ERR_NOMEM, "no thread for the log");
}

void audit_flight_open(struct audit_log *log) { pthread_cond_init(&log->flights.wake, NULL); }

void audit_flight_close(struct audit_log *log)
{
	struct flights *f = &log->flights;

	pthread_mutex_lock(&log->lock);
	f->ending = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&log->lock);
	if (f->running)
		pthread_join(f->thread, NULL);
	f->running = false;
	pthread_cond_destroy(&f->wake);
}
