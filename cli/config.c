/* Configuration files and variables of the environment: see config.h.
 *
 * A project file lies where its user works, which may be a folder that was downloaded: the user
 * owns such a file and never wrote it. So it may say only how something is computed or printed
 * (`harmless`). What widens trust (unsigned, key, home), decides (policy, fail-on, seed, operands),
 * names what is served or signed, writes files, opens a port or sends data elsewhere is refused
 * there by name, with the two ways in which the user can mean it. A key that is added later is
 * refused until it stands in the list. */
#include "cli/config.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES KIB(256)
#define SYSTEM_FILE "/etc/hallmark/config.toml"
#define PROJECT_FILE "hallmark.toml"
#define KNOWN_MAX (CLI_OPTIONS_MAX + 64)

static const char *const harmless[] = {
	"cache",           "cache-size", "context",     "device",      "dtype",   "layers",
	"max-tokens",      "memory",     "no-input",    "numerics",    "prompt",  "quiet",
	"request-timeout", "sampling",   "speculation", "temperature", "threads", "wait",
	"weights",
};

/* Given anew with each command, or naming the files themselves. */
static const char *const never[] = { "yes", "clock-ok", "help", "config" };

static const char *const secrets[] = { "passphrase", "password", "token", "secret", "api-key" };

const struct cli_option cli_operands_option = { "operands", "LIST", "what stands for operands" };

static bool among(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}
#define AMONG(list, name) among(list, sizeof(list) / sizeof *(list), name)

bool cli_config_holds(const struct cli_option *global) { return !AMONG(never, global->name); }

enum cli_form cli_option_form(const struct cli_option *o)
{
	static const struct {
		const char *value;
		enum cli_form form;
	} forms[] = { { "N", CLI_INTEGER },
		      { "SECONDS", CLI_INTEGER },
		      { "T", CLI_REAL },
		      { "RATE", CLI_REAL },
		      { "SIZE", CLI_SIZE } };
	if (!o->value)
		return CLI_FLAG;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (strcmp(forms[i].value, o->value) == 0)
			return forms[i].form;
	return CLI_TEXT;
}

/* ---- names ---- */

void cli_config_key(const struct cli_command *k, const struct cli_option *o, char out[120])
{
	snprintf(out, 120, "%s%s%s%s%s", k ? k->noun : "", k && k->verb ? "." : "",
		 k && k->verb ? k->verb : "", k ? "." : "", o->name);
}

void cli_config_variable(const struct cli_command *k, const struct cli_option *o, char out[120])
{
	char key[120];
	cli_config_key(k, o, key);
	snprintf(out, 120, "HALLMARK_%.110s", key);
	for (char *c = out; *c; c++)
		*c = *c == '.' || *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* Options of k, or of all commands. */
static const struct cli_option *option_at(const struct cli_command *k, size_t i)
{
	if (!k)
		return i < cli_global_count ? &cli_global[i] : NULL;
	return i < CLI_OPTIONS_MAX && k->option[i].name ? &k->option[i] : NULL;
}

static const struct cli_option *find_option(const struct cli_command *k, const char *name)
{
	const struct cli_option *o;
	for (size_t i = 0; (o = option_at(k, i)); i++)
		if (strcmp(o->name, name) == 0)
			return o;
	return k && *k->operands && strcmp(name, cli_operands_option.name) == 0
		       ? &cli_operands_option
		       : NULL;
}

/* ---- a value of a file ---- */

static const char *kind_name(const struct toml *v)
{
	static const char *const names[] = { "a string", "an integer", "a number", "true or false",
					     "a date",   "a date",     "a date",   "a time",
					     "a list",   "a table" };
	return names[v->kind];
}

/* A file or folder is meant from where the configuration lies, not from where a command runs. */
static bool is_path(const struct cli_option *o, const char *text, size_t len)
{
	static const char *const values[] = { "FILE", "DIR", "BUNDLE", "SOCKET", "FILE,.." };
	if (o->value && AMONG(values, o->value))
		return len > 0 && text[0] != '/' && !(len == 1 && *text == '-') &&
		       !(len == 4 && memcmp(text, "none", 4) == 0);
	return len > 1 && text[0] == '.' && (text[1] == '/' || (text[1] == '.' && text[2] == '/'));
}

static void add_item(struct buf *b, const struct cli_config_file *f, const struct cli_option *o,
		     const char *text, size_t len)
{
	const char *slash = strrchr(f->path, '/');
	const char *equals = o == &cli_operands_option ? memchr(text, '=', len) : NULL;
	size_t name = equals ? (size_t)(equals - text) + 1 : 0; /* NAME=REF */
	buf_add(b, text, name);
	text += name;
	len -= name;
	bool path = slash && is_path(o, text, len);
	size_t dot = path && len > 2 && text[0] == '.' && text[1] == '/' ? 2 : 0;
	if (path)
		buf_add(b, f->path, (size_t)(slash - f->path) + 1);
	buf_add(b, text + dot, len - dot);
}

/* One, or several with commas between them where the option takes several. */
static void add_text(struct buf *b, const struct cli_config_file *f, const struct cli_option *o,
		     const char *text, size_t len)
{
	bool several = o == &cli_operands_option || strchr(o->value, ',');
	const char *comma;
	while (several && (comma = memchr(text, ',', len))) {
		size_t n = (size_t)(comma - text) + 1;
		add_item(b, f, o, text, n - 1);
		buf_add_byte(b, ',');
		text += n;
		len -= n;
	}
	add_item(b, f, o, text, len);
}

static int mistake(struct err *e, const struct cli_config_file *f, const struct toml *v,
		   const char *what)
{
	return err_set(e, ERR_INPUT, "%s:%d: %s", f->path, v->line, what);
}

static bool fits(enum cli_form form, const struct toml *v)
{
	const struct toml *i;
	switch (form) {
	case CLI_FLAG:
		return v->kind == TOML_BOOL;
	case CLI_INTEGER:
		return v->kind == TOML_INTEGER;
	case CLI_REAL:
		return v->kind == TOML_INTEGER || v->kind == TOML_FLOAT;
	case CLI_SIZE:
		return v->kind == TOML_INTEGER || v->kind == TOML_STRING;
	case CLI_TEXT:
		if (v->kind != TOML_ARRAY)
			return v->kind == TOML_STRING && !memchr(v->text, 0, v->text_len);
		for (i = v->first; i; i = i->next)
			if (i->kind != TOML_STRING || i->text_len == 0 ||
			    memchr(i->text, ',', i->text_len) || memchr(i->text, 0, i->text_len))
				return false;
		return true;
	}
	return false;
}

static int check_value(const struct cli_config_file *f, const struct cli_option *o,
		       const struct toml *v, struct err *e)
{
	static const char *const wanted[] = { "true or false", "an integer", "a number",
					      "a size such as \"4G\" or 1000000",
					      "a string, or a list of strings without commas" };
	char what[300];
	if (fits(cli_option_form(o), v))
		return 0;
	snprintf(what, sizeof what, "%s: expected %s, found %s", o->name,
		 wanted[cli_option_form(o)], kind_name(v));
	return mistake(e, f, v, what);
}

/* As the command line would have it; NULL for a flag that is off. */
int cli_config_text(const struct cli *c, const struct cli_config_file *f,
		    const struct cli_option *o, const struct toml *v, const char **out,
		    struct err *e)
{
	struct buf b = { 0 };
	*out = NULL;
	if (v->kind == TOML_BOOL && !v->boolean)
		return 0;
	if (v->kind == TOML_INTEGER)
		buf_printf(&b, "%lld", (long long)v->integer);
	else if (v->kind == TOML_FLOAT)
		buf_printf(&b, "%.17g", v->number);
	else if (v->kind == TOML_STRING)
		add_text(&b, f, o, v->text, v->text_len);
	for (const struct toml *i = v->kind == TOML_ARRAY ? v->first : NULL; i; i = i->next) {
		add_text(&b, f, o, i->text, i->text_len);
		buf_add_text(&b, i->next ? "," : "");
	}
	int rc = buf_done(&b, e);
	if (rc == 0) {
		*out = arena_copy(&c->config->arena, b.bytes ? b.bytes : "", b.len);
		rc = *out ? 0 : err_set(e, ERR_NOMEM, "out of memory for the configuration");
	}
	buf_free(&b);
	return rc;
}

/* ---- checking a file ---- */

static bool is_table_of(const char *noun, const char *verb)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (strcmp(cli_commands[i].noun, noun) == 0 &&
		    (!verb || (cli_commands[i].verb && strcmp(cli_commands[i].verb, verb) == 0)))
			return true;
	return false;
}

static const struct cli_command *find_named(const char *noun, const char *verb)
{
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *k = &cli_commands[i];
		if (strcmp(k->noun, noun) == 0 &&
		    (verb ? k->verb && strcmp(k->verb, verb) == 0 : !k->verb))
			return k;
	}
	return NULL;
}

/* The names that may stand in a table: options of k, and verbs of the noun, or nouns. */
static void known_names(const char *noun, const struct cli_command *k,
			const char *known[KNOWN_MAX + 1])
{
	const struct cli_option *o;
	size_t n = 0;
	for (size_t i = 0; (k || !noun) && (o = option_at(k, i)); i++)
		if (k || cli_config_holds(o))
			known[n++] = o->name;
	if (k && *k->operands)
		known[n++] = cli_operands_option.name;
	for (size_t i = 0; i < cli_command_count && n < KNOWN_MAX; i++) {
		const struct cli_command *each = &cli_commands[i];
		bool again = i && strcmp(each->noun, cli_commands[i - 1].noun) == 0;
		if (noun && each->verb && strcmp(each->noun, noun) == 0 && (!k || !k->verb))
			known[n++] = each->verb;
		else if (!noun && !again)
			known[n++] = each->noun;
	}
	known[n] = NULL;
}

static int unknown_name(const struct cli_config_file *f, const struct toml *m, const char *noun,
			const struct cli_command *k, struct err *e)
{
	const char *known[KNOWN_MAX + 1];
	char what[400];
	if (AMONG(secrets, m->key))
		snprintf(what, sizeof what,
			 "%.60s: a secret is never a value here; name a file that holds it",
			 m->key);
	else if (!noun && AMONG(never, m->key))
		snprintf(what, sizeof what, "%.60s is given with a command, never by configuration",
			 m->key);
	else if (noun && find_option(NULL, m->key))
		snprintf(what, sizeof what,
			 "%.60s holds for all commands and belongs before the first table", m->key);
	else {
		known_names(noun, k, known);
		const char *near = nearest_name(m->key, known);
		snprintf(what, sizeof what, "unknown %s \"%.60s\"%s%s%s%s%s",
			 m->kind == TOML_TABLE ? "table" : "key", m->key, noun ? " in [" : "",
			 noun ? noun : "", noun ? "]" : "", near ? "; did you mean " : "",
			 near ? near : "");
		if (near)
			strncat(what, "?", sizeof what - strlen(what) - 1);
	}
	return mistake(e, f, m, what);
}

static int refused_here(const struct cli_config_file *f, const struct toml *m, struct err *e)
{
	char what[400];
	snprintf(what, sizeof what,
		 "%.60s is not taken from a project file, which may have come with a download: if "
		 "you wrote it, name it with --config, or put the key into your own file",
		 m->key);
	return mistake(e, f, m, what);
}

static int check_option(const struct cli_config_file *f, const struct toml *m,
			const struct cli_option *o, struct err *e)
{
	if (f->source == CLI_PROJECT_FILE && !AMONG(harmless, o->name))
		return refused_here(f, m, e);
	return check_value(f, o, m, e);
}

/* [noun] or [noun.verb]. */
static int check_table(const struct cli_config_file *f, const struct toml *t, const char *noun,
		       const char *verb, struct err *e)
{
	const struct cli_command *k = find_named(noun, verb);
	for (const struct toml *m = t->first; m; m = m->next) {
		const struct cli_option *o = k ? find_option(k, m->key) : NULL;
		if (m->kind == TOML_TABLE && !verb && is_table_of(noun, m->key))
			TRY(check_table(f, m, noun, m->key, e));
		else if (!o)
			return unknown_name(f, m, verb && k ? k->noun : noun, k, e);
		else
			TRY(check_option(f, m, o, e));
	}
	return 0;
}

static int check_file(const struct cli_config_file *f, struct err *e)
{
	for (const struct toml *m = f->root->first; m; m = m->next) {
		const struct cli_option *o = find_option(NULL, m->key);
		if (m->kind == TOML_TABLE && is_table_of(m->key, NULL))
			TRY(check_table(f, m, m->key, NULL, e));
		else if (!o || !cli_config_holds(o))
			return unknown_name(f, m, NULL, NULL, e);
		else
			TRY(check_option(f, m, o, e));
	}
	return 0;
}

/* ---- finding and reading files ---- */

/* Whose word a file is. A project file that is not the user's is left out, with a line; any other
 * that another could have written is an error. */
static int check_owner(struct cli_config_file *f, const struct stat *st, struct err *e)
{
	bool mine = st->st_uid == geteuid() || (st->st_uid == 0 && f->source != CLI_PROJECT_FILE);
	const char *why = !S_ISREG(st->st_mode)   ? "it is no regular file"
			  : st->st_mode & S_IWOTH ? "anybody may write to it (chmod o-w)"
			  : !mine && f->source != CLI_NAMED_FILE ? "it belongs to another user"
								 : NULL;
	f->left_out = f->source == CLI_PROJECT_FILE ? why : NULL;
	if (why && !f->left_out)
		return err_set(e, ERR_INPUT, "%s is not taken as configuration: %s", f->path, why);
	return 0;
}

static int read_whole(int fd, const char *path, struct buf *out, struct err *e)
{
	for (;;) {
		char *to = buf_reserve(out, KIB(16));
		ssize_t n = to ? read(fd, to, KIB(16)) : 0;
		if (n < 0)
			return err_errno(e, "read %s", path);
		out->len += (size_t)n;
		if (out->len > FILE_BYTES)
			return err_set(e, ERR_INPUT, "%s: larger than the limit of %zu bytes", path,
				       FILE_BYTES);
		if (n == 0)
			return buf_done(out, e);
	}
}

static int parse_file(struct cli *c, struct cli_config_file *f, const struct buf *text,
		      struct err *e)
{
	struct toml *root = NULL;
	/* Strings of a value point into the arena, which outlives the text. */
	int rc = toml_parse(text->bytes ? text->bytes : "", text->len, &c->config->arena, &root, e);
	if (rc < 0)
		return err_prefix(e, "%s", f->path);
	f->root = root;
	return check_file(f, e);
}

/* must: --config names it. */
static int read_file(struct cli *c, struct cli_config_file *f, bool must, struct err *e)
{
	int follow = f->source == CLI_PROJECT_FILE ? O_NOFOLLOW : 0;
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | follow);
	struct buf text = { 0 };
	struct stat st;
	if (fd < 0 && errno == ELOOP && follow)
		f->left_out = "it is a symbolic link";
	if (fd < 0 && !must && (errno == ENOENT || errno == ENOTDIR || f->left_out))
		return 0;
	/* Somebody else's home, as with sudo: not this user's to read, so nothing for them. */
	if (fd < 0 && !must && errno == EACCES && f->source == CLI_USER_FILE)
		return 0;
	if (fd < 0)
		return err_errno(e, "configuration %s", f->path);
	int rc = fstat(fd, &st) < 0 ? err_errno(e, "stat %s", f->path) : check_owner(f, &st, e);
	if (rc == 0 && !f->left_out)
		rc = read_whole(fd, f->path, &text, e);
	if (rc == 0 && !f->left_out)
		rc = parse_file(c, f, &text, e);
	close(fd);
	buf_free(&text);
	return rc;
}

/* Whether there is a user file; its path into out. */
static bool user_file(const struct cli *c, char out[LIMIT_PATH_BYTES])
{
	const char *base = env_variable(&c->env, "XDG_CONFIG_HOME");
	const char *home = env_variable(&c->env, "HOME");
	int n = 0;
	if (base && *base == '/') /* others are to be ignored: XDG Base Directory 0.8 */
		n = snprintf(out, LIMIT_PATH_BYTES, "%s/hallmark/config.toml", base);
	else if (home && *home == '/')
		n = snprintf(out, LIMIT_PATH_BYTES, "%s/.config/hallmark/config.toml", home);
	return n > 0 && n < LIMIT_PATH_BYTES;
}

static struct cli_config_file *add_file(struct cli_config *g, enum cli_source source,
					const char *path)
{
	struct cli_config_file *f = &g->file[g->files++];
	f->source = source;
	if (path)
		snprintf(f->path, sizeof f->path, "%s", path);
	return f;
}

int cli_config_read(struct cli *c, struct err *e)
{
	const char *named = c->config_file;
	struct cli_config *g = c->config = calloc(1, sizeof *g);
	char user[LIMIT_PATH_BYTES];
	if (!g)
		return err_set(e, ERR_NOMEM, "out of memory for the configuration");
	if (!named || !*named)
		named = env_variable(&c->env, "HALLMARK_CONFIG");
	if (named && *named)
		return read_file(c, add_file(g, CLI_NAMED_FILE, named), true, e);
	struct cli_config_file *project = add_file(g, CLI_PROJECT_FILE, PROJECT_FILE);
	TRY(read_file(c, project, false, e));
	if (project->left_out && !c->quiet)
		fprintf(stderr, "hallmark: ./%s is left out: %s\n", PROJECT_FILE,
			project->left_out);
	if (user_file(c, user))
		TRY(read_file(c, add_file(g, CLI_USER_FILE, user), false, e));
	return read_file(c, add_file(g, CLI_SYSTEM_FILE, SYSTEM_FILE), false, e);
}

void cli_config_close(struct cli *c)
{
	if (c->config)
		arena_free(&c->config->arena);
	free(c->config);
	c->config = NULL;
}
