/* A stage of a pass: matrix products whose panels are cut into parts of about equal cost. Which
 * thread computes a panel never changes its bits. */
#include "engine/cpu.h"

/* Costs are in bytes: what memory delivers in the same time. */
#define ALONE_COST 32768       /* below it waking the others costs more than it saves */
#define PART_COST (128u << 10) /* threads wait for each other at most as long as one part takes */
#define PARTS 64               /* for each thread at most */

struct stage {
	struct cpu *m;
	const struct job *job;
	uint32_t count;
	uint64_t cost; /* of all panels */
};

/* Work other than matrix products, row by row. */
struct rows {
	struct cpu *m;
	uint32_t count;
	cpu_row_work *work;
	const void *ctx;
};

/* The cost of a panel: its bytes, read once, and its multiply-adds, each the time of so many
 * quarter bytes. */
static uint64_t matrix_cost(const struct cpu *m, const struct kernel_matrix *w, uint32_t rows)
{
	uint64_t each = m->kernels->quantised[w->format] ? 3 : 9;
	return w->panel_bytes + each * w->columns * rows / 4 + 1;
}

static uint64_t panel_cost(const struct cpu *m, const struct job *j)
{
	uint64_t up = j->up == NULL ? 0 : matrix_cost(m, j->up, j->x.count);
	return matrix_cost(m, j->w, j->x.count) + up;
}

/* The first panel of a job (whose own cost begins at `begin`) for the part whose cost begins at
 * `share`. Rounded to whole groups of panels, since tiles are up to four panels wide and codes come
 * in blocks. */
static uint32_t first_panel(const struct job *j, uint64_t begin, uint64_t cost, uint64_t share)
{
	uint32_t panels = kernel_panels(j->w);
	if (share <= begin)
		return 0;
	uint64_t at = (share - begin + cost - 1) / cost;
	uint64_t group = j->code.code != NULL ? KERNEL_INPUT_BLOCK / KERNEL_PANEL
			 : panels >= 16       ? 4
					      : 1;
	at = (at + group - 1) / group * group;
	return at < panels ? (uint32_t)at : panels;
}

static void bias_add(const struct cpu *m, const struct job *j, float *out, const float *bias,
		     uint32_t first, uint32_t end)
{
	for (uint32_t i = 0; bias != NULL && i < j->x.count; i++)
		m->kernels->add(out + i * j->stride + first, bias + first, end - first);
}

static const void *panel_at(const struct kernel_matrix *w, uint32_t panel)
{
	return w->panel + panel * w->panel_bytes;
}

static void product(const struct cpu *m, const struct job *j, const struct kernel_matrix *w,
		    uint32_t panel, uint32_t panels, float *out, const void *next)
{
	struct kernel_rows x = j->x;
	x.quant = &j->in;
	x.next = next;
	m->kernels->matmul[w->format](w, panel, panels, &x, out, j->stride);
}

enum kernel_act cpu_act(const struct cpu *m)
{
	static const enum kernel_act acts[] = {
		[MODEL_ACT_SILU] = KERNEL_ACT_SILU,   [MODEL_ACT_GPT_OSS] = KERNEL_ACT_CLAMPED,
		[MODEL_ACT_GELU] = KERNEL_ACT_GELU,   [MODEL_ACT_GELU_TANH] = KERNEL_ACT_GELU_TANH,
		[MODEL_ACT_RELU2] = KERNEL_ACT_RELU2, [MODEL_ACT_XIELU] = KERNEL_ACT_XIELU,
	};
	return acts[m->config.activation];
}

static void capped(const struct cpu *m, const struct job *j, float *out, uint32_t n)
{
	bool scaled = j->scale > 0 && (j->scale < 1 || j->scale > 1);
	for (uint32_t i = 0; scaled && i < n; i++)
		out[i] *= j->scale;
	if (j->cap > 0)
		m->kernels->softcap(out, n, j->cap);
}

/* next: weights read after these, or NULL. */
static void job_run(const struct cpu *m, const struct job *j, uint32_t panel, uint32_t panels,
		    const void *next)
{
	uint32_t first = panel * KERNEL_PANEL, end = (panel + panels) * KERNEL_PANEL;
	end = end < j->w->rows ? end : j->w->rows;
	void (*act)(float *, const float *, uint32_t, const float *) = m->kernels->act[cpu_act(m)];
	product(m, j, j->w, panel, panels, j->out, j->up ? panel_at(j->up, panel) : next);
	bias_add(m, j, j->out, j->bias, first, end);
	if (j->up != NULL) {
		product(m, j, j->up, panel, panels, j->out_up, next);
		bias_add(m, j, j->out_up, j->bias_up, first, end);
	}
	for (uint32_t i = 0; (j->up != NULL || j->active) && i < j->x.count; i++)
		act(j->out + i * j->stride + first,
		    j->up == NULL ? NULL : j->out_up + i * j->stride + first, end - first,
		    j->parameter);
	for (uint32_t i = 0; (j->scale > 0 || j->cap > 0) && i < j->x.count; i++)
		capped(m, j, j->out + i * j->stride + first, end - first);
	for (uint32_t i = 0; j->code.code != NULL && i < j->x.count; i++) {
		struct kernel_quant to = cpu_quant_at(&j->code, i, j->code_row, first);
		m->kernels->quant_row(j->out + i * j->stride + first, end - first, &to, 0);
	}
}

/* Weights read after the first panels of job i, up to `end`. */
static const void *follows(const struct stage *s, uint32_t i, uint32_t end)
{
	if (end < kernel_panels(s->job[i].w))
		return panel_at(s->job[i].w, end);
	return i + 1 < s->count ? panel_at(s->job[i + 1].w, 0) : NULL;
}

static void jobs_share(void *ctx, struct part part)
{
	const struct stage *s = ctx;
	uint64_t begin = 0, from = s->cost * part.begin / part.count,
		 to = s->cost * part.end / part.count;
	for (uint32_t i = 0; i < s->count && begin < to; i++) {
		const struct job *j = &s->job[i];
		uint64_t cost = panel_cost(s->m, j), all = cost * kernel_panels(j->w);
		if (begin + all > from) {
			uint32_t first = first_panel(j, begin, cost, from);
			uint32_t end = first_panel(j, begin, cost, to);
			if (first < end)
				job_run(s->m, j, first, end - first, follows(s, i, end));
		}
		begin += all;
	}
}

static void count_job(struct cpu *m, const struct job *j)
{
	const struct kernel_matrix *both[2] = { j->w, j->up };
	for (int i = 0; i < 2 && both[i] != NULL; i++) {
		if (!j->again)
			m->traffic.weight_bytes += kernel_matrix_bytes(both[i]);
		uint64_t n = 2 * (uint64_t)both[i]->rows * both[i]->columns * j->x.count;
		m->traffic.operations += n;
		if (m->quantises && !m->kernels->quantised[both[i]->format])
			m->traffic.float_operations += n;
	}
}

void cpu_jobs_run(struct cpu *m, const struct job *job, uint32_t count)
{
	struct stage s = { .m = m, .job = job, .count = count };
	for (uint32_t i = 0; i < count; i++) {
		s.cost += panel_cost(m, &job[i]) * kernel_panels(job[i].w);
		count_job(m, &job[i]);
	}
	uint32_t threads = pool_threads(m->pool);
	uint64_t each = s.cost / PART_COST / threads + 1;
	each = each < PARTS ? each : PARTS;
	pool_run(m->pool, s.cost < ALONE_COST ? 1 : (uint32_t)each * threads, jobs_share, &s);
}

static void rows_share(void *ctx, struct part part)
{
	const struct rows *r = ctx;
	uint32_t end = part_item(&part, part.end, r->count);
	for (uint32_t i = part_item(&part, part.begin, r->count); i < end; i++)
		r->work(r->m, i, r->ctx);
}

void cpu_rows_run(struct cpu *m, uint32_t rows, cpu_row_work *work, const void *ctx)
{
	struct rows r = { m, rows, work, ctx };
	pool_run(m->pool, rows < 4 ? 1 : rows, rows_share, &r);
}

void cpu_row_quantise(const struct cpu *m, const float *value, uint32_t n,
		      const struct kernel_quant *q, uint32_t i)
{
	if (q->code != NULL)
		m->kernels->quant_row(value + (size_t)i * n, n, q, i);
}
