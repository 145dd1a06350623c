#include "tests/shared/memory.h"

#include "base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

static struct memory_source *of(struct source *s)
{
	return (struct memory_source *)s; /* its first member */
}

static const struct buf *find(struct source *s, const char *name)
{
	for (size_t i = 0; i < of(s)->count; i++) {
		if (strcmp(of(s)->file[i].name, name) == 0)
			return &of(s)->file[i].bytes;
	}
	return NULL;
}

static int memory_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	const struct buf *b = find(s, name);
	if (b == NULL)
		return err_set(e, ERR_NOTFOUND, "%s: not found", name);
	*bytes = b->len;
	return 0;
}

static int memory_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
                       struct err *e)
{
	const struct buf *b = find(s, name);
	if (b == NULL)
		return err_set(e, ERR_NOTFOUND, "%s: not found", name);
	if (offset > b->len || len > b->len - offset)
		return err_set(e, ERR_IO, "%s: short", name);
	memcpy(out, b->bytes + offset, len);
	return 0;
}

static const char *memory_name(struct source *s, size_t i)
{
	return i < of(s)->count ? of(s)->file[i].name : NULL;
}

static void memory_close(struct source *s)
{
	(void)s;
}

static const struct source_ops ops = {
	.size = memory_size, .read = memory_read, .name = memory_name, .close = memory_close,
};

void memory_init(struct memory_source *m)
{
	*m = (struct memory_source){ .source = { .ops = &ops, .label = "memory" } };
}

struct buf *memory_add(struct memory_source *m, const char *name)
{
	cr_assert_lt(m->count, MEMORY_FILES);
	m->file[m->count].name = name;
	return &m->file[m->count++].bytes;
}

void memory_free(struct memory_source *m)
{
	for (size_t i = 0; i < m->count; i++)
		buf_free(&m->file[i].bytes);
	m->count = 0;
}

void memory_load(struct memory_source *m, const char *dir)
{
	static const char *const names[] = { "config.json", "generation_config.json",
		"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
		"model-00003-of-00003.safetensors", "model.safetensors", "model.safetensors.index.json",
		"tokenizer.json", "tokenizer_config.json" };
	struct source *s;
	struct err e = { 0 };
	uint64_t unused;
	memory_init(m);
	cr_assert_eq(source_open_folder(&s, dir, &e), 0, "%s", e.text);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (source_size(s, names[i], &unused, NULL) == 0)
			cr_assert_eq(source_read_file(s, names[i], MIB(64), memory_add(m, names[i]), &e),
			             0, "%s", e.text);
	}
	source_close(s);
}

void blob_add(struct buf *out, const char *header, const void *data, size_t len)
{
	buf_add_u64le(out, strlen(header));
	buf_add_text(out, header);
	buf_add(out, data, len);
}
