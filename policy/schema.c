/* The tables of a policy and their keys, and what somebody meant who wrote another word. */
#include "base/nearest.h"
#include "policy/rules.h"

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

const char *policy_nearest(const char *found, const char *const *names)
{
	for (size_t i = 0; i < sizeof synonym / sizeof *synonym; i++)
		for (size_t k = 0; nearest_same(found, synonym[i][0]) && names[k]; k++)
			if (strcmp(names[k], synonym[i][1]) == 0)
				return names[k];
	return nearest_name(found, names);
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
