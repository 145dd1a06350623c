#include "tests/server/talk.h"

#include <stdio.h>
#include <string.h>

Test(server_forwarded, a_trusted_proxy_says_whose_a_request_is_and_nobody_else_does)
{
	static const struct {
		const char *trusted, *field, *share;
	} rows[] = {
		{ NULL, "X-Forwarded-For: 192.0.2.7\r\n", "::ffff:127.0.0.1" },
		{ "10.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n", "::ffff:127.0.0.1" },
		{ "unix", "X-Forwarded-For: 192.0.2.7\r\n", "::ffff:127.0.0.1" },
		{ "127.0.0.1", "", "::ffff:127.0.0.1" },
		{ "127.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n", "::ffff:192.0.2.7" },
		{ "127.0.0.0/8", "x-forwarded-for:192.0.2.7 \r\n", "::ffff:192.0.2.7" },
		{ "10.1.2.3,127.0.0.1", "X-Forwarded-For: 192.0.2.7:8080\r\n", "::ffff:192.0.2.7" },
		/* what a client wrote stands before what the proxy saw */
		{ "127.0.0.1", "X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n", "::ffff:192.0.2.7" },
		{ "127.0.0.1", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n",
		  "::ffff:192.0.2.7" },
		{ "127.0.0.1,192.0.2.0/28", "X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n",
		  "::ffff:198.51.100.1" },
		{ "127.0.0.1,192.0.2.0/30", "X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n", "::ffff:192.0.2.7" },
		/* all of a household are one */
		{ "127.0.0.1", "X-Forwarded-For: 2001:db8:1:2:3::4\r\n", "2001:db8:1:2::/64" },
		{ "127.0.0.1", "X-Forwarded-For: [2001:db8:1:2:3::4]:443\r\n", "2001:db8:1:2::/64" },
		/* what is no address is nothing */
		{ "127.0.0.1", "X-Forwarded-For: unknown\r\n", "::ffff:127.0.0.1" },
		{ "127.0.0.1", "X-Forwarded-For: \r\n", "::ffff:127.0.0.1" },
		{ "127.0.0.1", "X-Forwarded-For: , ,\r\n", "::ffff:127.0.0.1" },
		{ "127.0.0.1", "X-Forwarded-For: [192.0.2.7\r\n", "::ffff:127.0.0.1" },
		{ "127.0.0.1", "X-Forwarded-For: 192.0.2.7, 192.0.2.256\r\n", "::ffff:127.0.0.1" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct running r = start((struct server_options){ .trusted_proxies = rows[i].trusted });
		expect_status(ask(r.port, "POST /v1/chat/completions", rows[i].field, SAY("hi")), 200);
		cr_expect_str_eq(fake_share(), rows[i].share, "row %zu: %s", i, fake_share());
		stop(&r);
	}
}

Test(server_forwarded, what_is_no_address_is_no_proxy)
{
	static const char *const bad[] = { "",		 "proxy",	  "10.0.0.0/33", "10.0.0.0/", "::/129",
					   "10.0.0.1,,", "10.0.0.0/-1", "300.0.0.1" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct server *s = NULL;
		struct err e = { 0 };
		struct server_options o = { .trusted_proxies = bad[i] };
		cr_expect_eq(server_open(&s, NULL, &o, &e), ERR_INPUT, "%s", bad[i]);
		cr_expect(strstr(e.text, "trusted proxy"), "%s", e.text);
	}
}
