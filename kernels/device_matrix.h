/* Private: weights of kernels/fragment.h on the device: what a warp loads of a panel in one go, and
 * the registers of a matrix instruction that it makes of it, for each format.
 *
 * Values become bf16 exactly. Codes of 8 and 4 bits are set under a bf16 number's exponent bits and
 * then shifted into place by one multiply-add that does not round:
 *
 *   Q8     0x4300 | low seven bits is 128 + low; 0xc300 | sign bit is -128 or -256; their sum is
 *          low or low - 128: the code
 *   Q4     0x4300 | code is 128 + code; less 136 it is the value
 *   FP8    sign, and below it the other bits at the bottom of the exponent: the value times 2^-120
 *   MXFP4  likewise times 2^-126; what is subnormal there is so here, and comes out right */
#ifndef KERNELS_DEVICE_MATRIX_H
#define KERNELS_DEVICE_MATRIX_H

#define FRAGMENT_TILES (FRAGMENT_SEGMENT / FRAGMENT_K) /* of a segment */
#define FRAGMENT_GROUPS (FRAGMENT_SEGMENT / KERNEL_GROUP)

/* Of a format: `parts` bf16 numbers a value; `tiles` of 16 K that a stride of 512 bytes holds, or
 * one part of; `loads` strides that a lane has in flight, a chunk; `step` tiles multiplied by one
 * round of a loop; K of a group of one scale (0: none), bytes of a scale in the panel (0: it is not
 * there). */
template <enum kernel_format f> struct device_format;
template <> struct device_format<KERNEL_BF16> {
	static constexpr uint32_t parts = 1, tiles = 1, loads = 4, step = 4, group = 0;
	static constexpr uint32_t scale_bytes = 0;
};
template <> struct device_format<KERNEL_F16> {
	static constexpr uint32_t parts = 2, tiles = 1, loads = 4, step = 2, group = 0;
	static constexpr uint32_t scale_bytes = 0;
};
template <> struct device_format<KERNEL_F32> {
	static constexpr uint32_t parts = 3, tiles = 1, loads = 3, step = 1, group = 0;
	static constexpr uint32_t scale_bytes = 0;
};
template <> struct device_format<KERNEL_FP8> {
	static constexpr uint32_t parts = 1, tiles = 2, loads = 4, step = 8, group = 128;
	static constexpr uint32_t scale_bytes = 0;
};
template <> struct device_format<KERNEL_Q8> {
	static constexpr uint32_t parts = 1, tiles = 2, loads = 4, step = 4, group = 32;
	static constexpr uint32_t scale_bytes = 2;
};
template <> struct device_format<KERNEL_Q4> {
	static constexpr uint32_t parts = 1, tiles = 4, loads = 4, step = 4, group = 32;
	static constexpr uint32_t scale_bytes = 2;
};
template <> struct device_format<KERNEL_MXFP4> {
	static constexpr uint32_t parts = 1, tiles = 4, loads = 4, step = 4, group = 32;
	static constexpr uint32_t scale_bytes = 1;
};

/* Strides of a panel. */
template <enum kernel_format f>
static __device__ __forceinline__ uint32_t device_strides(uint32_t columns)
{
	constexpr uint32_t k = FRAGMENT_K * device_format<f>::tiles;
	return (columns + k - 1) / k * device_format<f>::parts;
}

/* ---- values to bf16 ---- */

static __device__ __forceinline__ uint32_t device_word(const uint4 &v, uint32_t i)
{
	return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

/* Of bytes 2i and 2i + 1 of eight in two words: one in the upper byte of each half. */
static __device__ __forceinline__ uint32_t device_spread(uint32_t low, uint32_t high, uint32_t i)
{
	return __byte_perm(i < 2 ? low : high, 0, i % 2 == 0 ? 0x1404 : 0x3424);
}

static __device__ __forceinline__ uint32_t device_pair_q8(uint32_t spread)
{
	uint32_t low = (spread >> 8 & 0x007f007fu) | 0x43004300u;
	uint32_t sign = (spread >> 8 & 0x00800080u) | 0xc300c300u;
	return ptx_bf16_fma(low, 0x3f803f80u, sign);
}

static __device__ __forceinline__ uint32_t device_pair_fp8(uint32_t spread)
{
	uint32_t bits = (spread & 0x80008000u) | (spread >> 4 & 0x07f007f0u);
	return ptx_bf16_fma(bits, 0x7b807b80u, 0x80008000u); /* * 2^120, + -0 */
}

/* Nibbles i and i + 4 of a word. */
static __device__ __forceinline__ uint32_t device_pair_q4(uint32_t word, uint32_t i)
{
	uint32_t bits = (word >> 4 * i & 0x000f000fu) | 0x43004300u;
	return ptx_bf16_fma(bits, 0x3f803f80u, 0xc308c308u);
}

static __device__ __forceinline__ uint32_t device_pair_mxfp4(uint32_t word, uint32_t i)
{
	uint32_t sign = word << (12 - 4 * i) & 0x80008000u;
	uint32_t size = (i < 2 ? word << (6 - 4 * i) : word >> (4 * i - 6)) & 0x01c001c0u;
	return ptx_bf16_fma(size | sign, 0x7e807e80u, 0x80008000u); /* * 2^126 */
}

/* Registers a[4] of tile `tile` of a stride. */
template <enum kernel_format f>
static __device__ __forceinline__ void device_fragment(const uint4 &v, uint32_t tile, uint32_t a[4])
{
	uint32_t low = tile == 0 ? v.x : v.z, high = tile == 0 ? v.y : v.w;
#pragma unroll
	for (uint32_t i = 0; i < 4; i++) {
		if constexpr (f == KERNEL_Q8)
			a[i] = device_pair_q8(device_spread(low, high, i));
		else if constexpr (f == KERNEL_FP8)
			a[i] = device_pair_fp8(device_spread(low, high, i));
		else if constexpr (f == KERNEL_Q4)
			a[i] = device_pair_q4(device_word(v, tile), i);
		else if constexpr (f == KERNEL_MXFP4)
			a[i] = device_pair_mxfp4(device_word(v, tile), i);
		else
			a[i] = device_word(v, i);
	}
}

/* 2^(s - 127), as number_from_e8m0. */
static __device__ __forceinline__ float device_e8m0(uint32_t s)
{
	return __uint_as_float(s == 0 ? 0x00400000u : s << 23);
}

/* ---- chunks ---- */

/* What a lane has in flight of a panel: `loads` strides, and words of scales of what they hold: of
 * a group the f16 scales of rows g and g + 8; of two groups the E8M0 scales of both rows; of 128 K
 * one f32. A chunk lies within a segment. */
template <enum kernel_format f, uint32_t loads> struct device_chunk {
	using format = device_format<f>;
	static constexpr uint32_t k = loads * format::tiles * FRAGMENT_K / format::parts;
	static constexpr uint32_t words =
		f == KERNEL_FP8 ? 1 : k / KERNEL_GROUP * format::scale_bytes / 2;
	uint4 code[loads];
	uint32_t scale[words ? words : 1];
};

/* A panel in memory: what it takes to load from it. */
struct device_panel {
	const unsigned char *at;
	const float *scale; /* FP8: of its rows */
	uint32_t strides;
};

template <enum kernel_format f>
static __device__ __forceinline__ struct device_panel device_panel_of(const struct device_matrix &w,
								      uint32_t panel)
{
	struct device_panel p = { (const unsigned char *)w.at + panel * w.panel_bytes, nullptr,
				  device_strides<f>(w.columns) };
	if constexpr (f == KERNEL_FP8)
		p.scale = w.scale + panel * KERNEL_PANEL / KERNEL_FP8_BLOCK *
					    ((w.columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK);
	return p;
}

/* Strides from `stride` on, as many as a chunk holds; zeros beyond the end, and if there is nothing
 * to load. Every register is written: one that might not be would be kept for all loops around. */
template <enum kernel_format f, uint32_t loads>
static __device__ __forceinline__ void device_load(struct device_chunk<f, loads> &c,
						   const struct device_panel &p, uint32_t stride,
						   uint32_t lane, bool any)
{
	using format = device_format<f>;
	constexpr uint32_t words = device_chunk<f, loads>::words;
	constexpr uint32_t chunks = FRAGMENT_SEGMENT / device_chunk<f, loads>::k; /* of a segment */
	uint32_t chunk = stride / loads;
	const unsigned char *code = p.at + (size_t)stride * FRAGMENT_STRIDE + lane * 16;
#pragma unroll
	for (uint32_t i = 0; i < loads; i++) {
		c.code[i] = make_uint4(0, 0, 0, 0);
		if (any && stride + i < p.strides)
			c.code[i] = ptx_load_stream16(code + i * FRAGMENT_STRIDE);
	}
	if constexpr (format::scale_bytes > 0) {
		constexpr uint32_t each = 4 * words; /* bytes */
		const unsigned char *at = p.at + (size_t)p.strides * FRAGMENT_STRIDE +
					  (chunk / chunks * 8 + lane / 4) * (each * chunks) +
					  chunk % chunks * each;
#pragma unroll
		for (uint32_t i = 0; i < each / 16; i++) {
			uint4 v = make_uint4(0, 0, 0, 0);
			if (any)
				v = ptx_load_stream16(at + 16 * i);
			c.scale[4 * i] = v.x;
			c.scale[4 * i + 1] = v.y;
			c.scale[4 * i + 2] = v.z;
			c.scale[4 * i + 3] = v.w;
		}
	}
	if constexpr (f == KERNEL_FP8)
		c.scale[0] = any ? __float_as_uint(__ldg(p.scale + chunk)) : 0;
	if constexpr (words == 0)
		c.scale[0] = 0;
}

/* Scale of one of the step's groups, of the lane's row g or g + 8. */
template <enum kernel_format f, uint32_t loads>
static __device__ __forceinline__ float device_scale(const struct device_chunk<f, loads> &c,
						     uint32_t group, uint32_t eight)
{
	if constexpr (f == KERNEL_FP8)
		return __uint_as_float(c.scale[0]);
	else if constexpr (f == KERNEL_MXFP4)
		return device_e8m0(c.scale[0] >> (16 * group + 8 * eight) & 0xff);
	else
		return eight ? ptx_f16_high(c.scale[group]) : ptx_f16_low(c.scale[group]);
}

/* Drop what the step has multiplied: registers have no numbers, so what follows moves down. */
template <enum kernel_format f, uint32_t loads>
static __device__ __forceinline__ void device_step_over(struct device_chunk<f, loads> &c)
{
	using format = device_format<f>;
	constexpr uint32_t strides = format::step * format::parts / format::tiles;
	constexpr uint32_t words = f == KERNEL_FP8 || f == KERNEL_MXFP4 ? 1 : 2;
#pragma unroll
	for (uint32_t i = 0; i + strides < loads; i++)
		c.code[i] = c.code[i + strides];
	if constexpr (format::group > 0) {
#pragma unroll
		for (uint32_t i = 0; i + words < device_chunk<f, loads>::words; i++)
			c.scale[i] = c.scale[i + words];
	}
}

/* ---- one value ---- */

/* w[row][k] as kernel_matrix_at gives it, for rows that are read whole and seldom: embeddings. */
static __device__ __forceinline__ float device_code_at(const struct device_matrix &w,
						       const unsigned char *panel, uint32_t row,
						       uint32_t k)
{
	uint32_t lane = 4 * (row % 8) + k % 8 / 2, i = k % 16 / 8 * 2 + row % 16 / 8;
	const unsigned char *at = panel + lane * 16;
	uint32_t half = k % 2;
	if (w.format == KERNEL_FP8 || w.format == KERNEL_Q8) {
		uint32_t b = at[(size_t)(k / 32) * 512 + k % 32 / 16 * 8 + 2 * i + half] << 8;
		return device_bf16_low(w.format == KERNEL_Q8 ? device_pair_q8(b)
							     : device_pair_fp8(b));
	}
	if (w.format == KERNEL_Q4 || w.format == KERNEL_MXFP4) {
		uint32_t word = *(const uint32_t *)(at + (size_t)(k / 64) * 512 + k % 64 / 16 * 4);
		word = word >> (4 * i + 16 * half) & 15;
		return device_bf16_low(w.format == KERNEL_Q4 ? device_pair_q4(word, 0)
							     : device_pair_mxfp4(word, 0));
	}
	uint32_t parts = w.format == KERNEL_F32 ? 3 : w.format == KERNEL_F16 ? 2 : 1;
	float sum = 0;
	for (uint32_t p = parts; p-- > 0;) /* the smallest first: exact */
		sum += device_bf16_low(*(const uint16_t *)(at + (size_t)(k / 16 * parts + p) * 512 +
							   4 * i + 2 * half));
	return sum;
}

static __device__ __forceinline__ float device_matrix_at(const struct device_matrix &w,
							 uint32_t row, uint32_t k)
{
	const unsigned char *panel =
		(const unsigned char *)w.at + row / KERNEL_PANEL * w.panel_bytes;
	uint32_t at = ((k / 256 * 8 + row % 8) * 8 + k % 256 / 32) * 2 + row % 16 / 8;
	float code = device_code_at(w, panel, row, k);
	if (w.format == KERNEL_FP8)
		return code *
		       w.scale[row / KERNEL_FP8_BLOCK *
				       ((w.columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK) +
			       k / KERNEL_FP8_BLOCK];
	if (w.format == KERNEL_Q8)
		return code *
		       ptx_f16_low(*(const uint16_t *)(panel + (size_t)(w.columns + 31) / 32 * 512 +
						       2 * at));
	if (w.format == KERNEL_Q4)
		return code *
		       ptx_f16_low(*(const uint16_t *)(panel + (size_t)(w.columns + 63) / 64 * 512 +
						       2 * at));
	if (w.format == KERNEL_MXFP4)
		return code * device_e8m0(panel[(size_t)(w.columns + 63) / 64 * 512 + at]);
	return code;
}

#endif
