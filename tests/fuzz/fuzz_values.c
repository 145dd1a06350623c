/* The values of a small folder, as a suspect sends one: bytes are config.json, a NUL, and one file,
 * safetensors or GGUF. It is refused, or every value can be read by rows, all of them or one by one, to the
 * same bits; what has no values says so. */
#include "base/check.h"
#include "model/gguf.h"
#include "model/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct folder {
	struct source source;
	const char *name;
	const uint8_t *bytes;
	size_t len;
};

static int folder_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	const struct folder *f = (struct folder *)s;
	*bytes = f->len;
	return strcmp(name, f->name) == 0 ? 0 : err_set(e, ERR_NOTFOUND, "%s", name);
}

static int folder_read(struct source *s, const char *name, uint64_t at, void *out, size_t len, struct err *e)
{
	const struct folder *f = (struct folder *)s;
	if (strcmp(name, f->name) != 0)
		return err_set(e, ERR_NOTFOUND, "%s", name);
	if (at > f->len || len > f->len - at)
		return err_set(e, ERR_INPUT, "short");
	memcpy(out, f->bytes + at, len);
	return 0;
}

static const char *folder_name(struct source *s, size_t i)
{
	return i == 0 ? ((struct folder *)s)->name : NULL;
}

static void folder_close(struct source *s) { (void)s; }

static const struct source_ops ops = {
	.size = folder_size, .read = folder_read, .name = folder_name, .close = folder_close
};

#define VALUES_MAX (1 << 16)

/* All rows at once, and each alone. */
static void value_read(struct model_values *v, const struct model_value *w)
{
	static float whole[VALUES_MAX], row[VALUES_MAX];
	if (!w->floats) {
		check(model_values_read(v, w, 0, 0, row, NULL) == ERR_UNSUPPORTED && *w->form);
		return;
	}
	if (w->columns > 0 && w->rows > VALUES_MAX / w->columns)
		return;
	int rc = model_values_read(v, w, 0, w->rows, whole, NULL);
	for (uint64_t r = 0; r < w->rows && r < 64; r++) {
		int one = model_values_read(v, w, r, 1, row, NULL);
		check(rc < 0 || one == 0); /* a stack may have a matrix that is right beside one that is not */
		check(rc < 0 || w->columns == 0 ||
		      memcmp(row, whole + r * w->columns, w->columns * sizeof *row) == 0);
	}
	check(w->columns == 0 || model_values_read(v, w, w->rows, 1, row, NULL) < 0);
}

static void folder_open(struct source *s, const json_t *config)
{
	struct model_values *v;
	if (model_values_open(&v, s, config, NULL) < 0)
		return;
	for (size_t i = 0; i < model_values_count(v); i++) {
		const struct model_value *w = model_values_at(v, i);
		check(model_values_find(v, w->name) == w);
		check(i == 0 || strcmp(model_values_at(v, i - 1)->name, w->name) < 0);
		value_read(v, w);
	}
	check(model_values_notes(v) != NULL);
	model_values_close(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = memchr(data, 0, len);
	if (!end)
		return 0;
	struct folder f = { { .ops = &ops, .label = "memory" }, "x.safetensors", end + 1,
		            len - (size_t)(end + 1 - data) };
	struct source *view = NULL;
	json_t *config = json_loadb((const char *)data, (size_t)(end - data), 0, NULL);
	if (f.len >= 4 && memcmp(f.bytes, "GGUF", 4) == 0)
		f.name = "x.gguf";
	if (model_gguf_loose(&view, &f.source, NULL) == 0)
		folder_open(view ? view : &f.source, config);
	source_close(view);
	json_decref(config);
	return 0;
}
