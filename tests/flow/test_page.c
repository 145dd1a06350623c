/* The page of a report: everything in it, nothing of it as markup. */
#include "flow/page.h"

#include "base/json.h"

#include <criterion/criterion.h>
#include <string.h>

static struct buf page_of(const char *text)
{
	struct buf out = { 0 };
	struct err e = { 0 };
	json_t *report;
	cr_assert_eq(json_read(&report, text, strlen(text), 4096, 50, &e), 0, "%s", e.text);
	cr_assert_eq(flow_page("A <title>", "One.\nTwo & three.", report, &out, &e), 0, "%s",
		     e.text);
	json_decref(report);
	return out;
}

Test(page, holds_every_member_and_no_markup_of_the_report)
{
	struct buf out = page_of("{\"p_value\":0.25,\"name\":\"<script>alert(1)</script>\","
				 "\"rows\":[{\"a\":1,\"b\":null},{\"c\":\"x & y\"}],"
				 "\"deep\":{\"list\":[1,\"two\",true],\"none\":[]}}");
	static const char *const held[] = {
		"<h1>A &lt;title&gt;</h1>",
		"<p>One.</p>",
		"<p>Two &amp; three.</p>",
		"<th>p value</th><td>0.25</td>",
		"&lt;script&gt;alert(1)&lt;/script&gt;",
		"<th>a</th><th>b</th><th>c</th>",
		"<td>1</td><td><span class=\"none\">not measured</span></td><td></td>",
		"x &amp; y",
		"1<br>two<br>yes",
		"<span class=\"none\">none</span>",
	};
	for (size_t i = 0; i < sizeof held / sizeof *held; i++)
		cr_expect_not_null(strstr(out.bytes, held[i]), "no %s", held[i]);
	cr_expect_null(strstr(out.bytes, "<script"));
	buf_free(&out);
}

Test(page, is_the_same_for_the_same_report)
{
	struct buf a = page_of("{\"a\":[{\"x\":1e-300}]}"), b = page_of("{\"a\":[{\"x\":1e-300}]}");
	cr_assert_eq(a.len, b.len);
	cr_expect_eq(memcmp(a.bytes, b.bytes, a.len), 0);
	cr_expect_not_null(strstr(a.bytes, "1e-300"));
	buf_free(&a);
	buf_free(&b);
}
