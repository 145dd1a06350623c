#include "base/source.h"
#include "temp.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct source *open_example(struct temp *t)
{
	struct source *s = NULL;
	struct err e = { 0 };
	temp_open(t);
	cr_assert_eq(file_make_dirs(temp_path(t, "sub"), 0700, NULL), 0);
	cr_assert_eq(file_write_durable(temp_path(t, "b.bin"), "0123456789", 10, 0600, NULL), 0);
	cr_assert_eq(file_write_durable(temp_path(t, "sub/a.txt"), "hello", 5, 0600, NULL), 0);
	cr_assert_eq(source_open_folder(&s, t->dir, &e), 0, "%s", e.text);
	return s;
}

Test(base_source, folder_gives_names_sizes_and_exact_ranges)
{
	struct temp t;
	struct source *s = open_example(&t);
	struct buf b = { 0 };
	uint64_t bytes = 0;
	char out[8] = { 0 };
	cr_expect_str_eq(source_name(s, 0), "b.bin");
	cr_expect_str_eq(source_name(s, 1), "sub/a.txt");
	cr_expect_null(source_name(s, 2));
	cr_expect_not(s->verified);
	cr_expect(source_size(s, "b.bin", &bytes, NULL) == 0 && bytes == 10);
	cr_expect(source_read(s, "b.bin", 3, out, 4, NULL) == 0 && strcmp(out, "3456") == 0);
	cr_expect_eq(source_read(s, "b.bin", 10, out, 0, NULL), 0);
	cr_expect_eq(source_read(s, "b.bin", 7, out, 4, NULL), ERR_INPUT, "past the end");
	cr_expect_eq(source_read(s, "b.bin", UINT64_MAX, out, 4, NULL), ERR_INPUT,
		     "far past the end");
	cr_expect_eq(source_read_file(s, "sub/a.txt", 4, &b, NULL), ERR_INPUT, "over the cap");
	cr_expect(source_read_file(s, "sub/a.txt", 5, &b, NULL) == 0 &&
		  strcmp(b.bytes, "hello") == 0);
	buf_free(&b);
	source_close(s);
	source_close(NULL);
	temp_close(&t);
}

Test(base_source, names_outside_the_folder_do_not_exist)
{
	static const char *const names[] = { "../b.bin", "/etc/passwd", "sub/../b.bin",
					     "./b.bin",  "sub",         "",
					     "none" };
	struct temp t;
	struct source *s = open_example(&t);
	uint64_t bytes = 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		cr_expect_eq(source_size(s, names[i], &bytes, NULL), ERR_NOTFOUND, "%s", names[i]);
	source_close(s);
	temp_close(&t);
}

Test(base_source, folder_with_a_link_is_refused)
{
	struct temp t;
	struct source *s = open_example(&t), *again = NULL;
	struct err e = { 0 };
	source_close(s);
	cr_assert_eq(symlink("b.bin", temp_path(&t, "link")), 0);
	cr_expect_eq(source_open_folder(&again, t.dir, &e), ERR_UNSUPPORTED);
	cr_expect(strstr(e.text, "link") && strstr(e.text, "cp -rL"), "%s", e.text);
	temp_close(&t);
}

Test(base_source, link_put_in_place_later_is_refused)
{
	struct temp t;
	struct source *s = open_example(&t);
	uint64_t bytes = 0;
	cr_assert_eq(unlink(temp_path(&t, "b.bin")), 0);
	cr_assert_eq(symlink("/etc/passwd", temp_path(&t, "b.bin")), 0);
	cr_expect_eq(source_size(s, "b.bin", &bytes, NULL), ERR_UNSUPPORTED);
	cr_assert_eq(file_remove_tree(temp_path(&t, "sub"), NULL), 0);
	cr_assert_eq(symlink("/etc", temp_path(&t, "sub")), 0);
	cr_expect_eq(source_size(s, "sub/a.txt", &bytes, NULL), ERR_UNSUPPORTED);
	source_close(s);
	temp_close(&t);
}

Test(base_source, a_file_once_read_stays_the_same_file)
{
	struct temp t;
	struct source *s = open_example(&t);
	char out[4] = { 0 };
	cr_expect_eq(source_read(s, "b.bin", 0, out, 1, NULL), 0);
	cr_assert_eq(file_write_durable(temp_path(&t, "b.bin"), "xxxxxxxxxx", 10, 0600, NULL), 0);
	cr_expect(source_read(s, "b.bin", 0, out, 3, NULL) == 0 && strcmp(out, "012") == 0);
	source_close(s);
	temp_close(&t);
}

static void *read_many(void *arg)
{
	struct source *s = arg;
	size_t wrong = 0;
	for (int i = 0; i < 2000; i++) {
		char out[2] = { 0 };
		if (source_read(s, "b.bin", (uint64_t)i % 10, out, 1, NULL) < 0 ||
		    out[0] != '0' + i % 10)
			wrong++;
		if (source_read(s, "sub/a.txt", 4, out, 1, NULL) < 0 || out[0] != 'o')
			wrong++;
	}
	return wrong ? s : NULL;
}

Test(base_source, threads_read_at_once)
{
	struct temp t;
	struct source *s = open_example(&t);
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, read_many, s), 0);
	for (size_t i = 0; i < 4; i++) {
		void *wrong = NULL;
		pthread_join(threads[i], &wrong);
		cr_expect_null(wrong);
	}
	source_close(s);
	temp_close(&t);
}

static bool has(const struct file_tree *l, const char *name, enum file_kind kind)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->entry[i].name, name) == 0)
			return l->entry[i].kind == kind;
	return false;
}

Test(base_source, a_tree_is_listed_with_whatever_it_holds)
{
	static const char *const skip[] = { "sub", "none" };
	struct temp t;
	struct source *s = open_example(&t), *tree = NULL;
	struct file_tree l;
	struct err e = { 0 };
	char out[4] = { 0 };
	cr_assert_eq(symlink("b.bin", temp_path(&t, "link")), 0);
	cr_assert_eq(mkfifo(temp_path(&t, "fifo"), 0600), 0);
	cr_assert_eq(source_open_tree(&tree, t.dir, &e), 0, "%s", e.text);
	cr_expect_null(source_name(tree, 0));
	cr_assert_eq(source_list(tree, NULL, 0, &l, &e), 0, "%s", e.text);
	cr_expect(l.count == 4 && has(&l, "b.bin", FILE_REGULAR) && has(&l, "fifo", FILE_OTHER) &&
		  has(&l, "link", FILE_LINK) && has(&l, "sub/a.txt", FILE_REGULAR));
	file_tree_free(&l);
	cr_assert_eq(source_list(tree, skip, 2, &l, &e), 0, "%s", e.text);
	cr_expect(l.count == 3 && !has(&l, "sub/a.txt", FILE_REGULAR));
	file_tree_free(&l);
	cr_expect(source_read(tree, "sub/a.txt", 1, out, 2, NULL) == 0 && strcmp(out, "el") == 0);
	cr_expect_eq(source_read(tree, "link", 0, out, 1, NULL), ERR_UNSUPPORTED);
	cr_expect_eq(source_read(tree, "fifo", 0, out, 1, NULL), ERR_INPUT);
	cr_expect_eq(source_read(tree, "sub", 0, out, 1, NULL), ERR_INPUT);
	cr_expect_eq(source_read(tree, "../x", 0, out, 1, NULL), ERR_INPUT);
	cr_expect_eq(source_read(tree, "none", 0, out, 1, NULL), ERR_NOTFOUND);
	source_close(tree);
	source_close(s);
	temp_close(&t);
}

Test(base_source, state_changes_when_a_file_is_written)
{
	struct temp t;
	struct source *s = open_example(&t);
	struct source_state before, after;
	cr_assert_eq(source_state(s, "b.bin", &before, NULL), 0);
	cr_assert_eq(source_state(s, "b.bin", &after, NULL), 0);
	cr_expect(before.bytes == 10 && source_state_equal(&before, &after));
	FILE *f = fopen(temp_path(&t, "b.bin"), "a");
	cr_assert(f && fputs("more", f) >= 0 && fclose(f) == 0);
	cr_assert_eq(source_state(s, "b.bin", &after, NULL), 0);
	cr_expect_not(source_state_equal(&before, &after));
	source_close(s);
	temp_close(&t);
}

/* Fewer descriptors than files, and fewer than the source would keep. */
Test(base_source, more_files_than_may_be_open_are_read)
{
	struct temp t;
	struct source *s = NULL;
	struct err e = { 0 };
	char name[16], out[8];
	size_t open_before = 0, open_after = 0;
	temp_open(&t);
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof name, "%d", 1000 + i);
		cr_assert_eq(file_write_durable(temp_path(&t, name), name, 4, 0600, NULL), 0);
	}
	for (int fd = 0; fd < 2000; fd++)
		open_before += fcntl(fd, F_GETFD) >= 0;
	cr_assert_eq(source_open_folder(&s, t.dir, &e), 0, "%s", e.text);
	for (int i = 0; i < 1200; i++) {
		snprintf(name, sizeof name, "%d", 1000 + i % 600);
		cr_assert_eq(source_read(s, name, 0, out, 4, &e), 0, "%s", e.text);
		cr_assert(memcmp(out, name, 4) == 0);
	}
	for (int fd = 0; fd < 2000; fd++)
		open_after += fcntl(fd, F_GETFD) >= 0;
	cr_expect(open_after <= open_before + 300, "%zu, then %zu", open_before, open_after);
	source_close(s);
	temp_close(&t);
}
