/* The bundle: what a policy becomes, and what serving loads. Written by compile.c.
 *
 *   "HMPOLICY1\n"  then one canonical JSON document (RFC 8785), nothing behind it:
 *   {"extends":[{"digest":"sha256:..","name":".."}],
 *    "format":3,
 *    "overrides":[{"from":"..","reason":"..","rule":"..","set":{..}}],
 *    "policy":{"content":"..","jurisdiction":[..],"mode":"..","name":"..","retention_days":n,
 *              "version":n},
 *    "rules":[{"action":"..","controls":[..],"enabled":false,"except":[..],"id":"..","match":{..},
 *              "phase":[..],"replace":"..","severity":".."}],
 *    "rules_digest":"sha256:..",
 *    "source":"sha256:..",
 *    "tables":n}
 * extends: packs by name, with the digest of their text. tables: filter_tables() of the program
 * that compiled it, the least that a reader must have. Rules are sorted by id, and are what the
 * overrides have made of them; enabled (only false), except (not empty), replace and severity may
 * be absent. phase: the parts in the order of enum policy_phase, "output" as the three that it is
 * short for. match is one of
 *   {"decode":[..],"file":{"digest":"sha256:..","name":".."},"fold":"..","gap_max":n,
 *    "literals":[..]}
 *   {"decode":[..],"regex":"..","repeat_max":n}
 *   {"context":"..","decode":[..],"detector":"pan/1"}
 * with file where the literals come of one, and the values that the text leaves out written out,
 * so that a new default changes no bundle.
 * overrides: in the order in which they act; from: the pack whose it is, absent for the policy's
 * own; set: what it gives, by key; reason may be absent. All of them have at most OVERRIDES_BYTES.
 * rules_digest: of the canonical JSON of rules, so that it stays when a policy goes from shadow to
 * enforce, and what was found out about the rules, and who approved them, goes with it. source: of
 * the policy's text, comments and all.
 *
 * Nothing of the machine is in it, no library's version either: the same text gives the same digest
 * everywhere. What the libraries were is in the log entry of the policy's loading.
 *
 * Valid: the header, canonical bytes, no other key, ids strictly ascending, a version in every
 * detector's name, rules_digest is that of the rules, and every rule compiles. Formats 1 and 2 are
 * refused. Signatures and approvals stand outside, over the bundle's bytes. */
#include "base/json.h"
#include "base/limits.h"
#include "policy/rules.h"

#include <stdlib.h>
#include <string.h>

static const char what[] = "policy bundle";

static int wrong(struct err *e, const char *key)
{
	return err_set(e, ERR_INPUT, "%s: %s is not as expected", what, key);
}

static int find(const char *const *names, const char *s, size_t *out)
{
	for (*out = 0; names[*out]; (*out)++)
		if (strcmp(names[*out], s) == 0)
			return 0;
	return ERR_INPUT;
}

/* An array of strings into the policy's arena. */
static int load_strings(struct policy *p, const json_t *o, const char *key, struct strings *out,
			struct err *e)
{
	json_t *a;
	TRY(json_get_array(o, key, &a, what, e));
	out->count = json_array_size(a);
	out->item = arena_array(&p->arena, out->count + 1, sizeof *out->item);
	if (!out->item)
		return err_set(e, ERR_NOMEM, "out of memory for a bundle");
	for (size_t i = 0; i < out->count; i++) {
		out->item[i] = json_string_value(json_array_get(a, i));
		if (!out->item[i])
			return wrong(e, key);
	}
	return 0;
}

static int load_u32(const json_t *o, const char *key, uint64_t most, uint32_t *out, struct err *e)
{
	uint64_t v;
	TRY(json_get_u64(o, key, &v, what, e));
	if (v > most)
		return wrong(e, key);
	*out = (uint32_t)v;
	return 0;
}

/* Names in the order of their bits, each once. */
static int load_decode(const json_t *m, struct policy_rule *x, struct err *e)
{
	json_t *a;
	size_t bit = 0, i;
	TRY(json_get_array(m, "decode", &a, what, e));
	for (i = 0; i < json_array_size(a) && filter_decode_names[bit]; bit++) {
		const char *s = json_string_value(json_array_get(a, i));
		if (s && strcmp(s, filter_decode_names[bit]) == 0) {
			x->decode |= 1u << bit;
			i++;
		}
	}
	if (!x->decode)
		x->decode = FILTER_DECODE_NONE;
	return i == json_array_size(a) ? 0 : wrong(e, "decode");
}

static int load_detector(const json_t *m, struct policy_rule *x, struct err *e)
{
	const char *context;
	size_t c;
	TRY(json_get_string(m, "detector", &x->detector, what, e));
	TRY(json_get_string(m, "context", &context, what, e));
	if (find(filter_context_names, context, &c) < 0)
		return wrong(e, "context");
	x->context = (enum filter_context)c;
	if (!strchr(x->detector, '/'))
		return wrong(e, "detector");
	if (!filter_detector_known(x->detector))
		return err_set(
			e, ERR_UNSUPPORTED,
			"the bundle was compiled with the detector \"%.60s\", which this "
			"program does not have: compile the policy again",
			x->detector);
	return 0;
}

/* Where the literals came from: they themselves stand in the bundle. */
static int load_file(const json_t *m, struct policy_rule *x, struct err *e)
{
	static const char *const keys[] = { "digest", "name", NULL };
	const char *digest;
	json_t *file;
	TRY(json_get_object(m, "file", &file, what, e));
	TRY(json_only_keys(file, keys, what, e));
	TRY(json_get_string(file, "name", &x->file, what, e));
	TRY(json_get_string(file, "digest", &digest, what, e));
	return digest_parse(digest, &x->file_digest, e);
}

static int load_match(struct policy *p, const json_t *m, struct policy_rule *x, struct err *e)
{
	static const char *const literal_keys[] = { "decode",  "file",     "fold",
						    "gap_max", "literals", NULL };
	static const char *const regex_keys[] = { "decode", "regex", "repeat_max", NULL },
				 *const detector_keys[] = { "context", "decode", "detector", NULL };
	const char *fold;
	size_t f;
	TRY(load_decode(m, x, e));
	if (json_object_get(m, "literals")) {
		TRY(json_only_keys(m, literal_keys, what, e));
		TRY(load_strings(p, m, "literals", &x->literals, e));
		if (json_object_get(m, "file"))
			TRY(load_file(m, x, e));
		TRY(json_get_string(m, "fold", &fold, what, e));
		TRY(load_u32(m, "gap_max", 64, &x->gap_max, e));
		if (find(policy_fold_names, fold, &f) < 0 || f > FILTER_FOLD_STRICT)
			return wrong(e, "fold");
		x->fold = (enum filter_fold)f;
		return 0;
	}
	if (json_object_get(m, "regex")) {
		TRY(json_only_keys(m, regex_keys, what, e));
		TRY(load_u32(m, "repeat_max", 1024, &x->repeat_max, e));
		return json_get_string(m, "regex", &x->regex, what, e);
	}
	TRY(json_only_keys(m, detector_keys, what, e));
	return load_detector(m, x, e);
}

/* The parts themselves, in their order; no short name for several. */
static int load_phases(const json_t *o, struct policy_rule *x, struct err *e)
{
	json_t *a;
	size_t i = 0;
	TRY(json_get_array(o, "phase", &a, what, e));
	for (int phase = 0; phase < POLICY_PHASES && i < json_array_size(a); phase++) {
		const char *s = json_string_value(json_array_get(a, i));
		x->phase[phase] = s && strcmp(s, policy_phase_name((enum policy_phase)phase)) == 0;
		i += x->phase[phase];
	}
	return i && i == json_array_size(a) ? 0 : wrong(e, "phase");
}

static int load_rule(struct policy *p, const json_t *o, struct policy_rule *x, struct err *e)
{
	static const char *const keys[] = { "action", "controls", "enabled", "except",   "id",
					    "match",  "phase",    "replace", "severity", NULL };
	const char *action;
	size_t severity;
	json_t *m;
	if (!json_is_object(o))
		return wrong(e, "rules");
	TRY(json_only_keys(o, keys, what, e));
	TRY(json_get_string(o, "id", &x->id, what, e));
	TRY(json_get_string(o, "action", &action, what, e));
	if (filter_action_parse(action, &x->action) < 0)
		return wrong(e, "action");
	if (json_object_get(o, "replace"))
		TRY(json_get_string(o, "replace", &x->replace, what, e));
	if (json_object_get(o, "severity")) {
		TRY(json_get_string(o, "severity", &x->severity, what, e));
		if (find(policy_severity_names, x->severity, &severity) < 0)
			return wrong(e, "severity");
	}
	TRY(load_strings(p, o, "controls", &x->controls, e));
	x->off = json_object_get(o, "enabled") != NULL;
	if (x->off && !json_is_false(json_object_get(o, "enabled")))
		return wrong(e, "enabled");
	if (json_object_get(o, "except")) {
		TRY(load_strings(p, o, "except", &x->except, e));
		if (x->except.count == 0)
			return wrong(e, "except");
	}
	TRY(load_phases(o, x, e));
	TRY(json_get_object(o, "match", &m, what, e));
	return load_match(p, m, x, e);
}

static int load_rules(struct policy *p, const json_t *o, struct err *e)
{
	json_t *a;
	TRY(json_get_array(o, "rules", &a, what, e));
	size_t n = json_array_size(a);
	p->rule = calloc(n + 1, sizeof *p->rule);
	if (!p->rule)
		return err_set(e, ERR_NOMEM, "out of memory for a bundle");
	for (; p->rules < n; p->rules++) {
		TRY(load_rule(p, json_array_get(a, p->rules), &p->rule[p->rules], e));
		if (p->rules && strcmp(p->rule[p->rules - 1].id, p->rule[p->rules].id) >= 0)
			return wrong(e, "the order of rules");
	}
	return 0;
}

static int load_head(struct policy *p, const json_t *o, struct err *e)
{
	static const char *const keys[] = { "content",        "jurisdiction", "mode", "name",
					    "retention_days", "version",      NULL };
	json_t *h;
	const char *mode, *content;
	size_t kept;
	TRY(json_get_object(o, "policy", &h, what, e));
	TRY(json_only_keys(h, keys, what, e));
	TRY(json_get_string(h, "name", &p->name, what, e));
	TRY(json_get_u64(h, "version", &p->version, what, e));
	TRY(load_u32(h, "retention_days", 36500, &p->retention_days, e));
	TRY(load_strings(p, h, "jurisdiction", &p->jurisdiction, e));
	TRY(json_get_string(h, "mode", &mode, what, e));
	TRY(json_get_string(h, "content", &content, what, e));
	if (find(policy_content_names, content, &kept) < 0)
		return wrong(e, "content");
	p->content = (enum policy_content)kept;
	if (strlen(p->name) > 127 || strlen(p->name) == 0)
		return wrong(e, "name");
	for (int m = POLICY_OFF; m <= POLICY_ENFORCE; m++)
		if (m != POLICY_CANARY &&
		    strcmp(mode, policy_mode_name((enum policy_mode)m)) == 0) {
			p->mode = (enum policy_mode)m;
			return 0;
		}
	return wrong(e, "mode");
}

static int load_packs(const json_t *o, struct err *e)
{
	static const char *const keys[] = { "digest", "name", NULL };
	json_t *a;
	TRY(json_get_array(o, "extends", &a, what, e));
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *x = json_array_get(a, i);
		const char *name, *text;
		struct digest d;
		if (!json_is_object(x))
			return wrong(e, "extends");
		TRY(json_only_keys(x, keys, what, e));
		TRY(json_get_string(x, "name", &name, what, e));
		TRY(json_get_string(x, "digest", &text, what, e));
		TRY(digest_parse(text, &d, e));
	}
	return 0;
}

/* They have acted: what the rules are stands in the rules. Here it says who wanted it and why. */
static int load_overrides(const json_t *o, json_t **out, struct err *e)
{
	static const char *const keys[] = { "from", "reason", "rule", "set", NULL },
				 *const set_keys[] = { "action", "context", "decode",  "enabled",
						       "except", "phase",   "replace", NULL };
	json_t *a, *set;
	const char *text;
	TRY(json_get_array(o, "overrides", &a, what, e));
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *x = json_array_get(a, i);
		if (!json_is_object(x))
			return wrong(e, "overrides");
		TRY(json_only_keys(x, keys, what, e));
		TRY(json_get_string(x, "rule", &text, what, e));
		if (json_object_get(x, "from"))
			TRY(json_get_string(x, "from", &text, what, e));
		if (json_object_get(x, "reason"))
			TRY(json_get_string(x, "reason", &text, what, e));
		TRY(json_get_object(x, "set", &set, what, e));
		TRY(json_only_keys(set, set_keys, what, e));
		if (json_object_size(set) == 0)
			return wrong(e, "set");
	}
	*out = json_incref(a);
	return 0;
}

static int load_digests(struct policy *p, const json_t *o, struct digest *rules, struct err *e)
{
	const char *source, *stated;
	struct digest d;
	TRY(json_get_string(o, "source", &source, what, e));
	TRY(json_get_string(o, "rules_digest", &stated, what, e));
	TRY(digest_parse(source, &p->source, e));
	TRY(digest_parse(stated, &d, e));
	TRY(policy_digest_rules(json_object_get(o, "rules"), rules, e));
	return digest_equal(&d, rules) ? 0 : wrong(e, "rules_digest");
}

static int load_document(struct policy *p, const json_t *o, struct policy_profile *x, struct err *e)
{
	static const char *const keys[] = { "extends", "format", "overrides",
					    "policy",  "rules",  "rules_digest",
					    "source",  "tables", NULL };
	uint64_t format, tables;
	TRY(json_get_u64(o, "format", &format, what, e));
	if (format != BUNDLE_FORMAT)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: policy bundle format %ju (this "
			       "program writes %d): compile the policy again",
			       (uintmax_t)format, BUNDLE_FORMAT);
	TRY(json_only_keys(o, keys, what, e));
	TRY(json_get_u64(o, "tables", &tables, what, e));
	if (tables > filter_tables())
		return err_set(e, ERR_UNSUPPORTED,
			       "the bundle needs tables %ju, this program has %u: a newer program "
			       "compiled it",
			       (uintmax_t)tables, filter_tables());
	TRY(load_packs(o, e));
	TRY(load_head(p, o, e));
	TRY(load_rules(p, o, e));
	TRY(load_overrides(o, &x->overrides, e));
	return load_digests(p, o, &x->rules, e);
}

/* ---- the profile */

static int build_phase(const struct policy *p, enum policy_phase phase, struct filter_set **out,
		       struct err *e)
{
	struct filter_rule *rule = calloc(p->rules + 1, sizeof *rule);
	size_t n = 0;
	if (!rule)
		return err_set(e, ERR_NOMEM, "out of memory for a policy");
	for (size_t i = 0; i < p->rules; i++)
		if (p->rule[i].phase[phase] && !p->rule[i].off)
			rule[n++] = policy_rule_filter(&p->rule[i]);
	int r = n ? filter_set_build(out, rule, n, e) : 0;
	free(rule);
	return r;
}

/* An earlier phase at which the same rules look, or -1. */
static int same_rules(const struct policy *p, int phase)
{
	for (int other = 0; other < phase; other++) {
		size_t i = 0;
		while (i < p->rules &&
		       (p->rule[i].off || p->rule[i].phase[other] == p->rule[i].phase[phase]))
			i++;
		if (i == p->rules)
			return other;
	}
	return -1;
}

/* Phases with the same rules share one set. */
static int build_profile(const struct policy *p, struct policy_profile *x, struct err *e)
{
	memcpy(x->name, p->name, strlen(p->name) + 1);
	x->version = p->version;
	x->mode = p->mode;
	x->retention_days = p->retention_days;
	x->source = p->source;
	x->content = p->content;
	for (int i = 0; i < POLICY_PHASES; i++) {
		int same = same_rules(p, i);
		if (same >= 0)
			x->set[i] = x->set[same];
		else
			TRY(build_phase(p, (enum policy_phase)i, &x->set[i], e));
	}
	return 0;
}

static int canonical(const json_t *o, const char *text, size_t len, struct err *e)
{
	struct buf again = { 0 };
	int r = json_write_canonical(o, &again, e);
	if (r == 0)
		r = buf_done(&again, e);
	if (r == 0 && (again.len != len || memcmp(again.bytes, text, len) != 0))
		r = err_set(e, ERR_INPUT, "%s: its bytes are not canonical", what);
	buf_free(&again);
	return r;
}

void policy_profile_free(struct policy_profile *x)
{
	if (!x)
		return;
	for (int i = 0; i < POLICY_PHASES; i++) {
		bool freed = false;
		for (int k = 0; k < i; k++)
			freed |= x->set[k] == x->set[i];
		if (!freed)
			filter_set_free(x->set[i]);
	}
	json_decref(x->overrides);
	free(x);
}

int policy_load(struct policy_profile **out, const void *bundle, size_t len, struct err *e)
{
	size_t head = sizeof BUNDLE_HEADER - 1;
	json_t *o = NULL;
	*out = NULL;
	if (len < head || memcmp(bundle, BUNDLE_HEADER, head) != 0)
		return err_set(e, ERR_INPUT, "%s: expected the header HMPOLICY1", what);
	const char *text = (const char *)bundle + head;
	TRY(json_read(&o, text, len - head, LIMIT_BUNDLE_BYTES, 8, e));
	struct policy *p = calloc(1, sizeof *p);
	struct policy_profile *x = calloc(1, sizeof *x);
	int r = p && x ? 0 : err_set(e, ERR_NOMEM, "out of memory for a policy");
	if (r == 0)
		r = json_is_object(o) ? canonical(o, text, len - head, e)
				      : wrong(e, "the document");
	if (r == 0)
		r = load_document(p, o, x, e);
	if (r == 0)
		r = build_profile(p, x, e);
	if (r == 0) {
		x->bundle = digest_of(bundle, len);
		*out = x;
		x = NULL;
	}
	policy_profile_free(x);
	policy_free(p);
	json_decref(o);
	return r;
}
