/* What the reader accepts, the writers can write, and it reads back as the same value. */
#include "base/check.h"
#include "base/json.h"
#include "base/limits.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A wider dialect takes what a narrower one takes, as the same value, and what it reads can be
 * written and is then strict. */
static void check_dialects(const uint8_t *bytes, size_t len, const json_t *strict)
{
	for (int d = JSON_WIDE; d <= JSON_PYTHON; d++) {
		json_t *value = NULL, *again = NULL;
		struct err e = {0};
		struct buf out = {0};
		int rc = json_read_as(&value, bytes, len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH,
				      (enum json_dialect)d, &e);
		check(rc == 0 || (rc == ERR_INPUT && !strict));
		if (strict)
			check(json_equal(value, (json_t *)strict));
		if (rc == 0) {
			check(json_write(value, 0, &out, &e) == 0);
			check(json_read(&again, out.bytes, out.len, SIZE_MAX, LIMIT_JSON_DEPTH, &e) == 0);
			check(json_equal(value, again));
		} else {
			int line = 1, column = 0; /* no place: too long */
			sscanf(e.text, "line %d, column %d", &line, &column);
			check(line > 0 && column >= 0);
		}
		json_decref(value);
		json_decref(again);
		buf_free(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	json_t *value = NULL, *again = NULL;
	struct err e = {0};
	if (json_read(&value, bytes, len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, &e) < 0) {
		check_dialects(bytes, len, NULL);
		return 0;
	}
	check_dialects(bytes, len, value);
	struct buf out = {0}, canonical = {0}, twice = {0};
	check(json_write(value, 0, &out, &e) == 0);
	check(json_read(&again, out.bytes, out.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, &e) == 0);
	check(json_equal(value, again));
	if (json_write_canonical(value, &canonical, &e) == 0) {
		check(json_write_canonical(again, &twice, &e) == 0);
		check(canonical.len == twice.len && memcmp(canonical.bytes, twice.bytes, twice.len) == 0);
	}
	json_decref(value);
	json_decref(again);
	buf_free(&out);
	buf_free(&canonical);
	buf_free(&twice);
	return 0;
}
