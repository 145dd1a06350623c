#include "keeper.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH 100

static struct recorder *of(struct model_keeper *k)
{
	return (struct recorder *)k; /* its first member */
}

static int take_plan(struct model_keeper *k, const struct model_plan *p, uint64_t *scratch, struct err *e)
{
	struct recorder *r = of(k);
	*scratch = SCRATCH;
	if (r->refuse < 0)
		return err_set(e, r->refuse, "no place");
	r->plan = p;
	r->items = p->count;
	r->record = calloc(p->count, sizeof *r->record);
	for (size_t i = 0; i < p->count; i++) {
		const struct model_item *it = &p->item[i];
		size_t values = (size_t)it->rows * it->columns * (it->stack ? it->stack : 1);
		size_t n = it->kind == ITEM_FLOATS ? values * sizeof(float)
		           : it->tensor             ? it->tensor->bytes
		                                    : 0;
		r->record[i].len = n;
		r->record[i].bytes = calloc(n + 1, 1);
		r->record[i].times = calloc(n + 1, 1);
	}
	return 0;
}

static bool is_whole(const struct model_item *it, uint64_t at, uint64_t len)
{
	uint64_t end = (at + len) % it->group_bytes;
	if (it->kind == ITEM_FLOATS) /* complete, as f32 */
		return at == 0 && len == (uint64_t)it->rows * it->columns * (it->stack ? it->stack : 1) * sizeof(float);
	return len > 0 && at % it->group_bytes % it->unit_bytes == 0 && (end == 0 || end % it->unit_bytes == 0);
}

static int take_bytes(struct model_keeper *k, const struct model_item *it, uint64_t at,
                      const unsigned char *bytes, uint64_t len, unsigned char *scratch, struct err *e)
{
	struct recorder *r = of(k);
	struct record *to = &r->record[it - r->plan->item];
	uint64_t number = atomic_fetch_add(&r->fills, 1) + 1;
	(void)e;
	if (r->plan->threads == 1 && to->first == 0)
		to->first = number;
	if (!is_whole(it, at, len))
		atomic_fetch_add(&r->odd, 1);
	memset(scratch, 0xee, SCRATCH);
	memcpy(to->bytes + at, bytes, len);
	for (uint64_t j = at; j < at + len; j++)
		to->times[j]++;
	return 0;
}

static int take_random(struct model_keeper *k, const struct model_item *it, uint64_t seed, uint64_t number,
                       struct err *e)
{
	struct recorder *r = of(k);
	(void)seed, (void)e;
	cr_assert_eq((uint64_t)(it - r->plan->item) + 1, number);
	atomic_fetch_add(&r->fills, 1);
	return 0;
}

static int all_came(struct model_keeper *k, struct err *e)
{
	struct recorder *r = of(k);
	(void)e;
	r->finished = true;
	if (r->at_end)
		r->at_end(r);
	return 0;
}

/* src NULL: invented. */
static int record_all(struct recorder *r, struct source *src, unsigned threads, struct err *e)
{
	struct pool *pool;
	r->keeper = (struct model_keeper){ take_plan, take_bytes, take_random, all_came };
	TRY(pool_open(&pool, threads, NULL, e));
	const struct weights_order o = { .config = &r->config, .quiet = true, .pool = pool };
	int rc = src ? model_weights_load(&r->formats, &o, src, &r->keeper, e)
	             : model_weights_invent(&r->formats, &o, 7, &r->keeper, e);
	pool_close(pool);
	r->plan = NULL;
	return rc;
}

int recorder_read(struct recorder *r, struct source *src, unsigned threads, struct err *e)
{
	TRY(model_config_read(&r->config, src, e));
	return record_all(r, src, threads, e);
}

int recorder_invent(struct recorder *r, const char *shape, struct err *e)
{
	TRY(model_config_shape(&r->config, shape, 0, true, e));
	return record_all(r, NULL, 1, e);
}

void recorder_close(struct recorder *r)
{
	for (size_t i = 0; r->record && i < r->items; i++) {
		free(r->record[i].bytes);
		free(r->record[i].times);
	}
	free(r->record);
	*r = (struct recorder){ 0 };
}
