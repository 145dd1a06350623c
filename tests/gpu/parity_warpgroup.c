/* Matrix products of warpgroups, barriers and bulk copies against the PTX ISA, "Asynchronous warpgroup-level
 * matrix instructions": the layouts of registers and of shared memory are those of its figures. Part of
 * parity_probe; a device of another compute capability than 9.0 has none. */
#include "tests/gpu/parity.h"

#include "kernels/number.h"

#include <string.h>

#define CASES 14

/* Figure "WGMMA .m64nNk16 register fragment layout for accumulator matrix D": the thread that has column 0 of
 * a row, and the number of its register there. Threads of columns 2, 4, 6 follow it; eight columns further a
 * thread has the same four registers later. The figure for matrix A names the same threads; of a row's first
 * eight K a thread has register 0 or 1, of the next eight 2 or 3. */
static const struct {
	uint8_t thread, d, a;
} of_row[64] = {
#define EIGHT(from, d, a)                                                                              \
	{ (from), d, a }, { (from) + 4, d, a }, { (from) + 8, d, a }, { (from) + 12, d, a },           \
	{ (from) + 16, d, a }, { (from) + 20, d, a }, { (from) + 24, d, a }, { (from) + 28, d, a }
	EIGHT(0, 0, 0),	 EIGHT(0, 2, 1),  EIGHT(32, 0, 0), EIGHT(32, 2, 1),
	EIGHT(64, 0, 0), EIGHT(64, 2, 1), EIGHT(96, 0, 0), EIGHT(96, 2, 1),
};

/* Figure "K-major 128B swizzle": where the 16 bytes number i of each of eight rows lie. */
static const uint8_t swizzled[8][8] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7 }, { 1, 0, 3, 2, 5, 4, 7, 6 }, { 2, 3, 0, 1, 6, 7, 4, 5 },
	{ 3, 2, 1, 0, 7, 6, 5, 4 }, { 4, 5, 6, 7, 0, 1, 2, 3 }, { 5, 4, 7, 6, 1, 0, 3, 2 },
	{ 6, 7, 4, 5, 2, 3, 0, 1 }, { 7, 6, 5, 4, 3, 2, 1, 0 },
};

struct numbers {
	float a[64][16], b[16][256], d[64][256];
};

/* Small whole numbers: their sums are exact. */
static void draw_numbers(struct parity *p, struct numbers *v)
{
	float *all = (float *)v;
	for (size_t i = 0; i < sizeof *v / sizeof *all; i++)
		all[i] = (float)parity_below(p, 31) - 15;
}

static void put_number(unsigned char *at, float f)
{
	uint16_t bits = number_to_bf16(f);
	memcpy(at, &bits, sizeof bits);
}

/* Element k of a row (of a) or column (of b) in shared memory. from: of K, the first that the descriptor
 * names; within the 64 of a swizzled row. */
static size_t place_of(const struct device_probe_wgmma *m, uint32_t at, uint32_t leading, uint32_t stride,
		       uint32_t row, uint32_t k, uint32_t from)
{
	if (m->layout == 0)
		return at + row / 8 * stride + k / 8 * leading + row % 8 * 16 + k % 8 * 2;
	k += from;
	return at - from * 2 + row / 8 * stride + row % 8 * 128 + swizzled[row % 8][k / 8] * 16u + k % 8 * 2;
}

static void fill_case(const struct numbers *v, struct device_probe_wgmma *m, uint32_t from)
{
	memset(m->memory, 0xff, sizeof m->memory); /* NaN where nothing is */
	for (uint32_t i = 0; i < 64 * 16; i++) {
		uint32_t row = i / 16, k = i % 16;
		uint32_t thread = of_row[row].thread + k % 8 / 2, r = of_row[row].a + k / 8 * 2;
		put_number((unsigned char *)&m->a[thread][r] + k % 2 * 2, v->a[row][k]);
		if (m->a_shared)
			put_number(m->memory + place_of(m, m->a_at, m->a_leading, m->a_stride, row, k, from),
				   v->a[row][k]);
	}
	for (uint32_t i = 0; i < 16 * m->n; i++)
		put_number(m->memory + place_of(m, m->b_at, m->b_leading, m->b_stride, i / 16, i % 16, from),
			   v->b[i % 16][i / 16]);
	for (uint32_t i = 0; i < 64 * m->n; i++) {
		uint32_t row = i / m->n, column = i % m->n;
		m->d[of_row[row].thread + column % 8 / 2][of_row[row].d + column / 8 * 4 + column % 2] =
			v->d[row][column];
	}
}

/* Sizes, layouts, a in registers and in shared memory; strides that are not the least. */
static void shape_case(uint32_t i, struct device_probe_wgmma *m, uint32_t *from)
{
	static const uint32_t sizes[] = { 64, 128, 256 };
	m->n = sizes[i % 3];
	m->layout = i >= 9;
	m->a_shared = i / 3 == 1 || i == 10 || i == 12;
	m->stored = i % 2;
	*from = m->layout ? 16 * (i - 9) % 64 : 0;
	if (m->layout == 0) {
		bool apart = i / 3 == 2; /* K by K: all rows of eight K, then those of the next */
		m->b_leading = apart ? m->n * 16 : 128;
		m->b_stride = apart ? 128 : 256 + 128 * (i % 2);
		m->a_at = 30720;
		m->a_leading = 128;
		m->a_stride = 256;
	} else {
		m->b_at = *from * 2;
		m->b_stride = m->a_stride = 1024;
		m->a_at = 32768 + *from * 2;
	}
}

static uint32_t wrong_sums(const struct numbers *v, const struct device_probe_wgmma *m,
			   const float got[128][128])
{
	uint32_t wrong = 0;
	for (uint32_t i = 0; i < 64 * m->n; i++) {
		uint32_t row = i / m->n, column = i % m->n;
		float want = v->d[row][column];
		for (uint32_t k = 0; k < 16; k++)
			want += 2 * v->a[row][k] * v->b[k][column];
		wrong += got[of_row[row].thread + column % 8 / 2]
			    [of_row[row].d + column / 8 * 4 + column % 2] != want;
	}
	return wrong;
}

void parity_warpgroup(struct parity *p)
{
	struct parity_buffer in = parity_zeros(p, "numbers", CASES * sizeof(struct device_probe_wgmma));
	struct parity_buffer out = parity_output(p, "sums", CASES * sizeof(float[128][128]));
	struct device_probe_wgmma *m = in.host;
	struct numbers *v = parity_host(p, CASES * sizeof *v);
	if (device_info(p->device)->capability != 90)
		return;
	for (uint32_t i = 0; i < CASES; i++) {
		uint32_t from = 0;
		draw_numbers(p, &v[i]);
		shape_case(i, &m[i], &from);
		fill_case(&v[i], &m[i], from);
	}
	parity_upload(p, &in);
	if (p->rc == 0) {
		const struct device_probe probe = { DEVICE_PROBE_WGMMA, CASES, in.at, out.at };
		p->rc = device_ask(p->stream, &probe, &p->err);
	}
	parity_failed(p, "probe");
	parity_fetch(p, &out);
	for (uint32_t i = 0; i < CASES; i++) {
		uint32_t wrong = wrong_sums(&v[i], &m[i], ((float(*)[128][128])out.host)[i]);
		parity_true(p, wrong == 0, "wgmma m64n%uk16, layout %u, a in %s: %u of %u sums lie elsewhere",
			    m[i].n, m[i].layout, m[i].a_shared ? "shared memory" : "registers", wrong,
			    64 * m[i].n);
	}
}
