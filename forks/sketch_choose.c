/* Which blocks of a layer and which units of a block are kept (sketch.h has the rule), and room for
 * them in the sketch. */
#include "forks/sketch_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool same_group(const struct role_block *a, const struct role_block *b)
{
	return a && b && a->component == b->component && a->layer == b->layer && a->kind == b->kind;
}

size_t fork_plan_group_end(const struct plan *p, size_t i)
{
	size_t end = i + 1;

	while (end < p->blocks && same_group(p->block[i].of, p->block[end].of))
		end++;
	return end;
}

size_t fork_plan_group_limit(const struct plan *p, size_t i)
{
	const struct role_block *of = p->block[i].of;
	size_t layers = of ? p->layers[of->component][of->kind] : 1;
	size_t each = SKETCH_BLOCKS / (layers ? layers : 1);

	return each > SKETCH_LAYER ? each : SKETCH_LAYER;
}

struct ranked {
	double value;
	uint64_t place;
};

static int largest_first(const void *x, const void *y)
{
	const struct ranked *a = x, *b = y;

	if (a->value < b->value || a->value > b->value)
		return a->value > b->value ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

/* ---- blocks ---- */

/* How large a unit is. A factor may go from one of two parts to the other and leave the function as
 * it is, but not into a gate. */
static double size_of(const struct plan_block *b, uint64_t u)
{
	double size = b->norms[0] ? b->norms[0][u] : 0;

	return b->norms[1] ? size * b->norms[1][u] : size;
}

static double weight_of(const struct plan_block *b)
{
	double sum = 0;

	for (uint64_t u = 0; b->norms[0] && u < b->units; u++)
		sum += size_of(b, u);
	return sum;
}

static void norms_look(struct plan *p)
{
	for (size_t i = 0; i < p->blocks; i++)
		p->block[i].broken = p->block[i].broken || !isfinite(weight_of(&p->block[i]));
}

static int group_choose(struct plan *p, size_t begin, size_t end, struct err *e)
{
	size_t limit = fork_plan_group_limit(p, begin), half = limit / 2, count = 0, kept = 0;
	struct ranked *rank = calloc(end - begin, sizeof *rank);

	if (!rank)
		return plan_nomem(e);
	for (size_t i = begin; i < end; i++) {
		struct plan_block *b = &p->block[i];

		b->chosen = !b->broken && (end - begin <= limit || b->of->index < half);
		kept += b->chosen;
		if (!b->chosen && !b->broken)
			rank[count++] = (struct ranked){ weight_of(b), i };
	}
	qsort(rank, count, sizeof *rank, largest_first);
	for (size_t i = 0; i < count && kept < limit; i++, kept++)
		p->block[rank[i].place].chosen = true;
	free(rank);
	return 0;
}

/* ---- units ---- */

static int by_place(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return a < b ? -1 : a > b;
}

/* Units first.. of `units`, the largest: as many as `out` has room for. */
static int largest_units(const struct plan_block *b, uint32_t first, uint32_t room, uint32_t *out,
			 struct err *e)
{
	size_t count = b->units - first;
	struct ranked *rank = calloc(count, sizeof *rank);

	if (!rank)
		return plan_nomem(e);
	for (size_t i = 0; i < count; i++)
		rank[i] = (struct ranked){ size_of(b, first + i), first + i };
	qsort(rank, count, sizeof *rank, largest_first);
	for (uint32_t i = 0; i < room; i++)
		out[i] = (uint32_t)rank[i].place;
	free(rank);
	qsort(out, room, sizeof *out, by_place);
	return 0;
}

static int units_choose(struct plan_block *b, struct arena *arena, struct err *e)
{
	struct sketch_block *s = b->block;
	bool all = b->units <= b->limit;

	s->kept = all ? (uint32_t)b->units : b->limit;
	s->first = all ? s->kept : b->of ? b->limit / 2 : 0;
	s->place = arena_array(arena, s->kept, sizeof *s->place);
	if (!s->place)
		return plan_nomem(e);
	for (uint32_t i = 0; i < s->first; i++)
		s->place[i] = i;
	return all ? 0 : largest_units(b, s->first, s->kept - s->first, s->place + s->first, e);
}

/* ---- room ---- */

static int part_room(struct plan *p, struct plan_block *b, uint32_t k, struct err *e)
{
	const struct role_part *r = &b->part[k];
	struct sketch_part *to = &b->block->part[k];
	struct arena *arena = &p->sketch->arena;
	uint32_t kept = b->block->kept;

	to->raw_width = fork_unit_raw_width(r->width);
	to->raw = arena_array(arena, (size_t)kept * to->raw_width, sizeof *to->raw);
	to->norm = arena_array(arena, kept, sizeof *to->norm);
	if (!to->raw || !to->norm)
		return plan_nomem(e);
	if (r->space != ROLE_RESIDUAL || r->width != p->basis.hidden || !p->basis.tokens)
		return 0;
	to->token_width = p->basis.stride;
	to->token = arena_array(arena, (size_t)kept * to->token_width, sizeof *to->token);
	to->token_norm = arena_array(arena, kept, sizeof *to->token_norm);
	return to->token && to->token_norm ? 0 : plan_nomem(e);
}

static int block_room(struct plan *p, struct plan_block *b, struct err *e)
{
	const struct role_block *of = b->of;
	struct arena *arena = &p->sketch->arena;

	if (!of) {
		uint32_t n = p->basis.tokens;

		b->layer->tokens = arena_array(arena, (size_t)n * n, sizeof(float));
		return b->layer->tokens ? units_choose(b, &p->arena, e) : plan_nomem(e);
	}
	b->block = &p->sketch->block[p->sketch->blocks++];
	*b->block = (struct sketch_block){
		.name = arena_copy(arena, of->name, strlen(of->name)),
		.kind = of->kind,
		.component = of->component,
		.layer = of->layer,
		.index = of->index,
		.units = of->units,
		.hidden = of->hidden,
		.parts = of->parts,
	};
	if (!b->block->name)
		return plan_nomem(e);
	TRY(units_choose(b, arena, e));
	for (uint32_t k = 0; k < b->parts; k++)
		TRY(part_room(p, b, k, e));
	return 0;
}

/* Whether the value was read for norms, so that it is not read whole again. */
static bool read_before(const struct plan *p, const struct model_value *w)
{
	uint32_t value = fork_plan_value(p, w);
	size_t lo = 0, hi = p->norms.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->norms.at[mid].value == value)
			return true;
		if (p->norms.at[mid].value < value)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static bool by_rows_alone(const struct plan *p, const struct plan_block *b, uint32_t part)
{
	const struct role_part *r = &b->part[part];

	return b->chosen && !r->by_column && (r->folds > 1 || read_before(p, r->value));
}

static bool while_read(const struct plan *p, const struct plan_block *b, uint32_t part)
{
	return b->chosen && !by_rows_alone(p, b, part);
}

int fork_plan_choose(struct plan *p, struct err *e)
{
	size_t count = 0;

	norms_look(p);
	for (size_t i = 0, end; i < p->blocks; i = end) {
		end = fork_plan_group_end(p, i);
		TRY(group_choose(p, i, end, e));
	}
	for (size_t i = 0; i < p->of_roles; i++) {
		count += p->block[i].chosen;
		if (p->block[i].broken)
			fork_plan_note(p, "%s: left out: values that are not finite",
				       p->block[i].of->name);
	}
	p->sketch->block = arena_array(&p->sketch->arena, count + 1, sizeof *p->sketch->block);
	if (!p->sketch->block)
		return plan_nomem(e);
	for (size_t i = 0; i < p->blocks; i++)
		if (p->block[i].chosen)
			TRY(block_room(p, &p->block[i], e));
	TRY(fork_plan_takers(p, &p->vectors, while_read, e));
	return fork_plan_takers(p, &p->rows, by_rows_alone, e);
}
