/* The header of a GGUF file: any bytes are either refused or give tensors that lie apart and in the
 * file; and their values are decoded without a look beyond them. */
#include "base/check.h"
#include "model/gguf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The first block of each. */
static void decode(const struct model_tensor *t, const uint8_t *data)
{
	float value[256];
	unsigned block = model_dtype_block(t->dtype);
	if (t->bytes < model_dtype_bytes(t->dtype, block) || block == 1)
		return;
	size_t bytes = (size_t)model_dtype_bytes(t->dtype, block);
	unsigned char *copy = malloc(bytes);
	check(copy);
	for (size_t i = 0; i < bytes; i++)
		copy[i] = data[t->begin + i];
	model_dtype_widen(t->dtype, copy, block, value);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct model_gguf *g;
	bool more;
	if (len < 1)
		return 0;
	/* The first byte says how much of it is read at first. */
	size_t some = (len - 1) * data[0] / 255;
	data++, len--;
	if (model_gguf_parse(&g, "f", data, some, len, &more, NULL) < 0) {
		check(!more || some < len);
		if (!more || model_gguf_parse(&g, "f", data, len, len, &more, NULL) < 0) {
			check(!more || some < len);
			return 0;
		}
	}
	for (size_t i = 0; i < g->count; i++) {
		const struct model_tensor *t = &g->tensor[i];
		check(t->begin <= len && t->bytes <= len - t->begin);
		for (size_t j = 0; j < i && j < 8; j++) {
			const struct model_tensor *o = &g->tensor[j];
			check(t->bytes == 0 || o->bytes == 0 || t->begin >= o->begin + o->bytes ||
			      o->begin >= t->begin + t->bytes);
		}
		decode(t, data);
	}
	model_gguf_close(g);
	return 0;
}
