/* What config.json says, for every architecture, with all defaults resolved. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "base/digest.h"
#include "base/source.h"
#include "kernels/kernels.h"
#include "model/generation.h"
#include "model/quant.h"
#include "model/layer.h"

enum model_rope_kind {
	MODEL_ROPE_DEFAULT,
	MODEL_ROPE_LINEAR,
	MODEL_ROPE_LLAMA3,
	MODEL_ROPE_YARN,
	MODEL_ROPE_DYNAMIC, /* differs from the default only beyond the context, where nothing goes */
	MODEL_ROPE_PROPORTIONAL, /* all of a head, of which a share of the pairs turns */
	MODEL_ROPE_LONG          /* each pair's frequency divided by a number of its own */
};
/* Of act(gate) * up, or ungated of act(up). */
enum model_activation {
	MODEL_ACT_SILU,
	MODEL_ACT_GPT_OSS,   /* gated: both clamped, its own form (kernels.h) */
	MODEL_ACT_GELU,      /* x * Phi(x), exact */
	MODEL_ACT_GELU_TANH, /* its approximation with tanh */
	MODEL_ACT_RELU2,     /* max(x, 0)^2 */
	MODEL_ACT_XIELU      /* four parameters a layer */
};
enum model_norm { MODEL_NORM_RMS, MODEL_NORM_LAYER /* the mean is subtracted */ };
struct model_names;
enum model_quantisation { /* clang-format off */
	MODEL_QUANT_NONE, MODEL_QUANT_FP8, MODEL_QUANT_MXFP4,
	MODEL_QUANT_CODED /* as `quant` says */ /* clang-format on */
};

#define MODEL_LAYERS 1024
#define MODEL_ROPES 4        /* rotary tables of one model */
#define MODEL_ROPE_PAIRS 256 /* whose frequencies have divisors of their own */
#define MODEL_NOTES 1600
#define MODEL_WIDTH (1u << 20) /* of any vector; products of two stay in 64 bits */

/* Rotary position. scaling numbers are those of the config. */
struct model_rope {
	enum model_rope_kind kind;
	uint32_t size;    /* rotated dimensions of a head, even */
	uint32_t span;    /* what frequencies fall over: theta^(-2i/span); 0: size */
	bool interleaved; /* pairs (2i, 2i+1); else (i, i + size/2) */
	double partial;   /* share of a head that is rotated */
	double theta, factor;
	double low_freq_factor, high_freq_factor; /* llama3 */
	double beta_fast, beta_slow;              /* yarn */
	double mscale,
		mscale_all_dim; /* 0: unset; the latter scales attention of MLA whatever kind */
	bool attention_given; /* yarn, long: attention_factor holds; else it follows from factor */
	double attention_factor;
	double attn_factor; /* yarn's own code: times m(factor, 1); 0: unset */
	bool truncate;
	uint32_t context_original;
	bool far;                           /* long: the second of the two divides */
	float divisor[2][MODEL_ROPE_PAIRS]; /* long: up to the original context, and beyond */
};

/* Layers of the gated delta rule: S *= exp(g), u = beta (v - k^T S), S += k u^T, out = q^T S. */
struct model_delta {
	uint32_t key_heads, value_heads, key,
		value;     /* key head h serves the value heads of its share */
	uint32_t conv;     /* inputs of the causal convolution over q|k|v, its own included */
	bool tiled;        /* value head h is served by key head h % key_heads; else by shares */
	bool by_channel;   /* g for each number of a key; else for each value head */
	bool gate_sigmoid; /* the output's gate: sigmoid; else SiLU */
	bool bounded;      /* g = bound * sigmoid(exp(A) (f + dt)); else -exp(A) softplus(f + dt) */
	float bound;
	uint32_t decay_rank, gate_rank; /* of f's and the gate's projections; 0: full */
};

/* Of queries by position t: 1 + beta ln(1 + floor((t + shift) / length)). */
struct model_temper {
	double beta;
	uint32_t length, shift;
};

struct model_config {
	char model_type[32];
	const struct model_names *names; /* of the tensors; NULL: those of most families */
	uint32_t hidden, layers, vocab, context_max;
	float norm_eps;
	bool tied;
	bool wrapped; /* the text part of a model that sees or hears: the rest is left alone */
	struct model_layer layer[MODEL_LAYERS];

	enum model_norm norm;
	bool norm_bias;     /* every LayerNorm has one */
	bool norm_plus_one; /* gains are stored minus one; not that of the delta rule */
	float embed_scale, residual_scale, logits_scale; /* factors; 1: none */
	float logits_softcap, attention_softcap;         /* cap * tanh(x / cap); 0: none */
	float value_scale;                               /* GQA: of the attended values; 1: none */
	bool bias_head;
	bool ungated; /* dense networks: down(act(up)), no gate */
	/* Ids that stand for what is seen or heard: looked up as if they were another. */
	uint32_t senses[4], senses_count, senses_as;
	bool layer_scalar;  /* x *= a stored number at the end of each layer */
	uint32_t per_layer; /* width of per-layer inputs (gemma4); 0: none */
	struct model_temper temper;
	struct model_delta delta;
	uint32_t index_heads, index_head, index_top_k; /* sparse attention; 0: none */
	bool index_interleaved;                        /* its rotation */
	struct model_rope ropes[MODEL_ROPES];
	uint32_t rope_count;
	uint32_t rope_far; /* a sequence of more positions than this turns all of them by the table
			    * after its layer's; 0: none does */

	/* What readers start from: a layer that no file says anything else of. all.window is the
	 * width of those that have one; the table of most layers is ropes[0]. */
	struct model_layer all;
	bool window_listed; /* layer_types decides which layers have a window */

	uint32_t q_rank, kv_rank;        /* MLA latents; q_rank 0: no query latent */
	uint32_t nope, rope_head, value; /* MLA widths of a head */
	bool latent_scaled;              /* MLA: normed latents times sqrt(hidden / rank) */
	bool bias_qkv, bias_o;           /* MLA: bias_qkv is on q_a and kv_a */
	float clip;                      /* GQA: bound of |q|, |k| and |v|; 0: none */

	enum model_activation activation;
	bool bias_ffn;                       /* of dense layers */
	uint32_t expert_width, shared_width; /* shared_width 0: no shared expert */
	bool experts_on_input; /* weights go on what experts read, not on what they answer */
	uint32_t zero_experts; /* the last of gate.experts: return their input, have no tensors */
	bool shared_gated;
	bool bias_expert;        /* on gate, up and down */
	bool router_bias;        /* added to the scores that choose */
	struct kernel_gate gate; /* experts 0: dense model; bias: of each layer */

	enum model_quantisation quantisation;
	struct model_quant quant;
	uint32_t extra_layers; /* behind the model's own, for prediction further ahead: not used */
	uint32_t eos[8], eos_count, bos;
	struct model_generation generation;
	bool eos_assumed;     /* no file names one: the reference class's */
	struct digest digest; /* of config.json's bytes */
	/* What a person should know of the file: lines that end in a newline, or "". */
	char notes[MODEL_NOTES];
};

/* Read config.json and generation_config.json. Refuses by key and value: ERR_UNSUPPORTED for what
 * this version lacks, ERR_INPUT for what contradicts itself. */
int model_config_read(struct model_config *c, struct source *src, struct err *e) MUST_USE;

/* From the texts; generation may be NULL. */
int model_config_parse(struct model_config *c, const char *config, size_t len,
		       const char *generation, size_t generation_len, struct err *e) MUST_USE;

/* Of a published shape; layers 0: all; as_is: its weights as they are released. */
int model_config_shape(struct model_config *c, const char *shape, uint32_t layers, bool as_is,
		       struct err *e) MUST_USE;

/* The id whose embedding a token gets. */
static inline uint32_t model_token(const struct model_config *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->senses_count; i++) {
		if (c->senses[i] == id)
			return c->senses_as;
	}
	return id;
}

uint32_t model_moe_layers(const struct model_config *c); /* that have experts */

#endif
