/* Private: which tensors make up one matrix in codes, by the names and shapes of the formats. */
#ifndef MODEL_CODES_H
#define MODEL_CODES_H

#include "model/coding.h"
#include "model/quant.h"
#include "model/tensors_in.h"

/* One tensor beside the codes: its name behind "X.", and the types it may have. */
struct part_rule {
	const char *suffix;
	unsigned types; /* bit for each model_dtype */
	bool needed;
};

struct code_rule {
	enum model_quant_method method;
	const char *suffix; /* of the codes */
	enum model_dtype type;
	enum model_code_form form;
	bool is_float;
	unsigned bits; /* 0: as one of the groups says */
	struct part_rule part[CODING_PARTS];
};

#define CODES_TYPE(type) (1u << MODEL_##type)
#define CODES_ANY_FLOAT (CODES_TYPE(F16) | CODES_TYPE(BF16) | CODES_TYPE(F32))

/* The codes of a matrix with what lies beside them. */
struct model_codes {
	struct model_coding coding;
	const struct model_tensor *codes, *beside[CODING_PARTS];
};

/* Whose codes are looked for: X of "X.weight", the first `stem` bytes of name, its dot included. */
struct codes_place {
	const struct model_tensors *tensors;
	const struct model_quant *quant;
	const char *name;
	int stem;
	struct err *e;
};

/* Every rule; the i-th or NULL. */
const struct code_rule *model_codes_at(size_t i);
/* The tensor "X.SUFFIX", or NULL. */
const struct model_tensor *model_codes_beside(const struct codes_place *at, const char *suffix);
/* Whether all that the rule needs is beside X. */
bool model_codes_whole(const struct codes_place *at, const struct code_rule *rule);
/* The rule of quant's method whose codes are there, and the codes; of two that differ by names
 * alone, the one whose parts are. NULL: none is. */
const struct code_rule *model_codes_rule(const struct codes_place *at,
					 const struct model_tensor **codes);
/* What lies beside o->codes. ERR_INPUT: a part is missing; ERR_UNSUPPORTED: it is of another type.
 */
int model_codes_parts(const struct codes_place *at, const struct code_rule *rule,
		      struct model_codes *o) MUST_USE;
/* Set o->coding of [rows, columns] as the rule and quant's groups have it; check all shapes.
 * ERR_INPUT names the tensor. */
int model_codes_set(const struct codes_place *at, const struct code_rule *rule, uint32_t rows,
		    uint32_t columns, struct model_codes *o) MUST_USE;
/* A tensor has this shape. */
int model_codes_shape(const struct codes_place *at, const struct model_tensor *t, uint64_t rows,
		      uint64_t columns) MUST_USE;
/* Of activations, of the cache, and of how scales were found: not used. */
bool model_codes_surplus(const char *name);

#endif
