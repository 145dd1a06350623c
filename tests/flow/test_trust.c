/* Keys: made, listed, exported, imported; and trust.toml, which says whose signatures count. */
#include "support.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct fixture at, other; /* other: another publisher's machine */

static void set_up(void)
{
	fixture_make(&at);
	fixture_make(&other);
	other.seed.seed[0] = 8;
	fixture_open(&at);
	fixture_open(&other);
	fixture_key(&other, "acme");
}

static void tear_down(void)
{
	fixture_remove(&at);
	fixture_remove(&other);
}

TestSuite(flow_trust, .init = set_up, .fini = tear_down, .timeout = 60);

/* The other publisher's key into at's folder, in a form. */
static const char *their_key(const char *form)
{
	char name[40];
	struct buf key = { 0 };
	struct err e = { 0 };
	snprintf(name, sizeof name, "acme.%s", form);
	expect(0, flow_key_export(other.flow, "acme", form, &key, &e));
	fixture_write(&at, name, key.bytes, key.len);
	buf_free(&key);
	return fixture_path(&at, name);
}

static int import_key(const char *path, json_t **report, struct err *e)
{
	const struct flow_import w = { .path = path, .models = "acme/*" };
	return flow_key_import(at.flow, &w, report, e);
}

static void import(const char *form)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, import_key(their_key(form), &report, &e));
	cr_expect_str_eq(text_of(report, "origin"), "trusted");
	json_decref(report);
}

static json_t *list_keys(void)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_key_list(at.flow, &report, &e));
	return report;
}

/* Whether a release that the other publisher signed is accepted here. */
static bool accepts_theirs(void)
{
	json_t *report;
	struct err e = { 0 };
	if (!fixture_has(&other, "model")) {
		const struct flow_publish p = { .dir = fixture_path(&other, "model"),
						.name = "acme/m",
						.version = "1",
						.key = "acme" };
		fixture_model(&other, "model");
		expect(0, flow_publish(other.flow, &p, &report, &e));
		json_decref(report);
	}
	int rc = fixture_verify(at.flow, fixture_path(&other, "model"), NULL, false, &report, &e);
	bool ok = rc == 0 && truth_of(report, "ok");
	json_decref(report);
	return ok;
}

/* ---- making and listing ---- */

Test(flow_trust, a_new_key_is_listed_logged_and_kept_apart)
{
	json_t *report, *list;
	struct stat st;
	struct err e = { 0 };
	cr_expect_eq(count_of((list = list_keys()), "keys"), 0, "the log's key signs no release");
	json_decref(list);
	expect(0, flow_key_new(at.flow, &(struct flow_key){ .name = "k" }, &report, &e));
	cr_expect_str_eq(text_of(report, "name"), "k");
	cr_expect_str_eq(text_of(report, "origin"), "own");
	cr_expect_eq(strlen(text_of(report, "ed25519")), 64);
	cr_expect_eq(strlen(text_of(report, "p256")), 64);
	list = list_keys();
	cr_expect_eq(count_of(list, "keys"), 1);
	cr_expect(json_equal(item_of(list, "keys", 0), report));
	json_decref(list);
	cr_assert_eq(stat(fixture_path(&at, "home/keys/k.key"), &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);

	expect(0, flow_audit_list(at.flow, 0, 100, &list, &e));
	const json_t *last = item_of(list, "entries", count_of(list, "entries") - 1);
	const json_t *entry = json_object_get(last, "entry"),
		     *body = json_object_get(entry, "body");
	cr_expect_str_eq(text_of(entry, "type"), "key");
	cr_expect_str_eq(text_of(body, "event"), "new");
	cr_expect_str_eq(text_of(body, "name"), "k");
	cr_expect_str_eq(text_of(body, "p256"), text_of(report, "p256"));
	cr_expect_str_eq(text_of(body, "ed25519"), text_of(report, "ed25519"));
	json_decref(list);
	json_decref(report);
}

Test(flow_trust, a_key_that_the_log_did_not_take_is_made_by_the_next_run)
{
	const struct flow_key k = { .name = "k" };
	json_t *report = NULL, *list;
	struct err e = { 0 };
	fixture_move(&at, "home/log", "away");
	fixture_text(&at, "home/log", "");
	cr_expect_lt(flow_key_new(at.flow, &k, &report, &e), 0);
	cr_expect_null(report);
	cr_expect_eq(count_of((list = list_keys()), "keys"), 0);
	json_decref(list);
	fixture_close(&at);
	fixture_delete(&at, "home/log");
	fixture_move(&at, "away", "home/log");
	fixture_open(&at);
	expect(0, flow_key_new(at.flow, &k, &report, &e));
	json_decref(report);
	expect(ERR_CONFLICT, flow_key_new(at.flow, &k, &report, &e));
	cr_expect_eq(count_of((list = list_keys()), "keys"), 1);
	json_decref(list);
}

static const struct {
	const char *name;
	int rc;
} names[] = {
	{ "log", ERR_CONFLICT },
	{ "k", ERR_CONFLICT },
	{ "", ERR_USAGE },
	{ "K", ERR_USAGE },
	{ ".k", ERR_USAGE },
	{ "../k", ERR_USAGE },
	{ "a/b", ERR_USAGE },
	{ "a b", ERR_USAGE },
	{ "a\nb", ERR_USAGE },
	{ "\xc3\xa4", ERR_USAGE },
	{ "0123456789012345678901234567890123456789012345678901234567890123", ERR_USAGE },
};

Test(flow_trust, the_logs_own_name_is_refused_with_the_reason)
{
	json_t *report;
	struct err e = { 0 };
	expect_says(ERR_CONFLICT, "belongs to the state folder's own key",
		    flow_key_new(at.flow, &(struct flow_key){ .name = "log" }, &report, &e));
}

Test(flow_trust, a_name_that_is_taken_or_malformed_makes_no_key)
{
	fixture_key(&at, "k");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		json_t *report = NULL;
		struct err e = { 0 };
		int rc = flow_key_new(at.flow, &(struct flow_key){ .name = names[i].name }, &report,
				      &e);
		cr_expect(rc == names[i].rc || (names[i].rc == ERR_USAGE && rc == ERR_INPUT),
			  "%s: %d (%s)", names[i].name, rc, e.text);
		json_t *list = list_keys();
		cr_expect_eq(count_of(list, "keys"), 1, "%s", names[i].name);
		json_decref(list);
	}
}

Test(flow_trust, a_key_with_a_passphrase_does_not_open_without)
{
	struct flow_options o = { .home = fixture_path(&at, "home"),
				  .env = &at.env,
				  .quiet = true,
				  .passphrase = "open sesame" };
	const struct flow_publish p = { .dir = fixture_path(&at, "model"),
					.name = "acme/m",
					.version = "1",
					.key = "k",
					.dry_run = true };
	json_t *report;
	struct err e = { 0 };
	fixture_model(&at, "model");
	fixture_close(&at);
	expect(0, flow_open(&at.flow, &o, &e));
	fixture_key(&at, "k"); /* opens it, too */
	fixture_close(&at);
	fixture_open(&at);
	int rc = flow_publish(at.flow, &p, &report, &e);
	cr_expect(rc == ERR_INPUT && strstr(e.text, "--passphrase-file"), "%d (%s)", rc, e.text);
	cr_expect_null(report);
}

/* ---- exporting ---- */

static const struct {
	const char *form, *start;
} forms[] = {
	{ "pem", "-----BEGIN PUBLIC KEY-----\n" },
	{ "ssh", "ssh-ed25519 " },
	{ "minisign", "untrusted comment: " },
	{ "vkey", "k+" },
	{ "document", "{" },
};

Test(flow_trust, a_key_is_exported_in_every_form)
{
	fixture_key(&at, "k");
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct buf out = { 0 };
		struct err e = { 0 };
		expect(0, flow_key_export(at.flow, "k", forms[i].form, &out, &e));
		cr_expect(text_starts(out.bytes, forms[i].start), "%s: %s", forms[i].form,
			  out.bytes);
		cr_expect_eq(out.bytes[out.len - 1], '\n', "%s", forms[i].form);
		buf_free(&out);
	}
}

Test(flow_trust, the_logs_key_is_named_by_its_origin)
{
	struct buf out = { 0 };
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_key_export(at.flow, NULL, "vkey", &out, &e));
	expect(0, flow_audit_verify(at.flow, NULL, NULL, &report, &e));
	cr_expect(text_starts(out.bytes, text_of(report, "origin")), "%s", out.bytes);
	cr_expect_eq(out.bytes[strlen(text_of(report, "origin"))], '+');
	json_decref(report);
	buf_free(&out);
}

Test(flow_trust, what_cannot_be_exported_is_refused_by_name)
{
	struct buf out = { 0 };
	struct err e = { 0 };
	fixture_key(&at, "k");
	expect_says(ERR_USAGE, "unknown key format der",
		    flow_key_export(at.flow, "k", "der", &out, &e));
	expect_says(ERR_NOTFOUND, "no key named none",
		    flow_key_export(at.flow, "none", "pem", &out, &e));
	cr_expect_eq(out.len, 0);
	buf_free(&out);
}

/* ---- importing ---- */

Test(flow_trust, an_imported_key_verifies_what_its_owner_signed)
{
	static const char *const kinds[] = { "document", "pem", "minisign", "ssh" };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		cr_expect_not(accepts_theirs(), "%s: nobody is trusted yet", kinds[i]);
		import(kinds[i]);
		cr_expect(accepts_theirs(), "%s", kinds[i]);
		fixture_close(&at);
		fixture_open(&at);
		cr_expect(accepts_theirs(), "%s: trust outlives the process", kinds[i]);
		fixture_delete(&at, "home/trust.toml");
		fixture_delete(&at, "home/trust");
		cr_assert_eq(mkdir(fixture_path(&at, "home/trust"), 0700), 0);
	}
}

Test(flow_trust, a_round_trip_keeps_the_key_ids)
{
	json_t *made, *theirs, *list;
	struct err e = { 0 };
	expect(0, flow_key_list(other.flow, &made, &e));
	theirs = json_incref((json_t *)item_of(made, "keys", 0));
	import("document");
	list = list_keys();
	const json_t *mine = item_of(list, "keys", 0);
	cr_expect_eq(count_of(list, "keys"), 1);
	cr_expect_str_eq(text_of(mine, "name"), "acme");
	cr_expect_str_eq(text_of(mine, "origin"), "trusted");
	cr_expect_str_eq(text_of(mine, "p256"), text_of(theirs, "p256"));
	cr_expect_str_eq(text_of(mine, "ed25519"), text_of(theirs, "ed25519"));
	json_decref(list);
	json_decref(theirs);
	json_decref(made);
}

Test(flow_trust, a_key_without_a_name_is_listed_by_its_id)
{
	static const struct {
		const char *form, *has, *lacks;
	} rows[] = { { "pem", "p256", "ed25519" }, { "minisign", "ed25519", "p256" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		import(rows[i].form);
		json_t *list = list_keys();
		const json_t *key = item_of(list, "keys", i);
		cr_expect_eq(count_of(list, "keys"), i + 1);
		cr_expect(text_of(key, "name")[0] &&
				  text_starts(text_of(key, rows[i].has), text_of(key, "name")),
			  "%s: %s", rows[i].form, text_of(key, "name"));
		cr_expect_null(json_object_get(key, rows[i].lacks), "%s", rows[i].form);
		json_decref(list);
	}
}

Test(flow_trust, own_keys_come_before_trusted_ones)
{
	import("document");
	fixture_key(&at, "zz");
	json_t *list = list_keys();
	cr_expect_str_eq(text_of(item_of(list, "keys", 0), "name"), "zz");
	cr_expect_str_eq(text_of(item_of(list, "keys", 0), "origin"), "own");
	cr_expect_str_eq(text_of(item_of(list, "keys", 1), "origin"), "trusted");
	json_decref(list);
}

Test(flow_trust, a_key_of_another_kind_does_not_hide_the_one_that_signed)
{
	cr_expect_not(accepts_theirs(), "it is made here");
	fixture_delete(&other, "model.hallmark/manifest.json.minisig");
	import("minisign");
	cr_expect_not(accepts_theirs(), "an Ed25519 key says nothing about an ECDSA signature");
	import("pem");
	cr_expect(accepts_theirs());
}

/* Another file takes the key's place once it was looked at. */
static void swap_key(void *ctx, const char *step)
{
	bool *swapped = ctx;
	if (strcmp(step, "import.checked") != 0)
		return;
	fixture_text(&at, "acme.document", "{}");
	*swapped = true;
}

Test(flow_trust, the_key_that_was_looked_at_is_the_one_that_is_trusted)
{
	struct buf looked_at = { 0 }, trusted = { 0 };
	bool swapped = false;
	their_key("document");
	fixture_read(&at, "acme.document", &looked_at);
	at.env.steps = (struct steps){ swap_key, &swapped };
	import("document");
	cr_expect(swapped);
	fixture_read(&at, "home/trust/acme.pub", &trusted);
	cr_expect_str_eq(trusted.bytes, looked_at.bytes);
	cr_expect(accepts_theirs());
	buf_free(&looked_at);
	buf_free(&trusted);
}

Test(flow_trust, a_key_is_imported_once)
{
	struct buf before = { 0 }, after = { 0 };
	json_t *report = NULL;
	struct err e = { 0 };
	import("document");
	fixture_read(&at, "home/trust.toml", &before);
	expect_says(ERR_CONFLICT, "a key of acme is trusted already",
		    import_key(their_key("document"), &report, &e));
	fixture_read(&at, "home/trust.toml", &after);
	cr_expect_str_eq(after.bytes, before.bytes);
	buf_free(&before);
	buf_free(&after);
}

/* The first entry would answer for it, whatever the second allows. */
Test(flow_trust, a_key_has_one_name)
{
	json_t *report = NULL;
	struct err e = { 0 };
	const struct flow_import again = { .path = their_key("document"), .name = "other" };
	import("pem");
	expect_says(ERR_CONFLICT, "this very key is here already as ",
		    import_key(their_key("document"), &report, &e));
	expect_says(ERR_CONFLICT, "change its name, document or models in",
		    flow_key_import(at.flow, &again, &report, &e));
	json_t *list = list_keys();
	cr_expect_eq(count_of(list, "keys"), 1);
	json_decref(list);
}

Test(flow_trust, an_import_that_died_before_it_was_listed_is_done_again)
{
	import("document");
	fixture_delete(&at, "home/trust.toml"); /* written last */
	cr_expect_not(accepts_theirs(), "the file alone trusts nobody");
	import("document");
	cr_expect(accepts_theirs());
}

Test(flow_trust, a_stranger_does_not_sign_in_an_own_keys_name)
{
	json_t *report = NULL;
	struct err e = { 0 };
	struct flow_import w = { .path = their_key("document") };
	fixture_key(&at, "acme");
	expect_says(ERR_CONFLICT, "acme is an own key's name here",
		    flow_key_import(at.flow, &w, &report, &e));
	w.name = "ACME"; /* the same organisation: names are allowed in either case */
	expect_says(ERR_CONFLICT, "is an own key's name here",
		    flow_key_import(at.flow, &w, &report, &e));
	cr_expect_not(accepts_theirs());
	w.name = "acme-builds";
	expect(0, flow_key_import(at.flow, &w, &report, &e));
	json_decref(report);
	w.name = "Acme-Builds";
	expect_says(ERR_CONFLICT, "is trusted already",
		    flow_key_import(at.flow, &w, &report, &e));
}

Test(flow_trust, another_publishers_key_of_the_same_name_is_not_put_over_the_first)
{
	struct buf key = { 0 };
	json_t *report = NULL;
	struct err e = { 0 };
	import("document");
	fixture_key(&at, "acme"); /* our own of that name: another key */
	expect(0, flow_key_export(at.flow, "acme", "document", &key, &e));
	fixture_write(&at, "imposter.pub", key.bytes, key.len);
	expect(ERR_CONFLICT,
	       import_key(fixture_path(&at, "imposter.pub"), &report, &e));
	cr_expect(accepts_theirs());
	buf_free(&key);
}

static const struct {
	const char *text;
	int rc;
} not_keys[] = {
	{ "", ERR_INPUT },
	{ "hello\n", ERR_INPUT },
	{ "{}", ERR_INPUT },
	{ "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", ERR_INPUT },
	{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ERR_INPUT },
	{ "untrusted comment: x\nRWQ\n", ERR_INPUT },
};

Test(flow_trust, what_is_no_public_key_is_not_trusted)
{
	for (size_t i = 0; i < sizeof not_keys / sizeof *not_keys; i++) {
		json_t *report = NULL;
		struct err e = { 0 };
		fixture_text(&at, "bad", not_keys[i].text);
		int rc = import_key(fixture_path(&at, "bad"), &report, &e);
		cr_expect_eq(rc, not_keys[i].rc, "row %zu: %d (%s)", i, rc, e.text);
		cr_expect_not(fixture_has(&at, "home/trust.toml"), "row %zu", i);
	}
	struct err e = { 0 };
	json_t *report;
	expect(ERR_NOTFOUND, import_key(fixture_path(&at, "none"), &report, &e));
}

Test(flow_trust, a_key_document_that_was_changed_is_not_trusted)
{
	struct buf key = { 0 };
	json_t *report;
	struct err e = { 0 };
	const char *path = their_key("document");
	fixture_read(&at, "acme.document", &key);
	const char *payload = strstr(key.bytes, "\"payload\"");
	cr_assert_not_null(payload);
	key.bytes[payload - key.bytes + 40] ^= 1;
	fixture_write(&at, "acme.document", key.bytes, key.len);
	int rc = import_key(path, &report, &e);
	cr_expect(rc == ERR_VERIFY || rc == ERR_INPUT, "%d (%s)", rc, e.text);
	cr_expect_not(fixture_has(&at, "home/trust.toml"));
	buf_free(&key);
}

/* ---- trust.toml ---- */

#define ACME "[[publisher]]\nname = \"acme\"\ndocument = \"trust/acme.pub\"\n"

static const struct {
	const char *text, *words;
	int rc;
} tomls[] = {
	{ "[[publisher]]\nname = \"acme\"\n",
	  "trust.toml line 1: a publisher needs name and document", ERR_INPUT },
	{ ACME "\n[[publisher]]\ndocument = \"trust/acme.pub\"\n",
	  "trust.toml line 5: a publisher needs name and document", ERR_INPUT },
	{ "[[publisher]]\nname = 1\ndocument = \"trust/acme.pub\"\n", "line 1", ERR_INPUT },
	{ "[[publisher]]\nname = \"a\"\ndocument = [\"trust/acme.pub\"]\n", "line 1", ERR_INPUT },
	{ ACME "name = \"twice\"\n", "line 4", ERR_INPUT },
	{ "# a comment\n[[publisher]\n", "home/trust.toml: line 2", ERR_INPUT },
	{ "[[publisher]]\nname = \"a\"\ndocument = \"trust/none.pub\"\n", "trust/none.pub",
	  ERR_NOTFOUND },
	{ "[[publisher]]\nname = \"a\"\ndocument = \"trust.toml\"\n", "", ERR_INPUT },
};

Test(flow_trust, a_mistake_in_trust_toml_is_named_with_its_line)
{
	json_t *report = NULL;
	import("document");
	for (size_t i = 0; i < sizeof tomls / sizeof *tomls; i++) {
		struct err e = { 0 };
		fixture_text(&at, "home/trust.toml", tomls[i].text);
		int rc = flow_key_list(at.flow, &report, &e);
		cr_expect_eq(rc, tomls[i].rc, "row %zu: %d (%s)", i, rc, e.text);
		cr_expect(strstr(e.text, tomls[i].words), "row %zu: %s", i, e.text);
		/* A broken list lets nobody through, and nothing is added to it. */
		cr_expect_not(accepts_theirs(), "row %zu", i);
		cr_expect_lt(import_key(their_key("pem"), &report, &e), 0, "row %zu",
			     i);
	}
}

static const char *const good_tomls[] = {
	ACME,
	"# who we buy from\n" ACME,
	"note = \"other keys are ours to add later\"\n" ACME,
	"publisher = [{ name = \"acme\", document = \"trust/acme.pub\" }]\n",
};

Test(flow_trust, trust_toml_may_be_written_by_hand)
{
	import("document");
	for (size_t i = 0; i < sizeof good_tomls / sizeof *good_tomls; i++) {
		fixture_text(&at, "home/trust.toml", good_tomls[i]);
		cr_expect(accepts_theirs(), "row %zu", i);
	}
	fixture_text(&at, "home/trust.toml", "");
	cr_expect_not(accepts_theirs(), "an empty list trusts nobody");
}

Test(flow_trust, a_document_may_lie_elsewhere_and_be_called_otherwise)
{
	char text[600];
	struct err e = { 0 };
	json_t *report;
	snprintf(text, sizeof text, "[[publisher]]\nname = \"our supplier\"\ndocument = \"%s\"\n"
		 "models = [\"acme/*\"]\n",
		 their_key("document"));
	fixture_text(&at, "home/trust.toml", text);
	cr_expect(accepts_theirs());
	expect(0, fixture_verify(at.flow, fixture_path(&other, "model"), NULL, false, &report, &e));
	cr_expect_str_eq(text_of(report, "signer"), "our supplier");
	json_decref(report);
}

/* ---- whose name ---- */

static int create_as(struct fixture *x, const char *key, const char *name, struct err *e)
{
	const struct flow_publish p = { .dir = fixture_path(x, "model"),
					.name = name,
					.version = "1",
					.key = key,
					.dry_run = true };
	json_t *report = NULL;
	if (!fixture_has(x, "model"))
		fixture_model(x, "model");
	int rc = flow_publish(x->flow, &p, &report, e);
	json_decref(report);
	return rc;
}

static void new_key(const struct flow_key *k)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_key_new(at.flow, k, &report, &e));
	json_decref(report);
}

Test(flow_trust, a_key_signs_its_own_organisations_names_alone)
{
	struct err e = { 0 };
	new_key(&(struct flow_key){ .name = "acme" });
	new_key(&(struct flow_key){ .name = "bot", .models = "acme/*,labs/m-*" });
	expect(0, create_as(&at, "acme", "acme/m", &e));
	expect(0, create_as(&at, "acme", "Acme/m", &e));
	expect_says(ERR_DENIED, "may sign acme/* only, and this is bigbank/official",
		    create_as(&at, "acme", "bigbank/official", &e));
	expect(ERR_DENIED, create_as(&at, "acme", "acme2/m", &e));
	expect(0, create_as(&at, "bot", "acme/m", &e));
	expect(0, create_as(&at, "bot", "labs/m-1", &e));
	expect(ERR_DENIED, create_as(&at, "bot", "labs/n", &e));
	expect(ERR_DENIED, create_as(&at, "bot", "bot/m", &e));
	cr_expect_not(fixture_has(&at, "model.hallmark.part"));
}

Test(flow_trust, trust_toml_says_otherwise_of_own_keys_too)
{
	struct err e = { 0 };
	new_key(&(struct flow_key){ .name = "acme", .models = "acme/*" });
	fixture_text(&at, "home/trust.toml",
		     "[[publisher]]\nname = \"acme\"\nmodels = [\"bigbank/*\", \"acme/only\"]\n");
	expect(0, create_as(&at, "acme", "bigbank/official", &e));
	expect(0, create_as(&at, "acme", "acme/only", &e));
	expect(ERR_DENIED, create_as(&at, "acme", "acme/m", &e));
}

static const char *const bad_models[] = { "\"acme/*\"", "[]", "[1]", "[\"acme\"]", "[\"a/b,c/d\"]" };

Test(flow_trust, a_list_of_models_that_is_none_trusts_nobody)
{
	import("document");
	for (size_t i = 0; i < sizeof bad_models / sizeof *bad_models; i++) {
		struct buf text = { 0 };
		struct err e = { 0 };
		json_t *report = NULL;
		buf_printf(&text, ACME "models = %s\n", bad_models[i]);
		fixture_write(&at, "home/trust.toml", text.bytes, text.len);
		expect_says(ERR_INPUT, "trust.toml line 4", flow_key_list(at.flow, &report, &e));
		buf_free(&text);
	}
}

Test(flow_trust, an_expired_key_signs_nothing_more)
{
	struct err e = { 0 };
	new_key(&(struct flow_key){ .name = "acme", .expires = "2026-12-31" });
	expect(0, create_as(&at, "acme", "acme/m", &e));
	at.time_us = 1798761600000000; /* 2027-01-01 */
	expect_says(ERR_DENIED, "the key acme expired on 2026-12-31T00:00:00Z",
		    create_as(&at, "acme", "acme/m", &e));
	json_t *report = NULL;
	expect_says(ERR_USAGE, "expected a date like",
		    flow_key_new(at.flow, &(struct flow_key){ .name = "x", .expires = "soon" },
				 &report, &e));
}

Test(flow_trust, an_import_shows_what_the_document_claims_and_whom_it_follows)
{
	json_t *report;
	struct buf key = { 0 };
	struct err e = { 0 };
	const struct flow_key heir = {
		.name = "heir", .models = "bigbank/*", .expires = "2030-01-01", .previous = "acme"
	};
	expect(0, flow_key_new(other.flow, &heir, &report, &e));
	cr_expect(text_starts(text_of(report, "log"), "hallmark.local/"), "%s", text_of(report, "log"));
	json_decref(report);
	expect(0, flow_key_export(other.flow, "heir", "document", &key, &e));
	fixture_write(&at, "heir.pub", key.bytes, key.len);
	import("document");
	expect(0, flow_key_import(at.flow,
				  &(struct flow_import){ .path = fixture_path(&at, "heir.pub") },
				  &report, &e));
	cr_expect_str_eq(text_of(report, "models"), "heir/*", "the claim is not believed");
	cr_expect_str_eq(text_of(report, "claims"), "bigbank/*");
	cr_expect_str_eq(text_of(report, "expires"), "2030-01-01T00:00:00Z");
	cr_expect(truth_of(report, "follows"), "signed by the key that is trusted here");
	json_decref(report);
	buf_free(&key);
}

Test(flow_trust, a_bare_key_is_imported_under_a_name_with_its_models)
{
	json_t *report;
	struct err e = { 0 };
	struct flow_import w = { .path = their_key("pem"), .name = "Acme", .models = "acme/*,a/b" };
	expect(0, flow_key_import(at.flow, &w, &report, &e));
	cr_expect_str_eq(text_of(report, "name"), "Acme");
	json_decref(report);
	json_t *list = list_keys();
	cr_expect_str_eq(text_of(item_of(list, "keys", 0), "models"), "acme/*,a/b");
	json_decref(list);
	w.name = "../x";
	expect(ERR_USAGE, flow_key_import(at.flow, &w, &report, &e));
	w.name = "b";
	w.models = "b";
	expect(ERR_INPUT, flow_key_import(at.flow, &w, &report, &e));
	cr_expect(accepts_theirs());
}
