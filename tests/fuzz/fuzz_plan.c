/* config.json, then a file of safetensors: whatever both say, the plan of the weights refuses it or
 * lists parts that add up. Input: the config, a byte 0 and the file; without the second part the
 * weights are made up. */
#include "base/check.h"
#include "model/weights.h"

#include <string.h>

#define MANY 20000 /* tensors: larger models take too long here */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct file {
	struct source source;
	const uint8_t *bytes;
	size_t len;
};

static int bytes_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	*bytes = ((const struct file *)s)->len;
	return strcmp(name, "model.safetensors") == 0 ? 0 : err_set(e, ERR_NOTFOUND, "%s", name);
}

static int bytes_read(struct source *s, const char *name, uint64_t at, void *out, size_t len, struct err *e)
{
	const struct file *f = (const struct file *)s;
	if (strcmp(name, "model.safetensors") != 0 || at > f->len || len > f->len - at)
		return err_set(e, ERR_IO, "%s", name);
	memcpy(out, f->bytes + at, len);
	return 0;
}

static const struct source_ops ops = { .size = bytes_size, .read = bytes_read };

/* Every row of an item goes somewhere, and to one part. */
static int place(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch, struct err *e)
{
	(void)k;
	*scratch = 0;
	for (size_t i = 0; i < p->count; i++) {
		const struct model_item *it = &p->item[i];
		uint64_t rows = 0;
		for (uint32_t j = 0; j < it->parts; j++) {
			uint32_t n = model_part_rows(it, j);
			check(n > 0 && model_part_stored(it, j, n - 1) < it->rows);
			rows += n;
		}
		check(it->parts > 0 && rows == it->rows && it->columns > 0);
		check(it->layer < p->config->layers);
		check(it->expert == MODEL_NO_EXPERT || it->expert < p->config->gate.experts);
		check(it->tensor == NULL || it->phase < 0 || it->group_bytes > 0);
	}
	return err_set(e, ERR_NOMEM, "seen");
}

static int invent(struct model_keeper *k, const struct model_item *it, uint64_t seed, uint64_t number,
                  struct err *e)
{
	(void)k, (void)it, (void)seed, (void)number;
	return err_set(e, ERR_UNSUPPORTED, "never asked");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct model_config c;
	static struct pool *pool;
	const uint8_t *end = len == 0 ? NULL : memchr(data, 0, len);
	size_t config = end == NULL ? len : (size_t)(end - data);
	struct file f = { .source = { .ops = &ops, .label = "fuzz" } };
	struct model_keeper k = { .place = place, .invent = invent };
	struct model_formats formats;
	struct err e = { 0 };
	if (model_config_parse(&c, (const char *)data, config, NULL, 0, NULL) < 0)
		return 0;
	if ((uint64_t)c.layers * (c.gate.experts + 20) > MANY)
		return 0;
	check(pool != NULL || pool_open(&pool, 1, NULL, NULL) == 0);
	const struct weights_order o = { .config = &c, .quiet = true, .pool = pool };
	if (end == NULL) {
		check(model_weights_invent(&formats, &o, 1, &k, &e) < 0);
		return 0;
	}
	f.bytes = end + 1;
	f.len = len - config - 1;
	check(model_weights_load(&formats, &o, &f.source, &k, &e) < 0);
	return 0;
}
