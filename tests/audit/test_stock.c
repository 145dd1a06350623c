/* Own keys of records to come: made behind the answers, noted until they are used, and gone with
 * the log that made them. */
#include "support.h"

#include "audit/log_in.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 16
#define EACH_MOST 1500

static struct place at;

static void set_up(void)
{
	place_make(&at);
	at.journal = true;
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_stock, .init = set_up, .fini = tear_down, .timeout = 60);

static atomic_int stocked;
static bool dies;

static void note_stock(void *ctx, const char *step)
{
	(void)ctx;
	if (strcmp(step, "audit.stocked") != 0)
		return;
	if (dies)
		_exit(99);
	atomic_fetch_add(&stocked, 1);
}

static int told = -1; /* a pipe */

static void *seal_until_stocked(void *arg)
{
	for (int i = 0; i < EACH_MOST && atomic_load(&stocked) < 3; i++) {
		uint64_t index = place_decision(&at, NULL, arg);
		if (told >= 0 && write(told, &index, sizeof index) < 0)
			_exit(98);
	}
	return NULL;
}

static void seal_by_threads(void)
{
	pthread_t thread[THREADS];

	at.env.steps = (struct steps){ note_stock, NULL };
	for (size_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, seal_until_stocked, "words"), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

/* Of those that no row uses, all are noted; an opening removes them. */
static void expect_unused_noted(void)
{
	long long keys = place_number(at.keys,
				      "SELECT count(*) FROM subject_key WHERE id NOT LIKE 'h:%'"),
		  used = place_number(at.store, "SELECT count(DISTINCT key_id) FROM vault"),
		  noted = place_number(at.keys, "SELECT count(*) FROM fresh_key");

	cr_expect_geq(noted, keys - used, "%lld keys, %lld used, %lld noted", keys, used, noted);
}

static void expect_none_unused(void)
{
	cr_expect_eq(place_number(at.keys,
				  "SELECT count(*) FROM subject_key WHERE id NOT LIKE 'h:%'"),
		     place_number(at.store, "SELECT count(DISTINCT key_id) FROM vault"));
}

static void expect_readable(uint64_t index)
{
	struct err e = { 0 };
	json_t *plain = NULL;

	cr_assert_eq(audit_vault_read(at.log_open, index, &plain, &e), 0, "%s", e.text);
	json_decref(plain);
}

Test(audit_stock, keys_are_made_behind_the_answers)
{
	place_open(&at);
	place_start(&at);
	uint64_t from = audit_log_size(at.log_open);
	seal_by_threads();
	cr_expect_geq(atomic_load(&stocked), 1);
	for (uint64_t i = from; i < audit_log_size(at.log_open); i += 7)
		expect_readable(i);
	place_stop(&at);
	expect_unused_noted();
	cr_expect_leq(place_number(at.keys, "SELECT count(*) FROM fresh_key"),
		      VAULT_MADE_MAX + LOG_BATCH_MAX, "what is used does not stay noted");
	place_expect_clean(&at);
	place_close(&at);
	place_open(&at);
	expect_none_unused();
}

Test(audit_stock, death_with_keys_made_for_nobody_leaves_none_and_loses_nothing)
{
	static uint64_t acked[THREADS * EACH_MOST];
	size_t count = 0;
	int ends[2], status;

	cr_assert_eq(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		told = ends[1];
		dies = true;
		place_open(&at);
		place_start(&at);
		seal_by_threads();
		_exit(90);
	}
	close(ends[1]);
	while (read(ends[0], &acked[count], sizeof *acked) == sizeof *acked)
		count++;
	close(ends[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 99, "%x", (unsigned)status);
	place_open(&at);
	for (size_t i = 0; i < count; i++)
		expect_readable(acked[i]);
	expect_none_unused();
	place_expect_clean(&at);
}
