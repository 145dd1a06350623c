/* hallmark release */
#include "cli/cli.h"
#include "flow/fork.h"
#include "serve/serve.h"

#include <string.h>
#include <unistd.h>

/* How the release was made, from the person at the terminal; NULL: not said. */
static const char *ask_kind(char *line, int room)
{
	fputs("How was it made (train, fine-tune, merge, quantize, convert, prune)? Enter: unstated. ",
	      stderr);
	if (!fgets(line, room, stdin))
		return NULL;
	line[strcspn(line, "\r\n")] = 0;
	return line[0] ? line : NULL;
}

/* A release need not be a model that this program can serve: data, adapters, other architectures
 * are released too. So what keeps it from being served is said and stops nothing. */
static int add_serve(struct cli *c, const char *dir, json_t *report)
{
	struct err why = { 0 };
	struct buf line = { 0 };
	bool loads = serve_check(dir, &why) == 0;
	if (!loads)
		buf_printf(&line, "this release cannot be served as it is: %s\n", why.text);
	int rc = buf_done(&line, &c->err);
	if (rc == 0 &&
	    json_object_set_new(report, "serve",
				loads ? json_string("loads") : json_text_lossy(why.text)) < 0)
		rc = err_set(&c->err, ERR_NOMEM, "out of memory for the report");
	if (rc == 0 && !loads)
		cli_notes(c, line.bytes);
	buf_free(&line);
	return rc;
}

/* What fork audits compare with, while its files are still in memory. The release is made: whatever
 * is wrong here, the first audit meets it and says so. Others may write meanwhile. */
static void keep_sketch(struct cli *c, const json_t *report)
{
	struct err none;
	const char *root = json_string_value(json_object_get(report, "root"));
	struct flow *f = cli_open_if_there(c);
	int rc = f && root ? flow_fork_keep(f, root, &none) : 0;
	(void)rc;
	flow_close(f);
}

int cmd_release_create(struct cli *c)
{
	struct flow_publish p = { .package = cli_value(c, "package"),
				  .kind = cli_value(c, "kind"),
				  .parent = cli_value(c, "parent"),
				  .include_secrets = cli_has(c, "include-secrets"),
				  .dry_run = cli_has(c, "dry-run"),
				  .yes = c->yes };
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_need(c, "name", &p.name));
	TRY(cli_need(c, "version", &p.version));
	TRY(cli_need(c, "key", &p.key));
	char kind[32];
	if (!p.kind && !c->no_input && isatty(STDIN_FILENO))
		p.kind = ask_kind(kind, sizeof kind);
	p.dir = c->operand[0];
	TRY(cli_open(c, false, &f));
	int rc = flow_publish(f, &p, &report, &c->err);
	flow_close(f);
	TRY(rc);
	if (!p.dry_run)
		keep_sketch(c, report);
	rc = add_serve(c, p.dir, report);
	if (rc < 0) {
		json_decref(report);
		return rc;
	}
	return cli_print(c, report);
}

/* Without --key the state folder says whom to trust; with it, none is needed (but a registered REF
 * is). */
static int open_for_verify(struct cli *c, const char *key, struct flow **f)
{
	if (!key)
		return cli_open(c, true, f);
	*f = cli_open_if_there(c);
	return 0;
}

int cmd_release_verify(struct cli *c)
{
	const char *key = cli_value(c, "key");
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(open_for_verify(c, key, &f));
	const struct flow_verify v = {
		.ref = c->operand[0],
		.key = key,
		.name = cli_value(c, "name"),
		.ignore_unsigned = cli_has(c, "ignore-unsigned-files"),
		.quiet = c->quiet,
	};
	int rc = flow_release_verify(f, &v, &report, &c->err);
	flow_close(f);
	TRY(rc);
	bool ok = json_is_true(json_object_get(report, "ok"));
	TRY(cli_print(c, report));
	return ok ? 0 : err_set(&c->err, ERR_VERIFY, "%s does not verify", c->operand[0]);
}

int cmd_release_show(struct cli *c)
{
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	struct flow *f = cli_open_if_there(c); /* a folder can be shown without any state */
	int rc = flow_release_show(f, c->operand[0], &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_release_unpack(struct cli *c)
{
	struct flow_unpack u = { .key = cli_value(c, "key"), .name = cli_value(c, "name") };
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 2, 2));
	u.package = c->operand[0];
	u.dir = c->operand[1];
	TRY(open_for_verify(c, u.key, &f));
	int rc = flow_release_unpack(f, &u, &report, &c->err);
	flow_close(f);
	TRY(rc);
	bool ok = json_is_true(json_object_get(report, "ok"));
	TRY(cli_print(c, report));
	return ok ? 0
		  : err_set(&c->err, ERR_VERIFY, "%s does not verify: nothing was written",
			    c->operand[0]);
}

int cmd_release_sign(struct cli *c)
{
	struct flow_cosign s = { .key = NULL };
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_need(c, "key", &s.key));
	s.dir = c->operand[0];
	TRY(cli_open(c, false, &f));
	int rc = flow_release_sign(f, &s, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}
