/* hallmark serve */
#include "base/limits.h"
#include "cli/notify.h"
#include "flow/access.h"
#include "server/server.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define FILES_WANTED 20000

/* For the signal handlers alone. */
static struct server *volatile running;
static volatile sig_atomic_t ended, reload_early;

/* The second is meant: what runs is not waited for. */
static void on_end(int number)
{
	struct server *s = running;
	(void)number;
	if (s && ended)
		server_stop_now(s);
	else if (s)
		server_stop(s);
	ended = 1;
}

/* While models are loaded it is remembered. */
static void on_reload(int number)
{
	struct server *s = running;
	(void)number;
	if (s)
		server_reload(s);
	else
		reload_early = 1;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler };
	sigaction(number, &act, NULL);
}

static void say_what(const struct serve_host *h, const struct server *server)
{
	const struct serve_service *s;
	for (size_t i = 0; (s = serve_host_at(h, i)); i++)
		fprintf(stderr, "%s%s", i ? ", " : "hallmark: serving ", serve_service_model(s));
	for (unsigned i = 0; server_url(server, i); i++)
		fprintf(stderr, "\nlistening on %s", server_url(server, i));
	fputc('\n', stderr);
}

/* Where it listens, out of --listen and --admin. The texts are the caller's. */
struct where {
	char listen[2048], admin[LIMIT_PATH_BYTES + 16];
};

static int add_listener(struct cli *c, struct server_options *o, const char *address, bool admin)
{
	if (o->listeners == SERVER_LISTENERS_MAX)
		return err_set(&c->err, ERR_USAGE, "--listen: at most %d addresses",
			       SERVER_LISTENERS_MAX - 1);
	o->listener[o->listeners++] = (struct server_listener){ address, admin };
	return 0;
}

static int read_where(struct cli *c, const struct flow *f, struct where *w,
		      struct server_options *o)
{
	const char *listen = cli_value(c, "listen"), *admin = cli_value(c, "admin");
	int n = snprintf(w->listen, sizeof w->listen, "%s", listen ? listen : "127.0.0.1:8080");
	if (n < 0 || (size_t)n >= sizeof w->listen)
		return err_set(&c->err, ERR_USAGE, "--listen: too long");
	for (char *at = w->listen; at;) {
		char *one = strsep(&at, ",");
		TRY(add_listener(c, o, one, false));
	}
	if (admin && strcmp(admin, "none") == 0)
		return 0;
	n = admin ? snprintf(w->admin, sizeof w->admin, "unix:%s", admin)
		  : snprintf(w->admin, sizeof w->admin, "unix:%s/admin.sock", flow_home(f));
	if (n < 0 || (size_t)n >= sizeof w->admin)
		return err_set(&c->err, ERR_USAGE, "--admin: the path is too long");
	return add_listener(c, o, w->admin, true);
}

/* Connections are descriptors: as many as this process may have. */
static void raise_files(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= FILES_WANTED)
		return;
	files.rlim_cur = files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

/* Who may scrape, and where the line about a request goes: by default where a person sees it. */
static int read_watch(struct cli *c, struct server_options *o)
{
	static const char *const who[] = { [SERVER_METRICS_TOKENS] = "tokens",
					   [SERVER_METRICS_OPEN] = "open",
					   [SERVER_METRICS_ADMIN] = "admin" };
	const char *metrics = cli_value(c, "metrics"), *lines = cli_value(c, "request-log");
	size_t i = 0;
	while (metrics && i < sizeof who / sizeof *who && strcmp(metrics, who[i]) != 0)
		i++;
	if (i == sizeof who / sizeof *who)
		return err_set(&c->err, ERR_USAGE,
			       "--metrics %.40s: expected tokens, open or admin", metrics);
	o->metrics = (enum server_metrics)i;
	o->request_log = lines ? lines : c->quiet ? NULL : "stderr";
	o->line_addresses = cli_has(c, "log-addresses");
	return 0;
}

static int read_auth(struct cli *c, enum server_auth *out)
{
	const char *v = cli_value(c, "auth");
	*out = !v                       ? SERVER_AUTH_USUAL
	       : strcmp(v, "none") == 0 ? SERVER_AUTH_NONE
					: SERVER_AUTH_TOKENS;
	if (!v || *out == SERVER_AUTH_NONE || strcmp(v, "tokens") == 0)
		return 0;
	return err_set(&c->err, ERR_USAGE, "--auth %.40s: expected tokens or none", v);
}

/* A number of at most `most`. */
static int bounded(struct cli *c, const char *name, uint64_t most, uint32_t *out)
{
	uint64_t n = 0;
	TRY(cli_number(c, name, &n));
	if (n > most)
		return err_set(&c->err, ERR_USAGE, "--%s %llu: at most %llu", name,
			       (unsigned long long)n, (unsigned long long)most);
	*out = (uint32_t)n;
	return 0;
}

static int read_drain(struct cli *c, struct server_options *o)
{
	uint32_t seconds = 0;
	TRY(bounded(c, "drain-timeout", 86400, &seconds));
	o->watch = cli_has(c, "watch");
	o->drain_ms = seconds * 1000;
	if (cli_has(c, "drain-timeout") && !seconds)
		o->drain_ms = 1; /* 0 is the default's */
	return 0;
}

static int serve_with(struct cli *c, struct flow *f, struct serve_host *h, struct access *access)
{
	struct server_options o = { .env = &c->env,
				    .cors = cli_value(c, "cors"),
				    .alive = cli_notify_alive,
				    .reloading = cli_notify_reloading,
				    .trusted_proxies = cli_value(c, "trusted-proxy"),
				    .tls = { cli_value(c, "tls-cert"), cli_value(c, "tls-key"),
					     cli_value(c, "client-ca"),
					     cli_value(c, "client-crl") },
				    .subject_header = cli_value(c, "subject-header") };
	struct cli_notify notify;
	struct where where;
	struct server *s;
	o.access = access;
	TRY(read_auth(c, &o.auth));
	raise_files();
	TRY(read_where(c, f, &where, &o));
	TRY(read_watch(c, &o));
	TRY(read_drain(c, &o));
	cli_notify_open(&notify, c, h);
	o.alive_ctx = &notify;
	TRY(server_open(&s, h, &o, &c->err));
	running = s;
	handle(SIGINT, on_end);
	handle(SIGTERM, on_end);
	if (reload_early)
		server_reload(s);
	say_what(h, s);
	int rc = server_run(s, &c->err);
	running = NULL;
	server_close(s);
	return rc;
}

/* Closed before the state folder is: what was used is written down. */
static int serve(struct cli *c, struct flow *f, struct serve_host *h)
{
	struct access_options o = { .token_file = cli_value(c, "token-file") };
	struct access *access;
	TRY(cli_number(c, "address-requests-per-minute", &o.address_requests_per_minute));
	TRY(cli_number(c, "person-requests-per-minute", &o.person_requests_per_minute));
	TRY(flow_access_open(f, &o, &access, &c->err));
	int rc = serve_with(c, f, h, access);
	flow_hurry(f); /* a service manager kills what does not end */
	access_close(access);
	return rc;
}

const char *cli_device(struct cli *c)
{
	return cli_has(c, "device") ? cli_value(c, "device") : "auto";
}

int cli_compute(struct cli *c, struct serve_options *out)
{
	struct serve_compute *o = &out->compute;
	TRY(bounded(c, "threads", 256, &o->threads));
	TRY(bounded(c, "speculation", 16, &o->speculation));
	TRY(cli_size(c, "cache-size", &o->cache_bytes));
	TRY(cli_size(c, "memory", &o->memory_max));
	o->device = cli_device(c);
	o->weights = cli_value(c, "weights");
	o->cache = cli_value(c, "cache");
	o->numerics = cli_value(c, "numerics");
	return 0;
}

/* The server holds the right to write for months; other commands write through it. */
static void open_door(struct cli *c, struct flow *f)
{
	struct err why = { 0 };
	if (flow_door_open(f, &why) < 0 && !c->quiet)
		fprintf(stderr, "hallmark: other commands cannot write while this serves: %s\n",
			why.text);
}

static int serve_models(struct cli *c, const struct serve_options *o, struct flow *f,
			struct serve_host *h)
{
	TRY(cli_models_add(c, o, h));
	if (!cli_has(c, "policy") && !c->quiet)
		fputs("hallmark: no policy given: nothing is filtered, and every record says so\n",
		      stderr);
	return serve(c, f, h);
}

int cmd_serve(struct cli *c)
{
	struct serve_options o = { .key = cli_value(c, "key"),
				   .sampling = cli_value(c, "sampling"),
				   .cache_share = cli_value(c, "cache-share"),
				   .unsigned_ok = cli_has(c, "unsigned") };
	struct flow *f;
	struct serve_host *h = NULL;
	TRY(cli_operands(c, 1, CLI_OPERANDS_MAX));
	TRY(cli_compute(c, &o));
	TRY(bounded(c, "context", UINT32_MAX, &o.context_max));
	TRY(bounded(c, "request-timeout", 86400, &o.timeout_s));
	c->alone = c->many = true;
	handle(SIGHUP, on_reload);
	TRY(cli_open(c, false, &f));
	open_door(c, f);
	int rc = serve_host_open(&h, f, &c->err);
	if (rc == 0)
		rc = serve_models(c, &o, f, h);
	serve_host_close(h);
	flow_close(f);
	return rc;
}
