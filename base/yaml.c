/* libyaml's events, made into JSON values on a stack of open nodes: nothing recurses on input, and
 * an alias shares its anchor's value, so that what is read stays as small as its text. */
#include "base/yaml.h"
#include "base/text.h"

#include <string.h>
#include <yaml.h>

#define DEPTH 32    /* cards nest 6 deep */
#define ANCHORS 256 /* the later ones are not kept: their aliases are null */
#define MISTAKES 16 /* behind the last one nothing is read */

struct node {
	json_t *value; /* owned */
	json_t *key;   /* of a mapping: the key whose value is next, owned; NULL: a key is next */
	char anchor[64];
};

struct reader {
	struct node open[DEPTH];
	size_t depth;
	struct {
		char name[64];
		json_t *value;
	} anchor[ANCHORS];
	size_t anchors;
	json_t *top;       /* the document's keys: its mapping is never a node of its own */
	size_t key_offset; /* where the last of them begins */
	const char *why;   /* what is wrong; static text */
	bool no_memory;
};

/* ---- values ---- */

static bool is_null(const yaml_event_t *v)
{
	static const char *const null[] = { "", "~", "null", "Null", "NULL" };
	const char *text = (const char *)v->data.scalar.value;
	if (v->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || v->data.scalar.tag)
		return false;
	for (size_t i = 0; i < sizeof null / sizeof *null; i++)
		if (strcmp(text, null[i]) == 0)
			return true;
	return false;
}

static json_t *scalar(const yaml_event_t *v)
{
	/* A "\0" in quotes ends it: no name has one. */
	return is_null(v) ? json_null() : json_text_lossy((const char *)v->data.scalar.value);
}

static json_t *alias(const struct reader *r, const char *name)
{
	for (size_t i = r->anchors; i-- > 0;)
		if (strcmp(r->anchor[i].name, name) == 0)
			return json_incref(r->anchor[i].value);
	return json_null(); /* of a node that is still open, or of none */
}

static void keep_anchor(struct reader *r, const char *name, json_t *value)
{
	if (!name[0] || r->anchors == ANCHORS)
		return;
	memcpy(r->anchor[r->anchors].name, name, sizeof r->anchor->name);
	r->anchor[r->anchors++].value = json_incref(value);
}

static void set_member(struct reader *r, json_t *object, json_t *key, json_t *value)
{
	const char *name = json_string_value(key);
	if (strcmp(name, "<<") == 0 && json_is_object(value))
		r->no_memory |= json_object_update_missing(object, value) < 0;
	else if (!json_object_get(object, name))
		r->no_memory |= json_object_set(object, name, value) < 0;
}

/* A finished value goes into the node that is open, or becomes a key of it. Takes the reference. */
static void put(struct reader *r, json_t *value)
{
	struct node *in = &r->open[r->depth - 1];
	if (!value) {
		r->no_memory = true;
	} else if (json_is_array(in->value)) {
		r->no_memory |= json_array_append(in->value, value) < 0;
	} else if (in->key) {
		set_member(r, in->value, in->key, value);
		json_decref(in->key);
		in->key = NULL;
	} else {
		in->key = json_is_string(value) ? json_incref(value) : json_string("");
		r->no_memory |= !in->key;
	}
	json_decref(value);
}

static void open_node(struct reader *r, json_t *value, const yaml_char_t *anchor)
{
	if (r->depth == DEPTH) {
		r->why = "values nested too deep";
		json_decref(value);
		return;
	}
	struct node *n = &r->open[r->depth++];
	*n = (struct node){ .value = value };
	r->no_memory |= !value;
	snprintf(n->anchor, sizeof n->anchor, "%s", anchor ? (const char *)anchor : "");
}

static void close_node(struct reader *r)
{
	struct node *n = &r->open[--r->depth];
	keep_anchor(r, n->anchor, n->value);
	if (r->depth)
		put(r, n->value);
	else
		json_decref(n->value);
}

/* ---- events ---- */

static void take_scalar(struct reader *r, const yaml_event_t *v)
{
	char name[64];
	const yaml_char_t *anchor = v->data.scalar.anchor;
	json_t *value = scalar(v);
	snprintf(name, sizeof name, "%s", anchor ? (const char *)anchor : "");
	if (value)
		keep_anchor(r, name, value);
	put(r, value);
}

static void take(struct reader *r, const yaml_event_t *v)
{
	bool begins = v->type == YAML_MAPPING_START_EVENT || v->type == YAML_SEQUENCE_START_EVENT ||
		      v->type == YAML_SCALAR_EVENT || v->type == YAML_ALIAS_EVENT;
	if (begins && r->depth == 0) {
		if (v->type != YAML_MAPPING_START_EVENT)
			r->why = "not a mapping of keys";
		else
			open_node(r, json_incref(r->top), NULL);
		return;
	}
	if (begins && r->depth == 1 && !r->open[0].key)
		r->key_offset = v->start_mark.index;
	if (v->type == YAML_MAPPING_START_EVENT)
		open_node(r, json_object(), v->data.mapping_start.anchor);
	else if (v->type == YAML_SEQUENCE_START_EVENT)
		open_node(r, json_array(), v->data.sequence_start.anchor);
	else if (v->type == YAML_SCALAR_EVENT)
		take_scalar(r, v);
	else if (v->type == YAML_ALIAS_EVENT)
		put(r, alias(r, (const char *)v->data.alias.anchor));
	else if (v->type == YAML_MAPPING_END_EVENT || v->type == YAML_SEQUENCE_END_EVENT)
		close_node(r);
}

static void close_all(struct reader *r)
{
	while (r->depth) {
		struct node *n = &r->open[--r->depth];
		json_decref(n->key);
		json_decref(n->value);
	}
	for (size_t i = 0; i < r->anchors; i++)
		json_decref(r->anchor[i].value);
	r->anchors = 0;
}

/* Whether all of the text was read; else r->why and *line say what stands against it. */
static bool read_some(struct reader *r, const char *text, size_t len, size_t *line)
{
	yaml_parser_t parser;
	yaml_event_t event = { 0 };
	bool done = false;
	r->why = NULL;
	r->key_offset = 0;
	if (!yaml_parser_initialize(&parser)) {
		r->no_memory = true;
		return true;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!done && !r->why && !r->no_memory) {
		if (!yaml_parser_parse(&parser, &event)) {
			r->no_memory |= parser.error == YAML_MEMORY_ERROR;
			r->why = parser.problem ? parser.problem : "not YAML";
			*line = parser.problem_mark.line;
			break;
		}
		*line = event.start_mark.line;
		done = event.type == YAML_STREAM_END_EVENT || event.type == YAML_DOCUMENT_END_EVENT;
		take(r, &event);
		yaml_event_delete(&event);
	}
	close_all(r);
	yaml_parser_delete(&parser);
	return done && !r->why;
}

/* ---- the text ---- */

/* UTF-8 without the characters that YAML does not allow: U+FFFD instead, one for one. */
static void clean(const char *text, size_t len, struct buf *out)
{
	for (size_t at = 0; at < len;) {
		uint32_t cp = 0;
		int n = text_utf8_decode(text + at, len - at, &cp);
		size_t width = n > 0 ? (size_t)n : n < 0 ? (size_t)-n : len - at;
		bool control = cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\r';
		bool bad = n <= 0 || control || (cp >= 0x7f && cp < 0xa0 && cp != 0x85) ||
			   cp == 0xfeff || cp == 0xfffe || cp == 0xffff;
		if (bad)
			buf_add_text(out, "\xef\xbf\xbd");
		else
			buf_add(out, text + at, width);
		at += width;
	}
}

/* The next line behind `at` that may begin a key: in column 0, neither a comment nor an item. */
static size_t next_key(const char *text, size_t len, size_t at)
{
	for (; at < len; at++)
		if (strchr("\r\n", text[at]) && at + 1 < len &&
		    !strchr(" \t\r\n#-]}", text[at + 1]))
			return at + 1;
	return len;
}

static size_t lines_before(const char *text, size_t at)
{
	size_t lines = 0;
	for (size_t i = 0; i < at; i++)
		lines += text[i] == '\n' || (text[i] == '\r' && text[i + 1] != '\n');
	return lines;
}

/* libyaml counts characters, not bytes. */
static size_t byte_of(const char *text, size_t len, size_t characters)
{
	size_t at = 0;
	for (; at < len; at++) {
		if (((unsigned char)text[at] & 0xc0) == 0x80)
			continue;
		if (characters-- == 0)
			return at;
	}
	return len;
}

int yaml_read(json_t **out, const char *text, size_t len, size_t first_line,
	      char problem[YAML_PROBLEM], struct err *e)
{
	struct buf b = { 0 };
	struct reader r = { .top = json_object() };
	problem[0] = 0;
	*out = NULL;
	clean(text, len, &b);
	int rc = r.top ? buf_done(&b, e) : json_ok(r.top, e);
	size_t at = 0, line = 0, mistakes = 0;
	while (rc == 0 && at < b.len && mistakes < MISTAKES &&
	       !read_some(&r, b.bytes + at, b.len - at, &line)) {
		if (mistakes++ == 0)
			snprintf(problem, YAML_PROBLEM, "line %zu: %s",
				 first_line + lines_before(b.bytes, at) + line, r.why);
		at += byte_of(b.bytes + at, b.len - at, r.key_offset);
		at = next_key(b.bytes, b.len, at);
	}
	buf_free(&b);
	if (rc == 0 && r.no_memory)
		rc = err_set(e, ERR_NOMEM, "out of memory");
	if (rc < 0) {
		json_decref(r.top);
		return rc;
	}
	*out = r.top;
	return 0;
}
