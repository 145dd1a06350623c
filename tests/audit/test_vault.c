#include "support.h"

#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct place at;

static void set_up(void)
{
	place_make(&at);
	place_open(&at);
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_vault, .init = set_up, .fini = tear_down, .timeout = 60);

static json_t *read_vault(uint64_t index)
{
	json_t *plain;
	struct err e = { 0 };
	cr_assert_eq(audit_vault_read(at.log_open, index, &plain, &e), 0, "%s", e.text);
	return plain;
}

Test(audit_vault, gives_back_fields_in_order_and_what_was_retained)
{
	uint64_t i = place_decision(&at, "someone", "words");
	json_t *plain = read_vault(i), *fields = json_object_get(plain, "fields");

	cr_assert_eq(json_array_size(fields), PLACE_FIELDS);
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(fields, 1), "name")),
			 "client");
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(fields, 1), "value")),
			 "words");
	cr_expect(json_is_null(json_object_get(json_array_get(fields, 0), "value")));
	cr_expect_str_eq(json_string_value(
				 json_object_get(json_object_get(plain, "retained"), "more")),
			 "kept");
	json_decref(plain);
	cr_expect_eq(audit_vault_read(at.log_open, 0, &plain, NULL),
		     ERR_NOTFOUND); /* genesis is public */
	cr_expect_eq(audit_vault_read(at.log_open, 99, &plain, NULL), ERR_NOTFOUND);
}

Test(audit_vault, salts_are_fresh_for_each_field_and_record)
{
	json_t *a = read_vault(place_decision(&at, NULL, "same")),
	       *b = read_vault(place_decision(&at, NULL, "same"));
	const char *salt[6];

	for (size_t i = 0; i < 6; i++) {
		const json_t *fields = json_object_get(i < 3 ? a : b, "fields");
		salt[i] = json_string_value(json_object_get(json_array_get(fields, i % 3), "salt"));
		cr_assert_eq(strlen(salt[i]), 64);
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(salt[i], salt[j]);
	}
	json_decref(a);
	json_decref(b);
}

Test(audit_vault, disclosed_fields_fit_their_commitments_and_changed_ones_do_not)
{
	uint64_t i = place_decision(&at, NULL, "words");
	json_t *plain = read_vault(i), *fields = json_object_get(plain, "fields"), *changed, *f;
	struct buf entry = { 0 };

	cr_assert_eq(audit_log_entry(at.log_open, i, &entry, NULL), 0);
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, fields, NULL), 0);
	static const struct {
		const char *key, *value;
	} rows[] = { { "value", "other" },
		     { "name", "texts" },
		     { "salt",
		       "0000000000000000000000000000000000000000000000000000000000000000" } };
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		changed = json_deep_copy(fields);
		json_object_set_new(json_array_get(changed, 1), rows[k].key,
				    json_string(rows[k].value));
		cr_expect_eq(audit_fields_check(entry.bytes, entry.len, changed, NULL), ERR_VERIFY,
			     "%s", rows[k].key);
		json_decref(changed);
	}
	changed = json_deep_copy(fields);
	json_array_remove(changed, 2);
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, changed, NULL), ERR_VERIFY);
	json_decref(changed);
	changed = json_deep_copy(fields); /* order is part of the commitment */
	f = json_incref(json_array_get(changed, 0));
	json_array_remove(changed, 0);
	json_array_append_new(changed, f);
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, changed, NULL), ERR_VERIFY);
	json_object_set_new(f, "salt", json_string("xyz"));
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, changed, NULL), ERR_INPUT);
	json_decref(changed);
	json_decref(plain);
	buf_free(&entry);
}

Test(audit_vault, single_field_can_be_shown_beside_commitments_of_the_others)
{
	uint64_t i = place_decision(&at, NULL, "words");
	json_t *plain = read_vault(i), *fields = json_object_get(plain, "fields");
	struct buf entry = { 0 }, b = { 0 };
	char hex[DIGEST_TEXT_ROOM];
	uint8_t salt[32];

	/* The commitment of field 0 by hand: name "subject", value null. */
	const char *s = json_string_value(json_object_get(json_array_get(fields, 0), "salt"));
	for (int k = 0; k < 32; k++)
		cr_assert_eq(sscanf(s + 2 * k, "%2hhx", &salt[k]), 1);
	buf_add(&b, "\x02", 1);
	buf_add(&b, salt, 32);
	buf_add(&b, "\0\x07subject\0\0\0\x04null", 2 + 7 + 4 + 4);
	struct digest c = digest_of(b.bytes, b.len);
	digest_text(&c, hex);
	json_array_set_new(fields, 0, json_pack("{s:s}", "commitment", hex));
	cr_assert_eq(audit_log_entry(at.log_open, i, &entry, NULL), 0);
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, fields, NULL), 0);
	json_array_set_new(fields, 0, json_pack("{s:s}", "commitment", hex + 7));
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, fields, NULL), ERR_INPUT,
		     "a digest is spelled as everywhere");
	json_array_set_new(fields, 0, json_pack("{s:s,s:s}", "commitment", hex, "name", "subject"));
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, fields, NULL), ERR_INPUT);
	json_decref(plain);
	buf_free(&entry);
	buf_free(&b);
}

Test(audit_vault, fields_that_are_not_named_are_closed_and_still_fit_the_record)
{
	static const char *const open[] = { "prompt_count", "client", NULL }, *const none[] = {
		NULL
	};
	uint64_t i = place_decision(&at, NULL, "words");
	json_t *plain = read_vault(i), *fields = json_object_get(plain, "fields");
	struct buf entry = { 0 }, text = { 0 };
	size_t k;
	json_t *f;
	cr_assert_eq(audit_log_entry(at.log_open, i, &entry, NULL), 0);
	cr_assert_eq(audit_fields_close(fields, open, NULL), 0);
	json_array_foreach(fields, k, f) {
		bool shown = k == 1 || k == 4;
		cr_expect_eq(json_object_get(f, "value") != NULL, shown, "%zu", k);
		cr_expect_eq(json_object_size(f), shown ? 3 : 1, "%zu", k);
	}
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, fields, NULL), 0);
	cr_assert_eq(audit_fields_close(fields, none, NULL), 0); /* what is closed stays so */
	cr_assert_eq(json_write_canonical(fields, &text, NULL), 0);
	cr_expect(!strstr(text.bytes, "salt") && !strstr(text.bytes, "words"));
	cr_expect_eq(audit_fields_check(entry.bytes, entry.len, fields, NULL), 0);
	json_decref(plain);
	buf_free(&entry);
	buf_free(&text);
}

Test(audit_vault, row_moved_to_another_record_is_refused)
{
	uint64_t a = place_decision(&at, "one", "a"), b = place_decision(&at, "one", "b");
	char sql[128];
	json_t *plain;
	struct err e = { 0 };

	snprintf(
		sql, sizeof(sql),
		"UPDATE vault SET cipher = (SELECT cipher FROM vault WHERE idx = %llu) WHERE idx = %llu",
		(unsigned long long)a, (unsigned long long)b);
	place_sql(at.store, sql);
	cr_expect_eq(audit_vault_read(at.log_open, b, &plain, &e), ERR_VERIFY);
}

/* ---- erasing ---- */

struct secret {
	uint8_t bytes[512];
	size_t len;
};

static struct secret fetch(struct store *s, const char *sql)
{
	struct store_stmt *st;
	struct store_tx *tx;
	struct secret out = { .len = 0 };

	cr_assert_eq(store_read(s, &tx, NULL), 0);
	cr_assert_eq(store_prepare(tx, sql, &st, NULL), 0);
	cr_assert_eq(store_step(st, NULL), 1);
	const void *bytes = store_blob(st, 0, &out.len);
	out.len = out.len > sizeof(out.bytes) ? sizeof(out.bytes) : out.len;
	memcpy(out.bytes, bytes, out.len);
	store_finish(st);
	store_end(tx);
	return out;
}

/* The file of the state folder that holds 24 consecutive bytes of the secret anywhere, or NULL. */
static const char *find_anywhere(const struct secret *secret)
{
	static char found[256];
	struct file_list list;
	bool hit = false;

	cr_assert_eq(file_list(at.home, &list, NULL), 0);
	for (size_t i = 0; i < list.count && !hit; i++) {
		struct buf b = { 0 };
		place_read(&at, list.names[i], &b);
		for (size_t k = 0; b.len && k + 24 <= secret->len && !hit; k += 8)
			hit = memmem(b.bytes, b.len, secret->bytes + k, 24) != NULL;
		snprintf(found, sizeof(found), "%s", list.names[i]);
		buf_free(&b);
	}
	file_list_free(&list);
	return hit ? found : NULL;
}

/* The entry names what was erased and why, the person only as a handle, and the next one is who. */
static void expect_erasure(uint64_t index, size_t ranges, int records, const char *ground)
{
	struct buf entry = { 0 }, log = { 0 };
	struct err e = { 0 };
	json_t *o;

	cr_assert_eq(audit_log_entry(at.log_open, index, &entry, &e), 0, "%s", e.text);
	cr_assert_eq(json_read(&o, entry.bytes, entry.len, entry.len, 20, &e), 0, "%s", e.text);
	const json_t *body = json_object_get(o, "body");
	cr_expect_str_eq(json_string_value(json_object_get(o, "type")), "erasure");
	cr_expect_eq(json_array_size(json_object_get(body, "ranges")), ranges, "%s", entry.bytes);
	cr_expect_eq(json_integer_value(json_object_get(body, "records")), records);
	cr_expect_str_eq(json_string_value(json_object_get(body, "ground")), ground);
	const char *actor = json_string_value(json_object_get(body, "actor"));
	cr_expect(actor && strncmp(actor, "handle:", 7) == 0 && strlen(actor) == 39, "%s", actor);
	json_decref(o);
	cr_assert_eq(audit_log_entry(at.log_open, index + 1, &log, &e), 0, "%s", e.text);
	cr_expect(strstr(log.bytes, "\"type\":\"operator\""), "%s", log.bytes);
	cr_expect_null(strstr(log.bytes, "dpo"), "only the vault knows a name");
	cr_expect_null(strstr(entry.bytes, "dpo"));
	buf_free(&entry);
	buf_free(&log);
}

Test(audit_vault, erasing_a_subject_leaves_no_byte_of_key_or_ciphertext_in_any_file)
{
	struct audit_receipt receipt;
	struct err e = { 0 };
	json_t *plain;
	uint64_t mine[40], other = 0;

	for (int i = 0; i < 40; i++) {
		mine[i] = place_decision(&at, "subject-handle", "something about a person");
		other = place_decision(&at, i % 2 ? "other-handle" : NULL, "something else");
	}
	struct secret key =
		fetch(at.keys, "SELECT wrapped FROM subject_key WHERE id = 's:subject-handle'");
	struct secret row = fetch(
		at.store,
		"SELECT cipher FROM vault WHERE key_id = 's:subject-handle' LIMIT 1 OFFSET 7");
	cr_assert(find_anywhere(&key) && find_anywhere(&row));
	uint64_t size = audit_log_size(at.log_open);
	cr_assert_eq(audit_vault_erase(at.log_open, "subject-handle", 0, "GDPR Art. 17",
				       "dpo@example", &receipt, &e),
		     0, "%s", e.text);
	cr_expect_eq(receipt.index, size);
	cr_expect_null(find_anywhere(&key), "%s", find_anywhere(&key));
	cr_expect_null(find_anywhere(&row), "%s", find_anywhere(&row));
	for (int i = 0; i < 40; i++)
		cr_expect_eq(audit_vault_read(at.log_open, mine[i], &plain, &e), ERR_NOTFOUND);
	cr_expect_eq(audit_vault_read(at.log_open, other, &plain, &e), 0, "%s", e.text);
	json_decref(plain);
	place_expect_clean(&at);                          /* root, proofs and counts survive */
	expect_erasure(receipt.index, 40, 40, "request"); /* alternating records */
	plain = read_vault(receipt.index + 1);
	const json_t *fields = json_object_get(plain, "fields");
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(fields, 0), "value")),
			 "dpo@example");
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(fields, 3), "value")),
			 "GDPR Art. 17");
	json_decref(plain);
	cr_expect_eq(audit_vault_erase(at.log_open, "subject-handle", 0, "again", "dpo", &receipt,
				       &e),
		     ERR_NOTFOUND);
	place_expect_clean(&at);
	uint64_t next = place_decision(&at, "subject-handle", "new"); /* a new key */
	json_decref(read_vault(next));
}

Test(audit_vault, erasing_one_index_keeps_a_shared_key_and_destroys_a_lone_one)
{
	struct audit_receipt receipt;
	json_t *plain;
	uint64_t a = place_decision(&at, "s", "a"), b = place_decision(&at, "s", "b"),
		 lone = place_decision(&at, NULL, "c");
	struct secret key = fetch(at.keys, "SELECT wrapped FROM subject_key WHERE id LIKE 'r:%'");

	cr_assert_eq(audit_vault_erase(at.log_open, NULL, a, "ground", "actor", &receipt, NULL), 0);
	cr_expect_eq(audit_vault_read(at.log_open, a, &plain, NULL), ERR_NOTFOUND);
	json_decref(read_vault(b));
	cr_assert_eq(audit_vault_erase(at.log_open, NULL, lone, "ground", "actor", &receipt, NULL),
		     0);
	cr_expect_null(find_anywhere(&key));
	cr_expect_eq(audit_vault_erase(at.log_open, NULL, 0, "ground", "actor", &receipt, NULL),
		     ERR_NOTFOUND);
	cr_expect_eq(audit_vault_erase(at.log_open, NULL, b, "", "actor", &receipt, NULL),
		     ERR_INPUT);
	place_expect_clean(&at);
}

/* Another process writes to keys.db from the commit of the erasure on. */
static struct store *other_keys;
static struct store_tx *other_write;

static void take_keys_at_commit(void *ctx, const char *step)
{
	char path[128];

	(void)ctx;
	if (strcmp(step, "audit.committed") != 0 || other_keys)
		return;
	snprintf(path, sizeof(path), "%s/keys.db", at.home);
	cr_assert_eq(store_open(&other_keys, path, NULL), 0);
	cr_assert_eq(store_write(other_keys, &other_write, NULL), 0);
}

static void no_step(void *ctx, const char *step) { (void)ctx, (void)step; }

Test(audit_vault, nothing_is_sealed_with_a_key_that_could_not_be_destroyed)
{
	struct audit_receipt receipt;
	place_decision(&at, "s", "old");
	struct secret key = fetch(at.keys, "SELECT wrapped FROM subject_key WHERE id = 's:s'");

	store_wait_ms(at.keys, 0);
	at.env.steps = (struct steps){ take_keys_at_commit, NULL };
	cr_expect_eq(audit_vault_erase(at.log_open, "s", 0, "ground", "actor", &receipt, NULL),
		     ERR_UNAVAILABLE);
	cr_assert(other_keys);
	cr_expect_eq(audit_log_ready(at.log_open, NULL), ERR_UNAVAILABLE);
	at.env.steps = (struct steps){ no_step, NULL };
	store_end(other_write);
	store_close(other_keys);
	place_close(&at);
	place_open(&at);
	cr_expect_null(find_anywhere(&key), "%s", find_anywhere(&key));
	json_decref(read_vault(place_decision(&at, "s", "new")));
	place_expect_clean(&at);
}

static const char *fatal_step;

static void die_at(void *ctx, const char *step)
{
	(void)ctx;
	if (strcmp(step, fatal_step) == 0)
		_exit(99);
}

Test(audit_vault, crash_while_erasing_is_completed_at_the_next_opening)
{
	static const char *const steps[] = { "audit.committed", "audit.erase.destroyed",
					     "audit.erase.keys", "audit.erase.scrubbed",
					     "audit.checkpoint" };

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		uint64_t index = place_decision(&at, "s", "a");
		json_t *plain;
		struct secret key =
			fetch(at.keys, "SELECT wrapped FROM subject_key WHERE id = 's:s'");
		place_close(&at);
		pid_t child = fork();
		int status;
		if (child == 0) {
			struct audit_receipt receipt;
			place_open(&at);
			fatal_step = steps[i];
			at.env.steps = (struct steps){ die_at, NULL };
			_exit(audit_vault_erase(at.log_open, "s", 0, "ground", "actor", &receipt,
						NULL));
		}
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 99, "%s", steps[i]);
		place_open(&at);
		cr_expect_eq(audit_vault_read(at.log_open, index, &plain, NULL), ERR_NOTFOUND, "%s",
			     steps[i]);
		cr_expect_null(find_anywhere(&key), "%s: %s", steps[i], find_anywhere(&key));
		place_expect_clean(&at);
	}
}

/* ---- what crashes, refusals and readers leave ---- */

static void expect_no_key_without_rows(const char *when)
{
	cr_expect_eq(place_number(at.keys,
				  "SELECT count(*) FROM subject_key WHERE id NOT LIKE 'h:%'"),
		     place_number(at.store, "SELECT count(DISTINCT key_id) FROM vault"), "%s",
		     when);
}

static bool refusing;

static int refuse_all(void *ctx, struct store_tx *tx, uint64_t index, const json_t *entry,
		      struct err *e)
{
	(void)ctx, (void)tx, (void)index, (void)entry;
	return refusing ? err_set(e, ERR_CONFLICT, "refused") : 0;
}

Test(audit_vault, key_made_for_a_refused_record_goes_with_the_next_batch)
{
	struct audit_field field[PLACE_INCIDENT];
	struct audit_receipt receipt;
	struct err e = { 0 };
	json_t *text = json_integer(1);

	place_incident(field, text);
	place_close(&at);
	at.hook = (struct audit_hook){ .apply = refuse_all };
	place_open(&at);
	place_decision(&at, "someone", "kept");
	struct audit_record r = { .type = "incident",
				  .field = field,
				  .field_count = PLACE_INCIDENT,
				  .outcome = "completed" };
	refusing = true;
	for (int i = 0; i < 2; i++) {
		r.n = place_reserve(&at);
		r.subject = i ? "someone" : NULL;
		cr_assert_eq(audit_log_append(at.log_open, &r, &receipt, &e), ERR_CONFLICT);
	}
	refusing = false;
	uint64_t last = place_decision(&at, NULL, "kept too");
	expect_no_key_without_rows("after the next batch");
	place_close(&at);
	place_open(&at);
	expect_no_key_without_rows("after an opening");
	cr_expect_eq(place_number(at.keys, "SELECT count(*) FROM subject_key"), 2);
	json_decref(read_vault(last));
	refusing = true;
	r.n = place_reserve(&at);
	r.subject = "another";
	cr_assert_eq(audit_log_append(at.log_open, &r, &receipt, &e), ERR_CONFLICT);
	refusing = false;
	place_close(&at);
	place_open(&at);
	json_decref(text);
	expect_no_key_without_rows("after a refusal and an opening");
}

/* ---- keys that are made ahead ---- */

static atomic_int key_commits, commits;

static void count_steps(void *ctx, const char *step)
{
	(void)ctx;
	key_commits += strcmp(step, "audit.keys") == 0;
	commits += strcmp(step, "audit.committed") == 0;
}

static void *seal_many(void *arg)
{
	for (int i = 0; i < 40; i++)
		place_decision(&at, i % 20 == 19 ? "someone" : NULL, arg);
	return NULL;
}

static void seal_by_threads(void)
{
	pthread_t thread[12];

	for (size_t i = 0; i < 12; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, seal_many, "x"), 0);
	for (size_t i = 0; i < 12; i++)
		pthread_join(thread[i], NULL);
}

Test(audit_vault, keys_are_made_for_some_batches_at_once_and_those_not_used_go)
{
	at.env.steps = (struct steps){ count_steps, NULL };
	seal_by_threads();
	cr_expect_lt(key_commits * 3, commits * 2, "%d of %d", key_commits, commits);
	for (uint64_t i = 1; i < 1 + 12 * 40; i++)
		json_decref(read_vault(i));
	cr_expect_leq(place_number(at.keys, "SELECT count(*) FROM fresh_key"), 1024 + 12);
	place_expect_clean(&at);
	place_close(&at);
	place_open(&at);
	expect_no_key_without_rows("after an opening");
	for (uint64_t i = 1; i < 1 + 12 * 40; i++)
		json_decref(read_vault(i));
}

Test(audit_vault, key_that_was_made_ahead_and_given_to_a_refused_record_goes)
{
	place_close(&at);
	at.hook = (struct audit_hook){ .apply = refuse_all };
	place_open(&at);
	seal_by_threads();
	struct audit_field field[PLACE_INCIDENT];
	struct audit_receipt receipt;
	json_t *text = json_integer(1);
	place_incident(field, text);
	refusing = true;
	struct audit_record r = { .type = "incident",
				  .n = AUDIT_NEXT,
				  .field = field,
				  .field_count = PLACE_INCIDENT,
				  .outcome = "completed" };
	cr_assert_eq(audit_log_append(at.log_open, &r, &receipt, NULL), ERR_CONFLICT);
	refusing = false;
	place_decision(&at, "someone", "a transaction of keys.db");
	cr_expect_eq(place_number(at.keys, "SELECT count(*) FROM subject_key"),
		     place_number(at.store, "SELECT count(DISTINCT key_id) FROM vault") +
			     place_number(at.keys, "SELECT count(*) FROM fresh_key"));
	place_close(&at);
	place_open(&at);
	expect_no_key_without_rows("after an opening");
	json_decref(text);
}

Test(audit_vault, erasure_that_a_reader_held_up_is_completed_by_the_next_opening_without_one)
{
	struct audit_receipt receipt;
	struct store_tx *reader;
	struct err e = { 0 };

	for (int shared = 0; shared < 2; shared++) {
		uint64_t index = place_decision(&at, shared ? "s" : NULL, "a person's words");
		uint64_t other = place_decision(&at, "s", "other words");
		char sql[96];
		snprintf(sql, sizeof(sql), "SELECT cipher FROM vault WHERE idx = %llu",
			 (unsigned long long)index);
		struct secret row = fetch(at.store, sql);
		cr_assert_eq(store_read(at.store, &reader, &e), 0);
		store_wait_ms(at.store, 10);
		cr_expect_eq(audit_vault_erase(at.log_open, NULL, index, "ground", "actor",
					       &receipt, &e),
			     ERR_UNAVAILABLE);
		place_expect_clean(&at); /* it is in the log */
		cr_assert(find_anywhere(&row), "the reader does not hold what this test is about");
		store_end(reader);
		place_close(&at);
		place_open(&at);
		cr_expect_null(find_anywhere(&row), "%s", find_anywhere(&row));
		json_decref(read_vault(other));
		cr_expect_eq(place_number(at.keys, "SELECT count(*) FROM scrub"), 0);
		cr_expect_eq(place_number(at.store, "SELECT count(*) FROM vault_doomed"), 0);
	}
}

struct eraser {
	uint64_t index;
	int rc;
	struct err err;
};

static void *erase_one(void *arg)
{
	struct eraser *x = arg;
	struct audit_receipt receipt;
	x->rc = audit_vault_erase(at.log_open, NULL, x->index, "request", "actor", &receipt, &x->err);
	return NULL;
}

/* The reader leaves only after others have written: an erasure that let nobody write would give up. */
Test(audit_vault, an_erasure_that_waits_for_a_reader_keeps_nobody_from_writing)
{
	struct eraser x = { .index = place_decision(&at, NULL, "a person's words") };
	struct store_tx *reader;
	struct err e = { 0 };
	pthread_t thread;
	uint64_t size = audit_log_size(at.log_open);

	cr_assert_eq(store_read(at.store, &reader, &e), 0);
	cr_assert_eq(pthread_create(&thread, NULL, erase_one, &x), 0);
	while (audit_log_size(at.log_open) == size)
		usleep(1000); /* the erasure is logged, and waits */
	for (int i = 0; i < 20; i++)
		place_decision(&at, NULL, "other words");
	store_end(reader);
	pthread_join(thread, NULL);
	cr_assert_eq(x.rc, 0, "%s", x.err.text);
	cr_expect_eq(place_number(at.keys, "SELECT count(*) FROM scrub"), 0);
	place_expect_clean(&at);
}

Test(audit_vault, opening_does_not_wait_for_a_reader_when_an_erasure_is_to_be_completed)
{
	struct store_tx *reader;
	struct store *other;
	struct err e = { 0 };
	char path[128];

	place_decision(&at, "s", "words");
	snprintf(path, sizeof(path), "%s/state.db", at.home);
	cr_assert_eq(store_open(&other, path, &e), 0);
	cr_assert_eq(store_read(other, &reader, &e), 0);
	place_decision(&at, "s", "more words"); /* a page that the reader does not see */
	place_sql(at.keys, "INSERT INTO scrub(pending) VALUES(1)");
	place_close(&at);
	time_t begin = time(NULL);
	place_open(&at);
	cr_expect_lt(time(NULL) - begin, STORE_WAIT_MS / 1000 - 1);
	cr_expect_eq(place_number(at.keys, "SELECT count(*) FROM scrub"), 1);
	place_close(&at);
	store_end(reader);
	store_close(other);
	place_open(&at);
	cr_expect_eq(place_number(at.keys, "SELECT count(*) FROM scrub"), 0);
}

/* ---- what verifying says of it ---- */

static void expect_problem(const char *change, const char *says)
{
	place_sql(at.store, change);
	struct audit_verdict *v = place_verify(&at, true);
	cr_expect_eq(v->problems, 1, "%s: %zu problems", change, v->problems);
	cr_expect_str_eq(v->problem[0].kind, "vault");
	cr_expect(strstr(v->problem[0].text, says), "%s: %s", change, v->problem[0].text);
}

Test(audit_vault, verifying_tells_erased_damaged_and_missing_apart)
{
	struct audit_receipt receipt;
	uint64_t note = place_note(&at, "in clear");

	for (int i = 0; i < 5; i++)
		place_decision(&at, NULL, "x");
	place_sql(at.store, "CREATE TABLE kept AS SELECT * FROM vault");
	cr_assert_eq(audit_vault_erase(at.log_open, NULL, note + 1, "mistake", "dpo", &receipt,
				       NULL),
		     0);
	struct audit_verdict *v = place_verify(&at, true);
	cr_expect(v->ok && v->erased == 1 && v->gones == 1, "%s", v->problem[0].text);
	cr_expect(v->gone[0].first == note + 1 && v->gone[0].by == receipt.index &&
		  !v->gone[0].lost);
	v = place_verify(&at, false);
	cr_expect(v->ok && v->erased == 1, "the log says so by itself");
	char missing[80], damaged[80], back[80], clear[80];
	snprintf(missing, sizeof missing, "entry %d: what it sealed is missing", (int)note + 2);
	snprintf(damaged, sizeof damaged, "entry %d: what the vault holds", (int)note + 3);
	snprintf(back, sizeof back, "entry %d was erased by entry %d, and", (int)note + 1,
		 (int)receipt.index);
	snprintf(clear, sizeof clear, "entry %d seals nothing", (int)note);
	expect_problem("DELETE FROM vault WHERE idx = 3", missing);
	place_sql(at.store, "INSERT INTO vault SELECT * FROM kept WHERE idx = 3");
	expect_problem("UPDATE vault SET cipher = zeroblob(80) WHERE idx = 4", damaged);
	place_sql(at.store, "DELETE FROM vault WHERE idx = 4");
	expect_problem("INSERT INTO vault SELECT * FROM kept WHERE idx IN (2, 4)", back);
	place_sql(at.store, "DELETE FROM vault WHERE idx = 2");
	expect_problem("INSERT INTO vault SELECT 1, 'r:0', zeroblob(9)", clear);
	place_sql(at.store, "DELETE FROM vault");
	v = place_verify(&at, true);
	cr_expect_eq(v->problems, 5, "an emptied vault: %zu", v->problems); /* the operator's too */
	cr_expect_eq(v->erased, 1);
}

Test(audit_vault, scattered_records_of_a_subject_are_named_by_several_erasures)
{
	struct audit_receipt receipt;
	struct err e = { 0 };
	uint64_t size, last = 0;

	for (int i = 0; i < 1003; i++) {
		place_decision(&at, "s", "x");
		last = place_decision(&at, NULL, "y");
	}
	size = audit_log_size(at.log_open);
	cr_assert_eq(audit_vault_erase(at.log_open, "s", 0, "court", "dpo", &receipt, &e), 0, "%s",
		     e.text);
	cr_expect_eq(receipt.index, size + 2);
	expect_erasure(size, 1000, 1000, "court");
	expect_erasure(size + 2, 3, 3, "court");
	cr_expect_eq(place_number(at.store, "SELECT count(*) FROM vault WHERE key_id = 's:s'"), 0);
	expect_no_key_without_rows("after both");
	json_decref(read_vault(last));
	cr_expect_eq(place_verify(&at, true)->erased, 1003);
	place_expect_clean(&at);
}

Test(audit_vault, a_handle_is_the_same_for_a_name_until_its_key_is_destroyed)
{
	struct audit_receipt receipt;
	char text[4][512];

	for (int i = 0; i < 4; i++) {
		struct buf entry = { 0 };
		uint64_t index = place_decision(&at, NULL, "x");
		if (i == 3)
			place_sql(at.keys, "DELETE FROM subject_key WHERE id LIKE 'h:%'");
		cr_assert_eq(audit_vault_erase(at.log_open, NULL, index, "request",
					       i == 2 ? "clerk" : "dpo", &receipt, NULL),
			     0);
		cr_assert_eq(audit_log_entry(at.log_open, receipt.index, &entry, NULL), 0);
		snprintf(text[i], sizeof text[i], "%.47s", strstr(entry.bytes, "handle:"));
		text[i][39] = 0;
		buf_free(&entry);
	}
	cr_expect_str_eq(text[0], text[1]);
	cr_expect_str_neq(text[0], text[2]);
	cr_expect_str_neq(text[0], text[3]);
}

/* ---- what wraps the keys ---- */

static struct signing_identity *new_identity(const char *name)
{
	struct signing_identity *id;
	struct err e = { 0 };
	cr_assert_eq(signing_identity_create(at.home, name, NULL, &at.env, &e), 0, "%s", e.text);
	cr_assert_eq(signing_identity_open(&id, at.home, name, NULL, &e), 0, "%s", e.text);
	return id;
}

static void expect_wrapped_by(const struct signing_identity *id)
{
	char sql[120], found[VAULT_KEK_ROOM];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM subject_key WHERE kek <> '%.16s'",
		 signing_identity_public(id)->ed25519_keyid);
	cr_expect_eq(place_number(at.keys, sql), 0);
	cr_assert_eq(audit_vault_kek(at.keys, found, NULL), 0);
	cr_expect(strncmp(found, signing_identity_public(id)->ed25519_keyid, 16) == 0, "%s", found);
}

Test(audit_vault, keys_are_wrapped_again_when_the_vault_has_another_key)
{
	json_t *plain;
	struct err e = { 0 };
	uint64_t index[2] = { place_decision(&at, "s", "x"), place_decision(&at, NULL, "y") };

	for (int round = 0; round < 2; round++) { /* from the log's key; from one of its own */
		struct secret old = fetch(at.keys, "SELECT wrapped FROM subject_key LIMIT 1");
		cr_assert(find_anywhere(&old));
		place_close(&at);
		at.vault_before = at.vault;
		at.vault = new_identity(round ? "v1" : "v0");
		place_open(&at);
		expect_wrapped_by(at.vault);
		cr_expect_null(find_anywhere(&old), "%s", find_anywhere(&old));
		for (int i = 0; i < 2; i++)
			json_decref(read_vault(index[i]));
		json_decref(read_vault(place_decision(&at, "s", "new")));
		place_expect_clean(&at);
	}
	signing_identity_close(at.vault);
	at.vault = at.vault_before;
	at.vault_before = NULL;
	place_close(&at);
	cr_expect_eq(place_try_open(&at, &e), ERR_INPUT, "only the key before is there");
	cr_expect(strstr(e.text, "put keys/vault.key"), "%s", e.text);
	place_stores(&at);
	struct audit_options o = place_options(&at);
	o.read_only = true;
	cr_assert_eq(audit_log_open(&at.log_open, &o, &e), 0, "%s", e.text);
	cr_expect_eq(audit_vault_read(at.log_open, index[0], &plain, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "put keys/vault.key"), "%s", e.text);
}

Test(audit_vault, a_key_that_does_not_unwrap_stands_in_the_way_of_no_other)
{
	json_t *plain;
	struct err e = { 0 };
	uint64_t a = place_decision(&at, "a", "x"), b = place_decision(&at, "b", "y");

	place_sql(at.keys, "UPDATE subject_key SET wrapped = zeroblob(72) WHERE id = 's:a'");
	place_close(&at);
	at.vault = new_identity("v0");
	place_open(&at);
	expect_wrapped_by(at.vault);
	cr_expect_eq(audit_vault_read(at.log_open, a, &plain, &e), ERR_VERIFY, "%s", e.text);
	json_decref(read_vault(b));
}

Test(audit_vault, many_keys_are_wrapped_again)
{
	place_sql(at.keys,
		  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
		  " INSERT INTO subject_key(id, wrapped) SELECT 's:' || i, zeroblob(72) FROM n");
	uint64_t index = place_decision(&at, "s", "x");
	place_close(&at);
	at.vault = new_identity("v0");
	place_open(&at);
	expect_wrapped_by(at.vault);
	json_decref(read_vault(index));
}
