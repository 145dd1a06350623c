/* What a scrape says of the services, their engines and the log; the list with the names that
 * others give the same: docs/operating.md. A family stands once, with a sample for each model. */
#include "audit/audit.h"
#include "audit/measures.h"
#include "base/machine.h"
#include "engine/engine.h"
#include "serve/measures.h"
#include "serve/service.h"

#include <stddef.h>

#define OF(member) offsetof(struct serve_measures, member)

static const struct {
	const char *name, *help;
	const struct measure_scale *scale;
	size_t at;
} histograms[] = {
	{ "hallmark_time_to_first_token_seconds",
	  "From the whole request to the first text that may go out.", &measure_waits,
	  OF(first_token) },
	{ "hallmark_time_per_output_token_seconds", "Between two tokens of one choice.",
	  &measure_moments, OF(next_token) },
	{ "hallmark_request_queue_time_seconds",
	  "Until the first choice of a request was begun by the engine.", &measure_waits,
	  OF(queued) },
	{ "hallmark_request_duration_seconds", "From the whole request to its durable record.",
	  &measure_waits, OF(whole) },
	{ "hallmark_request_prompt_tokens", "Tokens of a request's prompt.", &measure_tokens,
	  OF(prompt) },
	{ "hallmark_request_completion_tokens", "Tokens drawn for a request, of all choices.",
	  &measure_tokens, OF(output) },
};

static const struct {
	const char *name, *help;
	size_t at;
} counters[] = {
	{ "hallmark_prompt_tokens", "Tokens of prompts.", OF(prompt_tokens) },
	{ "hallmark_completion_tokens", "Tokens drawn.", OF(output_tokens) },
	{ "hallmark_cached_tokens", "Tokens of prompts that were not computed again.",
	  OF(cached_tokens) },
	{ "hallmark_prefix_cache_hits", "Requests whose prompt began with what was kept.",
	  OF(cache_hits) },
	{ "hallmark_prefix_cache_misses", "Requests whose prompt did not.", OF(cache_misses) },
	{ "hallmark_interventions", "Spans of text that rules found, whatever they did then.",
	  OF(interventions) },
};

static const void *member_of(const struct serve_service *s, size_t at)
{
	return (const char *)&s->measures + at;
}

static const char *model_of(const struct serve_service *s) { return serve_service_model(s); }

static void write_requests(struct serve_service *const *s, size_t n, struct measure_writer *w)
{
	for (size_t i = 0; i < sizeof histograms / sizeof *histograms; i++) {
		measure_write_family(w, MEASURE_HISTOGRAM, histograms[i].name, histograms[i].help);
		for (size_t k = 0; k < n; k++)
			measure_write_histogram(
				w, (const char *const[]){ "model", model_of(s[k]), NULL },
				member_of(s[k], histograms[i].at), histograms[i].scale);
	}
	for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
		measure_write_family(w, MEASURE_COUNTER, counters[i].name, counters[i].help);
		for (size_t k = 0; k < n; k++)
			measure_write_count(w,
					    (const char *const[]){ "model", model_of(s[k]), NULL },
					    measure_count(member_of(s[k], counters[i].at)));
	}
	measure_write_family(w, MEASURE_GAUGE, "hallmark_requests_running",
			     "Requests that were admitted and have not ended.");
	for (size_t k = 0; k < n; k++)
		measure_write_number(w, (const char *const[]){ "model", model_of(s[k]), NULL },
				     (double)measure_level(&s[k]->measures.running));
}

/* Of a family with a second label, every value, also those that did not occur. */
static void write_split(struct serve_service *const *s, size_t n, struct measure_writer *w,
			const char *label, const char *const *value, size_t values, size_t at)
{
	for (size_t k = 0; k < n; k++) {
		const struct measure_counter *c = member_of(s[k], at);
		for (size_t i = 0; i < values; i++)
			if (value[i])
				measure_write_count(w,
						    (const char *const[]){ "model", model_of(s[k]),
									   label, value[i], NULL },
						    measure_count(&c[i]));
	}
}

static void write_ends(struct serve_service *const *s, size_t n, struct measure_writer *w)
{
	static const char *const outcomes[SERVE_OUTCOMES] = {
		"completed", "redacted", "blocked", "engine_limit", "aborted", "error",
	};
	static const char *const kinds[] = {
		[-ERR_INPUT] = "input",
		[-ERR_USAGE] = "usage",
		[-ERR_VERIFY] = "verify",
		[-ERR_DENIED] = "denied",
		[-ERR_NOTFOUND] = "not_found",
		[-ERR_CONFLICT] = "conflict",
		[-ERR_UNAVAILABLE] = "unavailable",
		[-ERR_UNSUPPORTED] = "unsupported",
		[-ERR_IO] = "io",
		[-ERR_NOMEM] = "no_memory",
	};
	measure_write_family(w, MEASURE_COUNTER, "hallmark_answers",
			     "Admitted requests by how they ended, as their records say.");
	write_split(s, n, w, "outcome", outcomes, SERVE_OUTCOMES, OF(outcome));
	measure_write_family(w, MEASURE_COUNTER, "hallmark_errors",
			     "Admitted requests that failed, by the kind of error.");
	write_split(s, n, w, "kind", kinds, sizeof kinds / sizeof *kinds, OF(error));
}

/* Of the rules that the policy has now; those of an earlier one are kept, and shown again should
 * they come back, so that no count goes down. */
static bool is_loaded(const struct serve_bundle *b, const char *rule)
{
	for (int i = 0; i < POLICY_PHASES; i++) {
		const struct filter_set *set = serve_bundle_rules(b, (enum policy_phase)i);
		if (set && filter_set_knows(set, rule))
			return true;
	}
	return false;
}

static void write_rules(struct serve_service *const *s, size_t n, struct measure_writer *w)
{
	measure_write_family(w, MEASURE_COUNTER, "hallmark_rule_hits",
			     "Findings of a rule, by the mode of its policy and what was done.");
	for (size_t k = 0; k < n; k++) {
		struct serve_measures *m = &s[k]->measures;
		struct serve_bundle *b = serve_bundle_hold(s[k]);
		pthread_mutex_lock(&m->lock);
		for (size_t i = 0; i < m->rules; i++) {
			const struct serve_rule_count *r = &m->rule[i];
			const char *const label[] = { "model",  model_of(s[k]), "rule",
						      r->rule,  "mode",         r->mode,
						      "action", r->action,      NULL };
			if (is_loaded(b, r->rule))
				measure_write_count(w, label, r->n);
		}
		if (m->other)
			measure_write_count(w,
					    (const char *const[]){ "model", model_of(s[k]), "rule",
								   "other", NULL },
					    m->other);
		pthread_mutex_unlock(&m->lock);
		serve_bundle_drop(b);
	}
}

/* ---- engines ---- */

static const struct {
	enum measure_kind kind;
	const char *name, *help;
	size_t at;
	bool narrow; /* 32 bits */
} engine_rows[] = {
	{ MEASURE_GAUGE, "hallmark_sequences_running", "Choices that are stepped together.",
	  offsetof(struct engine_load, running), true },
	{ MEASURE_GAUGE, "hallmark_sequences_waiting", "Choices that wait for a place.",
	  offsetof(struct engine_load, waiting), true },
	{ MEASURE_GAUGE, "hallmark_cache_pages",
	  "Pages of 64 positions that the cache may have, of sequences and of kept prefixes.",
	  offsetof(struct engine_load, cache_pages), false },
	{ MEASURE_GAUGE, "hallmark_cache_pages_used", "Pages of the cache that are in use.",
	  offsetof(struct engine_load, cache_pages_used), false },
	{ MEASURE_COUNTER, "hallmark_preemptions",
	  "Choices that gave their pages back and were computed again.",
	  offsetof(struct engine_load, preempted), false },
	{ MEASURE_COUNTER, "hallmark_prefix_cache_tokens",
	  "Tokens that were taken from kept pages, preempted ones too.",
	  offsetof(struct engine_load, prefix_hits), false },
	{ MEASURE_COUNTER, "hallmark_speculation_drafted_tokens", "Tokens that were drafted.",
	  offsetof(struct engine_load, drafted), false },
	{ MEASURE_COUNTER, "hallmark_speculation_accepted_tokens", "And of these were drawn.",
	  offsetof(struct engine_load, accepted), false },
};

static double load_value(const struct engine_load *load, size_t at, bool narrow)
{
	const char *p = (const char *)load + at;
	return narrow ? *(const uint32_t *)(const void *)p
		      : (double)*(const uint64_t *)(const void *)p;
}

static void write_engines(struct serve_service *const *s, size_t n, struct measure_writer *w)
{
	struct engine_load load[SERVE_SERVICES_MAX] = { 0 };
	for (size_t k = 0; k < n; k++)
		if (s[k]->who->load)
			s[k]->who->load(s[k]->self, &load[k]);
	for (size_t i = 0; i < sizeof engine_rows / sizeof *engine_rows; i++) {
		measure_write_family(w, engine_rows[i].kind, engine_rows[i].name,
				     engine_rows[i].help);
		for (size_t k = 0; k < n; k++)
			if (s[k]->who->load)
				measure_write_number(w,
						     (const char *const[]){ "model", model_of(s[k]),
									    NULL },
						     load_value(&load[k], engine_rows[i].at,
								engine_rows[i].narrow));
	}
}

/* ---- what is served ---- */

static void write_profile(const struct serve_service *s, const struct policy_profile *p,
			  struct measure_writer *w)
{
	char digest[DIGEST_TEXT_ROOM], version[24];
	digest_text(&p->bundle, digest);
	snprintf(version, sizeof version, "%llu", (unsigned long long)p->version);
	const char *const label[] = {
		"model", model_of(s), "name", p->name, "version",
		version, "digest",    digest, "mode",  policy_mode_name(p->mode),
		NULL
	};
	measure_write_count(w, label, 1);
}

static void write_bundle(struct serve_service *s, struct measure_writer *w)
{
	struct serve_bundle *b = serve_bundle_hold(s);
	if (b->profile)
		write_profile(s, b->profile, w);
	serve_bundle_drop(b);
}

static void write_model(const struct serve_service *s, struct measure_writer *w)
{
	char root[DIGEST_TEXT_ROOM] = "";
	struct answer_model m;
	s->who->model(s->self, &m);
	if (serve_root(s))
		digest_text(serve_root(s), root);
	const char *const label[] = { "model",   model_of(s),
				      "root",    root,
				      "signer",  serve_signer(s),
				      "weights", m.matrices ? m.matrices : "",
				      "device",  m.device.backend ? m.device.backend : "",
				      NULL };
	measure_write_count(w, label, 1);
}

void serve_measures_write(struct serve_service *const *s, size_t n, struct measure_writer *w)
{
	write_requests(s, n, w);
	write_ends(s, n, w);
	write_rules(s, n, w);
	write_engines(s, n, w);
	measure_write_family(w, MEASURE_GAUGE, "hallmark_model_info", "What is served: 1.");
	for (size_t k = 0; k < n; k++)
		write_model(s[k], w);
	measure_write_family(w, MEASURE_GAUGE, "hallmark_bundle_info",
			     "The policy that is loaded: 1; no sample without one.");
	for (size_t k = 0; k < n; k++)
		write_bundle(s[k], w);
}

/* ---- the log ---- */

static void write_checkpoint(struct flow *f, int64_t at_us, struct measure_writer *w)
{
	if (!at_us)
		return; /* none was signed since the start */
	int64_t age_us = env_now_us(flow_env(f)) - at_us;
	measure_write_gauge(w, "hallmark_log_checkpoint_timestamp_seconds",
			    "When the newest checkpoint was signed.", (double)at_us / 1e6);
	measure_write_gauge(w, "hallmark_log_checkpoint_age_seconds", "And how long ago.",
			    age_us > 0 ? (double)age_us / 1e6 : 0);
}

void serve_measures_log(struct flow *f, struct measure_writer *w)
{
	const struct audit_measures *m = audit_log_measures(flow_log(f));
	struct audit_load load;
	audit_log_load(flow_log(f), &load);
	measure_write_gauge(w, "hallmark_log_entries", "Entries under the newest checkpoint.",
			    (double)load.size);
	measure_write_gauge(w, "hallmark_log_waiting", "Records that are not durable yet.",
			    (double)load.waiting);
	measure_write_gauge(w, "hallmark_log_failed",
			    "1 while the log takes nothing after a storage fault.", load.failed);
	measure_write_family(w, MEASURE_HISTOGRAM, "hallmark_log_append_seconds",
			     "Until a record and the checkpoint over it are durable.");
	measure_write_histogram(w, NULL, &m->append, &measure_waits);
	measure_write_family(w, MEASURE_HISTOGRAM, "hallmark_log_batch_records",
			     "Records that were made durable together.");
	measure_write_histogram(w, NULL, &m->batch, &measure_batches);
	measure_write_counter(w, "hallmark_log_faults", "Storage faults that stopped the log.",
			      measure_count(&m->faults));
	measure_write_counter(w, "hallmark_log_refused_records",
			      "Records that could not be appended.", measure_count(&m->refused));
	write_checkpoint(f, measure_level(&m->checkpoint_us), w);
	uint64_t left = machine_disk(load.home);
	if (left != UINT64_MAX)
		measure_write_gauge(w, "hallmark_disk_free_bytes",
				    "Left on the file system of the log.", (double)left);
}
