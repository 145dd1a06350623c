/* What a model says of its size and its name, beside its files and who signed it. */
#include "base/text.h"
#include "flow/fork_findings.h"
#include "model/values.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- counted ---- */

/* The number behind ".experts." in a tensor's name, or -1. */
static long expert_of(const char *name)
{
	static const char key[] = ".experts.";
	const char *at = strstr(name, key);
	if (!at || !isdigit((unsigned char)at[strlen(key)]))
		return -1;
	return strtol(at + strlen(key), NULL, 10);
}

void flow_fork_count(struct flow_fork_facts *x, const struct model_values *values)
{
	double unread = 0, stored = 0, matrices = 0;
	for (size_t i = 0; i < model_values_count(values); i++) {
		const struct model_value *v = model_values_at(values, i);
		double count = (double)v->rows * (double)v->columns,
		       bytes = (double)model_value_bytes(v);
		long expert = expert_of(v->name);
		if (expert >= (long)x->experts && expert < 1L << 16)
			x->experts = (uint32_t)expert + 1;
		if (!v->floats) {
			unread += bytes;
			continue;
		}
		x->parameters += count;
		if (v->rank > 1) {
			matrices += count;
			stored += bytes;
		}
	}
	if (unread > stored / 20)
		x->parameters = 0; /* codes that are not read: how many is not known */
	double bits = matrices > 0 ? 8 * stored / matrices : 16;
	if (x->bits == 0 && bits < 12)
		x->bits = bits < 1 ? 1 : bits < 8 ? (unsigned)bits : 8;
}

/* ---- size ---- */

/* The largest "7B", "350m", "8x7b" among the words of a name; 0: none. Letters before it make it
 * something else: A3B is active, E2B effective, v1B a version. */
static double size_in(const char *name)
{
	double best = 0;
	for (const char *at = name; *at; at++) {
		bool begins = isdigit((unsigned char)*at) &&
			      (at == name || (!isalnum((unsigned char)at[-1]) && at[-1] != '.'));
		char *end;
		if (!begins)
			continue;
		double value = strtod(at, &end);
		if ((*end == 'x' || *end == 'X') && isdigit((unsigned char)end[1]))
			value *= strtod(end + 1, &end);
		double unit = tolower((unsigned char)*end) == 'b'   ? 1e9
			      : tolower((unsigned char)*end) == 'm' ? 1e6
								    : 0;
		if (unit > 0 && !isalnum((unsigned char)end[1]) && value * unit > best)
			best = value * unit;
	}
	return best;
}

/* Parts of a model, and what is laid over one, bear its size in their names. */
static bool is_part(const char *name)
{
	static const char *const words[] = { "lora",   "adapter", "eagle",     "medusa", "draft",
					     "mmproj", "encoder", "projector", "mtp",    "dflash" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

/* Whether so many could be called that: of a mixture the active ones may be meant. */
static bool could_be(double said, double counted, bool mixture, double factor)
{
	return said < counted * factor && (mixture || said > counted / factor);
}

static void tell_size(struct flow_told *t, const char *name)
{
	const struct flow_fork_facts *x = t->c->suspect;
	const json_t *text = json_object_get(x->config, "text_config");
	static const char *const keys[] = { "num_experts", "n_routed_experts",
					    "num_local_experts" };
	json_int_t experts = 0;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *v = json_object_get(x->config, keys[i]);
		v = v ? v : json_object_get(text, keys[i]);
		experts = json_is_integer(v) ? json_integer_value(v) : experts;
	}
	bool mixture = experts > 1 || x->experts > 1;
	double said = x->card.parameters, named = name && !is_part(name) ? size_in(name) : 0;
	if (x->experts && experts > 0 && experts != (json_int_t)x->experts)
		flow_tell(t, "F-PARAMS", FLOW_WARNING, NULL,
			  "config.json declares %lld experts; the files have %u",
			  (long long)experts, x->experts);
	if (!(x->parameters > 0))
		return;
	if (said > 0 && !could_be(said, x->parameters, mixture, 1.5))
		flow_tell(t, "F-PARAMS", FLOW_CONTRADICTION, NULL,
			  "the card declares %.3g parameters; the files have %.3g", said,
			  x->parameters);
	else if (named > 0 && !could_be(named, x->parameters, mixture, 2))
		flow_tell(t, "F-PARAMS", FLOW_WARNING, NULL,
			  "the name %.100s says %.3g parameters; the files have %.3g", name, named,
			  x->parameters);
}

/* ---- name ---- */

/* What it is called in public: by its card, else by the registry; NULL: not known. */
const char *flow_fork_public_name(const struct flow_fork_case *c)
{
	const char *name = c->suspect->card.model;
	return name[0] ? name : c->released ? c->name : NULL;
}

/* A card that calls the model org/name, which is registered, of what is neither that release nor
 * made from it by its own word. */
static void tell_name(struct flow_told *t)
{
	const struct flow_fork_case *c = t->c;
	const char *name = c->suspect->card.model;
	const json_t *model;
	size_t i;
	if (!strchr(name, '/') || c->released || flow_card_declares(&c->suspect->card, name))
		return;
	json_array_foreach(c->registered, i, model) {
		if (flow_name_match(name, json_string_value(model)) != FLOW_SAME)
			continue;
		flow_tell(t, "F-NAME", FLOW_WARNING, NULL,
			  "the card calls it %.100s, which is registered here with other content; "
			  "this one is no release of it",
			  name);
		return;
	}
}

void flow_tell_claims(struct flow_told *t)
{
	tell_size(t, flow_fork_public_name(t->c));
	tell_name(t);
}
