/* Which form of an operation a device runs: forms give the same bits, but for cuBLAS's, and which
 * is the fastest was measured. A table says it for an operation, the format of what it streams, a
 * class of shapes and the number of rows; what it does not name is as the library thinks best.
 * Without a file it is a built-in one. `make gpu-check` times all forms and writes
 * BUILD/gpu/choice.txt, which is read where HALLMARK_CUDA_CHOICE names it, or as
 * libhallmark_cuda.choice beside the library:
 *
 *   hallmark cuda choice 1
 *   device NVIDIA H200                      as device_facts has it
 *   capability 90
 *   library 10 3f00c2d1a5e7b911             DEVICE_TABLE_VERSION, device_forms_digest()
 *   product bf16 experts 8 narrow-one       rows up to 8, more than another line of the kind
 *   attend bf16 latent 64 queries-8
 *   product bf16 fast 512 auto              beyond 512 rows the fast regime's dense products are
 *   product bf16 fast 4294967295 cublas     cuBLAS's, where that is there: the one bits depend on
 *
 * Lines that begin with # and empty ones count for nothing. A file of another device or library, or
 * one with a mistake, is refused with a sentence, and the built-in table is used. */
#ifndef KERNELS_CHOICE_H
#define KERNELS_CHOICE_H

#include "kernels/device.h"

#define DEVICE_CHOICES 512 /* lines of a table */

/* What a product's job is, or what attention reads. */
enum device_class {
	DEVICE_EXPERTS,
	DEVICE_DENSE,
	DEVICE_HEADS,
	DEVICE_LATENT,
	DEVICE_FAST, /* a dense job of many rows in the fast regime */
	DEVICE_CLASSES
};

struct device_choice_line {
	uint8_t operation; /* DEVICE_product or DEVICE_attend */
	uint8_t format;    /* enum kernel_format, or enum kernel_cache */
	uint8_t shapes;    /* enum device_class */
	uint8_t form;
	uint32_t rows; /* at most */
};

struct device_choice {
	uint32_t lines;
	struct device_choice_line line[DEVICE_CHOICES];
	char said[300]; /* "built in", a file's path, or why a file is not used */
};

/* The forms that are built, by number; 0 is the library's own choice. NULL, or a form of zeros:
 * there is none. */
uint32_t device_forms(enum device_operation o);
const char *device_form_name(enum device_operation o, uint32_t form);
struct product_form device_product_form(uint32_t form);
struct attend_form device_attend_form(uint32_t form);
/* Of all names: another library may have other forms under the same numbers. */
uint64_t device_forms_digest(void);

/* The built-in table of a compute capability. */
void device_choice_built_in(uint32_t capability, struct device_choice *out);
/* A file's text, for the device of these facts. ERR_INPUT with the line; ERR_UNSUPPORTED for
 * another device or library. out: as it was then. */
int device_choice_parse(const char *text, const struct device_facts *facts,
			struct device_choice *out, struct err *e) MUST_USE;
/* The table for an opened library: of the file that lies there, or that HALLMARK_CUDA_CHOICE names,
 * else built in; out->said says which, and why a file is not used. */
void device_choice_open(const char *library, const struct device_facts *facts,
			struct device_choice *out);
/* The head of a file, and a line; as snprintf. */
int device_choice_head(char *out, size_t room, const struct device_facts *facts);
int device_choice_write(char *out, size_t room, const struct device_choice_line *line);

/* The number of the form for these; 0: the table has no line. rows: what a job is likely to have */
uint32_t device_choice_find(const struct device_choice *c, enum device_operation o, uint8_t format,
			    enum device_class shapes, uint32_t rows);
/* Are the fast regime's dense products of so many rows cuBLAS's? Of format KERNEL_FORMATS: any. */
bool device_choice_cublas(const struct device_choice *c, enum kernel_format format, uint32_t rows);
/* The table of an open device. */
const struct device_choice *device_choices(const struct device *d);

#endif
