#include "support.h"

#include <string.h>

int vector_render(const char *template, const char *variables, struct buf *out, struct buf *origin,
                  struct err *e)
{
	json_t *vars = vector_json(variables, strlen(variables));
	int rc = template_render(template, strlen(template), vars, 1795352709000000, out, origin, e);
	json_decref(vars);
	return rc;
}
