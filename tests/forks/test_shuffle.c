#include "forks/shuffle.h"
#include "forks/special.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(forks_philox, gives_the_known_answers_of_random123)
{
	static const struct {
		uint32_t key[2], counter[4], out[4];
	} row[] = {
		{ { 0, 0 }, { 0, 0, 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { ~0u, ~0u },
		  { ~0u, ~0u, ~0u, ~0u },
		  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0xa4093822, 0x299f31d0 },
		  { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
		  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};

	for (size_t i = 0; i < 3; i++) {
		uint32_t out[4];

		philox_block(row[i].key, row[i].counter, out);
		cr_expect_arr_eq(out, row[i].out, sizeof out, "row %zu", i);
	}
}

Test(forks_shuffle, is_a_permutation_for_every_count)
{
	for (uint32_t n = 1; n <= SHUFFLE_UNITS_MAX; n += n < 40 ? 1 : 41) {
		uint16_t place[SHUFFLE_UNITS_MAX];
		char seen[SHUFFLE_UNITS_MAX] = { 0 };
		struct philox g = philox_open(7, PHILOX_TEST, 0, n);

		shuffle(&g, place, n);
		for (uint32_t i = 0; i < n; i++) {
			cr_assert(place[i] < n && !seen[place[i]], "n %u", n);
			seen[place[i]] = 1;
		}
	}
}

/* Chi-square of `cells` counts of a uniform choice; p must not be extreme. Fixed seeds: passes
 * always or never. */
static void uniform(const uint64_t *count, size_t cells, uint64_t draws, const char *what)
{
	double expected = (double)draws / (double)cells, x = 0, p;

	for (size_t i = 0; i < cells; i++)
		x += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
	p = exp(fork_special_chi_square_log_tail(x, (double)cells - 1));
	cr_expect(p > 1e-3 && p < 1 - 1e-3, "%s: p %g", what, p);
}

Test(forks_shuffle, all_orders_of_five_are_equally_likely)
{
	uint64_t count[120] = { 0 };

	for (uint32_t draw = 0; draw < 60000; draw++) {
		uint16_t place[5];
		struct philox g = philox_open(11, PHILOX_TEST, 1, draw);
		size_t code = 0;

		shuffle(&g, place, 5);
		for (int i = 0; i < 5; i++) { /* Lehmer code */
			size_t smaller = 0;

			for (int j = i + 1; j < 5; j++)
				smaller += place[j] < place[i];
			code = code * (size_t)(5 - i) + smaller;
		}
		cr_assert(code < 120);
		count[code]++;
	}
	uniform(count, 120, 60000, "orders of 5");
}

Test(forks_shuffle, every_thing_comes_to_every_place_equally_often)
{
	static uint64_t count[16 * 16];

	for (uint32_t draw = 0; draw < 40000; draw++) {
		uint16_t place[16];
		struct philox g = philox_open(12, PHILOX_TEST, 2, draw);

		shuffle(&g, place, 16);
		for (size_t i = 0; i < 16; i++)
			count[i * 16 + place[i]]++;
	}
	for (size_t i = 0; i < 16; i++)
		uniform(count + 16 * i, 16, 40000, "place");
}

Test(forks_shuffle, refuses_exactly_the_words_that_would_favour_a_die)
{
	/* 2^64 = 2^63 * 2: no word is refused for a power of two; for 3 only the one whose product
	 * leaves 0 */
	cr_expect_not(shuffle_refuses(0, 2, 2));
	cr_expect(shuffle_refuses(0, 3, 1));
	cr_expect_not(shuffle_refuses(1, 3, 1));
	cr_expect(shuffle_refuses(15, 7 * 11 * 13, 1) == (15 < (uint64_t)-1001 % 1001));
}

Test(forks_shuffle, a_draw_depends_on_nothing_but_its_name)
{
	uint16_t a[96], b[96];
	struct philox g = philox_open(5, PHILOX_TEST, 3, 1234), h = g,
		      other = philox_open(5, PHILOX_TEST, 4, 1234);

	shuffle(&g, a, 96);
	shuffle(&h, b, 96);
	cr_expect_arr_eq(a, b, sizeof a);
	shuffle(&other, b, 96);
	cr_expect_neq(memcmp(a, b, sizeof a), 0);
}
