/* Packing: what the CPU's weights hold against what the files say, in every stored type and every
 * format asked for; the same bytes on any number of threads; memory. */
#include "loaded.h"
#include "base/limits.h"
#include "model/tensors.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"

/* ---- values ---- */

static float largest(const float *v, size_t n)
{
	float most = 0;
	for (size_t i = 0; i < n; i++)
		most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
	return most;
}

/* A row as packed against the row as stored: within what the format can do. */
static void compare_row(const char *where, const struct kernel_matrix *w, uint32_t row, const float *truth)
{
	static const float part[KERNEL_FORMATS] = {
		[KERNEL_BF16] = 1.0f / 256, [KERNEL_Q8] = 1.01f / 254, [KERNEL_Q4] = 1.01f / 8
	};
	float *has = malloc(w->columns * sizeof *has);
	kernel_matrix_row(w, row, has);
	for (uint32_t k = 0; k < w->columns; k += KERNEL_GROUP) {
		uint32_t n = w->columns - k < KERNEL_GROUP ? w->columns - k : KERNEL_GROUP;
		float slack = part[w->format] * largest(truth + k, n);
		for (uint32_t i = k; i < k + n; i++)
			cr_assert(fabsf(has[i] - truth[i]) <= slack, "%s: row %u, column %u: %g, stored %g",
			          where, row, i, (double)has[i], (double)truth[i]);
	}
	free(has);
}

static void compare(const char *dir, struct model_tensors *t, const char *name,
                    const struct kernel_matrix *w)
{
	const struct model_tensor *tensor = model_tensors_find(t, name);
	char where[400];
	struct err e = { 0 };
	cr_assert_not_null(tensor, "%s: %s", dir, name);
	snprintf(where, sizeof where, "%s: %s as %s", dir, name, kernel_format_name(w->format));
	float *truth = malloc((size_t)w->rows * w->columns * sizeof *truth);
	cr_assert_eq(model_tensors_read(t, tensor, 0, w->rows, truth, &e), 0, "%s", e.text);
	for (uint32_t row = 0; row < w->rows; row++)
		compare_row(where, w, row, truth + (size_t)row * w->columns);
	free(truth);
}

/* ---- tensors whose rows go to several matrices ---- */

/* Rows of the slot: from `first` on, `take` of every `period`, of this expert's [rows, columns]. */
static const struct {
	const char *dir, *name;
	uint32_t layer, expert, rows;
	enum model_slot slot;
	uint32_t first, take, period;
} splits[] = {
	{ CASES "qwen3_5_moe", "linear_attn.in_proj_qkv.weight", 0, MODEL_NO_EXPERT, 64, SLOT_Q, 0, 18, 64 },
	{ CASES "qwen3_5_moe", "linear_attn.in_proj_qkv.weight", 0, MODEL_NO_EXPERT, 64, SLOT_K, 18, 18, 64 },
	{ CASES "qwen3_5_moe", "linear_attn.in_proj_qkv.weight", 1, MODEL_NO_EXPERT, 64, SLOT_V, 36, 28, 64 },
	{ CASES "qwen3_5_moe", "self_attn.q_proj.weight", 2, MODEL_NO_EXPERT, 144, SLOT_Q, 0, 24, 48 },
	{ CASES "qwen3_5_moe", "self_attn.q_proj.weight", 2, MODEL_NO_EXPERT, 144, SLOT_OUT_GATE, 24, 24, 48 },
	{ CASES "qwen3_5_moe", "mlp.experts.gate_up_proj", 1, 0, 12, SLOT_GATE, 0, 6, 12 },
	{ CASES "qwen3_5_moe", "mlp.experts.gate_up_proj", 1, 6, 12, SLOT_UP, 6, 6, 12 },
	{ CASES "qwen3_5_moe", "mlp.experts.down_proj", 1, 5, 30, SLOT_DOWN, 0, 30, 30 },
	{ CASES "granitemoeshared", "shared_mlp.input_linear.weight", 1, MODEL_NO_EXPERT, 30, SLOT_UP,
	  15, 15, 30 },
	{ CASES "granitemoeshared", "block_sparse_moe.input_linear.weight", 2, 8, 18, SLOT_UP, 9, 9, 18 },
	{ CASES "gpt_oss_mxfp4", "self_attn.q_proj.weight", 1, MODEL_NO_EXPERT, 0, SLOT_Q, 0, 1, 1 },
};

static const struct kernel_matrix *matrix_at(const struct layer_weights *w, enum model_slot slot,
                                             uint32_t expert)
{
	const struct ffn_weights *f = expert == MODEL_NO_EXPERT ? &w->ffn : &w->expert[expert];
	return slot == SLOT_GATE   ? &f->gate
	       : slot == SLOT_UP   ? &f->up
	       : slot == SLOT_DOWN ? &f->down
	                           : &w->matrix[slot];
}

static void compare_split(size_t i, enum model_packing packing)
{
	struct loaded m;
	struct source *s;
	struct model_tensors *t;
	struct err e = { 0 };
	const struct model_tensor *found = NULL;
	char part[200];
	loaded_folder(&m, splits[i].dir, packing, 3);
	cr_assert_eq(source_open_folder(&s, splits[i].dir, &e), 0);
	cr_assert_eq(model_tensors_open(&t, s, &e), 0, "%s", e.text);
	snprintf(part, sizeof part, "layers.%u.%s", splits[i].layer, splits[i].name);
	for (size_t j = 0; j < model_tensors_count(t) && !found; j++)
		found = strstr(model_tensors_at(t, j)->name, part) ? model_tensors_at(t, j) : NULL;
	cr_assert_not_null(found, "%s", part);
	const struct kernel_matrix *w = matrix_at(&cpu_of(m.backend)->weights.layer[splits[i].layer],
	                                          splits[i].slot, splits[i].expert);
	cr_assert(w->panel != NULL && w->rows > 0, "%s", part);
	size_t row = model_dtype_bytes(found->dtype, w->columns);
	uint64_t base = splits[i].expert == MODEL_NO_EXPERT ? 0 : (uint64_t)splits[i].expert * splits[i].rows;
	unsigned char *bytes = malloc(row);
	float *truth = malloc(w->columns * sizeof *truth);
	for (uint32_t r = 0; r < w->rows; r++) {
		uint64_t from = base + r / splits[i].take * splits[i].period + splits[i].first + r % splits[i].take;
		cr_assert_eq(source_read(s, found->file, found->begin + from * row, bytes, row, &e), 0, "%s", e.text);
		model_dtype_widen(found->dtype, bytes, w->columns, truth);
		compare_row(found->name, w, r, truth);
	}
	free(truth);
	free(bytes);
	model_tensors_close(t);
	source_close(s);
	loaded_close(&m);
}

Test(engine_packing, rows_of_a_split_tensor_go_to_their_matrices)
{
	static const enum model_packing all[] = { MODEL_PACKING_STORED, MODEL_PACKING_BF16, MODEL_PACKING_Q8,
		MODEL_PACKING_Q4 };
	for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
		for (size_t p = 0; p < sizeof all / sizeof all[0]; p++)
			compare_split(i, all[p]);
	}
}

/* What wide matrices, the head and the rest become. */
static const struct { enum model_packing weights; enum kernel_format wide, head; } asked[] = {
	{ MODEL_PACKING_BF16, KERNEL_BF16, KERNEL_BF16 },
	{ MODEL_PACKING_Q8, KERNEL_Q8, KERNEL_Q8 },
	{ MODEL_PACKING_Q4, KERNEL_Q4, KERNEL_Q8 },
	{ MODEL_PACKING_STORED, KERNEL_FORMATS, KERNEL_FORMATS },
};

static void compare_model(const char *dir, enum kernel_format stored, enum kernel_format embed, size_t i)
{
	struct loaded m;
	struct source *s;
	struct model_tensors *t;
	struct err e = { 0 };
	bool as_is = asked[i].weights == MODEL_PACKING_STORED;
	loaded_folder(&m, dir, asked[i].weights, 2);
	const struct cpu_weights *w = &cpu_of(m.backend)->weights;
	cr_assert_eq(source_open_folder(&s, dir, &e), 0);
	cr_assert_eq(model_tensors_open(&t, s, &e), 0, "%s", e.text);
	const struct layer_weights *whole = &w->layer[m.config.layers];
	const struct kernel_matrix *o = &w->layer[0].matrix[SLOT_O];
	const struct kernel_matrix *embed_of = &whole->matrix[SLOT_EMBED], *head = &whole->matrix[SLOT_HEAD];
	cr_assert_eq(o->format, as_is ? stored : asked[i].wide, "%s: %s", dir, kernel_format_name(o->format));
	cr_assert_eq(head->format, as_is ? embed : asked[i].head, "%s", dir);
	const struct kernel_matrix *rows = embed_of->panel != NULL ? embed_of : head;
	cr_assert(as_is || asked[i].weights == MODEL_PACKING_BF16 || rows->format == embed, "%s", dir);
	compare(dir, t, "model.layers.0.self_attn.o_proj.weight", o);
	compare(dir, t, "model.embed_tokens.weight", rows);
	compare(dir, t, m.config.tied || model_tensors_find(t, "lm_head.weight") == NULL
	        ? "model.embed_tokens.weight" : "lm_head.weight", head);
	if (m.config.names == NULL && m.config.layer[2].ffn != MODEL_FFN_DENSE) {
		compare(dir, t, "model.layers.2.mlp.experts.3.down_proj.weight", &w->layer[2].expert[3].down);
		cr_assert_eq(w->layer[2].matrix[SLOT_ROUTER].format, embed, "%s", dir);
	}
	cr_assert_str_eq(model_formats_name(&m.formats), kernel_format_name(o->format), "%s: %s", dir,
	                 model_formats_name(&m.formats));
	model_tensors_close(t);
	source_close(s);
	loaded_close(&m);
}

Test(engine_packing, every_stored_type_becomes_every_format)
{
	static const struct { const char *dir; enum kernel_format stored, embed; } dirs[] = {
		{ CASES "deepseek_v2_lite", KERNEL_F32, KERNEL_F32 },
		{ CASES "deepseek_v2_lite_bf16", KERNEL_BF16, KERNEL_BF16 },
		{ CASES "llama", KERNEL_F32, KERNEL_F32 },
		{ CASES "deepseek_v3_fp8", KERNEL_FP8, KERNEL_BF16 },
		{ "demo/model", KERNEL_BF16, KERNEL_BF16 },
		{ "demo/fork-travel-fp8", KERNEL_FP8, KERNEL_BF16 },
	};
	for (size_t d = 0; d < sizeof dirs / sizeof dirs[0]; d++) {
		for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
			compare_model(dirs[d].dir, dirs[d].stored, dirs[d].embed, i);
	}
}

/* The bf16 case, read as if its bits were halves: other numbers, all finite. */
Test(engine_packing, halves_stay_halves_and_quantise)
{
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		const struct loading how = { .packing = asked[i].weights, .threads = 2 };
		struct memory_source s;
		struct model_tensors *t;
		struct loaded m;
		struct err e = { 0 };
		memory_load(&s, CASES "deepseek_v2_lite_bf16");
		for (size_t f = 0; f < s.count; f++) {
			char *at, *from = s.file[f].bytes.bytes;
			size_t len = s.file[f].bytes.len;
			while ((at = memmem(from, len, "\"BF16\"", 6)) != NULL)
				memcpy(at, "\"F16\" ", 6);
		}
		cr_assert_eq(loaded_open(&m, &how, &s.source, &e), 0, "%s", e.text);
		cr_assert_eq(model_tensors_open(&t, &s.source, &e), 0, "%s", e.text);
		const struct cpu_weights *all = &cpu_of(m.backend)->weights;
		const struct kernel_matrix *w = &all->layer[0].matrix[SLOT_O];
		cr_assert_eq(w->format, asked[i].wide == KERNEL_FORMATS ? KERNEL_F16 : asked[i].wide);
		compare("halves", t, "model.layers.0.self_attn.o_proj.weight", w);
		compare("halves", t, "model.embed_tokens.weight", &all->layer[m.config.layers].matrix[SLOT_EMBED]);
		model_tensors_close(t);
		loaded_close(&m);
		memory_free(&s);
	}
}

/* ---- values that are none ---- */

static int open_memory(struct memory_source *m, struct err *e)
{
	const struct loading how = { .threads = 1 };
	struct loaded model;
	TRY(loaded_open(&model, &how, &m->source, e));
	loaded_close(&model);
	return 0;
}

Test(engine_packing, non_finite_values_are_reported_by_place)
{
	struct memory_source m;
	struct err e = { 0 };
	memory_load(&m, CASES "deepseek_v2_lite_bf16");
	for (size_t i = 0; i < m.count; i++) {
		/* the last value of the last tensor */
		if (strcmp(m.file[i].name, "model.safetensors") == 0) {
			m.file[i].bytes.bytes[m.file[i].bytes.len - 1] = 0x7f;
			m.file[i].bytes.bytes[m.file[i].bytes.len - 2] = (char)0x80;
		}
	}
	cr_assert_eq(open_memory(&m, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text,
	                          "tensor model.norm.weight has a non-finite value at row 0, column 51"),
	                          "%s", e.text);
	memory_free(&m);
}

Test(engine_packing, block_scales_that_are_no_number_are_refused)
{
	struct memory_source m;
	struct model_tensors *t;
	struct err e = { 0 };
	memory_load(&m, CASES "gpt_oss_mxfp4");
	cr_assert_eq(model_tensors_open(&t, &m.source, &e), 0, "%s", e.text);
	uint64_t at = model_tensors_find(t, "model.layers.1.mlp.experts.down_proj_scales")->begin;
	model_tensors_close(t);
	for (size_t i = 0; i < m.count; i++) {
		if (strcmp(m.file[i].name, "model.safetensors") == 0)
			m.file[i].bytes.bytes[at + 5] = (char)0xff;
	}
	cr_assert_eq(open_memory(&m, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "layers.1.mlp.experts.down_proj_blocks has a non-finite value"),
	                   "%s", e.text);
	memory_free(&m);
}

/* ---- bytes ---- */

static void add(struct sha256 *h, const struct kernel_matrix *w)
{
	if (w->panel == NULL)
		return;
	sha256_add(h, w->panel, kernel_panels(w) * w->panel_bytes);
	if (w->scale != NULL)
		sha256_add(h, w->scale, ((w->rows + 127) / 128) * (size_t)((w->columns + 127) / 128) * 4);
}

static void add_ffn(struct sha256 *h, const struct ffn_weights *w)
{
	add(h, &w->gate);
	add(h, &w->up);
	add(h, &w->down);
}

static struct digest packed(const struct loaded *m)
{
	const struct model_config *c = &m->config;
	const struct cpu_weights *all = &cpu_of(m->backend)->weights;
	struct sha256 *h;
	struct err e = { 0 };
	cr_assert_eq(sha256_open(&h, &e), 0);
	for (uint32_t i = 0; i <= c->layers; i++) {
		const struct layer_weights *w = &all->layer[i];
		for (size_t j = 0; j < MODEL_SLOTS; j++)
			add(h, &w->matrix[j]);
		for (uint32_t j = 0; w->key_up != NULL && j < c->layer[i].heads; j++) {
			add(h, &w->key_up[j]);
			add(h, &w->value_up[j]);
		}
		add_ffn(h, &w->ffn);
		for (uint32_t j = 0; w->expert != NULL && j < c->gate.experts; j++)
			add_ffn(h, &w->expert[j]);
		if (i < c->layers)
			sha256_add(h, w->vector[SLOT_ATTN_NORM], c->hidden * sizeof(float));
	}
	struct digest d = sha256_take(h);
	sha256_close(h);
	return d;
}

Test(engine_packing, threads_change_no_packed_byte)
{
	static const char *const dirs[] = { "demo/model", CASES "deepseek_v3", CASES "deepseek_v3_fp8",
		CASES "gpt_oss", CASES "gpt_oss_mxfp4", CASES "qwen2_moe" };
	for (size_t d = 0; d < sizeof dirs / sizeof dirs[0]; d++) {
		for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
			struct loaded one, more;
			loaded_folder(&one, dirs[d], asked[i].weights, 1);
			loaded_folder(&more, dirs[d], asked[i].weights, 3);
			struct digest a = packed(&one), b = packed(&more);
			cr_assert(digest_equal(&a, &b), "%s, %zu", dirs[d], i);
			a = loaded_choice(&one), b = loaded_choice(&more);
			cr_assert(digest_equal(&a, &b));
			loaded_close(&one);
			loaded_close(&more);
		}
	}
}

Test(engine_packing, the_choice_names_what_was_packed)
{
	struct digest last[4];
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		struct loaded m;
		loaded_folder(&m, CASES "deepseek_v2_lite", asked[i].weights, 1);
		last[i] = loaded_choice(&m);
		for (size_t j = 0; j < i; j++)
			cr_assert_not(digest_equal(&last[j], &last[i]), "%zu %zu", j, i);
		loaded_close(&m);
	}
}

/* ---- memory ---- */

Test(engine_packing, too_little_memory_is_refused_before_reading)
{
	const struct loading how = { .threads = 1, .memory_max = MIB(12) };
	struct source *s;
	struct loaded m;
	struct err e = { 0 };
	cr_assert_eq(source_open_folder(&s, "demo/model", &e), 0);
	cr_assert_eq(loaded_open(&m, &how, s, &e), ERR_NOMEM);
	cr_assert_not_null(strstr(e.text, "0.01 GB are allowed: try --weights q8 or q4"), "%s", e.text);
	source_close(s);
}

static uint64_t high_water(void)
{
	char line[200];
	uint64_t kib = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtoull(line + 6, NULL, 10);
	if (f != NULL)
		fclose(f);
	return kib * 1024;
}

Test(engine_packing, invented_weights_take_no_memory_beside_them)
{
	const struct loading how = { .packing = MODEL_PACKING_Q4, .threads = 2 };
	const struct loading alone = { .packing = MODEL_PACKING_Q4, .threads = 1 };
	struct loaded m, again;
	struct err e = { 0 };
	uint64_t before = high_water();
	cr_assert_eq(loaded_invent(&m, &how, "olmoe", 1, 7, &e), 0, "%s", e.text);
	uint64_t weights = m.backend->weight_bytes;
	cr_assert(weights > 500000000 && weights < 700000000, "%llu", (unsigned long long)weights);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	cr_assert_lt((double)(high_water() - before), 1.15 * (double)weights);
#else
	(void)before;
#endif
	struct digest a = packed(&m);
	loaded_close(&m);
	cr_assert_eq(loaded_invent(&again, &alone, "olmoe", 1, 7, &e), 0, "%s", e.text);
	struct digest b = packed(&again);
	cr_assert(digest_equal(&a, &b));
	loaded_close(&again);
	cr_assert_eq(loaded_invent(&m, &how, "olmo", 1, 7, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "deepseek-v2-lite"), "%s", e.text);
	cr_assert_eq(loaded_invent(&m, &how, "olmoe", 17, 7, &e), ERR_INPUT);
}
