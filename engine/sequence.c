/* A timeline's cache: for each layer, pages of 64 positions. All pages are made at open, so that
 * decoding allocates nothing; the system backs them when they are first written. */
#include "engine/model.h"

#include <stdlib.h>

static int pages_make(struct engine_sequence *s, const struct model_config *c, struct err *e)
{
	size_t count, floats, page_floats = (size_t)KERNEL_PAGE * model_cache_width(c);
	if (__builtin_mul_overflow((size_t)s->pages, c->layers, &count) ||
	    __builtin_mul_overflow(count, page_floats, &floats) || floats > SIZE_MAX / 8)
		return err_set(e, ERR_NOMEM, "cache of %u tokens", s->room);
	s->page = malloc(count * sizeof *s->page);
	s->block =
		aligned_alloc(64,
			      floats * sizeof *s->block); /* 64 positions: a multiple of 64 bytes */
	if (s->page == NULL || s->block == NULL)
		return err_set(e, ERR_NOMEM, "cache of %u tokens: %zu bytes", s->room,
			       floats * sizeof *s->block);
	for (size_t i = 0; i < count; i++)
		s->page[i] = s->block + i * page_floats;
	return 0;
}

static int rope_ready(struct engine *m, uint32_t positions, struct err *e)
{
	pthread_mutex_lock(&m->lock);
	int r = rope_table_grow(&m->rope, positions, e);
	pthread_mutex_unlock(&m->lock);
	return r;
}

int engine_sequence_open(struct engine_sequence **out, struct engine *m, uint32_t tokens_max,
			 struct err *e)
{
	*out = NULL;
	if (tokens_max == 0 || tokens_max > m->config.context_max)
		return err_set(e, ERR_INPUT, "a sequence of %u tokens: the model's context is %u",
			       tokens_max, m->config.context_max);
	struct engine_sequence *s = calloc(1, sizeof *s);
	if (s == NULL)
		return err_set(e, ERR_NOMEM, "sequence");
	s->engine = m;
	s->room = tokens_max;
	s->pages = (tokens_max + KERNEL_PAGE - 1) / KERNEL_PAGE;
	int r = pages_make(s, &m->config, e);
	if (r == 0)
		r = rope_ready(m, tokens_max, e);
	if (r < 0) {
		engine_sequence_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void engine_sequence_close(struct engine_sequence *s)
{
	if (s == NULL)
		return;
	free(s->page);
	free(s->block);
	free(s);
}

uint32_t engine_sequence_length(const struct engine_sequence *s) { return s->length; }

int engine_sequence_truncate(struct engine_sequence *s, uint32_t length, struct err *e)
{
	if (length > s->length)
		return err_set(e, ERR_INPUT, "cannot truncate %u tokens to %u", s->length, length);
	s->length = length;
	return 0;
}
