/* Private to audit/: the right to write. */
#ifndef AUDIT_CLAIM_H
#define AUDIT_CLAIM_H

#include "audit/door.h"
#include "audit/guest.h"
#include "base/limits.h"

struct audit_claim {
	struct audit_guest *guest; /* or NULL, and then: */
	int lock_fd;
};

#endif
