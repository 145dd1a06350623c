/* A model card: Markdown that may begin with front matter, YAML between two lines of "---". A card
 * is written by whoever wants to be believed: nothing in its prose and nothing nested declares
 * anything, and what cannot be read is told apart from what is not declared. */
#include "flow/card.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CARD_BYTES MIB(4) /* the longest in the field have some 200 KiB */
#define BLANK " \t"
#define SPACE " \t\r\n"

/* ---- where the front matter is ---- */

struct span {
	const char *from;
	size_t len;
};

/* Where the line behind this one begins, or the end. */
static size_t next_line(const char *s, size_t len, size_t at)
{
	while (at < len && s[at] != '\r' && s[at] != '\n')
		at++;
	at += at + 1 < len && s[at] == '\r' && s[at + 1] == '\n';
	return at < len ? at + 1 : at;
}

/* Whether the line there is "---" and nothing else. */
static bool is_rule(const char *s, size_t len, size_t at)
{
	if (len - at < 3 || memcmp(s + at, "---", 3) != 0)
		return false;
	for (at += 3; at < len && strchr(BLANK, s[at]) && s[at]; at++)
		;
	return at == len || s[at] == '\r' || s[at] == '\n';
}

/* What stands between the rules, and the number of its first line; false: there is none. */
static bool front_matter(const char *s, size_t len, struct span *out, size_t *line)
{
	size_t at = len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, begin;
	for (*line = 2; at < len && strchr(SPACE, s[at]) && s[at]; at++)
		*line += s[at] == '\n';
	if (!is_rule(s, len, at))
		return false;
	for (begin = at = next_line(s, len, at); at < len; at = next_line(s, len, at))
		if (is_rule(s, len, at)) {
			*out = (struct span){ s + begin, at - begin };
			return true;
		}
	return false;
}

/* ---- values ---- */

/* UTF-8, cut after a whole character, blanks at its ends off. */
static void copy_text(struct span s, char *out, size_t room)
{
	size_t used = 0;
	uint32_t cp;
	while (s.len && strchr(SPACE, s.from[s.len - 1]))
		s.len--;
	while (s.len && strchr(SPACE, *s.from)) {
		s.from++;
		s.len--;
	}
	for (size_t at = 0; at < s.len;) {
		int n = text_utf8_decode(s.from + at, s.len - at, &cp);
		if (n <= 0 || used + (size_t)n >= room)
			break;
		memcpy(out + used, s.from + at, (size_t)n);
		used += (size_t)n;
		at += (size_t)n;
	}
	out[used] = 0;
}

static void take_text(const json_t *v, char *out, size_t room)
{
	const char *text = json_string_value(json_is_array(v) ? json_array_get(v, 0) : v);
	if (text)
		copy_text((struct span){ text, strlen(text) }, out, room);
}

#define IS(text, table) is_one(text, table, sizeof(table) / sizeof *(table))
static bool is_one(const char *text, const char *const *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(text, table[i]) == 0)
			return true;
	return false;
}

static const char *const scratch[] = { "scratch",
				       "from scratch",
				       "from-scratch",
				       "from_scratch",
				       "trained-from-scratch",
				       "trained from scratch",
				       "trained_from_scratch",
				       "pretrained-from-scratch" };

void flow_card_add_base(struct flow_card *c, const char *name)
{
	static const char *const none[] = { "", "-", "none", "n/a", "na", "null", "no", "unknown" };
	char text[sizeof c->base[0]] = "";
	copy_text((struct span){ name, strlen(name) }, text, sizeof text);
	c->scratch |= IS(text, scratch);
	if (IS(text, none) || IS(text, scratch) || c->bases == FLOW_CARD_BASES)
		return;
	for (size_t i = 0; i < c->bases; i++)
		if (strcasecmp(c->base[i], text) == 0)
			return; /* named twice */
	memcpy(c->base[c->bases++], text, sizeof text);
}

/* A text may name several: no name has a comma or a line end in it. */
static void add_names(struct flow_card *c, const char *text)
{
	static const char ends[] = ",;\r\n";
	while (*text) {
		char name[sizeof c->base[0]];
		size_t len = strcspn(text, ends);
		copy_text((struct span){ text, len }, name, sizeof name);
		flow_card_add_base(c, name);
		text += len;
		text += strspn(text, ends);
	}
}

/* A text, or a map with the name in it. */
static void add_base(struct flow_card *c, const json_t *v)
{
	static const char *const keys[] = { "name", "model", "id", "repo", "repo_id", "path" };
	const char *text = json_string_value(v);
	for (size_t i = 0; !text && i < sizeof keys / sizeof *keys; i++)
		text = json_string_value(json_object_get(v, keys[i]));
	if (text)
		add_names(c, text);
	else if (!json_is_null(v) && v && !c->problem[0])
		snprintf(c->problem, sizeof c->problem, "base_model is neither a name nor a list");
}

static void take_bases(struct flow_card *c, const json_t *v)
{
	const json_t *item, *inner;
	size_t i, k;
	if (!json_is_array(v)) {
		if (v)
			add_base(c, v);
		return;
	}
	json_array_foreach(v, i, item) {
		if (!json_is_array(item))
			add_base(c, item);
		json_array_foreach(item, k, inner)
			add_base(c, inner);
	}
}

/* Hubs keep what they know of a base as "base_model:RELATION:org/name". */
static void take_tag(struct flow_card *c, const char *tag)
{
	static const char *const merged[] = { "merge", "mergekit", "merged", "lazymergekit" };
	static const char *const all[] = {
		"full-finetune", "full-finetuning", "full-fine-tuning",         "full-fine-tune",
		"full_finetune", "full-parameter",  "full-parameter-finetuning"
	};
	static const char head[] = "base_model:";
	c->merged |= IS(tag, merged);
	c->all_trained |= IS(tag, all);
	c->scratch |= IS(tag, scratch) && strcasecmp(tag, "scratch") != 0;
	if (strncasecmp(tag, head, strlen(head)) != 0)
		return;
	const char *name = tag + strlen(head), *relation = strchr(name, ':');
	bool known = relation && strcspn(name, "/") > (size_t)(relation - name);
	flow_card_add_base(c, known ? relation + 1 : name);
}

/* "7B", "350 M", "8x7b", "7,241,732,096"; 0: no number. */
static double read_size(const char *text)
{
	static const struct {
		char unit;
		double factor;
	} units[] = { { 'k', 1e3 }, { 'm', 1e6 }, { 'b', 1e9 }, { 't', 1e12 } };
	char digits[40] = "", *end;
	size_t used = 0;
	for (; *text && used + 1 < sizeof digits; text++)
		if (!strchr(", _~", *text))
			digits[used++] = *text;
	double value = strtod(digits, &end), more = 1;
	if (end > digits && (*end == 'x' || *end == 'X'))
		more = strtod(end + 1, &end);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (*end && (*end | 0x20) == units[i].unit)
			more *= units[i].factor;
	value *= more;
	return value >= 1e3 && value < 1e16 ? value : 0;
}

static void take_parameters(struct flow_card *c, const json_t *keys)
{
	static const char *const names[] = { "parameters",       "params",
					     "num_parameters",   "parameter_count",
					     "model_parameters", "model_size" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *text = json_string_value(json_object_get(keys, names[i]));
		if (text && !(c->parameters > 0))
			c->parameters = read_size(text);
	}
}

static void take_keys(struct flow_card *c, const json_t *keys)
{
	const json_t *tags = json_object_get(keys, "tags"), *tag;
	const json_t *index = json_object_get(keys, "model-index");
	size_t i;
	take_bases(c, json_object_get(keys, "base_model"));
	json_array_foreach(tags, i, tag) {
		if (json_is_string(tag))
			take_tag(c, json_string_value(tag));
	}
	take_text(json_object_get(keys, "base_model_relation"), c->relation, sizeof c->relation);
	for (char *at = c->relation; *at; at++)
		*at = *at >= 'A' && *at <= 'Z' ? (char)(*at | 0x20) : *at;
	c->scratch |= IS(c->relation, scratch);
	take_text(json_object_get(keys, "license"), c->license, sizeof c->license);
	take_text(json_object_get(keys, "license_name"), c->license_name, sizeof c->license_name);
	take_text(json_object_get(json_array_get(index, 0), "name"), c->model, sizeof c->model);
	take_text(json_object_get(keys, "model_name"), c->model, sizeof c->model);
	take_parameters(c, keys);
}

int flow_card_parse(const char *text, size_t len, struct flow_card *out, struct err *e)
{
	struct span front;
	size_t line;
	json_t *keys;
	*out = (struct flow_card){ 0 };
	if (len)
		out->text = digest_of(text, len);
	if (!front_matter(text, len, &front, &line))
		return 0;
	TRY(yaml_read(&keys, front.from, front.len, line, out->problem, e));
	take_keys(out, keys);
	json_decref(keys);
	return 0;
}

int flow_card_read(struct source *s, struct flow_card *out, struct err *e)
{
	return flow_card_read_as(s, "README.md", out, e);
}

int flow_card_read_as(struct source *s, const char *name, struct flow_card *out, struct err *e)
{
	struct buf card = { 0 };
	struct err why = { 0 };
	int rc = source_read_file(s, name, CARD_BYTES, &card, &why);
	*out = (struct flow_card){ 0 };
	if (rc == 0)
		rc = flow_card_parse(card.bytes, card.len, out, e);
	else if (rc == ERR_NOMEM || rc == ERR_VERIFY)
		err_set(e, rc, "%s", why.text);
	else if (rc != ERR_NOTFOUND)
		snprintf(out->problem, sizeof out->problem, "%.190s", why.text);
	buf_free(&card);
	return rc == ERR_NOMEM || rc == ERR_VERIFY ? rc : 0;
}

enum flow_match flow_card_declares(const struct flow_card *c, const char *model)
{
	enum flow_match best = FLOW_OTHER;
	for (size_t i = 0; i < c->bases; i++) {
		enum flow_match m = flow_name_match(c->base[i], model);
		best = m > best ? m : best;
	}
	return best;
}
