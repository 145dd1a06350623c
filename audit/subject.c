/* Persons: what the log calls them, and what the vault holds of one. */
#include "audit/subject.h"
#include "audit/log_in.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

_Static_assert(AUDIT_HANDLE_ROOM == VAULT_HANDLE_ROOM, "one form of handles");

int audit_subject_handle(struct audit_log *log, const char *name, char out[AUDIT_HANDLE_ROOM],
			 struct err *e)
{
	size_t len = strlen(name);
	bool ok = len > 0 && len <= 256 && text_utf8_valid(name, len);

	for (size_t i = 0; i < len; i++)
		ok &= (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
	if (!ok)
		return err_set(e, ERR_INPUT,
			       "a person's name: expected 1 to 256 bytes of UTF-8 without control "
			       "characters");
	return audit_vault_handle(log, "subject", name, out, e);
}

int audit_subject_count(struct audit_log *log, const char *handle, uint64_t *count, struct err *e)
{
	char id[sizeof(((struct vault_key *)0)->id)];
	struct store_stmt *st;
	struct store_tx *tx;
	int rc;

	snprintf(id, sizeof id, "s:%s", handle);
	TRY(store_read(log->store, &tx, e));
	rc = store_prepare(tx, "SELECT count(*) FROM vault WHERE key_id = $1", &st, e);
	if (rc == 0) {
		store_bind_text(st, 1, id);
		rc = store_step(st, e);
		*count = rc == 1 ? (uint64_t)store_i64(st, 0) : 0;
		store_finish(st);
	}
	store_end(tx);
	return rc < 0 ? rc : 0;
}
