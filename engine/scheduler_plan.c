/* Planning the next step: which tasks are admitted, which go on, which are preempted. All of it
 * runs under the scheduler's lock and allocates nothing.
 *
 * Order: running answers (decode), one row each, and drafts where rows are left; then pieces of
 * prompts (chunked prefill), the least served client first. A task may preempt parked tasks and
 * younger ones; a client without a running task may preempt the youngest task of a client that has
 * several, and an answer of few tokens the youngest of its own client's long ones. A preempted task
 * keeps its age, so that the oldest task always goes on. */
#include "engine/scheduler.h"
#include "engine/engine_in.h"

#include <string.h>

#define ROWS_BESIDE 64u    /* rows of prompts in a step that running streams wait for */
#define ROWS_ALONE 256u    /* and in one that nobody waits for, or more: struct backend */
#define COMPANY_US 2000000 /* since another client had work: it will be back, and wait */
/* A reader that has taken nothing for so many steps, and for so long, counts as gone: steps may be
 * short, and the reader's thread waits for a core. */
#define IDLE_STEPS 8u
#define IDLE_US 500000
#define SHORT_TOKENS 64u /* of an answer that its client's long ones let in before them */
#define ROWS_DRAFTS 32u  /* rows of a step up to which drafts are added */

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void fail(struct scheduler *s, struct task *t, int code, const char *text)
{
	task_fail(t, code, text);
	scheduler_retire(s, t);
	aside_cancel(&t->mask);
	pthread_cond_signal(&t->changed);
}

static void expire(struct scheduler *s)
{
	int64_t now = s->clock.steady_us(s->clock.ctx);
	for (struct task *t = s->oldest, *next; t != NULL; t = next) {
		next = t->after;
		if (t->deadline_us != 0 && t->deadline_us <= now)
			fail(s, t, ERR_UNAVAILABLE, "the request's deadline has passed");
	}
}

/* ---- giving way ---- */

static void preempt(struct scheduler *s, struct task *t)
{
	sequence_release(t->sequence);
	t->state = TASK_WAITING;
	t->behind = 0;
	t->again = true;
	s->load.preempted++;
}

static bool is_parked(const struct task *t)
{
	return t->state == TASK_RUNNING && !t->stepping && !task_is_ready(t);
}

/* The youngest task that may be preempted for t, or NULL. */
static struct task *victim_of(const struct scheduler *s, const struct task *t)
{
	for (struct task *v = s->youngest; v != NULL; v = v->before) {
		if (v != t && is_parked(v) && v->sequence->held_count > 0)
			return v;
	}
	for (struct task *v = s->youngest; v != NULL && v != t; v = v->before) {
		if (v->state == TASK_RUNNING && !v->stepping && v->sequence->held_count > 0)
			return v;
	}
	return NULL;
}

/* Get pages for so many tokens, preempting others if needed. */
static bool pages_get(struct scheduler *s, struct task *t, uint32_t tokens)
{
	while (!sequence_grow(t->sequence, tokens)) {
		struct task *v = victim_of(s, t);
		if (v == NULL)
			return false;
		preempt(s, v);
	}
	return true;
}

/* ---- letting in ---- */

/* How many are running for each client and are not parked; returns how many in all. */
static uint32_t count_active(struct scheduler *s)
{
	uint32_t n = 0;
	for (struct client *c = s->clients; c != NULL; c = c->next)
		c->active = 0;
	for (const struct task *t = s->oldest; t != NULL; t = t->after) {
		uint32_t one = t->state == TASK_RUNNING && task_is_ready(t);
		t->client->active += one;
		n += one;
	}
	return n;
}

static bool is_short(const struct task *t) { return t->id_room <= SHORT_TOKENS; }

/* For an answer of few tokens: the youngest of its client's long ones. Whoever keeps two
 * hundred streams open would wait for minutes for one word else. */
static struct task *place_of_own(const struct scheduler *s, const struct task *t)
{
	if (!is_short(t) || t->client->active < 2)
		return NULL;
	for (struct task *v = s->youngest; v != NULL; v = v->before) {
		if (v->client == t->client && v->state == TASK_RUNNING && task_is_ready(v) &&
		    !v->stepping && !is_short(v))
			return v;
	}
	return NULL;
}

/* For a client without a running task: the youngest task of the client that has most. */
static struct task *place_of_another(const struct scheduler *s, const struct task *t)
{
	struct task *best = NULL;
	uint32_t most = 1;
	if (t->client->active > 0)
		return place_of_own(s, t);
	for (struct task *v = s->youngest; v != NULL; v = v->before) {
		if (v->state == TASK_RUNNING && task_is_ready(v) && v->client->active > most) {
			most = v->client->active;
			best = v;
		}
	}
	return best;
}

static struct task *next_waiting(const struct scheduler *s)
{
	struct task *best = NULL;
	for (struct task *t = s->oldest; t != NULL; t = t->after) {
		if (t->state != TASK_WAITING || !task_is_ready(t))
			continue;
		if (best == NULL || t->client->served < best->client->served ||
		    (t->client == best->client && is_short(t) && !is_short(best)))
			best = t;
	}
	return best;
}

static uint32_t known(const struct task *t) { return t->prompt_count + t->drawn; }
static uint32_t pages_of(uint32_t tokens) { return (tokens + KERNEL_PAGE - 1) / KERNEL_PAGE; }

/* Pages that admitted tasks still need for the tokens that they already have. */
static uint64_t pages_owed(const struct scheduler *s)
{
	uint64_t n = 0;
	for (const struct task *t = s->oldest; t != NULL; t = t->after) {
		uint32_t want = pages_of(known(t)), held = t->sequence->held_count;
		n += t->state == TASK_RUNNING && want > held ? want - held : 0;
	}
	return n;
}

/* Go on from kept pages as far as they reach. */
static uint32_t adopt(struct task *t)
{
	return sequence_adopt(t->sequence, t->root, t->token, known(t));
}

static void adopted(struct scheduler *s, struct task *t, uint32_t n)
{
	s->load.prefix_hits += n;
	t->cached += t->again ? 0 : n;
}

/* Preempt a parked task, or one of a client with several, so that t can start. */
static bool gives_way(struct scheduler *s, const struct task *t)
{
	struct task *v = victim_of(s, t);
	if (v == NULL || !is_parked(v))
		v = place_of_another(s, t);
	if (v == NULL)
		return false;
	preempt(s, v);
	count_active(s);
	return true;
}

/* Get a slot of state for t, and pages to start with: those that are kept, and there must be as
 * many others as it needs. */
static bool can_start(struct scheduler *s, struct task *t, uint32_t *adopted)
{
	*adopted = 0;
	while (!sequence_state_take(t->sequence)) {
		if (!gives_way(s, t))
			return false;
	}
	*adopted = adopt(t);
	while (cache_pool_available(s->engine->pages) + t->sequence->held_count <
	       pages_of(known(t)) + pages_owed(s)) {
		if (!gives_way(s, t))
			return false;
	}
	return true;
}

/* Tokens of whole pages that o computes and t could take from it. */
static uint32_t same_pages(const struct task *o, const struct task *t)
{
	uint32_t end = least(least(known(o), known(t) - 1), o->shared), same = 0;
	while (same < end && o->token[same] == t->token[same])
		same++;
	return same - same % KERNEL_PAGE;
}

static bool has_same_root(const struct task *a, const struct task *b)
{
	return a->root.id[0] == b->root.id[0] && a->root.id[1] == b->root.id[1];
}

/* With recurrent layers: have those that compute what t begins with save their state where their
 * texts part. */
static void branch_mark(struct scheduler *s, const struct task *t)
{
	for (struct task *o = s->oldest; s->engine->states && o != NULL; o = o->after) {
		struct engine_sequence *q = o->sequence;
		if (o == t || o->state != TASK_RUNNING || !has_same_root(o, t) ||
		    o->prompt_count <= q->length || q->state.branch > q->length)
			continue;
		uint32_t same = same_pages(o, t);
		if (same > q->length)
			q->state.branch = same;
	}
}

static void admit(struct scheduler *s)
{
	for (struct task *t; (t = next_waiting(s)) != NULL;) {
		if (count_active(s) >= s->batch) {
			struct task *v = place_of_another(s, t);
			if (v == NULL)
				return;
			preempt(s, v);
			count_active(s);
		}
		uint32_t n;
		if (!can_start(s, t, &n)) {
			sequence_release(t->sequence);
			return;
		}
		adopted(s, t, n);
		branch_mark(s, t);
		t->state = TASK_RUNNING;
		if (t->queued_us == 0) /* a moment at least: 0 says that it waits */
			t->queued_us = s->clock.steady_us(s->clock.ctx) - t->entered_us + 1;
		t->idle = 0;
		t->late = false;
	}
}

/* A text that has grown longer than the near tables reach turns by the far ones from its beginning:
 * it gives its pages back and is computed again, once. So its bits depend on its length alone, and
 * are those of the reference. (Going on with far rows after near ones would be a third thing, which
 * no implementation means.) */
static void turn_far(struct scheduler *s)
{
	uint32_t most = s->engine->config.rope_far;
	for (struct task *t = s->oldest; t != NULL && most > 0; t = t->after) {
		if (t->sequence->far || known(t) <= most)
			continue;
		if (t->state == TASK_RUNNING)
			preempt(s, t);
		t->sequence->far = true;
	}
}

/* ---- turns ---- */

static struct turn *turn_add(struct scheduler *s, struct task *t, uint32_t count, uint32_t drafts)
{
	struct turn *turn = &s->turn[s->turns++];
	*turn = (struct turn){ .task = t,
			       .count = count,
			       .drafts = drafts,
			       .draw = count - drafts == task_pending(t) };
	t->stepping = true;
	t->late = false;
	t->client->served += count;
	scheduler_share_take(s, t, count);
	return turn;
}

/* Append draft tokens, to be verified together with the next one. With recurrent layers the state
 * before them is saved, or there are none. */
static uint32_t drafts_make(struct scheduler *s, struct task *t, uint32_t rows)
{
	struct engine_sequence *q = t->sequence;
	uint32_t count = known(t), most = t->draft_max, left = t->id_room - t->drawn - 1;
	if (most == 0 || rows >= ROWS_DRAFTS)
		return 0;
	most = least(most, least(left, ROWS_DRAFTS - rows));
	while (most > 0 && !scheduler_share_holds(s, t, task_pending(t) + most))
		most--;
	if (s->engine->config.rope_far > 0 && !q->far) /* rows beyond would turn otherwise */
		most = least(most, s->engine->config.rope_far - count);
	if (most == 0)
		return 0;
	if (sequence_state_border(q, t->prompt_count, q->length, least(count, t->shared)) > 0)
		return 0;      /* this step saves for the prefix cache */
	if (s->engine->states) /* and so does the one that ends the page */
		most = least(most, KERNEL_PAGE - 1 - count % KERNEL_PAGE);
	(void)!sequence_grow(q, count + most); /* no task is preempted for a draft */
	uint32_t held = q->held_count * KERNEL_PAGE - count;
	most = least(most, held);
	uint32_t n = engine_draft_lookup(t->token, count, most, t->token + count);
	if (n > 0 && s->engine->states && !sequence_state_save(q, count))
		return 0;
	s->load.drafted += n;
	return n;
}

/* Have the state saved where these rows pass by a border; of two, up to the first. Returns how many
 * of the rows are taken. */
static uint32_t snapshot_plan(struct task *t, uint32_t count)
{
	struct engine_sequence *q = t->sequence;
	uint32_t end = least(q->length + count, t->shared), prompt = t->prompt_count;
	uint32_t border = sequence_state_border(q, prompt, q->length, end);
	if (border == 0 || !sequence_state_save(q, border))
		return count;
	uint32_t next = sequence_state_border(q, prompt, border, end);
	return next > 0 && next <= prompt ? border - q->length : count;
}

/* Those that were left out before come first, after the one of their client that came last: where
 * there is room for one row the oldest two would take turns, and the others wait for them. */
static bool comes_now(const struct task *t, int round)
{
	if (round == 2 || !t->late)
		return round == 2 && !t->late;
	return round == 1 || t->serial > t->client->last;
}

/* The rows of running answers. */
static void plan_streams(struct scheduler *s)
{
	uint32_t rows = 0;
	for (int round = 0; round < 3; round++) {
		for (struct task *t = s->oldest; t != NULL; t = t->after) {
			if (t->state != TASK_RUNNING || t->stepping || !comes_now(t, round) ||
			    !task_is_stream(t) || !task_is_ready(t))
				continue;
			if (s->turns == s->batch || !scheduler_share_holds(s, t, task_pending(t)) ||
			    !pages_get(s, t, known(t))) {
				t->late = true;
				continue;
			}
			t->client->last = t->late ? t->serial : t->client->last;
			uint32_t drafts = drafts_make(s, t, rows), n = task_pending(t) + drafts;
			if (drafts == 0)
				(void)!snapshot_plan(t, n);
			turn_add(s, t, n, drafts);
			rows += n;
		}
	}
}

/* Whether an older task of this step computes the page that t needs next: then t waits and takes it
 * from the prefix cache. */
static bool comes_anyway(const struct scheduler *s, const struct task *t)
{
	uint32_t at = t->sequence->length;
	if (at % KERNEL_PAGE != 0 || at + KERNEL_PAGE >= known(t) ||
	    !cache_pool_keeps(s->engine->pages))
		return false;
	struct cache_key mine = sequence_key(t->sequence, t->root);
	for (uint32_t i = 0; i < s->turns; i++) {
		const struct task *o = s->turn[i].task;
		struct cache_key its = sequence_key(o->sequence, o->root);
		if (o->sequence->kept * KERNEL_PAGE == at && known(o) >= at + KERNEL_PAGE &&
		    o->shared >= at + KERNEL_PAGE && its.id[0] == mine.id[0] &&
		    its.id[1] == mine.id[1] &&
		    memcmp(o->token + at, t->token + at, KERNEL_PAGE * sizeof *t->token) == 0)
			return true;
	}
	return false;
}

/* The same with recurrent layers: an older task's state will be saved where their texts are
 * still the same. */
static bool state_comes_anyway(const struct scheduler *s, const struct task *t)
{
	for (uint32_t i = 0; i < s->turns; i++) {
		const struct task *o = s->turn[i].task;
		const struct engine_sequence *q = o->sequence;
		if (has_same_root(o, t) && o->prompt_count > q->length &&
		    sequence_state_border(q, o->prompt_count, q->length, same_pages(o, t)) >
			    t->sequence->length)
			return true;
	}
	return false;
}

/* The next prompt to go on with, of a client that has some of the step left: one with many prompts
 * and few rows would have each of them looked at in every step, while all others wait. */
static struct task *next_prompt(const struct scheduler *s)
{
	struct task *best = NULL;
	for (struct task *t = s->oldest; t != NULL; t = t->after) {
		if (t->state == TASK_RUNNING && !t->stepping && !t->late && task_is_ready(t) &&
		    !task_is_stream(t) && scheduler_share_rows(s, t, 1) > 0 &&
		    (best == NULL || t->client->served < best->client->served))
			best = t;
	}
	return best;
}

/* Pieces of prompts, of `budget` rows. */
static void plan_prompts(struct scheduler *s, bool streams)
{
	bool company =
		s->company_us && s->clock.steady_us(s->clock.ctx) - s->company_us < COMPANY_US;
	uint32_t alone = s->engine->backend->rows_alone;
	alone = alone > ROWS_ALONE ? alone : ROWS_ALONE;
	uint32_t most = s->turns + 32, budget = streams || company ? ROWS_BESIDE : alone;
	for (struct task *t; budget > 0 && s->turns < most && (t = next_prompt(s)) != NULL;) {
		adopted(s, t, adopt(t));
		uint32_t length = t->sequence->length, n = task_pending(t);
		uint32_t rows = streams ? scheduler_rows(budget, length) : budget;
		n = scheduler_share_rows(s, t, n < rows ? n : rows);
		t->late = true; /* not considered again in this step */
		if (n == 0)
			continue;
		if (s->engine->states ? state_comes_anyway(s, t) : comes_anyway(s, t))
			continue;
		if (!pages_get(s, t, length + n)) {
			uint32_t held = t->sequence->held_count * KERNEL_PAGE - length;
			n = n < held ? n : held;
		}
		if (n == 0)
			continue;
		n = snapshot_plan(t, n);
		turn_add(s, t, n, 0);
		budget -= n < rows ? (uint32_t)((uint64_t)n * budget / rows) : budget;
	}
}

/* Whether a reader waits for some answer's next token; answers ahead of their reader are noted. */
static bool has_streams(struct scheduler *s)
{
	bool any = false;
	int64_t now = s->clock.steady_us(s->clock.ctx);
	for (struct task *t = s->oldest; t != NULL; t = t->after) {
		bool ready = task_is_ready(t);
		t->idle = ready ? 0 : t->idle + 1;
		t->ready_us = ready ? now : t->ready_us;
		t->gone = t->idle >= IDLE_STEPS && now - t->ready_us >= IDLE_US;
		any |= t->state == TASK_RUNNING && task_is_stream(t) && !t->gone;
	}
	return any;
}

static void served_set(struct scheduler *s)
{
	uint64_t least = UINT64_MAX;
	for (const struct task *t = s->oldest; t != NULL; t = t->after) {
		if (task_is_ready(t) && t->client->served < least)
			least = t->client->served;
	}
	if (least != UINT64_MAX && least > s->served)
		s->served = least;
}

/* Nothing can go on and nothing in progress could change that: the first task fails. The pages are
 * held by sequences outside the scheduler. */
static bool stuck(struct scheduler *s)
{
	for (struct task *t = s->oldest; t != NULL; t = t->after) {
		if (!task_is_ready(t))
			continue;
		fail(s, t, ERR_UNAVAILABLE,
		     "the cache is taken by sequences that are open outside of sessions");
		return true;
	}
	return false;
}

static void plan_turns(struct scheduler *s, bool streams)
{
	plan_streams(s);
	for (struct task *t = s->oldest; t != NULL; t = t->after)
		t->late &= task_is_stream(t);
	plan_prompts(s, streams);
}

bool scheduler_plan(struct scheduler *s)
{
	do {
		s->turns = s->rows = 0;
		s->attended = 0;
		expire(s);
		served_set(s);
		turn_far(s);
		admit(s);
		bool streams = has_streams(s);
		scheduler_share(s);
		plan_turns(s, streams);
		if (s->turns == 0 && s->shares) {
			scheduler_share_loosen(s);
			plan_turns(s, streams);
		}
		if (s->turns == 0 && s->shares) {
			s->shares = false;
			plan_turns(s, streams);
		}
	} while (s->turns == 0 && stuck(s));
	return s->turns > 0;
}
