/* A GGUF model as a folder: texts made from the metadata stand where a folder has files.
 *
 *   config.json              gguf_config.c
 *   generation_config.json   general.sampling.*, if there is any
 *   tokenizer.json           gguf_tokenizer.c, if the file has a tokenizer
 *   tokenizer_config.json    the same: special tokens and the chat template
 *   general.md               gguf_card.c: what general.* says of origin and licence
 *
 * What lies beside the GGUF file under one of these names, or says the same otherwise (a template,
 * special tokens), is not read: a GGUF file says it all. A model in parts is
 * NAME-00001-of-0000N.gguf and so on; the first has the metadata. Source: llama.cpp,
 * tools/gguf-split. */
#include "model/gguf_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 1000
#define SUFFIX ".gguf"
#define PART_CHARACTERS 15 /* of "-00001-of-00003" */

static const char *const hidden[] = {
	"chat_template.jinja", "special_tokens_map.json", "tiktoken.model",
	"added_tokens.json",   "adapter_config.json",
};

struct gguf_text {
	const char *name;
	struct buf bytes;
};

struct gguf_view {
	struct source source;
	struct gguf_model model;
	struct gguf_text text[5];
	size_t texts;
	char **file; /* names of the parts */
};

/* ---- a source ---- */

static const struct buf *text_of(struct source *s, const char *name)
{
	struct gguf_view *v = (struct gguf_view *)s;
	for (size_t i = 0; i < v->texts; i++)
		if (strcmp(v->text[i].name, name) == 0)
			return &v->text[i].bytes;
	return NULL;
}

static struct source *under_of(struct source *s) { return ((struct gguf_view *)s)->model.source; }

static bool is_hidden(const char *name)
{
	for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
		if (strcmp(name, hidden[i]) == 0)
			return true;
	return strcmp(name, "config.json") == 0 || strcmp(name, "generation_config.json") == 0 ||
	       strcmp(name, "tokenizer.json") == 0 || strcmp(name, "tokenizer_config.json") == 0;
}

static int not_found(struct source *s, const char *name, struct err *e)
{
	return err_set(e, ERR_NOTFOUND, "%s: no file %s", s->label, name);
}

static int view_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	const struct buf *text = text_of(s, name);
	if (!text)
		return is_hidden(name) ? not_found(s, name, e)
				       : source_size(under_of(s), name, bytes, e);
	*bytes = text->len;
	return 0;
}

static int view_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		     struct err *e)
{
	const struct buf *text = text_of(s, name);
	if (!text)
		return is_hidden(name) ? not_found(s, name, e)
				       : source_read(under_of(s), name, offset, out, len, e);
	if (offset > text->len || len > text->len - offset)
		return err_set(e, ERR_INPUT, "%s/%s: ends before what is read", s->label, name);
	if (len > 0)
		memcpy(out, text->bytes + offset, len);
	return 0;
}

static const char *view_name(struct source *s, size_t i) { return source_name(under_of(s), i); }

static int view_list(struct source *s, const char *const *skip, size_t skips, struct file_tree *out,
		     struct err *e)
{
	return source_list(under_of(s), skip, skips, out, e);
}

static void view_close(struct source *s)
{
	struct gguf_view *v = (struct gguf_view *)s;
	for (size_t i = 0; i < v->texts; i++)
		buf_free(&v->text[i].bytes);
	for (size_t i = 0; i < v->model.parts; i++) {
		model_gguf_close(v->model.part[i]);
		free(v->file[i]);
	}
	free(v->model.part);
	free(v->file);
	free(v);
}

static const struct source_ops view_ops = {
	.size = view_size,
	.read = view_read,
	.name = view_name,
	.close = view_close,
	.list = view_list,
};

const struct gguf_model *model_gguf_of(const struct source *src)
{
	return src->ops == &view_ops ? &((const struct gguf_view *)src)->model : NULL;
}

/* ---- which files ---- */

/* "NAME-00002-of-00003.gguf": true, with the bytes of NAME and the two numbers. */
static bool split_name(const char *name, size_t *stem, unsigned *no, unsigned *count)
{
	size_t len = strlen(name), tail = PART_CHARACTERS + strlen(SUFFIX);
	uint64_t a, b;
	if (len <= tail)
		return false;
	const char *p = name + len - tail;
	char first[6], second[6];
	if (p[0] != '-' || strncmp(p + 6, "-of-", 4) != 0)
		return false;
	snprintf(first, sizeof first, "%.5s", p + 1);
	snprintf(second, sizeof second, "%.5s", p + 10);
	if (strspn(first, "0123456789") != 5 || strspn(second, "0123456789") != 5)
		return false;
	a = strtoul(first, NULL, 10);
	b = strtoul(second, NULL, 10);
	*stem = len - tail;
	*no = (unsigned)a;
	*count = (unsigned)b;
	return a >= 1 && a <= b;
}

static void part_name(char *out, size_t room, const char *first, size_t stem, unsigned i,
		      unsigned count)
{
	snprintf(out, room, "%.*s-%05u-of-%05u" SUFFIX, (int)stem, first, i, count);
}

int model_gguf_files(struct source **out, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *beside[PARTS_MAX] = { NULL };
	struct arena names = { 0 };
	char part[LIMIT_NAME_BYTES + 1];
	unsigned no, count = 0, n = 0;
	size_t stem;
	int rc = 0;
	if (split_name(name, &stem, &no, &count) && count > PARTS_MAX)
		return err_set(e, ERR_INPUT, "%.200s: %u parts, at most %d", name, count,
			       PARTS_MAX);
	for (; rc == 0 && n < count; n++) {
		part_name(part, sizeof part, name, stem, n + 1, count);
		beside[n] = arena_copy(&names, part, strlen(part));
		rc = beside[n] ? 0 : err_set(e, ERR_NOMEM, "%.200s", name);
	}
	if (rc == 0)
		rc = source_open_files(out, path, beside, n, e);
	arena_free(&names);
	return rc;
}

/* A file of weights, and no projector of images or statistics for quantisation. */
static bool is_model(const char *name)
{
	return text_ends(name, SUFFIX) && !strchr(name, '/') && !strstr(name, "mmproj") &&
	       !strstr(name, "imatrix");
}

/* The first file of the one model that is there; *found NULL: none. */
static int find_first(struct source *under, const struct file_tree *t, const char **found,
		      struct err *e)
{
	*found = NULL;
	for (size_t i = 0; i < t->count; i++) {
		const char *name = t->entry[i].name;
		size_t stem;
		unsigned no, count;
		if (!is_model(name) || (split_name(name, &stem, &no, &count) && no > 1))
			continue;
		if (*found)
			return err_set(e, ERR_INPUT,
				       "%s: more than one GGUF model, %.200s and %.200s: name the "
				       "file that is meant",
				       under->label, *found, name);
		*found = name;
	}
	for (size_t i = 0; !*found && i < t->count; i++)
		if (is_model(t->entry[i].name)) /* a later part alone: its first is missed below */
			*found = t->entry[i].name;
	return 0;
}

static int part_open(struct gguf_view *v, const char *name, struct err *e)
{
	size_t i = v->model.parts;
	v->file[i] = strdup(name);
	v->model.part[i] = NULL;
	v->model.parts++;
	if (!v->file[i])
		return err_set(e, ERR_NOMEM, "%s", name);
	int rc = model_gguf_read(&v->model.part[i], v->model.source, name, e);
	return rc == ERR_NOTFOUND ? err_set(e, ERR_INPUT, "%s/%s: this part is missing",
					    v->model.source->label, name)
				  : rc;
}

static int split_number(const struct model_gguf *g, const char *file, const char *key,
			uint64_t wanted, struct err *e)
{
	const json_t *v = json_object_get(g->meta, key);
	if (!json_is_integer(v) || (uint64_t)json_integer_value(v) != wanted)
		return err_set(e, ERR_INPUT, "%s: %s is not %llu, as its name and the others say",
			       file, key, (unsigned long long)wanted);
	return 0;
}

static int parts_check(const struct gguf_view *v, struct err *e)
{
	uint64_t tensors = 0;
	for (size_t i = 0; i < v->model.parts; i++) {
		TRY(split_number(v->model.part[i], v->file[i], "split.no", i, e));
		TRY(split_number(v->model.part[i], v->file[i], "split.count", v->model.parts, e));
		tensors += v->model.part[i]->count;
	}
	return split_number(v->model.part[0], v->file[0], "split.tensors.count", tensors, e);
}

static int parts_open(struct gguf_view *v, const char *first, struct err *e)
{
	size_t stem = 0;
	unsigned no = 1, count = 1;
	char name[LIMIT_PATH_BYTES + 40];
	bool split = split_name(first, &stem, &no, &count);
	if (count > PARTS_MAX)
		return err_set(e, ERR_INPUT, "%s: %u parts, at most %d", first, count, PARTS_MAX);
	v->file = calloc(count, sizeof *v->file);
	v->model.part = calloc(count, sizeof *v->model.part);
	if (!v->file || !v->model.part)
		return err_set(e, ERR_NOMEM, "%s", first);
	if (!split)
		return part_open(v, first, e);
	for (unsigned i = 1; i <= count; i++) {
		part_name(name, sizeof name, first, stem, i, count);
		TRY(part_open(v, name, e));
	}
	return parts_check(v, e);
}

/* ---- what is shown ---- */

/* Sampling that the file recommends, as generation_config.json says it. */
static int generation_make(const struct gguf_model *m, struct buf *out, struct err *e)
{
	static const struct {
		const char *from, *to;
	} keys[] = {
		{ "general.sampling.temp", "temperature" },
		{ "general.sampling.top_k", "top_k" },
		{ "general.sampling.top_p", "top_p" },
		{ "general.sampling.min_p", "min_p" },
		{ "general.sampling.penalty_repeat", "repetition_penalty" },
	};
	struct obj o = { 0 };
	json_t *made = NULL;
	bool any = false;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const json_t *v = json_object_get(m->part[0]->meta, keys[i].from);
		if (v)
			obj_share(&o, keys[i].to, v);
		any = any || v;
	}
	TRY(obj_done(&o, &made, e));
	int rc = any ? json_write(made, 0, out, e) : 0;
	json_decref(made);
	return rc;
}

static int texts_make(struct gguf_view *v, struct err *e)
{
	static const struct {
		const char *name;
		int (*make)(const struct gguf_model *m, struct buf *out, struct err *e);
	} texts[] = {
		{ "config.json", model_gguf_config },
		{ "generation_config.json", generation_make },
		{ "tokenizer.json", model_gguf_tokenizer },
		{ "tokenizer_config.json", model_gguf_tokenizer_config },
		{ GGUF_CARD, model_gguf_card },
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct gguf_text *t = &v->text[v->texts++];
		t->name = texts[i].name;
		struct err why = { 0 };
		bool none = v->model.unknown && texts[i].make == model_gguf_config;
		int rc = none ? 0 : texts[i].make(&v->model, &t->bytes, &why);
		if (rc < 0 && rc != ERR_NOMEM && v->model.loose)
			buf_clear(&t->bytes);
		else if (rc < 0)
			return err_set(e, rc, "%s", why.text);
		TRY(buf_done(&t->bytes, e));
		if (t->bytes.len == 0) /* nothing to show */
			buf_free(&v->text[--v->texts].bytes);
	}
	return 0;
}

static int view_open(struct gguf_view *v, const char *first, struct err *e)
{
	TRY(parts_open(v, first, e));
	v->model.file = v->file[0];
	if (v->model.loose)
		model_gguf_arch_loose(&v->model);
	else
		TRY(model_gguf_arch(&v->model, e));
	return texts_make(v, e);
}

static int folder_open(struct source **out, struct source *under, bool loose, struct err *e)
{
	struct file_tree there = { 0 };
	uint64_t bytes;
	const char *first = NULL;
	*out = NULL;
	if (source_size(under, "model.safetensors", &bytes, NULL) == 0 ||
	    source_size(under, "model.safetensors.index.json", &bytes, NULL) == 0)
		return 0;
	TRY(source_list(under, NULL, 0, &there, e));
	int rc = find_first(under, &there, &first, e);
	struct gguf_view *v = rc == 0 && first ? calloc(1, sizeof *v) : NULL;
	if (rc == 0 && first && !v)
		rc = err_set(e, ERR_NOMEM, "%s", first);
	if (v) {
		v->source = (struct source){ .ops = &view_ops,
					     .label = under->label,
					     .verified = under->verified };
		v->model.source = under;
		v->model.loose = loose;
		rc = view_open(v, first, e);
	}
	file_tree_free(&there);
	if (rc < 0 && v)
		view_close(&v->source);
	else if (v)
		*out = &v->source;
	return rc;
}

int model_gguf_folder(struct source **out, struct source *under, struct err *e)
{
	return folder_open(out, under, false, e);
}

int model_gguf_loose(struct source **out, struct source *under, struct err *e)
{
	return folder_open(out, under, true, e);
}
