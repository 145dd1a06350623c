/* norm_rows, gate_value and sort_slots. */
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/gpu/parity.h"

#include <string.h>

static const struct device_batch *batch_of(struct parity *p, uint32_t rows)
{
	const struct device_batch b = { .rows = rows };
	return parity_input(p, "batch", &b, sizeof b).at;
}

/* ---- norm_rows ---- */

static void one_norm(struct parity *p, uint32_t rows, uint32_t n, uint32_t stride)
{
	size_t all = (size_t)rows * stride;
	struct parity_buffer x = parity_f32(p, "x", all, 3), gain = parity_f32(p, "gain", n, 1);
	double *truth = parity_host(p, all * sizeof *truth), row[5000];
	const float *before = x.host;
	for (size_t i = 0; i < all; i++)
		truth[i] = (double)before[i];
	for (uint32_t r = 0; r < rows; r++) {
		kernel_truth_rmsnorm(before + (size_t)r * stride, gain.host, n, 1e-6, row);
		memcpy(truth + (size_t)r * stride, row, n * sizeof *row);
	}
	PARITY_RUN(p, norm_rows,
		   (&(struct norm_rows_args){ .batch = batch_of(p, rows),
					      .x = x.at,
					      .stride = stride,
					      .n = n,
					      .eps = 1e-6f,
					      .gain = gain.at,
					      .rows_most = rows + 3 }));
	parity_fetch(p, &x);
	parity_expect(p, parity_error(x.host, truth, all), 2e-6, "rows %u, n %u, stride %u", rows, n, stride);
}

/* Rows of a batch have the bits that they have alone, wherever the row lies. */
static void norms_alone(struct parity *p, uint32_t rows, uint32_t n)
{
	struct parity_buffer x = parity_f32(p, "x", (size_t)rows * n, 3), gain = parity_f32(p, "gain", n, 1);
	struct parity_buffer alone = parity_input(p, "x alone", x.host, x.bytes);
	struct norm_rows_args a = { .batch = batch_of(p, rows),
				    .x = x.at,
				    .stride = n,
				    .n = n,
				    .eps = 1e-6f,
				    .gain = gain.at,
				    .rows_most = rows };
	PARITY_RUN(p, norm_rows, &a);
	a.batch = batch_of(p, 1), a.rows_most = 1;
	for (uint32_t r = 0; r < rows; r++) {
		a.x = (float *)alone.at + (size_t)r * n;
		PARITY_RUN(p, norm_rows, &a);
	}
	parity_fetch(p, &x);
	parity_fetch(p, &alone);
	parity_equal(p, x.host, alone.host, x.bytes, "rows %u, n %u: alone", rows, n);
}

void parity_norm_rows(struct parity *p)
{
	static const uint32_t widths[] = { 1, 2, 5, 64, 192, 512, 1023, 1024, 1536, 2052, 4096 };
	for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
		uint32_t more = i % 3 == 0 ? 0 : i % 3 == 1 ? 64 : 7;
		one_norm(p, parity_size(p, 9, 3000), widths[i], widths[i] + more);
	}
	norms_alone(p, parity_pick(p, 20, 700), 1536);
}

/* ---- gate_value ---- */

static void one_gate(struct parity *p, uint32_t rows, uint32_t gates, uint32_t each, float scale, bool gated)
{
	size_t all = (size_t)rows * gates * each;
	struct parity_buffer value = parity_f32(p, "value", all, 2);
	struct parity_buffer gate = parity_f32(p, "gate", (size_t)rows * gates, 3);
	float *truth = parity_host(p, all * sizeof *truth);
	for (size_t i = 0; i < all; i++) {
		truth[i] = ((float *)value.host)[i] * scale;
		if (gated)
			truth[i] *= 1.0f / (1.0f + number_exp(0.0f - ((float *)gate.host)[i / each]));
	}
	PARITY_RUN(p, gate_value,
		   (&(struct gate_value_args){ .batch = batch_of(p, rows),
					       .value = value.at,
					       .gate = gated ? gate.at : NULL,
					       .gates = gates,
					       .each = each,
					       .scale = scale,
					       .rows_most = rows + 2 }));
	parity_fetch(p, &value);
	parity_equal(p, value.host, truth, all * 4, "rows %u, gates %u, each %u, gated %d", rows, gates, each,
		     gated);
}

void parity_gate_value(struct parity *p)
{
	static const struct {
		uint32_t gates, each;
	} shapes[] = { { 1, 1 }, { 3, 5 }, { 16, 64 }, { 32, 128 }, { 1025, 1 }, { 4096, 1 }, { 5, 400 } };
	for (size_t i = 0; i < 2 * sizeof shapes / sizeof shapes[0]; i++)
		one_gate(p, parity_size(p, 7, 2000), shapes[i / 2].gates, shapes[i / 2].each,
			 i % 3 ? 1 : 0.25f, i % 2 == 0);
}

/* ---- sort_slots ---- */

struct sorted {
	struct parity_buffer begin, pick, place, active;
	uint32_t *begin_truth, *pick_truth, *place_truth, *active_truth;
};

/* sort_slots of engine/cpu_ffn.c. */
static void sort_truth(struct sorted *s, const uint16_t *expert, uint32_t rows, uint32_t experts, uint32_t k)
{
	uint32_t *begin = s->begin_truth, *active = s->active_truth;
	for (uint32_t i = 0; i < rows * k; i++)
		begin[expert[i] + 1]++;
	for (uint32_t e = 0; e < experts; e++) {
		if (begin[e + 1] > 0)
			active[1 + active[0]++] = e;
		begin[e + 1] += begin[e];
	}
	for (uint32_t i = 0; i < rows * k; i++) {
		s->place_truth[i] = begin[expert[i]]++;
		s->pick_truth[s->place_truth[i]] = i / k;
	}
	memmove(begin + 1, begin, experts * sizeof *begin);
	begin[0] = 0;
}

/* few: rows choose among that many experts alone. */
static void one_sort(struct parity *p, uint32_t rows, uint32_t experts, uint32_t k, uint32_t few)
{
	uint32_t slots = rows * k;
	uint16_t *expert = parity_host(p, slots * sizeof *expert);
	struct sorted s = { .begin = parity_output(p, "begin", (experts + 1) * 4),
			    .pick = parity_output(p, "pick", slots * 4),
			    .place = parity_output(p, "place", slots * 4),
			    .active = parity_output(p, "active", (experts + 1) * 4),
			    .begin_truth = parity_host(p, (experts + 1) * 4),
			    .pick_truth = parity_host(p, slots * 4),
			    .place_truth = parity_host(p, slots * 4),
			    .active_truth = parity_host(p, (experts + 1) * 4) };
	for (uint32_t i = 0; i < slots; i++)
		expert[i] = (uint16_t)(experts - 1 - parity_below(p, few));
	sort_truth(&s, expert, rows, experts, k);
	PARITY_RUN(p, sort_slots,
		   (&(struct sort_slots_args){
			   .batch = batch_of(p, rows),
			   .expert = parity_input(p, "expert", expert, slots * sizeof *expert).at,
			   .experts = experts,
			   .top_k = k,
			   .begin = s.begin.at,
			   .pick = s.pick.at,
			   .place = s.place.at,
			   .active = s.active.at,
			   .rows_most = rows + 1 }));
	parity_fetch(p, &s.begin);
	parity_fetch(p, &s.pick);
	parity_fetch(p, &s.place);
	parity_fetch(p, &s.active);
	parity_equal(p, s.begin.host, s.begin_truth, s.begin.bytes, "rows %u, experts %u, top %u: begin", rows,
		     experts, k);
	parity_equal(p, s.place.host, s.place_truth, s.place.bytes, "rows %u, experts %u, top %u: place", rows,
		     experts, k);
	parity_equal(p, s.pick.host, s.pick_truth, s.pick.bytes, "rows %u, experts %u, top %u: pick", rows,
		     experts, k);
	uint32_t active = 4 * (1 + s.active_truth[0]);
	parity_equal(p, s.active.host, s.active_truth, active, "rows %u, experts %u, top %u: active", rows,
		     experts, k);
	parity_untouched(p, &s.active, active, s.active.bytes);
}

void parity_sort_slots(struct parity *p)
{
	static const struct {
		uint32_t experts, k;
	} shapes[] = { { 1, 1 }, { 8, 2 }, { 9, 9 }, { 64, 6 }, { 100, 3 }, { 128, 8 }, { 257, 8 }, { 1024, 10 } };
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		uint32_t experts = shapes[i].experts, k = shapes[i].k;
		one_sort(p, 1, experts, k, experts);
		one_sort(p, parity_size(p, 70, 4096), experts, k, experts);
		one_sort(p, parity_size(p, 300, 4096), experts, k, 1 + experts / 9);
	}
}
