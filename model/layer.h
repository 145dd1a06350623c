/* One layer of a model as data: all that the plan of its weights and the forward pass do in it
 * follows from this. A family's reader fills it in; nothing below knows families.
 *
 *   sequential   x += after(mix(before(x)));  x += ffn_after(ffn(ffn_before(x)))
 *   parallel     x += after(mix(n)) + ffn_after(ffn(n')); n = before(x), n' = ffn_before(x), or n
 *                where there is no ffn_before
 *   shortcut     a pair of layers: the first one's experts read what its dense network reads, and
 *                what they give is added at the end of the second
 *
 * A norm that does not exist is the identity. Both branches are multiplied by the config's
 * residual_scale before they are added. */
#ifndef MODEL_LAYER_H
#define MODEL_LAYER_H

#include <stdbool.h>
#include <stdint.h>

enum model_mixer {
	MODEL_MIX_GQA,  /* grouped-query attention */
	MODEL_MIX_MLA,  /* latent attention; widths in the config */
	MODEL_MIX_DELTA /* gated delta rule: struct model_delta of the config */
};

enum model_qk_norm {
	MODEL_QK_NONE,
	MODEL_QK_HEAD,  /* each head, one gain for all of [head] */
	MODEL_QK_FULL,  /* all heads together, before the rotation */
	MODEL_QK_PLAIN, /* each head, without a gain */
};

/* A factor of the mixer's output, before the output projection: sigmoid of a projection of the
 * mixer's input. */
enum model_gate_width {
	MODEL_OUT_NONE,
	MODEL_OUT_WIDE, /* for each number: [heads * value] */
	MODEL_OUT_HEAD  /* for each head: [heads] */
};

enum model_residual {
	MODEL_SEQUENTIAL,
	MODEL_PARALLEL,
	MODEL_SHORTCUT_BEGIN, /* sequential, and the experts beside the dense network */
	MODEL_SHORTCUT_END    /* sequential, and their answer added at the end */
};

enum model_ffn {
	MODEL_FFN_DENSE,
	MODEL_FFN_EXPERTS, /* router, experts, and the shared expert where the config has one */
	MODEL_FFN_BOTH     /* after_1(dense(ffn_before(x))) + after_2(experts(before_2(x))) */
};

/* The lightning indexer of sparse attention (MLA): chooses the positions attended. */
enum model_index { MODEL_INDEX_NONE, MODEL_INDEX_OWN, MODEL_INDEX_SHARED /* the last own one's */ };

#define MODEL_NO_ROPE UINT8_MAX

struct model_layer {
	enum model_mixer mixer;
	enum model_residual residual;
	bool norm_before, norm_after;         /* around the mixer */
	bool ffn_norm_before, ffn_norm_after; /* around the feed-forward network */

	/* Attention; MLA: heads alone. */
	uint32_t heads, kv_heads, head, value; /* head: width of q and k, value: of v */
	uint8_t rope;         /* index into the config's tables, or MODEL_NO_ROPE */
	bool tempered;        /* queries are multiplied by the config's temper at their position */
	bool sinks;           /* an extra logit for each head */
	bool values_are_keys; /* GQA: no v projection: v is k's, before its norm and rotation */
	enum model_qk_norm qk_norm;
	bool qk_norm_late; /* after the rotation; else before it */
	bool value_norm;   /* RMS without gain on each head of v */
	uint32_t window;   /* positions kept, the query's own included; 0: all */
	uint32_t chunk;    /* positions of the same block of so many alone; 0: all */
	uint32_t cache;    /* the layer whose keys and values it attends: its own or an earlier one,
			  * then it has no k and v projections */
	float scale;       /* of q.k */
	enum model_gate_width gate;
	enum model_index index;

	enum model_ffn ffn;
	uint32_t width; /* of the dense network */
};

#endif
