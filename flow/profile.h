/* Private to flow/: a policy file or bundle loaded for use. */
#ifndef FLOW_PROFILE_H
#define FLOW_PROFILE_H

#include "base/buf.h"
#include "base/json.h"
#include "policy/policy.h"

/* TOML is compiled, a bundle taken as it is; bundle receives the bytes whose digest the profile
 * carries. */
int flow_profile_load(const char *path, struct policy_profile **out, struct buf *bundle,
		      struct err *e) MUST_USE;

/* [{rule, detector, start, end, action}] of a record. */
json_t *flow_findings_json(const struct filter_record *r);

#endif
