#include "oracle.h"
#include "support.h"

#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const cases[] = {
	"deepseek_v32", "glm_moe_dsa", "glm_moe_dsa_shared", "llama4_text", "longcat_flash", "mimo_v2_flash",
	"deepseek_v2_lite", "deepseek_v2_lite_bf16", "deepseek_v2", "deepseek_v3", "deepseek_v3_negbias",
	"deepseek_v3_long", "deepseek_v3_fp8", "llama", "llama_v5cfg", "llama_linear", "qwen2", "qwen3",
	"mistral", "qwen3_moe", "qwen3_moe_v5cfg", "qwen2_moe", "mixtral", "olmoe", "glm4_moe", "gpt_oss",
	"gpt_oss_mxfp4",
	/* routers, names and layouts of experts of their own; recurrent layers */
	"glm4_moe_lite", "dots1", "minimax_m2", "ernie4_5_moe", "hunyuan_v1_moe", "granitemoeshared",
	"qwen3_5_moe", "gemma4_moe", "bailing_hybrid",
	/* norms, residuals, rotary tables, activations and scales of their own */
	"gemma2", "gemma4", "cohere2", "gpt_neox", "olmo3", "nemotron", "apertus", "phi3_longrope",
};

#define LOGITS_MOST (88 * 240)
#define EXPERTS_MOST (4 * 88 * 4)

/* Row b of the batch through one pass: logits and experts against the oracle. */
static void check_row(struct engine *m, const struct oracle *o, uint32_t b, const char *what)
{
	static float logits[LOGITS_MOST];
	static uint16_t expert[EXPERTS_MOST];
	struct engine_sequence *s;
	struct err e = { 0 };
	double worst = 0;
	cr_assert(o->length * o->vocab <= LOGITS_MOST && o->moe_layers * o->length * o->top_k <=
	          EXPERTS_MOST);
	cr_assert_eq(engine_sequence_open(&s, m, o->length, &e), 0, "%s", e.text);
	struct engine_feed f = { .sequence = s, .token = (const uint32_t *)(o->input + b * o->length),
		.count = o->length,
		.logits = logits, .all = true, .expert = expert };
	cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s", e.text);
	for (uint32_t i = 0; i < o->length * o->vocab; i++)
		worst = fmax(worst, fabs((double)logits[i] - o->logits[(size_t)b * o->length * o->vocab +
			i]));
	double bound = strstr(what, "fp8") != NULL ? 3e-4 : 1e-4;
	cr_assert_leq(worst, bound * o->logit_std, "%s: off by %g of the logits' deviation", what,
	              worst / o->logit_std);
	for (uint32_t l = 0; l < o->moe_layers; l++) {
		for (uint32_t i = 0; i < o->length * o->top_k; i++)
			cr_assert_eq(expert[l * o->length * o->top_k + i],
			             o->expert[((size_t)l * o->batch + b) * o->length * o->top_k + i],
			             "%s: MoE layer %u, token %u, rank %u", what, l, i / o->top_k,
			             i % o->top_k);
	}
	engine_sequence_close(s);
}

static void check_greedy(struct engine *m, const struct oracle *o, uint32_t b, const char *what)
{
	static float logits[240];
	struct engine_sequence *s;
	struct err e = { 0 };
	struct engine_sampling greedy = { .top_p = 1 };
	uint32_t id;
	cr_assert_eq(engine_sequence_open(&s, m, o->prefix + o->greedy_count, &e), 0, "%s", e.text);
	struct engine_feed f = { .sequence = s, .token = (const uint32_t *)(o->input + b * o->length),
		.count = o->prefix,
		.logits = logits };
	for (uint32_t i = 0; i < o->greedy_count; i++) {
		cr_assert_eq(engine_forward(m, &f, 1, &e), 0, "%s", e.text);
		id = engine_sample(NULL, logits, o->vocab, o->vocab, &greedy, 0, NULL);
		cr_assert_eq(id, o->greedy[b * o->greedy_count + i], "%s: token %u", what, i);
		f.token = &id;
		f.count = 1;
	}
	engine_sequence_close(s);
}

Test(engine_oracles, logits_experts_and_greedy_tokens_agree_with_every_kernel_set)
{
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		struct oracle o;
		oracle_open(&o, cases[c]);
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			char what[100];
			snprintf(what, sizeof what, "%s with %s", cases[c], kernels_at(k)->name);
			struct engine *m = open_model(o.dir, kernels_at(k)->name, 2);
			for (uint32_t b = 0; b < o.batch; b++) {
				check_row(m, &o, b, what);
				check_greedy(m, &o, b, what);
			}
			engine_close(m);
		}
		oracle_close(&o);
	}
}
