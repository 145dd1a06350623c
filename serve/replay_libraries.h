/* Private to serve/: what matched the rules of a recorded answer, beside what does here. */
#ifndef SERVE_REPLAY_LIBRARIES_H
#define SERVE_REPLAY_LIBRARIES_H

#include "flow/flow.h"

/* [{name, recorded, found}], new reference: the parts of filter_tables_version that have another
 * version here than when `entry` was recorded. bundle: the digest in that record, "" without a
 * policy. Empty where the log does not say what it was. */
int serve_replay_libraries(struct flow *f, const json_t *entry, const char *bundle, json_t **out,
			   struct err *e) MUST_USE;

#endif
