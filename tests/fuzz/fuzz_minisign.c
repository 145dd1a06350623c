/* A minisign signature file from anywhere never verifies under a key whose secret nobody used. */
#include "base/check.h"
#include "signing/signing.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	/* RFC 8032, section 7.1, test 1 */
	static const uint8_t key[32] = {
		0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
		0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
	};
	struct err e = {0};
	check(signing_minisign_check(key, "message", 7, (const char *)bytes, len, &e) < 0 && e.code < 0);
	return 0;
}
