/* What a sketch is to keep: which parts of the model's blocks can be read, and which of them have
 * to be looked at before anything is chosen. */
#include "base/text.h"
#include "forks/sketch_in.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_MAX 200

void fork_plan_note(struct plan *p, const char *fmt, ...)
{
	char line[600], shown[700];
	va_list args;

	if (p->noted++ >= NOTES_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	text_escape(shown, sizeof shown, line, strlen(line), false);
	buf_printf(&p->notes, "%s\n", shown);
}

/* first + (units - 1) * step + (folds - 1) * fold < end, none of them so large that it wraps. */
static bool inside(const struct role_part *r, uint64_t units, uint64_t end)
{
	uint64_t along, folded, last;

	return units > 0 && r->folds > 0 && (r->step > 0 || units == 1) &&
	       !__builtin_mul_overflow(units - 1, r->step, &along) &&
	       !__builtin_mul_overflow(r->folds - 1, r->fold, &folded) &&
	       !__builtin_add_overflow(along, folded, &last) &&
	       !__builtin_add_overflow(last, r->first, &last) && last < end;
}

/* Whether the vectors lie where their value has numbers. */
static bool part_readable(const struct role_part *r, uint64_t units)
{
	const struct model_value *v = r->value;
	uint64_t across = r->by_column ? r->row : r->column;
	uint64_t along = v ? (r->by_column ? v->columns : v->rows) : 0;
	uint64_t wide = v ? (r->by_column ? v->rows : v->columns) : 0;

	return v && v->floats && r->width > 0 && r->width <= SKETCH_WIDTH_MAX && across <= wide &&
	       r->width <= wide - across && inside(r, units, along) &&
	       (!r->gain ||
		(r->gain->floats && r->gain->rows == 1 && r->gain->columns == r->width));
}

static const char *unreadable(const struct role_block *b)
{
	if (b->units < SKETCH_UNITS_MIN)
		return "fewer than 16 units";
	if (b->units > SKETCH_UNITS_OF_BLOCK || b->parts < 1 || b->parts > ROLE_PARTS)
		return "more units than are read";
	for (uint32_t i = 0; i < b->parts; i++)
		if (!part_readable(&b->part[i], b->units))
			return "its values are in a form or shape that is not read";
	return NULL;
}

static uint32_t limit_of(enum fork_kind k)
{
	return k == FORK_EXPERT || k == FORK_ATTENTION ? SKETCH_UNITS_MANY : SKETCH_UNITS;
}

static void queries_add(struct plan *p, uint32_t layer)
{
	const struct role_layer *l = &p->roles.layer[layer];
	struct plan_block *b = &p->block[p->blocks];

	if (!p->basis.tokens || !l->query.value || l->query.space != ROLE_RESIDUAL ||
	    l->query.width != p->roles.hidden || l->queries > SKETCH_UNITS_OF_BLOCK ||
	    !part_readable(&l->query, l->queries))
		return;
	*b = (struct plan_block){ .part = &l->query,
				  .parts = 1,
				  .limit = SKETCH_UNITS,
				  .units = l->queries,
				  .layer = &p->sketch->layer[layer] };
	b->block = arena_alloc(&p->arena, sizeof *b->block);
	p->blocks += b->block != NULL;
}

static uint64_t widest(const struct plan *p)
{
	uint64_t most = p->roles.hidden < SKETCH_WIDTH_MAX ? p->roles.hidden : 0;

	for (size_t i = 0; i < p->blocks; i++)
		for (uint32_t k = 0; k < p->block[i].parts; k++)
			if (p->block[i].part[k].width > most)
				most = p->block[i].part[k].width;
	return most;
}

static int blocks_add(struct plan *p, struct err *e)
{
	const struct roles *r = &p->roles;

	p->block = arena_array(&p->arena, r->blocks + r->layers + 1, sizeof *p->block);
	p->sketch->layer = arena_array(&p->sketch->arena, r->layers + 1, sizeof *p->sketch->layer);
	if (!p->block || !p->sketch->layer)
		return plan_nomem(e);
	p->sketch->layers = r->layers;
	for (size_t i = 0; i < r->blocks; i++) {
		const struct role_block *of = &r->block[i];
		const char *why = unreadable(of);

		if (why)
			fork_plan_note(p, "%s: left out: %s", of->name, why);
		else
			p->block[p->blocks++] = (struct plan_block){ .of = of,
								     .part = of->part,
								     .parts = of->parts,
								     .limit = limit_of(of->kind),
								     .units = of->units };
	}
	p->of_roles = p->blocks;
	for (size_t i = 0; i < p->blocks; i = fork_plan_group_end(p, i))
		p->layers[p->block[i].of->component][p->block[i].of->kind]++;
	TRY(fork_basis_open(&p->basis, p->sketch, p->model, r, widest(p), e));
	for (uint32_t l = 0; l < r->layers; l++)
		queries_add(p, l);
	return 0;
}

static int taker_order(const void *x, const void *y)
{
	const struct taker *a = x, *b = y;

	if (a->value != b->value)
		return a->value < b->value ? -1 : 1;
	if (a->row != b->row)
		return a->row < b->row ? -1 : 1;
	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	return a->part < b->part ? -1 : a->part > b->part;
}

uint32_t fork_plan_value(const struct plan *p, const struct model_value *w)
{
	size_t lo = 0, hi = model_values_count(p->model->values); /* by name */

	while (lo + 1 < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(w->name, model_values_at(p->model->values, mid)->name) < 0)
			hi = mid;
		else
			lo = mid;
	}
	return (uint32_t)lo;
}

static void taker_add(const struct plan *p, struct takers *to, size_t block, uint32_t part)
{
	const struct role_part *r = &p->block[block].part[part];
	struct taker *t = &to->at[to->count++];
	uint64_t last = r->first + (p->block[block].units - 1) * r->step + (r->folds - 1) * r->fold;

	*t = (struct taker){ .value = fork_plan_value(p, r->value),
			     .block = (uint32_t)block,
			     .part = part,
			     .row = r->by_column ? r->row : r->first,
			     .rows = r->by_column ? r->width : last - r->first + 1 };
}

int fork_plan_takers(struct plan *p, struct takers *out,
		     bool (*wanted)(const struct plan *p, const struct plan_block *b,
				    uint32_t part),
		     struct err *e)
{
	size_t count = 0;

	for (size_t i = 0; i < p->blocks; i++)
		for (uint32_t k = 0; k < p->block[i].parts; k++)
			count += wanted(p, &p->block[i], k);
	*out = (struct takers){ .at = arena_array(&p->arena, count + 1, sizeof *out->at) };
	if (!out->at)
		return plan_nomem(e);
	for (size_t i = 0; i < p->blocks; i++)
		for (uint32_t k = 0; k < p->block[i].parts; k++)
			if (wanted(p, &p->block[i], k))
				taker_add(p, out, i, k);
	qsort(out->at, out->count, sizeof *out->at, taker_order);
	return 0;
}

static bool has_norms(const struct plan *p, const struct plan_block *b, uint32_t part)
{
	(void)p;
	return part < 2 && b->norms[part] != NULL;
}

/* Where there are more units, or more blocks of a layer, than are kept. */
static int norms_add(struct plan *p, struct err *e)
{
	for (size_t i = 0, end; i < p->blocks; i = end) {
		end = fork_plan_group_end(p, i);
		bool crowded = end - i > fork_plan_group_limit(p, i);

		for (size_t k = i; k < end; k++) {
			struct plan_block *b = &p->block[k];

			for (uint32_t n = 0; n < (b->parts == 2 ? 2 : 1); n++) {
				if (!crowded && b->units <= b->limit)
					continue;
				b->norms[n] = arena_array(&p->arena, b->units, sizeof(float));
				if (!b->norms[n])
					return plan_nomem(e);
			}
		}
	}
	return fork_plan_takers(p, &p->norms, has_norms, e);
}

static int gain_read(struct plan *p, const struct role_part *r, struct err *e)
{
	float **at = r->gain ? &p->gain[fork_plan_value(p, r->gain)] : NULL;

	if (!at || *at)
		return 0;
	*at = arena_array(&p->arena, r->width, sizeof **at);
	if (!*at)
		return plan_nomem(e);
	int rc = model_values_read(p->model->values, r->gain, 0, 1, *at, e);
	if (rc < 0)
		*at = NULL;
	return rc;
}

/* Once, and before the pass: of a verified source each read here is of a whole chunk. */
static int gains_read(struct plan *p, struct err *e)
{
	p->gain = arena_array(&p->arena, model_values_count(p->model->values) + 1, sizeof *p->gain);
	if (!p->gain)
		return plan_nomem(e);
	for (size_t i = 0; i < p->blocks; i++)
		for (uint32_t k = 0; k < p->block[i].parts; k++) {
			int rc = gain_read(p, &p->block[i].part[k], e);

			if (rc < 0 && rc != ERR_INPUT && rc != ERR_UNSUPPORTED)
				return rc;
			p->block[i].broken = p->block[i].broken || rc < 0;
		}
	return 0;
}

int fork_plan_open(struct plan *p, struct err *e)
{
	const struct fork_model *m = p->model;

	TRY(fork_roles_find(m->values, m->config, &p->roles, e));
	if (p->roles.notes)
		buf_add_text(&p->notes, p->roles.notes);
	p->sketch->hidden = p->roles.hidden;
	TRY(blocks_add(p, e));
	TRY(gains_read(p, e));
	return norms_add(p, e);
}

void fork_plan_free(struct plan *p)
{
	fork_roles_free(&p->roles);
	fork_basis_free(&p->basis);
	arena_free(&p->arena);
	buf_free(&p->notes);
}

int fork_plan_gain(const struct plan *p, const struct role_part *r, float **gain, struct err *e)
{
	const float *from = r->gain ? p->gain[fork_plan_value(p, r->gain)] : NULL;

	*gain = NULL;
	if (!from)
		return 0;
	*gain = malloc(r->width * sizeof **gain);
	if (!*gain)
		return plan_nomem(e);
	for (uint64_t i = 0; i < r->width; i++)
		(*gain)[i] = isfinite(from[i]) ? from[i] + (r->gain_plus_one ? 1 : 0) : 1;
	return 0;
}
