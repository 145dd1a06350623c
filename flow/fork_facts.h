/* Private to flow/: what lies beside a model's weights, as far as it can be compared: what files
 * mean, not how a version of a library spells them. */
#ifndef FLOW_FORK_FACTS_H
#define FLOW_FORK_FACTS_H

#include "base/digest.h"
#include "base/json.h"
#include "flow/card.h"
#include "flow/licence.h"

#include <stdint.h>

/* A tokenizer as digests of what decides about ids. */
struct flow_tokenizer {
	const char
		*file; /* tokenizer.json, or another form, of which only `bytes` is known; NULL */
	struct digest bytes;
	uint64_t tokens;
	struct digest vocabulary;           /* every id and its text, added ones too */
	struct digest core;                 /* the same without the added ones */
	struct digest merges, model, steps; /* ranks or scores; options; what is done around it */
	json_t *added;                      /* [added tokens] {id, content, flags} by id */
	json_t *special;                    /* bos_token, eos_token, unk_token: their texts */
	char problem[160];                  /* "", or why the file cannot be read */
};

/* Chat templates by name, the one without a name as "default". */
struct flow_templates {
	json_t *named; /* name: text without the white space that does not matter */
	char problem
		[160]; /* "", or which file cannot be read, and why: there may be more of them */
};

/* What is kept of a model beside its weights. */
struct flow_fork_facts {
	json_t *config, *generation; /* config.json, generation_config.json; NULL */
	unsigned bits; /* of most stored weights, where that is known and below 16; else 0 */
	bool adapter;  /* the files are one, not whole weights */
	bool gguf;     /* config and tokenizer are made from a GGUF file */
	struct flow_card card;
	struct flow_tokenizer tokenizer;
	struct flow_templates templates;
	struct flow_licence_texts licences;
	double parameters; /* values in the files; 0: not all of them are read */
	uint32_t experts;  /* of a layer, by the names of tensors; 0: none, or in stacks */
};
/* The rest of a zeroed *x, whose config and gguf the caller sets. files: the folder as it lies;
 * texts: that, or a GGUF file as a folder. ERR_VERIFY: one is not what was signed. Some MB of
 * reading and tens of KB kept: for those that are told of, not for each that is registered. */
int flow_fork_facts_read(struct flow_fork_facts *x, struct source *files, struct source *texts,
			 struct err *e) MUST_USE;
void flow_fork_facts_free(struct flow_fork_facts *x);

/* ---- its parts ---- */

/* 1 with the text, 0 where there is none, and why.text says why. ERR_VERIFY, ERR_NOMEM are errors
 * in e: what is not the one that was signed must not count as absent. */
int flow_text_read(struct source *s, const char *name, size_t bytes_max, struct buf *out,
		   struct err *why, struct err *e) MUST_USE;
/* The same of a document as Python writes it, a new reference. */
int flow_json_file_read(struct source *s, const char *name, size_t bytes_max, json_t **out,
			struct err *why, struct err *e) MUST_USE;
/* config: tokenizer_config.json, or NULL. */
int flow_tokenizer_read(struct flow_tokenizer *x, struct source *s, const json_t *config,
			struct err *e) MUST_USE;
void flow_tokenizer_free(struct flow_tokenizer *x);
/* Sizes by the tensors: parameters, experts, bits where the config says none. */
struct model_values;
void flow_fork_count(struct flow_fork_facts *x, const struct model_values *values);

#endif
