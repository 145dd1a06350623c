/* Private: the GPU's backend: weights, cache and the buffers of a pass in device memory, and a pass
 * as a list of operations (kernels/operation.h), which is made once for each number of rows.
 * Nothing outside cuda*.c includes this, but tests. */
#ifndef ENGINE_CUDA_H
#define ENGINE_CUDA_H

#include "engine/cpu.h"
#include "kernels/device.h"
#include "kernels/choice.h"

#include <stdatomic.h>

#define CUDA_BUCKETS 14    /* numbers of rows that lists are made for, at most */
#define CUDA_LOGIT_ROWS 64 /* rows of logits at a time */
#define CUDA_FAST_ROWS 64  /* beyond, products of the fast regime have a form of their own */
#define CUDA_STAGES 4      /* pieces of weights on their way to the device */

/* ---- weights ---- */

/* A matrix of the packer's, and where it is on the device. */
struct cuda_matrix {
	const struct kernel_matrix *host;
	const unsigned char *panel; /* of host: ascending from matrix to matrix */
	struct device_matrix on;
	size_t at; /* bytes: where in the memory of panels */
};

/* Floats of the packer's: a vector, or the scales of an FP8 matrix. */
struct cuda_vector {
	const float *host;
	size_t n, at; /* bytes: where in the memory of floats */
};

/* Fragments that are packed here and copied from here. */
struct cuda_stage {
	struct device_stream *stream;
	void *bytes; /* [stage_bytes], pinned */
	bool taken;
};

struct cuda_weights {
	struct device_buffer panels, floats;
	struct cuda_matrix *matrix; /* [matrices] in the order of the plan, by host's panels */
	struct cuda_vector *vector; /* [vectors], by host */
	size_t matrices, vectors;
	size_t *first;             /* [items + 1]: an item's matrices */
	_Atomic uint64_t *missing; /* [items]: bytes that have not come; 0: it is sent */
	bool *kept;                /* [items]: others are compared with it */
};

/* ---- a pass ---- */

union cuda_args {
	struct close_rows_args close_rows;
	struct norm_rows_args norm_rows;
	struct gate_value_args gate_value;
	struct moe_gate_args moe_gate;
	struct sort_slots_args sort_slots;
	struct product_args product;
	struct gqa_place_args gqa_place;
	struct mla_place_args mla_place;
	struct attend_args attend;
	struct product_dense_args product_dense;
};

struct cuda_step {
	enum device_operation what;
	union cuda_args args;
};

/* The operations of a pass of at most `rows` rows, up to the norm that the head reads; then the
 * head's product, for CUDA_LOGIT_ROWS wanted rows at most. */
struct cuda_list {
	uint32_t rows, count, room;
	struct cuda_step *step; /* [count]: until it is given to the device */
	struct cuda_step head;
	struct device_steps *steps;
};

/* Device memory of a pass of rows_max rows; one allocation. Widths as in struct workspace. */
struct cuda_work {
	struct device_buffer memory;
	float *x, *normed, *delta; /* [rows][hidden] */
	float *q_latent, *q, *kv, *q_up, *attended, *value, *out_gate;
	float *score, *weight;                   /* [rows][experts], [rows][top_k] */
	uint32_t *pick, *place, *begin, *active; /* as in struct sort_slots_args */
	float *gate, *down;                      /* [slots][expert_width], [slots][hidden] */
	float *wide, *shared_share;              /* [rows][widest network], [rows] */
	float *record;                           /* of attention's splits */
	uint32_t *arrived;                       /* [rows][heads] */
	unsigned char *batch;                    /* struct device_batch, and its arrays */
	float *draw;                             /* [CUDA_LOGIT_ROWS][vocab]: weights of draws */
	/* What goes back to the host in one copy: the experts of each layer that has some, whose
	 * end is the beginning of id [CUDA_LOGIT_ROWS], behind which is [CUDA_LOGIT_ROWS][vocab]. */
	uint16_t *expert;
	uint32_t *id;
	float *logits;
	size_t back_bytes; /* of all */
	/* Rows as bf16, for the fast form of products; 0 bytes where there is none. */
	unsigned char *tiles;
	size_t tile_bytes;
	/* Of dense products by cuBLAS (struct product_dense_args); 0 bytes where none is. */
	struct cuda_dense {
		unsigned char *weights, *rows, *workspace;
		float *up;
		size_t weight_bytes, row_bytes, up_bytes, workspace_bytes;
	} dense;
	uint32_t splits; /* that a row has at most */
};

/* Where the arrays of a pass begin behind its struct device_batch, bytes; `page` is the last, of
 * as many numbers as there is room for. */
struct cuda_batch {
	size_t token, position, sequence, first_row, first_page, far, want, page;
	size_t pages; /* numbers that there is room for */
	size_t bytes;
	unsigned char *host;       /* pinned: the whole, as it is copied */
	struct device_buffer more; /* in place of `page`, where a pass has more of them */
	uint32_t *more_host;       /* pinned */
	size_t more_pages;
};

/* What the draws of a pass are made of: struct device_draw [CUDA_LOGIT_ROWS], then the masks and
 * lists of those rows that there is room for. Others get their logits. */
struct cuda_draws {
	struct device_buffer on;
	unsigned char *host; /* pinned */
	size_t bytes, used;
};

/* Memory of the cache, and where each page begins. */
struct cuda_cache {
	pthread_mutex_t lock;
	unsigned char **page; /* [count], of device memory */
	uint64_t count, capacity;
	struct device_buffer *slab; /* [slabs] */
	size_t slabs;
	/* The list as the device has it, of `known` pages; changed between passes alone. */
	struct device_buffer table;
	uint64_t known;
};

/* What is counted of a layer's matrices: bytes and multiply-adds of a row. */
struct cuda_share {
	uint64_t bytes, values;
};

struct cuda {
	struct backend backend; /* first */
	char name[256];
	struct engine_means means; /* names of its set and regime */
	struct model_config config;
	struct device *device;
	struct device_stream *stream; /* of passes */
	struct pool *pool;
	struct cpu *packer; /* packs what comes; NULL once everything has */
	enum kernel_cache kind;
	uint32_t terms; /* of rows in products: regime */
	bool cublas;    /* it is there, and the table of choices asks for it */
	struct cpu_most most;
	size_t page_at[MODEL_LAYERS];
	struct cuda_weights weights;
	struct cuda_stage stage[CUDA_STAGES];
	size_t stage_bytes;
	unsigned stage_next;
	pthread_mutex_t stage_lock;
	pthread_cond_t stage_free;
	struct rope_table rope[MODEL_ROPES];
	struct device_buffer turn[MODEL_ROPES]; /* cosines of all positions, then sines */
	uint32_t turns[MODEL_ROPES];            /* positions that the device has */
	struct cuda_work work;
	struct cuda_batch batch;
	struct cuda_draws draws;
	unsigned char *back; /* pinned: what a pass gives */
	struct device_buffer jobs;
	struct cuda_list list[CUDA_BUCKETS];
	/* Of as many rows, for passes that nearly have them: with cuBLAS. steps NULL: there is none. */
	struct cuda_list full[CUDA_BUCKETS];
	uint32_t lists;
	struct cuda_cache cache;
	struct cuda_share *fixed, *each; /* [layers + 1]: of every pass, and of each expert */
	struct engine_traffic traffic;
	uint64_t embed_row; /* bytes */
};

static inline struct cuda *cuda_of(struct backend *b) { return (struct cuda *)b; }
static inline struct cuda *cuda_of_keeper(struct model_keeper *k)
{
	return (struct cuda *)k; /* the first member of the first member */
}

/* cuda_check.c: what this backend does not compute is refused by name, before anything is taken. */
int cuda_check(const struct cuda *m, struct err *e) MUST_USE;

/* cuda_weights.c: struct model_keeper; and where something of the packer's is on the device: a
 * matrix (at NULL where it has none), a vector (NULL likewise). */
int cuda_place(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch,
	       struct err *e) MUST_USE;
int cuda_fill(struct model_keeper *k, const struct model_item *it, uint64_t at,
	      const unsigned char *bytes, uint64_t len, unsigned char *scratch,
	      struct err *e) MUST_USE;
int cuda_invent(struct model_keeper *k, const struct model_item *it, uint64_t seed, uint64_t number,
		struct err *e) MUST_USE;
int cuda_finish(struct model_keeper *k, struct err *e) MUST_USE;
void cuda_weights_free(struct cuda *m);
struct device_matrix cuda_matrix_of(const struct cuda *m, const struct kernel_matrix *w);
const float *cuda_vector_of(const struct cuda *m, const float *host);

/* cuda_stage.c: the fragments of matrices [first, last) to the device; shared: packed by all
 * threads of the pool, which the caller must not be part of. */
int cuda_stages_open(struct cuda *m, struct err *e) MUST_USE;
int cuda_stages_wait(struct cuda *m, struct err *e) MUST_USE;
void cuda_stages_close(struct cuda *m);
int cuda_send(struct cuda *m, size_t first, size_t last, bool shared, struct err *e) MUST_USE;
/* Their host memory goes back to the system. */
void cuda_forget(const struct cuda *m, size_t first, size_t last);

/* cuda_memory.c: what the model needs against what the device has: ERR_UNAVAILABLE says both, and
 * what would fit. Then it is taken: weights and the buffers of a pass. */
int cuda_memory_take(struct cuda *m, const struct model_plan *p, struct err *e) MUST_USE;
uint64_t cuda_memory_free(const struct backend *b);

/* cuda_work.c: bytes of a pass's buffers; their places in the memory at `at`. */
size_t cuda_work_lay(struct cuda *m, unsigned char *at);
void cuda_work_size(struct cuda *m); /* sets rows_max, and of how many rows lists are made */
/* Half of the rows, for a model that does not fit beside buffers of so many; false: no fewer. */
bool cuda_work_less(struct cuda *m);
int cuda_work_open(struct cuda *m, struct err *e) MUST_USE;
void cuda_work_close(struct cuda *m);

/* cuda_list.c: the lists, once all weights are there; how many experts' numbers lie between one
 * layer's and the next one's. */
static inline size_t cuda_expert_step(const struct cuda *m, uint32_t rows)
{
	return ((size_t)rows * m->config.gate.top_k + 7) / 8 * 8;
}
int cuda_lists_make(struct cuda *m, struct err *e) MUST_USE;
void cuda_lists_free(struct cuda *m);

/* What a list is made with. The jobs of all lists are the same. */
struct cuda_maker {
	struct cuda *m;
	struct cuda_list *list;
	const struct device_batch *batch;
	struct device_job *job; /* [jobs] */
	size_t jobs, room;
	const struct device_job *at; /* where the device has them; NULL: they are counted */
	bool failed;                 /* no memory */
	bool full;                   /* the list is one of m->full */
};
/* cuda_list.c: a step at the end, zeroed, or a job; both until the next is added. A product of the
 * jobs that were added since `first`, for all rows, with all of their panels. */
union cuda_args *cuda_step_add(struct cuda_maker *k, enum device_operation what);
struct device_job *cuda_job_add(struct cuda_maker *k, const struct kernel_matrix *w);
struct product_args cuda_product_of(const struct cuda_maker *k, size_t first);
struct product_form cuda_form_of(const struct cuda_maker *k, size_t first,
				 enum device_class shapes);
/* May they take the fast regime's form? Then they get its memory, which lists of other rows use. */
bool cuda_product_is_fast(const struct cuda_maker *k, size_t first);
struct product_args *cuda_product_add(struct cuda_maker *k, size_t first);

/* cuda_dense.c: what cuBLAS computes. The names of the set and regime of an engine on this device;
 * true: cuBLAS's version is in that of the regime, since the table asks for it and it is there. */
bool cuda_dense_name(const struct device *d, bool fast, struct engine_means *out);
int cuda_dense_open(struct cuda *m, struct err *e) MUST_USE; /* after the name */
/* Is there a list with cuBLAS beside that for so many rows? */
bool cuda_dense_wants(const struct cuda *m, uint32_t rows);
/* Bytes of its buffers for passes of rows_max rows: set in work.dense. */
void cuda_dense_size(struct cuda *m);
/* The product of the jobs that were added since `first`, for all rows; by cuBLAS where the table
 * says so of as many. */
void cuda_dense_add(struct cuda_maker *k, size_t first);

/* cuda_attend.c: all of a layer's attention that does not depend on addresses. */
struct attend_args cuda_attend_shape(const struct cuda *m, uint32_t layer, uint32_t rows);

/* cuda_attend.c, cuda_ffn.c: the steps of a layer's halves; close: what follows a branch. */
void cuda_mixer_list(struct cuda_maker *k, uint32_t layer);
void cuda_ffn_list(struct cuda_maker *k, uint32_t layer, uint32_t moe_layer);
struct device_norm cuda_norm_of(const struct cuda *m, const struct layer_weights *w,
				enum model_slot gain, enum model_slot bias);
struct device_norm cuda_enter_norm(const struct cuda *m, uint32_t layer);
struct close_rows_args *cuda_close_add(struct cuda_maker *k, struct device_norm after,
				       struct device_norm next);
static inline const struct layer_weights *cuda_host_layer(const struct cuda *m, uint32_t layer)
{
	return &m->packer->weights.layer[layer]; /* config.layers: what is in no layer */
}

/* cuda_batch.c: a pass's arrays to the device. */
int cuda_batch_send(struct cuda *m, const struct pass *p, struct err *e) MUST_USE;
/* The head's next rows: wanted ones [from, from + count). */
int cuda_want_send(struct cuda *m, const struct pass *p, uint32_t from, uint32_t count,
		   struct err *e) MUST_USE;

/* cuda_draw.c: the draws of wanted rows [from, from + count), count <= CUDA_LOGIT_ROWS, after their
 * logits; bit i of asked: row from + i is drawn, to work.id[i]. */
int cuda_draws_open(struct cuda *m, struct err *e) MUST_USE;
void cuda_draws_close(struct cuda *m);
size_t cuda_draws_bytes(const struct cuda *m);
int cuda_draws_run(struct cuda *m, const struct pass *p, uint32_t from, uint32_t count,
		   uint64_t *asked, struct err *e) MUST_USE;

/* cuda_forward.c, cuda_cache.c, cuda_count.c: struct backend. */
int cuda_forward(struct backend *b, const struct pass *p, struct err *e) MUST_USE;
int cuda_pages(struct backend *b, uint64_t count, struct err *e) MUST_USE;
void cuda_page_copy(struct backend *b, uint32_t from, uint32_t to);
int cuda_cache_know(struct cuda *m, struct err *e) MUST_USE; /* the device's list is complete */
void cuda_cache_free(struct cuda *m);
uint64_t cuda_page_layout(struct cuda *m);
int cuda_count_ready(struct cuda *m, struct err *e) MUST_USE;
/* expert: the choices of the layers that have experts, `step` from layer to layer. */
void cuda_count(struct cuda *m, const struct pass *p, const uint16_t *expert, size_t step);
int cuda_peak(struct backend *b, enum backend_peak what, double *rate, struct err *e) MUST_USE;

/* The device's answer to work of a pass; what is not 0 loses the device for good. */
int cuda_lost(struct cuda *m, int rc, struct err *e) MUST_USE;

#endif
