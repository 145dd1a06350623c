/* What a token is made with: checked, written, read again. */
#include "access/grant.h"
#include "base/buf.h"
#include "base/text.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define SECRET_PREFIX "hm_"

/* ---- checking ---- */

static bool is_word(const char *s, const char *letters)
{
	return *s && strspn(s, letters) == strlen(s);
}

static int check_name(const char *name, struct err *e)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	/* "tok_..." would be taken for an id */
	if (is_word(name, letters) && strncmp(name, "tok_", 4) != 0)
		return 0;
	return err_set(e, ERR_INPUT,
		       "token name \"%.64s\": expected 1 to 64 of A-Z a-z 0-9 . _ - that do not "
		       "begin with tok_",
		       name);
}

/* Names of models as operators give them: whatever can be printed, but commas part them. */
static int check_models(const char *list, struct err *e)
{
	size_t len = strlen(list);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)list[i] <= ' ' || list[i] == 0x7f)
			return err_set(e, ERR_INPUT, "models: no spaces or control characters");
	if (len && (list[0] == ',' || list[len - 1] == ',' || strstr(list, ",,")))
		return err_set(e, ERR_INPUT, "models \"%.100s\": a name is empty", list);
	return text_utf8_valid(list, len) ? 0 : err_set(e, ERR_INPUT, "models: not UTF-8");
}

static int check_limits(const struct access_limits *l, struct err *e)
{
	const uint64_t all[] = { l->requests_per_minute, l->tokens_per_minute, l->tokens_per_day,
				 l->budget, l->streams };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i] > ACCESS_LIMIT_MAX)
			return err_set(e, ERR_INPUT, "a limit of %llu: at most 10^12",
				       (unsigned long long)all[i]);
	if (l->requests_per_minute > ACCESS_RATE_MAX || l->tokens_per_minute > ACCESS_RATE_MAX)
		return err_set(e, ERR_INPUT, "a limit a minute is at most 10^9");
	return 0;
}

int access_grant_check(const struct access_grant *g, struct err *e)
{
	unsigned bits;
	TRY(check_name(g->name, e));
	TRY(access_roles_read(g->roles, &bits, e));
	if (g->scopes[0])
		TRY(access_scopes_read(g->scopes, &bits, e));
	TRY(check_models(g->models, e));
	if (!text_utf8_valid(g->policy, strlen(g->policy)))
		return err_set(e, ERR_INPUT, "policy: not UTF-8");
	return check_limits(&g->limits, e);
}

/* ---- as JSON ---- */

static void obj_time(struct obj *o, const char *key, int64_t us)
{
	char text[32];
	if (us)
		text_time_rfc3339(us, text);
	obj_text(o, key, us ? text : NULL);
}

static void obj_limit(struct obj *o, const char *key, uint64_t limit)
{
	if (limit)
		obj_count(o, key, limit);
}

static json_t *limits_json(const struct access_limits *l)
{
	struct obj o = { 0 };
	o.json = json_object();
	obj_limit(&o, "requests_per_minute", l->requests_per_minute);
	obj_limit(&o, "tokens_per_minute", l->tokens_per_minute);
	obj_limit(&o, "tokens_per_day", l->tokens_per_day);
	obj_limit(&o, "budget", l->budget);
	obj_limit(&o, "streams", l->streams);
	return obj_take(&o);
}

static const char *or_null(const char *text) { return *text ? text : NULL; }

int access_grant_json(const struct access_grant *g, json_t **out, struct err *e)
{
	struct obj o = { 0 };
	obj_text(&o, "id", g->id);
	obj_text(&o, "name", g->name);
	obj_text(&o, "roles", g->roles);
	obj_text(&o, "scopes", or_null(g->scopes));
	obj_text(&o, "models", or_null(g->models));
	obj_text(&o, "policy", or_null(g->policy));
	obj_time(&o, "made", g->made_us);
	obj_time(&o, "expires", g->expires_us);
	obj_time(&o, "revoked", g->revoked_us);
	obj_add(&o, "limits", limits_json(&g->limits));
	if (g->names_subjects)
		obj_bool(&o, "names_subjects", true);
	if (g->subject[0])
		obj_text(&o, "subject", g->subject);
	return obj_done(&o, out, e);
}

static int take_text(const json_t *o, const char *key, char *out, size_t room, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	out[0] = 0;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v) || json_string_length(v) >= room)
		return err_set(e, ERR_VERIFY, "table access_token: \"%s\" is no such text", key);
	memcpy(out, json_string_value(v), json_string_length(v) + 1);
	return 0;
}

static int take_time(const json_t *o, const char *key, int64_t *us, struct err *e)
{
	char text[32];
	*us = 0;
	TRY(take_text(o, key, text, sizeof text, e));
	if (text[0] && text_time_parse(text, us) < 0)
		return err_set(e, ERR_VERIFY, "table access_token: \"%s\" is no time", key);
	return 0;
}

static uint64_t take_limit(const json_t *limits, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(limits, key));
	return v > 0 ? (uint64_t)v : 0;
}

int access_grant_read(const json_t *o, struct access_grant *g, struct err *e)
{
	const json_t *limits = json_object_get(o, "limits");
	*g = (struct access_grant){ 0 };
	TRY(take_text(o, "id", g->id, sizeof g->id, e));
	TRY(take_text(o, "name", g->name, sizeof g->name, e));
	TRY(take_text(o, "roles", g->roles, sizeof g->roles, e));
	TRY(take_text(o, "scopes", g->scopes, sizeof g->scopes, e));
	TRY(take_text(o, "models", g->models, sizeof g->models, e));
	TRY(take_text(o, "policy", g->policy, sizeof g->policy, e));
	TRY(take_time(o, "made", &g->made_us, e));
	TRY(take_time(o, "expires", &g->expires_us, e));
	g->limits = (struct access_limits){
		.requests_per_minute = take_limit(limits, "requests_per_minute"),
		.tokens_per_minute = take_limit(limits, "tokens_per_minute"),
		.tokens_per_day = take_limit(limits, "tokens_per_day"),
		.budget = take_limit(limits, "budget"),
		.streams = take_limit(limits, "streams"),
	};
	TRY(take_text(o, "subject", g->subject, sizeof g->subject, e));
	g->names_subjects = json_is_true(json_object_get(o, "names_subjects"));
	return access_grant_check(g, e); /* one that reads otherwise would allow more */
}

/* ---- secrets ---- */

void access_secret_draw(const struct env *env, struct access_grant *g,
			char secret[ACCESS_SECRET_ROOM])
{
	uint8_t bytes[32], id[8];
	char hex[17];
	struct buf b = { 0 };
	env_random(env, bytes, sizeof bytes);
	env_random(env, id, sizeof id);
	text_hex(id, sizeof id, hex);
	snprintf(g->id, sizeof g->id, "tok_%s", hex);
	buf_reserve(&b, 64);
	text_base64_url(&b, bytes, sizeof bytes);
	snprintf(secret, ACCESS_SECRET_ROOM, SECRET_PREFIX "%s", b.bytes ? b.bytes : "");
	buf_wipe(&b);
	OPENSSL_cleanse(bytes, sizeof bytes);
}

bool access_digest_same(const struct digest *a, const struct digest *b)
{
	return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
