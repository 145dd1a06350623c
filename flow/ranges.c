#include "base/text.h"
#include "flow/home.h"
#include "model/tensors.h"

#include <stdlib.h>

int flow_ranges_of(const struct model_tensors *t, struct signing_range **out, size_t *count,
		   struct err *e)
{
	size_t n = model_tensors_count(t);
	struct signing_range *range = calloc(n + 1, sizeof *range);
	if (!range)
		return err_set(e, ERR_NOMEM, "out of memory for the ranges of tensors");
	for (size_t i = 0; i < n; i++) {
		const struct model_tensor *w = model_tensors_at(t, i);
		range[i] = (struct signing_range){
			.name = w->name,
			.dtype = model_dtype_name(w->dtype),
			.shape = w->shape,
			.rank = w->rank,
			.file = w->file,
			.begin = w->begin,
			.bytes = w->bytes,
		};
	}
	*out = range;
	*count = n;
	return 0;
}

/* Those of all safetensors files that a release would list, as flow_folder_tensors has them. */
static int open_tensors(struct source *s, struct model_tensors **out, struct err *e)
{
	static const char *const skip[] = { ".git", SIGNING_CHUNKS, SIGNING_TENSORS };
	struct file_tree t = { 0 };
	TRY(source_list(s, skip, sizeof skip / sizeof *skip, &t, e));
	const char **file = calloc(t.count + 1, sizeof *file);
	size_t count = 0;
	for (size_t i = 0; file && i < t.count; i++)
		if (text_ends(t.entry[i].name, ".safetensors") && !signing_ignored(t.entry[i].name))
			file[count++] = t.entry[i].name;
	int rc = file ? model_tensors_of(out, s, file, count, e)
		      : err_set(e, ERR_NOMEM, "out of memory for a list of files");
	free(file);
	file_tree_free(&t);
	return rc;
}

/* What no release could hold, as its tensors cannot be read, has a name all the same. */
int flow_root_of(struct source *s, struct digest *root, struct err *e)
{
	struct model_tensors *t = NULL;
	struct signing_range *range = NULL;
	size_t count = 0;
	int rc = 0;
	rc = open_tensors(s, &t, e);
	if (rc == 0)
		rc = flow_ranges_of(t, &range, &count, e);
	if (rc < 0 && rc != ERR_INPUT && rc != ERR_UNSUPPORTED)
		goto out;
	rc = signing_root_of(s, range, count, root, e);
out:
	free(range);
	model_tensors_close(t);
	return rc;
}
