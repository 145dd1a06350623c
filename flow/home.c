/* The state folder: opened, created, closed.
 *
 *   HOME/keys/NAME.key NAME.pub   identities; "log" signs the log
 *   HOME/trust.toml, trust/       other publishers' key documents
 *   HOME/log/                     the published transparency log
 *   HOME/state.db                 head, entries, vault, index, pending publications
 *   HOME/keys.db                  wrapped subject keys
 *   HOME/policy/HEX.bundle        compiled policies that were served, by digest
 *   HOME/cache/                   may be deleted at any time; sketches/: fork_cache.c */
#include "base/build.h"
#include "base/file.h"
#include "base/text.h"
#include "flow/health.h"
#include "flow/home.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLOW_HURRY_MS 1000

const struct env *flow_env(const struct flow *f) { return f->env; }
struct audit_log *flow_log(const struct flow *f) { return f->log; }
const char *flow_home(const struct flow *f) { return f->home; }
bool flow_quiet(const struct flow *f) { return f->quiet; }
bool flow_read_only(const struct flow *f) { return f->read_only; }

int flow_path(const struct flow *f, const char *name, char *out, struct err *e)
{
	return file_join(out, f->home, name, e);
}

int flow_home_find(const struct env *env, const char *given, char out[LIMIT_PATH_BYTES],
		   struct err *e)
{
	const char *base = given ? given : env_variable(env, "HALLMARK_HOME");
	if (base && *base)
		return file_join(out, base, "", e);
	base = env_variable(env, "XDG_DATA_HOME");
	if (base && *base)
		return file_join(out, base, "hallmark", e);
	base = env_variable(env, "HOME");
	if (base && *base)
		return file_join(out, base, ".local/share/hallmark", e);
	return err_set(e, ERR_USAGE, "no state folder: set HALLMARK_HOME or give --home DIR");
}

static void trim_slashes(char *path)
{
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		path[--n] = 0;
}

static int make_folders(struct flow *f, struct err *e)
{
	static const char *const parts[] = { "keys", "trust", "log", "policy", "cache" };
	char path[LIMIT_PATH_BYTES];
	TRY(file_make_dirs(f->home, 0700, e));
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		TRY(flow_path(f, parts[i], path, e));
		TRY(file_make_dirs(path, 0700, e));
	}
	return 0;
}

static void say_waiting(void *ctx, const char *who)
{
	const struct flow *f = ctx;
	if (!f->quiet)
		fprintf(stderr, "hallmark: waiting for %s, which writes to %s\n", who, f->home);
}

/* Before anything is made or looked at: of several first commands one makes keys, databases and
 * log, and the others find them whole. */
int flow_home_claim(struct flow *f, struct err *e)
{
	TRY(make_folders(f, e));
	return audit_claim_take(&f->claim,
				&(struct audit_claiming){ .home = f->home,
							  .command = f->command,
							  .env = f->env,
							  .alone = f->alone,
							  .wait_ms = f->wait_s * 1000,
							  .waiting = say_waiting,
							  .ctx = f },
				e);
}

/* The one place that opens databases; to others they are handed in. */
static int open_store(struct flow *f, const char *name, struct store **out, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	char *home = realpath(f->home, NULL);
	if (!home)
		return err_errno(e, "state folder %s", f->home);
	int rc = file_join(path, home, name, e);
	free(home);
	if (rc < 0 || (f->read_only && !file_exists(path)))
		return rc;
	return store_open(out, path, e);
}

/* The log's name: what its genesis says; of a new one what was asked for, else one of its key. So a
 * copied folder keeps its name. */
static int take_origin(struct flow *f, const struct signing_public *pub, struct err *e)
{
	char dir[LIMIT_PATH_BYTES], hex[17];
	const char *wanted = f->origin_wanted;
	TRY(flow_path(f, "log", dir, e));
	int rc = audit_log_name(f->store, dir, f->origin, e);
	if (rc == 0 && wanted && strcmp(wanted, f->origin) != 0)
		return err_set(e, ERR_CONFLICT,
			       "the log in %s is named %s: a log keeps the name that it began with",
			       f->home, f->origin);
	if (rc != ERR_NOTFOUND)
		return rc;
	struct digest d = digest_of(pub->ed25519, sizeof pub->ed25519);
	text_hex(d.bytes, 8, hex);
	snprintf(f->origin, sizeof f->origin, "%s%s", wanted ? wanted : "hallmark.local/",
		 wanted ? "" : hex);
	return 0;
}

/* The log's key is made with the log, never for one that exists. */
static int open_log_key(struct flow *f, struct err *e)
{
	char dir[LIMIT_PATH_BYTES], checkpoint[LIMIT_PATH_BYTES], secret[LIMIT_PATH_BYTES];
	TRY(flow_path(f, "keys", dir, e));
	TRY(flow_path(f, "keys/" FLOW_LOG_KEY ".key", secret, e));
	TRY(flow_path(f, "log/checkpoint", checkpoint, e));
	int rc = signing_identity_open(&f->log_key, dir, FLOW_LOG_KEY, NULL, e);
	if (rc == ERR_NOTFOUND && file_exists(checkpoint) && !file_exists(secret))
		return err_set(e, ERR_NOTFOUND,
			       "%s/" FLOW_LOG_KEY ".key, which signs this log, is missing: put it "
			       "back from a backup",
			       dir);
	if (rc == ERR_NOTFOUND && !f->read_only) {
		TRY(signing_identity_create(dir, FLOW_LOG_KEY, NULL, f->env, e));
		rc = signing_identity_open(&f->log_key, dir, FLOW_LOG_KEY, NULL, e);
	}
	TRY(rc);
	const struct signing_public *pub = signing_identity_public(f->log_key);
	TRY(take_origin(f, pub, e));
	struct buf vkey = { 0 };
	rc = signing_public_export(pub, SIGNING_VKEY, f->origin, &vkey, e);
	if (rc == 0 && vkey.len < sizeof f->vkey)
		snprintf(f->vkey, sizeof f->vkey, "%.*s", (int)strcspn(vkey.bytes, "\n"),
			 vkey.bytes);
	buf_free(&vkey);
	return rc;
}

struct audit_options flow_log_options(struct flow *f)
{
	return (struct audit_options){
		.home = f->home,
		.store = f->store,
		.keys = f->keys,
		.key = f->log_key,
		.vault = f->vault,
		.vault_before = f->vault_before,
		.origin = f->origin,
		.hook = { .apply = flow_access_apply,
			  .schema = flow_access_schema,
			  .concerns = flow_access_concerns,
			  .ctx = f },
		.env = f->env,
		.claim = f->claim,
		.read_only = f->read_only,
		.journal = f->many,
		.clock_ok = f->clock_ok,
	};
}

int flow_home_stores(struct flow *f, struct err *e)
{
	TRY(open_store(f, "state.db", &f->store, e));
	TRY(open_store(f, "keys.db", &f->keys, e));
	TRY(registry_open(&f->registry, f->store, e));
	TRY(open_log_key(f, e));
	return flow_vault_open(f, e);
}

int flow_home_look(const struct flow *f, const char *name, bool *there, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	TRY(flow_path(f, name, path, e));
	*there = access(path, R_OK) == 0;
	if (*there || errno == ENOENT || errno == ENOTDIR)
		return 0;
	if (errno == EACCES || errno == EPERM)
		return err_set(e, ERR_IO,
			       "state folder %s: permission denied: it is another user's; give --home "
			       "DIR, or set HALLMARK_HOME",
			       f->home);
	return err_errno(e, "state folder %s", f->home);
}

/* The signed checkpoint is what a first command writes last: before it there is nothing to read. */
static int check_parts(struct flow *f, struct err *e)
{
	bool there = false, signed_once = false, keys = false;
	TRY(flow_home_look(f, "state.db", &there, e));
	TRY(flow_home_look(f, "log/checkpoint", &signed_once, e));
	TRY(flow_home_look(f, "keys.db", &keys, e)); /* made after state.db */
	if (f->read_only && there && !signed_once)
		return err_set(e, ERR_NOTFOUND,
			       "no log in %s yet: its first command is at work, or was cut off: "
			       "run that again; or log/ was lost: run `hallmark registry rebuild`",
			       f->home);
	if (f->read_only && !there)
		return err_set(e, ERR_NOTFOUND,
			       "no state in %s yet: to verify, trust a publisher (`hallmark key "
			       "import FILE`) or give --key FILE; to publish, `hallmark key new`; "
			       "where only the log is left, `hallmark registry rebuild`",
			       f->home);
	if (!there && !signed_once && keys)
		return err_set(
			e, ERR_NOTFOUND,
			"%s has keys.db, and neither log/ nor state.db: put both back, or only log/ and "
			"run `hallmark registry rebuild`; to begin a new log knowingly, move keys.db away",
			f->home);
	if (!there && signed_once)
		return err_set(e, ERR_NOTFOUND,
			       "%s has a log but no state.db: run `hallmark registry rebuild`",
			       f->home);
	return 0;
}

static int open_parts(struct flow *f, struct err *e)
{
	if (!f->read_only)
		TRY(flow_home_claim(f, e));
	TRY(check_parts(f, e));
	TRY(flow_home_stores(f, e));
	struct audit_options log = flow_log_options(f);
	TRY(audit_log_open(&f->log, &log, e));
	TRY(flow_vault_settle(f, e));
	f->recovered = json_pack("{s:[],s:[],s:[]}", "completed", "undone", "failed");
	TRY(json_ok(f->recovered, e));
	return f->read_only ? 0 : flow_recover(f, e);
}

/* A prefix of URLs without their scheme, as C2SP tlog-checkpoint asks of an origin. */
static int check_origin(const char *name, struct err *e)
{
	static const char host_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.:";
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.:"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ/_~";
	size_t len = strlen(name), host = strcspn(name, "/");
	if (len < 128 && host > 0 && strspn(name, host_letters) >= host &&
	    !strchr("-.:", name[0]) && !strchr("-.:", name[host - 1]) &&
	    strspn(name, letters) == len && !strstr(name, "//") && name[len - 1] != '/')
		return 0;
	return err_set(
		e, ERR_USAGE,
		"origin \"%.128s\": expected a URL without its scheme and without a slash at "
		"its end, such as log.acme.example/prod",
		name);
}

int flow_home_alloc(struct flow **out, const struct flow_options *o, struct err *e)
{
	struct flow *f = calloc(1, sizeof *f);
	*out = NULL;
	if (!f)
		return err_set(e, ERR_NOMEM, "out of memory");
	f->env = o->env;
	f->read_only = o->read_only;
	f->quiet = o->quiet;
	f->command = o->command;
	f->wait_s = o->wait_s;
	f->clock_ok = o->clock_ok;
	f->many = o->many;
	f->alone = o->alone;
	f->origin_wanted = o->origin;
	int rc = o->origin ? check_origin(o->origin, e) : 0;
	if (rc == 0)
		rc = flow_home_find(o->env, o->home, f->home, e);
	trim_slashes(f->home);
	if (rc == 0 && o->passphrase && !(f->passphrase = strdup(o->passphrase)))
		rc = err_set(e, ERR_NOMEM, "out of memory");
	if (rc < 0) {
		flow_close(f);
		return rc;
	}
	*out = f;
	return 0;
}

int flow_open(struct flow **out, const struct flow_options *o, struct err *e)
{
	struct flow *f;
	*out = NULL;
	TRY(flow_home_alloc(&f, o, e));
	int rc = open_parts(f, e);
	if (rc < 0) {
		flow_close(f);
		return rc;
	}
	*out = f;
	return 0;
}

int flow_start(struct flow *f, struct err *e)
{
	if (f->started)
		return 0;
	json_t *body = json_pack("{s:s,s:s,s:s*}", "build", build_id(), "worker",
				 audit_log_worker(f->log), "host", audit_log_host(f->log));
	TRY(json_ok(body, e));
	struct audit_record r = { .type = "start", .n = AUDIT_NEXT, .body = body };
	struct audit_receipt receipt;
	int rc = audit_log_append(f->log, &r, &receipt, e);
	json_decref(body);
	f->started = rc == 0;
	return rc;
}

static int append_once(struct flow *f, const struct audit_record *r, struct audit_receipt *out,
		       struct err *e)
{
	TRY(flow_start(f, e));
	return audit_log_append(f->log, r, out, e);
}

/* As at the first opening: the vault's key may have been renewed since. */
static int take_log(struct flow *f, struct audit_log **log, struct err *e)
{
	TRY(flow_home_claim(f, e));
	TRY(flow_vault_open(f, e));
	struct audit_options o = flow_log_options(f);
	TRY(audit_log_open(log, &o, e));
	return flow_vault_settle(f, e);
}

static void close_vault(struct signing_identity *vault, struct signing_identity *before)
{
	signing_identity_close(vault); /* NULL is fine */
	signing_identity_close(before);
}

/* The process that wrote for us is gone: hold the lock, or write through the next that does, as a
 * new worker. */
static int come_again(struct flow *f, struct err *e)
{
	struct audit_claim *claim = f->claim;
	struct signing_identity *vault = f->vault, *before = f->vault_before;
	struct audit_log *log = NULL;
	f->claim = NULL;
	f->vault = f->vault_before = NULL;
	int rc = take_log(f, &log, e);
	if (rc < 0) {
		if (log)
			audit_log_close(log);
		audit_claim_drop(f->claim);
		close_vault(f->vault, f->vault_before);
		f->claim = claim;
		f->vault = vault;
		f->vault_before = before;
		return rc;
	}
	audit_log_close(f->log);
	audit_claim_drop(claim);
	close_vault(vault, before);
	f->log = log;
	f->started = false;
	return 0;
}

int flow_append(struct flow *f, struct audit_record *r, bool reserved, struct audit_receipt *out,
		struct err *e)
{
	if (f->read_only)
		return err_set(e, ERR_CONFLICT, "the state folder is open for reading only");
	if (!reserved)
		r->n = AUDIT_NEXT;
	int rc = append_once(f, r, out, e);
	if (rc != ERR_UNAVAILABLE || reserved || !audit_log_orphan(f->log))
		return rc;
	TRY(come_again(f, e));
	return append_once(f, r, out, e);
}

/* The stop record closes this worker's numbering; without it a verifier must assume records are
 * missing. */
static void append_stop(struct flow *f)
{
	struct audit_receipt receipt;
	struct err ignored;
	if (audit_log_stop(f->log, &receipt, &ignored) < 0)
		f->started = false; /* the next opening finds the gap and says so */
}

/* What cannot be written then is in the journal, or found missing by the next opening. */
void flow_hurry(struct flow *f)
{
	store_wait_ms(f->store, FLOW_HURRY_MS);
	if (f->keys)
		store_wait_ms(f->keys, FLOW_HURRY_MS);
}

void flow_close(struct flow *f)
{
	if (!f)
		return;
	audit_door_close(f->door);
	if (f->log && f->started)
		append_stop(f);
	if (f->log)
		audit_log_close(f->log);
	if (f->registry)
		registry_close(f->registry);
	store_close(f->keys);
	store_close(f->store);
	audit_claim_drop(f->claim); /* the next writer finds the databases closed */
	signing_identity_close(f->log_key); /* NULL is fine */
	close_vault(f->vault, f->vault_before);
	if (f->passphrase) {
		explicit_bzero(f->passphrase, strlen(f->passphrase));
		free(f->passphrase);
	}
	json_decref(f->recovered);
	free(f);
}

/* Our start record first: guests name us in theirs. */
int flow_door_open(struct flow *f, struct err *e)
{
	TRY(flow_start(f, e));
	return audit_door_open(&f->door, f->log, e);
}

int flow_identity(struct flow *f, const char *name, struct signing_identity **out, struct err *e)
{
	char dir[LIMIT_PATH_BYTES];
	TRY(flow_path(f, "keys", dir, e));
	int rc = signing_identity_open(out, dir, name, f->passphrase, e);
	if (rc == ERR_NOTFOUND)
		return err_set(e, rc,
			       "no key named %s in %s: make one with `hallmark key new --name %s`",
			       name, dir, name);
	return rc;
}

const json_t *flow_recovered(const struct flow *f) { return f->recovered; }
