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

int cmd_policy_packs(struct cli *c)
{
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(flow_policy_packs(&report, &c->err));
	return cli_print(c, report);
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
