/* Ids of calls, as templates demand them. */
#include "reply/reply.h"

#include <criterion/criterion.h>
#include <string.h>

Test(reply_id, fits_as_its_form_says)
{
	static const struct {
		enum reply_ids form;
		const char *id;
		bool fits;
	} rows[] = {
		{ REPLY_IDS_CALL, "", true },
		{ REPLY_IDS_CALL, "anything at all", true },
		{ REPLY_IDS_NINE, "aB3dE6gH9", true },
		{ REPLY_IDS_NINE, "aB3dE6gH", false },
		{ REPLY_IDS_NINE, "aB3dE6gH90", false },
		{ REPLY_IDS_NINE, "aB3-E6gH9", false },
		{ REPLY_IDS_NINE, "aB3dE6g\xC3\xA9", false },
		{ REPLY_IDS_FUNCTION, "functions.get_weather:0", true },
		{ REPLY_IDS_FUNCTION, "functions.a.b-c:17", true },
		{ REPLY_IDS_FUNCTION, "functions.:0", false },
		{ REPLY_IDS_FUNCTION, "functions.f", false },
		{ REPLY_IDS_FUNCTION, "functions.f:", false },
		{ REPLY_IDS_FUNCTION, "functions.f:x", false },
		{ REPLY_IDS_FUNCTION, "functions.f g:1", false },
		{ REPLY_IDS_FUNCTION, "functions.f:12345", false },
		{ REPLY_IDS_FUNCTION, "f:0", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(reply_id_fits(rows[i].form, rows[i].id), rows[i].fits, "%s", rows[i].id);
	cr_expect(reply_id_names("functions.f:0", "f", 1));
	cr_expect(!reply_id_names("functions.f:0", "g", 1));
	cr_expect(!reply_id_names("functions.f:0", "", 0));
	cr_expect(!reply_id_names("functions.ff:0", "f", 1));
}

Test(reply_id, what_is_made_fits_and_depends_on_the_digest)
{
	char one[REPLY_ID_BYTES], other[REPLY_ID_BYTES], long_name[300];
	struct digest a = digest_of("a", 1), b = digest_of("b", 1);
	for (int form = REPLY_IDS_CALL; form <= REPLY_IDS_FUNCTION; form++) {
		reply_id_make((enum reply_ids)form, &a, "get", 3, one);
		cr_expect(reply_id_fits((enum reply_ids)form, one), "%s", one);
		reply_id_make((enum reply_ids)form, &b, "get", 3, other);
		cr_expect_eq(strcmp(one, other) == 0, form == REPLY_IDS_FUNCTION, "%s %s", one, other);
	}
	cr_expect_str_eq(one, "functions.get:3");
	reply_id_make(REPLY_IDS_CALL, &a, "get", 3, one);
	cr_expect_str_eq(one, "call_ca978112ca1bbdcafac231b3", "24 digits of SHA-256(\"a\")");
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = 0;
	const char *const unfit[] = { "", "a b", long_name };
	for (size_t i = 0; i < 3; i++) {
		reply_id_make(REPLY_IDS_FUNCTION, &a, unfit[i], 0, one);
		cr_expect_str_eq(one, "call_ca978112ca1bbdcafac231b3", "%s", unfit[i]);
	}
}
