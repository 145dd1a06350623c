/* One forward pass: the rows of all feeds are one batch through the matrices. Nothing of a row's
 * arithmetic depends on the other rows. */
#include "engine/model.h"

#include "kernels/number.h"

#include <string.h>

static void embed_row(struct engine *m, uint32_t i)
{
	const struct kernel_matrix *w = m->config.tied ? &m->weights.head : &m->weights.embed;
	float *x = m->room.x + (size_t)i * m->config.hidden;
	for (uint32_t k = 0; k < m->config.hidden; k++)
		x[k] = kernel_matrix_at(w, m->room.row[i].token, k);
}

static void norm_rows(struct engine *m, const float *gain)
{
	for (uint32_t i = 0; i < m->n; i++)
		m->kernels->rmsnorm(m->room.x + (size_t)i * m->config.hidden, gain,
				    m->config.hidden, m->config.norm_eps,
				    m->room.normed + (size_t)i * m->config.hidden);
}

static void residual_row(struct engine *m, uint32_t i)
{
	m->kernels->add(m->room.x + (size_t)i * m->config.hidden,
			m->room.delta + (size_t)i * m->config.hidden, m->config.hidden);
}

static void logits_run(struct engine *m)
{
	struct room *r = &m->room;
	uint32_t vocab = m->config.vocab, wanted = 0, step;
	for (uint32_t i = 0; i < m->n; i++) {
		if (r->row[i].logits)
			r->want[wanted++] = i;
	}
	for (uint32_t at = 0; at < wanted; at += step) {
		step = r->rows < LOGIT_ROWS_MAX ? r->rows : LOGIT_ROWS_MAX;
		step = wanted - at < step ? wanted - at : step;
		struct job job = { .w = &m->weights.head,
				   .x = { .value = r->normed,
					  .stride = m->config.hidden,
					  .count = step,
					  .pick = r->want + at },
				   .out = r->logits,
				   .stride = vocab };
		jobs_run(m, &job, 1);
		for (uint32_t i = 0; i < step; i++) {
			const struct row *row = &r->row[r->want[at + i]];
			memcpy(row->feed->logits +
				       (row->feed->all ? (size_t)row->index * vocab : 0),
			       r->logits + (size_t)i * vocab, vocab * sizeof(float));
		}
	}
}

static void pass_run(struct engine *m)
{
	uint32_t moe = 0;
	rows_run(m, embed_row);
	for (uint32_t l = 0; l < m->config.layers; l++) {
		const struct layer_weights *w = &m->weights.layer[l];
		norm_rows(m, w->attn_norm);
		if (m->config.attention == MODEL_ATTN_MLA)
			attn_mla_run(m, l);
		else
			attn_gqa_run(m, l);
		rows_run(m, residual_row);
		norm_rows(m, w->ffn_norm);
		ffn_run(m, l, moe);
		moe += w->expert != NULL;
		rows_run(m, residual_row);
	}
	norm_rows(m, m->weights.norm);
	logits_run(m);
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
	size_t i = 0;
	int r = 0;
	for (; r == 0 && i < count; i++)
		r = feed_check(m, &feed[i], e);
	for (size_t j = 0; j < count; j++) {
		if (feed[j].sequence->fed == &feed[j])
			feed[j].sequence->fed = NULL;
	}
	return r;
}

/* Fill the pass with rows from (*at, *index) on; returns false when no row is left. */
static bool rows_take(struct engine *m, const struct engine_feed *feed, size_t count, size_t *at,
		      uint32_t *index)
{
	m->n = 0;
	while (*at < count && m->n < ROWS_MAX) {
		const struct engine_feed *f = &feed[*at];
		if (*index == f->count) {
			++*at;
			*index = 0;
			continue;
		}
		m->room.row[m->n++] = (struct row){ .sequence = f->sequence,
						    .feed = f,
						    .token = f->token[*index],
						    .position = f->sequence->length++,
						    .index = *index,
						    .logits = f->logits != NULL &&
							      (f->all || *index + 1 == f->count) };
		++*index;
	}
	return m->n > 0;
}

static int forward_locked(struct engine *m, const struct engine_feed *feed, size_t count,
			  struct err *e)
{
	uint64_t rows = 0;
	size_t at = 0;
	uint32_t index = 0;
	TRY(feeds_check(m, feed, count, e));
	for (size_t i = 0; i < count; i++)
		rows += feed[i].count;
	TRY(room_grow(m, rows < ROWS_MAX ? (uint32_t)rows : ROWS_MAX, e));
	while (rows_take(m, feed, count, &at, &index))
		pass_run(m);
	return 0;
}

int engine_forward(struct engine *m, const struct engine_feed *feed, size_t count, struct err *e)
{
	pthread_mutex_lock(&m->lock);
	unsigned mode = number_mode_enter();
	int r = forward_locked(m, feed, count, e);
	number_mode_leave(mode);
	pthread_mutex_unlock(&m->lock);
	return r;
}
