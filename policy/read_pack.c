/* The packs of a policy, one after the other: those that it names, then those that they name. Each
 * is read once, whoever names it. */
#include "policy/rules.h"

#include <stdio.h>
#include <string.h>

static size_t pack_index(const struct policy *p, const char *name)
{
	size_t i = 0;
	while (i < p->packs && strcmp(p->pack[i].name, name) != 0)
		i++;
	return i;
}

/* Put a name into the queue. */
static void add_pack(struct reader *r, const char *name, int line)
{
	struct policy *p = r->policy;
	if (pack_index(p, name) < p->packs)
		return;
	if (p->packs == PACKS_MAX)
		policy_problem_at(r, line, 1, "policy.extends: more than %d packs", PACKS_MAX);
	else
		p->pack[p->packs++] = (struct pack){ .name = name, .line = line };
}

static void no_pack(struct reader *r, const char *name, int line, const struct err *e)
{
	const char *names[PACKS_MAX * 2 + 1];
	size_t n = 0;
	for (; n < PACKS_MAX * 2 && policy_pack_name(n); n++)
		names[n] = policy_pack_name(n);
	names[n] = NULL;
	const char *near = policy_nearest(name, names);
	policy_problem_at(r, line, 1, "there is no pack \"%.80s\"%s%s%s%s%.100s", name,
			  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
			  e->text[0] ? "; nor a file: " : "; see `hallmark policy packs`", e->text);
}

/* The text of pack i, read as a file of its own. */
static void read_pack(struct reader *r, size_t i)
{
	const struct policy_packs *packs = r->packs;
	struct pack *x = &r->policy->pack[i];
	struct buf given = { 0 };
	struct err e = { 0 };
	const char *text = policy_pack_text(x->name);
	size_t len = text ? strlen(text) : 0;
	if (!text && policy_pack_later(x->name)) {
		r->no_pack = true;
		policy_problem_at(r, x->line, 1, "not available in this version: %s", x->name);
	} else if (!text && (!packs || packs->read(packs->ctx, x->name, &given, &e) < 0)) {
		r->no_pack = true;
		no_pack(r, x->name, x->line, &e);
	} else {
		if (!text) {
			text = given.bytes ? given.bytes : "";
			len = given.len;
			r->nomem |= given.failed;
		}
		x->digest = digest_of(text, len);
		r->pack = x->name;
		r->pack_line = x->line;
		policy_read_file(r, text, len);
		r->pack = NULL;
	}
	buf_free(&given);
}

void policy_read_packs(struct reader *r, const int *lines)
{
	struct policy *p = r->policy;
	for (size_t i = 0; i < p->extends.count; i++) {
		if (pack_index(p, p->extends.item[i]) < p->packs)
			policy_problem_at(r, lines[i], 1,
					  "policy.extends names %.80s twice; leave one out",
					  p->extends.item[i]);
		add_pack(r, p->extends.item[i], lines[i]);
	}
	for (size_t i = 0; i < p->packs && !r->nomem; i++) {
		read_pack(r, i);
		for (size_t k = 0; k < p->pack[i].extends.count; k++)
			add_pack(r, p->pack[i].extends.item[k], p->pack[i].line);
	}
}

bool policy_pack_read(const struct policy *p, const char *name)
{
	return pack_index(p, name) < p->packs;
}

bool policy_pack_reaches(const struct policy *p, const char *from, const char *pack)
{
	if (!pack || !from)
		return pack != NULL;
	uint64_t seen = UINT64_C(1) << pack_index(p, from), before = 0;
	while (seen != before) {
		before = seen;
		for (size_t i = 0; i < p->packs; i++)
			for (size_t k = 0; seen >> i & 1 && k < p->pack[i].extends.count; k++) {
				size_t to = pack_index(p, p->pack[i].extends.item[k]);
				if (to < p->packs)
					seen |= UINT64_C(1) << to;
			}
	}
	return strcmp(pack, from) != 0 && seen >> pack_index(p, pack) & 1;
}
