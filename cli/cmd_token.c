/* hallmark token */
#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"
#include "flow/access.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

/* Who acts, where --as does not say: the user that this process runs as. */
static const char *actor_name(const struct cli *c, char room[80])
{
	const char *given = cli_value(c, "as");
	if (given && *given)
		return given;
	const struct passwd *user = getpwuid(geteuid());
	snprintf(room, 80, "uid:%u%s%.60s", (unsigned)geteuid(), user ? " " : "",
		 user ? user->pw_name : "");
	return room;
}

/* An option's text into out[room]; absent leaves "", which stands for all, so that an empty one,
 * such as a script's variable that was not set, is refused. */
static int take_text(struct cli *c, const char *name, char *out, size_t room)
{
	const char *v = cli_value(c, name);
	out[0] = 0;
	if (v && !*v)
		return err_set(&c->err, ERR_USAGE,
			       "--%s is empty: leave it out if that is what you mean", name);
	if (v && strlen(v) >= room)
		return err_set(&c->err, ERR_USAGE, "--%s: longer than %zu bytes", name, room - 1);
	if (v)
		strcpy(out, v);
	return 0;
}

/* 0 is what no limit is kept as, and nobody who writes it means that. */
static int take_limit(struct cli *c, const char *name, uint64_t *out)
{
	TRY(cli_number(c, name, out));
	if (cli_value(c, name) && *out == 0)
		return err_set(&c->err, ERR_USAGE,
			       "--%s 0: expected at least 1; without the option there is no limit",
			       name);
	return 0;
}

static int take_limits(struct cli *c, struct access_limits *l)
{
	TRY(take_limit(c, "requests-per-minute", &l->requests_per_minute));
	TRY(take_limit(c, "tokens-per-minute", &l->tokens_per_minute));
	TRY(take_limit(c, "tokens-per-day", &l->tokens_per_day));
	TRY(take_limit(c, "budget", &l->budget));
	return take_limit(c, "streams", &l->streams);
}

static int take_time(struct cli *c, const char *name, int64_t *out)
{
	const char *v = cli_value(c, name);
	if (v && text_time_parse(v, out) < 0)
		return err_set(&c->err, ERR_USAGE,
			       "--%s %.40s: expected a date such as 2027-12-31, or "
			       "2027-12-31T12:00:00Z",
			       name, v);
	return 0;
}

static int take_grant(struct cli *c, struct access_grant *g)
{
	const char *needed;
	TRY(cli_need(c, "name", &needed));
	TRY(cli_need(c, "role", &needed));
	TRY(take_text(c, "name", g->name, sizeof g->name));
	TRY(take_text(c, "role", g->roles, sizeof g->roles));
	TRY(take_text(c, "scopes", g->scopes, sizeof g->scopes));
	TRY(take_text(c, "models", g->models, sizeof g->models));
	TRY(take_text(c, "policy", g->policy, sizeof g->policy));
	TRY(take_limits(c, &g->limits));
	g->names_subjects = cli_has(c, "names-subjects");
	TRY(take_time(c, "expires", &g->expires_us));
	if (g->expires_us && g->expires_us <= env_now_us(&c->env))
		return err_set(&c->err, ERR_USAGE, "--expires %.40s: that is over already",
			       cli_value(c, "expires"));
	return access_grant_check(g, &c->err);
}

/* The file that is to hold the secret, made before the token: -1 where none was asked for. */
static int make_file(struct cli *c, const char *path)
{
	if (!path)
		return -1;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return err_set(&c->err, ERR_CONFLICT, "%s is there already", path);
	return fd < 0 ? err_errno(&c->err, "make %s", path) : fd;
}

static int write_secret(struct cli *c, int fd, const char *path, const char *secret)
{
	char line[ACCESS_SECRET_ROOM + 1];
	size_t len = (size_t)snprintf(line, sizeof line, "%s\n", secret);
	int rc = file_write_all(fd, line, len, path, &c->err);
	explicit_bzero(line, sizeof line);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_errno(&c->err, "write %s", path);
	return rc;
}

/* Where the secret cannot be handed over, nobody has it: the token goes again. */
static int make_token(struct cli *c, struct flow *f, struct access_grant *g, int fd,
		      json_t **report)
{
	char secret[ACCESS_SECRET_ROOM], room[80];
	struct flow_actor by = { actor_name(c, room), cli_value(c, "reason"),
				 cli_value(c, "subject") };
	const char *path = cli_value(c, "out");
	TRY(flow_token_new(f, g, &by, secret, report, &c->err));
	int rc = 0;
	if (path)
		rc = write_secret(c, fd, path, secret);
	else
		json_object_set_new(*report, "secret", json_string(secret));
	explicit_bzero(secret, sizeof secret);
	if (rc < 0) {
		struct flow_actor again = { .name = by.name,
					    .reason = "its secret could not be written" };
		json_t *ignored = NULL;
		struct err unsaid;
		(void)!flow_token_revoke(f, g->id, &again, &ignored, &unsaid);
		json_decref(ignored);
		json_decref(*report);
		*report = NULL;
	}
	return rc;
}

int cmd_token_new(struct cli *c)
{
	struct access_grant g = { 0 };
	struct flow *f;
	json_t *report = NULL;
	const char *path = cli_value(c, "out");
	TRY(cli_operands(c, 0, 0));
	TRY(take_grant(c, &g));
	TRY(cli_open(c, false, &f));
	int fd = make_file(c, path);
	int rc = path && fd < 0 ? fd : make_token(c, f, &g, fd, &report);
	flow_close(f);
	if (fd >= 0)
		close(fd);
	if (rc < 0 && fd >= 0)
		unlink(path);
	TRY(rc);
	if (!path && !c->quiet)
		fputs("hallmark: the secret is shown once, and kept nowhere\n", stderr);
	return cli_print(c, report);
}

int cmd_token_list(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_open(c, true, &f));
	int rc = flow_token_list(f, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

int cmd_token_revoke(struct cli *c)
{
	char room[80];
	struct flow_actor by = { .name = actor_name(c, room) };
	struct flow *f;
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_need(c, "reason", &by.reason));
	TRY(cli_open(c, false, &f));
	int rc = flow_token_revoke(f, c->operand[0], &by, &report, &c->err);
	flow_close(f);
	return rc < 0 ? rc : cli_print(c, report);
}

/* RFC 4180. */
static void csv_field(struct buf *out, const json_t *v, bool last)
{
	const char *text = json_string_value(v);
	if (!text)
		buf_printf(out, "%lld", (long long)json_integer_value(v));
	else if (!strpbrk(text, ",\"\r\n"))
		buf_add_text(out, text);
	else {
		buf_add_byte(out, '"');
		for (; *text; text++) {
			if (*text == '"')
				buf_add_byte(out, '"');
			buf_add_byte(out, (unsigned char)*text);
		}
		buf_add_byte(out, '"');
	}
	buf_add_text(out, last ? "\r\n" : ",");
}

static int print_csv(struct cli *c, const json_t *report)
{
	static const char *const columns[] = { "hour",          "token",
					       "name",          "model",
					       "requests",      "prompt_tokens",
					       "cached_tokens", "completion_tokens",
					       "refused" };
	enum { COLUMNS = sizeof columns / sizeof *columns };
	struct buf out = { 0 };
	size_t i;
	json_t *row;
	for (size_t k = 0; k < COLUMNS; k++)
		buf_printf(&out, "%s%s", columns[k], k + 1 < COLUMNS ? "," : "\r\n");
	json_array_foreach(json_object_get(report, "usage"), i, row)
		for (size_t k = 0; k < COLUMNS; k++)
			csv_field(&out, json_object_get(row, columns[k]), k + 1 == COLUMNS);
	int rc = buf_done(&out, &c->err);
	if (rc == 0)
		rc = cli_write(c, out.bytes, out.len);
	buf_free(&out);
	return rc;
}

int cmd_token_usage(struct cli *c)
{
	struct flow *f;
	json_t *report = NULL;
	int64_t from = 0, to = INT64_MAX / 2;
	TRY(cli_operands(c, 0, 0));
	TRY(take_time(c, "from", &from));
	TRY(take_time(c, "to", &to));
	TRY(cli_open(c, true, &f));
	int rc = flow_token_usage(f, from, to, &report, &c->err);
	flow_close(f);
	if (rc < 0 || !cli_has(c, "csv"))
		return rc < 0 ? rc : cli_print(c, report);
	rc = print_csv(c, report);
	json_decref(report);
	return rc;
}
