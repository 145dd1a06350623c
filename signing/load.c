#include "signing/load.h"
#include "base/limits.h"
#include "signing/chunks.h"
#include "signing/statement.h"
#include "signing/tensors.h"

#include <stdlib.h>
#include <string.h>

#define OWN_BYTES_MAX MIB(512) /* a million tensors, or the leaves of 64 TiB */

int signing_read(struct source *under, const char *name, uint64_t offset, void *out, size_t len,
		 struct err *e)
{
	int rc = source_read(under, name, offset, out, len, e);
	if (rc != ERR_INPUT)
		return rc;
	return err_set(e, ERR_VERIFY, "%s/%s: ends before byte %llu", under->label, name,
		       (unsigned long long)(offset + len));
}

static int read_own(const struct signing_manifest *m, struct source *under, const char *name,
		    struct buf *out, struct err *e)
{
	ptrdiff_t at = signing_statement_find(m, name);
	TRY(source_read_file(under, name, OWN_BYTES_MAX, out, e));
	struct digest found = digest_of(out->bytes, out->len);
	if (!digest_equal(&found, &m->file[at].digest))
		return err_set(e, ERR_VERIFY, "%s: not the bytes that were signed", name);
	return 0;
}

static bool any_chunks(const struct signing_manifest *m)
{
	for (size_t i = 0; i < m->file_count; i++)
		if (m->file[i].has_chunks)
			return true;
	return false;
}

int signing_manifest_load_chunks(struct signing_manifest *m, struct source *under, struct err *e)
{
	struct buf text = { 0 };
	if (signing_statement_find(m, SIGNING_CHUNKS) < 0)
		return any_chunks(m) ? err_set(e, ERR_INPUT,
					       "chunks are signed, but " SIGNING_CHUNKS " is not")
				     : 0;
	int result = read_own(m, under, SIGNING_CHUNKS, &text, e);
	if (result == 0)
		result = signing_chunks_read(text.bytes, text.len, m->file, m->file_count, e);
	buf_free(&text);
	return result;
}

int signing_manifest_load_tensors(struct signing_manifest *m, struct source *under, struct err *e)
{
	struct buf text = { 0 };
	struct signing_tensor *tensor = NULL;
	size_t count = 0;
	if (signing_statement_find(m, SIGNING_TENSORS) < 0)
		return 0;
	int result = read_own(m, under, SIGNING_TENSORS, &text, e);
	if (result == 0)
		result = signing_tensors_read(text.bytes, text.len, m, &tensor, &count, e);
	buf_free(&text);
	if (result < 0)
		return result;
	signing_tensors_free(m->tensor, m->tensor_count);
	m->tensor = tensor;
	m->tensor_count = count;
	return 0;
}

int signing_manifest_load(struct signing_manifest *m, struct source *under, struct err *e)
{
	int rc = signing_manifest_load_chunks(m, under, e);
	if (rc == 0)
		rc = signing_manifest_load_tensors(m, under, e);
	if (rc < 0)
		err_prefix(e, "%s", under->label);
	return rc;
}

int signing_manifest_shadow(struct signing_manifest *out, const struct signing_manifest *m,
			    struct err *e)
{
	*out = (struct signing_manifest){ .file = calloc(m->file_count + 1, sizeof *m->file),
					  .file_count = m->file_count };
	if (!out->file)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	for (size_t i = 0; i < m->file_count; i++) {
		out->file[i] = m->file[i];
		out->file[i].leaf = NULL;
	}
	return 0;
}

void signing_manifest_shadow_free(struct signing_manifest *shadow)
{
	for (size_t i = 0; i < shadow->file_count; i++)
		free(shadow->file[i].leaf);
	signing_tensors_free(shadow->tensor, shadow->tensor_count);
	free(shadow->file);
	*shadow = (struct signing_manifest){ .file = NULL };
}
