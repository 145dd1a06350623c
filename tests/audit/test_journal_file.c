/* The journal's file by itself: frames, their order, damage, and the places that they get. */
#include "support.h"

#include "audit/log_in.h"
#include "base/json.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct place at;

static void set_up(void) { place_make(&at); }

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_journal_file, .init = set_up, .fini = tear_down, .timeout = 120);

static void add_frame(struct journal *j, struct frame *f, uint64_t before, unsigned records)
{
	struct frame_worker w = { "0123456789abcdef", 1, 2 };
	struct err e = { 0 };

	*f = (struct frame){ .before = before };
	audit_frame_begin(f, before, &(struct digest){ { 0 } });
	for (unsigned i = 0; i < records; i++)
		audit_frame_record(f, &(struct frame_record){ i, "decision", w.worker, "r:key",
							      "entry", "ciphertext", 5, 10 });
	buf_add_text(&f->note, "a note");
	audit_frame_end(f, &w, 1, j->key);
	cr_assert(audit_journal_place(j, f->bytes.len, before ? 0 : UINT64_MAX, &f->offset));
	cr_assert_eq(audit_journal_put(j, f, &e), 0, "%s", e.text);
	cr_assert_eq(audit_journal_sync(j, &e), 0, "%s", e.text);
}

static void damage(const struct journal *j, uint64_t offset)
{
	uint8_t byte;
	int fd = open(j->path, O_RDWR);

	cr_assert_eq(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 1;
	cr_assert_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

static size_t count_from(const struct journal *j, uint64_t size, int expected)
{
	struct frame *list;
	struct err e = { 0 };
	size_t count = 0;

	cr_assert_eq(audit_journal_read(j->path, j->key, size, &list, &e), expected, "%s", e.text);
	for (struct frame *f = list; f; f = f->next)
		count++;
	audit_frame_free(list);
	return count;
}

Test(audit_journal_file, frames_are_taken_in_their_order_and_a_torn_last_one_is_none)
{
	struct frame f[3] = { { .before = 0 } };
	struct journal j;
	struct err e = { 0 };
	uint64_t reach;
	bool strange;

	cr_assert_eq(audit_journal_open(&j, at.home, at.key, &e), 0);
	cr_assert_eq(audit_journal_make(&j, &e), 0, "%s", e.text);
	cr_expect_eq(count_from(&j, 0, 0), 0, "an empty one");
	for (unsigned i = 0; i < 3; i++)
		add_frame(&j, &f[i], 10 * i, 10);
	cr_expect_eq(count_from(&j, 0, 0), 3);
	cr_expect_eq(count_from(&j, 10, 0), 2);
	cr_expect_eq(count_from(&j, 30, 0), 0);
	cr_expect_eq(audit_journal_reach(j.path, j.key, &reach, &strange, &e), 0);
	cr_expect_eq(reach, 30);
	cr_expect_eq(count_from(&j, 5, ERR_VERIFY), 0, "a log that it does not continue");
	damage(&j, f[2].offset + 120);
	cr_expect_eq(count_from(&j, 0, 0), 2, "the last is torn");
	damage(&j, f[2].offset + 120);
	for (size_t byte = 0; byte < f[1].bytes.len; byte += 29) {
		damage(&j, f[1].offset + byte);
		cr_expect_eq(count_from(&j, 0, ERR_VERIFY), 0, "damage before another, at %zu",
			     byte);
		damage(&j, f[1].offset + byte);
	}
	j.key[0] ^= 1;
	cr_expect_eq(count_from(&j, 0, ERR_VERIFY), 0, "under another key");
	j.key[0] ^= 1;
	damage(&j, f[2].offset + 70);
	cr_expect_eq(count_from(&j, 0, ERR_VERIFY), 0, "a header is never torn");
	damage(&j, f[2].offset + 70);
	j.doubt = true;
	j.doubt_at = f[2].offset;
	cr_expect_eq(audit_journal_cancel(&j, &e), 0);
	cr_expect_eq(count_from(&j, 0, 0), 2, "one that failed is made none");
	cr_expect_eq(audit_journal_remove(&j, &e), 0);
	cr_expect_eq(audit_journal_read(j.path, j.key, 0, &(struct frame *){ NULL }, &e),
		     ERR_NOTFOUND);
	for (unsigned i = 0; i < 3; i++) {
		buf_free(&f[i].bytes);
		buf_free(&f[i].note);
	}
}

/* Frames of many lengths come and go, first in, first out: none lies over one that is needed. */
Test(audit_journal_file, places_never_overlap)
{
	struct journal j = { .fd = -1, .room = 64 * 4096 };
	struct { uint64_t from, to; } live[64];
	size_t first = 0, count = 0, placed = 0;
	unsigned seed = 7;

	for (int i = 0; i < 20000; i++) {
		size_t len = 1 + (size_t)rand_r(&seed) % (20 * 4096);
		uint64_t at_offset, oldest = count ? live[first].from : UINT64_MAX;
		if (count < 64 && audit_journal_place(&j, len, oldest, &at_offset)) {
			uint64_t end = at_offset + (len + 4095) / 4096 * 4096;
			cr_assert_leq(end, j.room);
			for (size_t k = 0; k < count; k++) {
				size_t l = (first + k) % 64;
				cr_assert(end <= live[l].from || at_offset >= live[l].to);
			}
			live[(first + count++) % 64].from = at_offset;
			live[(first + count - 1) % 64].to = end;
			placed++;
		}
		if (count && rand_r(&seed) % 3 == 0) {
			first = (first + 1) % 64;
			count--;
		}
	}
	cr_expect_gt(placed, 5000);
}

/* Or a server that has many answers a second waits for its database each time round. */
Test(audit_journal_file, file_that_was_full_grows_before_it_goes_round_again)
{
	const size_t quarter = JOURNAL_FIRST_BYTES / 4;
	struct journal j;
	struct err e = { 0 };
	uint64_t offset[4], again;

	cr_assert_eq(audit_journal_open(&j, at.home, at.key, &e), 0, "%s", e.text);
	cr_assert_eq(audit_journal_make(&j, &e), 0, "%s", e.text);
	for (int i = 0; i < 4; i++)
		cr_assert(audit_journal_place(&j, quarter, i ? offset[0] : UINT64_MAX, &offset[i]));
	cr_assert(audit_journal_place(&j, quarter, offset[2], &again));
	cr_expect_eq(again, offset[0], "round, for nobody waited yet");
	cr_expect_not(audit_journal_place(&j, 2 * quarter, offset[2], &again), "full");
	cr_expect_not(audit_journal_may_grow(&j, offset[2]), "the next place is not at its end");
	for (int i = 1; i < 4; i++)
		cr_assert(audit_journal_place(&j, quarter, offset[0], &again));
	cr_expect_not(audit_journal_place(&j, quarter, offset[2], &again));
	cr_assert(audit_journal_may_grow(&j, offset[2]));
	cr_assert_eq(audit_journal_grow(&j, &e), 0, "%s", e.text);
	cr_assert(audit_journal_place(&j, quarter, offset[2], &again));
	cr_expect_eq(again, JOURNAL_FIRST_BYTES);
	while (audit_journal_place(&j, quarter, offset[2], &again) && again)
		;
	cr_expect_eq(again, 0, "and then round, for nobody waited since");
	cr_expect_eq(audit_journal_remove(&j, &e), 0);
}

/* ---- long records ---- */

#define LONG_BYTES (MIB(1) - 4096)
#define LONG_THREADS 8
#define LONG_EACH 6

/* What was acknowledged before the writer died; shared with it. */
struct told {
	atomic_int count;
	uint64_t index[LONG_THREADS * LONG_EACH];
};

static atomic_int journaled;

static void die_at_eighth(void *ctx, const char *step)
{
	(void)ctx;
	if (strcmp(step, "audit.journaled") == 0 && atomic_fetch_add(&journaled, 1) == 7)
		_exit(99);
}

static void *append_long(void *arg)
{
	struct told *told = arg;
	char *text = malloc(LONG_BYTES + 1);

	memset(text, 'a', LONG_BYTES);
	text[LONG_BYTES] = 0;
	for (int i = 0; i < LONG_EACH; i++) {
		uint64_t index = place_decision(&at, NULL, text);
		told->index[atomic_fetch_add(&told->count, 1)] = index;
	}
	free(text);
	return NULL;
}

static void append_all_long(struct told *told)
{
	pthread_t thread[LONG_THREADS];

	place_open(&at);
	place_start(&at);
	at.env.steps = (struct steps){ die_at_eighth, NULL };
	for (int i = 0; i < LONG_THREADS; i++)
		pthread_create(&thread[i], NULL, append_long, told);
	for (int i = 0; i < LONG_THREADS; i++)
		pthread_join(thread[i], NULL);
	_exit(90);
}

Test(audit_journal_file, long_records_of_many_at_once_outlive_their_writer)
{
	struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct err e = { 0 };
	json_t *plain;
	int status;

	at.journal = true;
	pid_t child = fork();
	if (child == 0)
		append_all_long(told);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 99, "status %x", (unsigned)status);
	cr_expect_gt(told->count, 0);
	place_open(&at);
	for (int i = 0; i < told->count && told->index[i]; i++) {
		cr_assert_eq(audit_vault_read(at.log_open, told->index[i], &plain, &e), 0, "%s", e.text);
		char *text = json_dumps(plain, 0);
		cr_expect_gt(strlen(text), LONG_BYTES);
		free(text);
		json_decref(plain);
	}
	place_expect_clean(&at);
	munmap(told, sizeof *told);
}
