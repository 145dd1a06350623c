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
		bool wide = false;

		for (size_t i = 0; i < l->pieces && !wide; i++)
			wide = strstr(l->piece[i].value->name, "h_to_4h") != NULL;
		grouped = wide && !l->stack->config->flat &&
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

/* Whether units [a, a + n) of the matrix are those of [b, b + n), and not all zero. Stops at the
 * first difference; a tensor that cannot be read has no equal heads. */
static int units_equal(struct role_finder *f, const struct heads *h, uint64_t a, uint64_t b,
		       uint64_t n, float *row, bool *equal)
{
	uint64_t steps = h->v_by_column ? h->v.rows : n, columns = h->v.columns;
	bool zero = true;

	*equal = true;
	for (uint64_t i = 0; i < steps && *equal; i++) {
		const float *x = row, *y = row + columns;
		uint64_t at = h->v_by_column ? i : a + i, width = columns;
		int rc = model_values_read(f->values, h->v.value, at, 1, row, f->e);

		if (rc == 0 && !h->v_by_column)
			rc = model_values_read(f->values, h->v.value, b + i, 1, row + columns,
					       f->e);
		if (rc == ERR_IO || rc == ERR_VERIFY)
			return rc;
		if (h->v_by_column) {
			x = row + a;
			y = row + b;
			width = n;
		}
		*equal = rc == 0 && memcmp(x, y, width * sizeof *x) == 0;
		for (uint64_t c = 0; c < width && zero; c++)
			zero = x[c] == 0;
	}
	*equal = *equal && !zero;
	return 0;
}

/* How many heads on end are one. */
static int find_copies(struct role_finder *f, struct heads *h)
{
	float *row;
	uint64_t n = 1;
	bool equal = true;
	int rc = 0;

	h->copies = 1;
	if (h->keys < 2)
		return 0;
	row = calloc(2 * h->v.columns, sizeof *row);
	if (!row)
		return err_set(f->e, ERR_NOMEM, "out of memory for a row of %s", h->v.value->name);
	for (; n < h->keys && equal; n += equal)
		TRY_OUT(units_equal(f, h, h->first, h->first + n * h->stride, h->size, row,
				    &equal));
	equal = n > 1 && h->keys % n == 0;
	for (uint64_t k = n; k < h->keys && equal; k++)
		if (k % n != 0)
			TRY_OUT(units_equal(f, h, h->first + (k - k % n) * h->stride,
					    h->first + k * h->stride, h->size, row, &equal));
	h->copies = equal ? n : 1;
out:
	free(row);
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

/* Multi-head latent attention: the latent dimensions that keys and values come from. Another order
 * of them is another order of rows of kv_a, of its norm and of columns of kv_b. */
static int latent_block(struct role_finder *f, struct role_place *l,
			const struct role_piece *const s[SLOTS], uint32_t half)
{
	const struct model_value *v[] = { s[SLOT_KV_A]->value, s[SLOT_KV_B]->value };
	struct role_view a, b;
	struct role_block *o;

	if (!fork_role_view(v[0], &a) || !fork_role_view(v[1], &b) || a.batch != 1 ||
	    b.batch != 1 || a.columns != l->stack->hidden || b.columns > a.rows) {
		fork_role_left_out(f, l, v[1], "its shape does not fit");
		return 0;
	}
	TRY(fork_role_block(f, l, FORK_ATTENTION, l->heads, &o));
	if (!o)
		return 0;
	l->heads++;
	o->name = fork_role_common(&f->out->arena, v, 2);
	if (!o->name)
		return ERR_NOMEM;
	o->units = b.columns;
	o->hidden = a.columns;
	o->parts = 2;
	o->part[0] = (struct role_part){ .value = v[0], .step = 1, .width = a.columns, .folds = 1 };
	o->part[1] = (struct role_part){ .value = v[1],
					 .by_column = true,
					 .space = ROLE_INNER,
					 .step = 1,
					 .width = b.rows,
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
	if (slot[SLOT_KV_A] && slot[SLOT_KV_B])
		return latent_block(f, l, slot, half);
	if (slot[SLOT_KV_A] && slot[SLOT_KV_SPLIT]) {
		fork_role_left_out(f, l, slot[SLOT_KV_A]->value, "kv_b is stored in two parts");
		return 0;
	}
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
