/* The twins of kernels/device_warpgroup.h, where they are described. What is asynchronous happens as late as
 * it may: bulk copies land, and products are done, when no thread of the grid can go on otherwise. Until then
 * the bytes of a copy's end and the registers of d are 0xff. */
#ifndef EMULATOR_WARPGROUP_H
#define EMULATOR_WARPGROUP_H

uint32_t emulator_shared_address(struct emulator_site site, const void *at);
void emulator_barrier_init(struct emulator_site site, uint64_t *barrier, uint32_t arrivals);
void emulator_barrier_arrive(struct emulator_site site, uint64_t *barrier, uint32_t bytes);
void emulator_barrier_wait(struct emulator_site site, uint64_t *barrier, uint32_t parity);
void emulator_bulk_copy(struct emulator_site site, void *shared, const void *global, uint32_t bytes,
			uint64_t *barrier);
void emulator_async_fence();
/* a in registers, or NULL and its descriptor. */
void emulator_wgmma(struct emulator_site site, uint32_t n, float *d, const uint32_t *a, uint64_t a_shared,
		    uint64_t b);
void emulator_wgmma_fence(struct emulator_site site);
void emulator_wgmma_commit(struct emulator_site site);
void emulator_wgmma_wait(struct emulator_site site, unsigned groups);

#define ptx_shared_address(at) emulator_shared_address(EMULATOR_SITE("ptx_shared_address"), at)
#define ptx_barrier_init(...) emulator_barrier_init(EMULATOR_SITE("ptx_barrier_init"), __VA_ARGS__)
static inline void ptx_barrier_fence() {}
#define ptx_barrier_arrive(at) emulator_barrier_arrive(EMULATOR_SITE("ptx_barrier_arrive"), at, 0)
#define ptx_barrier_expect(...) emulator_barrier_arrive(EMULATOR_SITE("ptx_barrier_expect"), __VA_ARGS__)
#define ptx_barrier_wait(...) emulator_barrier_wait(EMULATOR_SITE("ptx_barrier_wait"), __VA_ARGS__)
#define ptx_bulk_copy(...) emulator_bulk_copy(EMULATOR_SITE("ptx_bulk_copy"), __VA_ARGS__)
static inline void ptx_async_fence() { emulator_async_fence(); }

template <uint32_t n>
static void emulator_wgmma_of(struct emulator_site site, float (&d)[n / 2], const uint32_t (&a)[4],
			      uint64_t b)
{
	emulator_wgmma(site, n, d, a, 0, b);
}
template <uint32_t n>
static void emulator_wgmma_of(struct emulator_site site, float (&d)[n / 2], uint64_t a, uint64_t b)
{
	emulator_wgmma(site, n, d, nullptr, a, b);
}
/* ptx_wgmma<64>(d, a, b) must carry its place: the name stands for the beginning of a call. */
#define ptx_wgmma emulator_site_of_wgmma{ EMULATOR_SITE("ptx_wgmma") }.call
#define ptx_wgmma_shared emulator_site_of_wgmma{ EMULATOR_SITE("ptx_wgmma_shared") }.call
struct emulator_site_of_wgmma {
	struct emulator_site site;
	template <uint32_t n, typename A> void call(float (&d)[n / 2], const A &a, uint64_t b) const
	{
		emulator_wgmma_of<n>(site, d, a, b);
	}
};

template <int registers> static void ptx_registers_more()
{
	static_assert(registers % 8 == 0 && registers >= 24 && registers <= 240, "as the machine has it");
}
template <int registers> static void ptx_registers_less() { ptx_registers_more<registers>(); }

#define ptx_wgmma_fence() emulator_wgmma_fence(EMULATOR_SITE("ptx_wgmma_fence"))
#define ptx_wgmma_commit() emulator_wgmma_commit(EMULATOR_SITE("ptx_wgmma_commit"))
struct emulator_site_of_wait {
	struct emulator_site site;
	template <int groups> void call() const { emulator_wgmma_wait(site, (unsigned)groups); }
};
#define ptx_wgmma_wait emulator_site_of_wait{ EMULATOR_SITE("ptx_wgmma_wait") }.call

#endif
