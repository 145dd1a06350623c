/* The words for how the engine computes, and the engine's own choices. */
#include "serve/compute.h"

#include <stdlib.h>
#include <string.h>

#define GPUS_MAX 64

static const char *const weights[] = { [MODEL_PACKING_STORED] = "stored",
				       [MODEL_PACKING_BF16] = "bf16",
				       [MODEL_PACKING_Q8] = "q8",
				       [MODEL_PACKING_Q4] = "q4",
				       NULL };
static const char *const cache[] = {
	[ENGINE_CACHE_F32] = "f32", [ENGINE_CACHE_BF16] = "bf16", [ENGINE_CACHE_INT8] = "int8", NULL
};
static const char *const numerics[] = { "canonical", "fast", NULL };

/* The place of a name in a NULL-terminated list; NULL is the first. */
static int choose(const char *what, const char *given, const char *const *names, int *out,
		  struct err *e)
{
	struct buf all = { 0 };
	for (*out = 0; given && names[*out] && strcmp(given, names[*out]) != 0; ++*out)
		buf_printf(&all, "%s%s", *out ? ", " : "", names[*out]);
	bool known = names[*out] != NULL;
	int rc = known ? 0
		       : err_set(e, ERR_USAGE, "%s %.40s: expected one of %s", what, given,
				 all.bytes ? all.bytes : "");
	buf_free(&all);
	return rc;
}

/* "cuda" may have ":N" behind it, and then ",cpu": where there is no such GPU. */
static int device_read(const char *given, enum engine_device *out, uint32_t *gpu, struct err *e)
{
	const char *rest;
	char *end;
	*gpu = 0;
	*out = ENGINE_CPU;
	if (given == NULL || strcmp(given, "cpu") == 0)
		return 0;
	*out = ENGINE_AUTO;
	if (strcmp(given, "auto") == 0)
		return 0;
	rest = strncmp(given, "cuda", 4) == 0 ? given + 4 : "?";
	if (rest[0] == ':' && rest[1] >= '0' && rest[1] <= '9') {
		unsigned long n = strtoul(rest + 1, &end, 10);
		rest = n < GPUS_MAX ? end : "?";
		*gpu = (uint32_t)n;
	}
	*out = *rest == '\0' ? ENGINE_CUDA : ENGINE_CUDA_ELSE_CPU;
	if (*rest == '\0' || strcmp(rest, ",cpu") == 0)
		return 0;
	return err_set(e, ERR_USAGE,
		       "--device %.40s: expected auto, cpu, cuda, cuda:N, or cuda,cpu for the CPU "
		       "where there is no GPU",
		       given);
}

int serve_compute_read(const struct serve_compute *o, struct engine_options *out, struct err *e)
{
	enum engine_device device;
	uint32_t gpu;
	int w, k, n;
	TRY(device_read(o->device, &device, &gpu, e));
	TRY(choose("--weights", o->weights, weights, &w, e));
	TRY(choose("--cache", o->cache, cache, &k, e));
	TRY(choose("--numerics", o->numerics, numerics, &n, e));
	*out = (struct engine_options){
		.threads = o->threads,
		.device = device,
		.gpu = gpu,
		.fast = n == 1,
		.weights = (enum model_packing)w,
		.cache = (enum engine_cache)k,
		.cache_bytes = o->cache_bytes,
		.memory_max = o->memory_max,
	};
	return 0;
}

const char *serve_weights_name(enum model_packing w) { return weights[w]; }
const char *serve_cache_name(enum engine_cache c) { return cache[c]; }
