/* The vault's key in the state folder.
 *
 *   keys/vault.key, vault.pub  the identity of which the vault's kek derives
 *   keys/next/                 the same of a new one, until the subject keys are wrapped under it
 *                              and it has taken the other's place: first .key, then .pub
 *
 * The key of the log does not open the vault: either can be lost or replaced without the other. */
#include "flow/vault.h"

#include "audit/door.h"
#include "base/file.h"
#include "flow/home.h"

#include <string.h>

#define VAULT FLOW_VAULT_KEY
#define NEXT "keys/next"
#define THIS_KEY "keys/" VAULT ".key"
#define THIS_PUB "keys/" VAULT ".pub"
#define NEXT_KEY NEXT "/" VAULT ".key"
#define NEXT_PUB NEXT "/" VAULT ".pub"

static bool is_there(const struct flow *f, const char *name)
{
	char path[LIMIT_PATH_BYTES];
	return flow_path(f, name, path, NULL) == 0 && file_exists(path);
}

static int move(const struct flow *f, const char *from, const char *to, struct err *e)
{
	char source[LIMIT_PATH_BYTES], target[LIMIT_PATH_BYTES];
	if (!is_there(f, from))
		return 0;
	TRY(flow_path(f, from, source, e));
	TRY(flow_path(f, to, target, e));
	return file_rename_durable(source, target, e);
}

/* What a crash left: half a new key, which wraps nothing yet; or one that is in place but for its
 * public half. */
static int tidy(const struct flow *f, struct err *e)
{
	char next[LIMIT_PATH_BYTES];
	bool secret = is_there(f, NEXT_KEY), public = is_there(f, NEXT_PUB);
	if (secret && public)
		return 0;
	if (public)
		TRY(move(f, NEXT_PUB, THIS_PUB, e));
	TRY(flow_path(f, NEXT, next, e));
	return file_remove_tree(next, e);
}

/* begun: a crash left half of it, which wraps nothing yet. A public half that is left of a key
 * whose loss was accepted stands for nothing. */
static int make(struct flow *f, const char *dir, bool begun, struct err *e)
{
	char id[VAULT_KEK_ROOM], stale[LIMIT_PATH_BYTES];
	TRY(audit_vault_kek(f->keys, id, e));
	if (id[0] && !begun)
		return err_set(
			e, ERR_NOTFOUND,
			"%s/" VAULT ".key, which opens what the vault holds, is missing: put it "
			"and " VAULT ".pub back from a backup; or give up what the vault holds: "
			"move state.db and keys.db away, and run `hallmark registry rebuild`",
			dir);
	TRY(flow_path(f, THIS_PUB, stale, e));
	if (!begun)
		TRY(file_remove_tree(stale, e));
	TRY(signing_identity_create(dir, VAULT, NULL, f->env, e));
	return signing_identity_open(&f->vault, dir, VAULT, NULL, e);
}

/* Whether the log is this process's to write; a guest's is not. */
static bool is_ours(const struct flow *f)
{
	return !f->read_only && !audit_claim_is_guest(f->claim);
}

int flow_vault_open(struct flow *f, struct err *e)
{
	char dir[LIMIT_PATH_BYTES], beside[LIMIT_PATH_BYTES];
	TRY(flow_path(f, "keys", dir, e));
	TRY(flow_path(f, NEXT, beside, e));
	if (is_ours(f))
		TRY(tidy(f, e));
	bool next = is_there(f, NEXT_KEY) && is_there(f, NEXT_PUB);
	bool there = is_there(f, THIS_KEY);
	int rc = next ? signing_identity_open(&f->vault, beside, VAULT, f->passphrase, e) : 0;
	if (rc == 0 && (there || !next))
		rc = signing_identity_open(next ? &f->vault_before : &f->vault, dir, VAULT,
					   f->passphrase, e);
	if (rc == ERR_NOTFOUND && !next && is_ours(f))
		return make(f, dir, there, e);
	/* Reading needs it only for what the vault holds, and says so there. */
	return is_ours(f) ? rc : 0;
}

int flow_vault_settle(struct flow *f, struct err *e)
{
	char next[LIMIT_PATH_BYTES];
	if (!is_ours(f))
		return 0;
	TRY(move(f, NEXT_KEY, THIS_KEY, e));
	TRY(move(f, NEXT_PUB, THIS_PUB, e));
	TRY(flow_path(f, NEXT, next, e));
	return file_remove_tree(next, e);
}

int flow_vault_renew(struct flow *f, struct err *e)
{
	char next[LIMIT_PATH_BYTES];
	TRY(flow_path(f, NEXT, next, e));
	return signing_identity_create(next, VAULT, f->passphrase, f->env, e);
}

int flow_vault_renewed(struct flow *f, json_t **report, struct err *e)
{
	char id[VAULT_KEK_ROOM];
	struct audit_receipt receipt;
	snprintf(id, sizeof id, "%.16s", signing_identity_public(f->vault)->ed25519_keyid);
	json_t *body = json_pack("{s:s,s:s,s:s}", "event", "rewrap", "name", VAULT, "kek", id);
	TRY(json_ok(body, e));
	int rc = flow_append(f, &(struct audit_record){ .type = "key", .body = body }, false,
			     &receipt, e);
	json_decref(body);
	TRY(rc);
	*report = json_pack("{s:s,s:I}", "key", id, "index", (json_int_t)receipt.index);
	return json_ok(*report, e);
}
