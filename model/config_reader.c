#include "model/family.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct config_reader model_config_inside(struct config_reader *r, const char *key, const json_t *o)
{
	struct config_reader in = {
		.o = o, .file = r->file, .notes = r->notes, .code = r->code, .e = r->e
	};
	in.family = r->family;
	snprintf(in.within, sizeof in.within, "%.30s%.30s.", r->within, key);
	if (!json_is_object(o))
		in.code = model_config_refuse(r, ERR_INPUT, key, "not an object");
	return in;
}

static const json_t *take(struct config_reader *r, const char *key)
{
	if (r->seen != NULL && json_object_set_new(r->seen, key, json_true()) < 0)
		r->code = r->code ? r->code : err_set(r->e, ERR_NOMEM, "config.json");
	return json_object_get(r->o, key);
}

const json_t *model_config_get(struct config_reader *r, const char *key)
{
	const json_t *v = NULL;
	const struct config_alias *a = r->family != NULL ? r->family->alias : NULL;
	for (; v == NULL && a != NULL && a->key != NULL; a++)
		v = strcmp(a->key, key) == 0 ? take(r, a->other) : NULL;
	const json_t *own = take(r, key);
	return v != NULL ? v : own;
}

void model_config_note(struct config_reader *r, const char *fmt, ...)
{
	char line[400];
	size_t at = strlen(r->notes);
	va_list args;
	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	for (char *c = line; *c != '\0'; c++) /* a key is anybody's text, and a terminal shows it */
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	if (at + strlen(line) + 2 <= MODEL_NOTES)
		snprintf(r->notes + at, MODEL_NOTES - at, "%s\n", line);
}

int model_config_refuse(struct config_reader *r, int code, const char *key, const char *why)
{
	const json_t *v = json_object_get(r->o, key);
	char *text = v == NULL ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	if (r->code == 0)
		r->code = err_set(r->e, code, "%s: %s%s %.120s%s%s", r->file, r->within, key,
				  text == NULL ? "" : text, text == NULL ? "" : ": ", why);
	free(text);
	return r->code;
}

bool model_config_absent(struct config_reader *r, const char *key)
{
	const json_t *v = model_config_get(r, key);
	return v == NULL || json_is_null(v);
}

/* The default of a key that is left out, or NULL. */
static const double *left_out(struct config_reader *r, const char *key)
{
	if (r->absent == NULL || model_config_get(r, key) != NULL)
		return NULL;
	for (const struct config_default *d = r->absent; d->key != NULL; d++) {
		if (strcmp(d->key, key) == 0)
			return &d->value;
	}
	return NULL;
}

static void range_refuse(struct config_reader *r, const char *key, double min, double max)
{
	char why[80];
	snprintf(why, sizeof why, "out of range, %.10g to %.10g", min, max);
	model_config_refuse(r, ERR_INPUT, key, why);
}

uint32_t model_config_u32(struct config_reader *r, const char *key, uint32_t min, uint32_t max)
{
	const json_t *v = model_config_get(r, key);
	const double *known = left_out(r, key);
	if (known != NULL)
		return (uint32_t)*known;
	if (v == NULL)
		model_config_refuse(r, ERR_INPUT, key, "missing");
	else if (!json_is_integer(v))
		model_config_refuse(r, ERR_INPUT, key, "not an integer");
	else if (json_integer_value(v) < (json_int_t)min || json_integer_value(v) > (json_int_t)max)
		range_refuse(r, key, min, max);
	else
		return (uint32_t)json_integer_value(v);
	return 0;
}

uint32_t model_config_u32_or(struct config_reader *r, const char *key, uint32_t fallback,
			     uint32_t min, uint32_t max)
{
	bool none = model_config_absent(r, key) && left_out(r, key) == NULL;
	return none ? fallback : model_config_u32(r, key, min, max);
}

double model_config_number(struct config_reader *r, const char *key, double min, double max)
{
	const json_t *v = model_config_get(r, key);
	const double *known = left_out(r, key);
	double x = json_number_value(v);
	if (known != NULL)
		return *known;
	if (v == NULL)
		model_config_refuse(r, ERR_INPUT, key, "missing");
	else if (!json_is_number(v))
		model_config_refuse(r, ERR_INPUT, key, "not a number");
	else if (!(x >= min && x <= max))
		range_refuse(r, key, min, max);
	else
		return x;
	return 0;
}

double model_config_number_or(struct config_reader *r, const char *key, double fallback, double min,
			      double max)
{
	bool none = model_config_absent(r, key) && left_out(r, key) == NULL;
	return none ? fallback : model_config_number(r, key, min, max);
}

bool model_config_bool_or(struct config_reader *r, const char *key, bool fallback)
{
	const json_t *v = model_config_get(r, key);
	const double *known = left_out(r, key);
	if (v == NULL)
		return known != NULL ? *known > 0 : fallback;
	if (!json_is_boolean(v) && !json_is_null(v))
		model_config_refuse(r, ERR_INPUT, key, "not true or false");
	return json_is_true(v);
}

const char *model_config_text(struct config_reader *r, const char *key)
{
	const json_t *v = model_config_get(r, key);
	if (v == NULL)
		model_config_refuse(r, ERR_INPUT, key, "missing");
	else if (!json_is_string(v))
		model_config_refuse(r, ERR_INPUT, key, "not a string");
	else
		return json_string_value(v);
	return "";
}

const char *model_config_choice(struct config_reader *r, const char *key, const char *fallback,
				const char *const *values)
{
	const char *text = fallback != NULL && model_config_absent(r, key)
				   ? fallback
				   : model_config_text(r, key);
	for (; *values != NULL; values++) {
		if (strcmp(text, *values) == 0)
			return *values;
	}
	model_config_refuse(r, ERR_UNSUPPORTED, key, "not available in this version");
	return "";
}

void model_config_text_only(struct config_reader *r, const char *key, const char *fallback,
			    const char *value)
{
	const char *const values[] = { value, NULL };
	model_config_choice(r, key, fallback, values);
}
