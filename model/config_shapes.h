/* Private: configs of published models, for synthetic weights. */
#ifndef MODEL_CONFIG_SHAPES_H
#define MODEL_CONFIG_SHAPES_H

#include <stddef.h>
#include <stdint.h>

struct shape {
	const char *name;
	uint32_t layers;
	const char *config; /* members of config.json but the number of layers */
	const char *as_is;  /* and those of weights as they are released; "" mostly */
};

const struct shape *model_shape_at(size_t i); /* NULL past the last */

#endif
