/* The tables of a policy and their keys, and what somebody meant who wrote another word. */
#include "policy/rules.h"

#include <ctype.h>
#include <string.h>

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
static const char *const none[] = { NULL };

const struct policy_table policy_tables[] = {
	[TABLE_TOP] = { "", LIST("policy", "retention", "rule", "override"),
			LIST("watermark", "label", "notice") },
	[TABLE_POLICY] = { "policy",
			   LIST("name", "version", "mode", "extends", "retention_days",
				"jurisdiction"),
			   LIST("canary_percent", "approvals") },
	[TABLE_PACK_TOP] = { "", LIST("policy", "rule", "override"),
			     LIST("watermark", "label", "notice") },
	[TABLE_PACK] = { "policy", LIST("name", "version", "extends"), none },
	[TABLE_RETENTION] = { "retention", LIST("content"), none },
	[TABLE_RULE] = { "rule",
			 LIST("id", "description", "severity", "phase", "match", "action",
			      "replace", "controls", "except", "tests"),
			 LIST("when", "valid", "jurisdiction") },
	[TABLE_MATCH] = { "match",
			  LIST("literals", "literals_file", "fold", "gap_max", "regex",
			       "repeat_max", "detector", "context", "decode"),
			  LIST("tail", "tail_max", "min_strength", "secret", "tokens", "all", "any",
			       "none", "classifier") },
	[TABLE_EXCEPT] = { "except", LIST("literals"), LIST("roles", "consent") },
	[TABLE_TESTS] = { "tests", LIST("hit", "miss"), LIST("file") },
	[TABLE_OVERRIDE] = { "override",
			     LIST("rule", "reason", "enabled", "action", "replace", "phase",
				  "context", "decode", "except", "tests"),
			     none },
};

/* Words that people write for ours. A word may stand for several; the first that fits is meant. */
static const char *const synonym[][2] = {
	{ "allow_list", "except" },
	{ "allowlist", "except" },
	{ "answer", "output" },
	{ "arguments", "tool_arguments" },
	{ "assistant", "output" },
	{ "bank_card", "pan" },
	{ "card", "pan" },
	{ "card_number", "pan" },
	{ "cc", "pan" },
	{ "censor", "redact" },
	{ "completion", "output" },
	{ "credit_card", "pan" },
	{ "creditcard", "pan" },
	{ "delete", "redact" },
	{ "deny", "block" },
	{ "desc", "description" },
	{ "disabled", "enabled" },
	{ "dryrun", "shadow" },
	{ "email_address", "email" },
	{ "enable", "enabled" },
	{ "exceptions", "except" },
	{ "good", "miss" },
	{ "hide", "redact" },
	{ "id", "rule" },
	{ "ignore", "except" },
	{ "ignorecase", "case" },
	{ "include", "extends" },
	{ "ip_address", "ip" },
	{ "kind", "detector" },
	{ "level", "severity" },
	{ "log", "flag" },
	{ "mail", "email" },
	{ "minor", "low" },
	{ "monitor", "shadow" },
	{ "name", "id" },
	{ "negative", "miss" },
	{ "observe", "shadow" },
	{ "on", "enforce" },
	{ "packs", "extends" },
	{ "pattern", "regex" },
	{ "patterns", "regex" },
	{ "phone_number", "phone" },
	{ "phrases", "literals" },
	{ "positive", "hit" },
	{ "priority", "severity" },
	{ "prompt", "input" },
	{ "reject", "block" },
	{ "remove", "redact" },
	{ "replacement", "replace" },
	{ "request", "input" },
	{ "response", "output" },
	{ "rewrite", "replace" },
	{ "social_security_number", "us.ssn" },
	{ "ssn", "us.ssn" },
	{ "stage", "phase" },
	{ "system", "input" },
	{ "telephone", "phone" },
	{ "terms", "literals" },
	{ "text", "literals" },
	{ "thinking", "reasoning" },
	{ "tool_calls", "tool_arguments" },
	{ "tool_output", "tool_results" },
	{ "tools", "metadata" },
	{ "urgent", "critical" },
	{ "urgent", "high" },
	{ "user", "input" },
	{ "warn", "flag" },
	{ "why", "reason" },
	{ "with", "replace" },
	{ "words", "literals" },
};

#define NEAR_BYTES 64 /* longer words are near to nothing */

static char plain(char c) { return c == '-' || c == ' ' ? '_' : (char)tolower((unsigned char)c); }

static bool same_word(const char *a, const char *b)
{
	while (*a && plain(*a) == plain(*b))
		a++, b++;
	return !*a && !*b;
}

/* Insertions, deletions, changes, and exchanges of neighbours that make b of a. */
static size_t distance(const char *a, const char *b)
{
	size_t row[3][NEAR_BYTES + 1], n = strlen(a), m = strlen(b);
	if (n > NEAR_BYTES || m > NEAR_BYTES)
		return NEAR_BYTES;
	for (size_t k = 0; k <= m; k++)
		row[0][k] = k;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = row[i % 3], *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];
		now[0] = i;
		for (size_t k = 1; k <= m; k++) {
			bool same = plain(a[i - 1]) == plain(b[k - 1]);
			size_t best = before[k - 1] + !same;
			best = before[k] + 1 < best ? before[k] + 1 : best;
			best = now[k - 1] + 1 < best ? now[k - 1] + 1 : best;
			if (i > 1 && k > 1 && plain(a[i - 1]) == plain(b[k - 2]) &&
			    plain(a[i - 2]) == plain(b[k - 1]) && two[k - 2] + 1 < best)
				best = two[k - 2] + 1;
			now[k] = best;
		}
	}
	return row[n % 3][m];
}

/* The name behind the country or kind: "tax_id" of "de.tax_id", "pii-eu" of "packs/pii-eu". */
static const char *last_part(const char *name)
{
	const char *part = name;
	for (const char *c = name; *c; c++)
		if ((*c == '.' || *c == '/') && c[1])
			part = c + 1;
	return part;
}

const char *policy_nearest(const char *found, const char *const *names)
{
	const char *best = NULL;
	size_t least = 0;
	for (size_t i = 0; i < sizeof synonym / sizeof *synonym; i++)
		for (size_t k = 0; same_word(found, synonym[i][0]) && names[k]; k++)
			if (strcmp(names[k], synonym[i][1]) == 0)
				return names[k];
	for (size_t k = 0; names[k]; k++) {
		size_t n = strlen(found), m = strlen(names[k]);
		size_t away = distance(found, names[k]);
		if (away && same_word(found, last_part(names[k])))
			away = 1;
		if (away <= ((n > m ? n : m) + 1) / 3 && (!best || away < least)) {
			best = names[k];
			least = away;
		}
	}
	return best;
}

const struct policy_table *policy_table_of(const char *key)
{
	static const int order[] = { TABLE_MATCH,  TABLE_RULE,      TABLE_TESTS,
				     TABLE_POLICY, TABLE_RETENTION, TABLE_OVERRIDE };
	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		for (size_t k = 0; policy_tables[order[i]].known[k]; k++)
			if (strcmp(policy_tables[order[i]].known[k], key) == 0)
				return &policy_tables[order[i]];
	return NULL;
}
