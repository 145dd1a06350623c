/* adapter_config.json of a LoRA adapter. */
#include "model/adapter.h"
#include "model/config_reader.h"

#include "base/limits.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

#define RANK_MAX 65536

/* Keys that would compute something else unless they are null, false or empty. */
static const char *const other[] = {
	"use_dora",      "modules_to_save",   "trainable_token_indices", "layer_replication",
	"lora_bias",     "target_parameters", "alora_invocation_tokens", "use_qalora",
	"use_bdlora",    "arrow_config",      "monteclora_config",       "kasa_config",
	"velora_config", "lora_ga_config",    "megatron_config",
};

/* Ways to begin that change the base itself. */
static const char *const inits[] = { "pissa", "olora", "loftq", "corda", "lora_ga" };

static bool is_nothing(const json_t *v)
{
	bool empty = (json_is_object(v) || json_is_array(v)) &&
		     json_object_size(v) + json_array_size(v) == 0;
	return v == NULL || json_is_null(v) || json_is_false(v) || empty;
}

static void refuse_other(struct config_reader *r)
{
	const char *init = json_string_value(model_config_get(r, "init_lora_weights"));
	for (size_t i = 0; i < sizeof other / sizeof *other; i++)
		if (!is_nothing(model_config_get(r, other[i])))
			model_config_refuse(r, ERR_UNSUPPORTED, other[i],
					    "not available in this version");
	for (size_t i = 0; init && i < sizeof inits / sizeof *inits; i++)
		if (text_starts(init, inits[i]))
			model_config_refuse(r, ERR_UNSUPPORTED, "init_lora_weights",
					    "changes the base: not available in this version");
	model_config_text_only(r, "bias", "none", "none");
}

/* ---- patterns ---- */

/* A pattern is a module's name or its end. Regular expressions in general are not read: only the
 * marks that such names are written with. */
static int pattern_read(struct config_reader *r, const char *key, const char *pattern, char *out,
			size_t room)
{
	size_t n = 0;
	for (const char *c = pattern + (*pattern == '^'); *c && n + 1 < room; c++) {
		bool last = *c == '$' && !c[1], escaped = *c == '\\' && c[1] == '.';
		if (last)
			break;
		c += escaped;
		if (strchr("\\^$*+?()[]{}|", *c))
			return model_config_refuse(r, ERR_UNSUPPORTED, key,
						   "a regular expression: not available in this "
						   "version");
		out[n++] = *c;
	}
	out[n] = '\0';
	return 0;
}

/* The value of the first pattern that a module's name, or its end, is; or NULL. */
static const json_t *pattern_find(struct config_reader *r, const char *key, const char *module)
{
	const char *pattern;
	json_t *v;
	char name[400];
	const json_t *all = model_config_get(r, key);
	if (!json_is_object(all) && !is_nothing(all))
		model_config_refuse(r, ERR_INPUT, key, "not an object");
	json_object_foreach((json_t *)(uintptr_t)all, pattern, v) {
		size_t n, m = strlen(module);
		if (pattern_read(r, key, pattern, name, sizeof name) < 0)
			return NULL;
		n = strlen(name);
		bool whole = *pattern == '^' || n == m;
		if (n > 0 && n <= m && strcmp(module + m - n, name) == 0 &&
		    (whole ? n == m : module[m - n - 1] == '.'))
			return v;
	}
	return NULL;
}

static double pattern_number(struct config_reader *r, const char *key, const char *module,
			     double otherwise)
{
	const json_t *v = pattern_find(r, key, module);
	if (v && !json_is_number(v))
		model_config_refuse(r, ERR_INPUT, key, "not numbers");
	return v ? json_number_value(v) : otherwise;
}

static int part_read(struct config_reader *r, struct model_low_rank *p)
{
	double rank = model_config_u32(r, "r", 1, RANK_MAX),
	       alpha = model_config_number_or(r, "lora_alpha", 8, -1e9, 1e9);
	bool root = model_config_bool_or(r, "use_rslora", false);
	rank = pattern_number(r, "rank_pattern", p->module, rank);
	alpha = pattern_number(r, "alpha_pattern", p->module, alpha);
	TRY(r->code);
	if (!(rank >= 1 && rank <= RANK_MAX) || (uint64_t)rank != p->a->shape[0])
		return err_set(r->e, ERR_INPUT,
			       "%s: tensor %s is [%llu, %llu]: by adapter_config.json its rank is "
			       "%.9g",
			       p->a->file, p->a->name, (unsigned long long)p->a->shape[0],
			       (unsigned long long)p->a->shape[1], rank);
	p->rank = (uint32_t)rank;
	p->scale = alpha / (root ? sqrt(rank) : rank);
	return isfinite(p->scale)
		       ? 0
		       : model_config_refuse(r, ERR_INPUT, "lora_alpha", "not a finite number");
}

/* ---- notes ---- */

static const char *last_part(const char *path)
{
	const char *at = strrchr(path, '/');
	return at && at[1] ? at + 1 : path;
}

/* What it was made for, where that is called otherwise. */
static void note_base(struct config_reader *r, const char *base)
{
	const char *name = json_string_value(model_config_get(r, "base_model_name_or_path"));
	if (name && base && strcmp(last_part(name), last_part(base)) != 0)
		model_config_note(r, "%s: made for %.120s, merged into %.120s", r->file, name,
				  base);
	if (model_config_bool_or(r, "fan_in_fan_out", false))
		model_config_note(r,
				  "%s: fan_in_fan_out is without effect: all matrices here are "
				  "[outputs, inputs]",
				  r->file);
}

static int config_take(struct config_reader *r, struct model_adapter *a, const char *base)
{
	static const char *const kinds[] = { "LORA", NULL };
	model_config_choice(r, "peft_type", NULL, kinds);
	TRY(r->code);
	refuse_other(r);
	TRY(r->code);
	for (size_t i = 0; i < a->count; i++)
		TRY(part_read(r, &a->part[i]));
	note_base(r, base);
	return r->code;
}

int model_adapter_config(struct model_adapter *a, const char *text, size_t len, const char *base,
			 struct err *e)
{
	json_t *root = NULL;
	int rc = json_read_as(&root, text, len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, JSON_PYTHON, e);
	if (rc < 0)
		return err_prefix(e, "adapter_config.json");
	struct config_reader r = {
		.o = root, .file = "adapter_config.json", .notes = a->notes, .e = e
	};
	rc = json_is_object(root) ? config_take(&r, a, base)
				  : err_set(e, ERR_INPUT, "adapter_config.json: not an object");
	json_decref(root);
	return rc;
}
