/* A policy file, or a bundle: no input crashes; what compiles also loads, and to the same bytes. */
#include "policy/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compiled(const struct policy *p)
{
	struct buf bundle = {0};
	struct policy_profile *x;
	if (policy_compile(p, &bundle, NULL) == 0) {
		if (policy_load(&x, bundle.bytes, bundle.len, NULL) < 0)
			abort();
		policy_profile_free(x);
	}
	buf_free(&bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_profile *x;
	struct policy_problems problems;
	struct policy *p;
	if (size > 16384)
		return 0;
	if (size >= 10 && memcmp(data, "HMPOLICY1\n", 10) == 0) {
		if (policy_load(&x, data, size, NULL) == 0)
			policy_profile_free(x);
		return 0;
	}
	int r = policy_parse(&p, (const char *)data, size, NULL, &problems, NULL);
	if ((r == 0) != (problems.count == 0))
		abort();
	if (r == 0)
		compiled(p);
	policy_free(p);
	policy_problems_free(&problems);
	return 0;
}
