#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes holds room + 1 bytes: the NUL always fits. */
static bool grow(struct buf *b, size_t len)
{
	if (b->failed)
		return false;
	size_t need, room = b->room < 32 ? 64 : b->room * 2;
	b->failed = true;
	if (__builtin_add_overflow(b->len, len, &need) || need > SIZE_MAX / 4)
		return false;
	if (room < need)
		room = need;
	char *bytes = realloc(b->bytes, room + 1);
	if (!bytes)
		return false;
	b->bytes = bytes;
	b->room = room;
	b->bytes[b->len] = '\0';
	b->failed = false;
	return true;
}

static inline bool make_room(struct buf *b, size_t len)
{
	return (b->bytes && !b->failed && len <= b->room - b->len) || grow(b, len);
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (!make_room(b, len))
		return;
	if (len)
		memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
	b->bytes[b->len] = '\0';
}

void buf_add_text(struct buf *b, const char *text) { buf_add(b, text, strlen(text)); }

void buf_add_buf(struct buf *b, const struct buf *from)
{
	buf_add(b, from->bytes, from->len);
	b->failed |= from->failed;
}

void buf_add_byte(struct buf *b, unsigned char c)
{
	if (!make_room(b, 1))
		return;
	b->bytes[b->len++] = (char)c;
	b->bytes[b->len] = '\0';
}

/* Straight into the room that is left; only what does not fit is formatted twice. */
void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	size_t room = b->bytes && !b->failed ? b->room - b->len + 1 : 0;
	va_start(args, fmt);
	int len = vsnprintf(room ? b->bytes + b->len : NULL, room, fmt, args);
	va_end(args);
	if (len >= 0 && (size_t)len < room) {
		b->len += (size_t)len;
		return;
	}
	if (room)
		b->bytes[b->len] = '\0';
	if (len < 0)
		b->failed = true;
	if (len < 0 || !make_room(b, (size_t)len))
		return;
	va_start(args, fmt);
	vsnprintf(b->bytes + b->len, (size_t)len + 1, fmt, args);
	va_end(args);
	b->len += (size_t)len;
}

void buf_add_u16be(struct buf *b, uint16_t v)
{
	buf_add(b, (unsigned char[]){ (unsigned char)(v >> 8), (unsigned char)v }, 2);
}

void buf_add_u32be(struct buf *b, uint32_t v)
{
	buf_add_u16be(b, (uint16_t)(v >> 16));
	buf_add_u16be(b, (uint16_t)v);
}

void buf_add_u16le(struct buf *b, uint16_t v)
{
	buf_add(b, (unsigned char[]){ (unsigned char)v, (unsigned char)(v >> 8) }, 2);
}

void buf_add_u32le(struct buf *b, uint32_t v)
{
	buf_add_u16le(b, (uint16_t)v);
	buf_add_u16le(b, (uint16_t)(v >> 16));
}

void buf_add_u64le(struct buf *b, uint64_t v)
{
	buf_add_u32le(b, (uint32_t)v);
	buf_add_u32le(b, (uint32_t)(v >> 32));
}

char *buf_reserve(struct buf *b, size_t len)
{
	if (!make_room(b, len))
		return NULL;
	/* Zeroed, so that bytes[len] is NUL however much of it the caller uses. */
	memset(b->bytes + b->len, 0, len + 1);
	return b->bytes + b->len;
}

void buf_drop(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (!n)
		return;
	memmove(b->bytes, b->bytes + n, b->len - n + 1);
	b->len -= n;
}

int buf_done(const struct buf *b, struct err *e)
{
	return b->failed ? err_set(e, ERR_NOMEM, "out of memory after %zu bytes", b->len) : 0;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->bytes)
		b->bytes[0] = '\0';
}

void buf_free(struct buf *b)
{
	free(b->bytes);
	*b = (struct buf){ 0 };
}

void buf_wipe(struct buf *b)
{
	if (b->bytes)
		explicit_bzero(b->bytes, b->room + 1);
	buf_free(b);
}
