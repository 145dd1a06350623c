/* How the relatives stand to the suspect and to each other, by the distances between all of them:
 * what two trainings change hardly overlaps, so squares of distances add up along a line of descent
 * (forks/mix.h). Time is not in them: which end of a line came first, flow/fork_lineage.c says. */
#include "flow/fork_audit.h"
#include "flow/fork_cache.h"

#include <math.h>
#include <stdlib.h>

/* The suspect lies between two others where its way to the line between them is short, beside its
 * ways to both; which nobody can see where one of these is nearly nothing. */
#define ASIDE_MOST 0.1
#define WAY_LEAST 0.02   /* share of the longer way */
#define RELATED_MOST 1.5 /* square between two that have a base in common; of strangers it is 2 */

/* Of the relatives; the suspect's is the last. */
struct sketches {
	struct fork_sketch *kept[FLOW_KIN_MAX];
	const struct fork_sketch *all[FLOW_KIN_MAX + 1];
};

/* Into its place by nearness; the farthest of too many falls out. */
static void consider(struct flow_fork_audit *a, struct flow_candidate *c)
{
	size_t i = a->families;
	if (i == FLOW_KIN_MAX && flow_fork_distance(a->family[i - 1]) <= flow_fork_distance(c))
		return;
	if (i == FLOW_KIN_MAX)
		i--;
	else
		a->families++;
	for (; i > 0 && flow_fork_distance(a->family[i - 1]) > flow_fork_distance(c); i--)
		a->family[i] = a->family[i - 1];
	a->family[i] = c;
}

/* Those whose sketch cannot be had again are left to what cards and registration say. */
static int take_sketches(struct flow_fork_audit *a, struct sketches *s, struct err *e)
{
	size_t with = 0;
	for (size_t i = 0; i < a->families; i++) {
		struct err why;
		int rc = flow_fork_sketch_kept(a->flow, &a->family[i]->release.root, &s->kept[with],
					       &why);
		if (rc == ERR_NOMEM)
			return err_set(e, rc, "%s", why.text);
		s->all[with] = s->kept[with];
		if (rc == 0)
			a->family[with++] = a->family[i];
	}
	a->families = with;
	s->all[with] = a->sketch;
	return 0;
}

static double square(const struct flow_fork_audit *a, size_t i, size_t k)
{
	return a->square[i * (a->families + 1) + k];
}

/* Whether the way from m to the line between i and k is short. */
static bool is_between(const struct flow_fork_audit *a, size_t i, size_t m, size_t k)
{
	double x = square(a, i, m), y = square(a, k, m), aside = (x + y - square(a, i, k)) / 2;
	double shorter = fmin(x, y), longer = fmax(x, y);
	return shorter >= WAY_LEAST * longer && fabs(aside) <= ASIDE_MOST * shorter;
}

static size_t place_of(const struct flow_fork_audit *a, const struct flow_candidate *c)
{
	size_t i = 0;
	while (c && i < a->families && a->family[i] != c)
		i++;
	return c ? i : a->families;
}

bool flow_fork_between(const struct flow_fork_audit *a, const struct flow_candidate *x,
		       const struct flow_candidate *m, const struct flow_candidate *y)
{
	size_t i = place_of(a, x), j = place_of(a, m), k = place_of(a, y);
	bool known = a->square && (!x || i < a->families) && (!m || j < a->families) &&
		     (!y || k < a->families);
	return known && is_between(a, i, j, k);
}

/* Of two relatives with the suspect between them, the one registered later lies behind it. */
static void mark_between(const struct flow_fork_audit *a)
{
	for (size_t i = 0; i < a->families; i++)
		for (size_t k = 0; k < a->families; k++) {
			struct flow_candidate *near = a->family[i], *far = a->family[k];
			if (near->release.log_index < far->release.log_index && !far->behind &&
			    near->kin != FORK_KIN_MIXED && far->kin != FORK_KIN_MIXED &&
			    square(a, i, k) < RELATED_MOST && is_between(a, i, a->families, k))
				far->behind = near;
		}
}

/* A suspect that is almost one of them is that one's child, or the other way about: where the line
 * to a third parts from so short a way is lost in the noise of the squares. */
static void settle_near(const struct flow_fork_audit *a, struct fork_kinship *kin)
{
	size_t s = a->families, nearest = 0;
	double next = INFINITY;
	for (size_t i = 1; i < s; i++)
		if (square(a, i, s) < square(a, nearest, s))
			nearest = i;
	for (size_t i = 0; i < s; i++)
		if (i != nearest)
			next = fmin(next, square(a, i, s)); /* NaN: the other */
	if (!(square(a, nearest, s) < WAY_LEAST * next))
		return;
	for (size_t i = 0; i < s; i++)
		if (kin[i].kin != FORK_KIN_UNTOLD || i == nearest)
			kin[i].kin = i == nearest ? FORK_KIN_PARENT : FORK_KIN_BEYOND;
}

/* ---- mixes ---- */

static json_t *mix_layers(const struct fork_mix *m, struct flow_candidate *const *of,
			  size_t parents)
{
	struct arr list = { .json = json_array() };
	for (uint32_t i = 0; i < m->layers; i++) {
		const struct fork_mix_layer *l = &m->layer[i];
		struct obj o = { 0 };
		obj_count(&o, "layer", i);
		obj_text(&o, "nearest",
			 l->parent >= 0 && (size_t)l->parent < parents ? of[l->parent]->name
								       : NULL);
		if (l->layer >= 0)
			obj_count(&o, "layer_there", (uint64_t)l->layer);
		else
			obj_null(&o, "layer_there");
		obj_measured(&o, "residual", l->residual);
		arr_object(&list, &o);
	}
	return arr_take(&list);
}

/* Of what the suspect was mixed, layer by layer. */
static int tell_mix(struct flow_fork_audit *a, const struct sketches *s, struct err *e)
{
	const struct fork_sketch *part[FORK_MIX_PARENTS];
	struct flow_candidate *of[FORK_MIX_PARENTS];
	struct fork_mix mix = { 0 };
	struct obj o = { 0 };
	struct arr names = { .json = json_array() };
	size_t count = 0;
	for (size_t i = 0; i < a->families && count < FORK_MIX_PARENTS; i++)
		if (a->family[i]->kin == FORK_KIN_MIXED) {
			of[count] = a->family[i];
			part[count++] = s->all[i];
		}
	if (count < 2) {
		arr_free(&names);
		return 0;
	}
	int rc = fork_mix(part, count, a->sketch, a->pool, &mix, e);
	for (size_t i = 0; i < count; i++)
		arr_text(&names, of[i]->name);
	obj_array(&o, "of", &names);
	obj_measured(&o, "residual", mix.residual);
	obj_measured(&o, "nearest_alone", mix.nearest);
	obj_add(&o, "layers", mix_layers(&mix, of, count));
	fork_mix_free(&mix);
	if (rc < 0) {
		obj_free(&o);
		return rc;
	}
	return obj_done(&o, &a->mix, e);
}

static int find_kin(struct flow_fork_audit *a, struct sketches *s, struct err *e)
{
	struct fork_kinship kin[FLOW_KIN_MAX];
	size_t n = a->families + 1;
	a->square = calloc(n * n, sizeof *a->square);
	if (!a->square)
		return err_set(e, ERR_NOMEM, "out of memory");
	TRY(fork_squares(s->all, n, a->pool, a->square, e));
	if (!fork_kinship(a->square, n, kin))
		return 0;
	settle_near(a, kin);
	TRY(fork_kin_layers(s->all, n, a->pool, kin, e));
	for (size_t i = 0; i < a->families; i++) {
		a->family[i]->kin = kin[i].kin;
		a->family[i]->weight = kin[i].kin == FORK_KIN_MIXED ? kin[i].weight : NAN;
	}
	mark_between(a);
	return tell_mix(a, s, e);
}

int flow_fork_kin(struct flow_fork_audit *a, struct err *e)
{
	struct sketches s = { 0 };
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		c->kin = FORK_KIN_UNTOLD;
		c->weight = NAN;
		if (c->measure.verdict == FORK_DEPENDENT)
			consider(a, c);
	}
	int rc = take_sketches(a, &s, e);
	if (rc == 0 && a->families > 1)
		rc = find_kin(a, &s, e);
	for (size_t i = 0; i < FLOW_KIN_MAX; i++)
		fork_sketch_free(s.kept[i]);
	return rc;
}
