/* Tensors whose rows go to several slots in turn. */
#include "model/weights.h"

/* Rows of a period, and of those the ones before the part. */
static uint32_t period_of(const struct model_item *it, uint32_t part, uint32_t *before)
{
	uint32_t sum = 0;
	*before = 0;
	for (uint32_t i = 0; i < it->parts; i++) {
		*before += i < part ? it->part[i].take : 0;
		sum += it->part[i].take;
	}
	return sum;
}

uint32_t model_part_before(const struct model_item *it, uint32_t part, uint32_t row)
{
	uint32_t first, period = period_of(it, part, &first), take = it->part[part].take;
	uint32_t in = row % period;
	return row / period * take + (in < first ? 0 : in - first < take ? in - first : take);
}

uint32_t model_part_rows(const struct model_item *it, uint32_t part)
{
	return model_part_before(it, part, it->rows);
}

/* Turned: of each head of t rows, row j of the first half is stored at 2j, of the second at 2j + 1.
 * Such a tensor has one part. */
uint32_t model_part_stored(const struct model_item *it, uint32_t part, uint32_t i)
{
	uint32_t t = model_item_turn(it);
	if (t > 0)
		return i / t * t + i % (t / 2) * 2 + i % t / (t / 2);
	uint32_t first, period = period_of(it, part, &first), take = it->part[part].take;
	return i / take * period + first + i % take;
}

bool model_item_is_exact(const struct model_item *it)
{
	return (it->dtype == MODEL_Q8_0 && it->format == KERNEL_Q8) ||
	       (it->dtype == MODEL_Q4_0 && it->format == KERNEL_Q4) ||
	       (it->dtype == MODEL_MXFP4 && it->format == KERNEL_MXFP4);
}

bool model_item_widens(const struct model_item *it)
{
	bool apart = it->kind == ITEM_KV_B || it->kind == ITEM_TRANSPOSED;
	for (uint32_t i = 0; it->parts > 1 && i < it->parts; i++)
		apart = apart || it->part[i].take % KERNEL_FP8_BLOCK != 0;
	if (model_dtype_block(it->dtype) > 1)
		return !model_item_is_exact(it);
	return it->dtype == MODEL_F8_E4M3 && apart;
}
