/* The process dies at a named step of a publication; the next opening completes it or undoes it, and
 * nothing half is left. */
#include "support.h"

#include "base/file.h"
#include "flow/vault.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct fixture at;

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_model(&at, "model");
	fixture_close(&at);
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_recover, .init = set_up, .fini = tear_down, .timeout = 120);

/* ---- what the child does ---- */

static const char *version = "1";

static int publish(struct fixture *x, json_t **report, struct err *e)
{
	const struct flow_publish p = {
		.dir = fixture_path(x, "model"),
		.name = "acme/m",
		.version = version,
		.key = "k",
		.package = fixture_path(x, "out/m.tar"),
	};
	return flow_publish(x->flow, &p, report, e);
}

static void open_and_publish(struct fixture *x)
{
	json_t *report;
	struct err e = { 0 };
	if (fixture_try_open(x, false, &e) < 0 || publish(x, &report, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		_exit(97);
	}
	json_decref(report);
	fixture_close(x);
}

static void just_open(struct fixture *x)
{
	struct err e = { 0 };
	if (fixture_try_open(x, false, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		_exit(97);
	}
	fixture_close(x);
}

static bool dies_publishing(const char *step, int which)
{
	fixture_text(&at, "out/keep", "");
	return fixture_dies(&at, step, which, open_and_publish);
}

/* ---- what must be there afterwards ---- */

static size_t noted(const char *what) { return count_of(flow_recovered(at.flow), what); }

static void expect_clean_log(const char *step)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_verify(at.flow, NULL, NULL, &report, &e));
	cr_expect(truth_of(report, "ok"), "%s: %s", step,
		  text_of(item_of(report, "problems", 0), "detail"));
	json_decref(report);
}

static bool verifies(const char *ref)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_release_verify(at.flow, &(struct flow_verify){ .ref = ref, .quiet = true }, &report, &e));
	bool ok = truth_of(report, "ok");
	json_decref(report);
	return ok;
}

static bool registered(const char *ref)
{
	json_t *report = NULL;
	struct err e = { 0 };
	int rc = flow_registry_show(at.flow, ref, &report, &e);
	json_decref(report);
	return rc == 0;
}

static void expect_completed(const char *step, int which)
{
	struct buf vkey = { 0 };
	json_t *report;
	struct err e = { 0 };
	cr_expect(registered("acme/m@1"), "%s:%d", step, which);
	cr_expect(verifies(fixture_path(&at, "model")), "%s:%d: the folder", step, which);
	cr_expect(verifies("acme/m@1"), "%s:%d: the name, so its place is known", step, which);
	cr_expect(verifies(fixture_path(&at, "out/m.tar")), "%s:%d: the package", step, which);
	expect(0, flow_key_export(at.flow, NULL, "vkey", &vkey, &e));
	vkey.bytes[strcspn(vkey.bytes, "\n")] = 0;
	expect(0, flow_audit_check(fixture_path(&at, "model.hallmark/receipt.tlog-proof"),
				   vkey.bytes, &report, &e));
	cr_expect(truth_of(report, "ok"), "%s:%d: %s", step, which, text_of(report, "detail"));
	json_decref(report);
	buf_free(&vkey);
	expect(0, publish(&at, &report, &e));
	cr_expect(truth_of(report, "existing"), "%s:%d: a run repeated", step, which);
	json_decref(report);
}

static void expect_undone(const char *step, int which)
{
	json_t *report;
	struct err e = { 0 };
	cr_expect_not(registered("acme/m@1"), "%s:%d", step, which);
	cr_expect_not(fixture_has(&at, "model/model.sig"), "%s:%d", step, which);
	cr_expect_not(fixture_has(&at, "model.hallmark"), "%s:%d", step, which);
	cr_expect_not(fixture_has(&at, "out/m.tar"), "%s:%d", step, which);
	expect(0, publish(&at, &report, &e)); /* nothing stands in the way of the next attempt */
	json_decref(report);
}

/* Reopen after a death; whether the publication was completed. */
static bool reopen_and_check(const char *step, int which)
{
	fixture_open(&at);
	cr_expect_eq(noted("failed"), 0, "%s:%d", step, which);
	cr_expect_not(fixture_has(&at, "model.hallmark.part"), "%s:%d", step, which);
	bool done = registered("acme/m@1");
	if (done)
		expect_completed(step, which);
	else
		expect_undone(step, which);
	expect_clean_log(step);
	fixture_close(&at);
	return done;
}

static void start_anew(void)
{
	tear_down();
	set_up();
}

/* ---- each step ---- */

static const struct {
	const char *step;
	int which; /* the start record passes the log's steps first */
	size_t completed, undone;
} steps[] = {
	{ "publish.begun", 1, 0, 1 },    { "publish.hashed", 1, 0, 1 },
	{ "publish.staged", 1, 0, 1 },   { "audit.committed", 1, 0, 1 },
	{ "audit.checkpoint", 1, 0, 1 }, { "audit.committed", 2, 1, 0 },
	{ "audit.checkpoint", 2, 1, 0 }, { "publish.committed", 1, 1, 0 },
	{ "publish.moved", 1, 1, 0 },    { "publish.receipt", 1, 1, 0 },
	{ "publish.renamed", 1, 1, 0 },  { "publish.packaged", 1, 1, 0 },
};

Test(flow_recover, the_log_decides_whether_a_publication_is_completed_or_undone)
{
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		start_anew();
		cr_expect(dies_publishing(steps[i].step, steps[i].which), "%s was not reached",
			  steps[i].step);
		fixture_open(&at);
		cr_expect_eq(noted("completed"), steps[i].completed, "%s:%d", steps[i].step,
			     steps[i].which);
		cr_expect_eq(noted("undone"), steps[i].undone, "%s:%d", steps[i].step,
			     steps[i].which);
		fixture_close(&at);
		bool done = reopen_and_check(steps[i].step, steps[i].which);
		cr_expect_eq(done, steps[i].completed == 1, "%s:%d", steps[i].step, steps[i].which);
	}
}

Test(flow_recover, a_death_at_any_arrival_leaves_nothing_half)
{
	bool died = true, done = false;
	int which = 0;
	while (died && ++which < 100) {
		start_anew();
		died = dies_publishing(NULL, which);
		bool now = reopen_and_check("any", which);
		cr_expect(now || !done, "once committed, later deaths complete: arrival %d", which);
		done = now;
	}
	cr_expect_not(died, "the publication never came to its end");
	cr_expect_gt(which, 15, "only %d steps were passed", which);
}

/* ---- recovery itself ---- */

static const struct {
	const char *died_at;
	bool completes;
} left[] = { { "publish.staged", false }, { "publish.committed", true } };

Test(flow_recover, recovery_may_die_at_any_step_and_is_taken_up_again)
{
	for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
		bool died = true;
		int which = 0;
		start_anew();
		cr_assert(dies_publishing(left[i].died_at, 1));
		/* Each round dies one step later than the last, on what the last one left. */
		while (died && ++which < 100)
			died = fixture_dies(&at, NULL, which, just_open);
		cr_expect_not(died, "recovery never came to its end");
		cr_expect_gt(which, 1, "%s: recovery announces no step", left[i].died_at);
		cr_expect_eq(reopen_and_check(left[i].died_at, which), left[i].completes);
	}
}

Test(flow_recover, what_was_recovered_is_said_once)
{
	cr_assert(dies_publishing("publish.committed", 1));
	fixture_open(&at);
	cr_expect_str_eq(json_string_value(item_of(flow_recovered(at.flow), "completed", 0)),
			 fixture_path(&at, "model"));
	fixture_close(&at);
	fixture_open(&at);
	cr_expect_eq(noted("completed") + noted("undone") + noted("failed"), 0);
}

Test(flow_recover, opening_for_reading_recovers_nothing)
{
	struct err e = { 0 };
	cr_assert(dies_publishing("publish.committed", 1));
	expect(0, fixture_try_open(&at, true, &e));
	cr_expect_eq(noted("completed"), 0);
	cr_expect(fixture_has(&at, "model.hallmark.part"));
	fixture_close(&at);
	cr_expect(reopen_and_check("read", 0));
}

/* ---- what content alone must not decide ---- */

Test(flow_recover, known_content_does_not_complete_a_version_that_died_before_its_commit)
{
	fixture_open(&at);
	json_decref(fixture_publish(&at, "model", "acme/m", "0"));
	fixture_close(&at);
	cr_assert(dies_publishing("publish.staged", 1));
	fixture_open(&at);
	cr_expect_eq(noted("undone"), 1);
	cr_expect_not(registered("acme/m@1"));
	cr_expect(registered("acme/m@0"));
	cr_expect(verifies("acme/m@0"), "undoing took nothing from the release that was there");
	cr_expect(fixture_has(&at, "model.hallmark/receipt.tlog-proof"));
}

/* ---- what cannot be finished ---- */

Test(flow_recover, a_folder_that_went_away_does_not_close_the_state_folder)
{
	cr_assert(dies_publishing("publish.committed", 1));
	fixture_delete(&at, "model");
	fixture_open(&at);
	cr_assert_eq(noted("failed"), 1);
	const char *said = json_string_value(item_of(flow_recovered(at.flow), "failed", 0));
	cr_expect(strstr(said, "the folder is gone"), "%s", said);
	cr_expect(registered("acme/m@1"), "the log has it");
	fixture_close(&at);
	fixture_open(&at);
	cr_expect_eq(noted("failed"), 0, "there is nothing left to finish");
	expect_clean_log("gone");
}

Test(flow_recover, a_package_that_cannot_be_written_is_named_and_the_release_completed)
{
	cr_assert(dies_publishing("publish.renamed", 1));
	fixture_delete(&at, "out");
	fixture_open(&at);
	cr_expect_eq(noted("completed"), 1);
	cr_assert_eq(noted("failed"), 1);
	const char *said = json_string_value(item_of(flow_recovered(at.flow), "failed", 0));
	cr_expect(strstr(said, "out/m.tar"), "%s", said);
	cr_expect(verifies("acme/m@1"));
}

Test(flow_recover, what_cannot_be_finished_now_waits_and_keeps_no_one_else)
{
	fixture_toy(&at, "second", &(struct toy){ .seed = 2, .experts = 1 });
	cr_assert(dies_publishing("publish.committed", 1));
	/* Something stands where the signature goes. */
	fixture_text(&at, "model/model.sig/in-the-way", "");
	fixture_open(&at);
	cr_expect_eq(noted("failed"), 1);
	cr_expect_eq(noted("completed"), 0);
	json_decref(fixture_publish(&at, "second", "acme/second", "1"));
	fixture_close(&at);
	fixture_delete(&at, "model/model.sig");
	fixture_open(&at);
	cr_expect_eq(noted("completed"), 1, "the next opening takes it up");
	expect_completed("waited", 1);
}

static const char *second_dir;

static void open_and_publish_second(struct fixture *x)
{
	const struct flow_publish p = {
		.dir = second_dir, .name = "acme/second", .version = "1", .key = "k"
	};
	json_t *report;
	struct err e = { 0 };
	/* Opening would recover the first; a row that waits is what two dead publications leave. */
	if (fixture_try_open(x, false, &e) < 0 || flow_publish(x->flow, &p, &report, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		_exit(97);
	}
}

Test(flow_recover, several_publications_are_recovered_each_by_itself)
{
	fixture_toy(&at, "second", &(struct toy){ .seed = 2, .experts = 1 });
	second_dir = fixture_path(&at, "second");
	cr_assert(dies_publishing("publish.committed", 1));
	fixture_text(&at, "model/model.sig/in-the-way", "");
	cr_assert(fixture_dies(&at, "publish.staged", 1, open_and_publish_second));
	fixture_delete(&at, "model/model.sig");
	fixture_open(&at);
	cr_expect_eq(noted("completed"), 1);
	cr_expect_eq(noted("undone"), 1);
	cr_expect_eq(noted("failed"), 0);
	cr_expect(registered("acme/m@1") && !registered("acme/second@1"));
	cr_expect_not(fixture_has(&at, "second.hallmark.part"));
	expect_clean_log("several");
}

/* ---- beside a writer ---- */

static struct flow_options options(void)
{
	return (struct flow_options){ .home = fixture_path(&at, "home"), .env = &at.env, .quiet = true };
}

static bool is_pending(struct flow *f, const char *what)
{
	return json_array_size(json_object_get(flow_recovered(f), what)) > 0;
}

/* A publication of another process at this moment is left alone; once nobody holds its folder, the
 * next opening undoes it: also that of a guest. */
Test(flow_recover, a_guest_undoes_what_was_left_and_not_what_is_under_way)
{
	const struct flow_options o = options();
	struct flow *host, *guest;
	struct err e = { 0 };
	int lock = -1;
	expect(0, flow_open(&host, &o, &e));
	expect(0, flow_door_open(host, &e));
	cr_assert(dies_publishing("publish.staged", 1));
	cr_expect(fixture_has(&at, "model.hallmark.part"));
	expect(0, file_lock_folder(fixture_path(&at, "model"), &lock, &e));
	expect(0, flow_open(&guest, &o, &e));
	cr_expect_not(is_pending(guest, "undone"));
	cr_expect(fixture_has(&at, "model.hallmark.part"));
	flow_close(guest);
	file_unlock(lock);
	expect(0, flow_open(&guest, &o, &e));
	cr_expect(is_pending(guest, "undone"));
	cr_expect_not(fixture_has(&at, "model.hallmark.part"));
	flow_close(guest);
	flow_close(host);
}

/* The vault's key is renewed after the guest came, and the process that did so dies before anything
 * is wrapped under it: the guest that takes the log over goes on with it, as an opening would. */
Test(flow_recover, a_guest_that_takes_over_finishes_what_was_begun_with_the_vaults_key)
{
	const struct flow_options o = options();
	struct flow *guest;
	struct err e = { 0 };
	json_t *report;
	fixture_open(&at);
	uint64_t secret = fixture_secret(&at, "what was said");
	expect(0, flow_door_open(at.flow, &e));
	expect(0, flow_open(&guest, &o, &e));
	expect(0, flow_key_new(guest, &(struct flow_key){ .name = "first" }, &report, &e));
	json_decref(report);
	expect(0, flow_vault_renew(at.flow, &e));
	fixture_close(&at);
	cr_assert(fixture_has(&at, "home/keys/next/vault.key"));
	expect(0, flow_key_new(guest, &(struct flow_key){ .name = "second" }, &report, &e));
	json_decref(report);
	cr_expect_not(fixture_has(&at, "home/keys/next"));
	for (int i = 0; i < 2; i++) {
		struct buf text = { 0 };
		expect(0, flow_audit_show(i ? at.flow : guest, secret, true, &report, &e));
		expect(0, json_write(report, 0, &text, &e));
		cr_expect(strstr(text.bytes, "what was said"), "%s", text.bytes);
		json_decref(report);
		buf_free(&text);
		if (i == 0) {
			flow_close(guest);
			fixture_open(&at);
		}
	}
	fixture_close(&at);
}
