/* hallmark serve stop, pause, resume, drain, reload, status: asked of the server at the operator's
 * socket in its state folder. */
#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "flow/health.h"
#include "net/net.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define REPLY_BYTES_MAX MIB(4)

/* The operator's socket: --admin, or that of the state folder. */
static int socket_of(struct cli *c, char dir[LIMIT_PATH_BYTES], const char **name)
{
	const char *given = cli_value(c, "admin");
	char *slash;
	*name = "admin.sock";
	if (!given)
		return flow_home_find(&c->env, c->home, dir, &c->err);
	if (strlen(given) >= LIMIT_PATH_BYTES)
		return err_set(&c->err, ERR_USAGE, "--admin: the path is too long");
	strcpy(dir, given);
	slash = strrchr(dir, '/');
	*name = slash ? given + (slash - dir) + 1 : given;
	if (slash)
		*(slash == dir ? slash + 1 : slash) = 0;
	else
		strcpy(dir, ".");
	return 0;
}

static int connect_to(struct cli *c, int *fd)
{
	char dir[LIMIT_PATH_BYTES];
	const char *name;
	struct err why = { 0 };
	TRY(socket_of(c, dir, &name));
	int rc = net_local_connect(dir, name, fd, &why);
	if (rc == ERR_NOTFOUND)
		return err_set(&c->err, ERR_UNAVAILABLE,
			       "no server answers at %.300s/%s: is `hallmark serve` running?", dir,
			       name);
	return rc < 0 ? err_set(&c->err, rc, "%s", why.text) : 0;
}

/* A drain may take as long as answers do. */
static void wait_for(int fd, short what)
{
	struct pollfd p = { .fd = fd, .events = what };
	(void)poll(&p, 1, -1);
}

/* The whole answer, to its end: the server closes. */
static int exchange(struct cli *c, int fd, const struct buf *request, struct buf *out)
{
	struct net net = net_system();
	for (size_t at = 0; at < request->len;) {
		ssize_t n =
			net.send(net.ctx, fd, request->bytes + at, request->len - at, MSG_NOSIGNAL);
		if (n == -EAGAIN)
			wait_for(fd, POLLOUT);
		else if (n < 0 && n != -EINTR)
			return err_set(&c->err, ERR_IO, "ask the server: %s", strerror((int)-n));
		at += n > 0 ? (size_t)n : 0;
	}
	for (;;) {
		char *to = buf_reserve(out, KIB(16));
		if (!to || out->len > REPLY_BYTES_MAX)
			return err_set(&c->err, ERR_NOMEM, "the server's answer is too long");
		ssize_t n = net.recv(net.ctx, fd, to, KIB(16), 0);
		if (n == -EAGAIN)
			wait_for(fd, POLLIN);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n < 0)
			return err_set(&c->err, ERR_IO, "hear the server: %s", strerror((int)-n));
		if (n == 0)
			return buf_done(out, &c->err);
		out->len += (size_t)n;
	}
}

/* The document of an answer; what is none of ours is an error. */
static int read_answer(struct cli *c, struct buf *b, int *status, json_t **out)
{
	static const char version[] = "HTTP/1.1 ";
	buf_add_byte(b, 0);
	TRY(buf_done(b, &c->err));
	const char *blank = strstr(b->bytes, "\r\n\r\n");
	uint64_t code = 0;
	if (!text_starts(b->bytes, version) || !blank ||
	    text_parse_u64(b->bytes + sizeof version - 1, 3, &code) < 0)
		return err_set(&c->err, ERR_IO,
			       "the server ended without an answer: see whether it still runs");
	*status = (int)code;
	const char *body = blank + 4;
	return json_read(out, body, strlen(body), REPLY_BYTES_MAX, LIMIT_JSON_DEPTH, &c->err);
}

static int ask(struct cli *c, const char *method, const char *path, json_t *order, int *status,
	       json_t **out)
{
	struct buf body = { 0 }, request = { 0 }, answer = { 0 };
	int fd = -1, rc = order ? json_write(order, 0, &body, &c->err) : 0;
	if (rc == 0)
		rc = connect_to(c, &fd);
	if (rc == 0) {
		buf_printf(&request, "%s %s HTTP/1.1\r\nHost: hallmark\r\nConnection: close\r\n",
			   method, path);
		if (order)
			buf_printf(&request,
				   "Content-Type: application/json\r\nContent-Length: %zu\r\n",
				   body.len);
		buf_add_text(&request, "\r\n");
		buf_add_buf(&request, &body);
		rc = buf_done(&request, &c->err);
	}
	if (rc == 0)
		rc = exchange(c, fd, &request, &answer);
	if (rc == 0)
		rc = read_answer(c, &answer, status, out);
	if (fd >= 0) {
		struct net net = net_system();
		net.close(net.ctx, fd);
	}
	buf_free(&body);
	buf_free(&request);
	buf_free(&answer);
	return rc;
}

/* An answer that is an error, in words. */
static int refused(struct cli *c, int status, const json_t *answer)
{
	const char *said =
		json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
	int code = status == 404   ? ERR_NOTFOUND
		   : status == 403 ? ERR_DENIED
		   : status == 503 ? ERR_UNAVAILABLE
		   : status == 400 ? ERR_USAGE
				   : ERR_IO;
	return err_set(&c->err, code, "the server refused: %s", said ? said : "without a reason");
}

/* Who asks, and why. */
static int make_order(struct cli *c, bool needs_reason, json_t **out)
{
	struct obj o = { 0 };
	const char *reason = cli_value(c, "reason"), *as = cli_value(c, "as"),
		   *model = cli_value(c, "model");
	uint64_t wait_s = 0;
	if (needs_reason)
		TRY(cli_need(c, "reason", &reason));
	TRY(cli_number(c, "wait-answers", &wait_s));
	if (reason)
		obj_text(&o, "reason", reason);
	if (as)
		obj_text(&o, "as", as);
	if (model)
		obj_text(&o, "model", model);
	if (cli_has(c, "wait-answers"))
		obj_count(&o, "wait_s", wait_s);
	return obj_done(&o, out, &c->err);
}

static int operate(struct cli *c, const char *path)
{
	json_t *order = NULL, *report = NULL;
	int status = 0;
	TRY(cli_operands(c, 0, 0));
	TRY(make_order(c, true, &order));
	int rc = ask(c, "POST", path, order, &status, &report);
	if (rc == 0 && status != 200)
		rc = refused(c, status, report);
	json_decref(order);
	if (rc < 0) {
		json_decref(report);
		return rc;
	}
	const char *error = json_string_value(json_object_get(report, "record_error"));
	if (error)
		rc = err_set(&c->err, ERR_IO, "done, but it could not be recorded: %s", error);
	int printed = cli_print(c, report);
	return rc < 0 ? rc : printed;
}

int cmd_serve_stop(struct cli *c) { return operate(c, "/admin/stop"); }
int cmd_serve_pause(struct cli *c) { return operate(c, "/admin/pause"); }
int cmd_serve_resume(struct cli *c) { return operate(c, "/admin/resume"); }
int cmd_serve_drain(struct cli *c) { return operate(c, "/admin/drain"); }

/* Takes the reference. */
static int print_answer(struct cli *c, int rc, int status, json_t *report)
{
	if (rc == 0 && status != 200)
		rc = refused(c, status, report);
	if (rc == 0)
		return cli_print(c, report);
	json_decref(report);
	return rc;
}

int cmd_serve_reload(struct cli *c)
{
	json_t *order = NULL, *report = NULL;
	int status = 0;
	TRY(cli_operands(c, 0, 0));
	TRY(make_order(c, false, &order));
	int rc = ask(c, "POST", "/admin/reload", order, &status, &report);
	json_decref(order);
	if (rc == 0 && status == 409) {
		const char *why = json_string_value(json_object_get(report, "reason"));
		bool denied = json_is_true(json_object_get(report, "denied"));
		rc = err_set(&c->err, denied ? ERR_DENIED : ERR_INPUT, "nothing has changed: %s",
			     why ? why : "without a reason");
		(void)!cli_print(c, report);
		return rc;
	}
	return print_answer(c, rc, status, report);
}

int cmd_serve_status(struct cli *c)
{
	json_t *report = NULL;
	int status = 0;
	TRY(cli_operands(c, 0, 0));
	int rc = ask(c, "GET", "/admin/status", NULL, &status, &report);
	return print_answer(c, rc, status, report);
}
