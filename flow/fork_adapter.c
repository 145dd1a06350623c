#include "flow/fork_adapter.h"
#include "model/adapter.h"

#include <string.h>

#define CONFIG_FILE "adapter_config.json"
#define CONFIG_BYTES MIB(4)

/* The text of base_model_name_or_path, a new reference; NULL: none. */
static int declared_read(struct flow_fork_model *m, json_t **out, struct err *e)
{
	struct buf b = { 0 };
	struct err why = { 0 };
	json_t *root = NULL;
	*out = NULL;
	int rc = source_read_file(m->source, CONFIG_FILE, CONFIG_BYTES, &b, &why);
	if (rc == 0)
		rc = json_read_as(&root, b.bytes, b.len, CONFIG_BYTES, LIMIT_JSON_DEPTH,
				  JSON_PYTHON, &why);
	const json_t *name = json_object_get(root, "base_model_name_or_path");
	if (rc == 0 && json_string_length(name) > 0)
		*out = json_copy((json_t *)(uintptr_t)name);
	json_decref(root);
	buf_free(&b);
	return rc == 0 || rc == ERR_INPUT || rc == ERR_NOTFOUND ? 0
								: err_set(e, rc, "%s", why.text);
}

int flow_fork_adapter_card(struct flow_fork_model *m, struct err *e)
{
	struct flow_card *card = &m->facts.card;
	json_t *name;
	TRY(declared_read(m, &name, e));
	const char *text = json_string_value(name);
	/* What is no name of a hub is a path on somebody's disk. */
	if (card->bases == 0 && text && flow_name_ok(text) && strlen(text) < sizeof card->base[0]) {
		strcpy(card->base[card->bases++], text);
		if (*card->relation == '\0')
			strcpy(card->relation, "adapter");
	}
	json_decref(name);
	return 0;
}

static void fit_write(struct obj *o, const struct model_fit *f)
{
	obj_bool(o, "fits", f->fitting == f->modules);
	obj_count(o, "modules", f->modules);
	obj_count(o, "fitting", f->fitting);
	obj_count(o, "rank", f->rank);
	obj_measured(o, "relative_change", f->relative_l2);
	obj_text(o, "why", *f->why ? f->why : NULL);
}

/* Of a kind that is not read: nothing is known. */
static void unread_write(struct obj *o, const char *why)
{
	static const char *const keys[] = { "fits", "modules", "fitting", "rank",
					    "relative_change" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		obj_null(o, keys[i]);
	obj_add(o, "why", json_text_lossy(why));
}

int flow_fork_adapter(struct flow_fork_model *base, struct flow_fork_model *adapter, json_t **out,
		      struct err *e)
{
	struct model_adapter *a = NULL;
	struct model_fit f = { 0 };
	struct err why = { 0 };
	struct obj o = { 0 };
	json_t *declared;
	*out = NULL;
	if (!adapter->adapter)
		return 0;
	TRY(declared_read(adapter, &declared, e));
	int rc = model_adapter_open(&a, adapter->source, NULL, true, &why);
	if (rc == 0)
		rc = model_values_fit(base->values, a, &f, &why);
	if (rc == 0)
		fit_write(&o, &f);
	else
		unread_write(&o, why.text);
	model_adapter_close(a);
	obj_add(&o, "declared_base", declared ? declared : json_null());
	obj_text(&o, "meaning",
		 "an adapter holds no weights of its base: that it fits one proves no lineage, for "
		 "it fits every model of these shapes");
	if (rc < 0 && rc != ERR_INPUT && rc != ERR_UNSUPPORTED) {
		obj_free(&o);
		return err_set(e, rc, "%s", why.text);
	}
	return obj_done(&o, out, e);
}
