/* GGUF files: a model's config, tokenizer and weights in one file, or in several parts. */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include "base/arena.h"
#include "model/tensors.h"

#include <jansson.h>

/* The header of one file. Tensors have the file's own names; shapes are [rows, columns], columns
 * last. */
struct model_gguf {
	json_t *meta;                /* key -> value: what the file says of itself */
	json_t *places;              /* key -> byte in the file, of lists of F32 */
	struct model_tensor *tensor; /* [count] in the order of the file */
	size_t count;
	struct arena arena; /* names */
};

/* From the first len bytes of a file of file_bytes, which is named `file` in sentences. *more: the
 * header is longer than len; then the call fails, and the caller comes again with more of it. */
int model_gguf_parse(struct model_gguf **out, const char *file, const void *bytes, size_t len,
		     uint64_t file_bytes, bool *more, struct err *e) MUST_USE;
int model_gguf_read(struct model_gguf **out, struct source *src, const char *file,
		    struct err *e) MUST_USE;
void model_gguf_close(struct model_gguf *g); /* NULL is fine */

/* A folder whose weights are GGUF as one of safetensors: config.json, generation_config.json,
 * tokenizer.json and tokenizer_config.json are made from the file's metadata, in place of those
 * that lie beside it, and model_tensors_open gives the tensors by the names that they have there.
 * *out is NULL where there are safetensors, or no GGUF file. `under` is borrowed; source_close
 * closes what is made; general.md is what the file says of its origin, as a card's front matter.
 * ERR_INPUT: several models, a part that is missing, metadata that contradict
 * themselves; ERR_UNSUPPORTED: an architecture, a tokenizer or a type that is not available. */
int model_gguf_folder(struct source **out, struct source *under, struct err *e) MUST_USE;

/* The same for the tensors' values alone: what cannot be made is left out, and tensors that nobody
 * knows keep the names of the file. Types that models are not served in are read too. */
int model_gguf_loose(struct source **out, struct source *under, struct err *e) MUST_USE;

/* The file at path and, where it is a part, the others beside it, as a folder of nothing else. */
int model_gguf_files(struct source **out, const char *path, struct err *e) MUST_USE;

#endif
