/* Configs of the families, and changes to them. */
#ifndef TESTS_MODEL_FAMILIES_H
#define TESTS_MODEL_FAMILIES_H

#include "base/json.h"
#include "model/config.h"

/* tests/vectors/configs/families.json */
json_t *families_open(void);
/* Parse the config called name with changes, an object: its members replace those of the text model,
 * "DROP" removes one, those of "top" replace the top's. */
int families_parse(json_t *all, const char *name, const char *changes, struct model_config *c,
                   struct err *e) MUST_USE;

#endif
