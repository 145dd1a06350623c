/* The persisted form of sketches. The digest at its end is put right first, so that what lies behind
 * it is reached. */
#include "base/check.h"
#include "base/digest.h"
#include "forks/sketch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char begin[] = "hallmark sketch\n\2\0\0";
	size_t head = sizeof begin;
	struct fork_sketch *s = NULL;
	struct buf in = { 0 }, out = { 0 };
	struct err e = { 0 };
	struct digest d;

	/* a seed is a whole sketch; else the beginning is put before what is there */
	if (len > head + 32 && memcmp(bytes, begin, head) == 0)
		buf_add(&in, bytes, len - 32);
	else {
		buf_add(&in, begin, head);
		buf_add(&in, bytes, len);
	}
	d = digest_of(in.bytes, in.len);
	buf_add(&in, d.bytes, 32);
	if (fork_sketch_read(&s, in.bytes, in.len, &e) == 0) {
		/* what is read says nothing else than what was written */
		check(fork_sketch_write(s, &out, &e) == 0);
		check(out.len == in.len && memcmp(out.bytes, in.bytes, in.len) == 0);
	} else {
		check(e.text[0] && !s);
	}
	fork_sketch_free(s);
	buf_free(&in);
	buf_free(&out);
	return 0;
}
