/* The machine's peaks, measured with the engine's own threads, weights and kernels, so that figures
 * of the same run can be compared with them. */
#include "engine/cpu.h"

#include "base/limits.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define CHUNK ((size_t)4 << 20) /* bytes read by one part: far more than a hand-over costs */
#define PEAK_SECONDS 0.2
#define PEAK_ROUNDS 3 /* passes over all weights */

struct stretch {
	const unsigned char *at;
	size_t len;
};

/* All packed matrices, cut into chunks. */
struct spans {
	struct stretch *span;
	size_t count, room;
	uint64_t bytes, format_bytes[KERNEL_FORMATS];
	bool failed;
	bool streams;         /* read in several */
	_Atomic uint64_t sum; /* of what was read, so that nobody can leave the reading out */
};

static void span_add(struct spans *s, const struct kernel_matrix *w)
{
	size_t len = kernel_panels(w) * w->panel_bytes;
	if (w->panel == NULL)
		return;
	s->format_bytes[w->format] += len;
	for (size_t at = 0; at + 128 <= len; at += CHUNK) {
		size_t n = (len - at < CHUNK ? len - at : CHUNK) / 128 * 128;
		if (s->count == s->room) {
			size_t room = s->room * 2 + 1024;
			struct stretch *more = realloc(s->span, room * sizeof *more);
			s->failed |= more == NULL;
			if (more == NULL)
				return;
			s->span = more;
			s->room = room;
		}
		s->span[s->count++] = (struct stretch){ w->panel + at, n };
		s->bytes += n;
	}
}

static void ffn_add(struct spans *s, const struct ffn_weights *w)
{
	span_add(s, &w->gate);
	span_add(s, &w->up);
	span_add(s, &w->down);
}

static void layer_add(struct spans *s, const struct model_config *c, const struct layer_weights *w)
{
	for (int i = 0; i < MODEL_SLOTS; i++)
		span_add(s, &w->matrix[i]);
	ffn_add(s, &w->ffn);
	for (uint32_t i = 0; w->expert != NULL && i < c->gate.experts; i++)
		ffn_add(s, &w->expert[i]);
}

static void read_part(void *ctx, struct part part)
{
	struct spans *s = ctx;
	uint64_t sum = 0;
	for (uint32_t i = part.begin; i < part.end; i++)
		sum += kernels_read(s->span[i].at, s->span[i].len, s->streams);
	atomic_fetch_add(&s->sum, sum);
}

static double seconds_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The sustained rate of reading: the median pass and not the best, since what is compared with it
 * is sustained too. */
static double read_rate(struct cpu *m, struct spans *s, bool streams)
{
	double rate[PEAK_ROUNDS];
	s->streams = streams;
	for (unsigned i = 0; i < PEAK_ROUNDS; i++) {
		double begin = seconds_now();
		pool_run(m->pool, (uint32_t)s->count, read_part, s);
		rate[i] = (double)s->bytes / (seconds_now() - begin);
	}
	qsort(rate, PEAK_ROUNDS, sizeof *rate, ascending);
	return rate[PEAK_ROUNDS / 2];
}

struct peak {
	const struct kernels *kernels;
	enum kernel_format format;
	double rate[LIMIT_THREADS];
};

static void peak_part(void *ctx, struct part part)
{
	struct peak *p = ctx;
	for (uint32_t i = part.begin; i < part.end; i++)
		p->rate[i] = kernels_peak(p->kernels, p->format, PEAK_SECONDS);
}

static enum kernel_format most_used(const struct spans *s)
{
	int most = 0;
	for (int f = 1; f < KERNEL_FORMATS; f++)
		most = s->format_bytes[f] > s->format_bytes[most] ? f : most;
	return (enum kernel_format)most;
}

static double multiply_rate(struct cpu *m, enum kernel_format format)
{
	struct peak p = { .kernels = m->kernels, .format = format };
	double sum = 0;
	unsigned threads = pool_threads(m->pool);
	pool_run(m->pool, threads, peak_part, &p);
	for (unsigned i = 0; i < threads; i++)
		sum += p.rate[i];
	return sum;
}

static int spans_open(struct spans *s, const struct cpu *m, struct err *e)
{
	*s = (struct spans){ 0 };
	span_add(s, &cpu_whole(m)->matrix[SLOT_HEAD]);
	for (uint32_t i = 0; i < m->config.layers; i++)
		layer_add(s, &m->config, &m->weights.layer[i]);
	if (!s->failed)
		return 0;
	free(s->span);
	return err_set(e, ERR_NOMEM, "out of memory for measuring");
}

static int read_peak(struct cpu *m, struct spans *s, double *rate, struct err *e)
{
	if (s->bytes < MIB(64))
		return err_set(e, ERR_UNSUPPORTED,
			       "limits need weights of 64 MiB or more, here are %llu bytes",
			       (unsigned long long)s->bytes);
	double one = read_rate(m, s, false), several = read_rate(m, s, true);
	*rate = one > several ? one : several;
	return 0;
}

int cpu_peak(struct backend *b, enum backend_peak what, double *rate, struct err *e)
{
	struct cpu *m = cpu_of(b);
	struct spans s;
	int rc = 0;
	TRY(spans_open(&s, m, e));
	if (what == BACKEND_PEAK_READ)
		rc = read_peak(m, &s, rate, e);
	else
		*rate = multiply_rate(m, what == BACKEND_PEAK_FLOAT ? KERNEL_F32 : most_used(&s));
	free(s.span);
	return rc;
}
