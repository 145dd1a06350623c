/* Random weights for models of a published shape, and their configs. */
#include "model/synthetic.h"

#include "model/config_shapes.h"

#include <stdio.h>
#include <string.h>

#define EXPONENTS 16 /* standard deviations 2^0 to 2^-15 */

/* ---- values ---- */

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Approximately normal with variance 1: the sum of four uniform 16-bit numbers. */
static float normal(uint64_t bits)
{
	uint32_t sum = (uint32_t)(bits & 0xffff) + (uint32_t)(bits >> 16 & 0xffff) +
		       (uint32_t)(bits >> 32 & 0xffff) + (uint32_t)(bits >> 48);
	return ((float)sum - 131070.0f) * (1.0f / 37837.0f);
}

uint32_t model_sample_pick(uint64_t seed, uint64_t key, uint32_t panel)
{
	return (uint32_t)(mix(mix(mix(seed) ^ mix(key)) + panel) % MODEL_SAMPLES);
}

/* The power of two nearest to 1/sqrt(columns). Two exceptions: embeddings, which are looked up and
 * not summed, and the router, whose scores are spread wider. */
unsigned model_sample_exponent(enum weight_class class, uint32_t columns)
{
	unsigned e = 0;
	if (class == WEIGHT_EMBED)
		return 0;
	while (e + 1 < EXPONENTS && (uint64_t)2 << (2 * e) < columns)
		e++;
	return class == WEIGHT_ROUTER && e > 0 ? e - 1 : e;
}

void model_sample_rows(uint64_t seed, uint32_t sample, unsigned exponent, uint32_t columns,
		       float *value)
{
	uint64_t s = mix(seed), first = (uint64_t)sample * KERNEL_PANEL * columns;
	for (size_t i = 0; i < (size_t)KERNEL_PANEL * columns; i++)
		value[i] = normal(mix(s ^ mix(first + i))) / (float)(1u << exponent);
}

/* The mean magnitude of E2M1 codes is about 3, so that their scale is smaller by that factor. */
void model_sample_mxfp4(uint64_t seed, uint32_t sample, unsigned exponent, uint32_t columns,
			unsigned char *bytes)
{
	size_t block = columns / 2, scale = columns / KERNEL_GROUP;
	uint64_t s = mix(seed), row = (uint64_t)sample * KERNEL_PANEL;
	unsigned char *scales = bytes + KERNEL_PANEL * block;
	for (size_t i = 0; i < KERNEL_PANEL * block; i++)
		bytes[i] = (unsigned char)mix(s ^ mix(row * block + i));
	for (size_t i = 0; i < KERNEL_PANEL * scale; i++)
		scales[i] = (unsigned char)(127 - 1 - exponent - (mix(i ^ row ^ s) & 1));
}

/* Magnitudes from 1/4 to 15/8. */
void model_sample_e4m3(uint64_t seed, uint32_t sample, uint32_t columns, unsigned char *bytes)
{
	uint64_t s = mix(seed), first = (uint64_t)sample * KERNEL_PANEL * columns;
	for (size_t i = 0; i < (size_t)KERNEL_PANEL * columns; i++) {
		uint64_t bits = mix(s ^ mix(first + i));
		bytes[i] = (unsigned char)((bits & 0x87) | (5 + (bits >> 8) % 3) << 3);
	}
}

void model_sample_floats(uint64_t seed, uint64_t key, bool gain, size_t n, float *out)
{
	uint64_t s = mix(seed) ^ mix(key);
	for (size_t i = 0; i < n; i++)
		out[i] = gain ? 1 : 0.02f * normal(mix(s ^ i));
}

/* ---- configs ---- */

#define IN_FP8 "-fp8"

/* The shape of a name, or of the part of it before -fp8, which blocks then says. */
static const struct shape *shape_of(const char *name, bool *blocks)
{
	size_t len = strlen(name), more = strlen(IN_FP8);
	*blocks = len > more && strcmp(name + len - more, IN_FP8) == 0;
	len -= *blocks ? more : 0;
	for (size_t i = 0; model_shape_at(i) != NULL; i++) {
		const struct shape *s = model_shape_at(i);
		if (strlen(s->name) == len && memcmp(s->name, name, len) == 0)
			return s;
	}
	return NULL;
}

int model_config_shape(struct model_config *c, const char *shape, uint32_t layers, bool as_is,
		       struct err *e)
{
	static const char fp8[] = ",\"quantization_config\":{\"quant_method\":\"fp8\","
				  "\"weight_block_size\":[128,128]}";
	struct buf text = { 0 };
	char head[60];
	bool blocks;
	const struct shape *s = shape_of(shape, &blocks);
	if (s == NULL)
		return err_set(e, ERR_INPUT,
			       "no shape %.60s: there are deepseek-v2-lite, qwen3-30b-a3b, "
			       "mixtral-8x7b, olmoe, gpt-oss-20b, qwen3.5-35b-a3b, minimax-m2 "
			       "and gemma3-27b, and each with -fp8 behind its name",
			       shape);
	if (layers > s->layers)
		return err_set(e, ERR_INPUT, "%u layers asked for, %s has %u", layers, s->name,
			       s->layers);
	snprintf(head, sizeof head, "{\"num_hidden_layers\":%u,", layers == 0 ? s->layers : layers);
	buf_add_text(&text, head);
	buf_add_text(&text, s->config);
	buf_add_text(&text, !as_is ? "" : blocks ? fp8 : s->as_is);
	buf_add_text(&text, "}");
	int r = buf_done(&text, e);
	if (r == 0)
		r = model_config_parse(c, text.bytes, text.len, NULL, 0, e);
	buf_free(&text);
	return r;
}
