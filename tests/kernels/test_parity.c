/* Every operation of the device against its truth (tests/gpu/parity.h), on the host emulator; and that the
 * functions that compare see what is wrong. */
#include "tests/gpu/parity.h"
#include "tests/kernels/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print(void *with, const char *line)
{
	(void)with;
	fprintf(stderr, "%s\n", line);
}

static void keep(void *with, const char *line) { snprintf(with, 700, "%s", line); }

static void open_emulated(struct parity *p)
{
	static struct err e;
	setenv("HALLMARK_CUBLAS", emulated("libcublas.so"), 0);
	*p = (struct parity){ .seed = 20, .say = print };
	cr_assert_eq(device_open(&p->device, emulated("libhallmark_cuda.so"), &e), 0, "%s", e.text);
	cr_assert_eq(device_stream_open(p->device, &p->stream, &e), 0, "%s", e.text);
}

static void close_emulated(struct parity *p)
{
	device_stream_close(p->stream);
	device_close(p->device);
}

/* By number: a test runs in a process of its own, where functions lie elsewhere. */
ParameterizedTestParameters(parity, every_operation_agrees_with_its_truth)
{
	static size_t numbers[100];
	for (size_t i = 0; i < parity_count; i++)
		numbers[i] = i;
	return cr_make_param_array(size_t, numbers, parity_count);
}

ParameterizedTest(const size_t *i, parity, every_operation_agrees_with_its_truth, .timeout = 300)
{
	struct parity p;
	const struct parity_function *f = &parity_all[*i];
	setenv("EMULATOR_RACES", "1", 0); /* each launch in three orders */
	open_emulated(&p);
	cr_assert_eq(parity_call(&p, f), 0, "%s: %u of %u checks failed", f->name, p.failures, p.checks);
	close_emulated(&p);
}

/* On a device of one multiprocessor a launch has few blocks, each with many items; on one of seven, many. And
 * the kernel of whole steps, with its own blocks, runs the same. */
ParameterizedTestParameters(parity, blocks_and_the_kernel_of_a_step_change_no_bit)
{
	static size_t numbers[100];
	for (size_t i = 0; i < parity_count; i++)
		numbers[i] = i;
	return cr_make_param_array(size_t, numbers, parity_count);
}

ParameterizedTest(const size_t *i, parity, blocks_and_the_kernel_of_a_step_change_no_bit, .timeout = 300)
{
	static const struct {
		const char *multiprocessors;
		bool step;
	} ways[] = { { "1", false }, { "3", true }, { "7", false } };
	uint64_t digest[3] = { 0 };
	for (size_t k = 0; k < 3; k++) {
		struct parity p;
		setenv("EMULATOR_SMS", ways[k].multiprocessors, 1);
		open_emulated(&p);
		p.step = ways[k].step;
		cr_assert_eq(device_info(p.device)->multiprocessors, (uint32_t)atoi(ways[k].multiprocessors));
		parity_call(&p, &parity_all[*i]);
		digest[k] = p.digest;
		close_emulated(&p);
		cr_assert_eq(digest[k], digest[0], "%s on %s multiprocessors, step %d", parity_all[*i].name,
			     ways[k].multiprocessors, ways[k].step);
	}
}

/* Wide keys leave little room in a block's shared memory; what has none is refused, and so is what another
 * device has no instructions for. */
static void on_capability(const char *capability)
{
	static const struct parity_function all[] = { { "attend", parity_attend },
						      { "product_fast", parity_product_fast },
						      { "product_dense", parity_product_dense } };
	setenv("EMULATOR_CAPABILITY", capability, 1);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct parity p;
		open_emulated(&p);
		cr_assert_eq(parity_call(&p, &all[i]), 0, "%s on %s: %u of %u checks failed", all[i].name,
			     capability, p.failures, p.checks);
		close_emulated(&p);
	}
}

Test(parity, attention_fits_compute_capability_8_0_or_is_refused, .timeout = 300) { on_capability("80"); }
Test(parity, attention_fits_compute_capability_12_0_or_is_refused, .timeout = 300) { on_capability("120"); }

Test(parity, every_operation_has_a_function)
{
#define NAME(name) #name,
	static const char *const operations[] = { DEVICE_OPERATIONS(NAME) };
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		size_t j = 0;
		while (j < parity_count && strcmp(parity_all[j].name, operations[i]) != 0)
			j++;
		cr_assert_lt(j, parity_count, "%s has no parity function", operations[i]);
	}
}

/* ---- what compares ---- */

static void compare_wrongly(struct parity *p)
{
	const float got[] = { 1, 2, NAN }, same[] = { 1, 2, 3 };
	const double truth[] = { 1, 2, 3 };
	cr_assert(isnan(parity_error(got, truth, 3)));
	cr_assert_eq(parity_error(same, truth, 3), 0);
	parity_expect(p, parity_error(got, truth, 3), 1, "NaN");
	parity_expect(p, 0.2, 0.1, "too far");
	parity_equal(p, "one", "two", 3, "texts");
	struct parity_buffer b = parity_output(p, "out", 64);
	parity_fetch(p, &b);
	parity_untouched(p, &b, 0, 64);
	((unsigned char *)b.host)[63] = 0;
	parity_untouched(p, &b, 0, 64);
	cr_assert_eq(p->checks, 5);
	cr_assert_eq(p->failures, 4);
}

static void compare_nothing(struct parity *p) { (void)p; }

static void write_over_the_end(struct parity *p)
{
	struct parity_buffer b = parity_output(p, "out", 64);
	cr_assert_eq(device_upload(p->stream, &b.whole, b.whole.bytes - 1, "", 1, &p->err), 0);
	parity_fetch(p, &b);
}

static void fail_in_the_device(struct parity *p)
{
	struct parity_buffer b = parity_output(p, "huge", 8);
	p->rc = device_alloc(p->device, (size_t)1 << 40, &b.whole, &p->err);
	cr_assert(parity_failed(p, "huge"));
	parity_fetch(p, &b);
	const struct moe_gate_args none = { 0 };
	PARITY_RUN(p, moe_gate, &none);
	cr_assert_eq(p->failures, 1); /* said once, and nothing done since */
}

Test(parity, what_is_wrong_is_said_and_counted)
{
	static const struct {
		struct parity_function f;
		uint32_t failures;
		const char *words;
		bool large;
	} rows[] = {
		{ { "wrongly", compare_wrongly }, 4, "WRONG wrongly: out: bytes 0 to 64 are not", false },
		{ { "nothing", compare_nothing }, 1, "compared nothing", false },
		{ { "guards", write_over_the_end }, 1, "beyond its end", true },
		{ { "failure", fail_in_the_device }, 1, "huge: host emulator: allocate 1099511627776", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct parity p;
		char line[700] = "";
		open_emulated(&p);
		p.say = keep, p.with = line, p.large = rows[i].large;
		cr_assert_eq(parity_call(&p, &rows[i].f), rows[i].failures, "%s: %u", rows[i].f.name,
			     p.failures);
		cr_assert_not_null(strstr(line, rows[i].words), "%s: %s", rows[i].f.name, line);
		close_emulated(&p);
	}
}

static void check_batches(struct parity *p)
{
	for (uint32_t n = 1; n < 40; n++) {
		const struct parity_shape s = { .sequences = 1 + n / 4,
						.rows_most = 1 + n,
						.past_most = 5 * n,
						.wanted = n % 2 ? 2 : UINT32_MAX,
						.page_bytes = 256,
						.far = n % 3 == 0 };
		struct parity_batch b;
		struct device_batch back;
		parity_batch(p, &s, &b);
		const struct device_batch *h = &b.host;
		parity_true(p, h->wanted == (n % 2 && h->rows > 2 ? 2 : h->rows), "wanted %u", h->wanted);
		for (uint32_t r = 0; r < h->rows; r++) {
			uint32_t q = h->sequence[r];
			cr_assert(h->first_row[q] <= r && r < h->first_row[q + 1]);
			cr_assert_lt(h->position[r] / KERNEL_PAGE, h->first_page[q + 1] - h->first_page[q]);
			unsigned char *page = parity_page(&b, q, h->position[r]);
			cr_assert(page[255] == 0xff || page[255] == q, "a page has one owner");
			page[255] = (unsigned char)q;
		}
		memcpy(&back, b.at, sizeof back); /* the emulator's memory is the host's */
		cr_assert_eq(memcmp(back.position, h->position, h->rows * sizeof(uint32_t)), 0);
		cr_assert_eq(back.page_at[1] - back.page_at[0], 256);
		cr_assert_eq(back.far != NULL, s.far);
	}
}

Test(parity, passes_are_whole_and_share_no_page)
{
	struct parity p;
	const struct parity_function f = { "batches", check_batches };
	open_emulated(&p);
	cr_assert_eq(parity_call(&p, &f), 0);
	close_emulated(&p);
}
