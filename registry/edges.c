/* Lineage edges: parent root -> child root. They never form a cycle: nothing is its own ancestor.
 *
 * The measure of the weights knows no direction. Where a card, the publisher, the weights
 * themselves or the auditor tell it, the edge is firm. Where only the order of registration does,
 * it is presumed, and a firm edge that says otherwise takes its place. An edge that goes against
 * firm ones is left out; its entry stays in the log. The same log gives the same edges. */
#include "registry/rows.h"

#include <string.h>

/* Descendants of $1, itself among them, over edges for which CONDITION holds. UNION drops what was
 * seen before, so that even a cycle would end. */
#define BELOW(name, condition)                                                        \
	name "(root) AS (SELECT $1 UNION"                                             \
	     " SELECT e.child FROM registry_edge e JOIN " name " ON e.parent = " name \
	     ".root WHERE " condition ")"
#define ABOVE                                              \
	"above(root) AS (SELECT $2 UNION"                  \
	" SELECT e.parent FROM registry_edge e JOIN above" \
	" ON e.child = above.root)"
#define FIRM "(e.basis IS NULL OR e.basis <> '" REGISTRY_PRESUMED_BASIS "')"

static int two_roots(struct store_tx *tx, const char *sql, const char *from, const char *to,
		     struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, sql, &st, e));
	store_bind_text(st, 1, from);
	store_bind_text(st, 2, to);
	int rc = store_step(st, e);
	store_finish(st);
	return rc;
}

/* Whether a way leads from one root down to another: 1 or 0. */
static int leads(struct store_tx *tx, const char *from, const char *to, bool firm, struct err *e)
{
	return two_roots(tx,
			 firm ? "WITH RECURSIVE " BELOW("below", FIRM) " SELECT 1 FROM below"
								       " WHERE root = $2"
			      : "WITH RECURSIVE " BELOW("below", "TRUE") " SELECT 1 FROM below"
									 " WHERE root = $2",
			 from, to, e);
}

/* Every presumed edge on a way from one root to another. */
static int drop_presumed(struct store_tx *tx, const char *from, const char *to, struct err *e)
{
	return two_roots(
		tx,
		"WITH RECURSIVE " BELOW(
			"below",
			"TRUE") ", " ABOVE
				" DELETE FROM registry_edge WHERE basis = '" REGISTRY_PRESUMED_BASIS
				"'"
				" AND parent IN (SELECT root FROM below)"
				" AND child IN (SELECT root FROM above)",
		from, to, e);
}

static int insert_edge(struct store_tx *tx, const struct registry_edge *edge, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(
		tx,
		"INSERT INTO registry_edge(idx, pos, parent, child, name, relation, basis)"
		" VALUES($1, $2, $3, $4, $5, $6, $7)",
		&st, e));
	store_bind_i64(st, 1, (int64_t)edge->index);
	store_bind_i64(st, 2, edge->pos);
	store_bind_text(st, 3, edge->parent);
	store_bind_text(st, 4, edge->child);
	store_bind_text(st, 5, edge->name);
	store_bind_text(st, 6, edge->relation);
	store_bind_text(st, 7, edge->basis);
	return store_run(st, e);
}

int registry_edge_add(struct store_tx *tx, const struct registry_edge *edge, struct err *e)
{
	bool presumed = edge->basis && strcmp(edge->basis, REGISTRY_PRESUMED_BASIS) == 0;
	int against = leads(tx, edge->child, edge->parent, !presumed, e);

	if (against != 0)
		return against < 0 ? against : 0;
	if (!presumed)
		TRY(drop_presumed(tx, edge->child, edge->parent, e));
	return insert_edge(tx, edge, e);
}

int registry_descent(struct registry *r, const struct digest *root, const struct digest *ancestor,
		     enum registry_descent *out, struct err *e)
{
	char below[DIGEST_TEXT_ROOM], above[DIGEST_TEXT_ROOM];
	struct store_tx *tx;
	int rc;

	digest_text(root, below);
	digest_text(ancestor, above);
	*out = REGISTRY_UNRELATED;
	TRY(store_read(r->store, &tx, e));
	TRY_OUT(leads(tx, above, below, true, e));
	if (rc == 1)
		*out = REGISTRY_FIRM;
	else
		TRY_OUT(leads(tx, above, below, false, e));
	if (rc == 1 && *out == REGISTRY_UNRELATED)
		*out = REGISTRY_PRESUMED;
	rc = 0;
out:
	store_end(tx);
	return rc;
}
