/* Times of a device's operations, for tests/gpu/check.c. Each prints JSON documents, one a line; an error of
 * the device ends the process with a sentence. */
#ifndef TESTS_GPU_TIMES_H
#define TESTS_GPU_TIMES_H

#include "kernels/choice.h"

#include <stdio.h>

struct times {
	struct device *device;
	struct device_stream *stream;
	bool small;     /* shapes for the emulator */
	double ceiling; /* bytes a second; 0: unknown */
	FILE *choice;   /* the table of choices (kernels/choice.h); NULL: none is written */
};

void times_must(int rc, const struct err *e); /* ends the process where rc < 0 */
void times_copy(struct times *t);             /* the rate of a large copy within the device's memory */
void times_cublas(struct times *t);           /* of bf16 products, where cuBLAS can be loaded */
void times_all(struct times *t);              /* of single operations */
void times_product(struct times *t);          /* by format and rows */
void times_attend(struct times *t);           /* by context and batch */

/* Microseconds of one call of work, ten in a row: the median of nine. */
double times_us(struct times *t, void (*work)(struct times *t, void *with), void *with);
/* A line of the table: the form of the least of `cost` [device_forms(l.operation)], those of zero not among
 * them; the library's own choice where another is not better by a fiftieth. */
void times_choose(struct times *t, struct device_choice_line l, const double *cost);
/* One large matrix, whose products by cuBLAS and by the fast regime's own form stand side by side. */
#define TIMES_OUTPUTS 16384
#define TIMES_COLUMNS 4096
extern const uint32_t times_rows[];
#define TIMES_ROWS 4
void times_line(const struct times *t, const char *kernel, const char *shape, double us, double bytes);

#endif
