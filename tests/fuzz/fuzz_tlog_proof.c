#include "audit/audit.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char golden[] =
	"log.hallmark.example/golden+1d38769e+ASvVhKsphwE5m41LdF9b/Xs5lNfeB8qQKGHL5f8k21j3";
static const char entry[] =
	"{\"release\": 3, \"root\": \"4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce\"}";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct buf extra = {0};
	struct err e = {0};
	uint64_t index;
	int rc = audit_proof_check(bytes, len, entry, sizeof(entry) - 1, golden, &index, &e);

	check(rc < 0 ? e.text[0] != 0 : index == 3); /* the key signed that log alone */
	rc = audit_proof_extra(bytes, len, &extra, &e);
	check(rc == 0 || rc == ERR_NOTFOUND || rc == ERR_INPUT || rc == ERR_NOMEM);
	buf_free(&extra);
	return 0;
}
