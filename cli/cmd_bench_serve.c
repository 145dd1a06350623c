/* hallmark bench serve */
#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"

#include <signal.h>
#include <string.h>

#define SECONDS 10 /* where neither --duration nor --requests is given */
#define OPEN_CLIENTS 1000

static volatile int ended; /* for the signal handler alone */

static void on_interrupt(int number)
{
	(void)number;
	ended = 1;
}

static double number_at(const json_t *r, const char *part, const char *key)
{
	return json_number_value(json_object_get(json_object_get(r, part), key));
}

static void print_times(const json_t *times, const char *name)
{
	if (!json_is_object(times))
		return;
	printf("%-16s", name);
	for (const char *const *k =
		     (const char *const[]){ "p50", "p95", "p99", "max", "mean", NULL };
	     *k; k++)
		printf(" %s %10.2f", *k, json_number_value(json_object_get(times, *k)));
	printf("  ms  (%lld)\n", (long long)json_integer_value(json_object_get(times, "count")));
}

static void print_errors(const json_t *r)
{
	const json_t *error;
	size_t i;
	json_array_foreach(json_object_get(r, "errors"), i, error) {
		const json_t *status = json_object_get(error, "status");
		printf("error %-10s", json_string_value(json_object_get(error, "kind")));
		if (status)
			printf(" %lld", (long long)json_integer_value(status));
		printf(" x %lld: %s\n",
		       (long long)json_integer_value(json_object_get(error, "count")),
		       json_string_value(json_object_get(error, "first")));
	}
}

static void print_report(const json_t *r)
{
	const json_t *own = json_object_get(r, "generator");
	bool is_open =
		strcmp(json_string_value(json_object_get(json_object_get(r, "loop"), "kind")),
		       "open") == 0;
	printf("%s, model %s, %s, ", json_string_value(json_object_get(r, "url")),
	       json_string_value(json_object_get(r, "model")),
	       json_is_true(json_object_get(r, "stream")) ? "streamed" : "plain");
	if (is_open)
		printf("%g requests/s\n", number_at(r, "loop", "rate"));
	else
		printf("%.0f clients\n", number_at(r, "loop", "clients"));
	printf("requests         %.0f sent, %.0f answered, %.0f failed, %.0f unfinished, %.0f unsent, "
	       "in %.2f s\n",
	       number_at(r, "requests", "sent"), number_at(r, "requests", "fine"),
	       number_at(r, "requests", "failed"), number_at(r, "requests", "unfinished"),
	       number_at(r, "requests", "unsent"),
	       json_number_value(json_object_get(r, "seconds")));
	printf("throughput       %.1f requests/s, %.1f tokens/s (by %s)\n",
	       number_at(r, "throughput", "requests_s"), number_at(r, "throughput", "tokens_s"),
	       json_string_value(json_object_get(json_object_get(r, "tokens"), "counted_by")));
	print_times(json_object_get(r, "first_token_ms"), "first token");
	print_times(json_object_get(r, "per_token_ms"), "per token");
	print_times(json_object_get(r, "gap_ms"), "gap");
	print_times(json_object_get(r, "total_ms"), "whole answer");
	print_errors(r);
	printf("generator        %.0f %% of a core\n",
	       100 * json_number_value(json_object_get(own, "cpu_share")));
	print_times(json_object_get(own, "late_ms"), "  sent late by");
}

/* "Bearer TOKEN" of the file's first line. */
static int read_token(struct cli *c, struct buf *out)
{
	const char *path = cli_value(c, "token-file");
	struct buf file = { 0 };
	if (!path)
		return 0;
	int rc = file_read(path, 4096, &file, &c->err);
	size_t len = rc == 0 && file.bytes ? strcspn(file.bytes, "\r\n") : 0;
	for (size_t i = 0; rc == 0 && i < len; i++)
		if (file.bytes[i] <= ' ' || file.bytes[i] > '~')
			rc = err_set(&c->err, ERR_INPUT, "%s: its first line is no token", path);
	if (rc == 0 && !len)
		rc = err_set(&c->err, ERR_INPUT, "%s holds no token", path);
	if (rc == 0) {
		buf_printf(out, "Bearer %.*s", (int)len, file.bytes);
		rc = buf_done(out, &c->err);
	}
	buf_wipe(&file);
	return rc;
}

static int real_value(struct cli *c, const char *name, double *out)
{
	const char *v = cli_value(c, name);
	if (v && (text_parse_double(v, out) < 0 || !(*out >= 0)))
		return err_set(&c->err, ERR_USAGE, "--%s %s: expected a number", name, v);
	return 0;
}

static int count_value(struct cli *c, const char *name, uint64_t most, uint64_t *out)
{
	TRY(cli_number(c, name, out));
	if (*out > most)
		return err_set(&c->err, ERR_USAGE, "--%s %llu: at most %llu", name,
			       (unsigned long long)*out, (unsigned long long)most);
	return 0;
}

static int read_options(struct cli *c, struct lab_load *l)
{
	uint64_t clients = 0, prompt = 0, tokens = 0, timeout = 0;
	TRY(real_value(c, "rate", &l->rate));
	TRY(real_value(c, "duration", &l->seconds));
	TRY(real_value(c, "temperature", &l->temperature));
	if (cli_has(c, "rate") && l->rate <= 0)
		return err_set(&c->err, ERR_USAGE, "--rate %s: expected more than 0",
			       cli_value(c, "rate"));
	clients = l->rate > 0 ? OPEN_CLIENTS : 1;
	TRY(count_value(c, "clients", UINT32_MAX, &clients));
	TRY(count_value(c, "requests", INT64_MAX, &l->requests));
	TRY(count_value(c, "prompt-tokens", 1u << 20, &prompt));
	TRY(count_value(c, "max-tokens", UINT32_MAX, &tokens));
	TRY(count_value(c, "timeout", 86400, &timeout));
	TRY(cli_number(c, "seed", &l->seed));
	l->clients = (uint32_t)clients;
	l->prompt_tokens = (uint32_t)prompt;
	l->max_tokens = (uint32_t)tokens;
	l->timeout_ms = (unsigned)timeout * 1000;
	if (l->seconds <= 0 && !l->requests)
		l->seconds = SECONDS;
	return 0;
}

int cmd_bench_serve(struct cli *c)
{
	struct lab_load l = { .shape = cli_value(c, "shape"),
			      .model = cli_value(c, "model"),
			      .prompts = cli_value(c, "prompts"),
			      .ca_file = cli_value(c, "ca-file"),
			      .plain = cli_has(c, "plain"),
			      .reconnect = cli_has(c, "reconnect"),
			      .seed = 1,
			      .end = &ended };
	struct buf token = { 0 };
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(read_options(c, &l));
	TRY(read_token(c, &token));
	l.url = c->operand[0];
	l.authorization = token.bytes;
	struct sigaction act = { .sa_handler = on_interrupt };
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	int rc = lab_load(&l, &report, &c->err);
	buf_wipe(&token);
	TRY(rc);
	double fine = number_at(report, "requests", "fine");
	double failed = number_at(report, "requests", "failed");
	if (c->json) {
		TRY(cli_print(c, report));
	} else {
		print_report(report);
		json_decref(report);
	}
	return fine > 0 ? 0
			: err_set(&c->err, ERR_UNAVAILABLE,
				  "%s: none of %.0f requests was answered well", l.url, failed);
}
