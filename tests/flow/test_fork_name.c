/* One content has one name: what a fork audit calls the suspect is the root that publishing it gives, so that
 * the edges of the registry meet. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

static struct fixture at;
static const struct toy original = { .seed = 1, .experts = 25 },
			child = { .seed = 1, .experts = 25, .noise = 0.3, .noise_seed = 5 };

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_toy(&at, "a", &original);
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_fork_name, .init = set_up, .fini = tear_down, .timeout = 120);

/* The subject that the log has for it; good until the next call. */
static const char *audited(const char *ref)
{
	static char subject[80];
	json_t *report, *list;
	struct err e = { 0 };
	expect(0, flow_audit_fork(at.flow, ref, NULL, 7, &report, &e));
	expect(0, flow_audit_list(at.flow, (uint64_t)number_of(report, "index"), 1, &list, &e));
	const json_t *body =
		json_object_get(json_object_get(item_of(list, "entries", 0), "entry"), "body");
	snprintf(subject, sizeof subject, "%s", text_of(body, "subject"));
	json_decref(list);
	json_decref(report);
	return subject;
}

static json_t *affected(const char *ref)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_registry_affected(at.flow, ref, &report, &e));
	return report;
}

Test(flow_fork_name, a_release_audited_as_a_fork_is_itself)
{
	struct err e = { 0 };
	json_t *report, *a = NULL;
	struct flow_publish p = { fixture_path(&at, "a"), "acme/a", "1", "k",
				  .package = fixture_path(&at, "a.tar") };
	expect(0, flow_publish(at.flow, &p, &a, &e));
	const char *root = text_of(a, "root");
	cr_expect_str_eq(audited("acme/a@1"), root, "by its name");
	cr_expect_str_eq(audited(fixture_path(&at, "a")), root, "by its folder");
	cr_expect_str_eq(audited(fixture_path(&at, "a.tar")), root, "by its package");
	fixture_toy(&at, "copy", &original);
	cr_expect_str_eq(audited(fixture_path(&at, "copy")), root, "by the same files, unsigned");
	report = affected("acme/a");
	cr_expect_eq(count_of(report, "affected"), 0, "it is no descendant of itself");
	json_decref(report);
	json_decref(a);
}

Test(flow_fork_name, edges_meet_along_a_chain_of_forks)
{
	json_t *a = fixture_publish(&at, "a", "acme/a", "1"), *b, *report;
	fixture_toy(&at, "b", &child);
	b = fixture_publish(&at, "b", "acme/b", "1");
	cr_expect_str_eq(audited("acme/b@1"), text_of(b, "root"));
	fixture_toy(&at, "c", &child);
	fixture_text(&at, "c/README.md", "another card\n");
	char c[80];
	snprintf(c, sizeof c, "%s", audited(fixture_path(&at, "c")));
	cr_expect_str_neq(c, text_of(b, "root"), "another card is another release");
	report = affected("acme/a");
	const json_t *first = item_of(report, "affected", 0), *second = item_of(report, "affected", 1);
	cr_expect_eq(count_of(report, "affected"), 2);
	cr_expect_str_eq(text_of(first, "root"), text_of(b, "root"));
	cr_expect_eq(number_of(first, "depth"), 1);
	cr_expect_str_eq(text_of(second, "root"), c);
	cr_expect_eq(number_of(second, "depth"), 2);
	json_decref(report);
	json_decref(a);
	json_decref(b);
}

Test(flow_fork_name, what_is_served_unsigned_has_the_name_that_publishing_gives)
{
	struct err e = { 0 };
	struct flow_model *m;
	char served[DIGEST_TEXT_ROOM];
	expect(0, flow_model_open(&m, at.flow, fixture_path(&at, "a"), NULL, true, &e));
	digest_text(flow_model_root(m), served);
	flow_model_close(m);
	json_t *a = fixture_publish(&at, "a", "acme/a", "1");
	cr_expect_str_eq(text_of(a, "root"), served);
	json_decref(a);
}

/* Names that no release may have do not keep a folder from being audited. */
Test(flow_fork_name, a_suspect_may_be_called_what_it_likes)
{
	json_decref(fixture_publish(&at, "a", "acme/a", "1"));
	fixture_toy(&at, "odd", &child);
	fixture_text(&at, "odd/Notes", "x");
	fixture_text(&at, "odd/notes", "y");
	cr_expect(strncmp(audited(fixture_path(&at, "odd")), "sha256:", 7) == 0);
}
