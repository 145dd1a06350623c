/* Where the tokenizer and the chat templates of a fork are others than its parent's. */
#include "flow/fork_findings.h"

#include <string.h>

/* Who only stores weights otherwise, or copies them, has no reason to change the files. */
static enum flow_severity severity(const struct flow_told *t, const struct flow_fork_other *p)
{
	bool same = p->measure && p->measure->verdict == FORK_IDENTICAL;
	return same || strcmp(t->c->suspect->card.relation, "quantized") == 0 ? FLOW_WARNING
									      : FLOW_NOTE;
}

/* ---- tokenizer ---- */

#define NAMES 160

/* The added token of that id, or NULL. */
static const json_t *added_with(const json_t *added, const json_t *id)
{
	const json_t *t;
	size_t i;
	json_array_foreach(added, i, t) {
		if (json_integer_value(json_object_get(t, "id")) == json_integer_value(id))
			return t;
	}
	return NULL;
}

/* How many of `list` another has not under that id, with their first names; *id: they are there,
 * as another text. */
static size_t missing_from(const json_t *list, const json_t *other, bool same_id, char out[NAMES])
{
	const json_t *t;
	size_t i, n = 0, used = 0;
	out[0] = 0;
	json_array_foreach(list, i, t) {
		const json_t *text = json_object_get(t, "content");
		const json_t *there = added_with(other, json_object_get(t, "id"));
		if ((there != NULL) != same_id ||
		    (there && json_equal(json_object_get(there, "content"), text)))
			continue;
		if (n++ < 4 && used < NAMES)
			used += (size_t)snprintf(out + used, NAMES - used, "%s%.40s",
						 used ? ", " : "", json_string_value(text));
	}
	return n;
}

static void tell_tokens(struct flow_told *t, const struct flow_fork_other *p,
			const struct flow_tokenizer *a, const struct flow_tokenizer *b)
{
	char names[NAMES];
	size_t more = missing_from(b->added, a->added, false, names);
	if (!digest_equal(&a->core, &b->core)) {
		flow_tell(t, "F-TOKENIZER", severity(t, p), p,
			  "the vocabulary is not that of %s (%llu tokens; %llu here)", p->name,
			  (unsigned long long)a->tokens, (unsigned long long)b->tokens);
		return;
	}
	/* Added tokens are what fine-tunes add: nothing is wrong with them. */
	if (more)
		flow_tell(t, "F-TOKENIZER", FLOW_NOTE, p, "%zu tokens are added to those of %s: %s",
			  more, p->name, names);
	size_t gone = missing_from(a->added, b->added, false, names);
	if (gone)
		flow_tell(t, "F-TOKENIZER", severity(t, p), p, "%zu tokens of %s are missing: %s",
			  gone, p->name, names);
	size_t renamed = missing_from(b->added, a->added, true, names);
	if (renamed)
		flow_tell(t, "F-TOKENIZER", severity(t, p), p,
			  "%zu added tokens have another text than in %s: %s", renamed, p->name,
			  names);
}

/* Added tokens that both have, and treat otherwise. */
static size_t other_flags(const json_t *a, const json_t *b)
{
	const json_t *t;
	size_t i, n = 0;
	json_array_foreach(b, i, t) {
		const json_t *there = added_with(a, json_object_get(t, "id"));
		n += there &&
		     !json_equal(json_object_get(there, "flags"), json_object_get(t, "flags"));
	}
	return n;
}

static void tell_special(struct flow_told *t, const struct flow_fork_other *p, const json_t *a,
			 const json_t *b)
{
	const char *name;
	json_t *text;
	json_object_foreach((json_t *)(uintptr_t)b, name, text) {
		const json_t *was = json_object_get(a, name);
		if (was && !json_equal(was, text))
			flow_tell(t, "F-TOKENIZER", FLOW_NOTE, p,
				  "%s is %.60s in the parent and %.60s here", name,
				  json_string_value(was), json_string_value(text));
	}
}

static void tell_tokenizer(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_tokenizer *a = &p->facts->tokenizer, *b = &t->c->suspect->tokenizer;
	enum flow_severity s = severity(t, p);
	/* One that was made of a GGUF file has tokens that fill it up, and its own steps. */
	if (!a->file || !b->file || strcmp(a->file, b->file) != 0 ||
	    p->facts->gguf != t->c->suspect->gguf)
		return;
	if (b->problem[0] && !a->problem[0])
		flow_tell(t, "F-TOKENIZER", FLOW_NOTE, p, "%s here cannot be read: %s", b->file,
			  b->problem);
	if (a->problem[0] || b->problem[0])
		return;
	if (!digest_equal(&a->bytes, &b->bytes))
		flow_tell(t, "F-TOKENIZER", s, p, "%s differs from that of %s", a->file, p->name);
	if (!digest_equal(&a->vocabulary, &b->vocabulary))
		tell_tokens(t, p, a, b);
	if (!digest_equal(&a->merges, &b->merges) || !digest_equal(&a->model, &b->model))
		flow_tell(t, "F-TOKENIZER", s, p,
			  "the merges, scores or options of the vocabulary are not those of %s",
			  p->name);
	if (!digest_equal(&a->steps, &b->steps))
		flow_tell(t, "F-TOKENIZER", s, p,
			  "text is split, normalised or framed otherwise than by %s", p->name);
	size_t flags = other_flags(a->added, b->added);
	if (flags)
		flow_tell(t, "F-TOKENIZER", FLOW_NOTE, p,
			  "%zu added tokens are special, or stripped, otherwise than in %s", flags,
			  p->name);
	tell_special(t, p, a->special, b->special);
}

/* ---- templates ---- */

static void tell_templates(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_templates *a = &p->facts->templates, *b = &t->c->suspect->templates;
	const char *name;
	json_t *text;
	if (b->problem[0] && !json_object_get(b->named, "default"))
		flow_tell(t, "F-TEMPLATE", FLOW_NOTE, p,
			  "the chat templates cannot be read whole: %s", b->problem);
	else if (a->problem[0] && !json_object_get(a->named, "default"))
		flow_tell(t, "F-TEMPLATE", FLOW_NOTE, p,
			  "the chat templates of %s cannot be read whole: %s", p->name, a->problem);
	json_object_foreach(b->named, name, text) {
		const json_t *was = json_object_get(a->named, name);
		if (was && !json_equal(was, text))
			flow_tell(t, "F-TEMPLATE", severity(t, p), p,
				  "the chat template (%.60s) differs from that of %s", name,
				  p->name);
		else if (!was && !a->problem[0])
			flow_tell(t, "F-TEMPLATE", FLOW_NOTE, p,
				  "%s has no chat template (%.60s): one is added", p->name, name);
	}
	json_object_foreach(a->named, name, text) {
		if (!json_object_get(b->named, name) && !b->problem[0])
			flow_tell(t, "F-TEMPLATE", FLOW_NOTE, p,
				  "the chat template (%.60s) of %s is missing", name, p->name);
	}
}

void flow_tell_texts(struct flow_told *t, const struct flow_fork_other *p)
{
	tell_tokenizer(t, p);
	tell_templates(t, p);
}
