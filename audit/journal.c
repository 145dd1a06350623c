/* The journal: HOME/journal, there while a server writes, and after it was killed.
 *
 *   file     frames, each at a multiple of 4,096 bytes; what lies between and behind them is of no
 *            meaning. Written once with zeros and then again and again from its beginning, so that
 *            making a frame durable writes its own bytes and nothing of the file system's
 *   frame    magic[8] length u32 records u32 before u64 after u64 base[32] mac[32]    (96 bytes)
 *            record...
 *            workers u16, each: id[16] NUL whole u64 reserved u64
 *            checkpoint length u32, bytes
 *            mac[32]
 *   record   entry length u32, cipher length u32, n u64, type NUL, worker NUL, key id NUL,
 *            entry, cipher
 *
 * Numbers are big-endian. length counts the whole frame; before and after are sizes of the log,
 * base is its root before it: a copied log that went on twice has other ones. The first mac
 * is of the 64 bytes before it, the last one of the SHA-256 of all bytes before it: keyed
 * BLAKE2b under a key that derives from the log's.
 *
 * A frame is valid when both macs are right. The journal of a log of n entries is the valid frame
 * whose `before` is n, the one whose `before` is that one's `after`, and so on; each was durable
 * before the next was begun. So one that is not valid ends the journal, as what a crash tore and
 * nobody was told of; unless a valid one stands for entries beyond it: then it is damaged. Frames
 * of smaller sizes are in the database, and count for nothing.
 *
 * What no crash leaves is refused, and stays where it is, for it may hold what was acknowledged: a
 * header that begins as ours and whose mac is not right (another log's, another key's, a later
 * version's, or damaged: it lies within one sector, so that it is never torn); a frame that the
 * file is too short for, or any in a file shorter than it was made (cut off). */
#include "audit/journal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096u
#define HEADER 96u
#define SAID 64u /* of the header, before its mac */
#define ANY_VERSION 6 /* bytes of the magic that later ones begin with, too */
static const char magic[8] = { 'H', 'M', 'J', 'R', 'N', 'L', '1', '\n' };

static uint64_t whole_blocks(uint64_t len) { return (len + BLOCK - 1) / BLOCK * BLOCK; }

/* ---- numbers and macs ---- */

static void put_number(uint8_t *to, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static uint64_t get_number(const void *from, size_t bytes)
{
	const uint8_t *p = from;
	uint64_t v = 0;

	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

static void add_u64(struct buf *b, uint64_t v)
{
	buf_add_u32be(b, (uint32_t)(v >> 32));
	buf_add_u32be(b, (uint32_t)v);
}

static void header_mac(const void *header, const uint8_t key[32], uint8_t mac[JOURNAL_MAC])
{
	crypto_generichash(mac, JOURNAL_MAC, header, SAID, key, 32);
}

static void frame_mac(const void *bytes, size_t len, const uint8_t key[32],
		      uint8_t mac[JOURNAL_MAC])
{
	struct digest d = digest_of(bytes, len);

	crypto_generichash(mac, JOURNAL_MAC, d.bytes, sizeof d.bytes, key, 32);
}

/* ---- a frame's bytes ---- */

void audit_frame_begin(struct frame *f, uint64_t before, const struct digest *base)
{
	static const uint8_t blank[HEADER];

	f->before = f->after = before;
	f->base = *base;
	buf_add(&f->bytes, blank, sizeof blank);
}

static void add_text(struct buf *b, const char *text) { buf_add(b, text, strlen(text) + 1); }

void audit_frame_record(struct frame *f, const struct frame_record *r)
{
	struct buf *b = &f->bytes;

	buf_add_u32be(b, (uint32_t)r->entry_len);
	buf_add_u32be(b, (uint32_t)r->cipher_len);
	add_u64(b, r->n);
	add_text(b, r->type);
	add_text(b, r->worker);
	add_text(b, r->key_id);
	buf_add(b, r->entry, r->entry_len);
	buf_add(b, r->cipher, r->cipher_len);
	f->after++;
}

static void write_header(struct frame *f, const uint8_t key[32])
{
	uint8_t *h = (uint8_t *)f->bytes.bytes;

	memcpy(h, magic, sizeof magic);
	put_number(h + 8, f->bytes.len + JOURNAL_MAC, 4);
	put_number(h + 12, f->after - f->before, 4);
	put_number(h + 16, f->before, 8);
	put_number(h + 24, f->after, 8);
	memcpy(h + 32, f->base.bytes, sizeof f->base.bytes);
	header_mac(h, key, h + SAID);
}

void audit_frame_end(struct frame *f, const struct frame_worker *w, size_t workers,
		     const uint8_t key[32])
{
	struct buf *b = &f->bytes;
	uint8_t mac[JOURNAL_MAC];

	buf_add_u16be(b, (uint16_t)workers);
	for (size_t i = 0; i < workers; i++) {
		add_text(b, w[i].worker);
		add_u64(b, w[i].whole);
		add_u64(b, w[i].reserved);
	}
	buf_add_u32be(b, (uint32_t)f->note.len);
	buf_add(b, f->note.bytes, f->note.len);
	if (buf_done(b, NULL) < 0)
		return; /* the caller finds it so */
	write_header(f, key);
	frame_mac(b->bytes, b->len, key, mac);
	buf_add(b, mac, sizeof mac);
}

static int cut_short(struct err *e)
{
	return err_set(e, ERR_VERIFY, "the journal: a frame is malformed");
}

/* A text that ends within the bytes, or NULL. */
static const char *take_text(struct frame_cursor *c)
{
	const struct buf *b = c->bytes;
	const char *text = b->bytes + c->at;
	const char *end = c->at < b->len ? memchr(text, 0, b->len - c->at) : NULL;

	if (end)
		c->at += (size_t)(end - text) + 1;
	return end ? text : NULL;
}

/* bytes: those of the frame, or of a copy of it. */
struct frame_cursor audit_frame_read(const struct frame *f, const struct buf *bytes)
{
	return (struct frame_cursor){ bytes, HEADER, f->after - f->before, false };
}

int audit_frame_next(struct frame_cursor *c, struct frame_record *out, struct err *e)
{
	const struct buf *b = c->bytes;

	if (c->left == 0)
		return 0;
	if (c->at + 16 > b->len)
		return cut_short(e);
	const char *p = b->bytes + c->at;
	*out = (struct frame_record){ .entry_len = (size_t)get_number(p, 4),
				      .cipher_len = (size_t)get_number(p + 4, 4),
				      .n = get_number(p + 8, 8) };
	c->at += 16;
	out->type = take_text(c);
	out->worker = out->type ? take_text(c) : NULL;
	out->key_id = out->worker ? take_text(c) : NULL;
	if (!out->key_id || out->entry_len > b->len - c->at ||
	    out->cipher_len > b->len - c->at - out->entry_len)
		return cut_short(e);
	out->entry = b->bytes + c->at;
	out->cipher = b->bytes + c->at + out->entry_len;
	c->at += out->entry_len + out->cipher_len;
	c->left--;
	return 1;
}

int audit_frame_next_worker(struct frame_cursor *c, struct frame_worker *out, struct err *e)
{
	const struct buf *b = c->bytes;

	if (!c->in_workers) {
		if (c->left || c->at + 2 > b->len)
			return cut_short(e);
		c->left = get_number(b->bytes + c->at, 2);
		c->at += 2;
		c->in_workers = true;
	}
	if (c->left == 0)
		return 0;
	out->worker = take_text(c);
	if (!out->worker || c->at + 16 > b->len)
		return cut_short(e);
	out->whole = get_number(b->bytes + c->at, 8);
	out->reserved = get_number(b->bytes + c->at + 8, 8);
	c->at += 16;
	c->left--;
	return 1;
}

/* After its workers. */
static int take_note(struct frame_cursor *c, struct buf *note, struct err *e)
{
	const struct buf *b = c->bytes;

	if (c->at + 4 > b->len)
		return cut_short(e);
	uint64_t len = get_number(b->bytes + c->at, 4);
	if (len > b->len - c->at - 4)
		return cut_short(e);
	buf_add(note, b->bytes + c->at + 4, len);
	return buf_done(note, e);
}

static int find_note(struct frame *f, struct err *e)
{
	struct frame_cursor c = audit_frame_read(f, &f->bytes);
	struct frame_record r;
	struct frame_worker w;
	int rc;

	while ((rc = audit_frame_next(&c, &r, e)) == 1)
		;
	while (rc >= 0 && (rc = audit_frame_next_worker(&c, &w, e)) == 1)
		;
	return rc < 0 ? rc : take_note(&c, &f->note, e);
}

void audit_frame_free(struct frame *f)
{
	while (f) {
		struct frame *next = f->next;
		buf_free(&f->bytes);
		buf_free(&f->note);
		free(f);
		f = next;
	}
}

/* ---- the file ---- */

void audit_journal_key(const struct signing_identity *id, uint8_t key[32])
{
	signing_derive(id, "hallmark log journal key v1", key);
}

int audit_journal_open(struct journal *j, const char *home, const struct signing_identity *id,
		       struct err *e)
{
	*j = (struct journal){ .fd = -1 };
	audit_journal_key(id, j->key);
	return file_join(j->path, home, JOURNAL_NAME, e);
}

void audit_journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	j->room = j->at = 0;
	j->tight = false;
	buf_free(&j->again);
}

static int pwrite_all(int fd, const void *bytes, size_t len, uint64_t at, const char *path,
		      struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const char *)bytes + done, len - done, (off_t)(at + done));
		if (n < 0 && errno != EINTR)
			return err_errno(e, "write %s", path);
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int pread_all(int fd, void *bytes, size_t len, uint64_t at, const char *path, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)bytes + done, len - done, (off_t)(at + done));
		if (n < 0 && errno != EINTR)
			return err_errno(e, "read %s", path);
		if (n == 0)
			return err_set(e, ERR_IO, "%s: shorter than it was written", path);
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Written, not only reserved: else each frame would first have to be told to the file system. */
static int write_zeros(struct journal *j, uint64_t bytes, struct err *e)
{
	static const uint8_t zeros[65536];

	for (uint64_t at = 0; at < bytes; at += sizeof zeros)
		TRY(pwrite_all(j->fd, zeros, sizeof zeros, j->room + at, j->path, e));
	if (fsync(j->fd) < 0)
		return err_errno(e, "fsync %s", j->path);
	j->room += bytes;
	return 0;
}

static int sync_folder(const struct journal *j, struct err *e)
{
	char home[LIMIT_PATH_BYTES];

	strcpy(home, j->path);
	*strrchr(home, '/') = 0;
	return file_sync_dir(home, e);
}

int audit_journal_make(struct journal *j, struct err *e)
{
	if (j->fd >= 0)
		return 0;
	j->fd = open(j->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return err_errno(e, "create %s", j->path);
	struct stat st;
	int rc = fstat(j->fd, &st) < 0 ? err_errno(e, "create %s", j->path) : 0;
	if (rc == 0)
		rc = write_zeros(j, JOURNAL_FIRST_BYTES, e);
	if (rc == 0)
		rc = sync_folder(j, e);
	if (rc == 0)
		j->device = st.st_dev, j->inode = st.st_ino;
	if (rc < 0) {
		unlink(j->path);
		audit_journal_close(j);
	}
	return rc;
}

static bool leads_to_ours(const struct journal *j, struct stat *st)
{
	return lstat(j->path, st) == 0 && st->st_dev == j->device && st->st_ino == j->inode;
}

/* One that was cut off takes what is written to it, and is refused after a crash. */
bool audit_journal_in_place(const struct journal *j)
{
	struct stat st;

	return leads_to_ours(j, &st) && (uint64_t)st.st_size >= j->room;
}

int audit_journal_leave(struct journal *j, struct err *e)
{
	struct stat st;

	if (leads_to_ours(j, &st))
		return audit_journal_remove(j, e);
	audit_journal_close(j);
	return 0;
}

/* A frame does not go round the end, and never up to the oldest: equal places say that there is no
 * frame. */
bool audit_journal_place(struct journal *j, size_t len, uint64_t oldest, uint64_t *offset)
{
	uint64_t need = whole_blocks(len), at = oldest == UINT64_MAX ? 0 : j->at;
	bool behind = oldest == UINT64_MAX || at > oldest;

	if (behind && at + need > j->room) {
		if (j->tight)
			return false;
		at = 0;
	}
	if (oldest != UINT64_MAX && at <= oldest && at + need >= oldest)
		return false;
	if (at + need > j->room)
		return false;
	*offset = at;
	j->at = at + need;
	return true;
}

bool audit_journal_may_grow(struct journal *j, uint64_t oldest)
{
	bool round = oldest != UINT64_MAX && j->at <= oldest; /* the new bytes would not be next */

	j->tight = round && j->room < JOURNAL_BYTES_MAX;
	return !round && j->room < JOURNAL_BYTES_MAX;
}

int audit_journal_grow(struct journal *j, struct err *e) { return write_zeros(j, j->room, e); }

int audit_journal_put(struct journal *j, const struct frame *f, struct err *e)
{
	j->doubt = true;
	j->doubt_at = f->offset;
	TRY(pwrite_all(j->fd, f->bytes.bytes, f->bytes.len, f->offset, j->path, e));
	buf_clear(&j->again);
	char *to = buf_reserve(&j->again, f->bytes.len);
	if (!to)
		return buf_done(&j->again, e);
	TRY(pread_all(j->fd, to, f->bytes.len, f->offset, j->path, e));
	j->again.len = f->bytes.len;
	return 0;
}

int audit_journal_sync(struct journal *j, struct err *e)
{
	if (fdatasync(j->fd) < 0)
		return err_errno(e, "fdatasync %s", j->path);
	j->doubt = false;
	return 0;
}

/* By a descriptor of its own: who knows what became of the other. */
int audit_journal_cancel(struct journal *j, struct err *e)
{
	static const uint8_t blank[HEADER];

	if (!j->doubt)
		return 0;
	int fd = open(j->path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "open %s", j->path);
	int rc = pwrite_all(fd, blank, sizeof blank, j->doubt_at, j->path, e);
	if (rc == 0 && fdatasync(fd) < 0)
		rc = err_errno(e, "fdatasync %s", j->path);
	close(fd);
	j->doubt = j->doubt && rc < 0;
	return rc;
}

int audit_journal_remove(struct journal *j, struct err *e)
{
	audit_journal_close(j);
	j->doubt = false;
	if (unlink(j->path) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "remove %s", j->path);
	return sync_folder(j, e);
}

/* ---- reading ---- */

enum header { HEADER_NONE, HEADER_OURS, HEADER_STRANGE };

/* What a header says, where it is ours. key: NULL, where who reads does not have it. */
static enum header read_header(const uint8_t h[HEADER], const uint8_t *key, struct frame *out,
			       size_t *len)
{
	uint8_t mac[JOURNAL_MAC];

	if (memcmp(h, magic, ANY_VERSION) != 0)
		return HEADER_NONE;
	if (memcmp(h, magic, sizeof magic) != 0)
		return HEADER_STRANGE;
	if (key) {
		header_mac(h, key, mac);
		if (sodium_memcmp(mac, h + SAID, sizeof mac) != 0)
			return HEADER_STRANGE;
	}
	*out = (struct frame){ .before = get_number(h + 16, 8), .after = get_number(h + 24, 8) };
	memcpy(out->base.bytes, h + 32, sizeof out->base.bytes);
	*len = (size_t)get_number(h + 8, 4);
	return HEADER_OURS;
}

/* Nothing in it that no crash leaves. */
static int check_file(const struct buf *file, const uint8_t key[32], struct err *e)
{
	for (uint64_t at = 0; at + HEADER <= file->len; at += BLOCK) {
		struct frame said;
		size_t len;
		enum header h =
			read_header((const uint8_t *)file->bytes + at, key, &said, &len);
		if (h == HEADER_STRANGE)
			return err_set(
				e, ERR_VERIFY,
				"the journal holds a batch of another log or key or of a later version, or one "
				"that is damaged: put back the file that belongs here, or run the version that "
				"wrote it; to give up its records knowingly, move the journal away");
		if (h == HEADER_OURS &&
		    (len > file->len - at || file->len < JOURNAL_FIRST_BYTES))
			return err_set(
				e, ERR_VERIFY,
				"the journal is cut off: put back the whole file; to give up the records that "
				"only it held knowingly, move it away");
	}
	return 0;
}

/* 1: whole and right, its bytes copied and its checkpoint found; 0: it is not. */
static int take_frame(struct frame *f, const struct buf *file, uint64_t at, size_t len,
		      const uint8_t key[32], struct err *e)
{
	uint8_t mac[JOURNAL_MAC];

	if (len > file->len - at || len < HEADER + 6 + JOURNAL_MAC || f->after <= f->before)
		return 0;
	const char *bytes = file->bytes + at;
	frame_mac(bytes, len - JOURNAL_MAC, key, mac);
	if (sodium_memcmp(mac, bytes + len - JOURNAL_MAC, sizeof mac) != 0)
		return 0;
	buf_add(&f->bytes, bytes, len);
	f->offset = at;
	TRY(buf_done(&f->bytes, e));
	TRY(find_note(f, e));
	return 1;
}

/* The valid frame whose `before` is size, or is beyond it: 1; 0: there is none. The macs of all
 * headers are right (check_file): to compute them for each frame anew took seconds. */
static int find_frame(const struct buf *file, const uint8_t key[32], uint64_t size, bool beyond,
		      struct frame **out, struct err *e)
{
	*out = NULL;
	for (uint64_t at = 0; at + HEADER <= file->len; at += BLOCK) {
		struct frame said;
		size_t len;
		if (read_header((const uint8_t *)file->bytes + at, NULL, &said, &len) !=
			    HEADER_OURS ||
		    (beyond ? said.before <= size : said.before != size))
			continue;
		struct frame *f = malloc(sizeof *f);
		if (!f)
			return err_set(e, ERR_NOMEM, "out of memory");
		*f = said;
		int rc = take_frame(f, file, at, len, key, e);
		if (rc == 1)
			*out = f;
		else
			audit_frame_free(f);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int find_all(const struct buf *file, const uint8_t key[32], uint64_t size,
		    struct frame **out, struct err *e)
{
	struct frame **end = out, *f;
	int rc;

	while ((rc = find_frame(file, key, size, false, &f, e)) == 1) {
		*end = f;
		end = &f->next;
		size = f->after;
	}
	if (rc == 0)
		rc = find_frame(file, key, size, true, &f, e);
	if (rc <= 0 || !f)
		return rc;
	unsigned long long later = f->before;
	audit_frame_free(f);
	return err_set(
		e, ERR_VERIFY,
		"the journal holds a batch from entry %llu on, and what comes before it, from "
		"entry %llu on, is damaged or of another log: put back the journal and state.db "
		"of one time; to give up those records knowingly, move the journal away",
		later, (unsigned long long)size);
}

int audit_journal_read(const char *path, const uint8_t key[32], uint64_t size, struct frame **out,
		       struct err *e)
{
	struct buf file = { 0 };

	*out = NULL;
	int rc = file_read(path, JOURNAL_BYTES_MAX, &file, e);
	if (rc == 0)
		rc = check_file(&file, key, e);
	if (rc == 0 && file.len)
		rc = find_all(&file, key, size, out, e);
	buf_free(&file);
	if (rc < 0) {
		audit_frame_free(*out);
		*out = NULL;
	}
	return rc;
}

static void read_reach(int fd, const uint8_t *key, uint64_t *size, bool *strange)
{
	uint8_t h[HEADER];
	struct frame said;
	size_t len;

	for (off_t at = 0; pread(fd, h, sizeof h, at) == (ssize_t)sizeof h; at += BLOCK) {
		enum header what = read_header(h, key, &said, &len);
		*strange |= what == HEADER_STRANGE;
		if (what == HEADER_OURS && said.after > *size)
			*size = said.after;
	}
}

int audit_journal_reach(const char *path, const uint8_t *key, uint64_t *size, bool *strange,
			struct err *e)
{
	struct stat st;

	*size = 0;
	*strange = false;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "open %s", path);
	int rc = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = err_set(e, ERR_INPUT, "%s: is not a regular file", path);
	else
		read_reach(fd, key, size, strange);
	close(fd);
	return rc;
}
