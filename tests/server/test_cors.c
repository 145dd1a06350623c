/* Which pages may ask: without the option none, and nothing says so. */
#include "tests/server/talk.h"

#include <stdio.h>
#include <string.h>

#define ORIGIN "Origin: https://app.example\r\n"
#define ASKS "Access-Control-Request-Method: POST\r\n"
#define LISTED "https://app.example,http://localhost:3000"

/* What the answer has to hold, and what it must not; NULL: nothing more. */
static void expect(const struct running *r, const char *line, const char *fields, const char *body, int code,
		   const char *holds, const char *lacks)
{
	struct buf b = ask(r->port, line, fields, body);
	cr_expect_eq(status(&b), code, "%s %s: %s", line, fields, b.bytes);
	cr_expect(!holds || strstr(b.bytes, holds), "%s %s: %s", line, fields, b.bytes);
	cr_expect(!lacks || !strstr(b.bytes, lacks), "%s %s: %s", line, fields, b.bytes);
	buf_free(&b);
}

#define CHAT "OPTIONS /v1/chat/completions"

Test(server_cors, without_the_option_nothing_is_allowed_and_nothing_said)
{
	struct running r = start((struct server_options){ 0 });
	expect(&r, CHAT, ORIGIN ASKS, NULL, 405, "Allow: POST", "Access-Control");
	expect(&r, "GET /v1/models", ORIGIN, NULL, 200, NULL, "Vary");
	expect(&r, "POST /v1/chat/completions", ORIGIN, SAY("hi"), 200, NULL, "Access-Control");
	stop(&r);
}

Test(server_cors, a_listed_origin_may_ask_and_read_all_answers)
{
	static const char mine[] = "Access-Control-Allow-Origin: https://app.example\r\n";
	struct running r = start((struct server_options){ .cors = LISTED });
	expect(&r, CHAT, ORIGIN ASKS "Access-Control-Request-Headers: authorization, x-stainless-os\r\n", NULL,
	       204,
	       "Access-Control-Allow-Methods: POST\r\nAccess-Control-Allow-Headers: authorization, x-stainless-os"
	       "\r\nAccess-Control-Max-Age: 600\r\n",
	       "Content-Length");
	expect(&r, CHAT, ORIGIN ASKS, NULL, 204, mine, "Credentials");
	expect(&r, CHAT, ORIGIN ASKS, NULL, 204, "Vary: Origin\r\n", "\r\nContent-Type");
	expect(&r, "OPTIONS /v1/models/m", ORIGIN "Access-Control-Request-Method: GET\r\n", NULL, 204,
	       "Allow-Methods: GET\r\n", NULL);
	expect(&r, "GET /v1/models", ORIGIN, NULL, 200, mine, NULL);
	expect(&r, "GET /v1/models", ORIGIN, NULL, 200, "Access-Control-Expose-Headers: Hallmark-Record, ", NULL);
	expect(&r, "POST /v1/chat/completions", ORIGIN, SAY("hi"), 200, mine, NULL);
	expect(&r, "POST /v1/chat/completions", ORIGIN, SAY("stream"), 200, mine, NULL);
	expect(&r, "POST /v1/chat/completions", ORIGIN, "{", 400, mine, NULL);
	expect(&r, "GET /nothing", ORIGIN, NULL, 404, mine, NULL);
	expect(&r, "GET /v1/models", "Origin: http://localhost:3000\r\n", NULL, 200, "http://localhost:3000\r\n",
	       NULL);
	stop(&r);
}

Test(server_cors, what_is_not_listed_gets_no_header)
{
	static const char *const others[] = {
		"Origin: https://app.example.evil\r\n", "Origin: https://app.exampl\r\n", "Origin: null\r\n",
		"Origin: http://app.example\r\n",	"Origin: https://app.example,http://localhost:3000\r\n",
		"Origin: \r\n",				"Origin: HTTPS://APP.EXAMPLE\r\n",
	};
	struct running r = start((struct server_options){ .cors = LISTED });
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		char fields[200];
		snprintf(fields, sizeof fields, "%s%s", others[i], ASKS);
		int code = strcmp(others[i], "Origin: \r\n") == 0 ? 405 : 403;
		expect(&r, CHAT, fields, NULL, code, NULL, "Access-Control");
		expect(&r, "GET /v1/models", others[i], NULL, 200, "Vary: Origin", "Access-Control");
	}
	expect(&r, "GET /v1/models", "", NULL, 200, "Vary: Origin", "Access-Control");
	expect(&r, CHAT, ORIGIN, NULL, 405, "Allow: POST", "Allow-Methods"); /* not a page's question */
	expect(&r, "OPTIONS /nothing", ORIGIN ASKS, NULL, 404, NULL, "Allow-Methods");
	expect(&r, CHAT, ORIGIN ASKS "Access-Control-Request-Headers: a;b\r\n", NULL, 400, "malformed", NULL);
	stop(&r);
}

Test(server_cors, any_origin_is_a_star_and_a_question_needs_no_token)
{
	struct running r = start((struct server_options){ .cors = "*", .auth = SERVER_AUTH_TOKENS });
	expect(&r, CHAT, ORIGIN ASKS, NULL, 204, "Access-Control-Allow-Origin: *\r\n", "Vary");
	expect(&r, "GET /v1/models", ORIGIN, NULL, 401, "Access-Control-Allow-Origin: *\r\n", "Credentials");
	stop(&r);
}

Test(server_cors, an_option_that_is_no_origin_is_refused)
{
	static const char *const bad[] = { "", "app.example", "https://", "https://a/", "https://a,", ",https://a",
					   "https://A.example", "*,https://a", "null", "https://a b", "https://a:" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct server_options o = { .cors = bad[i] };
		struct server *s = NULL;
		struct err e = { 0 };
		o.listener[o.listeners++].address = "127.0.0.1:0";
		cr_expect_eq(server_open(&s, NULL, &o, &e), ERR_INPUT, "%s", bad[i]);
		cr_expect(strstr(e.text, "origins for CORS"), "%s", e.text);
	}
}
