/* hallmark.chunks, an ordinary listed file of a release. All integers are little-endian.
 *
 *     0   8  "HMCHUNK1"
 *     8   4  u32 version, 1
 *     12  4  u32 number of files
 *     then per file, in ascending order of name bytes:
 *         u16 length of name, name, u64 size of the file in bytes, u32 number of chunks,
 *         32 bytes per chunk: SHA-256(0x00 || chunk), RFC 6962 leaf; chunks of 4,194,304 bytes,
 *         the last one short
 *
 * Valid: exactly the files whose resource descriptor states chunks, each with the size, the count
 * and the tree root stated there, and no byte after the last one. */
#include "signing/chunks.h"
#include "signing/hash.h"
#include "signing/reader.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "HMCHUNK1"
#define VERSION 1

void signing_chunks_write(const struct signing_file *file, size_t count, struct buf *out)
{
	uint32_t large = 0;
	for (size_t i = 0; i < count; i++)
		large += file[i].has_chunks;
	buf_add_text(out, MAGIC);
	buf_add_u32le(out, VERSION);
	buf_add_u32le(out, large);
	for (size_t i = 0; i < count; i++) {
		if (!file[i].has_chunks)
			continue;
		buf_add_u16le(out, (uint16_t)strlen(file[i].name));
		buf_add_text(out, file[i].name);
		buf_add_u64le(out, file[i].bytes);
		buf_add_u32le(out, file[i].chunk_count);
		for (uint32_t c = 0; c < file[i].chunk_count; c++)
			buf_add(out, file[i].leaf[c].bytes, 32);
	}
}

/* One record into the next file that has chunks. */
static int read_one(struct reader *r, struct signing_file *f, struct err *e)
{
	char *name = signing_reader_string(r, 2);
	uint64_t bytes = reader_uint(r, 8), chunks = reader_uint(r, 4);
	if (!name || r->failed || strcmp(name, f->name) != 0 || bytes != f->bytes ||
	    chunks != f->chunk_count) {
		free(name);
		return err_set(e, ERR_INPUT,
			       SIGNING_CHUNKS ": the record of %s is damaged or not as signed",
			       f->name);
	}
	free(name);
	const uint8_t *leaves = chunks > r->left / 32 ? NULL : reader_bytes(r, (size_t)chunks * 32);
	if (!leaves)
		return err_set(e, ERR_INPUT, SIGNING_CHUNKS ": ends within %s", f->name);
	free(f->leaf);
	f->leaf = malloc((size_t)chunks * sizeof *f->leaf);
	if (!f->leaf)
		return err_set(e, ERR_NOMEM, "out of memory for " SIGNING_CHUNKS);
	memcpy(f->leaf, leaves, (size_t)chunks * sizeof *f->leaf);
	struct digest root = signing_hash_tree(f->leaf, (size_t)chunks);
	if (!digest_equal(&root, &f->chunk_root))
		return err_set(e, ERR_INPUT,
			       SIGNING_CHUNKS ": the tree of %s has another root than signed",
			       f->name);
	return 0;
}

int signing_chunks_read(const void *bytes, size_t len, struct signing_file *file, size_t count,
			struct err *e)
{
	struct reader r = { bytes, len, false };
	const uint8_t *magic = reader_bytes(&r, 8);
	if (!magic || memcmp(magic, MAGIC, 8) != 0)
		return err_set(e, ERR_INPUT, SIGNING_CHUNKS ": does not start with " MAGIC);
	uint64_t version = reader_uint(&r, 4), records = reader_uint(&r, 4);
	if (version != VERSION)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: " SIGNING_CHUNKS " version %llu",
			       (unsigned long long)version);
	uint64_t large = 0;
	for (size_t i = 0; i < count; i++)
		large += file[i].has_chunks;
	if (records != large)
		return err_set(e, ERR_INPUT,
			       SIGNING_CHUNKS ": %llu files, %llu are signed with chunks",
			       (unsigned long long)records, (unsigned long long)large);
	for (size_t i = 0; i < count; i++)
		if (file[i].has_chunks)
			TRY(read_one(&r, &file[i], e));
	if (r.failed || r.left)
		return err_set(e, ERR_INPUT, SIGNING_CHUNKS ": bytes after the last record");
	return 0;
}
