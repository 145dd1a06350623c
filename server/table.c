/*       added --> WAITS_FOR_HEAD --> CLAIMED --> refused, or last answer --> CLOSING --> dropped
 *                    ^                |  ^  |
 *                    '--more to come--'  |  '--answered, and kept --> WAITS_FOR_REQUEST
 *                                        '--------- first byte ---------------'
 *
 * Descriptors are watched with EPOLLONESHOT, and the watch is set again whenever a connection is
 * put back. An event carries the slot and its generation, for by the time a thread looks at it the
 * connection may have been claimed for its deadline, or be another.
 *
 * Nothing here walks all connections, of which there may be ten thousands. What waits stands in two
 * rings: one of those with the same patience, the first to come first, which is that of the nearest
 * deadline; and one of its origin (origin.h), from which a place is taken when there is none. One
 * whose request is worked on stands in the ring of those alone. */
#include "server/table.h"
#include "server/forwarded.h"
#include "server/origin.h"
#include "server/pace.h"
#include "server/request.h"
#include "server/respond.h"
#include "server/wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define SPARE_INTAKES 32

static uint64_t key_of(const struct connection *c)
{
	return (uint64_t)c->generation << 32 | (uint64_t)(c - c->s->slot);
}

static bool waits(const struct connection *c)
{
	return c->place != CONNECTION_FREE && c->place != CONNECTION_CLAIMED;
}

static bool has_begun(const struct connection *c) { return c->in && c->in->have; }

_Static_assert(sizeof(struct origin_key) == ACCESS_ID_ROOM, "a token's id is a key too");

/* Whose the request is: the token's, once that is known; else of the address. */
static struct origin_key asker_of(const struct connection *c, bool *is_token)
{
	struct origin_key key = server_origin_of(&c->client);
	*is_token = c->asked && c->asked->caller.id[0];
	if (*is_token)
		memcpy(&key, c->asked->caller.id, sizeof key);
	return key;
}

/* With the lock held. Half of what there is, but for a proxy; all of a limit that is smaller than
 * one body. */
static bool has_bytes(const struct server *s, const struct origin *o)
{
	size_t all = s->limits.long_bytes_max, own = all / 2;
	own = own < LIMIT_REQUEST_BYTES ? all : own;
	return s->held <= all && (o->trusted || o->long_bytes <= own);
}

bool server_table_hold(struct connection *c, struct server_held *held, size_t bytes)
{
	struct server *s = c->s;
	bool is_token;
	const struct origin_key key = asker_of(c, &is_token);
	if (bytes <= SERVER_BODY_SMALL || bytes == held->bytes)
		return true;
	size_t more = bytes - held->bytes;
	pthread_mutex_lock(&s->lock);
	if (!held->by) {
		held->by = server_origin_get(s, &key);
		if (held->by)
			held->by->held++;
	}
	bool ok = held->by != NULL;
	if (ok) {
		held->bytes += more;
		held->by->long_bytes += more;
		s->held += more;
		ok = has_bytes(s, held->by);
	}
	pthread_mutex_unlock(&s->lock);
	return ok;
}

/* With the lock held. */
static void let_go(struct server *s, struct server_held *held)
{
	struct origin *o = held->by;
	if (!o)
		return;
	s->held -= held->bytes;
	o->long_bytes -= held->bytes;
	o->held--;
	server_origin_give_back(s, o);
	*held = (struct server_held){ 0 };
}

void server_table_let_go(struct server *s, struct server_held *held)
{
	if (!held->by)
		return;
	pthread_mutex_lock(&s->lock);
	let_go(s, held);
	pthread_mutex_unlock(&s->lock);
}

/* Beyond connections_max there is room for those that are to be told so, and for the operator. */
static unsigned slots_for(unsigned connections)
{
	return connections + (connections < SERVER_TURNED_AWAY ? connections : SERVER_TURNED_AWAY) +
	       SERVER_OPERATORS;
}

int server_table_open(struct server *s, struct err *e)
{
	unsigned slots = slots_for(s->limits.connections_max);
	for (int i = 0; i < TABLE_RINGS; i++)
		link_init(&s->ring[i]);
	link_init(&s->work);
	TRY(server_pace_open(s, e));
	TRY(server_origins_open(s, slots, e));
	s->slot = calloc(slots, sizeof *s->slot);
	if (!s->slot)
		return err_set(e, ERR_NOMEM, "out of memory for %u connections", slots);
	s->slots = slots;
	return 0;
}

/* ---- with the lock held ---- */

/* A slot that is free; NULL: there is none. Those that were never used cost no memory. */
static struct connection *free_slot(struct server *s)
{
	struct connection *c = s->free;
	if (c || s->used == s->slots)
		return c;
	c = &s->slot[s->used++];
	c->s = s;
	pthread_mutex_init(&c->lock, NULL);
	link_init(&c->by_time);
	link_init(&c->by_kind);
	link_init(&c->by_pace);
	s->free = c;
	return c;
}

static void end_request(struct connection *c)
{
	struct server *s = c->s;
	if (!c->at_work)
		return;
	c->at_work = false;
	if (!c->listener->admin) {
		s->requests--;
		pace_end(&s->pace, c->account, env_wait_us());
	}
	c->asker->at_work--;
	server_origin_give_back(s, c->asker);
	c->asker = NULL;
}

static void leave_rings(struct connection *c)
{
	link_remove(&c->by_time);
	c->ring = NULL;
	server_origin_leave(c);
}

static void let_intake_go(struct connection *c)
{
	struct server *s = c->s;
	if (!c->in)
		return;
	s->intakes--;
	if (s->spares < SPARE_INTAKES) {
		c->in->next_spare = s->spare;
		s->spare = c->in;
		s->spares++;
	} else {
		free(c->in);
	}
	c->in = NULL;
}

static struct intake *take_spare(struct server *s)
{
	struct intake *in = s->spare;
	if (in) {
		s->spare = in->next_spare;
		s->spares--;
	}
	return in;
}

static void drop(struct connection *c)
{
	struct server *s = c->s;
	server_pace_settle(c);
	c->spent = NULL;
	link_remove(&c->by_pace);
	end_request(c);
	leave_rings(c);
	if (c->asked)
		let_go(s, &c->asked->held);
	server_request_drop(c);
	server_wire_close(c, c->place == CONNECTION_WAITS_FOR_REQUEST);
	let_intake_go(c);
	c->place = CONNECTION_FREE;
	c->generation++;
	c->next_free = s->free;
	s->free = c;
	s->open--;
	c->origin->open--;
	server_origin_give_back(s, c->origin);
}

static enum table_ring ring_of(enum connection_place place)
{
	switch (place) {
	case CONNECTION_WAITS_FOR_BODY:
		return TABLE_BODIES;
	case CONNECTION_WAITS_FOR_REQUEST:
		return TABLE_IDLE;
	case CONNECTION_CLOSING:
		return TABLE_CLOSING;
	default:
		return TABLE_HEADS;
	}
}

/* A ring is in order of time as long as one that is put back with its time keeps its place. */
static void wait_in_rings(struct connection *c, bool anew)
{
	struct link *ring = &c->s->ring[ring_of(c->place)];
	bool between = c->place == CONNECTION_WAITS_FOR_REQUEST || c->place == CONNECTION_CLOSING;
	bool begun = has_begun(c) || c->place == CONNECTION_WAITS_FOR_BODY;
	if (anew || c->ring != ring) {
		link_remove(&c->by_time);
		link_append(ring, &c->by_time);
		c->ring = ring;
	}
	server_origin_wait(c, between ? ORIGIN_BETWEEN : begun ? ORIGIN_BEGUN : ORIGIN_SILENT);
}

static struct epoll_event event_of(const struct connection *c)
{
	bool writes = c->place == CONNECTION_SHAKES_HANDS && c->writes;
	return (struct epoll_event){ (writes ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT,
				     { .u64 = key_of(c) } };
}

static void watch(struct connection *c)
{
	struct epoll_event event = event_of(c);
	if (epoll_ctl(c->s->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
		drop(c);
}

/* The time that it waited for others is none of its own; but for one that is to be gone. */
void server_table_watch(struct connection *c)
{
	if (!waits(c))
		return;
	if (c->place != CONNECTION_CLOSING) {
		c->since_ms = server_now_ms(c->s);
		wait_in_rings(c, true);
	}
	watch(c);
}

static void put(struct connection *c, enum connection_place place, bool anew)
{
	server_pace_settle(c);
	c->spent = NULL;
	if (c->at_work)
		link_remove(&c->by_time);
	end_request(c);
	c->place = place;
	wait_in_rings(c, anew);
	if (!server_pace_holds(c))
		watch(c);
}

/* Drop the one that is missed least. */
static bool make_room(struct server *s, struct origin *o, bool asks)
{
	struct connection *c = server_origin_least(s, o, ORIGIN_BETWEEN, asks);
	if (!c)
		return false;
	server_count_refused(s, REFUSED_EVICTED);
	drop(c);
	return true;
}

/* Whether there is room for `more` connections, perhaps after another was dropped. */
static bool has_room(struct server *s, struct origin *o, unsigned more, bool asks)
{
	const struct server_options *l = &s->limits;
	bool own_limit = l->address_connections_max < l->connections_max && !o->trusted;
	if (own_limit && o->open + more > l->address_connections_max && !make_room(s, o, asks))
		return false;
	return s->open + more <= l->connections_max || make_room(s, NULL, asks);
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
	for (unsigned i = 0; i < s->used; i++) {
		if (s->slot[i].place != CONNECTION_FREE)
			drop(&s->slot[i]);
		pthread_mutex_destroy(&s->slot[i].lock);
	}
	free(s->slot);
	for (struct intake *in; (in = take_spare(s)) != NULL;)
		free(in);
	server_origins_close(s);
}

static void begin_connection(struct connection *c, const struct listener *l, int fd,
			     const struct net_peer *peer, struct origin *o)
{
	c->s->free = c->next_free;
	c->s->open++;
	o->open++;
	c->origin = o;
	c->fd = fd;
	c->listener = l;
	c->peer = c->client = *peer;
	c->place = l->tls ? CONNECTION_SHAKES_HANDS : CONNECTION_WAITS_FOR_HEAD;
	c->since_ms = server_now_ms(c->s);
	c->requests = 0;
	c->paid_us = 0;
	c->spent = NULL;
	server_pace_known(c);
	c->ended = c->gone = c->answering = false;
	c->probed = 0;
	c->ping = NULL;
	wait_in_rings(c, true);
}

static bool has_slot(const struct server *s, const struct listener *l)
{
	return s->open < (l->admin ? s->slots : s->slots - SERVER_OPERATORS);
}

/* With the lock held. */
static bool add(struct server *s, const struct listener *l, int fd, const struct net_peer *peer)
{
	const struct origin_key key = server_origin_of(peer);
	struct origin *o = server_origin_get(s, &key);
	if (!o)
		return false;
	o->trusted = server_forwarded_trusts(s, peer);
	o->held++; /* what is dropped for it may be its own */
	bool room = l->admin || has_room(s, o, 1, false);
	if (!has_slot(s, l))
		(void)make_room(s, NULL, true);
	o->held--;
	struct connection *c = has_slot(s, l) ? free_slot(s) : NULL;
	/* Not watched yet: it may have to wait. */
	struct epoll_event event = { EPOLLONESHOT, { .u64 = c ? key_of(c) : 0 } };
	if (!c || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		server_origin_give_back(s, o);
		return false;
	}
	begin_connection(c, l, fd, peer, o);
	c->turned_away = !room;
	if (!server_pace_holds(c))
		watch(c);
	return true;
}

void server_table_add(struct server *s, const struct listener *l, int fd,
		      const struct net_peer *peer)
{
	pthread_mutex_lock(&s->lock);
	bool ok = add(s, l, fd, peer);
	pthread_mutex_unlock(&s->lock);
	measure_add(&s->measures.accepted, 1);
	if (ok)
		return;
	server_count_refused(s, REFUSED_FULL);
	s->net.close(s->net.ctx, fd);
}

void server_table_count(struct server *s, struct server_open_connections *out)
{
	*out = (struct server_open_connections){ 0 };
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->used; i++) {
		enum connection_place place = s->slot[i].place;
		out->idle += place == CONNECTION_WAITS_FOR_REQUEST;
		out->working += place == CONNECTION_CLAIMED;
		out->reading += place != CONNECTION_FREE && place != CONNECTION_CLAIMED &&
				place != CONNECTION_WAITS_FOR_REQUEST;
	}
	pthread_mutex_unlock(&s->lock);
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

/* The first of a ring that is overdue and not claimed, or NULL. */
static struct connection *late_in(struct link *ring, int64_t now, bool aborting)
{
	for (struct link *l = ring->next; l != ring; l = l->next) {
		struct connection *c = link_member(struct connection, by_time, l);
		bool paced = !link_is_alone(&c->by_pace) && c->place != CONNECTION_CLOSING;
		if (!waits(c) || (paced && !aborting))
			continue;
		return aborting || now - c->since_ms >= patience_ms(c) ? c : NULL;
	}
	return NULL;
}

struct connection *server_table_overdue(struct server *s)
{
	bool aborting = atomic_load(&s->aborting);
	int64_t now = server_now_ms(s);
	struct connection *late = NULL, *c;
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < TABLE_RINGS && !late; i++) {
		while (!late && (c = late_in(&s->ring[i], now, aborting)) != NULL) {
			if (!aborting && (i == TABLE_HEADS || i == TABLE_BODIES))
				server_count_refused(s, REFUSED_LATE);
			if (has_begun(c) && !aborting && (i == TABLE_HEADS || i == TABLE_BODIES)) {
				link_remove(&c->by_pace);
				c->was = c->place;
				c->place = CONNECTION_CLAIMED;
				late = c;
			} else {
				drop(c);
			}
		}
	}
	pthread_mutex_unlock(&s->lock);
	return late;
}

/* Drop those of a ring that have not begun a request. */
static void drop_idle(struct link *ring)
{
	for (struct link *l = ring->next, *next; l != ring; l = next) {
		struct connection *c = link_member(struct connection, by_time, l);
		next = l->next;
		if (waits(c) && !has_begun(c))
			drop(c);
	}
}

bool server_table_drain(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	drop_idle(&s->ring[TABLE_IDLE]);
	drop_idle(&s->ring[TABLE_HEADS]);
	bool none = s->open == 0;
	pthread_mutex_unlock(&s->lock);
	return none;
}

void server_table_look(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	for (struct link *l = s->work.next; l != &s->work; l = l->next)
		server_connection_look(link_member(struct connection, by_time, l));
	pthread_mutex_unlock(&s->lock);
}

/* Of what is worked on at once an eighth is for others than the origin that has all of the rest,
 * and another eighth for what that origin asks shortly. The operator's own is not counted. */
static bool has_share(struct connection *c)
{
	unsigned all = c->s->limits.requests_max, eighth = all / 8, n = c->asker->at_work;
	c->shortly = eighth && n >= all - 2 * eighth;
	return n < all - eighth;
}

bool server_table_take_in(struct connection *c)
{
	pthread_mutex_lock(&c->s->lock);
	if (c->turned_away)
		c->turned_away = !has_room(c->s, c->origin, 0, true);
	pthread_mutex_unlock(&c->s->lock);
	return !c->turned_away;
}

/* What has no body is answered at once, and tells a monitor that the server lives: for that there
 * are a few more places. */
static bool is_light(const struct connection *c) { return strcmp(c->in->head.method, "POST") != 0; }

/* Where tokens are asked for, those share the places and not their addresses: what has none yet is
 * either refused or about to say it. */
static bool has_place(struct connection *c, bool is_token)
{
	const struct server *s = c->s;
	bool light = is_light(c);
	if (s->requests >= s->limits.requests_max + (light ? SERVER_LIGHT : 0))
		return false;
	return light || (s->asks && !is_token) || has_share(c);
}

/* With the lock held. */
static bool begin_request(struct connection *c)
{
	struct server *s = c->s;
	bool is_token, counts = !c->listener->admin;
	const struct origin_key key = asker_of(c, &is_token);
	c->shortly = false;
	c->asker = server_origin_get(s, &key);
	if (!c->asker)
		return false;
	if (counts && !has_place(c, is_token)) {
		server_origin_give_back(s, c->asker);
		c->asker = NULL;
		return false;
	}
	c->at_work = true;
	c->asker->at_work++;
	s->requests += counts;
	if (counts)
		pace_begin(&s->pace, c->account, env_wait_us());
	leave_rings(c);
	link_append(&s->work, &c->by_time);
	return true;
}

bool server_table_share(struct connection *c)
{
	struct server *s = c->s;
	bool is_token, ok = true;
	pthread_mutex_lock(&s->lock);
	const struct origin_key key = asker_of(c, &is_token);
	struct origin *o =
		is_token && c->at_work && !c->listener->admin ? server_origin_get(s, &key) : NULL;
	if (o && o != c->asker) {
		c->asker->at_work--;
		server_origin_give_back(s, c->asker);
		c->asker = o;
		ok = is_light(c) || has_share(c);
		o->at_work++;
	}
	pthread_mutex_unlock(&s->lock);
	return ok;
}

bool server_table_begin_request(struct connection *c, bool *alone)
{
	struct server *s = c->s;
	pthread_mutex_lock(&s->lock);
	bool ok = begin_request(c);
	*alone = s->waiting == 0;
	pthread_mutex_unlock(&s->lock);
	return ok;
}

struct intake *server_table_intake(struct connection *c)
{
	struct server *s = c->s;
	pthread_mutex_lock(&s->lock);
	if (s->intakes >= SERVER_INTAKES + s->limits.requests_max) {
		struct connection *other = server_origin_least(s, NULL, ORIGIN_BEGUN, true);
		if (other && other != c) {
			server_count_refused(s, REFUSED_EVICTED);
			drop(other);
		}
	}
	struct intake *in = take_spare(s);
	in = in ? in : malloc(sizeof *in);
	s->intakes += in != NULL;
	pthread_mutex_unlock(&s->lock);
	if (in) {
		in->have = 0;
		server_head_start(&in->head);
	}
	return in;
}

void server_table_put(struct connection *c, enum connection_place place)
{
	struct server *s = c->s;
	bool anew = place != c->was || place == CONNECTION_WAITS_FOR_REQUEST;
	if (place != CONNECTION_WAITS_FOR_BODY)
		server_request_drop(c);
	if (place == CONNECTION_WAITS_FOR_REQUEST) {
		c->answering = false;
		c->probed = 0;
	}
	pthread_mutex_lock(&s->lock);
	if (place == CONNECTION_WAITS_FOR_REQUEST || place == CONNECTION_CLOSING ||
	    (place == CONNECTION_WAITS_FOR_HEAD && !has_begun(c)))
		let_intake_go(c); /* an idle one costs little */
	if (anew)
		c->since_ms = server_now_ms(s);
	put(c, place, anew);
	pthread_mutex_unlock(&s->lock);
}

void server_table_drop(struct connection *c)
{
	struct server *s = c->s;
	server_request_drop(c); /* its line is written without the lock */
	pthread_mutex_lock(&s->lock);
	drop(c);
	pthread_mutex_unlock(&s->lock);
}
