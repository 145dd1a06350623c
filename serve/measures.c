#include "serve/measures.h"
#include "serve/chat.h"

#include <stdlib.h>
#include <string.h>

void serve_measures_init(struct serve_measures *m) { pthread_mutex_init(&m->lock, NULL); }

void serve_measures_free(struct serve_measures *m)
{
	for (size_t i = 0; i < m->rules; i++)
		free(m->rule[i].rule);
	free(m->rule);
	pthread_mutex_destroy(&m->lock);
}

/* ---- rules ---- */

struct rule_name {
	const char *rule;
	size_t len;
	const char *mode, *action;
};

static int compare(const struct rule_name *a, const struct serve_rule_count *b)
{
	size_t len = strlen(b->rule);
	int order = memcmp(a->rule, b->rule, a->len < len ? a->len : len);
	if (order == 0 && a->len != len)
		return a->len < len ? -1 : 1;
	if (order == 0)
		order = strcmp(a->mode, b->mode);
	return order ? order : strcmp(a->action, b->action);
}

/* Where it stands, or belongs. */
static size_t place_of(const struct serve_measures *m, const struct rule_name *name, bool *there)
{
	size_t low = 0, high = m->rules;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(name, &m->rule[middle]);
		*there = order == 0;
		if (order == 0)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*there = false;
	return low;
}

static bool make_place(struct serve_measures *m, size_t at, const struct rule_name *name)
{
	if (m->rules == m->room) {
		size_t room = m->room ? 2 * m->room : 64;
		void *grown = realloc(m->rule, room * sizeof *m->rule);
		if (!grown)
			return false;
		m->rule = grown;
		m->room = room;
	}
	char *copy = strndup(name->rule, name->len);
	if (!copy)
		return false;
	memmove(&m->rule[at + 1], &m->rule[at], (m->rules - at) * sizeof *m->rule);
	m->rule[at] = (struct serve_rule_count){ copy, name->mode, name->action, 0 };
	m->rules++;
	return true;
}

/* With the lock held. */
static void count_rule(struct serve_measures *m, const struct rule_name *name)
{
	bool there;
	size_t at = place_of(m, name, &there);
	if (!there && (m->rules == SERVE_RULE_COUNTS || !make_place(m, at, name)))
		m->other++;
	else
		m->rule[at].n++;
}

/* The name of an action as it is written in the filters' table. */
static const char *action_name(const char *text)
{
	for (int a = FILTER_FLAG; a <= FILTER_BLOCK; a++)
		if (text && strcmp(text, filter_action_name((enum filter_action)a)) == 0)
			return filter_action_name((enum filter_action)a);
	return "other";
}

/* Ids that are joined by commas: one after the other. */
static bool next_rule(const char **at, struct rule_name *out)
{
	*at += **at == ',';
	out->rule = *at;
	out->len = strcspn(*at, ",");
	*at += out->len;
	return out->len > 0;
}

static void note_rule(struct serve_facts *f, const struct rule_name *name)
{
	char id[256];
	if (!f || json_object_size(f->rules) >= SERVE_FACTS_RULES)
		return;
	if (!f->rules)
		f->rules = json_object();
	snprintf(id, sizeof id, "%.*s", (int)name->len, name->rule);
	json_t *n = json_object_get(f->rules, id);
	(void)!json_object_set_new(f->rules, id, json_integer(json_integer_value(n) + 1));
}

void serve_measure_rules(struct serve_chat *c)
{
	struct serve_measures *m = &c->service->measures;
	size_t i;
	json_t *found;
	if (!c->measured || json_array_size(c->decision.interventions) == 0)
		return;
	measure_add(&m->interventions, json_array_size(c->decision.interventions));
	pthread_mutex_lock(&m->lock);
	json_array_foreach(c->decision.interventions, i, found) {
		const char *at = json_string_value(json_object_get(found, "rule"));
		const char *action = json_string_value(json_object_get(found, "action"));
		struct rule_name name = { .mode = c->decision.mode, .action = action_name(action) };
		while (at && next_rule(&at, &name)) {
			count_rule(m, &name);
			note_rule(c->facts, &name);
		}
	}
	pthread_mutex_unlock(&m->lock);
}

/* ---- a chat ---- */

static int64_t now_us(const struct serve_chat *c)
{
	return env_steady_us(flow_env(c->service->flow));
}

void serve_measure_admitted(struct serve_chat *c)
{
	if (!c->service->recording)
		return;
	c->measured = true;
	measure_gauge_add(&c->service->measures.running, 1);
}

/* The time between two tokens of a choice is its reader's: where the choices of one request take
 * turns, it holds the others' too. */
void serve_measure_token(struct serve_chat *c, int64_t *before_us)
{
	if (!c->measured)
		return;
	int64_t now = now_us(c);
	if (*before_us)
		measure_note(&c->service->measures.next_token, &measure_moments, now - *before_us);
	*before_us = now;
}

void serve_measure_text(struct serve_chat *c)
{
	if (!c->measured || c->first_us)
		return;
	c->first_us = now_us(c) - c->asked_us;
	c->first_us += c->first_us == 0;
	measure_note(&c->service->measures.first_token, &measure_waits, c->first_us);
}

void serve_measure_failed(struct serve_chat *c, int code)
{
	if (c->measured && code < 0 && code >= ERR_NOMEM)
		measure_add(&c->service->measures.error[-code], 1);
}

static enum serve_outcome outcome_of(const struct serve_chat *c)
{
	static const char *const names[SERVE_OUTCOMES] = {
		"completed", "redacted", "blocked", "engine_limit", "aborted", "error",
	};
	int i = SERVE_FAILED;
	while (i > 0 && (!c->outcome || strcmp(names[i], c->outcome) != 0))
		i--;
	return c->outcome ? (enum serve_outcome)i : SERVE_FAILED;
}

struct counts {
	uint64_t prompt, output, cached;
	int64_t queued_us;
};

static struct counts count_tokens(const struct serve_chat *c)
{
	struct answer_facts a = { 0 };
	struct counts n = { .prompt = c->prompt_tokens, .output = c->drawn };
	if (!c->answer)
		return n;
	c->service->who->facts(c->answer, &a);
	n.cached = a.cached;
	uint64_t ids = 0;
	for (unsigned i = 0; i < a.choices; i++)
		ids += a.choice[i].count;
	n.output = ids ? ids : n.output;
	n.queued_us = a.queued_us;
	return n;
}

static void tell(const struct serve_chat *c, const struct counts *n, int64_t whole_us)
{
	struct serve_facts *f = c->facts;
	snprintf(f->model, sizeof f->model, "%s", c->service->model_name);
	snprintf(f->record, sizeof f->record, "%s", c->record);
	if (c->decision.bundle)
		digest_text(c->decision.bundle, f->bundle);
	f->outcome = c->outcome;
	for (unsigned i = 0; i < c->request.n && i < API_CHOICES; i++)
		f->finish[f->choices++] = serve_record_finish(c, i);
	f->prompt_tokens = n->prompt;
	f->completion_tokens = n->output;
	f->cached_tokens = n->cached;
	f->queued_us = n->queued_us;
	f->first_us = c->first_us;
	f->whole_us = whole_us;
}

void serve_measure_closed(struct serve_chat *c)
{
	if (!c->measured)
		return;
	struct serve_measures *m = &c->service->measures;
	struct counts n = count_tokens(c);
	int64_t whole_us = now_us(c) - c->asked_us;
	c->measured = false;
	measure_gauge_add(&m->running, -1);
	measure_add(&m->outcome[outcome_of(c)], 1);
	measure_add(&m->prompt_tokens, n.prompt);
	measure_add(&m->output_tokens, n.output);
	measure_add(&m->cached_tokens, n.cached);
	if (n.prompt)
		measure_add(n.cached ? &m->cache_hits : &m->cache_misses, 1);
	measure_note(&m->prompt, &measure_tokens, (int64_t)n.prompt);
	measure_note(&m->output, &measure_tokens, (int64_t)n.output);
	measure_note(&m->whole, &measure_waits, whole_us);
	if (n.queued_us)
		measure_note(&m->queued, &measure_waits, n.queued_us);
	if (c->facts)
		tell(c, &n, whole_us);
}
