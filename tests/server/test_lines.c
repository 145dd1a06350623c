/* The way of a line: whole, in order, never in the way of whoever puts it. */
#include "base/file.h"
#include "base/limits.h"
#include "server/lines.h"
#include "tests/base/temp.h"
#include "tests/server/talk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct temp temp;
static struct env env;

static void setup(void)
{
	temp_open(&temp);
	env = env_system();
}
static void teardown(void) { temp_close(&temp); }

TestSuite(server_lines, .init = setup, .fini = teardown);

static struct server_lines *open_lines(const char *where)
{
	struct server_lines *l;
	struct err e = { 0 };
	struct server_lines_options o = { .where = where, .env = &env };
	cr_assert_eq(server_lines_open(&l, &o, &e), 0, "%s", e.text);
	return l;
}

static double counted(const struct server_lines *l, const char *result)
{
	struct buf b = { 0 };
	struct measure_writer w = { .out = &b };
	char wanted[80];
	server_lines_measure(l, &w);
	snprintf(wanted, sizeof wanted, "{result=\"%s\"} ", result);
	const char *at = strstr(b.bytes, wanted);
	double n = at ? strtod(at + strlen(wanted), NULL) : -1;
	buf_free(&b);
	return n;
}

struct putter {
	struct server_lines *l;
	int number;
};

static void *put_many(void *arg)
{
	struct putter *p = arg;
	char line[200];
	for (int i = 0; i < 1000; i++) {
		int n = snprintf(line, sizeof line, "{\"who\":%d,\"n\":%d,\"fill\":\"%0*d\"}\n", p->number, i,
				 1 + i % 60, 7);
		server_lines_put(p->l, line, (size_t)n);
		if (i % 100 == 0)
			usleep(1000);
	}
	return NULL;
}

Test(server_lines, lines_of_many_threads_are_whole_and_in_the_order_of_each)
{
	struct server_lines *l = open_lines(temp_path(&temp, "lines"));
	struct putter p[4];
	pthread_t thread[4];
	for (int i = 0; i < 4; i++) {
		p[i] = (struct putter){ l, i };
		pthread_create(&thread[i], NULL, put_many, &p[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	server_lines_close(l);
	FILE *f = fopen(temp_path(&temp, "lines"), "r");
	char line[300];
	int next[4] = { 0 }, who, n, end, lines = 0;
	cr_assert(f);
	for (; fgets(line, sizeof line, f); lines++) {
		end = 0;
		cr_assert(sscanf(line, "{\"who\":%d,\"n\":%d,\"fill\":\"%*d\"}%n", &who, &n, &end) == 2 && end,
			  "%s", line);
		cr_assert(line[end] == '\n' && who >= 0 && who < 4);
		cr_assert_eq(n, next[who]++);
	}
	fclose(f);
	cr_expect_eq(lines, 4000);
}

/* A pipe whose reader does not read: nobody who puts a line waits, and each line is either there in
 * the end or counted as dropped. */
Test(server_lines, a_reader_that_does_not_read_keeps_nobody_waiting)
{
	const char *path = temp_path(&temp, "pipe");
	char name[LIMIT_PATH_BYTES];
	snprintf(name, sizeof name, "%s", path);
	cr_assert_eq(mkfifo(name, 0600), 0);
	int fd = open(name, O_RDONLY | O_NONBLOCK);
	struct server_lines *l = open_lines(name);
	char line[1001];
	memset(line, 'x', sizeof line);
	line[999] = '\n';
	int64_t begun = now_ms();
	for (int i = 0; i < 4000; i++) {
		server_lines_put(l, line, 1000);
		if (i == 50)
			usleep(50000);
	}
	cr_expect_lt(now_ms() - begun, 1000);
	double dropped = counted(l, "dropped");
	cr_expect_gt(dropped, 1000, "%g", dropped);
	begun = now_ms();
	server_lines_close(l);
	cr_expect_lt(now_ms() - begun, 4000, "an end is not waited for either");
	close(fd);
}

Test(server_lines, a_file_that_was_moved_is_left_alone_after_a_reopening)
{
	char path[LIMIT_PATH_BYTES], moved[LIMIT_PATH_BYTES + 2];
	snprintf(path, sizeof path, "%s", temp_path(&temp, "lines"));
	snprintf(moved, sizeof moved, "%s.1", path);
	struct server_lines *l = open_lines(path);
	server_lines_put(l, "{\"n\":1}\n", 8);
	for (int i = 0; i < 100 && counted(l, "written") < 1; i++)
		usleep(10000);
	cr_assert_eq(rename(path, moved), 0);
	server_lines_reopen(l);
	for (int i = 0; i < 100 && access(path, F_OK) != 0; i++)
		usleep(10000);
	server_lines_put(l, "{\"n\":2}\n", 8);
	server_lines_close(l);
	struct buf a = { 0 }, b = { 0 };
	cr_assert_eq(file_read(moved, 1000, &a, NULL), 0);
	cr_assert_eq(file_read(path, 1000, &b, NULL), 0);
	cr_expect_str_eq(a.bytes, "{\"n\":1}\n");
	cr_expect_str_eq(b.bytes, "{\"n\":2}\n");
	buf_free(&a);
	buf_free(&b);
}

Test(server_lines, words_that_are_none_are_refused_with_a_sentence)
{
	static const struct {
		const char *where, *says;
	} rows[] = {
		{ "otlp", "otlp:URL" },
		{ "otlp:collector:4318", "http://" },
		{ "otlp:file:///etc/passwd", "http://" },
		{ "", "expected stderr" },
		{ "/nowhere/at/all", "/nowhere/at/all" },
		{ "syslog:/nowhere/log", "/nowhere/log" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct server_lines *l;
		struct err e = { 0 };
		struct server_lines_options o = { .where = rows[i].where, .env = &env };
		cr_expect_lt(server_lines_open(&l, &o, &e), 0, "%s", rows[i].where);
		cr_expect(strstr(e.text, rows[i].says), "%s: %s", rows[i].where, e.text);
		cr_expect_null(l);
	}
}

static atomic_int ticks;
static void tick(void *ctx) { atomic_fetch_add((atomic_int *)ctx, 1); }

Test(server_lines, the_second_hand_goes_also_where_no_line_is_wanted)
{
	struct server_lines *l;
	struct server_lines_options o = { .env = &env, .each_second = tick, .ctx = &ticks };
	cr_assert_eq(server_lines_open(&l, &o, NULL), 0);
	cr_expect_not(server_lines_wanted(l));
	server_lines_put(l, "x\n", 2);
	wait_for(&ticks, 1);
	server_lines_close(l);
}
