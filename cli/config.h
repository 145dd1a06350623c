/* Private to cli/: what options take from configuration.
 *
 * A table for each command, [serve] or [release.create], holds its options under their names on the
 * command line; `operands` stands for its operands; what every command takes (home, wait, ...)
 * stands before the first table. The first of these that says something wins:
 *
 *   flag, environment, project file, user file, system file, the option's default
 *
 *   environment   HALLMARK_SERVE_LISTEN for [serve] listen, HALLMARK_WAIT for wait; "" says nothing
 *   project file  ./hallmark.toml, with few keys: see `harmless` in config.c
 *   user file     $XDG_CONFIG_HOME/hallmark/config.toml, else ~/.config/hallmark/config.toml
 *   system file   /etc/hallmark/config.toml
 *
 * --config FILE (or HALLMARK_CONFIG) stands for all three files, and may hold every key. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "base/limits.h"
#include "base/toml.h"
#include "cli/cli.h"

/* Files that are looked for, the first first. */
#define CONFIG_FILES 3

struct cli_config_file {
	enum cli_source source;
	char path[LIMIT_PATH_BYTES];
	const struct toml *root; /* NULL: not there, or left out */
	const char *left_out;    /* why a file that is there is not read; NULL */
};

struct cli_config {
	struct arena arena;
	struct cli_config_file file[CONFIG_FILES];
	size_t files;
};

/* What configuration says of one option. */
struct cli_setting {
	const char *value; /* "" for a flag that is on; NULL: nothing, or a flag that is off */
	struct cli_origin origin;
};

/* How the value of an option is written. */
enum cli_form { CLI_FLAG, CLI_INTEGER, CLI_REAL, CLI_SIZE, CLI_TEXT };
enum cli_form cli_option_form(const struct cli_option *o);

/* Find, read and check the files; c->config is set, with *e too. A mistake is ERR_INPUT with file,
 * line and the nearest name. */
int cli_config_read(struct cli *c, struct err *e) MUST_USE;
void cli_config_close(struct cli *c);
/* What environment and files say of an option of k, or of all commands where k is NULL. */
int cli_config_find(const struct cli *c, const struct cli_command *k, const struct cli_option *o,
		    struct cli_setting *out, struct err *e) MUST_USE;
/* A value of a file that was checked, as the command line would have it: in the arena; NULL for a
 * flag that is off. */
int cli_config_text(const struct cli *c, const struct cli_config_file *f,
		    const struct cli_option *o, const struct toml *v, const char **out,
		    struct err *e) MUST_USE;
/* Whether configuration may hold an option of all commands: a confirmation is given anew with each
 * command. */
bool cli_config_holds(const struct cli_option *global);
/* "serve.listen" into out. */
void cli_config_key(const struct cli_command *k, const struct cli_option *o, char out[120]);
/* "HALLMARK_SERVE_LISTEN" into out. */
void cli_config_variable(const struct cli_command *k, const struct cli_option *o, char out[120]);
/* The option that stands for a command's operands. */
extern const struct cli_option cli_operands_option;
/* What the command line left out, for the command that is to run. */
int cli_config_apply(struct cli *c) MUST_USE;
/* Say behind a sentence about a value where that is from, unless it is the command line. */
void cli_config_say_from(struct err *e, const struct cli_origin *from);
/* A variable of the environment that begins as one of ours does and is none; NULL. near: what was
 * meant, or NULL. only: of this command alone; NULL: of all. */
const char *cli_config_stray(const struct cli_command *only, char near[120]);

/* An option of all commands (main.c): set it as the command line does. */
int cli_global_set(struct cli *c, size_t i, const char *value) MUST_USE;
extern const struct cli_option cli_global[];
extern const size_t cli_global_count;

#endif
