/* Batches in flight: the next is made ready while the one before it becomes durable, and none is
 * acknowledged before it is. */
#include "support.h"

#include "audit/log_in.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct place at;

static void set_up(void)
{
	place_make(&at);
	at.journal = true;
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_flight, .init = set_up, .fini = tear_down, .timeout = 30);

#define THREADS 2
#define WAIT_US 4000000

/* One record of a thread of its own. */
struct append {
	uint64_t n; /* or AUDIT_NEXT */
	struct audit_receipt receipt;
	struct audit_proven proven;
	struct err err;
	int rc;
	atomic_bool answered;
	pthread_t thread;
};

static void *append_one(void *arg)
{
	const char *const *names = audit_type_find("decision")->field;
	struct audit_field field[PLACE_FIELDS];
	struct append *a = arg;

	for (size_t i = 0; i < PLACE_FIELDS; i++)
		field[i] = (struct audit_field){ .name = names[i] };
	struct audit_record r = { .type = "decision",
				  .n = a->n,
				  .field = field,
				  .field_count = PLACE_FIELDS };
	a->rc = audit_log_append_proven(at.log_open, &r, &a->receipt, &a->proven, &a->err);
	atomic_store(&a->answered, true);
	return NULL;
}

static void begin(struct append *a, uint64_t n)
{
	*a = (struct append){ .n = n };
	cr_assert_eq(pthread_create(&a->thread, NULL, append_one, a), 0);
}

static void end(struct append *a) { pthread_join(a->thread, NULL); }

static void free_proven(struct append *a)
{
	buf_free(&a->proven.entry);
	buf_free(&a->proven.proof);
}

/* What is in flight, and what waits to be taken into a batch. */
static size_t in_flight(size_t *queued)
{
	pthread_mutex_lock(&at.log_open->lock);
	size_t count = at.log_open->flights.count;
	if (queued)
		*queued = at.log_open->queued;
	pthread_mutex_unlock(&at.log_open->lock);
	return count;
}

/* The frame of the first is written, and is held there until `count` are in flight. */
static struct {
	atomic_size_t count;
	size_t seen;
	uint64_t size; /* of the log meanwhile */
	bool answered;
	void (*then)(void);
	struct append *first;
	atomic_bool held, done;
} hold;

static void hold_at_written(void *ctx, const char *step)
{
	(void)ctx;
	if (strcmp(step, "audit.written") != 0 || atomic_exchange(&hold.done, true))
		return;
	atomic_store(&hold.held, true);
	for (int us = 0; us < WAIT_US && in_flight(NULL) < atomic_load(&hold.count); us += 1000)
		usleep(1000);
	usleep(20000); /* who is answered too early has the time to be */
	hold.seen = in_flight(NULL);
	hold.size = audit_log_size(at.log_open);
	hold.answered = atomic_load(&hold.first->answered);
	if (hold.then)
		hold.then();
}

static void set_hold(size_t count, struct append *first, void (*then)(void))
{
	memset(&hold, 0, sizeof hold);
	atomic_store(&hold.count, count);
	hold.first = first;
	hold.then = then;
	at.env.steps = (struct steps){ hold_at_written, NULL };
}

static void wait_held(void)
{
	while (!atomic_load(&hold.held))
		usleep(500);
}

static void check_answer(const struct append *a)
{
	struct err e = { 0 };

	cr_assert_eq(a->rc, 0, "%s", a->err.text);
	cr_expect_eq(audit_proof_check(a->proven.proof.bytes, a->proven.proof.len,
				       a->proven.entry.bytes, a->proven.entry.len, at.vkey.bytes, NULL,
				       &e),
		     0, "%s", e.text);
}

Test(audit_flight, next_is_ready_while_the_one_before_it_is_written)
{
	struct append a[THREADS];

	place_open(&at);
	place_start(&at);
	uint64_t size = audit_log_size(at.log_open);
	set_hold(2, &a[0], NULL);
	begin(&a[0], AUDIT_NEXT);
	wait_held();
	begin(&a[1], AUDIT_NEXT);
	for (int i = 0; i < THREADS; i++)
		end(&a[i]);
	cr_expect_eq(hold.seen, 2, "the second is signed, and waits for the disk");
	cr_expect_eq(hold.size, size, "none counts before it is durable");
	cr_expect_not(hold.answered);
	for (int i = 0; i < THREADS; i++) {
		check_answer(&a[i]);
		cr_expect_eq(a[i].receipt.index, size + (uint64_t)i, "in their order");
		free_proven(&a[i]);
	}
	place_stop(&at);
	place_expect_clean(&at);
}

/* Of four that come while the first is written one is made ready, and the others gather. */
Test(audit_flight, one_is_ready_and_the_others_gather)
{
	struct append a[5];
	size_t queued = 0;

	place_open(&at);
	place_start(&at);
	set_hold(9, &a[0], NULL); /* more than there will be: held until the queue is full */
	begin(&a[0], AUDIT_NEXT);
	wait_held();
	for (int i = 1; i < 5; i++) {
		begin(&a[i], AUDIT_NEXT);
		while (in_flight(&queued) < 2 || (i > 1 && queued < (size_t)i - 1))
			usleep(500);
	}
	cr_expect_eq(in_flight(&queued), 2);
	cr_expect_eq(queued, 3);
	atomic_store(&hold.count, 0);
	for (int i = 0; i < 5; i++) {
		end(&a[i]);
		check_answer(&a[i]);
		free_proven(&a[i]);
	}
	place_stop(&at);
	place_expect_clean(&at);
}

static void fail_the_sync(void)
{
	int ends[2];

	if (pipe(ends) < 0)
		return;
	dup2(ends[1], at.log_open->journal.fd); /* fdatasync of a pipe fails */
	close(ends[0]);
	close(ends[1]);
}

Test(audit_flight, where_one_cannot_be_made_durable_all_behind_it_are_refused)
{
	struct append a[THREADS];
	struct err e = { 0 };

	place_open(&at);
	place_start(&at);
	place_decision(&at, NULL, "taken");
	uint64_t size = audit_log_size(at.log_open);
	set_hold(2, &a[0], fail_the_sync);
	begin(&a[0], AUDIT_NEXT);
	wait_held();
	begin(&a[1], AUDIT_NEXT);
	for (int i = 0; i < THREADS; i++) {
		end(&a[i]);
		cr_expect_eq(a[i].rc, ERR_IO, "%d: %s", i, a[i].err.text);
		free_proven(&a[i]);
	}
	cr_expect_eq(hold.seen, 2);
	cr_expect_eq(in_flight(NULL), 0);
	cr_expect_eq(audit_log_size(at.log_open), size);
	__atomic_fetch_add(&at.time_us, 61000000, __ATOMIC_RELAXED);
	cr_expect_eq(audit_log_ready(at.log_open, &e), 0, "%s", e.text);
	cr_expect_eq(audit_log_size(at.log_open), size, "neither is in the log");
	cr_expect_eq(place_decision(&at, NULL, "goes on"), size);
	place_stop(&at);
	place_expect_clean(&at);
	place_close(&at);
	place_open(&at);
	place_expect_clean(&at);
}

/* A number whose record is in flight has one. */
Test(audit_flight, number_of_a_record_in_flight_is_taken)
{
	struct append a[THREADS];

	place_open(&at);
	place_start(&at);
	uint64_t n = place_reserve(&at);
	set_hold(1, &a[0], NULL);
	begin(&a[0], n);
	wait_held();
	begin(&a[1], n);
	for (int i = 0; i < THREADS; i++)
		end(&a[i]);
	check_answer(&a[0]);
	cr_expect_eq(a[1].rc, ERR_CONFLICT, "%s", a[1].err.text);
	free_proven(&a[0]);
	free_proven(&a[1]);
	place_decision(&at, NULL, "goes on");
	place_stop(&at);
	place_expect_clean(&at);
}

/* What goes into the database itself waits for all that is in flight. */
static void *note_one(void *arg)
{
	*(uint64_t *)arg = place_note(&at, "direct");
	return NULL;
}

Test(audit_flight, what_goes_into_the_database_comes_after_all_in_flight)
{
	struct append a[THREADS];
	pthread_t thread;
	uint64_t index = 0;

	place_open(&at);
	place_start(&at);
	uint64_t size = audit_log_size(at.log_open);
	set_hold(2, &a[0], NULL);
	begin(&a[0], AUDIT_NEXT);
	wait_held();
	begin(&a[1], AUDIT_NEXT);
	cr_assert_eq(pthread_create(&thread, NULL, note_one, &index), 0);
	pthread_join(thread, NULL);
	for (int i = 0; i < THREADS; i++) {
		end(&a[i]);
		check_answer(&a[i]);
		free_proven(&a[i]);
	}
	cr_expect_geq(index, size + 1, "%llu", (unsigned long long)index);
	cr_expect_eq(audit_log_size(at.log_open), size + 3);
	place_stop(&at);
	place_expect_clean(&at);
}

/* ---- a process that dies with some in flight ---- */

static const char *fatal_step;
static atomic_int arrivals_left;

static void die_at(void *ctx, const char *step)
{
	(void)ctx;
	if (strcmp(step, fatal_step) == 0 && atomic_fetch_sub(&arrivals_left, 1) == 1)
		_exit(99);
}

static void die(void) { _exit(100); }

static int told; /* the pipe */

static void *append_and_tell(void *arg)
{
	struct append *a = arg;

	for (int i = 0; i < 30; i++) {
		a->n = AUDIT_NEXT;
		append_one(a);
		if (a->rc < 0 ||
		    write(told, &a->receipt.index, sizeof a->receipt.index) < 0)
			_exit(98);
		free_proven(a);
		memset(&a->proven, 0, sizeof a->proven);
	}
	return NULL;
}

/* In the child, eight threads at once. */
static void work(int fd)
{
	struct append a[8] = { { 0 } };

	told = fd;
	for (int i = 0; i < 8; i++)
		if (pthread_create(&a[i].thread, NULL, append_and_tell, &a[i]) != 0)
			_exit(97);
	for (int i = 0; i < 8; i++)
		pthread_join(a[i].thread, NULL);
	_exit(90);
}

static size_t run_child(const char *step, int which, uint64_t *acked, int *status)
{
	int ends[2];
	size_t count = 0;
	struct err e;

	cr_assert_eq(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		if (place_try_open(&at, &e) < 0)
			_exit(96);
		place_start(&at);
		fatal_step = step;
		arrivals_left = which;
		at.env.steps = (struct steps){ die_at, NULL };
		work(ends[1]);
	}
	close(ends[1]);
	while (read(ends[0], &acked[count], sizeof *acked) == sizeof *acked)
		count++;
	close(ends[0]);
	cr_assert_eq(waitpid(child, status, 0), child);
	cr_assert(WIFEXITED(*status));
	*status = WEXITSTATUS(*status);
	return count;
}

Test(audit_flight, death_with_some_in_flight_loses_nothing_that_was_acknowledged)
{
	static const struct {
		const char *step;
		int which;
	} deaths[] = { { "audit.keys", 2 },	{ "audit.signed", 2 },	  { "audit.signed", 7 },
		       { "audit.written", 2 },	{ "audit.written", 9 },	  { "audit.journaled", 3 },
		       { "audit.journaled", 12 } };
	uint64_t acked[512];

	for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
		int status;
		size_t count = run_child(deaths[i].step, deaths[i].which, acked, &status);
		cr_assert_eq(status, 99, "%s: %d", deaths[i].step, status);
		place_open(&at);
		for (size_t k = 0; k < count; k++) {
			struct buf entry = { 0 };
			json_t *plain = NULL;
			struct err e = { 0 };
			cr_assert_eq(audit_log_entry(at.log_open, acked[k], &entry, &e), 0,
				     "%s: %s", deaths[i].step, e.text);
			cr_assert_eq(audit_vault_read(at.log_open, acked[k], &plain, &e), 0,
				     "%s: %s", deaths[i].step, e.text);
			json_decref(plain);
			buf_free(&entry);
		}
		place_expect_clean(&at);
		place_close(&at);
	}
}

/* Its frame is whole, and may count; what was signed behind it was never written. */
Test(audit_flight, death_after_a_frame_was_written_with_another_ready)
{
	struct append a[THREADS];
	int status;

	place_open(&at);
	place_start(&at);
	uint64_t size = audit_log_size(at.log_open);
	place_close(&at);
	pid_t child = fork();
	if (child == 0) {
		place_open(&at);
		place_start(&at);
		set_hold(2, &a[0], die);
		begin(&a[0], AUDIT_NEXT);
		wait_held();
		begin(&a[1], AUDIT_NEXT);
		for (int i = 0; i < THREADS; i++)
			end(&a[i]);
		_exit(90);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 100, "%x", (unsigned)status);
	place_open(&at);
	/* What closed the first worker, a start, the record, and what closed the second. */
	cr_expect_eq(audit_log_size(at.log_open), size + 4);
	place_expect_clean(&at);
}
