/* hallmark config */
#include "base/nearest.h"
#include "base/text.h"
#include "cli/config.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 1024

static const char *const sources[] = { "default",    "system file", "user file",   "project file",
				       "named file", "environment", "command line" };

/* One effective value. */
struct row {
	const struct cli_command *command; /* NULL: of all */
	const struct cli_option *option;
	struct cli_setting setting;
	char key[120];
};

struct showing {
	struct cli *c;
	struct row *row;
	size_t count;
};

/* Of its help, as in "compute threads (default: one for each core)", into out; or "". */
static void default_words(const struct cli_option *o, char out[120])
{
	const char *at = strstr(o->help, "(default");
	out[0] = 0;
	if (!at)
		return;
	at += strlen("(default");
	at += strspn(at, ": ");
	int depth = 1;
	size_t len = 0;
	while (at[len] && (depth += (at[len] == '(') - (at[len] == ')')) > 0)
		len++;
	snprintf(out, 120, "%.*s", (int)len, at);
}

/* Whether the key is asked for: itself, or its table. */
static bool is_asked(const char *key, const char *asked)
{
	size_t len = asked ? strlen(asked) : 0;
	return !asked || (strncmp(key, asked, len) == 0 && (key[len] == 0 || key[len] == '.'));
}

/* What the command line gives to an option of all commands. */
static const char *global_given(const struct cli *c, const char *name)
{
	char seconds[16];
	snprintf(seconds, sizeof seconds, "%u", c->wait_s);
	return strcmp(name, "home") == 0              ? c->home
	       : strcmp(name, "passphrase-file") == 0 ? c->passphrase_file
	       : strcmp(name, "wait") == 0 ? arena_copy(&c->config->arena, seconds, strlen(seconds))
					   : "";
}

static int add_row(struct showing *s, const struct cli_command *k, const struct cli_option *o,
		   bool on_line)
{
	struct row *r = &s->row[s->count];
	struct cli *c = s->c;
	*r = (struct row){ .command = k, .option = o };
	cli_config_key(k, o, r->key);
	if (!is_asked(r->key, c->operand[0]) || s->count + 1 == KEYS_MAX)
		return 0;
	TRY(cli_config_find(c, k, o, &r->setting, &c->err));
	if (on_line) {
		r->setting.origin = (struct cli_origin){ .source = CLI_COMMAND_LINE };
		r->setting.value = global_given(c, o->name);
	}
	s->count++;
	return 0;
}

static int add_rows(struct showing *s)
{
	for (size_t i = 0; i < cli_global_count; i++)
		if (cli_config_holds(&cli_global[i]))
			TRY(add_row(s, NULL, &cli_global[i], s->c->given & 1u << i));
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *k = &cli_commands[i];
		for (size_t n = 0; n < CLI_OPTIONS_MAX && k->option[n].name; n++)
			TRY(add_row(s, k, &k->option[n], false));
		if (*k->operands)
			TRY(add_row(s, k, &cli_operands_option, false));
	}
	return 0;
}

/* ---- printing ---- */

/* As a file has it. */
static void add_value(struct buf *out, const struct row *r)
{
	const char *v = r->setting.value;
	enum cli_form form = cli_option_form(r->option);
	double number;
	if (form == CLI_FLAG)
		buf_add_text(out, v ? "true" : "false");
	else if (form != CLI_TEXT && text_parse_double(v, &number) == 0)
		buf_add_text(out, v);
	else
		text_json_string(out, v, strlen(v)); /* a basic string of TOML too */
}

static bool is_said(const struct row *r) { return r->setting.origin.source != CLI_DEFAULT; }

static void add_origin(struct buf *out, const struct cli_origin *from)
{
	if (from->line)
		buf_printf(out, "%s:%d", from->name, from->line);
	else if (from->name)
		buf_printf(out, "$%s", from->name);
	else
		buf_add_text(out, sources[from->source]);
}

/* A configuration file that says the same. */
static void print_file(const struct showing *s, struct buf *out)
{
	const struct cli_command *table = NULL;
	for (size_t i = 0; i < s->count; i++) {
		const struct row *r = &s->row[i];
		const struct cli_command *k = r->command;
		if (!is_said(r))
			continue;
		if (k != table)
			buf_printf(out, "%s[%s%s%s]\n", out->len ? "\n" : "", k->noun,
				   k->verb ? "." : "", k->verb ? k->verb : "");
		table = k;
		buf_printf(out, "%s = ", r->option->name);
		add_value(out, r);
		buf_add_text(out, "\n");
	}
}

static void print_origins(const struct showing *s, struct buf *out)
{
	size_t wide = 0;
	for (size_t i = 0; i < s->count; i++)
		wide = strlen(s->row[i].key) > wide ? strlen(s->row[i].key) : wide;
	for (size_t i = 0; i < s->count; i++) {
		const struct row *r = &s->row[i];
		char words[120];
		default_words(r->option, words);
		buf_printf(out, "%-*s  ", (int)wide, r->key);
		if (is_said(r))
			add_value(out, r);
		else
			buf_printf(out, "(%s)", *words ? words : r->option->value ? "none" : "off");
		buf_add_text(out, "  ");
		add_origin(out, &r->setting.origin);
		buf_add_text(out, "\n");
	}
}

static void add_json_value(struct obj *o, const struct row *r)
{
	int64_t whole;
	double number;
	const char *v = r->setting.value;
	if (!is_said(r))
		obj_null(o, "value");
	else if (cli_option_form(r->option) == CLI_FLAG)
		obj_bool(o, "value", v != NULL);
	else if (cli_option_form(r->option) != CLI_TEXT &&
		 text_parse_i64(v, strlen(v), &whole) == 0)
		obj_int(o, "value", whole);
	else if (cli_option_form(r->option) == CLI_REAL && text_parse_double(v, &number) == 0)
		obj_real(o, "value", number);
	else
		obj_add(o, "value", json_text_lossy(v));
}

static void add_json_row(struct arr *list, const struct row *r)
{
	const struct cli_origin *from = &r->setting.origin;
	char words[120], variable[120];
	struct obj o = { 0 };
	default_words(r->option, words);
	cli_config_variable(r->command, r->option, variable);
	obj_text(&o, "key", r->key);
	obj_text(&o, "variable", variable);
	add_json_value(&o, r);
	obj_text(&o, "origin", sources[from->source]);
	if (from->line) {
		obj_add(&o, "file", json_text_lossy(from->name));
		obj_int(&o, "line", from->line);
	}
	if (!is_said(r))
		obj_text(&o, "default", *words ? words : r->option->value ? NULL : "off");
	arr_object(list, &o);
}

/* {settings: [...], files: [{path, source, read, left_out}]} */
static int print_json(const struct showing *s, bool all)
{
	struct cli *c = s->c;
	struct obj o = { 0 };
	struct arr list = { 0 }, files = { 0 };
	json_t *report = NULL;
	for (size_t i = 0; i < s->count; i++)
		if (all || is_said(&s->row[i]))
			add_json_row(&list, &s->row[i]);
	for (size_t i = 0; i < c->config->files; i++) {
		const struct cli_config_file *f = &c->config->file[i];
		struct obj one = { 0 };
		obj_add(&one, "path", json_text_lossy(f->path));
		obj_text(&one, "source", sources[f->source]);
		obj_bool(&one, "read", f->root != NULL);
		obj_text(&one, "left_out", f->left_out);
		arr_object(&files, &one);
	}
	obj_array(&o, "settings", &list);
	obj_array(&o, "files", &files);
	TRY(obj_done(&o, &report, &c->err));
	return cli_print(c, report);
}

static int no_such_key(struct cli *c)
{
	static char key[KEYS_MAX][120];
	const char *known[KEYS_MAX + 1];
	size_t n = 0;
	for (size_t i = 0; i < cli_command_count; i++)
		for (size_t o = 0; o < CLI_OPTIONS_MAX && cli_commands[i].option[o].name; o++)
			if (n < KEYS_MAX) {
				cli_config_key(&cli_commands[i], &cli_commands[i].option[o],
					       key[n]);
				known[n] = key[n];
				n++;
			}
	known[n] = NULL;
	const char *near = nearest_name(c->operand[0], known);
	return err_set(&c->err, ERR_NOTFOUND, "no option has the key %.60s%s%s%s", c->operand[0],
		       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

int cmd_config_show(struct cli *c)
{
	struct showing s = { .c = c };
	struct buf out = { 0 };
	TRY(cli_operands(c, 0, 1));
	s.row = calloc(KEYS_MAX, sizeof *s.row);
	if (!s.row)
		return err_set(&c->err, ERR_NOMEM, "out of memory for the configuration");
	int rc = add_rows(&s);
	if (rc == 0 && s.count == 0)
		rc = no_such_key(c);
	if (rc == 0 && c->json) {
		rc = print_json(&s, cli_has(c, "origin"));
	} else if (rc == 0) {
		(cli_has(c, "origin") ? print_origins : print_file)(&s, &out);
		rc = buf_done(&out, &c->err);
		if (rc == 0)
			rc = cli_write(c, out.bytes, out.len);
	}
	buf_free(&out);
	free(s.row);
	return rc;
}
