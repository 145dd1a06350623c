/* Private to lab/: one oracle case of the selftest. */
#ifndef LAB_ORACLE_H
#define LAB_ORACLE_H

#include "base/json.h"

/* Load DIR/CASE as a model, compute what its expected.safetensors holds, compare. Appends {name,
 * ok, max_error, tolerance, detail} to cases; with dump, writes DUMP/CASE/computed.safetensors. An
 * error is for the selftest itself (the dump cannot be written). */
int lab_oracle_run(const char *dir, const char *name, unsigned threads, const char *dump,
		   json_t *cases, struct err *e) MUST_USE;

#endif
