/* What stands in for a GPU in these tests. */
#ifndef TESTS_KERNELS_EMULATED_H
#define TESTS_KERNELS_EMULATED_H

/* A library that make built beside the tests: BUILD/test/kernels -> BUILD/emulator/NAME. Until the next
 * call. */
const char *emulated(const char *name);

#endif
