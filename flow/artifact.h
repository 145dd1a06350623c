/* Private to flow/: what a release carries besides the files of the model, one row each. Publishing
 * makes them, finishing moves them, packing takes them along and verifying looks at them, all by
 * walking this table: another signature or document is another row. */
#ifndef FLOW_ARTIFACT_H
#define FLOW_ARTIFACT_H

#include "flow/home.h"

#define FLOW_ARTIFACTS 7
#define FLOW_ARTIFACT_BYTES LIMIT_MANIFEST_BYTES /* none is longer than the manifest */

#define FLOW_MANIFEST "manifest.json"
#define FLOW_RELEASE "release.json"
#define FLOW_PROVENANCE "provenance.json"
#define FLOW_PUBLISHER "publisher.pub"
#define FLOW_RECEIPT "receipt.tlog-proof"
#define FLOW_UPSTREAM "upstream" /* folder: what another publisher signed first */

/* What they are made of; borrowed. */
struct flow_making {
	struct flow *flow;
	const struct signing_release *release;     /* NULL: past the commit point */
	const struct signing_identity *key;        /* NULL likewise */
	const struct signing_manifest *manifest;   /* NULL likewise */
	const struct registry_release *registered; /* NULL before the commit point */
};

/* What lies beside a release whose signature is good, as far as it was looked at. */
struct flow_beside {
	struct signing_public key; /* the signer's, with what publisher.pub adds to it */
	const struct signing_manifest *manifest;
	struct signing_named named; /* model "": nothing says validly what the release is called */
	int64_t logged_us;          /* by the publisher's log, where the receipt proves it; else 0 */
};

/* What is to be said of one that lies there. */
struct flow_verdict {
	const char *name; /* of the check; NULL: nothing */
	bool ok;
	char detail[sizeof((struct err *)0)->text];
};

struct flow_artifact {
	const char *name;
	bool inside;   /* in the model's folder, else in the one beside it */
	bool logged;   /* made once the release is in the log */
	bool demanded; /* where any of them lies beside a model, this one must */
	/* Appended to out. */
	int (*make)(const struct flow_making *of, struct buf *out, struct err *e);
	/* Of one beside a release, in the order of the table; NULL: nothing. */
	void (*check)(struct flow_beside *of, const struct buf *text, struct flow_verdict *out);
};
extern const struct flow_artifact flow_artifacts[FLOW_ARTIFACTS];

/* Make those that are (not yet) logged into the folder `staging`. */
int flow_artifacts_stage(const struct flow_making *of, bool logged, const char *staging,
			 struct err *e) MUST_USE;

/* ---- publish_again.c: of a release that is in the log (of->registered) ---- */

/* Make m, made of the folder as it is now, the manifest that was signed then: its statement may
 * have another folder's name, or ignore other paths. ERR_CONFLICT: it cannot be found. */
int flow_publish_adopt(const struct flow_making *of, struct source *model,
		       struct signing_manifest *m, struct err *e) MUST_USE;
/* Stage what is missing or damaged of its artifacts, and with it a copy of what is not: then
 * flow_publish_finish can move them. Where nothing is missing staging is removed. */
int flow_publish_restage(const struct flow_making *of, const char *dir, const char *staging,
			 const char *final, struct err *e) MUST_USE;

/* Whether a file beside a model is of a kind that this program knows. */
bool flow_beside_known(const char *name);

/* ---- cosign.c ---- */

/* Whether it is of a further signer: model.sig.N, publisher.pub.N. */
bool flow_beside_numbered(const char *name);
/* What further bundles are held against; borrowed. */
struct flow_signed {
	const struct flow_trust *trust;
	const struct signing_manifest *manifest;
	const struct flow_publisher *first; /* who signed SIGNING_BUNDLE; one of trust */
	int64_t now_us;
};
/* Call visit for each further bundle. signer NULL: it counts for nobody, since no trusted key made
 * it, or one that has expired, or one that is counted already. */
int flow_signers_each(struct source *beside, const struct flow_signed *of,
		      void (*visit)(void *ctx, const struct flow_verdict *v,
				    const struct flow_publisher *signer),
		      void *ctx, struct err *e) MUST_USE;

/* ---- publish_first.c ---- */

/* The release that a folder was before, where another publisher signed it. */
struct flow_first {
	bool found, readable; /* readable: the rest is known */
	char name[256], version[64], license[256];
	struct digest root;
};
int flow_first_find(struct flow *f, struct source *model, const char *dir, struct flow_first *out,
		    struct err *e) MUST_USE;
/* Copy bundle and companion of the first release into staging/upstream, where found says that the
 * folder holds one; else only what an earlier release of ours kept of it. */
int flow_first_keep(struct source *model, const char *dir, bool found, const char *staging,
		    struct err *e) MUST_USE;
/* Copy of what lies beside a model the wanted files into folder. */
int flow_beside_copy(struct source *from, bool (*wanted)(const char *name), const char *folder,
		     struct err *e) MUST_USE;
/* What release.json says, checked with the key that lies beside it alone: a claim. out stays as it
 * is where there is none. beside may be NULL. */
void flow_named_read(struct source *beside, const struct signing_manifest *m,
		     struct signing_named *out);

/* ---- artifact_check.c ---- */

void flow_check_publisher(struct flow_beside *of, const struct buf *text, struct flow_verdict *out);
void flow_check_manifest(struct flow_beside *of, const struct buf *text, struct flow_verdict *out);
void flow_check_release(struct flow_beside *of, const struct buf *text, struct flow_verdict *out);
void flow_check_provenance(struct flow_beside *of, const struct buf *text,
			   struct flow_verdict *out);
void flow_check_minisign(struct flow_beside *of, const struct buf *text, struct flow_verdict *out);
void flow_check_receipt(struct flow_beside *of, const struct buf *text, struct flow_verdict *out);

#endif
