/* How a checkpoint says that its matrices are stored in codes: quantization_config. */
#ifndef MODEL_QUANT_H
#define MODEL_QUANT_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum model_quant_method { /* clang-format off */
	QUANT_NONE, QUANT_COMPRESSED, QUANT_FP8, QUANT_MODELOPT, QUANT_GPTQ, QUANT_AWQ,
	QUANT_BITSANDBYTES /* clang-format on */
};

#define MODEL_QUANT_GROUPS 16

/* Codes of one kind: integers, or E4M3 (8 bits) and E2M1 (4). */
struct model_quant_group {
	bool is_float, symmetric;
	unsigned bits;
	uint32_t block_rows, block_columns; /* a scale each; 0: of all rows, of all columns */
};

/* Which tensors are stored so, the tensors themselves say; each must be as one of the groups. */
struct model_quant {
	enum model_quant_method method; /* NONE: no codes of several tensors */
	struct model_quant_group group[MODEL_QUANT_GROUPS];
	uint32_t groups;
	bool zero_less_one; /* GPTQ: the first format of files */
	bool symmetric;     /* GPTQ: all zero points are half of the codes */
	bool ordered;       /* GPTQ: columns belong to groups by g_idx */
};

/* What config.json says of its codes; of one without them method NONE. The family does not matter.
 * ERR_UNSUPPORTED, ERR_INPUT: by key and value. */
int model_quant_read(struct model_quant *out, const json_t *config, struct err *e) MUST_USE;

#endif
