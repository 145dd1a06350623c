/* The tensors of a checkpoint folder (safetensors). */
#ifndef MODEL_TENSORS_H
#define MODEL_TENSORS_H

#include "base/source.h"

#include <stdbool.h>
#include <stdint.h>

enum model_dtype { /* clang-format off */
	MODEL_BOOL, MODEL_U8, MODEL_I8, MODEL_U16, MODEL_I16, MODEL_U32, MODEL_I32, MODEL_U64,
	MODEL_I64, MODEL_F16, MODEL_BF16, MODEL_F32, MODEL_F64, MODEL_F8_E4M3, MODEL_F8_E5M2,
	MODEL_F8_E8M0, MODEL_F4,
	/* GGUF's blocks of values with their scales: model/blocks.c */
	MODEL_Q8_0, MODEL_Q4_0, MODEL_Q4_K, MODEL_Q5_K, MODEL_Q6_K, MODEL_MXFP4,
	/* others of them: models that are served have none; their values are read by values.h */
	MODEL_Q4_1, MODEL_Q5_0, MODEL_Q5_1, MODEL_Q2_K, MODEL_Q3_K, MODEL_IQ4_NL, MODEL_IQ4_XS,
	/* and whose values are not read at all */
	MODEL_IQ1_S, MODEL_IQ1_M, MODEL_IQ2_XXS, MODEL_IQ2_XS, MODEL_IQ2_S,
	MODEL_IQ3_XXS, MODEL_IQ3_S, MODEL_TQ1_0, MODEL_TQ2_0,
	MODEL_DTYPES /* clang-format on */
};

/* What conversion to GGUF has made of a vector: a gain has its plus one already; a decay is
 * -exp of what a folder of safetensors holds. */
enum model_made { MODEL_AS_STORED, MODEL_COMPLETE, MODEL_DECAY };

/* One tensor. begin is absolute in the file. Strings belong to the directory. */
struct model_tensor {
	const char *name, *file;
	enum model_dtype dtype;
	int rank;
	uint64_t shape[8];
	uint64_t begin, bytes;
	/* Of GGUF: rows of each head of this many are stored as pairs (i, i + size/2); 0: as they
	 * are. */
	uint32_t turn;
	enum model_made made;
};

struct model_tensors;

/* model.safetensors, or the shards of model.safetensors.index.json, or what a source of gguf.h
 * shows. Strict: no hole, no overlap. The source is borrowed. */
int model_tensors_open(struct model_tensors **out, struct source *src, struct err *e) MUST_USE;
/* The tensors of all these safetensors files [files], which need not belong together: a name may be
 * in several of them. */
int model_tensors_of(struct model_tensors **out, struct source *src, const char *const *file,
		     size_t files, struct err *e) MUST_USE;
/* The header of one file in memory (length prefix included): for fuzzing and for headers from
 * elsewhere. file_bytes is the size of the whole file. */
int model_tensors_parse(struct model_tensors **out, const char *file, const void *head, size_t len,
			uint64_t file_bytes, struct err *e) MUST_USE;
void model_tensors_close(struct model_tensors *t);
size_t model_tensors_count(const struct model_tensors *t);
/* sorted by name, then by file */
const struct model_tensor *model_tensors_at(const struct model_tensors *t, size_t i);
/* or NULL */
const struct model_tensor *model_tensors_find(const struct model_tensors *t, const char *name);
const char *model_dtype_name(enum model_dtype d); /* as in the file: "BF16" */
unsigned model_dtype_bits(enum model_dtype d);    /* of a value; not for blocks */
/* Values that are stored together: 1, or 32 or 256 of a block. */
unsigned model_dtype_block(enum model_dtype d);
/* Bytes of n values, which are whole blocks and whole bytes. */
uint64_t model_dtype_bytes(enum model_dtype d, uint64_t n);
/* n values (whole blocks) of a float type as f32; raw may be unaligned. */
void model_dtype_widen(enum model_dtype d, const unsigned char *raw, size_t n, float *out);
/* Values of rows [row, row+rows) of a tensor of rank 1 or 2 (rank 1: columns) as f32 into out,
 * [rows][columns]; FP8 blocks are multiplied with their NAME_scale_inv. ERR_UNSUPPORTED for
 * integer types; ERR_INPUT for non-finite values. */
int model_tensors_read(struct model_tensors *t, const struct model_tensor *w, uint64_t row,
		       uint64_t rows, float *out, struct err *e) MUST_USE;

#endif
