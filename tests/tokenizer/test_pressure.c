/* Out of memory at any allocation: tests/shared/press.h. */
#include "support.h"
#include "tokenizer/onig.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

static int run_onig(const struct work *w, struct err *e)
{
	struct onig *r = NULL;
	struct onig_scratch s = { 0 };
	struct onig_scan scan = { 0 };
	size_t begin, end;
	int rc = onig_open(&r, w->text, w->len, e);
	while (rc >= 0 && (rc = onig_next(r, &s, w->more, strlen(w->more), &scan, &begin, &end, e)) > 0)
		buf_printf(&press_answer, "%zu-%zu ", begin, end);
	onig_scratch_free(&s);
	onig_close(r);
	return rc;
}

Test(tokenizer_pressure, expressions)
{
	static const char *const pattern[] = {
		"[^\\s\\p{L}\\p{N}]+[\\r\\n]*",
		"(?i:'s|'t|'re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}",
		"[[:alpha:]&&[^a-z\\P{Lu}]&&[\\w]]{2,3}?(?i)x(?:a|b)+*",
		"[\\p{Han}[^\\d[a-f]]\\W]+(?m:.)\\h(?<=a)",
	};
	for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++)
		press(pattern[i], &(struct work){ run_onig, pattern[i], strlen(pattern[i]), "It's 'RE a x1234 ." });
}

static int run_tokenizer(const struct work *w, struct err *e)
{
	struct tokenizer *t = NULL;
	struct token_ids ids = { 0 };
	struct buf out = { 0 };
	int rc = tokenizer_open(&t, w->text, w->len, e);
	if (rc == 0)
		rc = tokenizer_encode(t, w->more, strlen(w->more), true, true, &ids, e);
	if (rc == 0)
		rc = tokenizer_decode(t, ids.id, ids.count, false, &out, e);
	buf_add(&press_answer, ids.id, ids.count * sizeof *ids.id);
	buf_add(&press_answer, out.bytes, out.len);
	buf_free(&out);
	token_ids_free(&ids);
	tokenizer_close(t);
	return rc;
}

Test(tokenizer_pressure, files)
{
	struct buf file = vector_read("demo/model/tokenizer.json");
	press("tokenizer.json", &(struct work){ run_tokenizer, file.bytes, file.len,
		                                "The bank's 12 rules, and <|endoftext|> no other." });
	buf_free(&file);
}
