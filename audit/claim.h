/* Private to audit/: the right to write. */
#ifndef AUDIT_CLAIM_H
#define AUDIT_CLAIM_H

#include "audit/door.h"
#include "base/limits.h"

struct audit_claim {
	int lock_fd;
};

#endif
