/* Who may have how much of a step.
 *
 * A step takes as long as all its rows do, and all its readers wait for it. So where several
 * clients have work, a step has about as many rows as make it take twice as long as it would for
 * the client that has least to do (step_cost.h), and each client has an equal share of those: what
 * one does not need goes to the others. A client always has a row. Of its share, a client with
 * streams and prompts keeps a quarter for prompts. The price is that many rows of one client are
 * spread over more steps while another one reads.
 *
 * A stream that is ahead of its reader counts: the reader will be back before long. A client
 * alone has all of the step. */
#include "engine/scheduler.h"

/* Tokens before a row at which attention takes about as long as the rest: 2,000 to 6,000 in the
 * shapes that are measured. Streams wait for rows by what they cost. */
#define CONTEXT_EVEN 4096u
#define ROWS_LEAST 16u /* of a prompt, however long it is: below, experts are read for few */
#define TIMES 1.75     /* what a step may take: with what is beside it, twice */
/* Every so many steps one has twice the rows, to learn what those cost: too few of them to be seen
 * in the 99th percentile. */
#define LEARN_EACH 128u

uint32_t scheduler_units(uint32_t rows, uint32_t length)
{
	return (uint32_t)((uint64_t)rows * (CONTEXT_EVEN + length) / CONTEXT_EVEN);
}

uint32_t scheduler_rows(uint32_t budget, uint32_t length)
{
	uint64_t n = (uint64_t)budget * CONTEXT_EVEN / ((uint64_t)CONTEXT_EVEN + length),
		 least = budget < ROWS_LEAST ? budget : ROWS_LEAST;
	return (uint32_t)(n > least ? n : least);
}

/* What each client has to do; returns how many have something. */
static uint32_t count_work(struct scheduler *s)
{
	uint32_t clients = 0;
	for (struct client *c = s->clients; c; c = c->next) {
		c->streams = c->share = c->used = c->kept = 0;
		c->prompts = false;
	}
	for (const struct task *t = s->oldest; t; t = t->after) {
		if (t->state != TASK_RUNNING || t->gone)
			continue;
		struct client *c = t->client;
		clients += c->streams == 0 && !c->prompts;
		uint32_t units = scheduler_units(task_pending(t), t->sequence->length);
		if (task_is_stream(t)) {
			c->streams += units;
			continue;
		}
		c->shortest = c->prompts && c->shortest < units ? c->shortest : units;
		c->prompts = true;
	}
	return clients;
}

/* Hand out `units`, one at a time, to all who can use more; each has one anyway. */
static void hand_out(struct scheduler *s, uint32_t units)
{
	bool any = true;
	for (uint32_t round = 0; any && (units > 0 || round == 0); round++) {
		any = false;
		for (struct client *c = s->clients; c; c = c->next) {
			if ((!c->prompts && c->share >= c->streams) || (round > 0 && units == 0))
				continue;
			c->share++;
			units -= units > 0;
			any = true;
		}
	}
}

void scheduler_share(struct scheduler *s)
{
	uint32_t clients = count_work(s), fewest = UINT32_MAX;
	for (const struct client *c = s->clients; c; c = c->next) {
		uint32_t units = c->streams > 0 ? c->streams : c->prompts ? c->shortest : fewest;
		fewest = units < fewest ? units : fewest;
	}
	s->shares = clients > 1;
	if (!s->shares)
		return;
	s->company_us = s->clock.steady_us(s->clock.ctx);
	bool learns = ++s->shared % LEARN_EACH == 0;
	uint32_t units = step_cost_rows(&s->cost, fewest, TIMES);
	hand_out(s, learns ? 2 * units + 1 : units);
	for (struct client *c = s->clients; c; c = c->next) {
		if (!c->prompts || c->streams == 0)
			continue;
		c->kept = c->share > 1 ? (c->share + 3) / 4 : s->shared % 2;
	}
}

bool scheduler_share_holds(const struct scheduler *s, const struct task *t, uint32_t rows)
{
	const struct client *c = t->client;
	uint32_t units = scheduler_units(rows, t->sequence->length);
	if (!s->shares)
		return true;
	return c->used + c->kept == 0 || c->used + c->kept + units <= c->share;
}

uint32_t scheduler_share_rows(const struct scheduler *s, const struct task *t, uint32_t rows)
{
	const struct client *c = t->client;
	uint64_t each = (uint64_t)CONTEXT_EVEN + t->sequence->length;
	if (!s->shares)
		return rows;
	if (c->used >= c->share)
		return 0;
	uint64_t n = (uint64_t)(c->share - c->used) * CONTEXT_EVEN / each;
	n = n > 0 || c->used > 0 ? n : 1;
	return n < rows ? (uint32_t)n : rows;
}
