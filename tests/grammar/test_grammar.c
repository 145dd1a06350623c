/* What grammars of every kind accept, what is refused, and what they may cost. */
#include "tests/shared/acceptor.h"

#include <criterion/criterion.h>
#include <string.h>

static struct acceptor open_text(enum grammar_kind kind, const char *text)
{
	struct acceptor a;
	struct err e = { 0 };
	cr_assert_eq(acceptor_open(&a, kind, text, strlen(text), &e), 0, "%s: %s", text, e.text);
	return a;
}

/* Texts after a grammar, split by '\n': those that begin with '+' are whole answers, with '~' only
 * beginnings, with '-' neither. */
struct row { const char *text, *cases; };

static void rows_check(enum grammar_kind kind, const struct row *row, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct acceptor a = open_text(kind, row[i].text);
		for (const char *at = row[i].cases; *at != '\0';) {
			size_t len = strcspn(at, "\n");
			bool whole = acceptor_takes(&a, at + 1, len - 1, true);
			bool begun = acceptor_takes(&a, at + 1, len - 1, false);
			cr_assert(!whole || begun);
			cr_assert_eq(whole, *at == '+', "%s: whole %.*s", row[i].text, (int)len, at);
			cr_assert_eq(begun, *at != '-', "%s: begun %.*s", row[i].text, (int)len, at);
			at += len + (at[len] == '\n');
		}
		acceptor_close(&a);
	}
}

#define ROWS(kind, list) rows_check(kind, list, sizeof list / sizeof list[0])

static const struct row regexes[] = {
	{ "abc", "+abc\n~ab\n~\n-abd\n-abcd" },
	{ "^a|b$", "+a\n+b\n-ab" },
	{ "a*b+c?", "+b\n+aabbc\n~aa\n-c\n-bcb" },
	{ "(ab){2,3}", "+abab\n+ababab\n~ab\n-abababab\n~aba" },
	{ "(a{2}){3,}", "~aaaaa\n+aaaaaa\n~aaaaaaa\n+aaaaaaaa" },
	{ "(a?){3}", "+\n+aaa\n-aaaa" },
	{ "(a*)*b", "+b\n+aaab\n~aa\n-bb" },
	{ "[^a-y]", "+z\n+\xC3\xA9\n+\xF0\x9F\x98\x80\n~\xF0\x9F\n-a\n-\xFF\n-\xED\xA0\x80\n-\xC0\x80" },
	{ "[\\u00e9-\\u00ea]x", "+\xC3\xA9x\n+\xC3\xAAx\n-\xC3\xABx\n-\xC3\xA8x" },
	{ "[\\u07ff-\\u0801]", "+\xDF\xBF\n+\xE0\xA0\x80\n+\xE0\xA0\x81\n-\xE0\xA0\x82\n-\xDF\xBE" },
	{ "\\d{2}-\\w\\s\\S", "+12-a \xC3\xA9\n-12-\xC3\xA9 x\n-12-a  " },
	{ ".", "+x\n-\r\n-\xE2\x80\xA8\n+\xE2\x80\xA7" },
	{ "\\.\\*\\x41\\u0042[\\]\\-]", "+.*AB]\n+.*AB-\n-.*AB\\" },
	{ "(?:a|(?P<n>b)|(?<m>c))+?", "+abc\n~" },
	{ "a{,x}{", "+a{,x}{\n~a" },
	{ "[\\D]\\D", "+ax\n-1a\n-a1\n-a\xD9\xA1" },
	{ "", "+\n-a" },
	/* what is decided between characters */
	{ "(?=.*\\d)(?=.*[a-z])[a-z0-9]{2,4}", "+a1\n+1aaa\n-aaaa\n~aa\n-11111\n~11" },
	{ "(?!.*--)[a-z-]+(?<!-)", "+a-b\n-a--\n~a-\n~-\n+-a" },
	{ "a\\b.\\B-|(?!x)(?<=^)\\w", "+b\n-x\n+a\n+a--\n~a-\n~a.\n-ab" },
	{ "((25[0-5]|(2[0-4]|1\\d|[1-9]|)\\d)\\.?\\b){4}", "+1.2.3.4\n+255.255.255.0\n-256\n-1.2.3.4.\n~1.2.3" },
	{ "(?:(?!ab).)*", "+\n+aaa\n+ba\n-ab\n-aab" },
	{ "(?<!a)b|^a|b$", "+a\n+b\n-ab" },
	{ "a*+b|a?+(?=b)b?|[0-9]{2,3}+x", "+aab\n+b\n+12x\n+123x\n-1234" },
	{ "(?i)k\\u00e9|(?i:S)x(?-i:y)", "+K\xC3\x89\n+k\xC3\xA9\n-\xE2\x84\xAA\n-kE\n~s\n+SXy\n-SxY" },
	{ "(?x) a b # c\n [ #]", "+ab#\n+ab \n-a b" },
	{ "(?m)a[\\n\\r]^b$|(?s:.)c|.d", "+xc\n+xd\n-\rd\n+\rc\n~a\n-a\r" },
	{ "[[:digit:]_][[:xdigit:]]", "+1a\n+_F\n-a1\n-1g" },
	{ "\\p{Lu}\\P{L}\\p{Script=Greek}\\pN[^\\p{Ll}]",
	  "+A1\xCE\xB1""1B\n-a\n-AA\n~A1\n-A1a\n-A1\xCE\xB1x\n-A1\xCE\xB1""1b" },
	{ "\\u{1F600}\\ud83d\\ude01\\x41\\cA[\\b]", "+\xF0\x9F\x98\x80\xF0\x9F\x98\x81""A\x01\x08\n-u" },
	{ "a[^]", "+ab\n+aa\n~a\n-bb" },
	{ "\\bword\\b", "+word\n~wor" },
	{ "a\\b\xE3\x80\x82", "+a\xE3\x80\x82" },
	{ "\\D\\W", "+\xE0\xA4\x85\xE3\x80\x82\n-\xD9\xA1\n~a\n-a\xC3\xA9" },
};

static const struct row grammars[] = {
	{ "root ::= \"a\" b # comment\nb ::= [x-z]{2} | \"\\\"\" \"\\u00e9\"", "+axy\n+a\"\xC3\xA9\n"
	  "-axyz\n~ax" },
	{ "root ::= \"(\" root \")\" | \"\"", "+()\n+((()))\n~((\n-(()))\n-)" },
	{ "root ::= (\"(\" root \")\")*", "+()()(())\n~()(\n-())" },
	{ "root ::= e\ne ::= t ((\"+\" | \"-\") t)*\nt ::= [0-9]+ | \"(\" e \")\"",
	  "+1+(2-3)+45\n~1+\n-+1\n~(1\n-(1))" },
	/* ambiguous, nullable in front, hidden beginnings */
	{ "root ::= a a a \"x\"\na ::= \"y\"? | b\nb ::= \"z\"*", "+x\n+yzzyx\n+zzx\n-yyyyx" },
	{ "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"", "+aadbc\n+aadcb\n~aad\n~aadb\n-aadbcb" },
	{ "root ::= x{0,2}\nx ::= \"a\" |\n  \"b\"", "+\n+ab\n-aba" },
	{ "root ::= \"a\" | \"b\" never | \"c\"\nnever ::= \"n\" never", "+a\n+c\n-b" },
	{ "root ::= .", "~\n+\xF0\x9F\x98\x80\n-ab" },
	/* left-recursive: plain, behind what may be empty, in circles, empty itself */
	{ "root ::= root \"a\" | \"b\"", "+b\n+baaa\n-a\n-bb" },
	{ "root ::= a? root \"x\" | \"y\"\na ::= \"z\"", "+y\n+yxx\n+zyx\n~zzy\n+zzyxx\n-yz\n~z" },
	{ "root ::= a\na ::= b \"x\" | \"w\"\nb ::= a", "+w\n+wxx\n-x\n-ww" },
	{ "root ::= root root | \"a\" | \"\"", "+\n+a\n+aaa\n-b" },
	{ "root ::= root \"+\" t | t\nt ::= t \"*\" f | f\nf ::= \"(\" root \")\" | [0-9]",
	  "+1+2*3\n+(1+2)*3\n~1+\n-+1\n~((1)\n-1)\n+1*2+(3)*4" },
	{ "root ::= a \"x\" | \"\"\na ::= b | root \"y\"\nb ::= a \"z\" | \"c\" | e a\ne ::= \"e\"*",
	  "+\n+cx\n+czzx\n+yx\n+yxyx\n+eecx\n~c\n-x\n+eyzx\n~yxy\n-xy" },
	{ "root ::= s\ns ::= s s \"a\" | \"b\" s?", "+b\n+bba\n+bbba\n-ba\n+bbabba" },
	{ "root ::= l (\",\" l)*\nl ::= n? \"i\"\nn ::= l | n \".\"", "+i\n+ii,i.i\n~i..\n-.\n-,i" },
};

/* Texts that differ within a scope, as a schema's compiler writes them. */
static const struct row scopes[] = {
	{ "root ::= \"[\" @scope( (@once(w) (\",\" @once(w))*)? ) \"]\"\nw ::= [a-c]+",
	  "+[]\n+[a]\n+[a,b]\n-[a,a]\n~[a,a\n+[a,aa,aaa]\n-[ab,a,ab]\n~[ab,a,ab\n+[ab,a,aba]\n-[a,b,c,b]" },
	/* no way into what cannot be ended */
	{ "root ::= \"[\" @scope( @once(w) (\",\" @once(w))* ) \"]\"\nw ::= \"foo\" | \"fob\" | \"x\"",
	  "+[foo,fob,x]\n~[foo,fo\n-[foo,foo\n~[foo,fob\n-[foo,fob,f\n~[foo,fob,\n-[foo,fob,x,\n-[x,x\n+[x,foo]" },
	/* as many as there are, which counts where a number of them is demanded */
	{ "root ::= \"[\" @scope( @once(d) (\",\" @once(d)){2} ) \"]\"\nd ::= [1-3]",
	  "+[1,2,3]\n-[1,2,2\n-[1,1\n-[1,2]" },
	/* in each other: the inner texts of two outer ones have nothing to do with each other */
	{ "root ::= l\nl ::= \"[\" @scope( (@once(i) (\",\" @once(i))*)? ) \"]\"\ni ::= l | [0-9]",
	  "+[[1,2],[2,1],1]\n-[[1,2],[1,2]\n+[[],[[]]]\n-[[],[]"
	  "\n+[1,[1]]\n-[[1,1\n~[[1],[1\n+[[1],[1,2]]\n-[[[2]],[[2]]" },
	/* names */
	{ "root ::= \"{\" @scope( m (\",\" m)* ) \"}\"\nm ::= @once(\"\\\"\" [a-z]* \"\\\"\") \":\" [0-9]",
	  "+{\"a\":1,\"b\":1}\n-{\"a\":1,\"a\"\n~{\"a\":1,\"a\n+{\"\":1,\"aa\":2,\"a\":3}" },
	/* by value: spaces, escapes, numbers, the order of members */
	{ "root ::= \"[\" @scope( @once(v) (\", \" @once(v))* ) \"]\"\n"
	  "v ::= s | \"-\"? [0-9] (\".\" [0-9]+)? ([eE] [0-9])? | \"{\" m (\",\" \" \"? m)*"
	  " \"}\"\nm ::= s \":\" \" \"? v\n"
	  "s ::= \"\\\"\" ([a-z] | \"\xC3\xA9\" | \"\xF0\x9F\x98\x80\" | \"\\\\\""
	  " ([nt\\\"/] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\"",
	  "+[1, 2]\n~[1, 1.0\n-[1, 1e0\n~[1, 1.0e1\n-[1, 1.0]\n-[1, 1e0]\n+[1, 1e1]\n-[0, -0.0]\n+[1, \"a\"]\n"
	  "-[\"a\", \"\\u0061\"\n+[\"a\", \"\\u0061b\"]\n-[\"\xC3\xA9\", \"\\u00E9\"\n-[\"\\n\", \"\\u000a\"\n"
	  "-[\"\xF0\x9F\x98\x80\", \"\\ud83d\\uDE00\"\n-[{\"a\":1}, {\"a\": 1}\n"
	  "-[{\"a\":1,\"b\":2}, {\"b\": 2.0,\"a\":1}\n"
	  "+[{\"a\":1,\"b\":2}, {\"b\":1,\"a\":2}]\n-[\"\\/\", \"\\u002f\"" },
	/* ambiguous: one way is enough */
	/* a comma behind which, spaces or not, no other text is left */
	{ "root ::= \"[\" @scope( @once(d) (\",\" \" \"? @once(d))* ) \"]\"\nd ::= [12]",
	  "+[1, 2]\n+[2,1]\n~[1, \n-[1,2,\n-[1, 1" },
	{ "root ::= \"{\" @scope( m (\",\" \" \"? m)* ) \"}\"\nm ::= @once([ab]) \":\" \"[,\" [0-9]* \"]\"",
	  "+{a:[,], b:[,1]}\n~{a:[,],b:[,1]\n-{a:[,],b:[,1]," },
	{ "root ::= @scope(@once(w) \",\" @once(w)) | w \",\" w \"!\"\nw ::= [ab]", "+a,b\n~a,a\n+a,a!\n+a,b!" },
	{ "root ::= @scope(@once(w) @once(w) @once(w))\nw ::= \"a\"+ ", "~a\n~aa\n~aaaaa\n+aaaaaa\n+aaaaaaa" },
	/* a text within a text of one scope: the outer one is never whole */
	{ "root ::= @scope(@once(\"a\" @once(\"b\")) | \"c\")", "-ab\n+c" },
};

static const struct row choices[] = {
	{ "[\"yes\",\"no\",\"no way\",\"\xC3\xA9\"]", "+yes\n+no\n+no way\n~no \n-maybe\n+\xC3\xA9\n"
	  "~\xC3" },
	{ "[\"\",\"a\"]", "+\n+a\n-b" },
};

Test(grammar, expressions_accept_what_they_should) { ROWS(GRAMMAR_REGEX, regexes); }
Test(grammar, grammars_accept_what_they_should) { ROWS(GRAMMAR_RULES, grammars); }
/* What a frame may say, and no client. */
Test(grammar, texts_in_a_scope_differ) { ROWS(GRAMMAR_CALL, scopes); }
Test(grammar, choices_accept_what_they_should) { ROWS(GRAMMAR_CHOICE, choices); }

static const struct row schemas[] = {
	{ "{\"type\":\"integer\"}", "+0\n+-12\n-01\n-1.\n--0" },
	{ "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"boolean\"},"
	  "\"c\":{}},\"required\":[\"b\"]}",
	  "+{\"b\":true}\n+{\"a\":1,\"b\":false}\n+{\"a\": 1, \"b\": true, \"c\": [1,{}]}\n"
	  "-{\"b\":true,\"a\"\n-{}\n"
	  "-{\"a\":1}\n-{\"d\"\n-{,\n~{\"b\":true," },
	{ "{\"type\":\"object\"}", "+{}\n+{\"x\":{\"y\":[null,\"\\u00e9\\ud83d\\ude00\"]}}\n-[" },
	{ "{\"properties\":{\"ab\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":\"integer\"}}",
	  "+{}\n+{\"ab\":null}\n+{\"a\":1}\n+{\"abc\":1,\"x\":2}\n+{\"ab\":null,\"ac\":1}\n-{\"ab\":1\n"
	  "-{\"x\":null" },
	{ "{\"type\":\"array\",\"items\":{\"enum\":[1,\"x\\n\\\"\",null]},\"minItems\":1,\"maxItems\":3}",
	  "+[1]\n+[\"x\\n\\\"\",null]\n-[]\n~[1,1,1\n-[1,1,1," },
	{ "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"null\"}],"
	  "\"items\":false}",
	  "+[1,null]\n-[1]\n-[1,null," },
	{ "{\"$ref\":\"#/$defs/t\",\"$defs\":{\"t\":{\"type\":\"object\","
	  "\"properties\":{\"n\":{\"$ref\":\"#/$defs/t\"}},"
	  "\"additionalProperties\":false}}}",
	  "+{}\n+{\"n\":{\"n\":{}}}\n-{\"m\"" },
	{ "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
	  "+\"ab\"\n+\"a\\u00e9\xC3\xA9\"\n+\"\\ud83d\\ude00x\"\n-\"a\"\n-\"abcd\n-\"\\ud83d\"\n"
	  "-\"\\u0000" },
	{ "{\"type\":\"string\",\"pattern\":\"^[a-c\\\"\\\\\\\\\\\\n]+$\"}",
	  "+\"abc\"\n+\"\\\"\\\\\\n\"\n-\"d\n-\"\"" },
	{ "{\"type\":\"string\",\"pattern\":\"b\"}", "+\"abc\"\n-\"ac\"\n+\"b\"" },
	{ "{\"type\":\"string\",\"pattern\":\"^(ab|c)+$\",\"minLength\":3,\"maxLength\":4}",
	  "+\"ccc\"\n+\"abab\"\n+\"abc\"\n-\"ab\"\n-\"ababc\n-\"abaa" },
	{ "{\"type\":\"string\",\"pattern\":\"^x*$\",\"minLength\":2}", "-\"x\"\n+\"xx\"\n+\"xxxxx\"" },
	{ "{\"type\":\"string\",\"format\":\"date\"}",
	  "+\"2024-02-29\"\n+\"2000-02-29\"\n-\"1900-02-29\n-\"2023-02-29\n-\"2023-04-31\n"
	  "+\"2023-12-31\"\n-\"2023-13" },
	{ "{\"type\":\"integer\",\"minimum\":-5,\"maximum\":123}",
	  "+0\n+-5\n--6\n+123\n-124\n+99\n+100\n-1000\n+7\n-00" },
	{ "{\"type\":\"integer\",\"exclusiveMinimum\":9,\"exclusiveMaximum\":1001}", "~9\n+10\n+1000\n"
	  "-1001\n+999\n~8" },
	{ "{\"type\":\"integer\",\"minimum\":0.5,\"maximum\":2.5}", "-0\n+1\n+2\n-3" },
	{ "{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
	  "+0\n+1\n+0.5\n+1.0\n+0.0\n-1.01\n-1.1\n--0\n-2\n~0." },
	{ "{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}", "-1\n+0.5\n~0\n~0.0\n"
	  "+0.01\n+0.12" },
	{ "{\"type\":\"number\",\"minimum\":-1.25,\"exclusiveMaximum\":2.5}",
	  "+-1.25\n--1.26\n+-1.2\n+-1\n+2.49\n-2.5\n+0\n+2.4999\n--2\n+1.9" },
	{ "{\"type\":\"number\",\"minimum\":1.25,\"maximum\":1.75}", "~1\n+1.25\n-1.24\n+1.5\n+1.7\n"
	  "+1.75\n+1.750\n-1.76\n-2\n~1.2" },
	{ "{\"type\":\"integer\",\"multipleOf\":7}", "+0\n+14\n+-21\n~15\n+700" },
	{ "{\"type\":\"integer\",\"multipleOf\":5,\"minimum\":3,\"maximum\":21}", "+5\n+20\n-25\n~1\n-0" },
	{ "{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"integer\",\"minimum\":8,\"maximum\":8}]}", "+null\n"
	  "+8\n-7" },
	{ "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},"
	  "\"v\":{\"type\":\"null\"}},"
	  "\"required\":[\"k\"]},{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},"
	  "\"required\":[\"k\"]}]}",
	  "+{\"k\":\"a\",\"v\":null}\n+{\"k\":\"b\"}\n-{\"k\":\"b\"," },
	{ "{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},"
	  "\"required\":[\"a\"]},"
	  "{\"properties\":{\"a\":{\"minimum\":10},\"b\":{\"type\":\"null\"}}}]}",
	  "+{\"a\":10}\n+{\"a\":11,\"b\":null}\n~{\"a\":9\n-{\"a\":9}\n-{\"b\"" },
	{ "{\"type\":[\"string\",\"null\"],\"enum\":[\"a\",null,3]}", "+\"a\"\n+null\n-3" },
	{ "true", "+1\n+{\"a\":[]}\n+\"\"" },
	{ "{\"type\":\"object\",\"properties\":{\"a\":false,\"b\":{\"type\":\"null\"}}}", "+{}\n"
	  "+{\"b\":null}\n-{\"a" },
	{ "{\"properties\":{\"a\\\"b\":{\"type\":\"null\"}},"
	  "\"additionalProperties\":{\"type\":\"boolean\"}}",
	  "+{\"a\\\"b\":null}\n~{\"a\\\"b\":\n-{\"a\\\"b\":t\n+{\"c\":true}\n+{\"\":true}\n-{\"\\u0061" },
	{ "{\"type\":\"integer\",\"minimum\":9e16,\"maximum\":9.000000000000002e16}",
	  "+90000000000000016\n-90000000000000017\n-90000000000000020\n+90000000000000000" },
	{ "{\"type\":\"number\",\"minimum\":-1e17,\"exclusiveMaximum\":1e17}",
	  "+999999999999999\n-1000000000000000\n-99999999999999999.9\n+-0.5\n+-999999999999999" },
	{ "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "+0.5\n~1\n+-3.25\n~1.0" },
	{ "{\"oneOf\":[{\"const\":1e20},{\"type\":\"integer\"}]}", "+5\n-1e20" },
	{ "{\"oneOf\":[{\"type\":\"integer\",\"exclusiveMaximum\":9007199254740993},{\"type\":\"integer\","
	  "\"minimum\":9007199254740992}]}", "+9007199254740991\n-9007199254740992\n+9007199254740993" },
	{ "{\"type\":\"number\",\"minimum\":9007199254740993}", "+9007199254740993\n-9007199254740992\n"
	  "-1" },
	{ "{\"type\":\"number\",\"minimum\":123456789012345,\"exclusiveMaximum\":123456789012345.66}",
	  "+123456789012345\n-123456789012346" },
	{ "{\"type\":\"integer\",\"maximum\":18446744073709551615,\"minimum\":0}",
	  "+18446744073709549568\n-18446744073709551616\n+0" },
	{ "{\"type\":\"number\",\"exclusiveMinimum\":0.30000000000000004}", "~0.3\n+0.31\n"
	  "+0.3000000000001" },
	{ "{\"type\":\"number\",\"minimum\":0,\"maximum\":1.7976931348623157e308}", "+1.5\n"
	  "+999999999999999\n-1e5" },
	{ "{\"type\":\"number\",\"multipleOf\":0.01}", "+1\n+1.5\n+1.50\n+-12.34\n-0.07\n-19.99\n-0.001" },
	{ "{\"type\":\"number\",\"multipleOf\":0.25,\"maximum\":2}", "+1.75\n+2\n-2.25\n-1.3" },
	{ "{\"type\":\"integer\",\"multipleOf\":0.0000007,\"minimum\":1}", "+7\n+14\n+70\n~3\n-0" },
	{ "{\"type\":\"integer\",\"multipleOf\":100,\"minimum\":1,\"maximum\":123456789}",
	  "+100\n+123456700\n-123456800\n-0\n~150" },
	{ "{\"not\":{\"enum\":[\"a\",2,null]},\"type\":[\"string\",\"integer\",\"null\"]}",
	  "+\"b\"\n-\"a\"\n+1\n+3\n~2\n-null\n+\"\"" },
	{ "{\"type\":\"object\",\"properties\":{\"k\":{\"enum\":[\"x\",\"y\"]},"
	  "\"v\":{\"type\":\"integer\"}},"
	  "\"required\":[\"k\"],\"if\":{\"properties\":{\"k\":{\"const\":\"x\"}}},"
	  "\"then\":{\"required\":[\"v\"]},"
	  "\"else\":{\"properties\":{\"v\":false}}}",
	  "+{\"k\":\"y\"}\n+{\"k\":\"x\",\"v\":1}\n-{\"k\":\"x\"}\n-{\"k\":\"y\"," },
	{ "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}},"
	  "\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
	  "+{\"a\":null}\n+{\"b\":null}\n-{}\n-{\"a\":null," },
	{ "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}},"
	  "\"dependentRequired\":{\"a\":[\"b\"]}}", "+{}\n+{\"b\":null}\n+{\"a\":null,"
	  "\"b\":null}\n-{\"a\":null}" },
	{ "{\"type\":\"object\",\"allOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}}],"
	  "\"properties\":{\"b\":{}},"
	  "\"unevaluatedProperties\":false}", "+{\"b\":1,\"a\":null}\n-{\"c" },
	{ "{\"type\":\"object\",\"patternProperties\":{\"^x-\":{\"type\":\"null\"},"
	  "\"9$\":{\"type\":[\"null\",\"boolean\"]}},"
	  "\"additionalProperties\":false}",
	  "+{\"x-a\":null,\"a9\":true}\n+{\"x-9\":null}\n-{\"x-9\":t\n-{\"y\":\n-{\"x-a\":t" },
	{ "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-c]+$\"},"
	  "\"additionalProperties\":{\"type\":\"null\"},"
	  "\"minProperties\":1,\"maxProperties\":2}", "+{\"a\":null,"
	  "\"b\":null}\n-{}\n-{\"d\n-{\"a\":null,\"b\":null," },
	{ "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"contains\":{\"minimum\":5},"
	  "\"minContains\":2}",
	  "+[5, 1,6]\n-[1,2,5]\n-[]\n+[1,1,1,7,8,2]" },
	{ "{\"type\":\"array\",\"items\":{\"enum\":[1,2,3]},\"uniqueItems\":true,\"minItems\":1}",
	  "+[3,1]\n+[2]\n-[1,1\n-[]\n+[1,2,3]\n-[1,2,3," },
	{ "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":[\"string\",\"number\"]}}",
	  "+[\"a\", \"b\",1,1.5]\n-[\"a\",\"a\"\n-[1,1,\n-[1.0]\n-[\"\\u0061\n+[]" },
	{ "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"number\",\"minimum\":0}}",
	  "+[0,0.5, 12]\n-[0.50]\n-[0,0]" },
	{ "{\"type\":\"array\",\"uniqueItems\":true,\"minItems\":2,\"items\":{\"type\":\"object\",\"properties\":{"
	  "\"a\":{\"type\":\"integer\"}}}}", "+[{\"a\":1}, {}]\n-[{\"a\":1},{\"a\":1}\n-[{}]\n-[{\"a\": 1" },
	{ "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"null\"},\"minProperties\":3}",
	  "+{\"a\":null,\"b\":null, \"c\": null}\n-{\"a\":null,\"a\"\n-{\"a\":null}" },
	{ "{\"type\":\"array\",\"items\":[{\"type\":\"null\"}],\"additionalItems\":{\"type\":\"boolean\"}}",
	  "+[null]\n+[null,true]\n-[true" },
	{ "{\"type\":\"number\",\"minimum\":0,\"exclusiveMinimum\":true,\"maximum\":1}", "~0\n+0.5\n+1" },
	{ "{\"$id\":\"http://h/r.json\",\"items\":{\"$ref\":\"r.json#/$defs/a~1%25\"},\"type\":\"array\","
	  "\"$defs\":{\"a/%\":{\"$ref\":\"http://h/r.json#n\"},\"b\":{\"$anchor\":\"n\","
	  "\"type\":\"null\"}}}",
	  "+[null]\n-[1" },
	{ "{\"type\":\"string\",\"pattern\":\"^[a-z.]+$\",\"format\":\"hostname\","
	  "\"minLength\":3,\"maxLength\":5}",
	  "+\"abc\"\n+\"a.bcd\"\n-\"ab\"\n-\"abcdef\n-\"a..\n-\"A" },
	{ "{\"enum\":[{\"a\":[1,2]},\"x\"],\"x-note\":1,"
	  "\"format\":\"password\"}", "+{\"a\": [1, 2]}\n+{\"a\":[1,2]}\n+\"x\"" },
	{ "{\"discriminator\":{\"propertyName\":\"k\"},\"oneOf\":[{\"type\":\"object\","
	  "\"properties\":{\"k\":"
	  "{\"const\":\"a\",\"default\":\"a\"}}},{\"type\":\"object\","
	  "\"properties\":{\"k\":{\"enum\":[\"b\",\"c\"]}}}]}",
	  "+{\"k\":\"a\"}\n+{\"k\":\"c\"}\n-{}" },
};

Test(grammar, schemas_accept_what_they_should) { ROWS(GRAMMAR_SCHEMA, schemas); }

static const struct { enum grammar_kind kind; const char *text; int code; const char *word; }
refused[] = {
	{ GRAMMAR_REGEX, "(a)\\1", ERR_UNSUPPORTED, "backreference" },
	{ GRAMMAR_REGEX, "(?=a)b", ERR_INPUT, "nothing can satisfy" },
	{ GRAMMAR_REGEX, "a^b", ERR_INPUT, "nothing can satisfy" },
	{ GRAMMAR_REGEX, "a*+a", ERR_INPUT, "nothing can satisfy" },
	{ GRAMMAR_REGEX, "(ab)*+", ERR_UNSUPPORTED, "possessive" },
	{ GRAMMAR_REGEX, "(?>ab)", ERR_UNSUPPORTED, "atomic" },
	{ GRAMMAR_REGEX, "\\p{Klingon}", ERR_UNSUPPORTED, "property" },
	{ GRAMMAR_REGEX, "\\p{L", ERR_INPUT, "property" },
	{ GRAMMAR_REGEX, "(?L)a", ERR_UNSUPPORTED, "(?" },
	{ GRAMMAR_REGEX, "[a&&b]", ERR_UNSUPPORTED, "operation" },
	{ GRAMMAR_REGEX, "[[:letter:]]", ERR_UNSUPPORTED, "POSIX" },
	{ GRAMMAR_REGEX, "a(?<=a\\b)b", ERR_UNSUPPORTED, "lookbehind" },
	{ GRAMMAR_REGEX, "[]a]", ERR_UNSUPPORTED, "] first" },
	{ GRAMMAR_REGEX, "\\ud83d", ERR_UNSUPPORTED, "surrogate" },
	{ GRAMMAR_REGEX, "(a|b)\\b*c", ERR_UNSUPPORTED, "anchor" },
	{ GRAMMAR_REGEX, "(a", ERR_INPUT, ")" },
	{ GRAMMAR_REGEX, "a)", ERR_INPUT, ")" },
	{ GRAMMAR_REGEX, "[a", ERR_INPUT, "class" },
	{ GRAMMAR_REGEX, "*a", ERR_INPUT, "repeat" },
	{ GRAMMAR_REGEX, "a{9,2}", ERR_INPUT, "order" },
	{ GRAMMAR_REGEX, "a{2}{3}", ERR_INPUT, "nothing to repeat" },
	{ GRAMMAR_REGEX, "{2}", ERR_INPUT, "nothing to repeat" },
	{ GRAMMAR_REGEX, "a{20000}", ERR_INPUT, "limit" },
	{ GRAMMAR_REGEX, "\xFF", ERR_INPUT, "UTF-8" },
	{ GRAMMAR_RULES, "root ::= root \"a\" | root", ERR_INPUT, "nothing can satisfy" },
	{ GRAMMAR_RULES, "root ::= x", ERR_INPUT, "x is not defined" },
	{ GRAMMAR_RULES, "a ::= \"x\"", ERR_INPUT, "root" },
	{ GRAMMAR_RULES, "root ::= \"a\" root", ERR_INPUT, "nothing can satisfy" },
	{ GRAMMAR_RULES, "root ::= \"a\nb", ERR_INPUT, "line 2" },
	/* a client would write turns of the conversation itself */
	{ GRAMMAR_RULES, "root ::= @\"<|im_start|>\" \"system\"", ERR_INPUT, "a literal, a class" },
	{ GRAMMAR_RULES, "root ::= @scope(\"a\")", ERR_INPUT, "a literal, a class" },
	{ GRAMMAR_CALL, "root ::= @other(\"a\")", ERR_INPUT, "scope( or once(" },
	{ GRAMMAR_RULES, "root ::= \"a\"\nroot ::= \"b\"", ERR_INPUT, "twice" },
	{ GRAMMAR_CHOICE, "[]", ERR_INPUT, "empty" },
	{ GRAMMAR_CHOICE, "[1]", ERR_INPUT, "not a string" },
	{ GRAMMAR_SCHEMA, "{\"properties\":{\"a\":{\"contains\":{},\"uniqueItems\":true}}}",
	  ERR_UNSUPPORTED, "uniqueItems beside contains or fewer than prefixItems at #/properties/a is" },
	{ GRAMMAR_SCHEMA, "{\"anyOf\":[{\"not\":{\"type\":\"array\",\"uniqueItems\":true},"
	  "\"type\":\"array\"}]}",
	  ERR_UNSUPPORTED, "not over uniqueItems at #/anyOf/0" },
	{ GRAMMAR_SCHEMA, "{\"$defs\":{\"a/b\":{\"$dynamicRef\":\"#x\"}},"
	  "\"items\":{\"$ref\":\"#/$defs/a~1b\"}}",
	  ERR_UNSUPPORTED, "$dynamicRef at #/$defs/a~1b" },
	{ GRAMMAR_SCHEMA, "{\"type\":\"array\",\"contains\":{},\"allOf\":[{\"contains\":{\"const\":1}}]}",
	  ERR_UNSUPPORTED, "contains twice" },
	{ GRAMMAR_SCHEMA, "{\"type\":\"number\",\"multipleOf\":1e-17}", ERR_UNSUPPORTED, "multipleOf" },
	{ GRAMMAR_SCHEMA, "{\"type\":\"number\",\"multipleOf\":0}", ERR_INPUT, "multipleOf" },
	{ GRAMMAR_SCHEMA, "{\"oneOf\":[{\"patternProperties\":{\"a\":{}},"
	  "\"type\":\"object\"},{\"type\":\"object\","
	  "\"patternProperties\":{\"b\":{}}}]}", ERR_UNSUPPORTED, "patternProperties" },
	{ GRAMMAR_SCHEMA, "{\"type\":\"object\",\"patternProperties\":{\"a\":{},\"b\":{},\"c\":{},"
	  "\"d\":{},\"e\":{},\"f\":{},\"g\":{}}}", ERR_UNSUPPORTED, "overlap" },
	{ GRAMMAR_SCHEMA, "{\"\\u0001excluded\":[1]}", ERR_UNSUPPORTED, "U+0001" },
	{ GRAMMAR_SCHEMA, "{\"properties\":{\"a\":{\"not\":{}}},\"required\":[\"a\"]}", ERR_INPUT,
	  "nothing can satisfy" },
	{ GRAMMAR_SCHEMA, "{\"$ref\":\"http://x/y\"}", ERR_UNSUPPORTED, "another document" },
	{ GRAMMAR_SCHEMA, "{\"$ref\":\"#/$defs/x\"}", ERR_INPUT, "names nothing" },
	{ GRAMMAR_SCHEMA, "{\"$ref\":\"#\"}", ERR_INPUT, "nothing can satisfy" },
	{ GRAMMAR_SCHEMA, "{\"type\":\"strin\"}", ERR_INPUT, "type" },
	{ GRAMMAR_SCHEMA, "false", ERR_INPUT, "nothing can satisfy" },
	{ GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"minimum\":3,"
	  "\"maximum\":2}", ERR_INPUT, "nothing can satisfy" },
	{ GRAMMAR_SCHEMA, "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},"
	  "\"required\":[\"a\"]}", ERR_INPUT,
	  "nothing can satisfy" },
	{ GRAMMAR_SCHEMA, "[1]", ERR_INPUT, "object or a boolean" },
	{ GRAMMAR_SCHEMA, "{", ERR_INPUT, "" },
};

Test(grammar, what_is_not_there_is_refused_by_name)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct acceptor a;
		struct err e = { 0 };
		const char *text = refused[i].text;
		int rc = acceptor_open(&a, refused[i].kind, text, strlen(text), &e);
		cr_assert_eq(rc, refused[i].code, "%s: %d %s", text, rc, e.text);
		cr_assert_neq(strstr(e.text, refused[i].word), NULL, "%s: %s", text, e.text);
	}
}

/* ---- limits ---- */

static void repeat_add(struct buf *out, const char *what, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_add_text(out, what);
}

/* before n times, middle, after n times: refused with this word, or (NULL) compiled. */
static const struct { enum grammar_kind kind; const char *before, *middle, *after; size_t n;
	const char *word; } large[] = {
	{ GRAMMAR_REGEX, "(", "a", ")", 5000, "too deeply" },
	{ GRAMMAR_REGEX, "(", "a{100}", "){100}", 60, NULL },
	{ GRAMMAR_REGEX, "a?", "", "", 6000, "more than 4096 ways" },
	{ GRAMMAR_REGEX, "[a-z]{0,9000}", "x", "", 200, "more than" },
	{ GRAMMAR_REGEX, "ab", "", "", 40000, "bytes" },
	{ GRAMMAR_RULES, "", "root ::= \"a\"", "*", 500, "too deeply" },
	{ GRAMMAR_RULES, "", "root ::= \"a\"", " | \"b\"", 100000, NULL },
	{ GRAMMAR_RULES, "", "root ::= \"a\"", " | [^\\u0100-\\u2000]", 45000, "more than" },
	{ GRAMMAR_SCHEMA, "{\"items\":", "{}", "}", 90, NULL },
	{ GRAMMAR_SCHEMA, "{\"items\":", "{}", "}", 400, "" },
	{ GRAMMAR_SCHEMA, "{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"array\"}],"
	  "\"allOf\":[{},", "{}", "]}", 40,
	  "combined" },
};

/* {"additionalProperties": true, "properties": {one name of this many letters: true}} */
static void name_add(struct buf *out, size_t letters)
{
	buf_add_text(out, "{\"additionalProperties\":true,\"properties\":{\"");
	repeat_add(out, "n", letters);
	buf_add_text(out, "\":true}}");
}

/* Two lists in one schema: {key1: [first, ..., first + n - 1], key2: the next n}, as text. */
static void lists_add(struct buf *out, const char *form, bool names, unsigned n)
{
	unsigned next = 0;
	for (; *form != '\0'; form++) {
		if (*form != '@') {
			buf_add_byte(out, (unsigned char)*form);
			continue;
		}
		for (unsigned i = 0; i < n; i++, next++)
			buf_printf(out, names ? "%s\"%u\"" : "%s%u", i > 0 ? "," : "", next);
	}
}

/* Work grows with the text, or ends at a limit: without it, each of these took minutes. */
Test(grammar, long_lists_and_names_cost_no_more_than_their_length)
{
	static const struct { const char *form; bool names; unsigned n; const char *word; } rows[] = {
		{ "{\"allOf\":[{\"enum\":[@]},{\"enum\":[@]}]}", false, 70000, "compared" },
		{ "{\"oneOf\":[{\"enum\":[@]},{\"enum\":[@]}]}", false, 70000, "more than" },
		{ "{\"enum\":[@]}", false, 70000, NULL },
		{ "{\"allOf\":[{\"required\":[@]},{\"required\":[@]}]}", true, 55000, "more than" },
		{ NULL, false, 1000000, "8 MiB" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct acceptor a;
		struct buf text = { 0 };
		struct err e = { 0 };
		if (rows[i].form != NULL)
			lists_add(&text, rows[i].form, rows[i].names, rows[i].n);
		else
			name_add(&text, rows[i].n);
		int rc = acceptor_open(&a, GRAMMAR_SCHEMA, text.bytes, text.len, &e);
		cr_expect((rc == 0) == (rows[i].word == NULL), "row %zu: %d %s", i, rc, e.text);
		cr_expect(rc == 0 || strstr(e.text, rows[i].word), "row %zu: %s", i, e.text);
		cr_expect(rc != 0 || (acceptor_takes(&a, "69999", 5, true) &&
				      !acceptor_takes(&a, "70000", 5, false)));
		acceptor_close(&a);
		buf_free(&text);
	}
}

/* Long lists of alternatives share how they begin; short ones do not. */
/* What is allowed changes when a step is made, and nothing of what it leads to. */
Test(grammar, an_automaton_that_is_held_goes_on_where_it_was)
{
	static const char text[] = "([a-c]*a[a-c]{6}|[a-c]*b[a-c]{7})", word[] = "abcabcaacbbacabcab";
	struct acceptor a = open_text(GRAMMAR_REGEX, text), b = open_text(GRAMMAR_REGEX, text);
	uint32_t at = AUTOMATON_START, same = AUTOMATON_START;
	atomic_bool stop = true;
	unsigned held = 0;
	automaton_allow(a.automaton, UINT32_MAX, &stop);
	cr_assert_eq(automaton_take(a.automaton, at, 'a'), AUTOMATON_FULL);
	cr_assert(automaton_is_held(a.automaton));
	for (const char *p = word; *p; p++) {
		uint32_t next;
		automaton_allow(a.automaton, 1, NULL);
		while ((next = automaton_take(a.automaton, at, (uint8_t)*p)) == AUTOMATON_FULL) {
			cr_assert(automaton_is_held(a.automaton));
			cr_assert_lt(++held, 1000u);
			automaton_allow(a.automaton, 1, NULL);
		}
		at = next;
		same = automaton_take(b.automaton, same, (uint8_t)*p);
		cr_assert_eq(at, same);
		automaton_allow(a.automaton, 0, NULL);
		cr_assert(!automaton_spend(a.automaton, 1) && automaton_is_held(a.automaton));
	}
	acceptor_close(&a);
	acceptor_close(&b);
}

Test(grammar, alternatives_in_one_list_or_in_groups_are_the_same)
{
	static const char *const piece[] = { "a", "b", "ab", "a?", "[ab]", "b*", "(ba)", "\xC3\xA9" };
	uint32_t random = 1;
	for (int round = 0; round < 60; round++) {
		struct buf flat = { 0 }, groups = { 0 };
		for (int i = 0; i < 24; i++) {
			struct buf one = { 0 };
			for (int k = 0; k < 4; k++)
				if ((random = random * 1664525 + 1013904223) >> 30 != 0)
					buf_add_text(&one, piece[random >> 16 & 7]);
			buf_printf(&flat, "%s%s", i > 0 ? "|" : "", one.bytes ? one.bytes : "");
			buf_printf(&groups, "%s%s", i == 0 ? "(" : i % 6 == 0 ? ")|(" : "|",
				   one.bytes ? one.bytes : "");
			buf_free(&one);
		}
		buf_add_text(&groups, ")");
		struct acceptor x = open_text(GRAMMAR_REGEX, flat.bytes);
		struct acceptor y = open_text(GRAMMAR_REGEX, groups.bytes);
		for (unsigned n = 1; n < 2187; n++) { /* up to 7 letters of a, b, e with accent */
			char text[32];
			size_t len = 0;
			for (unsigned v = n; v > 1; v /= 3) {
				if (v % 3 == 2)
					text[len++] = (char)0xC3;
				text[len++] = (char)(v % 3 == 0 ? 'a' : v % 3 == 1 ? 'b' : 0xA9);
			}
			for (int whole = 0; whole < 2; whole++)
				cr_assert_eq(acceptor_takes(&x, text, len, whole),
					     acceptor_takes(&y, text, len, whole), "%s: %.*s",
					     flat.bytes, (int)len, text);
		}
		acceptor_close(&x);
		acceptor_close(&y);
		buf_free(&flat);
		buf_free(&groups);
	}
}

Test(grammar, large_ones_are_refused_by_the_limit_they_meet)
{
	for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
		struct acceptor a;
		struct buf text = { 0 };
		struct err e = { 0 };
		repeat_add(&text, large[i].before, large[i].n);
		buf_add_text(&text, large[i].middle);
		repeat_add(&text, large[i].after, large[i].n);
		int rc = acceptor_open(&a, large[i].kind, text.bytes, text.len, &e);
		if (large[i].word == NULL)
			cr_expect_eq(rc, 0, "row %zu: %s", i, e.text);
		else
			cr_expect(rc == ERR_INPUT && strstr(e.text, large[i].word), "row %zu: %d %s", i, rc, e.text);
		acceptor_close(&a);
		buf_free(&text);
	}
}

Test(grammar, answers_beyond_the_depth_are_not_begun)
{
	struct acceptor a = open_text(GRAMMAR_JSON_OBJECT, "");
	struct buf text = { 0 };
	size_t depth = 0;
	buf_add_text(&text, "{\"a\":");
	while (depth < 2000 && acceptor_takes(&a, text.bytes, text.len, false)) {
		buf_add_text(&text, "[");
		depth++;
	}
	cr_expect(depth > 100 && depth < 500, "%zu arrays in each other", depth);
	text.len--;
	repeat_add(&text, "]", depth - 1);
	buf_add_text(&text, "}");
	cr_expect(acceptor_takes(&a, text.bytes, text.len, true));
	buf_free(&text);
	acceptor_close(&a);
}

/* The constraint's own rules have the names of the frame's, and are not theirs. */
Test(grammar, a_frame_stands_around_a_constraint_of_any_kind)
{
	static const char frame[] = "root ::= (free @\"</t>\" \"\\n\"?)? (\"A\" answer \"B\" | word)\n"
				    "word ::= \"none\" free ::= \"\" | [^<] free | \"<\" open open ::= \"\" | "
				    "\"<\" open | [^</] free\n";
	static const struct {
		enum grammar_kind kind;
		const char *text, *good[3], *bad[3];
	} rows[] = {
		{ GRAMMAR_JSON_OBJECT, "", { "A{}B", "A{\"a\": [1]}B" }, { "{}", "A{}" } },
		{ GRAMMAR_SCHEMA, "{\"type\":\"integer\"}", { "A7B", "A-12B" }, { "A1.5B", "7" } },
		{ GRAMMAR_REGEX, "x+|^y$", { "AxxB", "AyB" }, { "AB", "AyyB" } },
		{ GRAMMAR_CHOICE, "[\"B\",\"BB\"]", { "ABB", "ABBB" }, { "AB" } },
		{ GRAMMAR_RULES, "root ::= word free word ::= \"w\" free ::= \"f\"*",
		  { "AwB", "AwffB" }, { "AnoneB", "AwxB" } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct grammar_text t = { rows[i].kind, rows[i].text, strlen(rows[i].text), frame,
					  sizeof frame - 1 };
		static const char *const before[] = { "", "think <b\xFF</t>\xFF", "\xFF</t>\xFF\n" };
		struct acceptor a;
		struct err e = { 0 };
		cr_assert_eq(acceptor_open_framed(&a, &t, &e), 0, "%zu: %s", i, e.text);
		for (size_t k = 0; k < 3; k++) {
			char text[200];
			for (size_t b = 0; b < 3 && rows[i].good[k]; b++) {
				snprintf(text, sizeof text, "%s%s", before[b], rows[i].good[k]);
				cr_expect(acceptor_takes(&a, text, strlen(text), true), "%zu: %s", i, text);
			}
			for (size_t b = 0; b < 3 && rows[i].bad[k]; b++) {
				snprintf(text, sizeof text, "%s%s", before[b], rows[i].bad[k]);
				cr_expect(!acceptor_takes(&a, text, strlen(text), true), "%zu: %s", i, text);
			}
		}
		cr_expect(acceptor_takes(&a, "none", 4, true));
		cr_expect(!acceptor_takes(&a, "think </", 8, false), "the end of thinking is a token of its own");
		acceptor_close(&a);
	}
}

Test(grammar, an_error_in_a_frame_or_in_what_it_frames_is_said)
{
	struct grammar_text t = { GRAMMAR_REGEX, "(", 1, "root ::= answer", 15 };
	struct grammar *g;
	struct err e = { 0 };
	cr_expect_eq(grammar_open(&g, &t, &e), ERR_INPUT);
	t.text = "a";
	t.frame = "root ::= other";
	t.frame_len = 14;
	cr_expect_eq(grammar_open(&g, &t, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "other"), "%s", e.text);
}
