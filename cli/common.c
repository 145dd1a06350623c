/* What the commands share: options, the state folder, printing. */
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *cli_value(const struct cli *c, const char *name)
{
	for (size_t i = 0; i < CLI_OPTIONS_MAX && c->command->option[i].name; i++)
		if (strcmp(c->command->option[i].name, name) == 0)
			return c->value[i];
	return NULL;
}

bool cli_has(const struct cli *c, const char *name) { return cli_value(c, name) != NULL; }

static int usage(struct cli *c, const char *what)
{
	const struct cli_command *k = c->command;
	return err_set(&c->err, ERR_USAGE, "%s: usage: hallmark %s%s%s %s [options]%s%s", what,
		       k->noun, k->verb ? " " : "", k->verb ? k->verb : "", k->operands,
		       k->example[0] ? ", for example: " : "", k->example[0] ? k->example[0] : "");
}

int cli_need(struct cli *c, const char *name, const char **out)
{
	char what[80];
	*out = cli_value(c, name);
	if (*out && **out)
		return 0;
	snprintf(what, sizeof what, "--%s is required", name);
	return usage(c, what);
}

int cli_operands(struct cli *c, int least, int most)
{
	if (c->operands < least)
		return usage(c, "an operand is missing");
	return c->operands > most ? usage(c, "too many operands") : 0;
}

int cli_number(struct cli *c, const char *name, uint64_t *out)
{
	const char *v = cli_value(c, name);
	if (v && text_parse_u64(v, strlen(v), out) < 0)
		return err_set(&c->err, ERR_USAGE, "--%s %s: expected a number", name, v);
	return 0;
}

int cli_signed(struct cli *c, const char *name, int64_t *out)
{
	const char *v = cli_value(c, name);
	if (v && text_parse_i64(v, strlen(v), out) < 0)
		return err_set(&c->err, ERR_USAGE, "--%s %s: expected an integer of 64 bits", name,
			       v);
	return 0;
}

int cli_size(struct cli *c, const char *name, uint64_t *out)
{
	static const char units[] = "KMG";
	const char *v = cli_value(c, name);
	size_t len = v ? strlen(v) : 0;
	const char *unit = len ? strchr(units, v[len - 1]) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	uint64_t n = 0;
	if (!v)
		return 0;
	if (text_parse_u64(v, len - (unit ? 1 : 0), &n) < 0 || n == 0 || n > UINT64_MAX >> shift)
		return err_set(&c->err, ERR_USAGE,
			       "--%s %s: expected a size such as 4G, 512M or 1000000", name, v);
	*out = n << shift;
	return 0;
}

/* A passphrase comes by file or environment, never as an argument. */
static int read_passphrase(struct cli *c, const char **out)
{
	const char *given = env_variable(&c->env, "HALLMARK_PASSPHRASE");
	struct buf b = { 0 };
	*out = NULL;
	if (c->passphrase_file) {
		int rc =
			file_read_secret(c->passphrase_file, sizeof c->passphrase - 1, &b, &c->err);
		if (rc < 0)
			buf_wipe(&b);
		TRY(rc);
		memcpy(c->passphrase, b.bytes, b.len);
		c->passphrase[b.len] = 0;
		c->passphrase[strcspn(c->passphrase, "\r\n")] = 0;
		buf_wipe(&b);
	} else if (given) {
		if (strlen(given) >= sizeof c->passphrase)
			return err_set(&c->err, ERR_USAGE,
				       "HALLMARK_PASSPHRASE is longer than %zu bytes",
				       sizeof c->passphrase - 1);
		strcpy(c->passphrase, given);
	} else {
		return 0;
	}
	if (!c->passphrase[0])
		return err_set(&c->err, ERR_USAGE, "the passphrase is empty");
	*out = c->passphrase;
	return 0;
}

struct flow_options cli_flow_options(const struct cli *c, bool read_only)
{
	return (struct flow_options){ .home = c->home,
				      .env = &c->env,
				      .read_only = read_only,
				      .quiet = c->quiet,
				      .command = c->name,
				      .wait_s = c->wait_s,
				      .origin = c->origin,
				      .clock_ok = c->clock_ok,
				      .alone = c->alone,
				      .many = c->many };
}

int cli_open(struct cli *c, bool read_only, struct flow **out)
{
	struct flow_options o = cli_flow_options(c, read_only);
	*out = NULL;
	TRY(read_passphrase(c, &o.passphrase));
	TRY(flow_open(out, &o, &c->err));
	const json_t *r = flow_recovered(*out), *list;
	const char *key;
	size_t i;
	json_t *item;
	json_object_foreach((json_t *)(uintptr_t)r, key, item) {
		list = item;
		for (i = 0; i < json_array_size(list) && !c->quiet; i++)
			fprintf(stderr, "hallmark: recovery %s the publication of %s\n", key,
				json_string_value(json_array_get(list, i)));
	}
	return 0;
}

struct flow *cli_open_if_there(struct cli *c)
{
	struct err before = c->err; /* that of this opening is nobody's */
	struct flow *f = NULL;
	if (cli_open(c, true, &f) < 0) {
		f = NULL;
		c->err = before;
	}
	return f;
}

int cli_line(struct cli *c, struct buf *out)
{
	int byte;
	buf_clear(out);
	while ((byte = getc(stdin)) != EOF && byte != '\n') {
		if (out->len == LIMIT_REQUEST_BYTES)
			return err_set(&c->err, ERR_INPUT, "a line of stdin is longer than 8 MiB");
		buf_add_byte(out, (unsigned char)byte);
	}
	TRY(buf_done(out, &c->err));
	if (ferror(stdin))
		return err_errno(&c->err, "read stdin");
	if (out->len && !text_utf8_valid(out->bytes, out->len))
		return err_set(&c->err, ERR_INPUT, "a line of stdin is not UTF-8");
	return byte == '\n' || out->len > 0;
}

int cli_write(struct cli *c, const void *bytes, size_t len)
{
	if (fwrite(bytes, 1, len, stdout) == len || errno == EPIPE)
		return 0;
	return err_set(&c->err, ERR_IO, "write to stdout: %s", strerror(errno));
}

/* ---- text form of a report: a line for each member; members of members are dotted, lists indented
 * ---- */

/* A name or a card may hold what would command the terminal. */
static void add_printable(struct buf *out, const char *text, size_t len)
{
	char *to = buf_reserve(out, 4 * len + 1);
	if (to)
		out->len += text_escape(to, 4 * len + 1, text, len, false);
}

static void scalar(struct buf *out, const json_t *v)
{
	if (json_is_string(v) && json_string_length(v) > LIMIT_NAME_BYTES &&
	    strchr(json_string_value(v), '\n')) /* a document, no name */
		buf_printf(out, "(%zu bytes: see --json)", json_string_length(v));
	else if (json_is_string(v))
		add_printable(out, json_string_value(v), json_string_length(v));
	else if (json_is_real(v))
		buf_printf(out, "%.6g", json_real_value(v));
	else if (json_is_integer(v))
		buf_printf(out, "%lld", (long long)json_integer_value(v));
	else
		buf_add_text(out, json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "-");
}

/* An item of a list on one line: its scalar members in order. */
static void one_line(struct buf *out, json_t *o)
{
	const char *key;
	json_t *v;
	bool first = true;
	if (!json_is_object(o)) {
		scalar(out, o);
		return;
	}
	json_object_foreach(o, key, v) {
		if (json_is_object(v) || json_is_array(v) || json_is_null(v))
			continue;
		buf_printf(out, "%s%s ", first ? "" : "  ", key);
		scalar(out, v);
		first = false;
	}
}

/* Beside a list that holds only the first of many, LIST_count says how many there are (a plural
 * loses its s). */
static const json_t *count_of(const json_t *report, const char *list, char name[200])
{
	size_t len = strlen(list);
	if (len > 0 && list[len - 1] == 's')
		len--;
	snprintf(name, 200, "%.*s_count", (int)len, list);
	return json_object_get(report, name);
}

static bool is_count(const json_t *report, const char *key)
{
	char name[200];
	const char *list;
	json_t *v;
	json_object_foreach((json_t *)report, list, v)
		if (json_is_array(v) && count_of(report, list, name) && strcmp(name, key) == 0)
			return true;
	return false;
}

static void list_form(struct buf *out, const char *name, const json_t *count, json_t *list)
{
	json_t *item;
	size_t i;
	buf_printf(out, "%-24s %lld\n", name,
		   count ? (long long)json_integer_value(count) : (long long)json_array_size(list));
	json_array_foreach(list, i, item) {
		buf_add_text(out, "  ");
		one_line(out, item);
		buf_add_text(out, "\n");
	}
}

/* Reports nest at most three deep; what is deeper is for --json. */
static void text_form(struct buf *out, const char *prefix, json_t *report, int depth)
{
	char name[200], count[200];
	const char *key;
	json_t *v;
	json_object_foreach(report, key, v) {
		snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_is_object(v) && depth < 3) {
			text_form(out, name, v, depth + 1);
		} else if (json_is_array(v)) {
			list_form(out, name, count_of(report, key, count), v);
		} else if (!is_count(report, key)) {
			buf_printf(out, "%-24s ", name);
			scalar(out, v);
			buf_add_text(out, "\n");
		}
	}
}

void cli_notes(const struct cli *c, const char *lines)
{
	for (size_t n; !c->quiet && *lines; lines += n + (lines[n] == '\n')) {
		n = strcspn(lines, "\n");
		fprintf(stderr, "hallmark: %.*s\n", (int)n, lines);
	}
}

int cli_print(struct cli *c, json_t *report)
{
	struct buf out = { 0 };
	int rc = 0;
	if (c->json) {
		json_object_set_new(report, "schema", json_integer(1));
		rc = json_write(report, 0, &out, &c->err);
		buf_add_text(&out, "\n");
	} else {
		text_form(&out, "", report, 0);
	}
	if (rc == 0)
		rc = buf_done(&out, &c->err);
	if (rc == 0)
		rc = cli_write(c, out.bytes, out.len);
	buf_free(&out);
	json_decref(report);
	return rc;
}

int cli_vkey(struct cli *c, const char *given, char *out, size_t room)
{
	struct buf b = { 0 };
	if (!file_exists(given)) {
		if (!strchr(given, '+'))
			return err_set(&c->err, ERR_USAGE,
				       "%s is neither a file nor a verifier key (NAME+ID+KEY)",
				       given);
		buf_add_text(&b, given);
	} else {
		TRY(file_read(given, KIB(4), &b, &c->err));
	}
	int rc = buf_done(&b, &c->err);
	if (rc == 0 && b.len == 0)
		rc = err_set(&c->err, ERR_INPUT, "%s holds no verifier key", given);
	size_t len = rc == 0 ? strcspn(b.bytes, "\r\n") : 0;
	if (rc == 0 && len >= room)
		rc = err_set(&c->err, ERR_INPUT, "the verifier key is too long");
	if (rc == 0)
		snprintf(out, room, "%.*s", (int)len, b.bytes);
	buf_free(&b);
	return rc;
}
