/* hallmark serve */
#include "base/net.h"
#include "cli/cli.h"
#include "server/server.h"

#include <signal.h>
#include <string.h>

static struct server *running; /* for the signal handler alone */

static void on_signal(int number)
{
	(void)number;
	if (running)
		server_stop(running);
}

static int serve(struct cli *c, struct flow_service *service, const char *listen)
{
	struct server_options o = { .address = listen, .env = &c->env };
	struct server *s;
	TRY(server_open(&s, service, &o, &c->err));
	running = s;
	struct sigaction act = { .sa_handler = on_signal };
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	fprintf(stderr, "hallmark: serving %s\nlistening on http://%s\n",
		flow_service_model(service), server_address(s));
	int rc = server_run(s, &c->err);
	running = NULL;
	server_close(s);
	return rc;
}

int cmd_serve(struct cli *c)
{
	struct flow_serve o = { .model_name = cli_value(c, "name"),
				.policy = cli_value(c, "policy"),
				.key = cli_value(c, "key"),
				.unsigned_ok = cli_has(c, "unsigned") };
	uint64_t threads = 0, context = 0;
	struct flow *f;
	struct flow_service *service;
	TRY(cli_operands(c, 1, 1));
	TRY(cli_number(c, "threads", &threads));
	TRY(cli_number(c, "context", &context));
	o.ref = c->operand[0];
	o.threads = (unsigned)(threads > 256 ? 256 : threads);
	o.context_max = (uint32_t)(context > UINT32_MAX ? UINT32_MAX : context);
	TRY(cli_open(c, false, &f));
	int rc = flow_service_open(&service, f, &o, &c->err);
	if (rc == 0) {
		if (!o.policy && !c->quiet)
			fputs("hallmark: no policy given: nothing is filtered, and every record says so\n",
			      stderr);
		rc = serve(c, service, cli_value(c, "listen"));
		flow_service_close(service);
	}
	flow_close(f);
	return rc;
}
