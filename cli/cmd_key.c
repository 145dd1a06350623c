/* hallmark key */
#include "cli/cli.h"

int cmd_key_new(struct cli *c)
{
	struct flow_key k = { .models = cli_value(c, "models"),
			      .expires = cli_value(c, "expires"),
			      .previous = cli_value(c, "previous") };
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_need(c, "name", &k.name));
	TRY(cli_open(c, false, &f));
	if (!c->passphrase[0] && !c->quiet)
		fputs("hallmark: no passphrase: the secret key is stored unwrapped (mode 0600)\n",
		      stderr);
	int rc = flow_key_new(f, &k, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_key_list(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_open(c, true, &f));
	int rc = flow_key_list(f, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

static int export(struct cli *c, const char *name, const char *form)
{
	struct flow *f;
	struct buf out = { 0 };
	TRY(cli_open(c, true, &f));
	int rc = flow_key_export(f, name, form, &out, &c->err);
	flow_close(f);
	if (rc == 0)
		rc = cli_write(c, out.bytes, out.len);
	buf_free(&out);
	return rc;
}

int cmd_key_show(struct cli *c)
{
	TRY(cli_operands(c, 1, 1));
	return export(c, c->operand[0], "document");
}

int cmd_key_export(struct cli *c)
{
	const char *form = cli_value(c, "format");
	bool log = cli_has(c, "log");
	TRY(cli_operands(c, log ? 0 : 1, log ? 0 : 1));
	return export(c, log ? NULL : c->operand[0], form ? form : log ? "vkey" : "pem");
}

int cmd_key_import(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_open(c, false, &f));
	int rc = flow_key_import(f,
				 &(struct flow_import){ .path = c->operand[0],
							.name = cli_value(c, "name"),
							.models = cli_value(c, "models") },
				 &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}
