/* From batches to passes: the rows of all feeds as plain arrays, in as many passes as the backend
 * needs for them. */
#include "engine/engine_in.h"

#include <stdlib.h>
#include <string.h>

/* ---- the arrays ---- */

/* One block for all numbers of a pass, so that a device gets them in one copy. Sequences are at
 * most as many as rows, and wanted rows too. */
static int numbers_grow(struct pass_buffers *b, uint32_t rows, uint32_t pages, struct err *e)
{
	size_t count = (size_t)rows * 8 + 1 + pages;
	free(b->block);
	b->rows = b->pages = 0;
	b->block = malloc(count * sizeof *b->block);
	if (!b->block)
		return err_set(e, ERR_NOMEM, "rows of a pass");
	b->token = b->block;
	b->position = b->token + rows;
	b->sequence = b->position + rows;
	b->want = b->sequence + rows;
	b->first_page = b->want + rows;
	b->state = b->first_page + rows + 1;
	b->save_row = b->state + rows;
	b->save = b->save_row + rows;
	b->page = b->save + rows;
	b->pages = pages;
	b->rows = rows;
	return 0;
}

static int rows_grow(struct pass_buffers *b, uint32_t rows, struct err *e)
{
	free(b->logits);
	free(b->draw);
	free(b->drawn);
	free(b->feed);
	free(b->far);
	b->rows = 0; /* none of the arrays of rows counts while one is missing */
	b->logits = malloc(rows * sizeof *b->logits);
	b->draw = malloc(rows * sizeof *b->draw);
	b->drawn = malloc(rows * sizeof *b->drawn);
	b->feed = malloc(rows * sizeof *b->feed);
	b->far = malloc(rows * sizeof *b->far);
	if (!b->logits || !b->draw || !b->drawn || !b->feed || !b->far)
		return err_set(e, ERR_NOMEM, "rows of a pass");
	b->rows = rows;
	return 0;
}

static int experts_grow(struct pass_buffers *b, size_t count, struct err *e)
{
	if (count <= b->experts)
		return 0;
	free(b->expert);
	b->experts = 0;
	b->expert = malloc(count * sizeof *b->expert);
	if (!b->expert)
		return err_set(e, ERR_NOMEM, "experts of a pass");
	b->experts = count;
	return 0;
}

static uint32_t power_of_two(uint64_t n)
{
	uint32_t p = 1;
	while (p < n && p < 1u << 31)
		p *= 2;
	return p;
}

/* Arrays for any pass of these feeds. */
static int buffers_grow(struct engine *m, const struct engine_feed *feed, size_t count,
			struct err *e)
{
	struct pass_buffers *b = &m->pass;
	uint64_t rows = 0, pages = 0, most = m->backend->rows_max;
	bool experts = false;
	for (size_t i = 0; i < count; i++) {
		rows += feed[i].count;
		pages += feed[i].count > 0 ? feed[i].sequence->pages : 0;
		experts = experts || feed[i].expert;
	}
	uint32_t n = power_of_two(rows < most ? rows : most), more = power_of_two(pages);
	if (pages > more)
		return err_set(e, ERR_INPUT, "too many pages in one pass");
	bool wider = n > b->rows;
	n = wider ? n : b->rows;
	if (wider || more > b->pages)
		TRY(numbers_grow(b, n, more > b->pages ? more : b->pages, e));
	if (wider)
		TRY(rows_grow(b, n, e));
	if (!experts)
		return 0;
	return experts_grow(b, (size_t)m->facts.moe_layers * n * m->facts.experts_per_token, e);
}

void engine_pass_free(struct pass_buffers *b)
{
	free(b->block);
	free(b->logits);
	free(b->draw);
	free(b->drawn);
	free(b->feed);
	free(b->far);
	free(b->expert);
	*b = (struct pass_buffers){ 0 };
}

/* ---- feeds ---- */

static int feed_check(struct engine *m, const struct engine_feed *f, struct err *e)
{
	struct engine_sequence *s = f->sequence;
	if (s->engine != m)
		return err_set(e, ERR_INPUT, "a sequence of another model");
	if (s->fed != NULL)
		return err_set(e, ERR_INPUT, "the same sequence twice in one pass");
	if (f->count > s->room - s->length)
		return err_set(e, ERR_INPUT, "%u tokens after %u: the sequence has room for %u",
			       f->count, s->length, s->room);
	if (m->states && s->state.at != s->length)
		return err_set(e, ERR_INPUT,
			       "the recurrent state is that after %u tokens, not after %u: a pass "
			       "failed; truncate the sequence to 0",
			       s->state.at, s->length);
	for (uint32_t i = 0; i < f->count; i++) {
		if (f->token[i] >= m->config.vocab)
			return err_set(e, ERR_INPUT, "token id %u is outside the vocabulary of %u",
				       f->token[i], m->config.vocab);
	}
	s->fed = f;
	return 0;
}

static int feeds_check(struct engine *m, const struct engine_feed *feed, size_t count,
		       struct err *e)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = feed_check(m, &feed[i], e);
	for (size_t j = 0; j < count; j++) {
		if (feed[j].sequence->fed == &feed[j])
			feed[j].sequence->fed = NULL;
	}
	return rc;
}

/* ---- passes ---- */

/* How far the feeds have been computed. */
struct progress_of_feeds {
	const struct engine_feed *feed;
	size_t count, at;
	uint32_t index; /* tokens of feed `at` that are done */
};

/* Row `row` of the pass is wanted, with the logits at `to`. */
static void want_take(struct pass_buffers *b, struct pass *p, const struct engine_feed *f,
		      uint32_t row, float *to)
{
	b->want[p->wanted] = row;
	b->logits[p->wanted] = to;
	b->draw[p->wanted] = f->all ? NULL : f->draw;
	b->drawn[p->wanted] = f->drawn;
	if (b->draw[p->wanted]) {
		*f->drawn = UINT32_MAX;
		p->draw = b->draw;
		p->drawn = b->drawn;
	}
	p->wanted++;
}

/* Rows [index, index + n) of a feed, as the next sequence of the pass. */
static void feed_take(struct pass_buffers *b, struct pass *p, const struct engine_feed *f,
		      uint32_t index, uint32_t n, uint32_t vocab)
{
	struct engine_sequence *s = f->sequence;
	uint32_t first = b->first_page[p->sequences];
	memcpy(b->page + first, s->page, s->held_count * sizeof *s->page);
	b->feed[p->sequences] = (struct pass_feed){ f, p->rows, index };
	b->far[p->sequences] = s->far;
	b->state[p->sequences] = s->state.slot;
	b->save[p->sequences] = NO_SAVE;
	for (uint32_t i = index; i < index + n; i++) {
		b->token[p->rows] = f->token[i];
		b->position[p->rows] = s->length++;
		b->sequence[p->rows] = p->sequences;
		if (s->state.save != STATE_NONE && s->length == s->state.save_at) {
			b->save_row[p->sequences] = p->rows;
			b->save[p->sequences] = s->state.save;
		}
		if (f->logits && (f->all ? i >= f->skip : i + 1 == f->count))
			want_take(b, p, f, p->rows,
				  f->logits + (f->all ? (size_t)(i - f->skip) * vocab : 0));
		p->rows++;
	}
	b->first_page[++p->sequences] = first + s->pages;
}

/* The next pass; without rows when none is left. */
static struct pass pass_take(struct engine *m, struct progress_of_feeds *f)
{
	struct pass_buffers *b = &m->pass;
	uint32_t most = m->backend->rows_max;
	struct pass p = { .token = b->token,
			  .position = b->position,
			  .sequence = b->sequence,
			  .page = b->page,
			  .first_page = b->first_page,
			  .state = m->states ? b->state : NULL,
			  .save_row = m->states ? b->save_row : NULL,
			  .save = m->states ? b->save : NULL,
			  .far = m->config.rope_far > 0 ? b->far : NULL,
			  .want = b->want,
			  .logits = b->logits };
	if (f->count > 0)
		b->first_page[0] = 0;
	while (f->at < f->count && p.rows < most) {
		const struct engine_feed *feed = &f->feed[f->at];
		uint32_t left = feed->count - f->index,
			 n = left < most - p.rows ? left : most - p.rows;
		if (n > 0)
			feed_take(b, &p, feed, f->index, n, m->config.vocab);
		if (feed->expert)
			p.expert = b->expert;
		f->index = n < left ? f->index + n : 0;
		f->at += n == left;
	}
	return p;
}

/* Experts of a pass [moe_layers][rows] to those of its feeds [moe_layers][count]. */
static void experts_hand_out(const struct engine *m, const struct pass *p)
{
	size_t k = m->facts.experts_per_token;
	for (uint32_t s = 0; p->expert && s < p->sequences; s++) {
		const struct pass_feed *f = &m->pass.feed[s];
		uint32_t end = s + 1 < p->sequences ? m->pass.feed[s + 1].row : p->rows;
		for (uint32_t l = 0; f->feed->expert && l < m->facts.moe_layers; l++)
			memcpy(f->feed->expert + ((size_t)l * f->feed->count + f->index) * k,
			       p->expert + ((size_t)l * p->rows + f->row) * k,
			       (end - f->row) * k * sizeof *p->expert);
	}
}

/* Sequences that go on from a snapshot get its state. */
static void states_restore(struct engine *m, const struct engine_feed *feed, size_t count)
{
	for (size_t i = 0; m->states && i < count; i++) {
		struct sequence_state *s = &feed[i].sequence->state;
		if (feed[i].count == 0 || s->restore == STATE_NONE)
			continue;
		m->backend->state_copy(m->backend, s->restore, s->slot);
		state_pool_unpin(m->states, s->restore);
		s->restore = STATE_NONE;
	}
}

static void states_stepped(const struct engine *m, const struct pass *p)
{
	for (uint32_t s = 0; s < p->sequences; s++) {
		struct engine_sequence *q = m->pass.feed[s].feed->sequence;
		q->state.at = q->length;
	}
}

/* Nothing was appended, then. */
static void feeds_undo(const struct progress_of_feeds *f)
{
	for (size_t i = 0; i < f->count && i <= f->at; i++)
		f->feed[i].sequence->length -= i < f->at ? f->feed[i].count : f->index;
}

static int forward_locked(struct engine *m, const struct engine_feed *feed, size_t count,
			  struct err *e)
{
	struct progress_of_feeds f = { .feed = feed, .count = count };
	TRY(feeds_check(m, feed, count, e));
	TRY(buffers_grow(m, feed, count, e));
	states_restore(m, feed, count);
	for (;;) {
		struct pass p = pass_take(m, &f);
		if (p.rows == 0)
			return 0;
		int rc = m->backend->forward(m->backend, &p, e);
		if (rc < 0) {
			feeds_undo(&f);
			return rc;
		}
		states_stepped(m, &p);
		experts_hand_out(m, &p);
	}
}

int engine_forward(struct engine *m, const struct engine_feed *feed, size_t count, struct err *e)
{
	pool_hold(m->pool);
	int rc = forward_locked(m, feed, count, e);
	pool_release(m->pool);
	return rc;
}

/* ---- measuring ---- */

void engine_traffic(struct engine *m, struct engine_traffic *out)
{
	pool_hold(m->pool);
	m->backend->load(m->backend, out);
	pool_release(m->pool);
}

static int peak(struct engine *m, enum backend_peak what, double *giga, struct err *e)
{
	double rate;
	pool_hold(m->pool);
	int rc = m->backend->peak(m->backend, what, &rate, e);
	pool_release(m->pool);
	if (rc == 0)
		*giga = rate / 1e9;
	return rc;
}

int engine_peak_read(struct engine *m, double *gb_s, struct err *e)
{
	return peak(m, BACKEND_PEAK_READ, gb_s, e);
}

int engine_peak_multiply(struct engine *m, double *gop_s, struct err *e)
{
	return peak(m, BACKEND_PEAK_MULTIPLY, gop_s, e);
}

int engine_peak_float(struct engine *m, double *gop_s, struct err *e)
{
	return peak(m, BACKEND_PEAK_FLOAT, gop_s, e);
}
