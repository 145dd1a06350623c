/* hallmark.tensors: a digest for every tensor of a release. */
#ifndef SIGNING_TENSORS_H
#define SIGNING_TENSORS_H

#include "base/buf.h"
#include "signing/release.h"

/* Below, at or over 0: by name, then by file. */
int signing_tensor_order(const struct signing_tensor *a, const struct signing_tensor *b);

/* Write all tensors of m, in that order. */
void signing_tensors_write(const struct signing_manifest *m, struct buf *out);

/* Read into *tensor (owned by the caller: signing_tensors_free) and compare with the files' stated
 * counts and roots. ERR_INPUT otherwise. */
int signing_tensors_read(const void *bytes, size_t len, const struct signing_manifest *m,
			 struct signing_tensor **tensor, size_t *count, struct err *e) MUST_USE;
void signing_tensors_free(struct signing_tensor *tensor, size_t count);

/* Positions of tensors in an array, sorted by file and then by first byte. */
struct tensor_index {
	const struct signing_tensor *tensor; /* borrowed */
	size_t *at;
	size_t count;
};
/* ERR_INPUT if two tensors share a byte. Free with signing_tensor_index_free. */
int signing_tensor_index_make(struct tensor_index *out, const struct signing_tensor *tensor,
			      size_t count, struct err *e) MUST_USE;
void signing_tensor_index_free(struct tensor_index *x);
/* The part of x->at that belongs to one file; *count may be 0. */
const size_t *signing_tensor_index_file(const struct tensor_index *x, const char *file,
					size_t *count);

/* Tree root of one file's tensors: RFC 6962 over its records, in order of name. */
int signing_tensors_tree(const struct tensor_index *x, const char *file, uint64_t *count,
			 struct digest *root, struct err *e) MUST_USE;

/* Name, dtype, shape: what a record may hold. */
int signing_tensor_check(const struct signing_tensor *t, struct err *e) MUST_USE;

#endif
