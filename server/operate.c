/* A thread of its own reads policies again, for that takes longer the more rules they have: it
 * waits for a signal's word, and where that is asked for looks once a second whether a file has
 * changed. A file counts as changed when it is not what was read, and is the same as a second ago:
 * who writes it has ended. */
#include "server/operate.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WATCH_MS 1000

static enum server_reload say(const json_t *report, int rc, const struct err *e)
{
	size_t i;
	json_t *p;
	bool any = false;
	if (rc < 0) {
		fprintf(stderr, "hallmark: reload: nothing has changed: %s\n", e->text);
		return rc == ERR_DENIED ? RELOAD_REFUSED : RELOAD_FAILED;
	}
	json_array_foreach(json_object_get(report, "policies"), i, p) {
		const char *result = json_string_value(json_object_get(p, "result"));
		if (!result || strcmp(result, "replaced") != 0)
			continue;
		any = true;
		fprintf(stderr, "hallmark: reload: %s: policy %s, version %lld, %.19s\n",
			json_string_value(json_object_get(p, "model")),
			json_string_value(json_object_get(p, "name")),
			(long long)json_integer_value(json_object_get(p, "version")),
			json_string_value(json_object_get(p, "digest")));
	}
	if (!any)
		fputs("hallmark: reload: no policy has changed\n", stderr);
	return any ? RELOAD_REPLACED : RELOAD_UNCHANGED;
}

int server_reload_now(struct server *s, const char *by, json_t **report, struct err *e)
{
	struct err tls = { 0 };
	if (s->limits.reloading)
		s->limits.reloading(s->limits.alive_ctx, false, NULL);
	int rc = serve_host_reload(s->host, by, report, e);
	int certificates = server_reload_tls(s, &tls);
	measure_add(&s->measures.reload[say(*report, rc, e)], 1);
	server_lines_renew(s); /* its file may have been moved */
	if (certificates < 0) {
		fprintf(stderr, "hallmark: reload: TLS goes on as it was: %s\n", tls.text);
		if (*report)
			json_object_set_new(*report, "tls_error", json_text_lossy(tls.text));
	}
	if (s->limits.reloading)
		s->limits.reloading(s->limits.alive_ctx, true,
				    rc < 0             ? e->text
				    : certificates < 0 ? tls.text
						       : NULL);
	return rc;
}

static void reload(struct server *s, const char *by)
{
	struct err ignored = { 0 }; /* was said */
	json_t *report = NULL;
	(void)!server_reload_now(s, by, &report, &ignored);
	json_decref(report);
}

static void look(struct server *s, struct digest *before)
{
	struct digest now;
	struct err e;
	bool changed;
	if (serve_host_changed(s->host, &now, &changed, &e) < 0)
		return;
	if (changed && digest_equal(&now, before))
		reload(s, "watch");
	*before = now;
}

static void *operate(void *arg)
{
	struct server *s = arg;
	struct digest before = { 0 };
	struct pollfd p = { .fd = s->operate_fd, .events = POLLIN };
	while (!atomic_load(&s->operate_ends)) {
		eventfd_t asked;
		int n = poll(&p, 1, s->limits.watch ? WATCH_MS : -1);
		if (n > 0)
			(void)!eventfd_read(s->operate_fd, &asked);
		if (atomic_exchange(&s->reload_asked, false))
			reload(s, "signal");
		else if (s->limits.watch && n == 0)
			look(s, &before);
	}
	return NULL;
}

/* Signals belong to the thread that runs server_run. */
int server_operate_start(struct server *s, struct err *e)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&s->operator, NULL, operate, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->has_operator = rc == 0;
	return rc ? err_set(e, ERR_UNAVAILABLE, "cannot start a thread for reloads") : 0;
}

void server_operate_end(struct server *s)
{
	if (!s->has_operator)
		return;
	atomic_store(&s->operate_ends, true);
	eventfd_write(s->operate_fd, 1);
	pthread_join(s->operator, NULL);
	s->has_operator = false;
}

void server_reload(struct server *s)
{
	atomic_store(&s->reload_asked, true);
	eventfd_write(s->operate_fd, 1);
}
