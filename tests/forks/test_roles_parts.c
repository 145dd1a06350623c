/* Which parts a model has, what nobody has a name for, and what contradicts itself. */
#include "spelled.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define H 24
#define INNER 20

/* A tensor of numbers that are all different. */
static void add(struct spelled *s, uint64_t rows, uint64_t columns, const char *name)
{
	const uint64_t shape[] = { rows, columns, 0 };
	float *x = spelled_add(s, name, shape);
	static float next;

	for (uint64_t i = 0; i < rows * (columns ? columns : 1); i++)
		x[i] = next += 1;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void addf(struct spelled *s, uint64_t rows, uint64_t columns, const char *fmt, unsigned n)
{
	char name[200];

	snprintf(name, sizeof name, fmt, n);
	add(s, rows, columns, name);
}
#pragma GCC diagnostic pop

static void add_mlp(struct spelled *s, const char *stem, unsigned layer, uint64_t hidden, uint64_t units)
{
	char name[200];

	snprintf(name, sizeof name, "%s.%u.mlp.gate_proj.weight", stem, layer);
	add(s, units, hidden, name);
	snprintf(name, sizeof name, "%s.%u.mlp.up_proj.weight", stem, layer);
	add(s, units, hidden, name);
	snprintf(name, sizeof name, "%s.%u.mlp.down_proj.weight", stem, layer);
	add(s, hidden, units, name);
}

static void add_body(struct spelled *s)
{
	add(s, 70, H, "model.embed_tokens.weight");
	add(s, 70, H, "lm_head.weight");
	add(s, H, 0, "model.norm.weight");
	for (unsigned l = 0; l < 4; l++)
		add_mlp(s, "model.layers", l, H, INNER);
}

static enum fork_component component_of(struct spelled *s, const char *name)
{
	for (size_t i = 0; i < model_values_count(s->values); i++)
		if (strcmp(model_values_at(s->values, i)->name, name) == 0)
			return s->roles.component[i];
	cr_assert_fail("%s", name);
	return FORK_COMPONENTS;
}

static size_t blocks_of(const struct roles *r, enum fork_component c)
{
	size_t n = 0;

	for (size_t i = 0; i < r->blocks; i++)
		n += r->block[i].component == c;
	return n;
}

/* ---- parts ---- */

static const struct part {
	const char *stem; /* of layers beside the body */
	unsigned layers, first;
	const char *beside; /* a tensor of such a layer */
	enum fork_component component;
} parts[] = {
	{ "vision_tower.encoder.layers", 3, 0, NULL, FORK_TOWER },
	{ "model.visual.blocks", 3, 0, NULL, FORK_TOWER },
	{ "audio_tower.layers", 3, 0, NULL, FORK_TOWER },
	{ "model.vision_model.encoder.layer", 3, 0, NULL, FORK_TOWER },
	{ "multi_modal_projector.layers", 1, 0, NULL, FORK_TOWER },
	{ "mtp.layers", 1, 0, NULL, FORK_DRAFT },
	{ "model.mtp_layers", 1, 0, NULL, FORK_DRAFT },
	{ "eagle.layers", 1, 0, NULL, FORK_DRAFT },
	{ "model.layers", 1, 4, "model.layers.%u.eh_proj.weight", FORK_DRAFT },
	{ "model.layers", 1, 4, "model.layers.%u.enorm.weight", FORK_DRAFT },
	{ "model.layers", 1, 4, NULL, FORK_BODY },
};

Test(fork_roles_parts, what_lies_beside_the_body_is_told_apart)
{
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const struct part *p = &parts[i];
		char name[200];
		struct spelled s;

		spelled_init(&s);
		add_body(&s);
		for (unsigned l = 0; l < p->layers; l++)
			add_mlp(&s, p->stem, p->first + l, H, INNER);
		if (p->beside)
			addf(&s, H, 2 * H, p->beside, p->first);
		spelled_find(&s, "{\"num_hidden_layers\":4}");
		snprintf(name, sizeof name, "%s.%u.mlp.up_proj.weight", p->stem, p->first);
		cr_expect_eq(component_of(&s, name), p->component, "%s: %d", p->stem, component_of(&s, name));
		cr_expect_eq(blocks_of(&s.roles, FORK_BODY), 4 + (p->component == FORK_BODY), "%s", p->stem);
		cr_expect_eq(blocks_of(&s.roles, p->component) - (p->component == FORK_BODY ? 4 : 0), p->layers, "%s",
			     p->stem);
		cr_expect_eq(component_of(&s, "model.layers.2.mlp.down_proj.weight"), FORK_BODY);
		cr_expect_eq(component_of(&s, "model.embed_tokens.weight"), FORK_ENDS);
		cr_expect_eq(component_of(&s, "lm_head.weight"), FORK_ENDS);
		cr_expect_eq(component_of(&s, "model.norm.weight"), FORK_ENDS);
		spelled_free(&s);
	}
}

Test(fork_roles_parts, a_tensor_beside_the_body_is_told_apart_without_layers)
{
	struct spelled s;

	spelled_init(&s);
	add_body(&s);
	add_mlp(&s, "mtp.layers", 0, H, INNER);
	add(&s, H, 2 * H, "mtp.fc.weight");
	spelled_find(&s, "{\"num_hidden_layers\":4}");
	cr_expect_eq(component_of(&s, "mtp.fc.weight"), FORK_DRAFT);
	cr_expect_eq(blocks_of(&s.roles, FORK_BODY), 4);
	spelled_free(&s);
}

Test(fork_roles_parts, a_body_is_one_under_the_name_of_a_tower)
{
	static const char *const stems[] = { "vision_tower.layers", "mtp.layers", "draft.vision.layers" };

	for (size_t i = 0; i < 3; i++) {
		struct spelled s;

		spelled_init(&s);
		for (unsigned l = 0; l < 4; l++)
			add_mlp(&s, stems[i], l, H, INNER);
		spelled_find(&s, NULL);
		cr_expect_eq(blocks_of(&s.roles, FORK_BODY), 4u, "%s", stems[i]);
		cr_expect_eq(s.roles.layers, 4u, "%s", stems[i]);
		spelled_free(&s);

		/* nor does a small one beside it change that */
		spelled_init(&s);
		for (unsigned l = 0; l < 8; l++)
			add_mlp(&s, stems[i], l, H, 5 * INNER);
		add_mlp(&s, "model.layers", 0, H, INNER);
		spelled_find(&s, NULL);
		cr_expect_eq(blocks_of(&s.roles, FORK_BODY), 9u, "%s", stems[i]);
		cr_expect(strstr(s.roles.notes, "judged as the body"), "%s", s.roles.notes);
		spelled_free(&s);
	}
}

Test(fork_roles_parts, layers_of_encoder_and_decoder_are_numbered_on)
{
	struct spelled s;

	spelled_init(&s);
	for (unsigned l = 0; l < 3; l++) {
		add_mlp(&s, "decoder.block", l, H, INNER);
		add_mlp(&s, "encoder.block", l, H, INNER);
	}
	spelled_find(&s, NULL);
	cr_assert_eq(s.roles.blocks, 6u);
	for (unsigned i = 0; i < 6; i++) {
		cr_expect_eq(s.roles.block[i].layer, i);
		cr_expect(strstr(s.roles.block[i].name, i < 3 ? "encoder" : "decoder"), "%s", s.roles.block[i].name);
	}
	spelled_free(&s);
}

Test(fork_roles_parts, gains_are_one_more_where_the_family_stores_them_so)
{
	static const char *const types[] = { "llama", "gemma2", "qwen3_next", "gemma3n", "nemotron" };
	static const bool plus_one[] = { false, true, true, false, true };

	for (size_t i = 0; i < 5; i++) {
		struct spelled s;
		char config[100];

		spelled_init(&s);
		add_body(&s);
		add(&s, H, 0, "model.layers.1.post_attention_layernorm.weight");
		snprintf(config, sizeof config, "{\"model_type\":\"%s\"}", types[i]);
		spelled_find(&s, config);
		cr_assert_eq(s.roles.blocks, 4u);
		cr_expect_null(s.roles.block[0].part[0].gain);
		cr_assert(s.roles.block[1].part[1].gain);
		cr_expect_null(s.roles.block[1].part[2].gain);
		cr_expect_eq(s.roles.block[1].part[0].gain_plus_one, plus_one[i], "%s", types[i]);
		spelled_free(&s);
	}
}

/* Norms of a layer, and which of them feeds its network: that of the last name, or none. */
static const struct {
	const char *norms[3], *feeds;
} norms[] = {
	{ { "input_layernorm", "post_attention_layernorm" }, "post_attention_layernorm" },
	{ { "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm" },
	  "pre_feedforward_layernorm" },
	{ { "post_attention_layernorm", "post_feedforward_layernorm" }, NULL },
	{ { "input_layernorm" }, "input_layernorm" },
	{ { "ln_1", "ln_2" }, "ln_2" },
	{ { "ln_attn", "ln_mlp" }, "ln_mlp" },
};

Test(fork_roles_parts, the_norm_that_feeds_the_network_is_found)
{
	for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
		struct spelled s;
		char name[200];

		spelled_init(&s);
		add_body(&s);
		for (size_t k = 0; k < 3 && norms[i].norms[k]; k++) {
			snprintf(name, sizeof name, "model.layers.0.%s.weight", norms[i].norms[k]);
			add(&s, H, 0, name);
		}
		spelled_find(&s, NULL);
		cr_assert_eq(s.roles.blocks, 4u);
		const struct model_value *g = s.roles.block[0].part[0].gain;
		cr_expect_eq(g != NULL, norms[i].feeds != NULL, "row %zu", i);
		if (g && norms[i].feeds)
			cr_expect(strstr(g->name, norms[i].feeds), "row %zu: %s", i, g->name);
		spelled_free(&s);
	}
}

#define LATENT 12
#define ROTARY 2
#define HEADS 3
#define KEYS 4
#define VALUES 5

static float latent(unsigned head, unsigned d, unsigned u) { return (float)(1000 * head + 20 * d + u); }

/* kv_b in one, or its parts as GGUF has them. */
static void add_latent(struct spelled *s, bool joint)
{
	const uint64_t b[] = { HEADS * (KEYS + VALUES), LATENT, 0 }, k[] = { HEADS, LATENT, KEYS, 0 };
	const uint64_t v[] = { HEADS, VALUES, LATENT, 0 };
	float *x = spelled_add(s, joint ? "model.layers.1.self_attn.kv_b_proj.weight" :
					  "model.layers.1.self_attn.k_b_proj.weight", joint ? b : k);

	for (unsigned h = 0; h < HEADS; h++)
		for (unsigned d = 0; d < (joint ? KEYS + VALUES : KEYS); d++)
			for (unsigned u = 0; u < LATENT; u++)
				x[joint ? (h * (KEYS + VALUES) + d) * LATENT + u : (h * LATENT + u) * KEYS + d] =
					latent(h, d, u);
	x = joint ? NULL : spelled_add(s, "model.layers.1.self_attn.v_b_proj.weight", v);
	for (unsigned h = 0; h < HEADS && !joint; h++)
		for (unsigned d = 0; d < VALUES; d++)
			for (unsigned u = 0; u < LATENT; u++)
				x[(h * VALUES + d) * LATENT + u] = latent(h, KEYS + d, u);
}

Test(fork_roles_parts, latent_dimensions_are_units_however_they_are_stored)
{
	for (unsigned joint = 0; joint < 2; joint++) {
		struct spelled s;
		float v[64];

		spelled_init(&s);
		add_body(&s);
		add(&s, H, 0, "model.layers.1.input_layernorm.weight");
		add(&s, LATENT, 0, "model.layers.1.self_attn.kv_a_layernorm.weight");
		add(&s, LATENT + ROTARY, H, "model.layers.1.self_attn.kv_a_proj_with_mqa.weight");
		add(&s, HEADS * (KEYS + ROTARY), 8, "model.layers.1.self_attn.q_b_proj.weight");
		add(&s, H, HEADS * VALUES, "model.layers.1.self_attn.o_proj.weight");
		add_latent(&s, joint);
		spelled_find(&s, NULL);
		cr_assert_eq(s.roles.blocks, 5u, "%s", s.roles.notes);
		const struct role_block *b = &s.roles.block[2];
		cr_assert_eq(b->kind, FORK_ATTENTION);
		cr_assert_eq(b->units, (uint64_t)LATENT);
		cr_assert_eq(b->parts, 3u);
		cr_assert(b->part[0].gain && b->part[0].space == ROLE_RESIDUAL && b->part[0].width == H);
		cr_assert(!b->part[1].gain && b->part[1].space == ROLE_INNER && b->part[1].width == KEYS);
		cr_assert(!b->part[2].gain && b->part[2].space == ROLE_INNER && b->part[2].width == VALUES);
		for (unsigned u = 0; u < LATENT; u++)
			for (unsigned k = 1; k < 3; k++) {
				spelled_unit(&s, &b->part[k], u, v);
				for (unsigned d = 0; d < b->part[k].width; d++)
					cr_expect_eq(v[d], latent(0, k == 1 ? d : KEYS + d, u));
			}
		spelled_free(&s);
	}
}

Test(fork_roles_parts, channels_of_recurrences_are_units)
{
	static const struct {
		const char *into, *out_of;
		uint64_t rows;
		unsigned parts;
	} rows[] = {
		{ "mixer.in_proj.weight", "mixer.out_proj.weight", 2 * 16, 3 },
		{ "mamba.in_proj.weight", "mamba.out_proj.weight", 2 * 16 + 10, 3 },
		{ "conv.in_proj.weight", "conv.out_proj.weight", 3 * 16, 3 },
		{ "mixer.in_proj.weight", "mixer.out_proj.weight", 16 + 10, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct spelled s;
		char name[200];
		float v[64], w[64];

		spelled_init(&s);
		add_body(&s);
		snprintf(name, sizeof name, "model.layers.2.%s", rows[i].into);
		add(&s, rows[i].rows, H, name);
		snprintf(name, sizeof name, "model.layers.2.%s", rows[i].out_of);
		add(&s, H, 16, name);
		spelled_find(&s, NULL);
		cr_assert_eq(s.roles.blocks, 4u + (rows[i].parts > 0), "row %zu: %zu", i, s.roles.blocks);
		if (rows[i].parts > 0) {
			const struct role_block *b = &s.roles.block[3];

			cr_assert_eq(b->layer, 2u);
			cr_assert_eq(b->index, 1u);
			cr_assert_eq(b->units, 16u);
			cr_assert_eq(b->parts, rows[i].parts);
			spelled_unit(&s, &b->part[0], 5, v);
			spelled_unit(&s, &b->part[1], 5, w);
			cr_expect_eq(w[0] - v[0], 16.0f * H);
			spelled_unit(&s, &b->part[2], 5, v);
			cr_expect_eq(v[1] - v[0], 16.0f);
		}
		spelled_free(&s);
	}
}

/* ---- what nobody has a name for ---- */

static const struct nameless {
	const char *row;
	struct {
		const char *name;
		uint64_t rows, columns;
	} tensor[8];
	unsigned parts, blocks; /* of each layer */
} nameless[] = {
	{ "three", { { "x.%u.a.weight", INNER, H }, { "x.%u.b.weight", INNER, H }, { "x.%u.c.weight", H, INNER } },
	  3, 1 },
	{ "three, turned", { { "x.%u.a", H, INNER }, { "x.%u.b", H, INNER }, { "x.%u.c", INNER, H } }, 3, 1 },
	{ "in one", { { "x.%u.p.in", 2 * INNER, H }, { "x.%u.p.out", H, INNER } }, 3, 1 },
	{ "two", { { "x.%u.net.0.weight", INNER, H }, { "x.%u.net.2.weight", H, INNER } }, 2, 1 },
	{ "beside attention",
	  { { "x.%u.s.a", 16, H }, { "x.%u.s.b", 8, H }, { "x.%u.s.c", 8, H }, { "x.%u.s.d", H, 16 },
	    { "x.%u.t.a", INNER, H }, { "x.%u.t.b", INNER, H }, { "x.%u.t.c", H, INNER } }, 3, 1 },
	{ "all in one place",
	  { { "x.%u.a", 16, H }, { "x.%u.b", 8, H }, { "x.%u.c", 8, H }, { "x.%u.d", H, 16 }, { "x.%u.e", INNER, H },
	    { "x.%u.f", INNER, H }, { "x.%u.g", H, INNER } }, 3, 1 },
	{ "two experts",
	  { { "x.%u.e.0.a", INNER, H }, { "x.%u.e.0.b", INNER, H }, { "x.%u.e.0.c", H, INNER },
	    { "x.%u.e.1.a", INNER, H }, { "x.%u.e.1.b", INNER, H }, { "x.%u.e.1.c", H, INNER } }, 3, 2 },
	{ "numbers within words", { { "t%u_a", INNER, H }, { "t%u_b", INNER, H }, { "t%u_c", H, INNER } }, 3, 1 },
	{ "attention alone", { { "x.%u.a", 8, H }, { "x.%u.b", 8, H } }, 0, 0 },
};

Test(fork_roles_parts, networks_are_found_by_their_shapes)
{
	for (size_t i = 0; i < sizeof nameless / sizeof *nameless; i++) {
		const struct nameless *p = &nameless[i];
		struct spelled s;

		spelled_init(&s);
		add(&s, 70, H, "token_table");
		for (unsigned l = 0; l < 3; l++)
			for (size_t k = 0; p->tensor[k].name; k++)
				addf(&s, p->tensor[k].rows, p->tensor[k].columns, p->tensor[k].name, l);
		spelled_find(&s, NULL);
		cr_expect_eq(s.roles.hidden, (uint64_t)H, "%s", p->row);
		cr_expect_eq(s.roles.blocks, 3 * p->blocks, "%s: %zu; %s", p->row, s.roles.blocks, s.roles.notes);
		for (size_t k = 0; k < s.roles.blocks; k++) {
			const struct role_block *b = &s.roles.block[k];

			cr_expect_eq(b->parts, p->parts, "%s: %u", p->row, b->parts);
			cr_expect_eq(b->units, (uint64_t)INNER, "%s: %s", p->row, b->name);
			cr_expect_eq(b->hidden, (uint64_t)H, "%s", p->row);
			cr_expect_eq(b->layer, k / p->blocks, "%s", p->row);
			cr_expect_eq(b->index, k % p->blocks, "%s", p->row);
			if (b->parts == 3) /* gate before up, by their names */
				cr_expect_leq(strcmp(b->part[0].value->name, b->part[1].value->name), 0, "%s", p->row);
		}
		cr_expect_eq(strstr(s.roles.notes, "in no table") != NULL, p->blocks > 0, "%s: %s", p->row, s.roles.notes);
		cr_expect(s.roles.embedding.value, "%s", p->row);
		spelled_free(&s);
	}
}

Test(fork_roles_parts, a_layer_without_names_is_found_among_others)
{
	struct spelled s;

	spelled_init(&s);
	add_body(&s);
	add(&s, INNER, H, "model.layers.4.mlp.p.weight");
	add(&s, INNER, H, "model.layers.4.mlp.q.weight");
	add(&s, H, INNER, "model.layers.4.mlp.r.weight");
	add(&s, INNER, H, "model.layers.5.mlp.odd.weight"); /* in place of its gate */
	add(&s, INNER, H, "model.layers.5.mlp.up_proj.weight");
	add(&s, H, INNER, "model.layers.5.mlp.down_proj.weight");
	spelled_find(&s, NULL);
	cr_expect_eq(s.roles.blocks, 6u, "%zu; %s", s.roles.blocks, s.roles.notes);
	cr_expect(strstr(s.roles.notes, "in no table"), "%s", s.roles.notes);
	for (size_t i = 0; i < s.roles.blocks; i++)
		cr_expect_eq(s.roles.block[i].parts, 3u, "%s", s.roles.block[i].name);
	spelled_free(&s);
}

Test(fork_roles_parts, matrices_beside_a_network_do_not_take_its_place)
{
	struct spelled s;

	spelled_init(&s);
	add_body(&s);
	add(&s, INNER, H, "model.layers.0.mlp.w1.weight");
	add(&s, H, INNER, "model.layers.0.mlp.w2.weight");
	add(&s, INNER, H, "model.layers.0.mlp.w3.weight");
	add(&s, 2 * INNER, H, "model.layers.1.mlp.gate_up_proj.weight");
	spelled_find(&s, NULL);
	cr_assert_eq(s.roles.blocks, 6u, "%zu; %s", s.roles.blocks, s.roles.notes);
	for (size_t i = 0; i < 4; i++) {
		cr_expect_eq(s.roles.block[i].layer, i / 2);
		cr_expect_eq(s.roles.block[i].index, i % 2);
	}
	spelled_free(&s);
}

Test(fork_roles_parts, gate_and_up_take_turns_where_a_family_has_them_so)
{
	static const char *const configs[] = { NULL, "{\"model_type\":\"gpt_oss\"}", "{\"model_type\":\"llama4\"}" };

	for (size_t i = 0; i < 3; i++) {
		const uint64_t in[] = { 2, H, 2 * INNER, 0 }, out[] = { 2, INNER, H, 0 };
		struct spelled s;

		spelled_init(&s);
		add(&s, 70, H, "model.embed_tokens.weight");
		add(&s, 2, H, "model.layers.0.mlp.router.weight");
		add(&s, 2, 2 * INNER, "model.layers.0.mlp.experts.gate_up_proj_bias");
		spelled_add(&s, "model.layers.0.mlp.experts.gate_up_proj", in);
		spelled_add(&s, "model.layers.0.mlp.experts.down_proj", out);
		spelled_find(&s, configs[i]);
		cr_assert_eq(s.roles.blocks, 2u, "%s", s.roles.notes);
		cr_expect_eq(s.roles.block[0].part[0].step, i < 2 ? 2u : 1u);
		cr_expect_eq(s.roles.block[0].part[1].first, i < 2 ? 1u : (uint64_t)INNER);
		cr_expect_eq(s.roles.layer[0].experts, 2u);
		spelled_free(&s);
	}
}

Test(fork_roles_parts, what_is_left_out_for_one_reason_is_told_once)
{
	struct spelled s;
	unsigned lines = 0;

	spelled_init(&s);
	add_body(&s);
	for (unsigned l = 0; l < 4; l++) {
		addf(&s, 16, H, "model.layers.%u.self_attn.q_proj.weight", l);
		addf(&s, 8, H, "model.layers.%u.self_attn.v_proj.weight", l);
		addf(&s, H, 16, "model.layers.%u.self_attn.o_proj.weight", l);
	}
	spelled_find(&s, NULL);
	for (const char *at = s.roles.notes; (at = strchr(at, '\n')); at++)
		lines++;
	cr_expect_eq(lines, 1u, "%s", s.roles.notes);
	cr_expect(strstr(s.roles.notes, "and 3 more of its stack: left out, for nothing says"), "%s", s.roles.notes);
	spelled_free(&s);
}

/* ---- what contradicts itself ---- */

static const struct wrong {
	const char *name;
	uint64_t rows, columns;
	const char *note;
} wrong[] = {
	{ "model.layers.1.mlp.gate_proj.weight", INNER + 1, H, "number of units" },
	{ "model.layers.1.mlp.gate_proj.weight", INNER, H + 1, "no width in common" },
	{ "model.layers.1.mlp.gate_proj.weight", INNER, 0, "no matrix of floats" },
	{ "model.layers.1.mlp.down_proj.weight", H, INNER + 1, "number of units" },
	{ "model.layers.1.mlp.down_proj.weight", H + 1, INNER + 1, "no width in common" },
	{ "model.layers.1.self_attn.o_proj.weight", H + 1, 16, "width of the model" },
	{ "model.layers.1.self_attn.o_proj.weight", H, 7, "how wide its heads" },
};

Test(fork_roles_parts, what_does_not_fit_is_left_out_and_named)
{
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const struct wrong *p = &wrong[i];
		struct spelled s;

		spelled_init(&s);
		add(&s, 70, H, "model.embed_tokens.weight");
		for (unsigned l = 0; l < 4; l++)
			for (unsigned k = 0; k < 6; k++) {
				static const char *const names[] = { "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
								     "self_attn.q_proj", "self_attn.v_proj",
								     "self_attn.o_proj" };
				static const uint64_t rows[] = { INNER, INNER, H, 16, 8, H };
				static const uint64_t columns[] = { H, H, INNER, H, H, 16 };
				char name[200];

				snprintf(name, sizeof name, "model.layers.%u.%s.weight", l, names[k]);
				bool it = strcmp(name, p->name) == 0;
				add(&s, it ? p->rows : rows[k], it ? p->columns : columns[k], name);
			}
		spelled_find(&s, "{\"head_dim\":4}");
		cr_expect(strstr(s.roles.notes, p->note), "%s %llu: %s", p->name, (unsigned long long)p->rows,
			  s.roles.notes);
		cr_expect_geq(s.roles.blocks, 3u * 3, "%s: %zu", p->name, s.roles.blocks);
		cr_expect_leq(s.roles.blocks, 4u * 3, "%s: %zu", p->name, s.roles.blocks);
		spelled_free(&s);
	}
}

Test(fork_roles_parts, numbers_of_layers_and_experts_are_bounded)
{
	struct spelled s;

	spelled_init(&s);
	add_body(&s);
	add_mlp(&s, "model.layers", 999999, H, INNER);
	add(&s, INNER, H, "model.layers.4294967297.mlp.gate_proj.weight");
	add(&s, INNER, H, "model.layers.0.mlp.experts.999999.gate_proj.weight");
	add(&s, 1, H, "model.layers.3.mlp.gate.weight");
	spelled_find(&s, NULL);
	cr_expect_eq(blocks_of(&s.roles, FORK_BODY), 4u, "%zu", s.roles.blocks);
	cr_expect_eq(s.roles.layers, 4u);
	spelled_free(&s);
}

Test(fork_roles_parts, no_model_is_no_mistake)
{
	struct spelled s;

	spelled_init(&s);
	add(&s, 3, 0, "a");
	spelled_find(&s, "{\"hidden_size\":-1,\"num_attention_heads\":\"x\",\"text_config\":[]}");
	cr_expect_eq(s.roles.blocks, 0u);
	cr_expect_eq(s.roles.hidden, 0u);
	cr_expect_null(s.roles.embedding.value);
	spelled_free(&s);
}
