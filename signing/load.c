#include "signing/load.h"
#include "base/limits.h"
#include "signing/chunks.h"
#include "signing/folder.h"
#include "signing/statement.h"
#include "signing/tensors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_BYTES_MAX MIB(512) /* a million tensors, or the leaves of 64 TiB */

static int read_own(const struct signing_manifest *m, int dir_fd, const char *name, struct buf *out,
		    struct err *e)
{
	int fd = -1;
	uint64_t bytes = 0;
	ptrdiff_t at = statement_find(m, name);
	TRY(folder_file(dir_fd, name, &fd, &bytes, e));
	char *room = bytes <= OWN_BYTES_MAX ? buf_reserve(out, (size_t)bytes) : NULL;
	int result =
		room ? folder_read(fd, name, 0, room, (size_t)bytes, e)
		     : err_set(e, ERR_INPUT, "%s: %llu bytes", name, (unsigned long long)bytes);
	close(fd);
	if (result < 0)
		return result;
	out->len += (size_t)bytes;
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

int manifest_load_chunks(struct signing_manifest *m, int dir_fd, struct err *e)
{
	struct buf text = { 0 };
	if (statement_find(m, SIGNING_CHUNKS) < 0)
		return any_chunks(m) ? err_set(e, ERR_INPUT,
					       "chunks are signed, but " SIGNING_CHUNKS " is not")
				     : 0;
	int result = read_own(m, dir_fd, SIGNING_CHUNKS, &text, e);
	if (result == 0)
		result = chunks_read(text.bytes, text.len, m->file, m->file_count, e);
	buf_free(&text);
	return result;
}

int manifest_load_tensors(struct signing_manifest *m, int dir_fd, struct err *e)
{
	struct buf text = { 0 };
	struct signing_tensor *tensor = NULL;
	size_t count = 0;
	if (statement_find(m, SIGNING_TENSORS) < 0)
		return 0;
	int result = read_own(m, dir_fd, SIGNING_TENSORS, &text, e);
	if (result == 0)
		result = tensors_read(text.bytes, text.len, m, &tensor, &count, e);
	buf_free(&text);
	if (result < 0)
		return result;
	tensors_free(m->tensor, m->tensor_count);
	m->tensor = tensor;
	m->tensor_count = count;
	return 0;
}

int signing_manifest_load(struct signing_manifest *m, const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "open folder %s", dir);
	int result = manifest_load_chunks(m, fd, e);
	if (result == 0)
		result = manifest_load_tensors(m, fd, e);
	close(fd);
	return result < 0 ? err_prefix(e, "%s", dir) : 0;
}

int manifest_shadow(struct signing_manifest *out, const struct signing_manifest *m, struct err *e)
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

void manifest_shadow_free(struct signing_manifest *shadow)
{
	for (size_t i = 0; i < shadow->file_count; i++)
		free(shadow->file[i].leaf);
	tensors_free(shadow->tensor, shadow->tensor_count);
	free(shadow->file);
	*shadow = (struct signing_manifest){ .file = NULL };
}
