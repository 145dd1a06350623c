/* What a card declares stands in its front matter, as YAML spells it. */
#include "flow/card.h"

#include <criterion/criterion.h>

static const struct {
	const char *row, *card, *base, *relation, *license;
} rows[] = {
	{ "all three",
	  "---\nlicense: mit\nbase_model: a/b\nbase_model_relation: finetune\n---\ntext\n", "a/b",
	  "finetune", "mit" },
	{ "nothing", "", "", "", "" },
	{ "no front matter", "# Model\n\nlicense: mit\n", "", "", "" },
	{ "only in the text", "---\nbase_model: a/b\n---\nUnder this\nlicense: mit\nyou may\n",
	  "a/b", "", "" },
	{ "the text does not overrule",
	  "---\nlicense: mit\n---\n\nlicense: gpl-3.0\nbase_model: x/y\n", "", "", "mit" },
	{ "front matter that never ends", "---\nlicense: mit\n", "", "", "" },
	{ "front matter that does not begin", "license: mit\n---\n", "", "", "" },
	{ "a longer rule is none", "----\nlicense: mit\n----\n", "", "", "" },
	{ "nested", "---\nextra:\n  license: mit\n---\n", "", "", "" },
	{ "a longer key", "---\nlicense_name: x\nbase_model_relation: merge\n---\n", "", "merge",
	  "" },
	{ "quoted", "---\nlicense: \"mit\"\nbase_model: 'a/b # c'\n---\n", "a/b # c", "", "mit" },
	{ "a comment", "---\nlicense: mit # as before\nbase_model: a/b#c\n---\n", "a/b#c", "",
	  "mit" },
	{ "with spaces", "---\nlicense:   My License  \n---\n", "", "", "My License" },
	{ "carriage returns", "---\r\nlicense: mit\r\nbase_model:\r\n- a/b\r\n---\r\n", "a/b", "",
	  "mit" },
	{ "a byte-order mark", "\xef\xbb\xbf---\nlicense: mit\n---\n", "", "", "mit" },
	{ "a list", "---\nlicense:\n- mit\n- x\nbase_model:\n  - \"a/b\"\n  - c/d\n---\n", "a/b",
	  "", "mit" },
	{ "a list in brackets is not read", "---\nlicense: [mit]\nbase_model: {a: b}\n---\n", "",
	  "", "" },
	{ "neither are blocks", "---\nlicense: |\n  mit\nbase_model: >-\n  a/b\n---\n", "", "",
	  "" },
	{ "nor anchors, aliases and tags",
	  "---\nbase_model: &m a/b\nlicense: !!str mit\nbase_model_relation: *m\n---\n", "", "",
	  "" },
	{ "null is nothing", "---\nlicense: ~\nbase_model: null # yet\n---\n", "", "", "" },
	{ "in quotes all of these are text",
	  "---\nlicense: \"null\"\nbase_model: '*a'\nbase_model_relation: '[x]'\n---\n", "*a",
	  "[x]", "null" },
	{ "an empty value", "---\nlicense:\nbase_model: a/b\n---\n", "a/b", "", "" },
	{ "an empty list", "---\nlicense:\n-\n---\n", "", "", "" },
	{ "a list that is the rule", "---\nlicense:\n---\n- mit\n", "", "", "" },
	{ "the first of two", "---\nlicense: mit\nlicense: x\n---\n", "", "", "mit" },
	{ "not UTF-8",
	  "---\nlicense: a\xff"
	  "b\n---\n",
	  "", "",
	  "a\xef\xbf\xbd"
	  "b" },
	{ "too long",
	  "---\nbase_model_relation: 01234567890123456789012345678901234567890123456789012345678901\xc3\xa4\n---\n",
	  "", "01234567890123456789012345678901234567890123456789012345678901", "" },
};

Test(flow_card, declares_what_its_front_matter_says)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct flow_card c;
		flow_card_parse(rows[i].card, &c);
		cr_expect_str_eq(c.base, rows[i].base, "%s: base %s", rows[i].row, c.base);
		cr_expect_str_eq(c.relation, rows[i].relation, "%s: relation %s", rows[i].row,
				 c.relation);
		cr_expect_str_eq(c.license, rows[i].license, "%s: license %s", rows[i].row,
				 c.license);
	}
}
