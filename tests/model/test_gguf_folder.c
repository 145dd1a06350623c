/* A GGUF file as a folder: texts from metadata, tensors by their other names, and what is refused. */
#include "model/config.h"
#include "model/gguf.h"
#include "model/values.h"
#include "model/weights.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { U32 = 4, F32 = 6, BOOL = 7, STRING = 8, ARRAY = 9 };

/* Metadata at work: pairs are counted, so that the start can say how many there are. */
struct writer {
	struct buf pairs, infos, data;
	uint64_t keys, tensors;
};

static void put_string(struct buf *b, const char *s)
{
	buf_add_u64le(b, strlen(s));
	buf_add_text(b, s);
}

static void put_key(struct writer *w, const char *key, uint32_t kind)
{
	put_string(&w->pairs, key);
	buf_add_u32le(&w->pairs, kind);
	w->keys++;
}

static void put_u32(struct writer *w, const char *key, uint32_t v)
{
	put_key(w, key, U32);
	buf_add_u32le(&w->pairs, v);
}

static void put_f32(struct writer *w, const char *key, float v)
{
	put_key(w, key, F32);
	buf_add(&w->pairs, &v, 4);
}

static void put_text(struct writer *w, const char *key, const char *v)
{
	put_key(w, key, STRING);
	put_string(&w->pairs, v);
}

static void put_texts(struct writer *w, const char *key, const char *const *v, size_t n)
{
	put_key(w, key, ARRAY);
	buf_add_u32le(&w->pairs, STRING);
	buf_add_u64le(&w->pairs, n);
	for (size_t i = 0; i < n; i++)
		put_string(&w->pairs, v[i]);
}

static void put_numbers(struct writer *w, const char *key, uint32_t kind, const void *v, size_t n)
{
	put_key(w, key, ARRAY);
	buf_add_u32le(&w->pairs, kind);
	buf_add_u64le(&w->pairs, n);
	buf_add(&w->pairs, v, 4 * n);
}

/* F32; values count up from 0, so that rows can be told apart. */
static void put_tensor(struct writer *w, const char *name, uint64_t rows, uint64_t columns)
{
	put_string(&w->infos, name);
	buf_add_u32le(&w->infos, rows > 0 ? 2 : 1);
	buf_add_u64le(&w->infos, columns);
	if (rows > 0)
		buf_add_u64le(&w->infos, rows);
	buf_add_u32le(&w->infos, 0);
	buf_add_u64le(&w->infos, w->data.len);
	for (uint64_t i = 0; i < (rows > 0 ? rows : 1) * columns; i++) {
		float v = (float)i;
		buf_add(&w->data, &v, 4);
	}
	while (w->data.len % 32)
		buf_add_byte(&w->data, 0);
	w->tensors++;
}

static void finish(struct writer *w, struct buf *out)
{
	buf_add_text(out, "GGUF");
	buf_add_u32le(out, 3);
	buf_add_u64le(out, w->tensors);
	buf_add_u64le(out, w->keys);
	buf_add_buf(out, &w->pairs);
	buf_add_buf(out, &w->infos);
	while (out->len % 32)
		buf_add_byte(out, 0);
	buf_add_buf(out, &w->data);
	buf_free(&w->pairs);
	buf_free(&w->infos);
	buf_free(&w->data);
}

/* A llama of two layers: hidden 8, 2 heads of 4, 1 for keys. */
static void small(struct writer *w)
{
	put_text(w, "general.architecture", "llama");
	put_u32(w, "llama.block_count", 2);
	put_u32(w, "llama.context_length", 64);
	put_u32(w, "llama.embedding_length", 8);
	put_u32(w, "llama.feed_forward_length", 12);
	put_u32(w, "llama.attention.head_count", 2);
	put_u32(w, "llama.attention.head_count_kv", 1);
	put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
	put_f32(w, "llama.rope.freq_base", 500000);
	put_tensor(w, "token_embd.weight", 10, 8);
	put_tensor(w, "output_norm.weight", 0, 8);
	for (int i = 0; i < 2; i++) {
		static const struct { const char *name; uint64_t rows, columns; } parts[] = {
			{ "attn_norm", 0, 8 },  { "ffn_norm", 0, 8 },    { "attn_q", 8, 8 },
			{ "attn_k", 4, 8 },     { "attn_v", 4, 8 },      { "attn_output", 8, 8 },
			{ "ffn_gate", 12, 8 },  { "ffn_up", 12, 8 },     { "ffn_down", 8, 12 },
		};
		for (size_t j = 0; j < sizeof parts / sizeof parts[0]; j++) {
			char name[60];
			snprintf(name, sizeof name, "blk.%d.%s.weight", i, parts[j].name);
			put_tensor(w, name, parts[j].rows, parts[j].columns);
		}
	}
}

static struct source *folder_of(struct memory_source *m, struct writer *w, struct err *e)
{
	struct source *view = NULL;
	memory_init(m);
	finish(w, memory_add(m, "m.gguf"));
	cr_assert_eq(model_gguf_folder(&view, &m->source, e), 0, "%s", e->text);
	cr_assert_not_null(view);
	return view;
}

Test(model_gguf_folder, config_and_tensors_are_those_of_a_folder)
{
	static struct model_config c;
	struct memory_source m;
	struct writer w = { 0 };
	struct err e = { 0 };
	struct model_tensors *t;
	float row[8];
	small(&w);
	struct source *view = folder_of(&m, &w, &e);
	cr_assert_eq(model_config_read(&c, view, &e), 0, "%s", e.text);
	cr_assert_str_eq(c.model_type, "llama");
	cr_assert(c.layers == 2 && c.hidden == 8 && c.vocab == 10 && c.tied && c.norm_eps == 1e-5f);
	cr_assert_eq(model_weights_check(&c, view, &e), 0, "%s", e.text);
	cr_assert_eq(model_tensors_open(&t, view, &e), 0, "%s", e.text);
	const struct model_tensor *q = model_tensors_find(t, "model.layers.1.self_attn.q_proj.weight");
	cr_assert(q && q->turn == 4 && strcmp(q->file, "m.gguf") == 0);
	/* rows of a head are stored as 0, 2, 1, 3: the second pair's first is the third */
	static const int stored[] = { 0, 2, 1, 3, 4, 6, 5, 7 };
	for (uint64_t i = 0; i < 8; i++) {
		cr_assert_eq(model_tensors_read(t, q, i, 1, row, &e), 0, "%s", e.text);
		cr_assert_eq((int)row[0], 8 * stored[i], "row %d: %g", (int)i, (double)row[0]);
	}
	model_tensors_close(t);
	source_close(view);
	memory_free(&m);
}

/* For its values alone: an architecture that is not here, and a tensor that nobody knows. */
Test(model_gguf_folder, values_are_read_whatever_the_architecture)
{
	static const char *const names[] = { "blk.0.attn_mystery.weight", "model.layers.0.mlp.up_proj.weight",
		                             "model.layers.0.self_attn.q_proj.weight",
		                             "model.layers.0.mlp.experts.1.gate_proj.weight" };
	struct memory_source m;
	struct writer w = { 0 };
	struct err e = { 0 };
	struct source *view = NULL;
	struct model_values *v;
	uint64_t bytes;
	float row[8];
	put_text(&w, "general.architecture", "llama7");
	put_tensor(&w, "blk.0.attn_mystery.weight", 4, 8);
	put_tensor(&w, "blk.0.ffn_up.weight", 4, 8);
	put_tensor(&w, "blk.0.attn_q.weight", 4, 8);
	put_tensor(&w, "blk.0.ffn_gate_exps.weight", 2, 8);
	memory_init(&m);
	buf_add_text(memory_add(&m, "consolidated.safetensors"), "x");
	finish(&w, memory_add(&m, "m.gguf"));
	cr_assert_eq(model_gguf_folder(&view, &m.source, &e), ERR_UNSUPPORTED);
	cr_assert(strstr(e.text, "llama7") && !view, "%s", e.text);
	cr_assert_eq(model_gguf_loose(&view, &m.source, &e), 0, "%s", e.text);
	cr_expect_eq(source_size(view, "config.json", &bytes, &e), ERR_NOTFOUND);
	cr_assert_eq(model_values_open(&v, view, NULL, &e), 0, "%s", e.text);
	cr_expect(strstr(model_values_notes(v), "consolidated.safetensors is not looked at"));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct model_value *x = model_values_find(v, names[i]);
		cr_assert(x && x->floats, "%s", names[i]);
		cr_assert_eq(model_values_read(v, x, x->rows - 1, 1, row, &e), 0, "%s", e.text);
		cr_expect_eq((int)row[7], i < 3 ? 31 : 15, "%s: %g", names[i], (double)row[7]);
	}
	model_values_close(v);
	source_close(view);
	memory_free(&m);
}

/* The same folder as it is served: heads turned back, gains whose plus one is told. */
Test(model_gguf_folder, values_are_those_of_the_folder)
{
	struct memory_source m;
	struct writer w = { 0 };
	struct err e = { 0 };
	struct source *view = NULL;
	struct model_values *v;
	struct model_tensors *t;
	float a[8 * 12], b[8 * 12];
	small(&w);
	memory_init(&m);
	finish(&w, memory_add(&m, "m.gguf"));
	cr_assert_eq(model_gguf_loose(&view, &m.source, &e), 0, "%s", e.text);
	cr_assert_eq(model_values_open(&v, view, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(model_tensors_open(&t, view, &e), 0, "%s", e.text);
	cr_assert_eq(model_values_count(v), model_tensors_count(t));
	for (size_t i = 0; i < model_values_count(v); i++) {
		const struct model_value *x = model_values_at(v, i);
		const struct model_tensor *y = model_tensors_find(t, x->name);
		cr_assert(y && x->floats && x->made == y->made, "%s", x->name);
		for (uint64_t r = 0; r < x->rows; r += 3) {
			uint64_t n = x->rows - r < 3 ? x->rows - r : 3;
			cr_assert_eq(model_values_read(v, x, r, n, a, &e), 0, "%s", e.text);
			cr_assert_eq(model_tensors_read(t, y, r, n, b, &e), 0, "%s", e.text);
			cr_assert(memcmp(a, b, n * x->columns * sizeof *a) == 0, "%s, row %d", x->name, (int)r);
		}
	}
	model_tensors_close(t);
	model_values_close(v);
	source_close(view);
	memory_free(&m);
}

Test(model_gguf_folder, scores_become_merges_and_marks_control_tokens)
{
	static const char *const tokens[] = { "<unk>", "<s>", "</s>", "<0x0A>", "a", "b", "ab", "ba", "aba" };
	static const float scores[] = { 0, 0, 0, 0, -10, -11, -1, -2, -3 };
	static const uint32_t types[] = { 2, 3, 3, 6, 1, 1, 1, 1, 1 };
	struct memory_source m;
	struct writer w = { 0 };
	struct err e = { 0 };
	struct buf text = { 0 };
	small(&w);
	put_text(&w, "tokenizer.ggml.model", "llama");
	put_texts(&w, "tokenizer.ggml.tokens", tokens, 9);
	put_numbers(&w, "tokenizer.ggml.scores", F32, scores, 9);
	put_numbers(&w, "tokenizer.ggml.token_type", U32, types, 9);
	put_u32(&w, "tokenizer.ggml.bos_token_id", 1);
	put_u32(&w, "tokenizer.ggml.eos_token_id", 2);
	put_u32(&w, "tokenizer.ggml.unknown_token_id", 0);
	put_text(&w, "tokenizer.chat_template", "{{ messages[0].content }}");
	struct source *view = folder_of(&m, &w, &e);
	cr_assert_eq(source_read_file(view, "tokenizer.json", 1 << 20, &text, &e), 0, "%s", e.text);
	json_t *j = json_loadb(text.bytes, text.len, 0, NULL), *model = json_object_get(j, "model");
	char *merges = json_dumps(json_object_get(model, "merges"), JSON_COMPACT);
	/* by score; of "aba" the cut with the longer left part first */
	cr_assert_str_eq(merges, "[\"a b\",\"b a\",\"ab a\",\"a ba\"]");
	cr_assert_eq(json_array_size(json_object_get(j, "added_tokens")), 3);
	cr_assert_str_eq(json_string_value(json_object_get(model, "unk_token")), "<unk>");
	cr_assert_str_eq(json_string_value(json_object_get(json_object_get(j, "post_processor"), "type")),
			 "TemplateProcessing");
	free(merges);
	json_decref(j);
	buf_clear(&text);
	cr_assert_eq(source_read_file(view, "tokenizer_config.json", 1 << 20, &text, &e), 0);
	cr_assert(strstr(text.bytes, "messages[0].content") && strstr(text.bytes, "</s>"));
	buf_clear(&text);
	cr_assert_eq(source_read_file(view, "config.json", 1 << 20, &text, &e), 0);
	cr_assert_not_null(strstr(text.bytes, "\"eos_token_id\":[2]"), "%s", text.bytes);
	buf_free(&text);
	source_close(view);
	memory_free(&m);
}

/* What lies beside the file says nothing; what is no part of a model is as it was. */
Test(model_gguf_folder, files_beside_it_are_not_read_in_its_place)
{
	struct memory_source m;
	struct writer w = { 0 };
	struct err e = { 0 };
	struct source *view = NULL;
	uint64_t bytes;
	small(&w);
	memory_init(&m);
	buf_add_text(memory_add(&m, "README.md"), "# A card\n");
	buf_add_text(memory_add(&m, "chat_template.jinja"), "{{ 1 }}");
	buf_add_text(memory_add(&m, "config.json"), "{}");
	finish(&w, memory_add(&m, "m.gguf"));
	buf_add_text(memory_add(&m, "mmproj-m.gguf"), "images");
	cr_assert_eq(model_gguf_folder(&view, &m.source, &e), 0, "%s", e.text);
	cr_assert_eq(source_size(view, "README.md", &bytes, &e), 0);
	cr_assert(source_size(view, "config.json", &bytes, &e) == 0 && bytes > 100);
	cr_assert_eq(source_size(view, "chat_template.jinja", &bytes, &e), ERR_NOTFOUND);
	cr_assert_eq(source_size(view, "tokenizer.json", &bytes, &e), ERR_NOTFOUND);
	source_close(view);
	memory_free(&m);
}

Test(model_gguf_folder, safetensors_come_first_and_other_folders_are_none)
{
	struct memory_source m;
	struct writer w = { 0 };
	struct err e = { 0 };
	struct source *view = NULL;
	memory_init(&m);
	cr_assert(model_gguf_folder(&view, &m.source, &e) == 0 && !view);
	small(&w);
	finish(&w, memory_add(&m, "m.gguf"));
	buf_add_text(memory_add(&m, "model.safetensors"), "x");
	cr_assert(model_gguf_folder(&view, &m.source, &e) == 0 && !view);
	memory_free(&m);
}

static void no_architecture(struct writer *w) { put_u32(w, "llama.block_count", 1); }
static void no_layers(struct writer *w) { put_text(w, "general.architecture", "llama"); }

static void two_kinds(struct writer *w)
{
	static const uint32_t heads[] = { 2, 4 };
	no_layers(w);
	put_u32(w, "llama.block_count", 2);
	put_numbers(w, "llama.attention.head_count", U32, heads, 2);
}

static void other_tokenizer(struct writer *w)
{
	small(w);
	put_text(w, "tokenizer.ggml.model", "rwkv");
}

static void short_scores(struct writer *w)
{
	static const char *const tokens[] = { "a", "b" };
	static const float one = 0;
	small(w);
	put_text(w, "tokenizer.ggml.model", "llama");
	put_texts(w, "tokenizer.ggml.tokens", tokens, 2);
	put_numbers(w, "tokenizer.ggml.scores", F32, &one, 1);
}

static void token_twice(struct writer *w)
{
	static const char *const tokens[] = { "a", "a" };
	static const float scores[] = { 0, 0 };
	small(w);
	put_text(w, "tokenizer.ggml.model", "llama");
	put_texts(w, "tokenizer.ggml.tokens", tokens, 2);
	put_numbers(w, "tokenizer.ggml.scores", F32, scores, 2);
}

/* Every cut of a piece is looked up: the work grows with the square of its length. */
static void long_piece(struct writer *w)
{
	static char piece[258];
	static const char *const tokens[] = { "a", piece };
	static const float scores[] = { 0, 0 };
	memset(piece, 'a', 257);
	small(w);
	put_text(w, "tokenizer.ggml.model", "llama");
	put_texts(w, "tokenizer.ggml.tokens", tokens, 2);
	put_numbers(w, "tokenizer.ggml.scores", F32, scores, 2);
}

static void other_factors(struct writer *w)
{
	small(w);
	put_tensor(w, "rope_freqs.weight", 0, 2);
}

static void short_list(struct writer *w)
{
	static const uint32_t one[] = { 1 };
	small(w);
	put_numbers(w, "llama.attention.sliding_window", U32, one, 1);
}

static void empty_list(struct writer *w)
{
	small(w);
	put_numbers(w, "llama.expert_used_count", U32, NULL, 0);
}

static void scaled_by_number(struct writer *w)
{
	small(w);
	put_u32(w, "llama.rope.scaling.type", 1);
}

static void half_heads(struct writer *w)
{
	small(w);
	put_u32(w, "llama.rope.dimension_count", 2);
}

static void both_ways(struct writer *w)
{
	static const uint8_t no = 0;
	small(w);
	put_key(w, "llama.attention.causal", BOOL);
	buf_add(&w->pairs, &no, 1);
}

static void ahead_of_nothing(struct writer *w)
{
	small(w);
	put_u32(w, "llama.nextn_predict_layers", 1);
}

static void no_epsilon(struct writer *w)
{
	no_layers(w);
	put_u32(w, "llama.block_count", 2);
	put_u32(w, "llama.context_length", 64);
	put_tensor(w, "token_embd.weight", 10, 8);
}

static void no_context(struct writer *w)
{
	no_layers(w);
	put_u32(w, "llama.block_count", 2);
	put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
	put_tensor(w, "token_embd.weight", 10, 8);
}

static const struct {
	const char *row;
	void (*make)(struct writer *w);
	const char *words;
	int code;
} bad[] = {
	{ "list too short", short_list, "llama.attention.sliding_window is a list of 1 for 2 layers",
	  ERR_INPUT },
	{ "list empty", empty_list, "llama.expert_used_count is a list of 0 for 2 layers", ERR_INPUT },
	{ "kind of scaling", scaled_by_number, "llama.rope.scaling.type is no string", ERR_INPUT },
	{ "share of a head", half_heads, "llama.rope.dimension_count 2 of heads of 4", ERR_UNSUPPORTED },
	{ "not causal", both_ways, "llama.attention.causal false", ERR_UNSUPPORTED },
	{ "ahead", ahead_of_nothing, "nextn_predict_layers 1: layer 1 has no tensor nextn.*", ERR_INPUT },
	{ "no epsilon", no_epsilon, "llama.attention.layer_norm_rms_epsilon is missing", ERR_INPUT },
	{ "no context", no_context, "llama.context_length is missing", ERR_INPUT },
	{ "no architecture", no_architecture, "general.architecture is missing", ERR_INPUT },
	{ "no layers", no_layers, "llama.block_count", ERR_INPUT },
	{ "heads by layer", two_kinds, "llama.attention.head_count differs from layer to layer",
	  ERR_UNSUPPORTED },
	{ "tokenizer", other_tokenizer, "tokenizer.ggml.model \"rwkv\"", ERR_UNSUPPORTED },
	{ "scores", short_scores, "tokenizer.ggml.scores", ERR_INPUT },
	{ "token twice", token_twice, "token \"a\" is there twice", ERR_INPUT },
	{ "long piece", long_piece, "tokenizer.ggml.tokens: 1 has 257 bytes, at most 256", ERR_INPUT },
	{ "factors", other_factors, "tensor rope_freqs.weight", ERR_INPUT },
};

/* As in llama.cpp: a factor without a kind is linear, under either of its names, and the base is 10000. */
Test(model_gguf_folder, rotation_that_the_file_leaves_out_is_llama_cpps)
{
	static const char *const keys[] = { "llama.rope.scaling.factor", "llama.rope.scale_linear" };
	for (size_t i = 0; i < 2; i++) {
		struct memory_source m;
		struct writer w = { 0 };
		struct err e = { 0 };
		struct source *view = NULL;
		static struct model_config c;
		put_f32(&w, keys[i], 4);
		small(&w);
		for (size_t at = 0; at + 20 < w.pairs.len; at++) { /* the base under another name */
			if (memcmp(w.pairs.bytes + at, "llama.rope.freq_base", 20) == 0)
				w.pairs.bytes[at + 19] = 'X';
		}
		memory_init(&m);
		finish(&w, memory_add(&m, "m.gguf"));
		cr_assert_eq(model_gguf_folder(&view, &m.source, &e), 0, "%s", e.text);
		cr_assert_eq(model_config_read(&c, view, &e), 0, "%s", e.text);
		cr_expect(c.ropes[0].kind == MODEL_ROPE_LINEAR && c.ropes[0].factor == 4, "%s", keys[i]);
		cr_expect_eq(c.ropes[0].theta, 10000);
		source_close(view);
		memory_free(&m);
	}
}

Test(model_gguf_folder, metadata_that_give_no_folder_are_refused_by_key)
{
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct memory_source m;
		struct writer w = { 0 };
		struct err e = { 0 };
		struct source *view = NULL;
		bad[i].make(&w);
		memory_init(&m);
		finish(&w, memory_add(&m, "m.gguf"));
		int rc = model_gguf_folder(&view, &m.source, &e);
		cr_assert(rc == bad[i].code && !view, "%s: %d %s", bad[i].row, rc, e.text);
		cr_assert_not_null(strstr(e.text, bad[i].words), "%s: %s", bad[i].row, e.text);
		memory_free(&m);
	}
}
