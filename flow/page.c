#include "flow/page.h"

#include "base/limits.h"

#include <inttypes.h>
#include <string.h>

static const char page_style[] =
	"body{font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:75em;"
	"margin:2em auto;padding:0 1em}"
	"h1{font-size:1.5em}h2{font-size:1.1em;margin:1.6em 0 .4em}"
	"table{border-collapse:collapse;margin:.2em 0;font-size:.92em}"
	"th,td{border:1px solid #ccc;padding:.2em .5em;text-align:left;vertical-align:top;"
	"overflow-wrap:anywhere}"
	"th{background:#f2f2f2;font-weight:600}.none{color:#666}"
	"@media print{body{margin:0;max-width:none}tr{break-inside:avoid}}";

static void page_text(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		switch (text[i]) {
		case '&':
			buf_add_text(out, "&amp;");
			break;
		case '<':
			buf_add_text(out, "&lt;");
			break;
		case '>':
			buf_add_text(out, "&gt;");
			break;
		case '"':
			buf_add_text(out, "&quot;");
			break;
		case '\0':
			buf_add_text(out, "\xef\xbf\xbd"); /* no page may hold it */
			break;
		default:
			buf_add_byte(out, (unsigned char)text[i]);
		}
}

/* "false_positive_rate" as a heading. */
static void page_label(struct buf *out, const char *key)
{
	for (; *key; key++)
		page_text(out, *key == '_' ? " " : key, 1);
}

static int page_number(struct buf *out, const json_t *v, struct err *e)
{
	if (!json_is_integer(v))
		return json_write_canonical(v, out, e); /* as the report has it */
	buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	return 0;
}

static int page_value(struct buf *out, const json_t *v, int depth, struct err *e);

static int page_object(struct buf *out, const json_t *v, int depth, struct err *e)
{
	const char *key;
	json_t *member;
	buf_add_text(out, "<table>");
	json_object_foreach((json_t *)v, key, member) {
		buf_add_text(out, "<tr><th>");
		page_label(out, key);
		buf_add_text(out, "</th><td>");
		TRY(page_value(out, member, depth + 1, e));
		buf_add_text(out, "</td></tr>\n");
	}
	buf_add_text(out, "</table>");
	return 0;
}

/* Every key that one of the objects has, in the order in which they come up. */
static int page_columns(const json_t *list, json_t **out, struct err *e)
{
	size_t i;
	json_t *row, *member;
	const char *key;
	struct obj columns = { 0 };
	json_array_foreach(list, i, row)
		json_object_foreach(row, key, member)
			if (!columns.json || !json_object_get(columns.json, key))
				obj_null(&columns, key);
	return obj_done(&columns, out, e);
}

static int page_rows(struct buf *out, const json_t *list, json_t *columns, int depth, struct err *e)
{
	size_t i;
	json_t *row, *none;
	const char *key;
	buf_add_text(out, "<table><tr>");
	json_object_foreach(columns, key, none) {
		buf_add_text(out, "<th>");
		page_label(out, key);
		buf_add_text(out, "</th>");
	}
	buf_add_text(out, "</tr>\n");
	json_array_foreach(list, i, row) {
		buf_add_text(out, "<tr>");
		json_object_foreach(columns, key, none) {
			const json_t *cell = json_object_get(row, key);
			buf_add_text(out, "<td>");
			if (cell)
				TRY(page_value(out, cell, depth + 1, e));
			buf_add_text(out, "</td>");
		}
		buf_add_text(out, "</tr>\n");
	}
	buf_add_text(out, "</table>");
	return 0;
}

static int page_list(struct buf *out, const json_t *v, int depth, struct err *e)
{
	size_t i, objects = 0, count = json_array_size(v);
	json_t *item, *columns = NULL;
	json_array_foreach(v, i, item)
		objects += json_is_object(item);
	if (count == 0)
		buf_add_text(out, "<span class=\"none\">none</span>");
	if (count > 0 && objects == count) {
		TRY(page_columns(v, &columns, e));
		int rc = page_rows(out, v, columns, depth, e);
		json_decref(columns);
		return rc;
	}
	json_array_foreach(v, i, item) {
		if (i > 0)
			buf_add_text(out, "<br>");
		TRY(page_value(out, item, depth + 1, e));
	}
	return 0;
}

static int page_value(struct buf *out, const json_t *v, int depth, struct err *e)
{
	if (depth > LIMIT_JSON_DEPTH)
		return err_set(e, ERR_INPUT, "the report is nested more than %d deep",
			       LIMIT_JSON_DEPTH);
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return page_object(out, v, depth, e);
	case JSON_ARRAY:
		return page_list(out, v, depth, e);
	case JSON_STRING:
		page_text(out, json_string_value(v), json_string_length(v));
		return 0;
	case JSON_INTEGER:
	case JSON_REAL:
		return page_number(out, v, e);
	case JSON_TRUE:
		buf_add_text(out, "yes");
		return 0;
	case JSON_FALSE:
		buf_add_text(out, "no");
		return 0;
	case JSON_NULL:
		buf_add_text(out, "<span class=\"none\">not measured</span>");
		return 0;
	}
	return 0;
}

/* A heading for what holds more than a line; the rest goes to one table. */
static bool page_apart(const json_t *v)
{
	return (json_is_object(v) && json_object_size(v) > 0) ||
	       (json_is_array(v) && json_is_object(json_array_get(v, 0)));
}

static int page_body(struct buf *out, const json_t *report, struct err *e)
{
	const char *key;
	json_t *member;
	buf_add_text(out, "<table>");
	json_object_foreach((json_t *)report, key, member) {
		if (page_apart(member))
			continue;
		buf_add_text(out, "<tr><th>");
		page_label(out, key);
		buf_add_text(out, "</th><td>");
		TRY(page_value(out, member, 0, e));
		buf_add_text(out, "</td></tr>\n");
	}
	buf_add_text(out, "</table>\n");
	json_object_foreach((json_t *)report, key, member) {
		if (!page_apart(member))
			continue;
		buf_add_text(out, "<h2>");
		page_label(out, key);
		buf_add_text(out, "</h2>\n");
		TRY(page_value(out, member, 0, e));
		buf_add_byte(out, '\n');
	}
	return 0;
}

int flow_page(const char *title, const char *lead, const json_t *report, struct buf *out,
	      struct err *e)
{
	buf_add_text(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
			  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
			  "'none'; style-src 'unsafe-inline'\">\n<title>");
	page_text(out, title, strlen(title));
	buf_add_text(out, "</title>\n<style>");
	buf_add_text(out, page_style);
	buf_add_text(out, "</style></head><body>\n<h1>");
	page_text(out, title, strlen(title));
	buf_add_text(out, "</h1>\n");
	while (*lead) {
		size_t line = strcspn(lead, "\n");
		buf_add_text(out, "<p>");
		page_text(out, lead, line);
		buf_add_text(out, "</p>\n");
		lead += line + (lead[line] == '\n');
	}
	TRY(page_body(out, report, e));
	buf_add_text(out, "</body></html>\n");
	return buf_done(out, e);
}
