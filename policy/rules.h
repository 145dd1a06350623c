/* A parsed policy. Private to the room. */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include "base/arena.h"
#include "base/toml.h"
#include "policy/policy.h"

#define BUNDLE_HEADER "HMPOLICY1\n"
#define BUNDLE_FORMAT 3
#define TESTS_LEAST 3 /* hits, and misses, of every rule of an enforced policy */
#define PACKS_MAX 64  /* of one policy, those that packs extend included: a bit of a word each */
#define OVERRIDES_BYTES 32768 /* as JSON in a bundle: they are named in one entry of the log */

struct strings {
	const char **item;
	size_t count;
};

struct policy_rule {
	const char *id, *severity, *replace; /* severity, replace: may be NULL */
	const char *description;             /* may be NULL */
	const char *pack;                    /* NULL: written in the policy itself */
	bool phase[POLICY_PHASES];
	bool off; /* an override switched it off */
	enum filter_action action;
	struct strings literals, controls, except, hits, misses;
	enum filter_fold fold;
	uint32_t gap_max, repeat_max;
	const char *regex, *detector;
	const char *file; /* of the literals, as the rule names it; NULL: they stand in it */
	struct digest file_digest; /* of its bytes */
	enum filter_context context;
	uint32_t decode;
	int line, id_line;                  /* of the table, and of its id */
	bool tests_wrong;                   /* a mistake stands in them: they are not counted */
	const struct policy_rule *original; /* as its pack has it; NULL: no override names it */
	const struct policy_override *last; /* the last that does */
};

/* [[override]]: a change to rules of packs. What is not given leaves a rule as it is. */
struct policy_override {
	const char *rule;   /* an id; with '*' at its end, the beginning of ids */
	const char *reason; /* may be NULL */
	const char *pack;   /* NULL: written in the policy itself */
	struct {
		bool enabled, action, phase, context, decode;
	} given;
	bool enabled;
	enum filter_action action;
	const char *replace; /* NULL: not given */
	bool phase[POLICY_PHASES];
	enum filter_context context;
	uint32_t decode;
	struct strings except; /* further ones */
	struct strings hits, misses;
	bool wrong; /* a mistake stands in it */
	int line, rule_line, pack_line;
};

struct pack {
	const char *name;
	struct digest digest; /* of its text */
	uint64_t version;
	struct strings extends;
	int line; /* of policy.extends that names it, or a pack that extends it */
};

struct policy {
	struct arena arena;
	struct digest source; /* of its text */
	const char *name;
	uint64_t version;
	enum policy_mode mode;
	uint32_t retention_days;
	enum policy_content content;
	struct strings jurisdiction, extends;
	struct policy_rule *rule; /* sorted by id once parsed */
	size_t rules, rule_room;
	struct policy_override *override; /* in the order in which they act */
	size_t overrides, override_room;
	struct pack pack[PACKS_MAX]; /* in the order in which they are named */
	size_t packs;
};

/* A file being read: where its problems go. */
struct reader {
	struct policy *policy;
	struct policy_problems *problems;
	const char *pack; /* its name, or NULL for the policy itself */
	int pack_line;    /* where extends names it */
	const struct policy_packs *packs;
	const int *extends_lines; /* of policy.extends, for each pack that it names */
	bool nomem, no_pack;      /* no_pack: one could not be read */
};

/* schema.c: the tables of a policy and their keys. later: of the schema, and not built. Both
 * NULL-terminated. */
enum {
	TABLE_TOP,
	TABLE_POLICY,
	TABLE_PACK_TOP,
	TABLE_PACK,
	TABLE_RETENTION,
	TABLE_RULE,
	TABLE_MATCH,
	TABLE_EXCEPT,
	TABLE_TESTS,
	TABLE_OVERRIDE,
};
struct policy_table {
	const char *name; /* as sentences write it: "rule"; "" for the whole file */
	const char *const *known, *const *later;
};
extern const struct policy_table policy_tables[];
/* The table that has such a key, or NULL. */
const struct policy_table *policy_table_of(const char *key);
/* The name that was probably meant, or NULL. names: NULL-terminated. */
const char *policy_nearest(const char *found, const char *const *names);

/* read.c: values of the strict schema. Each returns false after adding a problem, and silently for
 * a value that the TOML reader has said is broken. */
void policy_problem_at(struct reader *r, int line, int column, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
bool policy_read_kind(struct reader *r, const struct toml *v, const char *what,
		      enum toml_kind want);
bool policy_read_string(struct reader *r, const struct toml *v, const char *what, const char **out);
bool policy_read_strings(struct reader *r, const struct toml *v, const char *what,
			 struct strings *out);
bool policy_read_integer(struct reader *r, const struct toml *v, const char *what, int64_t least,
			 int64_t most, int64_t *out);
bool policy_read_bool(struct reader *r, const struct toml *v, const char *what, bool *out);
/* names: NULL-terminated; later: those that are refused as not built, or NULL. */
bool policy_read_choice(struct reader *r, const struct toml *v, const char *what,
			const char *const *names, const char *const *later, size_t *out);
/* An array of such choices, each at most once. *set: a bit for each. */
bool policy_read_set(struct reader *r, const struct toml *v, const char *what,
		     const char *const *names, uint32_t *set);
/* Every key must be known. table: of policy_tables. */
void policy_read_keys(struct reader *r, const struct toml *v, int table);

/* read_rule.c */
void policy_read_rule(struct reader *r, const struct toml *t);
bool policy_read_phases(struct reader *r, const struct toml *v, const char *what,
			bool phase[POLICY_PHASES]);
bool policy_read_action(struct reader *r, const struct toml *v, const char *what,
			enum filter_action *out);
bool policy_read_context(struct reader *r, const struct toml *v, const char *what,
			 enum filter_context *out);
bool policy_read_decode(struct reader *r, const struct toml *v, const char *what, uint32_t *out);
/* t.except and t.tests, where they are there. */
void policy_read_except(struct reader *r, const struct toml *t, struct strings *out);
/* false: a mistake stands in them. */
bool policy_read_tests(struct reader *r, const struct toml *t, struct strings *hits,
		       struct strings *misses);
/* The rule as filters take it; borrows. */
struct filter_rule policy_rule_filter(const struct policy_rule *rule);
/* Only filters can judge folds and widths: build the rule alone. */
int policy_rule_build(const struct policy_rule *rule, struct err *e) MUST_USE;

/* read_literals.c: match.literals or match.literals_file, fold and gap_max. */
void policy_read_literals(struct reader *r, const struct toml *match, struct policy_rule *x);

/* override.c */
void policy_read_override(struct reader *r, const struct toml *t);
/* Change the rules that overrides name. The rules are sorted by id. */
void policy_apply_overrides(struct reader *r);

/* read_pack.c: the packs that the policy names, and those that they extend. */
void policy_read_packs(struct reader *r, const int *lines);
/* Whether the policy extends a pack of that name, at any remove. */
bool policy_pack_read(const struct policy *p, const char *name);
/* Whether a pack's rule is one that the override's file extends, at any remove. */
bool policy_pack_reaches(const struct policy *p, const char *from, const char *pack);
/* policy.c: one file, the policy itself or (r->pack) a pack. */
void policy_read_file(struct reader *r, const char *text, size_t len);

/* compile.c: the members of a rule, and of an override, as a bundle has them. */
void policy_add_rule(struct obj *o, const struct policy_rule *x);
void policy_add_override(struct obj *o, const struct policy_override *x);
int policy_digest_rules(const json_t *rules, struct digest *out, struct err *e) MUST_USE;

/* packs.c: the text of a built-in pack, or NULL; later: named by the product, not built. */
const char *policy_pack_text(const char *name);
bool policy_pack_later(const char *name);

/* Made from policy/measured.txt by policy/measured.awk. Ends with a NULL detector. */
struct policy_measured {
	const char *detector;
	unsigned version;
	uint32_t values, found;      /* values of its kind, and those that it finds */
	uint32_t others, false_hits; /* what is none of them, and what it takes of that */
};
extern const struct policy_measured policy_measured_list[];

/* Made from policy/packs/ by policy/packs.awk. text: TOML, NULL for a pack that is not built. Ends
 * with a NULL name. */
struct policy_pack {
	const char *name, *text;
};
extern const struct policy_pack policy_pack_list[];

extern const char *const policy_content_names[];  /* by enum policy_content, NULL-terminated */
extern const char *const policy_fold_names[];     /* by enum filter_fold, NULL-terminated */
extern const char *const policy_severity_names[]; /* NULL-terminated */

#endif
