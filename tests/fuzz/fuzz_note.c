/* Note, verifier key and checkpoint readers. The first byte splits the input into key and note. */
#include "audit/audit.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char golden[] =
	"log.hallmark.example/golden+1d38769e+ASvVhKsphwE5m41LdF9b/Xs5lNfeB8qQKGHL5f8k21j3";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct buf text = {0};
	struct err e = {0};
	size_t key_len = len ? bytes[0] : 0;
	char *vkey;
	int rc;

	if (len < 1 + key_len)
		return 0;
	vkey = calloc(1, key_len + 1);
	if (!vkey)
		return 0;
	memcpy(vkey, bytes + 1, key_len);
	rc = audit_note_open(bytes + 1 + key_len, len - 1 - key_len, key_len ? vkey : golden, &text, &e);
	/* What opens is a prefix that ends in a newline. */
	if (rc == 0)
		check(text.len && text.bytes[text.len - 1] == '\n' &&
		      memcmp(text.bytes, bytes + 1 + key_len, text.len) == 0);
	else
		check(rc < 0 && e.text[0]);
	buf_free(&text);
	free(vkey);
	return 0;
}
