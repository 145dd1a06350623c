/* hallmark selftest */
#include "cli/cli.h"

int cmd_selftest(struct cli *c)
{
	struct lab_selftest t = { .oracles = cli_value(c, "oracles"),
				  .tokenizer = cli_value(c, "tokenizer"),
				  .cases = cli_value(c, "cases"),
				  .templates = cli_value(c, "templates"),
				  .dump = cli_value(c, "dump"),
				  .device = cli_device(c) };
	uint64_t threads = 0;
	json_t *report = NULL, *item;
	size_t i;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_number(c, "threads", &threads));
	t.threads = (unsigned)(threads > 256 ? 256 : threads);
	TRY(lab_selftest(&t, &report, &c->err));
	json_int_t failed = json_integer_value(json_object_get(report, "failed"));
	if (c->json) {
		TRY(cli_print(c, report));
		return failed ? err_set(&c->err, ERR_VERIFY, "%lld cases failed", (long long)failed)
			      : 0;
	}
	json_array_foreach(json_object_get(report, "cases"), i, item)
		printf("%-4s %-28s max error %.2e, tolerance %.2e %s\n",
		       json_is_true(json_object_get(item, "ok")) ? "ok" : "BAD",
		       json_string_value(json_object_get(item, "name")),
		       json_real_value(json_object_get(item, "max_error")),
		       json_real_value(json_object_get(item, "tolerance")),
		       json_string_value(json_object_get(item, "detail")));
	printf("%lld passed, %lld failed\n",
	       (long long)json_integer_value(json_object_get(report, "passed")), (long long)failed);
	json_decref(report);
	return failed ? err_set(&c->err, ERR_VERIFY, "%lld cases failed", (long long)failed) : 0;
}
