/* The draw of a device and the CPU's, on equal logits: equal ids. The device is the host emulator. */
#include "engine/sample.h"
#include "kernels/device.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROWS 250
#define MOST 700

static uint64_t state = 3;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((state >> 33) % n);
}

static struct err e;
static struct device *device;
static struct device_stream *stream;

static void device_begin(void)
{
	char self[4096], path[4200];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	cr_assert_gt(len, 0);
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, sizeof path, "%s/../emulator/libhallmark_cuda.so", self);
	cr_assert_eq(device_open(&device, path, &e), 0, "%s", e.text);
	cr_assert_eq(device_stream_open(device, &stream, &e), 0, "%s", e.text);
}

static void *uploaded(struct device_buffer *b, const void *from, size_t bytes)
{
	cr_assert_eq(device_alloc(device, bytes, b, &e), 0, "%s", e.text);
	cr_assert_eq(device_upload(stream, b, 0, from, bytes, &e), 0, "%s", e.text);
	return b->at;
}

/* Of one call: logits, parameters, masks. */
static float logits[ROWS][MOST];
static struct engine_sampling sampling[ROWS];
static struct device_draw draws[ROWS];
static uint64_t masks[ROWS][(MOST + 63) / 64];

static void row_make(uint32_t i, uint32_t n)
{
	static const float temperatures[] = { 0.01f, 0.3f, 1, 2, 50, 0 };
	static const float tops[] = { 1, 0.95f, 0.5f, 0.05f, 0, 1e-30f }, mins[] = { 0, 0, 0, 0.01f, 0.4f, 3 };
	uint32_t coarse = below(3);
	for (uint32_t k = 0; k < n; k++) {
		float x = (float)below(1u << 24) * 0x1p-20f;
		logits[i][k] = coarse == 0 ? rintf(x) : coarse == 1 ? x : x * 8;
	}
	sampling[i] = (struct engine_sampling){ .temperature = temperatures[below(6)],
						.top_p = tops[below(6)],
						.min_p = mins[below(6)],
						.top_k = below(2) * (1 + below(n + 3)),
						.seed = (uint64_t)below(1u << 31) << 33 | below(1u << 31),
						.choice = below(4) };
	draws[i] = (struct device_draw){ .temperature = sampling[i].temperature,
					 .top_p = sampling[i].top_p,
					 .min_p = sampling[i].min_p,
					 .top_k = sampling[i].top_k,
					 .seed = sampling[i].seed,
					 .choice = sampling[i].choice,
					 .position = below(1u << 31) };
	memset(masks[i], 0, sizeof masks[i]);
	for (uint32_t k = 0; k < n; k++)
		masks[i][k / 64] |= (uint64_t)(k == i % n || below(4) == 0) << k % 64;
}

static uint32_t compare(uint32_t n, bool masked)
{
	static float weight[MOST];
	static uint32_t work[MOST], got[ROWS];
	const struct device_batch batch = { .rows = ROWS, .wanted = ROWS };
	struct device_buffer b[6];
	for (uint32_t i = 0; i < ROWS; i++)
		row_make(i, n);
	const uint64_t *mask = uploaded(&b[0], masks, sizeof masks);
	for (uint32_t i = 0; i < ROWS; i++)
		draws[i].allowed = masked ? mask + i * sizeof masks[0] / 8 : NULL;
	cr_assert_eq(device_alloc(device, (size_t)ROWS * n * 4, &b[4], &e), 0, "%s", e.text);
	const struct draw_ids_args a = { .batch = uploaded(&b[1], &batch, sizeof batch),
					 .logits = uploaded(&b[2], logits, sizeof logits),
					 .draw = uploaded(&b[3], draws, sizeof draws),
					 .weight = b[4].at,
					 .id = uploaded(&b[5], got, sizeof got),
					 .stride = MOST,
					 .vocab = n,
					 .wanted_most = ROWS };
	cr_assert_eq(device_draw_ids(stream, &a, &e), 0, "%s", e.text);
	cr_assert_eq(device_download(stream, got, &b[5], 0, sizeof got, &e), 0, "%s", e.text);
	cr_assert_eq(device_wait(stream, &e), 0, "%s", e.text);
	for (uint32_t i = 0; i < ROWS; i++) {
		uint32_t want = engine_sample_draw(NULL, logits[i], masked ? masks[i] : NULL, n, &sampling[i],
						   draws[i].position, weight, work);
		cr_assert_eq(got[i], want, "n %u, row %u, masked %d: %u, expected %u (T %g, k %u, p %g, min %g)", n, i,
			     masked, got[i], want, (double)sampling[i].temperature, sampling[i].top_k,
			     (double)sampling[i].top_p, (double)sampling[i].min_p);
	}
	for (int i = 0; i < 6; i++)
		device_free(&b[i]);
	return ROWS;
}

Test(device_draw, thousands_of_draws_give_the_ids_of_the_cpu, .timeout = 300)
{
	static const uint32_t sizes[] = { 1, 2, 5, 33, 64, 100, 255, 256, 257, MOST };
	uint32_t drawn = 0;
	device_begin();
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		drawn += compare(sizes[i], false) + compare(sizes[i], true);
	cr_assert_eq(drawn, 5000);
	device_stream_close(stream);
	device_close(device);
}
