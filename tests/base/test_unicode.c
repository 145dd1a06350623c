/* Case mapping; the whole of Unicode is compared with Python in tests/template/case_jinja.py. */
#include "base/unicode.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(int (*map)(uint32_t, uint32_t[3]), const char *from, const char *to)
{
	uint32_t cp, made[3];
	char text[16] = "";
	size_t len = 0;
	cr_assert(text_utf8_decode(from, strlen(from), &cp) > 0);
	int n = map(cp, made);
	for (int i = 0; i < n; i++)
		len += (size_t)text_utf8_encode(made[i], text + len);
	text[len] = '\0';
	cr_expect_str_eq(text, to, "%s", from);
}

Test(unicode, one_character_may_become_three)
{
	expect(unicode_upper, "\u00df", "SS");
	expect(unicode_upper, "\ufb03", "FFI");
	expect(unicode_upper, "\u0390", "\u0399\u0308\u0301");
	expect(unicode_upper, "\u1f80", "\u1f08\u0399");
	expect(unicode_title, "\ufb03", "Ffi");
	expect(unicode_title, "\u0587", "\u0535\u0582");
	expect(unicode_title, "\u01c6", "\u01c5");
	expect(unicode_lower, "\u0130", "i\u0307");
	expect(unicode_fold, "\u1e9e", "ss");
	expect(unicode_fold, "a", "a");
}

Test(unicode, digits_have_values)
{
	cr_expect_eq(unicode_decimal('7'), 7);
	cr_expect_eq(unicode_decimal(0x0663), 3);
	cr_expect_eq(unicode_decimal(0x1D7FF), 9);
	cr_expect_eq(unicode_decimal(0xB2), -1);
	cr_expect(unicode_is_digit(0xB2) && !unicode_is_decimal(0xB2));
	cr_expect(unicode_is_numeric_or_ideograph(0x4E00) && !unicode_is_numeric(0x4E00));
	cr_expect(unicode_is_lower(0xAA) && unicode_is_upper(0x2160) && !unicode_is_lower(0x4E00));
}
