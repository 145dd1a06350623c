/* Keys, and releases made and read back. Reports as in flow.h. */
#ifndef FLOW_RELEASE_H
#define FLOW_RELEASE_H

#include "base/buf.h"
#include "base/json.h"

#include <stdbool.h>

struct flow;

/* ---- keys ---- */

/* A new identity. Its document names the log of this state folder. */
struct flow_key {
	const char *name;
	const char *models;   /* patterns it may sign (signing.h); NULL: those of organisation NAME */
	const char *expires;  /* date or time; NULL: never */
	const char *previous; /* own key that it follows, and that signs its document; NULL: none */
};
int flow_key_new(struct flow *f, const struct flow_key *k, json_t **report, struct err *e) MUST_USE;
int flow_key_list(struct flow *f, json_t **report, struct err *e) MUST_USE;
/* name NULL: the log's key. form: "pem", "ssh", "minisign", "vkey", "document". Appended to out. */
int flow_key_export(struct flow *f, const char *name, const char *form, struct buf *out,
		    struct err *e) MUST_USE;
/* Trust another publisher's key document (into HOME/trust.toml). Report: the key; claims: what its
 * document says that it signs, where we do not take its word; follows: whether the key before it,
 * which its document names, is known here and signed it. */
struct flow_import {
	const char *path;
	const char *name;   /* of the publisher; NULL: as the document says, else its key id */
	const char *models; /* patterns it may sign; NULL: the publisher's own */
};
int flow_key_import(struct flow *f, const struct flow_import *w, json_t **report,
		    struct err *e) MUST_USE;

/* ---- releases ---- */

struct flow_publish {
	const char *dir;     /* checkpoint folder */
	const char *name;    /* "org/model" */
	const char *version; /* semantic version */
	const char *key;     /* identity in HOME/keys */
	const char *package; /* write one .tar here too; NULL: none */
	const char *kind;    /* train, fine-tune, merge, quantize, convert, prune; NULL: unstated */
	const char *parent;  /* REF of a registered release; NULL: none */
	bool dry_run;        /* check and hash, write nothing */
	bool yes;            /* sign what another publisher signed; that is kept beside it */
	bool include_secrets; /* release files that look like keys and passwords, too */
};
/* Report: {root, manifest, name, version, files, bytes, index, receipt, bundle, package, tensors,
 * whole, ignored, secrets, existing}. The commit point is the log append; before it nothing is
 * visible, after it recovery completes. The same release again is no error: existing is true, and
 * what is missing of it is made again. ERR_CONFLICT: name and version exist with another root or
 * key, or another publisher signed the folder; ERR_DENIED: the folder holds what looks like a
 * secret. */
int flow_publish(struct flow *f, const struct flow_publish *p, json_t **report,
		 struct err *e) MUST_USE;

struct flow_verify {
	const char *ref; /* folder, package file, or registered REF */
	const char *key; /* path of a public key; NULL: trust.toml and own keys */
	bool ignore_unsigned, quiet;
	bool unhashed;    /* leave the files to the caller, who compares them as it reads them */
	const char *name; /* "org/model" or "org/model@version" that it must be; NULL: any */
};
/* f may be NULL when key is given. 0 also when the report's ok is false. model and version of the
 * report are null where nothing that is signed states them. */
int flow_release_verify(struct flow *f, const struct flow_verify *v, json_t **report,
			struct err *e) MUST_USE;
int flow_release_show(struct flow *f, const char *ref, json_t **report, struct err *e) MUST_USE;

struct flow_unpack {
	const char *package;
	const char *dir;  /* the folder to make; DIR.hallmark comes beside it */
	const char *key;  /* as of flow_verify */
	const char *name; /* likewise */
};
/* Unpack what verifies, every byte compared before the folder has its name. Report: that of
 * flow_release_verify with {folder, files, bytes} when ok; else nothing was written. ERR_CONFLICT:
 * something is there already; ERR_VERIFY: a file is not what was signed. */
int flow_release_unpack(struct flow *f, const struct flow_unpack *want, json_t **report,
			struct err *e) MUST_USE;

struct flow_cosign {
	const char *dir; /* a release's folder, or its REF, that verifies here */
	const char *key; /* identity in HOME/keys, of any name */
};
/* Sign the manifest of a release that others signed, byte for byte, beside it. Report: {root,
 * signer, number, bundle, index, existing}; existing: this key had signed it. ERR_VERIFY: the
 * release does not verify. */
int flow_release_sign(struct flow *f, const struct flow_cosign *want, json_t **report,
		      struct err *e) MUST_USE;

#endif
