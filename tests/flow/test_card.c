/* What a card declares stands in its front matter, as YAML spells it. */
#include "flow/card.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *row, *card, *base, *relation, *license; /* base: all of them, by commas */
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
	{ "a list", "---\nlicense:\n- mit\n- x\nbase_model:\n  - \"a/b\"\n  - c/d\n---\n", "a/b,c/d",
	  "", "mit" },
	{ "a list in brackets", "---\nbase_model: [a/b, \"c/d\",'e/f' ]\nlicense: [mit]\n---\n",
	  "a/b,c/d,e/f", "", "mit" },
	{ "brackets over lines",
	  "---\nbase_model: [ # two\n  a/b, # one\n\n  c/d # other\n  ,\n]\nlicense: mit\n---\n",
	  "a/b,c/d", "", "mit" },
	{ "brackets that do not end", "---\nbase_model: [a/b, c/d\nlicense: mit\n---\n", "", "",
	  "mit" },
	{ "nothing in brackets", "---\nbase_model: []\nlicense: [ ]\n---\n", "", "", "" },
	{ "nested in brackets", "---\nbase_model: [a/b, [c/d]]\nlicense: [x: y]\n---\n", "", "",
	  "" },
	{ "a map is no text", "---\nlicense: {a: b}\nbase_model:\n  name: a/b\n---\n", "", "",
	  "" },
	{ "comments before and in a list",
	  "---\nbase_model: # the merge\n# of\n\n  # these\n- a/b # first\n\n# then\n- c/d\n---\n",
	  "a/b,c/d", "", "" },
	{ "a list of other things", "---\nbase_model:\n- name: a/b\n- - c/d\n- e/f\n---\n", "e/f",
	  "", "" },
	{ "a list ends with the next key", "---\nbase_model:\n- a/b\ntags:\n- x\n---\n", "a/b", "",
	  "" },
	{ "one named twice", "---\nbase_model: [a/b, a/b, c/d]\n---\n", "a/b,c/d", "", "" },
	{ "a text on the line below", "---\nbase_model:\n  a/b\nlicense:\n  mit # so\n---\n", "a/b",
	  "", "mit" },
	{ "quoted keys, and blanks before the colon",
	  "---\n\"base_model\": a/b\n'license' : mit\nbase_model_relation :merge\n---\n", "a/b", "",
	  "mit" },
	{ "no blank after the colon is no key", "---\nlicense:mit\n---\n", "", "", "" },
	{ "quotes in quotes",
	  "---\nlicense: 'it''s'\nbase_model: \"a \\\"b\\\"\" # c\n---\n", "a \"b\"", "",
	  "it's" },
	{ "a list with carriage returns, a mark and comments",
	  "\xef\xbb\xbf---\r\n# card\r\nbase_model:\r\n\r\n# two\r\n- \"a/b\"\r\n- c/d # x\r\n"
	  "base_model_relation: merge\r\nlicense: mit\r\n---\r\n",
	  "a/b,c/d", "merge", "mit" },
	{ "carriage returns alone", "---\rlicense: mit\rbase_model: [a/b]\r---\r", "a/b", "", "mit" },
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
		char base[600] = "";
		flow_card_parse(rows[i].card, &c);
		for (size_t k = 0; k < c.bases; k++)
			snprintf(base + strlen(base), sizeof base - strlen(base), "%s%s",
				 k ? "," : "", c.base[k]);
		cr_expect_str_eq(base, rows[i].base, "%s: base %s", rows[i].row, base);
		cr_expect_str_eq(c.relation, rows[i].relation, "%s: relation %s", rows[i].row,
				 c.relation);
		cr_expect_str_eq(c.license, rows[i].license, "%s: license %s", rows[i].row,
				 c.license);
	}
}

Test(flow_card, more_bases_than_there_is_room_for_are_left_out)
{
	char card[2000] = "---\nbase_model:\n";
	struct flow_card c;
	for (int i = 0; i < 2 * FLOW_CARD_BASES; i++)
		snprintf(card + strlen(card), sizeof card - strlen(card), "- a/m%d\n", i);
	strcat(card, "---\n");
	flow_card_parse(card, &c);
	cr_expect_eq(c.bases, FLOW_CARD_BASES);
	cr_expect(flow_card_declares(&c, "a/m15") && !flow_card_declares(&c, "a/m16") &&
		  !flow_card_declares(&c, "a/m"));
}

Test(flow_card, a_base_is_named_as_hubs_name_it)
{
	struct flow_card c;
	flow_card_parse("---\nbase_model: [Acme/Base, \"https://huggingface.co/acme/other\"]\n---\n", &c);
	cr_expect(flow_card_declares(&c, "acme/base") && flow_card_declares(&c, "acme/Other"));
	cr_expect(!flow_card_declares(&c, "acme/base-2") && !flow_card_declares(&c, "other"));
}

/* No beginning of a card makes the reader leave it. */
Test(flow_card, a_card_may_end_anywhere)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t len = strlen(rows[i].card); len-- > 0;) {
			char *cut = strndup(rows[i].card, len);
			struct flow_card c;
			flow_card_parse(cut, &c);
			free(cut);
		}
}
