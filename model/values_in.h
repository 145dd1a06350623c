/* Private: values. values_files.c finds the files, values_gather.c what belongs together, values.c
 * reads, values_codes.c knows codes, values_kept.c keeps what decoding needs. */
#ifndef MODEL_VALUES_IN_H
#define MODEL_VALUES_IN_H

#include "model/codes.h"
#include "model/tensors_in.h"
#include "model/values.h"

#include <pthread.h>

/* A value and how it is decoded. */
struct value_item {
	struct model_value value;         /* first: a pointer to the one is one to the other */
	bool coded;                       /* by `coding`; else as the type says */
	struct model_coding coding;       /* of one matrix, as model_coding_open takes it */
	uint64_t matrices;                /* stacked in the value */
	bool turned;                      /* a row of the value is a column of the coding */
	const struct value_item *under;   /* of the base that an adapter lies over; or NULL */
	const struct model_low_rank *low; /* what it adds; NULL: nothing */
	const struct model_tensor *beside[CODING_PARTS];
	bool each[CODING_PARTS]; /* a part of its own for each matrix; else one for all */
	const struct model_tensor *stored[1 + CODING_PARTS];
};

/* What decoding one matrix needs: kept as long as somebody uses it, and then while there is room.
 */
struct value_kept {
	const struct value_item *item; /* NULL: free */
	uint64_t matrix;
	struct model_coding coding;
	unsigned char *codes; /* of the whole matrix, where rows are not apart; else NULL */
	uint64_t bytes, last;
	unsigned users;
	bool ready; /* else one thread reads it and others wait */
};

#define VALUES_KEPT 64

struct model_values {
	struct arena arena;
	struct model_tensors *tensors;
	struct source *source;
	struct value_item *item; /* [count] by name */
	size_t count;
	struct buf notes;
	struct model_values *base; /* borrowed: of `under`; or NULL */
	pthread_mutex_t lock;      /* of what follows */
	pthread_cond_t changed;
	struct value_kept kept[VALUES_KEPT];
	uint64_t kept_bytes, clock;
};

/* The tensors of all files that hold the model; what is left out goes into the notes. A name comes
 * once. */
int model_values_files(struct model_tensors **out, struct source *src, struct buf *notes,
		       struct err *e) MUST_USE;
/* v->item from v->tensors. */
int model_values_gather(struct model_values *v, const json_t *config, struct err *e) MUST_USE;

/* values_adapt.c: rows of the base, and what is added to them. */
int model_values_adapted(struct model_values *v, const struct value_item *it, uint64_t row,
			 uint64_t rows, float *out, struct err *e) MUST_USE;

/* values_codes.c: 1: t is the codes of a value, which *it now is; 0: it is none, or not available:
 * then *why may say why. */
int model_values_codes(struct model_values *v, const struct model_quant *quant,
		       const struct model_tensor *t, struct value_item *it, struct err *why);

/* What decoding the matrix of a coded value needs; to be given back. For any thread. */
int model_values_take(struct model_values *v, const struct value_item *item, uint64_t matrix,
		      struct value_kept **out, struct err *e) MUST_USE;
void model_values_give(struct model_values *v, struct value_kept *k);
void model_values_drop(struct model_values *v); /* all that is kept; nobody uses any */

#endif
