/* Networks in layers whose names are in no table. What they are is told by the graph of products
 * alone: a matrix that reads the residual stream and one that writes to it, with an inner width
 * that no other pair has, are a network; two that read are its gate and its up, in the order of
 * their names. Attention is not looked for: nothing in the shapes parts q from o, or k from v. */
#include "forks/roles_in.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_AMONG 8 /* more matrices of one holder are not tried in pairs */

/* A matrix that reads the stream ([inner][hidden]), or writes to it. */
struct edge {
	const struct role_piece *piece;
	const char *parent; /* its holder less the last component, or all of it before a number */
	size_t parent_len;
	uint64_t batch, inner;
	bool writes;
};

static int edge_order(const void *x, const void *y)
{
	const struct edge *a = x, *b = y;
	size_t len = a->parent_len < b->parent_len ? a->parent_len : b->parent_len;
	int o = memcmp(a->parent, b->parent, len);

	o = o ? o : (a->parent_len > b->parent_len) - (a->parent_len < b->parent_len);
	o = o ? o : (a->batch > b->batch) - (a->batch < b->batch);
	o = o ? o : (a->inner > b->inner) - (a->inner < b->inner);
	return o ? o : strcmp(a->piece->value->name, b->piece->value->name);
}

static bool is_same_parent(const struct edge *a, const struct edge *b)
{
	return a->parent_len == b->parent_len && memcmp(a->parent, b->parent, a->parent_len) == 0;
}

/* A and B of a low-rank adapter: no network, though their shapes are one's. */
static bool is_low_rank(const char *name)
{
	static const char *const words[] = { ".lora_A.", ".lora_B.", ".lora_down.", ".lora_up." };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strstr(name, words[i]))
			return true;
	return false;
}

/* The matrices of the layer that have the stream on one side, and not on both. */
static size_t find_edges(const struct role_place *l, struct edge *out)
{
	uint64_t hidden = l->stack->hidden;
	size_t n = 0;

	for (size_t i = 0; i < l->pieces; i++) {
		const struct role_piece *p = &l->piece[i];
		const char *dot = strrchr(p->holder, '.');
		struct role_view v;

		if ((p->slot != SLOT_UNKNOWN && p->slot > SLOT_OUT_OF) ||
		    is_low_rank(p->value->name) ||
		    !fork_role_view(p->value, &v) || (v.columns == hidden) == (v.rows == hidden))
			continue;
		out[n].piece = p;
		out[n].parent = p->holder;
		out[n].parent_len = p->sub != ROLE_NONE || p->slot != SLOT_UNKNOWN
					    ? strlen(p->holder)
				    : dot ? (size_t)(dot - p->holder)
					  : 0;
		out[n].batch = v.batch;
		out[n].writes = v.rows == hidden;
		out[n].inner = out[n].writes ? v.columns : v.rows;
		n++;
	}
	return n;
}

/* The number at the end of the parent: an expert's. */
static uint32_t number_of(const struct edge *a)
{
	uint32_t n = 0;
	size_t i = a->parent_len;

	while (i > 0 && a->parent[i - 1] >= '0' && a->parent[i - 1] <= '9' && a->parent_len - i < 6)
		i--;
	if (i == a->parent_len || (i > 0 && a->parent[i - 1] != '.' && a->parent[i - 1] != '_'))
		return ROLE_NONE;
	for (; i < a->parent_len; i++)
		n = 10 * n + (uint32_t)(a->parent[i] - '0');
	return n;
}

static int add_network(struct role_finder *f, struct role_place *l, const struct edge *gate,
		       const struct edge *up, const struct edge *down)
{
	struct role_piece d = *down->piece;

	d.index = number_of(down);
	d.kind = d.index == ROLE_NONE ? HOLDER_ONE : HOLDER_EXPERT;
	return fork_role_network(f, l, gate ? gate->piece : NULL, up->piece, &d);
}

/* Three edges of one inner width, of which one goes the other way. */
static int try_three(struct role_finder *f, struct role_place *l, const struct edge *e, bool *found)
{
	size_t writes = 0, odd = 0;

	for (size_t i = 0; i < 3; i++)
		writes += e[i].writes;
	if (writes == 0 || writes == 3)
		return 0;
	while (e[odd].writes != (writes == 1))
		odd++;
	*found = true;
	return add_network(f, l, &e[odd == 0], &e[odd == 2 ? 1 : 2], &e[odd]);
}

/* The widest two edges that go both ways: of one width, or with gate and up in one. */
static const struct edge *find_pair(const struct edge *e, size_t n, bool twice,
				    const struct edge **up)
{
	const struct edge *down = NULL;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			uint64_t wide = twice ? 2 * e[j].inner : e[j].inner;

			if (e[i].batch != e[j].batch || e[i].writes == e[j].writes ||
			    e[i].inner != wide || (!twice && e[i].writes) ||
			    (down && down->inner >= e[j].inner))
				continue;
			*up = &e[i];
			down = &e[j];
		}
	return down;
}

/* Networks among the edges of one holder: all that have three matrices or two with gate and up in
 * one; where the layer has none such, plain pairs of the layer's widest. */
static int try_holder(struct role_finder *f, struct role_place *l, const struct edge *e, size_t n,
		      uint64_t widest, bool *found)
{
	const struct edge *up = NULL, *down;

	for (size_t i = 0, k; i < n && widest == 0; i += k) {
		for (k = 1;
		     i + k < n && e[i + k].batch == e[i].batch && e[i + k].inner == e[i].inner;)
			k++;
		if (k == 3)
			TRY(try_three(f, l, e + i, found));
	}
	if (*found || n > PAIRS_AMONG)
		return 0;
	down = find_pair(e, n, widest == 0, &up);
	if (!down || (widest > 0 && down->inner != widest) || (widest == 0 && n != 2))
		return 0;
	*found = true;
	return add_network(f, l, NULL, up, down);
}

static size_t holder_edges(const struct edge *e, size_t n)
{
	size_t k = 1;

	while (k < n && is_same_parent(e, e + k))
		k++;
	return k;
}

static int try_holders(struct role_finder *f, struct role_place *l, const struct edge *e, size_t n,
		       bool *any)
{
	uint64_t widest = 0;

	for (int pairs = 0; pairs < 2 && !*any; pairs++) {
		for (size_t i = 0, k; i < n && pairs; i += k) {
			const struct edge *up, *down;

			k = holder_edges(e + i, n - i);
			down = k <= PAIRS_AMONG ? find_pair(e + i, k, false, &up) : NULL;
			if (down && down->inner > widest)
				widest = down->inner;
		}
		if (pairs && widest == 0)
			break;
		for (size_t i = 0, k; i < n; i += k) {
			bool found = false;

			k = holder_edges(e + i, n - i);
			TRY(try_holder(f, l, e + i, k, widest, &found));
			*any = *any || found;
		}
	}
	return 0;
}

int fork_role_graph(struct role_finder *f, struct role_place *l)
{
	struct edge *e = calloc(l->pieces + 1, sizeof *e);
	bool any = false;
	size_t n;
	int rc = 0;

	if (!e)
		return err_set(f->e, ERR_NOMEM, "out of memory for a layer of %zu tensors",
			       l->pieces);
	n = find_edges(l, e);
	qsort(e, n, sizeof *e, edge_order);
	TRY_OUT(try_holders(f, l, e, n, &any));
	if (!any) { /* each matrix in a holder of its own */
		for (size_t i = 0; i < n; i++)
			e[i].parent_len = 0;
		qsort(e, n, sizeof *e, edge_order);
		TRY_OUT(try_holders(f, l, e, n, &any));
	}
out:
	free(e);
	return rc;
}
