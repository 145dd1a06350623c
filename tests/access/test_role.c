#include "access/access.h"

#include <criterion/criterion.h>
#include <string.h>

Test(access_role, lists_of_names_are_their_bits)
{
	static const struct {
		const char *list;
		unsigned bits;
	} rows[] = {
		{ "user", ACCESS_INFER },
		{ "auditor", ACCESS_RECEIPTS_ALL },
		{ "user,auditor", ACCESS_INFER | ACCESS_RECEIPTS_ALL },
		{ "operator,operator", ACCESS_OPERATE | ACCESS_METRICS },
		{ "admin", (ACCESS_TOKENS << 1) - 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned bits = 0;
		cr_assert_eq(access_roles_read(rows[i].list, &bits, NULL), 0, "%s", rows[i].list);
		cr_expect_eq(bits, rows[i].bits, "%s", rows[i].list);
	}
	unsigned scopes;
	cr_assert_eq(access_scopes_read("chat,completions,responses,messages,tokenize", &scopes, NULL), 0);
	cr_expect_eq(scopes, ACCESS_SCOPES_ALL);
}

Test(access_role, a_name_that_is_none_is_refused_with_those_that_are)
{
	static const char *const bad[] = { "", "root", "user,", ",user", "users", "use", "user auditor", "USER" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };
		unsigned bits;
		cr_expect_eq(access_roles_read(bad[i], &bits, &e), ERR_INPUT, "%s", bad[i]);
		cr_expect(strstr(e.text, "auditor"), "%s", e.text);
	}
}

Test(access_role, whoever_need_not_say_who_they_are_may_only_ask)
{
	struct access_caller nobody = access_nobody(NULL);
	cr_expect_eq(nobody.permissions, ACCESS_INFER);
	cr_expect_str_eq(nobody.id, "");
	cr_expect_str_eq(nobody.handle, "");
}
