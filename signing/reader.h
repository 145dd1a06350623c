/* A bounded reader over bytes: little-endian integers and counted strings. It fails once and stays
 * failed. */
#ifndef SIGNING_READER_H
#define SIGNING_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static inline const uint8_t *reader_bytes(struct reader *r, size_t len)
{
	if (r->failed || len > r->left) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *bytes = r->at;
	r->at += len;
	r->left -= len;
	return bytes;
}

static inline uint64_t reader_uint(struct reader *r, size_t width)
{
	const uint8_t *bytes = reader_bytes(r, width);
	uint64_t v = 0;
	for (size_t i = 0; bytes && i < width; i++)
		v |= (uint64_t)bytes[i] << 8 * i;
	return v;
}

/* A fresh NUL-terminated copy of a string with its length in `width` bytes before it; NULL on
 * failure (also of memory) or if it holds a NUL. */
char *signing_reader_string(struct reader *r, size_t width);

#endif
