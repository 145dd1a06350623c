/* Products on devices of several sizes, and under the emulator's search for races (tests/gpu/parity_product.c
 * compares them with their truth). */
#include "tests/gpu/parity.h"
#include "tests/kernels/emulated.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep_results(void *with, const char *line)
{
	if (strncmp(line, "product: results", 16) == 0)
		snprintf(with, 200, "%s", line);
}

/* All of parity_product on a device of so many multiprocessors: the digest of what it computed. */
static void run_with(const char *multiprocessors, char results[200])
{
	static struct err e;
	setenv("EMULATOR_SMS", multiprocessors, 1);
	struct parity p = { .seed = 20, .verbose = true, .say = keep_results, .with = results };
	cr_assert_eq(device_open(&p.device, emulated("libhallmark_cuda.so"), &e), 0, "%s", e.text);
	cr_assert_eq(device_stream_open(p.device, &p.stream, &e), 0, "%s", e.text);
	const struct parity_function f = { "product", parity_product };
	cr_assert_eq(parity_call(&p, &f), 0, "%s multiprocessors: %u of %u checks failed", multiprocessors,
	             p.failures, p.checks);
	device_stream_close(p.stream);
	device_close(p.device);
}

/* With shared memory as compute capabilities 9.0, 8.0 and 12.0 have it. */
Test(product, bits_do_not_depend_on_how_many_blocks_share_the_panels_or_what_has_room, .timeout = 300)
{
	char one[200] = "", three[200] = "", seven[200] = "";
	run_with("1", one);
	setenv("EMULATOR_SHARED", "166912", 1);
	run_with("3", three);
	setenv("EMULATOR_SHARED", "101376", 1);
	run_with("7", seven);
	cr_assert_str_neq(one, "");
	cr_assert_str_eq(one, three);
	cr_assert_str_eq(one, seven);
}

Test(product, no_result_depends_on_the_order_of_threads, .timeout = 300)
{
	char results[200] = "";
	setenv("EMULATOR_RACES", "1", 1);
	run_with("3", results);
}
