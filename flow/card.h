/* Private to flow/: what a model card declares in its front matter, and nowhere else. */
#ifndef FLOW_CARD_H
#define FLOW_CARD_H

#include "base/digest.h"
#include "base/source.h"
#include "base/yaml.h"
#include "flow/model_name.h"

#define FLOW_CARD_BASES 16 /* what is read of a merge of more */

/* "", false and 0 where nothing is declared. UTF-8 whatever the card is: U+FFFD for what is not; a
 * longer value ends after a whole character. */
struct flow_card {
	char base[FLOW_CARD_BASES][256]; /* base_model, as it is written, each once */
	size_t bases;
	char relation[64];                  /* base_model_relation, in lower case */
	char license[64], license_name[64]; /* license, or its first where there are several */
	char model[256];                    /* what it calls itself: model_name, model-index */
	double parameters;                  /* of a key that says how many it has */
	bool scratch;     /* "trained from scratch", by a tag, its training type or as base model */
	bool all_trained; /* by a tag: no tensor was left as it was */
	bool merged;      /* by a tag */
	struct digest text; /* of the whole card; zero without one */
	/* "", or why not all of it could be read: a sentence. What it declares is then not known. */
	char problem[YAML_PROBLEM];
};

/* README.md of a model. A card that cannot be read declares nothing, and problem says why.
 * ERR_NOMEM; ERR_VERIFY: not the one that was signed. */
int flow_card_read(struct source *s, struct flow_card *out, struct err *e) MUST_USE;

/* The same of another file. */
int flow_card_read_as(struct source *s, const char *name, struct flow_card *out,
		      struct err *e) MUST_USE;

/* The same of a text. */
int flow_card_parse(const char *text, size_t len, struct flow_card *out, struct err *e) MUST_USE;

/* Another base that is declared beside the card: in a file of an adapter, in a release. */
void flow_card_add_base(struct flow_card *c, const char *name);

/* How it names that model as a base: the best of its names. */
enum flow_match flow_card_declares(const struct flow_card *c, const char *model);

#endif
