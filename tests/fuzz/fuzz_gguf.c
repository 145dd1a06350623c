/* A GGUF file: any bytes are either refused or give tensors that lie apart and in the file; their
 * values are decoded without a look beyond them; and what it becomes as a folder is refused or read. */
#include "base/check.h"
#include "model/config.h"
#include "model/gguf.h"

#include <stdlib.h>
#include <string.h>

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

#define NAME "m.gguf"

/* A folder with one file. */
struct bytes_source {
	struct source source;
	const uint8_t *data;
	size_t len;
};

static int bytes_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	*bytes = ((struct bytes_source *)s)->len;
	return strcmp(name, NAME) == 0 ? 0 : err_set(e, ERR_NOTFOUND, "no file %s", name);
}

static int bytes_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		      struct err *e)
{
	const struct bytes_source *b = (struct bytes_source *)s;
	if (strcmp(name, NAME) != 0 || offset > b->len || len > b->len - offset)
		return err_set(e, ERR_INPUT, "%s: ends before", name);
	memcpy(out, b->data + offset, len);
	return 0;
}

static const char *bytes_name(struct source *s, size_t i)
{
	(void)s;
	return i == 0 ? NAME : NULL;
}

static const struct source_ops bytes_ops = { .size = bytes_size, .read = bytes_read, .name = bytes_name };

static void as_folder(const uint8_t *data, size_t len)
{
	static struct model_config c;
	struct bytes_source m = { { .ops = &bytes_ops, .label = "f" }, data, len };
	struct source *view = NULL;
	struct model_tensors *t = NULL;
	struct buf text = { 0 };
	if (model_gguf_folder(&view, &m.source, NULL) == 0) {
		check(view);
		(void)(model_config_read(&c, view, NULL) < 0);
		if (model_tensors_open(&t, view, NULL) == 0)
			for (size_t i = 0; i < model_tensors_count(t); i++) {
				const struct model_tensor *w = model_tensors_at(t, i);
				check(w->begin <= len && w->bytes <= len - w->begin);
			}
		model_tensors_close(t);
		(void)(source_read_file(view, "tokenizer.json", 1 << 20, &text, NULL) < 0);
	}
	buf_free(&text);
	source_close(view);
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
	as_folder(data, len);
	return 0;
}
