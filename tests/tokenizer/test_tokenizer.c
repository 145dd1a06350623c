#include "support.h"

#include "base/text.h"

#include <criterion/criterion.h>
#include <string.h>

#define FOLDER "tests/vectors/tokenizers/"

/* Calls f for each line of a JSONL file. */
static size_t each_line(const char *path, void (*f)(const json_t *row, size_t line, void *ctx), void *ctx)
{
	struct buf b = vector_read(path);
	size_t lines = 0;
	for (char *at = b.bytes, *end; at < b.bytes + b.len && (end = strchr(at, '\n')); at = end + 1) {
		json_t *row = vector_json(at, (size_t)(end - at));
		f(row, lines++, ctx);
		json_decref(row);
	}
	buf_free(&b);
	return lines;
}

static void check_case(const json_t *row, size_t line, void *ctx)
{
	struct tokenizer *t = ctx;
	struct err e = { 0 };
	struct token_ids ids = { 0 };
	struct buf text = { 0 };
	const json_t *in = json_object_get(row, "text"), *decoded = json_object_get(row, "decoded");
	int rc = tokenizer_encode(t, json_string_value(in), json_string_length(in), true, false, &ids, &e);
	cr_assert_eq(rc, 0, "line %zu: %s", line, e.text);
	cr_expect(ids_equal(&ids, json_object_get(row, "ids")), "line %zu: ids differ", line);
	cr_assert_eq(tokenizer_decode(t, ids.id, ids.count, false, &text, &e), 0);
	cr_expect(text.len == json_string_length(decoded) &&
	          memcmp(text.bytes ? text.bytes : "", json_string_value(decoded), text.len) == 0,
	          "line %zu: decoded text differs", line);
	token_ids_free(&ids);
	buf_free(&text);
}

Test(tokenizer, ids_and_text_of_released_tokenizers_are_exact)
{
	static const char *const names[] = { "qwen3", "deepseek_v3" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[200];
		snprintf(path, sizeof path, FOLDER "%s.tokenizer.json.xz", names[i]);
		struct tokenizer *t = vector_tokenizer(path);
		snprintf(path, sizeof path, FOLDER "%s.cases.jsonl", names[i]);
		cr_assert_geq(each_line(path, check_case, t), 400);
		tokenizer_close(t);
	}
}

static void check_sample(const json_t *row, size_t line, void *ctx)
{
	struct tokenizer *t = ctx;
	struct err e = { 0 };
	struct token_ids ids = { 0 };
	struct buf text = { 0 };
	const json_t *in = json_object_get(row, "prompt"), *out = json_object_get(row, "output_ids");
	int rc = tokenizer_encode(t, json_string_value(in), json_string_length(in), true, false, &ids, &e);
	cr_assert_eq(rc, 0, "%s", e.text);
	cr_expect(ids_equal(&ids, json_object_get(row, "prompt_ids")), "line %zu", line);
	ids.count = 0;
	for (size_t i = 0; i < json_array_size(out); i++) {
		uint32_t id = (uint32_t)json_integer_value(json_array_get(out, i));
		cr_assert_eq(tokenizer_decode(t, &id, 1, true, &text, &e), 0);
	}
	cr_expect_str_eq(text.bytes, json_string_value(json_object_get(row, "text")), "line %zu", line);
	token_ids_free(&ids);
	buf_free(&text);
}

Test(tokenizer, prompts_and_answers_of_the_demo_model_are_exact)
{
	struct tokenizer *t = vector_tokenizer("demo/model/tokenizer.json");
	cr_assert_eq(each_line("demo/model/samples.jsonl", check_sample, t), 12);
	tokenizer_close(t);
}

/* A small byte-level tokenizer with holes to fill in. */
static int open_with(struct tokenizer **t, const char *normalizer, const char *pre, const char *model,
                     const char *decoder, struct err *e)
{
	struct buf b = { 0 };
	buf_printf(&b, "{'added_tokens':[{'id':9,'content':'<x>','special':true,'normalized':false}],"
	           "'normalizer':%s,"
	           "'pre_tokenizer':%s,'post_processor':null,'decoder':%s,'model':{'type':'BPE',%s"
	           "'vocab':{'a':0,'b':1,'ab':2,'c':3,'<':4,'x':5,'>':6,'abc':7},'merges':['a b',['ab','c']]}}",
	           normalizer, pre, decoder, model);
	int rc = tokenizer_of(t, b.bytes, e);
	buf_free(&b);
	return rc;
}

Test(tokenizer, components_that_are_not_understood_are_named)
{
	static const struct { const char *normalizer, *pre, *model, *decoder, *says; } rows[] = {
		{ "{'type':'BertNormalizer'}", "null", "", "null", "BertNormalizer" },
		{ "{'type':'Sequence','normalizers':[{'type':'Precompiled'}]}", "null", "", "null", "Precompiled" },
		{ "null", "{'type':'BertPreTokenizer'}", "", "null", "BertPreTokenizer" },
		{ "null", "{'type':'Split','pattern':{'Regex':'x'},'behavior':'Sideways'}", "", "null", "Sideways" },
		{ "null", "{'type':'Split','pattern':{'Regex':'(?x) a'},'behavior':'Removed'}", "", "null", "group" },
		{ "null", "{'type':'Split','pattern':{'Regex':'(?~a)'},'behavior':'Removed'}", "", "null", "group" },
		{ "null", "{'type':'Split','pattern':{'Regex':'\\\\p{Script=Han}'},'behavior':'Removed'}", "", "null",
		  "property" },
		{ "null", "{'type':'Split','pattern':{'Regex':'[a&&]'},'behavior':'Removed'}", "", "null", "empty class" },
		{ "null", "{'type':'Split','pattern':{'Regex':'a\\\\Kb'},'behavior':'Removed'}", "", "null", "escape" },
		{ "null", "null", "'dropout':0.1,", "null", "dropout" },
		{ "null", "null", "'end_of_word_suffix':'</w>',", "null", "end_of_word_suffix" },
		{ "null", "null", "'continuing_subword_prefix':'##',", "null", "continuing_subword_prefix" },
		{ "null", "null", "", "{'type':'WordPiece'}", "WordPiece" },
		{ "null", "null", "", "{'type':'Sequence','decoders':[{'type':'Fuse'},{'type':'ByteFallback'}]}",
		  "joined" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tokenizer *t = NULL;
		struct err e = { 0 };
		cr_expect_eq(open_with(&t, rows[i].normalizer, rows[i].pre, rows[i].model, rows[i].decoder, &e),
		             ERR_UNSUPPORTED, "%s: %s", rows[i].says, e.text);
		cr_expect(strstr(e.text, rows[i].says), "%s: %s", rows[i].says, e.text);
		cr_expect_null(t);
	}
}

Test(tokenizer, contradictory_files_are_refused)
{
	static const char *const files[] = {
		"{}", "[]", "{'model':{'type':'Unigram','vocab':[]}}",
		    "{'model':{'type':'BPE','vocab':{},'merges':['a b']}}",
		"{'model':{'type':'BPE','vocab':{'a':0,'b':0},'merges':[]}}",
		"{'model':{'type':'BPE','vocab':{'a':-1},'merges':[]}}",
		"{'model':{'type':'BPE','vocab':{'a':99999999},'merges':[]}}",
		"{'model':{'type':'BPE','vocab':{'a':0,' ':1},'merges':['a   ']}}",
		"{'added_tokens':[{'id':0,'content':'x'}],'model':{'type':'BPE','vocab':{'a':0},'merges':[]}}",
		"{'added_tokens':[{'content':'x'}],'model':{'type':'BPE','vocab':{'a':0},'merges':[]}}",
		"{'model':{'type':'BPE','unk_token':'u','vocab':{'a':0},'merges':[]}}",
		"{'model':{'type':'BPE','byte_fallback':'yes','vocab':{'a':0},'merges':[]}}",
		"{'added_tokens':{'a':0},'model':{'type':'BPE','vocab':{'a':0},'merges':[]}}",
		"{'pre_tokenizer':{'type':'Split','pattern':{'String':'a'}},"
		"'model':{'type':'BPE','vocab':{'a':0},'merges':[]}}",
	};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct tokenizer *t = NULL;
		struct err e = { 0 };
		cr_expect_lt(tokenizer_of(&t, files[i], &e), 0, "%s", files[i]);
		cr_expect_gt(strlen(e.text), 10, "%s", files[i]);
		cr_expect_null(t);
	}
}

static void check_ids(const struct tokenizer *t, const char *text, bool special, const char *expected)
{
	struct token_ids ids = { 0 };
	struct err e = { 0 };
	json_t *want = vector_json(expected, strlen(expected));
	cr_assert_eq(tokenizer_encode(t, text, strlen(text), special, false, &ids, &e), 0, "%s", e.text);
	cr_expect(ids_equal(&ids, want), "%s: want %s", text, expected);
	json_decref(want);
	token_ids_free(&ids);
}

Test(tokenizer, components_do_what_their_names_say)
{
	static const struct { const char *normalizer, *pre, *model, *text, *ids; } rows[] = {
		{ "null", "null", "", "abcab", "[7,2]" },
		{ "{'type':'Lowercase'}", "null", "", "ABC", "[7]" },
		{ "{'type':'Replace','pattern':{'String':'-'},'content':'b'}", "null", "", "a-c", "[7]" },
		{ "{'type':'Prepend','prepend':'a'}", "null", "", "bc", "[7]" },
		{ "{'type':'Strip','strip_left':true,'strip_right':true}", "null", "", "  ab ", "[2]" },
		{ "null", "{'type':'Split','pattern':{'String':'b'},'behavior':'Isolated'}", "", "abc", "[0,1,3]" },
		{ "null", "{'type':'Split','pattern':{'String':'b'},'behavior':'Removed'}", "", "abc", "[0,3]" },
		{ "null", "{'type':'Split','pattern':{'String':'b'},'behavior':'MergedWithPrevious'}", "", "abc", "[2,3]" },
		{ "null", "{'type':'Split','pattern':{'String':'b'},'behavior':'MergedWithNext'}", "", "abcab",
		  "[0,1,3,0,1]" },
		{ "null", "{'type':'Split','pattern':{'String':'b'},'behavior':'Removed','invert':true}", "", "abc",
		  "[1]" },
		{ "null", "{'type':'WhitespaceSplit'}", "", "ab\u3000abc", "[2,7]" },
		{ "null", "{'type':'Split','pattern':{'Regex':'[a-c&&[^b]]'},'behavior':'Removed'}", "", "abc", "[1]" },
		{ "null", "{'type':'Split','pattern':{'String':'?'},'behavior':'Isolated'}", "", "ab", "[2]" },
		{ "{'type':'Strip','strip_left':true}", "{'type':'Metaspace','replacement':'a','prepend_scheme':'first',"
		  "'split':false}", "", " bc", "[1,3]" },
		{ "{'type':'Strip','strip_left':true}", "{'type':'Metaspace','replacement':'a','prepend_scheme':'first',"
		  "'split':false}", "", "bc", "[7]" },
		{ "null", "null", "'ignore_merges':true,", "abc", "[7]" },
		{ "null", "null", "'unk_token':'x',", "a??b", "[0,5,5,1]" },
		{ "null", "null", "'unk_token':'x','fuse_unk':true,", "a??b", "[0,5,1]" },
		{ "null", "null", "", "a??b", "[2]" },
		{ "null", "null", "", "a<x>b", "[0,9,1]" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tokenizer *t = NULL;
		struct err e = { 0 };
		cr_assert_eq(open_with(&t, rows[i].normalizer, rows[i].pre, rows[i].model, "null", &e), 0, "%s", e.text);
		check_ids(t, rows[i].text, true, rows[i].ids);
		tokenizer_close(t);
	}
}

/* Ids by the reference library. */
Test(tokenizer, expressions_mean_what_they_mean_to_oniguruma)
{
	static const struct { const char *regex, *behaviour, *text, *ids; } rows[] = {
		{ "(?=b)", "Isolated", "abc", "[0,1,3]" },  /* an empty match keeps its sides apart */
		{ "(?=b)", "MergedWithNext", "abc", "[0,1,3]" },
		{ "[ab]{1,2}+", "Isolated", "aabc", "[0,2,3]" }, /* an interval is never possessive */
		{ "[ab]+?{2}", "Isolated", "aabc", "[0,0,1,3]" },
		{ "a{2}?", "Removed", "aabc", "[1,3]" },
		{ "a++b", "Removed", "aabc", "[3]" },
		{ "a(?i)B|C", "Removed", "abc", "[3]" }, /* a(?i:B|C) */
		{ "[^a-c&&[^b]]", "Removed", "abc", "[0,3]" },
		{ "[a-c&&[a-b]&&[^a]]", "Removed", "abc", "[0,3]" },
		{ "[[^a-b]a]", "Removed", "abc", "[1]" },
		{ "[^\\\\Wa]", "Removed", "abc", "[0]" },
		{ "[\\\\s-]b", "Removed", "a-b bc", "[0,3]" },
		{ "[]a]", "Removed", "abc", "[1,3]" },
		{ "[[:^alpha:]b]", "Removed", "a.bc", "[0,3]" },
		{ "\\\\p{lowercase letter}\\\\w", "Removed", "a\u00b2b\u2160c\u24d0", "[]" },
		{ "[[:punct:]]", "Removed", "a\u20acb", "[0,1]" },
		{ "(?#a)b", "Removed", "abc", "[0,3]" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tokenizer *t = NULL;
		struct err e = { 0 };
		char pre[200];
		snprintf(pre, sizeof pre, "{'type':'Split','pattern':{'Regex':'%s'},'behavior':'%s'}", rows[i].regex,
		         rows[i].behaviour);
		cr_assert_eq(open_with(&t, "null", pre, "", "null", &e), 0, "%s: %s", rows[i].regex, e.text);
		check_ids(t, rows[i].text, true, rows[i].ids);
		tokenizer_close(t);
	}
}

/* Models are trained on what the reference library makes of a text: on its tables. */
Test(tokenizer, characters_younger_than_the_references_tables_are_left_alone)
{
	static const struct { const char *normalizer, *pre, *text, *ids; } rows[] = {
		{ "{'type':'NFKD'}", "null", "a\uff42c", "[7]" },
		{ "{'type':'NFKD'}", "null", "a\U0001fbf9\U00010783\u32ff", "[0,5,5,5]" },
		{ "{'type':'NFC'}", "null", "\u1ac0\u0327", "[5,5]" },
		{ "null", "{'type':'Punctuation','behavior':'Removed'}", "a\u3001b", "[0,1]" },
		{ "null", "{'type':'Punctuation','behavior':'Removed'}", "a\u2e5db\u166d", "[0,5,1]" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tokenizer *t = NULL;
		struct err e = { 0 };
		cr_assert_eq(open_with(&t, rows[i].normalizer, rows[i].pre, "'unk_token':'x',", "null", &e), 0, "%s",
		             e.text);
		check_ids(t, rows[i].text, true, rows[i].ids);
		tokenizer_close(t);
	}
}

Test(tokenizer, added_tokens_meet_text_and_merges_as_in_the_reference)
{
	static const struct { const char *token, *normalizer, *text, *ids, *as_data; } rows[] = {
		/* of the vocabulary too: merged where the word does not stand alone, but never out of data */
		{ "'id':2,'content':'ab','single_word':true", "null", "ab abc", "[2,7]", "[0,1,0,1,3]" },
		/* not of the vocabulary: never made by the model */
		{ "'id':8,'content':' ','normalized':false", "{'type':'NFKC'}", "a b\u2003c", "[0,8,1,3]", "[0,8,1,3]" },
		/* the first takes all white space, and with it the second */
		{ "'id':8,'content':'\\n','lstrip':true,'rstrip':true", "null", "a \n\n b", "[0,8,1]", "[0,8,1]" },
		{ "'id':8,'content':'\\n','rstrip':true", "null", "a\n\nb", "[0,8,8,1]", "[0,8,8,1]" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tokenizer *t = NULL;
		struct err e = { 0 };
		struct buf b = { 0 };
		buf_printf(&b, "{'added_tokens':[{%s}],'normalizer':%s,'model':{'type':'BPE',"
		           "'vocab':{'a':0,'b':1,'ab':2,'c':3,'abc':7},'merges':['a b','ab c']}}",
		           rows[i].token, rows[i].normalizer);
		cr_assert_eq(tokenizer_of(&t, b.bytes, &e), 0, "%s", e.text);
		check_ids(t, rows[i].text, true, rows[i].ids);
		check_ids(t, rows[i].text, false, rows[i].as_data);
		buf_free(&b);
		tokenizer_close(t);
	}
}

/* A token that is white space and takes white space: a long run is not looked through again from each
 * place. Without lstrip those inside it are found nevertheless, as in the reference. */
Test(tokenizer, added_white_space_takes_a_long_run_in_time)
{
	static char text[300000];
	static const struct { const char *strips; size_t count; } rows[] = {
		{ "'rstrip':true", sizeof text }, { "'lstrip':true,'rstrip':true", 1 }, { "'lstrip':true", sizeof text },
	};
	memset(text, ' ', sizeof text);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tokenizer *t = NULL;
		struct token_ids ids = { 0 };
		struct buf b = { 0 };
		struct err e = { 0 };
		buf_printf(&b, "{'added_tokens':[{'id':8,'content':' ',%s}],'model':{'type':'BPE',"
		           "'vocab':{'a':0},'merges':[]}}", rows[i].strips);
		cr_assert_eq(tokenizer_of(&t, b.bytes, &e), 0, "%s", e.text);
		cr_assert_eq(tokenizer_encode(t, text, sizeof text, true, false, &ids, &e), 0, "%s", e.text);
		cr_expect_eq(ids.count, rows[i].count, "%s: %zu", rows[i].strips, ids.count);
		token_ids_free(&ids);
		buf_free(&b);
		tokenizer_close(t);
	}
}

Test(tokenizer, spelling_of_a_special_token_stays_text_unless_asked)
{
	struct tokenizer *t = NULL;
	struct err e = { 0 };
	cr_assert_eq(open_with(&t, "null", "null", "", "{'type':'Fuse'}", &e), 0, "%s", e.text);
	check_ids(t, "<x>", true, "[9]");
	check_ids(t, "<x>", false, "[4,5,6]");
	struct token_ids ids = { 0 };
	cr_expect_eq(tokenizer_encode(t, "\xff", 1, true, false, &ids, &e), ERR_INPUT);
	struct buf text = { 0 };
	cr_expect_eq(tokenizer_decode(t, (uint32_t[]){ 8 }, 1, false, &text, &e), ERR_INPUT, "no such id");
	cr_expect_eq(tokenizer_decode(t, (uint32_t[]){ 77 }, 1, false, &text, &e), ERR_INPUT);
	cr_expect_eq(tokenizer_decode(t, (uint32_t[]){ 2, 9, 3 }, 3, true, &text, &e), 0);
	cr_expect_str_eq(text.bytes, "abc");
	buf_free(&text);
	token_ids_free(&ids);
	tokenizer_close(t);
}

/* Pieces of text that meet every branch, strung together by a small generator. */
Test(tokenizer, decoding_what_was_encoded_gives_the_text_back)
{
	static const char *const parts[] = { "a", " ", "\n", "你", "é", "e\xcc\x81", "😀", "<｜User｜>", "123456",
	    "'s", "\t",
		"\r\n", "ﬁ", "...", "\xe3\x80\x80", "x=1;", "<｜", "\xc2\xa0" };
	struct tokenizer *t = vector_tokenizer("demo/model/tokenizer.json");
	uint32_t seed = 7;
	for (int row = 0; row < 500; row++) {
		struct buf text = { 0 }, back = { 0 };
		struct token_ids ids = { 0 };
		struct err e = { 0 };
		for (int i = 0; i < 12; i++) {
			seed = seed * 1664525 + 1013904223;
			buf_add_text(&text, parts[(seed >> 16) % (sizeof parts / sizeof *parts)]);
		}
		cr_assert_eq(tokenizer_encode(t, text.bytes, text.len, row % 2, false, &ids, &e), 0);
		cr_assert_eq(tokenizer_decode(t, ids.id, ids.count, false, &back, &e), 0);
		cr_expect_str_eq(back.bytes, text.bytes);
		token_ids_free(&ids);
		buf_free(&text);
		buf_free(&back);
	}
	tokenizer_close(t);
}

Test(tokenizer, a_megabyte_in_one_piece_merges_in_time)
{
	struct tokenizer *t = NULL;
	struct err e = { 0 };
	struct buf text = { 0 };
	struct token_ids ids = { 0 };
	cr_assert_eq(open_with(&t, "null", "null", "", "null", &e), 0, "%s", e.text);
	for (int i = 0; i < 1 << 18; i++)
		buf_add_text(&text, "abca");
	cr_assert_eq(tokenizer_encode(t, text.bytes, text.len, true, false, &ids, &e), 0);
	cr_expect_eq(ids.count, 1u << 19);
	token_ids_free(&ids);
	buf_free(&text);
	tokenizer_close(t);
}
