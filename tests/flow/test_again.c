/* A release published again: what is missing or damaged comes back as it was, and nothing else. And
 * one opened to be served: not where verifying would refuse it. */
#include "support.h"

#include "base/text.h"
#include "flow/home.h"

#include <string.h>

static struct fixture at;
static char dir[LIMIT_PATH_BYTES];
static const struct flow_publish wanted = {
	.dir = dir, .name = "acme/m", .version = "1", .key = "k"
};

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_model(&at, "model");
	snprintf(dir, sizeof dir, "%s", fixture_path(&at, "model"));
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_again, .init = set_up, .fini = tear_down, .timeout = 60);

static json_t *publish(const struct flow_publish *p)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_publish(at.flow, p, &report, &e));
	return report;
}

static json_t *provenance(void)
{
	struct buf text = { 0 }, inner = { 0 };
	json_t *envelope, *statement;
	struct err e = { 0 };
	fixture_read(&at, "model.hallmark/provenance.json", &text);
	expect(0, json_read(&envelope, text.bytes, text.len, MIB(1), LIMIT_JSON_DEPTH, &e));
	const char *payload = text_of(envelope, "payload");
	cr_assert_eq(text_unbase64(&inner, payload, strlen(payload)), 0);
	expect(0, json_read(&statement, inner.bytes, inner.len, MIB(1), LIMIT_JSON_DEPTH, &e));
	json_decref(envelope);
	buf_free(&text);
	buf_free(&inner);
	return statement;
}

Test(flow_again, how_the_release_was_made_stays)
{
	static const char *const lost[] = { "model.hallmark/release.json",
					    "model.hallmark/provenance.json", "model.hallmark" };
	struct flow_publish p = wanted;
	struct err e = { 0 };
	json_t *report;
	json_decref(fixture_publish(&at, "model", "acme/base", "1"));
	fixture_text(&at, "model/README.md", "changed\n");
	p.parent = "acme/base";
	p.kind = "quantize";
	json_decref(publish(&p));
	p.parent = p.kind = NULL;
	for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
		struct buf text = { 0 };
		fixture_delete(&at, lost[i]);
		json_decref(publish(&p));
		expect(0, flow_release_show(at.flow, p.dir, &report, &e));
		cr_expect_str_eq(text_of(report, "kind"), "quantize", "%s", lost[i]);
		json_decref(report);
		report = provenance();
		expect(0, json_write(report, 0, &text, &e));
		cr_expect(strstr(text.bytes, "urn:hallmark:build:quantize:v1"), "%s", text.bytes);
		cr_expect(strstr(text.bytes, "acme/base"), "%s", text.bytes);
		json_decref(report);
		buf_free(&text);
	}
	p.kind = "train";
	expect_says(ERR_CONFLICT, "published already as quantize",
		    flow_publish(at.flow, &p, &report, &e));
	p.kind = "quantize";
	fixture_model(&at, "second");
	fixture_text(&at, "second/README.md", "second\n");
	json_decref(fixture_publish(&at, "second", "acme/second", "1"));
	p.parent = "acme/second";
	expect_says(ERR_CONFLICT, "published already, without acme/second",
		    flow_publish(at.flow, &p, &report, &e));
	p.parent = "acme/base@1";
	json_decref(publish(&p));
}

Test(flow_again, damaged_lists_are_mended)
{
	static const char *const lists[] = { "model/hallmark.chunks", "model/hallmark.tensors" };
	static const char *const left[] = { "", "not what was signed" };
	const struct flow_publish p = wanted;
	json_decref(publish(&p));
	for (int i = 0; i < 4; i++) {
		json_t *report;
		struct err e = { 0 };
		fixture_text(&at, lists[i / 2], left[i % 2]);
		report = publish(&p);
		cr_expect(truth_of(report, "existing"));
		json_decref(report);
		expect(0, fixture_verify(at.flow, p.dir, NULL, false, &report, &e));
		cr_expect(truth_of(report, "ok"), "%s with \"%s\"", lists[i / 2], left[i % 2]);
		json_decref(report);
	}
}

static void expect_served(const char *key, bool unsigned_ok, int code, const char *words)
{
	struct flow_model *m = NULL;
	struct err e = { 0 };
	int rc = flow_model_open(&m, at.flow, dir, key, unsigned_ok, &e);
	cr_expect_eq(rc, code, "%d (%s)", rc, e.text);
	cr_expect(strstr(e.text, words), "%s", e.text);
	if (rc == 0)
		cr_expect_str_eq(flow_model_signer(m), unsigned_ok ? "" : "k");
	flow_model_close(m);
}

Test(flow_again, what_does_not_verify_is_not_served)
{
	json_decref(publish(&wanted));
	expect_served(NULL, false, 0, "");
	fixture_text(&at, "home/trust.toml", "[[publisher]]\nname = \"k\"\nmodels = [\"k/*\"]\n");
	expect_served(NULL, false, ERR_VERIFY, "the key k may sign k/* only, and this is acme/m");
	expect_served(NULL, true, 0, "");
	expect_served(fixture_path(&at, "home/keys/k.pub"), false, 0, "");
	fixture_delete(&at, "home/trust.toml");
	fixture_delete(&at, "model.hallmark/release.json");
	expect_served(NULL, false, ERR_VERIFY, "release.json is missing beside the model");
	fixture_delete(&at, "model.hallmark");
	expect_served(NULL, false, 0, ""); /* as any tool of OpenSSF signs a folder */
}
