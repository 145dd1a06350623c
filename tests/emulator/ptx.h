/* The twins of kernels/device_ptx.h, where they are described. */
#ifndef EMULATOR_PTX_H
#define EMULATOR_PTX_H

void emulator_mma_bf16(struct emulator_site site, float *d, const uint32_t *a, const uint32_t *b);
void emulator_ldmatrix(struct emulator_site site, unsigned matrices, bool transposed, uint32_t *r,
		       const void *row);
void emulator_copy_async16(struct emulator_site site, void *shared, const void *global, bool whole);
void emulator_copy_commit();
void emulator_copy_wait(unsigned groups);
uint32_t emulator_load_acquire(struct emulator_site site, const uint32_t *at);
void emulator_launch_wait();
uint32_t emulator_bf16(float f);

#define ptx_mma_bf16(...) emulator_mma_bf16(EMULATOR_SITE("ptx_mma_bf16"), __VA_ARGS__)
#define EMULATOR_LDMATRIX(n, trans, name, ...) emulator_ldmatrix(EMULATOR_SITE(name), n, trans, __VA_ARGS__)
#define ptx_ldmatrix_x1(...) EMULATOR_LDMATRIX(1, false, "ptx_ldmatrix_x1", __VA_ARGS__)
#define ptx_ldmatrix_x2(...) EMULATOR_LDMATRIX(2, false, "ptx_ldmatrix_x2", __VA_ARGS__)
#define ptx_ldmatrix_x4(...) EMULATOR_LDMATRIX(4, false, "ptx_ldmatrix_x4", __VA_ARGS__)
#define ptx_ldmatrix_x1_trans(...) EMULATOR_LDMATRIX(1, true, "ptx_ldmatrix_x1_trans", __VA_ARGS__)
#define ptx_ldmatrix_x2_trans(...) EMULATOR_LDMATRIX(2, true, "ptx_ldmatrix_x2_trans", __VA_ARGS__)
#define ptx_ldmatrix_x4_trans(...) EMULATOR_LDMATRIX(4, true, "ptx_ldmatrix_x4_trans", __VA_ARGS__)

#define ptx_copy_async16(...) emulator_copy_async16(EMULATOR_SITE("ptx_copy_async16"), __VA_ARGS__)
static inline void ptx_copy_commit() { emulator_copy_commit(); }
template <int groups> static void ptx_copy_wait() { emulator_copy_wait((unsigned)groups); }

static inline uint4 emulator_load16(struct emulator_site site, const void *at)
{
	uint4 v;
	emulator_aligned(site, at, 16);
	memcpy(&v, at, sizeof v);
	return v;
}
#define ptx_load_stream16(at) emulator_load16(EMULATOR_SITE("ptx_load_stream16"), at)
static inline void ptx_prefetch(const void *) {}

#define ptx_load_acquire(at) emulator_load_acquire(EMULATOR_SITE("ptx_load_acquire"), at)
static inline void ptx_store_release(uint32_t *at, uint32_t value) { *at = value; }
static inline uint32_t ptx_add_release(uint32_t *at, uint32_t value)
{
	uint32_t before = *at;
	*at = before + value;
	return before;
}
static inline uint32_t ptx_add_acquire_release(uint32_t *at, uint32_t value)
{
	return ptx_add_release(at, value);
}

static inline void ptx_launch_wait() { emulator_launch_wait(); }
static inline void ptx_launch_next() {}

static inline uint32_t ptx_bf16_pair(float low, float high)
{
	return emulator_bf16(low) | emulator_bf16(high) << 16;
}

static inline uint32_t ptx_thread() { return threadIdx.x; }

static inline float emulator_from_bf16(uint32_t half) { return __uint_as_float(half << 16); }

static inline uint32_t ptx_bf16_fma(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t pair = 0;
	for (unsigned shift = 0; shift < 32; shift += 16) {
		float f = fmaf(emulator_from_bf16(a >> shift), emulator_from_bf16(b >> shift),
			       emulator_from_bf16(c >> shift));
		pair |= emulator_bf16(f) << shift;
	}
	return pair;
}

static inline float ptx_f16_low(uint32_t pair)
{
	uint32_t bits = (pair & 0x8000) << 16 | (pair & 0x7fff) << 13;
	bool finite = (pair & 0x7c00) != 0x7c00;
	return finite ? __uint_as_float(bits) * 0x1p112f : __uint_as_float(bits | 0x7f800000u);
}
static inline float ptx_f16_high(uint32_t pair) { return ptx_f16_low(pair >> 16); }

#endif
