/* What environment and files say of an option, and what of that goes to the command. */
#include "base/nearest.h"
#include "base/text.h"
#include "cli/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE_PREFIX "HALLMARK_"
#define VARIABLES_MAX 1024

/* Read by other rooms, which say what they mean. */
static const char *const other_variables[] = {
	"HALLMARK_HOME",  "HALLMARK_CONFIG",      "HALLMARK_PASSPHRASE", "HALLMARK_KERNELS",
	"HALLMARK_CUDA",  "HALLMARK_CUDA_CHOICE", "HALLMARK_CUDA_STEPS", "HALLMARK_CRASH_AT",
	"HALLMARK_NULLS", "HALLMARK_CUBLAS",
};

/* ---- one option ---- */

static int flag_word(const char *name, const char *word, bool *on, struct err *e)
{
	static const char *const words[] = { "0", "false", "no", "off", "1", "true", "yes", "on" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i], word) == 0) {
			*on = i >= 4;
			return 0;
		}
	return err_set(e, ERR_USAGE, "%s=%.60s: expected 1, true, yes, 0, false or no", name, word);
}

static int from_environment(const struct cli *c, const struct cli_command *k,
			    const struct cli_option *o, struct cli_setting *out, struct err *e)
{
	char name[120];
	bool on = true;
	cli_config_variable(k, o, name);
	const char *value = env_variable(&c->env, name);
	if (!value || !*value)
		return 0;
	if (cli_option_form(o) == CLI_FLAG)
		TRY(flag_word(name, value, &on, e));
	const char *kept = arena_copy(&c->config->arena, name, strlen(name));
	if (!kept)
		return err_set(e, ERR_NOMEM, "out of memory for the configuration");
	out->origin = (struct cli_origin){ CLI_ENVIRONMENT, kept, 0 };
	out->value = cli_option_form(o) != CLI_FLAG ? value : on ? "" : NULL;
	return 0;
}

static const struct toml *member(const struct cli_config_file *f, const struct cli_command *k,
				 const char *name)
{
	const struct toml *t = f->root;
	if (t && k)
		t = toml_get(t, k->noun);
	if (t && k && k->verb)
		t = toml_get(t, k->verb);
	return t ? toml_get(t, name) : NULL;
}

int cli_config_find(const struct cli *c, const struct cli_command *k, const struct cli_option *o,
		    struct cli_setting *out, struct err *e)
{
	*out = (struct cli_setting){ 0 };
	TRY(from_environment(c, k, o, out, e));
	for (size_t i = 0; i < c->config->files && out->origin.source == CLI_DEFAULT; i++) {
		const struct cli_config_file *f = &c->config->file[i];
		const struct toml *v = member(f, k, o->name);
		if (!v)
			continue;
		TRY(cli_config_text(c, f, o, v, &out->value, e));
		out->origin = (struct cli_origin){ f->source, f->path, v->line };
	}
	return 0;
}

/* ---- the command that is to run ---- */

void cli_config_say_from(struct err *e, const struct cli_origin *from)
{
	size_t end = strlen(e->text), room = sizeof e->text - end;
	if (from->line)
		snprintf(e->text + end, room, " (from %s:%d)", from->name, from->line);
	else if (from->name)
		snprintf(e->text + end, room, " (from %s)", from->name);
}

static int apply_global(struct cli *c)
{
	for (size_t i = 0; i < cli_global_count; i++) {
		struct cli_setting s;
		const char *name = cli_global[i].name;
		if (c->given & 1u << i || !cli_config_holds(&cli_global[i]))
			continue;
		TRY(cli_config_find(c, NULL, &cli_global[i], &s, &c->err));
		/* The environment goes before files here too; flow reads this variable, and
		 * cli_open the other. */
		bool passed =
			(strcmp(name, "home") == 0 && env_variable(&c->env, "HALLMARK_HOME")) ||
			(strcmp(name, "passphrase-file") == 0 &&
			 s.origin.source < CLI_ENVIRONMENT &&
			 env_variable(&c->env, "HALLMARK_PASSPHRASE"));
		int rc = s.value && !passed ? cli_global_set(c, i, s.value) : 0;
		if (rc < 0) {
			cli_config_say_from(&c->err, &s.origin);
			return rc;
		}
	}
	return 0;
}

static int apply_operands(struct cli *c)
{
	struct cli_setting s;
	if (c->operands || !*c->command->operands)
		return 0;
	TRY(cli_config_find(c, c->command, &cli_operands_option, &s, &c->err));
	if (!s.value)
		return 0;
	char *at = arena_copy(&c->config->arena, s.value, strlen(s.value));
	if (!at)
		return err_set(&c->err, ERR_NOMEM, "out of memory for the configuration");
	for (char *next; at; at = next) {
		next = strchr(at, ',');
		if (next)
			*next++ = 0;
		if (c->operands == CLI_OPERANDS_MAX)
			return err_set(&c->err, ERR_USAGE, "operands of %s: more than %d",
				       s.origin.name, CLI_OPERANDS_MAX);
		c->operand[c->operands++] = at;
	}
	return 0;
}

int cli_config_apply(struct cli *c)
{
	char near[120];
	const struct cli_option *o = c->command->option;
	const char *stray = cli_config_stray(c->command, near);
	if (stray)
		return err_set(&c->err, ERR_USAGE,
			       "the environment has %.*s, which is no option%s%s%s",
			       (int)strcspn(stray, "="), stray, *near ? "; did you mean " : "",
			       near, *near ? "?" : "");
	TRY(apply_global(c));
	for (size_t i = 0; i < CLI_OPTIONS_MAX && o[i].name; i++) {
		struct cli_setting s;
		if (c->value[i] || c->off[i]) {
			c->from[i] = (struct cli_origin){ .source = CLI_COMMAND_LINE };
			continue;
		}
		TRY(cli_config_find(c, c->command, &o[i], &s, &c->err));
		c->value[i] = s.value;
		c->from[i] = s.origin;
	}
	return apply_operands(c);
}

/* ---- variables that mean nothing ---- */

static void add_names(const struct cli_command *k, char (*name)[120], size_t *count)
{
	for (size_t i = 0; i < CLI_OPTIONS_MAX && k->option[i].name && *count < VARIABLES_MAX; i++)
		cli_config_variable(k, &k->option[i], name[(*count)++]);
	if (*k->operands && *count < VARIABLES_MAX)
		cli_config_variable(k, &cli_operands_option, name[(*count)++]);
}

/* All names of variables that mean something, as a list that ends in NULL; freed by one free. */
static const char **all_names(void)
{
	struct names {
		const char *list[VARIABLES_MAX + 32];
		char name[VARIABLES_MAX][120];
	} *n = calloc(1, sizeof *n);
	size_t count = 0, others = sizeof other_variables / sizeof *other_variables;
	if (!n)
		return NULL;
	for (size_t i = 0; i < cli_command_count; i++)
		add_names(&cli_commands[i], n->name, &count);
	for (size_t i = 0; i < cli_global_count && count < VARIABLES_MAX; i++)
		if (cli_config_holds(&cli_global[i]))
			cli_config_variable(NULL, &cli_global[i], n->name[count++]);
	for (size_t i = 0; i < count; i++)
		n->list[i] = n->name[i];
	for (size_t i = 0; i < others; i++)
		n->list[count + i] = other_variables[i];
	return n->list;
}

static bool is_known(const char *variable, size_t len, const char *const *names)
{
	for (; *names; names++)
		if (strlen(*names) == len && memcmp(*names, variable, len) == 0)
			return true;
	return false;
}

const char *cli_config_stray(const struct cli_command *only, char near[120])
{
	static const struct cli_option none = { "", NULL, NULL };
	char prefix[120] = VARIABLE_PREFIX;
	const char **names = all_names(), *found = NULL;
	if (only)
		cli_config_variable(only, &none, prefix);
	near[0] = 0;
	for (char **v = environ; names && *v && !found; v++) {
		size_t len = strcspn(*v, "=");
		if (text_starts(*v, prefix) && !is_known(*v, len, names))
			found = *v;
	}
	if (found) {
		char name[120];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(found, "="), found);
		const char *meant = nearest_name(name, names);
		snprintf(near, 120, "%s", meant ? meant : "");
	}
	free(names);
	return found;
}
