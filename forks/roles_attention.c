/* Heads of attention. A block is the value dimensions of one key-value head: their rows of v, and
 * their columns of o, summed over the query heads that read them. Of heads that are stored more
 * than once (a GQA model kept as MHA) one block is made, as if they were stored once. */
#include "forks/roles_in.h"

#include <stdlib.h>
#include <string.h>

/* Where v and o lie, in units of their value dimensions. */
struct heads {
	struct role_view v, o;
	bool v_by_column, o_by_column;
	uint64_t values, outputs;   /* v: units of all heads; o: of all query heads */
	uint64_t first, stride;     /* unit of head k: first + k * stride */
	uint64_t size, keys, group; /* units of a head; heads; query heads of each */
	uint64_t copies;            /* so many heads on end are equal */
};

static const struct model_value *value_at(const struct role_piece *p)
{
	return p ? p->value : NULL;
}

/* Whether `size` makes whole heads of both. */
static bool size_fits(const struct heads *h, uint64_t size)
{
	return size > 0 && h->values % size == 0 && h->outputs % size == 0 &&
	       h->outputs / size % (h->values / size) == 0;
}

/* Value dimensions of a head: norms of heads say it in the shapes, then the config, then tables of
 * frequencies. 0: nobody says. */
static uint64_t size_of(const struct role_finder *f, const struct role_place *l,
			const struct heads *h, const struct model_value *q)
{
	const struct role_config *c = l->stack->config;
	uint64_t size[] = {
		c->value_dim,
		l->head_norm && q && l->head_norm->columns < q->rows ? l->head_norm->columns : 0,
		c->head_dim,
		c->heads > 0 && h->outputs % c->heads == 0 ? h->outputs / c->heads : 0,
		f->frequencies ? 2 * f->frequencies->columns : 0,
	};

	for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++)
		if (size_fits(h, size[i]))
			return size[i];
	return 0;
}

/* Query, key and value in one: how many units are values, and where they begin. */
static const char *fused_layout(const struct role_finder *f, const struct role_place *l,
				const struct role_piece *p, struct heads *h)
{
	uint64_t all = h->v_by_column ? h->v.columns : h->v.rows, group;
	bool grouped = p->slot == SLOT_QKV_GROUPED;
	size_t len = strlen(l->stack->prefix);

	if (l->stack->config->mixed)
		return "its rows are of q, k and v by turns";
	if (all <= h->outputs || (all - h->outputs) % 2 != 0)
		return "its rows are not those of q, k and v";
	h->values = (all - h->outputs) / 2;
	if (p->slot == SLOT_QKV_BY_FAMILY) {
		static const char flat[] = "encoder.layers"; /* chatglm */
		size_t n = sizeof flat - 1;
		grouped = l->wide && !l->stack->config->flat &&
			  !(len >= n && strcmp(l->stack->prefix + len - n, flat) == 0);
	}
	h->size = size_of(f, l, h, NULL);
	if (h->size == 0)
		return "nothing says how wide its heads are";
	h->keys = h->values / h->size;
	group = h->outputs / h->values;
	h->first = grouped ? (group + 1) * h->size : h->outputs + h->values;
	h->stride = grouped ? (group + 2) * h->size : h->size;
	return NULL;
}

/* By rows or by columns: what the width of the stream says; where both sides fit, as the others of
 * this attention. */
static const char *heads_turn(const struct role_place *l, struct heads *h, bool kernel)
{
	uint64_t hidden = l->stack->hidden;
	bool v_row = h->v.columns == hidden, v_column = h->v.rows == hidden;
	bool o_row = h->o.columns == hidden, o_column = h->o.rows == hidden;
	bool turned = kernel || l->stack->config->turned;

	if (h->v.batch != 1 || h->o.batch != 1 || !(v_row || v_column) || !(o_row || o_column))
		return "its matrices do not have the width of the model";
	if (v_row != v_column)
		turned = v_column;
	else if (o_row != o_column)
		turned = o_row;
	h->v_by_column = v_row != v_column ? v_column : turned;
	h->o_by_column = o_row != o_column ? o_column : !turned;
	h->outputs = h->o_by_column ? h->o.columns : h->o.rows;
	return NULL;
}

static const char *heads_of(const struct role_finder *f, const struct role_place *l,
			    const struct role_piece *const s[SLOTS], struct heads *h)
{
	static const enum role_slot in_one[] = { SLOT_QKV, SLOT_QKV_GROUPED, SLOT_QKV_BY_FAMILY };
	const struct role_piece *fused = NULL, *v = s[SLOT_V] ? s[SLOT_V] : s[SLOT_KV];
	const char *why;

	for (size_t i = 0; i < 3 && !fused && !v; i++)
		fused = s[in_one[i]];
	v = fused ? fused : v ? v : s[SLOT_K]; /* values may be the keys */
	if (!fork_role_view(v->value, &h->v) || !fork_role_view(s[SLOT_O]->value, &h->o))
		return "it has a tensor that is no matrix of floats";
	why = heads_turn(l, h, v->kernel);
	if (why)
		return why;
	if (fused) {
		why = fused_layout(f, l, fused, h);
		if (why)
			return why;
	} else {
		h->values = h->v_by_column ? h->v.columns : h->v.rows;
		if (v == s[SLOT_KV]) {
			h->values /= 2;
			h->first = h->values;
		}
		if (h->values == 0)
			return "it has no values";
		h->size = size_of(f, l, h, value_at(s[SLOT_Q]));
		if (h->size == 0)
			return "nothing says how wide its heads are";
		h->keys = h->values / h->size;
		h->stride = h->size;
	}
	h->group = h->outputs / h->values;
	if (h->keys > ROLE_EXPERTS_MAX)
		return "it has more heads than any model";
	return NULL;
}

/* same[k]: head k is head k - 1, and not all zero. Stops where head 1 is another than head 0. A
 * tensor that cannot be read has no equal heads. */
static int heads_same(struct role_finder *f, const struct heads *h, float *row, bool *same)
{
	uint64_t columns = h->v.columns, steps = h->v_by_column ? h->v.rows : h->size;
	uint64_t from = h->v_by_column ? 0 : h->first;
	bool zero = true;

	for (uint64_t k = 1; k < h->keys; k++)
		same[k] = true;
	/* by row: head by head; by column: all heads in each row */
	for (uint64_t k = 1; k < (h->v_by_column ? 2 : h->keys) && same[1]; k++)
		for (uint64_t i = 0; i < steps && same[k]; i++) {
			uint64_t at = h->v_by_column ? i : from + (k - 1) * h->stride + i;
			int rc = model_values_read(f->values, h->v.value, at, 1, row, f->e);

			if (rc == 0 && !h->v_by_column)
				rc = model_values_read(f->values, h->v.value, at + h->stride, 1,
						       row + columns, f->e);
			if (rc == ERR_IO || rc == ERR_VERIFY)
				return rc;
			same[1] = same[1] && rc == 0;
			if (!h->v_by_column)
				same[k] = same[k] && rc == 0 &&
					  memcmp(row, row + columns, columns * sizeof *row) == 0;
			for (uint64_t j = 1; j < h->keys && h->v_by_column; j++) {
				const float *x = row + h->first + j * h->stride;

				same[j] = same[j] &&
					  memcmp(x - h->stride, x, h->size * sizeof *x) == 0;
			}
			for (uint64_t c = 0; c < columns && zero; c++)
				zero = row[c] == 0;
		}
	same[1] = same[1] && !zero;
	return 0;
}

/* How many heads on end are one: as many everywhere, or one. */
static int find_copies(struct role_finder *f, struct heads *h)
{
	float *row = NULL;
	bool *same = NULL;
	uint64_t n = 1;
	int rc = 0;

	h->copies = 1;
	if (h->keys < 2)
		return 0;
	row = calloc(2 * h->v.columns, sizeof *row);
	same = calloc(h->keys + 1, sizeof *same);
	if (!row || !same) {
		rc = err_set(f->e, ERR_NOMEM, "out of memory for a row of %s", h->v.value->name);
		goto out;
	}
	TRY_OUT(heads_same(f, h, row, same));
	while (n < h->keys && same[n])
		n++;
	for (uint64_t k = 1; k < h->keys && n > 1; k++)
		if (h->keys % n != 0 || same[k] != (k % n != 0))
			n = 1;
	h->copies = n;
out:
	free(row);
	free(same);
	return rc;
}

static struct role_part head_values(const struct heads *h, uint64_t head)
{
	struct role_part p = { .value = h->v.value, .by_column = h->v_by_column, .step = 1 };

	p.first = h->first + head * h->stride;
	p.width = h->v_by_column ? h->v.rows : h->v.columns;
	p.folds = 1;
	return p;
}

static struct role_part head_outputs(const struct heads *h, uint64_t head)
{
	struct role_part p = { .value = h->o.value, .by_column = h->o_by_column, .step = 1 };

	p.first = head * h->group * h->size;
	p.width = h->o_by_column ? h->o.rows : h->o.columns;
	p.fold = h->size;
	p.folds = h->group * h->copies;
	return p;
}

static int head_blocks(struct role_finder *f, struct role_place *l, const struct heads *h,
		       const struct role_piece *p, uint32_t half)
{
	const struct model_value *v[] = { h->v.value, h->o.value };
	const char *name = fork_role_common(&f->out->arena, v, 2);

	if (!name)
		return ERR_NOMEM;
	for (uint64_t k = 0; k < h->keys; k += h->copies) {
		struct role_block *o;

		TRY(fork_role_block(f, l, FORK_ATTENTION, l->heads, &o));
		if (!o)
			return 0;
		l->heads++;
		o->name = name;
		o->units = h->size;
		o->hidden = l->stack->hidden;
		o->parts = 2;
		o->part[0] = head_values(h, k);
		o->part[1] = head_outputs(h, k);
		if (p->kind == HOLDER_ATTENTION)
			fork_role_gain(l, &o->part[0], l->norm[SLOT_NORM_IN][half]);
	}
	return 0;
}

/* How the latent dimensions go to the first head: by kv_b, or by k_b and v_b. */
struct latent {
	const struct model_value *a, *k, *v;
	uint64_t units, keys, values; /* dimensions of k and v of a head */
};

/* kv_b is [heads][keys + values][units]; o tells heads * values, q tells heads * (keys + rotary),
 * and kv_a units + rotary. */
static bool latent_joint(const struct role_piece *const s[SLOTS], struct latent *t)
{
	const struct model_value *b = s[SLOT_KV_B]->value, *o = value_at(s[SLOT_O]);
	const struct model_value *q = value_at(s[SLOT_Q]);
	uint64_t rotary, all_keys, heads;

	t->k = t->v = b;
	t->units = b->columns;
	if (!o || !q || b->rank != 2 || o->rank != 2 || q->rank != 2 || b->columns > t->a->rows ||
	    b->rows <= o->columns || o->columns == 0)
		return false;
	rotary = t->a->rows - b->columns;
	all_keys = b->rows - o->columns;
	if (rotary == 0 || q->rows <= all_keys || (q->rows - all_keys) % rotary != 0)
		return false;
	heads = (q->rows - all_keys) / rotary;
	t->keys = all_keys / heads;
	t->values = o->columns / heads;
	return all_keys % heads == 0 && o->columns % heads == 0 && t->keys > 0;
}

/* k_b is [heads][units][keys], v_b [heads][values][units]. */
static bool latent_split(const struct role_piece *const s[SLOTS], struct latent *t)
{
	t->k = s[SLOT_K_B]->value;
	t->v = s[SLOT_V_B]->value;
	if (t->k->rank != 3 || t->v->rank != 3 || t->k->shape[0] != t->v->shape[0] ||
	    t->k->shape[1] != t->v->shape[2])
		return false;
	t->units = t->k->shape[1];
	t->keys = t->k->shape[2];
	t->values = t->v->shape[1];
	return t->keys > 0 && t->values > 0;
}

/* Multi-head latent attention: the latent dimensions that keys and values come from. Another order
 * of them is another order of rows of kv_a, of its norm, and of columns of kv_b. Of the heads the
 * first stands for all: its parts lie together however kv_b is stored. */
static int latent_block(struct role_finder *f, struct role_place *l,
			const struct role_piece *const s[SLOTS], uint32_t half)
{
	struct latent t = { .a = s[SLOT_KV_A]->value };
	const struct model_value *names[] = { t.a, t.a };
	bool joint = s[SLOT_KV_B] != NULL;
	struct role_block *o;

	if (t.a->rank != 2 || !t.a->floats || t.a->columns != l->stack->hidden ||
	    !(joint ? latent_joint(s, &t) : latent_split(s, &t)) || !t.k->floats || !t.v->floats ||
	    t.units == 0 || t.units > t.a->rows) {
		fork_role_left_out(f, l, t.a, "the shapes of its latent attention do not fit");
		return 0;
	}
	names[1] = t.v;
	TRY(fork_role_block(f, l, FORK_ATTENTION, l->heads, &o));
	if (!o)
		return 0;
	l->heads++;
	o->name = fork_role_common(&f->out->arena, names, 2);
	if (!o->name)
		return ERR_NOMEM;
	o->units = t.units;
	o->hidden = t.a->columns;
	o->parts = 3;
	o->part[0] =
		(struct role_part){ .value = t.a, .step = 1, .width = t.a->columns, .folds = 1 };
	o->part[1] = (struct role_part){ .value = t.k,
					 .by_column = joint,
					 .space = ROLE_INNER,
					 .step = 1,
					 .width = t.keys,
					 .folds = 1 };
	o->part[2] = (struct role_part){ .value = t.v,
					 .by_column = true,
					 .space = ROLE_INNER,
					 .step = 1,
					 .row = joint ? t.keys : 0,
					 .width = t.values,
					 .folds = 1 };
	fork_role_gain(l, &o->part[0], l->norm[SLOT_NORM_IN][half]);
	return 0;
}

/* The rows of the query projection, where they are a matrix of their own or the first of one. */
static void find_query(struct role_finder *f, const struct role_place *l, const struct heads *h,
		       const struct role_piece *const s[SLOTS])
{
	const struct role_piece *p = s[SLOT_Q] ? s[SLOT_Q] : s[SLOT_QKV];
	struct role_layer *o = l->component == FORK_BODY ? &f->out->layer[l->layer] : NULL;
	struct role_view q;

	if (!p || !o || o->query.value || p->kind != HOLDER_ATTENTION ||
	    !fork_role_view(p->value, &q) || q.batch != 1 ||
	    (h->v_by_column ? q.rows : q.columns) != l->stack->hidden ||
	    (p->slot == SLOT_Q && (h->v_by_column ? q.columns : q.rows) != h->outputs))
		return;
	o->query = (struct role_part){ .value = p->value,
				       .by_column = h->v_by_column,
				       .step = 1,
				       .width = l->stack->hidden,
				       .folds = 1 };
	o->queries = h->outputs;
	fork_role_gain(l, &o->query, l->norm[SLOT_NORM_IN][0]);
}

int fork_role_attention(struct role_finder *f, struct role_place *l, const struct role_piece *p,
			size_t count)
{
	const struct role_piece *slot[SLOTS] = { 0 };
	const char *dot = strrchr(p->holder, '.'), *why;
	uint32_t half = dot && strcmp(dot, ".1") == 0;
	struct heads h = { 0 };
	bool one;

	for (size_t i = 0; i < count; i++)
		if (!slot[p[i].slot])
			slot[p[i].slot] = &p[i];
	if (slot[SLOT_KV_A] && (slot[SLOT_KV_B] || (slot[SLOT_K_B] && slot[SLOT_V_B])))
		return latent_block(f, l, slot, half);
	one = slot[SLOT_QKV] || slot[SLOT_QKV_GROUPED] || slot[SLOT_QKV_BY_FAMILY];
	if (!slot[SLOT_O] || !(slot[SLOT_V] || slot[SLOT_K] || slot[SLOT_KV] || one))
		return 0;
	why = heads_of(f, l, slot, &h);
	if (why) {
		fork_role_left_out(f, l, slot[SLOT_O]->value, why);
		return 0;
	}
	TRY(find_copies(f, &h));
	find_query(f, l, &h, slot);
	return head_blocks(f, l, &h, p, half);
}
