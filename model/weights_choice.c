/* Which format the values of a tensor get.
 *
 *   class                          stored      bf16        q8          q4
 *   attention, dense, shared,
 *   expert                         as stored   bf16        q8          q4
 *   head                           as stored   bf16        q8          q8
 *   embed, router, latent, vector  as stored in every case; latents and routers in FP8 or in
 *                                  blocks, and embeddings in blocks that no format keeps: f32
 *                                  when "stored" is asked for, else bf16
 *
 * MXFP4 is narrower than q8 and q4 and stays under both; so does Q4_0. As stored: F32 and F64 ->
 * f32, BF16 -> bf16, F16 -> f16, F8_E4M3 with its block scales -> fp8, MXFP4 -> mxfp4, Q8_0 -> q8,
 * Q4_0 -> q4, other blocks -> f32; vectors are f32. */
#include "model/weights_loader.h"

#include <stdio.h>

static enum kernel_format as_stored(enum model_dtype d)
{
	switch (d) {
	case MODEL_BF16:
		return KERNEL_BF16;
	case MODEL_F16:
		return KERNEL_F16;
	case MODEL_F8_E4M3:
		return KERNEL_FP8;
	case MODEL_U8:
	case MODEL_MXFP4:
		return KERNEL_MXFP4;
	case MODEL_Q8_0:
		return KERNEL_Q8;
	case MODEL_Q4_0:
		return KERNEL_Q4;
	default:
		return KERNEL_F32;
	}
}

enum kernel_format model_plan_format(const struct loader *l, enum weight_class class,
				     enum model_dtype stored)
{
	enum model_packing want = l->order->packing;
	enum kernel_format f = as_stored(stored);
	if (class == WEIGHT_VECTOR)
		return KERNEL_F32;
	bool block = model_dtype_block(stored) > 1;
	bool inner = class == WEIGHT_LATENT || class == WEIGHT_ROUTER;
	if ((class == WEIGHT_LATENT && f == KERNEL_FP8) || (block && inner) ||
	    (block && class == WEIGHT_EMBED && f == KERNEL_F32))
		return want == MODEL_PACKING_STORED ? KERNEL_F32 : KERNEL_BF16;
	if (class == WEIGHT_EMBED || class == WEIGHT_ROUTER || class == WEIGHT_LATENT)
		return f;
	if (want == MODEL_PACKING_STORED)
		return f;
	if (want == MODEL_PACKING_BF16)
		return KERNEL_BF16;
	if (f == KERNEL_MXFP4 || f == KERNEL_Q4)
		return f;
	return want == MODEL_PACKING_Q4 && class != WEIGHT_HEAD ? KERNEL_Q4 : KERNEL_Q8;
}

enum kernel_format model_item_format(const struct model_item *it, enum model_packing want)
{
	bool chosen = it->class == WEIGHT_HEAD || it->class == WEIGHT_ATTENTION ||
		      it->class == WEIGHT_DENSE || it->class == WEIGHT_SHARED ||
		      it->class == WEIGHT_EXPERT;
	if (!chosen || it->format == KERNEL_MXFP4 || it->format == KERNEL_Q4 ||
	    (want != MODEL_PACKING_Q8 && want != MODEL_PACKING_Q4))
		return it->format;
	return want == MODEL_PACKING_Q4 && it->class != WEIGHT_HEAD ? KERNEL_Q4 : KERNEL_Q8;
}

const char *model_formats_name(const struct model_formats *has)
{
	int best = 0;
	for (int f = 1; f < KERNEL_FORMATS; f++)
		best = has->values[f] > has->values[best] ? f : best;
	return kernel_format_name((enum kernel_format)best);
}

struct digest model_formats_choice(const struct model_formats *has, const char *cache,
				   const char *kernels, const char *numerics,
				   const char *layout)
{
	static const char *const names[WEIGHT_CLASSES] = {
		[WEIGHT_EMBED] = "embed",         [WEIGHT_HEAD] = "head",
		[WEIGHT_ATTENTION] = "attention", [WEIGHT_LATENT] = "latent",
		[WEIGHT_DENSE] = "dense",         [WEIGHT_SHARED] = "shared",
		[WEIGHT_EXPERT] = "expert",       [WEIGHT_ROUTER] = "router",
		[WEIGHT_VECTOR] = "vector",
	};
	char line[200];
	struct buf text = { 0 };
	buf_add_text(&text, "hallmark choice 1\n");
	for (int c = 0; c < WEIGHT_CLASSES; c++) {
		for (int f = 0; f < KERNEL_FORMATS; f++) {
			if ((has->used[c] & 1u << f) == 0)
				continue;
			snprintf(line, sizeof line, "%s %s\n", names[c],
				 kernel_format_name((enum kernel_format)f));
			buf_add_text(&text, line);
		}
	}
	snprintf(line, sizeof line, "cache %s\nkernels %s\nnumerics %s\n", cache, kernels,
		 numerics);
	buf_add_text(&text, line);
	if (layout)
		buf_printf(&text, "layout %s\n", layout);
	struct digest d = digest_of(text.bytes, text.len);
	buf_free(&text);
	return d;
}
