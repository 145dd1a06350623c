/* Barriers in shared memory, bulk copies, and the matrix products of warpgroups: see
 * kernels/device_warpgroup.h. Products and copies belong to what PTX calls the asynchronous proxy, which has
 * a view of its own of shared memory: bulk copies write both, plain stores reach it by ptx_async_fence. */
#include "tests/emulator/emulator.h"

#define BARRIER_WORD 0x7265697272616221u /* what a barrier's memory holds: !barrier */

namespace
{

unsigned char *view_of(const void *shared)
{
	return emulator_async_here()->view.data() + ((const char *)shared - emulator_arena());
}

struct emulator_phase *find_barrier(struct emulator_site site, uint64_t *at)
{
	struct emulator_async *async = emulator_async_here();
	emulator_in_shared(site, at, 8);
	auto found = async->barrier.find(at);
	if (found == async->barrier.end())
		emulator_fault("%s at %s:%d: a barrier that was not initialised", site.what, site.file, site.line);
	if (*at != BARRIER_WORD)
		emulator_fault("%s at %s:%d: something else was written over the barrier", site.what, site.file,
			       site.line);
	return &found->second;
}

void settle(struct emulator_phase *b)
{
	if (b->pending != 0 || b->bytes != 0)
		return;
	b->number++;
	b->pending = b->arrivals;
}

} /* namespace */

/* ---- barriers, copies ---- */

void emulator_barrier_init(struct emulator_site site, uint64_t *barrier, uint32_t arrivals)
{
	emulator_in_shared(site, barrier, 8);
	if (arrivals == 0 || arrivals >= 1u << 20)
		emulator_fault("%s at %s:%d: %u arrivals", site.what, site.file, site.line, arrivals);
	*barrier = BARRIER_WORD;
	struct emulator_phase fresh = {};
	fresh.arrivals = fresh.pending = arrivals;
	emulator_async_here()->barrier[barrier] = fresh;
}

void emulator_barrier_arrive(struct emulator_site site, uint64_t *barrier, uint32_t bytes)
{
	struct emulator_phase *b = find_barrier(site, barrier);
	if (b->pending == 0)
		emulator_fault("%s at %s:%d: more arrivals than the %u that the barrier counts", site.what,
			       site.file, site.line, b->arrivals);
	b->pending--;
	b->bytes += bytes;
	if (b->bytes >= 1 << 20)
		emulator_fault("%s at %s:%d: %ld bytes expected, of %d at most", site.what, site.file, site.line,
			       b->bytes, (1 << 20) - 1);
	settle(b);
}

bool emulator_phase_over(const struct emulator_phase *b, unsigned parity)
{
	return (b->number & 1) != (parity & 1);
}

void emulator_barrier_wait(struct emulator_site site, uint64_t *barrier, uint32_t parity)
{
	struct emulator_phase *b = find_barrier(site, barrier);
	if (!emulator_phase_over(b, parity))
		emulator_wait_phase(site, b, parity);
}

void emulator_bulk_copy(struct emulator_site site, void *shared, const void *global, uint32_t bytes,
			uint64_t *barrier)
{
	struct emulator_phase *b = find_barrier(site, barrier);
	if (bytes == 0 || bytes % 16 != 0)
		emulator_fault("%s at %s:%d: %u bytes, no multiple of 16", site.what, site.file, site.line, bytes);
	emulator_aligned(site, shared, 16);
	emulator_aligned(site, global, 16);
	emulator_in_shared(site, shared, bytes, 16);
	memset(shared, 0xff, bytes);
	memset(view_of(shared), 0xff, bytes);
	b->copies.push_back({ shared, global, bytes });
}

bool emulator_phase_land(struct emulator_phase *b)
{
	bool any = !b->copies.empty();
	for (const auto &c : b->copies) {
		memcpy(c.to, c.from, c.bytes);
		memcpy(view_of(c.to), c.from, c.bytes);
		b->bytes -= c.bytes;
	}
	b->copies.clear();
	if (any)
		settle(b);
	return any;
}

uint32_t emulator_shared_address(struct emulator_site site, const void *at)
{
	emulator_in_shared(site, at, 1);
	return (uint32_t)((const char *)at - emulator_arena());
}

/* Whatever it was that was written: the stores of all threads. */
void emulator_async_fence()
{
	emulator_shared_each(
		[](const unsigned char *at, size_t bytes) { memcpy(view_of(at), at, bytes); });
}

/* ---- products ---- */

namespace
{

struct wgmma {
	struct emulator_site site;
	struct emulator_products *products;
	unsigned warp, n;
	float *d;
	const uint32_t *a;
	uint64_t a_shared, b;
};

/* Elements k to k + 7 of a descriptor's row, k a multiple of 8. */
const unsigned char *elements(const struct wgmma *m, uint64_t descriptor, unsigned row, unsigned k)
{
	uint32_t start = (uint32_t)(descriptor & 0x3fff) << 4;
	uint32_t leading = (uint32_t)(descriptor >> 16 & 0x3fff) << 4;
	uint32_t stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4, at;
	switch (descriptor >> 62) {
	case 0:
		at = start + row / 8 * stride + k / 8 * leading + row % 8 * 16;
		break;
	case 1:
		at = start + row / 8 * stride + row % 8 * 128 + k * 2;
		at ^= (at >> 7 & 7) << 4;
		break;
	default:
		emulator_fault("%s at %s:%d: a layout that is not emulated", m->site.what, m->site.file,
			       m->site.line);
	}
	bool within = false;
	const unsigned char *byte = (const unsigned char *)emulator_arena() + at;
	emulator_shared_each([&](const unsigned char *from, size_t bytes) {
		within |= byte >= from && byte + 16 <= from + bytes;
	});
	if (!within)
		emulator_fault("%s at %s:%d: a descriptor that leads out of shared memory", m->site.what,
			       m->site.file, m->site.line);
	return emulator_async_here()->view.data() + at;
}

float from_bits(uint32_t bits) { return __uint_as_float(bits << 16); }

/* What descriptors name, as it is now: b by columns, then rows of a. */
std::vector<uint16_t> operands(const struct wgmma *m)
{
	unsigned rows = m->n + (m->a == nullptr ? 16 : 0);
	std::vector<uint16_t> out(rows * 16);
	for (unsigned i = 0; i < 2 * rows; i++) {
		unsigned row = i / 2, k = i % 2 * 8;
		const unsigned char *from = row < m->n ? elements(m, m->b, row, k)
						       : elements(m, m->a_shared, m->warp % 4 * 16 + row - m->n, k);
		memcpy(&out[8 * i], from, 16);
	}
	return out;
}

/* What the product that was begun last into the same d will leave there; NULL: d itself counts. */
const struct emulator_product *before(const struct emulator_products *p, const float *d)
{
	for (size_t i = p->begun.size(); i-- > 0;) {
		if (p->begun[i].d == d)
			return &p->begun[i];
	}
	return nullptr;
}

void gather_a(void *const lane[32], float a[16][16])
{
	for (unsigned l = 0; l < 32; l++) {
		const struct wgmma *m = (const struct wgmma *)lane[l];
		for (unsigned i = 0; i < 8; i++)
			a[l / 4 + i / 2 % 2 * 8][2 * (l % 4) + i % 2 + i / 4 * 8] =
				__uint_as_float(i % 2 ? m->a[i / 2] & 0xffff0000u : m->a[i / 2] << 16);
	}
}

/* A warp's 16 rows of d, each sum in ascending order of k. */
void wgmma_work(void *const lane[32], unsigned)
{
	const struct wgmma *first = (const struct wgmma *)lane[0];
	unsigned n = first->n;
	std::vector<uint16_t> from = operands(first);
	std::vector<float> b(16 * n), sum(16 * n);
	float a[16][16];
	if (first->a != nullptr)
		gather_a(lane, a);
	for (unsigned i = 0; i < 256 && first->a == nullptr; i++)
		a[i / 16][i % 16] = from_bits(from[16 * n + i]);
	for (unsigned i = 0; i < 16 * n; i++)
		b[i % 16 * n + i / 16] = from_bits(from[i]);
	for (unsigned l = 0; l < 32; l++) {
		const struct wgmma *m = (const struct wgmma *)lane[l];
		const struct emulator_product *p = before(m->products, m->d);
		const float *d = p != nullptr ? p->sum.data() : m->d;
		for (unsigned i = 0; i < n / 2; i++)
			sum[(l / 4 + i / 2 % 2 * 8) * n + i / 4 * 8 + 2 * (l % 4) + i % 2] = d[i];
	}
	for (unsigned row = 0; row < 16; row++) {
		for (unsigned k = 0; k < 16; k++) {
			for (unsigned column = 0; column < n; column++)
				sum[row * n + column] += a[row][k] * b[k * n + column];
		}
	}
	for (unsigned l = 0; l < 32; l++) {
		const struct wgmma *m = (const struct wgmma *)lane[l];
		struct emulator_product p = { m->d, m->a, {}, {}, m->products->group, nullptr };
		p.sum.resize(n / 2);
		for (unsigned i = 0; i < n / 2; i++)
			p.sum[i] = sum[(l / 4 + i / 2 % 2 * 8) * n + i / 4 * 8 + 2 * (l % 4) + i % 2];
		if (m->a != nullptr)
			memcpy(p.a_was, m->a, sizeof p.a_was);
		if (l == 0) {
			struct wgmma again = *m;
			p.changed = [again, from]() { return operands(&again) != from; };
		}
		memset(m->d, 0xff, n / 2 * sizeof *m->d);
		m->products->begun.push_back(p);
	}
}

bool poisoned(const float *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (__float_as_uint(d[i]) != 0xffffffffu)
			return false;
	}
	return true;
}

/* The first of those begun. */
void finish(struct emulator_site site, struct emulator_products *p)
{
	struct emulator_product done = p->begun.front();
	p->begun.erase(p->begun.begin());
	if (!poisoned(done.d, done.sum.size()))
		emulator_fault("%s at %s:%d: d was written while its product was under way", site.what, site.file,
			       site.line);
	if (done.a != nullptr && memcmp(done.a, done.a_was, sizeof done.a_was) != 0)
		emulator_fault("%s at %s:%d: registers of a were written while the product was under way",
			       site.what, site.file, site.line);
	if (done.changed && done.changed())
		emulator_fault("%s at %s:%d: shared memory was written while a product was reading it", site.what,
			       site.file, site.line);
	if (before(p, done.d) == nullptr)
		memcpy(done.d, done.sum.data(), done.sum.size() * sizeof *done.d);
}

} /* namespace */

void emulator_wgmma(struct emulator_site site, uint32_t n, float *d, const uint32_t *a, uint64_t a_shared,
		    uint64_t b)
{
	struct emulator_products *p = emulator_products_begun();
	struct wgmma mine = { site, p, emulator_thread() / 32, n, d, a, a_shared, b };
	if (!p->fenced)
		emulator_fault("%s at %s:%d: no ptx_wgmma_fence since registers could be touched", site.what,
			       site.file, site.line);
	p->count++;
	p->digest = (p->digest ^ a_shared ^ b << 1 ^ n) * 0xff51afd7ed558ccdu;
	emulator_collective(site, 0xffffffffu, &mine, wgmma_work);
}

void emulator_wgmma_fence(struct emulator_site site)
{
	emulator_collective(site, 0xffffffffu, nullptr, nullptr);
	emulator_products_begun()->fenced = true;
}

void emulator_wgmma_commit(struct emulator_site site)
{
	emulator_collective(site, 0xffffffffu, nullptr, nullptr);
	emulator_products_begun()->group++;
}

void emulator_wgmma_wait(struct emulator_site site, unsigned groups)
{
	struct emulator_products *p = emulator_products_begun();
	emulator_collective(site, 0xffffffffu, nullptr, nullptr);
	if (!p->begun.empty())
		emulator_wait_late(site);
	while (!p->begun.empty() && p->begun.front().group + groups < p->group)
		finish(site, p);
	p->fenced = false;
}
