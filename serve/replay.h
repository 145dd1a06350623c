/* Serve: a recorded request, run again. */
#ifndef SERVE_REPLAY_H
#define SERVE_REPLAY_H

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct flow;

struct serve_replay_options {
	const char *ref;     /* another folder to compute with; NULL: the release of the record */
	const char *adapter; /* likewise of its adapter */
	bool has_seed;
	int64_t seed; /* instead of the recorded one */
	bool unsigned_ok;
};
/* Run the recorded request again. Report: as docs/formats.md, section 11, says. Where this machine
 * computes in another regime than the record, nothing is run, and "verdict" is "other regime".
 * ERR_UNAVAILABLE: this program is short of what the record takes (a policy's detector, a word for
 * how it was computed). */
int serve_replay(struct flow *f, uint64_t index, const struct serve_replay_options *o,
		 json_t **report, struct err *e) MUST_USE;

#endif
