/* Whether chats would be taken and recorded, and what stands in the way. */
#include "audit/audit.h"
#include "audit/measures.h"
#include "base/limits.h"
#include "base/machine.h"
#include "serve/service.h"

#include <inttypes.h>
#include <stdio.h>

#define DISK_LEAST MIB(64) /* records of some ten thousand answers, and the databases' journals */
#define WELL 5             /* looks: a full disk lets a log open again and fail at once */

static struct audit_log *log_of(const struct serve_host *h)
{
	const struct serve_service *s = serve_host_at(h, 0);
	return s ? flow_log(s->flow) : NULL;
}

static void note(struct serve_check *out, const char *name, bool ok, const char *detail)
{
	out->name = name;
	out->ok = ok;
	snprintf(out->detail, sizeof out->detail, "%s", detail);
}

static void check_models(const struct serve_host *h, struct serve_check *out)
{
	char text[64];
	size_t n = 0;
	while (serve_host_at(h, n))
		n++;
	snprintf(text, sizeof text, "%zu loaded", n);
	note(out, "models", n > 0, text);
}

static void check_disk(struct audit_log *log, struct serve_check *out)
{
	struct audit_load load = { .home = "/" };
	if (log)
		audit_log_load(log, &load);
	uint64_t left = machine_disk(load.home);
	note(out, "disk", left >= DISK_LEAST, "");
	if (left == UINT64_MAX)
		note(out, "disk", true, "unknown");
	else
		snprintf(out->detail, sizeof out->detail,
			 "%" PRIu64 " MiB left for the log, at least %" PRIu64 " are needed",
			 left >> 20, (uint64_t)DISK_LEAST >> 20);
}

void serve_host_check(struct serve_host *h, struct serve_check out[SERVE_CHECKS])
{
	struct audit_log *log = log_of(h);
	struct err why = { 0 }, refused = { 0 };
	bool logs = log && audit_log_ready(log, &why) == 0;
	/* Where the log is what refuses, nothing else is known to. */
	bool accepts = !logs || serve_host_ready(h, &refused) == 0;
	check_models(h, &out[0]);
	note(&out[1], "log", logs, logs ? "it takes records" : why.text);
	check_disk(log, &out[2]);
	note(&out[3], "accepts", accepts, accepts ? "new requests are taken" : refused.text);
}

void serve_host_look(struct serve_host *h, struct serve_look *look)
{
	struct audit_log *log = log_of(h);
	struct err why = { 0 };
	if (!log)
		return;
	bool failed = audit_log_ready(log, &why) < 0;
	look->well = failed ? 0 : look->well + 1;
	if (failed && !look->failed) {
		fprintf(stderr, "hallmark: nothing is answered: %s\n", why.text);
		look->failed = true;
	} else if (look->failed && look->well >= WELL) {
		fputs("hallmark: the log takes records again\n", stderr);
		look->failed = false;
	}
}
