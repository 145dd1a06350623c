/* The reading of a text that is JSON. Private to the room. */
#ifndef FILTERS_JSON_H
#define FILTERS_JSON_H

#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number that a rule changes must go out as a string from its first byte on, so it is held whole:
 * so many bytes of it. The longest that a double needs has 24; what comes later in a longer one can
 * only be blocked. */
#define JSON_BARE_MAX 128
/* Keys are told apart in so many levels of nesting; deeper a rule that would change something
 * blocks. */
#define JSON_DEPTH LIMIT_REQUEST_DEPTH
#define JSON_ESCAPE_MAX 12 /* a pair of surrogates */
/* Bytes of source for one byte of a character in UTF-8, at most: \u0034. */
#define JSON_SPREAD 6

enum json_part { JSON_MARK, JSON_TEXT, JSON_BARE };

struct json_unit {
	uint32_t cp;
	size_t n; /* bytes of source */
	bool ill; /* ill-formed: cp is U+FFFD */
	enum json_part part;
};

/* The unit at s[0..len), len >= 1; false when more must come first. *in_string goes on with it.
 * json false: characters of any text, all of them JSON_TEXT. */
bool filter_unit(bool *in_string, bool json, const char *s, size_t len, bool final,
		 struct json_unit *u);

struct json_level {
	bool object;
	unsigned changed; /* keys of this object that a rule changed */
};

/* Where in the value the next byte to go out stands. */
struct json_place {
	unsigned depth;
	bool in_string, in_key, key_next;
	struct json_level level[JSON_DEPTH];
};
/* A mark goes by. */
void filter_json_mark(struct json_place *p, uint32_t cp);
bool filter_json_too_deep(const struct json_place *p);
/* One more key of this object was changed: how many by now. */
unsigned filter_json_count_key(struct json_place *p);

#endif
