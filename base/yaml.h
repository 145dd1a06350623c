/* YAML 1.1 by libyaml, as a JSON value: what front matter holds. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/json.h"

#define YAML_PROBLEM 200 /* bytes of a sentence */

/* The keys of the mapping that text[0..len) is, as an object (a new reference), in their order.
 * Scalars are strings as they are written, whatever type they would be; a plain null, or nothing,
 * is null. An alias is what its anchor named, and "<<" adds the keys that are missing. Of two equal
 * keys the first counts. What is no UTF-8 and what YAML does not allow is U+FFFD.
 *
 * Text by people need not be YAML: a key whose value is none is left out, reading goes on with the
 * next line that begins a key, and problem (or "") says what the first mistake is, counting lines
 * from first_line. ERR_NOMEM. */
int yaml_read(json_t **out, const char *text, size_t len, size_t first_line,
	      char problem[YAML_PROBLEM], struct err *e) MUST_USE;

#endif
