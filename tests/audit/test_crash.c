/* The process dies at a named step; what was acknowledged before must be there after, and the log
 * must verify. */
#include "support.h"

#include "audit/log_in.h"
#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct place at;

static void set_up(void) { place_make(&at); }

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_crash, .init = set_up, .fini = tear_down, .timeout = 300);

static const char *fatal_step;
static int arrivals_left, arrivals;

static void die_at(void *ctx, const char *step)
{
	(void)ctx;
	if (fatal_step ? strcmp(step, fatal_step) == 0 : true) {
		arrivals++;
		if (--arrivals_left == 0)
			_exit(99);
	}
}

/* In the child: work, and write each acknowledged index with its n to fd. */
static void work(int fd, int records)
{
	for (int i = 0; i < records; i++) {
		uint64_t ack[2] = { i % 3 == 2 ? place_decision(&at, "someone", "x")
					       : place_note(&at, "text"),
				    0 };
		ack[1] = (uint64_t)i;
		if (write(fd, ack, sizeof(ack)) != sizeof(ack))
			_exit(98);
	}
}

/* Open, append, die at the arrivals-th arrival at step (NULL: any). Returns what was acknowledged,
 * as indexes, and whether it died. */
static size_t run_child(const char *step, int which, int records, uint64_t *acked, bool *died)
{
	int pipe_fd[2], status;
	size_t count = 0;
	uint64_t ack[2];

	cr_assert_eq(pipe(pipe_fd), 0);
	pid_t child = fork();
	if (child == 0) {
		close(pipe_fd[0]);
		fatal_step = step;
		arrivals_left = which;
		at.env.steps = (struct steps){ die_at, NULL };
		struct err e;
		if (place_try_open(&at, &e) < 0)
			_exit(97);
		work(pipe_fd[1], records);
		_exit(0);
	}
	close(pipe_fd[1]);
	while (read(pipe_fd[0], ack, sizeof(ack)) == sizeof(ack))
		acked[count++] = ack[0];
	close(pipe_fd[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 99 || WEXITSTATUS(status) == 0),
		  "%s: status %x", step ? step : "any", (unsigned)status);
	*died = WEXITSTATUS(status) == 99;
	return count;
}

static void check_acknowledged(const char *step, int which, const uint64_t *acked, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct buf entry = { 0 }, proof = { 0 };
		struct err e = { 0 };
		json_t *plain;
		cr_assert_eq(audit_log_entry(at.log_open, acked[i], &entry, &e), 0,
			     "%s:%d lost %llu", step, which, (unsigned long long)acked[i]);
		cr_expect(strstr(entry.bytes, i % 3 == 2 ? "\"decision\"" : "\"registry\""),
			  "%s:%d", step, which);
		cr_assert_eq(audit_log_proof(at.log_open, acked[i], NULL, 0, &proof, &e), 0, "%s",
			     e.text);
		cr_expect_eq(audit_proof_check(proof.bytes, proof.len, entry.bytes, entry.len,
					       at.vkey.bytes, NULL, &e),
			     0);
		if (i % 3 == 2) {
			cr_assert_eq(audit_vault_read(at.log_open, acked[i], &plain, &e), 0,
				     "%s:%d: %s", step, which, e.text);
			json_decref(plain);
		}
		buf_free(&entry);
		buf_free(&proof);
	}
}

/* The checkpoint's size, or 0 without one. */
static uint64_t signed_size(void)
{
	struct buf b = { 0 };
	char path[128];
	uint64_t size = 0;

	snprintf(path, sizeof(path), "%s/checkpoint", at.log);
	if (file_read(path, MIB(1), &b, NULL) == 0)
		size = strtoull(strchr(b.bytes, '\n') + 1, NULL, 10);
	buf_free(&b);
	return size;
}

static void crash_and_check(const char *step, int which, int records)
{
	uint64_t acked[16], before = signed_size();
	bool died;
	size_t count = run_child(step, which, records, acked, &died);

	cr_expect(died, "%s:%d was not reached", step, which);
	place_open(&at);
	cr_expect_geq(audit_log_size(at.log_open), before);
	if (count)
		cr_expect_gt(audit_log_size(at.log_open), acked[count - 1]);
	place_expect_clean(&at);
	check_acknowledged(step, which, acked, count);
	place_close(&at);
}

static const char *const steps[] = { "audit.keys",      "audit.committed", "audit.bundle",
				     "audit.tile",      "audit.verified",  "audit.signed",
				     "audit.checkpoint" };
#define STEPS (sizeof(steps) / sizeof(*steps))

Test(audit_crash, every_step_of_appending_loses_nothing_acknowledged)
{
	for (size_t i = 0; i < STEPS; i++)
		for (int which = 1; which <= 2; which++)
			crash_and_check(steps[i], which, 6);
}

Test(audit_crash, every_step_around_a_tile_border_loses_nothing_acknowledged)
{
	char command[256];

	place_open(&at);
	for (int i = 0; i < 252; i++)
		place_note(&at, "fill");
	place_close(&at);
	for (int which = 1; which <= 46; which += 3) {
		snprintf(command, sizeof(command), "rm -rf %s.kept; cp -a %s %s.kept", at.home,
			 at.home, at.home);
		cr_assert_eq(system(command), 0);
		crash_and_check(NULL, which, 7);
		snprintf(command, sizeof(command), "rm -rf %s; mv %s.kept %s", at.home, at.home,
			 at.home);
		cr_assert_eq(system(command), 0);
	}
}

Test(audit_crash, recovery_itself_may_crash_at_any_step_and_is_idempotent)
{
	uint64_t acked[16];
	bool died = true;
	size_t count = run_child("audit.committed", 4, 6, acked,
				 &died); /* left behind: committed, not published */

	cr_assert(died);
	cr_assert_eq(count, 2);
	for (int which = 1; died && which < 40; which++)
		run_child(NULL, which, 0, acked + 8, &died);
	cr_expect_not(died, "recovery never came to its end");
	struct buf one = { 0 }, two = { 0 };
	place_read(&at, "log/checkpoint", &one);
	place_open(&at);
	check_acknowledged("recovery", 0, acked, count);
	place_expect_clean(&at);
	cr_expect_eq(audit_log_size(at.log_open), 4); /* genesis, two acknowledged, one committed */
	place_close(&at);
	place_read(&at, "log/checkpoint", &two);
	cr_expect(one.len == two.len && memcmp(one.bytes, two.bytes, one.len) == 0);
	buf_free(&one);
	buf_free(&two);
}

/* ---- power that fails: files that were not synced are torn, or not there ---- */

/* Every file below log/ that the tree of `synced` entries does not have: cut to half, or removed. */
static size_t tear_beyond(uint64_t synced, bool remove)
{
	struct file_list list;
	size_t torn = 0;

	cr_assert_eq(file_list(at.log, &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++) {
		struct tile t;
		char path[256];
		bool tile = audit_tile_path_parse(list.names[i], &t);
		if (tile ? audit_tile_width(synced, t.level, t.n) >= t.width
			 : strcmp(list.names[i], "checkpoint") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", at.log, list.names[i]);
		if (remove && tile)
			cr_assert_eq(unlink(path), 0);
		else
			cr_assert_eq(truncate(path, remove ? 0 : 40), 0);
		torn++;
	}
	file_list_free(&list);
	return torn;
}

static void lose_power(uint64_t first, int records, bool remove)
{
	uint64_t acked[512];
	bool died;

	place_open(&at);
	while (audit_log_size(at.log_open) < first)
		place_note(&at, "synced at the end");
	place_close(&at);
	size_t count = run_child("none", 1, records, acked, &died);
	cr_assert_eq(count, records);
	cr_expect_gt(tear_beyond(first, remove), 2);
	place_stores(&at);
	struct audit_verdict *v = place_verify(&at, true);
	cr_expect(v->ok, "nothing that was signed is lost: %s: %s", v->problem[0].kind,
		  v->problem[0].text);
	cr_expect_eq(v->remarks, 2, "the checkpoint, the files: %zu", v->remarks);
	cr_expect_str_eq(v->remark[0].kind, "files");
	place_sql(at.store, "CREATE TABLE kept AS SELECT * FROM log_entry WHERE idx = 2;"
			    "DELETE FROM log_entry WHERE idx = 2");
	cr_expect_not(place_verify(&at, true)->ok, "the database has not all that was signed");
	place_sql(at.store, "INSERT INTO log_entry SELECT * FROM kept; DROP TABLE kept");
	place_close(&at);
	place_open(&at);
	cr_expect_geq(audit_log_size(at.log_open), first + (uint64_t)records);
	place_expect_clean(&at);
	check_acknowledged("power", 0, acked, count);
	place_note(&at, "goes on");
	place_close(&at);
	place_expect_clean(&at);
}

Test(audit_crash, files_that_were_not_synced_may_be_torn_and_are_written_anew)
{
	lose_power(5, 6, false);
	lose_power(250, 12, false); /* over the border of a tile */
	lose_power(300, 260, false);
}

Test(audit_crash, files_that_were_not_synced_may_be_missing_and_are_written_anew)
{
	lose_power(5, 6, true);
	lose_power(250, 12, true);
	lose_power(300, 260, true);
}

Test(audit_crash, file_that_was_synced_may_not_be_torn)
{
	struct err e = { 0 };

	lose_power(5, 6, false);
	cr_expect_gt(tear_beyond(3, false), 2);
	place_stores(&at);
	cr_expect_not(place_verify(&at, true)->ok);
	place_close(&at);
	cr_expect_eq(place_try_open(&at, &e), ERR_VERIFY);
}

/* ---- workers that died ---- */

Test(audit_crash, worker_that_died_is_closed_by_a_lost_entry_that_names_its_missing_numbers)
{
	struct buf entry = { 0 };
	char worker[32];

	place_open(&at);
	place_start(&at);
	place_reserve(&at); /* admitted, never recorded */
	place_note(&at, "served");
	snprintf(worker, sizeof(worker), "%s", audit_log_worker(at.log_open));
	place_expect_clean(&at); /* running */
	place_close(&at);
	struct audit_verdict *v = place_verify(&at, false);
	cr_expect(v->ok, "killed, and nobody came after it: nothing is wrong");
	cr_expect_eq(v->remarks, 1);
	cr_expect_str_eq(v->remark[0].kind, "worker");
	cr_expect(strstr(v->remark[0].text, worker), "%s", v->remark[0].text);
	place_open(&at);
	cr_assert_eq(audit_log_entry(at.log_open, audit_log_size(at.log_open) - 1, &entry, NULL),
		     0);
	cr_expect(strstr(entry.bytes, "\"type\":\"lost\"") && strstr(entry.bytes, worker) &&
			  strstr(entry.bytes, "\"last\":1024,\"missing\":[[1,1],[3,1024]]"),
		  "%s", entry.bytes);
	place_close(&at);
	place_expect_clean(&at);
	place_open(&at); /* once is enough */
	cr_expect_eq(audit_log_size(at.log_open), 4);
	buf_free(&entry);
}

/* A worker starts, and numbers are seen by others: of each `step` numbers one gets a record. Then it
 * dies, with the last that was seen on the pipe. */
static uint64_t see_numbers(uint64_t count, uint64_t step)
{
	int pipe_fd[2], status;
	uint64_t seen = 0, n;

	cr_assert_eq(pipe(pipe_fd), 0);
	pid_t child = fork();
	if (child == 0) {
		struct err e;
		if (place_try_open(&at, &e) < 0)
			_exit(97);
		place_start(&at);
		for (n = 0; n < count;) {
			n = place_reserve(&at);
			if (write(pipe_fd[1], &n, sizeof(n)) != sizeof(n))
				_exit(98);
			if (n % step == 0)
				place_note(&at, "takes the next");
		}
		_exit(99);
	}
	close(pipe_fd[1]);
	while (read(pipe_fd[0], &n, sizeof(n)) == sizeof(n))
		seen = n;
	close(pipe_fd[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 99);
	return seen;
}

/* Every number up to it is a record, or named by a lost entry. */
static void expect_accounted(uint64_t seen)
{
	uint64_t next = 0, size = audit_log_size(at.log_open);
	char *known = calloc(1, seen + 4096);

	for (uint64_t i = 0; i < size; i++) {
		struct buf text = { 0 };
		json_t *entry, *range;
		size_t k;
		cr_assert_eq(audit_log_entry(at.log_open, i, &text, NULL), 0);
		cr_assert_eq(json_read(&entry, text.bytes, text.len, MIB(1), 16, NULL), 0);
		json_t *missing = json_object_get(json_object_get(entry, "body"), "missing");
		const char *worker = json_string_value(json_object_get(entry, "worker"));
		json_int_t n = json_integer_value(json_object_get(entry, "n"));
		if (strcmp(worker, LOG_ITSELF) != 0 && (uint64_t)n <= seen)
			known[n]++;
		json_array_foreach(missing, k, range) {
			json_int_t a = json_integer_value(json_array_get(range, 0)),
				   b = json_integer_value(json_array_get(range, 1));
			for (; a <= b && (uint64_t)a <= seen; a++)
				known[a]++;
		}
		json_decref(entry);
		buf_free(&text);
	}
	while (next <= seen && known[next] == 1)
		next++;
	cr_expect_eq(next, seen + 1, "number %llu is %d times there", (unsigned long long)next,
		     next <= seen ? known[next] : 0);
	free(known);
}

Test(audit_crash, numbers_that_were_seen_before_a_crash_are_records_or_lost)
{
	uint64_t seen = see_numbers(3000, 7000); /* several blocks, without a record */
	place_open(&at);
	expect_accounted(seen);
	place_close(&at);
	place_expect_clean(&at);
	tear_down();
	set_up();
	seen = see_numbers(2600, 10); /* blocks that batches extend */
	place_open(&at);
	expect_accounted(seen);
	place_expect_clean(&at);
}

Test(audit_crash, worker_with_more_gaps_than_an_entry_holds_gets_several_lost_entries)
{
	uint64_t seen = see_numbers(6400, 2), acked[1];
	bool died;

	/* The process that writes the first of them dies right after. */
	run_child("audit.checkpoint", 2, 0, acked, &died);
	cr_expect(died);
	place_open(&at);
	expect_accounted(seen);
	place_expect_clean(&at);
	cr_expect_gt(place_number(at.store, "SELECT count(*) FROM log_entry WHERE type = 'lost'"),
		     1);
	cr_expect_eq(place_number(at.store, "SELECT count(*) FROM log_writer"), 0);
}

/* ---- kills at any moment ---- */

/* What a client learns of a record: its number when it asks, its index when it is answered. */
struct learnt {
	uint64_t n, index, acknowledged;
};

#define WRITERS 4
static int clients;

static void *write_until_killed(void *arg)
{
	(void)arg;
	for (;;) {
		json_t *body = json_pack("{s:s}", "text", "x");
		struct learnt l = { .n = place_reserve(&at) };
		struct audit_record r = { .type = "registry", .n = l.n, .body = body };
		struct audit_receipt receipt;
		if (write(clients, &l, sizeof(l)) != sizeof(l) ||
		    audit_log_append(at.log_open, &r, &receipt, NULL) < 0)
			_exit(98);
		l = (struct learnt){ l.n, receipt.index, 1 };
		if (write(clients, &l, sizeof(l)) != sizeof(l))
			_exit(98);
		json_decref(body);
	}
	return NULL;
}

/* The child says who it is, writes, and is killed. What its clients learnt goes to out. */
static size_t kill_writers(unsigned microseconds, char worker[17], struct learnt *out, size_t room)
{
	int pipe_fd[2], status;
	size_t count = 0;

	cr_assert_eq(pipe(pipe_fd), 0);
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread[WRITERS];
		place_open(&at);
		place_start(&at);
		clients = pipe_fd[1];
		if (write(clients, audit_log_worker(at.log_open), 17) != 17)
			_exit(98);
		for (int i = 0; i < WRITERS; i++)
			pthread_create(&thread[i], NULL, write_until_killed, NULL);
		pause();
	}
	close(pipe_fd[1]);
	cr_assert_eq(read(pipe_fd[0], worker, 17), 17);
	usleep(microseconds);
	kill(child, SIGKILL);
	while (count < room && read(pipe_fd[0], &out[count], sizeof(*out)) == sizeof(*out))
		count++;
	close(pipe_fd[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status), "%x", (unsigned)status);
	return count;
}

/* The range of numbers from `last` of its newest lost entry, or a record. */
static bool is_lost(const char *worker, uint64_t n)
{
	struct buf text = { 0 };
	json_t *entry, *range;
	bool found = false;
	size_t i;

	cr_assert_eq(audit_log_entry(at.log_open, audit_log_size(at.log_open) - 1, &text, NULL), 0);
	cr_assert_eq(json_read(&entry, text.bytes, text.len, MIB(1), 16, NULL), 0);
	json_t *body = json_object_get(entry, "body");
	cr_assert_str_eq(json_string_value(json_object_get(body, "worker")), worker);
	json_array_foreach(json_object_get(body, "missing"), i, range)
		found |= (uint64_t)json_integer_value(json_array_get(range, 0)) <= n &&
			 n <= (uint64_t)json_integer_value(json_array_get(range, 1));
	json_decref(entry);
	buf_free(&text);
	return found;
}

static void expect_kept(const char *worker, const struct learnt *l)
{
	uint64_t index;
	int rc = audit_log_find(at.log_open, worker, l->n, &index, NULL);

	if (l->acknowledged)
		cr_assert(rc == 0 && index == l->index, "%llu was lost", (unsigned long long)l->n);
	else
		cr_assert((rc == 0) != is_lost(worker, l->n), "%llu left no trace, or two",
			  (unsigned long long)l->n);
}

/* CRASH_KILLS=2000 in the environment for many. */
Test(audit_crash, kill_at_any_moment_loses_nothing_acknowledged, .timeout = 7200)
{
	static struct learnt learnt[200000];
	const char *given = getenv("CRASH_KILLS");
	long kills = given ? strtol(given, NULL, 10) : 20;
	size_t all = 0, unanswered = 0;
	char worker[17];

	place_open(&at);
	place_close(&at);
	for (long i = 0; i < kills; i++) {
		size_t count = kill_writers((unsigned)(i * 7919 % 40000), worker, learnt,
					    sizeof(learnt) / sizeof(*learnt));
		place_open(&at);
		for (size_t k = 0; k < count; k++)
			expect_kept(worker, &learnt[k]);
		if (i % 50 == 49 || i + 1 == kills)
			place_expect_clean(&at);
		place_close(&at);
		for (size_t k = 0; k < count; k++)
			all += learnt[k].acknowledged;
		unanswered += count;
	}
	unanswered -= 2 * all;
	cr_expect_gt(all, 0);
	cr_expect_gt(unanswered, 0);
	if (given)
		printf("%ld kills: %zu acknowledged records are there, %zu more numbers are accounted for\n",
		       kills, all, unanswered);
}

/* ---- storage that fails ---- */

Test(audit_crash, failed_write_stops_the_log_until_it_is_opened_anew)
{
	json_t *body = json_pack("{s:s}", "text", "unlucky");
	struct audit_receipt receipt;
	struct err e = { 0 };
	char command[256];

	place_open(&at);
	place_note(&at, "good");
	snprintf(command, sizeof(command), "cd %s/tile && mv 0 0.kept && touch 0", at.log);
	cr_assert_eq(system(command), 0);
	struct audit_record r = { .type = "registry", .n = place_reserve(&at), .body = body };
	cr_expect_eq(audit_log_append(at.log_open, &r, &receipt, &e), ERR_IO, "%s", e.text);
	r.n = place_reserve(&at);
	cr_expect_eq(audit_log_append(at.log_open, &r, &receipt, &e), ERR_UNAVAILABLE);
	cr_expect_eq(audit_log_size(at.log_open), 2);
	place_close(&at);
	cr_expect_lt(place_try_open(&at, &e), 0);
	snprintf(command, sizeof(command), "cd %s/tile && rm 0 && mv 0.kept 0", at.log);
	cr_assert_eq(system(command), 0);
	place_open(&at);
	cr_expect_eq(audit_log_size(at.log_open), 2); /* nothing is committed that has no files */
	place_expect_clean(&at);
	json_decref(body);
}

/* ---- and comes back, without a restart ---- */

/* A folder of tiles becomes a file, and again a folder. */
static void break_tiles(bool broken)
{
	char command[256];

	snprintf(command, sizeof(command),
		 broken ? "cd %s/tile && mv 0 0.kept && touch 0"
			: "cd %s/tile && rm 0 && mv 0.kept 0",
		 at.log);
	cr_assert_eq(system(command), 0);
}

static int try_note(struct err *e)
{
	json_t *body = json_pack("{s:s}", "text", "unlucky");
	struct audit_record r = { .type = "registry", .n = AUDIT_NEXT, .body = body };
	struct audit_receipt receipt;
	int rc = audit_log_append(at.log_open, &r, &receipt, e);

	json_decref(body);
	return rc;
}

Test(audit_crash, log_opens_again_by_itself_once_the_storage_works)
{
	struct err e = { 0 };

	place_open(&at);
	place_start(&at);
	place_note(&at, "good");
	break_tiles(true);
	cr_expect_eq(try_note(&e), ERR_IO);
	cr_expect_eq(audit_log_ready(at.log_open, &e), ERR_UNAVAILABLE);
	for (int i = 0; i < 12; i++) { /* tries that fail, farther and farther apart */
		at.time_us += 61000000;
		cr_expect_eq(audit_log_ready(at.log_open, &e), ERR_UNAVAILABLE, "%d", i);
		cr_expect(strstr(e.text, "storage fault"), "%s", e.text);
	}
	break_tiles(false);
	cr_expect_eq(audit_log_ready(at.log_open, &e), ERR_UNAVAILABLE, "it is not time yet");
	at.time_us += 61000000;
	cr_expect_eq(audit_log_ready(at.log_open, &e), 0, "%s", e.text);
	cr_expect_eq(audit_log_size(at.log_open), 3, "nothing is committed that has no files");
	place_expect_clean(&at);
	uint64_t index = place_decision(&at, "someone", "after the fault");
	cr_expect_eq(index, 3);
	place_stop(&at);
	place_close(&at);
	place_expect_clean(&at);
	place_open(&at);
	cr_expect_eq(audit_log_size(at.log_open), 5);
	place_expect_clean(&at);
}

Test(audit_crash, log_that_contradicts_itself_after_a_fault_stays_stopped)
{
	struct err e = { 0 };

	place_open(&at);
	place_note(&at, "good");
	break_tiles(true);
	cr_expect_eq(try_note(&e), ERR_IO);
	break_tiles(false);
	place_sql(at.store, "UPDATE log_head SET root = zeroblob(32)");
	at.time_us += 61000000;
	cr_expect_eq(audit_log_ready(at.log_open, &e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "does not open again"), "%s", e.text);
	cr_expect_eq(try_note(&e), ERR_UNAVAILABLE);
}

/* The database is what fails: the file may not grow. In a child, for its signals. */
static int fill_the_disk(void)
{
	struct rlimit small = { 1 << 19, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	struct err e = { 0 };
	int rc = 0, taken = 0;

	place_open(&at);
	place_start(&at);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	for (; rc == 0 && taken < 5000; taken++)
		rc = try_note(&e);
	if (rc != ERR_IO || audit_log_ready(at.log_open, &e) != ERR_UNAVAILABLE)
		return 10;
	setrlimit(RLIMIT_FSIZE, &none);
	at.time_us += 61000000;
	if (audit_log_ready(at.log_open, &e) != 0 || try_note(&e) < 0)
		return 11;
	uint64_t size = audit_log_size(at.log_open);
	place_stop(&at);
	place_expect_clean(&at);
	place_close(&at);
	return size >= 2 + (uint64_t)taken ? 0
					   : 12; /* genesis, start, all but the refused, one more */
}

Test(audit_crash, full_disk_that_has_room_again_needs_no_restart)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(fill_the_disk());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
	place_open(&at);
	place_expect_clean(&at);
}
