/* Private to audit/: what the log itself says that the vault no longer holds. */
#ifndef AUDIT_GONE_H
#define AUDIT_GONE_H

#include "audit/record.h"

/* Records first to last of which entry `by` says that they are gone. lost: by accident, in between
 * there may be others that are not; else erased, each of them. */
struct gone_range {
	uint64_t first, last, by;
	bool lost;
};

struct gone {
	struct gone_range *range;
	size_t count, room;
	uint64_t
		unsaid; /* up to here, erasures of the form before version 1 may have erased more */
};

/* An entry of the log, in its order: noted if it is an erasure, or states a loss. */
int audit_gone_take(struct gone *g, uint64_t index, const struct record_head *head,
		    struct err *e) MUST_USE;
/* After the last one, before audit_gone_find. */
void audit_gone_sort(struct gone *g);
/* What says that the record is gone, or NULL. */
const struct gone_range *audit_gone_find(const struct gone *g, uint64_t index);
void audit_gone_free(struct gone *g);

/* A pair [first, last] of JSON, or a number that is both. */
bool audit_range_read(const json_t *item, uint64_t *first, uint64_t *last);

#endif
