/* Names: which row of the tables names a slot in this folder, and which tensors are no part of the
 * model. */
#include "model/weights_loader.h"

#include "base/check.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct model_names usual = { 0 };

static const struct model_names *names_of(const struct loader *l)
{
	return l->c->names != NULL ? l->c->names : &usual;
}

static const char *layers_of(const struct loader *l)
{
	return names_of(l)->layers != NULL ? names_of(l)->layers : "layers.";
}

/* ---- one name ---- */

static void put(struct loader *l, size_t *at, const char *text)
{
	for (; *text != '\0' && *at + 1 < sizeof l->name; text++)
		l->name[(*at)++] = *text;
	l->name[*at] = '\0';
}

static void put_number(struct loader *l, size_t *at, uint32_t n)
{
	char digits[12];
	snprintf(digits, sizeof digits, "%u", n);
	put(l, at, digits);
}

static void name_make(struct loader *l, const struct model_name *n, uint32_t layer, uint32_t expert)
{
	bool pairs = names_of(l)->pairs, from_root = n->name[0] == '/';
	size_t at = 0;
	put(l, &at, l->root);
	put(l, &at, from_root ? "" : l->base);
	if (n->role != ROLE_WHOLE) {
		put(l, &at, layers_of(l));
		put_number(l, &at, pairs ? layer / 2 : layer);
		put(l, &at, ".");
	}
	for (const char *c = n->name + from_root; *c != '\0'; c++) {
		char one[2] = { *c, '\0' };
		if (*c == '*')
			put_number(l, &at, expert);
		else if (*c == '$')
			put_number(l, &at, layer % 2);
		else
			put(l, &at, one);
	}
}

bool model_plan_has(const struct loader *l, const char *end)
{
	char name[sizeof l->name + 40];
	snprintf(name, sizeof name, "%s%s", l->name, end);
	return model_tensors_find(l->tensors, name) != NULL;
}

/* It is in the folder, and no slot has it yet. */
static bool is_there(const struct loader *l)
{
	const struct model_tensor *t;
	if (l->tensors == NULL || model_plan_has(l, "_blocks") || model_coded_has(l))
		return true;
	t = model_tensors_find(l->tensors, l->name);
	return t != NULL && !l->used[t - model_tensors_at(l->tensors, 0)];
}

/* ---- rows ---- */

/* taken [MODEL_SLOTS]: those that a tensor brings already. */
static bool row_names(const struct loader *l, const struct model_name *n, enum model_slot slot,
		      enum model_role role, uint32_t layer, const bool *taken)
{
	bool found = n->role == role && n->slot[0] == slot;
	struct slot_shape shape;
	for (int i = 1; n->role == role && i < MODEL_PARTS && n->slot[i] != 0; i++)
		found = found || n->slot[i] == slot;
	for (int i = 0; found && i < MODEL_PARTS && (i == 0 || n->slot[i] != 0); i++)
		found = model_slot_shape(l->c, layer, role, n->slot[i], &shape) &&
			(taken == NULL || !taken[n->slot[i]]);
	return found;
}

const struct model_name *model_plan_row(struct loader *l, enum model_slot slot,
					enum model_role role, uint32_t layer, uint32_t expert,
					const bool *taken)
{
	const struct model_name *const tables[] = { names_of(l)->own, model_names_default };
	const struct model_name *first = NULL;
	for (int i = 0; i < 2; i++) {
		for (const struct model_name *n = tables[i]; n != NULL && n->name != NULL; n++) {
			bool late = role == ROLE_EXPERT && expert > 0 && !strchr(n->name, '*');
			if (late || !row_names(l, n, slot, role, layer, taken))
				continue;
			name_make(l, n, layer, expert);
			if (is_there(l))
				return n;
			first = first != NULL ? first : n;
		}
	}
	check(first != NULL); /* a family whose tables lack a name */
	name_make(l, first, layer, expert);
	return first;
}

void model_plan_name_of(struct loader *l, enum model_slot slot, uint32_t layer)
{
	const struct model_name *n = model_names_default;
	while (n->slot[0] != slot || n->slot[1] != 0)
		n++;
	name_make(l, n, layer, MODEL_NO_EXPERT);
}

int model_plan_name_at(struct loader *l, enum model_slot slot, uint32_t layer, uint32_t at)
{
	enum model_role role = model_slot_role(l->c, layer, slot);
	const struct model_name *n = model_plan_row(l, slot, role, layer, MODEL_NO_EXPERT, NULL);
	while (n->at < at)
		n++;
	name_make(l, n, layer, MODEL_NO_EXPERT);
	return 0;
}

/* ---- where names begin ---- */

/* A model that was saved without its head has no base, and one that is wrapped another: where its
 * embeddings lie says which. */
void model_plan_prefix(struct loader *l)
{
	const char *base = names_of(l)->base != NULL ? names_of(l)->base : "model.";
	const struct {
		const char *root, *base;
	} forms[] = { { "", base },
		      { "", "model.language_model." },
		      { "", "model.text_model." },
		      { "language_model.", base },
		      { "", "language_model." },
		      { "", "" } };
	for (size_t i = 0; l->tensors != NULL && i < sizeof forms / sizeof forms[0]; i++) {
		l->root = forms[i].root;
		l->base = forms[i].base;
		model_plan_row(l, SLOT_EMBED, ROLE_WHOLE, 0, MODEL_NO_EXPERT, NULL);
		if (model_plan_has(l, ""))
			return;
	}
	l->root = "";
	l->base = base;
}

/* ---- what is no part ---- */

static bool starts_any(const char *name, const char *const *starts)
{
	for (; starts != NULL && *starts != NULL; starts++) {
		if (text_starts(name, *starts))
			return true;
	}
	return false;
}

static bool ends_any(const char *name, const char *const *ends)
{
	for (; ends != NULL && *ends != NULL; ends++) {
		if (text_ends(name, *ends))
			return true;
	}
	return false;
}

/* The layer in a tensor's name, and what follows it; NULL: it is of none. */
static const char *name_layer(const struct loader *l, const char *name, unsigned long *layer)
{
	const char *const parts[] = { l->root, l->base, layers_of(l) };
	char *end;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (!text_starts(name, parts[i]))
			return NULL;
		name += strlen(parts[i]);
	}
	*layer = strtoul(name, &end, 10);
	return *end == '.' ? end + 1 : NULL;
}

/* Of layers for prediction further ahead, as many as the config says; and keys and values of layers
 * that attend another's. */
static bool layer_extra(const struct loader *l, const char *name)
{
	const struct model_config *c = l->c;
	unsigned long layer, layers = names_of(l)->pairs ? c->layers / 2 : c->layers;
	const char *part = name_layer(l, name, &layer);
	if (part == NULL)
		return false;
	if (layer >= layers)
		return layer - layers < c->extra_layers;
	return !names_of(l)->pairs && c->layer[layer].cache != layer &&
	       (text_starts(part, "self_attn.k_") || text_starts(part, "self_attn.v_"));
}

/* Old buffers; in wrapped models what sees and hears; and what is for prediction further ahead. */
static bool known_extra(const struct loader *l, const char *name)
{
	static const char *const buffers[] = { ".rotary_emb.inv_freq", ".rotary_emb.cos_cached",
					       ".rotary_emb.sin_cached", NULL };
	static const char *const senses[] = {
		"visual.",
		"vision_",
		"audio_",
		"multi_modal_projector.",
		"embed_vision.",
		"embed_audio.",
		"connector.",
		"image_newline",
		NULL,
	};
	const struct model_config *c = l->c;
	bool wrapped = c->wrapped || l->root[0] != '\0' || strstr(l->base, "language_model.");
	const char *in = text_starts(name, "model.") ? name + strlen("model.") : name;
	return ends_any(name, buffers) || ends_any(name, names_of(l)->ends) ||
	       starts_any(name, names_of(l)->extra) || (wrapped && starts_any(in, senses)) ||
	       (c->extra_layers > 0 && text_starts(name, "mtp.")) || model_coded_surplus(l, name) ||
	       layer_extra(l, name);
}

int model_plan_unused(struct loader *l)
{
	for (size_t i = 0; i < model_tensors_count(l->tensors); i++) {
		const struct model_tensor *t = model_tensors_at(l->tensors, i);
		int bias = l->used[i] ? 0 : model_coded_bias(l, t);
		if (bias < 0)
			return bias;
		if (!l->used[i] && bias == 0 && !known_extra(l, t->name))
			return err_set(l->e, ERR_INPUT,
				       "%s: tensor %s is not part of %s by the config", t->file,
				       t->name, l->c->model_type);
	}
	return 0;
}
