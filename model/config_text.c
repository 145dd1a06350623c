/* Files that wrap a text model in one that sees or hears: the text model is text_config, of which
 * the reference keeps some keys at the top. Older ones have its keys at the top and no text_config.
 */
#include "model/family.h"

/* Of the top, where the text model has none of its own; tying is the top's where both say. */
static const char *const shared[] = {
	"architectures",        "auto_map",       "bos_token_id",   "dtype",
	"eos_token_id",         "pad_token_id",   "torch_dtype",    "quantization_config",
	"transformers_version", "image_token_id", "video_token_id", "audio_token_id",
	"tie_word_embeddings",
};

/* What neither describes text nor changes it. */
static const char *const other[] = { "vision_config", "audio_config", "text_config" };

static json_t *without_others(const json_t *top)
{
	json_t *flat = json_copy((json_t *)(uintptr_t)top);
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		json_object_del(flat, other[i]);
	return flat;
}

static json_t *with_shared(const json_t *text, const json_t *top)
{
	json_t *merged = json_copy((json_t *)(uintptr_t)text);
	for (size_t i = 0; merged != NULL && i < sizeof shared / sizeof shared[0]; i++) {
		json_t *v = json_object_get(top, shared[i]);
		bool wins = i + 1 == sizeof shared / sizeof shared[0];
		if (v != NULL && (wins || json_object_get(merged, shared[i]) == NULL) &&
		    json_object_set(merged, shared[i], v) < 0) {
			json_decref(merged);
			merged = NULL;
		}
	}
	return merged;
}

int model_config_unwrap(struct config_reader *r, const struct config_family **f, json_t **merged)
{
	const char *type = (*f)->wraps;
	const json_t *text = model_config_get(r, "text_config");
	*merged = NULL;
	if (text != NULL && !json_is_null(text) && !json_is_object(text))
		return model_config_refuse(r, ERR_INPUT, "text_config", "not an object");
	bool flat = text == NULL || json_is_null(text);
	*merged = flat ? without_others(r->o) : with_shared(text, r->o);
	TRY(json_ok(*merged, r->e));
	r->o = *merged;
	if (!flat) {
		snprintf(r->within, sizeof r->within, "text_config.");
		if (!model_config_absent(r, "model_type"))
			type = model_config_text(r, "model_type");
	}
	TRY(r->code);
	*f = model_family_of(type);
	if (*f == NULL || (*f)->wraps != NULL)
		return model_config_refuse(r, ERR_UNSUPPORTED, "model_type",
					   "not available in this version");
	return r->code;
}
