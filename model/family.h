/* Private: the families' readers. family_*.c hold them by kinship: for each family a table of what
 * its reference class assumes, a reader, and a row in a list that family.c knows. */
#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H

#include "model/config_reader.h"

/* One architecture. own: the keys of config_keys.c's list that its reader understands, ended by
 * NULL; extra: its files may hold layers for prediction further ahead. */
struct config_family {
	const char *type;
	void (*read)(struct config_reader *r, struct model_config *c);
	const struct config_default *absent;
	const char *own[8];
	bool extra;
};
/* NULL: unknown. */
const struct config_family *model_family_of(const char *type);

/* By kinship, each ended by a NULL type. */
extern const struct config_family model_family_deepseek[], model_family_llama[],
	model_family_qwen[], model_family_moe[];

/* Widths, biases and rotation of the two kinds of attention; partial: a share of a head may be
 * rotated. */
void model_family_mla(struct config_reader *r, struct model_config *c);
void model_family_gqa(struct config_reader *r, struct model_config *c, bool partial);
/* sliding_window, of the layers first, first + every, ... Null is no window. */
void model_family_window(struct config_reader *r, struct model_config *c, uint32_t first,
			 uint32_t every);
/* intermediate_size */
void model_family_ffn(struct config_reader *r, struct model_config *c);

#endif
