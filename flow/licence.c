/* Licences found by name and by text, and what of a parent's a fork leaves out. Restrictions flow
 * along the edges of the lineage: a child's licence has to hold those of all its parents (a
 * lattice, whose top is what is not known). Two kinds of edge are never mixed: weights, which
 * statistics show, and outputs, which only declarations tell. */
#include "flow/licence.h"
#include "base/limits.h"
#include "base/text.h"
#include "flow/fork_findings.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define TEXT_BYTES KIB(256)

/* What a child's licence must hold too; the rest is done beside it. */
#define RESTRICTIONS                                                       \
	(FLOW_DUTY_USE | FLOW_DUTY_NONCOMMERCIAL | FLOW_DUTY_SHARE_ALIKE | \
	 FLOW_DUTY_NO_DERIVATIVES | FLOW_DUTY_SCALE | FLOW_DUTY_OUTPUTS)

/* ---- found ---- */

static bool fits(const char *id, const char *text)
{
	size_t len = strlen(id);
	if (id[0] == '*')
		return strlen(text) >= len - 1 &&
		       strcasecmp(text + strlen(text) - (len - 1), id + 1) == 0;
	return id[len - 1] == '*' ? strncasecmp(text, id, len - 1) == 0 : strcasecmp(text, id) == 0;
}

static const struct flow_licence *by_name(const char *text)
{
	for (size_t i = 0; text[0] && i < flow_licence_count; i++)
		for (const char *const *id = flow_licences[i].ids; *id; id++)
			if (fits(*id, text))
				return &flow_licences[i];
	return NULL;
}

const struct flow_licence *flow_licence_of(const char *license, const char *license_name)
{
	const struct flow_licence *x = by_name(license);
	return x ? x : by_name(license_name);
}

/* Lower case, one blank between words. */
static void squeeze(const struct buf *text, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < text->len; i++) {
		unsigned char c = (unsigned char)text->bytes[i];
		if (!isspace(c))
			buf_add_byte(out, (unsigned char)tolower(c));
		else if (out->len && out->bytes[out->len - 1] != ' ')
			buf_add_byte(out, ' ');
	}
}

/* The row whose words stand first in the text: what it is called, before what it cites. */
static const struct flow_licence *by_text(const char *text)
{
	const struct flow_licence *best = NULL;
	const char *first = NULL;
	for (size_t i = 0; text && i < flow_licence_count; i++) {
		const char *at = flow_licences[i].text ? strstr(text, flow_licences[i].text) : NULL;
		if (!at || (first && at >= first))
			continue;
		first = at;
		best = &flow_licences[i];
	}
	return best;
}

static void look_for_shown(struct flow_licence_texts *x, const char *text)
{
	for (size_t i = 0; text && i < flow_licence_count; i++) {
		const char *shown = flow_licences[i].shown;
		if (shown && strcasestr(text, shown))
			x->shown |= UINT64_C(1) << i;
	}
}

/* 1: a licence, 2: a notice, 0: neither. Of files that lie in the folder itself. */
static int kind_of(const char *name)
{
	static const char *const licences[] = { "license", "licence", "copying", "use_policy" };
	if (strchr(name, '/'))
		return 0;
	for (size_t i = 0; i < sizeof licences / sizeof *licences; i++)
		if (strncasecmp(name, licences[i], strlen(licences[i])) == 0)
			return 1;
	return strncasecmp(name, "notice", 6) == 0 ? 2 : 0;
}

static void take_file(struct flow_licence_texts *x, const char *name, bool notice,
		      const struct buf *words)
{
	size_t n = x->files++;
	snprintf(x->file[n].name, sizeof x->file[n].name, "%s", name);
	x->file[n].text = digest_of(words->bytes, words->len);
	x->file[n].notice = notice;
	x->file[n].licence = by_text(words->bytes);
}

int flow_licence_read(struct flow_licence_texts *x, struct source *files, struct err *e)
{
	struct buf text = { 0 }, words = { 0 };
	struct err why;
	const char *name;
	int rc = 0;
	*x = (struct flow_licence_texts){ 0 };
	for (size_t i = 0; rc >= 0 && (name = source_name(files, i)); i++) {
		int kind = kind_of(name);
		bool card = strcmp(name, "README.md") == 0;
		if ((!kind && !card) || x->files == FLOW_LICENCE_FILES)
			continue;
		rc = flow_text_read(files, name, card ? MIB(4) : TEXT_BYTES, &text, &why, e);
		if (rc != 1)
			continue;
		squeeze(&text, &words);
		if (words.failed)
			rc = err_set(e, ERR_NOMEM, "out of memory for %s", name);
		else if (kind)
			take_file(x, name, kind == 2, &words);
		look_for_shown(x, words.bytes);
	}
	buf_free(&text);
	buf_free(&words);
	return rc < 0 ? rc : 0;
}

/* ---- compared ---- */

/* A model's licence as far as it is declared. */
struct declared {
	const struct flow_licence *licence; /* NULL: none, or not known */
	char said[140];                     /* "" where none is declared */
};

static struct declared licence_of(const struct flow_fork_facts *x, const char *release)
{
	struct declared d = { 0 };
	const char *license = x ? x->card.license : "", *name = x ? x->card.license_name : "";
	if (!license[0] && release && strcmp(release, "unknown") != 0)
		license = release;
	snprintf(d.said, sizeof d.said, "%s%s%s", license, name[0] ? ": " : "", name);
	d.licence = flow_licence_of(license, name);
	/* Without a word that is known the text in the folder says it. */
	for (size_t i = 0; x && !d.licence && i < x->licences.files; i++)
		if (!x->licences.file[i].notice && x->licences.file[i].licence) {
			d.licence = x->licences.file[i].licence;
			if (!d.said[0])
				snprintf(d.said, sizeof d.said, "%s", d.licence->name);
		}
	return d;
}

static const char *list_duties(unsigned duties, char out[300])
{
	static const struct {
		unsigned duty;
		const char *says;
	} words[] = {
		{ FLOW_DUTY_USE, "restrictions of use, to be passed on" },
		{ FLOW_DUTY_NONCOMMERCIAL, "no commercial use" },
		{ FLOW_DUTY_SHARE_ALIKE, "the same licence for what is derived" },
		{ FLOW_DUTY_NO_DERIVATIVES, "nothing derived is published" },
		{ FLOW_DUTY_SCALE, "terms above a number of users" },
		{ FLOW_DUTY_OUTPUTS, "terms for training on its outputs" },
		{ FLOW_DUTY_NAME, "a name that begins as told" },
		{ FLOW_DUTY_SHOWN, "words to be displayed" },
	};
	size_t used = 0;
	out[0] = 0;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if ((duties & words[i].duty) && used < 300)
			used += (size_t)snprintf(out + used, 300 - used, "%s%s", used ? "; " : "",
						 words[i].says);
	return out;
}

/* What of the parent's restrictions the child's licence does not hold. */
static unsigned left_out(const struct flow_licence *parent, const struct flow_licence *child,
			 unsigned flows)
{
	unsigned asked = flows & RESTRICTIONS;
	if (child && strcmp(child->name, parent->name) == 0)
		return asked & FLOW_DUTY_NO_DERIVATIVES;
	unsigned has = child ? child->weights & ~(unsigned)FLOW_DUTY_SHARE_ALIKE : 0;
	return asked & ~has;
}

/* Along an edge of weights, or (by declaration alone) of outputs. */
static void tell_edge(struct flow_told *t, const struct flow_fork_other *p, bool weights)
{
	const struct declared child = licence_of(t->c->suspect, NULL),
			      parent = licence_of(p->facts, p->license);
	char duties[300];
	if (!parent.licence) {
		if (weights && strcmp(parent.said, child.said) != 0)
			flow_tell(t, "F-LICENCE", FLOW_NOTE, p,
				  "the licence of %s (%.60s) is in no rule of " FLOW_LICENCE_RULES
				  ": what follows from it is unresolved",
				  p->name, parent.said[0] ? parent.said : "none declared");
		return;
	}
	unsigned missing = left_out(parent.licence, child.licence,
				    weights ? parent.licence->weights : parent.licence->outputs);
	if (!missing)
		return;
	list_duties(missing, duties);
	if (child.said[0] && !child.licence)
		flow_tell(t, "F-LICENCE", FLOW_NOTE, p,
			  "the declared licence (%.60s) is in no rule of " FLOW_LICENCE_RULES
			  ": whether it holds what %s (%s) asks is unresolved: %s",
			  child.said, p->name, parent.licence->name, duties);
	else if (!weights)
		flow_tell(t, "F-LICENCE", FLOW_NOTE, p,
			  "if it was trained on outputs of %s (%s), that licence asks (%s): %s",
			  p->name, parent.licence->name, parent.licence->source, duties);
	else if (!child.said[0])
		flow_tell(t, "F-LICENCE", FLOW_WARNING, p,
			  "no licence is declared; %s (%s) asks (%s): %s", p->name,
			  parent.licence->name, parent.licence->source, duties);
	else
		flow_tell(t, "F-LICENCE", p->firm ? FLOW_CONTRADICTION : FLOW_WARNING, p,
			  "declared as %.60s, which leaves out what %s (%s) asks (%s): %s",
			  child.said, p->name, parent.licence->name, parent.licence->source,
			  duties);
}

/* ---- what lies beside it ---- */

static bool has_file(const struct flow_licence_texts *x, bool notice)
{
	for (size_t i = 0; i < x->files; i++)
		if (x->file[i].notice == notice)
			return true;
	return false;
}

/* Letters and digits, small. */
static void plain(const char *text, char out[64])
{
	size_t n = 0;
	for (; *text && n < 63; text++)
		if (isalnum((unsigned char)*text))
			out[n++] = (char)tolower((unsigned char)*text);
	out[n] = 0;
}

/* "acme/Meta-Llama-3-8B" begins as "Llama 3". */
static bool begins(const char *name, const char *prefix)
{
	char x[64], y[64];
	const char *slash = strrchr(name, '/');
	plain(slash ? slash + 1 : name, x);
	plain(prefix, y);
	return text_starts(x + (text_starts(x, "meta") ? 4 : 0), y);
}

static void tell_artefacts(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_fork_facts *x = p->facts, *y = t->c->suspect;
	const struct flow_licence *l = licence_of(x, p->license).licence;
	const char *name = flow_fork_public_name(t->c);
	unsigned duties = l ? l->weights : 0;
	if (y->gguf || !l)
		return; /* one file has no others beside it */
	for (int notice = 0; notice < 2; notice++)
		if ((duties & (notice ? FLOW_DUTY_NOTICE : FLOW_DUTY_TEXT)) &&
		    has_file(&x->licences, notice) && !has_file(&y->licences, notice))
			flow_tell(t, "F-LICENCE", FLOW_NOTE, p,
				  "the %s of %s lies beside it, and not here (%s)",
				  notice ? "notice" : "licence text", p->name, l->source);
	if ((duties & FLOW_DUTY_NAME) && name && !begins(name, l->prefix))
		flow_tell(t, "F-LICENCE", FLOW_WARNING, p,
			  "the name %.100s does not begin with \"%s\", as the licence of %s asks "
			  "(%s)",
			  name, l->prefix, p->name, l->source);
	if ((duties & FLOW_DUTY_SHOWN) && !(y->licences.shown >> (l - flow_licences) & 1))
		flow_tell(t, "F-LICENCE", FLOW_NOTE, p,
			  "\"%s\" stands neither in the card nor in a notice, as the licence of %s "
			  "asks (%s)",
			  l->shown, p->name, l->source);
}

/* A text in the folder that is not the declared licence's, and asks for more. */
static void tell_own_texts(struct flow_told *t)
{
	const struct flow_fork_facts *x = t->c->suspect;
	const struct flow_licence *said = flow_licence_of(x->card.license, x->card.license_name);
	char duties[300];
	for (size_t i = 0; said && i < x->licences.files; i++) {
		const struct flow_licence *l = x->licences.file[i].licence;
		unsigned missing =
			l && !x->licences.file[i].notice ? left_out(l, said, l->weights) : 0;
		if (missing & ~(unsigned)FLOW_DUTY_NO_DERIVATIVES)
			flow_tell(t, "F-LICENCE", FLOW_WARNING, NULL,
				  "the card declares %s; %s is the text of %s, which asks: %s",
				  x->card.license, x->licences.file[i].name, l->name,
				  list_duties(missing, duties));
	}
}

/* Two parents whose duties cannot both be met. */
static void tell_conflict(struct flow_told *t, const struct flow_fork_other *p,
			  const struct flow_fork_other *q)
{
	const struct flow_licence *a = licence_of(p->facts, p->license).licence,
				  *b = licence_of(q->facts, q->license).licence;
	if (!a || !b || strcmp(a->name, b->name) == 0)
		return;
	bool names = (a->weights & b->weights & FLOW_DUTY_NAME) && !begins(a->prefix, b->prefix) &&
		     !begins(b->prefix, a->prefix);
	unsigned sa = FLOW_DUTY_SHARE_ALIKE;
	bool alike = ((a->weights & sa) && (b->weights & RESTRICTIONS)) ||
		     ((b->weights & sa) && (a->weights & RESTRICTIONS));
	if (names || alike)
		flow_tell(t, "F-LICENCE", FLOW_WARNING, q,
			  "conflict: %s (%s) and %s (%s) ask for %s that cannot both be", p->name,
			  a->name, q->name, b->name, names ? "names" : "licences");
}

void flow_tell_licence(struct flow_told *t)
{
	const struct flow_fork_case *c = t->c;
	for (size_t i = 0; i < c->others; i++) {
		const struct flow_fork_other *o = &c->other[i];
		if (o->own || !o->facts || flow_fork_is_copy(c, o))
			continue;
		if (o->parent)
			tell_edge(t, o, true);
		else if (flow_fork_unseen(c, o))
			tell_edge(t, o, false);
		for (size_t k = 0; o->parent && k < i; k++)
			if (c->other[k].parent && !c->other[k].own && c->other[k].facts)
				tell_conflict(t, &c->other[k], o);
	}
	const struct flow_fork_other *p = c->others && c->other[0].parent ? &c->other[0] : NULL;
	if (p && p->facts && !p->own && !flow_fork_is_copy(c, p))
		tell_artefacts(t, p);
	tell_own_texts(t);
}
