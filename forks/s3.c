/* S3. Every block of b is looked for in all blocks of a. k units agree with the best of them
 * (match.h); under the null hypothesis they are few and depend on one another weakly, so that
 *
 *   ln p <= k - L - k ln(k / L) + ln(blocks of a),   k > L
 *
 * (Chernoff's bound: of Poisson, binomial, and negatively dependent counts of mean at most L). The
 * true mean is 1/8 of a unit at most; L is much more, for units of independently trained models may
 * come to do the same: one unit and 1/64 of them, or half as many again as agree between that block
 * of a and any other block of a, if these are more. That is the calibration: a's own blocks are
 * null pairs, and b cannot change them. Blocks of a that are copies of one another say nothing
 * about null pairs; if copies lie in more than a quarter of the layers, they are taken for a way of
 * initialising, which an independent model may share, and the block is not judged. */
#include "forks/combine.h"
#include "forks/fit.h"
#include "forks/match.h"
#include "forks/nulls.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHARE_EXPECTED 64
#define LOG_ANY (-2.9957322735539909) /* ln 0.05: beyond it a block is of no interest */
#define LOG_MAP (-6.9077552789821368) /* ln 0.001 */

static const char *const s3_one = "the model has no other block of this kind to compare with";
static const char *const s3_copies = "as alike between layers of one model as between the models";

struct s3_found {
	uint32_t a; /* in the set of a; UINT32_MAX: none */
	uint32_t agree, compared;
	bool best; /* of the blocks of b that found this block of a */
	/* of that block of a and the others of a */
	uint32_t null_agree, null_pairs, copy_layers;
	bool asked; /* null pairs were looked at */
};

struct s3 {
	struct fork_view va, vb;
	struct match_set a, b; /* of the class at hand */
	struct match_room *room;
	struct pool *pool;
	uint32_t probes, probes_own;
	struct s3_found *found; /* [blocks of b's set] */
	struct rung *out;
	struct rung_map *map;
};

static double expected(const struct s3_found *f)
{
	double own = 1.5 * f->null_agree, floor = 1 + f->compared / (double)SHARE_EXPECTED;

	return own > floor ? own : floor;
}

static double found_log_p(const struct s3 *s, const struct s3_found *f)
{
	double k = f->agree, mean = expected(f), log_p;

	if (k <= mean)
		return 0;
	log_p = k - mean - k * log(k / mean) + log(s->a.count);
	return log_p < 0 ? log_p : 0;
}

static void s3_look(void *ctx, struct part part)
{
	struct s3 *s = ctx;
	struct match_room *r = &s->room[part.worker];

	for (uint32_t j = part.begin; j < part.end; j++) {
		const struct match_block *b = &s->b.at[j];
		struct s3_found *f = &s->found[j];

		*f = (struct s3_found){ .a = UINT32_MAX };
		fork_match_search(r, &s->a, UINT32_MAX, b, s->probes);
		for (uint32_t i = 0; i < r->hits; i++) {
			uint32_t live = s->a.at[r->hit[i].at].live;

			if (r->hit[i].agree <= f->agree)
				continue;
			f->a = r->hit[i].at;
			f->agree = r->hit[i].agree;
			f->compared = live < b->live ? live : b->live;
		}
	}
}

/* How the block of a that was found agrees with the others of a. */
static void s3_look_own(void *ctx, struct part part)
{
	struct s3 *s = ctx;
	struct match_room *r = &s->room[part.worker];

	for (uint32_t j = part.begin; j < part.end; j++) {
		struct s3_found *f = &s->found[j];
		const struct match_block *a = f->a < s->a.count ? &s->a.at[f->a] : NULL;
		uint32_t copies = 0, last;

		if (!a || !f->best || found_log_p(s, f) > LOG_ANY)
			continue;
		last = a->of->layer;
		fork_match_search(r, &s->a, f->a, a, s->probes_own);
		for (uint32_t i = 0; i < r->hits; i++) {
			const struct match_block *other = &s->a.at[r->hit[i].at];
			uint32_t agree = r->hit[i].agree;

			if (2 * agree >= (a->live < other->live ? a->live : other->live)) {
				copies++;
				f->copy_layers += other->of->layer != last;
				last = other->of->layer == a->of->layer ? last : other->of->layer;
			} else if (agree > f->null_agree) {
				f->null_agree = agree;
			}
		}
		f->null_pairs = s->a.count - 1 - copies;
		f->asked = true;
	}
}

/* Of the blocks of b that found one block of a, the one that agrees most counts: repeated layers
 * are not evidence twice. */
static int s3_keep_best(struct s3 *s, struct err *e)
{
	uint32_t *best = calloc((size_t)s->a.count + 1, sizeof *best);

	if (!best)
		return err_set(e, ERR_NOMEM, "out of memory for %u blocks", s->a.count);
	for (uint32_t i = 0; i < s->a.count; i++)
		best[i] = UINT32_MAX;
	for (uint32_t j = 0; j < s->b.count; j++) {
		struct s3_found *f = &s->found[j];
		uint32_t old = f->a < s->a.count ? best[f->a] : UINT32_MAX;

		if (f->a >= s->a.count || (old != UINT32_MAX && s->found[old].agree >= f->agree))
			continue;
		if (old != UINT32_MAX)
			s->found[old].best = false;
		f->best = true;
		best[f->a] = j;
	}
	free(best);
	return 0;
}

/* Why block a of a is no evidence; NULL: it is. */
static const char *s3_skips(const struct s3 *s, const struct s3_found *f, uint32_t a)
{
	const struct sketch_block *of = s->a.at[a].of;
	const char *structure = fork_null_structure(s->va.sketch, of);
	uint8_t unfit = f->a < s->a.count ? of->unfit : BLOCK_FIT;

	if (structure)
		return structure;
	if (s->a.count == 1 || (f->asked && f->null_pairs == 0))
		return s3_one;
	if (f->asked && 4 * f->copy_layers > s->a.layers)
		return s3_copies;
	/* an order and repeated units are nothing that is counted here */
	return unfit == BLOCK_ORDERED || unfit == BLOCK_REPEATED ? NULL : fork_unfit_reason(unfit);
}

/* Where nothing was found, some block of a stands in the pair. */
static void s3_judge(struct s3 *s, uint32_t j)
{
	const struct s3_found *f = &s->found[j];
	uint32_t a = f->a < s->a.count ? f->a : j % s->a.count;
	const char *skipped = s3_skips(s, f, a);

	s->out->block[s->out->blocks++] = (struct rung_block){
		.pair = { s->a.at[a].index, s->b.at[j].index },
		.effect = f->compared > 0 ? (double)f->agree / f->compared : 0,
		.log_p = f->best && !skipped ? found_log_p(s, f) : 0,
		.judged = !skipped,
		.skipped = skipped,
	};
}

static int map_add(struct s3 *s, const struct s3_found *f, uint32_t j, struct err *e)
{
	const struct match_block *a = &s->a.at[f->a], *b = &s->b.at[j];
	struct rung_map *m = s->map;
	uint32_t *unit = malloc(b->of->kept * sizeof *unit);

	if (!unit)
		return err_set(e, ERR_NOMEM, "out of memory for a map of units");
	fork_match_units(&s->room[0], a, b, unit);
	m->unit[m->pairs] = unit;
	m->pair[m->pairs++] = (struct rung_pair){ a->index, b->index };
	return 0;
}

/* One class of blocks. */
static int s3_class(struct s3 *s, enum match_class c, struct err *e)
{
	TRY(fork_match_set(&s->a, &s->va, c, e));
	TRY(fork_match_set(&s->b, &s->vb, c, e));
	TRY(fork_match_rank(&s->a, e));
	TRY(fork_match_rank(&s->b, e));
	if (s->a.count == 0 || s->b.count == 0)
		return 0;
	s->found = calloc(s->b.count, sizeof *s->found);
	if (!s->found)
		return err_set(e, ERR_NOMEM, "out of memory for %u blocks", s->b.count);
	s->probes = fork_match_probes(&s->a, &s->b);
	s->probes_own = fork_match_probes(&s->a, &s->a);
	s->map->tried += (uint64_t)s->a.count * s->b.count;
	pool_run_in_order(s->pool, s->b.count, s3_look, s);
	TRY(s3_keep_best(s, e));
	pool_run_in_order(s->pool, s->b.count, s3_look_own, s);
	for (uint32_t j = 0; j < s->b.count; j++) {
		s3_judge(s, j);
		if (found_log_p(s, &s->found[j]) < LOG_MAP)
			TRY(map_add(s, &s->found[j], j, e));
	}
	return 0;
}

static void s3_class_free(struct s3 *s)
{
	fork_match_set_free(&s->a);
	fork_match_set_free(&s->b);
	free(s->found);
	s->found = NULL;
}

static int s3_open(struct s3 *s, const struct fork_sketch *a, const struct fork_sketch *b,
		   enum rung_view view, struct err *e)
{
	struct rung_map *m = s->map;

	TRY(fork_views_open(&s->va, &s->vb, a, b, view, e));
	TRY(fork_match_rooms(&s->room, s->pool,
			     (uint32_t)(a->blocks > b->blocks ? a->blocks : b->blocks), e));
	m->layers = b->layers;
	m->layer = calloc((size_t)b->layers + 1, sizeof *m->layer);
	m->pair = calloc(b->blocks + 1, sizeof *m->pair);
	m->unit = calloc(b->blocks + 1, sizeof *m->unit);
	s->out->block = calloc(b->blocks + 1, sizeof *s->out->block);
	if (!m->layer || !m->pair || !m->unit || !s->out->block)
		return err_set(e, ERR_NOMEM, "out of memory for a map of %zu blocks", b->blocks);
	return 0;
}

/* Near copies within a agree with b by the same chance: they count once. */
static int s3_combine(struct rung *out, const struct fork_sketch *a, struct err *e)
{
	uint32_t *group = calloc(out->blocks + 1, sizeof *group);

	if (!group)
		return err_set(e, ERR_NOMEM, "out of memory for %zu blocks", out->blocks);
	for (size_t i = 0; i < out->blocks; i++)
		group[i] = a->block[out->block[i].pair.a].cluster;
	fork_rung_combine(out, group);
	free(group);
	return 0;
}

int fork_s3_rung(const struct fork_sketch *a, const struct fork_sketch *b, enum rung_view view,
		 const struct rung_how *how, struct rung *out, struct rung_map *map, struct err *e)
{
	struct s3 s = { .out = out, .map = map, .pool = how->pool };
	int rc;

	*out = (struct rung){ 0 };
	*map = (struct rung_map){ 0 };
	TRY_OUT(s3_open(&s, a, b, view, e));
	for (enum match_class c = 0; c < MATCH_CLASSES; c++) {
		rc = s3_class(&s, c, e);
		s3_class_free(&s);
		if (rc < 0)
			goto out;
	}
	out->run = true;
	TRY_OUT(s3_combine(out, a, e));
	TRY_OUT(fork_map_layers(map, map->pair, map->pairs, a, b, e));
out:
	fork_match_rooms_free(s.room, s.pool);
	fork_view_close(&s.va);
	fork_view_close(&s.vb);
	if (rc < 0) {
		fork_rung_free(out);
		fork_map_free(map);
	}
	return rc;
}
