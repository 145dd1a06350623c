/* How roles are found. Private to forks/roles*.c.
 *
 * Each stored value is a piece: where it lies (stack, layer, holder) and what it is there (slot).
 * All pieces of one holder make one block, or as many as are stacked in it. */
#ifndef FORKS_ROLES_IN_H
#define FORKS_ROLES_IN_H

#include "base/buf.h"
#include "forks/roles.h"

#define ROLE_NONE UINT32_MAX
#define ROLE_LAYERS_MAX 65536u     /* numbers of layers beyond are none */
#define ROLE_EXPERTS_MAX 65536u    /* of one stack */
#define ROLE_BLOCKS_MAX (1u << 18) /* of one model: 61 layers of 384 experts are 23,424 */
#define ROLE_NAME_BYTES 512u       /* longer names are in no table */
#define ROLE_REASONS 32     /* kinds of notes of tensors that are left out; others are not told */
#define ROLE_WIDTHS 8       /* that are tried for the width of the stream */
#define ROLE_NOTES_MAX 200u /* lines; the others are counted */

enum role_slot { /* clang-format off */
	/* of a network; IN: one matrix that may be gate and up, FIRST: up before gate; W1 and the
	 * like mean what stands beside them */
	SLOT_GATE, SLOT_UP, SLOT_DOWN, SLOT_IN, SLOT_IN_UP_FIRST, SLOT_W1, SLOT_W2, SLOT_W3,
	SLOT_V1, SLOT_IN_BIAS,
	/* of a recurrence or a short convolution: what its channels come from and go to */
	SLOT_INTO, SLOT_OUT_OF,
	/* of attention */
	SLOT_Q, SLOT_K, SLOT_V, SLOT_O, SLOT_QKV, SLOT_QKV_GROUPED, SLOT_QKV_BY_FAMILY, SLOT_KV,
	SLOT_KV_A, SLOT_KV_B, SLOT_K_B,
	SLOT_V_B,
	/* of a layer */
	SLOT_ROUTER, SLOT_NORM_IN, SLOT_NORM_AFTER_ATTENTION, SLOT_NORM_FFN, SLOT_NORM_AFTER_FFN,
	SLOT_NORM_EXPERTS, SLOT_HEAD_NORM, SLOT_FREQUENCIES, SLOT_DRAFT,
	/* of no layer */
	SLOT_EMBEDDING, SLOT_END,
	/* no block's, but known: the structural search leaves it alone */
	SLOT_OTHER,
	SLOT_UNKNOWN,
	SLOTS /* clang-format on */
};

enum role_holder { /* in the order of blocks of a layer */
		   HOLDER_ONE,
		   HOLDER_SHARED,
		   HOLDER_EXPERT,
		   HOLDER_STACK, /* of experts, in each tensor */
		   HOLDER_ATTENTION,
		   HOLDER_CROSS /* attention to another stream */
};

struct role_piece {
	const struct model_value *value;
	size_t at; /* its number among the values */
	/* before the layer's number: "model.layers"; "" where there is none */
	const char *stack;
	const char *holder;  /* between the layer's number and what names the slot: "mlp" */
	uint32_t layer;      /* ROLE_NONE: of none */
	uint32_t index, sub; /* expert; a number behind the slot: of a half of the layer, or of an
				expert; or ROLE_NONE */
	enum role_holder kind;
	enum role_slot slot;
	bool loose;  /* of no layer */
	bool kernel; /* stored as [in][out] by those that call it a kernel */
};

/* What config.json says of one part of the model; 0 or false: nothing. */
struct role_config {
	uint64_t layers, hidden, heads, head_dim, value_dim, experts;
	bool plus_one;    /* gains are stored minus one */
	bool interleaved; /* gate and up take turns */
	bool flat;        /* query_key_value: q, then k, then v */
	bool turned;      /* matrices are [in][out] */
	bool typed;       /* it says which family it is of */
	bool mixed;       /* qkv_proj is in no order that a part can say */
};

struct role_stack {
	const char *prefix;
	struct role_piece *piece;
	size_t pieces;
	enum fork_component component;
	uint64_t weights, hidden;
	uint32_t first_layer;    /* added to the numbers of its layers */
	uint32_t layers;         /* the highest number and one */
	bool loose;              /* of no layers: one network beside them */
	size_t matrices, groups; /* and layers that have some */
	bool guessed;            /* a network of it was found by shapes alone */
	const struct role_config *config;
};

/* Why tensors of a stack were left out. */
struct role_reason {
	const struct role_stack *stack;
	const char *why, *name; /* static; of the first one */
	size_t count;
};

struct role_finder {
	struct model_values *values;
	struct roles *out;
	struct role_piece *piece;
	size_t pieces;
	struct role_stack *stack;
	size_t stacks;
	struct role_block *block;
	size_t blocks, room;
	struct role_config config[3]; /* language, vision, audio */
	const struct model_value *frequencies;
	uint64_t width[ROLE_WIDTHS]; /* that the stream may have */
	size_t widths, widths_named; /* the first ones are of embeddings */
	struct buf notes;
	size_t noted;
	struct role_reason reason[ROLE_REASONS];
	size_t reasons;
	struct err *e;
};

/* One layer while its blocks are made. The norms by half of the layer. */
struct role_place {
	struct role_stack *stack;
	struct role_piece *piece; /* by holder */
	size_t pieces;
	enum fork_component component;
	uint32_t layer;
	const struct model_value *norm[SLOTS][2]; /* the slots of norms alone */
	const struct model_value *router, *head_norm;
	bool experts_found, biased;
	bool wide;      /* its network is called h_to_4h */
	uint32_t heads; /* blocks of attention so far */
};

/* The last two dimensions of a tensor, and how many such matrices it is. */
struct role_view {
	const struct model_value *value;
	uint64_t batch, rows, columns;
};

/* roles_names.c. Strings are of the arena. */
/* anywhere: the layer's number may be inside a component: "layer3_in". */
int fork_role_name(const char *name, bool anywhere, struct arena *a,
		   struct role_piece *out) MUST_USE;
enum fork_component fork_role_component(const char *prefix, bool *audio);
/* roles_config.c */
void fork_role_config(const json_t *config, struct role_config out[3]);
/* roles_mlp.c, roles_attention.c: of the pieces of one holder; nothing where they make none. */
int fork_role_mlp(struct role_finder *f, struct role_place *l, const struct role_piece *p,
		  size_t count) MUST_USE;
int fork_role_attention(struct role_finder *f, struct role_place *l, const struct role_piece *p,
			size_t count) MUST_USE;

/* roles_graph.c: the networks of a layer whose names are in no table. */
int fork_role_graph(struct role_finder *f, struct role_place *l) MUST_USE;
/* Structure alone: gate may be NULL. */
int fork_role_network(struct role_finder *f, struct role_place *l, const struct role_piece *gate,
		      const struct role_piece *up, const struct role_piece *down) MUST_USE;

/* roles.c */
bool fork_role_view(const struct model_value *v, struct role_view *out);
/* A block of the layer with its name, kind and place set, zeroed else; NULL: too many. */
int fork_role_block(struct role_finder *f, const struct role_place *l, enum fork_kind kind,
		    uint32_t index, struct role_block **out) MUST_USE;
/* What the names have in common, cut at its last '.' or '_'. */
const char *fork_role_common(struct arena *a, const struct model_value *const *v, size_t count);
void fork_role_note(struct role_finder *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A note of a tensor that makes no block, and of how many are like it; of towers, whose parts are
 * many, none. why is static. */
void fork_role_left_out(struct role_finder *f, const struct role_place *l,
			const struct model_value *v, const char *why);
/* The gain, where it is a vector of that length. */
void fork_role_gain(const struct role_place *l, struct role_part *p, const struct model_value *w);

#endif
