/* The plan of a model's weights, and that reading brings each byte of it once. */
#include "keeper.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"

/* Native order of phases: what others need has come before them. */
static void check_record(const struct recorder *r)
{
	for (size_t i = 0; i < r->items; i++) {
		const struct model_item *it = &r->plan->item[i];
		const struct record *is = &r->record[i], *of = &r->record[it->parent];
		cr_assert_not_null(it->tensor);
		for (uint64_t j = 0; j < is->len; j++)
			cr_assert_eq(is->times[j], 1, "%s: byte %llu came %u times", it->tensor->name,
			             (unsigned long long)j, is->times[j]);
		if (r->plan->threads > 1)
			continue;
		if (it->kind == ITEM_BLOCK_SCALES)
			cr_assert_lt(is->first, of->first, "%s", it->tensor->name);
		if (it->kind == ITEM_TIED)
			cr_assert_gt(is->first, of->first, "%s", it->tensor->name);
	}
	cr_assert_eq(r->odd, 0, "%llu fills were not of whole units", (unsigned long long)r->odd);
}

Test(model_plan, every_byte_of_every_tensor_comes_once_in_whole_units)
{
	static const char *const dirs[] = { CASES "deepseek_v2", CASES "deepseek_v3_fp8", CASES "gpt_oss",
		CASES "gpt_oss_mxfp4", CASES "qwen2_moe", CASES "llama", CASES "granitemoeshared", CASES "qwen3_5_moe",
		CASES "gemma4_moe", CASES "bailing_hybrid", "demo/model" };
	for (size_t d = 0; d < sizeof dirs / sizeof dirs[0]; d++) {
		for (unsigned threads = 1; threads <= 3; threads += 2) {
			struct recorder r = { .at_end = check_record };
			struct source *s;
			struct err e = { 0 };
			cr_assert_eq(source_open_folder(&s, dirs[d], &e), 0, "%s", e.text);
			cr_assert_eq(recorder_read(&r, s, threads, &e), 0, "%s: %s", dirs[d], e.text);
			cr_assert(r.finished && r.fills >= r.items, "%s", dirs[d]);
			recorder_close(&r);
			source_close(s);
		}
	}
}

static bool share_slot(const struct model_item *a, const struct model_item *b)
{
	for (uint32_t i = 0; i < a->parts; i++) {
		for (uint32_t j = 0; j < b->parts; j++) {
			if (a->part[i].slot == b->part[j].slot)
				return true;
		}
	}
	return false;
}

/* A slot is filled by one item; of a layer, and of an expert. */
static void check_slots(const struct recorder *r)
{
	for (size_t i = 0; i < r->items; i++) {
		const struct model_item *a = &r->plan->item[i];
		cr_assert_lt(a->layer, r->config.layers);
		for (size_t j = 0; j < i; j++) {
			const struct model_item *b = &r->plan->item[j];
			cr_assert_not(share_slot(a, b) && a->layer == b->layer && a->expert == b->expert &&
			              a->stack == b->stack && a->kind == b->kind, "items %zu and %zu", i, j);
		}
	}
}

Test(model_plan, no_two_tensors_have_one_place)
{
	static const char *const shapes[] = { "deepseek-v2-lite", "gpt-oss-20b", "qwen3.5-35b-a3b", "gemma3-27b" };
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		struct recorder r = { .at_end = check_slots };
		struct err e = { 0 };
		cr_assert_eq(recorder_invent(&r, shapes[i], &e), 0, "%s", e.text);
		cr_assert_eq(r.fills, r.items);
		recorder_close(&r);
	}
}

Test(model_plan, a_keeper_that_has_no_place_gets_nothing)
{
	struct recorder r = { .refuse = ERR_NOMEM };
	struct memory_source m;
	struct err e = { 0 };
	memory_load(&m, CASES "llama");
	cr_assert_eq(recorder_read(&r, &m.source, 1, &e), ERR_NOMEM);
	cr_assert_str_eq(e.text, "no place");
	cr_assert(r.fills == 0 && !r.finished);
	recorder_close(&r);
	memory_free(&m);
}
