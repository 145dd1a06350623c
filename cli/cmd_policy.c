/* hallmark policy */
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

int cmd_policy_check(struct cli *c)
{
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(flow_policy_check(c->operand[0], &report, &c->err));
	bool ok = json_is_true(json_object_get(report, "ok"));
	TRY(cli_print(c, report));
	return ok ? 0 : err_set(&c->err, ERR_INPUT, "%s has errors", c->operand[0]);
}

int cmd_policy_test(struct cli *c)
{
	json_t *report = NULL;
	TRY(cli_operands(c, 1, 1));
	TRY(flow_policy_test(c->operand[0], &report, &c->err));
	bool ok = json_is_true(json_object_get(report, "ok"));
	TRY(cli_print(c, report));
	return ok ? 0 : err_set(&c->err, ERR_VERIFY, "%s: a rule's test fails", c->operand[0]);
}

int cmd_policy_compile(struct cli *c)
{
	const char *out = cli_value(c, "out");
	struct buf bundle = { 0 };
	TRY(cli_operands(c, 1, 1));
	int rc = flow_policy_compile(c->operand[0], &bundle, &c->err);
	if (rc == 0)
		rc = out ? file_write_durable(out, bundle.bytes, bundle.len, 0644, &c->err)
			 : cli_write(c, bundle.bytes, bundle.len);
	buf_free(&bundle);
	return rc;
}

/* ---- tables ---- */

#define CELL 400 /* bytes */

/* "a, b" of a list; the three parts of what a model says under their short name. */
static void join(const json_t *list, char *out, size_t room)
{
	size_t i, n = 0, said = 0;
	json_t *v;
	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);
		said += strcmp(s, "content") == 0 || strcmp(s, "reasoning") == 0 ||
			strcmp(s, "tool_arguments") == 0;
	}
	*out = 0;
	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);
		bool part = strcmp(s, "reasoning") == 0 || strcmp(s, "tool_arguments") == 0;
		if (said == 3 && part)
			continue;
		if (said == 3 && strcmp(s, "content") == 0)
			s = "output";
		if (n < room)
			n += (size_t)snprintf(out + n, room - n, "%s%s", n ? ", " : "", s);
	}
}

/* What a rule matches, in a word. */
static void match_cell(const json_t *match, char *out, size_t room)
{
	const char *detector = json_string_value(json_object_get(match, "detector"));
	size_t literals = json_array_size(json_object_get(match, "literals"));
	if (detector)
		snprintf(out, room, "%s", detector);
	else if (literals)
		snprintf(out, room, "%zu literals", literals);
	else
		snprintf(out, room, "regex");
}

static void cell(const json_t *row, const char *column, char *out, size_t room)
{
	const json_t *v = json_object_get(row, column);
	if (strcmp(column, "match") == 0)
		match_cell(v, out, room);
	else if (json_is_string(v))
		snprintf(out, room, "%s", json_string_value(v));
	else if (json_is_integer(v))
		snprintf(out, room, "%jd", (intmax_t)json_integer_value(v));
	else if (json_is_real(v))
		snprintf(out, room, "%.3f", json_real_value(v));
	else if (json_is_boolean(v))
		snprintf(out, room, "%s", json_is_true(v) ? "yes" : "no");
	else if (json_is_array(v))
		join(v, out, room);
	else
		snprintf(out, room, "-");
}

/* Rows as a table with a line of names above; the last column is as wide as it is. */
static int print_table(struct cli *c, json_t *report, const char *list, const char *const *columns)
{
	const json_t *rows = json_object_get(report, list), *row;
	char text[CELL];
	size_t i;
	if (c->json)
		return cli_print(c, report);
	struct buf out = { 0 };
	size_t width[8] = { 0 };
	for (size_t k = 0; columns[k]; k++) {
		width[k] = strlen(columns[k]);
		json_array_foreach(rows, i, row) {
			cell(row, columns[k], text, sizeof text);
			width[k] = strlen(text) > width[k] ? strlen(text) : width[k];
		}
	}
	for (size_t line = 0; line <= json_array_size(rows); line++)
		for (size_t k = 0; columns[k]; k++) {
			bool last = !columns[k + 1];
			snprintf(text, sizeof text, "%s", columns[k]);
			if (line)
				cell(json_array_get(rows, line - 1), columns[k], text, sizeof text);
			buf_printf(&out, "%-*s%s", last ? 0 : (int)width[k], text,
				   last ? "\n" : "  ");
		}
	json_decref(report);
	int rc = buf_done(&out, &c->err);
	if (rc == 0)
		rc = cli_write(c, out.bytes, out.len);
	buf_free(&out);
	return rc;
}

int cmd_policy_packs(struct cli *c)
{
	static const char *const packs[] = { "name", "version", "rules", NULL }, *const rules[] = {
		"id", "match", "action", "phase", "enabled", "description", NULL
	};
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 1));
	TRY(flow_policy_packs(c->operand[0], &report, &c->err));
	return c->operand[0] ? print_table(c, report, "rules", rules)
			     : print_table(c, report, "packs", packs);
}

int cmd_policy_detectors(struct cli *c)
{
	static const char *const columns[] = { "name",      "version", "recall",
					       "precision", "what",    NULL };
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 1));
	TRY(flow_policy_detectors(c->operand[0], &report, &c->err));
	if (!c->operand[0])
		return print_table(c, report, "detectors", columns);
	if (c->json)
		return cli_print(c, report);
	json_t *one = json_incref(json_array_get(json_object_get(report, "detectors"), 0));
	json_decref(report);
	return cli_print(c, one);
}

/* ---- scan ---- */

#define PIECES_MAX 64

static int parse_pieces(struct cli *c, uint32_t piece[PIECES_MAX], size_t *count)
{
	const char *at = cli_value(c, "pieces");
	*count = 0;
	while (at && *at) {
		size_t n = strcspn(at, ",");
		uint64_t v;
		if (*count == PIECES_MAX || text_parse_u64(at, n, &v) < 0 || v == 0 ||
		    v > UINT32_MAX)
			return err_set(
				&c->err, ERR_USAGE,
				"--pieces: expected up to %d positive numbers separated by commas",
				PIECES_MAX);
		piece[(*count)++] = (uint32_t)v;
		at += n + (at[n] == ',');
	}
	return 0;
}

static int scan_line(struct cli *c, struct flow_scanner *s, const char *line, size_t len,
		     const uint32_t *piece, size_t pieces)
{
	json_t *in = NULL, *report = NULL;
	TRY(json_read(&in, line, len, LIMIT_REQUEST_BYTES, LIMIT_JSON_DEPTH, &c->err));
	const json_t *text = json_object_get(in, "text"), *id = json_object_get(in, "id");
	int rc = json_is_string(text) && json_is_string(id)
			 ? 0
			 : err_set(&c->err, ERR_INPUT, "expected {\"id\", \"text\"}, both strings");
	if (rc == 0)
		rc = flow_scanner_scan(s, json_string_value(text), json_string_length(text),
				       pieces ? piece : NULL, pieces, &report, &c->err);
	if (rc == 0) {
		json_t *out = json_pack("{s:O}", "id", id);
		json_object_update(out, report);
		struct buf b = { 0 };
		rc = json_write(out, 0, &b, &c->err);
		buf_add_text(&b, "\n");
		if (rc == 0)
			rc = cli_write(c, b.bytes, b.len);
		buf_free(&b);
		json_decref(out);
	}
	json_decref(report);
	json_decref(in);
	return rc;
}

int cmd_policy_scan(struct cli *c)
{
	const char *policy;
	uint32_t piece[PIECES_MAX];
	size_t pieces, number = 0;
	struct flow_scanner *s;
	struct buf line = { 0 };
	TRY(cli_operands(c, 0, 0));
	TRY(cli_need(c, "policy", &policy));
	TRY(parse_pieces(c, piece, &pieces));
	TRY(flow_scanner_open(&s, policy, &c->err));
	int rc;
	while (number++, (rc = cli_line(c, &line)) > 0) {
		if (line.len > 0)
			rc = scan_line(c, s, line.bytes, line.len, piece, pieces);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		err_prefix(&c->err, "line %zu", number);
	buf_free(&line);
	flow_scanner_close(s);
	return rc;
}
