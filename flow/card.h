/* Private to flow/: what a model card declares in its front matter, and nowhere else. */
#ifndef FLOW_CARD_H
#define FLOW_CARD_H

#include "base/source.h"

#define FLOW_CARD_BASES 16 /* what is read of a merge of more */

/* "" and 0 where nothing is declared. UTF-8 whatever the card is: U+FFFD for what is not; a longer
 * value ends after a whole character. */
struct flow_card {
	char base[FLOW_CARD_BASES][256]; /* base_model, each once */
	size_t bases;
	char relation[64]; /* base_model_relation */
	char license[64];
};

/* README.md of a model. A card that cannot be read declares nothing. */
void flow_card_read(struct source *s, struct flow_card *out);

/* The same of a text. */
void flow_card_parse(const char *text, struct flow_card *out);

/* Whether it names that model as a base. */
bool flow_card_declares(const struct flow_card *c, const char *model);

#endif
