/* A cleared slice: bytes that passed the output filter. The only model text that a socket accepts.
 *
 * Only filters/ fills one in (filter_stream_push, filter_stream_end); everyone else passes it on.
 * The server's writer takes this type and no bare bytes: text that bypassed the filter does not
 * compile. */
#ifndef BASE_CLEARED_H
#define BASE_CLEARED_H

#include <stddef.h>
#include <stdint.h>

struct cleared {
	const char *bytes; /* borrowed from the stream until its next call */
	size_t len;
	uint64_t source_begin,
		source_end; /* raw range of the source text that these bytes stand for */
};

#endif
