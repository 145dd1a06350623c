/* Kinds of no one country. */
#include "filters/kind.h"

static const struct kind general[] = { { 0 } };

const struct kind *const kind_tables_general[] = { general, NULL };
