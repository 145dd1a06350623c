/* Serve: a verified model, a compiled policy and the log, ready to answer. Bytes are verified
 * before they are used: the engine reads through a source that hands out only what the signed
 * manifest lists. */
#include "base/file.h"
#include "base/text.h"
#include "serve/compute.h"
#include "serve/service.h"

#include <stdlib.h>
#include <string.h>

/* The model as it is, its root computed for the record. */
static int open_unsigned(struct serve_service *s, struct err *e)
{
	signing_manifest_free(&s->manifest);
	s->manifest = (struct signing_manifest){ 0 };
	s->signer[0] = 0;
	TRY(flow_ref_plain(&s->ref, e));
	s->source = s->ref.source;
	return signing_root_of(s->source, NULL, 0, &s->root, e);
}

/* A folder without a signature, or with one that cannot be read, does not verify. */
static int open_manifest(struct serve_service *s, const struct flow_trust *t, size_t *signer,
			 struct err *e)
{
	int rc = flow_bundle_open(s->ref.source, t, &s->manifest, signer, e);
	if (rc == 0)
		rc = flow_ref_check(&s->ref, &s->manifest, e);
	return rc == ERR_NOTFOUND || rc == ERR_INPUT ? ERR_VERIFY : rc;
}

/* Signed: every byte read is checked. Unsigned only where that is allowed. */
static int open_source(struct serve_service *s, const char *key, bool unsigned_ok, struct err *e)
{
	struct flow_trust t = { 0 };
	size_t signer = 0;
	int rc = flow_trust_load(s->flow, key, &t, e);
	if (rc == 0)
		rc = open_manifest(s, &t, &signer, e);
	if (rc == 0) {
		const struct signing_public *p = &t.key[signer];
		snprintf(s->signer, sizeof s->signer, "%s", p->name[0] ? p->name : p->p256_keyid);
		s->root = s->manifest.root;
		rc = signing_source_open(&s->verified, &s->manifest, s->ref.source, e);
		s->source = s->verified;
	} else if (unsigned_ok) {
		rc = open_unsigned(s, e);
	} else {
		err_prefix(
			e,
			"%s cannot be served (sign it, import its publisher's key, or give --unsigned)",
			s->ref.path);
	}
	flow_trust_free(&t);
	return rc;
}

/* Every served policy is kept by digest, so that a replay finds it. */
static int keep_bundle(struct serve_service *s, const struct buf *bundle, struct err *e)
{
	char hex[65], name[96], path[LIMIT_PATH_BYTES];
	digest_hex(&s->profile->bundle, hex);
	snprintf(name, sizeof name, "policy/%s.bundle", hex);
	TRY(flow_path(s->flow, name, path, e));
	return file_create_immutable(path, NULL, bundle->bytes, bundle->len, 0644, e);
}

static int open_policy(struct serve_service *s, const char *path, bool keep, struct err *e)
{
	struct buf bundle = { 0 };
	TRY(filter_set_build(&s->none, NULL, 0, e));
	if (!path)
		return 0;
	int rc = flow_profile_load(path, &s->profile, &bundle, e);
	if (rc == 0 && keep)
		rc = keep_bundle(s, &bundle, e);
	buf_free(&bundle);
	return rc;
}

static int open_engine(struct serve_service *s, const struct serve_options *o, struct err *e)
{
	struct engine_options options;
	uint32_t context_max = o->context_max;
	TRY(serve_compute_read(&o->compute, &options, e));
	options.quiet = s->flow->quiet;
	s->weights = serve_weights_name(options.weights);
	s->cache = serve_cache_name(options.cache);
	s->speculation = o->compute.speculation;
	TRY(engine_open(&s->engine, s->source, &options, e));
	uint32_t most = engine_info(s->engine)->context_max;
	if (context_max > most && !s->recording)
		context_max = most; /* a replay with another model: what differs will show */
	if (context_max > most)
		return err_set(e, ERR_INPUT, "context of %u tokens asked for; the model takes %u",
			       context_max, most);
	s->context_max = context_max ? context_max : most;
	s->timeout_us = (int64_t)o->timeout_s * 1000000;
	return 0;
}

static int append_bundle(struct serve_service *s, struct err *e)
{
	if (!s->profile)
		return 0;
	const struct policy_profile *p = s->profile;
	json_t *body = json_pack("{s:s,s:o,s:s,s:I,s:s,s:s}", "event", "load", "digest",
				 json_digest(&p->bundle), "name", p->name, "version",
				 (json_int_t)p->version, "mode", policy_mode_name(p->mode),
				 "tables", filter_tables_version());
	struct audit_receipt receipt;
	TRY(json_ok(body, e));
	int rc = flow_append(s->flow, &(struct audit_record){ .type = "bundle", .body = body },
			     false, &receipt, e);
	json_decref(body);
	return rc;
}

/* What is being served, from now on. */
static int append_config(struct serve_service *s, struct err *e)
{
	const struct engine_facts *facts = engine_info(s->engine);
	json_t *body =
		json_pack("{s:s,s:s,s:o,s:s?,s:s,s:s,s:s,s:s,s:o,s:I}", "event", "serve", "model",
			  s->model_name, "root", json_digest(&s->root), "signer",
			  s->signer[0] ? s->signer : NULL, "weights", facts->weights, "packed",
			  s->weights, "cache", facts->cache, "numerics", facts->numerics, "choice",
			  json_digest(&facts->choice), "context_max", (json_int_t)s->context_max);
	if (body)
		json_object_set_new(body, "kernels", json_string(facts->kernel_set));
	struct audit_receipt receipt;
	TRY(json_ok(body, e));
	int rc = flow_append(s->flow, &(struct audit_record){ .type = "config", .body = body },
			     false, &receipt, e);
	json_decref(body);
	return rc;
}

static void service_free(struct serve_service *s)
{
	if (s->engine)
		engine_close(s->engine);
	source_close(s->verified);
	signing_manifest_free(&s->manifest);
	policy_profile_free(s->profile);
	filter_set_free(s->none);
	flow_ref_free(&s->ref);
	free(s);
}

static int service_new(struct serve_service **out, struct flow *f, const char *ref,
		       const char *name, struct err *e)
{
	struct serve_service *s = calloc(1, sizeof *s);
	*out = NULL;
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	s->flow = f;
	s->created_us = env_now_us(f->env);
	snprintf(s->model_name, sizeof s->model_name, "%s", name ? name : ref);
	int rc = flow_ref_open(f, ref, &s->ref, e);
	if (rc < 0) {
		service_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

int serve_service_open(struct serve_service **out, struct flow *f, const struct serve_options *o,
		       struct err *e)
{
	struct serve_service *s;
	*out = NULL;
	if (f->read_only)
		return err_set(e, ERR_CONFLICT, "the state folder is open for reading only");
	TRY(service_new(&s, f, o->ref, o->model_name, e));
	s->recording = true;
	int rc = open_policy(s, o->policy, true, e);
	if (rc == 0)
		rc = open_source(s, o->key, o->unsigned_ok, e);
	if (rc == 0)
		rc = open_engine(s, o, e);
	if (rc == 0)
		rc = flow_start(f, e);
	if (rc == 0)
		rc = append_bundle(s, e);
	if (rc == 0)
		rc = append_config(s, e);
	if (rc < 0) {
		service_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

int serve_service_open_replay(struct serve_service **out, struct flow *f,
			      const struct serve_options *o, struct err *e)
{
	struct serve_service *s;
	*out = NULL;
	TRY(service_new(&s, f, o->ref, NULL, e));
	int rc = open_policy(s, o->policy, false, e);
	if (rc == 0)
		rc = open_source(s, NULL, o->unsigned_ok, e);
	if (rc == 0)
		rc = open_engine(s, o, e);
	if (rc == ERR_VERIFY && o->unsigned_ok && s->source) {
		/* Signed, and not what was signed: for a comparison it may run, as unsigned. */
		source_close(s->verified);
		s->source = s->verified = NULL;
		rc = open_unsigned(s, e);
		if (rc == 0)
			rc = open_engine(s, o, e);
	}
	if (rc < 0) {
		service_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void serve_service_drain(struct serve_service *s) { atomic_store(&s->draining, true); }

void serve_service_close(struct serve_service *s)
{
	if (s)
		service_free(s);
}

const char *serve_service_model(const struct serve_service *s) { return s->model_name; }

int64_t serve_service_created(const struct serve_service *s) { return s->created_us / 1000000; }

/* "chatcmpl-WORKER-N" or "WORKER/N" into its parts. */
static int split_id(const char *id, char worker[80], uint64_t *n)
{
	if (text_starts(id, "chatcmpl-"))
		id += strlen("chatcmpl-");
	size_t len = strcspn(id, "-/");
	if (len == 0 || len >= 80 || !id[len])
		return ERR_NOTFOUND;
	memcpy(worker, id, len);
	worker[len] = 0;
	return text_parse_u64(id + len + 1, strlen(id + len + 1), n) < 0 ? ERR_NOTFOUND : 0;
}

/* Who asked for an erasure, and why, is not for every client. */
static int check_decision(struct serve_service *s, uint64_t index, struct err *e)
{
	struct buf text = { 0 };
	json_t *entry = NULL;
	int rc = audit_log_entry(s->flow->log, index, &text, e);
	if (rc == 0)
		rc = json_read(&entry, text.bytes, text.len, LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH,
			       e);
	const char *type = json_string_value(json_object_get(entry, "type"));
	if (rc == 0 && (!type || strcmp(type, "decision") != 0))
		rc = err_set(e, ERR_NOTFOUND, "that record is no answer");
	json_decref(entry);
	buf_free(&text);
	return rc;
}

int serve_service_receipt(struct serve_service *s, const char *id, struct buf *out, struct err *e)
{
	char worker[80];
	uint64_t n, index;
	if (split_id(id, worker, &n) < 0)
		return err_set(e, ERR_NOTFOUND, "no record \"%.100s\": expected chatcmpl-WORKER-N",
			       id);
	TRY(audit_log_find(s->flow->log, worker, n, &index, e));
	TRY(check_decision(s, index, e));
	return flow_audit_proof(s->flow, index, true, out, e);
}
