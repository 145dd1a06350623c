/* What the log costs: bench/log [ENTRIES], 1,000,000 if not given. First durable appends by many writers,
 * beside the disk's own rate; then how long a large log takes to open for writing. Its rows
 * are made in one transaction, as if appended and not yet published; the first opening then writes the
 * tiles and signs, as after a crash. Readers are other openings of the same folder, each with a snapshot,
 * on a thread of its own. Beside each opening stands fdatasync of one block in the same folder, for an
 * opening is made of reads, a few comparisons and a few of those. */
#include "audit/audit.h"
#include "base/file.h"
#include "flow/flow.h"
#include "tests/audit/fill.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define READERS 16
#define ROUNDS 9

static char work[] = "/tmp/hallmark-log.XXXXXX";
static struct err why;
static struct env env;
static unsigned long long entries = 1000000;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "log: %s\n", why.text);
		exit(1);
	}
}

static const char *below(const char *name)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", work, name);
	return path;
}

static struct flow *open_flow(bool read_only)
{
	struct flow *f;
	must(flow_open(&f,
		       &(struct flow_options){
			       .home = work, .env = &env, .read_only = read_only, .quiet = true },
		       &why));
	return f;
}

/* Opens for writing and closes; how long the opening took. */
static double opening(void)
{
	double t = now();
	struct flow *f = open_flow(false);
	t = now() - t;
	flow_close(f);
	return t;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* The median and the worst of ROUNDS openings. */
static void print_openings(const char *what)
{
	double t[ROUNDS];
	for (int i = 0; i < ROUNDS; i++)
		t[i] = opening();
	qsort(t, ROUNDS, sizeof *t, by_size);
	printf("log      %-44s %8.1f ms   at most %.1f ms\n", what, t[ROUNDS / 2] * 1e3,
	       t[ROUNDS - 1] * 1e3);
}

static double fdatasync_ms(void)
{
	char block[4096] = { 0 };
	int fd = open(below("sync"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	double t = now();
	for (int i = 0; i < 50; i++)
		if (pwrite(fd, block, sizeof block, 0) < 0 || fdatasync(fd) < 0)
			return 0;
	t = (now() - t) / 50;
	close(fd);
	return t * 1e3;
}

static void sql(const char *database, const char *text)
{
	struct store *s;
	struct store_tx *tx;
	must(store_open(&s, below(database), &why));
	must(store_write(s, &tx, &why));
	must(store_exec(tx, text, &why));
	must(store_commit(tx, &why));
	store_end(tx);
	store_close(s);
}

/* ---- readers ---- */

static atomic_int ready;
static atomic_bool done, at_work;
static atomic_ullong looked;

static void *read_entries(void *arg)
{
	struct flow *f = open_flow(true);
	uint64_t x = (uint64_t)(uintptr_t)arg + 1;
	ready++;
	while (!done) {
		json_t *report;
		struct err e;
		if (!at_work) {
			usleep(1000);
			continue;
		}
		x = x * 6364136223846793005u + 1442695040888963407u;
		if (flow_audit_show(f, (x >> 20) % entries, false, &report, &e) == 0)
			json_decref(report);
		else
			fprintf(stderr, "log: a reader: %s\n", e.text);
		looked++;
	}
	flow_close(f);
	return NULL;
}

static void open_beside_readers(void)
{
	pthread_t thread[READERS];
	for (intptr_t i = 0; i < READERS; i++)
		pthread_create(&thread[i], NULL, read_entries, (void *)i);
	while (ready < READERS)
		usleep(1000);
	print_openings("open for writing, 16 readers open beside it");
	at_work = true;
	double t = now();
	print_openings("the same while they read entries");
	t = now() - t;
	printf("log      %-44s %8.0f /s\n", "entries read by them meanwhile", (double)looked / t);
	done = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
}

/* ---- writers ---- */

#define WRITERS 512
#define SECONDS 4

static struct audit_log *the_log;
static atomic_bool writing, sealing;
static atomic_ullong appended;

/* A record as an answer gives it, sealed: digests and small numbers, and what a replay needs; or a
 * clear one. */
static void append_one(json_t *digest, json_t *number, json_t *body)
{
	const char *const *names = audit_type_find("decision")->field;
	struct audit_field field[64];
	struct audit_record r = { .type = "config", .n = AUDIT_NEXT, .body = body };
	struct audit_receipt receipt;
	struct err e;
	if (sealing) {
		r = (struct audit_record){ .type = "decision",
					   .n = AUDIT_NEXT,
					   .outcome = "completed",
					   .field = field,
					   .retained = body };
		for (size_t i = 0; names[i]; i++)
			field[i] = (struct audit_field){ names[i], i % 2 ? number : digest };
		while (names[r.field_count])
			r.field_count++;
	}
	if (audit_log_append(the_log, &r, &receipt, &e) < 0)
		fprintf(stderr, "log: a writer: %s\n", e.text);
	else
		appended++;
}

static void *append_entries(void *arg)
{
	struct digest d = digest_of("a value", 7);
	char text[DIGEST_TEXT_ROOM];
	digest_text(&d, text);
	json_t *digest = json_string(text), *number = json_integer(12345),
	       *body = json_pack("{s:s,s:s}", "request", "How do I open an account?", "output",
				 "You can open one in any branch, or at home with our app.");
	(void)arg;
	while (writing)
		append_one(digest, number, body);
	json_decref(digest);
	json_decref(number);
	json_decref(body);
	return NULL;
}

/* Acknowledged appends in a second. */
static double rate(int writers, bool sealed)
{
	static pthread_t thread[WRITERS];
	appended = 0;
	sealing = sealed;
	writing = true;
	double t = now();
	for (int i = 0; i < writers; i++)
		pthread_create(&thread[i], NULL, append_entries, NULL);
	sleep(SECONDS);
	writing = false;
	for (int i = 0; i < writers; i++)
		pthread_join(thread[i], NULL);
	return (double)appended / (now() - t);
}

/* Beside each rate, how often the disk took fdatasync of one block right before. */
static void print_rates(void)
{
	static const int writers[] = { 1, 64, WRITERS };
	struct flow *f = open_flow(false);
	must(flow_start(f, &why));
	the_log = flow_log(f);
	for (int i = 0; i < 6; i++) {
		double syncs = 1e3 / fdatasync_ms(), r = rate(writers[i % 3], i >= 3);
		printf("log      %4d writers, %-30s %8.0f /s    %.1f x fdatasync (%.0f /s)\n",
		       writers[i % 3], i >= 3 ? "sealed records" : "clear records", r, r / syncs,
		       syncs);
	}
	flow_close(f);
}

/* ---- the log ---- */

static void make_log(void)
{
	struct signing_identity *key;
	struct store *s;
	flow_close(open_flow(false));
	double t = now();
	must(signing_identity_open(&key, below("keys"), "log", NULL, &why));
	must(store_open(&s, below("state.db"), &why));
	must(fill_log(s, key, &env, entries, &why));
	store_close(s);
	signing_identity_close(key);
	printf("log      %-44s %8.1f s\n", "rows of the entries, one transaction", now() - t);
	t = opening();
	printf("log      %-44s %8.1f s    %.0f /s\n", "opening that writes all tiles and signs", t,
	       (double)entries / t);
}

int main(int count, char **argument)
{
	entries = count > 1 ? strtoull(argument[1], NULL, 10) : entries;
	if (!entries || !mkdtemp(work)) {
		fprintf(stderr, "log [ENTRIES]\n");
		return 2;
	}
	env = env_system();
	print_rates();
	must(file_remove_tree(work, &why));
	must(file_make_dirs(work, 0700, &why));
	printf("log      %llu entries; fdatasync of a block takes %.2f ms\n", entries,
	       fdatasync_ms());
	make_log();
	print_openings("open for writing");
	open_beside_readers();
	sql("state.db", "INSERT INTO log_writer SELECT worker, min(idx), 0, max(n) FROM log_entry"
			" WHERE worker = '" FILL_WORKER "' GROUP BY worker");
	printf("log      %-44s %8.1f ms\n", "the same, all numbers of a worker looked at",
	       opening() * 1e3);
	must(file_remove_tree(below("log/tile/1"), &why));
	printf("log      %-44s %8.1f s\n", "the same, every entry read again", opening());
	struct flow *f = open_flow(true);
	json_t *report;
	double t = now();
	must(flow_audit_verify(f, NULL, NULL, &report, &why));
	printf("log      %-44s %8.1f s    %s\n", "audit verify", now() - t,
	       json_is_true(json_object_get(report, "ok")) ? "ok" : "NOT OK");
	json_decref(report);
	flow_close(f);
	must(file_remove_tree(work, &why));
	return 0;
}
