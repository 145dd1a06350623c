/* Writing through another process's door: the same results as writing oneself, a worker of one's own,
 * and a log that stays whole whatever a guest does. */
#include "support.h"

#include "audit/door.h"
#include "audit/log_in.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/net.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct place p;
static struct audit_door *door;

/* Another process, as far as the log can tell. */
struct visitor {
	struct place at; /* home and key are p's */
	struct audit_claim *claim;
};

static void set_up(void)
{
	struct err e = { 0 };
	place_make(&p);
	p.env.clock = env_system().clock;
	place_open(&p);
	cr_assert_eq(audit_door_open(&door, p.log_open, &e), 0, "%s", e.text);
}

static void tear_down(void)
{
	audit_door_close(door);
	place_remove(&p);
}

TestSuite(audit_door, .init = set_up, .fini = tear_down);

static int claim(struct audit_claim **out, bool alone, struct err *e)
{
	return audit_claim_take(out,
				&(struct audit_claiming){ .home = p.home,
							  .command = "key new",
							  .env = &p.env,
							  .alone = alone },
				e);
}

static int try_visit(struct visitor *v, struct err *e)
{
	*v = (struct visitor){ .at = p };
	v->at.log_open = NULL;
	v->at.vkey = (struct buf){ 0 };
	TRY(claim(&v->claim, false, e));
	place_stores(&v->at);
	struct audit_options o = place_options(&v->at);
	o.claim = v->claim;
	return audit_log_open(&v->at.log_open, &o, e);
}

static void visit(struct visitor *v)
{
	struct err e = { 0 };
	cr_assert_eq(try_visit(v, &e), 0, "%s", e.text);
	cr_assert(v->at.log_open);
}

static void leave(struct visitor *v)
{
	place_close(&v->at);
	audit_claim_drop(v->claim);
}

static int append(struct audit_log *log, const char *type, json_t *body, struct audit_receipt *out,
		  struct err *e)
{
	struct audit_record r = { .type = type, .n = AUDIT_NEXT, .body = body };
	int rc = audit_log_append(log, &r, out, e);
	json_decref(body);
	return rc;
}

static void start(struct audit_log *log)
{
	struct audit_receipt receipt;
	struct err e = { 0 };
	json_t *body = json_pack("{s:s,s:s,s:s*}", "build", "test", "worker", audit_log_worker(log),
				 "host", audit_log_host(log));
	cr_assert_eq(append(log, "start", body, &receipt, &e), 0, "%s", e.text);
	cr_assert_eq(receipt.n, 0);
}

static void stop(struct audit_log *log)
{
	struct audit_receipt receipt;
	struct err e = { 0 };
	cr_assert_eq(audit_log_stop(log, &receipt, &e), 0, "%s", e.text);
}

/* Entries of a type, as the verified folder and the database have them. */
static int64_t count_of(const char *type)
{
	char sql[120];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM log_entry WHERE type = '%s'", type);
	return place_number(p.store, sql);
}

static void wait_for(const char *type, int64_t count)
{
	for (int i = 0; i < 2000 && count_of(type) < count; i++)
		usleep(5000);
	cr_assert_eq(count_of(type), count, "%s", type);
}

Test(audit_door, a_guest_appends_reads_and_proves_like_the_writer)
{
	struct visitor v;
	struct audit_receipt receipt;
	struct buf entry = { 0 }, proof = { 0 };
	struct err e = { 0 };
	json_t *plain;
	start(p.log_open);
	visit(&v);
	cr_assert_str_eq(audit_log_host(v.at.log_open), audit_log_worker(p.log_open));
	cr_assert_null(audit_log_host(p.log_open));
	start(v.at.log_open);
	place_note(&p, "the host goes on");
	uint64_t sealed = place_decision(&v.at, "subject", "of a guest");
	cr_assert_eq(audit_log_size(v.at.log_open), sealed + 1);
	cr_assert_eq(audit_log_entry(v.at.log_open, sealed, &entry, &e), 0, "%s", e.text);
	cr_assert_eq(audit_log_proof(v.at.log_open, sealed, NULL, 0, &proof, &e), 0, "%s", e.text);
	cr_assert_eq(audit_proof_check(proof.bytes, proof.len, entry.bytes, entry.len, p.vkey.bytes, NULL, &e),
		     0);
	cr_assert_eq(audit_vault_read(v.at.log_open, sealed, &plain, &e), 0, "%s", e.text);
	json_decref(plain);
	cr_assert_eq(audit_log_find(p.log_open, audit_log_worker(v.at.log_open), 1, &receipt.index, &e), 0);
	cr_assert_eq(receipt.index, sealed);

	cr_assert_eq(audit_vault_erase(v.at.log_open, NULL, sealed, "request", "dpo", &receipt, &e), 0, "%s",
		     e.text);
	cr_assert_eq(audit_vault_read(p.log_open, sealed, &plain, &e), ERR_NOTFOUND);
	cr_assert_eq(audit_vault_erase(v.at.log_open, NULL, sealed, "request", "dpo", &receipt, &e), ERR_NOTFOUND);
	stop(v.at.log_open);
	leave(&v);
	stop(p.log_open);
	place_expect_clean(&p);
	buf_free(&entry);
	buf_free(&proof);
}

/* A value that is text already goes as what it says. */
Test(audit_door, values_in_canonical_text_are_the_same_as_values)
{
	static const char *const text[PLACE_INCIDENT] = { [0] = "\"a\\u0000b\"", [6] = "{\"k\":[1,2.5]}" };
	struct audit_field field[PLACE_INCIDENT];
	struct audit_record r = { .type = "incident", .n = AUDIT_NEXT, .field = field,
				  .field_count = PLACE_INCIDENT, .text = text, .outcome = "o",
				  .retained_text = "[7]" };
	struct visitor v;
	place_incident(field, NULL);
	start(p.log_open);
	visit(&v);
	start(v.at.log_open);
	struct audit_log *log[] = { p.log_open, v.at.log_open };
	for (size_t i = 0; i < 2; i++) {
		struct audit_receipt receipt;
		struct err e = { 0 };
		json_t *plain;
		cr_assert_eq(audit_log_append(log[i], &r, &receipt, &e), 0, "%s", e.text);
		cr_assert_eq(audit_vault_read(p.log_open, receipt.index, &plain, &e), 0, "%s", e.text);
		const json_t *list = json_object_get(plain, "fields");
		cr_expect_eq(json_string_length(json_object_get(json_array_get(list, 0), "value")), 3);
		cr_expect(json_is_null(json_object_get(json_array_get(list, 1), "value")));
		cr_expect_eq(json_object_size(json_object_get(json_array_get(list, 6), "value")), 1);
		cr_expect_eq(json_integer_value(json_array_get(json_object_get(plain, "retained"), 0)), 7);
		json_decref(plain);
	}
	stop(v.at.log_open);
	leave(&v);
	stop(p.log_open);
	place_expect_clean(&p);
}

/* The view is taken again at the next read; until then it is the older one. */
Test(audit_door, what_is_recorded_is_no_error_where_the_new_checkpoint_cannot_be_read)
{
	struct visitor v;
	struct audit_receipt receipt;
	struct buf out = { 0 };
	struct err e = { 0 };
	char dir[LIMIT_PATH_BYTES];
	visit(&v);
	struct audit_log *log = v.at.log_open;
	start(log);
	uint64_t size = audit_log_size(log), sealed = size;
	strcpy(dir, log->dir);
	strcat(log->dir, ".away");
	cr_assert_eq(place_decision(&v.at, "subject", "recorded"), sealed);
	cr_expect_eq(audit_vault_erase(log, NULL, sealed, "request", "dpo", &receipt, &e), 0, "%s", e.text);
	cr_expect_eq(audit_log_size(log), size);
	cr_expect_eq(audit_log_proof(log, sealed, NULL, 0, &out, &e), ERR_NOTFOUND);
	cr_expect(strstr(e.text, "checkpoint"), "%s", e.text);
	cr_expect_eq(audit_log_entry(log, sealed, &out, &e), ERR_NOTFOUND);
	cr_expect(strstr(e.text, "checkpoint"), "%s", e.text);
	strcpy(log->dir, dir);
	cr_expect_eq(audit_log_proof(log, receipt.index, NULL, 0, &out, &e), 0, "%s", e.text);
	buf_clear(&out);
	cr_expect_eq(audit_log_entry(log, sealed, &out, &e), 0, "%s", e.text);
	cr_expect_gt(audit_log_size(log), receipt.index);
	strcat(log->dir, ".away");
	cr_expect_eq(audit_log_stop(log, &receipt, &e), 0, "%s", e.text);
	strcpy(log->dir, dir);
	leave(&v);
	place_expect_clean(&p);
	buf_free(&out);
}

Test(audit_door, errors_come_back_with_code_and_sentence)
{
	struct visitor v;
	struct audit_receipt receipt;
	struct err e = { 0 };
	visit(&v);
	start(v.at.log_open);
	cr_expect_eq(append(v.at.log_open, "nonsense", json_object(), &receipt, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "nonsense"), "%s", e.text);
	cr_expect_eq(append(v.at.log_open, "genesis", json_object(), &receipt, &e), ERR_INPUT);
	cr_expect_eq(append(v.at.log_open, "lost", json_object(), &receipt, &e), ERR_INPUT);
	json_t *big = json_pack("{s:I}", "beyond", (json_int_t)1 << 60);
	cr_expect_eq(append(v.at.log_open, "registry", big, &receipt, &e), ERR_INPUT);
	struct audit_record far = { .type = "registry", .n = 1000000, .body = json_object() };
	cr_expect_eq(audit_log_append(v.at.log_open, &far, &receipt, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "was not reserved"), "%s", e.text);
	json_decref(far.body);
	cr_expect_eq(audit_log_ready(v.at.log_open, &e), 0, "%s", e.text);
	stop(v.at.log_open);
	leave(&v);
	place_expect_clean(&p);
}

Test(audit_door, a_guest_that_goes_without_a_stop_is_closed_by_a_lost_entry)
{
	struct visitor v;
	struct err e = { 0 };
	uint64_t n;
	visit(&v);
	start(v.at.log_open);
	place_note(&v.at, "one");
	cr_assert_eq(audit_log_reserve(v.at.log_open, &n, &e), 0, "%s", e.text);
	cr_assert_eq(n, 2);
	leave(&v);
	wait_for("lost", 1);
	visit(&v); /* one that did nothing leaves nothing */
	leave(&v);
	visit(&v);
	start(v.at.log_open);
	stop(v.at.log_open);
	leave(&v);
	audit_door_close(door);
	door = NULL;
	cr_assert_eq(count_of("lost"), 1);
	place_expect_clean(&p);
}

Test(audit_door, the_door_closes_behind_what_was_sent)
{
	struct visitor v;
	struct audit_receipt receipt;
	struct audit_claim *none;
	struct err e = { 0 };
	visit(&v);
	start(v.at.log_open);
	audit_door_close(door);
	door = NULL;
	cr_expect_eq(append(v.at.log_open, "registry", json_object(), &receipt, &e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "nothing was recorded"), "%s", e.text);
	cr_expect_eq(audit_log_ready(v.at.log_open, &e), ERR_UNAVAILABLE);
	leave(&v);
	cr_expect_eq(claim(&none, false, &e), ERR_CONFLICT); /* the lock is held, and no door */
	cr_expect_eq(count_of("lost"), 1);
	place_expect_clean(&p);
}

Test(audit_door, only_a_guest_comes_in_beside_the_writer)
{
	struct audit_claim *c;
	struct err e = { 0 };
	struct stat st;
	char path[128];
	cr_expect_eq(claim(&c, true, &e), ERR_CONFLICT);
	cr_assert_eq(claim(&c, false, &e), 0, "%s", e.text);
	audit_claim_drop(c);
	snprintf(path, sizeof path, "%s/door", p.home);
	cr_assert_eq(lstat(path, &st), 0);
	cr_expect(S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600, "%o", st.st_mode);
	audit_door_close(door);
	door = NULL;
	cr_expect_neq(lstat(path, &st), 0);
}

/* ---- many ---- */

#define VISITORS 12
#define RECORDS 10

static void *visit_and_write(void *arg)
{
	struct visitor v;
	(void)arg;
	visit(&v);
	start(v.at.log_open);
	for (int i = 0; i < RECORDS; i++)
		if (i % 2)
			place_note(&v.at, "clear");
		else
			place_decision(&v.at, NULL, "sealed");
	stop(v.at.log_open);
	leave(&v);
	return NULL;
}

Test(audit_door, many_guests_write_beside_the_host)
{
	pthread_t thread[VISITORS];
	start(p.log_open);
	for (int i = 0; i < VISITORS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, visit_and_write, NULL), 0);
	for (int i = 0; i < RECORDS; i++)
		place_note(&p, "the host's");
	for (int i = 0; i < VISITORS; i++)
		pthread_join(thread[i], NULL);
	stop(p.log_open);
	cr_assert_eq(count_of("start"), VISITORS + 1);
	cr_assert_eq(count_of("decision"), VISITORS * RECORDS / 2);
	cr_assert_eq(count_of("lost"), 0);
	place_expect_clean(&p);
}

/* ---- strangers ---- */

static int knock(void)
{
	struct err e = { 0 };
	int fd = -1;
	cr_assert_eq(net_local_connect(p.home, "door", &fd, &e), 0, "%s", e.text);
	return fd;
}

/* Says text; the answer into out, or false when the door was shut. */
static bool tell(int fd, const char *text, struct buf *out)
{
	buf_clear(out);
	return net_message_send(fd, text, strlen(text), 5000, NULL) == 0 &&
	       net_message_receive(fd, MIB(1), 20000, 5000, out, NULL) == 0;
}

Test(audit_door, strangers_are_refused_with_a_sentence_and_harm_nothing)
{
	static const char hello[] = "{\"call\":\"hello\",\"version\":1}";
	static const struct {
		const char *first, *then, *says;
	} rows[] = {
		{ "", NULL, "error" },
		{ "[]", NULL, "no object" },
		{ "\xff\xfe", NULL, "error" },
		{ "{\"call\":\"hello\",\"version\":2}", NULL, "use the same program" },
		{ "{\"call\":\"hello\"}", NULL, "version" },
		{ "{\"call\":\"reserve\"}", NULL, "hello comes first" },
		{ hello, hello, "hello comes first at the door, and once" },
		{ hello, "{\"call\":\"dance\"}", "not available in this version" },
		{ hello, "{\"call\":7}", "call" },
		{ hello, "{\"call\":\"append\"}", "record" },
		{ hello, "{\"call\":\"append\",\"record\":{\"type\":\"registry\",\"n\":0}}", "not reserved" },
		{ hello, "{\"call\":\"append\",\"record\":{\"type\":\"registry\",\"n\":-1}}", "non-negative" },
		{ hello, "{\"call\":\"append\",\"record\":{\"type\":\"decision\",\"n\":0,\"fields\":[7]}}", "name" },
		{ hello, "{\"call\":\"append\",\"record\":{\"type\":\"a\\u0000b\",\"n\":0}}", "error" },
		{ hello, "{\"call\":\"erase\",\"index\":0}", "ground" },
		{ hello, "{\"call\":\"erase\",\"index\":0,\"ground\":\"\",\"actor\":\"a\"}", "error" },
	};
	struct buf answer = { 0 };
	uint64_t size = audit_log_size(p.log_open);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int fd = knock();
		cr_expect(tell(fd, rows[i].first, &answer), "%zu", i);
		if (rows[i].then)
			cr_expect(tell(fd, rows[i].then, &answer), "%zu", i);
		cr_expect(answer.bytes && strstr(answer.bytes, "\"error\"") && strstr(answer.bytes, rows[i].says),
			  "%zu: %s", i, answer.bytes);
		close(fd);
	}
	/* A length that is announced and never comes takes no memory, and no place for long. */
	int fd = knock();
	cr_expect_eq(write(fd, "\xff\xff\xff\xff", 4), 4);
	cr_expect_eq(net_message_receive(fd, MIB(1), 20000, 5000, &answer, NULL), ERR_UNAVAILABLE);
	close(fd);
	fd = knock();
	cr_expect_eq(write(fd, "\x03\xff\xff\xff{", 5), 5);
	close(fd);
	buf_free(&answer);
	cr_expect_eq(audit_log_size(p.log_open), size);
	place_note(&p, "the log goes on");
	place_expect_clean(&p);
}

/* Who waits is let in later; meanwhile the door uses no processor. */
Test(audit_door, without_descriptors_the_door_waits_and_does_not_spin)
{
	struct rlimit limit, low;
	struct buf answer = { 0 };
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	int lowest = dup(0);
	cr_assert_geq(lowest, 0);
	close(lowest);
	low = limit;
	low.rlim_cur = (rlim_t)lowest + 1; /* one is left: ours, and none for the door */
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	int fd = knock();
	clock_t before = clock();
	usleep(300000);
	clock_t used = clock() - before;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_expect_lt(used, CLOCKS_PER_SEC / 20, "%ld", (long)used);
	cr_expect(tell(fd, "{\"call\":\"hello\",\"version\":1}", &answer));
	cr_expect(strstr(answer.bytes, "worker"), "%s", answer.bytes);
	close(fd);
	buf_free(&answer);
}

Test(audit_door, more_than_there_are_places_wait_outside)
{
	enum { MANY = 80 };
	int fd[MANY];
	struct buf answer = { 0 };
	int in = 0, full = 0;
	for (int i = 0; i < MANY; i++) {
		fd[i] = knock();
		if (tell(fd[i], "{\"call\":\"hello\",\"version\":1}", &answer) &&
		    strstr(answer.bytes, "worker"))
			in++;
		else
			full += strstr(answer.bytes ? answer.bytes : "", "already") != NULL;
	}
	cr_expect_eq(in, 64, "%d in, %d told", in, full);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	buf_free(&answer);
	struct visitor v;
	struct err e = { 0 };
	int rc = ERR_CONFLICT;
	for (int i = 0; i < 500 && rc == ERR_CONFLICT; i++, usleep(10000))
		rc = try_visit(&v, &e); /* their places are made free */
	cr_assert_eq(rc, 0, "%s", e.text);
	start(v.at.log_open);
	stop(v.at.log_open);
	leave(&v);
	place_expect_clean(&p);
}
