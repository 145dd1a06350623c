/* A model card: Markdown that may begin with front matter, YAML between two lines of "---". Of YAML
 * only what cards use is read: a key at the beginning of a line and a plain or quoted value, or
 * the first item of a list. A card is written by whoever wants to be believed: nothing in its prose
 * and nothing nested declares anything. */
#include "flow/card.h"
#include "base/limits.h"
#include "base/text.h"

#include <string.h>

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
	at += strcspn(at, "\n");
	return *at ? at + 1 : at;
}

/* Whether a line is "---" and nothing else. */
static bool is_rule(const char *line)
{
	if (!text_starts(line, "---"))
		return false;
	line += 3 + strspn(line + 3, BLANK "\r");
	return *line == '\n' || *line == '\0';
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
	return len && !strchr("[{#>|&*!", *plain);
}

/* One scalar on its line: quotes and comments are not part of it. */
static void read_scalar(const char *at, char *out, size_t room)
{
	at += strspn(at, BLANK);
	if (*at == '"' || *at == '\'') {
		const char quote[] = { *at++, '\r', '\n', 0 };
		copy_text(at, strcspn(at, quote), out, room);
		return;
	}
	size_t len = strcspn(at, "\r\n");
	for (size_t i = 1; i < len; i++)
		if (at[i] == '#' && (at[i - 1] == ' ' || at[i - 1] == '\t'))
			len = i;
	while (len && strchr(BLANK, at[len - 1]))
		len--;
	if (is_text(at, len))
		copy_text(at, len, out, room);
}

static void read_key(const char *line, const char *end, const char *key, char *out, size_t room)
{
	size_t n = strlen(key);
	out[0] = 0;
	while (line < end && !(strncmp(line, key, n) == 0 && line[n] == ':'))
		line = next_line(line);
	if (line >= end)
		return;
	const char *value = line + n + 1;
	value += strspn(value, BLANK "\r");
	if (*value != '\n') {
		read_scalar(value, out, room);
		return;
	}
	value = next_line(line) + strspn(next_line(line), BLANK);
	if (value < end && value[0] == '-' && (value[1] == ' ' || value[1] == '\t'))
		read_scalar(value + 1, out, room);
}

void flow_card_parse(const char *text, struct flow_card *out)
{
	const char *end = NULL, *line = front_matter(text, &end);
	*out = (struct flow_card){ 0 };
	if (!line)
		return;
	read_key(line, end, "base_model", out->base, sizeof out->base);
	read_key(line, end, "base_model_relation", out->relation, sizeof out->relation);
	read_key(line, end, "license", out->license, sizeof out->license);
}

void flow_card_read(struct source *s, struct flow_card *out)
{
	struct buf card = { 0 };
	struct err none;
	bool there = source_read_file(s, "README.md", CARD_BYTES, &card, &none) == 0 && card.len;
	flow_card_parse(there ? card.bytes : "", out);
	buf_free(&card);
}
