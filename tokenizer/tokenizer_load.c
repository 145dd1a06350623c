/* The components of tokenizer.json. A component, or a setting of one, that is not understood is
 * refused by name: a tokenizer that is nearly right ruins a model silently. */
#include "tokenizer/tokenizer_in.h"

#include <string.h>

#define SEQUENCE_DEPTH 8

struct loader {
	struct tokenizer *t;
	struct steps_list *out;
	const char *what; /* "normalizer" ... */
	struct err *e;
};
typedef int load_component(struct loader *l, const json_t *j, struct step *s);
struct component {
	const char *type;
	enum step_kind kind;
	load_component *load; /* NULL: nothing to read */
};

static int refuse(struct loader *l, const char *name)
{
	return err_set(l->e, ERR_UNSUPPORTED,
		       "not available in this version: tokenizer.json: %s %.60s", l->what, name);
}

static bool flag(const json_t *j, const char *name, bool otherwise)
{
	const json_t *v = json_object_get(j, name);
	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static int text_of(struct loader *l, const json_t *j, const char *name, struct span *out)
{
	const char *s = json_string_value(json_object_get(j, name));
	if (!s)
		return err_set(l->e, ERR_INPUT, "tokenizer.json: a %s has no %s", l->what, name);
	*out = (struct span){ arena_copy(&l->t->arena, s, strlen(s)), strlen(s) };
	return out->bytes ? 0 : err_set(l->e, ERR_NOMEM, "out of memory for tokenizer.json");
}

static int load_pattern(struct loader *l, const json_t *j, struct step *s)
{
	const json_t *p = json_object_get(j, "pattern");
	const char *literal = json_string_value(json_object_get(p, "String"));
	const char *regex = json_string_value(json_object_get(p, "Regex"));
	if (json_is_string(p))
		literal = json_string_value(p);
	if (!literal == !regex || (literal && !*literal))
		return err_set(l->e, ERR_INPUT, "tokenizer.json: a %s has no pattern", l->what);
	return literal ? onig_open_literal(&s->pattern, literal, strlen(literal), l->e)
		       : onig_open(&s->pattern, regex, strlen(regex), l->e);
}

static int load_behaviour(struct loader *l, const json_t *j, struct step *s)
{
	static const char *const names[] = { "Isolated", "Removed", "MergedWithPrevious",
					     "MergedWithNext", "Contiguous" };
	const char *name = json_string_value(json_object_get(j, "behavior"));
	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0) {
			s->behaviour = (enum behaviour)i;
			return 0;
		}
	return name || json_object_get(j, "behavior") ? refuse(l, name ? name : "without behavior")
						      : 0;
}

static int load_strip(struct loader *l, const json_t *j, struct step *s)
{
	(void)l;
	s->left = flag(j, "strip_left", true);
	s->right = flag(j, "strip_right", true);
	return 0;
}

static int load_prepend(struct loader *l, const json_t *j, struct step *s)
{
	return text_of(l, j, "prepend", &s->text);
}

static int load_replace(struct loader *l, const json_t *j, struct step *s)
{
	TRY(text_of(l, j, "content", &s->text));
	return load_pattern(l, j, s);
}

static int load_split(struct loader *l, const json_t *j, struct step *s)
{
	s->invert = flag(j, "invert", false);
	if (!json_object_get(j, "behavior"))
		return err_set(l->e, ERR_INPUT, "tokenizer.json: a Split has no behavior");
	TRY(load_behaviour(l, j, s));
	return load_pattern(l, j, s);
}

static int load_byte_level(struct loader *l, const json_t *j, struct step *s)
{
	static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d|"
				   " ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
	s->prefix_space = flag(j, "add_prefix_space", true);
	if (flag(j, "use_regex", true) && l->out == &l->t->pre)
		return onig_open(&s->pattern, gpt2, sizeof gpt2 - 1, l->e);
	return 0;
}

static int load_digits(struct loader *l, const json_t *j, struct step *s)
{
	(void)l;
	s->behaviour = flag(j, "individual_digits", false) ? KEEP_ISOLATED : KEEP_CONTIGUOUS;
	return 0;
}

static int load_metaspace(struct loader *l, const json_t *j, struct step *s)
{
	const char *scheme = json_string_value(json_object_get(j, "prepend_scheme"));
	TRY(text_of(l, j, "replacement", &s->text));
	if (!s->text.len)
		return refuse(l, "Metaspace with an empty replacement");
	if (!scheme)
		s->prepend = flag(j, "add_prefix_space", true) ? PREPEND_ALWAYS : PREPEND_NEVER;
	else if (strcmp(scheme, "always") == 0)
		s->prepend = PREPEND_ALWAYS;
	else if (strcmp(scheme, "never") == 0)
		s->prepend = PREPEND_NEVER;
	else if (strcmp(scheme, "first") == 0)
		s->prepend = PREPEND_FIRST;
	else
		return refuse(l, scheme);
	s->split = flag(j, "split", true);
	s->behaviour = KEEP_WITH_NEXT;
	return onig_open_literal(&s->pattern, s->text.bytes, s->text.len, l->e);
}

static int load_removed(struct loader *l, const json_t *j, struct step *s)
{
	(void)l, (void)j;
	s->behaviour = KEEP_REMOVED;
	return 0;
}

static int load_edges(struct loader *l, const json_t *j, struct step *s)
{
	json_int_t start = json_integer_value(json_object_get(j, "start"));
	json_int_t stop = json_integer_value(json_object_get(j, "stop"));
	TRY(text_of(l, j, "content", &s->text));
	if (start < 0 || stop < 0 || start > 1000 || stop > 1000 || !s->text.len)
		return err_set(l->e, ERR_INPUT, "tokenizer.json: a Strip decoder is out of range");
	s->start = (uint32_t)start;
	s->stop = (uint32_t)stop;
	return 0;
}

static const struct component normalizers[] = {
	{ "NFC", STEP_NFC, NULL },
	{ "NFD", STEP_NFD, NULL },
	{ "NFKC", STEP_NFKC, NULL },
	{ "NFKD", STEP_NFKD, NULL },
	{ "Lowercase", STEP_LOWERCASE, NULL },
	{ "Strip", STEP_STRIP, load_strip },
	{ "Prepend", STEP_PREPEND, load_prepend },
	{ "Replace", STEP_REPLACE, load_replace },
	{ 0 },
};
static const struct component pre_tokenizers[] = {
	{ "Split", STEP_SPLIT, load_split },
	{ "ByteLevel", STEP_BYTE_LEVEL, load_byte_level },
	{ "Digits", STEP_DIGITS, load_digits },
	{ "Metaspace", STEP_METASPACE, load_metaspace },
	{ "Punctuation", STEP_PUNCTUATION, load_behaviour },
	{ "Whitespace", STEP_WHITESPACE, load_removed },
	{ "WhitespaceSplit", STEP_WHITESPACE_SPLIT, load_removed },
	{ 0 },
};
static const struct component decoders[] = {
	{ "ByteLevel", STEP_BYTE_LEVEL, load_byte_level },
	{ "Replace", STEP_REPLACE, load_replace },
	{ "ByteFallback", STEP_BYTE_FALLBACK, NULL },
	{ "Fuse", STEP_FUSE, NULL },
	{ "Strip", STEP_STRIP_EDGES, load_edges },
	{ "Metaspace", STEP_METASPACE, load_metaspace },
	{ 0 },
};

static const char *type_of(const json_t *j)
{
	const char *type = json_string_value(json_object_get(j, "type"));
	return type ? type : "without a type";
}

static int load_one(struct loader *l, const json_t *j, const struct component *table)
{
	const char *type = type_of(j);
	const struct component *c = table;
	while (c->type && strcmp(c->type, type) != 0)
		c++;
	if (!c->type)
		return refuse(l, type);
	if (l->out->count == TOKENIZER_STEPS_MAX)
		return err_set(l->e, ERR_INPUT, "tokenizer.json: more than %d of %s",
			       TOKENIZER_STEPS_MAX, l->what);
	/* counted first: a pattern in it is freed with the list */
	struct step *s = &l->out->at[l->out->count++];
	*s = (struct step){ .kind = c->kind };
	return c->load ? c->load(l, j, s) : 0;
}

/* One component, or the members of a Sequence, which may hold further ones. */
static int load_steps(struct loader *l, const json_t *j, const struct component *table,
		      const char *members)
{
	struct {
		const json_t *list;
		size_t next;
	} stack[SEQUENCE_DEPTH];
	int depth = 0;
	while (j || depth) {
		if (!j) {
			j = json_array_get(stack[depth - 1].list, stack[depth - 1].next++);
			if (!j)
				depth--;
			continue;
		}
		const json_t *list =
			strcmp(type_of(j), "Sequence") == 0 ? json_object_get(j, members) : NULL;
		if (list && depth == SEQUENCE_DEPTH)
			return err_set(l->e, ERR_INPUT, "tokenizer.json: %s nests too deep",
				       l->what);
		if (list) {
			stack[depth].list = list;
			stack[depth++].next = 0;
		} else {
			TRY(load_one(l, j, table));
		}
		j = NULL;
	}
	return 0;
}

int tokenizer_steps_load_normalizer(struct tokenizer *t, const json_t *j, struct err *e)
{
	struct loader l = { t, &t->normalizers, "normalizer", e };
	return load_steps(&l, json_is_null(j) ? NULL : j, normalizers, "normalizers");
}

int tokenizer_steps_load_pre(struct tokenizer *t, const json_t *j, struct err *e)
{
	struct loader l = { t, &t->pre, "pre_tokenizer", e };
	return load_steps(&l, json_is_null(j) ? NULL : j, pre_tokenizers, "pretokenizers");
}

int tokenizer_steps_load_decoder(struct tokenizer *t, const json_t *j, struct err *e)
{
	struct loader l = { t, &t->decoders, "decoder", e };
	const struct steps_list *d = &t->decoders;
	t->spaced = !j || json_is_null(j);
	TRY(load_steps(&l, t->spaced ? NULL : j, decoders, "decoders"));
	for (t->fused = 0; t->fused < d->count; t->fused++)
		if (d->at[t->fused].kind == STEP_FUSE || d->at[t->fused].kind == STEP_BYTE_LEVEL)
			break;
	for (size_t i = t->fused + 1; i < d->count; i++) {
		const struct step *s = &d->at[i];
		if (s->kind != STEP_FUSE &&
		    (s->kind != STEP_STRIP_EDGES || s->stop || i > t->fused + 1))
			return refuse(&l, "(this one) after the tokens are joined");
	}
	return 0;
}

void tokenizer_steps_close(struct steps_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		onig_close(l->at[i].pattern);
}

/* ---- post-processor: ids before and after the text ---- */

static int add_special(struct loader *l, const json_t *template, const char *name,
		       struct token_ids *out)
{
	const json_t *ids =
		json_object_get(json_object_get(json_object_get(template, "special_tokens"), name),
				"ids");
	for (size_t i = 0; i < json_array_size(ids); i++) {
		json_int_t id = json_integer_value(json_array_get(ids, i));
		if (!json_is_integer(json_array_get(ids, i)) || id < 0 ||
		    id >= (json_int_t)l->t->vocab.ids || !l->t->vocab.token[id].bytes)
			return err_set(l->e, ERR_INPUT,
				       "tokenizer.json: post_processor: token %.60s has a bad id",
				       name);
		TRY(token_ids_add(out, (uint32_t)id, l->e));
	}
	return json_array_size(ids) ? 0
				    : err_set(l->e, ERR_INPUT,
					      "tokenizer.json: post_processor: no ids for %.60s",
					      name ? name : "a token");
}

/* Its tokens go around what earlier post-processors made. */
static int load_template(struct loader *l, const json_t *j)
{
	const json_t *single = json_object_get(j, "single");
	struct token_ids before = { 0 };
	bool text_seen = false;
	int rc = 0;
	if (json_is_string(single))
		return refuse(l, "TemplateProcessing in its short spelling");
	for (size_t i = 0; i < json_array_size(single) && rc == 0; i++) {
		const json_t *part = json_array_get(single, i),
			     *token = json_object_get(part, "SpecialToken");
		if (token)
			rc = add_special(l, j, json_string_value(json_object_get(token, "id")),
					 text_seen ? &l->t->after : &before);
		else if (json_object_get(part, "Sequence") && !text_seen)
			text_seen = true;
		else
			rc = refuse(l, "TemplateProcessing of this form");
	}
	for (size_t i = 0; i < l->t->before.count && rc == 0; i++)
		rc = token_ids_add(&before, l->t->before.id[i], l->e);
	token_ids_free(&l->t->before);
	l->t->before = before;
	return rc;
}

static int load_post(struct loader *l, const json_t *j)
{
	const char *type = type_of(j);
	if (strcmp(type, "TemplateProcessing") == 0)
		return load_template(l, j);
	return strcmp(type, "ByteLevel") == 0 ? 0
					      : refuse(l, type); /* ByteLevel only moves offsets */
}

int tokenizer_steps_load_post(struct tokenizer *t, const json_t *j, struct err *e)
{
	struct loader l = { t, NULL, "post_processor", e };
	if (!j || json_is_null(j))
		return 0;
	if (strcmp(type_of(j), "Sequence") != 0)
		return load_post(&l, j);
	const json_t *list = json_object_get(j, "processors");
	for (size_t i = 0; i < json_array_size(list); i++)
		TRY(load_post(&l, json_array_get(list, i)));
	return 0;
}
