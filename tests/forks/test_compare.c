#include "forks/features.h"
#include "forks/old.h"
#include "toy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* A calibration as if it had passed: these tests are about the comparison. */
static const struct fork_old_calibration passed = {
	.pairs = 480, .ks_p = 0.5, .below_05 = 0.05, .passed = true
};

static struct fork_old compare(struct toy *a, struct toy *b,
			       const struct fork_old_calibration *calibration)
{
	struct fork_old out;
	struct err e = { 0 };

	toy_open(a);
	toy_open(b);
	cr_assert_eq(fork_old_compare(&a->model, &b->model, 1e-3, 42, calibration, &out, &e), 0,
		     "%s", e.text);
	return out;
}

static void done(struct fork_old *c, struct toy *a, struct toy *b)
{
	fork_old_free(c);
	toy_free(a);
	toy_free(b);
}

static const struct fork_old_tensor *tensor(const struct fork_old *c, const char *name)
{
	for (size_t i = 0; i < c->tensors; i++)
		if (strcmp(c->tensor[i].name, name) == 0)
			return &c->tensor[i];
	cr_assert_fail("%s is not listed", name);
	return NULL;
}

Test(forks_compare, equal_bytes_are_identical)
{
	struct toy *a = toy_new(1, 1, 0, 32, 20), *b = toy_copy(a);
	struct fork_old c = compare(a, b, NULL);

	cr_expect_eq(c.verdict, FORK_IDENTICAL);
	cr_expect_eq(c.same, 5);
	cr_expect_eq(c.relative_l2, 0);
	cr_expect_eq(c.p_value, 0);
	done(&c, a, b);
}

Test(forks_compare, a_noisy_copy_is_dependent)
{
	struct toy *a = toy_new(1, 4, 2, 48, 32), *b = toy_copy(a);
	struct fork_old c;

	toy_noise(b, 0.5, 9);
	c = compare(a, b, &passed);
	cr_expect_eq(c.verdict, FORK_DEPENDENT);
	cr_expect_eq(c.blocks, 8);
	cr_expect(c.p_value < 1e-15, "%g", c.p_value);
	cr_expect(fabs(c.effect - 1 / sqrt(1.25)) < 0.01, "cosine of v and v + v/2: %g", c.effect);
	cr_expect(fabs(c.relative_l2 - 0.5) < 0.02, "%g", c.relative_l2);
	cr_expect_eq(c.draws, 8 * 10000);
	cr_expect(c.p_value == 2 * c.s1_p && !c.s2.run, "the ladder ends here");
	done(&c, a, b);
}

Test(forks_compare, independent_models_give_no_evidence)
{
	struct toy *a = toy_new(1, 4, 2, 48, 32), *b = toy_new(2, 4, 2, 48, 32);
	struct fork_old c = compare(a, b, &passed);

	cr_expect_eq(c.verdict, FORK_NO_EVIDENCE);
	cr_expect(c.p_value > 1e-3 && fabs(c.stouffer) < 3.5 && fabs(c.effect) < 0.05);
	done(&c, a, b);
}

Test(forks_compare, permuting_units_hides_a_copy_from_s1)
{
	struct toy *a = toy_new(1, 4, 2, 48, 32), *b = toy_copy(a);
	struct fork_old c;

	toy_reverse_units(b);
	c = compare(a, b, &passed);
	cr_expect_eq(c.verdict, FORK_NO_EVIDENCE);
	cr_expect(fabs(c.stouffer) < 4, "%g", c.stouffer);
	done(&c, a, b);
}

Test(forks_compare, a_rotated_copy_is_found_by_s2)
{
	struct toy *a = toy_new(1, 1, 25, 32, 24), *b;
	struct fork_old c;

	toy_plain_norms(a);
	b = toy_copy(a);
	toy_turn(b, 5);
	toy_noise(b, 0.2, 9);
	c = compare(a, b, &passed);
	cr_expect(c.s1_p > 1e-3 && fabs(c.stouffer) < 5, "S1 sees nothing: %g", c.stouffer);
	cr_expect(c.s2.run && c.s2.calibration.passed, "%g", c.s2.calibration.ks_p);
	cr_expect_eq(c.verdict, FORK_DEPENDENT, "S2: p %g, effect %g", c.s2.p, c.s2.effect);
	cr_expect(c.s2.effect > 0.8 && c.s2.stouffer > 50, "%g, %g", c.s2.effect, c.s2.stouffer);
	done(&c, a, b);
}

Test(forks_compare, permuting_units_of_both_sides_changes_only_rounding)
{
	struct toy *a = toy_new(1, 1, 2, 48, 32), *b = toy_new(2, 1, 2, 48, 32), *x = toy_copy(a),
		   *y = toy_copy(b);
	struct fork_old c, d;

	toy_reverse_units(x);
	toy_reverse_units(y);
	c = compare(a, b, &passed);
	d = compare(x, y, &passed);
	for (size_t i = 0; i < c.blocks; i++)
		cr_expect(fabs(c.block[i].z - d.block[i].z) < 1e-4, "%g %g", c.block[i].z,
			  d.block[i].z);
	done(&c, a, b);
	done(&d, x, y);
}

Test(forks_compare, gain_of_the_norm_is_folded_in)
{
	struct toy *a = toy_new(1, 1, 2, 48, 32), *b = toy_copy(a);
	struct toy_tensor *norm = toy_find(b, "model.layers.0.post_attention_layernorm.weight");
	struct fork_old c;

	for (uint64_t k = 0; k < 48; k++) {
		float factor = k % 2 ? 8 : 0.125f;

		norm->v[k] *= factor;
		for (size_t i = 0; i < b->count; i++)
			if (strstr(b->tensor[i].name, "gate_proj") ||
			    strstr(b->tensor[i].name, "up_proj"))
				for (uint64_t r = 0; r < 32; r++)
					b->tensor[i].v[r * 48 + k] /= factor;
	}
	c = compare(a, b, &passed);
	cr_expect(fabs(c.effect - 1) < 1e-5, "the same function: %g", c.effect);
	done(&c, a, b);
}

Test(forks_compare, one_copied_expert_among_many_is_found)
{
	struct toy *a = toy_new(1, 1, 48, 24, 16), *b = toy_new(2, 1, 48, 24, 16);
	struct fork_old c;

	for (size_t i = 0; i < a->count; i++)
		if (strstr(a->tensor[i].name, "experts.31."))
			memcpy(b->tensor[i].v, a->tensor[i].v, 24 * 16 * sizeof(float));
	memcpy(toy_find(b, "model.layers.0.post_attention_layernorm.weight")->v,
	       toy_find(a, "model.layers.0.post_attention_layernorm.weight")->v,
	       24 * sizeof(float));
	c = compare(a, b, &passed);
	cr_expect_eq(c.verdict, FORK_DEPENDENT, "Fisher %g, smallest %g", c.fisher, c.smallest);
	cr_expect(c.fisher > 1e-3, "Fisher dilutes it: %g", c.fisher);
	for (size_t i = 0; i < c.blocks; i++)
		cr_expect_eq(c.block[i].draws, c.block[i].expert == 31 ? 192000 : 10000,
			     "expert %u", c.block[i].expert);
	done(&c, a, b);
}

Test(forks_compare, sketched_models_are_told_apart_as_well)
{
	struct toy *a = toy_new(1, 2, 2, FEATURE_EXACT_MAX + 88, 24), *b = toy_copy(a);
	struct toy *x = toy_new(3, 2, 2, FEATURE_EXACT_MAX + 88, 24),
		   *y = toy_new(4, 2, 2, FEATURE_EXACT_MAX + 88, 24);
	struct fork_old c, d;

	toy_noise(b, 0.3, 9);
	c = compare(a, b, &passed);
	cr_expect_eq(c.verdict, FORK_DEPENDENT);
	cr_expect(fabs(c.effect - 1 / sqrt(1.09)) < 0.03, "%g", c.effect);
	d = compare(x, y, &passed);
	cr_expect_eq(d.verdict, FORK_NO_EVIDENCE);
	done(&c, a, b);
	done(&d, x, y);
}

Test(forks_compare, calibration_passes_on_independent_experts_also_sketched)
{
	static const uint32_t hidden[] = { 32, FEATURE_EXACT_MAX + 8 };

	for (size_t i = 0; i < 2; i++) {
		struct toy *t = toy_new(30 + i, 4, 16, hidden[i], 16);
		struct fork_old_calibration c;

		toy_open(t);
		cr_assert_eq(fork_old_calibrate(&t->model, 1, &c, NULL), 0);
		cr_expect_eq(c.pairs, 480);
		cr_expect(c.passed, "hidden %u: ks %g, %g, %g", hidden[i], c.ks_p, c.below_05,
			  c.below_005);
		toy_free(t);
	}
}

Test(forks_compare, calibration_of_a_dense_model_uses_its_layers)
{
	struct toy *t = toy_new(7, 26, 0, 24, 16), *few = toy_new(8, 5, 0, 24, 16);
	struct fork_old_calibration c;

	toy_open(t);
	toy_open(few);
	cr_assert_eq(fork_old_calibrate(&t->model, 1, &c, NULL), 0);
	cr_expect(c.pairs == 325 && c.passed);
	cr_assert_eq(fork_old_calibrate(&few->model, 1, &c, NULL), 0);
	cr_expect(c.pairs == 10 && !c.passed, "ten pairs prove nothing");
	toy_free(t);
	toy_free(few);
}

Test(forks_compare, without_a_passed_calibration_there_is_no_p_value)
{
	struct toy *a = toy_new(1, 2, 16, 24, 16), *b;
	struct fork_old c;
	json_t *report;

	/* all experts of a layer are copies of one dense MLP: dependent from the start */
	for (size_t i = 0; i < a->count; i++)
		if (strstr(a->tensor[i].name, "experts.") &&
		    !strstr(a->tensor[i].name, "experts.0."))
			memcpy(a->tensor[i].v, a->tensor[i - 3].v, 24 * 16 * sizeof(float));
	b = toy_copy(a);
	toy_noise(b, 0.1, 2);
	c = compare(a, b, NULL);
	cr_expect_eq(c.verdict, FORK_INCONCLUSIVE);
	cr_expect(!c.calibration.passed && c.p_value == 1 && c.effect > 0.9);
	cr_assert_eq(fork_old_json(&c, true, &report, NULL), 0);
	cr_expect(json_is_null(json_object_get(report, "p_value")));
	cr_expect(json_is_real(json_object_get(report, "effect")));
	json_decref(report);
	done(&c, a, b);
}

Test(forks_compare, tensors_are_listed_by_what_happened_to_them)
{
	struct toy *a = toy_new(1, 2, 0, 32, 20), *b = toy_copy(a);
	struct toy_tensor *gone = toy_find(b, "model.layers.0.post_attention_layernorm.weight");
	struct fork_old c;

	snprintf(gone->name, sizeof gone->name, "model.added.weight");
	toy_find(b, "model.embed_tokens.weight")->rows = 29;
	for (int i = 0; i < 32 * 20; i++)
		toy_find(b, "model.layers.1.mlp.up_proj.weight")->v[i] *= -2;
	c = compare(a, b, &passed);
	cr_expect_eq(tensor(&c, "model.added.weight")->change, FORK_ADDED);
	cr_expect_eq(tensor(&c, "model.layers.0.post_attention_layernorm.weight")->change,
		     FORK_REMOVED);
	cr_expect_eq(tensor(&c, "model.embed_tokens.weight")->change, FORK_RESHAPED);
	cr_expect_eq(tensor(&c, "model.layers.1.mlp.down_proj.weight")->change, FORK_SAME);
	cr_expect_eq(tensor(&c, "model.layers.1.mlp.up_proj.weight")->change, FORK_CHANGED);
	cr_expect(fabs(tensor(&c, "model.layers.1.mlp.up_proj.weight")->relative_l2 - 3) < 1e-6);
	cr_expect(fabs(tensor(&c, "model.layers.1.mlp.up_proj.weight")->cosine + 1) < 1e-6);
	cr_expect(c.same == 6 && c.changed == 1 && c.added == 1 && c.removed == 1 &&
		  c.reshaped == 1);
	done(&c, a, b);
}

Test(forks_compare, other_storage_of_the_same_values_is_changed_by_nothing)
{
	struct toy *a = toy_new(1, 1, 0, 32, 20), *b;
	struct fork_old c;

	for (size_t i = 0; i < a->count; i++)
		for (uint64_t j = 0;
		     j < a->tensor[i].rows * (a->tensor[i].columns ? a->tensor[i].columns : 1); j++)
			a->tensor[i].v[j] =
				(float)lrintf(a->tensor[i].v[j] * 1000) / 128; /* exact in BF16 */
	b = toy_copy(a);
	b->bf16 = true;
	c = compare(a, b, &passed);
	cr_expect_eq(c.changed, 5);
	cr_expect_eq(c.relative_l2, 0);
	cr_expect_neq(c.verdict, FORK_IDENTICAL);
	done(&c, a, b);
}

Test(forks_compare, blocks_of_another_shape_are_skipped_and_counted)
{
	struct toy *a = toy_new(1, 3, 0, 32, 20), *b = toy_new(1, 2, 0, 32, 24),
		   *tiny = toy_new(1, 1, 0, 32, 15);
	struct toy *tiny2 = toy_new(2, 1, 0, 32, 15);
	struct fork_old c = compare(a, b, &passed), d = compare(tiny, tiny2, &passed);

	cr_expect(c.blocks == 0 && c.skipped_blocks == 3 && c.verdict == FORK_INCONCLUSIVE);
	cr_expect(d.blocks == 0 && d.skipped_blocks == 1 && d.verdict == FORK_INCONCLUSIVE);
	done(&c, a, b);
	done(&d, tiny, tiny2);
}

Test(forks_compare, non_finite_weights_are_refused_by_name)
{
	struct toy *a = toy_new(1, 1, 0, 32, 20), *b = toy_copy(a);
	struct fork_old c;
	struct err e = { 0 };

	toy_find(b, "model.layers.0.mlp.up_proj.weight")->v[77] = NAN;
	toy_open(a);
	toy_open(b);
	cr_expect_eq(fork_old_compare(&a->model, &b->model, 1e-3, 1, &passed, &c, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "model.layers.0.mlp.up_proj.weight"), "%s", e.text);
	cr_expect_eq(fork_old_compare(&a->model, &b->model, 0, 1, &passed, &c, &e), ERR_INPUT,
		     "alpha");
	done(&c, a, b);
}

Test(forks_compare, zero_units_and_huge_weights_are_scored)
{
	struct toy *a = toy_new(1, 1, 0, 32, 20), *b = toy_copy(a);
	struct fork_old c;

	memset(toy_find(b, "model.layers.0.mlp.gate_proj.weight")->v, 0, 5 * 32 * sizeof(float));
	for (int i = 0; i < 32; i++)
		toy_find(b, "model.layers.0.mlp.up_proj.weight")->v[i] *= 1e38f;
	c = compare(a, b, &passed);
	cr_expect_eq(c.blocks, 1);
	cr_expect(isfinite(c.block[0].z) && c.block[0].z > 5, "%g", c.block[0].z);
	done(&c, a, b);
}

static const struct {
	const char *stem;
	const char *suffix[3];
	bool shared;
	uint32_t layer, expert;
} named_block[] = {
	{ "model.layers.3.mlp", { "gate_proj", "up_proj", "down_proj" }, false, 3, UINT32_MAX },
	{ "model.layers.10.mlp.experts.255",
	  { "gate_proj", "up_proj", "down_proj" },
	  false,
	  10,
	  255 },
	{ "model.layers.1.mlp.shared_experts",
	  { "gate_proj", "up_proj", "down_proj" },
	  true,
	  1,
	  UINT32_MAX },
	{ "model.layers.1.mlp.shared_expert",
	  { "gate_proj", "up_proj", "down_proj" },
	  true,
	  1,
	  UINT32_MAX },
	{ "model.layers.0.block_sparse_moe.experts.7", { "w1", "w3", "w2" }, false, 0, 7 },
	{ "language_model.model.layers.2.mlp",
	  { "gate_proj", "up_proj", "down_proj" },
	  false,
	  2,
	  UINT32_MAX },
};
static const char *const no_block[] = { "model.mylayers.1.mlp",
					"model.layers.x.mlp",
					"model.layers.1.mlp.experts",
					"model.layers.1.mlp.experts.1x",
					"model.layers.1.attention",
					"model.layers.99999999999.mlp",
					"mlp" };

Test(forks_compare, block_names_of_the_architectures_are_known)
{
	struct sites s;

	for (size_t i = 0; i < sizeof named_block / sizeof *named_block; i++) {
		struct toy *t = toy_new(1, 0, 0, 32, 16);
		char name[100];

		for (int k = 0; k < 3; k++) {
			snprintf(name, sizeof name, "%s.%s.weight", named_block[i].stem,
				 named_block[i].suffix[k]);
			toy_add(t, name, k == 2 ? 32 : 16, k == 2 ? 16 : 32);
		}
		toy_open(t);
		cr_assert_eq(fork_sites_find(t->model.tensors, &s, NULL), 0);
		cr_assert_eq(s.count, 1, "%s", named_block[i].stem);
		cr_expect(fork_site_usable(s.at) && s.at->layer == named_block[i].layer &&
				  s.at->expert == named_block[i].expert &&
				  s.at->shared == named_block[i].shared &&
				  strcmp(s.at->stem, named_block[i].stem) == 0,
			  "%s", named_block[i].stem);
		fork_sites_free(&s);
		toy_free(t);
	}
	for (size_t i = 0; i < sizeof no_block / sizeof *no_block; i++) {
		struct toy *t = toy_new(1, 0, 0, 32, 16);
		char name[100];

		snprintf(name, sizeof name, "%s.gate_proj.weight", no_block[i]);
		toy_add(t, name, 16, 32);
		toy_open(t);
		cr_assert_eq(fork_sites_find(t->model.tensors, &s, NULL), 0);
		cr_expect_eq(s.count, 0, "%s", no_block[i]);
		fork_sites_free(&s);
		toy_free(t);
	}
}
