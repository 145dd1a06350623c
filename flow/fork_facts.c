/* What lies beside a model's weights: its card, tokenizer and templates. */
#include "flow/fork_facts.h"
#include "base/limits.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>

#define CONFIG_BYTES MIB(8)

int flow_text_read(struct source *s, const char *name, size_t bytes_max, struct buf *out,
		   struct err *why, struct err *e)
{
	buf_clear(out);
	*why = (struct err){ 0 };
	int rc = source_read_file(s, name, bytes_max, out, why);
	if (rc == ERR_VERIFY || rc == ERR_NOMEM)
		return err_set(e, rc, "%s", why->text);
	return rc == 0;
}

int flow_json_file_read(struct source *s, const char *name, size_t bytes_max, json_t **out,
			struct err *why, struct err *e)
{
	struct buf b = { 0 };
	*out = NULL;
	int rc = flow_text_read(s, name, bytes_max, &b, why, e);
	if (rc == 1)
		rc = json_read_as(out, b.bytes, b.len, bytes_max, LIMIT_JSON_DEPTH, JSON_PYTHON,
				  why) == 0;
	buf_free(&b);
	return rc;
}

/* ---- templates ---- */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || (c & 0x80); }

/* White space stays where it parts two words, as one blank: formatters and line ends change the
 * rest. */
static json_t *squeeze(const char *text, size_t len)
{
	struct buf b = { 0 };
	bool space = false;
	for (size_t i = 0; i < len; i++) {
		if (isspace((unsigned char)text[i])) {
			space = true;
			continue;
		}
		if (space && b.len && is_word(b.bytes[b.len - 1]) && is_word(text[i]))
			buf_add_byte(&b, ' ');
		space = false;
		buf_add_byte(&b, (unsigned char)text[i]);
	}
	json_t *out = b.failed ? NULL : json_text_lossy(b.bytes ? b.bytes : "");
	buf_free(&b);
	return out;
}

/* The first that gives one of that name counts. */
static void add_template(struct flow_templates *x, const char *name, const char *text, size_t len)
{
	if (name && text && len && !json_object_get(x->named, name))
		json_object_set_new(x->named, name, squeeze(text, len));
}

/* A text; a list of {name, template}; or a map of names. */
static void take_templates(struct flow_templates *x, const json_t *v)
{
	const json_t *one;
	const char *name;
	size_t i;
	if (json_is_string(v))
		add_template(x, "default", json_string_value(v), json_string_length(v));
	json_array_foreach(v, i, one) {
		const json_t *text = json_object_get(one, "template");
		add_template(x, json_string_value(json_object_get(one, "name")),
			     json_string_value(text), json_string_length(text));
	}
	json_object_foreach((json_t *)(uintptr_t)v, name, one)
		add_template(x, name, json_string_value(one), json_string_length(one));
}

/* additional_chat_templates/NAME.jinja */
static int read_named(struct flow_templates *x, struct source *s, struct buf *b, struct err *e)
{
	static const char folder[] = "additional_chat_templates/", end[] = ".jinja";
	const char *file;
	for (size_t i = 0; (file = source_name(s, i)); i++) {
		struct err why;
		char name[128];
		size_t len = strlen(file);
		if (!text_starts(file, folder) || !text_ends(file, end))
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(len - strlen(folder) - strlen(end)),
			 file + strlen(folder));
		TRY(flow_text_read(s, file, LIMIT_TEMPLATE_BYTES, b, &why, e));
		add_template(x, name, b->bytes, b->len);
	}
	return 0;
}

static int read_templates(struct flow_templates *x, struct source *s, const json_t *config,
			  struct err *e)
{
	struct buf b = { 0 };
	struct err why;
	json_t *processor = NULL;
	int rc = flow_text_read(s, "chat_template.jinja", LIMIT_TEMPLATE_BYTES, &b, &why, e);
	if (rc == 1)
		add_template(x, "default", b.bytes, b.len);
	if (rc >= 0)
		rc = read_named(x, s, &b, e);
	if (rc >= 0)
		rc = flow_json_file_read(s, "chat_template.json", CONFIG_BYTES, &processor, &why,
					 e);
	buf_free(&b);
	take_templates(x, json_object_get(config, "chat_template"));
	take_templates(x, json_object_get(processor, "chat_template"));
	json_decref(processor);
	return rc < 0 ? rc : 0;
}

/* ---- all of it ---- */

/* Bits of the codes that a config declares. */
static unsigned stored_bits(const json_t *config)
{
	const json_t *q = json_object_get(config, "quantization_config");
	const char *method = json_string_value(json_object_get(q, "quant_method"));
	static const struct {
		const char *key;
		unsigned bits;
	} flags[] = { { "load_in_4bit", 4 },
		      { "_load_in_4bit", 4 },
		      { "load_in_8bit", 8 },
		      { "_load_in_8bit", 8 } };
	json_int_t bits = json_integer_value(json_object_get(q, "bits"));
	if (bits >= 1 && bits <= 8)
		return (unsigned)bits;
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (json_is_true(json_object_get(q, flags[i].key)))
			return flags[i].bits;
	if (method && (strcmp(method, "fp8") == 0 || strcmp(method, "fbgemm_fp8") == 0))
		return 8;
	return method && strcmp(method, "mxfp4") == 0 ? 4 : 0;
}

static int read_config(struct flow_fork_facts *x, struct source *s, json_t **out, struct err *e)
{
	static const char file[] = "tokenizer_config.json";
	struct err why;
	int rc = flow_json_file_read(s, file, CONFIG_BYTES, out, &why, e);
	if (rc == 0 && why.code != ERR_NOTFOUND)
		snprintf(x->templates.problem, sizeof x->templates.problem, "%s: %.120s", file,
			 why.text);
	return rc < 0 ? rc : 0;
}

/* A GGUF file without a card says what it was made of. */
static int read_card(struct flow_fork_facts *x, struct source *files, struct source *s,
		     struct err *e)
{
	static const struct digest none;
	TRY(flow_card_read(files, &x->card, e));
	bool silent = digest_equal(&x->card.text, &none) && !x->card.problem[0];
	return x->gguf && silent ? flow_card_read_as(s, "general.md", &x->card, e) : 0;
}

int flow_fork_facts_read(struct flow_fork_facts *x, struct source *files, struct source *s,
			 struct err *e)
{
	struct err why;
	json_t *config = NULL;
	int rc = 0;
	x->bits = stored_bits(x->config);
	x->templates.named = json_object();
	TRY(json_ok(x->templates.named, e));
	TRY(read_card(x, files, s, e));
	rc = flow_json_file_read(s, "generation_config.json", CONFIG_BYTES, &x->generation, &why,
				 e);
	TRY(rc < 0 ? rc : 0);
	TRY_OUT(read_config(x, s, &config, e));
	TRY_OUT(read_templates(&x->templates, s, config, e));
	TRY_OUT(flow_tokenizer_read(&x->tokenizer, s, config, e));
	TRY_OUT(flow_licence_read(&x->licences, files, e));
out:
	json_decref(config);
	return rc;
}

void flow_fork_facts_free(struct flow_fork_facts *x)
{
	json_decref(x->config);
	json_decref(x->generation);
	json_decref(x->templates.named);
	flow_tokenizer_free(&x->tokenizer);
	*x = (struct flow_fork_facts){ 0 };
}
