/*       added --> WAITS_FOR_HEAD --> CLAIMED --> refused, or last answer --> CLOSING --> dropped
 *                    ^                |  ^  |
 *                    '--more to come--'  |  '--answered, and kept --> WAITS_FOR_REQUEST
 *                                        '--------- first byte ---------------'
 *
 * Descriptors are watched with EPOLLONESHOT, and the watch is set again whenever a connection is
 * put back. An event carries the slot and its generation, for by the time a thread looks at it the
 * connection may have been claimed for its deadline, or be another. */
#include "server/table.h"
#include "server/request.h"
#include "server/wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static uint64_t key_of(const struct connection *c)
{
	return (uint64_t)c->generation << 32 | (uint64_t)(c - c->s->slot);
}

static bool waits(const struct connection *c)
{
	return c->place != CONNECTION_FREE && c->place != CONNECTION_CLAIMED;
}

static bool has_begun(const struct connection *c) { return c->in && c->in->have; }

bool server_table_hold(struct server *s, size_t *held, size_t bytes)
{
	size_t more = bytes > SERVER_BODY_SMALL ? bytes - *held : 0;
	size_t before = atomic_fetch_add(&s->held, more);
	*held += more;
	return more == 0 || before + more <= s->limits.long_bytes_max;
}

void server_table_let_go(struct server *s, size_t *held)
{
	atomic_fetch_sub(&s->held, *held);
	*held = 0;
}

int server_table_open(struct server *s, struct err *e)
{
	s->slots = 2 * s->limits.connections_max;
	s->slot = calloc(s->slots, sizeof *s->slot);
	if (!s->slot)
		return err_set(e, ERR_NOMEM, "out of memory for %u connections", s->slots);
	for (unsigned i = s->slots; i-- > 0;) {
		struct connection *c = &s->slot[i];
		c->s = s;
		pthread_mutex_init(&c->lock, NULL);
		c->next_free = s->free;
		s->free = c;
	}
	return 0;
}

/* ---- with the lock held ---- */

static void end_request(struct connection *c)
{
	c->s->requests -= c->at_work;
	c->at_work = false;
}

static void drop(struct connection *c)
{
	struct server *s = c->s;
	end_request(c);
	server_request_drop(c);
	server_wire_close(c, c->place == CONNECTION_WAITS_FOR_REQUEST);
	free(c->in);
	c->in = NULL;
	c->place = CONNECTION_FREE;
	c->generation++;
	c->next_free = s->free;
	s->free = c;
	s->open--;
}

static void put(struct connection *c, enum connection_place place)
{
	bool writes = place == CONNECTION_SHAKES_HANDS && c->writes;
	struct epoll_event event = { (writes ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT,
				     { .u64 = key_of(c) } };
	end_request(c);
	c->place = place;
	if (epoll_ctl(c->s->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
		drop(c);
}

static bool is_from(const struct connection *c, const struct net_peer *peer)
{
	return !peer || memcmp(&c->peer, peer, sizeof *peer) == 0;
}

/* How little a connection is missed when another needs its place: 0 is not at all, NEEDED is too
 * much. One that has just come gets a moment to say what it wants, unless the other has said it. */
#define NEEDED 3
static int need_of(const struct connection *c, int64_t now, bool asks)
{
	bool spared = !asks && now - c->since_ms < SERVER_MOMENT_MS;
	switch (c->place) {
	case CONNECTION_WAITS_FOR_REQUEST:
	case CONNECTION_CLOSING:
		return 0;
	case CONNECTION_SHAKES_HANDS:
	case CONNECTION_WAITS_FOR_HEAD:
		return spared ? NEEDED : has_begun(c) ? 2 : 1;
	case CONNECTION_WAITS_FOR_BODY:
		return spared ? NEEDED : 2;
	default:
		return NEEDED;
	}
}

/* Drop the one that is needed least, and of those the one that waits for longest. peer: from there
 * alone; asks: for one that has sent a whole request. */
static bool make_room(struct server *s, const struct net_peer *peer, bool asks)
{
	struct connection *best = NULL;
	int64_t now = server_now_ms(s);
	int least = NEEDED;
	for (unsigned i = 0; i < s->slots; i++) {
		struct connection *c = &s->slot[i];
		int need = need_of(c, now, asks);
		if (!is_from(c, peer) || need > least || need == NEEDED)
			continue;
		if (need < least || c->since_ms < best->since_ms)
			best = c;
		least = need;
	}
	if (best)
		drop(best);
	return best != NULL;
}

static unsigned count_from(const struct server *s, const struct net_peer *peer)
{
	unsigned n = 0;
	for (unsigned i = 0; i < s->slots; i++)
		n += s->slot[i].place != CONNECTION_FREE && is_from(&s->slot[i], peer);
	return n;
}

/* Whether there is room for `more` connections, perhaps after another was dropped. */
static bool has_room(struct server *s, const struct net_peer *peer, unsigned more, bool asks)
{
	const struct server_options *o = &s->limits;
	bool own_limit = o->address_connections_max < o->connections_max;
	if (own_limit && count_from(s, peer) + more > o->address_connections_max &&
	    !make_room(s, peer, asks))
		return false;
	return s->open + more <= o->connections_max || make_room(s, NULL, asks);
}

struct connection *server_table_claim(struct server *s, uint64_t key)
{
	struct connection *c = &s->slot[(uint32_t)key];
	if (c->generation != key >> 32 || !waits(c))
		return NULL;
	c->was = c->place;
	c->place = CONNECTION_CLAIMED;
	return c;
}

/* ---- without ---- */

void server_table_close(struct server *s)
{
	for (unsigned i = 0; s->slot && i < s->slots; i++) {
		if (s->slot[i].place != CONNECTION_FREE)
			drop(&s->slot[i]);
		pthread_mutex_destroy(&s->slot[i].lock);
	}
	free(s->slot);
}

void server_table_add(struct server *s, const struct listener *l, int fd,
		      const struct net_peer *peer)
{
	pthread_mutex_lock(&s->lock);
	bool room = has_room(s, peer, 1, false);
	if (!s->free)
		(void)make_room(s, NULL, true);
	struct connection *c = s->free;
	struct epoll_event event = { EPOLLIN | EPOLLONESHOT, { .u64 = c ? key_of(c) : 0 } };
	bool ok = c && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
	if (ok) {
		s->free = c->next_free;
		s->open++;
		c->fd = fd;
		c->listener = l;
		c->peer = *peer;
		c->place = l->tls ? CONNECTION_SHAKES_HANDS : CONNECTION_WAITS_FOR_HEAD;
		c->since_ms = server_now_ms(s);
		c->requests = 0;
		c->turned_away = !room;
		c->ended = c->gone = c->answering = false;
		c->probed = 0;
		c->ping = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	if (!ok)
		s->net.close(s->net.ctx, fd);
}

bool server_table_make_room(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	bool made = make_room(s, NULL, false);
	pthread_mutex_unlock(&s->lock);
	return made;
}

/* A server that stops does not wait long for what is no request yet: a stalled upload would hold it
 * up as long as an answer may. */
static int64_t patience_ms(const struct connection *c)
{
	bool stopping = atomic_load(&c->s->stopping);
	int64_t head = c->s->limits.head_timeout_ms, body = c->s->limits.body_timeout_ms;
	switch (c->place) {
	case CONNECTION_SHAKES_HANDS:
	case CONNECTION_WAITS_FOR_HEAD:
		return stopping && head > SERVER_STOPPING_MS ? SERVER_STOPPING_MS : head;
	case CONNECTION_WAITS_FOR_BODY:
		return stopping && body > SERVER_STOPPING_MS ? SERVER_STOPPING_MS : body;
	case CONNECTION_WAITS_FOR_REQUEST:
		return c->s->limits.idle_timeout_ms;
	default:
		return SERVER_CLOSING_MS;
	}
}

struct connection *server_table_overdue(struct server *s)
{
	bool aborting = atomic_load(&s->aborting);
	int64_t now = server_now_ms(s);
	struct connection *late = NULL;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->slots && !late; i++) {
		struct connection *c = &s->slot[i];
		if (!waits(c) || (!aborting && now - c->since_ms < patience_ms(c)))
			continue;
		if (has_begun(c) && !aborting &&
		    (c->place == CONNECTION_WAITS_FOR_HEAD ||
		     c->place == CONNECTION_WAITS_FOR_BODY)) {
			c->was = c->place;
			c->place = CONNECTION_CLAIMED;
			late = c;
		} else {
			drop(c);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return late;
}

bool server_table_drain(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->slots; i++) {
		struct connection *c = &s->slot[i];
		if (waits(c) && c->place != CONNECTION_CLOSING && !has_begun(c))
			drop(c);
	}
	bool none = s->open == 0;
	pthread_mutex_unlock(&s->lock);
	return none;
}

void server_table_look(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->slots; i++)
		if (s->slot[i].place == CONNECTION_CLAIMED)
			server_connection_look(&s->slot[i]);
	pthread_mutex_unlock(&s->lock);
}

/* How many of c's address are worked on. Not counted while that decides nothing. */
static unsigned count_at_work(const struct connection *c, unsigned least)
{
	const struct server *s = c->s;
	unsigned n = 0;
	for (unsigned i = 0; i < s->slots && s->requests >= least; i++)
		n += s->slot[i].at_work && is_from(&s->slot[i], &c->peer);
	return n;
}

/* Of what is worked on at once an eighth is for others than the address that has all of the rest,
 * and another eighth for what that address asks shortly. */
static bool has_share(struct connection *c)
{
	unsigned all = c->s->limits.requests_max, eighth = all / 8;
	unsigned n = count_at_work(c, all - 2 * eighth);
	c->shortly = eighth && n >= all - 2 * eighth;
	return n < all - eighth;
}

bool server_table_take_in(struct connection *c)
{
	pthread_mutex_lock(&c->s->lock);
	if (c->turned_away)
		c->turned_away = !has_room(c->s, &c->peer, 0, true);
	pthread_mutex_unlock(&c->s->lock);
	return !c->turned_away;
}

bool server_table_begin_request(struct connection *c, bool *alone)
{
	struct server *s = c->s;
	pthread_mutex_lock(&s->lock);
	c->at_work = s->requests < s->limits.requests_max && has_share(c);
	s->requests += c->at_work;
	*alone = s->waiting == 0;
	bool ok = c->at_work;
	pthread_mutex_unlock(&s->lock);
	return ok;
}

void server_table_put(struct connection *c, enum connection_place place)
{
	struct server *s = c->s;
	bool another = place != c->was;
	if (place != CONNECTION_WAITS_FOR_BODY)
		server_request_drop(c);
	if (place == CONNECTION_WAITS_FOR_REQUEST) { /* the buffer stays with the connection */
		c->in->have = 0;
		c->in->head = (struct head){ 0 };
		c->answering = false;
		c->probed = 0;
	}
	pthread_mutex_lock(&s->lock);
	if (another || place == CONNECTION_WAITS_FOR_REQUEST)
		c->since_ms = server_now_ms(s);
	put(c, place);
	pthread_mutex_unlock(&s->lock);
}

void server_table_drop(struct connection *c)
{
	struct server *s = c->s;
	pthread_mutex_lock(&s->lock);
	drop(c);
	pthread_mutex_unlock(&s->lock);
}
