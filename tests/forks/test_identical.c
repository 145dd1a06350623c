#include "forks/identical.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* A tensor as a line: its name, its component, what its values are (0: not the same as any other),
 * a letter for what is special: c constant, i index. */
struct line {
	const char *name;
	enum fork_component component;
	uint64_t values;
	char special;
	uint64_t rows;
};

#define MOST 12

struct made {
	struct fork_sketch sketch;
	struct sketch_tensor tensor[MOST];
};

static uint64_t unlike;

static int by_name(const void *x, const void *y)
{
	return strcmp(((const struct sketch_tensor *)x)->name,
		      ((const struct sketch_tensor *)y)->name);
}

static struct fork_sketch *sketch_of(struct made *m, const struct line *line)
{
	*m = (struct made){ .sketch.tensor = m->tensor };
	for (; line->name; line++)
		m->tensor[m->sketch.tensors++] = (struct sketch_tensor){
			.name = line->name,
			.component = line->component,
			.rank = 2,
			.shape = { line->rows ? line->rows : 32, 64 },
			.bytes = 2 * 64 * (line->rows ? line->rows : 32),
			.hash = { line->values ? line->values : 1000 + ++unlike, 7 },
			.floats = line->special != 'i',
			.finite = true,
			.constant = line->special == 'c',
		};
	qsort(m->tensor, m->sketch.tensors, sizeof *m->tensor, by_name);
	return &m->sketch;
}

static const struct row {
	const char *what;
	struct line a[MOST], b[MOST];
	uint64_t same, changed, added, removed, reshaped, identical, shared;
	bool all;
} rows[] = {
	{ "the same",
	  { { "model.layers.0.up.weight", 0, 1, 0, 0 }, { "n", 0, 2, 'c', 0 } },
	  { { "model.layers.0.up.weight", 0, 1, 0, 0 }, { "n", 0, 2, 'c', 0 } },
	  2,
	  0,
	  0,
	  0,
	  0,
	  1,
	  0,
	  true },
	{ "a prefix, and one tensor that changed",
	  { { "model.layers.0.up.weight", 0, 1, 0, 0 },
	    { "model.layers.0.down.weight", 0, 2, 0, 0 } },
	  { { "language_model.model.layers.0.up.weight", 0, 1, 0, 0 },
	    { "language_model.model.layers.0.down.weight", 0, 3, 0, 0 } },
	  1,
	  1,
	  0,
	  0,
	  0,
	  1,
	  0,
	  false },
	{ "a prefix alone",
	  { { "model.layers.0.up.weight", 0, 1, 0, 0 },
	    { "model.norm.weight", FORK_ENDS, 0, 'c', 0 } },
	  { { "x.layers.0.up.weight", 0, 1, 0, 0 }, { "x.norm.weight", FORK_ENDS, 1001, 'c', 0 } },
	  2,
	  0,
	  0,
	  0,
	  0,
	  1,
	  0,
	  true },
	{ "another spelling",
	  { { "model.layers.0.up.weight", 0, 1, 0, 0 },
	    { "model.layers.1.up.weight", 0, 2, 0, 0 } },
	  { { "blk.0.ffn_up.weight", 0, 1, 0, 0 }, { "blk.1.ffn_up.weight", 0, 2, 0, 0 } },
	  2,
	  0,
	  0,
	  0,
	  0,
	  2,
	  0,
	  true },
	{ "layers exchanged are not the same model",
	  { { "l.0.up.weight", 0, 1, 0, 0 }, { "l.1.up.weight", 0, 2, 0, 0 } },
	  { { "l.0.up.weight", 0, 2, 0, 0 }, { "l.1.up.weight", 0, 1, 0, 0 } },
	  2,
	  0,
	  0,
	  0,
	  0,
	  2,
	  0,
	  false },
	{ "a layer in front of all others",
	  { { "l.0.up.weight", 0, 1, 0, 0 }, { "l.1.up.weight", 0, 2, 0, 0 } },
	  { { "l.0.up.weight", 0, 5, 0, 0 },
	    { "l.1.up.weight", 0, 1, 0, 0 },
	    { "l.2.up.weight", 0, 2, 0, 0 } },
	  2,
	  0,
	  1,
	  0,
	  0,
	  2,
	  0,
	  false },
	{ "a layer twice",
	  { { "l.0.up.weight", 0, 1, 0, 0 }, { "l.1.up.weight", 0, 2, 0, 0 } },
	  { { "l.0.up.weight", 0, 1, 0, 0 },
	    { "l.1.up.weight", 0, 2, 0, 0 },
	    { "l.2.up.weight", 0, 2, 0, 0 } },
	  3,
	  0,
	  0,
	  0,
	  0,
	  3,
	  0,
	  false },
	{ "a tied head that is stored",
	  { { "l.0.up.weight", 0, 1, 0, 0 }, { "embed.weight", FORK_ENDS, 2, 0, 0 } },
	  { { "l.0.up.weight", 0, 1, 0, 0 },
	    { "embed.weight", FORK_ENDS, 2, 0, 0 },
	    { "lm_head.weight", FORK_ENDS, 2, 0, 0 } },
	  3,
	  0,
	  0,
	  0,
	  0,
	  1,
	  2,
	  true },
	{ "what repeats in both tells nothing",
	  { { "l.0.table.weight", 0, 9, 0, 0 }, { "l.1.table.weight", 0, 9, 0, 0 } },
	  { { "l.0.table.weight", 0, 9, 0, 0 },
	    { "l.1.table.weight", 0, 9, 0, 0 },
	    { "l.0.up.weight", 0, 4, 0, 0 } },
	  2,
	  0,
	  1,
	  0,
	  0,
	  0,
	  0,
	  false },
	{ "a shared tower and other bodies",
	  { { "l.0.up.weight", 0, 1, 0, 0 }, { "vision.layers.0.up.weight", FORK_TOWER, 2, 0, 0 } },
	  { { "l.0.up.weight", 0, 3, 0, 0 }, { "vision.layers.0.up.weight", FORK_TOWER, 2, 0, 0 } },
	  1,
	  1,
	  0,
	  0,
	  0,
	  0,
	  1,
	  false },
	{ "other shapes, and an index that differs",
	  { { "e.weight", FORK_ENDS, 1, 0, 32 }, { "l.0.ids", 0, 4, 'i', 0 } },
	  { { "e.weight", FORK_ENDS, 2, 0, 40 }, { "l.0.ids", 0, 5, 'i', 0 } },
	  0,
	  1,
	  0,
	  0,
	  1,
	  0,
	  0,
	  false },
	{ "an index that only one has changes no model",
	  { { "l.0.up.weight", 0, 1, 0, 0 }, { "l.0.ids", 0, 4, 'i', 0 } },
	  { { "l.0.up.weight", 0, 1, 0, 0 } },
	  1,
	  0,
	  0,
	  1,
	  0,
	  1,
	  0,
	  true },
	{ "nothing at all", { { 0 } }, { { 0 } }, 0, 0, 0, 0, 0, 0, 0, false },
};

static void check_row(const struct row *r, struct fork_sketch *a, struct fork_sketch *b)
{
	struct fork_detail d = { 0 };
	struct fork_comparison c = { .detail = &d };
	struct err e = { 0 };

	cr_assert_eq(fork_tensors_pair(a, b, &d, &e), 0, "%s: %s", r->what, e.text);
	fork_tensors_sum(&c);
	cr_expect(c.same == r->same && c.changed == r->changed && c.added == r->added &&
			  c.removed == r->removed && c.reshaped == r->reshaped,
		  "%s: %lu %lu %lu %lu %lu", r->what, c.same, c.changed, c.added, c.removed,
		  c.reshaped);
	cr_expect(c.identical == r->identical && c.shared_components == r->shared, "%s: %lu, %lu",
		  r->what, c.identical, c.shared_components);
	cr_expect_eq(d.same_all, r->all, "%s", r->what);
	arena_free(&d.arena);
}

Test(forks_identical, tensors_answer_those_of_their_values_then_of_their_names)
{
	struct made a, b;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unlike = 0;
		check_row(&rows[i], sketch_of(&a, rows[i].a), sketch_of(&b, rows[i].b));
	}
}

Test(forks_identical, the_share_is_of_the_values_of_the_body)
{
	static const struct line a[] = { { "l.0.up", 0, 1, 0, 10 }, { 0 } };
	static const struct line b[] = { { "l.0.up", 0, 1, 0, 10 },
					 { "l.1.up", 0, 2, 0, 30 },
					 { "t.0.up", FORK_TOWER, 3, 0, 500 },
					 { 0 } };
	struct made x, y;
	struct fork_detail d = { 0 };
	struct fork_comparison c = { .detail = &d };
	struct fork_same same;
	size_t at = 0;

	cr_assert_eq(fork_tensors_pair(sketch_of(&x, a), sketch_of(&y, b), &d, NULL), 0);
	fork_tensors_sum(&c);
	cr_expect_eq(c.identical_share, 0.25);
	cr_expect(fork_comparison_same(&c, &at, &same));
	cr_expect_str_eq(same.name, "l.0.up");
	cr_expect_str_eq(same.component, "body");
	cr_expect_not(fork_comparison_same(&c, &at, &same));
	cr_expect(d.shared[FORK_BODY].bytes == 1280 && d.shared[FORK_BODY].values == 640);
	d.tensor[0].change = FORK_CHANGED; /* as the values say */
	fork_tensors_sum(&c);
	cr_expect(c.identical == 0 && c.changed == 1 && !d.same_all);
	arena_free(&d.arena);
}
