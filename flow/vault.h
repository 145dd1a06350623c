/* Flow: the vault's key, keys/vault.key, from which what wraps its subject keys derives. */
#ifndef FLOW_VAULT_H
#define FLOW_VAULT_H

#include "flow/flow.h"

/* A new key for the vault, made beside the one in use and wrapped by the passphrase if one was
 * given: the next opening for writing wraps all subject keys under it and puts it in place. */
int flow_vault_renew(struct flow *f, struct err *e) MUST_USE;
/* After that opening: log it. Report: {key, index}. */
int flow_vault_renewed(struct flow *f, json_t **report, struct err *e) MUST_USE;

#endif
