/* The names of roles and scopes. */
#include "access/access.h"

#include <string.h>

struct name {
	const char *name;
	unsigned bits;
};

static const struct name roles[] = {
	{ "user", ACCESS_INFER },
	{ "auditor", ACCESS_RECEIPTS_ALL },
	{ "monitor", ACCESS_METRICS },
	{ "operator", ACCESS_OPERATE | ACCESS_METRICS },
	{ "admin",
	  ACCESS_INFER | ACCESS_RECEIPTS_ALL | ACCESS_METRICS | ACCESS_OPERATE | ACCESS_TOKENS },
	{ NULL, 0 },
};

static const struct name scopes[] = {
	{ "chat", ACCESS_CHAT },           { "completions", ACCESS_COMPLETIONS },
	{ "responses", ACCESS_RESPONSES }, { "messages", ACCESS_MESSAGES },
	{ "tokenize", ACCESS_TOKENIZE },   { NULL, 0 },
};

static const struct name *name_find(const struct name *table, const char *word, size_t len)
{
	for (; table->name; table++)
		if (strlen(table->name) == len && memcmp(table->name, word, len) == 0)
			return table;
	return NULL;
}

static int names_read(const struct name *table, const char *what, const char *known,
		      const char *list, unsigned *bits, struct err *e)
{
	*bits = 0;
	for (;;) {
		size_t len = strcspn(list, ",");
		const struct name *found = name_find(table, list, len);
		if (!found)
			return err_set(e, ERR_INPUT, "%s \"%.*s\": expected some of %s", what,
				       (int)(len < 40 ? len : 40), list, known);
		*bits |= found->bits;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

int access_roles_read(const char *list, unsigned *permissions, struct err *e)
{
	return names_read(roles, "role", "user, auditor, monitor, operator, admin", list,
			  permissions, e);
}

int access_scopes_read(const char *list, unsigned *out, struct err *e)
{
	return names_read(scopes, "scope", "chat, completions, responses, messages, tokenize", list,
			  out, e);
}
