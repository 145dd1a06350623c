/* What a load came to. */
#include "base/text.h"
#include "lab/load.h"

#include <string.h>

static const char *const names[LOAD_FAULTS] = {
	[LOAD_CONNECT] = "connect",
	[LOAD_TLS] = "tls",
	[LOAD_BROKEN] = "broken",
	[LOAD_MALFORMED] = "malformed",
	[LOAD_TIMEOUT] = "timeout",
	[LOAD_STATUS] = "status",
	[LOAD_ERROR_EVENT] = "error_event",
	[LOAD_INCOMPLETE] = "incomplete",
	[LOAD_OTHER] = "other",
};

static void take_error(struct load_sums *s, const struct load_shot *shot)
{
	int status = shot->fault == LOAD_STATUS ? shot->status : 0;
	size_t i = 0;
	while (i < s->errors && (s->error[i].fault != shot->fault || s->error[i].status != status))
		i++;
	if (i == LOAD_KINDS)
		return; /* `failed` still counts it */
	if (i == s->errors) {
		s->error[i] = (struct load_error){ .fault = shot->fault, .status = status };
		size_t n = text_escape(s->error[i].why, sizeof s->error[i].why, shot->why,
				       strlen(shot->why), true);
		s->error[i].why[n < sizeof s->error[i].why ? n : 0] = 0;
		s->errors++;
	}
	s->error[i].count++;
}

void load_sums_take(struct load_sums *s, const struct load_shot *shot, int64_t now)
{
	s->end_us = now;
	if (shot->status > 0 && shot->status < 600)
		s->status[shot->status]++;
	if (shot->fault) {
		s->failed++;
		take_error(s, shot);
		return;
	}
	uint64_t tokens = shot->tokens ? shot->tokens : shot->pieces;
	s->fine++;
	s->counted += shot->tokens > 0;
	s->prompt_tokens += shot->prompt_tokens;
	s->tokens += tokens;
	quantiles_add(&s->total, (uint64_t)(now - shot->due_us));
	if (!shot->first_us)
		return;
	quantiles_add(&s->first, (uint64_t)(shot->first_us - shot->due_us));
	if (tokens > 1 && shot->last_us > shot->first_us)
		quantiles_add(&s->piece, (uint64_t)(shot->last_us - shot->first_us) / (tokens - 1));
}

static void add_times(struct obj *o, const char *key, const struct quantiles *q)
{
	struct obj part = { 0 };
	if (!q->count) {
		obj_null(o, key);
		return;
	}
	obj_count(&part, "count", q->count);
	obj_measured(&part, "mean", quantiles_mean(q) / 1e3);
	obj_measured(&part, "p50", quantiles_at(q, 0.5) / 1e3);
	obj_measured(&part, "p95", quantiles_at(q, 0.95) / 1e3);
	obj_measured(&part, "p99", quantiles_at(q, 0.99) / 1e3);
	obj_measured(&part, "max", (double)q->most / 1e3);
	obj_object(o, key, &part);
}

static void add_loop(struct obj *o, const struct lab_load *l)
{
	struct obj part = { 0 };
	obj_text(&part, "kind", l->rate > 0 ? "open" : "closed");
	obj_count(&part, "clients", l->clients);
	if (l->rate > 0)
		obj_real(&part, "rate", l->rate);
	obj_u64_text(&part, "seed", l->seed);
	obj_object(o, "loop", &part);
}

static void add_counts(struct obj *o, const struct load_sums *s)
{
	struct obj part = { 0 }, status = { 0 };
	static char code[600][4];
	obj_count(&part, "sent", s->sent);
	obj_count(&part, "fine", s->fine);
	obj_count(&part, "failed", s->failed);
	obj_count(&part, "unfinished", s->unfinished);
	obj_count(&part, "unsent", s->unsent);
	obj_object(o, "requests", &part);
	for (size_t i = 100; i < 600; i++)
		if (s->status[i]) {
			snprintf(code[i], sizeof code[i], "%zu", i);
			obj_count(&status, code[i], s->status[i]);
		}
	if (status.json)
		obj_object(o, "status", &status);
}

static void add_errors(struct obj *o, const struct load_sums *s)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < s->errors; i++) {
		const struct load_error *x = &s->error[i];
		struct obj one = { 0 };
		obj_text(&one, "kind", names[x->fault]);
		if (x->status)
			obj_int(&one, "status", x->status);
		obj_count(&one, "count", x->count);
		obj_add(&one, "first", json_text_lossy(x->why));
		arr_object(&list, &one);
	}
	obj_array(o, "errors", &list);
}

int load_report(const struct lab_load *l, const char *url, const char *model,
		const struct load_sums *s, json_t **out, struct err *e)
{
	double seconds = (double)(s->end_us - s->begin_us) / 1e6;
	double per = seconds > 0 ? 1 / seconds : 0;
	struct obj o = { 0 }, rate = { 0 }, tokens = { 0 }, own = { 0 };
	obj_text(&o, "url", url);
	obj_text(&o, "model", model);
	obj_text(&o, "shape", l->shape ? l->shape : "chat");
	obj_bool(&o, "stream", !l->plain);
	add_loop(&o, l);
	obj_measured(&o, "seconds", seconds);
	add_counts(&o, s);
	add_errors(&o, s);
	add_times(&o, "first_token_ms", &s->first);
	add_times(&o, "per_token_ms", &s->piece);
	add_times(&o, "gap_ms", &s->gap);
	add_times(&o, "total_ms", &s->total);
	obj_measured(&rate, "requests_s", (double)s->fine * per);
	obj_measured(&rate, "tokens_s", (double)s->tokens * per);
	obj_object(&o, "throughput", &rate);
	obj_count(&tokens, "prompt", s->prompt_tokens);
	obj_count(&tokens, "completion", s->tokens);
	obj_text(&tokens, "counted_by",
		 s->counted == s->fine ? "usage"
		 : s->counted          ? "usage and events"
				       : "events");
	obj_object(&o, "tokens", &tokens);
	obj_measured(&own, "cpu_share", s->cpu_s * per);
	add_times(&own, "late_ms", &s->late);
	obj_object(&o, "generator", &own);
	return obj_done(&o, out, e);
}
