/* Private to flow/: the open state folder and what its files share. */
#ifndef FLOW_HOME_H
#define FLOW_HOME_H

#include "audit/audit.h"
#include "audit/door.h"
#include "base/limits.h"
#include "base/store.h"
#include "flow/flow.h"
#include "flow/release.h"
#include "registry/registry.h"
#include "signing/release.h"

#include <stdatomic.h>

#define FLOW_LOG_KEY "log"
#define FLOW_VAULT_KEY "vault"
#define FLOW_FOLDER_SUFFIX ".hallmark"       /* beside the model: manifest, signatures, receipt */
#define FLOW_STAGING_SUFFIX ".hallmark.part" /* the same, before its release is in the log */

struct flow {
	char home[LIMIT_PATH_BYTES];
	const struct env *env;
	bool read_only, quiet;
	const char *command; /* borrowed: the options' */
	unsigned wait_s;
	bool alone, clock_ok, many;
	char *passphrase;
	struct store *store; /* state.db: of the log and the registry; flow has no tables */
	struct store *keys;  /* keys.db; NULL when read-only and there is none */
	struct registry *registry;
	struct signing_identity *log_key;
	/* The vault's key and, while a new one takes its place, the one before; NULL: not there, or
	 * of no use when read-only. */
	struct signing_identity *vault, *vault_before;
	struct audit_claim *claim; /* the right to write; NULL when read-only */
	struct audit_log *log;
	struct audit_door *door;   /* or NULL */
	const char *origin_wanted; /* borrowed: the options'; for a log that is not there yet */
	char origin[256];
	char vkey[512];
	bool started; /* this process has a start record */
	atomic_uint access_changes; /* records of tokens made or revoked, as they came in */
	json_t *recovered;
};

/* HOME/name into out[LIMIT_PATH_BYTES]. */
int flow_path(const struct flow *f, const char *name, char *out, struct err *e) MUST_USE;

/* The first steps of flow_open, for rebuilding: the structure with its folder; the right to write;
 * then stores, index and log key. */
int flow_home_alloc(struct flow **out, const struct flow_options *o, struct err *e) MUST_USE;
int flow_home_claim(struct flow *f, struct err *e) MUST_USE;
int flow_home_stores(struct flow *f, struct err *e) MUST_USE;
/* Whether a part of the state folder is there. What may not be looked at is not absent: ERR_IO. */
int flow_home_look(const struct flow *f, const char *name, bool *there, struct err *e) MUST_USE;
struct audit_options flow_log_options(struct flow *f);

/* vault.c: open the vault's key, making the first one; after the log's opening, which wrapped all
 * under it, put a new one in its place. */
int flow_vault_open(struct flow *f, struct err *e) MUST_USE;
int flow_vault_settle(struct flow *f, struct err *e) MUST_USE;

/* Opens an identity of HOME/keys by name. */
int flow_identity(struct flow *f, const char *name, struct signing_identity **out,
		  struct err *e) MUST_USE;

/* access.c: the rows that share the fate of an entry, the registry's, and a count of tokens. */
int flow_access_apply(void *ctx, struct store_tx *tx, uint64_t index, const json_t *entry,
		      struct err *e) MUST_USE;
int flow_access_schema(struct store_tx *tx, struct err *e) MUST_USE;
bool flow_access_concerns(const char *type);

/* ---- trust.c ---- */

/* Public keys that may sign releases: the file `key` alone, or own keys and trust.toml. f may be
 * NULL with key. */
struct flow_publisher {
	struct signing_public key; /* its name is that of trust.toml, where it stands there */
	bool own, given;           /* of this state folder; from the file `key` */
	char models[sizeof((struct signing_public *)0)->models]; /* that it may sign; "": see below */
};
struct flow_trust {
	struct flow_publisher *of; /* own ones first */
	size_t count;
};
int flow_trust_load(struct flow *f, const char *key, struct flow_trust *out,
		    struct err *e) MUST_USE;
void flow_trust_free(struct flow_trust *t);
/* What to call a key: its name, else the id of one of its halves. Borrowed. */
const char *flow_key_label(const struct signing_public *key);
/* ERR_DENIED: the key has ended before now, or (lasts) before the clock of f; with what to do. */
int flow_key_ended(const struct signing_public *key, int64_t now_us, struct err *e) MUST_USE;
int flow_key_lasts(const struct flow *f, const struct signing_public *key,
		   struct err *e) MUST_USE;
/* Whether a publisher may sign a model of that name: trust.toml says so; else, of an own key, its
 * document does; else the name's organisation is the publisher. A key file that was given and names
 * nobody may sign any. ERR_DENIED, with what to do about it. */
int flow_trust_allows(const struct flow_publisher *p, const char *model, struct err *e) MUST_USE;
/* The own publisher of that name, as trust.toml has it too. ERR_NOTFOUND. */
int flow_trust_own(struct flow *f, const char *name, struct flow_publisher *out,
		   struct err *e) MUST_USE;

/* ---- ref.c ---- */

/* What a REF names, as named byte ranges: nothing is copied or unpacked. */
struct flow_ref {
	struct source *source;       /* the model; of a folder its tree: source_open_tree */
	struct source *beside;       /* manifest, signatures, receipt; NULL where there are none */
	char path[LIMIT_PATH_BYTES]; /* of the folder or package, absolute */
	bool is_folder;
	bool registered;
	struct registry_release release; /* when registered */
};
/* What lies beside a model's folder: DIR.hallmark, else .hallmark in it, as a package that tar
 * unpacked or a hub's repository has it. *out NULL: neither is there. */
int flow_beside_open(const char *dir, struct source **out, struct err *e) MUST_USE;
int flow_ref_open(struct flow *f, const char *ref, struct flow_ref *out, struct err *e) MUST_USE;
void flow_ref_free(struct flow_ref *r);
/* For use without a signature: a folder that holds anything but files is refused, by its name. */
int flow_ref_plain(struct flow_ref *r, struct err *e) MUST_USE;
/* The folder of a registered REF must still hold that release: ERR_VERIFY when it holds another. */
int flow_ref_check(const struct flow_ref *r, const struct signing_manifest *m,
		   struct err *e) MUST_USE;
/* "org/model": two name parts of [A-Za-z0-9._-]. */
bool flow_name_ok(const char *name);

/* ---- ranges.c ---- */

/* The model room knows which byte ranges are tensors; signing digests them by name. The ranges
 * borrow from t; free(*out). */
struct model_tensors;
int flow_ranges_of(const struct model_tensors *t, struct signing_range **out, size_t *count,
		   struct err *e) MUST_USE;

/* The root that publishing what lies there, as it is, would give it: what is unsigned has this
 * name, wherever it is named. Reads every file once. */
int flow_root_of(struct source *s, struct digest *root, struct err *e) MUST_USE;

/* ---- release.c ---- */

/* The bundle of a release, checked against trusted keys. *signer is the index of the key in t.
 * beside: what lies beside the model, or NULL; an Ed25519 key needs it. ERR_NOTFOUND: unsigned, or
 * by nobody who is trusted. ERR_VERIFY: not by the trusted key that it names; not by the one given.
 */
int flow_bundle_open(struct source *s, struct source *beside, const struct flow_trust *t,
		     struct signing_manifest *m, size_t *signer, struct err *e) MUST_USE;

/* ---- publish_finish.c, recover.c ---- */

/* dir with a suffix: "path too long" otherwise. */
int flow_path_beside(const char *dir, const char *suffix, char out[LIMIT_PATH_BYTES],
		     struct err *e) MUST_USE;

/* 1 if the release of a publication under way is in the log, 0 if not. */
int flow_pending_logged(struct flow *f, const struct registry_pending *p, struct err *e) MUST_USE;
/* Move what was staged to its final place, and write the package if one is wanted: idempotent.
 * ERR_NOTFOUND: the folder is gone. */
int flow_publish_finish(struct flow *f, const struct registry_pending *p, struct err *e) MUST_USE;
int flow_publish_package(struct flow *f, const struct registry_pending *p, struct err *e) MUST_USE;
int flow_recover(struct flow *f, struct err *e) MUST_USE;
/* That of one folder, which the caller has locked. */
int flow_recover_folder(struct flow *f, const char *dir, struct err *e) MUST_USE;

#endif
