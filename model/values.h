/* The tensors of a model as values, whatever they are stored as: floats, FP8, blocks of GGUF, or
 * codes with their scales (GPTQ, AWQ, nf4, int8, compressed-tensors, FP8 by block or by row). One
 * value is what a plain checkpoint would have as one tensor: the tensors beside the codes are part
 * of it. No family need be known: what stands in several tensors is found by its suffixes, and by
 * quantization_config where there is one. */
#ifndef MODEL_VALUES_H
#define MODEL_VALUES_H

#include "model/tensors.h"

#include <jansson.h>

struct model_value {
	const char *name; /* "...q_proj.weight": the plain checkpoint's name */
	int rank;
	uint64_t shape[8]; /* of the values, not of the codes; a matrix [r, c, 1] is [r, c] */
	uint64_t rows,
		columns; /* as a matrix: all dimensions but the last are rows; rank 1: one row */
	bool floats;     /* it has values as f32; else an index, a mask and the like */
	char form[48];   /* how it is stored, for people: "BF16", "Q4_K", "GPTQ of 4 bits" */
	const struct model_tensor *const *stored; /* [parts] the codes first */
	size_t parts;
	enum model_made made; /* of GGUF: what conversion has made of a vector */
};

struct model_values;

/* Every tensor below the folder that `src` shows: model.safetensors, shards with or without an
 * index, consolidated.*.safetensors, any other *.safetensors; a view of a GGUF file (gguf.h).
 * config: parsed config.json, or NULL. src and config are borrowed. ERR_UNSUPPORTED names pickles
 * (*.bin, *.pt, *.pth, *.ckpt) and the way round; forms that are not available are values with
 * floats false, and form says so. */
int model_values_open(struct model_values **out, struct source *src, const json_t *config,
		      struct err *e) MUST_USE;
void model_values_close(struct model_values *v); /* NULL is fine */
/* A safetensors file at path, with the other shards of its set and the texts of a model that lie
 * beside it, as a folder of nothing else. */
int model_values_alone(struct source **out, const char *path, struct err *e) MUST_USE;
size_t model_values_count(const struct model_values *v);
const struct model_value *model_values_at(const struct model_values *v, size_t i); /* by name */
const struct model_value *model_values_find(const struct model_values *v, const char *name);
uint64_t model_value_bytes(const struct model_value *w);          /* as stored, all parts */
struct source *model_values_source(const struct model_values *v); /* of stored[]->file */
/* What a person should know of the folder: lines that end in a newline, or "". */
const char *model_values_notes(const struct model_values *v);

/* Rows [row, row + rows) as f32, [rows][columns]; the value has floats. What is not finite stays
 * so: the caller looks. For any thread. ERR_IO, ERR_VERIFY of the source; ERR_INPUT: codes or
 * scales that contradict themselves. */
int model_values_read(struct model_values *v, const struct model_value *w, uint64_t row,
		      uint64_t rows, float *out, struct err *e) MUST_USE;

/* ---- a LoRA adapter over its base ---- */

struct model_adapter;

/* The values of base with what the adapter, opened with its values, adds to those that it fits.
 * Both are borrowed. Reading says ERR_INPUT where the adapter holds what W must be, and it is not.
 */
int model_values_adapt(struct model_values **out, struct model_values *base,
		       const struct model_adapter *a, struct err *e) MUST_USE;

/* Whether it is this base's. */
struct model_fit {
	uint64_t modules,
		fitting;    /* a matrix of the right shape is there, and W is what it must be */
	uint32_t rank;      /* the largest */
	double relative_l2; /* ||s B A|| / ||W|| over those that fit; NAN: cannot be told */
	char why[256];      /* the first that does not fit; or "" */
};
int model_values_fit(struct model_values *base, const struct model_adapter *a,
		     struct model_fit *out, struct err *e) MUST_USE;

#endif
