/* Private: the loaded model and the room that a forward pass works in. */
#ifndef ENGINE_ENGINE_IN_H
#define ENGINE_ENGINE_IN_H

#include "base/limits.h"
#include "base/pool.h"
#include "engine/language.h"
#include "engine/scheduler.h"
#include "model/rope.h"
#include "model/weights.h"

#include <pthread.h>

#define ROWS_MAX 512        /* rows of one pass at most; longer feeds take several */
#define ROOM_BYTES MIB(384) /* of a pass's buffers: fewer rows where a model is very wide */
#define LOGIT_ROWS_MAX 32   /* rows of logits at a time */

/* ---- work ---- */

/* One matrix product of a stage, plus bias if not NULL. With `up` set: out = act(w x, up x) by the
 * config's activation, the second product going through out_up. */
struct job {
	const struct kernel_matrix *w, *up;
	const float *bias, *bias_up;
	struct kernel_rows x;   /* quant is set from `in` */
	struct kernel_quant in; /* x as codes: what the integer formats read */
	float *out, *out_up;
	size_t stride; /* of out and out_up, floats */
	/* The results as codes too, if not NULL; code_row columns from row to row, a multiple of
	 * 64. A part of a job quantises what it has computed. */
	struct kernel_quant code;
	size_t code_row;
	bool again; /* the pass has read this matrix before */
};

/* One row of a pass. */
struct row {
	struct engine_sequence *sequence;
	const struct engine_feed *feed;
	uint32_t token, position, index; /* index in the feed */
	bool logits;
};

/* Buffers of a pass, for `rows` rows. */
struct room {
	uint32_t rows;
	struct row *row;
	float *x, *normed, *delta; /* [rows][hidden] */
	float *q_latent;           /* [rows][q_rank] */
	float *q;                  /* [rows][heads*(nope+rope)], or [heads*head] */
	float *kv;                 /* [rows][model_cache_width]: new cache rows, raw */
	float *q_up, *attended;    /* [rows][heads*latent] */
	float *value;              /* [rows][heads*value], or [heads*head] */
	float *score;              /* [rows][experts] */
	uint16_t *expert;          /* [rows][top_k] */
	float *weight;             /* [rows][top_k] */
	uint32_t *pick, *place;  /* [rows*top_k]: row of a sorted slot; sorted position of a slot */
	uint32_t *begin;         /* [experts+1] */
	float *gate, *up, *down; /* [rows*top_k][expert_width] twice, [rows*top_k][hidden] */
	float *wide_gate, *wide_up; /* [rows][widest dense or shared ffn] */
	float *shared_share;        /* [rows]: logit of the shared expert's gate */
	struct job *job;            /* [experts + heads + 3] */
	uint32_t *want;             /* [rows]: rows whose logits are wanted */
	float *logits;              /* [LOGIT_ROWS_MAX][vocab] */
	float *scratch;             /* [threads][scratch_floats] */
	size_t scratch_floats;
	/* Rows as codes, for the integer formats; NULL where no matrix has one. The rows of
	 * normed, q_latent, value, gate and wide_gate. */
	struct kernel_quant normed_code, latent_code, value_code, gate_code, wide_code;
	struct kernel_gate gate_now; /* of the layer at work */
	const float *gain;           /* [hidden] of the norm that ends the stage at work */
	const float *latent_gain;    /* [q_rank] */
};

struct engine {
	struct model_config config;
	struct model_weights weights;
	struct engine_facts facts;
	const struct kernels *kernels;
	struct pool *pool;
	struct language *text; /* NULL: no tokenizer */
	struct rope_table rope;
	float attention_scale;
	struct room room;
	uint32_t n; /* rows of the pass at work */
	struct engine_traffic traffic;
	pthread_mutex_t lock; /* one pass at a time; rope, room and pool are its */
	enum kernel_cache cache;
	struct cache_pool *pages;
	struct scheduler *scheduler;
};

/* Bytes of the cache of one position in one layer. A page of a layer is 64 times as many bytes
 * in an order of the attention kind's own: pages are shared or copied whole, never by rows. */
static inline size_t model_cache_row_bytes(const struct model_config *c, enum kernel_cache cache)
{
	if (c->attention == MODEL_ATTN_MLA)
		return kernel_cache_bytes(cache, c->kv_rank) +
		       kernel_cache_bytes(cache, c->rope_head);
	return 2 * (size_t)c->kv_heads * kernel_cache_bytes(cache, c->head);
}

/* Floats of a new cache row of one layer, before it is stored. */
static inline uint32_t model_cache_width(const struct model_config *c)
{
	return c->attention == MODEL_ATTN_MLA ? c->kv_rank + c->rope_head
					      : 2 * c->kv_heads * c->head;
}

/* room.c */
int room_grow(struct engine *m, uint32_t rows, struct err *e) MUST_USE;
void room_free(struct room *r);
uint32_t room_rows_max(const struct engine *m); /* rows of one pass */

/* Rows [row, ..) of codes whose rows have so many columns. NULL stays. */
static inline struct kernel_quant quant_at(const struct kernel_quant *q, size_t row, size_t columns,
					   size_t column)
{
	size_t at = row * columns + column;
	if (q->code == NULL)
		return *q;
	return (struct kernel_quant){ q->code + at, q->scale + at / KERNEL_INPUT_BLOCK,
				      q->start + at / KERNEL_GROUP };
}

/* jobs.c: run jobs on all threads, each panel by one; weight by cost. Several rows of light work:
 * share by rows. */
void jobs_run(struct engine *m, const struct job *job, uint32_t count);
void rows_run(struct engine *m, void (*work)(struct engine *m, uint32_t row));
/* Row i of value [..][n] into row i of q, if the model has integer formats. */
void row_quantise(const struct engine *m, const float *value, uint32_t n,
		  const struct kernel_quant *q, uint32_t i);

/* Attention kinds: room.normed -> room.delta, cache rows appended. ffn.c: the feed-forward half,
 * and row_close. */
void attn_mla_run(struct engine *m, uint32_t layer);
void attn_gqa_run(struct engine *m, uint32_t layer);
void ffn_run(struct engine *m, uint32_t layer, uint32_t moe_layer);

/* forward.c: what follows either half in one row: x += delta, and its norm, as codes too. delta may
 * be the row's own place in room.normed; row_close takes room.delta. */
void row_add(struct engine *m, uint32_t i, const float *delta);
void row_close(struct engine *m, uint32_t i);

#endif
