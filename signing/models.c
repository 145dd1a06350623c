/* Names of models that a key may sign: patterns ORG/MODEL, separated by commas. Either part may end
 * in '*', which stands for any further characters of that part: "acme/bank", "acme/bank-*",
 * "acme/" with a star, a star on both sides for every name. Letters of ASCII match in either case,
 * as hubs take them. */
#include "signing/signing.h"

#include <string.h>
#include <strings.h>

#define ALLOWED "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* A part of a pattern: characters of names, then a star or the end. */
static bool part_ok(const char *part, size_t len)
{
	size_t plain = strspn(part, ALLOWED);
	if (plain >= len)
		return len > 0;
	return plain == len - 1 && part[plain] == '*';
}

static bool pattern_ok(const char *pattern, size_t len)
{
	const char *slash = memchr(pattern, '/', len);
	return slash && part_ok(pattern, (size_t)(slash - pattern)) &&
	       part_ok(slash + 1, len - (size_t)(slash - pattern) - 1);
}

int signing_models_check(const char *models, struct err *e)
{
	if (strlen(models) >= sizeof((struct signing_public *)0)->models)
		return err_set(e, ERR_INPUT, "models: a list of %zu bytes, the limit is %zu",
			       strlen(models), sizeof((struct signing_public *)0)->models - 1);
	for (const char *p = models;; p++) {
		size_t len = strcspn(p, ",");
		if (!pattern_ok(p, len))
			return err_set(e, ERR_INPUT,
				       "models: \"%.*s\": expected ORG/MODEL, where either part "
				       "may end in '*'",
				       (int)(len < 100 ? len : 100), p);
		p += len;
		if (!*p)
			return 0;
	}
}

static bool part_matches(const char *part, size_t len, const char *name, size_t name_len)
{
	bool open = part[len - 1] == '*';
	size_t plain = len - open;
	return (open ? name_len >= plain : name_len == plain) && strncasecmp(part, name, plain) == 0;
}

bool signing_models_match(const char *models, const char *name)
{
	const char *slash = strchr(name, '/');
	for (const char *p = models; slash && *p; p += *p == ',') {
		size_t len = strcspn(p, ",");
		const char *cut = memchr(p, '/', len);
		if (cut && part_matches(p, (size_t)(cut - p), name, (size_t)(slash - name)) &&
		    part_matches(cut + 1, len - (size_t)(cut - p) - 1, slash + 1,
				 strlen(slash + 1)))
			return true;
		p += len;
	}
	return false;
}
