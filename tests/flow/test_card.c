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
	{ "nested in brackets", "---\nbase_model: [a/b, [c/d]]\nlicense: [x: y]\n---\n", "a/b,c/d",
	  "", "" },
	{ "a map with a name", "---\nlicense: {a: b}\nbase_model:\n  name: a/b\n---\n", "a/b", "",
	  "" },
	{ "comments before and in a list",
	  "---\nbase_model: # the merge\n# of\n\n  # these\n- a/b # first\n\n# then\n- c/d\n---\n",
	  "a/b,c/d", "", "" },
	{ "a list of other things", "---\nbase_model:\n- name: a/b\n- - c/d\n- e/f\n---\n", "a/b,c/d,e/f",
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
	{ "blocks", "---\nlicense: |\n  mit\nbase_model: >-\n  a/b\n---\n", "a/b", "", "mit" },
	{ "a block of several", "---\nbase_model: |\n  a/b\n  c/d\n---\n", "a/b,c/d", "", "" },
	{ "several in one text", "---\nbase_model: a/b, c/d\n---\n", "a/b,c/d", "", "" },
	{ "anchors, aliases and tags",
	  "---\nbase_model: &m a/b\nlicense: !!str mit\nbase_model_relation: *m\n---\n", "a/b",
	  "a/b", "mit" },
	{ "keys merged in", "---\nx: &d\n  license: mit\n<<: *d\nbase_model: a/b\n---\n", "a/b", "",
	  "mit" },
	{ "an anchor in itself", "---\nbase_model: &a [a/b, *a]\n---\n", "a/b", "", "" },
	{ "an alias of nothing", "---\nbase_model: *a\nlicense: mit\n---\n", "", "", "mit" },
	{ "a tag of hubs",
	  "---\ntags:\n- base_model:quantized:a/b\n- base_model:c/d\n- x\nlicense: mit\n---\n",
	  "a/b,c/d", "", "mit" },
	{ "words for none", "---\nbase_model: [none, \"\", N/A, scratch]\n---\n", "", "", "" },
	{ "results nested below model-index",
	  "---\nmodel-index:\n- name: m\n  results:\n  - task:\n      type: x\n    metrics:\n"
	  "    - {type: acc, value: 0.5, base_model: x/y}\nlicense: mit\nbase_model: a/b\n---\n",
	  "a/b", "", "mit" },
	{ "a text over lines",
	  "---\ndescription: >\n  base_model: x/y\n  and more\nquote: \"a\n  license: gpl\n  b\"\n"
	  "license: mit\nbase_model: a/b\n---\n",
	  "a/b", "", "mit" },
	{ "a mistake costs its own key",
	  "---\nbase_model: a/b\ndescription: this: is not YAML\nlicense: mit\n---\n", "a/b", "",
	  "mit" },
	{ "tabs", "---\nbase_model: a/b\nx:\n\t- y\nlicense: mit\n---\n", "a/b", "", "mit" },
	{ "blank lines before", "\n\n---\nlicense: mit\n---\n", "", "", "mit" },
	{ "a relation in capitals", "---\nbase_model_relation: Quantized\n---\n", "", "quantized",
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

static void parse(const char *card, struct flow_card *c)
{
	struct err e = { 0 };
	cr_assert_eq(flow_card_parse(card, strlen(card), c, &e), 0, "%s", e.text);
}

Test(flow_card, declares_what_its_front_matter_says)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct flow_card c;
		char base[600] = "";
		parse(rows[i].card, &c);
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
	parse(card, &c);
	cr_expect_eq(c.bases, FLOW_CARD_BASES);
	cr_expect(flow_card_declares(&c, "a/m15") && !flow_card_declares(&c, "a/m16") &&
		  !flow_card_declares(&c, "a/m"));
}

static const struct {
	const char *text;
	enum flow_match match; /* with acme/Base-7B */
} names[] = {
	{ "acme/Base-7B", FLOW_SAME },
	{ "ACME/base-7b", FLOW_SAME },
	{ " acme/base-7b/ ", FLOW_SAME },
	{ "acme/base-7b@v1.0", FLOW_SAME },
	{ "acme/base-7b:Q4_K_M", FLOW_SAME },
	{ "acme/base-7b.git", FLOW_SAME },
	{ "acme/base-7b/tree/main", FLOW_SAME },
	{ "acme/base-7b/base-7b.gguf", FLOW_SAME },
	{ "acme%2Fbase-7b", FLOW_SAME },
	{ "https://huggingface.co/acme/base-7b", FLOW_SAME },
	{ "https://huggingface.co/acme/base-7b/", FLOW_SAME },
	{ "http://www.huggingface.co/acme/base-7b/tree/main?x=y#z", FLOW_SAME },
	{ "https://huggingface.co/acme/base-7b/blob/main/README.md", FLOW_SAME },
	{ "https://huggingface.co/models/acme/base-7b", FLOW_SAME },
	{ "<https://huggingface.co/acme/base-7b>", FLOW_SAME },
	{ "[acme/Base-7B](https://huggingface.co/acme/base-7b)", FLOW_SAME },
	{ "[the base](https://hf.co/acme/base-7b)", FLOW_SAME },
	{ "<a href=\"https://hf.co/acme/base-7b\">it</a>", FLOW_SAME },
	{ "`acme/base-7b`", FLOW_SAME },
	{ "huggingface.co/acme/base-7b", FLOW_SAME },
	{ "hf.co/acme/base-7b:Q8_0", FLOW_SAME },
	{ "hf://acme/base-7b@main", FLOW_SAME },
	{ "hf://models/acme/base-7b", FLOW_SAME },
	{ "git@hf.co:acme/base-7b", FLOW_SAME },
	{ "https://modelscope.cn/models/acme/base-7b/summary", FLOW_SAME },
	{ "https://www.modelscope.cn/models/acme/base-7b", FLOW_SAME },
	{ "modelscope://acme/base-7b", FLOW_SAME },
	{ "https://hf-mirror.com/acme/base-7b", FLOW_SAME },
	{ "/root/.cache/huggingface/hub/models--acme--base-7b/snapshots/0123456789abcdef", FLOW_SAME },
	{ "acme/base-7b (the first release)", FLOW_SAME },
	{ "base-7b", FLOW_ALIKE },
	{ "./base-7b", FLOW_ALIKE },
	{ "../models/Base-7B/", FLOW_ALIKE },
	{ "/data/llm/acme/base-7b", FLOW_ALIKE },
	{ "C:\\models\\base-7b", FLOW_ALIKE },
	{ "~/base-7b/checkpoint-500", FLOW_ALIKE },
	{ "s3://bucket/acme/base-7b", FLOW_ALIKE },
	{ "https://example.com/acme/base-7b", FLOW_ALIKE },
	{ "outputs/run/base-7b", FLOW_ALIKE },
	{ "acme/base-7b-GGUF", FLOW_ALIKE },
	{ "acme/Base-7B-bnb-4bit", FLOW_ALIKE },
	{ "acme/base-7b-AWQ", FLOW_ALIKE },
	{ "base-7b-Q4_K_M.gguf", FLOW_ALIKE },
	{ "./models/base", FLOW_OTHER },
	{ "other/base-7b", FLOW_OTHER },
	{ "unsloth/base-7b-bnb-4bit", FLOW_OTHER },
	{ "acme/base-7b-instruct", FLOW_OTHER },
	{ "acme/base-70b", FLOW_OTHER },
	{ "acme", FLOW_OTHER },
	{ "https://huggingface.co/datasets/acme/base-7b", FLOW_OTHER },
	{ "https://huggingface.co/acme", FLOW_OTHER },
	{ "", FLOW_OTHER },
	{ "///", FLOW_OTHER },
	{ "@", FLOW_OTHER },
	{ "[](", FLOW_OTHER },
	{ "%2f%", FLOW_OTHER },
	{ "models--", FLOW_OTHER },
	{ "models----", FLOW_OTHER },
};

Test(flow_card, a_base_is_named_as_cards_scripts_and_hubs_name_it)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		cr_expect_eq(flow_name_match(names[i].text, "acme/Base-7B"), names[i].match, "%s: %d",
			     names[i].text, flow_name_match(names[i].text, "acme/Base-7B"));
	cr_expect_eq(flow_name_match("acme/base", "/tmp/models/base"), FLOW_ALIKE, "a folder has no name");
}

Test(flow_card, tells_what_it_cannot_read_from_what_is_not_declared)
{
	static const struct {
		const char *card, *words;
	} bad[] = {
		{ "---\nbase_model: a/b\n---\n", "" },
		{ "# no front matter\n", "" },
		{ "---\nlicense: mit\nbase_model: [a/b\n---\n", "line 4" },
		{ "---\nlicense: mit\nx: y: z\n---\n", "line 3" },
		{ "---\njust words\n---\n", "line 2: not a mapping" },
		{ "---\nbase_model: {a: b}\n---\n", "neither a name nor a list" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct flow_card c;
		parse(bad[i].card, &c);
		cr_expect(bad[i].words[0] ? strstr(c.problem, bad[i].words) != NULL : !c.problem[0],
			  "row %zu: %s", i, c.problem);
	}
}

Test(flow_card, takes_what_it_says_of_how_it_was_made)
{
	struct flow_card c;
	parse("---\ntags: [merge, full-finetune]\nmodel_size: 8x7B\nlicense: other\n"
	      "license_name: qwen\nmodel-index:\n- name: Toy\n---\n", &c);
	cr_expect(c.merged && c.all_trained && !c.scratch);
	cr_expect_float_eq(c.parameters, 56e9, 1);
	cr_expect_str_eq(c.license_name, "qwen");
	cr_expect_str_eq(c.model, "Toy");
	parse("---\ntags:\n- trained-from-scratch\nparameters: 7,241,732,096\n---\n", &c);
	cr_expect(c.scratch && !c.merged);
	cr_expect_float_eq(c.parameters, 7241732096.0, 1);
	parse("---\nbase_model: from scratch\nparams: about seven\n---\n", &c);
	cr_expect(c.scratch && c.bases == 0 && !(c.parameters > 0));
	parse("---\ndescription: trained from scratch\n---\ntrained from scratch\n", &c);
	cr_expect(!c.scratch, "prose declares nothing");
}

/* What is shared by aliases stays as small as the text, and what nests is left out. */
Test(flow_card, a_card_cannot_make_its_reader_grow)
{
	struct buf b = { 0 };
	struct flow_card c;
	struct err e = { 0 };
	buf_add_text(&b, "---\nlicense: mit\na0: &a0 [x, x]\n");
	for (int i = 1; i < 200; i++)
		buf_printf(&b, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1);
	buf_add_text(&b, "base_model: *a199\nz: ");
	for (int i = 0; i < 100000; i++)
		buf_add_byte(&b, '[');
	buf_add_text(&b, "\nbase_model_relation: merge\n---\n");
	cr_assert_eq(flow_card_parse(b.bytes, b.len, &c, &e), 0);
	cr_expect_str_eq(c.license, "mit");
	cr_expect_str_eq(c.relation, "merge");
	cr_expect(strstr(c.problem, "deep"), "%s", c.problem);
	buf_free(&b);
}

/* No beginning of a card makes the reader leave it. */
Test(flow_card, a_card_may_end_anywhere)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t len = strlen(rows[i].card); len-- > 0;) {
			char *cut = strndup(rows[i].card, len);
			struct flow_card c;
			parse(cut, &c);
			free(cut);
		}
}
