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

uint32_t model_part_stored(const struct model_item *it, uint32_t part, uint32_t i)
{
	uint32_t first, period = period_of(it, part, &first), take = it->part[part].take;
	return i / take * period + first + i % take;
}

bool model_item_widens(const struct model_item *it)
{
	bool apart = it->kind == ITEM_KV_B || it->kind == ITEM_TRANSPOSED;
	for (uint32_t i = 0; it->parts > 1 && i < it->parts; i++)
		apart = apart || it->part[i].take % KERNEL_FP8_BLOCK != 0;
	return it->dtype == MODEL_F8_E4M3 && apart;
}
