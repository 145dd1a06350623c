#include "kernels/kernels.h"
#include "kernels/ops.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

/* A set: which form multiplies the integer formats, which BF16, which MXFP4, which packs weights
 * and quantises inputs, and which does all else. Fast sets quantise the inputs of MXFP4. */
#define SET(set, integer, bf16, mxfp4, packing, other, is_canonical, its_regime)                \
	{                                                                                       \
		.name = (set), .canonical = (is_canonical), .regime = (its_regime),             \
		.quantised = { [KERNEL_Q8] = true,                                              \
			       [KERNEL_Q4] = true,                                              \
			       [KERNEL_MXFP4] = !(is_canonical) },                              \
		.matmul = { [KERNEL_F32] = kernel_matmul_f32_##other,                           \
			    [KERNEL_BF16] = kernel_matmul_bf16_##bf16,                          \
			    [KERNEL_FP8] = kernel_matmul_fp8_##other,                           \
			    [KERNEL_F16] = kernel_matmul_f16_##other,                           \
			    [KERNEL_Q8] = kernel_matmul_q8_##integer,                           \
			    [KERNEL_Q4] = kernel_matmul_q4_##integer,                           \
			    [KERNEL_MXFP4] = kernel_matmul_mxfp4_##mxfp4 },                     \
		.pack = kernel_pack_##packing, .quant_row = kernel_quant_row_##packing,         \
		.pack_mxfp4 = kernel_pack_mxfp4_plain, .rmsnorm = kernel_rmsnorm_##other,       \
		.layernorm = kernel_layernorm_##other, .softcap = kernel_softcap_##other,       \
		.act = { [KERNEL_ACT_SILU] = kernel_act_silu_##other,                           \
			 [KERNEL_ACT_CLAMPED] = kernel_act_clamped_##other,                     \
			 [KERNEL_ACT_GELU_TANH] = kernel_act_gelu_tanh_##other,                 \
			 [KERNEL_ACT_GELU] = kernel_act_gelu_##other,                           \
			 [KERNEL_ACT_RELU2] = kernel_act_relu2_##other,                         \
			 [KERNEL_ACT_XIELU] = kernel_act_xielu_##other },                       \
		.attn = kernel_attn_##other, .attn_join = kernel_attn_join_##other,             \
		.index = kernel_index_##other,                                                  \
		.rope_interleaved = kernel_rope_interleaved_plain,                              \
		.rope_half = kernel_rope_half_##other, .moe_gate = kernel_moe_gate_##other,     \
		.conv = kernel_conv_##other, .delta = kernel_delta_##other,                     \
		.decay = kernel_decay_##other, .unit = kernel_unit_##other,                     \
		.sigmoid_mul = kernel_sigmoid_mul_##other,                                      \
		.weighted_sum = kernel_weighted_sum_##other, .add = kernel_add_##other,         \
		.argmax = kernel_argmax_##other, .weigh = kernel_weigh_##other                  \
	}

enum { HAS_AVX2 = 1, HAS_AVXVNNI = 2, HAS_AVX512 = 4, HAS_VNNI = 8, HAS_BF16 = 16 };

#define CPU "cpu/1"
#define INT8 "cpu-fast-int8/1"

/* From the slowest to the fastest, then the fast ones likewise. */
static const struct {
	struct kernels set;
	unsigned needs;
} sets[] = {
	{ SET("plain", plain, plain, plain, plain, plain, true, CPU), 0 },
	{ SET("avx2", avx2, avx2, avx2, avx2, avx2, true, CPU), HAS_AVX2 },
	{ SET("avxvnni", avxvnni, avx2, avx2, avx2, avx2, true, CPU), HAS_AVX2 | HAS_AVXVNNI },
	{ SET("avx512", avx512, avx512, avx512, avx2, avx512, true, CPU), HAS_AVX512 },
	{ SET("vnni", vnni, avx512, avx512, avx2, avx512, true, CPU), HAS_AVX512 | HAS_VNNI },
	{ SET("int8-plain", plain, plain, int_plain, plain, plain, false, INT8), 0 },
	{ SET("int8-avx2", avx2, avx2, int_avx2, avx2, avx2, false, INT8), HAS_AVX2 },
	{ SET("int8-avxvnni", avxvnni, avx2, int_avxvnni, avx2, avx2, false, INT8),
	  HAS_AVX2 | HAS_AVXVNNI },
	{ SET("int8-avx512", avx512, avx512, int_avx512, avx2, avx512, false, INT8), HAS_AVX512 },
	{ SET("int8-vnni", vnni, avx512, int_vnni, avx2, avx512, false, INT8),
	  HAS_AVX512 | HAS_VNNI },
	{ SET("bf16", vnni, bf16, int_vnni, avx2, avx512, false, "cpu-fast-bf16/2"),
	  HAS_AVX512 | HAS_VNNI | HAS_BF16 },
};

#define SETS (sizeof sets / sizeof sets[0])

/* What the machine has. The compiler's builtin checks CPUID and that the system saves the registers
 * (XCR0); not every compiler knows every name, so the rest is read from CPUID here. */
static unsigned machine(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0, has = 0;
	bool f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
	unsigned more = __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 ? a : 0;
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !f16c)
		return 0;
	has = HAS_AVX2 | (more & 1u << 4 ? HAS_AVXVNNI : 0);
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
		return has;
	return has | HAS_AVX512 | (__builtin_cpu_supports("avx512vnni") ? HAS_VNNI : 0) |
	       (more & 1u << 5 ? HAS_BF16 : 0);
}

static bool runs_on(unsigned has, size_t i) { return (sets[i].needs & ~has) == 0; }

static const struct kernels *set_at(size_t i, bool canonical)
{
	unsigned has = machine();
	for (size_t at = 0; at < SETS; at++) {
		if (sets[at].set.canonical == canonical && runs_on(has, at) && i-- == 0)
			return &sets[at].set;
	}
	return NULL;
}

const struct kernels *kernels_at(size_t i) { return set_at(i, true); }

const struct kernels *kernels_fast_at(size_t i) { return set_at(i, false); }

/* The last set that runs here, of the canonical or of the fast ones. */
static const struct kernels *best(bool fast)
{
	unsigned has = machine();
	size_t i = SETS - 1;
	while (!runs_on(has, i) || (!fast && !sets[i].set.canonical))
		i--; /* ends at plain */
	return &sets[i].set;
}

int kernels_pick(const struct kernels **out, const char *name, bool fast, struct err *e)
{
	const char *asked_by = "kernels";
	if (name == NULL) {
		name = getenv("HALLMARK_KERNELS");
		asked_by = "HALLMARK_KERNELS";
	}
	if (name == NULL || *name == '\0') {
		*out = best(fast);
		return 0;
	}
	for (size_t i = 0; i < SETS; i++) {
		if (strcmp(name, sets[i].set.name) != 0)
			continue;
		*out = &sets[i].set;
		if (runs_on(machine(), i))
			return 0;
		return err_set(e, ERR_UNSUPPORTED, "%s=%s: this machine has no %s", asked_by, name,
			       name);
	}
	return err_set(e, ERR_INPUT,
		       "%s=%.40s: unknown, expected plain, avx2, avxvnni, avx512, vnni, the same with "
		       "int8- before it, or bf16",
		       asked_by, name);
}
