#include "signing/reader.h"

char *signing_reader_string(struct reader *r, size_t width)
{
	size_t len = (size_t)reader_uint(r, width);
	const uint8_t *bytes = reader_bytes(r, len);
	char *copy = bytes && !memchr(bytes, 0, len) ? strndup((const char *)bytes, len) : NULL;
	r->failed = r->failed || !copy;
	return copy;
}
