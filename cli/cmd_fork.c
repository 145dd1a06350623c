/* hallmark fork */
#include "cli/cli.h"

/* One fixed public seed unless asked otherwise: two people who run the same audit get the same
 * numbers. */
#define SEED 20261123u

int cmd_fork_audit(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	uint64_t seed = SEED;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_number(c, "seed", &seed));
	TRY(cli_open(c, false, &f));
	int rc = flow_audit_fork(f, c->operand[0], cli_value(c, "parent"), seed, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_fork_compare(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	uint64_t seed = SEED;
	TRY(cli_operands(c, 2, 2));
	TRY(cli_number(c, "seed", &seed));
	f = cli_open_if_there(c); /* folders can be compared without any state */
	int rc = flow_fork_compare(f, c->operand[0], c->operand[1], seed, cli_has(c, "blocks"),
				   &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_fork_calibrate(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	uint64_t seed = SEED;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_number(c, "seed", &seed));
	f = cli_open_if_there(c);
	int rc = flow_fork_calibrate(f, c->operand[0], seed, &report, &c->err);
	flow_close(f);
	TRY(rc);
	bool passed = json_is_true(json_object_get(report, "passed"));
	TRY(cli_print(c, report));
	return passed ? 0
		      : err_set(&c->err, ERR_VERIFY,
				"the calibration did not pass: no p-value may be stated on this model");
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
