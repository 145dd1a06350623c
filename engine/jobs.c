/* A stage of a pass: matrix products whose panels are cut into parts of about equal cost. Which
 * thread computes a panel never changes its bits. */
#include "engine/model.h"

#define ALONE_COST                                                                                 \
	40000   /* below it (some microseconds of work) waking the others costs more than it saves \
		 */
#define PARTS 4 /* for each thread, so that one that comes late leaves its work to the others */

struct stage {
	struct engine *m;
	const struct job *job;
	uint32_t count;
	uint64_t cost; /* of all panels */
	void (*work)(struct engine *m, uint32_t row);
};

/* Reading the weights counts as much as multiplying them with four rows. */
static uint64_t panel_cost(const struct job *j)
{
	return (uint64_t)j->w->columns * (4 + j->x.count);
}

/* The first panel of a job, whose panels begin at cost `begin`, that belongs to someone whose share
 * begins at `share`. */
static uint32_t first_panel(const struct job *j, uint64_t begin, uint64_t share)
{
	uint32_t panels = kernel_panels(j->w);
	if (share <= begin)
		return 0;
	uint64_t at = (share - begin + panel_cost(j) - 1) / panel_cost(j);
	if (panels >= 16)
		at = (at + 3) / 4 * 4; /* whole groups of panels */
	return at < panels ? (uint32_t)at : panels;
}

static void bias_add(const struct engine *m, const struct job *j, float *out, const float *bias,
		     uint32_t first, uint32_t end)
{
	for (uint32_t i = 0; bias != NULL && i < j->x.count; i++)
		m->kernels->add(out + i * j->stride + first, bias + first, end - first);
}

static void job_run(const struct engine *m, const struct job *j, uint32_t panel, uint32_t panels)
{
	uint32_t first = panel * KERNEL_PANEL, end = (panel + panels) * KERNEL_PANEL;
	end = end < j->w->rows ? end : j->w->rows;
	m->kernels->matmul[j->w->format](j->w, panel, panels, &j->x, j->out, j->stride);
	bias_add(m, j, j->out, j->bias, first, end);
	if (j->up == NULL)
		return;
	m->kernels->matmul[j->up->format](j->up, panel, panels, &j->x, j->out_up, j->stride);
	bias_add(m, j, j->out_up, j->bias_up, first, end);
	void (*act)(float *, const float *, uint32_t) = m->config.activation == MODEL_ACT_SILU
								? m->kernels->silu_mul
								: m->kernels->clamped_mul;
	for (uint32_t i = 0; i < j->x.count; i++)
		act(j->out + i * j->stride + first, j->out_up + i * j->stride + first, end - first);
}

static void jobs_share(void *ctx, struct part part)
{
	const struct stage *s = ctx;
	uint64_t begin = 0, from = s->cost / part.count * part.index;
	uint64_t to =
		part.index + 1 == part.count ? s->cost : s->cost / part.count * (part.index + 1);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct job *j = &s->job[i];
		uint32_t first = first_panel(j, begin, from), end = first_panel(j, begin, to);
		if (first < end)
			job_run(s->m, j, first, end - first);
		begin += panel_cost(j) * kernel_panels(j->w);
	}
}

void jobs_run(struct engine *m, const struct job *job, uint32_t count)
{
	struct stage s = { .m = m, .job = job, .count = count };
	for (uint32_t i = 0; i < count; i++)
		s.cost += panel_cost(&job[i]) * kernel_panels(job[i].w);
	pool_run(m->pool, s.cost < ALONE_COST ? 1 : PARTS * pool_threads(m->pool), jobs_share, &s);
}

static void rows_share(void *ctx, struct part part)
{
	const struct stage *s = ctx;
	for (uint32_t i = part.index; i < s->m->n; i += part.count)
		s->work(s->m, i);
}

void rows_run(struct engine *m, void (*work)(struct engine *m, uint32_t row))
{
	struct stage s = { .m = m, .work = work };
	pool_run(m->pool, rows_parts(m), rows_share, &s);
}

uint32_t rows_parts(const struct engine *m) { return m->n < 4 ? 1 : PARTS * pool_threads(m->pool); }
