/* One model under the names and in the layouts of many families: the same blocks with the same units. */
#include "spelled.h"

#include "tests/shared/vectors.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS 2
#define TOKENS 50

/* What the model is; each spelling stores it in its way. */
struct shape {
	uint64_t hidden, units, queries, keys, head;
	unsigned experts, shared; /* experts 0: one dense network */
	bool ungated;
};

enum part { GATE, UP, DOWN, Q, K, V, O, ROUTER, NORM_IN, NORM_FFN, EMBEDDING, HEAD_NORM };

/* Weight of a unit (hidden unit, dimension of a head) and a dimension of the residual stream. */
static float weight(enum part part, unsigned layer, unsigned which, uint64_t unit, uint64_t d)
{
	uint64_t x = ((((uint64_t)part * 31 + layer) * 1009 + which) * 10007 + unit) * 10009 + d + 1;

	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 32;
	return (float)(x & 0xffff) / 32768 - 1;
}

enum in { APART, HALVES, TURNS, UP_FIRST };
enum stack { EACH, STACKED, FLAT };
enum qkv { SPLIT, FUSED, GROUPED };

/* How a model is stored. Names follow that of the layer; %u is the expert. */
struct spelling {
	const char *row, *config, *layer;
	const char *norm_in, *norm_ffn;
	const char *gate, *up, *down; /* up: the one of both, if `in` says so */
	enum in in;
	bool turned, down_turned; /* [in][out]; down alone */
	const char *q, *k, *v, *o; /* v: the one of all three */
	enum qkv qkv;
	unsigned copies; /* key-value heads so many times; 0: once */
	const char *head_norm;
	/* of experts: */
	enum stack stack;
	const char *shared_gate, *shared_up, *shared_down, *router;
	const char *embedding;
};

static void put(float *m, bool turned, uint64_t rows, uint64_t columns, uint64_t r, uint64_t c, float x)
{
	m[turned ? c * rows + r : r * columns + c] = x;
}

/* Where unit u of `units` of gate (0) or up (1) is in a matrix of both. */
static uint64_t in_row(enum in in, uint64_t units, unsigned second, uint64_t u)
{
	if (in == TURNS)
		return 2 * u + second;
	return u + (in == UP_FIRST ? !second : second) * units;
}

static void add_matrix(struct spelled *s, const char *layer, const char *name, unsigned l, unsigned e,
		       uint64_t rows, uint64_t columns, bool turned, enum stack stack, unsigned experts,
		       float **out)
{
	uint64_t a = turned ? columns : rows, b = turned ? rows : columns;
	uint64_t two[] = { stack == FLAT ? experts * a : a, b, 0 }, three[] = { experts, a, b, 0 };
	char pattern[200], full[300];

	snprintf(pattern, sizeof pattern, "%s%s", layer, name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(full, sizeof full, pattern, l, e);
#pragma GCC diagnostic pop
	*out = spelled_add(s, full, stack == STACKED ? three : two);
}

/* gate, up and down of expert `which`, or of all where they are stacked. */
static void add_network(struct spelled *s, const struct spelling *p, const struct shape *m, unsigned l,
			const char *gate, const char *up, const char *down, unsigned which, enum stack stack)
{
	unsigned n = stack == EACH ? 1 : m->experts;
	uint64_t h = m->units, in = p->in == APART ? h : 2 * h, H = m->hidden;
	bool down_turned = p->turned || p->down_turned;
	float *x;

	for (enum part part = GATE; part <= UP; part++) {
		if (part == GATE ? p->in != APART || m->ungated : false)
			continue;
		add_matrix(s, p->layer, part == GATE ? gate : up, l, which, in, H, p->turned, stack, n, &x);
		for (unsigned e = 0; e < n; e++)
			for (uint64_t u = 0; u < h; u++)
				for (uint64_t d = 0; d < H; d++) {
					unsigned k = stack == EACH ? which : e;

					if (p->in != APART)
						put(x + e * in * H, p->turned, in, H, in_row(p->in, h, 0, u),
						    d, weight(GATE, l, k, u, d));
					put(x + e * in * H, p->turned, in, H,
					    p->in == APART ? u : in_row(p->in, h, 1, u), d,
					    weight(part, l, k, u, d));
				}
	}
	/* down is [H][h]: its turned form is [h][H] */
	add_matrix(s, p->layer, down, l, which, H, h, down_turned, stack, n, &x);
	for (unsigned e = 0; e < n; e++)
		for (uint64_t u = 0; u < h; u++)
			for (uint64_t d = 0; d < H; d++)
				put(x + e * h * H, down_turned, H, h, d, u,
				    weight(DOWN, l, stack == EACH ? which : e, u, d));
}

static void add_attention(struct spelled *s, const struct spelling *p, const struct shape *m, unsigned l)
{
	unsigned copies = p->copies ? p->copies : 1;
	uint64_t H = m->hidden, C = m->queries * m->head, keys = m->keys * copies, R = keys * m->head;
	uint64_t group = m->queries / keys;
	struct { enum part part; const char *name; uint64_t rows; } one[] = {
		{ Q, p->q, C }, { K, p->k, R }, { V, p->v, R },
	};
	float *x = NULL;

	if (p->qkv != SPLIT)
		add_matrix(s, p->layer, p->v, l, 0, C + 2 * R, H, p->turned, EACH, 0, &x);
	for (unsigned i = 0; i < 3; i++) {
		if (p->qkv == SPLIT)
			add_matrix(s, p->layer, one[i].name, l, 0, one[i].rows, H, p->turned, EACH, 0, &x);
		for (uint64_t u = 0; u < one[i].rows; u++)
			for (uint64_t d = 0; d < H; d++) {
				uint64_t head = u / m->head, k = u % m->head, row = u;

				if (p->qkv == FUSED)
					row += i == 0 ? 0 : i == 1 ? C : C + R;
				if (p->qkv == GROUPED)
					row = i == 0 ? (head / group * (group + 2) + head % group) * m->head + k
						     : (head * (group + 2) + group + i - 1) * m->head + k;
				if (i > 0)
					head /= copies;
				put(x, p->turned, p->qkv == SPLIT ? one[i].rows : C + 2 * R, H, row, d,
				    weight(one[i].part, l, 0, head * m->head + k, d));
			}
	}
	add_matrix(s, p->layer, p->o, l, 0, H, C, p->turned, EACH, 0, &x);
	for (uint64_t u = 0; u < C; u++)
		for (uint64_t d = 0; d < H; d++)
			put(x, p->turned, H, C, d, u, weight(O, l, 0, u, d));
}

static void add_vector(struct spelled *s, const struct spelling *p, const char *name, unsigned l,
		       enum part part, uint64_t width)
{
	uint64_t one[] = { width, 0 };
	char pattern[200], full[300];
	float *x;

	if (!name)
		return;
	snprintf(pattern, sizeof pattern, "%s%s", p->layer, name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(full, sizeof full, pattern, l);
#pragma GCC diagnostic pop
	x = spelled_add(s, full, one);
	for (uint64_t d = 0; d < width; d++)
		x[d] = weight(part, l, 0, 0, d);
}

static void add_model(struct spelled *s, const struct spelling *p, const struct shape *m)
{
	const uint64_t table[] = { TOKENS, m->hidden, 0 }, router[] = { m->experts, m->hidden, 0 };
	float *x = spelled_add(s, p->embedding ? p->embedding : "model.embed_tokens.weight", table);

	for (uint64_t t = 0; t < TOKENS; t++)
		for (uint64_t d = 0; d < m->hidden; d++)
			x[t * m->hidden + d] = weight(EMBEDDING, 0, 0, t, d);
	for (unsigned l = 0; l < LAYERS; l++) {
		add_vector(s, p, p->norm_in, l, NORM_IN, m->hidden);
		add_vector(s, p, p->norm_ffn, l, NORM_FFN, m->hidden);
		add_vector(s, p, p->head_norm, l, HEAD_NORM, m->head);
		add_attention(s, p, m, l);
		if (m->experts == 0)
			add_network(s, p, m, l, p->gate, p->up, p->down, 0, EACH);
		for (unsigned e = 0; e < (p->stack == EACH ? m->experts : m->experts > 0); e++)
			add_network(s, p, m, l, p->gate, p->up, p->down, e, p->stack);
		if (m->shared)
			add_network(s, p, m, l, p->shared_gate, p->shared_up, p->shared_down, 999, EACH);
		if (m->experts) {
			char name[300];

			snprintf(name, sizeof name, "%s%s", p->layer, p->router);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			x = spelled_addf(s, router, name, l);
#pragma GCC diagnostic pop
			for (unsigned e = 0; e < m->experts; e++)
				for (uint64_t d = 0; d < m->hidden; d++)
					x[e * m->hidden + d] = weight(ROUTER, l, e, 0, d);
		}
	}
}

/* ---- what must be found ---- */

static void expect_gain(struct spelled *s, const char *row, const struct role_part *p, unsigned l,
			enum part part, bool there)
{
	struct role_part gain;
	float v[64];

	cr_assert_eq(p->gain != NULL, there, "%s: the gain", row);
	if (!there)
		return;
	gain = (struct role_part){ .value = p->gain, .step = 1, .folds = 1, .width = p->width };
	spelled_unit(s, &gain, 0, v);
	for (uint64_t d = 0; d < p->width; d++)
		cr_assert_eq(v[d], weight(part, l, 0, 0, d), "%s: the gain of %s", row, p->value->name);
}

static void expect_network(struct spelled *s, const char *row, const struct shape *m,
			   const struct role_block *b, unsigned which, bool norm)
{
	float v[64];

	cr_assert_eq(b->parts, m->ungated ? 2u : 3u, "%s: %s", row, b->name);
	cr_assert_eq(b->units, m->units, "%s: %s", row, b->name);
	cr_assert_eq(b->hidden, m->hidden, "%s: %s", row, b->name);
	for (unsigned k = 0; k < b->parts; k++) {
		const enum part part = (enum part)(m->ungated ? k + 1 : k);

		cr_assert_eq(b->part[k].width, m->hidden, "%s: %s", row, b->name);
		for (uint64_t u = 0; u < m->units; u++) {
			spelled_unit(s, &b->part[k], u, v);
			for (uint64_t d = 0; d < m->hidden; d++)
				cr_assert_eq(v[d], weight(part, b->layer, which, u, d), "%s: %s part %u", row,
					     b->name, k);
		}
		expect_gain(s, row, &b->part[k], b->layer, NORM_FFN, norm && part != DOWN);
	}
}

static void expect_head(struct spelled *s, const char *row, const struct shape *m,
			const struct role_block *b, bool norm)
{
	uint64_t group = m->queries / m->keys;
	float v[64];

	cr_assert_eq(b->parts, 2u, "%s", row);
	cr_assert_eq(b->units, m->head, "%s", row);
	for (uint64_t u = 0; u < m->head; u++) {
		spelled_unit(s, &b->part[0], u, v);
		for (uint64_t d = 0; d < m->hidden; d++)
			cr_assert_eq(v[d], weight(V, b->layer, 0, b->index * m->head + u, d), "%s: %s value", row,
				     b->name);
		spelled_unit(s, &b->part[1], u, v);
		for (uint64_t d = 0; d < m->hidden; d++) {
			double sum = 0;

			for (uint64_t g = 0; g < group; g++)
				sum += (double)weight(O, b->layer, 0, (b->index * group + g) * m->head + u, d);
			cr_assert_eq(v[d], (float)sum, "%s: %s output", row, b->name);
		}
	}
	expect_gain(s, row, &b->part[0], b->layer, NORM_IN, norm);
}

static void expect_model(struct spelled *s, const struct spelling *p, const struct shape *m)
{
	size_t networks = m->experts ? m->experts + m->shared : 1, at = 0;
	const struct roles *r = &s->roles;
	float v[64];

	cr_assert_eq(r->hidden, m->hidden, "%s: hidden %llu", p->row, (unsigned long long)r->hidden);
	cr_assert_eq(r->layers, (uint32_t)LAYERS, "%s", p->row);
	cr_assert_eq(r->blocks, LAYERS * (networks + m->keys), "%s: %zu blocks; %s", p->row, r->blocks, r->notes);
	for (unsigned l = 0; l < LAYERS; l++)
		for (size_t i = 0; i < networks + m->keys; i++, at++) {
			const struct role_block *b = &r->block[at];
			bool shared = m->shared && i == 0;
			size_t e = i - m->shared;

			cr_assert_eq(b->layer, l, "%s: %s", p->row, b->name);
			cr_assert_eq(b->component, FORK_BODY, "%s: %s", p->row, b->name);
			if (i >= networks) {
				cr_assert_eq(b->kind, FORK_ATTENTION, "%s: %s", p->row, b->name);
				cr_assert_eq(b->index, i - networks, "%s: %s", p->row, b->name);
				expect_head(s, p->row, m, b, p->norm_in);
				continue;
			}
			cr_assert_eq(b->kind, shared ? FORK_SHARED : m->experts ? FORK_EXPERT : FORK_DENSE,
				     "%s: %s is %d", p->row, b->name, b->kind);
			cr_assert_eq(b->index, shared || !m->experts ? 0 : e, "%s: %s", p->row, b->name);
			expect_network(s, p->row, m, b, shared ? 999 : m->experts ? (unsigned)e : 0,
				       p->norm_ffn);
		}
	cr_assert(r->embedding.value, "%s: no embedding", p->row);
	spelled_unit(s, &r->embedding, 7, v);
	for (uint64_t d = 0; d < m->hidden; d++)
		cr_assert_eq(v[d], weight(EMBEDDING, 0, 0, 7, d), "%s: the embedding", p->row);
}

static void try_all(const struct spelling *p, size_t count, const struct shape *m)
{
	for (size_t i = 0; i < count; i++) {
		struct spelled s;

		spelled_init(&s);
		add_model(&s, &p[i], m);
		spelled_find(&s, p[i].config);
		expect_model(&s, &p[i], m);
		spelled_free(&s);
	}
}

#define HEADS "{\"num_attention_heads\":4,\"hidden_size\":24,\"head_dim\":4}"
#define LLAMA "input_layernorm.weight", "post_attention_layernorm.weight"
#define QKVO "self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight", \
	     "self_attn.o_proj.weight"
#define MLP "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"
#define FUSED_QKV(v, o) NULL, NULL, v, o, FUSED
#define GROUPED_QKV(v, o) NULL, NULL, v, o, GROUPED

/* clang-format off */
static const struct spelling dense[] = {
	{ "llama", HEADS, "model.layers.%u.", LLAMA, MLP, 0, 0, 0, QKVO, .copies = 1 },
	{ "heads by their norm, no config", NULL, "model.layers.%u.", LLAMA, MLP, 0, 0, 0, QKVO,
	  .head_norm = "self_attn.q_norm.weight" },
	{ "a prefix", HEADS, "language_model.model.layers.%u.", LLAMA, MLP, 0, 0, 0, QKVO,
	  .embedding = "language_model.model.embed_tokens.weight" },
	{ "another", HEADS, "model.language_model.layers.%u.", LLAMA, MLP, 0, 0, 0, QKVO,
	  .embedding = "model.language_model.embed_tokens.weight" },
	{ "wrapped config", "{\"text_config\":" HEADS "}", "base_model.model.model.layers.%u.", LLAMA, MLP, 0, 0,
	  0, QKVO, .copies = 1 },
	{ "no prefix", HEADS, "layers.%u.", LLAMA, MLP, 0, 0, 0, QKVO, .embedding = "embed_tokens.weight" },
	{ "phi3", HEADS, "model.layers.%u.", LLAMA, NULL, "mlp.gate_up_proj.weight", "mlp.down_proj.weight",
	  HALVES, 0, 0, FUSED_QKV("self_attn.qkv_proj.weight", "self_attn.o_proj.weight"), .copies = 1 },
	{ "consolidated", "{\"dim\":24,\"n_heads\":4,\"head_dim\":4}", "layers.%u.", "attention_norm.weight",
	  "ffn_norm.weight", "feed_forward.w1.weight", "feed_forward.w3.weight", "feed_forward.w2.weight", 0, 0, 0,
	  "attention.wq.weight", "attention.wk.weight", "attention.wv.weight", "attention.wo.weight",
	  .embedding = "tok_embeddings.weight" },
	{ "internlm2", HEADS, "model.layers.%u.", "attention_norm.weight", "ffn_norm.weight",
	  "feed_forward.w1.weight", "feed_forward.w3.weight", "feed_forward.w2.weight", 0, 0, 0,
	  GROUPED_QKV("attention.wqkv.weight", "attention.wo.weight"), .embedding = "model.tok_embeddings.weight" },
	{ "gguf", HEADS, "blk.%u.", "attn_norm.weight", "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight",
	  "ffn_down.weight", 0, 0, 0, "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight",
	  .embedding = "token_embd.weight" },
	{ "exaone", HEADS, "transformer.h.%u.", "ln_1.weight", "ln_2.weight", "mlp.c_fc_0.weight",
	  "mlp.c_fc_1.weight", "mlp.c_proj.weight", 0, 0, 0, "attn.attention.q_proj.weight",
	  "attn.attention.k_proj.weight",
	  "attn.attention.v_proj.weight", "attn.attention.out_proj.weight", .embedding = "transformer.wte.weight" },
	{ "packed", HEADS, "model.layers.%u.", LLAMA, MLP, 0, 0, 0,
	  FUSED_QKV("self_attn.W_pack.weight", "self_attn.o_proj.weight"), .copies = 1 },
	{ "heads kept twice", HEADS, "model.layers.%u.", LLAMA, MLP, 0, 0, 0, QKVO, .copies = 2 },
	{ "heads kept twice, fused", HEADS, "model.layers.%u.", LLAMA, MLP, 0, 0, 0,
	  FUSED_QKV("self_attn.qkv_proj.weight", "self_attn.o_proj.weight"), .copies = 2 },
	{ "kernels", HEADS, "model/layers_%u/", "input_layernorm/weight", "post_attention_layernorm/weight",
	  "mlp/gate_proj/kernel", "mlp/up_proj/kernel", "mlp/down_proj/kernel", 0, true, 0,
	  "self_attn/q_proj/kernel",
	  "self_attn/k_proj/kernel", "self_attn/v_proj/kernel", "self_attn/o_proj/kernel", .copies = 2 },
	{ "litgpt", HEADS, "transformer.h.%u.", "norm_1.weight", "norm_2.weight", "mlp.fc_1.weight",
	  "mlp.fc_2.weight", "mlp.proj.weight", 0, 0, 0, GROUPED_QKV("attn.attn.weight", "attn.proj.weight"),
	  .embedding = "transformer.wte.weight" },
	{ "granite", HEADS, "model.layers.%u.", LLAMA, NULL, "shared_mlp.input_linear.weight",
	  "shared_mlp.output_linear.weight", HALVES, 0, 0, QKVO, .copies = 1 },
	{ "qwen", HEADS, "transformer.h.%u.", "ln_1.weight", "ln_2.weight", "mlp.w2.weight", "mlp.w1.weight",
	  "mlp.c_proj.weight", 0, 0, 0, FUSED_QKV("attn.c_attn.weight", "attn.c_proj.weight"),
	  .embedding = "transformer.wte.weight" },
	{ "olmo's own", HEADS, "model.transformer.blocks.%u.", NULL, NULL, NULL, "ff_proj.weight", "ff_out.weight",
	  UP_FIRST, 0, 0, FUSED_QKV("att_proj.weight", "attn_out.weight"),
	  .embedding = "model.transformer.wte.weight" },
	{ "chatglm", HEADS, "transformer.encoder.layers.%u.", LLAMA, NULL, "mlp.dense_h_to_4h.weight",
	  "mlp.dense_4h_to_h.weight", HALVES, 0, 0,
	  FUSED_QKV("self_attention.query_key_value.weight", "self_attention.dense.weight"),
	  .embedding = "transformer.embedding.word_embeddings.weight" },
	{ "peft", HEADS, "base_model.model.model.layers.%u.", LLAMA, "mlp.gate_proj.base_layer.weight",
	  "mlp.up_proj.base_layer.weight", "mlp.down_proj.base_layer.weight", 0, 0, 0,
	  "self_attn.q_proj.base_layer.weight", "self_attn.k_proj.base_layer.weight",
	  "self_attn.v_proj.base_layer.weight", "self_attn.o_proj.base_layer.weight", .copies = 1 },
	{ "apertus", HEADS, "model.layers.%u.", "attention_layernorm.weight", "feedforward_layernorm.weight", MLP,
	  0, 0, 0,
	  QKVO, .copies = 1 },
	{ "lfm2", HEADS, "model.layers.%u.", "operator_norm.weight", "ffn_norm.weight", "feed_forward.w1.weight",
	  "feed_forward.w3.weight", "feed_forward.w2.weight", 0, 0, 0, "self_attn.q_proj.weight",
	  "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.out_proj.weight", .copies = 1 },
};

static const struct spelling ungated[] = {
	{ "gpt_neox", HEADS, "gpt_neox.layers.%u.", LLAMA, NULL, "mlp.dense_h_to_4h.weight",
	  "mlp.dense_4h_to_h.weight", 0, 0, 0, GROUPED_QKV("attention.query_key_value.weight",
	  "attention.dense.weight"),
	  .embedding = "gpt_neox.embed_in.weight" },
	{ "bloom", HEADS, "transformer.h.%u.", LLAMA, NULL, "mlp.dense_h_to_4h.weight", "mlp.dense_4h_to_h.weight",
	  0,
	  0, 0, GROUPED_QKV("self_attention.query_key_value.weight", "self_attention.dense.weight"),
	  .embedding = "transformer.word_embeddings.weight" },
	{ "gpt2", HEADS, "h.%u.", "ln_1.weight", "ln_2.weight", NULL, "mlp.c_fc.weight", "mlp.c_proj.weight", 0,
	  true, 0,
	  FUSED_QKV("attn.c_attn.weight", "attn.c_proj.weight"), .embedding = "wte.weight" },
	{ "opt", HEADS, "model.decoder.layers.%u.", "self_attn_layer_norm.weight", "final_layer_norm.weight", NULL,
	  "fc1.weight", "fc2.weight", 0, 0, 0, "self_attn.q_proj.weight", "self_attn.k_proj.weight",
	  "self_attn.v_proj.weight", "self_attn.out_proj.weight", .embedding = "model.decoder.embed_tokens.weight" },
	{ "starcoder2", HEADS, "model.layers.%u.", LLAMA, NULL, "mlp.c_fc.weight", "mlp.c_proj.weight", 0, 0, 0,
	  QKVO, .copies = 1 },
	{ "nemotron", HEADS, "model.layers.%u.", LLAMA, NULL, "mlp.up_proj.weight", "mlp.down_proj.weight", 0, 0,
	  0, QKVO, .copies = 1 },
	{ "mpt", HEADS, "transformer.blocks.%u.", "norm_1.weight", "norm_2.weight", NULL, "ffn.up_proj.weight",
	  "ffn.down_proj.weight", 0, 0, 0, FUSED_QKV("attn.Wqkv.weight", "attn.out_proj.weight"),
	  .embedding = "transformer.wte.weight" },
	{ "bert", HEADS, "bert.encoder.layer.%u.", NULL, NULL, NULL, "intermediate.dense.weight",
	  "output.dense.weight", 0, 0, 0, "attention.self.query.weight", "attention.self.key.weight",
	  "attention.self.value.weight",
	  "attention.output.dense.weight", .embedding = "bert.embeddings.word_embeddings.weight" },
	{ "gguf", HEADS, "blk.%u.", "attn_norm.weight", "ffn_norm.weight", NULL, "ffn_up.weight",
	  "ffn_down.weight", 0,
	  0, 0, FUSED_QKV("attn_qkv.weight", "attn_output.weight"), .embedding = "token_embd.weight" },
};

#define EXPERTS "mlp.experts.%u.gate_proj.weight", "mlp.experts.%u.up_proj.weight", \
		"mlp.experts.%u.down_proj.weight"
#define SHARED .shared_gate = "mlp.shared_experts.gate_proj.weight", \
	       .shared_up = "mlp.shared_experts.up_proj.weight", \
	       .shared_down = "mlp.shared_experts.down_proj.weight"
#define GATE_ROUTER .router = "mlp.gate.weight"

static const struct spelling mixtures[] = {
	{ "qwen3_moe", HEADS, "model.layers.%u.", LLAMA, EXPERTS, 0, 0, 0, QKVO, GATE_ROUTER, .copies = 1 },
	{ "mixtral", HEADS, "model.layers.%u.", LLAMA, "block_sparse_moe.experts.%u.w1.weight",
	  "block_sparse_moe.experts.%u.w3.weight", "block_sparse_moe.experts.%u.w2.weight", 0, 0, 0, QKVO,
	  .router = "block_sparse_moe.gate.weight" },
	{ "stacked", HEADS, "model.layers.%u.", LLAMA, NULL, "mlp.experts.gate_up_proj", "mlp.experts.down_proj",
	  HALVES, 0, 0, QKVO, .stack = STACKED, GATE_ROUTER },
	{ "stacked and turned", HEADS, "model.layers.%u.", LLAMA, NULL, "feed_forward.experts.gate_up_proj",
	  "feed_forward.experts.down_proj", HALVES, true, 0, QKVO, .stack = STACKED,
	  .router = "feed_forward.router.weight" },
	{ "gpt_oss", "{\"model_type\":\"gpt_oss\",\"head_dim\":4}", "model.layers.%u.", LLAMA, NULL,
	  "mlp.experts.gate_up_proj", "mlp.experts.down_proj", TURNS, true, 0, QKVO, .stack = STACKED,
	  .router = "mlp.router.weight" },
	{ "granitemoe", HEADS, "model.layers.%u.", LLAMA, NULL, "block_sparse_moe.input_linear.weight",
	  "block_sparse_moe.output_linear.weight", HALVES, 0, 0, QKVO, .stack = STACKED,
	  .router = "block_sparse_moe.router.layer.weight" },
	{ "gguf", HEADS, "blk.%u.", "attn_norm.weight", "ffn_norm.weight", "ffn_gate_exps.weight",
	  "ffn_up_exps.weight", "ffn_down_exps.weight", 0, 0, 0, "attn_q.weight", "attn_k.weight", "attn_v.weight",
	  "attn_output.weight",
	  .stack = STACKED, .router = "ffn_gate_inp.weight", .embedding = "token_embd.weight" },
	{ "old gguf", HEADS, "blk.%u.", "attn_norm.weight", "ffn_norm.weight", "ffn_gate.%u.weight",
	  "ffn_up.%u.weight", "ffn_down.%u.weight", 0, 0, 0, "attn_q.weight", "attn_k.weight", "attn_v.weight",
	  "attn_output.weight",
	  .router = "ffn_gate_inp.weight", .embedding = "token_embd.weight" },
	{ "jamba", HEADS, "model.layers.%u.", "input_layernorm.weight", "pre_ff_layernorm.weight",
	  "feed_forward.experts.%u.gate_proj.weight", "feed_forward.experts.%u.up_proj.weight",
	  "feed_forward.experts.%u.down_proj.weight", 0, 0, 0, QKVO, .router = "feed_forward.router.weight" },
	{ "flattened", HEADS, "transformer.blocks.%u.", "norm_attn_norm.norm_1.weight",
	  "norm_attn_norm.norm_2.weight", "ffn.experts.mlp.w1", "ffn.experts.mlp.v1", "ffn.experts.mlp.w2", 0, 0, 0,
	  FUSED_QKV("norm_attn_norm.attn.Wqkv.weight", "norm_attn_norm.attn.out_proj.weight"), .stack = FLAT,
	  .router = "ffn.router.layer.weight", .embedding = "transformer.wte.weight" },
	{ "grok", HEADS, "transformer.decoder_layer.%u.", "rms_norm.weight", "rms_norm_2.weight",
	  "moe.%u.linear.weight", "moe.%u.linear_v.weight", "moe.%u.linear_1.weight", 0, 0, 0,
	  "multi_head_attention.query.weight",
	  "multi_head_attention.key.weight", "multi_head_attention.value.weight",
	  "multi_head_attention.linear.weight", .router = "router.weight" },
}; /* clang-format on */

/* Experts one below the other, down as the others. */
static const struct spelling flattened[] = {
	{ "dbrx", HEADS, "transformer.blocks.%u.", "norm_attn_norm.norm_1.weight", "norm_attn_norm.norm_2.weight",
	  "ffn.experts.mlp.w1", "ffn.experts.mlp.v1", "ffn.experts.mlp.w2", 0, 0, true,
	  FUSED_QKV("norm_attn_norm.attn.Wqkv.weight", "norm_attn_norm.attn.out_proj.weight"), .stack = FLAT,
	  .router = "ffn.router.layer.weight", .embedding = "transformer.wte.weight" },
	{ "consolidated", HEADS, "layers.%u.", "attention_norm.weight", "ffn_norm.weight", "block_sparse_moe.w1",
	  "block_sparse_moe.w3", "block_sparse_moe.w2", 0, 0, true, "attention.wq.weight", "attention.wk.weight",
	  "attention.wv.weight", "attention.wo.weight", .stack = FLAT, .router = "block_sparse_moe.gate.weight",
	  .embedding = "tok_embeddings.weight" },
};

static const struct spelling with_shared[] = {
	{ "deepseek", HEADS, "model.layers.%u.", LLAMA, EXPERTS, 0, 0, 0, QKVO, GATE_ROUTER, SHARED },
	{ "qwen2_moe", HEADS, "model.layers.%u.", LLAMA, EXPERTS, 0, 0, 0, QKVO, GATE_ROUTER,
	  .shared_gate = "mlp.shared_expert.gate_proj.weight", .shared_up = "mlp.shared_expert.up_proj.weight",
	  .shared_down = "mlp.shared_expert.down_proj.weight" },
	{ "hunyuan", HEADS, "model.layers.%u.", LLAMA, EXPERTS, 0, 0, 0, QKVO, .router = "mlp.gate.wg.weight",
	  .shared_gate = "mlp.shared_mlp.gate_proj.weight", .shared_up = "mlp.shared_mlp.up_proj.weight",
	  .shared_down = "mlp.shared_mlp.down_proj.weight" },
	{ "gguf", HEADS, "blk.%u.", "attn_norm.weight", "ffn_norm.weight", "ffn_gate_exps.weight",
	  "ffn_up_exps.weight", "ffn_down_exps.weight", 0, 0, 0, "attn_q.weight", "attn_k.weight", "attn_v.weight",
	  "attn_output.weight", .stack = STACKED, .router = "ffn_gate_inp.weight",
	  .shared_gate = "ffn_gate_shexp.weight", .shared_up = "ffn_up_shexp.weight",
	  .shared_down = "ffn_down_shexp.weight", .embedding = "token_embd.weight" },
};

#define TRY_ALL(table, ...) try_all(table, sizeof table / sizeof *table, &(const struct shape){ __VA_ARGS__ })

Test(fork_roles, a_dense_model_is_one_however_it_is_spelled)
{
	TRY_ALL(dense, .hidden = 24, .units = 20, .queries = 4, .keys = 2, .head = 4);
	/* as many units as the stream is wide; the heads together as wide as the stream */
	TRY_ALL(dense, .hidden = 24, .units = 24, .queries = 4, .keys = 2, .head = 4);
	TRY_ALL(dense, .hidden = 16, .units = 24, .queries = 4, .keys = 1, .head = 4);
	TRY_ALL(dense, .hidden = 16, .units = 16, .queries = 4, .keys = 2, .head = 4);
}

Test(fork_roles, a_model_without_gates_is_one_however_it_is_spelled)
{
	TRY_ALL(ungated, .hidden = 16, .units = 40, .queries = 4, .keys = 4, .head = 4, .ungated = true);
}

Test(fork_roles, a_mixture_is_one_however_it_is_spelled)
{
	TRY_ALL(mixtures, .hidden = 24, .units = 10, .queries = 4, .keys = 2, .head = 4, .experts = 3);
	TRY_ALL(mixtures, .hidden = 24, .units = 24, .queries = 4, .keys = 2, .head = 4, .experts = 3);
	TRY_ALL(flattened, .hidden = 24, .units = 10, .queries = 4, .keys = 2, .head = 4, .experts = 3);
	TRY_ALL(with_shared, .hidden = 24, .units = 10, .queries = 4, .keys = 2, .head = 4, .experts = 5,
		.shared = 1);
}

/* ---- names and shapes of families, as they are saved ---- */

struct counts {
	unsigned hidden, layers, dense, shared, experts, heads, tower_dense, tower_heads;
};

static void expect_counts(const char *family, const struct roles *r, const char *text)
{
	struct counts want = { 0 }, found = { .hidden = (unsigned)r->hidden, .layers = r->layers };
	unsigned *const of[][FORK_KINDS] = {
		{ &found.dense, &found.shared, &found.experts, &found.heads },
		{ &found.tower_dense, &found.shared, &found.experts, &found.tower_heads },
	};

	cr_assert_eq(sscanf(text, "%u %u %u %u %u %u %u %u", &want.hidden, &want.layers, &want.dense, &want.shared,
			    &want.experts, &want.heads, &want.tower_dense, &want.tower_heads),
		     8, "%s", text);
	for (size_t i = 0; i < r->blocks; i++)
		if (r->block[i].component <= FORK_TOWER)
			++*of[r->block[i].component][r->block[i].kind];
	cr_expect(memcmp(&want, &found, sizeof want) == 0,
		  "%s: %u layers, %u dense, %u shared, %u experts, %u heads, towers %u and %u, not %s; %s", family,
		  found.layers, found.dense, found.shared, found.experts, found.heads, found.tower_dense,
		  found.tower_heads, text, r->notes);
}

/* The lines of one family; what follows them. */
static char *try_family(char *line)
{
	char *family = line + 2, *counts = strchr(family, ' '), *config = strchr(family, '\n') + 1, *next;
	struct spelled s;

	*counts++ = '\0';
	config[-1] = '\0';
	line = strchr(config, '\n');
	*line++ = '\0';
	spelled_init(&s);
	for (; *line && *line != '='; line = next + 1) {
		uint64_t shape[9] = { 0 };
		char *at = strchr(line, ' ');

		next = strchr(line, '\n');
		*next = '\0';
		for (int i = 0; at && i < 8; i++) {
			*at = '\0';
			shape[i] = strtoull(at + 1, &at, 10);
			at = *at ? at : NULL;
		}
		spelled_add(&s, line, shape);
	}
	spelled_find(&s, config);
	expect_counts(family, &s.roles, counts);
	spelled_free(&s);
	return line;
}

Test(fork_roles, blocks_of_families_are_found_as_they_are_saved)
{
	struct buf all = vector_read("tests/vectors/forks/names.txt.xz");
	unsigned families = 0;

	for (char *at = all.bytes; at && *at == '='; families++)
		at = try_family(at);
	cr_expect_gt(families, 100u);
	buf_free(&all);
}
