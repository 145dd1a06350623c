/* The instructions of kernels/device_ptx.h, by device_ask: which lane holds which element, as the figures of
 * the PTX ISA have it (version 9, "Warp-level matrix multiply-accumulate"), written out here; when
 * copies have landed; rounding; blocks that meet. */
#include "kernels/number.h"
#include "tests/gpu/parity.h"

#include <math.h>
#include <string.h>

/* ---- "Matrix Fragments for mma.m16n8k16 with floating point type" ---- */

/* Figure "MMA .m16n8k16 fragment layout for matrix A with .f16 / .bf16 type": by row and column, the lane and
 * the index i of its element ai. */
static const uint8_t a_lane[16][16] = {
	{  0,  0,  1,  1,  2,  2,  3,  3,  0,  0,  1,  1,  2,  2,  3,  3 },
	{  4,  4,  5,  5,  6,  6,  7,  7,  4,  4,  5,  5,  6,  6,  7,  7 },
	{  8,  8,  9,  9, 10, 10, 11, 11,  8,  8,  9,  9, 10, 10, 11, 11 },
	{ 12, 12, 13, 13, 14, 14, 15, 15, 12, 12, 13, 13, 14, 14, 15, 15 },
	{ 16, 16, 17, 17, 18, 18, 19, 19, 16, 16, 17, 17, 18, 18, 19, 19 },
	{ 20, 20, 21, 21, 22, 22, 23, 23, 20, 20, 21, 21, 22, 22, 23, 23 },
	{ 24, 24, 25, 25, 26, 26, 27, 27, 24, 24, 25, 25, 26, 26, 27, 27 },
	{ 28, 28, 29, 29, 30, 30, 31, 31, 28, 28, 29, 29, 30, 30, 31, 31 },
	{  0,  0,  1,  1,  2,  2,  3,  3,  0,  0,  1,  1,  2,  2,  3,  3 },
	{  4,  4,  5,  5,  6,  6,  7,  7,  4,  4,  5,  5,  6,  6,  7,  7 },
	{  8,  8,  9,  9, 10, 10, 11, 11,  8,  8,  9,  9, 10, 10, 11, 11 },
	{ 12, 12, 13, 13, 14, 14, 15, 15, 12, 12, 13, 13, 14, 14, 15, 15 },
	{ 16, 16, 17, 17, 18, 18, 19, 19, 16, 16, 17, 17, 18, 18, 19, 19 },
	{ 20, 20, 21, 21, 22, 22, 23, 23, 20, 20, 21, 21, 22, 22, 23, 23 },
	{ 24, 24, 25, 25, 26, 26, 27, 27, 24, 24, 25, 25, 26, 26, 27, 27 },
	{ 28, 28, 29, 29, 30, 30, 31, 31, 28, 28, 29, 29, 30, 30, 31, 31 },
};
static const uint8_t a_element[16][16] = {
	{  0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5 },
	{  0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5 },
	{  0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5 },
	{  0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5 },
	{  0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5 },
	{  0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5 },
	{  0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5 },
	{  0,  1,  0,  1,  0,  1,  0,  1,  4,  5,  4,  5,  4,  5,  4,  5 },
	{  2,  3,  2,  3,  2,  3,  2,  3,  6,  7,  6,  7,  6,  7,  6,  7 },
	{  2,  3,  2,  3,  2,  3,  2,  3,  6,  7,  6,  7,  6,  7,  6,  7 },
	{  2,  3,  2,  3,  2,  3,  2,  3,  6,  7,  6,  7,  6,  7,  6,  7 },
	{  2,  3,  2,  3,  2,  3,  2,  3,  6,  7,  6,  7,  6,  7,  6,  7 },
	{  2,  3,  2,  3,  2,  3,  2,  3,  6,  7,  6,  7,  6,  7,  6,  7 },
	{  2,  3,  2,  3,  2,  3,  2,  3,  6,  7,  6,  7,  6,  7,  6,  7 },
	{  2,  3,  2,  3,  2,  3,  2,  3,  6,  7,  6,  7,  6,  7,  6,  7 },
	{  2,  3,  2,  3,  2,  3,  2,  3,  6,  7,  6,  7,  6,  7,  6,  7 },
};

/* Figures "MMA .m16n8k16 fragment layout for rows 0-15 of matrix B with .bf16 type". */
static const uint8_t b_lane[16][8] = {
	{  0,  4,  8, 12, 16, 20, 24, 28 },
	{  0,  4,  8, 12, 16, 20, 24, 28 },
	{  1,  5,  9, 13, 17, 21, 25, 29 },
	{  1,  5,  9, 13, 17, 21, 25, 29 },
	{  2,  6, 10, 14, 18, 22, 26, 30 },
	{  2,  6, 10, 14, 18, 22, 26, 30 },
	{  3,  7, 11, 15, 19, 23, 27, 31 },
	{  3,  7, 11, 15, 19, 23, 27, 31 },
	{  0,  4,  8, 12, 16, 20, 24, 28 },
	{  0,  4,  8, 12, 16, 20, 24, 28 },
	{  1,  5,  9, 13, 17, 21, 25, 29 },
	{  1,  5,  9, 13, 17, 21, 25, 29 },
	{  2,  6, 10, 14, 18, 22, 26, 30 },
	{  2,  6, 10, 14, 18, 22, 26, 30 },
	{  3,  7, 11, 15, 19, 23, 27, 31 },
	{  3,  7, 11, 15, 19, 23, 27, 31 },
};
static const uint8_t b_element[16][8] = {
	{  0,  0,  0,  0,  0,  0,  0,  0 },
	{  1,  1,  1,  1,  1,  1,  1,  1 },
	{  0,  0,  0,  0,  0,  0,  0,  0 },
	{  1,  1,  1,  1,  1,  1,  1,  1 },
	{  0,  0,  0,  0,  0,  0,  0,  0 },
	{  1,  1,  1,  1,  1,  1,  1,  1 },
	{  0,  0,  0,  0,  0,  0,  0,  0 },
	{  1,  1,  1,  1,  1,  1,  1,  1 },
	{  2,  2,  2,  2,  2,  2,  2,  2 },
	{  3,  3,  3,  3,  3,  3,  3,  3 },
	{  2,  2,  2,  2,  2,  2,  2,  2 },
	{  3,  3,  3,  3,  3,  3,  3,  3 },
	{  2,  2,  2,  2,  2,  2,  2,  2 },
	{  3,  3,  3,  3,  3,  3,  3,  3 },
	{  2,  2,  2,  2,  2,  2,  2,  2 },
	{  3,  3,  3,  3,  3,  3,  3,  3 },
};

/* Figure "MMA .m16n8k16 fragment layout for accumulator matrix C/D". */
static const uint8_t d_lane[16][8] = {
	{  0,  0,  1,  1,  2,  2,  3,  3 },
	{  4,  4,  5,  5,  6,  6,  7,  7 },
	{  8,  8,  9,  9, 10, 10, 11, 11 },
	{ 12, 12, 13, 13, 14, 14, 15, 15 },
	{ 16, 16, 17, 17, 18, 18, 19, 19 },
	{ 20, 20, 21, 21, 22, 22, 23, 23 },
	{ 24, 24, 25, 25, 26, 26, 27, 27 },
	{ 28, 28, 29, 29, 30, 30, 31, 31 },
	{  0,  0,  1,  1,  2,  2,  3,  3 },
	{  4,  4,  5,  5,  6,  6,  7,  7 },
	{  8,  8,  9,  9, 10, 10, 11, 11 },
	{ 12, 12, 13, 13, 14, 14, 15, 15 },
	{ 16, 16, 17, 17, 18, 18, 19, 19 },
	{ 20, 20, 21, 21, 22, 22, 23, 23 },
	{ 24, 24, 25, 25, 26, 26, 27, 27 },
	{ 28, 28, 29, 29, 30, 30, 31, 31 },
};
static const uint8_t d_element[16][8] = {
	{  0,  1,  0,  1,  0,  1,  0,  1 },
	{  0,  1,  0,  1,  0,  1,  0,  1 },
	{  0,  1,  0,  1,  0,  1,  0,  1 },
	{  0,  1,  0,  1,  0,  1,  0,  1 },
	{  0,  1,  0,  1,  0,  1,  0,  1 },
	{  0,  1,  0,  1,  0,  1,  0,  1 },
	{  0,  1,  0,  1,  0,  1,  0,  1 },
	{  0,  1,  0,  1,  0,  1,  0,  1 },
	{  2,  3,  2,  3,  2,  3,  2,  3 },
	{  2,  3,  2,  3,  2,  3,  2,  3 },
	{  2,  3,  2,  3,  2,  3,  2,  3 },
	{  2,  3,  2,  3,  2,  3,  2,  3 },
	{  2,  3,  2,  3,  2,  3,  2,  3 },
	{  2,  3,  2,  3,  2,  3,  2,  3 },
	{  2,  3,  2,  3,  2,  3,  2,  3 },
	{  2,  3,  2,  3,  2,  3,  2,  3 },
};

/* Element i of a fragment is half i % 2 of its register i / 2. */
static void put_half(uint32_t *registers, uint8_t i, uint16_t value)
{
	unsigned shift = i % 2 * 16;
	registers[i / 2] = (registers[i / 2] & ~(0xffffu << shift)) | (uint32_t)value << shift;
}

static void put_a(struct device_probe_mma *m, int row, int k, float value)
{
	put_half(m->a[a_lane[row][k]], a_element[row][k], number_to_bf16(value));
}

static void put_b(struct device_probe_mma *m, int k, int column, float value)
{
	put_half(m->b[b_lane[k][column]], b_element[k][column], number_to_bf16(value));
}

static void ask(struct parity *p, enum device_probe_kind kind, uint32_t count, const struct parity_buffer *in,
		struct parity_buffer *out)
{
	if (p->rc == 0) {
		const struct device_probe probe = { kind, count, in->at, out->at };
		p->rc = device_ask(p->stream, &probe, &p->err);
	}
	parity_failed(p, "probe");
	parity_fetch(p, out);
}

/* One element of a is 1, each of b another number, each of d a third: its row of the result tells where it
 * lay, and the numbers where theirs did. */
static void check_mma_layout(struct parity *p)
{
	struct parity_buffer in = parity_zeros(p, "registers", 256 * sizeof(struct device_probe_mma));
	struct parity_buffer out = parity_output(p, "sums", 256 * sizeof(float[32][4]));
	struct device_probe_mma *m = in.host;
	const float(*got)[32][4] = out.host;
	uint32_t wrong = 0;
	for (int n = 0; n < 256; n++) {
		put_a(&m[n], n / 16, n % 16, 1);
		for (int i = 0; i < 128; i++) {
			put_b(&m[n], i / 8, i % 8, (float)(i + 1));
			m[n].d[d_lane[i / 8][i % 8]][d_element[i / 8][i % 8]] = (float)(i * 1000);
		}
	}
	parity_upload(p, &in);
	ask(p, DEVICE_PROBE_MMA, 256, &in, &out);
	for (int n = 0; n < 256; n++) {
		for (int i = 0; i < 128; i++) {
			int row = i / 8, column = i % 8;
			float want = (float)(i * 1000) +
				     (row == n / 16 ? (float)(n % 16 * 8 + column + 1) : 0);
			wrong += got[n][d_lane[row][column]][d_element[row][column]] != want;
		}
	}
	parity_true(p, wrong == 0, "mma: %u of 32768 elements lie elsewhere", wrong);
}

static void check_mma_sums(struct parity *p)
{
	uint32_t count = parity_pick(p, 40, 4000);
	struct parity_buffer in = parity_zeros(p, "registers", count * sizeof(struct device_probe_mma));
	struct parity_buffer out = parity_output(p, "sums", count * sizeof(float[32][4]));
	struct device_probe_mma *m = in.host;
	const float(*got)[32][4] = out.host;
	double *truth = parity_host(p, count * 128 * sizeof(double));
	float *flat = parity_host(p, count * 128 * sizeof(float));
	for (uint32_t n = 0; n < count; n++) {
		float a[16][16], b[16][8];
		for (int i = 0; i < 256; i++) {
			a[i / 16][i % 16] = number_from_bf16(number_to_bf16(parity_normal(p)));
			put_a(&m[n], i / 16, i % 16, a[i / 16][i % 16]);
		}
		for (int i = 0; i < 128; i++) {
			b[i / 8][i % 8] = number_from_bf16(number_to_bf16(parity_normal(p)));
			put_b(&m[n], i / 8, i % 8, b[i / 8][i % 8]);
		}
		for (int i = 0; i < 128; i++) {
			float start = parity_normal(p);
			double sum = (double)start;
			m[n].d[d_lane[i / 8][i % 8]][d_element[i / 8][i % 8]] = start;
			for (int k = 0; k < 16; k++)
				sum += (double)a[i / 8][k] * (double)b[k][i % 8];
			truth[n * 128 + (uint32_t)i] = sum;
		}
	}
	parity_upload(p, &in);
	ask(p, DEVICE_PROBE_MMA, count, &in, &out);
	for (uint32_t i = 0; i < count * 128; i++)
		flat[i] = got[i / 128][d_lane[i % 128 / 8][i % 8]][d_element[i % 128 / 8][i % 8]];
	parity_expect(p, parity_error(flat, truth, count * 128), 1e-5, "mma: sums");
}

/* ---- "Warp-level matrix load instruction: ldmatrix" ---- */

/* Figure "ldmatrix fragment layout for one 8x8 Matrix with 16-bit elements": the lane of each element; the
 * left of each pair is the low half. With .trans, the lane of each element of the matrix as stored; the upper
 * of each pair is the low half. */
static const uint8_t l_lane[8][8] = {
	{  0,  0,  1,  1,  2,  2,  3,  3 },
	{  4,  4,  5,  5,  6,  6,  7,  7 },
	{  8,  8,  9,  9, 10, 10, 11, 11 },
	{ 12, 12, 13, 13, 14, 14, 15, 15 },
	{ 16, 16, 17, 17, 18, 18, 19, 19 },
	{ 20, 20, 21, 21, 22, 22, 23, 23 },
	{ 24, 24, 25, 25, 26, 26, 27, 27 },
	{ 28, 28, 29, 29, 30, 30, 31, 31 },
};
static const uint8_t t_lane[8][8] = {
	{  0,  4,  8, 12, 16, 20, 24, 28 },
	{  0,  4,  8, 12, 16, 20, 24, 28 },
	{  1,  5,  9, 13, 17, 21, 25, 29 },
	{  1,  5,  9, 13, 17, 21, 25, 29 },
	{  2,  6, 10, 14, 18, 22, 26, 30 },
	{  2,  6, 10, 14, 18, 22, 26, 30 },
	{  3,  7, 11, 15, 19, 23, 27, 31 },
	{  3,  7, 11, 15, 19, 23, 27, 31 },
};

static uint32_t wrong_elements(const struct device_probe_ldmatrix *m, uint32_t got[32][4])
{
	uint32_t wrong = 0;
	for (uint32_t i = 0; i < 64 * m->matrices; i++) {
		uint32_t matrix = i / 64, row = i % 64 / 8, column = i % 8;
		/* "threads 0-7 hold the addresses of the first matrix's rows", and so on */
		uint16_t want = m->memory[m->row[8 * matrix + row]][column];
		uint8_t lane = m->transposed ? t_lane[row][column] : l_lane[row][column];
		uint32_t half = m->transposed ? row % 2 : column % 2;
		wrong += (uint16_t)(got[lane][matrix] >> 16 * half) != want;
	}
	return wrong;
}

static void check_ldmatrix(struct parity *p)
{
	static const uint32_t counts[] = { 1, 2, 4 };
	struct parity_buffer in = parity_zeros(p, "memory", 24 * sizeof(struct device_probe_ldmatrix));
	struct parity_buffer out = parity_output(p, "registers", 24 * sizeof(uint32_t[32][4]));
	struct device_probe_ldmatrix *m = in.host;
	for (uint32_t n = 0; n < 24; n++) {
		m[n].matrices = counts[n % 3];
		m[n].transposed = n / 3 % 2;
		for (uint32_t i = 0; i < 64 * 8; i++)
			m[n].memory[i / 8][i % 8] = (uint16_t)(i * 127 + n);
		for (uint32_t l = 0; l < 32; l++)
			m[n].row[l] = parity_below(p, 64);
	}
	parity_upload(p, &in);
	ask(p, DEVICE_PROBE_LDMATRIX, 24, &in, &out);
	uint32_t(*got)[32][4] = out.host;
	for (uint32_t n = 0; n < 24; n++)
		parity_true(p, wrong_elements(&m[n], got[n]) == 0, "ldmatrix x%u%s: elements lie elsewhere",
			    m[n].matrices, m[n].transposed ? " trans" : "");
}

/* ---- copies, numbers, blocks ---- */

static void check_copies(struct parity *p)
{
	struct parity_buffer in = parity_zeros(p, "from", 5 * sizeof(struct device_probe_copy));
	struct parity_buffer out = parity_output(p, "to", 5 * sizeof(struct device_probe_copy));
	struct device_probe_copy *from = in.host, *to = out.host;
	uint32_t wrong = 0;
	for (uint32_t i = 0; i < 5 * 2 * DEVICE_PROBE_THREADS; i++) {
		struct device_probe_copy *c = &from[i / (2 * DEVICE_PROBE_THREADS)];
		uint32_t group = i / DEVICE_PROBE_THREADS % 2, thread = i % DEVICE_PROBE_THREADS;
		c->whole[group][thread] = parity_below(p, 4) != 0;
		for (int j = 0; j < 4; j++)
			c->part[group][thread][j] = parity_below(p, UINT32_MAX);
	}
	parity_upload(p, &in);
	ask(p, DEVICE_PROBE_COPY, 5, &in, &out);
	for (uint32_t i = 0; i < 5 * 2 * DEVICE_PROBE_THREADS; i++) {
		const uint32_t zeros[4] = { 0 };
		uint32_t n = i / (2 * DEVICE_PROBE_THREADS), group = i / DEVICE_PROBE_THREADS % 2;
		uint32_t thread = i % DEVICE_PROBE_THREADS, other = DEVICE_PROBE_THREADS - 1 - thread;
		const uint32_t *want = from[n].whole[group][other] ? from[n].part[group][other] : zeros;
		wrong += memcmp(to[n].part[group][thread], want, 16) != 0;
	}
	parity_true(p, wrong == 0, "copies: %u of 640 pieces differ", wrong);
}

static const struct {
	float from;
	uint16_t to;
} roundings[] = {
	{ 1, 0x3f80 },
	{ -0.0f, 0x8000 },
	{ 0x1.01p0f, 0x3f80 }, /* half way, down to even */
	{ 0x1.03p0f, 0x3f82 }, /* half way, up to even */
	{ 0x1.010002p0f, 0x3f81 },
	{ 0x1.fep127f, 0x7f7f },
	{ 0x1.ffp127f, 0x7f80 }, /* too large */
	{ INFINITY, 0x7f80 },
	{ 0x1p-133f, 0x0001 }, /* the least */
	{ 0x1p-134f, 0x0000 },
	{ 0x1.8p-133f, 0x0002 },
};
#define ROUNDINGS (sizeof roundings / sizeof roundings[0])

static void check_numbers(struct parity *p)
{
	struct parity_buffer in = parity_zeros(p, "in", (ROUNDINGS + 1) * sizeof(struct device_probe_numbers));
	struct parity_buffer out = parity_output(p, "out", (ROUNDINGS + 1) * sizeof(struct device_probe_numbers));
	struct device_probe_numbers *from = in.host, *to = out.host;
	for (uint32_t i = 0; i < ROUNDINGS; i++)
		from[i] = (struct device_probe_numbers){ .low = roundings[i].from,
							 .high = -roundings[(i + 1) % ROUNDINGS].from,
							 .add = 10 * i,
							 .sum = 7 };
	from[ROUNDINGS] = (struct device_probe_numbers){ .low = NAN, .high = -NAN };
	parity_upload(p, &in);
	ask(p, DEVICE_PROBE_NUMBERS, ROUNDINGS + 1, &in, &out);
	for (uint32_t i = 0; i < ROUNDINGS; i++) {
		uint32_t high = roundings[(i + 1) % ROUNDINGS].to ^ 0x8000u;
		uint32_t want = roundings[i].to | high << 16;
		parity_true(p, to[i].pair == want, "bf16 of %a and %a: %08x, expected %08x",
			    (double)from[i].low, (double)from[i].high, to[i].pair, want);
		parity_true(p,
			    number_bits(to[i].back[0]) == want << 16 &&
				    number_bits(to[i].back[1]) == (want & 0xffff0000u),
			    "halves of %08x", want);
		parity_true(p, to[i].before == 7 + 10 * i && to[i].sum == 8 + 20 * i, "adds of %u: %u, %u", 10 * i,
			    to[i].before, to[i].sum);
		parity_true(p, to[i].streamed == number_bits(from[i].low), "a streaming load");
	}
	parity_true(p, to[ROUNDINGS].pair == 0x7fff7fff, "bf16 of NaN: %08x", to[ROUNDINGS].pair);
}

static void check_grid(struct parity *p)
{
	uint32_t blocks = parity_pick(p, 7, 264), wrong = 0;
	struct parity_buffer out = parity_zeros(p, "sums", (1 + blocks * (1 + DEVICE_PROBE_ROUNDS)) * 4);
	const uint32_t *got = out.host;
	for (int launch = 0; launch < 2; launch++) { /* the counter goes on as it was left */
		ask(p, DEVICE_PROBE_GRID, blocks, &out, &out);
		for (uint32_t i = 0; i < blocks * DEVICE_PROBE_ROUNDS; i++)
			wrong += got[1 + blocks + i] !=
				 (i % DEVICE_PROBE_ROUNDS + 1) * blocks * (blocks + 1) / 2;
	}
	parity_true(p, wrong == 0, "the grid's barrier: %u of %u sums are wrong", wrong,
		    2 * blocks * DEVICE_PROBE_ROUNDS);
}

void parity_probe(struct parity *p)
{
	check_mma_layout(p);
	check_mma_sums(p);
	check_ldmatrix(p);
	check_copies(p);
	check_numbers(p);
	check_grid(p);
	parity_warpgroup(p);
}
