/* Growable byte buffer. A failed append makes it sticky-failed, so that a writer checks once, at
 * the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/* Zero-initialise ({0}). `bytes` is owned, NUL-terminated one past len whenever non-NULL. */
struct buf {
	char *bytes;
	size_t len, room;
	bool failed; /* an append ran out of memory; bytes and len are those before it */
};

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_add_text(struct buf *b, const char *text);
void buf_add_buf(struct buf *b, const struct buf *from); /* all of it, and its failure */
void buf_add_byte(struct buf *b, unsigned char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Big-endian and little-endian integers. */
void buf_add_u16be(struct buf *b, uint16_t v);
void buf_add_u32be(struct buf *b, uint32_t v);
void buf_add_u32le(struct buf *b, uint32_t v);
void buf_add_u64le(struct buf *b, uint64_t v);
void buf_add_u16le(struct buf *b, uint16_t v);

/* Make room for len more bytes and return where they go (then add to b->len), or NULL. */
char *buf_reserve(struct buf *b, size_t len);

/* Drop the first n bytes. */
void buf_drop(struct buf *b, size_t n);

/* 0, or ERR_NOMEM if any append failed. */
int buf_done(const struct buf *b, struct err *e) MUST_USE;

/* Keep the memory, forget the contents (and the failure). */
void buf_clear(struct buf *b);

/* Free and return to the zero state. */
void buf_free(struct buf *b);

/* As buf_free, after overwriting the whole allocation: for secrets. Appends to a secret buffer must
 * not reallocate: reserve first. */
void buf_wipe(struct buf *b);

#endif
