/* hallmark: is this release what its publisher made, what is this fork, can we run it under our
 * rules and prove what happened? Parses the command line by the table in commands.c, runs one
 * command, prints the error, exits with the status of product terms: 0 ok, 1 error, 2 usage, 3
 * verification failed, 4 denied, 5 not found, 6 conflict, 7 unavailable. */
#include "base/build.h"
#include "base/text.h"
#include "cli/config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_SECONDS 30
#define WAIT_MOST 86400

const struct cli_option cli_global[] = {
	{ "json", NULL, "one JSON document on stdout" },
	{ "quiet", NULL, "no progress, no remarks" },
	{ "no-input", NULL, "never ask" },
	{ "yes", NULL, "do not ask for confirmation" },
	{ "help", NULL, "this text" },
	{ "clock-ok", NULL, "take a clock that is over a day ahead of the log" },
	{ "home", "DIR", "state folder (default: $HALLMARK_HOME, else $XDG_DATA_HOME/hallmark)" },
	{ "wait", "SECONDS",
	  "how long to wait for another process that writes to the state folder (default: 30)" },
	{ "passphrase-file", "FILE", "passphrase of the key (or in $HALLMARK_PASSPHRASE)" },
	{ "config", "FILE", "configuration, instead of the files that are looked for" },
};
const size_t cli_global_count = sizeof cli_global / sizeof *cli_global;

/* noun: its verbs alone; NULL: all commands. */
static void print_overview(FILE *to, const char *noun)
{
	fprintf(to,
		"hallmark %s: publish verified releases, audit forks, serve under a policy, prove it\n\n"
		"usage: hallmark %s VERB [operands] [options]\n\n",
		BUILD_VERSION, noun ? noun : "NOUN");
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *k = &cli_commands[i];
		if (noun && strcmp(noun, k->noun) != 0)
			continue;
		fprintf(to, "  %-9s%-10s%-16s%s\n", k->noun, k->verb ? k->verb : "", k->operands,
			k->summary);
	}
	fprintf(to, "\n`hallmark %s VERB --help` shows options and examples.\n",
		noun ? noun : "NOUN");
}

static void print_help(const struct cli_command *k)
{
	printf("usage: hallmark %s%s%s", k->noun, k->verb ? " " : "", k->verb ? k->verb : "");
	if (!k->run) {
		puts("\n\nnot available in this version");
		return;
	}
	printf(" %s [options]\n\n%s\n\n", k->operands, k->summary);
	for (size_t i = 0; i < CLI_OPTIONS_MAX && k->option[i].name; i++)
		printf("  --%-14s %-10s %s\n", k->option[i].name,
		       k->option[i].value ? k->option[i].value : "", k->option[i].help);
	for (size_t i = 0; i < cli_global_count; i++)
		printf("  --%-14s %-10s %s\n", cli_global[i].name,
		       cli_global[i].value ? cli_global[i].value : "", cli_global[i].help);
	if (k->run == cmd_fork_audit)
		cmd_fork_kinds();
	printf("\nexamples:\n  %s\n  %s\n", k->example[0], k->example[1]);
}

static bool is_named(const char *noun, const char *verb, int argc, char **argv)
{
	return strcmp(noun, argv[0]) == 0 && (!verb || (argc > 1 && strcmp(verb, argv[1]) == 0));
}

/* Find the command that the first words name, built or not, and return how many words those are; 0:
 * none. A noun with verbs of its own ("serve stop") goes before the bare noun. */
static int find_command(struct cli *c, int argc, char **argv)
{
	for (int words = 2; words > 0; words--) {
		for (size_t i = 0; i < cli_command_count; i++) {
			const struct cli_command *k = &cli_commands[i];
			if ((k->verb ? 2 : 1) == words && is_named(k->noun, k->verb, argc, argv)) {
				c->command = k;
				return words;
			}
		}
		for (size_t i = 0; i < cli_later_count; i++) {
			const struct cli_later *k = &cli_later[i];
			if ((k->verb ? 2 : 1) == words && is_named(k->noun, k->verb, argc, argv)) {
				c->later = (struct cli_command){ .noun = k->noun, .verb = k->verb };
				c->command = &c->later;
				return words;
			}
		}
	}
	return 0;
}

static bool known_noun(const char *noun)
{
	bool known = false;
	for (size_t i = 0; i < cli_command_count; i++)
		known |= strcmp(cli_commands[i].noun, noun) == 0;
	for (size_t i = 0; i < cli_later_count; i++)
		known |= strcmp(cli_later[i].noun, noun) == 0;
	return known;
}

static int take_wait(struct cli *c, const char *value)
{
	uint64_t seconds;
	if (text_parse_u64(value, strlen(value), &seconds) < 0 || seconds > WAIT_MOST)
		return err_set(&c->err, ERR_USAGE, "--wait %s: expected seconds, 0 to %d", value,
			       WAIT_MOST);
	c->wait_s = (unsigned)seconds;
	return 0;
}

int cli_global_set(struct cli *c, size_t i, const char *value)
{
	bool *const flags[] = {
		&c->json, &c->quiet, &c->no_input, &c->yes, &c->help, &c->clock_ok
	};
	if (i < sizeof flags / sizeof *flags)
		*flags[i] = true;
	else if (strcmp(cli_global[i].name, "home") == 0)
		c->home = value;
	else if (strcmp(cli_global[i].name, "wait") == 0)
		return take_wait(c, value);
	else if (strcmp(cli_global[i].name, "config") == 0)
		c->config_file = value;
	else
		c->passphrase_file = value;
	return 0;
}

/* --no-FLAG: what configuration switches on. */
static bool switch_off(struct cli *c, const char *flag)
{
	const struct cli_option *o = c->command->option;
	for (size_t i = 0; i < CLI_OPTIONS_MAX && o[i].name; i++)
		if (!o[i].value && strcmp(o[i].name, flag) == 0) {
			c->value[i] = NULL;
			return c->off[i] = true;
		}
	return false;
}

/* One --option; *next is the following word, consumed when the option takes a value. Returns words
 * consumed. */
static int take_option(struct cli *c, const char *word, const char *next)
{
	size_t len = strcspn(word, "=");
	const char *inline_value = word[len] == '=' ? word + len + 1 : NULL;
	for (size_t pass = 0; pass < 2; pass++) {
		const struct cli_option *list = pass ? cli_global : c->command->option;
		size_t count = pass ? cli_global_count : CLI_OPTIONS_MAX;
		for (size_t i = 0; i < count && list[i].name; i++) {
			if (strlen(list[i].name) != len || strncmp(list[i].name, word, len) != 0)
				continue;
			if (!list[i].value && inline_value)
				return err_set(&c->err, ERR_USAGE, "--%s takes no value",
					       list[i].name);
			if (list[i].value && !inline_value && !next)
				return err_set(&c->err, ERR_USAGE, "--%s needs a value: %s",
					       list[i].name, list[i].value);
			const char *value =
				list[i].value ? (inline_value ? inline_value : next) : "";
			if (pass)
				TRY(cli_global_set(c, i, value));
			else
				c->value[i] = value;
			c->given |= pass ? 1u << i : 0;
			return list[i].value && !inline_value ? 2 : 1;
		}
	}
	if (text_starts(word, "no-") && !inline_value && switch_off(c, word + 3))
		return 1;
	return err_set(&c->err, ERR_USAGE, "unknown option --%.*s: see `hallmark %s --help`",
		       (int)len, word, c->name);
}

static int parse(struct cli *c, int argc, char **argv)
{
	bool options = true;
	for (int i = 0; i < argc;) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
			i++;
		} else if (options && text_starts(argv[i], "--")) {
			int used = take_option(c, argv[i] + 2, i + 1 < argc ? argv[i + 1] : NULL);
			TRY(used);
			i += used;
		} else if (c->operands < CLI_OPERANDS_MAX) {
			c->operand[c->operands++] = argv[i++];
		} else {
			return err_set(&c->err, ERR_USAGE, "too many operands: %s", argv[i]);
		}
	}
	return 0;
}

/* A value that is refused and does not stand on the command line is looked for elsewhere. */
static void say_where(struct cli *c)
{
	const struct cli_option *o = c->command->option;
	const char *text = c->err.text;
	if (!text_starts(text, "--"))
		return;
	size_t len = strcspn(text + 2, " :");
	for (size_t i = 0; i < CLI_OPTIONS_MAX && o[i].name; i++)
		if (strlen(o[i].name) == len && memcmp(o[i].name, text + 2, len) == 0)
			cli_config_say_from(&c->err, &c->from[i]);
}

static int run(struct cli *c)
{
	const struct cli_command *k = c->command;
	if (c->help) {
		print_help(k);
		return 0;
	}
	if (!k->run)
		return err_set(&c->err, ERR_UNSUPPORTED, "not available in this version: %s",
			       c->name);
	int rc = cli_config_read(c, &c->config_err);
	if (rc == 0)
		rc = cli_config_apply(c);
	else
		c->err = c->config_err;
	if (rc < 0 && k->run != cmd_doctor) /* who says what is wrong */
		return rc;
	rc = k->run(c);
	if (rc == ERR_USAGE)
		say_where(c);
	return rc;
}

static int start(struct cli *c, int argc, char **argv)
{
	if (argc < 1 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "help") == 0) {
		print_overview(stdout, NULL);
		return argc < 1 ? err_set(&c->err, ERR_USAGE,
					  "nothing to do: give a noun and a verb")
				: 0;
	}
	if (strcmp(argv[0], "--version") == 0) {
		printf("hallmark %s\n%s\n", BUILD_VERSION, build_id());
		return 0;
	}
	int used = find_command(c, argc, argv);
	if (used == 0 && known_noun(argv[0]) && argc > 1 && strcmp(argv[1], "--help") == 0) {
		print_overview(stdout, argv[0]);
		return 0;
	}
	if (used == 0)
		return err_set(&c->err, ERR_USAGE,
			       known_noun(argv[0]) ? "unknown verb for %s: see `hallmark %s --help`"
						   : "unknown noun %s: see `hallmark --help`",
			       argv[0], argv[0]);
	snprintf(c->name, sizeof c->name, "%s%s%s", c->command->noun, c->command->verb ? " " : "",
		 c->command->verb ? c->command->verb : "");
	TRY(parse(c, argc - used, argv + used));
	return run(c);
}

int main(int argc, char **argv)
{
	struct cli c = { .env = env_system(), .wait_s = WAIT_SECONDS };
	signal(SIGPIPE, SIG_IGN);
	int rc = start(&c, argc - 1, argv + 1);
	if (rc == 0 && fflush(stdout) != 0 && errno != EPIPE)
		rc = err_set(&c.err, ERR_IO, "write to stdout: %s", strerror(errno));
	if (rc < 0)
		fprintf(stderr, "hallmark: %s\n", c.err.text[0] ? c.err.text : err_name(rc));
	cli_config_close(&c);
	explicit_bzero(c.passphrase, sizeof c.passphrase);
	return err_exit_status(rc);
}
