#include "server/measures.h"
#include "server/lines.h"
#include "server/routes.h"
#include "server/table.h"
#include "base/build.h"
#include "base/machine.h"
#include "serve/serve.h"

#include <stdio.h>

void server_count_refused(struct server *s, enum server_refused why)
{
	measure_add(&s->measures.refused[why], 1);
}

static size_t route_index(const struct route *route)
{
	const struct route *r;
	for (size_t i = 0; route && i < SERVER_ROUTES_MAX && (r = server_route_at(i)); i++)
		if (r == route)
			return i;
	return SERVER_ROUTES_MAX;
}

static size_t status_index(int status)
{
	for (size_t i = 0; i < SERVER_STATUSES_MAX && server_status_at(i); i++)
		if (server_status_at(i) == status)
			return i;
	return SERVER_STATUSES_MAX;
}

void server_count_request(struct server *s, const struct route *route, int status)
{
	measure_add(&s->measures.request[route_index(route)][status_index(status)], 1);
}

/* ---- writing ---- */

/* Only what has occurred: routes times statuses are a thousand, most of which never do. */
static void write_route(struct server *s, size_t index, const struct route *r,
			struct measure_writer *w)
{
	for (size_t i = 0; i <= SERVER_STATUSES_MAX; i++) {
		uint64_t n = measure_count(&s->measures.request[index][i]);
		char status[8] = "none";
		if (n == 0)
			continue;
		if (i < SERVER_STATUSES_MAX)
			snprintf(status, sizeof status, "%d", server_status_at(i));
		const char *const label[] = {
			"route",  r ? r->path : "none",
			"method", r ? r->method : "none",
			"shape",  r && r->scope ? api_shape_name(r->shape) : "",
			"status", status,
			NULL
		};
		measure_write_count(w, label, n);
	}
}

/* Routes that share path and method are one series: their rows are added up. */
static void write_requests(struct server *s, struct measure_writer *w)
{
	const struct route *r;
	measure_write_family(w, MEASURE_COUNTER, "hallmark_http_requests",
			     "Requests by route and status; none: no such route, or no answer.");
	for (size_t i = 0; i < SERVER_ROUTES_MAX && (r = server_route_at(i)); i++)
		write_route(s, i, r, w);
	write_route(s, SERVER_ROUTES_MAX, NULL, w);
}

/* Who was turned away, by what the answer said. */
static void write_refusals(struct server *s, struct measure_writer *w)
{
	static const struct {
		int status;
		const char *reason;
	} rows[] = { { 401, "unauthenticated" }, { 403, "forbidden" }, { 429, "limited" } };
	measure_write_family(w, MEASURE_COUNTER, "hallmark_access_refusals",
			     "Requests that their caller was not allowed: 401, 403 and 429.");
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		size_t status = status_index(rows[k].status);
		uint64_t n = 0;
		for (size_t i = 0; status < SERVER_STATUSES_MAX && i <= SERVER_ROUTES_MAX; i++)
			n += measure_count(&s->measures.request[i][status]);
		measure_write_count(w, (const char *const[]){ "reason", rows[k].reason, NULL }, n);
	}
}

static void write_connections(struct server *s, struct measure_writer *w)
{
	static const char *const reasons[REFUSED_REASONS] = {
		"full", "connections", "requests", "evicted", "deadline", "handshake",
	};
	struct server_open_connections n;
	server_table_count(s, &n);
	measure_write_family(w, MEASURE_GAUGE, "hallmark_connections",
			     "Open connections: idle between two requests, waiting for the rest of "
			     "one, or worked on.");
	measure_write_count(w, (const char *const[]){ "state", "idle", NULL }, n.idle);
	measure_write_count(w, (const char *const[]){ "state", "reading", NULL }, n.reading);
	measure_write_count(w, (const char *const[]){ "state", "working", NULL }, n.working);
	measure_write_counter(w, "hallmark_connections_accepted", "Connections that came.",
			      measure_count(&s->measures.accepted));
	measure_write_counter(
		w, "hallmark_connections_paced",
		"How often one was kept waiting, since others' requests were worked "
		"on and more than a share of the processors was spent for its client.",
		measure_count(&s->measures.paced));
	measure_write_family(w, MEASURE_COUNTER, "hallmark_connections_refused",
			     "Connections that were not taken, or not kept.");
	for (size_t i = 0; i < REFUSED_REASONS; i++)
		measure_write_count(w, (const char *const[]){ "reason", reasons[i], NULL },
				    measure_count(&s->measures.refused[i]));
	measure_write_counter(w, "hallmark_received_bytes", "Of requests, without TLS.",
			      measure_count(&s->measures.bytes_in));
	measure_write_counter(w, "hallmark_sent_bytes", "Of answers, without TLS.",
			      measure_count(&s->measures.bytes_out));
}

static void write_reloads(struct server *s, struct measure_writer *w)
{
	static const char *const results[RELOAD_RESULTS] = { "replaced", "unchanged", "refused",
							     "failed" };
	measure_write_family(w, MEASURE_COUNTER, "hallmark_policy_reloads",
			     "How often the policies were read again, and what came of it.");
	for (size_t i = 0; i < RELOAD_RESULTS; i++)
		measure_write_count(w, (const char *const[]){ "result", results[i], NULL },
				    measure_count(&s->measures.reload[i]));
}

/* The names that every Prometheus client library gives. */
static void write_process(struct measure_writer *w)
{
	struct machine_process p;
	machine_process(&p);
	measure_write_family(w, MEASURE_COUNTER, "process_cpu_seconds",
			     "Processor time of all threads.");
	measure_write_number(w, NULL, p.processor_s);
	measure_write_gauge(w, "process_resident_memory_bytes", "Memory that is in use.",
			    (double)p.resident_bytes);
	measure_write_gauge(w, "process_virtual_memory_bytes", "Memory that is mapped.",
			    (double)p.virtual_bytes);
	measure_write_gauge(w, "process_open_fds", "Open descriptors.", (double)p.files);
	measure_write_gauge(w, "process_max_fds", "Descriptors that may be open.",
			    (double)p.files_max);
	measure_write_gauge(w, "process_start_time_seconds", "When the process started.",
			    p.start_s);
	measure_write_family(w, MEASURE_GAUGE, "hallmark_build_info", "What this program is: 1.");
	measure_write_count(
		w, (const char *const[]){ "version", BUILD_VERSION, "build", build_id(), NULL }, 1);
}

void server_measures_write(struct server *s, struct measure_writer *w)
{
	write_requests(s, w);
	write_refusals(s, w);
	write_connections(s, w);
	write_reloads(s, w);
	server_lines_measure(s->lines, w);
	serve_host_measure(s->host, w);
	write_process(w);
	measure_write_end(w);
}
