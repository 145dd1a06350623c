#include "engine/pass.h"
#include "base/philox.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Known answers of the Random123 distribution (kat_vectors, philox4x32 with 10 rounds). */
static const struct { uint32_t counter[4], key[2], out[4]; } known[] = {
	{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
	{ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, { 0xffffffff, 0xffffffff },
	  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
	{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
	  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
};

Test(engine_sample, philox_gives_the_known_answers)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		uint32_t out[4];
		philox_block(known[i].key, known[i].counter, out);
		cr_assert_eq(memcmp(out, known[i].out, sizeof out), 0, "vector %zu: %08x", i, out[0]);
	}
}

#define VOCAB 8
static const float logits[VOCAB] = { 1, 3, 2, 3, -1, 0, 9, 2 }; /* 6 is padding where tokens_real is 6 */
static unsigned char scratch[VOCAB * 8];

/* How often each id is drawn over many positions. */
static void histogram(const struct engine_sampling *s, uint32_t real, uint32_t count[VOCAB], uint32_t draws)
{
	memset(count, 0, VOCAB * sizeof *count);
	for (uint32_t i = 0; i < draws; i++)
		count[engine_sample(NULL, logits, VOCAB, real, s, i, scratch)]++;
}

static const struct { const char *row; struct engine_sampling s; unsigned kept; } filters[] = {
	{ "plain", { .temperature = 1, .top_p = 1, .seed = 1 }, 0x3f },
	{ "top_k 1 takes the lower of equals", { .temperature = 1, .top_p = 1, .top_k = 1 }, 1u << 1 },
	{ "top_k 3", { .temperature = 1, .top_p = 1, .top_k = 3 }, 1u << 1 | 1u << 3 | 1u << 2 },
	{ "top_p below the first", { .temperature = 1, .top_p = 0.01f }, 1u << 1 },
	{ "top_p crosses in the second", { .temperature = 1, .top_p = 0.5f }, 1u << 1 | 1u << 3 },
	{ "min_p at a third of the best", { .temperature = 1, .top_p = 1, .min_p = 0.33f }, 1u << 1 |
	  1u << 3 | 1u << 2 },
	{ "min_p above all keeps one", { .temperature = 1, .top_p = 1, .min_p = 2 }, 1u << 1 },
	{ "cold", { .temperature = 0.01f, .top_p = 1 }, 1u << 1 | 1u << 3 },
	{ "top_k then top_p of the rest", { .temperature = 1, .top_p = 0.5f, .top_k = 2 }, 1u << 1 },
};

Test(engine_sample, filters_keep_what_they_should_and_padding_never_comes)
{
	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
		uint32_t count[VOCAB];
		unsigned seen = 0;
		histogram(&filters[i].s, 6, count, 3000);
		for (uint32_t id = 0; id < VOCAB; id++)
			seen |= (count[id] > 0 ? 1u : 0u) << id;
		cr_assert_eq(seen, filters[i].kept, "%s: ids %x, expected %x", filters[i].row, seen,
		             filters[i].kept);
	}
}

Test(engine_sample, frequencies_follow_the_softmax)
{
	const struct engine_sampling s = { .temperature = 1.5f, .top_p = 1, .seed = 99 };
	enum { DRAWS = 20000 };
	uint32_t count[VOCAB];
	double sum = 0, chi2 = 0;
	histogram(&s, 6, count, DRAWS);
	for (int i = 0; i < 6; i++)
		sum += exp((double)logits[i] / 1.5);
	for (int i = 0; i < 6; i++) {
		double want = DRAWS * exp((double)logits[i] / 1.5) / sum;
		chi2 += (count[i] - want) * (count[i] - want) / want;
	}
	cr_assert_lt(chi2, 20.5, "chi-square %g with 5 degrees of freedom (p 0.001)", chi2);
}

Test(engine_sample, draw_depends_on_seed_position_and_choice_only)
{
	struct engine_sampling s = { .temperature = 1, .top_p = 0.99f, .seed = 5 }, t = s;
	unsigned differs_seed = 0, differs_choice = 0;
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t id = engine_sample(NULL, logits, VOCAB, 6, &s, i, scratch);
		memset(scratch, 0xff, sizeof scratch);
		cr_assert_eq(engine_sample(NULL, logits, VOCAB, 6, &s, i, scratch), id);
		t.seed = s.seed + (1ull << 40), t.choice = 0;
		differs_seed += engine_sample(NULL, logits, VOCAB, 6, &t, i, scratch) != id;
		t.seed = s.seed, t.choice = 1;
		differs_choice += engine_sample(NULL, logits, VOCAB, 6, &t, i, scratch) != id;
	}
	cr_assert_gt(differs_seed, 50);
	cr_assert_gt(differs_choice, 50);
}

Test(engine_sample, temperature_zero_is_the_lowest_of_the_largest)
{
	const struct engine_sampling s = { .top_p = 1, .seed = 5 };
	cr_assert_eq(engine_sample(NULL, logits, VOCAB, 6, &s, 0, NULL), 1);
	cr_assert_eq(engine_sample(NULL, logits, VOCAB, VOCAB, &s, 0, NULL), 6);
}

Test(engine_sample, broken_logits_still_give_a_real_id)
{
	float bad[VOCAB];
	struct engine_sampling s = { .temperature = 1, .top_p = 0.9f, .min_p = 0.1f, .top_k = 4 };
	for (int i = 0; i < VOCAB; i++)
		bad[i] = NAN;
	cr_assert_lt(engine_sample(NULL, bad, VOCAB, 6, &s, 0, scratch), 6);
	for (int i = 0; i < VOCAB; i++)
		bad[i] = i == 2 ? INFINITY : -INFINITY;
	cr_assert_lt(engine_sample(NULL, bad, VOCAB, 6, &s, 0, scratch), 6);
}
