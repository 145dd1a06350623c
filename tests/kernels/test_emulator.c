/* The emulator against kernels with known mistakes (tests/emulator/faults.cu), and against right ones. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define GUARDED false /* ASan ends the process itself */
#else
#define GUARDED true
#endif

typedef const char *run_function(const char *kernel, float *out);

static run_function *load_faults(void)
{
	run_function *run = NULL;
	char path[4200], self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	cr_assert_gt(len, 0);
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, sizeof path, "%s/../emulator/libfaults.so", self);
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	cr_assert_not_null(library, "%s", dlerror());
	void *symbol = dlsym(library, "faults_run");
	memcpy(&run, &symbol, sizeof run);
	return run;
}

struct claim {
	const char *kernel, *words;
	bool run;
};

static void check_claims(const struct claim *claim, size_t claims)
{
	float out[256];
	run_function *run = load_faults();
	for (size_t i = 0; i < claims; i++) {
		const char *words = claim[i].run ? run(claim[i].kernel, out) : claim[i].words;
		cr_expect_not_null(strstr(words, claim[i].words), "%s: %s", claim[i].kernel, words);
	}
}
#define CHECK_CLAIMS(claims) check_claims(claims, sizeof claims / sizeof claims[0])

static const struct claim faults[] = {
	{ "barrier_missed", ":8, thread 40 has returned", true },
	{ "barrier_elsewhere", ":15, thread 32 waits in __syncthreads", true },
	{ "lane_missing", "with mask ffffffff for lane 5, which has returned", true },
	{ "masks_differ", "__reduce_add_sync", true },
	{ "lane_outside", "reads lane 20, which takes no part", true },
	{ "shared_overrun", "outside shared memory of 32 bytes (k.kernel, block 0)", GUARDED },
	{ "allocation_overrun", "outside an allocation of 256 bytes", GUARDED },
	{ "right", "no error", true },
	{ "warps", "no error", true },
	{ "shared_unwritten", "no error", true },
};

Test(emulator, each_mistake_is_named) { CHECK_CLAIMS(faults); }

static const struct claim of_machine[] = {
	{ "copy_misaligned", "ptx_copy_async16 at tests/emulator/faults.cu", true },
	{ "copy_misaligned", "an address that is no multiple of 16", true },
	{ "copy_elsewhere", "not within shared memory", true },
	{ "load_misaligned", "ptx_load_stream16", true },
	{ "load_misaligned", "an address that is no multiple of 16", true },
	{ "vector_misaligned", "faults.cu:", GUARDED },
	{ "vector_misaligned", "behind a multiple of 16 (k.kernel", GUARDED },
	{ "matrix_misaligned", "an address that is no multiple of 16", true },
	{ "matrix_elsewhere", "ptx_ldmatrix_x1 at", true },
	{ "matrix_elsewhere", "not within shared memory", true },
	{ "mma_lane_missing", "waits in ptx_mma_bf16", true },
	{ "mma_lane_missing", "for lane 1, which has returned (k.kernel, block 0)", true },
	{ "copy_unwaited", "no error", true },
};

Test(emulator, rules_of_matrix_units_and_copies_are_kept) { CHECK_CLAIMS(of_machine); }

static const struct claim of_launches[] = {
	{ "grid_sum", "no error", true },
	{ "grid_not_resident", "waits in ptx_load_acquire", true },
	{ "grid_not_resident", "for a change that nobody makes", true },
	{ "grid_too_large", "65, of 32 on each of 2 multiprocessors", true },
	{ "value_never", "for a change that nobody makes", true },
	{ "value_twice", "no error", true },
	{ "shared_not_asked_for", "102400 bytes of shared memory, where 49152 are allowed", true },
	{ "shared_large", "no error", true },
	{ "shared_too_large", "232449 bytes of shared memory, of 232448 at most", true },
	{ "shared_both", "shared memory of 57344 bytes, where 49152 are allowed", true },
	{ "starts_early", "no error", true },
	{ "starts_too_early", "no thread called ptx_launch_wait", true },
};

Test(emulator, launches_that_the_machine_would_refuse_are_refused) { CHECK_CLAIMS(of_launches); }

/* Without the other order most of them go unseen. */
static const struct claim races[] = {
	{ "wait_missing", "a race: byte 0 of an allocation of 256 differs when warps run in the other order", true },
	{ "race_register", "a race: byte", true },
	{ "race_lanes", "when warps run in the other order", true },
	{ "race_blocks", "a race: byte 2 of an allocation of 512 differs when blocks run in the other order", true },
	{ "race_sum", "in shared memory differs before __syncthreads at tests/emulator/faults.cu", true },
	{ "race_sum", "(k.kernel, block 0)", true },
	{ "copy_unseen", "a race: byte", true },
	{ "grid_unwaited", "when blocks run in the other order", true },
	{ "race_none", "no error", true },
	{ "right", "no error", true },
	{ "warps", "no error", true },
	{ "grid_sum", "no error", true },
	{ "shared_large", "no error", true },
	{ "barrier_missed", "thread 40 has returned", true },
};

Test(emulator, races_are_found_by_running_in_opposite_orders)
{
	setenv("EMULATOR_RACES", "1", 1);
	CHECK_CLAIMS(races);
}

Test(emulator, blocks_and_warps_are_computed_and_what_was_not_written_shows)
{
	float out[256];
	run_function *run = load_faults();
	run("right", out);
	for (int i = 0; i < 192; i++)
		cr_assert_eq(out[i], (float)(i / 64 * 64 + 63 - i % 64), "%d", i);
	run("warps", out);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(out[i], 1, "lane %d", i);
	run("shared_unwritten", out);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(isnan(out[i]) != 0, i >= 32, "%d", i);
	run("wait_missing", out);
	int early = 0;
	for (int i = 0; i < 64; i++)
		early += isnan(out[i]) != 0;
	cr_assert_gt(early, 0);
}

Test(emulator, a_copy_lands_when_it_is_waited_for_and_not_before)
{
	float out[256];
	run_function *run = load_faults();
	run("copy_unwaited", out);
	for (int i = 0; i < 32; i++)
		cr_assert_eq(out[i], 1, "%d: %f", i, (double)out[i]);
	for (int i = 32; i < 64; i++)
		cr_assert(isnan(out[i]), "%d: %f", i, (double)out[i]);
}

Test(emulator, blocks_of_a_cooperative_launch_run_at_once)
{
	float out[256];
	run_function *run = load_faults();
	run("grid_sum", out);
	/* rounds 0 to 4 of blocks 0 to 3: 4 * round + 0 + 1 + 2 + 3 */
	for (int i = 0; i < 64; i++)
		cr_assert_eq(out[i], 5 * 6 + 4 * 10, "%d: %f", i, (double)out[i]);
}
