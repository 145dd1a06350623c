#include "recalling_backend.h"

#include "base/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

uint64_t recalling_pages = 1;

struct slot {
	uint64_t hash, seen;
};

struct recalling {
	struct backend backend; /* first */
	struct backend *inner;
	uint32_t vocab;
	pthread_mutex_t lock; /* of slot */
	struct slot *slot;
	uint64_t slots;
	uint64_t *hash; /* [rows_max] */
};

static struct recalling *of(struct backend *b)
{
	return (struct recalling *)b;
}

static struct model_keeper *inner_keeper(struct model_keeper *k)
{
	return &((struct recalling *)k)->inner->keeper; /* the first member of the first member */
}

static int place(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch, struct err *e)
{
	struct model_keeper *inner = inner_keeper(k);
	return inner->place(inner, p, scratch, e);
}

static int fill(struct model_keeper *k, const struct model_item *it, uint64_t at, const unsigned char *bytes,
                uint64_t len, unsigned char *scratch, struct err *e)
{
	struct model_keeper *inner = inner_keeper(k);
	return inner->fill(inner, it, at, bytes, len, scratch, e);
}

static int finish(struct model_keeper *k, struct err *e)
{
	struct model_keeper *inner = inner_keeper(k);
	return inner->finish(inner, e);
}

static int pages(struct backend *b, uint64_t count, struct err *e)
{
	return of(b)->inner->pages(of(b)->inner, count, e);
}

static void page_copy(struct backend *b, uint32_t from, uint32_t to)
{
	of(b)->inner->page_copy(of(b)->inner, from, to);
}

static int states(struct backend *b, uint64_t count, struct err *e)
{
	struct recalling *m = of(b);
	pthread_mutex_lock(&m->lock);
	struct slot *more = realloc(m->slot, (m->slots + count) * sizeof *more);
	for (uint64_t i = 0; more && i < count; i++)
		more[m->slots++] = (struct slot){ 0xbad, UINT64_MAX };
	m->slot = more ? more : m->slot;
	pthread_mutex_unlock(&m->lock);
	return more ? 0 : err_set(e, ERR_NOMEM, "states");
}

static struct slot slot_get(struct recalling *m, uint32_t i)
{
	pthread_mutex_lock(&m->lock);
	check(i < m->slots);
	struct slot s = m->slot[i];
	pthread_mutex_unlock(&m->lock);
	return s;
}

static void slot_set(struct recalling *m, uint32_t i, struct slot s)
{
	pthread_mutex_lock(&m->lock);
	check(i < m->slots);
	m->slot[i] = s;
	pthread_mutex_unlock(&m->lock);
}

static void state_copy(struct backend *b, uint32_t from, uint32_t to)
{
	check(from != to);
	slot_set(of(b), to, slot_get(of(b), from));
}

static int positions(struct backend *b, uint32_t count, struct err *e)
{
	return of(b)->inner->positions(of(b)->inner, count, e);
}

static void saves_check(const struct pass *p, uint32_t s)
{
	for (uint32_t o = 0; o < p->sequences; o++)
		check(p->save[s] != p->state[o] && (o == s || p->save[o] != p->save[s]));
	check(p->save_row[s] < p->rows && p->sequence[p->save_row[s]] == s);
}

/* Step the states, and note what each row knows. */
static void states_step(struct recalling *m, const struct pass *p)
{
	for (uint32_t i = 0; i < p->rows; i++) {
		uint32_t s = p->sequence[i];
		struct slot slot = slot_get(m, p->state[s]);
		if (p->position[i] == 0)
			slot = (struct slot){ 0 };
		check(slot.seen == p->position[i]);
		slot.hash = (slot.hash ^ (p->token[i] + 1)) * 0x9E3779B97F4A7C15u;
		slot.hash ^= slot.hash >> 29;
		slot.seen++;
		m->hash[i] = slot.hash;
		slot_set(m, p->state[s], slot);
		if (p->save[s] == NO_SAVE)
			continue;
		saves_check(p, s);
		if (p->save_row[s] == i)
			slot_set(m, p->save[s], slot);
	}
}

static int forward(struct backend *b, const struct pass *p, struct err *e)
{
	struct recalling *m = of(b);
	TRY(m->inner->forward(m->inner, p, e));
	states_step(m, p);
	for (uint32_t w = 0; w < p->wanted; w++) {
		for (uint32_t j = 0; j < m->vocab; j++)
			p->logits[w][j] += (float)(m->hash[p->want[w]] >> j % 48 & 0xffff) * 0x1p-18f;
	}
	return 0;
}

static void load(const struct backend *b, struct engine_traffic *out)
{
	const struct backend *inner = ((const struct recalling *)b)->inner;
	inner->load(inner, out);
}

static int peak(struct backend *b, enum backend_peak what, double *rate, struct err *e)
{
	return of(b)->inner->peak(of(b)->inner, what, rate, e);
}

static void close_recalling(struct backend *b)
{
	struct recalling *m = of(b);
	m->inner->close(m->inner);
	pthread_mutex_destroy(&m->lock);
	free(m->slot), free(m->hash), free(m);
}

int recalling_open(struct backend **out, const struct backend_order *o, struct err *e)
{
	struct recalling *m = calloc(1, sizeof *m);
	check(m != NULL);
	TRY(cpu_open(&m->inner, o, e));
	m->vocab = o->config->vocab;
	m->backend = *m->inner;
	m->backend.keeper = (struct model_keeper){ .place = place, .fill = fill, .finish = finish };
	m->backend.pages = pages;
	m->backend.page_copy = page_copy;
	m->backend.state_bytes = recalling_pages * m->inner->page_bytes;
	m->backend.states = states;
	m->backend.state_copy = state_copy;
	m->backend.positions = positions;
	m->backend.forward = forward;
	m->backend.load = load;
	m->backend.peak = peak;
	m->backend.close = close_recalling;
	m->hash = calloc(m->backend.rows_max, sizeof *m->hash);
	check(m->hash != NULL);
	pthread_mutex_init(&m->lock, NULL);
	*out = &m->backend;
	return 0;
}
