/* hallmark audit */
#include "base/text.h"
#include "cli/cli.h"
#include "flow/vault.h"
#include "serve/replay.h"

#include <string.h>

static int index_operand(struct cli *c, uint64_t *out)
{
	TRY(cli_operands(c, 1, 1));
	if (text_parse_u64(c->operand[0], strlen(c->operand[0]), out) < 0)
		return err_set(&c->err, ERR_USAGE, "%s: expected the index of a log entry",
			       c->operand[0]);
	return 0;
}

/* A member as a terminal may have it: a log may come from elsewhere, and of a later version hold
 * anything. */
static const char *shown(const json_t *entry, const char *key, char *out, size_t room)
{
	const json_t *v = json_object_get(entry, key);
	*out = 0;
	if (json_is_string(v))
		text_escape(out, room, json_string_value(v), json_string_length(v), false);
	return out;
}

int cmd_audit_list(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	uint64_t first = 0, count = 100;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_number(c, "first", &first));
	TRY(cli_number(c, "count", &count));
	TRY(cli_open(c, true, &f));
	int rc = flow_audit_list(f, first, count, &report, &c->err);
	flow_close(f);
	if (rc < 0 || c->json)
		return rc < 0 ? rc : cli_print(c, report);
	size_t i;
	json_t *item;
	struct buf out = { 0 };
	json_array_foreach(json_object_get(report, "entries"), i, item) {
		char type[200], outcome[200];
		const json_t *entry = json_object_get(item, "entry");
		buf_printf(&out, "%6lld  %-10s %s\n",
			   (long long)json_integer_value(json_object_get(item, "index")),
			   shown(entry, "type", type, sizeof type),
			   shown(entry, "outcome", outcome, sizeof outcome));
	}
	json_decref(report);
	rc = buf_done(&out, &c->err);
	if (rc == 0 && out.len)
		rc = cli_write(c, out.bytes, out.len);
	buf_free(&out);
	return rc;
}

int cmd_audit_show(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	uint64_t index;
	TRY(index_operand(c, &index));
	TRY(cli_open(c, true, &f));
	int rc = flow_audit_show(f, index, cli_has(c, "disclose"), &report, &c->err);
	flow_close(f);
	if (rc < 0 || c->json)
		return rc < 0 ? rc : cli_print(c, report);
	struct buf out = { 0 };
	rc = json_write(report, 2, &out, &c->err);
	buf_add_text(&out, "\n");
	if (rc == 0)
		rc = cli_write(c, out.bytes, out.len);
	buf_free(&out);
	json_decref(report);
	return rc;
}

static int verify_receipt(struct cli *c, const char *receipt, const char *vkey, json_t **report)
{
	char key[1024];
	struct flow *f = NULL;
	if (!vkey) {
		struct buf own = { 0 };
		TRY(cli_open(c, true, &f));
		int rc = flow_key_export(f, NULL, "vkey", &own, &c->err);
		if (rc == 0)
			snprintf(key, sizeof key, "%.*s", (int)strcspn(own.bytes, "\n"), own.bytes);
		buf_free(&own);
		flow_close(f);
		TRY(rc);
	} else {
		TRY(cli_vkey(c, vkey, key, sizeof key));
	}
	return flow_audit_check(receipt, key, report, &c->err);
}

static long long member(const json_t *report, const char *name)
{
	return (long long)json_integer_value(json_object_get(report, name));
}

int cli_log_verdict(struct cli *c, json_t *report)
{
	bool ok = json_is_true(json_object_get(report, "ok"));
	long long problems = member(report, "problem_count"), newer = member(report, "newer");
	TRY(cli_print(c, report));
	if (ok)
		return 0;
	if (problems)
		return err_set(&c->err, ERR_VERIFY, "the log does not verify");
	if (!newer)
		return err_set(
			&c->err, ERR_INPUT,
			"the log could not be checked whole: this copy lacks its newest files; "
			"copy it again, log/checkpoint first");
	return err_set(
		&c->err, ERR_UNSUPPORTED,
		"the log could not be checked whole: %lld entries are of a later version than "
		"this program reads; nothing wrong was found, check it with a newer one",
		newer);
}

int cmd_audit_verify(struct cli *c)
{
	const char *receipt = cli_value(c, "receipt"), *vkey = cli_value(c, "vkey");
	char key[1024];
	struct flow *f = NULL;
	json_t *report = NULL;
	int rc;
	TRY(cli_operands(c, 0, receipt ? 0 : 1));
	if (receipt) {
		rc = verify_receipt(c, receipt, vkey, &report);
	} else {
		if (vkey)
			TRY(cli_vkey(c, vkey, key, sizeof key));
		if (!vkey || !c->operands)
			TRY(cli_open(c, true, &f));
		rc = flow_audit_verify(f, c->operands ? c->operand[0] : NULL, vkey ? key : NULL,
				       &report, &c->err);
		flow_close(f);
	}
	TRY(rc);
	if (!receipt)
		return cli_log_verdict(c, report);
	bool ok = json_is_true(json_object_get(report, "ok"));
	TRY(cli_print(c, report));
	return ok ? 0 : err_set(&c->err, ERR_VERIFY, "the receipt does not verify");
}

int cmd_audit_proof(struct cli *c)
{
	struct flow *f;
	struct buf out = { 0 };
	uint64_t index;
	TRY(index_operand(c, &index));
	TRY(cli_open(c, true, &f));
	int rc = flow_audit_proof(f, index, cli_has(c, "disclose"), NULL, &out, &c->err);
	flow_close(f);
	if (rc == 0)
		rc = cli_write(c, out.bytes, out.len);
	buf_free(&out);
	return rc;
}

static bool same_build(const json_t *report)
{
	const char *then = json_string_value(json_object_get(report, "build_recorded"));
	const char *here = json_string_value(json_object_get(report, "build_here"));
	return then && here && strcmp(then, here) == 0;
}

/* Of a report: 0 where all is equal, ERR_VERIFY where not, ERR_UNAVAILABLE where nothing ran. */
static int replay_outcome(const json_t *report, struct err *e)
{
	const char *verdict = json_string_value(json_object_get(report, "verdict"));
	const char *here = json_string_value(json_object_get(report, "regime"));
	const char *then =
		json_string_value(json_array_get(json_object_get(report, "regimes_recorded"), 0));
	if (json_is_true(json_object_get(report, "equal")))
		return 0;
	if (!verdict || strcmp(verdict, "other regime") != 0)
		return err_set(e, ERR_VERIFY, "the replay differs from the record%s%s",
			       same_build(report) ? "" : "; another build computed it",
			       json_array_size(json_object_get(report, "libraries")) == 0
				       ? ""
				       : "; other libraries matched its policy's rules");
	return err_set(e, ERR_UNAVAILABLE,
		       "the record cannot be replayed here: it was computed in the regime %.60s, "
		       "whose bits are its own, and this machine computes in %.60s",
		       then ? then : "?", here ? here : "?");
}

int cmd_audit_replay(struct cli *c)
{
	struct serve_replay_options o = { .ref = cli_value(c, "model"),
					  .adapter = cli_value(c, "adapter"),
					  .has_seed = cli_has(c, "seed"),
					  .unsigned_ok = cli_has(c, "unsigned") };
	struct flow *f;
	json_t *report = NULL;
	uint64_t index;
	TRY(index_operand(c, &index));
	TRY(cli_signed(c, "seed", &o.seed));
	TRY(cli_open(c, true, &f));
	int rc = serve_replay(f, index, &o, &report, &c->err);
	flow_close(f);
	TRY(rc);
	struct err outcome = { 0 };
	rc = replay_outcome(report, &outcome);
	TRY(cli_print(c, report));
	if (rc < 0)
		c->err = outcome;
	return rc;
}

int cmd_audit_erase(struct cli *c)
{
	struct flow_erase q = { .subject = cli_value(c, "subject"),
				.look_only = cli_has(c, "dry-run") };
	json_t *report = NULL;
	struct flow *f;
	TRY(q.subject ? cli_operands(c, 0, 0) : index_operand(c, &q.index));
	if (!q.subject && q.look_only)
		return err_set(&c->err, ERR_USAGE, "--dry-run: only with --subject");
	if (!q.look_only) {
		TRY(cli_need(c, "ground", &q.ground));
		TRY(cli_need(c, "actor", &q.actor));
		if (!c->yes)
			return err_set(&c->err, ERR_USAGE, "erasing cannot be undone: add --yes");
	}
	TRY(cli_open(c, q.look_only, &f));
	int rc = flow_audit_erase(f, &q, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_audit_rewrap(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	c->alone = true; /* a running server seals with the key that it opened */
	TRY(cli_open(c, false, &f));
	int rc = flow_vault_renew(f, &c->err);
	flow_close(f);
	TRY(rc);
	TRY(cli_open(c, false, &f)); /* wraps all under it */
	rc = flow_vault_renewed(f, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}
