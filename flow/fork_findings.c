/* What a fork declares (its card and files) beside what its weights say; contradictions become
 * findings. What each kind means: docs/formats.md, "findings". */
#include "flow/fork_findings.h"
#include "flow/fork.h"
#include "base/decimal.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct flow_finding kinds[] = {
	{ "F-PARENT-MISSING",
	  "the card names no base model, or not the nearest one that the weights depend on" },
	{ "F-PARENT-WRONG",
	  "the weights show nothing of the declared bases, and depend on another registered model" },
	{ "F-PARENT-UNKNOWN", "a declared base is not registered here, or could not be compared" },
	{ "F-PARENT-UNSEEN",
	  "the weights show nothing of a declared base; a model trained on its outputs looks so too" },
	{ "F-SCRATCH",
	  "declared as trained from scratch; the weights depend on a registered model" },
	{ "F-RELATION", "the declared relation is not what the weights show" },
	{ "F-MERGE", "one base is declared; the weights hold several" },
	{ "F-FROZEN", "declared as trained throughout; matrices are those of the parent" },
	{ "F-PARAMS", "the declared size or number of experts is not that of the files" },
	{ "F-LICENCE", "the declared licence leaves out what a parent's asks, or is unresolved" },
	{ "F-NAME", "the card calls it by the name of a registered model of other content" },
	{ "F-TOKENIZER", "the tokenizer differs in meaning from the parent's" },
	{ "F-TEMPLATE", "a chat template differs from the parent's, or cannot be read" },
	{ "F-CONFIG", "the config differs in meaning from the parent's" },
	{ NULL, NULL },
};

static const char *const severities[] = { "note", "warning", "contradiction", NULL };

const struct flow_finding *flow_findings(void) { return kinds; }

const char *const *flow_severities(void) { return severities; }

/* ---- telling ---- */

static json_t *numbers_of(const struct flow_fork_measure *m)
{
	struct obj o = { 0 };
	obj_text(&o, "verdict", fork_verdict_name(m->verdict));
	obj_measured(&o, "p_value", m->tested ? m->p_value : NAN);
	obj_measured(&o, "effect", m->effect);
	obj_measured(&o, "relative_l2", m->relative_l2);
	obj_count(&o, "blocks", m->blocks);
	obj_count(&o, "changed", m->changed);
	obj_measured(&o, "rounded", m->rounding);
	obj_measured(&o, "share", m->share);
	return obj_take(&o);
}

/* As a shell reads it. */
static void add_word(struct buf *b, const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/@:+,=";
	buf_add_byte(b, ' ');
	if (word[0] && strspn(word, plain) == strlen(word)) {
		buf_add_text(b, word);
		return;
	}
	buf_add_byte(b, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_add_text(b, "'\\'");
		buf_add_byte(b, (unsigned char)*word);
	}
	buf_add_byte(b, '\'');
}

static json_t *command(const struct flow_fork_case *c, const struct flow_fork_other *about)
{
	struct buf b = { 0 };
	buf_add_text(&b, about ? "hallmark fork compare" : "hallmark fork audit");
	if (about)
		add_word(&b, about->name);
	add_word(&b, c->name);
	buf_printf(&b, " --seed %llu", (unsigned long long)c->seed);
	json_t *text = b.failed ? NULL : json_text_lossy(b.bytes);
	buf_free(&b);
	return text;
}

void flow_tell(struct flow_told *t, const char *kind, enum flow_severity severity,
	       const struct flow_fork_other *about, const char *fmt, ...)
{
	const struct flow_fork_measure *m = about ? about->measure : NULL;
	char text[800];
	struct obj o = { 0 };
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	obj_text(&o, "kind", kind);
	obj_text(&o, "severity", severities[severity]);
	/* A quotation may be cut inside a character; the finding must stand all the same. */
	obj_add(&o, "detail", json_text_lossy(text));
	obj_add(&o, "numbers", m ? numbers_of(m) : json_null());
	obj_text(&o, "rung", m ? m->rung : NULL);
	obj_add(&o, "recompute", command(t->c, about));
	json_t *finding = obj_take(&o);
	if (!finding || json_array_append_new(t->list, finding) < 0)
		t->failed = true;
}

/* The numbers behind a finding, in brackets. */
static const char *figures(const struct flow_fork_other *o, char out[160])
{
	const struct flow_fork_measure *m = o->measure;
	const char *first = o->presumed ? "; it was registered first" : "";
	if (m->verdict == FORK_IDENTICAL)
		snprintf(out, 160, "(every tensor is the same%s)", first);
	else if (!m->tested)
		snprintf(out, 160, "(%s%s)", fork_verdict_name(m->verdict), first);
	else if (!isfinite(m->effect))
		snprintf(out, 160, "(p %.4g over %zu blocks%s)",
			 decimal_round(m->p_value, DECIMAL_DIGITS), m->blocks, first);
	else
		snprintf(out, 160, "(p %.4g, effect %.4g over %zu blocks%s)",
			 decimal_round(m->p_value, DECIMAL_DIGITS),
			 decimal_round(m->effect, DECIMAL_DIGITS), m->blocks, first);
	return out;
}

/* ---- parents ---- */

/* What the comparisons say of a declared base; the later ones speak before the earlier. */
enum seen {
	SEEN_NOWHERE, /* no registered model has that name */
	SEEN_NOT,     /* compared, by statistics that would have seen it */
	SEEN_UNREAD,  /* it may be a registered one, and nothing can be said of it */
	SEEN          /* confirmed */
};

/* The best match among a content's names. */
static enum flow_match names(const char *text, const struct flow_fork_other *o)
{
	const json_t *model;
	enum flow_match best = FLOW_OTHER;
	size_t i;
	if (!o->models)
		return flow_name_match(text, o->name);
	json_array_foreach(o->models, i, model) {
		enum flow_match m = flow_name_match(text, json_string_value(model));
		best = m > best ? m : best;
	}
	return best;
}

static bool declared(const struct flow_card *card, const struct flow_fork_other *o)
{
	for (size_t i = 0; i < card->bases; i++)
		if (names(card->base[i], o) != FLOW_OTHER)
			return true;
	return false;
}

static bool confirmed(const struct flow_fork_other *o)
{
	return o->parent || (o->measure && (flow_fork_derived(o->measure) ||
					    o->measure->verdict == FORK_CONTAINS));
}

/* A base that the parent found descends from is one of the suspect, whatever is left of it. */
static bool is_ancestor(const struct flow_fork_case *c, const struct flow_fork_other *o)
{
	const struct flow_fork_facts *parent =
		c->others && c->other[0].parent ? c->other[0].facts : NULL;
	return o->ancestor || (parent && declared(&parent->card, o));
}

static enum seen look_for(const struct flow_fork_case *c, const char *base)
{
	enum seen best = SEEN_NOWHERE;
	const json_t *model;
	size_t k;
	for (size_t i = 0; i < c->others; i++) {
		const struct flow_fork_other *o = &c->other[i];
		enum flow_match match = names(base, o);
		if (match == FLOW_OTHER)
			continue;
		bool told = match == FLOW_SAME && o->measure && o->measure->can_see &&
			    o->measure->verdict == FORK_NO_EVIDENCE && !is_ancestor(c, o);
		enum seen here = confirmed(o) ? SEEN : told ? SEEN_NOT : SEEN_UNREAD;
		best = here > best ? here : best;
	}
	json_array_foreach(c->registered, k, model) {
		if (best == SEEN_NOWHERE && flow_name_match(base, json_string_value(model)))
			best = SEEN_UNREAD;
	}
	return best;
}

/* How many of the declared bases are so; *first: one of them. */
static size_t count_seen(const struct flow_fork_case *c, enum seen what, const char **first)
{
	const struct flow_card *card = &c->suspect->card;
	size_t n = 0;
	for (size_t i = 0; i < card->bases; i++) {
		if (look_for(c, card->base[i]) != what)
			continue;
		if (n++ == 0)
			*first = card->base[i];
	}
	return n;
}

/* Every base that the card names, as far as there is room. */
static const char *bases(const struct flow_card *card, char out[256])
{
	size_t used = 0;
	out[0] = 0;
	for (size_t i = 0; i < card->bases && used < 256; i++)
		used += (size_t)snprintf(out + used, 256 - used, "%s%s", i ? ", " : "",
					 card->base[i]);
	return out;
}

bool flow_fork_is_copy(const struct flow_fork_case *c, const struct flow_fork_other *o)
{
	static const struct digest none;
	const struct flow_fork_measure *m = o->measure;
	return o->facts && m && (m->verdict == FORK_IDENTICAL || m->resaved) &&
	       !digest_equal(&c->suspect->card.text, &none) &&
	       digest_equal(&c->suspect->card.text, &o->facts->card.text);
}

/* Of the nearest parent, which the card does not name. Whether that contradicts the card. */
static bool undeclared_parent(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_fork_case *c = t->c;
	const struct flow_card *card = &c->suspect->card;
	char said[256], say[160];
	const char *which = NULL;
	enum flow_severity severity = p->firm ? FLOW_CONTRADICTION : FLOW_WARNING;
	figures(p, say);
	if (card->problem[0])
		flow_tell(t, "F-PARENT-UNKNOWN", FLOW_NOTE, p,
			  "the card cannot be read whole (%s): what it declares is not known; "
			  "the weights depend on %s %s",
			  card->problem, p->name, say);
	else if (card->bases == 0)
		flow_tell(t, "F-PARENT-MISSING", severity, p,
			  "the card declares no base model; the weights depend on %s %s", p->name,
			  say);
	else if (count_seen(c, SEEN, &which))
		flow_tell(
			t, "F-PARENT-MISSING", FLOW_NOTE, p,
			"the card declares %s, which the weights confirm; they are nearer to %s %s",
			which, p->name, say);
	else if (count_seen(c, SEEN_NOWHERE, &which))
		flow_tell(
			t, "F-PARENT-UNKNOWN", FLOW_NOTE, p,
			"the declared base %s is not registered here; the weights depend on %s %s",
			which, p->name, say);
	else if (count_seen(c, SEEN_UNREAD, &which))
		flow_tell(
			t, "F-PARENT-UNKNOWN", FLOW_NOTE, p,
			"nothing can be said of the declared base %s; the weights depend on %s %s",
			which, p->name, say);
	else {
		flow_tell(t, "F-PARENT-WRONG", severity, p,
			  "the card declares %s; the weights depend on %s %s", bases(card, said),
			  p->name, say);
		return true;
	}
	return false;
}

bool flow_fork_unseen(const struct flow_fork_case *c, const struct flow_fork_other *o)
{
	const struct flow_card *card = &c->suspect->card;
	for (size_t k = 0; k < card->bases; k++)
		if (names(card->base[k], o) == FLOW_SAME && look_for(c, card->base[k]) == SEEN_NOT)
			return true;
	return false;
}

/* Where the card says how the weights came from a base that they show nothing of. */
static void unseen_parents(struct flow_told *t)
{
	static const char *const relations[] = { "finetune", "quantized", "merge" };
	const struct flow_fork_case *c = t->c;
	const struct flow_card *card = &c->suspect->card;
	bool weights = false;
	char say[160];
	for (size_t i = 0; i < sizeof relations / sizeof *relations; i++)
		weights |= strcmp(card->relation, relations[i]) == 0;
	for (size_t i = 0; weights && i < c->others; i++) {
		const struct flow_fork_other *o = &c->other[i];
		if (flow_fork_unseen(c, o))
			flow_tell(t, "F-PARENT-UNSEEN", FLOW_NOTE, o,
				  "the card declares %.*s; the weights show no dependence on it %s",
				  (int)strcspn(o->name, "@"), o->name, figures(o, say));
	}
}

static void parent_findings(struct flow_told *t)
{
	const struct flow_fork_case *c = t->c;
	const struct flow_fork_other *p = c->others ? &c->other[0] : NULL;
	const struct flow_card *card = &c->suspect->card;
	if (!p)
		return;
	/* A folder without a name may be whatever base is declared. */
	bool unnamed = !p->models && card->bases > 0;
	bool undeclared = p->parent && !p->own && !unnamed && !declared(card, p);
	if (!undeclared || flow_fork_is_copy(c, p) || !undeclared_parent(t, p))
		unseen_parents(t);
}

/* ---- what else the card says of the weights ---- */

static void scratch_finding(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_card *card = &t->c->suspect->card;
	char say[160];
	if (!card->scratch || p->own)
		return;
	/* With a base declared the card contradicts itself first. */
	flow_tell(t, "F-SCRATCH", p->firm && !card->bases ? FLOW_CONTRADICTION : FLOW_WARNING, p,
		  "declared as trained from scratch; the weights depend on %s %s", p->name,
		  figures(p, say));
}

/* What rounding to so many bits leaves of a matrix at the least: relative error, over every format
 * in use, calibrated ones too. bits 0: not known. */
static double rounding_bound(unsigned bits)
{
	static const double bound[] = { 0.8, 0.8, 0.8, 0.5, 0.35, 0.15, 0.1, 0.05, 0.05 };
	return bound[bits < 9 ? bits : 0];
}

/* Of a declared base: the relation is to that. */
static void relation_finding(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_fork_facts *x = t->c->suspect;
	const struct flow_fork_measure *m = p->measure;
	const char *relation = x->card.relation;
	bool tuned = strcmp(relation, "finetune") == 0;
	double bound = rounding_bound(x->bits);
	if (!declared(&x->card, p) && (p->models || x->card.bases != 1))
		return;
	if (tuned && m->changed > 0 && m->rounding > 0.99)
		flow_tell(t, "F-RELATION", FLOW_CONTRADICTION, p,
			  "declared as finetune; every changed matrix is one of %s, rounded",
			  p->name);
	else if (tuned && m->verdict == FORK_IDENTICAL)
		flow_tell(t, "F-RELATION", FLOW_NOTE, p,
			  "declared as finetune; every tensor is that of %s", p->name);
	/* Formats that scale move values and keep the units: both numbers count. Those that rotate
	 * leave nothing side by side. */
	else if (strcmp(relation, "quantized") == 0 && m->changed > 0 && m->rounding < 0.5 &&
		 m->relative_l2 > bound && m->relative_l2 < 1 &&
		 m->effect * m->effect * (1 + bound * bound) < 1)
		flow_tell(t, "F-RELATION", FLOW_WARNING, p,
			  "declared as quantized; the matrices differ by %.4g from those of %s, "
			  "rounding leaves at most %.4g",
			  decimal_round(m->relative_l2, DECIMAL_DIGITS), p->name, bound);
}

/* Merged adapters are called so too, and adapters what they were trained for: a word is no lie. */
static void adapter_finding(struct flow_told *t)
{
	const struct flow_fork_facts *x = t->c->suspect;
	const char *relation = x->card.relation;
	bool said = strcmp(relation, "adapter") == 0;
	if (relation[0] && said != x->adapter)
		flow_tell(t, "F-RELATION", FLOW_NOTE, NULL, "declared as %s; the files are %s",
			  relation, x->adapter ? "an adapter" : "whole weights");
}

static void frozen_finding(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_fork_measure *m = p->measure;
	unsigned long long frozen = m->frozen, changed = m->changed;
	if (t->c->suspect->card.all_trained && m->frozen > 0)
		flow_tell(t, "F-FROZEN", FLOW_WARNING, p,
			  "declared as trained throughout; %llu of %llu matrices are those of %s",
			  frozen, frozen + changed, p->name);
}

#define SHARE 0.1 /* of a merge, that counts: less is within what fine-tuning leaves */

/* One base is declared, and the weights are mixed of several: by measured shares alone, for two
 * fine-tunes of one base both show in every model of that base. */
static void merge_finding(struct flow_told *t)
{
	const struct flow_fork_case *c = t->c;
	const struct flow_card *card = &c->suspect->card;
	const struct flow_fork_other *first = NULL, *second = NULL;
	for (size_t i = 0; i < c->others; i++) {
		const struct flow_fork_other *o = &c->other[i];
		if (!o->parent || o->own || !o->measure || !(o->measure->share >= SHARE))
			continue;
		second = first && !second ? o : second;
		first = first ? first : o;
	}
	if (!second || card->bases != 1 || card->merged || strcmp(card->relation, "merge") == 0)
		return;
	flow_tell(t, "F-MERGE", FLOW_CONTRADICTION, second,
		  "one base is declared, %s; the weights are mixed of %s (%.4g) and %s (%.4g)",
		  card->base[0], first->name, decimal_round(first->measure->share, DECIMAL_DIGITS),
		  second->name, decimal_round(second->measure->share, DECIMAL_DIGITS));
}

int flow_fork_findings(const struct flow_fork_case *c, json_t *findings, struct err *e)
{
	struct flow_told t = { c, findings, !findings };
	if (t.failed)
		return json_ok(findings, e);
	parent_findings(&t);
	merge_finding(&t);
	adapter_finding(&t);
	const struct flow_fork_other *p = c->others && c->other[0].parent ? &c->other[0] : NULL;
	if (p) {
		scratch_finding(&t, p);
		frozen_finding(&t, p);
	}
	for (size_t i = 0; i < c->others; i++)
		if (c->other[i].parent)
			relation_finding(&t, &c->other[i]);
	if (p && p->facts) {
		flow_tell_config(&t, p);
		flow_tell_texts(&t, p);
	}
	flow_tell_licence(&t);
	flow_tell_claims(&t);
	return t.failed ? err_set(e, ERR_NOMEM, "out of memory for findings") : 0;
}
