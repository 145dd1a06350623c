/* Tensors whose rows go to several slots in turn: arithmetic against counting one by one. */
#include "model/names.h"
#include "model/weights_loader.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct { const char *row; uint32_t rows, parts, take[MODEL_PARTS]; } splits[] = {
	{ "one", 37, 1, { 37 } },
	{ "flat", 96, 3, { 64, 16, 16 } },
	{ "flat, odd", 59, 3, { 40, 12, 7 } },
	{ "by head", 120, 3, { 8, 8, 8 } },
	{ "by key head", 3 * 52, 4, { 10, 10, 16, 16 } },
	{ "by row", 56, 2, { 1, 1 } },
	{ "small shares", 5 * 4, 2, { 2, 2 } },
};

static struct model_item item_of(size_t i)
{
	struct model_item it = { .kind = ITEM_MATRIX, .dtype = MODEL_F32, .rows = splits[i].rows, .columns = 3,
		.parts = splits[i].parts };
	for (uint32_t j = 0; j < it.parts; j++)
		it.part[j].take = splits[i].take[j];
	return it;
}

Test(model_split, every_row_goes_where_counting_says)
{
	for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
		struct model_item it = item_of(i);
		uint32_t seen[MODEL_PARTS] = { 0 }, part = 0, left = it.part[0].take;
		for (uint32_t row = 0; row < it.rows; row++) {
			for (uint32_t j = 0; j < it.parts; j++)
				cr_assert_eq(model_part_before(&it, j, row), seen[j], "%s: row %u, part %u", splits[i].row,
				             row, j);
			cr_assert_eq(model_part_stored(&it, part, seen[part]), row, "%s: row %u", splits[i].row, row);
			seen[part]++;
			if (--left == 0) {
				part = (part + 1) % it.parts;
				left = it.part[part].take;
			}
		}
		for (uint32_t j = 0; j < it.parts; j++)
			cr_assert_eq(model_part_rows(&it, j), seen[j], "%s: part %u", splits[i].row, j);
	}
}

Test(model_split, a_unit_is_whole_panels_of_every_part)
{
	for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
		struct model_item it = item_of(i);
		struct model_tensor t = { .bytes = (uint64_t)it.rows * it.columns * 4 };
		struct model_config *c = calloc(1, sizeof *c);
		struct loader l = { .c = c };
		it.tensor = &t;
		cr_assert_eq(model_plan_push(&l, &it), 0);
		uint32_t unit = (uint32_t)(it.unit_bytes / it.columns / 4);
		for (uint32_t row = unit; row < it.rows; row += unit) {
			for (uint32_t j = 0; j < it.parts; j++)
				cr_assert_eq(model_part_before(&it, j, row) % KERNEL_PANEL, 0, "%s: row %u",
				             splits[i].row, row);
		}
		free(l.plan.item);
		free(c);
	}
}

/* What is packed comes expert by expert; vectors and scales come whole. */
Test(model_split, groups_of_a_stack)
{
	static const struct { enum item_kind kind; bool by_expert; } rows[] = {
		{ ITEM_MATRIX, true }, { ITEM_TRANSPOSED, true }, { ITEM_FLOATS, false }, { ITEM_FP8_SCALES, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct model_item it = item_of(0);
		struct model_tensor t = { .bytes = (uint64_t)it.rows * it.columns * 4 * 5 };
		struct model_config *c = calloc(1, sizeof *c);
		struct loader l = { .c = c };
		it.tensor = &t;
		it.kind = rows[i].kind;
		it.stack = 5;
		cr_assert_eq(model_plan_push(&l, &it), 0);
		cr_assert_eq(it.group_bytes, rows[i].by_expert ? t.bytes / 5 : t.bytes, "row %zu", i);
		cr_assert(rows[i].by_expert || it.unit_bytes == t.bytes, "row %zu", i);
		free(l.plan.item);
		free(c);
	}
}

/* Whatever is taken by another tensor, a slot can be named: by a row of its own, for every role that
 * asks for it. */
static const struct { enum model_role role; enum model_slot from, to; } asked[] = {
	{ ROLE_WHOLE, SLOT_EMBED, SLOT_INPUTS_NORM },        { ROLE_LAYER, SLOT_ATTN_NORM, SLOT_INPUT_NORM },
	{ ROLE_ATTENTION, SLOT_Q_A, SLOT_INDEX_NORM_BIAS },  { ROLE_LATENT, SLOT_Q, SLOT_Q },
	{ ROLE_LATENT, SLOT_Q_NORM, SLOT_Q_NORM },           { ROLE_LATENT, SLOT_Q_BIAS, SLOT_Q_BIAS },
	{ ROLE_DELTA, SLOT_Q, SLOT_Q },                      { ROLE_DELTA, SLOT_K, SLOT_O },
	{ ROLE_DELTA, SLOT_DELTA_GATE_A, SLOT_DELTA_NORM },  { ROLE_LAYER, SLOT_ROUTER, SLOT_DENSE_AFTER },
	{ ROLE_DENSE, SLOT_GATE, SLOT_ACT },                 { ROLE_SHARED, SLOT_GATE, SLOT_DOWN_BIAS },
	{ ROLE_EXPERT, SLOT_GATE, SLOT_DOWN_BIAS },
};

static bool is_named(enum model_role role, unsigned slot)
{
	for (const struct model_name *n = model_names_default; n->name; n++) {
		if (n->role == role && n->slot[0] == (enum model_slot)slot && n->slot[1] == 0)
			return true;
	}
	return false;
}

Test(model_split, every_slot_has_a_name_of_its_own)
{
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		for (unsigned s = asked[i].from; s <= (unsigned)asked[i].to; s++)
			cr_assert(is_named(asked[i].role, s), "role %d, slot %u", asked[i].role, s);
	}
}
