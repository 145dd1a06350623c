/* Template: chat templates, Jinja2 3.1 as model libraries set it up, every resource bounded. */
#ifndef TEMPLATE_TEMPLATE_H
#define TEMPLATE_TEMPLATE_H

#include "base/buf.h"
#include "base/json.h"

#include <stdint.h>

/* Render the template text[0..len). vars: top-level variables, an object. now_us: for strftime_now.
 * out: appended. origin: appended, one byte for each byte of out, 1 data, 0 template; may be NULL.
 * ERR_INPUT: a template that is none, a limit reached, or raise_exception with its message;
 * ERR_UNSUPPORTED names the construct. */
int template_render(const char *text, size_t len, const json_t *vars, int64_t now_us,
		    struct buf *out, struct buf *origin, struct err *e) MUST_USE;

#endif
