/* The weights of a model: a plan of all its tensors, and the reading of them to whoever keeps them.
 *
 * The plan lists the tensors: names and shapes checked, the class of each, the format that its
 * values are packed to. The keeper (a backend) decides where they are stored. So the reader knows
 * nothing of memory, and the keeper nothing of files. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "base/pool.h"
#include "base/source.h"
#include "kernels/matrix.h"
#include "model/config.h"
#include "model/packing.h"
#include "model/tensors.h"

/* ---- the plan ---- */

/* What a tensor is for decides which format its values get: weights_choice.c. */
enum weight_class { /* clang-format off */
	WEIGHT_EMBED, WEIGHT_HEAD, WEIGHT_ATTENTION, WEIGHT_LATENT, WEIGHT_DENSE, WEIGHT_SHARED,
	WEIGHT_EXPERT, WEIGHT_ROUTER, WEIGHT_VECTOR, WEIGHT_CLASSES /* clang-format on */
};

/* How the stored values of a tensor become matrices [outputs, inputs] or vectors. Where `stack` is
 * set, those of all experts lie in one tensor, one after the other. */
enum item_kind {
	ITEM_FLOATS, /* [rows, columns] of f32; a vector has one column */
	ITEM_MATRIX, /* [rows, columns] */
	ITEM_KV_B,   /* of each head: nope rows, to be transposed, then value rows, all [kv_rank]:
	                    * two matrices a head, [kv_rank, nope] and [value, kv_rank] */
	ITEM_TRANSPOSED,   /* experts [E, columns, rows]: transposed */
	ITEM_BLOCKS,       /* experts [E, rows, columns/32, 16], MXFP4 codes, low nibble first */
	ITEM_BLOCK_SCALES, /* their scales [E, rows, columns/32]; of `parent` */
	ITEM_FP8_SCALES, /* [ceil(rows/128), ceil(columns/128)] of `parent`: value = fp8 * scale */
	ITEM_TIED        /* a stored head that must repeat the embeddings, which are `parent` */
};

/* Where in the model a tensor belongs. */
enum model_slot { /* clang-format off */
	SLOT_EMBED, SLOT_HEAD, SLOT_NORM, SLOT_NORM_BIAS, SLOT_HEAD_BIAS,
	/* per-layer inputs: [vocab, layers * P], [layers * P, hidden], [P] */
	SLOT_INPUTS_EMBED, SLOT_INPUTS_PROJECTION, SLOT_INPUTS_NORM,
	/* the rest is a layer's; norms before and after each branch, and biases of the former */
	SLOT_ATTN_NORM, SLOT_ATTN_AFTER, SLOT_FFN_NORM, SLOT_FFN_AFTER,
	SLOT_ATTN_NORM_BIAS, SLOT_FFN_NORM_BIAS,
	SLOT_LAYER_SCALAR,                           /* [1] */
	SLOT_INPUT_GATE, SLOT_INPUT_UP, SLOT_INPUT_NORM, /* [P, hidden], [hidden, P], [hidden] */
	/* attention; with a query latent SLOT_Q is its up-projection, and SLOT_Q_BIAS is
	 * SLOT_Q_A's */
	SLOT_Q_A, SLOT_Q, SLOT_KV_A, SLOT_KV_B, SLOT_K, SLOT_V, SLOT_O,
	/* SLOT_KV_B stored apart: [heads, kv_rank, nope], [heads, value, kv_rank] */
	SLOT_KEY_UP, SLOT_VALUE_UP,
	SLOT_Q_NORM, SLOT_K_NORM, SLOT_KV_NORM,
	SLOT_Q_BIAS, SLOT_K_BIAS, SLOT_V_BIAS, SLOT_KV_BIAS, SLOT_O_BIAS, SLOT_SINKS,
	SLOT_OUT_GATE,                               /* [heads * value, hidden] or [heads, hidden] */
	/* the indexer: [n*d, q_rank], [d, hidden], [n, hidden], LayerNorm [d] twice */
	SLOT_INDEX_Q, SLOT_INDEX_K, SLOT_INDEX_WEIGHTS, SLOT_INDEX_NORM, SLOT_INDEX_NORM_BIAS,
	/* the delta rule, beside SLOT_Q, SLOT_K, SLOT_V, SLOT_O: the output's gate z (by way of
	 * SLOT_DELTA_GATE_A where it has a rank), beta, decay (the same with SLOT_DELTA_DECAY_A);
	 * convolutions [channels, K] of q, k, v; A_log [value_heads], dt_bias, gain [value] */
	SLOT_DELTA_GATE_A, SLOT_DELTA_GATE, SLOT_DELTA_BETA, SLOT_DELTA_DECAY_A, SLOT_DELTA_DECAY,
	SLOT_DELTA_CONV_Q, SLOT_DELTA_CONV_K, SLOT_DELTA_CONV_V,
	SLOT_DELTA_A, SLOT_DELTA_DT, SLOT_DELTA_NORM,
	/* feed-forward; from SLOT_GATE on of a dense layer or the shared expert, or of `expert` */
	SLOT_ROUTER, SLOT_ROUTER_BIAS, SLOT_SHARED_GATE,
	SLOT_ROUTER_SCALE, SLOT_EXPERT_SCALE,        /* [hidden] of the router's input; [experts] */
	SLOT_EXPERTS_NORM, SLOT_EXPERTS_AFTER, SLOT_DENSE_AFTER, /* MODEL_FFN_BOTH */
	SLOT_GATE, SLOT_UP, SLOT_DOWN, SLOT_GATE_BIAS, SLOT_UP_BIAS, SLOT_DOWN_BIAS,
	SLOT_ACT,                                    /* XIELU: alpha_p, alpha_n, beta, eps */
	MODEL_SLOTS /* clang-format on */
};

/* In no layer. */
static inline bool model_slot_is_whole(enum model_slot s) { return s < SLOT_ATTN_NORM; }

#define MODEL_NO_EXPERT UINT32_MAX

/* A tensor's rows go to its parts in turn: of every period, which is the sum of all takes, the
 * first rows to part 0, as many as it takes, and so on. One part takes all. */
#define MODEL_PARTS 4
struct model_part {
	enum model_slot slot;
	uint32_t take;
};

/* One tensor of the model. */
struct model_item {
	enum item_kind kind;
	enum weight_class class;
	enum model_dtype dtype;    /* as stored; invented: BF16, U8 for BLOCKS, or F8_E4M3 */
	enum kernel_format format; /* of its values as kept */
	uint32_t rows, columns;    /* as stored; of one expert where they are stacked */
	uint32_t stack;            /* experts in the tensor; 0: it is one matrix */
	struct model_part part[MODEL_PARTS];
	uint32_t parts;
	bool gain;                         /* FLOATS: a norm's, near 1 */
	float add, factor;                 /* FLOATS: the value is (stored + add) * factor */
	const struct model_tensor *tensor; /* NULL: invented */
	uint32_t coded;                    /* codes, decoded by the reader: which, from 1; 0: none */
	size_t parent;                     /* index of the item that it belongs to */
	uint32_t layer;                    /* where it belongs */
	uint32_t expert;                   /* or MODEL_NO_EXPERT */
	/* The tensor is groups (of the last one cut short none) of units: filled by whole units,
	 * at most a group at a time where it matters. A unit is whole panels of every part, or
	 * reaches to the end of its group. */
	uint64_t group_bytes, unit_bytes;
	int phase; /* 0: what others need first, 2: what needs others */
};

/* weights_split.c: where stored rows go, and where the rows of a part are stored; all of one
 * matrix. Rows of the part; how many of them lie before stored row `row`; the stored row of its
 * i-th. */
uint32_t model_part_rows(const struct model_item *it, uint32_t part);
uint32_t model_part_before(const struct model_item *it, uint32_t part, uint32_t row);
uint32_t model_part_stored(const struct model_item *it, uint32_t part, uint32_t i);
/* Rows of a head whose pairs are stored side by side (struct model_tensor); 0: none. */
static inline uint32_t model_item_turn(const struct model_item *it)
{
	return it->tensor != NULL ? it->tensor->turn : 0;
}
/* Blocks that the item's format keeps as they are. */
bool model_item_is_exact(const struct model_item *it);
/* Other blocks, FP8 whose blocks of 128 rows are not those of its parts, or that is transposed: the
 * values are made f32 before they are packed. */
bool model_item_widens(const struct model_item *it);

/* What the matrices of a plan are kept as. */
struct model_formats {
	uint64_t values[KERNEL_FORMATS]; /* of the matrices in this format, embeddings left out */
	unsigned used[WEIGHT_CLASSES];   /* bit for each kernel_format of the class */
};

struct model_plan {
	const struct model_config *config;
	struct model_item *item;
	size_t count;
	struct model_formats formats;
	uint64_t reading_bytes; /* that reading takes while it lasts, without scratch */
	unsigned threads;       /* that fill at the same time */
	enum model_packing packing;
	uint64_t memory_max; /* refuse to keep it in more; 0: what the system says is available */
};

/* ---- who keeps it ---- */

struct model_keeper {
	/* Take memory for the whole plan, which stays as it is until `finish`. *scratch: bytes that
	 * fill needs beside what it is given, one piece for each thread. ERR_NOMEM names what is
	 * needed and what there is; nothing was read then. */
	int (*place)(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch,
		     struct err *e) MUST_USE;
	/* Whole units of an item, from byte `at` of its tensor; scratch is 64-byte aligned. Safe
	 * for several threads on disjoint units. ERR_INPUT: a value is not finite, or none of the
	 * format, with its place. ITEM_FLOATS come whole, as the f32 values that are computed with,
	 * whatever is stored. */
	int (*fill)(struct model_keeper *k, const struct model_item *it, uint64_t at,
		    const unsigned char *bytes, uint64_t len, unsigned char *scratch,
		    struct err *e) MUST_USE;
	/* In place of filling: the random values of seed for the number-th item (from 1), as
	 * model/synthetic.h defines them. NULL: not offered. */
	int (*invent)(struct model_keeper *k, const struct model_item *it, uint64_t seed,
		      uint64_t number, struct err *e) MUST_USE;
	/* Everything has come: what was kept for loading alone goes. */
	int (*finish)(struct model_keeper *k, struct err *e) MUST_USE;
};

struct model_adapter;

struct weights_order {
	const struct model_config *config;
	const struct model_adapter *adapter; /* merged into the matrices; NULL: none */
	enum model_packing packing;
	uint64_t memory_max; /* refuse to load beyond it; 0: what the system says is available */
	bool quiet;          /* no progress bar */
	struct pool *pool;
};

/* weights.c: read everything from the source to the keeper, on the threads of the pool. Tensors
 * that are missing, of another shape or no part of the model are refused by name. */
int model_weights_load(struct model_formats *out, const struct weights_order *o, struct source *src,
		       struct model_keeper *k, struct err *e) MUST_USE;
/* What the load would refuse of names, types and shapes; no value is read. */
int model_weights_check(const struct model_config *c, struct source *src, struct err *e) MUST_USE;
/* The same as the load with random values in place of a source. */
int model_weights_invent(struct model_formats *out, const struct weights_order *o, uint64_t seed,
			 struct model_keeper *k, struct err *e) MUST_USE;

/* weights_choice.c: the format that an item of a plan would have, were Q8 or Q4 asked for. */
enum kernel_format model_item_format(const struct model_item *it, enum model_packing want);
/* weights_choice.c: the format that most values are in; and a digest of what every class is kept
 * as, the cache's type, the kernel set, the numerics, and the device layout of weights, NULL: the
 * CPU's (docs/formats.md). */
const char *model_formats_name(const struct model_formats *f);
struct digest model_formats_choice(const struct model_formats *f, const char *cache,
				   const char *kernels, const char *numerics,
				   const char *layout);

#endif
