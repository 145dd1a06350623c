/* Sketches kept by root: what is damaged, renamed or of another version reads as if it were not there. */
#include "support.h"

#include "flow/fork_cache.h"

#include <stdlib.h>
#include <string.h>

static struct fixture at;
static struct flow_fork_model model;
static struct digest root;
static char file[120];

static void set_up(void)
{
	struct err e = { 0 };
	char hex[65];
	fixture_make(&at);
	fixture_open(&at);
	fixture_toy(&at, "a", &(struct toy){ .seed = 1, .experts = 3 });
	expect(0, flow_fork_model_open(at.flow, fixture_path(&at, "a"), &model, &e));
	expect(0, flow_fork_model_root(at.flow, &model, &root, &e));
	digest_hex(&root, hex);
	snprintf(file, sizeof file, "home/cache/sketches/%s.sketch", hex);
}

static void tear_down(void)
{
	flow_fork_model_close(&model);
	fixture_remove(&at);
}

TestSuite(flow_fork_cache, .init = set_up, .fini = tear_down, .timeout = 60);

static void sketch_text(struct flow *f, struct buf *out)
{
	struct fork_sketch *s;
	struct err e = { 0 };
	buf_clear(out);
	expect(0, flow_fork_sketch(f, &model, &root, NULL, NULL, &s, &e));
	expect(0, fork_sketch_write(s, out, &e));
	fork_sketch_free(s);
}

static bool is_kept(const struct digest *d)
{
	struct fork_sketch *s;
	struct err e = { 0 };
	int rc = flow_fork_sketch_kept(at.flow, d, &s, &e);
	cr_expect(rc == 0 || rc == ERR_NOTFOUND, "%s", e.text);
	fork_sketch_free(s);
	return rc == 0;
}

Test(flow_fork_cache, what_was_made_once_is_read_the_next_time)
{
	struct buf first = { 0 }, second = { 0 };
	cr_expect(!is_kept(&root) && !flow_fork_sketch_is_kept(at.flow, &root));
	sketch_text(at.flow, &first);
	cr_expect(fixture_has(&at, file));
	cr_expect(is_kept(&root) && flow_fork_sketch_is_kept(at.flow, &root));
	fixture_delete(&at, "a"); /* its files are not asked again */
	sketch_text(at.flow, &second);
	cr_assert_eq(first.len, second.len);
	cr_expect_eq(memcmp(first.bytes, second.bytes, first.len), 0);
	buf_free(&first);
	buf_free(&second);
}

Test(flow_fork_cache, a_damaged_file_is_made_again)
{
	struct buf whole = { 0 }, b = { 0 };
	sketch_text(at.flow, &b);
	fixture_read(&at, file, &whole);
	size_t cuts[] = { 0, 1, 31, 32, 33, whole.len / 2, whole.len - 1 };
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		fixture_write(&at, file, whole.bytes, cuts[i]);
		cr_expect(!is_kept(&root), "cut to %zu bytes", cuts[i]);
	}
	for (size_t i = 0; i < 40; i++) {
		fixture_write(&at, file, whole.bytes, whole.len);
		fixture_flip(&at, file, i * (whole.len - 1) / 39);
		cr_expect(!is_kept(&root), "flipped at %zu", i * (whole.len - 1) / 39);
	}
	sketch_text(at.flow, &b);
	buf_clear(&b);
	fixture_read(&at, file, &b);
	cr_assert_eq(b.len, whole.len);
	cr_expect_eq(memcmp(b.bytes, whole.bytes, b.len), 0, "the same bytes");
	buf_free(&whole);
	buf_free(&b);
}

Test(flow_fork_cache, a_sketch_counts_only_for_its_own_root)
{
	struct buf b = { 0 };
	struct digest other = root;
	char hex[65], name[120];
	sketch_text(at.flow, &b);
	other.bytes[0] ^= 1;
	digest_hex(&other, hex);
	snprintf(name, sizeof name, "home/cache/sketches/%s.sketch", hex);
	fixture_copy(&at, file, name);
	cr_expect(is_kept(&root) && !is_kept(&other));
	buf_free(&b);
}

Test(flow_fork_cache, without_a_place_to_keep_it_a_sketch_is_made_all_the_same)
{
	struct buf first = { 0 }, second = { 0 }, third = { 0 };
	sketch_text(NULL, &first);
	cr_expect_not(fixture_has(&at, file));
	fixture_text(&at, "home/cache/sketches", "no folder");
	sketch_text(at.flow, &second);
	fixture_delete(&at, "home/cache/sketches");
	sketch_text(at.flow, &third);
	cr_expect(fixture_has(&at, file));
	cr_expect(first.len == second.len && memcmp(first.bytes, second.bytes, first.len) == 0);
	cr_expect(first.len == third.len && memcmp(first.bytes, third.bytes, first.len) == 0);
	buf_free(&first);
	buf_free(&second);
	buf_free(&third);
}
