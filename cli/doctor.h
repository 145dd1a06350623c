/* Private to cli/: what `hallmark doctor` looks at, each part in a file of its own. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "base/limits.h"
#include "cli/config.h"
#include "flow/health.h"

enum cli_health { CLI_OK, CLI_WARN, CLI_FAIL };

struct cli_doctor {
	struct cli *c;
	struct arr checks;
	unsigned count[3]; /* by health */
	bool wrong;        /* something was checked, and is not what it should be: exit 3 */
	char home[LIMIT_PATH_BYTES]; /* "": there is none */
	char holder[FLOW_WHO_ROOM];  /* who writes; "": nobody */
	struct flow *f;              /* open for reading, or NULL */
	size_t tokens;               /* that would be taken now */
};

/* Add a check. remedy: what to do, or NULL. */
void cli_doctor_say(struct cli_doctor *d, const char *name, enum cli_health health,
		    const char *remedy, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* What `serve` would take from configuration; NULL: nothing. */
const char *cli_doctor_setting(const struct cli_doctor *d, const char *option);

void cli_doctor_state(struct cli_doctor *d); /* doctor_home.c: folder, keys, log, disk, tokens */
void cli_doctor_deployment(struct cli_doctor *d); /* doctor_serve.c: what `serve` would meet */

#endif
