/* Lists of operations: launches, graphs and one kernel for all give the same bits, on the host emulator. */
#include "kernels/device.h"
#include "kernels/device_table.h"
#include "kernels/fragment.h"
#include "kernels/kernels.h"
#include "tests/kernels/emulated.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 19
#define WIDTH 64
#define CHOSEN 6
#define RUNS 3
#define STEPS 7

static struct err e;

/* ---- a small chain, in which each operation reads what others' blocks wrote ---- */

enum part { BATCH, X, NORMED, GAIN, GATE, EXPERT, WEIGHT, BEGIN, PICK, PLACE, ACTIVE, DOWN, ROUTER,
	    JOB, SCORE, PARTS };

static const size_t sizes[PARTS] = {
	[BATCH] = sizeof(struct device_batch),
	[X] = ROWS * WIDTH * 4,
	[NORMED] = ROWS * WIDTH * 4,
	[GAIN] = WIDTH * 4,
	[GATE] = ROWS * 4 * 4,
	[EXPERT] = ROWS * CHOSEN * 2,
	[WEIGHT] = ROWS * CHOSEN * 4,
	[BEGIN] = (WIDTH + 1) * 4,
	[PICK] = ROWS * CHOSEN * 4,
	[PLACE] = ROWS * CHOSEN * 4,
	[ACTIVE] = (WIDTH + 1) * 4,
	[DOWN] = ROWS * CHOSEN * WIDTH * 4,
	[ROUTER] = WIDTH * WIDTH * 2,
	[JOB] = sizeof(struct device_job),
	[SCORE] = ROWS * WIDTH * 4,
};

struct chain {
	struct device *device;
	struct device_stream *stream;
	struct device_buffer at[PARTS];
	struct close_rows_args first, last;
	struct gate_value_args gate;
	struct norm_rows_args norm;
	struct moe_gate_args choose;
	struct sort_slots_args sort;
	struct product_args route;
	struct device_step step[STEPS];
};

/* Results of a chain, all parts. */
struct answer {
	unsigned char bytes[PARTS][ROWS * CHOSEN * WIDTH * 4];
};

static void fill(struct chain *c, enum part part)
{
	static float noise[ROWS * CHOSEN * WIDTH];
	static uint64_t state;
	state = (uint64_t)part + 3;
	for (size_t i = 0; i < sizes[part] / 4; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		noise[i] = (float)(int32_t)(state >> 32) * 0x1p-30f;
	}
	cr_assert_eq(device_upload(c->stream, &c->at[part], 0, noise, sizes[part], &e), 0, "%s", e.text);
}

static void args_make(struct chain *c)
{
	const struct device_batch *batch = c->at[BATCH].at;
	c->first = (struct close_rows_args){ .batch = batch,
					     .x = c->at[X].at,
					     .normed = c->at[NORMED].at,
					     .n = WIDTH,
					     .eps = 1e-6f,
					     .next = { c->at[GAIN].at, NULL },
					     .residual_scale = 1,
					     .rows_most = ROWS };
	c->last = c->first;
	c->last.slots = (struct device_slots){
		.down = c->at[DOWN].at, .place = c->at[PLACE].at, .weight = c->at[WEIGHT].at, .top_k = CHOSEN
	};
	c->gate = (struct gate_value_args){ batch, c->at[NORMED].at, c->at[GATE].at, 4, WIDTH / 4, 1, ROWS };
	c->norm = (struct norm_rows_args){ batch, c->at[NORMED].at, WIDTH, WIDTH, 1e-6f, c->at[GAIN].at, ROWS };
	c->choose = (struct moe_gate_args){ batch,
					    { .kind = KERNEL_GATE_SOFTMAX,
					      .experts = WIDTH,
					      .top_k = CHOSEN,
					      .groups = 1,
					      .groups_kept = 1,
					      .scaling = 1 },
					    c->at[SCORE].at,
					    c->at[EXPERT].at,
					    c->at[WEIGHT].at,
					    ROWS };
	c->sort = (struct sort_slots_args){ batch,	      c->at[EXPERT].at, WIDTH,	       CHOSEN, c->at[BEGIN].at,
					    c->at[PICK].at, c->at[PLACE].at,  c->at[ACTIVE].at, ROWS };
}

/* Scores: bf16 weights times normed. */
static void route_make(struct chain *c)
{
	static unsigned char packed[WIDTH * WIDTH * 2];
	float weight[WIDTH * WIDTH];
	struct kernel_matrix w;
	const struct kernel_stored_rows from = { KERNEL_FROM_F32, weight, WIDTH * 4, NULL, 0 };
	for (int i = 0; i < WIDTH * WIDTH; i++)
		weight[i] = (float)(i * 7919 % 257 - 128) / 256;
	cr_assert_eq(kernel_matrix_alloc(&w, KERNEL_BF16, WIDTH, WIDTH, &e), 0, "%s", e.text);
	cr_assert_eq(kernels_at(0)->pack(&w, 0, WIDTH, &from), WIDTH * WIDTH);
	cr_assert_eq(fragment_panel_bytes(KERNEL_BF16, WIDTH) * kernel_panels(&w), sizeof packed);
	fragment_pack(&w, 0, kernel_panels(&w), packed);
	const struct device_job job = { .w = { .at = c->at[ROUTER].at,
					       .panel_bytes = fragment_panel_bytes(KERNEL_BF16, WIDTH),
					       .rows = WIDTH,
					       .columns = WIDTH,
					       .format = KERNEL_BF16 },
					.x = c->at[NORMED].at,
					.x_stride = WIDTH,
					.out = c->at[SCORE].at,
					.out_stride = WIDTH };
	cr_assert_eq(device_upload(c->stream, &c->at[ROUTER], 0, packed, sizeof packed, &e), 0, "%s", e.text);
	cr_assert_eq(device_upload(c->stream, &c->at[JOB], 0, &job, sizeof job, &e), 0, "%s", e.text);
	cr_assert_eq(device_wait(c->stream, &e), 0, "%s", e.text);
	c->route = (struct product_args){ .batch = c->at[BATCH].at,
					  .job = c->at[JOB].at,
					  .jobs = 1,
					  .rows_most = ROWS,
					  .panels = kernel_panels(&w),
					  .terms = 2 };
	kernel_matrix_free(&w);
}

static void chain_open(struct chain *c)
{
	const struct device_batch batch = { .rows = ROWS };
	*c = (struct chain){ 0 };
	cr_assert_eq(device_open(&c->device, emulated("libhallmark_cuda.so"), &e), 0, "%s", e.text);
	cr_assert_eq(device_stream_open(c->device, &c->stream, &e), 0, "%s", e.text);
	for (int i = 0; i < PARTS; i++) {
		cr_assert_eq(device_alloc(c->device, sizes[i], &c->at[i], &e), 0, "%s", e.text);
		cr_assert_eq(device_fill(c->stream, &c->at[i], 0xff, &e), 0, "%s", e.text);
	}
	fill(c, X), fill(c, GAIN), fill(c, GATE), fill(c, DOWN);
	cr_assert_eq(device_upload(c->stream, &c->at[BATCH], 0, &batch, sizeof batch, &e), 0, "%s", e.text);
	cr_assert_eq(device_wait(c->stream, &e), 0, "%s", e.text);
	args_make(c);
	route_make(c);
	const struct device_step step[STEPS] = {
		{ DEVICE_close_rows, &c->first }, { DEVICE_gate_value, &c->gate }, { DEVICE_norm_rows, &c->norm },
		{ DEVICE_product, &c->route },	  { DEVICE_moe_gate, &c->choose }, { DEVICE_sort_slots, &c->sort },
		{ DEVICE_close_rows, &c->last },
	};
	memcpy(c->step, step, sizeof step);
}

static void chain_close(struct chain *c, struct answer *out)
{
	for (int i = 0; i < PARTS; i++) {
		cr_assert_eq(device_download(c->stream, out->bytes[i], &c->at[i], 0, sizes[i], &e), 0);
		cr_assert_eq(device_wait(c->stream, &e), 0);
		device_free(&c->at[i]);
	}
	device_stream_close(c->stream);
	device_close(c->device);
}

static uint64_t launches(void)
{
	void *library = dlopen(emulated("libhallmark_cuda.so"), RTLD_NOW | RTLD_LOCAL);
	uint64_t (*count)(void);
	void *symbol = dlsym(library, "emulator_launches");
	memcpy(&count, &symbol, sizeof count);
	return count();
}

/* The chain RUNS times; the launches of one time. */
static uint64_t chain_run(enum device_steps_way way, const char *multiprocessors, struct answer *out)
{
	struct chain c;
	struct device_steps *l;
	setenv("EMULATOR_SMS", multiprocessors, 1);
	chain_open(&c);
	cr_assert_eq(device_steps_open(c.stream, c.step, STEPS, way, &l, &e), 0, "way %d: %s", (int)way, e.text);
	memset(&c.first, 0xff, sizeof c.first); /* copied when it was opened */
	uint64_t before = launches();
	for (int i = 0; i < RUNS; i++)
		cr_assert_eq(device_steps_run(l, &e), 0, "way %d: %s", (int)way, e.text);
	cr_assert_eq(device_wait(c.stream, &e), 0, "way %d: %s", (int)way, e.text);
	uint64_t each = (launches() - before) / RUNS;
	device_steps_close(l);
	chain_close(&c, out);
	return each;
}

static void chain_by_hand(struct answer *out)
{
	struct chain c;
	chain_open(&c);
	for (int i = 0; i < RUNS * STEPS; i++)
		cr_assert_eq(device_run(c.stream, c.step[i % STEPS].operation, c.step[i % STEPS].args, &e), 0, "%s",
			     e.text);
	chain_close(&c, out);
}

static void compare_ways(const char *multiprocessors)
{
	static struct answer expected, got;
	static const struct {
		enum device_steps_way way;
		uint64_t launches;
	} ways[] = {
		{ DEVICE_STEPS_LAUNCHES, STEPS },
		{ DEVICE_STEPS_GRAPH, STEPS },
		{ DEVICE_STEPS_AHEAD, STEPS },
		{ DEVICE_STEPS_KERNEL, 1 },
	};
	chain_by_hand(&expected);
	for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
		uint64_t each = chain_run(ways[w].way, multiprocessors, &got);
		cr_assert_eq(each, ways[w].launches, "way %zu: %lu launches", w, (unsigned long)each);
		for (int i = X; i < PARTS; i++)
			cr_assert_eq(i == JOB ? 0 : memcmp(got.bytes[i], expected.bytes[i], sizes[i]), 0,
				     "way %zu, %s multiprocessors: part %d differs", w, multiprocessors, i);
	}
}

Test(steps, every_way_and_any_number_of_multiprocessors_give_the_same_bits, .timeout = 120)
{
	compare_ways("1");
	compare_ways("2");
	compare_ways("3");
}

/* Some have no part of a product, and nothing of it to fetch ahead. */
Test(steps, more_multiprocessors_than_parts_of_a_product_give_the_same_bits)
{
	static struct answer expected, got;
	chain_by_hand(&expected);
	cr_assert_eq(chain_run(DEVICE_STEPS_KERNEL, "16", &got), 1);
	for (int i = X; i < PARTS; i++)
		cr_assert_eq(i == JOB ? 0 : memcmp(got.bytes[i], expected.bytes[i], sizes[i]), 0, "part %d", i);
}

Test(steps, no_way_depends_on_the_order_of_warps_or_blocks, .timeout = 120)
{
	setenv("EMULATOR_RACES", "1", 1);
	compare_ways("2");
}

/* ---- what goes wrong ---- */

Test(steps, a_kernel_without_room_for_an_operation_is_refused)
{
	struct chain c;
	struct device_steps *l = NULL;
	static struct answer out;
	chain_open(&c);
	c.first.n = 57900; /* with the list's own memory more than a block may have */
	cr_assert_eq(device_steps_open(c.stream, c.step, STEPS, DEVICE_STEPS_KERNEL, &l, &e), ERR_UNSUPPORTED);
	cr_assert_null(l);
	cr_assert_eq(device_steps_open(c.stream, c.step, STEPS, DEVICE_STEPS_LAUNCHES, &l, &e), 0, "%s", e.text);
	device_steps_close(l);
	device_steps_close(NULL);
	c.first.n = WIDTH;
	c.route.rows_most = 33; /* its kernel is for few rows */
	cr_assert_eq(device_steps_open(c.stream, c.step, STEPS, DEVICE_STEPS_KERNEL, &l, &e), ERR_UNSUPPORTED);
	chain_close(&c, &out);
}

/* It was fitted to one; other ways give the same bits there. */
Test(steps, a_kernel_is_refused_on_another_compute_capability)
{
	static struct answer expected, got;
	struct chain c;
	struct device_steps *l = NULL;
	chain_by_hand(&expected);
	setenv("EMULATOR_CAPABILITY", "120", 1);
	chain_open(&c);
	cr_assert_eq(device_info(c.device)->shared_bytes, 99 * 1024);
	cr_assert_eq(device_steps_open(c.stream, c.step, STEPS, DEVICE_STEPS_KERNEL, &l, &e), ERR_UNSUPPORTED);
	cr_assert_null(l);
	chain_close(&c, &got);
	cr_assert_eq(chain_run(DEVICE_STEPS_GRAPH, "2", &got), STEPS);
	for (int i = X; i < PARTS; i++)
		cr_assert_eq(i == JOB ? 0 : memcmp(got.bytes[i], expected.bytes[i], sizes[i]), 0, "part %d", i);
}

Test(steps, a_shape_against_the_rules_is_a_broken_invariant, .signal = SIGABRT)
{
	struct chain c;
	struct device_steps *l;
	chain_open(&c);
	c.choose.gate.top_k = WIDTH + 1;
	(void)!device_steps_open(c.stream, c.step, STEPS, DEVICE_STEPS_KERNEL, &l, &e);
}

Test(steps, operations_of_two_batches_are_a_broken_invariant, .signal = SIGABRT)
{
	struct chain c;
	struct device_steps *l;
	chain_open(&c);
	c.sort.batch = c.at[X].at;
	(void)!device_steps_open(c.stream, c.step, STEPS, DEVICE_STEPS_LAUNCHES, &l, &e);
}

/* Every call after the loss says so, and that the GPU is gone and not the request wrong. */
Test(steps, a_lost_device_is_told_from_other_failures)
{
	struct chain c;
	struct device_steps *l;
	char back[4];
	setenv("EMULATOR_LOSE_AFTER", "8", 1);
	chain_open(&c);
	cr_assert_eq(device_steps_open(c.stream, c.step, STEPS, DEVICE_STEPS_GRAPH, &l, &e), 0, "%s", e.text);
	cr_assert_eq(device_steps_run(l, &e), 0, "%s", e.text);
	int rc = device_steps_run(l, &e);
	rc = rc < 0 ? rc : device_wait(c.stream, &e);
	cr_assert_eq(rc, ERR_UNAVAILABLE, "%s", e.text);
	cr_assert_not_null(strstr(e.text, "the GPU host emulator was lost: "), "%s", e.text);
	cr_assert_eq(device_download(c.stream, back, &c.at[X], 0, 4, &e), ERR_UNAVAILABLE, "%s", e.text);
}

Test(steps, an_old_driver_is_named_with_both_versions)
{
	struct device *d = NULL;
	setenv("EMULATOR_DRIVER", "12040", 1);
	cr_assert_eq(device_open(&d, emulated("libhallmark_cuda.so"), &e), ERR_UNSUPPORTED, "%s", e.text);
	static const char words[] = "the NVIDIA driver is too old: it is for CUDA 12.4, the library needs 13.0";
	cr_assert_not_null(strstr(e.text, words), "%s", e.text);
}

Test(steps, facts_say_which_device_it_is_and_what_it_has)
{
	struct device *d = NULL;
	setenv("EMULATOR_DEVICES", "2", 1);
	cr_assert_eq(device_open_at(&d, emulated("libhallmark_cuda.so"), 1, &e), 0, "%s", e.text);
	cr_assert_eq(device_info(d)->index, 1);
	cr_assert_eq(device_info(d)->shared_bytes, 227 * 1024);
	cr_assert_gt(device_info(d)->l2_bytes, 0);
	device_close(d);
}
