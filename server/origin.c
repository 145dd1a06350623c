/* Origins are found by a hash of their key, with a seed that nobody outside knows. Those that wait
 * are kept in order: when the table is full, the place that a newcomer gets is one of the origin
 * that has most, so that one who opens thousands takes them from itself. */
#include "server/origin.h"
#include "server/table.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define LOOKS 32 /* at origins, for the connection that is missed least */

int server_origins_open(struct server *s, size_t connections, struct err *e)
{
	struct origins *o = &s->origins;
	o->most = connections;
	for (o->buckets = 64; o->buckets < connections; o->buckets *= 2)
		;
	o->bucket = calloc(o->buckets, sizeof *o->bucket);
	o->having = malloc((o->most + 1) * sizeof *o->having);
	if (!o->bucket || !o->having)
		return err_set(e, ERR_NOMEM, "out of memory for %zu connections", connections);
	for (size_t i = 0; i <= o->most; i++)
		link_init(&o->having[i]);
	s->env.random.fill(s->env.random.ctx, o->seed, sizeof o->seed);
	return 0;
}

void server_origins_close(struct server *s)
{
	struct origins *o = &s->origins;
	for (size_t i = 0; o->bucket && i < o->buckets; i++)
		check(!o->bucket[i]);
	free(o->bucket);
	free(o->having);
}

struct origin_key server_origin_of(const struct net_peer *peer)
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	struct origin_key key = { { 0, 0, 1 } };
	if (peer->local)
		return (struct origin_key){ { peer->uid, 0, 2 } };
	bool is_v4 = memcmp(peer->address, v4, sizeof v4) == 0;
	memcpy(key.part, peer->address, is_v4 ? 16 : 8);
	return key;
}

static struct origin **bucket_of(struct server *s, const struct origin_key *key)
{
	const struct origins *o = &s->origins;
	uint64_t h = o->seed[0];
	for (int i = 0; i < 3; i++) {
		h = (h ^ key->part[i]) * (o->seed[1] | 1);
		h ^= h >> 29;
	}
	return &o->bucket[(h ^ h >> 32) & (o->buckets - 1)];
}

struct origin *server_origin_get(struct server *s, const struct origin_key *key)
{
	struct origin **bucket = bucket_of(s, key), *o = *bucket;
	while (o && memcmp(&o->key, key, sizeof *key) != 0)
		o = o->next;
	if (o || !(o = calloc(1, sizeof *o)))
		return o;
	o->key = *key;
	for (int i = 0; i < ORIGIN_KINDS; i++)
		link_init(&o->kind[i]);
	link_init(&o->by_waiting);
	o->next = *bucket;
	*bucket = o;
	return o;
}

void server_origin_give_back(struct server *s, struct origin *o)
{
	if (o->open || o->at_work || o->held)
		return;
	struct origin **at = bucket_of(s, &o->key);
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	link_remove(&o->by_waiting);
	free(o);
}

static void have(struct server *s, struct origin *o, unsigned waiting)
{
	o->waiting = waiting;
	link_remove(&o->by_waiting);
	if (waiting)
		link_append(&s->origins.having[waiting], &o->by_waiting);
	if (waiting > s->origins.top)
		s->origins.top = waiting;
}

void server_origin_wait(struct connection *c, enum origin_kind kind)
{
	bool waited = !link_is_alone(&c->by_kind);
	if (waited && c->kind == kind)
		return;
	link_remove(&c->by_kind);
	link_append(&c->origin->kind[kind], &c->by_kind);
	c->kind = kind;
	if (!waited)
		have(c->s, c->origin, c->origin->waiting + 1);
}

void server_origin_leave(struct connection *c)
{
	if (link_is_alone(&c->by_kind))
		return;
	link_remove(&c->by_kind);
	have(c->s, c->origin, c->origin->waiting - 1);
}

/* Of one origin. Those that a thread has claimed for a moment stand among the others. */
static struct connection *least_of(const struct origin *o, enum origin_kind least, bool asks,
				   int64_t now)
{
	for (unsigned kind = least; kind < ORIGIN_KINDS; kind++) {
		const struct link *ring = &o->kind[kind];
		for (struct link *l = ring->next; l != ring; l = l->next) {
			struct connection *c = link_member(struct connection, by_kind, l);
			if (c->place == CONNECTION_CLAIMED)
				continue;
			if (kind != ORIGIN_BETWEEN && !asks && now - c->since_ms < SERVER_MOMENT_MS)
				break;
			return c;
		}
	}
	return NULL;
}

static bool is_less(const struct connection *a, const struct connection *b)
{
	return !b || a->kind < b->kind || (a->kind == b->kind && a->since_ms < b->since_ms);
}

struct connection *server_origin_least(struct server *s, struct origin *o, enum origin_kind least,
				       bool asks)
{
	struct origins *all = &s->origins;
	int64_t now = server_now_ms(s);
	struct connection *best = NULL;
	if (o)
		return least_of(o, least, asks, now);
	while (all->top && link_is_alone(&all->having[all->top]))
		all->top--;
	int looks = LOOKS;
	for (size_t n = all->top; n && looks && !best; n--) {
		const struct link *ring = &all->having[n];
		for (struct link *l = ring->next; l != ring && looks; l = l->next, looks--) {
			const struct origin *at = link_member(struct origin, by_waiting, l);
			struct connection *c = least_of(at, least, asks, now);
			if (c && is_less(c, best))
				best = c;
		}
	}
	return best;
}
