/* Records that are durable in the journal before the database has them: nobody sees less than what was
 * acknowledged, whenever the process dies and whoever reads. */
#include "support.h"

#include "audit/log_in.h"
#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct place at;

static void set_up(void)
{
	place_make(&at);
	at.journal = true;
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_journal, .init = set_up, .fini = tear_down, .timeout = 120);

static bool has_journal(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/journal", at.home);
	return file_exists(path);
}

/* ---- a process that dies ---- */

static const char *fatal_step;
static int arrivals_left;

static void die_at(void *ctx, const char *step)
{
	(void)ctx;
	if (fatal_step && strcmp(step, fatal_step) == 0 && --arrivals_left == 0)
		_exit(99);
}

/* In the child: decisions, and now and then what goes into the database itself. */
static void work(int fd, int records, useconds_t pause_us)
{
	for (int i = 0; i < records; i++) {
		uint64_t index = i % 5 == 4 ? place_note(&at, "direct")
					    : place_decision(&at, i % 2 ? "someone" : NULL, "x");
		if (write(fd, &index, sizeof(index)) != sizeof(index))
			_exit(98);
		usleep(pause_us);
	}
}

/* Dies at the which-th arrival at a step, or after its records. Returns what was acknowledged. */
static size_t run_child(const char *step, int which, int records, useconds_t pause_us,
			uint64_t *acked, bool *died)
{
	int pipe_fd[2], status;
	size_t count = 0;
	struct err e;

	cr_assert_eq(pipe(pipe_fd), 0);
	pid_t child = fork();
	if (child == 0) {
		close(pipe_fd[0]);
		if (place_try_open(&at, &e) < 0)
			_exit(97);
		place_start(&at);
		fatal_step = step;
		arrivals_left = which;
		at.env.steps = (struct steps){ die_at, NULL };
		work(pipe_fd[1], records, pause_us);
		_exit(90);
	}
	close(pipe_fd[1]);
	while (read(pipe_fd[0], &acked[count], sizeof(*acked)) == sizeof(*acked))
		count++;
	close(pipe_fd[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 99 || WEXITSTATUS(status) == 90),
		  "%s: status %x", step, (unsigned)status);
	*died = WEXITSTATUS(status) == 99;
	return count;
}

static void check_entries(struct audit_log *log, const char *what, const uint64_t *acked,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct buf entry = { 0 }, proof = { 0 };
		struct err e = { 0 };
		json_t *plain;
		cr_assert_eq(audit_log_entry(log, acked[i], &entry, &e), 0, "%s: lost %llu: %s",
			     what, (unsigned long long)acked[i], e.text);
		cr_assert_eq(audit_log_proof(log, acked[i], NULL, 0, &proof, &e), 0, "%s: %s", what,
			     e.text);
		cr_expect_eq(audit_proof_check(proof.bytes, proof.len, entry.bytes, entry.len,
					       at.vkey.bytes, NULL, &e),
			     0);
		if (strstr(entry.bytes, "\"decision\"")) {
			cr_assert_eq(audit_vault_read(log, acked[i], &plain, &e), 0, "%s: %s", what,
				     e.text);
			json_decref(plain);
		}
		buf_free(&entry);
		buf_free(&proof);
	}
}

static void read_vkey(void)
{
	if (at.vkey.len)
		return;
	place_open(&at);
	place_close(&at);
}

/* As other commands do, beside a writer or after one that was killed. */
static void check_as_reader(const char *what, const uint64_t *acked, size_t count)
{
	struct place reader = at;
	struct audit_log *log;
	struct err e = { 0 };

	place_stores(&reader);
	struct audit_options o = place_options(&reader);
	o.read_only = true;
	o.journal = false;
	cr_assert_eq(audit_log_open(&log, &o, &e), 0, "%s: %s", what, e.text);
	if (count)
		cr_expect_gt(audit_log_size(log), acked[count - 1], "%s", what);
	check_entries(log, what, acked, count);
	place_expect_clean(&reader);
	audit_log_close(log);
	store_close(reader.store);
	store_close(reader.keys);
}

static const struct {
	const char *step;
	int which;
} deaths[] = {
	{ "audit.keys", 1 },      { "audit.signed", 1 },    { "audit.signed", 3 },
	{ "audit.written", 1 },   { "audit.written", 4 },   { "audit.journaled", 1 },
	{ "audit.journaled", 4 }, { "audit.committed", 1 }, { "audit.committed", 2 },
	{ "audit.bundle", 1 },    { "audit.bundle", 2 },    { "audit.tile", 1 },
	{ "audit.verified", 1 },  { "audit.verified", 2 },  { "audit.checkpoint", 1 },
	{ "audit.checkpoint", 2 },
};

Test(audit_journal, death_at_any_step_loses_nothing_that_was_acknowledged)
{
	uint64_t acked[32], before = 0;

	read_vkey();
	for (size_t i = 0; i < sizeof(deaths) / sizeof(*deaths); i++) {
		bool died, reads = i % 2;
		size_t count = run_child(deaths[i].step, deaths[i].which, 12, 0, acked, &died);
		cr_expect(died, "%s:%d was not reached", deaths[i].step, deaths[i].which);
		if (reads)
			check_as_reader(deaths[i].step, acked, count);
		place_open(&at);
		cr_expect_not(has_journal(), "%s: it is taken in", deaths[i].step);
		check_entries(at.log_open, deaths[i].step, acked, count);
		place_expect_clean(&at);
		cr_expect_gt(audit_log_size(at.log_open), before);
		before = audit_log_size(at.log_open);
		place_close(&at);
	}
}

Test(audit_journal, taking_it_in_may_die_at_any_step)
{
	static const char *const steps[] = { "audit.committed", "audit.replayed", "audit.bundle",
					     "audit.verified",  "audit.checkpoint",
					     "audit.synced",    "audit.settled" };
	uint64_t acked[32], none[32];
	bool died;

	read_vkey();
	size_t count = run_child("audit.journaled", 4, 12, 0, acked, &died);
	cr_assert(died);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			struct err e;
			fatal_step = steps[i];
			arrivals_left = 1;
			at.env.steps = (struct steps){ die_at, NULL };
			_exit(place_try_open(&at, &e) < 0 ? 97 : 90);
		}
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) != 97, "%s", steps[i]);
		check_as_reader(steps[i], acked, count);
	}
	run_child("none", 1, 0, 0, none, &died);
	place_open(&at);
	check_entries(at.log_open, "at last", acked, count);
	place_close(&at);
}

/* As where a reader may not write; one that verifies the databases alone says what waits. */
Test(audit_journal, reader_that_cannot_take_it_in_says_so)
{
	uint64_t acked[32];
	struct audit_log *log;
	struct err e = { 0 };
	bool died;

	read_vkey();
	size_t count = run_child("audit.committed", 1, 4, 0, acked, &died);
	cr_assert_gt(count, 0);
	place_stores(&at);
	struct audit_options o = place_options(&at);
	o.read_only = true;
	o.keys = NULL;
	cr_expect_eq(audit_log_open(&log, &o, &e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "records wait in") && strstr(e.text, "journal"), "%s", e.text);
	struct audit_verdict *v = place_verify(&at, true);
	bool told = false; /* in the journal alone; or in the database, and not in the folder */
	for (size_t i = 0; i < v->remarks; i++)
		told |= strcmp(v->remark[i].kind, "journal") == 0 ||
			strcmp(v->remark[i].kind, "head") == 0;
	cr_expect(v->ok && told, "%zu remarks", v->remarks);
	place_close(&at);
	check_as_reader("with the right to write", acked, count);
}

/* state.db is lost, and a killed server's journal has what the folder lacks. */
Test(audit_journal, rebuild_brings_back_what_only_the_journal_has)
{
	uint64_t acked[32];
	struct audit_rebuilt rebuilt;
	struct err e = { 0 };
	char path[128];
	bool died;

	read_vkey();
	size_t count = run_child("audit.committed", 1, 4, 0, acked, &died); /* before its files */
	cr_assert_gt(count, 0);
	cr_assert(has_journal());
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/state.db%s", at.home,
			 (const char *[]){ "", "-wal", "-shm" }[i]);
		unlink(path);
	}
	place_stores(&at);
	struct audit_options o = place_options(&at);
	cr_assert_eq(audit_rebuild(&o, at.vkey.bytes, &rebuilt, &e), 0, "%s", e.text);
	cr_expect_gt(rebuilt.size, acked[count - 1]);
	cr_expect_eq(json_array_size(rebuilt.undisclosable), 0, "the journal has the vault's part");
	json_decref(rebuilt.undisclosable);
	place_close(&at);
	place_open(&at);
	check_entries(at.log_open, "rebuilt", acked, count);
	place_expect_clean(&at);
}

static int try_decision(struct err *e)
{
	const char *const *names = audit_type_find("decision")->field;
	struct audit_field field[PLACE_FIELDS];
	struct audit_receipt receipt;
	struct audit_record r = { .type = "decision",
				  .n = AUDIT_NEXT,
				  .field = field,
				  .field_count = PLACE_FIELDS };

	for (size_t i = 0; i < PLACE_FIELDS; i++)
		field[i] = (struct audit_field){ .name = names[i] };
	return audit_log_append(at.log_open, &r, &receipt, e);
}

/* ---- readers ---- */

Test(audit_journal, the_process_itself_reads_what_it_was_just_told)
{
	place_open(&at);
	place_start(&at);
	for (int i = 0; i < 8; i++) {
		uint64_t index = place_decision(&at, NULL, "now"), found;
		check_entries(at.log_open, "now", &index, 1);
		index = place_decision(&at, NULL, "by its number");
		cr_assert_eq(audit_log_find(at.log_open, audit_log_worker(at.log_open),
					    (uint64_t)(2 * i + 2), &found, NULL),
			     0);
		cr_expect_eq(found, index);
	}
	cr_expect(has_journal(), "they went through it");
	place_close(&at);
	cr_expect_not(has_journal(), "nothing is left for others to take in");
}

Test(audit_journal, who_reads_beside_the_writer_sees_what_was_acknowledged)
{
	place_open(&at);
	place_start(&at);
	for (int i = 0; i < 5; i++) {
		uint64_t index = place_decision(&at, NULL, "beside");
		check_as_reader("beside", &index, 1);
	}
}

Test(audit_journal, many_at_once_get_numbers_places_and_proofs_of_their_own)
{
	uint64_t index[600];

	place_open(&at);
	place_start(&at);
	for (size_t i = 0; i < 600; i++) /* over the border of two tiles */
		index[i] = place_decision(&at, i % 3 ? NULL : "someone", "many");
	for (size_t i = 0; i < 600; i++)
		cr_assert_eq(index[i], 2 + i);
	check_entries(at.log_open, "many", index, 600);
	place_stop(&at);
	place_expect_clean(&at);
	place_close(&at);
	place_expect_clean(&at);
	place_open(&at);
	check_entries(at.log_open, "again", index, 600);
}

static void *append_many(void *unused)
{
	struct err e = { 0 };

	for (int i = 0; i < 150; i++) {
		cr_assert_eq(try_decision(&e), 0, "%s", e.text);
		if (i % 50 == 49) /* into the database itself, between batches of the journal */
			place_note(&at, "direct");
	}
	return unused;
}

Test(audit_journal, threads_that_append_at_once_are_all_answered)
{
	pthread_t thread[24];

	place_open(&at);
	place_start(&at);
	for (size_t i = 0; i < 24; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, append_many, NULL), 0);
	for (size_t i = 0; i < 24; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(audit_log_size(at.log_open), 2 + 24 * 153);
	place_stop(&at);
	place_close(&at);
	place_stores(&at);
	place_expect_clean(&at);
}

Test(audit_journal, number_that_has_a_record_is_refused)
{
	const char *const *names = audit_type_find("decision")->field;
	struct audit_field field[PLACE_FIELDS];
	struct audit_receipt receipt;
	struct err e = { 0 };

	place_open(&at);
	place_start(&at);
	for (size_t i = 0; i < PLACE_FIELDS; i++)
		field[i] = (struct audit_field){ .name = names[i] };
	struct audit_record r = { .type = "decision",
				  .n = place_reserve(&at),
				  .field = field,
				  .field_count = PLACE_FIELDS };
	cr_assert_eq(audit_log_append(at.log_open, &r, &receipt, &e), 0, "%s", e.text);
	cr_expect_eq(audit_log_append(at.log_open, &r, &receipt, &e), ERR_CONFLICT);
	cr_expect(strstr(e.text, "is in the log already"), "%s", e.text);
	place_decision(&at, NULL, "goes on");
	place_stop(&at);
	place_expect_clean(&at);
}

/* ---- what no crash leaves ---- */

static void journal_path(char out[128]) { snprintf(out, 128, "%s/journal", at.home); }

/* In the header of each frame. */
static void change_headers(size_t byte, char to)
{
	struct buf file = { 0 };

	place_read(&at, "journal", &file);
	for (size_t i = 0; i < file.len; i += 4096)
		if (memcmp(file.bytes + i, "HMJRNL", 6) == 0)
			file.bytes[i + byte] = to;
	place_write(&at, "journal", file.bytes, file.len);
	buf_free(&file);
}

static void be_of_a_later_version(void) { change_headers(6, '2'); }
static void be_of_another_key(void) { change_headers(40, 'x'); }

static void cut_to(off_t bytes)
{
	char path[128];

	journal_path(path);
	cr_assert_eq(truncate(path, bytes), 0);
}

static void be_cut(void) { cut_to(100); }
static void be_cut_between(void) { cut_to(MIB(3)); }

static void be_a_pipe(void)
{
	char path[128];

	journal_path(path);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
}

static int try_reading(struct err *e)
{
	struct place reader = at;
	struct audit_log *log;

	place_stores(&reader);
	struct audit_options o = place_options(&reader);
	o.read_only = true;
	o.journal = false;
	int rc = audit_log_open(&log, &o, e);
	audit_log_close(log);
	store_close(reader.store);
	store_close(reader.keys);
	return rc;
}

Test(audit_journal, what_no_crash_leaves_is_refused_and_stays_where_it_is)
{
	static const struct {
		void (*change)(void);
		int rc;
		const char *why;
	} rows[] = { { be_of_a_later_version, ERR_VERIFY, "later version" },
		     { be_of_another_key, ERR_VERIFY, "another log or key" },
		     { be_cut, ERR_VERIFY, "cut off" },
		     { be_cut_between, ERR_VERIFY, "cut off" },
		     { be_a_pipe, ERR_INPUT, "regular file" } };
	struct buf whole = { 0 };
	uint64_t acked[32];
	char path[128];
	struct err e;
	bool died;

	read_vkey();
	size_t count = run_child("audit.committed", 1, 3, 0, acked, &died);
	cr_assert_gt(count, 0);
	place_read(&at, "journal", &whole);
	journal_path(path);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		rows[i].change();
		cr_expect_eq(try_reading(&e), rows[i].rc, "%zu: %s", i, e.text);
		cr_expect(strstr(e.text, rows[i].why), "%zu: %s", i, e.text);
		cr_expect_eq(place_try_open(&at, &e), rows[i].rc, "%zu: %s", i, e.text);
		cr_expect(strstr(e.text, rows[i].why), "%zu: %s", i, e.text);
		cr_expect(has_journal(), "%zu: it may hold what was acknowledged", i);
		cr_assert_eq(remove(path), 0);
		place_write(&at, "journal", whole.bytes, whole.len);
	}
	buf_free(&whole);
	check_as_reader("put back", acked, count);
	cr_expect_not(has_journal());
}

/* Files of root's in a server's home would stop that server. */
Test(audit_journal, home_of_another_user_is_left_alone_by_readers)
{
	uint64_t acked[32];
	struct err e;
	bool died;

	if (geteuid() != 0)
		return;
	read_vkey();
	size_t count = run_child("audit.committed", 1, 3, 0, acked, &died);
	cr_assert_gt(count, 0);
	cr_assert_eq(chown(at.home, 12345, 0), 0);
	cr_expect_eq(try_reading(&e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "another user's"), "%s", e.text);
	cr_expect(has_journal());
	cr_assert_eq(chown(at.home, 0, 0), 0);
	check_as_reader("by its owner", acked, count);
}

Test(audit_journal, journal_that_was_removed_under_the_writer_is_made_again)
{
	char path[128];

	journal_path(path);
	place_open(&at);
	place_start(&at);
	uint64_t index[2] = { place_decision(&at, NULL, "before") };
	unlink(path);
	index[1] = place_decision(&at, NULL, "after");
	cr_expect(has_journal(), "or a crash would lose the record");
	check_entries(at.log_open, "removed", index, 2);
	place_stop(&at);
	place_expect_clean(&at);
}

/* What is written behind its end would be refused after a crash. */
Test(audit_journal, journal_that_was_cut_off_under_the_writer_is_made_again)
{
	char path[128];
	struct stat st;

	journal_path(path);
	place_open(&at);
	place_start(&at);
	uint64_t index[2] = { place_decision(&at, NULL, "before") };
	for (off_t left = 0; left <= 4096; left += 4096) {
		cr_assert_eq(truncate(path, left), 0);
		index[1] = place_decision(&at, NULL, "after");
		cr_assert_eq(stat(path, &st), 0);
		cr_expect_geq(st.st_size, JOURNAL_FIRST_BYTES);
		check_entries(at.log_open, "cut off", index, 2);
	}
	place_stop(&at);
	place_expect_clean(&at);
}

Test(audit_journal, database_that_another_keeps_is_not_waited_for_for_ever)
{
	struct store *other;
	struct store_tx *tx;
	char path[128];
	struct err e = { 0 };

	place_open(&at);
	place_start(&at);
	snprintf(path, sizeof(path), "%s/state.db", at.home);
	cr_assert_eq(store_open(&other, path, &e), 0, "%s", e.text);
	cr_assert_eq(store_write(other, &tx, &e), 0, "%s", e.text);
	uint64_t index = place_decision(&at, NULL, "durable");
	cr_expect_eq(audit_behind_drain(at.log_open, &e), ERR_UNAVAILABLE);
	audit_log_close(at.log_open);
	at.log_open = NULL;
	cr_expect(has_journal(), "for the next opening");
	store_end(tx);
	store_close(other);
	place_close(&at);
	check_as_reader("free", &index, 1);
}

/* A log whose home was copied, and which went on in both. */
Test(audit_journal, journal_of_a_copy_is_refused_and_changes_nothing)
{
	struct buf own = { 0 }, others = { 0 };
	char home[64], log[80], command[200];
	uint64_t acked[32];
	struct err e;
	bool died;

	read_vkey();
	snprintf(home, sizeof(home), "%s", at.home);
	snprintf(log, sizeof(log), "%s", at.log);
	snprintf(command, sizeof(command), "cp -r %s %s.b", home, home);
	cr_assert_eq(system(command), 0);
	snprintf(at.home, sizeof(at.home), "%.60s.b", home);
	snprintf(at.log, sizeof(at.log), "%s/log", at.home);
	run_child("audit.journaled", 1, 3, 0, acked, &died);
	place_read(&at, "journal", &others);
	cr_assert_eq(file_remove_tree(at.home, &e), 0);
	snprintf(at.home, sizeof(at.home), "%s", home);
	snprintf(at.log, sizeof(at.log), "%s", log);
	run_child("audit.journaled", 1, 3, 0, acked, &died);
	place_read(&at, "journal", &own);
	place_write(&at, "journal", others.bytes, others.len);
	cr_expect_eq(try_reading(&e), ERR_VERIFY);
	cr_expect_eq(place_try_open(&at, &e), ERR_VERIFY);
	cr_expect(strstr(e.text, "is a copy's of this log"), "%s", e.text);
	place_write(&at, "journal", own.bytes, own.len);
	place_open(&at);
	place_expect_clean(&at);
	buf_free(&own);
	buf_free(&others);
}

/* ---- erasing ---- */

static bool file_has(const char *name, const void *bytes, size_t len)
{
	struct buf b = { 0 };
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", at.home, name);
	bool has = file_read(path, MIB(64), &b, NULL) == 0 && memmem(b.bytes, b.len, bytes, len);
	buf_free(&b);
	return has;
}

Test(audit_journal, erased_ciphertext_is_in_no_file)
{
	struct audit_receipt receipt;
	struct store_stmt *st;
	struct store_tx *tx;
	struct err e = { 0 };
	uint8_t cipher[64];
	size_t len;

	place_open(&at);
	place_start(&at);
	uint64_t index = place_decision(&at, "subject", "secret");
	cr_assert_eq(audit_behind_drain(at.log_open, &e), 0);
	cr_assert_eq(store_read(at.store, &tx, &e), 0);
	cr_assert_eq(store_prepare(tx, "SELECT cipher FROM vault WHERE key_id = 's:subject'", &st,
				   &e),
		     0);
	cr_assert_eq(store_step(st, &e), 1);
	memcpy(cipher, (const char *)store_blob(st, 0, &len) + 100, sizeof(cipher));
	store_finish(st);
	store_end(tx);
	cr_expect(file_has("journal", cipher, sizeof(cipher)));
	cr_assert_eq(audit_vault_erase(at.log_open, "subject", 0, "request", "who", &receipt, &e),
		     0, "%s", e.text);
	cr_expect_not(file_has("journal", cipher, sizeof(cipher)));
	cr_expect_not(file_has("state.db", cipher, sizeof(cipher)));
	cr_expect_not(file_has("state.db-wal", cipher, sizeof(cipher)));
	cr_expect_eq(audit_vault_read(at.log_open, index, &(json_t *){ NULL }, &e), ERR_NOTFOUND);
	index = place_decision(&at, "subject", "later");
	check_entries(at.log_open, "later", &index, 1);
	place_stop(&at);
	place_expect_clean(&at);
}

/* ---- faults ---- */

/* Puts another file in the place of the journal's descriptor. */
static void swap_descriptor(const char *path, int flags)
{
	int fd = open(path, flags);

	cr_assert_geq(fd, 0);
	cr_assert_geq(dup2(fd, at.log_open->journal.fd), 0);
	close(fd);
}

Test(audit_journal, what_cannot_be_written_is_refused_and_is_not_in_the_log)
{
	static const struct {
		const char *path; /* NULL: the journal's own, which may not be written then */
		const char *why;
	} rows[] = { { NULL, "Bad file descriptor" }, { "/dev/full", "No space left" } };
	struct err e = { 0 };

	place_open(&at);
	place_start(&at);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (int k = 0; k < 3; k++)
			place_decision(&at, NULL, "taken");
		uint64_t size = audit_log_size(at.log_open);
		swap_descriptor(rows[i].path ? rows[i].path : at.log_open->journal.path,
				rows[i].path ? O_RDWR : O_RDONLY);
		cr_expect_eq(try_decision(&e), ERR_IO);
		cr_expect(strstr(e.text, rows[i].why) && strstr(e.text, "journal"), "%s", e.text);
		cr_expect_eq(audit_log_size(at.log_open), size);
		cr_expect_eq(try_decision(&e), ERR_UNAVAILABLE, "until it is opened again");
		__atomic_fetch_add(&at.time_us, 61000000, __ATOMIC_RELAXED);
		cr_expect_eq(audit_log_ready(at.log_open, &e), 0, "%s", e.text);
		cr_expect_eq(audit_log_size(at.log_open), size, "nothing is lost, nor more there");
		place_decision(&at, NULL, "goes on");
		place_expect_clean(&at);
	}
	place_stop(&at);
	place_close(&at);
	place_open(&at);
	place_expect_clean(&at);
}

/* fdatasync of a pipe fails. */
static void swap_at_written(void *ctx, const char *step)
{
	int ends[2];

	(void)ctx;
	if (strcmp(step, "audit.written") != 0 || pipe(ends) < 0)
		return;
	dup2(ends[1], at.log_open->journal.fd);
	close(ends[0]);
	close(ends[1]);
}

/* A frame that became durable although its writer was told otherwise. */
Test(audit_journal, frame_that_failed_after_it_was_written_is_made_none)
{
	struct err e = { 0 };

	place_open(&at);
	place_start(&at);
	place_decision(&at, NULL, "taken");
	cr_assert_eq(audit_behind_drain(at.log_open, &e), 0);
	uint64_t size = audit_log_size(at.log_open);
	at.env.steps = (struct steps){ swap_at_written, NULL };
	cr_expect_eq(try_decision(&e), ERR_IO, "%s", e.text);
	at.env.steps = (struct steps){ die_at, NULL };
	__atomic_fetch_add(&at.time_us, 61000000, __ATOMIC_RELAXED);
	cr_expect_eq(audit_log_ready(at.log_open, &e), 0, "%s", e.text);
	cr_expect_eq(audit_log_size(at.log_open), size);
	place_decision(&at, NULL, "goes on");
	place_stop(&at);
	place_expect_clean(&at);
}

/* The database cannot take what is in the journal: that is durable, and nothing more is taken. In a
 * child, for its signals. */
static int fill_the_database(void)
{
	struct rlimit small = { 1 << 19, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	struct err e = { 0 };
	int rc = 0, taken = 0;

	place_open(&at);
	place_start(&at);
	place_decision(&at, NULL, "makes the journal");
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	for (; rc == 0 && taken < 5000; taken++)
		rc = try_decision(&e);
	uint64_t size = audit_log_size(at.log_open);
	if (rc == 0 || size < 2 + (uint64_t)taken - 1)
		return 10;
	setrlimit(RLIMIT_FSIZE, &none);
	__atomic_fetch_add(&at.time_us, 61000000, __ATOMIC_RELAXED);
	if (audit_log_ready(at.log_open, &e) != 0 || audit_log_size(at.log_open) != size)
		return 11;
	if (try_decision(&e) < 0)
		return 12;
	place_stop(&at);
	place_expect_clean(&at);
	place_close(&at);
	return 0;
}

Test(audit_journal, full_disk_refuses_and_loses_nothing_that_was_acknowledged)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(fill_the_database());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
	place_open(&at);
	place_expect_clean(&at);
}
