/* hallmark doctor: looks at a deployment and says what to do. Changes nothing, needs no state
 * folder, and runs beside a server. */
#include "cli/doctor.h"

#include <stdarg.h>
#include <string.h>

static const char *const words[] = { "ok", "warn", "fail" };

void cli_doctor_say(struct cli_doctor *d, const char *name, enum cli_health health,
		    const char *remedy, const char *fmt, ...)
{
	char detail[900];
	struct obj o = { 0 };
	va_list args;
	va_start(args, fmt);
	vsnprintf(detail, sizeof detail, fmt, args);
	va_end(args);
	obj_text(&o, "name", name);
	obj_text(&o, "status", words[health]);
	obj_add(&o, "detail", json_text_lossy(detail));
	if (remedy && health != CLI_OK)
		obj_add(&o, "remedy", json_text_lossy(remedy));
	else
		obj_null(&o, "remedy");
	arr_object(&d->checks, &o);
	d->count[health]++;
}

const char *cli_doctor_setting(const struct cli_doctor *d, const char *option)
{
	struct cli_setting s;
	struct err why;
	if (d->c->config_err.code)
		return NULL;
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *k = &cli_commands[i];
		if (k->run != cmd_serve)
			continue;
		if (strcmp(option, cli_operands_option.name) == 0)
			return cli_config_find(d->c, k, &cli_operands_option, &s, &why) == 0
				       ? s.value
				       : NULL;
		for (size_t n = 0; n < CLI_OPTIONS_MAX && k->option[n].name; n++)
			if (strcmp(k->option[n].name, option) == 0)
				return cli_config_find(d->c, k, &k->option[n], &s, &why) == 0
					       ? s.value
					       : NULL;
	}
	return NULL;
}

static void print_checks(const json_t *report)
{
	const json_t *check;
	size_t i;
	json_array_foreach(json_object_get(report, "checks"), i, check) {
		const char *remedy = json_string_value(json_object_get(check, "remedy"));
		printf("%-5s %-13s %s\n", json_string_value(json_object_get(check, "status")),
		       json_string_value(json_object_get(check, "name")),
		       json_string_value(json_object_get(check, "detail")));
		if (remedy)
			printf("%-19s -> %s\n", "", remedy);
	}
}

static int print_report(struct cli_doctor *d)
{
	struct cli *c = d->c;
	struct obj o = { 0 };
	json_t *report = NULL;
	obj_bool(&o, "ok", d->count[CLI_FAIL] == 0);
	obj_count(&o, "warnings", d->count[CLI_WARN]);
	obj_count(&o, "failures", d->count[CLI_FAIL]);
	obj_array(&o, "checks", &d->checks);
	TRY(obj_done(&o, &report, &c->err));
	if (c->json)
		return cli_print(c, report);
	print_checks(report);
	json_decref(report);
	return 0;
}

int cmd_doctor(struct cli *c)
{
	struct cli_doctor d = { .c = c };
	if (c->err.code && !c->config_err.code)
		c->config_err = c->err;
	TRY(cli_operands(c, 0, 0));
	cli_doctor_state(&d);
	cli_doctor_deployment(&d);
	flow_close(d.f);
	TRY(print_report(&d));
	c->err = (struct err){ 0 };
	if (d.count[CLI_FAIL] == 0)
		return 0;
	return err_set(&c->err, d.wrong ? ERR_VERIFY : ERR_INPUT, "%u of %u checks fail",
		       d.count[CLI_FAIL], d.count[CLI_OK] + d.count[CLI_WARN] + d.count[CLI_FAIL]);
}
