/* A package from anywhere: what a scan accepts within a bound is accepted within every larger one. */
#include "base/check.h"
#include "signing/signing.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct err e = {0};
	int small = signing_package_scan(bytes, len, 4096, &e);
	int large = signing_package_scan(bytes, len, 1 << 20, &e);
	check(small <= 0 && large <= 0);
	if (small == 0)
		check(large == 0);
	return 0;
}
