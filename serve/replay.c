/* Replay: run a recorded request again and compare the two records field by field. In the regime
 * of the record every token, every emitted byte and the digest of the last logits must come out the
 * same; what differs is named. In another regime the bits are others by right: nothing is run, and
 * the report says which one it takes. */
#include "base/arena.h"
#include "base/build.h"
#include "base/canonical.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "flow/policy.h"
#include "serve/replay.h"
#include "serve/chat.h"
#include "serve/compute.h"
#include "serve/replay_libraries.h"

#include <string.h>

struct replay {
	struct flow *flow;
	uint64_t index;
	json_t *entry, *vault;
	struct serve_service *service;
	struct serve_chat *chat;
	size_t fields;                    /* of the record, as far as they are known here */
	const char *was[DECISION_FIELDS]; /* recorded values, by the log's table; else null */
	struct arena values;
	struct engine_means here; /* of this machine, by the options of the record */
	const json_t *request;    /* as it was kept; and what of it is not in that: */
	char record[96];
	struct digest body;
	json_t *scans, *interventions;
};

/* Who asked and when, and on which machine: these differ by nature and are shown, not compared. */
static bool compared(const char *field)
{
	static const char *const not [] = { "subject",    "client", "timing", "engine_build",
					    "kernel_set", "device", "ended" };
	for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
		if (strcmp(field, not [i]) == 0)
			return false;
	return true;
}

static const char *field_name(size_t f) { return audit_type_find("decision")->field[f]; }

static const char *recorded(const struct replay *r, const char *field)
{
	size_t f = 0;
	while (f < DECISION_FIELDS && strcmp(field_name(f), field) != 0)
		f++;
	check(f < DECISION_FIELDS);
	return r->was[f];
}

/* The disclosed values as canonical text, which does not tell 1 from 1.0. A decision only appends
 * fields: what an older record lacks reads as null, what a newer one has beyond is not looked at.
 */
static int read_values(struct replay *r, struct err *e)
{
	const json_t *fields = json_object_get(r->vault, "fields");
	size_t there = json_array_size(fields);
	r->fields = there < DECISION_FIELDS ? there : DECISION_FIELDS;
	for (size_t f = r->fields; f < DECISION_FIELDS; f++)
		r->was[f] = "null";
	for (size_t f = 0; f < r->fields; f++) {
		const json_t *field = json_array_get(fields, f);
		const json_t *value = json_object_get(field, "value");
		const char *name = json_string_value(json_object_get(field, "name"));
		struct buf text = { 0 };
		if (!value || !name || strcmp(name, field_name(f)) != 0)
			return err_set(e, ERR_INPUT, "entry %llu has no field %s",
				       (unsigned long long)r->index, field_name(f));
		int rc = json_write_canonical(value, &text, e);
		if (rc == 0 && !(r->was[f] = arena_copy(&r->values, text.bytes, text.len)))
			rc = err_set(e, ERR_NOMEM, "out of memory");
		buf_free(&text);
		TRY(rc);
	}
	return 0;
}

/* What records of before name otherwise: the phase "output" was the content alone. */
static int rename_phases(const json_t *fields, struct err *e)
{
	for (size_t f = 0; f < json_array_size(fields); f++) {
		const json_t *list = json_object_get(json_array_get(fields, f), "value");
		for (size_t i = 0; i < json_array_size(list); i++) {
			json_t *one = json_array_get(list, i);
			const char *phase = json_string_value(json_object_get(one, "phase"));
			if (phase && strcmp(phase, "output") == 0 &&
			    json_object_set_new(one, "phase", json_string("content")) < 0)
				return err_set(e, ERR_NOMEM, "out of memory");
		}
	}
	return 0;
}

static int load_record(struct replay *r, struct err *e)
{
	struct buf text = { 0 };
	int rc = audit_log_entry(flow_log(r->flow), r->index, &text, e);
	if (rc == 0)
		rc = json_read(&r->entry, text.bytes, text.len, LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH,
			       e);
	if (rc == 0) {
		const char *type = json_string_value(json_object_get(r->entry, "type"));
		if (!type || strcmp(type, "decision") != 0)
			rc = err_set(e, ERR_INPUT,
				     "entry %llu is of type %s: only a decision can be replayed",
				     (unsigned long long)r->index, type ? type : "?");
	}
	if (rc == 0)
		rc = audit_vault_read(flow_log(r->flow), r->index, &r->vault, e);
	if (rc == ERR_NOTFOUND && r->entry)
		rc = audit_vault_why(flow_log(r->flow), r->index, e);
	if (rc == 0)
		rc = audit_fields_check(text.bytes, text.len, json_object_get(r->vault, "fields"),
					e);
	if (rc == 0)
		rc = rename_phases(json_object_get(r->vault, "fields"), e);
	buf_free(&text);
	return rc < 0 ? rc : read_values(r, e);
}

/* A field whose value is one JSON string, without its quotes; "" for null. */
static void plain(const char *value, char *out, size_t room)
{
	size_t n = strlen(value);
	snprintf(out, room, "%.*s", value[0] == '"' && n > 2 ? (int)(n - 2) : 0, value + 1);
}

/* ---- regimes ---- */

/* "kernel_regimes" of the record; before regimes had names it held the word for the numerics. */
static const char *recorded_regimes(const struct replay *r)
{
	const char *was = recorded(r, "kernel_regimes");
	if (strcmp(was, "[\"canonical\"]") == 0)
		return "[\"cpu/1\"]";
	return strcmp(was, "[\"fast\"]") == 0 ? "[\"cpu-fast-bf16/1\"]" : was;
}

/* How the recorded engine computed; NULL and 0 where the record does not say. */
static struct serve_compute recorded_compute(const struct replay *r)
{
	const json_t *kept = json_object_get(r->vault, "retained");
	const json_t *engine = json_object_get(kept, "engine");
	/* a record of a GPU needs one; others were computed on the CPU, whatever is here */
	bool gpu = strncmp(recorded_regimes(r), "[\"cuda", 6) == 0;
	return (struct serve_compute){
		.device = gpu ? "cuda,cpu" : "cpu",
		.weights = json_string_value(json_object_get(engine, "weights")),
		.cache = json_string_value(json_object_get(engine, "cache")),
		.numerics = json_string_value(json_object_get(engine, "numerics")),
	};
}

/* ERR_UNAVAILABLE: this program does not know the record's words for how it computed. */
static int find_means(struct replay *r, struct err *e)
{
	struct engine_options means;
	struct serve_compute how = recorded_compute(r);
	int rc = serve_compute_read(&how, &means, e);
	if (rc == ERR_USAGE)
		return err_set(e, ERR_UNAVAILABLE,
			       "entry %llu cannot be replayed here: this program knows no weights "
			       "%.20s, cache %.20s and numerics %.20s together",
			       (unsigned long long)r->index, how.weights, how.cache, how.numerics);
	TRY(rc);
	return engine_means(&means, &r->here, e);
}

static bool same_regime(const struct replay *r)
{
	char here[80];
	snprintf(here, sizeof here, "[\"%s\"]", r->here.regime);
	return strcmp(here, recorded_regimes(r)) == 0;
}

/* ---- running it again ---- */

/* What this program or machine is short of is no fault of the record. */
static int cannot_here(const struct replay *r, int rc, struct err *e)
{
	if (rc != ERR_UNSUPPORTED || !e)
		return rc == ERR_UNSUPPORTED ? ERR_UNAVAILABLE : rc;
	struct err why = *e;
	return err_set(e, ERR_UNAVAILABLE, "entry %llu cannot be replayed here: %.500s",
		       (unsigned long long)r->index, why.text);
}

/* The adapter that was merged, as weights_format names it; "" for none. */
static void recorded_adapter(const struct replay *r, char *out, size_t room)
{
	json_t *was = json_loads(recorded(r, "weights_format"), JSON_DECODE_ANY, NULL);
	const json_t *adapter = json_object_get(was, "adapter");
	const char *root = json_string_value(json_object_get(adapter, "root"));
	snprintf(out, room, "%s", root ? root : "");
	json_decref(was);
}

static int open_service(struct replay *r, const struct serve_replay_options *o, struct err *e)
{
	char root[DIGEST_TEXT_ROOM], bundle[DIGEST_TEXT_ROOM], path[LIMIT_PATH_BYTES];
	char adapter[DIGEST_TEXT_ROOM];
	recorded_adapter(r, adapter, sizeof adapter);
	plain(recorded(r, "model_root"), root, sizeof root);
	plain(recorded(r, "policy_bundle"), bundle, sizeof bundle);
	if (bundle[0])
		TRY(flow_policy_find(r->flow, bundle, path, e));
	const json_t *kept = json_object_get(r->vault, "retained");
	json_int_t context = json_integer_value(json_object_get(kept, "context_max"));
	struct serve_options serve = {
		.ref = o->ref ? o->ref : root,
		.adapter = o->adapter   ? o->adapter
			   : adapter[0] ? adapter
					: NULL,
		.policy = bundle[0] ? path : NULL,
		.unsigned_ok = o->unsigned_ok,
		.compute = recorded_compute(r),
		.context_max = context > 0 && context <= UINT32_MAX ? (uint32_t)context : 0,
	};
	return cannot_here(r, serve_service_open_replay(&r->service, r->flow, &serve, e), e);
}

/* Those of a request's texts: [{phase, ...}]. */
static json_t *of_request(const json_t *list)
{
	static const char *const phase[] = { "input", "tool_results", "metadata" };
	struct arr out = { 0 };
	const json_t *item;
	size_t i;
	json_array_foreach(list, i, item) {
		const char *is = json_string_value(json_object_get(item, "phase"));
		for (size_t k = 0; is && k < sizeof phase / sizeof *phase; k++)
			if (strcmp(is, phase[k]) == 0)
				arr_add(&out, json_incref((json_t *)(uintptr_t)item));
	}
	return arr_take(&out);
}

/* The recorded value of a field, by the log's table. */
static json_t *value_of(const struct replay *r, const char *name)
{
	const json_t *f;
	size_t i;
	json_array_foreach(json_object_get(r->vault, "fields"), i, f) {
		const char *is = json_string_value(json_object_get(f, "name"));
		if (is && strcmp(is, name) == 0)
			return json_object_get(f, "value");
	}
	return NULL;
}

static int read_given(struct replay *r, struct serve_chat_given *out, struct err *e)
{
	const json_t *shape = json_object_get(value_of(r, "route"), "shape");
	const char *worker = json_string_value(json_object_get(r->entry, "worker"));
	const char *body = json_string_value(value_of(r, "request_bytes_digest"));
	json_int_t n = json_integer_value(json_object_get(r->entry, "n"));
	snprintf(r->record, sizeof r->record, "%.60s/%lld", worker ? worker : "", (long long)n);
	out->record = r->record;
	out->shape = shape ? api_shape_of(json_string_value(shape)) : API_CHAT;
	if (out->shape == API_SHAPES)
		return err_set(e, ERR_UNAVAILABLE, "entry %llu: its API is not known here",
			       (unsigned long long)r->index);
	out->body = body && digest_parse(body, &r->body, NULL) == 0 ? &r->body : NULL;
	out->without_effect = value_of(r, "parameters_without_effect");
	out->from_model = json_object_get(value_of(r, "sampling"), "from_model");
	out->constraint_field =
		json_string_value(json_object_get(value_of(r, "constraint"), "from"));
	if (serve_keeps(r->service->bundle->profile) == POLICY_FULL)
		return 0;
	out->scans = r->scans = of_request(value_of(r, "scans"));
	out->interventions = r->interventions = of_request(value_of(r, "interventions"));
	return 0;
}

/* The text of the request, or why there is none. */
static int find_request(struct replay *r, struct err *e)
{
	const json_t *kept = json_object_get(r->vault, "retained");
	const char *why = json_string_value(json_object_get(kept, "not_kept"));
	r->request = json_object_get(kept, "request");
	if (json_is_string(r->request))
		return 0;
	return err_set(e, ERR_UNAVAILABLE,
		       "entry %llu cannot be replayed: its content was not kept (%s)",
		       (unsigned long long)r->index, why ? why : "as its policy wants");
}

static int run(struct replay *r, const struct serve_replay_options *o, struct err *e)
{
	const json_t *kept = json_object_get(r->vault, "retained");
	const char *seed = json_string_value(json_object_get(kept, "seed"));
	struct serve_chat_given given = { .given = true, .seed = o->seed };
	given.created_us = (int64_t)json_integer_value(json_object_get(kept, "created_us"));
	if (!o->has_seed && (!seed || text_parse_i64(seed, strlen(seed), &given.seed) < 0))
		return err_set(e, ERR_INPUT, "entry %llu: its seed was not kept",
			       (unsigned long long)r->index);
	TRY(read_given(r, &given, e));
	int rc = serve_chat_open_given(&r->chat, r->service, json_string_value(r->request),
				       json_string_length(r->request), NULL, &given, e);
	struct api_piece piece;
	do
		rc = rc < 0 ? rc : serve_chat_next(r->chat, &piece, e);
	while (rc == SERVE_TEXT);
	return rc < 0 ? rc : 0;
}

/* ---- the report ---- */

static int add_difference(json_t *list, const char *field, const char *was, const char *now,
			  struct err *e)
{
	if (strcmp(was, now) == 0)
		return 0;
	json_t *item = json_pack("{s:s,s:s,s:s}", "field", field, "recorded", was, "found", now);
	return json_array_append_new(list, item) < 0 ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

/* [{field, recorded, found}], in the record's order. */
static int differences(const struct replay *r, json_t *list, struct err *e)
{
	struct decision_fields now;
	TRY(serve_decision_fields(&r->chat->decision, &now, e));
	int rc = 0;
	for (size_t f = 0; f < r->fields && rc == 0; f++) {
		const char *name = now.field[f].name;
		bool regimes = strcmp(name, "kernel_regimes") == 0; /* same_regime was here */
		if (compared(name) && !regimes)
			rc = add_difference(list, name, r->was[f], now.text[f], e);
	}
	serve_decision_fields_free(&now);
	return rc;
}

/* The recorded ids of a choice. */
static const json_t *recorded_ids(const struct replay *r, unsigned choice)
{
	const json_t *ids = json_object_get(json_object_get(r->vault, "retained"), "output_ids");
	return json_is_array(json_array_get(ids, 0)) ? json_array_get(ids, choice) : ids;
}

/* The first generated token of a choice that differs, or -1. */
static json_int_t first_of(const struct replay *r, unsigned choice)
{
	const struct answer_choice_facts *now = &r->chat->decision.answer.choice[choice];
	const json_t *was = recorded_ids(r, choice);
	const uint32_t *id = now->id;
	size_t count = now->count;
	if (!json_is_array(was)) /* not kept: digests of text and logits tell */
		return -1;
	size_t most = json_array_size(was) > count ? json_array_size(was) : count;
	for (size_t i = 0; i < most; i++)
		if (i >= count || i >= json_array_size(was) ||
		    json_integer_value(json_array_get(was, i)) != (json_int_t)id[i])
			return (json_int_t)i;
	return -1;
}

/* Of the first choice that differs. */
static json_int_t first_token(const struct replay *r)
{
	for (unsigned i = 0; i < r->chat->request.n; i++)
		if (first_of(r, i) >= 0)
			return first_of(r, i);
	return -1;
}

/* Of all choices. */
static json_int_t token_count(const struct replay *r)
{
	const json_t *count = value_of(r, "output_count"), *each;
	json_int_t all = json_integer_value(count);
	size_t i;
	json_array_foreach(count, i, each)
		all += json_integer_value(each);
	return all;
}

/* Those that match the policy's rules, and have another version here. */
static int add_libraries(const struct replay *r, struct obj *o, struct err *e)
{
	char bundle[DIGEST_TEXT_ROOM];
	json_t *list;
	plain(recorded(r, "policy_bundle"), bundle, sizeof bundle);
	TRY(serve_replay_libraries(r->flow, r->entry, bundle, &list, e));
	obj_add(o, "libraries", list);
	return 0;
}

/* Which program computed, and which would here. */
static void add_machines(const struct replay *r, struct obj *o)
{
	char set[32], build[160];
	json_t *regimes = json_loads(recorded_regimes(r), JSON_DECODE_ANY, NULL);
	plain(recorded(r, "kernel_set"), set, sizeof set);
	plain(recorded(r, "engine_build"), build, sizeof build);
	obj_text(o, "regime", r->here.regime);
	obj_add(o, "regimes_recorded", regimes);
	obj_text(o, "kernels_recorded", set);
	obj_text(o, "kernels_here", r->here.set);
	obj_text(o, "build_recorded", build);
	obj_text(o, "build_here", build_id());
	obj_int(o, "tokens", token_count(r));
}

/* After run, or without it where the regime is another. list is taken. */
static int describe(struct replay *r, const char *verdict, json_t *list, json_t **report,
		    struct err *e)
{
	struct obj o = { 0 };
	const json_t *first = json_object_get(json_array_get(list, 0), "field");
	obj_bool(&o, "equal", strcmp(verdict, "equal") == 0);
	obj_text(&o, "verdict", verdict);
	obj_text(&o, "first_difference", json_string_value(first));
	add_machines(r, &o);
	obj_add(&o, "first_token", r->chat ? json_integer(first_token(r)) : json_null());
	obj_text(&o, "finish_reason", r->chat ? serve_record_finish(r->chat, 0) : NULL);
	obj_add(&o, "differences", list);
	int rc = add_libraries(r, &o, e);
	if (rc < 0)
		obj_free(&o);
	return rc < 0 ? rc : obj_done(&o, report, e);
}

static int refuse_regime(struct replay *r, json_t **report, struct err *e)
{
	json_t *list = json_array();
	struct buf here = { 0 };
	json_put_open(&here, NULL, '[');
	json_put_text(&here, NULL, r->here.regime);
	json_put_close(&here, ']');
	int rc = buf_done(&here, e);
	if (rc == 0)
		rc = add_difference(list, "kernel_regimes", recorded_regimes(r), here.bytes, e);
	buf_free(&here);
	if (rc < 0)
		json_decref(list);
	return rc < 0 ? rc : describe(r, "other regime", list, report, e);
}

static int run_and_compare(struct replay *r, const struct serve_replay_options *o, json_t **report,
			   struct err *e)
{
	TRY(open_service(r, o, e));
	TRY(run(r, o, e));
	json_t *list = json_array();
	int rc = differences(r, list, e);
	if (rc < 0)
		json_decref(list);
	bool equal = json_array_size(list) == 0;
	return rc < 0 ? rc : describe(r, equal ? "equal" : "different", list, report, e);
}

int serve_replay(struct flow *f, uint64_t index, const struct serve_replay_options *o,
		 json_t **report, struct err *e)
{
	struct replay r = { .flow = f, .index = index };
	*report = NULL;
	int rc = load_record(&r, e);
	if (rc == 0)
		rc = find_request(&r, e);
	if (rc == 0)
		rc = find_means(&r, e);
	if (rc == 0)
		rc = same_regime(&r) ? run_and_compare(&r, o, report, e)
				     : refuse_regime(&r, report, e);
	serve_chat_close(r.chat);
	serve_service_close(r.service);
	json_decref(r.scans);
	json_decref(r.interventions);
	json_decref(r.entry);
	json_decref(r.vault);
	arena_free(&r.values);
	return rc;
}
