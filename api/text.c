/* The bodies of the routes that take and give tokens. vLLM's names: prompt, messages, tokens,
 * add_special_tokens (true for a text), add_generation_prompt (true), return_token_strs.
 * llama.cpp's: content, add_special (false), parse_special (true), with_pieces, which makes each
 * token {"id", "piece"} with a list of bytes for a piece that is no text. Sources: vLLM 0.11,
 * entrypoints/openai/protocol.py; llama.cpp, tools/server/README.md. */
#include "api/text.h"
#include "api/request_read.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static int read_switch(const struct api_text *t, const char *name, bool otherwise, bool *out,
		       struct err *e)
{
	const json_t *v = api_read_member(t->chat.root, name);
	*out = otherwise;
	return v ? api_read_bool(name, v, out, e) : 0;
}

/* What a request of messages has too, read as there. */
static int read_shared(struct api_text *t, const char *const *names, struct err *e)
{
	for (; *names; names++) {
		const json_t *v = api_read_member(t->chat.root, *names);
		if (v)
			TRY(api_read_field(&t->chat, *names, v, e));
	}
	return 0;
}

static int read_messages(struct api_text *t, struct err *e)
{
	static const char *const names[] = { "messages",
					     "tools",
					     "chat_template",
					     "continue_final_message",
					     "chat_template_kwargs",
					     "reasoning_effort",
					     "enable_thinking",
					     NULL };
	TRY(read_shared(t, names, e));
	TRY(read_switch(t, "add_generation_prompt", true, &t->generation, e));
	return api_read_together(&t->chat, e);
}

static int read_text(struct api_text *t, const char *name, const json_t *v, struct err *e)
{
	bool ours = strcmp(name, "prompt") == 0;
	if (!json_is_string(v))
		return api_read_mistyped(name, "a text", e);
	t->text = json_string_value(v);
	t->len = json_string_length(v);
	TRY(read_switch(t, "parse_special", true, &t->special, e));
	return read_switch(t, ours ? "add_special_tokens" : "add_special", ours, &t->post, e);
}

static int read_tokenize(struct api_text *t, struct err *e)
{
	static const char *const names[] = { "prompt", "content", "messages" };
	const json_t *given = NULL;
	const char *name = NULL;
	for (size_t i = 0; i < 3; i++) {
		const json_t *v = api_read_member(t->chat.root, names[i]);
		if (v && given)
			return api_read_unexpected(names[i], "one text, or messages", e);
		given = v ? v : given;
		name = v ? names[i] : name;
	}
	if (!given)
		return api_read_missing("prompt", e);
	TRY(read_switch(t, "return_token_strs", false, &t->strings, e));
	TRY(read_switch(t, "with_pieces", false, &t->pieces, e));
	return strcmp(name, "messages") == 0 ? read_messages(t, e) : read_text(t, name, given, e);
}

static int read_detokenize(struct api_text *t, struct err *e)
{
	const json_t *v = api_read_member(t->chat.root, "tokens"), *one;
	size_t i;
	if (!v)
		return api_read_missing("tokens", e);
	if (!json_is_array(v))
		return api_read_mistyped("tokens", "a list of token ids", e);
	t->id = calloc(json_array_size(v) + 1, sizeof *t->id);
	if (!t->id)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	json_array_foreach((json_t *)(uintptr_t)v, i, one) {
		json_int_t id = 0;
		TRY(api_read_integer("tokens", one, 0, UINT32_MAX, &id, e));
		t->id[t->ids++] = (uint32_t)id;
	}
	return 0;
}

static int read_template(struct api_text *t, struct err *e)
{
	if (!api_read_member(t->chat.root, "messages"))
		return api_read_missing("messages", e);
	return read_messages(t, e);
}

static int read_root(const void *body, size_t len, struct api_text *out, struct err *e)
{
	if (len > LIMIT_REQUEST_BYTES)
		return err_set(e, ERR_INPUT, "the body is longer than 8 MiB");
	TRY(api_read_shape(&out->chat, body, len, e));
	int rc = json_read_as(&out->chat.root, body ? body : "", len, LIMIT_REQUEST_BYTES,
			      LIMIT_REQUEST_DEPTH, JSON_WIDE, e);
	if (rc < 0)
		return rc == ERR_INPUT ? err_prefix(e, "the body is not JSON") : rc;
	out->chat.messages = json_array();
	out->chat.without_effect = json_array();
	if (!out->chat.messages || !out->chat.without_effect)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return json_is_object(out->chat.root)
		       ? 0
		       : err_set(e, ERR_INPUT, "the body: expected one JSON object");
}

int api_text_parse(enum api_text_kind kind, const void *body, size_t len, struct api_text *out,
		   struct err *e)
{
	static int (*const readers[])(struct api_text *, struct err *) = {
		[API_TEXT_TOKENIZE] = read_tokenize,
		[API_TEXT_DETOKENIZE] = read_detokenize,
		[API_TEXT_TEMPLATE] = read_template,
	};
	static const char *const model[] = { "model", NULL };
	*out = (struct api_text){ .chat = { .shape = API_CHAT, .form = API_CHAT, .n = 1 } };
	TRY(read_root(body, len, out, e));
	TRY(read_shared(out, model, e));
	return readers[kind](out, e);
}

void api_text_free(struct api_text *t)
{
	api_request_free(&t->chat);
	free(t->id);
	*t = (struct api_text){ 0 };
}

/* ---- writing ---- */

static void add_text(struct buf *out, const char *text, size_t len)
{
	text_json_string(out, text ? text : "", len);
}

static void add_piece(struct buf *out, uint32_t id, const char *text, size_t len)
{
	buf_printf(out, "{\"id\":%u,\"piece\":", id);
	if (text_utf8_valid(text, len)) {
		add_text(out, text, len);
	} else {
		for (size_t i = 0; i < len; i++)
			buf_printf(out, "%s%u", i ? "," : "[", (unsigned)(unsigned char)text[i]);
		buf_add_byte(out, ']');
	}
	buf_add_byte(out, '}');
}

void api_text_write_tokens(struct buf *out, const struct api_text *asked,
			   const struct api_text_tokens *t)
{
	size_t at = 0;
	buf_printf(out, "{\"count\":%zu,\"max_model_len\":%u,\"tokens\":[", t->count,
		   t->context_max);
	for (size_t i = 0; i < t->count; i++) {
		buf_add_text(out, i ? "," : "");
		if (asked->pieces && t->length)
			add_piece(out, t->id[i], t->texts + at, t->length[i]);
		else
			buf_printf(out, "%u", t->id[i]);
		at += t->length ? t->length[i] : 0;
	}
	buf_add_text(out, asked->strings ? "],\"token_strs\":[" : "],\"token_strs\":null");
	at = 0;
	for (size_t i = 0; asked->strings && t->length && i < t->count; i++) {
		buf_add_text(out, i ? "," : "");
		add_text(out, t->texts + at, t->length[i]);
		at += t->length[i];
	}
	buf_add_text(out, asked->strings ? "]}\n" : "}\n");
}

void api_text_write(struct buf *out, enum api_text_kind kind, const struct buf *text)
{
	buf_add_text(out, "{\"prompt\":");
	add_text(out, text->bytes, text->len);
	if (kind == API_TEXT_DETOKENIZE) {
		buf_add_text(out, ",\"content\":");
		add_text(out, text->bytes, text->len);
	}
	buf_add_text(out, "}\n");
}
