/* The journal after a crash: true frames, then changed as the input says.
 *
 *   frames[1] sizes[frames] kind[1], then changes: frame[1] offset[2] byte[1]
 *
 * kind 0: bytes are changed. What is read is the true frames, in their order; and where only one frame was
 *         changed, none is missing without a word but that one, and only as the last
 * kind 1: the same, and the macs are made right again: what a frame holds is read, whatever it is
 * kind 2: the file ends at the first change */
#include "audit/journal.h"
#include "base/check.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX 6
#define BLOCK 4096u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const uint8_t key[32] = { 1, 2, 3 };

struct world {
	struct frame f[FRAMES_MAX];
	struct buf changed[FRAMES_MAX]; /* as they lie in the file */
	unsigned count, hit;            /* bit i: frame i was changed */
	size_t cut;                     /* the file's length */
};

static void make_frame(struct frame *f, uint64_t before, uint64_t offset, uint8_t size)
{
	static const char cipher[40 * 255];
	struct frame_worker w = { "0123456789abcdef", before, before + 1024 };

	*f = (struct frame){ .offset = offset };
	audit_frame_begin(f, before, &(struct digest){ { 0 } });
	for (unsigned i = 0; i <= size % 3; i++)
		audit_frame_record(f, &(struct frame_record){ before + i, "decision", w.worker, "r:key",
							      "entry", cipher, 5, 40 * (size_t)size });
	buf_add_text(&f->note, "a note");
	audit_frame_end(f, &w, 1, key);
}

static void seal_again(struct buf *b)
{
	uint8_t *h = (uint8_t *)b->bytes;
	size_t last = b->len - JOURNAL_MAC;

	crypto_generichash(h + 64, JOURNAL_MAC, h, 64, key, 32);
	struct digest d = digest_of(h, last);
	crypto_generichash(h + last, JOURNAL_MAC, d.bytes, sizeof d.bytes, key, 32);
}

static void change(struct world *w, unsigned kind, const uint8_t *c)
{
	unsigned i = c[0] % w->count;
	struct buf *b = &w->changed[i];
	size_t at = (size_t)(c[1] << 8 | c[2]) % b->len;

	if (kind == 2) {
		w->cut = w->cut < w->f[i].offset + at ? w->cut : w->f[i].offset + at;
		return;
	}
	w->hit |= c[3] ? 1u << i : 0;
	b->bytes[at] = (char)(b->bytes[at] ^ c[3]);
}

static void make_world(struct world *w, const uint8_t *bytes, size_t len)
{
	uint64_t before = 0, offset = 0;

	w->count = 1 + bytes[0] % FRAMES_MAX;
	w->cut = JOURNAL_FIRST_BYTES;
	for (unsigned i = 0; i < w->count; i++) {
		make_frame(&w->f[i], before, offset, i + 1 < len ? bytes[i + 1] : 0);
		before = w->f[i].after;
		offset += (w->f[i].bytes.len + BLOCK - 1) / BLOCK * BLOCK;
		buf_add(&w->changed[i], w->f[i].bytes.bytes, w->f[i].bytes.len);
	}
}

static void write_file(const struct world *w, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	check(fd >= 0);
	for (unsigned i = 0; i < w->count; i++)
		check(pwrite(fd, w->changed[i].bytes, w->changed[i].len, (off_t)w->f[i].offset) > 0);
	check(ftruncate(fd, (off_t)w->cut) == 0);
	close(fd);
}

static void read_all(const struct frame *f)
{
	struct frame_cursor c = audit_frame_read(f, &f->bytes);
	struct frame_record r;
	struct frame_worker worker;
	struct err e;
	size_t sum = 0;

	while (audit_frame_next(&c, &r, &e) == 1)
		sum += strlen(r.type) + strlen(r.worker) + strlen(r.key_id) + digest_of(r.entry, r.entry_len).bytes[0] +
		       digest_of(r.cipher, r.cipher_len).bytes[0];
	while (audit_frame_next_worker(&c, &worker, &e) == 1)
		sum += strlen(worker.worker);
	(void)sum;
}

static void judge(const struct world *w, unsigned kind, int rc, const struct frame *list)
{
	unsigned got = 0;

	for (const struct frame *f = list; f; f = f->next, got++) {
		read_all(f);
		if (kind != 1)
			check(got < w->count && f->bytes.len == w->f[got].bytes.len &&
			      memcmp(f->bytes.bytes, w->f[got].bytes.bytes, f->bytes.len) == 0);
	}
	if (kind == 0 && rc == 0 && (w->hit & (w->hit - 1)) == 0)
		check(got == w->count || (got == w->count - 1 && w->hit == 1u << got));
	if (kind == 2 && w->cut < JOURNAL_FIRST_BYTES)
		check(rc < 0 || w->cut < 96);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static char path[64];
	struct world w = { .count = 0 };
	struct frame *list = NULL;
	struct err e;
	uint64_t reach;
	bool strange;

	if (!*path)
		snprintf(path, sizeof path, "/tmp/fuzz-journal.%d", (int)getpid());
	if (len < FRAMES_MAX + 2)
		return 0;
	make_world(&w, bytes, FRAMES_MAX + 1);
	const unsigned kind = bytes[FRAMES_MAX + 1] % 3;
	for (size_t at = FRAMES_MAX + 2; at + 4 <= len; at += 4)
		change(&w, kind, bytes + at);
	for (unsigned i = 0; kind == 1 && i < w.count; i++)
		seal_again(&w.changed[i]);
	write_file(&w, path);
	int rc = audit_journal_read(path, key, 0, &list, &e);
	judge(&w, kind, rc, list);
	check(audit_journal_reach(path, key, &reach, &strange, &e) == 0);
	audit_frame_free(list);
	for (unsigned i = 0; i < w.count; i++) {
		buf_free(&w.f[i].bytes);
		buf_free(&w.f[i].note);
		buf_free(&w.changed[i]);
	}
	unlink(path);
	return 0;
}
