/* Private: typed members of a config object. The first error sticks, so that a reader is one line
 * for each member. */
#ifndef MODEL_CONFIG_READER_H
#define MODEL_CONFIG_READER_H

#include "base/json.h"
#include "model/config.h"

struct config_reader {
	const json_t *o;
	const char *file; /* for sentences */
	char within[32];  /* "rope_scaling." inside a member, else "" */
	int code;         /* first error */
	struct err *e;
};

/* A reader for a member object; copy its code back. */
struct config_reader model_config_inside(struct config_reader *r, const char *key, const json_t *o);

const json_t *model_config_get(struct config_reader *r, const char *key); /* or NULL */
/* "config.json: KEY VALUE: why"; keeps the first. Returns the sticky code. */
int model_config_refuse(struct config_reader *r, int code, const char *key, const char *why);

/* Required; null and absence refuse. 0 after an error. */
uint32_t model_config_u32(struct config_reader *r, const char *key, uint32_t min, uint32_t max);
const char *model_config_text(struct config_reader *r, const char *key); /* "" after an error */
double model_config_number(struct config_reader *r, const char *key, double min, double max);
/* Optional; null counts as absent. */
uint32_t model_config_u32_or(struct config_reader *r, const char *key, uint32_t fallback,
			     uint32_t min, uint32_t max);
double model_config_number_or(struct config_reader *r, const char *key, double fallback, double min,
			      double max);
bool model_config_bool_or(struct config_reader *r, const char *key, bool fallback);
/* One of the NULL-terminated values; fallback NULL: required. Others refuse as ERR_UNSUPPORTED. */
const char *model_config_choice(struct config_reader *r, const char *key, const char *fallback,
				const char *const *values);
void model_config_text_only(struct config_reader *r, const char *key, const char *fallback,
			    const char *value);

/* rope_theta and rope_scaling, or rope_parameters, into c->rope. The caller sets size, layout and
 * share, the theta of a config that names none (0: 10000), and what holds where both are absent. */
void model_config_rope(struct config_reader *r, struct model_config *c);

/* config_family.c: one architecture. norm_eps: of a config that names none; own: the keys of
 * config.c's foreign list that its reader understands, ended by NULL. */
struct config_family {
	const char *type;
	void (*read)(struct config_reader *r, struct model_config *c);
	double norm_eps;
	const char *own[4];
};
/* NULL: unknown. */
const struct config_family *model_config_family(const char *type);

/* What a config means that leaves these keys out: its reference class's defaults. */
struct config_defaults {
	double scaling;               /* routed_scaling_factor */
	uint32_t groups, groups_kept; /* n_group, topk_group */
	uint32_t dense_layers;        /* first_k_dense_replace */
	uint32_t shared;              /* n_shared_experts */
};

/* config_experts.c: the routers and the widths of experts. */
void model_config_experts_softmax(struct config_reader *r, struct model_config *c);
void model_config_experts_deepseek_v2(struct config_reader *r, struct model_config *c);
void model_config_experts_sigmoid(struct config_reader *r, struct model_config *c,
				  const struct config_defaults *absent);
void model_config_experts_topk(struct config_reader *r, struct model_config *c);

#endif
