#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "api/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The first byte is which body it is. What is accepted has a text, messages or ids; what is refused has a
 * sentence. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	enum api_text_kind kind = len ? (enum api_text_kind)(bytes[0] % 3) : API_TEXT_TOKENIZE;
	struct api_text t = { 0 };
	struct err e = { 0 };
	size_t at = len > 0;
	int code = api_text_parse(kind, bytes + at, len - at, &t, &e);
	if (code == 0) {
		bool messages = json_array_size(t.chat.messages) > 0;
		check(kind != API_TEXT_TOKENIZE || messages != (t.text != NULL));
		check(kind != API_TEXT_TEMPLATE || messages);
		check(kind != API_TEXT_DETOKENIZE || t.id);
		check(!t.text || text_utf8_valid(t.text, t.len));
	} else {
		check((code == ERR_INPUT || code == ERR_UNSUPPORTED) && e.text[0]);
	}
	api_text_free(&t);
	return 0;
}
