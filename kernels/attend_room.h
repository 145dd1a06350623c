/* What a block of attend needs of shared memory at least: on compute capabilities 8.0 and 12.0
 * some kinds of attention have no room. */
#ifndef KERNELS_ATTEND_ROOM_H
#define KERNELS_ATTEND_ROOM_H

#include "kernels/operation.h"

/* Columns of a product that an item has at least: what is built for its kind. */
static inline DEVICE_ALSO uint32_t device_attend_columns(const struct attend_args *a)
{
	return a->cache == KERNEL_CACHE_F32 || (!a->latent && a->value > 256) ? 16 : 8;
}

/* Bytes of shared memory that a block needs at least: columns and what is known of them, and one
 * stage of the cache. A device that gives fewer (its facts' shared_bytes) does not run this. */
static inline DEVICE_ALSO uint32_t device_attend_room(const struct attend_args *a)
{
	uint32_t key = device_cache_width(a->wide) + device_cache_width(a->tail),
		 value = device_cache_width(a->value), row = 2 * (key > value ? key : value) + 16,
		 columns = device_attend_columns(a), scores = a->latent ? 64 : KERNEL_SPLIT,
		 step = a->latent ? 64 : 16, planes = a->cache == KERNEL_CACHE_F32 ? 2 : 1,
		 column = 2 * (2 * key + 16) + 4 * scores + 16;
	return (2048 + columns * column + 127) / 128 * 128 + planes * step * row;
}

#endif
