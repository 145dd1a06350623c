/* Private: pre-tokenizers of GGUF's tokenizers. */
#ifndef MODEL_GGUF_TOKENIZER_H
#define MODEL_GGUF_TOKENIZER_H

#include <jansson.h>
#include <stdbool.h>

#define GGUF_SPLITS 6

struct gguf_pre {
	const char *names; /* of tokenizer.ggml.pre, with spaces between them */
	bool nfc;          /* text is normalised */
	bool whole;        /* a piece that is a token is that, whatever merging makes */
	bool bos;          /* where the file does not say it, a text begins with bos */
	bool digits;       /* each apart */
	bool gpt2;         /* GPT-2's own expression, as ByteLevel has it */
	const char
		*split[GGUF_SPLITS]; /* expressions, one after another; those left out are NULL */
};

/* NULL: unknown. */
const struct gguf_pre *model_gguf_pre(const char *name);
/* As tokenizer.json has it; a new reference, NULL: no memory. */
json_t *model_gguf_pre_tokenizer(const struct gguf_pre *p);

#endif
