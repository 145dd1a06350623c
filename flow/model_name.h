/* Private to flow/: what a text means that names a model, as cards, scripts and hubs write it. */
#ifndef FLOW_MODEL_NAME_H
#define FLOW_MODEL_NAME_H

enum flow_match {
	FLOW_OTHER, /* it names another model, or none that can be told */
	FLOW_ALIKE, /* it may be that one: the name without organisation, a path that ends in it, the
		     * same model in another format. Enough to confirm, not to contradict */
	FLOW_SAME,  /* that organisation and name */
};

/* How `text` names the model org/name (`model`; what stands behind an @ is left out). Upper and
 * lower case are one, as on hubs. Read are names, with a revision; addresses of hubs, with what
 * their pages add; links of Markdown; schemes (hf://, modelscope://); paths, also into a hub's
 * cache. */
enum flow_match flow_name_match(const char *text, const char *model);

#endif
