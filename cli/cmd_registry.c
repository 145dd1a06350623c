/* hallmark registry */
#include "cli/cli.h"

#include <string.h>

int cmd_registry_init(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	if (cli_has(c, "origin"))
		TRY(cli_need(c, "origin", &c->origin));
	TRY(cli_open(c, false, &f));
	int rc = flow_audit_verify(f, NULL, NULL, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_log_verdict(c, report);
}

int cmd_registry_list(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_open(c, true, &f));
	int rc = flow_registry_list(f, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_registry_show(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_open(c, true, &f));
	int rc = flow_registry_show(f, c->operand[0], &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_registry_alias(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 2, 2));
	TRY(cli_open(c, false, &f));
	int rc = flow_registry_alias(f, c->operand[0], c->operand[1], &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_registry_affected(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_open(c, true, &f));
	int rc = flow_registry_affected(f, c->operand[0], &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_registry_rebuild(struct cli *c)
{
	struct flow_options o = cli_flow_options(c, false);
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(flow_registry_rebuild(&o, &report, &c->err));
	return cli_print(c, report);
}

int cmd_registry_export(struct cli *c)
{
	struct flow *f;
	struct buf out = { 0 };
	json_t *all = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_open(c, true, &f));
	int rc = flow_registry_export(f, &all, &c->err);
	flow_close(f);
	if (rc < 0)
		goto out;
	TRY_OUT(json_write_canonical(all, &out, &c->err));
	buf_add_text(&out, "\n");
	TRY_OUT(buf_done(&out, &c->err));
	rc = cli_write(c, out.bytes, out.len);
out:
	json_decref(all);
	buf_free(&out);
	return rc;
}
