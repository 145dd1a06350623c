/* Private: the forms of each operation that the table chooses from. */
#ifndef KERNELS_OPS_H
#define KERNELS_OPS_H

#include "kernels/kernels.h"

typedef void matmul_op(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
		       const struct kernel_rows *x, float *out, size_t out_stride);

typedef void act_op(float *x, const float *up, uint32_t n, const float *parameter);

/* Of the GELUs: -2 sqrt(2/pi), that times 0.044715; 1/sqrt(2). */
#define ACT_GELU_LINE (-0x1.988454p+0f)
#define ACT_GELU_CUBE (-0x1.2444f2p-4f)
#define ACT_HALF_ROOT 0x1.6a09e6p-1f

#define KERNEL_OPS(set)                                                                            \
	matmul_op kernel_matmul_f32_##set, kernel_matmul_bf16_##set, kernel_matmul_fp8_##set,      \
		kernel_matmul_f16_##set, kernel_matmul_mxfp4_##set;                                \
	void kernel_rmsnorm_##set(const float *x, const float *gain, uint32_t n, float eps,        \
				  float *out);                                                     \
	void kernel_layernorm_##set(const float *x, const float *gain, const float *bias,          \
				    uint32_t n, float eps, float *out);                            \
	act_op kernel_act_silu_##set, kernel_act_clamped_##set, kernel_act_gelu_tanh_##set,        \
		kernel_act_gelu_##set, kernel_act_relu2_##set, kernel_act_xielu_##set;             \
	void kernel_softcap_##set(float *x, uint32_t n, float cap);                                \
	uint32_t kernel_argmax_##set(const float *x, uint32_t n);                                  \
	void kernel_weigh_##set(const float *x, uint32_t n, float largest, float temperature,      \
				float *out);                                                       \
	void kernel_weighted_sum_##set(const float *const *row, const float *weight,               \
				       uint32_t count, uint32_t n, float *out);                    \
	void kernel_moe_gate_##set(const struct kernel_gate *g, const float *score,                \
				   uint32_t tokens, uint16_t *expert, float *weight);              \
	void kernel_add_##set(float *x, const float *y, uint32_t n);                               \
	void kernel_conv_##set(const struct kernel_conv *c, size_t channel, size_t count);         \
	void kernel_delta_##set(const struct kernel_delta *d, uint32_t panel, uint32_t panels);    \
	void kernel_decay_##set(enum kernel_decay kind, float low, const float *a,                 \
				const float *bias, const float *rate, uint32_t n, float *out);     \
	void kernel_unit_##set(float *x, uint32_t n, float eps, float scale);                      \
	void kernel_sigmoid_mul_##set(float *gate, const float *up, uint32_t n);                   \
	void kernel_rope_half_##set(float *x, uint32_t n, const float *cosine, const float *sine); \
	void kernel_attn_##set(const struct kernel_attention *a, uint32_t split, uint32_t splits,  \
			       float *record, bool together);                                      \
	void kernel_index_##set(const struct kernel_index *x, uint32_t from, uint32_t to,          \
				float *score);                                                     \
	void kernel_attn_join_##set(const struct kernel_attention *a, uint32_t lane,               \
				    uint32_t lanes, float *record, uint32_t records, bool end)

matmul_op kernel_matmul_q8_plain, kernel_matmul_q8_avx2, kernel_matmul_q8_avxvnni,
	kernel_matmul_q8_avx512, kernel_matmul_q8_vnni;
matmul_op kernel_matmul_q4_plain, kernel_matmul_q4_avx2, kernel_matmul_q4_avxvnni,
	kernel_matmul_q4_avx512, kernel_matmul_q4_vnni;
/* Of the fast sets. */
matmul_op kernel_matmul_mxfp4_int_plain, kernel_matmul_mxfp4_int_avx2,
	kernel_matmul_mxfp4_int_avxvnni, kernel_matmul_mxfp4_int_avx512,
	kernel_matmul_mxfp4_int_vnni;
matmul_op kernel_matmul_bf16_bf16;

uint64_t kernel_pack_plain(struct kernel_matrix *w, uint32_t row, uint32_t rows,
			   const struct kernel_stored_rows *from);
uint64_t kernel_pack_avx2(struct kernel_matrix *w, uint32_t row, uint32_t rows,
			  const struct kernel_stored_rows *from);
uint64_t kernel_pack_mxfp4_plain(struct kernel_matrix *w, uint32_t row, uint32_t rows,
				 const struct kernel_mxfp4_rows *from);
void kernel_quant_row_plain(const float *x, uint32_t n, const struct kernel_quant *q, uint32_t i);
void kernel_quant_row_avx2(const float *x, uint32_t n, const struct kernel_quant *q, uint32_t i);

KERNEL_OPS(plain);
KERNEL_OPS(avx2);
KERNEL_OPS(avx512);

/* The one plain form serves every set. */
void kernel_rope_interleaved_plain(float *x, uint32_t n, const float *cosine, const float *sine);

#endif
