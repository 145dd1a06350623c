/* Private to flow/: a report as a page for people. */
#ifndef FLOW_PAGE_H
#define FLOW_PAGE_H

#include "base/buf.h"
#include "base/json.h"

/* Append an HTML page that needs no other file, no script and no network, and prints well: `lead`
 * (sentences in plain text, one a line) first, then every member of the report in its order.
 * Objects are tables of two columns, lists of objects are tables with a column for each member.
 * The same report gives the same bytes. Nothing of the report becomes markup. */
int flow_page(const char *title, const char *lead, const json_t *report, struct buf *out,
	      struct err *e) MUST_USE;

#endif
