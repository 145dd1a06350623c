/* hallmark.chunks and hallmark.tensors: what is read is written again to the same bytes. */
#include "base/check.h"
#include "signing/chunks.h"
#include "signing/hash.h"
#include "signing/tensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A manifest of two files, the second one with chunks whose root is that of the leaves in the input, so that
 * the reader gets past it. */
static void check_chunks(const uint8_t *bytes, size_t len)
{
	struct signing_file file[2] = {{.name = (char[]){"a"}}, {.name = (char[]){"b"}}};
	struct digest leaf[3];
	struct buf again = {0};
	struct err e = {0};
	file[1].has_bytes = file[1].has_chunks = true;
	file[1].bytes = 2 * (uint64_t)SIGNING_CHUNK_BYTES + 5;
	file[1].chunk_count = 3;
	if (len < sizeof leaf)
		return;
	memcpy(leaf, bytes + len - sizeof leaf, sizeof leaf);
	file[1].chunk_root = signing_hash_tree(leaf, 3);
	if (signing_chunks_read(bytes, len, file, 2, &e) == 0) {
		signing_chunks_write(file, 2, &again);
		check(again.len == len && memcmp(again.bytes, bytes, len) == 0);
	}
	free(file[0].leaf);
	free(file[1].leaf);
	buf_free(&again);
}

static void check_tensors(const uint8_t *bytes, size_t len)
{
	struct signing_file file[2] = {{.name = (char[]){"a"}}, {.name = (char[]){"b"}}};
	struct signing_manifest m = {.file = file, .file_count = 2};
	struct buf again = {0};
	struct err e = {0};
	file[1].has_bytes = true;
	file[1].bytes = 1000;
	if (signing_tensors_read(bytes, len, &m, &m.tensor, &m.tensor_count, &e) < 0)
		return;
	signing_tensors_write(&m, &again);
	check(again.len == len && memcmp(again.bytes, bytes, len) == 0);
	signing_tensors_free(m.tensor, m.tensor_count);
	buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	check_chunks(bytes, len);
	check_tensors(bytes, len);
	return 0;
}
