/* Kinds of the member states of the European Union. */
#include "filters/kind.h"

static const struct kind eu[] = { { 0 } };

const struct kind *const kind_tables_eu[] = { eu, NULL };
