/* Which models one `hallmark serve` serves: operands REF or NAME=REF, and options that hold a value
 * for each of them, or one for all. */
#include "base/limits.h"
#include "cli/cli.h"

#include <string.h>

/* What one operand asks for. */
struct asked {
	char ref[LIMIT_PATH_BYTES];
	char name[256], policy[LIMIT_PATH_BYTES], adapter[LIMIT_PATH_BYTES];
};

/* NAME=REF; a path that begins as paths do may hold a '='. */
static const char *name_end(const char *operand)
{
	return operand[0] == '/' || operand[0] == '.' ? NULL : strchr(operand, '=');
}

static size_t list_count(const char *list)
{
	size_t n = 1;
	for (; *list; list++)
		n += *list == ',';
	return n;
}

static int copy(struct cli *c, const char *what, const char *from, size_t len, char *to,
		size_t room)
{
	if (len >= room)
		return err_set(&c->err, ERR_USAGE, "%s: longer than %zu bytes", what, room - 1);
	memcpy(to, from, len);
	to[len] = 0;
	return 0;
}

/* The value of the i-th of n models: of a list with as many, or the one for all of them. A single
 * model has all of it, commas too. */
static int value_of(struct cli *c, const char *option, bool for_all, size_t i, size_t n, char *out,
		    size_t room)
{
	const char *list = cli_value(c, option);
	if (!list)
		return 0;
	size_t count = n == 1 ? 1 : list_count(list);
	if (count != n && !(for_all && count == 1))
		return err_set(&c->err, ERR_USAGE,
			       "--%s holds %zu values for %zu models: expected one for each%s, "
			       "between commas",
			       option, count, n, for_all ? ", or one for all" : "");
	for (size_t k = 0; k < i && count > 1; k++)
		list = strchr(list, ',') + 1;
	return copy(c, option, list, count == 1 ? strlen(list) : strcspn(list, ","), out, room);
}

static int read_asked(struct cli *c, size_t i, size_t n, struct asked *out)
{
	const char *operand = c->operand[i], *end = name_end(operand);
	const char *ref = end ? end + 1 : operand;
	*out = (struct asked){ 0 };
	TRY(copy(c, "REF", ref, strlen(ref), out->ref, sizeof out->ref));
	TRY(copy(c, "NAME", end ? operand : ref, end ? (size_t)(end - operand) : strlen(ref),
		 out->name, sizeof out->name));
	if (end && cli_has(c, "name"))
		return err_set(&c->err, ERR_USAGE, "%.200s: names are given by --name already",
			       operand);
	TRY(value_of(c, "name", false, i, n, out->name, sizeof out->name));
	TRY(value_of(c, "policy", true, i, n, out->policy, sizeof out->policy));
	TRY(value_of(c, "adapter", false, i, n, out->adapter, sizeof out->adapter));
	return !out->name[0] || !out->ref[0]
		       ? err_set(&c->err, ERR_USAGE, "%.200s: expected REF or NAME=REF", operand)
		       : 0;
}

int cli_models_add(struct cli *c, const struct serve_options *all, struct serve_host *h)
{
	size_t n = (size_t)c->operands;
	struct asked asked;
	for (size_t i = 0; i < n; i++)
		TRY(read_asked(c, i, n, &asked)); /* all of them, before minutes of loading */
	for (size_t i = 0; i < n; i++) {
		struct serve_options o = *all;
		o.models = (unsigned)n;
		TRY(read_asked(c, i, n, &asked));
		o.ref = asked.ref;
		o.model_name = asked.name;
		o.policy = asked.policy[0] ? asked.policy : NULL;
		o.adapter = asked.adapter[0] ? asked.adapter : NULL;
		TRY(serve_host_add(h, &o, &c->err));
		cli_notes(c, serve_service_notes(serve_host_at(h, i)));
	}
	return 0;
}
