/* Packs that come with the program: the texts of policy/packs/, compiled in. */
#include "policy/rules.h"

#include <string.h>

/* A pack by name; NULL if there is none of that name. */
static const struct policy_pack *pack_find(const char *name)
{
	for (const struct policy_pack *p = policy_pack_list; p->name; p++)
		if (strcmp(name, p->name) == 0)
			return p;
	return NULL;
}

const char *policy_pack_name(size_t i)
{
	for (const struct policy_pack *p = policy_pack_list; p->name; p++)
		if (p->text && i-- == 0)
			return p->name;
	return NULL;
}

bool policy_pack_later(const char *name)
{
	const struct policy_pack *p = pack_find(name);
	return p && !p->text;
}

const char *policy_pack_text(const char *name)
{
	const struct policy_pack *p = pack_find(name);
	return p ? p->text : NULL;
}
