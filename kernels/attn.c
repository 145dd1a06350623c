/* Attention by online softmax: canonical form. For each head and each split of 256 positions, in
 * position order (k ascending; the first part of a key, then the second):
 *
 *   s_j = scale * sum_k q_k key_j_k    m = max s    p_j = exp(s_j - m)    l = sum p
 *   o   = sum_j p_j value_j
 *
 * with s_j = cap * tanh(s_j / cap) before m where scores are capped.
 * and the running result (M, L, O) takes each split in:
 *
 *   N = max(M, m)    a = exp(M - N)    b = exp(m - N)
 *   L = fma(l, b, L*a)    O = fma(o, b, O*a)    M = N
 *
 * A sink s comes last: N = max(M, s), L = L*exp(M - N) + exp(s - N), O = O*exp(M - N).
 * The answer is O / L. A record holds (M, L, O), or (m, l, o) of one split: so splits may be
 * computed anywhere, and are taken in in order. Source: arXiv 2112.05682. */
#include "kernels/attn.h"
#include "kernels/number.h"
#include "kernels/ops.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

size_t kernel_attention_record(uint32_t lanes, uint32_t value)
{
	/* tiles of the SIMD form are 1, 2, 4 or 8 lanes */
	static const unsigned char more[8] = { 0, 0, 0, 1, 0, 3, 2, 1 };
	return (size_t)attn_round16(lanes) * 2 +
	       (size_t)(lanes + more[lanes % 8]) * attn_round16(value);
}

/* A record for kernel_attention_run, one of a split, and the SIMD form's queries, weights of a
 * split and page as f32. */
size_t kernel_attention_scratch(uint32_t lanes, uint32_t wide, uint32_t tail, uint32_t value)
{
	size_t all = attn_round16(lanes), key = attn_round16(wide) + attn_round16(tail),
	       page = key > attn_round16(value) ? key : attn_round16(value);
	return 2 * kernel_attention_record(lanes, value) + all * (key + 32) +
	       all * (KERNEL_SPLIT + KERNEL_LANES + 64) + KERNEL_PAGE * page + 256;
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

uint32_t kernel_attention_splits(const struct kernel_attention *a)
{
	return (a->positions - a->first + KERNEL_SPLIT - 1) / KERNEL_SPLIT;
}

void kernel_attn_split(const struct kernel_attention *a, uint32_t split, struct attn_split *s)
{
	uint32_t last = a->rows - 1;
	check(a->heads > 0 && a->rows > 0 && a->heads * a->rows <= KERNEL_LANES);
	check(a->first < a->positions &&
	      (a->moves || (a->positions - 1 - a->first) / KERNEL_SPLIT ==
				   (a->positions + last - 1 - a->first) / KERNEL_SPLIT));
	for (uint32_t r = 0; r <= last; r++) {
		s->begin[r] = a->first + (a->moves ? r : 0) + split * KERNEL_SPLIT;
		s->end[r] = least(s->begin[r] + KERNEL_SPLIT, a->positions + r);
	}
	s->from = s->begin[0];
	s->to = s->end[last];
}

size_t kernel_attention_gathered(enum kernel_cache c, uint32_t wide, uint32_t tail)
{
	return (kernel_cache_bytes(c, KERNEL_BY_NUMBER, wide) +
		kernel_cache_bytes(c, KERNEL_BY_NUMBER, tail)) *
	       (KERNEL_SPLIT / KERNEL_PAGE);
}

/* Gathering costs a copy of what a dense split reads where it lies; that only one call reads it is
 * why rows do not share one. */
void kernel_attn_gather(const struct kernel_attention *a, uint32_t split, struct attn_gathered *g)
{
	uint32_t first = split * KERNEL_SPLIT, n = least(a->positions - first, KERNEL_SPLIT);
	size_t key = kernel_cache_bytes(a->cache, KERNEL_BY_NUMBER, a->wide),
	       tail = kernel_cache_bytes(a->cache, KERNEL_BY_NUMBER, a->tail);
	check(a->rows == 1 && a->first == 0 && !a->moves && a->keys == KERNEL_BY_NUMBER &&
	      a->value == a->wide && a->value_at == a->key_at);
	g->a = *a;
	g->a.chosen = NULL;
	g->a.page = g->page;
	g->a.positions = n;
	g->a.key_at = g->a.value_at = 0;
	g->a.tail_at = key;
	for (uint32_t i = 0; i < n; i += KERNEL_PAGE) {
		unsigned char *to = (unsigned char *)a->gathered + i / KERNEL_PAGE * (key + tail);
		uint32_t some = least(n - i, KERNEL_PAGE);
		g->page[i / KERNEL_PAGE] = to;
		kernel_cache_gather(a->cache, a->page, a->key_at, a->wide, a->chosen + first + i,
				    some, to);
		kernel_cache_gather(a->cache, a->page, a->tail_at, a->tail, a->chosen + first + i,
				    some, to + key);
	}
}

/* ---- the plain form ---- */

static const void *part_at(const struct kernel_attention *a, uint32_t j, size_t at)
{
	return (const unsigned char *)a->page[j / KERNEL_PAGE] + at;
}

/* q[k] += ... of one part of a key, onto sum. */
static float part_score(const struct kernel_attention *a, const float *q, uint32_t n, size_t at,
			uint32_t j, float sum)
{
	float *key = attn_work(a);
	kernel_cache_load(a->cache, a->keys, part_at(a, j, at), n, j % KERNEL_PAGE, key);
	for (uint32_t k = 0; k < n; k++)
		sum = fmaf(q[k], key[k], sum);
	return sum;
}

static float score(const struct kernel_attention *a, uint32_t lane, uint32_t j)
{
	uint32_t r = lane / a->heads, h = lane % a->heads;
	float sum = part_score(a, a->query + r * a->query_row + h * a->query_head, a->wide,
			       a->key_at, j, 0);
	if (a->tail > 0)
		sum = part_score(a, a->query_tail + r * a->tail_row + h * a->tail_head, a->tail,
				 a->tail_at, j, sum);
	sum *= a->scale;
	return a->softcap > 0 ? a->softcap * number_tanh(sum / a->softcap) : sum;
}

/* p_j of the positions [begin, end), and their maximum; returns their sum. */
static float soften(const struct kernel_attention *a, uint32_t lane, uint32_t begin, uint32_t end,
		    float *p, float *largest)
{
	float sum = 0;
	for (uint32_t j = begin; j < end; j++) {
		p[j - begin] = score(a, lane, j);
		*largest = j == begin || !(*largest > p[j - begin]) ? p[j - begin] : *largest;
	}
	for (uint32_t j = begin; j < end; j++) {
		p[j - begin] = number_exp(p[j - begin] - *largest);
		sum += p[j - begin];
	}
	return sum;
}

/* o_d = sum_j p_j value_j_d, j ascending */
static void weigh_values(const struct kernel_attention *a, uint32_t begin, uint32_t end,
			 const float *p, float *o)
{
	float *value = attn_work(a);
	for (uint32_t d = 0; d < a->value; d++)
		o[d] = 0;
	for (uint32_t j = begin; j < end; j++) {
		kernel_cache_load(a->cache, KERNEL_BY_NUMBER, part_at(a, j, a->value_at), a->value,
				  j % KERNEL_PAGE, value);
		for (uint32_t d = 0; d < a->value; d++)
			o[d] = fmaf(p[j - begin], value[d], o[d]);
	}
}

static void split_run(const struct kernel_attention *a, uint32_t split, struct attn_record to)
{
	struct attn_split s;
	struct attn_gathered g;
	if (a->chosen != NULL) {
		kernel_attn_gather(a, split, &g);
		a = &g.a;
		split = 0;
	}
	kernel_attn_split(a, split, &s);
	for (uint32_t lane = 0; lane < a->heads * a->rows; lane++) {
		uint32_t begin = s.begin[lane / a->heads], end = s.end[lane / a->heads];
		float p[KERNEL_SPLIT];
		to.total[lane] = soften(a, lane, begin, end, p, &to.largest[lane]);
		weigh_values(a, begin, end, p, to.sum + lane * to.stride);
	}
}

static void record_add(const struct kernel_attention *a, struct attn_record to, uint32_t lane,
		       struct attn_record from)
{
	float largest = to.largest[lane], m = from.largest[lane];
	float now = !(largest > m) ? m : largest;
	float keep = number_exp(largest - now), take = number_exp(m - now);
	float *out = to.sum + lane * to.stride;
	const float *o = from.sum + lane * to.stride;
	for (uint32_t d = 0; d < a->value; d++)
		out[d] = fmaf(o[d], take, out[d] * keep);
	to.total[lane] = fmaf(from.total[lane], take, to.total[lane] * keep);
	to.largest[lane] = now;
}

static void record_end(const struct kernel_attention *a, struct attn_record from, uint32_t lane)
{
	uint32_t r = lane / a->heads, h = lane % a->heads;
	float *out = a->out + r * a->out_row + h * a->out_head,
	      *sum = from.sum + lane * from.stride;
	float total = from.total[lane], largest = from.largest[lane];
	if (a->sink != NULL) {
		float now = largest > a->sink[h] ? largest : a->sink[h];
		float keep = number_exp(largest - now);
		total = total * keep + number_exp(a->sink[h] - now);
		for (uint32_t d = 0; d < a->value; d++)
			sum[d] *= keep;
	}
	for (uint32_t d = 0; d < a->value; d++)
		out[d] = sum[d] / total;
}

void kernel_attn_plain(const struct kernel_attention *a, uint32_t split, uint32_t splits,
		       float *record, bool together)
{
	uint32_t lanes = a->heads * a->rows;
	size_t step = kernel_attention_record(lanes, a->value);
	struct attn_record first = attn_record(a, record), own = attn_record(a, attn_own(a));
	for (uint32_t i = 0; i < splits; i++) {
		struct attn_record to = attn_record(a, record + i * step);
		split_run(a, split + i, !together ? to : i > 0 ? own : first);
		for (uint32_t lane = 0; together && i > 0 && lane < lanes; lane++)
			record_add(a, first, lane, own);
	}
}

void kernel_attn_join_plain(const struct kernel_attention *a, uint32_t lane, uint32_t lanes,
			    float *record, uint32_t records, bool end)
{
	size_t step = kernel_attention_record(a->heads * a->rows, a->value);
	struct attn_record to = attn_record(a, record);
	for (uint32_t l = lane; l < lane + lanes; l++) {
		for (uint32_t i = 1; i < records; i++)
			record_add(a, to, l, attn_record(a, record + i * step));
		if (end)
			record_end(a, to, l);
	}
}

void kernel_attention_run(const struct kernels *k, const struct kernel_attention *a)
{
	k->attn(a, 0, kernel_attention_splits(a), a->scratch, true);
	k->attn_join(a, 0, a->heads * a->rows, a->scratch, 1, true);
}
