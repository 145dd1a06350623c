/* Which files of a folder hold the model. In this order, and those that are left stay out:
 *
 *   STEM.safetensors.index.json        the files that it names
 *   STEM.safetensors                   alone
 *   STEM-00001-of-0000N.safetensors    all N
 *
 * for STEM model, pytorch_model, diffusion_pytorch_model, consolidated; else all other files that
 * end in .safetensors, which must not name a tensor twice; else adapter_model. So a folder that
 * has a model under two names is read as what loads it would: by the first. Where there are none,
 * each folder below is looked at in the same way, and its tensors are named FOLDER/NAME: pipelines
 * of several models. Unlike serving, an index that does not list what the files hold is no error:
 * all that the files hold is looked at. */
#include "model/gguf_in.h"
#include "model/values_in.h"

#include "base/check.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define SUFFIX ".safetensors"
#define INDEX SUFFIX ".index.json"
#define LEFT_OUT "%.200s is not looked at: other files hold the model\n"
#define SHARDS_MAX 10000

/* Preferred first. Between the last two are all others. */
static const char *const stems[] = {
	"model", "pytorch_model", "diffusion_pytorch_model", "consolidated", NULL, "adapter_model"
};
#define STEMS (sizeof stems / sizeof *stems)

/* One file. name[0..dir) is its folder with the '/', name[dir..stem) what it is called. */
struct weight_file {
	const char *name;
	size_t dir, stem, rank;
	unsigned no, of; /* of 0: it is no shard */
	bool chosen;
};

struct choosing {
	struct source *source;
	struct file_tree there;
	struct weight_file *file; /* [files] in the order of their names */
	size_t files;
	struct err *e;
};

static bool is_weights(const char *name)
{
	return text_ends(name, SUFFIX) || text_ends(name, INDEX);
}

static size_t dir_of(const char *name)
{
	const char *slash = strrchr(name, '/');
	return slash ? (size_t)(slash - name) + 1 : 0;
}

/* "STEM-00002-of-00003" ends at `end`: sets the numbers and returns where STEM ends. */
static size_t shard_of(const char *name, size_t end, unsigned *no, unsigned *of)
{
	size_t at[2] = { end, 0 };
	uint64_t number[2];
	for (int i = 0; i < 2; i++) {
		size_t from = at[i];
		while (from > 0 && name[from - 1] >= '0' && name[from - 1] <= '9')
			from--;
		if (at[i] == from || at[i] - from > 6)
			return end;
		number[i] = strtoull(name + from, NULL, 10);
		const char *before = i == 0 ? "-of-" : "-";
		size_t n = strlen(before);
		if (from < n || strncmp(name + from - n, before, n) != 0)
			return end;
		at[i == 0] = from - n;
	}
	if (number[1] < 1 || number[1] > number[0] || number[0] > SHARDS_MAX)
		return end;
	*no = (unsigned)number[1];
	*of = (unsigned)number[0];
	return at[0];
}

static size_t rank_of(const char *stem, size_t len)
{
	size_t other = 0;
	for (size_t i = 0; i < STEMS; i++) {
		if (!stems[i])
			other = i;
		else if (strlen(stems[i]) == len && strncmp(stems[i], stem, len) == 0)
			return i;
	}
	return other;
}

static struct weight_file file_of(const char *name)
{
	struct weight_file f = { .name = name, .dir = dir_of(name) };
	f.stem = shard_of(name, strlen(name) - strlen(SUFFIX), &f.no, &f.of);
	f.rank = rank_of(name + f.dir, f.stem - f.dir);
	return f;
}

static int files_list(struct choosing *c)
{
	TRY(source_list(c->source, NULL, 0, &c->there, c->e));
	c->file = calloc(c->there.count + 1, sizeof *c->file);
	if (!c->file)
		return err_set(c->e, ERR_NOMEM, "list of files");
	for (size_t i = 0; i < c->there.count; i++)
		if (text_ends(c->there.entry[i].name, SUFFIX))
			c->file[c->files++] = file_of(c->there.entry[i].name);
	return 0;
}

/* ---- an index ---- */

static struct weight_file *file_find(struct choosing *c, const char *dir, size_t len,
				     const char *name)
{
	for (size_t i = 0; i < c->files; i++)
		if (c->file[i].dir == len && strncmp(c->file[i].name, dir, len) == 0 &&
		    strcmp(c->file[i].name + len, name) == 0)
			return &c->file[i];
	return NULL;
}

static int index_take(struct choosing *c, const char *index, const json_t *root)
{
	json_t *map, *v;
	const char *key, *last = "";
	TRY(json_get_object(root, "weight_map", &map, index, c->e));
	json_object_foreach(map, key, v) {
		const char *name = json_string_value(v);
		if (!name)
			return err_set(c->e, ERR_INPUT, "%s: weight_map of %.200s is no file name",
				       index, key);
		if (strcmp(name, last) == 0)
			continue;
		struct weight_file *f = file_find(c, index, dir_of(index), name);
		if (!f)
			return err_set(c->e, ERR_INPUT, "%s names %.200s, which is missing", index,
				       name);
		f->chosen = true;
		last = name;
	}
	return 0;
}

static int index_read(struct choosing *c, const char *index)
{
	struct buf text = { 0 };
	json_t *root = NULL;
	int rc = source_read_file(c->source, index, LIMIT_JSON_BYTES, &text, c->e);
	TRY_OUT(rc);
	rc = json_read_as(&root, text.bytes, text.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH,
			  JSON_PYTHON, c->e);
	if (rc < 0)
		rc = err_prefix(c->e, "%s", index);
	TRY_OUT(rc);
	rc = index_take(c, index, root);
out:
	json_decref(root);
	buf_free(&text);
	return rc;
}

/* ---- one folder ---- */

static bool in_dir(const struct weight_file *f, const char *name, size_t dir)
{
	return f->dir == dir && strncmp(f->name, name, dir) == 0;
}

static bool same_set(const struct weight_file *a, const struct weight_file *b)
{
	return a->stem == b->stem && strncmp(a->name, b->name, a->stem) == 0;
}

static int which(struct choosing *c, const struct weight_file *a, const struct weight_file *b)
{
	return err_set(c->e, ERR_INPUT, "both %.200s and %.200s are there: which one is meant?",
		       a->name, b->name);
}

/* The set that f is of: it alone, or all its shards. */
static int set_take(struct choosing *c, struct weight_file *f)
{
	uint32_t found = 0;
	bool *seen = calloc((size_t)f->of + 1, sizeof *seen);
	int rc = seen ? 0 : err_set(c->e, ERR_NOMEM, "list of files");
	for (size_t i = 0; rc == 0 && i < c->files; i++) {
		struct weight_file *g = &c->file[i];
		if (!same_set(f, g))
			continue;
		if (g->of != f->of || seen[g->no])
			rc = which(c, f, g);
		else
			seen[g->no] = g->chosen = ++found > 0;
	}
	for (unsigned no = 1; rc == 0 && no <= f->of; no++)
		if (!seen[no])
			rc = err_set(c->e, ERR_INPUT,
				     "%s: the shard %.*s-%05u-of-%05u" SUFFIX " is missing",
				     c->source->label, (int)f->stem, f->name, no, f->of);
	free(seen);
	return rc;
}

/* The folder name[0..dir). */
static int dir_take(struct choosing *c, const char *name, size_t dir)
{
	char text[LIMIT_PATH_BYTES];
	uint64_t bytes;
	size_t best = STEMS;
	for (size_t i = 0; i < STEMS; i++) {
		snprintf(text, sizeof text, "%.*s%s" INDEX, (int)dir, name,
			 stems[i] ? stems[i] : "");
		if (!stems[i] || source_size(c->source, text, &bytes, NULL) < 0)
			continue;
		TRY(index_read(c, text));
		snprintf(text, sizeof text, "%s" SUFFIX, stems[i]);
		const struct weight_file *alone = file_find(c, name, dir, text);
		if (alone && !alone->chosen)
			return err_set(c->e, ERR_INPUT,
				       "both %.200s and an index of shards are there: which one is "
				       "meant?",
				       alone->name);
		return 0;
	}
	for (size_t i = 0; i < c->files; i++)
		if (in_dir(&c->file[i], name, dir) && c->file[i].rank < best)
			best = c->file[i].rank;
	for (size_t i = 0; i < c->files; i++)
		if (in_dir(&c->file[i], name, dir) && c->file[i].rank == best && !c->file[i].chosen)
			TRY(set_take(c, &c->file[i]));
	return 0;
}

/* Every folder once: that of the first file or index in it. */
static int dirs_take(struct choosing *c)
{
	bool top = false;
	size_t last = 0;
	const char *before = NULL;
	for (size_t i = 0; i < c->there.count; i++)
		top = top ||
		      (is_weights(c->there.entry[i].name) && !dir_of(c->there.entry[i].name));
	for (size_t i = 0; i < c->there.count; i++) {
		const char *name = c->there.entry[i].name;
		size_t dir = dir_of(name);
		bool done = before && dir == last && strncmp(before, name, dir) == 0;
		for (size_t k = 0; !done && k < c->files; k++)
			done = c->file[k].chosen && in_dir(&c->file[k], name, dir);
		if (!is_weights(name) || (top && dir > 0) || done)
			continue;
		before = name;
		last = dir;
		TRY(dir_take(c, name, dir));
	}
	return 0;
}

/* ---- none ---- */

/* Weights that lie there in a form that is not read are refused by its name. */
static int nothing(struct choosing *c)
{
	static const struct {
		const char *end, *what;
	} forms[] = {
		{ ".bin", "a pickle" },    { ".pth", "a pickle" },   { ".pt", "a pickle" },
		{ ".ckpt", "a pickle" },   { ".pkl", "a pickle" },   { ".onnx", "ONNX" },
		{ ".h5", "TensorFlow's" }, { ".msgpack", "Flax's" },
	};
	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
		for (size_t i = 0; i < c->there.count; i++) {
			const char *name = c->there.entry[i].name;
			if (!text_ends(name, forms[f].end))
				continue;
			if (strcmp(forms[f].what, "a pickle") != 0)
				return err_set(c->e, ERR_UNSUPPORTED,
					       "%s: %.200s: not available in this version: weights "
					       "in %s form: convert them to safetensors",
					       c->source->label, name, forms[f].what);
			return err_set(
				c->e, ERR_UNSUPPORTED,
				"%s: %.200s is a pickle, which runs code when it is read: it "
				"is never read here. Convert it to safetensors where nothing "
				"can be harmed (in a container without network, with "
				"torch.load(weights_only=True) and safetensors.torch.save_file)",
				c->source->label, name);
		}
	return err_set(c->e, ERR_NOTFOUND, "%s: no weights: no *" SUFFIX " and no GGUF file",
		       c->source->label);
}

/* ---- whole ---- */

/* Tensors of a folder below are called after it. */
static int names_extend(struct model_tensors *d, struct err *e)
{
	for (size_t i = 0; i < d->count; i++) {
		struct model_tensor *t = &d->tensor[i];
		size_t dir = dir_of(t->file), n = strlen(t->name);
		if (dir == 0)
			continue;
		char *name = arena_alloc(&d->arena, dir + n + 1);
		if (!name)
			return err_set(e, ERR_NOMEM, "tensor directory");
		memcpy(name, t->file, dir);
		memcpy(name + dir, t->name, n);
		t->name = name;
	}
	model_tensors_sort(d);
	for (size_t i = 1; i < d->count; i++)
		if (strcmp(d->tensor[i - 1].name, d->tensor[i].name) == 0)
			return err_set(e, ERR_INPUT,
				       "tensor %s is in %s and again in %s: name the file that is "
				       "meant",
				       d->tensor[i].name, d->tensor[i - 1].file, d->tensor[i].file);
	return 0;
}

static int chosen_open(struct choosing *c, struct model_tensors **out, struct buf *notes)
{
	const char **name = calloc(c->files + 1, sizeof *name);
	size_t n = 0;
	if (!name)
		return err_set(c->e, ERR_NOMEM, "list of files");
	for (size_t i = 0; i < c->files; i++) {
		if (c->file[i].chosen)
			name[n++] = c->file[i].name;
		else
			buf_printf(notes, LEFT_OUT, c->file[i].name);
	}
	for (size_t i = 0; n > 0 && i < c->there.count; i++)
		if (text_ends(c->there.entry[i].name, ".gguf"))
			buf_printf(notes, LEFT_OUT, c->there.entry[i].name);
	int rc = n == 0 ? nothing(c) : model_tensors_of(out, c->source, name, n, c->e);
	free(name);
	TRY(rc);
	check(*out);
	rc = names_extend(*out, c->e);
	if (rc < 0) {
		model_tensors_close(*out);
		*out = NULL;
	}
	return rc;
}

int model_values_files(struct model_tensors **out, struct source *src, struct buf *notes,
		       struct err *e)
{
	struct choosing c = { .source = src, .e = e };
	*out = NULL;
	int rc = files_list(&c);
	if (rc == 0 && model_gguf_of(src)) {
		for (size_t i = 0; i < c.files; i++)
			buf_printf(notes, LEFT_OUT, c.file[i].name);
		rc = model_tensors_open(out, src, e);
		goto out;
	}
	if (rc == 0)
		rc = dirs_take(&c);
	if (rc == 0)
		rc = chosen_open(&c, out, notes);
out:
	free(c.file);
	file_tree_free(&c.there);
	return rc;
}

/* ---- one file by its path ---- */

/* What tells how a file of weights is to be read, and whose it is. */
static const char *const about[] = {
	"README.md",      "chat_template.jinja",   "config.json", "generation_config.json",
	"tokenizer.json", "tokenizer_config.json",
};

struct beside {
	const char *name[SHARDS_MAX + sizeof about / sizeof *about];
	size_t count;
	struct arena arena;
};

/* DIR/name, if it is there. */
static int beside_add(struct beside *b, const char *path, const char *name, struct err *e)
{
	char full[LIMIT_PATH_BYTES];
	int n = snprintf(full, sizeof full, "%.*s%s", (int)dir_of(path), path, name);
	if (n >= (int)sizeof full || !file_exists(full))
		return 0;
	b->name[b->count] = arena_copy(&b->arena, name, strlen(name));
	return b->name[b->count++] ? 0 : err_set(e, ERR_NOMEM, "list of files");
}

int model_values_alone(struct source **out, const char *path, struct err *e)
{
	const char *name = path + dir_of(path);
	struct beside *b = calloc(1, sizeof *b);
	char shard[LIMIT_PATH_BYTES];
	struct weight_file f = file_of(name);
	int rc = b ? 0 : err_set(e, ERR_NOMEM, "list of files");
	for (size_t i = 0; rc == 0 && i < sizeof about / sizeof *about; i++)
		rc = beside_add(b, path, about[i], e);
	for (unsigned no = 1; rc == 0 && no <= f.of; no++) {
		/* as many digits as this one has */
		int width = (int)((strlen(name) - strlen(SUFFIX) - f.stem - strlen("--of-")) / 2);
		snprintf(shard, sizeof shard, "%.*s-%0*u-of-%0*u" SUFFIX, (int)f.stem, name, width,
			 no, width, f.of);
		rc = beside_add(b, path, shard, e);
	}
	if (rc == 0)
		rc = source_open_files(out, path, b->name, b->count, e);
	if (b)
		arena_free(&b->arena);
	free(b);
	return rc;
}
