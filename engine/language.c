/* Tokenizer and chat template of one model folder.
 *
 * The template is chat_template.jinja, else chat_template of tokenizer_config.json: a string, or
 * a list of {name, template} of which "default" and "tool_use" are used. Messages are given to it
 * in the form that it wants: history.h. */
#include "engine/language.h"
#include "engine/history.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "template/template.h"
#include "tokenizer/tokenizer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES MIB(16)
#define TIKTOKEN_BYTES MIB(64)

struct language {
	struct tokenizer *tokenizer;
	struct language_facts facts;
	struct buf notes;
	struct buf template,
		tool_template; /* tool_template: used when tools are given, may be empty */
	json_t *tokens;        /* "bos_token" ... -> string */
	struct engine_history_form form;
	struct reply_family family;
	pthread_mutex_t lock;      /* of trees */
	struct token_trees *trees; /* NULL until asked for */
};

/* ---- opening ---- */

/* Add a line to what is said of the folder at load. */
static void language_note(struct language *t, const char *line)
{
	buf_printf(&t->notes, "%s\n", line);
}

/* 1 if the file is there, 0 if not. */
static int read_optional(struct source *src, const char *name, size_t bytes_max, struct buf *out,
			 struct err *e)
{
	int rc = source_read_file(src, name, bytes_max, out, e);
	return rc == ERR_NOTFOUND ? 0 : rc < 0 ? rc : 1;
}

static int read_json(struct source *src, const char *name, json_t **out, struct err *e)
{
	struct buf b = { 0 };
	*out = NULL;
	int rc = read_optional(src, name, CONFIG_BYTES, &b, e);
	if (rc == 1) {
		rc = json_read_as(out, b.bytes ? b.bytes : "", b.len, CONFIG_BYTES,
				  LIMIT_JSON_DEPTH, JSON_PYTHON, e);
		if (rc < 0)
			rc = err_prefix(e, "%s", name);
		else if (!json_is_object(*out))
			rc = err_set(e, ERR_INPUT, "%s is not an object", name);
	}
	buf_free(&b);
	return rc < 0 ? rc : 0;
}

/* Every NAME_token that is a string, or an added token with content; those already there stay. */
static int collect_tokens(json_t *tokens, const json_t *config, struct err *e)
{
	const char *name;
	json_t *v;
	json_object_foreach((json_t *)config, name, v) {
		const json_t *text = json_is_object(v) ? json_object_get(v, "content") : v;
		if (!text_ends(name, "_token") || !json_is_string(text) ||
		    json_object_get(tokens, name))
			continue;
		if (json_object_set_new(tokens, name, json_string(json_string_value(text))) < 0)
			return err_set(e, ERR_NOMEM, "out of memory for tokenizer_config.json");
	}
	return 0;
}

static int template_from_config(struct language *t, const json_t *config, struct buf *out,
				struct err *e)
{
	const json_t *c = json_object_get(config, "chat_template"), *row;
	size_t i;
	if (json_is_string(c))
		buf_add_text(out, json_string_value(c));
	json_array_foreach((json_t *)c, i, row) {
		const char *name = json_string_value(json_object_get(row, "name"));
		const char *text = json_string_value(json_object_get(row, "template"));
		if (!name || !text)
			return err_set(
				e, ERR_INPUT,
				"tokenizer_config.json: a chat template without name or text");
		if (strcmp(name, "default") == 0)
			buf_add_text(out, text);
		else if (strcmp(name, "tool_use") == 0)
			buf_add_text(&t->tool_template, text);
	}
	return buf_done(out, e) < 0 ? ERR_NOMEM : buf_done(&t->tool_template, e);
}

static int open_template(struct language *t, struct source *src, const json_t *config,
			 struct err *e)
{
	struct buf other = { 0 };
	int found =
		read_optional(src, "chat_template.jinja", LIMIT_TEMPLATE_BYTES, &t->template, e);
	int rc = found < 0 ? found : template_from_config(t, config, &other, e);
	if (rc == 0 && found == 1) {
		bool differ = other.len && (other.len != t->template.len ||
					    memcmp(other.bytes, t->template.bytes, other.len) != 0);
		if (differ)
			language_note(t, "chat_template.jinja differs from the template in "
					 "tokenizer_config.json and is used");
		buf_free(&t->tool_template); /* it belongs to the other one */
		buf_free(&other);
	} else if (rc == 0) {
		t->template = other;
	} else {
		buf_free(&other);
	}
	t->facts.has_template = rc == 0 && t->template.len > 0;
	if (t->facts.has_template)
		t->facts.chat_template = digest_of(t->template.bytes, t->template.len);
	return rc;
}

static int open_tokens(struct language *t, const json_t *config, const json_t *map, struct err *e)
{
	t->tokens = json_object();
	if (!t->tokens)
		return err_set(e, ERR_NOMEM, "out of memory for the special tokens");
	TRY(collect_tokens(t->tokens, config, e));
	TRY(collect_tokens(t->tokens, map, e));
	t->facts.bos = json_string_value(json_object_get(t->tokens, "bos_token"));
	t->facts.eos = json_string_value(json_object_get(t->tokens, "eos_token"));
	t->facts.bos_id = t->facts.bos ? language_id_of(t, t->facts.bos) : UINT32_MAX;
	t->facts.eos_id = t->facts.eos ? language_id_of(t, t->facts.eos) : UINT32_MAX;
	return 0;
}

static void probe(struct language *t);
static void note_template(struct language *t);

/* tokenizer.json, else tiktoken.model: 1 if there is one, 0 if not. */
static int open_tokenizer(struct language *t, struct source *src, const json_t *config,
			  struct err *e)
{
	struct buf file = { 0 };
	int found = read_optional(src, "tokenizer.json", LIMIT_JSON_BYTES, &file, e), rc = found;
	if (found == 1)
		rc = tokenizer_open(&t->tokenizer, file.bytes ? file.bytes : "", file.len, e);
	else if (found == 0)
		found = rc = read_optional(src, "tiktoken.model", TIKTOKEN_BYTES, &file, e);
	if (found == 1 && !t->tokenizer && rc == 1)
		rc = tokenizer_open_tiktoken(&t->tokenizer, file.bytes ? file.bytes : "", file.len,
					     config, e);
	if (found == 1 && rc == 0) {
		check(t->tokenizer != NULL);
		t->facts.tokenizer = digest_of(file.bytes, file.len);
		t->facts.tokens_real = tokenizer_ids(t->tokenizer);
		t->facts.token_bytes_max = tokenizer_bytes_max(t->tokenizer);
		tokenizer_unicode_version(t->facts.unicode);
	}
	buf_free(&file);
	return rc < 0 ? rc : found;
}

/* 1 if the folder has a tokenizer. */
static int open_all(struct language *t, struct source *src, struct err *e)
{
	json_t *config = NULL, *map = NULL;
	int rc = read_json(src, "tokenizer_config.json", &config, e), found = 0;
	if (rc == 0)
		rc = found = open_tokenizer(t, src, config, e);
	if (rc == 1)
		rc = read_json(src, "special_tokens_map.json", &map, e);
	if (rc == 0 && found == 1)
		rc = open_tokens(t, config, map, e);
	if (rc == 0 && found == 1)
		rc = open_template(t, src, config, e);
	json_decref(config);
	json_decref(map);
	if (rc == 0 && t->facts.has_template) {
		probe(t);
		note_template(t);
	} else if (rc == 0 && found == 1) {
		language_note(t, "there is no chat template: chats are refused");
	}
	if (rc == 0)
		rc = buf_done(&t->notes, e);
	t->facts.notes = t->notes.bytes ? t->notes.bytes : "";
	return rc < 0 ? rc : found;
}

int language_open(struct language **out, struct source *src, struct err *e)
{
	*out = NULL;
	struct language *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_NOMEM, "out of memory for the tokenizer");
	pthread_mutex_init(&t->lock, NULL);
	int rc = open_all(t, src, e);
	if (rc == 1)
		*out = t;
	else
		language_close(t);
	return rc < 0 ? rc : 0;
}

void language_close(struct language *t)
{
	if (!t)
		return;
	token_trees_close(t->trees);
	pthread_mutex_destroy(&t->lock);
	tokenizer_close(t->tokenizer);
	buf_free(&t->notes);
	buf_free(&t->template);
	buf_free(&t->tool_template);
	json_decref(t->tokens);
	free(t);
}

const struct language_facts *language_info(const struct language *t) { return &t->facts; }

bool language_is_special(const struct language *t, uint32_t id)
{
	return tokenizer_is_special(t->tokenizer, id);
}

const struct tokenizer *language_tokenizer(const struct language *t) { return t->tokenizer; }

int language_trees(struct language *t, const struct token_trees **out, struct err *e)
{
	int rc = 0;
	pthread_mutex_lock(&t->lock);
	if (!t->trees)
		rc = token_trees_open(&t->trees, t->tokenizer, e);
	*out = t->trees;
	pthread_mutex_unlock(&t->lock);
	return rc;
}

uint32_t language_id_of(const struct language *t, const char *token)
{
	return tokenizer_find(t->tokenizer, token, strlen(token));
}

int language_encode(const struct language *t, const char *text, size_t len, bool special, bool post,
		    struct token_ids *out, struct err *e)
{
	return tokenizer_encode(t->tokenizer, text, len, special, post, out, e);
}

int language_decode(const struct language *t, const uint32_t *id, size_t count, bool skip_special,
		    struct buf *out, struct err *e)
{
	return tokenizer_decode(t->tokenizer, id, count, skip_special, out, e);
}

/* ---- rendering ---- */

/* Any variable but those that are set here; and none whose text would count as the model's own. */
static int add_kwargs(json_t *vars, const json_t *kwargs, struct err *e)
{
	const char *name;
	json_t *v;
	json_object_foreach((json_t *)kwargs, name, v) {
		size_t n = strlen(name);
		if (json_object_get(vars, name) || (n >= 6 && strcmp(name + n - 6, "_token") == 0))
			return err_set(e, ERR_INPUT,
				       "template argument %.60s is not one that may be set", name);
		if (json_object_set(vars, name, v) < 0)
			return err_set(e, ERR_NOMEM, "out of memory for the template's variables");
	}
	return 0;
}

static int make_vars(const struct language *t, const struct engine_chat *c, json_t *messages,
		     json_t **out, struct err *e)
{
	json_t *vars = json_copy(t->tokens), *null = json_null();
	*out = vars;
	if (!vars || json_object_set(vars, "messages", messages) < 0 ||
	    json_object_set(vars, "tools", c->tools ? (json_t *)c->tools : null) < 0 ||
	    json_object_set(vars, "documents", null) < 0 ||
	    json_object_set_new(vars, "add_generation_prompt", json_boolean(c->generation_prompt)) <
		    0)
		return err_set(e, ERR_NOMEM, "out of memory for the template's variables");
	return add_kwargs(vars, c->kwargs, e);
}

/* messages is shaped already. */
static int render(const struct language *t, const struct engine_chat *c, json_t *messages,
		  struct buf *text, struct buf *origin, struct err *e)
{
	bool tools = c->tools && json_array_size(c->tools) && t->tool_template.len;
	const struct buf *template = tools ? &t->tool_template : &t->template;
	json_t *vars = NULL;
	int rc = make_vars(t, c, messages, &vars, e);
	if (rc == 0)
		rc = template_render(template->bytes, template->len, vars, c->now_us, text, origin,
				     e);
	json_decref(vars);
	return rc;
}

/* Where the prompt for the answer begins: what the template adds for it, and not what a user wrote
 * or an earlier answer left. Where the template cannot do without, it is what stands behind the
 * last byte of data. */
static size_t generated_at(const struct language *t, const struct engine_chat *c, json_t *messages,
			   const struct buf *made, const struct buf *origin)
{
	struct engine_chat without = *c;
	struct buf text = { 0 };
	struct err ignored = { 0 };
	size_t at = 0;
	without.generation_prompt = false;
	if (render(t, &without, messages, &text, NULL, &ignored) == 0)
		while (at < made->len && at < text.len && made->bytes[at] == text.bytes[at])
			at++;
	else
		for (at = made->len; at > 0 && !origin->bytes[at - 1];)
			at--;
	buf_free(&text);
	return at;
}

int language_chat(const struct language *t, const struct engine_chat *c, struct buf *text,
		  struct token_ids *ids, struct err *e)
{
	struct buf made = { 0 }, origin = { 0 };
	if (!t->facts.has_template)
		return err_set(
			e, ERR_UNSUPPORTED,
			"this model has no chat template: send a prompt instead of messages");
	if (!json_is_array(c->messages))
		return err_set(e, ERR_INPUT, "messages are not a list");
	json_t *messages = json_deep_copy(c->messages);
	int rc = messages ? engine_history_shape(&t->form, messages, e)
			  : err_set(e, ERR_NOMEM, "out of memory for the messages");
	if (rc == 0)
		rc = render(t, c, messages, &made, &origin, e);
	if (rc == 0 && c->generated)
		*c->generated = generated_at(t, c, messages, &made, &origin);
	if (rc == 0 && ids) /* the template has written its own BOS: no post-processor */
		rc = tokenizer_encode_marked(t->tokenizer, made.bytes ? made.bytes : "",
					     origin.bytes, made.len, false, ids, e);
	if (rc == 0 && text) {
		buf_add(text, made.bytes, made.len);
		rc = buf_done(text, e);
	}
	json_decref(messages);
	buf_free(&made);
	buf_free(&origin);
	return rc;
}

static int render_canary(const void *self, json_t *messages, const json_t *tools, struct buf *text,
			 struct err *e)
{
	struct engine_chat c = { .messages = messages, .tools = tools };
	return render(self, &c, messages, text, NULL, e);
}

static void probe(struct language *t)
{
	const struct buf *b = t->tool_template.len ? &t->tool_template : &t->template;
	t->family = reply_family_find(b->bytes, b->len);
	bool kimi = t->family.syntax == REPLY_SYNTAX_KIMI;
	engine_history_probe(&t->form, render_canary, t,
			     kimi ? REPLY_IDS_FUNCTION : REPLY_IDS_CALL);
	t->family.ids = t->form.ids;
	t->family.one_call = t->form.one_call;
}

/* What a person should know of the template before the first request fails. */
static void note_template(struct language *t)
{
	static const char asked[] = "[{\"role\":\"user\",\"content\":\"canary\"}]";
	static const char offered[] =
		"[{\"type\":\"function\",\"function\":{\"name\":\"canary_call\","
		"\"description\":\"\",\"parameters\":{\"type\":\"object\","
		"\"properties\":{}}}}]";
	struct buf without = { 0 }, with = { 0 };
	struct err why = { 0 };
	json_t *messages = json_loads(asked, 0, NULL), *tools = json_loads(offered, 0, NULL);
	bool plain = messages && render_canary(t, messages, NULL, &without, &why) == 0;
	bool tooled = tools && plain && render_canary(t, messages, tools, &with, &why) == 0;
	bool seen = tooled && (with.len != without.len ||
			       (with.len && memcmp(with.bytes, without.bytes, with.len) != 0));
	if (!plain)
		buf_printf(&t->notes, "the chat template refuses a user's message: %s\n", why.text);
	else if (!seen)
		language_note(t, "the chat template has no place for tools: requests with tools "
				 "are refused");
	else if (t->family.unread)
		language_note(t, t->family.unread);
	json_decref(messages);
	json_decref(tools);
	buf_free(&without);
	buf_free(&with);
}

struct reply_family language_family(const struct language *t) { return t->family; }

/* ---- streaming ---- */

/* Release what is complete; the rest is an unfinished sequence. */
static int release(struct language_stream *s, struct buf *out, struct err *e)
{
	size_t at = 0;
	TRY(buf_done(&s->held, e));
	while (at < s->held.len) {
		uint32_t cp;
		int n = text_utf8_decode(s->held.bytes + at, s->held.len - at, &cp);
		if (n == 0)
			break;
		if (n > 0)
			buf_add(out, s->held.bytes + at, (size_t)n);
		else
			buf_add_text(out, "\xEF\xBF\xBD");
		at += (size_t)(n > 0 ? n : -n);
	}
	if (at)
		buf_drop(&s->held, at);
	return buf_done(out, e);
}

int language_stream_push(struct language_stream *s, uint32_t id, struct buf *out, struct err *e)
{
	TRY(tokenizer_decode_token(s->text->tokenizer, &s->state, id, s->skip_special, &s->held,
				   e));
	return release(s, out, e);
}

int language_stream_end(struct language_stream *s, struct buf *out, struct err *e)
{
	TRY(release(s, out, e));
	if (s->held.len)
		buf_add_text(out, "\xEF\xBF\xBD");
	buf_clear(&s->held);
	return buf_done(out, e);
}

void language_stream_free(struct language_stream *s)
{
	buf_free(&s->held);
	*s = (struct language_stream){ 0 };
}
