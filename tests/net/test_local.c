/* Local sockets: who may come, and messages that arrive whole or not at all. */
#include "base/limits.h"
#include "net/net.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[400];

static void set_up(void)
{
	snprintf(dir, sizeof dir, "/tmp/test-net-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static void tear_down(void)
{
	char command[500];
	snprintf(command, sizeof command, "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(net_local, .init = set_up, .fini = tear_down, .timeout = 60);

static void pair(int *host, int *guest)
{
	struct err e = { 0 };
	int listener;
	cr_assert_eq(net_local_listen(dir, "door", &listener, &e), 0, "%s", e.text);
	cr_assert_eq(net_local_connect(dir, "door", guest, &e), 0, "%s", e.text);
	cr_assert_eq(net_local_accept(listener, host, &e), 0, "%s", e.text);
	cr_expect_eq(net_local_accept(listener, host + 0, &e), ERR_UNAVAILABLE);
	close(listener);
}

Test(net_local, the_socket_is_the_owners_alone_and_replaces_an_older_one)
{
	struct err e = { 0 };
	struct stat st;
	char path[500];
	int listener, again, fd;
	cr_expect_eq(net_local_connect(dir, "door", &fd, &e), ERR_NOTFOUND);
	cr_assert_eq(net_local_listen(dir, "door", &listener, &e), 0, "%s", e.text);
	snprintf(path, sizeof path, "%s/door", dir);
	cr_assert_eq(lstat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600, "%o", st.st_mode);
	close(listener); /* as after kill -9: the file stays */
	cr_expect_eq(net_local_connect(dir, "door", &fd, &e), ERR_NOTFOUND);
	cr_assert_eq(net_local_listen(dir, "door", &again, &e), 0, "%s", e.text);
	cr_assert_eq(net_local_connect(dir, "door", &fd, &e), 0, "%s", e.text);
	close(fd);
	close(again);
	cr_expect_lt(net_local_listen("/nowhere-at-all", "door", &fd, &e), 0);
}

Test(net_local, a_path_may_be_longer_than_an_address)
{
	size_t len = strlen(dir);
	int host, guest;
	for (int i = 0; i < 3; i++) {
		snprintf(dir + len, sizeof dir - len, "/%0*d", 100, i);
		cr_assert_eq(mkdir(dir, 0700), 0);
		len = strlen(dir);
	}
	pair(&host, &guest);
	close(host);
	close(guest);
	dir[strlen("/tmp/test-net-XXXXXX")] = 0;
}

Test(net_local, messages_arrive_whole_in_their_order)
{
	int host, guest;
	struct buf in = { 0 };
	struct err e = { 0 };
	pair(&host, &guest);
	cr_assert_eq(net_message_send(guest, "one", 3, 1000, &e), 0, "%s", e.text);
	cr_assert_eq(net_message_send(guest, "", 0, 1000, &e), 0, "%s", e.text);
	cr_assert_eq(net_message_send(guest, "three", 5, 1000, &e), 0, "%s", e.text);
	cr_assert_eq(net_message_receive(host, 100, -1, 1000, &in, &e), 0, "%s", e.text);
	cr_expect_eq(in.len, 3);
	cr_assert_eq(net_message_receive(host, 100, -1, 1000, &in, &e), 0, "%s", e.text);
	cr_assert_eq(net_message_receive(host, 100, -1, 1000, &in, &e), 0, "%s", e.text);
	cr_expect_str_eq(in.bytes, "onethree");
	close(guest);
	cr_expect_eq(net_message_receive(host, 100, -1, 1000, &in, &e), ERR_UNAVAILABLE);
	cr_expect_eq(net_message_send(host, "late", 4, 1000, &e), ERR_UNAVAILABLE);
	close(host);
	buf_free(&in);
}

struct sending {
	int fd, rc;
	char *bytes;
	size_t len;
};

static void *send_it(void *arg)
{
	struct sending *s = arg;
	s->rc = net_message_send(s->fd, s->bytes, s->len, 30000, NULL);
	return NULL;
}

/* Longer than what the kernel holds between the two. */
Test(net_local, a_long_message_arrives_byte_for_byte)
{
	struct sending s = { .len = MIB(9) + 7 };
	struct buf in = { 0 };
	struct err e = { 0 };
	pthread_t thread;
	int host;
	s.bytes = malloc(s.len);
	cr_assert(s.bytes);
	for (size_t i = 0; i < s.len; i++)
		s.bytes[i] = (char)(i * 2654435761u >> 24);
	pair(&host, &s.fd);
	cr_assert_eq(pthread_create(&thread, NULL, send_it, &s), 0);
	cr_assert_eq(net_message_receive(host, MIB(16), -1, 30000, &in, &e), 0, "%s", e.text);
	pthread_join(thread, NULL);
	cr_expect_eq(s.rc, 0);
	cr_expect(in.len == s.len && memcmp(in.bytes, s.bytes, s.len) == 0);
	free(s.bytes);
	buf_free(&in);
	close(host);
	close(s.fd);
}

Test(net_local, what_is_too_long_late_or_cut_is_refused)
{
	int host, guest;
	struct buf in = { 0 };
	struct err e = { 0 };
	pair(&host, &guest);
	cr_expect_eq(net_message_receive(host, 100, 1, 1000, &in, &e), ERR_UNAVAILABLE); /* nothing came */
	cr_expect_eq(write(guest, "\0\0\0\4ab", 6), 6);
	cr_expect_eq(net_message_receive(host, 100, -1, 1, &in, &e), ERR_UNAVAILABLE); /* the rest did not */
	close(host);
	close(guest);
	pair(&host, &guest);
	cr_expect_eq(write(guest, "\0\0\0\145", 4), 4);
	cr_expect_eq(net_message_receive(host, 100, -1, 1000, &in, &e), ERR_INPUT);
	close(host);
	close(guest);
	pair(&host, &guest);
	cr_expect_eq(write(guest, "\0\0", 2), 2);
	shutdown(guest, SHUT_WR);
	cr_expect_eq(net_message_receive(host, 100, -1, 1000, &in, &e), ERR_UNAVAILABLE);
	close(host);
	close(guest);
	pair(&host, &guest); /* nobody reads: a sender does not wait for ever */
	char *much = calloc(1, MIB(8));
	cr_expect_eq(net_message_send(guest, much, MIB(8), 1, &e), ERR_UNAVAILABLE);
	free(much);
	close(host);
	close(guest);
	buf_free(&in);
}
