/* What the log itself says that the vault no longer holds: erasures name what they erased; a `lost`
 * entry of the log that names ranges of the vault says what a rebuild could not bring back. */
#include "audit/gone.h"

#include "audit/log_in.h"

#include <stdlib.h>
#include <string.h>

bool audit_range_read(const json_t *item, uint64_t *first, uint64_t *last)
{
	const json_t *from = json_is_array(item) ? json_array_get(item, 0) : item,
		     *to = json_is_array(item) ? json_array_get(item, 1) : item;

	if (!json_is_integer(from) || !json_is_integer(to) || json_integer_value(from) < 0 ||
	    json_integer_value(to) < json_integer_value(from))
		return false;
	*first = (uint64_t)json_integer_value(from);
	*last = (uint64_t)json_integer_value(to);
	return true;
}

static int add(struct gone *g, struct gone_range r, struct err *e)
{
	if (g->count == g->room) {
		size_t room = g->room * 2 + 16;
		struct gone_range *grown = realloc(g->range, room * sizeof *grown);
		if (!grown)
			return err_set(e, ERR_NOMEM, "out of memory");
		g->range = grown;
		g->room = room;
	}
	g->range[g->count++] = r;
	return 0;
}

/* An entry speaks of what came before it. */
static int take_ranges(struct gone *g, uint64_t index, const json_t *list, bool lost, struct err *e)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		struct gone_range r = { .by = index, .lost = lost };
		if (audit_range_read(item, &r.first, &r.last) && r.last < index)
			TRY(add(g, r, e));
	}
	return 0;
}

int audit_gone_take(struct gone *g, uint64_t index, const struct record_head *head, struct err *e)
{
	const json_t *body = json_object_get(head->entry, "body");

	if (strcmp(head->type, "erasure") == 0 && head->version == 1) {
		if (head->unread)
			g->unsaid = index;
		return take_ranges(g, index, json_object_get(body, "ranges"), false, e);
	}
	if (!head->unread && strcmp(head->type, "lost") == 0 &&
	    strcmp(head->worker, LOG_ITSELF) == 0)
		return take_ranges(g, index, json_object_get(body, "vault"), true, e);
	return 0;
}

/* What was erased first, by place; then losses in the order of the log. */
static int by_kind_and_place(const void *a, const void *b)
{
	const struct gone_range *x = a, *y = b;
	uint64_t p = x->lost ? x->by : x->first, q = y->lost ? y->by : y->first;

	if (x->lost != y->lost)
		return x->lost ? 1 : -1;
	return p < q ? -1 : p > q;
}

void audit_gone_sort(struct gone *g)
{
	if (g->count)
		qsort(g->range, g->count, sizeof *g->range, by_kind_and_place);
}

const struct gone_range *audit_gone_find(const struct gone *g, uint64_t index)
{
	size_t low = 0, high = g->count; /* below low: erased ranges that begin at or before it */

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (!g->range[mid].lost && g->range[mid].first <= index)
			low = mid + 1;
		else
			high = mid;
	}
	if (low > 0 && g->range[low - 1].last >= index)
		return &g->range[low - 1];
	for (size_t i = g->count; i > 0 && g->range[i - 1].lost; i--)
		if (g->range[i - 1].first <= index && index <= g->range[i - 1].last)
			return &g->range[i - 1];
	return NULL;
}

void audit_gone_free(struct gone *g)
{
	free(g->range);
	*g = (struct gone){ .count = 0 };
}

/* ---- of one record ---- */

static int take_row(struct gone *g, struct store_stmt *row, struct err *e)
{
	struct record_head head;
	size_t len;
	const void *entry = store_blob(row, 1, &len);

	if (audit_record_parse(entry, len, &head, NULL) < 0)
		return 0;
	int rc = audit_gone_take(g, (uint64_t)store_i64(row, 0), &head, e);
	json_decref(head.entry);
	return rc;
}

int audit_vault_why(struct audit_log *log, uint64_t index, struct err *e)
{
	const unsigned long long at = index;
	struct gone g = { .count = 0 };
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx,
			      "SELECT idx, entry FROM log_entry WHERE idx > $1"
			      " AND type IN ('erasure', 'lost')",
			      &st, e));
	store_bind_i64(st, 1, (int64_t)index);
	while ((rc = store_step(st, e)) == 1)
		TRY_OUT(take_row(&g, st, e));
	TRY_OUT(rc);
	audit_gone_sort(&g);
	const struct gone_range *r = audit_gone_find(&g, index);
	if (r && !r->lost)
		rc = err_set(e, ERR_NOTFOUND, "record %llu was erased by entry %llu", at,
			     (unsigned long long)r->by);
	else if (r)
		rc = err_set(e, ERR_NOTFOUND,
			     "record %llu is lost: the database was rebuilt, says entry %llu", at,
			     (unsigned long long)r->by);
	else if (index < g.unsaid)
		rc = err_set(
			e, ERR_NOTFOUND,
			"record %llu is gone: an erasure of an earlier form, entry %llu or before, "
			"may have taken it",
			at, (unsigned long long)g.unsaid);
	else
		rc = err_set(e, ERR_NOTFOUND,
			     "record %llu: the vault does not hold it, and no entry says why: run "
			     "`hallmark audit verify`",
			     at);
out:
	store_finish(st);
	store_end(tx);
	audit_gone_free(&g);
	return rc;
}
