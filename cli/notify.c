/* The sign of life comes from the thread that takes connections, so that one that hangs is seen;
 * it goes on while running answers are waited for after a stop. */
#include "cli/notify.h"
#include "base/buf.h"
#include "net/net.h"

#include <string.h>
#include <time.h>

static void tell(struct cli_notify *n, const char *state)
{
	struct err why = { 0 };
	if (net_notify(&n->c->env, state, &why) < 0 && !n->c->quiet)
		fprintf(stderr, "hallmark: %s\n", why.text);
}

void cli_notify_open(struct cli_notify *n, const struct cli *c, struct serve_host *h)
{
	uint64_t us = net_notify_watchdog_us(&c->env);
	*n = (struct cli_notify){ .c = c, .host = h };
	n->sign_every_us = us < INT64_MAX ? (int64_t)(us / 2) : 0;
}

static void tell_ready(struct cli_notify *n, const char *failed)
{
	const struct serve_service *s;
	struct buf line = { 0 };
	buf_add_text(&line, "READY=1\nSTATUS=serving ");
	for (size_t i = 0; (s = serve_host_at(n->host, i)); i++)
		buf_printf(&line, "%s%s", i ? ", " : "", serve_service_model(s));
	if (failed)
		buf_printf(&line, "; the last reload changed nothing: %s", failed);
	tell(n, line.failed || strlen(line.bytes) != line.len ? "READY=1" : line.bytes);
	buf_free(&line);
}

void cli_notify_reloading(void *ctx, bool done, const char *why)
{
	struct cli_notify *n = ctx;
	char state[80];
	if (done) {
		tell_ready(n, why);
		return;
	}
	/* this clock, whichever the program's own deadlines have */
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)env_wait_us());
	tell(n, state);
}

void cli_notify_alive(void *ctx, bool stopping)
{
	struct cli_notify *n = ctx;
	int64_t now = env_steady_us(&n->c->env);
	if (!n->ready)
		tell_ready(n, NULL);
	n->ready = true;
	if (stopping && !n->stopping)
		tell(n, "STOPPING=1\nSTATUS=waiting for running answers");
	n->stopping |= stopping;
	if (n->sign_every_us && now >= n->next_sign_us) {
		tell(n, "WATCHDOG=1");
		n->next_sign_us = now + n->sign_every_us;
	}
}
