/* The vault in a log that is verified: each sealed entry's cipher against the row that it commits
 * to. Erased, damaged and missing are three things: an erasure in the log names what it erased, a
 * loss that the log states is no surprise, and all else that is not there is a problem.
 *
 *   vault  a row is not what was logged, is missing, or is still there after its erasure */
#include "audit/verify.h"

#include <stdlib.h>
#include <string.h>

int audit_check_vault_open(struct check *k, struct store_tx *tx)
{
	return store_prepare(tx, "SELECT idx, cipher FROM vault ORDER BY idx", &k->vault.rows,
			     k->e);
}

void audit_check_vault_close(struct check *k)
{
	store_finish(k->vault.rows);
	free(k->vault.absent);
	audit_gone_free(&k->vault.gone);
}

static int add_absent(struct check *k, uint64_t index)
{
	struct vault_check *v = &k->vault;

	if (v->absents == v->room) {
		size_t room = v->room * 2 + 64;
		uint64_t *grown = realloc(v->absent, room * sizeof *grown);
		if (!grown)
			return err_set(k->e, ERR_NOMEM, "out of memory");
		v->absent = grown;
		v->room = room;
	}
	v->absent[v->absents++] = index;
	return 0;
}

static int seek_row(struct check *k, uint64_t index)
{
	struct vault_check *v = &k->vault;

	while (!v->ended && (!v->row || (uint64_t)store_i64(v->rows, 0) < index)) {
		int rc = store_step(v->rows, k->e);
		TRY(rc);
		v->row = rc == 1;
		v->ended = !v->row;
	}
	return 0;
}

static bool fits(struct store_stmt *row, const struct record_head *head)
{
	struct digest stated, found;
	size_t len;
	const void *cipher = store_blob(row, 1, &len);

	found = digest_of(cipher, len);
	return digest_parse(json_string_value(json_object_get(head->entry, "cipher")), &stated,
			    NULL) == 0 &&
	       digest_equal(&stated, &found);
}

int audit_check_vault(struct check *k, uint64_t index, const struct record_head *head)
{
	unsigned long long at = index;

	TRY(audit_gone_take(&k->vault.gone, index, head, k->e));
	if (!k->vault.rows || head->version > 1)
		return 0;
	TRY(seek_row(k, index));
	bool there = k->vault.row && (uint64_t)store_i64(k->vault.rows, 0) == index;
	if (head->sealed && !there)
		return add_absent(k, index);
	if (!there)
		return 0;
	if (!head->sealed)
		audit_check_problem(k, "vault",
				    "entry %llu seals nothing, and the vault holds a row for it",
				    at);
	else if (!fits(k->vault.rows, head))
		audit_check_problem(
			k, "vault",
			"entry %llu: what the vault holds of it is damaged: it is not what "
			"was logged",
			at);
	return 0;
}

/* ---- after the last entry ---- */

/* Rows that an erasure names must not be there. */
static int check_erased(struct check *k, struct store_tx *tx, const struct gone_range *r)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "SELECT idx FROM vault WHERE idx BETWEEN $1 AND $2 LIMIT 1", &st,
			  k->e));
	store_bind_i64(st, 1, (int64_t)r->first);
	store_bind_i64(st, 2, (int64_t)r->last);
	int rc = store_step(st, k->e);
	if (rc == 1)
		audit_check_problem(
			k, "vault",
			"entry %llu was erased by entry %llu, and the vault still holds it",
			(unsigned long long)store_i64(st, 0), (unsigned long long)r->by);
	store_finish(st);
	return rc < 0 ? rc : 0;
}

static void judge_absent(struct check *k, uint64_t index)
{
	const struct gone_range *r = audit_gone_find(&k->vault.gone, index);
	unsigned long long at = index, unsaid = k->vault.gone.unsaid;

	if (r)
		k->v->lost += r->lost;
	else if (index < unsaid)
		audit_check_remark(
			k, "vault",
			"entry %llu: the vault does not hold it; an erasure of an earlier "
			"form, entry %llu or before, does not say in clear what it erased",
			at, unsaid);
	else
		audit_check_problem(k, "vault",
				    "entry %llu: what it sealed is missing from the vault, and no "
				    "erasure names it",
				    at);
}

int audit_check_vault_judge(struct check *k, struct store_tx *tx)
{
	const struct gone *g = &k->vault.gone;
	struct audit_verdict *v = k->v;

	audit_gone_sort(&k->vault.gone);
	for (size_t i = 0; i < g->count; i++) {
		const struct gone_range *r = &g->range[i];
		if (v->gones < sizeof v->gone / sizeof *v->gone)
			v->gone[v->gones] =
				(struct audit_gone){ r->first, r->last, r->by, r->lost };
		v->gones++;
		if (!r->lost) {
			v->erased += r->last - r->first + 1;
			if (tx)
				TRY(check_erased(k, tx, r));
		}
	}
	for (size_t i = 0; i < k->vault.absents; i++)
		judge_absent(k, k->vault.absent[i]);
	return 0;
}
