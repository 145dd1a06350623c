/* What a request says of the form of its answer, beside what it says of the subject: how far the
 * client can have a value written so that no rule knows it. */
#include "base/limits.h"
#include "serve/chat.h"

#include <string.h>

/* Keywords with which a schema can end a string or a number early, or fix its last symbol. */
static bool is_shaping(const char *key)
{
	static const char *const keys[] = { "pattern", "maxLength", "maximum", "exclusiveMaximum",
					    "multipleOf" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* The request's reader took no deeper document. */
static bool shapes(const json_t *schema)
{
	const char *key;
	json_t *inner;
	size_t i;
	json_array_foreach(schema, i, inner)
		if (shapes(inner))
			return true;
	json_object_foreach((json_t *)schema, key, inner)
		if (is_shaping(key) || shapes(inner))
			return true;
	return false;
}

/* What cannot be read shapes: nothing is known of it. */
static bool text_shapes(const struct buf *schema)
{
	struct err ignored;
	json_t *v;
	if (json_read_as(&v, schema->bytes ? schema->bytes : "", schema->len, SIZE_MAX,
			 LIMIT_REQUEST_DEPTH, JSON_WIDE, &ignored) < 0)
		return true;
	bool yes = shapes(v);
	json_decref(v);
	return yes;
}

/* Whether a call follows its schema: one that is demanded does, others where a tool is strict, or
 * where an answer that must match something may be a call instead. */
static bool calls_follow(const struct api_request *q)
{
	const json_t *tool;
	size_t i;
	bool follow = q->tool_choice == API_TOOLS_REQUIRED || q->tool_choice == API_TOOLS_NAMED ||
		      q->constraint != API_CONSTRAINT_NONE;
	json_array_foreach(q->tools, i, tool)
		follow |=
			json_is_true(json_object_get(json_object_get(tool, "function"), "strict"));
	return q->tools && follow;
}

unsigned serve_steering(const struct api_request *q)
{
	bool json =
		q->constraint == API_CONSTRAINT_OBJECT || q->constraint == API_CONSTRAINT_SCHEMA;
	bool follow = calls_follow(q), shaped = follow && shapes(q->tools);
	if (q->bias_count || q->ban_count || (q->constraint != API_CONSTRAINT_NONE && !json))
		return FILTER_STEERED | FILTER_SHAPED;
	if (q->constraint == API_CONSTRAINT_SCHEMA)
		shaped |= text_shapes(&q->constraint_text);
	return json || follow ? FILTER_STEERED | (shaped ? FILTER_SHAPED : 0) : 0;
}
