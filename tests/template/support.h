#ifndef TESTS_TEMPLATE_SUPPORT_H
#define TESTS_TEMPLATE_SUPPORT_H

#include "template/template.h"
#include "tests/shared/vectors.h"

/* Render with these variables (JSON), at a fixed time; as template_render. */
int vector_render(const char *template, const char *variables, struct buf *out, struct buf *origin,
                  struct err *e);

#endif
