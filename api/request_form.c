/* Request fields that say what an answer must match: response_format, and the names that vLLM,
 * SGLang and llama.cpp have for the same. One of them may be given. */
#include "api/request_read.h"
#include "base/limits.h"

#include <string.h>

#define CONSTRAINT_BYTES_MAX KIB(256)

static int set_constraint(struct api_request *r, const char *name, enum api_constraint_kind kind,
			  const json_t *v, struct err *e)
{
	if (r->constraint != API_CONSTRAINT_NONE)
		return err_at(e,
			      err_set(e, ERR_INPUT,
				      "\"%s\" and \"%s\": an answer matches one of them",
				      r->constraint_field, name),
			      "invalid_value", "%s", name);
	r->constraint = kind;
	r->constraint_field = name;
	if (json_is_string(v))
		buf_add(&r->constraint_text, json_string_value(v), json_string_length(v));
	else if (v)
		TRY(json_write(v, 0, &r->constraint_text, e));
	if (r->constraint_text.len > CONSTRAINT_BYTES_MAX)
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\" is longer than %zu KiB", name,
				      CONSTRAINT_BYTES_MAX >> 10),
			      "string_above_max_length", "%s", name);
	return buf_done(&r->constraint_text, e);
}

int api_read_guided_json(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	if (!json_is_object(v) && !json_is_string(v))
		return api_read_mistyped(name, "a schema, as object or text", e);
	return set_constraint(r, name, API_CONSTRAINT_SCHEMA, v, e);
}

static int read_text(struct api_request *r, const char *name, enum api_constraint_kind kind,
		     const json_t *v, struct err *e)
{
	if (!json_is_string(v))
		return api_read_mistyped(name, "a string", e);
	if (kind == API_CONSTRAINT_GRAMMAR && json_string_length(v) == 0)
		return api_read_note(r, name, e); /* llama.cpp's word for none */
	return set_constraint(r, name, kind, v, e);
}

int api_read_guided_regex(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return read_text(r, name, API_CONSTRAINT_REGEX, v, e);
}

int api_read_guided_grammar(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return read_text(r, name, API_CONSTRAINT_GRAMMAR, v, e);
}

int api_read_guided_choice(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *one;
	if (!json_is_array(v))
		return api_read_mistyped(name, "a list of strings", e);
	if (!json_array_size(v))
		return api_read_unexpected(name, "a list of strings", e);
	json_array_foreach(v, i, one)
		if (!json_is_string(one))
			return api_read_mistyped(name, "a list of strings", e);
	return set_constraint(r, name, API_CONSTRAINT_CHOICE, v, e);
}

static int read_object(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool wanted = false;
	TRY(api_read_bool(name, v, &wanted, e));
	return wanted ? set_constraint(r, name, API_CONSTRAINT_OBJECT, NULL, e) : 0;
}

/* ---- structured_outputs ---- */

int api_read_structured(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const struct {
		const char *key, *field; /* the record's name for it */
		api_field_reader *read;
	} forms[] = { { "json", "guided_json", api_read_guided_json },
		      { "regex", "guided_regex", api_read_guided_regex },
		      { "choice", "guided_choice", api_read_guided_choice },
		      { "grammar", "guided_grammar", api_read_guided_grammar },
		      { "json_object", "structured_outputs.json_object", read_object } };
	static const char *const keys[] = { "json",        "regex",          "choice", "grammar",
					    "json_object", "structural_tag", NULL };
	const json_t *pattern = api_read_member(v, "whitespace_pattern");
	if (!json_is_object(v))
		return api_read_mistyped(name, "an object", e);
	if (api_read_member(v, "structural_tag"))
		return api_read_unsupported("structured_outputs.structural_tag", e);
	if (pattern || json_is_true(json_object_get(v, "disable_any_whitespace")))
		return api_read_unsupported(pattern ? "structured_outputs.whitespace_pattern"
						    : "structured_outputs.disable_any_whitespace",
					    e);
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		const json_t *one = api_read_member(v, forms[i].key);
		if (one)
			TRY(forms[i].read(r, forms[i].field, one, e));
	}
	return api_read_others(r, v, keys, name, e);
}

/* ---- response_format ---- */

static int read_schema(struct api_request *r, const json_t *schema, struct err *e)
{
	if (!json_is_object(schema))
		return err_at(e,
			      err_set(e, ERR_INPUT,
				      "\"response_format\": expected \"json_schema\": "
				      "{\"schema\": {...}}"),
			      schema ? "invalid_type" : "missing_required_parameter",
			      "response_format.json_schema.schema");
	return set_constraint(r, "response_format", API_CONSTRAINT_SCHEMA, schema, e);
}

/* {"type": "json_schema", "json_schema": {"name", "schema", ...}}; some leave the middle out. */
static int read_json_schema(struct api_request *r, const json_t *v, struct err *e)
{
	static const char *const keys[] = { "name", "description", "schema", "strict", NULL };
	const json_t *o = api_read_member(v, "json_schema");
	if (!o)
		return read_schema(r, api_read_member(v, "schema"), e);
	TRY(read_schema(r, api_read_member(o, "schema"), e));
	return api_read_others(r, o, keys, "response_format.json_schema", e);
}

/* With a schema beside it, as Together, Fireworks and llama.cpp take it. */
static int read_json_object(struct api_request *r, const json_t *v, struct err *e)
{
	const json_t *schema = api_read_member(v, "schema");
	return schema ? read_schema(r, schema, e)
		      : set_constraint(r, "response_format", API_CONSTRAINT_OBJECT, NULL, e);
}

/* The first of these members; NULL: none. */
static const json_t *one_of(const json_t *v, const char *a, const char *b, const char *c)
{
	const json_t *x = api_read_member(v, a), *y = api_read_member(v, b);
	return x ? x : y ? y : api_read_member(v, c);
}

static int read_regex(struct api_request *r, const json_t *v, struct err *e)
{
	const json_t *text = one_of(v, "pattern", "regex", "value");
	return read_text(r, "response_format", API_CONSTRAINT_REGEX, text, e);
}

static int read_grammar(struct api_request *r, const json_t *v, struct err *e)
{
	const json_t *text = one_of(v, "grammar", "value", "definition");
	return read_text(r, "response_format", API_CONSTRAINT_GRAMMAR, text, e);
}

static int read_json(struct api_request *r, const json_t *v, struct err *e)
{
	return read_schema(r, one_of(v, "value", "schema", "json_schema"), e);
}

static int read_plain(struct api_request *r, const json_t *v, struct err *e)
{
	(void)v;
	return api_read_note(r, "response_format", e);
}

int api_read_response_format(struct api_request *r, const char *name, const json_t *v,
			     struct err *e)
{
	static const struct {
		const char *type;
		int (*read)(struct api_request *r, const json_t *v, struct err *e);
	} types[] = { { "text", read_plain },
		      { "json_object", read_json_object },
		      { "json_schema", read_json_schema },
		      { "regex", read_regex },
		      { "grammar", read_grammar },
		      { "json", read_json } };
	static const char *const keys[] = { "type",    "json_schema", "schema",
					    "pattern", "regex",       "value",
					    "grammar", "definition",  NULL };
	const char *type = json_string_value(json_object_get(v, "type"));
	if (!type)
		return api_read_mistyped(name, "an object with a \"type\"", e);
	TRY(api_read_others(r, v, keys, name, e));
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(type, types[i].type) == 0)
			return types[i].read(r, v, e);
	return err_at(e,
		      err_set(e, ERR_UNSUPPORTED,
			      "not available in this version: response_format \"%.40s\"", type),
		      "unsupported_value", "response_format.type");
}

/* ---- text.format, output_config.format ---- */

int api_read_format(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	static const char *const keys[] = {
		"type", "name", "description", "schema", "strict", NULL
	};
	const char *type = json_string_value(json_object_get(v, "type"));
	const json_t *schema = api_read_member(v, "schema");
	if (!type)
		return api_read_mistyped(name, "an object with a \"type\"", e);
	TRY(api_read_others(r, v, keys, name, e));
	if (strcmp(type, "text") == 0)
		return api_read_note(r, name, e);
	if (strcmp(type, "json_object") == 0)
		return set_constraint(r, name, API_CONSTRAINT_OBJECT, NULL, e);
	if (strcmp(type, "json_schema") != 0)
		return api_read_refused(name, type, e);
	if (!json_is_object(schema))
		return err_at(e,
			      err_set(e, ERR_INPUT,
				      "\"%s\": expected {\"type\": \"json_schema\", "
				      "\"schema\": {...}}",
				      name),
			      schema ? "invalid_type" : "missing_required_parameter", "%s.schema",
			      name);
	return set_constraint(r, name, API_CONSTRAINT_SCHEMA, schema, e);
}
