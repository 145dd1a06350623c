/* Writing the bundle whose form bundle.c describes. */
#include "base/json.h"
#include "base/limits.h"
#include "policy/rules.h"

#include <stdio.h>
#include <string.h>

static void add_strings(struct obj *o, const char *key, const struct strings *s)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < s->count; i++)
		arr_text(&list, s->item[i]);
	obj_array(o, key, &list);
}

/* With its version, which the text may leave out for the newest. */
static void add_detector(struct obj *o, const char *name)
{
	char text[128];
	if (strchr(name, '/'))
		snprintf(text, sizeof text, "%s", name);
	else
		snprintf(text, sizeof text, "%s/%u", name, filter_detector_version(name));
	obj_text(o, "detector", text);
}

static void add_decode(struct obj *o, uint32_t decode)
{
	struct arr list = { 0 };
	for (size_t i = 0; filter_decode_names[i]; i++)
		if (decode & 1u << i)
			arr_text(&list, filter_decode_names[i]);
	obj_array(o, "decode", &list);
}

static void add_match(struct obj *to, const struct policy_rule *x)
{
	struct obj o = { 0 };
	add_decode(&o, x->decode);
	if (x->literals.count) {
		if (x->file) {
			struct obj file = { 0 };
			obj_add(&file, "digest", json_digest(&x->file_digest));
			obj_text(&file, "name", x->file);
			obj_object(&o, "file", &file);
		}
		obj_text(&o, "fold", policy_fold_names[x->fold]);
		obj_count(&o, "gap_max", x->gap_max);
		add_strings(&o, "literals", &x->literals);
	} else if (x->regex) {
		obj_text(&o, "regex", x->regex);
		obj_count(&o, "repeat_max", x->repeat_max);
	} else {
		obj_text(&o, "context", filter_context_names[x->context]);
		add_detector(&o, x->detector);
	}
	obj_object(to, "match", &o);
}

static void add_phases(struct obj *o, const bool phase[POLICY_PHASES])
{
	struct arr list = { 0 };
	for (int i = 0; i < POLICY_PHASES; i++)
		if (phase[i])
			arr_text(&list, policy_phase_name((enum policy_phase)i));
	obj_array(o, "phase", &list);
}

void policy_add_rule(struct obj *o, const struct policy_rule *x)
{
	obj_text(o, "action", filter_action_name(x->action));
	add_strings(o, "controls", &x->controls);
	if (x->off)
		obj_bool(o, "enabled", false);
	if (x->except.count)
		add_strings(o, "except", &x->except);
	obj_text(o, "id", x->id);
	add_match(o, x);
	add_phases(o, x->phase);
	if (x->replace)
		obj_text(o, "replace", x->replace);
	if (x->severity)
		obj_text(o, "severity", x->severity);
}

void policy_add_override(struct obj *o, const struct policy_override *x)
{
	struct obj set = { 0 };
	if (x->given.action)
		obj_text(&set, "action", filter_action_name(x->action));
	if (x->given.context)
		obj_text(&set, "context", filter_context_names[x->context]);
	if (x->given.decode)
		add_decode(&set, x->decode);
	if (x->given.enabled)
		obj_bool(&set, "enabled", x->enabled);
	if (x->except.count)
		add_strings(&set, "except", &x->except);
	if (x->given.phase)
		add_phases(&set, x->phase);
	if (x->replace)
		obj_text(&set, "replace", x->replace);
	if (x->pack)
		obj_text(o, "from", x->pack);
	if (x->reason)
		obj_text(o, "reason", x->reason);
	obj_text(o, "rule", x->rule);
	obj_object(o, "set", &set);
}

/* The overrides, which an entry of the log names too. */
static int add_overrides(const struct policy *p, struct obj *to, struct err *e)
{
	struct arr list = { 0 };
	struct buf text = { 0 };
	for (size_t i = 0; i < p->overrides; i++) {
		struct obj o = { 0 };
		policy_add_override(&o, &p->override[i]);
		arr_object(&list, &o);
	}
	json_t *all = arr_take(&list);
	TRY(json_ok(all, e));
	int rc = json_write_canonical(all, &text, e);
	if (rc == 0)
		rc = buf_done(&text, e);
	if (rc == 0 && text.len > OVERRIDES_BYTES)
		rc = err_set(e, ERR_INPUT, "the overrides have %zu bytes, %d are accepted",
			     text.len, OVERRIDES_BYTES);
	buf_free(&text);
	obj_add(to, "overrides", all);
	return rc;
}

int policy_digest_rules(const json_t *rules, struct digest *out, struct err *e)
{
	struct buf text = { 0 };
	int rc = json_write_canonical(rules, &text, e);
	if (rc == 0)
		rc = buf_done(&text, e);
	*out = digest_of(text.bytes ? text.bytes : "", text.len);
	buf_free(&text);
	return rc;
}

/* The rules and their digest. */
static int add_rules(const struct policy *p, struct obj *o, struct err *e)
{
	struct arr rules = { 0 };
	struct digest digest;
	for (size_t i = 0; i < p->rules; i++) {
		struct obj x = { 0 };
		policy_add_rule(&x, &p->rule[i]);
		arr_object(&rules, &x);
	}
	json_t *list = arr_take(&rules);
	TRY(json_ok(list, e));
	int rc = policy_digest_rules(list, &digest, e);
	obj_add(o, "rules", list);
	obj_add(o, "rules_digest", json_digest(&digest));
	return rc;
}

static int bundle_json(const struct policy *p, json_t **out, struct err *e)
{
	struct obj o = { 0 }, head = { 0 };
	struct arr packs = { 0 };
	int rc = add_rules(p, &o, e);
	if (rc == 0)
		rc = add_overrides(p, &o, e);
	if (rc < 0) {
		obj_free(&o);
		return rc;
	}
	for (size_t i = 0; i < p->packs; i++) {
		struct obj pack = { 0 };
		obj_add(&pack, "digest", json_digest(&p->pack[i].digest));
		obj_text(&pack, "name", p->pack[i].name);
		arr_object(&packs, &pack);
	}
	obj_text(&head, "content", policy_content_name(p->content));
	add_strings(&head, "jurisdiction", &p->jurisdiction);
	obj_text(&head, "mode", policy_mode_name(p->mode));
	obj_text(&head, "name", p->name);
	obj_count(&head, "retention_days", p->retention_days);
	obj_count(&head, "version", p->version);
	obj_array(&o, "extends", &packs);
	obj_int(&o, "format", BUNDLE_FORMAT);
	obj_object(&o, "policy", &head);
	obj_add(&o, "source", json_digest(&p->source));
	obj_count(&o, "tables", filter_tables());
	return obj_done(&o, out, e);
}

int policy_compile(const struct policy *p, struct buf *bundle, struct err *e)
{
	json_t *o;
	TRY(bundle_json(p, &o, e));
	buf_add_text(bundle, BUNDLE_HEADER);
	int rc = json_write_canonical(o, bundle, e);
	json_decref(o);
	if (rc == 0)
		rc = buf_done(bundle, e);
	if (rc == 0 && bundle->len > LIMIT_BUNDLE_BYTES)
		rc = err_set(e, ERR_INPUT, "the bundle has %zu bytes, %zu are accepted",
			     bundle->len, LIMIT_BUNDLE_BYTES);
	return rc;
}
