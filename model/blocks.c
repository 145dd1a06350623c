/* Block types of GGUF files as f32. A row is whole blocks; a block is, little-endian:
 *
 *   Q8_0    32 values   f16 d | i8 code[32]                       w = d * code
 *   Q4_0    32 values   f16 d | u8 nibble[16]                     w = d * (code - 8)
 *   MXFP4   32 values   u8 s  | u8 nibble[16]                     w = E2M1(code) * 2^(s - 127)
 *   Q4_K   256 values   f16 d | f16 m | u8 scale[12] | u8 nibble[128]
 *   Q5_K   256 values   f16 d | f16 m | u8 scale[12] | u8 high[32] | u8 nibble[128]
 *                       in groups of 32:                          w = d * S * code - m * M
 *   Q6_K   256 values   u8 nibble[128] | u8 high[64] | i8 scale[16] | f16 d
 *                       in groups of 16:                          w = d * S * (code - 32)
 *
 * and these, which models that are served do not have:
 *
 *   Q4_1    32 values   f16 d | f16 m | u8 nibble[16]             w = d * code + m
 *   Q5_0    32 values   f16 d | u32 high | u8 nibble[16]          w = d * (code - 16)
 *   Q5_1    32 values   f16 d | f16 m | u32 high | u8 nibble[16]  w = d * code + m
 *   IQ4_NL  32 values   f16 d | u8 nibble[16]                     w = d * table[code]
 *   Q2_K   256 values   u8 scale[16] | u8 pair[64] | f16 d | f16 m
 *                       in groups of 16:                          w = d * S * code - m * M
 *   Q3_K   256 values   u8 high[32] | u8 pair[64] | u8 scale[12] | f16 d
 *                       in groups of 16:                          w = d * (S - 32) * (code - 4)
 *   IQ4_XS 256 values   f16 d | u16 scale high | u8 scale[4] | u8 nibble[128]
 *                       in groups of 32:                          w = d * (S - 32) * table[code]
 *
 * Where 32 codes lie in 16 bytes the low nibbles are the first 16. A product with a code is exact
 * in f32 but for Q6_K's, which is rounded once, as (d * S) * code; so is the difference of Q4_K
 * and Q5_K. Scale 255 of MXFP4 is not a number (OCP Microscaling Formats 1.0), though ggml reads it
 * as 2^128; code 8 is 0, as in ggml.
 * Source: ggml, ggml-common.h and ggml-quants.c (dequantize_row_*). */
#include "model/tensors_in.h"

#include "kernels/number.h"

#include <math.h>
#include <string.h>

static float half_at(const unsigned char *p)
{
	uint16_t h;
	memcpy(&h, p, 2);
	return number_from_f16(h);
}

static void q8_0(const unsigned char *p, float *out)
{
	float d = half_at(p);
	for (int i = 0; i < 32; i++)
		out[i] = d * (float)(int8_t)p[2 + i];
}

static void q4_0(const unsigned char *p, float *out)
{
	float d = half_at(p);
	for (int i = 0; i < 16; i++) {
		out[i] = d * (float)((p[2 + i] & 15) - 8);
		out[i + 16] = d * (float)((p[2 + i] >> 4) - 8);
	}
}

static void mxfp4(const unsigned char *p, float *out)
{
	static const float value[16] = { 0, 0.5f,  1,  1.5f,  2,  3,  4,  6,
					 0, -0.5f, -1, -1.5f, -2, -3, -4, -6 };
	float scale = p[0] == 255 ? NAN : number_from_e8m0(p[0]);
	for (int i = 0; i < 16; i++) {
		out[i] = value[p[1 + i] & 15] * scale;
		out[i + 16] = value[p[1 + i] >> 4] * scale;
	}
}

/* Scale and minimum, of 6 bits each, of the i-th of eight groups. */
static void k_scale(const unsigned char *s, int i, int *scale, int *least)
{
	if (i < 4) {
		*scale = s[i] & 63;
		*least = s[i + 4] & 63;
	} else {
		*scale = (s[i + 4] & 15) | (s[i - 4] >> 6) << 4;
		*least = s[i + 4] >> 4 | (s[i] >> 6) << 4;
	}
}

/* high: 32 bytes whose bit i is bit 4 of the codes of group i; NULL: codes of four bits. Two groups
 * share 32 bytes of nibbles. */
static void k_groups(const unsigned char *p, const unsigned char *high, const unsigned char *nibble,
		     float *out)
{
	float d = half_at(p), m = half_at(p + 2);
	for (int i = 0; i < 8; i++) {
		int scale, least;
		k_scale(p + 4, i, &scale, &least);
		float by = d * (float)scale, from = m * (float)least;
		for (int j = 0; j < 32; j++) {
			int code = nibble[i / 2 * 32 + j] >> (i % 2 * 4) & 15;
			code |= high ? (high[j] >> i & 1) << 4 : 0;
			out[i * 32 + j] = by * (float)code - from;
		}
	}
}

static void q4_k(const unsigned char *p, float *out) { k_groups(p, NULL, p + 16, out); }

static void q5_k(const unsigned char *p, float *out) { k_groups(p, p + 16, p + 48, out); }

/* Of 128 values, the first 64 have the low nibbles of 64 bytes and the others the high ones; byte j
 * of 32 has two bits for each of the values j, j+32, j+64 and j+96. */
static void q6_k(const unsigned char *p, float *out)
{
	float d = half_at(p + 208), by[16];
	for (int i = 0; i < 16; i++)
		by[i] = d * (float)(int8_t)p[192 + i];
	for (int half = 0; half < 2; half++, out += 128)
		for (int j = 0; j < 32; j++) {
			int a = p[half * 64 + j], b = p[half * 64 + 32 + j],
			    high = p[128 + half * 32 + j];
			const float *s = by + half * 8 + j / 16;
			out[j] = s[0] * (float)((a & 15) + ((high & 3) << 4) - 32);
			out[j + 32] = s[2] * (float)((b & 15) + ((high >> 2 & 3) << 4) - 32);
			out[j + 64] = s[4] * (float)((a >> 4) + ((high >> 4 & 3) << 4) - 32);
			out[j + 96] = s[6] * (float)((b >> 4) + ((high >> 6) << 4) - 32);
		}
}

/* ---- of models that are not served ---- */

static const signed char nonlinear[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
					   1,    13,   25,  38,  53,  69,  89,  113 };

static void q4_1(const unsigned char *p, float *out)
{
	float d = half_at(p), m = half_at(p + 2);
	for (int i = 0; i < 16; i++) {
		out[i] = d * (float)(p[4 + i] & 15) + m;
		out[i + 16] = d * (float)(p[4 + i] >> 4) + m;
	}
}

/* Five bits of value i: four in the nibbles, the fifth in bit i of `high`. */
static int five(const unsigned char *high, const unsigned char *nibble, int i)
{
	int low = i < 16 ? nibble[i] & 15 : nibble[i - 16] >> 4;
	return low | (high[i / 8] >> i % 8 & 1) << 4;
}

static void q5_0(const unsigned char *p, float *out)
{
	float d = half_at(p);
	for (int i = 0; i < 32; i++)
		out[i] = d * (float)(five(p + 2, p + 6, i) - 16);
}

static void q5_1(const unsigned char *p, float *out)
{
	float d = half_at(p), m = half_at(p + 2);
	for (int i = 0; i < 32; i++)
		out[i] = d * (float)five(p + 4, p + 8, i) + m;
}

static void nonlinear_groups(const unsigned char *nibble, float by, float *out)
{
	for (int i = 0; i < 16; i++) {
		out[i] = by * (float)nonlinear[nibble[i] & 15];
		out[i + 16] = by * (float)nonlinear[nibble[i] >> 4];
	}
}

static void iq4_nl(const unsigned char *p, float *out) { nonlinear_groups(p + 2, half_at(p), out); }

static void iq4_xs(const unsigned char *p, float *out)
{
	float d = half_at(p);
	for (int i = 0; i < 8; i++) {
		int low = p[4 + i / 2] >> i % 2 * 4 & 15, high = p[2 + i / 4] >> i % 4 * 2 & 3;
		nonlinear_groups(p + 8 + 16 * i, d * (float)((low | high << 4) - 32), out + 32 * i);
	}
}

/* Two bits of value i of 256: byte j of each 32 has those of values j, j+32, j+64 and j+96. */
static int two(const unsigned char *pair, int i)
{
	return pair[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

static void q2_k(const unsigned char *p, float *out)
{
	float d = half_at(p + 80), m = half_at(p + 82);
	for (int i = 0; i < 256; i++) {
		int scale = p[i / 16];
		out[i] = d * (float)(scale & 15) * (float)two(p + 16, i) - m * (float)(scale >> 4);
	}
}

static void q3_k(const unsigned char *p, float *out)
{
	const unsigned char *s = p + 96;
	float d = half_at(p + 108);
	for (int i = 0; i < 256; i++) {
		int g = i / 16, low = g < 8 ? s[g] & 15 : s[g - 8] >> 4,
		    high = s[8 + g % 4] >> g / 4 * 2 & 3;
		int code = two(p + 32, i) - (p[i % 32] >> i / 32 & 1 ? 0 : 4);
		out[i] = d * (float)((low | high << 4) - 32) * (float)code;
	}
}

void model_blocks_widen(enum model_dtype type, const unsigned char *raw, size_t n, float *out)
{
	static void (*const decode[])(const unsigned char *p, float *out) = {
		[MODEL_Q8_0] = q8_0,     [MODEL_Q4_0] = q4_0, [MODEL_Q4_K] = q4_k,
		[MODEL_Q5_K] = q5_k,     [MODEL_Q6_K] = q6_k, [MODEL_MXFP4] = mxfp4,
		[MODEL_Q4_1] = q4_1,     [MODEL_Q5_0] = q5_0, [MODEL_Q5_1] = q5_1,
		[MODEL_Q2_K] = q2_k,     [MODEL_Q3_K] = q3_k, [MODEL_IQ4_NL] = iq4_nl,
		[MODEL_IQ4_XS] = iq4_xs,
	};
	unsigned block = model_dtype_block(type);
	size_t bytes = (size_t)model_dtype_bytes(type, block);
	for (size_t i = 0; i + block <= n; i += block, raw += bytes)
		decode[type](raw, out + i);
}
