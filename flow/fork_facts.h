/* Private to flow/: what lies beside a model's weights. */
#ifndef FLOW_FORK_FACTS_H
#define FLOW_FORK_FACTS_H

#include "base/digest.h"
#include "base/json.h"
#include "flow/card.h"

/* What is kept of a model beside its weights. */
struct flow_fork_facts {
	json_t *config;
	unsigned
		bits; /* of most stored weights, where they are quantised and it is known; else 0 */
	bool gguf; /* config and tokenizer are made from a GGUF file: not its maker's own texts */
	struct flow_card card;
	struct digest tokenizer;     /* of tokenizer.json; zero when absent */
	struct digest chat_template; /* of the template's text; zero when absent */
};
/* The rest of a zeroed *x, whose config and gguf the caller sets. files: the folder as it lies;
 * texts: that, or a GGUF file as a folder. ERR_VERIFY: one is not what was signed. */
int flow_fork_facts_read(struct flow_fork_facts *x, struct source *files, struct source *texts,
			 struct err *e) MUST_USE;
void flow_fork_facts_free(struct flow_fork_facts *x);

#endif
