/* Numbered sets of pairs, by a hash of their content. */
#include "grammar/network_sets.h"

#include <stdlib.h>
#include <string.h>

/* Sort and remove duplicates. Shell's sort, since qsort may allocate. */
uint32_t network_pairs_sort(struct network_pair *p, uint32_t count)
{
	static const uint32_t gaps[] = { 1750, 701, 301, 132, 57, 23, 10, 4, 1 };
	uint32_t kept = 0;
	for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
		for (uint32_t i = gaps[g]; i < count; i++) {
			struct network_pair moving = p[i];
			uint32_t k = i;
			for (; k >= gaps[g] && network_pair_order(&p[k - gaps[g]], &moving) > 0;
			     k -= gaps[g])
				p[k] = p[k - gaps[g]];
			p[k] = moving;
		}
	}
	for (uint32_t i = 1; i < count; i++) {
		if (network_pair_order(&p[kept], &p[i]) != 0)
			p[++kept] = p[i];
	}
	return count > 0 ? kept + 1 : 0;
}

static bool sets_slots(struct network_sets *s)
{
	uint32_t slots = s->slots > 0 ? s->slots * 2 : 256;
	uint32_t *slot = calloc(slots, sizeof *slot);
	if (slot == NULL)
		return false;
	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t h = s->set[i].hash;
		while (slot[h & (slots - 1)] != 0)
			h++;
		slot[h & (slots - 1)] = i + 1;
	}
	free(s->slot);
	s->slot = slot;
	s->slots = slots;
	return true;
}

static bool sets_room(struct network_sets *s, uint32_t pairs)
{
	if ((s->count + 1) * 2 > s->slots && !sets_slots(s))
		return false;
	if (s->count == s->room) {
		uint32_t room = s->room > 0 ? s->room * 2 : 64;
		struct network_set *set = realloc(s->set, room * sizeof *set);
		if (set == NULL)
			return false;
		s->set = set;
		s->room = room;
	}
	if (s->pair_room - s->pairs < pairs) {
		uint32_t room = s->pair_room * 2 + pairs + 64;
		struct network_pair *pair = realloc(s->pair, room * sizeof *pair);
		if (pair == NULL)
			return false;
		s->pair = pair;
		s->pair_room = room;
	}
	return true;
}

/* The number of this sorted set, added if it is new; UINT32_MAX: out of memory. */
uint32_t network_sets_number(struct network_sets *s, const struct network_pair *p, uint32_t count,
			     uint32_t depth)
{
	uint32_t hash = count;
	for (uint32_t i = 0; i < count; i++)
		hash = (hash ^ network_pair_hash(p[i])) * 0x85EBCA6Bu;
	hash ^= hash >> 15;
	for (uint32_t h = hash; s->slots > 0 && s->slot[h & (s->slots - 1)] != 0; h++) {
		uint32_t i = s->slot[h & (s->slots - 1)] - 1;
		const struct network_set *set = &s->set[i];
		if (set->hash == hash && set->count == count &&
		    (count == 0 || memcmp(s->pair + set->first, p, count * sizeof *p) == 0))
			return i;
	}
	if (!sets_room(s, count))
		return UINT32_MAX;
	s->set[s->count] = (struct network_set){ s->pairs, count, hash, depth };
	if (count > 0)
		memcpy(s->pair + s->pairs, p, count * sizeof *p);
	s->pairs += count;
	uint32_t h = hash;
	while (s->slot[h & (s->slots - 1)] != 0)
		h++;
	s->slot[h & (s->slots - 1)] = s->count + 1;
	return s->count++;
}

void network_sets_clear(struct network_sets *s)
{
	s->count = s->pairs = 0;
	if (s->slots > 0)
		memset(s->slot, 0, s->slots * sizeof *s->slot);
}

void network_sets_free(struct network_sets *s)
{
	free(s->set);
	free(s->pair);
	free(s->slot);
}

size_t network_sets_bytes(const struct network_sets *s)
{
	return s->pairs * sizeof *s->pair + s->count * (sizeof *s->set + 2 * sizeof *s->slot);
}
