/* A vocabulary of another's: the first byte says which file the others are. There is none, or its tokens
 * ascend by their hashes, each once. */
#include "base/check.h"
#include "flow/fork_model.h"

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
	if (strcmp(name, f->name) != 0 || at > f->len || len > f->len - at)
		return err_set(e, ERR_NOTFOUND, "%s", name);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "tokenizer.json", "vocab.json", "tokenizer.model", "tiktoken.model" };
	if (len < 1)
		return 0;
	struct folder f = { { .ops = &ops, .label = "memory" }, names[data[0] % 4], data + 1, len - 1 };
	struct fork_token *token;
	size_t count;
	if (flow_fork_tokens(&f.source, &token, &count, NULL) < 0)
		return 0;
	for (size_t i = 1; i < count; i++)
		check(token[i - 1].hash < token[i].hash);
	check(count == 0 || token);
	free(token);
	return 0;
}
