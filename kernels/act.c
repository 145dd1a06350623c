/* Activations of feed-forward networks: canonical forms. */
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>

static float silu(float x, const float *parameter)
{
	(void)parameter;
	return x / (1.0f + number_exp(0.0f - x));
}

/* x/2 (1 + tanh(u)) = x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3) */
static float gelu_tanh(float x, const float *parameter)
{
	(void)parameter;
	float u = x * fmaf(x * x, ACT_GELU_CUBE, ACT_GELU_LINE);
	return x / (1.0f + number_exp(u));
}

static float gelu(float x, const float *parameter)
{
	(void)parameter;
	return x * 0.5f * (1.0f + number_erf(x * ACT_HALF_ROOT));
}

static float relu2(float x, const float *parameter)
{
	(void)parameter;
	float y = x < 0.0f ? 0.0f : x;
	return y * y;
}

/* Source: arXiv 2411.13010. */
static float xielu(float x, const float *parameter)
{
	float line = parameter[2] * x, least = x > parameter[3] ? parameter[3] : x;
	if (!(x > 0.0f))
		return fmaf(parameter[1], number_expm1(least) - x, line);
	return fmaf(parameter[0] * x, x, line);
}

#define ACT(name)                                                                                  \
	void kernel_act_##name##_plain(float *x, const float *up, uint32_t n,                      \
				       const float *parameter)                                     \
	{                                                                                          \
		for (uint32_t i = 0; i < n; i++) {                                                 \
			float y = name(x[i], parameter);                                           \
			x[i] = up == NULL ? y : y * up[i];                                         \
		}                                                                                  \
	}
ACT(silu)
ACT(gelu_tanh)
ACT(gelu)
ACT(relu2)
ACT(xielu)

void kernel_act_clamped_plain(float *x, const float *up, uint32_t n, const float *parameter)
{
	(void)parameter;
	for (uint32_t i = 0; i < n; i++) {
		float g = x[i] < 7.0f ? x[i] : 7.0f, u = up[i] > -7.0f ? up[i] : -7.0f;
		u = u < 7.0f ? u : 7.0f;
		x[i] = g / (1.0f + number_exp(g * -1.702f)) * (u + 1.0f);
	}
}

void kernel_softcap_plain(float *x, uint32_t n, float cap)
{
	for (uint32_t i = 0; i < n; i++)
		x[i] = cap * number_tanh(x[i] / cap);
}
