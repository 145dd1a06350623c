/* Parity of a device's operations with their truth: one function for each operation, run by the tests of
 * kernels on the host emulator with small shapes and by tests/gpu/check.c on a real device with large ones. A
 * plain program's interface, without the test framework.
 *
 * tests/gpu/parity_NAME.c defines `void parity_NAME(struct parity *p)` and has a row in PARITY_ALL. It makes
 * random inputs, asks for poisoned outputs, runs the operation, fetches, and compares:
 *
 *     struct parity_buffer x = parity_f32(p, "x", n, 2), y = parity_output(p, "y", n * sizeof(float));
 *     PARITY_RUN(p, NAME, &(struct NAME_args){ .x = x.at, .y = y.at, ... });
 *     parity_fetch(p, &y);
 *     parity_expect(p, shape, parity_error(y.host, truth, n), 1e-5);
 *
 * What goes wrong in the device or in memory is said once and counts as a failure; everything after it does
 * nothing then, and outputs stay poisoned, so no function needs to look at it. Memory goes with the call of
 * the function. */
#ifndef TESTS_GPU_PARITY_H
#define TESTS_GPU_PARITY_H

#include "kernels/device.h"
#include "kernels/matrix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARITY_ALL(row)   \
	row(probe)        \
	row(close_rows)   \
	row(norm_rows)    \
	row(gate_value)   \
	row(moe_gate)     \
	row(sort_slots)   \
	row(gqa_place)    \
	row(mla_place)    \
	row(attend)       \
	row(product)      \
	row(product_fast) \
	row(product_dense) \
	row(draw_ids)

struct parity_owned;

struct parity {
	struct device *device;
	struct device_stream *stream;
	uint64_t seed; /* of the next random number */
	bool step;     /* operations run as a list of one, by the kernel of whole steps where that has them */
	bool large;    /* shapes for a real device; else for the emulator, a second or two a function */
	bool verbose;  /* a line for each comparison, not only for each that fails */
	uint32_t checks, failures;
	uint64_t digest; /* of all that was fetched, in order */
	/* A line of text, without its newline. NULL: nowhere. */
	void (*say)(void *with, const char *line);
	void *with;
	const char *name;           /* of the operation */
	int rc;                     /* below 0: the device failed, err says how */
	struct err err;             /* for calls of device.h in a parity function */
	struct parity_owned *owned; /* what the function has asked for */
};

struct parity_function {
	const char *name;
	void (*run)(struct parity *p);
};
extern const struct parity_function parity_all[];
extern const size_t parity_count;

#define PARITY_DECLARATION(name) void parity_##name(struct parity *p);
PARITY_ALL(PARITY_DECLARATION)

/* A part of parity_probe. */
void parity_warpgroup(struct parity *p);

/* Run one function: seeds by its name, frees what it asked for. Returns the failures. */
uint32_t parity_call(struct parity *p, const struct parity_function *f);

/* ---- random numbers ---- */

uint32_t parity_below(struct parity *p, uint32_t n); /* [0, n), n > 0 */
/* A size from 1 to most, small ones as likely as large ones; most is `large` on a real device. */
uint32_t parity_size(struct parity *p, uint32_t small, uint32_t large);
uint32_t parity_pick(const struct parity *p, uint32_t small, uint32_t large); /* one of the two */
float parity_noise(struct parity *p);                                         /* [-1, 1) */
float parity_normal(struct parity *p); /* of variance 1, within +-6 */

/* ---- memory: device buffers with a twin on the host ---- */

struct parity_buffer {
	const char *what;
	void *at;   /* on the device, 256-byte aligned */
	void *host; /* the twin: what was uploaded, or what parity_fetch brought */
	size_t bytes;
	struct device_buffer whole; /* with 256 bytes of guard on both sides on a real device */
};

/* On the host alone, zeroed. */
void *parity_host(struct parity *p, size_t bytes);
/* A copy of `from` on both sides. */
struct parity_buffer parity_input(struct parity *p, const char *what, const void *from, size_t bytes);
/* n numbers, normal of this deviation; bf16 ones are rounded. */
struct parity_buffer parity_f32(struct parity *p, const char *what, size_t n, float deviation);
struct parity_buffer parity_bf16(struct parity *p, const char *what, size_t n, float deviation);
/* All bytes 0xff on both sides: a NaN in every format. */
struct parity_buffer parity_output(struct parity *p, const char *what, size_t bytes);
/* All bytes 0. */
struct parity_buffer parity_zeros(struct parity *p, const char *what, size_t bytes);
/* The twin, after a change, to the device again. */
void parity_upload(struct parity *p, struct parity_buffer *b);
/* Poison device and twin again. */
void parity_poison(struct parity *p, struct parity_buffer *b);
/* Wait, fetch into the twin; a changed guard is a failure. */
void parity_fetch(struct parity *p, struct parity_buffer *b);

/* Packed from normal numbers of this deviation by the plain kernels; freed with the rest. */
struct kernel_matrix *parity_matrix(struct parity *p, enum kernel_format f, uint32_t rows, uint32_t columns,
				    float deviation);

/* The same weights on the device, as its products read them. */
struct device_matrix parity_device_matrix(struct parity *p, const struct kernel_matrix *w);

/* ---- a pass ---- */

struct parity_shape {
	uint32_t sequences;
	uint32_t rows_most; /* of a sequence: 1 to this many */
	uint32_t past_most; /* positions before a sequence's rows: 0 to this many */
	uint32_t wanted;    /* of all rows, at most; UINT32_MAX: all */
	uint32_t vocab;     /* tokens are below; 0: below 1000 */
	size_t page_bytes;  /* 0: no pages are made, page_at is NULL */
	bool far;           /* some sequences are */
};
struct parity_batch {
	struct device_batch host;       /* arrays on the host; page_at: those of pages.host */
	const struct device_batch *at;  /* on the device, like its arrays: for args */
	struct device_batch there;      /* a copy of that: addresses of the device */
	struct parity_buffer pages;     /* in shuffled order; poisoned; some belong to no sequence */
	uint32_t page_count;
};
void parity_batch(struct parity *p, const struct parity_shape *s, struct parity_batch *out);
/* Rows [row, row + rows) of one sequence as a batch of their own, over the same pages: a chunk of a text. */
const struct device_batch *parity_part(struct parity *p, const struct parity_batch *b, uint32_t row,
				       uint32_t rows);
/* Where position t of a sequence begins in pages.host, `at` bytes into its page. */
unsigned char *parity_page(const struct parity_batch *b, uint32_t sequence, uint32_t t);

/* ---- running and comparing ---- */

/* device_NAME with its typed args, unless the device has failed. */
#define PARITY_RUN(p, name, args)                                              \
	do {                                                                   \
		if ((p)->rc == 0 && (p)->step)                                 \
			(p)->rc = parity_step(p, DEVICE_##name, args);         \
		else if ((p)->rc == 0)                                         \
			(p)->rc = device_##name((p)->stream, args, &(p)->err); \
		parity_failed(p, #name);                                       \
	} while (0)
/* As a list of this operation alone, DEVICE_STEPS_KERNEL; a launch where that does not run it. */
int parity_step(struct parity *p, enum device_operation o, const void *args) MUST_USE;
/* Say once what a call of device.h that gave p->rc failed with; true if it has. */
bool parity_failed(struct parity *p, const char *what);

/* The largest |got - truth|, as a share of the truth's root mean square (of all n; 1 if that is 0). NaN
 * where got is not finite and truth is. */
double parity_error(const float *got, const double *truth, size_t n);
/* A check that error <= bound; NaN fails. what: printf, as is the shape: "rows %u, k %u" */
void parity_expect(struct parity *p, double error, double bound, const char *what, ...)
	__attribute__((format(printf, 4, 5)));
/* A check that the bytes are equal; the first difference is named. */
void parity_equal(struct parity *p, const void *got, const void *want, size_t bytes, const char *what, ...)
	__attribute__((format(printf, 5, 6)));
/* A check that [from, to) of a fetched output are poison still. */
void parity_untouched(struct parity *p, const struct parity_buffer *b, size_t from, size_t to);
/* A check of anything else. */
void parity_true(struct parity *p, bool holds, const char *what, ...) __attribute__((format(printf, 3, 4)));

#endif
