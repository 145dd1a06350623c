/* Lines of a tiktoken.model (behind those of the 256 bytes, unless the first byte is odd), a NUL, a text. A
 * file that opens must encode every text to ids that decode to it, and make no special token of it. */
#include "tokenizer/tokenizer.h"

#include "base/check.h"
#include "base/text.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_text(const struct tokenizer *t, const char *text, size_t len)
{
	struct token_ids ids = { 0 };
	struct buf out = { 0 };
	struct err e;
	if (tokenizer_encode(t, text, len, false, true, &ids, &e) == 0) {
		check(tokenizer_decode(t, ids.id, ids.count, true, &out, &e) == 0);
		check(out.len == len && (!len || memcmp(out.bytes, text, len) == 0));
	} else {
		check(!text_utf8_valid(text, len));
	}
	token_ids_free(&ids);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tokenizer *t;
	struct buf file = { 0 };
	struct err e;
	if (!len)
		return 0;
	const char *lines = (const char *)data + 1, *nul = memchr(lines, 0, len - 1);
	size_t n = nul ? (size_t)(nul - lines) : len - 1;
	for (unsigned i = 0; i < 256 && !(data[0] & 1); i++) {
		text_base64(&file, &(unsigned char){ (unsigned char)i }, 1);
		buf_printf(&file, " %u\n", i);
	}
	buf_add(&file, lines, n);
	if (tokenizer_open_tiktoken(&t, file.bytes ? file.bytes : "", file.len, NULL, &e) == 0) {
		if (nul)
			try_text(t, nul + 1, len - n - 2);
		tokenizer_close(t);
	}
	buf_free(&file);
	return 0;
}
