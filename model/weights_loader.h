/* Private: from tensors to packed weights. First a list is made of everything the model consists
 * of, every name, type and shape checked and every format chosen; then memory is counted and taken;
 * then files are read from front to back, and whatever part of the list a piece of a file belongs
 * to is packed from there. */
#ifndef MODEL_WEIGHTS_LOADER_H
#define MODEL_WEIGHTS_LOADER_H

#include "model/tensors_in.h"
#include "model/weights.h"

#include "base/progress.h"

#include <stdatomic.h>

enum item_kind {
	ITEM_FLOATS,       /* [n] -> f32 */
	ITEM_MATRIX,       /* [rows, columns] */
	ITEM_KV_B,         /* heads' key rows, to be transposed, and value rows: weights_attn.c */
	ITEM_TURNED,       /* experts [E, columns, rows], stored wide: weights_fused.c */
	ITEM_BLOCKS,       /* experts [E, rows, columns/32, 16], MXFP4 */
	ITEM_BLOCK_SCALES, /* their scales [E, rows, columns/32] */
	ITEM_BIASES,       /* experts' biases [E, rows] */
	ITEM_FP8_SCALES,   /* of `parent` */
	ITEM_TIED          /* a stored head that must repeat the embeddings of `parent` */
};

/* One tensor of the model. */
struct item {
	enum item_kind kind;
	enum weight_class class;
	enum model_dtype dtype;
	enum kernel_format format;         /* of its matrices */
	uint32_t rows, columns;            /* of the matrix; fused: of one expert */
	uint32_t count;                    /* fused: matrices that its rows go to in turn */
	bool gain;                         /* FLOATS: a norm's, near 1 */
	const struct model_tensor *tensor; /* NULL: invented */
	size_t parent;                     /* index of the item that it belongs to */
	union {
		float **floats;
		struct kernel_matrix *matrix;
		struct mla_weights *mla;
		struct ffn_weights *expert; /* [experts] */
	} to;
	float *scale;            /* FP8: [ceil(rows/128)][ceil(columns/128)], owned */
	unsigned char *mx_scale; /* BLOCKS: [E][rows][columns/32], owned */
	/* The tensor is groups (of the last one cut short none) of units: packed as a whole. */
	uint64_t group_bytes, unit_bytes;
	int phase; /* 0: what others need first, 2: what needs others */
};

#define ITEM_PHASES 3

struct loader {
	struct model_tensors *tensors; /* NULL: weights are invented */
	const struct model_config *c;
	enum model_packing packing;
	uint64_t memory_max; /* 0: what is available */
	bool quiet;
	const struct kernels *kernels;
	struct pool *pool;
	struct model_weights *w;
	struct item *item;
	size_t count, room;
	uint64_t scratch_bytes; /* of one worker, beside what is read into */
	bool *used;             /* [tensors] */
	struct progress progress;
	char name[300]; /* of the tensor at work */
	struct err *e;
};

/* ---- weights_plan.c: the list ---- */

int loader_plan(struct loader *l) MUST_USE;
/* l->name = "model.layers.L.PART" */
void loader_name(struct loader *l, uint32_t layer, const char *part);
/* Add the tensor l->name, which must have this shape; NULL shape: [rows, columns]. */
int loader_add(struct loader *l, const struct item *it, const uint32_t *shape, int rank) MUST_USE;
/* [n] and [rows, columns] of a layer, by the part of the name after "model.layers.L.". */
int loader_floats(struct loader *l, uint32_t layer, const char *part, uint32_t n,
		  float **out) MUST_USE;
int loader_matrix(struct loader *l, enum weight_class class, uint32_t layer, const char *part,
		  uint32_t rows, uint32_t columns, struct kernel_matrix *w) MUST_USE;
/* The i-th matrix that an item fills, with its shape; NULL past the last. */
struct kernel_matrix *loader_part(const struct loader *l, const struct item *it, size_t i,
				  uint32_t *rows, uint32_t *columns);

/* weights_attn.c, weights_ffn.c, weights_fused.c: one half of a layer each. */
int loader_attention(struct loader *l, uint32_t layer, struct layer_weights *w) MUST_USE;
void loader_attention_free(struct layer_weights *w, const struct model_config *c);
int loader_ffn(struct loader *l, uint32_t layer, struct layer_weights *w) MUST_USE;
void loader_ffn_free(struct layer_weights *w, const struct model_config *c);
int loader_fused(struct loader *l, uint32_t layer, struct layer_weights *w) MUST_USE;

/* ---- weights_choice.c ---- */

enum kernel_format loader_format(const struct loader *l, enum weight_class class,
				 enum model_dtype stored);

/* ---- weights.c: memory of the whole list ---- */

/* Count what the list takes, compare it with what there is, take it. */
int loader_alloc(struct loader *l) MUST_USE;

/* ---- weights_pack.c ---- */

/* Whole units of an item from offset `at` of its tensor. Safe for several threads, on disjoint
 * units. */
int item_pack(struct loader *l, const struct item *it, uint64_t at, const unsigned char *bytes,
	      uint64_t len, unsigned char *scratch, struct err *e) MUST_USE;
/* The form that pack takes an item's values in, and its bytes for each: FP8 latents and F64 are
 * widened to f32 first. */
enum kernel_stored item_stored(const struct item *it);
size_t item_element_bytes(const struct item *it);
/* "file: tensor T has a non-finite value at row R, column C", or one that the format lacks. */
int item_refuse(const struct item *it, uint64_t row, uint64_t column, struct err *e);
int item_pack_kv_b(struct loader *l, const struct item *it, uint64_t head,
		   const unsigned char *bytes, unsigned char *scratch, struct err *e) MUST_USE;
int item_pack_turned(struct loader *l, const struct item *it, uint64_t expert,
		     const unsigned char *bytes, unsigned char *scratch, struct err *e) MUST_USE;
int item_pack_blocks(struct loader *l, const struct item *it, uint64_t at,
		     const unsigned char *bytes, uint64_t len, unsigned char *scratch,
		     struct err *e) MUST_USE;
int item_pack_biases(struct loader *l, const struct item *it, const unsigned char *bytes,
		     struct err *e) MUST_USE;

/* ---- weights_read.c ---- */

/* Read and pack everything. */
int loader_read(struct loader *l) MUST_USE;

#endif
