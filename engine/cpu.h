/* Private: the CPU's backend: weights in panels, caches in pages of memory, and the buffers that a
 * pass works in. Nothing outside cpu*.c includes this, but tests of what weights are packed to, and
 * cuda*.c, which packs by it. */
#ifndef ENGINE_CPU_H
#define ENGINE_CPU_H

#include "engine/backend.h"
#include "model/rope.h"

#include <pthread.h>

#define CPU_LOGIT_ROWS 32   /* rows of logits at a time */
#define CPU_LATENT_LANES 32 /* query heads of several rows that share a latent row, about */

/* ---- weights, packed for the kernels ---- */

struct ffn_weights {
	struct kernel_matrix gate, up, down; /* [width, hidden] twice, [hidden, width] */
	float *gate_bias, *up_bias, *down_bias;
};

/* What a layer has, by slot (model/weights.h says of what shape). */
struct layer_weights {
	struct kernel_matrix matrix[MODEL_SLOTS]; /* panel NULL: none */
	float *vector[MODEL_SLOTS];               /* NULL: none */
	/* MLA, [heads]: SLOT_KV_B as [latent, nope], transposed (absorbed), and [value, latent] */
	struct kernel_matrix *key_up, *value_up;
	struct ffn_weights ffn;     /* of the dense network, or the shared expert */
	struct ffn_weights *expert; /* [experts]; NULL: none */
};

struct cpu_weights {
	struct kernel_store store;   /* of the panels of all matrices */
	struct layer_weights *layer; /* [layers + 1]: the last has what is in no layer */
};

/* What stays only until everything is loaded. */
struct cpu_loading {
	const struct model_plan *plan;
	/* [items] by their place in the plan, NULL where there is none: FP8 that becomes another
	 * format [ceil(rows/128)][ceil(columns/128)], and MXFP4's [E][rows][columns/32] */
	float **scale;
	unsigned char **mx_scale;
	size_t items;
	struct cpu_samples *samples; /* cpu_invent.c */
};

/* ---- work ---- */

/* One matrix product of a stage, plus bias if not NULL. With `up` set: out = act(w x, up x) by the
 * config's activation, the second product going through out_up. */
struct job {
	const struct kernel_matrix *w, *up;
	const float *bias, *bias_up;
	struct kernel_rows x;   /* quant is set from `in` */
	struct kernel_quant in; /* x as codes, where the product takes them */
	float *out, *out_up;
	size_t stride; /* of out and out_up, floats */
	/* The results as codes too, if not NULL; code_row columns from row to row, a multiple of
	 * 64. A part of a job quantises what it has computed. */
	struct kernel_quant code;
	size_t code_row;
	bool again;             /* the pass has read this matrix before */
	bool active;            /* without `up`: out = act(w x) */
	const float *parameter; /* of the activation, or NULL */
	float scale, cap;       /* out = cap * tanh(scale * w x / cap); 0: not so */
};

/* A norm of a row, by the config's kind; gain NULL: none. */
struct cpu_norm {
	const float *gain, *bias;
};

/* What follows a branch: x = (x + scale * after(answer) + held) * scalar, then the next branch's
 * input. In this order, but early: the input first. Each is absent where it is NULL. */
struct cpu_close {
	float *answer; /* [rows][hidden]; spent */
	struct cpu_norm after;
	const float *held;
	const float *scalar;
	struct cpu_norm next;            /* of x, into work.normed; none: x itself */
	bool early, keeps;               /* keeps: normed stays as it is */
	struct cpu_norm experts, router; /* of x, into work.expert_in and router_in */
};

/* Neighbouring rows of one sequence, for one call of attention. */
struct cpu_block {
	uint32_t row, rows;
};

/* Buffers of a pass, for `rows` rows and `pages` pages. */
struct workspace {
	uint32_t rows;
	uint32_t pages;
	const void **page;         /* [layers][pages]: addresses of struct pass's page */
	float *x, *normed, *delta; /* [rows][hidden] */
	float *q_latent;           /* [rows][q_rank] */
	float *q;                  /* [rows][cpu_query_width] */
	float *kv;                 /* [rows][cpu_kv_width]: new cache rows, raw */
	float *q_up, *attended;    /* [rows][heads*latent] */
	float *value;              /* [rows][cpu_value_width] */
	float *out_gate;           /* [rows][as wide, or heads]: logits of the output's gate */
	/* Sparse attention: [rows][heads*head], [rows][head], [rows][heads] of the indexer; of
	 * score_rows rows at a time [context]; [rows][top_k]: positions; of a thread
	 * [gathered_bytes]. */
	float *index_q, *index_k, *index_weight, *index_score;
	uint32_t score_rows;
	uint32_t *chosen;
	unsigned char *gathered;
	size_t gathered_bytes;
	float *score;              /* [rows][experts] */
	uint16_t *expert;          /* [rows][top_k] */
	float *weight;             /* [rows][top_k] */
	uint32_t *pick, *place;  /* [rows*top_k]: row of a sorted slot; sorted position of a slot */
	uint32_t *begin;         /* [experts+1] */
	float *gate, *up, *down; /* [rows*top_k][expert_width] twice, [rows*top_k][hidden] */
	float *wide_gate, *wide_up;   /* [rows][widest dense or shared ffn] */
	float *shared_share;          /* [rows]: logit of the shared expert's gate */
	float *expert_in, *router_in; /* [rows][hidden]: of MODEL_FFN_BOTH */
	float *held;                  /* [rows][hidden]: of shortcuts */
	float *inputs, *inputs_raw;   /* [rows][layers * per_layer] */
	struct job *job;              /* [experts + heads + 3] */
	float *logits;                /* [CPU_LOGIT_ROWS][vocab] */
	float *scratch;               /* [threads][scratch_floats] */
	size_t scratch_floats;
	struct cpu_block *block; /* [rows] */
	float *record;           /* [record_floats] of attention's splits; NULL: none */
	size_t record_floats;
	/* Rows as codes, for products that take them; NULL where none does. The rows of
	 * normed, q_latent, value, gate, wide_gate, expert_in and router_in, and of what lies in
	 * down when experts read it. */
	struct kernel_quant normed_code, latent_code, value_code, gate_code, wide_code, expert_code,
		router_code, slot_code;
};

/* Memory of the cache, in the portions that it was made in. */
struct cpu_cache {
	pthread_mutex_t lock;
	unsigned char **page; /* [count]: where each begins */
	uint64_t count, capacity;
	void **slab; /* [slabs] */
	size_t slabs;
};

/* Widths that differ from layer to layer: the largest. */
struct cpu_most {
	uint32_t heads;
	uint32_t query, kv, value; /* cpu_query_width and its like */
	uint32_t gates;            /* logits of an output's gate; 0: no layer has one */
	uint32_t wide;             /* of dense networks and shared experts */
	bool both, shortcut;       /* some layer has such a network, such a residual */
};

/* A product by way of a rank: what lies between; rank 0: there is no such. */
struct cpu_low {
	float *value; /* [rows][rank] */
	struct kernel_quant code;
	uint32_t rank;
};

/* What is made of the weights of a layer of the gated delta rule. */
struct cpu_delta {
	float *conv; /* [conv][q|k|v] */
	float *rate; /* exp(A), of each decay */
};

/* Recurrent layers: slots of state, and buffers of a pass beside the workspace. */
struct cpu_recurrent {
	size_t at[MODEL_LAYERS]; /* floats: where a slot has a layer's part */
	size_t history;          /* floats of that before the states of heads */
	float **slot;            /* [slots]; under the cache's lock */
	uint64_t slots;
	struct cpu_delta *layer; /* [layers] */
	float *ones;             /* [value_heads] */
	float *in, *mixed;       /* [rows][q|k|v]: projected; after the convolution */
	float *gate, *out;       /* [rows][value_heads*value] */
	float *beta, *decay;     /* [rows][value_heads]; [rows][decays] */
	struct cpu_low gate_low, decay_low;
	struct kernel_quant gate_code;
	uint32_t *row;         /* [sequences + 1]: the first of each sequence of the pass */
	float **state, **save; /* [sequences]: slots; NULL: nothing is saved */
};

struct cpu {
	struct backend backend; /* first: what the seam's functions are given */
	char name[64];          /* of the processor */
	struct model_config config;
	struct cpu_weights weights;
	struct cpu_loading loading;
	bool quantises; /* some products take their rows as codes */
	bool passes;    /* weights go on elsewhere once packed: their memory is not looked for */
	const struct kernels *kernels;
	struct pool *pool;
	struct rope_table rope[MODEL_ROPES];
	struct cpu_most most;
	enum kernel_cache kind;
	struct cpu_cache cache;
	size_t page_at[MODEL_LAYERS]; /* where a page has the part that a layer attends */
	struct workspace work;
	struct cpu_recurrent recurrent;
	struct engine_traffic traffic;
};

static inline struct cpu *cpu_of(struct backend *b) { return (struct cpu *)b; }
static inline struct cpu *cpu_of_keeper(struct model_keeper *k)
{
	return (struct cpu *)k; /* the first member of the first member */
}

static inline const struct model_layer *cpu_layer(const struct cpu *m, uint32_t layer)
{
	return &m->config.layer[layer];
}

/* What is in no layer. */
static inline const struct layer_weights *cpu_whole(const struct cpu *m)
{
	return &m->weights.layer[m->config.layers];
}

/* The table that the layer turns this row by. */
static inline uint8_t cpu_table(const struct pass *p, const struct model_layer *l, uint32_t row)
{
	return l->rope != MODEL_NO_ROPE && p->far && p->far[p->sequence[row]] ? l->rope + 1
									      : l->rope;
}

/* Rotate what begins at v by a table, or by none. */
static inline void cpu_rotate(const struct cpu *m, uint8_t table, float *v, uint32_t position)
{
	if (table == MODEL_NO_ROPE)
		return;
	const struct model_rope *p = &m->config.ropes[table];
	const struct rope_table *t = &m->rope[table];
	size_t at = (size_t)position * t->half;
	(p->interleaved ? m->kernels->rope_interleaved
			: m->kernels->rope_half)(v, p->size, t->cosine + at, t->sine + at);
}

/* The pages of a sequence of the pass, in one layer. */
static inline const void *const *cpu_pages_of(const struct cpu *m, const struct pass *p,
					      uint32_t layer, uint32_t sequence)
{
	return m->work.page + (size_t)layer * p->first_page[p->sequences] + p->first_page[sequence];
}

/* Rows [row, ..) of codes whose rows have so many columns. NULL stays. */
static inline struct kernel_quant cpu_quant_at(const struct kernel_quant *q, size_t row,
					       size_t columns, size_t column)
{
	size_t at = row * columns + column;
	if (q->code == NULL)
		return *q;
	return (struct kernel_quant){ q->code + at, q->scale + at / KERNEL_INPUT_BLOCK,
				      q->start + at / KERNEL_GROUP };
}

/* cpu_layers.c: floats of a row in one layer: its queries, its new cache row before it is stored,
 * what its heads attended. 0 where the layer has none. */
uint32_t cpu_query_width(const struct model_config *c, uint32_t layer);
uint32_t cpu_kv_width(const struct model_config *c, uint32_t layer);
uint32_t cpu_value_width(const struct model_config *c, uint32_t layer);
struct cpu_most cpu_most_of(const struct model_config *c);
/* Bytes of a page in one layer; those of a page's layers follow one another. 0: the layer keeps
 * nothing, or reads another's. In an order of the attention kind's own: pages are shared or copied
 * whole, never by rows. */
size_t cpu_layer_bytes(const struct model_config *c, enum kernel_cache cache, uint32_t layer);
/* Fill page_at; returns the bytes of a page. */
uint64_t cpu_page_layout(const struct model_config *c, enum kernel_cache cache, size_t *page_at);

/* cpu_workspace.c: buffers for a pass; and the most rows that one may have. */
int cpu_workspace_grow(struct cpu *m, const struct pass *p, struct err *e) MUST_USE;
void cpu_workspace_free(struct workspace *r);
uint32_t cpu_rows_max(const struct model_config *c, const struct cpu_most *most);

/* A buffer of count elements, in place of the one that *p is; and one for rows as codes. */
int cpu_buffer(void **p, size_t count, size_t size, struct err *e) MUST_USE;
int cpu_buffer_quant(struct kernel_quant *q, size_t rows, uint32_t columns, struct err *e) MUST_USE;

/* cpu_delta.c: work.normed -> work.delta of a layer of the gated delta rule, whose states are
 * stepped and saved as the pass says. */
void cpu_delta_run(struct cpu *m, const struct pass *p, uint32_t layer);
/* cpu.c: memory for `count` pages or states together. */
int cpu_slab_alloc(size_t page_bytes, uint64_t count, void **out, struct err *e) MUST_USE;
/* cpu_state.c: fill `at` and `history`; returns the bytes of a slot, 0 where no layer has state. */
uint64_t cpu_state_layout(const struct model_config *c, struct cpu_recurrent *r);
int cpu_states(struct backend *b, uint64_t count, struct err *e) MUST_USE;
void cpu_state_copy(struct backend *b, uint32_t from, uint32_t to);
/* Numbers of slots become addresses, for a pass. */
void cpu_states_find(struct cpu *m, const struct pass *p);
int cpu_delta_grow(struct cpu *m, size_t rows, struct err *e) MUST_USE; /* buffers */
int cpu_delta_ready(struct cpu *m, struct err *e) MUST_USE; /* once all weights are there */
void cpu_delta_free(struct cpu *m);

/* cpu_jobs.c: run jobs on all threads, each panel by one; weight by cost. Several rows of light
 * work: share by rows, [0, rows). */
void cpu_jobs_run(struct cpu *m, const struct job *job, uint32_t count);
enum kernel_act cpu_act(const struct cpu *m); /* the config's activation */
typedef void cpu_row_work(struct cpu *m, uint32_t row, const void *ctx);
void cpu_rows_run(struct cpu *m, uint32_t rows, cpu_row_work *work, const void *ctx);
/* Row i of value [..][n] into row i of q, if the model quantises. */
void cpu_row_quantise(const struct cpu *m, const float *value, uint32_t n,
		      const struct kernel_quant *q, uint32_t i);

/* How a model's heads attend in calls of the kernel. */
struct cpu_heads {
	uint32_t wide, tail, value; /* as in struct kernel_attention */
	uint32_t heads, groups;     /* of a call at most; calls for a row */
	uint32_t rows, lanes;       /* of a call at most */
	/* Fill in what is the attention kind's own: a->rows rows from `row` on, group `group`. */
	void (*shape)(const struct cpu *m, uint32_t layer, uint32_t row, uint32_t group,
		      struct kernel_attention *a);
};
/* cpu_attend.c: all of it but shape, for a layer that attends; floats of a thread's scratch, and of
 * records, that suffice for every layer. */
struct cpu_heads cpu_heads_of(const struct model_config *c, uint32_t layer);
size_t cpu_heads_scratch(const struct model_config *c);
size_t cpu_heads_records(const struct model_config *c, unsigned threads, size_t bytes_max);
/* All rows of the pass attend the cache; on all threads. */
void cpu_attend_run(struct cpu *m, const struct pass *p, uint32_t layer, const struct cpu_heads *h);

/* cpu_index.c: sparse attention. Whether a row at a position attends only what was chosen; bytes of
 * a page's indexer keys, the last of a layer's part; and: score and choose, into work.chosen, where
 * the layer has an indexer of its own. From work.normed and work.q_latent. */
bool cpu_row_chooses(const struct cpu *m, uint32_t layer, uint32_t position);
size_t cpu_index_key_bytes(const struct model_config *c, enum kernel_cache cache, uint32_t layer);
void cpu_index_run(struct cpu *m, const struct pass *p, uint32_t layer);

/* cpu_attn.c: the product that gives the logits of the output's gate, as 0 or 1 jobs beside the
 * projections; and the end of both kinds of attention: work.value, gated, -> work.delta. */
uint32_t cpu_gate_job(struct cpu *m, const struct pass *p, uint32_t layer, struct job *job);
void cpu_attended_run(struct cpu *m, const struct pass *p, uint32_t layer);

/* Attention kinds: work.normed -> work.delta, cache rows appended. cpu_ffn.c: the feed-forward
 * half of a layer and what follows it. cpu_inputs.c: per-layer inputs: of all layers, from the
 * embeddings; and the end of a layer that has one. */
void cpu_attn_mla_run(struct cpu *m, const struct pass *p, uint32_t layer);
void cpu_attn_gqa_run(struct cpu *m, const struct pass *p, uint32_t layer);
void cpu_ffn_run(struct cpu *m, const struct pass *p, uint32_t layer, uint32_t moe_layer);
void cpu_inputs_make(struct cpu *m, const struct pass *p);
void cpu_inputs_run(struct cpu *m, const struct pass *p, uint32_t layer);

/* cpu_close.c: what follows the embeddings (answer NULL), a mixer, a network and per-layer inputs;
 * and its work, a cpu_row_work with a struct cpu_close as ctx. */
struct cpu_close cpu_close_embed(const struct cpu *m);
struct cpu_close cpu_close_mixer(const struct cpu *m, uint32_t layer);
struct cpu_close cpu_close_ffn(const struct cpu *m, uint32_t layer);
struct cpu_close cpu_close_inputs(const struct cpu *m, uint32_t layer);
void cpu_row_close(struct cpu *m, uint32_t i, const void *close);
/* One row x [hidden]; in place is fine. */
void cpu_row_norm(const struct cpu *m, const float *x, const struct cpu_norm *by, float *out);

/* cpu_forward.c: one pass (struct backend, forward). */
int cpu_forward(struct backend *b, const struct pass *p, struct err *e) MUST_USE;

/* cpu_weights.c: memory of a plan (struct model_keeper, place and finish), and where an item's
 * parts lie: the i-th matrix, with its shape, or the i-th vector [n]; NULL past the last. Stacked,
 * those of an expert follow one another. */
int cpu_place(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch,
	      struct err *e) MUST_USE;
int cpu_finish(struct model_keeper *k, struct err *e) MUST_USE;
void cpu_weights_free(struct cpu *m);
float **cpu_vector(struct cpu *m, const struct model_item *it, size_t i, size_t *n);
struct kernel_matrix *cpu_part(struct cpu *m, const struct model_item *it, size_t i, uint32_t *rows,
			       uint32_t *columns);

/* cpu_pack.c: struct model_keeper, fill. The form that pack takes an item's values in, and its
 * bytes for each: F64, and FP8 that model_item_widens, are widened to f32 first. cpu_pack_refuse:
 * "file: tensor T has a non-finite value at row R, column C", or one that the format lacks. */
int cpu_fill(struct model_keeper *k, const struct model_item *it, uint64_t at,
	     const unsigned char *bytes, uint64_t len, unsigned char *scratch,
	     struct err *e) MUST_USE;
enum kernel_stored cpu_pack_stored(const struct model_item *it);
size_t cpu_pack_element(const struct model_item *it);
int cpu_pack_refuse(const struct model_item *it, uint64_t row, uint64_t column, struct err *e);
/* cpu_pack_latent.c, cpu_pack_fused.c */
int cpu_pack_kv_b(struct cpu *m, const struct model_item *it, uint64_t head,
		  const unsigned char *bytes, unsigned char *scratch, struct err *e) MUST_USE;
int cpu_pack_transposed(struct cpu *m, const struct model_item *it, uint64_t expert,
			const unsigned char *bytes, unsigned char *scratch, struct err *e) MUST_USE;
int cpu_pack_blocks(struct cpu *m, const struct model_item *it, uint64_t at,
		    const unsigned char *bytes, uint64_t len, unsigned char *scratch,
		    struct err *e) MUST_USE;

/* cpu_invent.c: struct model_keeper, invent */
int cpu_invent(struct model_keeper *k, const struct model_item *it, uint64_t seed, uint64_t number,
	       struct err *e) MUST_USE;
void cpu_samples_free(struct cpu_samples *s);

/* The scales of an item while loading; NULL: none. */
static inline size_t cpu_item_index(const struct cpu *m, const struct model_item *it)
{
	return (size_t)(it - m->loading.plan->item);
}

static inline const float *cpu_item_scale(const struct cpu *m, const struct model_item *it)
{
	return m->loading.scale[cpu_item_index(m, it)];
}

/* cpu_peak.c */
int cpu_peak(struct backend *b, enum backend_peak what, double *rate, struct err *e) MUST_USE;

#endif
