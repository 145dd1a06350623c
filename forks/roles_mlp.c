/* Networks of hidden units, from the pieces of one holder. What the tensors mean is told by their
 * shapes against the width of the residual stream wherever shapes can tell: rows or columns, gate
 * and up in one, experts in one; names decide what is left. */
#include "forks/roles_in.h"

#include "base/check.h"

#include <string.h>

#define PIECES_SEARCHED 8192 /* of a layer, for a partner: larger ones take too long */

/* A network as found. in: gate and up in one matrix, or up alone. */
struct network {
	const struct role_piece *gate, *up, *in, *down;
	bool up_first;
};

/* Unit vectors of a matrix: along rows or columns. */
struct side {
	struct role_view view;
	uint64_t units;
	bool by_column, known;
};

static bool is_opposite(const struct model_value *a, const struct model_value *b)
{
	return a->rows == b->columns && a->columns == b->rows;
}

/* Which matrix is what: names that say it alone, then those that need what stands beside them. */
static struct network network_of(const struct role_piece *const s[SLOTS], uint64_t hidden)
{
	struct network n = { s[SLOT_GATE], s[SLOT_UP], s[SLOT_IN], s[SLOT_DOWN], false };

	if (s[SLOT_IN_UP_FIRST]) {
		n.in = s[SLOT_IN_UP_FIRST];
		n.up_first = true;
	}
	if (n.gate || n.up || n.in) {
		/* these say it themselves */
	} else if (s[SLOT_W1] && s[SLOT_W2] && (!n.down || s[SLOT_W3] || s[SLOT_V1])) {
		n.down = s[SLOT_W2];
		n.up = s[SLOT_W3] ? s[SLOT_W3] : s[SLOT_V1];
		n.gate = n.up ? s[SLOT_W1] : NULL;
		n.in = n.up ? n.in : s[SLOT_W1];
	} else if (s[SLOT_W1] && s[SLOT_W2]) { /* Qwen: w2 is the gate */
		n.gate = s[SLOT_W2];
		n.up = s[SLOT_W1];
	}
	if (n.gate && n.up) /* whole without it */
		n.in = NULL;
	if (n.in && n.gate && !n.up) { /* a plain matrix beside a gate */
		n.up = n.in;
		n.in = NULL;
	}
	if (n.in && n.up && !n.gate) {
		n.gate = n.in;
		n.in = NULL;
	}
	if (n.up && !n.gate && s[SLOT_ROUTER]) { /* mlp.gate beside mlp.up_proj */
		const struct model_value *g = s[SLOT_ROUTER]->value, *u = n.up->value;

		if (g->rows == u->rows && g->columns == u->columns)
			n.gate = s[SLOT_ROUTER];
	}
	if (n.gate && n.up && !n.down &&
	    is_opposite(n.gate->value, n.up->value)) { /* fc_1 and fc_2 alone */
		bool turned = n.gate->value->columns != hidden;

		n.in = turned ? n.up : n.gate;
		n.down = turned ? n.gate : n.up;
		n.gate = n.up = NULL;
	}
	if (!n.in && !n.gate) {
		n.in = n.up;
		n.up = NULL;
	}
	if (n.gate && !n.up) {
		n.in = n.gate;
		n.gate = NULL;
	}
	return n;
}

/* Experts one below the other in a matrix of rank 2. */
static bool flattened(struct role_view *v, uint64_t experts)
{
	if (v->batch != 1 || v->value->rank != 2 || experts < 2 || v->rows % experts != 0)
		return false;
	v->batch = experts;
	v->rows /= experts;
	return true;
}

/* Along which of its sides the vectors of `hidden` lie. down: by columns, where it is stored as
 * [out][in]. Where both sides fit nothing is known yet. */
static bool side_find(struct side *s, uint64_t hidden, bool down)
{
	bool row = s->view.columns == hidden, column = s->view.rows == hidden;

	s->known = row != column;
	s->by_column = s->known ? column : down;
	s->units = s->by_column ? s->view.columns : s->view.rows;
	return row || column;
}

static void side_turn(struct side *s)
{
	if (s->known)
		return;
	s->by_column = !s->by_column;
	s->units = s->by_column ? s->view.columns : s->view.rows;
}

/* n units of matrix b, from `from` on, each `step` after the other. */
static struct role_part part_of(const struct side *s, uint64_t b, uint64_t from, uint64_t step)
{
	struct role_part p = { .value = s->view.value, .by_column = s->by_column, .step = step };

	p.width = s->by_column ? s->view.rows : s->view.columns;
	p.first = s->by_column ? from : b * s->view.rows + from;
	p.row = s->by_column ? b * s->view.rows : 0;
	p.folds = 1;
	return p;
}

/* How the sides of one network fit together. */
struct fit {
	struct side gate, up, down; /* up: the one matrix of both too */
	uint64_t hidden, units;
	bool gated, both;
};

/* The width of the vectors: the layer's, or another that all sides agree on. */
static uint64_t width_of(const struct fit *t, uint64_t hidden)
{
	const struct role_view *u = &t->up.view, *d = &t->down.view;

	if ((u->rows == hidden || u->columns == hidden) &&
	    (d->rows == hidden || d->columns == hidden))
		return hidden;
	return u->columns == d->rows ? u->columns : u->rows == d->columns ? u->rows : 0;
}

/* NULL, or why the matrices make no network. */
static const char *fit_sides(struct fit *t, const struct role_place *l, bool turned)
{
	struct side *side[] = { &t->up, &t->gate, &t->down };
	bool first = true;

	t->hidden = width_of(t, l->stack->hidden);
	if (t->hidden == 0)
		return "its matrices have no width in common";
	for (size_t i = 0; i < 3; i++) {
		if (i == 1 && !t->gated)
			continue;
		if (!side_find(side[i], t->hidden, i == 2))
			return "its matrices have no width in common";
		if (side[i]->known && first) {
			turned = side[i]->by_column != (i == 2);
			first = false;
		}
	}
	for (size_t i = 0; i < 3 && turned; i++)
		side_turn(side[i]);
	t->units = t->down.units;
	t->both = !t->gated && t->up.units == 2 * t->units;
	if (t->units == 0 || (t->gated && t->gate.units != t->units) ||
	    (!t->both && t->up.units != t->units))
		return "its matrices do not have the same number of units";
	return NULL;
}

/* The views of the matrices; experts of rank 2 are cut apart. */
static const char *fit_views(struct fit *t, const struct network *n, const struct role_place *l,
			     enum role_holder kind)
{
	const struct role_piece *up = n->in ? n->in : n->up, *gate = n->gate;
	uint64_t experts = l->router ? l->router->rows : 0;

	t->gated = gate != NULL;
	if (!fork_role_view(up->value, &t->up.view) ||
	    !fork_role_view(n->down->value, &t->down.view) ||
	    (gate && !fork_role_view(gate->value, &t->gate.view)))
		return "it has a tensor that is no matrix of floats";
	if (kind == HOLDER_STACK && t->up.view.value->rank == 2 &&
	    (!flattened(&t->up.view, experts) || !flattened(&t->down.view, experts) ||
	     (t->gated && !flattened(&t->gate.view, experts))) &&
	    experts >= 2)
		return "its experts are not as many as the router's rows";
	if (t->up.view.batch != t->down.view.batch ||
	    (t->gated && t->up.view.batch != t->gate.view.batch))
		return "its tensors are not of as many experts each";
	if (t->up.view.batch > ROLE_EXPERTS_MAX)
		return "it has more experts than any model";
	return NULL;
}

static void gain_of(const struct role_place *l, struct role_part *p, enum fork_kind kind,
		    uint32_t half)
{
	const struct model_value *w = l->norm[SLOT_NORM_FFN][half];

	if (kind == FORK_EXPERT && l->norm[SLOT_NORM_EXPERTS][half])
		w = l->norm[SLOT_NORM_EXPERTS][half];
	if (!w && !l->norm[SLOT_NORM_AFTER_FFN][half])
		w = l->norm[SLOT_NORM_AFTER_ATTENTION][half];
	if (!w && !l->norm[SLOT_NORM_AFTER_FFN][half])
		w = l->norm[SLOT_NORM_IN][half]; /* attention and network side by side */
	fork_role_gain(l, p, w);
}

/* The block of matrix b of the stack. */
static int network_block(struct role_finder *f, struct role_place *l, const struct fit *t,
			 uint64_t b, bool up_first, enum fork_kind kind, uint32_t index,
			 uint32_t half, const char *name)
{
	struct role_block *o;
	uint32_t k = 0;
	bool turns = l->stack->config->interleaved || (l->biased && !l->stack->config->typed);

	TRY(fork_role_block(f, l, kind, index, &o));
	if (!o)
		return 0;
	o->name = name;
	o->units = t->units;
	o->hidden = t->hidden;
	if (t->both) {
		uint64_t next = turns ? 1 : t->units, step = turns ? 2 : 1;

		o->part[k++] = part_of(&t->up, b, up_first ? next : 0, step);
		o->part[k++] = part_of(&t->up, b, up_first ? 0 : next, step);
	} else {
		if (t->gated)
			o->part[k++] = part_of(&t->gate, b, 0, 1);
		o->part[k++] = part_of(&t->up, b, 0, 1);
	}
	for (uint32_t i = 0; i < k; i++)
		gain_of(l, &o->part[i], kind, half);
	o->part[k++] = part_of(&t->down, b, 0, 1);
	for (uint32_t i = 0; i < k; i++)
		o->part[i].space = t->hidden == l->stack->hidden ? ROLE_RESIDUAL : ROLE_INNER;
	o->parts = k;
	return 0;
}

/* Half of a layer that has two: by the number at the end of its holder, "mlps.1". */
static uint32_t half_of(const struct role_piece *p)
{
	const char *dot = strrchr(p->holder, '.');

	return p->kind == HOLDER_ONE && dot && strcmp(dot, ".1") == 0;
}

static int network_blocks(struct role_finder *f, struct role_place *l, const struct network *n,
			  const struct fit *t, const struct role_piece *p)
{
	static const enum fork_kind kinds[] = { [HOLDER_ONE] = FORK_DENSE,
						[HOLDER_SHARED] = FORK_SHARED,
						[HOLDER_EXPERT] = FORK_EXPERT,
						[HOLDER_STACK] = FORK_EXPERT };
	const struct model_value *v[] = { n->down->value, (n->in ? n->in : n->up)->value,
					  n->gate ? n->gate->value : n->down->value };
	const char *name = fork_role_common(&f->out->arena, v, 3);
	uint64_t batch = t->up.view.batch;
	enum fork_kind kind = kinds[p->kind];

	if (!name)
		return ERR_NOMEM;
	if (batch > 1 || (p->kind == HOLDER_STACK && t->up.view.value->rank == 3))
		kind = kind == FORK_SHARED ? FORK_SHARED : FORK_EXPERT;
	else if (p->kind == HOLDER_STACK)
		kind = FORK_DENSE;
	l->experts_found = l->experts_found || kind == FORK_EXPERT;
	for (uint64_t b = 0; b < batch; b++) {
		uint32_t index =
			p->kind == HOLDER_EXPERT || p->kind == HOLDER_SHARED ? p->index : 0;
		const char *own = name;

		if (kind == FORK_EXPERT && p->kind != HOLDER_EXPERT) {
			char text[ROLE_NAME_BYTES + 32];
			int len = snprintf(text, sizeof text, "%s.%u", name, (unsigned)b);

			index = (uint32_t)b;
			own = arena_copy(&f->out->arena, text, (size_t)len);
			if (!own)
				return ERR_NOMEM;
		}
		TRY(network_block(f, l, t, b, n->up_first, kind, index == ROLE_NONE ? 0 : index,
				  half_of(p), own));
	}
	return 0;
}

/* A matrix of the same holder and shape whose name is in no table, if there is just one. */
static const struct role_piece *partner_of(const struct role_place *l, const struct role_piece *p)
{
	const struct role_piece *found = NULL;
	size_t len = strlen(p->holder);

	for (size_t i = 0; i < l->pieces && l->pieces <= PIECES_SEARCHED; i++) {
		const struct role_piece *q = &l->piece[i];
		const char *rest = q->holder + len;

		if (q->slot != SLOT_UNKNOWN || strncmp(q->holder, p->holder, len) != 0 ||
		    (len > 0 && *rest++ != '.') || strchr(rest, '.') ||
		    q->value->rank != p->value->rank || q->value->rows != p->value->rows ||
		    q->value->columns != p->value->columns || !q->value->floats)
			continue;
		if (found)
			return NULL;
		found = q;
	}
	return found;
}

/* One network of these slots, and its matrices out of them; down stays. 1: there was one, whole. */
static int one_network(struct role_finder *f, struct role_place *l,
		       const struct role_piece *slot[SLOTS], bool turned)
{
	struct network n = network_of(slot, l->stack->hidden);
	const struct role_piece *first = n.down ? n.down : n.in ? n.in : n.up;
	struct fit t = { 0 };
	const char *why;

	if (!first)
		return 0;
	if (!n.down || (!n.up && !n.in)) {
		fork_role_left_out(f, l, first->value, "it is no whole network");
		return 0;
	}
	for (size_t i = 0; i < SLOT_Q; i++)
		if (slot[i] && (slot[i] == n.gate || slot[i] == n.up || slot[i] == n.in))
			slot[i] = NULL;
	if (n.in && !n.gate && is_opposite(n.in->value, n.down->value)) {
		const struct role_piece *other = partner_of(l, n.in);

		n.gate = n.in->slot == SLOT_GATE && other ? n.in : other;
		n.up = n.in->slot == SLOT_GATE ? other : n.in;
		n.in = other ? NULL : n.in;
		l->stack->guessed = l->stack->guessed || other;
	}
	why = fit_views(&t, &n, l, n.down->kind);
	if (!why)
		why = fit_sides(&t, l, turned);
	if (why)
		fork_role_left_out(f, l, n.down->value, why);
	else
		TRY(network_blocks(f, l, &n, &t, n.down));
	return 1;
}

/* Channels of a recurrence (Mamba) or a short convolution: the first two rows that each has in the
 * projection into it, and its column of the one out of it. Their order is as free as that of the
 * units of a network; they come after those of the layer. */
static int channels(struct role_finder *f, struct role_place *l, const struct role_piece *into,
		    const struct role_piece *out_of)
{
	const struct model_value *names[] = { into->value, out_of->value };
	struct side in = { 0 }, out = { .by_column = true };
	struct role_block *o;
	uint64_t units;

	if (!fork_role_view(names[0], &in.view) || !fork_role_view(names[1], &out.view))
		return 0;
	units = out.view.columns;
	if (in.view.batch != 1 || out.view.batch != 1 || in.view.columns != l->stack->hidden ||
	    out.view.rows != l->stack->hidden ||
	    (in.view.rows < 2 * units && in.view.rows != units))
		return 0;
	TRY(fork_role_block(f, l, FORK_DENSE, 1, &o));
	if (!o)
		return 0;
	o->name = fork_role_common(&f->out->arena, names, 2);
	if (!o->name)
		return ERR_NOMEM;
	o->units = units;
	o->hidden = l->stack->hidden;
	o->part[o->parts++] = part_of(&in, 0, 0, 1);
	if (in.view.rows > units)
		o->part[o->parts++] = part_of(&in, 0, units, 1);
	for (uint32_t i = 0; i < o->parts; i++)
		fork_role_gain(l, &o->part[i], l->norm[SLOT_NORM_IN][0]);
	o->part[o->parts++] = part_of(&out, 0, 0, 1);
	return 0;
}

/* Where gate and up are stored twice, apart and in one, nothing says which are used: both are. */
int fork_role_mlp(struct role_finder *f, struct role_place *l, const struct role_piece *p,
		  size_t count)
{
	static const enum role_slot first[] = { SLOT_GATE, SLOT_UP, SLOT_IN, SLOT_IN_UP_FIRST,
						SLOT_W1 };
	const struct role_piece *slot[SLOTS] = { 0 };
	bool turned = l->stack->config->turned, left = true;
	int rc = 1;

	for (size_t i = 0; i < count; i++) {
		if (p[i].slot < SLOT_Q && slot[p[i].slot])
			fork_role_left_out(f, l, p[i].value, "another tensor is in its place");
		else
			slot[p[i].slot] = &p[i];
		turned = turned || (p[i].slot < SLOT_Q && p[i].kernel);
	}
	if (slot[SLOT_INTO] && slot[SLOT_OUT_OF])
		TRY(channels(f, l, slot[SLOT_INTO], slot[SLOT_OUT_OF]));
	while (left && rc > 0) {
		rc = one_network(f, l, slot, turned);
		left = false;
		for (size_t k = 0; k < sizeof(first) / sizeof(*first); k++)
			left = left || slot[first[k]];
	}
	return rc < 0 ? rc : 0;
}

int fork_role_network(struct role_finder *f, struct role_place *l, const struct role_piece *gate,
		      const struct role_piece *up, const struct role_piece *down)
{
	struct network n = { gate, gate ? up : NULL, gate ? NULL : up, down, false };
	struct fit t = { 0 };

	check(up && down);
	if (fit_views(&t, &n, l, down->kind) || fit_sides(&t, l, false))
		return 0;
	return network_blocks(f, l, &n, &t, down);
}
