/* Private to flow/: the parts of an audit's bundle, flow/fork_bundle.c. */
#ifndef FLOW_FORK_BUNDLE_H
#define FLOW_FORK_BUNDLE_H

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"

#define FLOW_BUNDLE_REPORT "report.json"
#define FLOW_BUNDLE_PAGE "report.html"
#define FLOW_BUNDLE_LINES "comparisons.jsonl"
#define FLOW_BUNDLE_RECEIPT "receipt.tlog-proof"
#define FLOW_BUNDLE_BYTES MIB(512) /* of one file of it; a comparison has some MB at most */

/* report.html of the report, as it is read from report.json: its members in that order. */
int flow_fork_bundle_page(const json_t *report, struct buf *out, struct err *e) MUST_USE;

/* Before the report is logged: its `comparisons` as lines, and in their place {count, digest} of
 * these. A report without any is left as it is, and lines are empty. */
int flow_fork_bundle_lines(json_t *report, struct buf *lines, struct err *e) MUST_USE;
/* After: keep the bundle of the report, which has its index, in the home; adds `bundle`, where it
 * is. */
struct flow;
int flow_fork_bundle_keep(struct flow *f, json_t *report, const struct buf *lines,
			  struct err *e) MUST_USE;

#endif
