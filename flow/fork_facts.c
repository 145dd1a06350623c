/* What lies beside a model's weights: its card, tokenizer and template. */
#include "flow/fork_facts.h"
#include "base/limits.h"

#include <string.h>

/* 1 with the text, 0 where there is none of use. ERR_VERIFY: not the one that was signed, which
 * must not count as absent: the suspect would be told to differ from it. */
static int read_text(struct source *s, const char *name, size_t bytes_max, struct buf *out,
		     struct err *e)
{
	struct err why = { 0 };
	buf_clear(out);
	int rc = source_read_file(s, name, bytes_max, out, &why);
	if (rc == ERR_VERIFY)
		return err_set(e, rc, "%s", why.text);
	return rc == 0;
}

/* The template that tokenizer_config.json holds, where no file of its own does. */
static int read_old_template(struct flow_fork_facts *x, struct source *s, struct buf *b,
			     struct err *e)
{
	struct err none;
	json_t *config = NULL;
	int rc = read_text(s, "tokenizer_config.json", MIB(8), b, e);
	if (rc == 1 && json_read_as(&config, b->bytes, b->len, MIB(8), LIMIT_JSON_DEPTH,
				    JSON_PYTHON, &none) == 0) {
		const char *text = json_string_value(json_object_get(config, "chat_template"));
		if (text)
			x->chat_template = digest_of(text, strlen(text));
	}
	json_decref(config);
	return rc < 0 ? rc : 0;
}

int flow_fork_facts_read(struct flow_fork_facts *x, struct source *files, struct source *s,
			 struct err *e)
{
	struct buf b = { 0 };
	TRY(flow_card_read(files, &x->card, e));
	int rc = read_text(s, "tokenizer.json", LIMIT_JSON_BYTES, &b, e);
	if (rc == 1)
		x->tokenizer = digest_of(b.bytes, b.len);
	TRY_OUT(rc);
	rc = read_text(s, "chat_template.jinja", LIMIT_TEMPLATE_BYTES, &b, e);
	if (rc == 1)
		x->chat_template = digest_of(b.bytes, b.len);
	else if (rc == 0)
		rc = read_old_template(x, s, &b, e);
out:
	buf_free(&b);
	return rc < 0 ? rc : 0;
}

void flow_fork_facts_free(struct flow_fork_facts *x)
{
	json_decref(x->config);
	*x = (struct flow_fork_facts){ 0 };
}
