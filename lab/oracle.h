/* Private to lab/: one oracle case of the selftest. */
#ifndef LAB_ORACLE_H
#define LAB_ORACLE_H

#include "base/json.h"

struct lab_selftest;
/* Load the oracles' DIR/CASE as a model, compute what its expected.safetensors holds, compare.
 * Appends {name, ok, max_error, tolerance, detail} to cases; with dump, writes
 * DUMP/CASE/computed.safetensors. An error is for the selftest itself (the dump cannot be
 * written). */
int lab_oracle_run(const struct lab_selftest *t, const char *name, json_t *cases,
		   struct err *e) MUST_USE;

#endif
