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

static int serve(struct cli *c, struct serve_service *service, const char *listen)
{
	struct server_options o = { .address = listen, .env = &c->env };
	struct server *s;
	TRY(server_open(&s, service, &o, &c->err));
	running = s;
	struct sigaction act = { .sa_handler = on_signal };
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	fprintf(stderr, "hallmark: serving %s\nlistening on http://%s\n",
		serve_service_model(service), server_address(s));
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

int cmd_serve(struct cli *c)
{
	struct serve_options o = { .model_name = cli_value(c, "name"),
				   .policy = cli_value(c, "policy"),
				   .key = cli_value(c, "key"),
				   .sampling = cli_value(c, "sampling"),
				   .unsigned_ok = cli_has(c, "unsigned") };
	struct flow *f;
	struct serve_service *service;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_compute(c, &o));
	TRY(bounded(c, "context", UINT32_MAX, &o.context_max));
	TRY(bounded(c, "request-timeout", 86400, &o.timeout_s));
	o.ref = c->operand[0];
	o.adapter = cli_value(c, "adapter");
	c->alone = true;
	TRY(cli_open(c, false, &f));
	open_door(c, f);
	int rc = serve_service_open(&service, f, &o, &c->err);
	if (rc == 0) {
		cli_notes(c, serve_service_notes(service));
		if (!o.policy && !c->quiet)
			fputs("hallmark: no policy given: nothing is filtered, and every record says so\n",
			      stderr);
		rc = serve(c, service, cli_value(c, "listen"));
		serve_service_close(service);
	}
	flow_close(f);
	return rc;
}
