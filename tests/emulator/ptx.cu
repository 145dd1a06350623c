/* The machine's instructions, as the PTX ISA lays them out: see kernels/device_ptx.h. */
#include "tests/emulator/emulator.h"

static float from_bf16(uint32_t register_, unsigned half)
{
	return __uint_as_float(half ? register_ & 0xffff0000u : register_ << 16);
}

uint32_t emulator_bf16(float f)
{
	uint32_t bits = __float_as_uint(f);
	if ((bits & 0x7fffffffu) > 0x7f800000u)
		return 0x7fff;
	return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* ---- mma ---- */

namespace
{

struct mma {
	float *d;
	const uint32_t *a, *b;
};

/* Each sum in ascending order of k, beginning with what d held; a product of two bf16 is exact in f32. */
void mma_work(void *const lane[32], unsigned)
{
	float a[16][16], b[16][8], d[16][8];
	for (unsigned l = 0; l < 32; l++) {
		const struct mma *m = (const struct mma *)lane[l];
		unsigned g = l / 4, t = l % 4;
		for (unsigned i = 0; i < 8; i++)
			a[g + i / 2 % 2 * 8][2 * t + i % 2 + i / 4 * 8] = from_bf16(m->a[i / 2], i % 2);
		for (unsigned i = 0; i < 4; i++) {
			b[2 * t + i % 2 + i / 2 * 8][g] = from_bf16(m->b[i / 2], i % 2);
			d[g + i / 2 * 8][2 * t + i % 2] = m->d[i];
		}
	}
	for (unsigned row = 0; row < 16; row++) {
		for (unsigned k = 0; k < 16; k++) {
			for (unsigned column = 0; column < 8; column++)
				d[row][column] += a[row][k] * b[k][column];
		}
	}
	for (unsigned l = 0; l < 32; l++) {
		for (unsigned i = 0; i < 4; i++)
			((const struct mma *)lane[l])->d[i] = d[l / 4 + i / 2 * 8][2 * (l % 4) + i % 2];
	}
}

struct ldmatrix {
	unsigned matrices;
	bool transposed;
	uint32_t *r;
	const uint16_t *row;
};

void ldmatrix_work(void *const lane[32], unsigned)
{
	const struct ldmatrix *first = (const struct ldmatrix *)lane[0];
	uint16_t element[4][8][8];
	for (unsigned l = 0; l < 8 * first->matrices; l++)
		memcpy(element[l / 8][l % 8], ((const struct ldmatrix *)lane[l])->row, 16);
	for (unsigned l = 0; l < 32; l++) {
		const struct ldmatrix *to = (const struct ldmatrix *)lane[l];
		unsigned g = l / 4, t = l % 4;
		for (unsigned m = 0; m < first->matrices; m++) {
			uint32_t low = to->transposed ? element[m][2 * t][g] : element[m][g][2 * t];
			uint32_t high = to->transposed ? element[m][2 * t + 1][g] : element[m][g][2 * t + 1];
			to->r[m] = low | high << 16;
		}
	}
}

} /* namespace */

void emulator_mma_bf16(struct emulator_site site, float *d, const uint32_t *a, const uint32_t *b)
{
	struct mma mine = { d, a, b };
	emulator_collective(site, 0xffffffffu, &mine, mma_work);
}

void emulator_ldmatrix(struct emulator_site site, unsigned matrices, bool transposed, uint32_t *r,
		       const void *row)
{
	struct ldmatrix mine = { matrices, transposed, r, (const uint16_t *)row };
	if (emulator_lane() < 8 * matrices)
		emulator_in_shared(site, row, 16);
	emulator_collective(site, 0xffffffffu, &mine, ldmatrix_work);
}

void emulator_aligned(struct emulator_site site, const void *at, unsigned bytes)
{
	if ((uintptr_t)at % bytes != 0)
		emulator_fault("%s at %s:%d: an address that is no multiple of %u", site.what, site.file,
			       site.line, bytes);
}

/* ---- asynchronous copies ---- */

/* What lands only here is seen as late as it may be. */
static void land(const struct emulator_copy &c)
{
	if (c.from != nullptr)
		memcpy(c.to, c.from, 16);
	else
		memset(c.to, 0, 16);
}

void emulator_copy_async16(struct emulator_site site, void *shared, const void *global, bool whole)
{
	emulator_in_shared(site, shared, 16);
	emulator_aligned(site, global, 16);
	memset(shared, 0xff, 16);
	struct emulator_copies *c = emulator_begun();
	c->begun.push_back({ shared, whole ? global : nullptr, c->group });
}

void emulator_copy_commit() { emulator_begun()->group++; }

void emulator_copy_wait(unsigned groups)
{
	struct emulator_copies *c = emulator_begun();
	size_t done = 0;
	while (done < c->begun.size() && c->begun[done].group + groups < c->group)
		land(c->begun[done++]);
	c->begun.erase(c->begun.begin(), c->begun.begin() + (ptrdiff_t)done);
}
