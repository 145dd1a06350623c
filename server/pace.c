#include "server/pace.h"
#include "server/origin.h"
#include "server/table.h"
#include "base/machine.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define AGAIN_US 4000   /* between two looks at those that wait */
#define LOOKS 64        /* at one time */
#define ADVANCE_US 1000 /* what one that goes on will spend, until that is known */

int server_pace_open(struct server *s, struct err *e)
{
	struct epoll_event event = { EPOLLIN | EPOLLET, { .u64 = SERVER_KEY_PACE } };
	uint64_t seed;
	env_random(&s->env, &seed, sizeof seed);
	pace_init(&s->pace, seed, machine_cores());
	link_init(&s->paced);
	s->pace_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->pace_fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->pace_fd, &event) < 0)
		return err_errno(e, "wait for connections");
	return 0;
}

void server_pace_on(struct connection *c, struct spent *mine)
{
	mine->since_us = env_thread_us();
	c->spent = mine;
}

void server_pace_settle(struct connection *c)
{
	if (!c->spent)
		return;
	int64_t now = env_thread_us();
	pace_spend(&c->s->pace, c->account, now - c->spent->since_us - c->paid_us, env_wait_us());
	c->spent->since_us = now;
	c->paid_us = 0;
}

void server_pace_off(struct connection *c, int64_t more_us)
{
	pthread_mutex_lock(&c->s->lock);
	server_pace_settle(c);
	pace_spend(&c->s->pace, c->account, more_us, env_wait_us());
	pthread_mutex_unlock(&c->s->lock);
}

void server_pace_skip(struct connection *c)
{
	if (c->spent)
		c->spent->since_us = env_thread_us();
}

void server_pace_known(struct connection *c)
{
	const struct origin_key key = server_origin_of(&c->client);
	c->account = pace_account(&c->s->pace, &key, sizeof key);
}

static void set_timer(struct server *s)
{
	const struct itimerspec soon = { .it_value.tv_nsec = AGAIN_US * 1000 };
	(void)timerfd_settime(s->pace_fd, 0, &soon, NULL);
}

static bool must_wait(struct connection *c)
{
	struct server *s = c->s;
	return !c->listener->admin && !atomic_load(&s->stopping) &&
	       pace_wait_us(&s->pace, c->account, env_wait_us()) > 0;
}

bool server_pace_holds(struct connection *c)
{
	struct server *s = c->s;
	link_remove(&c->by_pace);
	if (!must_wait(c))
		return false;
	if (link_is_alone(&s->paced))
		set_timer(s);
	link_append(&s->paced, &c->by_pace);
	measure_add(&s->measures.paced, 1);
	return true;
}

void server_pace_resume(struct server *s)
{
	uint64_t ticks;
	(void)!read(s->pace_fd, &ticks, sizeof ticks);
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < LOOKS && !link_is_alone(&s->paced); i++) {
		struct connection *c = link_member(struct connection, by_pace, s->paced.next);
		link_remove(&c->by_pace);
		if (must_wait(c)) {
			link_append(&s->paced, &c->by_pace);
			continue;
		}
		c->paid_us = ADVANCE_US;
		pace_spend(&s->pace, c->account, ADVANCE_US, env_wait_us());
		server_table_watch(c);
	}
	if (!link_is_alone(&s->paced))
		set_timer(s);
	pthread_mutex_unlock(&s->lock);
}
