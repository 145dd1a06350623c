/* The emulator against kernels with known mistakes (tests/emulator/faults.cu), and against right ones. */
#include "kernels/device.h"
#include "tests/kernels/emulated.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#define GUARDED false /* ASan ends the process itself */
#else
#define GUARDED true
#endif

typedef const char *run_function(const char *kernel, float *out);

typedef const char *graph_function(const char *forbidden, int times, float *out);
static struct err e;

/* function: a pointer to a function pointer */
static void load(const char *library, const char *name, void *function)
{
	void *at = dlopen(emulated(library), RTLD_NOW | RTLD_LOCAL);
	cr_assert_not_null(at, "%s", dlerror());
	void *symbol = dlsym(at, name);
	cr_assert_not_null(symbol, "%s", name);
	memcpy(function, &symbol, sizeof symbol);
}

static run_function *load_faults(void)
{
	run_function *run = NULL;
	load("libfaults.so", "faults_run", &run);
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
	{ "barrier_missed", ":10, thread 40 has returned", true },
	{ "barrier_elsewhere", ":17, thread 32 waits in __syncthreads", true },
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

static const struct claim of_warpgroups[] = {
	{ "bulk_right", "no error", true },
	{ "bulk_unwaited", "no error", true },
	{ "bulk_parity", "no error", true },
	{ "bulk_fewer", "waits in ptx_barrier_wait at tests/emulator/faults.cu", true },
	{ "bulk_fewer", "for phase 0, of which 0 arrivals and 256 bytes never come", true },
	{ "bulk_more", "of which 0 arrivals and -256 bytes never come", true },
	{ "bulk_odd", "500 bytes, no multiple of 16", true },
	{ "bulk_misaligned", "an address that is no multiple of 16", true },
	{ "bulk_elsewhere", "ptx_bulk_copy at", true },
	{ "bulk_elsewhere", "not within shared memory", true },
	{ "bulk_left", "ended before its ptx_bulk_copy had been waited for", true },
	{ "phase_fresh", "a barrier that was not initialised", true },
	{ "phase_crowded", "more arrivals than the 2 that the barrier counts", true },
	{ "phase_overwritten", "something else was written over the barrier", true },
	{ "phases", "no error", true },
	{ "product_right", "no error", true },
	{ "product_unfenced", "no ptx_wgmma_fence since", true },
	{ "product_uncommitted", "returned before its ptx_wgmma were waited for", true },
	{ "product_unwaited", "no error", true },
	{ "product_unseen", "no error", true },
	{ "product_of_three", "warps of a warpgroup came to different ptx_wgmma", true },
	{ "product_overtaken", "shared memory was written while a product was reading it", true },
	{ "product_registers", "registers of a were written while the product was under way", true },
	{ "product_outside", "a descriptor that leads out of shared memory", true },
};

Test(emulator, rules_of_barriers_bulk_copies_and_warpgroups_are_kept) { CHECK_CLAIMS(of_warpgroups); }

/* Of a kernel of 128 threads: how many of its numbers are NaN, and the sum of the others. */
static void check_numbers(const char *kernel, int nans, double sum)
{
	float out[256];
	int seen = 0;
	double all = 0;
	load_faults()(kernel, out);
	for (int i = 0; i < 128; i++) {
		seen += isnan(out[i]) != 0;
		all += isnan(out[i]) ? 0 : (double)out[i];
	}
	cr_expect_eq(seen, nans, "%s: %d", kernel, seen);
	cr_expect_float_eq(all, sum, 1e-9, "%s: %f", kernel, all);
}

Test(emulator, what_a_barrier_or_a_product_brings_is_seen_by_who_waits_alone)
{
	check_numbers("bulk_right", 0, 127 * 64);
	check_numbers("bulk_unwaited", 128, 0);
	check_numbers("bulk_parity", 128, 0);
	check_numbers("phases", 0, 64 * 600 + 4 * 63 * 32);
	check_numbers("product_right", 0, 128 * 16);
	check_numbers("product_unwaited", 128, 0);
	check_numbers("product_unseen", 128, 0);
}

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
	{ "bulk_right", "no error", true },
	{ "phases", "no error", true },
	{ "product_right", "no error", true },
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

/* ---- graphs ---- */

Test(emulator, a_graph_runs_what_was_captured_as_often_as_it_is_launched)
{
	float out[64];
	graph_function *graph = NULL;
	load("libfaults.so", "faults_graph", &graph);
	memset(out, 0xff, sizeof out);
	cr_assert_str_eq(graph("", 0, out), "no error");
	cr_assert(isnan(out[0]), "capturing runs nothing");
	cr_assert_str_eq(graph("", 3, out), "no error");
	for (int i = 0; i < 64; i++)
		cr_assert_eq(out[i], 3, "%d: %f", i, (double)out[i]);
	cr_assert_str_eq(graph("malloc", 1, out), "cudaMalloc while a stream is capturing");
	cr_assert_str_eq(graph("synchronize", 1, out), "cudaStreamSynchronize of a stream that is capturing");
}

/* ---- what the environment injects ---- */

struct opened {
	struct device *device;
	struct device_stream *stream;
	struct device_buffer some;
};

static void open_with(struct opened *o, const char *name, const char *value)
{
	setenv(name, value, 1);
	cr_assert_eq(device_open(&o->device, emulated("libhallmark_cuda.so"), &e), 0, "%s", e.text);
	cr_assert_eq(device_stream_open(o->device, &o->stream, &e), 0, "%s", e.text);
	cr_assert_eq(device_alloc(o->device, 1000, &o->some, &e), 0, "%s", e.text);
}

static void close_opened(struct opened *o)
{
	device_free(&o->some);
	device_stream_close(o->stream);
	device_close(o->device);
}

/* A small launch: one block of one thread. */
static int launch(struct opened *o)
{
	const struct device_probe probe = { DEVICE_PROBE_GRID, 1, NULL, o->some.at };
	return device_ask(o->stream, &probe, &e);
}

Test(emulator, a_lost_device_answers_every_call_with_a_sentence)
{
	struct opened o;
	struct device_buffer more;
	struct device_stream *other = NULL;
	char text[8] = "";
	open_with(&o, "EMULATOR_LOSE_AFTER", "2");
	cr_assert_eq(device_fill(o.stream, &o.some, 0, &e), 0);
	cr_assert_eq(launch(&o), 0, "%s", e.text);
	cr_assert_eq(launch(&o), 0, "%s", e.text);
	cr_assert_eq(launch(&o), ERR_UNAVAILABLE);
	cr_assert_str_eq(e.text,
			 "the GPU host emulator was lost: probe: unspecified launch failure: the device is lost");
	cr_assert_eq(device_wait(o.stream, &e), ERR_UNAVAILABLE);
	cr_assert_eq(device_download(o.stream, text, &o.some, 0, 8, &e), ERR_UNAVAILABLE);
	cr_assert_not_null(strstr(e.text, "the device is lost"), "%s", e.text);
	cr_assert_eq(device_alloc(o.device, 8, &more, &e), ERR_UNAVAILABLE);
	cr_assert_eq(device_stream_open(o.device, &other, &e), ERR_UNAVAILABLE);
	cr_assert_eq(launch(&o), ERR_UNAVAILABLE);
	close_opened(&o);
}

Test(emulator, memory_is_as_much_as_is_said_and_what_is_freed_can_be_taken_again)
{
	struct opened o;
	struct device_buffer more;
	uint64_t left = 0;
	open_with(&o, "EMULATOR_MEMORY", "100000");
	cr_assert_eq(device_info(o.device)->memory_bytes, 100000);
	cr_assert_eq(device_memory(o.device, &left, &e), 0);
	cr_assert_eq(left, 99000);
	cr_assert_eq(device_alloc(o.device, 99001, &more, &e), ERR_NOMEM);
	cr_assert_not_null(strstr(e.text, "allocate 99001 bytes: out of memory"), "%s", e.text);
	cr_assert_eq(device_alloc(o.device, 99000, &more, &e), 0);
	device_free(&more);
	cr_assert_eq(device_alloc(o.device, 98000, &more, &e), 0);
	device_free(&more);
	close_opened(&o);
}

Test(emulator, an_old_driver_is_refused_with_both_versions)
{
	struct device *d = NULL;
	setenv("EMULATOR_DRIVER", "12000", 1);
	cr_assert_eq(device_open(&d, emulated("libhallmark_cuda.so"), &e), ERR_UNSUPPORTED);
	cr_assert_not_null(strstr(e.text, "driver is too old: it is for CUDA 12.0, the library needs 13.0"), "%s",
			   e.text);
}

/* The system's words for it are those for an old one. */
Test(emulator, a_machine_without_a_driver_is_told_so)
{
	struct device *d = NULL;
	setenv("EMULATOR_DRIVER", "0", 1);
	cr_assert_eq(device_open(&d, emulated("libhallmark_cuda.so"), &e), ERR_NOTFOUND);
	cr_assert_not_null(strstr(e.text, "no device found: no NVIDIA driver is installed"), "%s", e.text);
}

Test(emulator, each_of_several_devices_has_memory_of_its_own)
{
	struct opened o;
	struct device *second = NULL;
	struct device_buffer some;
	uint64_t left = 0;
	setenv("EMULATOR_MEMORY", "100000", 1);
	setenv("EMULATOR_SMS", "5", 1);
	open_with(&o, "EMULATOR_DEVICES", "2");
	cr_assert_eq(device_info(o.device)->multiprocessors, 5);
	cr_assert_eq(device_open_at(&second, emulated("libhallmark_cuda.so"), 2, &e), ERR_NOTFOUND);
	cr_assert_eq(device_open_at(&second, emulated("libhallmark_cuda.so"), 1, &e), 0, "%s", e.text);
	cr_assert_eq(device_alloc(second, 100000, &some, &e), 0, "%s", e.text);
	cr_assert_eq(device_memory(second, &left, &e), 0);
	cr_assert_eq(left, 0);
	cr_assert_eq(device_memory(o.device, &left, &e), 0);
	cr_assert_eq(left, 99000);
	device_free(&some);
	device_close(second);
	close_opened(&o);
}

static void *copy_on(void *with)
{
	static struct err mine;
	struct opened *o = with;
	struct device_stream *stream = NULL;
	char text[100];
	cr_assert_eq(device_stream_open(o->device, &stream, &mine), 0);
	for (int i = 0; i < 200; i++) {
		struct device_buffer b;
		cr_assert_eq(device_alloc(o->device, 100, &b, &mine), 0, "%s", mine.text);
		cr_assert_eq(device_fill(stream, &b, (uint8_t)i, &mine), 0);
		cr_assert_eq(device_download(stream, text, &b, 0, 100, &mine), 0);
		cr_assert_eq(device_wait(stream, &mine), 0);
		cr_assert_eq(text[99], (char)i);
		device_free(&b);
	}
	device_stream_close(stream);
	return NULL;
}

Test(emulator, threads_may_copy_while_another_one_launches)
{
	struct opened o;
	pthread_t thread[2];
	open_with(&o, "EMULATOR_DEVICES", "1");
	cr_assert_eq(device_fill(o.stream, &o.some, 0, &e), 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, copy_on, &o);
	for (int i = 0; i < 200; i++)
		cr_assert_eq(launch(&o), 0, "%s", e.text);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	close_opened(&o);
}
