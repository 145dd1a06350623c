/* Packages unpacked: the folder is the release or is not there, and nothing is written over or outside. */
#include "support.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fixture at;

static void set_up(void)
{
	struct err e = { 0 };
	json_t *report;
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_toy(&at, "model", &(struct toy){ .seed = 1, .experts = 2, .card = "a card\n" });
	fixture_text(&at, "model/sub/deep/empty", "");
	fixture_text(&at, "model/sub/\xc3\xa9 name", "x");
	const struct flow_publish p = { .dir = fixture_path(&at, "model"),
					.name = "acme/m",
					.version = "1",
					.key = "k",
					.package = fixture_path(&at, "m.tar") };
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_unpack, .init = set_up, .fini = tear_down, .timeout = 120);

static int unpack(const char *package, const char *name, json_t **report, struct err *e)
{
	const struct flow_unpack u = {
		.package = fixture_path(&at, package), .dir = fixture_path(&at, "out"), .name = name
	};
	return flow_release_unpack(at.flow, &u, report, e);
}

static bool nothing_written(void)
{
	return !fixture_has(&at, "out") && !fixture_has(&at, "out.hallmark") &&
	       !fixture_has(&at, "out.part");
}

/* Run a shell command in the temporary folder. */
static void shell(const char *command)
{
	char line[LIMIT_PATH_BYTES + 400];
	snprintf(line, sizeof line, "cd %s && %s", at.dir, command);
	cr_assert_eq(system(line), 0, "%s", line);
}

Test(flow_unpack, what_comes_out_is_the_release_with_its_companion)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, unpack("m.tar", "acme/m@1", &report, &e));
	cr_expect(truth_of(report, "ok"));
	cr_expect_str_eq(text_of(report, "model"), "acme/m");
	cr_expect_str_eq(text_of(report, "folder"), fixture_path(&at, "out"));
	cr_expect_eq(number_of(report, "files"), 7);
	json_decref(report);
	shell("diff -r model out && diff -r model.hallmark out.hallmark");
	cr_expect_not(fixture_has(&at, "out.part"));
	expect(0, fixture_verify(at.flow, fixture_path(&at, "out"), NULL, false, &report, &e));
	cr_expect(truth_of(report, "ok"));
	cr_expect(truth_of(item_with(report, "checks", "name", "receipt"), "ok"));
	json_decref(report);
}

Test(flow_unpack, nothing_is_written_over)
{
	static const char *const in_the_way[] = { "out", "out.hallmark", "out.part" };
	for (size_t i = 0; i < sizeof in_the_way / sizeof *in_the_way; i++)
		for (int kind = 0; kind < 3; kind++) {
			json_t *report;
			struct err e = { 0 };
			const char *path = fixture_path(&at, in_the_way[i]);
			cr_assert_eq(kind == 0   ? mkdir(path, 0755)
				     : kind == 1 ? symlink("/nonexistent/x", path)
						 : symlink("m.tar", path),
				     0);
			expect_says(ERR_CONFLICT, "is there already", unpack("m.tar", NULL, &report, &e));
			cr_expect_null(report);
			cr_assert_eq(kind == 0 ? rmdir(path) : unlink(path), 0, "it stays");
			cr_expect(nothing_written(), "%s", in_the_way[i]);
		}
}

Test(flow_unpack, a_changed_byte_anywhere_leaves_nothing)
{
	uint64_t bytes;
	cr_assert_eq(file_size(fixture_path(&at, "m.tar"), &bytes, NULL), 0);
	for (uint64_t i = 0; i < bytes; i += 1009) {
		json_t *report = NULL;
		struct err e = { 0 };
		fixture_copy(&at, "m.tar", "changed.tar");
		fixture_flip(&at, "changed.tar", i);
		int rc = unpack("changed.tar", NULL, &report, &e);
		if (rc == 0 && truth_of(report, "ok")) { /* padding within a block, or a time: no content */
			shell("diff -r model out && rm -r out out.hallmark");
		} else {
			cr_expect(rc == 0 || rc == ERR_VERIFY || rc == ERR_UNSUPPORTED, "%llu: %d (%s)",
				  (unsigned long long)i, rc, e.text);
			cr_expect(nothing_written(), "byte %llu", (unsigned long long)i);
		}
		json_decref(report);
	}
}

static const char *const changes[] = {
	"echo x >extra && tar rf changed.tar extra",
	"mkdir sub && echo x >sub/new && tar rf changed.tar sub/new",
	"tar --delete -f changed.tar config.json",
	"tar --delete -f changed.tar model.sig",
	"tar --delete -f changed.tar .hallmark/release.json",
	"ln -s /etc/passwd l && tar rf changed.tar l",
};

Test(flow_unpack, more_or_less_than_was_signed_leaves_nothing)
{
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		json_t *report = NULL;
		struct err e = { 0 };
		fixture_copy(&at, "m.tar", "changed.tar");
		shell(changes[i]);
		int rc = unpack("changed.tar", NULL, &report, &e);
		cr_expect(rc < 0 || !truth_of(report, "ok"), "%s", changes[i]);
		cr_expect(nothing_written(), "%s", changes[i]);
		json_decref(report);
		shell("rm -rf changed.tar extra sub l");
	}
}

Test(flow_unpack, hostile_archives_write_nothing_anywhere)
{
	static const char *const names[] = {
		"absolute1", "absolute2", "dirsymlink2a", "dirsymlink2b", "relative0", "relative2",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		json_t *report = NULL;
		struct err e = { 0 };
		char from[80];
		snprintf(from, sizeof from, "tests/vectors/tar-traversal/%s.tar", names[i]);
		const struct flow_unpack u = { .package = from, .dir = fixture_path(&at, "out") };
		int rc = flow_release_unpack(at.flow, &u, &report, &e);
		cr_expect(rc < 0 || !truth_of(report, "ok"), "%s", names[i]);
		cr_expect(nothing_written(), "%s", names[i]);
		json_decref(report);
	}
}

static char from[LIMIT_PATH_BYTES], to[LIMIT_PATH_BYTES];

/* The clock is asked once the package is open. */
static int64_t put_another_in_its_place(void *time_us)
{
	(void)!rename(from, to);
	return *(int64_t *)time_us;
}

Test(flow_unpack, another_release_put_in_its_place_after_the_check_leaves_nothing)
{
	json_t *report = NULL;
	struct err e = { 0 };
	fixture_toy(&at, "other", &(struct toy){ .seed = 2, .experts = 2 });
	snprintf(from, sizeof from, "%s", fixture_path(&at, "other.tar"));
	snprintf(to, sizeof to, "%s", fixture_path(&at, "m.tar"));
	const struct flow_publish p = { .dir = fixture_path(&at, "other"),
					.name = "acme/other",
					.version = "1",
					.key = "k",
					.package = from };
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
	at.env.clock.now_us = put_another_in_its_place;
	expect(ERR_VERIFY, unpack("m.tar", "acme/m@1", &report, &e));
	cr_expect_not(fixture_has(&at, "other.tar"));
	cr_expect(nothing_written());
}

Test(flow_unpack, what_is_not_trusted_or_called_otherwise_leaves_nothing)
{
	struct fixture other;
	json_t *report;
	struct err e = { 0 };
	expect(0, unpack("m.tar", "acme/other", &report, &e));
	cr_expect_not(truth_of(report, "ok"));
	json_decref(report);
	fixture_make(&other);
	other.seed.seed[0] = 8;
	fixture_open(&other);
	fixture_key(&other, "k");
	const struct flow_unpack u = { .package = fixture_path(&at, "m.tar"),
				       .dir = fixture_path(&at, "out") };
	int rc = flow_release_unpack(other.flow, &u, &report, &e);
	cr_expect(rc < 0 || !truth_of(report, "ok"));
	json_decref(report);
	cr_expect(nothing_written());
	expect(ERR_USAGE, flow_release_unpack(at.flow,
					      &(struct flow_unpack){ .package = fixture_path(&at, "model"),
								     .dir = fixture_path(&at, "out") },
					      &report, &e));
	fixture_remove(&other);
}
