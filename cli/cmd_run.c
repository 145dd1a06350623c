/* hallmark run: a prompt, or a chat, through the same filters and log as the server. */
#include "base/text.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int request_body(struct cli *c, json_t *messages, struct buf *out)
{
	struct api_request q = { .model = "local",
				 .messages = messages,
				 .stream = true,
				 .n = 1,
				 .top_p = 1,
				 .repetition = 1,
				 .has_seed = cli_has(c, "seed") };
	uint64_t tokens = 0;
	const char *t = cli_value(c, "temperature");
	TRY(cli_number(c, "max-tokens", &tokens));
	TRY(cli_signed(c, "seed", &q.seed));
	if (tokens > UINT32_MAX)
		return err_set(&c->err, ERR_USAGE, "--max-tokens %llu: at most %u",
			       (unsigned long long)tokens, UINT32_MAX);
	q.tokens_max = (uint32_t)tokens;
	if (t && text_parse_double(t, &q.temperature) < 0)
		return err_set(&c->err, ERR_USAGE,
			       "--temperature %s: expected a number from 0 to 2", t);
	return api_request_write(&q, out, &c->err);
}

/* One answer as it comes. Reasoning is dimmed on a terminal; elsewhere it goes to stderr, so that
 * stdout holds the answer alone. */
struct printing {
	struct cli *c;
	bool terminal;
	bool in_thought;
	struct buf answer, thoughts; /* answer: for the next turn too */
};

static int print_thought(struct printing *p, const struct cleared *text)
{
	bool first = !p->in_thought;
	if (p->c->json)
		return 0;
	p->in_thought = true;
	if (!p->terminal) {
		if (!p->c->quiet)
			fwrite(text->bytes, 1, text->len, stderr);
		return 0;
	}
	if (first)
		TRY(cli_write(p->c, "\033[2m", 4));
	return cli_write(p->c, text->bytes, text->len);
}

static int end_thought(struct printing *p)
{
	bool was = p->in_thought;
	p->in_thought = false;
	if (was && p->terminal)
		return cli_write(p->c, "\033[0m\n", 5);
	if (was && !p->c->quiet)
		fputc('\n', stderr);
	return 0;
}

static int print_piece(struct printing *p, const struct api_piece *piece)
{
	if (piece->text.len == 0)
		return 0;
	if (piece->part == API_REASONING) {
		buf_add(&p->thoughts, piece->text.bytes, piece->text.len);
		TRY(print_thought(p, &piece->text));
	} else {
		TRY(end_thought(p));
		buf_add(&p->answer, piece->text.bytes, piece->text.len);
		if (!p->c->json)
			TRY(cli_write(p->c, piece->text.bytes, piece->text.len));
	}
	fflush(stdout);
	return 0;
}

static int print_end(struct printing *p, const json_t *result)
{
	const json_t *mark = json_object_get(result, "hallmark");
	TRY(end_thought(p));
	if (p->c->json) {
		json_t *report = json_deep_copy(result);
		json_object_set_new(report, "text",
				    json_stringn(p->answer.bytes ? p->answer.bytes : "",
						 p->answer.len));
		if (p->thoughts.len)
			json_object_set_new(report, "reasoning",
					    json_stringn(p->thoughts.bytes, p->thoughts.len));
		return cli_print(p->c, report);
	}
	if (!p->c->quiet)
		fprintf(stderr, "\n[%s; log entry %lld, record %s]\n",
			json_string_value(json_object_get(result, "finish_reason")),
			(long long)json_integer_value(json_object_get(mark, "index")),
			json_string_value(json_object_get(mark, "record")));
	return 0;
}

/* Print the answer as it comes; answer collects it for the next turn. */
static int ask(struct cli *c, struct serve_host *h, json_t *messages, struct buf *answer)
{
	struct printing p = { .c = c, .terminal = isatty(STDOUT_FILENO) };
	struct buf body = { 0 };
	struct serve_chat *chat = NULL;
	struct api_piece piece;
	int rc = request_body(c, messages, &body);
	if (rc == 0)
		rc = serve_chat_open(&chat, h, API_CHAT, body.bytes, body.len, NULL, &c->err);
	while (rc == 0 && (rc = serve_chat_next(chat, &piece, &c->err)) == SERVE_TEXT)
		rc = print_piece(&p, &piece);
	if (rc == SERVE_END)
		rc = print_end(&p, serve_chat_result(chat));
	serve_chat_close(chat);
	buf_free(&body);
	buf_free(&p.thoughts);
	*answer = p.answer;
	return rc;
}

static int add_turn(struct cli *c, json_t *messages, const char *role, const char *text, size_t len)
{
	json_t *turn = json_pack("{s:s,s:s%}", "role", role, "content", text, len);
	if (turn && json_array_append_new(messages, turn) == 0)
		return 0;
	return err_set(&c->err, ERR_INPUT, "the prompt is not UTF-8");
}

/* A message that a rule blocked is taken back, or it would block every one after it. */
static int turn(struct cli *c, struct serve_host *h, json_t *messages, const struct buf *line)
{
	struct buf answer = { 0 };
	int rc = add_turn(c, messages, "user", line->bytes, line->len);
	if (rc == 0)
		rc = ask(c, h, messages, &answer);
	if (rc == 0 && answer.len)
		rc = add_turn(c, messages, "assistant", answer.bytes, answer.len);
	else if (rc == 0)
		json_array_remove(messages, json_array_size(messages) - 1);
	buf_free(&answer);
	return rc < 0 || c->json ? rc : cli_write(c, "\n", 1);
}

static int chat_loop(struct cli *c, struct serve_host *h, json_t *messages)
{
	struct buf line = { 0 };
	int rc;
	bool terminal = isatty(STDIN_FILENO) && !c->no_input;
	do {
		if (terminal)
			fputs("> ", stderr);
		rc = cli_line(c, &line);
		if (rc > 0 && line.len) {
			int said = turn(c, h, messages, &line);
			rc = said < 0 ? said : rc;
		}
	} while (rc > 0);
	buf_free(&line);
	return rc;
}

static int run(struct cli *c, struct serve_host *h)
{
	struct buf answer = { 0 };
	json_t *messages = json_array();
	int rc = 0;
	if (c->operands == 2) {
		rc = add_turn(c, messages, "user", c->operand[1], strlen(c->operand[1]));
		if (rc == 0)
			rc = ask(c, h, messages, &answer);
		if (rc == 0 && !c->json)
			rc = cli_write(c, "\n", 1);
	} else {
		rc = chat_loop(c, h, messages);
	}
	buf_free(&answer);
	json_decref(messages);
	return rc;
}

int cmd_run(struct cli *c)
{
	struct serve_options o = { .model_name = "local",
				   .policy = cli_value(c, "policy"),
				   .key = cli_value(c, "key"),
				   .sampling = cli_value(c, "sampling"),
				   .unsigned_ok = cli_has(c, "unsigned") };
	struct flow *f;
	struct serve_host *h = NULL;
	TRY(cli_operands(c, 1, 2));
	TRY(cli_compute(c, &o));
	o.ref = c->operand[0];
	o.adapter = cli_value(c, "adapter");
	TRY(cli_open(c, false, &f));
	int rc = serve_host_open(&h, f, &c->err);
	if (rc == 0)
		rc = serve_host_add(h, &o, &c->err);
	if (rc == 0) {
		cli_notes(c, serve_service_notes(serve_host_at(h, 0)));
		rc = run(c, h);
	}
	serve_host_close(h);
	flow_close(f);
	return rc;
}
