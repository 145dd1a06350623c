/* Policy: what the rules are, decided once at start. Pure: no I/O after load; filters act.
 *
 * A policy is TOML (docs/formats.md). Checking reports every error with its line. Compiling gives
 * one immutable bundle with deterministic bytes, whose digest stands in every log record; loading a
 * bundle gives a serve profile. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "filters/filters.h"

#include <stdbool.h>
#include <stdint.h>

/* The parts of a conversation that rules look at. In a policy's text, "output" is short for all
 * that the model says: content, reasoning and tool_arguments. */
enum policy_phase {
	POLICY_INPUT,
	POLICY_CONTENT,
	POLICY_REASONING,
	POLICY_TOOL_ARGUMENTS, /* names and arguments of calls */
	POLICY_TOOL_RESULTS,
	POLICY_METADATA,
	POLICY_PHASES,
};
const char *policy_phase_name(enum policy_phase p);

enum policy_mode { POLICY_OFF, POLICY_SHADOW, POLICY_CANARY, POLICY_ENFORCE };
const char *policy_mode_name(enum policy_mode m);

/* What the vault keeps of an answer's texts, docs/formats.md, section 7. */
enum policy_content { POLICY_FULL, POLICY_CLEANED, POLICY_NONE };
const char *policy_content_name(enum policy_content c);

struct policy_problem {
	int line, column;
	char text[320]; /* what was expected, what was found, what to write instead */
};
/* All problems of one file; free with policy_problems_free. */
struct policy_problems {
	struct policy_problem *item;
	size_t count;
};
void policy_problems_free(struct policy_problems *p);
/* One that the caller found. ERR_NOMEM. */
int policy_problem_add(struct policy_problems *p, int line, int column, const char *text,
		       struct err *e) MUST_USE;

struct policy; /* parsed and checked */

/* What lies beside a policy, given by flow; all by names relative to the policy's folder. read: a
 * pack named in policy.extends ("packs/own", without ".toml"), appended; built-in packs come with
 * the program. read_text: a file named in match.literals_file; NULL: there are none. */
struct policy_packs {
	int (*read)(void *ctx, const char *name, struct buf *out, struct err *e);
	int (*read_text)(void *ctx, const char *name, struct buf *out, struct err *e);
	void *ctx;
};

/* Parse and check; problems lists all errors (ERR_INPUT then, *out NULL). packs may be NULL: only
 * built-in packs. */
int policy_parse(struct policy **out, const char *text, size_t len,
		 const struct policy_packs *packs, struct policy_problems *problems,
		 struct err *e) MUST_USE;
void policy_free(struct policy *p);

/* How many rules look at each phase. A tool's definition is looked at by the rules of input where
 * no rule names metadata: as many count for metadata then. */
void policy_coverage(const struct policy *p, size_t rules[POLICY_PHASES]);

/* Defaults: retention_days 183; retention.content "full"; match.fold "case", gap_max 4 (with fold
 * "strict"); replace "[redacted]". An enforced policy has at least three tests.hit and three
 * tests.miss in every rule. A pack is such a file too: [policy] with name and version only, and
 * rules, whose ids share one space with the policy's. */

/* Run the tests written in the rules, whole and in pieces. Appends one JSON object per failure to
 * failures (a new array). */
int policy_test(const struct policy *p, uint64_t *passed, json_t **failures,
		struct err *e) MUST_USE;

/* The bundle: header `HMPOLICY1\n`, then canonical JSON. Deterministic: the same text (and packs)
 * gives the same bytes on every machine, whatever libraries it has. ERR_INPUT: over
 * LIMIT_BUNDLE_BYTES. */
int policy_compile(const struct policy *p, struct buf *bundle, struct err *e) MUST_USE;

/* The serve profile: all that serving needs of a policy. Immutable, shared by threads. */
struct policy_profile {
	char name[128];
	uint64_t version;
	enum policy_mode mode;
	struct digest bundle; /* of the bundle's bytes */
	struct digest rules;  /* of its rules alone: a change of mode or version leaves it */
	struct digest source; /* of the text it was compiled from */
	uint32_t retention_days;
	enum policy_content content;
	struct filter_set *set[POLICY_PHASES]; /* NULL: no rule for that phase; some are the same */
	json_t *overrides; /* what the policy changed of its packs: policy/bundle.c */
};
/* ERR_INPUT: not a bundle; ERR_UNSUPPORTED: another format, or one that needs newer tables or a
 * detector that is not here. */
int policy_load(struct policy_profile **out, const void *bundle, size_t len,
		struct err *e) MUST_USE;
void policy_profile_free(struct policy_profile *p);

/* For people: {packs [{name, version, digest}], rules [the members that a bundle has, and {pack,
 * description, enabled, overridden}], overrides [those that a bundle has, and line]}. */
int policy_describe(const struct policy *p, json_t **out, struct err *e) MUST_USE;
/* {detectors [{name, version, what, check, context, words, source, example, recall, precision}]},
 * one or (name NULL) all; recall and precision are null where nobody has measured. ERR_NOTFOUND. */
int policy_detectors(const char *name, json_t **out, struct err *e) MUST_USE;

/* The names of the built-in packs: the i-th or NULL. */
const char *policy_pack_name(size_t i);

#endif
