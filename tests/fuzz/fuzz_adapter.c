/* An adapter: bytes are adapter_config.json, a NUL and adapter_model.safetensors. They are refused, or give
 * parts of whole shapes, each found by its own name. */
#include "base/check.h"
#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct folder {
	struct source source;
	const uint8_t *config, *weights;
	size_t config_len, len;
};

static int folder_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	const struct folder *f = (struct folder *)s;
	bool config = strcmp(name, "adapter_config.json") == 0;
	*bytes = config ? f->config_len : f->len;
	return config || strcmp(name, "adapter_model.safetensors") == 0 ? 0
	                                                                : err_set(e, ERR_NOTFOUND, "%s", name);
}

static int folder_read(struct source *s, const char *name, uint64_t at, void *out, size_t len, struct err *e)
{
	const struct folder *f = (struct folder *)s;
	bool config = strcmp(name, "adapter_config.json") == 0;
	const uint8_t *from = config ? f->config : f->weights;
	size_t all = config ? f->config_len : f->len;
	if (at > all || len > all - at)
		return err_set(e, ERR_INPUT, "short");
	memcpy(out, from + at, len);
	return 0;
}

static const char *folder_name(struct source *s, size_t i)
{
	(void)s;
	return i == 0 ? "adapter_config.json" : i == 1 ? "adapter_model.safetensors" : NULL;
}

static void folder_close(struct source *s) { (void)s; }

static const struct source_ops ops = {
	.size = folder_size, .read = folder_read, .name = folder_name, .close = folder_close
};

static void part_check(const struct model_adapter *a, const struct model_low_rank *p)
{
	uint32_t rows = (uint32_t)p->b->shape[0], columns = (uint32_t)p->a->shape[1];
	char name[600];
	snprintf(name, sizeof name, "%s.weight", p->module);
	if (strlen(p->module) < sizeof name - 10)
		check(model_adapter_find(a, name) == p);
	check(p->rank == p->a->shape[0] && p->rank == p->b->shape[1] && isfinite(p->scale));
	check(model_adapter_fits(p, name, rows, columns, NULL) == 0);
	float *v = calloc(columns, sizeof *v);
	check(v);
	for (uint32_t row = 0; row < rows && row < 4; row++)
		(void)!model_adapter_add(p, row, 1, columns, v, NULL);
	free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct folder f = { .source = { .ops = &ops, .label = "memory" }, .config = data };
	const uint8_t *end = memchr(data, 0, len);
	struct model_adapter *a;
	if (!end)
		return 0;
	f.config_len = (size_t)(end - data);
	f.weights = end + 1;
	f.len = len - f.config_len - 1;
	if (model_adapter_open(&a, &f.source, "base", true, NULL) < 0)
		return 0;
	for (size_t i = 0; i < a->count; i++)
		part_check(a, &a->part[i]);
	size_t n = strnlen(a->notes, sizeof a->notes);
	check(n < sizeof a->notes && (n == 0 || a->notes[n - 1] == '\n'));
	model_adapter_close(a);
	return 0;
}
