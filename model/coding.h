/* Values that are stored in several tensors: codes, and beside them scales, zero points and the
 * like. Pure: bytes to f32, without files. Every form is
 *
 *   value(r, k) = (code(r, k) - zero) * scale * after
 *
 * in f32, in this order, zero and scale those of the block (or group) that the value is in; without
 * a zero point or `after` that step is left out. Codes have at most 8 bits: with scales of 16 bits
 * the value is exact.
 *
 *   FLOATS  [rows][columns] of `dtype`
 *   BYTES   [rows][columns] of i8
 *   FIELDS  each row from a whole 32-bit word on, `bits` each, the lowest first; code = field -
 *           2^(bits - 1).  Source: compressed-tensors, pack_to_int32
 *   E2M1    [rows][columns/2], the low nibble first: FP4 of OCP Microscaling
 *   TABLE   nibbles of all values in a row, the HIGH one first: table[nibble], scales of `flat`
 *           values in a row.  Source: bitsandbytes, QuantState and dequantize_4bit
 *   GPTQ    [columns * bits / 32][rows] of words: `bits` of each of so many columns, lowest first
 *   ONE     one value of `dtype` for all
 *   NONE    none: its zero points are a vector that must be zero (biases in files of GPTQ)
 *   AWQ     [columns][rows / 8] of words: of rows 0 2 4 6 1 3 5 7, lowest first; 4 bits */
#ifndef MODEL_CODING_H
#define MODEL_CODING_H

#include "model/tensors.h"

enum model_code_form { /* clang-format off */
	CODE_FLOATS, CODE_BYTES, CODE_FIELDS, CODE_E2M1, CODE_TABLE, CODE_GPTQ, CODE_AWQ,
	CODE_ONE, CODE_NONE
}; /* clang-format on */

/* The tensors beside the codes. */
enum coding_part { /* clang-format off */
	PART_SCALE, PART_ZERO, PART_GROUP, PART_SHAPE, PART_WHOLE_SCALE,
	PART_MAP, PART_NESTED, PART_NESTED_MAP, PART_STATE, CODING_PARTS /* clang-format on */
};

struct model_coding {
	/* Set before model_coding_open. */
	enum model_code_form form;
	enum model_dtype dtype; /* FLOATS, ONE: of the codes */
	unsigned bits;          /* FIELDS, GPTQ */
	uint32_t rows, columns;
	/* A scale for each block of so many rows and columns; the last ones may be cut short. */
	uint32_t block_rows, block_columns;
	/* FIELDS, GPTQ of 4 bits with scales in f16, of groups of whole 32 as they lie, and zero
	 * points of 8: given as Q4_0 blocks, which are the same values. */
	bool narrow;
	bool zero_less_one; /* GPTQ: zero points are stored less one */
	bool whole_divides; /* the scale of the whole tensor divides; else it multiplies */
	float after;        /* 1: no such step */

	/* Set by model_coding_open; owned. */
	uint32_t groups;    /* blocks beside each other */
	float *scale;       /* [row blocks][groups], or flat; NULL: none */
	float *zero;        /* as scale; NULL: none */
	uint32_t *group_of; /* [columns]; NULL: k / block_columns */
	float table[16];
	uint32_t flat;
};

/* A tensor beside the codes as stored; tensor NULL: there is none. */
struct coding_bytes {
	const struct model_tensor *tensor;
	const unsigned char *bytes;
};

/* Bytes of a stored row; 0: rows are not apart, the whole tensor is decoded at once. */
size_t model_coding_row_bytes(const struct model_coding *c);
/* Bytes that model_coding_open takes. */
uint64_t model_coding_bytes(const struct model_coding *c);
/* Take the parts, whose types and shapes were checked, and check their values: ERR_INPUT names
 * tensor, place and value. Free with model_coding_close, which takes a
 * zeroed struct too. */
int model_coding_open(struct model_coding *c, const struct coding_bytes part[CODING_PARTS],
		      struct err *e) MUST_USE;
void model_coding_close(struct model_coding *c);
/* TABLE: the shape that the tensor PART_STATE tells. */
int model_coding_table_shape(const struct coding_bytes *state, uint32_t *rows, uint32_t *columns,
			     struct err *e) MUST_USE;
/* Rows [row, row + n) as f32 into out, [n][columns]. codes: the bytes of the first of them; where
 * rows are not apart, of the whole tensor. What is not finite stays so: the caller looks. */
void model_coding_rows(const struct model_coding *c, const unsigned char *codes, uint32_t row,
		       uint32_t n, float *out);
/* E2M1: columns [column, column + n) of all rows, each as a row: out [n][rows]. codes: of the whole
 * tensor. */
void model_coding_columns(const struct model_coding *c, const unsigned char *codes, uint32_t column,
			  uint32_t n, float *out);
/* narrow: the same as Q4_0, [n][columns / 32] of 18 bytes. */
void model_coding_blocks(const struct model_coding *c, const unsigned char *codes, uint32_t row,
			 uint32_t n, unsigned char *out);

#endif
