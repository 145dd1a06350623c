/* Answers that take no engine: receipts. */
#include "server/answers.h"
#include "serve/serve.h"

#include <stdio.h>
#include <string.h>

int server_answer_json(struct exchange *x, struct buf *body, const char *const *field)
{
	int rc =
		server_respond_whole(x, &(struct response){ 200, "application/json", field }, body);
	buf_free(body);
	return rc;
}

int server_answer_error(struct exchange *x, int status, const char *message)
{
	struct api_error error = { .status = status, .message = message };
	return server_respond_error(x, &error, NULL);
}

static bool is_receipt_id(const char *s)
{
	size_t len = strlen(s);
	for (size_t i = 0; i < len; i++)
		if (!strchr("-_./", s[i]) && !(s[i] >= '0' && s[i] <= '9') &&
		    !(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z'))
			return false;
	return len > 0 && len <= 128;
}

int server_answer_receipt(struct exchange *x)
{
	static const struct response text = { 200, "text/plain; charset=utf-8", NULL };
	struct buf body = { 0 };
	struct err err = { 0 };
	if (!is_receipt_id(x->rest))
		return server_answer_error(x, 404, "no such receipt");
	struct serve_reader who = { x->caller.handle,
				    x->caller.permissions & ACCESS_RECEIPTS_ALL };
	int rc = serve_host_receipt(x->s->host, x->rest, &who, &body, &err);
	int status = rc < 0 ? api_error_status(rc) : 200;
	if (status == 500) {
		fprintf(stderr, "hallmark: receipt %s: %s\n", x->rest, err.text);
		err_set(&err, rc, "internal error: %s", err_name(rc));
	}
	rc = rc < 0 ? server_answer_error(x, status, err.text)
		    : server_respond_whole(x, &text, &body);
	buf_free(&body);
	return rc;
}
