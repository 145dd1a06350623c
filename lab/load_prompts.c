/* The bodies of requests: drawn words, about a token each, so that no two prompts share more than
 * chance gives and no cache answers; or the lines of a file, in turn. */
#include "base/check.h"
#include "base/file.h"
#include "base/limits.h"
#include "lab/load.h"

#include <stdlib.h>
#include <string.h>

#define FILE_BYTES MIB(64)
#define WORDS 64
#define TOKENS 64u

static const char *const words[WORDS] = {
	"time",   "year",  "way",   "day",     "man",    "thing",  "world",  "life",
	"hand",   "part",  "child", "eye",     "place",  "work",   "week",   "case",
	"point",  "group", "house", "fact",    "night",  "water",  "room",   "mother",
	"area",   "money", "story", "month",   "lot",    "right",  "study",  "book",
	"word",   "side",  "kind",  "head",    "friend", "father", "power",  "hour",
	"game",   "line",  "end",   "law",     "car",    "city",   "name",   "team",
	"minute", "idea",  "body",  "back",    "face",   "level",  "office", "door",
	"health", "art",   "war",   "history", "party",  "result", "change", "morning",
};

/* What every body has beside its prompt. */
static int finish_body(const struct load_prompts *p, json_t *body, struct buf *out, struct err *e)
{
	const struct lab_load *l = p->l;
	struct obj o = { .json = body };
	if (!json_object_get(body, "model"))
		obj_text(&o, "model", p->model);
	if (!json_object_get(body, p->shape->tokens_max) &&
	    !json_object_get(body, "max_completion_tokens"))
		obj_count(&o, p->shape->tokens_max, l->max_tokens ? l->max_tokens : TOKENS);
	if (!json_object_get(body, "temperature"))
		obj_real(&o, "temperature", l->temperature);
	obj_bool(&o, "stream", !l->plain);
	if (l->plain || !p->shape->has_options) {
		json_object_del(body, "stream_options");
	} else {
		struct obj inner = { 0 };
		obj_bool(&inner, "include_usage", true);
		obj_object(&o, "stream_options", &inner);
	}
	json_t *whole = NULL;
	int rc = obj_done(&o, &whole, e);
	if (rc == 0)
		rc = json_write(whole, 0, out, e);
	json_decref(whole);
	return rc;
}

/* {"prompt": TEXT} becomes a message where messages are asked for. */
static json_t *with_prompt(const struct load_prompts *p, const char *text, size_t len)
{
	struct obj o = { 0 }, turn = { 0 };
	struct arr list = { 0 };
	if (p->shape->prompt) {
		obj_bytes(&o, p->shape->prompt, text, len);
		return obj_take(&o);
	}
	obj_text(&turn, "role", "user");
	obj_bytes(&turn, "content", text, len);
	arr_object(&list, &turn);
	obj_array(&o, "messages", &list);
	return obj_take(&o);
}

int load_prompts_next(struct load_prompts *p, struct buf *out, struct err *e)
{
	uint32_t tokens = p->l->prompt_tokens ? p->l->prompt_tokens : TOKENS;
	uint8_t drawn[256];
	if (p->count) {
		buf_add_text(out, p->text.bytes + p->begin[p->next++ % p->count]);
		return buf_done(out, e);
	}
	buf_add(out, p->text.bytes, p->before);
	for (uint32_t i = 0; i < tokens; i++) {
		if (i % sizeof drawn == 0)
			p->random.fill(p->random.ctx, drawn, sizeof drawn);
		if (i)
			buf_add_byte(out, ' ');
		buf_add_text(out, words[drawn[i % sizeof drawn] % WORDS]);
	}
	buf_add_text(out, p->text.bytes + p->before);
	return buf_done(out, e);
}

/* A body is written once, without words; they need no escaping and go between its quotes. */
static int write_frame(struct load_prompts *p, struct err *e)
{
	static const char mark[] = "@";
	json_t *body = with_prompt(p, mark, 1);
	if (!body)
		return err_set(e, ERR_NOMEM, "out of memory for a prompt");
	TRY(finish_body(p, body, &p->text, e));
	const char *at = strstr(p->text.bytes, "\"@\"");
	check(at);
	p->before = (size_t)(at - p->text.bytes) + 1;
	memmove(p->text.bytes + p->before, p->text.bytes + p->before + 1, p->text.len - p->before);
	p->text.len--;
	return 0;
}

/* One line of the file: its body, ended by NUL. */
static int add_line(struct load_prompts *p, const char *line, size_t len, struct err *e)
{
	json_t *body = NULL;
	TRY(json_read(&body, line, len, LIMIT_REQUEST_BYTES, LIMIT_JSON_DEPTH, e));
	const json_t *prompt = json_object_get(body, "prompt");
	if (!json_is_object(body) ||
	    (!prompt && !json_object_get(body, "messages") && !json_object_get(body, "input"))) {
		json_decref(body);
		return err_set(e, ERR_INPUT,
			       "expected an object with \"prompt\", \"messages\" or \"input\"");
	}
	if (json_is_string(prompt) &&
	    (!p->shape->prompt || strcmp(p->shape->prompt, "prompt") != 0)) {
		json_t *turned =
			with_prompt(p, json_string_value(prompt), json_string_length(prompt));
		json_object_del(body, "prompt");
		if (turned)
			json_object_update(body, turned);
		json_decref(turned);
	}
	p->begin[p->count++] = p->text.len;
	TRY(finish_body(p, body, &p->text, e)); /* takes the body */
	buf_add_byte(&p->text, 0);
	return buf_done(&p->text, e);
}

static int read_lines(struct load_prompts *p, struct err *e)
{
	struct buf file = { 0 };
	size_t lines = 1, number = 0;
	int rc;
	TRY_OUT(file_read(p->l->prompts, FILE_BYTES, &file, e));
	for (size_t i = 0; i < file.len; i++)
		lines += file.bytes[i] == '\n';
	p->begin = calloc(lines, sizeof *p->begin);
	if (!p->begin)
		TRY_OUT(err_set(e, ERR_NOMEM, "out of memory for the prompts"));
	for (const char *at = file.bytes, *end = at + file.len; at && at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop ? stop : end) - at);
		number++;
		rc = len ? add_line(p, at, len, e) : 0;
		if (rc < 0) {
			err_prefix(e, "%s: line %zu", p->l->prompts, number);
			goto out;
		}
		at += len + 1;
	}
	rc = p->count ? 0 : err_set(e, ERR_INPUT, "%s has no prompts", p->l->prompts);
out:
	buf_free(&file);
	return rc;
}

int load_prompts_open(struct load_prompts *p, const struct lab_load *l,
		      const struct load_shape *shape, const char *model, struct err *e)
{
	*p = (struct load_prompts){ .l = l, .shape = shape, .model = model };
	memcpy(p->seeded.seed, &l->seed, sizeof l->seed);
	p->random = random_seeded(&p->seeded);
	return l->prompts ? read_lines(p, e) : write_frame(p, e);
}

void load_prompts_close(struct load_prompts *p)
{
	buf_free(&p->text);
	free(p->begin);
}
