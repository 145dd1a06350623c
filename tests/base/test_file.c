#include "base/file.h"
#include "base/limits.h"
#include "temp.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect_content(const char *path, const char *text)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	cr_assert_eq(file_read(path, 1000, &b, &e), 0, "%s", e.text);
	cr_expect_str_eq(b.bytes, text);
	buf_free(&b);
}

static size_t entries(const char *dir)
{
	struct file_list l = { 0 };
	cr_assert_eq(file_list(dir, &l, NULL), 0);
	size_t count = l.count;
	file_list_free(&l);
	return count;
}

Test(base_file, durable_write_replaces_and_leaves_no_temporary_file)
{
	struct temp t;
	temp_open(&t);
	const char *path = temp_path(&t, "a");
	cr_assert_eq(file_write_durable(path, "one", 3, 0600, NULL), 0);
	cr_assert_eq(file_write_durable(path, "two!", 4, 0600, NULL), 0);
	expect_content(path, "two!");
	struct stat st;
	cr_expect(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	cr_expect_eq(entries(t.dir), 1);
	temp_close(&t);
}

Test(base_file, failed_write_leaves_the_old_content_and_no_temporary_file)
{
	struct temp t;
	struct err e = { 0 };
	temp_open(&t);
	cr_assert_eq(file_make_dirs(temp_path(&t, "dir/inner"), 0700, &e), 0);
	cr_expect_eq(file_write_durable(temp_path(&t, "dir"), "x", 1, 0600, &e), ERR_IO,
		     "a folder is no file");
	cr_expect_eq(file_write_durable(temp_path(&t, "none/a"), "x", 1, 0600, &e), ERR_NOTFOUND);
	cr_expect_eq(entries(t.dir), 0);
	temp_close(&t);
}

Test(base_file, new_file_is_written_only_where_there_is_none)
{
	struct temp t;
	struct err e = { 0 };
	temp_open(&t);
	const char *path = temp_path(&t, "a");
	cr_expect_eq(file_create_unsynced(path, "one", 3, 0644, &e), 0);
	cr_expect_eq(file_create_unsynced(path, "two", 3, 0644, &e), 1);
	expect_content(path, "one");
	cr_expect_eq(file_create_unsynced(temp_path(&t, "none/a"), "x", 1, 0644, &e), ERR_NOTFOUND);
	cr_assert_eq(symlink("elsewhere", temp_path(&t, "link")), 0);
	cr_expect_eq(file_create_unsynced(temp_path(&t, "link"), "x", 1, 0644, &e), 1);
	cr_expect_not(file_exists(temp_path(&t, "elsewhere")));
	temp_close(&t);
}

Test(base_file, immutable_file_is_created_once)
{
	struct temp t;
	temp_open(&t);
	const char *path = temp_path(&t, "tile");
	cr_expect_eq(file_create_immutable(path, NULL, "tile", 4, 0644, NULL), 0);
	cr_expect_eq(file_create_immutable(path, NULL, "tile", 4, 0644, NULL), 0);
	cr_expect_eq(file_create_immutable(path, NULL, "tilE", 4, 0644, NULL), ERR_CONFLICT);
	cr_expect_eq(file_create_immutable(path, NULL, "til", 3, 0644, NULL), ERR_CONFLICT);
	cr_expect_eq(file_create_immutable(path, NULL, "tile2", 5, 0644, NULL), ERR_CONFLICT);
	expect_content(path, "tile");
	cr_expect_eq(entries(t.dir), 1);
	temp_close(&t);
}

Test(base_file, immutable_file_is_staged_in_another_folder)
{
	struct temp t;
	char path[LIMIT_PATH_BYTES], staging[LIMIT_PATH_BYTES];
	temp_open(&t);
	snprintf(path, sizeof path, "%s", temp_path(&t, "tile"));
	snprintf(staging, sizeof staging, "%s", temp_path(&t, "tmp"));
	cr_expect_eq(file_create_immutable(path, staging, "tile", 4, 0644, NULL), ERR_NOTFOUND);
	cr_expect_eq(entries(t.dir), 0);
	cr_assert_eq(file_make_dirs(staging, 0755, NULL), 0);
	cr_expect_eq(file_create_immutable(path, staging, "tile", 4, 0644, NULL), 0);
	expect_content(path, "tile");
	cr_expect_eq(entries(staging), 0);
	temp_close(&t);
}

Test(base_file, read_has_a_cap_and_takes_regular_files_only)
{
	struct temp t;
	struct err e = { 0 };
	struct buf b = { 0 };
	temp_open(&t);
	buf_add_text(&b, "kept");
	cr_assert_eq(file_write_durable(temp_path(&t, "a"), "12345", 5, 0600, NULL), 0);
	cr_expect_eq(file_read(temp_path(&t, "a"), 4, &b, &e), ERR_INPUT);
	cr_expect_str_eq(b.bytes, "kept");
	cr_expect_eq(file_read(temp_path(&t, "a"), 5, &b, &e), 0);
	cr_expect_str_eq(b.bytes, "kept12345");
	cr_expect_eq(symlink("a", temp_path(&t, "link")), 0);
	cr_expect_eq(file_read(temp_path(&t, "link"), 100, &b, &e), ERR_INPUT);
	cr_expect_eq(mkfifo(temp_path(&t, "fifo"), 0600), 0);
	cr_expect_eq(file_read(temp_path(&t, "fifo"), 100, &b, &e), ERR_INPUT);
	cr_expect_eq(file_read(t.dir, 100, &b, &e), ERR_INPUT);
	cr_expect_eq(file_read(temp_path(&t, "none"), 100, &b, &e), ERR_NOTFOUND);
	cr_expect_eq(file_read("/proc/self/status", 10, &b, &e), ERR_INPUT, "its size says 0");
	cr_expect_str_eq(b.bytes, "kept12345");
	buf_free(&b);
	temp_close(&t);
}

Test(base_file, list_is_sorted_by_bytes_and_recursive)
{
	static const char *const names[] = { "a-b", "a/b/c", "a/z", "ab", "b", "\xc3\xa4" };
	struct temp t;
	struct file_list l = { 0 };
	temp_open(&t);
	cr_assert_eq(file_make_dirs(temp_path(&t, "a/b"), 0700, NULL), 0);
	cr_assert_eq(file_make_dirs(temp_path(&t, "empty"), 0700, NULL), 0);
	for (size_t i = 6; i-- > 0;)
		cr_assert_eq(file_write_durable(temp_path(&t, names[i]), "", 0, 0600, NULL), 0);
	cr_assert_eq(file_list(t.dir, &l, NULL), 0);
	cr_assert_eq(l.count, 6);
	for (size_t i = 0; i < 6; i++)
		cr_expect_str_eq(l.names[i], names[i]);
	file_list_free(&l);
	temp_close(&t);
}

Test(base_file, list_refuses_links_and_fifos_by_name)
{
	struct temp t;
	struct file_list l = { 0 };
	struct err e = { 0 };
	temp_open(&t);
	cr_assert_eq(file_make_dirs(temp_path(&t, "a"), 0700, NULL), 0);
	cr_assert_eq(symlink("/etc/passwd", temp_path(&t, "a/link")), 0);
	cr_expect_eq(file_list(t.dir, &l, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "a/link") && strstr(e.text, "symbolic link"), "%s", e.text);
	cr_assert_eq(unlink(temp_path(&t, "a/link")), 0);
	cr_assert_eq(mkfifo(temp_path(&t, "a/fifo"), 0600), 0);
	cr_expect_eq(file_list(t.dir, &l, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "a/fifo") && strstr(e.text, "FIFO"), "%s", e.text);
	cr_expect_eq(file_list(temp_path(&t, "none"), &l, &e), ERR_NOTFOUND);
	temp_close(&t);
}

/* A folder whose path is too long to be named again is told of, and not entered. */
Test(base_file, walk_names_what_lies_too_deep)
{
	struct temp t;
	struct file_tree tree = { 0 };
	struct err e = { 0 };
	char name[201];
	temp_open(&t);
	memset(name, 'd', 200);
	name[200] = '\0';
	int at = open(t.dir, O_RDONLY | O_DIRECTORY), root = dup(at);
	for (int i = 0; i < 22; i++) { /* 201 bytes a level: the 21st is beyond */
		cr_assert_eq(mkdirat(at, name, 0700), 0);
		int next = openat(at, name, O_RDONLY | O_DIRECTORY);
		close(at);
		at = next;
	}
	close(at);
	cr_assert_eq(file_walk(root, NULL, 0, &tree, &e), 0, "%s", e.text);
	cr_assert_eq(tree.count, 1u);
	cr_expect_eq(tree.entry[0].kind, FILE_DEEP);
	cr_expect_geq(strlen(tree.entry[0].name), (size_t)LIMIT_PATH_BYTES);
	file_tree_free(&tree);
	close(root);
	temp_close(&t);
}

Test(base_file, open_below_stays_below)
{
	static const char *const bad[] = { "",         ".",    "..",        "/etc/passwd",
					   "a/../a/x", "a//x", "a/x/",      "a/.",
					   "../x",     "link", "dirlink/x", "a/x/y" };
	struct temp t;
	temp_open(&t);
	cr_assert_eq(file_make_dirs(temp_path(&t, "a"), 0700, NULL), 0);
	cr_assert_eq(file_write_durable(temp_path(&t, "a/x"), "x", 1, 0600, NULL), 0);
	cr_assert_eq(symlink("a/x", temp_path(&t, "link")), 0);
	cr_assert_eq(symlink("a", temp_path(&t, "dirlink")), 0);
	int dir = open(t.dir, O_RDONLY | O_DIRECTORY), fd = -1;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int result = file_open_below(dir, bad[i], O_RDONLY, &fd, NULL);
		int wanted = strstr(bad[i], "link") ? ERR_UNSUPPORTED : ERR_INPUT;
		cr_expect_eq(result, wanted, "%s: %d", bad[i], result);
	}
	cr_assert_eq(file_open_below(dir, "a/x", O_RDONLY, &fd, NULL), 0);
	close(fd);
	cr_expect_eq(file_open_below(dir, "a/y", O_RDONLY, &fd, NULL), ERR_NOTFOUND);
	close(dir);
	temp_close(&t);
}

Test(base_file, remove_tree_does_not_follow_links)
{
	struct temp t;
	temp_open(&t);
	cr_assert_eq(file_make_dirs(temp_path(&t, "keep"), 0700, NULL), 0);
	cr_assert_eq(file_write_durable(temp_path(&t, "keep/x"), "x", 1, 0600, NULL), 0);
	cr_assert_eq(file_make_dirs(temp_path(&t, "tree/a/b/c"), 0700, NULL), 0);
	cr_assert_eq(file_write_durable(temp_path(&t, "tree/a/b/f"), "x", 1, 0600, NULL), 0);
	cr_assert_eq(symlink("../keep", temp_path(&t, "tree/link")), 0);
	cr_assert_eq(symlink("keep", temp_path(&t, "rootlink")), 0);
	cr_expect_eq(file_remove_tree(temp_path(&t, "tree"), NULL), 0);
	cr_expect_eq(file_remove_tree(temp_path(&t, "rootlink"), NULL), 0);
	cr_expect_eq(file_remove_tree(temp_path(&t, "none"), NULL), 0);
	cr_expect_not(file_exists(temp_path(&t, "tree")));
	expect_content(temp_path(&t, "keep/x"), "x");
	temp_close(&t);
}

Test(base_file, lock_excludes_a_second_holder)
{
	struct temp t;
	int a = -1, b = -1;
	temp_open(&t);
	const char *path = temp_path(&t, "lock");
	cr_assert_eq(file_lock(path, &a, NULL), 0);
	cr_expect_eq(file_lock(path, &b, NULL), ERR_CONFLICT);
	file_unlock(a);
	cr_expect_eq(file_lock(path, &b, NULL), 0);
	file_unlock(b);
	temp_close(&t);
}

Test(base_file, rename_size_join_and_kinds)
{
	struct temp t;
	uint64_t bytes = 0;
	char from[LIMIT_PATH_BYTES], to[LIMIT_PATH_BYTES], name[LIMIT_PATH_BYTES];
	temp_open(&t);
	cr_assert_eq(file_make_dirs(temp_path(&t, "d/"), 0700, NULL), 0);
	cr_assert_eq(file_join(from, t.dir, "a", NULL), 0);
	cr_assert_eq(file_join(to, t.dir, "d/b", NULL), 0);
	cr_assert_eq(file_write_durable(from, "12345", 5, 0600, NULL), 0);
	cr_expect_eq(file_rename_durable(from, to, NULL), 0);
	cr_expect(file_size(to, &bytes, NULL) == 0 && bytes == 5);
	cr_expect_eq(file_size(t.dir, &bytes, NULL), ERR_INPUT);
	cr_expect_eq(file_rename_durable(from, to, NULL), ERR_NOTFOUND);
	cr_expect(file_exists(to) && !file_exists(from) && file_is_dir(t.dir) && !file_is_dir(to));
	cr_expect_eq(file_make_dirs(to, 0700, NULL), ERR_CONFLICT);
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	cr_expect_eq(file_join(from, t.dir, name, NULL), ERR_INPUT);
	temp_close(&t);
}

/* ---- a write that the system cuts short ---- */

static atomic_int signals;
static void on_signal(int number) { signals += number == SIGUSR1; }

struct slow_reader {
	pthread_t writer;
	int fd;
	size_t count, wrong;
};

/* Interrupt the writer, which waits for room in the pipe, before anything is read. */
static void *read_slowly(void *context)
{
	struct slow_reader *r = context;
	char block[4096];
	while (signals < 20) {
		pthread_kill(r->writer, SIGUSR1);
		usleep(1000);
	}
	for (ssize_t n; (n = read(r->fd, block, sizeof block)) > 0;)
		for (ssize_t i = 0; i < n; i++)
			r->wrong += block[i] != (char)(r->count++ % 251);
	return NULL;
}

Test(base_file, a_write_that_is_interrupted_writes_all, .timeout = 60)
{
	enum { BYTES = 1 << 20 };
	struct sigaction action = { .sa_handler = on_signal };
	struct slow_reader r = { .writer = pthread_self() };
	struct err e = { 0 };
	pthread_t reader;
	int ends[2];
	char *bytes = malloc(BYTES);
	cr_assert(bytes);
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (char)(i % 251);
	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
	cr_assert_eq(pipe(ends), 0);
	r.fd = ends[0];
	cr_assert_eq(pthread_create(&reader, NULL, read_slowly, &r), 0);
	cr_expect_eq(file_write_all(ends[1], bytes, BYTES, "pipe", &e), 0, "%s", e.text);
	close(ends[1]);
	pthread_join(reader, NULL);
	close(ends[0]);
	cr_expect_eq(r.count, (size_t)BYTES);
	cr_expect_eq(r.wrong, 0u);
	cr_expect(signals >= 20);
	free(bytes);
}
