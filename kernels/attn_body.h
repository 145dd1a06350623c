/* Private: attention over sixteen lanes; attn_avx2.c and attn_avx512.c compile it. attn.c is the
 * canonical form and says the order of operations. Bound: multiply-add (all heads of a call share
 * a cache row). Scores put heads into lanes (the queries are transposed into a panel),
 * so that a cache row is read where it lies; values put dimensions into lanes. */
#include "kernels/attn.h"
#include "kernels/ops.h"
#include "kernels/simd.h"

#define VALUE_HEADS 4
#define VALUE_WIDE (SIMD_TOKENS == 12 ? 4 : 1) /* vectors of sixteen dimensions */

struct split {
	const struct attn_view *a;
	float *query;               /* [wide+tail][16] */
	float *p;                   /* [256 + room][16] */
	float *sum;                 /* [16][wide], running */
	const float *row[KERNEL_SPLIT + SIMD_TOKENS];
	uint32_t n;
	v16 largest, total;         /* of each head, running */
	float keep[16], take[16];
	bool first;
};

static void split_query(struct split *s, uint32_t heads)
{
	const struct attn_view *a = s->a;
	memset(s->query, 0, 16 * sizeof(float) * (a->wide + a->tail));
	for (uint32_t h = 0; h < heads; h++) {
		for (uint32_t k = 0; k < a->wide; k++)
			s->query[16 * k + h] = a->query[h * a->query_stride + k];
		for (uint32_t k = 0; k < a->tail; k++)
			s->query[16 * (a->wide + k) + h] = a->query_tail[h * a->query_tail_stride + k];
	}
}

/* Row addresses of the split; the last is repeated to fill the last tile. */
static void split_rows(struct split *s, uint32_t first)
{
	const struct attn_view *a = s->a;
	uint32_t left = a->positions - first;
	s->n = left < KERNEL_SPLIT ? left : KERNEL_SPLIT;
	for (uint32_t j = 0; j < s->n; j++)
		s->row[j] = attn_row(a, first + j);
	for (uint32_t j = s->n; j < s->n + SIMD_TOKENS; j++)
		s->row[j] = s->row[s->n - 1];
}

static void split_scores(struct split *s)
{
	uint32_t width = s->a->wide + s->a->tail;
	size_t at = s->a->key_at;
	v16 scale = v16_set1(s->a->scale);
	for (uint32_t j = 0; j < s->n; j += SIMD_TOKENS) {
		const float *const *row = &s->row[j];
		v16 sum[SIMD_TOKENS];
		UNROLL for (int t = 0; t < SIMD_TOKENS; t++)
			sum[t] = v16_zero();
		for (uint32_t k = 0; k < width; k++) {
			v16 q = v16_load(s->query + 16 * (size_t)k);
			UNROLL for (int t = 0; t < SIMD_TOKENS; t++)
				sum[t] = v16_fma(q, v16_set1(row[t][at + k]), sum[t]);
		}
		UNROLL for (int t = 0; t < SIMD_TOKENS; t++)
			v16_store(s->p + 16 * (size_t)(j + (uint32_t)t), v16_mul(sum[t], scale));
	}
}

static void split_soften(struct split *s)
{
	v16 m = v16_load(s->p), l = v16_zero();
	for (uint32_t j = 1; j < s->n; j++)
		m = v16_max(m, v16_load(s->p + 16 * (size_t)j));
	for (uint32_t j = 0; j < s->n; j++) {
		v16 p = v16_exp(v16_sub(v16_load(s->p + 16 * (size_t)j), m));
		v16_store(s->p + 16 * (size_t)j, p);
		l = v16_add(l, p);
	}
	v16 now = s->first ? m : v16_max(s->largest, m);
	v16 keep = v16_exp(v16_sub(s->largest, now)), take = v16_exp(v16_sub(m, now));
	v16_store(s->keep, keep);
	v16_store(s->take, take);
	s->total = s->first ? l : v16_fma(l, take, v16_mul(s->total, keep));
	s->largest = now;
}

/* Dimensions [d, d + 16*wide) of VALUE_HEADS heads from h; n lanes of the last vector count. */
INLINE void value_tile(struct split *s, uint32_t h, uint32_t d, const int wide, uint32_t n,
                       float *run, size_t stride)
{
	v16 sum[VALUE_HEADS * 4];
	UNROLL for (int i = 0; i < VALUE_HEADS * wide; i++)
		sum[i] = v16_zero();
	for (uint32_t j = 0; j < s->n; j++) {
		const float *c = s->row[j] + s->a->value_at + d, *p = s->p + 16 * (size_t)j + h;
		UNROLL for (int v = 0; v < wide; v++) {
			v16 w = n < 16 ? v16_load_n(c + 16 * v, n) : v16_load(c + 16 * v);
			UNROLL for (int i = 0; i < VALUE_HEADS; i++)
				sum[i * wide + v] = v16_fma(v16_set1(p[i]), w, sum[i * wide + v]);
		}
	}
	UNROLL for (int i = 0; i < VALUE_HEADS; i++) {
		UNROLL for (int v = 0; v < wide; v++) {
			float *at = run + (h + (uint32_t)i) * stride + d + 16 * v;
			v16 o = sum[i * wide + v];
			if (!s->first)
				o = v16_fma(o, v16_set1(s->take[h + (uint32_t)i]),
				            v16_mul(v16_load(at), v16_set1(s->keep[h + (uint32_t)i])));
			v16_store(at, o);
		}
	}
}

static void split_values(struct split *s, uint32_t heads, size_t stride)
{
	uint32_t value = s->a->value;
	for (uint32_t h = 0; h < heads; h += VALUE_HEADS) {
		uint32_t d = 0;
		for (; d + 16 * VALUE_WIDE <= value; d += 16 * VALUE_WIDE)
			value_tile(s, h, d, VALUE_WIDE, 16, s->sum, stride);
		for (; d < value; d += 16)
			value_tile(s, h, d, 1, value - d < 16 ? value - d : 16, s->sum, stride);
	}
}

static void split_sink(struct split *s, uint32_t heads, size_t stride)
{
	float sink[16] = { 0 };
	memcpy(sink, s->a->sink, heads * sizeof *sink);
	v16 v = v16_load(sink), now = v16_max(s->largest, v);
	v16 keep = v16_exp(v16_sub(s->largest, now));
	s->total = v16_add(v16_mul(s->total, keep), v16_exp(v16_sub(v, now)));
	v16_store(s->keep, keep);
	for (uint32_t h = 0; h < heads; h++) {
		v16 factor = v16_set1(s->keep[h]);
		for (uint32_t d = 0; d < s->a->value; d += 16)
			v16_store(s->sum + h * stride + d,
			          v16_mul(v16_load(s->sum + h * stride + d), factor));
	}
}

static void view_run(const struct attn_view *a, uint32_t heads)
{
	size_t stride = ((size_t)a->value + 15) / 16 * 16;
	float total[16];
	struct split s = { .a = a, .query = a->scratch, .largest = v16_zero(), .total = v16_zero(),
		.first = true };
	s.p = s.query + 16 * (size_t)(a->wide + a->tail);
	s.sum = s.p + (size_t)16 * (KERNEL_SPLIT + 16);
	split_query(&s, heads);
	for (uint32_t first = a->first; first < a->positions; first += KERNEL_SPLIT) {
		split_rows(&s, first);
		split_scores(&s);
		split_soften(&s);
		split_values(&s, heads, stride);
		s.first = false;
	}
	if (a->sink != NULL)
		split_sink(&s, heads, stride);
	v16_store(total, s.total);
	for (uint32_t h = 0; h < heads; h++) {
		v16 l = v16_set1(total[h]);
		for (uint32_t d = 0; d < a->value; d += 16)
			v16_store_n(a->out + h * a->out_stride + d,
			            v16_div(v16_load(s.sum + h * stride + d), l), a->value - d);
	}
}

void SIMD_NAME(attn_mla)(const struct kernel_mla *a, uint32_t heads)
{
	struct attn_view view = attn_view_mla(a);
	view_run(&view, heads);
}

void SIMD_NAME(attn_gqa)(const struct kernel_gqa *a, uint32_t heads)
{
	struct attn_view view = attn_view_gqa(a);
	view_run(&view, heads);
}
