/* Private to cli/: what the service manager is told while a server runs. */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

#include "cli/cli.h"

struct cli_notify {
	const struct cli *c;
	struct serve_host *host;
	int64_t sign_every_us, next_sign_us; /* 0: no sign of life is awaited */
	bool ready, stopping;
};
/* Both are borrowed while the server runs. */
void cli_notify_open(struct cli_notify *n, const struct cli *c, struct serve_host *h);
/* server_options.alive: READY=1 the first time, STOPPING=1 when a stop begins, WATCHDOG=1 twice in
 * the time within which one must come. ctx: struct cli_notify. */
void cli_notify_alive(void *ctx, bool stopping);
/* server_options.reloading: RELOADING=1, then READY=1 with what came of it. */
void cli_notify_reloading(void *ctx, bool done, const char *why);

#endif
