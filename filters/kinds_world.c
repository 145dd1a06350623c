/* Kinds of further countries. */
#include "filters/kind.h"

static const struct kind world[] = { { 0 } };

const struct kind *const kind_tables_world[] = { world, NULL };
