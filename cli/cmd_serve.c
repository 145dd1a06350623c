/* hallmark serve */
#include "net/net.h"
#include "cli/cli.h"
#include "server/server.h"

#include <signal.h>
#include <string.h>

static struct server *volatile running; /* for the signal handler alone */

static void on_signal(int number)
{
	struct server *s = running;
	(void)number;
	if (s)
		server_stop(s);
}

static void say_what(const struct serve_host *h, const char *address)
{
	const struct serve_service *s;
	for (size_t i = 0; (s = serve_host_at(h, i)); i++)
		fprintf(stderr, "%s%s", i ? ", " : "hallmark: serving ", serve_service_model(s));
	fprintf(stderr, "\nlistening on http://%s\n", address);
}

static int serve(struct cli *c, struct serve_host *h, const char *listen)
{
	struct server_options o = { .address = listen, .env = &c->env };
	struct server *s;
	TRY(server_open(&s, h, &o, &c->err));
	running = s;
	struct sigaction act = { .sa_handler = on_signal };
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	say_what(h, server_address(s));
	int rc = server_run(s, &c->err);
	running = NULL;
	server_close(s);
	return rc;
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

int cli_compute(struct cli *c, struct serve_options *out)
{
	struct serve_compute *o = &out->compute;
	TRY(bounded(c, "threads", 256, &o->threads));
	TRY(bounded(c, "speculation", 16, &o->speculation));
	TRY(cli_size(c, "cache-size", &o->cache_bytes));
	TRY(cli_size(c, "memory", &o->memory_max));
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

static int serve_models(struct cli *c, const struct serve_options *o, struct serve_host *h)
{
	TRY(cli_models_add(c, o, h));
	if (!cli_has(c, "policy") && !c->quiet)
		fputs("hallmark: no policy given: nothing is filtered, and every record says so\n",
		      stderr);
	return serve(c, h, cli_value(c, "listen"));
}

int cmd_serve(struct cli *c)
{
	struct serve_options o = { .key = cli_value(c, "key"),
				   .sampling = cli_value(c, "sampling"),
				   .unsigned_ok = cli_has(c, "unsigned") };
	struct flow *f;
	struct serve_host *h = NULL;
	TRY(cli_operands(c, 1, CLI_OPERANDS_MAX));
	TRY(cli_compute(c, &o));
	TRY(bounded(c, "context", UINT32_MAX, &o.context_max));
	TRY(bounded(c, "request-timeout", 86400, &o.timeout_s));
	c->alone = true;
	TRY(cli_open(c, false, &f));
	open_door(c, f);
	int rc = serve_host_open(&h, f, &c->err);
	if (rc == 0)
		rc = serve_models(c, &o, h);
	serve_host_close(h);
	flow_close(f);
	return rc;
}
