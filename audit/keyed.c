#include "audit/keyed.h"
#include "audit/log_in.h"
#include "base/text.h"

#include <string.h>

int audit_actor_handle(struct audit_log *log, const char *name, char out[AUDIT_ACTOR_ROOM],
		       struct err *e)
{
	return audit_vault_handle(log, "actor", name, out, e);
}

int audit_log_secret(struct audit_log *log, const char *purpose, uint8_t out[16], struct err *e)
{
	char handle[VAULT_HANDLE_ROOM];
	TRY(audit_vault_handle(log, "secret", purpose, handle, e));
	int rc = text_unhex(handle + strlen("handle:"), 32, out, 16);
	explicit_bzero(handle, sizeof handle);
	return rc;
}
