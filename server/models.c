/* The models that are served, as far as the caller may use them. */
#include "server/models.h"
#include "server/answers.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool server_model_allowed(const struct access_caller *c, const struct serve_service *s)
{
	struct serve_policy p = serve_service_policy(s);
	return access_allows(c, serve_service_model(s), p.name, p.bundle);
}

static bool may_use(const struct exchange *x, const struct serve_service *s)
{
	return s && server_model_allowed(&x->caller, s);
}

struct serve_service *server_model_find(const struct exchange *x, const char *name)
{
	struct serve_service *s, *only = NULL;
	size_t count = 0;
	if (name && name[0]) {
		s = serve_host_find(x->s->host, name);
		return may_use(x, s) ? s : NULL;
	}
	for (size_t i = 0; (s = serve_host_at(x->s->host, i)); i++) {
		only = may_use(x, s) ? s : only;
		count += may_use(x, s);
	}
	return count == 1 ? only : NULL;
}

int server_model_missing(struct exchange *x, const char *name)
{
	char message[400];
	struct api_error error = {
		.status = 404, .message = message, .code = "model_not_found", .param = "model"
	};
	if (name && name[0]) {
		snprintf(message, sizeof message,
			 "no model \"%.200s\" here; GET /v1/models names them", name);
	} else {
		snprintf(message, sizeof message, "\"model\" is missing: there are several here");
		error.status = 400;
		error.code = "missing_required_parameter";
	}
	return server_respond_error(x, &error, NULL);
}

/* root: the digest of the signed manifest; null for a folder without one. */
static void add_model(struct buf *out, const struct serve_service *s)
{
	const char *model = serve_service_model(s);
	const struct digest *root = serve_service_root(s);
	uint32_t context = serve_service_context(s);
	char digest[DIGEST_TEXT_ROOM];
	buf_add_text(out, "{\"id\":");
	text_json_string(out, model, strlen(model));
	buf_printf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"hallmark\"",
		   (long long)serve_service_created(s));
	if (root) {
		digest_text(root, digest);
		buf_printf(out, ",\"root\":\"%s\"", digest);
	} else {
		buf_add_text(out, ",\"root\":null");
	}
	buf_add_text(out, ",\"parent\":null");
	if (context)
		buf_printf(out, ",\"max_model_len\":%u", context);
	buf_add_byte(out, '}');
}

int server_answer_models(struct exchange *x)
{
	const struct serve_service *s;
	struct buf body = { 0 };
	bool more = false;
	buf_add_text(&body, "{\"object\":\"list\",\"data\":[");
	for (size_t i = 0; (s = serve_host_at(x->s->host, i)); i++) {
		if (!may_use(x, s))
			continue;
		buf_add_text(&body, more ? "," : "");
		add_model(&body, s);
		more = true;
	}
	buf_add_text(&body, "]}\n");
	return server_answer_json(x, &body, NULL);
}

/* The rest of the path is the name, slashes too. */
int server_answer_model(struct exchange *x)
{
	const struct serve_service *s = server_model_find(x, x->rest);
	struct buf body = { 0 };
	if (!s)
		return server_model_missing(x, x->rest);
	add_model(&body, s);
	buf_add_byte(&body, '\n');
	return server_answer_json(x, &body, NULL);
}
