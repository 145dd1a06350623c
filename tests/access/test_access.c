#include "tests/access/support.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

Test(access, a_token_made_or_revoked_elsewhere_counts_from_the_next_question)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM], other[ACCESS_SECRET_ROOM];
	struct access_grant g = { .roles = "user,auditor", .scopes = "chat" }, h = { 0 };
	struct err e = { 0 };
	place_open(&p);
	cr_expect_null(who(&p, "hm_nobody").token);
	cr_expect_eq(access_count(p.a, true), 0);
	make_token(&p, &g, secret);
	struct access_caller c = who(&p, secret);
	cr_assert_not_null(c.token);
	cr_expect_str_eq(c.id, g.id);
	cr_expect_str_eq(c.handle, g.id);
	cr_expect_eq(c.permissions, ACCESS_INFER | ACCESS_RECEIPTS_ALL);
	cr_expect_eq(c.scopes, ACCESS_CHAT);
	make_token(&p, &h, other);
	cr_expect_eq(who(&p, other).scopes, ACCESS_SCOPES_ALL);
	cr_expect_eq(who(&p, secret).token, c.token, "one token, one set of counts");
	cr_assert_eq(access_token_revoke(p.store, g.id, p.now_us, false, &e), 0, "%s", e.text);
	atomic_fetch_add(&p.changes, 1);
	cr_expect_null(who(&p, secret).token);
	cr_expect_not_null(who(&p, other).token);
	cr_expect_eq(access_count(p.a, true), 1);
	cr_expect_eq(access_count(p.a, false), 2, "also those that were revoked");
	place_again(&p);
	cr_expect_null(who(&p, secret).token);
	cr_expect_not_null(who(&p, other).token);
	place_close(&p);
}

Test(access, only_the_whole_secret_is_taken_and_the_table_has_its_digest_alone)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM], path[80];
	struct access_grant g = { 0 };
	struct access_caller c;
	place_open(&p);
	make_token(&p, &g, secret);
	cr_expect_eq(strlen(secret), 46);
	cr_expect_eq(strncmp(secret, "hm_", 3), 0);
	for (size_t len = 0; len < strlen(secret); len++)
		cr_expect_eq(access_find(p.a, secret, len, &c, NULL), 0, "%zu", len);
	for (size_t i = 0; i < strlen(secret); i++) {
		secret[i] ^= 1;
		cr_expect_null(who(&p, secret).token, "%zu", i);
		secret[i] ^= 1;
	}
	cr_expect_not_null(who(&p, secret).token);
	place_again(&p); /* what is in the write-ahead log too */
	static const char *const files[] = { "state.db", "state.db-wal" };
	for (size_t i = 0; i < 2; i++) {
		struct buf b = { 0 };
		snprintf(path, sizeof path, "%s/%s", p.dir, files[i]);
		if (file_read(path, 1 << 24, &b, NULL) == 0)
			cr_expect(!memmem(b.bytes, b.len, secret + 3, 20), "%s", files[i]);
		buf_free(&b);
	}
	place_close(&p);
}

Test(access, whose_a_token_is_and_whether_it_names_others_comes_back_as_it_was_made)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM], other[ACCESS_SECRET_ROOM];
	struct access_grant g = { .subject = "handle:00112233445566778899aabbccddeeff", .names_subjects = true };
	struct access_grant h = { 0 };
	place_open(&p);
	make_token(&p, &g, secret);
	make_token(&p, &h, other);
	cr_expect_str_eq(who(&p, secret).subject, g.subject);
	cr_expect(who(&p, secret).names_subjects);
	cr_expect_str_eq(who(&p, other).subject, "");
	cr_expect(!who(&p, other).names_subjects);
	place_close(&p);
}

Test(access, the_token_after_one_that_was_taken_back_is_seen)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM], other[ACCESS_SECRET_ROOM];
	struct access_grant g = { .name = "ci" }, h = { .name = "ci" };
	place_open(&p);
	g.made_us = h.made_us = p.now_us;
	make_token(&p, &g, secret);
	cr_expect_not_null(who(&p, secret).token);
	access_token_remove(p.store, g.id);
	make_token(&p, &h, other);
	cr_expect_not_null(who(&p, other).token);
	cr_expect_null(who(&p, secret).token);
	place_close(&p);
}

Test(access, expired_is_as_unknown)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM];
	place_open(&p);
	struct access_grant g = { .expires_us = p.now_us / 1000000 * 1000000 + 5000000 };
	make_token(&p, &g, secret);
	cr_expect_not_null(who(&p, secret).token);
	p.now_us = g.expires_us - 1;
	cr_expect_not_null(who(&p, secret).token);
	p.now_us = g.expires_us;
	cr_expect_null(who(&p, secret).token);
	cr_expect_eq(access_count(p.a, true), 0);
	place_close(&p);
}

Test(access, names_are_of_one_token_in_use_and_revoked_ones_are_found_last)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM];
	struct access_grant g = { .name = "ci" }, h = { .name = "ci", .roles = "user" }, found;
	struct err e = { 0 };
	bool told;
	place_open(&p);
	make_token(&p, &g, secret);
	access_secret_draw(&p.env, &h, secret);
	struct digest d = digest_of(secret, strlen(secret));
	cr_expect_eq(access_token_add(p.store, &h, &d, &e), ERR_CONFLICT);
	cr_assert_eq(access_token_revoke(p.store, g.id, 5, false, NULL), 0);
	cr_assert_eq(access_token_add(p.store, &h, &d, &e), 0, "%s", e.text);
	cr_assert_eq(access_token_find(p.store, "ci", &found, &told, &e), 0, "%s", e.text);
	cr_expect_str_eq(found.id, h.id);
	cr_assert_eq(access_token_find(p.store, g.id, &found, &told, &e), 0);
	cr_expect_eq(found.revoked_us, 5);
	cr_expect(!told);
	cr_assert_eq(access_token_revoke(p.store, g.id, 9, true, NULL), 0);
	cr_assert_eq(access_token_find(p.store, g.id, &found, &told, &e), 0);
	cr_expect(told);
	cr_expect_eq(found.revoked_us, 5, "the first time counts");
	cr_expect_eq(access_token_find(p.store, "nobody", &found, &told, &e), ERR_NOTFOUND);
	place_close(&p);
}

Test(access, grants_that_say_nonsense_are_refused)
{
	static const struct access_grant bad[] = {
		{ .name = "", .roles = "user" },
		{ .name = "a b", .roles = "user" },
		{ .name = "tok_1", .roles = "user" },
		{ .name = "a", .roles = "" },
		{ .name = "a", .roles = "root" },
		{ .name = "a", .roles = "user", .scopes = "chat," },
		{ .name = "a", .roles = "user", .models = "m,,n" },
		{ .name = "a", .roles = "user", .models = "m, n" },
		{ .name = "a", .roles = "user", .limits.requests_per_minute = 1000000001 },
		{ .name = "a", .roles = "user", .limits.budget = ACCESS_LIMIT_MAX + 1 },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(access_grant_check(&bad[i], NULL), ERR_INPUT, "%zu", i);
}

Test(access, models_and_policies_bind)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM];
	struct access_grant g = { .models = "acme/a,b", .policy = "bank" };
	place_open(&p);
	make_token(&p, &g, secret);
	struct access_caller c = who(&p, secret), nobody = access_nobody(p.a);
	cr_expect(access_allows(&c, "acme/a", "bank", NULL));
	cr_expect(access_allows(&c, "b", "x", "bank"));
	cr_expect(!access_allows(&c, "acme", "bank", NULL));
	cr_expect(!access_allows(&c, "acme/a,b", "bank", NULL));
	cr_expect(!access_allows(&c, "", "bank", NULL));
	cr_expect(!access_allows(&c, "b", "other", "sha256:00"));
	cr_expect(!access_allows(&c, "b", NULL, NULL), "without a policy it may not ask");
	cr_expect(access_allows(&nobody, "b", NULL, NULL));
	place_close(&p);
}

Test(access, a_minute_has_so_many_requests_and_tokens)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM];
	struct access_grant g = { .limits = { .requests_per_minute = 3, .tokens_per_minute = 100 } };
	struct access_state s;
	place_open(&p);
	make_token(&p, &g, secret);
	struct access_token *t = who(&p, secret).token;
	for (int i = 0; i < 3; i++) {
		access_request_take(t, true, &s);
		cr_expect_null(s.wait.limit);
		cr_expect_eq(s.requests.left, 2 - i);
	}
	access_request_take(t, true, &s);
	cr_assert_not_null(s.wait.limit);
	cr_expect_str_eq(s.wait.limit, "requests per minute");
	cr_expect_eq(s.wait.after_ms, 20000);
	p.now_us += 20000000;
	access_count_usage(t, "m", &(struct access_usage){ .prompt = 90, .completion = 60 });
	access_request_take(t, true, &s);
	cr_assert_not_null(s.wait.limit);
	cr_expect_str_eq(s.wait.limit, "tokens per minute");
	access_request_take(t, false, &s);
	cr_expect_null(s.wait.limit, "what draws nothing needs none");
	p.now_us += (int64_t)60000000 * 51 / 100;
	access_request_take(t, true, &s);
	cr_expect_null(s.wait.limit, "%s", s.wait.limit);
	place_close(&p);
}

Test(access, days_and_budgets_outlive_the_process)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM];
	struct access_grant g = { .limits = { .tokens_per_day = 100, .budget = 250 } };
	struct access_wait w;
	place_open(&p);
	make_token(&p, &g, secret);
	for (int day = 0; day < 3; day++) {
		struct access_token *t = who(&p, secret).token;
		access_answer_begin(t, &w);
		cr_expect_null(w.limit, "day %d: %s", day, w.limit);
		access_answer_end(t);
		access_count_usage(t, "m", &(struct access_usage){ .requests = 1, .completion = 100 });
		access_answer_begin(t, &w);
		cr_assert_not_null(w.limit);
		cr_expect_str_eq(w.limit, day < 2 ? "tokens per day" : "token budget");
		cr_expect(w.hopeless);
		place_again(&p);
		access_answer_begin(who(&p, secret).token, &w);
		cr_assert_not_null(w.limit, "the next process knows");
		p.now_us += 86400000000;
	}
	access_answer_begin(who(&p, secret).token, &w);
	cr_assert_not_null(w.limit);
	cr_expect_str_eq(w.limit, "token budget");
	place_close(&p);
}

Test(access, answers_at_once_are_bounded)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM];
	struct access_grant g = { .limits.streams = 2 };
	struct access_wait w;
	place_open(&p);
	make_token(&p, &g, secret);
	struct access_token *t = who(&p, secret).token;
	for (int i = 0; i < 3; i++) {
		access_answer_begin(t, &w);
		cr_expect_eq(w.limit != NULL, i == 2);
	}
	access_answer_end(t);
	access_answer_begin(t, &w);
	cr_expect_null(w.limit);
	place_close(&p);
}

static json_t *usage(struct place *p, int64_t from, int64_t to)
{
	struct err e = { 0 };
	json_t *report = NULL;
	cr_assert_eq(access_usage_list(p->store, from, to, &report, &e), 0, "%s", e.text);
	return report;
}

struct counting {
	struct place *p;
	struct access_token *t;
};

static void *count_many(void *arg)
{
	struct counting *c = arg;
	struct access_state s;
	struct access_wait w;
	for (int i = 0; i < 2000; i++) {
		access_request_take(c->t, true, &s);
		access_answer_begin(c->t, &w);
		access_count_usage(c->t, i % 2 ? "m" : "n",
				   &(struct access_usage){ .requests = 1, .prompt = 3, .cached = 2, .completion = 1 });
		access_answer_end(c->t);
		struct access_wait address;
		access_address_take(c->p->a, (uint8_t[16]){ [15] = (uint8_t)i }, &address);
	}
	return NULL;
}

Test(access, what_many_threads_count_is_durable_and_nothing_is_lost)
{
	enum { THREADS = 4 };
	struct place p;
	char secret[ACCESS_SECRET_ROOM];
	struct access_grant g = { .limits.streams = 100 };
	pthread_t thread[THREADS];
	place_open(&p);
	make_token(&p, &g, secret);
	struct counting c = { &p, who(&p, secret).token };
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, count_many, &c), 0);
	for (int i = 0; i < THREADS; i++) {
		atomic_fetch_add(&p.changes, 1);
		who(&p, secret);
		pthread_join(thread[i], NULL);
	}
	place_again(&p);
	json_t *report = usage(&p, 0, INT64_MAX / 2), *row;
	size_t i;
	json_int_t requests = 0, prompt = 0;
	json_array_foreach(json_object_get(report, "usage"), i, row) {
		requests += json_integer_value(json_object_get(row, "requests"));
		prompt += json_integer_value(json_object_get(row, "prompt_tokens"));
		cr_expect_str_eq(json_string_value(json_object_get(row, "token")), g.id);
		cr_expect_str_eq(json_string_value(json_object_get(row, "name")), g.name);
	}
	cr_expect_eq(i, 2, "one row a model");
	cr_expect_eq(requests, THREADS * 2000);
	cr_expect_eq(prompt, 3 * THREADS * 2000);
	json_decref(report);
	place_close(&p);
}

Test(access, usage_is_listed_by_hours_that_begin_in_the_range)
{
	struct place p;
	char secret[ACCESS_SECRET_ROOM];
	struct access_grant g = { 0 };
	int64_t hour = 3600000000;
	place_open(&p);
	make_token(&p, &g, secret);
	struct access_token *t = who(&p, secret).token;
	int64_t begin = p.now_us / hour * hour;
	for (int i = 0; i < 4; i++) {
		access_count_usage(t, "m", &(struct access_usage){ .refused = 1 });
		p.now_us += hour;
	}
	access_count_usage(access_nobody(p.a).token, "m", &(struct access_usage){ .requests = 1 });
	place_again(&p);
	json_t *report = usage(&p, begin + 1, begin + 3 * hour);
	cr_expect_eq(json_array_size(json_object_get(report, "usage")), 2);
	json_decref(report);
	report = usage(&p, begin + 4 * hour, begin + 5 * hour);
	json_t *row = json_array_get(json_object_get(report, "usage"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(row, "token")), "");
	json_decref(report);
	place_close(&p);
}

Test(access, addresses_are_bounded_and_one_is_limited_by_itself)
{
	struct place p;
	struct access *a;
	struct err e = { 0 };
	struct access_wait w;
	uint8_t one[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 }, six[16] = { 0x20, 1 };
	place_open(&p);
	struct access_options o = { .store = p.store, .env = &p.env, .address_requests_per_minute = 5 };
	cr_assert_eq(access_open(&a, &o, &e), 0, "%s", e.text);
	for (int i = 0; i < 6; i++) {
		access_address_take(a, one, &w);
		cr_expect_eq(w.limit != NULL, i == 5);
		six[15] = (uint8_t)i; /* all of one /64 */
		access_address_take(a, six, &w);
		cr_expect_eq(w.limit != NULL, i == 5);
	}
	for (uint32_t i = 0; i < 1000000; i++) { /* in the same memory */
		uint8_t many[16] = { [10] = 0xff, [11] = 0xff };
		memcpy(many + 12, &i, 4);
		access_address_take(a, many, &w);
	}
	access_close(a);
	place_close(&p);
}

Test(access, a_person_is_limited_by_themselves_whoever_asks_for_them)
{
	struct place p;
	struct access *a;
	struct err e = { 0 };
	struct access_wait w;
	place_open(&p);
	struct access_options o = { .store = p.store, .env = &p.env, .person_requests_per_minute = 3 };
	cr_assert_eq(access_open(&a, &o, &e), 0, "%s", e.text);
	for (int i = 0; i < 4; i++) {
		access_person_take(a, "handle:00112233445566778899aabbccddeeff", &w);
		cr_expect_eq(w.limit != NULL, i == 3);
		cr_expect_eq(w.after_ms > 0, i == 3);
		access_person_take(a, "handle:00112233445566778899aabbccddeefe", &w);
		cr_expect_eq(w.limit != NULL, i == 3, "another person, of nearly the same handle");
	}
	access_close(a);
	o.person_requests_per_minute = 0;
	cr_assert_eq(access_open(&a, &o, &e), 0, "%s", e.text);
	for (int i = 0; i < 100; i++) {
		access_person_take(a, "handle:00112233445566778899aabbccddeeff", &w);
		cr_assert_null(w.limit);
	}
	access_close(a);
	place_close(&p);
}

static int open_file(struct place *p, const char *text, mode_t mode, struct access **a, struct err *e)
{
	char path[80];
	snprintf(path, sizeof path, "%s/tokens", p->dir);
	cr_assert_eq(file_write_durable(path, text, strlen(text), 0600, e), 0);
	cr_assert_eq(chmod(path, mode), 0);
	struct access_options o = { .store = p->store, .env = &p->env, .token_file = path };
	return access_open(a, &o, e);
}

Test(access, a_file_of_tokens_is_read_whole_or_refused_with_its_line)
{
	static const char secret[] = "a-secret-of-more-than-thirty-two-bytes";
	struct place p;
	struct access *a;
	struct err e = { 0 };
	char text[400];
	place_open(&p);
	snprintf(text, sizeof text,
		 "# who\n\nci  user,auditor\t%s # note\r\n"
		 "ops operator sha256:%064d\n", secret, 7);
	cr_assert_eq(open_file(&p, text, 0600, &a, &e), 0, "%s", e.text);
	struct access_caller c = { 0 };
	cr_expect_eq(access_find(a, secret, strlen(secret), &c, &e), 1);
	cr_expect_eq(c.permissions, ACCESS_INFER | ACCESS_RECEIPTS_ALL);
	cr_expect_eq(strncmp(c.id, "tok_", 4), 0);
	cr_expect_eq(access_count(a, true), 2);
	access_close(a);
	static const char *const bad[] = {
		"ci user\n", "ci user short\n", "ci root 0123456789012345678901234567890123456789\n",
		"ci user sha256:12\n", "ci user 01234567890123456789012345678901 more\n",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_expect_eq(open_file(&p, bad[i], 0600, &a, &e), ERR_INPUT, "%s", bad[i]);
		cr_expect(strstr(e.text, "line 1"), "%s", e.text);
	}
	char path[80];
	snprintf(path, sizeof path, "%s/tokens", p.dir);
	cr_assert_eq(file_write_durable(path, "# a NUL\0\nci user x", 20, 0600, &e), 0);
	struct access_options nul = { .store = p.store, .env = &p.env, .token_file = path };
	cr_expect_eq(access_open(&a, &nul, &e), ERR_INPUT, "what comes after it is not dropped");
	static const mode_t modes[] = { 0644, 0640, 0604, 0660 };
	for (size_t i = 0; i < 4; i++) {
		cr_expect_eq(open_file(&p, text, modes[i], &a, &e), ERR_INPUT, "%o", modes[i]);
		cr_expect(strstr(e.text, "chmod 600"), "%s", e.text);
		cr_expect(!strstr(e.text, secret));
	}
	place_close(&p);
}
