/* Requests and replies at the door. The first byte chooses. What is read is written in one form: reading
 * that gives it again. */
#include "audit/door_message.h"
#include "base/check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void fuzz_request(const uint8_t *bytes, size_t len)
{
	struct door_request q, again;
	struct buf once = { 0 }, twice = { 0 };
	struct err e = { 0 };

	if (audit_door_request_read(bytes, len, &q, &e) == 0 && audit_door_request_write(&q, &once, &e) == 0) {
		check(audit_door_request_read(once.bytes, once.len, &again, &e) == 0);
		check(again.call == q.call && again.record.field_count == q.record.field_count);
		check(audit_door_request_write(&again, &twice, &e) == 0);
		check(twice.len == once.len && memcmp(twice.bytes, once.bytes, once.len) == 0);
		audit_door_request_free(&again);
	}
	audit_door_request_free(&q);
	buf_free(&once);
	buf_free(&twice);
}

static void fuzz_reply(const uint8_t *bytes, size_t len)
{
	struct door_reply r, again;
	struct buf once = { 0 };
	struct err e = { 0 };

	if (audit_door_reply_read(bytes, len, &r, &e) == 0 && audit_door_reply_write(&r, &once, &e) == 0) {
		check(audit_door_reply_read(once.bytes, once.len, &again, &e) == 0);
		check(again.err.code == r.err.code && again.n == r.n && strcmp(again.worker, r.worker) == 0);
	}
	buf_free(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return 0;
	(bytes[0] % 4 ? fuzz_request : fuzz_reply)(bytes + 1, len - 1);
	return 0;
}
