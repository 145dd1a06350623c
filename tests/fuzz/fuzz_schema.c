/* The input is a JSON Schema. What is compiled is a grammar that is read without complaint, unless
 * nothing satisfies it, and whose automaton takes bytes without end or harm. */
#include "tests/shared/acceptor.h"

#include "base/check.h"
#include "base/json.h"
#include "base/limits.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char text[] =
	"{\"a\": [1, -2.5e3, \"x\\u00e9\", null, true, {\"b\": {}}], \"c\": \"2024-02-29\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *schema;
	struct buf rules = { 0 };
	struct acceptor a = { 0 };
	struct err e = { 0 };
	uint64_t work = 0;
	if (len > 4096 || json_read(&schema, (const char *)data, len, 4096, 64, &e) < 0)
		return 0;
	if (schema_grammar(schema, "root", &rules, NULL, &work, &e) == 0) {
		check(e.code == 0);
		int rc = acceptor_open(&a, GRAMMAR_CALL, rules.bytes, rules.len, &e);
		check(rc == 0 || strstr(e.text, "nothing can satisfy") || strstr(e.text, "more than") ||
		      strstr(e.text, "left-recursive") || strstr(e.text, "nest too deeply") ||
		      strstr(e.text, "limit"));
	} else {
		check(e.code != 0 && e.text[0] != '\0');
	}
	if (a.automaton) {
		(void)acceptor_takes(&a, text, strlen(text), true);
		(void)acceptor_takes(&a, (const char *)data, len, true);
	}
	acceptor_close(&a);
	buf_free(&rules);
	json_decref(schema);
	return 0;
}
