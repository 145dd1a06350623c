/* Private to flow/: what a model card declares in its front matter, and nowhere else. */
#ifndef FLOW_CARD_H
#define FLOW_CARD_H

#include "base/source.h"

/* "" where nothing is declared. UTF-8 whatever the card is: U+FFFD for what is not; a longer value
 * ends after a whole character. */
struct flow_card {
	char base[256];    /* base_model */
	char relation[64]; /* base_model_relation */
	char license[64];
};

/* README.md of a model. A card that cannot be read declares nothing. */
void flow_card_read(struct source *s, struct flow_card *out);

/* The same of a text. */
void flow_card_parse(const char *text, struct flow_card *out);

#endif
