/* One forward pass: the rows of all feeds are one batch through the matrices. Nothing of a row's
 * arithmetic depends on the other rows. */
#include "engine/engine_in.h"

#include "kernels/number.h"

#include <string.h>

static void row_norm(struct engine *m, uint32_t i)
{
	struct room *r = &m->room;
	uint32_t n = m->config.hidden;
	float *normed = r->normed + (size_t)i * n;
	m->kernels->rmsnorm(r->x + (size_t)i * n, r->gain, n, m->config.norm_eps, normed);
	row_quantise(m, r->normed, n, &r->normed_code, i);
}

static const struct kernel_matrix *embeddings(const struct engine *m)
{
	return m->weights.embed.panel != NULL ? &m->weights.embed : &m->weights.head;
}

static void embed_row(struct engine *m, uint32_t i)
{
	const struct kernel_matrix *w = embeddings(m);
	kernel_matrix_row(w, m->room.row[i].token, m->room.x + (size_t)i * m->config.hidden);
	row_norm(m, i);
}

void row_add(struct engine *m, uint32_t i, const float *delta)
{
	m->kernels->add(m->room.x + (size_t)i * m->config.hidden, delta, m->config.hidden);
	row_norm(m, i);
}

void row_close(struct engine *m, uint32_t i)
{
	row_add(m, i, m->room.delta + (size_t)i * m->config.hidden);
}

/* Where the logits of the i-th wanted row belong. */
static float *logits_place(const struct engine *m, uint32_t i)
{
	const struct row *row = &m->room.row[m->room.want[i]];
	return row->feed->logits + (row->feed->all ? (size_t)row->index * m->config.vocab : 0);
}

static void logits_run(struct engine *m)
{
	struct room *r = &m->room;
	uint32_t wanted = 0, step;
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
				   .in = r->normed_code,
				   .out = step == 1 ? logits_place(m, at) : r->logits,
				   .stride = m->config.vocab,
				   .again = at > 0 };
		jobs_run(m, &job, 1);
		for (uint32_t i = 0; step > 1 && i < step; i++)
			memcpy(logits_place(m, at + i), r->logits + (size_t)i * m->config.vocab,
			       m->config.vocab * sizeof(float));
	}
}

/* Bytes of the cache that this pass reads: what the last row of each sequence sees, once. */
static uint64_t cache_bytes(const struct engine *m)
{
	uint64_t positions = 0;
	for (uint32_t i = 0; i < m->n; i++) {
		const struct row *row = &m->room.row[i];
		if (i + 1 < m->n && m->room.row[i + 1].sequence == row->sequence)
			continue;
		for (uint32_t l = 0; l < m->config.layers; l++) {
			uint32_t window = model_layer_window(&m->config, l), all = row->position + 1;
			positions += window > 0 && window < all ? window : all;
		}
	}
	return positions * model_cache_row_bytes(&m->config, m->cache);
}

static void pass_count(struct engine *m)
{
	const struct kernel_matrix *w = embeddings(m);
	m->traffic.passes++;
	m->traffic.rows += m->n;
	m->traffic.weight_bytes += m->n * (w->panel_bytes / KERNEL_PANEL);
	m->traffic.cache_bytes += cache_bytes(m);
}

static void pass_run(struct engine *m)
{
	uint32_t moe = 0;
	pass_count(m);
	m->room.gain = m->weights.layer[0].attn_norm;
	rows_run(m, embed_row);
	for (uint32_t l = 0; l < m->config.layers; l++) {
		const struct layer_weights *w = &m->weights.layer[l];
		m->room.gain = w->ffn_norm;
		if (m->config.attention == MODEL_ATTN_MLA)
			attn_mla_run(m, l);
		else
			attn_gqa_run(m, l);
		rows_run(m, row_close);
		m->room.gain = l + 1 < m->config.layers ? w[1].attn_norm : m->weights.norm;
		ffn_run(m, l, moe);
		moe += w->expert != NULL;
	}
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
	uint32_t most = room_rows_max(m);
	m->n = 0;
	while (*at < count && m->n < most) {
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
	uint64_t rows = 0, most = room_rows_max(m);
	size_t at = 0;
	uint32_t index = 0;
	TRY(feeds_check(m, feed, count, e));
	for (size_t i = 0; i < count; i++)
		rows += feed[i].count;
	TRY(room_grow(m, (uint32_t)(rows < most ? rows : most), e));
	while (rows_take(m, feed, count, &at, &index))
		pass_run(m);
	return 0;
}

int engine_forward(struct engine *m, const struct engine_feed *feed, size_t count, struct err *e)
{
	struct pool_caller former;
	pthread_mutex_lock(&m->lock);
	unsigned mode = number_mode_enter();
	pool_enter(m->pool, &former);
	int r = forward_locked(m, feed, count, e);
	pool_leave(&former);
	number_mode_leave(mode);
	pthread_mutex_unlock(&m->lock);
	return r;
}

void engine_traffic(struct engine *m, struct engine_traffic *out)
{
	pthread_mutex_lock(&m->lock);
	*out = m->traffic;
	pthread_mutex_unlock(&m->lock);
}
