/* A parsed policy. Private to the room. */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include "base/arena.h"
#include "base/toml.h"
#include "policy/policy.h"

#define TESTS_LEAST 3 /* hits, and misses, of every rule of an enforced policy */

struct strings {
	const char **item;
	size_t count;
};

struct policy_rule {
	const char *id, *severity, *replace; /* severity, replace: may be NULL */
	const char *pack;                    /* NULL: written in the policy itself */
	bool phase[POLICY_PHASES];
	enum filter_action action;
	struct strings literals, controls, hits, misses;
	enum filter_fold fold;
	uint32_t gap_max, repeat_max;
	const char *regex, *detector;
	enum filter_context context;
	uint32_t decode;
	int line;
};

struct pack {
	const char *name;
	struct digest digest; /* of its text */
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
	int *extends_line;
	struct policy_rule *rule; /* sorted by id once parsed */
	size_t rules, rule_room;
	struct pack *pack;
	size_t packs;
};

/* A file being read: where its problems go. */
struct reader {
	struct policy *policy;
	struct policy_problems *problems;
	const char *pack; /* its name, or NULL for the policy itself */
	int pack_line;    /* where extends names it */
	bool nomem;
};

/* read.c: values of the strict schema. Each returns false after adding a problem. */
void policy_problem_at(struct reader *r, int line, int column, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
bool policy_read_string(struct reader *r, const struct toml *v, const char *what, const char **out);
bool policy_read_strings(struct reader *r, const struct toml *v, const char *what,
			 struct strings *out);
bool policy_read_integer(struct reader *r, const struct toml *v, const char *what, int64_t least,
			 int64_t most, int64_t *out);
bool policy_read_choice(struct reader *r, const struct toml *v, const char *what,
			const char *const *names, size_t *out);
/* Every key must be known; those of `later` are part of the schema and not built. Both
 * NULL-terminated. */
void policy_read_keys(struct reader *r, const struct toml *table, const char *what,
		      const char *const *known, const char *const *later);

/* read_rule.c */
void policy_read_rule(struct reader *r, const struct toml *t);
/* The rule as filters take it; borrows. */
struct filter_rule policy_rule_filter(const struct policy_rule *rule);

/* packs.c: the text of a built-in pack, or NULL; later: named by the product, not built. */
const char *policy_pack_text(const char *name);
bool policy_pack_later(const char *name);

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
