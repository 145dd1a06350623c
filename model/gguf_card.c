/* What a GGUF file says of its origin, as a model card's front matter: JSON between two rules,
 * which YAML reads. Keys by the GGUF specification, "general metadata". */
#include "model/gguf_in.h"

#include <stdio.h>
#include <string.h>

#define BASES_MAX 16

static const char *text_at(const json_t *meta, const char *key)
{
	const char *text = json_string_value(json_object_get(meta, key));
	return text && text[0] ? text : NULL;
}

/* "Meta Llama" and "Llama 3.1 8B" as a hub spells them; "" where there is no name. */
static void hub_name(const char *organisation, const char *name, char out[300])
{
	snprintf(out, 300, "%.120s%s%.160s", organisation ? organisation : "",
		 organisation && name ? "/" : "", name ? name : "");
	for (char *at = out; *at; at++)
		*at = *at == ' ' ? '-' : *at;
	if (!name)
		out[0] = 0;
}

static void add_base(const json_t *meta, unsigned i, struct arr *bases)
{
	static const char *const parts[] = { "repo_url", "organization", "name" };
	const char *said[3];
	char key[60], name[300];
	for (size_t k = 0; k < 3; k++) {
		snprintf(key, sizeof key, "general.base_model.%u.%s", i, parts[k]);
		said[k] = text_at(meta, key);
	}
	hub_name(said[1], said[2], name);
	if (said[0] || name[0])
		arr_add(bases, json_text_lossy(said[0] ? said[0] : name));
}

int model_gguf_card(const struct gguf_model *m, struct buf *out, struct err *e)
{
	static const char *const sources[] = { "general.source.repo_url",
					       "general.source.huggingface.repository",
					       "general.source.url" };
	static const struct {
		const char *from, *to;
	} keys[] = { { "general.license", "license" }, { "general.license.name", "license_name" } };
	const json_t *meta = m->part[0]->meta;
	struct obj o = { .json = json_object() };
	struct arr bases = { .json = json_array() }, tags = { .json = json_array() };
	const json_t *tag;
	size_t at;
	json_t *made = NULL;
	for (unsigned i = 0; i < BASES_MAX; i++)
		add_base(meta, i, &bases);
	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
		if (text_at(meta, sources[i]))
			arr_add(&bases, json_text_lossy(text_at(meta, sources[i])));
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const char *text = text_at(meta, keys[i].from);
		if (text)
			obj_add(&o, keys[i].to, json_text_lossy(text));
	}
	json_array_foreach(json_object_get(meta, "general.tags"), at, tag) {
		if (json_is_string(tag))
			arr_share(&tags, tag);
	}
	obj_array(&o, "base_model", &bases);
	obj_array(&o, "tags", &tags);
	TRY(obj_done(&o, &made, e));
	buf_add_text(out, "---\n");
	int rc = json_write(made, 0, out, e);
	buf_add_text(out, "\n---\n");
	json_decref(made);
	return rc;
}
