#include "drawn.h"

#include <criterion/criterion.h>
#include <math.h>

static double inner(const int16_t *a, const int16_t *b, uint32_t width)
{
	double sum = 0;

	for (uint32_t k = 0; k < width; k++)
		sum += (double)a[k] * b[k];
	return sum / SKETCH_ONE / SKETCH_ONE;
}

/* Mean cosine of equal places, in one view of one part. */
static double alike(const struct fork_sketch *a, const struct fork_sketch *b, bool token)
{
	const struct sketch_part *x = &a->block[0].part[0], *y = &b->block[0].part[0];
	double sum = 0;

	for (uint32_t u = 0; u < a->block[0].kept; u++)
		sum += token ? inner(x->token + (size_t)u * x->token_width,
				     y->token + (size_t)u * y->token_width, x->token_width)
			     : inner(x->raw + (size_t)u * x->raw_width,
				     y->raw + (size_t)u * y->raw_width, x->raw_width);
	return sum / a->block[0].kept;
}

Test(forks_drawn, a_rotation_is_seen_by_raw_vectors_and_not_by_tokens)
{
	static const struct drawn_shape shape = { FORK_DENSE, 1, 1, 300, 200, 3, 96, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_copy(a);
	struct fork_sketch *s, *t;

	drawn_rotate(b, 2);
	s = drawn_sketch(a);
	t = drawn_sketch(b);
	cr_expect_eq(s->block[0].kept, SKETCH_UNITS);
	cr_expect_eq(s->block[0].first, SKETCH_FIRST);
	cr_expect(fabs(alike(s, s, false) - 1) < 0.01);
	cr_expect(fabs(alike(s, t, false)) < 0.5, "%g", alike(s, t, false));
	cr_expect(fabs(alike(s, t, true) - 1) < 0.01, "%g", alike(s, t, true));
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_free(a);
	drawn_free(b);
}

Test(forks_drawn, zero_units_stay_zero)
{
	static const struct drawn_shape shape = {
		FORK_ATTENTION, 1, 1, 20, 16, 2, 0, DRAWN_NORMAL
	};
	struct drawn *a = drawn_new(&shape, 1);
	struct fork_sketch *s;

	drawn_resize(&a->block[0], 21);
	s = drawn_sketch(a);
	cr_expect_eq(s->block[0].kept, 21);
	cr_expect_eq(s->block[0].part[1].norm[20], 0);
	for (uint32_t k = 0; k < 16; k++)
		cr_expect_eq(s->block[0].part[1].raw[20 * 16 + k], 0);
	drawn_sketch_free(s);
	drawn_free(a);
}
