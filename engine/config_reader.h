/* Private: typed members of a config object with a sticky first error, so that a reader is a list
 * of lines.
 * */
#ifndef ENGINE_CONFIG_READER_H
#define ENGINE_CONFIG_READER_H

#include "engine/config.h"

struct config_reader {
	const json_t *o;
	const char *file; /* for sentences */
	char within[32];  /* "rope_scaling." inside a member, else "" */
	int code;         /* first error */
	struct err *e;
};

/* A reader for a member object; copy its code back. */
struct config_reader config_inside(struct config_reader *r, const char *key, const json_t *o);

const json_t *config_get(struct config_reader *r, const char *key); /* or NULL */
/* "config.json: KEY VALUE: why"; keeps the first. Returns the sticky code. */
int config_refuse(struct config_reader *r, int code, const char *key, const char *why);

/* Required; null and absence refuse. 0 after an error. */
uint32_t config_u32(struct config_reader *r, const char *key, uint32_t min, uint32_t max);
const char *config_text(struct config_reader *r, const char *key); /* "" after an error */
double config_number(struct config_reader *r, const char *key, double min, double max);
/* Optional; null counts as absent. */
uint32_t config_u32_or(struct config_reader *r, const char *key, uint32_t fallback, uint32_t min,
		       uint32_t max);
double config_number_or(struct config_reader *r, const char *key, double fallback, double min,
			double max);
bool config_bool_or(struct config_reader *r, const char *key, bool fallback);
/* One of the NULL-terminated values; fallback NULL: required. Others refuse as ERR_UNSUPPORTED. */
const char *config_choice(struct config_reader *r, const char *key, const char *fallback,
			  const char *const *values);
void config_text_only(struct config_reader *r, const char *key, const char *fallback,
		      const char *value);

/* rope_theta and rope_scaling, or rope_parameters, into c->rope. The caller sets size, layout and
 * share, and the theta of a config that names none (0: 10000). */
void config_rope(struct config_reader *r, struct model_config *c);

/* config_family.c: one architecture. own: the keys of config.c's foreign list that its reader
 * understands, ended by NULL. */
struct config_family {
	const char *type;
	void (*read)(struct config_reader *r, struct model_config *c);
	const char *own[4];
};
/* NULL: unknown. */
const struct config_family *config_family(const char *type);

/* config_experts.c: the routers and the widths of experts. */
void config_experts_softmax(struct config_reader *r, struct model_config *c);
void config_experts_deepseek_v2(struct config_reader *r, struct model_config *c);
void config_experts_sigmoid(struct config_reader *r, struct model_config *c);
void config_experts_topk(struct config_reader *r, struct model_config *c);

#endif
