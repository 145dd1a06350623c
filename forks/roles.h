/* What a model is made of, by role: found by names of many families, else by shapes and by the
 * graph of products. Private to forks/.
 *
 * A block is one network of hidden units whose order is free: a dense MLP, a shared MLP, an expert,
 * or the value dimensions of one key-value head of attention (MLA: its latent dimensions). The
 * channels of a recurrence or a short convolution are a dense one too. Each unit has two or three
 * vectors, its parts:
 *
 *   DENSE SHARED EXPERT   gate row, up row, down column (without a gate: up row, down column)
 *   ATTENTION             value row, and the sum of its columns of the output projection over the
 *                         query heads of the group; MLA: row of kv_a, and columns of kv_b for the
 *                         keys and for the values of the first head */
#ifndef FORKS_ROLES_H
#define FORKS_ROLES_H

#include "base/arena.h"
#include "model/values.h"

enum fork_kind { FORK_DENSE, FORK_SHARED, FORK_EXPERT, FORK_ATTENTION, FORK_KINDS };
const char *fork_kind_name(enum fork_kind k); /* "dense", "shared", "expert", "attention" */

/* Where the body of the model is, and what else lies beside it. */
enum fork_component {
	FORK_BODY,  /* the language model */
	FORK_TOWER, /* vision, audio, projectors between them */
	FORK_DRAFT, /* multi-token prediction, EAGLE heads */
	FORK_ENDS,  /* embeddings, head, final norm */
	FORK_COMPONENTS
};
const char *fork_component_name(enum fork_component c); /* "body", "tower", "draft", "ends" */

#define ROLE_PARTS 3
enum role_space {
	ROLE_RESIDUAL, /* vectors in the residual stream: `hidden` long */
	ROLE_INNER     /* of another space */
};

/* The unit vectors of one part, inside a stored value. Unit u is
 *   by row:     columns [column, column + width) of row r
 *   by column:  rows [row, row + width) of column r
 * with r = first + u * step; of several folds the sum over k < folds of such at r + k * fold. */
struct role_part {
	const struct model_value *value; /* NULL: the block has no such part */
	bool by_column;
	enum role_space space;
	uint64_t first, step;           /* along the units */
	uint64_t row, column;           /* where the vectors begin, across */
	uint64_t width;                 /* length of a vector */
	uint64_t fold, folds;           /* folds 1: one row or column, no sum */
	const struct model_value *gain; /* [width] of the norm that feeds it, or NULL */
	bool gain_plus_one;             /* the gain is 1 + what is stored */
};

struct role_block {
	const char
		*name; /* what its tensors' names have in common: "model.layers.3.mlp.experts.7" */
	enum fork_kind kind;
	enum fork_component component;
	uint32_t layer, index; /* index: expert or key-value head; of several dense or shared ones
				  of a layer which */
	uint64_t units, hidden;
	uint32_t parts;
	struct role_part part[ROLE_PARTS]; /* in the order of the table above */
};

/* What was found of one layer beside its blocks. Rows of q and of the router, for S4 and for the
 * map of experts. */
struct role_layer {
	struct role_part query, router; /* value NULL: none, or none that is known */
	uint64_t queries, experts;      /* how many units they have */
};

struct roles {
	struct role_block *block; /* [blocks] by component, layer, kind, index, name */
	size_t blocks;
	struct role_layer *layer; /* [layers] of the body */
	uint32_t layers;
	struct role_part embedding; /* by row: a vector for each token id; value NULL: not found */
	uint64_t hidden;            /* width of the body's residual stream; 0: not found */
	/* [values of the model] what each stored value belongs to. */
	enum fork_component *component;
	/* What was left out and why, a line each, or "". */
	char *notes;
	struct arena arena;
};

/* config may be NULL. Reads a few rows: equal key-value heads are one. ERR_IO, ERR_VERIFY of the
 * source. What is in no table and fits no structure is in no block; notes say so. */
int fork_roles_find(struct model_values *v, const json_t *config, struct roles *out,
		    struct err *e) MUST_USE;
void fork_roles_free(struct roles *r);

#endif
