/* Out of memory at any allocation: tests/shared/press.h. */
#include "tests/shared/acceptor.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

static enum grammar_kind kind;

static int run_grammar(const struct work *w, struct err *e)
{
	struct acceptor a;
	TRY(acceptor_open(&a, kind, w->text, w->len, e));
	buf_add_byte(&press_answer, acceptor_takes(&a, w->more, strlen(w->more), true));
	acceptor_close(&a);
	return 0;
}

Test(grammar_pressure, grammars)
{
	static const struct { enum grammar_kind kind; const char *name, *right, *text; } c[] = {
		{ GRAMMAR_REGEX, "regex", "bank@a.b.com", "[a-z]{2,9}@(?:[a-z]+\\.){1,3}(com|org)" },
		{ GRAMMAR_RULES, "grammar", "a1(a22)b",
		  "root ::= \"a\" item+ \"b\"?\nitem ::= [0-9]{1,3} | \"(\" root \")\"\n" },
		{ GRAMMAR_CHOICE, "choice", "caf\u00e9", "[\"yes\", \"no\", \"caf\\u00e9\"]" },
		{ GRAMMAR_SCHEMA, "schema", "{\"n\": 12, \"l\": [null, 3, \"x\"]}",
		  "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":-3,\"maximum\":1200},"
		  "\"d\":{\"type\":\"string\",\"format\":\"date\"},\"p\":{\"pattern\":\"^[a-f]{3}$\"},"
		  "\"l\":{\"$ref\":\"#/$defs/l\"}},\"required\":[\"n\",\"l\"],\"additionalProperties\":false,"
		  "\"$defs\":{\"l\":{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"null\"},"
		  "{\"allOf\":[{\"type\":\"number\"},{\"minimum\":2}]},{\"enum\":[\"x\",{\"y\":1}]}]},\"maxItems\":4}}}" },
	};
	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		kind = c[i].kind;
		press(c[i].name, &(struct work){ run_grammar, c[i].text, strlen(c[i].text), c[i].right });
	}
}
