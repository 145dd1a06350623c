/* A model card: Markdown that may begin with front matter, YAML between two lines of "---". Of YAML
 * only what cards use is read: a key at the beginning of a line, and as its value one text or a
 * list of texts, plain or quoted, in brackets or by dashes, with comments and any line ends. A card
 * is written by whoever wants to be believed: nothing in its prose and nothing nested declares
 * anything. */
#include "flow/card.h"
#include "base/limits.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

#define CARD_BYTES MIB(4) /* the longest in the field have some 200 KiB */
#define BLANK " \t"

/* Copy UTF-8 into room bytes. */
static void copy_text(const char *s, size_t len, char *out, size_t room)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t used = 0;
	uint32_t cp;
	for (size_t at = 0; at < len;) {
		int n = text_utf8_decode(s + at, len - at, &cp);
		size_t width = n > 0 ? (size_t)n : 3;
		if (used + width >= room)
			break;
		memcpy(out + used, n > 0 ? s + at : replacement, width);
		used += width;
		at += n > 0 ? (size_t)n : 1;
	}
	out[used] = 0;
}

/* The line after this one, or its end. */
static const char *next_line(const char *at)
{
	at += strcspn(at, "\r\n");
	at += text_starts(at, "\r\n");
	return *at ? at + 1 : at;
}

/* Whether a line is "---" and nothing else. */
static bool is_rule(const char *line)
{
	if (!text_starts(line, "---"))
		return false;
	line += 3 + strspn(line + 3, BLANK);
	return *line == '\n' || *line == '\r' || *line == '\0';
}

/* Front matter's first line, NULL without any; *end is the rule behind it. */
static const char *front_matter(const char *card, const char **end)
{
	if (text_starts(card, "\xef\xbb\xbf"))
		card += 3; /* a byte-order mark */
	if (!is_rule(card))
		return NULL;
	const char *begin = next_line(card);
	for (*end = begin; **end; *end = next_line(*end))
		if (is_rule(*end))
			return begin;
	return NULL;
}

/* Whether YAML takes this for text: not for a list, a map, a block that begins on the next line, an
 * anchor, an alias, a tag, or nothing. */
static bool is_text(const char *plain, size_t len)
{
	static const char *const nothing[] = { "~", "null", "Null", "NULL" };
	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
		if (len == strlen(nothing[i]) && strncmp(plain, nothing[i], len) == 0)
			return false;
	for (size_t i = 0; i < len; i++)
		if (plain[i] == ':' && (i + 1 == len || strchr(BLANK, plain[i + 1])))
			return false; /* a map */
	if (*plain == '-' && (len == 1 || strchr(BLANK, plain[1])))
		return false; /* a list in a list */
	return len && !strchr("[{#>|&*!%@`", *plain);
}

#define LINE_END "\r\n"

/* What a key gave so far. */
struct values {
	char *out; /* [room_count][room] */
	size_t room, room_count, count;
};

static void values_add(struct values *v, const char *s, size_t len)
{
	if (v->count == v->room_count || len == 0)
		return;
	char *to = v->out + v->count * v->room;
	copy_text(s, len, to, v->room);
	for (size_t i = 0; i < v->count; i++)
		if (strcmp(v->out + i * v->room, to) == 0) {
			*to = 0; /* named twice */
			return;
		}
	v->count++;
}

/* Past blanks, line ends and comments. The character before a comment is a blank or a line's
 * beginning. */
static const char *skip_space(const char *at, const char *end)
{
	while (at < end && strchr(BLANK LINE_END "#", *at))
		at = *at == '#' ? at + strcspn(at, LINE_END) : at + 1;
	return at;
}

/* A quoted text, which may not go on in the next line; *at moves past it. */
static void read_quoted(const char **at, struct values *v)
{
	char quote = *(*at)++, text[512];
	size_t used = 0;
	const char *s = *at;
	for (; *s && !strchr(LINE_END, *s); s++) {
		if (*s == quote && (quote == '"' || s[1] != quote))
			break;
		if (quote == '\'' ? *s == quote : *s == '\\' && strchr("\"\\/", s[1]) && s[1])
			s++; /* '' and \" stand for the quote */
		if (used < sizeof text)
			text[used++] = *s;
	}
	*at = *s == quote ? s + 1 : s;
	values_add(v, text, used);
}

/* A plain text up to one of `stop`, a comment or the end of its line; *at moves past it. */
static void read_plain(const char **at, const char *stop, struct values *v)
{
	const char *s = *at;
	size_t len = strcspn(s, stop);
	for (size_t i = 1; i < len; i++)
		if (s[i] == '#' && strchr(BLANK, s[i - 1]))
			len = i;
	*at = s + len;
	while (len && strchr(BLANK, s[len - 1]))
		len--;
	if (is_text(s, len))
		values_add(v, s, len);
}

static void read_scalar(const char *at, struct values *v)
{
	at += strspn(at, BLANK);
	if (*at == '"' || *at == '\'')
		read_quoted(&at, v);
	else
		read_plain(&at, LINE_END, v);
}

/* "[a, 'b', c]", over as many lines as it takes. With anything nested in it: nothing. */
static void read_brackets(const char *at, const char *end, struct values *v)
{
	for (at = skip_space(at + 1, end); at < end && *at != ']'; at = skip_space(at, end)) {
		if (*at == ',')
			at++;
		else if (*at == '"' || *at == '\'')
			read_quoted(&at, v);
		else if (!strchr("[{", *at))
			read_plain(&at, ",]" LINE_END, v);
		else
			break;
	}
	if (at >= end || *at != ']')
		v->count = 0;
}

/* The lines below a key without a value on its own: a list by dashes, or an indented text. */
static void read_below(const char *line, const char *end, struct values *v)
{
	for (bool first = true; line < end; line = next_line(line)) {
		const char *at = line + strspn(line, BLANK);
		if (*at == '#' || strchr(LINE_END, *at))
			continue;
		bool item = *at == '-' && strchr(BLANK LINE_END, at[1]);
		if (item || (first && at > line))
			read_scalar(at + item, v);
		if (!item)
			return;
		first = false;
	}
}

/* The value behind "KEY:" at the beginning of a line, the key quoted or not; NULL: another key. */
static const char *value_of(const char *line, const char *key)
{
	size_t n = strlen(key);
	char quote = *line == '"' || *line == '\'' ? *line++ : 0;
	if (strncmp(line, key, n) != 0 || (quote && line[n] != quote))
		return NULL;
	line += n + (quote != 0);
	line += strspn(line, BLANK);
	return *line == ':' && strchr(BLANK LINE_END, line[1]) ? line + 1 : NULL;
}

static size_t read_key(const char *line, const char *end, const char *key, char *out, size_t room,
		       size_t count)
{
	struct values v = { out, room, count, 0 };
	const char *value = NULL;
	for (; line < end && !(value = value_of(line, key)); line = next_line(line))
		;
	if (!value)
		return 0;
	value += strspn(value, BLANK);
	if (*value == '[')
		read_brackets(value, end, &v);
	else if (*value == '#' || strchr(LINE_END, *value))
		read_below(next_line(line), end, &v);
	else
		read_scalar(value, &v);
	if (v.count == 0)
		out[0] = 0;
	return v.count;
}

void flow_card_parse(const char *text, struct flow_card *out)
{
	const char *end = NULL, *line = front_matter(text, &end);
	*out = (struct flow_card){ 0 };
	if (!line)
		return;
	out->bases = read_key(line, end, "base_model", out->base[0], sizeof out->base[0],
			      FLOW_CARD_BASES);
	(void)read_key(line, end, "base_model_relation", out->relation, sizeof out->relation, 1);
	(void)read_key(line, end, "license", out->license, sizeof out->license, 1);
}

void flow_card_read(struct source *s, struct flow_card *out)
{
	struct buf card = { 0 };
	struct err none;
	bool there = source_read_file(s, "README.md", CARD_BYTES, &card, &none) == 0 && card.len;
	flow_card_parse(there ? card.bytes : "", out);
	buf_free(&card);
}

/* Cards give a hub's address for the name, and hubs do not tell upper from lower case. */
bool flow_card_declares(const struct flow_card *c, const char *model)
{
	static const char *const hub[] = { "https://huggingface.co/", "https://hf.co/" };
	for (size_t i = 0; i < c->bases; i++) {
		const char *base = c->base[i];
		for (size_t k = 0; k < sizeof hub / sizeof *hub; k++)
			base += text_starts(base, hub[k]) ? strlen(hub[k]) : 0;
		if (strcasecmp(base, model) == 0)
			return true;
	}
	return false;
}
