/* Private to flow/: a LoRA adapter beside the model that it may be of. */
#ifndef FLOW_FORK_ADAPTER_H
#define FLOW_FORK_ADAPTER_H

#include "flow/fork_model.h"

/* What adapter_config.json names as the base, where no card does: into the adapter's card. */
int flow_fork_adapter_card(struct flow_fork_model *m, struct err *e) MUST_USE;

/* Whether `adapter` is an adapter of `base`, as an object for reports (docs/formats.md, section
 * 10); *out NULL: it is no adapter at all. Reads the matrices of the base that it changes. One that
 * is of a kind that is not read is told so, no error. */
int flow_fork_adapter(struct flow_fork_model *base, struct flow_fork_model *adapter, json_t **out,
		      struct err *e) MUST_USE;

#endif
