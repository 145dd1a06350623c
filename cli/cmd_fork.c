/* hallmark fork */
#include "cli/cli.h"
#include "flow/fork.h"

#include <string.h>

/* One fixed public seed unless asked otherwise: two people who run the same audit get the same
 * numbers. */
#define SEED 20261123u

/* ---- --fail-on ---- */

/* The next of a list of words between commas; its length, 0 at the end. */
static size_t next_word(const char **at)
{
	*at += strspn(*at, ",");
	return strcspn(*at, ",");
}

static bool is_word(const char *list, size_t len, const char *name)
{
	return strlen(name) == len && strncmp(list, name, len) == 0;
}

static bool is_finding(const char *word, size_t len)
{
	for (const struct flow_finding *f = flow_findings(); f->kind; f++)
		if (is_word(word, len, f->kind))
			return true;
	return false;
}

static bool is_one_of(const char *const *names, const char *word, size_t len)
{
	for (; *names; names++)
		if (is_word(word, len, *names))
			return true;
	return false;
}

static int unknown_word(struct cli *c, const char *word, size_t len)
{
	char known[600] = "";
	size_t used = 0;
	const char *const *lists[] = { flow_severities(), flow_fork_verdict_names() };
	for (const struct flow_finding *f = flow_findings(); f->kind; f++)
		used += (size_t)snprintf(known + used, sizeof known - used, "%s, ", f->kind);
	for (size_t i = 0; i < 2; i++)
		for (const char *const *name = lists[i]; *name && used < sizeof known; name++)
			used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
						 name == lists[0] ? "" : ", ", *name);
	return err_set(&c->err, ERR_USAGE,
		       "--fail-on %.*s: expected findings, severities or verdicts: %s",
		       (int)(len < 80 ? len : 80), word, known);
}

static int check_fail_on(struct cli *c, const char *list)
{
	size_t len, words = 0;
	for (const char *at = list; (len = next_word(&at)) > 0; at += len, words++)
		if (!is_finding(at, len) && !is_one_of(flow_severities(), at, len) &&
		    !is_one_of(flow_fork_verdict_names(), at, len))
			return unknown_word(c, at, len);
	return words ? 0 : unknown_word(c, "", 0);
}

/* Whether that severity is the one of the word, or a worse one. */
static bool is_as_severe(const char *word, size_t len, const char *severity)
{
	bool reached = false;
	for (const char *const *name = flow_severities(); *name; name++) {
		reached |= is_word(word, len, *name);
		if (strcmp(severity, *name) == 0)
			return reached;
	}
	return false;
}

/* Whether the report has what that word says. A note accuses nobody, and does not count for its
 * kind. */
static bool has(const json_t *report, const char *word, size_t len)
{
	const json_t *finding;
	size_t i;
	json_array_foreach(json_object_get(report, "findings"), i, finding) {
		const char *kind = json_string_value(json_object_get(finding, "kind"));
		const char *severity = json_string_value(json_object_get(finding, "severity"));
		if (is_as_severe(word, len, severity) ||
		    (is_word(word, len, kind) && strcmp(severity, "note") != 0))
			return true;
	}
	const char *verdict = json_string_value(json_object_get(report, "verdict"));
	return verdict && is_word(word, len, verdict);
}

/* Those that the report has, in the order in which they were asked for. */
static int fail_on(struct cli *c, const char *list, const json_t *report)
{
	char found[400] = "";
	size_t len, used = 0;
	for (const char *at = list; (len = next_word(&at)) > 0; at += len)
		if (has(report, at, len) && used < sizeof found)
			used += (size_t)snprintf(found + used, sizeof found - used, "%s%.*s",
						 used ? ", " : "", (int)len, at);
	if (!used)
		return 0;
	return err_set(&c->err, ERR_DENIED, "--fail-on: the report has %s", found);
}

void cmd_fork_kinds(void)
{
	puts("\nfindings:");
	for (const struct flow_finding *f = flow_findings(); f->kind; f++)
		printf("  %-16s  %s\n", f->kind, f->says);
}

/* ---- commands ---- */

/* Comparing only reads: other commands write meanwhile, and an audit that is cut off has written
 * nothing. Without a state folder there is nothing to read: it comes into being, and the audit says
 * what is missing. */
static int examine(struct cli *c, bool again, uint64_t seed, json_t **report)
{
	struct flow *f;
	int rc = cli_open(c, true, &f);
	if (rc == ERR_NOTFOUND)
		rc = cli_open(c, false, &f);
	TRY(rc);
	const struct flow_fork_question q = { .suspect = again ? NULL : c->operand[0],
					      .parent = cli_value(c, "parent"),
					      .seed = seed,
					      .lists = true };
	rc = again ? flow_fork_examine_again(f, seed, report, &c->err)
		   : flow_fork_examine(f, &q, report, &c->err);
	flow_close(f);
	return rc;
}

static int record(struct cli *c, bool again, json_t *report)
{
	struct flow *f;
	json_t *item;
	size_t i;
	if (again && json_array_size(json_object_get(report, "changed")) == 0)
		return 0;
	TRY(cli_open(c, false, &f));
	int rc = again ? 0 : flow_fork_record(f, report, c->operand[0], &c->err);
	json_array_foreach(json_object_get(report, "changed"), i, item) {
		json_t *one = json_object_get(item, "report");
		if (rc == 0)
			rc = flow_fork_record(f, one, NULL, &c->err);
		if (rc == 0)
			json_object_set(item, "index", json_object_get(one, "index"));
	}
	flow_close(f);
	return rc;
}

/* Of several reports, the first that has one of them. */
static int fail_on_any(struct cli *c, const char *list, const json_t *report)
{
	const json_t *item;
	size_t i;
	TRY(fail_on(c, list, report));
	json_array_foreach(json_object_get(report, "changed"), i, item)
		TRY(fail_on(c, list, json_object_get(item, "report")));
	return 0;
}

/* --verify: a bundle, with the models that are here. */
static int verify_bundle(struct cli *c, const char *bundle)
{
	char key[512];
	const char *vkey = cli_value(c, "vkey");
	json_t *report;
	TRY(cli_operands(c, 0, 1));
	if (vkey)
		TRY(cli_vkey(c, vkey, key, sizeof key));
	struct flow *f = cli_open_if_there(c);
	int rc = flow_fork_bundle_verify(f, bundle, c->operands ? c->operand[0] : NULL,
					 vkey ? key : NULL, &report, &c->err);
	flow_close(f);
	TRY(rc);
	bool ok = json_is_true(json_object_get(report, "ok"));
	TRY(cli_print(c, report));
	return ok ? 0 : err_set(&c->err, ERR_VERIFY, "%s does not hold", bundle);
}

int cmd_fork_audit(struct cli *c)
{
	json_t *report = NULL;
	uint64_t seed = SEED;
	bool again = cli_has(c, "again");
	const char *denied = cli_value(c, "fail-on"), *copy = cli_value(c, "bundle");
	if (cli_value(c, "verify"))
		return verify_bundle(c, cli_value(c, "verify"));
	if (again && copy)
		return err_set(&c->err, ERR_USAGE, "--again keeps a bundle for each new entry");
	TRY(cli_operands(c, again ? 0 : 1, again ? 0 : 1));
	TRY(cli_number(c, "seed", &seed));
	if (again && cli_value(c, "parent"))
		return err_set(&c->err, ERR_USAGE,
			       "--again audits against every registered release");
	if (denied)
		TRY(check_fail_on(c, denied));
	TRY(examine(c, again, seed, &report));
	int rc = record(c, again, report);
	const char *kept = json_string_value(json_object_get(report, "bundle"));
	if (rc == 0 && copy && kept)
		rc = flow_fork_bundle_copy(kept, copy, &c->err);
	if (rc < 0) {
		json_decref(report);
		return rc;
	}
	json_incref(report);
	rc = cli_print(c, report);
	if (rc == 0 && denied)
		rc = fail_on_any(c, denied, report);
	json_decref(report);
	return rc;
}

static int look_options(struct cli *c, struct flow_fork_look *out)
{
	*out = (struct flow_fork_look){
		.seed = SEED,
		.lists = cli_has(c, "blocks"),
		.all_rungs = cli_has(c, "all-rungs"),
		.quiet = c->quiet,
	};
	return cli_number(c, "seed", &out->seed);
}

int cmd_fork_compare(struct cli *c)
{
	struct flow_fork_look how;
	json_t *report = NULL;
	TRY(cli_operands(c, 2, 2));
	TRY(look_options(c, &how));
	struct flow *f = cli_open_if_there(c); /* folders can be compared without any state */
	int rc = flow_fork_compare(f, c->operand[0], c->operand[1], &how, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_fork_calibrate(struct cli *c)
{
	struct flow_fork_look how;
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(look_options(c, &how));
	struct flow *f = cli_open_if_there(c);
	int rc = flow_fork_calibrate(f, c->operand[0], &how, &report, &c->err);
	flow_close(f);
	TRY(rc);
	bool passed = json_is_true(json_object_get(report, "passed"));
	TRY(cli_print(c, report));
	return passed ? 0
		      : err_set(&c->err, ERR_VERIFY,
				"no calibration passed: no p-value may be stated on this model");
}

int cmd_fork_tree(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_open(c, true, &f));
	int rc = flow_fork_tree(f, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}
