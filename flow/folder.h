/* Private to flow/: what lies in a folder that is to be released, by names and first bytes. */
#ifndef FLOW_FOLDER_H
#define FLOW_FOLDER_H

#include "base/json.h"
#include "base/source.h"

struct flow_folder {
	json_t *ignored; /* paths that are left out, with what lies below them */
	json_t *secrets; /* files that are by name what nobody publishes: keys, tokens, passwords */
	json_t *tensors; /* safetensors files, whose tensors get digests of their own */
	json_t *whole; /* weights in other formats than safetensors: digests of files and chunks */
};
/* of: a folder's tree. ERR_INPUT: a git-lfs pointer stands for a file, or one of the parts of
 * weights in several files is missing. */
int flow_folder_look(struct source *of, struct flow_folder *out, struct err *e) MUST_USE;
/* The tensors of all its safetensors files. *out borrows from `of`. */
struct model_tensors;
int flow_folder_tensors(struct source *of, const struct flow_folder *l, struct model_tensors **out,
			struct err *e) MUST_USE;
void flow_folder_free(struct flow_folder *l);

/* Whether a file, by its name and, for names that say too little, by its content, is a secret. */
int flow_folder_is_secret(struct source *of, const char *name, bool *secret,
			  struct err *e) MUST_USE;

#endif
