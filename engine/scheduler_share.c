/* Who may have how much of a step.
 *
 * A step takes as long as all its rows do, and all its readers wait for it. So where several
 * clients have work, a step takes at most 1.75 times what it would for the client that has least to
 * do, by what steps have taken (step_cost.h), and each client has an equal share of that: what one
 * does not need goes to the others. Of its share a client with streams and prompts keeps a quarter
 * for prompts. The price is that many rows of one client are spread over more steps while another
 * one reads.
 *
 * A client always has a row, unless that row alone would make the step too long: one that attends
 * to a long text may take several times what all of another's streams do. Such rows gather, and
 * come together every REST_STEPS steps: too few steps to be seen in the 99th percentile of the
 * others' times, and as many rows as make up for the wait, but not for longer than BURST_US. Where
 * steps are long that would be too seldom: nobody waits for more than REST_US.
 *
 * A stream that is ahead of its reader counts: the reader will be back before long. A client
 * alone has all of the step. */
#include "engine/scheduler.h"

#include <math.h>

#define ROWS_LEAST 16u /* of a prompt, however long it is: below, experts are read for few */
#define TIMES 1.75     /* what a step may take: with what is beside it, twice */
/* Every so many steps one has twice the rows, to learn what those cost: more often while that is
 * not known at all. Or it has no long texts, where there always were some. */
#define LEARN_FIRST 128u
#define LEARN_AGAIN 1024u
#define REST_STEPS 400u
#define REST_US 1000000
#define BURST_US 50000

uint32_t scheduler_rows(uint32_t budget, uint32_t length)
{
	uint64_t n = (uint64_t)budget * CONTEXT_EVEN / ((uint64_t)CONTEXT_EVEN + length),
		 least = budget < ROWS_LEAST ? budget : ROWS_LEAST;
	return (uint32_t)(n > least ? n : least);
}

/* ---- what there is to do ---- */

static uint64_t attended(uint32_t rows, uint32_t length)
{
	return (uint64_t)rows * length + (uint64_t)rows * rows / 2;
}

/* What each client has to do; returns how many have something. */
static uint32_t count_work(struct scheduler *s)
{
	uint32_t clients = 0;
	for (struct client *c = s->clients; c; c = c->next) {
		c->rows = c->longest = c->prompt_rows = c->prompt_at = 0;
		c->attended = 0;
		c->share = c->used = c->kept = 0;
	}
	for (const struct task *t = s->oldest; t; t = t->after) {
		if (t->state != TASK_RUNNING || t->gone)
			continue;
		struct client *c = t->client;
		uint32_t rows = task_pending(t), length = t->sequence->length;
		clients += c->rows == 0 && c->prompt_rows == 0;
		if (task_is_stream(t)) {
			c->rows += rows;
			c->attended += attended(rows, length);
			c->longest = length > c->longest ? length : c->longest;
		} else if (c->prompt_rows == 0 || rows < c->prompt_rows) {
			c->prompt_rows = rows;
			c->prompt_at = length;
		}
	}
	return clients;
}

/* What a step takes; where nothing is known, in rows. */
static double step_us(const struct scheduler *s, uint32_t rows, uint64_t far)
{
	double us = step_cost_us(&s->cost, rows);
	if (us <= 0)
		return rows + (double)far / CONTEXT_EVEN;
	return us + (double)far * step_cost_far_us(&s->cost, rows);
}

/* The client with least to do: its streams, or the shortest of its prompts. */
struct least {
	const struct client *client;
	double us;
	uint32_t rows, longest; /* longest: text that a row of it attends to */
	uint64_t attended;
};

static struct least least_of(const struct scheduler *s)
{
	struct least best = { .us = -1 };
	for (const struct client *c = s->clients; c; c = c->next) {
		uint32_t n = c->prompt_rows;
		struct least one = {
			.client = c, .rows = c->rows, .longest = c->longest, .attended = c->attended
		};
		if (c->rows == 0 && n > 0)
			one = (struct least){ .client = c,
					      .rows = n,
					      .longest = c->prompt_at + n,
					      .attended = attended(n, c->prompt_at) };
		one.us = step_us(s, one.rows, one.attended);
		if (one.rows > 0 && (best.us < 0 || one.us < best.us))
			best = one;
	}
	return best;
}

/* ---- shares ---- */

static double units_of(const struct scheduler *s, double rows, double far)
{
	return rows + far / s->even;
}

static double units_after(const struct scheduler *s, uint32_t rows, uint32_t length)
{
	return units_of(s, rows, (double)attended(rows, length));
}

/* The price of rows beside those of the least busy client, and how many units of them fit. A unit
 * is a row at the beginning of a text; s->even positions attended to cost as much. */
static double price_set(struct scheduler *s, const struct least *l)
{
	const struct step_cost *c = &s->cost;
	double left_us = (TIMES - 1) * l->us, far_us = step_cost_far_us(c, l->rows + 1);
	double more = 0, each = 1;
	s->even = CONTEXT_EVEN;
	if (step_cost_us(c, 1) > 0) {
		double now = step_cost_us(c, l->rows);
		more = step_cost_within(c, l->rows, now + left_us) - l->rows;
		each = more > 0 ? left_us / more : step_cost_us(c, l->rows + 1) - now;
		each = each > 0 ? each : left_us;
		s->even = each / far_us;
	}
	s->unit_us = each;
	return left_us / each;
}

/* The longest text that a row may attend to which is its client's first in a step: attention takes
 * no longer than what is left of the step, or than that of the least busy client's own row. */
static uint32_t reach_of(const struct scheduler *s, const struct least *l)
{
	double far_us = step_cost_far_us(&s->cost, l->rows + 1);
	double most = (TIMES - 1) * l->us / (far_us > 0 ? far_us : 1.0 / CONTEXT_EVEN);
	return most < l->longest ? l->longest : most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

/* Equal parts of `units` to all who can use so much; what one does not need goes to the others. */
static void hand_out(struct scheduler *s, double units)
{
	for (bool again = true; again;) {
		uint32_t wanting = 0;
		for (const struct client *c = s->clients; c; c = c->next)
			wanting += c->share < c->need;
		double each = wanting > 0 ? units / wanting : 0;
		again = false;
		for (struct client *c = s->clients; c; c = c->next) {
			if (c->share >= c->need || c->need > each)
				continue;
			c->share = c->need;
			units -= c->need;
			again = true;
		}
		for (struct client *c = s->clients; c && !again; c = c->next)
			c->share = c->share < c->need ? each : c->share;
	}
}

/* Of its share, what a client's prompts have before its streams: a quarter, or where that leaves
 * one of the two without a row all of every fourth step. */
static double kept_of(const struct scheduler *s, const struct client *c)
{
	double quarter = ceil(c->share / 4);
	if (c->prompt_rows == 0 || c->rows == 0)
		return 0;
	if (quarter >= units_after(s, 1, c->prompt_at) &&
	    c->share - quarter >= units_after(s, 1, c->longest))
		return quarter;
	return s->shared % (c->share > 1 ? 4 : 2) == 0 ? c->share : 0;
}

/* Whoever's rows have been too long for long enough has them now. */
static void burst_give(struct scheduler *s, int64_t now)
{
	struct client *first = NULL;
	for (struct client *c = s->clients; c; c = c->next)
		if (c->waits_us && (!first || c->waits_us < first->waits_us))
			first = c;
	if (!first || (s->shared - s->burst_at < REST_STEPS && now - first->waits_us < REST_US))
		return;
	double us = (double)(now - first->waits_us) * (TIMES - 1);
	double units = (us < BURST_US ? us : BURST_US) / s->unit_us;
	first->share = units > first->share ? units : first->share;
	first->waits_us = 0;
	s->bursting = first;
	s->burst_at = s->shared;
}

void scheduler_share(struct scheduler *s)
{
	s->shares = count_work(s) > 1;
	s->bursting = NULL;
	if (!s->shares)
		return;
	int64_t now = s->clock.steady_us(s->clock.ctx);
	struct least l = least_of(s);
	double units = price_set(s, &l), own = units_of(s, l.rows, (double)l.attended);
	uint32_t twice = 2 * (uint32_t)(own + units) + 1;
	bool known = step_cost_knows(&s->cost, twice) && !s->cost.guessed;
	bool learns = ++s->shared % (known ? LEARN_AGAIN : LEARN_FIRST) == 0;
	s->company_us = now;
	s->loose = false;
	s->reach = learns && s->cost.guessed ? l.longest : reach_of(s, &l);
	for (struct client *c = s->clients; c; c = c->next)
		c->need = c->prompt_rows > 0 ? INFINITY : units_of(s, c->rows, (double)c->attended);
	hand_out(s, learns && !s->cost.guessed ? twice : own + units);
	burst_give(s, now);
	for (struct client *c = s->clients; c; c = c->next) {
		c->share = c == l.client && c->share < own ? own : c->share;
		c->kept = kept_of(s, c);
	}
}

void scheduler_share_loosen(struct scheduler *s)
{
	s->loose = true;
	for (struct client *c = s->clients; c; c = c->next)
		c->kept = 0;
}

/* Whether a row of t is too long for this step, in which it then waits for one that is longer. */
static bool is_too_long(const struct scheduler *s, const struct task *t)
{
	struct client *c = t->client;
	if (t->sequence->length <= s->reach || s->loose || c == s->bursting)
		return false;
	if (c->waits_us == 0)
		c->waits_us = s->company_us;
	return true;
}

/* Whether one row of t goes, even if it is more than what is left of its client's share: the first
 * of all, and the first that a longer step is for. */
static bool goes_anyway(const struct scheduler *s, const struct task *t)
{
	const struct client *c = t->client;
	if (is_too_long(s, t))
		return false;
	return c->used + c->kept <= 0 || (c == s->bursting && t->sequence->length > s->reach);
}

bool scheduler_share_holds(const struct scheduler *s, const struct task *t, uint32_t rows)
{
	const struct client *c = t->client;
	double units = units_after(s, rows, t->sequence->length);
	if (!s->shares || c->used + c->kept + units <= c->share)
		return true;
	return rows == task_pending(t) && goes_anyway(s, t);
}

uint32_t scheduler_share_rows(const struct scheduler *s, const struct task *t, uint32_t rows)
{
	const struct client *c = t->client;
	if (!s->shares)
		return rows;
	double n = (c->share - c->used) / units_after(s, 1, t->sequence->length);
	if (n < 1)
		n = c->kept < c->share && c->used >= c->share ? 0 : goes_anyway(s, t);
	return n < rows ? (uint32_t)n : rows;
}

void scheduler_share_take(struct scheduler *s, struct task *t, uint32_t rows)
{
	uint32_t length = t->sequence->length;
	s->rows += rows;
	s->attended += attended(rows, length);
	if (!s->shares)
		return;
	t->client->used += units_after(s, rows, length);
	if (length <= s->reach)
		return;
	t->client->waits_us = 0; /* it waited for this, or for something as long */
	s->bursting = s->bursting == t->client ? NULL : s->bursting;
}
