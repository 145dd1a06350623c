/* The weights of a model in memory, packed for the kernels; loaded from a source, or invented. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "base/pool.h"
#include "base/source.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/packing.h"

/* Latent attention. Norm gains are f32 vectors; biases NULL without. */
struct mla_weights {
	struct kernel_matrix q_a;  /* [q_rank, hidden]; unused without query latent */
	struct kernel_matrix q;    /* [heads*(nope+rope), q_rank or hidden] */
	struct kernel_matrix kv_a; /* [latent+rope, hidden] */
	struct kernel_matrix o;    /* [hidden, heads*value] */
	struct kernel_matrix
		*key_up; /* [heads] of [latent, nope]: transposed, for the absorbed form */
	struct kernel_matrix *value_up; /* [heads] of [value, latent] */
	float *q_norm, *kv_norm;        /* [q_rank], [latent] */
	float *q_bias, *kv_bias, *o_bias;
};

/* Grouped-query attention; q_norm and k_norm [head] or the full width, sinks [heads]. */
struct gqa_weights {
	struct kernel_matrix q, k, v, o;
	float *q_norm, *k_norm, *q_bias, *k_bias, *v_bias, *o_bias, *sinks;
};

struct ffn_weights {
	struct kernel_matrix gate, up, down; /* [width, hidden] twice, [hidden, width] */
	float *gate_bias, *up_bias, *down_bias;
};

struct layer_weights {
	float *attn_norm, *ffn_norm; /* [hidden] */
	struct mla_weights mla;      /* the one of the config's attention kind */
	struct gqa_weights gqa;
	struct ffn_weights ffn;      /* of a dense layer, or the shared expert (width 0: none) */
	struct kernel_matrix router; /* [experts, hidden] */
	float *router_bias;          /* [experts], or NULL */
	struct kernel_matrix shared_gate; /* [1, hidden] when the shared expert is gated */
	struct ffn_weights *expert;       /* [experts]; NULL: dense layer */
};

/* What a tensor is for decides how it is packed: weights_choice.c. */
enum weight_class { /* clang-format off */
	WEIGHT_EMBED, WEIGHT_HEAD, WEIGHT_ATTENTION, WEIGHT_LATENT, WEIGHT_DENSE, WEIGHT_SHARED,
	WEIGHT_EXPERT, WEIGHT_ROUTER, WEIGHT_VECTOR, WEIGHT_CLASSES /* clang-format on */
};

struct model_weights {
	struct kernel_store store;   /* of the panels of all matrices */
	struct kernel_matrix embed;  /* [vocab, hidden]; unused when the head serves for both */
	struct kernel_matrix head;   /* [vocab, hidden] */
	float *norm;                 /* [hidden] */
	struct layer_weights *layer; /* [layers] */
	uint64_t bytes;
	uint64_t values[KERNEL_FORMATS]; /* of the matrices in this format, embeddings left out */
	unsigned used[WEIGHT_CLASSES];   /* bit for each kernel_format of the class */
};

struct weights_order {
	const struct model_config *config;
	enum model_packing packing;
	uint64_t memory_max; /* refuse to load beyond it; 0: what the system says is available */
	bool quiet;          /* no progress bar */
	const struct kernels *kernels;
	struct pool *pool;
};

/* weights.c: load everything from the source, on the threads of the pool. ERR_NOMEM before any
 * weight is read when memory will not suffice. */
int model_weights_load(struct model_weights *w, const struct weights_order *o, struct source *src,
		       struct err *e) MUST_USE;
/* synthetic.c: the same, with random weights. */
int model_weights_invent(struct model_weights *w, const struct weights_order *o, uint64_t seed,
			 struct err *e) MUST_USE;
/* weights_choice.c: the format that most values are in; and a digest of what every class was packed
 * to, the cache's type, the kernel set and the numerics (docs/formats.md). */
const char *model_weights_name(const struct model_weights *w);
struct digest model_weights_choice(const struct model_weights *w, const char *cache,
				   const char *kernels, const char *numerics);
void model_weights_free(struct model_weights *w, const struct model_config *c);

#endif
