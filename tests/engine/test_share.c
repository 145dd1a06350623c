/* Shares of a step, by a machine whose steps take what we say and a clock that goes by them. */
#include "engine/scheduler.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS = 40, CLIENTS = 6, STEPS = 6000 };

struct machine {
	double base, row, far; /* microseconds of a step, a row of it, a position attended to */
	int64_t now;
	struct scheduler s;
	struct task task[TASKS];
	struct engine_sequence line[TASKS];
	struct client *client[CLIENTS];
	uint32_t tasks;
	uint32_t got[TASKS];   /* rows */
	int64_t seen[TASKS];   /* when it last had one */
	int64_t waited[TASKS]; /* at most, between two */
	int64_t took[STEPS];
};

static int64_t now_of(void *ctx) { return ((struct machine *)ctx)->now; }

static struct machine *machine_new(double base, double row, double far)
{
	struct machine *m = calloc(1, sizeof *m);
	m->base = base, m->row = row, m->far = far, m->now = 1;
	m->s.clock = (struct clock){ .steady_us = now_of, .ctx = m };
	for (size_t i = 0; i < CLIENTS; i++) {
		m->client[i] = calloc(1, sizeof *m->client[i] + 2);
		m->client[i]->next = m->s.clients;
		m->s.clients = m->client[i];
	}
	return m;
}

static void machine_free(struct machine *m)
{
	for (size_t i = 0; i < CLIENTS; i++)
		free(m->client[i]);
	free(m);
}

/* A text of `length` tokens, of which `pending` more are to be computed; 1: a stream. */
static void add(struct machine *m, unsigned client, uint32_t length, uint32_t pending)
{
	struct task *t = &m->task[m->tasks], *before = m->s.youngest;
	m->line[m->tasks++] = (struct engine_sequence){ .length = length };
	*t = (struct task){ .scheduler = &m->s, .before = before, .client = m->client[client],
		.serial = m->tasks, .sequence = &m->line[t - m->task], .prompt_count = length + pending,
		.state = TASK_RUNNING };
	*(before ? &before->after : &m->s.oldest) = t;
	m->s.youngest = t;
}

static uint32_t give(struct machine *m, struct task *t, uint32_t rows)
{
	size_t i = (size_t)(t - m->task);
	scheduler_share_take(&m->s, t, rows);
	m->got[i] += rows;
	m->waited[i] = m->now - m->seen[i] > m->waited[i] ? m->now - m->seen[i] : m->waited[i];
	m->seen[i] = m->now;
	t->stepping = true, t->late = false;
	t->client->served += rows;
	return rows;
}

/* As scheduler_plan.c goes: streams, those left out before first, then prompts by who was served least. */
static uint32_t plan(struct machine *m)
{
	uint32_t rows = 0;
	for (int round = 0; round < 3; round++)
		for (struct task *t = m->s.oldest; t; t = t->after) {
			bool comes = round == 2 ? !t->late : t->late && (round == 1 || t->serial > t->client->last);
			if (t->stepping || !task_is_stream(t) || !comes)
				continue;
			if (scheduler_share_holds(&m->s, t, 1)) {
				t->client->last = t->late ? t->serial : t->client->last;
				rows += give(m, t, 1);
			} else {
				t->late = true;
			}
		}
	for (struct task *t = m->s.oldest, *best = t; best;) {
		for (best = NULL, t = m->s.oldest; t; t = t->after)
			if (!t->stepping && !task_is_stream(t) && scheduler_share_rows(&m->s, t, 1) > 0 &&
			    (!best || t->client->served < best->client->served))
				best = t;
		if (best)
			rows += give(m, best, scheduler_share_rows(&m->s, best, 64));
	}
	return rows;
}

static int64_t step(struct machine *m)
{
	m->s.rows = 0, m->s.attended = 0;
	for (struct task *t = m->s.oldest; t; t = t->after)
		t->stepping = false;
	scheduler_share(&m->s);
	if (plan(m) == 0) {
		scheduler_share_loosen(&m->s);
		cr_assert_gt(plan(m), 0, "somebody can go on");
	}
	double us = m->base + m->row * m->s.rows + m->far * (double)m->s.attended;
	step_cost_learn(&m->s.cost, m->s.rows, m->s.attended, (int64_t)us);
	m->now += (int64_t)us;
	return (int64_t)us;
}

static int by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Steps, once costs are known; sorted. */
static void run(struct machine *m)
{
	for (int i = 0; i < 2000; i++)
		step(m);
	memset(m->got, 0, sizeof m->got);
	memset(m->waited, 0, sizeof m->waited);
	for (int i = 0; i < STEPS; i++)
		m->took[i] = step(m);
	qsort(m->took, STEPS, sizeof m->took[0], by_size);
}

/* What others have beside a stream after 40 tokens; the machine is that of the demo model. */
static const struct {
	const char *row;
	uint32_t count, length, pending;
} others[] = {
	{ "a stream of a long text", 1, 2000, 1 },
	{ "eight of them", 8, 2000, 1 },
	{ "a long prompt near its end", 1, 1900, 100 },
	{ "eight long prompts", 8, 1500, 500 },
	{ "many short streams", 30, 60, 1 },
	{ "prompts at their beginning", 8, 0, 2000 },
	{ "texts of middle length", 8, 900, 1 },
};

Test(engine_share, what_another_has_doubles_the_99th_percentile_of_steps_at_most)
{
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct machine *m = machine_new(280, 90, 0.25);
		add(m, 0, 40, 1);
		for (uint32_t k = 0; k < others[i].count; k++)
			add(m, 1, others[i].length, others[i].pending);
		run(m);
		double alone = m->base + m->row + m->far * 40;
		cr_expect_lt((double)m->took[STEPS * 99 / 100], 2 * alone, "%s: %lld us", others[i].row,
		             (long long)m->took[STEPS * 99 / 100]);
		cr_expect_lt(m->took[STEPS - 1], 55000, "%s", others[i].row);
		cr_expect_eq(m->got[0], STEPS, "%s: a row in every step", others[i].row);
		for (uint32_t k = 1; k < m->tasks; k++)
			cr_expect(others[i].pending > 1 || m->got[k] > 0, "%s: number %u starves", others[i].row, k);
		uint32_t all = 0;
		for (uint32_t k = 1; k < m->tasks; k++)
			all += m->got[k];
		cr_expect_geq(all, STEPS / 400, "%s: %u rows", others[i].row, all);
		machine_free(m);
	}
}

/* Where a step takes a tenth of a second, four hundred of them would be too long a wait. */
Test(engine_share, nobody_waits_for_more_than_a_second)
{
	struct machine *m = machine_new(100000, 1000, 20);
	add(m, 0, 40, 1);
	add(m, 1, 32000, 1);
	run(m);
	cr_expect_lt(m->waited[1], 1000000 + 3 * 800000, "%lld us", (long long)m->waited[1]);
	cr_expect_geq(m->got[1], STEPS / 15);
	cr_expect_eq(m->got[0], STEPS);
	machine_free(m);
}

/* A client alone has all of every step, whatever its rows attend to. */
Test(engine_share, a_client_alone_is_not_held_back)
{
	struct machine *m = machine_new(280, 90, 0.25);
	for (uint32_t k = 0; k < 10; k++)
		add(m, 0, 200 * k, 1);
	run(m);
	for (uint32_t k = 0; k < 10; k++)
		cr_expect_eq(m->got[k], STEPS);
	machine_free(m);
}

static uint32_t below(uint32_t *state, uint32_t n)
{
	*state = *state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(*state >> 8) * n >> 24);
}

static bool all_went(const struct machine *m)
{
	for (uint32_t k = 0; k < TASKS; k++)
		if (task_is_stream(&m->task[k]) && m->got[k] == 0)
			return false;
	return true;
}

/* Any machine, any clients: every stream goes on, and so do prompts of every client. */
Test(engine_share, nobody_starves)
{
	for (uint32_t seed = 1; seed <= 20; seed++) {
		uint32_t state = seed, clients = 2 + below(&state, CLIENTS - 1);
		struct machine *m = machine_new(50 + below(&state, 20000), below(&state, 3000),
		                                below(&state, 1000) / 1000.0);
		bool prompts[CLIENTS] = { 0 }, went[CLIENTS] = { 0 };
		for (uint32_t k = 0; k < TASKS; k++) {
			uint32_t c = k < clients ? k : below(&state, clients), length = below(&state, 4000);
			add(m, c, below(&state, 2) ? length : length / 40, below(&state, 3) ? 1 : 2 + below(&state, 3000));
		}
		for (int i = 0; i < 3000 || (i < 50000 && !all_went(m)); i++)
			step(m);
		for (uint32_t k = 0; k < TASKS; k++) {
			uint32_t c = 0;
			while (m->client[c] != m->task[k].client)
				c++;
			bool stream = task_is_stream(&m->task[k]);
			cr_expect(!stream || m->got[k] > 0, "seed %u: stream %u of client %u", seed, k, c);
			prompts[c] |= !stream, went[c] |= !stream && m->got[k] > 0;
		}
		for (uint32_t c = 0; c < clients; c++)
			cr_expect(prompts[c] == went[c], "seed %u: prompts of client %u", seed, c);
		machine_free(m);
	}
}
