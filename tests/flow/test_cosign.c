/* Further signers: over the same manifest, beside the model, counted where they are trusted. */
#include "support.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

static struct fixture at, other; /* other: an auditor's machine */

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_key(&at, "second");
	fixture_model(&at, "model");
	json_decref(fixture_publish(&at, "model", "acme/m", "1"));
	fixture_make(&other);
	other.seed.seed[0] = 8;
	fixture_open(&other);
	fixture_key(&other, "auditor");
}

static void tear_down(void)
{
	fixture_remove(&at);
	fixture_remove(&other);
}

TestSuite(flow_cosign, .init = set_up, .fini = tear_down, .timeout = 60);

static json_t *sign(struct fixture *x, const char *key)
{
	json_t *report;
	struct err e = { 0 };
	const struct flow_cosign s = { .dir = fixture_path(&at, "model"), .key = key };
	expect(0, flow_release_sign(x->flow, &s, &report, &e));
	return report;
}

static json_t *verify(struct fixture *x, const char *ref)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, fixture_verify(x->flow, fixture_path(&at, ref), NULL, false, &report, &e));
	return report;
}

/* Each trusts the other's key. */
static void exchange_keys(void)
{
	struct fixture *both[] = { &at, &other };
	static const char *const keys[] = { "k", "auditor" };
	for (int i = 0; i < 2; i++) {
		struct buf key = { 0 };
		json_t *report;
		struct err e = { 0 };
		expect(0, flow_key_export(both[i]->flow, keys[i], "document", &key, &e));
		fixture_write(both[1 - i], "their.pub", key.bytes, key.len);
		const struct flow_import w = { .path = fixture_path(both[1 - i], "their.pub"),
					       .models = "*/*" };
		expect(0, flow_key_import(both[1 - i]->flow, &w, &report, &e));
		json_decref(report);
		buf_free(&key);
	}
}

static const char *signer(const json_t *report, size_t i)
{
	const char *text = json_string_value(item_of(report, "signers", i));
	return text ? text : "";
}

Test(flow_cosign, signers_are_numbered_logged_and_listed)
{
	struct buf payload = { 0 };
	exchange_keys();
	json_t *made = sign(&at, "second");
	cr_expect_eq(number_of(made, "number"), 2);
	cr_expect_not(truth_of(made, "existing"));
	json_decref(made);
	made = sign(&other, "auditor");
	cr_expect_eq(number_of(made, "number"), 3);
	json_t *list;
	struct err e = { 0 };
	expect(0, flow_audit_show(other.flow, (uint64_t)number_of(made, "index"), false, &list, &e));
	const json_t *entry = json_object_get(list, "entry"), *body = json_object_get(entry, "body");
	cr_expect_str_eq(text_of(entry, "type"), "attestation");
	cr_expect_str_eq(text_of(body, "kind"), "signature");
	cr_expect_str_eq(text_of(body, "subject"), text_of(made, "root"));
	json_decref(list);
	json_decref(made);

	struct fixture *both[] = { &at, &other };
	for (int i = 0; i < 2; i++) {
		json_t *report = verify(both[i], "model");
		cr_expect(truth_of(report, "ok"));
		cr_expect_eq(count_of(report, "signers"), i == 0 ? 3 : 2,
			     "who does not know second does not count it");
		cr_expect_str_eq(signer(report, 0), "k");
		cr_expect_str_eq(signer(report, i == 0 ? 2 : 1), "auditor");
		cr_expect(truth_of(item_with(report, "checks", "name", "model.sig.2"), "ok"));
		json_decref(report);
	}
	buf_free(&payload);
}

Test(flow_cosign, a_second_signature_by_one_key_is_the_first)
{
	static const char *const keys[] = { "k", "second" };
	json_decref(sign(&at, "second"));
	for (int i = 0; i < 2; i++) {
		json_t *report = sign(&at, keys[i]);
		cr_expect(truth_of(report, "existing"), "%s", keys[i]);
		cr_expect_eq(number_of(report, "number"), i + 1);
		json_decref(report);
	}
	cr_expect_not(fixture_has(&at, "model.hallmark/model.sig.3"));
}

static void sign_second(struct fixture *x)
{
	json_t *report;
	struct err e = { 0 };
	const struct flow_cosign s = { .dir = fixture_path(x, "model"), .key = "second" };
	fixture_open(x);
	if (flow_release_sign(x->flow, &s, &report, &e) == 0)
		json_decref(report);
}

static size_t attestations(json_t **last)
{
	json_t *list;
	struct err e = { 0 };
	size_t count = 0;
	expect(0, flow_audit_list(at.flow, 0, 1000, &list, &e));
	for (size_t i = 0; i < count_of(list, "entries"); i++) {
		json_t *entry = json_object_get(item_of(list, "entries", i), "entry");
		if (strcmp(text_of(entry, "type"), "attestation") != 0)
			continue;
		count++;
		json_decref(*last);
		*last = json_incref(json_object_get(entry, "body"));
	}
	json_decref(list);
	return count;
}

/* Cut off before or after it is logged, the signature is logged once, and it is the one that lies
 * beside the model. */
Test(flow_cosign, a_signature_that_was_cut_off_is_logged_once)
{
	static const char *const steps[] = { "cosign.staged", "cosign.logged" };
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct buf bundle = { 0 };
		char text[DIGEST_TEXT_ROOM];
		json_t *body = NULL;
		fixture_close(&at);
		cr_assert(fixture_dies(&at, steps[i], 1, sign_second));
		cr_expect_not(fixture_has(&at, "model.hallmark/model.sig.2"));
		fixture_open(&at);
		cr_expect_eq(attestations(&body), 2 * i, "%s", steps[i]);
		json_t *made = sign(&at, "second");
		cr_expect_not(truth_of(made, "existing"));
		cr_expect_eq(number_of(made, "number"), 2);
		json_decref(made);
		fixture_read(&at, "model.hallmark/model.sig.2", &bundle);
		struct digest d = digest_of(bundle.bytes, bundle.len);
		digest_text(&d, text);
		cr_expect_eq(attestations(&body), i + 1, "%s", steps[i]);
		cr_expect_str_eq(text_of(body, "digest"), text, "%s", steps[i]);
		made = verify(&at, "model");
		cr_expect(truth_of(made, "ok"));
		cr_expect_null(item_with(made, "checks", "name", "beside"), "nothing is left");
		json_decref(made);
		json_decref(body);
		buf_free(&bundle);
		fixture_delete(&at, "model.hallmark/model.sig.2");
	}
}

Test(flow_cosign, what_cannot_be_written_is_not_logged)
{
	const struct flow_cosign c = { .dir = fixture_path(&at, "model"), .key = "second" };
	json_t *report, *body = NULL;
	struct err e = { 0 };
	fixture_text(&at, "model.hallmark/publisher.pub.2/in-the-way", "");
	cr_expect_lt(flow_release_sign(at.flow, &c, &report, &e), 0);
	cr_expect_eq(attestations(&body), 0u);
	fixture_delete(&at, "model.hallmark/publisher.pub.2");
	json_decref(sign(&at, "second"));
	cr_expect_eq(attestations(&body), 1u);
	json_decref(body);
}

Test(flow_cosign, a_copied_signature_counts_once)
{
	static const char *const copies[] = { "model/model.sig", "model.hallmark/model.sig.2" };
	json_decref(sign(&at, "second"));
	for (int i = 0; i < 2; i++) {
		fixture_copy(&at, copies[i], "model.hallmark/model.sig.3");
		json_t *report = verify(&at, "model");
		cr_expect(truth_of(report, "ok"));
		cr_expect_eq(count_of(report, "signers"), 2, "%s", copies[i]);
		cr_expect(strstr(text_of(item_with(report, "checks", "name", "model.sig.3"), "detail"),
				 "who is counted already"));
		json_decref(report);
		fixture_delete(&at, "model.hallmark/model.sig.3");
	}
}

Test(flow_cosign, a_key_that_has_expired_neither_signs_nor_counts)
{
	json_t *report;
	struct err e = { 0 };
	const struct flow_key dated[] = { { .name = "dated", .expires = "2026-12-31" },
					  { .name = "late", .expires = "2026-12-31" } };
	const struct flow_cosign s = { .dir = fixture_path(&at, "model"), .key = "late" };
	for (int i = 0; i < 2; i++) {
		expect(0, flow_key_new(at.flow, &dated[i], &report, &e));
		json_decref(report);
	}
	json_decref(sign(&at, "dated"));
	report = verify(&at, "model");
	cr_expect_eq(count_of(report, "signers"), 2);
	json_decref(report);
	at.time_us = 1798761600000000; /* 2027-01-01 */
	expect_says(ERR_DENIED, "the key late expired on 2026-12-31T00:00:00Z: make another",
		    flow_release_sign(at.flow, &s, &report, &e));
	cr_expect_not(fixture_has(&at, "model.hallmark/model.sig.3"));
	report = verify(&at, "model");
	cr_expect(truth_of(report, "ok"), "the publisher's own signature stands");
	cr_expect_eq(count_of(report, "signers"), 1);
	cr_expect(strstr(text_of(item_with(report, "checks", "name", "model.sig.2"), "detail"),
			 "the key dated expired on 2026-12-31T00:00:00Z: it does not count"));
	json_decref(report);
}

Test(flow_cosign, what_does_not_verify_is_not_signed)
{
	json_t *report;
	struct err e = { 0 };
	const struct flow_cosign s = { .dir = fixture_path(&at, "model"), .key = "auditor" };
	cr_expect_lt(flow_release_sign(other.flow, &s, &report, &e), 0, "k is not trusted there");
	exchange_keys();
	fixture_text(&at, "model/extra", "x");
	expect_says(ERR_VERIFY, "does not verify, and is not signed",
		    flow_release_sign(other.flow, &s, &report, &e));
	cr_expect_not(fixture_has(&at, "model.hallmark/model.sig.2"));
}

Test(flow_cosign, a_bundle_of_something_else_or_falsely_named_fails)
{
	json_decref(sign(&at, "second"));
	fixture_copy(&at, "model.hallmark/model.sig.2", "good");
	fixture_copy(&at, "model", "two");
	fixture_text(&at, "two/README.md", "changed\n");
	json_decref(fixture_publish(&at, "two", "acme/m", "2"));
	struct buf b = { 0 };
	static const char *const what[] = { "another manifest", "a broken signature", "no bundle" };
	for (int i = 0; i < 3; i++) {
		if (i == 0)
			fixture_copy(&at, "two/model.sig", "model.hallmark/model.sig.2");
		if (i == 1) {
			fixture_read(&at, "good", &b);
			char *sig = strstr(b.bytes, "\"sig\":\"") + strlen("\"sig\":\"") + 40;
			*sig = *sig == 'A' ? 'B' : 'A';
			fixture_write(&at, "model.hallmark/model.sig.2", b.bytes, b.len);
		}
		if (i == 2)
			fixture_text(&at, "model.hallmark/model.sig.2", "{}");
		json_t *report = verify(&at, "model");
		cr_expect_not(truth_of(report, "ok"), "%s", what[i]);
		cr_expect_not(truth_of(item_with(report, "checks", "name", "model.sig.2"), "ok"), "%s",
			      what[i]);
		cr_expect_eq(count_of(report, "signers"), 1, "%s", what[i]);
		json_decref(report);
	}
	buf_free(&b);
}

Test(flow_cosign, further_signatures_travel_and_stay_with_the_content)
{
	json_t *report;
	struct err e = { 0 };
	json_decref(sign(&at, "second"));
	struct flow_publish p = { .dir = fixture_path(&at, "model"),
				  .name = "acme/m",
				  .version = "1",
				  .key = "k",
				  .package = fixture_path(&at, "m.tar") };
	expect(0, flow_publish(at.flow, &p, &report, &e));
	cr_expect(truth_of(report, "existing"));
	json_decref(report);
	const struct flow_unpack u = { .package = fixture_path(&at, "m.tar"),
				       .dir = fixture_path(&at, "out") };
	expect(0, flow_release_unpack(at.flow, &u, &report, &e));
	cr_expect_eq(count_of(report, "signers"), 2);
	json_decref(report);
	report = verify(&at, "out");
	cr_expect_eq(count_of(report, "signers"), 2);
	json_decref(report);

	fixture_delete(&at, "model.hallmark/release.json"); /* made again, the rest kept */
	p.package = NULL;
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
	report = verify(&at, "model");
	cr_expect(truth_of(report, "ok"));
	cr_expect_eq(count_of(report, "signers"), 2);
	json_decref(report);

	fixture_text(&at, "model/README.md", "changed\n"); /* another manifest: signed by nobody else */
	p.version = "2";
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
	cr_expect_not(fixture_has(&at, "model.hallmark/model.sig.2"));
}
