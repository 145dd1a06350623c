/* Command line: `hallmark NOUN VERB [operands] [options]`. main.c is a table; one cmd_*.c per noun.
 * Data goes to stdout, everything else to stderr. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "flow/flow.h"
#include "flow/release.h"
#include "lab/lab.h"
#include "serve/host.h"

#include <stdio.h>

struct cli_option {
	const char *name;  /* without the dashes */
	const char *value; /* what it takes, in capitals; NULL: a flag */
	const char *help;
};

#define CLI_OPTIONS_MAX 48
#define CLI_OPERANDS_MAX 16

struct cli;

struct cli_command {
	const char *noun, *verb; /* verb NULL: the noun stands alone */
	const char *operands;    /* "DIR", "A B", "[REF]", or "" */
	const char *summary;
	struct cli_option option[CLI_OPTIONS_MAX];
	const char *example[2];
	int (*run)(struct cli *c); /* NULL: of commands_later.c */
};

/* A command that is not built: its words alone. */
struct cli_later {
	const char *noun, *verb; /* verb NULL: the noun stands alone */
};

/* Where the value of an option comes from, the strongest last. */
enum cli_source {
	CLI_DEFAULT,
	CLI_SYSTEM_FILE,
	CLI_USER_FILE,
	CLI_PROJECT_FILE,
	CLI_NAMED_FILE, /* --config */
	CLI_ENVIRONMENT,
	CLI_COMMAND_LINE,
};
struct cli_origin {
	enum cli_source source;
	const char *name; /* of the file, or of the variable; NULL */
	int line;
};
struct cli_config;

/* One invocation. */
struct cli {
	const struct cli_command *command;
	struct cli_command later; /* what command points to when it is not built */
	const char *operand[CLI_OPERANDS_MAX];
	int operands;
	const char *value[CLI_OPTIONS_MAX]; /* by the command's option; "" for a given flag, NULL
					       when absent: the effective value, config.h */
	struct cli_origin from[CLI_OPTIONS_MAX];
	bool off[CLI_OPTIONS_MAX]; /* --no-FLAG */
	struct cli_config *config;
	const char *config_file; /* --config */
	unsigned given;          /* options of all commands on the command line, a bit each */
	struct err config_err;   /* why configuration could not be read */
	bool json, quiet, no_input, yes, help, clock_ok;
	bool alone, many; /* writes itself; many records at once: flow_options */
	const char *home, *passphrase_file;
	const char *origin; /* of `registry init`, or NULL */
	unsigned wait_s;
	char name[40]; /* of the command: "release create" */
	char passphrase[1024];
	struct env env;
	struct err err;
};

/* Value of an option, from the command line or configuration; NULL when nobody gives it. */
const char *cli_value(const struct cli *c, const char *name);
bool cli_has(const struct cli *c, const char *name);
/* A required option or operand: ERR_USAGE with the command's usage line when absent. */
int cli_need(struct cli *c, const char *name, const char **out) MUST_USE;
int cli_operands(struct cli *c, int least, int most) MUST_USE;
/* A decimal option value; absent leaves *out. */
int cli_number(struct cli *c, const char *name, uint64_t *out) MUST_USE;
int cli_signed(struct cli *c, const char *name, int64_t *out) MUST_USE;
/* Bytes, with K, M or G for powers of 1024; absent leaves *out. */
int cli_size(struct cli *c, const char *name, uint64_t *out) MUST_USE;
/* On what, by --device (cmd_serve.c). */
const char *cli_device(struct cli *c);
/* How the engine is to compute, from the options of `serve` and `run` (cmd_serve.c). */
int cli_compute(struct cli *c, struct serve_options *out) MUST_USE;
/* Load the models that the operands and options of `serve` name, with `all` for what they share
 * (serve_models.c). */
int cli_models_add(struct cli *c, const struct serve_options *all, struct serve_host *h) MUST_USE;

/* How to open the state folder, as the options say; without a passphrase. */
struct flow_options cli_flow_options(const struct cli *c, bool read_only);
/* Open it so. */
int cli_open(struct cli *c, bool read_only, struct flow **out) MUST_USE;
/* For reading, where the command can do without: NULL when there is none. */
struct flow *cli_open_if_there(struct cli *c);
/* One line of stdin without its newline, replacing out: 1, or 0 at the end. ERR_INPUT over 8 MiB
 * or not UTF-8. */
int cli_line(struct cli *c, struct buf *out) MUST_USE;

/* Say each of these lines on stderr, unless --quiet. */
void cli_notes(const struct cli *c, const char *lines);
/* Print a report: one JSON document with --json, text otherwise. Takes the reference. Write errors
 * are ERR_IO. */
int cli_print(struct cli *c, json_t *report) MUST_USE;
/* Print the report of flow_audit_verify (taken); ERR_VERIFY, or ERR_UNSUPPORTED where a part of the
 * log is of a later version. */
int cli_log_verdict(struct cli *c, json_t *report) MUST_USE;
int cli_write(struct cli *c, const void *bytes, size_t len) MUST_USE;

/* A verifier key given as text or as the name of a file that holds one. */
int cli_vkey(struct cli *c, const char *given, char *out, size_t room) MUST_USE;

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
extern const struct cli_later cli_later[];
extern const size_t cli_later_count;

int cmd_key_new(struct cli *c);
int cmd_key_list(struct cli *c);
int cmd_key_show(struct cli *c);
int cmd_key_export(struct cli *c);
int cmd_key_import(struct cli *c);
int cmd_release_create(struct cli *c);
int cmd_release_verify(struct cli *c);
int cmd_release_show(struct cli *c);
int cmd_release_unpack(struct cli *c);
int cmd_release_sign(struct cli *c);
int cmd_registry_init(struct cli *c);
int cmd_registry_list(struct cli *c);
int cmd_registry_show(struct cli *c);
int cmd_registry_alias(struct cli *c);
int cmd_registry_affected(struct cli *c);
int cmd_registry_rebuild(struct cli *c);
int cmd_registry_export(struct cli *c);
int cmd_fork_audit(struct cli *c);
void cmd_fork_kinds(void); /* of findings, a line each, on stdout */
int cmd_fork_compare(struct cli *c);
int cmd_fork_tree(struct cli *c);
int cmd_fork_calibrate(struct cli *c);
int cmd_policy_check(struct cli *c);
int cmd_policy_test(struct cli *c);
int cmd_policy_compile(struct cli *c);
int cmd_policy_scan(struct cli *c);
int cmd_policy_packs(struct cli *c);
int cmd_policy_detectors(struct cli *c);
int cmd_serve(struct cli *c);
int cmd_serve_stop(struct cli *c);
int cmd_serve_pause(struct cli *c);
int cmd_serve_resume(struct cli *c);
int cmd_serve_drain(struct cli *c);
int cmd_serve_reload(struct cli *c);
int cmd_serve_status(struct cli *c);
int cmd_run(struct cli *c);
int cmd_token_new(struct cli *c);
int cmd_token_list(struct cli *c);
int cmd_token_revoke(struct cli *c);
int cmd_token_usage(struct cli *c);
int cmd_audit_list(struct cli *c);
int cmd_audit_show(struct cli *c);
int cmd_audit_verify(struct cli *c);
int cmd_audit_proof(struct cli *c);
int cmd_audit_replay(struct cli *c);
int cmd_audit_erase(struct cli *c);
int cmd_audit_rewrap(struct cli *c);
int cmd_selftest(struct cli *c);
int cmd_bench(struct cli *c);
int cmd_bench_serve(struct cli *c);
int cmd_config_show(struct cli *c);
int cmd_doctor(struct cli *c);

#endif
