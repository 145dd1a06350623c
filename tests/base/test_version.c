#include "base/version.h"

#include <criterion/criterion.h>

/* From the lowest. */
/* clang-format off */
static const char *const ascending[] = {
	"", "1.0.0-", "2026-11-29", "2026-11-30", "alpha", "beta", "build-9", "build-10", "latest", "r9", "r10", "v",
	"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
	"1.0.0-rc.1", "2.0.0-rc.2", "2.0.0-rc.10", "2.0-rc1",
	"0.0.1", "0.9", "1", "1.0", "1.0.0", "1.0.0+build.2", "1.0.0+build.10", "v1.0.0", "1.2.5", "1.9.0", "1.10.0",
	"2.0.0", "10.0.0", "99999999999999999999.0.0",
};
/* clang-format on */

static int sign_of(int v) { return v < 0 ? -1 : v > 0; }

Test(base_version, every_pair_is_in_order)
{
	int count = sizeof ascending / sizeof *ascending;
	for (int i = 0; i < count; i++)
		for (int j = 0; j < count; j++) {
			int order = sign_of(version_compare(ascending[i], ascending[j]));
			cr_expect_eq(order, sign_of(i - j), "%s and %s: %d", ascending[i], ascending[j],
				     order);
		}
}

Test(base_version, like_a_version_is_what_begins_with_a_number)
{
	cr_expect(version_like("1") && version_like("1.2.0") && version_like("2026-11-29"));
	cr_expect(version_like("v1") && version_like("V2-rc"));
	cr_expect_not(version_like("") || version_like("v") || version_like("stable") ||
		      version_like("very") || version_like("latest"));
}
